"""The open-ticket map, ``state.json``: which ticket belongs to which alert.

Only the holder of the drain lock writes it. It is made to be read by a person and by jq; so that
ten thousand open tickets cost a delivery next to nothing, an entry is parsed when somebody asks
for it, and written back as the text that it was when nobody did.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Iterator, List, Optional, Tuple

from brtel_notify import files

VERSION = 1
_HEAD = '{\n  "version": 1,\n  "tickets": {'
_FOOT = "\n  }\n}\n"


class LaterVersion(Exception):
    """state.json was written by a later version of brtel-notify."""


@dataclass
class Entry:
    """One ticket of ours (or that we share) and the alerts that it stands for.

    ``members`` maps the key of each alert that is still a problem to its severity and state.
    ``ours`` is False for a ticket that a person opened and ``adopt: any`` made us use. ``muted``:
    a person closed it and the configuration says to leave it at that. Times are ISO 8601, UTC.
    """

    key: str
    reference: str
    ticket_id: int
    number: str
    customer: Dict[str, Any]
    ours: bool = True
    opened_at: str = ""
    severity: str = "unknown"
    host: str = ""
    service: str = ""
    members: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    closed_at: Optional[str] = None
    muted: bool = False
    checked_at: Optional[str] = None
    noted: Dict[str, str] = field(default_factory=dict)
    last_event: str = ""

    @property
    def is_open(self) -> bool:
        """Whether, as far as we know, the ticket is open and ours to use."""
        return self.closed_at is None and not self.muted


class State:
    """The map in memory. Not for several threads at once: its user holds a lock."""

    def __init__(self, path: str, texts: Dict[str, str]) -> None:
        self.path = path
        self._texts = texts

    @classmethod
    def load(cls, path: str) -> Tuple[State, Optional[str]]:
        """The map from its file, and what was wrong with the file, if anything.

        A damaged file is set aside, not thrown away: the tickets are found again on the server by
        their reference. Raises LaterVersion, OSError.
        """
        state, damage = cls.peek(path)
        if damage is None:
            return state, None
        aside = f"{path}.damaged-{int(time.time())}"
        os.replace(path, aside)
        return state, (
            f"{damage}; set aside as {os.path.basename(aside)}, and open tickets are found again"
            " by their reference"
        )

    @classmethod
    def peek(cls, path: str) -> Tuple[State, Optional[str]]:
        """The map from its file, as :meth:`load`, but a damaged file is left where it is."""
        try:
            text = files.read_whole(path).decode("utf-8", "replace")
        except FileNotFoundError:
            return cls(path, {}), None
        try:
            return cls(path, _split(text)), None
        except ValueError as error:
            return cls(path, {}), f"{path}: {error}"

    def get(self, key: str) -> Optional[Entry]:
        """The entry of that ticket key."""
        text = self._texts.get(key)
        return None if text is None else _entry(key, json.loads(text))

    def with_member(self, alert_key: str) -> Optional[Entry]:
        """The entry of the ticket that stands for the alert of that key."""
        for entry in self._mentioning(json.dumps(alert_key)):
            if alert_key in entry.members:
                return entry
        return None

    def others_on(self, entry: Entry) -> int:
        """How many other open entries use the same ticket (``adopt: any`` lets them)."""
        others = self._mentioning(f'"ticket_id": {entry.ticket_id},')
        return sum(
            other.key != entry.key and other.ticket_id == entry.ticket_id and other.is_open
            for other in others
        )

    def _mentioning(self, part: str) -> Iterator[Entry]:
        """The entries whose text holds PART: a cheap look before an exact one."""
        for key, text in self._texts.items():
            if part in text:
                yield _entry(key, json.loads(text))

    def put(self, entry: Entry) -> None:
        """Add or replace one entry."""
        self._texts[entry.key] = _entry_text(entry)

    def drop(self, key: str) -> None:
        """Forget one entry, if it is there."""
        self._texts.pop(key, None)

    def forget_closed(self, before: str) -> None:
        """Forget the tickets that were closed before that time (ISO 8601, UTC)."""
        for key, text in list(self._texts.items()):
            if '"closed_at": null' not in text:
                closed_at = json.loads(text).get("closed_at")
                if closed_at is not None and closed_at < before:
                    del self._texts[key]

    def entries(self) -> List[Entry]:
        """Every entry, in the order in which they were opened."""
        return [_entry(key, json.loads(text)) for key, text in self._texts.items()]

    def save(self) -> None:
        """Replace the file, durably and in one step. Raises OSError."""
        entries = (f"\n    {json.dumps(key)}: {text}" for key, text in self._texts.items())
        files.write_whole(self.path, (_HEAD + ",".join(entries) + _FOOT).encode("utf-8"))


def _entry_text(entry: Entry) -> str:
    data = asdict(entry)
    del data["key"]
    return json.dumps(data, indent=2).replace("\n", "\n    ")


def _entry(key: str, data: Dict[str, Any]) -> Entry:
    known = {name: value for name, value in data.items() if name in Entry.__dataclass_fields__}
    return Entry(**{**known, "key": key})


def _split(text: str) -> Dict[str, str]:
    """The text of each entry by its key. Raises ValueError, LaterVersion.

    In the shape that :meth:`State.save` gives the file, an entry ends at the only lines that are
    four spaces and a brace. (JSON keeps line breaks out of strings, so no alert can fake one.) A
    file that a person or jq gave another shape is read as any JSON.
    """
    if not (text.startswith(_HEAD) and text.endswith(_FOOT)):
        return _split_slowly(text)
    body = text[len(_HEAD) : -len(_FOOT)]
    if not body:
        return {}
    texts = {}
    for piece in body.removesuffix("\n    }").split("\n    },"):
        first, brace, rest = piece.partition(": {\n")
        if not brace or not first.startswith("\n    "):
            return _split_slowly(text)
        texts[json.loads(first)] = f"{{\n{rest}\n    }}"
    return texts


def _split_slowly(text: str) -> Dict[str, str]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError("is no JSON" if text.strip() else "is empty") from error
    version = data.get("version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise LaterVersion(
            f"state.json is of version {version}, written by a later brtel-notify than this one"
            f" (which knows {VERSION}): upgrade brtel-notify"
        )
    try:
        return {key: _entry_text(_entry(key, value)) for key, value in data["tickets"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("has not the shape of an open-ticket map") from error
