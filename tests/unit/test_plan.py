"""DESIGN section 5 as a table: what each event does, told by its steps."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import pytest

from brtel_notify.alert import Alert
from brtel_notify.config.schema import Lifecycle, keys_of
from brtel_notify.delivery.next_entry import SAME_NOTE_WITHIN
from brtel_notify.delivery.plan import CHECK_EVERY, plan
from brtel_notify.delivery.situation import Plan, Policy, Situation
from brtel_notify.text import times
from brtel_notify.tickets.open_tickets import Entry

NOW = 1_800_000_000.0
KEY = "nagios:acme.3cx.fr:SIP trunk"
OTHER = "nagios:acme.3cx.fr:CPU"
CUSTOMER = {"id": 42, "name": "Acme Telecom SAS", "account": "CL2385", "how": "pbx"}
FOUND = {
    "id": 7,
    "number": "A7KZ2F",
    "open": True,
    "ours": True,
    "mine": True,
    "milder": False,
    "priority_id": 2,
    "customer": CUSTOMER,
}
CREATED = {**FOUND, "id": 8, "number": "B8LA3G"}

OPENS = ("create", "attach", "details")
CLOSED = {**FOUND, "open": False}
REFUSED = {"reopen": {"refused_for": "A7KZ2F", "why": "PUT /v1/tickets/open/7: 422 no"}}


def alert(kind: str = "problem", **more: Any) -> Alert:
    fields: Dict[str, Any] = {"severity": "critical", "state": "CRITICAL"}
    if kind == "recovery":
        fields = {"severity": "ok", "state": "OK"}
    return Alert(
        **{
            "source": "nagios",
            "kind": kind,
            "host": "acme.3cx.fr",
            "service": "SIP trunk",
            "time": NOW,
            **fields,
            **more,
        }
    )


def member(severity: str = "critical", state: str = "CRITICAL") -> Dict[str, Any]:
    return {"severity": severity, "state": state, "since": times.iso(NOW), "lasting": ""}


def entry(**more: Any) -> Entry:
    usual: Dict[str, Any] = {
        "key": KEY,
        "reference": "BN-0123456789ab",
        "ticket_id": 7,
        "number": "A7KZ2F",
        "customer": CUSTOMER,
        "opened_at": times.iso(NOW - 60),
        "severity": "critical",
        "members": {KEY: member()},
    }
    return Entry(**{**usual, **more})


def closed(seconds_ago: float, **more: Any) -> Entry:
    return entry(members={}, closed_at=times.iso(NOW - seconds_ago), **more)


def situation(
    event: Alert, known: Optional[Entry] = None, facts: Any = (), **more: Any
) -> Situation:
    lifecycle = Lifecycle(**{k: v for k, v in more.items() if k in keys_of(Lifecycle)})
    policy = {k: v for k, v in more.items() if k in ("group_by", "details", "attach")}
    return Situation(
        alert=event,
        key=KEY,
        reference="BN-0123456789ab",
        event_id="e1",
        policy=Policy(lifecycle, **policy),
        now=NOW,
        entry=known,
        shared=more.get("shared", 0),
        facts=dict(facts),
        assigns=more.get("assigns", False),
    )


def found(ticket: Any) -> Dict[str, Any]:
    return {"find": {"customer": CUSTOMER, "ticket": ticket, "seen": []}}


#: row: (what, alert, entry, facts, settings) → (steps, note)
ROWS: Dict[str, Tuple[Alert, Optional[Entry], Any, Dict[str, Any], Tuple[str, ...]]] = {
    # problem, first
    "first: look for its reference": (alert(), None, {}, {}, ("find",)),
    "first, nothing found: open": (alert(), None, found(None), {}, ("find", *OPENS)),
    "first, details off": (
        *(alert(), None, found(None)),
        {"details": False},
        ("find", "create", "attach"),
    ),
    "first, nobody to attach": (
        *(alert(), None, found(None)),
        {"attach": False},
        ("find", "create", "details"),
    ),
    "first, found open: note": (alert(), None, found(FOUND), {}, ("find", "note")),
    "first, found closed a while ago: reopen": (
        *(alert(), None, found({**FOUND, "open": False}), {}),
        ("find", "reopen", "note"),
    ),
    "first, found open, opened by a milder alert: raise it": (
        *(alert(), None, found({**FOUND, "milder": True}), {}),
        ("find", "update", "note"),
    ),
    "first, the found ticket is deleted meanwhile": (
        *(alert(), None, {**found(FOUND), "gone": 7}, {}),
        ("find", *OPENS),
    ),
    "first, with an assignee": (
        *(alert(), None, found(None)),
        {"assigns": True},
        ("find", "create", "assign", "attach", "details"),
    ),
    "first, its date was in another time zone": (
        *(alert(), None, {**found(None), "create": {**CREATED, "due_off": True}}),
        {},
        ("find", "create", "due", "attach", "details"),
    ),
    "first, found open, its closing requested: take that back": (
        *(alert(), None, found({**FOUND, "closure": True, "milder": True}), {}),
        ("find", "keep open", "update", "note"),
    ),
    "worse, its closing requested": (
        alert(),
        entry(members={KEY: member("warning", "WARNING")}, severity="warning"),
        {"update": {"open": True, "closure": True}},
        {},
        ("update", "keep open", "note"),
    ),
    "repeat, looked: its closing requested": (
        *(alert(), entry(opened_at=times.iso(0)), {"check": {"open": True, "closure": True}}),
        {"on_repeat": "note"},
        ("check", "keep open", "note"),
    ),
    "recovery, its closing requested": (alert("recovery"), entry(), {}, {}, ("resolve",)),
    "closed by itself a while ago: reopened, whatever is done about people": (
        *(alert(), entry(opened_at=times.iso(0))),
        {"check": {"open": False, "by_itself": "lately"}},
        {"on_closed_by_hand": "ignore"},
        ("check", "reopen", "note"),
    ),
    "closed by itself long ago: a new ticket": (
        *(alert(), entry(opened_at=times.iso(0))),
        {"check": {"open": False, "by_itself": "long ago"}, **found(None)},
        {"on_closed_by_hand": "ignore"},
        ("check", "find", *OPENS),
    ),
    # problem, repeated
    "repeat": (alert(), entry(), {}, {}, ()),
    "repeat, noted": (alert(), entry(), {}, {"on_repeat": "note"}, ("note",)),
    "repeat, time to look": (
        *(alert(), entry(opened_at=times.iso(NOW - CHECK_EVERY - 1)), {}, {}),
        ("check",),
    ),
    "repeat, looked at lately": (
        *(alert(), entry(opened_at=times.iso(0), checked_at=times.iso(NOW - 5)), {}, {}),
        (),
    ),
    "repeat, looked: open": (
        *(alert(), entry(opened_at=times.iso(0)), {"check": {"open": True}}, {}),
        ("check",),
    ),
    "repeat, closed by hand: look for another": (
        *(alert(), entry(opened_at=times.iso(0)), {"check": {"open": False}}, {}),
        ("check", "find"),
    ),
    "repeat, closed by hand: new": (
        *(alert(), entry(opened_at=times.iso(0)), {"check": {"open": False}, **found(None)}, {}),
        ("check", "find", *OPENS),
    ),
    "repeat, closed by hand: the closed one is not reopened": (
        alert(),
        entry(opened_at=times.iso(0)),
        {"check": {"open": False}, **found({**FOUND, "open": False})},
        {},
        ("check", "find", *OPENS),
    ),
    "repeat, closed by hand: another server was quicker": (
        alert(),
        entry(opened_at=times.iso(0)),
        {"check": {"open": False}, **found({**FOUND, "id": 9})},
        {},
        ("check", "find", "note"),
    ),
    "repeat, closed by hand: reopen": (
        *(alert(), entry(opened_at=times.iso(0)), {"check": {"open": False}}),
        {"on_closed_by_hand": "reopen"},
        ("check", "reopen", "note"),
    ),
    "repeat, deleted: cannot be reopened": (
        *(alert(), entry(opened_at=times.iso(0)), {"gone": 7, **found(None)}),
        {"on_closed_by_hand": "reopen"},
        ("find", *OPENS),
    ),
    "repeat, closed by hand: ignore": (
        *(alert(), entry(opened_at=times.iso(0)), {"check": {"open": False}}),
        {"on_closed_by_hand": "ignore"},
        ("check",),
    ),
    "repeat of what a person closed, ignored since": (alert(), entry(muted=True), {}, {}, ()),
    # problem, other severity
    "worse": (
        alert(),
        entry(members={KEY: member("warning", "WARNING")}),
        {},
        {},
        ("update", "note"),
    ),
    "worse by the source's own word": (
        *(alert(state="Disaster"), entry(members={KEY: member("critical", "High")}), {}, {}),
        ("update", "note"),
    ),
    "worse, but a person closed it: look for another": (
        alert(),
        entry(members={KEY: member("warning", "WARNING")}),
        {"update": {"open": False, "priority_id": 3}},
        {},
        ("update", "find"),
    ),
    "got worse without another severity (LibreNMS)": (
        *(alert(action="worse"), entry(), {}, {}),
        ("check", "note"),
    ),
    "got worse without another severity, but a person closed it": (
        *(alert(action="worse"), entry(), {"check": {"open": False}}, {}),
        ("check", "find"),
    ),
    # problem again after recovery
    "back within reopen_within": (alert(), closed(60), {}, {}, ("reopen", "note")),
    "back within reopen_within, as something worse": (
        *(alert(), closed(60, severity="warning"), {}, {}),
        ("reopen", "update", "note"),
    ),
    "back within reopen_within, ticket deleted": (
        *(alert(), closed(60), {"gone": 7, **found(None)}, {}),
        ("find", *OPENS),
    ),
    "back within reopen_within, reopening refused": (
        *(alert(), closed(60), REFUSED, {}),
        ("reopen", "find"),
    ),
    "back within reopen_within, reopening refused, the ticket is still closed": (
        *(alert(), closed(60), {**REFUSED, **found(CLOSED)}, {}),
        ("reopen", "find", *OPENS),
    ),
    "back within reopen_within, reopening refused, somebody opened it": (
        *(alert(), closed(60), {**REFUSED, **found(FOUND)}, {}),
        ("reopen", "find", "note"),
    ),
    "first, reopening what was found is refused": (
        *(alert(), None, {**found(CLOSED), **REFUSED}, {}),
        ("find", "reopen", *OPENS),
    ),
    "repeat, closed by hand, reopening refused": (
        *(alert(), entry(opened_at=times.iso(0)), {"check": {"open": False}, **REFUSED}),
        {"on_closed_by_hand": "reopen"},
        ("check", "reopen", "find"),
    ),
    "back after reopen_within": (alert(), closed(3601), {}, {}, ("find",)),
    "back, reopening switched off": (alert(), closed(1), {}, {"reopen_within": 0}, ("find",)),
    # grouped
    "another alert of the ticket": (
        *(alert(), entry(members={OTHER: member()}), {}, {"group_by": "host"}),
        ("check", "note"),
    ),
    "another alert, but a person closed the ticket": (
        alert(),
        entry(members={OTHER: member()}),
        {"check": {"open": False}, **found(None)},
        {"group_by": "host"},
        ("check", "find", *OPENS),
    ),
    "one of several gets milder: the worst decides, so no priority": (
        alert(severity="warning", state="WARNING"),
        entry(members={KEY: member(), OTHER: member()}),
        {},
        {"group_by": "host"},
        ("check", "note"),
    ),
    "the worst of several gets milder": (
        alert(severity="warning", state="WARNING"),
        entry(members={KEY: member(), OTHER: member("info", "INFO")}),
        {},
        {"group_by": "host"},
        ("update", "note"),
    ),
    "another alert, worse than all": (
        *(alert(), entry(members={OTHER: member("warning")}, severity="warning"), {}),
        {"group_by": "host"},
        ("update", "note"),
    ),
    # recovery
    "recovery": (alert("recovery"), entry(), {}, {}, ("resolve",)),
    "recovery, only noted": (alert("recovery"), entry(), {}, {"on_recovery": "note"}, ("note",)),
    "recovery, ignored": (alert("recovery"), entry(), {}, {"on_recovery": "ignore"}, ()),
    "recovery of one of several": (
        alert("recovery"),
        entry(members={KEY: member(), OTHER: member()}),
        {},
        {"group_by": "host"},
        ("note",),
    ),
    "recovery of one that the ticket does not stand for": (
        *(alert("recovery"), entry(members={OTHER: member()}), {}, {"group_by": "host"}),
        (),
    ),
    "recovery, a person's ticket": (alert("recovery"), entry(ours=False), {}, {}, ("note",)),
    "recovery, another alert uses the ticket": (
        *(alert("recovery"), entry(), {}, {"shared": 1}),
        ("note",),
    ),
    "recovery again, ticket left open": (
        *(alert("recovery"), entry(members={}, recovered_at=times.iso(NOW - 5)), {}),
        {"on_recovery": "note"},
        (),
    ),
    "back while its ticket was left open: look for it": (
        *(alert(), entry(members={}, recovered_at=times.iso(NOW - 5)), {}, {}),
        ("find",),
    ),
    "recovery again": (alert("recovery"), closed(5), {}, {}, ()),
    "recovery of what a person closed": (alert("recovery"), entry(muted=True), {}, {}, ()),
    "recovery, ticket deleted": (alert("recovery"), entry(), {"gone": 7}, {}, ()),
    "recovery, map lost: look": (alert("recovery"), None, {}, {}, ("find",)),
    "recovery, map lost, found": (alert("recovery"), None, found(FOUND), {}, ("find", "resolve")),
    "recovery, map lost, none open": (alert("recovery"), None, found(None), {}, ("find",)),
    "recovery, map lost, found closed": (
        *(alert("recovery"), None, found({**FOUND, "open": False}), {}),
        ("find",),
    ),
    "recovery, map lost, another alert's ticket": (
        *(alert("recovery"), None, found({**FOUND, "mine": False}), {}),
        ("find",),
    ),
    "recovery, map lost, grouped: who else is unknown": (
        *(alert("recovery"), None, found(FOUND), {"group_by": "host"}),
        ("find", "note"),
    ),
    "recovery of a group ticket that was found open: others may still be down": (
        *(alert("recovery"), entry(others_unknown=True), {}, {"group_by": "host"}),
        ("note",),
    ),
    "recovery, map lost, ignored": (
        *(alert("recovery"), None, {}, {"on_recovery": "ignore"}),
        (),
    ),
    # the rest
    "test": (alert("test"), None, {}, {}, ()),
    **{
        f"{kind}, no ticket": (alert(kind), None, {}, {}, ())
        for kind in ("acknowledgement", "comment", "downtime", "flapping")
    },
    **{
        f"{kind}, ticket open": (alert(kind), entry(), {}, {}, ("note",))
        for kind in ("acknowledgement", "comment", "downtime", "flapping")
    },
    **{
        f"{kind}, ignored": (alert(kind), entry(), {}, {f"on_{kind}": "ignore"}, ())
        for kind in ("acknowledgement", "comment", "downtime", "flapping")
    },
    **{
        f"{kind}, ticket closed": (alert(kind), closed(5), {}, {}, ())
        for kind in ("acknowledgement", "comment", "downtime", "flapping")
    },
    "acknowledgement with another severity (Zabbix)": (
        alert("acknowledgement", state="Disaster"),
        entry(members={KEY: member("critical", "High")}),
        {},
        {},
        ("update", "note"),
    ),
    "acknowledgement with another severity, but a person closed the ticket": (
        alert("acknowledgement", state="Disaster"),
        entry(members={KEY: member("critical", "High")}),
        {"update": {"open": False, "priority_id": 3}},
        {},
        ("update",),
    ),
    "acknowledgement, ticket deleted": (alert("acknowledgement"), entry(), {"gone": 7}, {}, ()),
    # Nagios sends no RECOVERY of what recovers in a downtime, or while it flaps.
    **{
        f"{kind} {how} while the host is well": (
            *(alert(kind, severity="ok", state="UP", action=how), entry(), {}, {}),
            ("resolve",),
        )
        for kind, how in (("downtime", "end"), ("downtime", "cancelled"), ("flapping", "end"))
    },
    "downtime ends while the host is well, and downtimes are ignored": (
        alert("downtime", severity="ok", state="UP", action="end"),
        *(entry(), {}, {"on_downtime": "ignore"}),
        ("resolve",),
    ),
    "downtime ends while the host is well, another alert is not": (
        alert("downtime", severity="ok", state="UP", action="end"),
        *(entry(members={KEY: member(), OTHER: member()}), {}, {}),
        ("note",),
    ),
    "downtime starts while the host is well again": (
        *(alert("downtime", severity="ok", state="UP", action="start"), entry(), {}, {}),
        ("note",),
    ),
    "downtime ends, the problem goes on": (
        *(alert("downtime", action="end"), entry(), {}, {}),
        ("note",),
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_steps(row: str) -> None:
    event, known, facts, settings, steps = ROWS[row]
    assert plan(situation(event, known, facts, **settings)).steps == steps


def story(event: Alert, known: Optional[Entry] = None, **settings: Any) -> Plan:
    """The plan once every step is done, nothing found on the server, everything open."""
    results: Dict[str, Any] = {
        "find": found(None)["find"],
        "create": CREATED,
        "check": {"open": True},
        "update": {"open": True, "priority_id": 3},
        "reopen": {"open": True},
    }
    now = situation(event, known, **settings)
    for _ in range(9):
        done = plan(now)
        missing = [step for step in done.steps if step not in now.facts]
        if not missing:
            return done
        now = now._replace(facts={**now.facts, missing[0]: results.get(missing[0], {})})
    raise AssertionError("the plan never ends")


def after(event: Alert, known: Optional[Entry] = None, **settings: Any) -> Entry:
    done = story(event, known, **settings)
    assert done.entry is not None
    assert done.entry.last_event == "e1"
    return done.entry


def test_a_new_problem_enters_the_map() -> None:
    now = after(alert())
    assert (now.ticket_id, now.number, now.ours, now.severity) == (8, "B8LA3G", True, "critical")
    assert now.members == {KEY: {**member(), "since_by": "capture"}}
    assert now.is_open


def test_a_repeat_leaves_the_map_alone() -> None:
    assert story(alert(), entry()).entry is None


def test_a_change_is_remembered_and_said() -> None:
    before = entry(members={KEY: member("warning", "WARNING")}, severity="warning")
    done = story(alert(), before)
    assert done.decision == "warning → critical"
    assert done.entry is not None
    assert done.entry.members[KEY]["severity"] == "critical"
    assert done.entry.severity == "critical"


def test_the_sources_own_words_say_a_change_within_a_severity() -> None:
    before = entry(members={KEY: member("critical", "High")})
    assert story(alert(state="Disaster"), before).decision == "High → Disaster"


def test_better_is_a_change_too() -> None:
    now = after(alert(severity="warning", state="WARNING"), entry())
    assert now.severity == "warning"


def test_a_ticket_closes_with_its_last_alert() -> None:
    both = entry(members={KEY: member(), OTHER: member()})
    first = after(alert("recovery"), both, group_by="host")
    assert first.members == {OTHER: member()}
    assert first.is_open
    last = after(alert("recovery", service="CPU"), first._replace(key=KEY), group_by="host")
    assert last.closed_at == times.iso(NOW)


def test_what_was_reopened_goes_on_though_the_clock_was_set_back() -> None:
    """The note is in doubt; by now the closing lies ahead, and so counts as long ago."""
    again = situation(alert(), closed(10**9), {"reopen": {"open": True}})
    assert plan(again).steps == ("reopen", "note")


def test_what_was_reopened_stands_for_nothing_else_though_the_map_forgot_it() -> None:
    """Its note failed for so long that the closed ticket was forgotten, and it is found anew."""
    facts = {"reopen": {"open": True}, **found(FOUND)}
    again = plan(situation(alert(), None, facts, group_by="host"))
    assert again.decision == "reopened"
    assert again.entry is not None
    assert not again.entry.others_unknown


def test_a_reopened_ticket_stands_for_the_alert_again() -> None:
    now = after(alert(), closed(60))
    assert now.is_open
    assert list(now.members) == [KEY]


def test_what_a_person_closed_and_we_ignore_stays_ignored_until_recovery() -> None:
    before = entry(opened_at=times.iso(0))
    looked = situation(alert(), before, {"check": {"open": False}}, on_closed_by_hand="ignore")
    muted = plan(looked).entry
    assert muted is not None
    assert muted.muted
    assert story(alert(), muted).steps == ()
    assert story(alert("recovery"), muted).forget


@pytest.mark.parametrize("wanted", ["note", "ignore"])
def test_a_ticket_left_open_at_recovery_is_remembered_as_recovered(wanted: str) -> None:
    left = after(alert("recovery"), entry(), on_recovery=wanted)
    assert left.recovered_at == times.iso(NOW)
    assert left.members == {}
    assert not left.is_open


def test_the_priority_that_was_sent_is_remembered() -> None:
    assert after(alert()).priority_id == 2
    before = entry(members={KEY: member("warning", "WARNING")}, severity="warning")
    assert after(alert(), before).priority_id == 3


def test_companions_join_with_one_note() -> None:
    others = tuple(alert(service=f"s{number}") for number in range(3))
    before = entry(members={OTHER: member("warning")}, severity="warning")
    now = situation(alert(), before, group_by="host")._replace(companions=others)
    assert plan(now).steps == ("update", "note")
    done = plan(now._replace(facts={"update": {"open": True, "priority_id": 3}, "note": {}}))
    assert done.entry is not None
    assert set(done.entry.members) == {OTHER, KEY, *(other.key for other in others)}


def test_companions_recover_with_one_note_and_close_when_none_is_left() -> None:
    gone = alert("recovery", service="CPU")
    before = entry(members={KEY: member(), OTHER: member()})
    now = situation(alert("recovery"), before, group_by="host")._replace(companions=(gone,))
    assert plan(now).steps == ("resolve",)


def test_the_same_note_is_made_once() -> None:
    note = alert("acknowledgement", author="jdupont", comment="on it")
    noted = after(note, entry())
    assert story(note, noted).steps == ()
    assert story(note._replace(comment="solved"), noted).steps == ("note",)


def test_the_same_words_later_are_another_note() -> None:
    note = alert("downtime", author="jdupont", comment="firmware", action="start")
    noted = after(note, entry())
    old = {key: times.iso(NOW - SAME_NOTE_WITHIN - 1) for key in noted.noted}
    assert story(note, noted._replace(noted=old)).steps == ("note",)


def test_the_new_ticket_after_one_closed_by_hand_replaces_it_in_the_map() -> None:
    before = entry(opened_at=times.iso(0))
    facts = {"check": {"open": False}, **found(None), "create": CREATED}
    now = plan(situation(alert(), before, facts)).entry
    assert now is not None
    assert now.ticket_id == 8


def test_every_row_ends() -> None:
    for event, known, _, settings, _ in ROWS.values():
        story(event, known, **settings)


@pytest.mark.parametrize(("group_by", "unknown"), [("host", True), ("alert", False)])
def test_who_else_is_in_a_found_group_ticket_is_not_known(group_by: str, unknown: bool) -> None:
    facts = {**found(FOUND), "note": {"reply": 1}}
    joined = plan(situation(alert(), None, facts, group_by=group_by)).entry
    assert joined is not None
    assert joined.others_unknown is unknown
