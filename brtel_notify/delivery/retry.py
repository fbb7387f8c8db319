"""What is tried again, and when: what follows from every error, and every pause there is.

All of it is values and pure functions. ``verdict`` says what follows from whatever ended an
attempt; attempt.py acts on that. (How a delivery goes on when one of its steps was refused is in
next_way.py.) The breaker, the queue's events and the worker have their pauses from here.

What is heavy is imported where it is needed: an alert that only waits reads this, too.
"""

from __future__ import annotations

from brtel_notify.local.plausible import lies_ahead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from brtel_notify.api.exceptions import ApiError
    from brtel_notify.delivery.outcome import Failure, Tried, Verdict
    from brtel_notify.intake.queue import Event

# --- one event; all in seconds ------------------------------------------------------------------

#: Until the second attempt; doubled for each further one, up to the longest.
FIRST_RETRY = 15.0
LONGEST_RETRY = 900.0
#: …up to this one, where it was BlueRockTEL as a whole that failed: the event is late enough.
LONGEST_RETRY_AFTER_OUTAGE = 300.0
#: A longer wish of the server's is a mistake.
LONGEST_RETRY_AFTER = 3600.0
#: A call without an answer may still take so long at the server.
SETTLING = 60.0
#: No failure makes an event wait for longer: a time further ahead was set by a wrong clock.
LONGEST_WAIT = 7200.0
#: A drainer leaves an event alone for so long that the token's user may not deliver, or whose own
#: file is in the way.
FORBIDDEN_PAUSE = 30.0
#: After so many attempts an event waits out its own pause, even if BlueRockTEL is well again: it
#: may be this very event that it chokes on.
LIGHT_ATTEMPTS = 3

# --- everything; in seconds ---------------------------------------------------------------------

#: From the first failure of BlueRockTEL as a whole to the first probe; doubled with each failed
#: one, up to the longest.
FIRST_PROBE = 5.0
LONGEST_PROBE = 300.0
#: A worker tries a state folder again that could not be used,
DISK_PAUSE = 2.0
#: …a wrong configuration, even if its file did not change: a name may have been created,
CONFIGURATION_PAUSE = 30.0
#: …and a queue file that could not be read.
UNREADABLE_PAUSE = 60.0

#: A pause is lengthened or shortened by up to this part of it, by chance.
JITTER = 0.2


def jitter() -> float:
    """A factor of about 1: several events, or machines, do not come back at one moment."""
    import random

    return random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret depends on it


def pause(
    attempts: int,
    factor: float,
    retry_after: Optional[float] = None,
    maybe_done: bool = False,
    longest: float = LONGEST_RETRY,
) -> float:
    """Seconds until the next attempt: longer each time. FACTOR is the jitter.

    What may still be under way at a slow server gets the time to arrive before it is looked for.
    RETRY_AFTER is the server's own wish.
    """
    backoff = _doubled(FIRST_RETRY, attempts - 1, longest) * factor
    least = SETTLING if maybe_done else 0.0
    return max(backoff, least, min(retry_after or 0.0, LONGEST_RETRY_AFTER))


def probe_pause(failures: int, factor: float, retry_after: Optional[float] = None) -> float:
    """Seconds until BlueRockTEL is asked again, after so many FAILURES before this one."""
    backoff = _doubled(FIRST_PROBE, failures, LONGEST_PROBE) * factor
    return max(backoff, min(retry_after or 0.0, LONGEST_PROBE))


def _doubled(first: float, times: int, longest: float) -> float:
    return min(first * 2.0 ** min(max(0, times), 10), longest)


def due_at(event: Event, now: float) -> float:
    """The earliest time, in seconds since the epoch, of EVENT's next attempt; 0: any.

    What was put off by a clock that was ahead is not.
    """
    at, until = event.put_off
    return max(0.0 if lies_ahead(at, now) else until, settled_at(event, now))


def settled_at(event: Event, now: float) -> float:
    """When each call of EVENT has had the time to arrive, or not to; 0: there is none in doubt.

    A call whose attempt was killed before it could say what came of it, or that got no answer, may
    still be under way.
    """
    since = (begun for begun in event.under_way if not lies_ahead(begun, now))
    return max((begun + SETTLING for begun in since), default=0.0)


def waits(event: Event, now: float) -> bool:
    """Whether it is too early for EVENT's next attempt."""
    return is_to_come(due_at(event, now), now)


def is_to_come(due: float, now: float) -> bool:
    """Whether an event that is DUE then has to wait; not for a time that a wrong clock set."""
    return now < due <= now + LONGEST_WAIT


def probe_waits(retry_at: float, now: float) -> bool:
    """Whether it is too early for the probe of RETRY_AT; a clock set back does not make it so."""
    return now < retry_at <= now + 2 * LONGEST_PROBE


def may_be_woken(widely: bool, attempts: int) -> bool:
    """Whether an event's wait ends as soon as BlueRockTEL is well again.

    WIDELY: what it waits for has nothing to do with this event.
    """
    return widely and attempts <= LIGHT_ATTEMPTS


# --- one attempt ----------------------------------------------------------------------------------


def verdict(error: Exception, tried: Tried, now: float, factor: float) -> Verdict:
    """What follows from the ERROR that ended an attempt, or kept an event from being read.

    NOW is in seconds since the epoch, FACTOR the jitter.
    """
    from brtel_notify.alert import Unintelligible
    from brtel_notify.api.exceptions import ApiError, CredentialsError, OutOfTime
    from brtel_notify.config.yaml_nodes import ConfigError
    from brtel_notify.delivery.outcome import FAILED, TIME, Failure, NoOwner, given_up, waiting
    from brtel_notify.intake.queue import Damaged

    if isinstance(error, OutOfTime):
        text = "out of time"
        return waiting(f"{text}; the next drain goes on with it", TIME, failure=Failure(text))
    if isinstance(error, (NoOwner, Damaged, Unintelligible)):
        return given_up(str(error), tried)
    if isinstance(error, (ConfigError, CredentialsError)):
        return misconfigured(str(error), Failure(str(error)))
    if isinstance(error, ApiError):
        return _of_the_api(error, tried, now, factor)
    if isinstance(error, OSError):
        return _of_the_disk(error, tried, now)
    text = f"unforeseen {type(error).__name__}: {error}"
    retry_at = now + pause(tried.attempts, factor)
    failure = Failure(text, maybe_done=True, retry_at=retry_at)
    told = f"{text} (-v shows where); the event is queued"
    return waiting(told, retry_at=retry_at, failure=failure, status=FAILED)


def misconfigured(text: str, failure: Optional[Failure] = None) -> Verdict:
    """Only an operator can mend it, and until then no event will fare better."""
    from brtel_notify.delivery.outcome import CONFIGURATION, MISCONFIGURED, waiting

    told = f"{text}; the event is queued"
    return waiting(told, CONFIGURATION, failure=failure, status=MISCONFIGURED)


def _of_the_api(error: ApiError, tried: Tried, now: float, factor: float) -> Verdict:
    """BlueRockTEL answered with an error, or not at all."""
    from brtel_notify.api.exceptions import Forbidden
    from brtel_notify.delivery.outcome import API, Failure, given_up, waiting

    failure = Failure(str(error), error.maybe_done)
    if error.status == 401 or (error.api_wide and not error.retry):
        return misconfigured(f"api: {error}", failure)  # token, URL, certificate: no event's fault
    if isinstance(error, Forbidden):  # the token's user may not do this; others may fare better
        halt = misconfigured(f"api: {error}", failure)
        return halt._replace(halts=None, retry_at=now + FORBIDDEN_PAUSE)
    if not error.retry:
        return given_up(f"{tried.key}: {error}{error.tried}", tried, failure)
    # A 500 is the server's fault, too, but perhaps only with this event.
    widely = error.api_wide and error.status != 500
    longest = LONGEST_RETRY_AFTER_OUTAGE if widely else LONGEST_RETRY
    wait = pause(tried.attempts, factor, error.retry_after, error.maybe_done, longest)
    return waiting(
        f"{tried.key}: {error}; it will be tried again",
        API if widely else None,
        retry_at=now + wait,
        failure=failure._replace(retry_at=now + wait, widely=widely),
        retry_after=error.retry_after,
        attempts=tried.attempts,
    )


def _of_the_disk(error: OSError, tried: Tried, now: float) -> Verdict:
    """A file could not be read or written."""
    import errno

    from brtel_notify.delivery.outcome import DISK, IGNORED, Outcome, Verdict, waiting

    # Errors of the disk as a whole, whichever file it was that showed them.
    everywhere = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
    if not tried.key:
        text = f"{tried.event_id} cannot be used: {error.strerror}; it stays queued"
        return waiting(text, retry_at=now + FORBIDDEN_PAUSE)
    where = error.filename or tried.state_dir
    if where == tried.path and error.errno == errno.ENOENT:
        return Verdict(Outcome(IGNORED, f"{tried.key}: was taken out of the queue meanwhile"))
    if where == tried.path and error.errno not in everywhere:
        text = f"{where}: {error.strerror}; the event is queued"
        return waiting(text, retry_at=now + FORBIDDEN_PAUSE)
    text = f"the state folder cannot be written: {where}: {error.strerror or error}"
    return waiting(f"{text}; the event is queued", DISK)
