"""``brtel-notify check``: a monitoring plugin that watches brtel-notify itself.

Output, ranges and exit codes follow the Monitoring Plugins Development Guidelines: one line with
performance data behind a bar, thresholds as ranges, 0 to 3. So even a wrong command line is
UNKNOWN here, where the other commands exit 2, which a monitoring server would take for CRITICAL;
and --help and --version exit with UNKNOWN, lest a service that is set up wrongly looks well.
"""

from __future__ import annotations

import os
import re
import signal
import time
from argparse import ArgumentParser, ArgumentTypeError
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Iterator, List, Optional

from brtel_notify.api.instance import UNSAID, Instance
from brtel_notify.config.schema import Config
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console import snapshot
from brtel_notify.console.configured import load_config, services_of
from brtel_notify.console.snapshot import Sight
from brtel_notify.delivery.breaker import Breaker
from brtel_notify.local import command_line, files
from brtel_notify.local.cleaning import line_of
from brtel_notify.options import Options
from brtel_notify.setup import librenms_transport
from brtel_notify.text import times
from brtel_notify.tickets.open_tickets import LaterVersion

OK, WARNING, CRITICAL, UNKNOWN = range(4)
WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


_NUMBER = r"-?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"(@?)(?:({_NUMBER}|~)?:)?({_NUMBER})?")


class TimedOut(Exception):
    """``--timeout`` is over."""


class Range:
    """A plugin range: an alert is due outside it or, with a leading ``@``, inside it.

    ``10`` is 0 to 10, ``10:`` from 10 on, ``~:10`` up to 10. Raises ValueError for other text.
    """

    def __init__(self, text: str) -> None:
        found = _RANGE.fullmatch(text)
        if found is None or text in ("", "@", ":", "@:"):
            raise ValueError(f"not a range: {text!r}")
        inside, low, high = found.groups()
        self.text = text
        self._inside = bool(inside)
        self._low = float("-inf") if low == "~" else float(low or 0)
        self._high = float("inf") if high is None else float(high)
        if self._low > self._high:
            raise ValueError(f"not a range, it ends before it begins: {text!r}")

    def alerts(self, value: float) -> bool:
        """Whether VALUE calls for an alert."""
        return (self._low <= value <= self._high) == self._inside


@dataclass
class Findings:
    """What was found: the worst status so far, why, and the performance data."""

    status: int = OK
    problems: List[str] = field(default_factory=list)
    summary: List[str] = field(default_factory=list)
    perfdata: List[str] = field(default_factory=list)

    def problem(self, status: int, text: str) -> None:
        """Something is not as it should be; the worst comes first."""
        if status > self.status:
            self.problems.insert(0, text)
        else:
            self.problems.append(text)
        self.status = max(self.status, status)

    def line(self) -> str:
        """The one line of a plugin."""
        text = _plain("; ".join([*self.problems, ", ".join(self.summary)]))
        return f"BRTEL-NOTIFY {WORDS[self.status]}: {text} | {' '.join(self.perfdata)}"


def run(arguments: List[str], options: Options) -> int:
    """Look, print one line; the exit code of a monitoring plugin."""
    made = _parser()
    try:
        given = command_line.parse(made, arguments, options)
    except SystemExit as leaving:
        if not leaving.code:  # --help
            return UNKNOWN
        return _unknown("the command line is wrong (brtel-notify check --help shows how)")
    if given.version:
        from brtel_notify import __version__

        print(f"brtel-notify {__version__}")
        return UNKNOWN
    return _check(given, options)


def _parser() -> ArgumentParser:
    made = command_line.parser(
        "check",
        "A monitoring plugin that watches brtel-notify itself: one line, performance\n"
        "data; exits 0 (OK), 1 (WARNING), 2 (CRITICAL) or 3 (UNKNOWN).",
        "brtel-notify check --api -w 300 -c 1800",
    )
    made.usage = "brtel-notify check [-w RANGE] [-c RANGE] [--api] [-t SECONDS]"
    made.add_argument(
        *("-w", "--warning"),
        type=_range,
        default=Range("300"),
        metavar="RANGE",
        help="age of the oldest event, seconds (300)",
    )
    made.add_argument(
        *("-c", "--critical"),
        type=_range,
        default=Range("1800"),
        metavar="RANGE",
        help="the same; also of an outage (1800)",
    )
    made.add_argument("--api", action="store_true", help="also call the API (GET /version)")
    made.add_argument(
        *("-t", "--timeout"), type=_seconds, default=10.0, metavar="SECONDS", help="give up (10)"
    )
    made.add_argument("-V", "--version", action="store_true", help="show the version")
    return made


def _range(text: str) -> Range:
    try:
        return Range(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{error}; 300, 10:60, ~:5 and @1:2 are") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise ArgumentTypeError(f"not a number of seconds from 1 to 3600: {text!r}")
    return seconds


def _check(given: Any, options: Options) -> int:
    try:
        with _time_limit(given.timeout):
            findings = _look(given, options)
    except TimedOut:
        return _unknown(f"no result within {given.timeout:g} s")
    except (ConfigError, LaterVersion) as error:
        return _unknown(str(error))
    except OSError as error:
        where = error.filename or options.state_dir(os.environ)
        return _unknown(f"the state folder cannot be read: {where}: {error.strerror or error}")
    except Exception as error:  # a plugin that dies says nothing
        if options.verbose:
            raise
        return _unknown(f"unforeseen {type(error).__name__}: {error} (-v shows where)")
    print(findings.line())
    return findings.status


def _unknown(text: str) -> int:
    print(f"BRTEL-NOTIFY UNKNOWN: {_plain(text)}")
    return UNKNOWN


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimedOut after SECONDS, whatever is being waited for: also a disk that hangs."""

    def ring(signum: int, frame: Any) -> None:
        raise TimedOut

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _look(given: Any, options: Options) -> Findings:
    findings = Findings()
    state_dir = options.state_dir(os.environ)
    os.listdir(state_dir)  # a wrong --state-dir must not look like an empty queue
    config = load_config(options)
    now = time.time()
    sight = snapshot.look(state_dir, now)
    _judge_queue(given, findings, sight)
    if sight.damage:
        findings.problem(WARNING, sight.damage)
    tickets = sum(sight.open.values())
    findings.summary.append(f"{tickets} open tickets")
    findings.perfdata.append(f"open_tickets={tickets};;;0")
    _judge_breaker(given, findings, sight.breaker, now)
    if not config.replies.customer_visible:
        _judge_notes(findings, sight, services_of(options, config).instance)
    lost = librenms_transport.lost()
    if lost:
        findings.problem(WARNING, lost)
    if given.api:
        _look_at_api(given, findings, config, options)
    return findings


def _judge_queue(given: Any, findings: Findings, sight: Sight) -> None:
    waiting, dead, oldest = sight.waiting, sight.dead, sight.oldest
    for status, limit in ((CRITICAL, given.critical), (WARNING, given.warning)):
        if waiting and limit.alerts(oldest):
            age = times.span(oldest)
            findings.problem(status, f"the oldest waiting event is {age} old")
            break
    if sight.ahead:
        ahead = times.span(sight.ahead)
        text = f"the oldest waiting event is from {ahead} ahead: was this machine's clock wrong?"
        findings.problem(WARNING, text)
    if dead:
        findings.problem(WARNING, f"{dead} dead (brtel-notify queue shows why)")
    findings.summary += [f"{waiting} waiting", f"{dead} dead"]
    limits = f"{given.warning.text};{given.critical.text}"
    findings.perfdata += [f"queue={waiting};;;0", f"dead={dead};0;;0"]
    findings.perfdata.append(f"oldest={oldest:.0f}s;{limits};0")


def _judge_breaker(given: Any, findings: Findings, breaker: Breaker, now: float) -> None:
    if not breaker.is_open:
        _prove_readable(breaker.path)
    else:
        seconds = max(0.0, now - breaker.since)
        status = CRITICAL if given.critical.alerts(seconds) else WARNING
        findings.problem(
            status, f"BlueRockTEL is out of reach: {snapshot.breaker_in_words(breaker, now)}"
        )
    findings.perfdata.append(f"breaker={int(breaker.is_open)};;;0;1")


def _judge_notes(findings: Findings, sight: Sight, instance: Instance) -> None:
    """Whether what was to be internal is."""
    if sight.visible:
        findings.problem(CRITICAL, f"{sight.visible}; no such note is sent (brtel-notify status)")
    elif instance.internal == UNSAID:
        text = "BlueRockTEL does not say whether notes are visible to customers: look at one"
        findings.problem(WARNING, text)


def _prove_readable(path: str) -> None:
    """Raise OSError if there is a file that we cannot read: "all is well" would be a guess."""
    try:
        files.read_whole(path)
    except FileNotFoundError:
        pass


def _look_at_api(given: Any, findings: Findings, config: Config, options: Options) -> None:
    started = time.monotonic()
    problem = _api_problem(given, config, options)
    if problem is None:
        seconds = time.monotonic() - started
        findings.summary.append(f"the API answered in {seconds:.3f} s")
        findings.perfdata.append(f"api_latency={seconds:.3f}s;;;0")
    else:
        findings.problem(CRITICAL, f"API: {problem}")
        findings.perfdata.append("api_latency=U")


def _api_problem(given: Any, config: Config, options: Options) -> Optional[str]:
    """What is wrong with the API; None when it answers as it should. Raises ConfigError."""
    from brtel_notify.api.exceptions import ApiError

    try:
        version = services_of(options, config).client.version()
    except TimedOut:
        return f"no answer within {given.timeout:g} s"
    except ApiError as error:
        return str(error)
    return None if version.status == "ok" else f"GET /version says status {version.status!r}"


def _plain(text: str) -> str:
    """One line without the bar that begins performance data."""
    return line_of(text).replace("|", "/")
