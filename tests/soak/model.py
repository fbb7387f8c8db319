"""The alerts' truth: what each monitored thing goes through, and what must be told of it.

A thing moves by chance. Each move is one or two notifications, and says of each how often its text
may stand on the desk (``least`` to ``most``); what is open afterwards is DESIGN section 5, said
once more in as few words as it takes. Where section 5 leaves a doubt, ``doubt`` says so.
"""

from __future__ import annotations

import random
import re
from typing import Dict, List, Mapping, NamedTuple, Optional, Tuple

#: A text's mark: it survives every escaping, and no text has that of another.
MARK = re.compile(r"zq\d{7}x")
#: So does a thing's name.
TAG = re.compile(r"tg\d{5}t")
#: What a person says who closes a problem in the monitoring, behind its recovery.
CLOSING = "words of who closed it"
#: A ticket, which several things may share, tells at most 12 results of volatile services in an
#: hour: all of them together stay below that.
FEW_RESULTS = 2


class Said(NamedTuple):
    """What a monitoring system passes to its command."""

    source: str
    env: Mapping[str, str] = {}
    argv: List[str] = []  # noqa: RUF012 - never changed
    stdin: str = ""


class Event:
    """One notification. ``least`` and ``most``: how often its text may be told."""

    def __init__(self, number: int, thing: Thing, move: str, must: bool = False) -> None:
        self.number = number
        self.thing = thing
        self.move = move
        self.mark = f"zq{number:07d}x"
        self.least = self.most = int(must)
        #: Told to the program so often: the caller was not told that it is stored, or has two
        #: contacts.
        self.copies = 1
        self.said = Said("")
        self.about = ""
        #: Whether a ticket may have been opened for it, by a doubt: until the next problem, what
        #: says nothing may be told on that.
        self.doubtful = False

    def __str__(self) -> str:
        copies = f" ({self.copies} times)" if self.copies > 1 else ""
        times = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
        return f"{self.mark} {self.move}{copies}: {self.about}; to be told {times} times"


class Occurrence:
    """One problem of a thing: by what it is known, how bad it is, since when it is one."""

    def __init__(self, number: int, severity: str, since: int) -> None:
        self.number = number
        self.severity = severity
        self.since = since


class Thing:
    """Something that is monitored; sources.py says how each system speaks of it."""

    #: Whether several occurrences may be open at once, and each ends by itself.
    one_by_one = False
    #: Whether a late problem is known to have ended, whatever the clocks say.
    exact = False
    #: Whether it is well by the end of its flapping, which is noted on a closed ticket, too.
    ends_by_remark = False
    #: Whether another problem can be told from a repetition.
    has_occurrences = True
    volatile = False
    #: Whether a recovery finds its ticket under a new name.
    renames = False
    #: Whether a person may close it in the monitoring, whose words come behind the recovery.
    closes = False
    #: Whether a recovery that came first shows in the times that it has ended.
    has_times = True
    severities: Tuple[str, ...] = ("warning", "critical")
    #: What else is noted.
    remarks: Tuple[str, ...] = ("acknowledgement",)
    #: Moves that are not made, for whoever narrows something down.
    without: Tuple[str, ...] = ()

    def __init__(self, number: int, host: str, chance: random.Random) -> None:
        self.number = number
        self.tag = f"tg{number:05d}t"
        self.host = host
        # One host has one owner.
        self.account = "CL2385" if int(re.sub(r"\D", "", host) or "0") % 2 else ""
        self.events: List[Event] = []
        self.held: Dict[int, Occurrence] = {}
        #: A person's closing ended these, but they are true: they may come back, or not.
        self.dismissed: Dict[int, Occurrence] = {}
        #: The texts that must be told since it is a problem.
        self.life: List[Event] = []
        #: Why the desk may have one ticket too many; empty: it may not.
        self.doubt = ""
        self._last: Optional[Event] = None
        self._ended: Optional[Occurrence] = None
        self.few_results = FEW_RESULTS
        self._results = 0
        self._time = self._now = 0

    # --- the sources' part ---------------------------------------------------------------------

    def say(self, kind: str, event: Event, occurrence: Occurrence) -> Said:
        """How the system says that; KIND is a move, or ``worse``."""
        raise NotImplementedError

    def rename(self) -> None:
        """It has another name from now on."""
        raise NotImplementedError

    # --- what happens --------------------------------------------------------------------------

    def happen(self, chance: random.Random, numbers: Numbers, now: float) -> List[Event]:
        """One more move, at NOW by the machine's clock; the notifications, in order."""
        moves = {move: often for move, often in self._moves().items() if move not in self.without}
        if not moves:
            return []
        (move,) = chance.choices(list(moves), list(moves.values()))
        self.time(now)
        events: List[Event] = getattr(self, "_" + move)(chance, numbers)
        if len(events) == 1 and chance.random() < 0.03 and "twice" not in self.without:
            events[0].copies = 2  # for two contacts of one notification
        self.events += events
        return events

    def _moves(self) -> Dict[str, int]:
        if self.held:
            moves = {"worse": 16, "recovery": 34, "remark": 10}
            if self.has_occurrences:
                moves["other"] = 10
            if not self.volatile:
                moves["repeat"] = 24
            elif self._results < self.few_results:
                moves["result"] = 20
            if self.renames and not self.dismissed:
                moves["renamed_recovery"] = 3
            if self.closes:
                moves["closing"] = 6
            return moves
        moves = {"problem": 80, "remark": 2, "unknown_recovery": 5}
        if self.dismissed:
            moves = {"late_recovery": 30, "remark": 5}
            if not self.volatile:
                moves["repeat"] = 30
            if self.has_occurrences:
                moves["problem"] = 40
            return moves
        if self.has_times:
            moves["recovery_first"] = 10
        if self.exact and self._ended is not None:
            moves["late_problem"] = 8
        return moves

    def time(self, now: float) -> int:
        """Its own time, in seconds: never the same twice, not ahead of NOW if that can be."""
        self._now = int(now)
        self._time = max(self._time + 2, self._now - 60)
        return self._time

    def _event(
        self, numbers: Numbers, move: str, kind: str, about: Occurrence, must: bool
    ) -> Event:
        event = Event(numbers.event(), self, move, must)
        event.said = self.say(kind, event, about)
        event.about = f"{about.number} {about.severity} since {about.since}, at {self._time}"
        if must:
            self.life.append(event)
        return event

    def _problem(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        """Another problem: the first, or one beside or instead of what is open."""
        about = Occurrence(numbers.occurrence(), chance.choice(self.severities), self._time)
        if not self.held:
            self.life, self.doubt = [], ""
        elif not self.one_by_one:
            self.held = {}
        if not self.one_by_one:
            self.dismissed = {}
        self.held[about.number] = about
        return [self._event(numbers, "problem", "problem", about, must=True)]

    def _other(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        events = self._problem(chance, numbers)
        events[0].move = "another problem"
        return events

    def _any(self, chance: random.Random) -> Occurrence:
        return chance.choice(list((self.held or self.dismissed).values()))

    def _repeat(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        event = self._event(numbers, "repeat", "problem", self._any(chance), must=False)
        if not self.held:  # a person closed its ticket: it is looked at now and then
            event.most = 1
        return [event]

    def _worse(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        about = self._any(chance)
        about.severity = chance.choice([one for one in self.severities if one != about.severity])
        return [self._event(numbers, f"now {about.severity}", "worse", about, must=True)]

    def _result(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        self._results += 1
        return [self._event(numbers, "volatile result", "result", self._any(chance), must=True)]

    def _remark(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        is_open = bool(self.held)
        about = self._any(chance) if is_open or self.dismissed else Occurrence(0, "warning", 0)
        remark = chance.choice(self.remarks)
        event = self._event(numbers, remark, remark, about, must=is_open)
        event.most = 1
        return [event]

    def _recovery(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        about = self._any(chance)
        # The severity of one of several changes the ticket's only if it is the worst of them.
        event = self._event(numbers, "recovery", "recovery", about, must=True)
        self._end(about)
        return [event]

    def _end(self, about: Occurrence) -> None:
        self._ended = about
        if self.one_by_one:
            del self.held[about.number]
        else:
            self.held, self.dismissed = {}, {}

    def _closing(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        """A person closed it in the monitoring, and said why."""
        about = self._any(chance)
        recovery = self._event(numbers, "recovery, closed there", "recovery", about, must=True)
        words = self._event(numbers, CLOSING, "closing", about, must=True)
        self._end(about)
        return [recovery, words]

    def _renamed_recovery(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        self.rename()
        events = []
        while self.held:
            events += self._recovery(chance, numbers)
            events[-1].move = "recovery, renamed"
        self._ended = None  # what comes late would be of another name
        return events

    def _late_recovery(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        """Of what a person's closing has ended."""
        about = self._any(chance)
        event = self._event(numbers, "recovery, closed by hand", "recovery", about, must=False)
        event.most = 1
        del self.dismissed[about.number]
        return [event]

    def _unknown_recovery(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        about = Occurrence(numbers.occurrence(), "warning", self._time)
        event = self._event(numbers, "recovery of nothing", "recovery", about, must=False)
        event.most = int(self.ends_by_remark)  # on the ticket just closed
        return [event]

    def _recovery_first(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        """Two commands at once, and the recovery's was quicker."""
        about = Occurrence(numbers.occurrence(), chance.choice(self.severities), self._time)
        problem = self._event(numbers, "problem, behind its recovery", "problem", about, must=False)
        self._time += 3
        if self._time > self._now and not self.exact:
            self.doubt = "a recovery came first, by a clock that is ahead"
            problem.doubtful = True
        recovery = self._event(numbers, "recovery, first", "recovery", about, must=False)
        self._ended = None
        return [recovery, problem]

    def _late_problem(self, chance: random.Random, numbers: Numbers) -> List[Event]:
        assert self._ended is not None
        return [self._event(numbers, "problem, too late", "problem", self._ended, must=False)]

    # --- what people do ------------------------------------------------------------------------

    def dismiss(self) -> None:
        """A person closed its ticket."""
        self.dismissed = {**self.dismissed, **self.held}
        self.held, self.life = {}, []

    @property
    def is_live(self) -> bool:
        """Whether it must have a ticket."""
        return bool(self.held)

    @property
    def may_be_open(self) -> bool:
        """Whether it may have one."""
        return bool(self.held or self.dismissed or self.doubt)


class Numbers:
    """Numbers that only grow: of events, and of what the monitoring systems number."""

    def __init__(self) -> None:
        self._last = 1000

    def event(self) -> int:
        """The next event's."""
        self._last += 1
        return self._last

    #: The next EVENT.ID, uid, problem id.
    occurrence = event
