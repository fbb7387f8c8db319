"""The drain lock: one holder, never a wait, gone with its holder."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import pytest

from brtel_notify.delivery.lock import NAME, DrainLock
from brtel_notify.local import files

HOLDER = """
import sys
from brtel_notify.delivery.lock import DrainLock
with DrainLock(sys.argv[1]) as taken:
    print(taken, flush=True)
    sys.stdin.read()
"""


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def test_second_taker_is_told_at_once(folder: Path) -> None:
    with DrainLock(str(folder)) as first:
        with DrainLock(str(folder)) as second:
            assert (first, second) == (True, False)
        with DrainLock(str(folder)) as third:
            assert not third
    with DrainLock(str(folder)) as again:
        assert again


def test_other_processes_are_told_too_and_a_killed_holder_lets_go(folder: Path) -> None:
    with start(folder) as holder:
        assert first_line(holder) == "True"
        with DrainLock(str(folder)) as taken:
            assert not taken
        with start(folder) as other:
            assert first_line(other) == "False"
            other.communicate("")
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with DrainLock(str(folder)) as taken:
            assert taken


def test_lock_is_let_go_when_the_work_fails(folder: Path) -> None:
    lock = DrainLock(str(folder))
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    with lock as taken:
        assert taken


def test_ctrl_c_while_it_is_taken_leaves_it_free(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            DrainLock(str(folder)).take()
    with DrainLock(str(folder)) as taken:
        assert taken


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
@pytest.mark.parametrize(("folder_mode", "wanted"), [(0o700, 0o600), (0o2770, 0o660)])
def test_mode_follows_the_folder(folder: Path, umask: int, folder_mode: int, wanted: int) -> None:
    folder.chmod(folder_mode)
    before = os.umask(umask)
    try:
        with DrainLock(str(folder)) as taken:
            assert taken
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == wanted


def test_folder_that_was_opened_to_a_group_later_opens_the_lock(folder: Path) -> None:
    with DrainLock(str(folder)):
        pass
    folder.chmod(0o2770)
    with DrainLock(str(folder)):
        pass
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o660


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "fifo"])
def test_what_is_no_file_is_refused(folder: Path, kind: str) -> None:
    target = folder / "target"
    if kind == "link":
        target.write_text("precious")
        target.chmod(0o644)
        (folder / NAME).symlink_to(target)
    elif kind == "dangling":
        (folder / NAME).symlink_to(target)
    elif kind == "folder":
        (folder / NAME).mkdir()
    else:
        os.mkfifo(folder / NAME)
    with pytest.raises(files.NotAFile), DrainLock(str(folder)):
        pytest.fail("nothing was locked")
    if kind == "link":
        assert stat.S_IMODE(target.stat().st_mode) == 0o644
    else:
        assert not target.exists()


def test_planted_hard_link_keeps_its_mode(folder: Path) -> None:
    """Else root's drain would open somebody else's file to a group."""
    folder.chmod(0o2770)
    target = folder / "shadow"
    target.write_text("precious")
    target.chmod(0o600)
    os.link(target, folder / NAME)
    with DrainLock(str(folder)):
        pass
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_file_system_without_locks_is_said_and_leaks_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: List[int] = []

    def flock(descriptor: int, operation: int) -> Any:
        opened.append(descriptor)
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(OSError, match="No locks") as raised, DrainLock(str(folder)):
        pytest.fail("nothing was locked")
    assert raised.value.filename == str(folder / NAME)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


def test_missing_folder_is_named(folder: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised, DrainLock(str(folder / "no")):
        pytest.fail("nothing was locked")
    assert str(folder / "no") in str(raised.value.filename)
