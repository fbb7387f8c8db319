"""What lies in ``dead`` only because an older version could not read it.

After an upgrade a worker runs on until it is restarted. It reads no capture of the newer version's,
and gives it up. The file is whole; the worker that comes after it takes it back, in its order.
"""

from __future__ import annotations

from brtel_notify.intake.queue import SUFFIX, Damaged, Queue
from brtel_notify.local.log import Log


def take_back(queue: Queue, log: Log) -> None:
    """Put back the dead events that were given up unread, and can be read. Raises OSError."""
    for event_id in queue.dead():
        try:
            why = queue.load(event_id, dead=True).error
        except (Damaged, OSError):
            continue
        if why.startswith(f"{event_id}{SUFFIX}: "):  # as nothing begins but what queue.py says
            queue.revive(event_id)
            log.say(f"{event_id}: an older version could not read it; put back")
