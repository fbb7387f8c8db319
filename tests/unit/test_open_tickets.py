"""The open-ticket map: what is read is what was written, or it is reported, never a part of it."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brtel_notify.alert import SEVERITIES, reference
from brtel_notify.local import files
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.text import times
from brtel_notify.tickets.open_tickets import Entry, LaterVersion, State
from brtel_notify.tickets.state_file import Texts

NASTY = [
    'a "quoted" one',
    "colon: {",
    '": {',
    '": {\n',
    "\n    },",
    "two\nlines",
    "back\\slash",
    "Zürich/東京",
    "\0\x7f\u2028",
    "\udc80",
    "",
    "ticket_id",
    "version",
]


def entry(key: str, ticket_id: int = 1024, **more: Any) -> Entry:
    usual: Dict[str, Any] = {
        "key": key,
        "reference": reference(key),
        "ticket_id": ticket_id,
        "number": "A7KZ2F",
        "customer": {"id": 42, "name": "Acme Telecom SAS", "account": "CL2385", "how": "pbx"},
        "opened_at": "2026-11-21T18:31:42Z",
        "severity": "critical",
        "host": "acme.3cx.fr",
        "members": {key: member()},
    }
    return Entry(**{**usual, **more})


def member(severity: str = "critical") -> Dict[str, Any]:
    return {"severity": severity, "state": "DOWN", "since": "2026-11-21T18:31:42Z"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path / "state.json"


def saved(path: Path, *entries: Entry) -> bytes:
    state = State(str(path))
    for each in entries:
        state.put(each)
    state.save()
    return path.read_bytes()


def loaded(path: Path) -> State:
    state, damage = State.load(str(path))
    assert damage is None
    return state


def as_json(entries: List[Entry]) -> Dict[str, Any]:
    tickets = {}
    for each in entries:
        data = each._asdict()
        tickets[data.pop("key")] = data
    return {"version": 1, "tickets": tickets}


# --- round trip -----------------------------------------------------------------------------------


def test_no_file_is_an_empty_map(path: Path) -> None:
    assert loaded(path).entries() == []
    assert not path.exists()


def test_empty_map_is_saved_and_loaded(path: Path) -> None:
    assert json.loads(saved(path)) == {"version": 1, "tickets": {}}
    assert loaded(path).entries() == []


def test_entries_come_back_in_their_order(path: Path) -> None:
    entries = [entry(key, number) for number, key in enumerate(NASTY)]
    data = saved(path, *entries)
    state = loaded(path)
    assert state.entries() == entries
    assert [state.get(key) for key in NASTY] == entries
    assert state.get("unknown") is None
    assert json.loads(data) == as_json(entries)
    state.save()
    assert path.read_bytes() == data


def test_file_is_made_to_be_read(path: Path) -> None:
    lines = saved(path, entry("nagios:acme")).decode().splitlines()
    assert lines[:5] == [
        "{",
        '  "version": 1,',
        '  "tickets": {',
        '    "nagios:acme": {',
        f'      "reference": "{reference("nagios:acme")}",',
    ]
    assert lines[-3:] == ["    }", "  }", "}"]


TEXT = st.text(st.characters()) | st.sampled_from(NASTY)
TIMES = st.integers(0, 4_000_000_000).map(times.iso)
MEMBERS = st.dictionaries(
    TEXT,
    st.fixed_dictionaries({"severity": st.sampled_from(SEVERITIES), "state": TEXT, "since": TIMES}),
    max_size=3,
)
ENTRIES = st.dictionaries(
    TEXT,
    st.builds(
        Entry,
        key=st.just(""),
        reference=TEXT,
        ticket_id=st.integers(1, 2**63),
        number=TEXT,
        customer=st.fixed_dictionaries(
            {"id": st.integers(1, 2**63), "name": TEXT, "account": TEXT, "how": TEXT}
        ),
        ours=st.booleans(),
        opened_at=TIMES | st.just(""),
        severity=st.sampled_from(SEVERITIES),
        host=TEXT,
        service=TEXT,
        members=MEMBERS,
        closed_at=st.none() | TIMES,
        recovered_at=st.none() | TIMES,
        priority_id=st.none() | st.integers(1, 2**63),
        muted=st.booleans(),
        checked_at=st.none() | TIMES,
        noted=st.dictionaries(TEXT, TIMES, max_size=3),
        last_event=TEXT,
        closed_for=st.lists(TEXT, max_size=3),
        over_at=st.none() | TIMES,
        results=st.just({})
        | st.fixed_dictionaries(
            {"since": TIMES, "noted": st.integers(0, 99), "untold": st.integers(0, 99)}
        ),
    ),
    max_size=4,
).map(lambda found: [each._replace(key=key) for key, each in found.items()])


@settings(deadline=None)  # a disk takes the time it takes
@given(ENTRIES)
def test_any_entries_survive(
    tmp_path_factory: pytest.TempPathFactory, entries: List[Entry]
) -> None:
    path = tmp_path_factory.mktemp("state") / "state.json"
    data = saved(path, *entries)
    assert json.loads(data) == as_json(entries)
    assert loaded(path).entries() == entries
    for each in entries:
        for key in each.members:
            holder = loaded(path).with_member(key)
            assert holder is not None
            assert key in holder.members


def test_one_of_ten_thousand_is_parsed_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = (entry(f"nagios:host{n}:Ping", n) for n in range(10_000))
    State(str(path), Texts.of({each.key: each.text for each in entries})).save()
    state = loaded(path)
    parsed: List[int] = []
    real = json.loads

    def loads(text: Any, **options: Any) -> Any:
        if len(text) > len("nagios:host0000:Ping") * 2:  # an entry, and no key
            parsed.append(len(text))
        return real(text, **options)

    monkeypatch.setattr(json, "loads", loads)
    found = state.get("nagios:host4321:Ping")
    assert found is not None
    assert found.ticket_id == 4321
    assert len(parsed) == 1
    holder = state.with_member("nagios:host5000:Ping")
    assert holder is not None
    assert holder.key == "nagios:host5000:Ping"
    assert state.with_member("nagios:newhost:Ping") is None
    state.forget_closed("2030-01-01T00:00:00Z")
    state.put(found._replace(severity="warning"))
    state.save()
    assert len(parsed) == 2
    assert max(parsed) < 2000


# --- other programs' shapes -----------------------------------------------------------------------

SHAPES: Dict[str, Callable[[Any], str]] = {
    "jq .": lambda data: json.dumps(data, indent=2, ensure_ascii=False) + "\n",
    "jq -c": lambda data: json.dumps(data, separators=(",", ":"), ensure_ascii=False),
    "jq -S": lambda data: json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n",
    "jq -aS": lambda data: json.dumps(data, indent=2, sort_keys=True) + "\n",
    "jq --tab": lambda data: json.dumps(data, indent="\t", ensure_ascii=False),
    "four spaces": lambda data: json.dumps(data, indent=4),
    "tickets first": lambda data: json.dumps(dict(reversed(data.items())), indent=2) + "\n",
    "Windows": lambda data: "\ufeff" + json.dumps(data, indent=2).replace("\n", "\r\n"),
    "slashes": lambda data: json.dumps(data, indent=2).replace("/", "\\/") + "\n",
    "ids last": lambda data: (
        json.dumps(
            {
                **data,
                "tickets": {
                    key: dict(sorted(value.items(), key=lambda item: item[0] == "ticket_id"))
                    for key, value in data["tickets"].items()
                },
            },
            indent=2,
        )
        + "\n"
    ),
    "no final newline": lambda data: json.dumps(data, indent=2),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_file_that_another_program_wrote_is_the_same_map(path: Path, shape: str) -> None:
    keys = [key for key in NASTY if key != "\udc80"]  # jq knows no half characters
    entries = [entry(key, 7, closed_at="2026-11-21T18:31:42Z") for key in keys]
    entries.append(entry("nagios:Zürich/東京", 7))
    path.write_bytes(SHAPES[shape](as_json(entries)).encode("utf-8"))
    state = loaded(path)
    assert sorted(state.entries(), key=lambda each: each.key) == sorted(
        entries, key=lambda each: each.key
    )
    for key in keys:
        holder = state.with_member(key)
        assert holder is not None
        assert key in holder.members
    assert state.others_on(entry("new", 7)) == 1
    assert state.others_on(entry("nagios:Zürich/東京", 7)) == 0
    state.forget_closed("2026-11-21T18:31:43Z")
    assert [each.key for each in state.entries()] == ["nagios:Zürich/東京"]
    state.save()
    assert json.loads(path.read_bytes()) == as_json(entries[-1:])


def test_entries_written_in_one_line_between_ours_are_read(path: Path) -> None:
    data = saved(path, entry("a", 1), entry("b", 2)).decode()
    short = '\n    "c": {"ticket_id": 3, "customer": {"id": 42}},\n    "d": {},\n    "b": {'
    path.write_text(data.replace('\n    "b": {', short))
    found = {each.key: each.ticket_id for each in loaded(path).entries()}
    assert found == {"a": 1, "b": 2, "c": 3}


# --- damage to the file ---------------------------------------------------------------------------


def test_file_cut_at_any_byte_is_whole_or_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    entries = [entry("nagios:a", 1), entry('": {\n', 2, members={})]
    data = saved(path, *entries)
    for length in range(len(data)):
        path.write_bytes(data[:length])
        state, damage = State.load(str(path))
        if damage is None:
            assert json.loads(data[:length]) == json.loads(data)
            assert state.entries() == entries
            path.unlink()
        else:
            assert state.entries() == []
            assert not path.exists()
            (aside,) = path.parent.iterdir()
            assert aside.name in damage
            assert aside.read_bytes() == data[:length]
            aside.unlink()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\0" * 100, "is no JSON"),
        (b"{", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b'{"version": 1, "tickets": {"\xff": {}}}', "is no JSON"),
        (b"null", "has not the shape"),
        (b"[]", "has not the shape"),
        (b"{}", "has not the shape"),
        (b'{"version": 1}', "has not the shape"),
        (b'{"version": 1, "tickets": []}', "has not the shape"),
        (b'{"version": "1", "tickets": {}}', "has not the shape"),
        (b'{"version": 0, "tickets": {}}', "has not the shape"),
    ],
)
def test_damaged_file_is_reported_and_set_aside(path: Path, data: bytes, says: str) -> None:
    path.write_bytes(data)
    state, damage = State.peek(str(path))
    assert path.read_bytes() == data  # a look changes nothing
    state, damage = State.load(str(path))
    assert damage is not None
    assert str(path) in damage
    assert says in damage
    (aside,) = path.parent.iterdir()
    assert aside.name.startswith("state.json.damaged-")
    assert aside.name in damage
    assert aside.read_bytes() == data
    state.put(entry("nagios:a"))
    state.save()
    assert [each.key for each in loaded(path).entries()] == ["nagios:a"]


@pytest.mark.parametrize(("was", "now"), [(b"nagios:a", b"nagios:\\a"), (b'": {', b'":{')])
def test_a_slip_in_a_key_is_reported_or_read(path: Path, was: bytes, now: bytes) -> None:
    data = saved(path, entry("nagios:a", 1), entry("nagios:b", 2)).replace(was, now, 1)
    path.write_bytes(data)
    state, damage = State.peek(str(path))
    assert (damage is None) == (len(state.entries()) == 2)


def test_damages_of_one_second_are_all_kept(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    for text in ("one", "two", "three"):
        path.write_text(text)
        State.load(str(path))
    assert sorted(each.read_text() for each in path.parent.iterdir()) == ["one", "three", "two"]


@pytest.mark.parametrize("version", ["2", "99", "1.5"])
def test_file_of_a_later_version_is_left_alone(path: Path, version: str) -> None:
    text = f'{{\n  "version": {version},\n  "tickets": {{\n  }}\n}}\n'
    path.write_text(text)
    for look in (State.load, State.peek):
        with pytest.raises(LaterVersion, match=f"version {version}.*upgrade"):
            look(str(path))
    assert path.read_text() == text
    assert os.listdir(path.parent) == ["state.json"]


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_is_no_file_is_refused(path: Path, kind: str) -> None:
    if kind == "link":
        path.symlink_to(path.parent / "elsewhere")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    with pytest.raises(files.NotAFile) as raised:
        State.load(str(path))
    assert raised.value.filename == str(path)


# --- damage to one entry --------------------------------------------------------------------------

WRONG: List[Dict[str, Any]] = [
    {"ticket_id": None},
    {"ticket_id": "A7KZ2F"},
    {"ticket_id": 1.5},
    {"ticket_id": True},
    {"ticket_id": [1]},
    {"ticket_id": -1},
    {"ticket_id": 10**400},
    {"ticket_id": "9" * 400},
    {"priority_id": 10**400},
    {"priority_id": float("inf")},
    {"customer": {"id": 10**400}},
    {"customer": {"id": 42, "name": ["Acme"]}},
    {"customer": {"id": 42, "account": 2385}},
    {"number": 5},
    {"reference": None},
    {"customer": None},
    {"customer": "CL2385"},
    {"customer": {"name": "Acme"}},
    {"customer": {"id": None}},
    {"ours": "yes"},
    {"muted": 1},
    {"severity": "DOWN"},
    {"severity": []},
    {"host": None},
    {"opened_at": "yesterday"},
    {"opened_at": None},
    {"closed_at": 0},
    {"closed_at": "2026-11-21"},
    {"checked_at": {}},
    {"members": None},
    {"members": ["nagios:b"]},
    {"members": {"nagios:b": None}},
    {"members": {"nagios:b": "critical"}},
    {"members": {"nagios:b": {}}},
    {"members": {"nagios:b": {"severity": "DOWN", "state": ""}}},
    {"members": {"nagios:b": {"severity": "ok", "state": 3}}},
    {"noted": []},
    {"noted": {"fingerprint": "now"}},
    {"last_event": 3},
]


def write(path: Path, data: Any, indent: Optional[int]) -> None:
    path.write_text(json.dumps(data, indent=indent) + "\n")


@pytest.mark.parametrize("indent", [2, None], ids=["ours", "compact"])
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_entry_that_makes_no_sense_is_reported_and_set_aside(
    path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    wrong: Dict[str, Any],
    indent: Optional[int],
) -> None:
    monkeypatch.setenv("BRTEL_NOTIFY_LOG_FORMAT", "json")
    data = as_json([entry("nagios:a", 1), entry("nagios:b", 2), entry("nagios:c", 3)])
    data["tickets"]["nagios:b"].update(wrong)
    write(path, data, indent)
    state = loaded(path)
    assert state.get("nagios:b") is None
    assert state.get("nagios:b") is None
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert record["level"] == "warning"
    for part in (str(path), '"nagios:b"', next(iter(wrong)), "set aside"):
        assert part in record["message"]
    assert [each.key for each in state.entries()] == ["nagios:a", "nagios:c"]
    state.save()
    assert [each.key for each in loaded(path).entries()] == ["nagios:a", "nagios:c"]
    (aside,) = path.parent.glob("state.json.damaged-*")
    kept = json.loads(aside.read_bytes())["tickets"]
    assert kept == {"nagios:b": data["tickets"]["nagios:b"]}
    state.save()
    assert len(list(path.parent.iterdir())) == 2


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_entry_that_makes_no_sense_stands_in_nobodys_way(path: Path, wrong: Dict[str, Any]) -> None:
    data = as_json([entry("nagios:b", 7), entry("nagios:c", 7)])
    data["tickets"]["nagios:b"].update(wrong)
    write(path, data, 2)
    assert loaded(path).with_member("nagios:b") is None
    assert loaded(path).others_on(entry("nagios:d", 7)) == 1
    state = loaded(path)
    state.forget_closed("2030-01-01T00:00:00Z")
    assert [each.key for each in state.entries()] == ["nagios:c"]


@pytest.mark.parametrize("value", [None, [], "text", 5, {}])
def test_entry_that_is_nothing_is_reported(
    path: Path, capsys: pytest.CaptureFixture[str], value: Any
) -> None:
    write(path, {"version": 1, "tickets": {"nagios:b": value}}, 2)
    assert loaded(path).entries() == []
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("depth", [300, 900, 5000])
def test_what_is_nested_without_end_is_damaged(path: Path, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    path.write_text(f'{{"version": 1, "tickets": {{"nagios:b": {{"ticket_id": {deep}}}}}}}')
    assert State.peek(str(path))[0].entries() == []


def test_hole_in_the_file_costs_one_entry(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A block of zeros, or an editor's slip, inside a file whose ends are right."""
    data = saved(path, entry("nagios:a", 1), entry("nagios:b", 2), entry("nagios:c", 3))
    place = data.index(b'"ticket_id": 2')
    path.write_bytes(data[:place] + b"\0" * 14 + data[place + 14 :])
    state = loaded(path)
    assert [each.key for each in state.entries()] == ["nagios:a", "nagios:c"]
    assert "nagios:b" in capsys.readouterr().err
    state.put(entry("nagios:b", 2))  # found again on the server
    state.save()
    assert [each.ticket_id for each in loaded(path).entries()] == [1, 3, 2]


def test_missing_fields_take_their_defaults_and_unknown_ones_are_passed_over(path: Path) -> None:
    short = {"ticket_id": "1024", "customer": {"id": "42"}, "note to self": [1], "key": "other"}
    write(path, {"tickets": {"nagios:a": short}}, 2)
    assert loaded(path).entries() == [
        Entry(
            key="nagios:a",
            reference=reference("nagios:a"),
            ticket_id=1024,
            number="",
            customer={"id": 42, "name": "", "account": "", "how": ""},
        )
    ]


def test_damage_stays_found_out_when_it_cannot_be_set_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, {"version": 1, "tickets": {"nagios:b": {"ticket_id": 5}}}, 2)
    before = path.read_bytes()
    state = loaded(path)
    assert state.entries() == []

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            state.save()
    assert path.read_bytes() == before
    state.save()
    (aside,) = path.parent.glob("state.json.damaged-*")
    assert json.loads(aside.read_bytes())["tickets"] == {"nagios:b": {"ticket_id": 5}}


# --- the map --------------------------------------------------------------------------------------


def test_entry_is_replaced_in_its_place_and_dropped(path: Path) -> None:
    saved(path, entry("a", 1), entry("b", 2), entry("c", 3))
    state = loaded(path)
    state.put(entry("b", 5))
    state.drop("a")
    state.drop("unknown")
    state.save()
    assert [(each.key, each.ticket_id) for each in loaded(path).entries()] == [("b", 5), ("c", 3)]


def test_what_is_got_is_a_copy(path: Path) -> None:
    saved(path, entry("a"))
    state = loaded(path)
    got = state.get("a")
    assert got is not None
    got.members.clear()
    again = state.get("a")
    assert again is not None
    assert again.members == {"a": member()}


def test_member_is_found_by_its_key_and_by_nothing_else(path: Path) -> None:
    saved(
        path,
        entry("host:a", 1, members={"nagios:a:Ping": member(), "nagios:a:PING %25": member()}),
        entry("host:b", 2, members={}, service="nagios:b:Ping", host="nagios:a:Ping 2"),
    )
    state = loaded(path)
    for key in ("nagios:a:Ping", "nagios:a:PING %25"):
        found = state.with_member(key)
        assert found is not None
        assert found.key == "host:a"
    for key in ("nagios:a", "nagios:b:Ping", "nagios:a:Ping 2", "severity", "host:a"):
        assert state.with_member(key) is None


def test_others_on_a_ticket_are_the_open_ones_but_oneself(path: Path) -> None:
    mine = entry("a", 7)
    saved(
        path,
        mine,
        entry("b", 7),
        entry("c", 77),
        entry("d", 7, closed_at="2026-11-21T18:31:42Z"),
        entry("e", 7, muted=True),
        entry("f", 1, number='"ticket_id": 7,'),
        entry("g", 7),
    )
    assert loaded(path).others_on(mine) == 2
    assert loaded(path).others_on(entry("c", 77)) == 0


def test_long_closed_tickets_are_forgotten(path: Path) -> None:
    saved(
        path,
        entry("open"),
        entry("muted", muted=True),
        entry("long ago", closed_at="2026-11-21T18:00:00Z"),
        entry("just now", closed_at="2026-11-21T18:30:00Z"),
        entry("named", number='"closed_at": null', closed_at="2026-11-21T18:00:00Z"),
    )
    state = loaded(path)
    state.forget_closed("2026-11-21T18:30:00Z")
    assert [each.key for each in state.entries()] == ["open", "muted", "just now"]


def test_open_is_neither_closed_nor_muted() -> None:
    assert entry("a").is_open
    assert not entry("a", muted=True).is_open
    assert not entry("a", closed_at="2026-11-21T18:00:00Z").is_open


# --- saving ---------------------------------------------------------------------------------------


def test_saving_is_durable_and_in_one_step(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(path, entry("a"))
    happened: List[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        happened.append("fsync folder" if is_folder else "fsync file")
        real_fsync(descriptor)

    def rename(source: Any, target: Any) -> None:
        happened.append("rename")
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    loaded(path).save()
    assert happened == ["fsync file", "rename", "fsync folder"]


def test_full_disk_leaves_the_old_map(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved(path, entry("a"))
    state = loaded(path)
    state.put(entry("b"))

    def fail(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        with pytest.raises(OSError, match="No space left") as raised:
            state.save()
    assert raised.value.filename == str(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["state.json"]
    state.save()
    assert [each.key for each in loaded(path).entries()] == ["a", "b"]


@pytest.mark.parametrize(("folder_mode", "wanted"), [(0o700, 0o600), (0o2770, 0o660)])
def test_map_is_as_private_as_its_folder(path: Path, folder_mode: int, wanted: int) -> None:
    path.parent.chmod(folder_mode)
    saved(path, entry("a"))
    assert stat.S_IMODE(path.stat().st_mode) == wanted


def test_file_that_we_left_is_known_and_one_that_changed_is_looked_through(path: Path) -> None:
    checked = PrivateFolder(str(path.parent), "parsed")
    state, _ = State.load(str(path), checked)
    state.put(entry("nagios:a", 1))
    state.put(entry("nagios:b", 2))
    state.save()
    again, damage = State.load(str(path), checked)
    assert (again.get("nagios:a"), damage) == (entry("nagios:a", 1), None)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'\n    "nagios:b"', b'\n   "nagios:b"'))  # another's hand
    edited, damage = State.load(str(path), checked)
    assert (edited.get("nagios:b"), damage) == (entry("nagios:b", 2), None)
    path.write_bytes(data.replace(b"\n    }\n  }", b"\n  }"))
    lost, damage = State.load(str(path), checked)
    assert lost.entries() == []
    assert damage is not None
    assert "is no JSON" in damage
