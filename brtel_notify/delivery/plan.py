"""What an event does to its ticket: DESIGN section 5 as a pure function.

``plan(situation)`` looks at the alert, the entry of the open-ticket map it belongs to, and what
the steps taken so far have found out, and gives all the steps of this event, those already done
included. The caller performs the first that is not done, adds what it found, and asks again: so
the same function serves a fresh event and one that was interrupted anywhere.
"""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from brtel_notify import alert as kinds
from brtel_notify.alert import SEVERITIES
from brtel_notify.delivery import occurrences
from brtel_notify.delivery.next_entry import (
    SAME_NOTE_WITHIN,
    entry_of,
    is_noted,
    noted_now,
    seen,
    with_members,
    worst,
)
from brtel_notify.delivery.situation import Plan, Situation
from brtel_notify.delivery.step_names import (
    ASSIGN,
    ATTACH,
    CHECK,
    CLOSE,
    CREATE,
    DETAILS,
    DUE,
    FIND,
    KEEP_OPEN,
    NOTE,
    REOPEN,
    RESOLVE,
    UPDATE,
)
from brtel_notify.text import times
from brtel_notify.tickets.open_tickets import Entry

#: How often, in seconds, a repeated problem makes us see whether a person closed its ticket.
CHECK_EVERY = 3600.0
#: Of so many alerts the entry remembers that its ticket was closed for them.
CLOSED_FOR = 100

#: The kinds that only ever add a note, and the configuration key that decides it.
_NOTED = {
    kinds.ACKNOWLEDGEMENT: "on_acknowledgement",
    kinds.COMMENT: "on_comment",
    kinds.DOWNTIME: "on_downtime",
    kinds.FLAPPING: "on_flapping",
}


def plan(situation: Situation) -> Plan:
    """What is done for an event, from its first step on, as far as it is known by now."""
    kind = situation.alert.kind
    if kind == kinds.PROBLEM:
        return _problem(situation)
    if kind == kinds.RECOVERY:
        return _recovery(situation)
    if kind in _NOTED:
        return _noted(situation, getattr(situation.policy.lifecycle, _NOTED[kind]))
    return Plan("a test: nothing to deliver")


# --- problems -----------------------------------------------------------------------------------


def _problem(s: Situation) -> Plan:
    entry = s.entry
    if s.ended is not None and s.had_ended:
        return Plan(f"had ended before it came, by {_the_recovery(s.ended)}: nothing is opened")
    if entry is None or entry.recovered_at is not None or _is_over(s, entry):
        return _first(s)
    if entry.closed_at is not None:
        return _returned(s, entry)
    if entry.muted:
        if s.is_new:  # the person's word was about the ones that were open then
            return _opens_anew(s, (FIND,))
        return Plan("still a problem, but a person closed its ticket: left alone")
    if s.member is None:
        return _joins(s, entry)
    if s.is_new:
        return _joins(s, entry, "another problem of it: noted on its ticket")
    if s.change or (s.alert.action and not occurrences.is_sent_again(s.member, s.alert)):
        return _changed(s, entry)
    if s.alert.notification not in ("", s.member.get("notification", "")):
        return _next_result(s, entry)
    return _repeated(s, entry)


def _the_recovery(ended: Mapping[str, Any]) -> str:
    named = f" of {ended['occurrence']}" if ended.get("occurrence") else ""
    return f"the recovery{named} that came at {times.iso(ended['at'])}"


def _is_over(s: Situation, entry: Entry) -> bool:
    begun = REOPEN in s.facts or s.facts.get("seen_closed") == entry.ticket_id
    if entry.closed_at is None or (begun and FIND not in s.facts):
        return False  # an earlier attempt may have reopened it, whatever the clock says by now
    return s.now - times.from_iso(entry.closed_at) > s.policy.lifecycle.reopen_within


def _first(s: Situation) -> Plan:
    if FIND not in s.facts:
        return Plan("a new problem", (FIND,))
    if s.found is None:
        return _opens(s, (FIND,))
    if s.found["open"] and not s.reopened:
        return _joins_found(s, s.found, (FIND,))
    if s.follows:
        return _opens(s, (FIND, REOPEN))
    entry = with_members(entry_of(s, s.found), s)
    return Plan("reopened", (FIND, REOPEN, NOTE), seen(s, entry), note="problem")


def _joins_found(s: Situation, found: Mapping[str, Any], before: Tuple[str, ...]) -> Plan:
    """FIND found an open ticket; when a milder alert opened it, it is raised."""
    kept = (KEEP_OPEN,) if s.closing_requested else ()
    steps = (*before, *kept, *((UPDATE,) if found["milder"] else ()), NOTE)
    # Another monitoring server, or a map that was lost, may know of more alerts in a group ticket.
    # Not where its closing was requested, or it was closed: then all that it stood for was over.
    was_over = s.closing_requested or found["id"] == s.facts.get("seen_closed")
    others_unknown = s.policy.grouped and not was_over
    entry = with_members(entry_of(s, found)._replace(others_unknown=others_unknown), s)
    return Plan("joined the open ticket", steps, seen(s, entry), note="problem")


def _opens(s: Situation, before: Tuple[str, ...]) -> Plan:
    steps = [*before, CREATE]
    created = s.facts.get(CREATE)
    if s.assigns:
        steps.append(ASSIGN)
    if created and created.get("due_off"):
        steps.append(DUE)
    if s.policy.attach:
        steps.append(ATTACH)
    if s.policy.details or s.companions:  # no other text speaks of those
        steps.append(DETAILS)
    entry = with_members(entry_of(s, created), s) if created else None
    decision = f"opened, since {s.follows} could not be reopened" if s.follows else "opened"
    return Plan(decision, tuple(steps), entry and seen(s, entry))


def _returned(s: Situation, entry: Entry) -> Plan:
    if s.gone:
        return _first(s)
    if s.follows:
        return _opens_anew(s, (REOPEN, FIND))
    steps = (REOPEN, UPDATE, NOTE) if s.alert.severity != entry.severity else (REOPEN, NOTE)
    again = entry._replace(closed_at=None, members={}, severity=s.alert.severity, noted={})
    return Plan("reopened", steps, seen(s, with_members(again, s)), note="problem")


def _joins(s: Situation, entry: Entry, decision: str = "joined the open ticket") -> Plan:
    after = with_members(entry, s)
    worse = SEVERITIES.index(after.severity) > SEVERITIES.index(entry.severity)
    # A new alert deserves a look whether its ticket is still there: UPDATE shows it as well.
    return _on_open_ticket(s, entry, (UPDATE if worse else CHECK, NOTE), decision)


def _changed(s: Situation, entry: Entry) -> Plan:
    after = with_members(entry, s)
    # In a ticket of several alerts the worst one decides, and only it changes the priority.
    alone = len(after.members) == 1 and len(occurrences.open_ones(after.members[s.alert.key])) < 2
    decides = alone or (after.severity != entry.severity and after.severity == s.alert.severity)
    first = UPDATE if s.change and decides else CHECK
    return _on_open_ticket(s, entry, (first, NOTE), s.change or f"is {s.alert.action}")


def _on_open_ticket(s: Situation, entry: Entry, steps: Tuple[str, ...], decision: str) -> Plan:
    """STEPS on the entry's ticket, the first of which shows whether somebody closed it."""
    if s.closed_by_others:
        return _after_closing(s, entry, tuple(step for step in steps if step in s.facts))
    if s.closing_requested:
        steps = (steps[0], KEEP_OPEN, *steps[1:])
    return Plan(decision, steps, seen(s, with_members(entry, s)), note="problem")


def _next_result(s: Situation, entry: Entry) -> Plan:
    """A volatile service: each of its results is news, though the problem is the same."""
    same = is_noted(s, entry)
    told = occurrences.told_results(entry.results, s.now)
    note = () if same or told is None else (CHECK, NOTE)
    if s.closed_by_others:
        return _after_closing(s, entry, (CHECK,) if CHECK in s.facts else ())
    results = occurrences.untold(entry.results, s.now) if told is None and not same else told
    after = with_members(entry._replace(noted=noted_now(s, entry, s.alert)), s)
    after = after._replace(results=results or entry.results)
    why = "the same text again" if same else "counted, and told with the next note"
    decision = "its next result: noted" if note else f"its next result: {why}"
    return Plan(decision, note, seen(s, after), note="problem")


def _repeated(s: Situation, entry: Entry) -> Plan:
    anew = s.member is not None and occurrences.began_anew(s.member, s.alert)
    steps = [CHECK] if anew or _is_check_due(s, entry) else []
    if s.closed_by_others:
        return _after_closing(s, entry, (CHECK,) if CHECK in s.facts else ())
    if s.closing_requested:
        steps.append(KEEP_OPEN)
    if s.policy.lifecycle.on_repeat == "note":
        steps.append(NOTE)
    decision = "the same problem again: noted" if NOTE in steps else "the same problem again"
    if s.kept_open:
        decision += "; its closing, which was requested, is taken back"
    after = seen(s, with_members(entry, s) if anew or _names(s) else entry)
    return Plan(decision, tuple(steps), after if steps or _names(s) else None, note="problem")


def _names(s: Situation) -> bool:
    """Whether this is the first that says which occurrence it is: then the map takes it on."""
    named = s.alert.occurrence or s.alert.order
    return bool(named) and not occurrences.is_named(s.member)


def _is_check_due(s: Situation, entry: Entry) -> bool:
    last = entry.checked_at or entry.opened_at
    return not last or s.now - times.from_iso(last) > CHECK_EVERY


def _after_closing(s: Situation, entry: Entry, before: Tuple[str, ...]) -> Plan:
    """The problem goes on, but a person closed (or deleted) the ticket, or it closed by itself.

    What closed by itself nobody decided: it is as if we had closed it. So has another server of
    ours, which was told of a recovery.
    """
    wanted = s.policy.lifecycle.on_closed_by_hand
    if s.closed_by_itself or s.closed_by_us:
        # What was closed as a double has an older one that is open; what we closed long ago may be
        # reopened like a person's.
        late = s.closed_by_us and not s.closed_as_double and wanted == "reopen"
        wanted = "reopen" if s.closed_lately or late else "new"
    if wanted == "ignore" and s.is_new:  # that word was about the ones that were open then
        wanted = "new"
    if wanted == "ignore":
        muted = entry._replace(muted=True)
        return Plan("a person closed its ticket: left alone", before, seen(s, muted))
    if wanted == "new" or s.gone:
        return _opens_anew(s, (*before, FIND))
    if s.follows:
        return _opens_anew(s, (*before, REOPEN, FIND))
    # A person's closing, or a recovery, ended all that was open then; BlueRockTEL's own did not.
    still = entry if s.closed_by_itself else entry._replace(members={})
    again = with_members(still, s)
    return Plan(
        f"{_who_closed(s)}: reopened",
        (*before, REOPEN, NOTE),
        seen(s, again),
        note="problem",
    )


def _opens_anew(s: Situation, before: Tuple[str, ...]) -> Plan:
    if FIND not in s.facts:
        return Plan("its ticket is closed", before)
    if s.found is not None and s.found["open"]:  # another monitoring server was quicker
        return _joins_found(s, s.found, before)
    opened = _opens(s, before)
    if s.follows:
        return opened
    return opened._replace(decision=f"{_who_closed(s)}: opened a new one")


def _who_closed(s: Situation) -> str:
    if s.closed_by_us:
        return "its ticket was closed with the alert's recovery"
    return "its ticket closed by itself" if s.closed_by_itself else "a person closed its ticket"


# --- recoveries ---------------------------------------------------------------------------------


def _recovery(s: Situation) -> Plan:
    entry = s.entry
    if entry is None:
        return _recovery_of_unknown(s)
    if entry.closed_at is not None:
        return Plan("recovered: its ticket is closed already")
    if s.gone:
        return Plan("recovered; its ticket is not there any more", forget=True)
    if s.member is None:
        return Plan("recovered: its ticket does not stand for it")
    if occurrences.names_another(s.member, s.alert):
        return Plan("recovered, but another one than is open: its ticket is left as it is")
    if occurrences.is_older(s.member, s.alert, s.now):
        return Plan("recovered, but before the open problem began: its ticket is left as it is")
    entry = _without_what_is_over(s, entry)
    after = seen(s, entry._replace(severity=worst(s.left))) if s.left else None
    if entry.muted:  # for what is left, the person's word still holds
        return Plan("recovered; a person had closed its ticket", (), after, forget=not s.left)
    if after is not None:
        return Plan(f"recovered, {s.still} still not", (NOTE,), after, note="recovery")
    return _last_recovery(s, entry)


def _without_what_is_over(s: Situation, entry: Entry) -> Entry:
    over = [key for key in entry.members if key not in s.left]
    over += [key for key in entry.closed_for if key not in over] if _lately(s, entry) else []
    if s.alert.kind in _NOTED:  # the end of a downtime: a second contact's is no other note
        entry = entry._replace(noted=noted_now(s, entry, s.alert))
    return entry._replace(members=s.left, closed_for=over[:CLOSED_FOR], over_at=times.iso(s.now))


def _last_recovery(s: Situation, entry: Entry) -> Plan:
    wanted = s.policy.lifecycle.on_recovery
    left = seen(s, entry._replace(results={}, recovered_at=times.iso(s.now)))
    if wanted == "ignore":
        return Plan("recovered: its ticket is left to people", (), left)
    if wanted == "note" or not entry.ours or entry.others_unknown or s.shared:
        return Plan("recovered: noted, ticket left open", (NOTE,), left, note="recovery")
    closed = left._replace(recovered_at=None, closed_at=times.iso(s.now))
    return Plan("closed", _closing(s), closed, note="recovery")


def _closing(s: Situation) -> Tuple[str, ...]:
    return (RESOLVE, CLOSE) if "left_out" in s.facts.get(RESOLVE, {}) else (RESOLVE,)


def _recovery_of_unknown(s: Situation) -> Plan:
    """The map knows nothing: it was lost, or another server opened the ticket, or nobody did."""
    if s.policy.lifecycle.on_recovery == "ignore":
        return Plan("recovered: nothing to do")
    if FIND not in s.facts:
        return Plan("recovered", (FIND,))
    found = s.found
    if found is None or not found["open"] or not found["mine"]:
        return Plan("recovered: no ticket of ours is open", (FIND,))
    if s.closing_requested:
        return Plan("recovered: the closing of its ticket is requested already", (FIND,))
    over = entry_of(s, found)._replace(closed_for=[s.alert.key], over_at=times.iso(s.now))
    ended = seen(s, over)
    if s.policy.grouped or s.policy.lifecycle.on_recovery == "note":
        # Who else is in a found group ticket is not known: it is not ours to close on a guess.
        left = ended._replace(recovered_at=times.iso(s.now))
        return Plan("recovered: noted, ticket left open", (FIND, NOTE), left, note="recovery")
    closed = ended._replace(closed_at=times.iso(s.now))
    return Plan("closed", (FIND, *_closing(s)), closed, note="recovery")


# --- acknowledgements, comments, downtimes, flapping ----------------------------------------------


def _noted(s: Situation, wanted: str) -> Plan:
    entry = s.entry
    just_over = entry is not None and _is_just_over(s, entry)
    if entry is None or not (just_over or (entry.is_open and s.member is not None)):
        return Plan(f"{s.alert.kind}: no ticket of ours is open")
    if occurrences.is_recovery(s.alert) and not just_over:
        # What recovers in a downtime, or while it flaps, has no other word for it.
        return _recovery(s)
    if s.gone:
        return Plan(f"{s.alert.kind}: its ticket is not there any more", forget=True)
    if s.closed_by_others:
        return Plan(f"{s.alert.kind}: {_who_closed(s)}", (UPDATE,))
    return _noted_if_new(s, entry, wanted)


def _is_just_over(s: Situation, entry: Entry) -> bool:
    """Whether its ticket stood for it a moment ago: Zabbix 7.0 sends a closing's comment after the
    recovery. The ticket is closed by then, or others hold it open."""
    return s.member is None and s.alert.key in entry.closed_for and _lately(s, entry)


def _lately(s: Situation, entry: Entry) -> bool:
    over_at = entry.over_at or entry.closed_at  # a map of before has only that
    return over_at is not None and abs(s.now - times.from_iso(over_at)) <= SAME_NOTE_WITHIN


def _noted_if_new(s: Situation, entry: Entry, wanted: str) -> Plan:
    new = not is_noted(s, entry)
    steps = [UPDATE] if s.change else []
    if new and (wanted == "note" or s.change):
        steps.append(NOTE)
    if not steps:
        return Plan(f"{s.alert.kind}: ignored" if new else f"{s.alert.kind}: noted already")
    after = entry._replace(noted=noted_now(s, entry, s.alert))
    if s.change:
        after = with_members(after, s)
    decision = f"{s.alert.kind} noted" + (f", {s.change}" if s.change else "")
    return Plan(decision, tuple(steps), seen(s, after), note=s.alert.kind)
