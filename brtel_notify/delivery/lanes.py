"""Lanes: events of one ticket stand one behind another, different tickets side by side."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Deque, Dict, Iterable, Iterator, List, Set, Tuple


class Lanes:
    """Which event may be delivered next. Knows ids and lane names only; no I/O, no clock.

    Times are seconds since the epoch. Not for several threads: one dispatcher asks it.
    """

    def __init__(self) -> None:
        self._waiting: Dict[str, Deque[str]] = {}
        self._asleep: Dict[str, float] = {}
        self._light: Set[str] = set()
        self._busy: Set[str] = set()
        self._known: Set[str] = set()

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._known

    def __len__(self) -> int:
        return len(self._known)

    @property
    def busy(self) -> int:
        """How many lanes are being worked on."""
        return len(self._busy)

    def add(self, event_id: str, lane: str) -> None:
        """An event came: into its lane by the order of capture, which ids sort in.

        It may be older than some that wait: put back by an operator, or slow to reach the disk.
        The one that is being worked on stays the first.
        """
        self._known.add(event_id)
        events = self._waiting.setdefault(lane, deque())
        first = 1 if lane in self._busy else 0
        place = len(events)
        while place > first and events[place - 1] > event_id:
            place -= 1
        events.insert(place, event_id)

    def sleep(self, lane: str, until: float, lightly: bool = False) -> None:
        """The first event of LANE is not to be tried before UNTIL; lightly: unless woken."""
        self._asleep[lane] = until
        (self._light.add if lightly else self._light.discard)(lane)

    def wake(self) -> None:
        """What let the lightly sleeping ones wait is over."""
        for lane in self._light:
            self._asleep.pop(lane, None)
        self._light.clear()

    def ready(self, now: float, at_most: int) -> List[str]:
        """The lanes that may be worked on now, those that have waited longest first."""
        ready = (
            lane
            for lane, events in self._waiting.items()
            if lane not in self._busy and self._asleep.get(lane, 0.0) <= now and events
        )
        return heapq.nsmallest(at_most, ready, key=self.head)

    def take(self, lane: str) -> str:
        """Begin with the first event of LANE; its id."""
        self._busy.add(lane)
        self._asleep.pop(lane, None)
        self._light.discard(lane)
        return self._waiting[lane][0]

    def head(self, lane: str) -> str:
        """The id of the first event of LANE."""
        return self._waiting[lane][0]

    def stays(self, lane: str) -> None:
        """The first event of LANE was not delivered, and those behind it wait with it."""
        self._busy.discard(lane)

    def done(self, lane: str, also: Iterable[str] = ()) -> None:
        """The first event of LANE is out of the queue, and ALSO some of those behind it."""
        self._busy.discard(lane)
        gone = {self._waiting[lane][0], *also}
        self._known -= gone
        left = deque(event_id for event_id in self._waiting[lane] if event_id not in gone)
        if left:
            self._waiting[lane] = left
        else:
            del self._waiting[lane]

    def behind(self, event_id: str, lane: str) -> List[str]:
        """The ids of the events that wait behind EVENT_ID in its lane."""
        events = list(self._waiting.get(lane, ()))
        return events[events.index(event_id) + 1 :] if event_id in events else []

    def left(self) -> Iterator[Tuple[str, bool]]:
        """The ids that still wait, each with whether it is the first of its lane."""
        for events in self._waiting.values():
            for number, event_id in enumerate(events):
                yield event_id, number == 0
