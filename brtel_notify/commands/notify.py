"""The five notification commands: capture first, then deliver if nobody else does.

Everything up to the capture imports as little as it can: it runs at every alert, also when the
configuration is wrong and the API down.
"""

from __future__ import annotations

import os
import sys
import time

from brtel_notify.intake.capture import (
    Capture,
    is_secret,
    own_environment,
    text_of,
    without_secrets,
)
from brtel_notify.intake.queue import Queue
from brtel_notify.local.log import complain, tell
from brtel_notify.options import Options, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

    from brtel_notify.intake.queue import Event

#: sysexits.h: EX_SOFTWARE, EX_TEMPFAIL.
UNFORESEEN = 70
NOT_STORED = 75

#: Bytes of stdin that are kept; no monitoring system sends a thousandth of it.
LONGEST_INPUT = 64 * 1024 * 1024

_MACROS_HELP = """\
usage: brtel-notify {source} [--var NAME=VALUE]... [--dry-run]

Captures {variables} variables of the environment as one notification.
--var adds a variable, or overrides one.
{hint}

example (a notification made by hand):
  brtel-notify {source} --var NOTIFICATIONTYPE=PROBLEM --var HOSTSTATE=DOWN \\
      --var HOSTNAME=acme.3cx.fr --var HOSTOUTPUT="no answer to ping"
"""

_GLOBALS = """\

global options:
  --config FILE, --state-dir DIR, --log-format text|json, -v
  --dry-run   show what would be sent, and send nothing
"""

_HELP = {
    "nagios": _MACROS_HELP.format(
        source="nagios",
        variables="NAGIOS_* and ICINGA_*",
        hint="Nagios sets the rest when enable_environment_macros=1.",
    ),
    "icinga": _MACROS_HELP.format(
        source="icinga",
        variables="ICINGA_*",
        hint="Icinga 2 sets the rest from the NotificationCommand's env.",
    ),
    "zabbix": """\
usage: brtel-notify zabbix [--var NAME=VALUE]... SENDTO SUBJECT MESSAGE

A Zabbix alert script's three arguments: {ALERT.SENDTO} {ALERT.SUBJECT}
{ALERT.MESSAGE}. The message has one "NAME: value" a line, as the media type
has it that `brtel-notify install zabbix` names.

example:
  brtel-notify zabbix CL2385 problem "$(printf '%s\\n' 'EVENT.VALUE: 1' \\
      'HOST.HOST: acme.3cx.fr' 'TRIGGER.ID: 7' 'EVENT.NAME: SIP trunk down')"
""",
    "librenms": """\
usage: brtel-notify librenms [--var NAME=VALUE]...

Reads LibreNMS's alert data, one JSON object, from stdin, as its transport
passes it.

example:
  brtel-notify librenms < alert.json
""",
}


def run(source: str, arguments: List[str], options: Options) -> int:
    """Capture one notification of SOURCE and deliver it; the exit code (DESIGN section 2)."""
    if source in _HELP and _asks_for_help(source, arguments):
        sys.stdout.write(_HELP[source] + _GLOBALS)
        sys.stdout.flush()  # here, where a full disk is an error
        return 0
    capture = captured(source, arguments, options)
    if options.dry_run:
        from brtel_notify.commands import render

        shown = render.show(capture, options)
        sys.stdout.flush()  # as above: a person wants to see it
        return shown
    state_dir = options.state_dir(os.environ)
    queue = Queue(state_dir)
    try:
        event = queue.add(capture)
    except OSError as error:
        from brtel_notify.local.os_errors import because

        complain(
            f"the event could not be stored in {because(error, state_dir)};"
            " call again once that is mended (--state-dir names another folder)"
        )
        return NOT_STORED
    try:
        if _may_be_test(capture):
            code = _answer_test(event, queue, options)
            if code is not None:
                return code
        return _deliver(event, state_dir, options)
    except Exception as error:
        if options.verbose:
            raise
        complain(
            f"unforeseen {type(error).__name__}: {error} (-v shows where); the event is queued"
        )
        return UNFORESEEN


def _asks_for_help(source: str, arguments: List[str]) -> bool:
    # What Zabbix passes are its user's words, whatever they look like.
    words = arguments[:1] if source == "zabbix" else arguments
    return "--help" in words or "-h" in words


def captured(source: str, arguments: List[str], options: Options) -> Capture:
    """What this process was given, raw, but for what can only be a secret. Raises UsageError."""
    stdin = ""
    if source == "event":
        from brtel_notify.commands import event as event_command

        argv, stdin = event_command.take(arguments, options)
    else:
        argv = _TAKE[source](list(arguments), options)
        if source == "librenms":
            stdin = read_stdin()
    env = own_environment(source, os.environ)
    return without_secrets(Capture(source, env, argv, stdin, time.time()))


def read_stdin() -> str:
    """All of stdin."""
    return text_of(sys.stdin.buffer.read(LONGEST_INPUT))


def _take_vars(words: List[str], options: Options) -> List[str]:
    """Only ``--var``, and global options, may follow."""
    taken = []
    while words:
        if options.take(words):
            continue
        name, equals, value = words.pop(0).partition("=")
        if name != "--var":
            raise UsageError(f"unknown argument '{name}'")
        if not equals:
            if not words:
                raise UsageError("--var needs NAME=VALUE")
            value = words.pop(0)
        if "=" not in value:
            raise UsageError(
                "--var needs NAME=VALUE" + ("" if is_secret(value) else f", not '{value}'")
            )
        taken += ["--var", value]
    return taken


def _take_zabbix(words: List[str], options: Options) -> List[str]:
    """Three arguments, whatever they look like; options may stand before them."""
    if words[-4:-3] == ["--"]:
        del words[-4]
    if len(words) < 3:
        raise UsageError(
            f"zabbix takes three arguments, not {len(words)}: the media type's script parameters"
            " are {ALERT.SENDTO}, {ALERT.SUBJECT} and {ALERT.MESSAGE}"
        )
    return _take_vars(words[:-3], options) + words[-3:]


_TAKE: Dict[str, Callable[[List[str], Options], List[str]]] = {
    "nagios": _take_vars,
    "icinga": _take_vars,
    "librenms": _take_vars,
    "zabbix": _take_zabbix,
}


def _may_be_test(capture: Capture) -> bool:
    """Whether it is worth parsing the capture here, to see if it is a test."""
    if capture.source == "librenms":
        return '"000"' in capture.stdin
    if capture.source == "zabbix":  # the texts of its Test button are in the user's language
        return "EVENT." not in capture.argv[-1] or "test" in capture.argv[-2].lower()
    if capture.source == "event":
        return any("test" in word.lower() for word in (*capture.argv, capture.stdin))
    return False


def _answer_test(event: Event, queue: Queue, options: Options) -> Optional[int]:
    """Answer a test truly, here and now; None when it is none."""
    from brtel_notify.alert import TEST, Unintelligible
    from brtel_notify.console import self_test
    from brtel_notify.sources import registry

    try:
        alert = registry.parse(event.capture)
        if alert.kind != TEST:
            return None
    except Unintelligible:
        return None
    queue.remove(event)
    report = self_test.prove(options, os.environ, alert.vars)
    if not report.code:
        tell("delivered: the test passed; no ticket was opened")
        return 0
    complain(report.failure)
    return NOT_STORED if report.code == self_test.UNREACHABLE else report.code


def _deliver(event: Event, state_dir: str, options: Options) -> int:
    from brtel_notify.delivery.breaker import Breaker
    from brtel_notify.delivery.lock import DrainLock

    breaker = Breaker(state_dir)
    if breaker.holds(time.time()):
        tell(f"queued: BlueRockTEL is out of reach (last error: {breaker.error})")
        return 0
    try:
        with DrainLock(state_dir) as taken:
            pass
    except OSError as error:
        _cannot_drain(error, state_dir)
        return _left_to_the_next()
    if not taken:
        tell("queued: another brtel-notify is delivering")
        return 0
    from brtel_notify.console.place import place
    from brtel_notify.delivery.drain import Drain
    from brtel_notify.delivery.outcome import EXIT_CODES

    here = place(options)
    drain = Drain(here)
    try:
        drain.run()
    except OSError as error:
        _cannot_drain(error, state_dir)
    outcome = drain.outcomes.get(event.id)
    if outcome is None and drain.halt is not None:
        outcome = drain.halt.outcome
    if outcome is None:
        return _left_to_the_next()
    code = EXIT_CODES.get(outcome.status, 0)
    if code:
        here.log.error(outcome.text)
    else:
        tell(str(outcome))
    return code


def _cannot_drain(error: OSError, state_dir: str) -> None:
    where = error.filename or state_dir
    complain(f"the state folder cannot be written: {where}: {error.strerror}")


def _left_to_the_next() -> int:
    tell("queued: the next drain delivers it")
    return 0
