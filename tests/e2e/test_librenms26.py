"""The transport as LibreNMS 26 drives it: form, validation, store, page, button, and its alerts.

LibreNMS itself is in no package; librenms/librenms26.php plays what it does around a transport, in
the order in which it does it, each request in a process of its own. The validation is Laravel's.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from planted import Secrets, database_row
from servers import CHECKOUT, missing, need
from support import Site
from test_librenms import ACME, HARNESS, MOREL, SEVERITIES, TRANSPORT, URGENT, notes, script

FIELDS = ("command", "config", "state-dir", "account", "priority", "tags")


@pytest.fixture(scope="module")
def php() -> str:
    return need("php", "php-cli")


@pytest.fixture(scope="module")
def laravel(php: str) -> None:
    """Laravel's validation; LibreNMS 26 has it, Debian as a package."""
    look = "echo stream_resolve_include_path('Illuminate/Validation/autoload.php');"
    if not subprocess.run([php, "-r", look], capture_output=True, check=True).stdout:
        missing("Laravel's validation is not installed (Debian package php-illuminate-validation)")


class LibreNMS26:
    """A LibreNMS with our class among its transports, and none added yet."""

    def __init__(self, php: str, site: Site) -> None:
        self.php = php
        self.site = site
        self.transports = site.folder / "LibreNMS/Alert/Transport"
        self.transports.mkdir(parents=True)
        shutil.copy(TRANSPORT, self.transports)
        self.store = site.folder / "alert_transports.json"
        self.log: List[str] = []
        self.command = script(
            site.folder / "brtel-notify",
            f"PYTHONPATH='{CHECKOUT}' exec '{sys.executable}' -m brtel_notify \"$@\"",
        )

    def does(self, what: str, **order: Any) -> Any:
        """One request to LibreNMS, or one run of its alerts; what it answers."""
        words = [self.php, "-d", "display_errors=stderr", str(HARNESS / "librenms26.php")]
        done = subprocess.run(
            [*words, str(self.transports), str(self.store)],
            input=json.dumps({"do": what, **order}).encode(),
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, b""), done.stdout + done.stderr
        said = json.loads(done.stdout)
        self.log = said["log"]
        assert not [line for line in self.log if line.startswith("deprecated")]
        return said["answer"]

    def form(self, **filled: str) -> Dict[str, Any]:
        """What a browser sends of the form: every field, those left alone as empty texts."""
        usual = {"command": self.command, "config": self.site.config_file}
        usual["state_dir"] = self.site.state_dir
        given = {**{name: str(path) for name, path in usual.items()}, **filled}
        return {f"brtel-{name}": given.get(name.replace("-", "_"), "") for name in FIELDS}

    def add(self, number: str = "1", called: str = "BlueRockTEL", **filled: Any) -> Dict[str, Any]:
        """Save a transport; what the form answers."""
        return self.save(self.form(**filled), number, called)

    def save(
        self, fields: Dict[str, Any], number: str = "1", called: str = "BlueRockTEL"
    ) -> Dict[str, Any]:
        """Save what a browser, or somebody with none, sends as the form's FIELDS."""
        answer: Dict[str, Any] = self.does(
            "save", id=number, name=called, type="bluerocktel", fields=fields
        )
        return answer

    def stored(self, number: str = "1") -> Dict[str, Any]:
        """The configuration of a transport, as the table has it."""
        rows = json.loads(self.store.read_text())
        config: Dict[str, Any] = json.loads(rows[number]["transport_config"])
        return config

    def run(self, *alerts: Dict[str, Any], ids: Tuple[str, ...] = ("1",)) -> List[str]:
        """One run of the alerts; the event log."""
        self.does("run", alerts=alerts, ids=ids)
        return self.log

    def press(self, number: str = "1", **device: Any) -> Dict[str, str]:
        """The button Test transport."""
        answer: Dict[str, str] = self.does("test", id=number, device={**DEVICE, **device})
        return answer


@pytest.fixture
def librenms(php: str, laravel: None, site: Site) -> LibreNMS26:
    site.configure(SEVERITIES)
    return LibreNMS26(php, site)


#: What every alert says of its device.
DEVICE: Dict[str, Any] = {
    "hostname": "acme.3cx.fr",
    "sysName": "acme.3cx.fr",
    "display": "acme.3cx.fr",
    "sysDescr": "Linux pbx 6.1.0 x86_64",
    "sysContact": "noc@example.net",
    "os": "linux",
    "type": "server",
    "ip": "203.0.113.10",
    "device_groups": {"3": "PBX", "8": "Lyon"},
    "hardware": "Generic x86 64-bit",
    "version": "12",
    "serial": None,
    "features": None,
    "location": "Lyon, FR",
    "uptime": 86400,
    "uptime_short": "1d",
    "uptime_long": "1 day",
    "description": "PBX of Acme",
    "notes": "CUSTOMER_ACCOUNT: CL2385",
    "status": False,
    "status_reason": "icmp",
    "device_id": 17,
}
ACK = "Sat, 21 Nov 2026 18:33:10 +0000 - Ack (marie)"
ACK_2 = "Sat, 21 Nov 2026 19:02:44 +0000 - Ack (paul)"


def alert(secrets: Secrets, uid: int, state: int = 1, **changes: Any) -> Dict[str, Any]:
    """Alert data of one rule and device, with all that LibreNMS 26 puts into it."""
    row = database_row(secrets, f"{uid}/{state}", string="sensor_descr = trunk 1; ")
    assert len(row) >= 121
    phase = {0: "recovery", 2: "update"}.get(state, "problem")
    return {
        **DEVICE,
        "alert_notes": None,
        "proc": None,
        "rule_id": 5,
        "id": uid,
        "uid": uid,
        "alert_id": 31,
        "title": "Alert for device acme.3cx.fr - Device down",
        "faults": {"1": row},
        "elapsed": "2m 3s",
        "builder": '{"condition":"AND","rules":[]}',
        "rule": '{"condition":"AND","rules":[]}',
        "severity": "critical",
        "name": "Device down",
        "timestamp": "2026-11-21 18:31:07",
        "contacts": {"noc@example.net": "NOC"},
        "state": state,
        "alerted": 0,
        "operation_phase": phase,
        "escalation_step": 1,
        "ping_timestamp": 1795285867,
        "ping_loss": 100.0,
        "ping_avg": None,
        "debug": "unsupported",
        "applications_metrics": {"proxmox": [{"x": {"value": 1, "value_prev": None}}]},
        "string": "#1: sensor_descr => trunk 1;",
        "msg": "<div>Device <b>acme.3cx.fr</b> is down</div>",
        **changes,
    }


# --- the class, its form, the table ---------------------------------------------------------------


def test_librenms_lists_it_by_its_name(php: str, site: Site) -> None:
    assert LibreNMS26(php, site).does("list") == {"bluerocktel": "BlueRockTEL"}


def test_each_field_can_be_drawn_and_has_a_rule(php: str, site: Site) -> None:
    template = LibreNMS26(php, site).does("form", type="bluerocktel")
    names = [field["name"] for field in template["config"]]
    assert names == [f"brtel-{name}" for name in FIELDS]
    assert list(template["validation"]) == names
    for field in template["config"]:
        # An HTML id, looked up by jQuery as `#name`, beside the forms of all other transports.
        assert re.fullmatch("brtel-[a-z-]+", field["name"])
        assert field["type"] == "text"  # a password's value would only show as ********
        assert {type(value) for value in field.values()} == {str}


def test_what_is_filled_in_is_stored_and_shown(librenms: LibreNMS26) -> None:
    assert librenms.add(account="CL2385", tags="gold, <on-call> & more") == {"status": "ok"}
    assert librenms.stored() == librenms.form(account="CL2385", tags="gold, <on-call> & more")
    assert librenms.stored()["brtel-priority"] == ""  # not null, not left out
    shown = html.unescape(re.sub("<[^>]*>", "\n", librenms.does("page")))
    assert "\nBlueRockTEL\n" in shown
    assert "Customer account: CL2385\n" in shown
    assert "Ticket tags: gold, \u2039on-call\u203a & more\n" in shown
    assert "Ticket priority" not in shown


def test_a_form_left_empty_is_enough(librenms: LibreNMS26) -> None:
    assert librenms.add(command="", config="", state_dir="")["status"] == "ok"
    assert set(librenms.stored().values()) == {""}
    librenms.does("page")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("command", "brtel-notify"),
        ("command", "./brtel-notify"),
        ("config", "etc/config.yml"),
        ("state-dir", "state"),
        ("command", "/" + "x" * 255),
        ("config", ["/a"]),
        ("account", ["CL1", "CL2"]),
        ("account", "C" * 101),
        ("priority", "x" * 51),
        ("tags", {"a": "b"}),
        ("tags", "t" * 256),
    ],
)
def test_what_the_form_refuses_is_named_and_not_stored(
    librenms: LibreNMS26, name: str, value: object
) -> None:
    librenms.add(account="CL2385")
    before = librenms.store.read_text()
    answer = librenms.save({**librenms.form(), f"brtel-{name}": value})
    assert answer["status"] == "error"
    assert list(answer["refused"]) == [f"brtel-{name}"]
    assert librenms.store.read_text() == before


def test_a_transport_that_an_older_class_saved(librenms: LibreNMS26) -> None:
    """A field that is no more stays in the table, one that was not yet there is empty."""
    librenms.add()
    rows = json.loads(librenms.store.read_text())
    config = librenms.stored()
    del config["brtel-tags"], config["brtel-account"]
    rows["1"]["transport_config"] = json.dumps({**config, "brtel-former": "x"})
    librenms.store.write_text(json.dumps(rows))
    assert "former" not in librenms.does("page")
    assert librenms.press() == {"status": "ok"}
    librenms.add(account="CL2385")
    assert librenms.stored()["brtel-former"] == "x"


# --- the button -----------------------------------------------------------------------------------


def test_the_button_says_ok_and_opens_nothing(librenms: LibreNMS26) -> None:
    librenms.add()
    assert librenms.press() == {"status": "ok"}
    assert "GET /v1/ticketing/priorities" in librenms.site.calls()
    assert librenms.site.tickets == []
    assert librenms.site.queued() == librenms.site.queued("dead") == []


def test_the_button_tests_the_transport_and_no_device(librenms: LibreNMS26) -> None:
    """LibreNMS takes the first device that it has, whosever it is."""
    librenms.add(account="CL2385")
    assert librenms.press(notes="CUSTOMER_ACCOUNT: NOSUCH", hostname="other") == {"status": "ok"}
    librenms.add(account="NOSUCH")
    answer = librenms.press()
    assert answer["status"] == "error"
    assert "NOSUCH" in answer["message"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("token", "78"),
        ("command", "127"),
        ("state", "75"),
        ("down", "503"),
    ],
)
def test_the_button_never_says_ok_to_what_fails(
    librenms: LibreNMS26, fault: str, said: str
) -> None:
    """A mere warning of PHP's would be «ok» to it."""
    site = librenms.site
    librenms.add()
    if fault == "token":
        site.token_file.write_text("wrong")
    elif fault == "command":
        librenms.command.unlink()
    elif fault == "state":
        site.state_dir.write_text("a file")
    else:
        site.sandbox.faults(fail={"status": 503})
    answer = librenms.press()
    assert answer["status"] == "error"
    assert said in answer["message"]
    assert site.tickets == []


# --- alerts ---------------------------------------------------------------------------------------


def test_the_life_of_an_alert(librenms: LibreNMS26) -> None:
    """As 26 sends it, from a segment whose «Steps to» is empty: each step once more, all states."""
    site, secrets = librenms.site, Secrets()
    log: List[str] = []
    librenms.add()
    log += librenms.run(alert(secrets, 904))
    ticket = site.the_ticket()
    assert (ticket["ticketable_id"], ticket["priority_id"], ticket["open"]) == (ACME, URGENT, True)
    assert "trunk 1" in json.dumps(ticket)
    site.calls()
    for step in (2, 3):
        again = alert(Secrets(), 904, escalation_step=step)
        log += librenms.run(again)
    assert site.calls() == []  # a step more of the same alert

    log += librenms.run(alert(secrets, 904, 2, alert_notes=f"{ACK} on it"))
    log += librenms.run(
        alert(secrets, 905, 3, name="Device down", diff={"added": [database_row(secrets, "added")]})
    )
    log += librenms.run(
        alert(secrets, 905, 2, alert_notes=f"{ACK} on it\n{ACK_2} carrier called"),
        alert(secrets, 906, 4),
        alert(secrets, 907, 5),
    )
    ticket = site.the_ticket()
    assert ticket["open"]
    said = notes(ticket)
    assert said.count("on it") == 1
    assert said.count("carrier called") == 1
    assert "Ack (" not in said
    assert all(f"Acknowledged by {who}" in said for who in ("marie", "paul"))

    log += librenms.run(alert(secrets, 909, 0, id=907))
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert site.queued() == site.queued("dead") == []
    assert log == [
        *["Issued alert for rule 'Device down' to transport 'bluerocktel'"] * 3,
        "Issued acknowledgment for rule 'Device down' to transport 'bluerocktel'",
        "Issued worsened for rule 'Device down' to transport 'bluerocktel'",
        "Issued acknowledgment for rule 'Device down' to transport 'bluerocktel'",
        "Issued improved for rule 'Device down' to transport 'bluerocktel'",
        "Issued changed for rule 'Device down' to transport 'bluerocktel'",
        "Issued recovery for rule 'Device down' to transport 'bluerocktel'",
    ]
    everywhere = json.dumps(site.sandbox.tickets(), ensure_ascii=False).encode()
    everywhere += b"".join(f.read_bytes() for f in site.state_dir.rglob("*") if f.is_file())
    assert len(secrets.places) >= 4 * 8
    assert secrets.found_in(everywhere) == set()
    assert b"SECRET-OBJECT" not in everywhere


def test_no_secret_is_handed_over_nor_logged(librenms: LibreNMS26) -> None:
    secrets = Secrets()
    got = librenms.site.folder / "got"
    script(librenms.command, f"cat >>'{got}'", "echo 'it broke' >&2", "exit 70")
    librenms.add()
    rows = {"diff": {"added": [database_row(secrets, "added")]}}
    log = librenms.run(alert(secrets, 904), alert(secrets, 905, 3, **rows))
    passed = got.read_bytes() + "\n".join(log).encode()
    assert b"trunk 1" in passed
    assert "it broke" in log[-1]
    assert secrets.found_in(passed) == set()
    assert b"SECRET-OBJECT" not in passed


def test_one_transport_that_fails_holds_up_no_other(librenms: LibreNMS26) -> None:
    librenms.add("1", "broken", command="/no/such/command")
    librenms.add("2", "Morel", account="CL000015")
    log = librenms.run(alert(Secrets(), 904, notes=None), ids=("1", "2"))
    assert [line.partition(" ")[0] for line in log[1:]] == ["Could", "Issued"]
    assert "Transport delivery failed with 127 for broken: /no/such/command" in log[1]
    assert len(librenms.site.tickets_of(MOREL)) == 1


def test_an_acknowledgement_taken_back_is_still_the_same_alert(librenms: LibreNMS26) -> None:
    librenms.add()
    secrets = Secrets()
    undone = f"{ACK} on it\nSat, 21 Nov 2026 18:40:00 +0000 - UnAck (marie) not me"
    librenms.run(
        alert(secrets, 904),
        alert(secrets, 904, 2, alert_notes=f"{ACK} on it"),
        alert(Secrets(), 904, alert_notes=undone, escalation_step=2),
    )
    ticket = librenms.site.the_ticket()
    assert ticket["open"]
    assert "not me" not in notes(ticket)


# --- PHP 8.1 --------------------------------------------------------------------------------------

_TYPE = r"[\w\\|&?]*"
#: What PHP 8.1 would not have read, by the version that brought it, with a sample of it.
NEWER: Dict[str, Tuple[str, str]] = {
    "8.2 readonly class": (
        r"\breadonly\s+(?:final\s+|abstract\s+)?class\b|\bclass\b.*\breadonly\s+class\b",
        "final readonly class A {}",
    ),
    "8.2 a type that is only null, false or true": (
        r"(?:\)\s*:\s*|[(,]\s*)\??(?:null|false|true)\s*(?:[{;]|\$|=>)",
        "class A { function f(): false { return false; } }",
    ),
    "8.2 true in a type": (
        r"(?:\)\s*:\s*|[(,]\s*)[\w\\|]*\btrue\b[\w\\|]*\s*(?:[{;]|\$)",
        "class A { function f(true|int $a) {} }",
    ),
    "8.2 one of several types together": (
        r"\(\s*[\w\\]+(?:\s*&\s*[\w\\]+)+\s*\)\s*\||\|\s*\(\s*[\w\\]+\s*&\s*[\w\\]+\s*\)",
        "function f((A&B)|null $x) {}",
    ),
    "8.2 a constant of a trait": (r"\btrait\b", "trait A { const B = 1; }"),
    "8.3 a constant with a type": (
        rf"\bconst\s+{_TYPE}\w\s+\w+\s*=",
        "class A { const string B = 'b'; }",
    ),
    "8.3 a constant by a name that is computed": (r"::\s*\{", "echo A::{'B'};"),
    "8.4 a property with hooks": (
        r"\b(?:public|protected|private|var)\s+[^;(){}=]*\$\w+\s*(?:=[^;{}]*)?\{",
        "class A { public string $b { get => 'b'; } }",
    ),
    "8.4 who may set a property": (r"\((?:set)\)", "class A { public private(set) int $b = 1; }"),
    "8.4 a method of something new": (
        r"(?<!\()\bnew\s+[\w\\]+\s*(?:\([^()]*\))?\s*->",
        "echo new A()->b();",
    ),
    "8.5 a pipe": (r"\|>", "echo 'a' |> strlen(...);"),
}
#: Functions that came with 8.2 to 8.4, of the kinds that the class has a use for.
NEWER_FUNCTIONS = (
    *("array_all", "array_any", "array_find", "array_find_key", "array_first", "array_last"),
    *("json_validate", "mb_lcfirst", "mb_ltrim", "mb_rtrim", "mb_str_pad", "mb_trim", "mb_ucfirst"),
    *("ini_parse_quantity", "str_decrement", "str_increment", "stream_context_set_options"),
)


def newer_than_8_1(php: str, code: Path) -> List[str]:
    """What of a file's CODE PHP 8.1 would not have read; comments are none of it."""
    words = [php, "-w", str(code)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    text = re.sub(r"'(?:[^'\\]|\\.)*'", "''", done.stdout)
    found = [what for what, (pattern, _) in NEWER.items() if re.search(pattern, text)]
    return found + [name for name in NEWER_FUNCTIONS if re.search(rf"(?<![>:\w]){name}\(", text)]


def test_php_8_1_can_read_it(php: str) -> None:
    """No Debian has 8.1: what came later is looked for, and 8.1 asked where somebody has put it."""
    assert newer_than_8_1(php, TRANSPORT) == []
    oldest: Optional[str] = shutil.which("php8.1")
    if oldest:
        subprocess.run([oldest, "-l", str(TRANSPORT)], capture_output=True, check=True)


@pytest.mark.parametrize("what", NEWER)
def test_what_8_1_cannot_read_would_be_found(php: str, tmp_path: Path, what: str) -> None:
    code = tmp_path / "newer.php"
    code.write_text(f"<?php\n{NEWER[what][1]}\n")
    assert what in newer_than_8_1(php, code)
