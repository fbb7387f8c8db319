"""The breaker: when BlueRockTEL as a whole does not answer, nobody asks it again for a while.

It is one small file of the state folder, so every process knows what one of them has paid for. A
notification command reads it on every alert, and mostly there is none: what is needed to read or
write it is imported then.
"""

from __future__ import annotations

import os

from brtel_notify.local import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

NAME = "breaker.json"
_MOST_FAILURES = 10**9


class Breaker:
    """Closed (no file): all is well. Open: until ``retry_at`` nobody calls; then one may probe.

    Times are seconds since the epoch. Only the holder of the drain lock changes it. It is closed
    until it was READ.
    """

    def __init__(self, state_dir: str, read: bool = True) -> None:
        self.path = os.path.join(state_dir, NAME)
        self.failures = 0
        self.since = 0.0
        self.retry_at = 0.0
        self.error = ""
        if read:
            self.read()

    def read(self) -> None:
        """Look at the file again; one that cannot be read is no reason not to call."""
        try:
            data = _read(files.read_whole(self.path))
        except (OSError, ArithmeticError, ValueError, KeyError, TypeError, RecursionError):
            data = (0, 0.0, 0.0, "")
        self.failures, self.since, self.retry_at, self.error = data

    @property
    def is_open(self) -> bool:
        """Whether the last call found BlueRockTEL out of reach."""
        return self.failures > 0

    def holds(self, now: float) -> bool:
        """Whether a call would be in vain: it is open, and its next probe is not due."""
        if not self.is_open:
            return False
        from brtel_notify.delivery import retry

        return retry.probe_waits(self.retry_at, now)

    def trip(self, now: float, error: str, jitter: float, retry_after: Optional[float]) -> None:
        """A call failed: open it, for longer at each failed probe.

        JITTER, about 1, keeps several machines from probing at one moment; RETRY_AFTER, in
        seconds, is the server's own wish.
        """
        from brtel_notify.delivery import retry
        from brtel_notify.local.plausible import lies_ahead

        self.retry_at = now + retry.probe_pause(self.failures, jitter, retry_after)
        self.failures += 1
        if not self.since or lies_ahead(self.since, now):
            self.since = now
        self.error = error
        self._write()

    def close(self) -> None:
        """A call went through."""
        if self.is_open:
            self.failures, self.since, self.retry_at, self.error = 0, 0.0, 0.0, ""
            files.remove_quietly(self.path)

    def _write(self) -> None:
        import json

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


def _read(record: bytes) -> Tuple[int, float, float, str]:
    """Failures, since when, when to probe, the last error. Raises what is wrong with RECORD."""
    import json

    from brtel_notify.local.plausible import is_time

    data: Dict[str, Any] = json.loads(record)
    failures, since = int(data["failures"]), float(data["since"])
    retry_at, error = float(data["retry_at"]), str(data["error"])
    if not is_time(since) or not is_time(retry_at):
        raise ValueError("an impossible time")
    if not 0 <= failures < _MOST_FAILURES:
        raise ValueError("an impossible number")
    return failures, since, retry_at, error
