"""The notes on a ticket, and what they and its other texts are made of.

Each note is sent once: one whose answer was lost is looked for before it is sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, TypeVar

from brtel_notify.alert import Alert, last_reference, reference
from brtel_notify.api.exceptions import ApiError, Refused
from brtel_notify.delivery import step_names
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

    def _details(self, s: Situation, plan: Plan) -> Facts:
        return self._reply(step_names.DETAILS, "details", s, plan)

    def _note(self, s: Situation, plan: Plan) -> Facts:
        return self._reply(step_names.NOTE, plan.note, s, plan)

    def _resolve(self, s: Situation, plan: Plan) -> Facts:
        return self._reply(step_names.RESOLVE, plan.note, s, plan)

    def _close(self, s: Situation, plan: Plan) -> Facts:
        """Close the ticket although BlueRockTEL refused the note: the alert has recovered."""
        ticket_id = target(s)
        try:
            self.services.client.close_ticket(ticket_id)
        except Refused:
            if self.services.client.ticket(ticket_id).open:
                raise
        return {}

    def _reply(self, step: str, template: str, s: Situation, plan: Plan) -> Facts:
        """One note, and a look whether it came out as it was meant (internal_notes.py)."""
        notes = self.services.internal_notes
        with notes.in_turn():
            reply = self._replied_before(step, s) if self.event.in_doubt(step) else None
            withheld = notes.withheld() if reply is None else ""
            if withheld:
                self.services.log.say(f"{self.alert.key}: {step}: no note: {withheld}")
                return {"left_out": withheld, "withheld": True}
            name = s.ticket[1] or str(target(s))
            if reply is None:
                notes.announce(target(s), name, self.reply_reference)
                reply = self._send_reply(step, template, s, plan)
            notes.look_at(target(s), name, reply)
        return {"reply": reply.id}

    def _replied_before(self, step: str, s: Situation) -> Optional[Reply]:
        """The reply of an earlier attempt that got no answer, if it arrived."""
        for reply in self.services.client.replies(target(s)):
            if last_reference(reply.body) == self.reply_reference:
                if step == step_names.RESOLVE:
                    self.services.client.close_ticket(target(s))
                return reply
        return None

    def _send_reply(self, step: str, template: str, s: Situation, plan: Plan) -> Reply:
        options = self.services.config.replies
        body = self._html(template, self._context(s, plan), self.reply_reference)
        to_contacts = options.send_to_contacts and self._want_mail(s)
        return self._call(
            step,
            lambda: self.services.client.create_reply(
                target(s),
                body,
                close=step == step_names.RESOLVE,
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

    def _call(self, step: str, call: Callable[[], Answer]) -> Answer:
        """Make the CALL of STEP, journalled before: whether it arrived may never be known."""
        self.event.enter(begin=step, at=self.services.clock())
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
            self.services.context(self.alert, self._customer_record(s)),
            reference=s.carried,
            decision=plan.decision,
            change=s.change,
            joined=(s.known is None or bool(s.alert.notification)) and not reopened,
            reopened=reopened,
            kept_open=s.kept_open,
            follows=s.follows,
            companions=s.companions,
            others=s.still if plan.note == "recovery" else others,
            untold=s.untold,
        )

    def _html(self, template: str, context: Dict[str, Any], wanted: str) -> str:
        failed = len(self.settings.problems)
        text = self.services.renderer.html(template, context, wanted, failed)
        context["customer"].check()
        self._complain(text.problems)
        return text.text

    def _complain(self, problems: List[str]) -> None:
        for problem in problems:
            self.services.log.say(f"{self.alert.key}: {problem}")


def target(s: Situation) -> int:
    """The id of the ticket that the steps are about."""
    return s.ticket[0]
