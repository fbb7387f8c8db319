"""The soak itself: a short one of each half, and a judge that sees what is wrong."""

from __future__ import annotations

import io
import random
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Type

import pytest
from support import PATIENCE

from brtel_notify.alert import Alert
from brtel_notify.options import Options
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.sources import registry
from soak import inprocess
from soak.judge import Desk, Judge
from soak.model import Numbers, Said, Thing
from soak.player import Season
from soak.sources import KINDS, Nagios, Zabbix

pytestmark = pytest.mark.short


def test_a_short_season_of_real_processes(tmp_path: Path, sandbox: SandboxProcess) -> None:
    season = Season("short/1", tmp_path / "season", sandbox)
    season.play(100, time.monotonic() + PATIENCE)
    assert season.problems == []


def test_a_short_season_in_this_process() -> None:
    for season in inprocess.seasons("short", 300):
        assert season.problems == []


def test_the_seed_alone_decides_what_is_played_in_this_process() -> None:
    first: List[str] = []
    again: List[str] = []
    for texts in (first, again):
        for season in inprocess.seasons("again", 150):
            texts += [str(event) for thing in season.things for event in thing.events]
            texts += [str(season.counts)]
    assert first == again


@pytest.mark.parametrize("kind", KINDS)
def test_a_thing_says_what_its_source_can_read(
    kind: Type[Thing], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it says is an alert about it, whose text people see."""
    chance, numbers = random.Random(1), Numbers()
    thing = kind(7, "h1.soak.example", chance)
    for _ in range(60):
        for event in thing.happen(chance, numbers, 1_800_000_000.0):
            alert = parsed(event.said, monkeypatch)
            assert thing.tag in f"{alert.host} {alert.what} {alert.title}"
            assert event.mark in f"{alert.output} {alert.comment}"
            assert (alert.kind == "recovery") == ("recovery" in event.move.split(",")[0])


def parsed(said: Said, monkeypatch: pytest.MonkeyPatch) -> Alert:
    """The alert that it is to the program."""
    for name, value in said.env.items():
        monkeypatch.setenv(name, value)
    stdin = io.TextIOWrapper(io.BytesIO(said.stdin.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    return registry.parse(registry.source(said.source).capture(list(said.argv), Options()))


# --- the judge ------------------------------------------------------------------------------------


def ticket(number: int, body: str, *notes: str, is_open: bool = True) -> Dict[str, Any]:
    replies = [{"body": note} for note in notes]
    return {"id": number, "ticketable_id": 1, "body": body, "open": is_open, "replies": replies}


def verdict(thing: Thing, *tickets: Dict[str, Any], **more: Any) -> List[str]:
    desk = Desk(list(tickets), [], {1: thing.account or "CL000001"}, **more)
    return [fault.what for fault in Judge([thing], desk).faults]


@pytest.fixture
def thing() -> Thing:
    """A service with a problem."""
    made = Nagios(7, "h1.soak.example", random.Random(1))
    numbers, chance = Numbers(), random.Random(1)
    made.events = made._problem(chance, numbers)
    return made


def text(thing: Thing, number: int) -> str:
    return f"<p>{thing.tag}: {thing.events[number].mark} is wrong</p>"


def recover(thing: Thing) -> None:
    thing.events += thing._recovery(random.Random(1), Numbers())


def test_all_is_right(thing: Thing) -> None:
    details = f"<p><strong>Alert details</strong></p>{text(thing, 0)}"
    assert verdict(thing, ticket(1, text(thing, 0), details)) == []


def test_a_problem_without_a_ticket_is_lost(thing: Thing) -> None:
    assert verdict(thing) == ["lost", "text lost"]


def test_a_problem_whose_ticket_is_closed(thing: Thing) -> None:
    assert verdict(thing, ticket(1, text(thing, 0), is_open=False)) == ["wrongly closed"]


def test_two_tickets_for_one_problem(thing: Thing) -> None:
    two = [ticket(number, text(thing, 0)) for number in (1, 2)]
    assert verdict(thing, *two) == ["doubled", "text twice"]


def test_a_ticket_that_stays_open(thing: Thing) -> None:
    recover(thing)
    left = ticket(1, text(thing, 0), text(thing, 1))
    assert verdict(thing, left) == ["left open"]


def test_a_note_twice(thing: Thing) -> None:
    recover(thing)
    closed = ticket(1, text(thing, 0), text(thing, 1), text(thing, 1), is_open=False)
    assert verdict(thing, closed) == ["text twice"]


def test_a_ticket_of_the_wrong_customer(thing: Thing) -> None:
    assert verdict(thing, {**ticket(1, text(thing, 0)), "ticketable_id": 2}) == ["stranger"]


def test_a_persons_ticket_that_was_answered(thing: Thing) -> None:
    ours, theirs = ticket(1, text(thing, 0)), ticket(2, text(thing, 0), "<p>from us</p>")
    assert verdict(thing, ours, theirs, strangers={2: 0}) == ["stranger"]


@pytest.mark.parametrize("doubtful", [False, True])
def test_a_problem_behind_its_recovery_whose_clocks_leave_a_doubt(
    thing: Thing, doubtful: bool
) -> None:
    """It may have a ticket, which a recovery closes: in doubt one is opened (DESIGN 5, rule 5)."""
    numbers, chance = Numbers(), random.Random(1)
    recover(thing)
    numbers._last = 2000  # no text has the mark of another
    closed = ticket(1, text(thing, 0), text(thing, 1), is_open=False)
    thing.events += thing._recovery_first(chance, numbers)
    thing.events += thing._unknown_recovery(chance, numbers)
    thing.events[3].doubtful = doubtful
    opened = ticket(2, text(thing, 3), text(thing, 4), is_open=False)
    found = verdict(thing, closed, opened)
    assert found == ([] if doubtful else ["text of nothing", "text of nothing"])


@pytest.mark.parametrize("grouped", [False, True])
def test_a_ticket_of_an_earlier_name_that_another_thing_may_hold(grouped: bool) -> None:
    """A trigger whose host was renamed has another one; no note says who joined the old one."""
    trigger = Zabbix(7, "h1.soak.example", random.Random(1))
    numbers, chance = Numbers(), random.Random(1)
    trigger.events = trigger._problem(chance, numbers)
    trigger.events += trigger._renamed_recovery(chance, numbers)
    before, after = ticket(1, text(trigger, 0)), ticket(2, f"<p>{trigger.tag}, as then</p>")
    trigger.events += trigger._problem(chance, numbers)
    found = verdict(trigger, before, after, withheld=True, grouped=grouped)
    assert found == ([] if grouped else ["doubled"])


def test_one_of_two_problems_of_a_trigger_has_ended() -> None:
    """The ticket stays, as section 5 has it."""
    trigger = Zabbix(7, "h1.soak.example", random.Random(1))
    numbers, chance = Numbers(), random.Random(1)
    trigger.events = [*trigger._problem(chance, numbers), *trigger._other(chance, numbers)]
    trigger.events += trigger._recovery(chance, numbers)
    texts = [text(trigger, number) for number in range(3)]
    assert verdict(trigger, ticket(1, *texts)) == []
    assert verdict(trigger, ticket(1, *texts, is_open=False)) == ["wrongly closed"]
