"""HTML from the outside, as a person reads it in a terminal.

Only what carries the name of an HTML element is a tag, and everything else is text.
"""

from __future__ import annotations

import html
import re
from typing import List, Match

from brtel_notify.local.cleaning import safe, web_url
from brtel_notify.sources.html_parts import parts

_INLINE = (
    "a abbr acronym b bdi bdo big cite code del dfn em font i ins kbd label mark nobr q s samp "
    "small span strike strong sub sup tt u var wbr img button input time"
)
_BLOCK = (
    "address article aside blockquote body caption center dd details dir div dl dt fieldset "
    "figcaption figure footer form head header html legend main nav ol section summary table "
    "tbody tfoot thead ul colgroup col link meta noscript iframe"
)
_PARAGRAPH = "h1 h2 h3 h4 h5 h6 p pre"
_OTHER = "br hr li script style td th title tr"
_BLOCKS = frozenset(_BLOCK.split())
_PARAGRAPHS = frozenset(_PARAGRAPH.split())
_ELEMENTS = frozenset(f"{_INLINE} {_BLOCK} {_PARAGRAPH} {_OTHER}".split())

# The second form is for attributes whose quotes do not match. The bounds keep the work linear.
_TAG = re.compile(
    r"""<(/?)([A-Za-z][A-Za-z0-9]{0,15})(?=[\s/>])"""
    r"""((?:[^<>"']|"[^"]{0,2000}"|'[^']{0,2000}'){0,2000}|[^<>]{0,4000})>"""
)
_DECLARATION = re.compile(r"<(?:!doctype|\?xml)[^<>]{0,2000}>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ATTRIBUTE = (
    r"""(?:^|[\s"'/])%s\s{0,20}=\s{0,20}(?:"([^"]{0,2000})"|'([^']{0,2000})'|([^\s"'>]{1,2000}))"""
)
_HREF = re.compile(_ATTRIBUTE % "href", re.IGNORECASE)
_ALT = re.compile(_ATTRIBUTE % "alt", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n[ \t]*\n")

# What a tag asks for, kept among the text until the page is laid out; safe has removed these
# characters from the text itself.
_BREAK, _GAP = "\x02", "\x03"
_BREAKS = re.compile(r" ?[\n\x02\x03][ \n\x02\x03]*")


def html_to_text(markup: str) -> str:
    """MARKUP as a person reads it in a terminal; never fails, whatever it is.

    A line break for each br, p, div, li and table row, ``-`` before a list item, ``|`` between
    cells, ``text (address)`` for a link, script and style dropped, entities decoded. Newlines of
    the source stay newlines, since alert templates mix them with tags. Text without a single
    HTML tag keeps its form, and ``<`` that begins no tag stays.
    """
    markup = safe(markup)
    found = list(parts(markup, _TAG, _DECLARATION, _ELEMENTS))
    if len(found) == 1:
        return _decode(markup).strip()
    page = _Page()
    for text, tag in found:
        page.add_text(text)
        if tag is not None:
            page.add_tag(tag[2].lower(), bool(tag[1]), tag[3])
    return page.layout()


class _Page:
    """Text and tags, one after the other, then laid out in lines."""

    def __init__(self) -> None:
        self._pieces: List[str] = []
        self._link = ""
        self._link_start = 0
        self._in_row = False
        self._cells = 0

    def add_text(self, text: str) -> None:
        if text:
            text = _decode(text)
            text = text.replace("\n", " ") if self._in_row else _BLANK_LINE.sub(_GAP, text)
            self._pieces.append(text)

    def add_tag(self, name: str, closing: bool, attributes: str) -> None:
        if name == "a":
            self._end_link()
            self._begin_link("" if closing else _attribute(_HREF, attributes))
        elif name == "img":
            self._pieces.append(_attribute(_ALT, attributes))
        elif name == "br":
            self._pieces.append(_BREAK)
        elif name == "li":
            self._pieces.append("\n" if closing else "\n- ")
        elif name in ("td", "th"):
            self._add_cell(closing)
        elif name in _PARAGRAPHS:
            self._pieces.append("\n" if self._in_row else _GAP)
        elif name in ("tr", "table"):
            self._in_row = name == "tr" and not closing
            self._cells = 0
            self._pieces.append("\n")
        elif name == "hr" or name in _BLOCKS:
            self._pieces.append("\n")

    def layout(self) -> str:
        self._end_link()
        text = re.sub(r"[ \t\xa0]+", " ", "".join(self._pieces))
        return _BREAKS.sub(_line_end, text).strip()

    def _add_cell(self, closing: bool) -> None:
        if not closing:
            self._pieces.append(" | " if self._cells else " ")
            self._cells += 1

    def _begin_link(self, address: str) -> None:
        self._link, self._link_start = address, len(self._pieces)

    def _end_link(self) -> None:
        address = web_url(self._link)
        if address:
            label = "".join(self._pieces[self._link_start :]).strip()
            if not label:
                self._pieces.append(address)
            elif label.rstrip("/") != address.rstrip("/"):
                self._pieces.append(f" ({address})")
        self._link = ""


def _line_end(breaks: Match[str]) -> str:
    run = breaks.group()
    return "\n\n" if _GAP in run or run.count(_BREAK) > 1 else "\n"


def _attribute(pattern: re.Pattern[str], attributes: str) -> str:
    found = pattern.search(attributes)
    if found is None:
        return ""
    return _decode(next(value for value in found.groups() if value is not None)).strip()


def _decode(text: str) -> str:
    return _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)
