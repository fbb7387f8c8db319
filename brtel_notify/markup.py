"""HTML as BlueRockTEL keeps it: nine tags, closed properly, within a number of bytes."""

from __future__ import annotations

import html
from html.parser import HTMLParser
from typing import List, Optional, Tuple
from urllib.parse import urlsplit

#: All that BlueRockTEL leaves of a body (Tickets page, "body").
TAGS = frozenset(("br", "img", "ul", "ol", "li", "strong", "i", "p", "a"))
_VOID = frozenset(("br", "img"))
_ATTRIBUTES = {"a": ("href",), "img": ("src", "alt")}
_ADDRESSES = frozenset(("href", "src"))
_SCHEMES = frozenset(("http", "https", "mailto"))
#: What stands inside these is no text for a reader.
_SILENT = frozenset(("script", "style", "head", "title"))
#: What people write in templates, and the nearest that is kept.
_RENAMED = {"b": "strong", "em": "i", "h1": "strong", "h2": "strong", "h3": "strong"}
_BREAKING = frozenset(("div", "tr", "table", "section", "pre", "blockquote"))


class _Full(Exception):
    """The limit is reached."""


class _Cleaner(HTMLParser):
    def __init__(self, limit: int) -> None:
        super().__init__(convert_charrefs=True)
        self.room = limit
        self.pieces: List[str] = []
        self.open: List[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        tag = _RENAMED.get(tag, tag)
        if tag in _SILENT:
            self.silent += 1
        elif tag in _BREAKING:
            self._add("<br>")
        elif tag in TAGS and not self.silent:
            closing = 0 if tag in _VOID else len(f"</{tag}>")
            self._add(f"<{tag}{_attributes(tag, attrs)}>", closing)
            if tag not in _VOID:
                self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        tag = _RENAMED.get(tag, tag)
        if tag in _SILENT:
            self.silent = max(0, self.silent - 1)
        elif tag in self.open:
            while True:
                last = self.open.pop()
                self.pieces.append(f"</{last}>")
                if last == tag:
                    break

    def handle_data(self, data: str) -> None:
        if self.silent:
            return
        escaped = html.escape(data, quote=False)
        if len(escaped.encode("utf-8", "replace")) <= self.room:
            self._add(escaped)
            return
        for char in data:  # the piece that does not fit any more: as much of it as does
            self._add(html.escape(char, quote=False))

    def _add(self, piece: str, reserve: int = 0) -> None:
        size = len(piece.encode("utf-8", "replace")) + reserve
        if size > self.room:
            raise _Full
        self.room -= size
        self.pieces.append(piece)


def _attributes(tag: str, attrs: List[Tuple[str, Optional[str]]]) -> str:
    kept = ""
    for name, value in attrs:
        wanted = name in _ATTRIBUTES.get(tag, ()) and value
        if wanted and (name not in _ADDRESSES or _is_safe(value or "")):
            kept += f' {name}="{html.escape(value or "")}"'
    return kept


def _is_safe(address: str) -> bool:
    try:
        return urlsplit(address.strip()).scheme.lower() in _SCHEMES
    except ValueError:
        return False


def clean(source: str, limit: int) -> Tuple[str, bool]:
    """SOURCE with the nine tags only, every one closed, and whether it was cut.

    LIMIT is in bytes of UTF-8, for the text and its tags together; a cut falls between characters
    and never inside a tag. Never raises, whatever SOURCE is.
    """
    cleaner = _Cleaner(limit)
    cut = False
    try:
        cleaner.feed(source.encode("utf-8", "replace").decode("utf-8"))
        cleaner.close()
    except _Full:
        cut = True
    except AssertionError:  # what html.parser raises at some broken declarations
        cut = True
    closing = "".join(f"</{tag}>" for tag in reversed(cleaner.open))
    return "".join(cleaner.pieces) + closing, cut


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: List[str] = []
        self.address = ""

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        if tag == "br":
            self.pieces.append("\n")
        elif tag == "li":
            self.pieces.append("\n  - ")
        elif tag == "p":
            self.pieces.append("\n\n")
        elif tag == "a":
            self.address = dict(attrs).get("href") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self.address:
            self.pieces.append(f" <{self.address}>")
            self.address = ""

    def handle_data(self, data: str) -> None:
        self.pieces.append(" ".join(data.split("\n")))


def as_text(cleaned: str) -> str:
    """What :func:`clean` gave, as a terminal shows it."""
    reader = _Reader()
    reader.feed(cleaned)
    reader.close()
    lines = (line.strip() if "- " not in line[:5] else line for line in _lines(reader.pieces))
    return "\n".join(lines).strip("\n")


def _lines(pieces: List[str]) -> List[str]:
    kept: List[str] = []
    for line in "".join(pieces).split("\n"):
        if line.strip() or (kept and kept[-1].strip()):
            kept.append(line.rstrip())
    return kept
