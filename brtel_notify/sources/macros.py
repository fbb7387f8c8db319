"""What Nagios and Icinga share: macros in variables NAGIOS_… and ICINGA_…, and their words."""

from __future__ import annotations

import re
from typing import Dict, Iterator, Mapping, Tuple

from brtel_notify.alert import (
    ACKNOWLEDGEMENT,
    COMMENT,
    DOWNTIME,
    FLAPPING,
    PROBLEM,
    RECOVERY,
    Alert,
    Unintelligible,
)
from brtel_notify.intake.capture import Capture
from brtel_notify.local.cleaning import shown
from brtel_notify.sources import fields, severities

#: Notification types: the kind and the action of the alert.
TYPES: Mapping[str, Tuple[str, str]] = {
    "PROBLEM": (PROBLEM, ""),
    "RECOVERY": (RECOVERY, ""),
    "ACKNOWLEDGEMENT": (ACKNOWLEDGEMENT, ""),
    "CUSTOM": (COMMENT, ""),
    "FLAPPINGSTART": (FLAPPING, "start"),
    "FLAPPINGSTOP": (FLAPPING, "end"),  # Nagios's word
    "FLAPPINGEND": (FLAPPING, "end"),  # Icinga 2's
    "FLAPPINGDISABLED": (FLAPPING, "cancelled"),
    "DOWNTIMESTART": (DOWNTIME, "start"),
    "DOWNTIMEEND": (DOWNTIME, "end"),
    "DOWNTIMECANCELLED": (DOWNTIME, "cancelled"),  # Nagios's word
    "DOWNTIMEREMOVED": (DOWNTIME, "cancelled"),  # Icinga 2's
}

_PREFIXES = ("NAGIOS_", "ICINGA_")
_UUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_UNEXPANDED = r"\$[A-Za-z0-9_.:@]{1,255}\$"


def parse(capture: Capture) -> Alert:
    """The alert that a Nagios or Icinga notification means.

    The macros come from the environment and from ``--var NAME=VALUE``, with or without the
    prefix, which adds or overrides one. Other words on the command line are ignored here. Raises
    Unintelligible without a host, or without a known notification type.
    """
    words, _ = fields.var_flags(capture.argv)
    flags = {_macro_name(word): _expanded(value) for word, value in words.items()}
    macros = {**_environment(capture.env), **flags}
    host = macros.get("HOSTNAME", "")
    if not fields.name(host):
        raise Unintelligible(_no_host(capture.source))
    kind, action = _kind(macros.get("NOTIFICATIONTYPE", ""))
    service = _first(macros, "SERVICEDESC", "SERVICENAME", "SERVICEDISPLAYNAME")
    thing = "SERVICE" if service else "HOST"
    state = macros.get(f"{thing}STATE", "")
    known = state.strip().upper()
    acknowledged = kind == ACKNOWLEDGEMENT
    occurrence, named_by = _occurrence(capture.source, macros, thing, kind)
    return fields.alert(
        capture,
        kind,
        host,
        variables=fields.variables(_custom(macros), macros, flags),
        time=fields.epoch(macros.get("TIMET", "")),
        severity="ok" if kind == RECOVERY else severities.NAGIOS.get(known, "unknown"),
        state=state,
        action=action,
        address=macros.get("HOSTADDRESS", ""),
        service=service,
        output=macros.get(f"{thing}OUTPUT", ""),
        long_output=_with_newlines(macros.get(f"LONG{thing}OUTPUT", "")),
        since=fields.epoch(_first(macros, f"LAST{thing}STATECHANGE", "LASTSTATECHANGE")),
        author=_first(
            macros,
            "NOTIFICATIONAUTHOR",
            "NOTIFICATIONAUTHORNAME",
            "NOTIFICATIONAUTHORALIAS",
            *([f"{thing}ACKAUTHOR"] if acknowledged else []),
        ),
        comment=_first(
            macros, "NOTIFICATIONCOMMENT", *([f"{thing}ACKCOMMENT"] if acknowledged else [])
        ),
        urls=[macros.get(f"{thing}{link}", "") for link in ("NOTESURL", "ACTIONURL", "INFOURL")],
        occurrence=occurrence,
        occurrence_by=named_by,
        notification=_notification(macros, thing),
    )


def _occurrence(source: str, macros: Mapping[str, str], thing: str, kind: str) -> Tuple[str, str]:
    """What this problem of THING is called, and by which macro (DESIGN section 5, the table).

    Only of a problem: what recovers is over, whatever it was called. Until when all was well is
    the same from the first problem to the recovery, also while a warning becomes critical; an id
    is 0 where the daemon has none (DOWN that becomes UNREACHABLE). Seen on Nagios 4 and Icinga 2;
    Naemon's ids are UUIDs (its source, since 1.4.3).
    """
    if kind != PROBLEM:
        return "", ""
    well_until = "LASTSERVICEOK" if thing == "SERVICE" else "LASTHOSTUP"
    if fields.epoch(macros.get(well_until, "")):
        return macros[well_until].strip(), well_until
    if source == "icinga":  # a drop-in of before; a state may begin anew within one problem
        macro = _first_name(macros, f"LAST{thing}STATECHANGE", "LASTSTATECHANGE")
        state = macros.get(f"{thing}STATE", "").strip().upper()
        known = fields.epoch(macros.get(macro, ""))
        return (macros[macro].strip(), f"{macro} {state}") if known else ("", "")
    problem = macros.get(f"{thing}PROBLEMID", "").strip()
    is_id = fields.whole_number(problem) or re.fullmatch(_UUID, problem)
    return (problem, f"{thing}PROBLEMID") if is_id else ("", "")


def _notification(macros: Mapping[str, str], thing: str) -> str:
    """Which notification it is, of a service whose every result is news."""
    is_volatile = macros.get(f"{thing}ISVOLATILE", "").strip() == "1"
    return macros.get(f"{thing}NOTIFICATIONID", "") if is_volatile else ""


def _environment(env: Mapping[str, str]) -> Dict[str, str]:
    """The macros in ENV by their own names; where both prefixes give one, NAGIOS_ wins."""
    macros: Dict[str, str] = {}
    for prefix in _PREFIXES:
        for variable, value in env.items():
            if variable.startswith(prefix):
                macro = _macro_name(variable)
                macros[macro] = macros.get(macro) or _expanded(value)
    return macros


def _macro_name(variable: str) -> str:
    name = variable.strip().upper()
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def _expanded(value: str) -> str:
    """VALUE, or nothing when it is a macro that the daemon left as it was, ``$SERVICEDESC$``."""
    return "" if value.startswith("$") and re.fullmatch(_UNEXPANDED, value) else value


def _custom(macros: Mapping[str, str]) -> Iterator[Tuple[str, str]]:
    """Custom variables by the bare names their owners gave them, the nearest thing's first."""
    for owner in ("_SERVICE", "_HOST", "_CONTACT"):
        for macro, value in macros.items():
            if macro.startswith(owner):
                yield macro[len(owner) :], value


def _kind(word: str) -> Tuple[str, str]:
    found = TYPES.get(word.strip().upper())
    if found is not None:
        return found
    known = ", ".join(("PROBLEM", "RECOVERY", "ACKNOWLEDGEMENT", "CUSTOM"))
    if not word.strip():
        raise Unintelligible(f"no NOTIFICATIONTYPE: it says what happened ({known}, …)")
    raise Unintelligible(
        f"unknown NOTIFICATIONTYPE {shown(word)}: it is {known}, FLAPPING… or DOWNTIME…"
    )


def _no_host(source: str) -> str:
    if source == "icinga":
        return (
            "no HOSTNAME: the env dictionary of the NotificationCommand must set ICINGA_HOSTNAME"
            " (or give --var HOSTNAME=…)"
        )
    return (
        "no HOSTNAME: set enable_environment_macros=1 in nagios.cfg, or use the contact group"
        " brtel-notify-arguments (Naemon has no environment macros)"
    )


def _first(macros: Mapping[str, str], *names: str) -> str:
    """The first of the macros NAMES that is not blank."""
    return macros.get(_first_name(macros, *names), "")


def _first_name(macros: Mapping[str, str], *names: str) -> str:
    return next((name for name in names if macros.get(name, "").strip()), "")


def _with_newlines(text: str) -> str:
    r"""TEXT with Nagios's ``\n`` as newlines and ``\\`` as one backslash."""
    return re.sub(r"\\([n\\])", lambda escape: "\n" if escape.group(1) == "n" else "\\", text)
