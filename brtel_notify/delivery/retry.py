"""What is tried again, and when: what follows from every error, and every pause there is.

All of it is values and pure functions. ``after_refusal`` says how a delivery goes on when one of
its steps was refused, ``verdict`` what follows from whatever ended an attempt; delivery.py and
attempt.py act on that. The breaker, the queue's events and the worker have their pauses from here.

What is heavy is imported where it is needed: an alert that only waits reads this, too.
"""

from __future__ import annotations

from brtel_notify.local.plausible import lies_ahead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from brtel_notify.api.exceptions import ApiError
    from brtel_notify.delivery.outcome import Failure, Tried, Verdict
    from brtel_notify.delivery.situation import Situation
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
#: So many refusals of one step, each of which may pass, are taken for one that stays.
FEW_REFUSALS = 3

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


# --- one step -------------------------------------------------------------------------------------

# How a delivery goes on after a step was refused.
#: The attempt ends; the same may succeed later.
AGAIN = "again"
#: The same, but only so often: in the end the refusal is taken for one that stays.
A_FEW_TIMES = "a few times"
#: The attempt ends, and time alone mends nothing.
ENDS = "ends"
#: On without this step.
LEFT_OUT = "left out"
#: On without the ticket: it is not there any more.
GONE = "gone"
#: On with a new ticket: this one is not to be reopened.
NEW_TICKET = "new ticket"
#: From the beginning: the customer is not there any more.
CUSTOMER_GONE = "customer gone"
#: From the beginning, on the fallback customer: BlueRockTEL does not take the alert's own.
FALLBACK = "fallback"
#: On as if nothing was found: BlueRockTEL cannot be searched.
UNSEARCHED = "unsearched"
#: First see that it is the API that answers, and ask again with ITSELF.
PROVE = "prove"
#: First see whether the ticket is there, and ask again with THERE or MISSING.
LOOK = "look"

# What was seen when somebody looked.
ITSELF = "itself"
THERE = "there"
MISSING = "missing"


def after_refusal(
    step: str, error: ApiError, situation: Situation, refusals: int, proof: str = ""
) -> str:
    """How a delivery goes on after STEP met ERROR: one of the words above.

    REFUSALS is how many attempts before this one ended with the same step, refused in the same way
    (``counts_as``); an outage in between does not count. PROOF is what was seen, once it was asked
    for.
    """
    from brtel_notify.api.exceptions import NotFound, Refused
    from brtel_notify.delivery import step_names

    if error.status == 401:
        return ENDS
    if error.retry and not _is_stubborn(error):
        return AGAIN
    a_few_times = A_FEW_TIMES if refusals + 1 < FEW_REFUSALS else ENDS
    if step == step_names.CREATE and is_about_the_customer(error):
        return _without_its_customer(situation, a_few_times) if proof else PROVE
    if isinstance(error, NotFound) and step != step_names.FIND:
        if situation.ticket[0] == situation.facts.get("gone"):
            return LEFT_OUT
        if proof != THERE:
            return GONE if proof == MISSING else LOOK
        # Of the contact or the user it is true; of the ticket it is not, and may be over soon.
        is_of_another = step in (step_names.ATTACH, step_names.ASSIGN)
        is_of_another = is_of_another or step_names.is_about_doubles(step)
        again = ENDS if is_of_another else a_few_times
    else:
        again = _for_how_long(step, error, situation, refusals)
    if again != ENDS:
        return again
    if not proof and (error.retry or isinstance(error, (NotFound, Refused))):
        return PROVE  # a gateway may speak JSON, too
    if step == step_names.FIND and proof and _is_true(situation):
        return UNSEARCHED
    if step == step_names.REOPEN and (not error.api_wide or error.status == 500):
        return NEW_TICKET
    if _may_be_left_out(step, situation):
        return LEFT_OUT
    if step == step_names.CLOSE and isinstance(error, Refused):  # no other way is left
        return a_few_times
    return ENDS


def counts_as(step: str, error: ApiError) -> str:
    """What the refusal of a STEP is counted as, by who refuses; empty: it has nothing to do with
    this event."""
    from brtel_notify.api.exceptions import BadAnswer

    if error.status == 500:
        return f"{step}: 500"
    if error.api_wide:
        return ""
    return f"{step}: not the API" if isinstance(error, BadAnswer) else step


def may_dislike_the_words(step: str, error: ApiError, refusals: int) -> bool:
    """Whether it is the text of STEP that is refused, for the last of so many REFUSALS and one.

    BlueRockTEL's own 403 is about the token's user; but a gateway may speak JSON, too.
    """
    from brtel_notify.api.exceptions import BadAnswer, Forbidden
    from brtel_notify.delivery import step_names

    forbids = isinstance(error, Forbidden) and step == step_names.CREATE
    on_the_way = isinstance(error, BadAnswer) and not error.api_wide and error.status != 200
    return (forbids or on_the_way) and refusals + 1 >= FEW_REFUSALS


def may_be_the_only_one(error: ApiError, refusals: int) -> bool:
    """Whether a look at the server that met ERROR is to be taken in another way.

    Once it was refused by BlueRockTEL itself; or by something else, or with a 500, REFUSALS times
    before.
    """
    from brtel_notify.api.exceptions import Forbidden, NotFound, Refused

    if isinstance(error, (Forbidden, NotFound, Refused)):
        return True
    return _is_stubborn(error) and refusals + 1 >= FEW_REFUSALS


def is_about_the_customer(error: ApiError) -> bool:
    """Whether a ticket is refused because its customer is not there."""
    import re

    from brtel_notify.api.exceptions import NotFound, Refused

    if isinstance(error, NotFound):
        return True
    named = re.search("ticketable|customer", error.problem, re.IGNORECASE)
    return isinstance(error, Refused) and named is not None


def _is_stubborn(error: ApiError) -> bool:
    """Whether an error that may pass is one that may also come every time, for this call only.

    A firewall may never let it pass; a 500 may be about what it says.
    """
    return error.retry and (not error.api_wide or error.status == 500)


def _without_its_customer(situation: Situation, a_few_times: str) -> str:
    if "looked_again" not in situation.facts:
        return CUSTOMER_GONE
    if a_few_times != ENDS or "to_fallback" in situation.facts:
        return a_few_times
    return FALLBACK


def _for_how_long(step: str, error: ApiError, situation: Situation, refusals: int) -> str:
    """Whether STEP is to be tried AGAIN, A_FEW_TIMES, or this refusal ENDS it."""
    from brtel_notify.api.exceptions import Forbidden
    from brtel_notify.delivery import step_names

    few = FEW_REFUSALS
    if not error.retry:
        forbidden = isinstance(error, Forbidden)
        patient = step == (step_names.RESOLVE if forbidden else step_names.FIND)
        if not patient and (error.api_wide or step not in step_names.NO_TICKETS_WORTH):
            return ENDS
    elif step in (step_names.CREATE, step_names.CLOSE):
        return AGAIN  # the other ways are taken by the step itself
    elif step == step_names.FIND:
        if not _is_true(situation):
            return AGAIN
        few = 2 * FEW_REFUSALS
    elif step in step_names.TEXTS:
        # In other words first; and what is nothing but its note is given up for the last reason.
        words = error.status == 500 or not _may_be_left_out(step, situation)
        few = 2 * FEW_REFUSALS if words else FEW_REFUSALS
    return A_FEW_TIMES if refusals + 1 < few else ENDS


def _is_true(situation: Situation) -> bool:
    """Whether there is a problem that has to have a ticket."""
    from brtel_notify.alert import PROBLEM

    return situation.alert.kind == PROBLEM


def _may_be_left_out(step: str, situation: Situation) -> bool:
    """Whether an event is worth recording without STEP, which the server refuses for good."""
    from brtel_notify.alert import PROBLEM, RECOVERY
    from brtel_notify.delivery import step_names

    if step == step_names.NOTE:
        # What was changed before it must not be forgotten for want of a note.
        changed = any(done in situation.facts for done in (step_names.UPDATE, step_names.REOPEN))
        return changed or situation.alert.kind in (PROBLEM, RECOVERY)
    # The ticket of a recovery is closed without its note, then.
    refusable = step == step_names.RESOLVE or step in step_names.REFUSABLE
    return refusable or step_names.is_about_doubles(step)


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
