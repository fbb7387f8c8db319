"""What became of each ticket, in order: the API gives no such list, the web page shows one.

It is kept beside the data and not in them: neither the API nor ``/__sandbox__/data`` has it.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

#: What can happen to a ticket, apart from a change of one of its columns.
OPENED, REPLIED, CLOSED, REOPENED = "opened", "replied", "closed", "reopened"
ATTACHED, DETACHED = "attached", "detached"

#: The columns whose changes are worth a line.
WATCHED = (
    "subject",
    "body",
    "ticketable_id",
    "priority_id",
    "ticket_category_id",
    "ticket_sub_category_id",
    "team_id",
    "status_id",
    "assignee_id",
    "estimated_resolution_date",
    "tags",
    "time",
)


class Event(NamedTuple):
    """One thing that happened: `what` is a word above or a column's name, `at` as `created_at`.

    `before` and `after` are the column's values; of a reply or contact, `after` is its id.
    """

    at: str
    what: str
    before: Any = None
    after: Any = None


class History:
    """The events of all tickets since the sandbox was started. The store's lock guards it."""

    def __init__(self) -> None:
        self._events: Dict[int, List[Event]] = {}

    def add(self, ticket_id: int, event: Event) -> None:
        """Take note of `event`."""
        self._events.setdefault(ticket_id, []).append(event)

    def of(self, ticket_id: int) -> List[Event]:
        """Return the events of a ticket, the oldest first."""
        return list(self._events.get(ticket_id, ()))

    def forget(self, ticket_id: int) -> None:
        """Forget a ticket."""
        self._events.pop(ticket_id, None)

    def clear(self) -> None:
        """Forget them all."""
        self._events.clear()
