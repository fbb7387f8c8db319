"""The log: one line at a time, to stderr, syslog or a file, as the configuration says."""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, List

PROGRAM = "brtel-notify"
#: How many of the last lines are remembered; a worker says many.
REMEMBERED = 50


class Log:
    """Says lines. Until the configuration is read they go to stderr."""

    def __init__(self, verbose: bool = False) -> None:
        self.verbose = verbose
        self.shown: List[str] = []  # what stderr had last, so that no error stands there twice
        self._write: Callable[[str], None] = self._show

    def send_to(self, target: str) -> None:
        """Where lines go from now on: stderr, syslog, or the path of a file."""
        if target == "syslog":
            self._write = _to_syslog
        elif target != "stderr":
            self._write = lambda line: _to_file(target, line)

    def say(self, text: str) -> None:
        """One line, whatever TEXT holds."""
        self._write(one_line(text))

    def detail(self, text: str) -> None:
        """One line that only ``-v`` shows."""
        if self.verbose:
            self.say(text)

    def error(self, text: str) -> None:
        """One line on stderr, wherever the log goes: the last one, and there once."""
        if self.shown[-1:] != [one_line(text)]:
            self._show(one_line(text))

    def _show(self, line: str) -> None:
        self.shown = [*self.shown[-REMEMBERED:], line]
        _to_stderr(line)


def one_line(text: str) -> str:
    """TEXT without line breaks, control characters and half characters."""
    return "".join(c if c.isprintable() else " " for c in text)


def _to_stderr(line: str) -> None:
    try:
        sys.stderr.write(f"{PROGRAM}: {line}\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody listens; that must not stop a delivery
        pass


def _to_syslog(line: str) -> None:
    import syslog

    syslog.openlog(PROGRAM, syslog.LOG_PID, syslog.LOG_DAEMON)
    syslog.syslog(line)


def _to_file(path: str, line: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        with open(path, "a", encoding="utf-8", errors="replace", opener=_open_log) as file:
            file.write(f"{stamp} {PROGRAM}[{os.getpid()}]: {line}\n")
    except OSError as error:
        _to_stderr(f"{path}: {error.strerror}: {line}")


def _open_log(path: str, flags: int) -> int:
    """Open the log; a new one is for its owner (and group, as its folder says), whatever the umask.

    One that is there keeps its mode, and may be a link: its operator knows why.
    """
    from brtel_notify import files

    try:
        return files.create(path, flags & ~os.O_CREAT)
    except FileExistsError:
        return os.open(path, flags, 0o600)
