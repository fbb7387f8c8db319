"""Nobody reads what we say: that costs the lines that nobody read, and no delivery."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional

import pytest
from support import PATIENCE, Site, until
from test_worker import add

from brtel_notify.delivery.lock import DrainLock
from brtel_notify.local import nonblocking

DOWN = ("-v", "event", "--host", "acme.3cx.fr", "--state", "DOWN")


def fill(write: Callable[[bytes], Any]) -> None:
    """Write until there is room for nothing more."""
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                write(b"x" * size)


class Unread:
    """ITS, a descriptor to write to, and OURS, which nobody reads before ``read`` is called."""

    def __init__(self, ours: int, its: int, resume: Callable[[], None] = lambda: None) -> None:
        self.ours = ours
        self.its = its
        self.said = b""
        self._resume = resume
        self._reader: Optional[threading.Thread] = None

    def read(self) -> None:
        """Begin to read, until nobody has the other end any more."""
        self._resume()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # a terminal's end
            for data in iter(lambda: os.read(self.ours, 65536), b""):
                self.said += data

    def close(self) -> None:
        os.close(self.its)
        if self._reader is not None:
            self._reader.join()
        os.close(self.ours)


def full_pipe() -> Unread:
    return full(*os.pipe())


def full_socket() -> Unread:
    """The journal, when it is stuck."""
    ours, its = socket.socketpair()
    return full(ours.detach(), its.detach())


def full(ours: int, its: int) -> Unread:
    os.set_blocking(its, False)
    fill(lambda data: os.write(its, data))
    os.set_blocking(its, True)  # as every caller's is
    return Unread(ours, its)


def stopped_terminal() -> Unread:
    ours, its = os.openpty()
    termios.tcflow(its, termios.TCOOFF)  # Ctrl-S
    return Unread(ours, its, lambda: termios.tcflow(its, termios.TCOON))


@pytest.fixture(params=[full_pipe, full_socket, stopped_terminal], ids=lambda make: make.__name__)
def unread(request: pytest.FixtureRequest) -> Iterator[Unread]:
    made: Unread = request.param()
    with contextlib.closing(made):
        yield made


def is_free(site: Site) -> bool:
    with DrainLock(str(site.state_dir)) as taken:
        return taken


# --- stdout and stderr ----------------------------------------------------------------------------


@pytest.mark.short
def test_a_delivery_whose_stderr_nobody_reads(site: Site, unread: Unread) -> None:
    done = subprocess.run(
        site.words(*DOWN),
        stdout=subprocess.PIPE,
        stderr=unread.its,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout.startswith(b"delivered: ")
    assert site.the_ticket()["open"]
    assert is_free(site)


@pytest.mark.parametrize(("status", "code"), [(201, 0), (422, 65)])
def test_a_delivery_of_which_nobody_reads_anything(
    site: Site, unread: Unread, status: int, code: int
) -> None:
    if code:
        site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": status})
    done = subprocess.run(
        site.words(*DOWN), stdout=unread.its, stderr=unread.its, timeout=PATIENCE, check=False
    )
    assert done.returncode == code
    assert len(site.tickets) == (not code)


def test_commands_that_share_a_pipe_which_nobody_reads(site: Site) -> None:
    with contextlib.closing(full_pipe()) as unread:
        running = [
            subprocess.Popen(
                site.words("-v", "event", "--host", f"pbx{n}.example.net", "--state", "DOWN"),
                stdout=unread.its,
                stderr=unread.its,
            )
            for n in range(6)
        ]
        assert [process.wait(PATIENCE) for process in running] == [0] * 6
    site.run("flush")
    assert len(site.tickets) == 6


def test_a_wrong_command_line_that_nobody_is_told_of(site: Site, unread: Unread) -> None:
    for words in (("evnt",), ("queue", "--colour"), ("event", "--hots", "a")):
        done = subprocess.run(site.words(*words), stderr=unread.its, timeout=PATIENCE, check=False)
        assert done.returncode == 2


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("cli._open_streams(); warnings.warn('x' * 100_000)", 0),
        ("drain.Drain.run = None; cli.entry()", 70),
    ],
    ids=["warning", "traceback"],
)
def test_what_python_itself_has_to_say(site: Site, unread: Unread, script: str, code: int) -> None:
    begin = "import warnings; from brtel_notify import cli; from brtel_notify.delivery import drain"
    script = f"{begin}; {script}"
    words = [sys.executable, "-c", script, *site.words(*DOWN)[3:]]
    done = subprocess.run(words, stderr=unread.its, timeout=PATIENCE, check=False)
    assert done.returncode == code


@contextlib.contextmanager
def working(site: Site, words: List[str], stderr: Optional[int] = None) -> Iterator[None]:
    """A worker, with three tickets opened by the time that it works."""
    worker = subprocess.Popen(words, stderr=stderr)
    try:
        for number in range(3):
            add(site, number)
        until(lambda: len(site.tickets) == 3 and not site.queued())
        yield
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0
    finally:
        worker.kill()
        worker.wait()


def test_a_worker_whose_stderr_nobody_reads_for_a_while(site: Site, unread: Unread) -> None:
    with working(site, site.words("-v", "worker"), unread.its):
        unread.read()
        until(lambda: is_told(site, unread))


def test_a_worker_ends_when_it_is_told_to(site: Site, unread: Unread) -> None:
    with working(site, site.words("-v", "worker"), unread.its):
        pass


def is_told(site: Site, unread: Unread) -> bool:
    """Whether it was said that lines were lost; it takes another line to say it."""
    if not site.queued():
        add(site, len(site.tickets))
    told = re.search(rb"\d+ lines? before this one could not be written here", unread.said)
    return told is not None


# --- a FIFO and syslog ----------------------------------------------------------------------------


def full_fifo(path: Path) -> Unread:
    os.mkfifo(path)
    ours = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(ours, True)
    return full(ours, os.open(path, os.O_WRONLY))


def test_a_fifo_that_nobody_reads(site: Site) -> None:
    path = site.folder / "log"
    site.configure(f"log: {path}\n")
    with contextlib.closing(full_fifo(path)):
        done = subprocess.run(site.words(*DOWN), capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout.startswith(b"delivered: ")
    assert site.the_ticket()["open"]
    # Nor does anybody have it open:
    done = subprocess.run(site.words(*DOWN), capture_output=True, timeout=PATIENCE, check=True)
    assert f"{path}: No such device or address: event:acme.3cx.fr: ".encode() in done.stderr


def test_a_worker_whose_fifo_nobody_reads_for_a_while(site: Site) -> None:
    path = site.folder / "log"
    site.configure(f"log: {path}\n")
    with contextlib.closing(full_fifo(path)) as unread, working(site, site.words("-v", "worker")):
        unread.read()
        until(lambda: is_told(site, unread))


#: Runs a command whose syslog is not the machine's.
WITH_SYSLOG = """\
import sys
from brtel_notify import cli
from brtel_notify.local import log_targets
log_targets.SOCKET = sys.argv.pop(1)
cli.entry()
"""


def with_syslog(site: Site, socket: Path, *words: str) -> List[str]:
    site.configure("log: syslog\n")
    return [sys.executable, "-c", WITH_SYSLOG, str(socket), *site.words(*words)[3:]]


def full_syslog(path: Path) -> Unread:
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.bind(str(path))
    its = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    its.connect(str(path))
    return full(ours.detach(), its.detach())


def test_a_syslog_that_nobody_reads(site: Site) -> None:
    path = site.folder / "socket"
    with contextlib.closing(full_syslog(path)):
        done = subprocess.run(
            with_syslog(site, path, *DOWN), capture_output=True, timeout=PATIENCE, check=True
        )
    assert done.stdout.startswith(b"delivered: ")
    assert site.the_ticket()["open"]


def test_a_worker_whose_syslog_is_stuck_for_a_while(site: Site) -> None:
    path = site.folder / "socket"
    with contextlib.closing(full_syslog(path)) as unread:
        with working(site, with_syslog(site, path, "-v", "worker")):
            unread.read()
            until(lambda: is_told(site, unread))
        os.write(unread.its, b"")  # a datagram of nothing: to our reader, the end


def test_a_worker_whose_syslog_comes_up_late(site: Site) -> None:
    path = site.folder / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        with working(site, with_syslog(site, path, "worker")):
            ours.bind(str(path))
        said = [ours.recv(65536)]
        while not said[-1].endswith(b": worker: stopped"):
            said.append(ours.recv(65536))
    # The last of the three may have been said just after the socket was there.
    assert re.search(rb": [23] lines before this one could not be written here$", said[0])


# --- somebody reads, only slowly ------------------------------------------------------------------


def test_who_is_slow_to_read_gets_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nonblocking, "PATIENCE", PATIENCE)
    lines = [b"%d" % number + b"." * 9000 + b"\n" for number in range(30)]
    ours, its = os.pipe()
    target = nonblocking.Descriptor(its)

    def write() -> None:
        for line in lines:
            target.put(line)
        os.close(its)

    thread = threading.Thread(target=write)
    thread.start()
    with open(ours, "rb") as file:
        assert list(file) == lines
    thread.join()
    assert target.lost == 0


def test_threads_and_a_reader_that_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is lost: a line that arrives is a line, and the others were counted."""
    monkeypatch.setattr(nonblocking, "PATIENCE", 0.01)
    monkeypatch.setattr(nonblocking, "BRIEFLY", 0.01)
    ours, its = os.pipe()
    target = nonblocking.Descriptor(its)

    def write(name: bytes) -> None:
        for _ in range(50):
            target.put(name * 9000 + b"\n")

    threads = [threading.Thread(target=write, args=(name,)) for name in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.to_tell() == 0  # it could not be told yet
    assert target.lost > 0
    arrived: List[bytes] = []

    def read() -> None:
        with open(ours, "rb") as file:
            arrived.extend(file)

    reader = threading.Thread(target=read)
    reader.start()
    until(target.to_tell)
    os.close(its)
    reader.join()
    assert len(arrived) + target.lost == 150
    assert set(arrived) <= {name * 9000 + b"\n" for name in (b"a", b"b", b"c")}
