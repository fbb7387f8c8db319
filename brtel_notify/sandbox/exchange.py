"""What goes in and what comes out at every address of the API, in the dialect of the instance."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import urlencode

from flask import Response, current_app, jsonify, request

from . import dialect
from .directory import Directory
from .faults import Faults
from .instance import Instance
from .store import Store
from .tickets import Tickets
from .validation import Field, check, clean_input

PER_PAGE, MOST_PER_PAGE = 20, 100


def _part(name: str) -> Any:
    return current_app.extensions["brtel_sandbox"][name]


def store() -> Store:
    """The data."""
    part: Store = _part("store")
    return part


def tickets() -> Tickets:
    """The rules of tickets."""
    part: Tickets = _part("tickets")
    return part


def directory() -> Directory:
    """Customers, contacts and lists."""
    part: Directory = _part("directory")
    return part


def faults() -> Faults:
    """The faults in force."""
    part: Faults = _part("faults")
    return part


def instance() -> Instance:
    """Which BlueRockTEL this is."""
    return store().instance


# -- what goes in ------------------------------------------------------------------------------


def wants_json() -> bool:
    """Say whether the client asks for JSON; without, Laravel answers people."""
    # Laravel looks at the first type that the client accepts, and at nothing else.
    first = request.headers.get("Accept", "").split(",")[0].lower()
    return "/json" in first or "+json" in first


def body() -> Mapping[str, Any]:
    """Return what was posted, {} for what is no object."""
    data = request.get_json(silent=True) if request.is_json else request.form.to_dict()
    cleaned = clean_input(data)
    return cleaned if isinstance(cleaned, dict) else {}


def sent() -> Mapping[str, Any]:
    """Return the parameters of the query string and, where it has none, of what was posted."""
    args = clean_input(request.args.to_dict())
    posted = {} if request.method == "GET" else body()
    return {**posted, **{name: value for name, value in args.items() if value is not None}}


def query(name: str, kind: str = "string") -> Any:
    """Return a parameter of the query string; raises Rejected (422) where it is missing."""
    data = clean_input({name: request.args.get(name)})
    return check(data, {name: Field(kind, required=True)})[name]


def entity() -> Tuple[Optional[str], Optional[int]]:
    """Return ticketable_type and ticketable_id, None where not given."""
    fields = {"ticketable_type": Field("string"), "ticketable_id": Field("integer")}
    values = check(sent(), fields)
    return values.get("ticketable_type"), values.get("ticketable_id")


def replied_ticket() -> int:
    """Return the ticket that a call about replies names."""
    data = dialect.given(instance(), sent(), dialect.REPLY_NAMES)
    number: int = check(data, {"ticket_id": Field("integer", required=True)})["ticket_id"]
    return number


def posted_reply() -> Mapping[str, Any]:
    """Return the posted fields of a reply by the names of the pages."""
    return dialect.given(instance(), body(), dialect.REPLY_NAMES)


def posted_ticket() -> Mapping[str, Any]:
    """Return the posted fields of a ticket by the names of the pages."""
    return dialect.given(instance(), body(), dialect.TICKET_NAMES)


def cuts_subject() -> bool:
    """Say whether a long subject is cut, and not refused."""
    return faults().long_subject == "cut"


# -- what comes out ----------------------------------------------------------------------------


def answer(data: Any, status: int = 200) -> Response:
    """Answer JSON."""
    if faults().booleans == "int":
        data = _integers_for_booleans(data)
    response = jsonify(data)
    response.status_code = status
    return response


def _integers_for_booleans(data: Any) -> Any:
    if isinstance(data, bool):
        return int(data)
    if isinstance(data, dict):
        return {key: _integers_for_booleans(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_integers_for_booleans(value) for value in data]
    return data


def record(kind: str, data: Any, status: int = 200) -> Response:
    """Answer one record of a `kind` (see dialect.py)."""
    return answer(_said(kind, data), status)


def one_customer(data: Any) -> Response:
    """Answer one customer, which the SDK's instance wraps."""
    shown = _said("customer", data)
    return answer({"customer": shown} if instance().names == "camel" else shown)


def records(kind: str, rows: List[Any], wrapped_anyway: bool = False) -> Response:
    """Answer a list bare, wrapped or by the page, as the setting `wrap` says."""
    rows = _said(kind, rows)
    wrap = faults().wrap
    if wrap == "paged":
        return answer(_resource_page(rows))
    return answer({"data": rows} if wrap == "data" or wrapped_anyway else rows)


def paginated(kind: str, rows: List[Any]) -> Response:
    """Answer one page as Laravel's paginator does by itself: all at the top level."""
    size = min(max(1, _number("per_page", PER_PAGE)), MOST_PER_PAGE)
    part, page, last = _cut(rows, size)
    start = (page - 1) * size
    before, after = _neighbours(page, last)
    numbered = [(str(each), _page_url(each), each == page) for each in range(1, last + 1)]
    links = [("&laquo; Previous", before, False), *numbered, ("Next &raquo;", after, False)]
    return answer(
        {
            "current_page": page,
            "data": _said(kind, part),
            "first_page_url": _page_url(1),
            "from": start + 1 if part else None,
            "last_page": last,
            "last_page_url": _page_url(last),
            "links": [
                {"url": url, "label": label, "active": active} for label, url, active in links
            ],
            "next_page_url": after,
            "path": request.base_url,
            "per_page": size,
            "prev_page_url": before,
            "to": start + len(part) if part else None,
            "total": len(rows),
        }
    )


def _said(kind: str, data: Any) -> Any:
    return dialect.said(instance(), kind, data, request.method)


def _resource_page(rows: List[Any]) -> Dict[str, Any]:
    size = max(1, faults().page_size)
    part, page, last = _cut(rows, size)
    start = (page - 1) * size
    before, after = _neighbours(page, last)
    return {
        "data": part,
        "links": {
            "first": _page_url(1),
            "last": _page_url(last),
            "prev": before,
            "next": after,
        },
        "meta": {
            "current_page": page,
            "from": start + 1 if part else None,
            "last_page": last,
            "path": request.base_url,
            "per_page": size,
            "to": start + len(part) if part else None,
            "total": len(rows),
        },
    }


def _cut(rows: List[Any], size: int) -> Tuple[List[Any], int, int]:
    """Return the rows of the page that is asked for, its number, and the last page's."""
    page = max(1, _number("page", 1))
    return rows[(page - 1) * size : page * size], page, max(1, math.ceil(len(rows) / size))


def _neighbours(page: int, last: int) -> Tuple[Optional[str], Optional[str]]:
    before = _page_url(page - 1) if page > 1 else None
    return before, _page_url(page + 1) if page < last else None


def _number(name: str, default: int) -> int:
    text = request.args.get(name, "")
    return int(text) if text.isdecimal() else default


def _page_url(page: int) -> str:
    query = [(key, value) for key, value in request.args.items(multi=True) if key != "page"]
    return f"{request.base_url}?{urlencode([*query, ('page', str(page))])}"
