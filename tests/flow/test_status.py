"""``brtel-notify status``: the table, its width, who delivers, and looking again and again."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from support import Site, start

from brtel_notify.console import snapshot
from brtel_notify.console.tables import Painted, clip, table, width
from brtel_notify.delivery.lock import DrainLock

HOST = "nagios4-host-problem"


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("é", 1), ("e\u0301", 1), ("東京", 4), ("ﾊﾝ", 2), ("\u200b", 0), ("", 0)],
)
def test_width(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.short
@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [("abcdef", 6, "abcdef"), ("abcdef", 4, "abc…"), ("東京都", 5, "東京…"), ("東京都", 4, "東…")],
)
def test_clip(text: str, columns: int, shown: str) -> None:
    assert clip(text, columns) == shown
    assert width(shown) <= columns


def test_a_table_lines_up_whatever_is_in_it() -> None:
    rows: List[List[Any]] = [
        ["東京", "x"],
        ["réseau", "y"],
        [Painted("a\x1b[31m\nb", "red"), "z"],
        [None, "w"],
    ]
    head, *lines = table(("NAME", "V"), rows)
    starts = {width(line[:-1]) for line in lines}
    assert starts == {width(head[: head.index("V")])}
    assert "\x1b" not in "".join(lines)


def test_a_table_is_cut_where_it_may_be_and_no_further() -> None:
    rows = [["x" * 30, "y" * 60, "fixed"]]
    lines = table(("A", "B", "C"), rows, ("A", "B"), 40)
    assert [width(line) for line in lines] == [36, 40]
    assert lines[1].endswith("…  fixed")
    lines = table(("A", "B", "C"), rows, ("A", "B"), 10)  # too narrow a screen: still readable
    assert lines[1] == "xxxxxxx…  yyyyyyy…  fixed"


# --- status ---------------------------------------------------------------------------------------


@pytest.mark.short
def test_status_fits_a_screen_of_80_columns(site: Site) -> None:
    site.sandbox.seed(
        pbx_hosts=[],
        customers=[
            {"id": 1, "name": "株式会社東京ネットワークス電話" * 2, "customer_account": "CL000001"}
        ],
    )
    site.run("event", "--host", "very-long-host-name.core.paris.example.net", "--state", "DOWN")
    site.run("event", "--host", "réseau", "--state", "WARNING", "--severity", "warning")
    head, *rows, counts, _ = site.run("status", env={"COLUMNS": "80"}).stdout.splitlines()
    assert counts == "2 open, 0 queued, 0 dead"
    assert all(width(line) <= 80 for line in (head, *rows))
    assert {width(row[: row.index("event:")]) for row in rows} == {head.index("ALERT")}
    whole = site.run("status").stdout  # a pipe's reader gets everything
    assert "event:very-long-host-name.core.paris.example.net" in whole


def test_status_for_programs_says_where_the_api_has_the_ticket(site: Site) -> None:
    site.notify(HOST)
    data = json.loads(site.run("status", "--json").stdout)
    (row,) = data["tickets"]
    assert row["path"] == f"/v1/tickets/{site.the_ticket()['id']}"
    assert row["open"] is True
    assert data["delivering"] is None
    assert json.loads(site.run("api", row["path"]).stdout)["number"] == row["number"]


@pytest.mark.short
def test_what_waits_and_for_how_long(site: Site) -> None:
    site.sandbox.faults(fail={"status": 503})
    site.notify(HOST)
    assert "0 open, 1 queued, 0 dead; the oldest waits for" in site.run("status").stdout


@pytest.fixture
def worker(site: Site) -> Iterator[subprocess.Popen[bytes]]:
    process = start(site.words("worker"), {})
    assert process.stderr is not None
    assert b"delivering" in process.stderr.readline()
    yield process
    process.terminate()
    process.communicate(timeout=30)


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="the kernel does not say")
def test_the_worker_is_seen(site: Site, worker: subprocess.Popen[bytes]) -> None:
    assert f"the worker (process {worker.pid}) delivers" in site.run("status").stdout
    data = json.loads(site.run("status", "--json").stdout)
    assert data["delivering"] == {"pid": worker.pid, "is_worker": True}
    assert "brtel_notify_worker_running 1\n" in site.run("metrics").stdout


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="the kernel does not say")
def test_to_look_who_delivers_takes_no_lock(site: Site) -> None:
    site.notify(HOST)
    assert snapshot.holder(str(site.state_dir)) is None
    with DrainLock(str(site.state_dir)) as taken:
        assert taken
        # This process is no brtel-notify, unless its command line happens to say so.
        found = snapshot.holder(str(site.state_dir))
        assert found is None or found.pid == os.getpid()


# --- --watch --------------------------------------------------------------------------------------


def watching(site: Site, *words: str, **more: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(site.words("status", "--watch", "0.1", *words), **more)


def test_watch_in_a_pipe_prints_once_an_interval(site: Site) -> None:
    site.notify(HOST)
    with watching(site, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().decode() for _ in range(10)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert [line for line in lines if "\x1b" in line] == []
    assert sum(line.startswith("TICKET") for line in lines) == 2
    assert sum("every 0.1 s" in line for line in lines) == 2


def test_watch_for_programs_is_one_line_a_look_and_sees_what_changes(site: Site) -> None:
    site.notify(HOST)
    with watching(site, "--json", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert len(json.loads(process.stdout.readline())["tickets"]) == 1
        site.notify("nagios4-host-recovery")
        looks: Iterator[Dict[str, Any]] = map(json.loads, process.stdout)
        # The ticket is closed in the map before the event leaves the queue.
        assert any(not look["tickets"] and look["queue"] == 0 for look in looks)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_watch_goes_on_when_something_is_in_the_way(site: Site) -> None:
    site.notify(HOST)
    (site.state_dir / "state.json").write_text('{"version": 99, "tickets": {}}')
    with watching(site, "--json", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert "upgrade" in json.loads(process.stdout.readline())["error"]
        (site.state_dir / "state.json").unlink()
        assert any(json.loads(line).get("tickets") == [] for line in process.stdout)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def test_watch_on_a_terminal_writes_over_the_last_look(site: Site) -> None:
    site.notify(HOST)
    said, code = terminal_until(site, b"\x1b[H", 3)
    assert code == 0
    first = said.index("\x1b[H")
    assert said[:first].endswith("\x1b[2J")
    looks = said.split("\x1b[H")[1:-1]
    assert all("\x1b[2J" not in look for look in looks)  # cleared once: no flicker
    assert all(look.rstrip().endswith("\x1b[J") for look in looks)


def terminal_until(site: Site, mark: bytes, times: int) -> Tuple[str, int]:
    """What status --watch writes to a terminal until MARK came so often; then Ctrl-C."""
    ours, its = pty.openpty()
    process = watching(site, stdin=its, stdout=its, start_new_session=True)
    os.close(its)
    said = b""
    while said.count(mark) < times:
        said += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    rest: List[bytes] = []
    try:
        while True:
            rest.append(os.read(ours, 4096))
            if not rest[-1]:
                break
    except OSError:  # Linux, when the other side is closed
        pass
    os.close(ours)
    return (said + b"".join(rest)).decode(), process.wait(30)


def test_no_color_is_respected_on_a_terminal(site: Site) -> None:
    script = (
        "import sys\n"
        "from brtel_notify.console.output import paint\n"
        "sys.stdout.isatty = lambda: True\n"
        "print(paint('x', 'red'))\n"
    )
    for variables, shown in (({}, "\x1b[31mx\x1b[0m"), ({"NO_COLOR": "1"}, "x")):
        env = {**{k: v for k, v in os.environ.items() if k != "NO_COLOR"}, "TERM": "xterm"}
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**env, **variables},
            capture_output=True,
            check=True,
        )
        assert done.stdout.decode().rstrip("\n") == shown


def test_links_lead_to_the_tickets_pages(site: Site) -> None:
    site.notify(HOST)
    ticket = site.the_ticket()
    assert "http" not in site.run("status").stdout
    assert json.loads(site.run("status", "--json").stdout)["tickets"][0]["link"] is None
    page = "https://acme.bluerocktel.net/tickets/{id}?n={number}"
    text = site.config_file.read_text().replace("api:\n", f"api:\n  ticket_page: {page}\n")
    site.config_file.write_text(text)
    link = page.format(**ticket)
    assert link in site.run("status").stdout
    assert json.loads(site.run("status", "--json").stdout)["tickets"][0]["link"] == link
    assert link in site.run("ticket", str(ticket["id"])).stdout
    site.config_file.write_text("hue: blue\n")  # no reason to show nothing
    assert str(ticket["number"]) in site.run("status").stdout
