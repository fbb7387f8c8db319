"""When a problem opens its ticket: ``ticket.open_after``."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, List, Optional, Sequence, Tuple
from zoneinfo import ZoneInfo

import pytest

from brtel_notify.alert import Alert
from brtel_notify.delivery.aside import Aside
from brtel_notify.delivery.open_after import Wait, due_at, lasted, wait
from brtel_notify.delivery.together import Follower
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Event

PARIS = ZoneInfo("Europe/Paris")
FIRST = 1_800_000_000.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp()


@pytest.mark.parametrize(
    ("since", "open_after", "due"),
    [
        ("2026-11-28 03:00", 0.0, "2026-11-28 03:00"),
        ("2026-11-28 03:00", 300.0, "2026-11-28 03:05"),
        ("2026-11-28 03:00", "08:00", "2026-11-28 08:00"),
        ("2026-11-28 08:00", "08:00", "2026-11-28 08:00"),
        ("2026-11-28 23:00", "08:00", "2026-11-29 08:00"),
        ("2026-11-28 08:00:01", "08:00", "2026-11-29 08:00"),
        ("2026-10-24 23:00", "08:00", "2026-10-25 08:00"),  # the night is an hour longer
        ("2026-03-28 23:00", "08:00", "2026-03-29 08:00"),  # …or shorter
        ("2026-03-28 23:00", "02:30", "2026-03-29 02:30"),  # which there is not
    ],
)
def test_when_it_is_due(since: str, open_after: Any, due: str) -> None:
    assert due_at(open_after, at(since), PARIS) == at(due)


def event(seconds: float, **journal: Any) -> Event:
    capture = Capture("event", {}, [], "", FIRST + seconds)
    path = f"/queue/{int((FIRST + seconds) * 1e9):020d}-0000001-abcdef.jsonl"
    return Event(path, capture, [journal] if journal else [])


def alert(kind: str = "problem", severity: str = "warning", **more: Any) -> Alert:
    severity = "ok" if kind == "recovery" else severity
    return Alert("event", kind, "h", FIRST, severity=severity, **more)


AFTER = {"warning": 1800.0, "critical": 300.0}


def looked(
    followers: Sequence[Tuple[float, Alert]], now: float, first: Optional[Alert] = None
) -> Wait:
    behind: List[Follower] = [(event(seconds), each) for seconds, each in followers]
    head, said = event(0), first or alert()
    return wait(head, said, behind, lambda one: AFTER[one.severity], timezone.utc, FIRST + now)


def test_it_waits_for_its_time() -> None:
    found = looked([], 60)
    assert (found.due, found.over, found.heir) == (FIRST + 1800, [], None)


def test_over_before_its_time() -> None:
    found = looked([(180, alert("recovery"))], 181)
    assert [said.kind for _, said in found.over] == ["problem", "recovery"]


def test_over_before_its_time_and_seen_long_after_it() -> None:
    """An outage, a stopped worker: what counts is when it was captured."""
    assert looked([(180, alert("recovery"))], 90_000).over


def test_over_after_its_time() -> None:
    found = looked([(1900, alert("recovery"))], 90_000)
    assert (found.over, found.due) == ([], FIRST + 1800)


def test_worse_counts_by_its_new_severity() -> None:
    found = looked([(60, alert(severity="critical"))], 61)
    assert found.due == FIRST + 300
    assert found.heir is not None


def test_a_recovery_after_the_time_of_the_new_severity() -> None:
    followers = [(60, alert(severity="critical")), (400, alert("recovery"))]
    assert looked(followers, 401).over == []


def test_reported_again_it_waits_as_that() -> None:
    found = looked([(60, alert())], 61)
    assert found.due == FIRST + 1800
    assert found.heir is not None


def test_what_was_noted_in_between_keeps_its_place() -> None:
    followers = [(10, alert("acknowledgement")), (60, alert(severity="critical"))]
    found = looked(followers, 61)
    assert (found.heir, found.due, len(found.company)) == (None, FIRST + 300, 3)


def test_another_alert_is_not_its_company() -> None:
    found = looked([(10, alert("recovery", service="other"))], 61)
    assert (found.over, len(found.company)) == ([], 1)


def test_of_several_events_each_waits_and_ends_by_itself() -> None:
    def one(kind: str, occurrence: str) -> Alert:
        return alert(kind, one_by_one=True, occurrence=occurrence)

    first = one("problem", "1001")
    assert not looked([(5, one("problem", "1002")), (9, one("recovery", "1002"))], 10, first).over
    gone = looked([(5, one("problem", "1002")), (9, one("recovery", "1001"))], 10, first).over
    assert [said.occurrence for _, said in gone] == ["1001", "1001"]


def test_another_one_begins_to_wait_anew() -> None:
    first = alert(occurrence="1", occurrence_by="LASTSERVICEOK")
    again = alert(occurrence="2", occurrence_by="LASTSERVICEOK")
    assert looked([(1000, again)], 1001, first).due == FIRST + 1800


def test_another_one_takes_its_place_whatever_was_said_in_between() -> None:
    first = alert(occurrence="1", occurrence_by="LASTSERVICEOK")
    again = alert(occurrence="2", occurrence_by="LASTSERVICEOK")
    followers = [(10, alert("comment")), (1000, again), (1100, again), (1200, alert("comment"))]
    found = looked(followers, 1201, first)
    assert found.heir is not None
    assert (found.heir[1], found.since, len(found.company)) == (again, FIRST + 1000, 5)
    assert looked([(1900, again)], 1901, first).heir is None  # this one's time had come


def test_what_waits_is_not_forgotten_when_more_of_the_alert_waits() -> None:
    aside = Aside()
    aside.put(["a"], "lane 1", ["1"], 100.0)
    aside.put(["b", "a"], "lane 2", ["2"], 200.0)
    assert list(aside.due(100.0)) == [("1", "lane 1"), ("2", "lane 2")]
    assert ("1" in aside, "2" in aside) == (False, False)
    assert list(aside.due(900.0)) == []


def test_nobody_waits_for_a_time_that_a_clock_set_back_has_put_off() -> None:
    """F3: a worker would wait until tomorrow for what was captured before NTP came."""
    aside = Aside()
    aside.put(["a", "also a"], "lane 1", ["1"], 86_700.0)
    assert list(aside.due(86_500.0)) == []
    assert list(aside.due(86_499.0)) == []
    assert list(aside.due(100.0)) == [("1", "lane 1")]
    assert "1" not in aside


def test_a_clock_that_was_ahead_makes_nothing_wait() -> None:
    assert looked([], -3600).due == FIRST - 3600


def test_what_waits_as_its_successor_has_waited_since_the_first() -> None:
    heir = event(60, waits_since=FIRST)
    found = wait(heir, alert(), [], lambda one: 1800.0, timezone.utc, FIRST + 61)
    assert found.due == FIRST + 1800


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40s"), (180, "3 min"), (7199, "119 min"), (7200, "2h")]
)
def test_how_long_it_lasted(seconds: float, words: str) -> None:
    assert lasted(seconds) == words


def test_aside_until_their_time_or_until_company_comes() -> None:
    aside = Aside()
    aside.put(["a", "formerly a"], "lane 1", ["1", "3"], 100.0)
    aside.put(["b"], "lane 1", ["2"], 50.0)
    assert ("1" in aside, "2" in aside, "4" in aside) == (True, True, False)
    assert list(aside.due(49.0)) == []
    assert list(aside.due(50.0)) == [("2", "lane 1")]
    assert list(aside.take(["new", "formerly a"])) == [("1", "lane 1"), ("3", "lane 1")]
    assert "1" not in aside
    aside.put(["a"], "lane 1", ["1"], 200.0)  # later than it was to be
    assert list(aside.due(100.0)) == []
    assert list(aside.due(200.0)) == [("1", "lane 1")]
