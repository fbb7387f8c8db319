"""Only BlueRockTEL's own word is believed, and one refusal is not the end.

A 404 may come from a wrong api.url, a tenant that is not found, a deployment half done; a 403 from
a firewall. What is there stays there, whatever such an answer says; what BlueRockTEL itself refuses
has a next way.
"""

from __future__ import annotations

import json
import shutil
import time
from typing import Any, Dict, List

import pytest
from inprocess import deliver, drain, in_child
from support import Site

from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Queue

DOWN = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")
UP = ("event", "--host", "acme.3cx.fr", "--state", "UP")
WORSE = (*DOWN, "--severity", "critical")
WARNING = (*DOWN, "--severity", "warning")

ACME, FALLBACK = 42, 1
#: A 404 in two of its disguises; one in HTML was never taken for the API's.
BODIES = ["json", "empty"]
#: So many calls in a row are answered so.
TIMES = [1, 2, 3, 4, None]


def play(site: Site, words: Any) -> None:
    """What the notification command of WORDS does, without its start-up."""
    event = Capture("event", {}, list(words[1:]), "", time.time())
    in_child(lambda: deliver(site, event))


def flush(site: Site) -> None:
    in_child(lambda: drain(site))


def once_more(site: Site) -> None:
    """All is well again, and everything that waits is delivered."""
    site.sandbox.clear_faults()
    flush(site)
    assert site.queued() == site.queued("dead") == []


def not_found(site: Site, times: Any, body: str, **more: Any) -> None:
    site.sandbox.faults(fail={"status": 404, "next": times, "body": body, **more})


# --- a ticket that is there (C1) ------------------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("times", TIMES)
def test_a_recovery_closes_its_ticket_whatever_answers_404_meanwhile(
    site: Site, times: Any, body: str
) -> None:
    play(site, DOWN)
    not_found(site, times, body)
    play(site, UP)
    once_more(site)
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert len(ticket["replies"]) == 2


@pytest.mark.short
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("closed", [False, True])
def test_a_problem_opens_no_second_ticket_whatever_answers_404_meanwhile(
    site: Site, times: Any, body: str, closed: bool
) -> None:
    """One that gets worse, and one that returns."""
    play(site, WARNING)
    if closed:
        play(site, UP)
    not_found(site, times, body)
    play(site, WORSE)
    once_more(site)
    assert site.the_ticket()["open"]
    play(site, UP)
    assert not site.the_ticket()["open"]


@pytest.mark.parametrize("body", BODIES)
def test_the_calls_for_one_ticket_are_404_and_a_search_shows_it(site: Site, body: str) -> None:
    """A deployment half done: some routes are there."""
    play(site, DOWN)
    number = site.the_ticket()["id"]
    site.sandbox.faults(
        fail=[
            {"status": 404, "body": body, "path": f"*/tickets/{number}"},
            {"status": 404, "body": body, "path": "*/replies"},
        ]
    )
    for _ in range(2):
        play(site, UP)
        flush(site)
    assert site.state  # it is not forgotten
    once_more(site)
    assert not site.the_ticket()["open"]


def test_no_command_says_that_a_ticket_is_gone_while_everything_is_404(site: Site) -> None:
    play(site, DOWN)
    not_found(site, None, "json")
    done = site.run("ticket", site.the_ticket()["number"], "show", code=None)
    assert done.returncode
    assert "is api.url right" in done.stderr
    assert "any more" not in done.stderr


def test_a_note_that_is_refused_with_404_for_good_does_not_keep_the_ticket_open(
    site: Site,
) -> None:
    play(site, DOWN)
    not_found(site, None, "json", method="POST", path="*/replies")
    play(site, UP)
    for _ in range(3):
        flush(site)
    assert not site.the_ticket()["open"]
    assert site.queued() == site.queued("dead") == []


def outage(site: Site) -> None:
    """Attempts that have nothing to do with the event."""
    site.sandbox.faults(fail={"status": 503})
    for _ in range(4):
        flush(site)


@pytest.mark.parametrize("path", ["*/replies", "*/tickets/close/*", "*/tickets/open/*"])
@pytest.mark.parametrize("group_by", ["alert", "host"])
def test_after_an_outage_one_404_is_not_the_last_word(site: Site, path: str, group_by: str) -> None:
    site.configure(f"  group_by: {group_by}\n")
    play(site, DOWN)
    play(site, (*DOWN, "--service", "x"))
    play(site, (*UP, "--service", "x"))
    site.sandbox.faults(fail={"status": 503})
    play(site, UP)
    outage(site)
    not_found(site, 1, "json", path=path)
    flush(site)
    once_more(site)
    assert not any(ticket["open"] for ticket in site.tickets)
    assert all("recovered" in str(ticket["replies"]).lower() for ticket in site.tickets)
    site.sandbox.faults(fail={"status": 503})
    play(site, DOWN)
    outage(site)
    not_found(site, 1, "json", path=path)
    flush(site)
    once_more(site)
    assert [ticket["open"] for ticket in site.tickets].count(True) == 1
    assert len(site.tickets) == (1 if group_by == "host" else 2)


@pytest.mark.parametrize("status", [404, 422])
def test_a_note_that_is_refused_for_good_leaves_the_map_true(site: Site, status: int) -> None:
    """Of two alerts that share a ticket, the note on the one's recovery is refused."""
    site.configure("  group_by: host\n")
    play(site, DOWN)
    play(site, (*DOWN, "--service", "x"))
    site.sandbox.faults(fail={"status": status, "path": "*/replies", "method": "POST"})
    play(site, UP)
    for _ in range(3):
        flush(site)
    once_more(site)
    assert site.the_ticket()["open"]
    play(site, (*UP, "--service", "x"))
    assert not site.the_ticket()["open"]


@pytest.mark.parametrize("status", [404, 409])
def test_closing_without_the_note_is_judged_like_any_call(site: Site, status: int) -> None:
    play(site, DOWN)
    site.sandbox.faults(
        fail=[
            {"status": 422, "path": "*/replies", "method": "POST"},
            {"status": status, "path": "*/tickets/close/*", "next": 2},
        ]
    )
    play(site, UP)
    for _ in range(2):
        flush(site)
    assert not site.the_ticket()["open"]
    assert site.queued() == site.queued("dead") == []


def test_a_ticket_whose_text_a_person_edited_is_found_by_its_number(site: Site) -> None:
    play(site, DOWN)
    ticket = site.the_ticket()
    site.sandbox.seed(tickets=[{**ticket, "body": "<p>edited</p>"}])
    not_found(site, None, "json", path=f"*/tickets/{ticket['id']}")
    site.sandbox.faults(
        fail=[
            {"status": 404, "path": f"*/tickets/{ticket['id']}"},
            {"status": 404, "path": "*/replies"},
        ]
    )
    play(site, UP)
    once_more(site)
    assert not site.the_ticket()["open"]


# --- a customer that is there (C2) ----------------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("lookup", ["pbx", "account", "search"])
def test_the_owner_gets_the_ticket_whatever_answers_404_meanwhile(
    site: Site, times: Any, body: str, lookup: str
) -> None:
    value = {"pbx": "{{ host }}", "account": "CL2385", "search": "Acme Telecom SAS"}[lookup]
    base = site.config_file.read_text().replace(
        "customer:\n", f'customer:\n  lookup: [{{{lookup}: "{value}"}}]\n'
    )
    site.put_configuration(base)
    not_found(site, times, body)
    play(site, DOWN)
    once_more(site)
    assert site.the_ticket()["ticketable_id"] == ACME


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_nobody_owns_it_is_not_believed_while_everything_is_refused(
    site: Site, status: int
) -> None:
    site.put_configuration(site.config_file.read_text().replace("CL000001", "null"))
    site.sandbox.faults(fail={"status": status})
    play(site, DOWN)
    once_more(site)
    assert site.the_ticket()["ticketable_id"] == ACME


@pytest.mark.parametrize("status", [400, 403, 405, 413, 423])
@pytest.mark.parametrize("body", ["html", "empty"])
def test_a_firewall_says_nothing_about_the_owner(site: Site, status: int, body: str) -> None:
    site.sandbox.faults(fail={"status": status, "body": body, "path": "*/lookup"})
    said = site.run(*DOWN).stdout
    assert said.startswith("queued: ")
    assert "firewall" in said
    assert site.tickets == []
    once_more(site)
    assert site.the_ticket()["ticketable_id"] == ACME


def test_that_nobody_owns_it_is_believed_of_blue_rock_tel_itself(site: Site) -> None:
    site.configure("")
    site.run("event", "--host", "nobody.example.net", "--state", "DOWN")
    assert site.the_ticket()["ticketable_id"] == FALLBACK
    site.calls()
    site.run("event", "--host", "nobody.example.net", "--service", "x", "--state", "DOWN")
    assert not [call for call in site.calls() if "pbx3cx" in call]  # and remembered


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_404_where_the_ticket_is_made_does_not_give_the_alert_up(site: Site, times: int) -> None:
    not_found(site, times, "json", method="POST", path="*/tickets")
    play(site, DOWN)
    site.sandbox.clear_faults()
    once_more(site)
    assert site.the_ticket()["ticketable_id"] == ACME


@pytest.mark.parametrize("status", [400, 402, 404, 409, 410, 422, 451])
@pytest.mark.parametrize("words", [WARNING, UP], ids=["problem", "recovery"])
def test_nothing_is_given_up_while_everything_is_refused(
    site: Site, status: int, words: Any
) -> None:
    """A gateway that speaks JSON: an account is suspended, a tenant is not there."""
    play(site, WORSE)
    site.sandbox.faults(fail={"status": status})
    for _ in range(2):
        play(site, words)
        play(site, (*words, "--service", "x"))
        flush(site)
    assert site.queued("dead") == []
    once_more(site)
    assert all(ticket["open"] == (words is WARNING) for ticket in site.tickets)
    assert len(site.tickets[0]["replies"]) == 2  # and no note is left out


# --- a reopening that is refused (B1) -------------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422])
@pytest.mark.parametrize("how", ["returned", "map lost", "closed by hand"])
def test_a_reopening_that_is_refused_gives_the_problem_a_new_ticket(
    site: Site, status: int, how: str
) -> None:
    site.configure(
        "lifecycle: {on_closed_by_hand: reopen}\nlanguage: en\n"
        "severities: {warning: {priority: Low}}\n"
    )
    play(site, WARNING)
    old = site.the_ticket()
    if how == "closed by hand":
        site.run("ticket", str(old["id"]), "close")
    else:
        play(site, UP)
    if how == "map lost":
        (site.state_dir / "state.json").unlink()
    site.sandbox.faults(fail={"status": status, "method": "PUT", "path": "*/tickets/open/*"})
    for _ in range(4):  # a 404 is asked again before it is believed
        play(site, WORSE)
        flush(site)
    assert site.queued() == site.queued("dead") == []
    assert [ticket["open"] for ticket in site.tickets] == [False, True]
    new = site.tickets[1]
    assert old["number"] in new["body"]
    assert new["contacts"] == [88]
    assert len(new["replies"]) == 1
    play(site, UP)
    assert [ticket["open"] for ticket in site.tickets] == [False, False]


@pytest.mark.parametrize("status", [403, 405])
def test_a_reopening_that_a_firewall_refuses_is_tried_again_then_opened_anew(
    site: Site, status: int
) -> None:
    play(site, DOWN)
    play(site, UP)
    site.sandbox.faults(fail={"status": status, "body": "html", "path": "*/tickets/open/*"})
    play(site, DOWN)
    assert len(site.tickets) == 1  # it may be over soon
    for _ in range(2):
        flush(site)
    assert [ticket["open"] for ticket in site.tickets] == [False, True]


def test_a_ticket_that_somebody_reopened_meanwhile_is_joined(site: Site) -> None:
    play(site, DOWN)
    play(site, UP)
    site.sandbox.faults(fail={"status": 409, "method": "PUT", "path": "*/tickets/open/*"})
    ticket = site.the_ticket()
    plain = {"id": ticket["id"], "open": True, "closed_at": None}
    site.sandbox.seed(tickets=[{**ticket, **plain}])
    play(site, DOWN)
    assert site.the_ticket()["open"]


def test_a_reopening_whose_answer_was_lost_leaves_no_ticket_open(site: Site) -> None:
    """Until it is tried again, the map has forgotten the closed ticket."""
    site.configure("  group_by: host\n")
    play(site, DOWN)
    play(site, UP)
    site.sandbox.faults(fail={"path": "*/tickets/open/*", "body": "truncated", "next": 1})
    play(site, DOWN)
    assert len(site.queued()) == 1
    (site.state_dir / "state.json").unlink()
    once_more(site)
    assert site.the_ticket()["open"]
    play(site, UP)
    assert not site.the_ticket()["open"]


def test_after_a_refused_reopening_the_search_is_made_anew(site: Site) -> None:
    """Another monitoring server may open the ticket while ours cannot."""
    play(site, DOWN)
    play(site, UP)
    site.sandbox.faults(
        fail=[
            {"status": 422, "method": "PUT", "path": "*/tickets/open/*"},
            {"status": 429, "method": "POST", "path": "*/tickets", "next": 1},
        ]
    )
    play(site, DOWN)
    old = site.the_ticket()
    site.sandbox.seed(tickets=[{**old, "id": 5000, "number": "OTHER1", "open": True}])
    flush(site)
    assert [ticket["open"] for ticket in site.tickets] == [False, True]
    assert site.queued() == []


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_new_ticket_reads_well(site: Site, language: str) -> None:
    site.configure(f"language: {language}\n")
    play(site, DOWN)
    play(site, UP)
    site.sandbox.faults(fail={"status": 422, "method": "PUT", "path": "*/tickets/open/*"})
    assert "could not be reopened" in site.run(*DOWN).stdout
    old, new = site.tickets
    words = {
        "en": f"Ticket {old['number']} could not be reopened, so this one was opened.",
        "fr": f"Le ticket {old['number']} n'a pas pu être rouvert",
    }
    assert words[language] in new["body"]


# --- ids made anew under their old names (B2) -----------------------------------------------------


def made_anew(site: Site, collection: str, name: str) -> int:
    """Take what is called NAME out of BlueRockTEL, and make it again; its new id."""
    rows: List[Dict[str, Any]] = site.sandbox.data()[collection]
    (old,) = [row for row in rows if row["name"] == name]
    new = 700 + int(old["id"])
    others = [row for row in rows if row is not old]
    site.sandbox.seed(replace=True, **{collection: [*others, {**old, "id": new}]})
    return new


ANEW = {
    "priority_id": ("priorities", "High"),
    "ticket_sub_category_id": ("sub_categories", "PBX / 3CX"),
    "team_id": ("support_teams", "Systems"),
}


@pytest.mark.parametrize("field", ANEW)
def test_an_id_made_anew_under_its_old_name_is_asked_for_again(site: Site, field: str) -> None:
    site.configure("  team: Systems\n")
    play(site, DOWN)
    new = made_anew(site, *ANEW[field])
    play(site, (*DOWN, "--service", "x"))
    ticket = site.tickets[-1]
    assert ticket[field] == new
    assert site.queued("dead") == []
    site.calls()
    play(site, (*DOWN, "--service", "y"))  # and remembered
    assert not [call for call in site.calls() if "/ticketing/" in call]


def test_a_category_made_anew_takes_its_sub_categories_along(site: Site) -> None:
    play(site, DOWN)
    new = made_anew(site, "categories", "Infrastructure")
    rows = site.sandbox.data()["sub_categories"]
    moved = [
        {**row, "ticket_category_id": new if row["ticket_category_id"] == 5 else 5 - 1}
        for row in rows
    ]
    site.sandbox.seed(sub_categories=moved)
    play(site, (*DOWN, "--service", "x"))
    assert site.tickets[-1]["ticket_category_id"] == new


def test_a_priority_made_anew_is_raised_all_the_same(site: Site) -> None:
    site.configure("severities: {critical: {priority: Urgent}, warning: {priority: Low}}\n")
    play(site, (*WARNING, "--service", "x"))
    play(site, WORSE)  # the names are known now
    new = made_anew(site, "priorities", "Urgent")
    play(site, (*WORSE, "--service", "x"))
    assert site.tickets[0]["priority_id"] == new


def test_a_ticket_that_was_made_and_then_refused_is_not_made_twice(site: Site) -> None:
    site.sandbox.faults(
        fail={"status": 422, "method": "POST", "path": "*/tickets", "when": "after", "next": 1}
    )
    play(site, DOWN)
    once_more(site)
    ticket = site.the_ticket()
    assert ticket["contacts"] == [88]
    assert len(ticket["replies"]) == 1


def test_a_name_that_is_no_more_does_not_hold_up_what_needs_none(site: Site) -> None:
    site.configure("severities: {warning: {priority: Low}}\n")
    play(site, WARNING)
    play(site, (*WORSE, "--service", "x"))  # the names are known now
    rows = [row for row in site.sandbox.data()["priorities"] if row["name"] != "High"]
    site.sandbox.seed(replace=True, priorities=rows)
    play(site, WORSE)
    play(site, UP)
    assert site.queued() == site.queued("dead") == []
    assert not site.tickets[0]["open"]
    assert len(site.tickets[0]["replies"]) == 3


def test_who_may_not_list_priorities_gets_tickets_all_the_same(site: Site) -> None:
    text = site.config_file.read_text()
    for name, number in {"High": 2, "Infrastructure": 5, "PBX / 3CX": 12}.items():
        text = text.replace(f": {name}\n", f": {number}\n")
    site.put_configuration(text)
    site.sandbox.faults(fail={"status": 403, "path": "*/ticketing/priorities"})
    play(site, ("event", "--host", "nobody.example.net", "--state", "DOWN"))
    assert site.the_ticket()["ticketable_id"] == FALLBACK


def test_a_ticket_that_is_refused_for_its_own_sake_is_kept(site: Site) -> None:
    site.sandbox.faults(fail={"status": 422, "method": "POST", "path": "*/tickets"})
    site.run(*DOWN, code=65)
    assert site.calls().count("POST /v1/tickets") > 2
    assert len(site.queued("dead")) == 1


# --- a miss that is a success (C3) ----------------------------------------------------------------

MISSES = [
    {"response": "Customer not found"},
    {"message": "No customer found."},
    {"error": "The PBX host does not exist"},
    {"response": "Aucun client trouvé"},
    {"success": False, "message": "Client introuvable"},
    {"found": 0},
    {"data": None},
    {"data": []},
]


@pytest.mark.parametrize("answer", MISSES, ids=map(str, MISSES))
@pytest.mark.parametrize("lookup", ["account", "pbx"])
def test_c3_a_miss_that_is_a_success(site: Site, lookup: str, answer: Any) -> None:
    text = site.config_file.read_text()
    value = {"pbx": "{{ host }}", "account": "CL9999"}[lookup]
    site.put_configuration(
        text.replace("customer:\n", f'customer:\n  lookup: [{{{lookup}: "{value}"}}]\n')
    )
    path = {"account": "*/customers/lookup", "pbx": "*/pbx3cx-hosts/lookup"}[lookup]
    site.sandbox.faults(
        fail={"path": path, "status": 200, "json": answer, "holds": value.replace("{{ host }}", "")}
    )
    play(site, DOWN)
    assert site.the_ticket()["ticketable_id"] == FALLBACK


# --- a ticket that only quotes ours (C4) ----------------------------------------------------------

MAIL = {"origin": "email", "author_type": "App\\Contact", "author_id": 88, "tags": None}
#: What a person opens, and how it differs from ours.
THEIRS: Dict[str, Dict[str, Any]] = {
    "a mail that was answered": MAIL,
    "a mail, all that is said of it": {"origin": "email", "author_id": None, "tags": None},
    "a colleague's": {"author_id": 2, "tags": None},
    "its quote with marks": {"marks": True},
    "in the midst of a text": {"behind": "<p>Is this over?</p>"},
    "in a sentence": {"sentence": True},
}


def persons(site: Site, how: str, **more: Any) -> None:
    """A person's ticket that quotes the one there is, whole."""
    ours = site.tickets[0]
    changed = dict(THEIRS[how])
    body = f"<p>Hello, about this:</p>{ours['body']}"
    if changed.pop("marks", False):
        body = body.replace("<p>", "<p>&gt; ")
    if changed.pop("sentence", False):
        number = ours["body"].rpartition("BN-")[2][:12]
        body = f"<p>What has become of BN-{number}</p>"
    body += changed.pop("behind", "")
    plain = {"id": 5000, "number": "THEIRS", "open": True, "closed_at": None, "replies": []}
    site.sandbox.seed(tickets=[{**ours, **plain, "body": body, **changed, **more}])


@pytest.mark.parametrize("how", THEIRS)
@pytest.mark.parametrize("adopt", ["ours", "any"])
def test_c4_a_persons_ticket_that_quotes_ours_is_a_persons(
    site: Site, how: str, adopt: str
) -> None:
    site.configure(f"  adopt: {adopt}\nlifecycle: {{reopen_within: 0s}}\n")
    play(site, DOWN)
    play(site, UP)
    (site.state_dir / "state.json").unlink()
    persons(site, how)
    play(site, DOWN)
    play(site, UP)
    found = {ticket["number"]: ticket for ticket in site.tickets}
    assert found["THEIRS"]["open"]
    assert len(found["THEIRS"]["replies"]) == (2 if adopt == "any" else 0)


@pytest.mark.parametrize("how", THEIRS)
def test_c4_a_recovery_whose_map_was_lost_closes_no_persons_ticket(site: Site, how: str) -> None:
    play(site, DOWN)
    persons(site, how)
    (site.state_dir / "state.json").unlink()
    play(site, UP)
    ours, theirs = site.tickets
    assert not ours["open"]
    assert theirs["open"]
    assert theirs["replies"] == []


@pytest.mark.parametrize("how", THEIRS)
@pytest.mark.parametrize("known", [False, True], ids=["map lost", "map kept"])
def test_c4_who_we_are_is_seen_by_what_is_ours_for_certain(
    site: Site, how: str, known: bool
) -> None:
    """What was learned of our own user is lost; ours has its tags, or the map names it."""
    site.configure("lifecycle: {reopen_within: 1h}\n")
    play(site, DOWN)
    play(site, UP)
    persons(site, how)
    shutil.rmtree(site.state_dir / "cache")
    if known:
        site.sandbox.seed(tickets=[{**site.tickets[0], "tags": None}])
        site.sandbox.faults(fail={"path": "*/tickets/open/*", "status": 422})
    else:
        (site.state_dir / "state.json").unlink()
    play(site, DOWN)
    theirs = next(ticket for ticket in site.tickets if ticket["number"] == "THEIRS")
    assert theirs["replies"] == []
    assert len(site.tickets) == (3 if known else 2)


CHANGED: List[Dict[str, Any]] = [
    {"tags": None},
    {"tags": '["done"]'},
    {"assignee_id": 2, "tags": None, "team_id": 1},
    {"origin": "admin", "author_id": 2, "tags": '["auto"]'},
]


@pytest.mark.parametrize("changed", CHANGED, ids=map(str, CHANGED))
@pytest.mark.parametrize("lost", [False, True])
def test_c4_ours_stays_ours_whatever_the_desk_changes(
    site: Site, changed: Dict[str, Any], lost: bool
) -> None:
    play(site, WARNING)
    site.sandbox.seed(tickets=[{**site.the_ticket(), **changed}])
    if lost:
        (site.state_dir / "state.json").unlink()
    play(site, WORSE)
    assert site.the_ticket()["open"]
    play(site, UP)
    assert not site.the_ticket()["open"]


def test_c4_ours_is_found_by_a_machine_that_knows_nothing(site: Site) -> None:
    """Without any of our tags, as the desk left it: by its author's word, and its origin."""
    play(site, DOWN)
    site.sandbox.seed(tickets=[{**site.the_ticket(), "tags": None}])
    site.state_dir = site.folder / "second"
    play(site, DOWN)
    play(site, UP)
    assert not site.the_ticket()["open"]


# --- who closed it --------------------------------------------------------------------------------


def an_hour_passes(site: Site) -> None:
    path = site.state_dir / "state.json"
    state = json.loads(path.read_text())
    for entry in state["tickets"].values():
        entry["opened_at"] = entry["checked_at"] = "2026-01-01T00:00:00Z"
    path.write_text(json.dumps(state))


@pytest.mark.parametrize("words", [WARNING, WORSE])
@pytest.mark.parametrize("wanted", ["new", "ignore", "reopen"])
def test_what_another_server_closed_with_the_recovery_is_reopened(
    site: Site, words: Any, wanted: str
) -> None:
    site.configure(f"lifecycle: {{on_closed_by_hand: {wanted}}}\n")
    first = site.state_dir
    play(site, WARNING)
    site.state_dir = site.folder / "second"
    play(site, WARNING)
    play(site, UP)
    site.state_dir = first
    an_hour_passes(site)
    play(site, words)
    ticket = site.the_ticket()
    assert ticket["open"]
    play(site, UP)
    assert not site.the_ticket()["open"]


def test_what_another_server_closed_long_ago_gets_a_new_ticket(site: Site) -> None:
    site.configure("lifecycle: {on_closed_by_hand: ignore, reopen_within: 0s}\n")
    first = site.state_dir
    play(site, WARNING)
    site.state_dir = site.folder / "second"
    play(site, WARNING)
    play(site, UP)
    site.state_dir = first
    play(site, WORSE)
    assert [ticket["open"] for ticket in site.tickets] == [False, True]


@pytest.mark.parametrize("replied", [False, True])
def test_what_a_person_closed_is_theirs_whoever_wrote_last(site: Site, replied: bool) -> None:
    site.configure("lifecycle: {on_closed_by_hand: ignore}\n")
    play(site, WARNING)
    words = ["note", "I see to it"] if replied else ["show"]
    site.run("ticket", str(site.the_ticket()["id"]), *words)
    site.run("ticket", str(site.the_ticket()["id"]), "close")
    an_hour_passes(site)
    play(site, WARNING)
    assert not site.the_ticket()["open"]


# --- between an answer and its journal line (F1) --------------------------------------------------


@pytest.mark.parametrize("status", [404, 422, 500, 503])
def test_nothing_is_asked_between_the_making_of_a_ticket_and_its_journal_line(
    site: Site, status: int
) -> None:
    """The severities name a priority that only a look into the lists can find missing."""
    site.configure("severities: {info: {priority: Nowhere}}\n")
    play(site, (*DOWN, "--service", "x"))  # the lists are known
    site.sandbox.faults(fail={"status": status, "path": "*/ticketing/*"})
    play(site, DOWN)
    once_more(site)
    assert [ticket["contacts"] for ticket in site.tickets] == [[88], [88]]
    assert [len(ticket["replies"]) for ticket in site.tickets] == [1, 1]


def test_a_failure_clears_the_doubt_only_of_the_call_that_failed(site: Site) -> None:
    site.sandbox.faults(
        drop={"method": "POST", "path": "*/tickets", "when": "after", "next": 1},
    )
    play(site, DOWN)
    (path,) = site.queued()
    with path.open("a") as file:
        for of in ("", "details"):
            record = {"failed": "GET /v1/x: 503", "of": of, "maybe_done": False}
            file.write(json.dumps(record) + "\n")
    queue = Queue(str(site.state_dir))
    event = queue.load(path.stem)
    assert event.in_doubt("create")
    assert not event.in_doubt("details")
    once_more(site)
    ticket = site.the_ticket()
    assert ticket["contacts"] == [88]
    assert len(ticket["replies"]) == 1
