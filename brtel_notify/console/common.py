"""What the commands for people share: the configuration, one line on stderr, JSON and colours."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Optional

from brtel_notify.config import schema
from brtel_notify.config.schema import Config
from brtel_notify.local.log import Log
from brtel_notify.options import Options

#: The exit code of a wrong command line, as argparse has it; all others are sysexits.h's.
USAGE = 2


def load_config(options: Options) -> Config:
    """The configuration. Raises ConfigError."""
    return schema.load(schema.find(options.config, os.environ), os.environ)


def fail(text: str, code: int) -> int:
    """Say one line on stderr; gives CODE back."""
    Log().error(text)
    return code


# --- output -------------------------------------------------------------------------------------


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
