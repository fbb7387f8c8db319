"""Each system's words for a state or a severity, and which of ours each of them is.

A word that is not here is severity "unknown", and the alert is kept.
"""

from __future__ import annotations

from typing import Iterable, Mapping, Sequence, Tuple

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
        "2",
    ),
    "warning": ("warning", "warn", "minor", "average", "medium", "degraded", "1"),
    "info": ("info", "information", "informational", "notice", "low", "debug"),
    # A problem, and they do not say how bad it is.
    "unknown": (
        *("unknown", "problem", "firing", "alerting", "triggered", "alarm", "active", "open"),
        *("opened", "raised", "offline", "fail", "3"),
    ),
}
#: Nagios's words for the exit codes of plugins.
_EXITS = {"0": "OK", "1": "WARNING", "2": "CRITICAL", "3": "UNKNOWN"}
#: What any other program says (``event``): words for states and severities, as folded() has them.
_ANY: Mapping[str, str] = {word: severity for severity, words in _WORDS.items() for word in words}


def any_state(text: str) -> str:
    """The severity that any program's word for a state means; empty where nobody knows it.

    Numbers are exit codes, as ``$?`` has them, and Nagios's: 0 to 3; beyond, all that is known is
    that something failed.
    """
    word = _folded(text)
    if word.isdecimal():
        number = word.lstrip("0")[:4]
        return _ANY.get(number, "unknown") if number else "ok"
    return _ANY.get(word) or ("ok" if _means_well(word) else "")


def state_in_words(text: str) -> str:
    """Any program's word for a state; of an exit code Nagios's: "2" alone says nothing."""
    if not text.strip().isdecimal():
        return text
    number = text.strip().lstrip("0") or "0"
    return _EXITS.get(number, f"exit code {number}")


def any_word(text: str) -> str:
    """The severity that any program's word for a severity means; empty where nobody knows it.

    Numbers are none: 0 is the worst of syslog's, and the mildest of Zabbix's.
    """
    word = _folded(text)
    if word.isdecimal():
        return ""
    return _ANY.get(word) or ("ok" if _means_well(word) else "")


def is_well(state: str) -> bool:
    """Whether any program's word for a STATE says that all is well again."""
    return any_state(state) == "ok"


def _means_well(word: str) -> bool:
    from brtel_notify.sources.well import WORDS

    return word in WORDS


def _folded(text: str) -> str:
    """TEXT for comparing: letters and digits only, small, without accents."""
    text = text[:100]
    if not text.isascii():
        import unicodedata

        text = unicodedata.normalize("NFKD", text)
    return "".join(char for char in text if char.isalnum()).casefold()
