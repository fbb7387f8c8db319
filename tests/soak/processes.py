"""What the real half consists of: a machine, a worker, commands, and feeders.

A feeder is a process that does what many notification commands do, one after the other, with the
program's own code and without its start-up: it takes one as JSON on a pipe, runs the command, and
answers with the exit code. The player says at the end how many came which way.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from support import ENVIRONMENT, Site

from soak.model import Said

SHIM = Path(__file__).parent / "shim"
FEEDER = Path(__file__)


class Machine:
    """Clock and disk of the processes that are given ``environment``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "machine"
        self.ahead = self.full = self.furthest = 0.0
        self._write()
        inherited = ENVIRONMENT.get("PYTHONPATH", "")
        paths = [str(SHIM), *([inherited] if inherited else [])]
        self.environment = {"SOAK_MACHINE": str(self._path), "PYTHONPATH": os.pathsep.join(paths)}

    def set_clock(self, ahead: float) -> None:
        """The clock jumps: so many seconds AHEAD of the true one."""
        self.ahead, self.furthest = ahead, max(ahead, self.furthest)
        self._write()

    def fill_disk(self, part: float) -> None:
        """That PART of all writes fails."""
        self.full = part
        self._write()

    def time(self) -> float:
        """What its clock says."""
        return time.time() + self.ahead

    def _write(self) -> None:
        # In place: it is mapped by those that run.
        flags = os.O_WRONLY | os.O_CREAT
        descriptor = os.open(self._path, flags, 0o600)
        os.pwrite(descriptor, struct.pack("dd", self.ahead, self.full), 0)
        os.close(descriptor)


class Beside(NamedTuple):
    """A command that runs beside the others, and is killed at that time, if any."""

    process: subprocess.Popen[bytes]
    words: Tuple[str, ...]
    kill_at: Optional[float]


class Computer:
    """A site, with whatever runs on it. ``log`` is all they said on stderr."""

    def __init__(self, site: Site, machine: Machine) -> None:
        self.site = site
        self.machine = machine
        self.environment = {**ENVIRONMENT, **machine.environment}
        self.log = site.folder / "log"
        self._worker: Optional[subprocess.Popen[bytes]] = None
        self._beside: List[Beside] = []

    def start(self, *words: str, said: Optional[Said] = None, **options: Any) -> Any:
        """Start a command; what it says on stderr goes to the log."""
        env = self.environment if said is None else {**self.environment, **said.env}
        with open(self.log, "ab") as log:
            return subprocess.Popen(self.site.words(*words), env=env, stderr=log, **options)

    def run(self, *words: str, timeout: float = 300) -> int:
        """Run a command to its end; its exit code, or -9 if it took too long and was killed."""
        process = self.start(*words, stdout=subprocess.DEVNULL)
        try:
            return int(process.wait(timeout))
        except subprocess.TimeoutExpired:
            process.kill()
            return int(process.wait())

    def start_beside(self, *words: str, killed_after: Optional[float] = None) -> None:
        """Start a command that nobody waits for now."""
        process = self.start(*words, stdout=subprocess.DEVNULL)
        kill_at = None if killed_after is None else time.monotonic() + killed_after
        self._beside.append(Beside(process, words, kill_at))

    def look_beside(self, patience: float = 0.0) -> List[Tuple[Tuple[str, ...], int]]:
        """What became of those that have ended by now, or end within PATIENCE seconds each."""
        ended = []
        for one in self._beside[:]:
            if one.kill_at is not None and (patience or time.monotonic() > one.kill_at):
                one.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                ended.append((one.words, one.process.wait(patience)))
                self._beside.remove(one)
        return ended

    def start_worker(self) -> None:
        """Unless one runs."""
        if self._worker is None:
            self._worker = self.start("worker", stdout=subprocess.DEVNULL)

    def end_worker(self, by: int) -> Optional[int]:
        """End the worker by that signal; its exit code, if there was one."""
        if self._worker is None:
            return None
        self._worker.send_signal(by)
        code = self._worker.wait(120)
        self._worker = None
        return code


class Feeder:
    """The player's end of one."""

    def __init__(self, computer: Computer) -> None:
        self._computer = computer
        self._process: Optional[subprocess.Popen[bytes]] = None

    def tell(self, said: Said, kill_after: Optional[float] = None) -> int:
        """Have it run one command; the exit code, or minus the signal that killed it."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(said._asdict()).encode() + b"\n")
            process.stdin.flush()
        if kill_after is not None:
            time.sleep(kill_after)
            process.kill()
        answer = process.stdout.readline()
        if answer:
            return int(answer)
        self.stop()
        return -signal.SIGKILL

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            site = self._computer.site
            with open(self._computer.log, "ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, str(FEEDER), *site.words()[3:]],
                    env={**self._computer.environment, "PYTHONPATH": _paths(self._computer)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                )
        return self._process


def _paths(computer: Computer) -> str:
    return os.pathsep.join((computer.environment["PYTHONPATH"], str(FEEDER.parents[1])))


# --- inside a feeder ------------------------------------------------------------------------------


def feed(*options: str) -> None:
    """Run a command for each line of the first stdin, until it ends."""
    orders = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in orders:
        answers.write(f"{command(Said(**json.loads(line)), *options)}\n".encode())
        answers.flush()


@contextlib.contextmanager
def put_back() -> Iterator[None]:
    """What :func:`command` changes of this process is afterwards as it was."""
    environment, argv, stdin, descriptor = dict(os.environ), sys.argv, sys.stdin, os.dup(0)
    try:
        yield
    finally:
        _replace_environment(environment)
        sys.argv, sys.stdin = argv, stdin
        os.dup2(descriptor, 0)
        os.close(descriptor)


def command(said: Said, *options: str) -> int:
    """Run a notification command in this process; its exit code."""
    from brtel_notify import cli

    _replace_environment({**ENVIRONMENT, **said.env})
    _give_stdin(said.stdin.encode())
    words = [*options, said.source, *said.argv]
    sys.argv = ["brtel-notify", *words]
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return cli.main(words)
    except SystemExit as error:
        return int(error.code or 0)


def _replace_environment(wanted: Dict[str, str]) -> None:
    for name in [name for name in os.environ if name not in wanted]:
        del os.environ[name]
    os.environ.update(wanted)


def _give_stdin(data: bytes) -> None:
    readable, writable = os.pipe()
    os.write(writable, data)  # it is shorter than what a pipe holds
    os.close(writable)
    os.dup2(readable, 0)
    os.close(readable)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")


if __name__ == "__main__":
    feed(*sys.argv[1:])
