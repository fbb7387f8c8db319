"""Whose is it: customers and PBX hosts, by the ``/lookup`` addresses, or without, in 2023.

Instances of 2023 have no ``/lookup``: an account is a term of their search, and their list of PBX
hosts says whose each is (BlueRockTEL's public request collection; docs/compatibility.md). Which way
an instance goes shows when it is first asked, and is remembered.
"""

from __future__ import annotations

import math
import re
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence
from urllib.parse import quote

from brtel_notify.api.caller import NOTHING, Asked, Caller
from brtel_notify.api.exceptions import ApiError, NotFound, Refused
from brtel_notify.api.records import Customer, PbxHost
from brtel_notify.local.ip_address import same_ip_address

#: Customers that a search answers with at most (the cookbook): if so many, there may be more.
MOST_FOUND = 15

_SEARCH = "/v1/customers/search"
_ACCOUNT = "/v1/customers/lookup"
_HOST = "/v1/pbx3cx-hosts/lookup"
_HOSTS_OF = "/v1/pbx3cx-hosts/lookup-by-customer"
_ALL_HOSTS = "/v1/pbx3cx-hosts"
#: Candidates of a search whose PBX hosts are looked at, before the list of all hosts is.
_CANDIDATES = 5
#: Hosts that are looked up one by one, to see their address.
_MOST_LOOKED_UP = 20
#: So much of a long list is asked for at a time.
_PER_PAGE = 100
#: Seconds for which the whole list of hosts is believed: a storm asks for it once.
_LIST_IS_GOOD_FOR = 600.0


class Lookups(Caller):
    """The calls of the cookbook's step 2, either way. See :class:`Client`."""

    _listed: Sequence[PbxHost] = ()
    _listed_at = -math.inf

    def search_customers(self, term: str) -> List[Customer]:
        """Customers whose name, account, contacts, numbers… match TERM; 15 at most."""
        return self._unless_missing(lambda: self._list(_SEARCH, Customer.parse, {"term": term}), [])

    def customer_by_account(self, account: str, whole: bool = False) -> Optional[Customer]:
        """The customer with exactly this account code (CL000042), or None.

        WHOLE: with all that BlueRockTEL says of it (vip, on_call_duty…), which costs a call more
        where there are no lookups.
        """
        call = self._prepared("GET", _ACCOUNT, {"customer_account": account}, None)
        return self._by_lookup(
            lambda: self._looked_up(call, Customer.parse),
            lambda: self._searched_account(account, whole),
            account,
        )

    def pbx_host(self, host_name: str, address: str = "") -> Optional[PbxHost]:
        """The 3CX host of this name, with its customers, or None.

        ADDRESS, its IP address, helps to find it where there are no lookups.
        """
        call = self._prepared("GET", _HOST, {"host_name": host_name}, None)
        return self._by_lookup(
            lambda: self._looked_up(call, PbxHost.parse),
            lambda: self._listed_host(host_name, address),
            host_name,
        )

    def pbx_hosts_of(self, customer: Customer) -> List[PbxHost]:
        """The 3CX hosts of a customer; none if BlueRockTEL has no such customer."""
        asked = {"customer_account": customer.account}
        found = self._by_lookup(
            lambda: self._list(_HOSTS_OF, PbxHost.parse, asked),
            lambda: self._listed_of(customer),
            customer.account,
        )
        return found or []

    def pbx_hosts_at(self, address: str) -> Optional[List[PbxHost]]:
        """The 3CX hosts with exactly this IP address, each with its customers.

        A private address may be that of several. The search also finds 10.0.0.12 for 10.0.0.1, so
        it only says where to look: None where that is at too many to be sure.
        """
        candidates = self.search_customers(address)
        if len(candidates) >= MOST_FOUND:
            return None
        found: Dict[int, PbxHost] = {}
        looked_up = 0
        for customer in candidates:
            for listed in self.pbx_hosts_of(customer):
                looked_up += not listed.address  # the lookup by customer leaves it out
                if looked_up > _MOST_LOOKED_UP:
                    return None
                host = listed if listed.address else self.pbx_host(listed.host_name) or listed
                if same_ip_address(host.address, address):
                    known = host if host.customers else host._replace(customers=(customer,))
                    found[host.id] = known
        return list(found.values())

    # -- which way

    def _by_lookup(
        self,
        look_up: Callable[[], Optional[Asked]],
        without: Callable[[], Optional[Asked]],
        value: str,
    ) -> Optional[Asked]:
        """What LOOK_UP of VALUE gives; WITHOUT's where there are, or may be, no lookups."""
        if self.instance.lookups is False:
            return without()
        try:
            answer = self._surely(look_up)
        except (NotFound, Refused) as error:
            refusal: ApiError = error
        else:
            if answer and self.instance.lookups is None:
                self.instance.lookups = True
            return answer
        there = self._shows_lookups(refusal, value)
        if there:
            if isinstance(refusal, NotFound):
                return None
            raise refusal
        found = without()
        if found:  # else it may be an update half done: nothing is remembered of it
            self.instance.lookups = False
        return found

    def _shows_lookups(self, error: ApiError, value: str) -> Optional[bool]:
        """Whether a refused lookup of VALUE shows that there are lookups; None: it leaves it open.

        A missing address is a 404 as a missing host is; but Laravel says that it is the route, or
        takes the word "lookup" for an id, and says that there is no such record.
        """
        words = error.problem
        if error.status == 405 or re.search(r"\broute\b.* could not be found", words):
            return False
        says_so = words == NOTHING or value in words
        if not isinstance(error, NotFound) or says_so or self.instance.lookups:
            return True
        if re.search(r"\blookup(-by-customer)?\W*$", words):
            return False
        if error.path != _ACCOUNT and self._has_account_lookup():
            self.instance.lookups = True
            return True
        return None

    def _has_account_lookup(self) -> bool:
        """Whether the one lookup is there that says so when it finds nothing (the cookbook)."""
        try:
            self.request("GET", _ACCOUNT, params={"customer_account": "-"})
        except (NotFound, Refused):
            return False
        return True

    # -- without

    def _searched_account(self, account: str, whole: bool) -> Optional[Customer]:
        found = _with_account(self.search_customers(account), account)
        if (found is not None and not whole) or account in (".", ".."):
            return found
        path = f"/v1/customerAccounts/{quote(account, safe='')}"
        call = self._prepared("GET", path, None, None)
        try:
            record = self._unless_missing(lambda: self._looked_up(call, Customer.parse), None)
        except Refused:
            return found
        return _with_account([record] if record else [], account) or found

    def _listed_host(self, host_name: str, address: str) -> Optional[PbxHost]:
        if not self._knows_all_hosts:
            for customer in self._candidates(host_name, address):
                host = _with_name(self._listed_of(customer), host_name)
                if host is not None:
                    return host
        if not self._knows_all_hosts:
            self._listed, self._listed_at = self._all_hosts({}), self._clock()
        return _with_name(self._listed, host_name)

    @property
    def _knows_all_hosts(self) -> bool:
        return self._clock() - self._listed_at <= _LIST_IS_GOOD_FOR

    def _candidates(self, host_name: str, address: str) -> Iterator[Customer]:
        """Customers who may own the host: found by its address, its name, its name's first word."""
        first = re.sub(r"[^0-9A-Za-z]+", " ", host_name.partition(".")[0]).strip()
        met: List[int] = []
        for term in dict.fromkeys((address, host_name, first)):
            for customer in self.search_customers(term) if term else ():
                if customer.id not in met and len(met) < _CANDIDATES:
                    met.append(customer.id)
                    yield customer

    def _listed_of(self, customer: Customer) -> List[PbxHost]:
        """Their hosts, as each host says: the list may take no heed of who is asked for."""
        if self._knows_all_hosts:
            hosts = self._listed
        else:
            hosts = self._all_hosts({"customer_id": customer.id})
        theirs = [host for host in hosts if customer.id in {own.id for own in host.customers}]
        if len(theirs) < len(hosts):  # it took no heed: these are all that there are
            self._listed, self._listed_at = hosts, self._clock()
        return theirs

    def _all_hosts(self, params: Dict[str, Any]) -> List[PbxHost]:
        asked = {**params, "per_page": _PER_PAGE}
        return self._unless_missing(lambda: self._list(_ALL_HOSTS, PbxHost.parse, asked), [])


def _with_account(customers: Iterable[Customer], account: str) -> Optional[Customer]:
    """The one with that account; capitals do not matter, unless two differ in nothing else."""
    wanted = account.strip()
    alike = [each for each in customers if each.account.strip().lower() == wanted.lower()]
    exact = [each for each in alike if each.account.strip() == wanted]
    found = exact or alike
    return found[0] if len({each.id for each in found}) == 1 else None


def _with_name(hosts: Iterable[PbxHost], host_name: str) -> Optional[PbxHost]:
    return next((each for each in hosts if each.host_name.lower() == host_name.lower()), None)
