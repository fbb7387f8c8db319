"""How a delivery goes on when one of its steps was refused: values and pure functions.

taking.py acts on what ``after_refusal`` says. One refusal is not the end: while an alert is true
and another way to its ticket is open, that way is taken.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brtel_notify.api.exceptions import ApiError
    from brtel_notify.delivery.situation import Situation

#: So many refusals of one step, each of which may pass, are taken for one that stays.
FEW_REFUSALS = 3

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

_OF_ANOTHER = ": not the API"

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

    if error.status == 401 or (error.api_wide and not error.retry):
        return ENDS  # token, address, certificate: no event's fault
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
    return f"{step}{_OF_ANOTHER}" if isinstance(error, BadAnswer) else step


def is_of_another(counted: str) -> bool:
    """Whether what is COUNTED so did not come from BlueRockTEL."""
    return counted.endswith(_OF_ANOTHER)


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
    from brtel_notify.delivery import occurrences, step_names

    if step == step_names.NOTE:
        # What was changed before it must not be forgotten for want of a note.
        changed = any(done in situation.facts for done in (step_names.UPDATE, step_names.REOPEN))
        ends = situation.member is not None and occurrences.is_recovery(situation.alert)
        return changed or ends or situation.alert.kind in (PROBLEM, RECOVERY)
    # The ticket of a recovery is closed without its note, then.
    refusable = step == step_names.RESOLVE or step in step_names.REFUSABLE
    return refusable or step_names.is_about_doubles(step)
