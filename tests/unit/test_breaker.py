"""The breaker: one failure is paid for once, by one process, for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List, Tuple

import pytest

from brtel_notify.delivery.breaker import NAME, Breaker
from brtel_notify.delivery.retry import FIRST_PROBE, LONGEST_PROBE
from brtel_notify.local import files

NOW = 1_700_000_000.0
SOUND = {"failures": 2, "since": NOW - 60, "retry_at": NOW + 60, "error": "no answer"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def tripped(folder: Path, times: int = 1, at: float = NOW) -> Breaker:
    made = Breaker(str(folder))
    for _ in range(times):
        made.trip(at, "no answer", 1.0, None)
    return made


def test_it_begins_closed_and_leaves_no_trace(folder: Path) -> None:
    made = Breaker(str(folder))
    assert not made.is_open
    assert not made.holds(NOW)
    assert list(folder.iterdir()) == []


def test_every_process_knows_what_one_has_paid_for(folder: Path) -> None:
    tripped(folder)
    other = Breaker(str(folder))
    assert other.is_open
    assert other.holds(NOW)
    assert other.error == "no answer"
    assert other.since == NOW


def test_it_holds_for_longer_after_each_failed_probe_up_to_a_limit(folder: Path) -> None:
    made, pauses, now = Breaker(str(folder)), [], NOW
    for _ in range(40):
        made.trip(now, "no answer", 1.0, None)
        pauses.append(made.retry_at - now)
        now = made.retry_at
    assert pauses[:4] == [FIRST_PROBE, 2 * FIRST_PROBE, 4 * FIRST_PROBE, 8 * FIRST_PROBE]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PROBE
    assert made.since == NOW


def test_when_its_time_has_come_somebody_may_probe_and_it_is_still_open(folder: Path) -> None:
    made = tripped(folder)
    assert made.holds(made.retry_at - 0.001)
    assert not made.holds(made.retry_at)
    assert made.is_open


def test_several_machines_do_not_probe_at_one_moment(folder: Path) -> None:
    early, late = Breaker(str(folder)), Breaker(str(folder))
    early.trip(NOW, "", 0.8, None)
    late.trip(NOW, "", 1.2, None)
    assert early.retry_at < late.retry_at


@pytest.mark.parametrize(
    ("wish", "pause"),
    [(None, FIRST_PROBE), (0.0, FIRST_PROBE), (2.0, FIRST_PROBE), (90.0, 90.0), (1e6, 300.0)],
)
def test_the_servers_wish_counts_within_reason(folder: Path, wish: float, pause: float) -> None:
    made = Breaker(str(folder))
    made.trip(NOW, "429", 1.0, wish)
    assert made.retry_at - NOW == pause


def test_one_probe_closes_it_for_everybody_and_its_pause_begins_anew(folder: Path) -> None:
    made = tripped(folder, times=5)
    made.close()
    assert not Breaker(str(folder)).is_open
    assert list(folder.iterdir()) == []
    made.close()
    made.trip(NOW + 3600, "no answer", 1.0, None)
    assert made.retry_at == NOW + 3600 + FIRST_PROBE
    assert made.since == NOW + 3600


def test_a_clock_that_was_set_back_does_not_keep_it_open(folder: Path) -> None:
    made = tripped(folder, times=9)
    assert not made.holds(NOW - 86400)


DAMAGED: List[Tuple[str, Any]] = [
    ("failures", "many"),
    ("failures", None),
    ("failures", float("inf")),
    ("failures", float("nan")),
    ("failures", -1),
    ("failures", 10**400),
    ("failures", 10**4299),
    ("retry_at", float("inf")),
    ("retry_at", -1),
    ("since", float("nan")),
    ("since", 1e300),
    ("since", []),
]


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000),
        *(json.dumps({**SOUND, name: value}).encode() for name, value in DAMAGED),
        json.dumps({name: SOUND[name] for name in ("failures", "since")}).encode(),
    ],
)
def test_a_damaged_file_is_no_reason_not_to_call(folder: Path, content: bytes) -> None:
    (folder / NAME).write_bytes(content)
    made = Breaker(str(folder))
    assert not made.is_open
    assert not made.holds(NOW)
    made.trip(NOW, "no answer", 1.0, None)
    assert Breaker(str(folder)).holds(NOW)


def test_a_sound_file_is_believed(folder: Path) -> None:
    (folder / NAME).write_text(json.dumps(SOUND))
    assert Breaker(str(folder)).holds(NOW)


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_no_file_is_no_reason_not_to_call(folder: Path, kind: str) -> None:
    if kind == "folder":
        (folder / NAME).mkdir()
    else:
        (folder / "elsewhere").write_text(json.dumps(SOUND))
        (folder / NAME).symlink_to(folder / "elsewhere")
    made = Breaker(str(folder))
    assert not made.is_open
    made.trip(NOW, "no answer", 1.0, None)
    assert made.holds(NOW)


def test_a_full_disk_does_not_keep_this_process_from_knowing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: List[Any] = []

    def full(*args: Any, **kwargs: Any) -> None:
        tried.append(args)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_whole", full)
    made = tripped(folder)
    assert tried
    assert made.holds(NOW)


def test_reading_again_shows_what_another_process_did(folder: Path) -> None:
    made = tripped(folder)
    files.remove_quietly(folder / NAME)
    made.read()
    assert not made.is_open
