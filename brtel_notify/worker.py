"""The worker: a drainer that never leaves.

It looks at the queue several times a second, waits out what stands in the way (an outage, a wrong
configuration, a full disk, another drainer, a state folder that is being replaced), and goes on
when that is over.
"""

from __future__ import annotations

import os
import threading
from typing import Optional, Tuple

from brtel_notify import times
from brtel_notify.drain import THREADS, Drain, Place
from brtel_notify.lock import DrainLock
from brtel_notify.outcome import API, CONFIGURATION
from brtel_notify.queue import Queue

#: Seconds between two looks at the queue; a new event is noticed within half a second.
LOOK_EVERY = 0.2
#: Seconds after which a state folder that could not be used is tried again.
DISK_PAUSE = 2.0
#: …and a wrong configuration, even if its file did not change: a name may have been created.
CONFIGURATION_PAUSE = 30.0


class Worker:
    """Drains until told to stop."""

    def __init__(self, place: Place, threads: int = THREADS) -> None:
        self.place = place
        self.threads = threads
        self.log = place.log
        self._stopped = threading.Event()
        self._drain: Optional[Drain] = None
        self._last_trouble = ""

    def stop(self) -> None:
        """Stop soon: after the API calls that are under way. Safe to call in a signal handler."""
        self._stopped.set()
        if self._drain is not None:
            self._drain.stop()

    def run(self) -> None:
        """Drain until :meth:`stop` is called; never raises for what an outage or a disk does."""
        while not self._stopped.is_set():
            try:
                Queue(self.place.state_dir).make_folders()
                lock = DrainLock(self.place.state_dir)
                with lock as taken:
                    if taken:
                        self._work(lock)
                    else:
                        self._trouble("another brtel-notify is delivering; waiting for it")
            except OSError as error:
                where = error.filename or self.place.state_dir
                self._trouble(f"the state folder cannot be used: {where}: {error.strerror}")
            self._stopped.wait(DISK_PAUSE)

    def _trouble(self, text: str) -> None:
        """Say what stands in the way, once."""
        if text != self._last_trouble:
            self.log.say(text)
            self._last_trouble = text

    def _work(self, lock: DrainLock) -> None:
        """Drain for as long as the lock is the one in the state folder."""
        drain = self._drain = Drain(self.place, budget=None, threads=self.threads)
        drain.inline = False
        self.log.say(f"worker: delivering from {self.place.state_dir}")
        self._last_trouble = ""
        if self._stopped.is_set():
            return
        try:
            drain.begin()
            configuration = self._configuration_stamp()
            while not self._stopped.is_set() and lock.is_current():
                stamp = self._configuration_stamp()
                if stamp != configuration and drain.lanes.busy == 0:
                    configuration = stamp
                    self.log.say("worker: the configuration changed; reading it again")
                    drain.reconfigure()
                    drain.halt = None
                if drain.halt is not None and not self._wait_out(drain):
                    continue
                if not drain.step():
                    drain.forget_outcomes()
                    self._stopped.wait(LOOK_EVERY)
        finally:
            drain.stop()
            drain.finish()
            drain.reconfigure()

    def _wait_out(self, drain: Drain) -> bool:
        """Wait a little for what halted the drain; True when it is worth another try."""
        if drain.lanes.busy:
            drain.step()  # threads that still run are brought to their end
            return False
        assert drain.halt is not None  # noqa: S101 - the caller looked
        why = drain.halt.halts
        if why == API:
            now = self.place.clock()
            if drain.breaker.holds(now):
                self._trouble(
                    f"BlueRockTEL is out of reach since {times.iso(drain.breaker.since)};"
                    f" next try at {times.iso(drain.breaker.retry_at)}"
                )
                self._stopped.wait(LOOK_EVERY)
                return False
        elif why == CONFIGURATION:
            stamp = self._configuration_stamp()
            self._wait_for_change(stamp, CONFIGURATION_PAUSE)
            drain.reconfigure()
        else:
            self._stopped.wait(DISK_PAUSE)
            drain.reconfigure()
        drain.halt = None
        return True

    def _wait_for_change(self, stamp: Tuple[float, int], seconds: float) -> None:
        waited = 0.0
        while waited < seconds and not self._stopped.is_set():
            if self._configuration_stamp() != stamp:
                return
            self._stopped.wait(LOOK_EVERY)
            waited += LOOK_EVERY

    def _configuration_stamp(self) -> Tuple[float, int]:
        try:
            status = os.stat(self.place.config_file)
        except OSError:
            return 0.0, 0
        return status.st_mtime, status.st_size
