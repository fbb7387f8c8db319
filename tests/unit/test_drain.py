"""What a drain says of what stands in its way."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, List, Optional, Tuple

import pytest

from brtel_notify.alert import Alert
from brtel_notify.api.exceptions import Call, ServerError
from brtel_notify.delivery import backlog
from brtel_notify.delivery.backlog import Backlog
from brtel_notify.delivery.drain import Drain
from brtel_notify.delivery.lock import DrainLock
from brtel_notify.delivery.outcome import API, DELIVERED, DISK, QUEUED, Outcome, Verdict
from brtel_notify.delivery.place import Place
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Event, Queue
from brtel_notify.local.log import Log
from brtel_notify.sources.registry import parse

FULL = Verdict(Outcome(QUEUED, "the state folder cannot be written: No space left"), halts=DISK)
OUT_OF_REACH = Verdict(Outcome(QUEUED, "BlueRockTEL is out of reach"), halts=API)
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

    def head(event_id: str, behind: object, lane: str, read: object = None) -> Verdict:
        heads.append(read)
        return DONE

    heads: List[object] = []
    monkeypatch.setattr(drain.equipment, "config", lambda: None)
    monkeypatch.setattr(drain.admission, "_lane", lane)
    monkeypatch.setattr(drain, "_head", head)
    drain.run()
    assert heads == [None]


def test_ctrl_c_keeps_the_lock_until_its_threads_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = []

    def head(event_id: str, behind: object, lane: str) -> Verdict:
        time.sleep(0.2)
        with DrainLock(str(tmp_path)) as taken:
            free.append(taken)
        return DONE

    def interrupted(timeout: object = None) -> None:
        raise KeyboardInterrupt

    drain = Drain(Place(str(tmp_path), "config.yml", {}, Log()))
    for number in "12":
        drain.lanes.add(number, number)
    monkeypatch.setattr(drain.admission.backlog, "look", lambda is_known, at_work: None)
    monkeypatch.setattr(drain.equipment, "ready", lambda: True)
    monkeypatch.setattr(drain, "_head", head)
    monkeypatch.setattr(drain, "_collect", interrupted)
    with pytest.raises(KeyboardInterrupt):
        drain.run()
    assert free == [False, False]


# --- portions -------------------------------------------------------------------------------------


class Played:
    """A drain of what lies in the queue, and in which order it reads and delivers."""

    def __init__(self, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queue = queue
        self.happened: List[Tuple[str, str]] = []
        drain = self.drain = Drain(Place(queue.state_dir, "config.yml", {}, Log()), threads=1)

        def read(event_id: str, **more: object) -> Event:
            self.happened.append(("read", event_id))
            return Queue.load(queue, event_id)

        def head(event_id: str, behind: object, lane: str, read: object = None) -> Verdict:
            self.happened.append(("delivered", event_id))
            queue.forget(event_id)
            return DONE

        monkeypatch.setattr(drain.queue, "load", read)
        monkeypatch.setattr(drain.equipment, "config", lambda: None)
        monkeypatch.setattr(drain.admission, "_lane", lambda event, alert: alert.key)
        monkeypatch.setattr(drain, "_head", head)

    def of(self, what: str) -> List[str]:
        return [event_id for kind, event_id in self.happened if kind == what]


@pytest.fixture
def waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setattr(backlog, "PORTION", 10)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return Queue(str(tmp_path))


def add(queue: Queue, hosts: int, events: int) -> List[Event]:
    """EVENTS that come in turn from so many HOSTS."""
    words = ["--state", "DOWN", "--host"]
    return [
        queue.add(Capture("event", {}, [*words, f"db{number % hosts}"], "", time.time()))
        for number in range(events)
    ]


@pytest.mark.parametrize("events", [30, 300])
def test_no_more_is_read_than_a_portion_before_something_is_delivered(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch, events: int
) -> None:
    """Case F6: a command read all 50,000, and delivered none in its 20 seconds."""
    ids = [event.id for event in add(waiting, events, events)]
    played = Played(waiting, monkeypatch)
    played.drain.run()
    assert played.of("delivered") == ids
    assert played.happened.index(("delivered", ids[0])) == 10
    assert played.happened.index(("read", ids[10])) > played.happened.index(("delivered", ids[8]))


@pytest.mark.parametrize("hosts", [1, 3, 7])
def test_each_tickets_events_keep_their_order_from_portion_to_portion(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch, hosts: int
) -> None:
    ids = [event.id for event in add(waiting, hosts, 70)]
    played = Played(waiting, monkeypatch)
    played.drain.run()
    for host in range(hosts):
        of_it = ids[host::hosts]
        assert [one for one in played.of("delivered") if one in of_it] == of_it


def test_what_a_portion_leaves_asleep_stays_known_and_holds_back_what_comes_behind(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeping = add(waiting, 15, 15)
    for event in sleeping:
        event.enter(attempt=1, key="k")
        event.enter(failed="503", of="find", maybe_done=False, retry_at=time.time() + 600)
    behind = add(waiting, 15, 15)
    awake = [event.id for event in add(waiting, 40, 40)[15:]]
    played = Played(waiting, monkeypatch)
    played.drain.run()
    assert played.of("delivered") == awake
    assert len(played.of("read")) == len(set(played.of("read"))) == 70
    texts = {played.drain.outcomes[event.id].text for event in [*sleeping, *behind]}
    assert texts == {"backing off", "behind an earlier event of its ticket"}


def test_whose_lane_cannot_be_found_during_an_outage_is_delivered_in_its_turn(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose ticket a problem belongs to BlueRockTEL has to say: what is behind it comes later."""
    monkeypatch.setattr(backlog, "LOOK_EVERY", 1e9)  # nothing brings it to mind again
    ids = [event.id for event in add(waiting, 1, 3)]
    played = Played(waiting, monkeypatch)
    drain, asked = played.drain, []

    def lane(event: Event, alert: Alert) -> Optional[str]:
        asked.append(event.id)
        if len(asked) == 1:
            drain.equipment.halt = OUT_OF_REACH
            return None
        return alert.key

    monkeypatch.setattr(drain.admission, "_lane", lane)
    while drain.step():  # as a worker does
        pass
    drain.resume()
    while drain.step():
        pass
    assert played.of("delivered") == ids


def test_who_is_asked_about_in_vain_again_and_again_does_not_stop_all_others(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One customer's look-up may be a 503 for ever; the delivery finds another way, or waits."""
    (event,) = add(waiting, 1, 1)
    alert = parse(event.capture)
    drain = Drain(Place(waiting.state_dir, "config.yml", {}, Log()))

    def owner(alert: Alert) -> None:
        raise Call("GET", "/v1/customers/lookup").error(
            ServerError, 503, "no", retry=True, api_wide=True
        )

    monkeypatch.setattr(drain.equipment, "_services", SimpleNamespace(owner=owner))
    lanes = [drain.admission._customers_lane(event, alert) for _ in range(3)]
    assert lanes == [None, None, alert.key]


def test_what_comes_meanwhile_is_delivered_too(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [event.id for event in add(waiting, 25, 25)]
    played = Played(waiting, monkeypatch)
    head, last_one = played.drain._head, ids[-1]

    def last(event_id: str, *more: Any) -> Verdict:
        if event_id == last_one:
            ids.extend(event.id for event in add(waiting, 2, 2))
        return head(event_id, *more)

    monkeypatch.setattr(played.drain, "_head", last)
    played.drain.run()
    assert played.of("delivered") == ids
    assert len(ids) == 27


def test_the_folder_is_not_looked_through_at_each_event(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "LOOK_EVERY", 1e9)

    def looks(events: int) -> int:
        add(waiting, events, events)
        listed: List[str] = []
        played = Played(waiting, monkeypatch)
        pending = played.drain.queue.pending

        def counted() -> List[str]:
            listed.append("")
            return pending()

        monkeypatch.setattr(played.drain.queue, "pending", counted)
        played.drain.run()
        assert len(played.of("delivered")) == events
        return len(listed)

    assert looks(300) == looks(30)


def test_an_idle_queue_is_not_listed_again_until_it_changes(waiting: Queue) -> None:
    """Fifty thousand that wait for BlueRockTEL: a worker looks five times a second."""
    ids = [event.id for event in add(waiting, 3, 3)]
    kept = Backlog(waiting)
    os.utime(waiting.folder, (time.time() - 60,) * 2)
    kept.look(lambda event_id: False, at_work=False)
    assert [kept.next() for _ in range(3)] == ids
    kept.look(lambda event_id: False, at_work=False)
    assert len(kept) == 0
    ids += [event.id for event in add(waiting, 1, 1)]
    kept.look(lambda event_id: event_id in ids[:3], at_work=False)
    assert kept.next() == ids[3]
