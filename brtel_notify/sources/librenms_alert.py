"""What the alert data of a LibreNMS transport say, a JSON object.

What the fields mean is read from LibreNMS's own source (LibreNMS/Alert/RunAlerts.php).
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, Set, Tuple

from brtel_notify.alert import ACKNOWLEDGEMENT, PROBLEM, RECOVERY, TEST, Alert, Unintelligible
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.withheld import named
from brtel_notify.local.cleaning import clean, shown
from brtel_notify.sources import fields, severities
from brtel_notify.sources.html_text import html_to_text
from brtel_notify.sources.source import is_number

#: LibreNMS's numbers for the state of an alert: the kind and the action of ours.
STATES: Mapping[str, Tuple[str, str]] = {
    "0": (RECOVERY, ""),
    "1": (PROBLEM, ""),
    "2": (ACKNOWLEDGEMENT, ""),
    "3": (PROBLEM, "worse"),
    "4": (PROBLEM, "better"),
    "5": (PROBLEM, "changed"),
}

#: How a note begins that LibreNMS adds to an alert's: the site's way of a date, what was done and
#: by whom (app/Http/Controllers/AlertController.php, ack_alert of its API). A directory's name of
#: a user may hold brackets. What begins with a mark of quotation is quoted.
_NOTE = re.compile(
    r"(?!\s*[>|\"'«“„]).{0,60}[0-9].{0,30}? - (?:Un)?Ack \(([^()]*(?:\([^()]*\)[^()]*)*)\) ?"
)

_MARKUP_LENGTH = 500_000  # of a message, before it is read as HTML


def parse(capture: Capture) -> Alert:
    """The alert that LibreNMS's alert data mean; ``--var NAME=VALUE`` overrides what they hold.

    Raises Unintelligible for malformed JSON, or without a host or a known state.
    """
    flags, _ = fields.var_flags(capture.argv)
    data = fields.json_object(capture.stdin, "LibreNMS's alert data on stdin")
    own = {key: text for key, text in _scalars(data) if text.strip()}
    host = own.get("hostname", "") or own.get("sysName", "") or own.get("display", "")
    if not fields.name(host):
        raise Unintelligible("no 'hostname' in LibreNMS's alert data: is it sent by our transport?")
    kind, action = _kind(own)
    recovered = kind == RECOVERY
    severity = own.get("severity", "")
    known = severity.strip().lower()
    output = html_to_text(own.get("msg", "")[:_MARKUP_LENGTH])
    author, comment = _newest(own.get("alert_notes", "")) if kind == ACKNOWLEDGEMENT else ("", "")
    return fields.alert(
        capture,
        kind,
        host,
        variables=fields.variables(_added(data, own, kind), own, flags),
        severity="ok" if recovered else severities.LIBRENMS.get(known, "unknown"),
        state="ok" if recovered else severity,
        action=action,
        address=own.get("ip", ""),
        service=own.get("name", "") or own.get("rule_id", ""),
        title=own.get("title", ""),
        output=output,
        long_output=_faults(data.get("faults"), output),
        since=fields.date_and_time(own.get("timestamp", "")),
        author=author,
        comment=comment,
        urls=(own.get("url", ""),),
        order=own.get("uid", ""),
        lasting="" if kind == TEST else _lasting(own),
    )


def _newest(notes: str) -> Tuple[str, str]:
    """Who wrote the last of an alert's NOTES, and what; all of them, where none has a beginning.

    LibreNMS repeats them all at each acknowledgement. A line that stands there twice is a quotation
    the second time.
    """
    seen: Set[str] = set()
    author = ""
    lines: List[str] = []
    for line in notes.splitlines():
        begins = _NOTE.match(line) if line not in seen else None
        if begins is not None:
            author, lines = begins.group(1), []
        lines.append(line[begins.end() :] if begins is not None else line)
        seen.add(line)
    return author, "\n".join(lines)


def _lasting(own: Mapping[str, str]) -> str:
    """What stays when the device or the rule is renamed."""
    numbers = [own.get(name, "").strip() for name in ("alert_id", "device_id", "rule_id")]
    return "/".join(numbers) if all(map(_counts, numbers)) else ""


def _counts(number: str) -> bool:
    return is_number(number) and number.strip("0") != ""


def _scalars(data: Mapping[str, Any]) -> Iterator[Tuple[str, str]]:
    """The fields that are plain values; ``vars`` is not LibreNMS's but the transport's."""
    for key, value in data.items():
        if key != "vars" and not isinstance(value, (dict, list)):
            yield key, fields.scalar(value)


def _kind(own: Mapping[str, str]) -> Tuple[str, str]:
    if _is_test(own):
        return TEST, ""
    state = own.get("state", "")
    if state.strip() not in STATES:
        said = f"unknown 'state' {shown(state)}" if state else "no 'state'"
        raise Unintelligible(f"{said} in LibreNMS's alert data: it is 0 to {max(STATES)}")
    return STATES[state.strip()]


def _is_test(own: Mapping[str, str]) -> bool:
    """Whether the button "Test transport" was pressed; LibreNMS of 2023 gave it fewer numbers."""
    required = own.get("id") == own.get("uid") == "000"
    return required and all(own.get(number, "000") == "000" for number in ("alert_id", "rule_id"))


def _added(data: Mapping[str, Any], own: Mapping[str, str], kind: str) -> Iterator[Tuple[str, str]]:
    """Lines ``NAME: value`` of the device's notes, then the settings of the transport.

    A test is of the transport, and of no device: LibreNMS just takes the first it has.
    """
    notes = "" if kind == TEST else own.get("notes", "")
    for line in notes.splitlines():
        name, value = named(line)
        if name:
            yield name, value
    settings = data.get("vars")
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield key, fields.scalar(value)


def _faults(faults: Any, output: str) -> str:
    """What each fault says (its ``string``), a line each, unless OUTPUT says it already."""
    rows = list(faults.values()) if isinstance(faults, dict) else faults
    lines: List[str] = []
    length = 0
    seen: Dict[str, None] = {}
    for row in rows if isinstance(rows, list) else ():
        text = clean(fields.scalar(row.get("string")), 2_000) if isinstance(row, dict) else ""
        if text and text not in seen and text not in output[: fields.OUTPUT_LENGTH]:
            seen[text] = None
            lines.append(text)
            length += len(text) + 1
        if length > fields.LONG_OUTPUT_LENGTH:
            break
    return "\n".join(lines)
