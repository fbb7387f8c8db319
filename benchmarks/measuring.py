"""What a command costs, and what several measurements say."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence


class Failed(Exception):
    """A command that was measured did not do its work: its figures would mean nothing."""


@dataclass(frozen=True)
class Spent:
    """Seconds that a command and all its children took: of CPU (user and system), by the clock."""

    cpu: float
    wall: float


def mean(spent: Sequence[Spent]) -> Spent:
    """What one of several commands took."""
    return Spent(
        statistics.fmean(one.cpu for one in spent), statistics.fmean(one.wall for one in spent)
    )


def run(command: Sequence[str], environment: Mapping[str, str]) -> Spent:
    """Run COMMAND to its end. Raises Failed, with what it said, if that is not exit code 0."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = process.stdout.read()
    cpu = wait(process)
    wall = time.perf_counter() - started
    process.stdout.close()
    if process.returncode:
        raise Failed(f"{' '.join(command)}: {process.returncode}: {said.decode(errors='replace')}")
    return Spent(cpu, wall)


def wait(process: subprocess.Popen[Any]) -> float:
    """Wait for PROCESS; the seconds of CPU that it and its children took."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def peak_memory(pid: int) -> float:
    """The most memory that a running process ever held, in MiB.

    Not wait4's ru_maxrss: that also counts what the parent held when it forked.
    """
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    raise Failed("this system does not say how much memory a process holds")


@dataclass
class Figure:
    """One line of the table.

    ``values`` has one value a run, and their median must be at most (or, ``at_least``, no less
    than) the ``target``. ``ours`` and ``theirs`` are what a ratio was made of, in ``unit``.
    """

    name: str
    title: str
    target: float
    values: List[float]
    ours: Sequence[float] = ()
    theirs: Sequence[float] = ()
    unit: str = ""
    sign: str = "×"
    at_least: bool = False
    #: Shown in place of the number and the target, when one number does not say it.
    shown: Optional[str] = None
    shown_target: Optional[str] = None

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def reached(self) -> bool:
        """Whether the target was reached."""
        return self.value >= self.target if self.at_least else self.value <= self.target

    def row(self) -> List[str]:
        """The cells of the table."""
        target = f"{'≥' if self.at_least else '≤'} {self.target:g}{self.sign}"
        several = len(self.values) > 1
        return [
            self.title,
            _median(self.ours, self.unit),
            _median(self.theirs, self.unit),
            self.shown or f"{self.value:.2f}{self.sign}",
            f"{min(self.values):.2f}-{max(self.values):.2f}" if several else "",
            self.shown_target or target,
            "yes" if self.reached else "NO",
        ]

    def as_dict(self) -> Dict[str, Any]:
        """Everything, for machines."""
        return {
            "name": self.name,
            "title": self.title,
            "median": self.value,
            "min": min(self.values),
            "max": max(self.values),
            "values": self.values,
            "ours": list(self.ours),
            "theirs": list(self.theirs),
            "unit": self.unit,
            "target": self.target,
            "at_least": self.at_least,
            "shown": self.shown,
            "reached": self.reached,
        }


def ratio(
    name: str, title: str, target: float, ours: Sequence[float], theirs: Sequence[float]
) -> Figure:
    """A figure of the ratios of pairs; OURS and THEIRS are in seconds."""
    return Figure(
        name,
        title,
        target,
        [a / b for a, b in zip(ours, theirs)],
        [1000 * seconds for seconds in ours],
        [1000 * seconds for seconds in theirs],
        "ms",
    )


HEAD = ["figure", "ours", "baseline", "median", "min-max", "target", "reached"]


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table, aligned for people."""
    rows = [HEAD, *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in rows
    )


def _median(values: Sequence[float], unit: str) -> str:
    return f"{statistics.median(values):.4g} {unit}" if values else ""
