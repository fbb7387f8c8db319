"""What BlueRockTEL does to HTML when it saves a ticket: a port of PHP's ``strip_tags``.

It stands on its own on purpose: the client's sanitiser is tested against it, so the two must
not share a line.
"""

from __future__ import annotations

import re
from typing import AbstractSet, List

ALLOWED_TAGS = frozenset({"br", "img", "ul", "ol", "li", "strong", "i", "p", "a"})
"""The tags that a ticket or reply body keeps (BlueRockTEL's Tickets page)."""

_TEXT, _TAG, _PHP, _DECLARATION, _COMMENT = range(5)
_NAME = re.compile(r"<(?:/|\s*)([^\s>]*?)(?:/?>|\s)")


def clean_body(text: str) -> str:
    """Return `text` with every tag gone but the nine allowed ones, which keep their attributes."""
    return strip_tags(text, ALLOWED_TAGS)


def clean_subject(text: str) -> str:
    """Return `text` without any tag. ``a<b`` loses its end, as it does in PHP."""
    return strip_tags(text)


def strip_tags(text: str, allowed: AbstractSet[str] = frozenset()) -> str:
    """Do as PHP's ``strip_tags`` does (php-src, ext/standard/string.c; compared with PHP 8.2).

    It is a scanner of characters, not a parser of HTML, and its habits show: ``a < b`` stays,
    ``a<b`` loses everything from the ``<`` on, quotes inside a tag hide a ``>``, comments go, the
    text inside ``<script>`` stays, NUL bytes go.
    """
    if "<" not in text and "\0" not in text:
        return text
    return _Scanner(text, allowed).run()


class _Scanner:
    def __init__(self, text: str, allowed: AbstractSet[str]) -> None:
        self.text = text
        self.allowed = allowed
        self.kept: List[str] = []
        self.tag: List[str] = []
        self.state = _TEXT
        self.quote = ""
        self.depth = 0
        self.parentheses = 0
        self.is_xml = False

    def run(self) -> str:
        steps = {
            _TEXT: self._in_text,
            _TAG: self._in_tag,
            _PHP: self._in_php,
            _DECLARATION: self._in_declaration,
            _COMMENT: self._in_comment,
        }
        for index, character in enumerate(self.text):
            if character != "\0":
                steps[self.state](index, character)
        return "".join(self.kept)

    def _in_text(self, index: int, character: str) -> None:
        if character == "<" and not self._space_follows(index):
            self.state = _TAG
            self.tag = ["<"]
        elif character == ">" and self.depth:
            self.depth -= 1
        else:
            self.kept.append(character)

    def _in_tag(self, index: int, character: str) -> None:
        if character == "<" and not self._space_follows(index):
            if not self.quote:
                self.depth += 1
        elif character == ">":
            self._end_of_tag(index)
        elif character in "!?" and self._before(index, "<"):
            self.state = _DECLARATION if character == "!" else _PHP
            self.parentheses = 0
        else:
            self._toggle_quote(character)
            self.tag.append(character)

    def _end_of_tag(self, index: int) -> None:
        if self.depth:
            self.depth -= 1
        elif not self.quote and not (self.is_xml and self._before(index, "-")):
            self.tag.append(">")
            tag = "".join(self.tag)
            if _name(tag) in self.allowed:
                self.kept.append(tag)
            self._back_to_text()

    def _in_php(self, index: int, character: str) -> None:
        self._toggle_quote(character, escaped=self._before(index, "\\"))
        if character in "()" and not self.quote:
            self.parentheses += 1 if character == "(" else -1
        elif character == ">" and self.depth:
            self.depth -= 1
        elif character == ">" and self._before(index, "?"):
            if not self.quote and not self.parentheses:
                self._back_to_text()
        elif character in "lL" and index > 4 and self._before(index, "<?xm"):
            # PHP overlooks an XML declaration at the very start of the text.
            self.state = _TAG
            self.is_xml = True

    def _in_declaration(self, index: int, character: str) -> None:
        self._toggle_quote(character, escaped=self._before(index, "\\"))
        if character == ">":
            if self.depth:
                self.depth -= 1
            elif not self.quote:
                self._back_to_text()
        elif character == "-" and self._before(index, "!-"):
            self.state = _COMMENT
        elif character in "eE" and self._before(index, "<!doctyp"):
            self.state = _TAG

    def _in_comment(self, index: int, character: str) -> None:
        if character == ">" and not self.quote and self._before(index, "--"):
            self._back_to_text()

    def _back_to_text(self) -> None:
        self.state = _TEXT
        self.quote = ""
        self.tag = []
        self.is_xml = False

    def _toggle_quote(self, character: str, escaped: bool = False) -> None:
        if character in "\"'" and not escaped:
            if not self.quote:
                self.quote = character
            elif self.quote == character:
                self.quote = ""

    def _space_follows(self, index: int) -> bool:
        following = self.text[index + 1 : index + 2]
        return following != "" and following in " \t\n\r\v\f"

    def _before(self, index: int, what: str) -> bool:
        return self.text[max(0, index - len(what)) : index].lower() == what


def _name(tag: str) -> str:
    """Return `p` for ``<P class=x>``, ``</p>`` and ``<p/>``."""
    found = _NAME.match(tag)
    return found.group(1).lower() if found else ""
