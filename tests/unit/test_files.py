"""Files of the state folder: whole, durable, private, and never through a planted link."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List, Set, Tuple

import pytest

from brtel_notify.local import files


def mode(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777], ids=lambda mask: f"umask{mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "state"
    made.mkdir()
    made.chmod(0o700)
    return made


def fail_after(monkeypatch: pytest.MonkeyPatch, written: int, code: int = errno.ENOSPC) -> None:
    """Let os.write take so many bytes, then fail."""
    real = os.write
    left = [written]

    def write(descriptor: int, data: Any) -> int:
        if left[0] <= 0:
            raise OSError(code, os.strerror(code))
        taken = real(descriptor, bytes(data)[: left[0]])
        left[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", write)


# --- write_whole ----------------------------------------------------------------------------------


def test_file_has_what_was_written(folder: Path) -> None:
    data = os.urandom(3_000_000)
    files.write_whole(folder / "f", data)
    assert (folder / "f").read_bytes() == data == files.read_whole(folder / "f")
    files.write_whole(folder / "f", b"")
    assert files.read_whole(folder / "f") == b""


def test_only_the_owner_reads_it_whatever_the_umask(folder: Path, umask: int) -> None:
    files.write_whole(folder / "f", b"x")
    assert mode(folder / "f") == 0o600


def test_group_reads_it_in_a_shared_folder_whatever_the_umask(folder: Path, umask: int) -> None:
    folder.chmod(0o2770)
    files.write_whole(folder / "f", b"x")
    assert mode(folder / "f") == 0o660


def test_folder_is_as_private_as_its_parent(folder: Path, umask: int) -> None:
    files.make_folder(folder / "alone")
    files.make_folder(folder / "private", folder)
    assert mode(folder / "alone") == mode(folder / "private") == 0o700
    folder.chmod(0o2770)
    files.make_folder(folder / "shared", folder)
    assert mode(folder / "shared") == 0o2770


@pytest.mark.parametrize(
    "make", [files.make_folder, files.create_at_once], ids=lambda f: f.__name__
)
def test_nobody_sees_it_before_it_is_open_to_the_group(
    folder: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any]
) -> None:
    """A group's other users look for it under its name, and may not come too early."""
    folder.chmod(0o2770)
    seen: List[bool] = []
    real = os.fchmod

    def fchmod(descriptor: int, mode: int) -> None:
        seen.append(os.path.lexists(folder / "new"))
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", fchmod)
    made = make(folder / "new", folder if make is files.make_folder else os.O_RDWR)
    if made is not None:
        os.close(made)
    assert seen == [False]
    assert mode(folder / "new") == (0o2770 if made is None else 0o660)
    assert os.listdir(folder) == ["new"]


def test_who_is_faster_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_fchmod = os.fchmod

    def fchmod(descriptor: int, mode: int) -> None:
        """Somebody else does the same, and uses it, just before us."""
        monkeypatch.setattr(os, "fchmod", real_fchmod)
        (folder / "d").mkdir()
        (folder / "d" / "event").write_text("x")
        (folder / "f").write_text("x")
        real_fchmod(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", fchmod)
    files.make_folder(folder / "d", folder)
    assert (folder / "d" / "event").read_text() == "x"
    with pytest.raises(FileExistsError):
        files.create_at_once(folder / "f", os.O_RDWR)
    assert sorted(os.listdir(folder)) == ["d", "f"]


def test_a_file_system_without_hard_links_will_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Any, target: Any) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "link", link)
    os.close(files.create_at_once(folder / "f", os.O_RDWR))
    assert os.listdir(folder) == ["f"]


def test_what_root_writes_belongs_to_the_folders_owner(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An administrator tries the command by hand: nagios must be able to go on with its files."""
    given: List[Tuple[int, int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        os, "fchown", lambda fd, user, group: given.append((os.fstat(fd).st_ino, user, group))
    )
    files.write_whole(folder / "f", b"x")
    files.make_folder(folder / "d", folder)
    owner = (folder.stat().st_uid, folder.stat().st_gid)
    assert given == [((folder / name).stat().st_ino, *owner) for name in ("f", "d")]


def test_everybody_else_gives_nothing_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(os, "fchown", lambda *_: pytest.fail("chown is root's"))
    files.write_whole(folder / "f", b"x")


def test_planted_link_is_replaced_and_its_target_untouched(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "shadow"
    target.write_bytes(b"precious")
    (folder / "f").symlink_to(target)
    files.write_whole(folder / "f", b"new")
    assert target.read_bytes() == b"precious"
    assert not (folder / "f").is_symlink()
    assert (folder / "f").read_bytes() == b"new"


def test_temporary_file_is_never_somebody_elses(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Even a link whose name was guessed does not lead a write anywhere."""
    monkeypatch.setattr(os, "urandom", bytes)
    target = tmp_path / "shadow"
    target.write_bytes(b"precious")
    (folder / f".f.{os.getpid()}.00000000.tmp").symlink_to(target)
    with pytest.raises(FileExistsError):
        files.write_whole(folder / "f", b"new")
    assert target.read_bytes() == b"precious"


def test_data_is_on_disk_before_the_rename_and_the_name_after(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: List[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        size = os.fstat(descriptor).st_size
        happened.append("fsync folder" if is_folder else f"fsync {size} bytes")
        real_fsync(descriptor)

    def rename(source: Any, target: Any) -> None:
        happened.append("rename")
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    files.write_whole(folder / "f", b"12345")
    assert happened == ["fsync 5 bytes", "rename", "fsync folder"]
    happened.clear()
    files.append_line(folder / "f", b"678")
    assert happened == ["fsync 10 bytes"]
    happened.clear()
    files.write_whole(folder / "f", b"12345", durable=False)
    assert happened == ["rename"]
    happened.clear()
    files.make_folder(folder / "d")
    assert happened == ["rename", "fsync folder"]


@pytest.mark.parametrize("written", [0, 3])
def test_full_disk_leaves_the_old_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    files.write_whole(folder / "f", b"old")
    fail_after(monkeypatch, written)
    with pytest.raises(OSError, match="No space left") as raised:
        files.write_whole(folder / "f", b"newer and longer")
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(folder / "f")
    assert os.listdir(folder) == ["f"]
    assert (folder / "f").read_bytes() == b"old"


@pytest.mark.parametrize("function", ["fsync", "rename", "fchmod", "close"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.EACCES])
def test_any_failing_step_names_the_file_and_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch, function: str, code: int
) -> None:
    files.write_whole(folder / "f", b"old")
    real: Callable[..., Any] = getattr(os, function)

    def fail(*arguments: Any) -> None:
        if function == "close":
            real(*arguments)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, function, fail)
        with pytest.raises(OSError, match=os.strerror(code)) as raised:
            files.write_whole(folder / "f", b"new")
    assert raised.value.filename == str(folder / "f")
    assert raised.value.filename2 is None
    assert os.listdir(folder) == ["f"]
    assert (folder / "f").read_bytes() == b"old"


def test_interrupt_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(folder / "f", b"new")
    assert os.listdir(folder) == []


def test_folder_that_knows_no_fsync_will_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_whole(folder / "f", b"x")
    assert (folder / "f").read_bytes() == b"x"


def test_missing_folder_and_a_file_for_a_folder_are_named(folder: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        files.write_whole(folder / "no" / "f", b"x")
    assert missing.value.filename == str(folder / "no" / "f")
    (folder / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError) as wrong:
        files.write_whole(folder / "file" / "f", b"x")
    assert wrong.value.filename == str(folder / "file" / "f")


def test_relative_names_stand_in_the_current_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    files.write_whole("f", b"x")
    files.make_folder("d")
    assert sorted(os.listdir(folder)) == ["d", "f"]


def test_reader_never_sees_a_part(folder: Path) -> None:
    path = folder / "f"
    texts = {bytes([65 + n]) * 200_000 for n in range(4)}
    files.write_whole(path, next(iter(texts)))
    seen: Set[bytes] = set()  # a slow disk gives time for thousands of looks
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(files.read_whole(path))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        for text in texts:
            files.write_whole(path, text, durable=False)
    done.set()
    reader.join()
    assert seen <= texts


def test_full_disk_of_a_real_process(folder: Path) -> None:
    """The kernel refuses, not a fake: RLIMIT_FSIZE binds root too."""
    script = """
import resource, signal, sys
from brtel_notify.local import files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
files.write_whole(sys.argv[1], b'old\\n')
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for act in (files.write_whole, files.append_line):
    try:
        act(sys.argv[1], b'x' * 5000)
    except OSError as error:
        print(error.errno, error.filename)
"""
    path = folder / "f"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{errno.EFBIG} {path}"] * 2
    assert path.read_bytes() == b"old\n"
    assert os.listdir(folder) == ["f"]


# --- append_line ----------------------------------------------------------------------------------


def test_lines_follow_each_other(folder: Path) -> None:
    path = folder / "f"
    path.write_bytes(b"one\n")
    files.append_line(path, b"two")
    files.append_line(path, b"three")
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_line_that_a_kill_cut_short_is_closed_off(folder: Path) -> None:
    path = folder / "f"
    path.write_bytes(b'one\n{"step": "cre')
    files.append_line(path, b"two")
    assert path.read_bytes() == b'one\n{"step": "cre\ntwo\n'


@pytest.mark.parametrize("before", [b"", b"one\n", b"one\ncut"])
@pytest.mark.parametrize("written", [0, 1, 3])
def test_full_disk_takes_the_line_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, before: bytes, written: int
) -> None:
    path = folder / "f"
    path.write_bytes(before)
    fail_after(monkeypatch, written)
    with pytest.raises(OSError, match="No space left") as raised:
        files.append_line(path, b"something long")
    assert raised.value.filename == str(path)
    assert path.read_bytes() == before


def test_failing_fsync_takes_the_line_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "f"
    path.write_bytes(b"one\n")

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        files.append_line(path, b"two")
    assert path.read_bytes() == b"one\n"


def test_nothing_is_appended_to_a_file_that_is_gone(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.append_line(folder / "f", b"x")
    assert os.listdir(folder) == []


# --- what is no file ------------------------------------------------------------------------------


def plant(kind: str, path: Path, target: Path) -> None:
    if kind == "link":
        path.symlink_to(target)
    elif kind == "dangling link":
        path.symlink_to(path.parent / "nowhere")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "FIFO"])
def test_what_is_no_file_is_refused_and_does_not_hang(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious\n")
    plant(kind, folder / "f", target)
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    acts: List[Callable[[Path], Any]] = [files.read_whole, append]
    for act in acts:
        with pytest.raises(files.NotAFile, match="where a file is due") as raised:
            act(folder / "f")
        assert raised.value.filename == str(folder / "f")
    assert target.read_bytes() == b"precious\n"
    if descriptors:  # fewer, where something of an earlier test is collected just now
        assert len(os.listdir("/proc/self/fd")) <= descriptors


def append(path: Path) -> None:
    files.append_line(path, b"x")


def test_fifo_is_replaced_and_a_folder_is_not(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    files.write_whole(folder / "fifo", b"x")
    assert (folder / "fifo").read_bytes() == b"x"
    (folder / "d").mkdir()
    with pytest.raises(IsADirectoryError):
        files.write_whole(folder / "d", b"x")
    assert sorted(os.listdir(folder)) == ["d", "fifo"]


def test_removing_what_is_not_there_is_no_failure(folder: Path) -> None:
    files.remove_quietly(folder / "f")


# --- what another member of a shared folder may have planted --------------------------------------


def test_the_log_follows_no_link_out_of_a_shared_folder(tmp_path: Path) -> None:
    from brtel_notify.local.log import Log

    folder, victim = tmp_path / "log", tmp_path / "victim"
    folder.mkdir()
    link = folder / "brtel-notify.log"
    link.symlink_to(victim)
    log = Log()
    log.send_to(str(link))
    folder.chmod(0o2770)
    log.say("of the alert")
    assert not victim.exists()
    victim.write_text("")
    log.say("of the alert")
    link.unlink()
    os.link(victim, link)
    log.say("of the alert")
    assert victim.read_text() == ""
    link.unlink()
    log.say("first")
    log.say("second")
    told = [line.partition("]: ")[2] for line in link.read_text().splitlines()]
    assert told == ["3 lines before this one could not be written here", "first", "second"]
    folder.chmod(0o700)  # its operator's own link
    link.unlink()
    link.symlink_to(victim)
    log.say("of the alert")
    assert "of the alert" in victim.read_text()


def test_a_private_folder_that_is_swapped_takes_nothing_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from brtel_notify.local.private_folder import PrivateFolder

    victim = tmp_path / "victim"
    victim.mkdir()
    victim.chmod(0o755)
    make = os.mkdir

    def swapped(path: str, mode: int = 0o777) -> None:
        make(path, mode)
        if "parsed-" in path:
            os.rename(path, f"{path}.away")
            os.symlink(victim, path)

    monkeypatch.setattr(os, "mkdir", swapped)
    kept = PrivateFolder(str(tmp_path), "parsed")
    kept.write("config.json", b"x")
    assert victim.stat().st_mode & 0o777 == 0o755
    assert list(victim.iterdir()) == []
    (victim / "config.json").write_bytes(b"x")
    (victim / "config.json").chmod(0o600)
    assert kept.read("config.json") is None
