"""Addresses that are on neither of the two pages and that every instance knows, by the vendor's SDK
and request collection.
"""

from __future__ import annotations

from typing import Any, Dict, List

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from .exchange import directory, one_customer, paginated, record, records
from .search import read_filters
from .seed import Record
from .validation import Field, check, clean_input

older = Blueprint("older", __name__)


@older.get("/v1/customerAccounts/<account>")
def customer(account: str) -> AnyResponse:
    """Show the customer with this account."""
    return one_customer(directory().customer(account))


@older.get("/v1/pbx3cx-hosts")
def pbx_hosts() -> AnyResponse:
    """List PBX hosts, of one customer if it is named."""
    data: Any = clean_input({"customer_id": request.args.get("customer_id")})
    wanted = check(data, {"customer_id": Field("integer", nullable=True)})["customer_id"]
    return paginated("pbx_host", directory().pbx_hosts(wanted))


@older.get("/v1/hosts")
def hosts() -> AnyResponse:
    """List the other hosts."""
    return records("host", directory().hosts(_filters("customer_id").get("customer_id")))


@older.get("/v1/users")
def users() -> AnyResponse:
    """List the users whose name has a part, or whose address is one of those asked for."""
    filters = _filters("name", "email")
    return paginated("user", [user for user in directory().users() if _fits(user, filters)])


@older.get("/v1/users/<int:number>")
def user(number: int) -> AnyResponse:
    """Show a user."""
    return record("user", directory().user(number))


@older.get("/v1/ticketing/support-teams/<int:number>/members")
def members(number: int) -> AnyResponse:
    """List the users of a support team."""
    return records("user", directory().members(number))


def _filters(*known: str) -> Dict[str, List[str]]:
    return read_filters(request.args.items(multi=True), known)


def _fits(user: Record, filters: Dict[str, List[str]]) -> bool:
    name, email = user["name"].lower(), user["email"].lower()
    parts, addresses = filters.get("name"), filters.get("email")
    return (parts is None or any(part.lower() in name for part in parts)) and (
        addresses is None or email in map(str.lower, addresses)
    )
