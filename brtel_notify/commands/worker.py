"""``brtel-notify worker``: a drainer that never leaves."""

from __future__ import annotations

import signal
from typing import Any, List

from brtel_notify.delivery import preload
from brtel_notify.delivery.drain import THREADS
from brtel_notify.delivery.place import Place
from brtel_notify.delivery.worker import Worker
from brtel_notify.local import command_line
from brtel_notify.options import Options


def run(arguments: List[str], options: Options) -> int:
    """Drain until SIGTERM or Ctrl-C."""
    made = command_line.parser(
        "worker",
        "Delivers events as they come, until told to stop; for a service manager. Notification"
        " commands then only store their event, which takes milliseconds.",
        "brtel-notify worker --threads 8",
    )
    made.add_argument(
        "--threads", type=int, default=THREADS, metavar="N", help="tickets side by side (default 4)"
    )
    given = command_line.parse(made, arguments, options)
    if given.threads < 1:
        made.error("--threads must be at least 1")
    preload.load()
    worker = Worker(Place.of(options), given.threads)

    def stop(signum: int, frame: Any) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    worker.run()
    worker.log.say("worker: stopped")
    return 0
