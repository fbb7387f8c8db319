"""From files to lanes: events are read in the order of capture, and each finds its lane.

What cannot be used is settled here and stops no other. What waits for its time stands aside.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from brtel_notify.alert import TEST, Alert, Unintelligible
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.delivery import backlog, entry_of, open_after, retry
from brtel_notify.delivery.aside import Aside
from brtel_notify.delivery.backlog import Backlog
from brtel_notify.delivery.equipment import Equipment
from brtel_notify.delivery.lane_of import Waiting, lane_of, names_of
from brtel_notify.delivery.lanes import Lanes
from brtel_notify.delivery.next_way import FEW_REFUSALS
from brtel_notify.delivery.outcome import API, IGNORED, QUEUED, Outcome, Tried
from brtel_notify.intake.queue import Damaged, Event
from brtel_notify.sources import registry


class Admission:
    """The lanes of one drain, and what stands before them, until the configuration changes.

    ``force`` also takes what backs off. ``settles``: what only waits because a call may still be
    under way is remembered in ``settling``; ``force_now`` takes that at once, too. ``outcomes``
    says what became of each event that was looked at, by its id.
    """

    def __init__(self, equipment: Equipment, force: bool, settles: bool, force_now: bool) -> None:
        self.lanes = Lanes()
        self.aside = Aside()
        self.backlog = Backlog(equipment.queue)
        self.outcomes: Dict[str, Outcome] = {}
        self.settling: Set[str] = set()  # lanes: a call of their heads may be under way
        self._equipment = equipment
        self._force = force
        self._settles = settles
        self._force_now = force_now
        self._waiting = Waiting(self.lanes)
        self._asked_in_vain: Counter[str] = Counter()  # by event, for the customer of its alert
        #: The last newcomer, as it was read: a lone one need not be read twice.
        self._newest: Optional[Tuple[Event, Alert]] = None
        self._seen_there: Set[str] = set()  # what lay in the queue, as it was looked at last

    def ready(
        self, now: float, at_most: int, running: bool, is_over: Callable[[], bool]
    ) -> List[str]:
        """The lanes that may be worked on now, AT_MOST so many; where too few may, it is read on.

        RUNNING: there are others, which are worked on. Raises OSError for what is wrong with all.
        """
        for event_id, lane in self.aside.due(now):
            self.lanes.add(event_id, lane)
        ready = self.lanes.ready(now, at_most)
        self.backlog.look(self._is_known, at_work=bool(ready or running or self.backlog))
        if self._let_go_of_the_dropped():
            ready = self.lanes.ready(now, at_most)
        if not self.backlog or len(ready) >= at_most:
            return ready
        self._read_on(bool(ready or running), is_over)
        return self.lanes.ready(now, at_most)

    def _read_on(self, at_hand: bool, is_over: Callable[[], bool]) -> None:
        """Admit the next portion; while there is work AT_HAND, not for ever more of them."""
        if at_hand and len(self.lanes) >= backlog.ENOUGH:
            return
        self._newest = None
        asked, read = self._equipment.calls, 0
        while self.backlog and read < self._portion() and not is_over():
            self._admit(self.backlog.next())
            read += 1
            if self._equipment.calls - asked >= backlog.MOST_CALLS:
                return

    def _portion(self) -> int:
        """How many are read before some are delivered; the first one makes us configured."""
        config = self._equipment.known_config
        if config is None:
            return backlog.PORTION
        together = config.ticket.group_by != "alert"
        skips = config.lifecycle.resolved_in_queue == "skip"
        far = together or skips or open_after.is_used(config)
        return backlog.FAR_PORTION if far else backlog.PORTION

    def _is_known(self, event_id: str) -> bool:
        if event_id in self.lanes or event_id in self.outcomes or event_id in self.aside:
            return True
        book = self._equipment.known_book
        return book is not None and event_id in book

    def _let_go_of_the_dropped(self) -> bool:
        """A lane does not sleep on behind an event that an operator took out; whether one did."""
        if self.backlog.there is self._seen_there:
            return False
        self._seen_there = self.backlog.there
        return self.lanes.rouse_unless(self._seen_there)

    def has_newcomers(self) -> bool:
        """Whether anything waits that nobody has looked at."""
        return any(not self._is_known(event_id) for event_id in self._equipment.queue.pending())

    def _admit(self, event_id: str) -> None:
        """Find the lane of a newcomer, or settle it, if it is none that could be delivered.

        What is wrong with it stops no other. Raises OSError for what is wrong with all.
        """
        try:
            event, alert = self.read(event_id)
            if alert.kind == TEST:
                self._equipment.queue.remove(event)  # answered by the command that was given it
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

        place, queue = self._equipment.place, self._equipment.queue
        verdict = unusable(queue, event_id, place.log, place.clock(), error)
        outcome = self.outcomes[event_id] = verdict.outcome
        place.log.say(outcome.line, level(verdict), event=event_id, outcome=outcome.status)

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
        self.lanes.add(event.id, lane, event.is_begun)
        self._waiting.add(event.id, names_of(alert), lane)
        now = self._equipment.place.clock()
        settled_at = retry.settled_at(event, now)
        due_at = settled_at if self._force else retry.due_at(event, now)
        if self._force_now or not retry.is_to_come(due_at, now):
            return
        if self._settles and due_at == settled_at:
            self.settling.add(lane)
        lightly = retry.may_be_woken(event.failed_widely, event.attempts)
        self.lanes.sleep(lane, due_at, lightly)

    def _waits(self, event: Event, alert: Alert, lane: str) -> bool:
        """Whether EVENT was found to wait for its time, and nothing has changed since."""
        config = self._equipment.known_config
        if event.held is None or config is None:
            return False
        now = self._equipment.place.clock()
        if not open_after.is_held(event, config, now):
            return False
        due = float(event.held["held_until"])
        self.aside.put(tuple(names_of(alert)), lane, [event.id], due)
        self.outcomes[event.id] = Outcome(QUEUED, f"{alert.key}: {open_after.opens_at(due)}")
        return True

    def _lane(self, event: Event, alert: Alert) -> Optional[str]:
        """What keeps events in order: at least those of one ticket share a lane.

        None, and a halt, when BlueRockTEL would have to say and does not.
        """
        config = self._equipment.config()
        if config is None or not self._equipment.ready():
            return alert.key
        book = self._equipment.book
        with book.lock:
            lane = lane_of(event, alert, book.state, config)
        return lane or self._customers_lane(event, alert)

    def _customers_lane(self, event: Event, alert: Alert) -> Optional[str]:
        from brtel_notify.api.exceptions import ApiError, CredentialsError, OutOfTime

        try:
            owner = self._equipment.services.owner(alert)
        except (ApiError, OutOfTime, ConfigError, CredentialsError) as error:
            place = self._equipment.place
            tried = Tried("", place.state_dir, key=alert.key)
            verdict = retry.verdict(error, tried, place.clock(), retry.jitter())
            self._asked_in_vain[event.id] += 1
            # What is refused for this one only must not stop all that came behind it.
            stays = self._asked_in_vain[event.id] >= FEW_REFUSALS
            if verdict.halts != API or stays:
                return alert.key  # it will come up again at the delivery, and be judged there
            self._equipment.halt = verdict  # every event's look-up would fail
            place.log.say(verdict.outcome.text)
            self._equipment.mind_the_breaker(verdict)
            return None
        return entry_of.of_customer(owner.id) if owner else alert.key

    # --- while it is worked on --------------------------------------------------------------------

    def lane_by_now(self, event: Event, alert: Alert, lane: str) -> str:
        """The lane that EVENT, the first of LANE, belongs into by now; called by its thread.

        It was put where its alert had a ticket. That may have ended since, by an event in front of
        it; and by another grouping than before, the next one is shared with those of another lane.
        """
        config, book = self._equipment.config(), self._equipment.book
        if config is None:
            return lane
        with book.lock:
            found = lane_of(event, alert, book.state, config)
        if found is not None:
            return found
        from brtel_notify.api.exceptions import ApiError, CredentialsError, OutOfTime

        try:
            owner = self._equipment.services.owner(alert)
        except (ApiError, OutOfTime, ConfigError, CredentialsError):
            return lane  # it will come up again at the delivery, and be judged there
        return entry_of.of_customer(owner.id) if owner else lane

    def move(self, lane: str, to: str, names: Sequence[str]) -> None:
        """The first event of LANE goes to the lane TO, with all behind it that bear these NAMES."""
        self.lanes.move(lane, to, self._waiting.ids(names))
        self._waiting.moved(names, to)

    def alone(self, event_id: str) -> Optional[Tuple[Event, Alert]]:
        """The event, where it is the last that was read and nobody dropped it meanwhile."""
        read, self._newest = self._newest, None
        # To find its lane may have taken seconds.
        if read is not None and read[0].id == event_id and os.path.exists(read[0].path):
            return read
        return None

    def read(self, event_id: str) -> Tuple[Event, Alert]:
        """The event of that id. Raises OSError; Damaged where it cannot be understood."""
        event = self._equipment.queue.load(event_id)
        try:
            alert = registry.parse(event.capture)
        except Unintelligible as error:
            raise Damaged(f"{event.capture.source}: {error}") from error
        config = None if alert.kind == TEST else self._equipment.config()
        if config is not None:
            alert = registry.of_instance(alert, config.sources.of(alert.source))
        return event, alert

    def followers(self, event_ids: List[str]) -> Iterator[Tuple[Event, Alert]]:
        """The events behind one in its lane; each is read only when somebody asks for it."""
        for event_id in event_ids:
            try:
                yield self.read(event_id)
            except Exception:  # noqa: BLE001 - it will be judged when its turn comes
                return
