"""Finding an alert's customer and ticket, and looking at a ticket of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, FrozenSet, List, Mapping, Optional, Tuple

from brtel_notify.alert import PROBLEM, SEVERITIES, Alert, own_reference, reference
from brtel_notify.api.exceptions import ApiError, BadAnswer, Forbidden, NotFound, Refused
from brtel_notify.api.instance import QUARTER
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.delivery import doubles, next_way, step_names
from brtel_notify.delivery.notes import Facts, Notes, target
from brtel_notify.delivery.outcome import NoOwner
from brtel_notify.delivery.services import Services
from brtel_notify.delivery.situation import AS_A_DOUBLE, Plan, Situation
from brtel_notify.intake.queue import Event

if TYPE_CHECKING:
    from brtel_notify.api.records import Reply, Ticket
    from brtel_notify.tickets.customer import Owner
    from brtel_notify.tickets.ours import Signs

Ids = Dict[str, Optional[int]]
#: Seconds that may lie between a reply that closes a ticket and the closing.
A_MOMENT = 1.0


class Finding(Notes):
    """The steps that only look. See :class:`steps.Steps`."""

    def __init__(self, services: Services, alert: Alert, event: Event) -> None:
        super().__init__(services, alert, event)
        self.owner: Optional[Dict[str, Any]] = None
        self._contacts_come: Callable[[], None] = lambda: None
        #: Who opened the tickets that were seen to be ours.
        self._authors: FrozenSet[int] = frozenset()

    def customer(self, facts: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        """Who owns the alert's host: as found before, else by the lookups."""
        found = facts.get(step_names.FIND)
        if found is not None and found["customer"] is not None:
            self.owner = dict(found["customer"])
        else:
            owner = self._fallback(facts) if "to_fallback" in facts else self._looked_up()
            self.owner = owner.as_dict() if owner else None
        return self.owner

    def _looked_up(self) -> Optional[Owner]:
        """The owner by the lookups; the fallback, where something on the way lets none pass."""
        try:
            return self.services.owner(self.alert)
        except BadAnswer as error:
            if not self._is_stuck(error):
                raise
            self._prove_others_pass(error)
            owner = self.services.owners.fallback(self.alert.host)
            if owner is None:
                raise
            self.services.log.say(f"{self.alert.key}: its owner cannot be looked up: {error}")
            return owner

    def _fallback(self, facts: Mapping[str, Any]) -> Owner:
        """Who gets the ticket that BlueRockTEL does not take for its own customer."""
        owner = self.services.owners.fallback(self.alert.host)
        if owner is None or owner.id == facts["to_fallback"]:
            refused = f"BlueRockTEL takes no ticket for customer {facts['to_fallback']}"
            raise NoOwner(
                f"{self.alert.key}: {refused}, also after it was looked up again, and"
                f" customer.fallback is {'the same' if owner else 'not set'}"
            )
        return owner

    def _is_stuck(self, error: ApiError) -> bool:
        """Whether FIND is to go another way than the one that met ERROR."""
        counted = next_way.counts_as(step_names.FIND, error)
        return next_way.may_be_the_only_one(error, self.event.turned_down(counted))

    def _find(self, s: Situation, plan: Plan) -> Facts:
        customer = self.customer(s.facts)
        if customer is None:
            if self.alert.kind == PROBLEM:
                raise NoOwner(
                    f"nobody owns {self.alert.host}: no lookup gave a customer and"
                    " customer.fallback is not set"
                )
            return {"customer": None, "ticket": None, "seen": []}
        if self.alert.kind == PROBLEM and s.policy.attach and self.services.side_by_side:
            # Most problems that come here open a ticket, and then want to know whom to attach.
            self._contacts_come = self.services.in_thread(
                lambda: self.services.contacts(customer["id"])
            )
        mine = self._tickets_of(customer["id"], s.reference, s)
        chosen, younger = _oldest([ticket for ticket in mine if ticket.open])
        if chosen is None and self.alert.kind == PROBLEM:
            if self.services.config.ticket.adopt == "any":
                others = self._search(customer["id"], open=True)
                chosen = newest([ticket for ticket in others if ticket.open])
            chosen = chosen or newest([t for t in mine if self._closed_recently(t, s)])
        if younger or (chosen in mine and not _is_named(chosen, s)):
            self.services.instance.siblings = True
        return {
            "customer": customer,
            "ticket": None if chosen is None else self._met(chosen, s, customer),
            "seen": [ticket.id for ticket in mine],
            **doubles.as_facts(younger),
        }

    def _met(self, ticket: Ticket, s: Situation, customer: Mapping[str, Any]) -> Facts:
        """What is to be known of a ticket that was found."""
        marked = own_reference(ticket.body) if self._is_ours(ticket, s) else None
        return {
            "id": ticket.id,
            "number": ticket.number,
            "open": ticket.open,
            "mine": marked == s.reference,
            "ours": marked is not None,
            "priority_id": ticket.priority_id,
            "milder": self.alert.kind == PROBLEM and self._is_milder(ticket.priority_id),
            "customer": dict(customer),
            **({"closure": True} if ticket.open and ticket.closure else {}),
        }

    def _is_ours(self, ticket: Ticket, s: Situation) -> bool:
        """Whether a ticket that bears a reference of ours does not only quote it."""
        return _is_named(ticket, s) or self._signs.fit(ticket)

    @property
    def _signs(self) -> Signs:
        signs = self.services.signs(self.settings.values.get("tags") or ())
        return signs if signs.authors else signs._replace(authors=self._authors)

    def _is_milder(self, priority_id: Optional[int]) -> bool:
        """Whether the configuration gives that priority only to milder alerts than this one."""
        ids: List[Optional[int]] = []
        settled = self._ids()
        for severity in SEVERITIES:
            values = self.services.config.severities.get(severity, {})
            name = values.get("priority", self.services.config.ticket.priority)
            try:
                number = self.services.names.id("priority", name, "ticket.priority")
                if number is None:
                    sub_category = settled["sub_category"]
                    number = self.services.names.own_priority(sub_category, self.settings)
                ids.append(number)
            except ConfigError:
                ids.append(None)
        wanted = settled["priority"]
        if priority_id is None or priority_id not in ids or wanted not in ids:
            return False
        return ids.index(priority_id) < ids.index(wanted)

    def _tickets_of(self, customer_id: int, wanted: str, s: Situation) -> List[Ticket]:
        """Our tickets of the customer with that reference, open and closed, by age."""
        found = self._search(customer_id, body=wanted)
        # A list may leave the bodies out; the ticket itself does not.
        whole = [t if t.body else self.services.client.ticket(t.id) for t in found]
        marked = [t for t in whole if own_reference(t.body) == wanted]
        # Whose token it is may not be known; who opened what is ours without a doubt, is.
        sure = [t for t in marked if _is_named(t, s) or self._signs.are_tags_of(t)]
        self._authors |= {t.author for t in sure if t.author}
        return sorted((t for t in marked if self._is_ours(t, s)), key=lambda ticket: ticket.id)

    def _search(self, customer_id: int, **wanted: Any) -> List[Ticket]:
        """The customer's tickets with what is WANTED; perhaps all, where no search is answered."""
        client = self.services.client
        try:
            return client.search_tickets(customer_id=customer_id, **wanted)
        except ApiError as error:
            if not self._is_stuck(error):
                raise
            self._prove_others_pass(error)
            try:
                return client.tickets_of(customer_id)
            except (Forbidden, NotFound, Refused):
                raise error from None

    def _closed_recently(self, ticket: Ticket, s: Situation) -> bool:
        from brtel_notify.api.fields import parse_date

        closed_at = parse_date(ticket.closed_at, self._offset) if ticket.closed_at else None
        within = self.services.config.lifecycle.reopen_within
        return closed_at is not None and within > 0 and s.now - closed_at <= within

    def _check(self, s: Situation, plan: Plan) -> Facts:
        facts = self._seen(self.services.client.ticket(target(s)), s)
        entry = s.entry
        if entry is None or not entry.ours or s.found is not None:
            return facts
        is_double = facts.get("by_us") == AS_A_DOUBLE
        if not (is_double or (entry.perhaps_two and facts["open"])):
            return facts
        mine = self._tickets_of(entry.customer["id"], entry.reference, s)
        older, younger = _oldest([ticket for ticket in mine if ticket.open])
        if older is None:
            return facts
        facts = {"open": True, **({"closure": True} if older.closure else {})}
        if older.id != entry.ticket_id:
            facts["older"] = {"id": older.id, "number": older.number}
        return {**facts, **doubles.as_facts(younger)}

    def _seen(self, ticket: Ticket, s: Situation) -> Facts:
        """What is to be known of a ticket of ours that was looked at."""
        lately = "lately" if not ticket.open and self._closed_recently(ticket, s) else "long ago"
        if ticket.closed_by_itself:
            return {"open": False, "by_itself": lately}
        if not ticket.open:
            return {"open": False, **self._closed_by_us(ticket, s, lately)}
        if ticket.closure:
            return {"open": True, "closure": True}
        return {"open": True}

    def _closed_by_us(self, ticket: Ticket, s: Situation, when: str) -> Facts:
        """The fact that a program like this one closed the TICKET: its last reply did.

        That is one of ours, written in the moment of the closing, and none that this map knows of:
        what a person closes may have had a note of ours as its last, too.
        """
        replies = ticket.replies
        if replies is None:
            replies = tuple(self.services.client.replies(ticket.id))
        last = max(replies, key=lambda reply: reply.id, default=None)
        marked = own_reference(last.body) if last is not None and last.author != 0 else None
        if last is None or marked is None:
            return {}
        if marked == doubles.reference_of(ticket.id):
            return {"by_us": AS_A_DOUBLE}
        wrote = (s.entry.last_note or s.entry.last_event) if s.entry is not None else ""
        known = bool(wrote) and marked == reference(wrote)
        return {"by_us": when} if not known and self._is_same_moment(last, ticket) else {}

    def _is_same_moment(self, reply: Reply, ticket: Ticket) -> bool:
        """Whether REPLY was written when the TICKET was closed.

        Which time zone the instance has need not be known: none is off by less than a quarter.
        """
        from brtel_notify.api.fields import parse_date

        written, closed = parse_date(reply.created_at), parse_date(ticket.closed_at)
        if written is None or closed is None:
            return False
        apart = abs(written - closed) % QUARTER
        return min(apart, QUARTER - apart) <= A_MOMENT

    # --- what later steps use, too ----------------------------------------------------------------

    def _ids(self) -> Ids:
        before = len(self.settings.problems)
        ids = self.services.names.ids(self.settings)
        self._complain(self.settings.problems[before:])
        return ids

    @property
    def _offset(self) -> float:
        """How far BlueRockTEL's own time is ahead of UTC, as far as it is known: seconds."""
        return self.services.instance.offset or 0.0


def _is_named(ticket: Ticket, s: Situation) -> bool:
    """Whether the map names the TICKET."""
    return s.entry is not None and s.entry.ticket_id == ticket.id


def _oldest(tickets: List[Ticket]) -> Tuple[Optional[Ticket], List[Ticket]]:
    """The first of TICKETS, which stand by age, and the others."""
    return (tickets[0] if tickets else None), tickets[1:]


def newest(tickets: List[Ticket]) -> Optional[Ticket]:
    """The ticket that was opened last."""
    return max(tickets, key=lambda ticket: ticket.id, default=None)
