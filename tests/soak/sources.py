"""How each monitoring system says what happens to a thing."""

from __future__ import annotations

import json
import random
import time
from typing import Dict, List, Type

from soak.model import Event, Occurrence, Said, Thing

AUTHOR = "Ada Lovelace"
_TYPES = {
    "acknowledgement": "ACKNOWLEDGEMENT",
    "comment": "CUSTOM",
    "downtime": "DOWNTIMESTART",
    "flapping": "FLAPPINGSTART",
    "recovery": "RECOVERY",
}


class Nagios(Thing):
    """Nagios Core: a service, or a host; known by LASTSERVICEOK."""

    source, prefix, end = "nagios", "NAGIOS_", "FLAPPINGSTOP"
    remarks = ("acknowledgement", "comment", "downtime", "flapping")
    is_host = False
    by_last_ok = True
    by_id = True

    def __init__(self, number: int, host: str, chance: random.Random) -> None:
        super().__init__(number, host, chance)
        self.ends_by_remark = chance.random() < 0.1
        self.has_times = not self.ends_by_remark

    def say(self, kind: str, event: Event, occurrence: Occurrence) -> Said:
        """In variables of the environment."""
        thing = "HOST" if self.is_host else "SERVICE"
        well = kind == "recovery"
        flapped = well and self.ends_by_remark
        macros = {
            "NOTIFICATIONTYPE": self.end if flapped else _TYPES.get(kind, "PROBLEM"),
            "HOSTNAME": f"{self.tag}.{self.host}" if self.is_host else self.host,
            "HOSTADDRESS": "203.0.113.10",
            "TIMET": str(self._time),
            f"{thing}STATE": self._state(well, occurrence),
            f"{thing}OUTPUT": f"{event.mark} what is wrong <b>é</b> $(id) it's",
        }
        if not self.is_host:
            macros["SERVICEDESC"] = f"Trunk {self.tag}"
            macros["SERVICEISVOLATILE"] = str(int(self.volatile))
            macros["SERVICENOTIFICATIONID"] = str(event.number)
        if kind in _TYPES and not well:
            macros["NOTIFICATIONAUTHOR"] = AUTHOR
            macros["NOTIFICATIONCOMMENT"] = f"{event.mark} as they said"
        if self.account:
            macros["_HOSTCUSTOMER_ACCOUNT"] = self.account
        macros.update(self._about(thing, well, occurrence))
        return Said(self.source, {self.prefix + name: value for name, value in macros.items()})

    def _state(self, well: bool, occurrence: Occurrence) -> str:
        if self.is_host:
            return "UP" if well else occurrence.severity
        return "OK" if well else occurrence.severity.upper()

    def _about(self, thing: str, well: bool, occurrence: Occurrence) -> Dict[str, str]:
        changed = self._time if well else occurrence.since
        about = {f"LAST{thing}STATECHANGE": str(changed)}
        if self.by_last_ok:
            well_until = self._time if well and self.source == "icinga" else occurrence.since - 1
            about["LASTHOSTUP" if self.is_host else "LASTSERVICEOK"] = str(well_until)
        if self.by_id:
            has_none = well or occurrence.severity == "UNREACHABLE"
            about[f"{thing}PROBLEMID"] = str(0 if has_none else occurrence.number)
            about[f"LAST{thing}PROBLEMID"] = str(occurrence.number if well else 0)
        return about


class NagiosById(Nagios):
    """An old drop-in, or after a restart: only SERVICEPROBLEMID."""

    by_last_ok = False


class NagiosBare(Nagios):
    """An older one: nothing tells a problem from the next."""

    by_last_ok = by_id = has_occurrences = False


class NagiosHost(Nagios):
    """A host."""

    is_host = True
    severities = ("DOWN", "UNREACHABLE")


class NagiosVolatile(Nagios):
    """SERVICEISVOLATILE=1: each result is news."""

    volatile = True


class Icinga(Nagios):
    """Icinga 2 with the new drop-in."""

    source, prefix, end = "icinga", "ICINGA_", "FLAPPINGEND"
    by_id = False


class IcingaOld(Icinga):
    """With the old one: LASTSTATECHANGE, which changes with every state."""

    by_last_ok = False
    has_occurrences = False

    def _about(self, thing: str, well: bool, occurrence: Occurrence) -> Dict[str, str]:
        return {"LASTSTATECHANGE": str(self._time if well else occurrence.since)}


class Zabbix(Thing):
    """A trigger with several problems at once."""

    one_by_one = exact = renames = closes = True
    severities = ("Warning", "High", "Disaster")
    remarks = ("acknowledgement", "comment")

    def __init__(self, number: int, host: str, chance: random.Random) -> None:
        super().__init__(number, host, chance)
        self.name = host

    def rename(self) -> None:
        """The host was."""
        self.name = f"renamed-{self._time}.{self.host}"

    def say(self, kind: str, event: Event, occurrence: Occurrence) -> Said:
        """In three arguments."""
        well = kind in ("recovery", "closing")
        update = kind in ("acknowledgement", "comment", "worse", "closing")
        done = {
            "acknowledgement": "acknowledged",
            "comment": "commented",
            "worse": self._changed(),
            "closing": "commented and closed",
        }
        lines = {
            "EVENT.ID": str(occurrence.number),
            "EVENT.VALUE": str(int(not well)),
            "EVENT.UPDATE.STATUS": str(int(update)),
            "EVENT.NAME": f"Trunk {self.tag} down",
            "EVENT.SEVERITY": occurrence.severity,
            "TRIGGER.ID": str(20000 + self.number),
            "HOST.HOST": self.name,
            "EVENT.TAGSJSON": json.dumps(
                [{"tag": "customer_account", "value": self.account}] if self.account else []
            ),
            "EVENT.DATE": time.strftime("%Y.%m.%d", time.gmtime(occurrence.since)),
            "EVENT.TIME": time.strftime("%H:%M:%S", time.gmtime(occurrence.since)),
            "EVENT.RECOVERY.ID": str(occurrence.number + 1) if well else "{EVENT.RECOVERY.ID}",
            "EVENT.UPDATE.ACTION": done.get(kind, "{EVENT.UPDATE.ACTION}"),
            "USER.FULLNAME": AUTHOR if update else "{USER.FULLNAME}",
            "EVENT.OPDATA": f"{event.mark} is what it shows",
            "EVENT.UPDATE.MESSAGE": "{EVENT.UPDATE.MESSAGE}",
        }
        if kind in (*self.remarks, "closing"):
            lines["EVENT.UPDATE.MESSAGE"] = f"{event.mark} as they said"
        message = "\n".join(f"{name}: {value}" for name, value in lines.items())
        return Said("zabbix", {}, [self.account, kind, message])

    def _changed(self) -> str:
        return "changed severity from Average to another"


class LibreNMS(Thing):
    """A rule on a device; uid only grows."""

    exact = renames = True
    severities = ("worse", "better", "changed")  # what it says of a change; a rule has one severity
    _STATES = {"recovery": 0, "acknowledgement": 2}  # noqa: RUF012 - never changed
    _CHANGES = {"worse": 3, "better": 4, "changed": 5}  # noqa: RUF012 - never changed

    def __init__(self, number: int, host: str, chance: random.Random) -> None:
        super().__init__(number, host, chance)
        self.name = f"Rule {self.tag}"

    def rename(self) -> None:
        """The rule was."""
        self.name = f"Rule {self.tag}, renamed at {self._time}"

    def say(self, kind: str, event: Event, occurrence: Occurrence) -> Said:
        """In JSON on stdin."""
        state = self._STATES.get(kind, 1)
        if kind == "worse":
            state = self._CHANGES[occurrence.severity]
        # A repetition has the number of its problem; all else is a new row of the log.
        uid = occurrence.number if kind == "problem" else event.number
        data = {
            "hostname": self.host,
            "device_id": 100 + self.number,
            "rule_id": 500 + self.number,
            "alert_id": 900 + self.number,
            "id": uid,
            "uid": uid,
            "severity": "critical",
            "name": self.name,
            "title": f"{self.name} on {self.host}",
            "timestamp": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(occurrence.since)),
            "state": state,
            "msg": f"<div>{event.mark} <b>is down</b></div>",
            "alert_notes": f"{event.mark} as they said" if state == 2 else None,
            "notes": f"CUSTOMER_ACCOUNT: {self.account}" if self.account else "",
            "faults": {
                "1": {"string": f"hostname = {self.host}; ", "device_id": 100 + self.number}
            },
        }
        return Said("librenms", {}, [], json.dumps(data))


class AnyProgram(Thing):
    """``brtel-notify event``."""

    has_occurrences = has_times = False

    def say(self, kind: str, event: Event, occurrence: Occurrence) -> Said:
        """In flags."""
        argv = ["--host", self.host, "--service", f"Job {self.tag}", "--output", event.mark]
        if kind == "recovery":
            argv += ["--state", "ok"]
        elif kind == "acknowledgement":
            argv += ["--kind", kind, "--author", AUTHOR, "--comment", f"{event.mark} as they said"]
        else:
            argv += ["--state", "failed", "--severity", occurrence.severity]
        if self.account:
            argv += ["--var", f"CUSTOMER_ACCOUNT={self.account}"]
        return Said("event", {}, argv)


KINDS: List[Type[Thing]] = [
    *(Nagios, NagiosById, NagiosBare, NagiosHost, NagiosVolatile, Icinga, IcingaOld),
    *(Zabbix, Zabbix, LibreNMS, LibreNMS, AnyProgram),
]


def things(chance: random.Random, many: int) -> List[Thing]:
    """MANY things, of all kinds, some of them on one host."""
    hosts = max(1, many // 3)
    return [
        KINDS[number % len(KINDS)](number, f"h{chance.randrange(hosts)}.soak.example", chance)
        for number in range(many)
    ]
