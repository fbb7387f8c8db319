"""HTML from anywhere, taken apart into text and tags; comments, scripts and the like are left out.

html.parser is not used: on the Pythons that servers still run it takes time quadratic in broken
input, it drops "<noc@example.net>" and an unfinished "<b", and its idea of a script or a comment
differs from one Python to the next. Here the time is linear in the input, whatever that is.
"""

from __future__ import annotations

import re
from typing import Container, Iterator, List, Match, Optional, Pattern, Tuple

#: What stands inside these is no text for a reader.
_SILENT = frozenset(("script", "style", "title"))

Part = Tuple[str, Optional[Match[str]]]


def parts(
    source: str,
    tags: Pattern[str],
    declarations: Pattern[str],
    elements: Optional[Container[str]] = None,
) -> Iterator[Part]:
    """SOURCE as text and the tag behind it, again and again; the last text has none.

    Nor has a text before something that is left out. A tag is what TAGS fits: group 1 is "/" where
    it ends something, 2 the name, 3 the attributes. With ELEMENTS only what has the name of one of
    them is a tag. DECLARATIONS are left out; a ``<`` that begins nothing of all this is text.
    """
    ends = _Ends(source)
    place = text = 0
    while True:
        place = source.find("<", place)
        if place < 0:
            yield source[text:], None
            return
        tag = tags.match(source, place)
        if tag is not None and elements is not None and tag[2].lower() not in elements:
            tag = None
        end = _end_of_unread(place, tag, ends, declarations)
        if end is not None:
            yield source[text:place], None
        elif tag is not None:
            yield source[text:place], tag
            end = tag.end()
        if end is None:
            place += 1
        else:
            place = text = end


class _Ends:
    """Finds where comments and scripts end; one that is not ended is searched for only once.

    Else a page of nothing but ``<!--`` would be searched to its end for every one of them.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.absent: List[str] = []

    def after(self, end: str, place: int) -> Optional[int]:
        """Where what the pattern END ends is over, from PLACE on; None if nothing ends it."""
        if end in self.absent:
            return None
        found = re.compile(end, re.IGNORECASE | re.ASCII).search(self.source, place)
        if found is None:
            self.absent.append(end)
        return found.end() if found else None


def _end_of_unread(
    place: int, tag: Optional[Match[str]], ends: _Ends, declarations: Pattern[str]
) -> Optional[int]:
    """Where the comment, declaration or script at PLACE is over; None if none begins there."""
    if tag is not None:
        silent = tag[2].lower() in _SILENT and not tag[1]
        return ends.after(f"</{tag[2].lower()}[^<>]*>", tag.end()) if silent else None
    if ends.source.startswith("<!--", place):
        end = ends.after("-->", place + 4)
        if end is not None:
            return end
    declaration = declarations.match(ends.source, place)
    return declaration.end() if declaration else None
