"""A cleaned ticket body or note as a terminal shows it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import List, Optional, Tuple


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
    """What :func:`brtel_notify.text.markup.clean_html` gave, as a terminal shows it."""
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
