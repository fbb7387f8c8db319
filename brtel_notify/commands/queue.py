"""``brtel-notify queue``: the events that wait, and those that were given up."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any, Dict, List

from brtel_notify.console import event_text, queue_retry, tables
from brtel_notify.console.failures import fail
from brtel_notify.console.output import print_json
from brtel_notify.console.read_alert import Reader, reader
from brtel_notify.console.tables import Painted
from brtel_notify.delivery import retry
from brtel_notify.delivery.place import Place
from brtel_notify.intake.queue import Damaged, Event, Queue
from brtel_notify.local import command_line
from brtel_notify.local.cleaning import line_of
from brtel_notify.local.os_errors import because
from brtel_notify.options import Options, Stop, UsageError
from brtel_notify.sources import registry
from brtel_notify.text import times

#: How many events drop names before it asks.
MOST_NAMED = 10
#: On a screen an event goes by the end of its id, as short as it can be told from the others.
SHORTEST_ID = 6


def run(arguments: List[str], options: Options) -> int:
    """One of list, show, retry, drop."""
    made = command_line.parser(
        "queue",
        "Events that wait to be delivered, and dead ones, which were refused for good:\n"
        "list them, show one in full, retry (put back and deliver now), or drop.",
        "brtel-notify queue retry --all",
    )
    made.usage = "brtel-notify queue [list | show | retry | drop] [EVENT]... [--all]"
    made.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=("list", "show", "retry", "drop"),
        help=argparse.SUPPRESS,
    )
    made.add_argument("events", nargs="*", metavar="EVENT", help="an id, or its beginning or end")
    made.add_argument("--all", action="store_true", help="every dead event (retry, drop)")
    made.add_argument(
        "--force-now",
        action="store_true",
        help="retry: at once, also where a call may still be under way",
    )
    made.add_argument("--later", action="store_true", help="retry: put back, and no more")
    made.add_argument("--yes", action="store_true", help="drop without asking")
    made.add_argument("--json", action="store_true", help="for programs (list, show)")
    given = command_line.parse(made, arguments, options, intermixed=True)
    place = Place.of(options)
    queue, read = Queue(place.state_dir), reader(options)
    try:
        if given.action == "list" and given.events:
            raise UsageError(f"queue list shows all; queue show {given.events[0]} shows one")
        if given.action == "list":
            return _list(queue, read, given.json)
        chosen = _chosen(queue, given.events, given.all and given.action != "show")
        if given.action == "show":
            return _show(queue, read, chosen, given.json)
        if given.action == "retry":
            here = None if given.later else place
            return queue_retry.retry(queue, chosen, here, given.force_now)
        return _drop(queue, read, chosen, given.yes)
    except BrokenPipeError:  # of stdout: nothing is wrong with the state folder
        raise
    except OSError as error:
        return fail(because(error, queue.state_dir), os.EX_TEMPFAIL)


def _list(queue: Queue, read: Reader, as_json: bool) -> int:
    events = [_summary(queue, read, event_id, dead=False) for event_id in queue.pending()]
    events += [_summary(queue, read, event_id, dead=True) for event_id in queue.dead()]
    if as_json:
        print_json(events)
        return 0
    if not events:
        print("the queue is empty")
        return 0
    columns = tables.screen()
    ids = [event["id"] for event in events]
    short = _short_ids(ids) if columns else dict(zip(ids, ids))
    head = ("EVENT", "WHERE", "AGE", "KIND", "TRIES", "ALERT", "WHY")
    rows = [_row(event, short[event["id"]]) for event in events]
    for line in tables.table(head, rows, ("ALERT", "WHY"), columns):
        print(line)
    return 0


def _row(event: Dict[str, Any], name: str) -> List[Any]:
    return [
        name,
        Painted("dead", "red") if event["dead"] else "queue",
        times.span(time.time() - event["time"]) if event["time"] else "",
        event["kind"],
        event["attempts"],
        event["key"],
        _why(event),
    ]


def _why(event: Dict[str, Any]) -> str:
    """Why it is there: what went wrong, or until when its ticket is not to be opened."""
    if event["opens_at"]:
        return f"opens at {event['opens_at']}"
    return tables.clip(str(event["error"]), 300)


def _short_ids(ids: List[str]) -> Dict[str, str]:
    length = SHORTEST_ID
    while len({name[-length:] for name in ids}) < len(ids):
        length += 1
    return {name: name[-length:] for name in ids}


def _summary(queue: Queue, read: Reader, event_id: str, dead: bool) -> Dict[str, Any]:
    row: Dict[str, Any] = {"id": event_id, "dead": dead, "time": 0.0, "source": "", "key": ""}
    row |= {"kind": "", "attempts": 0, "retry_at": None, "opens_at": None, "error": ""}
    try:
        event = queue.load(event_id, dead=dead)
    except (Damaged, OSError) as error:
        return {**row, "error": str(error)}
    alert, due_at = read(event), retry.due_at(event, time.time())
    row |= {
        "time": event.capture.time,
        "source": event.capture.source,
        "attempts": event.attempts,
        "retry_at": times.iso(due_at) if due_at else None,
        "opens_at": times.iso(event.held["held_until"]) if event.held else None,
        "error": event.error,
    }
    if alert is not None:
        row |= {"key": alert.key, "kind": alert.kind}
    return row


def _chosen(queue: Queue, wanted: List[str], all_dead: bool) -> List[str]:
    """The full ids of the events named. Raises Stop."""
    if all_dead:
        return queue.dead()
    if not wanted:
        raise Stop("name an event, or --all for every dead one (queue list shows them)")
    known = queue.pending() + queue.dead()
    chosen = []
    for part in wanted:
        fitting = [name for name in known if name.startswith(part) or name.endswith(part)]
        if len(fitting) != 1:
            how_many = "no event" if not fitting else f"{len(fitting)} events"
            raise Stop(f"{part}: fits {how_many} (queue list shows them)")
        chosen += fitting
    return chosen


def _show(queue: Queue, read: Reader, chosen: List[str], as_json: bool) -> int:
    dead = set(queue.dead())
    shown = [_found(queue, event_id) for event_id in chosen]
    if as_json:
        print_json([_whole(event, read) for event in shown])
        return 0
    for number, event in enumerate(shown):
        if number:
            print()
        where = "in dead/" if event.id in dead else "in the queue"
        print("\n".join(event_text.lines(event, read(event), where)))
    return 0


def _found(queue: Queue, event_id: str) -> Event:
    try:
        event = queue.find(event_id)
    except Damaged as error:
        raise Stop(str(error)) from None
    if event is None:
        raise Stop(f"{event_id}: is not there any more")
    event.capture = registry.without_secrets(event.capture)  # an older version left nothing out
    return event


def _whole(event: Event, read: Reader) -> Dict[str, Any]:
    alert = read(event)
    return {
        "id": event.id,
        "error": event.error,
        "capture": event.capture.as_dict(),
        "alert": None if alert is None else alert._asdict(),
        "journal": event.journal,
    }


def _drop(queue: Queue, read: Reader, chosen: List[str], yes: bool) -> int:
    if not chosen:
        print("nothing to drop")
        return 0
    if not yes and not _agreed(queue, read, chosen):
        print("nothing was dropped")
        return 1
    dropped, code = 0, 0
    for event_id in chosen:
        try:
            queue.forget(event_id)
            dropped += 1
        except OSError as error:  # a folder in its place; another user's
            code = fail(because(error, queue.state_dir), os.EX_TEMPFAIL)
    print(f"{dropped} event{'' if dropped == 1 else 's'} dropped")
    return code


def _agreed(queue: Queue, read: Reader, chosen: List[str]) -> bool:
    """Ask whether to drop the events. Raises Stop when there is nobody to ask."""
    if not sys.stdin.isatty():
        raise Stop("nobody to ask whether to drop them: add --yes")
    dead = set(queue.dead())
    for event_id in chosen[:MOST_NAMED]:
        event = _summary(queue, read, event_id, dead=event_id in dead)
        print(line_of(f"  {event_id}  {event['kind']}  {event['key']}  {event['error'][:100]}"))
    if len(chosen) > MOST_NAMED:
        print(f"  … and {len(chosen) - MOST_NAMED} more")
    these = "it" if len(chosen) == 1 else f"these {len(chosen)} events"
    try:
        answer = input(f"drop {these}, so that no ticket hears of it? [y/N] ")
    except EOFError:
        print()
        return False
    return answer.strip().lower() in ("y", "yes", "o", "oui")
