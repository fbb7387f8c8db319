"""What a drain says of what stands in its way."""

from __future__ import annotations

import time
from pathlib import Path
from typing import List

import pytest

from brtel_notify.alert import Alert
from brtel_notify.delivery.drain import Drain, Place
from brtel_notify.delivery.lock import DrainLock
from brtel_notify.delivery.outcome import DELIVERED, DISK, QUEUED, Outcome, Verdict
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Event, Queue
from brtel_notify.local.log import Log

FULL = Verdict(Outcome(QUEUED, "the state folder cannot be written: No space left"), halts=DISK)
DONE = Verdict(Outcome(DELIVERED, "opened"))


def test_what_stands_in_the_way_is_told_once_until_it_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drain = Drain(Place(str(tmp_path), "config.yml", {}, Log()))
    for verdict in (FULL, FULL, FULL, DONE, DONE, FULL):
        drain._tell(verdict)
    said = capsys.readouterr().err.splitlines()
    assert ["No space left" in line for line in said] == [True, False, False, True]


def test_what_is_dropped_while_its_lane_is_looked_for_is_not_delivered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(str(tmp_path))
    words = ["--host", "db1", "--state", "DOWN"]
    queue.add(Capture("event", {}, words, "", time.time()))
    drain = Drain(Place(str(tmp_path), "config.yml", {}, Log()))

    def lane(event: Event, alert: Alert) -> str:
        queue.forget(event.id)
        return alert.key

    def head(event_id: str, behind: object, read: object = None) -> Verdict:
        heads.append(read)
        return DONE

    heads: List[object] = []
    monkeypatch.setattr(drain, "_configuration", lambda: None)
    monkeypatch.setattr(drain, "_lane", lane)
    monkeypatch.setattr(drain, "_head", head)
    drain.run()
    assert heads == [None]


def test_ctrl_c_keeps_the_lock_until_its_threads_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = []

    def head(event_id: str, behind: object) -> Verdict:
        time.sleep(0.2)
        with DrainLock(str(tmp_path)) as taken:
            free.append(taken)
        return DONE

    def interrupted(timeout: object = None) -> None:
        raise KeyboardInterrupt

    drain = Drain(Place(str(tmp_path), "config.yml", {}, Log()))
    for number in "12":
        drain.lanes.add(number, number)
    monkeypatch.setattr(drain.backlog, "look", lambda is_known, at_work: None)
    monkeypatch.setattr(drain, "_ready", lambda: True)
    monkeypatch.setattr(drain, "_head", head)
    monkeypatch.setattr(drain, "_collect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        drain.run()
    assert free == [False, False]
