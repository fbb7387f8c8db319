"""One line, on stdout or stderr, whether anybody reads it or not.

Every alert imports this module: nothing heavy.
"""

from __future__ import annotations

import sys

from brtel_notify.local.stdio import patient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Optional, TextIO

PROGRAM = "brtel-notify"


def complain(text: str) -> None:
    """One line on stderr, before there is a log. Where nobody reads it, the exit code tells."""
    to_stderr(f"{PROGRAM}: {line_of(text)}")


def tell(text: str, stream: Optional[TextIO] = None) -> None:
    """One line on stdout, of a delivery, which does not wait for anybody to read it."""
    _said(stream or patient(sys.stdout), line_of(text))


def trace(say: Callable[[str], None]) -> None:
    """SAY the traceback of the exception that is being handled, line by line."""
    import traceback

    for line in traceback.format_exc().splitlines():
        say(line)


def line_of(text: str) -> str:
    """See :func:`brtel_notify.local.cleaning.line_of`, which is needed for the fewest lines."""
    if text.isprintable():
        return text
    from brtel_notify.local import cleaning

    return cleaning.line_of(text)


def to_stderr(line: str) -> bool:
    """Say LINE on stderr. False if nobody listens."""
    return _said(sys.stderr, line)


def _said(stream: TextIO, line: str) -> bool:
    """Say LINE. False if nobody listens; that must not stop a delivery."""
    try:
        stream.write(f"{line}\n")
        stream.flush()
    except (OSError, ValueError, AttributeError):
        return False
    return True
