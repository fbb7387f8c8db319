"""One entry of the open-ticket map, and how it is read from the file, which a person may edit."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from brtel_notify.alert import SEVERITIES, reference
from brtel_notify.local.plausible import LAST_ID, lies_ahead
from brtel_notify.text import times
from brtel_notify.tickets import state_file


class Entry(NamedTuple):
    """One ticket of ours (or that we share) and the alerts that it stands for.

    ``members`` maps the key of each alert that is still a problem to what is known of it
    (delivery/occurrences.py).
    ``priority_id`` is what we last gave the ticket. ``closed_at`` is when we closed it,
    ``recovered_at`` when its last alert recovered and it was left open. ``ours`` is False for a
    ticket that a person opened and ``adopt: any`` made us use. ``muted``: a person closed it and
    the configuration says to leave it at that. ``others_unknown``: it is a group's ticket that was
    found open, so it may stand for alerts that only somebody else knows of. ``closed_for`` are the
    keys of alerts that it stood for until they recovered, the last ones at ``over_at``.
    ``results`` counts the notes of a volatile service (occurrences.py). ``recorded`` are the ids of
    events before ``last_event`` that are done as well, of which a file may be left in the queue.
    ``perhaps_two``: another server may have opened one for the same alert in the same instant
    (doubles.py). Times are ISO 8601, UTC.
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
    others_unknown: bool = False
    last_event: str = ""
    last_note: str = ""  # the last event of which we wrote on the ticket
    closed_for: List[str] = []  # noqa: RUF012 - never changed
    results: Dict[str, Any] = {}  # noqa: RUF012 - never changed
    recorded: List[str] = []  # noqa: RUF012 - never changed
    perhaps_two: bool = False
    over_at: Optional[str] = None

    @property
    def is_open(self) -> bool:
        """Whether, as far as we know, the ticket is open and ours to use."""
        return self.closed_at is None and self.recovered_at is None and not self.muted

    def as_of(self, now: float) -> Entry:
        """The entry without times that lie ahead of NOW, which a clock that was wrong has told.

        What is over was over long ago, then; what was looked at or noted, never. (``over_at`` says
        what came within minutes of each other, by whatever clock.)
        """

        def ahead(moment: Optional[str]) -> bool:
            return bool(moment) and lies_ahead(times.from_iso(moment or ""), now)

        long_ago = times.iso(0.0)
        return self._replace(
            opened_at="" if ahead(self.opened_at) else self.opened_at,
            closed_at=long_ago if ahead(self.closed_at) else self.closed_at,
            recovered_at=long_ago if ahead(self.recovered_at) else self.recovered_at,
            checked_at=None if ahead(self.checked_at) else self.checked_at,
            noted={text: at for text, at in self.noted.items() if not ahead(at)},
        )

    @property
    def text(self) -> str:
        """The entry as it stands in the file, below its key."""
        data = self._asdict()
        del data["key"]
        return state_file.indented(data)


def entry_from(key: str, data: Any) -> Entry:
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
    number = int(value)
    if not 0 <= number <= LAST_ID:
        raise ValueError(value)
    return number


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
    texts = {name: _text(named.get(name, "")) for name in ("name", "account", "how")}
    return {"id": _id(named["id"]), **texts}


def _severity(value: Any) -> str:
    if value not in SEVERITIES:
        raise ValueError(value)
    return _text(value)


def _members(value: Any) -> Dict[str, Dict[str, Any]]:
    return {key: _member(member) for key, member in _mapping(value).items()}


def _member(value: Any) -> Dict[str, Any]:
    """What is known of an alert (delivery/occurrences.py)."""
    member = {
        **_mapping(value),
        "severity": _severity(value["severity"]),
        "state": _text(value.get("state", "")),
        "since": _time_or_empty(value.get("since", "")),
    }
    for name in ("occurrence", "by", "notification", "lasting"):
        if name in member:
            member[name] = _text(member[name])
    if "order" in member:
        member["order"] = _id(member["order"])
    if "open" in member:
        member["open"] = _members(member["open"])
    return member


def _texts(value: Any) -> List[str]:
    if not isinstance(value, list):
        raise TypeError(value)
    return [_text(each) for each in value]


def _results(value: Any) -> Dict[str, Any]:
    given = _mapping(value)
    if not given:
        return {}
    counts = {name: _id(given.get(name, 0)) for name in ("noted", "untold")}
    return {"since": _time(given["since"]), **counts}


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
    "others_unknown": _flag,
    "last_event": _text,
    "last_note": _text,
    "closed_for": _texts,
    "recorded": _texts,
    "perhaps_two": _flag,
    "over_at": _time_or_null,
    "results": _results,
}
