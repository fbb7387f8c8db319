"""What a first user sends the developers: how their BlueRockTEL differs from what is documented.

Names of fields, words of ours, and a few numbers: no secret, no name, account or address of
anybody, no host and no URL. Whatever the instance, the same lines stand in it (``-``: not seen).
"""

from __future__ import annotations

import json
import platform
import re
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Tuple
from urllib.parse import quote

from brtel_notify import __version__
from brtel_notify.api.exceptions import ApiError, CredentialsError, OutOfTime
from brtel_notify.api.records import CUSTOMER_TYPE
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console import instance_proof
from brtel_notify.console.configured import services_of
from brtel_notify.console.raw_answers import (
    RawAnswers,
    dialect_of,
    form_of,
    keys_of,
    rows_of,
    unless_refused,
)
from brtel_notify.console.report import Report
from brtel_notify.options import Options
from brtel_notify.tickets import visible_note

if TYPE_CHECKING:
    from brtel_notify.delivery.services import Services

Line = Tuple[str, str]

NOT_SEEN = "-"
#: Records whose names are told, and lists whose form is.
_KINDS = ("customers", "contacts", "users", "replies", "tickets")
_FILED = ("categories", "sub-categories")
#: Fields that some instances have and others may not, by whose they are.
_MAY_HAVE = {
    "categories": ("active",),
    "sub-categories": ("active", "priority_id", "support_team_id"),
    "tickets": ("closure",),
}
#: Customers of whom a contact is looked for.
_MOST_ASKED = 5


def lines(options: Options, report: Report) -> Iterator[Line]:
    """Names and values, in their order; REPORT is what the test found."""
    found = _found(options)
    yield "brtel-notify", __version__
    yield "python", platform.python_version()
    for name in _names():
        yield name, found.get(name, NOT_SEEN)
    yield "test", f"failed (exit {report.code})" if report.code else "passed"


def _names() -> Iterator[str]:
    yield from ("api version", "own role", "sees customers", *_KINDS)
    yield from ("lookups", "miss of a lookup", "miss of an account", "time zone")
    yield from (f"list of {kind}" for kind in (*_KINDS, *_FILED))
    yield from ("internal notes", "users can be listed")
    yield from (f"{kind} have {name}" for kind, names in _MAY_HAVE.items() for name in names)


def _found(options: Options) -> Dict[str, str]:
    """What could be seen, until something stood in the way: the test has said what."""
    found: Dict[str, str] = {}
    try:
        services = services_of(options)
        try:
            for name, value in _look(services):
                found[name] = value
        finally:
            services.close()
    except (ApiError, ConfigError, CredentialsError, OutOfTime, OSError):
        pass
    return found


def _look(services: Services) -> Iterator[Line]:
    client, instance = services.client, services.instance
    answers = RawAnswers(client)
    if services.config.replies.customer_visible:
        yield "internal notes", "not wanted"
    elif visible_note.look(services.state_dir):
        yield "internal notes", "one came out visible"
    elif instance.internal:
        yield "internal notes", instance.internal
    if instance.offset is not None:
        yield "time zone", instance_proof.zone(instance.offset)
    yield "api version", _plain(client.version().version)
    user = instance_proof.who(client)
    if user and user.role is not None:
        yield "own role", str(user.role)
    lists = _lists(services, answers)
    ways = instance_proof.lookups(services, answers).partition(":")[0]
    yield "lookups", ways.partition(" (")[0]
    whole = _whole_customer(services, answers)
    yield "sees customers", _yes(rows_of(lists["customers"]))
    yield "users can be listed", _yes(form_of(lists["users"]))
    for kind in _KINDS:
        keys = keys_of([*rows_of(lists[kind]), *(whole if kind == "customers" else ())])
        if keys:
            yield kind, f"{dialect_of(keys) or 'no name tells'}: {', '.join(keys)}"
    for kind, answer in lists.items():
        if form_of(answer):
            yield f"list of {kind}", form_of(answer)
    for kind, names in _MAY_HAVE.items():
        rows = rows_of(lists[kind])
        for name in names if rows else ():
            yield f"{kind} have {name}", _yes(name in row for row in rows)
    nobody = instance_proof.NOBODYS
    yield "miss of a lookup", _miss(services, "/v1/customers/lookup", customer_account=nobody)
    yield "miss of an account", _miss(services, f"/v1/customerAccounts/{nobody}")


def _lists(services: Services, answers: RawAnswers) -> Dict[str, Any]:
    """A list of each kind, as it came; None where there is none to be had."""
    account = services.config.customer.fallback
    customers = instance_proof.search(answers, account) if account else None
    if not rows_of(customers):
        customers = instance_proof.search(answers, instance_proof.ANYBODY)
    return {
        "customers": customers,
        "contacts": _contacts(answers, rows_of(customers)),
        "users": answers.get("/v1/users"),
        "replies": answers.replies(),
        "tickets": answers.get("/v1/tickets"),
        "categories": answers.get("/v1/ticketing/categories"),
        "sub-categories": answers.get("/v1/ticketing/sub-categories"),
    }


def _whole_customer(services: Services, answers: RawAnswers) -> List[Dict[str, Any]]:
    """The fallback customer with all its fields: a search may show some of them only."""
    account = services.config.customer.fallback
    if not account:
        return []
    if services.instance.lookups:
        return rows_of(answers.get("/v1/customers/lookup", customer_account=account))
    return rows_of(answers.get(f"/v1/customerAccounts/{quote(account, safe='')}"))


def _contacts(answers: RawAnswers, customers: List[Dict[str, Any]]) -> Any:
    """The contacts of the first customer who has one; anybody's, where these have none."""
    found = None
    others = rows_of(instance_proof.search(answers, instance_proof.ANYBODY))
    for row in [*customers[:1], *others][:_MOST_ASKED]:
        asked = {"contactable_type": CUSTOMER_TYPE, "contactable_id": row.get("id")}
        answer = answers.get("/v1/contacts", **asked)
        found = answer if found is None or rows_of(answer) else found
        if rows_of(found):
            break
    return found


def _miss(services: Services, path: str, **params: str) -> str:
    """How an answer of PATH looks that says that there is nothing; not a word of it."""
    answer = unless_refused(lambda: services.client.answer("GET", path, params=params))
    if answer is None:
        return NOT_SEEN
    try:
        data = json.loads(answer.content)
    except (ValueError, RecursionError):
        return f"{answer.status}, no JSON"
    if not isinstance(data, dict):
        return f"{answer.status}, a {type(data).__name__}"
    words = " ".join(str(data.get(name, "")) for name in ("message", "response", "error"))
    said = ""
    if re.search(r"\broute\b", words):
        said = ", says that there is no such route"
    elif re.search(r"\bnot found\b|\bNo query results\b", words, re.IGNORECASE):
        said = ", says that it is not found"
    return f"{answer.status}, {', '.join(keys_of([data])) or 'nothing'}{said}"


def _yes(there: Any) -> str:
    if not isinstance(there, (str, list)) and isinstance(there, Iterable):
        there = any(there)
    return "yes" if there else "no"


def _plain(text: str) -> str:
    return text if re.fullmatch(r"[0-9A-Za-z.+-]{1,20}", text) else NOT_SEEN
