"""A real Icinga 2 with the shipped configuration: what becomes of its notifications."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
from generations import HERE
from icinga import BASKET, SHIPPED, Director, Icinga, complaints, validate
from servers import CHECKOUT, missing, wait_for
from support import Site

from brtel_notify.api.client import Client
from brtel_notify.api.credentials import Credentials
from brtel_notify.sandbox.testing import SandboxProcess

OK, WARNING, CRITICAL = 0, 1, 2
DOWN = 2  # what a plugin exits with for a host that is down

#: What Icinga watches: each test has hosts or services of its own.
OBJECTS = """
object HostGroup "pbx" {}

object Host "acme.3cx.fr" {
  import "scripted"
  address = "203.0.113.10"
  groups = [ "pbx" ]
  vars.brtel_notify = true
}
for (name in [ "SIP trunk", "tunnel", "loud", "queue", "window", "nightly", "barrier" ]) {
  object Service name use (name) {
    import "scripted"
    host_name = "acme.3cx.fr"
    if (name == "SIP trunk") {
      notes_url = "https://wiki.example.net/$host.name$/trunk"
    }
  }
}

object Host "tall" {
  import "scripted"
  vars.brtel_notify = true
}

/* Nothing set but the switch: every other macro is one that does not resolve. */
object Host "bare" {
  import "scripted"
  vars.brtel_notify = true
}

object Host "six" {
  import "scripted"
  address6 = "2001:db8::7"
  vars.brtel_notify = true
  vars.customer_account = "CL000007"
  vars.ticket_priority = "Low"
  vars.ticket_tags = [ "gold", "site $host.name$", 24, true ]
}

object Host "seven" {
  import "scripted"
  vars.customer_account = "CL000007"
  vars.ticket_priority = "Low"
  vars.ticket_tags = [ "gold" ]
}
object Service "disk" {
  import "scripted"
  host_name = "seven"
  vars.brtel_notify = true
  vars.customer_account = "CL000012"
  vars.ticket_priority = "Urgent"
  vars.ticket_tags = "backup,night"
}
object Service "unset" {
  import "scripted"
  host_name = "seven"
}
object Service "off" {
  import "scripted"
  host_name = "bare"
  vars.brtel_notify = false
}

object Host "flaps" {
  import "scripted"
  enable_flapping = true
  flapping_threshold_high = 20
  flapping_threshold_low = 18
  vars.brtel_notify = true
}
"""

#: The watched machine; the Director has no apply rule for services in its baskets.
WATCHED = """
object Host "watched" {
  import "scripted"
  vars.brtel_notify = true
  vars.brtel_notify_check = true
}
"""


class Stage:
    """Icinga on one side, BlueRockTEL on the other."""

    def __init__(self, icinga: Icinga, site: Site) -> None:
        self.icinga = icinga
        self.site = site

    def tickets(self, host: str, service: str = "") -> List[Dict[str, Any]]:
        """The tickets about a host, or a service on it."""
        what = f": {host} - {service}" if service else f": {host}"
        return [ticket for ticket in self.site.tickets if ticket["subject"].endswith(what)]

    def ticket(
        self, host: str, service: str = "", when: Callable[[Dict[str, Any]], Any] = bool
    ) -> Dict[str, Any]:
        """The one ticket about it, as soon as WHEN holds of it."""

        def look() -> Any:
            found = self.tickets(host, service)
            assert len(found) < 2, [ticket["subject"] for ticket in found]
            return found if found and when(found[0]) else None

        found: List[Dict[str, Any]] = wait_for(f"the ticket of {host} {service}", look)
        return found[0]

    def opens(self, host: str, service: str = "", output: str = "bad") -> Dict[str, Any]:
        """A problem, and its ticket with all that belongs to it."""
        self.icinga.check(CRITICAL, output, host, service)
        return self.ticket(host, service, noted(1))

    def downtime(self, host: str, service: str, seconds: int) -> None:
        """A fixed downtime of a service, from now on."""
        now = int(time.time())
        words = (now, now + seconds, 1, 0, seconds, "amartin", "new disks")
        self.icinga.command("SCHEDULE_SVC_DOWNTIME", host, service, *words)

    def end_downtimes(self) -> None:
        """End all service downtimes of the daemon; a number that is gone is passed over."""
        for number in range(1, 6):
            self.icinga.command("DEL_SVC_DOWNTIME", number)


def noted(count: int) -> Callable[[Dict[str, Any]], bool]:
    """Whether a ticket has COUNT notes or more."""
    return lambda ticket: len(ticket["replies"]) >= count


def closed(ticket: Dict[str, Any]) -> bool:
    return not ticket["open"]


def text(body: str) -> str:
    """What a person reads where BlueRockTEL has the HTML in BODY."""
    broken = re.sub(r"<br ?/?>|</(?:p|li|ul)>", "\n", body.replace("\n", ""))
    plain = html.unescape(re.sub(r"<[^>]*>", "", broken))
    return "\n".join(line.strip() for line in plain.split("\n"))


def notes_of(ticket: Dict[str, Any]) -> str:
    """What a person reads in all the notes."""
    return "\n\n".join(text(reply["body"]) for reply in ticket["replies"])


def last_note(ticket: Dict[str, Any]) -> str:
    return text(ticket["replies"][-1]["body"])


def priority(ticket: Dict[str, Any]) -> str:
    return {1: "Low", 2: "High", 3: "Urgent", 4: "Normal"}[ticket["priority_id"]]


@contextmanager
def playing(factory: pytest.TempPathFactory, objects: str, drop_in: str) -> Iterator[Stage]:
    with SandboxProcess() as sandbox:
        site = Site(factory.mktemp("site"), sandbox)
        site.configure(SEVERITIES)
        with Icinga(factory.mktemp("icinga"), site, objects, drop_in) as icinga:
            yield Stage(icinga, site)


SEVERITIES = """
severities:
  critical: {priority: Urgent}
  warning: {priority: Normal}
"""


@pytest.fixture(scope="module", params=["file", "director"])
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """One daemon for all tests, with the shipped file; and one with the basket in its place."""
    if request.param == "file":
        objects, drop_in = OBJECTS + WATCHED, SHIPPED.read_text("utf-8")
    else:
        objects, drop_in = OBJECTS, request.getfixturevalue("deployed")
    with playing(tmp_path_factory, objects, drop_in) as stage:
        yield stage
        assert complaints(stage.icinga.log) == []


@pytest.fixture(scope="module")
def deployed() -> str:
    """What Icinga Director makes of the basket, and of a host that imports its template."""
    with Director() as director:
        for _ in range(2):  # a second time changes nothing
            director.run("basket", "restore", stdin=BASKET.read_text("utf-8"))
        director.run("command", "create", "scripted-host", "--json", EXTERNAL)
        director.run("host", "create", "directed", "--json", json.dumps(DIRECTED))
        return director.deployed()


EXTERNAL = json.dumps({"object_type": "external_object", "methods_execute": "PluginCheck"})
DIRECTED = {
    "object_type": "object",
    "imports": ["brtel-notify"],
    "check_command": "scripted-host",
    "enable_active_checks": False,
    "max_check_attempts": "1",
    "vars": {"customer_account": "CL000007", "ticket_tags": ["gold", "web"]},
}


def test_a_host_goes_down_and_comes_back(stage: Stage) -> None:
    stage.icinga.check(DOWN, "PING CRITICAL - Packet loss = 100%", "bare")
    ticket = stage.ticket("bare", when=noted(1))
    assert ticket["subject"] == "DOWN: bare"
    assert ticket["ticketable_id"] == 1
    assert priority(ticket) == "Urgent"
    assert "PING CRITICAL - Packet loss = 100%" in text(ticket["body"])
    stage.icinga.check(OK, "PING OK - rta 3ms", "bare")
    ticket = stage.ticket("bare", when=closed)
    assert "Recovered: bare (UP)" in last_note(ticket)
    assert "PING OK - rta 3ms" in last_note(ticket)


def test_a_plugin_may_say_anything(stage: Stage) -> None:
    first = """it's "down" $(id) $host.name$ 5$ <b>é</b>"""
    more = ["C:\\new \\\\srv\\share", "50% of $USER's <script>", "", "`the` last; line\\"]
    output = "\n".join([f"CRITICAL: {first} | calls=7;5;6;0", *more])
    ticket = stage.opens("acme.3cx.fr", "SIP trunk", output)
    assert ticket["subject"] == "CRITICAL: acme.3cx.fr - SIP trunk"
    assert ticket["ticketable_id"] == 42  # the PBX's customer
    assert f"CRITICAL: {first}" in text(ticket["body"]).splitlines()
    assert "<b>é" not in ticket["body"]
    assert 'href="https://wiki.example.net/acme.3cx.fr/trunk"' in ticket["body"]
    details = text(ticket["replies"][0]["body"])
    assert "\n".join(more) in details
    assert "Host: acme.3cx.fr (203.0.113.10)" in details
    assert "calls=7;5;6;0" in details


def test_a_plugin_may_say_too_much_for_an_environment_variable(stage: Stage) -> None:
    ticket = stage.opens(
        "acme.3cx.fr", "loud", "A lot: " + "é" * 200_000 + "\n" + "more\n" * 50_000
    )
    assert text(ticket["body"]).count("é") > 1000


def test_custom_variables_choose_customer_priority_and_tags(stage: Stage) -> None:
    stage.icinga.check(DOWN, "gone", "six")
    ticket = stage.ticket("six", when=noted(1))
    assert ticket["ticketable_id"] == 7
    assert priority(ticket) == "Low"
    assert {"gold", "site six", "24", "true"} <= set(json.loads(ticket["tags"]))
    assert "2001:db8::7" in text(ticket["body"])


def test_what_a_service_says_goes_before_what_its_host_says(stage: Stage) -> None:
    ticket = stage.opens("seven", "disk")
    assert ticket["ticketable_id"] == 12
    assert priority(ticket) == "Urgent"
    tags = set(json.loads(ticket["tags"]))
    assert {"backup", "night"} <= tags
    assert "gold" not in tags


def test_only_what_is_switched_on_opens_tickets(stage: Stage) -> None:
    stage.icinga.check(CRITICAL, "silent", "seven", "unset")
    stage.icinga.check(CRITICAL, "silent", "bare", "off")
    stage.icinga.check(DOWN, "silent", "seven")
    stage.opens("acme.3cx.fr", "barrier")
    for host, service in (("seven", "unset"), ("bare", "off"), ("seven", "")):
        wait_for("the result", lambda: stage.icinga.result(host, service))  # noqa: B023
        assert stage.tickets(host, service) == []


def test_a_life(stage: Stage) -> None:
    """Worse, acknowledged, talked about, a downtime, over, and back again.

    All of it is one problem (DESIGN section 5): the time when the service was well last.
    """
    icinga, host, service = stage.icinga, "acme.3cx.fr", "queue"
    icinga.check(OK, "nobody waits yet", host, service)
    wait_for("Icinga knows it", lambda: "waits yet" in icinga.result(host, service))
    a_second_later()
    icinga.check(WARNING, "12 callers wait", host, service)
    ticket = stage.ticket(host, service, noted(1))
    assert ticket["subject"] == "WARNING: acme.3cx.fr - queue"
    assert priority(ticket) == "Normal"

    icinga.check(CRITICAL, "40 callers wait", host, service)
    ticket = stage.ticket(host, service, noted(2))
    assert priority(ticket) == "Urgent"
    assert "warning → critical" in last_note(ticket)
    assert "40 callers wait" in last_note(ticket)

    comment = 'it\'s mine; "calling" the <carrier> $HOME 5$'
    icinga.command("ACKNOWLEDGE_SVC_PROBLEM", host, service, 1, 1, 0, "jdupont", comment)
    ticket = stage.ticket(host, service, noted(3))
    assert "Acknowledged by jdupont" in last_note(ticket)
    assert comment in last_note(ticket).splitlines()

    # 2: sent although the problem is acknowledged
    icinga.command("SEND_CUSTOM_SVC_NOTIFICATION", host, service, 2, "amartin", "carrier is sorry")
    ticket = stage.ticket(host, service, noted(4))
    assert "Comment by amartin" in last_note(ticket)
    assert "carrier is sorry" in last_note(ticket)
    assert ticket["open"]

    stage.downtime(host, service, 3600)
    stage.ticket(host, service, noted(5))
    stage.end_downtimes()
    stage.ticket(host, service, noted(6))

    icinga.check(OK, "nobody waits", host, service)
    ticket = stage.ticket(host, service, closed)
    assert "Recovered" in last_note(ticket)
    assert "nobody waits" in last_note(ticket)
    assert len(ticket["replies"]) == 7

    a_second_later()
    icinga.check(CRITICAL, "41 callers wait", host, service)
    ticket = stage.ticket(host, service, lambda ticket: ticket["open"])
    ticket = stage.ticket(host, service, noted(8))
    assert "41 callers wait" in last_note(ticket)

    *life, recovery, again = icinga.told(f"SERVICEDESC={service}")
    assert [call["NOTIFICATIONTYPE"] for call in life] == [
        *("PROBLEM", "PROBLEM", "ACKNOWLEDGEMENT", "CUSTOM", "DOWNTIMESTART", "DOWNTIMEEND")
    ]
    assert (recovery["NOTIFICATIONTYPE"], again["NOTIFICATIONTYPE"]) == ("RECOVERY", "PROBLEM")
    (name,) = {call["LASTSERVICEOK"] for call in life}
    # In a recovery it is the end of the problem, and what the next one begins with.
    assert 0 < float(name) < float(recovery["LASTSERVICEOK"])
    assert recovery["LASTSERVICEOK"] == again["LASTSERVICEOK"]
    assert occurrence(stage, service) == ("LASTSERVICEOK", again["LASTSERVICEOK"])


def a_second_later() -> None:
    """Icinga tells times in whole seconds: what follows is in another one."""
    now = int(time.time())
    wait_for("the next second", lambda: time.time() >= now + 1)


def test_another_problem_of_a_service_is_no_repetition(stage: Stage) -> None:
    """A1: the recovery was never sent, and a person closed the ticket."""
    icinga, host, service = stage.icinga, "acme.3cx.fr", "tunnel"
    icinga.check(OK, "up", host, service)
    icinga.check(WARNING, "slow", host, service)
    number = stage.ticket(host, service, noted(1))["id"]
    first = occurrence(stage, "tunnel")
    assert first[0] == "LASTSERVICEOK"
    icinga.check(CRITICAL, "down", host, service)
    stage.ticket(host, service, noted(2))
    assert occurrence(stage, "tunnel") == first
    with Client(stage.site.sandbox.url, Credentials(token=stage.site.sandbox.token)) as client:
        client.close_ticket(number)
    a_second_later()
    icinga.command("DISABLE_SVC_NOTIFICATIONS", host, service)
    icinga.check(OK, "up again", host, service)
    wait_for("Icinga knows it", lambda: "up again" in icinga.result(host, service))
    icinga.command("ENABLE_SVC_NOTIFICATIONS", host, service)
    icinga.check(CRITICAL, "down again", host, service)
    if not HERE.icinga_tells_again:
        wait_for("Icinga knows it", lambda: "down again" in icinga.result(host, service))
        assert len(stage.tickets(host, service)) == 1
        icinga.check(WARNING, "slow again", host, service)
    wait_for("a second ticket", lambda: len(stage.tickets(host, service)) == 2)
    outputs = {call["SERVICEOUTPUT"] for call in icinga.told(f"SERVICEDESC={service}")}
    assert ("down again" in outputs) == HERE.icinga_tells_again
    assert [ticket["open"] for ticket in stage.tickets(host, service)] == [False, True]
    assert occurrence(stage, "tunnel") != first


def test_a_hosts_problem_has_a_name_too(stage: Stage) -> None:
    stage.icinga.check(OK, "up", "tall")
    wait_for("Icinga knows it", lambda: "up" in stage.icinga.result("tall"))
    a_second_later()
    stage.icinga.check(DOWN, "no answer", "tall")
    stage.ticket("tall", "", noted(1))
    name = occurrence(stage, "icinga:tall")
    stage.icinga.command("ACKNOWLEDGE_HOST_PROBLEM", "tall", 1, 1, 0, "jdupont", "mine")
    stage.ticket("tall", "", noted(2))
    stage.icinga.check(OK, "up again", "tall")
    stage.ticket("tall", "", closed)
    problem, taken, recovery = stage.icinga.told("HOSTNAME=tall")
    assert name == ("LASTHOSTUP", problem["LASTHOSTUP"])
    assert 0 < float(problem["LASTHOSTUP"]) < float(recovery["LASTHOSTUP"])
    assert taken["LASTHOSTUP"] == problem["LASTHOSTUP"]


def occurrence(stage: Stage, name: str) -> Tuple[str, str]:
    """What the map calls the one problem of NAME, and by which macro."""
    wait_for("the map to be written", lambda: not stage.site.queued())
    (entry,) = [entry for key, entry in stage.site.state.items() if key.endswith(name)]
    (member,) = entry["members"].values()
    return member["by"], member["occurrence"]


def test_downtime(stage: Stage) -> None:
    where = ("acme.3cx.fr", "window")
    stage.opens(*where)
    stage.downtime(*where, 3600)
    ticket = stage.ticket(*where, noted(2))
    assert "Downtime started by amartin" in last_note(ticket)
    assert "new disks" in last_note(ticket)
    stage.end_downtimes()
    ticket = stage.ticket(*where, noted(3))
    assert "Downtime ended by amartin" in last_note(ticket)
    assert ticket["open"]


def test_what_recovers_in_a_downtime_is_closed_after_it(stage: Stage) -> None:
    where = ("acme.3cx.fr", "nightly")
    stage.opens(*where)
    stage.downtime(*where, 3600)
    stage.ticket(*where, noted(2))
    stage.icinga.check(OK, "better", *where)
    wait_for("Icinga knows it", lambda: "better" in stage.icinga.result(*where))
    stage.end_downtimes()
    ticket = stage.ticket(*where, closed)
    assert "better" in last_note(ticket)


def test_flapping(stage: Stage) -> None:
    icinga = stage.icinga

    def told(kind: str) -> bool:
        return f"Checking filters for type '{kind}'" in icinga.log

    def is_taken_in(state: int) -> Callable[[Dict[str, Any]], bool]:
        return lambda ticket: told("FlappingStart") or ticket["open"] == (state == DOWN)

    stage.opens("flaps")
    for number in range(1, 9):
        state = DOWN if number % 2 else OK
        icinga.check(state, f"look {number}", "flaps")
        # Before it flaps, Icinga tells of each look, and waits for no command to end before it
        # starts the next: of two, the later one could be stored first.
        stage.ticket("flaps", when=is_taken_in(state))
    stage.ticket("flaps", when=lambda ticket: "Began flapping" in notes_of(ticket))
    for _ in range(30):
        icinga.check(OK, "steady", "flaps")
        if told("FlappingEnd"):
            break
    ticket = stage.ticket("flaps", when=lambda ticket: "steady" in last_note(ticket))
    # Icinga sends no recovery for what recovered while it was flapping (its issue 9449).
    assert closed(ticket)


@pytest.mark.parametrize("stage", ["file"], indirect=True, scope="module")  # not in the basket
def test_brtel_notify_is_watched_and_its_own_trouble_opens_no_ticket(stage: Stage) -> None:
    icinga, where = stage.icinga, ("watched", "brtel-notify")
    stage.site.run("test")  # makes the state folder, if this test comes first
    wait_for("all that was told before", lambda: not stage.site.queued())

    def well() -> str:  # Icinga checks it of itself, too: maybe before the two lines above
        said = icinga.result(*where)
        return said if "queue=0;;;0" in said and said.startswith("OK ") else ""

    said = icinga.ask_for_check("the check finds all well", well, *where)
    assert said.startswith("OK BRTEL-NOTIFY OK: ")
    assert "the API answered in" in said

    def critical() -> bool:  # the check that was asked for above may come in between
        icinga.command("PROCESS_SERVICE_CHECK_RESULT", *where, CRITICAL, "BlueRockTEL is down")
        return icinga.result(*where).startswith("CRITICAL")

    wait_for("it is critical", critical)
    stage.opens("watched")
    assert stage.tickets(*where) == []


@pytest.mark.parametrize("stage", ["director"], indirect=True, scope="module")
def test_a_host_with_the_directors_template(stage: Stage) -> None:
    stage.icinga.check(DOWN, "gone", "directed")
    ticket = stage.ticket("directed", when=noted(1))
    assert ticket["ticketable_id"] == 7
    assert {"gold", "web"} <= set(json.loads(ticket["tags"]))


def test_a_reminder_mends_what_failed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """And opens nothing twice. Icinga itself never repeats a notification that failed."""
    drop_in = SHIPPED.read_text("utf-8")
    often = drop_in.replace("interval = 30m", "interval = 1s")
    assert often != drop_in
    with playing(tmp_path_factory, OBJECTS, often) as stage:
        program = stage.icinga.folder / "brtel-notify"
        away = program.rename(stage.icinga.folder / "away")
        stage.icinga.check(DOWN, "gone", "bare")
        failed = f"execvpe({program}) failed: No such file or directory"
        wait_for("the failure in the log", lambda: failed in stage.icinga.log)
        assert stage.tickets("bare") == []
        away.rename(program)
        stage.ticket("bare", when=noted(1))
        sent = stage.icinga.log.count("Completed sending")
        wait_for("one more", lambda: stage.icinga.log.count("Completed sending") > sent)
        wait_for("it is delivered", lambda: not stage.site.queued())
        assert len(stage.ticket("bare")["replies"]) == 1


# --- the files, without a daemon ------------------------------------------------------------------


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """The configuration that Debian's package brings, with the shipped file in its place."""
    installed = Path("/etc/icinga2")
    if not (installed / "conf.d").is_dir():
        missing("Icinga's configuration is not installed (Debian package icinga2-common)")
    folder = tmp_path / "icinga2"
    folder.mkdir()
    for name in ("conf.d", "features-available", "features-enabled", "zones.d"):
        shutil.copytree(installed / name, folder / name, symlinks=True)
    for name in ("icinga2.conf", "constants.conf", "zones.conf"):
        shutil.copy(installed / name, folder)
    shutil.copy(SHIPPED, folder / "conf.d" / "brtel-notify.conf")
    return folder


def test_the_file_is_valid_on_debian(debian: Path) -> None:
    hosts = debian / "conf.d" / "hosts.conf"
    switches = "vars.brtel_notify = true\n  vars.brtel_notify_check = true\n"
    hosts.write_text(hosts.read_text().replace("address = ", f"{switches}  address = ", 1))
    done = validate(debian / "icinga2.conf")
    assert done.returncode == 0, done.stdout
    assert [line for line in complaints(done.stdout) if "brtel" in line] == []


def test_file_and_basket_pass_the_same() -> None:
    basket = json.loads(BASKET.read_text("utf-8"))
    env = dict(re.findall(r'^    ICINGA_(\w+) = "(.*)"$', SHIPPED.read_text("utf-8"), re.M))
    arguments = basket["Command"]["brtel-notify"]["arguments"]
    assert list(arguments) == list(env)
    for name, argument in arguments.items():
        assert argument["skip_key"]
        value = argument["value"]
        if isinstance(value, str):
            assert value == f"--var={name}={env[name]}"
        else:
            assert f"--var={name}=" in value["body"]
            assert env[name].startswith("$command.vars.brtel_")


def test_the_basket_holds_what_it_refers_to() -> None:
    basket = json.loads(BASKET.read_text("utf-8"))
    fields = set(basket["Datafield"])
    for kind, objects in basket.items():
        for name, thing in objects.items():
            assert name in (thing.get("object_name"), thing.get("originalId"))
            assert {str(field["datafield_id"]) for field in thing.get("fields", [])} <= fields
            assert set(thing.get("imports", [])) <= set(
                basket[f"{kind}Template"] if "imports" in thing else ()
            )


# --- docs/icinga2.md ------------------------------------------------------------------------------


def blocks(language: str) -> List[str]:
    """The page's blocks of one language."""
    page = (CHECKOUT / "docs" / "icinga2.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)


def test_what_the_page_says_to_configure(site: Site) -> None:
    (block,) = blocks("yaml")
    text = block.replace("https://acme.bluerocktel.net/api", site.sandbox.url)
    text = text.replace("/etc/brtel-notify/token", str(site.token_file))
    site.config_file.write_text(text.replace("log: syslog", "log: stderr"), "utf-8")
    assert "CL000001" in site.run("test").stdout


def test_what_the_page_says_to_type(site: Site) -> None:
    """Every line that calls brtel-notify, in the page's order; none may fail."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    calls = [line.replace("runuser -u nagios -- ", "") for line in lines]
    opened = 0
    for words in map(shlex.split, calls):
        if words[0] != "brtel-notify":
            continue
        if words[1] == "install":
            words.append("--print")
        site.run(*words[1:])
        opened += any(ticket["open"] for ticket in site.tickets)
    assert opened == 1  # between the two trials of step 5
    assert closed(site.the_ticket())


def test_files_that_the_page_names_are_there() -> None:
    for line in "\n".join(blocks("sh")).splitlines():
        for word in re.findall(r"(?:nagios|systemd)/[\w./-]+", line):
            assert (CHECKOUT / word).exists() or not word.startswith("nagios/brtel"), word


def test_what_the_page_shows_to_icinga(debian: Path) -> None:
    for number, block in enumerate(blocks("icinga2")):
        (debian / "conf.d" / f"page-{number}.conf").write_text(block, "utf-8")
    done = validate(debian / "icinga2.conf")
    assert done.returncode == 0, done.stdout
    assert [line for line in complaints(done.stdout) if "brtel" in line] == []
    switched = re.findall(r"Instantiated (\d+) Notification", done.stdout)
    assert switched


def test_messages_of_the_page(debian: Path) -> None:
    shutil.copy(SHIPPED, debian / "conf.d" / "again.conf")
    done = validate(debian / "icinga2.conf")
    page = (CHECKOUT / "docs" / "icinga2.md").read_text("utf-8")
    message = "Object 'brtel-notify' of type 'NotificationCommand' re-defined"
    assert done.returncode != 0
    assert message in done.stdout
    assert message in page
