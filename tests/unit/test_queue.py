"""The queue: nothing is lost, nothing changes places, nothing in it stops what is behind it."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest

from brtel_notify.delivery import retry
from brtel_notify.intake import journal, order, queue
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import STALE_TEMPORARY, SUFFIX, Damaged, Event, Queue
from brtel_notify.local import files

NOW = 1_700_000_000.0
ATTEMPT = {"attempt": 1, "at": "2026-11-21T18:31:42Z"}
FOUND = {"step": "find", "result": {"customer": None, "ticket": None, "seen": []}}
BEGUN = {"begin": "create"}
CUSTOMER = {"id": 42, "name": "Acme", "account": "CL2385", "how": "pbx"}
TICKET = {
    "id": 1024,
    "number": "A7KZ2F",
    "open": True,
    "mine": True,
    "ours": True,
    "milder": False,
    "priority_id": None,
    "customer": CUSTOMER,
}
CREATED = {"step": "create", "result": TICKET}
SURE = {"failed": "refused", "maybe_done": False, "retry_at": 50.0}
UNSURE = {"failed": "time-out", "maybe_done": True, "retry_at": 60.0}
DEAD = {"dead": "nobody owns it", "at": 1.0}
REQUEUED = {"requeued": 1.0}


def capture(stdin: str = "", **env: str) -> Capture:
    return Capture("nagios", env, ["--var", "A=B"], stdin, NOW)


def mode(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "var" / "state"


@pytest.fixture
def waiting(state_dir: Path) -> Queue:
    return Queue(str(state_dir))


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=lambda mask: f"umask{mask:03o}")
def umask(request: pytest.FixtureRequest, state_dir: Path) -> Iterator[None]:
    state_dir.parent.mkdir()
    before = os.umask(request.param)
    yield
    os.umask(before)


def file_of(folder: Path, event_id: str) -> Path:
    return folder / (event_id + SUFFIX)


# --- storing --------------------------------------------------------------------------------------


def test_first_event_makes_the_folders(waiting: Queue, state_dir: Path, umask: None) -> None:
    event = waiting.add(capture())
    for folder in (state_dir, state_dir / "queue", state_dir / "dead"):
        assert mode(folder) == 0o700
    assert mode(Path(event.path)) == 0o600
    assert waiting.pending() == [event.id]
    assert waiting.dead() == []


def test_shared_state_folder_shares_what_is_in_it(
    waiting: Queue, state_dir: Path, umask: None
) -> None:
    state_dir.mkdir()
    state_dir.chmod(0o2770)
    event = waiting.add(capture())
    waiting.bury(event.id, "reason")
    assert mode(state_dir / "queue") == mode(state_dir / "dead") == 0o2770
    assert mode(file_of(state_dir / "dead", event.id)) == 0o660


@pytest.mark.parametrize(
    "text",
    ["", "plain", "two\nlines\r\n", "\0", "\udc80\udcff", "é €", "\u2028", "x" * 5_000_000],
    ids=["empty", "plain", "lines", "NUL", "surrogates", "accents", "U+2028", "5MB"],
)
def test_capture_comes_back_as_it_was(waiting: Queue, text: str) -> None:
    word = text.replace("\0", "")  # no process can be given one there
    stored = Capture("nagios", {"NAGIOS_A": word}, [word], text, NOW)
    event = waiting.add(stored)
    assert event.capture.as_dict() == stored.as_dict()
    again = waiting.load(event.id)
    assert again.capture.as_dict() == stored.as_dict()
    assert (again.id, again.path, again.journal) == (event.id, event.path, [])


def test_event_is_on_disk_when_add_returns(waiting: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: List[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real(descriptor)

    waiting.add(capture())
    monkeypatch.setattr(os, "fsync", fsync)
    waiting.add(capture())
    assert synced == ["file", "folder"]


def test_thousands_of_events_keep_their_order(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    ids = [waiting.add(capture()).id for _ in range(2000)]
    assert waiting.pending() == ids
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("step", [0, -1_000_000_000])
def test_clock_that_stands_still_or_goes_back_keeps_the_order(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    clock = [time.time_ns() + 3_600_000_000_000]

    def time_ns() -> int:
        clock[0] += step
        return clock[0]

    monkeypatch.setattr(order, "_latest", 0)
    monkeypatch.setattr(time, "time_ns", time_ns)
    ids = [waiting.add(capture()).id for _ in range(50)]
    assert waiting.pending() == ids


def test_several_processes_at_once_lose_nothing_and_keep_each_ones_order(
    waiting: Queue, state_dir: Path
) -> None:
    script = """
import sys
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Queue
for number in range(100):
    print(Queue(sys.argv[1]).add(Capture("event", {}, [], "", 1.0)).id)
"""
    command = [sys.executable, "-c", script, str(state_dir)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = [process.communicate()[0].split() for process in running]
    assert [process.returncode for process in running] == [0] * 4
    pending = waiting.pending()
    assert sorted(event_id for ids in told for event_id in ids) == pending
    assert len(pending) == 400
    for ids in told:
        assert [event_id for event_id in pending if event_id in set(ids)] == ids


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("function", ["write", "fsync", "rename", "mkdir"])
def test_disk_that_refuses_is_said_and_nothing_is_half_stored(
    waiting: Queue, state_dir: Path, monkeypatch: pytest.MonkeyPatch, function: str, code: int
) -> None:
    """Not stored means not stored: the monitoring server calls again."""

    def fail(*arguments: Any, **options: Any) -> None:
        path = arguments[:1] if function == "mkdir" else ()
        raise OSError(code, os.strerror(code), *path)

    if function != "mkdir":
        waiting.add(capture())
    before = waiting.pending()
    with monkeypatch.context() as patched:
        patched.setattr(os, function, fail)
        with pytest.raises(OSError, match=os.strerror(code)) as raised:
            waiting.add(capture())
    assert raised.value.errno == code
    assert str(raised.value.filename).startswith(str(state_dir.parent))
    assert waiting.pending() == before
    if function != "mkdir":
        assert len(os.listdir(state_dir / "queue")) == 1


def test_folder_whose_fsync_fails_has_not_stored(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting.add(capture())
    before = waiting.pending()

    def fail(folder: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(files, "sync_folder", fail)
    with pytest.raises(OSError, match="Input/output"):
        waiting.add(capture())
    assert waiting.pending() == before


@pytest.mark.parametrize("where", ["var", "var/state", "var/state/queue"])
def test_file_in_a_folders_place_is_named(waiting: Queue, tmp_path: Path, where: str) -> None:
    obstacle = tmp_path / where
    obstacle.parent.mkdir(parents=True, exist_ok=True)
    obstacle.write_text("")
    with pytest.raises(OSError, match=str(obstacle)) as raised:
        waiting.add(capture())
    assert raised.value.filename


def test_proof_finds_what_would_stop_an_event(waiting: Queue, state_dir: Path) -> None:
    waiting.prove()
    assert sorted(os.listdir(state_dir)) == ["dead", "queue"]
    assert os.listdir(state_dir / "queue") == os.listdir(state_dir / "dead") == []
    (state_dir / "dead").rmdir()  # a process was killed between the two
    waiting.prove()
    (state_dir / "dead").rmdir()
    (state_dir / "dead").write_text("")
    with pytest.raises(NotADirectoryError):
        waiting.prove()


# --- the journal ----------------------------------------------------------------------------------


def test_journal_is_read_back(waiting: Queue) -> None:
    event = waiting.add(capture())
    event.enter(**ATTEMPT)
    event.enter(step="details", result={"text": "é\udc80\n", "none": None})
    again = waiting.load(event.id)
    assert again.journal == event.journal
    assert again.results == {"details": {"text": "é\udc80\n", "none": None}}


def journalled(*records: Dict[str, Any]) -> Event:
    return Event("queue/1.jsonl", capture(), list(records))


@pytest.mark.parametrize(
    ("records", "in_doubt"),
    [
        ([], False),
        ([ATTEMPT], False),  # killed before its call
        ([ATTEMPT, FOUND], False),
        ([ATTEMPT, BEGUN], True),  # killed in its call
        ([ATTEMPT, BEGUN, CREATED], False),
        ([ATTEMPT, BEGUN, SURE], False),  # the call never arrived
        ([ATTEMPT, BEGUN, UNSURE], True),
        ([ATTEMPT, FOUND, SURE], False),
        ([ATTEMPT, BEGUN, UNSURE, ATTEMPT], True),
        (
            [ATTEMPT, BEGUN, UNSURE, ATTEMPT, SURE],
            True,
        ),  # it was the look at the server that failed
        ([ATTEMPT, BEGUN, UNSURE, ATTEMPT, FOUND], True),  # another step settles nothing
        ([ATTEMPT, BEGUN, UNSURE, ATTEMPT, BEGUN, SURE], False),  # looked, not there, begun again
        ([ATTEMPT, BEGUN, UNSURE, ATTEMPT, CREATED], False),  # looked, and there it was
        ([ATTEMPT, BEGUN, UNSURE, DEAD, REQUEUED], True),  # being dead settles nothing
        ([ATTEMPT, BEGUN, SURE, DEAD, REQUEUED], False),
        ([ATTEMPT, {"begin": "note"}], False),
    ],
)
def test_doubt_is_whether_a_step_may_have_been_done(
    records: List[Dict[str, Any]], in_doubt: bool
) -> None:
    assert journalled(*records).in_doubt("create") is in_doubt


@pytest.mark.parametrize(
    ("retry_at", "waits"),
    [(0.0, False), (NOW - 1, False), (NOW + 900, True), (NOW + 10 * 365 * 86400, False)],
)
def test_an_event_waits_for_its_time_unless_a_wrong_clock_set_it(
    retry_at: float, waits: bool
) -> None:
    assert retry.waits(journalled(ATTEMPT, {**SURE, "retry_at": retry_at}), NOW) is waits


@pytest.mark.parametrize(
    ("records", "waits"),
    [
        ([ATTEMPT, {"begin": "create", "at": NOW - 1}], True),  # killed in its call
        ([ATTEMPT, {"begin": "create", "at": NOW - 61}], False),
        ([ATTEMPT, {"begin": "create", "at": NOW + 1e6}], False),  # by a clock that was wrong
        ([ATTEMPT, {"begin": "create", "at": NOW - 1}, CREATED], False),
        ([ATTEMPT, {"begin": "create", "at": NOW - 1}, FOUND], True),  # another step's result
        ([ATTEMPT, {"begin": "create", "at": NOW - 1}, SURE], False),  # it lived to tell
        ([ATTEMPT, {"begin": "create", "at": NOW - 1}, REQUEUED], True),
        ([ATTEMPT, {"begin": "create", "at": "noon"}], False),
    ],
)
def test_what_may_be_under_way_is_given_the_time_to_arrive(
    records: List[Dict[str, Any]], waits: bool
) -> None:
    event = Event("queue/1.jsonl", capture(), [r for r in records if journal.is_sound(r)])
    assert retry.waits(event, NOW) is waits


def test_a_clock_set_back_between_processes_does_not_change_the_order(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = waiting.add(capture())
    monkeypatch.setattr(order, "_latest", 0)  # another process
    monkeypatch.setattr(time, "time_ns", lambda: int(first.id[:20]) - 600 * 10**9)
    second = waiting.add(capture())
    assert waiting.pending() == [first.id, second.id]


def test_a_clock_set_back_stays_noticed_after_the_first_event(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [waiting.add(capture()).id]
    for minutes in (600, 599):
        monkeypatch.setattr(order, "_latest", 0)  # another process
        earlier = int(ids[0][:20]) - minutes * 60 * 10**9
        monkeypatch.setattr(time, "time_ns", lambda earlier=earlier: earlier)
        ids.append(waiting.add(capture()).id)
        os.utime(waiting.folder, ns=(earlier, earlier))  # the kernel's clock was set back, too
    assert waiting.pending() == ids


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """The folders that a name was looked for in, as that happens."""
    looked: List[str] = []
    names_in = files.names_in

    def counted(folder: str) -> List[str]:
        looked.append(folder)
        return names_in(folder)

    monkeypatch.setattr(files, "names_in", counted)
    return looked


def hint(waiting: Queue) -> Path:
    (found,) = Path(waiting.state_dir).glob(f"{order.PREFIX}*")
    return found


def test_the_queue_is_looked_through_once_a_boot_and_not_at_each_event(
    waiting: Queue, listed: List[str]
) -> None:
    """Case F6: storing an event in front of 50,000 costs what it costs in front of none."""
    for _ in range(5):
        waiting.add(capture())
    assert listed == [waiting.folder]


@pytest.mark.parametrize(
    "damage", ["", "junk\n", "12 13\n", "-5 -5\n", f"{10**19} {10**19}\n", None]
)
def test_a_hint_that_is_lost_or_damaged_is_made_anew(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch, listed: List[str], damage: Optional[str]
) -> None:
    """The clock was set back as well: the names that are there say what comes behind them."""
    ids = [waiting.add(capture()).id]
    if damage is None:
        hint(waiting).unlink()
    else:
        hint(waiting).write_text(damage)
    for _ in range(3):
        monkeypatch.setattr(order, "_latest", 0)  # another process
        monkeypatch.setattr(time, "time_ns", lambda: int(ids[0][:20]) - 600 * 10**9)
        ids.append(waiting.add(capture()).id)
    assert waiting.pending() == ids
    assert listed.count(waiting.folder) == 3  # twice for names, once here


def test_after_a_boot_with_a_clock_that_is_behind_the_order_is_kept(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ids = [waiting.add(capture()).id]
    (tmp_path / "boot_id").write_text("another-boot\n")
    monkeypatch.setattr(order, "BOOT_ID", str(tmp_path / "boot_id"))
    monkeypatch.setattr(time, "clock_gettime_ns", lambda clock: 5 * 10**9)
    for _ in range(3):
        monkeypatch.setattr(time, "time_ns", lambda: 10**9)  # 1970
        ids.append(waiting.add(capture()).id)
    assert waiting.pending() == ids
    waiting.sweep(time.time())
    assert hint(waiting).name == ".order.another-boot"


def test_a_clock_set_forward_is_followed(waiting: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that names tell when, and sort behind those that an older version gives meanwhile."""
    first = waiting.add(capture())
    later = time.time_ns() + 3600 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    older_versions = Path(first.path).with_name(f"{later - 5:020d}-0000001-abcdef.jsonl")
    older_versions.write_bytes(Path(first.path).read_bytes())
    second = waiting.add(capture())
    assert waiting.pending() == [first.id, older_versions.stem, second.id]


@pytest.mark.parametrize("boot_id", ["missing", "empty"])
def test_where_the_system_names_no_boot_the_queue_is_looked_through(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, boot_id: str
) -> None:
    (tmp_path / "empty").touch()
    monkeypatch.setattr(order, "BOOT_ID", str(tmp_path / boot_id))
    ids = [waiting.add(capture()).id]
    monkeypatch.setattr(order, "_latest", 0)  # another process
    monkeypatch.setattr(time, "time_ns", lambda: int(ids[0][:20]) - 600 * 10**9)
    ids.append(waiting.add(capture()).id)
    assert waiting.pending() == ids
    assert not list(Path(waiting.state_dir).glob(f"{order.PREFIX}*"))


def test_of_many_that_come_first_after_a_boot_one_says_what_the_others_follow(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody is faster between the look at the queue and the hint's being left."""
    link = os.link

    def late(source: str, target: str) -> None:
        monkeypatch.setattr(os, "link", link)
        Path(target).write_text(f"{10**18 * 5} {10**18 * 5}\n")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    first = waiting.add(capture())
    assert int(first.id[:20]) > 10**18 * 5
    assert hint(waiting).read_text() == f"{10**18 * 5} {10**18 * 5}\n"


def test_an_event_is_stored_where_no_hint_can_be(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: str, target: str) -> None:
        raise PermissionError(errno.EPERM, "no hard links", target)

    monkeypatch.setattr(os, "link", refused)
    ids = [waiting.add(capture()).id for _ in range(3)]
    assert waiting.pending() == ids
    assert not list(Path(waiting.state_dir).glob(f"{order.PREFIX}*"))


def test_a_file_larger_than_any_event_is_damaged(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = waiting.add(capture())
    monkeypatch.setattr(queue, "LARGEST", 10)
    with pytest.raises(Damaged, match="larger than any event"):
        waiting.load(event.id)


@pytest.mark.parametrize(
    ("records", "attempts", "retry_at", "error"),
    [
        ([], 0, 0.0, ""),
        ([ATTEMPT], 1, 0.0, ""),
        ([ATTEMPT, SURE], 1, 50.0, "refused"),
        ([ATTEMPT, SURE, ATTEMPT, UNSURE], 2, 60.0, "time-out"),
        ([ATTEMPT, {"failed": "out of time", "maybe_done": False}], 1, 0.0, "out of time"),
        ([ATTEMPT, SURE, DEAD], 1, 50.0, "nobody owns it"),
        ([ATTEMPT, SURE, DEAD, REQUEUED], 1, 0.0, "nobody owns it"),
        ([ATTEMPT, SURE, DEAD, REQUEUED, ATTEMPT, UNSURE], 2, 60.0, "time-out"),
    ],
)
def test_attempts_and_what_came_of_them(
    records: List[Dict[str, Any]], attempts: int, retry_at: float, error: str
) -> None:
    event = journalled(*records)
    assert (event.attempts, retry.due_at(event, NOW), event.error) == (attempts, retry_at, error)


def test_results_are_the_last_of_each_step() -> None:
    later = {"step": "find", "result": {"customer": CUSTOMER}}
    assert journalled(FOUND, ATTEMPT, CREATED, later).results == {
        "find": {"customer": CUSTOMER},
        "create": TICKET,
    }


NOT_A_NUMBER = [b'"x"', b"true", b"null", b"[1]", b"-1", b"NaN", b"Infinity", b"1e400", b"9" * 400]


@pytest.mark.parametrize(
    "line",
    [
        b'{"step": "create", "resu',
        b"\0\0\0\0\0\0\0\0",
        b"\xff\xfe{}",
        b"null",
        b"[1]",
        b'"step"',
        b"[" * 100_000,
        b'{"bexin": "create", "at": 1.0}',
        b'{"begin": 1}',
        b'{"attempt": 1, "key": 5}',
        b'{"attempt": 1, "companions": 5}',
        b'{"attempt": 1, "companions": [5]}',
        b'{"step": "create"}',
        b'{"step": ["create"], "result": 1}',
        b'{"step": "details", "result": ' + b"[" * 500 + b"]" * 500 + b"}",
        *(
            json.dumps({"step": "create", "result": result}).encode()
            for result in (5, None, {}, {**TICKET, "id": "7"}, {**TICKET, "customer": None})
        ),
        *(
            json.dumps({"step": step, "result": 5.5}).encode()
            for step in ("find", "check", "update", "gone")
        ),
        b'{"failed": "x"}',
        b'{"failed": ["x"], "maybe_done": false}',
        b'{"failed": "x", "maybe_done": 0}',
        b'{"failed": "x", "maybe_done": false, "retry_at": "soon"}',
        *(b'{"begin": "create", "at": %b}' % number for number in NOT_A_NUMBER),
        *(b'{"failed": "x", "maybe_done": true, "retry_at": %b}' % n for n in NOT_A_NUMBER),
        *(b'{"dead": "x", "at": %b}' % number for number in NOT_A_NUMBER),
        *(b'{"requeued": %b}' % number for number in NOT_A_NUMBER),
    ],
)
def test_line_that_says_nothing_may_have_said_anything(waiting: Queue, line: bytes) -> None:
    event = waiting.add(capture())
    event.enter(**ATTEMPT)
    with open(event.path, "ab") as file:
        file.write(line + b"\n")
    again = waiting.load(event.id)
    assert again.in_doubt("create")
    assert again.in_doubt("note")
    again.enter(**CREATED)
    again = waiting.load(event.id)
    assert again.results == {"create": TICKET}
    assert not again.in_doubt("create")
    assert again.in_doubt("note")
    assert (again.attempts, retry.due_at(again, NOW), again.error) == (1, 0.0, "")


def test_empty_line_is_none(waiting: Queue) -> None:
    event = waiting.add(capture())
    with open(event.path, "ab") as file:
        file.write(b"\n \r\n")
    assert waiting.load(event.id).journal == []


def test_who_goes_with_an_event_is_nobody_if_its_attempt_cannot_be_read(waiting: Queue) -> None:
    event = waiting.add(capture())
    assert event.companions is None
    with open(event.path, "ab") as file:
        file.write(b'{"attempt": 1, "companions": ["a"\n')
    assert waiting.load(event.id).companions == []
    event.enter(**ATTEMPT, companions=["a", "b"])
    assert waiting.load(event.id).companions == ["a", "b"]


def test_journal_cut_at_any_byte_keeps_what_was_whole(waiting: Queue) -> None:
    event = waiting.add(capture())
    first = len(Path(event.path).read_bytes())
    event.enter(**ATTEMPT)
    second = len(Path(event.path).read_bytes())
    event.enter(**CREATED)
    whole = Path(event.path).read_bytes()
    end = len(whole) - 1
    for length in range(first, len(whole)):
        Path(event.path).write_bytes(whole[:length])
        again = waiting.load(event.id)
        # What half a line began to say is not known; it may have been of an attempt.
        assert again.attempts == (length > first)
        # A line is whole with its last brace; the newline only ends it.
        assert again.in_doubt("create") is (first < length < second - 1 or second < length < end)
        assert again.results == ({"create": TICKET} if length >= end else {})
        again.enter(**FOUND)
        assert waiting.load(event.id).results["find"] == FOUND["result"]


def test_note_that_does_not_fit_the_disk_is_not_said(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = waiting.add(capture())
    event.enter(**ATTEMPT)

    def fail(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        with pytest.raises(OSError, match="No space left") as raised:
            event.enter(**CREATED)
    assert raised.value.filename == event.path
    assert event.journal == [ATTEMPT]
    assert waiting.load(event.id).journal == [ATTEMPT]


# --- damage ---------------------------------------------------------------------------------------

#: As version 0.1.0 wrote it; for today's form see test_capture_file.py.
GOOD = {"source": "event", "time": 1.0, "env": {}, "argv": [], "stdin": ""}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\0\xff\xfe",
        b"[" * 100_000,
        b"null\n",
        b'"text"\n',
        b"[]\n",
        b"{}\n",
        *(
            json.dumps({**GOOD, name: value}).encode()
            for name, value in (
                ("source", None),
                ("source", ["event"]),
                ("time", "now"),
                ("time", None),
                ("time", True),
                ("time", float("nan")),
                ("time", float("inf")),
                ("time", -1.0),
                ("time", 10**400),
                ("env", []),
                ("env", "A=B"),
                ("env", {"A": 1}),
                ("argv", "text"),
                ("argv", [1]),
                ("argv", {"A": "B"}),
                ("stdin", None),
            )
        ),
    ],
)
def test_file_that_is_no_capture_is_damaged_and_can_be_buried(waiting: Queue, data: bytes) -> None:
    event_id = waiting.add(capture()).id
    file_of(Path(waiting.folder), event_id).write_bytes(data)
    with pytest.raises(Damaged, match=event_id):
        waiting.load(event_id)
    waiting.bury(event_id, "damaged")
    assert (waiting.pending(), waiting.dead()) == ([], [event_id])
    assert file_of(Path(waiting.dead_folder), event_id).read_bytes().startswith(data)


def test_capture_cut_at_any_byte_is_damaged(waiting: Queue) -> None:
    event = waiting.add(capture("é"))
    whole = Path(event.path).read_bytes()
    for length in range(len(whole) - 1):
        Path(event.path).write_bytes(whole[:length])
        with pytest.raises(Damaged):
            waiting.load(event.id)


@pytest.mark.parametrize("kind", ["folder", "link", "fifo"])
def test_what_is_no_file_is_damaged_and_can_be_buried(
    waiting: Queue, tmp_path: Path, kind: str
) -> None:
    """Else one such thing stops every event behind it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps(GOOD) + "\n")
    event_id = waiting.add(capture()).id
    path = file_of(Path(waiting.folder), event_id)
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(elsewhere)
    else:
        os.mkfifo(path)
    with pytest.raises(Damaged, match="where a file is due"):
        waiting.load(event_id)
    waiting.bury(event_id, "damaged")
    assert (waiting.pending(), waiting.dead()) == ([], [event_id])
    assert elsewhere.read_text() == json.dumps(GOOD) + "\n"


# --- dead and alive -------------------------------------------------------------------------------


def test_buried_event_keeps_its_capture_and_says_why(waiting: Queue) -> None:
    event = waiting.add(capture("raw"))
    event.enter(**ATTEMPT)
    waiting.bury(event.id, "nobody owns it\né")
    dead = waiting.load(event.id, dead=True)
    assert (waiting.pending(), waiting.dead()) == ([], [event.id])
    assert (dead.capture.stdin, dead.error, dead.attempts) == ("raw", "nobody owns it\né", 1)
    with pytest.raises(FileNotFoundError):
        waiting.load(event.id)


def test_revived_event_is_due_at_once_in_its_old_place(waiting: Queue) -> None:
    events = [waiting.add(capture()) for _ in range(3)]
    events[1].enter(**{**SURE, "retry_at": NOW})
    waiting.bury(events[1].id, "reason")
    waiting.revive(events[1].id)
    assert waiting.pending() == [event.id for event in events]
    assert waiting.dead() == []
    assert retry.due_at(waiting.load(events[1].id), NOW) == 0.0


def test_what_an_operator_took_out_is_no_failure(waiting: Queue) -> None:
    event = waiting.add(capture())
    waiting.forget(event.id)
    waiting.forget(event.id)
    waiting.remove(event)
    waiting.bury(event.id, "reason")
    assert (waiting.pending(), waiting.dead()) == ([], [])
    with pytest.raises(FileNotFoundError):
        waiting.revive(event.id)


def test_removed_and_forgotten_events_are_gone(waiting: Queue) -> None:
    done, dropped, dead = (waiting.add(capture()) for _ in range(3))
    waiting.bury(dead.id, "reason")
    waiting.remove(done)
    waiting.forget(dropped.id)
    waiting.forget(dead.id)
    assert (waiting.pending(), waiting.dead()) == ([], [])


def test_event_that_cannot_be_dropped_is_said(
    waiting: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = waiting.add(capture())

    def fail(path: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system", path)

    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(OSError, match="Read-only") as raised:
        waiting.forget(event.id)
    assert raised.value.filename == event.path


def test_finding_looks_in_both_folders(waiting: Queue) -> None:
    alive, dead = waiting.add(capture("a")), waiting.add(capture("d"))
    waiting.bury(dead.id, "reason")
    stdin = [found and found.capture.stdin for found in map(waiting.find, (alive.id, dead.id, "1"))]
    assert stdin == ["a", "d", None]


@pytest.mark.parametrize(
    "event_id", ["../secret", "../../secret", "x/../../secret", "/{folder}/secret", "", ".", "a\0b"]
)
def test_id_does_not_lead_out_of_the_folder(waiting: Queue, state_dir: Path, event_id: str) -> None:
    waiting.prove()
    (state_dir / "queue" / "x").mkdir()
    outside = [state_dir / f"secret{SUFFIX}", state_dir.parent / f"secret{SUFFIX}"]
    for path in outside:
        path.write_text(json.dumps(GOOD) + "\n")
    event_id = event_id.format(folder=state_dir)
    assert waiting.find(event_id) is None
    waiting.forget(event_id)
    waiting.bury(event_id, "reason")
    for act in (waiting.load, waiting.revive):
        with pytest.raises(FileNotFoundError):
            act(event_id)
    assert [path.read_text() for path in outside] == [json.dumps(GOOD) + "\n"] * 2


def test_only_events_are_listed(waiting: Queue, state_dir: Path) -> None:
    assert waiting.pending() == waiting.dead() == []
    event = waiting.add(capture())
    for name in (".hidden.jsonl", "notes.txt", f".{event.id}.jsonl.1.abcd.tmp"):
        (state_dir / "queue" / name).write_text("")
    assert waiting.pending() == [event.id]


def test_sweep_takes_only_what_killed_processes_left(waiting: Queue, state_dir: Path) -> None:
    waiting.sweep(NOW)  # nothing there yet is no failure
    event = waiting.add(capture())
    old = event.capture.time - STALE_TEMPORARY - 1
    left: List[Path] = []
    kept = [Path(event.path)]
    for folder in (state_dir, state_dir / "queue", state_dir / "dead"):
        left.append(folder / ".state.json.12.abcd.tmp")
        kept += [folder / ".young.tmp", folder / "state.json", folder / ".other"]
        for path in (left[-1], *kept[-3:]):
            path.write_text("")
            os.utime(path, (old, old))
        os.utime(folder / ".young.tmp", (NOW, NOW))
    os.utime(event.path, (old, old))
    waiting.sweep(NOW)
    assert [path.exists() for path in left] == [False] * 3
    assert all(path.exists() for path in kept)
