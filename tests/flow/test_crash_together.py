"""SIGKILL while several finished events wait for one save of the map, at every boundary.

With a large map a save is for many events: then a kill leaves files of events that are done, in the
map already or not. The next drain only records, or only removes them: nothing is done twice.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import Any, Dict, List, Optional

import pytest
from inprocess import capture, drain, in_child
from support import Site
from test_crash import Boundaries

from brtel_notify.delivery import book
from brtel_notify.intake.queue import Queue

WARNING = {"NAGIOS_SERVICESTATE": "WARNING"}
LATER = {"NAGIOS_HOSTNAME": "beta.3cx.fr", "NAGIOS_HOSTALIAS": "beta"}

#: Of one ticket, from its opening to its close; and one of another in between.
COMES_AND_GOES = [
    ("nagios4-service-problem", WARNING),
    ("nagios4-service-problem", {}),
    ("nagios4-host-problem", LATER),
    ("nagios4-service-acknowledgement", {}),
    ("nagios4-service-recovery", {}),
]


def play(site: Site, before: int, fatal: Optional[int]) -> List[str]:
    """Queue the events, the first ones delivered, and drain; killed at FATAL; the boundaries."""
    site.sandbox.reset()
    site.state_dir = site.folder / f"state-{fatal}"
    shutil.rmtree(site.state_dir, ignore_errors=True)
    queue = Queue(str(site.state_dir))
    for number, (name, changed) in enumerate(COMES_AND_GOES):
        if before and number == before:
            assert in_child(lambda: drain(site)) == 0
        queue.add(capture(name, changed))
    trace = site.folder / "trace"

    def under_fire() -> None:
        book.BYTES_AN_EVENT = 1  # the map is taken for one of any size
        Boundaries(trace, fatal).install()
        drain(site)

    assert in_child(under_fire) == (0 if fatal is None else signal.SIGKILL)
    return trace.read_text().splitlines()


def outcome(site: Site) -> Dict[str, Any]:
    tickets = site.tickets
    bodies = [[reply["body"] for reply in ticket["replies"]] for ticket in tickets]
    assert all(len(set(each)) == len(each) for each in bodies)
    entries = site.state.values() if (site.state_dir / "state.json").exists() else []
    return {
        "open": sorted(ticket["open"] for ticket in tickets),
        "notes": sorted(len(each) for each in bodies),
        "left": len(site.queued()) + len(site.queued("dead")),
        "map": sorted(entry["closed_at"] is None for entry in entries),
    }


WANTED = {"open": [False, True], "notes": [1, 4], "left": 0, "map": [False, True]}


def check(site: Site, before: int, fatal: int, boundaries: List[str]) -> None:
    passed = play(site, before, fatal)
    assert passed == boundaries[: fatal + 1]
    assert in_child(lambda: drain(site)) == 0
    assert outcome(site) == WANTED, f"killed at {passed[-1]} ({fatal})"


@pytest.mark.parametrize("before", [0, 1])
def test_killed_at_every_boundary(site: Site, before: int) -> None:
    boundaries = play(site, before, None)
    assert outcome(site) == WANTED
    for fatal in range(len(boundaries)):
        check(site, before, fatal, boundaries)


@pytest.mark.short
@pytest.mark.parametrize("before", [0, 1])
def test_killed_around_the_save(site: Site, before: int) -> None:
    """All events are done: before the map is saved, behind it, between two files' removal."""
    boundaries = play(site, before, None)
    assert outcome(site) == WANTED
    removed = [n for n, name in enumerate(boundaries) if name == "before unlink"]
    files = len(COMES_AND_GOES) - before
    assert len(removed) >= files
    # One save for all: no file goes before the last call is answered.
    calls = [n for n, name in enumerate(boundaries) if "/v1/" in name]
    assert removed[-files] > calls[-1]
    for fatal in range(calls[-1], len(boundaries)):
        check(site, before, fatal, boundaries)


def test_a_lone_event_is_saved_at_once(site: Site) -> None:
    """Whatever the size of the map: its file is gone when its command ends, and the map has it."""
    site.notify("nagios4-host-problem")
    assert site.queued() == []
    (entry,) = json.loads((site.state_dir / "state.json").read_text())["tickets"].values()
    assert entry["recorded"] == []
    assert os.listdir(site.state_dir / "queue") == []
