"""The open-ticket map after `brtel-notify ticket` has closed or reopened a ticket.

Only the holder of the drain lock writes the map. Where a worker holds it, the map is left alone:
the alert's next event finds out for itself what became of its ticket, as it does when somebody
closes one on BlueRockTEL's own pages.
"""

from __future__ import annotations

import os
import time
from typing import Callable, List, Optional

from brtel_notify.config.schema import Config
from brtel_notify.console.snapshot import NEVER, holder, is_open
from brtel_notify.delivery.drain import Drain
from brtel_notify.delivery.lock import DrainLock
from brtel_notify.delivery.place import Place
from brtel_notify.intake.queue import Queue
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.text import times
from brtel_notify.tickets.open_tickets import STATE_FILE, Entry, State

#: Seconds for which a notification that is just delivering is waited for.
PATIENCE = 2.0
_LOOK_EVERY = 0.1

Change = Callable[[Entry], Entry]


def closed(config: Config) -> Change:
    """What an entry becomes when an operator closed its ticket.

    Not ``closed_at``: that is when we closed it, and a problem that returns would reopen it.
    """
    leave_alone = config.lifecycle.on_closed_by_hand == "ignore"

    def change(entry: Entry) -> Entry:
        if not is_open(entry):
            return entry
        return entry._replace(muted=True) if leave_alone else entry._replace(checked_at=NEVER)

    return change


def reopened(entry: Entry) -> Entry:
    """What an entry becomes when an operator opened its ticket again, after a person closed it.

    One that we closed, for its alert is over, stays as it is: a problem that returns finds it.
    """
    if entry.checked_at == NEVER or entry.muted:
        return entry._replace(muted=False, checked_at=times.iso(time.time()))
    return entry


def remember(place: Place, ticket_id: int, change: Change) -> Optional[str]:
    """Make CHANGE to the ticket's entries in the map; if that cannot be done, why not.

    Raises LaterVersion, OSError.
    """
    path = os.path.join(place.state_dir, STATE_FILE)
    state, damage = State.peek(path)
    if damage is not None or not _changed(state, ticket_id, change):
        return None  # nothing in it to put right
    end = time.monotonic() + PATIENCE
    while not _write(place.state_dir, path, ticket_id, change):
        who = holder(place.state_dir)
        if time.monotonic() >= end or (who is not None and who.is_worker):
            return "another brtel-notify is delivering; the map learns of it at the next event"
        time.sleep(_LOOK_EVERY)
    # Whoever captured an event meanwhile found the lock taken and left, trusting this process.
    if Queue(place.state_dir).pending():
        Drain(place).run()
    return None


def _write(state_dir: str, path: str, ticket_id: int, change: Change) -> bool:
    """Change the map while the lock is ours; False if it is another's."""
    with DrainLock(state_dir) as taken:
        if not taken:
            return False
        state, damage = State.peek(path, PrivateFolder(state_dir, "parsed"))
        if damage is None:
            for entry in _changed(state, ticket_id, change):
                state.put(entry)
            state.save()
    return True


def _changed(state: State, ticket_id: int, change: Change) -> List[Entry]:
    """The ticket's entries as they will be, if they will be others."""
    mine = [entry for entry in state.entries() if entry.ticket_id == ticket_id]
    after = [change(entry) for entry in mine]
    return [new for old, new in zip(mine, after) if new != old]
