"""``brtel-notify ticket``: an operator's hand on a ticket, and the map kept right."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from support import Site

from brtel_notify.alert import reference
from brtel_notify.commands.ticket import as_html
from brtel_notify.delivery.lock import DrainLock
from brtel_notify.intake.queue import Queue

HOST = "nagios4-host-problem"
HOST_UP = "nagios4-host-recovery"
KEY = "nagios:acme.3cx.fr"


@pytest.fixture
def number(site: Site) -> str:
    """The number of an open ticket of ours."""
    site.notify(HOST)
    site.calls()
    return str(site.the_ticket()["number"])


def replies(site: Site) -> List[Dict[str, Any]]:
    """The replies that an operator made: all but the details note."""
    found: List[Dict[str, Any]] = site.the_ticket()["replies"][1:]
    return found


# --- which ticket ---------------------------------------------------------------------------------


@pytest.mark.short
def test_every_way_to_name_a_ticket(site: Site, number: str) -> None:
    ticket = site.the_ticket()
    names = [number, number.lower(), f"#{number}", str(ticket["id"]), KEY, reference(KEY)]
    for name in names:
        assert ticket["subject"] in site.run("ticket", name).stdout
    (site.state_dir / "state.json").unlink()  # another machine's ticket is found at the server
    for name in names:
        assert ticket["subject"] in site.run("ticket", name, "show").stdout


def test_what_names_no_ticket(site: Site, number: str) -> None:
    for name in ("NOSUCH", "999999", "BN-0123456789ab", "nagios:nobody", "a,b", "#"):
        done = site.run("ticket", name, "close", code=65)
        assert name.lstrip("#") in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert site.the_ticket()["open"]


def test_a_number_is_not_taken_for_one_that_only_begins_so(site: Site, number: str) -> None:
    site.run("ticket", number[:3], "close", code=65)
    assert site.the_ticket()["open"]


# --- show -----------------------------------------------------------------------------------------


@pytest.mark.short
def test_show(site: Site, number: str) -> None:
    site.run("ticket", number, "note", "engineer <on> the way")
    said = site.run("ticket", number).stdout
    for words in (
        f"{number}  DOWN: acme.3cx.fr",
        "state:      open",
        "customer:   Acme Telecom SAS (CL2385)",
        "priority:   High",
        "category:   Infrastructure / PBX / 3CX",
        f"reference:  {reference(KEY)}",
        f"alerts:     {KEY} (critical)",
        "PING CRITICAL",
        "internal\n  engineer <on> the way\n",
    ):
        assert words in said
    assert "<p>" not in said
    assert "\x1b" not in said


def test_show_for_programs(site: Site, number: str) -> None:
    shown = json.loads(site.run("ticket", number, "--json").stdout)
    assert shown["number"] == number
    assert len(shown["replies"]) == 1
    assert list(shown["alerts"]) == [KEY]


# --- note -----------------------------------------------------------------------------------------


def test_a_note_says_what_was_typed_and_is_internal(site: Site, number: str) -> None:
    text = "it's \"down\" <b>& 'out'</b>; $(date)"
    assert site.run("ticket", number, "note", text).stdout == f"noted: ticket {number}\n"
    (note,) = replies(site)
    assert note["body"] == "<p>it's \"down\" &lt;b&gt;&amp; 'out'&lt;/b&gt;; $(date)</p>"
    assert note["customer_visible"] is False
    assert text in site.run("ticket", number).stdout


def test_a_note_of_several_lines_from_stdin(site: Site, number: str) -> None:
    text = "first\r\nsecond é\n\nanother paragraph\n"
    site.run("ticket", number, "note", "-", "--visible", stdin=text.encode())
    (note,) = replies(site)
    assert note["body"] == "<p>first<br>second é</p><p>another paragraph</p>"
    assert note["customer_visible"] is True


@pytest.mark.parametrize("visible", [False, True])
def test_an_internal_note_is_never_mailed_to_the_contacts(site: Site, visible: bool) -> None:
    site.configure("replies: {send_to_contacts: true}\n")
    site.notify(HOST)
    number = str(site.the_ticket()["number"])
    site.sandbox.clear_requests()
    site.run("ticket", number, "note", "x", *(["--visible"] if visible else []))
    sent = next(call for call in site.sandbox.requests() if call["method"] == "POST")
    assert sent["json"]["send_to_contacts"] is visible


@pytest.mark.parametrize("stdin", [b"", b"\n \n"])
def test_an_empty_note_is_none(site: Site, number: str, stdin: bytes) -> None:
    assert "no text" in site.run("ticket", number, "note", "-", stdin=stdin, code=65).stderr
    assert replies(site) == []


def test_a_note_that_is_too_long_is_refused_whole(site: Site, number: str) -> None:
    done = site.run("ticket", number, "note", "-", stdin=b"x" * 70_000, code=65)
    assert "longer" in done.stderr
    assert replies(site) == []


def test_a_note_that_may_have_arrived_is_not_repeated(site: Site, number: str) -> None:
    site.sandbox.faults(drop={"method": "POST", "path": "*/replies", "when": "after", "next": 1})
    done = site.run("ticket", number, "note", "once", code=69)
    assert "look before you repeat it" in done.stderr
    assert len(replies(site)) == 1


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a", "<p>a</p>"),
        ("a\n\n\nb\nc", "<p>a</p><p>b<br>c</p>"),
        ("- a\n- b", "<p>- a<br>- b</p>"),
    ],
)
def test_plain_text_as_html(text: str, html: str) -> None:
    assert as_html(text) == html


# --- close, reopen, assign, time ------------------------------------------------------------------


def test_close_and_the_map(site: Site, number: str) -> None:
    assert site.run("ticket", number, "close").stdout == f"closed: ticket {number}\n"
    assert not site.the_ticket()["open"]
    said = site.run("status").stdout
    assert "closed by hand" in said
    assert "0 open" in said
    assert "closed already" in site.run("ticket", number, "close").stdout


@pytest.mark.short
def test_close_with_a_last_note_is_one_call(site: Site, number: str) -> None:
    site.run("ticket", number, "close", "replaced the line card", "--visible")
    assert [call for call in site.calls() if not call.startswith("GET")] == ["POST /v1/replies"]
    assert not site.the_ticket()["open"]
    assert replies(site)[0]["body"] == "<p>replaced the line card</p>"


@pytest.mark.parametrize(
    ("wanted", "tickets", "first_open"),
    [("new", 2, False), ("reopen", 1, True), ("ignore", 1, False)],
)
def test_the_problem_goes_on_after_an_operator_closed_its_ticket(
    site: Site, wanted: str, tickets: int, first_open: bool
) -> None:
    """The next notification finds out at once; no hour has to pass."""
    site.configure(f"lifecycle: {{on_closed_by_hand: {wanted}}}\n")
    site.notify(HOST)
    site.run("ticket", KEY, "close")
    site.notify(HOST)
    assert len(site.tickets) == tickets
    assert site.tickets[0]["open"] is first_open
    assert site.run("status").stdout.count("closed by hand") == (wanted == "ignore")


def test_the_recovery_after_an_operator_closed_its_ticket(site: Site, number: str) -> None:
    site.run("ticket", number, "close")
    site.notify(HOST_UP)
    assert not site.the_ticket()["open"]
    assert site.run("status").stdout.startswith("0 open")


@pytest.mark.short
def test_reopen_and_the_map(site: Site, number: str) -> None:
    site.run("ticket", number, "close")
    assert site.run("ticket", number, "reopen").stdout == f"reopened: ticket {number}\n"
    assert site.the_ticket()["open"]
    assert "1 open" in site.run("status").stdout
    site.notify(HOST)
    assert len(site.tickets) == 1
    site.notify(HOST_UP)
    assert not site.the_ticket()["open"]


def test_reopen_with_a_note_after_the_alert_was_over(site: Site, number: str) -> None:
    site.notify(HOST_UP)
    site.run("ticket", number, "reopen", "the customer says it is still bad")
    assert site.the_ticket()["open"]
    assert "still bad" in replies(site)[-1]["body"]
    site.notify(HOST)  # it returns, and finds its ticket
    assert site.the_ticket()["open"]


def test_while_a_worker_delivers_the_map_is_its_own(site: Site, number: str) -> None:
    with DrainLock(str(site.state_dir)) as taken:
        assert taken
        before = (site.state_dir / "state.json").read_bytes()
        done = site.run("ticket", number, "close")
        assert "the map learns of it at the next event" in done.stderr
        assert (site.state_dir / "state.json").read_bytes() == before
    assert not site.the_ticket()["open"]


def test_what_was_captured_while_the_map_was_written_is_delivered(site: Site, number: str) -> None:
    """A notification that found the lock taken trusts its holder to deliver."""
    site.sandbox.faults(fail={"status": 503})
    site.run("event", "--host", "other.example.net", "--state", "DOWN")
    site.sandbox.clear_faults()
    (site.state_dir / "breaker.json").unlink()
    (waiting,) = site.queued()
    queue = Queue(str(site.state_dir))
    capture = queue.load(waiting.stem).capture
    waiting.unlink()
    queue.add(capture)  # as if it had just come in
    site.run("ticket", number, "close")
    assert site.queued() == []
    assert len(site.tickets) == 2


@pytest.mark.short
def test_assign(site: Site, number: str) -> None:
    users = site.sandbox.data()["users"]
    said = site.run("ticket", number, "assign", str(users[-1]["id"])).stdout
    assert said == f"assigned to {users[-1]['name']}: ticket {number}\n"
    assert site.the_ticket()["assignee_id"] == users[-1]["id"]
    site.run("ticket", number, "assign", "nobody")
    assert site.the_ticket()["assignee_id"] is None
    assert "no user with the id 999" in site.run("ticket", number, "assign", "999", code=65).stderr


@pytest.mark.short
def test_time(site: Site, number: str) -> None:
    assert "30 minutes added" in site.run("ticket", number, "time", "30").stdout
    site.run("ticket", number, "time", "-10")
    assert site.the_ticket()["time"] == 20
    assert "time:       20 minutes" in site.run("ticket", number).stdout


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["1", "note"],
        ["1", "note", "two", "words"],
        ["1", "show", "it"],
        ["1", "time", "0"],
        ["1", "time", "nan"],
        ["1", "delete"],
    ],
)
def test_a_wrong_command_line_calls_nothing(site: Site, words: List[str]) -> None:
    site.run("ticket", *words, code=2)
    assert site.calls() == []


def test_a_rehearsal_changes_nothing(site: Site, number: str) -> None:
    for words in (["note", "x"], ["close"], ["assign", "1"], ["time", "5"]):
        for line in (
            ["--dry-run", "ticket", number, *words],
            ["ticket", number, *words, "--dry-run"],
        ):
            assert f"would {words[0]}" in site.run(*line).stdout
    assert {call.split()[0] for call in site.calls()} == {"GET"}


@pytest.mark.parametrize(("status", "code"), [(503, 69), (403, 78), (422, 65)])
def test_what_goes_wrong_is_one_line(site: Site, number: str, status: int, code: int) -> None:
    site.sandbox.faults(fail={"method": "PUT", "path": "*/close/*", "status": status})
    done = site.run("ticket", number, "close", code=code)
    (line,) = done.stderr.splitlines()
    assert f"PUT /v1/tickets/close/{site.the_ticket()['id']}: {status}" in line
    assert "1 open" in site.run("status").stdout
