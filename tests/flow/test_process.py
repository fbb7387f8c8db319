"""What went wrong with the process itself: kind F. F2 is in test_unread.py, F7 in test_security.py
and test_demo.py, F9 and F10 in tests/unit/test_hostile_answers.py."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from support import CONFIG, PATIENCE, Site, start, until
from test_worker import add, in_flight, running

from brtel_notify.console import snapshot
from brtel_notify.delivery.drain import Drain
from brtel_notify.delivery.lock import COMMAND, DrainLock
from brtel_notify.delivery.place import Place
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Event, Queue
from brtel_notify.local.log import Log

DAY = 86400.0
DOWN = ("--host", "acme.3cx.fr", "--state", "DOWN")


class Clock:
    """The machine's clock, and by how much it is wrong."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead

    def __call__(self) -> float:
        return time.time() + self.ahead


def drain(site: Site, clock: Callable[[], float] = time.time, **how: Any) -> Drain:
    place = Place(str(site.state_dir), str(site.config_file), os.environ, Log(), clock)
    return Drain(place, budget=None, threads=1, **how)


def captured(
    site: Site, clock: Callable[[], float] = time.time, host: str = "acme.3cx.fr"
) -> Event:
    words = ["--host", host, "--state", "DOWN"]
    return Queue(str(site.state_dir)).add(Capture("event", {}, words, "", clock()))


def work(drain: Drain) -> None:
    """As a worker does, until there is nothing to do just now."""
    while drain.step():
        pass


# --- F2: a log line that cannot be written --------------------------------------------------------


@pytest.mark.parametrize("log", ["/dev/full", "{folder}/none/log", "{folder}"])
def test_f2_a_log_that_cannot_be_written(site: Site, log: str) -> None:
    site.configure(f"log: {log.format(folder=site.folder)}\n")
    assert site.run("event", *DOWN).stdout.startswith("delivered: ")
    assert site.the_ticket()["open"]


# --- F3: times that lie ahead are no times --------------------------------------------------------


@pytest.mark.parametrize("ahead", [DAY, 3600.0, 300.0])
def test_f3_a_workers_lanes_do_not_sleep_until_tomorrow(site: Site, ahead: float) -> None:
    """The clock was ahead when a delivery failed, and is set right."""
    clock = Clock(ahead)
    captured(site, clock)
    worker = drain(site, clock)
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 500})
    work(worker)
    assert site.tickets == []
    site.sandbox.clear_faults()
    clock.ahead = 0.0
    work(worker)
    assert site.tickets == []  # a server that failed is given its pause, as long as it was
    clock.ahead = 70.0
    work(worker)
    assert site.the_ticket()["open"]


@pytest.mark.parametrize("ahead", [DAY, 3600.0, 300.0])
def test_f3_what_a_wrong_clock_put_off_is_tried(site: Site, ahead: float) -> None:
    clock = Clock(ahead)
    captured(site, clock)
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 500})
    work(drain(site, clock))
    assert len(site.queued()) == 1
    site.sandbox.clear_faults()
    work(drain(site))  # another process, and the clock is right
    assert site.the_ticket()["open"]


def test_f3_check_tells_an_event_from_tomorrow(site: Site) -> None:
    captured(site, Clock(DAY))
    said = site.run("check", code=1).stdout
    assert "the oldest waiting event is from 23h 59m ahead: was this machine's clock wrong?" in said


def iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def in_map(site: Site, **fields: Any) -> None:
    """Change fields of the map's one entry."""
    path = site.state_dir / "state.json"
    data = json.loads(path.read_text())
    (entry,) = data["tickets"].values()
    entry.update(fields)
    path.write_text(json.dumps(data, indent=2))


def the_entry(site: Site) -> Dict[str, Any]:
    (entry,) = site.state.values()
    return dict(entry)


@pytest.mark.parametrize("ahead", [30 * DAY, DAY, 7200.0])
def test_a5_a_ticket_that_was_closed_tomorrow_is_not_reopened(site: Site, ahead: float) -> None:
    """BlueRockTEL knows when it was closed: long ago."""
    site.run("event", *DOWN)
    site.run("event", "--host", "acme.3cx.fr", "--state", "UP")
    in_map(site, closed_at=iso(time.time() + ahead))
    site.configure("lifecycle:\n  reopen_within: 0s\n")
    site.run("event", *DOWN)
    assert [ticket["open"] for ticket in site.tickets] == [False, True]


@pytest.mark.parametrize("ahead", [30 * DAY, DAY, 7200.0])
def test_a5_a_ticket_that_was_looked_at_tomorrow_is_looked_at(site: Site, ahead: float) -> None:
    site.run("event", *DOWN)
    in_map(site, checked_at=iso(time.time() + ahead), opened_at=iso(time.time() - 7200))
    site.calls()
    site.run("event", *DOWN)
    assert any(call.startswith("GET /v1/tickets/") for call in site.calls())
    in_map(site, checked_at=iso(time.time() + ahead), opened_at=iso(time.time() + ahead))
    site.run("event", *DOWN)
    assert any(call.startswith("GET /v1/tickets/") for call in site.calls())


def test_a5_what_was_noted_tomorrow_is_noted(site: Site) -> None:
    site.run("event", *DOWN)
    acknowledged = ("event", *DOWN, "--kind", "acknowledgement", "--comment", "mine")
    site.run(*acknowledged)
    replies = len(site.the_ticket()["replies"])
    noted = the_entry(site)["noted"]
    in_map(site, noted=dict.fromkeys(noted, iso(time.time() + 200)))
    site.run(*acknowledged)
    assert len(site.the_ticket()["replies"]) == replies + 1
    site.run(*acknowledged)  # and now it was noted a moment ago
    assert len(site.the_ticket()["replies"]) == replies + 1


def test_a5_a_ticket_that_was_over_tomorrow_is_forgotten(site: Site) -> None:
    site.configure("lifecycle:\n  on_recovery: note\n")
    site.run("event", *DOWN)
    site.run("event", "--host", "acme.3cx.fr", "--state", "UP")
    in_map(site, recovered_at=iso(time.time() + DAY))
    for state in ("DOWN", "UP"):
        site.run("event", "--host", "db1", "--state", state)
    assert [entry["host"] for entry in site.state.values()] == ["db1"]


# --- F4: one file that makes no sense -------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        '{"requeued": "x"}',
        '{"requeued": %s}' % ("9" * 400),
        '{"requeued": null, "retry_at": "x"}',
        '{"begin": "create", "at": %s}' % ("9" * 400),
        '{"failed": "x", "maybe_done": false, "retry_at": 1e999, "at": "noon"}',
        '{"attempt": %s, "at": []}' % ("9" * 5000),
    ],
)
def test_f4_one_line_that_makes_no_sense(site: Site, line: str) -> None:
    bad = captured(site)
    with open(bad.path, "a", encoding="ascii") as file:
        file.write(line + "\n")
    captured(site, host="db1")
    for words in (("queue",), ("queue", "--json"), ("queue", "show", bad.id), ("status",)):
        site.run(*words)
    site.run("metrics")
    site.run("flush", "--force-now")
    assert len(site.tickets) == 2
    assert site.queued() == []


@pytest.mark.parametrize("field", ["time", "version", "more"])
def test_f4_a_number_of_400_digits_in_a_capture(site: Site, field: str) -> None:
    """As 932417d wrote it: the capture in JSON."""
    bad = captured(site)
    data = {"version": 1, "source": "event", "time": time.time(), "env": {}, "stdin": ""}
    data["argv"] = ["--host", "acme.3cx.fr", "--state", "DOWN"]
    Path(bad.path).write_text(json.dumps({**data, field: 10**399}) + "\n")
    captured(site, host="db1")
    site.run("queue")
    site.run("flush")
    assert len(site.tickets) == (1 if field == "time" else 2)
    assert len(site.queued("dead")) == (1 if field == "time" else 0)


# --- F5: the lock's file goes ---------------------------------------------------------------------


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.touch(0o600)
    other.rename(path)


@pytest.mark.short
@pytest.mark.parametrize("harm", [delete, replace])
def test_f5_the_lock_is_gone_while_a_command_delivers(
    site: Site, harm: Callable[[Path], None]
) -> None:
    site.configure("", CONFIG.replace("api:\n", "api:\n  timeout: 60\n"))
    site.sandbox.faults(hang={"method": "POST", "path": "*/tickets", "seconds": 600})
    first = start(site.words("event", *DOWN), {})
    until(lambda: in_flight(site))
    harm(site.state_dir / "drain.lock")
    calls = len(site.sandbox.requests())
    for words in (("event", *DOWN), ("event", "--host", "db1", "--state", "DOWN")):
        assert site.run(*words).stdout == "queued: another brtel-notify is delivering\n"
    assert "another brtel-notify is delivering" in site.run("flush", "--force-now").stdout
    assert len(site.sandbox.requests()) == calls
    site.sandbox.clear_faults()
    out, _ = first.communicate(timeout=PATIENCE)
    assert out.startswith(b"delivered: ")
    assert sorted(ticket["subject"].count("db1") for ticket in site.tickets) == [0, 1]
    assert site.queued() == []
    with DrainLock(str(site.state_dir)) as taken:
        assert taken


def test_f5_the_lock_is_gone_under_a_worker(site: Site) -> None:
    with running(site) as worker:
        for number in range(3):
            (site.state_dir / "drain.lock").unlink()
            add(site, number)
            until(lambda number=number: len(site.tickets) == number + 1)  # type: ignore[misc]
            until((site.state_dir / "drain.lock").exists)
            assert "another brtel-notify is delivering" in site.run("flush").stdout
        assert worker.says("worker: delivering from")
        assert worker.said.count("worker: delivering from") == 1


def test_f5_without_a_lock_on_the_folder_its_holder_stops(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that locks no folders."""
    monkeypatch.setattr(DrainLock, "_lock_folder", lambda self: True)
    for host in ("db1", "db2"):
        captured(site, host=host)
    found = drain(site)
    deliver = found._head
    others = []

    def head(*given: Any) -> Any:
        verdict = deliver(*given)
        (site.state_dir / "drain.lock").unlink()
        other = DrainLock(str(site.state_dir))
        assert other.take()
        others.append(other)
        return verdict

    monkeypatch.setattr(found, "_head", head)
    found.run()
    assert len(site.tickets) == 1
    assert len(site.queued()) == 1
    others[0].release()


# --- F8: the head of a lane is dropped ------------------------------------------------------------


def test_f8_a_lane_goes_on_when_its_head_is_dropped(site: Site) -> None:
    first = captured(site)
    worker = drain(site)
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 500})
    work(worker)
    site.sandbox.clear_faults()
    captured(site)
    work(worker)
    assert site.tickets == []  # the first is not due, and the second waits behind it
    site.run("queue", "drop", first.id, "--yes")
    work(worker)
    assert site.the_ticket()["open"]
    assert site.queued() == []


@pytest.mark.parametrize("entry", ["attempt", "begin", "step", "failed"])
def test_f8_an_event_is_dropped_while_it_is_delivered(
    site: Site, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was to be entered into its journal next: those behind it go on at once."""
    first, second = captured(site), captured(site)
    enter = Event.enter

    def dropped(self: Event, **record: Any) -> None:
        if self.id == first.id and entry in record:
            Queue(str(site.state_dir)).forget(self.id)
        enter(self, **record)

    monkeypatch.setattr(Event, "enter", dropped)
    if entry == "failed":
        failing = {"method": "POST", "path": "*/tickets", "status": 500, "next": 1}
        site.sandbox.faults(fail=failing)
    work(drain(site))
    assert second.id not in [path.stem for path in site.queued()]
    assert site.queued() == site.queued("dead") == []
    assert len([ticket for ticket in site.tickets if ticket["open"]]) == 1


# --- F11: who holds the lock ----------------------------------------------------------------------

NO_LOCKS = pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="the kernel does not say")


@NO_LOCKS
@pytest.mark.parametrize("host", ["worker", "brtel-notify worker", "acme.3cx.fr"])
def test_f11_a_command_is_no_worker_whatever_its_arguments_say(site: Site, host: str) -> None:
    site.configure("", CONFIG.replace("api:\n", "api:\n  timeout: 60\n"))
    site.sandbox.faults(hang={"method": "POST", "path": "*/tickets", "seconds": 600})
    command = start(site.words("event", "--host", host, "--state", "DOWN"), {})
    until(lambda: in_flight(site))
    data = json.loads(site.run("status", "--json").stdout)
    assert data["delivering"] == {"pid": command.pid, "is_worker": False}
    assert f"process {command.pid} delivers" in site.run("status").stdout
    assert "brtel_notify_worker_running 0\n" in site.run("metrics").stdout
    site.sandbox.clear_faults()
    command.communicate(timeout=PATIENCE)
    assert snapshot.holder(str(site.state_dir)) is None


@NO_LOCKS
@pytest.mark.parametrize("said", [b"", b"1 worker\n", b"\xff\xff", b"worker"])
def test_f11_one_that_says_nothing_is_not_guessed_at(site: Site, said: bytes) -> None:
    """An older version's holder; what a killed one left is of another process."""
    site.run("event", *DOWN)
    with DrainLock(str(site.state_dir), COMMAND) as taken:
        assert taken
        (site.state_dir / "drain.lock").write_bytes(said)
        assert snapshot.holder(str(site.state_dir)) == (os.getpid(), None)


# --- a call in doubt ------------------------------------------------------------------------------


def in_doubt(site: Site) -> Event:
    """An event whose creation was begun a moment ago, by a process that was killed."""
    event = captured(site)
    event.enter(attempt=1, key="event:acme.3cx.fr:", companions=[])
    event.enter(begin="create", at=time.time())
    return event


@pytest.mark.parametrize("words", [("flush", "--force-now"), ("queue", "retry", "--force-now")])
def test_force_now_does_not_wait_for_a_call_in_doubt(site: Site, words: List[str]) -> None:
    event = in_doubt(site)
    chosen = [event.id] if words[0] == "queue" else []
    assert "waiting" not in site.run(*words, *chosen).stdout
    assert site.the_ticket()["open"]


class Racing:
    """A clock on which each look takes some seconds."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        self.now += 4
        return self.now


@pytest.mark.parametrize("how", [{"force": True}, {"settles": True}])
def test_force_waits_for_a_call_in_doubt_and_says_so(
    site: Site, how: Dict[str, bool], capfd: pytest.CaptureFixture[str]
) -> None:
    in_doubt(site)
    drain(site, Racing(), **how).run()
    assert "BlueRockTEL may still be at work on a call that it has not answered" in (
        capfd.readouterr().out
    )
    assert site.the_ticket()["open"]


def test_a_drain_by_timer_leaves_a_call_in_doubt_alone(site: Site) -> None:
    in_doubt(site)
    assert "1 still queued" in site.run("flush").stdout
    assert site.tickets == []


def test_what_was_dead_and_in_doubt_is_waited_for(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    queue = Queue(str(site.state_dir))
    event = in_doubt(site)
    event.enter(failed="time-out", maybe_done=True, of="create", at=time.time(), retry_at=0.0)
    queue.bury(event.id, "refused")
    queue.revive(event.id)
    assert "1 still queued" in site.run("flush").stdout
    drain(site, Racing(), settles=True).run()
    assert "waiting " in capfd.readouterr().out
    assert site.the_ticket()["open"]


def test_force_takes_what_backs_off_although_another_is_in_doubt(site: Site) -> None:
    in_doubt(site)
    other = captured(site, host="db1")
    other.enter(attempt=1, key="event:db1:", companions=[])
    other.enter(failed="refused", maybe_done=False, of="", retry_at=time.time() + 600)
    with subprocess.Popen(site.words("flush", "--force"), stdout=subprocess.PIPE) as flush:
        assert flush.stdout is not None
        assert b"--force-now does not wait" in flush.stdout.readline()
        assert "db1" in site.the_ticket()["subject"]
        flush.terminate()
