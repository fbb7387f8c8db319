"""What can go wrong with a call: one family of errors, and what makes a status and a body into one.

Importing it costs next to nothing, so that whoever makes no call can still name these errors.

A :class:`Call` is what an error is about. It knows the call's secrets, so that whatever is said of
it, in the server's words or in ours, is said without them. Sources of the facts: BlueRockTEL's
"Tickets" page, and how Laravel is known to answer.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple, Type

from brtel_notify.local.cleaning import line_of

#: Characters of the server's own words that an error repeats.
LONGEST_MESSAGE = 500
#: …out of so many that are looked at.
LONGEST_LOOK = 20_000
#: What a cure calls the settings that it names, where they stand in config.yml.
IN_FILE = {"url": "api.url", "ca_file": "set api.ca_file to its certificate"}


class CredentialsError(Exception):
    """No usable credential: says which setting or file, and the cure; never quotes a secret."""


class OutOfTime(Exception):
    """The call was not sent: too little of the time allowed (``Client.deadline``) is left."""


class ApiError(Exception):
    """A call failed. ``str()`` is one line: method, path, status, the server's own words.

    ``problem``: what is wrong; ``cure``: how the line goes on, what to look at or to do, settings
    in braces: ``{url}``; ``message``: both. ``path``: without its query.
    ``status``: of the answer, None if there was none.
    ``retry``: whether the same call may succeed later although nobody changes anything here.
    ``retry_after``: seconds, if the server said so, however many.
    ``maybe_done``: whether the call may have taken effect all the same; always False for calls
    that change nothing (GET, HEAD and the login).
    ``api_wide``: whether other calls have to expect the same failure.
    ``tried``: what else was tried before it, in words in brackets, as far as the caller knows.
    """

    tried = ""

    def __init__(
        self,
        method: str,
        path: str,
        status: Optional[int],
        problem: str,
        *,
        cure: str = "",
        retry: bool = False,
        retry_after: Optional[float] = None,
        maybe_done: bool = False,
        api_wide: bool = False,
    ) -> None:
        super().__init__(method, path, status, problem)
        self.method = method
        self.path = path
        self.status = status
        self.problem = problem
        self.cure = cure
        self.retry = retry
        self.retry_after = retry_after
        self.maybe_done = maybe_done
        self.api_wide = api_wide

    @property
    def message(self) -> str:
        """What is wrong, and the cure."""
        return self.message_with(IN_FILE)

    def message_with(self, names: Mapping[str, str]) -> str:
        """The message of one who calls the settings by these NAMES, as IN_FILE has them."""
        return self.problem + self.cure.format_map(names)

    def told(self, names: Mapping[str, str]) -> str:
        """The whole line, likewise."""
        status = "" if self.status is None else f"{self.status} "
        return f"{self.method} {self.path}: {status}{self.message_with(names)}"

    def __str__(self) -> str:
        return self.told(IN_FILE)

    def judged(self, retry: bool, tried: str = "") -> ApiError:
        """The same error, by somebody who knows better whether to RETRY the call; and what was
        TRIED."""
        error = type(self)(
            *(self.method, self.path, self.status, self.problem),
            cure=self.cure,
            retry=retry,
            retry_after=self.retry_after,
            maybe_done=self.maybe_done,
            api_wide=self.api_wide,
        )
        error.tried = tried
        return error


class Unreachable(ApiError):
    """No whole answer: refused, name not resolved, connection broken, time-out."""


class TlsError(ApiError):
    """The server's certificate is not to be trusted, or the CA file is unusable."""


class Unauthorized(ApiError):
    """401: the token (or, for /login, the password) is wrong."""


class Forbidden(ApiError):
    """403: the token's user may not do this."""


class NotFound(ApiError):
    """404, or a 200 that says so: there is no such ticket, customer, host…"""


class Refused(ApiError):
    """400, 409, 422 or another 4xx: the request is wrong, and stays so when repeated.

    409 is among them: BlueRockTEL documents none, and where Laravel applications send one, the
    state of the record contradicts the request, which a repetition does not change.
    """


class Throttled(ApiError):
    """429: too many calls; ``retry_after`` says when to come back."""


class ServerError(ApiError):
    """5xx, and 408 and 425: the server's trouble, perhaps over soon."""


class BadAnswer(ApiError):
    """An answer, but not one of this API: not JSON, cut short, of another shape, a redirect.

    A 4xx that is no JSON is one, too: it comes from something on the way (a firewall, a proxy).
    """


class Call:
    """One request as it is sent; ``secrets`` are blotted out of whatever is said about it.

    ``path`` may hold a query, of the ``api`` command. Not changed once it is made.
    """

    __slots__ = ("body", "method", "params", "path", "secrets", "token")

    def __init__(
        self,
        method: str,
        path: str,
        params: Tuple[Tuple[str, str], ...] = (),
        body: Optional[bytes] = None,
        token: Optional[str] = None,
        secrets: Tuple[str, ...] = (),
    ) -> None:
        self.method = method
        self.path = path
        self.params = params
        self.body = body
        self.token = token
        self.secrets = secrets

    def __repr__(self) -> str:
        return f"Call({self.method!r}, {self.path!r}, params={self.params!r})"

    def with_token(self, token: str) -> Call:
        """The same call, made with TOKEN."""
        return Call(self.method, self.path, self.params, self.body, token, self.secrets)

    @property
    def shown_path(self) -> str:
        """The path without its query."""
        return re.split(r"[?#]", self.path, maxsplit=1)[0]

    @property
    def changes_something(self) -> bool:
        """Whether a repetition could do something twice."""
        return self.method not in ("GET", "HEAD") and self.shown_path != "/login"

    def error(
        self, kind: Type[ApiError], status: Optional[int], text: str, **more: Any
    ) -> ApiError:
        """An error of this call; ``maybe_done`` only where the call changes something."""
        from brtel_notify.api.blotting import blotted

        text = blotted(text[:LONGEST_LOOK], (*self.secrets, self.token or ""))
        more["maybe_done"] = bool(more.get("maybe_done")) and self.changes_something
        return kind(self.method, self.shown_path, status, message_of(text), **more)


def json_answer(call: Call, status: int, content: bytes) -> Any:
    """The JSON of a successful answer, None if it is empty. Raises BadAnswer."""
    if not content.strip():
        return None
    answer = _decoded(content)
    if answer is not _NOT_JSON:
        return answer
    if content.lstrip()[:1] in (b"{", b"["):
        text = "the answer is broken JSON, or cut short"
        raise call.error(BadAnswer, status, text, retry=True, maybe_done=True)
    words = message_of(_page_words(content), 100) or "no words"
    text, cure = f"the answer is not JSON ({words})", ": is {url} right?"
    raise call.error(BadAnswer, status, text, cure=cure, retry=True, maybe_done=True, api_wide=True)


def refusal(
    call: Call, status: int, headers: Mapping[str, str], content: bytes, credential: str
) -> ApiError:
    """The error of an answer that is no success; CREDENTIAL names the token's source for a 401."""
    if 300 <= status < 400:
        target = _shown_url(headers.get("Location", "")) or "nowhere"
        text, cure = f"redirected to {target}", ": is {url} right?"
        return call.error(BadAnswer, status, text, cure=cure, maybe_done=True, api_wide=True)
    kind = _error_class(status)
    words = _server_words(content) or _standard_words(status)
    if _is_not_the_apis(kind, content):
        text, cure = f"not JSON ({words})", ": is {url} right, or does a firewall answer?"
        # What answers in the API's stead may have let the call through before.
        return call.error(BadAnswer, status, text, cure=cure, retry=True, maybe_done=True)
    if kind is Unauthorized and call.token is not None:
        hint = _hint(call.token, credential)
        words = f"{words} ({credential} is refused: put a valid credential there){hint}"
    troubled = kind in (Throttled, ServerError)
    return call.error(
        kind,
        status,
        words,
        retry=troubled or kind is BadAnswer,
        retry_after=_retry_after(headers.get("Retry-After"), time.time()),
        maybe_done=status == 408 or not 400 <= status < 500,
        api_wide=troubled,
    )


def _hint(token: str, credential: str) -> str:
    """What people mix up with a bearer token; a login gives none but the right one."""
    from brtel_notify.api.mixed_up import NO_BEARER_TOKEN, is_jwt

    mistaken = not is_jwt(token) and not credential.startswith("a login as ")
    return f"; {NO_BEARER_TOKEN}" if mistaken else ""


_CLASSES: Dict[int, Type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: ServerError,
    425: ServerError,
    429: Throttled,
}


def _error_class(status: int) -> Type[ApiError]:
    if status in _CLASSES:
        return _CLASSES[status]
    if 400 <= status < 500:
        return Refused
    return ServerError if 500 <= status < 600 else BadAnswer


def _is_not_the_apis(kind: Type[ApiError], content: bytes) -> bool:
    """Whether a refusal comes from beside the API, which says every one of them in JSON.

    A 401 asks for the credential, whoever says it; a 404 without a word may be the API's, and is
    believed only after the API has shown that it is itself (Client.prove_itself).
    """
    if kind not in (Refused, Forbidden, NotFound):
        return False
    empty = not content.strip()
    return kind is not NotFound if empty else _decoded(content) is _NOT_JSON


_NOT_JSON = object()


def _decoded(content: bytes) -> Any:
    """The JSON in CONTENT, or _NOT_JSON.

    No exception: json's own holds the whole answer, perhaps with a token, and would be chained to.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return _NOT_JSON


def message_of(text: str, limit: int = LONGEST_MESSAGE) -> str:
    """TEXT on one line, without control characters, cut at LIMIT characters."""
    line = " ".join(line_of(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _standard_words(status: int) -> str:
    import http.client

    return http.client.responses.get(status, "an unknown status")


def _server_words(content: bytes) -> str:
    """What the server says in the body of an error: Laravel's message and errors, or a title."""
    answer = _decoded(content)
    if answer is _NOT_JSON:
        return _page_words(content)
    if not isinstance(answer, dict):
        return answer if isinstance(answer, str) else ""
    said = (answer.get(name) for name in ("message", "error", "response"))
    words = next((text for text in said if isinstance(text, str) and text), "")
    details = "; ".join(_flattened(answer.get("errors")))
    return f"{words} ({details})".strip() if details else words


def _flattened(errors: Any, name: str = "") -> Iterator[str]:
    if isinstance(errors, dict):
        for key, value in errors.items():
            yield from _flattened(value, str(key))
    elif isinstance(errors, list):
        for value in errors:
            yield from _flattened(value, name)
    elif errors not in (None, ""):
        yield f"{name}: {errors}" if name else str(errors)


def _page_words(content: bytes) -> str:
    """The title of an HTML page, or the beginning of a plain text."""
    text = content[:65536].decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return text
    title = re.search(r"<title[^>]*>([^<]*)</title", text, re.IGNORECASE)
    if title is None:
        return ""
    import html

    return html.unescape(title.group(1)).strip()


def _retry_after(value: Optional[str], now: float) -> Optional[float]:
    """Seconds to wait, of a Retry-After header (a number or an HTTP date); NOW is the epoch."""
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return float(text)
    import email.utils

    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - now
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(seconds, 0.0)


def _shown_url(url: str) -> str:
    """URL for a message: without user, password, query and fragment."""
    return re.sub(r"//[^/]*@", "//", re.split(r"[?#]", url, maxsplit=1)[0])[:200]
