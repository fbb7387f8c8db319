"""``brtel-notify queue retry``: put dead events back, and deliver them with those named."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, List, Optional, Set

from brtel_notify.console.failures import fail
from brtel_notify.delivery.drain import Drain
from brtel_notify.delivery.outcome import EXIT_CODES
from brtel_notify.delivery.place import Place
from brtel_notify.intake.queue import Damaged, Queue
from brtel_notify.local.cleaning import line_of
from brtel_notify.local.log import INFO, Log
from brtel_notify.local.os_errors import because
from brtel_notify.local.stdio import patient
from brtel_notify.local.telling import tell
from brtel_notify.text import times

#: Who says when that is.
WHEN = "`brtel-notify status` shows when"
#: So many events are named one by one as they are put back.
MOST_NAMED = 10


def retry(queue: Queue, chosen: List[str], place: Optional[Place], now: bool) -> int:
    """Put the dead ones of CHOSEN back, and deliver from PLACE; with None, that is for others.

    A call that may still be under way is waited for, unless it is to be NOW.
    The exit code: 0, or the worst that became of one of them. Raises OSError.
    """
    dead = set(queue.dead())
    waiting = [event_id for event_id in chosen if event_id not in dead]
    back, code = [], 0
    for event_id in sorted(dead.intersection(chosen)):
        try:
            queue.revive(event_id)
            back.append(event_id)
        except FileNotFoundError:  # somebody else was faster
            continue
        except OSError as error:
            text = f"{event_id} cannot be put back: {because(error, queue.dead_folder)}"
            code = fail(text, os.EX_TEMPFAIL)
    if back:
        queue.settle()
    back.sort()
    _say_what_is_back(queue, back)
    if place is None or not (back or waiting):
        if back:
            print("`brtel-notify flush` delivers")
        return code
    place = place._replace(log=_Progress(place.log, {*back, *waiting}))
    # By force also what backs off, for one of those chosen may.
    drain = Drain(place, budget=None, force=bool(waiting), settles=True, force_now=now)
    return max(code, _deliver(queue, back + waiting, drain))


def _say_what_is_back(queue: Queue, back: List[str]) -> None:
    for event_id in back[:MOST_NAMED]:
        try:
            age = times.span(time.time() - queue.load(event_id).capture.time)
            print(line_of(f"put back: {event_id}, captured {age} ago"))
        except FileNotFoundError:  # delivered already
            continue
        except (Damaged, OSError):  # the drain will say what is wrong with it
            print(line_of(f"put back: {event_id}"))
    # Written out before the drain lock is taken: a slow reader of stdout must not hold that up.
    print(f"{len(back)} put back", flush=True)


def _deliver(queue: Queue, chosen: List[str], drain: Drain) -> int:
    if not drain.run():
        print("another brtel-notify is delivering: it takes them")
        return 0
    left = set(queue.pending()).intersection(chosen)
    again = set(queue.dead()).intersection(chosen)
    done = len(chosen) - len(left) - len(again)
    print(f"{done} done, {len(again)} refused again (kept in dead/), {len(left)} still queued")
    if left and drain.halt is not None:
        print(f"waiting because {drain.halt.outcome.text}")
    not_yet = sum(event_id in drain.aside for event_id in left)
    if not_yet:
        print(f"{not_yet} of them until it is time to open the ticket ({WHEN})")
    outcomes = [drain.outcomes.get(event_id) for event_id in chosen]
    if drain.halt is not None:
        outcomes.append(drain.halt.outcome)
    return max((EXIT_CODES.get(outcome.status, 0) for outcome in outcomes if outcome), default=0)


class _Progress(Log):
    """The log of a drain, and on stdout a line for each of the events that are retried."""

    def __init__(self, log: Log, wanted: Set[str]) -> None:
        super().__init__(log.verbose, "json" if log.json else "text")
        self.wanted = wanted
        self.total = len(wanted)
        self.to_stderr = True
        self.out = patient(sys.stdout)

    def send_to(self, target: str) -> None:
        """See :meth:`Log.send_to`; which events are told on stdout depends on it."""
        self.to_stderr = target == "stderr"
        super().send_to(target)

    def say(self, text: str, level: str = INFO, **fields: Any) -> None:
        """Say it; of an event that is retried rather in its place in the row, and once."""
        told = self.wanted.intersection((fields.get("event"), *fields.get("together_with", ())))
        if told:
            self.wanted -= told
            # | less, | head: that must not stop a delivery
            tell(f"[{self.total - len(self.wanted)}/{self.total}] {text}", self.out)
        if not told or not self.to_stderr:
            super().say(text, level, **fields)
