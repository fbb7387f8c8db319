"""Tables for a terminal: as wide as what they hold looks, and no wider than the screen."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence

from brtel_notify.console.output import paint
from brtel_notify.local.cleaning import line_of

#: What is between two columns.
GAP = "  "
#: A column is not made narrower than this to fit the screen.
NARROWEST = 8
_INVISIBLE = ("Mn", "Me", "Cf")


class Painted(NamedTuple):
    """A cell that stands out, where there are colours."""

    text: str
    colour: str


def width(text: str) -> int:
    """How many columns of a terminal TEXT takes: two for an East Asian character, none for a
    combining mark (Unicode's standard annex 11)."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _width(char: str) -> int:
    if unicodedata.category(char) in _INVISIBLE:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def clip(text: str, columns: int) -> str:
    """TEXT in so many columns: its end gives way to an ellipsis."""
    if width(text) <= columns:
        return text
    kept, taken = [], 1
    for char in text:
        taken += _width(char)
        if taken > columns:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…"


def screen() -> Optional[int]:
    """The columns of the screen, or None where there is none: a pipe's reader gets everything."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told) > 0:
        return int(told)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Any]],
    flexible: Sequence[str] = (),
    columns: Optional[int] = None,
) -> List[str]:
    """Lines of a table whose columns line up, its head in bold where there are colours.

    The columns named in FLEXIBLE are cut until a line fits into COLUMNS, the widest first. What an
    alert says keeps to its own cell: no line break or escape sequence in it reaches the terminal.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max(width(name), *(width(row[n].text) for row in cells)) if cells else width(name)
        for n, name in enumerate(head)
    ]
    if columns is not None:
        _shrink(widths, [n for n, name in enumerate(head) if name in flexible], columns)
    lines = [paint(_line([Painted(name, "") for name in head], widths), "bold")]
    return lines + [_line(row, widths) for row in cells]


def _cell(value: Any) -> Painted:
    text, colour = value if isinstance(value, Painted) else (value, "")
    return Painted("" if text is None else line_of(str(text)), colour)


def _shrink(widths: List[int], flexible: List[int], columns: int) -> None:
    too_much = sum(widths) + len(GAP) * (len(widths) - 1) - columns
    while too_much > 0 and flexible:
        widest = max(flexible, key=lambda n: widths[n])
        if widths[widest] <= NARROWEST:
            return
        widths[widest] -= 1
        too_much -= 1


def _line(row: Sequence[Painted], widths: Sequence[int]) -> str:
    parts = []
    for n, (cell, columns) in enumerate(zip(row, widths)):
        text = clip(cell.text, columns)
        last = n == len(row) - 1
        padding = "" if last else " " * (columns - width(text))
        parts.append((paint(text, cell.colour) if cell.colour and text else text) + padding)
    return GAP.join(parts).rstrip()
