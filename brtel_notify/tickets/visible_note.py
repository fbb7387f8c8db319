"""The alarm of a note that was to be internal and came out visible to the customer.

It is kept as the file ``visible`` in the state folder: as long as it is there, no further note is
sent, unless the configuration says that customers may see them. ``test --open`` takes it away, once
an internal note comes out internal.
"""

from __future__ import annotations

import errno
import json
import os
from typing import NamedTuple, Optional

from brtel_notify.local import files
from brtel_notify.text import times

#: Its name in the state folder.
VISIBLE_FILE = "visible"
#: What there is to do about it.
CURE = (
    "hide or delete it in BlueRockTEL; no internal note is sent until `brtel-notify test --open`"
    " sees one stay internal, or replies.customer_visible is true"
)


class VisibleNote(NamedTuple):
    """Which note it was: the ticket's number (its id, if it has none), the reply's id, and when."""

    ticket: str
    reply: int
    at: str

    def __str__(self) -> str:
        which = f"ticket {self.ticket}, reply {self.reply}, {self.at or 'at an unknown time'}"
        return f"a note that was to be internal is visible to the customer: {which}"


def look(state_dir: str) -> Optional[VisibleNote]:
    """The alarm, if there is one. One that cannot be read is one, too. Raises OSError."""
    try:
        text = files.read_whole(_path(state_dir))
    except FileNotFoundError:
        return None
    try:
        data = json.loads(text)
        return VisibleNote(str(data["ticket"]), int(data["reply"]), str(data["at"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return VisibleNote("unknown", 0, "")


def put(state_dir: str, ticket: str, reply: int, now: float) -> VisibleNote:
    """Raise the alarm; NOW is in seconds since the epoch. Raises OSError.

    The first one stays, for that note is still to be hidden.
    """
    alarm = VisibleNote(ticket, reply, times.iso(now))
    if look(state_dir) is not None:
        return alarm
    text = json.dumps(alarm._asdict(), ensure_ascii=False)
    files.make_folder(state_dir, os.path.dirname(state_dir))
    files.write_whole(_path(state_dir), f"{text}\n".encode())
    return alarm


def prove(state_dir: str) -> None:
    """Raise OSError where an alarm could not be put: before a note that may need one."""
    if os.path.isdir(state_dir) and not os.access(state_dir, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), _path(state_dir))


def clear(state_dir: str) -> bool:
    """Take the alarm away; whether there was one. Raises OSError."""
    try:
        os.remove(_path(state_dir))
    except FileNotFoundError:
        return False
    return True


def _path(state_dir: str) -> str:
    return os.path.join(state_dir, VISIBLE_FILE)
