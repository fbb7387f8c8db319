"""The queue: one file an event, whose names sort in the order of capture.

A file's first line is the capture; each line after it is an entry of the event's journal. So a
delivery that was killed half-way finds, in the one file, what came in and what is already done.
Capture imports this module on every alert: nothing heavy.
"""

from __future__ import annotations

import json
import os
import time

from brtel_notify import files
from brtel_notify.capture import Capture

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional

SUFFIX = ".jsonl"
VERSION = 1
#: A temporary file older than this many seconds belongs to a process that is no more.
STALE_TEMPORARY = 3600.0


class Damaged(ValueError):
    """A queue file whose first line is no capture."""


class Event:
    """A captured notification on its way: the capture, and the journal of what was done for it.

    ``id`` is the file's name without its ending: the time in nanoseconds, the process, chance.
    """

    def __init__(self, path: str, capture: Capture, journal: List[Dict[str, Any]]) -> None:
        self.path = path
        self.id = os.path.basename(path)[: -len(SUFFIX)]
        self.capture = capture
        self.journal = journal

    def note(self, **record: Any) -> None:
        """Append RECORD to the journal, on disk before this returns. Raises OSError."""
        files.append_line(self.path, _line(record))
        self.journal.append(record)

    @property
    def results(self) -> Dict[str, Any]:
        """What each finished step gave, by the step's name."""
        results: Dict[str, Any] = {}
        for record in self.journal:
            if "step" in record:
                results[record["step"]] = record["result"]
        return results

    @property
    def attempts(self) -> int:
        """How many times delivery was begun."""
        return sum("attempt" in record for record in self.journal)

    @property
    def in_doubt(self) -> bool:
        """Whether an earlier attempt ended without saying that its last call never arrived."""
        for record in reversed(self.journal):
            if "failed" in record:
                return bool(record["maybe_done"])
            if "attempt" in record:
                return True
            if "step" in record:
                return True
        return False

    @property
    def retry_at(self) -> float:
        """The earliest time, in seconds since the epoch, of the next attempt."""
        for record in reversed(self.journal):
            if "failed" in record:
                return float(record.get("retry_at", 0.0))
            if "requeued" in record:
                return 0.0
        return 0.0

    @property
    def error(self) -> str:
        """Why the last attempt failed; empty when it did not."""
        for record in reversed(self.journal):
            if "failed" in record:
                return str(record["failed"])
            if "dead" in record:
                return str(record["dead"])
        return ""


class Queue:
    """The folders ``queue`` and ``dead`` below the state folder.

    Raises OSError from every method when the disk does not do what is asked.
    """

    def __init__(self, state_dir: str) -> None:
        self.state_dir = state_dir
        self.folder = os.path.join(state_dir, "queue")
        self.dead_folder = os.path.join(state_dir, "dead")

    def add(self, capture: Capture) -> Event:
        """Store CAPTURE; once this returns, the notification cannot be lost."""
        self._make_folders()
        name = f"{time.time_ns():020d}-{os.getpid():07d}-{os.urandom(3).hex()}{SUFFIX}"
        path = os.path.join(self.folder, name)
        files.write_whole(path, _line({"version": VERSION, **capture.as_dict()}) + b"\n")
        return Event(path, capture, [])

    def _make_folders(self) -> None:
        if os.path.isdir(self.folder):
            return
        try:
            os.makedirs(self.state_dir, 0o700)
        except FileExistsError:
            pass
        files.make_folder(self.folder, self.state_dir)
        files.make_folder(self.dead_folder, self.state_dir)

    def prove(self) -> None:
        """Make sure that an event could be stored: the folders are there and can be written."""
        self._make_folders()
        for folder in (self.folder, self.dead_folder, self.state_dir):
            probe = os.path.join(folder, f".probe.{os.getpid()}.tmp")
            files.write_whole(probe, b"")
            os.unlink(probe)

    def pending(self) -> List[str]:
        """The ids of the events that wait, in the order of their capture."""
        return _ids(self.folder)

    def dead(self) -> List[str]:
        """The ids of the events that were given up, in the order of their capture."""
        return _ids(self.dead_folder)

    def load(self, event_id: str, *, dead: bool = False) -> Event:
        """The event of that id. Raises FileNotFoundError, Damaged."""
        folder = self.dead_folder if dead else self.folder
        path = os.path.join(folder, event_id + SUFFIX)
        return _read(path)

    def find(self, event_id: str) -> Optional[Event]:
        """The event of that id, waiting or dead; None when it is neither."""
        for dead in (False, True):
            try:
                return self.load(event_id, dead=dead)
            except FileNotFoundError:
                continue
        return None

    def remove(self, event: Event) -> None:
        """The event is done: take it out."""
        os.unlink(event.path)

    def bury(self, event_id: str, reason: str) -> None:
        """Move an event to ``dead``, with the REASON in its journal."""
        files.make_folder(self.dead_folder, self.state_dir)
        path = os.path.join(self.folder, event_id + SUFFIX)
        files.append_line(path, _line({"dead": reason, "at": time.time()}))
        os.rename(path, os.path.join(self.dead_folder, event_id + SUFFIX))
        files.sync_folder(self.dead_folder)

    def revive(self, event_id: str) -> None:
        """Put a dead event back into the queue. Raises FileNotFoundError."""
        path = os.path.join(self.dead_folder, event_id + SUFFIX)
        files.append_line(path, _line({"requeued": time.time()}))
        os.rename(path, os.path.join(self.folder, event_id + SUFFIX))
        files.sync_folder(self.folder)

    def forget(self, event_id: str) -> None:
        """Remove an event, waiting or dead, undelivered: an operator said so."""
        for folder in (self.folder, self.dead_folder):
            files.remove_quietly(os.path.join(folder, event_id + SUFFIX))

    def sweep(self, now: float) -> None:
        """Remove what killed processes left half-written."""
        for entry in os.scandir(self.folder):
            if entry.name.startswith(".") and entry.name.endswith(".tmp"):
                try:
                    stale = now - entry.stat(follow_symlinks=False).st_mtime > STALE_TEMPORARY
                except FileNotFoundError:
                    continue
                if stale:
                    files.remove_quietly(entry.path)


def _ids(folder: str) -> List[str]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(
        name[: -len(SUFFIX)] for name in names if name.endswith(SUFFIX) and not name.startswith(".")
    )


def _read(path: str) -> Event:
    first, *rest = files.read_whole(path).split(b"\n")
    try:
        capture = Capture.from_dict(json.loads(first))
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{os.path.basename(path)}: its first line is no capture") from error
    return Event(path, capture, list(_journal(rest)))


def _journal(lines: List[bytes]) -> Iterator[Dict[str, Any]]:
    """The entries of the journal; one that a kill cut short was never said, and is passed over."""
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record


def _line(record: Dict[str, Any]) -> bytes:
    return json.dumps(record).encode("ascii")
