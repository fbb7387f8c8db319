"""The cookbook's own example, from a real Nagios notification to the ticket, call by call."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from support import Site

pytestmark = pytest.mark.short

OPEN_A_NEW_CUSTOMER = [
    "GET /v1/pbx3cx-hosts/lookup",
    "GET /v1/tickets/search",
    "POST /v1/tickets",
    "GET /v1/contacts",
    "PUT /v1/tickets/1024/associates",
    "POST /v1/replies",
]


def known_names(site: Site) -> None:
    """Names are resolved once: by ``test``, as here, or by an earlier alert."""
    site.run("test")
    site.calls()


def without_account(site: Site) -> None:
    """As in the cookbook, the PBX's host name leads to the customer, not an account."""
    site.configure("contact: {role: technical}\nlog: stderr\n")


def down(site: Site) -> str:
    return site.notify("nagios4-host-problem", "_HOSTCUSTOMER_ACCOUNT=")


def test_the_cookbooks_example(site: Site) -> None:
    known_names(site)
    said = down(site)
    ticket = site.the_ticket()
    assert said.startswith("delivered: nagios:acme.3cx.fr: opened: ticket ")
    assert ticket["ticketable_id"] == 42
    assert ticket["contacts"] == [88]
    assert ticket["open"]
    assert ticket["subject"] == "DOWN: acme.3cx.fr"
    assert (ticket["priority_id"], ticket["ticket_category_id"]) == (2, 5)
    assert ticket["ticket_sub_category_id"] == 12
    assert ticket["tags"] in (["monitoring", "auto"], '["monitoring","auto"]')
    (note,) = ticket["replies"]
    assert not note["customer_visible"]
    assert "PING CRITICAL - Packet loss = 100%" in note["body"]


def test_a_new_customer_costs_six_calls_a_known_one_four(site: Site) -> None:
    known_names(site)
    down(site)
    calls = site.calls()
    calls = [re.sub(r"/\d+/", "/1024/", call) for call in calls]
    assert sorted(calls) == sorted(OPEN_A_NEW_CUSTOMER)  # some of them side by side
    assert calls.index("POST /v1/tickets") > calls.index("GET /v1/tickets/search")
    site.notify("nagios4-service-problem", "_HOSTCUSTOMER_ACCOUNT=")
    calls = [re.sub(r"/\d+/", "/1024/", call) for call in site.calls()]
    assert sorted(calls) == sorted(
        call for call in OPEN_A_NEW_CUSTOMER if not call.startswith(("GET /v1/pbx", "GET /v1/con"))
    )


def test_a_repeat_costs_no_call_and_a_recovery_one(site: Site) -> None:
    known_names(site)
    down(site)
    site.calls()
    assert down(site).endswith("0 calls")
    assert site.calls() == []
    site.notify("nagios4-host-recovery")
    assert site.calls() == ["POST /v1/replies"]
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert "PING OK - rta 3ms" in ticket["replies"][-1]["body"]


def test_nothing_of_a_done_event_stays_behind(site: Site) -> None:
    down(site)
    assert site.queued() == []
    assert site.queued("dead") == []
    entry = site.state["nagios:acme.3cx.fr"]
    assert entry["ticket_id"] == site.the_ticket()["id"]
    assert entry["customer"]["account"] == "CL2385"


def test_the_reference_can_be_read_in_the_ticket(site: Site) -> None:
    down(site)
    reference = site.state["nagios:acme.3cx.fr"]["reference"]
    assert re.fullmatch("BN-[0-9a-f]{12}", reference)
    assert f"<p>Reference: {reference}</p>" in site.the_ticket()["body"]


def test_resolution_is_due_four_hours_after_the_alert(site: Site) -> None:
    down(site)
    ticket = site.the_ticket()
    form = "%Y-%m-%d %H:%M:%S"
    due = datetime.strptime(ticket["estimated_resolution_date"], form)
    opened = datetime.strptime(ticket["opened_at"], form)
    assert abs((due - opened).total_seconds() - 4 * 3600) < 120


def test_the_same_program_logs_in_with_a_password(site: Site) -> None:
    password = site.folder / "password"
    password.write_text("sandbox\n")
    base = (
        f"api: {{url: '{site.sandbox.url}', email: noc@example.net, password_file: '{password}'}}\n"
        "ticket: {priority: 2, category: 5, sub_category: 12}\n"
    )
    site.config_file.write_text(base)
    down(site)
    assert site.the_ticket()["open"]
    assert site.calls()[0] == "POST /login"
    site.sandbox.revoke_tokens()
    site.notify("nagios4-host-recovery")
    assert site.calls() == ["POST /v1/replies", "POST /login", "POST /v1/replies"]
    assert not site.the_ticket()["open"]
    assert (site.state_dir / "token.json").stat().st_mode & 0o777 == 0o600
