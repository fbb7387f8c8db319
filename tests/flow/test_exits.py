"""Bad input, bad configuration, bad disks: the exit code, one clear line, nothing lost."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from support import ENVIRONMENT, Site, load_capture

from brtel_notify.intake.capture_file import read

DOWN = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")


def one_error_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr; no traceback."""
    (line,) = done.stderr.splitlines()
    assert line.startswith("brtel-notify: ")
    return line


# --- the event cannot be understood ---------------------------------------------------------------

UNINTELLIGIBLE: Dict[str, Any] = {
    "empty environment": (["nagios"], {}, b"", "HOSTNAME"),
    "no host": (["nagios"], {"NAGIOS_NOTIFICATIONTYPE": "PROBLEM"}, b"", "HOSTNAME"),
    "no type": (["nagios"], {"NAGIOS_HOSTNAME": "a"}, b"", "NOTIFICATIONTYPE"),
    "unknown type": (
        ["icinga", "--var", "HOSTNAME=a", "--var", "NOTIFICATIONTYPE=PARTY"],
        {},
        b"",
        "PARTY",
    ),
    "malformed JSON": (["librenms"], {}, b'{"hostname": ', "JSON"),
    "no JSON": (["librenms"], {}, b"", "JSON"),
    "a JSON list": (["librenms"], {}, b"[]", "object"),
    "event, malformed JSON": (["event", "--json", "-"], {}, b"{", "JSON"),
    "event, no state": (["event", "--host", "a"], {}, b"", "no kind, state or severity"),
    "no message": (["zabbix", "CL2385", "problem", ""], {}, b"", "HOST.HOST"),
    "no trigger": (["zabbix", "", "", "HOST.HOST: a\nEVENT.VALUE: 1"], {}, b"", "TRIGGER.ID"),
}


@pytest.mark.short
@pytest.mark.parametrize("case", UNINTELLIGIBLE)
def test_an_event_that_cannot_be_understood(site: Site, case: str) -> None:
    words, env, stdin, named = UNINTELLIGIBLE[case]
    done = site.run(*words, env=env, stdin=stdin, code=65)
    assert named in one_error_line(done)
    assert site.queued() == []
    (path,) = site.queued("dead")
    captured, journal = read(path.read_bytes())
    assert captured.argv == words[1:]
    assert json.loads(journal.splitlines()[-1])["dead"]
    assert site.calls() == []


@pytest.mark.short
def test_the_same_without_a_configuration(site: Site) -> None:
    site.config_file.unlink()
    site.run("nagios", code=65)


def test_an_unknown_state_is_no_reason_to_lose_an_alert(site: Site) -> None:
    site.notify("nagios4-host-problem", "HOSTSTATE=MELTED")
    assert site.the_ticket()["subject"] == "MELTED: acme.3cx.fr"


# --- the command line is wrong --------------------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nagos"],
        ["nagios", "--output", "x"],
        ["nagios", "--var", "HOST"],
        ["nagios", "--var"],
        ["zabbix", "one", "two"],
        ["event", "--no-such-flag"],
        ["event", "--var", "x"],
        ["event", "--json", "/no/such/file"],
        [*DOWN, "--output"],
        [*DOWN, "--comment", "--dry-run", "text"],
        ["render"],
        ["render", "nagos"],
        ["queue", "juggle"],
        ["--config"],
    ],
)
def test_a_wrong_command_line(site: Site, words: List[str]) -> None:
    done = site.run(*words, code=2)
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert site.queued() == []


def test_a_mistyped_command_names_the_one_meant(site: Site) -> None:
    assert "did you mean 'nagios'?" in site.run("nagos", code=2).stderr


# --- the configuration is wrong -------------------------------------------------------------------


def bad_configurations(site: Site) -> Dict[str, Any]:
    good = site.config_file.read_text()
    return {
        "missing": (None, "there is no such file"),
        "no YAML": ("api: [", "is not valid YAML"),
        "unknown key": (good + "lifecyle: {}\n", ":10: lifecyle: unknown key; did you mean"),
        "wrong type": (good + "rules: 3\n", ":10: rules: must be a list"),
        "unknown priority": (
            good.replace("High", "Hihg"),
            ":7: ticket.priority: 'Hihg' is unknown to BlueRockTEL; did you mean 'High'?",
        ),
        "unknown sub-category": (
            good.replace("PBX / 3CX", "PBX/3CX"),
            "ticket.sub_category: 'PBX/3CX' is unknown to BlueRockTEL within its category;"
            " did you mean 'PBX / 3CX'?",
        ),
        "unknown fallback": (good.replace("CL000001", "CL9"), "customer.fallback"),
        "no token file": (good.replace(str(site.token_file), "/no/token"), "/no/token"),
    }


@pytest.mark.parametrize(
    "case",
    [
        *("missing", "no YAML", "unknown key", "wrong type", "unknown priority"),
        *("unknown sub-category", "unknown fallback", "no token file"),
    ],
)
def test_a_wrong_configuration_keeps_the_event(site: Site, case: str) -> None:
    good = site.config_file.read_text()
    text, named = bad_configurations(site)[case]
    if text is None:
        site.config_file.unlink()
    else:
        site.config_file.write_text(text)
    host = "nobody.example.net" if case == "unknown fallback" else "acme.3cx.fr"
    done = site.run("event", "--host", host, "--state", "DOWN", code=78)
    assert named in done.stderr.splitlines()[-1]
    assert site.tickets == []
    assert len(site.queued()) == 1
    site.config_file.write_text(good)
    site.run("flush")
    assert site.the_ticket()["open"]
    assert site.queued() == []


@pytest.mark.short
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_the_configurations_fault(site: Site, status: int) -> None:
    site.sandbox.faults(fail={"status": status})
    done = site.run(*DOWN, code=78)
    assert f": {status} " in one_error_line(done)
    assert site.sandbox.token not in done.stderr + done.stdout
    site.sandbox.clear_faults()
    site.run("flush")
    assert site.the_ticket()["open"]


# --- BlueRockTEL does not answer, or refuses ------------------------------------------------------


@pytest.mark.short
def test_an_outage_queues_and_a_flush_delivers(site: Site) -> None:
    site.sandbox.faults(fail={"status": 503})
    said = site.run(*DOWN).stdout
    assert said.startswith("queued: ")
    assert "503" in said
    assert len(site.queued()) == 1
    site.sandbox.clear_faults()
    assert "still queued" in site.run("flush").stdout  # it is backing off
    assert site.tickets == []
    site.run("flush", "--force-now")
    assert site.the_ticket()["open"]


def test_nothing_listens(site: Site) -> None:
    site.config_file.write_text(
        site.config_file.read_text().replace(site.sandbox.url, "http://127.0.0.1:9/api")
    )
    done = site.run(*DOWN)
    assert done.stdout.startswith("queued: ")
    assert len(site.queued()) == 1


@pytest.mark.parametrize("ends", [">/dev/full 2>/dev/full", ">&- 2>&-", "| true"])
@pytest.mark.parametrize(("words", "due"), [(DOWN, 0), (DOWN[:-2], 65)])
def test_nobody_listens_to_what_it_says(
    site: Site, ends: str, words: Tuple[str, ...], due: int
) -> None:
    assert code_of(site, words, ends) == due
    assert len(site.tickets) == (due == 0)


@pytest.mark.parametrize("ends", ["2>/dev/full", "2>&-", "2>&1 | true"])
@pytest.mark.parametrize(
    ("words", "due"), [(("--state-dir", "/proc/none", *DOWN), 75), (("nagios", "--unknown"), 2)]
)
def test_its_exit_code_tells_when_nobody_reads_its_errors(
    site: Site, ends: str, words: Tuple[str, ...], due: int
) -> None:
    assert code_of(site, words, ends) == due


def code_of(site: Site, words: Tuple[str, ...], ends: str) -> int:
    """The exit code of a command whose stdout and stderr lead where ENDS, shell's words, say."""
    command = shlex.join(site.words(*words))
    script = f"( {command}; echo $? >{site.folder}/code ) {ends}"
    subprocess.run(["sh", "-c", script], env=ENVIRONMENT, check=True)
    return int((site.folder / "code").read_text())


@pytest.mark.parametrize("words", [("--dry-run", *DOWN), ("nagios", "--help")])
def test_what_it_was_to_show_is_not_lost_in_silence(site: Site, words: Tuple[str, ...]) -> None:
    environment = {name: ENVIRONMENT[name] for name in ENVIRONMENT if name != "PYTHONUNBUFFERED"}
    command = f"{shlex.join(site.words(*words))} >/dev/full"
    done = subprocess.run(
        ["sh", "-c", command], env=environment, stderr=subprocess.PIPE, check=False
    )
    assert done.returncode
    assert b"No space left" in done.stderr


@pytest.mark.short
def test_what_is_refused_for_good_is_kept(site: Site) -> None:
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 422})
    done = site.run(*DOWN, code=65)
    assert "422" in one_error_line(done)
    (path,) = site.queued("dead")
    site.sandbox.clear_faults()
    listed = json.loads(site.run("queue", "list", "--json").stdout)
    assert [(row["id"], row["dead"]) for row in listed] == [(path.stem, True)]
    assert "422" in listed[0]["error"]
    site.run("queue", "retry", path.stem)
    site.run("flush")
    assert site.the_ticket()["open"]


@pytest.mark.parametrize("step", ["PUT */associates", "POST */replies"])
def test_a_refused_extra_does_not_cost_the_ticket(site: Site, step: str) -> None:
    method, path = step.split()
    site.sandbox.faults(fail={"method": method, "path": path, "status": 422})
    done = site.run(*DOWN)
    assert "left out" in done.stderr
    assert site.the_ticket()["open"]
    assert site.queued() == []


@pytest.mark.parametrize("when", ["before", "after", "midway"])
@pytest.mark.parametrize("path", ["*/tickets", "*/replies"])
def test_a_connection_lost_around_a_post_never_doubles_it(site: Site, when: str, path: str) -> None:
    site.sandbox.faults(drop={"method": "POST", "path": path, "when": when, "next": 1})
    assert site.run(*DOWN).stdout.startswith("queued: ")
    site.run("flush", "--force-now")
    ticket = site.the_ticket()
    assert ticket["contacts"] == [88]
    assert len(ticket["replies"]) == 1
    site.sandbox.faults(drop={"method": "POST", "path": path, "when": when, "next": 1})
    site.run("event", "--host", "acme.3cx.fr", "--state", "UP")
    site.run("flush", "--force-now")
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert len(ticket["replies"]) == 2


# --- hostile text ---------------------------------------------------------------------------------

HOSTILE = [
    "</p><script>alert(1)</script>",
    "{{ 7*7 }} {% raw %} {{ config }}",
    'it\'s "quoted" $(id) `id` ; rm -rf / && \\',
    "\x1b[31mred\x07\x00 NUL",
    "<!-- --> <img src=x onerror=alert(1)>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_not_obeyed(site: Site, text: str) -> None:
    data = json.dumps({"host": "acme.3cx.fr", "state": "DOWN", "output": text, "title": text})
    site.run("event", "--json", "-", stdin=data.encode())
    ticket = site.the_ticket()
    page = ticket["subject"] + ticket["body"] + "".join(r["body"] for r in ticket["replies"])
    assert "<script" not in page
    assert "<img" not in page
    assert "{ { 7*7 }}" in page or "7*7" not in text  # nor a template of BlueRockTEL's
    assert "\x1b" not in page
    assert "uid=" not in page
    if "script" in text:
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_bytes_that_are_no_utf8(site: Site) -> None:
    done = subprocess.run(
        site.words("nagios"),
        env={
            **{os.fsencode(k): os.fsencode(v) for k, v in os.environ.items()},
            b"NAGIOS_NOTIFICATIONTYPE": b"PROBLEM",
            b"NAGIOS_HOSTNAME": b"acme.3cx.fr",
            b"NAGIOS_HOSTSTATE": b"DOWN",
            b"NAGIOS_HOSTOUTPUT": b"caf\xe9 \xff\xfe \xc3\xa9",
        },
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "café ÿþ Ã©" in site.the_ticket()["body"]  # read as cp1252, all of it


def test_five_megabytes_of_output(site: Site) -> None:
    alert = load_capture("librenms-problem")["stdin"]
    alert["msg"] = "<b>É</b> 5 < 6 " * 340_000
    site.run("librenms", stdin=json.dumps(alert, ensure_ascii=False).encode())
    ticket = site.the_ticket()
    assert len(ticket["body"].encode()) < 65_535
    assert "Reference: BN-" in ticket["body"]
    assert "É 5 &lt; 6" in ticket["body"]


# --- the disk -------------------------------------------------------------------------------------


def test_a_state_folder_that_cannot_be_made(site: Site) -> None:
    site.state_dir = Path("/proc/no/such/place")
    done = site.run(*DOWN, code=75)
    assert "/proc/no" in one_error_line(done)


def test_a_state_folder_that_is_a_file(site: Site) -> None:
    site.state_dir.write_text("")
    done = site.run(*DOWN, code=75)
    assert str(site.state_dir) in one_error_line(done)


@pytest.mark.short
def test_a_full_disk_at_capture(site: Site) -> None:
    done = subprocess.run(
        site.words(*DOWN),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 75
    assert "could not be stored" in one_error_line(done)
    assert list((site.state_dir / "queue").iterdir()) == []


def test_a_disk_that_fills_up_during_delivery_loses_and_doubles_nothing(site: Site) -> None:
    site.run(*DOWN)
    # Room for the event and its journal, but not for a map that is longer than it was.
    room = (site.state_dir / "state.json").stat().st_size + 10
    done = subprocess.run(
        site.words("event", "--host", "acme.3cx.fr", "--kind", "comment", "--comment", "hello"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("queued: the state folder cannot be written")
    assert len(site.queued()) == 1
    site.run("flush", "--force-now")
    assert len(site.the_ticket()["replies"]) == 2
    assert site.queued() == []


def test_a_damaged_queue_file_goes_to_dead(site: Site) -> None:
    site.run(*DOWN)
    (site.state_dir / "queue" / "00000000000000000001-0000001-abcdef.jsonl").write_bytes(b"\x00")
    site.run(*DOWN)
    assert site.queued() == []
    assert len(site.queued("dead")) == 1


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ("Test subject", "This is the test message from Zabbix"),
        ("{ALERT.SUBJECT}", "{ALERT.MESSAGE}"),  # 7.0 passes these as they stand
        ("Тема", "Це тестове повідомлення від Zabbix"),
    ],
)
def test_the_test_button_of_zabbix_proves_the_way(site: Site, subject: str, message: str) -> None:
    words = ("zabbix", "CL2385", subject, message)
    assert "the test passed" in site.run(*words).stdout
    site.token_file.write_text("wrong")
    assert "401" in site.run(*words, code=78).stderr
    assert site.tickets == []
    assert site.queued() == []


# --- secrets --------------------------------------------------------------------------------------


def test_no_secret_is_written_or_said(site: Site) -> None:
    said = ""
    for words in (["nagios"], ["test"], ["status", "--json"], ["discover"], ["render", "nagios"]):
        env = load_capture("nagios4-host-problem")["env"] if "nagios" in words else {}
        env = {k: v for k, v in env.items() if k != "NAGIOS__HOSTCUSTOMER_ACCOUNT"}
        done = site.run(*words, "-v", env={**env, "BRTEL_TOKEN": site.sandbox.token})
        said += done.stdout + done.stderr
    site.sandbox.faults(fail={"status": 500})
    said += site.run("event", "--host", "b", "--state", "DOWN", "-v").stderr
    for path in site.state_dir.rglob("*"):
        if path.is_file():
            said += path.read_text(errors="replace")
            assert path.stat().st_mode & 0o077 == 0
    assert site.sandbox.token not in said
    assert "SANDBOX-SECRET" not in said
