"""The one type that every source produces and everything after it reads."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

PROBLEM = "problem"
RECOVERY = "recovery"
ACKNOWLEDGEMENT = "acknowledgement"
COMMENT = "comment"
DOWNTIME = "downtime"
FLAPPING = "flapping"
TEST = "test"
KINDS = (PROBLEM, RECOVERY, ACKNOWLEDGEMENT, COMMENT, DOWNTIME, FLAPPING, TEST)

#: The normalised severities, from the mildest to the worst.
SEVERITIES = ("ok", "info", "unknown", "warning", "critical")


class Unintelligible(ValueError):
    """The event cannot be understood: no host, no or an unknown type, malformed JSON."""


class Vars(Dict[str, str]):
    """All that the source passed, by its own name; a name that is absent is empty."""

    def __missing__(self, name: str) -> str:
        return ""


class Alert(NamedTuple):
    """One notification, whatever sent it.

    ``since`` and ``time`` are seconds since the epoch, UTC; ``since`` is when the present state
    began, None where the source does not say. ``state`` is the source's own word (DOWN,
    Disaster), ``severity`` one of SEVERITIES. ``action`` says more where the kind alone does not:
    start, end or cancelled (downtime, flapping), worse, better or changed (a problem of the same
    severity that is not the same any more), removed (an acknowledgement taken back).

    ``occurrence`` is what the source calls this one problem; empty where it does not say, and then
    it agrees with everything. ``occurrence_by`` says what it is called by, where a source has
    several such names (Nagios: LASTSERVICEOK, SERVICEPROBLEMID): by different ones nothing can be
    compared. ``order`` is a number of the source's that only grows. ``one_by_one``: several
    occurrences may be open at once, and each ends by itself. DESIGN section 5 has all of it, a
    source a row.
    """

    source: str
    kind: str
    host: str
    time: float
    severity: str = "unknown"
    state: str = ""
    action: str = ""
    address: str = ""
    service: str = ""  # what failed on the host: a service, LibreNMS's rule, Zabbix's trigger
    check: str = ""  # what identifies it, where its name does not: Zabbix's trigger id
    title: str = ""  # the source's own headline, if it has one
    output: str = ""
    long_output: str = ""
    since: Optional[float] = None
    author: str = ""
    comment: str = ""
    url: str = ""
    vars: Vars = Vars()
    instance: str = ""  # which of several such systems it is
    occurrence: str = ""
    occurrence_by: str = ""
    order: Optional[int] = None
    began: Optional[float] = None  # of a recovery: when the problem began, where it says so
    one_by_one: bool = False
    notification: str = ""  # which notification it is, where each is news (a volatile service)
    lasting: str = ""  # what stays when the host, the service or the rule is renamed, if anything
    named: str = ""  # host and what failed as the key has them, where their bytes are no UTF-8
    formerly: str = ""  # and as the keys of older versions had them

    @property
    def system(self) -> str:
        """Where it comes from: the source, and which of several."""
        return f"{self.source}@{key_part(self.instance)}" if self.instance else self.source

    @property
    def key(self) -> str:
        """What this alert is about: the system, the host, and what failed on it."""
        return f"{self.system}:{self._thing()}"

    def host_key(self) -> str:
        """What the alerts of one host have in common; hosts of two instances are two."""
        return _host_key(self.system, self._thing())

    def older_keys(self) -> Tuple[Tuple[str, str], ...]:
        """Key and host key as they were before it had an instance, or its bytes were looked at.

        The youngest form first; none where the key never had another.
        """
        if not self.instance and not self.formerly:
            return ()
        systems = (self.system, self.source) if self.instance else (self.source,)
        things = (self._thing(), self.formerly) if self.formerly else (self._thing(),)
        forms = [(system, thing) for thing in things for system in systems]
        return tuple((f"{system}:{thing}", _host_key(system, thing)) for system, thing in forms[1:])

    def _thing(self) -> str:
        return self.named or thing_of(self.host, self.check or self.service)

    def is_about_the_same(self, other: Alert) -> bool:
        """Whether OTHER is about the same thing, whatever that is called by now."""
        if self.key == other.key:
            return True
        if self.may_be_first() and other.may_be_first():
            return False  # two problems by two names are two, whatever their numbers
        lasts = bool(self.lasting) and self.lasting == other.lasting
        return lasts and self.system == other.system

    def may_be_first(self) -> bool:
        """Whether it may be the first that is heard of it: it is known by its name alone then.

        Not where its source says which occurrence it is.
        """
        return self.kind == PROBLEM and not self.action and not self.occurrence

    @property
    def what(self) -> str:
        """What failed on the host, in words for people; empty when it is the host itself."""
        return self.service or self.check or self.title

    @property
    def rank(self) -> int:
        """How bad it is: the place of its severity in SEVERITIES."""
        return SEVERITIES.index(self.severity)


@lru_cache(maxsize=1000)  # it is asked for a dozen times a delivery
def thing_of(host: str, what: str) -> str:
    """HOST and WHAT failed on it, if it is not the host itself, as a key has them."""
    return ":".join(key_part(part) for part in ((host, what) if what else (host,)))


def _host_key(system: str, thing: str) -> str:
    _, at, instance = system.partition("@")
    return f"host{at}{instance}:{thing.partition(':')[0]}"


def key_part(text: str) -> str:
    """TEXT as one part of a key: no colon, no control character, so that a key has one reading.

    A byte that is no UTF-8 (a lone surrogate, ``surrogateescape``) is told by its number.
    """
    return "".join(_key_characters(text))


def _key_characters(text: str) -> Iterator[str]:
    for char in text:
        if "\udc80" <= char <= "\udcff":
            yield f"%{ord(char) - 0xDC00:02X}"
        elif char in ":%" or not char.isprintable():
            yield from (f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))
        else:
            yield char


_REFERENCE = r"BN-[0-9a-f]{12}"


def own_reference(text: str) -> Optional[str]:
    """The reference of ours in a ticket's or reply's TEXT, if it stands where we write it.

    That is on a line of its own at the very end, behind its name. What quotes it, in the midst of a
    sentence or behind a mark, is somebody else's.
    """
    if "BN-" not in text:
        return None
    import html

    lines = html.unescape(re.sub("<[^<>]*>", "\n", text)).split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    found = re.fullmatch(rf"R[eé]f[eé]rence\s*:\s*({_REFERENCE})", last)
    return found[1] if found else None


def without_references(text: str) -> str:
    """TEXT with what looks like a reference made to look only so: an alert must not forge one."""
    if "BN-" not in text:
        return text
    return re.sub(_REFERENCE, lambda found: found[0].replace("-", "\u2011"), text)


def reference(key: str) -> str:
    """The reference shown in tickets (of a ticket's key) and replies (of an event's id)."""
    digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
    return f"BN-{digest[:12]}"
