"""The journal of an event: one JSON object a line, checked, so that its readers can rely on it.

A line that an editor or a failing disk has damaged becomes an entry of its own kind,
``unreadable``: it may have said that a call was begun, and that must not be forgotten.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterable, Iterator, Mapping

from brtel_notify.local.plausible import is_id, is_time

UNREADABLE = "unreadable"
#: So much of such a line is kept, for people.
_LONGEST = 200
#: So deep is what a step's result holds, at most: the program's own are 3 deep.
_DEEPEST = 20
_ABSENT = object()

Check = Callable[[Any], bool]


def entries(lines: Iterable[bytes]) -> Iterator[Dict[str, Any]]:
    """The entries of a journal; empty lines are none."""
    for line in lines:
        if not line.strip():
            continue
        record = _record(line)
        if is_sound(record):
            yield record
        else:
            yield {UNREADABLE: line[:_LONGEST].decode("utf-8", "replace")}


def _record(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def is_sound(record: Any) -> bool:
    """Whether an entry is one of ours, and says what its readers ask of it."""
    if not isinstance(record, dict):
        return False
    kinds = [fields for kind, fields in _ENTRIES.items() if kind in record]
    if not kinds or not all(_has(fields)(record) for fields in kinds):
        return False
    if "step" not in record:
        return True
    result = _RESULTS.get(record["step"], _is_shallow)
    return "result" in record and result(record["result"])


# --- what a value may be --------------------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_shallow(value: Any, room: int = _DEEPEST) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return room > 0 and all(_is_shallow(each, room - 1) for each in inner)


def _optional(check: Check) -> Check:
    return lambda value: value is _ABSENT or check(value)


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _has(fields: Mapping[str, Check]) -> Check:
    def check(value: Any) -> bool:
        return isinstance(value, dict) and all(
            is_right(value.get(name, _ABSENT)) for name, is_right in fields.items()
        )

    return check


#: What each entry says, by the field that names its kind.
_ENTRIES: Dict[str, Dict[str, Check]] = {
    "attempt": {
        "attempt": is_id,
        "at": _optional(_is_text),
        "key": _optional(_is_text),
        "companions": _optional(_list_of(_is_text)),
    },
    "begin": {"begin": _is_text, "at": _optional(is_time), "how": _optional(_is_text)},
    "refused": {"refused": _is_text, "why": _optional(_is_text), "at": _optional(is_time)},
    "step": {"step": _is_text},
    "failed": {
        "failed": _is_text,
        "maybe_done": _is_flag,
        "at": _optional(is_time),
        "retry_at": _optional(is_time),
        "widely": _optional(_is_flag),
        "of": _optional(_or_null(_is_text)),
        "turned_down": _optional(_is_text),
    },
    "held_until": {"held_until": is_time, "configuration": _is_text},
    "waits_since": {"waits_since": is_time},
    "dead": {"dead": _is_text, "at": _optional(is_time)},
    "requeued": {"requeued": is_time},
}

_CUSTOMER = _has({"id": is_id, "name": _is_text, "account": _is_text, "how": _is_text})
_TICKET = _has(
    {
        "id": is_id,
        "number": _is_text,
        "open": _is_flag,
        "mine": _is_flag,
        "ours": _is_flag,
        "milder": _is_flag,
        "priority_id": _or_null(is_id),
        "customer": _CUSTOMER,
    }
)
_SHORT = _has({"id": is_id, "number": _is_text})
#: What the steps give that later ones build on; of the others it counts only that they were taken.
_RESULTS: Dict[str, Check] = {
    "find": _has(
        {
            "customer": _or_null(_CUSTOMER),
            "ticket": _or_null(_TICKET),
            "seen": _list_of(is_id),
            "doubles": _optional(_list_of(_SHORT)),
        }
    ),
    "check": _has(
        {
            "open": _optional(_is_flag),
            "older": _optional(_SHORT),
            "doubles": _optional(_list_of(_SHORT)),
        }
    ),
    "create": _TICKET,
    "update": _has({"open": _optional(_is_flag), "priority_id": _optional(_or_null(is_id))}),
    "reopen": _has({"refused_for": _optional(_is_text)}),
    **dict.fromkeys(("details", "keep open", "note", "resolve"), _has({})),
    "gone": is_id,
    "to_fallback": is_id,
    "seen_closed": is_id,
}
