"""The BlueRockTEL API: one client, typed results, one family of errors.

This is the module to import from: the errors live in api_errors.py, the records in records.py, and
how a call travels in transport.py. Sources of the facts: BlueRockTEL's "Opening a Ticket from a
Monitoring System" and "Tickets" pages, and what Laravel and Spatie's QueryBuilder are known to do.
"""

from __future__ import annotations

import json as jsonlib
import math
import re
import time
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    TypeVar,
)

from brtel_notify.api.credentials import Credentials, CredentialsError, TokenCache, Tokens
from brtel_notify.api.errors import (
    ApiError,
    BadAnswer,
    Call,
    Forbidden,
    NotFound,
    OutOfTime,
    Refused,
    ServerError,
    Throttled,
    TlsError,
    Unauthorized,
    Unreachable,
    json_answer,
    one_line,
    refusal,
)
from brtel_notify.api.pace import Pace
from brtel_notify.api.records import (
    CUSTOMER_TYPE,
    Contact,
    Customer,
    Login,
    Named,
    PbxHost,
    Record,
    Reply,
    SubCategory,
    Ticket,
    Version,
    WrongShape,
    flag_of,
    next_page,
    parse_counts,
    parse_date,
    parse_list,
    unwrapped,
)
from brtel_notify.api.transport import Transport, checked_url
from brtel_notify.text.times import api_date as format_date

__all__ = [
    "ApiError",
    "BadAnswer",
    "Client",
    "Contact",
    "Credentials",
    "CredentialsError",
    "Customer",
    "Forbidden",
    "Login",
    "Named",
    "NotFound",
    "OutOfTime",
    "PbxHost",
    "Refused",
    "Reply",
    "ServerError",
    "SubCategory",
    "Throttled",
    "Ticket",
    "TlsError",
    "Unauthorized",
    "Unreachable",
    "Version",
    "checked_url",
    "format_date",
    "parse_date",
]

#: Pages of one list that are fetched.
MOST_PAGES = 50
#: With less than this (seconds) before the deadline, a call is not started.
LEAST_TIME = 1.0

OnCall = Callable[[str, str, Optional[int], float], None]
Asked = TypeVar("Asked")

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


class Sender(Protocol):
    """What carries a call to the API and its answer back; usually a Transport."""

    def send(self, call: Call, seconds: float) -> Tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer."""

    def close(self) -> None:
        """Close the connections."""


class _Answer(NamedTuple):
    """The status of a successful answer, and its JSON (None: empty)."""

    status: int
    data: Any


class RawAnswer(NamedTuple):
    """An answer as it came: its status and body (the token blotted out); error: if refused."""

    status: int
    content: bytes
    error: Optional[ApiError]


class Client:
    """BlueRockTEL's API over one keep-alive session; threads may share it.

    ``url`` is the instance's ``…/api``: https, or http to this machine itself. ``timeout`` is
    the longest that one call may take, seconds. ``ca_file`` is a CA bundle instead of requests'
    own; ``proxy`` an http(s) proxy's URL (not used for an API on this machine);
    ``token_cache`` the file that keeps a login's token; ``pace`` holds calls back to keep a
    ceiling; ``transport`` carries the calls instead of
    the usual one. ``on_call(method, path, status, seconds)``
    is told of every call sent; status is None if no whole answer came.

    Set ``deadline`` (of ``time.monotonic()``) and calls end by then, or raise OutOfTime instead of
    being sent with less than a second left.

    Every method raises ApiError, OutOfTime or CredentialsError. ValueError, at once, for
    a wrong url, proxy, ca_file or argument. No call is repeated, but for once after a 401 with a
    token freshly fetched.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        timeout: float = 10.0,
        ca_file: Optional[str] = None,
        proxy: Optional[str] = None,
        token_cache: Optional[str] = None,
        pool_size: int = 4,
        on_call: Optional[OnCall] = None,
        clock: Callable[[], float] = time.monotonic,
        transport: Optional[Sender] = None,
        pace: Optional[Pace] = None,
    ) -> None:
        self.timeout = timeout
        self.deadline: Optional[float] = None
        self._credentials = credentials
        self._on_call = on_call
        self._pace = pace
        self._clock = clock
        self._transport = transport or Transport(
            url, ca_file=ca_file, proxy=proxy, pool_size=pool_size, clock=clock
        )
        self.url = checked_url(url)
        cache = None
        if token_cache and credentials.by_login and credentials.email:
            cache = TokenCache(token_cache, self.url, credentials.email)
        self._tokens = Tokens(credentials, cache, lambda: self._log_in()[1])

    def open_ahead(self, connections: int) -> None:
        """Begin to open so many CONNECTIONS, while the first calls are still prepared."""
        opener = getattr(self._transport, "open_ahead", None)
        if opener is not None:
            opener(connections, self.timeout)

    def __repr__(self) -> str:
        return f"<Client of {self.url}, {self._credentials!r}>"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client stays usable."""
        self._transport.close()

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

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
    ) -> Any:
        """Any call: its JSON answer as it came, None if it is empty.

        PATH is below ``url`` (``/v1/tickets``) and may have a query. Raises ValueError if PATH is a
        whole URL or METHOD is no method.
        """
        return self._authorized(self._prepared(method, path, params, json)).data

    def answer(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
    ) -> RawAnswer:
        """Any call, like :meth:`request`, but a refusal is an answer as well, with its body.

        Raises Unreachable, TlsError, BadAnswer where there is no whole answer at all.
        """
        call = self._prepared(method, path, params, json)
        token = self._tokens.current()
        status, headers, content = self._sent(call.with_token(token))
        if status == 401:
            fresh = self._tokens.renew(token)
            if fresh is not None:
                token = fresh
                status, headers, content = self._sent(call.with_token(token))
        error = None
        if not 200 <= status < 300:
            source = self._credentials.source
            error = refusal(call.with_token(token), status, headers, content, source)
        return RawAnswer(status, _without_token(content, token), error)

    # -- what tickets are filed under

    def priorities(self) -> List[Named]:
        """GET /v1/ticketing/priorities."""
        return self._list("/v1/ticketing/priorities", Named.parse)

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

    # -- customers

    def search_customers(self, term: str) -> List[Customer]:
        """Customers whose name, account, contacts, numbers… match TERM; 15 at most."""
        path = "/v1/customers/search"
        return self._unless_missing(lambda: self._list(path, Customer.parse, {"term": term}), [])

    def customer_by_account(self, account: str) -> Optional[Customer]:
        """The customer with exactly this account code (CL000042), or None."""
        params = {"customer_account": account}
        return self._lookup("/v1/customers/lookup", Customer.parse, params)

    def pbx_host(self, host_name: str) -> Optional[PbxHost]:
        """The 3CX host of this name, with its customers, or None."""
        params = {"host_name": host_name}
        return self._lookup("/v1/pbx3cx-hosts/lookup", PbxHost.parse, params)

    def pbx_hosts_of(self, account: str) -> List[PbxHost]:
        """The 3CX hosts of the customer with this account code; none if there is no such one."""
        path, params = "/v1/pbx3cx-hosts/lookup-by-customer", {"customer_account": account}
        return self._unless_missing(lambda: self._list(path, PbxHost.parse, params), [])

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
        """POST /v1/tickets. BODY is HTML, SUBJECT plain; the date as format_date writes it."""
        fields: Dict[str, Any] = {
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
            params={"ticketable_type": CUSTOMER_TYPE, "ticketable_id": customer_id},
            json={name: value for name, value in fields.items() if value is not None},
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
        return self._one("PUT", f"/v1/tickets/{_id(ticket_id)}", Ticket.parse, json=body)

    def close_ticket(self, ticket_id: int) -> str:
        """Close it. Returns the server's words ("ticket closed")."""
        return self._done(f"/v1/tickets/close/{_id(ticket_id)}")

    def open_ticket(self, ticket_id: int) -> str:
        """Open it again, or cancel its pending closure. Returns the server's words."""
        return self._done(f"/v1/tickets/open/{_id(ticket_id)}")

    def reopen_ticket(self, ticket_id: int) -> Ticket:
        """Cancel its pending closure."""
        return self._one("PUT", f"/v1/tickets/reopen/{_id(ticket_id)}", Ticket.parse)

    def assign_ticket(self, ticket_id: int, user_id: int) -> Named:
        """Assign it to a user, whom the API answers with. Raises NotFound for either of them."""
        path = f"/v1/tickets/assign/{_id(ticket_id)}"
        return self._one("PUT", path, Named.parse, json={"assignee_id": user_id})

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
        return self._list("/v1/replies", Reply.parse, {"ticket_id": ticket_id})

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
        """POST /v1/replies; CLOSE also closes the ticket. BODY is HTML."""
        fields = {
            "body": body,
            "close": close,
            "send_to_assignee": send_to_assignee,
            "send_to_contacts": send_to_contacts,
            "customer_visible": customer_visible,
        }
        params = {"ticket_id": ticket_id}
        return self._one("POST", "/v1/replies", Reply.parse, params=params, json=fields)

    # -- kinds of calls

    def _one(
        self,
        method: str,
        path: str,
        parse: Callable[[Any], Record],
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
    ) -> Record:
        """A call that answers with one record."""
        call = self._prepared(method, path, params, json)
        return self._parsed(call, lambda data: parse(unwrapped(data)), self._authorized(call))

    def _done(self, path: str, json: Any = None) -> str:
        """A PUT whose success is all that matters: its answer may be anything that is JSON."""
        answer = self.request("PUT", path, json=json)
        words = answer.get("response") if isinstance(answer, dict) else None
        return one_line(words) if isinstance(words, str) else ""

    def _lookup(
        self, path: str, parse: Callable[[Any], Record], params: Mapping[str, Any]
    ) -> Optional[Record]:
        """A record, or None if the API says that there is none, in whichever way it does."""
        call = self._prepared("GET", path, params, None)
        return self._unless_missing(lambda: self._looked_up(call, parse), None)

    def _looked_up(self, call: Call, parse: Callable[[Any], Record]) -> Optional[Record]:
        answer = self._authorized(call)
        if isinstance(answer.data, dict) and flag_of(answer.data.get("found")) is False:
            return None
        record = unwrapped(answer.data)
        if record in (None, {}, []):
            raise call.error(NotFound, answer.status, "nothing is there")
        return self._parsed(call, parse, _Answer(answer.status, record))

    # -- what is not there

    def prove_itself(self, doubted: ApiError) -> None:
        """See that it is the API that answers: a list that every instance has cannot be a 404.

        Raises an error to be tried again where it is not: then DOUBTED says nothing. A wrong
        api.url, a tenant that is not found and a deployment half done answer 404 to everything.
        """
        try:
            self.priorities()
        except Forbidden:  # it knows us, and what we may not do
            return
        except (NotFound, Refused):
            raise _not_itself(doubted) from None

    def _surely(self, ask: Callable[[], Asked]) -> Asked:
        """What ASK gives. NotFound and Refused only if the API is itself, and says so once more."""
        try:
            return ask()
        except (NotFound, Refused) as error:
            self.prove_itself(error)
        return ask()

    def _unless_missing(self, ask: Callable[[], Asked], missing: Asked) -> Asked:
        """What ASK gives; MISSING where BlueRockTEL itself says that it has no such thing."""
        try:
            return self._surely(ask)
        except NotFound:
            return missing

    def _list(
        self,
        path: str,
        parse: Callable[[Any], Record],
        params: Optional[Mapping[str, Any]] = None,
    ) -> List[Record]:
        """All records of a list, of one page or several; each once."""
        found: Dict[Any, Record] = {}
        asked = dict(params or {})
        page = 1
        for _ in range(MOST_PAGES):
            call = self._prepared("GET", path, asked, None)
            answer = self._authorized(call)
            before = len(found)
            for record in self._parsed(call, lambda items: parse_list(parse, items), answer):
                found.setdefault(getattr(record, "id", None), record)
            following = next_page(answer.data, page)
            # A server that knows no pages answers the same list to every page.
            if following is None or len(found) == before:
                break
            asked["page"] = page = following
        return list(found.values())

    def _parsed(self, call: Call, parse: Callable[[Any], Record], answer: _Answer) -> Record:
        try:
            return parse(answer.data)
        except WrongShape as error:
            text = f"answer: {error}"
            raise call.error(BadAnswer, answer.status, text, retry=True, maybe_done=True) from None

    # -- one call

    def _prepared(
        self, method: str, path: str, params: Optional[Mapping[str, Any]], json: Any
    ) -> Call:
        if not re.fullmatch(r"[A-Za-z]{1,16}", method):
            raise ValueError(f"not an HTTP method: {method!r}")
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|//", path) or re.search(r"[\s\\\x00-\x1f]", path):
            raise ValueError(f"{path!r} is not a path of the API, such as /v1/tickets")
        pairs: List[Tuple[str, str]] = []
        for name, value in (params or {}).items():
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if item is not None:
                    pairs.append((name, _query_text(item)))
        body = None
        if json is not None:
            body = jsonlib.dumps(_clean(json), allow_nan=False).encode("ascii")
        return Call(method.upper(), "/" + path.lstrip("/"), tuple(pairs), body)

    def _authorized(self, call: Call) -> _Answer:
        token = self._tokens.current()
        try:
            return self._send(call, token)
        except Unauthorized:
            fresh = self._tokens.renew(token)
            if fresh is None:
                raise
        return self._send(call, fresh)

    def _log_in(self) -> Tuple[Login, str]:
        address, password = self._credentials.login()
        body = jsonlib.dumps({"email": address, "password": password}).encode("ascii")
        call = Call("POST", "/login", body=body, secrets=(password, jsonlib.dumps(password)[1:-1]))
        answer = self._send(call)
        data = unwrapped(answer.data)
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise call.error(BadAnswer, answer.status, "answer: no token in it", retry=True)
        return self._parsed(call, Login.parse, _Answer(answer.status, data)), token

    def _send(self, call: Call, token: Optional[str] = None) -> _Answer:
        """Send CALL once: its JSON answer, or an ApiError."""
        if token is not None:
            call = call.with_token(token)
        status, headers, content = self._sent(call)
        if 200 <= status < 300:
            return _Answer(status, json_answer(call, status, content))
        raise refusal(call, status, headers, content, self._credentials.source)

    def _sent(self, call: Call) -> Tuple[int, Mapping[str, str], bytes]:
        """Send CALL once: status, headers and body of whatever the answer is."""
        if self._pace is not None and not self._pace.wait(self._time_left()):
            raise OutOfTime(f"{call.method} {call.shown_path}: not sent, it is not its turn yet")
        seconds = self._time_allowed(call)
        started = self._clock()
        status: Optional[int] = None
        try:
            status, headers, content = self._transport.send(call, seconds)
        finally:
            if self._on_call:
                self._on_call(call.method, call.shown_path, status, self._clock() - started)
        return status, headers, content

    def _time_left(self) -> float:
        return math.inf if self.deadline is None else self.deadline - self._clock()

    def _time_allowed(self, call: Call) -> float:
        if self.deadline is None:
            return self.timeout
        left = self.deadline - self._clock()
        if left < LEAST_TIME:
            raise OutOfTime(f"{call.method} {call.shown_path}: not sent, no time is left for it")
        return min(self.timeout, left)


def _without_token(content: bytes, token: str) -> bytes:
    """CONTENT without TOKEN, should the server repeat it: plain, or as JSON or PHP writes it."""
    as_json = jsonlib.dumps(token)[1:-1]
    for form in (token, as_json, as_json.replace("/", "\\/")):
        content = content.replace(form.encode("utf-8"), b"***")
    return content


def _not_itself(doubted: ApiError) -> BadAnswer:
    """DOUBTED as a fault on the way, which other calls have to expect as well."""
    text = (
        f"{doubted.message.rstrip('.')}; and the list of priorities, which every BlueRockTEL has,"
        " is refused as well (is api.url right, or is BlueRockTEL being updated?)"
    )
    return BadAnswer(doubted.method, doubted.path, doubted.status, text, retry=True, api_wide=True)


def _id(value: int) -> int:
    """VALUE; ValueError for what is no integer: text could reach another path, or match nothing."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"not an id: {value!r}")
    return value


def _filter_value(name: str, value: Any) -> str:
    text = _query_text(value)
    if "," in text:
        raise ValueError(f"filter[{name}] cannot hold a comma, the server would split it: {text!r}")
    return text


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_clean(str(value)))


def _clean(value: Any) -> Any:
    """VALUE without lone surrogates (bytes of an alert that were no UTF-8).

    PHP takes a body with one of them for no JSON at all.
    """
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, Mapping):
        return {_clean(name): _clean(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value
