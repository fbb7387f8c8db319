"""The entry of the open-ticket map as it is after an event: pure functions for the plan."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Mapping

from brtel_notify.alert import SEVERITIES, Alert
from brtel_notify.delivery import occurrences
from brtel_notify.delivery.situation import Situation
from brtel_notify.delivery.step_names import (
    CHECK,
    CREATE,
    DETAILS,
    FIND,
    NOTE,
    REOPEN,
    RESOLVE,
    UPDATE,
)
from brtel_notify.text import times
from brtel_notify.tickets.open_tickets import Entry

#: The same note from two contacts of one notification comes within this many seconds.
SAME_NOTE_WITHIN = 300.0


def entry_of(s: Situation, ticket: Mapping[str, Any]) -> Entry:
    """A new entry for a ticket that was created or found."""
    return Entry(
        key=s.key,
        reference=s.reference,
        ticket_id=ticket["id"],
        number=ticket["number"],
        customer=dict(ticket["customer"]),
        ours=ticket["ours"],
        priority_id=ticket["priority_id"],
        opened_at=times.iso(s.now),
        perhaps_two=bool(ticket.get("perhaps_two")),
        severity=s.alert.severity,
        host=s.alert.host,
        service=s.alert.what,
    )


def with_members(entry: Entry, s: Situation) -> Entry:
    """ENTRY, standing for the alerts as they are now, and as severe as its worst."""
    members = dict(entry.members)
    for alert in s.alerts:
        members[alert.key] = occurrences.joined(members.get(alert.key), alert)
        if alert.notification:
            entry = entry._replace(noted=noted_now(s, entry, alert))
    return entry._replace(members=members, severity=worst(members))


def worst(members: Mapping[str, Mapping[str, Any]]) -> str:
    """The severity of the most severe of MEMBERS, of which there is one at least."""
    return SEVERITIES[max(SEVERITIES.index(member["severity"]) for member in members.values())]


def seen(s: Situation, entry: Entry) -> Entry:
    """ENTRY after this event; a step that spoke with the ticket saw that it was there."""
    looked = any(step in s.facts for step in (FIND, CHECK, CREATE, UPDATE, REOPEN))
    checked_at = times.iso(s.now) if looked else entry.checked_at
    sent = s.facts[UPDATE].get("priority_id") if UPDATE in s.facts else None
    wrote = any("reply" in s.facts.get(step, {}) for step in (DETAILS, NOTE, RESOLVE))
    return entry._replace(
        last_event=s.event_id,
        last_note=s.event_id if wrote else entry.last_note,
        checked_at=checked_at,
        priority_id=sent if sent is not None else entry.priority_id,
    )


def is_noted(s: Situation, entry: Entry) -> bool:
    """Whether the same note was made a moment ago."""
    last = entry.noted.get(_fingerprint(s.alert))
    return last is not None and abs(s.now - times.from_iso(last)) <= SAME_NOTE_WITHIN


def noted_now(s: Situation, entry: Entry, alert: Alert) -> Dict[str, str]:
    """What was noted a moment ago, and ALERT."""
    recent = {
        key: at for key, at in entry.noted.items() if s.now - times.from_iso(at) < SAME_NOTE_WITHIN
    }
    return {**recent, _fingerprint(alert): times.iso(s.now)}


def _fingerprint(alert: Alert) -> str:
    said = [alert.key, alert.kind, alert.action, alert.state, alert.author, alert.comment]
    if alert.notification:  # of a volatile service it is the result that is told
        said.append(alert.output)
    return hashlib.sha256("\n".join(said).encode("utf-8", "replace")).hexdigest()[:12]
