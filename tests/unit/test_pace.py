"""The ceiling on calls, with a clock of its own."""

from __future__ import annotations

import math
from typing import List

from brtel_notify.api.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: List[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_no_minute_has_more_calls_than_allowed() -> None:
    clock = Clock()
    pace = Pace(3, lambda: clock.now, clock.sleep)
    times = []
    for _ in range(10):
        assert pace.wait(math.inf)
        times.append(clock.now)
        clock.now += 1
    for number, begin in enumerate(times[:-3]):
        assert times[number + 3] - begin >= 60


def test_below_the_ceiling_nobody_waits() -> None:
    clock = Clock()
    pace = Pace(3, lambda: clock.now, clock.sleep)
    for _ in range(10):
        assert pace.wait(math.inf)
        clock.now += 25
    assert clock.slept == []


def test_who_has_no_time_to_wait_is_told_at_once() -> None:
    clock = Clock()
    pace = Pace(1, lambda: clock.now, clock.sleep)
    assert pace.wait(1.0)
    assert not pace.wait(20.0)
    assert clock.slept == []
    assert pace.wait(60.0)
