"""The pages for people that are no recipes: quick start, operations, security, and the index.

Every command in them is run, every configuration loaded, what they show compared with what comes;
the claims between the blocks are looked up where that can be done (PROOFS, by section).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest
from playing import CHECKOUT, CONFIG, DOCS, Machine, Section, play, sections

from brtel_notify.delivery.lock import DrainLock
from brtel_notify.intake.withheld import is_secret
from brtel_notify.sandbox.testing import SandboxProcess

PAGES = ("README", "quick-start", "recipes", "operations", "security")
ACME, LUMIERE = 42, 7
DOWN = "brtel-notify event --host acme.3cx.fr --state DOWN"
UP = "brtel-notify event --host acme.3cx.fr --state UP"


# --- what goes before some blocks ----------------------------------------------------------------


def down(machine: Machine) -> None:
    """An outage in which the next probe is never due, however slow the commands are."""
    machine.sandbox.faults(fail={"status": 503})
    file = machine.site.state_dir / "breaker.json"
    later = r's/("retry_at": )[0-9.]+/\1'
    machine.stub(
        "brtel-notify",
        f'"{sys.executable}" -m brtel_notify "$@"\ncode=$?\n'
        f"[ ! -e '{file}' ] || sed -i -E '{later}'$(($(date +%s) + 500))/ '{file}'\nexit $code",
    )


def up(machine: Machine) -> None:
    machine.sandbox.clear_faults()


def a_dead_event(machine: Machine) -> None:
    machine.configure("customer: {fallback: null}")
    machine.run("brtel-notify event --host unknown.example --state DOWN", code=65)


def another_dead_event(machine: Machine) -> None:
    machine.run("brtel-notify event --host acme.3cx.fr", code=65)  # neither up nor down


def mended(machine: Machine) -> None:
    machine.configure("customer: {fallback: CL000001}")


def a_slip(machine: Machine) -> None:
    path = machine.site.config_file
    path.write_text(path.read_text().replace("priority:", "priorty:"))
    machine.run(DOWN, code=78)
    assert machine.run("brtel-notify check", code=3).startswith("BRTEL-NOTIFY UNKNOWN")


def no_slip(machine: Machine) -> None:
    machine.configure("{}")


def a_ticket(machine: Machine) -> None:
    machine.run(DOWN)


def collector(machine: Machine) -> None:
    machine.run(DOWN)
    (machine.root / "var/lib/prometheus/node-exporter").mkdir(parents=True)


def a_snapshot(machine: Machine) -> None:
    """A state folder that is older than what happened: a ticket that has been closed since."""
    state, copy = machine.site.state_dir, machine.root / "copy"
    machine.run(DOWN)
    machine.run("brtel-notify event --host lumiere.3cx.fr --state DOWN")
    shutil.copytree(state, copy)
    machine.run(UP)
    shutil.rmtree(state)
    shutil.copytree(copy, state)
    # Why an old map is worse than none: the new problem passes for the old one.
    assert "the same problem again" in machine.run(DOWN)
    assert [ticket["open"] for ticket in machine.site.tickets] == [False, True]


def database_set_back(machine: Machine) -> None:
    """BlueRockTEL has forgotten our ticket, and given its id to a person's."""
    machine.run(DOWN)
    machine.run("brtel-notify event --host lumiere.3cx.fr --state DOWN")
    ours, kept = machine.site.tickets
    by_hand = {"ticketable_id": LUMIERE, "subject": "Invoice", "body": "<p>?</p>", "replies": []}
    machine.sandbox.seed(replace=True, tickets=[{**ours, **by_hand}, kept])


def nagios_user(machine: Machine) -> None:
    machine.add_users(nagios=os.getuid())


def empty_machine(machine: Machine) -> None:
    """One with Nagios on it; ``init`` and ``install`` work below its root."""
    nagios_user(machine)
    machine.monitor("nagios")
    (machine.root / "etc/systemd/system").mkdir(parents=True)


def its_own_root(machine: Machine) -> None:
    """What ``init`` wrote names the paths of the machine, whose root is another for this test."""
    text = machine.site.config_file.read_text()
    assert "token_file: /etc/brtel-notify/token " in text
    machine.site.config_file.write_text(machine.here(text))


def plain_http(machine: Machine) -> None:
    path = machine.site.config_file
    path.write_text(path.read_text().replace(machine.sandbox.url, "http://bluerocktel.example/api"))


HOOKS: Dict[str, Callable[[Machine], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        *(
            down,
            up,
            a_dead_event,
            another_dead_event,
            mended,
            a_slip,
            no_slip,
            a_ticket,
            collector,
            a_snapshot,
        ),
        *(database_set_back, nagios_user, empty_machine, its_own_root, plain_http),
    )
}


# --- what the pages say besides ------------------------------------------------------------------


def prove_outage(machine: Machine) -> None:
    assert [ticket["ticketable_id"] for ticket in machine.site.tickets] == [ACME, LUMIERE]
    with DrainLock(str(machine.site.state_dir)):  # as a worker holds it
        said = machine.run("brtel-notify flush --force")
    assert "another brtel-notify is delivering" in said


def prove_dead_events(machine: Machine) -> None:
    assert len(machine.site.tickets) == 1  # the one that a fallback customer helped
    assert machine.site.queued() == machine.site.queued("dead") == []


def prove_wrong_configuration(machine: Machine) -> None:
    assert len(machine.site.tickets) == 1
    assert machine.site.queued() == []
    machine.configure('rules: [{when: "1 / 0", set: {priority: Low}}]')
    machine.run("brtel-notify event --host lumiere.3cx.fr --state DOWN")
    assert "opened without it" in machine.site.tickets_of(LUMIERE)[0]["body"]
    # A new token needs no restart; until then the event waits.
    token = machine.root / "etc/brtel-notify/token"
    token.write_text("revoked")
    machine.run(DOWN.replace("DOWN", "DOWN --service x"), code=78)
    token.write_text(machine.sandbox.token)
    machine.run("brtel-notify flush --force")
    assert len(machine.site.tickets) == 3


def prove_by_hand(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    assert not ticket["open"]
    assert ticket["time"] == 15
    assert any("18:00" in reply["body"] for reply in ticket["replies"])
    assert not any(reply["customer_visible"] for reply in ticket["replies"])
    assert "Urgent" in machine.printed
    machine.run(DOWN)  # it repeats: on_closed_by_hand is new
    assert [one["open"] for one in machine.site.tickets] == [False, True]


def prove_watching(machine: Machine) -> None:
    file = machine.root / "var/lib/prometheus/node-exporter/brtel-notify.prom"
    text = file.read_text()
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    for name in re.findall(r"brtel_notify_\w+", page):
        assert f"# TYPE {name} " in text
    assert (CHECKOUT / "zabbix/template_brtel_notify.yaml").exists()
    for drop_in in ("brtel-notify.cfg", "brtel-notify-icinga2.conf"):
        text = (CHECKOUT / "nagios" / drop_in).read_text(encoding="utf-8")
        assert re.search(r'brtel-notify(?: |", ")check', text), drop_in


def prove_logs(machine: Machine) -> None:
    line = json.loads(machine.log.read_text().splitlines()[-1])
    assert line["decision"] == "closed"
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    named = re.search(r"as objects, with (.*?):", page, re.DOTALL)
    assert named is not None
    assert set(re.findall(r"`(\w+)`", named[1])) <= set(line)


def prove_restored(machine: Machine) -> None:
    machine.run(DOWN)
    machine.run("brtel-notify event --host lumiere.3cx.fr --state UP")
    acme = machine.site.tickets_of(ACME)
    assert [ticket["open"] for ticket in acme] == [True]  # the same one, reopened
    assert not machine.site.tickets_of(LUMIERE)[0]["open"]
    # With grouping, the next recovery is noted, and no more.
    machine.configure("ticket: {group_by: host}")
    machine.run("brtel-notify event --host clinique-parc.3cx.fr --state DOWN")
    shutil.rmtree(machine.site.state_dir)
    machine.run("brtel-notify event --host clinique-parc.3cx.fr --state UP")
    assert machine.site.tickets[-1]["open"]
    # What is in the archive.
    archive = machine.root / "var/backups/brtel-notify.tar.gz"
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    names = machine.run("tar -tzf /var/backups/brtel-notify.tar.gz")
    assert "etc/brtel-notify/config.yml" in names
    assert not re.search("state.json|/queue|/cache", names)
    # A damaged map is set aside.
    (machine.site.state_dir / "state.json").write_text("{")
    machine.run("brtel-notify flush")
    machine.run(DOWN)
    assert list(machine.site.state_dir.glob("state.json.damaged-*"))


def prove_database(machine: Machine) -> None:
    shown = machine.printed
    assert "event:acme.3cx.fr" in shown
    machine.run(UP)
    machine.run("brtel-notify event --host lumiere.3cx.fr --state UP")
    by_hand, ours = machine.site.tickets
    assert by_hand["open"]  # though it has the id that was ours
    assert by_hand["replies"] == []
    assert not ours["open"]
    machine.run(DOWN)
    assert [ticket["open"] for ticket in machine.site.tickets] == [True, False, True]


def prove_disk_full(machine: Machine) -> None:
    said = machine.run(f"ulimit -f 0\n{DOWN}", code=75)
    assert "could not be stored" in said
    assert machine.site.queued() == []
    machine.run(DOWN)
    assert len(machine.site.tickets) == 1


def prove_growing(machine: Machine) -> None:
    helps = machine.run("brtel-notify worker --help")
    assert "--threads" in helps
    assert "default 4" in " ".join(helps.split())


def prove_modes(machine: Machine) -> None:
    state = machine.site.state_dir
    for path in (state, *state.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    seen = subprocess.run(
        ["grep", "-rl", machine.sandbox.token, str(state)], capture_output=True, check=False
    )
    assert seen.stdout == b""


def prove_alerts_are_data(machine: Machine) -> None:
    ticket = machine.site.the_ticket()
    for text in (ticket["subject"], ticket["body"], *(r["body"] for r in ticket["replies"])):
        assert "<script" not in text
        assert "uid=" not in text
        assert "49" not in re.sub(r"BN-\w+|\d\d:\d\d:\d\d", "", text)
    shown = "".join(reply["body"] for reply in ticket["replies"]) + ticket["body"]
    assert "{ { 7 * 7 }}" in shown


def prove_left_out(machine: Machine) -> None:
    """The names that the page says, and no others that a secret is known by."""
    page = (DOCS / "security.md").read_text(encoding="utf-8")
    part = page[page.index("## What is left out") : page.index("| system |")]
    ends, parts = (re.findall(r"`([A-Z]+)`", line) for line in part.split("\n- ")[1:])
    assert (ends, len(parts)) == (["CHECKCOMMAND", "PASS", "ARG"], 8)
    assert all(is_secret(f"x{word}1" if word == "ARG" else f"x{word}") for word in ends)
    assert not any(is_secret(f"x{word}x") for word in ends)
    assert all(is_secret(f"x{word}x") for word in parts)
    assert "public" not in machine.printed


def prove_units(machine: Machine) -> None:
    page = (DOCS / "security.md").read_text(encoding="utf-8")
    part = page[page.index("## The units") : page.index("## If the monitoring")]
    units = machine.printed
    for word in re.findall(r"`([A-Z]\w+(?:=\w+)?)`", part):
        assert word in units, word


PROOFS: Dict[str, Callable[[Machine], None]] = {
    "BlueRockTEL is down": prove_outage,
    "Dead events": prove_dead_events,
    "The configuration is wrong": prove_wrong_configuration,
    "One ticket by hand": prove_by_hand,
    "Watch it": prove_watching,
    "Logs": prove_logs,
    "Back up and restore": prove_restored,
    "After BlueRockTEL's database was restored": prove_database,
    "The disk is full": prove_disk_full,
    "Growing": prove_growing,
    "What is stored where": prove_modes,
    "What is left out": prove_left_out,
    "What an alert can do": prove_alerts_are_data,
    "The units": prove_units,
}
SECTIONS = [
    section
    for page in ("operations", "security")
    for section in sections(page)
    if section.blocks or section.title in PROOFS
]


@pytest.mark.parametrize("section", SECTIONS, ids=str)
def test_the_section_says_the_truth(
    section: Section, tmp_path: Path, sandbox: SandboxProcess
) -> None:
    machine = Machine(tmp_path, sandbox)
    play(section, machine, HOOKS)
    if section.title in PROOFS:
        PROOFS[section.title](machine)


@pytest.mark.short
def test_every_proof_has_its_section() -> None:
    assert set(PROOFS) <= {section.title for section in SECTIONS}


@pytest.mark.short
def test_the_quick_start_leads_to_a_ticket(tmp_path: Path, sandbox: SandboxProcess) -> None:
    blocks = [block for section in sections("quick-start") for block in section.blocks]
    machine = Machine(tmp_path, sandbox)
    play(Section("quick-start", "", blocks), machine, HOOKS)
    ticket = machine.site.the_ticket()
    assert ticket["contacts"] == [88]
    assert "BN-" in ticket["body"]
    assert not ticket["open"]
    assert (tmp_path / "etc/nagios4/conf.d/brtel-notify.cfg").exists()
    assert (tmp_path / "etc/systemd/system/brtel-notify-worker.service").exists()
    config = tmp_path / "etc/brtel-notify/config.yml"
    assert stat.S_IMODE(config.stat().st_mode) == 0o640


# --- the systems' pages, up to where their drop-in comes ------------------------------------------

#: Each with what `init` and `install` call its system, and whom that runs as.
SYSTEM_PAGES = {
    "nagios": ("nagios", "nagios"),
    "icinga2": ("icinga", "nagios"),
    "zabbix": ("zabbix", "zabbix"),
    "librenms": ("librenms", "librenms"),
}
CONFIG_FILE, TOKEN = "etc/brtel-notify/config.yml", "etc/brtel-notify/token"
STATE = "var/lib/brtel-notify"
INIT = """\
brtel-notify init --url acme.bluerocktel.net --token-file - --priority High --category \
    Infrastructure --sub-category "PBX / 3CX" --fallback CL000001 --group brtel-notify \
    < /etc/brtel-token"""


def system_machine(page: str, tmp_path: Path, sandbox: SandboxProcess) -> Machine:
    """A machine with the system of PAGE, whose user shares a group with others."""
    machine = Machine(tmp_path, sandbox)
    system, user = SYSTEM_PAGES[page]
    machine.monitor(system)
    machine.add_users("brtel-notify", **{user: 23456 if os.geteuid() == 0 else os.getuid()})
    pip = tmp_path / "opt/brtel-notify/bin/pip"
    pip.parent.mkdir(parents=True)
    pip.write_text("#!/bin/sh\n")
    pip.chmod(0o755)
    machine.stub("python3", f'[ "$*" = "-m venv {tmp_path}/opt/brtel-notify" ]')
    return machine


def follow_to_step_3(page: str, machine: Machine, configure: bool) -> None:
    """Type what steps 1 and 2 of PAGE say, the way by hand, too."""
    first, second = (part for part in sections(page) if part.title[:2] in ("1.", "2."))
    shown = "".join(block.text for block in second.blocks)
    for words in (f"/{TOKEN}", f"/{STATE}", "brtel-notify test"):
        assert words in shown
    for block in (*first.blocks, *second.blocks):
        if block.language == "yaml" and configure:
            (machine.root / TOKEN).write_text(machine.sandbox.token)
            machine.configure(block.text)
        elif block.language == "sh" and "syntax" not in block.info:
            machine.run(block.text)


def what_is_there(machine: Machine) -> Dict[str, Tuple[int, int, int, bytes]]:
    """The folders and files of step 2: owner, group, mode and content."""
    found = {}
    for name in ("etc/brtel-notify", CONFIG_FILE, TOKEN, STATE):
        path = machine.root / name
        if path.exists():
            status = path.stat()
            content = b"" if path.is_dir() else path.read_bytes()
            found[name] = (status.st_uid, status.st_gid, status.st_mode, content)
    return found


@pytest.mark.parametrize("page", SYSTEM_PAGES)
def test_the_first_steps_of_a_page_change_nothing_after_init(
    page: str, tmp_path: Path, sandbox: SandboxProcess
) -> None:
    machine = system_machine(page, tmp_path, sandbox)
    machine.run(INIT)
    its_own_root(machine)
    before = what_is_there(machine)
    uid, gid = os.getuid(), 23457 if os.geteuid() == 0 else os.getgid()
    if uid == 0:  # else `init` gives nothing away
        assert before[STATE] == (0, gid, stat.S_IFDIR | 0o2770, b"")
        assert before[TOKEN][:3] == (0, gid, stat.S_IFREG | 0o640)
    follow_to_step_3(page, machine, configure=False)
    after = what_is_there(machine)
    assert {path: after[path] for path in before} == before
    assert "credentials: accepted" in machine.run("brtel-notify test")


@pytest.mark.parametrize("page", SYSTEM_PAGES)
def test_the_first_steps_of_a_page_can_be_done_by_hand_and_again(
    page: str, tmp_path: Path, sandbox: SandboxProcess
) -> None:
    machine = system_machine(page, tmp_path, sandbox)
    follow_to_step_3(page, machine, configure=True)
    before = what_is_there(machine)
    assert before[STATE][2] == stat.S_IFDIR | 0o700
    assert before[TOKEN][2] == stat.S_IFREG | 0o640
    if os.getuid() == 0:
        assert before[STATE][0] == before[TOKEN][1] == 23456
    follow_to_step_3(page, machine, configure=False)
    assert what_is_there(machine) == before
    assert "credentials: accepted" in machine.run("brtel-notify test")


@pytest.mark.parametrize("page", SYSTEM_PAGES)
def test_a_page_sends_who_ran_init_to_step_3(page: str) -> None:
    introduction = (DOCS / f"{page}.md").read_text(encoding="utf-8").partition("\n## 1.")[0]
    asked = r"Did you run `init`\? \[Go on at step 3\]\(#(3-[\w-]+)\)"
    (anchor,) = re.findall(asked, introduction)
    assert anchor in anchors(DOCS / f"{page}.md")


# --- links, and what every page owes its reader --------------------------------------------------


def anchors(page: Path) -> List[str]:
    """The anchors of a page's headings, as the usual viewers make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.short
@pytest.mark.parametrize("page", [*PAGES, *SYSTEM_PAGES])
def test_no_link_leads_nowhere(page: str) -> None:
    path = DOCS / f"{page}.md"
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (DOCS / file) if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.short
@pytest.mark.parametrize("page", [*PAGES, *SYSTEM_PAGES])
def test_every_command_that_is_named_exists(page: str) -> None:
    from brtel_notify.cli import COMMANDS
    from brtel_notify.sources.registry import NAMES

    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    for word in re.findall(r"(?:^|`|sudo )brtel-notify ([a-z]+)\b", text, re.MULTILINE):
        assert word in {*COMMANDS, *NAMES}, word


@pytest.mark.short
def test_the_index_names_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    for page in DOCS.glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page.name


def test_the_configuration_of_the_pages_is_that_of_the_tests() -> None:
    """Recipes are added to what their page shows first."""
    (shown,) = [
        block.text
        for section in sections("recipes")
        for block in section.blocks
        if block.text.startswith("api:")
    ]
    assert shown == CONFIG
