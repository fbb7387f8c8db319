"""What can only be a secret is left out before anything of a notification is written.

Each of the systems passes secrets of its own, in every place that it has for them; the state
folder, logs, tickets and the process list are searched, whatever becomes of the alert.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Set

import pytest
from planted import Secrets, everything, librenms_data
from support import ENVIRONMENT, Site, load_capture

SAID = "CRITICAL: user bob: password: wrong, token expired"
COMMENT = "the password: ask me\nPASSWORD: told by phone"


class Passed(NamedTuple):
    """What a monitoring system passes: words, environment and stdin; and what stays of it."""

    words: Sequence[str]
    secrets: Secrets
    kept: Sequence[str]  # texts of the capture
    env: Mapping[str, str] = {}
    stdin: bytes = b""
    told: Sequence[str] = (SAID,)  # texts of the ticket


# --- what each of them passes ---------------------------------------------------------------------


def nagios() -> Passed:
    secrets = Secrets()
    env = dict(load_capture("nagios4-service-problem")["env"])
    for number in range(1, 33):
        env[f"NAGIOS_ARG{number}"] = secrets.new(f"ARG{number}")
    for name in (
        *("SERVICECHECKCOMMAND", "HOSTCHECKCOMMAND", "_HOSTSNMPCOMMUNITY", "_HOSTSSH_PASSWORD"),
        *("_SERVICEAPI_TOKEN", "_CONTACTCLIENT_SECRET", "_HOSTAUTHNAME", "_HOSTAUTHPASS"),
        *("_HOSTCRYPTOPASS", "_HOSTPASSPHRASE2", "_SERVICEDB_PASSWD", "_HOSTsnmp_community_ro"),
    ):
        env[f"NAGIOS_{name}"] = secrets.new(name, 'check_snmp!-C!{}!"é')
    env |= {
        "NAGIOS__HOSTPASSERELLE": "gateway-203",
        "NAGIOS__HOSTCUSTOMER_ACCOUNT": "CL2385",
        "NAGIOS_SERVICEOUTPUT": SAID,
        "NAGIOS_LONGSERVICEOUTPUT": "community: second line\\nsecret: third line",
        "NAGIOS_NOTIFICATIONCOMMENT": COMMENT,
        "NAGIOS_NOTIFICATIONAUTHORNAME": "ann-author",
    }
    flags = [
        *("--var", f"_HOSTROOT_PASSWORD={secrets.new('--var')}"),
        f"--var=_SERVICE_TOKEN={secrets.new('--var=')}",
        *("--var", "SITE=kept-by-flag"),
    ]
    kept = ["gateway-203", "CL2385", SAID, "second line", "third line", COMMENT, "ann-author"]
    return Passed(["nagios", *flags], secrets, [*kept, "kept-by-flag"], env)


def icinga() -> Passed:
    secrets = Secrets()
    env = dict(load_capture("icinga2-service-problem")["env"])
    for name in ("_HOSTSNMP_COMMUNITY", "_SERVICEAPI_TOKEN", "HOSTCHECKCOMMAND", "_HOSTWEBPASS"):
        env[f"ICINGA_{name}"] = secrets.new(name)
    env |= {
        "ICINGA__HOSTCUSTOMER_ACCOUNT": "CL2385",
        "ICINGA__HOSTPASSERELLE": "gateway-203",
        "ICINGA_SERVICEOUTPUT": SAID,
        "ICINGA_NOTIFICATIONCOMMENT": COMMENT,
    }
    flags = ["--var", f"ICINGA__HOSTCRYPTOPASS={secrets.new('--var')}"]
    return Passed(["icinga", *flags], secrets, ["CL2385", "gateway-203", SAID, COMMENT], env)


def zabbix(shipped: bool = True) -> Passed:
    secrets = Secrets()
    tags = [
        {"tag": "customer_account", "value": "CL2385"},
        {"tag": "Snmp_Community", "value": secrets.new("TAGSJSON", 'x"{}')},
        {"tag": "scope", "value": "scope-of-tag"},
        {"tag": "ssh.pass", "value": secrets.new("TAGSJSON, the last")},
    ]
    lines = [
        *("EVENT.SOURCE: 0", "EVENT.ID: 27", "EVENT.VALUE: 1", "EVENT.UPDATE.STATUS: 0"),
        *("TRIGGER.ID: 23133", "HOST.HOST: acme.3cx.fr", "EVENT.SEVERITY: High"),
        f"SNMP_COMMUNITY: {secrets.new('a line')}",
        "PASSERELLE: gateway-203",
        f"SSH_SECRET: -----BEGIN\n{secrets.new('further lines')}\n\nx: y {secrets.new('…more')}",
        f"EVENT.TAGSJSON: {json.dumps(tags)}",
        f"EVENT.TAGS: a:a-tag, token:{secrets.new('TAGS')}, {secrets.new('…comma')}, b:b-tag",
        f"EVENT.TAGS.PASSWORD: {secrets.new('a tag by name')}",
        f"web-password: {secrets.new('a line in small letters')}",
        *("HOST.NAME: Acme", "USER.FULLNAME: Ann (ann)"),
    ]
    texts = [f"EVENT.UPDATE.MESSAGE: {COMMENT}", f"EVENT.NAME: {SAID}", "EVENT.OPDATA: pass: none"]
    message = ["BRTEL.NOTIFY: 1", *lines, *texts] if shipped else [*lines, *reversed(texts)]
    words = [
        *("zabbix", "--var", f"DB_PASS={secrets.new('--var')}"),
        *("CL2385", "Problem: password: wrong", "\n".join(message)),
    ]
    kept = [
        "gateway-203",
        "scope-of-tag",
        "a:a-tag, b:b-tag",
        COMMENT,
        SAID,
        "pass: none",
        words[-2],
    ]
    return Passed(words, secrets, [*kept, words[-2]])


def librenms(encoding: str = "utf-8") -> Passed:
    secrets = Secrets()
    notes = [
        *("CUSTOMER_ACCOUNT: CL2385", f"SNMP_COMMUNITY: {secrets.new('notes')}"),
        *(f"ssh-password : {secrets.new('notes, the second')}", "PASSERELLE: gateway-203"),
        "ring first, the token is with Ann",
    ]
    plain = {
        **load_capture("librenms-problem")["stdin"],
        "msg": SAID,
        "notes": "\r\n".join(notes),
        "vars": {"TICKET_TAGS": "gold-tag", "PBX_PASSWORD": secrets.new("vars")},
    }
    data = librenms_data(secrets, plain)
    kept = [
        *("CL2385", "gateway-203", "ring first, the token is with Ann", SAID, "gold-tag"),
        *("sensor_descr = fan 1; ", "sensor_descr = fan 2; ", "ifDescr = eth7; "),
        data["alert_notes"],
    ]
    return Passed(
        ["librenms", "--var", f"X_TOKEN={secrets.new('--var')}"],
        secrets,
        kept,
        stdin=json.dumps(data).encode(encoding),
        told=[SAID, "fan 1", "fan 2"],
    )


def event() -> Passed:
    secrets = Secrets()
    words = [
        *("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--output", SAID),
        *("--var", f"API_TOKEN={secrets.new('--var')}", "--comment", COMMENT),
        *(f"--var=SNMPCOMMUNITY={secrets.new('--var=')}", "--var", "PASSERELLE=gateway-203"),
    ]
    return Passed(words, secrets, [SAID, COMMENT, "gateway-203"])


def event_json(encoding: str = "utf-8", **more: Any) -> Passed:
    secrets = Secrets()
    data = {
        "password": secrets.new("at the top"),
        "host": "acme.3cx.fr",
        "state": "DOWN",
        "output": SAID,
        "comment": COMMENT,
        "vars": {"CUSTOMER_ACCOUNT": "CL2385", "Api_Token": secrets.new("vars", 'a"{}\\')},
        "more": [{"deep": [{"snmpCommunity": [secrets.new("in lists")], "size": 1.50}]}],
        **more,
    }
    text = json.dumps(data).replace("snmpCommunity", "snmp\\u0043ommunity")
    return Passed(
        ["event", "--json", "-", "--var", f"DB_PASSWD={secrets.new('--var')}"],
        secrets,
        [SAID, COMMENT, "CL2385", "1.5"],
        stdin=text.encode(encoding),
    )


PASSED: Dict[str, Callable[[], Passed]] = {
    "nagios": nagios,
    "icinga": icinga,
    "zabbix": zabbix,
    "zabbix, a message of their own": lambda: zabbix(shipped=False),
    "librenms": librenms,
    "event": event,
    "event --json": event_json,
}
ENCODED: Dict[str, Callable[[], Passed]] = {
    "librenms, UTF-16": lambda: librenms("utf-16"),
    "event --json, a byte order mark": lambda: event_json("utf-8-sig"),
    "event --json, UTF-16": lambda: event_json("utf-16-be"),
    "event --json, UTF-32": lambda: event_json("utf-32"),
}

# --- what cannot be read is kept all the same -----------------------------------------------------


def cut_in(passed: Passed, name: str, kept: Sequence[str]) -> Passed:
    """PASSED, its JSON cut short within the secret of that NAME."""
    begun = passed.stdin.index(f'"{name}": '.encode())
    return passed._replace(stdin=passed.stdin[: passed.stdin.index(b"Jv", begun) + 2], kept=kept)


def librenms_cut() -> Passed:
    return cut_in(librenms(), "authname", ["acme.3cx.fr", "Linux pbx 6.1.0"])


def librenms_broken() -> Passed:
    """A quotation mark too many, before all that is secret."""
    passed = librenms()
    text = passed.stdin.replace(b'"Device down"', b'"a "broken" name"')
    return passed._replace(stdin=text, kept=["acme.3cx.fr"])


def event_cut() -> Passed:
    return cut_in(event_json(), "Api_Token", ["acme.3cx.fr", "CRITICAL: user bob", "CL2385"])


def event_broken() -> Passed:
    """A program that writes JSON by hand, and a password with a quotation mark in it."""
    secrets = Secrets()
    text = '{{"host": "acme.3cx.fr", "vars": {{"password": "a"{}\\q", "x": "kept-x"}}, "state": 1}}'
    stdin = text.format(secrets.new("a broken text")).encode()
    return Passed(["event", "--json", "-"], secrets, ["acme.3cx.fr", "kept-x"], stdin=stdin)


def event_too_deep() -> Passed:
    """More levels than anybody's reader of JSON goes down."""
    deep = b"[" * 100_000 + b"]" * 100_000
    passed = event_json(deep="DEEP", token="last-token")
    stdin = passed.stdin.replace(b'"DEEP"', deep)
    return passed._replace(stdin=stdin, kept=["acme.3cx.fr", "CRITICAL: user bob"])


BROKEN: Dict[str, Callable[[], Passed]] = {
    "librenms, cut short": librenms_cut,
    "librenms, broken": librenms_broken,
    "event --json, cut short": event_cut,
    "event --json, broken": event_broken,
    "event --json, too deep": event_too_deep,
}

# --- everywhere -----------------------------------------------------------------------------------


class Search:
    """All that a site says and leaves behind, searched."""

    def __init__(self, site: Site, passed: Passed) -> None:
        self.site = site
        self.passed = passed
        self.found: Set[str] = set()

    def run(self, *words: str, **given: Any) -> subprocess.CompletedProcess[str]:
        """Run a command, read what it says, and look into everything after it."""
        done = self.site.run(*words, code=None, **given)
        self._look("stdout", done.stdout.encode())
        self._look("stderr", done.stderr.encode())
        self.look_around()
        return done

    def notify(self, *options: str) -> subprocess.CompletedProcess[str]:
        """What the monitoring does."""
        source, *words = self.passed.words
        return self.run(*options, source, *words, env=self.passed.env, stdin=self.passed.stdin)

    def look_around(self) -> None:
        """The state folder, the log, and all that BlueRockTEL was told."""
        for path in self.site.folder.rglob("*"):
            self._look("names of files", path.name.encode())
            if path.is_file():
                self._look(str(path.relative_to(self.site.folder)), path.read_bytes())
        self._look("BlueRockTEL", everything(self.site.sandbox.data()))
        self._look("calls", everything(self.site.sandbox.requests()))

    def _look(self, where: str, data: bytes) -> None:
        self.found |= {f"{place} in {where}" for place in self.passed.secrets.found_in(data)}

    def captured(self) -> str:
        """All texts of the one event that is kept."""
        (path,) = self.site.queued() + self.site.queued("dead")
        self.run("queue", "list")
        self.run("queue", "show", path.stem)
        shown = json.loads(self.run("queue", "show", "--json", path.stem).stdout)
        capture = shown[0]["capture"]
        texts = [*capture["env"].values(), *capture["argv"], capture["stdin"]]
        try:
            texts += _texts(json.loads(capture["stdin"]))
        except ValueError:
            pass
        return "\n".join(texts)


def _texts(value: Any) -> List[str]:
    if isinstance(value, dict):
        return _texts([*value.keys(), *value.values()])
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [str(value)]


WEATHER: Dict[str, Dict[str, Any]] = {
    "up": {},
    "refusing": {"fail": {"method": "POST", "path": "*/tickets", "status": 422}},
    "down": {"drop": {}},
}


@pytest.fixture
def logging(site: Site) -> Site:
    site.configure(f"log: {site.folder / 'log'}\n")
    return site


@pytest.mark.short
@pytest.mark.parametrize(
    ("what", "weather"),
    [
        *((what, weather) for what in PASSED for weather in WEATHER),
        *((what, "refusing") for what in ENCODED),
    ],
)
def test_no_secret_is_written_sent_or_shown(logging: Site, what: str, weather: str) -> None:
    site, passed = logging, {**PASSED, **ENCODED}[what]()
    search = Search(site, passed)
    site.sandbox.faults(**WEATHER[weather])
    search.notify("-v")
    if WEATHER[weather]:
        text = search.captured()
        assert [kept for kept in passed.kept if kept not in text] == []
        assert len(site.queued("dead")) == (weather == "refusing")
        search.run("flush", "--force-now", "-v")
        site.sandbox.clear_faults()
        search.run("queue", "retry", "--all", "-v")
        search.run("flush", "--force-now", "-v")
    else:
        search.notify("--dry-run")
    search.run("status", "--json")
    assert search.found == set()
    ticket = site.the_ticket()
    assert ticket["ticketable_id"] == 42 if "CL2385" in passed.kept else 1
    told = _plain(everything(ticket))
    assert [text for text in passed.told if text not in told] == []


def _plain(page: bytes) -> str:
    return page.decode("utf-8", "replace").replace("<br>", "\n")


@pytest.mark.parametrize("what", BROKEN)
def test_what_cannot_be_read_is_kept_without_its_secrets(logging: Site, what: str) -> None:
    passed = BROKEN[what]()
    search = Search(logging, passed)
    done = search.notify("-v")
    assert done.returncode == 65
    assert len(logging.queued("dead")) == 1
    text = search.captured()
    assert [kept for kept in passed.kept if kept not in text] == []
    search.run("queue", "retry", "--all", "-v")
    assert search.found == set()
    assert "left out)" in text


@pytest.mark.parametrize("what", PASSED)
def test_what_an_older_version_stored_is_shown_without_its_secrets(site: Site, what: str) -> None:
    passed = PASSED[what]()
    folder = site.state_dir / "queue"
    site.run("event", "--host", "a", "--state", "UP")  # makes the folders
    source, *argv = passed.words
    capture = {
        "version": 1,
        "source": source,
        "time": time.time(),
        "argv": argv,
        "env": {name: value for name, value in passed.env.items() if name[:7] in OF_THEIRS},
        "stdin": passed.stdin.decode(),
    }
    path = folder / "00000000000000000001-0000001-abcdef.jsonl"
    path.write_text(json.dumps(capture))
    for words in (["list"], ["list", "--json"], ["show", path.stem], ["show", "--json", path.stem]):
        said = site.run("queue", *words).stdout
        assert passed.secrets.found_in(said.encode()) == set()
    done = site.run("render", "--capture", str(path), code=None)
    assert passed.secrets.found_in((done.stdout + done.stderr).encode()) == set()


OF_THEIRS = ("NAGIOS_", "ICINGA_")


# --- the process list -----------------------------------------------------------------------------


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("what", PASSED)
def test_no_secret_is_in_the_process_list_or_on_disk_while_a_call_hangs(
    logging: Site, what: str
) -> None:
    site, passed = logging, PASSED[what]()
    site.sandbox.faults(hang={"seconds": 600})
    stdin = site.folder / "input"
    stdin.write_bytes(passed.stdin)
    with stdin.open("rb") as file:
        stdin.unlink()
        process = subprocess.Popen(
            site.words(*passed.words),
            env={**ENVIRONMENT, **passed.env},
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    try:
        while not site.sandbox.requests():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        search = Search(site, passed)
        search.look_around()
        assert len(site.queued()) == 1
        assert search.found == set()
        assert _in_processes(passed.secrets, process.pid) == set()
    finally:
        site.sandbox.clear_faults()
        process.communicate()


def _in_processes(secrets: Secrets, but: int) -> Set[str]:
    """The secrets that any process shows, but the one that was given them."""
    found: Set[str] = set()
    for path in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ", "comm"):
            try:
                data = b"" if int(path.name) == but else (path / name).read_bytes()
            except OSError:  # it has ended, or is not ours to look at
                continue
            found |= {f"{place} in {path}/{name}" for place in secrets.found_in(data)}
    return found


def test_a_slip_of_the_pen_shows_no_secret(site: Site) -> None:
    secrets = Secrets()
    done = site.run("nagios", "--var", f"_HOSTPASSWORD {secrets.new('no =')}", code=2)
    assert "--var needs NAME=VALUE" in done.stderr
    assert secrets.found_in(done.stderr.encode()) == set()
    assert "not 'ROOM 12'" in site.run("nagios", "--var", "ROOM 12", code=2).stderr
