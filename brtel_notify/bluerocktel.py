"""The BlueRockTEL API: one client, typed results, one family of errors.

Sources of the facts: BlueRockTEL's "Opening a Ticket from a Monitoring System" and "Tickets"
pages, and what Laravel and Spatie's QueryBuilder are known to do. Four parts, in this order:
errors, records (what the API answers), transport (a time limit on a whole call), client.
"""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import html
import http
import http.client
import io
import ipaddress
import json as jsonlib
import os
import re
import socket
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    Union,
)

import requests
import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.util.ssl_match_hostname import CertificateError

from brtel_notify import __version__
from brtel_notify.credentials import Credentials, CredentialsError, TokenCache, Tokens

#: The only kind of thing that tickets and contacts hang on.
CUSTOMER_TYPE = "App\\Customer"
#: An answer longer than this (bytes) is refused.
LONGEST_ANSWER = 16 * 1024 * 1024
#: Characters of the server's own words that an error repeats.
LONGEST_MESSAGE = 500
#: Pages of one list that are fetched.
MOST_PAGES = 50
#: With less than this (seconds) before the deadline, a call is not started.
LEAST_TIME = 1.0
#: The longest Retry-After (seconds) that is believed.
LONGEST_RETRY_AFTER = 86400.0

Id = Union[str, int]

# ------------------------------------------------------------------------------------- errors


class OutOfTime(Exception):
    """The call was not sent: too little of the time allowed (``Client.deadline``) is left."""


class ApiError(Exception):
    """A call failed. ``str()`` is one line: method, path, status, the server's own words.

    ``path``: without its query. ``status``: of the answer, None if there was none.
    ``retry``: whether the same call may succeed later although nobody changes anything here.
    ``retry_after``: seconds, if the server said so.
    ``maybe_done``: whether the call may have taken effect all the same; always False for calls
    that change nothing (GET, HEAD and the login).
    ``api_wide``: whether other calls have to expect the same failure.
    """

    def __init__(
        self,
        method: str,
        path: str,
        status: Optional[int],
        message: str,
        *,
        retry: bool = False,
        retry_after: Optional[float] = None,
        maybe_done: bool = False,
        api_wide: bool = False,
    ) -> None:
        super().__init__(method, path, status, message)
        self.method = method
        self.path = path
        self.status = status
        self.message = message
        self.retry = retry
        self.retry_after = retry_after
        self.maybe_done = maybe_done
        self.api_wide = api_wide

    def __str__(self) -> str:
        status = "" if self.status is None else f"{self.status} "
        return f"{self.method} {self.path}: {status}{self.message}"


class Unreachable(ApiError):
    """No whole answer: refused, name not resolved, connection broken, time-out."""


class TlsError(ApiError):
    """The server's certificate is not to be trusted, or the CA file is unusable."""


class Unauthorized(ApiError):
    """401: the token (or, for /login, the password) is wrong."""


class Forbidden(ApiError):
    """403: the token's user may not do this."""


class NotFound(ApiError):
    """404: there is no such ticket, customer, host…"""


class Refused(ApiError):
    """400, 409, 422 or another 4xx: the request is wrong, and stays so when repeated.

    409 is among them: BlueRockTEL documents none, and where Laravel applications send one, the
    state of the record contradicts the request, which a repetition does not change.
    """


class Throttled(ApiError):
    """429: too many calls; ``retry_after`` says when to come back."""


class ServerError(ApiError):
    """5xx, and 408 and 425: the server's trouble, perhaps over soon."""


class BadAnswer(ApiError):
    """An answer, but not one of this API: not JSON, cut short, of another shape, a redirect."""


_CLASSES: Dict[int, Type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: ServerError,
    425: ServerError,
    429: Throttled,
}


def _error_class(status: int) -> Type[ApiError]:
    if status in _CLASSES:
        return _CLASSES[status]
    if 400 <= status < 500:
        return Refused
    return ServerError if 500 <= status < 600 else BadAnswer


def _changes_something(method: str, path: str) -> bool:
    return method not in ("GET", "HEAD") and path != "/login"


def _one_line(text: str, limit: int = LONGEST_MESSAGE) -> str:
    """TEXT on one line, without control characters, cut at LIMIT characters."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _server_words(content: bytes) -> str:
    """What the server says in the body of an error: Laravel's message and errors, or a title."""
    try:
        answer = jsonlib.loads(content)
    except (ValueError, RecursionError):
        return _page_words(content)
    if not isinstance(answer, dict):
        return answer if isinstance(answer, str) else ""
    words = ""
    for name in ("message", "error", "response"):
        if isinstance(answer.get(name), str) and answer[name]:
            words = answer[name]
            break
    details = "; ".join(_flattened(answer.get("errors")))
    return f"{words} ({details})".strip() if details else words


def _flattened(errors: Any, name: str = "") -> Iterator[str]:
    if isinstance(errors, dict):
        for key, value in errors.items():
            yield from _flattened(value, str(key))
    elif isinstance(errors, list):
        for value in errors:
            yield from _flattened(value, name)
    elif errors not in (None, ""):
        yield f"{name}: {errors}" if name else str(errors)


def _page_words(content: bytes) -> str:
    """The title of an HTML page, or the beginning of a plain text."""
    text = content[:65536].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return text
    title = re.search(r"<title[^>]*>([^<]*)</title", text, re.IGNORECASE)
    return html.unescape(title.group(1)).strip() if title else ""


def _retry_after(value: Optional[str], now: float) -> Optional[float]:
    """Seconds to wait, of a Retry-After header (a number or an HTTP date); NOW is the epoch."""
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - now
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


# ------------------------------------------------------------------------------------ records
#
# Ids are kept as text, dates as the server wrote them (see parse_date). Unknown fields are
# ignored, missing and null ones take a default; a value of an impossible type is a _WrongShape.


class _WrongShape(Exception):
    """A part of an answer has an impossible type: names the field, does not quote the value."""


class _Fields:
    """One JSON object of an answer, read field by field."""

    def __init__(self, data: Any, what: str) -> None:
        if not isinstance(data, dict):
            raise _WrongShape(f"{_kind(data)} where {what} was due")
        self.data: Dict[str, Any] = data
        self.what = what

    def wrong(self, name: str, due: str) -> NoReturn:
        found = _kind(self.data.get(name))
        raise _WrongShape(f"{self.what}: field {name!r} is {found} where {due} was due")

    def id(self, name: str = "id") -> str:
        """The record's own id; required."""
        value = self.optional_id(name)
        if value is None:
            self.wrong(name, "an id")
        return value

    def optional_id(self, name: str) -> Optional[str]:
        value = self.data.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            self.wrong(name, "an id")
        return str(value)

    def optional_text(self, name: str) -> Optional[str]:
        value = self.data.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            self.wrong(name, "text")
        return str(value)

    def text(self, name: str) -> str:
        return self.optional_text(name) or ""

    def optional_flag(self, name: str) -> Optional[bool]:
        value = self.data.get(name)
        if value is None or value == "":
            return None
        flag = _flag(value)
        if flag is None:
            self.wrong(name, "true or false")
        return flag

    def flag(self, name: str, default: bool) -> bool:
        value = self.optional_flag(name)
        return default if value is None else value

    def records(self, name: str) -> Optional[List[Any]]:
        """A list of further records, None if the answer does not have it."""
        value = self.data.get(name)
        if value is None:
            return None
        items = _plain_list(value)
        if items is None:
            self.wrong(name, "a list")
        return items

    def object(self, name: str) -> Dict[str, Any]:
        """A record inside this one; empty if there is none."""
        value = self.data.get(name)
        return value if isinstance(value, dict) else {}


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a boolean"}
    return kinds.get(type(value), "a number")


def _flag(value: Any) -> Optional[bool]:
    """A boolean as JSON has it, or as MySQL and PHP do: 0, 1, "0", "1"."""
    if isinstance(value, bool):
        return value
    words = {"0": False, "1": True, "false": False, "true": True}
    return words.get(str(value).lower()) if isinstance(value, (int, str)) else None


def _plain_list(value: Any) -> Optional[List[Any]]:
    """VALUE as a list: bare, or wrapped in `data`, or what PHP makes of a list with gaps."""
    if isinstance(value, dict) and isinstance(value.get("data"), (list, dict)):
        value = value["data"]
    if isinstance(value, dict) and value and all(str(key).isdigit() for key in value):
        return list(value.values())
    return value if isinstance(value, list) else None


@dataclass(frozen=True)
class Named:
    """A priority, category, status, team or user: an id and its name."""

    id: str
    name: str

    @classmethod
    def parse(cls, data: Any) -> Named:
        """Of the API's JSON object."""
        fields = _Fields(data, "a record with an id and a name")
        return cls(fields.id(), fields.text("name"))


@dataclass(frozen=True)
class SubCategory:
    """A ticket sub-category and the id of the category it belongs to (None: not said)."""

    id: str
    name: str
    category_id: Optional[str]

    @classmethod
    def parse(cls, data: Any) -> SubCategory:
        """Of the API's JSON object."""
        fields = _Fields(data, "a sub-category")
        names = ("ticket_category_id", "category_id")
        found = (fields.optional_id(name) for name in names)
        parent = next((value for value in found if value is not None), None)
        for name in ("category", "ticket_category"):
            if parent is None and fields.object(name):
                parent = _Fields(fields.object(name), "a category").optional_id("id")
        return cls(fields.id(), fields.text("name"), parent)


# A field with such a word in its name is not kept. Too many dropped costs a rule a field; too few
# would put a password into a cache file.
_SECRET_NAME = re.compile(
    r"passw|passphrase|passcode|pwd|secret|token|key|licen[cs]e|credential|iban|ssh|pincode"
    r"|(?:^|_)(?:pass|pin|puk|otp|bic|auth)(?:_|$)"
)
_CUSTOMER_FLAGS = ("vip", "on_call_duty", "setup_follow_up")


def _smells_of_a_secret(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name)
    return bool(_SECRET_NAME.search(words.lower()))


@dataclass(frozen=True)
class Customer:
    """A customer; ``extra`` has its further plain fields (vip, on_call_duty…), none secret."""

    id: str
    name: str
    account: str
    extra: Dict[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, data: Any) -> Customer:
        """Of the API's JSON object."""
        fields = _Fields(data, "a customer")
        extra = {
            name: value
            for name, value in fields.data.items()
            if name not in ("id", "name", "customer_account")
            and (value is None or isinstance(value, (str, int, float)))
            and not _smells_of_a_secret(name)
        }
        for name in _CUSTOMER_FLAGS:
            if name in extra:  # "0" would be true in a rule
                extra[name] = fields.flag(name, default=False)
        return cls(fields.id(), fields.text("name"), fields.text("customer_account"), extra)


@dataclass(frozen=True)
class PbxHost:
    """A 3CX host. The API's record also holds secrets: nothing else of it is kept."""

    id: str
    host_name: str
    active: bool
    customers: Tuple[Customer, ...]

    @classmethod
    def parse(cls, data: Any) -> PbxHost:
        """Of the API's JSON object."""
        fields = _Fields(data, "a PBX host")
        customers = tuple(Customer.parse(item) for item in fields.records("customers") or ())
        active = fields.flag("active", default=True)
        return cls(fields.id(), fields.text("host_name"), active, customers)


@dataclass(frozen=True)
class Contact:
    """A person at a customer; what the API does not know is empty."""

    id: str
    first_name: str
    last_name: str
    email: str
    role: str

    @classmethod
    def parse(cls, data: Any) -> Contact:
        """Of the API's JSON object."""
        fields = _Fields(data, "a contact")
        return cls(
            fields.id(),
            fields.text("first_name"),
            fields.text("last_name"),
            fields.text("email_address") or fields.text("email"),
            fields.text("role"),
        )


@dataclass(frozen=True)
class Reply:
    """A reply of a ticket; ``customer_visible`` is None where the answer does not say."""

    id: str
    ticket_id: Optional[str]
    body: str
    customer_visible: Optional[bool]
    created_at: Optional[str]
    author_name: str

    @classmethod
    def parse(cls, data: Any) -> Reply:
        """Of the API's JSON object."""
        fields = _Fields(data, "a reply")
        author = _Fields(fields.object("author"), "an author")
        full_name = f"{author.text('first_name')} {author.text('last_name')}".strip()
        return cls(
            fields.id(),
            fields.optional_id("ticket_id"),
            fields.text("body"),
            fields.optional_flag("customer_visible"),
            fields.optional_text("created_at"),
            author.text("name") or full_name,
        )


@dataclass(frozen=True)
class Ticket:
    """A ticket. ``replies`` and ``contacts`` are None where the answer does not have them."""

    id: str
    number: str
    subject: str
    body: str
    open: bool
    priority_id: Optional[str]
    status_id: Optional[str]
    team_id: Optional[str]
    assignee_id: Optional[str]
    customer_id: Optional[str]
    closed_at: Optional[str]
    created_at: Optional[str]
    estimated_resolution_date: Optional[str]
    tags: Tuple[str, ...]
    replies: Optional[Tuple[Reply, ...]]
    contacts: Optional[Tuple[Contact, ...]]

    @classmethod
    def parse(cls, data: Any) -> Ticket:
        """Of the API's JSON object."""
        fields = _Fields(data, "a ticket")
        replies = fields.records("replies")
        contacts = fields.records("contacts")
        closed_at = fields.optional_text("closed_at")
        return cls(
            id=fields.id(),
            number=fields.text("number"),
            subject=fields.text("subject"),
            body=fields.text("body"),
            open=fields.flag("open", default=closed_at is None),
            priority_id=fields.optional_id("priority_id"),
            status_id=fields.optional_id("status_id"),
            team_id=fields.optional_id("team_id"),
            assignee_id=fields.optional_id("assignee_id"),
            customer_id=_customer_of(fields),
            closed_at=closed_at,
            created_at=fields.optional_text("created_at"),
            estimated_resolution_date=fields.optional_text("estimated_resolution_date"),
            tags=_tags(fields),
            replies=None if replies is None else tuple(Reply.parse(item) for item in replies),
            contacts=None if contacts is None else tuple(Contact.parse(c) for c in contacts),
        )


def _customer_of(fields: _Fields) -> Optional[str]:
    if fields.data.get("ticketable_type") not in (None, CUSTOMER_TYPE):
        return None
    for name in ("ticketable", "customer"):
        inner = fields.object(name)
        if inner and fields.data.get("ticketable_id") is None:
            return _Fields(inner, "a customer").optional_id("id")
    return fields.optional_id("ticketable_id")


def _tags(fields: _Fields) -> Tuple[str, ...]:
    """Tags come as a list inside a string of JSON; a list, null and a bare word are understood."""
    value = fields.data.get("tags")
    if isinstance(value, str):
        try:
            value = jsonlib.loads(value)
        except (ValueError, RecursionError):
            value = [value] if value else []
    if value is None:
        return ()
    items = value if isinstance(value, (str, list)) else _plain_list(value)
    if items is None:
        fields.wrong("tags", "a list")
    if isinstance(items, str):
        items = [items]
    return tuple(str(item) for item in items if isinstance(item, (str, int, float)))


@dataclass(frozen=True)
class Login:
    """Who logged in, and the support teams they belong to. The token is not in it."""

    user: Optional[Named]
    support_teams: Tuple[Named, ...]

    @classmethod
    def parse(cls, data: Any) -> Login:
        """Of the API's JSON object."""
        fields = _Fields(data, "a login")
        user = fields.object("user")
        teams = fields.records("support_teams") or ()
        named = Named.parse(user) if user else None
        return cls(named, tuple(Named.parse(team) for team in teams))


@dataclass(frozen=True)
class Version:
    """What GET /version says: good for a health check, for it needs no token."""

    version: str
    status: str
    vendor: str

    @classmethod
    def parse(cls, data: Any) -> Version:
        """Of the API's JSON object."""
        fields = _Fields(data, "a version")
        return cls(fields.text("version"), fields.text("status"), fields.text("vendor"))


_DATE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?)?\s*(Z|[+-]\d\d:?\d\d)?"
)


def parse_date(text: Optional[str]) -> Optional[float]:
    """Seconds since the epoch of one of the API's dates, None if TEXT is not one.

    Both of its forms are read, ``2026-07-02 08:15:00`` (which carries no zone and means UTC) and
    ``2026-07-02T08:15:00.000000Z``; an offset such as +02:00 too.
    """
    match = _DATE.fullmatch((text or "").strip())
    if not match:
        return None
    *parts, fraction, zone = match.groups()
    numbers = [int(part or 0) for part in parts]
    try:
        moment = datetime.datetime(*numbers, tzinfo=datetime.timezone.utc)  # type: ignore[arg-type, misc]
    except ValueError:
        return None
    return moment.timestamp() + float(fraction or 0) - _offset(zone)


def _offset(zone: Optional[str]) -> int:
    if zone is None or zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds


def format_date(moment: float) -> str:
    """MOMENT (seconds since the epoch) as the API takes dates: ``Y-m-d H:i:s``, UTC."""
    when = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)
    return when.strftime("%Y-%m-%d %H:%M:%S")


# ---------------------------------------------------------------------------------- transport
#
# requests' timeout is one per socket operation, so a server (or a resolver) that trickles can
# hold a call for ever. Here every wait of a call, from the look-up of the name to the last byte
# of the answer, is given only what is left of the call's time.


class _TimeLimit:
    """The time that the call of this thread may still take.

    ``sent``: whether some of it may have gone out; None as long as nothing is known.
    """

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self.sent: Optional[bool] = None

    def left(self) -> float:
        """Seconds; raises socket.timeout when there are none."""
        seconds = self._end - self._clock()
        if seconds <= 0:
            raise socket.timeout("timed out")
        return seconds

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """The connections of this thread keep to this limit meanwhile."""
        _thread.limit = self
        try:
            yield
        finally:
            del _thread.limit


_thread = threading.local()


def _limit() -> _TimeLimit:
    limit = getattr(_thread, "limit", None)
    return limit if isinstance(limit, _TimeLimit) else _TimeLimit(time.monotonic, 60.0)


class _LimitedReader(io.RawIOBase):
    """Reads from a socket's file; no read may wait longer than the call's time limit."""

    def __init__(self, sock: Any, raw: Any) -> None:
        super().__init__()
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        self._sock.settimeout(_limit().left())
        count: Optional[int] = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _LimitedAnswer(http.client.HTTPResponse):
    """An answer whose head and body are read through a _LimitedReader."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_LimitedReader(sock, self.fp.detach()))


class _LimitedHttp(HTTPConnection):
    """A connection whose every wait keeps to the call's time limit."""

    response_class = _LimitedAnswer
    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()
        finally:
            self._connecting = False

    def send(self, data: Any) -> None:
        if self.sock is None and not self._connecting:
            self.connect()
        if not self._connecting:  # else it is only the CONNECT for a proxy
            _limit().sent = True
        super().send(data)

    def _new_conn(self) -> socket.socket:
        name = self._dns_host.strip("[]")
        _limit().sent = False
        try:
            addresses = _resolved(name, self.port or 0)
        except OSError as error:
            raise NewConnectionError(self, f"{name}: {error}") from error
        failure = OSError(f"{name} has no address")
        for index, address in enumerate(addresses):
            # Each address gets its share, so that a dead IPv6 leaves time for IPv4.
            try:
                return self._connected(address, _limit().left() / (len(addresses) - index))
            except OSError as error:
                failure = error
        if isinstance(failure, socket.timeout):
            raise ConnectTimeoutError(self, "timed out") from failure
        raise NewConnectionError(self, str(failure)) from failure

    def _connected(self, address: Any, seconds: float) -> socket.socket:
        family, kind, protocol, _, where = address
        sock = socket.socket(family, kind, protocol)
        try:
            for option in (*(self.socket_options or ()), *_KEEP_ALIVE):
                sock.setsockopt(*option)
            sock.settimeout(seconds)
            sock.connect(where)
            sock.settimeout(_limit().left())  # for the TLS handshake
        except BaseException:
            sock.close()
            raise
        return sock


class _LimitedHttps(_LimitedHttp, HTTPSConnection):
    """The same, over TLS."""


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _LimitedHttp


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _LimitedHttps


# A firewall that forgets an idle connection without a word would cost the next call its whole
# time-out: probes keep the connection known, or show that it is dead.
_KEEP_ALIVE: List[Tuple[int, int, int]] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
for _name, _value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
    if hasattr(socket, _name):
        _KEEP_ALIVE.append((socket.IPPROTO_TCP, getattr(socket, _name), _value))


def _resolved(name: str, port: int) -> List[Any]:
    """The addresses of NAME. A resolver has no time-out of its own, so a thread waits for it."""
    found: List[Any] = []
    failed: List[Exception] = []
    done = threading.Event()

    def resolve() -> None:
        try:
            found.extend(socket.getaddrinfo(name, port, 0, socket.SOCK_STREAM))
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            failed.append(error)
        done.set()

    threading.Thread(target=resolve, daemon=True, name="resolve").start()
    if not done.wait(_limit().left()):
        raise socket.gaierror(socket.EAI_AGAIN, "the name was not resolved in time")
    if failed:
        if isinstance(failed[0], OSError):
            raise failed[0]
        raise socket.gaierror(socket.EAI_NONAME, "not a host name")  # UnicodeError
    return found


class _Adapter(requests.adapters.HTTPAdapter):
    """requests' adapter, with connections that keep to the time limit."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return manager


class _Session(requests.Session):
    """A session that reads nothing of the environment, keeps no cookie, follows no redirect."""

    def __init__(self, pool_size: int) -> None:
        super().__init__()
        self.trust_env = False  # no netrc, no proxy variables, no CA variables
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = f"brtel-notify/{__version__}"
        self.headers["Accept"] = "application/json"
        adapter = _Adapter(pool_connections=pool_size, pool_maxsize=pool_size)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> Optional[str]:
        """None: wherever an answer points, the token does not go there."""
        return None


# ------------------------------------------------------------------------------------- client

OnCall = Callable[[str, str, Optional[int], float], None]
Record = TypeVar("Record")


class _Answer(NamedTuple):
    """The status of a successful answer, and its JSON (None: empty)."""

    status: int
    data: Any


@dataclass(frozen=True)
class _Call:
    """One request as it is sent; ``secrets`` are blotted out of whatever is said about it."""

    method: str
    path: str  # may hold a query, of the `api` command
    params: Tuple[Tuple[str, str], ...] = ()
    body: Optional[bytes] = field(default=None, repr=False)
    token: Optional[str] = field(default=None, repr=False)
    secrets: Tuple[str, ...] = field(default=(), repr=False)

    @property
    def shown_path(self) -> str:
        return re.split(r"[?#]", self.path, maxsplit=1)[0]

    @property
    def changes_something(self) -> bool:
        return _changes_something(self.method, self.shown_path)

    def said(self, text: str) -> str:
        """TEXT fit for an error message: no secret, one line."""
        for secret in (*self.secrets, self.token or ""):
            if secret:
                text = text.replace(secret, "***")
        return _one_line(text)

    def error(
        self, kind: Type[ApiError], status: Optional[int], text: str, **more: Any
    ) -> ApiError:
        """An error of this call; ``maybe_done`` only where the call changes something."""
        more["maybe_done"] = bool(more.get("maybe_done")) and self.changes_something
        return kind(self.method, self.shown_path, status, self.said(text), **more)


class Client:
    """BlueRockTEL's API over one keep-alive session; threads may share it.

    ``url`` is the instance's ``…/api``: https, or http to this machine itself. ``timeout`` is
    the longest that one call may take, seconds. ``ca_file`` is a CA bundle instead of requests'
    own; ``proxy`` an http(s) proxy's URL (not used for an API on this machine);
    ``token_cache`` the file that keeps a login's token. ``on_call(method, path, status, seconds)``
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
    ) -> None:
        self.url = checked_url(url)
        self.timeout = timeout
        self.deadline: Optional[float] = None
        self._credentials = credentials
        self._on_call = on_call
        self._clock = clock
        self._session = _Session(pool_size)
        if ca_file:
            _check_ca_file(ca_file)
            self._session.verify = ca_file
        if proxy:
            self._proxy = _checked_proxy(proxy)
            if not _is_loopback(self.url):  # a plain http call must not leave this machine
                self._session.proxies = {"http": proxy, "https": proxy}
        else:
            self._proxy = ""
        cache = None
        if token_cache and credentials.by_login and credentials.email:
            cache = TokenCache(token_cache, self.url, credentials.email)
        self._tokens = Tokens(credentials, cache, lambda: self._log_in()[1])

    def __repr__(self) -> str:
        return f"<Client of {self.url}, {self._credentials!r}>"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client stays usable."""
        self._session.close()

    # -- the instance

    def login(self) -> Login:
        """POST /login with email and password; the token is used, and cached, from then on."""
        login, token = self._log_in()
        self._tokens.adopt(token)
        return login

    def version(self) -> Version:
        """GET /version; needs no token."""
        call = self._prepared("GET", "/version", None, None)
        return self._parsed(call, lambda data: Version.parse(_unwrapped(data)), self._send(call))

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
        return self._list("/v1/customers/search", Customer.parse, {"term": term})

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
        path = "/v1/pbx3cx-hosts/lookup-by-customer"
        try:
            return self._list(path, PbxHost.parse, {"customer_account": account})
        except NotFound:
            return []

    def contacts(self, customer_id: Id) -> List[Contact]:
        """The contacts of a customer."""
        params = {"contactable_type": CUSTOMER_TYPE, "contactable_id": customer_id}
        return self._list("/v1/contacts", Contact.parse, params)

    # -- tickets

    def create_ticket(
        self,
        customer_id: Id,
        *,
        subject: str,
        body: str,
        priority_id: Id,
        category_id: Id,
        sub_category_id: Id,
        tags: Optional[Sequence[str]] = None,
        estimated_resolution_date: Optional[str] = None,
        team_id: Optional[Id] = None,
        status_id: Optional[Id] = None,
        close: bool = False,
    ) -> Ticket:
        """POST /v1/tickets. BODY is HTML, SUBJECT plain; the date as format_date writes it."""
        fields: Dict[str, Any] = {
            "subject": subject,
            "body": body,
            "priority_id": _number(priority_id),
            "ticket_category_id": _number(category_id),
            "ticket_sub_category_id": _number(sub_category_id),
            "tags": None if tags is None else list(tags),
            "estimated_resolution_date": estimated_resolution_date,
            "team_id": _number(team_id),
            "status_id": _number(status_id),
            "close": close or None,
        }
        return self._one(
            "POST",
            "/v1/tickets",
            Ticket.parse,
            params={"ticketable_type": CUSTOMER_TYPE, "ticketable_id": customer_id},
            json={name: value for name, value in fields.items() if value is not None},
        )

    def ticket(self, ticket_id: Id) -> Ticket:
        """GET /v1/tickets/{id}, with its replies and contacts. Raises NotFound."""
        return self._one("GET", f"/v1/tickets/{_segment(ticket_id)}", Ticket.parse)

    def search_tickets(
        self,
        *,
        customer_id: Optional[Id] = None,
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
            wanted.update(ticketable_type=CUSTOMER_TYPE, ticketable_id=customer_id)
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
            and (customer_id is None or ticket.customer_id in (None, str(customer_id)))
        ]

    def update_ticket(self, ticket_id: Id, **fields: Any) -> Ticket:
        """PUT /v1/tickets/{id}; only the FIELDS given change, None is sent as null.

        They are those of create_ticket, and customer_id, assignee_id, contract_id, opened_at.
        Raises TypeError for another one.
        """
        body: Dict[str, Any] = {}
        for name, value in fields.items():
            if name not in _UPDATES:
                raise TypeError(f"update_ticket() does not know the field {name!r}")
            body[_UPDATES[name]] = _number(value) if name.endswith("_id") else value
        if "customer_id" in fields:
            body["ticketable_type"] = CUSTOMER_TYPE
        return self._one("PUT", f"/v1/tickets/{_segment(ticket_id)}", Ticket.parse, json=body)

    def close_ticket(self, ticket_id: Id) -> str:
        """Close it. Returns the server's words ("ticket closed")."""
        return self._done(f"/v1/tickets/close/{_segment(ticket_id)}")

    def open_ticket(self, ticket_id: Id) -> str:
        """Open it again, or cancel its pending closure. Returns the server's words."""
        return self._done(f"/v1/tickets/open/{_segment(ticket_id)}")

    def reopen_ticket(self, ticket_id: Id) -> Ticket:
        """Cancel its pending closure."""
        return self._one("PUT", f"/v1/tickets/reopen/{_segment(ticket_id)}", Ticket.parse)

    def assign_ticket(self, ticket_id: Id, user_id: Id) -> Named:
        """Assign it to a user, whom the API answers with. Raises NotFound for either of them."""
        path = f"/v1/tickets/assign/{_segment(ticket_id)}"
        return self._one("PUT", path, Named.parse, json={"assignee_id": _number(user_id)})

    def free_ticket(self, ticket_id: Id) -> str:
        """Take its assignee away. Returns the server's words."""
        return self._done(f"/v1/tickets/free/{_segment(ticket_id)}")

    def amend_ticket(self, ticket_id: Id, minutes: float) -> str:
        """Adjust the time tracked on it by MINUTES. Returns the server's words."""
        return self._done(f"/v1/tickets/amend/{_segment(ticket_id)}", {"time": minutes})

    def associate_contacts(
        self, ticket_id: Id, attach: Iterable[Id], detach: Iterable[Id] = ()
    ) -> str:
        """Attach and detach contacts. Returns the server's words ("1 associated and 0 un…")."""
        body = {
            "associated": [_number(contact) for contact in attach],
            "unassociated": [_number(contact) for contact in detach],
        }
        return self._done(f"/v1/tickets/{_segment(ticket_id)}/associates", body)

    def ticket_customer(self, ticket_id: Id) -> Customer:
        """The customer that the ticket belongs to. Raises NotFound."""
        return self._one("GET", f"/v1/tickets/{_segment(ticket_id)}/customer", Customer.parse)

    def ticket_counts(self) -> Dict[str, int]:
        """How many tickets there are: total, open, unassigned, daily, weekly, closed…"""
        return self._one("GET", "/v1/tickets/counts", _counts)

    # -- replies

    def replies(self, ticket_id: Id) -> List[Reply]:
        """The replies of a ticket. Raises NotFound if there is no such ticket."""
        return self._list("/v1/replies", Reply.parse, {"ticket_id": ticket_id})

    def create_reply(
        self,
        ticket_id: Id,
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
        return self._parsed(call, lambda data: parse(_unwrapped(data)), self._authorized(call))

    def _done(self, path: str, json: Any = None) -> str:
        """A PUT whose success is all that matters: its answer may be anything that is JSON."""
        answer = self.request("PUT", path, json=json)
        words = answer.get("response") if isinstance(answer, dict) else None
        return _one_line(words) if isinstance(words, str) else ""

    def _lookup(
        self, path: str, parse: Callable[[Any], Record], params: Mapping[str, Any]
    ) -> Optional[Record]:
        """A record, or None if the API says that there is none, in whichever way it does."""
        call = self._prepared("GET", path, params, None)
        try:
            answer = self._authorized(call)
        except NotFound:
            return None
        if isinstance(answer.data, dict) and _flag(answer.data.get("found")) is False:
            return None
        record = _unwrapped(answer.data)
        if record is None or record == {} or record == []:
            return None
        return self._parsed(call, parse, _Answer(answer.status, record))

    def _list(
        self,
        path: str,
        parse: Callable[[Any], Record],
        params: Optional[Mapping[str, Any]] = None,
    ) -> List[Record]:
        """All records of a list, of one page or several; each once."""
        found: Dict[Any, Record] = {}
        page: Optional[int] = 1
        for _ in range(MOST_PAGES):
            asked = dict(params or {}) if page == 1 else dict(params or {}, page=page)
            call = self._prepared("GET", path, asked, None)
            answer = self._authorized(call)
            before = len(found)
            for record in self._parsed(call, lambda items: _parse_all(parse, items), answer):
                found.setdefault(getattr(record, "id", None), record)
            page = _next_page(answer.data, page or 1)
            # A server that knows no pages answers the same list to every page.
            if page is None or len(found) == before:
                break
        return list(found.values())

    def _parsed(self, call: _Call, parse: Callable[[Any], Record], answer: _Answer) -> Record:
        try:
            return parse(answer.data)
        except _WrongShape as error:
            problem = str(error)
        raise call.error(
            BadAnswer, answer.status, f"answer: {problem}", retry=True, maybe_done=True
        )

    # -- one call

    def _prepared(
        self, method: str, path: str, params: Optional[Mapping[str, Any]], json: Any
    ) -> _Call:
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
        return _Call(method.upper(), "/" + path.lstrip("/"), tuple(pairs), body)

    def _authorized(self, call: _Call) -> _Answer:
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
        call = _Call("POST", "/login", body=body, secrets=(password, jsonlib.dumps(password)[1:-1]))
        answer = self._send(call)
        data = _unwrapped(answer.data)
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise call.error(BadAnswer, answer.status, "answer: no token in it", retry=True)
        return self._parsed(call, Login.parse, _Answer(answer.status, data)), token

    def _send(self, call: _Call, token: Optional[str] = None) -> _Answer:
        """Send CALL once: its JSON answer, or an ApiError."""
        if token is not None:
            call = _Call(call.method, call.path, call.params, call.body, token, call.secrets)
        seconds = self._time_allowed(call)
        started = self._clock()
        status: Optional[int] = None
        try:
            status, headers, content = self._exchange(call, seconds)
        finally:
            if self._on_call:
                self._on_call(call.method, call.shown_path, status, self._clock() - started)
        if 200 <= status < 300:
            return _Answer(status, _json_answer(call, status, content))
        raise self._refusal(call, status, headers, content)

    def _time_allowed(self, call: _Call) -> float:
        if self.deadline is None:
            return self.timeout
        left = self.deadline - self._clock()
        if left < LEAST_TIME:
            raise OutOfTime(f"{call.method} {call.shown_path}: not sent, no time is left for it")
        return min(self.timeout, left)

    def _exchange(self, call: _Call, seconds: float) -> Tuple[int, Mapping[str, str], bytes]:
        headers = {}
        if call.token is not None:
            headers["Authorization"] = f"Bearer {call.token}"
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        limit = _TimeLimit(self._clock, seconds)
        try:
            with (
                limit.in_force(),
                self._session.request(
                    call.method,
                    self.url + call.path,
                    params=list(call.params),
                    data=call.body,
                    headers=headers,
                    timeout=seconds,
                    stream=True,
                    allow_redirects=False,
                ) as response,
            ):
                return response.status_code, response.headers, _whole_body(response)
        except (OSError, http.client.HTTPException, _TooLong) as error:
            # OSError: requests' own errors are such, too.
            failure = self._failure(call, limit, seconds, error)
        # Raised out here, so that no traceback shows the libraries' objects and their headers.
        raise failure

    def _failure(
        self, call: _Call, limit: _TimeLimit, seconds: float, error: Exception
    ) -> ApiError:
        """What went wrong before there was a whole answer."""
        causes = list(_causes(error))
        if isinstance(error, _TooLong):
            text = f"the answer is longer than {LONGEST_ANSWER >> 20} MiB: is api.url right?"
            return call.error(BadAnswer, error.status, text, retry=True, maybe_done=True)
        if isinstance(error, requests.exceptions.ContentDecodingError):
            text = "the answer is not what its Content-Encoding says"
            return call.error(BadAnswer, None, text, retry=True, maybe_done=True, api_wide=True)
        certificate = _first(causes, ssl.SSLCertVerificationError, CertificateError)
        if certificate is not None and not limit.sent:
            return self._distrust(call, certificate)
        text = _reason(causes, self._peer(), seconds)
        unsent = limit.sent is False or (limit.sent is None and _first(causes, *_EARLY) is not None)
        return call.error(Unreachable, None, text, retry=True, maybe_done=not unsent, api_wide=True)

    def _distrust(self, call: _Call, error: Exception) -> ApiError:
        why = getattr(error, "verify_message", "") or str(error)
        code = getattr(error, "verify_code", 0)
        passing = code in _CERTIFICATE_DATES
        if passing:
            cure = "is this machine's clock right?"
        elif code in _CERTIFICATE_NAMES:
            cure = "is api.url right?"
        else:
            cure = "if the server has a private CA, set api.ca_file to its certificate"
        text = f"the certificate of {self._peer()} is not trusted: {why}; {cure}"
        return call.error(TlsError, None, text, retry=passing, api_wide=True)

    def _peer(self) -> str:
        """Whom the client talks to, for messages."""
        host = urllib.parse.urlsplit(self.url).netloc
        return f"{host} through the proxy {self._proxy}" if self._session.proxies else host

    def _refusal(
        self, call: _Call, status: int, headers: Mapping[str, str], content: bytes
    ) -> ApiError:
        """The error of an answer that is not a success."""
        if 300 <= status < 400:
            target = _shown_url(headers.get("Location", ""))
            text = f"redirected to {target or 'nowhere'}: is api.url right?"
            return call.error(BadAnswer, status, text, maybe_done=True, api_wide=True)
        kind = _error_class(status)
        words = _server_words(content) or _phrase(status)
        if kind is NotFound and content.strip() and not _is_json(content):
            # The API says 404 in JSON: this came from another server, or from beside the API.
            text = f"not JSON ({words}): is api.url right?"
            return call.error(BadAnswer, status, text, retry=True)
        if kind is Unauthorized and call.token is not None:
            words = f"{words} (the credential is {self._credentials.source})"
        troubled = kind in (Throttled, ServerError)
        return call.error(
            kind,
            status,
            words,
            retry=troubled,
            retry_after=_retry_after(headers.get("Retry-After"), time.time()),
            maybe_done=status == 408 or not 400 <= status < 500,
            api_wide=troubled,
        )


# OpenSSL's X509_V_ERR_ numbers: not yet valid and expired (which the server's people or this
# machine's clock will mend: nothing is configured wrongly); wrong host name and IP address.
_CERTIFICATE_DATES = (9, 10)
_CERTIFICATE_NAMES = (62, 64)

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


class _TooLong(Exception):
    """The body of an answer is longer than LONGEST_ANSWER."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


def _whole_body(response: requests.Response) -> bytes:
    # urllib3 1.26 would otherwise pass off what a broken connection left of a body as the whole.
    response.raw.enforce_content_length = True
    content = bytearray()
    for chunk in response.iter_content(65536):
        content += chunk
        if len(content) > LONGEST_ANSWER:
            raise _TooLong(response.status_code)
    return bytes(content)


def _json_answer(call: _Call, status: int, content: bytes) -> Any:
    if not content.strip():
        return None
    try:
        return jsonlib.loads(content)
    except (ValueError, RecursionError):
        pass  # the exception holds the whole answer, perhaps with a token: nothing chains to it
    if content.lstrip()[:1] in (b"{", b"["):
        text = "the answer is broken JSON, or cut short"
        raise call.error(BadAnswer, status, text, retry=True, maybe_done=True)
    words = _page_words(content)
    text = f"the answer is not JSON ({_one_line(words, 100) or 'no words'}): is api.url right?"
    raise call.error(BadAnswer, status, text, retry=True, maybe_done=True, api_wide=True)


def _is_json(content: bytes) -> bool:
    try:
        jsonlib.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "an unknown status"


def _unwrapped(answer: Any) -> Any:
    """The record of an answer that may be wrapped in `data` (or `ticket`)."""
    for name in ("data", "ticket"):
        if isinstance(answer, dict) and "id" not in answer and name in answer:
            answer = answer[name]
    return answer


def _parse_all(parse: Callable[[Any], Record], answer: Any) -> List[Record]:
    items = _plain_list(answer)
    if items is None:
        items = _plain_list(_unwrapped(answer))  # a paginator inside `data`
    if items is None:
        raise _WrongShape(f"{_kind(answer)} where a list was due")
    return [parse(item) for item in items]


def _next_page(answer: Any, page: int) -> Optional[int]:
    """The number of the page after PAGE, None after the last.

    Only a number is ever taken from the links: the call goes to the same path as before.
    """
    if not isinstance(answer, dict):
        return None
    if isinstance(answer.get("data"), dict):
        answer = answer["data"]
    meta = answer.get("meta") if isinstance(answer.get("meta"), dict) else {}
    last = meta.get("last_page", answer.get("last_page"))
    if isinstance(last, (int, str)) and str(last).isdigit():
        return page + 1 if page < int(last) else None
    links = answer.get("links") if isinstance(answer.get("links"), dict) else {}
    link = links.get("next") or answer.get("next_page_url")
    if not isinstance(link, str) or not link:
        return None
    number = re.search(r"[?&]page(?:\[number\]|%5Bnumber%5D)?=(\d{1,9})(?:&|#|$)", link)
    following = int(number.group(1)) if number else page + 1
    return following if following > page else None


def _counts(answer: Any) -> Dict[str, int]:
    fields = _Fields(answer, "a table of counts")
    counts = {}
    for name, value in fields.data.items():
        if isinstance(value, (int, str)) and str(value).isdigit():
            counts[str(name)] = int(value)
    return counts


def _number(value: Any) -> Any:
    """An id as the API wants it in a body: a number, if it is one."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]+", value) else value


def _segment(value: Id) -> str:
    """An id as one segment of a path; ValueError for what would reach another path."""
    text = str(value)
    if text.strip(". ") == "":
        raise ValueError(f"not an id: {text!r}")
    return urllib.parse.quote(_clean(text), safe="")


def _filter_value(name: str, value: Any) -> Any:
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


# ------------------------------------------------------------------------- failures, addresses


def _causes(error: BaseException) -> Iterator[BaseException]:
    """ERROR and all that it wraps; urllib3 and requests do so in several ways."""
    seen: List[BaseException] = []
    queue: List[Any] = [error]
    while queue and len(seen) < 50:
        item = queue.pop(0)
        if not isinstance(item, BaseException) or any(item is other for other in seen):
            continue
        seen.append(item)
        yield item
        queue += [*item.args, getattr(item, "reason", None), item.__cause__, item.__context__]


Cause = TypeVar("Cause", bound=BaseException)

#: What can only happen before the first byte of a request goes out.
_EARLY: Tuple[Type[BaseException], ...] = (
    NewConnectionError,
    ConnectTimeoutError,
    requests.exceptions.ConnectTimeout,
    requests.exceptions.ProxyError,
)


def _first(causes: Iterable[BaseException], *kinds: Type[Cause]) -> Optional[Cause]:
    return next((cause for cause in causes if isinstance(cause, kinds)), None)


def _reason(causes: Sequence[BaseException], peer: str, seconds: float) -> str:
    """In a few words, why PEER gave no whole answer."""
    unresolved = _first(causes, socket.gaierror)
    if unresolved is not None:
        return f"the name of {peer} cannot be resolved: {unresolved.strerror or unresolved}"
    tunnel = _first(causes, requests.exceptions.ProxyError)
    broken = [cause for cause in causes if isinstance(cause, OSError) and cause.strerror]
    if broken:
        return f"{peer}: {broken[-1].strerror}"
    if _first(causes, socket.timeout, requests.Timeout, ReadTimeoutError) is not None:
        return f"no whole answer from {peer} within {seconds:.3g} s"
    innermost = causes[-1]
    said = next((c for c in reversed(causes) if str(c) and type(c) is OSError), None)
    if tunnel is not None and said is not None:
        return f"{peer}: {said}"
    if _first(causes, ssl.SSLError, requests.exceptions.SSLError) is not None:
        return f"{peer}: TLS failed ({type(innermost).__name__})"
    return f"the connection to {peer} broke before the whole answer was there"


def _is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_url(url: str) -> str:
    """URL without its trailing slash, or a ValueError that says what is wrong with api.url.

    https only, since the token travels in every call; plain http if it stays on this machine.
    """
    if not url or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise ValueError("api.url is not a URL: empty, or with spaces or backslashes in it")
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("api.url is not a URL: wrong host or port") from None
    if "@" in parts.netloc:
        raise ValueError("api.url must not hold a user name or password")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"api.url must look like https://acme.bluerocktel.net/api, not {url}")
    if parts.query or parts.fragment:
        raise ValueError(f"api.url must end with the path, without ? or #: {url}")
    if parts.scheme == "http" and not _is_loopback(url):
        raise ValueError(f"api.url must be https (plain http only to this machine itself): {url}")
    return url.rstrip("/")


def _checked_proxy(proxy: str) -> str:
    """Host and port of the proxy, for messages; ValueError if PROXY is not an http(s) URL."""
    try:
        parts = urllib.parse.urlsplit(proxy)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or re.search(r"\s", proxy):
        # Not quoted: it may hold a password.
        raise ValueError("api.proxy must look like http://proxy.example.net:3128")
    return f"{host}:{port}" if port else host


def _check_ca_file(ca_file: str) -> None:
    """ValueError if CA_FILE (or folder) holds no usable certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if os.path.isdir(ca_file):
            context.load_verify_locations(capath=ca_file)
        else:
            context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        raise ValueError(f"api.ca_file {ca_file} is not usable: {error.strerror}") from None


def _shown_url(url: str) -> str:
    """URL for a message: without user, password, query and fragment."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0])[:200]


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
