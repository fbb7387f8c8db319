"""Every BlueRockTEL there may be: that of the pages, that of the vendor's SDK, and each difference.

docs/compatibility.md tells what differs. Nobody can ask a real instance which it is, so a ticket
has to come out the same on all of them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List

import pytest
import test_cookbook
import test_crash
import test_faults
import test_table
from inprocess import capture, deliver, drain, in_child
from support import Site

from brtel_notify.api.fields import parse_date

HOST, SERVICE = "nagios4-host-problem", "nagios4-service-problem"
HOST_UP, SERVICE_OK = "nagios4-host-recovery", "nagios4-service-recovery"
ACKNOWLEDGED = "nagios4-service-acknowledgement"

#: Both dialects whole, then each difference by itself.
INSTANCES: Dict[str, Dict[str, str]] = {
    "2026": {"instance": "2026"},
    "2023": {"instance": "2023"},
    "camelCase": {"names": "camel"},
    "no lookups": {"lookup": "no"},
    "soft misses": {"miss": "soft"},
    "its own time": {"timezone": "America/New_York"},
    "closing shown": {"closure": "auto"},
    "visibility said late": {"visibility": "late"},
    "visibility unsaid": {"visibility": "unsaid"},
    "templates resolved": {"templates": "resolved"},
    "no lookups, hard misses, snake_case": {"lookup": "no", "miss": "hard", "names": "snake"},
    "2023 that says where a note went late": {"instance": "2023", "visibility": "late"},
}


@pytest.fixture(params=INSTANCES)
def any_instance(request: pytest.FixtureRequest, site: Site) -> Site:
    site.sandbox.instance(**INSTANCES[request.param])
    return site


@pytest.fixture
def older(site: Site) -> Site:
    """An instance as the vendor's collection of 2023 has it."""
    site.sandbox.instance(instance="2023")
    return site


def internal(ticket: Dict[str, Any]) -> List[bool]:
    return [not reply["customer_visible"] for reply in ticket["replies"]]


# --- the whole life of an alert -------------------------------------------------------------------


@pytest.mark.short
def test_the_whole_life_of_an_alert(any_instance: Site) -> None:
    site = any_instance
    for contact in (88, 89):
        site.sandbox.seed(
            contacts=[{**one(site, "contacts", contact), "technical_contact": contact == 89}]
        )
    site.notify(SERVICE, "_HOSTCUSTOMER_ACCOUNT=")
    ticket = site.the_ticket()
    assert ticket["ticketable_id"] == 42
    assert ticket["contacts"] == [89]
    site.notify(SERVICE, "_HOSTCUSTOMER_ACCOUNT=")
    site.notify(ACKNOWLEDGED, "_HOSTCUSTOMER_ACCOUNT=")
    assert site.the_ticket()["open"]
    site.notify(SERVICE_OK, "_HOSTCUSTOMER_ACCOUNT=")
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert internal(ticket) == [True, True, True]
    assert site.queued() == site.queued("dead") == []


def one(site: Site, table: str, number: int) -> Dict[str, Any]:
    return next(record for record in site.sandbox.data()[table] if record["id"] == number)


def test_rules_about_the_customer_apply(any_instance: Site) -> None:
    site = any_instance
    site.configure(
        "rules:\n"
        "  - {when: customer.on_call_duty, set: {team: On-call}}\n"
        "  - {when: customer.vip, set: {priority: Urgent}}\n"
    )
    site.notify(HOST, "_HOSTCUSTOMER_ACCOUNT=CL000012")
    site.notify(HOST, "_HOSTCUSTOMER_ACCOUNT=", "HOSTNAME=lumiere.3cx.fr", "HOSTADDRESS=192.0.2.9")
    on_call, other = site.tickets
    assert (on_call["ticketable_id"], on_call["team_id"], on_call["priority_id"]) == (12, 2, 3)
    assert (other["ticketable_id"], other["team_id"], other["priority_id"]) == (7, None, 2)


def test_a_host_that_nobody_owns_goes_to_the_fallback(any_instance: Site) -> None:
    site = any_instance
    site.notify(HOST, "_HOSTCUSTOMER_ACCOUNT=", "HOSTNAME=sw1.example.net", "HOSTADDRESS=192.0.2.9")
    assert site.the_ticket()["ticketable_id"] == 1


def test_the_cookbooks_example(any_instance: Site) -> None:
    test_cookbook.test_the_cookbooks_example(any_instance)


def test_a_deleted_ticket_is_opened_anew(any_instance: Site) -> None:
    test_table.test_a_deleted_ticket_is_opened_anew_when_the_problem_gets_worse(any_instance)


def test_a_problem_that_returns_reopens_its_ticket(any_instance: Site) -> None:
    test_table.test_a_problem_that_returns_reopens_its_ticket(any_instance)


def test_a_lost_map_closes_on_recovery(any_instance: Site) -> None:
    test_table.test_a_lost_map_closes_on_recovery(any_instance)


@pytest.mark.parametrize(
    ("wanted", "tickets", "is_open"), [("new", 2, True), ("reopen", 1, True), ("ignore", 1, False)]
)
def test_a_ticket_closed_by_hand(older: Site, wanted: str, tickets: int, is_open: bool) -> None:
    test_table.test_a_ticket_closed_by_hand(older, wanted, tickets, is_open)


def test_alerts_of_a_host_share_a_ticket(older: Site) -> None:
    test_table.test_alerts_of_a_group_share_a_ticket_until_the_last_recovers(older, "host")


def test_adopted_tickets(older: Site) -> None:
    test_table.test_adopt_any_reuses_a_persons_ticket_and_does_not_close_it(older)


def test_killed_at_each_kind_of_boundary(older: Site) -> None:
    test_crash.test_killed_at_each_kind_of_boundary(older)


# --- each row of "Two dialects" -------------------------------------------------------------------


def bodies(site: Site, path: str) -> List[Dict[str, Any]]:
    return [call["json"] for call in calls(site, "POST", path)]


def calls(site: Site, method: str, path: str) -> List[Dict[str, Any]]:
    return [
        call
        for call in site.sandbox.requests()
        if call["method"] == method and call["path"].partition("?")[0].endswith(path)
    ]


@pytest.mark.short
def test_row_replies_query(site: Site) -> None:
    """``ticket_id`` and ``ticketId``, for GET and POST."""
    site.notify(HOST)
    number = str(site.the_ticket()["id"])
    (posted,) = calls(site, "POST", "/v1/replies")
    assert posted["query"] == {"ticket_id": number, "ticketId": number}
    site.sandbox.faults(drop={"method": "POST", "path": "*/replies", "next": 1, "when": "after"})
    site.notify(HOST_UP)
    site.run("flush", "--force-now")
    (asked,) = calls(site, "GET", "/v1/replies")
    assert asked["query"] == {"ticket_id": number, "ticketId": number}


@pytest.mark.short
def test_row_replies_body(site: Site) -> None:
    """Both names of each field, booleans as 0 and 1 in the older ones, and `customerVisible`."""
    site.notify(HOST)
    (note,) = bodies(site, "/v1/replies")
    for name, older_name, value in (
        ("send_to_assignee", "sendToAssignee", True),
        ("send_to_contacts", "sendToContacts", False),
        ("notify_customer", "notifyCustomer", False),
        ("customer_visible", "customerVisible", False),
    ):
        assert note[name] is value
        assert type(note[older_name]) is int
        assert note[older_name] == int(value)


@pytest.mark.short
def test_row_customer(older: Site) -> None:
    """``customerAccount``, ``onCallDuty``, ``vip``: read as the pages have them."""
    older.configure("rules: [{when: 'customer.on_call_duty and customer.vip', set: {team: 2}}]\n")
    older.notify(HOST, "_HOSTCUSTOMER_ACCOUNT=CL000012")
    assert older.the_ticket()["team_id"] == 2
    assert older.state["nagios:acme.3cx.fr"]["customer"]["account"] == "CL000012"


@pytest.mark.short
@pytest.mark.parametrize("names", ["snake", "camel"])
def test_row_contact(site: Site, names: str) -> None:
    """The technical contact comes first, who is inactive never; the role's expression as before."""
    site.sandbox.instance(names=names)
    site.sandbox.seed(contacts=[{**one(site, "contacts", 88), "active": False}])
    site.notify(HOST)
    site.sandbox.seed(contacts=[{**one(site, "contacts", 93), "technical_contact": True}])
    site.notify(HOST, "HOSTNAME=x", "_HOSTCUSTOMER_ACCOUNT=CL000012")
    site.configure("contact: {attach: all}\n")
    site.notify(HOST, "HOSTNAME=y", "_HOSTCUSTOMER_ACCOUNT=CL000012")
    assert [ticket["contacts"] for ticket in site.tickets] == [[], [93], [93, 92]]


@pytest.mark.short
@pytest.mark.parametrize("names", ["snake", "camel"])
@pytest.mark.parametrize("others", [False, True])
def test_row_contact_who_wants_no_mail(site: Site, names: str, others: bool) -> None:
    """``ticketingDoNotNotify``: attached, but not the reason to send."""
    site.sandbox.instance(names=names)
    quiet = {"technical_contact": True, "ticketing_do_not_notify": True}
    site.sandbox.seed(contacts=[{**one(site, "contacts", 92), **quiet}])
    attach = "all" if others else "first"
    site.configure(f"contact: {{attach: {attach}}}\nreplies: {{send_to_contacts: true}}\n")
    site.notify(HOST, "_HOSTCUSTOMER_ACCOUNT=CL000012")
    site.notify(HOST_UP, "_HOSTCUSTOMER_ACCOUNT=CL000012")
    assert 92 in site.the_ticket()["contacts"]
    assert [note["send_to_contacts"] for note in bodies(site, "/v1/replies")] == [others] * 2


@pytest.mark.short
@pytest.mark.parametrize("instance", ["2023", "2026"])
def test_row_user(site: Site, instance: str) -> None:
    """Found by name or e-mail, never who is inactive; their role is a number."""
    site.sandbox.instance(instance=instance)
    for wanted, number in (("Paul Martin", 2), ("P.MARTIN@example.net", 2), ("1", 1)):
        site.configure(f"  assignee: {wanted}\n")
        site.notify(HOST, f"HOSTNAME=host-{number}-{len(wanted)}")
        assert site.tickets[-1]["assignee_id"] == number
    site.configure("  assignee: Old Technician\n")
    done = site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN")
    assert "BlueRockTEL has no active user 'Old Technician'" in done.stderr
    assert len(site.tickets) == 4


@pytest.mark.short
@pytest.mark.parametrize("names", ["snake", "camel"])
def test_row_tickets(site: Site, names: str) -> None:
    """snake_case in both; ``estimatedResolutionDate`` beside ``estimated_resolution_date``."""
    site.sandbox.instance(names=names)
    site.configure("  resolve_within: 30m\n")
    site.notify(HOST)
    ticket = site.the_ticket()
    (sent,) = bodies(site, "/v1/tickets")
    assert sent["estimated_resolution_date"] == sent["estimatedResolutionDate"]
    assert ticket["estimated_resolution_date"] == sent["estimated_resolution_date"]


@pytest.mark.short
def test_row_lookups(older: Site) -> None:
    """Without `/lookup` an account is searched, and that there is none is remembered."""
    older.notify(HOST)
    assert older.the_ticket()["ticketable_id"] == 42
    made = older.calls()
    assert "GET /v1/customers/search" in made
    older.notify(HOST, "HOSTNAME=clinique-parc.3cx.fr", "_HOSTCUSTOMER_ACCOUNT=")
    assert older.tickets[-1]["ticketable_id"] == 12
    made = older.calls()
    assert "GET /v1/pbx3cx-hosts" in made
    assert not [call for call in made if "lookup" in call]


@pytest.mark.short
def test_row_a_miss(older: Site) -> None:
    """A 200 that says "not found" is no customer, no ticket and no host."""
    older.notify(SERVICE, "SERVICESTATE=WARNING", "_HOSTCUSTOMER_ACCOUNT=CL404")
    assert older.the_ticket()["ticketable_id"] == 42  # by its PBX host
    test_table.deleted(older)
    older.notify(SERVICE)
    assert older.the_ticket()["open"]


def test_row_paths(any_instance: Site) -> None:
    """Those that are spelled differently are not used: each call goes to one that both have."""
    site = any_instance
    site.configure("  assignee: nobody\n")
    for name in (SERVICE, ACKNOWLEDGED, SERVICE_OK):
        site.notify(name)
    answers = [call["status"] for call in site.sandbox.requests() if "lookup" not in call["path"]]
    assert answers
    assert set(answers) <= {200, 201}


@pytest.mark.short
def test_row_parameters(site: Site) -> None:
    """In the query, as the pages say, and in the body, as the cookbook's PHP example does."""
    site.notify(HOST)
    ticket = site.the_ticket()
    (created,) = calls(site, "POST", "/v1/tickets")
    assert created["json"]["ticketable_type"] == "App\\Customer"
    assert created["json"]["ticketable_id"] == 42
    assert created["query"] == {"ticketable_type": "App\\Customer", "ticketable_id": "42"}
    (noted,) = bodies(site, "/v1/replies")
    assert noted["ticket_id"] == noted["ticketId"] == ticket["id"]


@pytest.mark.short
def test_row_one_customer(older: Site) -> None:
    """``{"customer": {…}}`` is the customer: its whole record comes so."""
    older.configure("rules: [{when: customer.on_call_duty, set: {team: On-call}}]\n")
    older.notify(HOST, "_HOSTCUSTOMER_ACCOUNT=CL000012")
    assert older.the_ticket()["team_id"] == 2
    assert "GET /v1/customerAccounts/CL000012" in older.calls()


@pytest.mark.short
def test_row_login(older: Site) -> None:
    """A password goes into the body, and never into an address, which every proxy logs."""
    password = older.folder / "password"
    password.write_text("sandbox\n")
    api = f"{{url: '{older.sandbox.url}', email: noc@example.net, password_file: '{password}'}}"
    older.config_file.write_text(
        f"api: {api}\nticket: {{priority: 2, category: 5, sub_category: 12}}\n"
    )
    older.notify(HOST)
    (login,) = calls(older, "POST", "/login")
    assert login["query"] == {}
    assert older.the_ticket()["open"]


def test_no_filter_is_sent_in_two_forms(any_instance: Site) -> None:
    """An unknown filter is a 400."""
    any_instance.notify(HOST)
    searched = calls(any_instance, "GET", "/v1/tickets/search")
    assert searched
    for call in searched:
        assert all(name == name.lower() for name in call["query"])


# --- an instance that ignores visibility ----------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize("names", ["snake", "camel"])
def test_the_first_visible_note_is_the_last(site: Site, names: str) -> None:
    site.sandbox.instance(names=names, visibility="ignored")
    site.configure("log: stderr\n")
    done = site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--key", "a")
    assert "a note that was to be internal is visible to the customer: ticket" in done.stderr
    assert json.loads((site.state_dir / "visible").read_text())["ticket"]
    site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--key", "b")
    done = site.run("event", "--host", "acme.3cx.fr", "--state", "UP", "--key", "a")
    assert "resolve: no note: a note that was to be internal" in done.stderr
    site.run("event", "--host", "acme.3cx.fr", "--state", "UP", "--key", "b")
    first, second = site.tickets
    assert (first["open"], second["open"]) == (False, False)
    assert (len(first["replies"]), len(second["replies"])) == (1, 0)
    assert site.queued() == site.queued("dead") == []


def test_notes_go_on_where_customers_may_see_them(site: Site) -> None:
    site.sandbox.instance(visibility="ignored")
    site.notify(HOST)
    site.configure("replies: {customer_visible: true}\n")
    site.notify(HOST_UP)
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert len(ticket["replies"]) == 2


def test_a_visible_note_is_also_seen_where_its_answer_was_lost(site: Site) -> None:
    site.sandbox.instance(visibility="ignored")
    site.sandbox.faults(drop={"method": "POST", "path": "*/replies", "next": 1, "when": "after"})
    site.notify(HOST)
    site.run("flush", "--force-now")
    assert (site.state_dir / "visible").exists()
    assert len(site.the_ticket()["replies"]) == 1


def test_only_one_of_many_first_notes_is_sent(site: Site) -> None:
    """A worker delivers several at a time: none goes on before the first was looked at."""
    site.sandbox.instance(visibility="ignored")
    stored(site, 6)
    site.run("flush", "--force-now")
    tickets = site.tickets
    assert len(tickets) == 6
    assert sum(len(ticket["replies"]) for ticket in tickets) == 1


def test_where_the_answer_does_not_say_it_the_ticket_is_looked_at_each_time(site: Site) -> None:
    site.sandbox.instance(visibility="late")
    site.run("test")
    site.calls()
    site.notify(HOST)
    assert site.calls().count("GET /v1/replies") == 1
    site.notify(HOST_UP)
    assert site.calls() == ["POST /v1/replies", "GET /v1/replies"]


def test_where_nothing_says_it_it_is_looked_for_once_a_day(site: Site) -> None:
    site.sandbox.instance(visibility="unsaid")
    site.notify(HOST)
    site.calls()
    site.notify(HOST_UP)
    assert site.calls() == ["POST /v1/replies"]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 403},
        {"body": "truncated"},
        {"json": {"replies": []}},
        {"json": []},
    ],
)
def test_a_look_that_fails_holds_no_alert_up(site: Site, fault: Dict[str, Any]) -> None:
    """It is made up for before the next note: which is then the last, or not sent at all."""
    site.sandbox.instance(visibility="unsaid")
    site.sandbox.faults(
        fail=[
            {"method": "GET", "path": "*/replies", **fault},
            {"method": "GET", "path": "*/tickets/????", **({"status": 500} | fault)},
        ]
    )
    for capture_name in (HOST, HOST_UP):
        site.notify(capture_name)
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert len(ticket["replies"]) == 2
    assert site.queued() == site.queued("dead") == []


def test_a_note_that_could_not_be_looked_at_is_before_the_next(site: Site) -> None:
    site.sandbox.instance(visibility="late")
    site.sandbox.faults(fail={"method": "GET", "path": "*", "skip": 1, "status": 503})
    site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--key", "a", code=None)
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    replies = site.the_ticket()["replies"]
    assert len(replies) == 1


def test_a_visible_note_is_found_out_before_the_next(site: Site) -> None:
    """Its answer said nothing, and just then the ticket could not be looked at."""
    site.notify("nagios4-service-problem", "SERVICESTATE=WARNING")
    late_and_ignored(site, {"method": "GET", "status": 500})
    site.notify("nagios4-service-acknowledgement")
    assert not (site.state_dir / "visible").exists()
    late_and_ignored(site)
    site.notify(SERVICE_OK)
    assert (site.state_dir / "visible").exists()
    ticket = site.the_ticket()
    assert len(ticket["replies"]) == 2
    assert not ticket["open"]


@pytest.mark.parametrize(
    "fault",
    [
        {"drop": {"when": "after"}},
        {"fail": {"when": "after", "status": 201, "json": {"response": "reply created"}}},
        {"fail": {"when": "after", "status": 504}},
    ],
)
def test_a_first_note_of_unknown_fate_is_looked_for_before_the_next(
    site: Site, fault: Dict[str, Any]
) -> None:
    """Its alert waits to be tried again; meanwhile others come."""
    site.sandbox.instance(visibility="ignored")
    ((kind, settings),) = fault.items()
    rule = {"method": "POST", "path": "*/replies", "next": 1, **settings}
    site.sandbox.faults(**{kind: rule})
    for key in ("a", "b", "c"):
        site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--key", key, code=None)
    site.run("flush", "--force-now")
    assert sum(len(ticket["replies"]) for ticket in site.tickets) == 1
    assert len(site.tickets) == 3
    assert (site.state_dir / "visible").exists()


def test_a_reply_in_part_refused_is_not_sent_again(site: Site) -> None:
    """A success that says "not found" may have done its part."""
    site.sandbox.faults(
        fail={
            "method": "POST",
            "path": "*/replies",
            "when": "after",
            "status": 201,
            "json": {"response": "contact not found"},
            "next": 1,
        }
    )
    site.notify(HOST)
    for _ in range(3):
        site.run("flush", "--force-now")
    site.notify(HOST_UP)
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert len(ticket["replies"]) == 2


def late_and_ignored(site: Site, *faults: Dict[str, Any]) -> None:
    """Every note is visible, and only the list of them says so."""
    site.sandbox.instance(visibility="ignored")
    silent = {
        "method": "POST",
        "path": "*/replies",
        "when": "after",
        "status": 201,
        "json": {"id": 4097, "ticket_id": 1024, "body": ""},
    }
    site.sandbox.faults(fail=[silent, *faults])


# --- what came back different ---------------------------------------------------------------------


def test_what_came_back_different_is_told_once(site: Site) -> None:
    """A priority that BlueRockTEL makes another one, a date that it does not take."""
    site.configure("log: stderr\n")
    said = []
    for number, key in enumerate(("a", "b")):
        made = {
            "id": 1024 + number,
            "number": f"A7KZ2{number}",
            "open": True,
            "priority_id": 4,
            "opened_at": "2026-07-02 08:15:00",
            "created_at": "2026-07-02T08:15:00.000000Z",
            "estimated_resolution_date": f"2030-01-0{number + 1} 00:00:00",
        }
        answer = {"method": "POST", "path": "*/tickets", "status": 201, "when": "after"}
        site.sandbox.faults(fail={**answer, "json": made})
        done = site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--key", key)
        said.append(done.stderr)
    assert "ticket A7KZ20: priority 2 was sent, BlueRockTEL made it 4" in said[0]
    assert "resolution date " in said[0]
    assert "BlueRockTEL made it" not in said[1]
    assert len(site.tickets) == 2


# --- the time zone of the instance ----------------------------------------------------------------


@pytest.mark.short
def test_due_dates_and_closings_are_in_the_instances_own_time(site: Site) -> None:
    site.sandbox.instance(timezone="Asia/Kathmandu")  # 5 h 45 min ahead, summer and winter
    site.notify(HOST)
    first = site.the_ticket()
    assert hours(first) == 4.0  # mended at once
    assert "PUT /v1/tickets/1024" in site.calls()
    site.notify(SERVICE)
    assert hours(site.tickets[-1]) == 4.0
    assert not [call for call in site.calls() if call.startswith("PUT /v1/tickets/10")][1:]
    for words in ((HOST_UP,), (HOST, *test_table.ANEW)):
        site.notify(*words)
        (site.state_dir / "state.json").unlink()  # found by its reference, closed a moment ago
    assert len(site.tickets) == 2
    assert site.tickets[0]["open"]


def test_tickets_made_side_by_side_have_the_right_date(site: Site) -> None:
    site.sandbox.instance(timezone="Asia/Kathmandu")
    stored(site, 8)
    site.run("flush", "--force-now")
    assert [hours(ticket) for ticket in site.tickets] == [4.0] * 8


def stored(site: Site, count: int) -> None:
    """So many alerts that wait: BlueRockTEL is away."""
    site.sandbox.faults(fail={"status": 503})
    for number in range(count):
        site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--key", str(number))
    site.sandbox.clear_faults()
    site.calls()


def test_a_ticket_whose_answer_was_lost_has_the_right_date(site: Site) -> None:
    site.sandbox.instance(timezone="Asia/Kathmandu")
    site.sandbox.faults(drop={"method": "POST", "path": "*/tickets", "next": 1, "when": "after"})
    site.notify(HOST)
    site.run("flush", "--force-now")
    assert hours(site.the_ticket()) == 4.0


def hours(ticket: Dict[str, Any]) -> float:
    """From a ticket's opening to its date, both in local time; to the quarter."""
    from datetime import datetime

    form = "%Y-%m-%d %H:%M:%S"
    due = datetime.strptime(ticket["estimated_resolution_date"], form)
    opened = datetime.strptime(ticket["opened_at"], form)
    return round((due - opened).total_seconds() / 900) / 4


# --- assignee -------------------------------------------------------------------------------------


def test_nobody_frees_the_ticket_and_costs_one_call(any_instance: Site) -> None:
    site = any_instance
    site.notify(HOST, "HOSTNAME=first")
    site.calls()
    site.notify(HOST, "HOSTNAME=before")
    plain = len(site.calls())
    site.configure("  assignee: nobody\n")
    site.notify(HOST, "HOSTNAME=after")
    made = site.calls()
    assert [ticket["assignee_id"] for ticket in site.tickets] == [1, 1, None]
    assert len([call for call in made if "/free/" in call]) == 1
    assert len(made) == plain + 1


def test_alerts_of_one_host_may_have_several_assignees(site: Site) -> None:
    """The worst decides, also whether there is one."""
    site.configure(
        "  group_by: host\n  assignee: nobody\n"
        "rules: [{when: \"severity == 'critical'\", set: {assignee: null}}]\n"
    )
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    test_table.closed_by_hand(site)
    site.sandbox.faults(fail={"status": 503})
    site.notify(SERVICE, "SERVICESTATE=WARNING", "SERVICEDESC=one")
    site.notify(SERVICE, "SERVICEDESC=two")
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    assert site.queued() == site.queued("dead") == []
    assert [ticket["open"] for ticket in site.tickets] == [False, True]


def test_render_knows_every_assignee(site: Site) -> None:
    site.configure(
        "  assignee: nobody\n"
        "rules: [{when: 'true', set: {assignee: Paul Martin}},"
        " {when: 'false', set: {assignee: Marie}}]\n"
    )
    shown = site.run("render", "event", "--host", "acme.3cx.fr", "--state", "DOWN").stdout
    assert "/v1/tickets/assign/" in shown
    assert "failed" not in shown


@pytest.mark.short
def test_a_rule_sets_the_assignee_who_is_found_once(site: Site) -> None:
    site.configure(
        "  assignee: nobody\nrules: [{when: \"'acme' in host\", set: {assignee: Paul Martin}}]\n"
    )
    site.notify(HOST)
    assert "GET /v1/users" in site.calls()
    site.notify(SERVICE)
    assert "GET /v1/users" not in site.calls()
    site.notify(HOST, "HOSTNAME=other")
    assert [ticket["assignee_id"] for ticket in site.tickets] == [2, 2, None]


@pytest.mark.parametrize("path", ["*/users", "*/tickets/assign/*"])
@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 201, "json": [], "when": "after"}])
def test_an_assignee_holds_nothing_up_for_long(
    site: Site, path: str, fault: Dict[str, Any]
) -> None:
    site.configure("  assignee: Paul Martin\n")
    site.sandbox.faults(fail={"path": path, **fault})
    site.notify(HOST)
    for _ in range(3):
        site.run("flush", "--force-now")
    ticket = site.the_ticket()
    assert len(ticket["replies"]) == 1
    assert ticket["contacts"] == [88]
    assert site.queued() == site.queued("dead") == []


def test_an_assignee_made_anew_is_asked_for_again(site: Site) -> None:
    site.configure("  assignee: Paul Martin\n")
    site.notify(HOST)
    users = [user for user in site.sandbox.data()["users"] if user["id"] != 2]
    users.append({**one(site, "users", 2), "id": 9})
    site.sandbox.seed(replace=True, users=users)
    site.notify(SERVICE)
    assert [ticket["assignee_id"] for ticket in site.tickets] == [2, 9]


def test_a_stale_id_that_is_told_as_a_success(site: Site) -> None:
    site.notify(HOST)
    miss = {"status": 200, "json": {"response": "Priority not found"}, "next": 1}
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", **miss})
    site.notify(SERVICE)
    site.run("flush", "--force-now")
    assert len(site.tickets) == 2
    assert site.queued() == site.queued("dead") == []


def test_an_assignee_who_left_costs_no_ticket(site: Site) -> None:
    site.configure("  assignee: 999\nlog: stderr\n")
    done = site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN")
    assert "assign left out" in done.stderr
    ticket = site.the_ticket()
    assert len(ticket["replies"]) == 1
    assert site.queued() == site.queued("dead") == []


# --- the desk's own habits ------------------------------------------------------------------------


def an_hour_passes(site: Site) -> None:
    path = site.state_dir / "state.json"
    state = json.loads(path.read_text())
    for entry in state["tickets"].values():
        entry["opened_at"] = entry["checked_at"] = "2026-01-01T00:00:00Z"
    path.write_text(json.dumps(state))


def test_a_problem_takes_back_the_request_to_close_its_ticket(any_instance: Site) -> None:
    site = any_instance
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    number = site.the_ticket()["id"]
    site.sandbox.request_closure(number)
    site.notify(SERVICE)
    ticket = site.the_ticket()
    assert ticket["open"]
    assert not ticket["closure"]
    assert "is taken back" in ticket["replies"][-1]["body"]


@pytest.mark.short
def test_a_repeated_problem_takes_it_back_once_it_is_looked_at(site: Site) -> None:
    site.notify(HOST)
    site.sandbox.request_closure(site.the_ticket()["id"])
    an_hour_passes(site)
    site.calls()
    assert "its closing, which was requested, is taken back" in site.notify(HOST)
    assert not site.the_ticket()["closure"]
    number = site.the_ticket()["id"]
    assert site.calls() == [f"GET /v1/tickets/{number}", f"PUT /v1/tickets/reopen/{number}"]


@pytest.mark.parametrize("both", [False, True])
def test_a_closing_that_cannot_be_taken_back_is_not_told_as_if(site: Site, both: bool) -> None:
    """`open` does the same as `reopen` where a closing is pending (Tickets page)."""
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    site.sandbox.request_closure(site.the_ticket()["id"])
    paths = ["*/tickets/reopen/*", *(["*/tickets/open/*"] if both else [])]
    site.sandbox.faults(fail=[{"path": path, "status": 422} for path in paths])
    site.notify(SERVICE)
    ticket = site.the_ticket()
    assert ticket["open"]
    assert ticket["closure"] is both
    assert ("is taken back" in ticket["replies"][-1]["body"]) is not both


def test_a_lost_map_takes_it_back_too(site: Site) -> None:
    site.notify(HOST)
    site.sandbox.request_closure(site.the_ticket()["id"])
    (site.state_dir / "state.json").unlink()
    site.notify(HOST)
    assert not site.the_ticket()["closure"]


def test_a_recovery_closes_a_ticket_whose_closing_was_requested(site: Site) -> None:
    site.notify(HOST)
    site.sandbox.request_closure(site.the_ticket()["id"])
    site.notify(HOST_UP)
    assert not site.the_ticket()["open"]


@pytest.mark.short
@pytest.mark.parametrize("wanted", ["new", "reopen", "ignore"])
def test_an_automatic_closing_is_nobodys_decision(site: Site, wanted: str) -> None:
    site.sandbox.instance(closure="auto")
    site.configure(f"lifecycle: {{on_closed_by_hand: {wanted}}}\n")
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    site.sandbox.close_by_itself(site.the_ticket()["id"])
    assert "its ticket closed by itself: reopened" in site.notify(SERVICE)
    assert site.the_ticket()["open"]


def test_an_automatic_closing_that_does_not_show_is_a_persons(site: Site) -> None:
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    site.sandbox.close_by_itself(site.the_ticket()["id"])
    assert "a person closed its ticket" in site.notify(SERVICE)
    assert len(site.tickets) == 2


# --- names ----------------------------------------------------------------------------------------


def test_inactive_names_do_not_match(site: Site) -> None:
    site.sandbox.seed(
        sub_categories=[{"id": 9, "name": "PBX / 3CX", "ticket_category_id": 5, "active": False}]
    )
    site.notify(HOST)
    assert site.the_ticket()["ticket_sub_category_id"] == 12


def test_a_sub_category_gives_what_the_configuration_does_not(site: Site) -> None:
    site.sandbox.seed(
        sub_categories=[{**one(site, "sub_categories", 12), "support_team_id": 2, "priority_id": 1}]
    )
    site.notify(HOST)
    base = "api: {{url: '{url}', token_file: '{token_file}'}}\n"
    site.configure(
        "ticket: {priority: null, category: Infrastructure, sub_category: 12, team: Systems}\n",
        base,
    )
    site.notify(HOST, "HOSTNAME=other")
    first, second = site.tickets
    assert (first["priority_id"], first["team_id"]) == (2, 2)
    assert (second["priority_id"], second["team_id"]) == (1, 1)


def test_a_team_of_the_sub_categorys_own_that_is_gone_costs_no_ticket(site: Site) -> None:
    site.sandbox.seed(sub_categories=[{**one(site, "sub_categories", 12), "support_team_id": 99}])
    site.notify(HOST)
    assert site.the_ticket()["team_id"] is None
    assert site.queued() == site.queued("dead") == []


def test_ids_ask_for_no_list(site: Site) -> None:
    """A user who may not list sub-categories opens tickets all the same."""
    base = "api: {{url: '{url}', token_file: '{token_file}'}}\n"
    site.configure("ticket: {priority: 2, category: 5, sub_category: 12}\n", base)
    site.sandbox.faults(fail={"path": "*/sub-categories", "status": 403})
    site.notify(HOST, "_HOSTCUSTOMER_ACCOUNT=")
    assert site.the_ticket()["ticket_sub_category_id"] == 12
    assert len(site.calls()) == 6


def test_a_sub_category_without_a_priority_gives_way_to_the_usual_one(site: Site) -> None:
    site.sandbox.seed(sub_categories=[{**one(site, "sub_categories", 13), "priority_id": None}])
    base = "api: {{url: '{url}', token_file: '{token_file}'}}\ncustomer: {{fallback: CL000001}}\n"
    rule = "set: {category: Backups, sub_category: Failed}"
    site.configure(
        "ticket: {priority: null, category: Infrastructure, sub_category: PBX / 3CX}\n"
        f"rules: [{{when: 'true', {rule}}}]\nlog: stderr\n",
        base,
    )
    assert (
        "rules[0].set.sub_category: has no priority of its own" in site.run("test", code=78).stderr
    )
    site.notify(HOST)
    ticket = site.the_ticket()
    assert (ticket["ticket_sub_category_id"], ticket["priority_id"]) == (13, 2)


def test_a_name_that_is_not_in_use_any_more_is_told_as_that(site: Site) -> None:
    site.sandbox.seed(sub_categories=[{**one(site, "sub_categories", 12), "active": False}])
    done = site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN", code=78)
    assert "ticket.sub_category: 'PBX / 3CX' is not in use any more in BlueRockTEL" in done.stderr


# --- find by address, and belief in a search ------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize("instance", ["2023", "2026"])
@pytest.mark.parametrize(
    ("lookup", "address", "owner"),
    [
        ('pbx: "{{ address }}"', "198.51.100.23", 12),
        ('pbx: "{{ address }}"', "198.51.100.2", 1),  # 198.51.100.2x are other hosts
        ('hosts: "{{ address }}"', "192.0.2.7", 15),
    ],
)
def test_find_by_address(site: Site, instance: str, lookup: str, address: str, owner: int) -> None:
    site.sandbox.instance(instance=instance)
    base = (
        "api: {{url: '{url}', token_file: '{token_file}'}}\n"
        "ticket: {{priority: High, category: Infrastructure, sub_category: 12}}\n"
    )
    hosts = "hosts: {192.0.2.7: CL000015}"
    site.configure(f"customer: {{lookup: [{{{lookup}}}], fallback: CL000001, {hosts}}}\n", base)
    site.notify(HOST, f"HOSTADDRESS={address}")
    assert site.the_ticket()["ticketable_id"] == owner


@pytest.mark.parametrize("instance", ["2023", "2026"])
def test_one_word_of_a_name_is_no_customer_and_stands_in_the_details(
    site: Site, instance: str
) -> None:
    site.sandbox.instance(instance=instance)
    away = ("_HOSTCUSTOMER_ACCOUNT=", "HOSTADDRESS=192.0.2.9")
    site.notify(HOST, "HOSTNAME=telecom", *away)
    ticket = site.the_ticket()
    assert ticket["ticketable_id"] == 1
    assert "Acme Telecom SAS (CL2385)" in ticket["replies"][0]["body"]


# --- template variables ---------------------------------------------------------------------------


@pytest.mark.short
def test_what_an_alert_says_is_no_template_of_theirs(site: Site) -> None:
    site.sandbox.instance(templates="resolved")
    said = "{{ user.password }} and {!! nothing !!} and {{{ three }}}"
    site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--output", said)
    ticket = site.the_ticket()
    for text in (ticket["subject"], ticket["body"], ticket["replies"][0]["body"]):
        assert not re.search(r"\{\{|\{!!", text)
    shown = site.run("ticket", str(ticket["id"]), "show").stdout
    assert "user.password" in shown
    assert "[resolved]" not in shown


# --- the calls that only some instances, or an assignee, need -------------------------------------

FURTHER = {
    "search": {"method": "GET", "path": "*/customers/search"},
    "account": {"method": "GET", "path": "*/customerAccounts/*"},
    "list of hosts": {"method": "GET", "path": "*/pbx3cx-hosts"},
    "users": {"method": "GET", "path": "*/users"},
    "assign": {"method": "PUT", "path": "*/tickets/assign/*"},
    "take back the closing": {"method": "PUT", "path": "*/tickets/reopen/*"},
    "date": {"method": "PUT", "path": "*/tickets/????"},
    "look at the note": {"method": "GET", "path": "*/replies"},
}
FAULTS = {name: test_faults.FAULTS[name] for name in ("reset after", "503", "403", "404", "422")}
FAULTS["truncated JSON"] = test_faults.FAULTS["truncated JSON"]


@pytest.mark.short
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("endpoint", FURTHER)
def test_a_further_call_that_fails_once(site: Site, endpoint: str, fault: str) -> None:
    """Whatever happens to one of them once: one ticket on the right customer, closed."""
    site.sandbox.instance(instance="2023", visibility="late")
    site.configure(
        "  assignee: Paul Martin\nrules: [{when: customer.on_call_duty, set: {team: On-call}}]\n"
    )
    ((kind, settings),) = FAULTS[fault].items()
    site.sandbox.faults(**{kind: {**FURTHER[endpoint], **settings, "next": 1}})
    who = {"NAGIOS__HOSTCUSTOMER_ACCOUNT": "", "NAGIOS_HOSTNAME": "clinique-parc.3cx.fr"}
    for number, (name, more) in enumerate(
        (
            ("nagios4-service-problem", {"NAGIOS_SERVICESTATE": "WARNING"}),
            ("nagios4-service-problem", {}),
            ("nagios4-service-recovery", {}),
        )
    ):
        event = capture(name, {**who, **more})
        in_child(lambda event=event: deliver(site, event))  # type: ignore[misc]
        for _ in range(3):
            if site.queued():
                in_child(lambda: drain(site))
        if number == 0:
            site.sandbox.request_closure(site.the_ticket()["id"])
    hit = site.sandbox.faults()[kind]
    assert not hit or hit[0]["next"] == 0, "the fault was never met"
    ticket = site.the_ticket()
    assert (ticket["ticketable_id"], ticket["team_id"], ticket["open"]) == (12, 2, False)
    assert ticket["assignee_id"] in ((1, 2) if endpoint in ("assign", "users") else (2,))
    texts = [reply["body"] for reply in ticket["replies"]]
    assert len(set(texts)) == len(texts) == 3
    assert internal(ticket) == [True] * 3
    assert site.queued() == site.queued("dead") == []


# --- what people see of it ------------------------------------------------------------------------


def test_the_first_alarm_stays_until_it_is_mended(site: Site) -> None:
    """The note of a test is not the one that a customer saw."""
    site.sandbox.instance(visibility="ignored")
    site.notify(HOST)
    number = site.the_ticket()["number"]
    said = site.run("test", "--open", code=78).stderr
    assert (
        f"the note of this test is visible to the customer: ticket {site.tickets[1]['number']}"
        in said
    )
    assert f"ticket {number}, reply" in site.run("status").stdout
    site.sandbox.instance(visibility="kept")
    site.run("test", "--open")
    assert not (site.state_dir / "visible").exists()


def test_no_ticket_is_opened_to_test_what_is_wrong(site: Site) -> None:
    site.configure("  assignee: Zed\n")
    done = site.run("test", "--open", code=78)
    assert "no ticket was opened: mend first what is wrong above" in done.stdout
    assert "discover --users" in done.stderr
    assert site.tickets == []


def test_render_shows_the_date_in_utc(site: Site) -> None:
    def due() -> float:
        shown = site.run("render", "event", "--host", "acme.3cx.fr", "--state", "DOWN").stdout
        text = next(line for line in shown.splitlines() if line.startswith("resolve by: "))
        seconds = parse_date(text.removeprefix("resolve by: ").removesuffix(" UTC"))
        assert seconds is not None
        return seconds

    before = due()
    site.sandbox.instance(timezone="Asia/Kathmandu")
    site.notify(HOST)
    assert abs(due() - before) < 2 * 3600
