"""``GET /v1/tickets/search``: the filters and includes, as Spatie's QueryBuilder reads them.

Values are split at commas (any of them matches); an empty value filters nothing; an unknown filter
or include is a 400. A scope (`open`, `closed`, `my_tickets`, `my_teams_tickets`) applies whatever
its value is, since Spatie calls it with the value and these scopes take none.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterable, List, Tuple

from .errors import bad_request
from .seed import Record
from .tickets import Tickets

_FILTER = re.compile(r"filter\[([^\]]*)\](?:\[\d*\])?")

_PARTIAL = ("number", "email", "body")
_EXACT = (
    "ticketable_type",
    "ticketable_id",
    "assignee_id",
    "status_id",
    "priority_id",
    "team_id",
)
_SCOPES = ("open", "closed", "my_tickets", "my_teams_tickets")
_FILTERS = (*_PARTIAL, *_EXACT, *_SCOPES)
_INCLUDES = ("assigner", "contract", "customer", "documents", "replies", "team", "ticketable")

Query = Iterable[Tuple[str, str]]


def search(tickets: Tickets, user: Record, query: Query) -> List[Record]:
    """Return the tickets that all filters of the query string let through, by id.

    `query` is the decoded pairs of the query string. Raises Rejected (400).
    """
    query = list(query)
    filters, includes = read_filters(query, _FILTERS), _read_includes(query)
    with tickets.store.reading() as tables:
        rows = sorted(tables["tickets"].values(), key=lambda row: int(row["id"]))
        for name, values in filters.items():
            lets_through = _test(tickets, user, name, values)
            rows = [row for row in rows if lets_through(row)]
        return [{**tickets.listed(row), **_included(tickets, row, includes)} for row in rows]


def read_filters(query: Query, known: Iterable[str]) -> Dict[str, List[str]]:
    """Return the values of each filter that has some; raises Rejected (400) for an unknown one."""
    filters: Dict[str, List[str]] = {}
    for key, text in query:
        found = _FILTER.fullmatch(key)
        if found:
            filters.setdefault(found.group(1), []).extend(filter(None, text.strip().split(",")))
    _known("filter", filters, known)
    return {name: values for name, values in filters.items() if values}


def _read_includes(query: Query) -> List[str]:
    texts = [text for key, text in query if key == "include"]
    includes = [name for name in texts[-1].split(",") if name] if texts else []
    _known("include", includes, _INCLUDES)
    return includes


def _known(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise bad_request(
            f"Requested {what}(s) `{', '.join(unknown)}` are not allowed. "
            f"Allowed {what}(s) are `{', '.join(known)}`."
        )


def _test(tickets: Tickets, user: Record, name: str, values: List[str]) -> Callable[[Record], bool]:
    if name in _EXACT:
        return lambda row: str(row[name]) in values
    if name in _PARTIAL:
        parts = [value.lower() for value in values]
        return lambda row: any(
            part in text.lower() for text in _texts(tickets, row, name) for part in parts
        )
    teams = [
        team["id"]
        for team in tickets.store.tables["support_teams"].values()
        if user["id"] in team["users"]
    ]
    scopes: Dict[str, Callable[[Record], bool]] = {
        "open": lambda row: bool(row["open"]),
        "closed": lambda row: not row["open"],
        "my_tickets": lambda row: bool(row["assignee_id"] == user["id"]),
        "my_teams_tickets": lambda row: row["team_id"] in teams,
    }
    return scopes[name]


def _texts(tickets: Tickets, row: Record, name: str) -> List[str]:
    if name != "email":
        return [row[name]]
    contacts = tickets.store.tables["contacts"]
    return [contacts[each]["email_address"] for each in row["contacts"] if each in contacts]


def _included(tickets: Tickets, row: Record, includes: Iterable[str]) -> Record:
    makers: Dict[str, Callable[[], Any]] = {
        "assigner": lambda: tickets.user(row["assigned_by"]),
        "contract": lambda: None,
        "customer": lambda: tickets.customer_of(row),
        "documents": list,
        "replies": lambda: [dict(reply) for reply in row["replies"]],
        "team": lambda: tickets.store.tables["support_teams"].get(row["team_id"]),
        "ticketable": lambda: tickets.customer_of(row),
    }
    return {name: makers[name]() for name in includes}
