"""What parts of the delivery do to each other, that each does right alone."""

from __future__ import annotations

import json
import os
import time
from typing import Any, List

import pytest
from inprocess import in_child
from support import Site, load_capture
from test_occurrences import close_by_hand, librenms, zabbix
from test_table import closed_by_hand

from brtel_notify.delivery.drain import Drain
from brtel_notify.delivery.place import Place
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Queue
from brtel_notify.local.log import Log

SERVICE = "nagios4-service-problem"
HOST, HOST_UP = "nagios4-host-problem", "nagios4-host-recovery"
IGNORE = "  group_by: host\nlifecycle: {on_closed_by_hand: ignore}\n"


def is_open(site: Site) -> List[bool]:
    return [bool(ticket["open"]) for ticket in site.tickets]


def event(site: Site, state: str, *more: str, service: str = "line") -> str:
    words = ("--host", "acme.3cx.fr", "--service", service, "--state", state, *more)
    return site.run("event", *words).stdout


# --- a person's word (on_closed_by_hand: ignore) and a ticket of several -------------------------


@pytest.mark.short
def test_the_persons_word_is_not_about_an_alert_that_comes_later(site: Site) -> None:
    site.configure(IGNORE)
    event(site, "DOWN")
    closed_by_hand(site)
    assert "left alone" in event(site, "DOWN")
    event(site, "DOWN", service="power")
    assert is_open(site) == [False, True]


def test_nor_about_the_alert_that_finds_the_ticket_closed(site: Site) -> None:
    site.configure(IGNORE)
    event(site, "DOWN")
    closed_by_hand(site)
    event(site, "DOWN", service="power")
    assert is_open(site) == [False, True]


def test_the_persons_word_holds_for_those_that_have_not_recovered(site: Site) -> None:
    site.configure(IGNORE)
    event(site, "DOWN")
    event(site, "DOWN", service="power")
    closed_by_hand(site)
    assert "left alone" in event(site, "DOWN")
    event(site, "UP", service="power")
    assert "left alone" in event(site, "DOWN")
    event(site, "UP")
    event(site, "DOWN")
    assert any(is_open(site))


def test_the_persons_word_holds_for_each_of_several_events(site: Site) -> None:
    site.configure(IGNORE.replace("host", "alert"))
    zabbix(site, 1001)
    zabbix(site, 1002)
    closed_by_hand(site)
    assert "left alone" in zabbix(site, 1002)
    zabbix(site, 1001, 0)
    zabbix(site, 999, 0)
    assert "left alone" in zabbix(site, 1002)


# --- occurrences and what says less of them -------------------------------------------------------


def test_an_acknowledgement_that_says_worse_does_not_forget_which_problem_it_is(
    site: Site,
) -> None:
    """The recovery was never sent: what fails again later is another problem."""
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    site.notify(SERVICE, "NOTIFICATIONTYPE=ACKNOWLEDGEMENT", "SERVICESTATE=CRITICAL")
    close_by_hand(site)
    later = str(int(time.time()) - 5)
    site.notify(SERVICE, f"LASTSERVICEOK={later}", f"LASTSERVICESTATECHANGE={later}")
    assert is_open(site) == [False, True]


def test_a_host_out_of_reach_does_not_forget_which_problem_it_is(site: Site) -> None:
    """DOWN 2, UNREACHABLE 0, its recovery is never sent, DOWN 3."""
    site.notify(HOST, "LASTHOSTUP=0", "HOSTPROBLEMID=2")
    site.notify(HOST, "LASTHOSTUP=0", "HOSTPROBLEMID=0", "HOSTSTATE=UNREACHABLE")
    close_by_hand(site)
    site.notify(HOST, "LASTHOSTUP=0", "HOSTPROBLEMID=3", "HOSTSTATE=UNREACHABLE")
    assert is_open(site) == [False, True]


@pytest.mark.short
def test_a_late_retry_of_an_event_that_ended_beside_another(site: Site) -> None:
    """A4 where several are held: nothing would ever end it."""
    zabbix(site, 1001)
    zabbix(site, 1002)
    zabbix(site, 1001, 0)
    assert "the recovery of 1001" in zabbix(site, 1001)
    zabbix(site, 1002, 0)
    assert is_open(site) == [False]


def test_each_event_of_a_renamed_host_ends_though_another_came_by_the_new_name(
    site: Site,
) -> None:
    zabbix(site, 1001, 1, "HOST.HOST: old")
    zabbix(site, 1002)
    zabbix(site, 1001, 0)
    assert is_open(site) == [False, True]
    zabbix(site, 1002, 0)
    assert is_open(site) == [False, False]


# --- a customer that is gone, and events that go together -----------------------------------------


def test_of_several_that_go_together_none_is_lost_with_their_customer(site: Site) -> None:
    site.configure("  group_by: host\n")
    event(site, "DOWN", "--var", "CUSTOMER_ACCOUNT=CL2385")
    customers = [c for c in site.sandbox.data()["customers"] if c["id"] != 42]
    new = {"id": 77, "name": "Acme, merged", "customer_account": "CL2385"}
    queue = Queue(str(site.state_dir))
    for service in ("power", "disk"):
        words = ["--host", "acme.3cx.fr", "--service", service, "--state", "DOWN"]
        words += ["--var", "CUSTOMER_ACCOUNT=CL2385"]
        queue.add(Capture("event", {}, words, "", time.time()))
    close_by_hand(site)
    site.sandbox.seed(replace=True, customers=[*customers, new], pbx_hosts=[], contacts=[])
    site.run("flush")
    assert site.queued() == []
    members = [key for entry in site.state.values() for key in entry["members"]]
    assert {"event:acme.3cx.fr:power", "event:acme.3cx.fr:disk"} <= set(members)
    texts = json.dumps(site.tickets[-1])
    assert "power" in texts
    assert "disk" in texts


def test_a_recovery_ahead_of_its_problem_is_none_that_was_sent_twice(site: Site) -> None:
    """A4: its problem would open a ticket that nothing ends."""
    site.configure("  group_by: host\n")
    now = int(time.time())
    queue = Queue(str(site.state_dir))
    queue.add(nagios(now - 60))
    site.run("flush")
    well = [nagios(since, "OK", "RECOVERY") for since in (now - 50, now - 30)]
    for each in (*well, nagios(now - 40)):
        queue.add(each)
    site.run("flush")
    assert is_open(site) == [False]


@pytest.mark.short
def test_another_problem_of_librenms_is_not_the_same_one_sent_twice(site: Site) -> None:
    site.configure("  group_by: host\n")
    librenms(site, 1, alert_id=30, rule_id=4, name="other rule")
    queue = Queue(str(site.state_dir))
    for uid in (904, 950):
        data = {**load_capture("librenms-problem")["stdin"], "uid": uid, "id": uid}
        document = json.dumps({**data, "msg": f"it is {uid}"})
        queue.add(Capture("librenms", {}, [], document, time.time()))
    site.run("flush")
    texts = json.dumps(site.the_ticket())
    assert "it is 904" in texts
    assert "it is 950" in texts


# --- ticket.open_after and … ----------------------------------------------------------------------


def test_reported_again_and_ignored_by_a_rule_it_waits_all_the_same(site: Site) -> None:
    site.configure("  open_after: 1h\nrules: [{when: \"'night' in output\", ignore: true}]\n")
    event(site, "DOWN")
    event(site, "DOWN", "--output", "night")
    waiting = [path.read_bytes() for path in site.queued()]
    assert any(b"night" not in data for data in waiting)


def in_one_drain(site: Site, *captures: Capture) -> None:
    """All CAPTURES wait; a worker's drain looks at them."""

    def work() -> None:
        queue = Queue(str(site.state_dir))
        drain = Drain(Place(str(site.state_dir), str(site.config_file), os.environ, Log()), None)
        drain.inline = False
        for each in captures:
            queue.add(each)
            drain.look_again()
            while drain.step():
                pass
        drain.finish()

    assert in_child(work) == 0


def nagios(occurrence: int, state: str = "CRITICAL", kind: str = "PROBLEM", **more: Any) -> Capture:
    words = [f"NOTIFICATIONTYPE={kind}", "HOSTNAME=acme.3cx.fr", "SERVICEDESC=line"]
    words += [f"SERVICESTATE={state}", f"LASTSERVICEOK={occurrence}"]
    words += [f"LASTSERVICESTATECHANGE={occurrence + 1}", "_HOSTCUSTOMER_ACCOUNT=CL2385"]
    argv = [word for each in words for word in ("--var", each)]
    return Capture("nagios", {}, argv, "", time.time(), **more)


def test_what_waits_twice_is_over_with_its_recovery(site: Site) -> None:
    """The first one's recovery was never sent: another problem of it waits beside it."""
    site.configure("  open_after: 1h\n")
    now = int(time.time())
    in_one_drain(
        site,
        nagios(now - 900),
        nagios(now - 600),
        nagios(now - 600),
        nagios(now - 10, "OK", "RECOVERY"),
    )
    assert site.queued() == []
    assert site.tickets == []


def test_what_waits_is_looked_at_together_though_skipped_events_are_looked_for(site: Site) -> None:
    site.configure("  open_after: 1h\nlifecycle: {resolved_in_queue: skip}\n")
    now = int(time.time())
    queue = Queue(str(site.state_dir))
    for state in ("WARNING", "CRITICAL"):
        queue.add(nagios(now - 900, state))
    site.run("flush")
    (left,) = site.queued()
    assert b"CRITICAL" in left.read_bytes()


@pytest.mark.parametrize("comes", ["first", "last"])
def test_what_has_ended_does_not_go_together_with_another(site: Site, comes: str) -> None:
    """A4 in a ticket of several, while both wait: one that nothing ends, or one that is lost."""
    site.configure("  group_by: host\n")
    site.notify(HOST)
    site.notify("nagios4-service-recovery")
    queue = Queue(str(site.state_dir))
    ended = Capture("nagios", load_capture(SERVICE)["env"], [], "", time.time())
    true = nagios(int(time.time()) - 60)
    for each in (ended, true) if comes == "first" else (true, ended):
        queue.add(each)
    site.run("flush")
    (entry,) = site.state.values()
    assert set(entry["members"]) == {"nagios:acme.3cx.fr", "nagios:acme.3cx.fr:line"}
