"""A ticket's HTML as a browser may be given it: what BlueRockTEL keeps, and nothing that acts.

`clean_body` leaves attributes alone, as PHP does, and does not close what is open. So the text is
taken apart here once more and written anew: nine tags, every one closed, links to the web and to
mail only, and no attribute but theirs. An image becomes a link to it: this page fetches nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from html.parser import HTMLParser
from typing import List, Optional, Tuple

from .html import ALLOWED_TAGS, clean_body

_ADDRESS = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f]+", re.IGNORECASE)
_VOID = frozenset({"br", "img"})
#: An unclosed one of these ends where the next begins.
_ENDED_BY_NEXT = frozenset({"p", "li"})
_DEEPEST = 50

Attributes = List[Tuple[str, Optional[str]]]


@lru_cache(maxsize=512)
def safe_html(body: str) -> str:
    """Return `body`, as the API would store it, as HTML that a page may hold as it is."""
    writer = _Writer()
    writer.feed(clean_body(body))
    writer.close()
    return writer.finished()


class _Writer(HTMLParser):
    """Takes HTML apart and writes what is harmless of it into `pieces`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: List[str] = []
        self.unclosed: List[str] = []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        if tag == "br":
            self.pieces.append("<br>")
        elif tag == "img":
            self._link_to_image(attrs)
        elif tag in ALLOWED_TAGS and len(self.unclosed) < _DEEPEST:
            if tag in _ENDED_BY_NEXT and self.unclosed[-1:] == [tag]:
                self.handle_endtag(tag)
            address = _address(attrs, "href") if tag == "a" else ""
            self.pieces.append(_link_start(address) if address else f"<{tag}>")
            self.unclosed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.unclosed:
            return
        while True:
            last = self.unclosed.pop()
            self.pieces.append(f"</{last}>")
            if last == tag:
                return

    def handle_data(self, data: str) -> None:
        self.pieces.append(escape(data))

    def finished(self) -> str:
        """Return what was written, everything closed."""
        while self.unclosed:
            self.pieces.append(f"</{self.unclosed.pop()}>")
        return "".join(self.pieces)

    def _link_to_image(self, attrs: Attributes) -> None:
        address = _address(attrs, "src")
        text = escape(dict(attrs).get("alt") or address or "?")
        inside_link = "a" in self.unclosed
        start, end = (_link_start(address), "</a>") if address and not inside_link else ("", "")
        self.pieces.append(f"{start}[{text}]{end}")


def _address(attrs: Attributes, name: str) -> str:
    value = (dict(attrs).get(name) or "").strip()
    return value if _ADDRESS.fullmatch(value) else ""


def _link_start(address: str) -> str:
    return f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">'
