"""The web page: tickets as people at the support desk see them, faults, and the API's calls.

Plain pages that work without a script; with it, they follow what happens (web/live.js).
"""

from __future__ import annotations

import math
from typing import Any, List, NamedTuple, Optional
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as AnyResponse

from . import origin, pages, switches
from .errors import Rejected
from .faults import Faults
from .instance import CHOICES, PRESETS, Instance
from .journal import Journal
from .seed import TOKEN
from .store import Store
from .tickets import Tickets
from .views import Row, Views
from .words import LANGUAGES

web = Blueprint("web", __name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline runs and nothing is fetched from elsewhere, whatever an alert says."""

STATES = ("all", "open", "closed")
ROWS_A_PAGE = 50
LATEST_CALLS = 12
MOST_CALLS = 200
_A_YEAR = 365 * 86400

WELCOME = """This is the brtel-notify sandbox, a local BlueRockTEL to try against.

The API is at {root}api and takes the documented calls with a token, for example:

    curl -H 'Authorization: Bearer sandbox-token' -H 'Accept: application/json' {root}api/v1/tickets

A browser shows its tickets at {root}. The calls it got are at {root}__sandbox__/requests,
its data at {root}__sandbox__/data, its faults at {root}__sandbox__/faults, which BlueRockTEL it is
at {root}__sandbox__/instance.
"""


class Filters(NamedTuple):
    """What a list shows: a word of STATES, a customer's id, a page of the list from 1."""

    state: str
    customer: Optional[int]
    page: int

    def url(self, **changes: Any) -> str:
        """Return the address of the list with these filters changed."""
        values = {**self._asdict(), "page": 1, **changes}
        usual = {"state": "all", "customer": None, "page": 1}
        query = urlencode({key: value for key, value in values.items() if value != usual[key]})
        return f"/?{query}" if query else "/"


def _part(name: str) -> Any:
    return current_app.extensions["brtel_sandbox"][name]


def _store() -> Store:
    part: Store = _part("store")
    return part


def _faults() -> Faults:
    part: Faults = _part("faults")
    return part


def _instance() -> Instance:
    return _store().instance


def _journal() -> Journal:
    part: Journal = _part("journal")
    return part


def _tickets() -> Tickets:
    part: Tickets = _part("tickets")
    return part


# -- around every page -------------------------------------------------------------------------


@web.before_request
def _refuse_other_sites() -> Optional[AnyResponse]:
    if request.method in ("GET", "HEAD") or origin.is_own(request):
        return None
    return _page("message.html.j2", 403, message="refused")


@web.after_request
def _protect(response: Response) -> Response:
    headers = response.headers
    headers["Content-Security-Policy"] = POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    # Not no-referrer: with that, browsers would not say where a form was sent from.
    headers["Referrer-Policy"] = "same-origin"
    headers["Cache-Control"] = "no-cache"
    headers["Vary"] = "Accept, Accept-Language, Cookie"
    wanted = request.args.get("lang")
    if wanted in LANGUAGES:
        response.set_cookie("lang", wanted, max_age=_A_YEAR, httponly=True, samesite="Lax")
    if request.method in ("GET", "HEAD") and response.status_code == 200:
        response.add_etag()
        response.make_conditional(request)
    return response


@web.errorhandler(HTTPException)
def _error(error: HTTPException) -> AnyResponse:
    return _page("message.html.j2", error.code or 500, message="not_there")


@web.errorhandler(Rejected)
def _refused(error: Rejected) -> AnyResponse:
    return _page("message.html.j2", error.status, message="not_there")


def _language() -> str:
    for wanted in (request.args.get("lang"), request.cookies.get("lang")):
        if wanted in LANGUAGES:
            return wanted
    return request.accept_languages.best_match(LANGUAGES) or "en"


def _page(template: str, status: int = 200, **values: Any) -> AnyResponse:
    faults = _faults()
    text = pages.render(
        template,
        _language(),
        here=_here(),
        language_urls={code: _here(lang=code) for code in LANGUAGES},
        open_count=len(Views(_store()).rows("open")),
        switches=switches.switches(faults),
        other_faults=switches.others(faults),
        instance=_instance().show()["instance"],
        instances=tuple(PRESETS),
        traits=switches.traits(_instance()),
        **values,
    )
    return Response(text, status, mimetype="text/html")


def _here(**changes: str) -> str:
    """Return the address of this page, path and query, with parts of the query changed."""
    query = {**request.args.to_dict(), **changes}
    if "lang" not in changes:
        query.pop("lang", None)
    return f"{request.path}?{urlencode(query)}" if query else request.path


# -- pages -------------------------------------------------------------------------------------


@web.get("/")
def tickets() -> AnyResponse:
    """List tickets to a browser; tell a program what this is."""
    if "text/html" not in request.headers.get("Accept", ""):
        return Response(WELCOME.format(root=request.host_url), mimetype="text/plain")
    filters, views = _filters(), Views(_store())
    rows = {state: views.rows(state, filters.customer) for state in STATES}
    shown = rows[filters.state]
    return _page(
        "tickets.html.j2",
        filters=filters,
        states=STATES,
        counts={state: len(found) for state, found in rows.items()},
        customers=views.customers(),
        rows=_cut(shown, filters.page),
        page_count=max(1, math.ceil(len(shown) / ROWS_A_PAGE)),
        calls=_journal().latest(LATEST_CALLS),
        api_url=f"{request.host_url}api",
        token=TOKEN if _store().user_of(TOKEN) else None,
    )


@web.get("/tickets/<int:number>")
def ticket(number: int) -> AnyResponse:
    """Show one ticket."""
    shown = Views(_store()).page(number)
    if shown is None:
        raise NotFound
    return _page("ticket.html.j2", ticket=shown)


@web.get("/calls")
def calls() -> AnyResponse:
    """Show the calls that the API got, the last one first."""
    return _page("calls.html.j2", calls=_journal().latest(MOST_CALLS), most=MOST_CALLS)


@web.get("/web/<name>")
def file(name: str) -> AnyResponse:
    """Hand out the stylesheet, the script, the icon."""
    if name not in pages.FILES:
        raise NotFound
    return Response(pages.file(name), mimetype=pages.FILES[name])


def _filters() -> Filters:
    state = request.args.get("state", "")
    customer = request.args.get("customer", "", str)
    page = request.args.get("page", 1, int)
    return Filters(
        state=state if state in STATES else "all",
        customer=int(customer) if customer.isascii() and customer.isdigit() else None,
        page=max(1, page),
    )


def _cut(rows: List[Row], page: int) -> List[Row]:
    return rows[(page - 1) * ROWS_A_PAGE : page * ROWS_A_PAGE]


# -- what a page can do ------------------------------------------------------------------------


@web.post("/web/faults")
def switch_fault() -> AnyResponse:
    """Switch one fault, or all of them off."""
    name = request.form.get("fault", "")
    if name == "all":
        _faults().clear()
    else:
        try:
            switches.turn(_faults(), name, request.form.get("on") == "1")
        except KeyError:
            raise NotFound from None
    return _back()


@web.post("/web/instance")
def switch_instance() -> AnyResponse:
    """Be another instance, or change one of its switches."""
    wanted = {key: request.form[key] for key in ("instance", *CHOICES) if key in request.form}
    try:
        _instance().set(wanted)
    except ValueError:
        raise NotFound from None
    return _back()


@web.post("/web/calls")
def forget_calls() -> AnyResponse:
    """Forget the calls."""
    _journal().clear()
    return _back()


@web.post("/web/tickets/<int:number>")
def change_ticket(number: int) -> AnyResponse:
    """Close or open a ticket, as a person at the support desk would."""
    if request.form.get("open") == "1":
        _tickets().open(number)
    else:
        _tickets().close(number)
    return _back()


def _back() -> AnyResponse:
    """Go back to the page whose form this was, and to no other site."""
    here = request.form.get("here", "/")
    inside = here.startswith("/") and not here.startswith(("//", "/\\"))
    return redirect(here if inside else "/", 303)
