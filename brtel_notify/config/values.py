"""How one value of the configuration file is read: its YAML node in, a Python value out.

Every reader raises ConfigError, whose text names the file, the line, the key and the cure.
"""

from __future__ import annotations

import re
from datetime import timezone, tzinfo
from typing import Any, Callable, Dict, List, Tuple
from urllib.parse import urlsplit

from brtel_notify.config.tree import Tree, nearest
from brtel_notify.config.yaml_nodes import SCALAR
from brtel_notify.local.ip_address import is_loopback
from brtel_notify.local.plausible import LAST_ID

LOOKUPS = ("hosts", "account", "pbx", "search")
#: Words that monitoring systems use for states and severities (monitoring.md), lower case.
STATE_WORDS = (
    *("ok", "info", "unknown", "warning", "critical"),
    *("up", "down", "unreachable"),
    *("not classified", "information", "informational", "average", "high", "disaster"),
)
_DURATION = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(s|m|h|d|w)?"
_UNITS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
#: No length of time in a configuration means more than this; dates beyond it do not work.
LONGEST = 36_500 * 86_400.0


Reader = Callable[[Tree], Any]


def or_null(reader: Reader) -> Reader:
    """READER, but null is allowed too."""
    return lambda tree: None if tree.is_null else reader(tree)


def or_none(reader: Reader) -> Reader:
    """READER of a list, but nothing at all (every item commented out) is an empty one."""
    return lambda tree: [] if tree.is_null else reader(tree)


def _text(tree: Tree) -> str:
    value = tree.scalar()
    if value is None:
        raise tree.error("must be text")
    if not isinstance(value, str):
        value = tree.node.value  # a name such as 2026 or on: what was typed is what is meant
    if not value.strip():
        raise tree.error("must not be empty")
    return str(value)


def name(tree: Tree) -> str:
    """A name on one line, or nothing: ``""`` or null."""
    if tree.is_null or tree.scalar() == "":
        return ""
    value = _text(tree).strip()
    if not value.isprintable() or len(value) > 100:
        raise tree.error("must be a short name, on one line")
    return value


text: Reader = _text
path: Reader = or_null(_text)
account: Reader = or_null(_text)
email: Reader = or_null(_text)


@or_null
def secret(tree: Tree) -> str:
    """A token: text that no message repeats."""
    return _text(tree).strip()


def _web_address(tree: Tree, schemes: Tuple[str, ...], example: str) -> str:
    value = _text(tree).strip()
    try:
        parts = urlsplit(value)
        good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not value.isprintable() or any(char.isspace() for char in value):
        raise tree.error(f"must be an address such as {example}")
    return value


def url(tree: Tree) -> str:
    """The API's address. https, unless the host is this machine: a token travels with it."""
    value = _web_address(tree, ("http", "https"), "https://acme.bluerocktel.net/api")
    parts = urlsplit(value)
    if "@" in parts.netloc:
        raise tree.error("must hold no user or password: use token_file, or email")
    if "?" in value or "#" in value:
        raise tree.error("must end with the path, such as /api")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise tree.error("must begin with https:// (http:// is for a sandbox on this machine)")
    return value.rstrip("/")


@or_null
def page(tree: Tree) -> str:
    """The address of a monitoring system's web pages, what stands before their own paths."""
    value = _web_address(tree, ("http", "https"), "https://monitoring.example.net/nagios4")
    if "@" in urlsplit(value).netloc:
        raise tree.error("must hold no user or password: everybody who reads the ticket sees it")
    if "?" in value or "#" in value:
        raise tree.error("must end with the path, such as /nagios4")
    return value.rstrip("/")


@or_null
def ticket_page(tree: Tree) -> str:
    """The address of a ticket's page, with a place for the ticket in it."""
    value = _web_address(tree, ("http", "https"), "https://acme.bluerocktel.net/tickets/{id}")
    rest = value.replace("{id}", "").replace("{number}", "")
    if rest == value or "{" in rest or "}" in rest:
        raise tree.error("must have {id} or {number} where the ticket is named")
    return value


@or_null
def proxy(tree: Tree) -> str:
    """A proxy's address."""
    return _web_address(tree, ("https", "http"), "http://proxy.example.net:3128")


@or_null
def number_or_null(tree: Tree) -> int:
    """A whole number above 0, or null."""
    value = tree.scalar()
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 1_000_000:
        raise tree.error("must be a whole number above 0")
    return value


def boolean(tree: Tree) -> bool:
    """True or false."""
    value = tree.scalar()
    if not isinstance(value, bool):
        raise tree.error("must be true or false")
    return value


def duration(tree: Tree) -> float:
    """A length of time in seconds: 90s, 30m, 4h, 7d, 2w; a bare number is seconds."""
    match = re.fullmatch(_DURATION, tree.written)
    if match is None:
        raise tree.error("must be a length of time such as 30m, 4h or 1d")
    value = float(match[1]) * _UNITS[match[2]]
    if value > LONGEST:
        raise tree.error("must be at most 36500d")
    return value


duration_or_null: Reader = or_null(duration)


def open_after(tree: Tree) -> Any:
    """A length of time in seconds, or a time of day as text: 08:00."""
    # As it was typed: YAML reads 10:30 as six hundred and thirty.
    found = re.fullmatch("([0-9]{1,2}):([0-9]{2})", tree.written)
    if found is None:
        if ":" in tree.written:
            raise tree.error("must be a time of day such as 08:00")
        return duration(tree)
    hour, minute = int(found[1]), int(found[2])
    if hour > 23 or minute > 59:
        raise tree.error("must be a time of day from 00:00 to 23:59")
    return f"{hour:02}:{minute:02}"


def seconds(tree: Tree) -> float:
    """A length of time that is not nothing."""
    value = duration(tree)
    if value <= 0:
        raise tree.error("must be more than 0")
    return value


def name_or_id(tree: Tree) -> Any:
    """What BlueRockTEL calls something (text), or its id (int)."""
    value = tree.scalar()
    if isinstance(value, bool) or not isinstance(value, int):
        return _text(tree).strip()
    # The digits as they were typed: YAML reads 012 as ten and 1:30 as ninety.
    if re.fullmatch("[0-9]+", tree.written) is None or not 0 < int(tree.written) < LAST_ID:
        raise tree.error("must be a name, or an id above 0")
    return int(tree.written)


name_or_id_or_null: Reader = or_null(name_or_id)


def texts(tree: Tree) -> List[str]:
    """A list of words."""
    return [_text(item).strip() for item in tree.items()]


def choice(*words: str) -> Reader:
    """One of WORDS."""

    def read(tree: Tree) -> str:
        value = _text(tree).strip()
        if value not in words:
            raise tree.error(f"'{value}' is unknown{nearest(value, words)}")
        return value

    return read


@or_null
def regex_or_null(tree: Tree) -> str:
    """A regular expression."""
    value = _text(tree)
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise tree.error(f"is no regular expression: {error}") from None
    return value


def log(tree: Tree) -> str:
    """Where the log goes: ``stderr``, ``syslog``, or the path of a file."""
    value = _text(tree).strip()
    if value not in ("stderr", "syslog") and "/" not in value:
        # A file's bare name would be in whatever folder the monitoring server runs commands in.
        hint = nearest(value, ("stderr", "syslog"))
        hint = hint if hint.startswith("; did") else f", such as /var/log/{value}"
        raise tree.error(f"must be stderr, syslog, or the path of a file{hint}")
    return value


def zone(tree: Tree) -> tzinfo:
    """A time zone by its IANA name."""
    value = _text(tree).strip()
    if value.upper() == "UTC":
        return timezone.utc
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        names = sorted(zoneinfo.available_timezones())
        if not names:
            raise tree.error("this machine has no time zones: install tzdata") from None
        hint = nearest(value, names)
        if not hint.startswith("; did"):
            hint = ", such as Europe/Paris"
        raise tree.error(f"'{value}' is no time zone{hint}") from None


def accounts(tree: Tree) -> Dict[str, str]:
    """Customer accounts by host name."""
    return {host: _text(value).strip() for host, value in tree.pairs().items()}


def lookup(tree: Tree) -> List[Tuple[str, str]]:
    """The chain of lookups, each with the template of its value; ``hosts`` may go without."""
    return [_one_lookup(item) for item in tree.items()]


def _one_lookup(tree: Tree) -> Tuple[str, str]:
    if tree.node.kind == SCALAR:
        name = _text(tree)
        if name == "hosts":
            return name, ""
        if name in LOOKUPS:
            raise tree.error(f"'{name}' needs a value, such as {name}: \"{{{{ host }}}}\"")
        raise tree.error(f"'{name}' is unknown{nearest(name, LOOKUPS)}")
    branches = tree.branches(LOOKUPS)
    if len(branches) != 1:
        raise tree.error("must be one lookup: write each behind a dash of its own")
    ((name, value),) = branches.items()
    if value.is_null and name == "hosts":
        return name, ""
    if value.is_null:
        raise value.error(f'needs a value, such as {name}: "{{{{ host }}}}"')
    return name, _text(value)


def settings(settable: Dict[str, Reader]) -> Reader:
    """Those keys of ``ticket`` that a severity or a rule sets, and only those."""

    def read(tree: Tree) -> Dict[str, Any]:
        branches = tree.branches(settable)
        return {name: settable[name](branch) for name, branch in branches.items()}

    return read


def severities(settable: Dict[str, Reader]) -> Reader:
    """Settings by a severity's or a state's name, in lower case."""
    one = settings(settable)

    def read(tree: Tree) -> Dict[str, Dict[str, Any]]:
        found = {}
        for name, branch in tree.pairs().items():
            word = name.lower()
            meant = "" if word in STATE_WORDS else _slip_of(word)
            if meant:
                raise branch.error(f"unknown severity; did you mean '{meant}'?")
            if word in found:
                raise branch.error("stands here twice (capitals do not matter)")
            found[word] = one(branch)
            _also_as(tree.sub(word), branch)
        return found

    return read


def _slip_of(word: str) -> str:
    """The state that WORD looks like. Other programs have words of their own, which it may be."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, STATE_WORDS, 1, 0.8)), "")


def _also_as(key: str, branch: Tree) -> None:
    """Let KEY and what is below it be found where BRANCH and what is below it stand."""
    for name, place in list(branch.places.items()):
        if name == branch.key or name.startswith(f"{branch.key}."):
            branch.places[key + name[len(branch.key) :]] = place
