"""Tickets as the web page shows them: ids turned into names, everything in the order of a reader.

``brtel-notify render`` fills the same types from what it would send.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from . import history
from .seed import Record
from .shown import safe_html
from .store import Collections, Store
from .validation import DATE_FORMAT

#: Priorities are names that each site chooses: the words that tell how high one is, in English and
#: French, the highest first. A name with none of them is shown without a colour.
_LEVELS = (
    (
        "urgent",
        re.compile(r"urgent|critical|critique|immediat|immédiat|blocking|bloquant", re.I),
    ),
    ("high", re.compile(r"high|haut|élev|eleve|major|majeur|important", re.I)),
    ("low", re.compile(r"low|bas|faible|minor|mineur", re.I)),
    ("normal", re.compile(r"normal|medium|moyen|standard", re.I)),
)


class Contact(NamedTuple):
    """A person of the customer; each field is a text, perhaps empty."""

    name: str
    role: str = ""
    email: str = ""
    phone: str = ""


class Note(NamedTuple):
    """A reply; `html` is safe to be shown as it is."""

    id: int
    author: str
    html: str
    internal: bool
    closes: bool = False


class Entry(NamedTuple):
    """A line of what happened: `what` is a word of history.py, `at` a date of the API.

    `before` and `after` are texts; `note` is there for a reply.
    """

    at: str
    what: str
    before: str = ""
    after: str = ""
    note: Optional[Note] = None


class Row(NamedTuple):
    """A ticket in a list; dates are the API's, empty for none."""

    id: int
    number: str
    subject: str
    is_open: bool
    closure: bool
    priority: str
    level: str
    customer: str
    vip: bool
    status: str
    notes: int
    opened_at: str
    closed_at: str
    due: str
    overdue: bool


class Page(NamedTuple):
    """A ticket with all that there is to it; texts, empty for none. `html` is safe as it is.

    `assignee` is None where it is not known.
    """

    row: Row
    html: str
    account: str
    on_call: bool
    contacts: Tuple[Contact, ...]
    category: str
    sub_category: str
    team: str
    assignee: Optional[str]
    tags: Tuple[str, ...]
    minutes: int
    timeline: Tuple[Entry, ...]


class Choice(NamedTuple):
    """A customer to choose, and how many `tickets` that one has."""

    id: int
    name: str
    tickets: int


def level(priority: str) -> str:
    """Return how high a priority is by its name: urgent, high, normal, low, or nothing."""
    return next((name for name, words in _LEVELS if words.search(priority)), "")


class Views:
    """The views of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def rows(self, state: str = "all", customer: Optional[int] = None) -> List[Row]:
        """Return the tickets that are `open`, `closed` or either (`all`), the newest first."""
        with self.store.reading() as tables:
            tickets = sorted(tables["tickets"].values(), key=lambda it: -int(it["id"]))
            return [
                self._row(tables, ticket)
                for ticket in tickets
                if state == "all" or bool(ticket["open"]) == (state == "open")
                if customer is None or ticket["ticketable_id"] == customer
            ]

    def customers(self) -> List[Choice]:
        """Return the customers that have tickets, by name."""
        with self.store.reading() as tables:
            ids = [ticket["ticketable_id"] for ticket in tables["tickets"].values()]
            found = [Choice(it, _name(tables, "customers", it), ids.count(it)) for it in set(ids)]
        return sorted(found, key=lambda choice: choice.name.lower())

    def page(self, number: int) -> Optional[Page]:
        """Return a ticket, None if there is none with that id."""
        with self.store.reading() as tables:
            ticket = tables["tickets"].get(number)
            if ticket is None:
                return None
            customer = tables["customers"].get(ticket["ticketable_id"], {})
            return Page(
                row=self._row(tables, ticket),
                html=safe_html(str(ticket["body"])),
                account=_text(customer.get("customer_account")),
                on_call=bool(customer.get("on_call_duty")),
                contacts=tuple(_contact(tables, each) for each in ticket["contacts"]),
                category=_name(tables, "categories", ticket["ticket_category_id"]),
                sub_category=_name(tables, "sub_categories", ticket["ticket_sub_category_id"]),
                team=_name(tables, "support_teams", ticket["team_id"]),
                assignee=_name(tables, "users", ticket["assignee_id"]),
                tags=tuple(_tags(ticket["tags"])),
                minutes=int(ticket["time"] or 0),
                timeline=tuple(self._timeline(tables, ticket)),
            )

    def _row(self, tables: Collections, ticket: Record) -> Row:
        priority = _name(tables, "priorities", ticket["priority_id"])
        customer = tables["customers"].get(ticket["ticketable_id"], {})
        due = self._utc(ticket["estimated_resolution_date"])
        now = self.store.now().strftime(DATE_FORMAT)
        return Row(
            id=int(ticket["id"]),
            number=_text(ticket["number"]),
            subject=_text(ticket["subject"]),
            is_open=bool(ticket["open"]),
            closure=bool(ticket["closure"]),
            priority=priority,
            level=level(priority),
            customer=_text(customer.get("name")) or f"#{ticket['ticketable_id']}",
            vip=bool(customer.get("vip")),
            status=_name(tables, "statuses", ticket["status_id"]),
            notes=len(ticket["replies"]),
            opened_at=self._utc(ticket["opened_at"]),
            closed_at="" if ticket["open"] else self._utc(ticket["closed_at"]),
            due=due,
            overdue=bool(ticket["open"] and due and due < now),
        )

    # -- what happened ---------------------------------------------------------------------

    def _timeline(self, tables: Collections, ticket: Record) -> Iterator[Entry]:
        """Give what happened in order: as it was seen to happen, and else as the data tell."""
        ticket = {**ticket, **{key: self._utc(ticket[key]) for key in ("opened_at", "closed_at")}}
        replies = {reply["id"]: reply for reply in ticket["replies"]}
        events = [
            event
            for event in _with_the_unseen(ticket, self.store.history.of(ticket["id"]))
            if event.what != history.REPLIED or event.after in replies
        ]
        for index, event in enumerate(events):
            if event.what == history.REPLIED:
                after = events[index + 1 : index + 3]  # a status may change in between
                closes = any(it.what == history.CLOSED and it.at == event.at for it in after)
                note = _note(tables, replies[event.after], closes)
                yield Entry(event.at, event.what, note=note)
            else:
                before, after_text = (self._said(tables, event.what, it) for it in event[2:])
                yield Entry(event.at, event.what, before, after_text)

    def _said(self, tables: Collections, what: str, value: Any) -> str:
        """Return a column's value in words."""
        return self._utc(value) if what in _DATES else _said(tables, what, value)

    def _utc(self, date: Any) -> str:
        """Return a date of a ticket, which is the instance's local time, in UTC."""
        return self.store.in_utc(_text(date))


def _with_the_unseen(ticket: Record, seen: List[history.Event]) -> List[history.Event]:
    """Return the events of a ticket, those included that were before this sandbox started."""
    known = {event.after for event in seen if event.what == history.REPLIED}
    words = {event.what for event in seen}
    early = [
        history.Event(reply["created_at"], history.REPLIED, after=reply["id"])
        for reply in ticket["replies"]
        if reply["id"] not in known
    ]
    if history.OPENED not in words:
        early.insert(0, history.Event(_stamp(ticket["opened_at"]), history.OPENED))
    if not ticket["open"] and history.CLOSED not in words:
        seen = [*seen, history.Event(_stamp(ticket["closed_at"]), history.CLOSED)]
    return early + seen


def _stamp(date: Any) -> str:
    """Return `Y-m-d H:i:s` in the form of `created_at`, which sorts with it."""
    return f"{date}.000000Z".replace(" ", "T") if date else ""


def _said(tables: Collections, what: str, value: Any) -> str:
    """Return a column's value in words."""
    if value is None:
        return ""
    if what in (history.ATTACHED, history.DETACHED):
        return _contact(tables, value).name
    if what == "tags":
        return ", ".join(_tags(value))
    table = _TABLES.get(what)
    return _name(tables, table, value) if table else _text(value)


_DATES = ("estimated_resolution_date",)

_TABLES = {
    "ticketable_id": "customers",
    "priority_id": "priorities",
    "ticket_category_id": "categories",
    "ticket_sub_category_id": "sub_categories",
    "team_id": "support_teams",
    "status_id": "statuses",
    "assignee_id": "users",
}


# -- texts -------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _name(tables: Collections, table: str, number: Any) -> str:
    """Return the name of a record; its id where the record is gone, nothing where there is none."""
    if number is None:
        return ""
    return _text(tables[table].get(number, {}).get("name")) or f"#{number}"


def _note(tables: Collections, reply: Mapping[str, Any], closes: bool) -> Note:
    return Note(
        id=int(reply["id"]),
        author=_name(tables, "users", reply["author_id"]),
        html=safe_html(str(reply["body"])),
        internal=not reply["customer_visible"],
        closes=closes,
    )


def _contact(tables: Collections, number: int) -> Contact:
    record: Dict[str, Any] = tables["contacts"].get(number, {})
    keys = ("civility", "first_name", "last_name")
    return Contact(
        name=" ".join(_text(record[key]) for key in keys if record.get(key)) or f"#{number}",
        role=_text(record.get("role")),
        email=_text(record.get("email_address")),
        phone=_text(record.get("mobile_phone") or record.get("landline_phone")),
    )


def _tags(column: Any) -> Iterable[str]:
    """Give the tags of the JSON column; what is no JSON is one tag."""
    try:
        tags = json.loads(column) if isinstance(column, str) else column
    except ValueError:
        tags = [column]
    return [str(tag) for tag in tags] if isinstance(tags, list) else []
