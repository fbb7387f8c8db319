"""Takes events out of the queue and delivers them: one process at a time, threads inside.

A drainer holds the drain lock while it works. After it has let go it looks at the queue once more:
whoever captured an event in between found the lock taken and left, trusting this process.

One module, though long: all of it works on the same lanes, outcomes and halt, and whoever changes
one part has to see what the others do with them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Set,
    Tuple,
)

from brtel_notify.alert import TEST, Alert, Unintelligible
from brtel_notify.config import schema
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.delivery import backlog, entry_of, open_after, retry
from brtel_notify.delivery.aside import Aside
from brtel_notify.delivery.backlog import LOOK_EVERY, Backlog
from brtel_notify.delivery.book import Book
from brtel_notify.delivery.breaker import Breaker
from brtel_notify.delivery.lane_of import Waiting, lane_of, names_of
from brtel_notify.delivery.lanes import Lanes
from brtel_notify.delivery.lock import DrainLock
from brtel_notify.delivery.next_way import FEW_REFUSALS
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
from brtel_notify.intake.queue import Damaged, Event, Queue
from brtel_notify.local.log import ERROR, Log
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.local.telling import tell
from brtel_notify.options import Options
from brtel_notify.sources import registry
from brtel_notify.tickets.open_tickets import STATE_FILE, LaterVersion, State

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from brtel_notify.config.schema import Config
    from brtel_notify.delivery.delivery import Delivery
    from brtel_notify.delivery.services import Services

#: Seconds that a notification command may spend; monitoring servers kill it at about 30.
BUDGET = 20.0
#: Tickets worked on at the same time.
THREADS = 4


class Place(NamedTuple):
    """Where to deliver from and how: the command line's global options, and the clock."""

    state_dir: str
    config_file: str
    environ: Mapping[str, str]
    log: Log
    clock: Callable[[], float] = time.time

    @classmethod
    def of(cls, options: Options) -> Place:
        """The place that the global options and the environment name."""
        return cls(
            state_dir=options.state_dir(os.environ),
            config_file=schema.find(options.config, os.environ),
            environ=os.environ,
            log=Log(options.verbose, options.log_format),
        )


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
        self.lanes = Lanes()
        self.backlog = Backlog(self.queue)
        self.aside = Aside()
        self._waiting = Waiting(self.lanes)
        self._moved = Waiting(self.lanes)  # those that stood in another lane before
        self._asked_in_vain: Counter[str] = Counter()  # by event, for the customer of its alert
        self._lane_of_head: Dict[str, str] = {}  # of each event that is worked on
        self.breaker = Breaker(place.state_dir, read=False)  # begin() reads it
        self.outcomes: Dict[str, Outcome] = {}
        #: Why nothing more can be delivered at present; then everything stays queued.
        self.halt: Optional[Verdict] = None
        self._deadline = None if budget is None else time.monotonic() + budget
        self._config: Optional[Config] = None
        self._services: Optional[Services] = None
        self._book: Optional[Book] = None
        self._lock: Optional[DrainLock] = None  # of run(); a worker minds its own
        self._pool: Optional[ThreadPoolExecutor] = None
        self._running: Dict[Future[Verdict], str] = {}
        #: The last newcomer, as it was read: a lone one need not be read twice.
        self._newest: Optional[Tuple[Event, Alert]] = None
        self._told: Dict[str, Dict[str, Any]] = {}  # what the log will say of events just tried
        self._halts_told: Set[str] = set()
        self._settling: Set[str] = set()  # lanes: a call of their heads may be under way
        self._settling_told = False
        self._seen_there: Set[str] = set()  # what lay in the queue, as it was looked at last
        #: Whether a lone event is delivered without a thread: cheaper, but nobody looks meanwhile.
        self.inline = True

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
            if self.is_over() or not self._newcomers():
                return True
        return bool(self.outcomes)

    def is_over(self) -> bool:
        """Whether nothing more is to be tried."""
        if self._deadline is not None and time.monotonic() >= self._deadline:
            self.halt = self.halt or waiting("out of time; the next drain goes on with it", TIME)
        return self.halt is not None

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
        self._book = None
        self.backlog.forget()
        self.breaker.read()
        now = self.place.clock()
        if self.breaker.holds(now) and not self.force:
            self.halt = waiting(f"BlueRockTEL is out of reach: {self.breaker.error}", API)

    def step(self) -> bool:
        """Look for newcomers, deliver what can be; False when there is nothing to do just now."""
        if self._lock is not None and not self._lock.keep():
            self.halt = self.halt or waiting("another brtel-notify delivers from here now", LOCK)
        if self.is_over():
            return self._wait_for_threads()
        now = self.place.clock()
        for event_id, lane in self.aside.due(now):
            self.lanes.add(event_id, lane)
        ready = self.lanes.ready(now, self.threads)
        self.backlog.look(self._is_known, at_work=bool(ready or self._running or self.backlog))
        if self._let_go_of_the_dropped():
            ready = self.lanes.ready(now, self.threads)
        if self.backlog and len(ready) < self.threads:
            self._read_on(at_hand=bool(ready or self._running))
            if self.is_over():
                return self._wait_for_threads()
            ready = self.lanes.ready(now, self.threads)
        if not ready and not self._running:
            return bool(self.backlog) or not self._save()
        if len(ready) == 1 and not self._running and self.inline:
            event_id, behind = self._taken(ready[0])
            read, self._newest = self._newest, None
            # To find its lane may have taken seconds, in which an operator dropped it.
            if read is not None and not (read[0].id == event_id and os.path.exists(read[0].path)):
                read = None
            self._conclude(ready[0], self._head(event_id, behind, read))
            return True
        self._start(ready)
        self._collect()
        return True

    def _read_on(self, at_hand: bool) -> None:
        """Admit the next portion; while there is work AT_HAND, not for ever more of them."""
        if at_hand and len(self.lanes) >= backlog.ENOUGH:
            return
        self._newest = None
        asked, read = self._calls(), 0
        while self.backlog and read < self._portion() and not self.is_over():
            self._admit(self.backlog.next())
            read += 1
            if self._calls() - asked >= backlog.MOST_CALLS:
                return

    def _portion(self) -> int:
        """How many are read before some are delivered; the first one makes us configured."""
        if self._config is None:
            return backlog.PORTION
        together = self._config.ticket.group_by != "alert"
        skips = self._config.lifecycle.resolved_in_queue == "skip"
        far = together or skips or open_after.is_used(self._config)
        return backlog.FAR_PORTION if far else backlog.PORTION

    def _calls(self) -> int:
        return self._services.calls if self._services is not None else 0

    def _is_known(self, event_id: str) -> bool:
        if event_id in self.lanes or event_id in self.outcomes or event_id in self.aside:
            return True
        return self._book is not None and event_id in self._book

    def _let_go_of_the_dropped(self) -> bool:
        """A lane does not sleep on behind an event that an operator took out; whether one did."""
        if self.backlog.there is self._seen_there:
            return False
        self._seen_there = self.backlog.there
        return self.lanes.rouse_unless(self._seen_there)

    def _wait_for_calls(self) -> bool:
        """Wait a moment, if there is a call that may be under way and is to be waited for."""
        now = self.place.clock()
        alarms = map(self.lanes.asleep_until, self._settling)
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
        self._deadline = time.monotonic()
        if self._services is not None:
            self._services.set_deadline(self._deadline)

    def forget_outcomes(self) -> None:
        """Forget what became of events that are gone; for a drain that never ends."""
        there = self.backlog.there
        self.outcomes = {key: o for key, o in self.outcomes.items() if key in there}

    def look_again(self) -> None:
        """What could not be read the last time may be readable now."""
        self.outcomes.clear()
        self.backlog.forget()

    def reconfigure(self) -> None:
        """Read configuration, map and queue again; only while no thread runs."""
        self._save()
        if self._services is not None:
            self._services.close()
        self._config = self._services = self._book = None
        # The lane of an event depends on the configuration.
        self.lanes = Lanes()
        self.aside = Aside()
        self.backlog.forget()
        self._waiting = Waiting(self.lanes)
        self._moved = Waiting(self.lanes)
        self.outcomes = {}

    def finish(self) -> None:
        """Wait for threads, hang up, and say of what is left why it is left."""
        self._dismiss_threads()
        self._save()
        if self._services is not None:
            self._services.close()
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

    # --- from files to lanes ----------------------------------------------------------------------

    def _newcomers(self) -> bool:
        """Whether anything waits that nobody has looked at."""
        return any(not self._is_known(event_id) for event_id in self.queue.pending())

    def _admit(self, event_id: str) -> None:
        """Find the lane of a newcomer, or settle it, if it is none that could be delivered.

        What is wrong with it stops no other. Raises OSError for what is wrong with all.
        """
        try:
            event, alert = self._read(event_id)
            if alert.kind == TEST:
                self.queue.remove(event)  # answered by the command that was given it
                self.outcomes[event_id] = Outcome(IGNORED, "a test")
                return
        except FileNotFoundError:  # dropped by an operator
            return
        except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the event
            self._settle(event_id, error)
            return
        try:
            self._admit_alert(event, alert)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._settle(event_id, error)

    def _settle(self, event_id: str, error: Exception) -> None:
        """A newcomer cannot be used, as ERROR shows."""
        from brtel_notify.delivery.attempt import unusable
        from brtel_notify.delivery.log_fields import level

        verdict = unusable(self.queue, event_id, self.log, self.place.clock(), error)
        outcome = self.outcomes[event_id] = verdict.outcome
        self.log.say(outcome.line, level(verdict), event=event_id, outcome=outcome.status)

    def _admit_alert(self, event: Event, alert: Alert) -> None:
        lane = self._waiting.lane(alert) or self._lane(event, alert)
        if lane is None:
            self.backlog.put_back(event.id)  # in its turn, once BlueRockTEL answers
            return
        company = list(self.aside.take(names_of(alert)))
        for event_id, its_lane in company:
            lane = its_lane
            self.lanes.add(event_id, lane)
        if not company and self._waits(event, alert, lane):
            return
        self._newest = event, alert
        self.lanes.add(event.id, lane)
        self._waiting.add(event.id, alert, lane)
        now = self.place.clock()
        settled_at = retry.settled_at(event, now)
        due_at = settled_at if self.force else retry.due_at(event, now)
        if self.force_now or not retry.is_to_come(due_at, now):
            return
        if self.settles and due_at == settled_at:
            self._settling.add(lane)
        lightly = retry.may_be_woken(event.failed_widely, event.attempts)
        self.lanes.sleep(lane, due_at, lightly)

    def _waits(self, event: Event, alert: Alert, lane: str) -> bool:
        """Whether EVENT was found to wait for its time, and nothing has changed since."""
        if event.held is None or self._config is None:
            return False
        now = self.place.clock()
        if not open_after.is_held(event, self._config, now):
            return False
        due = float(event.held["held_until"])
        self.aside.put(tuple(names_of(alert)), lane, [event.id], due)
        self.outcomes[event.id] = Outcome(QUEUED, f"{alert.key}: {open_after.opens_at(due)}")
        return True

    def _lane(self, event: Event, alert: Alert) -> Optional[str]:
        """What keeps events in order: at least those of one ticket share a lane.

        None, and a halt, when BlueRockTEL would have to say and does not.
        """
        config = self._configuration()
        if config is None or not self._ready():
            return alert.key
        assert self._book is not None  # noqa: S101 - _ready() made it
        with self._book.lock:
            lane = lane_of(event, alert, self._book.state, config)
        return lane or self._customers_lane(event, alert)

    def _customers_lane(self, event: Event, alert: Alert) -> Optional[str]:
        from brtel_notify.api.exceptions import ApiError, CredentialsError, OutOfTime
        from brtel_notify.delivery.outcome import Tried

        assert self._services is not None  # noqa: S101 - _ready() made it
        try:
            owner = self._services.owner(alert)
        except (ApiError, OutOfTime, ConfigError, CredentialsError) as error:
            tried = Tried("", self.place.state_dir, key=alert.key)
            verdict = retry.verdict(error, tried, self.place.clock(), retry.jitter())
            self._asked_in_vain[event.id] += 1
            # What is refused for this one only must not stop all that came behind it.
            stays = self._asked_in_vain[event.id] >= FEW_REFUSALS
            if verdict.halts != API or stays:
                return alert.key  # it will come up again at the delivery, and be judged there
            self.halt = verdict  # every event's look-up would fail
            self.log.say(verdict.outcome.text)
            self._mind_the_breaker(verdict)
            return None
        return entry_of.of_customer(owner.id) if owner else alert.key

    # --- what delivering needs --------------------------------------------------------------------

    def _configuration(self) -> Optional[Config]:
        """The configuration; None, and a halt, when it is wrong."""
        if self._config is None and self.halt is None:
            from brtel_notify.config.schema import load

            try:
                parsed = PrivateFolder(self.place.state_dir, "parsed")
                self._config = load(self.place.config_file, self.place.environ, parsed)
            except ConfigError as error:
                self._misconfigured(str(error))
            else:
                self.log.send_to(self._config.log)
        return self._config

    def _misconfigured(self, text: str) -> None:
        self.halt = retry.misconfigured(text)
        self.log.say(self.halt.outcome.text, ERROR)

    def _ready(self) -> bool:
        """Whether everything is at hand to deliver with; else there is a halt."""
        config = self._configuration()
        if config is None:
            return False
        if self._services is None:
            from brtel_notify.delivery.services import Services

            place = self.place
            self._services = Services(
                config, place.state_dir, self.log, place.clock, place.environ, self.threads
            )
            self._services.set_deadline(self._deadline)
        if self._book is None:
            try:
                checked = PrivateFolder(self.place.state_dir, "parsed")
                state, damage = State.load(os.path.join(self.place.state_dir, STATE_FILE), checked)
            except LaterVersion as error:
                self._misconfigured(str(error))
                return False
            if damage:
                self.log.say(damage)
            self._book = Book(state, self.queue)
        return True

    # --- delivering -------------------------------------------------------------------------------

    def _start(self, ready: List[str]) -> None:
        """Give ready lanes to free threads; one only, while BlueRockTEL has to be probed."""
        if not ready or not self._ready():
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

    def _taken(self, lane: str) -> Tuple[str, List[str]]:
        """The first event of a lane, which is begun with, and those behind it."""
        self._settling.discard(lane)
        event_id = self.lanes.take(lane)
        self._lane_of_head[event_id] = lane
        return event_id, self.lanes.behind(event_id, lane)

    def _head(
        self, event_id: str, behind: List[str], read: Optional[Tuple[Event, Alert]] = None
    ) -> Verdict:
        """Deliver the first event of a lane, BEHIND which others wait; never raises.

        READ is the event, where it was read just now.
        """
        if not self._ready():
            assert self.halt is not None  # noqa: S101 - _ready() said so
            return self.halt
        from brtel_notify.delivery.attempt import attempt, unusable
        from brtel_notify.delivery.delivery import Delivery

        assert self._services is not None  # noqa: S101 - _ready() made them
        assert self._book is not None  # noqa: S101
        self._services.probing = self.breaker.is_open
        try:
            event, alert = read or self._read(event_id)
            followers = self._followers(behind)
            delivery = Delivery(event, alert, self._services, self._book, followers)
            delivery.lane = self._lane_of_head.pop(event_id, "")
        except FileNotFoundError:
            return Verdict(Outcome(IGNORED, "was taken out of the queue"))
        except Exception as error:  # noqa: BLE001 - it was sound when its lane was looked for
            return unusable(self.queue, event_id, self.log, self.place.clock(), error)
        began = time.monotonic()
        with self._book.lock:
            delivery.moved_to = self._moved.lane(alert) or ""
        verdict = attempt(delivery, self.queue, self.log, self.place.clock())
        if verdict.lane:
            with self._book.lock:
                self._moved.add(event_id, alert, verdict.lane)
        self._told[event_id] = self._fields(delivery, verdict, time.monotonic() - began)
        return verdict

    def _fields(self, delivery: Delivery, verdict: Verdict, seconds: float) -> Dict[str, Any]:
        from brtel_notify.delivery import log_fields

        event, alert, entry = delivery.event, delivery.alert, None
        if self.log.json:  # a line of text shows nothing of it, and the map may be large
            state = delivery.state
            with delivery.state_lock:
                entry = state.get(event.key or alert.key) or state.with_member(alert.key)
        return log_fields.fields(event, alert, entry, verdict, seconds)

    def _read(self, event_id: str) -> Tuple[Event, Alert]:
        """The event of that id. Raises OSError; Damaged where it cannot be understood."""
        event = self.queue.load(event_id)
        try:
            alert = registry.parse(event.capture)
        except Unintelligible as error:
            raise Damaged(f"{event.capture.source}: {error}") from error
        config = None if alert.kind == TEST else self._configuration()
        if config is not None:
            alert = registry.of_instance(alert, config.sources.of(alert.source))
        return event, alert

    def _followers(self, event_ids: List[str]) -> Iterator[Tuple[Event, Alert]]:
        """The events behind one in its lane; each is read only when somebody asks for it."""
        for event_id in event_ids:
            try:
                yield self._read(event_id)
            except Exception:  # noqa: BLE001 - it will be judged when its turn comes
                return

    def _conclude(self, lane: str, verdict: Verdict) -> None:
        """Act on a verdict."""
        event_id = self.lanes.head(lane)
        if self._book is not None and (self._book.is_due or not self._more_follow(verdict)):
            unsaved = self._unsaved_by()
            verdict = unsaved if unsaved is not None and not verdict.stays else verdict
        self._tell(verdict, event_id)
        if verdict.halts is None or verdict.halts == API:
            self.outcomes[event_id] = verdict.outcome
        if verdict.lane:
            self.lanes.done(lane)
            self.lanes.add(event_id, verdict.lane)
        elif verdict.aside:
            self.lanes.done(lane, verdict.aside)
            self.aside.put(verdict.aside_of, lane, verdict.aside, verdict.retry_at)
        elif verdict.stays:
            self.lanes.stays(lane)
            if verdict.retry_at:
                lightly = retry.may_be_woken(verdict.halts == API, verdict.attempts)
                self.lanes.sleep(lane, verdict.retry_at, lightly)
        else:
            self.outcomes.update(dict.fromkeys(verdict.also_done, verdict.outcome))
            self.lanes.done(lane, verdict.also_done)
        self._mind_the_breaker(verdict)
        if verdict.halts is not None:
            self.halt = self.halt or verdict

    # --- what is done is saved --------------------------------------------------------------------

    def _more_follow(self, verdict: Verdict) -> bool:
        """Whether other events come right behind, so that the map may wait for them."""
        if self._running:
            return True
        at_hand = len(self.lanes) > 1 or bool(self.backlog)
        return at_hand and self.halt is None and verdict.halts is None

    def _save(self) -> bool:
        """Save what is done; False, and a halt, when the disk does not."""
        failed = self._unsaved_by()
        if failed is not None:
            self._tell(failed)
        return failed is None

    def _unsaved_by(self) -> Optional[Verdict]:
        """Save; if that cannot be, what follows for all that is done."""
        from brtel_notify.delivery.outcome import Tried

        if self._book is None:
            return None
        try:
            self._book.save()
        except OSError as error:
            tried = Tried("", self.place.state_dir, key="map")
            failed = retry.verdict(error, tried, self.place.clock(), retry.jitter())
            self.halt = self.halt or failed
            self.outcomes.update(dict.fromkeys(self._book.unsaved, failed.outcome))
            return failed
        return None

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

    def _mind_the_breaker(self, verdict: Verdict) -> None:
        now = self.place.clock()
        if verdict.halts == API:
            if self._services is not None:
                self._services.answered = False
            if not self.breaker.holds(now):  # else another thread has said it already
                text = verdict.outcome.text
                self.breaker.trip(now, text, retry.jitter(), verdict.retry_after)
        elif self.breaker.is_open and self._services is not None and self._services.answered:
            self.log.say("BlueRockTEL answers again")
            self.breaker.close()
            self.lanes.wake()
