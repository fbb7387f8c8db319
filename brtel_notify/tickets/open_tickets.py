"""The open-ticket map, ``state.json``: which ticket belongs to which alert.

Only the holder of the drain lock writes it. It is made to be read by a person and by jq; so that
ten thousand open tickets cost a delivery next to nothing, an entry is parsed when somebody asks
for it, and written back as the text that it was when nobody did.
"""

from __future__ import annotations

import heapq
import json
import os
import time
from typing import (
    Collection,
    Dict,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Tuple,
)

from brtel_notify.local import files
from brtel_notify.local.log import warn
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.tickets import state_file
from brtel_notify.tickets.entry import Entry, entry_from
from brtel_notify.tickets.state_file import LaterVersion, Texts

__all__ = ["STATE_FILE", "Entry", "Fate", "LaterVersion", "State"]

#: The map of open tickets, in the state folder.
STATE_FILE = "state.json"


class Fate(NamedTuple):
    """Of an entry, what has become of its ticket: fields as in Entry."""

    severity: str
    closed_at: Optional[str]
    recovered_at: Optional[str]
    muted: bool
    checked_at: Optional[str]

    @property
    def is_open(self) -> bool:
        """As of an Entry."""
        return self.closed_at is None and self.recovered_at is None and not self.muted

    @classmethod
    def of(cls, severity: bytes, rest: Iterable[bytes]) -> Fate:
        """From the text of its fields."""
        return cls(severity.decode("ascii"), *map(json.loads, rest))


class State:
    """The map in memory. Not for several threads at once: its user holds a lock.

    An entry that makes no sense (a person edited it, the disk lost a part of it) is found out when
    somebody asks for it: it counts as not there, a warning names it, and the next :meth:`save`
    sets it aside. Its ticket is found again on the server by its reference.
    """

    def __init__(
        self, path: str, texts: Optional[Texts] = None, checked: Optional[PrivateFolder] = None
    ) -> None:
        self.path = path
        self._texts = texts or Texts()
        self._checked = checked
        self._damaged: Dict[str, str] = {}
        #: When alerts were over, and of which entry; None until somebody asks.
        self._ended: Optional[List[Tuple[str, str]]] = None

    @classmethod
    def load(
        cls, path: str, checked: Optional[PrivateFolder] = None
    ) -> Tuple[State, Optional[str]]:
        """The map from its file, and what was wrong with the file, if anything.

        CHECKED remembers a file that need not be looked through again. A damaged file is set
        aside, not thrown away: the tickets are found again on the server by their reference.
        Raises LaterVersion, OSError.
        """
        state, damage = cls.peek(path, checked)
        if damage is None:
            return state, None
        aside = _aside(path)
        os.rename(path, aside)
        files.sync_folder(os.path.dirname(path) or os.curdir)
        return state, (
            f"{damage}; set aside as {os.path.basename(aside)}, and open tickets are found again"
            " by their reference"
        )

    @classmethod
    def peek(
        cls, path: str, checked: Optional[PrivateFolder] = None
    ) -> Tuple[State, Optional[str]]:
        """The map from its file, as :meth:`load`, but a damaged file is left where it is."""
        try:
            return cls(path, state_file.read(path, checked), checked), None
        except FileNotFoundError:
            return cls(path, None, checked), None
        except ValueError as error:
            return cls(path, None, checked), f"{path}: {error}"

    def get(self, key: str) -> Optional[Entry]:
        """The entry of that ticket key."""
        text = self._texts.get(key)
        return None if text is None else self._sound(key, text)

    def _sound(self, key: str, text: str) -> Optional[Entry]:
        """The entry that TEXT says; one that makes no sense is told, and left out."""
        try:
            return entry_from(key, json.loads(text))
        except (ValueError, RecursionError) as error:
            self._damaged[key] = text
            self._texts.drop(key)
            problem = " ".join(str(error).split())
            warn(
                f"{self.path}: the entry {json.dumps(key)} makes no sense ({problem}): it is left"
                " out, and set aside"
            )
            return None

    def with_member(self, alert_key: str) -> Optional[Entry]:
        """The entry of the ticket that stands for the alert of that key."""
        for entry in self._parsed(self._texts.keys_with(alert_key)):
            if alert_key in entry.members:
                return entry
        return None

    def with_lasting(self, lasting: str, systems: Collection[str]) -> Optional[Tuple[Entry, str]]:
        """The entry that has a member of one of SYSTEMS known by LASTING, and the member's key."""
        for entry in self._parsed(self._texts.keys_known_by(lasting)):
            for key, member in entry.members.items():
                known = member.get("lasting", "").split()
                if lasting in known and key.partition(":")[0] in systems:
                    return entry, key
        return None

    def with_reference(self, wanted: str) -> Optional[Entry]:
        """The entry of the ticket with that reference, whatever its key is by now."""
        for entry in self._parsed(self._texts.keys_referred_to(wanted)):
            if entry.reference == wanted:
                return entry
        return None

    def others_on(self, entry: Entry) -> int:
        """How many other open entries use the same ticket (``adopt: any`` lets them)."""
        return sum(
            other.key != entry.key and other.ticket_id == entry.ticket_id and other.is_open
            for other in self._parsed(self._texts.keys_on(entry.ticket_id))
        )

    def _parsed(self, keys: List[str]) -> Iterator[Entry]:
        for key in keys:
            entry = self.get(key)
            if entry is not None:
                yield entry

    def put(self, entry: Entry) -> None:
        """Add or replace one entry."""
        self._texts[entry.key] = entry.text
        self._mind_its_end(entry)

    def drop(self, key: str) -> None:
        """Forget one entry, if it is there."""
        self._texts.drop(key)

    def fates(self) -> Iterator[Tuple[Fate, int]]:
        """What has become of all tickets, each with how many fared so.

        Without parsing, where all entries are in the shape that we give them: some ten times as
        fast as :meth:`entries`, and with a large map that is what a look costs.
        """
        found = self._texts.fates()
        if found is not None:
            yield from ((Fate.of(*fate), number) for fate, number in found.items())
            return
        for entry in self.entries():
            yield Fate(*(getattr(entry, name) for name in Fate._fields)), 1

    @property
    def size(self) -> int:
        """How many bytes a save writes, nearly."""
        return self._texts.size

    def any_ended(self, before: str) -> bool:
        """Whether forget_closed would find one that was over BEFORE that time, or must look."""
        return self._ended is None or bool(self._ended and self._ended[0][0] < before)

    def forget_closed(self, before: str, but: Collection[str] = (), after: str = "~") -> None:
        """Forget the tickets whose alerts were over BEFORE that time (ISO 8601, UTC).

        So, too, those that were over when the clock was wrong, AFTER a time that is still to come:
        the first time that we are asked. BUT are keys of entries that are kept for now.
        """
        if self._ended is None:
            self._ended = []
            for entry in self._parsed(self._texts.keys_ended()):
                if (_ended_at(entry) or "") > after and entry.key not in but:
                    self.drop(entry.key)
                else:
                    self._mind_its_end(entry)
        kept: List[Tuple[str, str]] = []
        while self._ended and self._ended[0][0] < before:
            ended_at, key = heapq.heappop(self._ended)
            found = self.get(key)
            if found is None or _ended_at(found) != ended_at:
                continue
            if key in but:
                kept.append((ended_at, key))
            else:
                self.drop(key)
        for one in kept:
            heapq.heappush(self._ended, one)

    def _mind_its_end(self, entry: Entry) -> None:
        ended_at = _ended_at(entry)
        if self._ended is not None and ended_at:
            heapq.heappush(self._ended, (ended_at, entry.key))

    def entries(self) -> List[Entry]:
        """Every entry, in the order in which they were opened."""
        found = (self._sound(key, text) for key, text in self._texts.items())
        return [entry for entry in found if entry is not None]

    def save(self) -> None:
        """Replace the file, durably and in one step. Raises OSError."""
        if self._damaged:
            files.write_whole(_aside(self.path), Texts.of(self._damaged).file())
            self._damaged = {}
        state_file.write(self.path, self._texts, self._checked)


def _ended_at(entry: Entry) -> Optional[str]:
    return entry.closed_at or entry.recovered_at


def _aside(path: str) -> str:
    """A name for what was damaged; only the holder of the drain lock asks, so it stays free."""
    name = base = f"{path}.damaged-{int(time.time())}"
    number = 1
    while os.path.lexists(name):
        number += 1
        name = f"{base}-{number}"
    return name
