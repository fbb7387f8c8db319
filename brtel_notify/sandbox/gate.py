"""The gate that every call passes on its way to the API: it is noted down, and perhaps spoilt."""

from __future__ import annotations

import json
import select
import socket
from io import BytesIO
from typing import TYPE_CHECKING, Any, Iterable, Iterator

from werkzeug.wrappers import Response

from .faults import Faults, Rule, Verdict
from .journal import Entry, Journal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_TEXTS = {
    401: "Unauthenticated.",
    403: "This action is unauthorized.",
    404: "Not Found",
    408: "Request Timeout",
    422: "The given data was invalid.",
    429: "Too Many Attempts.",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0} {1}</h1></body></html>\n"
)


#: What belongs to the sandbox itself: neither noted down nor spoilt.
_NOT_THE_API = ("/__sandbox__", "/web/", "/tickets/", "/calls")


class Dropped(ConnectionAbortedError):
    """The connection is to be closed now, without (more of) an answer."""


class Gate:
    """WSGI middleware around the application `inner`.

    It raises Dropped where a connection is to be dropped; the server closes the socket then.
    """

    def __init__(self, inner: WSGIApplication, faults: Faults, journal: Journal) -> None:
        self._inner = inner
        self._faults = faults
        self._journal = journal

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one call."""
        path = environ.get("PATH_INFO", "")
        # The whole body is read, also where nobody asks for it: what is left unread would be taken
        # for the next call of a kept connection.
        body = _read_body(environ)
        if path.startswith(_NOT_THE_API) or _is_page(environ, path):
            return self._inner(environ, start_response)
        method = environ["REQUEST_METHOD"]
        entry = self._journal.open(method, path, environ.get("QUERY_STRING", ""), body)
        try:
            if path.startswith("/api/"):
                return self._answer(environ, start_response, entry, path)
            return self._finish(environ, start_response, entry, self._carry_out(environ))
        except Dropped:
            self._journal.close(entry, "dropped")
            raise

    def _answer(
        self, environ: WSGIEnvironment, start_response: StartResponse, entry: Entry, path: str
    ) -> Iterable[bytes]:
        said = f"{entry.query} {entry.json}"
        verdict = self._faults.decide(entry.method, path, said)
        verdict.hold(verdict.latency)
        rule = verdict.rule
        if rule is None:
            response = self._carry_out(environ)
        elif rule.kind == "fail":
            response = self._fail(environ, rule)
        elif rule.kind == "hang":
            response = self._hang(environ, verdict, rule)
        else:
            return self._drop(environ, start_response, entry, rule)
        return self._finish(environ, start_response, entry, response)

    def _carry_out(self, environ: WSGIEnvironment) -> Response:
        return Response.from_app(self._inner, environ, buffered=True)

    def _finish(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        entry: Entry,
        response: Response,
    ) -> Iterable[bytes]:
        self._journal.close(entry, response.status_code)
        return response(environ, start_response)

    def _fail(self, environ: WSGIEnvironment, rule: Rule) -> Response:
        if rule.when == "before":
            return _spoil(_laravel_error(rule.status or 500), rule)
        return _spoil(self._carry_out(environ), rule)

    def _hang(self, environ: WSGIEnvironment, verdict: Verdict, rule: Rule) -> Response:
        if rule.when == "after":
            response = self._carry_out(environ)
            verdict.hold(rule.seconds)
            if _client_has_gone(environ):
                raise Dropped
            return response
        verdict.hold(rule.seconds)
        if _client_has_gone(environ):
            raise Dropped
        return self._carry_out(environ)

    def _drop(
        self, environ: WSGIEnvironment, start_response: StartResponse, entry: Entry, rule: Rule
    ) -> Iterable[bytes]:
        if rule.when == "before":
            raise Dropped
        response = self._carry_out(environ)
        if rule.when == "after":
            raise Dropped
        self._journal.close(entry, "dropped")
        start_response(response.status, response.get_wsgi_headers(environ).to_wsgi_list())
        return _half_of(response.get_data())


def _half_of(data: bytes) -> Iterator[bytes]:
    yield data[: len(data) // 2]
    raise Dropped


def _is_page(environ: WSGIEnvironment, path: str) -> bool:
    # A program that calls / has a wrong address in its configuration; that shall be seen.
    return path == "/" and "text/html" in environ.get("HTTP_ACCEPT", "")


def _read_body(environ: WSGIEnvironment) -> bytes:
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        body: bytes = stream.read()
    else:
        length = str(environ.get("CONTENT_LENGTH") or "0")
        body = stream.read(int(length)) if length.isdecimal() else b""
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("wsgi.input_terminated", None)
    return body


def _client_has_gone(environ: WSGIEnvironment) -> bool:
    connection = environ.get("werkzeug.socket")
    if connection is None:
        return False
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True


def _laravel_error(status: int) -> Response:
    text = _TEXTS.get(status, "Server Error" if status >= 500 else "Bad Request")
    return _json(status, {"message": text})


def _json(status: int, value: Any) -> Response:
    return Response(json.dumps(value), status, mimetype="application/json")


def _spoil(response: Response, rule: Rule) -> Response:
    if rule.status is not None and rule.when == "after":
        spoilt_body = rule.body != "json" or rule.json is not None
        response = response if spoilt_body else _laravel_error(rule.status)
        response.status_code = rule.status
    if rule.json is not None:
        response = _json(response.status_code, rule.json)
    elif rule.body == "html":
        status = response.status_code
        page = _PAGE.format(status, _TEXTS.get(status, "Page"))
        response = Response(page, status, mimetype="text/html")
    elif rule.body == "truncated":
        data = response.get_data()
        response.set_data(data[: max(1, len(data) // 2)])
    elif rule.body == "type":
        response = _json(response.status_code, _other_type(response))
    elif rule.body == "empty":
        response.set_data(b"")
    if rule.retry_after is not None:
        response.headers["Retry-After"] = str(rule.retry_after)
    return response


def _other_type(response: Response) -> Any:
    """Return JSON of another type than the answer's: a list for an object, and the reverse."""
    is_list = response.get_data().lstrip()[:1] == b"["
    return {"unexpected": True} if is_list else ["unexpected"]
