"""What became of an event, and whether it is to be tried again: values, not guesses of a caller."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

DELIVERED = "delivered"
IGNORED = "ignored"
QUEUED = "queued"
REFUSED = "refused"
MISCONFIGURED = "misconfigured"
FAILED = "failed"

#: Exit codes of the notification commands, by what became of their event (DESIGN section 2).
EXIT_CODES = {REFUSED: 65, FAILED: 70, MISCONFIGURED: 78}


class Outcome(NamedTuple):
    """What became of an event: one of the words above, and one line for people."""

    status: str
    text: str

    def __str__(self) -> str:
        return f"{self.status}: {self.text}"


class Verdict(NamedTuple):
    """An outcome, and what follows from it.

    ``stays``: the event is still in the queue. ``retry_at``: not to be tried before that time,
    seconds since the epoch. ``halts``: other events would fare the same, so nothing more is to be
    tried for now; None when only this event is concerned. ``retry_after`` is the server's own wish,
    in seconds. ``also_done`` are the ids of events behind this one that were delivered with it.
    ``attempts`` is how often the event was tried, where that matters.
    """

    outcome: Outcome
    stays: bool = False
    retry_at: float = 0.0
    halts: Optional[str] = None
    retry_after: Optional[float] = None
    also_done: Tuple[str, ...] = ()
    attempts: int = 0


#: Why nothing more can be delivered for now.
API = "api"
CONFIGURATION = "configuration"
DISK = "disk"
TIME = "time"
