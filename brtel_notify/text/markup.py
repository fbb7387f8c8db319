"""HTML as BlueRockTEL keeps it: nine tags, closed properly, within a number of bytes.

What is cleaned here comes from templates, and with ``|safe`` from anywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import List, Tuple

from brtel_notify.sources.html_parts import parts

#: All that BlueRockTEL leaves of a body (Tickets page, "body").
TAGS = frozenset(("br", "img", "ul", "ol", "li", "strong", "i", "p", "a"))
_VOID = frozenset(("br", "img"))
_ATTRIBUTES = {"a": ("href",), "img": ("src", "alt")}
_ADDRESSES = frozenset(("href", "src"))
_SAFE_ADDRESS = r"(?i:https?://|mailto:)[^\s]+"
#: What people write in templates, and the nearest that is kept.
_RENAMED = {"b": "strong", "th": "strong", "em": "i", "cite": "i"}
_RENAMED.update((f"h{level}", "strong") for level in range(1, 7))
#: These begin a new line, and what follows them another.
_LINES = frozenset(
    (
        *("address", "article", "aside", "blockquote", "center", "dd", "details", "div", "dl"),
        *("dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "main"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "nav", "pre", "section", "summary", "table", "tr"),
    )
)
#: These stand beside what is before them.
_CELLS = frozenset(("td", "th"))
#: What begins a line of its own anyway.
_STARTS_LINE = frozenset(("br", "p", "ul", "ol", "li"))
#: One of these ends where the next begins, as in ``<li>one<li>two``.
_CLOSED_BY_NEXT = frozenset(("p", "li"))
#: Tags nested deeper are left out; no reader could tell.
DEEPEST = 40

# A tag, first with quotes that match, else with any. Neither passes the next "<", so all tags of
# a text together cost time linear in its length.
_TAG = re.compile(
    r"""<(/?)([A-Za-z][A-Za-z0-9:-]*)(?=[\s/>])((?:[^<>"']|"[^<"]*"|'[^<']*')*|[^<>]*)>"""
)
_DECLARATION = re.compile(r"<[!?][^<>]*>")
_ATTRIBUTE = r"""(?:^|(?<=[\s"'/]))([A-Za-z]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"""
#: A directive of Blade: not in the middle of a word, as in an address, and none but its own.
_DIRECTIVE = re.compile(
    r"(?<!\w)@(?=(?:end)?(?:php|include|each|inject|extends|component|slot|section|yield|stack|push"
    r"|prepend|prop|aware|if|else|unless|isset|empty|auth|guest|can|env|production|switch|case|break"
    r"|default|for|while|continue|once|use|json|js\b|class|style|lang|choice|csrf|method|error|dd\b"
    r"|dump|vite|verbatim|livewire|route|session|fragment|checked|selected|disabled|readonly|required"
    r"|parent|show|overwrite|append|stop|hasSection|has|sectionMissing|pushIf|pushOnce|context|bool)"
    r"[A-Za-z]*)",
    re.IGNORECASE,
)
#: No attribute of ours needs more; it bounds the search in one that never ends.
_ATTRIBUTES_LENGTH = 8_000
#: Control characters: BlueRockTEL drops NUL, and nobody sees the others.
_CONTROLS = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)))


class _Full(Exception):
    """The limit is reached."""


class _Cleaner:
    """Takes text and tags one by one; ``pieces`` is what is kept of them."""

    def __init__(self, limit: int) -> None:
        self.room = limit
        self.pieces: List[str] = []
        self.open: List[str] = []
        self.left_out: Counter[str] = Counter()
        self.at_line_start = True
        self.line_wanted = False
        self.gap_wanted = False

    def text(self, source: str) -> None:
        """Add text in which entities may stand."""
        data = self._untemplated(_visible(unescaped(source)))
        if not data:
            return
        if data.strip():
            self._separate()
        safe = escaped(data)
        if _size(safe) <= self.room:
            self._add(safe)
            return
        for char in data:  # the piece that does not fit any more: as much of it as does
            self._add(escaped(char))

    def _untemplated(self, data: str) -> str:
        """DATA without the forms of a template, also not together with what is before it."""
        before = "".join(self.pieces[-2:])[-2:]
        joined = untemplated(before + data)
        return joined[len(before) :] if joined.startswith(before) else f" {data}"

    def _separate(self) -> None:
        """What block tags and table cells that are not kept leave between two texts."""
        if self.line_wanted and not self.at_line_start:
            self._add("<br>")
        elif self.gap_wanted and not self.at_line_start:
            self._add(" ")
        self.at_line_start = self.line_wanted = self.gap_wanted = False

    def start(self, name: str, attributes: str) -> None:
        """Add a tag that begins something."""
        self.line_wanted |= name in _LINES
        self.gap_wanted |= name in _CELLS
        tag = _RENAMED.get(name, name)
        if tag not in TAGS:
            return
        if tag in _VOID:
            if tag == "img":
                self._separate()
            self._add(f"<{tag}{_kept(tag, attributes)}>")
            self._note_start(tag)
            return
        if tag in _CLOSED_BY_NEXT and self.open and self.open[-1] == tag:
            self.end(tag)
        if len(self.open) >= DEEPEST:
            self.left_out[tag] += 1
        else:
            if tag not in _STARTS_LINE:
                self._separate()
            self._add(f"<{tag}{_kept(tag, attributes)}>", reserve=len(f"</{tag}>"))
            self.open.append(tag)
            self._note_start(tag)

    def end(self, name: str) -> None:
        """Add a tag that ends something, and end what was begun inside and is open still."""
        self.line_wanted |= name in _LINES
        tag = _RENAMED.get(name, name)
        if self.left_out[tag]:
            self.left_out[tag] -= 1
        elif tag in self.open:
            while True:
                last = self.open.pop()
                self.pieces.append(f"</{last}>")
                if last == tag:
                    break
            self._note_start(tag)

    def _note_start(self, tag: str) -> None:
        if tag in _STARTS_LINE:
            self.at_line_start, self.line_wanted = True, False

    def _add(self, piece: str, reserve: int = 0) -> None:
        size = _size(piece) + reserve
        if size > self.room:
            raise _Full
        self.room -= size
        self.pieces.append(piece)


def escaped(text: str, quotes: bool = False) -> str:
    """TEXT as HTML shows it; with QUOTES also fit for an attribute."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#x27;") if quotes else text


def untemplated(text: str) -> str:
    """TEXT in which BlueRockTEL finds no template variable of its own, to put something else there.

    It resolves them in the bodies of replies (Tickets page); ``{{ … }}``, ``{!! … !!}`` and
    directives (``@php``) are the forms of its templates (Laravel's Blade). What an alert says stays
    as it is, but for a blank.
    """
    text = re.sub(r"\{(?=\{|!!)", "{ ", text)
    return _DIRECTIVE.sub("@ ", text) if "@" in text else text


def unescaped(text: str) -> str:
    """The text that HTML without tags shows."""
    if "&" not in text:
        return text
    import html  # its table of two thousand names is loaded only where there is one

    return html.unescape(text)


def _size(text: str) -> int:
    return len(text.encode("utf-8"))


def _visible(text: str) -> str:
    """TEXT as it can be stored: no control characters, no half characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS)
    return text.encode("utf-8", "replace").decode("utf-8")


def _kept(tag: str, source: str) -> str:
    """Those attributes in SOURCE that TAG may have, the first of each name."""
    found = {}
    if tag not in _ATTRIBUTES:
        return ""
    for match in re.finditer(_ATTRIBUTE, source[:_ATTRIBUTES_LENGTH]):
        name = match[1].lower()
        if name in _ATTRIBUTES[tag] and name not in found:
            value = next(group for group in match.groups()[1:] if group is not None)
            plain = " ".join(_visible(unescaped(value)).split())
            found[name] = plain.replace("{", "%7B") if name in _ADDRESSES else untemplated(plain)
    return "".join(
        f' {name}="{escaped(value, quotes=True)}"'
        for name, value in found.items()
        if name not in _ADDRESSES or re.fullmatch(_SAFE_ADDRESS, value)
    )


def clean_html(source: str, limit: int) -> Tuple[str, bool]:
    """SOURCE with the nine tags only, every one closed, and whether it was cut.

    LIMIT is in bytes of UTF-8, for the text and its tags together; a cut falls between characters
    and never inside a tag. Never raises, whatever SOURCE is, and takes time linear in its length.
    """
    cleaner = _Cleaner(limit)
    cut = False
    try:
        for text, tag in parts(source, _TAG, _DECLARATION):
            cleaner.text(text)
            if tag is not None and tag[1]:
                cleaner.end(tag[2].lower())
            elif tag is not None:
                cleaner.start(tag[2].lower(), tag[3])
    except _Full:
        cut = True
    closing = "".join(f"</{tag}>" for tag in reversed(cleaner.open))
    return "".join(cleaner.pieces) + closing, cut
