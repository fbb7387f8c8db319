"""One event to its ticket: plan, perform step by step, journal each, record, remove."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from brtel_notify import plan as steps
from brtel_notify import times
from brtel_notify.alert import PROBLEM, Alert, key_part, reference
from brtel_notify.bluerocktel import ApiError, NotFound, Ticket
from brtel_notify.desk import Desk
from brtel_notify.plan import Plan, Policy, Situation, plan
from brtel_notify.queue import Event, Queue
from brtel_notify.settings import Settings
from brtel_notify.state import Entry, State

DELIVERED = "delivered"
IGNORED = "ignored"


class NoOwner(Exception):
    """No lookup gave a customer, and there is no fallback: the event is refused for good."""


@dataclass(frozen=True)
class Outcome:
    """What became of an event: a word of this module or of drain, and one line for people."""

    status: str
    text: str

    def __str__(self) -> str:
        return f"{self.status}: {self.text}"


class Delivery:
    """The delivery of one event. ``state_lock`` guards STATE, which all threads share."""

    def __init__(
        self,
        event: Event,
        alert: Alert,
        desk: Desk,
        state: State,
        state_lock: threading.Lock,
        queue: Queue,
    ) -> None:
        self.event = event
        self.alert = alert
        self.desk = desk
        self.state = state
        self.state_lock = state_lock
        self.queue = queue
        self.settings = Settings({}, {})
        self.owner: Optional[Dict[str, Any]] = None
        self.facts = self._standing_facts()
        self.begun = False
        self.looked_again = False
        #: The last attempt may have done its last step without living to tell.
        self.in_doubt = event.in_doubt
        self.perform: Dict[str, Callable[[Situation, Plan], Any]] = {
            steps.FIND: self._find,
            steps.CHECK: self._check,
            steps.CREATE: self._create,
            steps.ATTACH: self._attach,
            steps.DETAILS: self._details,
            steps.UPDATE: self._update,
            steps.REOPEN: self._reopen,
            steps.NOTE: self._note,
            steps.RESOLVE: self._resolve,
        }

    def _standing_facts(self) -> Dict[str, Any]:
        """What earlier attempts found out and did.

        Before anything was changed, what they saw on the server may have changed since, so it is
        looked at again; unless a creation is in doubt, which is settled against what was seen.
        """
        facts = self.event.results
        changed = [name for name in facts if name not in (steps.FIND, steps.CHECK)]
        return facts if changed or self.event.in_doubt else {}

    def run(self) -> Outcome:
        """Deliver the event, from wherever an earlier attempt left it.

        Raises ApiError, OutOfTime, ConfigError, CredentialsError, NoOwner and OSError; then the
        event is still in the queue, with what was done in its journal.
        """
        calls = self.desk.calls
        self.settings = self.desk.settings(self.alert)
        self._complain(self.settings.problems)
        if self.settings.ignored_by:
            self.queue.remove(self.event)
            place = self.desk.config.place(self.settings.ignored_by)
            return Outcome(IGNORED, f"{self.alert.key}: {self.settings.ignored_by} ({place})")
        situation = self._situation()
        if situation.entry is not None and situation.entry.last_event == self.event.id:
            self.queue.remove(self.event)  # recorded just before an earlier attempt was killed
            return Outcome(DELIVERED, f"{self.alert.key}: delivered before")
        done = self._follow(situation)
        self._record(situation, done)
        self.queue.remove(self.event)
        status = DELIVERED if plan(done).steps else IGNORED
        return Outcome(status, self._story(situation, done, self.desk.calls - calls))

    def failed(self, text: str, maybe_done: bool, retry_at: float = 0.0) -> None:
        """Journal that this attempt ended without delivering. Raises OSError.

        What an earlier attempt left in doubt stays so until a look at the server has settled it.
        """
        self.event.note(failed=text, maybe_done=maybe_done or self.in_doubt, retry_at=retry_at)

    # --- the way through a plan ------------------------------------------------------------------

    def _situation(self) -> Situation:
        config = self.desk.config
        entry, key = self._entry()
        return Situation(
            alert=self.alert,
            key=key,
            reference=reference(key),
            event_id=self.event.id,
            policy=Policy(
                lifecycle=config.lifecycle,
                group_by=config.ticket.group_by,
                details=config.replies.details,
                attach=config.contact.role is not None,
            ),
            now=self.event.capture.time,
            entry=entry,
            shared=self._others(entry),
            facts=self.facts,
        )

    def _entry(self) -> Tuple[Optional[Entry], str]:
        """The map's entry for the alert's ticket, and the key it has or would have."""
        group_by = self.desk.config.ticket.group_by
        with self.state_lock:
            entry = self.state.get(self.alert.key) or self.state.with_member(self.alert.key)
        if entry is not None:
            return entry, entry.key
        if group_by == "alert":
            return None, self.alert.key
        if group_by == "host":
            key = f"host:{key_part(self.alert.host)}"
        else:
            owner = self._customer(self.facts)
            # Nobody's alert has no group; without an open ticket it comes to nothing anyway.
            key = f"customer:{owner['id']}" if owner else self.alert.key
        with self.state_lock:
            return self.state.get(key), key

    def _others(self, entry: Optional[Entry]) -> int:
        if entry is None or self.desk.config.ticket.adopt != "any":
            return 0
        with self.state_lock:
            return self.state.others_on(entry)

    def _follow(self, situation: Situation) -> Situation:
        """Perform what is not done yet; the situation with the facts of every step."""
        while True:
            story = plan(situation)
            missing = [step for step in story.steps if step not in situation.facts]
            if not missing:
                return situation
            self._begin()
            result = self._take(missing[0], situation, story)
            self.in_doubt = False
            situation = _knowing(situation, result)

    def _begin(self) -> None:
        if not self.begun:
            self.event.note(attempt=self.event.attempts + 1, at=times.iso(self.desk.clock()))
            self.begun = True

    def _take(self, step: str, situation: Situation, story: Plan) -> Mapping[str, Any]:
        """Perform one step and journal what it gave, as facts."""
        try:
            result = self.perform[step](situation, story)
        except NotFound:
            if step == steps.CREATE and not self.looked_again:
                return self._look_again(situation, story)
            if step in (steps.FIND, steps.CREATE):
                raise
            gone = self._target(situation)
            if step in steps.OPTIONAL or gone == situation.facts.get("gone"):
                result = {"refused": "404"}
            else:
                self.event.note(step="gone", result=gone)
                self.desk.log.say(f"{self.alert.key}: ticket {gone} is not there any more")
                return {"gone": gone}
        except ApiError as error:
            if step not in steps.OPTIONAL or error.retry or error.status in (401, 403):
                raise
            self.desk.log.say(f"{self.alert.key}: {step} left out: {error}")
            result = {"refused": str(error)}
        self.event.note(step=step, result=result)
        return {step: result}

    def _look_again(self, situation: Situation, story: Plan) -> Mapping[str, Any]:
        """The customer is not there any more: what the cache knows of customers is out of date."""
        self.looked_again = True
        self.desk.cache.clear("customer")
        found = self._find(replace(situation, facts={}), story)
        self.event.note(step=steps.FIND, result=found)
        return {steps.FIND: found}

    def _record(self, situation: Situation, done: Situation) -> None:
        story = plan(done)
        if story.entry is None and not story.forget:
            return
        with self.state_lock:
            if story.forget:
                self.state.drop(done.key)
            elif story.entry is not None:
                self.state.put(story.entry)
            keep = self.desk.config.lifecycle.reopen_within
            self.state.forget_closed(times.iso(self.desk.clock() - max(keep, 60.0)))
            self.state.save()

    def _story(self, before: Situation, done: Situation, calls: int) -> str:
        story = plan(done)
        ticket = story.entry or before.entry
        text = f"{self.alert.key}: {story.decision}"
        if ticket is not None:
            customer = ticket.customer
            text += f": ticket {ticket.number} of {customer['name']} ({customer['account']})"
            if steps.CREATE in done.facts or steps.FIND in done.facts:
                text += f", owner by {customer['how']}"
        return f"{text}, {calls} call{'' if calls == 1 else 's'}"

    # --- the steps -------------------------------------------------------------------------------

    def _customer(self, facts: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        found = facts.get(steps.FIND)
        if found is not None and found["customer"] is not None:
            self.owner = dict(found["customer"])
        else:
            owner = self.desk.owner(self.alert)
            self.owner = owner.as_dict() if owner else None
        return self.owner

    def _find(self, s: Situation, story: Plan) -> Dict[str, Any]:
        customer = self._customer(s.facts)
        if customer is None:
            if self.alert.kind == PROBLEM:
                raise NoOwner(
                    f"nobody owns {self.alert.host}: no lookup gave a customer and"
                    " customer.fallback is not set"
                )
            return {"customer": None, "ticket": None, "seen": []}
        if self.desk.config.ticket.adopt == "any":
            tickets = self.desk.client.search_tickets(customer_id=customer["id"], open=True)
        else:
            tickets = self._tickets_of_ours(customer["id"], s.reference)
        chosen = self._choose(tickets, s)
        return {
            "customer": customer,
            "ticket": None if chosen is None else _summary(chosen, customer),
            "seen": [ticket.id for ticket in tickets if s.reference in ticket.body],
        }

    def _tickets_of_ours(self, customer_id: int, wanted: str) -> List[Ticket]:
        found = self.desk.client.search_tickets(customer_id=customer_id, body=wanted)
        return [
            ticket
            for ticket in found
            if wanted in ticket.body and ticket.customer_id in (customer_id, None)
        ]

    def _choose(self, tickets: List[Ticket], s: Situation) -> Optional[Ticket]:
        """The ticket to use: an open one of this very alert, else any that may be adopted, else
        one of this alert that was closed a short while ago."""
        ours = [ticket for ticket in tickets if s.reference in ticket.body]
        for candidates in (ours, tickets):
            is_open = [ticket for ticket in candidates if ticket.open]
            if is_open:
                return max(is_open, key=lambda ticket: ticket.id)
        recent = [ticket for ticket in ours if self._closed_recently(ticket, s)]
        return max(recent, key=lambda ticket: ticket.id) if recent else None

    def _closed_recently(self, ticket: Ticket, s: Situation) -> bool:
        from brtel_notify.bluerocktel import parse_date

        closed_at = parse_date(ticket.closed_at) if ticket.closed_at else None
        return closed_at is not None and (
            s.now - closed_at <= self.desk.config.lifecycle.reopen_within
        )

    def _check(self, s: Situation, story: Plan) -> Dict[str, Any]:
        return {"open": self.desk.client.ticket(self._target(s)).open}

    def _create(self, s: Situation, story: Plan) -> Dict[str, Any]:
        found = s.facts[steps.FIND]
        customer = found["customer"]
        if self.in_doubt:
            for ticket in self._tickets_of_ours(customer["id"], s.reference):
                if ticket.id not in found["seen"]:
                    return _summary(ticket, customer)
        ids = self._ids()
        context = self._context(s, story, customer)
        subject = self.desk.renderer.subject(context)
        body = self._html("body", s, story, customer, s.reference)
        self._complain(subject.problems)
        ticket = self.desk.client.create_ticket(
            customer["id"],
            subject=subject.text,
            body=body,
            priority_id=_required(ids["priority"]),
            category_id=_required(ids["category"]),
            sub_category_id=_required(ids["sub_category"]),
            tags=self.settings.values["tags"],
            estimated_resolution_date=self._resolution_date(),
            team_id=ids["team"],
            status_id=ids["status"],
        )
        return {**_summary(ticket, customer), "open": True, "ours": True}

    def _ids(self) -> Dict[str, Optional[int]]:
        before = len(self.settings.problems)
        ids = self.desk.names.ids(self.settings)
        self._complain(self.settings.problems[before:])
        return ids

    def _resolution_date(self) -> Optional[str]:
        within = self.settings.values["resolve_within"]
        return None if within is None else times.api_date(self.event.capture.time + within)

    def _attach(self, s: Situation, story: Plan) -> Dict[str, Any]:
        ticket = s.facts[steps.CREATE]
        contacts = self.desk.contacts(ticket["customer"]["id"])
        if contacts:
            self.desk.client.associate_contacts(ticket["id"], contacts)
        else:
            name = ticket["customer"]["name"]
            self.desk.log.say(f"{self.alert.key}: {name} has no contact of the configured role")
        return {"contacts": contacts}

    def _details(self, s: Situation, story: Plan) -> Dict[str, Any]:
        return self._reply("details", s, story, close=False)

    def _note(self, s: Situation, story: Plan) -> Dict[str, Any]:
        return self._reply(story.note, s, story, close=False)

    def _resolve(self, s: Situation, story: Plan) -> Dict[str, Any]:
        return self._reply(story.note, s, story, close=True)

    def _reply(self, template: str, s: Situation, story: Plan, close: bool) -> Dict[str, Any]:
        ticket_id = self._target(s)
        wanted = reference(self.event.id)
        if self.in_doubt:
            for reply in self.desk.client.replies(ticket_id):
                if wanted in reply.body:
                    if close:
                        self.desk.client.close_ticket(ticket_id)
                    return {"reply": reply.id}
        options = self.desk.config.replies
        body = self._html(template, s, story, self._customer_of(s), wanted)
        reply = self.desk.client.create_reply(
            ticket_id,
            body,
            close=close,
            send_to_assignee=options.send_to_assignee,
            send_to_contacts=options.send_to_contacts,
            customer_visible=options.customer_visible,
        )
        return {"reply": reply.id}

    def _update(self, s: Situation, story: Plan) -> Dict[str, Any]:
        fields: Dict[str, Any] = {
            "priority_id": self._ids()["priority"],
            "estimated_resolution_date": self._resolution_date(),
        }
        given = {name: value for name, value in fields.items() if value is not None}
        return {"open": self.desk.client.update_ticket(self._target(s), **given).open}

    def _reopen(self, s: Situation, story: Plan) -> Dict[str, Any]:
        self.desk.client.open_ticket(self._target(s))
        return {"open": True}

    def _target(self, s: Situation) -> int:
        """The id of the ticket that the steps are about."""
        created = s.facts.get(steps.CREATE)
        if created is not None:
            return int(created["id"])
        if s.found is not None:
            return int(s.found["id"])
        assert s.entry is not None  # noqa: S101 - a plan with such a step has one of the three
        return s.entry.ticket_id

    # --- texts -----------------------------------------------------------------------------------

    def _customer_of(self, s: Situation) -> Mapping[str, Any]:
        for ticket in (s.facts.get(steps.CREATE), s.found):
            if ticket is not None:
                return dict(ticket["customer"])
        return s.entry.customer if s.entry else {}

    def _context(self, s: Situation, story: Plan, customer: Mapping[str, Any]) -> Dict[str, Any]:
        context = self.desk.context(self.alert, customer)
        context.update(
            reference=s.reference,
            change=s.change,
            decision=story.decision,
            others=len(set(s.entry.members) - {self.alert.key}) if s.entry else 0,
            joined=s.member is None and steps.REOPEN not in story.steps,
            reopened=steps.REOPEN in story.steps,
        )
        return context

    def _html(
        self, template: str, s: Situation, story: Plan, customer: Mapping[str, Any], wanted: str
    ) -> str:
        context = self._context(s, story, customer)
        text = self.desk.renderer.html(template, context, wanted, len(self.settings.problems))
        self._complain(text.problems)
        return text.text

    def _complain(self, problems: List[str]) -> None:
        for problem in problems:
            self.desk.log.say(f"{self.alert.key}: {problem}")


def _knowing(situation: Situation, facts: Mapping[str, Any]) -> Situation:
    return replace(situation, facts={**situation.facts, **facts})


def _summary(ticket: Ticket, customer: Mapping[str, Any]) -> Dict[str, Any]:
    return {
        "id": ticket.id,
        "number": ticket.number,
        "open": ticket.open,
        "ours": "BN-" in ticket.body,
        "customer": dict(customer),
    }


def _required(number: Optional[int]) -> int:
    assert number is not None  # noqa: S101 - the configuration requires it
    return number
