"""One event in full, for people: what came in, how it was read, what was done, what went wrong."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, Iterator, List, Optional

from brtel_notify.alert import Alert
from brtel_notify.console.output import paint
from brtel_notify.console.tables import width
from brtel_notify.delivery import retry
from brtel_notify.intake.queue import Event
from brtel_notify.local.cleaning import line_of
from brtel_notify.text import times

#: Fields of an alert that are points in time, seconds since the epoch.
_TIMES = ("time", "since")


def lines(event: Event, alert: Optional[Alert], where: str) -> List[str]:
    """EVENT, of which ALERT was read (None: it could not be), and WHERE it lies."""
    captured = event.capture.time
    age = times.span(time.time() - captured)
    found = [
        f"{paint(line_of(event.id), 'bold')}  {where}",
        f"  captured {times.iso(captured)}, {age} ago, from {event.capture.source}",
    ]
    if event.error:
        found.append("  " + paint(f"error: {line_of(event.error)}", "red"))
    if retry.waits(event, time.time()):
        due_at = retry.due_at(event, time.time())
        found.append(f"  next try {times.iso(due_at)}, in {times.span(due_at - time.time())}")
    found += ["", paint("alert", "bold")]
    found += _alert(alert) if alert else ["  not understood"]
    found += ["", paint("journal", "bold")]
    found += [f"  {line_of(text)}" for text in map(_entry, event.journal)] or ["  nothing yet"]
    found += ["", paint("capture", "bold"), *_capture(event)]
    return found


def _alert(alert: Alert) -> List[str]:
    said = {name: value for name, value in alert._asdict().items() if name != "vars"}
    texts: Dict[str, str] = {"key": alert.key}
    for name, value in said.items():
        if value not in ("", None) and value is not False:
            texts[name] = times.iso(value) if name in _TIMES else str(value)
    return list(_pairs(texts, ": "))


def _capture(event: Event) -> List[str]:
    """What the monitoring system passed, as it was: every line of it."""
    capture = event.capture
    found = list(_pairs({name: capture.env[name] for name in sorted(capture.env)}, "="))
    for number, word in enumerate(capture.argv, 1):
        found += _pairs({f"argument {number}": word}, ": ")
    if capture.stdin:
        found += ["  stdin:", *(f"    {line_of(line)}" for line in _stdin(capture.stdin))]
    return found or ["  nothing"]


def _stdin(text: str) -> List[str]:
    try:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass  # shown as it came
    return text.split("\n")


def _pairs(texts: Dict[str, str], between: str) -> Iterator[str]:
    """``  name: value``, further lines of a value below its beginning; empty ones left out."""
    for name, text in texts.items():
        first, *more = text.rstrip("\n").split("\n")
        if text:
            yield f"  {line_of(name)}{between}{line_of(first)}"
        yield from (" " * (width(name) + len(between) + 2) + line_of(line) for line in more)


# --- the journal ----------------------------------------------------------------------------------


def _entry(record: Dict[str, Any]) -> str:
    """One entry of the journal in words."""
    if "attempt" in record:
        along = record.get("companions")
        more = f", with {len(along)} more" if isinstance(along, list) and along else ""
        return f"{record.get('at', '')} attempt {record['attempt']} on {record.get('key')}{more}"
    if "begin" in record:
        how = f", {record['how']}" if record.get("how") else ""
        return f"{_at(record)} {record['begin']}: sent, or about to be{how}"
    if "refused" in record:
        return f"{_at(record)} {record['refused']}: refused: {record.get('why', '')}"
    if "step" in record:
        return f"{record['step']}: {_result(record['result'])}"
    if "failed" in record:
        doubt = ", and may have arrived all the same" if record.get("maybe_done") else ""
        retry_at = record.get("retry_at")
        when = f"; next try {times.iso(retry_at)}" if retry_at else ""
        return f"failed{doubt}: {record['failed']}{when}"
    if "dead" in record:
        return f"{_at(record)} given up: {record['dead']}"
    if "requeued" in record:
        return f"{_at(record, 'requeued')} put back by hand"
    if "held_until" in record:
        return f"waits: its ticket is opened at {times.iso(record['held_until'])}"
    if "waits_since" in record:
        return f"{_at(record, 'waits_since')} reported first: it has waited since then"
    said = record["unreadable"]
    return f"a damaged line; to be safe, BlueRockTEL is searched before anything is made: {said}"


def _at(record: Dict[str, Any], name: str = "at") -> str:
    moment = record.get(name)
    return times.iso(moment) if isinstance(moment, (int, float)) else ""


def _result(result: Any) -> str:
    """What a step gave: ``ticket 7 (A7KZ2F), customer Acme`` rather than its JSON."""
    if not isinstance(result, dict):
        return str(result)
    return ", ".join(f"{name} {_value(value)}" for name, value in result.items()) or "done"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(_value, value)) or "none"
    if isinstance(value, dict):
        name = value.get("number") or value.get("name")
        return f"{name} (id {value.get('id')})" if name else json.dumps(value)
    return str(value)
