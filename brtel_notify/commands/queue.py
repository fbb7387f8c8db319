"""``brtel-notify queue``: the events that wait, and those that were given up."""

from __future__ import annotations

import sys
import time
from typing import Any, Dict, List, Optional

from brtel_notify import sources, times
from brtel_notify.alert import Alert, Unintelligible
from brtel_notify.commands import common
from brtel_notify.log import one_line
from brtel_notify.options import Options
from brtel_notify.queue import Damaged, Event, Queue
from brtel_notify.reasons import because


def run(arguments: List[str], options: Options) -> int:
    """One of list, show, retry, drop."""
    made = common.parser(
        "queue",
        "Events that wait to be delivered, and dead ones, which BlueRockTEL refused for good.",
        "brtel-notify queue retry --all",
    )
    made.add_argument(
        "action", nargs="?", default="list", choices=("list", "show", "retry", "drop")
    )
    made.add_argument("events", nargs="*", metavar="EVENT", help="an id, or its beginning or end")
    made.add_argument("--all", action="store_true", help="every dead event (retry, drop)")
    made.add_argument("--yes", action="store_true", help="drop without asking")
    made.add_argument("--json", action="store_true", help="for programs")
    given = common.parse(made, arguments, options, intermixed=True)
    queue = Queue(common.place(options).state_dir)
    try:
        if given.action == "list":
            return _list(queue, given.json)
        chosen = _chosen(queue, given.events, given.all and given.action != "show")
        if given.action == "show":
            return _show(queue, chosen, given.json)
        if given.action == "retry":
            return _retry(queue, chosen)
        return _drop(queue, chosen, given.yes)
    except LookupError as error:
        return common.fail(str(error.args[0]), common.NOT_UNDERSTOOD)
    except OSError as error:
        return common.fail(because(error, queue.state_dir), 75)


def _list(queue: Queue, as_json: bool) -> int:
    events = [_summary(queue, event_id, dead=False) for event_id in queue.pending()]
    events += [_summary(queue, event_id, dead=True) for event_id in queue.dead()]
    if as_json:
        common.print_json(events)
        return 0
    if not events:
        print("the queue is empty")
        return 0
    now = time.time()
    common.print_table(
        ("EVENT", "WHERE", "AGE", "ALERT", "KIND", "TRIES", "ERROR"),
        (
            (
                event["id"],
                "dead" if event["dead"] else "queue",
                times.span(now - event["time"]) if event["time"] else "",
                event["key"],
                event["kind"],
                event["attempts"],
                event["error"][:100],
            )
            for event in events
        ),
    )
    return 0


def _summary(queue: Queue, event_id: str, dead: bool) -> Dict[str, Any]:
    row: Dict[str, Any] = {"id": event_id, "dead": dead, "time": 0.0, "source": "", "key": ""}
    row |= {"kind": "", "attempts": 0, "retry_at": None, "error": ""}
    try:
        event = queue.load(event_id, dead=dead)
    except (Damaged, OSError) as error:
        return {**row, "error": str(error)}
    alert = _alert(event)
    row |= {
        "time": event.capture.time,
        "source": event.capture.source,
        "attempts": event.attempts,
        "retry_at": times.iso(event.retry_at) if event.retry_at else None,
        "error": event.error,
    }
    if alert is not None:
        row |= {"key": alert.key, "kind": alert.kind}
    return row


def _alert(event: Event) -> Optional[Alert]:
    try:
        return sources.parse(event.capture)
    except Unintelligible:
        return None


def _chosen(queue: Queue, wanted: List[str], all_dead: bool) -> List[str]:
    """The full ids of the events named. Raises LookupError."""
    if all_dead:
        return queue.dead()
    if not wanted:
        raise LookupError("name an event, or --all for every dead one (queue list shows them)")
    known = queue.pending() + queue.dead()
    chosen = []
    for part in wanted:
        fitting = [name for name in known if name.startswith(part) or name.endswith(part)]
        if len(fitting) != 1:
            how_many = "no event" if not fitting else f"{len(fitting)} events"
            raise LookupError(f"{part}: fits {how_many} (queue list shows them)")
        chosen += fitting
    return chosen


def _show(queue: Queue, chosen: List[str], as_json: bool) -> int:
    shown = []
    for event_id in chosen:
        try:
            event = queue.find(event_id)
        except Damaged as error:
            raise LookupError(str(error)) from None
        if event is None:
            raise LookupError(f"{event_id}: is not there any more")
        shown.append(_whole(event))
    if as_json:
        common.print_json(shown)
        return 0
    for one in shown:
        _print_whole(one)
    return 0


def _whole(event: Event) -> Dict[str, Any]:
    alert = _alert(event)
    return {
        "id": event.id,
        "error": event.error,
        "capture": event.capture.as_dict(),
        "alert": None if alert is None else alert._asdict(),
        "journal": event.journal,
    }


def _print_whole(shown: Dict[str, Any]) -> None:
    print(common.paint(shown["id"], "bold"))
    if shown["error"]:
        print(f"  error: {shown['error']}")
    alert = shown["alert"]
    if alert is not None:
        print("  alert:")
        for name, value in alert.items():
            if value not in ("", None) and name != "vars":
                print(f"    {name}: {one_line(str(value))}")
    print("  journal:")
    for record in shown["journal"]:
        print(f"    {one_line(str(record))}")
    print("  capture:")
    for name, value in shown["capture"].items():
        if isinstance(value, dict):
            for key, text in sorted(value.items()):
                if text:
                    print(f"    {key}={one_line(text)}")
        elif value:
            print(f"    {name}: {one_line(str(value))}")


def _retry(queue: Queue, chosen: List[str]) -> int:
    dead = set(queue.dead())
    revived = [event_id for event_id in chosen if event_id in dead]
    for event_id in revived:
        queue.revive(event_id)
    for event_id in revived:
        event = queue.find(event_id)
        if event is not None:
            age = times.span(time.time() - event.capture.time)
            print(f"put back: {event_id}, captured {age} ago")
    waiting = len(chosen) - len(revived)
    if waiting:
        print(f"{waiting} wait in the queue already: `brtel-notify flush --force` tries them now")
    print(f"{len(revived)} put back; `brtel-notify flush` delivers them")
    return 0


def _drop(queue: Queue, chosen: List[str], yes: bool) -> int:
    if not chosen:
        print("nothing to drop")
        return 0
    if not yes:
        if not sys.stdin.isatty():
            raise LookupError("nobody to ask whether to drop them: add --yes")
        answer = input(f"drop {len(chosen)} events, so that no ticket hears of them? [y/N] ")
        if answer.strip().lower() not in ("y", "yes", "o", "oui"):
            return 1
    for event_id in chosen:
        queue.forget(event_id)
    print(f"{len(chosen)} events dropped")
    return 0
