"""Zabbix: an alert script's three arguments, the third one ``NAME: value`` a line.

The names are Zabbix's own macros; the shipped media type writes them. Facts about the macros were
seen on Zabbix 6.0; the wording of notes and update actions is in its server's source, to 7.x.
"""

from __future__ import annotations

import json
import re
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from brtel_notify.alert import (
    ACKNOWLEDGEMENT,
    COMMENT,
    PROBLEM,
    RECOVERY,
    TEST,
    Alert,
    Unintelligible,
)
from brtel_notify.capture import Capture

from . import fields
from .text import shown

#: Zabbix's severities by their number (EVENT.NSEVERITY): its own name, and ours.
SEVERITIES: Sequence[Tuple[str, str]] = (
    ("Not classified", "unknown"),
    ("Information", "info"),
    ("Warning", "warning"),
    ("Average", "warning"),
    ("High", "critical"),
    ("Disaster", "critical"),
)

_LINE = re.compile(r"([A-Z{][A-Z0-9._{}#$]{0,254}): ?(.*)")
_ABSENT = re.compile(r"\*UNKNOWN\*|\{[A-Z$#?][^{}\n]{0,500}\}")
_MULTILINE = frozenset(
    (
        *("EVENT.NAME", "EVENT.OPDATA", "INVENTORY.NOTES", "ITEM.VALUE", "ITEM.LASTVALUE"),
        *("HOST.DESCRIPTION", "TRIGGER.DESCRIPTION"),
    )
)
_LAST = "EVENT.UPDATE.MESSAGE"
_CANCELLED = re.compile(r"NOTE: Escalation cancell?ed", re.IGNORECASE)
_ONLY_SEVERITY = re.compile(r"changed severity from .{1,200} to .{1,200}", re.IGNORECASE)
_SOMETHING_ELSE = re.compile(
    r"(?:, | and )(?:closed|suppressed|unsuppressed|ranked)\b", re.IGNORECASE
)
_MEDIA_TYPE = "give the media type the message that the README shows for Zabbix"


def parse(capture: Capture) -> Alert:
    """The alert that a Zabbix alert script's arguments mean.

    ``--var NAME=VALUE`` may stand before the three arguments, never after them: a subject is data,
    whatever it looks like. Raises Unintelligible when the three are not there, or the message
    lacks the lines that say what happened to which host.
    """
    flags, (sendto, subject, message) = _arguments(capture.argv)
    note, text = _escalation_note(message)
    own = _lines(text)
    for macro, value in (("SENDTO", sendto), ("SUBJECT", subject)):
        if not _ABSENT.fullmatch(value.strip()):
            own[macro] = value
    # A name without a dot is none of Zabbix's: a line that people add to the message. Text of an
    # alert may hold such a line, so it never wins over a tag.
    lines = {macro: value for macro, value in own.items() if _is_peoples(macro)}
    macros = {macro: value for macro, value in own.items() if macro not in lines}
    variables = fields.variables([*_tags(own), *lines.items()], macros, flags)
    if _is_test(subject, message, own):
        return fields.alert(
            capture, TEST, "test", variables=variables, title=subject, output=message
        )
    host = fields.name(own.get("HOST.HOST", "")) or fields.name(own.get("HOST.NAME", ""))
    if not host:
        raise Unintelligible(f"no line 'HOST.HOST: …' in the message: {_MEDIA_TYPE}")
    trigger = own.get("EVENT.NAME", "")
    check = own.get("TRIGGER.ID", "")
    if not fields.name(check or trigger):
        raise Unintelligible(f"no line 'TRIGGER.ID: …' in the message: {_MEDIA_TYPE}")
    kind, action = (RECOVERY, "cancelled") if note else _kind(own)
    severity, state = _severity(kind, action, own)
    operational = own.get("EVENT.OPDATA", "")
    return fields.alert(
        capture,
        kind,
        host,
        variables=variables,
        severity=severity,
        state=state,
        action=action,
        address=own.get("HOST.IP", "") or own.get("HOST.CONN", ""),
        service=trigger,
        check=check,
        output=note or (f"Operational data: {operational}" if operational else ""),
        since=_since(kind, own),
        author=own.get("USER.FULLNAME", ""),
        comment=note or own.get(_LAST, ""),
        urls=(own.get("TRIGGER.URL", ""), own.get("EVENT.URL", "")),
    )


def _is_peoples(macro: str) -> bool:
    return "." not in macro and macro not in ("SENDTO", "SUBJECT")


def _arguments(argv: Sequence[str]) -> Tuple[Dict[str, str], List[str]]:
    flags, others = fields.var_flags(argv[:-3])
    if len(argv) < 3 or any(word != "--" for word in others):
        raise Unintelligible(
            f"{len(argv)} arguments where Zabbix passes three, {{ALERT.SENDTO}}, {{ALERT.SUBJECT}}"
            f" and {{ALERT.MESSAGE}}: {_MEDIA_TYPE}"
        )
    return flags, list(argv[-3:])


def _escalation_note(message: str) -> Tuple[str, str]:
    """The note that an escalation was cancelled, and the message that Zabbix puts after it.

    It means that the host, the trigger or the action was switched off: nothing more will come.
    """
    if not _CANCELLED.match(message.lstrip()[:100]):
        return "", message
    lines = message.lstrip().split("\n")
    end = 1
    while end < len(lines) and not _is_field(lines[end]):
        end += 1
    # From 6.0 on, a line "Last message sent:" stands between the two.
    note = [line for line in lines[:end] if not line.startswith("Last message sent")]
    return "\n".join(note), "\n".join(lines[end:])


def _is_field(line: str) -> bool:
    found = _LINE.fullmatch(line.rstrip("\r"))
    return found is not None and "." in found.group(1)


def _lines(text: str) -> Dict[str, str]:
    """The lines ``NAME: value`` of TEXT by NAME, without those that have no value.

    The first of several with one name wins, and all that follows ``EVENT.UPDATE.MESSAGE:``
    belongs to it: what a person typed there cannot pass for another line.
    """
    found: Dict[str, List[str]] = {}
    current: Optional[str] = None
    lines = iter(text.split("\n"))
    for line in lines:
        line = line.rstrip("\r")
        match = _LINE.fullmatch(line)
        if match is None:
            if current in _MULTILINE:
                found[current].append(line)
            continue
        current = match.group(1)
        value = match.group(2)
        if current in found:
            current = None
        else:
            found[current] = [value]
        if current == _LAST:
            found[current].extend(lines)
    values = ((macro, "\n".join(parts).strip()) for macro, parts in found.items())
    return {macro: value for macro, value in values if value and not _ABSENT.fullmatch(value)}


def _tags(own: Mapping[str, str]) -> Iterator[Tuple[str, str]]:
    """The event's tags, from EVENT.TAGSJSON or else EVENT.TAGS (``a:b, c:d``)."""
    try:
        tags = json.loads(own.get("EVENT.TAGSJSON", "[]"), parse_int=str, strict=False)
    except (ValueError, RecursionError):
        tags = None
    if isinstance(tags, list) and tags:
        for tag in tags:
            if isinstance(tag, dict):
                yield fields.scalar(tag.get("tag")), fields.scalar(tag.get("value"))
        return
    for pair in own.get("EVENT.TAGS", "").split(", "):
        tag_name, _, value = pair.partition(":")
        yield tag_name, value


def _is_test(subject: str, message: str, own: Mapping[str, str]) -> bool:
    """Whether this is the Test button of a media type, with the text that it proposes."""
    if any("." in macro for macro in own):
        return False
    return (
        message.strip() in ("This is the test message from Zabbix", "{ALERT.MESSAGE}")
        or subject.strip() == "Test subject"
    )


def _kind(own: Mapping[str, str]) -> Tuple[str, str]:
    value = own.get("EVENT.VALUE", "")
    if own.get("EVENT.UPDATE.STATUS") == "1":
        return _update(own.get("EVENT.UPDATE.ACTION", ""), resolved=value == "0")
    if value in ("0", "1"):
        return (PROBLEM if value == "1" else RECOVERY), ""
    if value:
        raise Unintelligible(f"unknown EVENT.VALUE {shown(value)} in the message: it is 0 or 1")
    raise Unintelligible(f"no line 'EVENT.VALUE: …' in the message: {_MEDIA_TYPE}")


def _update(done: str, resolved: bool) -> Tuple[str, str]:
    """The kind of an update, from DONE: ``acknowledged, commented and closed`` and the like."""
    if re.search(r"\backnowledged\b", done, re.IGNORECASE):
        return ACKNOWLEDGEMENT, ""
    if re.search(r"\bunacknowledged\b", done, re.IGNORECASE):
        return ACKNOWLEDGEMENT, "removed"
    only_severity = _ONLY_SEVERITY.fullmatch(done) and not _SOMETHING_ELSE.search(done)
    if only_severity and not resolved:
        return PROBLEM, ""
    return COMMENT, ""


def _severity(kind: str, action: str, own: Mapping[str, str]) -> Tuple[str, str]:
    """Our word and Zabbix's."""
    if kind == RECOVERY:
        return "ok", action or "OK"
    state = own.get("EVENT.SEVERITY", "")
    by_name = {known.lower(): ours for known, ours in SEVERITIES}
    number = own.get("EVENT.NSEVERITY", "")
    if state.lower() in by_name:
        return by_name[state.lower()], state
    if number in ("0", "1", "2", "3", "4", "5"):  # the site renamed its severities
        known, ours = SEVERITIES[int(number)]
        return ours, state or known
    return "unknown", state


def _since(kind: str, own: Mapping[str, str]) -> Optional[float]:
    """When the problem, or on a recovery the good state, began."""
    event = "EVENT.RECOVERY" if kind == RECOVERY else "EVENT"
    seconds = fields.epoch(own.get(f"{event}.TIMESTAMP", ""))  # 7.0 and later
    if seconds is not None:
        return seconds
    return fields.date_and_time(f"{own.get(f'{event}.DATE', '')} {own.get(f'{event}.TIME', '')}")
