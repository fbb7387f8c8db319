"""``brtel-notify status``: the open-ticket map, what waits, and whether BlueRockTEL answers."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List

from brtel_notify import times
from brtel_notify.breaker import Breaker
from brtel_notify.commands import common
from brtel_notify.commands.check import describe
from brtel_notify.drain import STATE_FILE
from brtel_notify.log import one_line
from brtel_notify.options import Options
from brtel_notify.queue import Queue
from brtel_notify.reasons import because
from brtel_notify.state import Entry, LaterVersion, State


def run(arguments: List[str], options: Options) -> int:
    """Show the open tickets."""
    made = common.parser(
        "status", "The open tickets of this machine's alerts.", "brtel-notify status --json"
    )
    made.add_argument("--all", action="store_true", help="also those closed a short while ago")
    made.add_argument("--json", action="store_true", help="for programs")
    given = common.parse(made, arguments, options)
    here = common.place(options)
    if not os.path.isdir(here.state_dir):
        here.log.error(f"there is no state folder {here.state_dir} (--state-dir names another)")
    try:
        # Only a look: a damaged file is left for the next drain to set aside.
        state, damage = State.peek(os.path.join(here.state_dir, STATE_FILE))
        queue = Queue(here.state_dir)
        waiting, dead = len(queue.pending()), len(queue.dead())
    except LaterVersion as error:
        return common.fail(str(error), common.MISCONFIGURED)
    except OSError as error:
        return common.fail(because(error, here.state_dir), 75)
    if damage:
        here.log.error(damage)
    entries = [entry for entry in state.entries() if given.all or entry.closed_at is None]
    breaker = Breaker(here.state_dir)
    if given.json:
        found = {"tickets": [_row(entry) for entry in entries], "queue": waiting, "dead": dead}
        common.print_json({**found, "breaker": _breaker(breaker)})
        return 0
    _print(entries, waiting, dead)
    if breaker.is_open:
        text = f"BlueRockTEL is out of reach: {describe(breaker, time.time())}"
        print(common.paint(one_line(text), "red"))
    return 0


def _breaker(breaker: Breaker) -> Dict[str, Any]:
    """The breaker, for programs: whether it is open; since and until when, and why, or null."""
    if not breaker.is_open:
        return {"open": False, "since": None, "until": None, "error": None}
    return {
        "open": True,
        "since": times.iso(breaker.since),
        "until": times.iso(breaker.retry_at),
        "error": breaker.error,
    }


def _row(entry: Entry) -> Dict[str, Any]:
    return entry._asdict()


def _print(entries: List[Entry], waiting: int, dead: int) -> None:
    now = time.time()
    if entries:
        common.print_table(
            ("TICKET", "AGE", "SEVERITY", "CUSTOMER", "ALERT", "STATE"),
            (
                (
                    entry.number,
                    times.span(now - times.from_iso(entry.opened_at)) if entry.opened_at else "",
                    entry.severity,
                    f"{entry.customer.get('name', '')} ({entry.customer.get('account', '')})",
                    entry.key,
                    _word(entry),
                )
                for entry in entries
            ),
        )
    is_open = sum(entry.is_open for entry in entries)
    print(f"{is_open} open, {waiting} queued, {dead} dead")


def _word(entry: Entry) -> str:
    if entry.closed_at is not None:
        return "closed"
    if entry.muted:
        return "closed by hand"
    if len(entry.members) > 1:
        return f"open, {len(entry.members)} alerts"
    return "open"
