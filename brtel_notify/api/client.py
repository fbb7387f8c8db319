"""The BlueRockTEL API: what can be called, one method each, with typed results.

The errors are in exceptions.py, the records in records.py, customers and PBX hosts in lookups.py,
and how a call is made in caller.py. Sources of the facts: BlueRockTEL's "Opening a Ticket from a
Monitoring System" and "Tickets" pages, its PHP SDK and request collection, and what Laravel and
Spatie's QueryBuilder are known to do. Those disagree on names: every name that differs is sent in
both dialects, but for a ``filter[…]``, which must not be unknown (docs/compatibility.md).
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional, Sequence

from brtel_notify.api.caller import query_text
from brtel_notify.api.exceptions import Forbidden, NotFound, Refused
from brtel_notify.api.fields import WrongShape, unwrapped
from brtel_notify.api.lookups import Lookups
from brtel_notify.api.mixed_up import user_id_in
from brtel_notify.api.records import (
    CUSTOMER_TYPE,
    Contact,
    Customer,
    Login,
    Named,
    Reply,
    SubCategory,
    Ticket,
    User,
    Version,
    parse_counts,
)

# Our words for the fields of a ticket, and the API's.
_UPDATES = {
    "subject": "subject",
    "body": "body",
    "team_id": "team_id",
    "priority_id": "priority_id",
    "category_id": "ticket_category_id",
    "sub_category_id": "ticket_sub_category_id",
    "status_id": "status_id",
    "tags": "tags",
    "estimated_resolution_date": "estimated_resolution_date",
    "assignee_id": "assignee_id",
    "customer_id": "ticketable_id",
    "opened_at": "opened_at",
    "contract_id": "contract_id",
    "close": "close",
}


class Client(Lookups):
    """BlueRockTEL's API over one keep-alive session; threads may share it.

    ``url`` is the instance's ``…/api``: https, or http to this machine itself. ``timeout`` is
    the longest that one call may take, seconds. ``ca_file`` is a CA bundle instead of requests'
    own; ``proxy`` an http(s) proxy's URL (not used for an API on this machine);
    ``token_cache`` the file that keeps a login's token; ``pace`` holds calls back to keep a
    ceiling; ``transport`` carries the calls instead of the usual one; ``instance`` is what is
    remembered of this BlueRockTEL.
    ``on_call(method, path, status, seconds)`` is told of every call sent; status is None if no
    whole answer came.

    Set ``deadline`` (of ``time.monotonic()``) and calls end by then, or raise OutOfTime instead of
    being sent with less than a second left.

    Every method raises ApiError, OutOfTime or CredentialsError; ValueError, at once, for a wrong
    argument (address.WrongSetting: url, proxy or ca_file). No call is repeated, but
    for once after a 401 with a token freshly fetched.
    """

    # -- the instance

    def login(self) -> Login:
        """POST /login with email and password; the token is used, and cached, from then on."""
        login, token = self._log_in()
        self._tokens.adopt(token)
        return login

    def version(self) -> Version:
        """GET /version; needs no token."""
        call = self._prepared("GET", "/version", None, None)
        return self._parsed(call, lambda data: Version.parse(unwrapped(data)), self._send(call))

    # -- what tickets are filed under

    def categories(self) -> List[Named]:
        """GET /v1/ticketing/categories."""
        return self._list("/v1/ticketing/categories", Named.parse)

    def sub_categories(self) -> List[SubCategory]:
        """GET /v1/ticketing/sub-categories."""
        return self._list("/v1/ticketing/sub-categories", SubCategory.parse)

    def statuses(self) -> List[Named]:
        """GET /v1/ticketing/statuses."""
        return self._list("/v1/ticketing/statuses", Named.parse)

    def support_teams(self) -> List[Named]:
        """GET /v1/ticketing/support-teams."""
        return self._list("/v1/ticketing/support-teams", Named.parse)

    # -- users

    def users(self, *, name: Optional[str] = None, email: Optional[str] = None) -> List[User]:
        """GET /v1/users: those whose name holds NAME, whose address is EMAIL; else all."""
        wanted = {"name": name, "email": email}
        params = {
            f"filter[{key}]": _filter_value(key, text) for key, text in wanted.items() if text
        }
        return self._list("/v1/users", User.parse, params)

    def user(self, user_id: int) -> User:
        """GET /v1/users/{id}. Raises NotFound."""
        return self._one("GET", f"/v1/users/{_id(user_id)}", User.parse)

    def own_id(self) -> Optional[int]:
        """The id of the user whose token it is, if the token itself says so: no call."""
        return user_id_in(self._tokens.current())

    def own_user(self) -> Optional[User]:
        """Whose credential it is: as the bearer token says, or else a login; None if neither does.

        A user who may not look at users has a number only, or a number and a name.
        """
        number, name = user_id_in(self._tokens.current()), ""
        if number is None and self._credentials.by_login:
            user = self.login().user
            number, name = (user.id, user.name) if user else (None, "")
        if number is None:
            return None
        try:
            return self.user(number)
        except (NotFound, Refused, Forbidden):
            return User(number, name)

    # -- customers

    def contacts(self, customer_id: int) -> List[Contact]:
        """The contacts of a customer. Raises NotFound if there is no such customer."""
        params = {"contactable_type": CUSTOMER_TYPE, "contactable_id": customer_id}
        return self._surely(lambda: self._list("/v1/contacts", Contact.parse, params))

    # -- tickets

    def create_ticket(
        self,
        customer_id: int,
        *,
        subject: str,
        body: str,
        priority_id: int,
        category_id: int,
        sub_category_id: int,
        tags: Optional[Sequence[str]] = None,
        estimated_resolution_date: Optional[str] = None,
        team_id: Optional[int] = None,
        status_id: Optional[int] = None,
        close: bool = False,
    ) -> Ticket:
        """POST /v1/tickets. BODY is HTML, SUBJECT plain; the date as times.api_date writes it."""
        customer = {"ticketable_type": CUSTOMER_TYPE, "ticketable_id": customer_id}
        fields: Dict[str, Any] = {
            **customer,
            "subject": subject,
            "body": body,
            "priority_id": priority_id,
            "ticket_category_id": category_id,
            "ticket_sub_category_id": sub_category_id,
            "tags": None if tags is None else list(tags),
            "estimated_resolution_date": estimated_resolution_date,
            "team_id": team_id,
            "status_id": status_id,
            "close": close or None,
        }
        return self._one(
            "POST",
            "/v1/tickets",
            Ticket.parse,
            params=customer,
            json=_both(**{name: value for name, value in fields.items() if value is not None}),
        )

    def ticket(self, ticket_id: int) -> Ticket:
        """GET /v1/tickets/{id}, with its replies and contacts. Raises NotFound."""
        return self._one("GET", f"/v1/tickets/{_id(ticket_id)}", Ticket.parse)

    def has_ticket(self, ticket_id: int, number: str, reference: str) -> bool:
        """Whether the ticket is there; it is searched by its NUMBER, or its REFERENCE without one.

        False is BlueRockTEL's own word: it says twice that it has none, and in between a search
        works and does not show it.
        """
        try:
            self.ticket(ticket_id)
            return True
        except NotFound as error:
            doubted = error
        if any(ticket.id == ticket_id for ticket in self._search_for(number, reference, doubted)):
            return True
        try:
            self.ticket(ticket_id)
            return True
        except NotFound:
            return False

    def _search_for(self, number: str, reference: str, doubted: NotFound) -> List[Ticket]:
        try:
            # A person may edit the body; nobody changes the number.
            return self.search_tickets(number=number or None, body=None if number else reference)
        except (NotFound, Refused):  # or this instance cannot search so
            self.prove_itself(doubted)
            return []

    def search_tickets(
        self,
        *,
        customer_id: Optional[int] = None,
        body: Optional[str] = None,
        number: Optional[str] = None,
        open: Optional[bool] = None,
        include: Sequence[str] = (),
        **filters: Any,
    ) -> List[Ticket]:
        """GET /v1/tickets/search; BODY and NUMBER match in part.

        FILTERS are further ``filter[…]``: email, assignee_id, status_id, priority_id, team_id,
        my_tickets, my_teams_tickets. INCLUDE names relations (replies, customer, team…) to load.
        Raises ValueError for a value with a comma, at which the server would split it.
        """
        wanted: Dict[str, Any] = dict(filters, body=body, number=number)
        if customer_id is not None:
            wanted.update(ticketable_type=CUSTOMER_TYPE, ticketable_id=_id(customer_id))
        if open is not None:
            # Both are scopes, which Laravel may apply whatever their value is: never send false.
            wanted["open" if open else "closed"] = True
        params: Dict[str, Any] = {
            f"filter[{name}]": _filter_value(name, value)
            for name, value in wanted.items()
            if value is not None
        }
        if include:
            params["include"] = ",".join(include)
        found = self._list("/v1/tickets/search", Ticket.parse, params)
        # A filter that the server ignored must not pass a stranger's ticket off as ours.
        return [
            ticket
            for ticket in found
            if (open is None or ticket.open == open)
            and (customer_id is None or ticket.customer_id in (None, customer_id))
        ]

    def tickets_of(self, customer_id: int) -> List[Ticket]:
        """GET /v1/tickets of a customer: open and closed, the newest first."""
        params = {"ticketable_type": CUSTOMER_TYPE, "ticketable_id": _id(customer_id)}
        found = self._list("/v1/tickets", Ticket.parse, params)
        return [ticket for ticket in found if ticket.customer_id in (None, customer_id)]

    def update_ticket(self, ticket_id: int, **fields: Any) -> Ticket:
        """PUT /v1/tickets/{id}; only the FIELDS given change, None is sent as null.

        They are those of create_ticket, and customer_id, assignee_id, contract_id, opened_at.
        Raises TypeError for another one.
        """
        body: Dict[str, Any] = {}
        for name, value in fields.items():
            if name not in _UPDATES:
                raise TypeError(f"update_ticket() does not know the field {name!r}")
            body[_UPDATES[name]] = value
        if "customer_id" in fields:
            body["ticketable_type"] = CUSTOMER_TYPE
        return self._one("PUT", f"/v1/tickets/{_id(ticket_id)}", Ticket.parse, json=_both(**body))

    def close_ticket(self, ticket_id: int) -> str:
        """Close it. Returns the server's words ("ticket closed")."""
        return self._done(f"/v1/tickets/close/{_id(ticket_id)}")

    def open_ticket(self, ticket_id: int) -> str:
        """Open it again, or cancel its pending closure. Returns the server's words."""
        return self._done(f"/v1/tickets/open/{_id(ticket_id)}")

    def reopen_ticket(self, ticket_id: int) -> str:
        """Cancel its pending closure. Returns the server's words, if there are any."""
        return self._done(f"/v1/tickets/reopen/{_id(ticket_id)}")

    def assign_ticket(self, ticket_id: int, user_id: int) -> Optional[Named]:
        """Assign it to a user: who that is, if the API says. Raises NotFound for either of them.

        The page has the user in the body, the vendor's collection in the query.
        """
        user = {"assignee_id": _id(user_id)}
        path = f"/v1/tickets/assign/{_id(ticket_id)}"
        answer = unwrapped(self.request("PUT", path, params=user, json=user))
        try:
            return Named.parse(answer)
        except WrongShape:
            return None

    def free_ticket(self, ticket_id: int) -> str:
        """Take its assignee away. Returns the server's words."""
        return self._done(f"/v1/tickets/free/{_id(ticket_id)}")

    def amend_ticket(self, ticket_id: int, minutes: float) -> str:
        """Adjust the time tracked on it by MINUTES. Returns the server's words."""
        return self._done(f"/v1/tickets/amend/{_id(ticket_id)}", {"time": minutes})

    def associate_contacts(
        self, ticket_id: int, attach: Iterable[int], detach: Iterable[int] = ()
    ) -> str:
        """Attach and detach contacts. Returns the server's words ("1 associated and 0 un…")."""
        body = {"associated": list(attach), "unassociated": list(detach)}
        return self._done(f"/v1/tickets/{_id(ticket_id)}/associates", body)

    def ticket_customer(self, ticket_id: int) -> Customer:
        """The customer that the ticket belongs to. Raises NotFound."""
        return self._one("GET", f"/v1/tickets/{_id(ticket_id)}/customer", Customer.parse)

    def ticket_counts(self) -> Dict[str, int]:
        """How many tickets there are: total, open, unassigned, daily, weekly, closed…"""
        return self._one("GET", "/v1/tickets/counts", parse_counts)

    # -- replies

    def replies(self, ticket_id: int) -> List[Reply]:
        """The replies of a ticket. Raises NotFound if there is no such ticket."""
        return self._list("/v1/replies", Reply.parse, _both(ticket_id=ticket_id))

    def create_reply(
        self,
        ticket_id: int,
        body: str,
        *,
        close: bool,
        send_to_assignee: bool,
        send_to_contacts: bool,
        customer_visible: bool,
    ) -> Reply:
        """POST /v1/replies; CLOSE also closes the ticket. BODY is HTML.

        Whether it came out as CUSTOMER_VISIBLE says is seen in the answer, or nowhere.
        """
        ticket = _both(ticket_id=ticket_id)
        fields = {
            **ticket,
            "body": body,
            "close": close,
            **_both(
                send_to_assignee=send_to_assignee,
                send_to_contacts=send_to_contacts,
                notify_customer=send_to_contacts and customer_visible,
                customer_visible=customer_visible,
            ),
        }
        wrappers = ("data", "reply")  # beside it may stand its ticket
        return self._one(
            "POST", "/v1/replies", Reply.parse, params=ticket, json=fields, wrappers=wrappers
        )


#: What the vendor's older client calls these fields; the others have the same name in both.
_CAMEL = {
    "ticket_id": "ticketId",
    "send_to_assignee": "sendToAssignee",
    "send_to_contacts": "sendToContacts",
    "notify_customer": "notifyCustomer",
    "customer_visible": "customerVisible",
    "estimated_resolution_date": "estimatedResolutionDate",
}


def _both(**fields: Any) -> Dict[str, Any]:
    """FIELDS in both dialects; in camelCase, a boolean is 0 or 1 as the vendor's client has it."""
    older = {
        _CAMEL[name]: int(value) if isinstance(value, bool) else value
        for name, value in fields.items()
        if name in _CAMEL
    }
    return {**fields, **older}


def _id(value: int) -> int:
    """VALUE; ValueError for what is no integer: text could reach another path, or match nothing."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"not an id: {value!r}")
    return value


def _filter_value(name: str, value: Any) -> str:
    text = query_text(value)
    if "," in text:
        raise ValueError(f"filter[{name}] cannot hold a comma, the server would split it: {text!r}")
    return text
