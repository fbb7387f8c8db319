"""``brtel-notify status``: the open-ticket map, what waits, and whether BlueRockTEL answers."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from brtel_notify.alert import PROBLEM
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console import read_alert, snapshot, tables
from brtel_notify.console.configured import load_config
from brtel_notify.console.failures import fail
from brtel_notify.console.output import paint, print_json
from brtel_notify.console.snapshot import Sight
from brtel_notify.console.tables import Painted
from brtel_notify.delivery.breaker import Breaker
from brtel_notify.delivery.place import Place
from brtel_notify.local import command_line
from brtel_notify.local.cleaning import line_of
from brtel_notify.local.os_errors import because
from brtel_notify.options import Options
from brtel_notify.text import times
from brtel_notify.tickets.open_tickets import Entry, LaterVersion
from brtel_notify.tickets.visible_note import CURE
from brtel_notify.tickets.web_page import ticket_page

#: Seconds between two looks of --watch.
EVERY = 2.0
_COLOURS = {"critical": "red", "warning": "yellow"}
# Terminal sequences (ECMA-48): to the first line, clear the rest of the line, of the screen.
_HOME, _CLEAR_LINE, _CLEAR_BELOW, _CLEAR_ALL = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[2J"


def run(arguments: List[str], options: Options) -> int:
    """Show the open tickets, once or again and again."""
    made = command_line.parser(
        "status",
        "The open tickets of this machine's alerts, what waits, and who delivers.",
        "brtel-notify status --watch",
    )
    made.usage = "brtel-notify status [--all] [--json] [--watch [SECONDS]]"
    made.add_argument("--all", action="store_true", help="also those closed a short while ago")
    made.add_argument("--json", action="store_true", help="for programs; --watch: one line a look")
    made.add_argument(
        *("-w", "--watch"),
        type=_interval,
        nargs="?",
        const=EVERY,
        metavar="SECONDS",
        help=f"look again every so many seconds ({EVERY:g}), until Ctrl-C",
    )
    given = command_line.parse(made, arguments, options)
    given.page, given.may_be_seen = _configured(options)
    here = Place.of(options)
    given.state_dir, given.read = here.state_dir, read_alert.reader(options)
    if not os.path.isdir(here.state_dir):
        here.log.error(f"there is no state folder {here.state_dir} (--state-dir names another)")
    if given.watch is not None:
        return _watch(here.state_dir, given)
    try:
        sight = snapshot.look(here.state_dir, time.time())
    except OSError as error:
        return fail(because(error, here.state_dir), os.EX_TEMPFAIL)
    if sight.damage:
        here.log.error(sight.damage)
    if given.json:
        print_json(_as_data(sight, given))
    else:
        print("\n".join(_lines(sight, given)))
    return 0


def _configured(options: Options) -> Tuple[Optional[str], bool]:
    """Where people see tickets, and whether customers may see notes.

    A wrong configuration is no reason to show nothing.
    """
    try:
        config = load_config(options)
    except ConfigError:
        return None, False
    return config.api.ticket_page, config.replies.customer_visible


def _interval(text: str) -> float:
    seconds = float(text)
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError("a number of seconds from 0.1 to 86400")
    return seconds


# --- again and again ------------------------------------------------------------------------------


def _watch(state_dir: str, given: argparse.Namespace) -> int:
    """Look until Ctrl-C. Each look is written in one go over the last one, so nothing flickers."""
    on_terminal = sys.stdout.isatty() and not given.json
    if on_terminal:
        sys.stdout.write(_CLEAR_ALL)
    try:
        while True:
            lines = _look_again(state_dir, given)
            sys.stdout.write(_screenful(lines) if on_terminal else "\n".join([*lines, ""]))
            sys.stdout.flush()
            time.sleep(given.watch)
    except KeyboardInterrupt:  # the way to end it
        return 0


def _look_again(state_dir: str, given: argparse.Namespace) -> List[str]:
    """The lines of one look; what stands in its way now may be gone at the next."""
    try:
        sight = snapshot.look(state_dir, time.time())
    except (LaterVersion, OSError) as error:
        text = because(error, state_dir) if isinstance(error, OSError) else str(error)
        return [json.dumps({"error": text})] if given.json else [line_of(text)]
    if given.json:
        return [json.dumps(_as_data(sight, given))]
    head = f"{times.iso(time.time())}, every {given.watch:g} s"
    damage = [line_of(sight.damage)] if sight.damage else []
    return [paint(head, "grey"), *_lines(sight, given, tables.screen()), *damage]


def _screenful(lines: List[str]) -> str:
    """LINES over those that are there; where room is short, the last ones, which sum up, stay."""
    room = max(5, shutil.get_terminal_size().lines - 1)
    if len(lines) > room:
        lines = [*lines[: room - 4], "…", *lines[-3:]]
    return _HOME + "".join(f"{line}{_CLEAR_LINE}\n" for line in lines) + _CLEAR_BELOW


class _Waiting(NamedTuple):
    """A problem that waits for its time to open a ticket; times are ISO 8601, UTC."""

    key: str
    event: str
    since: str
    until: str


def _waiting_to_open(given: argparse.Namespace) -> Tuple[List[_Waiting], int]:
    """Those that wait, by when they were captured; and how many there are with what is behind."""
    found, number = [], 0
    for event in snapshot.waiting_to_open(given.state_dir):
        number += 1
        alert = given.read(event)
        if alert is not None and alert.kind == PROBLEM and event.held:
            since, until = times.iso(event.waits_since), times.iso(event.held["held_until"])
            found.append(_Waiting(alert.key, event.id, since, until))
    return found, number


# --- one look -------------------------------------------------------------------------------------


def _shown(sight: Sight, everything: bool) -> List[Entry]:
    return [entry for entry in sight.entries if everything or entry.closed_at is None]


def _as_data(sight: Sight, given: argparse.Namespace) -> Dict[str, Any]:
    """The look for programs; ``path`` is where the API has the ticket, below api.url."""
    tickets = [
        {
            **entry._asdict(),
            "open": snapshot.is_open(entry),
            "path": f"/v1/tickets/{entry.ticket_id}",
            "link": ticket_page(given.page, entry.ticket_id, entry.number) or None,
        }
        for entry in _shown(sight, given.all)
    ]
    holder = sight.holder
    visible = None if given.may_be_seen else sight.visible
    return {
        "tickets": tickets,
        "waiting_to_open": [one._asdict() for one in _waiting_to_open(given)[0]],
        "queue": sight.waiting,
        "dead": sight.dead,
        "oldest": round(sight.oldest, 3),
        "breaker": _breaker(sight.breaker),
        "delivering": holder._asdict() if holder else None,
        "visible": visible._asdict() if visible else None,
    }


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


def _lines(sight: Sight, given: argparse.Namespace, most: Optional[int] = None) -> List[str]:
    """The look for people; MOST columns for the last error, which is else shown whole."""
    lines = []
    entries = _shown(sight, given.all)
    now = time.time()
    if entries:
        head = ["TICKET", "AGE", "SEVERITY", "STATE", "CUSTOMER", "ALERT"]
        rows = [_row(entry, now) for entry in entries]
        if given.page:
            head.append("LINK")
            for entry, row in zip(entries, rows):
                row.append(ticket_page(given.page, entry.ticket_id, entry.number))
        lines += tables.table(head, rows, ("CUSTOMER", "ALERT"), tables.screen())
    not_yet, number = _waiting_to_open(given)
    if not_yet:
        waiting = [
            [one.key, times.span(now - times.from_iso(one.since)), one.until] for one in not_yet
        ]
        head = ["WAITS TO OPEN", "SINCE", "OPENS AT"]
        lines += tables.table(head, waiting, ("WAITS TO OPEN",), tables.screen())
    queued = f"{sight.waiting} queued" + (f" ({number} waiting to open)" if number else "")
    counts = f"{sum(sight.open.values())} open, {queued}, {sight.dead} dead"
    if sight.waiting > number or sight.oldest:
        counts += f"; the oldest waits for {times.span(sight.oldest)}"
    lines += [counts, _who_delivers(sight)]
    if sight.breaker.is_open:
        text = line_of(
            f"BlueRockTEL is out of reach: {snapshot.breaker_in_words(sight.breaker, now)}"
        )
        lines.append(paint(text if most is None else tables.clip(text, most), "red"))
    if sight.visible and not given.may_be_seen:
        lines.append(paint(line_of(f"{sight.visible}; {CURE}"), "red"))
    return lines


def _row(entry: Entry, now: float) -> List[Any]:
    customer = f"{entry.customer.get('name', '')} ({entry.customer.get('account', '')})"
    age = times.span(now - times.from_iso(entry.opened_at)) if entry.opened_at else ""
    severity = Painted(entry.severity, _COLOURS.get(entry.severity, ""))
    return [entry.number, age, severity, _word(entry), customer, entry.key]


def _word(entry: Entry) -> str:
    if entry.closed_at is not None:
        return "closed"
    if not snapshot.is_open(entry) and entry.recovered_at is None:
        return "closed by hand"
    if entry.recovered_at is not None:
        return "recovered"
    if len(entry.members) > 1:
        return f"open, {len(entry.members)} alerts"
    return "open"


def _who_delivers(sight: Sight) -> str:
    state = "open" if sight.breaker.is_open else "closed"
    who = sight.holder
    if who is None:
        return f"no worker: each notification delivers; the breaker is {state}"
    name = f"the worker (process {who.pid})" if who.is_worker else f"process {who.pid}"
    return f"{name} delivers; the breaker is {state}"
