"""BlueRockTEL is down: one process pays for it, all others only capture, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest
from inprocess import capture, deliver, drain, in_child
from support import CONFIG, Site, load_capture

from brtel_notify.commands import notify
from brtel_notify.delivery.breaker import Breaker
from brtel_notify.delivery.drain import THREADS, Drain
from brtel_notify.delivery.outcome import API
from brtel_notify.delivery.place import Place
from brtel_notify.delivery.retry import LIGHT_ATTEMPTS
from brtel_notify.intake.queue import Queue
from brtel_notify.local.log import Log
from brtel_notify.options import Options
from brtel_notify.sandbox.testing import SandboxProcess

#: Whose host it is, the server has to say.
UNKNOWN = {"NAGIOS__HOSTCUSTOMER_ACCOUNT": ""}
ENV = load_capture("nagios4-service-problem")["env"]
OUT_OF_REACH = "queued: BlueRockTEL is out of reach (last error: "
DOWN = {"drop": {"when": "before"}}

ALERTS, REPEATED, RECOVERED = 450, 150, 400
BY_REAL_COMMANDS = 20


def problem(number: int) -> Dict[str, str]:
    return {
        **ENV,
        "NAGIOS_HOSTNAME": f"pbx{number}.example.net",
        "NAGIOS_NOTIFICATIONTYPE": "PROBLEM",
        "NAGIOS_SERVICESTATE": "CRITICAL",
    }


def recovery(number: int) -> Dict[str, str]:
    return {
        **problem(number),
        "NAGIOS_NOTIFICATIONTYPE": "RECOVERY",
        "NAGIOS_SERVICESTATE": "OK",
    }


def a_thousand() -> List[Dict[str, str]]:
    """600 problems, some of them repeated, and 400 recoveries, all mixed up; but for each alert in
    the order in which things happen."""
    stories = []
    for number in range(ALERTS):
        story = [problem(number)] * (2 if number < REPEATED else 1)
        stories.append(story + [recovery(number)] * (number < RECOVERED))
    chance = random.Random(3)
    mixed = []
    while stories:
        story = chance.choice(stories)
        mixed.append(story.pop(0))
        if not story:
            stories.remove(story)
    return mixed


def notify_all(site: Site, notifications: List[Dict[str, str]], said: Path) -> None:
    """What as many notification commands do, without their start-up."""

    def work() -> None:
        options = Options()
        options.config, options.state_dir_option = str(site.config_file), str(site.state_dir)
        os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        for env in notifications:
            os.environ.update(env)
            with open(1, "w", closefd=False) as out, contextlib.redirect_stdout(out):
                assert notify.run("nagios", [], options) == 0

    assert in_child(work) == 0


def host(ticket: Dict[str, Any]) -> str:
    """The host that its subject names."""
    (found,) = re.findall(r"pbx\d+\.example\.net", ticket["subject"])
    return str(found)


def heads(ticket: Dict[str, Any]) -> List[str]:
    """The first words of the notes, in order."""
    bodies = [reply["body"] for reply in ticket["replies"]]
    assert len(set(bodies)) == len(bodies)
    found = [re.search("<strong>(.*?)</strong>", body) for body in bodies]
    return [match.group(1) for match in found if match]


def test_a_thousand_notifications_while_it_is_down(site: Site) -> None:
    site.configure("lifecycle:\n  on_repeat: note\n")
    site.sandbox.faults(**DOWN)
    everything = a_thousand()
    assert len(everything) == 1000
    said = site.folder / "said"

    # The first one pays: a single call, and its breaker is open.
    first = site.run("nagios", env=everything[0])
    assert first.stdout.startswith("queued: ")
    assert len(site.calls()) == 1
    before = Breaker(str(site.state_dir))
    assert before.is_open

    # While it is open, real commands, what commands do, and a timer's flush make no call at all.
    site.next_probe_in(500)
    for env in everything[1 : 1 + BY_REAL_COMMANDS]:
        assert site.run("nagios", env=env).stdout.startswith(OUT_OF_REACH)
    site.run("flush")
    half = 1 + BY_REAL_COMMANDS + 490
    notify_all(site, everything[1 + BY_REAL_COMMANDS : half], said)
    assert site.calls() == []

    # A probe is due: one call, and it is open for longer.
    site.next_probe_in(-1)
    assert site.run("nagios", env=everything[half]).stdout.startswith("queued: ")
    assert len(site.calls()) == 1
    after = Breaker(str(site.state_dir))
    assert after.failures == before.failures + 1
    assert after.since == before.since

    site.next_probe_in(500)
    notify_all(site, everything[half + 1 :], said)
    lines = said.read_text().splitlines()
    assert len(lines) == 1000 - 2 - BY_REAL_COMMANDS
    assert all(line.startswith(OUT_OF_REACH) for line in lines)
    site.run("flush")
    assert site.calls() == []
    assert len(site.queued()) == 1000

    # It is back, and somebody probes.
    site.sandbox.clear_faults()
    site.next_probe_in(-1)
    site.run("flush")
    assert site.queued() == site.queued("dead") == []
    assert not Breaker(str(site.state_dir)).is_open
    check_the_tickets(site)


def check_the_tickets(site: Site) -> None:
    """Every ticket is there once, told in order, and closed if its alert recovered."""
    assert len(site.tickets) == ALERTS
    tickets = {host(ticket): ticket for ticket in site.tickets}
    for number in range(ALERTS):
        ticket = tickets[f"pbx{number}.example.net"]
        wanted = ["Alert details"]
        wanted += ["Still CRITICAL"] * (number < REPEATED)
        wanted += ["Recovered"] * (number < RECOVERED)
        assert heads(ticket) == wanted
        assert ticket["open"] is (number >= RECOVERED)


@pytest.mark.short
def test_its_process_is_stopped_and_started_again(tmp_path: Path) -> None:
    """Nothing listens: refused connections, by real commands only."""
    data = str(tmp_path / "sandbox.json")
    with SandboxProcess("--data", data) as sandbox:
        site = Site(tmp_path, sandbox)
        site.run("nagios", env=problem(1))
    port = sandbox.url.rpartition(":")[2].partition("/")[0]
    with socket.socket() as kept:  # nobody else takes the port, and nobody listens at it
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", int(port)))
        for env in (recovery(1), problem(2), problem(2), problem(3), recovery(3)):
            assert site.run("nagios", env=env).stdout.startswith("queued: ")
        assert len(site.queued()) == 5
    with SandboxProcess("--data", data, "--port", port) as sandbox:
        site.sandbox = sandbox
        site.run("flush", "--force-now")
        assert site.queued() == site.queued("dead") == []
        assert len(site.tickets) == 3
        told = {host(ticket): heads(ticket) for ticket in site.tickets}
        assert told == {
            "pbx1.example.net": ["Alert details", "Recovered"],
            "pbx2.example.net": ["Alert details"],
            "pbx3.example.net": ["Alert details", "Recovered"],
        }


@pytest.mark.parametrize("group_by", ["alert", "host", "customer"])
def test_a_probe_is_one_call_however_much_waits(site: Site, group_by: str) -> None:
    """Also where it takes a look-up to know which events belong together."""
    site.configure("", base=CONFIG + f"  group_by: {group_by}\n")
    site.sandbox.faults(**DOWN)
    queue = Queue(str(site.state_dir))
    for number in range(10):
        queue.add(capture("nagios4-service-problem", {**problem(number), **UNKNOWN}))
    site.run("flush")
    assert 1 <= len(site.calls()) <= THREADS  # nobody knew
    for _ in range(2):
        site.run("flush", "--force-now")
        assert len(site.calls()) == 1
    assert Breaker(str(site.state_dir)).is_open
    site.next_probe_in(500)  # on a slow machine it would be due by now
    site.run("flush")
    assert site.calls() == []
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    assert site.queued() == []
    assert len(site.tickets) == (1 if group_by == "customer" else 10)


def test_a_probe_is_one_call_also_where_others_are_made_side_by_side(site: Site) -> None:
    paths = ("*/tickets/search", "*/contacts")
    site.sandbox.faults(fail=[{"path": path, "status": 503} for path in paths])
    site.run("nagios", env=problem(1))  # whose it is, is known from now on
    site.calls()
    site.run("flush", "--force-now")
    assert site.calls() == ["GET /v1/tickets/search"]
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    assert len(site.the_ticket()["contacts"]) == 1


@pytest.mark.short
def test_one_event_that_brings_the_server_down_does_not_hold_up_the_others(site: Site) -> None:
    """Each time that another one goes through, it is tried again; but not for ever."""
    in_child(lambda: deliver(site, capture("nagios4-service-problem", problem(0))))
    ticket = site.the_ticket()["id"]
    site.sandbox.faults(fail={"method": "PUT", "path": f"*/tickets/{ticket}", "status": 503})
    queue = Queue(str(site.state_dir))
    poison = queue.add(
        capture("nagios4-service-problem", {**problem(0), "NAGIOS_SERVICESTATE": "WARNING"})
    )
    rounds = LIGHT_ATTEMPTS + 5

    def work() -> None:
        now = time.time()
        place = Place(
            str(site.state_dir), str(site.config_file), os.environ, Log(), clock=lambda: now
        )
        endless = Drain(place, budget=None)
        endless.begin()
        for number in range(1, rounds + 1):
            queue.add(capture("nagios4-service-problem", problem(number)))
            while endless.step() or endless.halt is not None:
                if endless.halt is not None:  # what a worker does
                    assert endless.halt.halts == API
                    now = endless.breaker.retry_at
                    endless.resume()

    assert in_child(work) == 0
    assert len(site.tickets) == 1 + rounds
    assert queue.pending() == [poison.id]
    assert queue.load(poison.id).attempts <= LIGHT_ATTEMPTS + 1
    site.sandbox.clear_faults()
    in_child(lambda: drain(site))
    told = [heads(one) for one in site.tickets if one["id"] == ticket]
    assert told == [["Alert details", "critical → warning"]]
