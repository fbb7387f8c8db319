"""Two open tickets with one reference: the younger is closed with a pointer to the older.

Nobody can prevent them: two monitoring servers search in one instant and find nothing.
"""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from inprocess import deliver, drain, in_child
from support import Site
from test_crash import Boundaries

from brtel_notify.intake.capture import Capture

DOWN = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")
UP = ("event", "--host", "acme.3cx.fr", "--state", "UP")
WORSE = (*DOWN, "--severity", "critical")
WARNING = (*DOWN, "--severity", "warning")
ACK = ("event", "--host", "acme.3cx.fr", "--kind", "acknowledgement", "--comment", "seen")


def on(site: Site, server: str, words: Any) -> None:
    """What the notification command of WORDS does on one of several monitoring servers."""
    site.state_dir = site.folder / server
    event = Capture("event", {}, list(words[1:]), "", time.time())
    in_child(lambda: deliver(site, event))


def doubled(site: Site, words: Any = WARNING, servers: str = "ab") -> None:
    """Each of the SERVERS opens a ticket: none sees the others'."""
    for server in servers:
        site.sandbox.faults(fail={"path": "*/tickets/search", "status": 200, "json": []})
        on(site, server, words)
    site.sandbox.clear_faults()
    assert [ticket["open"] for ticket in site.tickets] == [True] * len(servers)


def an_hour_passes(site: Site, server: str) -> None:
    path = site.folder / server / "state.json"
    state = json.loads(path.read_text())
    for entry in state["tickets"].values():
        entry["opened_at"] = entry["checked_at"] = "2026-01-01T00:00:00Z"
    path.write_text(json.dumps(state))


def they_know_each_other(site: Site) -> None:
    """Each server has met a ticket that the other one opened."""
    for first, second in ("ab", "ba"):
        for server in (first, second):
            on(site, server, (*DOWN, "--service", f"of {first}"))
    for name in "ab":
        on(site, "a", (*UP, "--service", f"of {name}"))
        on(site, "b", (*UP, "--service", f"of {name}"))
    site.sandbox.seed(replace=True, tickets=[])


def merged(site: Site) -> List[Dict[str, Any]]:
    """The tickets; the oldest is used, the others point to it, and each says so once."""
    older, *younger = site.tickets
    for ticket in younger:
        assert not ticket["open"]
        notes = [reply["body"] for reply in ticket["replies"]]
        assert sum(f"a double of {older['number']}" in body for body in notes) == 1
        told = [reply for reply in older["replies"] if ticket["number"] in reply["body"]]
        assert len(told) == 1
        assert not any(reply["customer_visible"] for reply in [*ticket["replies"], *told])
    assert site.queued() == site.queued("dead") == []
    return [older, *younger]


@pytest.mark.short
@pytest.mark.parametrize("servers", ["ab", "abc"])
def test_a_search_that_shows_two_leaves_the_older(site: Site, servers: str) -> None:
    doubled(site, servers=servers)
    on(site, "new", DOWN)
    older, *_ = merged(site)
    assert older["open"]
    assert site.state["event:acme.3cx.fr"]["ticket_id"] == older["id"]
    on(site, "new", UP)
    assert not any(ticket["open"] for ticket in merged(site))


def test_a_recovery_whose_map_was_lost_leaves_none_open(site: Site) -> None:
    doubled(site)
    (site.folder / "a" / "state.json").unlink()
    on(site, "a", UP)
    older, younger = merged(site)
    assert not older["open"]
    assert not younger["open"]


def test_the_log_says_so(site: Site) -> None:
    doubled(site)
    site.state_dir = site.folder / "new"
    done = site.run(*DOWN)
    older, younger = merged(site)
    said = f"ticket {younger['number']} is a double of {older['number']}: closed"
    assert said in done.stderr
    assert f"its double {younger['number']} closed" in done.stdout


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_pointer_in_the_sites_language(site: Site, language: str) -> None:
    site.configure(f"language: {language}\n")
    doubled(site)
    on(site, "new", DOWN)
    words = {"en": "a double of", "fr": "double emploi avec"}
    assert words[language] in site.tickets[1]["replies"][-1]["body"]


# --- the server whose ticket it was ---------------------------------------------------------------


@pytest.mark.parametrize("words", [WORSE, WARNING])
@pytest.mark.parametrize("wanted", ["new", "reopen", "ignore"])
def test_who_worked_with_the_younger_goes_on_with_the_older(
    site: Site, words: Any, wanted: str
) -> None:
    site.configure(f"lifecycle: {{on_closed_by_hand: {wanted}}}\n")
    doubled(site)
    on(site, "new", DOWN)
    an_hour_passes(site, "b")
    on(site, "b", words)
    older, younger = site.tickets
    assert (older["open"], younger["open"]) == (True, False)
    assert site.state["event:acme.3cx.fr"]["ticket_id"] == older["id"]
    on(site, "b", UP)
    assert not any(ticket["open"] for ticket in site.tickets)


def test_a_look_of_servers_that_know_each_other_finds_it(site: Site) -> None:
    they_know_each_other(site)
    doubled(site)
    an_hour_passes(site, "b")
    on(site, "b", WARNING)
    older, _ = merged(site)
    assert older["open"]
    assert site.state["event:acme.3cx.fr"]["ticket_id"] == older["id"]


@pytest.mark.short
@pytest.mark.parametrize("server", ["a", "b"])
def test_a_recovery_on_either_leaves_none_open(site: Site, server: str) -> None:
    they_know_each_other(site)
    doubled(site)
    on(site, server, UP)
    assert not any(ticket["open"] for ticket in merged(site))
    on(site, "ab".replace(server, ""), UP)
    assert not any(ticket["open"] for ticket in site.tickets)


def test_a_recovery_on_the_younger_that_is_closed_already(site: Site) -> None:
    they_know_each_other(site)
    doubled(site)
    on(site, "new", DOWN)
    on(site, "b", UP)
    assert not any(ticket["open"] for ticket in merged(site))


def test_a_call_carried_out_after_it_was_made_again(site: Site) -> None:
    """The server was slow beyond all patience: what was looked for in vain comes to be."""
    site.sandbox.faults(
        drop={"method": "POST", "path": "*/tickets", "when": "after", "next": 1},
    )
    on(site, "a", DOWN)
    site.sandbox.faults(fail={"path": "*/tickets/search", "status": 200, "json": []})
    in_child(lambda: drain(site))
    site.sandbox.clear_faults()
    assert len(site.tickets) == 2
    on(site, "a", UP)
    assert not any(ticket["open"] for ticket in merged(site))


# --- what it costs, and what stops it -------------------------------------------------------------


def test_who_is_alone_pays_for_nothing(site: Site) -> None:
    on(site, "a", DOWN)
    site.calls()
    on(site, "a", UP)
    assert site.calls() == ["POST /v1/replies"]


@pytest.mark.parametrize("status", [403, 404, 422])
def test_a_pointer_that_is_refused_does_not_keep_the_double_open(site: Site, status: int) -> None:
    doubled(site)
    younger = site.tickets[1]["id"]
    site.sandbox.faults(
        fail={"status": status, "method": "POST", "path": "*/replies", "holds": str(younger)}
    )
    on(site, "new", DOWN)
    if status != 404:
        assert [ticket["open"] for ticket in site.tickets] == [True, False]
    assert site.queued() == site.queued("dead") == []


def test_a_persons_ticket_that_quotes_ours_is_no_double(site: Site) -> None:
    on(site, "a", DOWN)
    ours = site.the_ticket()
    quote = {"origin": "email", "author_type": "App\\Contact", "author_id": 88, "tags": None}
    site.sandbox.seed(tickets=[{**ours, **quote, "id": 5000, "number": "THEIRS", "replies": []}])
    on(site, "new", DOWN)
    assert [ticket["open"] for ticket in site.tickets] == [True, True]
    assert site.tickets[1]["replies"] == []


def under_fire(site: Site, trace: Path, fatal: Optional[int]) -> int:
    """The search that shows two, killed at boundary FATAL; the boundaries passed."""
    site.sandbox.reset()
    for name in ("a", "b"):
        for path in (site.folder / name).rglob("*"):
            if path.is_file():
                path.unlink()
    doubled(site)
    site.state_dir = site.folder / f"new-{fatal}"

    def work() -> None:
        Boundaries(trace, fatal).install()
        deliver(site, Capture("event", {}, list(DOWN[1:]), "", time.time()))

    assert in_child(work) == (0 if fatal is None else signal.SIGKILL)
    return len(trace.read_text().splitlines())


@pytest.mark.parametrize("part", range(4))
def test_killed_anywhere_it_is_done_once(site: Site, tmp_path: Path, part: int) -> None:
    trace = tmp_path / "trace"
    for fatal in range(part, under_fire(site, trace, None), 4):
        under_fire(site, trace, fatal)
        if not site.queued():  # nothing was promised yet, or all is done
            on(site, site.state_dir.name, DOWN)
        in_child(lambda: drain(site))
        in_child(lambda: drain(site))
        older, _ = merged(site)
        assert older["open"]
