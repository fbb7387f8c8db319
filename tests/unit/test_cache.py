"""Answers kept for a while: nothing about them ever fails a delivery."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from pathlib import Path
from typing import Any, List

import pytest

from brtel_notify.api.cache import Cache
from brtel_notify.local import files


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(tmp_path: Path, clock: Clock) -> Cache:
    return Cache(str(tmp_path), "https://a.example/api", clock)


def the_file(tmp_path: Path) -> Path:
    (path,) = (tmp_path / "cache").glob("*.json")
    return path


@pytest.mark.parametrize("value", [{"id": 1}, [1, [2]], "é\udc80\0", 0, False, ""])
def test_answer_comes_back(cache: Cache, value: Any) -> None:
    cache.put("customer", "pbx\nacme", value)
    assert cache.get("customer", "pbx\nacme", 10) == value
    assert cache.get("customer", "pbx\nother", 10) is None
    assert cache.get("names", "pbx\nacme", 10) is None


def test_answer_grows_old(cache: Cache, clock: Clock) -> None:
    cache.put("customer", "k", 1)
    clock.now += 9.9
    assert cache.get("customer", "k", 10) == 1
    clock.now += 0.2
    assert cache.get("customer", "k", 10) is None
    cache.put("customer", "k", 2)
    assert cache.get("customer", "k", 10) == 2


def test_no_time_at_all_switches_the_cache_off(cache: Cache) -> None:
    cache.put("customer", "k", 1)
    assert cache.get("customer", "k", 0) is None


def test_answer_from_the_future_is_not_believed(cache: Cache, clock: Clock) -> None:
    cache.put("customer", "k", 1)
    clock.now -= 1
    assert cache.get("customer", "k", 1e9) is None


def test_what_is_good_at_any_age_is_so_by_a_clock_that_was_set_back(
    cache: Cache, clock: Clock
) -> None:
    cache.put("instance", "author", 7)
    clock.now -= 3000
    assert cache.get("instance", "author", math.inf) == 7


def test_two_instances_share_nothing(tmp_path: Path, cache: Cache, clock: Clock) -> None:
    other = Cache(str(tmp_path), "https://b.example/api", clock)
    cache.put("customer", "k", "a")
    assert other.get("customer", "k", 10) is None
    other.put("customer", "k", "b")
    assert (cache.get("customer", "k", 10), other.get("customer", "k", 10)) == ("a", "b")


def test_colliding_names_are_told_apart(
    cache: Cache, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Cache, "_path", lambda self, kind, key: os.path.join(self.folder, f"{kind}-same.json")
    )
    cache.put("customer", "k", 1)
    assert cache.get("customer", "other", 10) is None
    assert Cache(str(tmp_path), "https://b.example/api", clock).get("customer", "k", 10) is None


def test_keys_of_half_characters_are_told_apart(cache: Cache) -> None:
    cache.put("customer", "a\udc80", 1)
    assert cache.get("customer", "a\udc81", 10) is None
    assert cache.get("customer", "a\udc80", 10) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe\0\0",
        b"null",
        b"5",
        b"[]",
        b'"at"',
        b"{}",
        b"[" * 200_000,
        b'{"scope": "https://a.example/api", "key": "k"}',
        b'{"at": 1' + b"0" * 400 + b', "scope": "https://a.example/api", "key": "k", "value": 1}',
        b'{"at": 1e999, "scope": "https://a.example/api", "key": "k", "value": 1}',
        b'{"at": NaN, "scope": "https://a.example/api", "key": "k", "value": 1}',
        b'{"at": "now", "scope": "https://a.example/api", "key": "k", "value": 1}',
        b'{"at": null, "scope": "https://a.example/api", "key": "k", "value": 1}',
        b'{"at": 1699999999, "scope": "https://a.example/api", "key": "k"}',
    ],
)
def test_damaged_file_is_no_answer_and_is_mended(cache: Cache, tmp_path: Path, data: bytes) -> None:
    cache.put("customer", "k", 1)
    the_file(tmp_path).write_bytes(data)
    assert cache.get("customer", "k", 1e9) is None
    cache.put("customer", "k", 2)
    assert cache.get("customer", "k", 1e9) == 2


def test_file_cut_at_any_byte_is_no_answer(cache: Cache, tmp_path: Path) -> None:
    cache.put("customer", "k", {"id": 42, "name": "é"})
    path = the_file(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert cache.get("customer", "k", 10) is None


@pytest.mark.parametrize("byte", [b"x", b"9", b"\xff", b"]"])
def test_file_with_a_wrong_byte_is_no_answer(cache: Cache, tmp_path: Path, byte: bytes) -> None:
    """Whoever asked need not look whether the answer is one: it is as it was given, or none."""
    cache.put("customer", "k", {"id": 42, "name": "Acme", "rows": [[1, None], [2, "x"]]})
    path = the_file(tmp_path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        changed = whole[:place] + byte + whole[place + 1 :]
        path.write_bytes(changed)
        assert changed == whole or cache.get("customer", "k", 10) is None


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_what_is_no_file_is_no_answer(cache: Cache, tmp_path: Path, kind: str) -> None:
    cache.put("customer", "k", 1)
    path = the_file(tmp_path)
    elsewhere = tmp_path / "elsewhere.json"
    path.rename(elsewhere)
    if kind == "link":
        path.symlink_to(elsewhere)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert cache.get("customer", "k", 10) is None
    cache.put("customer", "k", 2)
    cache.clear("customer")
    assert json.loads(elsewhere.read_bytes())["value"] == 1


@pytest.mark.parametrize("obstacle", ["cache is a file", "state folder is a file", "missing"])
def test_folder_that_cannot_be_used_fails_nothing(
    tmp_path: Path, clock: Clock, obstacle: str
) -> None:
    state_dir = tmp_path / "state"
    if obstacle == "cache is a file":
        state_dir.mkdir()
        (state_dir / "cache").write_text("")
    elif obstacle == "state folder is a file":
        state_dir.write_text("")
    cache = Cache(str(state_dir), "s", clock)
    cache.put("customer", "k", 1)
    assert cache.get("customer", "k", 10) is None
    cache.clear("customer")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_disk_that_refuses_fails_nothing(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files, "write_whole", fail)
    cache.put("customer", "k", 1)
    assert cache.get("customer", "k", 10) is None


def test_what_json_cannot_say_is_not_kept(cache: Cache) -> None:
    endless: List[Any] = []
    endless.append(endless)
    for value in (object(), {1, 2}, endless):
        cache.put("customer", "k", value)
        assert cache.get("customer", "k", 10) is None


def test_forgetting_one_kind_leaves_the_others(cache: Cache) -> None:
    cache.put("customer", "a", 1)
    cache.put("customer", "b", 2)
    cache.put("contacts", "a", 3)
    cache.clear("customer")
    assert cache.get("customer", "a", 10) is None
    assert cache.get("customer", "b", 10) is None
    assert cache.get("contacts", "a", 10) == 3


@pytest.mark.parametrize(("folder_mode", "wanted"), [(0o700, 0o600), (0o2770, 0o660)])
def test_answers_are_as_private_as_the_state_folder(
    cache: Cache, tmp_path: Path, folder_mode: int, wanted: int
) -> None:
    tmp_path.chmod(folder_mode)
    cache.put("customer", "k", 1)
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == folder_mode
    assert stat.S_IMODE(the_file(tmp_path).stat().st_mode) == wanted


def put_long_ago(tmp_path: Path, clock: Clock, cache: Cache, host: str, days: float) -> None:
    """An answer that was kept so many DAYS before the clock's now."""
    cache.put("customer", host, 7)
    for path in (tmp_path / "cache").glob("*.json"):
        if json.loads(path.read_text())["key"] == host:
            os.utime(path, (clock.now - days * 86400,) * 2)


def hosts(tmp_path: Path) -> List[str]:
    return sorted(
        json.loads(path.read_text())["key"] for path in (tmp_path / "cache").glob("*.json")
    )


def test_what_is_long_out_of_date_is_removed(tmp_path: Path, clock: Clock, cache: Cache) -> None:
    """Case F6: a file for every host ever seen."""
    for host, days in (("gone", 40.0), ("rare", 20.0), ("new", 0.0)):
        put_long_ago(tmp_path, clock, cache, host, days)
    (tmp_path / "cache" / ".swept").unlink()
    os.utime(tmp_path / "cache", (0, 0))
    Cache(str(tmp_path), "https://a.example/api", clock).put("customer", "next", 7)
    assert hosts(tmp_path) == ["new", "next", "rare"]


@pytest.mark.parametrize("kind", ["names", "instance"])
def test_what_may_be_asked_for_at_any_age_is_kept(
    tmp_path: Path, clock: Clock, cache: Cache, kind: str
) -> None:
    cache.put(kind, "k", 7)
    clock.now += 100 * 86400
    Cache(str(tmp_path), "https://a.example/api", clock).put("customer", "next", 7)
    assert cache.get(kind, "k", math.inf) == 7


def test_the_cache_is_looked_through_once_a_day(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: List[str] = []
    scandir = os.scandir

    def counted(folder: str) -> Any:
        looks.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counted)
    for day in range(3):
        mark = tmp_path / "cache" / ".swept"
        if mark.exists():
            os.utime(mark, (clock.now,) * 2)
            clock.now += 86401.0
        for process in range(4):
            kept = Cache(str(tmp_path), "https://a.example/api", clock)
            for number in range(3):
                kept.put("customer", f"host {day} {process} {number}", 7)
            os.utime(mark, (clock.now,) * 2)
    assert len(looks) == 3


def test_a_mark_that_lies_ahead_is_none(tmp_path: Path, clock: Clock, cache: Cache) -> None:
    put_long_ago(tmp_path, clock, cache, "gone", 40.0)
    os.utime(tmp_path / "cache" / ".swept", (clock.now + 1e6,) * 2)
    Cache(str(tmp_path), "https://a.example/api", clock).put("customer", "next", 7)
    assert hosts(tmp_path) == ["next"]
