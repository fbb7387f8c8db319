"""``brtel-notify event``: the flags for any other program."""

from __future__ import annotations

import argparse
from typing import List, Tuple

from brtel_notify.console import common
from brtel_notify.intake.capture import text_of
from brtel_notify.options import Options, UsageError
from brtel_notify.sources import event

_SCREEN = """\
usage: brtel-notify event [OPTION]...

Takes an alert of any program, by flags or as a JSON object.

  --host TEXT        the host (needed, but for a test); --address TEXT: its IP
  --service TEXT     the service on that host, if it is about one
  --key TEXT         what failed, where these do not say it: a ticket for each
  --state TEXT       the state in the program's own word: DOWN, OK...
  --severity TEXT    critical, warning, info or ok, or another usual word for it
  --since TEXT       when it began: seconds since 1970 or 2026-11-21T18:37:29Z
  --output TEXT      what the check says; --long-output TEXT: whatever more
  --title TEXT       a headline; --url TEXT: a web page about the alert
  --kind, --type K   problem, recovery, acknowledgement, comment, downtime,
                     flapping, test, or a Nagios type; else what --state says
  --author TEXT      who acknowledged or commented; --comment TEXT: their words
  --var NAME=VALUE   a variable of your own (vars.NAME); may be repeated
  --json FILE        all these from a JSON object; -: from stdin; a flag wins
  --dry-run          show what would be done
  --config FILE, --state-dir DIR, --log-format text|json, -v, -h: as everywhere

example:
  brtel-notify event --host db1 --service backup --severity warning
"""


def take(arguments: List[str], options: Options) -> Tuple[List[str], str]:
    """The flags as given, checked, and the text of ``--json``. Raises UsageError."""
    given = common.parse(parser(), arguments, options)
    for doubt in event.doubts(vars(given)):  # an alert is not given up over a slip of the pen
        common.fail(doubt, 0)
    options.dry_run = options.dry_run or given.dry_run
    return _own(arguments), "" if given.json is None else _text(given.json)


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = common.parser(
        "event",
        "Takes an alert of any program, by flags or as a JSON object.",
        "brtel-notify event --host db1 --service backup --severity warning --output 'late'",
        _SCREEN,
    )
    made.add_argument("--dry-run", action="store_true", help="show what would be done")
    event.add_arguments(made)
    return made


_GLOBAL_FLAGS = ("-v", "--verbose", "--dry-run")
_GLOBAL_VALUES = ("--config", "--state-dir", "--log-format")


def _own(arguments: List[str]) -> List[str]:
    """The words that belong to the event: the global options are this process's affair."""
    kept: List[str] = []
    words = iter(arguments)
    for word in words:
        if word in _GLOBAL_VALUES:
            next(words, None)
        elif word not in _GLOBAL_FLAGS and word.partition("=")[0] not in _GLOBAL_VALUES:
            kept.append(word)
    return kept


def _text(path: str) -> str:
    from brtel_notify.commands.notify import LONGEST_INPUT, read_stdin

    if path == "-":
        return read_stdin()
    try:
        with open(path, "rb") as file:
            return text_of(file.read(LONGEST_INPUT))
    except OSError as error:
        raise UsageError(f"--json {path}: {error.strerror}") from None
