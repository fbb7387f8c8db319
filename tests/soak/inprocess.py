"""The half that is played in one process: the worker's own code, on a clock, a disk and an API
of its own. The seed alone decides; a million events take less than an hour.

Between two looks of the worker at its queue the player has its turn: it stores what comes next, by
the notification command's own code, or lets time pass. A kill ends the worker at a call or at a
change to the disk: from there on nothing that it still does is done, as after a SIGKILL.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Callable, Iterator, List

from brtel_notify.delivery.place import Place
from brtel_notify.delivery.worker import Worker
from brtel_notify.local.log import Log
from brtel_notify.sandbox.seed import TOKEN
from soak import player, processes
from soak.desk import People
from soak.faults import CONFIG, FURTHEST, INSTANCES, Trouble
from soak.judge import Judge
from soak.model import Numbers
from soak.pretended import Killed, Pretended
from soak.sources import things

EVENTS = 700  # a round
ROUNDS = 2
URL = "http://127.0.0.1:1/api"


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
        away = frozenset(self.pretended.turned_away)
        grouped = self._settings["group_by"] != "alert"
        desk = self.people.desk()
        desk = desk._replace(withheld=withheld, grouped=grouped, turned_away=away)
        if self.counts["jumps of the clock"] or grouped:
            player.closings_may_miss(self.things)
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
