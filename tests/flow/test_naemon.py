"""The life of an alert as Naemon sends it, and what Nagios 4.5 sends when something flapped.

Naemon's notifications are written by hand (tests/data/naemon-1.5.yaml says from what), and go
through the commands of the shipped drop-in, whose macros are filled in here as Naemon does.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml
from support import Site
from test_occurrences import SERVICE, SERVICE_OK, close_by_hand, is_open, member, notes

from brtel_notify.local import shipped_files

LIFE = yaml.safe_load((Path(__file__).parents[1] / "data" / "naemon-1.5.yaml").read_text())


def command_line(name: str) -> str:
    """The command NAME of the drop-in, its lines joined as Naemon joins them."""
    text = (Path(shipped_files.folder("nagios")) / "brtel-notify.cfg").read_text()
    joined = re.sub(r"\\\n\s*", "", text)
    (found,) = re.findall(rf"command_name +{name}\n +command_line +(.+)\n", joined)
    return str(found)


class Naemon:
    """A daemon that has one host or one service: it keeps what the notifications say."""

    def __init__(self, site: Site, thing: str) -> None:
        self.site = site
        self.line = command_line(f"brtel-notify-{thing}")
        self.macros: Dict[str, str] = dict(LIFE[thing]["macros"])

    def sends(self, changed: Dict[str, str]) -> str:
        """One notification, in which those macros are others than before; what the command said."""
        self.macros.update(changed)
        filled = re.sub(
            r"\$(_?[A-Z_]+)\$",
            # A custom variable that nobody set stays as it stands; a built-in one is empty
            lambda found: self.macros.get(found[1], found[0] if found[1][0] == "_" else ""),
            self.line,
        )
        _, *words = shlex.split(filled)
        return self.site.run(*words).stdout


def occurrence(site: Site) -> Any:
    return member(site)["occurrence"], member(site)["by"]


@pytest.mark.short
def test_the_life_of_a_service_on_naemon(site: Site) -> None:
    site.configure("severities: {critical: {priority: Urgent}, warning: {priority: Low}}\n")
    naemon, ours = Naemon(site, "service"), ("1795285772", "LASTSERVICEOK")
    warning, critical, reminder, acknowledged, begins, recovery, ends = LIFE["service"][
        "notifications"
    ]
    naemon.sends(warning)
    ticket = site.the_ticket()
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (42, 1)
    assert occurrence(site) == ours
    naemon.sends(critical)
    assert site.the_ticket()["priority_id"] == 3
    assert occurrence(site) == ours
    site.calls()
    assert "the same problem again" in naemon.sends(reminder)
    assert site.calls() == []
    assert "acknowledgement noted" in naemon.sends(acknowledged)
    assert "downtime noted" in naemon.sends(begins)
    assert (occurrence(site), is_open(site)) == (ours, [True])
    assert ": closed: " in naemon.sends(recovery)  # within the downtime
    assert is_open(site) == [False]
    naemon.sends(ends)
    assert is_open(site) == [False]
    assert [text for text in notes(site) if "Recovered" in text] == notes(site)[-2:-1]


@pytest.mark.parametrize("hard_recovery", [False, True])
def test_a_service_of_naemon_that_flaps(site: Site, hard_recovery: bool) -> None:
    naemon = Naemon(site, "service")
    naemon.sends(LIFE["service"]["next problem"])
    assert occurrence(site) == ("1795290580", "LASTSERVICEOK")
    starts, stops, recovery, again = LIFE["service"]["flapping"]
    assert "flapping noted" in naemon.sends(starts)
    assert occurrence(site) == ("1795290580", "LASTSERVICEOK")
    assert ": closed: " in naemon.sends(stops)
    site.calls()
    for late in (recovery, *([again] if hard_recovery else [])):
        assert "closed already" in naemon.sends(late)
    assert site.calls() == []
    assert is_open(site) == [False]


def test_a_recovery_in_a_downtime_and_the_next_problem(site: Site) -> None:
    """What comes within the hour is another occurrence, in the same ticket."""
    naemon = Naemon(site, "service")
    for one in LIFE["service"]["notifications"]:
        naemon.sends(one)
    assert ": reopened: " in naemon.sends(LIFE["service"]["next problem"])
    assert occurrence(site) == ("1795290580", "LASTSERVICEOK")
    assert is_open(site) == [True]


@pytest.mark.short
def test_the_life_of_a_host_on_naemon(site: Site) -> None:
    naemon = Naemon(site, "host")
    down, unreachable, begins, up, cancelled = LIFE["host"]["notifications"]
    for one in (down, unreachable, begins):
        naemon.sends(one)
        assert occurrence(site) == ("1795285892", "LASTHOSTUP")
    assert ": closed: " in naemon.sends(up)
    naemon.sends(cancelled)
    assert is_open(site) == [False]


def test_naemons_ids_tell_two_problems_apart_that_never_were_well(site: Site) -> None:
    """They are UUIDs."""
    naemon = Naemon(site, "service")
    never = {"LASTSERVICEOK": "0"}
    first = {**LIFE["service"]["notifications"][0], **never}
    naemon.sends(first)
    assert occurrence(site) == (first["SERVICEPROBLEMID"], "SERVICEPROBLEMID")
    close_by_hand(site)
    assert "opened a new one" in naemon.sends({**LIFE["service"]["next problem"], **never})
    assert is_open(site) == [False, True]


def test_a_volatile_service_of_naemon_says_no_texts(site: Site) -> None:
    """Its results are told apart by their texts, which travel on no command line: one note."""
    naemon = Naemon(site, "service")
    first, second, third, *_ = LIFE["service"]["notifications"]
    said: List[str] = []
    for one in (first, {**second, "SERVICESTATE": "WARNING"}, {**third, "SERVICESTATE": "WARNING"}):
        said.append(naemon.sends({**one, "SERVICEISVOLATILE": "1"}))
    assert "opened" in said[0]
    assert all("the same text again" in one for one in said[1:])


# --- Nagios 4.5 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("began", ["CRITICAL", "OK"])
def test_nagios_4_5_sends_ok_behind_the_end_of_the_flapping(site: Site, began: str) -> None:
    """4.4 sends it only where the flapping began in a bad state."""
    site.notify(SERVICE)
    site.notify(SERVICE, "NOTIFICATIONTYPE=FLAPPINGSTART", f"SERVICESTATE={began}")
    assert is_open(site) == [True]
    assert ": closed: " in site.notify(SERVICE_OK, "NOTIFICATIONTYPE=FLAPPINGSTOP")
    assert is_open(site) == [False]
    told, _ = len(notes(site)), site.calls()
    assert "closed already" in site.notify(SERVICE_OK)
    assert site.calls() == []
    assert (is_open(site), len(notes(site))) == ([False], told)
