"""Answers worth keeping for a while: customers, contacts, names and ids. One small file each.

Losing a cache file costs an API call and nothing else, so nothing here ever fails a delivery.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from typing import Any, Callable, Dict, Optional

from brtel_notify.local import files

#: Seconds after which an answer about one customer, host or user is not worth its file any more.
KEPT = 32 * 86400.0
#: These are few, and may be asked for whatever their age.
KEPT_FOR_EVER = ("names-", "instance-")
#: Seconds between two looks for such answers, and the file whose time says when the last one was.
SWEPT_EVERY, SWEPT = 86400.0, ".swept"
#: What a file that was lost, cut or edited can raise.
_USELESS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


class Cache:
    """The folder ``cache`` below the state folder. ``clock`` gives seconds since the epoch."""

    def __init__(self, state_dir: str, scope: str, clock: Callable[[], float]) -> None:
        self.state_dir = state_dir
        self.folder = os.path.join(state_dir, "cache")
        self.scope = scope  # the instance's URL: two instances never share an answer
        self.clock = clock
        self._looked = False

    def get(self, kind: str, key: str, max_age: float) -> Optional[Any]:
        """What was put there less than MAX_AGE seconds ago, else None.

        What is good at any age (math.inf) is so by a clock that was set back, too.
        """
        try:
            record = json.loads(files.read_whole(self._path(kind, key)))
            if record.pop("sum") != _sum(record):  # an editor's, or a disk's slip
                return None
            age = self.clock() - record["at"]
            fresh = max_age == math.inf or 0 <= age < max_age
            mine = record["scope"] == self.scope and record["key"] == key
            return record["value"] if fresh and mine else None
        except _USELESS:
            return None

    def put(self, kind: str, key: str, value: Any) -> None:
        """Keep VALUE, anything that JSON can say."""
        record = {"scope": self.scope, "key": key, "at": self.clock(), "value": value}
        try:
            data = json.dumps({**record, "sum": _sum(record)}).encode("ascii")
            files.make_folder(self.folder, self.state_dir)
            files.write_whole(self._path(kind, key), data, durable=False)
            if not self._looked:
                self._looked = True
                self._sweep()
        except _USELESS:
            pass

    def _sweep(self) -> None:
        """Once a day, remove what is long out of date: hosts come and go. Raises OSError."""
        mark, now = os.path.join(self.folder, SWEPT), self.clock()
        try:
            if 0 <= now - os.stat(mark).st_mtime < SWEPT_EVERY:
                return
        except FileNotFoundError:
            pass
        files.write_whole(mark, b"", durable=False)
        with os.scandir(self.folder) as entries:
            for entry in list(entries):
                kept = not entry.name.endswith(".json") or entry.name.startswith(KEPT_FOR_EVER)
                if not kept and now - entry.stat(follow_symlinks=False).st_mtime > KEPT:
                    files.remove_quietly(entry.path)

    def clear(self, kind: str) -> None:
        """Forget every answer of a KIND: one of them turned out to be no longer true."""
        try:
            names = os.listdir(self.folder)
        except OSError:
            return
        for name in names:
            if name.startswith(f"{kind}-"):
                files.remove_quietly(os.path.join(self.folder, name))

    def _path(self, kind: str, key: str) -> str:
        digest = hashlib.sha256(f"{self.scope}\n{key}".encode("utf-8", "replace")).hexdigest()
        return os.path.join(self.folder, f"{kind}-{digest[:20]}.json")


def _sum(record: Dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record).encode("ascii")).hexdigest()
