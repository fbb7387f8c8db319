"""Events that wait for their time outside the lanes: nothing but their own alert waits for them.

A problem that is not to open its ticket yet (open_after.py) must not hold up the other alerts of
its host or customer, with which it shares a lane. As soon as its time has come, or anything else
of the same alert comes, it goes back into its lane.
"""

from __future__ import annotations

import heapq
from typing import Dict, Iterator, List, NamedTuple, Sequence, Set, Tuple


class _Wait(NamedTuple):
    until: float
    lane: str
    ids: Tuple[str, ...]


class Aside:
    """Which events wait, by the key of their alert. Knows names only; no I/O, no clock."""

    def __init__(self) -> None:
        self._waits: Dict[str, _Wait] = {}
        self._alarms: List[Tuple[float, str]] = []
        self._known: Set[str] = set()

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._known

    def put(self, key: str, lane: str, ids: Sequence[str], until: float) -> None:
        """The events IDS, of the alert KEY, wait UNTIL then; seconds since the epoch."""
        self._waits[key] = _Wait(until, lane, tuple(ids))
        self._known.update(ids)
        heapq.heappush(self._alarms, (until, key))

    def take(self, key: str) -> Iterator[Tuple[str, str]]:
        """What waits of the alert KEY waits no longer: each id, and the lane that it goes to."""
        found = self._waits.pop(key, None)
        if found is not None:
            self._known.difference_update(found.ids)
            for event_id in found.ids:
                yield event_id, found.lane

    def due(self, now: float) -> Iterator[Tuple[str, str]]:
        """Those whose time has come, as :meth:`take` gives them."""
        while self._alarms and self._alarms[0][0] <= now:
            until, key = heapq.heappop(self._alarms)
            if key in self._waits and self._waits[key].until == until:
                yield from self.take(key)
