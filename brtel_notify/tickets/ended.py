"""What has ended lately, ``ended.jsonl``: one recovery a line.

A recovery may overtake its problem (two commands at once), and a monitoring server may send a
problem once more that is over. So a problem that meets no open ticket looks here first. Only the
holder of the drain lock writes it. A line that is lost costs a ticket too many, no more; so that
the file cannot be read, or that something else stands in its place, keeps no alert waiting.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List

from brtel_notify.alert import Alert
from brtel_notify.local import files
from brtel_notify.local.log import warn
from brtel_notify.local.plausible import is_id, is_time

ENDED_FILE = "ended.jsonl"
#: So long, in seconds, a line is kept at least, and so many lines at most.
KEPT, MOST = 86400.0, 10_000
#: Bytes of a line, about: whether they are too many is seen without reading them.
A_LINE = 200


class Ended:
    """The recoveries of the last day.

    Each is ``key``, ``occurrence`` and ``lasting`` of the alert, ``order``, ``since`` and ``began``
    as its source gave them (None where it did not), ``at``, when it was captured. Times are seconds
    since the epoch.
    """

    def __init__(self, state_dir: str) -> None:
        self.path = os.path.join(state_dir, ENDED_FILE)

    def of(self, alert: Alert) -> List[Dict[str, Any]]:
        """The recoveries of ALERT, whatever it was called, the last one first."""
        found = self._lines(json.dumps(alert.key).encode("ascii"))
        if alert.lasting:
            found += self._lines(json.dumps(alert.lasting).encode("ascii"))
        records = sorted(map(_record, found), key=lambda one: -one["at"])
        return [one for one in records if _is_of(one, alert)]

    def add(self, alert: Alert, at: float) -> None:
        """The recovery ALERT, captured AT, has ended what it names.

        Raises OSError when the disk as a whole cannot be written.
        """
        record = {
            "at": at,  # first: whoever looks for old lines reads no further
            "key": alert.key,
            "occurrence": alert.occurrence,
            "order": alert.order,
            "since": alert.since,
            "began": alert.began,
            "lasting": alert.lasting,
        }
        line = json.dumps(record).encode("ascii")
        try:
            files.append_line(self.path, line)
        except (FileNotFoundError, files.NotAFile, PermissionError):
            self._begin_anew(line + b"\n")

    def _begin_anew(self, data: bytes) -> None:
        """Put a file of DATA where there is none, or what is none of ours."""
        try:
            files.write_whole(self.path, data)
        except (IsADirectoryError, PermissionError) as error:
            warn(f"{self.path}: {error.strerror}: what has ended is not remembered")

    def sweep(self, before: float) -> None:
        """Forget what came before that time, and more than MOST of them. Raises OSError."""
        lines = self._lines()
        kept = [line for line in lines if _at(line) >= before][-MOST:]
        if len(kept) < len(lines):
            files.write_whole(self.path, b"".join(line + b"\n" for line in kept))

    def is_old(self, now: float) -> bool:
        """Whether there is something to forget, by the first line and the size."""
        try:
            with files.open_to_read(self.path) as file:
                first = file.readline(10_000)
                many = os.fstat(file.fileno()).st_size > MOST * A_LINE
                return bool(first) and (many or _at(first) < now - KEPT)
        except OSError:
            return False

    def _lines(self, wanted: bytes = b"") -> List[bytes]:
        try:
            data = files.read_whole(self.path)
        except OSError:  # in doubt, nothing has ended
            return []
        if wanted not in data:
            return []
        return [line for line in data.splitlines() if wanted in line and _record(line)]


def _is_of(record: Dict[str, Any], alert: Alert) -> bool:
    if record["key"] == alert.key:
        return True
    same_system = record["key"].partition(":")[0] == alert.system
    return bool(alert.lasting) and record.get("lasting") == alert.lasting and same_system


def _at(line: bytes) -> float:
    record = _record(line)
    return record["at"] if record else 0.0


def _record(line: bytes) -> Dict[str, Any]:
    """What LINE says; empty when a disk or an editor damaged it."""
    try:
        record = json.loads(line)
        sound = is_time(record["at"]) and isinstance(record["key"], str)
        times, order = (record.get("since"), record.get("began")), record.get("order")
        sound = sound and all(each is None or is_time(each) for each in times)
        sound = sound and (order is None or is_id(order))
        return record if sound and isinstance(record.get("occurrence", ""), str) else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
