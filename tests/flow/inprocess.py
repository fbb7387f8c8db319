"""Delivering from a forked process: as real as a command, without its start-up."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Mapping

from support import Site, load_capture

from brtel_notify.delivery.drain import Drain
from brtel_notify.delivery.place import Place
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Queue
from brtel_notify.local.log import Log


def capture(name: str, changed: Mapping[str, str] = {}) -> Capture:
    """A capture, as if it came now; of Nagios, some of its variables changed."""
    data = load_capture(name)
    env = {**data.get("env", {}), **changed}
    return Capture(data["source"], env, data.get("argv", []), "", time.time())


def in_child(work: Callable[[], Any]) -> int:
    """Run WORK in a forked process; the signal that ended it, or 0."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent must see it
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(99)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def drain(site: Site, threads: int = 1) -> None:
    """What ``brtel-notify flush --force-now`` does."""
    place = Place(str(site.state_dir), str(site.config_file), os.environ, Log())
    Drain(place, force_now=True, threads=threads).run()


def deliver(site: Site, event: Capture) -> None:
    """What a notification command does."""
    Queue(str(site.state_dir)).add(event)
    drain(site)
