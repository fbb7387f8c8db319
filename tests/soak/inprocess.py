"""The half that is played in one process: the worker's own code, on a clock, a disk and an API
of its own. The seed alone decides; a million events take less than an hour.

Between two looks of the worker at its queue the player has its turn: it stores what comes next, by
the notification command's own code, or lets time pass. A kill ends the worker at a call or at a
change to the disk: from there on nothing that it still does is done, as after a SIGKILL.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sys
import tempfile
import time
import urllib.parse
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from brtel_notify.api import transport
from brtel_notify.api.exceptions import Call, Unreachable
from brtel_notify.delivery import retry
from brtel_notify.delivery.drain import Drain, Place
from brtel_notify.delivery.worker import Worker
from brtel_notify.local.log import Log
from brtel_notify.sandbox.app import create_app
from brtel_notify.sandbox.faults import Faults
from brtel_notify.sandbox.instance import Instance
from brtel_notify.sandbox.journal import Journal
from brtel_notify.sandbox.seed import TOKEN
from brtel_notify.sandbox.store import Store
from soak import player, processes
from soak.desk import People
from soak.faults import CONFIG, FURTHEST, INSTANCES, Trouble
from soak.judge import Judge
from soak.model import Numbers
from soak.sources import things

EVENTS = 700  # a round
ROUNDS = 2
URL = "http://127.0.0.1:1/api"
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


class Turns(Worker):
    """A worker that lets the player have its turn whenever it would wait."""

    def __init__(self, place: Place, turn: Callable[[Worker, float], None]) -> None:
        super().__init__(place, threads=1)
        self._turn = turn

    def _pause(self, seconds: float) -> None:
        self._turn(self, seconds)


class Season:
    """As player.Season, in this process."""

    def __init__(self, seed: str, folder: Path) -> None:
        self.seed = seed
        self.steps = 0
        self.problems: List[str] = []
        self.counts: Counter[str] = Counter()
        chance = self._chance = random.Random(f"{seed} events")
        self._instance = chance.choice(INSTANCES)
        group_by = chance.choice(("alert", "alert", "alert", "host", "customer"))
        if "grouped" in Trouble.without:
            group_by = "alert"
        self.pretended = Pretended(random.Random(f"{seed} faults"), self._instance)
        folder.mkdir(parents=True)
        self._folder = folder
        (folder / "token").write_text(TOKEN)
        self._settings = {"timeout": 2, "group_by": group_by, "urgent": "Urgent"}
        self._settings.update(reopen_within=chance.choice(("1h", "0", "2s")), language="en")
        text = CONFIG.format(url=URL, token_file=folder / "token", **self._settings)
        (folder / "config.yml").write_text(text)
        self._options = ["--config", str(folder / "config.yml"), "--state-dir", str(folder / "s")]
        self.people = People(self.pretended, self.pretended.person, random.Random(f"{seed} people"))
        self.things = things(chance, player.THINGS)
        if group_by == "customer":
            for thing in self.things:
                thing.few_results = 2
        self._numbers = Numbers()
        self._end = 0
        self._quiet = 0

    def play(self, most: int) -> None:
        """So many events at MOST."""
        with processes.put_back(), self.pretended.in_force():
            for _ in range(ROUNDS):
                self._end = self.steps + min(EVENTS, most - self.steps)
                self._work()
                self._look()
                if self.problems or self.steps >= most:
                    break
                if "people" not in Trouble.without:
                    self.people.act(self.things)

    def _work(self) -> None:
        """A worker, and after it was killed another one, until all is stored and delivered."""
        self.pretended.calm = False
        while True:
            state, config = str(self._folder / "s"), str(self._folder / "config.yml")
            place = Place(state, config, {}, Log(), time.time)
            try:
                Turns(place, self._turn).run()
                return
            except Killed:
                self.pretended.dead = False

    def _turn(self, worker: Worker, seconds: float) -> None:
        """Something comes, or time passes."""
        self.pretended.passes(seconds)
        waiting = self._waiting("queue")
        if self.steps >= self._end:
            self._calm(worker, waiting)
            return
        if waiting > player.WAITING:
            self.pretended.passes(30)
            return
        if self._chance.random() < 0.002:
            # Never back by more than the program calls impossible; monotonic() does not jump.
            self.pretended.now += self._chance.choice((-FURTHEST, -90, 90, FURTHEST))
            self.counts["jumps of the clock"] += 1
        self.pretended.feeding = True
        try:
            for _ in range(self._chance.choice((1, 1, 2, 8, 30))):
                self._happen()
        finally:
            self.pretended.feeding = False

    def _happen(self) -> None:
        thing = self._chance.choice(self.things)
        for event in thing.happen(self._chance, self._numbers, self.pretended.now):
            self.steps += 1
            for _ in range(event.copies):
                code = processes.command(event.said, *self._options)
                if code:
                    self.problems.append(f"exit code {code} of {event}")

    def _calm(self, worker: Worker, waiting: int) -> None:
        """Until all is delivered: dead events are put back, once; time passes."""
        self.pretended.calm = True
        self.pretended.passes(400)
        dead = self._waiting("dead")
        self._quiet = self._quiet + 1 if waiting else 0
        if dead and not waiting:
            if self.counts["put back from dead/"] > 10 * self.steps:
                self.problems.append(f"left in dead/: {dead}")
                worker.stop()
                return
            self.counts["put back from dead/"] += dead
            self.pretended.feeding = True
            self._put_back()
            self.pretended.feeding = False
        elif not waiting or self._quiet > 200:
            worker.stop()
            if waiting:
                self.problems.append(f"left in queue/: {waiting}")

    def _put_back(self) -> None:
        from brtel_notify.intake.queue import Queue

        queue = Queue(str(self._folder / "s"))
        for event_id in queue.dead():
            queue.revive(event_id)

    def _waiting(self, where: str) -> int:
        try:
            names = os.listdir(self._folder / "s" / where)
        except FileNotFoundError:
            return 0
        return sum(not name.startswith(".") for name in names)

    def _look(self) -> None:
        withheld = self._instance.get("visibility") == "ignored"
        desk = self.people.desk()._replace(withheld=withheld)
        judge = Judge(self.things, desk)
        self.problems += player.told(judge)
        self.counts.update(fault.what for fault in judge.faults)
        self.counts["doubts that came true"] = len(judge.allowed)
        self.counts["kills"] = self.pretended.kills

    def describe(self) -> str:
        """What this season was."""
        return f"the desk is {self._instance or 'as the pages say'}, {self._settings}"


def seasons(seed: str, events: int, only: int = 0) -> Iterator[Season]:
    """Season after season, each played, until there were so many EVENTS."""
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    number = only or 1
    while events > 0:
        with tempfile.TemporaryDirectory(dir=shm) as folder:
            season = Season(f"{seed}/{number}", Path(folder) / "season")
            season.play(events)
            events -= season.steps
            yield season
        if only:
            return
        number += 1
