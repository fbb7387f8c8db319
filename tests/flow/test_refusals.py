"""One refusal is not the end: whatever refuses a call, another way to the ticket is taken (B).

Each kind of refusal once as it was met, and in two further forms; the sandbox refuses calls by what
they say (`holds`), as a firewall does that dislikes a word.
"""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List

import pytest
from inprocess import deliver, drain, in_child
from support import Site

from brtel_notify.intake.capture import Capture

DOWN = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")
UP = ("event", "--host", "acme.3cx.fr", "--state", "UP")
WORSE = (*DOWN, "--severity", "critical")
WARNING = (*DOWN, "--severity", "warning")
ACK = ("event", "--host", "acme.3cx.fr", "--kind", "acknowledgement", "--comment")

ACME, OTHER, FALLBACK = 42, 7, 1
CREATE: Dict[str, Any] = {"method": "POST", "path": "*/tickets"}
NOTE: Dict[str, Any] = {"method": "POST", "path": "*/replies"}


def play(site: Site, words: Any, flushes: int = 0) -> None:
    event = Capture("event", {}, list(words[1:]), "", time.time())
    in_child(lambda: deliver(site, event))
    for _ in range(flushes):
        in_child(lambda: drain(site))


def refuse(site: Site, *rules: Dict[str, Any], **one: Any) -> None:
    site.sandbox.faults(fail=[*rules, *([one] if one else [])])


def delivered(site: Site) -> None:
    assert site.queued() == site.queued("dead") == []


def texts(ticket: Dict[str, Any]) -> str:
    return f"{ticket['subject']} {ticket['body']} {ticket['replies']}"


def reason(site: Site) -> str:
    (path,) = site.queued("dead")
    return str(json.loads(path.read_text().splitlines()[-1])["dead"])


# --- a reopening (B1) -----------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 405, "body": "html"}])
def test_b1_a_reopening_that_fails_every_time_gives_a_new_ticket(site: Site, fault: Any) -> None:
    play(site, DOWN)
    play(site, UP)
    refuse(site, method="PUT", path="*/tickets/open/*", **fault)
    play(site, DOWN, 3)
    assert [ticket["open"] for ticket in site.tickets] == [False, True]
    assert site.tickets[0]["number"] in site.tickets[1]["body"]
    delivered(site)


# --- names (B2) -----------------------------------------------------------------------------------


def test_b2_a_team_that_is_refused_for_good_costs_no_ticket(site: Site) -> None:
    site.configure("  team: Systems\n")
    refuse(site, **CREATE, status=422, holds="'team_id': ")
    play(site, DOWN)
    assert site.the_ticket()["team_id"] is None
    assert "the ticket was opened without it" in site.the_ticket()["body"]
    delivered(site)


def test_b2_what_a_rule_sets_gives_way_to_what_every_ticket_has(site: Site) -> None:
    site.configure("rules: [{when: 'true', set: {priority: Urgent}}]\n")
    refuse(site, **CREATE, status=400, holds="'priority_id': 3")
    play(site, DOWN)
    assert site.the_ticket()["priority_id"] == 2
    delivered(site)


@pytest.mark.parametrize("holds", ["'tags'", "'estimated_resolution_date'"])
def test_b2_an_extra_that_is_refused_is_left_out(site: Site, holds: str) -> None:
    refuse(site, **CREATE, status=422, holds=holds)
    play(site, DOWN)
    assert len(site.the_ticket()["replies"]) == 1
    delivered(site)
    play(site, UP)
    assert not site.the_ticket()["open"]


# --- a customer (B3) ------------------------------------------------------------------------------

INVALID = {"message": "The selected ticketable id is invalid."}
GONE = [
    {"status": 422, "json": INVALID},
    {"status": 422, "json": {"message": "x", "errors": {"ticketable_id": ["Id inconnu."]}}},
    {"status": 400, "json": {"message": "Bad request: this customer is archived."}},
    {"status": 404},
]


@pytest.mark.parametrize("fault", GONE)
def test_b3_a_customer_that_is_gone_is_looked_up_again(site: Site, fault: Any) -> None:
    play(site, (*DOWN, "--service", "x"))  # the owner is remembered
    hosts = site.sandbox.data()["pbx_hosts"]
    for host in hosts:
        host["customers"] = [OTHER if each == ACME else each for each in host["customers"]]
    site.sandbox.seed(pbx_hosts=hosts)
    refuse(site, **CREATE, holds=f"'ticketable_id': {ACME}", **fault)
    play(site, DOWN, 1)
    assert site.tickets[-1]["ticketable_id"] == OTHER
    delivered(site)


@pytest.mark.parametrize("fault", GONE)
def test_b3_what_is_refused_for_its_own_customer_goes_to_the_fallback(
    site: Site, fault: Any
) -> None:
    refuse(site, **CREATE, holds=f"'ticketable_id': {ACME}", **fault)
    play(site, DOWN, 3)
    assert site.the_ticket()["ticketable_id"] == FALLBACK
    delivered(site)
    play(site, UP)
    assert not site.the_ticket()["open"]


@pytest.mark.short
def test_b3_without_a_fallback_the_reason_tells_all_that_was_tried(site: Site) -> None:
    site.put_configuration(site.config_file.read_text().replace("CL000001", "null"))
    refuse(site, **CREATE, status=422, json=INVALID)
    play(site, DOWN, 3)
    assert "takes no ticket for customer 42, also after it was looked up again" in reason(site)


# --- a note (B4) ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        *({"status": status} for status in (403, 404, 422, 500)),
        {"status": 405, "body": "html"},
        {"status": 600, "body": "html"},
        {"status": 200, "body": "type"},
    ],
)
def test_b4_a_recovery_whose_note_is_refused_every_time_closes_the_ticket(
    site: Site, fault: Any
) -> None:
    play(site, DOWN)
    refuse(site, **NOTE, **fault)
    play(site, UP, 6)
    assert not site.the_ticket()["open"]
    delivered(site)


@pytest.mark.short
def test_b4_a_closing_that_is_refused_is_asked_for_in_another_way(site: Site) -> None:
    play(site, DOWN)
    close = {"method": "PUT", "path": "*/tickets/close/*"}
    refuse(site, {**NOTE, "status": 422}, {**close, "status": 403})
    play(site, UP)
    assert not site.the_ticket()["open"]
    delivered(site)


def test_b4_the_details_that_are_refused_every_time_are_left_out(site: Site) -> None:
    refuse(site, **NOTE, status=500)
    play(site, DOWN, 6)
    assert site.the_ticket()["replies"] == []
    delivered(site)


# --- characters (B5) ------------------------------------------------------------------------------

FIRE = "\N{FIRE}"
STRING_VALUE = {"message": "SQLSTATE[HY000]: General error: 1366 Incorrect string value"}


@pytest.mark.short
def test_b5_a_character_of_four_bytes_that_is_a_500_is_sent_without(site: Site) -> None:
    refuse(site, status=500, json=STRING_VALUE, holds=FIRE)
    play(site, (*DOWN, "--output", f"{FIRE} the rack is warm"), 3)
    ticket = site.the_ticket()
    assert "\N{REPLACEMENT CHARACTER} the rack is warm" in ticket["body"]
    assert len(ticket["replies"]) == 0
    play(site, (*UP, "--output", f"all is well {FIRE}"))
    for _ in range(6):
        in_child(lambda: drain(site))
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert "all is well" in texts(ticket)
    delivered(site)


@pytest.mark.parametrize("where", ["--service", "--var"])
def test_b5_wherever_the_character_stands(site: Site, where: str) -> None:
    value = f"TICKET_TAGS=a{FIRE}" if where == "--var" else f"rack {FIRE}"
    refuse(site, {**CREATE, "status": 500, "json": STRING_VALUE, "holds": FIRE})
    play(site, (*DOWN, where, value), 3)
    assert site.the_ticket()["open"]
    delivered(site)


def test_b5_another_500_every_time_is_told_in_fewer_words_in_the_end(site: Site) -> None:
    refuse(site, **CREATE, status=500, holds="too long")
    play(site, (*DOWN, "--output", "too long"), 8)
    ticket = site.the_ticket()
    assert "own text is left out" in ticket["body"]
    delivered(site)


def test_b5_a_few_500s_cost_no_word(site: Site) -> None:
    refuse(site, **CREATE, status=500, next=2)
    play(site, (*DOWN, "--output", f"{FIRE} warm"), 3)
    assert f"{FIRE} warm" in site.the_ticket()["body"]


# --- a firewall (B6) ------------------------------------------------------------------------------

WORD = "UNION SELECT"


@pytest.mark.parametrize("status", [400, 403, 405, 413, 423, 451, 600])
def test_b6_a_firewall_that_dislikes_a_word_costs_the_text_only(site: Site, status: int) -> None:
    refuse(site, status=status, body="html", holds=WORD)
    play(site, (*DOWN, "--output", f"{WORD} password"), 2)
    ticket = site.the_ticket()
    assert "own text is left out" in ticket["body"]
    assert ticket["subject"] == "DOWN: acme.3cx.fr"
    for _ in range(3):
        in_child(lambda: drain(site))  # the note with its details
    delivered(site)
    play(site, UP)
    assert not site.the_ticket()["open"]


@pytest.mark.parametrize(
    "words",
    [
        (*DOWN, "--service", WORD),
        ("event", "--host", WORD, "--state", "DOWN"),
        (*DOWN, "--var", f"TICKET_TAGS={WORD}"),
    ],
)
@pytest.mark.parametrize("status", [403, 413])
def test_b6_wherever_the_word_stands(site: Site, words: Any, status: int) -> None:
    body = "json" if status == 403 else "html"  # a gateway's 403 may be JSON
    refuse(site, **CREATE, status=status, body=body, holds=WORD)
    in_child(lambda: deliver(site, Capture("event", {}, list(words[1:]), "", time.time())))
    for _ in range(3):
        in_child(lambda: drain(site))
    assert site.the_ticket()["open"]


def test_b6_a_host_whose_name_is_disliked_belongs_to_the_fallback(site: Site) -> None:
    refuse(site, status=403, body="html", holds=WORD)
    play(site, ("event", "--host", WORD, "--state", "DOWN"), 8)
    assert site.the_ticket()["ticketable_id"] == FALLBACK


@pytest.mark.parametrize("body", ["html", "empty"])
def test_b6_a_firewall_that_lets_nothing_pass_costs_no_word(site: Site, body: str) -> None:
    refuse(site, status=403, body=body, method="POST,PUT")
    play(site, (*DOWN, "--output", "the rack is warm"), 5)
    assert site.tickets == []
    site.sandbox.clear_faults()
    in_child(lambda: drain(site))
    assert "the rack is warm" in site.the_ticket()["body"]
    refuse(site, status=403, body=body)
    play(site, (*UP, "--output", "it is cool"), 5)
    site.sandbox.clear_faults()
    in_child(lambda: drain(site))
    assert "it is cool" in texts(site.the_ticket())
    assert not site.the_ticket()["open"]
    delivered(site)


def test_b6_a_firewall_that_lets_no_put_pass_holds_nothing_up(site: Site) -> None:
    refuse(site, method="PUT", status=405, body="html")
    play(site, WARNING, 3)
    ticket = site.the_ticket()
    assert len(ticket["replies"]) == 1
    assert ticket["contacts"] == []
    play(site, WORSE, 3)
    play(site, UP)
    assert not site.the_ticket()["open"]
    delivered(site)


def test_b6_an_acknowledgement_with_such_a_word_is_told_without_it(site: Site) -> None:
    play(site, DOWN)
    refuse(site, **NOTE, status=403, body="html", holds=WORD)
    play(site, (*ACK, WORD), 3)
    assert "own text is left out" in site.the_ticket()["replies"][-1]["body"]
    play(site, UP)
    assert not site.the_ticket()["open"]
    delivered(site)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_b6_a_template_of_ones_own_is_not_used_then(site: Site, language: str) -> None:
    own = site.folder / "templates"
    own.mkdir()
    (own / "body.j2").write_text(f"{WORD} {{{{ output }}}}")
    site.configure(f"language: {language}\ntemplates: {own}\n")
    refuse(site, **CREATE, status=403, body="html", holds=WORD)
    play(site, DOWN, 2)
    words = {"en": "own text is left out", "fr": "texte de l'alerte est omis"}
    assert words[language] in site.the_ticket()["body"]


# --- a look ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500])
def test_a_search_that_is_refused_gives_way_to_the_list_of_the_customers_tickets(
    site: Site, status: int
) -> None:
    play(site, DOWN)
    (site.state_dir / "state.json").unlink()
    refuse(site, method="GET", path="*/tickets/search", status=status)
    play(site, DOWN, 2)
    assert len(site.the_ticket()["replies"]) == 2
    delivered(site)
    (site.state_dir / "state.json").unlink()
    play(site, UP, 2)
    assert not site.the_ticket()["open"]


@pytest.mark.parametrize("status", [404, 422, 500])
def test_a_problem_gets_its_ticket_though_nothing_can_be_searched(site: Site, status: int) -> None:
    refuse(
        site,
        {"method": "GET", "path": "*/tickets/search", "status": status},
        {"method": "GET", "path": "*/tickets", "status": status},
    )
    play(site, DOWN, 5)
    assert site.the_ticket()["contacts"] == [88]
    delivered(site)


def an_hour_passes(site: Site) -> None:
    path = site.state_dir / "state.json"
    state = json.loads(path.read_text())
    for entry in state["tickets"].values():
        entry["opened_at"] = entry["checked_at"] = "2026-01-01T00:00:00Z"
    path.write_text(json.dumps(state))


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 500}, {"status": 410}])
def test_a_look_that_is_refused_buries_no_problem(site: Site, fault: Any) -> None:
    play(site, DOWN)
    an_hour_passes(site)
    refuse(site, method="GET", path="*/tickets/????", **fault)
    play(site, DOWN, 3)
    delivered(site)
    play(site, UP)
    assert not site.the_ticket()["open"]


def test_a_date_that_is_refused_does_not_keep_the_priority_down(site: Site) -> None:
    site.configure("severities: {critical: {priority: Urgent}, warning: {priority: Low}}\n")
    play(site, WARNING)
    refuse(site, method="PUT", path="*/tickets/????", status=422, holds="estimated_resolution_date")
    play(site, WORSE)
    assert site.the_ticket()["priority_id"] == 3
    delivered(site)


# --- what ends in dead/ ---------------------------------------------------------------------------


def test_the_reason_of_what_is_given_up_tells_all_that_was_tried(site: Site) -> None:
    refuse(site, **CREATE, status=422)
    play(site, DOWN)
    said = reason(site)
    for way in ("as it is", "with what is mandatory only", "without the alert's own text"):
        assert way in said
    calls: List[str] = site.calls()
    assert calls.count("POST /v1/tickets") == 5


def test_what_an_operator_puts_back_is_tried_like_a_new_one(site: Site) -> None:
    play(site, DOWN)
    refuse(site, **NOTE, status=403, body="html")
    play(site, (*ACK, "seen"), 6)
    assert "refused 6 times" in reason(site)
    refuse(site, **NOTE, status=403, body="html", next=2)
    site.run("queue", "retry", "--all")
    in_child(lambda: drain(site))
    in_child(lambda: drain(site))
    assert "seen" in site.the_ticket()["replies"][-1]["body"]


@pytest.mark.parametrize("kind", ["RECOVERY", "FLAPPINGSTOP", "DOWNTIMEEND"])
@pytest.mark.parametrize("status", [422, 500])
def test_b4_an_end_whose_note_is_refused_is_an_end(site: Site, kind: str, status: int) -> None:
    """One of two on a host's ticket is well by the end of its flapping, too (seen in a soak)."""
    site.configure("  group_by: host\n")
    for service in ("ssh", "http"):
        nagios(site, "PROBLEM", service)
    refuse(site, **NOTE, status=status)
    nagios(site, kind, "ssh", flushes=6)
    site.sandbox.clear_faults()
    nagios(site, "RECOVERY", "http")
    assert not site.the_ticket()["open"]
    delivered(site)


def nagios(site: Site, kind: str, service: str, flushes: int = 0) -> None:
    """A notification about a SERVICE of one host."""
    macros = {
        "NOTIFICATIONTYPE": kind,
        "HOSTNAME": "acme.3cx.fr",
        "SERVICEDESC": service,
        "SERVICESTATE": "CRITICAL" if kind == "PROBLEM" else "OK",
    }
    env = {f"NAGIOS_{name}": value for name, value in macros.items()}
    in_child(lambda: deliver(site, Capture("nagios", env, [], "", time.time())))
    for _ in range(flushes):
        in_child(lambda: drain(site))
