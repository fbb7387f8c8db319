"""``brtel-notify metrics``: Prometheus's text format, for node_exporter's textfile collector.

Only what a state folder says at this moment: events delivered and failed are not counted anywhere
that outlives a process, so there are no counters.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Dict, Iterator, List, Tuple

from brtel_notify import __version__
from brtel_notify.console import snapshot
from brtel_notify.console.failures import fail
from brtel_notify.console.snapshot import Sight
from brtel_notify.local import command_line
from brtel_notify.local.files import refuse_devices, write_whole
from brtel_notify.local.os_errors import because
from brtel_notify.options import Options

#: Whoever collects is another user; nothing in it is secret.
MODE = 0o644

Labels = Dict[str, str]
#: Name, what it means, and a value for each set of labels.
Metric = Tuple[str, str, List[Tuple[Labels, float]]]


def run(arguments: List[str], options: Options) -> int:
    """Print the metrics, or put them into a file."""
    made = command_line.parser(
        "metrics",
        "Metrics in Prometheus's text format, for node_exporter's textfile collector.",
        "brtel-notify metrics -o /var/lib/prometheus/node-exporter/brtel.prom",
    )
    made.usage = "brtel-notify metrics [--output FILE]"
    made.add_argument(
        *("-o", "--output"), metavar="FILE", help="replace FILE in one step, mode 0644"
    )
    given = command_line.parse(made, arguments, options)
    state_dir = options.state_dir(os.environ)
    now = time.time()
    try:
        os.listdir(state_dir)  # a wrong --state-dir must not look like an empty queue
        sight = snapshot.look(state_dir, now)
    except OSError as error:
        return fail(
            f"{because(error, state_dir)} (--state-dir names another folder)", os.EX_TEMPFAIL
        )
    text = exposition(_metrics(sight))
    if given.output is None:
        sys.stdout.write(text)
        return 0
    try:
        refuse_devices(given.output)
        # Its temporary file does not end in .prom, so that nobody collects it.
        write_whole(given.output, text.encode("utf-8"), durable=False, mode=MODE)
    except OSError as error:
        return fail(f"the metrics are not written: {because(error, given.output)}", os.EX_CANTCREAT)
    return 0


def _metrics(sight: Sight) -> Iterator[Metric]:
    yield _one("queue_events", "Events that wait to be delivered.", sight.waiting)
    yield _one("dead_events", "Events given up, kept in dead/ until somebody decides.", sight.dead)
    yield _one(
        "queue_oldest_age_seconds",
        "Age of the oldest waiting event; 0 when none waits.",
        round(sight.oldest, 3),
    )
    yield (
        "open_tickets",
        "Tickets open for alerts, by the severity of the worst alert.",
        [({"severity": word}, float(count)) for word, count in sight.open.items()],
    )
    breaker = sight.breaker
    yield _one(
        "breaker_open",
        "Whether BlueRockTEL was out of reach at the last call (1) or not (0).",
        int(breaker.is_open),
    )
    yield _one(
        "breaker_since_timestamp_seconds",
        "When the outage began, seconds since the epoch; 0 without one.",
        breaker.since if breaker.is_open else 0,
    )
    worker = sight.holder is not None and sight.holder.is_worker is True
    yield _one("worker_running", "Whether a worker delivers from this state folder.", int(worker))
    yield _one(
        "map_damaged", "Whether state.json could not be read as a whole.", int(bool(sight.damage))
    )
    yield _one(
        "visible_note",
        "Whether a note that was to be internal came out visible to the customer.",
        int(sight.visible is not None),
    )
    version = [({"version": __version__}, 1.0)]
    yield ("build_info", "The version that wrote this; always 1.", version)


def _one(name: str, meaning: str, value: float) -> Metric:
    return name, meaning, [({}, float(value))]


def exposition(metrics: Iterator[Metric]) -> str:
    """METRICS in the text format, version 0.0.4; all of them are gauges."""
    lines = []
    for short_name, meaning, samples in metrics:
        name = f"brtel_notify_{short_name}"
        lines.append(f"# HELP {name} {_escaped(meaning)}")
        lines.append(f"# TYPE {name} gauge")
        lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    pairs = (
        '{}="{}"'.format(name, _escaped(value).replace('"', '\\"'))
        for name, value in labels.items()
    )
    return f"{{{','.join(pairs)}}}" if labels else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
