"""The breaker: when BlueRockTEL as a whole does not answer, nobody asks it again for a while.

It is one small file of the state folder, so every process knows what one of them has paid for. A
notification command reads it on every alert: nothing heavy is imported here.
"""

from __future__ import annotations

import json
import os

from brtel_notify.local import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

NAME = "breaker.json"
#: Seconds from the first failure to the first probe; doubled with each failed one.
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
_LAST_TIME = 1e11  # seconds: the year 5138, beyond which a time is a mistake
_MOST_FAILURES = 10**9


class Breaker:
    """Closed (no file): all is well. Open: until ``retry_at`` nobody calls; then one may probe.

    Times are seconds since the epoch. Only the holder of the drain lock changes it.
    """

    def __init__(self, state_dir: str) -> None:
        self.path = os.path.join(state_dir, NAME)
        self.failures = 0
        self.since = 0.0
        self.retry_at = 0.0
        self.error = ""
        self.read()

    def read(self) -> None:
        """Look at the file again; one that cannot be read is no reason not to call."""
        data: Dict[str, Any] = {}
        try:
            data = json.loads(files.read_whole(self.path))
            failures, since = int(data["failures"]), float(data["since"])
            retry_at, error = float(data["retry_at"]), str(data["error"])
            if not 0.0 <= since < _LAST_TIME or not 0.0 <= retry_at < _LAST_TIME:
                raise ValueError("an impossible time")
            if not 0 <= failures < _MOST_FAILURES:
                raise ValueError("an impossible number")
        except (OSError, ArithmeticError, ValueError, KeyError, TypeError, RecursionError):
            failures, since, retry_at, error = 0, 0.0, 0.0, ""
        self.failures, self.since, self.retry_at, self.error = failures, since, retry_at, error

    @property
    def is_open(self) -> bool:
        """Whether the last call found BlueRockTEL out of reach."""
        return self.failures > 0

    def holds(self, now: float) -> bool:
        """Whether a call would be in vain: it is open, and its next probe is not due."""
        # A clock that was set back must not keep it open for longer than its longest pause.
        return self.is_open and now < self.retry_at <= now + 2 * LONGEST_PAUSE

    def trip(self, now: float, error: str, jitter: float, retry_after: Optional[float]) -> None:
        """A call failed: open it, for longer at each failed probe.

        JITTER, about 1, keeps several machines from probing at one moment; RETRY_AFTER, in
        seconds, is the server's own wish.
        """
        pause = min(FIRST_PAUSE * 2.0 ** min(self.failures, 10), LONGEST_PAUSE) * jitter
        self.failures += 1
        self.since = self.since or now
        self.retry_at = now + max(pause, min(retry_after or 0.0, LONGEST_PAUSE))
        self.error = error
        self._write()

    def close(self) -> None:
        """A call went through."""
        if self.is_open:
            self.failures, self.since, self.retry_at, self.error = 0, 0.0, 0.0, ""
            files.remove_quietly(self.path)

    def _write(self) -> None:
        record = {
            "failures": self.failures,
            "since": self.since,
            "retry_at": self.retry_at,
            "error": self.error,
        }
        try:
            files.write_whole(self.path, json.dumps(record).encode("ascii"), durable=False)
        except OSError:
            pass  # a full disk: this process knows it all the same
