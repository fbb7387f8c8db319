"""The sandbox's data: the collections, who may look at them, and the file that keeps them."""

from __future__ import annotations

import contextlib
import copy
import json
import secrets
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from brtel_notify.local import files

from .errors import not_found
from .history import History
from .instance import Instance
from .seed import CUSTOMER_TYPE, TOKEN, Record, seed
from .validation import DATE_FORMAT

Collections = Dict[str, Dict[int, Record]]

FIRST_IDS = {"tickets": 1024, "replies": 4096}
"""The ids of the first ticket and reply, the cookbook's."""

_NUMBER_START = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_NUMBER_REST = _NUMBER_START + "0123456789"

TICKET_DEFAULTS: Record = {
    "number": None,
    "subject": "",
    "body": "",
    "ticketable_type": CUSTOMER_TYPE,
    "ticketable_id": None,
    "priority_id": None,
    "ticket_category_id": None,
    "ticket_sub_category_id": None,
    "status_id": None,
    "team_id": None,
    "contract_id": None,
    "assignee_id": None,
    "assigned_by": None,
    "author_type": "App\\User",
    "author_id": None,
    "opener_id": None,
    "contact_id": None,
    "open": True,
    "closure": False,
    "origin": "admin",
    "opened_via": "application",
    "estimated_resolution_date": None,
    "tags": None,
    "exchanges": 0,
    "time": 0,
    "points": 0.0,
    "billable": False,
    "billed": False,
    "opened_at": None,
    "closed_at": None,
    "assigned_at": None,
    "auto_closure_alerts": None,
    "created_at": None,
    "updated_at": None,
    # Not columns of the ticket: the ids of its contacts, and its replies.
    "contacts": [],
    "replies": [],
}

REPLY_DEFAULTS: Record = {
    "id": None,
    "ticket_id": None,
    "body": "",
    "origin": "admin",
    "author_type": "App\\User",
    "author_id": None,
    "contact_id": None,
    "seen_at": None,
    "customer_visible": True,
    "copy_to_sales": False,
    "auto_closure_message": False,
    "created_at": None,
    "updated_at": None,
}


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(timezone.utc)


class Store:
    """All data, behind one lock.

    Every read and write happens inside ``with store.reading():`` or ``with store.changing():``; the
    latter writes the file, if there is one, before it lets go of the lock.
    """

    def __init__(
        self,
        path: Optional[Path] = None,
        token: str = TOKEN,
        now: Callable[[], datetime] = utc_now,
        instance: Optional[Instance] = None,
    ) -> None:
        """Start from the seed, with the collections of the file `path` in place of the seed's.

        `instance` says whose data they are, and so what the time is there.

        Raises OSError when it cannot be read and ValueError, naming the file and place, when it is
        not understood. A file that does not exist yet is written at the first change.
        """
        self.path = path
        self.now = now
        self.instance = instance or Instance()
        self._lock = threading.RLock()
        self._changing_since: Optional[datetime] = None
        self._default_token = token
        self._tokens = {token: 1}
        self.tables = read_collections(seed())
        if path is not None and path.exists():
            self.tables.update(read_file(path))
        self.history = History()
        self._last_ids: Dict[str, int] = {}
        self._complete_tickets()
        self._start = copy.deepcopy(self.tables)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Collections]:
        """Hold the lock; gives the collections."""
        with self._lock:
            yield self.tables

    @contextlib.contextmanager
    def changing(self) -> Iterator[Collections]:
        """Hold the lock and keep what was changed; gives the collections.

        All that one change does bears one time, also where the second turns in its midst: that is
        how the page of a ticket knows the reply that closed it.
        """
        with self._lock:
            outer = self._changing_since
            self._changing_since = self.moment()
            try:
                yield self.tables
            finally:
                self._changing_since = outer
            self._write()

    # -- records ---------------------------------------------------------------------------

    def find(self, table: str, model: str, number: int) -> Record:
        """Return a record; raises Rejected (404) as Laravel's `findOrFail` of the class `model`."""
        record = self.tables[table].get(number)
        if record is None:
            raise not_found(model, number)
        return record

    def next_id(self, table: str) -> int:
        """Return an id that was never used, not even by a record deleted since."""
        if table == "replies":
            tickets = self.tables["tickets"].values()
            used = [reply["id"] or 0 for ticket in tickets for reply in ticket["replies"]]
        else:
            used = list(self.tables[table])
        last = self._last_ids.get(table)
        if last is None:
            last = max([FIRST_IDS.get(table, 1) - 1, *used])
        self._last_ids[table] = last + 1
        return last + 1

    def new_number(self) -> str:
        """Return an unused ticket number: 6 random characters, the first a letter.

        BlueRockTEL's own is random throughout; a letter first keeps it apart from an id.
        """
        used = {ticket["number"] for ticket in self.tables["tickets"].values()}
        while True:
            number = secrets.choice(_NUMBER_START)
            number += "".join(secrets.choice(_NUMBER_REST) for _ in range(5))
            if number not in used:
                return number

    # -- time ------------------------------------------------------------------------------

    def moment(self) -> datetime:
        """Return now or, while something is changed, when that began."""
        return self._changing_since or self.now()

    def date(self, later: timedelta = timedelta()) -> str:
        """Return the moment, or that much `later`, as `Y-m-d H:i:s` of the instance's time zone."""
        return (self.moment() + later).astimezone(self.instance.zone).strftime(DATE_FORMAT)

    def in_utc(self, date: str) -> str:
        """Return a `Y-m-d H:i:s` of the instance's in UTC; what is none, as it is."""
        try:
            local = datetime.strptime(date, DATE_FORMAT).replace(tzinfo=self.instance.zone)
        except ValueError:
            return date
        return local.astimezone(timezone.utc).strftime(DATE_FORMAT)

    def timestamp(self) -> str:
        """Return the moment as Laravel has `created_at`: whole seconds with six zeros, and a Z."""
        return self.moment().strftime("%Y-%m-%dT%H:%M:%S.000000Z")

    # -- tokens ----------------------------------------------------------------------------

    def login(self, email: str, password: str) -> Optional[Dict[str, Any]]:
        """Return the user and a further token, or None for wrong credentials."""
        with self._lock:
            for user in self.tables["users"].values():
                if user["email"].lower() == email.lower() and user["password"] == password:
                    token = f"issued-{secrets.token_hex(20)}"
                    self._tokens[token] = user["id"]
                    return {"token": token, "user": user}
            return None

    def user_of(self, token: str) -> Optional[Record]:
        """Return the user whose token this is, or None."""
        with self._lock:
            number = self._tokens.get(token)
            return None if number is None else self.tables["users"].get(number)

    def revoke(self, default_too: bool = False) -> int:
        """Make the tokens that /login handed out worthless; returns how many there were."""
        with self._lock:
            kept = {} if default_too else {self._default_token: 1}
            gone = len(set(self._tokens) - set(kept))
            self._tokens = kept
            return gone

    # -- everything at once ----------------------------------------------------------------

    def dump(self) -> Dict[str, List[Record]]:
        """Return a copy of all collections; a ticket's replies and contact ids are inside it."""
        with self._lock:
            return {
                name: copy.deepcopy(list(records.values())) for name, records in self.tables.items()
            }

    def merge(self, document: object, replace: bool = False) -> Dict[str, int]:
        """Take over the collections of `document`, record by record or, with `replace`, whole.

        Returns how many records each of them then has. Raises ValueError that names the place.
        """
        new = read_collections(document)
        with self.changing():
            for name, records in new.items():
                if replace:
                    self.tables[name] = {}
                    if name == "tickets":
                        self.history.clear()
                self.tables[name].update(records)
            for number in new.get("tickets", ()):
                self.history.forget(number)
            self._complete_tickets()
            return {name: len(self.tables[name]) for name in new}

    def reset(self) -> None:
        """Go back to the data of the start, and to the first token alone."""
        with self.changing():
            self.tables = copy.deepcopy(self._start)
            self.history.clear()
            self._last_ids = {}
            self._tokens = {self._default_token: 1}

    def _complete_tickets(self) -> None:
        # A ticket that a test or a person wrote may lack what the server would have given it.
        self._last_ids.clear()
        for ticket in self.tables["tickets"].values():
            ticket["number"] = ticket["number"] or self.new_number()
            ticket["created_at"] = ticket["created_at"] or self.timestamp()
            ticket["updated_at"] = ticket["updated_at"] or ticket["created_at"]
            ticket["opened_at"] = ticket["opened_at"] or self.date()
            for reply in ticket["replies"]:
                reply["id"] = reply["id"] or self.next_id("replies")
                reply["created_at"] = reply["created_at"] or self.timestamp()
                reply["updated_at"] = reply["updated_at"] or reply["created_at"]

    def _write(self) -> None:
        if self.path is None:
            return
        text = json.dumps(self.dump(), indent=1, ensure_ascii=False)
        files.write_whole(self.path, f"{text}\n".encode(), durable=False)


def read_file(path: Path) -> Collections:
    """Return the collections of a JSON file; raises OSError, or ValueError naming the place."""
    try:
        return read_collections(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_collections(document: object) -> Collections:
    """Return the collections of `document`, by id, completed with what they may leave out.

    Raises ValueError that names the collection and the record.
    """
    if not isinstance(document, Mapping):
        raise ValueError('the data are an object of collections, as {"customers": [...]}')
    known = seed()
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise ValueError(f"unknown collection {unknown[0]!r}; known: {', '.join(known)}")
    return {name: _read_records(name, records) for name, records in document.items()}


def _read_records(name: str, records: object) -> Dict[int, Record]:
    if not isinstance(records, list):
        raise ValueError(f"{name}: a collection is a list")
    found: Dict[int, Record] = {}
    for index, record in enumerate(records):
        where = f"{name}[{index}]"
        if not isinstance(record, Mapping):
            raise ValueError(f"{where}: a record is an object")
        number = record.get("id")
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ValueError(f"{where}: id must be a positive integer")
        if number in found:
            raise ValueError(f"{where}: id {number} is there twice")
        found[number] = _complete(name, where, copy.deepcopy(dict(record)))
    return found


_REQUIRED = {
    "users": ("name", "email", "password"),
    "customers": ("name", "customer_account"),
    "pbx_hosts": ("host_name",),
    "contacts": ("contactable_id", "last_name", "email_address"),
    "hosts": ("name", "customer_id"),
    "sub_categories": ("name", "ticket_category_id"),
    "tickets": ("ticketable_id",),
}

_DEFAULTS: Dict[str, Record] = {
    "users": {
        "active": True,
        "role": 8,
        "technical": False,
        "manager": False,
        "support_team": False,
    },
    "categories": {"active": True, "showable": True},
    "customers": {
        "vip": False,
        "on_call_duty": False,
        "setup_follow_up": False,
        "setup_follow_up_user": None,
    },
    "pbx_hosts": {"code": None, "active": True, "ip_address": None, "customers": []},
    "contacts": {
        "contactable_type": CUSTOMER_TYPE,
        "first_name": None,
        "role": None,
        "mobile_phone": None,
        "landline_phone": None,
        "active": True,
        "technical_contact": False,
        "ticketing_do_not_notify": False,
    },
    "hosts": {"code": None, "address": None, "managed": True, "comment": None},
    "sub_categories": {"priority_id": None, "support_team_id": None, "active": True},
    "statuses": {"auto_for": None, "color": None, "default": False},
    "support_teams": {"users": []},
    "tickets": TICKET_DEFAULTS,
}


def _complete(name: str, where: str, record: Record) -> Record:
    for key in _REQUIRED.get(name, ("name",)):
        if record.get(key) is None:
            raise ValueError(f"{where}: {key} is missing")
    completed = {**copy.deepcopy(_DEFAULTS.get(name, {})), **record}
    if name == "tickets":
        if isinstance(completed["tags"], list):
            completed["tags"] = php_json(completed["tags"])
        completed["replies"] = [
            {**REPLY_DEFAULTS, **reply, "ticket_id": record["id"]} for reply in completed["replies"]
        ]
    return completed


def php_json(value: object) -> str:
    """Return `value` as PHP's `json_encode` writes it into a JSON column."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/")
