"""The steps of a plan: each at most one change on the server, and what it found as facts.

A step is in doubt if an earlier attempt may have done it and was killed before it could say so, or
got no answer. It then looks at the server before it does anything that must not happen twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional

from brtel_notify.alert import PROBLEM, SEVERITIES, Alert, last_reference
from brtel_notify.api.exceptions import ApiError, NotFound, Refused
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.delivery import step_names
from brtel_notify.delivery.notes import Facts, Notes, target
from brtel_notify.delivery.outcome import NoOwner
from brtel_notify.delivery.services import Services
from brtel_notify.delivery.situation import Plan, Situation
from brtel_notify.intake.queue import Event
from brtel_notify.text import times

if TYPE_CHECKING:
    from brtel_notify.api.records import Ticket

Ids = Dict[str, Optional[int]]
#: A refusal with one of these may be about an id that was made anew under its old name.
_MAY_BE_A_STALE_ID = (400, 404, 422)


class Steps(Notes):
    """The steps for one event. ``settings`` are those of the event's alert.

    Every step raises ApiError, OutOfTime, ConfigError and CredentialsError; FIND raises NoOwner.
    """

    def __init__(self, services: Services, alert: Alert, event: Event) -> None:
        super().__init__(services, alert, event)
        self.captured = min(event.capture.time, services.clock())
        self.owner: Optional[Dict[str, Any]] = None
        #: What the last change of the ticket said of it, by the API's names.
        self._sent: Dict[str, Any] = {}
        self._sent_offset = 0.0
        self._contacts_come: Callable[[], None] = lambda: None
        self._perform: Dict[str, Callable[[Situation, Plan], Facts]] = {
            step_names.FIND: self._find,
            step_names.CHECK: self._check,
            step_names.CREATE: self._create,
            step_names.ASSIGN: self._assign,
            step_names.DUE: self._due,
            step_names.ATTACH: self._attach,
            step_names.DETAILS: self._details,
            step_names.UPDATE: self._update,
            step_names.REOPEN: self._reopen,
            step_names.KEEP_OPEN: self._keep_open,
            step_names.NOTE: self._note,
            step_names.RESOLVE: self._resolve,
            step_names.CLOSE: self._close,
        }

    def take(self, step: str, s: Situation, plan: Plan) -> Facts:
        """Perform STEP; what it found."""
        return self._perform[step](s, plan)

    # --- finding ----------------------------------------------------------------------------------

    def customer(self, facts: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        """Who owns the alert's host: as found before, else by the lookups."""
        found = facts.get(step_names.FIND)
        if found is not None and found["customer"] is not None:
            self.owner = dict(found["customer"])
        else:
            owner = self.services.owner(self.alert)
            self.owner = owner.as_dict() if owner else None
        return self.owner

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
        mine = self._tickets_of(customer["id"], s.reference)
        chosen = _newest([ticket for ticket in mine if ticket.open])
        if chosen is None and self.alert.kind == PROBLEM:
            if self.services.config.ticket.adopt == "any":
                others = self.services.client.search_tickets(customer_id=customer["id"], open=True)
                chosen = _newest([ticket for ticket in others if ticket.open])
            chosen = chosen or _newest([t for t in mine if self._closed_recently(t, s)])
        return {
            "customer": customer,
            "ticket": None if chosen is None else self._met(chosen, s, customer),
            "seen": [ticket.id for ticket in mine],
        }

    def _met(self, ticket: Ticket, s: Situation, customer: Mapping[str, Any]) -> Facts:
        """What is to be known of a ticket that was found."""
        return {
            "id": ticket.id,
            "number": ticket.number,
            "open": ticket.open,
            "mine": last_reference(ticket.body) == s.reference,
            "ours": last_reference(ticket.body) is not None,
            "priority_id": ticket.priority_id,
            "milder": self.alert.kind == PROBLEM and self._is_milder(ticket.priority_id),
            "customer": dict(customer),
            **({"closure": True} if ticket.open and ticket.closure else {}),
        }

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

    def _tickets_of(self, customer_id: int, wanted: str) -> List[Ticket]:
        """The customer's tickets with that reference, open and closed."""
        client = self.services.client
        found = client.search_tickets(customer_id=customer_id, body=wanted)
        # A list may leave the bodies out; the ticket itself does not.
        whole = [ticket if ticket.body else client.ticket(ticket.id) for ticket in found]
        return [ticket for ticket in whole if last_reference(ticket.body) == wanted]

    def _closed_recently(self, ticket: Ticket, s: Situation) -> bool:
        from brtel_notify.api.fields import parse_date

        closed_at = parse_date(ticket.closed_at, self._offset) if ticket.closed_at else None
        within = self.services.config.lifecycle.reopen_within
        return closed_at is not None and within > 0 and s.now - closed_at <= within

    def _check(self, s: Situation, plan: Plan) -> Facts:
        return self._seen(self.services.client.ticket(target(s)), s)

    def _seen(self, ticket: Ticket, s: Situation) -> Facts:
        """What is to be known of a ticket of ours that was looked at."""
        if ticket.closed_by_itself:
            lately = "lately" if self._closed_recently(ticket, s) else "long ago"
            return {"open": False, "by_itself": lately}
        if ticket.open and ticket.closure:
            return {"open": True, "closure": True}
        return {"open": ticket.open}

    # --- opening ----------------------------------------------------------------------------------

    def _create(self, s: Situation, plan: Plan) -> Facts:
        found = s.facts[step_names.FIND]
        customer = found["customer"]
        made = self._made_before(s) if self.event.in_doubt(step_names.CREATE) else None
        if made is not None:
            return {**self._met(made, s, customer), **self._learn(made)}
        ids = self._ids()  # first: the body says it if a name is unknown
        create = self._creation(s, plan)
        try:
            ticket = self._call(step_names.CREATE, lambda: create(ids))
        except (NotFound, Refused) as error:
            if not error.maybe_done:
                self._refused(step_names.CREATE, error)
            anew = self._ids_anew(error)
            if anew == ids and self.settings.values["team"] is None:
                anew = {**anew, "team": None}  # nobody configured it: it is the sub-category's own
            if isinstance(error, NotFound) and anew == ids:
                raise  # it is the customer that is not there
            made, ids = self._made_before(s), anew  # some servers make it and then refuse it
            ticket = made or self._call(step_names.CREATE, lambda: create(anew))
        # Nothing is asked between the answer and its entry in the journal: that might fail.
        return {
            **self._learn(ticket),
            "id": ticket.id,
            "number": ticket.number,
            "open": True,
            "mine": True,
            "ours": True,
            "priority_id": ids["priority"],
            "milder": False,
            "customer": dict(customer),
        }

    def _creation(self, s: Situation, plan: Plan) -> Callable[[Ids], Ticket]:
        """The call that makes the ticket, for the ids of its names."""
        context = self._context(s, plan)
        subject = self.services.renderer.subject(context)
        self._complain(subject.problems)
        body = self._html("body", context, s.reference)

        def create(ids: Ids) -> Ticket:
            named = {f"{name}_id": ids[name] for name in ("priority", "team", "status")}
            self._sent_offset = self._offset
            self._sent = {**named, "estimated_resolution_date": self._resolution_date()}
            return self.services.client.create_ticket(
                s.facts[step_names.FIND]["customer"]["id"],
                subject=subject.text,
                body=body,
                category_id=_required(ids["category"]),
                sub_category_id=_required(ids["sub_category"]),
                tags=self.settings.values["tags"],
                **self._sent,
            )

        return create

    def _learn(self, ticket: Ticket) -> Facts:
        """What a new ticket shows of the instance; the fact that its date has the wrong time zone.

        Another thread may have learned that meanwhile; and a ticket that an earlier attempt made
        was sent with what was known then.
        """
        self.services.instance.learn_offset(ticket.opened_at, ticket.created_at)
        off = self._due_off(ticket)
        if off:
            self._sent.pop("estimated_resolution_date", None)
        self._compare(ticket)
        return {"due_off": True} if off else {}

    def _due_off(self, ticket: Ticket) -> bool:
        wanted = self._resolution_date()
        if wanted is None:
            return False
        if self._sent:
            return self._sent_offset != self._offset
        from brtel_notify.api.fields import parse_date

        got = parse_date(ticket.estimated_resolution_date, self._offset)
        return got not in (None, parse_date(wanted, self._offset))

    def _compare(self, ticket: Ticket) -> None:
        """Tell what the TICKET does not have as it was sent: once a field, not with each ticket."""
        from brtel_notify.delivery.came_back import differences

        for what, text in differences(self._sent, ticket, self._offset):
            name = ticket.number or str(ticket.id)
            self.services.tell_once(what, f"{self.alert.key}: ticket {name}: {text}")

    def _made_before(self, s: Situation) -> Optional[Ticket]:
        """The ticket that an earlier call made, whose answer did not come or said otherwise."""
        found = s.facts[step_names.FIND]
        made = self._tickets_of(found["customer"]["id"], s.reference)
        return _newest([ticket for ticket in made if ticket.id not in found["seen"]])

    def _ids_anew(self, error: ApiError) -> Ids:
        """The ids again, from lists fetched now, after a refusal that may be about one of them.

        Raises ERROR where it is about something else.
        """
        if error.status not in _MAY_BE_A_STALE_ID and not isinstance(error, NotFound):
            raise error
        self.services.names.forget()
        return self._ids()

    def _ids(self) -> Ids:
        before = len(self.settings.problems)
        ids = self.services.names.ids(self.settings)
        self._complain(self.settings.problems[before:])
        return ids

    def _resolution_date(self) -> Optional[str]:
        within = self.settings.values["resolve_within"]
        return None if within is None else times.api_date(self.captured + within, self._offset)

    @property
    def _offset(self) -> float:
        """How far BlueRockTEL's own time is ahead of UTC, as far as it is known: seconds."""
        return self.services.instance.offset or 0.0

    def _assign(self, s: Situation, plan: Plan) -> Facts:
        """Give the new ticket to whom the configuration says; else its opener, we, keeps it."""
        try:
            user = self.services.names.assignee_of(self.settings)
        except ConfigError as error:  # the ticket is worth more than its assignee
            self.settings.problems.append(str(error))
            self._complain([str(error)])
            return {"left_out": str(error)}
        if user is None:
            self.services.client.free_ticket(target(s))
            return {"assignee": None}
        try:
            self.services.client.assign_ticket(target(s), user)
        except (NotFound, Refused) as error:
            self.services.names.forget_users()  # made anew under the same name, or gone
            try:
                anew = self.services.names.assignee_of(self.settings)
            except ConfigError:
                raise error from None
            if anew in (None, user):
                raise
            self.services.client.assign_ticket(target(s), anew)
            user = anew
        return {"assignee": user}

    def _due(self, s: Situation, plan: Plan) -> Facts:
        self.services.client.update_ticket(
            target(s), estimated_resolution_date=self._resolution_date()
        )
        return {}

    def _attach(self, s: Situation, plan: Plan) -> Facts:
        ticket = s.facts[step_names.CREATE]
        self._contacts_come()
        contacts = self.services.contacts(ticket["customer"]["id"])
        if not contacts:
            name = ticket["customer"]["name"]
            self.services.log.say(f"{self.alert.key}: {name} has no contact of the configured role")
            return {"contacts": []}
        ids = [contact["id"] for contact in contacts]
        if not self._associate(ticket["id"], ids):
            # The contact may have left since we asked who it is.
            again = self.services.contacts(ticket["customer"]["id"], again=True)
            ids = [contact["id"] for contact in again]
            if ids:
                self.services.client.associate_contacts(ticket["id"], ids)
        return {"contacts": ids}

    def _associate(self, ticket_id: int, contacts: List[int]) -> bool:
        try:
            answer = self.services.client.associate_contacts(ticket_id, contacts)
        except (NotFound, Refused):
            return False
        return not answer.startswith("0 associated")

    # --- changing ---------------------------------------------------------------------------------

    def _update(self, s: Situation, plan: Plan) -> Facts:
        wanted = self._ids()["priority"]
        fields: Dict[str, Any] = {"estimated_resolution_date": self._resolution_date()}
        if wanted != self._last_priority(s):
            # What a person has changed meanwhile is theirs, as long as we want what we wanted.
            fields["priority_id"] = wanted
        given = {name: value for name, value in fields.items() if value is not None}
        if not given:
            return {**self._check(s, plan), "priority_id": wanted}
        try:
            ticket = self.services.client.update_ticket(target(s), **given)
        except (NotFound, Refused) as error:
            if "priority_id" not in given:
                raise
            try:
                anew = self._ids_anew(error)["priority"]
            except ConfigError:  # it has no such name any more
                raise error from None
            if anew == wanted:
                raise
            wanted = given["priority_id"] = anew
            ticket = self.services.client.update_ticket(target(s), **given)
        self._sent = given
        self._compare(ticket)
        return {**self._seen(ticket, s), "priority_id": wanted}

    def _last_priority(self, s: Situation) -> Optional[int]:
        if s.found is not None:
            return s.found["priority_id"]  # type: ignore[no-any-return]
        return s.entry.priority_id if s.entry else None

    def _reopen(self, s: Situation, plan: Plan) -> Facts:
        self.services.client.open_ticket(target(s))
        return {"open": True}

    def _keep_open(self, s: Situation, plan: Plan) -> Facts:
        try:
            self.services.client.reopen_ticket(target(s))
        except (NotFound, Refused):  # the other call does the same where a closing is pending
            self.services.client.open_ticket(target(s))
        return {}


def _newest(tickets: List[Ticket]) -> Optional[Ticket]:
    return max(tickets, key=lambda ticket: ticket.id, default=None)


def _required(number: Optional[int]) -> int:
    assert number is not None  # noqa: S101 - the configuration requires it
    return number
