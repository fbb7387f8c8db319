"""``brtel-notify metrics``: what promtool and node_exporter's textfile collector accept."""

from __future__ import annotations

import os
import re
import stat
from typing import Dict, List, Tuple

import pytest
from support import Site

from brtel_notify.commands.metrics import exposition

DOWN = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")

_SAMPLE = re.compile(r'([a-z_]+)(?:\{([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"\})? (-?[0-9.e+]+)')


def parsed(text: str) -> Dict[Tuple[str, str], float]:
    """The samples by name and label value; the format is checked on the way.

    The rules are those of promtool check metrics: help and type before the samples, each once, and
    all samples of a metric together; base units; no type in a name, no _total and no _count.
    """
    assert text.endswith("\n")
    found: Dict[Tuple[str, str], float] = {}
    seen: List[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("# HELP "):
            _, _, name, meaning = line.split(" ", 3)
            assert name not in seen
            assert meaning.endswith(".")
            assert next(lines) == f"# TYPE {name} gauge"
            assert re.fullmatch(r"brtel_notify_[a-z_]+", name)
            assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_gauge"))
            assert not re.search("minute|hour|day|milli|_ms$", name)
            seen.append(name)
            continue
        match = _SAMPLE.fullmatch(line)
        assert match, line
        assert match[1] == seen[-1]
        key = (match[1].replace("brtel_notify_", ""), match[3] or "")
        assert key not in found
        found[key] = float(match[4])
    return found


def metrics(site: Site) -> Dict[Tuple[str, str], float]:
    return parsed(site.run("metrics").stdout)


@pytest.mark.short
def test_what_there_is_to_see(site: Site) -> None:
    site.run(*DOWN)
    site.run("event", "--host", "b", "--state", "WARNING", "--severity", "warning")
    site.run("event", "--host", "c", code=65)
    values = metrics(site)
    assert values["open_tickets", "critical"] == 1
    assert values["open_tickets", "warning"] == 1
    assert values["open_tickets", "info"] == 0
    assert values["dead_events", ""] == 1
    assert values["queue_events", ""] == 0
    assert values["queue_oldest_age_seconds", ""] == 0
    assert values["breaker_open", ""] == 0
    assert values["breaker_since_timestamp_seconds", ""] == 0
    assert values["worker_running", ""] == 0
    assert values["map_damaged", ""] == 0
    assert ("build_info", site.run("--version").stdout.split()[1]) in values


def test_an_outage(site: Site) -> None:
    site.sandbox.faults(fail={"status": 503})
    site.run(*DOWN)
    values = metrics(site)
    assert values["queue_events", ""] == 1
    assert values["queue_oldest_age_seconds", ""] > 0
    assert values["breaker_open", ""] == 1
    assert values["breaker_since_timestamp_seconds", ""] > 1.6e9


def test_a_damaged_map_is_told_and_left_alone(site: Site) -> None:
    site.run(*DOWN)
    (site.state_dir / "state.json").write_text("{")
    assert metrics(site)["map_damaged", ""] == 1
    assert (site.state_dir / "state.json").read_text() == "{"


def test_a_file_is_replaced_in_one_step_and_anybody_may_read_it(site: Site) -> None:
    site.run(*DOWN)
    folder = site.folder / "textfile"
    folder.mkdir()
    target = folder / "brtel.prom"
    target.write_text("old")
    before = target.stat().st_ino
    umask = os.umask(0o077)
    try:
        assert site.run("metrics", "--output", str(target)).stdout == ""
    finally:
        os.umask(umask)
    assert target.stat().st_ino != before
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert parsed(target.read_text())["open_tickets", "critical"] == 1
    assert os.listdir(folder) == ["brtel.prom"]


def test_a_file_that_cannot_be_written(site: Site) -> None:
    site.run(*DOWN)
    done = site.run("metrics", "--output", str(site.folder / "none" / "x.prom"), code=73)
    (line,) = done.stderr.splitlines()
    assert "none/x.prom" in line


def test_without_a_state_folder_an_old_file_is_kept(site: Site) -> None:
    target = site.folder / "x.prom"
    target.write_text("old")
    done = site.run("metrics", "-o", str(target), code=75)
    assert str(site.state_dir) in done.stderr
    assert target.read_text() == "old"


@pytest.mark.parametrize(
    ("value", "shown"), [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nb", r"a\nb"), ("é", "é")]
)
def test_escapes(value: str, shown: str) -> None:
    text = exposition(iter([("x", "One\ntwo.", [({"l": value}, 1.5)])]))
    assert text.splitlines()[0] == r"# HELP brtel_notify_x One\ntwo."
    assert text.splitlines()[2] == f'brtel_notify_x{{l="{shown}"}} 1.5'


def test_what_is_no_file_is_not_replaced(site: Site) -> None:
    site.run(*DOWN)
    output = site.folder / "null"
    output.symlink_to(os.devnull)
    done = site.run("metrics", "-o", str(output), code=None)
    assert done.returncode == 73
    assert output.is_symlink()
