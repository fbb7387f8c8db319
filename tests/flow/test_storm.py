"""Many notifications at once: no lost one, no double one, no command that overstays."""

from __future__ import annotations

import re
import subprocess
import time
from typing import Dict, List, Sequence

import pytest
from support import Site, load_capture, start

MANY = 200
#: Seconds after which Nagios kills a notification command.
KILLED = 30.0
#: Seconds until a test gives up waiting; never how long something takes.
PATIENCE = 600


def all_at_once(site: Site, environments: List[Dict[str, str]]) -> List[str]:
    """Start a command for each environment, at once; what each said on stdout.

    None may overstay. What the machine takes to start so many is not the program's time: so long
    takes a command in their midst that does nothing.
    """
    half = len(environments) // 2
    running = [start(site.words("nagios"), env) for env in environments[:half]]
    idle = start(site.words("--version"), {})
    running += [start(site.words("nagios"), env) for env in environments[half:]]
    *took, to_start = durations([*running, idle])
    said = []
    for process, seconds in zip([*running, idle], [*took, 0.0]):
        out, err = process.communicate()
        assert process.returncode == 0, err.decode()
        assert seconds < KILLED + to_start, "it overstayed"
        said.append(out.decode().strip())
    return said[:-1]


def durations(running: Sequence[subprocess.Popen[bytes]]) -> List[float]:
    """The seconds from now until each of these has ended."""
    began = time.monotonic()
    ended: Dict[int, float] = {}
    while len(ended) < len(running):
        for process in running:
            if process.pid not in ended and process.poll() is not None:
                ended[process.pid] = time.monotonic() - began
        assert time.monotonic() < began + PATIENCE, "they do not end"
        time.sleep(0.02)
    return [ended[process.pid] for process in running]


def test_two_hundred_copies_of_one_notification_leave_one_ticket(site: Site) -> None:
    env = load_capture("nagios4-host-problem")["env"]
    said = all_at_once(site, [env] * MANY)
    assert all(line.startswith(("delivered: ", "ignored: ", "queued: ")) for line in said)
    site.run("flush")
    assert len(site.the_ticket()["replies"]) == 1
    assert site.queued() == site.queued("dead") == []


def test_two_hundred_different_notifications_leave_two_hundred_tickets(site: Site) -> None:
    env = load_capture("nagios4-host-problem")["env"]
    hosts = [f"pbx{number}.example.net" for number in range(MANY)]
    said = all_at_once(site, [{**env, "NAGIOS_HOSTNAME": host} for host in hosts])
    assert all(line.startswith(("delivered: ", "ignored: ", "queued: ")) for line in said)
    while site.queued():  # what a drainer's time budget left over
        site.run("flush")
    subjects = sorted(ticket["subject"] for ticket in site.tickets)
    assert subjects == sorted(f"DOWN: {host}" for host in hosts)
    assert all(len(ticket["replies"]) == 1 for ticket in site.tickets)
    assert all(ticket["contacts"] == [88] for ticket in site.tickets)
    assert len(site.state) == MANY


def test_a_drainer_stops_at_its_budget_and_the_next_goes_on(site: Site) -> None:
    """A budget of nothing: not one call is made, and nothing is lost."""
    env = load_capture("nagios4-host-problem")["env"]
    site.sandbox.faults(fail={"status": 503})
    site.run("nagios", env=env)
    site.sandbox.clear_faults()
    site.calls()
    site.run("flush", "--force-now", "--budget", "0")
    assert site.calls() == []
    assert len(site.queued()) == 1
    site.run("flush", "--force-now")
    assert site.the_ticket()["open"]


@pytest.mark.short
def test_events_of_one_alert_are_delivered_in_order(site: Site) -> None:
    """Captured while BlueRockTEL was down: problem, worse, acknowledged, recovered."""
    site.sandbox.faults(fail={"status": 503})
    site.notify("nagios4-service-problem", "SERVICESTATE=WARNING")
    site.notify("nagios4-service-problem")
    site.notify("nagios4-service-acknowledgement")
    site.notify("nagios4-service-recovery")
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    ticket = site.the_ticket()
    heads = [re.sub("<[^>]*>", "", reply["body"])[:13] for reply in ticket["replies"]]
    assert [head.split()[0].rstrip(":") for head in heads] == [
        "Alert",
        "warning",
        "Acknowledged",
        "Recovered",
    ]
    assert not ticket["open"]
