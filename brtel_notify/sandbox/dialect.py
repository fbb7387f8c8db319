"""How records are spoken: as the two pages have them, or in the dialect of the vendor's SDK.

Inside the sandbox all is as the pages have it; what comes in and goes out is translated here. The
SDK (github.com/bluerocktel/php-sdk) has camelCase for customers, contacts, users and replies, dates
of creation and `contactable_*` excepted, and snake_case for tickets.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Mapping

from .instance import Instance
from .seed import Record

#: Where a record holds others, and which kind they are.
_WITHIN = {
    "ticketable": "customer",
    "customer": "customer",
    "customers": "customer",
    "contacts": "contact",
    "replies": "reply",
    "author": "user",
    "assignee": "user",
    "assigner": "user",
    "opener": "user",
    # Of a lookup by account.
    "data": "customer",
}
_CAMEL = frozenset({"customer", "contact", "user", "reply"})
_SNAKE_ANYWAY = frozenset({"created_at", "updated_at", "contactable_type", "contactable_id"})
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{!!.*?!!\}", re.DOTALL)

#: What a reply may be given by a name that the dialects do not share.
REPLY_NAMES = (
    "ticket_id",
    "send_to_assignee",
    "send_to_contacts",
    "notify_customer",
    "customer_visible",
)
TICKET_NAMES = ("estimated_resolution_date",)


def camel(name: str) -> str:
    """Return `customer_account` as `customerAccount`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def given(instance: Instance, data: Mapping[str, Any], names: Iterable[str]) -> Dict[str, Any]:
    """Return `data` with `names` read in the instance's dialect; it knows no other."""
    if instance.names == "snake":
        return dict(data)
    spoken = {camel(name): name for name in names}
    return {spoken.get(key, key): value for key, value in data.items() if key not in names}


def complaints(instance: Instance, refusal: Dict[str, Any]) -> Dict[str, Any]:
    """Return what a call is refused with, its fields by the names that the instance knows."""
    if instance.names == "snake" or "errors" not in refusal:
        return refusal
    spoken = (*REPLY_NAMES, *TICKET_NAMES)
    errors = refusal["errors"]
    named = {camel(key) if key in spoken else key: texts for key, texts in errors.items()}
    return {**refusal, "errors": named}


def said(instance: Instance, kind: str, data: Any, method: str) -> Any:
    """Return a record or a list of records of a `kind`, as an answer to `method` says them."""
    if isinstance(data, list):
        return [said(instance, kind, each, method) for each in data]
    if not isinstance(data, dict):
        return data
    record: Record = {
        key: said(instance, _WITHIN[key], value, method) if key in _WITHIN else value
        for key, value in data.items()
    }
    if kind == "reply":
        record = _reply(instance, record, method)
    if instance.names == "camel" and kind in _CAMEL:
        return {_name(key): _number(value) for key, value in record.items()}
    return record


def _name(key: str) -> str:
    return key if key in _SNAKE_ANYWAY else camel(key)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def _reply(instance: Instance, reply: Record, method: str) -> Record:
    hidden = {"unsaid": True, "late": method == "POST"}.get(instance.visibility, False)
    shown = {key: value for key, value in reply.items() if key != "customer_visible" or not hidden}
    if instance.templates == "resolved" and method == "GET":
        shown["body"] = _TEMPLATE.sub("[resolved]", shown["body"])
    return shown
