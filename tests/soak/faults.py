"""What goes wrong while events are played, by chance: at the server, and on the machine.

A fault begins at a step and is over some steps later; what only happens once is over at once.
"""

from __future__ import annotations

import random
import signal
from typing import Any, Callable, Dict, List, Mapping, Tuple

from soak.processes import Computer

#: Seconds that the clock may be off, at most: less than what the program calls an hour.
FURTHEST = 3000.0

CONFIG = """\
api: {{url: {url}, token_file: {token_file}, timeout: {timeout}}}
customer:
  lookup: [{{account: "{{{{ vars.CUSTOMER_ACCOUNT }}}}"}}]
  fallback: CL000001
ticket: {{priority: High, category: Infrastructure, sub_category: PBX / 3CX, group_by: {group_by}}}
severities: {{critical: {{priority: {urgent}}}, warning: {{priority: Low}}}}
lifecycle: {{reopen_within: {reopen_within}}}
language: {language}
log: stderr
"""

#: Whole outages, which hit every call.
OUTAGES: List[Mapping[str, Any]] = [
    {"fail": {"status": 503}},
    {"fail": {"status": 502, "body": "html"}},
    {"fail": {"status": 404}},  # api.url slipped, a deployment half done
    {"fail": {"status": 404, "body": "empty"}},
    {"fail": {"status": 404, "body": "html"}},
    {"fail": {"status": 403, "body": "html"}},  # a firewall
    {"fail": {"status": 401}},
    {"fail": {"status": 200, "body": "html"}},  # a page for maintenance
    {"drop": {"when": "before"}},
    {"rate_limit": 5, "rate_window": 2},
]

#: Faults of a share of the calls; the share is put in by chance.
SHARES: List[Mapping[str, Any]] = [
    {"fail": {"status": 500}},
    {"fail": {"status": 500, "when": "after"}},
    {"fail": {"status": 503, "when": "after"}},
    {"fail": {"status": 504, "when": "after", "body": "html"}},
    {"fail": {"status": 429, "retry_after": 1}},
    {"fail": {"body": "truncated"}},
    {"fail": {"body": "type"}},
    # Tickets, replies: a look-up that says nothing twice, while the API shows itself, is a miss.
    {"fail": {"body": "empty", "path": "*/v1/[tr]*"}},
    {"fail": {"body": "html"}},
    {"fail": {"status": 403, "body": "html"}},
    {"fail": {"status": 422, "path": "*/replies"}},
    {"fail": {"status": 422, "path": "*/tickets/open/*"}},
    {"fail": {"status": 404, "path": "*/associates"}},
    {"drop": {"when": "before"}},
    {"drop": {"when": "after"}},
    {"drop": {"when": "midway"}},
    {"hang": {"when": "after", "seconds": 5}},
    {"hang": {"when": "before", "seconds": 5}},
]

#: Which BlueRockTEL the desk has; one a season.
INSTANCES: List[Mapping[str, str]] = [
    {},
    {},
    {"instance": "2023"},
    {"names": "camel"},
    {"timezone": "Europe/Paris"},
    {"miss": "soft"},
    {"lookup": "no"},
    {"visibility": "unsaid"},
    {"visibility": "late"},
    {"visibility": "ignored"},
    {"closure": "auto"},
    {"templates": "resolved"},
]

Ends = Callable[[], None]


class Trouble:
    """Begins faults and ends them. ``told`` is a line for each, ``jumps`` counts the clock's."""

    #: Kinds that do not occur, for whoever narrows something down.
    without: Tuple[str, ...] = ()

    def __init__(self, computer: Computer, chance: random.Random, group_by: str) -> None:
        self.computer = computer
        self.chance = chance
        self.told: List[str] = []
        self.jumps = 0
        self.settings: Dict[str, Any] = {
            "timeout": 2,
            "group_by": group_by,
            "urgent": "Urgent",
            "reopen_within": chance.choice(("1h", "1h", "1h", "0", "2s")),
            "language": "en",
        }
        self._under_way: List[Tuple[int, Ends]] = []
        self.configure()

    def step(self, number: int) -> None:
        """What was to be over by now is; and another fault may begin."""
        for until, end in self._under_way[:]:
            if until <= number:
                self._under_way.remove((until, end))
                end()
        if self.chance.random() < 0.04:
            without = [f"_{name}" for name in self.without]
            kinds = {
                self._outage: 10,
                self._share: 40,
                self._slow: 8,
                self._kill_worker: 14,
                self._no_worker: 8,
                self._jump: 8,
                self._full_disk: 6,
                self._delete_lock: 5,
                self._edit: 8,
                self._break_configuration: 3,
                self._command: 20,
            }
            kinds = {kind: often for kind, often in kinds.items() if kind.__name__ not in without}
            (kind,) = self.chance.choices(list(kinds), list(kinds.values()))
            lasts = self.chance.randrange(5, 60)
            what, end = kind()
            self.told.append(f"step {number}, for {lasts}: {what}")
            self._under_way.append((number + lasts, end))

    def over(self) -> None:
        """All faults are over: it is calm, or they last too long for any event to come through."""
        for _, end in self._under_way:
            end()
        self._under_way = []
        self.computer.site.sandbox.clear_faults()

    def configure(self, more: str = "") -> None:
        """Write the configuration, as it is now, and MORE."""
        site = self.computer.site
        text = CONFIG.format(url=site.sandbox.url, token_file=site.token_file, **self.settings)
        site.put_configuration(text + more)

    # --- the server's ----------------------------------------------------------------------------

    def _outage(self) -> Tuple[str, Ends]:
        fault = self.chance.choice(OUTAGES)
        return self._at_the_server(dict(fault))

    def _share(self) -> Tuple[str, Ends]:
        ((kind, rule),) = self.chance.choice(SHARES).items()
        share = self.chance.choice((0.05, 0.2, 0.5))
        return self._at_the_server({kind: {**rule, "share": share}})

    def _slow(self) -> Tuple[str, Ends]:
        return self._at_the_server({"latency": self.chance.choice((20, 200, 1000))})

    def _at_the_server(self, fault: Dict[str, Any]) -> Tuple[str, Ends]:
        sandbox = self.computer.site.sandbox
        sandbox.clear_faults()  # one at a time: those that hang are let go of
        sandbox.faults(**fault)
        return f"the server: {fault}", sandbox.clear_faults

    # --- the machine's ---------------------------------------------------------------------------

    def _kill_worker(self) -> Tuple[str, Ends]:
        self.computer.end_worker(signal.SIGKILL)
        self.computer.start_worker()
        return "kill -9 of the worker, and another one", _nothing

    def _no_worker(self) -> Tuple[str, Ends]:
        how = self.chance.choice((signal.SIGKILL, signal.SIGTERM))
        self.computer.end_worker(how)
        return f"no worker ({how.name})", self.computer.start_worker

    def _jump(self) -> Tuple[str, Ends]:
        ahead = self.chance.choice((-FURTHEST, -90.0, 0.0, 90.0, FURTHEST))
        self.computer.machine.set_clock(ahead)
        self.jumps += 1
        return f"the clock is {ahead:g} s ahead", _nothing

    def _full_disk(self) -> Tuple[str, Ends]:
        part = self.chance.choice((0.1, 1.0))
        self.computer.machine.fill_disk(part)
        return (
            f"{part:.0%} of all writes find the disk full",
            lambda: self.computer.machine.fill_disk(0.0),
        )

    def _delete_lock(self) -> Tuple[str, Ends]:
        (self.computer.site.state_dir / "drain.lock").unlink(missing_ok=True)
        return "drain.lock is deleted", _nothing

    def _edit(self) -> Tuple[str, Ends]:
        edits = [("language", "fr"), ("language", "en"), ("urgent", "High"), ("timeout", 1)]
        if "grouped" not in self.without:
            edits += [("group_by", "host"), ("group_by", "alert")]
        name, value = self.chance.choice(edits)
        self.settings[name] = value
        self.configure()
        return f"the configuration is edited: {name}: {value}", _nothing

    def _break_configuration(self) -> Tuple[str, Ends]:
        self.configure("tickets: {}\n")
        return "a wrong key in the configuration", self.configure

    def _command(self) -> Tuple[str, Ends]:
        words = self.chance.choice(
            [
                *(("flush",), ("flush",), ("flush", "--force"), ("queue", "retry", "--all")),
                *(("check",), ("status",), ("queue", "list")),
            ]
        )
        killed_after = self.chance.choice((None, None, None, 0.05, 0.3))
        if words[0] not in ("flush", "queue"):
            killed_after = None
        self.computer.start_beside(*words, killed_after=killed_after)
        killed = "" if killed_after is None else f", killed after {killed_after:g} s"
        return " ".join(words) + killed, _nothing


def _nothing() -> None:
    pass
