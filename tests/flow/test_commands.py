"""The commands for people: what they say, and that they say it truly."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from argparse import SUPPRESS, ArgumentParser
from typing import Tuple

import pytest
from support import CAPTURES, Site

from brtel_notify.cli import COMMANDS
from brtel_notify.commands import init, install
from brtel_notify.console import tables
from brtel_notify.sources import event_flags

HOST = "nagios4-host-problem"
SERVICE = "nagios4-service-problem"


@pytest.mark.short
@pytest.mark.parametrize("command", [*COMMANDS, "nagios", "icinga", "zabbix", "librenms", "event"])
def test_help_fits_a_screen_and_shows_an_example(site: Site, command: str) -> None:
    # The plugin guidelines want UNKNOWN of a plugin's help.
    code = 3 if command == "check" else 0
    said = site.run(command, "--help", env={"COLUMNS": "80"}, code=code).stdout
    lines = said.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert "example" in said
    assert f"brtel-notify {command}" in said


@pytest.mark.parametrize(
    "parser",
    [event_flags.parser(), init.parser(), install.parser()],
    ids=lambda parser: parser.prog,
)
def test_help_that_is_a_text_of_its_own_names_every_option(parser: ArgumentParser) -> None:
    said = parser.format_help()
    for action in parser._actions:
        if action.help != SUPPRESS and action.option_strings:
            long = [name for name in action.option_strings if name.startswith("--")]
            for name in long if action.dest not in ("help", "verbose") else ("-h", "-v"):
                assert re.search(rf"(?<![\w-]){name}(?![\w-])", said), name


@pytest.mark.short
def test_the_help_names_every_command(site: Site) -> None:
    said = site.run("--help").stdout
    for command in COMMANDS:
        assert f"  {command} " in said


@pytest.mark.short
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


@pytest.mark.short
def test_discover_lists_what_the_configuration_may_name(site: Site) -> None:
    said = site.run("discover").stdout
    for name in ("High", "Infrastructure", "PBX / 3CX", "of Infrastructure", "On-call", "New"):
        assert name in said
    data = json.loads(site.run("discover", "--json").stdout)
    assert {"id": 2, "name": "High", "active": True} in data["priorities"]


def test_test_proves_the_way_and_opens_nothing(site: Site) -> None:
    said = site.run("test").stdout
    for what in ("configuration", "state folder", "API", "credentials", "names", "fallback"):
        assert what in said
    assert site.tickets == []


@pytest.mark.short
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


@pytest.mark.short
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


@pytest.mark.short
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
    assert "--yes" in site.run("queue", "drop", dead.stem, code=65).stderr  # nobody to ask
    assert len(site.queued("dead")) == 1
    site.run("queue", "drop", dead.stem, "--yes")
    assert site.queued("dead") == []
    assert len(site.queued()) == 1


def test_queue_show_is_readable(site: Site) -> None:
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 503})
    site.notify(SERVICE, "LONGSERVICEOUTPUT=first line\nsecond \x1b[31mline")
    said = site.run("queue", "show", site.queued()[0].stem).stdout
    assert "{" not in said
    assert "\x1b" not in said
    assert "in the queue\n" in said
    assert "\nalert\n  key: nagios:acme.3cx.fr:SIP trunk\n" in said
    assert "  severity: critical\n" in said
    assert "find: customer Acme Telecom SAS (id 42), ticket none, seen none" in said
    assert "create: sent, or about to be" in said
    assert "may have arrived all the same: POST /v1/tickets: 503" in said
    assert "; next try 20" in said
    lines = said.splitlines()
    first = next(n for n, line in enumerate(lines) if "LONGSERVICEOUTPUT=first line" in line)
    assert lines[first + 1].endswith("second  [31mline")
    assert lines[first + 1].index("second") == lines[first].index("LONGSERVICEOUTPUT")


def test_queue_show_of_what_is_not_understood_and_of_json_on_stdin(site: Site) -> None:
    site.run("librenms", stdin=b'{"hostname": "r\xc3\xa9seau", "state": 9}', code=65)
    said = site.run("queue", "show", site.queued("dead")[0].stem).stdout
    assert "in dead/" in said
    assert "  not understood" in said
    assert '      "hostname": "r\u00e9seau",' in said
    assert "given up: librenms" in said


def test_retry_delivers_what_was_dead_and_says_how_far_it_is(site: Site) -> None:
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 422})
    for n in range(12):
        site.run("event", "--host", f"h{n}.example.net", "--state", "DOWN", code=65)
    site.sandbox.clear_faults()
    said = site.run("queue", "retry", "--all").stdout
    assert "12 put back" in said
    assert "[1/12] event:" in said
    assert "[12/12] event:" in said
    assert said.endswith("12 done, 0 refused again (kept in dead/), 0 still queued\n")
    assert len(site.tickets) == 12
    assert site.queued() == site.queued("dead") == []


def test_retry_delivers_whoever_reads_how_far_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from brtel_notify.console import queue_retry
    from brtel_notify.local.log import Log

    def closed(*words: object, **options: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("builtins.print", closed)
    progress = queue_retry._Progress(Log(), {"1"})
    progress.say("delivered", event="1")
    assert progress.wanted == set()


def test_retry_of_what_is_refused_again(site: Site) -> None:
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 422})
    site.notify(HOST, code=65)
    said = site.run("queue", "retry", "--all", code=65).stdout
    assert "0 done, 1 refused again (kept in dead/), 0 still queued" in said
    assert len(site.queued("dead")) == 1


def test_retry_of_an_event_that_backs_off_and_later(site: Site) -> None:
    site.sandbox.faults(fail={"status": 503})
    site.notify(HOST)
    (waiting,) = site.queued()
    said = site.run("queue", "retry", waiting.stem[-6:]).stdout
    assert "0 done, 0 refused again (kept in dead/), 1 still queued" in said
    assert "503" in said
    site.sandbox.clear_faults()
    assert "1 done" in site.run("queue", "retry", waiting.stem[-6:]).stdout
    assert site.the_ticket()["open"]
    site.run("nagios", code=65)
    assert "flush" in site.run("queue", "retry", "--all", "--later").stdout
    assert len(site.queued()) == 1


def test_drop_asks_on_a_terminal(site: Site) -> None:
    site.run("nagios", code=65)
    (dead,) = site.queued("dead")
    said, code = on_a_terminal(site, "n\n", "queue", "drop", "--all")
    assert "drop it, so that no ticket hears of it? [y/N]" in said
    assert dead.stem in said
    assert "nothing was dropped" in said
    assert code == 1
    said, code = on_a_terminal(site, "y\n", "queue", "drop", "--all")
    assert "1 event dropped" in said
    assert code == 0
    assert site.queued("dead") == []


def test_queue_on_a_screen_keeps_to_its_width_and_names_events_shortly(site: Site) -> None:
    site.sandbox.faults(fail={"status": 503})
    for name in ("設備監視センター東京本社ネットワーク", "réseau.example.net"):
        site.run("event", "--host", name, "--state", "DOWN")
    said = site.run("queue", env={"COLUMNS": "80"}).stdout
    head, *rows = said.splitlines()
    assert all(tables.width(line) <= 80 for line in rows)
    assert "…" in said
    starts = {tables.width(row[: row.index("event:")]) for row in rows}
    assert starts == {head.index("ALERT")}
    assert {row.split()[0] for row in rows} == {path.stem[-6:] for path in site.queued()}


def test_queue_show_json_is_a_capture_that_render_takes(site: Site) -> None:
    site.sandbox.faults(fail={"status": 503})
    site.notify(HOST)
    (shown,) = json.loads(site.run("queue", "show", site.queued()[0].stem, "--json").stdout)
    path = site.folder / "capture.json"
    path.write_text(json.dumps(shown["capture"]))
    site.sandbox.clear_faults()
    for file in (path, *site.queued()):  # or the file itself
        assert "subject: DOWN: acme.3cx.fr" in site.run("render", "--capture", str(file)).stdout
    path.write_bytes(site.queued()[0].read_bytes()[:1000])
    assert "is no capture" in site.run("render", "--capture", str(path), code=2).stderr


def on_a_terminal(site: Site, typed: str, *words: str) -> Tuple[str, int]:
    """What a command says on a terminal of its own, and its exit code."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        site.words(*words), stdin=its, stdout=its, stderr=its, start_new_session=True
    )
    os.close(its)
    os.write(ours, typed.encode())
    said = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux, when the other side is closed
            piece = b""
        if not piece:
            break
        said += piece
    os.close(ours)
    return said.decode(), process.wait(30)


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


# --- slips that a person makes, and what is said of them ------------------------------------------


def slip(site: Site, *words: str, code: int) -> str:
    """The last line on stderr."""
    return site.run(*words, code=code).stderr.splitlines()[-1]


def test_a_refused_token_says_where_a_good_one_belongs(site: Site) -> None:
    site.token_file.write_text("not-the-token")
    said = slip(site, "test", code=78)
    assert f"(the token file {site.token_file} is refused: put a valid credential there)" in said


def test_a_ca_file_that_is_none_is_named_with_its_line(site: Site) -> None:
    text = site.config_file.read_text()
    for content, reason in ((None, "No such file or directory"), ("x", "holds no certificate")):
        ca_file = site.folder / "ca.pem"
        if content:
            ca_file.write_text(content)
        site.config_file.write_text(text.replace("api:\n", f"api:\n  ca_file: {ca_file}\n"))
        line = site.config_file.read_text().splitlines().index(f"  ca_file: {ca_file}") + 1
        said = slip(site, "test", code=78)
        assert f"{site.config_file}:{line}: api.ca_file: {ca_file}: {reason}" in said


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("hots == 'a'", "rules[0].when: an alert has no 'hots'; did you mean 'host'?"),
        ("customer.vip and severty == 'x'", "an alert has no 'severty'; did you mean 'severity'?"),
    ],
)
def test_a_name_that_no_alert_has_is_found_in_a_rule(site: Site, rule: str, said: str) -> None:
    with site.config_file.open("a") as file:
        file.write(f'rules: [{{when: "{rule}", ignore: true}}]\n')
    assert said in slip(site, "test", code=78)


def test_every_name_that_an_alert_has_may_stand_in_a_rule(site: Site) -> None:
    with site.config_file.open("a") as file:
        rule = "alert.what and what in range(3)|map('string') or now.hour > 7 and customer.vip"
        file.write(f'rules: [{{when: "{rule} or vars.X == host", set: {{priority: Low}}}}]\n')
    site.run("test")


def test_the_plugin_says_which_range_is_wrong(site: Site) -> None:
    assert "not a range: 'foo'; 300, 10:60" in slip(site, "check", "-w", "foo", code=3)
    assert "not a number of seconds from 1 to 3600: '0'" in slip(site, "check", "-t", "0", code=3)


def test_queue_list_takes_no_event(site: Site) -> None:
    assert "queue show foo shows one" in slip(site, "queue", "list", "foo", code=2)


def test_a_body_that_cannot_be_read(site: Site) -> None:
    said = slip(site, "api", "/v1/tickets", "--json", "/nowhere/x", code=65)
    assert said == "brtel-notify: --json /nowhere/x: No such file or directory"


def test_an_event_with_a_slip_is_an_event_still(site: Site) -> None:
    words = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")
    done = site.run(*words, "--since", "yesterday", "--severity", "citrical")
    assert "--since 'yesterday' is no time (seconds since 1970" in done.stderr
    assert "--severity 'citrical' is no severity" in done.stderr
    assert site.the_ticket()["subject"].startswith("DOWN")
    said = site.run("--log-format", "json", *words, "--severity", "citrical").stderr
    assert [json.loads(line)["level"] for line in said.splitlines()] == ["error", "info"]
    done = site.run(*words, "--since", "2026-11-21 18:37", "--severity", "unknown")
    assert "--s" not in done.stderr


def test_a_state_folder_that_cannot_be_used_is_no_outage(site: Site) -> None:
    done = site.run("--state-dir", "/proc/nowhere", "test", code=75)
    assert "state folder: /proc/nowhere" in done.stderr


def test_options_of_render_that_stand_too_late(site: Site) -> None:
    said = slip(site, "render", "nagios", "--html", "x.html", code=2)
    assert "--html stands before the source: render --html ... nagios ..." in said


def test_a_root_that_is_none(site: Site) -> None:
    said = slip(site, "install", "nagios", "--root", "/nowhere", code=2)
    assert said == "brtel-notify: --root /nowhere: there is no such folder"


def test_the_sandbox_cannot_keep_its_data_nowhere(site: Site) -> None:
    done = site.run("sandbox", "--data", "/nowhere/x.json", "--port", "0", code=65)
    assert "there is no folder /nowhere" in done.stderr
