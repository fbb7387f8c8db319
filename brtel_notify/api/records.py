"""What the API answers, as typed records; and the two forms of its dates.

Unknown fields are ignored, missing and null ones take a default, ids are integers, dates stay as
the server wrote them (see :func:`parse_date`). A value of an impossible type is a WrongShape, which
the client makes a BadAnswer. Sources of the facts: BlueRockTEL's "Tickets" page, and what Laravel,
PHP and MySQL are known to make of booleans, lists and pages.
"""

from __future__ import annotations

import datetime
import json
import re
from typing import (
    Any,
    Callable,
    Dict,
    List,
    NamedTuple,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
)

#: The only kind of thing that tickets and contacts hang on.
CUSTOMER_TYPE = "App\\Customer"

Record = TypeVar("Record")


class WrongShape(Exception):
    """A part of an answer has an impossible type: names the field, does not quote the value."""


class _Fields:
    """One JSON object of an answer, read field by field."""

    def __init__(self, data: Any, what: str) -> None:
        if not isinstance(data, dict):
            raise WrongShape(f"{_kind(data)} where {what} was due")
        self.data: Dict[str, Any] = data
        self.what = what

    def wrong(self, name: str, due: str) -> NoReturn:
        found = _kind(self.data.get(name))
        raise WrongShape(f"{self.what}: field {name!r} is {found} where {due} was due")

    def id(self) -> int:
        """The record's own id; required."""
        value = self.optional_id("id")
        if value is None:
            self.wrong("id", "an id")
        return value

    def optional_id(self, name: str) -> Optional[int]:
        value = self.data.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}", value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(name, "an id")
        return value

    def related_id(self, names: Sequence[str], objects: Sequence[str]) -> Optional[int]:
        """Another record's id: the first of the fields NAMES that has one, or in an object."""
        found = [self.optional_id(name) for name in names]
        found += [_Fields(self.object(name), name).optional_id("id") for name in objects]
        return next((value for value in found if value is not None), None)

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
        flag = flag_of(value)
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


def flag_of(value: Any) -> Optional[bool]:
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


class Named(NamedTuple):
    """A priority, category, status, team or user: an id and its name."""

    id: int
    name: str

    @classmethod
    def parse(cls, data: Any) -> Named:
        """Of the API's JSON object."""
        fields = _Fields(data, "a record with an id and a name")
        return cls(fields.id(), fields.text("name"))


class SubCategory(NamedTuple):
    """A ticket sub-category and the id of the category it belongs to (None: not said)."""

    id: int
    name: str
    category_id: Optional[int]

    @classmethod
    def parse(cls, data: Any) -> SubCategory:
        """Of the API's JSON object."""
        fields = _Fields(data, "a sub-category")
        category_id = fields.related_id(
            ("ticket_category_id", "category_id"), ("category", "ticket_category")
        )
        return cls(fields.id(), fields.text("name"), category_id)


# A field with such a word in its name is not kept. Too many dropped costs a rule a field; too few
# would put a password into a cache file.
_SECRET_PARTS = (
    *("passw", "passphrase", "passcode", "pwd", "secret", "token", "key", "licence", "license"),
    *("credential", "iban", "ssh", "pincode"),
)
_SECRET_WORDS = frozenset(("pass", "pin", "puk", "otp", "bic", "auth"))
_CUSTOMER_FLAGS = ("vip", "on_call_duty", "setup_follow_up")


def _smells_of_a_secret(name: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower()
    if any(part in words for part in _SECRET_PARTS):
        return True
    return not _SECRET_WORDS.isdisjoint(words.split("_"))


class Customer(NamedTuple):
    """A customer; ``extra`` has its further plain fields (vip, on_call_duty…), none secret."""

    id: int
    name: str
    account: str
    extra: Dict[str, Any] = {}  # noqa: RUF012 - never changed

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


class PbxHost(NamedTuple):
    """A 3CX host. The API's record also holds secrets: nothing else of it is kept."""

    id: int
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


class Contact(NamedTuple):
    """A person at a customer; what the API does not know is empty."""

    id: int
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


class Reply(NamedTuple):
    """A reply of a ticket; ``customer_visible`` is None where the answer does not say."""

    id: int
    ticket_id: Optional[int]
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


class Ticket(NamedTuple):
    """A ticket. ``replies`` and ``contacts`` are None where the answer does not have them."""

    id: int
    number: str
    subject: str
    body: str
    open: bool
    priority_id: Optional[int]
    status_id: Optional[int]
    team_id: Optional[int]
    assignee_id: Optional[int]
    customer_id: Optional[int]
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


def _customer_of(fields: _Fields) -> Optional[int]:
    if fields.data.get("ticketable_type") not in (None, CUSTOMER_TYPE):
        return None
    return fields.related_id(("ticketable_id",), ("ticketable", "customer"))


def _tags(fields: _Fields) -> Tuple[str, ...]:
    """Tags come as a list inside a string of JSON; a list, null and a bare word are understood."""
    value = fields.data.get("tags")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            pass  # a bare word
    if value is None or value == "":
        return ()
    items = [value] if isinstance(value, (str, int, float)) else _plain_list(value)
    if items is None:
        fields.wrong("tags", "a list")
    return tuple(str(item) for item in items if isinstance(item, (str, int, float)))


class Login(NamedTuple):
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


class Version(NamedTuple):
    """What GET /version says: good for a health check, for it needs no token."""

    version: str
    status: str
    vendor: str

    @classmethod
    def parse(cls, data: Any) -> Version:
        """Of the API's JSON object."""
        fields = _Fields(data, "a version")
        return cls(fields.text("version"), fields.text("status"), fields.text("vendor"))


def unwrapped(answer: Any) -> Any:
    """The record of an answer that may be wrapped in `data` (or `ticket`)."""
    for name in ("data", "ticket"):
        if isinstance(answer, dict) and "id" not in answer and name in answer:
            answer = answer[name]
    return answer


def parse_list(parse: Callable[[Any], Record], answer: Any) -> List[Record]:
    """The records of a list's page, in whichever wrapping it comes."""
    items = _plain_list(answer)
    if items is None:
        items = _plain_list(unwrapped(answer))  # a paginator inside `data`
    if items is None:
        raise WrongShape(f"{_kind(answer)} where a list was due")
    return [parse(item) for item in items]


def next_page(answer: Any, page: int) -> Optional[int]:
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


def parse_counts(answer: Any) -> Dict[str, int]:
    """A table of counts by name; whatever is no number is left out."""
    fields = _Fields(answer, "a table of counts")
    counts = {}
    for name, value in fields.data.items():
        if isinstance(value, (int, str)) and str(value).isdigit():
            counts[str(name)] = int(value)
    return counts


# Compiled when the first date is read: a new ticket needs none.
_DATE = r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?)?\s*(Z|[+-]\d\d:?\d\d)?"


def parse_date(text: Optional[str]) -> Optional[float]:
    """Seconds since the epoch of one of the API's dates, None if TEXT is not one.

    Both of its forms are read, ``2026-07-02 08:15:00`` (which carries no zone and means UTC) and
    ``2026-07-02T08:15:00.000000Z``; an offset such as +02:00 too.
    """
    match = re.fullmatch(_DATE, (text or "").strip())
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
