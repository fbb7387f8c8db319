"""What lies in the queue and was not read yet: read in portions, deliver, then read on.

Whoever has twenty seconds and fifty thousand events in front of it must not spend them on reading.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Callable, Deque, Optional, Set, Tuple

from brtel_notify.intake.queue import Queue

#: Seconds that a drainer with work at hand waits before it looks for newcomers.
LOOK_EVERY = 0.25
#: A look takes at most this part of the time, however many names there are to be looked through.
SHARE = 0.05
#: So many events are read before some are delivered,
PORTION = 200
#: …and so many where those of one ticket, or of one alert, are to be known together.
FAR_PORTION = 10_000
#: So many are known, and not delivered yet, when no more are read for a better choice.
ENOUGH = 2000
#: A portion ends when BlueRockTEL was asked so often whose the events are.
MOST_CALLS = 50
#: A folder that was changed less than so many nanoseconds ago may change again, and look the same.
_SETTLED = 2 * 10**9


class Backlog:
    """The ids that wait to be read, in the order of capture."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        #: What lay in the queue at the last look.
        self.there: Set[str] = set()
        self._unread: Deque[str] = deque()
        self._looked = self._took = 0.0
        self._stamp: Optional[Tuple[int, ...]] = None

    def __len__(self) -> int:
        return len(self._unread)

    def look(self, is_known: Callable[[str], bool], at_work: bool) -> None:
        """Look for newcomers, those that are not known; AT_WORK only now and then."""
        began = time.monotonic()
        if at_work and began - self._looked < max(LOOK_EVERY, self._took / SHARE):
            return
        self._looked = began
        stamp = self._folder()
        if stamp is not None and stamp == self._stamp:
            return
        pending = self.queue.pending()
        self._stamp = stamp
        self.there = set(pending)
        self._unread = deque(event_id for event_id in pending if not is_known(event_id))
        self._took = time.monotonic() - began

    def next(self) -> str:
        """The next id, which is read now."""
        return self._unread.popleft()

    def put_back(self, event_id: str) -> None:
        """It could not be used yet, and is the next again."""
        self._unread.appendleft(event_id)

    def forget(self) -> None:
        """Nothing is known of the queue any more."""
        self._unread.clear()
        self._stamp = None

    def _folder(self) -> Optional[Tuple[int, ...]]:
        """What is another as soon as a name came or went; None if that cannot be told."""
        try:
            status = os.stat(self.queue.folder)
        except OSError:
            return None
        settled = time.time_ns() - status.st_mtime_ns > _SETTLED
        return (status.st_dev, status.st_ino, status.st_mtime_ns) if settled else None
