"""Holds the desk against the truth: DESIGN's invariants, as the desk would see them broken.

It knows texts by their marks and things by their tags, and nothing of keys and references: that
two tickets belong together is what is to be proved.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, NamedTuple, Sequence, Set

from soak.model import MARK, TAG, Event, Thing

Ticket = Mapping[str, Any]
#: What its built-in templates begin the details of a new ticket with, in both languages.
_DETAILS = ("<strong>Alert details</strong>", "<strong>Détails de l'alerte</strong>")
#: A refusal with one of these may have cost a text, by DESIGN "One refusal is not the end".
_REFUSED = range(400, 500)
_OWNERS = {"": "CL000001"}


class Call(NamedTuple):
    """A call that the desk got, and the marks in it."""

    method: str
    path: str
    status: Any
    marks: Set[str]

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Call:
        """From the sandbox's journal."""
        found = set(MARK.findall(str(entry["json"]))) if entry["json"] else set()
        return cls(entry["method"], entry["path"].removeprefix("/api"), entry["status"], found)


class Desk(NamedTuple):
    """What is to be judged."""

    tickets: Sequence[Ticket]
    calls: Sequence[Call]
    accounts: Mapping[int, str]  # by the customer's id
    strangers: Mapping[int, int] = {}  # tickets that people opened: how many replies they have
    #: Whether notes may be missing, since the instance showed them to customers; tickets may not.
    withheld: bool = False
    #: Whether several things may share a ticket (``group_by``).
    grouped: bool = False
    #: The texts that something on the way has refused, which the desk knows nothing of.
    turned_away: FrozenSet[str] = frozenset()


class Fault(NamedTuple):
    """Something that must not be."""

    what: str  # lost, doubled, wrongly closed, left open, text lost, text twice, …
    thing: Thing
    why: str


class Judge:
    """One look at the desk. ``faults`` is what it found, ``allowed`` the doubts that came true."""

    def __init__(self, things: Iterable[Thing], desk: Desk) -> None:
        self.desk = desk
        self.faults: List[Fault] = []
        self.allowed: List[Fault] = []
        self.merged = 0
        self._things = list(things)
        self._ours = [one for one in desk.tickets if one["id"] not in desk.strangers]
        self._where: Dict[str, List[Ticket]] = defaultdict(list)  # mark or tag → tickets
        self._told: Dict[str, int] = defaultdict(int)
        for ticket in self._ours:
            self._read(ticket)
        self._refused = _refused_marks(desk.calls) | desk.turned_away
        for thing in self._things:
            self._judge(thing)
        self._judge_strangers()
        self._judge_open_tickets()

    def _read(self, ticket: Ticket) -> None:
        first = set(MARK.findall(ticket["body"]))
        details: Set[str] = set()
        noted: Dict[str, int] = defaultdict(int)
        for reply in ticket["replies"]:
            marks = set(MARK.findall(reply["body"]))
            if any(head in reply["body"] for head in _DETAILS) and not details:
                details = marks
                continue
            for mark in marks:
                noted[mark] += 1
        for mark in first | details | set(noted):
            self._where[mark].append(ticket)
            self._told[mark] += (mark in first or mark in details) + noted[mark]

    # --- one thing -------------------------------------------------------------------------------

    def _judge(self, thing: Thing) -> None:
        tickets = self._open_tickets(thing)
        if thing.is_live and not tickets:
            closed = [ticket["id"] for mark in thing.life for ticket in self._where[mark.mark]]
            what = "wrongly closed" if closed else "lost"
            self._found(what, thing, f"is a problem, and no ticket is open (of {closed})")
        elif len(tickets) > 1:
            self._found("doubled", thing, f"has open tickets {[one['id'] for one in tickets]}")
        doubtful = False
        for event in thing.events:
            doubtful = event.doubtful or (doubtful and event.move != "problem")
            self._judge_text(thing, event, max(event.most, int(doubtful)))
        for ticket in tickets:
            owner = self._owner(ticket)
            if owner != _owner(thing):
                self._found("stranger", thing, f"ticket {ticket['id']} is of customer {owner}")

    def _open_tickets(self, thing: Thing) -> List[Ticket]:
        """The open tickets that tell of its present life."""
        told = {one["id"]: one for said in thing.life for one in self._where[said.mark]}
        if told or not self._may_lack(thing.life):
            return _open(told.values())
        named = _open(one for one in self._ours if thing.tag in str(one))
        if self.desk.withheld and not named:  # it may share one, which says nothing of it
            return [one for one in _open(self._ours) if self._owner(one) == _owner(thing)][:1]
        # Who else holds the one that it had by an earlier name, no note says then.
        return named[:1] if self.desk.withheld and self.desk.grouped else named

    def _owner(self, ticket: Ticket) -> str:
        return self.desk.accounts.get(int(ticket["ticketable_id"]), "?")

    def _may_lack(self, events: Sequence[Event]) -> bool:
        return self.desk.withheld or any(event.mark in self._refused for event in events)

    def _judge_text(self, thing: Thing, event: Event, most: int) -> None:
        told = self._told[event.mark]
        if told > most:
            what = "text twice" if told > 1 else "text of nothing"
            if not (most == 0 and self._may_lack(thing.events)):
                self._found(what, thing, f"{event.mark} ({event.move}) stands there {told} times")
        elif told < event.least and not self._is_excused(event):
            self._found("text lost", thing, f"{event.mark} ({event.move}) stands nowhere")

    def _is_excused(self, event: Event) -> bool:
        return self.desk.withheld or event.mark in self._refused

    # --- all of them -----------------------------------------------------------------------------

    def _judge_open_tickets(self) -> None:
        """An open ticket is about something that is a problem."""
        by_tag = {thing.tag: thing for thing in self._things}
        for ticket in self._ours:
            if not ticket["open"]:
                continue
            about = [by_tag[tag] for tag in sorted(set(TAG.findall(str(ticket))))]
            if any(thing.is_live for thing in about) or self.desk.withheld:
                continue  # what else holds it, no note says then
            why = f"ticket {ticket['id']} is open, and all is well"
            doubtful = [thing for thing in about if thing.may_be_open]
            if doubtful:
                self.allowed.append(Fault("doubt", doubtful[0], doubtful[0].doubt or why))
            else:
                self._found("left open", about[0] if about else self._things[0], why)

    def _judge_strangers(self) -> None:
        for ticket in self.desk.tickets:
            had = self.desk.strangers.get(ticket["id"])
            if had is None:
                continue
            if len(ticket["replies"]) != had or not ticket["open"]:
                tags = [thing for thing in self._things if thing.tag in str(ticket)]
                self._found("stranger", tags[0], f"ticket {ticket['id']}, a person's, was changed")

    def _found(self, what: str, thing: Thing, why: str) -> None:
        self.faults.append(Fault(what, thing, why))

    def headline(self, fault: Fault) -> str:
        """A fault in one line."""
        thing = fault.thing
        return f"{fault.what}: {type(thing).__name__} {thing.tag} on {thing.host}: {fault.why}"

    def story(self, fault: Fault) -> str:
        """What happened to the thing of a fault: its events, its tickets, their calls."""
        thing = fault.thing
        held, by_hand = sorted(thing.held), sorted(thing.dismissed)
        lines = [self.headline(fault), f"  now open: {held}; closed by hand: {by_hand}"]
        lines += [f"  {event}" for event in thing.events]
        marks = {event.mark for event in thing.events}
        tickets = [one for one in self._ours if thing.tag in str(one)]
        for ticket in tickets:
            state = "open" if ticket["open"] else "closed"
            lines.append(f"  ticket {ticket['id']} {state}: {_texts(ticket, marks)}")
        ids = tuple(f"/{ticket['id']}" for ticket in tickets)
        for call in self.desk.calls:
            known = sorted(marks & call.marks)
            path = call.path.partition("?")[0]
            if call.method != "GET" and (known or (ids and path.endswith(ids))):
                lines.append(f"  {call.method} {path}: {call.status} {' '.join(known)}")
        return "\n".join(lines)


def _open(tickets: Iterable[Ticket]) -> List[Ticket]:
    return [ticket for ticket in tickets if ticket["open"]]


def _texts(ticket: Ticket, marks: Set[str]) -> str:
    texts = [ticket["body"], *(reply["body"] for reply in ticket["replies"])]
    return " ".join("+".join(sorted(marks & set(MARK.findall(text)))) or "-" for text in texts)


def _owner(thing: Thing) -> str:
    return thing.account or _OWNERS[""]


def _refused_marks(calls: Sequence[Call]) -> Set[str]:
    """The texts of calls that were refused, and so may be left out of the desk.

    A 500 may be about a text, too, if it comes three times.
    """
    found: Set[str] = set()
    errors: Dict[str, int] = defaultdict(int)
    for call in calls:
        if call.status in _REFUSED and call.status not in (401, 408, 429):
            found |= call.marks
        if call.status == 500:
            for mark in call.marks:
                errors[mark] += 1
    return found | {mark for mark, count in errors.items() if count >= 3}
