"""The worker: a drainer that never leaves.

It looks at the queue several times a second, waits out what stands in the way (an outage, a wrong
configuration, a full disk, another drainer, a state folder that is being replaced), and goes on
when that is over.
"""

from __future__ import annotations

import os
import time
from typing import Optional, Tuple

from brtel_notify.delivery.drain import THREADS, Drain
from brtel_notify.delivery.lock import WORKER, DrainLock
from brtel_notify.delivery.outcome import API, CONFIGURATION, Verdict
from brtel_notify.delivery.place import Place
from brtel_notify.delivery.retry import CONFIGURATION_PAUSE, DISK_PAUSE, UNREADABLE_PAUSE
from brtel_notify.delivery.unread import take_back
from brtel_notify.intake.queue import Queue
from brtel_notify.text import times

#: Seconds between two looks at the queue; a new event is noticed within half a second.
LOOK_EVERY = 0.2


class Worker:
    """Drains until told to stop."""

    def __init__(self, place: Place, threads: int = THREADS) -> None:
        self.place = place
        self.threads = threads
        self.log = place.log
        # No threading.Event: a signal handler that sets one while its own thread is just entering
        # a wait for it would wait for itself for ever.
        self._stopped = False
        self._drain: Optional[Drain] = None
        self._last_trouble = ""
        self._configuration = (0, 0, 0)
        self._halt: Optional[Verdict] = None
        self._halted = 0.0

    def stop(self) -> None:
        """Stop soon: after the API calls that are under way. Safe to call in a signal handler."""
        self._stopped = True
        if self._drain is not None:
            self._drain.stop()

    def run(self) -> None:
        """Drain until :meth:`stop` is called; never raises for what an outage or a disk does."""
        while not self._stopped:
            try:
                Queue(self.place.state_dir).make_folders()
                lock = DrainLock(self.place.state_dir, WORKER)
                with lock as taken:
                    if taken:
                        self._work(lock)
                    else:
                        self._trouble("another brtel-notify is delivering; waiting for it")
            except OSError as error:
                where = error.filename or self.place.state_dir
                self._trouble(f"the state folder cannot be used: {where}: {error.strerror}")
            except Exception as error:  # noqa: BLE001 - whatever it is, the next event may fare well
                self.log.trace()
                self._trouble(f"unforeseen {type(error).__name__}: {error} (-v shows where)")
            self._pause(DISK_PAUSE)

    def _trouble(self, text: str) -> None:
        """Say what stands in the way, once."""
        if text != self._last_trouble:
            self.log.say(text)
            self._last_trouble = text

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self._stopped and time.monotonic() < end:
            time.sleep(min(seconds, LOOK_EVERY))

    def _work(self, lock: DrainLock) -> None:
        """Drain for as long as the lock is the one in the state folder."""
        drain = self._drain = Drain(self.place, budget=None, threads=self.threads)
        drain.inline = False
        self.log.say(f"worker: delivering from {self.place.state_dir}")
        self._last_trouble = ""
        self._configuration = self._configuration_stamp()
        try:
            take_back(drain.queue, self.log)
            drain.begin()
            looked_again = time.monotonic()
            while not self._stopped and lock.keep():
                self._mind_the_configuration(drain)
                if self._may_go_on(drain) and drain.step():
                    continue
                drain.forget_outcomes()
                if time.monotonic() - looked_again > UNREADABLE_PAUSE:
                    drain.look_again()
                    looked_again = time.monotonic()
                self._pause(LOOK_EVERY)
        finally:
            self._leave(drain)

    def _leave(self, drain: Drain) -> None:
        """What is under way comes to its end, and is told of."""
        drain.stop()
        try:
            while drain.step():
                pass
        finally:
            drain.finish()
            drain.reconfigure()

    def _mind_the_configuration(self, drain: Drain) -> None:
        """Whatever stood in the way: a changed configuration is worth a try at once."""
        stamp = self._configuration_stamp()
        if stamp != self._configuration and drain.lanes.busy == 0:
            self._configuration = stamp
            self.log.say("worker: the configuration changed; reading it again")
            drain.reconfigure()
            drain.resume()

    def _may_go_on(self, drain: Drain) -> bool:
        """Whether nothing halts the drain, or what did is worth another try."""
        if drain.halt is None:
            return True
        if drain.lanes.busy:
            drain.step()  # threads that still run are brought to their end
            return False
        if drain.halt is not self._halt:
            self._halt, self._halted = drain.halt, time.monotonic()
        if self._is_in_the_way(drain.halt.halts, drain):
            return False
        if drain.halt.halts != API:
            drain.reconfigure()
        drain.resume()
        return True

    def _is_in_the_way(self, why: Optional[str], drain: Drain) -> bool:
        if why == API:
            held = drain.breaker.holds(self.place.clock())
            if held:
                self._trouble(
                    f"BlueRockTEL is out of reach since {times.iso(drain.breaker.since)};"
                    f" next try at {times.iso(drain.breaker.retry_at)}"
                )
            return held
        pause = CONFIGURATION_PAUSE if why == CONFIGURATION else DISK_PAUSE
        return time.monotonic() - self._halted < pause

    def _configuration_stamp(self) -> Tuple[int, int, int]:
        try:
            status = os.stat(self.place.config_file)
        except OSError:
            return 0, 0, 0
        return status.st_mtime_ns, status.st_size, status.st_ino
