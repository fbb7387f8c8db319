"""The map of open tickets, and the events that are recorded in it but still lie in the queue.

The larger the map, the more a save costs; so it is saved for several events at once, and only then
their files are removed. How many, its size says: each pays for about as many bytes. An event that
comes alone, or to a small map, is saved at once.

A process that is killed before the save leaves files whose journals show every step done: they are
only recorded. One that is killed behind it leaves files that the map names: they are only removed.
"""

from __future__ import annotations

import threading
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from brtel_notify.delivery.entry_of import Met
from brtel_notify.delivery.together import Follower
from brtel_notify.intake.queue import Event, Queue
from brtel_notify.text import times
from brtel_notify.tickets.ended import KEPT, Ended
from brtel_notify.tickets.open_tickets import Entry, State

#: For how many seconds what is over is kept; and now, in seconds since the epoch.
Keep = Tuple[float, float]
#: A ticket that was closed so many seconds ahead of now was closed by a clock that was wrong. (One
#: that is less far ahead may still have events that were begun with it.)
AHEAD = 43200.0
#: Bytes of the map that are written for an event.
BYTES_AN_EVENT = 65536
#: An entry names at most about so many events whose files are still there.
MOST_RECORDED = 50
#: For so many seconds it is believed when the oldest event that waits was captured.
ASKED_EVERY = 60.0
#: Old ends are swept with the first of a drain, and of each so many: that reads all of them.
ENDS_SWEPT = 500


class Book:
    """What all threads of a drain share; whoever uses ``state`` holds ``lock``."""

    def __init__(self, state: State, queue: Queue) -> None:
        self.state = state
        self.queue = queue
        self.ended = Ended(queue.state_dir)
        self.lock = threading.Lock()
        self._ends = 0
        self._unsaved: Dict[str, Event] = {}  # by id, in the order in which they are removed
        self._events_of: Dict[str, int] = {}  # by key: how many of those are recorded there
        self._at_once = False
        self._forget: Optional[Keep] = None
        self._asked = self._oldest = float("-inf")

    def __contains__(self, event_id: str) -> bool:
        """Whether the event is done, and its file still there."""
        return event_id in self._unsaved

    def record(self, entry: Entry, events: Sequence[Event], forget: Optional[Keep]) -> None:
        """EVENTS are done, and ENTRY says so; it names the last of them itself.

        With the next save, tickets whose alerts were over longer ago than FORGET says, or by a
        clock that was wrong, are forgotten.
        """
        ids = [event.id for event in events]
        with self.lock:
            before = self.state.get(entry.key)
            if before is not None:
                ids = [*before.recorded, before.last_event, *ids]
            there = [one for one in ids if one != entry.last_event and self.queue.has(one)]
            self.state.put(entry._replace(recorded=there))
            self._unsaved.update((event.id, event) for event in events)
            self._events_of[entry.key] = self._events_of.get(entry.key, 0) + len(events)
            self._at_once = self._at_once or len(there) >= MOST_RECORDED
            self._forget = forget or self._forget

    def take_over(self, met: Met) -> Entry:
        """The entry that an alert met, from now on by the names of today. The LOCK is held."""
        entry, stored = met
        if entry.key != stored.key:
            self.state.drop(stored.key)
            if stored.key in self._events_of:
                recorded = self._events_of.pop(stored.key)
                self._events_of[entry.key] = self._events_of.get(entry.key, 0) + recorded
        if entry != stored:
            self.state.put(entry)
        return entry

    def has_ended(self, recoveries: Iterable[Follower], now: float) -> None:
        """What has ended, by these RECOVERIES, for a problem that comes behind its own.

        Raises OSError.
        """
        with self.lock:
            for event, alert in recoveries:
                self.ended.add(alert, event.capture.time)
            self._ends += 1
            if self._ends % ENDS_SWEPT == 1 and self.ended.is_old(now):
                self.ended.sweep(min(now - KEPT, self.queue.oldest()))

    def drop(self, key: str, events: Sequence[Event]) -> None:
        """EVENTS are done, and their entry is forgotten: it can name none of them, so at once.

        Raises OSError.
        """
        with self.lock:
            self._save()  # those that it names leave the queue before it does
            self.state.drop(key)
            self._events_of[key] = 0
            self._unsaved.update((event.id, event) for event in events)
            self._save()

    def remove(self, events: Sequence[Event]) -> None:
        """EVENTS are done, and nothing is to be recorded. Raises OSError."""
        for event in events:
            self.queue.remove(event)

    @property
    def is_due(self) -> bool:
        """Whether a save is worth its while."""
        with self.lock:
            enough = self._at_once or len(self._unsaved) > self.state.size // BYTES_AN_EVENT
            return bool(self._unsaved) and enough

    @property
    def unsaved(self) -> List[str]:
        """The ids of the events that are done and not saved."""
        with self.lock:
            return list(self._unsaved)

    def save(self) -> None:
        """Save, and remove the files of what is saved. Raises OSError; then what is left stays."""
        with self.lock:
            self._save()

    def _over_before(self, keep: float, now: float) -> str:
        """What was over before that time is forgotten, ISO 8601, UTC.

        What waits (in an outage, say) finds what it would have found when it was captured: a day
        ago at most, for an event that never leaves must not keep them all.
        """
        before = times.iso(now - keep)
        if not self.state.any_ended(before):
            return before
        if not 0 <= now - self._asked < ASKED_EVERY:  # it only grows, and costs a look at all names
            self._asked, self._oldest = now, self.queue.oldest(dead=False)
            if self._oldest > now + ASKED_EVERY:  # by a clock that was ahead: it may wait for long
                self._oldest = float("-inf")
        return times.iso(min(now, max(self._oldest, now - KEPT)) - keep)

    def _save(self) -> None:
        if self._events_of:
            if self._forget is not None:
                # Several of its events may be left in the queue, which it must be there to name.
                several = {key for key, events in self._events_of.items() if events > 1}
                after = times.iso(self._forget[1] + AHEAD)
                self.state.forget_closed(self._over_before(*self._forget), several, after)
            self.state.save()
            self._events_of, self._at_once, self._forget = {}, False, None
        for event in list(self._unsaved.values()):
            self.queue.remove(event)
            del self._unsaved[event.id]
