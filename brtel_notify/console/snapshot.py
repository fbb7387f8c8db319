"""What status, check and metrics look at, without changing anything."""

from __future__ import annotations

import os
from typing import Dict, Iterator, List, NamedTuple, Optional, Union

from brtel_notify.alert import SEVERITIES
from brtel_notify.delivery.breaker import Breaker
from brtel_notify.delivery.lock import NAME as LOCK
from brtel_notify.delivery.lock import WORKER, holder_says
from brtel_notify.intake.queue import Damaged, Event, Queue
from brtel_notify.local.plausible import lies_ahead
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.text import times
from brtel_notify.tickets import visible_note
from brtel_notify.tickets.open_tickets import STATE_FILE, Entry, Fate, State
from brtel_notify.tickets.visible_note import VisibleNote

#: The ``checked_at`` of a ticket that an operator closed: whatever its alert does next, BlueRockTEL
#: is asked first, and then lifecycle.on_closed_by_hand applies.
NEVER = times.iso(0.0)

_LOCKS = "/proc/locks"

#: Characters of an error that are shown; NRPE passes on 1 KiB of a plugin's output.
LONGEST_ERROR = 300


class Holder(NamedTuple):
    """The process that delivers; ``is_worker`` is None where that cannot be seen."""

    pid: int
    is_worker: Optional[bool]


class Sight(NamedTuple):
    """What a state folder holds at one moment.

    ``oldest`` is the age in seconds of the oldest waiting event, 0 when none waits; ``ahead`` how
    far its time lies in the future, which a clock that was wrong has told, else 0; ``damage``
    what is wrong with the map, None if nothing; ``open`` how many tickets are open as far as is
    known, by the severity of the worst alert; ``holder`` who delivers just now, None if nobody;
    ``visible`` the note that was to be internal and is not, None if there is none.
    """

    state: State
    open: Dict[str, int]
    damage: Optional[str]
    waiting: int
    dead: int
    oldest: float
    ahead: float
    breaker: Breaker
    holder: Optional[Holder]
    visible: Optional[VisibleNote]

    @property
    def entries(self) -> List[Entry]:
        """All entries of the map."""
        return self.state.entries()


def look(state_dir: str, now: float) -> Sight:
    """What there is to see at NOW (seconds since the epoch). Raises LaterVersion, OSError."""
    # Only a look: a damaged file is left for the next drain to set aside.
    checked = PrivateFolder(state_dir, "parsed")
    state, damage = State.peek(os.path.join(state_dir, STATE_FILE), checked)
    queue = Queue(state_dir)
    waiting = queue.pending()
    age = _oldest(queue, waiting, now)
    return Sight(
        state=state,
        open=_open_by_severity(state),
        damage=damage,
        waiting=len(waiting),
        dead=len(queue.dead()),
        oldest=max(0.0, age),
        ahead=-age if lies_ahead(-age, 0.0) else 0.0,
        breaker=Breaker(state_dir),
        holder=holder(state_dir),
        visible=visible_note.look(state_dir),
    )


def _open_by_severity(state: State) -> Dict[str, int]:
    found = dict.fromkeys(SEVERITIES, 0)
    for fate, number in state.fates():
        if is_open(fate):
            found[fate.severity] += number
    return found


def is_open(entry: Union[Entry, Fate]) -> bool:
    """Whether a ticket is open as far as is known: neither we nor an operator closed it."""
    return entry.is_open and entry.checked_at != NEVER


def waiting_to_open(state_dir: str) -> Iterator[Event]:
    """The events that wait for their time to open a ticket. Raises OSError."""
    queue = Queue(state_dir)
    for event_id in queue.pending():
        try:
            event = queue.load(event_id)
        except (Damaged, FileNotFoundError, PermissionError):
            continue
        if event.held:
            yield event


def _oldest(queue: Queue, waiting: List[str], now: float) -> float:
    """The age in seconds of the oldest WAITING event; 0 when none waits. Raises OSError.

    One that waits for its time to open a ticket is as old as it is late. Below 0 where the time of
    its capture lies ahead.
    """
    for event_id in waiting:
        try:
            event = queue.load(event_id)
            since = event.held["held_until"] if event.held else event.capture.time
            if since <= now or not event.held:
                return now - since
        except FileNotFoundError:  # it has just been delivered
            continue
        except Damaged:  # the next drain moves it to dead/
            continue
        except OSError:  # another user's: it waits all the same, since when its name says
            began = event_id.partition("-")[0]
            if began.isdecimal():
                return now - int(began) / 1e9
    return 0.0


def holder(state_dir: str) -> Optional[Holder]:
    """Who holds the drain lock; None when nobody does, or the kernel does not say.

    That somebody does, the kernel says, and who it is, what they wrote into the file. One of an
    older version writes nothing. The lock itself is left alone: whoever tries it, if only for a
    look, would for that moment turn away a notification, which trusts the lock's holder to deliver.
    """
    try:
        lock = os.stat(os.path.join(state_dir, LOCK))
        with open(_LOCKS, encoding="ascii", errors="replace") as file:
            pids = list(_flock_pids(file, lock))
    except OSError:
        return None
    said = holder_says(state_dir)
    for pid in pids:
        # 0 and less: it is in another container than we are.
        if said is not None and (pid == said[0] or pid <= 0):
            return Holder(said[0], said[1] == WORKER)
    return Holder(pids[0], None) if pids else None


def _flock_pids(lines: Iterator[str], lock: os.stat_result) -> Iterator[int]:
    """The processes with a flock on the file LOCK (proc_locks(5))."""
    for line in lines:
        fields = line.split()  # 1: FLOCK ADVISORY WRITE 1234 08:02:4711 0 EOF
        if fields[1:2] != ["FLOCK"] or len(fields) < 6:
            continue
        major, minor, inode = [*fields[5].split(":"), "", ""][:3]
        # A file system of several disks gives another device here than stat(2) does: major is 0.
        device = (f"{os.major(lock.st_dev):02x}", f"{os.minor(lock.st_dev):02x}")
        if inode == str(lock.st_ino) and ((major, minor) == device or major == "00"):
            yield int(fields[4]) if fields[4].isdigit() else 0


def breaker_in_words(breaker: Breaker, now: float) -> str:
    """An open breaker in words: since when, until when, and the last error."""
    since, until = times.iso(breaker.since), times.iso(breaker.retry_at)
    error = breaker.error
    if len(error) > LONGEST_ERROR:
        error = f"{error[:LONGEST_ERROR]}…"
    return (
        f"the breaker is open since {since} ({times.span(now - breaker.since)}), until {until};"
        f" last error: {error}"
    )
