"""One attempt at one event: its delivery, and acting on what retry.py says of whatever ends it."""

from __future__ import annotations

from brtel_notify.delivery import retry
from brtel_notify.delivery.delivery import Delivery
from brtel_notify.delivery.lane_of import names_of
from brtel_notify.delivery.outcome import FAILED, Strayed, Tried, Verdict, waiting
from brtel_notify.intake.queue import Queue
from brtel_notify.local.log import Log


def attempt(delivery: Delivery, queue: Queue, log: Log, now: float) -> Verdict:
    """Try to deliver an event; never raises. NOW is in seconds since the epoch."""
    event = delivery.event
    try:
        outcome = delivery.run()
        if delivery.waits is not None:
            aside = tuple(event.id for event in delivery.waits.company)
            return Verdict(
                outcome,
                stays=True,
                retry_at=delivery.waits.due,
                aside=aside,
                aside_of=tuple(names_of(delivery.alert)),
                is_news=delivery.not_yet.is_news,
            )
        return Verdict(outcome, also_done=tuple(delivery.done_with))
    except Strayed as stray:
        text = f"{delivery.alert.key}: behind an earlier event of its ticket"
        return waiting(text, lane=stray.lane, is_news=False)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the event
        tried = Tried(event.id, queue.state_dir, event.path, delivery.alert.key, event.attempts)
        verdict = _verdict(error, tried, log, now)
        try:
            if verdict.failure is not None:
                delivery.failed(verdict.failure)
            if verdict.reason:
                queue.bury(event.id, verdict.reason)
        except OSError as unwritten:  # the disk, too; the event is in the queue all the same
            if verdict.outcome.status != FAILED:
                verdict = _verdict(unwritten, tried, log, now)
        return verdict


def unusable(queue: Queue, event_id: str, log: Log, now: float, error: Exception) -> Verdict:
    """What becomes of an event that cannot be read, by the ERROR that showed it; never raises."""
    tried = Tried(event_id, queue.state_dir)
    verdict = _verdict(error, tried, log, now)
    if verdict.reason:
        try:
            queue.bury(event_id, verdict.reason)
        except OSError as unmoved:
            text = f"{verdict.reason}; it cannot be moved to dead/: {unmoved.strerror}"
            retry_at = _verdict(unmoved, tried, log, now).retry_at
            return waiting(text, retry_at=retry_at, reason=verdict.reason)
    return verdict


def _verdict(error: Exception, tried: Tried, log: Log, now: float) -> Verdict:
    verdict = retry.verdict(error, tried, now, retry.jitter())
    if verdict.outcome.status == FAILED:
        log.trace()
    return verdict
