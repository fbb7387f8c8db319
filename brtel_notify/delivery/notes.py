"""The notes on a ticket, and what they and its other texts are made of.

Each note is sent once: one whose answer was lost is looked for before it is sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Optional, TypeVar

from brtel_notify.alert import Alert, own_reference, reference
from brtel_notify.api.exceptions import ApiError, Forbidden, NotFound, Refused
from brtel_notify.delivery import next_way, step_names, wording
from brtel_notify.delivery.services import Services
from brtel_notify.delivery.situation import Plan, Situation
from brtel_notify.intake.queue import Event
from brtel_notify.text.context import with_ticket
from brtel_notify.tickets.customer import CustomerRecord, Owner
from brtel_notify.tickets.settings import Settings

if TYPE_CHECKING:
    from brtel_notify.api.records import Reply

Facts = Dict[str, Any]
Answer = TypeVar("Answer")


class Note(NamedTuple):
    """A note to be sent: by which step, to the ticket of that id, which people call NAME.

    ``look``: another server may have sent the same one.
    """

    step: str
    ticket_id: int
    name: str
    reference: str
    closes: bool = False
    look: bool = False


class Notes:
    """The steps that add a note. See :class:`steps.Steps`."""

    def __init__(self, services: Services, alert: Alert, event: Event) -> None:
        self.services = services
        self.alert = alert
        self.event = event
        self.reply_reference = reference(event.id)
        #: The step whose call was begun and has given no answer; empty when there is none.
        self.begun = ""
        self.settings = Settings({}, {})
        #: How what is sent next is said (wording.py), and in which way else it is sent.
        self.words = wording.WHOLE
        self.way = ""

    def _details(self, s: Situation, plan: Plan) -> Facts:
        return self._reply(step_names.DETAILS, "details", s, plan)

    def _note(self, s: Situation, plan: Plan) -> Facts:
        return self._reply(step_names.NOTE, plan.note, s, plan)

    def _resolve(self, s: Situation, plan: Plan) -> Facts:
        return self._reply(step_names.RESOLVE, plan.note, s, plan)

    def _close(self, s: Situation, plan: Plan) -> Facts:
        """Close the ticket although BlueRockTEL refused the note: the alert has recovered."""
        client, ticket_id = self.services.client, target(s)
        try:
            client.close_ticket(ticket_id)
        except (Forbidden, NotFound, Refused) as error:
            if client.ticket(ticket_id).open:
                self._close_by_update(ticket_id, error)
        return {}

    def _close_by_update(self, ticket_id: int, refused: ApiError) -> None:
        """The other call that closes, since the first was REFUSED."""
        try:
            self.services.client.update_ticket(ticket_id, close=True)
        except ApiError:
            raise refused from None

    def _reply(self, step: str, template: str, s: Situation, plan: Plan) -> Facts:
        """One note of what the alert says, by its TEMPLATE."""
        number, name = s.ticket
        closes = step == step_names.RESOLVE
        note = Note(step, number, name or str(number), self.reply_reference, closes)

        def text() -> str:
            return self._html(template, self._context(s, plan), self.reply_reference)

        options = self.services.config.replies
        return self._send(note, text, options.send_to_contacts and self._want_mail(s))

    def _send(self, note: Note, text: Callable[[], str], to_contacts: bool = False) -> Facts:
        """One note, and a look whether it came out as it was meant (internal_notes.py)."""
        notes = self.services.internal_notes
        with notes.in_turn():
            doubted = note.look or self.event.in_doubt(note.step)
            reply = self._replied_before(note) if doubted else None
            withheld = notes.withheld() if reply is None else ""
            if withheld:
                self.services.log.say(f"{self.alert.key}: {note.step}: no note: {withheld}")
                return {"left_out": withheld, "withheld": True}
            if reply is None:
                notes.announce(note.ticket_id, note.name, note.reference)
                reply = self._in_words(
                    note.step,
                    lambda: self._post_reply(note, text(), to_contacts),
                    lambda: self._replied_before(note),
                )
            facts = self._answered(note.step, {"reply": reply.id})
            notes.look_at(note.ticket_id, note.name, reply)
        return facts

    def _replied_before(self, note: Note) -> Optional[Reply]:
        """The reply of an earlier attempt that got no answer, if it arrived."""
        for reply in self.services.client.replies(note.ticket_id):
            if own_reference(reply.body) == note.reference:
                if note.closes:
                    self.services.client.close_ticket(note.ticket_id)
                return reply
        return None

    def _post_reply(self, note: Note, body: str, to_contacts: bool) -> Reply:
        options = self.services.config.replies
        return self._call(
            note.step,
            lambda: self.services.client.create_reply(
                note.ticket_id,
                body,
                close=note.closes,
                send_to_assignee=options.send_to_assignee,
                send_to_contacts=to_contacts,
                customer_visible=options.customer_visible,
            ),
        )

    def _want_mail(self, s: Situation) -> bool:
        """Whether a contact whom we attach may be the reason to send mail to the contacts."""
        from brtel_notify.tickets.contacts import want_mail

        customer = self._customer_of(s)
        return customer is None or want_mail(self.services.contacts(customer["id"]))

    # --- calls that must not happen twice ---------------------------------------------------------

    def _in_words(
        self, step: str, send: Callable[[], Answer], done: Callable[[], Optional[Answer]]
    ) -> Answer:
        """What SEND gives, which tells in ``self.words`` what STEP has to tell.

        First in the alert's own; when something on the way has refused those a few times, and lets
        others pass, in fewer. DONE looks whether the refused call was carried out all the same.
        """
        self.words = wording.after_errors(self.event.turned_down(f"{step}: 500"))
        try:
            return send()
        except ApiError as error:
            counted = self.event.turned_down(next_way.counts_as(step, error))
            if not next_way.may_dislike_the_words(step, error, counted):
                raise
            refusal = error
        self._prove_others_pass(refusal)
        for self.words in wording.PLAIN:
            answer = done()
            if answer is None:
                try:
                    answer = send()
                except ApiError as error:
                    if not next_way.may_dislike_the_words(step, error, counted):
                        raise
                    refusal = error
                    continue
                self.services.log.say(f"{self.alert.key}: {step}: sent {self.words}: {refusal}")
            return answer
        raise refusal

    def _prove_others_pass(self, refusal: ApiError) -> None:
        """Raise REFUSAL unless it is only about this call."""
        try:
            self.services.client.prove_itself(refusal)
        except ApiError:
            raise refusal from None

    def _answered(self, step: str, facts: Facts) -> Facts:
        """Journal what STEP has found, at once: nothing may come between that and the answer."""
        self.event.enter(step=step, result=facts)
        return facts

    def _call(self, step: str, call: Callable[[], Answer]) -> Answer:
        """Make the CALL of STEP, journalled before: whether it arrived may never be known."""
        how = ", ".join(filter(None, (self.way, self.words)))
        self.event.enter(begin=step, at=self.services.clock(), **({"how": how} if how else {}))
        self.begun = step
        answer = call()
        self.begun = ""
        return answer

    def _refused(self, step: str, error: ApiError) -> None:
        """Journal that BlueRockTEL has not done STEP, and knows why."""
        self.event.enter(refused=step, why=str(error), at=self.services.clock())
        self.begun = ""

    # --- texts ------------------------------------------------------------------------------------

    def _customer_of(self, s: Situation) -> Optional[Mapping[str, Any]]:
        for ticket in (s.facts.get(step_names.CREATE), s.found):
            if ticket is not None:
                return dict(ticket["customer"])
        found = s.facts.get(step_names.FIND)
        if found:
            return found["customer"]  # type: ignore[no-any-return]
        return s.entry.customer if s.entry else None

    def _customer_record(self, s: Situation) -> CustomerRecord:
        customer = self._customer_of(s)
        owner = Owner.from_dict(customer) if customer else None
        return self.services.record(lambda: owner)

    def _context(self, s: Situation, plan: Plan) -> Dict[str, Any]:
        known = set(s.entry.members) if s.entry else set()
        others = len(known - {alert.key for alert in s.alerts})
        reopened = step_names.REOPEN in plan.steps and not s.follows
        return with_ticket(
            self.services.context(
                wording.of_alert(self.alert, self.words), self._customer_record(s)
            ),
            reference=s.carried,
            decision=plan.decision,
            change=s.change,
            joined=(s.known is None or bool(s.alert.notification)) and not reopened,
            another=s.member is not None and s.is_new and not reopened,
            reopened=reopened,
            kept_open=s.kept_open,
            follows=s.follows,
            companions=[wording.of_alert(alert, self.words) for alert in s.companions],
            others=s.still if plan.note == "recovery" else others,
            untold=s.untold,
        )

    def _html(self, template: str, context: Dict[str, Any], wanted: str) -> str:
        failed = len(self.settings.problems)
        plain = self.words in wording.PLAIN
        text = self.services.renderer.html(template, context, wanted, failed, plain)
        context["customer"].check()
        self._complain(text.problems)
        return wording.of_text(text.text, self.words)

    def _complain(self, problems: List[str]) -> None:
        for problem in problems:
            self.services.log.say(f"{self.alert.key}: {problem}")


def target(s: Situation) -> int:
    """The id of the ticket that the steps are about."""
    return s.ticket[0]
