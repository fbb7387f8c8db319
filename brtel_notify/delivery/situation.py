"""What the plan of an event depends on, and what a plan is: values."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from brtel_notify import alert as kinds
from brtel_notify.alert import Alert
from brtel_notify.config.schema import Lifecycle
from brtel_notify.delivery import occurrences
from brtel_notify.delivery.step_names import CHECK, CREATE, FIND, KEEP_OPEN, NOTE, REOPEN, UPDATE
from brtel_notify.tickets.open_tickets import Entry

#: The fact ``by_us`` of a ticket that was closed with a pointer to an older one (doubles.py).
AS_A_DOUBLE = "as a double"


class Policy(NamedTuple):
    """The parts of the configuration that decide what is done."""

    lifecycle: Lifecycle
    group_by: str = "alert"
    details: bool = True
    attach: bool = True

    @property
    def grouped(self) -> bool:
        """Whether one ticket may stand for several alerts."""
        return self.group_by != "alert"


class Situation(NamedTuple):
    """All that a plan depends on.

    ``reference`` is that of ``key``: what a new ticket gets. ``entry`` is the map's entry for the
    alert's ticket, ``shared`` how many other open entries use the same ticket. ``facts`` holds the
    results of the steps done so far, by the step's name, and ``gone``, the id of a ticket that the
    server said is not there any more. ``assigns``: a ticket that is opened is not left to whom
    BlueRockTEL gives it. ``companions`` are alerts of the same kind that wait for the same ticket
    and go with this one. ``ended`` is the recovery by which this very problem is over already.
    ``now`` is in seconds since the epoch.
    """

    alert: Alert
    key: str
    reference: str
    event_id: str
    policy: Policy
    now: float
    entry: Optional[Entry] = None
    shared: int = 0
    facts: Mapping[str, Any] = {}
    assigns: bool = False
    companions: Tuple[Alert, ...] = ()
    ended: Optional[Mapping[str, Any]] = None

    @property
    def alerts(self) -> Tuple[Alert, ...]:
        """The alert and its companions."""
        return (self.alert, *self.companions)

    @property
    def worst(self) -> Alert:
        """The most severe of them, whose settings a shared ticket takes on."""
        return max(self.alerts, key=lambda alert: alert.rank)

    @property
    def member(self) -> Optional[Mapping[str, Any]]:
        """What the map knows of this alert, if its ticket stands for it already."""
        return self.entry.members.get(self.alert.key) if self.entry else None

    @property
    def known(self) -> Optional[Mapping[str, Any]]:
        """What the map knows of this very occurrence of it."""
        return occurrences.known(self.member, self.alert)

    @property
    def would_open(self) -> bool:
        """Whether this problem meets no open ticket, and so may open (or reopen) one."""
        entry = self.entry
        if self.alert.kind != kinds.PROBLEM or self.ended is not None or self.facts:
            return False
        if entry is None or entry.closed_at is not None or entry.recovered_at is not None:
            return True
        return entry.muted and self.is_new

    @property
    def had_ended(self) -> bool:
        """Whether this problem was over before it came, and nothing was said of it yet."""
        return self.ended is not None and not any(
            step in self.facts for step in (CREATE, REOPEN, NOTE)
        )

    @property
    def is_new(self) -> bool:
        """Whether this problem is none that its ticket stands for already."""
        return self.member is None or occurrences.is_another(self.member, self.alert)

    @property
    def left(self) -> Dict[str, Dict[str, Any]]:
        """The members of the map's entry that still are a problem after these recoveries."""
        left = dict(self.entry.members) if self.entry else {}
        for alert in self.alerts:
            member = left.pop(alert.key, None)
            rest = occurrences.without(member, alert) if member else None
            if rest is not None:
                left[alert.key] = rest
        return left

    @property
    def still(self) -> int:
        """How many problems still hold the ticket after these recoveries."""
        return sum(len(occurrences.open_ones(member)) or 1 for member in self.left.values())

    @property
    def untold(self) -> int:
        """So many results of a volatile service were only counted since its last note."""
        return int(self.entry.results.get("untold", 0)) if self.entry else 0

    @property
    def change(self) -> str:
        """How the alert's severity changed since the map was written: ``warning → critical``."""
        member, alert = self.known, self.alert
        says_state = alert.kind == kinds.PROBLEM or alert.state
        if member is None or alert.severity == "ok" or not says_state:
            return ""
        if member["severity"] != alert.severity:
            return f"{member['severity']} → {alert.severity}"
        if member["state"] and alert.state and member["state"].lower() != alert.state.lower():
            return f"{member['state']} → {alert.state}"
        return ""

    @property
    def _looks(self) -> Tuple[Mapping[str, Any], ...]:
        """What the steps that looked at an open ticket saw of it."""
        seen = (self.found, self.facts.get(CHECK), self.facts.get(UPDATE))
        return tuple(fact for fact in seen if fact)

    @property
    def closed_by_others(self) -> bool:
        """Whether a step has shown that the ticket was closed, or deleted, and not by us."""
        return self.gone or any(not fact.get("open", True) for fact in self._looks)

    @property
    def closed_by_itself(self) -> bool:
        """Whether it was BlueRockTEL that closed it, and no person."""
        return not self.gone and any("by_itself" in fact for fact in self._looks)

    @property
    def closed_by_us(self) -> bool:
        """Whether a program like this one closed it: another server of ours, or an older map."""
        return not self.gone and any("by_us" in fact for fact in self._looks)

    @property
    def closed_as_double(self) -> bool:
        """Whether it did so because an older ticket stands for the same alert."""
        return any(fact.get("by_us") == AS_A_DOUBLE for fact in self._looks)

    @property
    def closed_lately(self) -> bool:
        """Whether it was so closed such a short while ago that it can be reopened."""
        closings = [fact.get(how) for fact in self._looks for how in ("by_itself", "by_us")]
        return "lately" in closings

    @property
    def closing_requested(self) -> bool:
        """Whether somebody asked for its closing, which is still to come."""
        return any(fact.get("open", True) and fact.get("closure") for fact in self._looks)

    @property
    def kept_open(self) -> bool:
        """Whether that was taken back."""
        return "left_out" not in self.facts.get(KEEP_OPEN, {"left_out": ""})

    @property
    def gone(self) -> bool:
        """Whether the ticket is not there any more."""
        return "gone" in self.facts

    @property
    def follows(self) -> str:
        """The number of the ticket that was not to be reopened: the problem needs a new one."""
        return str(self.facts.get(REOPEN, {}).get("refused_for", ""))

    @property
    def reopened(self) -> bool:
        """Whether an earlier attempt has reopened its ticket: all that it stood for was over."""
        return REOPEN in self.facts and not self.follows

    @property
    def found(self) -> Optional[Mapping[str, Any]]:
        """The ticket that FIND found, if it is (still) there."""
        ticket = self.facts[FIND]["ticket"] if FIND in self.facts else None
        return None if ticket is None or ticket["id"] == self.facts.get("gone") else ticket

    @property
    def ticket(self) -> Tuple[int, str]:
        """Id and number of the ticket that the steps are about; it has one where they need it."""
        met = self.facts.get(CREATE) or self.found
        if met is not None:
            return int(met["id"]), str(met["number"])
        assert self.entry is not None  # noqa: S101 - a plan with such a step has one of the three
        return self.entry.ticket_id, self.entry.number

    @property
    def carried(self) -> str:
        """The reference of that ticket: an entry that was taken over or renamed keeps its own."""
        new = self.facts.get(CREATE) or self.found
        return self.entry.reference if self.entry and not new else self.reference


class Plan(NamedTuple):
    """What is done for an event: in words, the steps, and the map's entry afterwards.

    ``entry`` is meaningful once every step is done; ``forget`` then removes the entry instead, and
    with neither the map stays as it is. ``note`` names the template of the NOTE or RESOLVE step.
    """

    decision: str
    steps: Tuple[str, ...] = ()
    entry: Optional[Entry] = None
    forget: bool = False
    note: str = ""
