"""The list of the calls that the sandbox got, for tests to look at."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Dict, List, Union
from urllib.parse import parse_qsl

HIDDEN = "(hidden)"
"""What stands in the list in the place of a password."""

Status = Union[int, str, None]


@dataclass
class Entry:
    """One call; `status` is None while it is being answered, or ``dropped``."""

    number: int
    method: str
    path: str
    query: Dict[str, str]
    json: Any
    time: str
    status: Status = None


class Journal:
    """The calls in the order in which they came. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: List[Entry] = []
        self._count = 0

    def open(self, method: str, path: str, query_string: str, body: bytes) -> Entry:
        """Enter a call that has just come, and return its entry."""
        query = dict(parse_qsl(query_string, keep_blank_values=True))
        time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        full_path = f"{path}?{query_string}" if query_string else path
        posted = _posted(body)
        with self._lock:
            self._count += 1
            entry = Entry(self._count, method, full_path, query, posted, time)
            self._entries.append(entry)
            return entry

    def close(self, entry: Entry, status: Status) -> None:
        """Note how the call was answered."""
        with self._lock:
            entry.status = status

    def entries(self) -> List[Dict[str, Any]]:
        """Return the calls as JSON objects."""
        with self._lock:
            return [dict(vars(entry)) for entry in self._entries]

    def latest(self, most: int) -> List[Entry]:
        """Return copies of the last calls, the newest first, no more than `most`."""
        with self._lock:
            return [replace(entry) for entry in reversed(self._entries[-most:])]

    def clear(self) -> None:
        """Forget the calls; the sequence number goes on."""
        with self._lock:
            self._entries = []


def _posted(body: bytes) -> Any:
    if not body:
        return None
    try:
        return _without_passwords(json.loads(body))
    except ValueError:
        # Not JSON: it is not shown, for it cannot be searched for passwords.
        return None


def _without_passwords(data: Any) -> Any:
    if isinstance(data, dict):
        return {
            key: HIDDEN if "password" in key.lower() else _without_passwords(value)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [_without_passwords(value) for value in data]
    return data
