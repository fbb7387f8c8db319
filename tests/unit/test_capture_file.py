"""The file of a capture: the bytes as they came, and whatever else may stand in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brtel_notify.alert import Unintelligible
from brtel_notify.intake import queue
from brtel_notify.intake.capture import Capture, decoded, encoded
from brtel_notify.intake.capture_file import read
from brtel_notify.intake.queue import Damaged, Event, Queue
from brtel_notify.sources import registry

CAPTURE = Capture(
    "nagios",
    {"NAGIOS_HOSTNAME": "café", "NAGIOS_SERVICEDESC": decoded(b"\xc4\xe8\xf1\xea"), "ICINGA_": ""},
    ["--var", "A=1=2", ""],
    "two\nlines\n",
    1_795_000_000.25,
)
WRITTEN = (
    b"brtel-notify 2 1795000000.25 55 13 10 nagios\n"
    b"NAGIOS_HOSTNAME=caf\xc3\xa9\0NAGIOS_SERVICEDESC=\xc4\xe8\xf1\xea\0ICINGA_=\0"
    b"--var\0A=1=2\0\0"
    b"two\nlines\n\0\n"
)
LINE = b'{"attempt": 1}\n'


def is_damaged(data: bytes) -> bool:
    """Whether there is no capture in DATA, and nothing else happens."""
    try:
        read(data)
    except (ValueError, KeyError, TypeError, RecursionError):
        return True
    return False


def test_the_file_holds_the_bytes_as_they_came() -> None:
    assert CAPTURE.as_bytes() == WRITTEN


def test_it_is_read_as_it_was_and_what_follows_is_the_journal() -> None:
    found, journal = read(WRITTEN + LINE)
    assert found.as_dict() == CAPTURE.as_dict()
    assert journal == LINE


def test_what_no_process_can_be_given_does_no_harm() -> None:
    """Half characters, and a NUL in a word: from a capture that a person wrote, for render."""
    odd = Capture("event", {"A": "\ud800"}, ["a\0b", "c"], "\udcc3\udca9 \ud800", 1.0)
    found, journal = read(odd.as_bytes())
    assert found.argv == ["ab", "c"]
    assert found.stdin.endswith(" \udced\udca0\udc80")
    assert journal == b""


@pytest.mark.parametrize("at", range(len(WRITTEN) - 1))
def test_cut_anywhere_it_is_no_capture(at: int) -> None:
    assert is_damaged(WRITTEN[:at])


HEAD, _, BLOCKS = WRITTEN.partition(b"\n")


@pytest.mark.parametrize("place", [3, 4, 5])
@pytest.mark.parametrize(
    "size",
    [b"", b"-1", b"+1", b"1_0", b" 1", b"0x9", b"1e1", b"9" * 12, b"9" * 190, b"\xd9\xa1"]
    + [b"%d" % number for number in range(100)],
)
def test_a_wrong_size_is_seen(place: int, size: bytes) -> None:
    words = HEAD.split(b" ")
    if size != words[place]:
        words[place] = size
        assert is_damaged(b" ".join(words) + b"\n" + BLOCKS)


@pytest.mark.parametrize(
    "head",
    [
        b"brtel-notify 3 1795000000.25 55 13 10 nagios",
        b"brtel-notify 2 nan 55 13 10 nagios",
        b"brtel-notify 2 1e400 55 13 10 nagios",
        b"brtel-notify 2 -1.0 55 13 10 nagios",
        b"brtel-notify 2 today 55 13 10 nagios",
        b"brtel-notify 2 1795000000.25 55 13 10",
        b"brtel-notify 2",
        b"brtel-notify ",
        b"brtel-notify 2 1795000000.25 55 13 10 " + b"x" * 200,
    ],
)
def test_a_wrong_head_is_seen(head: bytes) -> None:
    assert is_damaged(head + b"\n" + BLOCKS)


# --- in the queue ---------------------------------------------------------------------------------

words = st.binary().map(lambda raw: decoded(raw.replace(b"\0", b"")))
names = words.map(lambda text: text.replace("=", ""))


def test_a_source_that_cannot_be_printed_is_none() -> None:
    assert is_damaged(WRITTEN.replace(b"nagios\n", b"nagios\xf24\n", 1))


@given(st.binary().map(decoded), st.lists(words), st.dictionaries(names, words))
def test_any_bytes_come_back(stdin: str, argv: List[str], env: Dict[str, str]) -> None:
    stored = Capture("event", env, argv, stdin, 1.0)
    found, journal = read(stored.as_bytes() + LINE)
    assert found.as_dict() == stored.as_dict()
    assert journal == LINE
    assert encoded(found.stdin) == encoded(stdin)


edits = st.lists(
    st.tuples(
        st.integers(0, len(WRITTEN) + len(LINE)),
        st.integers(0, 30),
        st.binary(max_size=8) | st.sampled_from([b"\0", b"\n", b"=", b"9", b" ", b"brtel-notify "]),
    ),
    min_size=1,
    max_size=6,
)


@given(edits)
def test_a_damaged_file_is_read_or_is_damaged_and_no_more(
    tmp_path_factory: pytest.TempPathFactory, changes: List[tuple[int, int, bytes]]
) -> None:
    data = WRITTEN + LINE
    for at, length, put in changes:
        data = data[:at] + put + data[at + length :]
    waiting = Queue(str(tmp_path_factory.getbasetemp() / "fuzz"))
    event = waiting.add(CAPTURE)
    Path(event.path).write_bytes(data)
    try:
        registry.parse(_loaded(waiting, event).capture)
    except (Damaged, Unintelligible):
        pass
    waiting.forget(event.id)


def _loaded(waiting: Queue, event: Event) -> Event:
    found = waiting.load(event.id)
    found.attempts, found.error, found.put_off  # noqa: B018 - what the drain asks first
    return found


def test_a_file_larger_than_any_event_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = Queue(str(tmp_path))
    event = waiting.add(CAPTURE)
    monkeypatch.setattr(queue, "LARGEST", len(WRITTEN) - 1)
    with pytest.raises(Damaged, match="larger"):
        waiting.load(event.id)
