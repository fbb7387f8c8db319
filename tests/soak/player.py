"""Plays a season of the real half: rounds of events under faults; then calm, a look, and people.

What is played follows from the seed alone: events, faults, and which command is killed when. How
the processes meet each other does not.
"""

from __future__ import annotations

import queue
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from support import Site

from brtel_notify.sandbox.testing import SandboxProcess
from soak.desk import People, over_http
from soak.faults import INSTANCES, Trouble
from soak.judge import Judge
from soak.model import CLOSING, Event, Numbers, Thing
from soak.processes import Computer, Feeder, Machine
from soak.sources import things

THINGS = 36
ROUNDS = 3
EVENTS = 250  # a round
LANES = 4
#: So many events may wait, so that faults hit them all.
WAITING = 150
#: Seconds without any of them getting through, after which the faults are over.
STUCK = 4.0
#: The part of the events that comes by a command of its own.
BY_COMMAND = 0.08
KILLED = 0.03
#: A call in doubt is left alone for so long, by the machine's clock.
SETTLED = 61.0
#: So many things' stories are told in full, and so much of each file that is left.
STORIES = 3
_FILE = 2000
_STORED = (0, 65, 70, 78)
_ALLOWED = frozenset((0, 65, 75, 78))


class Order(NamedTuple):
    """How one event gets to the program."""

    event: Event
    by_command: bool
    kill_after: Optional[float]


class Season:
    """One season: a machine, a desk, some things. ``problems`` is what was wrong, to be read."""

    def __init__(self, seed: str, folder: Path, sandbox: SandboxProcess) -> None:
        self.seed = seed
        self.problems: List[str] = []
        self.counts: Counter[str] = Counter()
        chance = self._chance = random.Random(f"{seed} events")
        self._instance = chance.choice(INSTANCES)
        group_by = chance.choice(("alert", "alert", "alert", "host", "customer"))
        if "grouped" in Trouble.without:
            group_by = "alert"
        sandbox.clear_faults()
        sandbox.clear_instance()
        sandbox.reset()
        sandbox.clear_requests()
        sandbox.instance(**self._instance)
        folder.mkdir(parents=True)
        self.computer = Computer(Site(folder, sandbox), Machine(folder))
        self.trouble = Trouble(self.computer, random.Random(f"{seed} faults"), group_by)
        self.people = People(sandbox, over_http(sandbox.url), random.Random(f"{seed} people"))
        self.things = things(chance, THINGS)
        if group_by == "customer":
            for thing in self.things:  # they share the hour's results
                thing.few_results = 2
        self._numbers = Numbers()
        self._lanes = [Lane(self) for _ in range(LANES)]
        self.steps = 0

    def play(self, most: int, until: float) -> None:
        """So many events at MOST, and only UNTIL that time (of time.monotonic())."""
        self.computer.start_worker()
        try:
            for _ in range(ROUNDS):
                self._round(min(EVENTS, most - self.steps), until)
                self._calm()
                self._look()
                if self.problems or self.steps >= most or time.monotonic() > until:
                    break
                if "people" not in Trouble.without:
                    self.people.act(self.things)
                self.computer.start_worker()
        finally:
            for lane in self._lanes:
                lane.stop()
            self.trouble.over()
            self.computer.end_worker(signal.SIGKILL)
            self.computer.look_beside(60)

    def _round(self, events: int, until: float) -> None:
        end = self.steps + events
        while self.steps < end and time.monotonic() < until:
            self._wait_for_room()
            self.trouble.step(self.steps)
            self._count_commands()
            thing = self._chance.choice(self.things)
            jumps = self.trouble.jumps
            for event in thing.happen(self._chance, self._numbers, self.computer.machine.time()):
                by_command = self._chance.random() < BY_COMMAND
                kill_after = None
                if self._chance.random() < KILLED:
                    kill_after = self._chance.uniform(0, 0.4 if by_command else 0.004)
                lane = self._lanes[thing.number % LANES]
                while not lane.put(Order(event, by_command, kill_after), jumps):
                    self._hurry()
                self.steps += 1

    def _wait_for_room(self) -> None:
        """Until not too many wait; if none gets through for some time, the faults are over."""
        least, since = 10**9, time.monotonic()
        while (waiting := len(self.computer.site.queued())) > WAITING:
            if waiting < least:
                least, since = waiting, time.monotonic()
            elif time.monotonic() - since > STUCK:
                self._hurry()
                since = time.monotonic()
            time.sleep(0.05)

    def _hurry(self) -> None:
        self.counts["faults that were over early"] += 1
        self.trouble.over()
        self.computer.end_worker(signal.SIGTERM)
        self.computer.run("flush", "--force")
        self.computer.start_worker()

    def _count_commands(self, patience: float = 0.0) -> None:
        for words, code in self.computer.look_beside(patience):
            self.counts[f"commands {words[0]}"] += 1
            allowed = {0, 75, 78, -9, *((1, 2, 3) if words[0] == "check" else ())}
            # An operator's commands say what they met: an event refused, no configuration.
            if code not in allowed | {65}:
                self.problems.append(f"{' '.join(words)}: exit code {code}")

    # --- calm ------------------------------------------------------------------------------------

    def _calm(self) -> None:
        """No more faults, and everything is delivered that can be."""
        self.trouble.over()
        self.trouble.configure()
        for lane in self._lanes:
            lane.wait()
        self._count_commands(60)
        code = self.computer.end_worker(signal.SIGTERM)
        # Told to end before it had heard that it may be: it had begun nothing.
        if code not in (0, None, -signal.SIGTERM):
            self.problems.append(f"the worker's exit code is {code}")
        self.people.wait_for_calls()
        for turn in range(8):
            # Later than any time that a clock which was ahead has written down.
            self.computer.machine.set_clock(self.computer.machine.furthest + SETTLED)
            if turn and self.computer.site.queued("dead"):
                self.counts["put back from dead/"] += len(self.computer.site.queued("dead"))
                self.computer.run("queue", "retry", "--all")
            if self.computer.run("flush", "--force") < 0:
                self.problems.append("flush --force did not end")
            if not self.computer.site.queued() and (turn or not self.computer.site.queued("dead")):
                break
        for where in ("queue", "dead"):
            for path in self.computer.site.queued(where):
                self.problems.append(f"left in {where}/: {path.read_text()[-_FILE:]}")

    def _look(self) -> None:
        withheld = self._instance.get("visibility") == "ignored"
        grouped = self.trouble.settings["group_by"] != "alert"
        desk = self.people.desk()._replace(withheld=withheld, grouped=grouped)
        if self.trouble.jumps or grouped:
            closings_may_miss(self.things)
        judge = Judge(self.things, desk)
        self.counts["doubts that came true"] = len(judge.allowed)
        self.problems += told(judge)
        self.counts.update(fault.what for fault in judge.faults)
        self.problems += unforeseen(self.computer.log.read_text(errors="replace"))

    def describe(self) -> str:
        """What this season was, in a few lines."""
        settings = f"{self._instance or 'as the pages say'}, {self.trouble.settings}"
        return "\n".join([f"the desk is {settings}", *self.trouble.told])


def closings_may_miss(things: Iterable[Thing]) -> None:
    """What belongs to a recovery within minutes of it may be told, or not.

    The clock jumped between the two, or somebody else's problem has another ticket of the group by
    then.
    """
    for thing in things:
        for event in thing.events:
            if event.move == CLOSING:
                event.least = 0


def told(judge: Judge) -> List[str]:
    """What it found: the stories of some things, a line for the others."""
    stories: Dict[Thing, str] = {}
    lines = []
    for fault in judge.faults:
        if fault.thing not in stories and len(stories) < STORIES:
            stories[fault.thing] = judge.story(fault)
        else:
            lines.append(judge.headline(fault))
    return [*stories.values(), *lines]


def unforeseen(log: str) -> List[str]:
    """What the program itself did not foresee: each kind once, tracebacks whole."""
    lines = log.splitlines()
    found: Dict[str, str] = {}
    for number, line in enumerate(lines):
        if "unforeseen" in line:
            found.setdefault(line, line)
        elif "Traceback" in line:
            text = "\n  ".join(lines[number : number + 30])
            found.setdefault(text[-200:], text)
    return [f"in the log: {text}" for text in list(found.values())[:5]]


class Lane:
    """Some things' events, one after the other, in a thread of its own."""

    def __init__(self, season: Season) -> None:
        self._season = season
        self._orders: queue.Queue[Any] = queue.Queue(maxsize=8)
        self._feeder = Feeder(season.computer)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def put(self, order: Order, jumps: int) -> bool:
        """Its turn will come; False if there was no room for some time."""
        try:
            self._orders.put((order, jumps), timeout=STUCK)
        except queue.Full:
            return False
        return True

    def wait(self) -> None:
        """Until all are stored."""
        self._orders.join()

    def stop(self) -> None:
        """It is over."""
        self._orders.put(None)
        self._thread.join(60)
        self._feeder.stop()

    def _run(self) -> None:
        while (item := self._orders.get()) is not None:
            order, jumps = item
            try:
                for _ in range(order.event.copies):
                    self._store(order)
                    order = order._replace(kill_after=None)
                if self._season.trouble.jumps != jumps:
                    self._by_another_clock(order.event)
            except Exception as error:  # noqa: BLE001 - whatever it is, the player must see it
                self._season.problems.append(f"a lane: {type(error).__name__}: {error}")
            finally:
                self._orders.task_done()

    def _store(self, order: Order) -> None:
        """As a monitoring system does, or its administrator: again until it is stored."""
        counts = self._season.counts
        for _ in range(300):
            code = self._tell(order)
            counts[f"exit code {code}"] += 1
            if code < 0:  # killed: whether it is stored nobody knows
                order.event.copies += 1
                order = order._replace(kill_after=None)
            elif code not in _ALLOWED:
                self._season.problems.append(f"exit code {code} of {order.event}")
            if code in _STORED:
                return
            time.sleep(0.1)
        self._season.problems.append(f"never stored: {order.event}")

    def _tell(self, order: Order) -> int:
        said, computer = order.event.said, self._season.computer
        if not order.by_command:
            self._season.counts["by feeders"] += 1
            return self._feeder.tell(said, order.kill_after)
        self._season.counts["by commands"] += 1
        process = computer.start(said.source, *said.argv, said=said, stdin=-1, stdout=-3)
        if order.kill_after is not None:
            timer = threading.Timer(order.kill_after, process.kill)
            timer.start()
        process.communicate(said.stdin.encode())
        return int(process.returncode)

    def _by_another_clock(self, event: Event) -> None:
        """What goes by the time between two captures may go otherwise."""
        if event.copies > 1 and event.least == event.most == 1:
            event.most = 2 if event.move in event.thing.remarks else 1
        pair = event.move in ("recovery, first", "problem, behind its recovery")
        if pair and not event.thing.exact:
            event.thing.doubt = "the clock jumped between a recovery and its problem"
            event.doubtful = True
