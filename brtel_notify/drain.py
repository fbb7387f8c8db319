"""Takes events out of the queue and delivers them: one process at a time, threads inside.

A drainer holds the drain lock while it works. After it has let go it looks at the queue once more:
whoever captured an event in between found the lock taken and left, trusting this process.
"""

from __future__ import annotations

import os
import random
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Set

from brtel_notify import sources
from brtel_notify.alert import TEST, Alert, Unintelligible
from brtel_notify.lock import DrainLock
from brtel_notify.log import Log
from brtel_notify.queue import Damaged, Event, Queue
from brtel_notify.readers import ConfigError
from brtel_notify.state import LaterVersion, State

if TYPE_CHECKING:
    from brtel_notify.bluerocktel import ApiError
    from brtel_notify.config import Config
    from brtel_notify.deliver import Delivery, Outcome
    from brtel_notify.desk import Desk

#: Seconds that a notification command may spend; monitoring servers kill it at about 30.
BUDGET = 20.0
#: Tickets worked on at the same time.
THREADS = 4
#: Seconds until the second attempt; doubled for each further one, up to the longest.
FIRST_RETRY = 15.0
LONGEST_RETRY = 900.0

STATE_FILE = "state.json"

QUEUED = "queued"
REFUSED = "refused"
MISCONFIGURED = "misconfigured"
FAILED = "failed"

#: Exit codes of the notification commands, by what became of their event (DESIGN section 2).
EXIT_CODES = {REFUSED: 65, FAILED: 70, MISCONFIGURED: 78}


@dataclass(frozen=True)
class Place:
    """Where to deliver from and how: the command line's global options, and the clock."""

    state_dir: str
    config_file: str
    environ: Mapping[str, str]
    log: Log
    clock: Callable[[], float] = time.time


@dataclass
class Waiting:
    """An event in the queue, parsed, and the lane it waits in."""

    event: Event
    alert: Alert
    lane: str


@dataclass
class Drain:
    """One drain: until the queue holds nothing due, or the time is up.

    ``budget`` is in seconds, None for as long as it takes. ``force`` also takes what backs off.
    ``outcomes`` says afterwards what became of each event that was looked at, by its id.
    """

    place: Place
    budget: Optional[float] = BUDGET
    force: bool = False
    threads: int = THREADS
    outcomes: Dict[str, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.queue = Queue(self.place.state_dir)
        self.log = self.place.log
        self._deadline = None if self.budget is None else time.monotonic() + self.budget
        #: Why nothing more can be delivered at present; then everything stays queued.
        self._halt: Optional[Outcome] = None
        self._blocked: Set[str] = set()
        self._outcome_lock = threading.Lock()
        self._state_lock = threading.Lock()
        self._config: Optional[Config] = None
        self._desk: Optional[Desk] = None
        self._state: Optional[State] = None

    def run(self) -> bool:
        """Drain. Returns False when another process holds the lock and so delivers in our stead.

        Raises OSError when the state folder cannot be used at all.
        """
        while True:
            with DrainLock(self.place.state_dir) as taken:
                if not taken:
                    return bool(self.outcomes)
                self._work()
            if self._is_over() or not self._newcomers():
                return True

    def _is_over(self) -> bool:
        out_of_time = self._deadline is not None and time.monotonic() >= self._deadline
        return out_of_time or self._halt is not None

    def _newcomers(self) -> List[str]:
        return [event_id for event_id in self.queue.pending() if event_id not in self.outcomes]

    def _work(self) -> None:
        self.queue.sweep(self.place.clock())
        self._state = None  # another drainer may have changed the map since
        while not self._is_over():
            newcomers = self._newcomers()
            if not newcomers:
                return
            lanes = self._lanes(newcomers)
            self._deliver(lanes)
        self._leave_the_rest()

    def _leave_the_rest(self) -> None:
        halt = self._halt or _outcome(QUEUED, "out of time; the next drain goes on with it")
        for event_id in self._newcomers():
            self._settle(event_id, halt)

    # --- from files to lanes ----------------------------------------------------------------------

    def _lanes(self, event_ids: List[str]) -> List[List[Waiting]]:
        """The events that can be delivered now, those of one ticket together and in order."""
        lanes: Dict[str, List[Waiting]] = {}
        for event_id in event_ids:
            waiting = self._parsed(event_id)
            if waiting is None:
                continue
            if waiting.lane in self._blocked:
                self._settle(event_id, _outcome(QUEUED, "behind an earlier event of its ticket"))
            elif waiting.event.retry_at > self.place.clock() and not self.force:
                self._blocked.add(waiting.lane)
                self._settle(event_id, _outcome(QUEUED, f"backing off: {waiting.event.error}"))
            else:
                lanes.setdefault(waiting.lane, []).append(waiting)
        return list(lanes.values())

    def _parsed(self, event_id: str) -> Optional[Waiting]:
        try:
            event = self.queue.load(event_id)
        except FileNotFoundError:  # dropped by an operator
            self._settle(event_id, _outcome(QUEUED, "was taken out of the queue"))
            return None
        except Damaged as error:
            self._bury(event_id, str(error))
            return None
        try:
            alert = sources.parse(event.capture)
        except Unintelligible as error:
            self._bury(event_id, f"{event.capture.source}: {error}")
            return None
        except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the event
            self._fail(event_id, error)
            return None
        if alert.kind == TEST:  # answered by the command that was given it
            self.queue.remove(event)
            self._settle(event_id, _outcome("ignored", "a test"))
            return None
        return Waiting(event, alert, self._lane(alert))

    def _lane(self, alert: Alert) -> str:
        """What keeps events in order: at least those of one ticket share a lane."""
        config = self._configuration()
        if config is None or config.ticket.group_by == "customer" or config.ticket.adopt == "any":
            return ""
        return alert.host if config.ticket.group_by == "host" else alert.key

    # --- what delivering needs --------------------------------------------------------------------

    def _configuration(self) -> Optional[Config]:
        """The configuration; None, and a halt, when it is wrong."""
        if self._config is None and self._halt is None:
            from brtel_notify.config import load

            try:
                self._config = load(self.place.config_file, self.place.environ)
            except ConfigError as error:
                self._misconfigured(str(error))
            else:
                self.log.send_to(self._config.log)
        return self._config

    def _misconfigured(self, text: str) -> None:
        self._halt = _outcome(MISCONFIGURED, f"{text}; the event is queued")
        self.log.say(self._halt.text)

    def _ready(self) -> bool:
        """Whether everything is at hand to deliver with."""
        config = self._configuration()
        if config is None:
            return False
        if self._desk is None:
            from brtel_notify.desk import Desk

            place = self.place
            self._desk = Desk(
                config, place.state_dir, self.log, place.clock, place.environ, self.threads
            )
            self._desk.deadline = self._deadline
        if self._state is None:
            try:
                self._state, damage = State.load(os.path.join(self.place.state_dir, STATE_FILE))
            except LaterVersion as error:
                self._misconfigured(str(error))
                return False
            if damage:
                self.log.say(damage)
        return True

    # --- delivering -------------------------------------------------------------------------------

    def _deliver(self, lanes: List[List[Waiting]]) -> None:
        if not lanes or not self._ready():
            return
        if len(lanes) == 1 or self.threads == 1:
            for lane in lanes:
                self._run_lane(lane)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(self.threads, len(lanes))) as pool:
            for done in [pool.submit(self._run_lane, lane) for lane in lanes]:
                done.result()

    def _run_lane(self, lane: List[Waiting]) -> None:
        for number, waiting in enumerate(lane):
            if self._is_over():
                return
            if not self._run(waiting):
                self._block(waiting.lane, lane[number + 1 :])
                return

    def _block(self, lane: str, rest: List[Waiting]) -> None:
        """An event of this lane stays in the queue, so those after it do."""
        self._blocked.add(lane)
        if self._halt is None:
            for later in rest:
                text = "behind an earlier event of its ticket"
                self._settle(later.event.id, _outcome(QUEUED, text))

    def _run(self, waiting: Waiting) -> bool:
        """Deliver one event; False when it stays in the queue."""
        from brtel_notify.deliver import Delivery

        assert self._desk is not None  # noqa: S101 - _ready() came first
        assert self._state is not None  # noqa: S101
        delivery = Delivery(
            waiting.event, waiting.alert, self._desk, self._state, self._state_lock, self.queue
        )
        try:
            return self._attempt(delivery)
        except OSError as error:
            where = error.filename or self.place.state_dir
            text = f"the state folder cannot be written: {where}: {error.strerror}"
            self._halt = _outcome(QUEUED, f"{text}; the event is queued")
            self.log.say(self._halt.text)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the event
            retry_at = self.place.clock() + _pause(waiting.event.attempts, None)
            self._fail(waiting.event.id, error)
            delivery.failed(f"unforeseen {type(error).__name__}: {error}", True, retry_at)
        return False

    def _attempt(self, delivery: Delivery) -> bool:
        from brtel_notify.bluerocktel import ApiError, OutOfTime
        from brtel_notify.credentials import CredentialsError
        from brtel_notify.deliver import NoOwner

        event_id = delivery.event.id
        try:
            outcome = delivery.run()
        except OutOfTime:
            delivery.failed("out of time", maybe_done=False)
            self._settle(event_id, _outcome(QUEUED, "out of time; the next drain goes on with it"))
        except NoOwner as error:
            self._bury(event_id, str(error))
            return True
        except (ConfigError, CredentialsError) as error:
            delivery.failed(str(error), maybe_done=False)
            self._misconfigured(str(error))
        except ApiError as error:
            return self._api_failed(delivery, error)
        else:
            self.log.say(outcome.text)
            self._settle(event_id, outcome)
            return True
        return False

    def _api_failed(self, delivery: Delivery, error: ApiError) -> bool:
        event = delivery.event
        if _is_configuration(error):
            delivery.failed(str(error), error.maybe_done)
            self._misconfigured(f"api: {error}")
            return False
        if not error.retry:
            delivery.failed(str(error), error.maybe_done)
            self._bury(event.id, f"{delivery.alert.key}: {error}")
            return True
        retry_at = self.place.clock() + _pause(event.attempts, error.retry_after)
        delivery.failed(str(error), error.maybe_done, retry_at)
        outcome = _outcome(QUEUED, f"{delivery.alert.key}: {error}; it will be tried again")
        self.log.say(outcome.text)
        self._settle(event.id, outcome)
        if error.api_wide:
            self._halt = outcome
        return False

    # --- outcomes ---------------------------------------------------------------------------------

    def _settle(self, event_id: str, outcome: Outcome) -> None:
        with self._outcome_lock:
            self.outcomes[event_id] = outcome

    def _bury(self, event_id: str, reason: str) -> None:
        self.queue.bury(event_id, reason)
        outcome = _outcome(REFUSED, f"{reason}; kept in dead/ as {event_id}")
        self.log.say(outcome.text)
        self._settle(event_id, outcome)

    def _fail(self, event_id: str, error: Exception) -> None:
        text = f"unforeseen {type(error).__name__}: {error} (-v shows where); the event is queued"
        self.log.say(text)
        if self.log.verbose:
            for line in traceback.format_exc().splitlines():
                self.log.say(line)
        self._settle(event_id, _outcome(FAILED, text))


def _pause(attempts: int, retry_after: Optional[float]) -> float:
    """Seconds until the next attempt: longer each time, never all events at one moment."""
    backoff = min(FIRST_RETRY * 2.0 ** max(0, attempts - 1), LONGEST_RETRY)
    jittered = backoff * random.uniform(0.8, 1.2)  # noqa: S311 - no secret depends on it
    return max(jittered, retry_after or 0.0)


def _is_configuration(error: ApiError) -> bool:
    """Whether it is no event's fault, and only an operator can mend it: token, URL, certificate."""
    return error.status in (401, 403) or (error.api_wide and not error.retry)


def _outcome(status: str, text: str) -> Outcome:
    from brtel_notify.deliver import Outcome

    return Outcome(status, text)
