"""What the log tells programs of one event (``--log-format json``).

``event`` its id in the queue; ``source``, ``key`` and ``kind`` of its alert; ``outcome`` one of
outcome.py's words; ``decision`` one word of DECISIONS, or the outcome where nothing was changed;
``ticket`` and ``ticket_id``, ``customer`` (an account), null where there is no ticket; ``attempt``
counts from 1; ``together_with`` the ids of events that one note told along with it, which have no
line of their own; ``duration`` in seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional

from brtel_notify.alert import Alert
from brtel_notify.delivery import step_names
from brtel_notify.delivery.outcome import (
    DELIVERED,
    FAILED,
    IGNORED,
    MISCONFIGURED,
    QUEUED,
    REFUSED,
    Verdict,
)
from brtel_notify.intake.queue import Event
from brtel_notify.local.log import ERROR, INFO, WARNING, Log
from brtel_notify.tickets.open_tickets import Entry

if TYPE_CHECKING:
    from brtel_notify.delivery.delivery import Delivery

#: What was done to the ticket, by the step that says it best: the first one that was taken.
DECISIONS = {
    step_names.CREATE: "opened",
    step_names.REOPEN: "reopened",
    step_names.RESOLVE: "closed",
    step_names.CLOSE: "closed",
    step_names.UPDATE: "updated",
    step_names.NOTE: "noted",
}

_LEVELS = {
    DELIVERED: INFO,
    IGNORED: INFO,
    QUEUED: WARNING,
    REFUSED: ERROR,
    MISCONFIGURED: ERROR,
    FAILED: ERROR,
}


def level(verdict: Verdict) -> str:
    """How loud the log says it: an event that is given up needs a person, wherever it is kept."""
    return ERROR if verdict.reason else _LEVELS[verdict.outcome.status]


def of(delivery: Delivery, verdict: Verdict, seconds: float, log: Log) -> Dict[str, Any]:
    """The fields of what was delivered; LOG shows all of them, or only knows of them."""
    event, alert, entry = delivery.event, delivery.alert, None
    if log.json:  # a line of text shows nothing of it, and the map may be large
        state = delivery.state
        with delivery.state_lock:
            entry = state.get(event.key or alert.key) or state.with_member(alert.key)
    return fields(event, alert, entry, verdict, seconds)


def fields(
    event: Event, alert: Alert, entry: Optional[Entry], verdict: Verdict, seconds: float
) -> Dict[str, Any]:
    """The fields of one event; ENTRY is its ticket's in the map, SECONDS what the attempt took."""
    status = verdict.outcome.status
    return {
        "event": event.id,
        "source": alert.source,
        "key": alert.key,
        "kind": alert.kind,
        "outcome": status,
        "decision": _decision(event, status),
        "ticket": entry.number if entry else None,
        "ticket_id": entry.ticket_id if entry else None,
        "customer": entry.customer["account"] if entry else None,
        "attempt": event.attempts,
        "together_with": list(verdict.also_done),
        "duration": round(seconds, 3),
    }


def _decision(event: Event, status: str) -> str:
    if status != DELIVERED:
        return status
    taken = event.results
    return next((word for step, word in DECISIONS.items() if step in taken), IGNORED)
