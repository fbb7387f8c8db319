"""``brtel-notify check`` and what ``status`` says of an outage: the plugin guidelines, kept."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional

import pytest
from support import CONFIG, Site, start

from brtel_notify.commands.check import Range
from brtel_notify.intake.capture_file import read
from brtel_notify.setup import librenms_transport

DOWN = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")
ERROR = "event:acme.3cx.fr: POST /v1/tickets: 503 Service Unavailable | secret sauce"

#: What the guidelines allow: 'label'=value[UOM];[warn];[crit];[min];[max]
PERFDATA = re.compile(r"(\w+)=(U|-?[\d.]+)(s?)(?:;([^;\s]*)){0,4}")


def check(site: Site, *arguments: str, code: int) -> str:
    """The one line that the plugin prints."""
    done = site.run("check", *arguments, code=code)
    (line,) = done.stdout.splitlines()
    word = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[code]
    assert line.startswith(f"BRTEL-NOTIFY {word}: ")
    return line


def perfdata(line: str) -> Dict[str, str]:
    text, bar, data = line.partition(" | ")
    assert bar
    assert "|" not in text + data
    found = [PERFDATA.fullmatch(item) for item in data.split(" ")]
    assert all(found), data
    return {match[1]: match[2] for match in found if match}


def wait(site: Site, seconds: float) -> None:
    """Let one event have waited for that long; no clock is waited for."""
    site.sandbox.faults(fail={"status": 503})
    site.run(*DOWN)
    (path,) = site.queued()
    captured, journal = read(path.read_bytes())
    captured.time = time.time() - seconds
    path.write_bytes(captured.as_bytes() + journal)
    (site.state_dir / "breaker.json").unlink()


def open_breaker(site: Site, seconds: float) -> None:
    site.state_dir.mkdir(exist_ok=True)
    now = time.time()
    record = {"failures": 3, "since": now - seconds, "retry_at": now + 60, "error": ERROR}
    (site.state_dir / "breaker.json").write_text(json.dumps(record))


@pytest.mark.short
def test_all_is_well(site: Site) -> None:
    site.run(*DOWN)
    line = check(site, code=0)
    assert "0 waiting, 0 dead, 1 open tickets" in line
    values = perfdata(line)
    assert list(values) == ["queue", "dead", "oldest", "open_tickets", "breaker"]
    assert values["open_tickets"] == "1"
    assert "oldest=0s;300;1800;0" in line


def test_it_calls_nothing_and_changes_nothing(site: Site) -> None:
    site.run(*DOWN)
    site.calls()
    before = {path: path.read_bytes() for path in site.state_dir.rglob("*") if path.is_file()}
    check(site, code=0)
    assert site.calls() == []
    after = {path: path.read_bytes() for path in site.state_dir.rglob("*") if path.is_file()}
    assert after == before


def test_the_api_is_called_when_asked_for(site: Site) -> None:
    site.run(*DOWN)
    site.calls()
    line = check(site, "--api", code=0)
    assert site.calls() == ["GET /version"]
    assert float(perfdata(line)["api_latency"]) >= 0
    assert "the API answered" in line


def test_an_api_that_does_not_answer_is_critical(site: Site) -> None:
    site.configure("", CONFIG.replace("api:\n", "api:\n  timeout: 600\n"))
    site.run(*DOWN)
    site.calls()
    site.sandbox.faults(hang={"path": "*/version", "seconds": 600})
    running = start(site.words("check", "--api", "-t", "600"), {})
    while not site.sandbox.requests():
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGALRM)  # the time is up, however long it took to get here
    line = running.communicate()[0].decode()
    assert line.startswith("BRTEL-NOTIFY CRITICAL: ")
    assert running.returncode == 2
    assert perfdata(line.strip())["api_latency"] == "U"
    assert "no answer within 600 s" in line
    site.sandbox.clear_faults()
    site.sandbox.faults(fail={"path": "*/version", "status": 503})
    assert "503" in check(site, "--api", code=2)


@pytest.mark.parametrize(
    ("waited", "options", "code"),
    [
        (10, [], 0),
        (400, [], 1),
        (2000, [], 2),
        (400, ["-w", "500"], 0),
        (400, ["--critical", "100"], 2),
        (400, ["-w", "@300:500"], 1),
        (400, ["-w", "10:", "-c", "~:1000"], 0),
    ],
)
def test_the_age_of_the_oldest_waiting_event(
    site: Site, waited: int, options: List[str], code: int
) -> None:
    wait(site, waited)
    line = check(site, *options, code=code)
    assert waited <= float(perfdata(line)["oldest"])
    assert "1 waiting" in line


def test_a_dead_event_is_a_warning(site: Site) -> None:
    site.run("event", "--host", "a", code=65)
    line = check(site, code=1)
    assert "1 dead (brtel-notify queue shows why)" in line
    assert perfdata(line)["dead"] == "1"


#: Runs the program as on a machine whose LibreNMS, if any, is below the folder of its first word.
ELSEWHERE = """\
import sys
from brtel_notify.cli import main
from brtel_notify.setup import librenms_transport
librenms_transport.CHECKOUT = sys.argv.pop(1) + librenms_transport.CHECKOUT
sys.exit(main(sys.argv[1:]))
"""
TRANSPORT = "opt/librenms/LibreNMS/Alert/Transport/Bluerocktel.php"
INSTALLED = f"*.bak\n/{TRANSPORT.partition('/')[2].partition('/')[2]}\n"


@pytest.mark.parametrize(
    ("exclude", "there", "lost"),
    [
        (INSTALLED, False, True),
        (INSTALLED, True, False),
        ("*.bak\n", False, False),  # never installed, or taken away again
        (INSTALLED.replace("/", "#/", 1), False, False),
        (None, False, False),  # no checkout
        ("", None, False),  # no LibreNMS
    ],
    ids=["gone", "there", "no line", "a comment", "no checkout", "no LibreNMS"],
)
@pytest.mark.parametrize("command", ["check", "test"])
def test_a_transport_that_a_clean_up_took_is_told(
    site: Site, tmp_path: Path, command: str, exclude: Optional[str], there: object, lost: bool
) -> None:
    site.run(*DOWN)
    transport = tmp_path / TRANSPORT
    if there is not None:
        transport.parent.mkdir(parents=True)
        if there:
            transport.write_text("<?php")
        if exclude is not None:
            info = tmp_path / "opt/librenms/.git/info"
            info.mkdir(parents=True)
            (info / "exclude").write_text(exclude)
    words = site.words(command)[3:]
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path), *words],
        capture_output=True,
        text=True,
        check=False,
    )
    failing = 1 if command == "check" else 78
    assert done.returncode == (failing if lost else 0), done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert (f"{transport} (as root: brtel-notify install librenms" in said) == lost
    assert ("reach nobody" in said) == lost


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_it_may_not_read_is_no_alarm(site: Site, tmp_path: Path) -> None:
    info = tmp_path / "opt/librenms/.git/info"
    info.mkdir(parents=True)
    (info / "exclude").write_text(INSTALLED)
    info.chmod(0)
    assert librenms_transport.lost(str(tmp_path)) == ""


#: Only root needs it, who else may list any folder.
NOT_ALL_POWERFUL = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def test_a_folder_that_may_only_be_gone_through_hides_no_loss(site: Site, tmp_path: Path) -> None:
    """LibreNMS's guide gives its own mode 771, and Nagios runs the check as its user."""
    site.run(*DOWN)
    home = tmp_path / "opt/librenms"
    (home / ".git/info").mkdir(parents=True)
    (home / ".git/info/exclude").write_text(INSTALLED)
    home.chmod(0o311)
    line = [sys.executable, "-c", ELSEWHERE, str(tmp_path), *site.words("check")[3:]]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("setpriv is not installed")
        line = [*NOT_ALL_POWERFUL, *line]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    home.chmod(0o755)
    assert "reach nobody" in done.stdout


def test_a_list_without_end_is_no_reason_to_fail(site: Site, tmp_path: Path) -> None:
    """It is LibreNMS's user's file, and anybody runs the check."""
    site.run(*DOWN)
    exclude = tmp_path / "opt/librenms/.git/info/exclude"
    exclude.parent.mkdir(parents=True)
    exclude.write_text(INSTALLED)
    os.truncate(exclude, 1 << 40)
    line = [sys.executable, "-c", ELSEWHERE, str(tmp_path), *site.words("check")[3:]]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, "reach nobody" in done.stdout) == (1, True), done.stdout


def test_an_open_breaker_says_since_when_and_why(site: Site) -> None:
    open_breaker(site, 365)  # and most of a minute to look
    line = check(site, code=1)
    assert perfdata(line)["breaker"] == "1"
    assert "the breaker is open since 20" in line
    assert "(6m)" in line
    assert "503 Service Unavailable / secret sauce" in line  # a bar would begin performance data
    assert "(6m)" in check(site, "-c", "60", code=2)


@pytest.mark.short
def test_a_real_outage_is_seen_and_its_end_too(site: Site) -> None:
    site.sandbox.faults(fail={"status": 503})
    site.run(*DOWN)
    assert "503" in check(site, code=1)
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    check(site, code=0)


@pytest.mark.short
def test_the_worst_comes_first(site: Site) -> None:
    site.run("event", "--host", "a", code=65)
    open_breaker(site, 4000)
    line = check(site, code=2)
    assert line.index("out of reach") < line.index("dead (brtel-notify queue")


def test_a_damaged_map_is_a_warning(site: Site) -> None:
    site.run(*DOWN)
    (site.state_dir / "state.json").write_text("{")
    assert "state.json" in check(site, code=1)


# --- UNKNOWN --------------------------------------------------------------------------------------


def test_no_state_folder(site: Site) -> None:
    assert str(site.state_dir) in check(site, code=3)


@pytest.mark.parametrize("what", ["queue", "dead", "state.json", "breaker.json"])
def test_a_state_folder_that_cannot_be_read(site: Site, what: str) -> None:
    site.state_dir.mkdir()
    wrong = site.state_dir / what
    if what.endswith(".json"):
        wrong.mkdir()
    else:
        wrong.write_text("")
    assert str(wrong) in check(site, code=3)


@pytest.mark.parametrize("text", [None, "api: [", "apis: {}"])
def test_a_configuration_that_cannot_be_used(site: Site, text: object) -> None:
    site.run(*DOWN)
    if text is None:
        site.config_file.unlink()
    else:
        site.config_file.write_text(str(text))
    assert str(site.config_file) in check(site, code=3)


def test_a_map_of_a_later_version(site: Site) -> None:
    site.state_dir.mkdir()
    (site.state_dir / "state.json").write_text('{"version": 99, "tickets": {}}')
    assert "version" in check(site, code=3)


@pytest.mark.parametrize("words", [["-w", "ten"], ["-t", "0"], ["--nonsense"], ["-c", "20:10"]])
def test_a_wrong_command_line_is_unknown_and_not_critical(site: Site, words: List[str]) -> None:
    assert "command line" in check(site, *words, code=3)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--version"], ["-V"]])
def test_help_and_version_are_unknown_so_that_a_wrong_service_shows(
    site: Site, words: List[str]
) -> None:
    assert "brtel-notify" in site.run("check", *words, code=3).stdout


def test_a_ticket_closed_by_hand_is_not_open_any_more(site: Site) -> None:
    site.run(*DOWN)
    site.run("ticket", site.the_ticket()["number"], "close")
    assert perfdata(check(site, code=0))["open_tickets"] == "0"


def test_a_disk_that_hangs_is_given_up(site: Site) -> None:
    """A configuration that never comes to an end stands for it."""
    import os

    site.state_dir.mkdir()
    site.config_file.unlink()
    os.mkfifo(site.config_file)
    done = site.run("check", "-t", "1", code=3)
    assert done.stdout.startswith("BRTEL-NOTIFY UNKNOWN: ")
    assert len(done.stdout.splitlines()) == 1


# --- ranges ---------------------------------------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize(
    ("text", "alerts", "quiet"),
    [
        ("10", [-1, 10.5], [0, 10]),
        ("10:", [9.9, -1], [10, 1e9]),
        ("~:10", [10.1], [-1e9, 10]),
        ("10:20", [9, 21], [10, 20]),
        ("@10:20", [10, 15, 20], [9, 21]),
        (":5", [-1, 6], [0, 5]),
        ("-5:-1.5", [0, -6], [-5, -1.5]),
    ],
)
def test_ranges_are_those_of_the_guidelines(
    text: str, alerts: List[float], quiet: List[float]
) -> None:
    found = Range(text)
    assert all(found.alerts(value) for value in alerts)
    assert not any(found.alerts(value) for value in quiet)


@pytest.mark.parametrize("text", ["", "a", "@", ":", "1:2:3", "2:1", "10s", "1 "])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="not a range"):
        Range(text)


# --- status ---------------------------------------------------------------------------------------


def test_status_ends_with_the_open_breaker(site: Site) -> None:
    open_breaker(site, 400)
    counts, who, last = site.run("status").stdout.splitlines()
    assert counts == "0 open, 0 queued, 0 dead"
    assert who == "no worker: each notification delivers; the breaker is open"
    assert last.startswith("BlueRockTEL is out of reach: the breaker is open since 20")
    assert "until 20" in last
    assert last.endswith(ERROR)
    breaker = json.loads(site.run("status", "--json").stdout)["breaker"]
    assert breaker["open"]
    assert breaker["since"] < breaker["until"]
    assert breaker["error"] == ERROR


def test_status_without_an_outage_says_nothing_of_it(site: Site) -> None:
    counts, last = site.run("status").stdout.splitlines()
    assert counts == "0 open, 0 queued, 0 dead"
    assert "the breaker is closed" in last
    breaker = json.loads(site.run("status", "--json").stdout)["breaker"]
    assert breaker == {"open": False, "since": None, "until": None, "error": None}


def test_status_of_a_folder_that_cannot_be_read(site: Site, tmp_path: Path) -> None:
    site.state_dir.mkdir()
    (site.state_dir / "queue").write_text("")
    assert str(site.state_dir / "queue") in site.run("status", code=75).stderr
