"""``ticket.open_after``, through real processes: a durable timer in the queue."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any, Iterator, List

import pytest
from support import Site, start, until

from brtel_notify.local import files

HOUR = "  open_after: 1h\n"


def event(site: Site, state: str, *more: str, service: str = "line") -> str:
    words = ("--host", "acme.3cx.fr", "--service", service, "--state", state, *more)
    return site.run("event", *words).stdout


def is_open(site: Site) -> List[bool]:
    return [bool(ticket["open"]) for ticket in site.tickets]


def time_passes(site: Site, seconds: float = 3700.0) -> None:
    """What waits has waited for so much longer: nothing else says how late it is."""
    for path in site.queued():
        lines = [
            json.loads(line) for line in path.read_bytes().splitlines()[-9:] if b"held" in line
        ]
        if lines:
            held = lines[-1]
            earlier = {"waits_since": time.time() - seconds}
            files.append_line(str(path), json.dumps(earlier).encode())
            held["held_until"] -= seconds
            files.append_line(str(path), json.dumps(held).encode())


@pytest.fixture
def worker(site: Site) -> Iterator[Any]:
    processes: List[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        from support import ENVIRONMENT

        processes.append(start(site.words("worker"), ENVIRONMENT))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.short
def test_it_opens_only_when_it_is_due(site: Site) -> None:
    site.configure(HOUR)
    said = event(site, "DOWN")
    assert said.startswith("queued: ")
    assert "if it still is a problem then" in said
    assert site.calls() == []
    site.run("flush")
    site.run("flush", "--force")  # that is for what backs off
    assert site.tickets == []
    time_passes(site)
    site.run("flush")
    assert is_open(site) == [True]
    assert site.queued() == []
    event(site, "UP")
    assert is_open(site) == [False]


@pytest.mark.short
def test_over_before_its_time_opens_nothing(site: Site) -> None:
    site.configure(HOUR)
    event(site, "DOWN")
    assert "recovered after 0s, before it was due" in event(site, "UP")
    assert site.queued() == []
    assert site.calls() == []


def test_over_before_its_time_in_an_outage(site: Site) -> None:
    """The recovery came in time; that nobody looked until later changes nothing."""
    site.configure(HOUR)
    event(site, "DOWN")
    broken = site.config_file.read_text()
    site.config_file.write_text("nonsense: [")
    event_at = site.run(
        "event", "--host", "acme.3cx.fr", "--service", "line", "--state", "UP", code=78
    )
    assert event_at.stdout == ""
    site.config_file.write_text(broken)
    first, _ = site.queued()
    for path in (first,):
        files.append_line(str(path), b'{"waits_since": 1000000000.0}')
    site.run("flush")
    # It has waited since 2001, and the recovery was captured today: so it was due long before.
    assert is_open(site) == [False]


@pytest.mark.short
def test_worse_counts_by_its_new_severity(site: Site) -> None:
    site.configure("severities: {warning: {open_after: 1h}, critical: {open_after: 0}}\n")
    event(site, "WARNING")
    assert site.tickets == []
    event(site, "CRITICAL")
    ticket = site.the_ticket()
    assert ticket["open"]
    assert len(ticket["replies"]) == 1  # it is opened as what it is now
    assert site.queued() == []


def test_reminders_do_not_pile_up(site: Site) -> None:
    site.configure(HOUR)
    for _ in range(3):
        event(site, "DOWN")
    assert len(site.queued()) == 1
    time_passes(site)
    site.run("flush")
    assert is_open(site) == [True]


def test_what_people_said_while_it_waited_is_noted_when_it_opens(site: Site) -> None:
    site.configure(HOUR)
    event(site, "DOWN")
    event(site, "DOWN", "--kind", "acknowledgement", "--author", "Jo", "--comment", "on it")
    assert len(site.queued()) == 2
    time_passes(site)
    site.run("flush")
    assert "on it" in site.the_ticket()["replies"][-1]["body"]


@pytest.mark.short
def test_it_holds_up_no_other_alert_of_its_host(site: Site) -> None:
    site.configure(
        "  group_by: host\nseverities: {warning: {open_after: 1h}, critical: {open_after: 0}}\n"
    )
    event(site, "WARNING", service="disk")
    event(site, "CRITICAL", service="ping")
    assert is_open(site) == [True]
    assert len(site.queued()) == 1
    time_passes(site)
    site.run("flush")
    ticket = site.the_ticket()
    assert len(ticket["replies"]) == 2  # it joins the ticket that is open by then
    event(site, "OK", service="ping")
    assert is_open(site) == [True]
    event(site, "OK", service="disk")
    assert is_open(site) == [False]


def test_its_recovery_while_the_ticket_of_its_host_is_open(site: Site) -> None:
    site.configure(
        "  group_by: host\nseverities: {warning: {open_after: 1h}, critical: {open_after: 0}}\n"
    )
    event(site, "WARNING", service="disk")
    event(site, "CRITICAL", service="ping")
    assert "before it was due" in event(site, "OK", service="disk")
    assert len(site.the_ticket()["replies"]) == 1
    event(site, "OK", service="ping")
    assert is_open(site) == [False]


def test_a_configuration_that_changed_meanwhile_counts(site: Site) -> None:
    site.configure(HOUR)
    event(site, "DOWN")
    site.configure("  open_after: 0\n")
    site.run("flush")
    assert is_open(site) == [True]


def test_a_rule_may_say_it(site: Site) -> None:
    site.configure("rules: [{when: \"service == 'line'\", set: {open_after: '23:59'}}]\n")
    event(site, "DOWN")
    event(site, "DOWN", service="other")
    assert is_open(site) == [True]
    (waits,) = site.queued()
    assert b"line" in waits.read_bytes()


def test_a_clock_that_was_set_back_makes_it_wait_no_longer(site: Site) -> None:
    site.configure(HOUR)
    event(site, "DOWN")
    (path,) = site.queued()
    files.append_line(str(path), json.dumps({"waits_since": time.time() + 86400}).encode())
    site.run("flush")
    assert is_open(site) == [True]


def test_it_waits_once_more_when_it_comes_back(site: Site) -> None:
    site.configure("  open_after: 0\n")
    event(site, "DOWN")
    event(site, "UP")
    site.configure(HOUR)
    event(site, "DOWN")  # within the hour: it would reopen the ticket
    assert is_open(site) == [False]
    event(site, "UP")
    assert is_open(site) == [False]
    assert site.queued() == []


def test_a_worker_opens_it_in_time_also_when_it_was_killed(site: Site, worker: Any) -> None:
    site.configure("  open_after: 2s\n")
    first = worker()
    until(lambda: (site.state_dir / "drain.lock").exists())
    event(site, "DOWN")
    until(lambda: b"held_until" in b"".join(path.read_bytes() for path in site.queued()))
    first.kill()
    worker()
    until(lambda: is_open(site) == [True])
    until(lambda: not site.queued())


@pytest.mark.short
def test_status_shows_it_and_check_takes_it_for_no_backlog(site: Site) -> None:
    site.configure(HOUR)
    event(site, "DOWN")
    (path,) = site.queued()
    files.append_line(str(path), json.dumps({"waits_since": time.time() - 3000}).encode())
    shown = site.run("status").stdout
    assert "acme.3cx.fr:line" in shown
    assert "OPENS AT" in shown
    told = json.loads(site.run("status", "--json").stdout)
    assert [one["key"] for one in told["waiting_to_open"]] == ["event:acme.3cx.fr:line"]
    checked = site.run("check", "-w", "0", "-c", "0").stdout
    assert checked.startswith("BRTEL-NOTIFY OK"), checked


def test_what_waits_is_shown(site: Site) -> None:
    """`queue show` of it ended with 70."""
    site.configure(HOUR)
    event(site, "DOWN")
    event(site, "DOWN", "--output", "still")  # in whose place it waits: both say so
    (path,) = site.queued()
    shown = site.run("queue", "show", path.stem).stdout
    assert "its ticket is opened at " in shown
    assert "it has waited since then" in shown


def test_nobody_is_told_to_force_what_waits(site: Site) -> None:
    """`flush` advised --force, also to whoever had just given it; `queue list` said nothing."""
    site.configure(HOUR)
    event(site, "DOWN")
    for words in (("flush",), ("flush", "--force")):
        said = site.run(*words).stdout
        assert "1 of them until it is time to open the ticket" in said
        assert "--force" not in said
    assert "opens at 20" in site.run("queue", "list").stdout
    (listed,) = json.loads(site.run("queue", "list", "--json").stdout)
    assert listed["opens_at"].endswith("Z")
    assert "0 open, 1 queued (1 waiting to open), 0 dead\n" in site.run("status").stdout
    assert "1 of them until" in site.run("queue", "retry", listed["id"]).stdout


def test_what_is_known_to_wait_is_logged_once(site: Site) -> None:
    """A line a minute, all night, from the timer's flush: behind it stood what a person said."""
    site.configure(HOUR)
    event(site, "DOWN")
    assert "behind its problem" in event(site, "", "--kind", "acknowledgement", "--author", "jd")
    for _ in range(2):
        assert "its ticket is opened at" not in site.run("flush").stderr


def test_render_shows_the_ticket_that_would_wait(site: Site) -> None:
    site.configure(HOUR)
    shown = site.run("render", "event", "--host", "acme.3cx.fr", "--state", "DOWN").stdout
    assert ", if it still is a problem then" in shown
    assert "subject: DOWN: acme.3cx.fr" in shown
