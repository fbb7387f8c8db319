"""The rules of tickets and replies, as BlueRockTEL's Tickets page gives them.

Each method carries out one call, returns the JSON of its answer and raises Rejected. Where the page
says nothing, a comment tells what was assumed.

One module, though long: the page that it follows is one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Dict, List, Mapping, Optional

from . import history
from .errors import bad_request, invalid, not_found, server_error
from .html import clean_body, clean_subject
from .seed import CUSTOMER_TYPE, Record
from .store import REPLY_DEFAULTS, TICKET_DEFAULTS, Store, php_json
from .validation import Field, check

MAX_BODY = 65_535
"""Bytes that a MySQL TEXT column holds."""
MAX_SUBJECT = 255
"""Characters that a VARCHAR(255) holds."""
DEFAULT_RESOLUTION = timedelta(hours=4)

_MANDATORY = ("subject", "body", "priority_id", "ticket_category_id", "ticket_sub_category_id")

_CREATE = {
    "subject": Field("string"),
    "body": Field("string"),
    "priority_id": Field("integer"),
    "ticket_category_id": Field("integer"),
    "ticket_sub_category_id": Field("integer"),
    "estimated_resolution_date": Field("date", nullable=True),
    "tags": Field("strings", nullable=True),
    "team_id": Field("integer", nullable=True),
    "status_id": Field("integer", nullable=True),
    "close": Field("boolean", nullable=True),
}

_UPDATE = {
    **_CREATE,
    "ticketable_type": Field("string"),
    "ticketable_id": Field("integer"),
    "assignee_id": Field("integer", nullable=True),
    "opened_at": Field("date"),
    "contract_id": Field("integer", nullable=True),
}

_REPLY = {
    "body": Field("string", required=True),
    "close": Field("boolean", required=True),
    "send_to_assignee": Field("boolean", required=True),
    "send_to_contacts": Field("boolean", required=True),
    "notify_customer": Field("boolean", nullable=True),
    "customer_visible": Field("boolean", nullable=True),
}

_ASSOCIATES = {
    "associated": Field("integers", required=True),
    "unassociated": Field("integers", required=True),
}

_REFERENCES = {
    "priority_id": "priorities",
    "ticket_category_id": "categories",
    "ticket_sub_category_id": "sub_categories",
    "status_id": "statuses",
    "team_id": "support_teams",
    "assignee_id": "users",
}

_RELATIONS = ("contacts", "replies")

_CLOSED_BY_ITSELF = "Your ticket was closed automatically"


class Tickets:
    """The ticket half of the API over a Store; `user` is who calls."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # -- reading ---------------------------------------------------------------------------

    def index(self, entity_type: Optional[str], entity_id: Optional[int]) -> List[Record]:
        """Return the open tickets, newest first; for one entity all of them."""
        with self.store.reading() as tables:
            rows = sorted(tables["tickets"].values(), key=lambda row: -int(row["id"]))
            if entity_type is not None and entity_id is not None:
                entity = (entity_type, entity_id)
                rows = [r for r in rows if (r["ticketable_type"], r["ticketable_id"]) == entity]
            else:
                rows = [row for row in rows if row["open"]]
            return [
                {
                    **self.listed(row),
                    "ticketable": self.customer_of(row),
                    "assignee": self.user(row["assignee_id"]),
                }
                for row in rows
            ]

    def show(self, number: int) -> Record:
        """Return one ticket with all its relations."""
        with self.store.reading() as tables:
            ticket = self.find(number)
            return {
                **self._with_replies(ticket),
                "ticketable": self.customer_of(ticket),
                "contacts": self._contacts_of(ticket),
                "category": tables["categories"].get(ticket["ticket_category_id"]),
                "sub_category": tables["sub_categories"].get(ticket["ticket_sub_category_id"]),
                "assignee": self.user(ticket["assignee_id"]),
                "opener": self.user(ticket["opener_id"]),
                "attachments": [],
                "has_unread_replies": self._has_unread(ticket),
            }

    def customer(self, number: int) -> Record:
        """Return the customer of a ticket, with its contacts."""
        with self.store.reading() as tables:
            customer = self.customer_of(self.find(number))
            if customer is None:
                raise not_found("Customer", "")
            belongs = (CUSTOMER_TYPE, customer["id"])
            contacts = [dict(c) for c in tables["contacts"].values() if _entity(c) == belongs]
            return {**customer, "contacts": contacts}

    def counts(self, user: Record) -> Dict[str, int]:
        """Return how many tickets there are of each sort; a week starts on Monday."""
        now = self.store.now()
        today = now.strftime("%Y-%m-%d")
        monday = (now - timedelta(days=now.weekday())).strftime("%Y-%m-%d")
        with self.store.reading() as tables:
            rows = list(tables["tickets"].values())
        still_open = [row for row in rows if row["open"]]
        return {
            "total": len(rows),
            "open": len(still_open),
            "unassigned": sum(row["assignee_id"] is None for row in still_open),
            "assigned_to_myself": sum(row["assignee_id"] == user["id"] for row in still_open),
            "daily": sum(str(row["created_at"])[:10] >= today for row in rows),
            "weekly": sum(str(row["created_at"])[:10] >= monday for row in rows),
            "closed": len(rows) - len(still_open),
        }

    # -- changing --------------------------------------------------------------------------

    def create(
        self,
        user: Record,
        entity_type: Optional[str],
        entity_id: Optional[int],
        data: Mapping[str, Any],
        cut_subject: bool = False,
    ) -> Record:
        """Open a ticket on a customer; `cut_subject` says what becomes of a long subject."""
        with self.store.changing() as tables:
            if entity_type != CUSTOMER_TYPE or entity_id is None:
                raise bad_request("Bad request: invalid ticketable type or missing ticketable id.")
            missing = [name for name in _MANDATORY if data.get(name) is None]
            if missing:
                raise bad_request(f"Bad request: missing mandatory fields: {', '.join(missing)}.")
            if entity_id not in tables["customers"]:
                raise not_found("Customer", entity_id)
            values = self._values(data, _CREATE, cut_subject)
            ticket = self._new(user, entity_type, entity_id, values)
            tables["tickets"][ticket["id"]] = ticket
            self._happened(ticket, history.OPENED)
            if values.get("close"):
                self._close(ticket)
            return self.columns(ticket)

    def update(self, number: int, data: Mapping[str, Any], cut_subject: bool = False) -> Record:
        """Change the fields that are present."""
        with self.store.changing() as tables:
            ticket = self.find(number)
            values = self._values(data, _UPDATE, cut_subject)
            if values.get("ticketable_type", CUSTOMER_TYPE) != CUSTOMER_TYPE:
                raise bad_request("Bad request: invalid ticketable type.")
            entity_id = values.get("ticketable_id")
            if entity_id is not None and entity_id not in tables["customers"]:
                raise not_found("Customer", entity_id)
            close = values.pop("close", None)
            self._change(ticket, values)
            if close:
                self._close(ticket)
            self._touch(ticket)
            return self._with_replies(ticket)

    def delete(self, number: int) -> Record:
        """Delete a ticket and its replies."""
        with self.store.changing() as tables:
            self.find(number)
            self.store.next_id("tickets")  # remembers the highest id before it can vanish
            del tables["tickets"][number]
            self.store.history.forget(number)
            return {"response": "element deleted"}

    def close(self, number: int) -> Record:
        """Close a ticket, also one that is closed."""
        with self.store.changing():
            ticket = self.find(number)
            self._close(ticket)
            self._touch(ticket)
            return {"response": "ticket closed"}

    def open(self, number: int) -> Record:
        """Open a ticket again, or cancel its pending closure."""
        with self.store.changing():
            ticket = self.find(number)
            self._open(ticket)
            self._touch(ticket)
            return {"response": "ticket open"}

    def reopen(self, number: int) -> Record:
        """Cancel a pending closure, and only that.

        A closed ticket without one stays closed: the page promises no more, so a client that relies
        on more shall fail here.
        """
        with self.store.changing():
            ticket = self.find(number)
            if ticket["closure"] and ticket["open"]:
                self._open(ticket)
                self._touch(ticket)
            return self.columns(ticket)

    def assign(self, user: Record, number: int, data: Mapping[str, Any]) -> Optional[Record]:
        """Give a ticket to a user; returns that user."""
        with self.store.changing():
            ticket = self.find(number)
            if data.get("assignee_id") is None:
                raise bad_request("Bad request: missing assignee_id.")
            assignee = check(data, {"assignee_id": Field("integer")})["assignee_id"]
            self.store.find("users", "User", assignee)
            self._change(ticket, {"assignee_id": assignee})
            ticket.update(assigned_by=user["id"], assigned_at=self.store.date())
            self._touch(ticket)
            return self.user(assignee)

    def free(self, number: int) -> Record:
        """Take the assignee off a ticket."""
        with self.store.changing():
            ticket = self.find(number)
            self._change(ticket, {"assignee_id": None})
            ticket.update(assigned_by=None, assigned_at=None)
            self._touch(ticket)
            return {"response": "ticket freed"}

    def amend(self, number: int, data: Mapping[str, Any]) -> Record:
        """Add minutes, also negative ones, to the time of a ticket."""
        with self.store.changing():
            ticket = self.find(number)
            minutes = check(data, {"time": Field("numeric", required=True)})["time"]
            self._change(ticket, {"time": round(ticket["time"] + minutes)})
            self._touch(ticket)
            return {"response": "ticket time amended"}

    def associates(self, number: int, data: Mapping[str, Any]) -> Record:
        """Attach contacts, then detach others.

        A contact of another customer than the ticket's other contacts, one that does not exist, and
        the detaching of the last one are passed over in silence: the page names the rules and no
        error, so only the numbers in the answer tell.
        """
        with self.store.changing() as tables:
            ticket = self.find(number)
            values = check(data, _ASSOCIATES)
            attached: List[int] = ticket["contacts"]
            before = len(attached)
            for each in values["associated"]:
                contact = tables["contacts"].get(each)
                if contact and each not in attached and self._fits(contact, attached):
                    attached.append(each)
                    self._happened(ticket, history.ATTACHED, each)
            added = len(attached) - before
            removed = 0
            for each in values["unassociated"]:
                if each in attached and len(attached) > 1:
                    attached.remove(each)
                    self._happened(ticket, history.DETACHED, each)
                    removed += 1
            self._touch(ticket)
            return {"response": f"{added} associated and {removed} unassociated"}

    # -- replies ---------------------------------------------------------------------------

    def replies(self, number: int) -> List[Record]:
        """Return the replies of a ticket, the oldest first."""
        with self.store.reading():
            return [dict(reply) for reply in self.find(number)["replies"]]

    def reply(self, user: Record, number: int, data: Mapping[str, Any]) -> Record:
        """Add a reply, and close the ticket if it says so."""
        with self.store.changing() as tables:
            ticket = self.find(number)
            values = check(data, _REPLY)
            internal = values.get("customer_visible") is False
            visible = not internal or self.store.instance.visibility == "ignored"
            reply = self._add_reply(
                ticket, user["id"], _body(values["body"]), customer_visible=visible
            )
            for status in tables["statuses"].values():
                if status["auto_for"] == "on_admin_reply":
                    self._change(ticket, {"status_id": status["id"]})
            if values["close"]:
                self._close(ticket)
            self._touch(ticket)
            return dict(reply)

    # -- what the desk and BlueRockTEL itself do -------------------------------------------

    def request_closure(self, number: int) -> Record:
        """Ask for an open ticket to be closed, as the desk does."""
        with self.store.changing():
            ticket = self.find(number)
            if not ticket["open"]:
                raise bad_request("Bad request: the ticket is closed.")
            ticket["closure"] = True
            self._touch(ticket)
            return self.columns(ticket)

    def close_by_itself(self, number: int) -> Record:
        """Close a ticket as the automatic closing does; whether that shows, the instance says."""
        with self.store.changing() as tables:
            ticket = self.find(number)
            shows = self.store.instance.closure == "auto"
            author = min(tables["users"], default=None)
            self._add_reply(ticket, author, _CLOSED_BY_ITSELF, auto_closure_message=shows)
            self._close(ticket)
            ticket["closure"] = shows
            self._touch(ticket)
            return self.columns(ticket)

    # -- shared with the search ------------------------------------------------------------

    def find(self, number: int) -> Record:
        """Return the ticket itself; raises Rejected (404)."""
        return self.store.find("tickets", "Ticket", number)

    def columns(self, ticket: Record) -> Record:
        """Return a ticket without its relations."""
        return {
            "id": ticket["id"],
            **{key: ticket[key] for key in TICKET_DEFAULTS if key not in _RELATIONS},
        }

    def listed(self, ticket: Record) -> Record:
        """Return a ticket as lists show it."""
        replies = ticket["replies"]
        return {
            **self.columns(ticket),
            "replies_count": len(replies),
            "last_reply_seen_at": replies[-1]["seen_at"] if replies else None,
        }

    def customer_of(self, ticket: Record) -> Optional[Record]:
        """Return a copy of the ticket's customer."""
        customer = self.store.tables["customers"].get(ticket["ticketable_id"])
        return dict(customer) if customer else None

    def user(self, number: Optional[int]) -> Optional[Record]:
        """Return id, name and email of a user."""
        user = self.store.tables["users"].get(number) if number else None
        return {key: user[key] for key in ("id", "name", "email")} if user else None

    # -- own -------------------------------------------------------------------------------

    def _new(self, user: Record, entity_type: str, entity_id: int, values: Record) -> Record:
        given = {key: value for key, value in values.items() if key != "close"}
        ticket = {
            "id": self.store.next_id("tickets"),
            **TICKET_DEFAULTS,
            "contacts": [],
            "replies": [],
            "number": self.store.new_number(),
            "ticketable_type": entity_type,
            "ticketable_id": entity_id,
            "author_id": user["id"],
            "assignee_id": user["id"],
            "assigned_by": user["id"],
            "opener_id": user["id"],
            "assigned_at": self.store.date(),
            "opened_at": self.store.date(),
            "created_at": self.store.timestamp(),
            "updated_at": self.store.timestamp(),
            **given,
        }
        if ticket["status_id"] is None:
            ticket["status_id"] = self._default_status()
        if ticket["estimated_resolution_date"] is None:
            ticket["estimated_resolution_date"] = self.store.date(DEFAULT_RESOLUTION)
        return ticket

    def _add_reply(self, ticket: Record, author: Optional[int], body: str, **more: Any) -> Record:
        now = self.store.timestamp()
        reply = {
            **REPLY_DEFAULTS,
            "id": self.store.next_id("replies"),
            "ticket_id": ticket["id"],
            "body": body,
            "author_id": author,
            # Its author has read it.
            "seen_at": self.store.date(),
            "created_at": now,
            "updated_at": now,
            **more,
        }
        ticket["replies"].append(reply)
        ticket["exchanges"] += 1
        self._happened(ticket, history.REPLIED, reply["id"])
        return reply

    def _values(
        self, data: Mapping[str, Any], fields: Mapping[str, Field], cut_subject: bool
    ) -> Record:
        values = check(data, fields)
        wrong = {
            name: [f"The selected {name.replace('_', ' ')} is invalid."]
            for name, table in _REFERENCES.items()
            if values.get(name) is not None and values[name] not in self.store.tables[table]
        }
        if wrong:
            raise invalid(wrong)
        if "subject" in values:
            values["subject"] = _subject(values["subject"], cut_subject)
        if "body" in values:
            values["body"] = _body(values["body"])
        if values.get("tags") is not None:
            values["tags"] = php_json(values["tags"])
        return values

    def _default_status(self) -> Optional[int]:
        statuses = self.store.tables["statuses"].values()
        return next((s["id"] for s in statuses if s["auto_for"] == "default"), None)

    def _close(self, ticket: Record) -> None:
        if ticket["open"]:
            self._happened(ticket, history.CLOSED)
        ticket.update(open=False, closure=False, closed_at=self.store.date())

    def _open(self, ticket: Record) -> None:
        if not ticket["open"]:
            self._happened(ticket, history.REOPENED)
        ticket.update(open=True, closure=False, closed_at=None)

    def _change(self, ticket: Record, values: Mapping[str, Any]) -> None:
        for name in history.WATCHED:
            if name in values and values[name] != ticket[name]:
                event = history.Event(self.store.timestamp(), name, ticket[name], values[name])
                self.store.history.add(ticket["id"], event)
        ticket.update(values)

    def _happened(self, ticket: Record, what: str, number: Optional[int] = None) -> None:
        event = history.Event(self.store.timestamp(), what, after=number)
        self.store.history.add(ticket["id"], event)

    def _touch(self, ticket: Record) -> None:
        ticket["updated_at"] = self.store.timestamp()

    def _with_replies(self, ticket: Record) -> Record:
        replies = [
            {**reply, "author": self.user(reply["author_id"])} for reply in ticket["replies"]
        ]
        return {**self.columns(ticket), "replies": replies}

    def _contacts_of(self, ticket: Record) -> List[Record]:
        contacts = self.store.tables["contacts"]
        return [dict(contacts[each]) for each in ticket["contacts"] if each in contacts]

    def _has_unread(self, ticket: Record) -> bool:
        return bool(ticket["replies"]) and ticket["replies"][-1]["seen_at"] is None

    def _fits(self, contact: Record, attached: List[int]) -> bool:
        contacts = self.store.tables["contacts"]
        return all(
            _entity(contacts[each]) == _entity(contact) for each in attached if each in contacts
        )


def _entity(contact: Record) -> Any:
    return contact["contactable_type"], contact["contactable_id"]


def _subject(text: str, cut: bool) -> str:
    subject = clean_subject(text)
    if len(subject) <= MAX_SUBJECT:
        return subject
    if cut:
        return subject[:MAX_SUBJECT]
    problem = f"The subject field must not be greater than {MAX_SUBJECT} characters."
    raise invalid({"subject": [problem]})


def _body(text: str) -> str:
    body = clean_body(text)
    if len(body.encode("utf-8", "surrogatepass")) > MAX_BODY:
        raise server_error()
    return body
