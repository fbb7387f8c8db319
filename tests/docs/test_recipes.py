"""docs/recipes.md: each recipe is played on a sandbox, and what it promises looked up there."""

from __future__ import annotations

import os
import re
import shlex
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Dict, List, Union
from zoneinfo import ZoneInfo

import pytest
from playing import Machine, Section, play, sections

from brtel_notify.console import self_test
from brtel_notify.delivery.drain import Drain
from brtel_notify.delivery.place import Place
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Queue
from brtel_notify.local.log import Log
from brtel_notify.options import Options
from brtel_notify.sandbox.testing import SandboxProcess

SYSTEMS, ON_CALL = 1, 2
LOW, HIGH, URGENT = 1, 2, 3
ACME, LUMIERE, CLINIQUE, MOREL = 42, 7, 12, 15
DAY = 86400.0  # seconds


def at(machine: Machine, when: Union[str, float], *event: str, flush: bool = True) -> None:
    """``brtel-notify event`` when a clock in Paris says WHEN; FLUSH: deliver all that waits.

    WHEN may be seconds since the epoch: now has no other name, for a clock in Paris shows one
    hour of the year twice.
    """
    clock = _seconds(when) if isinstance(when, str) else when
    place = Place(
        str(machine.site.state_dir),
        str(machine.site.config_file),
        os.environ,
        Log(),
        lambda: clock,
    )
    if event:
        Queue(place.state_dir).add(Capture("event", {}, list(event), "", clock))
    if flush:
        Drain(place, force=True, threads=1).run()


def _seconds(when: str) -> float:
    return datetime.fromisoformat(when).replace(tzinfo=ZoneInfo("Europe/Paris")).timestamp()


def alert(machine: Machine, words: str) -> None:
    """``brtel-notify event`` with these words, now."""
    at(machine, time.time(), *shlex.split(words))


def down(host: str, severity: str = "critical", service: str = "") -> List[str]:
    """The words of an alert."""
    return ["--host", host, "--severity", severity, *(["--service", service] if service else [])]


def up(host: str) -> List[str]:
    """The words of its recovery."""
    return ["--host", host, "--state", "UP"]


def prove_names(machine: Machine) -> None:
    """What ``brtel-notify test`` proves."""
    options = Options()
    options.config = str(machine.site.config_file)
    options.state_dir_option = str(machine.site.state_dir)
    report = self_test.prove(options)
    assert report.code == 0, report.lines


def teams(machine: Machine) -> List[Any]:
    return [ticket["team_id"] for ticket in machine.site.tickets]


def owners(machine: Machine) -> List[Any]:
    return [ticket["ticketable_id"] for ticket in machine.site.tickets]


def is_open(ticket: Dict[str, Any]) -> bool:
    return bool(ticket["open"])


def log_of(machine: Machine) -> str:
    return machine.log.read_text(encoding="utf-8")


# --- the proofs ----------------------------------------------------------------------------------


def prove_time_of_day(machine: Machine) -> None:
    at(machine, "2026-11-23T10:00", *down("acme.3cx.fr", service="by day"))
    at(machine, "2026-11-23T18:00", *down("acme.3cx.fr", service="in the evening"))
    at(machine, "2026-11-24T07:59", *down("acme.3cx.fr", service="in the morning"))
    at(machine, "2026-11-24T07:59", *down("acme.3cx.fr", "warning", "it can wait"))
    at(machine, "2026-11-28T12:00", *down("acme.3cx.fr", service="on Saturday"))
    assert teams(machine) == [SYSTEMS, ON_CALL, ON_CALL, SYSTEMS, ON_CALL]
    # What was opened by day stays with the team of the day.
    at(machine, "2026-11-23T22:00", *down("acme.3cx.fr", "warning", "by day"))
    assert teams(machine)[0] == SYSTEMS
    holiday = "now.strftime('%d.%m.') in ('01.01.', '01.05.')"
    machine.configure(f'rules: [{{when: "{holiday}", set: {{team: On-call}}}}]')
    at(machine, "2027-05-01T12:00", *down("acme.3cx.fr", service="on Labour Day"))
    at(machine, "2027-05-02T12:00", *down("acme.3cx.fr", service="the day after"))
    assert teams(machine)[5:] == [ON_CALL, SYSTEMS]


def prove_vip(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    assert (ticket["priority_id"], ticket["team_id"]) == (URGENT, ON_CALL)
    machine.site.calls()
    alert(machine, "--host clinique-parc.3cx.fr --service x --state DOWN")
    assert "GET /v1/customers/lookup" not in machine.site.calls()  # once a customer and day
    alert(machine, "--host acme.3cx.fr --state DOWN")
    ordinary = machine.site.tickets_of(ACME)[0]
    assert (ordinary["priority_id"], ordinary["team_id"]) == (HIGH, None)


def prove_storm(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    assert is_open(ticket)
    assert len(ticket["replies"]) == 3  # the details, the second alert, the first recovery
    alert(machine, "--host lumiere-backup.3cx.fr --state UP")
    assert not is_open(machine.site.the_ticket())
    # Nobody's hosts share one ticket.
    alert(machine, "--host stray1 --state DOWN")
    alert(machine, "--host stray2 --state DOWN")
    assert owners(machine) == [LUMIERE, 1]
    # The worst alert gives the priority.
    machine.configure("severities: {critical: {priority: Urgent}, warning: {priority: Low}}")
    alert(machine, "--host acme.3cx.fr --service a --severity warning")
    assert machine.site.tickets_of(ACME)[0]["priority_id"] == LOW
    alert(machine, "--host acme.3cx.fr --service b --severity critical")
    assert machine.site.tickets_of(ACME)[0]["priority_id"] == URGENT
    # Alerts that wait together become one note.
    before = len(machine.site.tickets_of(ACME)[0]["replies"])
    for service in "cdef":
        at(machine, "2026-11-24T10:00", *down("acme.3cx.fr", service=service), flush=False)
    at(machine, "2026-11-24T10:00")
    assert len(machine.site.tickets_of(ACME)[0]["replies"]) == before + 1
    for service in "abcdef":
        alert(machine, f"--host acme.3cx.fr --service {service} --state OK")
    assert not is_open(machine.site.tickets_of(ACME)[0])
    machine.configure("ticket: {group_by: host}")
    for service in "ab":
        alert(machine, f"--host shared.3cx.fr --service {service} --state DOWN")
    assert len(machine.site.tickets_of(LUMIERE)) == 2


def prove_shared_pbx(machine: Machine) -> None:
    assert owners(machine) == [MOREL]
    machine.configure("customer: {hosts: {}}")
    alert(machine, "--host shared.3cx.fr --service a --state DOWN")
    assert owners(machine) == [MOREL, LUMIERE]
    assert "is shared by 2 customers; the first of them, CL000007, gets the alert" in log_of(
        machine
    )
    alert(machine, "--host shared.3cx.fr --service b --state DOWN --var CUSTOMER_ACCOUNT=CL000015")
    assert owners(machine) == [MOREL, LUMIERE, MOREL]


def prove_the_monitoring_says(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    assert ticket["priority_id"] == URGENT
    assert "monitoring" in str(ticket["tags"])
    assert "fibre" in str(ticket["tags"])
    machine.configure("rules: [{when: \"vars.ROOM == '7'\", set: {priority: Low}}]")
    words = "--host acme.3cx.fr --state DOWN --var TICKET_PRIORITY="
    alert(machine, f"{words}Urgent --var ROOM=7")
    assert machine.site.tickets[1]["priority_id"] == LOW
    alert(machine, f"{words}Nonsense --service x")
    assert machine.site.tickets[2]["priority_id"] == HIGH
    assert "opened without it" in machine.site.tickets[2]["body"]


def prove_by_address(machine: Machine) -> None:
    assert owners(machine) == [CLINIQUE, MOREL]
    alert(machine, "--host other --address 198.51.100.2 --state DOWN")
    assert owners(machine)[2:] == [1]


def prove_assignee(machine: Machine) -> None:
    assert [ticket["assignee_id"] for ticket in machine.site.tickets] == [None, 2]


def prove_naming_scheme(machine: Machine) -> None:
    assert owners(machine) == [ACME, LUMIERE]
    notes = [ticket["replies"][0]["body"] for ticket in machine.site.tickets]
    assert "found by the account number" in notes[0]
    alert(machine, "--host morel-old.3cx.fr --state DOWN")
    assert owners(machine)[-1] == MOREL


def prove_owned_hosts(machine: Machine) -> None:
    assert owners(machine) == [ACME]
    alert(machine, "--host lab3 --state DOWN --var CUSTOMER_ACCOUNT=CL238")
    assert owners(machine) == [ACME]
    assert "no customer has the account CL238" in log_of(machine)
    machine.configure("rules: []")
    machine.run("brtel-notify event --host lab3.example.net --state DOWN", code=65)
    assert len(machine.site.queued("dead")) == 1
    machine.configure('rules: [{when: "not vars.CUSTOMER_ACCOUNT", ignore: true}]')
    alert(machine, "--host lumiere.3cx.fr --state DOWN")
    assert owners(machine) == [ACME]
    stray = "{when: \"customer.how == 'fallback'\", set: {tags: [unassigned]}}"
    machine.configure(f"customer: {{fallback: CL000001}}\nrules: [{stray}]")
    alert(machine, "--host lab3.example.net --service x --state DOWN")
    assert (owners(machine)[-1], "unassigned" in str(machine.site.tickets[-1]["tags"])) == (1, True)


def prove_teams(machine: Machine) -> None:
    trunk, network = machine.site.tickets
    assert (trunk["ticket_sub_category_id"], trunk["team_id"]) == (10, ON_CALL)
    assert (network["ticket_sub_category_id"], network["team_id"]) == (11, SYSTEMS)


def prove_french(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    assert "Gravité" in ticket["body"]
    assert "Référence" in ticket["body"]
    assert re.search(r"\d\d:\d\d:\d\d CES?T", ticket["replies"][0]["body"])
    # Two configurations side by side.
    text = machine.site.config_file.read_text()
    (machine.root / "etc/brtel-notify/en.yml").write_text(text.replace("language: fr", ""))
    machine.run(
        "brtel-notify --config /etc/brtel-notify/en.yml --state-dir /var/lib/brtel-notify-en"
        " event --host lumiere.3cx.fr --state DOWN"
    )
    assert "Severity" in machine.site.tickets_of(LUMIERE)[0]["body"]


def prove_until_the_morning(machine: Machine) -> None:
    at(machine, "2026-11-24T02:00", *down("acme.3cx.fr", "warning"))
    at(machine, "2026-11-24T03:00", *down("lumiere.3cx.fr", "warning"))
    at(machine, "2026-11-24T03:30", *down("clinique-parc.3cx.fr", "warning"))
    at(machine, "2026-11-24T04:00", *up("lumiere.3cx.fr"))
    assert machine.site.tickets == []
    assert len(machine.site.queued()) == 2
    at(machine, "2026-11-24T05:00", *down("clinique-parc.3cx.fr"))  # critical now
    assert owners(machine) == [CLINIQUE]
    at(machine, "2026-11-24T07:59")
    assert owners(machine) == [CLINIQUE]
    at(machine, "2026-11-24T08:00")
    assert owners(machine) == [CLINIQUE, ACME]
    assert machine.site.queued() == []
    at(machine, "2026-11-24T19:00", *down("lumiere.3cx.fr", "warning"))
    at(machine, "2026-11-25T07:59")
    assert owners(machine) == [CLINIQUE, ACME]
    at(machine, "2026-11-25T08:00")
    assert owners(machine) == [CLINIQUE, ACME, LUMIERE]


def prove_short_disturbances(machine: Machine) -> None:
    at(machine, "2026-11-24T10:00", *down("acme.3cx.fr", "warning"))
    at(machine, "2026-11-24T10:03", *up("acme.3cx.fr"))
    at(machine, "2026-11-24T10:04", *down("acme.3cx.fr", "warning"))
    at(machine, "2026-11-24T10:08")
    assert machine.site.tickets == []
    at(machine, "2026-11-24T10:09")
    assert owners(machine) == [ACME]
    at(machine, "2026-11-24T11:00", *down("lumiere.3cx.fr"))
    at(machine, "2026-11-24T11:01")
    assert owners(machine) == [ACME, LUMIERE]


def prove_maintenance(machine: Machine) -> None:
    at(machine, "2026-11-29T02:00", *down("acme.3cx.fr"))
    at(machine, "2026-11-29T04:59", *down("lumiere.3cx.fr"))
    at(machine, "2026-12-08T22:00", *down("clinique-parc.3cx.fr"))
    assert machine.site.tickets == []
    at(machine, "2026-11-29T03:00", *down("router.example.net"))
    at(machine, "2026-11-29T05:00", *down("acme.3cx.fr"))  # repeated
    at(machine, "2026-12-09T04:00", *down("clinique-parc.3cx.fr"))
    assert owners(machine) == [1, ACME, CLINIQUE]
    # What was queued in the window, and is over, becomes no ticket; what is not, does.
    at(machine, "2026-11-29T03:00", *down("lumiere.3cx.fr"), flush=False)
    at(machine, "2026-11-29T03:10", *up("lumiere.3cx.fr"), flush=False)
    at(machine, "2026-11-29T03:00", *down("morel-old.3cx.fr"), flush=False)
    at(machine, "2026-11-29T05:30")
    assert owners(machine) == [1, ACME, CLINIQUE, MOREL]


def prove_people_close(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    assert is_open(ticket)
    replies = len(ticket["replies"])
    assert replies == 3  # the details, the recovery, the problem that is back
    machine.sandbox.seed(tickets=[{**ticket, "open": False}])
    at(machine, time.time() + DAY, *down("acme.3cx.fr"))
    assert not is_open(machine.site.the_ticket())


def prove_tell_the_customer(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    assert sorted(ticket["contacts"]) == [92, 93]
    assert [reply["customer_visible"] for reply in ticket["replies"]] == [True]
    assert "no answer to ping" in ticket["replies"][0]["body"]
    machine.configure("replies: {details: false}")
    alert(machine, "--host acme.3cx.fr --state DOWN")
    assert machine.site.tickets_of(ACME)[0]["replies"] == []


def prove_join(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    assert ticket["subject"] == "No sound on calls"
    assert is_open(ticket)
    assert len(ticket["replies"]) == 2


def prove_link(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    assert "https://monitoring.example.net/nagios4/" in ticket["body"]


def prove_two_servers(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    alert(machine, "--host acme.3cx.fr --state UP")
    assert not is_open(machine.site.the_ticket())
    # The second server's repeated notification, over an hour later.
    machine.site.state_dir = machine.root / "var/lib/brtel-notify-b"
    at(machine, time.time() + DAY, *down("acme.3cx.fr"))
    assert is_open(machine.site.the_ticket())
    assert machine.site.the_ticket()["id"] == ticket["id"]
    nagios = "nagios --var NOTIFICATIONTYPE=PROBLEM --var HOSTNAME=acme.3cx.fr --var HOSTSTATE=DOWN"
    machine.run(f"brtel-notify {nagios}")
    assert len(machine.site.tickets) == 2
    machine.configure("ticket: {group_by: host}")
    first, second = "/var/lib/brtel-notify-c", "/var/lib/brtel-notify-d"
    machine.run(f"brtel-notify --state-dir {first} {nagios.replace('acme', 'lumiere')}")
    machine.run(f"brtel-notify --state-dir {second} event --host lumiere.3cx.fr --state DOWN")
    assert len(machine.site.tickets_of(LUMIERE)) == 1
    # A standby that takes over, with no state folder of the other.
    alert(machine, "--host morel-old.3cx.fr --state DOWN")
    machine.run(
        "brtel-notify --state-dir /var/lib/brtel-notify-e event --host morel-old.3cx.fr --state UP"
    )


PROOFS: Dict[str, Callable[[Machine], None]] = {
    "Route by time of day": prove_time_of_day,
    "VIP and on-call customers": prove_vip,
    "One ticket a customer in a storm": prove_storm,
    "Several customers on one PBX": prove_shared_pbx,
    "The monitoring names customer, priority and tags": prove_the_monitoring_says,
    "Customers by naming scheme": prove_naming_scheme,
    "Customers by IP address": prove_by_address,
    "Nobody owns a new ticket, or somebody does": prove_assignee,
    "Tickets only for hosts that somebody owns": prove_owned_hosts,
    "3CX trunks to one team, the network to another": prove_teams,
    "French customers": prove_french,
    "Small severities wait until the morning": prove_until_the_morning,
    "Short disturbances of a line": prove_short_disturbances,
    "Maintenance windows": prove_maintenance,
    "People close the tickets": prove_people_close,
    "Tell the customer": prove_tell_the_customer,
    "Join the customer's open ticket": prove_join,
    "A link back to the monitoring": prove_link,
    "Two monitoring servers": prove_two_servers,
}
RECIPES = {section.title: section for section in sections("recipes")}
_NO_RECIPES = ("", "How to use them", "Try them")


def a_person_opens_a_ticket(machine: Machine) -> None:
    """For a customer who has an alert as well."""
    alert(machine, "--host acme.3cx.fr --service other --state DOWN")
    ticket = machine.site.the_ticket()
    by_hand = {
        **ticket,
        "subject": "No sound on calls",
        "body": "<p>Since noon.</p>",
        "replies": [],
    }
    machine.sandbox.seed(replace=True, tickets=[by_hand])


HOOKS = {"a-person-opens-a-ticket": a_person_opens_a_ticket}


@pytest.mark.parametrize("section", RECIPES.values(), ids=lambda section: section.title)
def test_the_recipe_does_what_it_says(
    section: Section, tmp_path: Path, sandbox: SandboxProcess
) -> None:
    machine = Machine(tmp_path, sandbox)
    play(section, machine, HOOKS)
    if section.title not in _NO_RECIPES:
        prove_names(machine)
        PROOFS[section.title](machine)


@pytest.mark.short
def test_every_recipe_is_proved() -> None:
    assert set(RECIPES) - set(_NO_RECIPES) == set(PROOFS)
