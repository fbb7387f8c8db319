"""What an editor or a disk left in one file of the queue costs that event at most."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Tuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from inprocess import drain
from support import Site

from brtel_notify import cli
from brtel_notify.alert import reference
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import SUFFIX, Event, Queue
from brtel_notify.local import files
from brtel_notify.sandbox.testing import SandboxProcess

HOST = "acme.3cx.fr"
WARNING = ["--state", "WARNING"]
CRITICAL = ["--state", "CRITICAL"]
OK = ["--state", "OK", "--kind", "recovery"]
#: What happens to one ticket; the last of it is the event whose file is damaged.
STORIES = {"opened": [WARNING], "worse": [WARNING, CRITICAL], "closed": [WARNING, OK]}


class Record(NamedTuple):
    """An event as it was just before it was done: its id, its file, and the map as it was then."""

    event_id: str
    lines: List[bytes]
    state: Optional[bytes]


def add(site: Site, host: str, words: List[str]) -> Event:
    found = Capture("event", {}, ["--host", host, *words], "", time.time())
    return Queue(str(site.state_dir)).add(found)


def record(site: Site, words: List[str]) -> Record:
    """Deliver an event; what its file said when everything was done."""
    kept = []
    remove = Queue.remove

    def keep(self: Queue, event: Event) -> None:
        kept.append(Path(event.path).read_bytes())
        remove(self, event)

    state_file = site.state_dir / "state.json"
    state = state_file.read_bytes() if state_file.exists() else None
    event = add(site, HOST, words)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Queue, "remove", keep)
        drain(site)
    return Record(event.id, kept[0].splitlines(), state)


def put(site: Site, recorded: Record, content: bytes) -> Path:
    """The machine as it was before that event was done, but for what its file says."""
    path = site.state_dir / "queue" / (recorded.event_id + SUFFIX)
    path.write_bytes(content)
    if recorded.state is not None:
        (site.state_dir / "state.json").write_bytes(recorded.state)
    else:
        (site.state_dir / "state.json").unlink(missing_ok=True)
    return path


# --- nothing is done twice ------------------------------------------------------------------------

JUNK = (b"\0" * 40, b"{", b"5", b'{"bexin": "create"}', b'{"step": "create", "result": 5}')


@pytest.mark.short
@pytest.mark.parametrize("story", STORIES)
def test_a_line_that_cannot_be_read_has_nothing_done_twice(site: Site, story: str) -> None:
    """Wherever the process was killed, and whichever line of its journal was lost after that."""
    *before, last = STORIES[story]

    def start_over() -> Record:
        site.sandbox.reset()
        (site.state_dir / "state.json").unlink(missing_ok=True)
        for words in before:
            record(site, words)
        return record(site, last)

    for killed in range(2, len(start_over().lines) + 1):
        for lost in range(1, killed):
            recorded = start_over()
            lines = recorded.lines[:killed]
            lines[lost] = JUNK[(killed + lost) % len(JUNK)]
            path = put(site, recorded, b"\n".join(lines) + b"\n")
            drain(site)
            assert not path.exists()
            replies = site.the_ticket()["replies"]
            assert len(replies) == len(STORIES[story]), lines
            assert sum(reference(recorded.event_id) in reply["body"] for reply in replies) == 1
            assert site.the_ticket()["open"] == (last != OK)


# --- whatever stands in one file ------------------------------------------------------------------

ABSURD = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1e400, -1e400, float("nan"), 10**400, -(10**400), 2**63, 0.5),
        *("", "x", "\ud800", "\0", "noon", [], {}, [[]], {"id": 1}, [None], ["x"], "9" * 400),
        json.loads("[" * 100 + "]" * 100),
    ]
)
JSON = st.recursive(
    ABSURD, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3)
)
KINDS = ("attempt", "begin", "refused", "step", "failed", "dead", "requeued", "unreadable")
NAMES = (*KINDS, "at", "key", "retry_at", "result", "maybe_done", "companions", "of", "turned_down")
LINES = st.one_of(
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.sampled_from(NAMES), JSON, min_size=1, max_size=4).map(
        lambda value: json.dumps(value).encode()
    ),
)


def places(value: Any, way: Tuple[Any, ...] = ()) -> Iterator[Tuple[Any, ...]]:
    """The way to each value inside a JSON value."""
    yield way
    names = (
        value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    )
    for name in names:
        yield from places(value[name], (*way, name))


def with_another(value: Any, way: Tuple[Any, ...], other: Any) -> Any:
    """VALUE with OTHER at the end of that way."""
    if not way:
        return other
    changed = value.copy()
    changed[way[0]] = with_another(value[way[0]], way[1:], other)
    return changed


@st.composite
def damaged(draw: Callable[..., Any], line: bytes) -> bytes:
    """A line after something happened to it."""
    if draw(st.booleans()):
        place = draw(st.integers(0, len(line)))
        between: bytes = draw(st.binary(max_size=2))
        return line[:place] + between + line[place + 1 :]
    try:
        value = json.loads(line)
    except ValueError:
        return line
    way = draw(st.sampled_from(list(places(value))))
    return json.dumps(with_another(value, way, draw(JSON))).encode()


@st.composite
def damaged_files(draw: Callable[..., Any], recorded: List[Record]) -> Tuple[Record, bytes]:
    """A file that was one of the RECORDED ones, before something happened to it."""
    chosen = draw(st.sampled_from(recorded))
    lines = list(chosen.lines[: draw(st.integers(0, len(chosen.lines)))])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(lines)))
        how = draw(st.sampled_from(["damaged", "damaged", "damaged", "another", "gone", "more"]))
        if how == "more" or at == len(lines):
            lines.insert(at, draw(LINES))
        elif how == "gone":
            del lines[at]
        else:
            lines[at] = draw(LINES) if how == "another" else draw(damaged(lines[at]))
    return chosen, b"\n".join(lines) + draw(st.sampled_from([b"\n", b"", b"\0" * 9]))


BREAKER = b'{"failures": 2, "since": 1700000000, "retry_at": %d, "error": "no answer"}' % (
    time.time() + 60
)
LOOK = ("queue list", "queue list --json", "status", "status --json", "check", "metrics")


def run(site: Site, *words: str) -> Tuple[int, str]:
    """Run a command in this process; its exit code, and all that it said."""
    options = ["--config", str(site.config_file), "--state-dir", str(site.state_dir)]
    said = io.BytesIO()
    # As strict as stdout is: no command may fail by what it has to show.
    stdout = io.TextIOWrapper(said, "utf-8", write_through=True)
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stdout):
        code = cli.main([*options, *words])
    return code, said.getvalue().decode()


def look(site: Site, *event_ids: str) -> None:
    """All that can be looked at; a plugin's exit codes are 0 to 3."""
    looks = [words.split() for words in LOOK]
    for event_id in event_ids:
        looks += [["queue", "show", event_id], ["queue", "show", "--json", event_id]]
    for words in looks:
        code, said = run(site, *words)
        assert code in (0, 1, 2, 3, 65), said
        assert "unforeseen" not in said


@pytest.fixture(scope="module")
def recorded(sandbox_process: SandboxProcess) -> Iterator[List[Record]]:
    """The events of a ticket, all of which were done."""
    sandbox_process.reset()
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder), sandbox_process)
        found = [record(site, words) for words in (WARNING, CRITICAL, OK)]
        # As long as each other at every run, so that what fails at one fails at the next.
        yield [
            each._replace(lines=[re.sub(rb"(\d{10}\.\d)\d*", rb"\1", line) for line in each.lines])
            for each in found
        ]


# What fails is told as it was found: to make it smaller takes many minutes.
@settings(suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(st.data())
def test_whatever_stands_in_one_file_the_other_event_is_delivered(
    tmp_path_factory: pytest.TempPathFactory,
    sandbox_process: SandboxProcess,
    recorded: List[Record],
    data: st.DataObject,
) -> None:
    site = Site(tmp_path_factory.mktemp("damage"), sandbox_process)
    Queue(str(site.state_dir)).make_folders()
    chosen, content = data.draw(damaged_files(recorded))
    put(site, chosen, content)
    name = data.draw(st.sampled_from(["01795000000000000000-0000001-abcdef", "a b\n", "9\udcff"]))
    (site.state_dir / "dead" / (name + SUFFIX)).write_bytes(content)
    good = add(site, "pbx1.example.net", CRITICAL)
    look(site, chosen.event_id, name)
    code, said = run(site, "flush", "--force-now")
    assert code == 0, said
    assert "event:pbx1.example.net: " in said
    assert not Path(good.path).exists()
    look(site, chosen.event_id, name)
    for words in (["queue", "retry", "--all"], ["flush", "--force-now"]):
        code, said = run(site, *words)
        assert code in (0, 65), said
    look(site, chosen.event_id, name)
    assert run(site, "queue", "drop", "--all", "--yes")[0] == 0


@settings(suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(st.data())
def test_whatever_stands_in_the_files_beside_the_queue_events_are_delivered(
    tmp_path_factory: pytest.TempPathFactory,
    sandbox_process: SandboxProcess,
    recorded: List[Record],
    data: st.DataObject,
) -> None:
    site = Site(tmp_path_factory.mktemp("damage"), sandbox_process)
    add(site, "pbx1.example.net", CRITICAL)
    for name, content in (("state.json", recorded[1].state or b""), ("breaker.json", BREAKER)):
        (site.state_dir / name).write_bytes(data.draw(damaged(content)))
    look(site)
    code, said = run(site, "flush", "--force-now")
    if code == 78:
        assert "state.json is of version" in said
    else:
        assert code == 0, said
        assert site.queued() == []
    look(site)


@pytest.mark.parametrize(
    "line",
    [
        '{"requeued": "x"}',
        '{"failed": "x", "maybe_done": true, "retry_at": %s}' % ("9" * 400),
        '{"begin": "create", "at": NaN}',
        '{"attempt": 1, "key": ["event:acme.3cx.fr"], "companions": true}',
        '{"step": "find", "result": 1e400}',
        '{"step": "details", "result": true}',
        '{"step": "note", "result": -1}',
        '{"step": "resolve", "result": null}',
        '{"step": "to_fallback", "result": true}',
    ],
)
def test_a_damaged_journal_in_processes_of_their_own(site: Site, line: str) -> None:
    event, good = add(site, HOST, CRITICAL), add(site, "pbx1.example.net", CRITICAL)
    with open(event.path, "a") as file:
        file.write(f"{line}\n")
    for words in LOOK:
        site.run(*words.split())
    assert "damaged" in site.run("queue", "show", event.id).stdout
    site.run("event", "--host", "pbx2.example.net", "--state", "DOWN")
    assert site.queued() == site.queued("dead") == []
    assert len(site.tickets) == 3
    assert not Path(good.path).exists()


@pytest.mark.short
def test_one_damaged_file_among_many_that_are_put_back(site: Site) -> None:
    queue = Queue(str(site.state_dir))
    events = [add(site, f"pbx{number}.example.net", CRITICAL) for number in range(5)]
    for event in events:
        queue.bury(event.id, "nobody knew whose it was")
    dead = site.queued("dead")
    dead[1].write_bytes(b"\0" * 100)
    dead[2].unlink()
    dead[2].mkdir()
    done = site.run("queue", "retry", "--all", code=65)
    assert "5 put back" in done.stdout
    assert "3 done, 2 refused again (kept in dead/), 0 still queued" in done.stdout
    assert len(site.tickets) == 3
    assert site.queued("dead") == dead[1:3]
    (dead[2] / "of the operator's").write_text("")
    done = site.run("queue", "drop", "--all", "--yes", code=75)
    assert f"{dead[2]}: Is a directory" in done.stderr
    assert "1 event dropped" in done.stdout


def test_one_that_cannot_be_moved_stays_and_the_others_are_delivered(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [add(site, f"pbx{number}.example.net", CRITICAL) for number in range(3)]
    Path(events[0].path).write_bytes(b"\0")
    rename = os.rename

    def refuse(source: str, target: str, **options: Any) -> None:
        if source == events[0].path:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), source)
        rename(source, target, **options)

    monkeypatch.setattr(os, "rename", refuse)
    code, said = run(site, "flush")
    assert code == 0
    assert "cannot be moved to dead/: Operation not permitted" in said
    assert len(site.tickets) == 2
    assert site.queued() == [Path(events[0].path)]
    code, said = run(site, "--log-format", "json", "flush")
    (line,) = (json.loads(line) for line in said.splitlines() if line.startswith("{"))
    assert (line["level"], line["outcome"]) == ("error", "queued")
    assert "cannot be moved to dead/" in line["message"]


def test_one_that_cannot_be_read_is_counted_by_its_name(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = add(site, HOST, CRITICAL)
    hour_ago = time.time_ns() - 3600 * 10**9
    there = Path(event.path).with_name(f"{hour_ago:020d}-0000001-abcdef{SUFFIX}")
    Path(event.path).rename(there)
    read = files.read_whole

    def refuse(path: str) -> bytes:
        if path == str(there):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return read(path)

    monkeypatch.setattr(files, "read_whole", refuse)
    assert "the oldest waits for 1h" in run(site, "status")[1]
    code, said = run(site, "check")
    assert code == 2
    assert "the oldest waiting event is 1h old" in said
    code, said = run(site, "flush")
    assert code == 0
    assert "cannot be used: Permission denied; it stays queued" in said


def in_the_place_of(path: Path, what: str) -> None:
    path.unlink(missing_ok=True)
    if what == "a folder":
        path.mkdir()
    elif what == "a FIFO":
        os.mkfifo(path)
    elif what == "a link":
        path.symlink_to("/dev/null")
    else:
        path.write_bytes(b"\xff\0{[\n" + b"[" * 100_000 + b'\n{"at": 1e400, "key": 5}\nnull')


@pytest.mark.parametrize("what", ["a folder", "a FIFO", "a link", "rubbish"])
def test_what_stands_in_the_place_of_what_has_ended_keeps_nothing_waiting(
    site: Site, what: str
) -> None:
    down, up = (["event", "--host", HOST, "--state", state] for state in ("DOWN", "UP"))
    site.run(*down)
    in_the_place_of(site.state_dir / "ended.jsonl", what)
    for words in (up, [*down, "--service", "x"], [*up, "--service", "x"]):
        site.run(*words)
    assert site.queued() == []
    assert [ticket["open"] for ticket in site.tickets] == [False, False]


def test_what_no_entry_can_be_stays_apart_at_the_next_look_too(site: Site) -> None:
    (site.state_dir).mkdir(exist_ok=True)
    beside = b'{"version": 1, "tickets": {"event:acme.3cx.fr": [null]}}'
    (site.state_dir / "state.json").write_bytes(beside)
    add(site, "pbx1.example.net", CRITICAL)
    site.run("flush")
    look(site)
