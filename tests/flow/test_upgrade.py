"""An upgrade while a worker runs, and what an older version left behind."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Dict, List

import pytest
from support import ENVIRONMENT, PATIENCE, Site, until

import brtel_notify
from brtel_notify.intake.queue import Queue

PACKAGE = Path(brtel_notify.__file__).parent
BEFORE = "nagios4-service-problem"
AFTER = "nagios4-service-recovery"
#: A state folder and its desk, as 932417d left them in the middle of an outage; see make.py there.
LEFT = Path(__file__).resolve().parents[1] / "data" / "state-932417d"
#: Which of its tickets are open once all is delivered; how often each text is told beside these.
IS_OPEN = {
    "acme.3cx.fr": [True, True, True],
    **{f"open{number}.example.net": [number not in (1, 4)] for number in range(1, 7)},
    **{f"{name}.example.net": [True] for name in ("group", "new1", "new2", "new3", "dead")},
    "brief.example.net": [False],
}


def installed_below(folder: Path) -> Path:
    """An installation of its own: the package, with the templates inside as in a wheel."""
    library = folder / "lib"
    shutil.copytree(PACKAGE, library / "brtel_notify", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parent / "templates", library / "brtel_notify" / "templates")
    return library


def command(library: Path, site: Site, *words: str) -> List[str]:
    """A command line of that installation, as its console script begins."""
    start = f"import sys; sys.path.insert(0, {str(library)!r}); "
    start += "from brtel_notify.cli import entry; entry()"
    return [sys.executable, "-I", "-c", start, *site.words(*words)[3:]]


def test_a_running_worker_delivers_when_all_its_modules_have_moved(site: Site) -> None:
    """Opening, notes, a rule, a call that is put off, and the closing: none is loaded only then."""
    site.configure(
        "rules:\n  - when: customer.vip\n    set: {tags: [vip]}\nlifecycle: {on_repeat: note}\n"
    )
    library = installed_below(site.folder)
    worker = subprocess.Popen(
        command(library, site, "worker"), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    said: List[str] = []
    assert worker.stderr is not None
    lines = worker.stderr
    listener = threading.Thread(target=lambda: said.extend(lines), daemon=True)
    listener.start()
    try:
        until(lambda: any("worker: delivering from" in line for line in said))
        for module in (library / "brtel_notify").rglob("*.py"):
            module.unlink()
        shutil.rmtree(library / "brtel_notify" / "__pycache__", ignore_errors=True)
        site.notify(BEFORE)
        until(lambda: site.tickets and site.queued() == [])
        site.notify(BEFORE, "SERVICEOUTPUT=still down")
        until(lambda: site.queued() == [] and len(site.the_ticket()["replies"]) == 2)
        site.sandbox.faults(fail={"status": 429, "retry_after": 1, "next": 1})
        site.notify(AFTER)
        until(lambda: not site.the_ticket()["open"] and site.queued() == [])
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0
        listener.join(PATIENCE)
        lines.close()
    assert "unforeseen" not in "".join(said)
    assert site.queued("dead") == []


# --- files of another version ---------------------------------------------------------------------

OLD_FILES = sorted((Path(__file__).parents[1] / "data" / "queue-932417d").iterdir())


def test_what_932417d_queued_in_an_outage_is_delivered_with_what_came_after(site: Site) -> None:
    """Its own files: one tried before, one with bytes that are no UTF-8. Both kinds, one queue."""
    site.sandbox.faults(fail={"status": 503})
    site.notify("nagios4-host-problem")
    for path in OLD_FILES:
        shutil.copy(path, site.state_dir / "queue")
    site.notify(AFTER)  # the recovery of a problem that the older version captured
    listed = json.loads(site.run("queue", "list", "--json").stdout)
    assert len(listed) == len(OLD_FILES) + 2
    assert {event["error"] for event in listed if not event["attempts"]} == {""}
    site.sandbox.clear_faults()
    site.run("flush", "--force")
    assert site.queued() + site.queued("dead") == []
    is_open = {ticket["subject"]: ticket["open"] for ticket in site.tickets}
    assert (len(is_open), len(site.tickets)) == (5, 5)
    assert [name for name in is_open if not is_open[name]] == ["CRITICAL: acme.3cx.fr - SIP trunk"]
    assert "à bout: caf" in json.dumps(site.tickets, ensure_ascii=False)


#: What 932417d, and the version after it, gave up a newer file with.
UNREAD = (
    "{}.jsonl: its first line is no capture",
    "{}.jsonl: is damaged: its first line, what the monitoring passed, cannot be read",
)


def given_up(site: Site, capture: str, why: str) -> str:
    """An event that lies in ``dead`` because a worker of an older version gave it up; its id."""
    site.sandbox.faults(fail={"status": 503})
    before = set(site.queued())
    site.notify(capture)
    (path,) = set(site.queued()) - before
    queue = Queue(str(site.state_dir))
    queue.bury(path.stem, why.format(path.stem))
    site.sandbox.clear_faults()
    (site.state_dir / "breaker.json").unlink()
    return path.stem


@pytest.mark.parametrize("why", UNREAD)
def test_what_an_older_version_gave_up_unread_is_put_back_by_hand(site: Site, why: str) -> None:
    event_id = given_up(site, BEFORE, why)
    shown = json.loads(site.run("queue", "show", event_id, "--json").stdout)
    assert shown[0]["capture"]["env"]["NAGIOS_HOSTNAME"] == "acme.3cx.fr"
    assert site.run("queue", "show", event_id).stdout.count("acme.3cx.fr") > 1
    site.run("queue", "retry", "--all")
    assert site.the_ticket()["open"]
    assert site.queued("dead") == []


@pytest.mark.short
def test_the_worker_of_the_new_version_takes_it_back_and_nothing_else(site: Site) -> None:
    given_up(site, BEFORE, UNREAD[0])
    refused = given_up(site, "nagios4-host-problem", "no customer: nobody owns it")
    given_up(site, AFTER, UNREAD[1])
    worker = subprocess.Popen(site.words("worker"), stderr=subprocess.PIPE, env=ENVIRONMENT)
    try:
        until(lambda: site.tickets and not site.the_ticket()["open"])
    finally:
        worker.send_signal(signal.SIGTERM)
        said = worker.communicate()[1].decode()
    assert said.count("an older version could not read it; put back") == 2
    assert [path.stem for path in site.queued("dead")] == [refused]


def test_the_console_script_of_an_older_version_still_starts(site: Site) -> None:
    """It imports brtel_notify.cli; so do the words that the program starts itself with."""
    done = subprocess.run(
        [sys.executable, "-c", "from brtel_notify.cli import entry; entry()", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"brtel-notify {brtel_notify.__version__}\n"


def taken_over(site: Site) -> None:
    """The machine is as 932417d left it."""
    shutil.copytree(LEFT, site.state_dir, ignore=shutil.ignore_patterns("desk.json", "make.py"))
    site.sandbox.seed(**json.loads((LEFT / "desk.json").read_text()))


def open_by_host(site: Site) -> Dict[str, List[bool]]:
    """Of each host's tickets, whether they are open."""
    found: Dict[str, List[bool]] = {}
    for ticket in site.tickets:
        (host,) = re.findall(r": (\S+) - ", ticket["subject"])
        found.setdefault(host, []).append(ticket["open"])
    return found


def told(site: Site) -> Counter[str]:
    """How often each text is told: in a ticket and its details once, and in every further note."""
    count: Counter[str] = Counter()
    for ticket in site.tickets:
        notes = [reply["body"] for reply in ticket["replies"]]
        opening = ticket["body"] + "".join(note for note in notes if "Alert details" in note)
        further = [note for note in notes if "Alert details" not in note]
        for text in (opening, *further):
            count.update(set(re.findall(r"text-[a-z0-9-]+", text)))
    return count


@pytest.mark.short
@pytest.mark.parametrize("how", ["flush", "worker"])
def test_what_an_older_version_left_in_an_outage_is_taken_over(site: Site, how: str) -> None:
    """Open tickets, group tickets, calls in doubt, what is only stored, what is in dead/."""
    taken_over(site)
    texts = set(re.findall(r"text-[a-z0-9-]+", json.dumps([path.read_text() for path in files()])))
    if how == "worker":
        worker = subprocess.Popen(site.words("worker"), stderr=subprocess.DEVNULL, env=ENVIRONMENT)
        try:
            until(lambda: site.queued() == [])
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(PATIENCE) == 0
    else:
        site.run("flush", "--force")
    site.run("queue", "retry", "--all")
    assert site.queued() == site.queued("dead") == []
    assert open_by_host(site) == IS_OPEN
    assert told(site) == Counter(texts)
    recover(site)
    assert {host: any(are) for host, are in open_by_host(site).items()} == dict.fromkeys(
        IS_OPEN, False
    )
    assert {host: len(are) for host, are in open_by_host(site).items()} == {
        host: len(are) for host, are in IS_OPEN.items()
    }


def files() -> List[Path]:
    """What 932417d was told: its queue, and the tickets that it had opened."""
    return [*LEFT.glob("queue/*"), *LEFT.glob("dead/*"), LEFT / "desk.json"]


def recover(site: Site) -> None:
    """All is well again."""
    for capture in ("zabbix6-recovery", "librenms-recovery", "icinga2-service-recovery"):
        site.notify(capture)
    for host in IS_OPEN.keys() - {"acme.3cx.fr"}:
        site.notify(AFTER, f"HOSTNAME={host}")
    site.notify(AFTER, "HOSTNAME=group.example.net", "SERVICEDESC=Backup")
