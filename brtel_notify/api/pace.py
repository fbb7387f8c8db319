"""A ceiling on calls: ``api.requests_per_minute``."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, Deque

MINUTE = 60.0


class Pace:
    """Lets at most so many calls pass in any minute, whatever thread makes them.

    ``clock`` and ``sleep`` are those of time.monotonic and time.sleep, in seconds.
    """

    def __init__(
        self,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._passed: Deque[float] = deque(maxlen=per_minute)

    def wait(self, at_most: float) -> bool:
        """Wait for the next call's turn; False, at once, if that takes longer than AT_MOST."""
        with self._lock:
            now = self._clock()
            turn = now
            if len(self._passed) == self.per_minute:
                turn = max(now, self._passed[0] + MINUTE)
            if turn - now > at_most:
                return False
            self._passed.append(turn)
        if turn > now:
            self._sleep(turn - now)
        return True
