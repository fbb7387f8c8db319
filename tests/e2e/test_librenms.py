"""The shipped LibreNMS transport, run by PHP over LibreNMS's own signatures.

LibreNMS itself cannot be installed from a package; what it does around a transport (finds the class
by the file's name, hands it the alert, makes exceptions of warnings) is in librenms/deliver.php.
Forms, store, button and alerts of today's LibreNMS: test_librenms26.py.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import pytest
from planted import Secrets, librenms_data
from servers import CHECKOUT, need, put_command
from support import CONFIG, Site, load_capture

from brtel_notify.intake.withheld import is_secret
from brtel_notify.sources.librenms_alert import STATES
from brtel_notify.text.plaintext import as_text

SHIPPED = CHECKOUT / "librenms"
TRANSPORT = SHIPPED / "Bluerocktel.php"
HARNESS = Path(__file__).parent / "librenms"

ACME, MOREL, UNASSIGNED = 42, 15, 1  # customers; Acme's account is CL2385
LOW, HIGH, URGENT = 1, 2, 3  # priorities

SEVERITIES = """\
severities:
  critical: {priority: Urgent}
  warning: {priority: Low}
"""

#: What LibreNMS draws a field of its form for.
FIELD_TYPES = {"text", "password", "textarea", "checkbox", "select"}
#: Laravel's validation rules as far as they look at one value and need no database.
LARAVEL_RULES = {
    *("accepted", "alpha", "alpha_dash", "alpha_num", "array", "bail", "between", "boolean"),
    *("email", "ends_with", "in", "integer", "ip", "ipv4", "ipv6", "json", "max", "min"),
    *("not_in", "not_regex", "nullable", "numeric", "regex", "required", "size", "sometimes"),
    *("starts_with", "string", "timezone", "url"),
}


@pytest.fixture(scope="module")
def php() -> str:
    return need("php", "php-cli")


class LibreNMS:
    """A LibreNMS that has one transport of ours, with these settings of its form."""

    def __init__(self, php: str, site: Site, **settings: Optional[str]) -> None:
        self.php = php
        self.site = site
        self.command = site.folder / "brtel-notify"
        words = f"PYTHONPATH='{CHECKOUT}' exec '{sys.executable}' -m brtel_notify"
        script(self.command, f'{words} "$@"')
        self.settings: Dict[str, Optional[str]] = {
            "brtel-command": str(self.command),
            "brtel-config": str(site.config_file),
            "brtel-state-dir": str(site.state_dir),
            "brtel-account": None,
            "brtel-priority": None,
            "brtel-tags": None,
        }
        self.settings.update(
            (f"brtel-{name.replace('_', '-')}", value) for name, value in settings.items()
        )

    def deliver(
        self, data: Dict[str, Any], add: Sequence[str] = (), **more: object
    ) -> Dict[str, Any]:
        """What came of one alert: ``delivered``, or code, response… of the exception."""
        answer = run_php(self.php, {"config": self.settings, "data": data, "add": add, **more})
        assert not answer.pop("zombies"), "a process was left behind"
        return answer

    def succeed(self, data: Dict[str, Any], add: Sequence[str] = ()) -> None:
        """Deliver one alert, well."""
        assert self.deliver(data, add) == {"delivered": True}

    def fail(self, data: Dict[str, Any], **more: object) -> Dict[str, Any]:
        """Deliver one alert that fails, and what LibreNMS shows of it. MORE is of the order."""
        answer = self.deliver(data, (), **more)
        assert "delivered" not in answer
        response = answer["response"]
        assert response
        assert "\n" not in response
        code = answer["code"]
        assert (
            answer["message"]
            == f"Transport delivery failed with {code} for BlueRockTEL: {response}"
        )
        return answer


@pytest.fixture
def librenms(php: str, site: Site) -> LibreNMS:
    site.configure(SEVERITIES)
    return LibreNMS(php, site)


def run_php(
    php: str,
    order: Dict[str, Any],
    transport: Path = TRANSPORT,
    harness: Path = HARNESS,
    before: Sequence[str] = (),
) -> Dict[str, Any]:
    """Carry out an order of deliver.php; nothing but its answer may be printed.

    HARNESS is the folder of deliver.php; BEFORE are words that stand before the whole command line.
    """
    words = [php, "-d", "display_errors=stderr", str(harness / "deliver.php"), str(transport)]
    words = [*before, *words]
    done = subprocess.run(
        words, input=json.dumps(order).encode(), capture_output=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stdout + done.stderr
    answer: Dict[str, Any] = json.loads(done.stdout)
    return answer


def script(path: Path, *lines: str) -> Path:
    """An executable shell script."""
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def alert(capture: str = "problem", **changes: Any) -> Dict[str, Any]:
    """The alert data of a capture, with some fields changed."""
    data: Dict[str, Any] = load_capture(f"librenms-{capture}")["stdin"]
    return {**data, **changes}


def notes(ticket: Dict[str, Any]) -> str:
    """All replies of a ticket, as one text."""
    return "\n".join(as_text(reply["body"]) for reply in ticket["replies"])


def tags(ticket: Dict[str, Any]) -> List[str]:
    """The tags of a ticket."""
    found: List[str] = json.loads(ticket["tags"])
    return found


# --- what LibreNMS looks at ----------------------------------------------------------------------


def test_the_file_is_named_as_librenms_looks_for_it() -> None:
    transports = [path.name for path in SHIPPED.glob("*.php")]
    assert transports == ["Bluerocktel.php"]
    stem = TRANSPORT.stem
    assert (
        stem == stem.lower().capitalize()
    )  # the class is ucfirst() of the type, a lower-case word
    assert f"class {stem} extends Transport" in TRANSPORT.read_text()
    assert "namespace LibreNMS\\Alert\\Transport;" in TRANSPORT.read_text()


def test_the_form(php: str) -> None:
    shown = run_php(php, {"show": True})
    assert shown["name"] == "BlueRockTEL"
    template = shown["template"]
    assert set(template) == {"config", "validation"}
    names = [field["name"] for field in template["config"]]
    assert names == [
        *("brtel-command", "brtel-config", "brtel-state-dir"),
        *("brtel-account", "brtel-priority", "brtel-tags"),
    ]
    assert sorted(template["validation"]) == sorted(names)
    for field in template["config"]:
        assert {"title", "name", "descr", "type"} <= set(field)
        assert field["type"] in FIELD_TYPES
        assert not set('<>"&') & set("".join(field.values()))  # it is put into HTML as it is
    for rules in template["validation"].values():
        words = [rule.partition(":")[0] for rule in rules.split("|")]
        assert set(words) <= LARAVEL_RULES
        assert "nullable" in words  # Laravel makes null of an empty field


def test_the_page_of_transports_shows_what_is_filled_in(php: str) -> None:
    """As LibreNMS writes it into its page: escaped since September 2024, as it is before that."""
    config = {"brtel-account": "CL<b>&'\"", "brtel-tags": None, "something-else": "x"}
    shown = run_php(php, {"show": True, "config": config})
    assert shown["details"] == "Customer account: CL\u2039b\u203a&'\"\n"
    assert "CL\u2039b\u203a&" in html.unescape(shown["page"])
    assert "&amp;amp;" not in shown["page"]
    assert not set("<>") & set(shown["details"])  # no tag, where nobody escapes it
    assert run_php(php, {"show": True, "config": {}})["details"] == ""
    assert run_php(php, {"show": True})["details"] == ""


@pytest.mark.parametrize("file", [TRANSPORT, *sorted(HARNESS.glob("*.php"))], ids=lambda p: p.name)
def test_php_finds_no_fault(php: str, file: Path) -> None:
    words = [php, "-d", "display_errors=stderr", "-l", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_psr_12() -> None:
    phpcs = need("phpcs", "php-codesniffer")
    words = [phpcs, "--standard=PSR12", "-s", str(TRANSPORT)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# --- every state ---------------------------------------------------------------------------------


def test_the_life_of_an_alert(librenms: LibreNMS) -> None:
    site = librenms.site
    librenms.succeed(alert("problem", severity="warning"))
    ticket = site.the_ticket()
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (ACME, LOW)  # by the device's notes
    assert ticket["open"]
    assert "acme.3cx.fr" in ticket["subject"]
    assert "Device down" in ticket["subject"]

    librenms.succeed(alert("worse"))
    assert site.the_ticket()["priority_id"] == URGENT

    librenms.succeed(alert("worse", state=4, severity="warning", id=907, uid=907))
    assert site.the_ticket()["priority_id"] == LOW

    before = len(site.the_ticket()["replies"])
    librenms.succeed(alert("worse", state=5, severity="warning", id=908, uid=908))
    assert len(site.the_ticket()["replies"]) > before

    librenms.succeed(alert("acknowledged", id=909, uid=909))
    ticket = site.the_ticket()
    assert "on it, calling the carrier" in notes(ticket)
    assert ticket["open"]

    librenms.succeed(alert("recovery", id=909, uid=910))
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert site.queued() == site.queued("dead") == []


@pytest.mark.parametrize("state", [1, 3, 4, 5, "1", "3"])
def test_a_problem_that_was_never_seen_opens_a_ticket(librenms: LibreNMS, state: Any) -> None:
    librenms.succeed(alert(state=state))
    assert librenms.site.the_ticket()["priority_id"] == URGENT


@pytest.mark.parametrize("state", [0, 2])
def test_a_recovery_or_acknowledgement_of_nothing_opens_none(
    librenms: LibreNMS, state: int
) -> None:
    librenms.succeed(alert(state=state))
    assert librenms.site.tickets == []


def test_two_rules_of_a_device_are_two_tickets_and_a_repetition_is_none(librenms: LibreNMS) -> None:
    librenms.succeed(alert())
    librenms.succeed(alert(name="Disk full", rule_id=6, alert_id=32, id=910, uid=910))
    librenms.succeed(alert(id=911, uid=911))
    assert len(librenms.site.tickets) == 2


# --- the settings of a transport -------------------------------------------------------------


def test_two_transports_for_two_groups_of_customers(php: str, site: Site) -> None:
    site.configure(SEVERITIES)
    bare: Dict[str, Any] = {"notes": None}
    gold = LibreNMS(php, site, account="CL000015", priority="Urgent", tags="gold, on-call")
    rest = LibreNMS(php, site, account=" CL2385 ", priority="1", tags="bronze")
    plain = LibreNMS(php, site)
    gold.succeed(alert(hostname="gold.example.net", severity="warning", **bare))
    rest.succeed(alert(hostname="rest.example.net", **bare))
    plain.succeed(alert(hostname="plain.example.net", **bare))

    (ticket,) = site.tickets_of(MOREL)
    assert ticket["priority_id"] == URGENT
    assert {"gold", "on-call"} <= set(tags(ticket))
    (ticket,) = site.tickets_of(ACME)
    assert ticket["priority_id"] == LOW
    assert "bronze" in tags(ticket)
    assert "gold" not in tags(ticket)
    (ticket,) = site.tickets_of(UNASSIGNED)
    assert ticket["priority_id"] == URGENT
    assert not {"gold", "bronze"} & set(tags(ticket))


def test_the_notes_of_a_device_win_over_its_transport(php: str, site: Site) -> None:
    librenms = LibreNMS(php, site, account="CL000015", priority="Urgent", tags="gold")
    said = "SNMP v3\nCUSTOMER_ACCOUNT: CL2385\nTICKET_PRIORITY: Low\nTICKET_TAGS: fragile\n"
    librenms.succeed(alert(notes=said))
    ticket = site.the_ticket()
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (ACME, LOW)
    assert "fragile" in tags(ticket)
    assert "gold" not in tags(ticket)


def test_settings_are_never_words_of_a_shell_or_options(php: str, site: Site) -> None:
    mark = site.folder / "mark"
    nasty = f"--help $(touch '{mark}') `touch {mark}`; touch {mark} \"é"
    librenms = LibreNMS(php, site, account=nasty, priority=nasty, tags=nasty)
    librenms.succeed(alert(notes=None))
    assert len(site.tickets) == 1
    assert not mark.exists()


def test_a_transport_saved_before_it_had_these_fields(php: str, site: Site) -> None:
    librenms = LibreNMS(php, site)
    for name in ("brtel-account", "brtel-priority", "brtel-tags"):
        del librenms.settings[name]
    librenms.succeed(alert())
    assert len(site.tickets) == 1


# --- the button ----------------------------------------------------------------------------------


def test_the_button_proves_the_way_and_opens_no_ticket(librenms: LibreNMS) -> None:
    librenms.succeed(alert("test-button"))
    old = {name: value for name, value in alert("test-button").items() if name[-3:] != "_id"}
    librenms.succeed({**old, "state": "1", "faults": False})  # as LibreNMS asked in 2023
    assert "GET /v1/ticketing/priorities" in librenms.site.calls()
    assert librenms.site.tickets == []
    assert librenms.site.queued() == []


def test_the_button_names_a_bad_token(librenms: LibreNMS) -> None:
    librenms.site.token_file.write_text("wrong")
    answer = librenms.fail(alert("test-button"))
    assert answer["code"] == 78
    assert "401" in answer["response"] or "token" in answer["response"]
    assert "wrong" not in answer["response"]


def test_the_button_names_a_bad_name(librenms: LibreNMS) -> None:
    librenms.site.configure("severities: {critical: {priority: Urgnt}}\n")
    answer = librenms.fail(alert("test-button"))
    assert answer["code"] == 78
    assert "Urgnt" in answer["response"]


@pytest.mark.parametrize("name", ["account", "priority"])
def test_the_button_names_a_bad_setting_of_its_transport(php: str, site: Site, name: str) -> None:
    answer = LibreNMS(php, site, **{name: "NOSUCH"}).fail(alert("test-button", notes=None))
    assert answer["code"] == 78
    assert "NOSUCH" in answer["response"]


def test_the_button_names_a_missing_configuration(librenms: LibreNMS) -> None:
    librenms.site.config_file.unlink()
    answer = librenms.fail(alert("test-button"))
    assert answer["code"] == 78
    assert "config.yml" in answer["response"]


def test_the_button_says_that_bluerocktel_is_down(librenms: LibreNMS) -> None:
    librenms.site.sandbox.faults(fail={"status": 503})
    answer = librenms.fail(alert("test-button"))
    assert answer["code"] == 75
    assert "503" in answer["response"]
    assert librenms.site.queued() == []


# --- what an alert may hold ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "add", ["objects", "bad utf-8", "numbers", "recursion", "resources", "huge"]
)
def test_whatever_the_alert_holds_it_is_delivered(librenms: LibreNMS, add: str) -> None:
    site = librenms.site
    librenms.succeed(alert(), add=[add])
    ticket = site.the_ticket()
    assert ticket["ticketable_id"] == ACME
    assert "SECRET-OBJECT" not in json.dumps(ticket)
    if add == "bad utf-8":
        assert "caf\ufffd é" in json.dumps(ticket, ensure_ascii=False)
    librenms.succeed(alert("recovery"))
    assert not site.the_ticket()["open"]


def test_a_command_gets_what_librenms_has(librenms: LibreNMS) -> None:
    got = librenms.site.folder / "got.json"
    script(librenms.command, f"cat >'{got}'", f'printf "%s\\n" "$@" >>\'{got}.argv\'')
    librenms.settings["brtel-account"] = "CL1"
    librenms.succeed(alert(), add=["objects"])
    data = json.loads(got.read_text())
    assert data == {
        **alert(),
        "faults": {"1": {"string": alert()["faults"]["1"]["string"]}},
        "applications_metrics": {"linux": [[]]},
        "vars": {"CUSTOMER_ACCOUNT": "CL1"},
    }
    argv = Path(f"{got}.argv").read_text().split()
    config, state = librenms.settings["brtel-config"], librenms.settings["brtel-state-dir"]
    assert argv == ["--config", config, "--state-dir", state, "librenms"]


def test_no_secret_leaves_librenms(librenms: LibreNMS) -> None:
    """Not even through the pipe to the command."""
    secrets = Secrets()
    data = librenms_data(secrets, alert(PASSERELLE="203.0.113.1"))
    got = librenms.site.folder / "got.json"
    script(librenms.command, f"cat >'{got}'", f"ps -ef >'{got}.ps'")
    librenms.succeed(data)
    assert secrets.found_in(got.read_bytes() + Path(f"{got}.ps").read_bytes()) == set()
    passed = json.loads(got.read_text())
    assert passed == {
        **alert(PASSERELLE="203.0.113.1"),
        "faults": {number: {"string": row["string"]} for number, row in data["faults"].items()},
        "diff": {"added": [{"string": "ifDescr = eth7; "}], "resolved": [[]]},
        "applications_metrics": {"nginx": [{"hits": 3}]},
        "alert_notes": data["alert_notes"],
        "vars": {},
    }


def test_rows_that_are_none_are_left_out(librenms: LibreNMS) -> None:
    got = librenms.site.folder / "got.json"
    script(librenms.command, f"cat >'{got}'")
    librenms.succeed(alert(faults="a text", diff=False))
    assert {"faults", "diff"}.isdisjoint(json.loads(got.read_text()))


def test_both_know_a_secret_by_the_same_names(librenms: LibreNMS) -> None:
    got = librenms.site.folder / "got.json"
    script(librenms.command, f"cat >'{got}'")
    names = [
        *("community", "AuthName", "db_passwd", "PASS", "a_pass ", "Arg12", "xCheckCommand"),
        *("PASSERELLE", "pass1", "checkcommands", "arg", "ARGS1", "author", "my-Token", "crypto2"),
    ]
    fields = dict.fromkeys(names, 1)
    librenms.succeed({**alert(list=fields), **fields})
    passed = json.loads(got.read_text())
    assert list(passed["list"]) == [name for name in names if not is_secret(name)]
    assert set(names).intersection(passed) == set(passed["list"])


# --- commands that fail, and worse ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["absent", "not executable", "a folder", "no interpreter"])
def test_a_command_that_cannot_be_run(librenms: LibreNMS, kind: str) -> None:
    command = librenms.command
    if kind == "absent":
        command.unlink()
    elif kind == "not executable":
        command = librenms.site.folder / "data.txt"
        command.write_text("not a program")
    elif kind == "a folder":
        command = librenms.site.folder
    else:
        script(command).write_text("#!/no/such/interpreter\n")
    librenms.settings["brtel-command"] = str(command)
    answer = librenms.fail(alert())
    assert answer["code"] == 127
    assert answer["response"].startswith(f"{command} cannot be run")


def test_a_wrong_configuration_is_an_error_and_the_alert_waits(librenms: LibreNMS) -> None:
    site = librenms.site
    site.configure("tickets: {}\n")
    answer = librenms.fail(alert())
    assert answer["code"] == 78
    assert "tickets" in answer["response"]
    assert answer["template"] == alert()["msg"]
    site.configure(SEVERITIES)
    site.run("flush", "--force-now")
    assert site.the_ticket()["ticketable_id"] == ACME


def test_an_outage_is_no_error_for_the_alert_is_safe(librenms: LibreNMS) -> None:
    site = librenms.site
    site.sandbox.faults(fail={"status": 503})
    librenms.succeed(alert())
    assert len(site.queued()) == 1
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    assert site.the_ticket()["open"]


def test_a_state_folder_that_cannot_be_written_is_an_error(librenms: LibreNMS) -> None:
    librenms.site.state_dir.write_text("a file")
    answer = librenms.fail(alert())
    assert answer["code"] == 75
    assert "could not be stored" in answer["response"]


def test_alerts_that_make_no_sense_are_an_error(librenms: LibreNMS) -> None:
    assert librenms.fail(alert(state=9))["code"] == 65
    assert librenms.fail(alert(hostname=None, sysName=None, display=None))["code"] == 65
    assert len(librenms.site.queued("dead")) == 2


def test_the_error_shown_is_that_of_the_alert_at_hand(librenms: LibreNMS) -> None:
    """Even where the same run has since delivered others, and logged that."""
    site = librenms.site
    nobody = CONFIG.replace("fallback: CL000001", "fallback: null")
    site.configure("tickets: {}\n", base=nobody)
    librenms.fail(alert())
    librenms.fail(alert(name="Disk full"))
    site.configure(base=nobody)
    answer = librenms.fail(alert(hostname="unknown.example.net", notes=None))
    assert answer["code"] == 65
    assert "unknown.example.net" in answer["response"]
    assert len(site.tickets) == 2


@pytest.mark.parametrize(
    ("lines", "code", "response"),
    [
        (["exit 3"], 3, "exit code 3"),
        (["echo one >&2", "echo ' brtel-notify: two' >&2", "echo >&2", "exit 70"], 70, "two"),
        (["printf 'no end of line' >&2", "exit 1"], 1, "no end of line"),
        (["printf 'a\\033[31mb\\tc\\r\\n' >&2", "exit 1"], 1, "a [31mb c"),
        (["printf 'caf\\351\\n' >&2", "exit 1"], 1, "caf?"),
        (["kill -9 $$"], 128 + 9, "was ended by signal 9"),
        (["exec <&-", "exit 5"], 5, "exit code 5"),
        (["yes line | head -n 50000 >&2", "echo last >&2", "exit 6"], 6, "last"),
        (["head -c 300000 /dev/zero | tr '\\0' x >&2", "exit 7"], 7, "x" * 500),
        (["sleep 0.3", "echo late >&2", "sleep 0.3", "exit 8"], 8, "late"),
        (["exec >&- 2>&-", "sleep 0.3", "exit 9"], 9, "exit code 9"),
        # A child keeps the pipe open, until the test has removed that file.
        (["while [ -e $0.pid ]; do sleep 0.1; done &", "echo parent >&2", "exit 10"], 10, "parent"),
    ],
)
def test_a_command_that_fails(
    librenms: LibreNMS, lines: List[str], code: int, response: str
) -> None:
    script(librenms.command, "echo $$ >>$0.pid", *lines)
    try:
        answer = librenms.fail(alert(), time_limit=60)
    finally:
        Path(f"{librenms.command}.pid").unlink()
    assert (answer["code"], answer["response"].endswith(response)) == (code, True), answer


@pytest.mark.parametrize(
    "lines",
    [
        ["exec sleep 600"],  # it reads nothing: the input is more than a pipe takes
        ["cat >/dev/null", "exec sleep 600"],
        ["exec >&- 2>&- <&-", "exec sleep 600"],
        ["exec yes 'it never falls silent' >&2"],
        ["trap '' TERM HUP INT PIPE", "while :; do sleep 1; done"],
    ],
)
def test_a_command_that_hangs_is_stopped(librenms: LibreNMS, lines: List[str]) -> None:
    pid_file = librenms.site.folder / "pid"
    new = f"{pid_file}.new"
    script(librenms.command, f"echo $$ >'{new}'", f"mv '{new}' '{pid_file}'", *lines)
    answer = librenms.fail(alert(sysDescr="x" * 190_000), time_limit=1, begun=str(pid_file))
    assert answer["code"] == 124
    assert answer["response"].endswith("took longer than 1 s and was stopped")
    pid = int(pid_file.read_text())
    with pytest.raises(ProcessLookupError):  # not even as a zombie
        os.kill(pid, 0)


def test_a_command_that_hangs_after_storing_loses_nothing(librenms: LibreNMS) -> None:
    site = librenms.site
    site.sandbox.faults(hang={"seconds": 30})
    stored = str(site.state_dir / "queue" / "*.jsonl")
    assert librenms.fail(alert(), time_limit=5, begun=stored)["code"] == 124
    assert len(site.queued()) == 1
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    assert len(site.tickets) == 1


# --- docs/librenms.md ----------------------------------------------------------------------------

PAGE = (CHECKOUT / "docs" / "librenms.md").read_text()
#: What a scratch folder has not got, or what would change this machine.
NOT_HERE = ("pip install", "lnms")


def blocks(language: str) -> List[str]:
    """The code blocks of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_followed_word_for_word(site: Site) -> None:
    """Its shell blocks, one after another, on a root folder of our own."""
    root = site.folder / "root"
    for folder in ("etc/cron.d", "etc/systemd/system", "opt/librenms/LibreNMS/Alert/Transport"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib").mkdir(parents=True)
    exclude = root / "opt/librenms/.git/info/exclude"
    exclude.parent.mkdir(parents=True)
    exclude.write_text("*.bak\n")
    (configuration,) = blocks("yaml")
    url = configuration.replace("https://acme.bluerocktel.net/api", site.sandbox.url)
    words = [sys.executable, "-m", "brtel_notify"]
    put_command(root / "brtel-notify", words, root, "librenms")
    env = {
        **os.environ,
        "PATH": f"{root}:{os.environ['PATH']}",
        "BRTEL_NOTIFY_CONFIG": f"{root}/etc/brtel-notify/config.yml",
        "BRTEL_NOTIFY_STATE_DIR": f"{root}/var/lib/brtel-notify",
    }
    said = []
    for block in blocks("sh"):
        if any(word in block for word in NOT_HERE):
            subprocess.run(["sh", "-nc", block], check=True)
            continue
        if "brtel-notify test" in block:
            (root / "etc/brtel-notify/config.yml").write_text(elsewhere(url, root))
            (root / "etc/brtel-notify/token").write_text(site.sandbox.token)
        done = subprocess.run(
            ["sh", "-euc", elsewhere(block, root)],
            cwd=CHECKOUT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)

    assert any("names: " in text and "are known" in text for text in said)  # brtel-notify test
    assert "acme.3cx.fr" in said[-1]  # what the last block's alert would become
    assert site.tickets == []
    installed = root / "opt/librenms/LibreNMS/Alert/Transport/Bluerocktel.php"
    assert installed.read_bytes() == TRANSPORT.read_bytes()
    assert exclude.read_text() == "*.bak\n/LibreNMS/Alert/Transport/Bluerocktel.php\n"
    assert "User=librenms" in (root / "etc/systemd/system/brtel-notify-worker.service").read_text()
    (entry,) = (root / "etc/cron.d/brtel-notify").read_text().splitlines()
    assert entry.split()[:6] == ["*", "*", "*", "*", "*", "librenms"]
    assert oct((root / "var/lib/brtel-notify").stat().st_mode) == "0o40700"


def elsewhere(text: str, root: Path) -> str:
    """TEXT with ROOT for the root folder, and no users that this machine has not got."""
    text = re.sub(r"(?<![\w/])/(etc/|var/lib/|opt/librenms/)", rf"{root}/\1", text)
    text = re.sub(r"-o \w+ -g \w+ ", "", text)
    return text.replace("runuser -u librenms -- ", "").replace("systemctl", ": systemctl")


def test_the_page_knows_every_field_of_the_form_and_every_state(php: str) -> None:
    for field in run_php(php, {"show": True})["template"]["config"]:
        assert f"| {field['title']} |" in PAGE
    for state in STATES:
        assert re.search(rf"\b{state} [a-z]", PAGE)


def test_the_pages_image_is_made_of_what_there_is() -> None:
    """There is no Docker here: the names in its file, and the shell's own look at the command."""
    (file,) = blocks("dockerfile")
    lines = file.replace("\\\n", " ").splitlines()
    assert [line.split()[0] for line in lines] == ["FROM", "COPY", "RUN", "ENV"]
    subprocess.run(["sh", "-nc", lines[2].removeprefix("RUN ")], check=True)
    copied = re.search(r"COPY \. (\S+)", file)
    assert copied is not None
    (transport,) = re.findall(rf"{copied[1]}/(\S+\.php) (\S+)", file)
    assert (CHECKOUT / transport[0]) == TRANSPORT
    assert transport[1] == "/opt/librenms/LibreNMS/Alert/Transport/"
    folder = PAGE.partition("in the transport's form, fill in")[2]
    for name, path in re.findall(r"(BRTEL_NOTIFY_\w+)=(\S+)", lines[3]):
        assert name in ("BRTEL_NOTIFY_CONFIG", "BRTEL_NOTIFY_STATE_DIR")
        assert f"`{path}`" in folder


# --- PHPStan, where it is at hand ----------------------------------------------------------------


def test_phpstan_finds_no_fault() -> None:
    """It is in no package of Debian's: this runs where somebody has put it on the path."""
    phpstan = shutil.which("phpstan")
    if phpstan is None:
        pytest.skip("phpstan is not installed")
    words = [phpstan, "analyse", "--no-progress", "-c", str(HARNESS / "phpstan.neon")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
