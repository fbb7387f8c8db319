"""One save of the map for several events: what is on the disk at each moment."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, List, Tuple

import pytest

from brtel_notify.delivery import book
from brtel_notify.delivery.book import ASKED_EVERY, Book
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Event, Queue
from brtel_notify.local import files
from brtel_notify.text import times
from brtel_notify.tickets.ended import MOST
from brtel_notify.tickets.open_tickets import Entry, State


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return Queue(str(tmp_path))


@pytest.fixture
def ours(queue: Queue) -> Book:
    return Book(State(os.path.join(queue.state_dir, "state.json")), queue)


def entry(key: str, event: Event, **more: Any) -> Entry:
    customer = {"id": 7, "name": "Acme", "account": "CL7", "how": "pbx"}
    return Entry(key, "BN-1", 7, "A1", customer, last_event=event.id, **more)


def event_of(queue: Queue) -> Event:
    return queue.add(Capture("event", {}, ["--host", "db1"], "", time.time()))


def on_disk(queue: Queue) -> State:
    return State.load(os.path.join(queue.state_dir, "state.json"))[0]


def test_an_event_of_a_small_map_is_saved_at_once(queue: Queue, ours: Book) -> None:
    event = event_of(queue)
    ours.record(entry("a", event), [event], None)
    assert event.id in ours
    assert ours.is_due
    ours.save()
    assert queue.pending() == []
    assert event.id not in ours
    assert not ours.is_due


def test_a_save_costs_an_event_the_same_in_a_map_of_any_size(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case F6: ten thousand new tickets wrote the whole map ten thousand times."""
    written: List[int] = []
    write_whole = files.write_whole

    def counted(path: str, data: bytes, **more: Any) -> None:
        written.append(len(data) if str(path).endswith("state.json") else 0)
        write_whole(path, data, **more)

    monkeypatch.setattr(files, "write_whole", counted)

    def an_event(events: int) -> float:
        made = Book(State(os.path.join(queue.state_dir, "state.json")), queue)
        written.clear()
        for number in range(events):
            event = Event(os.path.join(queue.folder, f"{number}.jsonl"), a_capture, [])
            made.record(entry(f"host {number}", event, host="x" * 400), [event], None)
            if made.is_due:
                made.save()
        made.save()
        assert len(on_disk(queue).entries()) == events
        return sum(written) / events

    a_capture = event_of(queue).capture
    assert an_event(6000) < 1.5 * an_event(500)


def test_an_entry_names_the_events_whose_files_are_left(queue: Queue, ours: Book) -> None:
    first, second, third = (event_of(queue) for _ in range(3))
    ours.record(entry("a", first), [first], None)
    ours.record(entry("a", second), [second], None)
    found = ours.state.get("a")
    assert found is not None
    assert (found.recorded, found.last_event) == ([first.id], second.id)
    ours.save()
    assert queue.pending() == [third.id]
    ours.record(entry("a", third), [third], None)
    found = ours.state.get("a")
    assert found is not None
    assert found.recorded == []


def test_those_that_went_along_are_named_too(queue: Queue, ours: Book) -> None:
    along, event = event_of(queue), event_of(queue)
    ours.record(entry("a", event), [along, event], None)
    found = ours.state.get("a")
    assert found is not None
    assert found.recorded == [along.id]


def test_many_events_of_one_ticket_are_not_all_named_in_its_entry(
    queue: Queue, ours: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "BYTES_AN_EVENT", 1)
    longest = 0
    for _ in range(120):
        event = event_of(queue)
        ours.record(entry("a", event), [event], None)
        found = ours.state.get("a")
        longest = max(longest, len(found.recorded) if found else 0)
        if ours.is_due:
            ours.save()
    assert longest == book.MOST_RECORDED


def test_an_entry_that_is_forgotten_leaves_no_event_that_it_should_name(
    queue: Queue, ours: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in the queue at each save: a kill behind it meets just that."""
    seen: List[Tuple[List[str], int]] = []
    save = State.save

    def watched(state: State) -> None:
        save(state)
        seen.append(([entry.key for entry in state.entries()], len(queue.pending())))

    monkeypatch.setattr(State, "save", watched)
    first, second = event_of(queue), event_of(queue)
    ours.record(entry("a", first), [first], None)
    ours.drop("a", [second])
    assert seen == [(["a"], 2), ([], 1)]
    assert queue.pending() == []


def test_an_entry_is_kept_while_several_of_its_events_may_be_left(queue: Queue, ours: Book) -> None:
    long_ago, now = "2020-01-01T00:00:00Z", "2024-01-01T00:00:00Z"
    forget = 60.0, times.from_iso(now)
    for key, events in (("one", 1), ("two", 2)):
        for _ in range(events):
            event = event_of(queue)
            ours.record(entry(key, event, closed_at=long_ago), [event], forget)
    ours.save()
    assert [each.key for each in on_disk(queue).entries()] == ["two"]
    event = event_of(queue)
    ours.record(entry("three", event, closed_at=now), [event], forget)
    ours.save()
    assert [each.key for each in on_disk(queue).entries()] == ["three"]


def test_what_is_over_is_kept_for_what_waits_since_then(queue: Queue, ours: Book) -> None:
    """An outage of two hours: what comes behind a recovery was captured just after it."""
    now = time.time()

    def ends(key: str, ago: float, later: float = 0.0) -> None:
        event = event_of(queue)
        closed_at = times.iso(now - ago)
        ours.record(entry(key, event, closed_at=closed_at), [event], (300.0, now + later))
        ours.save()

    waiting = event_of(queue).id
    queue_file = os.path.join(queue.folder, f"{waiting}.jsonl")
    older = f"{int((now - 7190) * 1e9):020d}{waiting[20:]}"
    os.rename(queue_file, os.path.join(queue.folder, f"{older}.jsonl"))
    ends("long ago", 7600)
    ends("just before it", 7200)
    assert [each.key for each in on_disk(queue).entries()] == ["just before it"]
    queue.remove(queue.load(older))
    ends("the next", 10, later=ASKED_EVERY)
    assert [each.key for each in on_disk(queue).entries()] == ["the next"]


def test_what_is_over_is_kept_for_what_waits_since_a_clock_that_was_ahead(
    queue: Queue, ours: Book
) -> None:
    """It was set back by an hour: how long the one that waits does so, its name does not say."""
    now = time.time()
    for _ in range(2):
        captured = event_of(queue)
        ahead = f"{int((now + 3600) * 1e9):020d}{captured.id[20:]}"
        os.rename(captured.path, os.path.join(queue.folder, f"{ahead}.jsonl"))
    event = queue.load(ahead)
    closed_at = times.iso(now - 400)
    ours.record(entry("over", event, closed_at=closed_at), [event], (300.0, now))
    ours.save()
    assert [each.key for each in on_disk(queue).entries()] == ["over"]


def test_what_cannot_be_saved_stays_in_the_queue(
    queue: Queue, ours: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(state: State) -> None:
        raise OSError(28, "No space left on device")

    first, second = event_of(queue), event_of(queue)
    with monkeypatch.context() as patched:
        patched.setattr(State, "save", full)
        for event in (first, second):
            ours.record(entry("a", event), [event], None)
            with pytest.raises(OSError, match="No space"):
                ours.save()
    assert queue.pending() == ours.unsaved == [first.id, second.id]
    ours.save()
    assert queue.pending() == ours.unsaved == []


def test_old_ends_are_not_swept_at_each_recovery(
    queue: Queue, ours: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay as long as something old lies in dead/: each recovery read all of them."""
    swept: List[float] = []
    monkeypatch.setattr(ours.ended, "is_old", lambda now: True)
    monkeypatch.setattr(ours.ended, "sweep", swept.append)
    for _ in range(2 * book.ENDS_SWEPT):
        ours.has_ended([], time.time())
    assert len(swept) == 2


def test_a_storm_of_recoveries_leaves_so_many_ends_at_most(queue: Queue, ours: Book) -> None:
    """Those of one day, or of a clock that was ahead, are none the less not kept for ever."""
    now = time.time()
    line = {"at": now + 1e6, "key": "event:" + "x" * 200, "occurrence": ""}
    data = json.dumps(line).encode() + b"\n"
    queue.make_folders()
    Path(ours.ended.path).write_bytes(data * (MOST + 50))
    ours.has_ended([], now)
    assert Path(ours.ended.path).read_bytes() == data * MOST
