"""``brtel-notify demo``: the main job, played on the sandbox with real captured notifications."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from brtel_notify.console.failures import fail
from brtel_notify.console.output import paint
from brtel_notify.local import command_line, interpreter
from brtel_notify.options import Options
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.text import plaintext

CAPTURES = Path(__file__).resolve().parents[1] / "sandbox" / "captures"

_CONFIG = """\
api:
  url: {url}
  token_file: {token_file}
customer:
  fallback: CL000001
ticket:
  priority: High
  category: Infrastructure
  sub_category: PBX / 3CX
severities:
  critical: {{priority: Urgent, resolve_within: 2h}}
  warning: {{priority: Low}}
language: {language}
"""


@dataclass(frozen=True)
class Act:
    """One notification: what it is, the capture it comes from, variables changed, what must be.

    ``replaced`` is what else the monitoring says then: of a capture's text, what by what.
    ``is_open`` and ``notes`` say how the story's ticket must be afterwards; ``changes`` is False
    when nothing may reach BlueRockTEL.
    """

    title: str
    capture: str
    is_open: bool
    notes: int
    changes: bool = True
    variables: Sequence[str] = ()
    replaced: Sequence[Tuple[str, str]] = ()


@dataclass(frozen=True)
class Story:
    """The life of one alert, and so of one ticket."""

    title: str
    acts: Sequence[Act]


#: What the monitoring says when the same thing fails once more, an hour after it recovered.
_ANEW = (
    "TIMET=1795289500",
    "LASTSERVICESTATECHANGE=1795289500",
    "LASTSTATECHANGE=1795289500",
    "LASTSERVICEOK=1795289500",
)
_NEXT_EVENT = (("EVENT.ID: 27", "EVENT.ID: 31"), (": 18:37:", ": 19:37:"))
_NEXT_ROW = (('"uid": 90', '"uid": 91'), (" 18:3", " 19:3"))


def _nagios_service() -> Story:
    problem = "nagios4-service-problem"
    warning = ("SERVICESTATE=WARNING", "SERVICEOUTPUT=WARNING: 1 of 4 channels registered")
    return Story(
        "Nagios: service “SIP trunk” on acme.3cx.fr",
        (
            Act("problem, WARNING", problem, True, 1, variables=warning),
            Act("repeat", problem, True, 1, changes=False, variables=warning),
            Act("worse, CRITICAL", problem, True, 2),
            Act("acknowledgement", "nagios4-service-acknowledgement", True, 3),
            Act("custom notification", "nagios4-service-custom", True, 4),
            Act("recovery", "nagios4-service-recovery", False, 5),
            Act("recurrence", problem, True, 6, variables=_ANEW),
            Act("recovery", "nagios4-service-recovery", False, 7, variables=_ANEW),
        ),
    )


_HOST_DOWN = ("nagios4-host-problem", True, 1)
#: Without the account, as in the cookbook, the PBX's host name leads to the customer.
_BY_PBX = ("_HOSTCUSTOMER_ACCOUNT=",)

STORIES = (
    Story(
        "Nagios: host acme.3cx.fr, the cookbook's example",
        (
            Act("problem, DOWN", *_HOST_DOWN, variables=_BY_PBX),
            Act("repeat", *_HOST_DOWN, changes=False, variables=_BY_PBX),
            Act("downtime starts", "nagios4-host-downtimestart", True, 2),
            Act("downtime ends", "nagios4-host-downtimeend", True, 3),
            Act("recovery", "nagios4-host-recovery", False, 4),
        ),
    ),
    _nagios_service(),
    Story(
        "Icinga 2: host acme.3cx.fr",
        (
            Act("problem, DOWN", "icinga2-host-problem", True, 1),
            Act("repeat", "icinga2-host-problem", True, 1, changes=False),
            Act("recovery", "icinga2-host-recovery", False, 2),
        ),
    ),
    Story(
        "Icinga 2: service “SIP trunk” on acme.3cx.fr",
        (
            Act(
                "problem, WARNING",
                "icinga2-service-problem",
                True,
                1,
                variables=("SERVICESTATE=WARNING",),
            ),
            Act("worse, CRITICAL", "icinga2-service-problem", True, 2),
            Act("repeat", "icinga2-service-problem", True, 2, changes=False),
            Act("acknowledgement", "icinga2-service-acknowledgement", True, 3),
            Act("recovery", "icinga2-service-recovery", False, 4),
            Act("recurrence", "icinga2-service-problem", True, 5, variables=_ANEW),
            Act("recovery", "icinga2-service-recovery", False, 6, variables=_ANEW),
        ),
    ),
    Story(
        "Zabbix: trigger “SIP trunk down” on acme.3cx.fr",
        (
            Act("problem, High", "zabbix6-problem", True, 1),
            Act("repeat", "zabbix6-problem", True, 1, changes=False),
            Act("update: acknowledged, High to Disaster", "zabbix6-update", True, 2),
            Act("recovery", "zabbix6-recovery", False, 3),
            Act("recurrence", "zabbix6-problem", True, 4, replaced=_NEXT_EVENT),
            Act("recovery", "zabbix6-recovery", False, 5, replaced=_NEXT_EVENT),
        ),
    ),
    Story(
        "LibreNMS: rule “Device down” on acme.3cx.fr",
        (
            Act("problem", "librenms-problem", True, 1),
            Act("repeat", "librenms-problem", True, 1, changes=False),
            Act("got worse", "librenms-worse", True, 2),
            Act("acknowledgement", "librenms-acknowledged", True, 3),
            Act("recovery", "librenms-recovery", False, 4),
            Act("recurrence", "librenms-problem", True, 5, replaced=_NEXT_ROW),
            Act("recovery", "librenms-recovery", False, 6, replaced=_NEXT_ROW),
            Act("the “Test transport” button", "librenms-test-button", False, 6, changes=False),
        ),
    ),
)


def run(arguments: List[str], options: Options) -> int:
    """Play the stories; 0 only if every ticket ended as it should."""
    made = command_line.parser(
        "demo",
        "Plays captured notifications of Nagios, Icinga 2, Zabbix and LibreNMS through the real"
        " commands, on a sandbox of its own, and tells what became of each ticket.",
        "brtel-notify demo --language fr",
    )
    made.add_argument("--language", choices=("en", "fr"), default="en", help="of the tickets")
    given = command_line.parse(made, arguments, options)
    if find_spec("flask") is None:
        return fail("the demo needs Flask: pip install 'brtel-notify[sandbox]'", 70)
    scratch = tempfile.TemporaryDirectory(prefix="brtel-notify-demo-")
    with scratch as folder, SandboxProcess() as sandbox:
        stage = Stage(sandbox, Path(folder), given.language)
        print(f"sandbox at {sandbox.url}; nothing here touches a real BlueRockTEL\n")
        stage.test()
        faults = [fault for story in STORIES for fault in stage.play(story)]
        faults += stage.look_back()
    print()
    if faults:
        for fault in faults:
            print(paint(f"wrong: {fault}", "red"))
        return 1
    text = f"all well: {len(STORIES)} alerts, {len(STORIES)} tickets, each as it should be"
    print(paint(text, "green"))
    return 0


class Stage:
    """A sandbox, a configuration for it, and what was seen of its tickets so far."""

    def __init__(self, sandbox: SandboxProcess, folder: Path, language: str) -> None:
        self.sandbox = sandbox
        token_file = folder / "token"
        token_file.write_text(sandbox.token)
        config = _CONFIG.format(url=sandbox.url, token_file=token_file, language=language)
        (folder / "config.yml").write_text(config)
        self.globals = ["--config", str(folder / "config.yml"), "--state-dir", str(folder / "st")]
        self.known: Dict[int, Dict[str, Any]] = {}

    def test(self) -> None:
        """What one does first with a new configuration."""
        print(paint("brtel-notify test", "bold"), flush=True)
        subprocess.run(interpreter.command(*self.globals, "test"), check=False)

    def play(self, story: Story) -> Iterator[str]:
        """Play a story and tell it; gives what went wrong."""
        print(f"\n{paint(story.title, 'bold')}")
        before = len(self.known)
        for act in story.acts:
            self.sandbox.clear_requests()
            code, said = self._notify(act)
            calls = len(self.sandbox.requests())
            plural = "" if calls == 1 else "s"
            print(f"  {act.title}{paint(f'  [{calls} API call{plural}]', 'grey')}")
            print(f"      {paint(said, 'blue')}")
            if code:
                yield f"{story.title}: {act.title}: exit code {code}: {said}"
            news = self._tell()
            if bool(news) != act.changes:
                yield f"{story.title}: {act.title}: {news or 'nothing changed'}"
            ticket = max(self.known.values(), key=lambda one: int(one["id"]), default=None)
            if ticket is None or len(self.known) != before + 1:
                yield f"{story.title}: {act.title}: {len(self.known) - before} tickets"
            elif (ticket["open"], len(ticket["replies"])) != (act.is_open, act.notes):
                is_open = "open" if ticket["open"] else "closed"
                notes = len(ticket["replies"])
                yield f"{story.title}: {act.title}: ticket {is_open} with {notes} notes"

    def _notify(self, act: Act) -> Tuple[int, str]:
        text = (CAPTURES / f"{act.capture}.json").read_text()
        for was, is_now in act.replaced:
            text = text.replace(was, is_now)
        capture = json.loads(text)
        words = interpreter.command(*self.globals, capture["source"])
        for variable in act.variables:
            words += ["--var", variable]
        stdin = json.dumps(capture["stdin"]) if "stdin" in capture else ""
        done = subprocess.run(
            [*words, *capture.get("argv", [])],
            env={**os.environ, **capture.get("env", {})},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).strip().splitlines()[0]

    def _tell(self) -> List[str]:
        """Print what changed at BlueRockTEL."""
        news: List[str] = []
        for ticket in self.sandbox.tickets():
            news += list(_news(self.known.get(ticket["id"]), ticket))
            self.known[ticket["id"]] = ticket
        for line in news:
            print(f"      {line}")
        return news

    def look_back(self) -> Iterator[str]:
        """What must hold in the end: everything closed, the contact of the cookbook attached."""
        for ticket in self.known.values():
            if ticket["open"]:
                yield f"ticket {ticket['number']} is still open"
            if (ticket["ticketable_id"], ticket["contacts"]) != (42, [88]):
                yield f"ticket {ticket['number']} is not Acme's with contact 88"


def _news(before: Optional[Dict[str, Any]], now: Dict[str, Any]) -> Iterator[str]:
    number = paint(now["number"], "yellow")
    if before is None:
        yield f"ticket {number} opened on customer {now['ticketable_id']}: {now['subject']}"
        before = {"replies": [], "open": True, "contacts": [], "priority_id": now["priority_id"]}
    if now["contacts"] != before["contacts"]:
        yield f"ticket {number} contacts attached: {now['contacts']}"
    if now["priority_id"] != before["priority_id"]:
        yield f"ticket {number} priority {before['priority_id']} → {now['priority_id']}"
    if now["open"] and not before["open"]:
        yield f"ticket {number} reopened"
    for reply in now["replies"][len(before["replies"]) :]:
        seen_by = "note for the customer" if reply["customer_visible"] else "internal note"
        first = " ".join(plaintext.as_text(reply["body"]).split())[:90]
        yield f"ticket {number} {seen_by}: {first}…"
    if before["open"] and not now["open"]:
        yield f"ticket {number} closed"
