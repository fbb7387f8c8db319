"""Events that wait for their time outside the lanes: nothing but their own alert waits for them.

A problem that is not to open its ticket yet (open_after.py) must not hold up the other alerts of
its host or customer, with which it shares a lane. As soon as its time has come, or anything else
of the same alert comes, it goes back into its lane.
"""

from __future__ import annotations

import heapq
from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence, Set, Tuple

from brtel_notify.local.plausible import lies_ahead


class _Wait(NamedTuple):
    until: float
    events: Tuple[Tuple[str, str], ...]  # each id, and its lane
    names: Tuple[str, ...]


class Aside:
    """Which events wait, by the names of their alert. No I/O, no clock."""

    def __init__(self) -> None:
        self._waits: Dict[str, _Wait] = {}  # by each name
        self._alarms: List[Tuple[float, str]] = []
        self._known: Set[str] = set()
        self._last_asked = 0.0

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._known

    def put(self, names: Sequence[str], lane: str, ids: Sequence[str], until: float) -> None:
        """The events IDS, of the alert of these NAMES, wait UNTIL then; seconds since the epoch.

        What waits by one of these names already waits with them, until the first of them is due.
        """
        before = list(dict.fromkeys(filter(None, map(self._waits.get, names))))
        events = [event for one in before for event in one.events]
        events += [(event_id, lane) for event_id in ids]
        every = dict.fromkeys((*names, *(name for one in before for name in one.names)))
        until = min((until, *(one.until for one in before)))
        self._waits.update(dict.fromkeys(every, _Wait(until, tuple(events), tuple(every))))
        self._known.update(ids)
        heapq.heappush(self._alarms, (until, next(iter(every))))

    def take(self, names: Iterable[str]) -> Iterator[Tuple[str, str]]:
        """What waits of an alert of these NAMES waits no longer: each id, and its lane."""
        for name in names:
            found = self._waits.get(name)
            if found is not None:
                yield from self._taken(found)

    def due(self, now: float) -> Iterator[Tuple[str, str]]:
        """Those whose time has come, as :meth:`take` gives them.

        All of them when the clock was set back: what they wait for may have come before.
        """
        if lies_ahead(self._last_asked, now):
            for wait in dict.fromkeys(self._waits.values()):
                yield from self._taken(wait)
        self._last_asked = now
        while self._alarms and self._alarms[0][0] <= now:
            until, name = heapq.heappop(self._alarms)
            found = self._waits.get(name)
            if found is not None and found.until == until:
                yield from self._taken(found)

    def _taken(self, wait: _Wait) -> Iterator[Tuple[str, str]]:
        self._known.difference_update(event_id for event_id, _ in wait.events)
        for name in wait.names:
            if self._waits.get(name) is wait:
                del self._waits[name]
        yield from wait.events
