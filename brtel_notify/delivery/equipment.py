"""What delivering needs: configuration, services, map; each is had when it is first asked for.

What cannot be had is a halt: why nothing more can be delivered at present.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.delivery import retry
from brtel_notify.delivery.book import Book
from brtel_notify.delivery.breaker import Breaker
from brtel_notify.delivery.outcome import API, Tried, Verdict
from brtel_notify.local.log import ERROR
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.tickets.open_tickets import STATE_FILE, LaterVersion, State

if TYPE_CHECKING:
    from brtel_notify.config.schema import Config
    from brtel_notify.delivery.place import Place
    from brtel_notify.delivery.services import Services
    from brtel_notify.intake.queue import Queue


class Equipment:
    """Of one drain, and all its threads: from PLACE, for the events of QUEUE."""

    def __init__(self, place: Place, queue: Queue, threads: int) -> None:
        self.place = place
        self.queue = queue
        self.threads = threads
        self.breaker = Breaker(place.state_dir, read=False)  # a drain reads it
        #: Why nothing more can be delivered at present; then everything stays queued.
        self.halt: Optional[Verdict] = None
        self._deadline: Optional[float] = None
        self._config: Optional[Config] = None
        self._services: Optional[Services] = None
        self._book: Optional[Book] = None

    @property
    def calls(self) -> int:
        """How many calls were made so far."""
        return self._services.calls if self._services is not None else 0

    @property
    def known_config(self) -> Optional[Config]:
        """The configuration, if it was needed so far."""
        return self._config

    @property
    def services(self) -> Services:
        """What reaches BlueRockTEL; only after ``ready()``."""
        assert self._services is not None  # noqa: S101 - ready() made them
        return self._services

    @property
    def book(self) -> Book:
        """The map; only after ``ready()``."""
        assert self._book is not None  # noqa: S101 - ready() made it
        return self._book

    @property
    def known_book(self) -> Optional[Book]:
        """The map, if it was needed so far."""
        return self._book

    def config(self) -> Optional[Config]:
        """The configuration; None, and a halt, when it is wrong."""
        if self._config is None and self.halt is None:
            from brtel_notify.config.schema import load

            try:
                parsed = PrivateFolder(self.place.state_dir, "parsed")
                self._config = load(self.place.config_file, self.place.environ, parsed)
            except ConfigError as error:
                self._misconfigured(str(error))
            else:
                self.place.log.send_to(self._config.log)
        return self._config

    def ready(self) -> bool:
        """Whether everything is at hand to deliver with; else there is a halt."""
        config = self.config()
        if config is None:
            return False
        if self._services is None:
            from brtel_notify.delivery.services import Services

            place = self.place
            self._services = Services(
                config, place.state_dir, place.log, place.clock, place.environ, self.threads
            )
            self._services.set_deadline(self._deadline)
        return self._book is not None or self._read_map()

    def _read_map(self) -> bool:
        try:
            checked = PrivateFolder(self.place.state_dir, "parsed")
            state, damage = State.load(os.path.join(self.place.state_dir, STATE_FILE), checked)
        except LaterVersion as error:
            self._misconfigured(str(error))
            return False
        if damage:
            self.place.log.say(damage)
        self._book = Book(state, self.queue)
        return True

    def _misconfigured(self, text: str) -> None:
        self.halt = retry.misconfigured(text)
        self.place.log.say(self.halt.outcome.text, ERROR)

    def set_deadline(self, deadline: Optional[float]) -> None:
        """No call is begun after DEADLINE (of ``time.monotonic``)."""
        self._deadline = deadline
        if self._services is not None:
            self._services.set_deadline(deadline)

    def save(self) -> Optional[Verdict]:
        """Save what is done; if that cannot be, what follows for all of it, and a halt."""
        if self._book is None:
            return None
        try:
            self._book.save()
        except OSError as error:
            tried = Tried("", self.place.state_dir, key="map")
            failed = retry.verdict(error, tried, self.place.clock(), retry.jitter())
            self.halt = self.halt or failed
            return failed
        return None

    def mind_the_breaker(self, verdict: Verdict) -> bool:
        """What VERDICT says of BlueRockTEL's reach; True when it answers again."""
        now = self.place.clock()
        if verdict.halts == API:
            if self._services is not None:
                self._services.answered = False
            if not self.breaker.holds(now):  # else another thread has said it already
                text = verdict.outcome.text
                self.breaker.trip(now, text, retry.jitter(), verdict.retry_after)
            return False
        if not self.breaker.is_open or self._services is None or not self._services.answered:
            return False
        self.place.log.say("BlueRockTEL answers again")
        self.breaker.close()
        return True

    def forget_map(self) -> None:
        """Another may have changed it since; what is done was saved."""
        self._book = None

    def hang_up(self) -> None:
        """Close all connections."""
        if self._services is not None:
            self._services.close()

    def forget(self) -> None:
        """Have everything anew when it is needed next; what is done was saved."""
        self.hang_up()
        self._config = self._services = self._book = None
