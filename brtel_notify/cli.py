"""The front door: which command it is. A command imports only what it needs."""

from __future__ import annotations

import gc
import os
import sys

from brtel_notify.local.stdio import patient
from brtel_notify.local.telling import complain, trace
from brtel_notify.options import USAGE, UsageError, split
from brtel_notify.sources.registry import NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

COMMANDS = {
    "flush": "deliver what is due now",
    "worker": "deliver events as they come, until told to stop",
    "queue": "list, show, retry or drop waiting and dead events",
    "status": "the open tickets",
    "ticket": "show, note, close, reopen or assign one ticket, or log time on it",
    "api": "any authenticated API call, JSON out",
    "metrics": "Prometheus metrics, for node_exporter's textfile collector",
    "check": "a monitoring plugin that watches brtel-notify itself",
    "init": "asks what a configuration needs, and writes it",
    "discover": "the instance's priorities, categories, teams and statuses",
    "test": "prove configuration, credentials and names; opens no ticket",
    "render": "show what would be sent for an input, and call nothing",
    "install": "put the drop-in file of a monitoring system where that reads it",
    "sandbox": "a local BlueRockTEL to try against",
    "demo": "real captured notifications, played on the sandbox",
}

#: The commands for people that can show what they would do, and do nothing.
REHEARSABLE = ("init", "install", "ticket", "api", "render")

#: So many more objects may come into being than went before Python looks for garbage. What a
#: notification imports makes tens of thousands of them, and none is garbage.
OBJECTS = 100_000


def entry() -> None:
    """The command ``brtel-notify``: :func:`main`, and the end of the process. Does not return."""
    _open_streams()
    if not _is_notification(sys.argv[1:]):
        sys.exit(main())
    gc.set_threshold(OBJECTS)
    code = main()
    # Everything is written and every thread is done. Python would now take itself apart object by
    # object, which is a tenth of what a delivery costs.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, AttributeError):  # nobody reads it any more
            pass
    os._exit(code)


def _open_streams() -> None:
    """No alert is lost because the caller has closed stdin, stdout or stderr, or reads none.

    Of one that is closed Python makes None, and the next file that is opened would have its number.
    To stderr write the log, Python's warnings and tracebacks: none of them may wait for a reader.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            try:
                setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
            except OSError:  # a root folder without /dev: nothing can be said there
                pass
    sys.stderr = patient(sys.stderr)


def _is_notification(words: List[str]) -> bool:
    try:
        return split(words)[1][:1] in [[name] for name in NAMES]
    except UsageError:
        return False


def main(words: Optional[List[str]] = None) -> int:
    """Run one command line; the exit code."""
    try:
        return _run(sys.argv[1:] if words is None else words)
    except UsageError as error:
        complain(f"{error} ({_help_command(words)} shows how)")
        return USAGE
    except BrokenPipeError:  # | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - whatever it is, one line says so
        if "-v" in sys.argv or "--verbose" in sys.argv:
            trace(complain)
            return os.EX_SOFTWARE
        kind = type(error).__name__
        complain(f"unforeseen {kind}: {error} (-v shows where)")
        return os.EX_SOFTWARE


def _run(words: List[str]) -> int:
    options, rest = split(words)
    if not rest:
        raise UsageError("no command given")
    command, *arguments = rest
    if command in NAMES:
        from brtel_notify.commands import notify

        return notify.run(command, arguments, options)
    if command in ("-h", "--help", "help"):
        sys.stdout.write(_help())
        return 0
    if command == "--version":
        from brtel_notify import __version__

        sys.stdout.write(f"brtel-notify {__version__}\n")
        return 0
    if command not in COMMANDS:
        raise UsageError(f"'{command}' is no command{_nearest(command)}")
    if options.dry_run and command not in REHEARSABLE:
        raise UsageError(f"{command} has no --dry-run")
    from importlib import import_module

    module = import_module(f"brtel_notify.commands.{command}")
    try:
        return int(module.run(arguments, options))
    except Exception as error:
        from brtel_notify.console import failures

        if options.verbose and isinstance(error, OSError):
            raise  # -v shows where
        code = failures.told(error)
        if code is None:
            raise
        return code


def _help_command(words: Optional[List[str]]) -> str:
    """The command line whose help is wanted after a wrong one."""
    given = sys.argv[1:] if words is None else words
    command = [word for word in given if word in NAMES or word in COMMANDS][:1]
    return " ".join(["brtel-notify", *command, "--help"])


def _nearest(word: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, [*COMMANDS, *NAMES], 1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _help() -> str:
    from brtel_notify.sources.registry import sources

    notifications = "".join(
        f"  {f'{source.name} {source.takes[0]}':<32}{source.takes[1]}\n" for source in sources()
    )
    others = "".join(f"  {name:<10}{text}\n" for name, text in COMMANDS.items())
    return f"""\
usage: brtel-notify [--config FILE] [--state-dir DIR] [-v] COMMAND ...

Turns a monitoring alert into exactly one BlueRockTEL ticket.

notification commands (what the monitoring systems call; --dry-run shows, and sends nothing):
{notifications}
commands for people:
{others}
example:
  brtel-notify event --host acme.3cx.fr --state DOWN --output "no answer to ping"

brtel-notify COMMAND --help says more. Exit codes: 0 delivered, ignored or queued; 2 wrong command
line; 65 not understood or refused (kept in dead/); 70 unforeseen; 75 not stored; 78 configuration.
"""
