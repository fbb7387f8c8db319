"""The open-ticket map, ``state.json``: which ticket belongs to which alert.

Only the holder of the drain lock writes it. It is made to be read by a person and by jq; so that
ten thousand open tickets cost a delivery next to nothing, an entry is parsed when somebody asks
for it, and written back as the text that it was when nobody did.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from brtel_notify import files, times
from brtel_notify.alert import SEVERITIES, reference

VERSION = 1
_HEAD = '{\n  "version": 1,\n  "tickets": {'
_FOOT = "\n  }\n}\n"
#: Characters that every program writes into JSON as they are: jq, for one, leaves é unescaped.
_PLAIN = re.compile(r"[A-Za-z0-9 ._:%@#()=,;!?*-]+")

log = logging.getLogger(__name__)


class LaterVersion(Exception):
    """state.json was written by a later version of brtel-notify."""


class Entry(NamedTuple):
    """One ticket of ours (or that we share) and the alerts that it stands for.

    ``members`` maps the key of each alert that is still a problem to its severity and state.
    ``priority_id`` is what we last gave the ticket. ``closed_at`` is when we closed it,
    ``recovered_at`` when its last alert recovered and it was left open. ``ours`` is False for a
    ticket that a person opened and ``adopt: any`` made us use. ``muted``: a person closed it and
    the configuration says to leave it at that. Times are ISO 8601, UTC.
    """

    key: str
    reference: str
    ticket_id: int
    number: str
    customer: Dict[str, Any]
    ours: bool = True
    opened_at: str = ""
    severity: str = "unknown"
    priority_id: Optional[int] = None
    host: str = ""
    service: str = ""
    members: Dict[str, Dict[str, Any]] = {}  # noqa: RUF012 - never changed
    closed_at: Optional[str] = None
    recovered_at: Optional[str] = None
    muted: bool = False
    checked_at: Optional[str] = None
    noted: Dict[str, str] = {}  # noqa: RUF012 - never changed
    last_event: str = ""

    @property
    def is_open(self) -> bool:
        """Whether, as far as we know, the ticket is open and ours to use."""
        return self.closed_at is None and self.recovered_at is None and not self.muted


class State:
    """The map in memory. Not for several threads at once: its user holds a lock.

    An entry that makes no sense (a person edited it, the disk lost a part of it) is found out when
    somebody asks for it: it counts as not there, a warning names it, and the next :meth:`save`
    sets it aside. Its ticket is found again on the server by its reference.
    """

    def __init__(self, path: str, texts: Dict[str, str]) -> None:
        self.path = path
        self._texts = texts
        self._damaged: Dict[str, str] = {}

    @classmethod
    def load(cls, path: str) -> Tuple[State, Optional[str]]:
        """The map from its file, and what was wrong with the file, if anything.

        A damaged file is set aside, not thrown away: the tickets are found again on the server by
        their reference. Raises LaterVersion, OSError.
        """
        state, damage = cls.peek(path)
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
    def peek(cls, path: str) -> Tuple[State, Optional[str]]:
        """The map from its file, as :meth:`load`, but a damaged file is left where it is."""
        try:
            data = files.read_whole(path)
        except FileNotFoundError:
            return cls(path, {}), None
        try:
            return cls(path, _split(data)), None
        except ValueError as error:
            return cls(path, {}), f"{path}: {error}"

    def get(self, key: str) -> Optional[Entry]:
        """The entry of that ticket key."""
        text = self._texts.get(key)
        if text is None:
            return None
        try:
            return _entry(key, json.loads(text))
        except (ValueError, RecursionError) as error:
            self._damaged[key] = self._texts.pop(key)
            problem = " ".join(str(error).split())
            log.warning(
                "%s: the entry %s makes no sense (%s): it is left out, and set aside",
                self.path,
                json.dumps(key),
                problem,
            )
            return None

    def with_member(self, alert_key: str) -> Optional[Entry]:
        """The entry of the ticket that stands for the alert of that key."""
        part = max(_PLAIN.findall(alert_key), key=len, default="")
        for entry in self._those(lambda text: part in text):
            if alert_key in entry.members:
                return entry
        return None

    def others_on(self, entry: Entry) -> int:
        """How many other open entries use the same ticket (``adopt: any`` lets them)."""
        same = re.compile(rf'"ticket_id"\s*:\s*"?{entry.ticket_id}\b')
        return sum(
            other.key != entry.key and other.ticket_id == entry.ticket_id and other.is_open
            for other in self._those(lambda text: same.search(text) is not None)
        )

    def _those(self, may_be: Callable[[str], bool]) -> Iterator[Entry]:
        """The entries whose text MAY_BE what is looked for: a cheap look before an exact one."""
        for key in [key for key, text in self._texts.items() if may_be(text)]:
            entry = self.get(key)
            if entry is not None:
                yield entry

    def put(self, entry: Entry) -> None:
        """Add or replace one entry."""
        self._texts[entry.key] = _entry_text(entry)

    def drop(self, key: str) -> None:
        """Forget one entry, if it is there."""
        self._texts.pop(key, None)

    def forget_closed(self, before: str) -> None:
        """Forget the tickets whose alerts were over before that time (ISO 8601, UTC)."""
        for entry in self._those(_may_be_over):
            ended_at = entry.closed_at or entry.recovered_at
            if ended_at is not None and ended_at < before:
                self.drop(entry.key)

    def entries(self) -> List[Entry]:
        """Every entry, in the order in which they were opened."""
        return list(self._those(lambda text: True))

    def save(self) -> None:
        """Replace the file, durably and in one step. Raises OSError."""
        if self._damaged:
            files.write_whole(_aside(self.path), _file(self._damaged))
            self._damaged = {}
        files.write_whole(self.path, _file(self._texts))


def _may_be_over(text: str) -> bool:
    """A cheap look at an entry, before an exact one."""
    return '"closed_at": null' not in text or '"recovered_at": "' in text


def _aside(path: str) -> str:
    """A name for what was damaged; only the holder of the drain lock asks, so it stays free."""
    name = base = f"{path}.damaged-{int(time.time())}"
    number = 1
    while os.path.lexists(name):
        number += 1
        name = f"{base}-{number}"
    return name


# --- the file's text ------------------------------------------------------------------------------


def _file(texts: Dict[str, str]) -> bytes:
    entries = (f"\n    {json.dumps(key)}: {text}" for key, text in texts.items())
    return (_HEAD + ",".join(entries) + _FOOT).encode("utf-8", "replace")


def _entry_text(entry: Entry) -> str:
    data = entry._asdict()
    del data["key"]
    return _indented(data)


def _indented(data: Any) -> str:
    return json.dumps(data, indent=2).replace("\n", "\n    ")


def _split(data: bytes) -> Dict[str, str]:
    """The text of each entry by its key. Raises ValueError, LaterVersion.

    In the shape that :meth:`State.save` gives the file, an entry ends at the only lines that are
    four spaces and a brace. (JSON keeps line breaks out of strings, so no alert can fake one.) A
    file that a person or jq gave another shape is read as any JSON.
    """
    if data.isascii():
        text = data.decode("ascii")
        if text.startswith(_HEAD) and text.endswith(_FOOT):
            texts = _split_quickly(text[len(_HEAD) : -len(_FOOT)])
            if texts is not None:
                return texts
    return _split_slowly(data)


def _split_quickly(body: str) -> Optional[Dict[str, str]]:
    """The entries of a file in our own shape; None when it has another."""
    if not body:
        return {}
    if not body.endswith("\n    }"):
        return None
    texts = {}
    for piece in body[: -len("\n    }")].split("\n    },"):
        end = piece.find(": {\n")
        if end < 0 or not piece.startswith('\n    "') or piece[end - 1] != '"':
            return None
        key = piece[len('\n    "') : end - 1]
        if "\\" in key or '"' in key:
            try:
                key = json.loads(piece[:end])
            except ValueError:
                return None
        texts[key] = piece[end + 2 :] + "\n    }"
    return texts


def _split_slowly(data: bytes) -> Dict[str, str]:
    try:
        whole = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError("is no JSON" if data.strip() else "is empty") from error
    version = whole.get("version", VERSION) if isinstance(whole, dict) else None
    if isinstance(version, (int, float)) and version > VERSION:
        raise LaterVersion(
            f"state.json is of version {version}, written by a later brtel-notify than this one"
            f" (which knows {VERSION}): upgrade brtel-notify"
        )
    if version != VERSION or not isinstance(whole.get("tickets"), dict):
        raise ValueError("has not the shape of an open-ticket map")
    return {key: _indented(entry) for key, entry in whole["tickets"].items()}


# --- one entry ------------------------------------------------------------------------------------


def _entry(key: str, data: Any) -> Entry:
    """The entry that DATA says; what may be absent takes its default. Raises ValueError."""
    if not isinstance(data, dict):
        raise ValueError("it is no object")
    given = {name: data[name] for name in _READERS if name in data}
    values = {"reference": reference(key), "number": "", **given}
    for name in ("ticket_id", "customer"):
        if name not in values:
            raise ValueError(f"{name} is missing")
    for name, value in values.items():
        try:
            values[name] = _READERS[name](value)
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{name} has an impossible value") from None
    return Entry(key=key, **values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _id(value: Any) -> int:
    if isinstance(value, (bool, float)):
        raise TypeError(value)
    return int(value)


def _id_or_null(value: Any) -> Optional[int]:
    return None if value is None else _id(value)


def _time(value: Any) -> str:
    times.from_iso(value)
    return _text(value)


def _time_or_empty(value: Any) -> str:
    return value if value == "" else _time(value)


def _time_or_null(value: Any) -> Optional[str]:
    return None if value is None else _time(value)


def _mapping(value: Any) -> Dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def _customer(value: Any) -> Dict[str, Any]:
    named = _mapping(value)
    return {"name": "", "account": "", "how": "", **named, "id": _id(named["id"])}


def _severity(value: Any) -> str:
    if value not in SEVERITIES:
        raise ValueError(value)
    return _text(value)


def _members(value: Any) -> Dict[str, Dict[str, Any]]:
    return {
        key: {
            **_mapping(member),
            "severity": _severity(member["severity"]),
            "state": _text(member.get("state", "")),
        }
        for key, member in _mapping(value).items()
    }


def _noted(value: Any) -> Dict[str, str]:
    return {fingerprint: _time(at) for fingerprint, at in _mapping(value).items()}


#: Checks each field of an entry, which a person may have edited.
_READERS: Dict[str, Callable[[Any], Any]] = {
    "reference": _text,
    "ticket_id": _id,
    "number": _text,
    "customer": _customer,
    "ours": _flag,
    "opened_at": _time_or_empty,
    "severity": _severity,
    "priority_id": _id_or_null,
    "host": _text,
    "service": _text,
    "members": _members,
    "closed_at": _time_or_null,
    "recovered_at": _time_or_null,
    "muted": _flag,
    "checked_at": _time_or_null,
    "noted": _noted,
    "last_event": _text,
}
