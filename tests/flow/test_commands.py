"""The commands for people: what they say, and that they say it truly."""

from __future__ import annotations

import json
import sys

import pytest
from support import CAPTURES, Site

from brtel_notify.cli import COMMANDS

HOST = "nagios4-host-problem"


@pytest.mark.parametrize("command", [*COMMANDS, "nagios", "icinga", "zabbix", "librenms", "event"])
def test_help_fits_a_screen_and_shows_an_example(site: Site, command: str) -> None:
    said = site.run(command, "--help").stdout
    lines = said.splitlines()
    assert len(lines) <= 48 if command == "event" else len(lines) <= 30
    assert "example" in said
    assert f"brtel-notify {command}" in said


def test_the_help_names_every_command(site: Site) -> None:
    said = site.run("--help").stdout
    for command in COMMANDS:
        assert f"  {command} " in said


def test_status_shows_the_open_tickets(site: Site) -> None:
    assert "0 open, 0 queued, 0 dead" in site.run("status").stdout
    site.notify(HOST)
    said = site.run("status").stdout
    number = site.the_ticket()["number"]
    row = next(line for line in said.splitlines() if line.startswith(number))
    assert "critical" in row
    assert "Acme Telecom SAS (CL2385)" in row
    assert "nagios:acme.3cx.fr" in row
    assert "1 open, 0 queued, 0 dead" in said
    data = json.loads(site.run("status", "--json").stdout)
    assert data["tickets"][0]["number"] == number


def test_no_colour_off_a_terminal(site: Site) -> None:
    site.notify(HOST)
    for words in (["status"], ["queue"], ["discover"], ["test"], ["render", "nagios"]):
        assert "\x1b" not in site.run(*words, code=None).stdout


def test_discover_lists_what_the_configuration_may_name(site: Site) -> None:
    said = site.run("discover").stdout
    for name in ("High", "Infrastructure", "PBX / 3CX", "of Infrastructure", "On-call", "New"):
        assert name in said
    data = json.loads(site.run("discover", "--json").stdout)
    assert {"id": 2, "name": "High"} in data["priorities"]


def test_test_proves_the_way_and_opens_nothing(site: Site) -> None:
    said = site.run("test").stdout
    for what in ("configuration", "state folder", "API", "credentials", "names", "fallback"):
        assert what in said
    assert site.tickets == []


def test_test_open_opens_and_closes_a_real_ticket(site: Site) -> None:
    site.run("test", "--open")
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert ticket["ticketable_id"] == 1


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("severities: {critical: {priority: Urgnt}}\n", "did you mean 'Urgent'?"),
        ("rules: [{when: 'x ==', set: {}}]\n", "rules[0].when"),
        ("rules: [{when: 'x', set: {category: Backups, sub_category: Nope}}]\n", "'Nope'"),
        ("templates: /no/such/folder\n", "there is no folder /no/such/folder"),
        ("rules: [{when: 'x', set: {team: 999}}]\n", "none with the id 999"),
    ],
)
def test_test_finds_what_an_alert_would_only_degrade_over(
    site: Site, more: str, named: str
) -> None:
    site.configure(more)
    done = site.run("test", code=78)
    assert named in done.stderr
    assert str(site.config_file) in done.stderr


def test_the_test_button_of_librenms_answers_truly(site: Site) -> None:
    said = site.notify("librenms-test-button")
    assert said == "delivered: the test passed; no ticket was opened"
    assert site.tickets == []
    assert site.queued() == []
    site.configure("severities: {critical: {priority: Urgnt}}\n")
    site.notify("librenms-test-button", code=78)
    site.configure()
    site.sandbox.faults(fail={"status": 503})
    site.notify("librenms-test-button", code=75)
    assert site.queued() == []


# --- render ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("capture", sorted(path.stem for path in CAPTURES.glob("*.json")))
def test_render_calls_nothing_and_keeps_nothing(site: Site, capture: str) -> None:
    site.run("render", "--capture", str(CAPTURES / f"{capture}.json"))
    assert site.calls() == []
    assert not site.state_dir.exists()


def test_render_shows_what_is_then_sent(site: Site) -> None:
    words = ("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--output", "<no> answer")
    site.run("test")
    site.run(*words)
    sent = site.the_ticket()
    site.sandbox.reset()
    (site.state_dir / "state.json").unlink()
    site.calls()
    shown = json.loads(site.run("render", "--json", *words).stdout)
    assert site.calls() == []
    assert shown["ticket"]["subject"] == sent["subject"]
    assert shown["ticket"]["body"] == sent["body"]
    assert shown["ticket"]["priority_id"] == sent["priority_id"]
    assert shown["customer"]["account"] == "CL2385"  # it is known from before
    assert shown["steps"] == ["find", "create", "attach", "details"]
    assert [call["method"] for call in shown["calls"]] == ["GET", "POST", "PUT", "POST"]


def test_render_for_people(site: Site) -> None:
    said = site.run("render", "event", "--host", "x", "--state", "DOWN", "--output", "a<b").stdout
    assert "subject: DOWN: x" in said
    assert "body, as text:" in said
    assert "body, as HTML:" in said
    assert "  a<b" in said
    assert "a&lt;b" in said
    assert "steps: find, create, attach, details" in said
    assert "POST /v1/tickets?" in said


def test_render_v_asks_who_the_customer_is_and_shows_its_hosts(site: Site) -> None:
    said = site.run("render", "-v", "event", "--host", "acme.3cx.fr", "--state", "DOWN").stdout
    assert "customer: Acme Telecom SAS (CL2385), by pbx" in said
    assert "PBX hosts: acme.3cx.fr" in said
    assert {call.split()[0] for call in site.calls()} == {"GET"}
    assert site.tickets == []


def test_dry_run_is_render(site: Site) -> None:
    said = site.run("event", "--host", "x", "--state", "DOWN", "--dry-run").stdout
    assert "subject: DOWN: x" in said
    assert site.calls() == []
    assert site.queued() == []


# --- queue ----------------------------------------------------------------------------------------


def test_queue_list_show_retry_drop(site: Site) -> None:
    assert "the queue is empty" in site.run("queue").stdout
    site.run("nagios", code=65)
    site.sandbox.faults(fail={"status": 503})
    site.notify(HOST)
    said = site.run("queue", "list").stdout
    assert "nagios:acme.3cx.fr" in said
    assert "503" in said
    assert "HOSTNAME" in said
    (dead,) = site.queued("dead")
    (waiting,) = site.queued()
    shown = site.run("queue", "show", waiting.stem[-6:]).stdout
    assert "NAGIOS_HOSTOUTPUT=PING CRITICAL - Packet loss = 100%" in shown
    assert "attempt" in shown
    site.run("queue", "show", "nonsense", code=65)
    site.run("queue", "drop", dead.stem, code=65)  # nobody to ask
    site.run("queue", "drop", dead.stem, "--yes")
    assert site.queued("dead") == []
    assert len(site.queued()) == 1


def test_queue_show_json_is_a_capture_that_render_takes(site: Site) -> None:
    site.sandbox.faults(fail={"status": 503})
    site.notify(HOST)
    (shown,) = json.loads(site.run("queue", "show", site.queued()[0].stem, "--json").stdout)
    path = site.folder / "capture.json"
    path.write_text(json.dumps(shown["capture"]))
    site.sandbox.clear_faults()
    assert "subject: DOWN: acme.3cx.fr" in site.run("render", "--capture", str(path)).stdout


def test_flush_with_nothing_to_do(site: Site) -> None:
    assert "nothing to deliver" in site.run("flush").stdout
    site.notify(HOST)
    assert "0 done" in site.run("flush").stdout


# --- the log --------------------------------------------------------------------------------------


def test_the_log_goes_to_a_file(site: Site) -> None:
    log = site.folder / "log"
    site.configure(f"log: {log}\n")
    site.notify(HOST)
    assert "nagios:acme.3cx.fr: opened: ticket" in log.read_text()


def test_python_m_is_the_same_program(site: Site) -> None:
    assert sys.executable in site.words()[0]
    assert site.run("--version").stdout.startswith("brtel-notify ")
