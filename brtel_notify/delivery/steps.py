"""The steps of a plan: each at most one change on the server, and what it found as facts.

A step is in doubt if an earlier attempt may have done it and was killed before it could say so, or
got no answer. It then looks at the server before it does anything that must not happen twice.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from brtel_notify.alert import Alert
from brtel_notify.api.exceptions import ApiError, Forbidden, NotFound, Refused
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.delivery import doubles, step_names
from brtel_notify.delivery.notes import Facts, Note, target
from brtel_notify.delivery.opening import Opening
from brtel_notify.delivery.services import Services
from brtel_notify.delivery.situation import Plan, Situation
from brtel_notify.intake.queue import Event

#: A refusal with one of these may be about an id that was made anew under its old name.
_MAY_BE_A_STALE_ID = (400, 404, 422)


class Steps(Opening):
    """The steps for one event. ``settings`` are those of the event's alert.

    Those that only look are in finding.py, a new ticket's in opening.py, notes in notes.py. Every
    step raises ApiError, OutOfTime, ConfigError and CredentialsError; FIND raises NoOwner.
    """

    def __init__(self, services: Services, alert: Alert, event: Event) -> None:
        super().__init__(services, alert, event)
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
            step_names.TELL_OF_DOUBLES: self._tell_of_doubles,
        }

    def take(self, step: str, s: Situation, plan: Plan) -> Facts:
        """Perform STEP; what it found."""
        if step in self._perform:
            return self._perform[step](s, plan)
        return self._close_double(step, s)

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
            anew = self._priority_anew(error)
            if anew == wanted:
                if isinstance(error, NotFound) or len(given) == 1:
                    raise
                del given["estimated_resolution_date"]  # it may be that which is refused
            wanted = given["priority_id"] = anew
            ticket = self.services.client.update_ticket(target(s), **given)
        self._sent = given
        self._compare(ticket)
        return {**self._seen(ticket, s), "priority_id": wanted}

    def _priority_anew(self, error: ApiError) -> Optional[int]:
        """The id of the priority, from a list fetched now, after a refusal that may be about it.

        Raises ERROR where it is about something else.
        """
        if error.status not in _MAY_BE_A_STALE_ID and not isinstance(error, NotFound):
            raise error
        self.services.names.forget()
        try:
            return self._ids()["priority"]
        except ConfigError:  # it has no such name any more
            raise error from None

    def _last_priority(self, s: Situation) -> Optional[int]:
        if s.found is not None:
            return s.found["priority_id"]  # type: ignore[no-any-return]
        return s.entry.priority_id if s.entry else None

    def _reopen(self, s: Situation, plan: Plan) -> Facts:
        if s.facts.get("seen_closed") != target(s):
            # Before the call, whose answer may be lost: who finds it open then, must know.
            self.event.enter(step="seen_closed", result=target(s))
        self.services.client.open_ticket(target(s))
        return {"open": True}

    def _keep_open(self, s: Situation, plan: Plan) -> Facts:
        try:
            self.services.client.reopen_ticket(target(s))
        except (NotFound, Refused):  # the other call does the same where a closing is pending
            self.services.client.open_ticket(target(s))
        return {}

    # --- tickets with the same reference (doubles.py) ---------------------------------------------

    def _close_double(self, step: str, s: Situation) -> Facts:
        """Close a younger ticket with a pointer to the older one, or without, if it is refused."""
        number = int(step.rpartition(" ")[2])
        (name,) = [each["number"] for each in doubles.seen(s) if each["id"] == number]
        older_id, older = s.ticket
        note = Note(
            step, number, name or str(number), doubles.reference_of(number), closes=True, look=True
        )
        shown = older or str(older_id)
        try:
            facts = self._send(note, lambda: self._remark("double", note.reference, shown))
            refused = "left_out" in facts
        except (Forbidden, Refused) as error:
            facts, refused = {"left_out": str(error)}, True
        if refused:
            self.services.client.close_ticket(number)
        key = self.alert.key
        self.services.log.say(f"{key}: ticket {note.name} is a double of {shown}: closed")
        return facts

    def _tell_of_doubles(self, s: Situation, plan: Plan) -> Facts:
        found = doubles.seen(s)
        names = ", ".join(each["number"] or str(each["id"]) for each in found)
        ids = ", ".join(str(each["id"]) for each in found)
        number, name = s.ticket
        wanted = doubles.reference_of_note(ids)
        note = Note(step_names.TELL_OF_DOUBLES, number, name or str(number), wanted, look=True)
        return self._send(note, lambda: self._remark("had_double", wanted, names))

    def _remark(self, what: str, wanted: str, number: str) -> str:
        return self.services.renderer.remark(what, wanted, number=number)
