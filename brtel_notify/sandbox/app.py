"""The documented API as a Flask application: addresses, the token, and the form of the answers.

The web page (web.py) and the handles for tests (control.py) are part of the same application.

One module, though long: each address of the API's page has its few lines here.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping, Optional
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, current_app, g, jsonify, redirect, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchRoute
from werkzeug.wrappers import Response as AnyResponse

from .control import control
from .directory import Directory
from .errors import Rejected, not_found
from .faults import Faults
from .gate import Gate
from .journal import Journal
from .search import search
from .store import Store
from .tickets import Tickets
from .validation import Field, check, clean_input
from .web import web

api = Blueprint("api", __name__, url_prefix="/api")

_PUBLIC = ("api.login", "api.version")


def create_app(
    store: Optional[Store] = None,
    faults: Optional[Faults] = None,
    journal: Optional[Journal] = None,
) -> Flask:
    """Return the application over these parts, new ones where None."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False
    store, faults, journal = store or Store(), faults or Faults(), journal or Journal()
    app.extensions["brtel_sandbox"] = {
        "store": store,
        "faults": faults,
        "journal": journal,
        "tickets": Tickets(store),
        "directory": Directory(store),
    }
    app.register_blueprint(api)
    app.register_blueprint(control)
    app.register_blueprint(web)
    app.register_error_handler(Rejected, _refused)
    app.register_error_handler(HTTPException, _http_error)
    app.add_url_rule("/login", "login_page", _login_page)
    app.wsgi_app = Gate(app.wsgi_app, faults, journal)  # type: ignore[method-assign]
    return app


def _part(name: str) -> Any:
    return current_app.extensions["brtel_sandbox"][name]


def _tickets() -> Tickets:
    part: Tickets = _part("tickets")
    return part


def _directory() -> Directory:
    part: Directory = _part("directory")
    return part


def _faults() -> Faults:
    part: Faults = _part("faults")
    return part


# -- what goes in ------------------------------------------------------------------------------


@api.before_request
def _authenticate() -> Optional[AnyResponse]:
    if request.endpoint in _PUBLIC:
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    g.user = _part("store").user_of(token.strip()) if scheme.lower() == "bearer" else None
    if g.user is not None:
        return None
    if _wants_json():
        return _answer({"message": "Unauthenticated."}, 401)
    return redirect(request.host_url + "login")


def _wants_json() -> bool:
    # Laravel looks at the first type that the client accepts, and at nothing else.
    first = request.headers.get("Accept", "").split(",")[0].lower()
    return "/json" in first or "+json" in first


def _body() -> Mapping[str, Any]:
    data = request.get_json(silent=True) if request.is_json else request.form.to_dict()
    cleaned = clean_input(data)
    return cleaned if isinstance(cleaned, dict) else {}


def _query(*names: str, kind: str = "string") -> List[Any]:
    data = clean_input({name: request.args.get(name) for name in names})
    values = check(data, {name: Field(kind, required=True) for name in names})
    return [values[name] for name in names]


def _entity() -> List[Any]:
    """Return ticketable_type and ticketable_id of the query string, None where not given."""
    kind = clean_input(request.args.get("ticketable_type"))
    number = clean_input(request.args.get("ticketable_id"))
    values = check({"ticketable_id": number}, {"ticketable_id": Field("integer", nullable=True)})
    return [kind, values["ticketable_id"]]


def _cut_subject() -> bool:
    return _faults().long_subject == "cut"


# -- what comes out ----------------------------------------------------------------------------


def _answer(data: Any, status: int = 200) -> Response:
    if _faults().booleans == "int":
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


def _list(rows: List[Any], wrapped_anyway: bool = False) -> Response:
    """Answer a list bare, wrapped or by the page, as the setting `wrap` says."""
    wrap = _faults().wrap
    if wrap == "paged":
        return _answer(_page(rows))
    return _answer({"data": rows} if wrap == "data" or wrapped_anyway else rows)


def _page(rows: List[Any]) -> Dict[str, Any]:
    size = max(1, _faults().page_size)
    last = max(1, math.ceil(len(rows) / size))
    text = request.args.get("page", "1")
    page = max(1, int(text)) if text.isdecimal() else 1
    start = (page - 1) * size
    part = rows[start : start + size]
    return {
        "data": part,
        "links": {
            "first": _page_url(1),
            "last": _page_url(last),
            "prev": _page_url(page - 1) if page > 1 else None,
            "next": _page_url(page + 1) if page < last else None,
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


def _page_url(page: int) -> str:
    query = [(key, value) for key, value in request.args.items(multi=True) if key != "page"]
    return f"{request.base_url}?{urlencode([*query, ('page', str(page))])}"


def _refused(error: Rejected) -> AnyResponse:
    if _wants_json() or request.path.startswith("/__sandbox__"):
        return _answer(error.answer(), error.status)
    if error.status == 422:
        return redirect(request.host_url)  # Laravel goes back to the form that was filled in
    return _html_error(error.status, error.message)


def _http_error(error: HTTPException) -> AnyResponse:
    status = error.code or 500
    path = request.path.strip("/")
    text = "Server Error"
    if isinstance(error, NoSuchRoute):
        text = f"The route {path} could not be found."
    elif isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or []))
        text = f"The {request.method} method is not supported for route {path}. "
        text += f"Supported methods: {allowed}."
    elif status < 500:
        text = error.description or error.name
    if _wants_json() or request.path.startswith("/__sandbox__"):
        return _answer({"message": text}, status)
    return _html_error(status, error.name)


def _html_error(status: int, text: str) -> AnyResponse:
    page = f"<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>{status}</h1>"
    return Response(f"{page}<p>{text}</p></body></html>\n", status, mimetype="text/html")


# -- outside the API ---------------------------------------------------------------------------


def _login_page() -> AnyResponse:
    return Response(
        "<!DOCTYPE html>\n<html><head><title>Login</title></head>"
        "<body><form method='post'>Email <input name='email'> Password <input name='password'>"
        "</form></body></html>\n",
        mimetype="text/html",
    )


# -- authentication and version ----------------------------------------------------------------


@api.post("/login")
def login() -> AnyResponse:
    """Hand out a further token."""
    fields = {"email": Field("string", required=True), "password": Field("string", required=True)}
    values = check(_body(), fields)
    found = _part("store").login(values["email"], values["password"])
    if found is None:
        return _answer({"message": "Unauthorized"}, 401)
    user = found["user"]
    return _answer(
        {
            "token": found["token"],
            "user": {key: user[key] for key in ("id", "name", "email")},
            "teams": [],
            "support_teams": _directory().teams_of(user),
        }
    )


@api.get("/version")
def version() -> AnyResponse:
    """Say that the API is up; needs no token."""
    url = request.host_url.rstrip("/")
    return _answer({"version": "1.0", "status": "ok", "vendor": "blue_rock_tel", "url": url})


# -- what tickets refer to ---------------------------------------------------------------------


@api.get("/v1/ticketing/priorities")
def priorities() -> AnyResponse:
    """List the priorities."""
    return _list(_directory().priorities())


@api.get("/v1/ticketing/categories")
def categories() -> AnyResponse:
    """List the categories."""
    return _list(_directory().categories())


@api.get("/v1/ticketing/sub-categories")
def sub_categories() -> AnyResponse:
    """List the sub-categories."""
    return _list(_directory().sub_categories())


@api.get("/v1/ticketing/statuses")
def statuses() -> AnyResponse:
    """List the statuses."""
    return _list(_directory().statuses())


@api.get("/v1/ticketing/support-teams")
def support_teams() -> AnyResponse:
    """List the support teams."""
    return _list(_directory().support_teams())


# -- customers, PBX hosts, contacts ------------------------------------------------------------


@api.get("/v1/customers/search")
def customers_search() -> AnyResponse:
    """Search customers by a term."""
    return _list(_directory().search(*_query("term")))


@api.get("/v1/customers/lookup")
def customers_lookup() -> AnyResponse:
    """Find a customer by its account."""
    return _answer(_directory().lookup(*_query("customer_account")))


@api.get("/v1/pbx3cx-hosts/lookup")
def hosts_lookup() -> AnyResponse:
    """Find a PBX host by its name."""
    (host_name,) = _query("host_name")
    host = _directory().host(host_name)
    if not host:
        raise not_found("Pbx3cxHost", host_name)
    return _answer(host)


@api.get("/v1/pbx3cx-hosts/lookup-by-customer")
def hosts_lookup_by_customer() -> AnyResponse:
    """List the PBX hosts of a customer account; in {"data": …} whatever the setting."""
    return _list(_directory().hosts_of(*_query("customer_account")), wrapped_anyway=True)


@api.get("/v1/contacts")
def contacts() -> AnyResponse:
    """List the contacts of a customer."""
    (kind,) = _query("contactable_type")
    (number,) = _query("contactable_id", kind="integer")
    return _list(_directory().contacts(kind, number))


# -- tickets -----------------------------------------------------------------------------------


@api.get("/v1/tickets")
def tickets_index() -> AnyResponse:
    """List open tickets, or all of one customer."""
    return _list(_tickets().index(*_entity()))


@api.post("/v1/tickets")
def tickets_create() -> AnyResponse:
    """Open a ticket."""
    kind, number = _entity()
    return _answer(_tickets().create(g.user, kind, number, _body(), _cut_subject()), 201)


@api.get("/v1/tickets/counts")
def tickets_counts() -> AnyResponse:
    """Count tickets."""
    return _answer(_tickets().counts(g.user))


@api.get("/v1/tickets/search")
def tickets_search() -> AnyResponse:
    """Search tickets by filters."""
    return _list(search(_tickets(), g.user, request.args.items(multi=True)))


@api.get("/v1/tickets/<int:number>")
def tickets_show(number: int) -> AnyResponse:
    """Show a ticket."""
    return _answer(_tickets().show(number))


@api.put("/v1/tickets/<int:number>")
def tickets_update(number: int) -> AnyResponse:
    """Change a ticket."""
    return _answer(_tickets().update(number, _body(), _cut_subject()), 201)


@api.delete("/v1/tickets/<int:number>")
def tickets_delete(number: int) -> AnyResponse:
    """Delete a ticket."""
    return _answer(_tickets().delete(number))


@api.put("/v1/tickets/close/<int:number>")
def tickets_close(number: int) -> AnyResponse:
    """Close a ticket."""
    return _answer(_tickets().close(number), 201)


@api.put("/v1/tickets/open/<int:number>")
def tickets_open(number: int) -> AnyResponse:
    """Open a ticket again."""
    return _answer(_tickets().open(number), 201)


@api.put("/v1/tickets/reopen/<int:number>")
def tickets_reopen(number: int) -> AnyResponse:
    """Cancel a pending closure."""
    return _answer(_tickets().reopen(number), 201)


@api.put("/v1/tickets/assign/<int:number>")
def tickets_assign(number: int) -> AnyResponse:
    """Assign a ticket."""
    return _answer(_tickets().assign(g.user, number, _body()), 201)


@api.put("/v1/tickets/free/<int:number>")
def tickets_free(number: int) -> AnyResponse:
    """Take the assignee off a ticket."""
    return _answer(_tickets().free(number), 201)


@api.put("/v1/tickets/amend/<int:number>")
def tickets_amend(number: int) -> AnyResponse:
    """Add time to a ticket."""
    return _answer(_tickets().amend(number, _body()), 201)


@api.get("/v1/tickets/<int:number>/customer")
def tickets_customer(number: int) -> AnyResponse:
    """Show the customer of a ticket."""
    return _answer(_tickets().customer(number))


@api.put("/v1/tickets/<int:number>/associates")
def tickets_associates(number: int) -> AnyResponse:
    """Attach and detach contacts."""
    return _answer(_tickets().associates(number, _body()), 201)


# -- replies -----------------------------------------------------------------------------------


@api.get("/v1/replies")
def replies_index() -> AnyResponse:
    """List the replies of a ticket."""
    return _list(_tickets().replies(*_query("ticket_id", kind="integer")))


@api.post("/v1/replies")
def replies_create() -> AnyResponse:
    """Add a reply to a ticket."""
    (number,) = _query("ticket_id", kind="integer")
    return _answer(_tickets().reply(g.user, number, _body()), 201)
