"""The clock, the disk and the way to the desk of the half that is played in one process."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sys
import time
import urllib.parse
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from brtel_notify.api import transport
from brtel_notify.api.exceptions import Call, Unreachable
from brtel_notify.delivery import retry
from brtel_notify.delivery.drain import Drain
from brtel_notify.intake import order
from brtel_notify.sandbox.app import create_app
from brtel_notify.sandbox.faults import Faults
from brtel_notify.sandbox.instance import Instance
from brtel_notify.sandbox.journal import Journal
from brtel_notify.sandbox.store import Store
from soak.model import MARK

#: What changes the disk; tests/flow/test_crash.py says so, too.
DISK = ("write", "rename", "replace", "unlink", "ftruncate", "link")

_ABSENT = object()
Answer = Tuple[int, Mapping[str, str], bytes]


class Killed(BaseException):
    """The worker was, here and now."""


class Pretended:
    """The machine and the way to the desk, as the program sees them while ``in_force``."""

    def __init__(self, chance: random.Random, instance: Mapping[str, str]) -> None:
        self.now = 1_800_000_000.0
        self.ran = 0.0
        self.dead = False
        self.calm = False
        self.feeding = False  # it is not the worker that runs
        self.kills = 0
        self._chance = chance
        self._outage: Tuple[int, str] = (0, "")
        self._journal = Journal()
        #: The texts that something on the way has refused: it may be thought to dislike them.
        self.turned_away: Set[str] = set()
        self.store = Store(now=self._moment, instance=Instance(instance))
        self._app = create_app(self.store, Faults(), self._journal)
        self._true = {name: getattr(os, name) for name in DISK}

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.now, timezone.utc)

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """It is all there is, meanwhile."""
        changed: List[Tuple[Any, str, Any]] = [
            (time, "time", lambda: self.now),
            (time, "time_ns", lambda: int(self.now * 1e9)),
            (time, "monotonic", lambda: self.ran),
            (order, "_latest", 0),  # the last name given, of a time to come
            (retry, "jitter", lambda: self._chance.uniform(0.8, 1.2)),
            # One thread, so that the seed decides all.
            (Drain, "inline", property(lambda _: True, lambda _, wanted: None)),
            (transport.Transport, "send", lambda _, call, seconds: self.send(call)),
            *((os, name, self._at_disk(name)) for name in DISK),
        ]
        before = [(where, name, vars(where).get(name, _ABSENT)) for where, name, _ in changed]
        try:
            for where, name, pretended in changed:
                setattr(where, name, pretended)
            yield
        finally:
            for where, name, true in before:
                if true is _ABSENT:
                    delattr(where, name)
                else:
                    setattr(where, name, true)

    def passes(self, seconds: float) -> None:
        """Time does."""
        self.now += seconds
        self.ran += seconds

    def _at_disk(self, name: str) -> Callable[..., Any]:
        true = self._true[name]

        def at_disk(*args: Any, **options: Any) -> Any:
            if name == "write" and args[0] <= 2:
                return true(*args, **options)
            self._may_die(0.0004)
            return true(*args, **options)

        return at_disk

    def _may_die(self, how_often: float) -> None:
        if self.dead:
            raise Killed
        if not self.calm and not self.feeding and self._chance.random() < how_often:
            self.dead = True
            self.kills += 1
            raise Killed

    # --- the way to the desk ---------------------------------------------------------------------

    def send(self, call: Call) -> Answer:
        """In the place of Transport.send."""
        self._may_die(0.002)
        fault = "" if self.calm else self._fault()
        if fault == "away":
            raise _broken(call, maybe_done=False)
        if fault.isdecimal() or fault.startswith("page "):
            self.turned_away |= set(MARK.findall((call.body or b"").decode("utf-8", "replace")))
        if fault.isdecimal():
            return _refusal(int(fault))
        if fault.startswith("page "):
            return _page(int(fault[5:]))
        status, headers, body = self._carry_out(call)
        self.passes(0.01)
        self._may_die(0.002)
        if fault == "lost":
            raise _broken(call, maybe_done=True)
        if fault == "late 503":
            return _refusal(503)
        if fault == "cut":
            return status, headers, body[: len(body) // 2]
        if fault == "empty":
            return status, headers, b""
        return status, headers, body

    def _fault(self) -> str:
        left, what = self._outage
        if left:
            self._outage = (left - 1, what)
            return what
        draw = self._chance.random()
        if draw < 0.002:
            what = self._chance.choice(("away", "404", "page 404", "page 403", "503", "401"))
            self._outage = (self._chance.randrange(1, 12), what)
            return what
        if draw < 0.05:
            return self._chance.choice(
                (
                    "away",
                    "lost",
                    "lost",
                    "500",
                    "503",
                    "429",
                    "late 503",
                    "cut",
                    "empty",
                    "page 403",
                )
            )
        return ""

    def _carry_out(self, call: Call) -> Answer:
        return self.ask(call.method, "/api" + call.path, call.params, call.body, call.token)

    def ask(
        self, method: str, path: str, params: Any, body: Optional[bytes], token: Optional[str]
    ) -> Answer:
        """One call of the sandbox."""
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": urllib.parse.urlencode(params),
            "SERVER_NAME": "desk.example.net",
            "SERVER_PORT": "80",
            "HTTP_ACCEPT": "application/json",
            "CONTENT_TYPE": "application/json" if body else "",
            "CONTENT_LENGTH": str(len(body or b"")),
            "wsgi.input": io.BytesIO(body or b""),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            **({"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}),
        }
        answer: List[Any] = []

        def started(*said: Any) -> Any:
            answer.extend(said)

        content = b"".join(self._app.wsgi_app(environ, started))
        return int(answer[0].split()[0]), dict(answer[1]), content

    # --- as SandboxProcess -----------------------------------------------------------------------

    def requests(self) -> List[Dict[str, Any]]:
        """The calls it got."""
        return self._journal.entries()

    def clear_requests(self) -> None:
        """Forget them."""
        self._journal.clear()

    def data(self) -> Dict[str, Any]:
        """All that it has."""
        return self.store.dump()

    def person(self, method: str, path: str, fields: Mapping[str, Any], token: str) -> Any:
        """A call of a person's."""
        body = json.dumps(fields).encode()
        status, _, answer = self.ask(method, f"/api/{path}", {}, body, token)
        if status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer)


def _broken(call: Call, maybe_done: bool) -> Exception:
    text = "the connection broke"
    return call.error(Unreachable, None, text, retry=True, maybe_done=maybe_done, api_wide=True)


def _refusal(status: int) -> Answer:
    body = json.dumps({"message": "no"}).encode()
    return status, {"Content-Type": "application/json"}, body


def _page(status: int) -> Answer:
    return status, {"Content-Type": "text/html"}, b"<html><body>no</body></html>"
