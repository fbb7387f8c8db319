"""The log: one line at a time, to stderr, syslog or a file, as the configuration says.

A line is text for people or, with ``--log-format json`` (or $BRTEL_NOTIFY_LOG_FORMAT=json), one
JSON object for programs: ``time``, ``level``, ``message``, ``pid``, and for an event's line what
delivery/log_fields.py tells of it. Every delivery imports this module: nothing heavy.
"""

from __future__ import annotations

import os
import sys
import time

from brtel_notify.local.stdio import sink_of
from brtel_notify.local.telling import PROGRAM, line_of, to_stderr, trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

    from brtel_notify.local.log_targets import Target

#: How many of the last lines are remembered; a worker says many.
REMEMBERED = 50

INFO, WARNING, ERROR = "info", "warning", "error"
#: The priorities of syslog.h, which also stand in the ``<N>`` that journald takes off a line.
PRIORITIES = {INFO: 6, WARNING: 4, ERROR: 3}

FORMATS = ("text", "json")
FORMAT_VARIABLE = "BRTEL_NOTIFY_LOG_FORMAT"


#: The log that was last told where its lines go.
_of_process: List[Log] = []


class Log:
    """Says lines. Until the configuration is read they go to stderr.

    ``form`` is one of FORMATS; without it the variable decides. A variable that names no format is
    no reason to fail: then it is text.
    """

    def __init__(self, verbose: bool = False, form: Optional[str] = None) -> None:
        self.verbose = verbose
        self.json = (form or os.environ.get(FORMAT_VARIABLE)) == "json"
        self.shown: List[str] = []  # what stderr had last, so that no error stands there twice
        self._write: Callable[[str, str, Dict[str, Any]], None] = self._show
        self._targets: Dict[str, Target] = {}  # by name: what is lost there is told there

    def send_to(self, target: str) -> None:
        """Where lines go from now on: stderr, syslog, or the path of a file."""
        if target == "stderr":
            self._write = self._show
        else:
            from brtel_notify.local.log_targets import named

            there = self._targets.setdefault(target, named(target, PROGRAM))
            self._write = lambda text, level, fields: self._to(there, text, level, fields)
        _of_process[:] = [self]

    def say(self, text: str, level: str = INFO, **fields: Any) -> None:
        """One line, whatever TEXT holds.

        LEVEL is INFO, WARNING or ERROR; FIELDS are what a program wants to know of it. Text shows
        of them only ``duration`` (seconds).
        """
        self._write(line_of(text), level, fields)

    def detail(self, text: str) -> None:
        """One line that only ``-v`` shows."""
        if self.verbose:
            self.say(text)

    def error(self, text: str) -> None:
        """One line on stderr, wherever the log goes: the last one, and there once."""
        if self.shown[-1:] != [line_of(text)]:
            self._show(line_of(text), ERROR, {})

    def trace(self) -> None:
        """The traceback of the exception that is being handled; only ``-v`` shows it."""
        if self.verbose:
            trace(self.say)

    def _line(self, text: str, level: str, fields: Dict[str, Any]) -> str:
        if self.json:
            return _json_line(text, level, fields)
        duration = fields.get("duration")
        return text if duration is None else f"{text}, {duration:.2f} s"

    def _show(self, text: str, level: str, fields: Dict[str, Any]) -> None:
        self.shown = [*self.shown[-REMEMBERED:], text]
        sink = sink_of(sys.stderr)
        lost = sink.to_tell() if sink else 0
        if sink and lost:
            if not to_stderr(self._stderr_line(_dropped(lost), WARNING, {})):
                return
            sink.lost -= lost
        to_stderr(self._stderr_line(text, level, fields))

    def _stderr_line(self, text: str, level: str, fields: Dict[str, Any]) -> str:
        line = self._line(text, level, fields)
        if _journal_reads_stderr():
            return f"<{PRIORITIES[level]}>{line}"
        return line if self.json else f"{PROGRAM}: {line}"

    def _to(self, target: Target, text: str, level: str, fields: Dict[str, Any]) -> None:
        lost = target.to_tell()
        try:
            if lost:
                if not target.say(
                    self._line(_dropped(lost), WARNING, {}), PRIORITIES[WARNING], self.json
                ):
                    return
                target.lost -= lost
            target.say(self._line(text, level, fields), PRIORITIES[level], self.json)
        except OSError as error:
            self._show(f"{error.filename}: {error.strerror}: {text}", level, fields)


def _dropped(lines: int) -> str:
    return f"{lines} line{'' if lines == 1 else 's'} before this one could not be written here"


def _json_line(text: str, level: str, fields: Dict[str, Any]) -> str:
    import json

    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    record = {
        "time": f"{stamp}.{int(now * 1000) % 1000:03d}Z",
        "level": level,
        "message": text,
        "pid": os.getpid(),
        **fields,
    }
    return json.dumps(record)  # ASCII: whatever an alert says, a line stays a line


def _journal_reads_stderr() -> bool:
    """Whether stderr is systemd's journal, as $JOURNAL_STREAM (device:inode) says.

    A monitoring server that systemd started hands the variable down to its notification commands,
    whose stderr it reads itself: only the same device and inode are the journal (systemd.exec).
    """
    named = os.environ.get("JOURNAL_STREAM")
    if not named:
        return False
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


def warn(text: str) -> None:
    """What a module warns of that was handed no log: one line, where this process's log goes."""
    log = _of_process[0] if _of_process else Log()
    log.say(text, WARNING)
