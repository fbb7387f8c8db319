"""Takes events out of the queue and delivers them: one process at a time, threads inside.

A drainer holds the drain lock while it works. After it has let go it looks at the queue once more:
whoever captured an event in between found the lock taken and left, trusting this process.

What is to be delivered next, admission.py says; with what, equipment.py.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set, Tuple

from brtel_notify.alert import Alert
from brtel_notify.delivery import retry
from brtel_notify.delivery.admission import Admission
from brtel_notify.delivery.aside import Aside
from brtel_notify.delivery.backlog import LOOK_EVERY
from brtel_notify.delivery.breaker import Breaker
from brtel_notify.delivery.equipment import Equipment
from brtel_notify.delivery.lane_of import names_of
from brtel_notify.delivery.lanes import Lanes
from brtel_notify.delivery.lock import DrainLock
from brtel_notify.delivery.outcome import (
    API,
    IGNORED,
    LOCK,
    QUEUED,
    TIME,
    Outcome,
    Verdict,
    waiting,
)
from brtel_notify.delivery.place import Place
from brtel_notify.intake.queue import Event, Queue
from brtel_notify.local.telling import tell

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

#: Seconds that a notification command may spend; monitoring servers kill it at about 30.
BUDGET = 20.0
#: Tickets worked on at the same time.
THREADS = 4


class Drain:
    """One drain: until the queue holds nothing due, or the time is up.

    ``budget`` is in seconds, None for as long as it takes. ``force`` also takes what backs off,
    and asks BlueRockTEL although it was out of reach a moment ago. ``settles`` (and ``force``):
    what only waits because a call may still be under way is waited for; ``force_now`` takes that at
    once, too. ``outcomes`` says afterwards what became of each event that was looked at, by its id.
    """

    def __init__(
        self,
        place: Place,
        budget: Optional[float] = BUDGET,
        force: bool = False,
        threads: int = THREADS,
        settles: bool = False,
        force_now: bool = False,
    ) -> None:
        self.place = place
        self.force = force or force_now
        self.force_now = force_now
        self.settles = settles or force
        self.threads = threads
        self.queue = Queue(place.state_dir)
        self.log = place.log
        self.equipment = Equipment(place, self.queue, threads)
        self.admission = self._new_admission()
        self._deadline: Optional[float] = None
        if budget is not None:
            self._set_deadline(time.monotonic() + budget)
        self._lock: Optional[DrainLock] = None  # of run(); a worker minds its own
        self._pool: Optional[ThreadPoolExecutor] = None
        self._running: Dict[Future[Verdict], str] = {}
        self._told: Dict[str, Dict[str, Any]] = {}  # what the log will say of events just tried
        self._halts_told: Set[str] = set()
        self._settling_told = False
        #: Whether a lone event is delivered without a thread: cheaper, but nobody looks meanwhile.
        self.inline = True

    @property
    def halt(self) -> Optional[Verdict]:
        """Why nothing more can be delivered at present; then everything stays queued."""
        return self.equipment.halt

    @property
    def outcomes(self) -> Dict[str, Outcome]:
        """What became of each event that was looked at, by its id."""
        return self.admission.outcomes

    @property
    def aside(self) -> Aside:
        """What waits for its time."""
        return self.admission.aside

    @property
    def lanes(self) -> Lanes:
        """What may be delivered next."""
        return self.admission.lanes

    @property
    def breaker(self) -> Breaker:
        """Whether BlueRockTEL is in reach."""
        return self.equipment.breaker

    def _new_admission(self) -> Admission:
        return Admission(self.equipment, self.force, self.settles, self.force_now)

    def _set_deadline(self, deadline: float) -> None:
        self._deadline = deadline
        self.equipment.set_deadline(deadline)

    def run(self, held: Optional[DrainLock] = None) -> bool:
        """Drain. Returns False when another process holds the lock and so delivers in our stead.

        HELD is the lock, if the caller has taken it already; it is let go of here. Raises OSError
        when the state folder cannot be used at all.
        """
        lock = held or DrainLock(self.place.state_dir)
        while held or lock.take():
            held = None
            self._lock = lock
            try:
                self._work()
            finally:
                self._lock = None
                lock.release()
            if self.is_over() or not self.admission.has_newcomers():
                return True
        return bool(self.outcomes)

    def is_over(self) -> bool:
        """Whether nothing more is to be tried."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self._halt(waiting("out of time; the next drain goes on with it", TIME))
        return self.halt is not None

    def _halt(self, verdict: Verdict) -> None:
        self.equipment.halt = self.halt or verdict

    def _work(self) -> None:
        try:
            self.begin()
            while self.step() or self._wait_for_calls():
                pass
        except BaseException:  # Ctrl-C: the lock must not go while a thread still writes the map
            self.stop()
            self._dismiss_threads()
            self._save()
            raise
        self.finish()

    # --- the parts of a drain, which a worker puts together otherwise -----------------------------

    def begin(self) -> None:
        """The lock is ours: forget what another drainer may have changed since."""
        self.queue.sweep(self.place.clock())
        self.equipment.forget_map()
        self.admission.backlog.forget()
        self.breaker.read()
        now = self.place.clock()
        if self.breaker.holds(now) and not self.force:
            self._halt(waiting(f"BlueRockTEL is out of reach: {self.breaker.error}", API))

    def step(self) -> bool:
        """Look for newcomers, deliver what can be; False when there is nothing to do just now."""
        if self._lock is not None and not self._lock.keep():
            self._halt(waiting("another brtel-notify delivers from here now", LOCK))
        if self.is_over():
            return self._wait_for_threads()
        now, running = self.place.clock(), bool(self._running)
        ready = self.admission.ready(now, self.threads, running, self.is_over)
        if self.is_over():
            return self._wait_for_threads()
        if not ready and not running:
            return bool(self.admission.backlog) or not self._save()
        if len(ready) == 1 and not running and self.inline:
            event_id, behind, lane = self._taken(ready[0])
            read = self.admission.alone(event_id)
            self._conclude(lane, self._head(event_id, behind, lane, read))
            return True
        self._start(ready)
        self._collect()
        return True

    def _wait_for_calls(self) -> bool:
        """Wait a moment, if there is a call that may be under way and is to be waited for."""
        now = self.place.clock()
        alarms = map(self.lanes.asleep_until, self.admission.settling)
        left = [max(0.0, until - now) for until in alarms if until is not None]
        if not left or self.is_over():
            return False
        if not self._settling_told:
            self._settling_told = True
            tell(
                f"waiting {max(left):.0f} s: BlueRockTEL may still be at work on a call that it has"
                " not answered (--force-now does not wait)"
            )
        time.sleep(min(LOOK_EVERY, *left))
        return True

    def stop(self) -> None:
        """Begin no further call; a call that is under way comes to its end."""
        self._set_deadline(time.monotonic())

    def resume(self) -> None:
        """What stood in the way is over, or is to be tried again."""
        self.equipment.halt = None

    def forget_outcomes(self) -> None:
        """Forget what became of events that are gone; for a drain that never ends."""
        for event_id in self.outcomes.keys() - self.admission.backlog.there:
            del self.outcomes[event_id]

    def look_again(self) -> None:
        """What could not be read the last time may be readable now."""
        self.outcomes.clear()
        self.admission.backlog.forget()

    def reconfigure(self) -> None:
        """Read configuration, map and queue again; only while no thread runs."""
        self._save()
        self.equipment.forget()
        self.admission = self._new_admission()  # the lane of an event depends on it

    def finish(self) -> None:
        """Wait for threads, hang up, and say of what is left why it is left."""
        self._dismiss_threads()
        self._save()
        self.equipment.hang_up()
        for event_id, is_first in self.lanes.left():
            if event_id in self.outcomes:
                continue
            if self.halt is not None:
                self.outcomes[event_id] = self.halt.outcome
            elif is_first:
                self.outcomes[event_id] = Outcome(QUEUED, "backing off")
            else:
                text = "behind an earlier event of its ticket"
                self.outcomes[event_id] = Outcome(QUEUED, text)

    def _dismiss_threads(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    # --- delivering -------------------------------------------------------------------------------

    def _start(self, ready: List[str]) -> None:
        """Give ready lanes to free threads; one only, while BlueRockTEL has to be probed."""
        if not ready or not self.equipment.ready():
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self.threads)
        at_most = 1 if self.breaker.is_open else self.threads
        for lane in ready[: max(0, at_most - self.lanes.busy)]:
            self._running[self._pool.submit(self._head, *self._taken(lane))] = lane

    def _collect(self, timeout: Optional[float] = LOOK_EVERY) -> None:
        """Take in what threads have finished."""
        if not self._running:
            return
        from concurrent.futures import FIRST_COMPLETED, wait

        finished, _ = wait(self._running, timeout, return_when=FIRST_COMPLETED)
        for future in finished:
            self._conclude(self._running.pop(future), future.result())

    def _wait_for_threads(self) -> bool:
        """No more is begun; what runs is brought to its end. False when nothing runs."""
        self._collect(timeout=None)
        return bool(self._running)

    def _taken(self, lane: str) -> Tuple[str, List[str], str]:
        """The first event of a lane, which is begun with, and those behind it; and the lane."""
        self.admission.settling.discard(lane)
        event_id = self.lanes.take(lane)
        return event_id, self.lanes.behind(event_id, lane), lane

    def _head(
        self,
        event_id: str,
        behind: List[str],
        lane: str,
        read: Optional[Tuple[Event, Alert]] = None,
    ) -> Verdict:
        """Deliver the first event of LANE, BEHIND which others wait; never raises.

        READ is the event, where it was read just now.
        """
        if not self.equipment.ready():
            assert self.halt is not None  # noqa: S101 - ready() said so
            return self.halt
        from brtel_notify.delivery import log_fields
        from brtel_notify.delivery.attempt import attempt, unusable
        from brtel_notify.delivery.delivery import Delivery

        services, book = self.equipment.services, self.equipment.book
        services.probing = self.breaker.is_open
        try:
            event, alert = read or self.admission.read(event_id)
            by_now = self.admission.lane_by_now(event, alert, lane)
            if by_now != lane:
                return waiting("", lane=by_now, names=tuple(names_of(alert)))
            followers = self.admission.followers(behind)
            delivery = Delivery(event, alert, services, book, followers)
        except FileNotFoundError:
            return Verdict(Outcome(IGNORED, "was taken out of the queue"))
        except Exception as error:  # noqa: BLE001 - it was sound when its lane was looked for
            return unusable(self.queue, event_id, self.log, self.place.clock(), error)
        began = time.monotonic()
        verdict = attempt(delivery, self.queue, self.log, self.place.clock())
        verdict = verdict._replace(begun=event.is_begun)
        self._told[event_id] = log_fields.of(delivery, verdict, time.monotonic() - began, self.log)
        return verdict

    def _conclude(self, lane: str, verdict: Verdict) -> None:
        """Act on a verdict."""
        if verdict.lane:
            self.admission.move(lane, verdict.lane, verdict.names)
            return
        event_id = self.lanes.head(lane)
        book = self.equipment.known_book
        if book is not None and (book.is_due or not self._more_follow(verdict)):
            unsaved = self._unsaved_by()
            verdict = unsaved if unsaved is not None and not verdict.stays else verdict
        self._tell(verdict, event_id)
        if verdict.halts is None or verdict.halts == API:
            self.outcomes[event_id] = verdict.outcome
        if verdict.aside:
            self.lanes.done(lane, verdict.aside)
            self.aside.put(verdict.names, lane, verdict.aside, verdict.retry_at)
        elif verdict.stays:
            self.lanes.stays(lane, verdict.begun)
            if verdict.retry_at:
                lightly = retry.may_be_woken(verdict.halts == API, verdict.attempts)
                self.lanes.sleep(lane, verdict.retry_at, lightly)
        else:
            self.outcomes.update(dict.fromkeys(verdict.also_done, verdict.outcome))
            self.lanes.done(lane, verdict.also_done)
        if self.equipment.mind_the_breaker(verdict):
            self.lanes.wake()
        if verdict.halts is not None:
            self._halt(verdict)

    # --- what is done is saved --------------------------------------------------------------------

    def _more_follow(self, verdict: Verdict) -> bool:
        """Whether other events come right behind, so that the map may wait for them."""
        if self._running:
            return True
        at_hand = len(self.lanes) > 1 or bool(self.admission.backlog)
        return at_hand and self.halt is None and verdict.halts is None

    def _save(self) -> bool:
        """Save what is done; False, and a halt, when the disk does not."""
        failed = self._unsaved_by()
        if failed is not None:
            self._tell(failed)
        return failed is None

    def _unsaved_by(self) -> Optional[Verdict]:
        """Save; if that cannot be, what follows for all that is done."""
        failed = self.equipment.save()
        if failed is not None and self.equipment.known_book is not None:
            unsaved = self.equipment.known_book.unsaved
            self.outcomes.update(dict.fromkeys(unsaved, failed.outcome))
        return failed

    def _tell(self, verdict: Verdict, event_id: str = "") -> None:
        """Log an outcome. What stands in every event's way is told once, until it is over."""
        from brtel_notify.delivery.log_fields import level

        status, text = verdict.outcome.status, verdict.outcome.line
        told = self._told.pop(event_id, {"event": event_id, "outcome": status})
        if verdict.halts is None:
            self._halts_told.clear()
            if not verdict.is_news:
                return
        elif text in self._halts_told:
            return
        else:
            self._halts_told.add(text)
        self.log.say(text, level(verdict), **told)
