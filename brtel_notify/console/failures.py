"""What went wrong with a command for people: one line on stderr, and its exit code (sysexits.h)."""

from __future__ import annotations

import os
from typing import Optional

from brtel_notify.api.exceptions import ApiError, CredentialsError, NotFound, OutOfTime, Refused
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.local.log import Log
from brtel_notify.local.os_errors import because
from brtel_notify.options import Stop
from brtel_notify.tickets.open_tickets import LaterVersion


def fail(text: str, code: int) -> int:
    """Say one line on stderr; gives CODE back."""
    Log().error(text)
    return code


def told(error: Exception) -> Optional[int]:
    """Say what ERROR is; the exit code for it. None, and nothing said, if it is unforeseen."""
    if isinstance(error, Stop):
        return fail(str(error), error.code)
    if isinstance(error, (ConfigError, CredentialsError, LaterVersion)):
        return fail(str(error), os.EX_CONFIG)
    if isinstance(error, ApiError):
        return refused(error)
    if isinstance(error, OutOfTime):
        return fail(f"api: {error}", os.EX_UNAVAILABLE)
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):  # of stdout: | head
        return fail(because(error, ""), os.EX_SOFTWARE)
    return None


def refused(error: ApiError) -> int:
    """Say that a call failed; the exit code: 65 where the call is wrong, 69 where BlueRockTEL is
    out of reach, 78 where a setting is wrong."""
    doubt = "; it may have arrived all the same: look before you repeat it"
    code = os.EX_DATAERR if isinstance(error, (NotFound, Refused)) else os.EX_CONFIG
    if error.retry:
        code = os.EX_UNAVAILABLE
    return fail(f"api: {error}{doubt if error.maybe_done else ''}", code)
