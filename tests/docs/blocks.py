"""The fenced code blocks of a page of documentation, for tests that try them out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, NamedTuple

#: The line that opens a block: its indent, its fence, and what stands behind it.
_OPENING = re.compile(r"( *)(`{3,}|~{3,})\s*([^`]*)$")


class Block(NamedTuple):
    """One block. ``language`` is the first word behind the fence (empty without one), ``info`` the
    words after it, ``text`` what stands between the fences, every line ended; ``line`` the number
    of its first line in the page, from 1, so that PAGE:LINE leads there.
    """

    language: str
    text: str
    line: int
    info: List[str]


def blocks(path: Path) -> List[Block]:
    """The blocks of the page PATH, in order. Raises ValueError for a block that is never closed."""
    found: List[Block] = []
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    for number, line in lines:
        opening = _OPENING.match(line)
        if opening is None:
            continue
        indent, fence, words = opening.groups()
        language, *info = words.split() or [""]
        content: List[str] = []
        for _, inner in lines:
            if re.fullmatch(rf" *{fence[0]}{{{len(fence)},}}\s*", inner):
                break
            content.append(_without(indent, inner))
        else:
            raise ValueError(f"{path}:{number}: this block is never closed")
        text = "".join(f"{one}\n" for one in content)
        found.append(Block(language, text, number + 1, info))
    return found


def _without(indent: str, line: str) -> str:
    """LINE without the indent that its block has, in a list item for instance."""
    spaces = len(line) - len(line.lstrip(" "))
    return line[min(spaces, len(indent)) :]
