"""``python -m soak``: the real half, for some time; ``--inprocess``: the other, for some events."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import List, Optional

from brtel_notify.sandbox.testing import SandboxProcess
from soak.faults import Trouble
from soak.model import Thing
from soak.player import Season

#: What is counted apart, for the last line.
WORST = ("lost", "doubled", "wrongly closed", "left open", "text lost", "text twice", "stranger")


def main(words: Optional[List[str]] = None) -> int:
    """Play; 0 if nothing was wrong."""
    parser = argparse.ArgumentParser("soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the real half")
    parser.add_argument("--events", type=int, default=10**9, help="at most")
    parser.add_argument("--seed", default=str(random.randrange(10**6)))
    parser.add_argument("--season", type=int, help="only that one")
    parser.add_argument("--keep", action="store_true", help="go on after a fault")
    parser.add_argument("--without", default="", help="moves, or faults, that are not made: a,b")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side, in process")
    parser.add_argument("--inprocess", action="store_true", help="the half in this process")
    given = parser.parse_args(words)
    Thing.without = tuple(given.without.split(","))
    Trouble.without = Thing.without
    if not given.inprocess:
        return play(given)
    if given.jobs > 1 and not given.season:
        return play_side_by_side(given)
    return play_inprocess(given)


def play_side_by_side(given: argparse.Namespace) -> int:
    """The half in one process, in several of them, each with a seed of its own."""
    words = [sys.executable, "-m", "soak", "--inprocess", "--without", given.without]
    words += ["--keep"] if given.keep else []
    share = str(given.events // given.jobs)
    jobs = [
        subprocess.Popen([*words, "--events", share, "--seed", f"{given.seed}-{number}"])
        for number in range(1, given.jobs + 1)
    ]
    return max(job.wait() for job in jobs)


def play_inprocess(given: argparse.Namespace) -> int:
    """The half in this process: so many events."""
    from soak import inprocess

    total: Counter[str] = Counter()
    began, bad, number = time.monotonic(), 0, 0
    with open(os.environ.get("SOAK_LOG", os.devnull), "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    for one in inprocess.seasons(given.seed, given.events, given.season or 0):
        number += 1
        one.counts["events"] = one.steps
        total.update(one.counts)
        if one.problems:
            bad += 1
            again = f"make soak-inprocess SEED={one.seed.replace('/', ' SEASON=')}"
            print(one.describe(), *one.problems, sep="\n")
            print(f"--- season {one.seed}: {said(one.counts)}; again: {again} EVENTS={one.steps}")
            if not given.keep:
                break
        if number % 20 == 0:
            rate = total["events"] / (time.monotonic() - began)
            print(f"{total['events']} events, {rate:.0f} a second", flush=True)
    print(f"in all: {said(total)}; {number} seasons, of which went wrong: {bad}")
    print(", ".join(f"{total[what]} {what}" for what in WORST))
    return 1 if bad else 0


def play(given: argparse.Namespace) -> int:
    """The real half: season after season."""
    until = time.monotonic() + given.seconds
    total: Counter[str] = Counter()
    season, bad, left = given.season or 1, 0, given.events
    with SandboxProcess() as sandbox, tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < until and left > 0:
            seed = f"{given.seed}/{season}"
            began = time.monotonic()
            one = Season(seed, Path(folder) / str(season), sandbox)
            one.play(left, until)
            left -= one.steps
            one.counts["events"] = one.steps
            total.update(one.counts)
            print(
                f"season {seed}: {said(one.counts)}; {time.monotonic() - began:.0f} s", flush=True
            )
            if one.problems:
                bad += 1
                again = f"make soak SEED={given.seed} SEASON={season} SECONDS={given.seconds:g}"
                print(one.describe())
                print("\n".join(one.problems))
                print(f"--- season {seed} went wrong; again: {again}", flush=True)
                if not given.keep:
                    break
            if given.season:
                break
            season += 1
    print(f"in all: {said(total)}; seasons that went wrong: {bad}")
    print(", ".join(f"{total[what]} {what}" for what in WORST))
    return 1 if bad else 0


def said(counts: Counter[str]) -> str:
    """Counts, for people."""
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()) if count)


if __name__ == "__main__":
    sys.exit(main())
