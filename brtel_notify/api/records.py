"""What the API answers, as typed records.

Unknown fields are ignored, missing and null ones take a default, ids are integers, dates stay as
the server wrote them (see :func:`fields.parse_date`). Each ``parse`` raises WrongShape.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, NamedTuple, Optional, Tuple

from brtel_notify.api.fields import Fields, plain_list

#: The only kind of thing that tickets and contacts hang on.
CUSTOMER_TYPE = "App\\Customer"


class Named(NamedTuple):
    """A priority, category, status or team: an id, its name, and whether it is still in use."""

    id: int
    name: str
    active: bool = True

    @classmethod
    def parse(cls, data: Any) -> Named:
        """Of the API's JSON object."""
        fields = Fields(data, "a record with an id and a name")
        return cls(fields.id(), fields.text("name"), fields.hint("active") is not False)


class User(NamedTuple):
    """Somebody of the operator's own; ``role`` is None where it is not said.

    Roles are numbers: 5 sees the sales' files only, 8 and more all files, 20 and more is an
    administrator (BlueRockTEL's PHP SDK and collection).
    """

    id: int
    name: str
    email: str = ""
    active: bool = True
    role: Optional[int] = None

    @classmethod
    def parse(cls, data: Any) -> User:
        """Of the API's JSON object."""
        fields = Fields(data, "a user")
        role = str(fields.data.get("role"))
        return cls(
            fields.id(),
            fields.text("name"),
            fields.text("email"),
            fields.hint("active") is not False,
            int(role) if re.fullmatch("[0-9]{1,4}", role) else None,
        )


class SubCategory(NamedTuple):
    """A ticket sub-category and the id of the category it belongs to (None: not said).

    ``priority_id`` and ``support_team_id`` are its own: of tickets for which nobody says another.
    """

    id: int
    name: str
    category_id: Optional[int]
    active: bool = True
    priority_id: Optional[int] = None
    support_team_id: Optional[int] = None

    @classmethod
    def parse(cls, data: Any) -> SubCategory:
        """Of the API's JSON object."""
        fields = Fields(data, "a sub-category")
        category_id = fields.related_id(
            ("ticket_category_id", "category_id"), ("category", "ticket_category")
        )
        return cls(
            fields.id(),
            fields.text("name"),
            category_id,
            fields.hint("active") is not False,
            fields.related_id(("priority_id",), ("priority",)),
            fields.related_id(("support_team_id", "team_id"), ("support_team", "team")),
        )


# A field with such a word in its name is not kept. Too many dropped costs a rule a field; too few
# would put a password into a cache file.
_SECRET_PARTS = (
    *("passw", "passphrase", "passcode", "pwd", "secret", "token", "key", "licence", "license"),
    *("credential", "iban", "ssh", "pincode"),
)
_SECRET_WORDS = frozenset(("pass", "pin", "puk", "otp", "bic", "auth"))
_CUSTOMER_FLAGS = ("vip", "on_call_duty", "setup_follow_up")


def _smells_of_a_secret(name: str) -> bool:
    words = re.sub("[^a-z0-9]+", "_", name)
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
        fields = Fields(data, "a customer")
        extra = {
            name: value
            for name, value in fields.data.items()
            if name not in ("id", "name", "customer_account")
            and (value is None or isinstance(value, (str, int, float)))
            and not _smells_of_a_secret(name)
        }
        for name in _CUSTOMER_FLAGS:
            if name in extra:  # "0" would be true in a rule
                extra[name] = fields.hint(name) is True
        return cls(fields.id(), fields.text("name"), fields.text("customer_account"), extra)


class PbxHost(NamedTuple):
    """A 3CX host. The API's record also holds secrets: nothing else of it is kept.

    ``address`` is its IP address, empty where the answer has none.
    """

    id: int
    host_name: str
    active: bool
    customers: Tuple[Customer, ...]
    address: str = ""

    @classmethod
    def parse(cls, data: Any) -> PbxHost:
        """Of the API's JSON object."""
        fields = Fields(data, "a PBX host")
        customers = [Customer.parse(item) for item in fields.records("customers") or ()]
        if not customers and fields.object("customer"):
            customers.append(Customer.parse(fields.object("customer")))
        active = fields.flag("active", default=True)
        address = fields.data.get("ip_address")
        return cls(
            fields.id(),
            fields.text("host_name"),
            active,
            tuple(customers),
            address.strip() if isinstance(address, str) else "",
        )


class Contact(NamedTuple):
    """A person at a customer; what the API does not know is empty.

    ``technical``: the desk marked them as the technical contact; ``notify``: False for somebody who
    wants no mail of tickets.
    """

    id: int
    first_name: str
    last_name: str
    email: str
    role: str
    technical: bool = False
    active: bool = True
    notify: bool = True

    @classmethod
    def parse(cls, data: Any) -> Contact:
        """Of the API's JSON object."""
        fields = Fields(data, "a contact")
        return cls(
            fields.id(),
            fields.text("first_name"),
            fields.text("last_name"),
            fields.text("email_address") or fields.text("email"),
            fields.text("role"),
            fields.hint("technical_contact") is True,
            fields.hint("active") is not False,
            fields.hint("ticketing_do_not_notify") is not True,
        )


class Reply(NamedTuple):
    """A reply of a ticket; ``customer_visible`` is None where the answer does not say.

    ``automatic``: BlueRockTEL's own word that it closes the ticket by itself. ``author`` as a
    ticket's.
    """

    id: int
    ticket_id: Optional[int]
    body: str
    customer_visible: Optional[bool]
    created_at: Optional[str]
    author_name: str
    automatic: bool = False
    author: Optional[int] = None

    @classmethod
    def parse(cls, data: Any) -> Reply:
        """Of the API's JSON object."""
        fields = Fields(data, "a reply")
        author = Fields(fields.object("author"), "an author")
        full_name = f"{author.text('first_name')} {author.text('last_name')}".strip()
        return cls(
            fields.id(),
            fields.optional_id("ticket_id"),
            fields.text("body"),
            fields.sign("customer_visible"),
            fields.optional_text("created_at"),
            author.text("name") or full_name,
            fields.hint("auto_closure_message") is True,
            _author_of(fields),
        )


class Ticket(NamedTuple):
    """A ticket. ``replies`` and ``contacts`` are None where the answer does not have them.

    ``closure``: somebody asked for its closing; it closes by itself later, unless that is taken
    back. ``origin`` is BlueRockTEL's own word (admin, email). ``author`` is the id of the user who
    opened it, 0 if it was none of the operator's own users, None where the answer does not say.
    Dates without a zone are the instance's local time.
    """

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
    opened_at: Optional[str]
    created_at: Optional[str]
    estimated_resolution_date: Optional[str]
    tags: Tuple[str, ...]
    replies: Optional[Tuple[Reply, ...]]
    contacts: Optional[Tuple[Contact, ...]]
    closure: bool = False
    origin: str = ""
    author: Optional[int] = None

    @classmethod
    def parse(cls, data: Any) -> Ticket:
        """Of the API's JSON object."""
        fields = Fields(data, "a ticket")
        replies = fields.records("replies")
        contacts = fields.records("contacts")
        closed_at = fields.optional_text("closed_at")
        opened_at = fields.data.get("opened_at")  # only a hint: nothing that is needed
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
            opened_at=opened_at if isinstance(opened_at, str) else None,
            created_at=fields.optional_text("created_at"),
            estimated_resolution_date=fields.optional_text("estimated_resolution_date"),
            tags=_tags(fields),
            replies=None if replies is None else tuple(Reply.parse(item) for item in replies),
            contacts=None if contacts is None else tuple(Contact.parse(c) for c in contacts),
            closure=bool(fields.sign("closure")),
            origin=str(fields.data.get("origin") or ""),
            author=_author_of(fields),
        )

    @property
    def closed_by_itself(self) -> bool:
        """Whether BlueRockTEL closed it, after a request or a time without an answer: no person.

        The pages tell of `closure` and `auto_closure_message`; an instance that says neither leaves
        no difference.
        """
        last = max(self.replies or (), key=lambda reply: reply.id, default=None)
        return not self.open and (self.closure or (last is not None and last.automatic))


def _author_of(fields: Fields) -> Optional[int]:
    """Which user wrote it, as Ticket has it: a hint, that makes no answer a wrong one."""
    if "author_id" not in fields.data:
        return None
    number, kind = fields.data["author_id"], fields.data.get("author_type")
    if isinstance(kind, str) and kind.rpartition("\\")[2] != "User":
        return 0
    return int(number) if re.fullmatch("[0-9]{1,20}", str(number)) else 0


def _customer_of(fields: Fields) -> Optional[int]:
    if fields.data.get("ticketable_type") not in (None, CUSTOMER_TYPE):
        return None
    return fields.related_id(("ticketable_id",), ("ticketable", "customer"))


def _tags(fields: Fields) -> Tuple[str, ...]:
    """Tags come as a list inside a string of JSON; a list, null and a bare word are understood."""
    value = fields.data.get("tags")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            pass  # a bare word
    if value is None or value == "":
        return ()
    items = [value] if isinstance(value, (str, int, float)) else plain_list(value)
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
        fields = Fields(data, "a login")
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
        fields = Fields(data, "a version")
        return cls(fields.text("version"), fields.text("status"), fields.text("vendor"))


def parse_counts(answer: Any) -> Dict[str, int]:
    """A table of counts by name; whatever is no number is left out."""
    fields = Fields(answer, "a table of counts")
    counts = {}
    for name, value in fields.data.items():
        if isinstance(value, (int, str)) and str(value).isdigit():
            counts[str(name)] = int(value)
    return counts
