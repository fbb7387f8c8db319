"""Notes that are to be internal: whether they came out so, and the alarm where one did not.

An instance may have another name for a reply's visibility than we send, or none at all; its default
is visible. So what came of a note is looked at: in the answer or, where that says nothing, on the
ticket. A look that fails holds no alert up: it is made up for before the next note.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Callable, Iterable, Iterator, Optional

from brtel_notify.alert import own_reference
from brtel_notify.api.client import Client
from brtel_notify.api.exceptions import ApiError, NotFound
from brtel_notify.api.instance import KEPT, UNSAID, Unseen
from brtel_notify.api.records import Reply
from brtel_notify.delivery.retry import SETTLING
from brtel_notify.local.log import ERROR, WARNING, Log
from brtel_notify.tickets import visible_note


class InternalNotes:
    """The notes of one drain, by all its threads. ``wanted``: customers are not to see them."""

    def __init__(
        self, wanted: bool, client: Client, state_dir: str, log: Log, clock: Callable[[], float]
    ) -> None:
        self.wanted = wanted
        self._client = client
        self._instance = client.instance
        self._state_dir = state_dir
        self._log = log
        self._clock = clock
        self._first = threading.Lock()

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """One note after another, until one of this day was seen to stay internal."""
        if not self.wanted or self._instance.internal:
            yield
        else:
            with self._first:
                yield

    def withheld(self) -> str:
        """Why the next note is not sent; empty where there is no reason. Raises OSError."""
        if not self.wanted:
            return ""
        unseen = self._instance.unseen
        if unseen is not None:
            self._look(unseen)
        alarm = visible_note.look(self._state_dir)
        return str(alarm) if alarm else ""

    def announce(self, ticket_id: int, name: str, reference: str) -> None:
        """A note with REFERENCE is about to be sent, to the ticket that people call NAME.

        Whatever becomes of it (a lost answer, a killed process), it is looked at before the next,
        as long as it is not known that they stay internal. Raises OSError: no alarm could be put.
        """
        if self.wanted and not self._instance.internal:
            visible_note.prove(self._state_dir)
            self._instance.unseen = Unseen(ticket_id, name, 0, reference, self._clock())

    def look_at(self, ticket_id: int, name: str, reply: Reply) -> None:
        """See whether REPLY, on the ticket that people call NAME, stayed internal; else the alarm.

        Raises OSError.
        """
        if not self.wanted:
            return
        if reply.customer_visible is not None:
            self._came_out(reply.customer_visible, name, reply.id)
        elif self._instance.internal != UNSAID:  # else there is nothing to be seen, today
            self._look(Unseen(ticket_id, name, reply.id, "", self._clock()))

    def _look(self, note: Unseen) -> None:
        """See what BlueRockTEL says of NOTE where it lists them."""
        failure: Optional[ApiError] = None
        found = gone = False
        for ask in (self._client.replies, lambda number: self._client.ticket(number).replies or ()):
            try:
                reply = _the(note, ask(note.ticket_id))
            except ApiError as error:
                failure = error if error.retry else failure
                gone = gone or isinstance(error, NotFound)
                continue
            found = found or reply is not None
            if reply is not None and reply.customer_visible is not None:
                self._came_out(reply.customer_visible, note.name, reply.id)
                return
        if failure is not None:
            self._instance.unseen = note
            text = f"ticket {note.name}: whether our note is internal could not be seen: {failure}"
            self._log.say(f"{text}; it is looked at again before the next note", WARNING)
        elif found or (note.reply_id and not gone):
            self._instance.unseen = None
            self._instance.internal = UNSAID
        elif note.reply_id or self._clock() - note.at > SETTLING:  # deleted, or it never arrived
            self._instance.unseen = None

    def _came_out(self, visible: bool, name: str, reply_id: int) -> None:
        self._instance.unseen = None
        if not visible:
            self._instance.internal = KEPT
            return
        self._instance.forget_internal()
        alarm = visible_note.put(self._state_dir, name, reply_id, self._clock())
        self._log.say(f"{alarm}; {visible_note.CURE}", ERROR)


def _the(note: Unseen, replies: Iterable[Reply]) -> Optional[Reply]:
    """NOTE among the REPLIES of its ticket, by its id or else by its reference."""
    for reply in replies:
        if note.reply_id == reply.id or (
            note.reference and note.reference == own_reference(reply.body)
        ):
            return reply
    return None
