"""Points in time: seconds since the epoch inside, UTC on disk, the configured zone for people."""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo
from typing import Optional

_LAST = 253402300799.0  # the end of the year 9999, and of what datetime can say


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(0.0, seconds), _LAST), timezone.utc)  # NaN, too


def iso(seconds: float) -> str:
    """SECONDS since the epoch as people and jq read it: 2026-11-21T18:31:42Z."""
    return _utc(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_iso(text: str) -> float:
    """The seconds since the epoch of what :func:`iso` wrote. Raises ValueError."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return moment.replace(tzinfo=timezone.utc).timestamp()


def api_date(seconds: float, offset: float = 0.0) -> str:
    """SECONDS since the epoch as BlueRockTEL takes dates: ``Y-m-d H:i:s``, in its own time.

    That is OFFSET seconds ahead of UTC (docs/compatibility.md).
    """
    return _utc(seconds + offset).strftime("%Y-%m-%d %H:%M:%S")


def for_people(seconds: Optional[float], zone: tzinfo) -> str:
    """SECONDS since the epoch as a ticket shows it, in ZONE; empty when there is none."""
    if seconds is None:
        return ""
    try:
        return datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    except (OverflowError, ValueError, OSError):
        return ""


def span(seconds: float) -> str:
    """A length of time in words that fit a table: 42s, 7m, 3h 5m, 2d 4h."""
    whole = max(0, int(seconds))
    for unit, size, below, below_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "m", 60),
    ):
        if whole >= size:
            rest = whole % size // below_size
            return f"{whole // size}{unit} {rest}{below}" if rest else f"{whole // size}{unit}"
    return f"{whole // 60}m" if whole >= 60 else f"{whole}s"
