"""One event to its ticket: plan, take step by step, journal each, record, remove."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from brtel_notify.alert import PROBLEM, RECOVERY, Alert, reference
from brtel_notify.delivery import doubles, entry_of, step_names, together
from brtel_notify.delivery.book import Book
from brtel_notify.delivery.next_entry import SAME_NOTE_WITHIN
from brtel_notify.delivery.not_yet import NotYet, recovery_before
from brtel_notify.delivery.open_after import Wait
from brtel_notify.delivery.outcome import DELIVERED, IGNORED, Failure, Outcome
from brtel_notify.delivery.plan import plan
from brtel_notify.delivery.services import Services
from brtel_notify.delivery.situation import Plan, Policy, Situation
from brtel_notify.delivery.steps import Steps
from brtel_notify.delivery.taking import CustomerGone, Taking, standing_facts
from brtel_notify.delivery.together import Follower, Followers
from brtel_notify.intake.queue import Event
from brtel_notify.text import times
from brtel_notify.tickets.open_tickets import Entry
from brtel_notify.tickets.settings import Settings

#: A note speaks of at most so many alerts.
MOST_COMPANIONS = 100


class Delivery:
    """The delivery of one event, and of those behind it that go with it.

    ``followers`` are the events behind it in its lane, in order. BOOK has the map, which all
    threads share. ``done_with`` says afterwards which followers are done too, by their ids.
    """

    def __init__(
        self,
        event: Event,
        alert: Alert,
        services: Services,
        book: Book,
        followers: Iterable[Follower] = (),
    ) -> None:
        self.event = event
        self.alert = alert
        self.services = services
        self.book = book
        self.state = book.state
        self.state_lock = book.lock
        self.queue = book.queue
        self.followers = Followers(followers)
        self.companions: List[Follower] = []
        self.done_with: List[str] = []
        self.steps = Steps(services, alert, event)
        self.taking = Taking(self.steps)
        self.not_yet = NotYet(event, alert, services, book, self.followers)
        self.facts = standing_facts(event)
        self.begun = False

    def run(self) -> Outcome:
        """Deliver the event, from wherever an earlier attempt left it.

        Raises ApiError, OutOfTime, ConfigError, CredentialsError, NoOwner and OSError; then the
        event is still in the queue, with what was done in its journal.
        """
        calls = self.services.calls
        situation = self._situation()
        entry = situation.entry
        if entry is not None and self.event.id in (entry.last_event, *entry.recorded):
            self.queue.remove(self.event)  # recorded just before an earlier attempt was killed
            return Outcome(DELIVERED, f"{self.alert.key}: delivered before")
        unseen = self.not_yet.came_and_went(situation)
        if unseen is not None:
            return self._nothing_yet(unseen)
        self.services.tell_doubt(self.alert, self.event.capture)
        settings = self._settings(self.alert)
        if settings.ignored_by and situation.member is None and not self.facts:
            self.queue.remove(self.event)
            where = self.services.config.where(settings.ignored_by)
            return Outcome(IGNORED, f"{self.alert.key}: by {settings.ignored_by} ({where})")
        waits = self._waits(situation, settings)
        if waits is not None:
            return self._nothing_yet(waits)
        self.steps.settings = settings
        done, planned = self._follow(self._assigning(self._gathered(situation)))
        if self.alert.kind == RECOVERY or planned.note == "recovery":
            # Each of them: of two recoveries of one alert, the second may be ahead of its problem.
            recoveries = [(self.event, self.alert), *self.companions]
            self.book.has_ended(recoveries, self.services.clock())
        self._record(done, planned)
        status = DELIVERED if planned.steps else IGNORED
        return Outcome(status, self._summary(situation, done, planned), self.services.calls - calls)

    def _waits(self, situation: Situation, settings: Settings) -> Optional[Outcome]:
        return self.not_yet.waits(situation, settings)

    def _nothing_yet(self, outcome: Outcome) -> Outcome:
        self.done_with = self.not_yet.done_with
        return outcome

    @property
    def waits(self) -> Optional[Wait]:
        """How long this problem waits before its ticket is opened, where it does."""
        return self.not_yet.wait

    def failed(self, failure: Failure) -> None:
        """Journal that this attempt ended without delivering. Raises OSError."""
        self.event.enter(
            failed=failure.text,
            at=self.services.clock(),
            of=self.steps.begun,
            turned_down=self.taking.turned_down,
            maybe_done=failure.maybe_done,
            retry_at=failure.retry_at,
            widely=failure.widely,
        )

    # --- before the first step --------------------------------------------------------------------

    def _settings(self, alert: Alert) -> Settings:
        settings = self.services.settings(alert)
        for problem in settings.problems:
            self.services.log.say(problem)
        return settings

    def _situation(self) -> Situation:
        config, now = self.services.config, self.services.clock()
        entry, key = self._entry()
        return Situation(
            alert=self.alert,
            key=key,
            reference=reference(entry_of.begun_under(self.event) or key),
            event_id=self.event.id,
            policy=Policy(
                lifecycle=config.lifecycle,
                group_by=config.ticket.group_by,
                details=config.replies.details,
                attach=config.contact.role is not None,
            ),
            now=min(self.event.capture.time, now),  # captured when the clock was ahead
            entry=entry and entry.as_of(now),
            shared=self._others(entry),
            facts=self.facts,
            ended=recovery_before(self.event, self.alert, entry, self.book.ended),
        )

    def _assigning(self, situation: Situation) -> Situation:
        """SITUATION, knowing whether a new ticket is given to somebody by its settings."""
        return situation._replace(assigns=self.steps.settings.values["assignee"] is not None)

    def _entry(self) -> Tuple[Optional[Entry], str]:
        """The map's entry for the alert's ticket, and the key it has or would have."""
        alert, state, config = self.alert, self.state, self.services.config
        key = entry_of.begun_under(self.event)
        with self.state_lock:
            if key is not None:
                met = entry_of.begun(key, alert, state, config)
            else:
                met = entry_of.standing_for(alert, state, config)
            if met is not None or key is not None:
                return self._taken_over(met, key or alert.key)
        key = entry_of.would_be(alert, config)
        if key is None:
            owner = self.steps.customer(self.facts)
            # Nobody's alert has no group; without an open ticket it comes to nothing anyway.
            key = entry_of.of_customer(owner["id"]) if owner else alert.key
        with self.state_lock:
            return self._taken_over(entry_of.group(key, alert, state, config), key)

    def _taken_over(self, met: Optional[entry_of.Met], key: str) -> Tuple[Optional[Entry], str]:
        if met is None:
            return None, key
        entry = self.book.take_over(met)
        return entry, entry.key

    def _others(self, entry: Optional[Entry]) -> int:
        if entry is None or self.alert.kind != RECOVERY:
            return 0
        with self.state_lock:
            return self.state.others_on(entry)

    # --- events that go together ------------------------------------------------------------------

    def _gathered(self, situation: Situation) -> Situation:
        """The situation with those behind this event that one note can tell together."""
        if not situation.policy.grouped or situation.entry is None or situation.had_ended:
            return situation
        if not situation.entry.is_open or self.alert.kind not in (PROBLEM, RECOVERY):
            return situation
        if not together.is_plain(self.alert, situation.entry, situation.now):
            return situation
        # Events that one note may have told of already stay together.
        told = self.facts or any(map(self.event.in_doubt, (step_names.NOTE, step_names.RESOLVE)))
        agreed = self.event.companions if told else None
        for event, alert in self.followers:
            if agreed is not None and event.id not in agreed:
                break
            if agreed is None and not self._goes_along(event, alert, situation.entry):
                break
            self.companions.append((event, alert))
            if len(self.companions) == MOST_COMPANIONS:
                break
        known = {self.alert.key: self.alert}
        for _, alert in self.companions:
            known.setdefault(alert.key, alert)  # what is sent again says nothing new
        del known[self.alert.key]
        situation = situation._replace(companions=tuple(known.values()))
        if situation.worst is not self.alert and self.alert.kind == PROBLEM:
            self.steps.settings = self._settings(situation.worst)
        return situation

    def _goes_along(self, event: Event, alert: Alert, entry: Entry) -> bool:
        if alert.kind != self.alert.kind or event.attempts:
            return False
        gathered = [self.alert, *(known for _, known in self.companions)]
        with self.state_lock:
            if not entry_of.changes(alert, entry, self.state, self.services.config):
                return False
        if not together.is_plain(alert, entry, self.event.capture.time):
            return False
        if not all(together.says_the_same(alert, known) for known in gathered):
            return False
        if self.services.settings(alert).ignored_by:
            return False
        return recovery_before(event, alert, entry, self.book.ended) is None

    # --- the way through a plan -------------------------------------------------------------------

    def _follow(self, situation: Situation) -> Tuple[Situation, Plan]:
        """Take the steps that are not done yet; the situation with their facts, and the plan."""
        while True:
            situation = doubles.of_the_older(situation)
            planned = doubles.with_doubles(plan(situation), situation)
            missing = [step for step in planned.steps if step not in situation.facts]
            if not missing:
                return situation, planned
            self._begin(situation.key, missing)
            try:
                if (
                    missing == [step_names.ATTACH, step_names.DETAILS]
                    and self.services.side_by_side
                ):
                    facts = self._take_both(situation, planned)
                else:
                    facts = self.taking.take(missing[0], situation, planned)
            except CustomerGone as gone:
                situation = self._look_again(*gone.args)
                continue
            situation = situation._replace(facts={**situation.facts, **facts})

    def _begin(self, key: str, missing: List[str]) -> None:
        if not self.begun:
            # A new ticket's search, contacts and note go two by two.
            self.services.connect_ahead(2 if step_names.FIND in missing else 1)
            self.event.enter(
                attempt=self.event.attempts + 1,
                at=times.iso(self.services.clock()),
                key=key,
                companions=[event.id for event, _ in self.companions],
            )
            self.begun = True

    def _take_both(self, situation: Situation, planned: Plan) -> Mapping[str, Any]:
        """Attach and note at the same time: neither needs the other.

        What became of attaching is in the journal; if it failed, the next turn tries it again.
        """
        attached: Dict[str, Any] = {}
        join = self.services.in_thread(
            lambda: attached.update(self.taking.take(step_names.ATTACH, situation, planned))
        )
        try:
            noted = self.taking.take(step_names.DETAILS, situation, planned)
        finally:
            join()
        return {**attached, **noted}

    def _look_again(self, refused: Optional[int]) -> Situation:
        """Find the customer, and with it the ticket, anew; the fallback in the place of REFUSED.

        Those that went along have customers, and perhaps tickets, of their own: each in its turn.
        """
        from brtel_notify.tickets.customer import OWNERS

        self.services.cache.clear(OWNERS)
        self.facts = {"looked_again": True}
        if refused is not None:
            self.facts["to_fallback"] = refused
        for name, fact in self.facts.items():
            self.event.enter(step=name, result=fact)
        if self.companions:
            self.companions, self.begun = [], False  # the journal is to say that it goes alone
            self.steps.settings = self._settings(self.alert)
        return self._assigning(self._situation())

    def _record(self, done: Situation, planned: Plan) -> None:
        """In the map, and out of the queue: this event last, for it knows who went with it."""
        events = [*(event for event, _ in self.companions), self.event]
        if planned.forget:
            self.book.drop(done.key, events)
        elif planned.entry is None:
            self.book.remove(events)
        else:
            forget = None
            if not planned.entry.members:  # as often as one ends
                keep = self.services.config.lifecycle.reopen_within
                forget = max(keep, SAME_NOTE_WITHIN), self.services.clock()
            self.book.record(planned.entry, events, forget)
        self.done_with = [event.id for event in events[:-1]]

    def _summary(self, before: Situation, done: Situation, planned: Plan) -> str:
        ticket = planned.entry or before.entry
        text = f"{self.alert.key}: {planned.decision}"
        if self.companions:
            text += f" with {len(self.companions)} more"
        if ticket is not None:
            customer = ticket.customer
            text += f": ticket {ticket.number} of {customer['name']} ({customer['account']})"
            if step_names.CREATE in done.facts or step_names.FIND in done.facts:
                text += f", owner by {customer['how']}"
        if any(isinstance(fact, dict) and "withheld" in fact for fact in done.facts.values()):
            text += "; its note is withheld"
        return text
