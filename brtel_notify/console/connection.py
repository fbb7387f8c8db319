"""What the commands share that call BlueRockTEL at an operator's word: services, and exit codes."""

from __future__ import annotations

import os
import sys
import time
from typing import Callable

from brtel_notify.api.exceptions import ApiError, CredentialsError, NotFound, OutOfTime, Refused
from brtel_notify.config.schema import Config
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console import common
from brtel_notify.delivery.services import Services
from brtel_notify.local.log import Log
from brtel_notify.local.os_errors import because
from brtel_notify.options import Options
from brtel_notify.tickets.open_tickets import LaterVersion


class CannotDo(Exception):
    """What the operator asked for cannot be done; the text says why, and what to do."""


def services_of(options: Options) -> Services:
    """What calls are made with. Raises ConfigError."""
    config: Config = common.load_config(options)
    log = Log(options.verbose, options.log_format)
    return Services(config, options.state_dir(os.environ), log, time.time, os.environ)


def answered(work: Callable[[], int]) -> int:
    """The exit code of WORK, or what went wrong in one line and the code for that (sysexits.h)."""
    try:
        return work()
    except CannotDo as error:
        return common.fail(str(error), os.EX_DATAERR)
    except (ConfigError, CredentialsError, LaterVersion) as error:
        return common.fail(str(error), os.EX_CONFIG)
    except ApiError as error:
        return refused(error)
    except OutOfTime as error:
        return common.fail(f"api: {error}", os.EX_UNAVAILABLE)
    except BrokenPipeError:  # | head
        raise
    except OSError as error:
        return common.fail(because(error, ""), os.EX_SOFTWARE)


def refused(error: ApiError) -> int:
    """Say that a call failed; the exit code."""
    doubt = "; it may have arrived all the same: look before you repeat it"
    code = code_of(error)
    return common.fail(f"api: {error}{doubt if error.maybe_done else ''}", code)


def code_of(error: ApiError) -> int:
    """65 where the call is wrong, 69 where BlueRockTEL is out of reach, 78 where a setting is."""
    if error.retry:
        return os.EX_UNAVAILABLE
    if isinstance(error, (NotFound, Refused)):
        return os.EX_DATAERR
    return os.EX_CONFIG


def text_from(word: str) -> str:
    """WORD, or all of stdin where it is ``-``: lines end in \\n, none of them at the end.

    Raises CannotDo when there is nothing in it.
    """
    if word == "-":
        data = sys.stdin.buffer.read()
        word = data.decode("utf-8", "replace")
    text = word.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if not text.strip():
        raise CannotDo("there is no text to send")
    return text
