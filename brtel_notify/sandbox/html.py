"""What BlueRockTEL does to HTML when it saves a ticket.

Laravel applications commonly clean such fields by PHP's ``strip_tags``; this does what its manual
page says, and stands on its own on purpose: the client's sanitiser is tested against it, so the
two must not share a line.
"""

from __future__ import annotations

import re
from typing import AbstractSet, List

ALLOWED_TAGS = frozenset({"br", "img", "ul", "ol", "li", "strong", "i", "p", "a"})
"""The tags that a ticket or reply body keeps (BlueRockTEL's Tickets page)."""

#: A comment; a PHP or XML block; a tag, in which quotes hide a ``>``; or what is left of one that
#: is never closed. A ``<`` before white space is text.
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)"
    r"|<\?.*?(?:\?>|\Z)"
    r"|<(?!\s)(?:[^>\"']|\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z))*(?:>|\Z)",
    re.DOTALL,
)
_NAME = re.compile(r"</?\s*([^\s<>]+?)/?(?=[\s<>])")


def clean_body(text: str) -> str:
    """Return `text` with every tag gone but the nine allowed ones, which keep their attributes."""
    return strip_tags(text, ALLOWED_TAGS)


def clean_subject(text: str) -> str:
    """Return `text` without any tag. ``a<b`` loses its end, as it does in PHP."""
    return strip_tags(text)


def strip_tags(text: str, allowed: AbstractSet[str] = frozenset()) -> str:
    """Return `text` without NUL bytes, comments, and tags other than the `allowed` ones.

    The habits of PHP's function: ``a < b`` stays, ``a<b`` loses everything from the ``<`` on, the
    text inside ``<script>`` stays.
    """
    kept: List[str] = []
    position = 0
    text = text.replace("\0", "")
    for found in _MARKUP.finditer(text):
        kept.append(text[position : found.start()])
        position = found.end()
        if _name(found.group()) in allowed and found.group().endswith(">"):
            kept.append(found.group())
    return "".join(kept) + text[position:]


def _name(tag: str) -> str:
    """Return `p` for ``<P class=x>``, ``</p>`` and ``<p/>``."""
    found = _NAME.match(tag)
    return found.group(1).lower() if found else ""
