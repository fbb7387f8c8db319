"""The API as a Flask application: the addresses of the two pages, the token, and what is refused.

The addresses that only the SDK knows (older.py), the web page (web.py) and the handles for tests
(control.py) are part of the same application.
"""

from __future__ import annotations

from typing import Optional

from flask import Blueprint, Flask, Response, g, redirect, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.exceptions import NotFound as NoSuchRoute
from werkzeug.wrappers import Response as AnyResponse

from . import dialect
from .control import control
from .directory import Directory
from .errors import NotFound, Rejected, not_found
from .exchange import (
    answer,
    body,
    cuts_subject,
    directory,
    entity,
    instance,
    one_customer,
    posted_reply,
    posted_ticket,
    query,
    record,
    records,
    replied_ticket,
    sent,
    store,
    tickets,
    wants_json,
)
from .faults import Faults
from .gate import Gate
from .journal import Journal
from .older import older
from .search import search
from .store import Store
from .tickets import Tickets
from .validation import Field, check
from .web import web

api = Blueprint("api", __name__, url_prefix="/api")
api.register_blueprint(older)

_PUBLIC = ("api.login", "api.version")
_LOOKUPS = ("api.customers_lookup", "api.hosts_lookup", "api.hosts_lookup_by_customer")


def create_app(
    data: Optional[Store] = None,
    faults: Optional[Faults] = None,
    journal: Optional[Journal] = None,
) -> Flask:
    """Return the application over these parts, new ones where None."""
    app = Flask(__name__, static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = False
    data, faults, journal = data or Store(), faults or Faults(), journal or Journal()
    app.extensions["brtel_sandbox"] = {
        "store": data,
        "faults": faults,
        "journal": journal,
        "tickets": Tickets(data),
        "directory": Directory(data),
    }
    app.register_blueprint(api)
    app.register_blueprint(control)
    app.register_blueprint(web)
    app.register_error_handler(Rejected, _refused)
    app.register_error_handler(HTTPException, _http_error)
    app.add_url_rule("/login", "login_page", _login_page)
    app.wsgi_app = Gate(app.wsgi_app, faults, journal)  # type: ignore[method-assign]
    return app


# -- around every call ------------------------------------------------------------------------


@api.before_request
def _authenticate() -> Optional[AnyResponse]:
    if request.endpoint in _LOOKUPS and instance().lookup == "no":
        raise NoSuchRoute
    if request.endpoint in _PUBLIC:
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    g.user = store().user_of(token.strip()) if scheme.lower() == "bearer" else None
    if g.user is not None:
        return None
    if wants_json():
        return answer({"message": "Unauthenticated."}, 401)
    return redirect(request.host_url + "login")


def _refused(error: Rejected) -> AnyResponse:
    inside = request.path.startswith("/api/")
    if isinstance(error, NotFound) and inside and instance().miss == "soft":
        return answer({"response": f"{error.model} not found"})
    if wants_json() or request.path.startswith("/__sandbox__"):
        return answer(dialect.complaints(instance(), error.answer()), error.status)
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
    if wants_json() or request.path.startswith("/__sandbox__"):
        return answer({"message": text}, status)
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
    values = check(body(), fields)
    found = store().login(values["email"], values["password"])
    if found is None:
        return answer({"message": "Unauthorized"}, 401)
    user = found["user"]
    return answer(
        {
            "token": found["token"],
            "user": {key: user[key] for key in ("id", "name", "email")},
            "teams": [],
            "support_teams": directory().teams_of(user),
        }
    )


@api.get("/version")
def version() -> AnyResponse:
    """Say that the API is up; needs no token."""
    url = request.host_url.rstrip("/")
    return answer({"version": "1.0", "status": "ok", "vendor": "blue_rock_tel", "url": url})


# -- what tickets refer to ---------------------------------------------------------------------


@api.get("/v1/ticketing/priorities")
def priorities() -> AnyResponse:
    """List the priorities."""
    return records("priority", directory().priorities())


@api.get("/v1/ticketing/categories")
def categories() -> AnyResponse:
    """List the categories."""
    return records("category", directory().categories())


@api.get("/v1/ticketing/sub-categories")
def sub_categories() -> AnyResponse:
    """List the sub-categories."""
    return records("sub_category", directory().sub_categories())


@api.get("/v1/ticketing/statuses")
def statuses() -> AnyResponse:
    """List the statuses."""
    return records("status", directory().statuses())


@api.get("/v1/ticketing/support-teams")
def support_teams() -> AnyResponse:
    """List the support teams."""
    return records("support_team", directory().support_teams())


# -- customers, PBX hosts, contacts ------------------------------------------------------------


@api.get("/v1/customers/search")
def customers_search() -> AnyResponse:
    """Search customers by a term."""
    return records("customer", directory().search(query("term")))


@api.get("/v1/customers/lookup")
def customers_lookup() -> AnyResponse:
    """Find a customer by its account."""
    account = query("customer_account")
    found = directory().lookup(account)
    if not found["found"] and instance().miss == "soft":
        raise not_found("Customer", account)
    return record("lookup", found)


@api.get("/v1/pbx3cx-hosts/lookup")
def hosts_lookup() -> AnyResponse:
    """Find a PBX host by its name."""
    host_name = query("host_name")
    host = directory().host(host_name)
    if not host:
        raise not_found("Pbx3cxHost", host_name)
    return record("pbx_host", host)


@api.get("/v1/pbx3cx-hosts/lookup-by-customer")
def hosts_lookup_by_customer() -> AnyResponse:
    """List the PBX hosts of a customer account; in {"data": …} whatever the setting."""
    hosts = directory().hosts_of(query("customer_account"))
    return records("pbx_host", hosts, wrapped_anyway=True)


@api.get("/v1/contacts")
def contacts() -> AnyResponse:
    """List the contacts of a customer."""
    kind = query("contactable_type")
    number = query("contactable_id", kind="integer")
    return records("contact", directory().contacts(kind, number))


# -- tickets -----------------------------------------------------------------------------------


@api.get("/v1/tickets")
def tickets_index() -> AnyResponse:
    """List open tickets, or all of one customer."""
    return records("ticket", tickets().index(*entity()))


@api.post("/v1/tickets")
def tickets_create() -> AnyResponse:
    """Open a ticket."""
    kind, number = entity()
    created = tickets().create(g.user, kind, number, posted_ticket(), cuts_subject())
    return record("ticket", created, 201)


@api.get("/v1/tickets/counts")
def tickets_counts() -> AnyResponse:
    """Count tickets."""
    return answer(tickets().counts(g.user))


@api.get("/v1/tickets/search")
def tickets_search() -> AnyResponse:
    """Search tickets by filters."""
    return records("ticket", search(tickets(), g.user, request.args.items(multi=True)))


@api.get("/v1/tickets/<int:number>")
def tickets_show(number: int) -> AnyResponse:
    """Show a ticket."""
    return record("ticket", tickets().show(number))


@api.put("/v1/tickets/<int:number>")
def tickets_update(number: int) -> AnyResponse:
    """Change a ticket."""
    return record("ticket", tickets().update(number, posted_ticket(), cuts_subject()), 201)


@api.delete("/v1/tickets/<int:number>")
def tickets_delete(number: int) -> AnyResponse:
    """Delete a ticket."""
    return answer(tickets().delete(number))


@api.put("/v1/tickets/close/<int:number>")
def tickets_close(number: int) -> AnyResponse:
    """Close a ticket."""
    return answer(tickets().close(number), 201)


@api.put("/v1/tickets/open/<int:number>")
def tickets_open(number: int) -> AnyResponse:
    """Open a ticket again."""
    return answer(tickets().open(number), 201)


@api.put("/v1/tickets/reopen/<int:number>")
def tickets_reopen(number: int) -> AnyResponse:
    """Cancel a pending closure."""
    return answer(tickets().reopen(number), 201)


@api.put("/v1/tickets/assign/<int:number>")
def tickets_assign(number: int) -> AnyResponse:
    """Assign a ticket."""
    return record("user", tickets().assign(g.user, number, sent()), 201)


@api.put("/v1/tickets/free/<int:number>")
def tickets_free(number: int) -> AnyResponse:
    """Take the assignee off a ticket."""
    return answer(tickets().free(number), 201)


@api.put("/v1/tickets/amend/<int:number>")
def tickets_amend(number: int) -> AnyResponse:
    """Add time to a ticket."""
    return answer(tickets().amend(number, body()), 201)


@api.get("/v1/tickets/<int:number>/customer")
def tickets_customer(number: int) -> AnyResponse:
    """Show the customer of a ticket."""
    return one_customer(tickets().customer(number))


@api.put("/v1/tickets/<int:number>/associates")
def tickets_associates(number: int) -> AnyResponse:
    """Attach and detach contacts."""
    return answer(tickets().associates(number, body()), 201)


# -- replies -----------------------------------------------------------------------------------


@api.get("/v1/replies")
def replies_index() -> AnyResponse:
    """List the replies of a ticket."""
    return records("reply", tickets().replies(replied_ticket()))


@api.post("/v1/replies")
def replies_create() -> AnyResponse:
    """Add a reply to a ticket."""
    reply = tickets().reply(g.user, replied_ticket(), posted_reply())
    return record("reply", reply, 201)
