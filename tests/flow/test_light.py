"""How little a notification does: what it imports, and how often it does the same thing."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Set

import pytest
from observed import observe
from support import ENVIRONMENT, Site, load_capture

from brtel_notify.delivery.lock import NAME as LOCK
from brtel_notify.intake.capture_file import read

pytestmark = pytest.mark.short

PROBLEM = "nagios4-host-problem"
#: The command as it is installed.
SCRIPT = Path(__file__).resolve().parents[2] / "packaging" / "brtel-notify"
#: What only a call needs, by the first words of its name.
HEAVY = ("requests", "urllib3", "http.client", "http.cookiejar", "email", "random", "ssl")
#: All that storing an alert imports beside us: what is built into Python, or smaller than a page.
TO_STORE = {"__future__", "errno", "fcntl", "gc"}


def heavy(imported: Set[str]) -> Set[str]:
    """Of the modules IMPORTED those that only a call needs."""
    return {name for name in imported for word in HEAVY if (name + ".").startswith(word + ".")}


def test_a_delivery_shows_that_heavy_modules_would_be_seen(site: Site) -> None:
    seen = observe(site, PROBLEM)
    assert seen.said.startswith("delivered: ")
    assert {"requests", "urllib3", "http.client", "email", "ssl"} <= heavy(seen.imported)
    assert {"hashlib", "yaml", "jinja2"} <= seen.imported


@pytest.mark.parametrize("group_by", ["alert", "host", "customer"])
def test_a_repeated_problem_imports_nothing_that_only_a_call_needs(
    site: Site, group_by: str
) -> None:
    site.put_configuration(
        site.config_file.read_text().replace("ticket:", f"ticket:\n  group_by: {group_by}")
    )
    site.notify(PROBLEM)
    seen = observe(site, PROBLEM)
    assert "the same problem again" in seen.said
    assert seen.said.endswith(" 0 calls")
    assert heavy(seen.imported) == set()


def test_an_ignored_alert_imports_nothing_that_only_a_call_needs(site: Site) -> None:
    site.configure("rules:\n  - when: vars.QUIET\n    ignore: true\n")
    seen = observe(site, PROBLEM, "QUIET=yes")
    assert seen.said.startswith("ignored: ")
    assert heavy(seen.imported) == set()
    assert "jinja2" not in seen.imported


def test_an_alert_ignored_by_an_expression_imports_what_jinja_does_and_no_more(site: Site) -> None:
    """A condition that is more than a name is an expression of Jinja's.

    jinja2 imports random itself, twice over: in jinja2.filters, for its filter of that name, and by
    tempfile in jinja2.bccache. Nothing else that only a call needs comes with it.
    """
    site.configure("rules:\n  - when: \"state == 'DOWN'\"\n    ignore: true\n")
    seen = observe(site, PROBLEM)
    assert seen.said.startswith("ignored: ")
    assert "jinja2" in seen.imported
    assert heavy(seen.imported) <= {"random"}


def test_an_alert_queued_in_an_outage_imports_nothing_that_only_a_call_needs(site: Site) -> None:
    site.sandbox.faults(fail={"status": 503})
    site.notify(PROBLEM)
    site.next_probe_in(60)
    seen = observe(site, PROBLEM)
    assert seen.said.startswith("queued: BlueRockTEL is out of reach")
    assert heavy(seen.imported) | ({"typing", "hashlib", "yaml", "jinja2"} & seen.imported) == set()


@pytest.mark.parametrize(
    "capture",
    [
        *("nagios4-host-problem", "nagios4-service-recovery"),
        *("icinga2-host-problem", "icinga2-service-problem"),
        *("zabbix6-problem", "zabbix6-recovery"),
    ],
)
def test_an_alert_queued_behind_another_process_imports_nothing_else(
    site: Site, capture: str
) -> None:
    assert imported_to_store(site, capture) == set()


@pytest.mark.parametrize(
    ("stdin", "needed"),
    [
        ({"title": "à la volée", "state": 1}, False),
        ({"title": "x", "faults": {}}, True),
        ({"title": "x", "snmp_community": "public"}, True),
    ],
)
def test_librenms_is_read_before_it_is_stored_only_where_it_may_hold_a_secret(
    site: Site, stdin: Dict[str, Any], needed: bool
) -> None:
    document = json.dumps(stdin, ensure_ascii=False).encode()
    assert ("json" in imported_to_store(site, "librenms-problem", document)) is needed


def imported_to_store(site: Site, capture: str, stdin: Optional[bytes] = None) -> Set[str]:
    """What the command imports that is neither ours nor any Python's, while another delivers."""
    data = load_capture(capture)
    site.state_dir.mkdir(mode=0o700)
    words = [str(SCRIPT), *site.words(data["source"], *data.get("argv", []))[3:]]
    variables = {**ENVIRONMENT, **data.get("env", {}), "PYTHONPATH": str(SCRIPT.parents[1])}
    with open(site.state_dir / LOCK, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = _imports(words, variables, stdin or json.dumps(data.get("stdin")).encode())
    (stored,) = site.queued()
    assert read(stored.read_bytes())[0].source == data["source"]
    ours = {name for name in found if name.partition(".")[0] == "brtel_notify"}
    assert "brtel_notify.intake.storing" in ours
    return found - ours - TO_STORE - _imports(["-c", "import os, site"], variables, b"")


def _imports(words: List[str], env: Mapping[str, str], stdin: bytes) -> Set[str]:
    """What Python imports for WORDS; -S: without what the user's own start-up files do."""
    done = subprocess.run(
        [sys.executable, "-S", "-X", "importtime", *words],
        env=env,
        input=stdin,
        capture_output=True,
        check=True,
    )
    lines = done.stderr.decode().splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


#: How often a delivery does what costs something, at most, by the function that does it.
ONCE = {
    "intake.queue:_read": 1,
    "sources.registry:parse": 1,
    "alert:thing_of": 1,
    "config.schema:load": 1,
    "tickets.open_tickets:load": 1,
    "tickets.settings:settings_for": 1,
    # Taken once, and handed to the drain.
    "delivery.lock:take": 1,
    # Once the lock is ours; before that only where there is one.
    "delivery.breaker:read": 1,
}


def test_a_cold_delivery_reads_parses_and_plans_no_more_often_than_it_must(site: Site) -> None:
    site.run("test")  # finds the ids of the names
    seen = observe(site, PROBLEM)
    assert seen.said.endswith(" 6 calls")
    assert {name: seen.ran[name] for name in ONCE} == ONCE
    # The first plan, and one after each step but the two that go together.
    assert seen.ran["delivery.plan:plan"] == 4
    # Whose it is, the ticket's subject and body, its note.
    assert seen.ran["text.context:context_of"] == 3


def test_a_repeated_problem_is_read_parsed_and_planned_once(site: Site) -> None:
    site.notify(PROBLEM)
    seen = observe(site, PROBLEM)
    assert {name: seen.ran[name] for name in ONCE} == ONCE
    assert seen.ran["delivery.plan:plan"] == 1
    assert "text.context:context_of" not in seen.ran
