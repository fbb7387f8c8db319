"""Range checks for times and ids read from files, which an editor may have changed."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Seconds since the epoch: the year 5138. A time beyond it is a mistake.
LAST_TIME = 1e11
#: What a database gives an id is below this: one beyond it is a mistake.
LAST_ID = 2**63
#: A time that lies further ahead than so many seconds was told by a clock that was wrong.
CLOCK_SLIP = 60.0


def is_time(value: Any) -> bool:
    """Whether it is a point in time, in seconds since the epoch: no text, no bool, no NaN."""
    return type(value) in (int, float) and 0 <= value <= LAST_TIME


def lies_ahead(moment: float, now: float) -> bool:
    """Whether a MOMENT that should be past lies ahead of NOW: then it counts as none."""
    return moment > now + CLOCK_SLIP


def is_id(value: Any) -> bool:
    """Whether it may be an id, or a count: a whole number, no bool."""
    return type(value) is int and 0 <= value <= LAST_ID
