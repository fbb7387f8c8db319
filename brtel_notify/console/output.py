"""Output of the commands for people: JSON, and colours where stdout shows them."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Optional


def print_json(data: Any) -> None:
    """DATA for programs."""
    print(json.dumps(data, indent=2))  # ASCII: no terminal reads a control character out of it


def colours() -> bool:
    """Whether stdout is a terminal that wants colour (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


_COLOURS = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "blue": "34", "grey": "90"}


def paint(text: str, colour: str, on: Optional[bool] = None) -> str:
    """TEXT in a colour, where stdout shows colours."""
    wanted = colours() if on is None else on
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if wanted else text
