"""Opening a ticket, and what a new one gets: assignee, date, contact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from brtel_notify.alert import Alert
from brtel_notify.api.exceptions import ApiError, NotFound, Refused
from brtel_notify.config.schema import SETTABLE
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.delivery import next_way, step_names, wording
from brtel_notify.delivery.finding import Finding, Ids, newest
from brtel_notify.delivery.notes import Facts, target
from brtel_notify.delivery.services import Services
from brtel_notify.delivery.situation import Plan, Situation
from brtel_notify.intake.queue import Event
from brtel_notify.text import times
from brtel_notify.tickets.settings import Settings

if TYPE_CHECKING:
    from brtel_notify.api.records import Ticket


class _Way(NamedTuple):
    """A way to open a ticket: in words, the ids of its names, what else it has, how it is said."""

    how: str
    ids: Ids
    only: bool = False
    words: str = wording.WHOLE


class Opening(Finding):
    """The steps of a new ticket. See :class:`steps.Steps`."""

    def __init__(self, services: Services, alert: Alert, event: Event) -> None:
        super().__init__(services, alert, event)
        self.captured = min(event.capture.time, services.clock())
        #: What the last change of the ticket said of it, by the API's names.
        self._sent: Dict[str, Any] = {}
        self._sent_offset = 0.0

    def _create(self, s: Situation, plan: Plan) -> Facts:
        customer = s.facts[step_names.FIND]["customer"]
        doubted = self.event.in_doubt(step_names.CREATE)
        made = self._made_before(s) if doubted else None
        if made is not None:
            return {**self._met(made, s, customer), **self._learn(made)}
        ticket, ids = self._open(s, plan)
        # Nothing is asked between the answer and its entry in the journal: that might fail.
        facts = self._answered(
            step_names.CREATE,
            {
                "id": ticket.id,
                "number": ticket.number,
                "open": True,
                "mine": True,
                "ours": True,
                "priority_id": ids["priority"],
                "milder": False,
                "customer": dict(customer),
            },
        )
        # What was looked for in vain may still come to be; and others may have looked, too.
        if doubted or self.services.instance.siblings:
            facts = {**facts, "perhaps_two": True}
        return {**facts, **self._learn(ticket)}

    def _open(self, s: Situation, plan: Plan) -> Tuple[Ticket, Ids]:
        """The new ticket, in the first way in which BlueRockTEL takes it, and the ids it has."""
        refusal: Optional[ApiError] = None
        for way in self._ways():
            made = self._made_before(s) if refusal else None  # some make it and then refuse it
            if made is not None:
                return made, way.ids
            try:
                return self._post(s, plan, way), way.ids
            except (NotFound, Refused) as error:
                if not error.maybe_done:
                    self._refused(step_names.CREATE, error)
                if isinstance(error, Refused) and next_way.is_about_the_customer(error):
                    raise
                if refusal is None:
                    self.services.client.prove_itself(error)
                if isinstance(error, NotFound) and not self._ids_differ(way):
                    raise  # it is the customer that is not there
                refusal = error
        assert refusal is not None  # noqa: S101 - there is a first way
        raise refusal

    def _ids_differ(self, way: _Way) -> bool:
        """Whether a refusal of WAY may be about one of its ids: names lead to others by now."""
        self.services.names.forget()
        return self._ids() != way.ids

    def _ways(self) -> Iterator[_Way]:
        """The ways to open a ticket, each to be taken when BlueRockTEL has refused those before."""
        first = self._ids()  # now: the body says it if a name is unknown
        yield _Way("", first)
        self.services.names.forget()  # an id may have been made anew under its old name
        ids = self._ids()
        if ids != first:
            yield _Way("names fetched again", ids)
        if self.settings.values["team"] is None and ids["team"] is not None:
            # Nobody configured it: it is the sub-category's own.
            ids = {**ids, "team": None}
            yield _Way("without a team", ids)
        ids = self._base_ids(ids)
        self.settings.problems.append("BlueRockTEL refused the ticket with all that is configured")
        for words in (wording.WHOLE, *wording.PLAIN):
            yield _Way("with what is mandatory only", ids, only=True, words=words)

    def _base_ids(self, ids: Ids) -> Ids:
        """The ids of ``ticket`` itself, which rules and severities change; IDS, if it has none."""
        base = Settings({}, {})
        base.set({name: getattr(self.services.config.ticket, name) for name in SETTABLE}, "ticket")
        try:
            ids = self.services.names.ids(base)
        except ConfigError as error:
            self._complain([str(error)])
        return {**ids, "team": None, "status": None}

    def _post(self, s: Situation, plan: Plan, way: _Way) -> Ticket:
        self.way = way.how
        customer_id = s.facts[step_names.FIND]["customer"]["id"]

        def send() -> Ticket:
            self.words = way.words or self.words
            plain = self.words in wording.PLAIN
            context = self._context(s, plan)
            subject = self.services.renderer.subject(context, plain)
            self._complain(subject.problems)
            body = self._html("body", context, s.reference)
            self._sent_offset, self._sent = self._offset, self._fields(way)
            return self._call(
                step_names.CREATE,
                lambda: self.services.client.create_ticket(
                    customer_id,
                    subject=wording.of_text(subject.text, self.words),
                    body=body,
                    category_id=_required(way.ids["category"]),
                    sub_category_id=_required(way.ids["sub_category"]),
                    tags=self._tags(way),
                    **self._sent,
                ),
            )

        try:
            return self._in_words(step_names.CREATE, send, lambda: self._made_before(s))
        finally:
            self.way = ""

    def _fields(self, way: _Way) -> Dict[str, Any]:
        named = {f"{name}_id": way.ids[name] for name in ("priority", "team", "status")}
        due = None if way.only else self._resolution_date()
        return {**named, "estimated_resolution_date": due}

    def _tags(self, way: _Way) -> Optional[List[str]]:
        if way.only:
            return None
        of_alert = self.words not in wording.PLAIN
        tags = self.settings.values["tags"] if of_alert else self.services.config.ticket.tags
        return [wording.of_text(tag, self.words) for tag in tags]

    def _learn(self, ticket: Ticket) -> Facts:
        """What a new ticket shows of the instance; the fact that its date has the wrong time zone.

        Another thread may have learned that meanwhile; and a ticket that an earlier attempt made
        was sent with what was known then.
        """
        self.services.instance.author = ticket.author
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
        made = self._tickets_of(found["customer"]["id"], s.reference, s)
        return newest([ticket for ticket in made if ticket.id not in found["seen"]])

    def _resolution_date(self) -> Optional[str]:
        within = self.settings.values["resolve_within"]
        return None if within is None else times.api_date(self.captured + within, self._offset)

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


def _required(number: Optional[int]) -> int:
    assert number is not None  # noqa: S101 - the configuration requires it
    return number
