"""The queue: one file an event, whose names sort in the order of capture.

A file begins with the capture (capture.py says how); each line after it is an entry of the event's
journal. So a delivery that was killed half-way finds, in the one file, what came in and what is
already done. Storing one is apart, in storing.py: that is all that every alert needs.
"""

from __future__ import annotations

import errno
import json
import os
import time
from typing import Any, Dict, List, Optional, Tuple

from brtel_notify.intake import capture_file, journal, order, storing
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.storing import Store, id_of
from brtel_notify.local import files

SUFFIX = storing.SUFFIX
#: A temporary file older than this many seconds belongs to a process that is no more.
STALE_TEMPORARY = 3600.0
#: A queue file larger than this (bytes) is none of ours.
LARGEST = 256 * 1024 * 1024


class Damaged(ValueError):
    """A queue file that does not begin with a capture, or what is no file in its place."""


class Event:
    """A captured notification on its way: the capture, and the journal of what was done for it.

    ``id`` is the file's name without its ending: the time in nanoseconds, the process, chance.
    """

    def __init__(self, path: str, capture: Capture, journal: List[Dict[str, Any]]) -> None:
        self.path = path
        self.id = id_of(path)
        self.capture = capture
        self.journal = journal

    def enter(self, **record: Any) -> None:
        """Enter RECORD into the journal, on disk before this returns. Raises OSError."""
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
    def companions(self) -> Optional[List[str]]:
        """The ids of the events that the last attempt took along; None if there was none."""
        for record in reversed(self.journal):
            if "attempt" in record:
                return list(record.get("companions", []))
        return [] if self.attempts else None

    @property
    def attempts(self) -> int:
        """How many times delivery was begun; one, where a damaged line may have said so."""
        counted = sum("attempt" in record for record in self.journal)
        return counted or int(any("unreadable" in record for record in self.journal))

    def turned_down(self, counted: str) -> int:
        """How many attempts ended with a refusal that is COUNTED so, since an operator put it back.

        See next_way.counts_as.
        """
        times = 0
        for record in self.journal:
            times = 0 if "requeued" in record else times + (record.get("turned_down") == counted)
        return times

    @property
    def is_begun(self) -> bool:
        """Whether some of it may be done already."""
        return any("step" in record or "begin" in record for record in self.journal)

    def ways(self, step: str) -> List[str]:
        """How the call of STEP was made, each way once, in words."""
        made = [record for record in self.journal if record.get("begin") == step]
        return list(dict.fromkeys(record.get("how", "as it is") for record in made))

    def in_doubt(self, step: str) -> bool:
        """Whether an earlier attempt may have done STEP, although the journal has no result of it.

        It was begun, and neither ended nor failed in a way that shows it never arrived: the process
        was killed, or the answer was lost. The failure of any other call says nothing about it.
        """
        doubt, begun = False, ""
        for record in self.journal:
            if "unreadable" in record:  # it may have begun anything
                doubt = True
            elif "begin" in record:
                begun = str(record["begin"])
                doubt = doubt or begun == step
            elif "attempt" in record:
                begun = ""
            elif step in (record.get("step"), record.get("refused")):
                doubt = False
            elif "failed" in record and record.get("of", begun) == step:
                doubt = bool(record["maybe_done"])
        return doubt

    @property
    def key(self) -> Optional[str]:
        """The key of the ticket that an earlier attempt worked on; None if there was none."""
        for record in self.journal:
            if "attempt" in record:
                return record.get("key")
        return None

    @property
    def put_off(self) -> Tuple[float, float]:
        """When its last attempt failed, and until when that put it off; seconds, 0: not known.

        Or nothing put it off.
        """
        at = until = 0.0
        for record in self.journal:
            if "failed" in record or "requeued" in record:
                at = float(record.get("at", 0.0))
                until = float(record.get("retry_at", 0.0))
        return at, until

    @property
    def under_way(self) -> List[float]:
        """Since when each call may be under way of which it is not known whether it arrived.

        In seconds since the epoch: when it was begun or, if that was told, when its answer was
        given up. Being dead and put back settles nothing.
        """
        begun: Dict[str, float] = {}
        for record in self.journal:
            if "begin" in record:
                begun[record["begin"]] = float(record.get("at", 0.0))
            elif "step" in record or "refused" in record:
                begun.pop(record["step"] if "step" in record else record["refused"], None)
            elif "failed" in record and "of" in record:
                if record["maybe_done"] and record["of"] in begun:
                    begun[record["of"]] = float(record.get("at", begun[record["of"]]))
                else:
                    begun.pop(record["of"], None)
            elif "failed" in record:
                begun = {}
        return list(begun.values())

    @property
    def waits_since(self) -> float:
        """Since when this problem waits for its time to open a ticket (delivery/open_after.py)."""
        for record in reversed(self.journal):
            if "waits_since" in record:
                return float(record["waits_since"])
        return self.capture.time

    @property
    def held(self) -> Optional[Dict[str, Any]]:
        """Until when it waits for that, by which configuration; None when it does not."""
        held: Optional[Dict[str, Any]] = None
        for record in self.journal:
            if "held_until" in record:
                held = record
            elif "attempt" in record:
                held = None
        return held

    @property
    def was_dead(self) -> bool:
        """Whether an operator put it back."""
        return any("requeued" in record for record in self.journal)

    @property
    def failed_widely(self) -> bool:
        """Whether the last attempt failed for a reason that has nothing to do with this event."""
        for record in reversed(self.journal):
            if "failed" in record:
                return bool(record.get("widely"))
        return False

    @property
    def error(self) -> str:
        """Why the last attempt failed; empty when it did not."""
        for record in reversed(self.journal):
            if "failed" in record:
                return str(record["failed"])
            if "dead" in record:
                return str(record["dead"])
        return ""


class Queue(Store):
    """The queue, and what was given up.

    Raises OSError from every method when the disk does not do what is asked.
    """

    def add(self, capture: Capture) -> Event:
        """Store CAPTURE; once this returns, the notification cannot be lost."""
        return Event(self.put(capture), capture, [])

    def prove(self) -> None:
        """Make sure that an event could be stored: the folders are there and can be written."""
        self.make_folders()
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

    def oldest(self, *, dead: bool = True) -> float:
        """When the first event that waits (or is DEAD) was captured, in seconds since the epoch."""
        ids = [*self.pending(), *(self.dead() if dead else ())]
        stamps = [int(id[:20]) for id in ids if id[:20].isdecimal()]
        return min(stamps, default=time.time_ns()) / 1e9

    def load(self, event_id: str, *, dead: bool = False) -> Event:
        """The event of that id. Raises FileNotFoundError, Damaged."""
        return _read(_path(self.dead_folder if dead else self.folder, event_id))

    def has(self, event_id: str) -> bool:
        """Whether an event of that id waits."""
        return bool(event_id) and os.path.lexists(_path(self.folder, event_id))

    def find(self, event_id: str) -> Optional[Event]:
        """The event of that id, waiting or dead; None when it is neither."""
        for dead in (False, True):
            try:
                return self.load(event_id, dead=dead)
            except FileNotFoundError:
                continue
        return None

    def remove(self, event: Event) -> None:
        """The event is done: take it out, if an operator has not."""
        try:
            os.unlink(event.path)
        except FileNotFoundError:
            pass

    def bury(self, event_id: str, reason: str) -> None:
        """Move an event to ``dead``, with the REASON in its journal, if it is still there."""
        self.make_folders()
        try:
            _move(event_id, self.folder, self.dead_folder, {"dead": reason, "at": time.time()})
        except FileNotFoundError:  # an operator took it out meanwhile
            pass

    def revive(self, event_id: str) -> None:
        """Put a dead event back into the queue; durably after :meth:`settle`.

        Raises FileNotFoundError.
        """
        self.make_folders()
        record = {"requeued": time.time()}
        _move(event_id, self.dead_folder, self.folder, record, durable=False)

    def settle(self) -> None:
        """What was put back stays so, also after a power cut: once for all of them."""
        files.sync_folder(self.folder)

    def forget(self, event_id: str) -> None:
        """Remove an event, waiting or dead, undelivered: an operator said so."""
        for folder in (self.folder, self.dead_folder):
            try:
                os.unlink(_path(folder, event_id))
            except FileNotFoundError:
                pass

    def sweep(self, now: float) -> None:
        """Remove what killed processes left half-written. ``now``: seconds since the epoch."""
        for folder in (self.folder, self.dead_folder, self.state_dir):
            if folder != self.state_dir and not files.is_folder(folder):
                continue  # a link that was planted: what lies behind it is not ours to remove
            try:
                with os.scandir(folder) as entries:
                    leftovers = [entry for entry in entries if _is_temporary(entry.name)]
            except FileNotFoundError:
                continue
            for entry in leftovers:
                try:
                    written = entry.stat(follow_symlinks=False).st_mtime
                except FileNotFoundError:
                    continue
                if now - written > STALE_TEMPORARY:
                    files.remove_quietly(entry.path)
        order.sweep(self.state_dir)


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def _path(folder: str, event_id: str) -> str:
    """The file of an event; an id may come from the command line, and must not leave FOLDER."""
    if not event_id or event_id.startswith(".") or "/" in event_id or "\0" in event_id:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), event_id)
    return os.path.join(folder, event_id + SUFFIX)


def _move(
    event_id: str, source: str, target: str, record: Dict[str, Any], durable: bool = True
) -> None:
    path = _path(source, event_id)
    try:
        files.append_line(path, _line(record), durable=durable)
    except (files.NotAFile, PermissionError):  # no file; another user's: out of the way with it
        pass
    os.rename(path, _path(target, event_id))
    if durable:
        files.sync_folder(target)


def _ids(folder: str) -> List[str]:
    try:
        names = files.names_in(folder)
    except FileNotFoundError:
        return []
    return sorted(
        name[: -len(SUFFIX)] for name in names if name.endswith(SUFFIX) and not name.startswith(".")
    )


def _read(path: str) -> Event:
    name = os.path.basename(path)
    try:
        if os.stat(path).st_size > LARGEST:
            raise Damaged(f"{name}: is larger than any event")
        data = files.read_whole(path)
    except files.NotAFile as error:
        raise Damaged(f"{name}: {error.strerror}") from error
    try:
        found, lines = capture_file.read(data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged(
            f"{name}: is damaged, or of a newer version: what the monitoring passed cannot be read"
        ) from error
    return Event(path, found, list(journal.entries(lines.split(b"\n"))))


def _line(record: Dict[str, Any]) -> bytes:
    return json.dumps(record).encode("ascii")
