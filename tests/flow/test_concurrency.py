"""Many processes at once: 1,000 notifications for 100 alerts, from 8 of them."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Set, Tuple

import pytest
from inprocess import drain
from support import PATIENCE, Site, load_capture, until

from brtel_notify.commands import notify
from brtel_notify.delivery.drain import THREADS
from brtel_notify.delivery.lanes import Lanes
from brtel_notify.delivery.lock import DrainLock
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.capture_file import read
from brtel_notify.intake.queue import Queue
from brtel_notify.options import Options

ENV = load_capture("nagios4-service-problem")["env"]
NOBODY = {"NAGIOS_SERVICEACKAUTHOR": "", "NAGIOS_SERVICEACKCOMMENT": ""}
PROCESSES, ALERTS, EACH = 8, 100, 10

HEAD = r"<strong>(.*?)</strong>( by person \d+)?"
KINDS = ("CRITICAL", "CRITICAL", "WARNING", "WARNING", "ACKNOWLEDGEMENT", "RECOVERY")


class Story:
    """What happens to one alert, and what its ticket must tell in the end."""

    def __init__(self, number: int) -> None:
        self.host = f"pbx{number}.example.net"
        chance = random.Random(number)
        self.notifications: List[Dict[str, str]] = []
        self.heads: List[str] = []
        self.severity = ""
        for step in range(EACH):
            self._happen(chance.choice(KINDS), step)

    @property
    def is_open(self) -> bool:
        return self.severity != ""

    def _happen(self, kind: str, step: int) -> None:
        if kind == "ACKNOWLEDGEMENT" and not self.is_open:
            kind = "CRITICAL"  # what was closed a moment ago is noted, later not: no clock decides
        changed = {"NAGIOS_HOSTNAME": self.host, "NAGIOS_SERVICESTATE": self.severity.upper()}
        if kind == "RECOVERY":
            changed.update(NAGIOS_NOTIFICATIONTYPE=kind, NAGIOS_SERVICESTATE="OK")
            self.heads += ["Recovered"] if self.is_open else []
            self.severity = ""
        elif kind == "ACKNOWLEDGEMENT":
            changed["NAGIOS_NOTIFICATIONTYPE"] = kind
            changed["NAGIOS_SERVICEACKAUTHOR"] = f"person {step}"
            changed["NAGIOS_SERVICEACKCOMMENT"] = f"seen at step {step}"
            self.heads += [f"Acknowledged by person {step}"]
        else:
            changed.update(NAGIOS_NOTIFICATIONTYPE="PROBLEM", NAGIOS_SERVICESTATE=kind)
            self.heads += self._told(kind)
            self.severity = kind.lower()
        self.notifications.append({**ENV, **NOBODY, **changed})

    def _told(self, state: str) -> List[str]:
        if not self.heads:
            return ["Alert details"]
        if not self.is_open:
            return [f"The problem is back ({state})"]
        return [f"{self.severity} → {state.lower()}"] if self.severity != state.lower() else []


STORIES = [Story(number) for number in range(ALERTS)]


def fire(site: Site) -> List[int]:
    """Start the processes; each does what 125 notification commands do, without their start-up.

    All events of one alert come from one process, so that their order is known.
    """
    children = []
    for process in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            try:
                notify_all(site, STORIES[process::PROCESSES], site.folder / f"said-{process}")
                os._exit(0)
            except BaseException as error:  # noqa: BLE001 - the parent must see it
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
                os._exit(99)
        children.append(pid)
    return children


def notify_all(site: Site, stories: List[Story], said: Path) -> None:
    options = Options()
    options.config, options.state_dir_option = str(site.config_file), str(site.state_dir)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for step in range(EACH):
        for story in stories:
            os.environ.update(story.notifications[step])
            with open(1, "w", closefd=False) as out, contextlib.redirect_stdout(out):
                assert notify.run("nagios", [], options) == 0


def wait_for(children: List[int], meanwhile: Callable[[], Any]) -> None:
    """Until all CHILDREN have ended well; MEANWHILE again and again."""
    left = set(children)
    while left:
        meanwhile()
        for pid in list(left):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                assert status == 0
                left.remove(pid)


def start_worker(site: Site) -> subprocess.Popen[bytes]:
    """A worker that holds the lock."""
    with open(site.folder / "worker.log", "ab") as log:
        worker = subprocess.Popen(site.words("worker"), stderr=log)

    def is_taken() -> bool:
        assert worker.poll() is None
        if not site.state_dir.is_dir():
            return False
        with DrainLock(str(site.state_dir)) as ours:
            return not ours

    until(is_taken)
    return worker


def check(site: Site) -> None:
    """One ticket for each alert that ever was a problem; each note once, and all in order."""
    lines = [
        line
        for process in range(PROCESSES)
        for line in (site.folder / f"said-{process}").read_text().splitlines()
    ]
    assert len(lines) == ALERTS * EACH
    assert all(line.startswith(("delivered: ", "ignored: ", "queued: ")) for line in lines)
    assert site.queued() == site.queued("dead") == []
    told: Dict[str, List[Tuple[List[str], bool]]] = {}
    for ticket in site.tickets:
        (host,) = re.findall(r"pbx\d+\.example\.net", ticket["subject"])
        bodies = [reply["body"] for reply in ticket["replies"]]
        assert len(set(bodies)) == len(bodies)
        found = ["".join(re.findall(HEAD, body)[0]) for body in bodies]
        told.setdefault(host, []).append((found, ticket["open"]))
    assert told == {story.host: [(story.heads, story.is_open)] for story in STORIES if story.heads}


def hosts_queued(site: Site) -> Set[str]:
    """The hosts that events wait for."""
    hosts = set()
    for path in site.queued():
        with contextlib.suppress(FileNotFoundError):
            captured, _ = read(path.read_bytes())
            hosts.add(captured.env["NAGIOS_HOSTNAME"])
    return hosts


def test_the_stories_are_worth_telling() -> None:
    """Every kind of event, open and closed tickets, alerts that nobody heard of before."""
    told = [head for story in STORIES for head in story.heads]
    assert {"Alert details", "Recovered", "warning → critical"} < set(told)
    assert {"The problem is back (WARNING)", "critical → warning"} < set(told)
    assert {story.is_open for story in STORIES} == {True, False}


def test_without_a_worker(site: Site) -> None:
    """Each command delivers if nobody else does."""
    wait_for(fire(site), lambda: time.sleep(0.05))
    while site.queued():  # what a command's time budget left over
        site.run("flush")
    check(site)


def test_with_a_timer(site: Site) -> None:
    """A flush starts again and again in between."""
    wait_for(fire(site), lambda: site.run("flush"))
    while site.queued():
        site.run("flush")
    check(site)


@pytest.mark.short
def test_with_a_worker(site: Site) -> None:
    """Nobody else delivers while it does."""
    worker = start_worker(site)
    try:
        children = fire(site)
        elsewhere: List[str] = []
        wait_for(children, lambda: elsewhere.append(site.run("flush").stdout))
        assert set(elsewhere) == {"another brtel-notify is delivering: it takes what is due\n"}
        until(lambda: site.queued() == [])
    finally:
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
    check(site)
    lines = "".join(
        (site.folder / f"said-{process}").read_text() for process in range(PROCESSES)
    ).splitlines()
    assert set(lines) == {"queued: another brtel-notify is delivering"}


@pytest.mark.parametrize("times", [3])
def test_a_killed_worker_loses_nothing(site: Site, times: int) -> None:
    """It is killed in the midst of its work, and after each time another one is started."""
    worker = start_worker(site)
    children = fire(site)
    for _ in range(times):
        there = len(site.sandbox.requests())
        until(lambda there=there: len(site.sandbox.requests()) > there + 50)  # type: ignore[misc]
        worker.send_signal(signal.SIGKILL)
        worker.wait(PATIENCE)
        worker = subprocess.Popen(site.words("worker"), stderr=subprocess.DEVNULL)
    try:
        wait_for(children, lambda: time.sleep(0.05))
        # What was under way is given a minute to arrive, and what comes after it waits behind it.
        until(lambda: len(hosts_queued(site)) <= times * THREADS)
    finally:
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
    site.run("flush", "--force-now")
    check(site)


@pytest.mark.parametrize("before", ["host", "customer"])
def test_who_left_a_shared_ticket_stands_behind_those_of_the_next(
    site: Site, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The grouping was changed while tickets were open: what returns is shared anew.

    Its event came when its alert still was on the old ticket, and so stood in the lane of that.
    """
    after = {"host": "customer", "customer": "host"}[before]
    site.configure(f"  group_by: {before}\n")
    say(site, "SIP trunk", "DOWN")
    say(site, "Fan", "DOWN")
    drain(site)
    site.configure(f"  group_by: {after}\n")
    say(site, "SIP trunk", "UP")
    ids = [say(site, "SIP trunk", "DOWN"), say(site, "SIP trunk", "DOWN", "critical")]
    ids.append(say(site, "Backup", "DOWN"))
    lanes: Dict[str, List[str]] = {}
    take = Lanes.take

    def taken(self: Lanes, lane: str) -> str:
        event_id = take(self, lane)
        lanes.setdefault(event_id, []).append(lane)
        return event_id

    monkeypatch.setattr(Lanes, "take", taken)
    drain(site, threads=2)
    assert site.queued() == site.queued("dead") == []
    assert len({lanes[event_id][-1] for event_id in ids}) == 1
    assert [len(lanes[event_id]) for event_id in ids] == [2, 1, 1]  # the two go together
    old, new = site.tickets
    assert [ticket["open"] for ticket in site.tickets] == [True, True]
    assert ["Fan" in str(ticket) for ticket in (old, new)] == [True, False]


def say(site: Site, service: str, state: str, severity: str = "warning") -> str:
    words = ["--host", "acme.3cx.fr", "--service", service, "--state", state]
    words += ["--severity", severity] if state == "DOWN" else []
    queue = Queue(str(site.state_dir))
    return queue.add(Capture("event", {}, words, "", time.time())).id
