"""Lanes: events of one ticket stand one behind another, different tickets side by side."""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from itertools import islice
from typing import Container, Deque, Dict, Iterable, Iterator, List, Optional, Set, Tuple

#: So many events behind the first of a lane are shown to whoever delivers it.
MOST_BEHIND = 1000


class Lanes:
    """Which event may be delivered next. Knows ids and lane names only; no I/O, no clock.

    Times are seconds since the epoch. Not for several threads: one dispatcher asks it. However
    many lanes there are, an event costs the logarithm of their number: those that may be begun
    with lie in one heap, those that sleep in another. What a heap has of a lane that has moved on
    since is passed over when it comes up.
    """

    def __init__(self) -> None:
        self._waiting: Dict[str, Deque[str]] = {}
        self._asleep: Dict[str, float] = {}
        self._light: Set[str] = set()
        self._busy: Set[str] = set()
        self._known: Set[str] = set()
        self._begun: Set[str] = set()
        self._heads: List[Tuple[str, str]] = []  # first event, lane
        self._in_heads: Dict[str, str] = {}  # lane, the event that it lies in _heads with
        self._alarms: List[Tuple[float, str]] = []  # until when, lane
        self._last_asked = 0.0

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._known

    def __len__(self) -> int:
        return len(self._known)

    @property
    def busy(self) -> int:
        """How many lanes are being worked on."""
        return len(self._busy)

    def add(self, event_id: str, lane: str, begun: bool = False) -> None:
        """An event came: into its lane by the order of capture, which ids sort in.

        It may be older than some that wait: put back by an operator, or slow to reach the disk.
        The one that is being worked on stays the first, and what was BEGUN goes before what was
        not: half of its ticket is made, and nobody else must take that for a whole one.
        """
        self._known.add(event_id)
        if begun:
            self._begun.add(event_id)
        events = self._waiting.setdefault(lane, deque())
        first = 1 if lane in self._busy else 0
        rest = first
        while rest < len(events) and events[rest] in self._begun:
            rest += 1
        if event_id in self._begun:
            insort(events, event_id, first, rest)
        else:
            insort(events, event_id, rest)
        self._offer(lane)

    def sleep(self, lane: str, until: float, lightly: bool = False) -> None:
        """The first event of LANE is not to be tried before UNTIL; lightly: unless woken."""
        self._asleep[lane] = until
        heapq.heappush(self._alarms, (until, lane))
        (self._light.add if lightly else self._light.discard)(lane)

    def asleep_until(self, lane: str) -> Optional[float]:
        """Until when LANE sleeps; None when it does not."""
        return self._asleep.get(lane)

    def rouse_unless(self, there: Container[str]) -> bool:
        """Who sleeps behind an event that is not THERE any more sleeps no longer.

        Whether one did.
        """
        found = [lane for lane in self._asleep if self._waiting[lane][0] not in there]
        for lane in found:
            del self._asleep[lane]
            self._light.discard(lane)
            self._offer(lane)
        return bool(found)

    def wake(self) -> None:
        """What let the lightly sleeping ones wait is over."""
        for lane in self._light:
            self._asleep.pop(lane, None)
            self._offer(lane)
        self._light.clear()

    def ready(self, now: float, at_most: int) -> List[str]:
        """The lanes that may be worked on now, those that have waited longest first."""
        self._ring(now)
        found: Dict[str, str] = {}  # lane, its first event
        while self._heads and len(found) < at_most:
            event_id, lane = heapq.heappop(self._heads)
            if self._in_heads.get(lane) != event_id or lane in found:
                continue  # its lane lies here with another event, or twice with this one
            if self._may_begin(lane) and self._waiting[lane][0] == event_id:
                found[lane] = event_id
            else:
                del self._in_heads[lane]
                self._offer(lane)
        for lane, event_id in found.items():
            heapq.heappush(self._heads, (event_id, lane))
        return list(found)

    def _may_begin(self, lane: str) -> bool:
        return lane in self._waiting and lane not in self._busy and lane not in self._asleep

    def _offer(self, lane: str) -> None:
        """LANE may be worked on, unless something still stands in its way."""
        if not self._may_begin(lane):
            return
        event_id = self._waiting[lane][0]
        if self._in_heads.get(lane) != event_id:
            self._in_heads[lane] = event_id
            heapq.heappush(self._heads, (event_id, lane))

    def _ring(self, now: float) -> None:
        """Those whose time has come sleep no longer."""
        if now < self._last_asked:
            self._set_back(self._last_asked - now)
        self._last_asked = now
        while self._alarms and self._alarms[0][0] <= now:
            until, lane = heapq.heappop(self._alarms)
            if self._asleep.get(lane) == until:
                del self._asleep[lane]
                self._light.discard(lane)
                self._offer(lane)

    def _set_back(self, seconds: float) -> None:
        """The clock was: whoever sleeps still has as long to wait as before."""
        self._asleep = {lane: until - seconds for lane, until in self._asleep.items()}
        self._alarms = [(until, lane) for lane, until in self._asleep.items()]
        heapq.heapify(self._alarms)

    def take(self, lane: str) -> str:
        """Begin with the first event of LANE; its id."""
        self._busy.add(lane)
        self._asleep.pop(lane, None)
        self._light.discard(lane)
        return self._waiting[lane][0]

    def head(self, lane: str) -> str:
        """The id of the first event of LANE."""
        return self._waiting[lane][0]

    def stays(self, lane: str, begun: bool = False) -> None:
        """The first event of LANE was not delivered, only BEGUN; those behind it wait with it."""
        self._busy.discard(lane)
        if begun:
            self._begun.add(self._waiting[lane][0])
        self._offer(lane)

    def done(self, lane: str, also: Iterable[str] = ()) -> None:
        """The first event of LANE is out of the queue, and ALSO some of those behind it."""
        self._busy.discard(lane)
        events = self._waiting[lane]
        gone = {events[0], *also}
        self._known -= gone
        self._begun -= gone
        while events and events[0] in gone:
            gone.discard(events.popleft())
        if gone:
            events = self._waiting[lane] = deque(one for one in events if one not in gone)
        if not events:
            del self._waiting[lane]
            self._in_heads.pop(lane, None)
            self._asleep.pop(lane, None)
            self._light.discard(lane)
        self._offer(lane)

    def move(self, lane: str, to: str, ids: Container[str]) -> None:
        """The first event of LANE, and those of IDS behind it, wait in the lane TO from now on.

        What came while it was worked on may have put the lane to sleep: then that other one sleeps.
        """
        until, lightly = self._asleep.get(lane), lane in self._light
        first, *behind = self._waiting[lane]
        also = [event_id for event_id in behind if event_id in ids]
        begun = self._begun.intersection((first, *also))
        self.done(lane, also)
        for event_id in (first, *also):
            self.add(event_id, to, event_id in begun)
        if until is not None and until > self._asleep.get(to, 0.0):
            self.sleep(to, until, lightly)

    def behind(self, event_id: str, lane: str) -> List[str]:
        """The ids of the events that wait behind EVENT_ID, if that is the first of its lane.

        At most MOST_BEHIND: nobody looks further, and a lane may hold all that waits.
        """
        events = self._waiting.get(lane, deque())
        if not events or events[0] != event_id:
            return []
        return list(islice(events, 1, MOST_BEHIND + 1))

    def left(self) -> Iterator[Tuple[str, bool]]:
        """The ids that still wait, each with whether it is the first of its lane."""
        for events in self._waiting.values():
            for number, event_id in enumerate(events):
                yield event_id, number == 0
