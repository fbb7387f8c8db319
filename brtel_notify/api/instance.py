"""What one BlueRockTEL has shown of itself: instances differ in age, and so in what they know.

It is kept in the cache: losing it costs some calls, and a first date in the wrong time zone, which
is mended.
"""

from __future__ import annotations

import math
from typing import Any, Dict, NamedTuple, Optional, Tuple

from brtel_notify.api.cache import Cache
from brtel_notify.api.fields import has_zone, parse_date

_KIND = "instance"
#: Seconds for which it is believed what an update may change.
A_DAY = 86400.0
#: …what one meeting has shown,
A_MONTH = 30 * A_DAY
#: …and for which what was read is not read again: a storm asks many times a second.
A_MOMENT = 1.0
#: No place on earth is further from UTC, and none is so by anything but whole quarters of an hour.
_FURTHEST = 14 * 3600
QUARTER = 900

#: How internal notes are kept: the instance says so of each, or nowhere at all.
KEPT, UNSAID = "kept", "unsaid"


class Unseen(NamedTuple):
    """A note that was about to be sent, or was: it may be visible.

    The ids of ticket and reply (0: not known), what people call the ticket, the reference in the
    note, and since when, in seconds since the epoch.
    """

    ticket_id: int
    name: str
    reply_id: int
    reference: str
    at: float


class Instance:
    """What is known of the instance of CACHE; without one, as long as this object lives."""

    def __init__(self, cache: Optional[Cache] = None) -> None:
        self._cache = cache
        self._known: Dict[str, Any] = {}
        self._read: Dict[str, Tuple[float, Any]] = {}

    @property
    def lookups(self) -> Optional[bool]:
        """Whether it has the ``/lookup`` addresses (none in 2023); None: not known yet."""
        return self._flag("lookups")

    @lookups.setter
    def lookups(self, there: bool) -> None:
        if self.lookups != there:
            self._learn("lookups", there)

    @property
    def internal(self) -> str:
        """How it keeps internal notes, as one of this day showed; empty: not known yet."""
        value = self._get("internal", A_DAY)
        return value if value in (KEPT, UNSAID) else ""

    @internal.setter
    def internal(self, word: str) -> None:
        if self.internal != word:
            self._learn("internal", word)

    def forget_internal(self) -> None:
        """It is not known any more: one came out visible."""
        self._learn("internal", "")

    @property
    def unseen(self) -> Optional[Unseen]:
        """The note of which it is not known yet whether it is internal; None: there is none."""
        value = self._get("unseen", math.inf)
        try:
            note = Unseen(**value)
        except TypeError:
            return None
        sound = all(type(item) is kind for item, kind in zip(note, (int, str, int, str, float)))
        return note if sound else None

    @unseen.setter
    def unseen(self, note: Optional[Unseen]) -> None:
        if note != self.unseen:
            self._learn("unseen", note._asdict() if note else None)

    @property
    def offset(self) -> Optional[float]:
        """How far its local time, in which dates without a zone are, is ahead of UTC: seconds.

        None: no ticket of ours has shown it yet.
        """
        value = self._get("offset", math.inf)
        sound = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(value) if sound and abs(value) <= _FURTHEST else None

    @property
    def author(self) -> Optional[int]:
        """The id of the user by whose token our tickets are opened; None: not known yet."""
        value = self._get("author", math.inf)
        return value if type(value) is int else None

    @author.setter
    def author(self, number: Optional[int]) -> None:
        if number and number != self.author:
            self._learn("author", number)

    @property
    def siblings(self) -> bool:
        """Whether another monitoring server of ours was seen to open tickets here, too."""
        return self._get("siblings", A_MONTH) is True

    @siblings.setter
    def siblings(self, seen: bool) -> None:
        if seen and not self.siblings:
            self._learn("siblings", True)

    def learn_offset(self, opened_at: Optional[str], created_at: Optional[str]) -> None:
        """Learn the time zone from one moment that a new ticket has in both forms.

        ``opened_at`` is in local time, ``created_at`` carries a zone (api-notes): summer and winter
        are learned as they come.
        """
        if not opened_at or not created_at or has_zone(opened_at) or not has_zone(created_at):
            return
        local, instant = parse_date(opened_at), parse_date(created_at)
        if local is None or instant is None:
            return
        offset = float(round((local - instant) / QUARTER) * QUARTER)
        if abs(offset) <= _FURTHEST and offset != self.offset:
            self._learn("offset", offset)

    def _flag(self, name: str) -> Optional[bool]:
        value = self._get(name, A_DAY)
        return value if isinstance(value, bool) else None

    def _get(self, name: str, max_age: float) -> Any:
        if self._cache is None:
            return self._known.get(name)
        now = self._cache.clock()
        read_at, value = self._read.get(name, (-math.inf, None))
        if not 0 <= now - read_at < A_MOMENT:
            value = self._cache.get(_KIND, name, max_age)
            self._read[name] = now, value
        return value

    def _learn(self, name: str, value: Any) -> None:
        if self._cache is None:
            self._known[name] = value
        else:
            self._cache.put(_KIND, name, value)
            self._read[name] = self._cache.clock(), value
