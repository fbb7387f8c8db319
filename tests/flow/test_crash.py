"""The crash matrix: SIGKILL at every boundary, then a drain. One ticket, each note once.

A boundary is before and after every API call and every change to the disk. They are not listed
here: a child process counts those that the code passes, so a new step is covered by being there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import pytest
from inprocess import capture, deliver, drain, in_child
from support import Site, load_capture, start

from brtel_notify.api import transport

PROBLEM = ("nagios4-service-problem",)
RECOVERY = ("nagios4-service-recovery",)
WARNING = {"NAGIOS_SERVICESTATE": "WARNING"}
#: It fails once more, after that recovery.
ANEW = {
    "NAGIOS_LASTSERVICESTATECHANGE": "1795285990",
    "NAGIOS_LASTSERVICEOK": "1795285990",
    "NAGIOS_TIMET": "1795285990",
}

#: What changes the disk. All of the program's writing goes through these.
DISK = ("write", "rename", "replace", "unlink", "ftruncate")


class Scenario(NamedTuple):
    """What was delivered before, what is delivered under fire, and what must be in the end."""

    before: List[Any]
    under_fire: Any
    is_open: bool
    notes: int


SCENARIOS = {
    "problem": Scenario([], PROBLEM, True, 1),
    "worse": Scenario([("nagios4-service-problem", WARNING)], PROBLEM, True, 2),
    "acknowledgement": Scenario([PROBLEM], ("nagios4-service-acknowledgement",), True, 2),
    "recovery": Scenario([PROBLEM], RECOVERY, False, 2),
    "recurrence": Scenario([PROBLEM, RECOVERY], (*PROBLEM, ANEW), True, 3),
    # Zabbix 7.0: the comment of a closing comes behind the recovery.
    "late comment": Scenario(
        [("zabbix7-problem",), ("zabbix7-recovery",)], ("zabbix7-update",), False, 3
    ),
    "another": Scenario([PROBLEM], (*PROBLEM, ANEW), True, 2),
}


class Boundaries:
    """Counts the boundaries that a process passes; at the chosen one it kills itself."""

    def __init__(self, trace: Path, fatal: Optional[int]) -> None:
        self.trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        self.fatal = fatal
        self.passed = 0
        self._write = os.write

    def cross(self, name: str) -> None:
        self._write(self.trace, f"{name}\n".encode())
        if self.passed == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def crossed(*args: Any, **kwargs: Any) -> Any:
            self.cross(f"before {name}")
            result = function(*args, **kwargs)
            self.cross(f"after {name}")
            return result

        return crossed

    def install(self) -> None:
        for name in DISK:
            setattr(os, name, self.around(name, getattr(os, name)))
        send = transport.Transport.send

        def crossed(self_: Any, call: Any, seconds: float) -> Any:
            return self.around(f"{call.method} {call.path}", lambda: send(self_, call, seconds))()

        setattr(transport.Transport, "send", crossed)  # noqa: B010 - mypy minds the plain form


def play(site: Site, scenario: Scenario, fatal: Optional[int]) -> List[str]:
    """Play a scenario on an empty machine, killed at boundary FATAL; the boundaries passed."""
    site.sandbox.reset()
    site.state_dir = site.folder / f"state-{fatal}"
    shutil.rmtree(site.state_dir, ignore_errors=True)
    for named in scenario.before:
        event = capture(*named)
        assert in_child(lambda event=event: deliver(site, event)) == 0  # type: ignore[misc]
    trace = site.folder / "trace"

    def under_fire() -> None:
        Boundaries(trace, fatal).install()
        deliver(site, capture(*scenario.under_fire))

    ended_by = in_child(under_fire)
    assert ended_by == (0 if fatal is None else signal.SIGKILL)
    return trace.read_text().splitlines()


def captured(site: Site) -> bool:
    """Whether capture had returned: before that, nothing was promised."""
    return bool(site.queued())


@pytest.mark.parametrize("name", SCENARIOS)
def test_killed_at_every_boundary(site: Site, name: str) -> None:
    scenario = SCENARIOS[name]
    boundaries = all_boundaries(site, scenario)
    for fatal in range(len(boundaries)):
        check_killed_at(fatal, site, scenario, boundaries)


@pytest.mark.short
def test_killed_at_each_kind_of_boundary(site: Site) -> None:
    """A sample of the matrix: before and after each call and change to the disk, once."""
    seen = set()
    for scenario in SCENARIOS.values():
        boundaries = all_boundaries(site, scenario)
        for fatal, boundary in enumerate(boundaries):
            kind = re.sub(r"\d{2,}", "ID", boundary)
            if kind not in seen:
                seen.add(kind)
                check_killed_at(fatal, site, scenario, boundaries)
    assert {"before POST /v1/tickets", "after PUT /v1/tickets/open/ID", "after rename"} <= seen


def all_boundaries(site: Site, scenario: Scenario) -> List[str]:
    """What a process passes that nobody kills."""
    sys.stdout.flush()
    boundaries = play(site, scenario, None)
    calls = [line for line in boundaries if line.startswith("before ") and "/v1/" in line]
    assert calls
    assert any("rename" in line for line in boundaries)
    assert any("unlink" in line for line in boundaries)
    return boundaries


def check_killed_at(fatal: int, site: Site, scenario: Scenario, boundaries: List[str]) -> None:
    passed = play(site, scenario, fatal)
    # The same way, up to the one boundary: none was skipped, none came from elsewhere.
    assert passed == boundaries[: fatal + 1]
    if not captured(site) and not delivered(site, scenario):
        return  # killed before the event was stored: the caller saw the command die
    assert in_child(lambda: drain(site)) == 0
    assert outcome(site) == wanted(scenario), f"killed at {passed[-1]} ({fatal})"


def delivered(site: Site, scenario: Scenario) -> bool:
    return outcome(site) == wanted(scenario)


def wanted(scenario: Scenario) -> Dict[str, Any]:
    return {"tickets": 1, "open": scenario.is_open, "notes": scenario.notes, "queued": 0, "dead": 0}


def outcome(site: Site) -> Dict[str, Any]:
    tickets = site.tickets
    last = tickets[-1] if tickets else {"open": None, "replies": []}
    bodies = [reply["body"] for reply in last["replies"]]
    assert len(set(bodies)) == len(bodies)
    if tickets and site.queued() == []:
        (entry,) = json.loads((site.state_dir / "state.json").read_text())["tickets"].values()
        assert (entry["closed_at"] is None) is last["open"]
    return {
        "tickets": len(tickets),
        "open": last["open"],
        "notes": len(bodies),
        "queued": len(site.queued()),
        "dead": len(site.queued("dead")),
    }


def test_what_a_killed_process_had_under_way_is_given_time_to_arrive(site: Site) -> None:
    """A slow server must not be asked too soon whether it has the ticket, and told again."""
    first = load_capture("nagios4-host-problem")["env"]
    site.sandbox.faults(hang={"method": "POST", "path": "*/tickets", "next": 1, "seconds": 600})
    command = start(site.words("nagios"), first)
    while not any(call["method"] == "POST" for call in site.sandbox.requests()):
        assert command.poll() is None
        time.sleep(0.02)
    command.kill()
    command.communicate()
    # The next notification, of a service, drains the queue: it leaves the first one alone.
    site.sandbox.clear_requests()
    site.notify("nagios4-service-problem")
    assert len(site.calls()) <= 6
    assert len(site.queued()) == 1
    assert len(site.tickets) == 1
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    assert len(site.tickets) == 2
    assert site.queued() == []
