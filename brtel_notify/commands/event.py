"""``brtel-notify event``: the flags for any other program."""

from __future__ import annotations

from typing import List, Tuple

from brtel_notify.commands import common
from brtel_notify.options import Options, UsageError
from brtel_notify.sources import event


def take(arguments: List[str], options: Options) -> Tuple[List[str], str]:
    """The flags as given, checked, and the text of ``--json``. Raises UsageError."""
    made = common.parser(
        "event",
        "Takes an alert of any program, by flags or as a JSON object.",
        "brtel-notify event --host db1 --service backup --severity warning --output 'late'",
    )
    made.add_argument("--dry-run", action="store_true", help="show what would be done")
    event.add_arguments(made)
    given = common.parse(made, arguments, options)
    options.dry_run = options.dry_run or given.dry_run
    return _own(arguments), "" if given.json is None else _text(given.json)


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
            return file.read(LONGEST_INPUT).decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UsageError(f"--json {path}: {error.strerror}") from None
