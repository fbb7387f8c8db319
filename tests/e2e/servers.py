"""What the tests of every monitoring system need: programs, ports, daemons, patience."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Sequence, TypeVar

import pytest
from support import Site

T = TypeVar("T")

#: Where the drop-ins stand.
CHECKOUT = Path(__file__).resolve().parents[2]
#: Debian keeps daemons where only root looks.
_PLACES = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/local/sbin"])
#: Seconds after which a server that has not done what it should is taken for broken.
PATIENCE = 180.0


def need(program: str, package: str) -> str:
    """The path of PROGRAM; without it a plain ``make test`` skips, ``make e2e`` fails."""
    found = shutil.which(program, path=_PLACES)
    if found is None:
        missing(f"{program} is not installed (Debian package {package})")
    assert found is not None
    return found


def missing(what: str) -> None:
    """Something that these tests need is not here. Where it must be, conftest.py makes it fail."""
    pytest.skip(what)


def put_command(path: Path, words: Sequence[str], root: Path, user: str) -> None:
    """Write the command brtel-notify to PATH: it is WORDS, but ``install`` works below ROOT.

    There, the monitoring's USER is whoever runs the test.
    """
    (root / "etc/passwd").write_text(f"{user}:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n")
    (root / "etc/group").write_text(f"{user}:x:{os.getgid()}:\n")
    plain = shlex.join([sys.executable, "-m", "brtel_notify"])
    below = f'[ "$1" != install ] || exec {plain} "$@" --root \'{root}\''
    path.write_text(f'#!/bin/sh\n{below}\nexec {shlex.join(words)} "$@"\n')
    path.chmod(0o755)


def put_program(path: Path, site: Site) -> None:
    """Write the program brtel-notify for SITE to PATH; :func:`told` says what it was given."""
    folder = _notes_of(path)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o1777)  # it may be another user who calls it
    note = f"note=$(mktemp '{folder}/XXXXXX') && {{ env -0 && printf '%s\\0' \"$@\"; }} >\"$note\""
    path.write_text(f'#!/bin/sh\n{note}\nexec {shlex.join(site.words())} "$@"\n')
    path.chmod(0o755)


def told(path: Path, about: str) -> List[Dict[str, str]]:
    """What a monitoring system gave the program at PATH: of each call that names ABOUT, in order.

    By name: variables without their ``NAGIOS_`` or ``ICINGA_``, or the lines of Zabbix's message.
    """
    notes = sorted(_notes_of(path).iterdir(), key=lambda note: note.stat().st_mtime_ns)
    texts = [note.read_text("utf-8", errors="replace") for note in notes]
    return [_by_name(text) for text in texts if about in text]


def _notes_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.told")


def _by_name(text: str) -> Dict[str, str]:
    variables = [word for word in text.split("\0") if re.match(r"(?:NAGIOS|ICINGA)_\w+=", word)]
    given = re.findall(r"--var[=\0]([^\0]*)", text)
    pairs = [word.partition("_")[2].partition("=") for word in variables]
    pairs += [word.partition("=") for word in given]
    pairs += [line.partition(": ") for line in text.partition("BRTEL.NOTIFY")[2].splitlines()]
    return {name: value for name, _, value in pairs}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses; Zabbix takes none above 32767.

    It is below those that the kernel gives to whoever asks for any: who asks for one may need
    minutes until it listens on it, and meanwhile others call and listen, thousands of times.
    """
    for port in random.sample(range(20_000, 32_768), 100):
        with socket.socket() as taken:
            try:
                taken.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def wait_for(what: str, look: Callable[[], T], seconds: float = PATIENCE) -> T:
    """The first true answer of LOOK; fails the test, naming WHAT, when none comes."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            pytest.fail(f"after {seconds:.0f} s still not: {what}")
        time.sleep(0.1)


class Stoppable:
    """What a ``with`` block ends, however it is left, by ``stop``."""

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, also twice."""
        raise NotImplementedError


class Daemon(Stoppable):
    """``with Daemon(words, log) as daemon:`` runs a server in the foreground and ends it.

    Its output goes to the file LOG. It leads a process group of its own, and is ended by its own
    process id; a child that it left behind ends with its group.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: Path,
        env: Optional[Mapping[str, str]] = None,
        user: Optional[str] = None,
        cwd: Optional[Path] = None,
    ) -> None:
        self._words: List[str] = list(words)
        self.log = log
        self._env = env
        self._user = user
        self._cwd = cwd
        self._process: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> Daemon:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(self._env or {})},
                user=self._user,
                cwd=self._cwd,
                start_new_session=True,
            )
        return self

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End it, also twice."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        try:
            os.killpg(process.pid, 9)
        except (ProcessLookupError, PermissionError):
            pass

    def said(self) -> str:
        """What it wrote so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""
