"""DESIGN section 5 against the sandbox: grouping, adopting, people's hands, lost maps."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest
from support import Site

pytestmark = pytest.mark.short

HOST, SERVICE = "nagios4-host-problem", "nagios4-service-problem"
HOST_UP, SERVICE_OK = "nagios4-host-recovery", "nagios4-service-recovery"
#: DOWN once more, after that recovery.
ANEW = ("LASTHOSTSTATECHANGE=1795285990", "LASTHOSTUP=1795285990", "TIMET=1795285990")


def last_note(ticket: Dict[str, Any]) -> str:
    return str(ticket["replies"][-1]["body"])


# --- one ticket for several alerts ----------------------------------------------------------------


@pytest.mark.parametrize("group_by", ["host", "customer"])
def test_alerts_of_a_group_share_a_ticket_until_the_last_recovers(
    site: Site, group_by: str
) -> None:
    site.configure(f"  group_by: {group_by}\nseverities: {{critical: {{priority: Urgent}}}}\n")
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    assert site.the_ticket()["priority_id"] == 2
    site.notify(HOST)
    ticket = site.the_ticket()
    assert ticket["priority_id"] == 3  # raised: the second alert is worse
    assert "DOWN" in last_note(ticket)
    site.notify(SERVICE_OK)
    ticket = site.the_ticket()
    assert ticket["open"]
    assert "1 other alert of this ticket still a problem" in last_note(ticket)
    site.notify(HOST_UP)
    assert not site.the_ticket()["open"]


def test_customers_share_nothing(site: Site) -> None:
    site.configure("  group_by: customer\n")
    site.notify(HOST)
    site.notify(HOST, "HOSTNAME=other.example.net", "_HOSTCUSTOMER_ACCOUNT=CL000007")
    assert sorted(ticket["ticketable_id"] for ticket in site.tickets) == [7, 42]


def test_by_default_each_alert_has_its_ticket(site: Site) -> None:
    site.notify(HOST)
    site.notify(SERVICE)
    assert len(site.tickets) == 2


def test_two_monitoring_systems_on_one_host_have_one_ticket_by_host(site: Site) -> None:
    site.configure("  group_by: host\n")
    site.notify(HOST)
    site.notify("librenms-problem")
    assert len(site.the_ticket()["replies"]) == 2


# --- adopt ----------------------------------------------------------------------------------------


def persons_ticket(site: Site, customer_id: int = 42) -> int:
    from brtel_notify.api.client import Client
    from brtel_notify.api.credentials import Credentials

    with Client(site.sandbox.url, Credentials(token=site.sandbox.token)) as client:
        ticket = client.create_ticket(
            customer_id,
            subject="The phones crackle",
            body="<p>since Monday</p>",
            priority_id=1,
            category_id=5,
            sub_category_id=12,
        )
    site.sandbox.clear_requests()
    return int(ticket.id)


def test_adopt_ours_leaves_a_persons_ticket_alone(site: Site) -> None:
    persons_ticket(site)
    site.notify(HOST)
    assert len(site.tickets) == 2


def test_adopt_any_reuses_a_persons_ticket_and_does_not_close_it(site: Site) -> None:
    site.configure("  adopt: any\n")
    number = persons_ticket(site)
    site.notify(HOST)
    ticket = site.the_ticket()
    assert ticket["id"] == number
    assert "DOWN" in last_note(ticket)
    site.notify(HOST_UP)
    ticket = site.the_ticket()
    assert ticket["open"]
    assert "Recovered" in last_note(ticket)


def test_adopt_any_lets_two_alerts_use_one_ticket_of_ours(site: Site) -> None:
    site.configure("  adopt: any\n")
    site.notify(HOST)
    site.notify(SERVICE)
    site.notify(HOST_UP)
    assert site.the_ticket()["open"]
    site.notify(SERVICE_OK)
    assert not site.the_ticket()["open"]


# --- the map is lost ------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [None, b"", b'{"version": 1, "tick', b"\x00\xff"])
def test_a_lost_map_finds_the_ticket_again(site: Site, broken: bytes | None) -> None:
    site.notify(HOST)
    path = site.state_dir / "state.json"
    if broken is None:
        path.unlink()
    else:
        path.write_bytes(broken)
    site.notify(HOST)
    assert len(site.the_ticket()["replies"]) == 2
    assert site.state["nagios:acme.3cx.fr"]["ticket_id"] == site.the_ticket()["id"]
    if broken is not None:
        assert [p.read_bytes() for p in site.state_dir.glob("state.json.damaged-*")] == [broken]


def test_a_lost_map_closes_on_recovery(site: Site) -> None:
    site.notify(HOST)
    (site.state_dir / "state.json").unlink()
    site.notify(HOST_UP)
    assert not site.the_ticket()["open"]


def test_a_second_monitoring_server_finds_the_ticket_of_the_first(site: Site) -> None:
    site.notify(HOST)
    site.state_dir = site.folder / "second"
    site.notify(HOST)
    assert len(site.tickets) == 1


def test_a_map_of_a_later_version_is_left_alone(site: Site) -> None:
    site.notify(HOST)
    path = site.state_dir / "state.json"
    later = json.dumps({"version": 2, "tickets": {}})
    path.write_text(later)
    site.notify(HOST_UP, code=78)
    assert path.read_text() == later
    assert len(site.queued()) == 1


# --- people's hands -------------------------------------------------------------------------------


def closed_by_hand(site: Site) -> None:
    """A person closes the ticket, and then an hour passes."""
    from brtel_notify.api.client import Client
    from brtel_notify.api.credentials import Credentials

    with Client(site.sandbox.url, Credentials(token=site.sandbox.token)) as client:
        client.close_ticket(site.the_ticket()["id"])
    path = site.state_dir / "state.json"
    state = json.loads(path.read_text())
    for entry in state["tickets"].values():
        entry["opened_at"] = entry["checked_at"] = "2026-01-01T00:00:00Z"
    path.write_text(json.dumps(state))


@pytest.mark.parametrize(
    ("wanted", "tickets", "is_open"), [("new", 2, True), ("reopen", 1, True), ("ignore", 1, False)]
)
def test_a_ticket_closed_by_hand(site: Site, wanted: str, tickets: int, is_open: bool) -> None:
    site.configure(f"lifecycle: {{on_closed_by_hand: {wanted}}}\n")
    site.notify(HOST)
    closed_by_hand(site)
    site.notify(HOST)
    assert len(site.tickets) == tickets
    assert site.tickets[-1]["open"] is is_open
    site.notify(HOST)
    assert len(site.tickets) == tickets


def deleted(site: Site) -> None:
    from brtel_notify.api.client import Client
    from brtel_notify.api.credentials import Credentials

    with Client(site.sandbox.url, Credentials(token=site.sandbox.token)) as client:
        client.request("DELETE", f"/v1/tickets/{site.the_ticket()['id']}")


def test_a_deleted_ticket_is_opened_anew_when_the_problem_gets_worse(site: Site) -> None:
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    deleted(site)
    site.notify(SERVICE)
    assert site.the_ticket()["open"]


def test_the_recovery_of_a_deleted_ticket_comes_to_nothing(site: Site) -> None:
    site.notify(HOST)
    deleted(site)
    site.notify(HOST_UP)
    assert site.tickets == []
    assert site.queued() == site.queued("dead") == []


# --- the rest of the lifecycle --------------------------------------------------------------------


def test_a_problem_that_returns_reopens_its_ticket(site: Site) -> None:
    for capture in (HOST, HOST_UP):
        site.notify(capture)
    site.notify(HOST, *ANEW)
    ticket = site.the_ticket()
    assert ticket["open"]
    assert "The problem is back" in last_note(ticket)


def test_a_problem_that_returns_late_is_a_new_ticket(site: Site) -> None:
    site.configure("lifecycle: {reopen_within: 0s}\n")
    for capture in (HOST, HOST_UP):
        site.notify(capture)
    site.run("flush")
    path = site.state_dir / "state.json"
    path.write_text(path.read_text().replace('"closed_at": "20', '"closed_at": "19'))
    site.notify(HOST, *ANEW)
    assert [ticket["open"] for ticket in site.tickets] == [False, True]


def test_a_change_of_severity_moves_priority_and_date(site: Site) -> None:
    site.configure(
        "severities:\n"
        "  critical: {priority: Urgent, resolve_within: 1h}\n"
        "  warning: {priority: Low, resolve_within: 8h}\n"
    )
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    before = site.the_ticket()
    site.notify(SERVICE)
    now = site.the_ticket()
    assert (before["priority_id"], now["priority_id"]) == (1, 3)
    assert now["estimated_resolution_date"] < before["estimated_resolution_date"]
    assert "warning → critical" in last_note(now)


def test_an_acknowledgement_of_two_contacts_is_noted_once(site: Site) -> None:
    site.notify(SERVICE)
    site.notify("nagios4-service-acknowledgement")
    site.notify("nagios4-service-acknowledgement")
    ticket = site.the_ticket()
    assert len(ticket["replies"]) == 2
    assert "jdupont" in last_note(ticket)
    assert "on it, calling the carrier" in last_note(ticket)


def test_what_concerns_no_open_ticket_opens_none(site: Site) -> None:
    for capture in ("nagios4-service-acknowledgement", "nagios4-host-downtimestart", HOST_UP):
        site.notify(capture)
    assert site.tickets == []


def test_an_alert_that_a_rule_ignores(site: Site) -> None:
    site.configure("rules:\n  - {when: \"host == 'acme.3cx.fr'\", ignore: true}\n")
    assert site.notify(HOST).startswith("ignored: ")
    assert site.tickets == []
    assert site.queued() == []


def test_a_rule_can_ask_for_the_customers_record(site: Site) -> None:
    on_call = next(c for c in site.sandbox.data()["customers"] if c["on_call_duty"])
    site.configure("rules:\n  - {when: customer.on_call_duty, set: {team: On-call}}\n")
    site.notify(HOST)
    site.notify(HOST, "HOSTNAME=x", f"_HOSTCUSTOMER_ACCOUNT={on_call['customer_account']}")
    assert [bool(ticket["team_id"]) for ticket in site.tickets] == [False, True]


def test_a_broken_rule_or_a_rule_with_an_unknown_name_degrades(site: Site) -> None:
    site.configure(
        "rules:\n  - {when: 'host ==', set: {team: Systems}}\n"
        "  - {when: 'true', set: {category: Nonsense}}\n"
    )
    done = site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN")
    assert "rules[0].when" in done.stderr
    assert "rules[1].set.category" in done.stderr
    ticket = site.the_ticket()
    assert ticket["ticket_category_id"] == 5
    assert "failed; the ticket was opened without it" in ticket["body"]


def test_a_broken_template_of_ones_own_degrades(site: Site) -> None:
    folder = site.folder / "own"
    folder.mkdir()
    (folder / "body.j2").write_text("{% if %}")
    site.configure(f"templates: {folder}\n")
    done = site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN")
    assert "template body.j2: line 1" in done.stderr
    body = site.the_ticket()["body"]
    assert "acme.3cx.fr" in body
    assert "own template “body.j2” failed" in body


def test_french(site: Site) -> None:
    site.configure("language: fr\ntimezone: Europe/Paris\n")
    for capture in (HOST, "nagios4-host-downtimestart", HOST_UP):
        site.notify(capture)
    ticket = site.the_ticket()
    assert ticket["subject"] == "DOWN : acme.3cx.fr"
    assert "Ouvert automatiquement" in ticket["body"]
    assert "CET" in ticket["body"]
    notes = [reply["body"] for reply in ticket["replies"]]
    for words, note in zip(("Détails de l", "Début de maintenance", "Rétabli"), notes):
        assert words in note


# --- who owns the host ----------------------------------------------------------------------------


def test_nobody_owns_it_and_no_fallback(site: Site) -> None:
    site.configure(base=site_without_fallback())
    done = site.run("event", "--host", "nobody.example.net", "--state", "DOWN", code=65)
    assert "nobody owns nobody.example.net" in done.stderr
    assert len(site.queued("dead")) == 1
    site.configure()
    site.run("queue", "retry", "--all")
    site.run("flush")
    assert site.the_ticket()["ticketable_id"] == 1


def site_without_fallback() -> str:
    from support import CONFIG

    return CONFIG.replace("customer:\n  fallback: CL000001\n", "")


def test_nobody_owns_it_the_fallback_gets_it(site: Site) -> None:
    done = site.run("event", "--host", "nobody.example.net", "--state", "DOWN")
    assert site.the_ticket()["ticketable_id"] == 1
    assert "the fallback CL000001 gets it" in done.stderr
    assert "is no PBX host in BlueRockTEL" in done.stderr


def test_a_customer_that_is_gone_from_the_cache_is_looked_up_again(site: Site) -> None:
    site.notify(SERVICE)
    customers = [c for c in site.sandbox.data()["customers"] if c["id"] != 42]
    new = {"id": 77, "name": "Acme, merged", "customer_account": "CL2385"}
    site.sandbox.seed(replace=True, customers=[*customers, new], pbx_hosts=[], contacts=[])
    site.notify(HOST)
    assert site.tickets[-1]["ticketable_id"] == 77


# --- what a second look at the table found --------------------------------------------------------


def test_adopt_any_does_not_close_what_is_still_a_problem_for_another_alert(site: Site) -> None:
    site.configure("  adopt: any\n")
    site.notify(HOST)
    site.notify(SERVICE)
    site.notify(HOST_UP)
    site.notify(HOST_UP)  # the second contact of the notification
    site.notify(SERVICE_OK, "SERVICEDESC=never seen")
    assert site.the_ticket()["open"]
    site.notify(SERVICE_OK)
    assert not site.the_ticket()["open"]


def test_adopt_any_reopens_by_reference_when_the_map_is_lost(site: Site) -> None:
    site.configure("  adopt: any\n")
    for capture in (HOST, HOST_UP):
        site.notify(capture)
    (site.state_dir / "state.json").unlink()
    site.notify(HOST, *ANEW)
    assert site.the_ticket()["open"]


def test_adopt_any_a_creation_in_doubt_is_not_settled_by_an_old_closed_ticket(site: Site) -> None:
    site.configure("  adopt: any\nlifecycle: {reopen_within: 0s}\n")
    for capture in (HOST, HOST_UP):
        site.notify(capture)
    (site.state_dir / "state.json").unlink()
    site.sandbox.faults(drop={"method": "POST", "path": "*/tickets", "when": "before", "next": 1})
    site.notify(HOST, *ANEW)
    site.run("flush", "--force-now")
    assert [ticket["open"] for ticket in site.tickets] == [False, True]
    assert len(site.tickets[1]["replies"]) == 1


def test_a_persons_ticket_that_speaks_of_bn_numbers_is_not_ours(site: Site) -> None:
    from brtel_notify.api.client import Client
    from brtel_notify.api.credentials import Credentials

    site.configure("  adopt: any\n")
    number = persons_ticket(site)
    with Client(site.sandbox.url, Credentials(token=site.sandbox.token)) as client:
        client.update_ticket(number, body="<p>the BN-2090 gateway crackles</p>")
    for capture in (HOST, HOST_UP):
        site.notify(capture)
    assert site.the_ticket()["open"]


def test_an_adopted_ticket_is_raised_when_a_milder_alert_would_have_opened_it(site: Site) -> None:
    site.configure(
        "  adopt: any\nseverities: {critical: {priority: Urgent}, warning: {priority: Low}}\n"
    )
    persons_ticket(site)
    site.notify(HOST)
    assert site.the_ticket()["priority_id"] == 3


def test_a_new_alert_of_a_group_whose_ticket_a_person_closed(site: Site) -> None:
    site.configure("  group_by: host\n")
    site.notify(HOST)
    closed_by_hand(site)
    site.notify(SERVICE)
    assert [ticket["open"] for ticket in site.tickets] == [False, True]


def test_a_milder_alert_does_not_lower_the_ticket_of_a_worse_one(site: Site) -> None:
    site.configure(
        "  group_by: host\nseverities: {critical: {priority: Urgent}, warning: {priority: Low}}\n"
    )
    site.notify(HOST)
    site.notify(SERVICE)
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    assert site.the_ticket()["priority_id"] == 3


def test_the_recovery_of_an_open_ticket_is_never_ignored(site: Site) -> None:
    site.notify(HOST)
    site.configure("rules: [{when: 'true', ignore: true}]\n")
    site.notify(HOST_UP)
    assert not site.the_ticket()["open"]


def test_a_later_rule_takes_an_ignore_back(site: Site) -> None:
    site.configure(
        "rules:\n  - {when: 'true', ignore: true}\n"
        "  - {when: \"host == 'acme.3cx.fr'\", ignore: false}\n"
    )
    site.notify(HOST)
    assert site.the_ticket()["open"]


def test_two_copies_of_a_recovery_are_noted_once(site: Site) -> None:
    site.configure("lifecycle: {on_recovery: note}\n")
    for capture in (HOST, HOST_UP, HOST_UP):
        site.notify(capture)
    assert len(site.the_ticket()["replies"]) == 2


def test_an_unknown_id_in_a_severity_degrades_as_an_unknown_name_does(site: Site) -> None:
    site.configure("severities: {critical: {priority: 999}}\n")
    site.run("test", code=78)
    done = site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN")
    assert "severities.critical.priority: BlueRockTEL has none with the id 999" in done.stderr
    assert site.the_ticket()["priority_id"] == 2


def test_a_refused_contact_does_not_stop_the_tickets_of_others(site: Site) -> None:
    site.sandbox.faults(fail={"method": "GET", "path": "*/contacts", "status": 403})
    for number in range(3):
        site.notify(HOST, f"HOSTNAME=pbx{number}.example.net")
    assert len(site.tickets) == 3
    assert site.queued() == []
    assert all(len(ticket["replies"]) == 1 for ticket in site.tickets)


def test_a_contact_who_has_left_is_replaced(site: Site) -> None:
    site.notify(HOST)
    contacts = [c for c in site.sandbox.data()["contacts"] if c["id"] != 88]
    marie = next(c for c in site.sandbox.data()["contacts"] if c["id"] == 88)
    site.sandbox.seed(replace=True, tickets=[], contacts=[*contacts, {**marie, "id": 188}])
    site.notify(SERVICE)
    assert site.the_ticket()["contacts"] == [188]


def test_templates_of_ones_own_can_use_the_customers_record(site: Site) -> None:
    folder = site.folder / "own"
    folder.mkdir()
    text = "{{ customer.name }} {{ customer['vip'] }} {{ customer.customer_account }}"
    (folder / "body.j2").write_text(text)
    site.configure(f"templates: {folder}\n")
    site.notify(HOST)
    assert "Acme Telecom SAS False CL2385" in site.the_ticket()["body"]


def test_a_repeat_for_a_host_that_nobody_owns_costs_no_call(site: Site) -> None:
    site.configure("rules: [{when: customer.vip, set: {priority: Urgent}}]\n")
    words = ("event", "--host", "nobody.example.net", "--state", "DOWN")
    site.run(*words)
    site.calls()
    site.run(*words)
    assert site.calls() == []


def test_a_customer_that_is_gone_takes_its_group_along(site: Site) -> None:
    site.configure("  group_by: customer\n")
    site.notify(SERVICE)
    customers = [c for c in site.sandbox.data()["customers"] if c["id"] != 42]
    new = {"id": 77, "name": "Acme, merged", "customer_account": "CL2385"}
    site.sandbox.seed(
        replace=True, customers=[*customers, new], pbx_hosts=[], contacts=[], tickets=[]
    )
    (site.state_dir / "state.json").unlink()
    site.notify(HOST)
    assert list(site.state) == ["customer:77"]
    assert site.the_ticket()["ticketable_id"] == 77


# --- storms of a group ----------------------------------------------------------------------------


def outage_of_many(site: Site, capture: str, many: int) -> None:
    """The first notification finds BlueRockTEL down; so the others are only stored."""
    site.sandbox.faults(drop={"when": "before"})
    site.notify(HOST, "HOSTNAME=other", f"_HOSTCUSTOMER_ACCOUNT=CL00000{many - 1}")
    site.next_probe_in(200)
    for number in range(many):
        site.notify(capture, f"SERVICEDESC=line {number}")
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")


@pytest.mark.parametrize("group_by", ["host", "customer"])
def test_grouped_alerts_that_wait_become_one_note(site: Site, group_by: str) -> None:
    site.configure(f"  group_by: {group_by}\n")
    outage_of_many(site, SERVICE, 8)
    ticket = site.tickets_of(42)[0]
    assert len(ticket["replies"]) == 2  # the details, and one note on the seven others
    for number in range(1, 8):
        assert f"line {number}" in last_note(ticket)
    (site.state_dir / "breaker.json").unlink(missing_ok=True)
    site.sandbox.faults(drop={"when": "before"})
    site.notify(HOST, "HOSTNAME=another", "_HOSTCUSTOMER_ACCOUNT=CL000007")
    site.next_probe_in(200)
    for number in range(8):
        site.notify(SERVICE_OK, f"SERVICEDESC=line {number}")
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    (ticket,) = site.tickets_of(42)
    assert not ticket["open"]
    assert len(ticket["replies"]) == 3
    assert "line 7" in last_note(ticket)
    assert site.queued() == []


@pytest.mark.parametrize(("wanted", "tickets"), [("deliver", [False]), ("skip", [])])
def test_what_recovered_in_the_queue(site: Site, wanted: str, tickets: list[bool]) -> None:
    site.configure(f"lifecycle: {{resolved_in_queue: {wanted}}}\n")
    site.sandbox.faults(drop={"when": "before"})
    site.notify(HOST, "HOSTNAME=other")  # opens the breaker, so that the next are only stored
    site.next_probe_in(200)
    for capture in (SERVICE, "nagios4-service-acknowledgement", SERVICE_OK):
        site.notify(capture)
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    of_service = [ticket for ticket in site.tickets if "SIP trunk" in ticket["subject"]]
    assert [ticket["open"] for ticket in of_service] == tickets
    if tickets:
        assert len(of_service[0]["replies"]) == 3
    assert site.queued() == []
