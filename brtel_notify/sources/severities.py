"""Each system's words for a state or a severity, and which of ours each of them is.

A word that is not here is severity "unknown", and the alert is kept.
"""

from __future__ import annotations

from typing import Iterable, Mapping, Sequence, Tuple

#: State words that mean that all is well again, in lower case.
WELL = frozenset(
    (
        *("ok", "up", "resolved", "resolve", "cleared", "clear", "recovered", "recovery"),
        *("normal", "good", "green", "online", "healthy"),
    )
)

#: Nagios's and Icinga's states of hosts and services.
NAGIOS: Mapping[str, str] = {
    "OK": "ok",
    "UP": "ok",
    "WARNING": "warning",
    "CRITICAL": "critical",
    "DOWN": "critical",
    "UNREACHABLE": "critical",
    "UNKNOWN": "unknown",
}

#: Zabbix's severities by their number (EVENT.NSEVERITY): its own name, and ours.
ZABBIX: Sequence[Tuple[str, str]] = (
    ("Not classified", "unknown"),
    ("Information", "info"),
    ("Warning", "warning"),
    ("Average", "warning"),
    ("High", "critical"),
    ("Disaster", "critical"),
)

#: LibreNMS's, of its alert rules. A rule of severity ``ok`` that fires is not all well.
LIBRENMS: Mapping[str, str] = {"critical": "critical", "warning": "warning"}

_WORDS: Mapping[str, Iterable[str]] = {
    "critical": (
        *("critical", "crit", "error", "err", "major", "high", "disaster", "fatal", "alert"),
        *("emergency", "emerg", "severe", "urgent", "down", "unreachable", "failed", "failure"),
    ),
    "warning": ("warning", "warn", "minor", "average", "medium", "degraded"),
    "info": ("info", "information", "informational", "notice", "low", "debug"),
    "ok": WELL,
}
#: What any other program says (``event``): words for states and severities, in lower case.
ANY: Mapping[str, str] = {word: severity for severity, words in _WORDS.items() for word in words}
