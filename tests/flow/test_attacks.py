"""What an alert's text, a moody server and odd circumstances must not bring about."""

from __future__ import annotations

import json

import pytest
from support import Site

from brtel_notify.alert import reference

HOST, SERVICE = "nagios4-host-problem", "nagios4-service-problem"
HOST_UP, SERVICE_OK = "nagios4-host-recovery", "nagios4-service-recovery"
DOWN = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")
UP = ("event", "--host", "acme.3cx.fr", "--state", "UP")


@pytest.mark.short
def test_an_alert_cannot_forge_the_reference_of_another(site: Site) -> None:
    forged = reference("event:acme.3cx.fr")
    for where in ("--output", "--title", "--service"):
        words = ("event", "--host", "evil", "--state", "DOWN", "--var", "CUSTOMER_ACCOUNT=CL2385")
        site.run(*words, where, f"see {forged} Reference: {forged}")
    site.run(*DOWN)
    assert len(site.tickets) == 3  # of evil, of a service of evil, and its own
    site.run(*UP)
    assert [ticket["open"] for ticket in site.tickets] == [True, True, False]


def test_a_tag_wins_over_what_a_value_smuggles_into_the_message(site: Site) -> None:
    message = (
        "EVENT.VALUE: 1\nTRIGGER.ID: 7\nHOST.HOST: x\n"
        'EVENT.TAGSJSON: [{"tag":"customer_account","value":"CL2385"}]\n'
        "EVENT.NAME: n\nHOST.HOST: victim\n"
        "EVENT.OPDATA: v\nCUSTOMER_ACCOUNT: CL000001"
    )
    site.run("zabbix", "", "", message)
    ticket = site.the_ticket()
    assert ticket["ticketable_id"] == 42
    assert list(site.state) == ["zabbix:x:7"]


@pytest.mark.parametrize(("status", "code"), [(403, 78), (500, 0)])
def test_one_event_that_the_server_does_not_like_holds_nobody_else_up(
    site: Site, status: int, code: int
) -> None:
    site.sandbox.faults(fail={"path": "*/pbx3cx-hosts/lookup", "status": status})
    site.run(*DOWN, code=code)  # it is looked up by its host; the next has an account
    site.notify(SERVICE)
    assert len(site.tickets) == 1
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    assert len(site.tickets) == 2


@pytest.mark.parametrize("body", ["json", "empty"])
def test_one_404_out_of_the_blue_does_not_mean_that_a_ticket_is_gone(site: Site, body: str) -> None:
    site.run(*DOWN)
    site.sandbox.faults(
        fail={"method": "POST", "path": "*/replies", "status": 404, "body": body, "next": 1}
    )
    site.run(*UP)
    site.run("flush", "--force-now")
    assert not site.the_ticket()["open"]


@pytest.mark.short
def test_a_creation_in_doubt_is_settled_although_grouping_was_changed_meanwhile(
    site: Site,
) -> None:
    site.sandbox.faults(drop={"method": "POST", "path": "*/tickets", "when": "after", "next": 1})
    site.run(*DOWN)
    site.configure("  group_by: host\n")
    site.run("flush", "--force-now")
    assert len(site.tickets) == 1


def test_a_note_in_doubt_is_not_made_twice_although_the_map_was_lost(site: Site) -> None:
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    site.sandbox.faults(drop={"method": "POST", "path": "*/replies", "when": "after", "next": 1})
    site.notify(SERVICE)
    (site.state_dir / "state.json").unlink()
    site.run("flush", "--force-now")
    assert len(site.the_ticket()["replies"]) == 2


def test_an_event_that_was_tried_a_thousand_times_is_tried_again(site: Site) -> None:
    site.sandbox.faults(fail={"status": 500})
    site.run(*DOWN)
    (path,) = site.queued()
    with path.open("a") as file:
        for number in range(1100):
            file.write(json.dumps({"attempt": number, "at": "2026-01-01T00:00:00Z"}) + "\n")
    site.run("flush", "--force-now")
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    assert site.the_ticket()["open"]


def test_stdout_that_nobody_can_write_to_is_no_failure(site: Site) -> None:
    import subprocess

    with open("/dev/full", "w") as full:
        done = subprocess.run(site.words(*DOWN), stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0
    assert site.the_ticket()["open"]


# --- PBX hosts and searches, as the sandbox has them ----------------------------------------------


@pytest.mark.parametrize(
    ("host", "customer", "said"),
    [
        ("acme.3cx.fr", 42, ""),
        ("nobody.3cx.fr", 1, "linked to no customer"),
        ("morel-old.3cx.fr", 15, "is marked inactive"),
        ("shared.3cx.fr", 7, "is shared by 2 customers"),
        ("Horizon", 1, "15 customers, none of them for certain"),
        ("telecom", 1, "one customer, Acme Telecom SAS (CL2385), but neither its name"),
        ("sas", 1, "one customer, Acme Telecom SAS (CL2385), but neither its name"),
        ("Acme Telecom SAS", 42, ""),
    ],
)
def test_who_owns_the_host(site: Site, host: str, customer: int, said: str) -> None:
    """E7, too: one inexact hit is no customer."""
    done = site.run("event", "--host", host, "--state", "DOWN")
    assert said in done.stderr
    assert site.the_ticket()["ticketable_id"] == customer


def test_the_table_of_hosts_comes_first(site: Site) -> None:
    text = site.config_file.read_text()
    table = "customer:\n  hosts: {acme.3cx.fr: CL000007}\n"
    site.config_file.write_text(text.replace("customer:\n", table))
    site.run(*DOWN)
    assert site.the_ticket()["ticketable_id"] == 7
