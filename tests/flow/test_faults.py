"""The fault matrix: every endpoint of the flow × every way in which it can fail, once.

Each case plays a whole story (problem, worse, recovery, recurrence, recovery) with one fault in
it, and flushes after each event. Whatever happens, there is one ticket, closed in the end, with
each note once: 0 lost, 0 doubled. EXPECTED says where the outcome differs from "as if nothing had
happened"; docs/faults.md tells the same to people.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Tuple

import pytest
from inprocess import capture, deliver, drain, in_child
from support import CONFIG, Site

from brtel_notify.intake.capture import Capture

NO_ACCOUNT = {"NAGIOS__HOSTCUSTOMER_ACCOUNT": ""}
#: What Nagios says of the problem that comes back, and of its recovery.
ANEW = {
    **NO_ACCOUNT,
    **dict.fromkeys(
        ("NAGIOS_LASTSERVICESTATECHANGE", "NAGIOS_LASTSERVICEOK", "NAGIOS_TIMET"), "1795285990"
    ),
}

#: Endpoint: how the sandbox knows it. ``skip``: it is used earlier in the story, too.
ENDPOINTS: Dict[str, Dict[str, Any]] = {
    "PBX lookup": {"method": "GET", "path": "*/pbx3cx-hosts/lookup"},
    "ticket search": {"method": "GET", "path": "*/tickets/search"},
    "priorities": {"method": "GET", "path": "*/ticketing/priorities"},
    "categories": {"method": "GET", "path": "*/ticketing/categories"},
    "sub-categories": {"method": "GET", "path": "*/ticketing/sub-categories"},
    "create": {"method": "POST", "path": "*/tickets"},
    "contacts": {"method": "GET", "path": "*/contacts"},
    "associates": {"method": "PUT", "path": "*/associates"},
    "details note": {"method": "POST", "path": "*/replies"},
    "update": {"method": "PUT", "path": "*/tickets/????"},
    "change note": {"method": "POST", "path": "*/replies", "skip": 1},
    "note and close": {"method": "POST", "path": "*/replies", "skip": 2},
    "reopen": {"method": "PUT", "path": "*/tickets/open/*"},
    "recurrence note": {"method": "POST", "path": "*/replies", "skip": 3},
}

FAULTS: Dict[str, Dict[str, Any]] = {
    "reset before": {"drop": {"when": "before"}},
    "reset after": {"drop": {"when": "after"}},
    "reset midway": {"drop": {"when": "midway"}},
    "time-out before": {"hang": {"when": "before", "seconds": 600}},
    "time-out after": {"hang": {"when": "after", "seconds": 600}},
    "429": {"fail": {"status": 429}},
    "429 with Retry-After": {"fail": {"status": 429, "retry_after": 7}},
    "500": {"fail": {"status": 500}},
    "500 after": {"fail": {"status": 500, "when": "after"}},
    "502 with an HTML page": {"fail": {"status": 502, "body": "html"}},
    "503": {"fail": {"status": 503}},
    "truncated JSON": {"fail": {"body": "truncated"}},
    "wrong JSON type": {"fail": {"body": "type"}},
    "401": {"fail": {"status": 401}},
    "403": {"fail": {"status": 403}},
    "403 with an HTML page": {"fail": {"status": 403, "body": "html"}},
    "404": {"fail": {"status": 404}},
    "422": {"fail": {"status": 422}},
}


class Outcome(NamedTuple):
    """What is left in the end."""

    notes: int = 5
    contacts: Tuple[int, ...] = (88,)
    customer: int = 42
    dead: int = 0
    tickets: int = 1


#: The notes are: details, warning → critical, recovered, the problem is back, recovered.
AS_IF_NOTHING = Outcome()
LEFT_OUT = Outcome(notes=4)
NO_CONTACT = Outcome(contacts=())
#: A ticket that cannot be reopened stays closed, and another one opens: noted when it recovers.
ANOTHER_TICKET = Outcome(notes=2, tickets=2)

EXPECTED = {
    ("contacts", "403"): NO_CONTACT,
    ("associates", "403"): NO_CONTACT,
    ("details note", "403"): LEFT_OUT,
    ("details note", "422"): LEFT_OUT,
    ("change note", "403"): LEFT_OUT,
    ("change note", "422"): LEFT_OUT,
    ("note and close", "422"): LEFT_OUT,  # closed without the note
    ("reopen", "403"): ANOTHER_TICKET,
    ("reopen", "422"): ANOTHER_TICKET,
    ("recurrence note", "403"): LEFT_OUT,
    ("recurrence note", "422"): LEFT_OUT,
}


def story() -> List[Capture]:
    problem, recovery = "nagios4-service-problem", "nagios4-service-recovery"
    warning = {**NO_ACCOUNT, "NAGIOS_SERVICESTATE": "WARNING"}
    return [
        capture(problem, warning),
        capture(problem, NO_ACCOUNT),
        capture(recovery, NO_ACCOUNT),
        capture(problem, ANEW),
        capture(recovery, ANEW),
    ]


def play(site: Site) -> None:
    for event in story():
        in_child(lambda event=event: deliver(site, event))  # type: ignore[misc]
        for _ in range(3):
            if site.queued():
                in_child(lambda: drain(site))


def check(site: Site, expected: Outcome) -> None:
    *before, ticket = site.tickets
    assert not any(one["open"] for one in before)
    bodies = [reply["body"] for reply in ticket["replies"]]
    assert len(set(bodies)) == len(bodies)
    assert site.queued() == []
    left = Outcome(
        len(bodies),
        tuple(ticket["contacts"]),
        ticket["ticketable_id"],
        len(site.queued("dead")),
        len(site.tickets),
    )
    assert left == expected
    assert not ticket["open"]


@pytest.mark.short
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_one_fault(site: Site, endpoint: str, fault: str) -> None:
    ((kind, settings),) = FAULTS[fault].items()
    if kind == "hang":  # else a call that a busy machine holds up would be a second fault
        site.configure("", CONFIG.replace("api:\n", "api:\n  timeout: 2\n"))
    site.sandbox.faults(**{kind: {**ENDPOINTS[endpoint], **settings, "next": 1}})
    play(site)
    hit = site.sandbox.faults()[kind]
    assert not hit or hit[0]["next"] == 0, "the fault was never met"
    check(site, EXPECTED.get((endpoint, fault), AS_IF_NOTHING))


@pytest.mark.parametrize("down", range(5))
def test_refused_connections(site: Site, down: int) -> None:
    """Nothing listens at one of the five events."""
    good = site.config_file.read_text()
    for number, event in enumerate(story()):
        if number == down:
            site.config_file.write_text(good.replace(site.sandbox.url, "http://127.0.0.1:9/api"))
        in_child(lambda event=event: deliver(site, event))  # type: ignore[misc]
        site.config_file.write_text(good)
        in_child(lambda: drain(site))
    check(site, AS_IF_NOTHING)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_token_that_expires_is_fetched_again_once(site: Site, endpoint: str) -> None:
    password = site.folder / "password"
    password.write_text("sandbox")
    site.configure(
        "",
        CONFIG.replace(
            "  token_file: {token_file}\n",
            f"  email: noc@example.net\n  password_file: {password}\n",
        ),
    )
    site.sandbox.faults(fail={**ENDPOINTS[endpoint], "status": 401, "next": 1})
    play(site)
    check(site, AS_IF_NOTHING)


@pytest.mark.parametrize("status", [401, 503])
def test_a_fault_that_stays_loses_nothing(site: Site, status: int) -> None:
    for event in story():
        site.sandbox.faults(fail={"status": status})
        in_child(lambda event=event: deliver(site, event))  # type: ignore[misc]
        in_child(lambda: drain(site))
    assert len(site.queued()) == 5
    site.sandbox.clear_faults()
    in_child(lambda: drain(site))
    check(site, AS_IF_NOTHING)
