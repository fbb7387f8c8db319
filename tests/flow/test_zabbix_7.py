"""Zabbix 7.0 sends the recovery first, and the update that closed the problem behind it.

DESIGN section 5, rule 7: what a person said in it still reaches the ticket, and nothing else comes
of it.
"""

from __future__ import annotations

import re
import time

import pytest
from support import Site, load_capture
from test_occurrences import close_by_hand, hold, is_open, notes, update, zabbix
from test_table import deleted

from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Queue
from brtel_notify.text import times

CLOSED = "acknowledged, commented and closed"
SAID = ("EVENT.VALUE: 0", "EVENT.UPDATE.MESSAGE: carrier called", "USER.FULLNAME: Jo")


def closing(site: Site, event: int, *more: str) -> str:
    """The update that comes behind the recovery of EVENT."""
    return update(site, event, CLOSED, *SAID, *more)


def told(site: Site, number: int = 0) -> int:
    """How many notes of a ticket hold what the person said."""
    return sum("carrier called" in text for text in notes(site, number))


def test_before_the_recovery_it_is_noted_on_the_open_ticket(site: Site) -> None:
    """As 6.0 sends it, or a second alerter of 7.0."""
    zabbix(site, 1001)
    closing(site, 1001)
    zabbix(site, 1001, 0)
    assert is_open(site) == [False]
    assert told(site) == 1
    closing(site, 1001)  # Zabbix tries an alert again
    assert told(site) == 1


def test_another_event_of_the_trigger_goes_on(site: Site) -> None:
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    zabbix(site, 1002)  # the ticket is reopened for it
    closing(site, 1001, "EVENT.SEVERITY: Disaster", "EVENT.NSEVERITY: 5")
    assert told(site) == 1
    assert is_open(site) == [True]
    assert site.the_ticket()["priority_id"] == 2
    zabbix(site, 1002, 0)
    assert is_open(site) == [False]
    closing(site, 1002)  # the same words of another event, a moment later
    assert is_open(site) == [False]


def test_one_of_two_events_is_closed(site: Site) -> None:
    zabbix(site, 1001)
    zabbix(site, 1002)
    zabbix(site, 1001, 0)
    closing(site, 1001)
    assert (told(site), is_open(site)) == (1, [True])
    zabbix(site, 1002, 0)
    assert is_open(site) == [False]


def test_the_map_was_lost_between_the_two(site: Site) -> None:
    """Nobody knows any more that a ticket was just closed for it: nothing comes of it."""
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    (site.state_dir / "state.json").unlink()
    assert "no ticket of ours is open" in closing(site, 1001)
    assert (is_open(site), site.queued(), site.queued("dead")) == ([False], [], [])


@pytest.mark.parametrize("more", ["", "  group_by: host\n"])
def test_the_map_was_lost_before_the_two(site: Site, more: str) -> None:
    """The recovery finds the ticket on the server; what comes behind it is about that one."""
    site.configure(more)
    zabbix(site, 1001)
    (site.state_dir / "state.json").unlink()
    zabbix(site, 1001, 0)
    closing(site, 1001)
    assert (told(site), is_open(site)) == (1, [bool(more)])


@pytest.mark.short
def test_in_a_ticket_that_another_alert_of_the_host_holds_open(site: Site) -> None:
    site.configure("  group_by: host\n")
    site.notify("nagios4-service-problem")
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    closing(site, 1001)
    assert (told(site), is_open(site)) == (1, [True])
    site.notify("nagios4-service-recovery")
    assert is_open(site) == [False]


@pytest.mark.parametrize("more", ["", "  group_by: host\n"])
def test_the_clock_was_set_back_between_the_two(site: Site, more: str) -> None:
    """By a minute and a half: the recovery lies ahead."""
    site.configure(more)
    if more:
        site.notify("nagios4-service-problem")
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    path = site.state_dir / "state.json"
    before = re.search('"over_at": "(.*)"', path.read_text())
    assert before
    ahead = times.iso(times.from_iso(before[1]) + 90)
    path.write_text(path.read_text().replace(before[0], f'"over_at": "{ahead}"'))
    closing(site, 1001)
    assert told(site) == 1


def test_in_a_hosts_ticket_that_was_closed_with_it(site: Site) -> None:
    site.configure("  group_by: host\n")
    site.notify("nagios4-service-problem")
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    site.notify("nagios4-service-recovery")
    closing(site, 1001)
    assert (told(site), is_open(site)) == (1, [False])


@pytest.mark.parametrize("wanted", ["new", "reopen", "ignore"])
def test_a_person_had_closed_the_ticket_at_the_desk(site: Site, wanted: str) -> None:
    site.configure(f"lifecycle: {{on_closed_by_hand: {wanted}}}\n")
    zabbix(site, 1001)
    close_by_hand(site)
    zabbix(site, 1001, 0)
    closing(site, 1001)
    assert is_open(site) == [False]
    assert told(site) == 1


@pytest.mark.parametrize("wanted", ["note", "ignore"])
def test_a_ticket_that_is_left_to_people(site: Site, wanted: str) -> None:
    site.configure(f"lifecycle: {{on_recovery: {wanted}}}\n")
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    closing(site, 1001)
    assert (told(site), is_open(site)) == (1, [True])


def test_the_ticket_was_deleted_meanwhile(site: Site) -> None:
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    deleted(site)
    assert "not there any more" in closing(site, 1001)
    assert (site.queued(), site.queued("dead"), site.state) == ([], [], {})


def test_nothing_was_ever_opened_for_it(site: Site) -> None:
    site.configure("rules: [{when: 'true', ignore: true}]\n")
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    closing(site, 1001)
    assert (site.tickets, site.queued(), site.queued("dead")) == ([], [], [])


# --- an outage ------------------------------------------------------------------------------------


def test_it_waits_in_the_queue_in_front_of_an_outage(site: Site) -> None:
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    for _ in hold(site):
        closing(site, 1001)
        zabbix(site, 1010)
    site.run("flush")
    assert (told(site), is_open(site)) == (1, [True])


def wait(site: Site, ago: float, value: int, *more: str, trigger: int = 13491) -> None:
    """An alert of Zabbix's that was stored so many minutes AGO, and waits since then."""
    lines = [
        *("EVENT.ID: 1001", f"EVENT.VALUE: {value}", f"TRIGGER.ID: {trigger}"),
        *("HOST.HOST: acme.3cx.fr", "EVENT.NAME: SIP trunk down", "EVENT.SEVERITY: High", *more),
    ]
    capture = Capture("zabbix", {}, ["x", "y", "\n".join(lines)], "", time.time() - ago * 60)
    event = Queue(str(site.state_dir)).add(capture)
    path = site.state_dir / "queue" / f"{event.id}.jsonl"
    path.rename(path.with_name(f"{int(capture.time * 1e9):020d}{path.name[20:]}"))


UPDATE = ("EVENT.UPDATE.STATUS: 1", f"EVENT.UPDATE.ACTION: {CLOSED}", *SAID[1:])


@pytest.mark.parametrize("reopen_within", ["1h", "0"])
def test_two_hours_of_outage_are_delivered_at_once(site: Site, reopen_within: str) -> None:
    site.configure(f"lifecycle: {{reopen_within: {reopen_within}}}\n")
    wait(site, 190, 1)
    wait(site, 180, 0)
    wait(site, 179, 0, *UPDATE)
    site.run("flush")
    assert (told(site), is_open(site), site.queued()) == (1, [False], [])


def test_what_others_end_meanwhile_does_not_make_it_forgotten(site: Site) -> None:
    """The recovery was delivered in front of the outage; behind it, another ticket ends first."""
    wait(site, 190, 1)
    wait(site, 180, 0)
    site.run("flush")
    wait(site, 179, 0, *UPDATE)
    wait(site, 185, 1, trigger=7)
    wait(site, 184, 0, trigger=7)
    site.run("flush")
    assert (told(site), is_open(site)) == (1, [False, False])


def test_an_update_of_another_day_is_none_of_a_closing(site: Site) -> None:
    wait(site, 190, 1)
    wait(site, 180, 0)
    wait(site, 170, 0, *UPDATE)
    site.run("flush")
    assert (told(site), is_open(site)) == (0, [False])


# --- what a real 7.0.22 sent ----------------------------------------------------------------------

REAL = ("zabbix7-problem", "zabbix7-recovery", "zabbix7-update")


@pytest.mark.short
def test_a_person_closes_a_problem_of_a_real_7_0(site: Site) -> None:
    said = [site.notify(name) for name in REAL]
    for decision, line in zip((": opened: ", ": closed: ", ": acknowledgement noted: "), said):
        assert decision in line
    assert is_open(site) == [False]
    *_, last = notes(site)
    assert "by Zabbix Administrator (Admin)" in last
    assert "a new card<br>is in" in last


def test_macros_that_7_0_does_not_know_are_shown_to_nobody(site: Site) -> None:
    for name in REAL:
        words = load_capture(name)["argv"]
        assert "{EVENT.TIMESTAMP}" in words[-1]
        shown = site.run("render", "zabbix", *words).stdout
        assert "{" not in shown.partition("calls:")[0]
        site.notify(name)
    ticket = site.the_ticket()
    assert "{" not in repr([ticket["subject"], ticket["body"], *notes(site)])
    assert "2026-11-28 16:54:34" in ticket["body"]


def test_the_trigger_of_a_real_7_0_is_switched_off(site: Site) -> None:
    sendto, subject, message = load_capture("zabbix7-cancelled")["argv"]
    site.run("zabbix", sendto, subject, message[message.index("BRTEL.NOTIFY") :])
    assert is_open(site) == [True]
    site.notify("zabbix7-cancelled")
    assert is_open(site) == [False]
    assert "disabled." in notes(site)[-1]
