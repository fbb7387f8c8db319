"""What became of an event, and whether it is to be tried again, as values."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Optional, Tuple

DELIVERED = "delivered"
IGNORED = "ignored"
QUEUED = "queued"
REFUSED = "refused"
MISCONFIGURED = "misconfigured"
FAILED = "failed"

#: Exit codes of the notification commands, by what became of their event (DESIGN section 2).
EXIT_CODES = {REFUSED: os.EX_DATAERR, FAILED: os.EX_SOFTWARE, MISCONFIGURED: os.EX_CONFIG}


class Outcome(NamedTuple):
    """What became of an event: one of the words above, and a few for people.

    ``calls`` is how many calls of the API it took, None where they are not worth telling.
    """

    status: str
    text: str
    calls: Optional[int] = None

    @property
    def line(self) -> str:
        """The text, and how many calls it took."""
        if self.calls is None:
            return self.text
        return f"{self.text}, {self.calls} call{'' if self.calls == 1 else 's'}"

    def __str__(self) -> str:
        return f"{self.status}: {self.line}"


class Failure(NamedTuple):
    """What an event's journal says of an attempt that did not deliver it.

    ``maybe_done``: the call may have taken effect all the same. ``retry_at`` as in Verdict.
    ``widely``: for a reason that has nothing to do with this event.
    """

    text: str
    maybe_done: bool = False
    retry_at: float = 0.0
    widely: bool = False


class Tried(NamedTuple):
    """An event that was tried to be delivered: its id and file, its alert's key, how often.

    ``key`` is empty for one that could not even be read.
    """

    event_id: str
    state_dir: str
    path: str = ""
    key: str = ""
    attempts: int = 0


class Verdict(NamedTuple):
    """An outcome, and what follows from it.

    ``stays``: the event is still in the queue, and ``begun``: some of it is done, perhaps.
    ``retry_at``: not to be tried before that time, seconds since the epoch. ``halts``: other events
    would fare the same, so nothing more is to be tried for now; None when only this event is
    concerned. ``retry_after`` is the server's own wish, in seconds. ``also_done`` are the ids of
    events behind this one that were delivered with it. ``attempts`` is how often the event was
    tried, where that matters. ``failure`` is what its journal is to say, ``reason`` why it is given
    up: it is kept in dead/, unless that failed too. ``aside`` are the ids of the events that wait
    until ``retry_at`` for a ticket to be opened, all of the alert of these ``names`` (lane_of.py);
    nothing else waits for them. ``lane`` is that which the events of these ``names`` belong into by
    now; nothing was done yet. ``is_news``: the log is to tell it.
    """

    outcome: Outcome
    stays: bool = False
    begun: bool = False
    retry_at: float = 0.0
    halts: Optional[str] = None
    retry_after: Optional[float] = None
    also_done: Tuple[str, ...] = ()
    attempts: int = 0
    failure: Optional[Failure] = None
    reason: str = ""
    aside: Tuple[str, ...] = ()
    names: Tuple[str, ...] = ()
    lane: str = ""
    is_news: bool = True


def waiting(text: str, halts: Optional[str] = None, status: str = QUEUED, **more: Any) -> Verdict:
    """The verdict on an event that stays queued; MORE are further fields of Verdict."""
    return Verdict(Outcome(status, text), stays=True, halts=halts, **more)


def given_up(reason: str, tried: Tried, failure: Optional[Failure] = None) -> Verdict:
    """The verdict on an event that is refused for good."""
    outcome = Outcome(REFUSED, f"{reason}; kept in dead/ as {tried.event_id}")
    return Verdict(outcome, failure=failure, reason=reason)


class NoOwner(Exception):
    """No lookup gave a customer, and there is no fallback: the event is refused for good."""


#: Why nothing more can be delivered for now.
API = "api"
CONFIGURATION = "configuration"
DISK = "disk"
TIME = "time"
LOCK = "lock"
