"""One attempt at one event: its delivery, and a verdict on whatever goes wrong with it."""

from __future__ import annotations

import errno
from typing import Optional

from brtel_notify.alert import Unintelligible
from brtel_notify.api.errors import ApiError, CredentialsError, Forbidden, OutOfTime
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.delivery.delivery import Delivery, NoOwner
from brtel_notify.delivery.outcome import (
    API,
    CONFIGURATION,
    DISK,
    FAILED,
    MISCONFIGURED,
    QUEUED,
    REFUSED,
    TIME,
    Outcome,
    Verdict,
)
from brtel_notify.intake.queue import SETTLING, Damaged, Queue
from brtel_notify.local.log import Log

#: Seconds until the second attempt; doubled for each further one, up to the longest.
FIRST_RETRY = 15.0
LONGEST_RETRY = 900.0
#: …up to this one, where it was BlueRockTEL as a whole that failed: the event is late enough.
LONGEST_RETRY_AFTER_OUTAGE = 300.0
#: A longer wish of the server's (seconds) is a mistake.
LONGEST_RETRY_AFTER = 3600.0
#: Seconds for which a drainer leaves an event alone that the token's user may not deliver.
FORBIDDEN_PAUSE = 30.0
#: Errors of the disk as a whole, whichever file it was that showed them.
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


def attempt(delivery: Delivery, queue: Queue, log: Log, now: float) -> Verdict:
    """Try to deliver an event; never raises. NOW is in seconds since the epoch."""
    try:
        return _judged(delivery, queue, now)
    except OSError as error:
        where = error.filename or queue.state_dir
        if where == delivery.event.path and error.errno not in _OF_THE_DISK:
            # Only this event's own file is in the way.
            text = f"{where}: {error.strerror}; the event is queued"
            return Verdict(Outcome(QUEUED, text), stays=True, retry_at=now + FORBIDDEN_PAUSE)
        text = f"the state folder cannot be written: {where}: {error.strerror or error}"
        outcome = Outcome(QUEUED, f"{text}; the event is queued")
        return Verdict(outcome, stays=True, halts=DISK)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the event
        return _unforeseen(delivery, log, now, error)


def _judged(delivery: Delivery, queue: Queue, now: float) -> Verdict:
    try:
        return Verdict(delivery.run(), also_done=tuple(delivery.done_with))
    except OutOfTime:
        delivery.failed("out of time", maybe_done=False)
        outcome = Outcome(QUEUED, "out of time; the next drain goes on with it")
        return Verdict(outcome, stays=True, halts=TIME)
    except NoOwner as error:
        return _buried(delivery, queue, str(error))
    except (ConfigError, CredentialsError) as error:
        delivery.failed(str(error), maybe_done=False)
        return misconfigured(str(error))
    except ApiError as error:
        return _refused(delivery, queue, now, error)


def misconfigured(text: str) -> Verdict:
    """Only an operator can mend it, and until then no event will fare better."""
    outcome = Outcome(MISCONFIGURED, f"{text}; the event is queued")
    return Verdict(outcome, stays=True, halts=CONFIGURATION)


def _refused(delivery: Delivery, queue: Queue, now: float, error: ApiError) -> Verdict:
    """The API answered with an error, or not at all."""
    if error.status == 401 or (error.api_wide and not error.retry):
        # Token, URL or certificate: no event's fault.
        delivery.failed(str(error), error.maybe_done)
        return misconfigured(f"api: {error}")
    if isinstance(error, Forbidden):  # the token's user may not do this; others may fare better
        delivery.failed(str(error), error.maybe_done)
        outcome = misconfigured(f"api: {error}").outcome
        return Verdict(outcome, stays=True, retry_at=now + FORBIDDEN_PAUSE)
    if not error.retry:
        delivery.failed(str(error), error.maybe_done)
        return _buried(delivery, queue, f"{delivery.alert.key}: {error}")
    widely = is_outage(error)
    longest = LONGEST_RETRY_AFTER_OUTAGE if widely else LONGEST_RETRY
    attempts = delivery.event.attempts
    retry_at = now + pause(attempts, error.retry_after, error.maybe_done, longest)
    halts = API if widely else None
    delivery.failed(str(error), error.maybe_done, retry_at, widely)
    outcome = Outcome(QUEUED, f"{delivery.alert.key}: {error}; it will be tried again")
    return Verdict(outcome, True, retry_at, halts, error.retry_after, attempts=attempts)


def is_outage(error: ApiError) -> bool:
    """Whether other events would fare the same, for now.

    A 500 is the server's fault, too, but perhaps only with this event.
    """
    return error.retry and error.api_wide and error.status != 500


def _buried(delivery: Delivery, queue: Queue, reason: str) -> Verdict:
    return buried(queue, delivery.event.id, reason)


def buried(queue: Queue, event_id: str, reason: str) -> Verdict:
    """Give an event up, but keep it where a command can put it back. Raises OSError."""
    queue.bury(event_id, reason)
    return Verdict(Outcome(REFUSED, f"{reason}; kept in dead/ as {event_id}"))


def unusable(queue: Queue, event_id: str, log: Log, now: float, error: Exception) -> Verdict:
    """What becomes of an event whose file cannot be read, by the ERROR that showed it."""
    if isinstance(error, (Damaged, Unintelligible)):
        try:
            return buried(queue, event_id, str(error))
        except OSError as unmoved:
            error = unmoved
    if isinstance(error, OSError):
        text = f"{event_id} cannot be used: {error.strerror}; it stays queued"
        return Verdict(Outcome(QUEUED, text), stays=True, retry_at=now + FORBIDDEN_PAUSE)
    return _failed(log, error, now + pause(0))


def _unforeseen(delivery: Delivery, log: Log, now: float, error: Exception) -> Verdict:
    verdict = _failed(log, error, now + pause(delivery.event.attempts))
    try:
        text = f"unforeseen {type(error).__name__}: {error}"
        delivery.failed(text, maybe_done=True, retry_at=verdict.retry_at)
    except OSError:
        pass  # the disk, too; the event is in the queue all the same
    return verdict


def _failed(log: Log, error: Exception, retry_at: float) -> Verdict:
    log.trace()
    text = f"unforeseen {type(error).__name__}: {error} (-v shows where); the event is queued"
    return Verdict(Outcome(FAILED, text), stays=True, retry_at=retry_at)


def pause(
    attempts: int,
    retry_after: Optional[float] = None,
    maybe_done: bool = False,
    longest: float = LONGEST_RETRY,
) -> float:
    """Seconds until the next attempt: longer each time, never all events at one moment.

    What may still be under way at a slow server gets the time to arrive before it is looked for.
    """
    backoff = min(FIRST_RETRY * 2.0 ** min(max(0, attempts - 1), 10), longest)
    least = SETTLING if maybe_done else 0.0
    return max(backoff * jitter(), least, min(retry_after or 0.0, LONGEST_RETRY_AFTER))


def jitter() -> float:
    """A factor of about 1."""
    import random

    return random.uniform(0.8, 1.2)  # noqa: S311 - no secret depends on it
