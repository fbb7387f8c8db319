"""Lanes: events of one ticket one behind another, different tickets side by side."""

from __future__ import annotations

from typing import List

import pytest

from brtel_notify.delivery.lanes import Lanes

NOW = 1_700_000_000.0


def lanes(*events: str) -> Lanes:
    """Lanes with EVENTS, each an id whose first letter is its lane."""
    made = Lanes()
    for event in events:
        made.add(event, event[0])
    return made


def work_off(made: Lanes) -> List[str]:
    """The order in which one thread would deliver what may be delivered now."""
    order = []
    while made.ready(NOW, 1):
        (lane,) = made.ready(NOW, 1)
        order.append(made.take(lane))
        made.done(lane)
    return order


def test_one_lane_keeps_the_order_of_capture() -> None:
    assert work_off(lanes("a1", "a2", "a3")) == ["a1", "a2", "a3"]


def test_an_event_that_comes_late_takes_its_place_in_the_order_of_capture() -> None:
    """An operator put a dead one back, or its process was slow between its name and the disk."""
    assert work_off(lanes("a2", "a4", "a1", "a3")) == ["a1", "a2", "a3", "a4"]


def test_nothing_steps_in_front_of_what_is_being_worked_on() -> None:
    made = lanes("a2", "a3")
    assert made.take("a") == "a2"
    made.add("a1", "a")
    assert made.head("a") == "a2"
    made.done("a")
    assert work_off(made) == ["a1", "a3"]


def test_what_was_begun_goes_before_what_was_not() -> None:
    """Half of its ticket is made: an older one that comes late must not find it in that state."""
    made = lanes("a3", "a5")
    made.take("a")
    made.stays("a", begun=True)
    made.add("a1", "a")
    made.add("a4", "a", begun=True)
    assert work_off(made) == ["a3", "a4", "a1", "a5"]


def test_what_moves_to_another_lane_waits_behind_what_was_begun_there() -> None:
    made = lanes("a1", "a2", "b3", "b4")
    made.take("b")
    made.stays("b", begun=True)
    made.take("a")
    made.move("a", "b", {"a2"})
    assert work_off(made) == ["b3", "a1", "a2", "b4"]


def test_what_was_begun_moves_to_the_front() -> None:
    made = lanes("a3", "b1", "b2")
    made.take("a")
    made.stays("a", begun=True)
    made.take("a")
    made.move("a", "b", set())
    assert work_off(made) == ["a3", "b1", "b2"]


def test_a_lane_that_is_worked_on_gives_nothing_more() -> None:
    made = lanes("a1", "a2", "b1")
    made.take("a")
    assert made.ready(NOW, 4) == ["b"]
    assert made.busy == 1
    made.take("b")
    assert made.ready(NOW, 4) == []
    made.done("a")
    assert made.ready(NOW, 4) == ["a"]
    assert made.busy == 1


def test_who_has_waited_longest_comes_first_and_no_more_than_asked_for() -> None:
    made = Lanes()
    for number in (3, 1, 2):
        made.add(f"{number}", f"lane of {number}")
    assert made.ready(NOW, 2) == ["lane of 1", "lane of 2"]


def test_an_event_that_stays_keeps_those_behind_it_back() -> None:
    made = lanes("a1", "a2")
    made.take("a")
    made.stays("a")
    assert work_off(made) == ["a1", "a2"]


def test_a_sleeping_lane_waits_for_its_time_and_others_do_not() -> None:
    made = lanes("a1", "a2", "b1")
    made.sleep("a", NOW + 15)
    assert made.ready(NOW, 4) == ["b"]
    assert made.ready(NOW + 15, 4) == ["a", "b"]


def test_only_those_that_sleep_lightly_are_woken() -> None:
    made = lanes("a1", "b1")
    made.sleep("a", NOW + 15, lightly=True)
    made.sleep("b", NOW + 15)
    made.wake()
    assert made.ready(NOW, 4) == ["a"]


def test_who_slept_lightly_and_then_fails_by_himself_sleeps_deeply() -> None:
    made = lanes("a1")
    made.sleep("a", NOW + 15, lightly=True)
    made.sleep("a", NOW + 30)
    made.wake()
    assert made.ready(NOW, 4) == []


def test_a_lane_is_awake_once_its_event_was_tried_again() -> None:
    made = lanes("a1", "a2")
    made.sleep("a", NOW - 1, lightly=True)
    made.take("a")
    made.done("a")
    assert made.ready(NOW, 4) == ["a"]


def test_events_that_went_along_are_gone_too() -> None:
    made = lanes("a1", "a2", "a3", "a4")
    made.take("a")
    assert made.behind("a1", "a") == ["a2", "a3", "a4"]
    made.done("a", also=["a2", "a3"])
    assert len(made) == 1
    assert "a2" not in made
    assert work_off(made) == ["a4"]


def test_what_is_left_says_who_is_first() -> None:
    made = lanes("a1", "a2", "b1")
    assert list(made.left()) == [("a1", True), ("a2", False), ("b1", True)]
    assert made.behind("x", "a") == made.behind("x", "x") == []


def test_an_empty_lane_is_forgotten() -> None:
    made = lanes("a1")
    assert work_off(made) == ["a1"]
    assert len(made) == 0
    assert list(made.left()) == []
    made.add("a1", "a")  # requeued
    assert work_off(made) == ["a1"]


def test_a_lane_is_given_once_however_its_first_event_came_to_be_it() -> None:
    """One that was put in front of it, and is done, has let it lie in the heap twice."""
    lanes = Lanes()
    for event_id in ("2", "1"):
        lanes.add(event_id, "L")
    assert lanes.ready(0.0, 1) == ["L"]
    assert lanes.take("L") == "1"
    lanes.done("L")
    assert lanes.ready(0.0, 9) == ["L"]
    assert lanes.ready(0.0, 9) == ["L"]


def test_what_goes_to_another_lane_sleeps_on_there() -> None:
    """It came, not to be tried yet, while the first of its lane was worked on."""
    lanes = Lanes()
    lanes.add("1", "L1")
    lanes.take("L1")
    lanes.add("2", "L1")
    lanes.sleep("L1", 30.0)
    lanes.move("L1", "L2", {"2"})
    assert lanes.asleep_until("L1") is None
    assert lanes.ready(29.0, 9) == []
    assert not lanes.rouse_unless({"1", "2"})
    assert lanes.ready(30.0, 9) == ["L2"]
    assert lanes.head("L2") == "1"


def test_a_clock_set_back_makes_nobody_sleep_longer() -> None:
    made = lanes("a1", "b1")
    made.sleep("a", NOW + 15)
    made.sleep("b", NOW + 30)
    assert made.ready(NOW, 4) == []
    assert made.ready(NOW - 86400, 4) == []
    assert made.ready(NOW - 86400 + 15, 4) == ["a"]
    assert made.ready(NOW - 86400 + 30, 4) == ["a", "b"]


def test_a_lane_that_is_put_to_sleep_again_wakes_at_the_later_time() -> None:
    made = lanes("a1")
    made.sleep("a", NOW + 15)
    made.sleep("a", NOW + 30)
    assert made.ready(NOW + 15, 4) == []
    assert made.ready(NOW + 30, 4) == ["a"]


def test_what_comes_late_in_front_of_a_lane_that_is_ready_is_begun_with() -> None:
    made = lanes("b2", "a3")
    assert made.ready(NOW, 4) == ["a", "b"]
    made.add("a1", "b")
    assert made.ready(NOW, 4) == ["b", "a"]
    assert made.take("b") == "a1"


class Counted(str):
    """An id that counts how often it is compared with another."""

    compared = 0

    def __lt__(self, other: str) -> bool:
        Counted.compared += 1
        return str.__lt__(self, other)


@pytest.mark.parametrize("alone", [True, False])
def test_an_event_costs_about_the_same_behind_any_number_of_others(alone: bool) -> None:
    """Case F6: 10 ms an event at 50,000 lanes."""

    def compared(events: int) -> float:
        Counted.compared = 0
        made = Lanes()
        for number in range(events):
            made.add(Counted(f"{number:06d}"), f"lane {number if alone else number % 7}")
        while made.ready(NOW, 1):
            (lane,) = made.ready(NOW, 1)
            event_id = made.take(lane)
            assert len(made.behind(event_id, lane)) <= 1000
            made.done(lane)
        assert len(made) == 0
        return Counted.compared / events

    assert compared(20_000) < 3 * compared(500)
