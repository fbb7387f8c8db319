"""Problems of which nothing comes, or nothing yet: what is decided before their first step."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional

from brtel_notify.alert import PROBLEM, Alert
from brtel_notify.delivery import occurrences, open_after, together
from brtel_notify.delivery.book import Book
from brtel_notify.delivery.outcome import IGNORED, QUEUED, Outcome
from brtel_notify.delivery.services import Services
from brtel_notify.delivery.situation import Situation
from brtel_notify.delivery.together import Follower
from brtel_notify.intake.queue import Event
from brtel_notify.tickets.ended import Ended
from brtel_notify.tickets.entry import Entry
from brtel_notify.tickets.settings import Settings


def recovery_before(
    event: Event, alert: Alert, entry: Optional[Entry], ended: Ended
) -> Optional[Dict[str, Any]]:
    """The recovery by which the problem ALERT is over, if that came first and it is not open."""
    if alert.kind != PROBLEM:
        return None
    member = entry.members.get(alert.key) if entry is not None else None
    if member is not None and not occurrences.is_another(member, alert):
        return None  # it holds a ticket, or did when a person closed that
    for record in ended.of(alert):
        if occurrences.has_ended(alert, record, event.capture.time, event.was_dead):
            return record
    return None


class NotYet:
    """What becomes of the problem ALERT, behind which FOLLOWERS wait, if it opens no ticket now.

    ``wait`` says afterwards how long it waits, ``is_news`` whether that was not known before,
    ``done_with`` which followers are done, by their ids.
    """

    def __init__(
        self,
        event: Event,
        alert: Alert,
        services: Services,
        book: Book,
        followers: Iterable[Follower],
    ) -> None:
        self.event = event
        self.alert = alert
        self.services = services
        self.book = book
        self.followers = followers
        self.wait: Optional[open_after.Wait] = None
        self.is_news = False
        self.done_with: List[str] = []

    def came_and_went(self, situation: Situation) -> Optional[Outcome]:
        """Problem and recovery of an alert that came and went unseen, if such are skipped."""
        wanted = self.services.config.lifecycle.resolved_in_queue
        fresh = self.alert.kind == PROBLEM and not self.event.attempts
        if wanted != "skip" or not fresh or situation.member is not None:
            return None
        gone = together.came_and_went(self.event, self.alert, self.followers)
        return self._over(gone, "recovered while it was still queued") if gone else None

    def waits(self, situation: Situation, settings: Settings) -> Optional[Outcome]:
        """Its ticket is not to be opened yet (open_after.py); None: go on."""
        opens = situation.would_open and settings.values["open_after"]
        if self.event.attempts or not (opens or self.event.held) or self.alert.kind != PROBLEM:
            return None
        wait = self._look()
        if wait.over:
            lasted = open_after.lasted(wait.over[-1][0].capture.time - wait.since)
            return self._over(wait.over, f"recovered after {lasted}, before it was due")
        if not opens:
            return None
        if wait.heir is not None:
            wait.heir[0].enter(waits_since=wait.since)
            self.book.remove([self.event])
            return Outcome(IGNORED, f"{self.alert.key}: reported again before it was due")
        if wait.due <= self.services.clock():
            return None
        return self._held(wait)

    def _look(self) -> open_after.Wait:
        return open_after.wait(
            self.event,
            self.alert,
            self.followers,
            self._open_after,
            self.services.config.timezone,
            self.services.clock(),
        )

    def _open_after(self, alert: Alert) -> Any:
        settings = self.services.settings(alert)
        return None if settings.ignored_by else settings.values["open_after"]

    def _held(self, wait: open_after.Wait) -> Outcome:
        self.wait = wait
        held = {"held_until": wait.due, "configuration": self.services.config.stamp}
        for event in wait.company:
            if event.held != held:
                event.enter(**held)
                self.is_news = True
        return Outcome(QUEUED, f"{self.alert.key}: {open_after.opens_at(wait.due)}")

    def _over(self, gone: List[Follower], why: str) -> Outcome:
        """Nothing comes of this problem and what followed it, the last of which is its recovery."""
        self.book.has_ended(gone[-1:], self.services.clock())
        self.book.remove([event for event, _ in gone])  # the recovery last: alone it does no harm
        self.done_with = [event.id for event, _ in gone[1:]]
        return Outcome(IGNORED, f"{self.alert.key}: {why}")
