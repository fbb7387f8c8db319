"""Customers, PBX hosts, contacts, and the lists of what tickets refer to."""

from __future__ import annotations

import fnmatch
from typing import Any, Dict, List, Optional, Sequence

from .errors import not_found
from .seed import Record
from .store import Store

MAX_RESULTS = 15
"""Customers that a search returns at most (the cookbook)."""

_LOOKUP = (
    "id",
    "name",
    "customer_account",
    "vip",
    "on_call_duty",
    "setup_follow_up",
    "setup_follow_up_user",
)


class Directory:
    """Everything that is read and not written by the API's users."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def search(self, term: str) -> List[Record]:
        """Return the customers whose index matches `term`, its spaces being wildcards.

        The index is name, account, contacts, phone numbers, IP addresses and licence keys; host
        names are not in it (the cookbook).
        """
        pattern = "*" + "*".join(_literal(word) for word in term.lower().split()) + "*"
        with self.store.reading() as tables:
            found = [
                customer
                for customer in tables["customers"].values()
                if fnmatch.fnmatchcase(self._index(customer), pattern)
            ]
            return [
                {
                    "id": customer["id"],
                    "name": customer["name"],
                    "customer_account": customer["customer_account"],
                    "quick_search_label": f"{customer['name']} {customer['customer_account']}",
                }
                for customer in sorted(found, key=lambda it: int(it["id"]))[:MAX_RESULTS]
            ]

    def lookup(self, account: str) -> Dict[str, Any]:
        """Return whether a customer has this account, and its data."""
        with self.store.reading():
            customer = self._by_account(account)
            if customer is None:
                return {"found": False, "data": None}
            return {"found": True, "data": {key: customer[key] for key in _LOOKUP}}

    def host(self, host_name: str) -> Record:
        """Return a PBX host with its customers, secrets included as in a full record, or {}."""
        with self.store.reading() as tables:
            for host in tables["pbx_hosts"].values():
                if host["host_name"].lower() == host_name.lower():
                    return self._with_customers(host)
            return {}

    def pbx_hosts(self, customer: Optional[int]) -> List[Record]:
        """Return the whole records of all PBX hosts, or of one customer's, by id."""
        with self.store.reading() as tables:
            return [
                self._with_customers(host)
                for _, host in sorted(tables["pbx_hosts"].items())
                if customer is None or customer in host["customers"]
            ]

    def hosts(self, customers: Optional[Sequence[str]]) -> List[Record]:
        """Return the other hosts, those of the customers with these ids unless None."""
        rows = self._all("hosts")
        return [row for row in rows if customers is None or str(row["customer_id"]) in customers]

    def customer(self, account: str) -> Record:
        """Return the whole record of the customer with this account; raises Rejected (404)."""
        with self.store.reading():
            customer = self._by_account(account)
            if customer is None:
                raise not_found("Customer", account)
            return dict(customer)

    def users(self) -> List[Record]:
        """Return the users without their passwords, by id."""
        return [_without_password(user) for user in self._all("users")]

    def user(self, number: int) -> Record:
        """Return one user; raises Rejected (404)."""
        with self.store.reading():
            return _without_password(self.store.find("users", "User", number))

    def members(self, team: int) -> List[Record]:
        """Return the users of a support team; raises Rejected (404)."""
        with self.store.reading():
            members = self.store.find("support_teams", "SupportTeam", team)["users"]
            return [user for user in self.users() if user["id"] in members]

    def hosts_of(self, account: str) -> List[Record]:
        """Return the PBX hosts of an account; none for an account that nobody has."""
        with self.store.reading() as tables:
            customer = self._by_account(account)
            if customer is None:
                return []
            return [
                {key: host[key] for key in ("id", "host_name", "code", "active")}
                for host in tables["pbx_hosts"].values()
                if customer["id"] in host["customers"]
            ]

    def contacts(self, entity_type: str, entity_id: int) -> List[Record]:
        """Return the contacts of one entity."""
        with self.store.reading() as tables:
            return [
                dict(contact)
                for contact in tables["contacts"].values()
                if (contact["contactable_type"], contact["contactable_id"])
                == (entity_type, entity_id)
            ]

    def priorities(self) -> List[Record]:
        """Return the priorities, by id."""
        return self._all("priorities")

    def categories(self) -> List[Record]:
        """Return the categories, each with the count of its sub-categories."""
        with self.store.reading() as tables:
            parents = [row["ticket_category_id"] for row in tables["sub_categories"].values()]
            return [
                {**row, "sub_categories_count": parents.count(row["id"])}
                for row in self._all("categories")
            ]

    def sub_categories(self) -> List[Record]:
        """Return the sub-categories, each with its category and its priority."""
        with self.store.reading() as tables:
            return [
                {
                    **row,
                    "category": tables["categories"].get(row["ticket_category_id"]),
                    "priority": tables["priorities"].get(row["priority_id"]),
                }
                for row in self._all("sub_categories")
            ]

    def statuses(self) -> List[Record]:
        """Return the statuses, by id."""
        return self._all("statuses")

    def support_teams(self) -> List[Record]:
        """Return the support teams, each with the count of its users."""
        return [
            {"id": row["id"], "name": row["name"], "users_count": len(row["users"])}
            for row in self._all("support_teams")
        ]

    def teams_of(self, user: Record) -> List[Record]:
        """Return id and name of the support teams of a user."""
        return [
            {"id": row["id"], "name": row["name"]}
            for row in self._all("support_teams")
            if user["id"] in row["users"]
        ]

    def _all(self, table: str) -> List[Record]:
        with self.store.reading() as tables:
            return [dict(row) for _, row in sorted(tables[table].items())]

    def _with_customers(self, host: Record) -> Record:
        customers = self.store.tables["customers"]
        named = [
            {key: customers[each][key] for key in ("id", "name", "customer_account")}
            for each in host["customers"]
            if each in customers
        ]
        return {**host, "customers": named}

    def _by_account(self, account: str) -> Any:
        # MySQL's usual collation takes no notice of case.
        for customer in self.store.tables["customers"].values():
            if customer["customer_account"].lower() == account.lower():
                return customer
        return None

    def _index(self, customer: Record) -> str:
        tables = self.store.tables
        words = [customer["name"], customer["customer_account"]]
        for contact in tables["contacts"].values():
            if contact["contactable_id"] == customer["id"]:
                keys = ("first_name", "last_name", "email_address", "mobile_phone")
                words += [contact.get(key) for key in (*keys, "landline_phone")]
        for host in tables["pbx_hosts"].values():
            if customer["id"] in host["customers"]:
                words += [host.get("ip_address"), host.get("licence_key")]
        return " ".join(str(word) for word in words if word).lower()


def _without_password(user: Record) -> Record:
    return {key: value for key, value in user.items() if key != "password"}


def _literal(word: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in word)
