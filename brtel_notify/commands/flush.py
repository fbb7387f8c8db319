"""``brtel-notify flush``: deliver what is due."""

from __future__ import annotations

import os
from typing import List

from brtel_notify.console.failures import fail
from brtel_notify.console.queue_retry import WHEN
from brtel_notify.delivery.drain import Drain
from brtel_notify.delivery.outcome import EXIT_CODES, FAILED, MISCONFIGURED, QUEUED, REFUSED
from brtel_notify.delivery.place import Place
from brtel_notify.local import command_line
from brtel_notify.local.os_errors import because
from brtel_notify.options import Options


def run(arguments: List[str], options: Options) -> int:
    """Drain the queue; 0 unless the configuration is wrong or something unforeseen happened."""
    made = command_line.parser(
        "flush",
        "Delivers the events that are due; for a timer, or by hand after an outage.",
        "brtel-notify flush --force",
    )
    made.add_argument(
        "--force",
        action="store_true",
        help="also what is backing off; a call that may still be under way is waited for, a minute",
    )
    made.add_argument("--force-now", action="store_true", help="the same, and not even that")
    made.add_argument(
        "--budget", type=float, metavar="SECONDS", help="stop after this time (default: when done)"
    )
    given = command_line.parse(made, arguments, options)
    here = Place.of(options)
    drain = Drain(here, budget=given.budget, force=given.force, force_now=given.force_now)
    try:
        if not drain.run():
            print("another brtel-notify is delivering: it takes what is due")
            return 0
    except FileNotFoundError:
        print(f"nothing to deliver: {here.state_dir} is not there yet")
        return 0
    except OSError as error:
        return fail(
            f"the state folder cannot be used: {because(error, here.state_dir)}", os.EX_TEMPFAIL
        )
    return _report(drain)


def _report(drain: Drain) -> int:
    """Say what was done and what still waits, whether or not this drain looked at it."""
    outcomes = list(drain.outcomes.values())
    waiting = drain.queue.pending()
    left = sum(outcome.status in (QUEUED, MISCONFIGURED, FAILED) for outcome in outcomes)
    dead = sum(outcome.status == REFUSED for outcome in outcomes)
    done = len(outcomes) - left - dead
    print(f"{done} done, {dead} refused for good (kept in dead/), {len(waiting)} still queued")
    _say_why(drain, waiting)
    codes = [EXIT_CODES.get(outcome.status, 0) for outcome in outcomes]
    for code, outcome in zip(codes, outcomes):
        if code in (os.EX_SOFTWARE, os.EX_CONFIG):
            drain.log.error(outcome.text)
            return code
    return 0


def _say_why(drain: Drain, waiting: List[str]) -> None:
    """Say what the events WAITING wait for; --force is no advice to whoever gave it."""
    advice = "" if drain.force else " (--force tries now)"
    not_yet = sum(event_id in drain.aside for event_id in waiting)
    if waiting and drain.halt is not None:
        print(f"waiting because {drain.halt.outcome.text}{advice}")
    elif len(waiting) > not_yet:
        print(f"{len(waiting) - not_yet} of them until the next try{advice}")
    if not_yet:
        print(f"{not_yet} of them until it is time to open the ticket ({WHEN})")
