"""Notes that are to be internal: whether they came out so, and the alarm where one did not.

An instance may have another name for a reply's visibility than we send, or none at all; its default
is visible. So what came of a note is looked at: in the answer, or on the ticket where that says
nothing, once a day.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Callable, Iterator, Optional

from brtel_notify.api.client import Client
from brtel_notify.api.exceptions import ApiError
from brtel_notify.api.instance import KEPT, UNSAID
from brtel_notify.api.records import Reply
from brtel_notify.local.log import ERROR, Log
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

    @property
    def withheld(self) -> str:
        """Why no note is sent; empty where there is no reason. Raises OSError."""
        alarm = visible_note.look(self._state_dir) if self.wanted else None
        return f"{alarm}; {visible_note.CURE}" if alarm else ""

    def look_at(self, ticket_id: int, name: str, reply: Reply) -> None:
        """See whether REPLY, on the ticket that people call NAME, stayed internal; else the alarm.

        Raises ApiError where that cannot be seen now; OSError.
        """
        if not self.wanted:
            return
        visible = reply.customer_visible
        if visible is None and self._instance.internal:
            return  # that it does not say so is known, and that the ticket says nothing worse
        if visible is None:
            visible = self._on_ticket(ticket_id, reply.id)
        if not visible:
            self._instance.internal = UNSAID if visible is None else KEPT
            return
        self._instance.forget_internal()
        alarm = visible_note.put(self._state_dir, name, reply.id, self._clock())
        self._log.say(f"{alarm}; {visible_note.CURE}", ERROR)

    def _on_ticket(self, ticket_id: int, reply_id: int) -> Optional[bool]:
        """What BlueRockTEL says of that reply where it lists them; None: nothing."""
        for ask in (self._client.replies, lambda number: self._client.ticket(number).replies or ()):
            try:
                replies = ask(ticket_id)
            except ApiError as error:
                if error.retry:
                    raise
                continue
            for reply in replies:
                if reply.id == reply_id and reply.customer_visible is not None:
                    return reply.customer_visible
        return None
