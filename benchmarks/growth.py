"""The figures of large queues and maps: what must not cost more, the more there is of it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List
from unittest import mock

import requests
from machines import (
    PATIENCE,
    PROBLEM,
    Site,
    captured,
    environment,
    fill_map,
    host_variables,
    many_customers,
)
from measuring import Failed, Figure, Spent, ratio, run

from brtel_notify.delivery.breaker import Breaker
from brtel_notify.intake.queue import Queue
from brtel_notify.sandbox.testing import SandboxProcess

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
#: How many events a flush has in front of it, many and few.
MANY, FEW = 10_000, 500
#: How many a notification command has, and how many it is to deliver in its 20 seconds.
LONG, AT_LEAST = 50_000, 100
#: Pairs of the short commands that make one run.
PAIRS = 5


class Growth:
    """Each method gives a figure; RUNS of the short ones."""

    def __init__(self, folder: Path, runs: int, part: int = 1) -> None:
        self.folder = folder / "growth"
        self.folder.mkdir()
        self.runs = runs
        self.part = part  # --quick: so many times less of everything
        self._sites = 0

    def check(self) -> Figure:
        """CPU of ``check`` with 50,000 open tickets in the map, against 100."""
        with SandboxProcess() as sandbox:
            small, large = self._site(sandbox.url, sandbox), self._site(sandbox.url, sandbox)
            fill_map(small.state, 100)
            fill_map(large.state, LONG // self.part)
            pairs = self._pairs(large.command("check"), small.command("check"))
        return ratio("check", f"check with {LONG:,} open tickets, CPU, against 100", 4, *pairs)

    def flush(self) -> Figure:
        """CPU an event of one flush, many distinct alerts against few."""
        many, few = MANY // self.part, FEW
        large, small = [], []
        for _ in range(min(self.runs, 2)):
            large.append(self._flushed(many).cpu / many)
            small.append(self._flushed(few).cpu / few)
        title = f"one flush over {many:,} queued, CPU an event, against {few}"
        return ratio("flush", title, 1.3, large, small)

    def in_front(self) -> Figure:
        """How many a notification command delivers that comes when 50,000 wait."""
        delivered = []
        with self._stood_in() as (site, url):
            self._fill_queue(site, LONG // self.part)
            for _ in range(min(self.runs, 2)):
                before = _opened(url)
                run(site.command("nagios"), PROBLEM)
                delivered.append(float(_opened(url) - before))
        title = f"delivered by a notification in front of {LONG:,}, in its 20 s"
        return Figure("in-front", title, AT_LEAST, delivered, sign="", at_least=True)

    def stored(self) -> Figure:
        """CPU of a command that only stores, in front of 50,000, against an empty queue."""
        with SandboxProcess() as sandbox:
            small, large = self._site(sandbox.url, sandbox), self._site(sandbox.url, sandbox)
            self._fill_queue(large, LONG // self.part)
            for site in (small, large):
                Breaker(str(site.state)).trip(time.time(), "503 from a test", 50.0, None)
            pairs = self._pairs(large.command("nagios"), small.command("nagios"))
        title = f"an alert that is only stored, in front of {LONG:,}, CPU, against none"
        return ratio("stored", title, 1.5, *pairs)

    # --- what they share --------------------------------------------------------------------------

    def _site(self, url: str, sandbox: SandboxProcess) -> Site:
        self._sites += 1
        return Site(self.folder / f"site-{self._sites}", url, sandbox.token)

    def _pairs(self, ours: List[str], theirs: List[str]) -> tuple[List[float], List[float]]:
        large, small = [], []
        for number in range(self.runs * PAIRS + 1):
            pair = run(ours, PROBLEM).cpu, run(theirs, PROBLEM).cpu
            if number:  # the first only warms up
                large.append(pair[0])
                small.append(pair[1])
        return (
            [sum(large[n :: self.runs]) / PAIRS for n in range(self.runs)],
            [sum(small[n :: self.runs]) / PAIRS for n in range(self.runs)],
        )

    def _flushed(self, events: int) -> Spent:
        with self._stood_in() as (site, url):
            self._fill_queue(site, events)
            spent = run(site.command("flush"), environment())
            left = len(Queue(str(site.state)).pending())
            if _opened(url) != events or left:
                raise Failed(f"{events} alerts became {_opened(url)} tickets, {left} are left")
        return spent

    @contextlib.contextmanager
    def _stood_in(self) -> Iterator[tuple[Site, str]]:
        """A site whose BlueRockTEL takes any number of tickets; its URL."""
        with SandboxProcess() as sandbox:
            sandbox.seed(replace=False, **many_customers(MANY))
            process = subprocess.Popen(
                [sys.executable, STAND_IN, sandbox.url], stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            try:
                url = process.stdout.readline().strip()
                yield self._site(url, sandbox), url
            finally:
                process.terminate()
                process.wait(PATIENCE)
                process.stdout.close()

    def _fill_queue(self, site: Site, events: int) -> None:
        """So many different alerts wait; the disk is not waited for."""
        with mock.patch("os.fsync"):
            queue = Queue(str(site.state))
            for number in range(events):
                queue.add(captured(environment("nagios4-host-problem", **host_variables(number))))


def _opened(url: str) -> int:
    return int(requests.get(f"{url.removesuffix('/api')}/count", timeout=60).json())
