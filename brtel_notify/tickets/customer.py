"""Who owns the host: the lookup chain of the configuration, the cookbook's ways A to D.

    hosts     the table in the configuration: host name, or another value, to account
    account   B: a customer by account number
    pbx       C: the customer a 3CX host is linked to, by the host's name or IP address
    search    A: the full-text search, believed only where it is sure
    fallback  the account that gets what nobody else owns

A search also looks into e-mail addresses, phone numbers and licence keys. It is sure where the term
is a customer's name or account, or where D, the hosts of a customer, confirms one of a few
candidates.
"""

from __future__ import annotations

import json
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
)

from brtel_notify.api.cache import Cache
from brtel_notify.api.exceptions import NotFound, Refused
from brtel_notify.config.schema import Config
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.local.ip_address import is_ip_address

if TYPE_CHECKING:
    from brtel_notify.api.records import Customer, PbxHost

#: A search with more candidates than this is not worth a call for each of them.
CONFIRM_AT_MOST = 5

#: What is remembered, and not by what older versions called it: theirs were guessed from a search,
#: or read in one dialect only.
OWNERS, _RECORDS = "owner", "whole"

#: Seconds for which it is believed that nobody owns a host.
NOBODY = 600.0

#: Says one line in the log.
Say = Callable[[str], None]
#: Evaluates a ``{{ }}`` of the configuration; empty when it fails or says nothing.
Evaluate = Callable[[str], str]


class Directory(Protocol):
    """The part of the API that knows customers."""

    def customer_by_account(self, account: str, whole: bool = False) -> Optional[Customer]:
        """B."""

    def search_customers(self, term: str) -> List[Customer]:
        """A."""

    def pbx_host(self, host_name: str, address: str = "") -> Optional[PbxHost]:
        """C, by name."""

    def pbx_hosts_at(self, address: str) -> Optional[List[PbxHost]]:
        """C, by IP address."""

    def pbx_hosts_of(self, customer: Customer) -> List[PbxHost]:
        """D."""


class Owner(NamedTuple):
    """The customer that an alert belongs to, and how that was found out.

    ``guess``: another one whom a search gave that was not sure; people can tell.
    """

    id: int
    name: str
    account: str
    how: str
    guess: str = ""

    def as_dict(self) -> Dict[str, Any]:
        """What the open-ticket map and the journal keep of it."""
        data = self._asdict()
        if not self.guess:
            del data["guess"]
        return data

    @classmethod
    def from_dict(cls, data: Any) -> Optional[Owner]:
        """The owner again, from :meth:`as_dict`; None when DATA is no such thing."""
        types = {"id": int, "name": str, "account": str, "how": str, "guess": str}
        if not isinstance(data, dict) or set(data) not in (set(types), set(types) - {"guess"}):
            return None
        if any(type(value) is not types[name] for name, value in data.items()):
            return None
        return cls(**data)

    def __str__(self) -> str:
        return f"{self.name} ({self.account})"


class _Host:
    """The host that is asked about; ``guess`` is whom a search gave that was not sure."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.guess = ""

    def is_named(self, pbx: PbxHost) -> bool:
        """Whether PBX has this host's name. Its address proves nothing: a private one has many."""
        return pbx.host_name.lower() in {self.name.lower(), self.address.lower()} - {""}


class Owners:
    """Finds owners, and remembers them for as long as the configuration says."""

    def __init__(self, config: Config, directory: Directory, cache: Cache, say: Say) -> None:
        self.options = config.customer
        self.fallback_place = config.where("customer.fallback")
        self.directory = directory
        self.cache = cache
        self.say = say

    def find(self, host: str, address: str, evaluate: Evaluate) -> Optional[Owner]:
        """The owner of HOST: the first lookup that gives a customer, else the fallback, else None.

        Raises ApiError; ConfigError when the fallback is no customer.
        """
        asked_about = _Host(host, address)
        values = [
            (way, self._table(evaluate(template).strip() if template else host))
            if way == "hosts"
            else (way, evaluate(template).strip())
            for way, template in self.options.lookup
        ]
        asked = json.dumps([host, values])
        nobody = self.cache.get("nobody", asked, min(self.options.cache, NOBODY))
        if isinstance(nobody, str):
            asked_about.guess = nobody
        else:
            for way, value in values:
                owner = self._remembered(way, value, asked_about) if value else None
                if owner is not None:
                    return owner
            self.cache.put("nobody", asked, asked_about.guess)
        return self._fallback(asked_about)

    def fallback(self, host: str) -> Optional[Owner]:
        """Who gets what BlueRockTEL does not take for the owner of HOST; None: nobody.

        Raises ApiError; ConfigError when the fallback is no customer.
        """
        return self._fallback(_Host(host, ""))

    def _table(self, wanted: str) -> str:
        for name, account in self.options.hosts.items():
            if name.lower() == wanted.lower():
                return account
        return ""

    def _fallback(self, host: _Host) -> Optional[Owner]:
        account = self.options.fallback
        if account is None:
            return None
        self.say(f"{host.name}: nobody owns it by any lookup: the fallback {account} gets it")
        owner = self._remembered("fallback", account, host)
        if owner is None:
            raise ConfigError(
                f"{self.fallback_place}: customer.fallback: no customer has the account {account}"
                " that the token's user may see"
            )
        return owner._replace(guess=host.guess)

    def _remembered(self, way: str, value: str, host: _Host) -> Optional[Owner]:
        # A search is confirmed by the host, so its answer holds for that host only.
        key = "\n".join((way, value, host.name) if way == "search" else (way, value))
        known = Owner.from_dict(self.cache.get(OWNERS, key, self.options.cache))
        if known is not None:
            return known
        try:
            customer = self._ask(way, value, host)
        except (NotFound, Refused) as error:
            # The value comes from the alert, whatever it holds: that must not cost the ticket.
            self.say(f"{host.name}: the lookup by {way} '{value}' was refused: {error}")
            return None
        if customer is None:
            return None
        owner = Owner(customer.id, customer.name, customer.account, way)
        self.cache.put(OWNERS, key, owner.as_dict())
        return owner

    def _ask(self, way: str, value: str, host: _Host) -> Optional[Customer]:
        if way == "pbx":
            return self._by_pbx(value, host)
        if way == "search":
            return self._by_search(value, host)
        customer = self.directory.customer_by_account(value)
        if customer is None:
            self.say(f"{host.name}: no customer has the account {value} ({way})")
        return customer

    def _by_pbx(self, value: str, host: _Host) -> Optional[Customer]:
        about = host.name if host.name == value else f"{host.name}: {value}"
        pbx = self._pbx(value, host, about)
        if pbx is None:
            return None
        if not pbx.customers:
            self.say(f"{about}: is a PBX host in BlueRockTEL, but linked to no customer")
            return None
        notes = [] if pbx.active else ["is marked inactive in BlueRockTEL"]
        which = "its customer"
        if len(pbx.customers) > 1:
            notes.append(f"is shared by {len(pbx.customers)} customers")
            which = "the first of them"
        if notes:
            account = pbx.customers[0].account
            self.say(f"{about}: {' and '.join(notes)}; {which}, {account}, gets the alert")
        return pbx.customers[0]

    def _pbx(self, value: str, host: _Host, about: str) -> Optional[PbxHost]:
        """The PBX host of that name, or with exactly that IP address."""
        if not is_ip_address(value):
            pbx = self.directory.pbx_host(value, host.address)
            if pbx is None:
                self.say(f"{about}: is no PBX host in BlueRockTEL")
            return pbx
        found = self.directory.pbx_hosts_at(value)
        if found is None:
            self.say(f"{about}: too many customers match this address to look at all; no guess")
            return None
        owners = {owner.id for each in found for owner in each.customers}
        if len(owners) > 1:
            self.say(f"{about}: is the address of PBX hosts of {len(owners)} customers; no guess")
            return None
        if not found:
            self.say(f"{about}: is the address of no PBX host in BlueRockTEL")
        return next((each for each in found if each.customers), next(iter(found), None))

    def _by_search(self, term: str, host: _Host) -> Optional[Customer]:
        found = self.directory.search_customers(term)
        if not found:
            self.say(f"{host.name}: search '{term}': no customer")
            return None
        exact = [c for c in found if term.lower() in (c.name.lower(), c.account.lower())]
        if len(exact) == 1:
            return exact[0]
        candidates = exact or found
        confirmed = self._confirmed(candidates, host)
        if len(confirmed) == 1:
            return confirmed[0]
        if len(candidates) == 1:
            host.guess = f"{candidates[0].name} ({candidates[0].account})"
            self.say(
                f"{host.name}: search '{term}': one customer, {host.guess}, but neither its name,"
                " its account nor one of its PBX hosts says so; not guessing"
            )
        else:
            self.say(
                f"{host.name}: search '{term}': {len(candidates)} customers, none of them for"
                " certain; not guessing among them"
            )
        return None

    def _confirmed(self, candidates: List[Customer], host: _Host) -> List[Customer]:
        """Those of a few candidates on whose record the host stands (D)."""
        if len(candidates) > CONFIRM_AT_MOST:
            return []
        return [
            customer
            for customer in candidates
            if customer.account and any(map(host.is_named, self.directory.pbx_hosts_of(customer)))
        ]

    def record(self, owner: Owner) -> Mapping[str, Any]:
        """All that is known of the owner, for rules that ask for more than a name.

        Raises ApiError.
        """
        known = self.cache.get(_RECORDS, owner.account, self.options.cache)
        if not isinstance(known, dict):
            customer = self._whole(owner)
            known = dict(customer.extra) if customer else {}
            if customer:
                self.cache.put(_RECORDS, owner.account, known)
        return {**known, **plain_record(owner)}

    def _whole(self, owner: Owner) -> Optional[Customer]:
        if not owner.account:
            return None
        try:
            return self.directory.customer_by_account(owner.account, whole=True)
        except Refused as error:
            self.say(f"{owner.name}: the record of account {owner.account} was refused: {error}")
            return None


class CustomerRecord:
    """``customer`` in rules and templates: what is known, and the rest when somebody asks for it.

    FIND gives the owner, RECORD all that BlueRockTEL says of it; each is called at most once. In
    a rule or template an ApiError of theirs would pass for a fault of the expression, so it is
    kept, and raised by :meth:`check`.
    """

    def __init__(
        self,
        find: Callable[[], Optional[Owner]],
        record: Callable[[Owner], Mapping[str, Any]],
    ) -> None:
        self._find = find
        self._record = record
        self._known: Optional[Mapping[str, Any]] = None
        self._whole = False
        self._failure: Optional[Exception] = None

    def __getitem__(self, name: str) -> Any:
        try:
            return self._value(name)
        except LookupError:
            raise
        except Exception as error:
            self._failure = error
            raise

    def _value(self, name: str) -> Any:
        if self._known is None:
            owner = self._find()
            self._known = plain_record(owner) if owner else {}
        if name not in self._known and self._known and not self._whole:
            self._known = self._record(Owner(**{name: self._known[name] for name in Owner._fields}))
            self._whole = True
        return self._known[name]

    def __bool__(self) -> bool:
        try:
            return bool(self["id"])
        except LookupError:
            return False

    def __str__(self) -> str:
        return f"{self['name']} ({self['account']})" if self else ""

    def check(self) -> None:
        """Raise what BlueRockTEL answered when somebody asked, if it was an error."""
        if self._failure is not None:
            raise self._failure


def plain_record(owner: Owner) -> Dict[str, Any]:
    """What is known of a customer without another call."""
    return {**owner._asdict(), "customer_account": owner.account}
