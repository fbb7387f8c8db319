"""A real Nagios Core 4 with the shipped drop-in, once with environment macros, once without."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import pytest
from servers import CHECKOUT, need, put_command, wait_for
from support import Site

from brtel_notify.api.client import Client
from brtel_notify.api.credentials import Credentials
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.text import times
from brtel_notify.text.plaintext import as_text
from nagios import DROP_IN, Nagios, definition, host, run, service, verify

ACME = 42  # the customer with the account CL2385
LOW, URGENT, NORMAL = 1, 3, 4  # priorities

SEVERITIES = """\
severities:
  critical: {priority: Urgent}
  warning: {priority: Low}
"""

NASTY = 'it\'s "down" $(id) <b>é</b> `id` $HOSTNAME$ a\\\\b & more'
LONG = ('first it\'s "long" $(id)', "second <i>line</i> & more", "third\\\\path \\t é")

OK, WARNING, CRITICAL = range(3)
UP, DOWN = range(2)


class World:
    """A running Nagios, its site, and how its alerts reach brtel-notify."""

    def __init__(self, nagios: Nagios, texts: bool) -> None:
        self.nagios = nagios
        self.texts = texts

    @property
    def site(self) -> Site:
        return self.nagios.site

    def tickets(self, name: str) -> List[Dict[str, Any]]:
        """The tickets that name the host NAME."""
        return [ticket for ticket in self.site.tickets if f": {name}" in ticket["subject"]]

    def ticket(self, name: str, replies: int = 0, is_open: bool = True) -> Dict[str, Any]:
        """The one ticket of the host NAME, once it is open or not and has so many replies."""

        def look() -> Sequence[Dict[str, Any]]:
            found = self.tickets(name)
            return [
                ticket
                for ticket in found
                if ticket["open"] == is_open and len(ticket["replies"]) >= replies
            ]

        wanted = f"{'an open' if is_open else 'a closed'} ticket of {name}, {replies} replies"
        (ticket,) = wait_for(f"{wanted}\n{self.nagios.log[-4000:]}", look)
        assert len(self.tickets(name)) == 1
        assert len(ticket["replies"]) == replies
        return ticket


GROUPS = {"environment": "brtel-notify", "arguments": "brtel-notify-arguments"}
SERVICES: Tuple[Tuple[str, Dict[str, str]], ...] = (
    ("texts.example.net", {}),
    ("worse.example.net", {}),
    ("people.example.net", {}),
    ("quiet.example.net", {}),
    ("mended.example.net", {}),
    ("returns.example.net", {}),
    ("another.example.net", {}),
    ("life.example.net", {}),
    ("news.example.net", {"is_volatile": "1"}),
    (
        "flaps.example.net",
        {
            "flap_detection_enabled": "1",
            "low_flap_threshold": "5",
            "high_flap_threshold": "10",
        },
    ),
    ("own.example.net", {"_CUSTOMER_ACCOUNT": "CL000012", "_TICKET_PRIORITY": "Normal"}),
    ("watch.example.net", {}),
)


def objects(group: str) -> str:
    """The hosts and services of all tests."""
    account = {"_CUSTOMER_ACCOUNT": "CL2385"}
    words = {**account, "_TICKET_PRIORITY": "Low", "_TICKET_TAGS": "gold, lyon"}
    pieces = [
        host(name, group, **(words if name == "own.example.net" else account))
        for name, _ in SERVICES
    ]
    pieces += [service(name, "SIP trunk", group, **more) for name, more in SERVICES]
    pieces += [host(f"{name}.example.net", group, **account) for name in ("down", "tall")]
    # Nobody knows the customer, nor anything else that is optional: the fallback gets it.
    pieces.append(host("bare.example.net", group))
    quote = {"_CUSTOMER_ACCOUNT": "CL2385", "_TICKET_TAGS": 'l\'hôtel $(id) "x" `id`'}
    pieces.append(host("quote.example.net", group, **quote))
    return "".join(pieces)


@pytest.fixture(scope="module", params=list(GROUPS))
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    need("nagios4", "nagios4-core")
    texts = request.param == "environment"
    folder = tmp_path_factory.mktemp("nagios")
    with SandboxProcess() as sandbox:
        site = Site(folder, sandbox)
        site.configure(SEVERITIES)
        with Nagios(folder, site, objects(GROUPS[request.param]), macros=texts) as nagios:
            yield World(nagios, texts)
            assert "stderr line" not in nagios.log  # no shell, and no brtel-notify, complained


def text_of(record: Dict[str, Any]) -> str:
    """The body of a ticket or reply as a person reads it."""
    return as_text(record["body"])


def test_a_host_that_is_down_opens_a_ticket_and_closes_it_when_it_is_up(world: World) -> None:
    name = "down.example.net"
    before = time.time()
    world.nagios.host_is(name, DOWN, "PING CRITICAL - 100% loss")
    ticket = world.ticket(name, replies=1)
    assert ticket["subject"] == f"DOWN: {name}"
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (ACME, URGENT)
    body = text_of(ticket)
    assert f"DOWN: {name} (203.0.113.10)" in body
    assert "Reported by: Nagios" in body
    assert ("PING CRITICAL - 100% loss" in body) == world.texts
    entry = the_entry(world, name)
    since = times.from_iso(entry["members"][f"nagios:{name}"]["since"])
    assert before - 1 <= since <= time.time()
    assert f"Since: {times.iso(since)[:10]}" in body
    world.nagios.host_is(name, UP, "PING OK")
    closed = world.ticket(name, replies=2, is_open=False)
    note = text_of(closed["replies"][-1])
    assert f"Recovered: {name} (UP)" in note
    assert ("PING OK" in note) == world.texts


def test_the_texts_of_plugins_are_in_the_ticket_as_they_were_said(world: World) -> None:
    name = "texts.example.net"
    output = "\\n".join([NASTY, *LONG])
    world.nagios.service_is(name, "SIP trunk", CRITICAL, output)
    ticket = world.ticket(name, replies=1)
    assert ticket["subject"] == f"CRITICAL: {name} - SIP trunk"
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (ACME, URGENT)
    details = text_of(ticket["replies"][0])
    assert "Service: SIP trunk" in details
    said = NASTY.replace("\\\\", "\\")
    lines = [line.replace("\\\\", "\\") for line in LONG]
    if world.texts:
        assert said in text_of(ticket).splitlines()
        assert said in details.splitlines()
        assert "\n".join(lines) in details
    else:
        everything = json.dumps(ticket, ensure_ascii=False)
        for word in ("it's", "$(id)", "first", "second", "third"):
            assert word not in everything


def test_warning_to_critical_raises_the_priority(world: World) -> None:
    name = "worse.example.net"
    world.nagios.service_is(name, "SIP trunk", WARNING, "jitter 40 ms")
    ticket = world.ticket(name, replies=1)
    assert (ticket["subject"], ticket["priority_id"]) == (f"WARNING: {name} - SIP trunk", LOW)
    world.nagios.service_is(name, "SIP trunk", CRITICAL, "jitter 400 ms")
    ticket = world.ticket(name, replies=2)
    assert ticket["priority_id"] == URGENT
    note = text_of(ticket["replies"][1])
    assert "warning → critical" in note
    assert ("jitter 400 ms" in note) == world.texts


def the_entry(world: World, name: str) -> Dict[str, Any]:
    """What the map has of the one ticket of NAME, once all that waits is in it."""
    wait_for("the map to be written", lambda: not world.site.queued())
    (entry,) = [entry for key, entry in world.site.state.items() if name in key]
    return dict(entry)


def occurrence(world: World, name: str) -> Tuple[str, str]:
    """What the map calls the one problem of the host NAME, and by which macro."""
    (member,) = the_entry(world, name)["members"].values()
    return member["by"], member["occurrence"]


def test_another_problem_of_a_service_is_no_repetition(world: World) -> None:
    """A1: the recovery was never sent, and a person closed the ticket."""
    name, trunk = "another.example.net", "SIP trunk"
    world.nagios.service_is(name, trunk, OK, "4 channels")
    wait_for("the OK", lambda: "4 channels" in world.nagios.status(name, trunk)["plugin_output"])
    time.sleep(1)  # that it was well has a time of its own, in whole seconds
    world.nagios.service_is(name, trunk, WARNING, "2 channels")
    number = world.ticket(name, replies=1)["id"]
    first = occurrence(world, name)
    assert first[0] == "LASTSERVICEOK"
    world.nagios.service_is(name, trunk, CRITICAL, "0 channels")
    world.ticket(name, replies=2)
    assert occurrence(world, name) == first
    close_by_hand(world.site, number)
    world.nagios.command("DISABLE_SVC_NOTIFICATIONS", name, trunk)
    world.nagios.service_is(name, trunk, OK, "well again")
    wait_for("the OK", lambda: "well again" in world.nagios.status(name, trunk)["plugin_output"])
    world.nagios.command("ENABLE_SVC_NOTIFICATIONS", name, trunk)
    time.sleep(1)
    world.nagios.service_is(name, trunk, CRITICAL, "0 channels again")
    wait_for("a second ticket", lambda: len(world.tickets(name)) == 2)
    assert [ticket["open"] for ticket in world.tickets(name)] == [False, True]
    assert occurrence(world, name) != first


def test_the_whole_life_of_a_problem_has_one_name(world: World) -> None:
    """DESIGN section 5: the end of the good state, from the problem to its recovery."""
    name, trunk, nagios = "life.example.net", "SIP trunk", world.nagios
    nagios.service_is(name, trunk, OK, "4 channels")
    wait_for("the OK", lambda: "4 channels" in nagios.status(name, trunk)["plugin_output"])
    time.sleep(1)  # that it was well has a time of its own, in whole seconds
    nagios.service_is(name, trunk, WARNING, "2 channels")
    world.ticket(name, replies=1)
    nagios.service_is(name, trunk, CRITICAL, "0 channels")
    world.ticket(name, replies=2)
    nagios.command("ACKNOWLEDGE_SVC_PROBLEM", name, trunk, 1, 1, 0, "jdupont", "mine")
    world.ticket(name, replies=3)
    now = int(time.time())
    downtime = ("SCHEDULE_SVC_DOWNTIME", name, trunk, now, now + 3600, 1, 0, 3600)
    nagios.command(*downtime, "jdupont", "new card")
    world.ticket(name, replies=4)
    nagios.command("DEL_DOWNTIME_BY_HOST_NAME", name)
    world.ticket(name, replies=5)
    time.sleep(1)
    nagios.service_is(name, trunk, OK, "4 channels again")
    world.ticket(name, replies=6, is_open=False)
    time.sleep(1)
    nagios.service_is(name, trunk, CRITICAL, "0 channels again")
    world.ticket(name, replies=7)

    calls = nagios.told(name)
    kinds = ["PROBLEM", "PROBLEM", "ACKNOWLEDGEMENT", "DOWNTIMESTART", "DOWNTIMECANCELLED"]
    assert [call["NOTIFICATIONTYPE"] for call in calls] == [*kinds, "RECOVERY", "PROBLEM"]
    names = [call["LASTSERVICEOK"] for call in calls]
    assert set(names[:-1]) == {names[0]}
    assert int(names[0]) < int(names[-1])
    assert occurrence(world, name) == ("LASTSERVICEOK", names[-1])


def test_the_whole_life_of_a_hosts_problem_has_one_name(world: World) -> None:
    name, nagios = "tall.example.net", world.nagios
    nagios.host_is(name, UP, "PING OK")
    wait_for("the UP", lambda: "PING OK" in nagios.status(name)["plugin_output"])
    time.sleep(1)
    nagios.host_is(name, DOWN, "PING CRITICAL")
    world.ticket(name, replies=1)
    nagios.command("ACKNOWLEDGE_HOST_PROBLEM", name, 1, 1, 0, "jdupont", "mine")
    world.ticket(name, replies=2)
    now = int(time.time())
    downtime = ("SCHEDULE_HOST_DOWNTIME", name, now, now + 3600, 1, 0, 3600)
    nagios.command(*downtime, "jdupont", "new card")
    world.ticket(name, replies=3)
    nagios.command("DEL_DOWNTIME_BY_HOST_NAME", name)
    world.ticket(name, replies=4)
    time.sleep(1)
    nagios.host_is(name, UP, "PING OK again")
    world.ticket(name, replies=5, is_open=False)
    time.sleep(1)
    nagios.host_is(name, DOWN, "PING CRITICAL again")
    world.ticket(name, replies=6)

    calls = nagios.told(name)
    kinds = ["PROBLEM", "ACKNOWLEDGEMENT", "DOWNTIMESTART", "DOWNTIMECANCELLED", "RECOVERY"]
    assert [call["NOTIFICATIONTYPE"] for call in calls] == [*kinds, "PROBLEM"]
    names = [call["LASTHOSTUP"] for call in calls]
    assert set(names[:-1]) == {names[0]}
    assert int(names[0]) < int(names[-1])
    assert occurrence(world, name) == ("LASTHOSTUP", names[-1])


def test_each_result_of_a_volatile_service_is_a_note(world: World) -> None:
    name = "news.example.net"
    world.nagios.service_is(name, "SIP trunk", CRITICAL, "UPS on battery")
    world.ticket(name, replies=1)
    first = last_notification(world, name)
    world.nagios.service_is(name, "SIP trunk", CRITICAL, "RAID: disk 3 failed")
    # Nagios starts each command beside the last: two in one second may be stored in any order.
    wait_for("the second result", lambda: last_notification(world, name) != first)
    if world.texts:  # else all of them look alike, and the same within 5 minutes is told once
        ticket = world.ticket(name, replies=2)
        assert "RAID: disk 3 failed" in text_of(ticket["replies"][-1])
    world.nagios.service_is(name, "SIP trunk", OK, "all well")
    world.ticket(name, replies=3 if world.texts else 2, is_open=False)


def last_notification(world: World, name: str) -> str:
    """The number of the notification that the map has of the service of NAME."""
    (member,) = the_entry(world, name)["members"].values()
    return str(member["notification"])


def close_by_hand(site: Site, number: int) -> None:
    """A person closes the ticket."""
    with Client(site.sandbox.url, Credentials(token=site.sandbox.token)) as client:
        client.close_ticket(number)


def test_what_people_say_becomes_notes(world: World) -> None:
    name = "people.example.net"
    world.nagios.service_is(name, "SIP trunk", CRITICAL, "no answer")
    world.ticket(name, replies=1)
    acknowledgement = ("ACKNOWLEDGE_SVC_PROBLEM", name, "SIP trunk", 1, 1, 0)
    world.nagios.command(*acknowledgement, "jdupont", 'it\'s with "the carrier" (no 7)')
    note = text_of(world.ticket(name, replies=2)["replies"][1])
    assert note.startswith("Acknowledged")
    assert ("by jdupont" in note) == world.texts
    assert ('it\'s with "the carrier" (no 7)' in note) == world.texts
    custom = ("SEND_CUSTOM_SVC_NOTIFICATION", name, "SIP trunk", 0)
    world.nagios.command(*custom, "mmoreau", "they'll call back at 10 & <again>")
    note = text_of(world.ticket(name, replies=3)["replies"][2])
    assert note.startswith("Comment")
    assert ("by mmoreau" in note) == world.texts
    assert ("they'll call back at 10 & <again>" in note) == world.texts
    assert f"{name}, SIP trunk" in note


def test_a_downtime_is_noted_when_it_starts_and_when_it_ends(world: World) -> None:
    name = "quiet.example.net"
    world.nagios.service_is(name, "SIP trunk", CRITICAL, "no answer")
    world.ticket(name, replies=1)
    now = int(time.time())
    # Long enough that Nagios reads of it before it is over, and that the command that tells of its
    # end is not started beside the one that still has to store its start.
    downtime = ("SCHEDULE_SVC_DOWNTIME", name, "SIP trunk", now, now + 8, 1, 0, 8)
    world.nagios.command(*downtime, "jdupont", "firmware update")
    ticket = world.ticket(name, replies=3)
    started, ended = (text_of(reply) for reply in ticket["replies"][1:])
    assert started.startswith("Downtime started")
    assert ended.startswith("Downtime ended")
    for note in (started, ended):
        assert ("by jdupont" in note and "firmware update" in note) == world.texts


def test_what_is_mended_in_a_downtime_is_closed_when_the_downtime_ends(world: World) -> None:
    """Nagios sends no RECOVERY in a downtime, and none after it: only DOWNTIMEEND, state OK."""
    name = "mended.example.net"
    world.nagios.service_is(name, "SIP trunk", CRITICAL, "no answer")
    world.ticket(name, replies=1)
    now = int(time.time())
    downtime = ("SCHEDULE_SVC_DOWNTIME", name, "SIP trunk", now, now + 3600, 1, 0, 3600)
    world.nagios.command(*downtime, "jdupont", "new line card")
    world.ticket(name, replies=2)
    world.nagios.service_is(name, "SIP trunk", OK, "answers")
    wait_for("the recovery", lambda: f"SERVICE ALERT: {name};SIP trunk;OK" in world.nagios.log)
    world.nagios.command("DEL_DOWNTIME_BY_HOST_NAME", name)
    ticket = world.ticket(name, replies=3, is_open=False)
    assert "(OK)" in text_of(ticket["replies"][2])
    assert world.nagios.notified(name) == ["CRITICAL", "DOWNTIMESTART", "DOWNTIMECANCELLED"]


def test_flapping_is_noted_and_the_ticket_closes_once_all_is_well(world: World) -> None:
    """Where the flapping begins with a good state, Nagios sends FLAPPINGSTOP, but no RECOVERY."""
    name = "flaps.example.net"
    world.nagios.service_is(name, "SIP trunk", CRITICAL, "gone")
    world.ticket(name, replies=1)
    world.nagios.service_is(name, "SIP trunk", OK, "back")
    note = text_of(world.ticket(name, replies=2)["replies"][1])
    assert note.startswith("Began flapping")
    for _ in range(21):  # as many results as Nagios looks back on
        world.nagios.service_is(name, "SIP trunk", OK, "stays")
    ticket = world.ticket(name, replies=3, is_open=False)
    assert "(OK)" in text_of(ticket["replies"][2])
    assert world.nagios.notified(name) == ["CRITICAL", "FLAPPINGSTART", "FLAPPINGSTOP"]


def test_a_problem_that_returns_reopens_its_ticket(world: World) -> None:
    name = "returns.example.net"
    world.nagios.service_is(name, "SIP trunk", CRITICAL, "no answer")
    first = world.ticket(name, replies=1)
    world.nagios.service_is(name, "SIP trunk", OK, "answers")
    world.ticket(name, replies=2, is_open=False)
    world.nagios.service_is(name, "SIP trunk", CRITICAL, "no answer again")
    again = world.ticket(name, replies=3)
    assert again["id"] == first["id"]
    assert "The problem is back (CRITICAL)" in text_of(again["replies"][2])
    world.nagios.service_is(name, "SIP trunk", OK, "answers")
    world.ticket(name, replies=4, is_open=False)
    assert world.nagios.notified(name) == ["CRITICAL", "OK", "CRITICAL", "OK"]


def test_what_the_service_says_of_its_ticket_goes_over_what_the_host_says(world: World) -> None:
    name = "own.example.net"
    world.nagios.service_is(name, "SIP trunk", CRITICAL, "no answer")
    ticket = world.ticket(name, replies=1)
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (12, NORMAL)
    assert json.loads(ticket["tags"]) == ["monitoring", "auto", "gold", "lyon"]
    assert "found by the account number" in text_of(ticket["replies"][0])


def test_a_host_without_custom_variables_goes_to_the_fallback(world: World) -> None:
    name = "bare.example.net"
    world.nagios.host_is(name, DOWN, "no answer")
    ticket = world.ticket(name, replies=1)
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (1, URGENT)
    assert json.loads(ticket["tags"]) == ["monitoring", "auto"]
    assert "$_" not in json.dumps(ticket)


def test_a_quote_in_a_custom_variable_loses_no_alert(world: World) -> None:
    """Nagios takes it out, wherever the value goes (illegal_macro_output_chars)."""
    name = "quote.example.net"
    world.nagios.host_is(name, DOWN, "no answer")
    ticket = world.ticket(name, replies=1)
    assert ticket["ticketable_id"] == ACME
    assert json.loads(ticket["tags"]) == ["monitoring", "auto", "lhôtel (id) x id"]


def test_the_check_runs_as_a_plugin(world: World) -> None:
    name = "watch.example.net"
    wait_for("all that the tests before this one told", lambda: not world.site.queued())
    world.nagios.command("SCHEDULE_FORCED_SVC_CHECK", name, "SIP trunk", int(time.time()))

    def output() -> str:
        return world.nagios.status(name, "SIP trunk").get("plugin_output", "")

    said = wait_for("the plugin's output", output)
    assert said.startswith("BRTEL-NOTIFY OK: 0 waiting, 0 dead")
    assert "the API answered" in said
    assert "oldest=" in world.nagios.status(name, "SIP trunk")["performance_data"]


def test_the_wrong_group_is_told_what_to_do(tmp_path: Path, site: Site) -> None:
    """No environment macros, and the contact group that needs them."""
    name, group = "wrong.example.net", "brtel-notify"
    objects = host(name, group) + service(name, "SIP trunk", group)
    with Nagios(tmp_path / "nagios", site, objects, macros=False) as nagios:
        nagios.host_is(name, DOWN, "no answer")
        wait_for("a dead event", lambda: site.queued("dead"))
        message = "no HOSTNAME: set enable_environment_macros=1 in nagios.cfg"
        whole = f"{message}, or use the contact group brtel-notify-arguments"
        wait_for("the complaint", lambda: whole in nagios.log)
        assert f"`{message}`" in PAGE.read_text(encoding="utf-8")
    assert site.tickets == []


def test_no_text_of_a_person_or_plugin_is_on_a_command_line() -> None:
    commands = "".join(
        line for line in DROP_IN.read_text().splitlines(keepends=True) if "--var" in line
    )
    for macro in ("OUTPUT", "COMMENT", "AUTHOR", "ALIAS", "NOTES", "DISPLAYNAME", "PERFDATA"):
        assert macro not in commands
    assert commands.count("'") == 2 * commands.count("--var")


# --- docs/nagios.md, as an administrator follows it ---------------------------------------------

PAGE = CHECKOUT / "docs" / "nagios.md"
#: The commands of the package monitoring-plugins that Debian's objects and the page name.
PLUGINS = ("check_tcp", "check_http", "check_ping", "check_ssh", "check-host-alive")
#: What stands for the machine's own: a user's rights, its services.
STUBS = {"runuser": 'shift 3; exec "$@"', "systemctl": ":"}


class Machine:
    """A scratch Debian with its own nagios4 configuration, on which the page's blocks run."""

    def __init__(self, folder: Path, sandbox: SandboxProcess) -> None:
        self.root = folder
        self.site = Site(folder, sandbox)
        self.site.state_dir = folder / "var/lib/brtel-notify"
        self.site.config_file = folder / "etc/brtel-notify/config.yml"
        self.log = folder / "brtel-notify.log"
        self.main = folder / "etc/nagios4/nagios.cfg"
        self.pipe = folder / "var/lib/nagios4/rw/nagios.cmd"
        for name in ("usr/bin", "etc/systemd/system", "run", "results"):
            (folder / name).mkdir(parents=True)
        put_command(folder / "usr/bin/brtel-notify", self.site.words(), folder, "nagios")
        for name in ("var/lib/nagios4/rw", "var/log/nagios4/archives"):
            (folder / name).mkdir(parents=True)
        for name, text in STUBS.items():
            (folder / "usr/bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / "usr/bin" / name).chmod(0o755)
        self._install_nagios()

    def here(self, text: str) -> str:
        """TEXT with the machine's paths below this folder."""
        return re.sub(r"(?<![\w/.])/(etc|var|usr/bin)/", rf"{self.root}/\1/", text)

    def _install_nagios(self) -> None:
        shutil.copytree("/etc/nagios4", self.root / "etc/nagios4")
        text = self.here(self.main.read_text())
        text = re.sub(r"(?m)^cfg_dir=.*nagios-plugins.*\n", "", text)
        plugins = self.root / "etc/nagios4/conf.d/plugins.cfg"
        for name in PLUGINS:
            command = {"command_name": name, "command_line": "/bin/true"}
            with plugins.open("a") as file:
                file.write(definition("command", command))
        own = {
            "nagios_user": pwd.getpwuid(os.getuid()).pw_name,
            "nagios_group": grp.getgrgid(os.getgid()).gr_name,
            "check_result_path": str(self.root / "results"),
            "query_socket": str(self.root / "nagios.qh"),
            "temp_path": str(self.root),
            "lock_file": str(self.root / "run/nagios.pid"),
            "use_syslog": "0",
            "check_for_updates": "0",
            "execute_host_checks": "0",  # no test pings anybody
            "execute_service_checks": "0",
        }
        for key in own:
            text = re.sub(rf"(?m)^{key}=.*\n", "", text)
        self.main.write_text(text + "".join(f"{key}={value}\n" for key, value in own.items()))

    def follow(self, language: str, block: str) -> None:
        """Do what a block of the page says."""
        if language == "sh":
            self._run(block)
        elif language == "yaml" and "token_file" in block:
            (self.root / "etc/brtel-notify/token").write_text(self.site.sandbox.token)
            text = self.here(block).replace("log: syslog", f"log: {self.log}")
            url = "https://acme.bluerocktel.net/api"
            self.site.config_file.write_text(text.replace(url, self.site.sandbox.url))
        elif language == "yaml":
            text = self.site.config_file.read_text()
            self.site.config_file.write_text(text + block)
            self.site.run("test")
        elif language == "nagios":
            with (self.root / "etc/nagios4/conf.d/acme.cfg").open("a") as file:
                file.write(block)

    def _run(self, block: str) -> None:
        if "/opt/brtel-notify" in block:
            return  # the program is installed here
        block = re.sub(r"-o \w+ -g \w+ ", "", block)  # users that only a Debian has
        environ = {**os.environ, "PATH": f"{self.root}/usr/bin:{os.environ['PATH']}:/usr/sbin"}
        done = subprocess.run(
            ["sh", "-euc", self.here(block)],
            env=environ,
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        drop_in = self.root / "etc/nagios4/conf.d/brtel-notify.cfg"
        if drop_in.exists():
            drop_in.write_text(self.here(drop_in.read_text()))

    def logged(self, line: str) -> bool:
        return self.log.exists() and line in self.log.read_text()


def blocks() -> List[Tuple[str, str]]:
    """The fenced blocks of the page: language and text."""
    return re.findall(r"(?ms)^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))


def test_the_page_can_be_followed_word_for_word(tmp_path: Path, sandbox: SandboxProcess) -> None:
    need("nagios4", "nagios4-core")
    machine = Machine(tmp_path, sandbox)
    todo = blocks()
    first_pipe = next(i for i, (_, text) in enumerate(todo) if "nagios.cmd" in text)
    for language, block in todo[:first_pipe]:
        machine.follow(language, block)
    custom, said, down, up, *rest = todo[first_pipe:]
    with run(machine.main, machine.pipe, tmp_path / "stdout"):
        machine.follow(*custom)
        wait_for("the line that the page shows", lambda: machine.logged(said[1].strip()))
        machine.follow(*down)
        wait_for("a ticket", lambda: machine.site.tickets and machine.site.tickets[0]["replies"])
        ticket = machine.site.the_ticket()
        assert ticket["subject"] == "DOWN: acme.3cx.fr"
        assert (ticket["ticketable_id"], ticket["priority_id"]) == (ACME, URGENT)
        assert "a first try: not really down" in text_of(ticket)
        machine.follow(*up)
        wait_for("the ticket closed", lambda: not machine.site.the_ticket()["open"])
    for language, block in rest:
        machine.follow(language, block)
    assert verify(machine.main).returncode == 0
    assert len(machine.site.tickets) == 1
    for unit in ("worker.service", "flush.service"):
        assert "User=nagios" in (tmp_path / f"etc/systemd/system/brtel-notify-{unit}").read_text()


def test_the_messages_that_the_page_explains_are_nagioss_own(tmp_path: Path, site: Site) -> None:
    name, group = "acme.3cx.fr", "brtel-notify"
    objects = host(name, group) + service(name, "SIP trunk", group)
    page = PAGE.read_text(encoding="utf-8")

    def complaint(file: str, text: str) -> str:
        nagios = Nagios(tmp_path, site, objects, macros=True)
        (tmp_path / "conf.d" / file).write_text(text)
        done = verify(nagios.main)
        (tmp_path / "conf.d" / file).unlink()
        assert done.returncode != 0
        return done.stdout

    for message, file, text in (
        ("Contactgroup 'brtel-notify' is not defined anywhere", "brtel-notify.cfg", ""),
        (
            "period '24x7' specified for contact 'brtel-notify' is not defined anywhere!",
            "objects.cfg",
            "",
        ),
        (
            "Duplicate definition found for command 'brtel-notify'",
            "again.cfg",
            DROP_IN.read_text(),
        ),
    ):
        assert f"`{message}`" in page
        assert message in complaint(file, text)


def test_a_program_that_is_not_there_is_what_the_page_says(tmp_path: Path, site: Site) -> None:
    name, group = "acme.3cx.fr", "brtel-notify"
    objects = host(name, group) + service(name, "SIP trunk", group)
    with Nagios(tmp_path / "nagios", site, objects, macros=True) as nagios:
        (tmp_path / "nagios" / "brtel-notify").unlink()
        nagios.host_is(name, DOWN, "no answer")
        complaint = "errno is 2: No such file or directory"
        wait_for("the complaint", lambda: complaint in nagios.log)
    assert f"`{complaint}`" in PAGE.read_text(encoding="utf-8")
