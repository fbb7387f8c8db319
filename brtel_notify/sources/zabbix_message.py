"""What the three arguments of a Zabbix alert script say; the third has one ``NAME: value`` a line.

The names are Zabbix's own macros; the shipped media type writes them. What each of them is worth in
which message was seen on Zabbix 6.0 and 7.0; the wording of notes and update actions is in its
server's source, and what 7.4 adds in its manual. A macro that a server does not know, or that does
not apply, stays as it stands in the message, and is absent here.

A message whose first line is ``BRTEL.NOTIFY: 1`` has the form of the shipped media type: first the
lines whose values have no line break, then those of FREE_TEXT in that order, whose values may be
any text. So no text of an alert can pass for a field, or for what a person typed.
"""

from __future__ import annotations

import json
import re
from typing import Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from brtel_notify.alert import (
    ACKNOWLEDGEMENT,
    COMMENT,
    DOWNTIME,
    PROBLEM,
    RECOVERY,
    TEST,
    Alert,
    Unintelligible,
)
from brtel_notify.intake.capture import Capture
from brtel_notify.local.cleaning import shown
from brtel_notify.sources import fields, message_lines, severities
from brtel_notify.sources.source import is_number

_ABSENT = re.compile(
    r"\*UNKNOWN\*|\{[A-Z$#?][^{}\n]{0,500}\}"
    r"|\{\{[A-Z$#?][^{}\n]{0,500}\}\.[a-z0-9]{1,40}\([^\n]{0,500}\)\}"  # with a function
)
_ONLY_SEVERITY = re.compile(r"changed severity from .{1,200} to .{1,200}", re.IGNORECASE)
_SOMETHING_ELSE = re.compile(
    r"(?:, | and )(?:closed|suppressed|unsuppressed|ranked)\b", re.IGNORECASE
)
_MEDIA_TYPE = (
    "import the media type media_brtel_notify.yaml (`brtel-notify install zabbix` says where it is)"
)
#: The tags that name one thing: two values joined would name none.
_ONE_ONLY = frozenset(("CUSTOMER_ACCOUNT", "TICKET_PRIORITY"))
#: What the frontend's button *Test* proposes, in the languages that it is translated to.
_TEST_MESSAGES = frozenset(
    (
        "{ALERT.MESSAGE}",  # 6.4 and later show a script's parameters as they are
        "This is the test message from Zabbix",
        "Ceci est un message de test de Zabbix",
        "Dies ist eine Testnachricht von Zabbix",
        "Aquest és el missatge de prova de Zabbix",
        "Toto je nová testovací zpráva ze Zabbixu",
        "Toto je testovacia správa od Zabbixu",
        "To jest testowa wiadomość z Zabbix.",
        "Это тестовое сообщение от Zabbix",
        "Це тестове повідомлення від Zabbix",
        "これはZabbixからのテストメッセージです",
    )
)


def parse(capture: Capture) -> Alert:
    """The alert that a Zabbix alert script's arguments mean.

    ``--var NAME=VALUE`` may stand before the three arguments, never after them: a subject is data,
    whatever it looks like. Raises Unintelligible when the three are not there, or the message
    lacks the lines that say what happened to which host.

    Discovery and autoregistration are no alerts. They become a comment on something that no
    problem is ever about, so that nothing comes of it.
    """
    flags, (sendto, subject, message) = _arguments(capture.argv)
    note, text = _escalation_note(message)
    own = _lines(text)
    for macro, value in (("SENDTO", sendto), ("SUBJECT", subject)):
        if not _ABSENT.fullmatch(value.strip()):
            own[macro] = value
    # A name without a dot is none of Zabbix's: a line that people add to the message. Where text
    # of an alert may hold such a line (a message without FORMAT), it never wins over a tag.
    lines = {macro: value for macro, value in own.items() if _is_peoples(macro)}
    macros = {macro: value for macro, value in own.items() if macro not in lines}
    variables = fields.variables([*_tags(own), *lines.items()], macros, flags)
    if _is_test(subject, message, own):
        return fields.alert(
            capture, TEST, "test", variables=variables, title=subject, output=message
        )
    about = _about(own)
    kind, action = _kind(own, about)
    if note and about.is_alert:
        kind, action = RECOVERY, "cancelled"
    severity, state = _severity(kind, action, about, own)
    return fields.alert(
        capture,
        kind,
        about.host,
        variables=variables,
        severity=severity,
        state=state,
        action=action,
        address=own.get("HOST.IP", "") or own.get("HOST.CONN", ""),
        service=about.name,
        check=about.check,
        output=note or about.output,
        long_output=own.get("SERVICE.ROOTCAUSE", ""),
        since=_since(kind, own),
        began=_since(PROBLEM, own) if kind == RECOVERY else None,
        author=own.get("USER.FULLNAME", ""),
        comment=note or _comment(kind, own),
        urls=(own.get("TRIGGER.URL", ""), own.get("EVENT.URL", "")),
        occurrence=_occurrence(kind, about, own),
        one_by_one=about.one_by_one,
        lasting=_lasting(own, about),
    )


def _occurrence(kind: str, about: _About, own: Mapping[str, str]) -> str:
    """The problem's event, which its recovery and its updates name, too.

    A service has one problem at a time, and whatever recovers ends it.
    """
    ends_any = kind == RECOVERY and not about.one_by_one
    return "" if ends_any or not about.is_alert else own.get("EVENT.ID", "")


def _lasting(own: Mapping[str, str], about: _About) -> str:
    """What stays when the host is renamed: the trigger (or item, service) and the event, by ids.

    Each alone is not enough: all servers number their first triggers alike.
    """
    identity = about.check.rpartition(" ")[2]
    event = own.get("EVENT.ID", "")
    if not about.is_alert or not is_number(identity) or not is_number(event):
        return ""
    return "/".join((*about.check.split(), event))


class _About(NamedTuple):
    """What an event is about: of ``check`` and ``host`` its ticket's key is made."""

    host: str
    check: str
    name: str  # of what failed, in words for people
    output: str = ""
    state: str = ""  # where it is no severity: "Not supported"
    is_alert: bool = True
    one_by_one: bool = True  # a trigger may have several problems at once, each of which ends


def _about(own: Mapping[str, str]) -> _About:
    """What the event is about, by its source; Zabbix numbers them from 0, triggers."""
    source = own.get("EVENT.SOURCE", "0")
    if source not in _SOURCES:
        raise Unintelligible(f"unknown EVENT.SOURCE {shown(source)} in the message: it is 0 to 4")
    return _SOURCES[source](own)


def _about_trigger(own: Mapping[str, str]) -> _About:
    name = own.get("EVENT.NAME", "")
    check = own.get("TRIGGER.ID", "")
    host = _host(own)
    if not fields.name(check or name):
        raise Unintelligible(f"no line 'TRIGGER.ID: …' in the message: {_MEDIA_TYPE}")
    operational = own.get("EVENT.OPDATA", "")
    return _About(host, check, name, f"Operational data: {operational}" if operational else "")


#: Zabbix's own health, by EVENT.OBJECT: what cannot do its work, and the words of its lines.
_OBJECTS: Mapping[str, Tuple[str, str]] = {
    "0": ("trigger", "TRIGGER"),
    "4": ("item", "ITEM"),
    "5": ("discovery rule", "LLDRULE"),
}


def _about_internal(own: Mapping[str, str]) -> _About:
    """An item or a discovery rule that is not supported, a trigger that cannot be evaluated.

    The name of such an event is its error.
    """
    number = own.get("EVENT.OBJECT", "")
    if number not in _OBJECTS:
        raise Unintelligible(f"unknown EVENT.OBJECT {shown(number)} in the message: {_MEDIA_TYPE}")
    thing, word = _OBJECTS[number]
    identity = own.get(f"{word}.ID", "")
    if not fields.name(identity):
        raise Unintelligible(f"no line '{word}.ID: …' in the message: {_MEDIA_TYPE}")
    name = own.get(f"{word}.NAME", "") or identity
    return _About(
        _host(own),
        f"{thing} {identity}",  # the trigger's own problems have another ticket
        f"{thing} {name}",
        own.get("EVENT.NAME", ""),
        own.get(f"{word}.STATE", ""),
    )


def _about_service(own: Mapping[str, str]) -> _About:
    """A (business) service, which stands in the host's place; 6.0 tells only its name."""
    name = own.get("SERVICE.NAME", "")
    if not fields.name(name):
        raise Unintelligible(f"no line 'SERVICE.NAME: …' in the message: {_MEDIA_TYPE}")
    identity = own.get("SERVICE.ID", "")
    return _About(
        name,
        f"service {identity}".strip(),
        "Zabbix service",
        own.get("EVENT.NAME", ""),
        one_by_one=False,
    )


def _about_discovery(own: Mapping[str, str]) -> _About:
    host = own.get("HOST.HOST", "") or own.get("DISCOVERY.DEVICE.IPADDRESS", "")
    return _About(host or "discovery", "discovery", "discovery", is_alert=False)


_SOURCES: Mapping[str, Callable[[Mapping[str, str]], _About]] = {
    "0": _about_trigger,
    "1": _about_discovery,
    "2": _about_discovery,
    "3": _about_internal,
    "4": _about_service,
}


def _host(own: Mapping[str, str]) -> str:
    for line in ("HOST.HOST", "HOST.NAME"):
        if fields.name(own.get(line, "")):
            return own[line]
    raise Unintelligible(f"no line 'HOST.HOST: …' in the message: {_MEDIA_TYPE}")


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
    lines, text = message_lines.note_of_cancellation(message)
    # From 6.0 on, a line "Last message sent:" stands between the two.
    return "\n".join(line for line in lines if not line.startswith("Last message sent")), text


def _lines(text: str) -> Dict[str, str]:
    """The lines ``NAME: value`` of TEXT by NAME, without those that have no value.

    The first of several with one name wins, and all that follows ``EVENT.UPDATE.MESSAGE:``
    belongs to it: what a person typed there cannot pass for another line.
    """
    found: Dict[str, List[str]] = {}
    for line, name, value in message_lines.read(text):
        if value is not None:
            found.setdefault(name, [value])
        elif name:
            found[name].append(line.rstrip("\r"))
    values = ((macro, "\n".join(parts).strip()) for macro, parts in found.items())
    return {macro: value for macro, value in values if value and not _ABSENT.fullmatch(value)}


def _tags(own: Mapping[str, str]) -> Iterator[Tuple[str, str]]:
    """The event's tags, by name: all values of one, joined; of what is one only, the first.

    A name may stand several times (``scope: availability``, ``scope: voip``), in any case.
    """
    values: Dict[str, Dict[str, None]] = {}
    for tag_name, value in _single_tags(own):
        if value.strip():
            values.setdefault(fields.bare(tag_name), {})[value.strip()] = None
    for tag_name, said in values.items():
        yield tag_name, next(iter(said)) if tag_name in _ONE_ONLY else ", ".join(said)


def _single_tags(own: Mapping[str, str]) -> Iterator[Tuple[str, str]]:
    """The tags one by one, from EVENT.TAGSJSON or else EVENT.TAGS (``a:b, c:d``)."""
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
    return message.strip() in _TEST_MESSAGES or subject.strip() == "Test subject"


def _kind(own: Mapping[str, str], about: _About) -> Tuple[str, str]:
    if not about.is_alert:
        return COMMENT, ""
    value = own.get("EVENT.VALUE", "")
    if own.get("EVENT.UPDATE.STATUS") == "1":
        if own.get("EVENT.SOURCE") == "4":  # a service's update is a change of its severity
            return (RECOVERY if value == "0" else PROBLEM), ""
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
    if re.search(r"\bsuppressed\b", done, re.IGNORECASE):  # 6.2 and later
        return DOWNTIME, "start"
    if re.search(r"\bunsuppressed\b", done, re.IGNORECASE):
        return DOWNTIME, "end"
    only_severity = _ONLY_SEVERITY.fullmatch(done) and not _SOMETHING_ELSE.search(done)
    if only_severity and not resolved:
        return PROBLEM, ""
    return COMMENT, ""


def _comment(kind: str, own: Mapping[str, str]) -> str:
    """What a person said or, where nothing, did: ``closed``, ``suppressed until …``."""
    said = own.get(message_lines.LAST, "")
    done = own.get("EVENT.UPDATE.ACTION", "") if kind in (COMMENT, DOWNTIME) else ""
    return said or done


def _severity(kind: str, action: str, about: _About, own: Mapping[str, str]) -> Tuple[str, str]:
    """Our word and Zabbix's."""
    if kind == RECOVERY:
        return "ok", action or "OK"
    if about.state:
        return "unknown", about.state
    # A service's update names the new severity apart.
    state = own.get("EVENT.UPDATE.SEVERITY", "") or own.get("EVENT.SEVERITY", "")
    number = own.get("EVENT.UPDATE.NSEVERITY", "") or own.get("EVENT.NSEVERITY", "")
    by_name = {known.lower(): ours for known, ours in severities.ZABBIX}
    if state.lower() in by_name:
        return by_name[state.lower()], state
    if number in ("0", "1", "2", "3", "4", "5"):  # the site renamed its severities
        known, ours = severities.ZABBIX[int(number)]
        return ours, state or known
    return "unknown", state


def _since(kind: str, own: Mapping[str, str]) -> Optional[float]:
    """When the problem, or on a recovery the good state, began."""
    event = "EVENT.RECOVERY" if kind == RECOVERY else "EVENT"
    seconds = fields.epoch(own.get(f"{event}.TIMESTAMP", ""))  # 7.4 and later
    if seconds is not None:
        return seconds
    return fields.date_and_time(f"{own.get(f'{event}.DATE', '')} {own.get(f'{event}.TIME', '')}")
