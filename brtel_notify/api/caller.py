"""How a call of the API is made and its answer understood, whatever it is about.

One call after another: token, pace, deadline, the way there, a refusal or its JSON, the record in
it; and lists, lookups, and whether a 404 is BlueRockTEL's own word. What can be called is in
client.py, how a call travels in transport.py.
"""

from __future__ import annotations

import json as jsonlib
import math
import re
import time
from typing import (
    Any,
    Callable,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    TypeVar,
)

from brtel_notify.api.address import checked_url
from brtel_notify.api.blotting import LEAST, LEAST_OF_DATA, blotted_answer
from brtel_notify.api.credentials import Credentials, TokenCache, Tokens
from brtel_notify.api.exceptions import (
    ApiError,
    BadAnswer,
    Call,
    Forbidden,
    NotFound,
    OutOfTime,
    Refused,
    Unauthorized,
    json_answer,
    message_of,
    refusal,
)
from brtel_notify.api.fields import (
    WRAPPERS,
    Record,
    WrongShape,
    flag_of,
    next_page,
    parse_list,
    soft_miss,
    unwrapped,
)
from brtel_notify.api.instance import Instance
from brtel_notify.api.pace import Pace
from brtel_notify.api.records import Login, Named
from brtel_notify.api.transport import Transport

#: Pages of one list that are fetched.
MOST_PAGES = 50
#: With less than this (seconds) before the deadline, a call is not started.
LEAST_TIME = 1.0
#: What is said of a success that holds no record.
NOTHING = "nothing is there"

OnCall = Callable[[str, str, Optional[int], float], None]
Asked = TypeVar("Asked")
Self = TypeVar("Self", bound="Caller")


class Sender(Protocol):
    """What carries a call to the API and its answer back; usually a Transport."""

    def send(self, call: Call, seconds: float) -> Tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer."""

    def close(self) -> None:
        """Close the connections."""


class _Answer(NamedTuple):
    """The status of a successful answer, and its JSON (None: empty)."""

    status: int
    data: Any


class RawAnswer(NamedTuple):
    """An answer as it came: its status and body (the token blotted out); error: if refused."""

    status: int
    content: bytes
    error: Optional[ApiError]


class Caller:
    """Makes calls, over one keep-alive session; threads may share it. See :class:`Client`."""

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        timeout: float = 10.0,
        ca_file: Optional[str] = None,
        proxy: Optional[str] = None,
        token_cache: Optional[str] = None,
        pool_size: int = 4,
        on_call: Optional[OnCall] = None,
        clock: Callable[[], float] = time.monotonic,
        transport: Optional[Sender] = None,
        pace: Optional[Pace] = None,
        instance: Optional[Instance] = None,
    ) -> None:
        self.instance = instance or Instance()
        self.timeout = timeout
        self.deadline: Optional[float] = None
        self._credentials = credentials
        self._on_call = on_call
        self._pace = pace
        self._clock = clock
        self._transport = transport or Transport(
            url, ca_file=ca_file, proxy=proxy, pool_size=pool_size, clock=clock
        )
        self.url = checked_url(url)
        cache = None
        if token_cache and credentials.by_login and credentials.email:
            cache = TokenCache(token_cache, self.url, credentials.email)
        self._tokens = Tokens(credentials, cache, lambda: self._log_in()[1])

    def open_ahead(self, connections: int) -> None:
        """Begin to open so many CONNECTIONS, while the first calls are still prepared."""
        opener = getattr(self._transport, "open_ahead", None)
        if opener is not None:
            opener(connections, self.timeout)

    def __repr__(self) -> str:
        return f"<Client of {self.url}, {self._credentials!r}>"

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the client stays usable."""
        self._transport.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
    ) -> Any:
        """Any call: its JSON answer as it came, None if it is empty.

        PATH is below ``url`` (``/v1/tickets``) and may have a query. Raises ValueError if PATH is a
        whole URL or METHOD is no method.
        """
        return self._authorized(self._prepared(method, path, params, json)).data

    def answer(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
    ) -> RawAnswer:
        """Any call, like :meth:`request`, but a refusal is an answer as well, with its body.

        Raises Unreachable, TlsError, BadAnswer where there is no whole answer at all.
        """
        call = self._prepared(method, path, params, json)
        token = self._tokens.current()
        status, headers, content = self._sent(call.with_token(token))
        if status == 401:
            fresh = self._tokens.renew(token)
            if fresh is not None:
                token = fresh
                status, headers, content = self._sent(call.with_token(token))
        error = None
        if not 200 <= status < 300:
            source = self._credentials.source
            error = refusal(call.with_token(token), status, headers, content, source)
        return RawAnswer(status, blotted_answer(content, token, LEAST), error)

    def priorities(self) -> List[Named]:
        """GET /v1/ticketing/priorities: a list that every instance has."""
        return self._list("/v1/ticketing/priorities", Named.parse)

    # -- kinds of calls

    def _one(
        self,
        method: str,
        path: str,
        parse: Callable[[Any], Record],
        *,
        params: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        wrappers: Sequence[str] = WRAPPERS,
    ) -> Record:
        """A call that answers with one record, which may be wrapped."""
        call = self._prepared(method, path, params, json)
        data = self._authorized(call)
        return self._parsed(call, lambda answer: parse(unwrapped(answer, wrappers)), data)

    def _done(self, path: str, json: Any = None) -> str:
        """A PUT whose success is all that matters: its answer may be anything that is JSON."""
        answer = self.request("PUT", path, json=json)
        words = answer.get("response") if isinstance(answer, dict) else None
        return message_of(words) if isinstance(words, str) else ""

    def _looked_up(self, call: Call, parse: Callable[[Any], Record]) -> Optional[Record]:
        answer = self._authorized(call)
        if isinstance(answer.data, dict) and flag_of(answer.data.get("found")) is False:
            return None
        record = unwrapped(answer.data)
        if record in (None, {}, []):
            raise call.error(NotFound, answer.status, NOTHING)
        return self._parsed(call, parse, _Answer(answer.status, record))

    # -- what is not there

    def prove_itself(self, doubted: ApiError) -> None:
        """See that it is the API that answers: a list that every instance has cannot be a 404.

        Raises an error to be tried again where it is not: then DOUBTED says nothing. A wrong
        api.url, a tenant that is not found and a deployment half done answer 404 to everything.
        """
        try:
            self.priorities()
        except Forbidden:  # it knows us, and what we may not do
            return
        except (NotFound, Refused):
            raise _not_itself(doubted) from None

    def _surely(self, ask: Callable[[], Asked]) -> Asked:
        """What ASK gives. NotFound and Refused only if the API is itself, and says so once more."""
        try:
            return ask()
        except (NotFound, Refused) as error:
            self.prove_itself(error)
        return ask()

    def _unless_missing(self, ask: Callable[[], Asked], missing: Asked) -> Asked:
        """What ASK gives; MISSING where BlueRockTEL itself says that it has no such thing."""
        try:
            return self._surely(ask)
        except NotFound:
            return missing

    def _list(
        self,
        path: str,
        parse: Callable[[Any], Record],
        params: Optional[Mapping[str, Any]] = None,
    ) -> List[Record]:
        """All records of a list, of one page or several; each once."""
        found: Dict[Any, Record] = {}
        asked = dict(params or {})
        page = 1
        for _ in range(MOST_PAGES):
            call = self._prepared("GET", path, asked, None)
            answer = self._authorized(call)
            before = len(found)
            for record in self._parsed(call, lambda items: parse_list(parse, items), answer):
                found.setdefault(getattr(record, "id", None), record)
            following = next_page(answer.data, page)
            # A server that knows no pages answers the same list to every page.
            if following is None or len(found) == before:
                break
            asked["page"] = page = following
        return list(found.values())

    def _parsed(self, call: Call, parse: Callable[[Any], Record], answer: _Answer) -> Record:
        try:
            return parse(answer.data)
        except WrongShape as error:
            text = f"answer: {error}"
            raise call.error(BadAnswer, answer.status, text, retry=True, maybe_done=True) from None

    # -- one call

    def _prepared(
        self, method: str, path: str, params: Optional[Mapping[str, Any]], json: Any
    ) -> Call:
        if not re.fullmatch(r"[A-Za-z]{1,16}", method):
            raise ValueError(f"not an HTTP method: {method!r}")
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|//", path) or re.search(r"[\s\\\x00-\x1f]", path):
            raise ValueError(f"{path!r} is not a path of the API, such as /v1/tickets")
        pairs: List[Tuple[str, str]] = []
        for name, value in (params or {}).items():
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if item is not None:
                    pairs.append((name, query_text(item)))
        body = None
        if json is not None:
            body = jsonlib.dumps(_clean(json), allow_nan=False).encode("ascii")
        return Call(method.upper(), "/" + path.lstrip("/"), tuple(pairs), body)

    def _authorized(self, call: Call) -> _Answer:
        token = self._tokens.current()
        try:
            return self._send(call, token)
        except Unauthorized:
            fresh = self._tokens.renew(token)
            if fresh is None:
                raise
        return self._send(call, fresh)

    def _log_in(self) -> Tuple[Login, str]:
        address, password = self._credentials.login()
        body = jsonlib.dumps({"email": address, "password": password}).encode("ascii")
        call = Call("POST", "/login", body=body, secrets=(password, jsonlib.dumps(password)[1:-1]))
        answer = self._send(call)
        data = unwrapped(answer.data, ("data",))
        token = data.get("token") if isinstance(data, dict) else None
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise call.error(BadAnswer, answer.status, "answer: no token in it", retry=True)
        return self._parsed(call, Login.parse, _Answer(answer.status, data)), token

    def _send(self, call: Call, token: Optional[str] = None) -> _Answer:
        """Send CALL once: its JSON answer, or an ApiError."""
        if token is not None:
            call = call.with_token(token)
        status, headers, content = self._sent(call)
        if 200 <= status < 300:
            data = json_answer(call, status, content)
            missing = soft_miss(data)
            if missing and call.path != "/login":  # perhaps only a part of the call was not found
                raise call.error(NotFound, status, missing, maybe_done=True)
            return _Answer(status, data)
        raise refusal(call, status, headers, content, self._credentials.source)

    def _sent(self, call: Call) -> Tuple[int, Mapping[str, str], bytes]:
        """Send CALL once: status, headers and body of whatever the answer is."""
        if self._pace is not None and not self._pace.wait(self._time_left()):
            raise OutOfTime(f"{call.method} {call.shown_path}: not sent, it is not its turn yet")
        seconds = self._time_allowed(call)
        started = self._clock()
        status: Optional[int] = None
        try:
            status, headers, content = self._transport.send(call, seconds)
        finally:
            if self._on_call:
                self._on_call(call.method, call.shown_path, status, self._clock() - started)
        if call.token is not None:  # whatever becomes of it is shown, logged or stored by somebody
            content = blotted_answer(content, call.token, LEAST_OF_DATA)
        return status, headers, content

    def _time_left(self) -> float:
        return math.inf if self.deadline is None else self.deadline - self._clock()

    def _time_allowed(self, call: Call) -> float:
        if self.deadline is None:
            return self.timeout
        left = self.deadline - self._clock()
        if left < LEAST_TIME:
            raise OutOfTime(f"{call.method} {call.shown_path}: not sent, no time is left for it")
        return min(self.timeout, left)


def _not_itself(doubted: ApiError) -> BadAnswer:
    """DOUBTED as a fault on the way, which other calls have to expect as well."""
    text = (
        f"{doubted.message.rstrip('.')}; and the list of priorities, which every BlueRockTEL has,"
        " is refused as well (is api.url right, or is BlueRockTEL being updated?)"
    )
    return BadAnswer(doubted.method, doubted.path, doubted.status, text, retry=True, api_wide=True)


def query_text(value: Any) -> str:
    """VALUE as it stands in a query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_clean(str(value)))


def _clean(value: Any) -> Any:
    """VALUE without lone surrogates (bytes of an alert that were no UTF-8).

    PHP takes a body with one of them for no JSON at all.
    """
    if isinstance(value, str):
        return re.sub("[\ud800-\udfff]", "\ufffd", value)
    if isinstance(value, Mapping):
        return {_clean(name): _clean(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value
