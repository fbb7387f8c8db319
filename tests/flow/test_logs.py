"""The log: one line an event, as text or JSON, on stderr, in a file, in syslog and the journal."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
from support import Site

from brtel_notify.local import log_targets
from brtel_notify.local.log import ERROR, FORMAT_VARIABLE, WARNING, Log

HOST = "nagios4-host-problem"
HOST_UP = "nagios4-host-recovery"
KEY = "nagios:acme.3cx.fr"
DOWN = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")


def records(path: Path) -> List[Dict[str, Any]]:
    """What a log of JSON lines says of events."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert line["level"] in ("info", "warning", "error")
        assert isinstance(line["message"], str)
    return [line for line in lines if "event" in line]


def test_a_line_says_key_decision_ticket_and_duration(site: Site) -> None:
    done = site.run(*DOWN)
    number = site.the_ticket()["number"]
    (line,) = [line for line in done.stderr.splitlines() if number in line]
    assert re.fullmatch(
        rf"brtel-notify: event:acme.3cx.fr: opened: ticket {number} of .*, \d+ calls, \d+\.\d\d s",
        line,
    )


@pytest.mark.short
def test_the_life_of_a_ticket_in_json(site: Site) -> None:
    log = site.folder / "log"
    site.configure(f"log: {log}\n")
    env = {FORMAT_VARIABLE: "json"}
    for state in ("WARNING", "CRITICAL", "CRITICAL", "OK", "CRITICAL"):
        kind = ["--kind", "recovery"] if state == "OK" else []
        site.run(
            "event", "--host", "acme.3cx.fr", "--service", "SIP", "--state", state, *kind, env=env
        )
    found = records(log)
    decisions = [record["decision"] for record in found]
    assert decisions == ["opened", "updated", "ignored", "closed", "reopened"]
    ticket = site.the_ticket()
    for record in found:
        assert record["key"] == "event:acme.3cx.fr:SIP"
        assert record["ticket"] == ticket["number"]
        assert record["ticket_id"] == ticket["id"]
        assert record["customer"] == "CL2385"
        assert record["level"] == "info"
        assert isinstance(record["duration"], float)
        assert record["pid"] > 0
    assert found[0]["attempt"] == 1
    assert len({record["event"] for record in found}) == 5


def test_what_goes_wrong_in_json(site: Site) -> None:
    log = site.folder / "log"
    site.configure(f"log: {log}\n")
    words = ("--log-format", "json")
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 503})
    site.run(*DOWN, *words)
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 422})
    site.run(*words, "flush", "--force-now")
    queued, refused = records(log)
    assert (queued["outcome"], queued["level"], queued["ticket"]) == ("queued", "warning", None)
    assert (refused["outcome"], refused["level"], refused["attempt"]) == ("refused", "error", 2)
    assert queued["event"] == refused["event"] == site.queued("dead")[0].stem


def test_json_on_stderr_is_json_alone(site: Site) -> None:
    done = site.run("--log-format=json", "-v", *DOWN)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert any(line["message"].startswith("POST /v1/tickets: 201") for line in lines)
    site.config_file.write_text("api: {}\n")
    done = site.run("--log-format", "json", *DOWN, code=78)
    (line,) = map(json.loads, done.stderr.splitlines())
    assert line["level"] == "error"
    assert "api.url" in line["message"]


def test_a_wrong_format(site: Site) -> None:
    assert "text or json" in site.run("--log-format", "xml", *DOWN, code=2).stderr
    assert "text" in site.run("flush", "--log-format", "xml", code=2).stderr
    site.run(*DOWN, env={FORMAT_VARIABLE: "xml"})  # a variable must not cost an alert
    assert site.the_ticket()["open"]


def test_what_an_alert_says_stays_one_line(site: Site) -> None:
    log = site.folder / "log"
    site.configure(f"log: {log}\n")
    host = 'a\nbrtel-notify: forged "line" \u2028 é'
    site.run("--log-format", "json", "event", "--host", host, "--state", "DOWN")
    site.run("event", "--host", host, "--state", "OK", "--kind", "recovery")
    lines = log.read_bytes().split(b"\n")[:-1]
    assert all(b"brtel-notify[" in line or line.startswith(b"{") for line in lines)
    assert lines[0].isascii()


def test_a_damaged_entry_of_the_map_is_warned_of_in_the_log(site: Site) -> None:
    log = site.folder / "log"
    site.configure(f"log: {log}\n")
    site.run(*DOWN)
    state = site.state_dir / "state.json"
    state.write_text(state.read_text().replace('"ticket_id": ', '"ticket_id": "x", "was": '))
    done = site.run(*DOWN)
    assert "makes no sense" in log.read_text()
    assert "makes no sense" not in done.stderr


# --- the journal and syslog -----------------------------------------------------------------------


def journal_of(site: Site, matching: bool, *words: str) -> List[str]:
    """What a command writes to a stderr that is (MATCHING) or is not systemd's journal."""
    ours, its = socket.socketpair()
    status = os.fstat(its.fileno())
    stream = f"{status.st_dev}:{status.st_ino + (0 if matching else 1)}"
    done = subprocess.run(
        site.words(*words),
        stderr=its.fileno(),
        env={**os.environ, "JOURNAL_STREAM": stream},
        check=False,
    )
    assert done.returncode in (0, 65)
    its.close()
    with ours, ours.makefile(encoding="utf-8") as lines:
        return lines.read().splitlines()


def test_the_journal_gets_priorities_and_no_name(site: Site) -> None:
    lines = journal_of(site, True, *DOWN)
    opened = next(line for line in lines if "opened" in line)
    assert opened.startswith("<6>event:acme.3cx.fr: opened: ticket ")
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 422})
    lines = journal_of(site, True, "event", "--host", "b", "--state", "DOWN")
    assert any(line.startswith("<3>event:b: POST /v1/tickets: 422") for line in lines)


def test_json_in_the_journal(site: Site) -> None:
    lines = journal_of(site, True, "--log-format", "json", *DOWN)
    assert all(line[:3] in ("<6>", "<4>") for line in lines)
    assert [json.loads(line[3:])["level"] for line in lines]


def test_a_stderr_that_a_monitoring_server_reads_is_not_the_journal(site: Site) -> None:
    lines = journal_of(site, False, *DOWN)
    assert lines
    assert all(line.startswith("brtel-notify: ") for line in lines)


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=lambda k: k.name)
def test_syslog_gets_the_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: socket.SocketKind
) -> None:
    monkeypatch.setattr(log_targets, "SOCKET", str(tmp_path / "log"))
    with socket.socket(socket.AF_UNIX, kind) as syslog:
        syslog.bind(str(tmp_path / "log"))
        if kind == socket.SOCK_STREAM:
            syslog.listen()
        log = Log(form="json")
        log.send_to("syslog")
        log.say("a", ERROR, key="k")
        log.say("b")
        first, second = received(syslog), received(syslog)
    # syslog.h: the facility daemon is 3 << 3, LOG_ERR 3, LOG_INFO 6.
    assert second.startswith(b"<30>")
    head = (
        rb"<\d+>[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d:\d\d brtel-notify\[%d\]: (\{.*\})" % os.getpid()
    )
    found = re.fullmatch(head, first)
    assert found is not None
    assert json.loads(found[1])["key"] == "k"


def received(syslog: socket.socket) -> bytes:
    """What came next."""
    if syslog.type == socket.SOCK_DGRAM:
        return syslog.recv(65536)
    sender, _ = syslog.accept()
    with sender, sender.makefile("rb") as stream:
        return stream.read().removesuffix(b"\0")


def test_what_a_log_has_missed_is_told_when_it_is_there_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "folder" / "log"
    log = Log()
    log.send_to(str(path))
    log.say("a")
    log.say("b")
    path.parent.mkdir()
    log.say("c")
    log.say("d")
    told = [line.partition("]: ")[2] for line in path.read_text().splitlines()]
    assert told == ["2 lines before this one could not be written here", "c", "d"]
    said = f"brtel-notify: {path}: No such file or directory: "
    assert capsys.readouterr().err.splitlines() == [f"{said}a", f"{said}b"]


@pytest.mark.parametrize("level", [WARNING, ERROR])
def test_an_error_stands_on_stderr_once(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    log.say("it is wrong", level, duration=0.5)
    log.error("it is wrong")
    assert capsys.readouterr().err == "brtel-notify: it is wrong, 0.50 s\n"


def test_a_log_may_be_sent_back_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    log.send_to(str(tmp_path / "log"))
    log.send_to("stderr")
    log.say("of the alert")
    assert capsys.readouterr().err == "brtel-notify: of the alert\n"
