"""``/__sandbox__/``: the handles by which tests and people work the sandbox.

No token, no faults, no entry in the list of calls.
"""

from __future__ import annotations

from typing import Any, Optional

from flask import Blueprint, Response, current_app, jsonify, request

from . import origin
from .errors import Rejected
from .faults import Faults
from .instance import Instance
from .journal import Journal
from .store import Store
from .tickets import Tickets
from .validation import Field, check

control = Blueprint("control", __name__, url_prefix="/__sandbox__")


def _part(name: str) -> Any:
    return current_app.extensions["brtel_sandbox"][name]


def _faults() -> Faults:
    part: Faults = _part("faults")
    return part


def _store() -> Store:
    part: Store = _part("store")
    return part


def _instance() -> Instance:
    return _store().instance


def _tickets() -> Tickets:
    part: Tickets = _part("tickets")
    return part


def _journal() -> Journal:
    part: Journal = _part("journal")
    return part


def _posted() -> Any:
    data = request.get_json(force=True, silent=True) if request.get_data() else {}
    if data is None:
        raise Rejected(400, "The body is not JSON.")
    return data


@control.before_request
def _refuse_other_sites() -> Optional[Response]:
    # A page of another site, open in the same browser as the sandbox's, has no business here.
    if request.method not in ("GET", "HEAD") and origin.is_foreign(request):
        raise Rejected(403, "This came from another web site.")
    return None


@control.get("/faults")
def show_faults() -> Response:
    """Show the faults in force, with what is left of every `next`."""
    return jsonify(_faults().show())


@control.post("/faults")
def set_faults() -> Response:
    """Put the posted faults in force; the others stay."""
    try:
        _faults().set(_posted())
    except ValueError as error:
        raise Rejected(422, str(error)) from error
    return show_faults()


@control.delete("/faults")
def clear_faults() -> Response:
    """Switch all faults off."""
    _faults().clear()
    return show_faults()


@control.get("/requests")
def show_requests() -> Response:
    """List the calls that the API got."""
    return jsonify(_journal().entries())


@control.delete("/requests")
def clear_requests() -> Response:
    """Forget the calls; the sequence number goes on."""
    _journal().clear()
    return jsonify([])


@control.get("/data")
def show_data() -> Response:
    """Dump all data."""
    return jsonify(_store().dump())


@control.post("/data")
def merge_data() -> Response:
    """Take over the posted collections, record by record, or whole with ``?replace=1``."""
    try:
        return jsonify(_store().merge(_posted(), request.args.get("replace") in ("1", "true")))
    except ValueError as error:
        raise Rejected(422, str(error)) from error


@control.delete("/data")
def reset_data() -> Response:
    """Go back to the data of the start."""
    _store().reset()
    return jsonify({})


@control.post("/revoke")
def revoke() -> Response:
    """Make the tokens that /login handed out worthless; with {"all": true} the first one too."""
    posted = _posted()
    everything = isinstance(posted, dict) and posted.get("all") is True
    return jsonify({"revoked": _store().revoke(everything)})


@control.get("/instance")
def show_instance() -> Response:
    """Show which BlueRockTEL this is, all its switches."""
    return jsonify(_instance().show())


@control.post("/instance")
def set_instance() -> Response:
    """Put the posted switches in force; the others stay, unless an `instance` is named."""
    try:
        _instance().set(_posted())
    except ValueError as error:
        raise Rejected(422, str(error)) from error
    return show_instance()


@control.delete("/instance")
def clear_instance() -> Response:
    """Be again what it was started as."""
    _instance().clear()
    return show_instance()


@control.post("/request-closure")
def request_closure() -> Response:
    """Ask for the closing of the ticket of {"ticket": ID}, as the desk does."""
    return jsonify(_tickets().request_closure(_posted_ticket()))


@control.post("/close-by-itself")
def close_by_itself() -> Response:
    """Close the ticket of {"ticket": ID} as the automatic closing would."""
    return jsonify(_tickets().close_by_itself(_posted_ticket()))


def _posted_ticket() -> int:
    posted = _posted()
    data = posted if isinstance(posted, dict) else {}
    number: int = check(data, {"ticket": Field("integer", required=True)})["ticket"]
    return number
