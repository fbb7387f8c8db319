"""The notification commands, one a source: capture first, then deliver if nobody else does.

Everything up to the capture imports as little as it can: it runs at every alert, also when the
configuration is wrong and the API down.
"""

from __future__ import annotations

import os
import sys
import time

from brtel_notify.intake.storing import Store, id_of
from brtel_notify.local.telling import complain, tell
from brtel_notify.options import Options
from brtel_notify.sources import registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Optional

    from brtel_notify.delivery.lock import DrainLock
    from brtel_notify.intake.capture import Capture


#: The file of delivery/breaker.py; mostly there is none, and that module is not imported.
BREAKER = "breaker.json"

_GLOBALS = """\

global options:
  --config FILE, --state-dir DIR, --log-format text|json, -v
  --dry-run   show what would be sent, and send nothing
"""


def run(name: str, arguments: List[str], options: Options) -> int:
    """Capture one notification of the source NAME, deliver it; the exit code (DESIGN section 2)."""
    source = registry.source(name)
    if source.asks_for_help(arguments):
        sys.stdout.write(source.help + _GLOBALS)
        sys.stdout.flush()  # here, where a full disk is an error
        return 0
    capture = source.capture(arguments, options)
    if options.dry_run:
        from brtel_notify.console import preview

        shown = preview.show(capture, options)
        sys.stdout.flush()  # as above: a person wants to see it
        return shown
    state_dir = options.state_dir(os.environ)
    try:
        path = Store(state_dir).put(capture)
    except OSError as error:
        from brtel_notify.local.os_errors import because

        complain(
            f"the event could not be stored in {because(error, state_dir)};"
            " call again once that is mended (--state-dir names another folder)"
        )
        return os.EX_TEMPFAIL
    try:
        if source.may_be_test(capture):
            code = _answer_test(capture, path, state_dir, options)
            if code is not None:
                return code
        return _deliver(id_of(path), state_dir, options)
    except Exception as error:
        if options.verbose:
            raise
        complain(
            f"unforeseen {type(error).__name__}: {error} (-v shows where); the event is queued"
        )
        return os.EX_SOFTWARE


def _answer_test(capture: Capture, path: str, state_dir: str, options: Options) -> Optional[int]:
    """Answer a test truly, here and now; None when it is none."""
    from brtel_notify.alert import TEST, Unintelligible
    from brtel_notify.console import self_test
    from brtel_notify.intake.queue import Event, Queue

    try:
        alert = registry.parse(capture)
        if alert.kind != TEST:
            return None
    except Unintelligible:
        return None
    Queue(state_dir).remove(Event(path, capture, []))
    report = self_test.prove(options, alert.vars)
    if not report.code:
        tell("delivered: the test passed; no ticket was opened")
        return 0
    complain(report.failure)
    return os.EX_TEMPFAIL if report.code == os.EX_UNAVAILABLE else report.code


def _deliver(event_id: str, state_dir: str, options: Options) -> int:
    from brtel_notify.delivery.lock import DrainLock

    if os.path.lexists(os.path.join(state_dir, BREAKER)) and _is_held_up(state_dir):
        return 0
    lock = DrainLock(state_dir)
    try:
        if not lock.take():
            tell("queued: another brtel-notify is delivering")
            return 0
    except OSError as error:
        _cannot_drain(error, state_dir)
        return _left_to_the_next()
    try:
        return _drain(event_id, state_dir, options, lock)
    finally:
        lock.release()


def _is_held_up(state_dir: str) -> bool:
    """Whether the breaker is open; then that is told."""
    from brtel_notify.delivery.breaker import Breaker

    breaker = Breaker(state_dir)
    held_up = breaker.holds(time.time())
    if held_up:
        tell(f"queued: BlueRockTEL is out of reach (last error: {breaker.error})")
    return held_up


def _drain(event_id: str, state_dir: str, options: Options, lock: DrainLock) -> int:
    """Deliver what is queued, with the lock in hand."""
    from brtel_notify.delivery.drain import Drain
    from brtel_notify.delivery.outcome import EXIT_CODES
    from brtel_notify.delivery.place import Place

    here = Place.of(options)
    drain = Drain(here)
    try:
        drain.run(lock)
    except OSError as error:
        _cannot_drain(error, state_dir)
    outcome = drain.outcomes.get(event_id)
    if outcome is None and event_id in drain.aside:
        tell("queued: behind its problem, whose ticket is not to be opened yet")
        return 0
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
