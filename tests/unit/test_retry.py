"""What is tried again, and when: tables from an error to what follows, and the pauses."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Tuple, Type

import pytest

from brtel_notify.alert import ACKNOWLEDGEMENT, PROBLEM, RECOVERY, Alert, Unintelligible
from brtel_notify.api.exceptions import (
    ApiError,
    BadAnswer,
    Forbidden,
    NotFound,
    Refused,
    ServerError,
    Throttled,
    TlsError,
    Unauthorized,
    Unreachable,
)
from brtel_notify.config.schema import Lifecycle
from brtel_notify.delivery import retry, step_names
from brtel_notify.delivery.next_way import (
    A_FEW_TIMES,
    AGAIN,
    CUSTOMER_GONE,
    ENDS,
    FALLBACK,
    FEW_REFUSALS,
    GONE,
    ITSELF,
    LEFT_OUT,
    LOOK,
    MISSING,
    NEW_TICKET,
    PROVE,
    THERE,
    UNSEARCHED,
    after_refusal,
    counts_as,
    is_about_the_customer,
    may_dislike_the_words,
)
from brtel_notify.delivery.outcome import API, FAILED, QUEUED, REFUSED, Failure, Tried
from brtel_notify.delivery.retry import (
    FORBIDDEN_PAUSE,
    LONGEST_PROBE,
    LONGEST_RETRY_AFTER,
    LONGEST_RETRY_AFTER_OUTAGE,
    SETTLING,
    pause,
    probe_pause,
)
from brtel_notify.delivery.situation import Policy, Situation
from brtel_notify.intake.queue import Damaged
from brtel_notify.tickets.open_tickets import Entry

NOW = 1_700_000_000.0
TICKET = 1024
EVERY_STEP = (
    *(
        step_names.FIND,
        step_names.CHECK,
        step_names.CREATE,
        step_names.ATTACH,
        step_names.DETAILS,
        step_names.UPDATE,
    ),
    *(step_names.REOPEN, step_names.NOTE, step_names.RESOLVE, step_names.CLOSE),
)
#: The steps on a ticket that is there already.
ON_A_TICKET = tuple(step for step in EVERY_STEP if step not in (step_names.FIND, step_names.CREATE))


def situation(kind: str = PROBLEM, **facts: Any) -> Situation:
    entry = Entry("nagios:pbx", "BN-0123456789ab", TICKET, "A7KZ2F", {})
    alert = Alert("nagios", kind, "pbx", NOW)
    return Situation(
        alert, entry.key, entry.reference, "1-1-a", Policy(Lifecycle()), NOW, entry, facts=facts
    )


def error(kind: Type[ApiError], status: Optional[int] = None, **more: Any) -> ApiError:
    return kind("PUT", "/v1/tickets/1024", status, "words", **more)


# --- a step ---------------------------------------------------------------------------------------

UNREACHABLE = error(Unreachable, retry=True, api_wide=True)
FIREWALL = error(BadAnswer, 403, retry=True)
NOT_THERE = error(NotFound, 404)
INVALID = error(Refused, 422)


@pytest.mark.parametrize("step", EVERY_STEP)
@pytest.mark.parametrize(
    "trouble",
    [
        UNREACHABLE,
        error(TlsError, retry=True, api_wide=True),
        *(error(ServerError, status, retry=True, api_wide=True) for status in (408, 502, 503)),
        error(Throttled, 429, retry=True, api_wide=True),
        error(BadAnswer, 200, retry=True, maybe_done=True, api_wide=True),
    ],
)
def test_a_servers_trouble_ends_the_attempt_at_any_step(step: str, trouble: ApiError) -> None:
    for refusals in (0, 9):
        assert after_refusal(step, trouble, situation(), refusals) == AGAIN


@pytest.mark.parametrize("step", EVERY_STEP)
def test_a_refused_token_ends_the_attempt_at_any_step(step: str) -> None:
    assert after_refusal(step, error(Unauthorized, 401), situation(), 0) == ENDS


#: What may come every time, for this call only.
STUBBORN = [
    error(ServerError, 500, retry=True, api_wide=True),
    FIREWALL,
    error(BadAnswer, 200, retry=True, maybe_done=True),
]


@pytest.mark.parametrize("step", EVERY_STEP)
@pytest.mark.parametrize("trouble", STUBBORN)
def test_what_may_come_every_time_is_waited_for_and_then_gone_without(
    step: str, trouble: ApiError
) -> None:
    assert after_refusal(step, trouble, situation(), 0) in (AGAIN, A_FEW_TIMES)
    last = after_refusal(step, trouble, situation(), 9)
    ways = {step_names.REOPEN: NEW_TICKET, step_names.FIND: UNSEARCHED}
    if step in (step_names.CREATE, step_names.CLOSE):  # in other words, or by another call
        assert last == AGAIN
    else:
        assert last == PROVE  # if others pass
        proved = after_refusal(step, trouble, situation(), 9, ITSELF)
        assert proved == ways.get(step, LEFT_OUT)


def test_only_a_problem_goes_on_without_having_searched() -> None:
    for trouble in STUBBORN:
        assert after_refusal(step_names.FIND, trouble, situation(RECOVERY), 9) == AGAIN
    assert after_refusal(step_names.FIND, INVALID, situation(RECOVERY), 9, ITSELF) == ENDS
    forbidden = error(Forbidden, 403)
    assert after_refusal(step_names.FIND, forbidden, situation(), 9) == ENDS


def test_refusals_are_counted_by_who_refuses() -> None:
    assert counts_as("note", STUBBORN[0]) == "note: 500"
    assert counts_as("note", FIREWALL) == "note: not the API"
    assert counts_as("note", INVALID) == "note"
    assert counts_as("note", UNREACHABLE) == ""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("The selected ticketable id is invalid.", True),
        ("x (ticketable_id: Id inconnu.)", True),
        ("This Customer is archived", True),
        ("The selected priority id is invalid.", False),
    ],
)
def test_a_refusal_that_is_about_the_customer(said: str, expected: bool) -> None:
    refusal = Refused("POST", "/v1/tickets", 422, said)
    assert is_about_the_customer(refusal) is expected
    first = after_refusal(step_names.CREATE, refusal, situation(), 0, ITSELF)
    assert first == (CUSTOMER_GONE if expected else ENDS)


def test_words_are_disliked_after_a_few_refusals_by_what_is_on_the_way() -> None:
    last = FEW_REFUSALS - 1
    for step in (step_names.CREATE, step_names.NOTE):
        assert may_dislike_the_words(step, FIREWALL, last)
        assert not may_dislike_the_words(step, FIREWALL, last - 1)
        assert not may_dislike_the_words(step, INVALID, last)
    assert may_dislike_the_words(step_names.CREATE, error(Forbidden, 403), last)
    assert not may_dislike_the_words(step_names.NOTE, error(Forbidden, 403), last)


class Case(NamedTuple):
    """A step that met an error; how the delivery goes on, and how after so many refusals of it."""

    step: str
    error: ApiError
    first: str
    after_few: str
    proof: str = ""
    kind: str = PROBLEM
    facts: Tuple[str, ...] = ()


CASES = {
    # A 404.
    "the search is not there": Case(step_names.FIND, NOT_THERE, A_FEW_TIMES, UNSEARCHED, ITSELF),
    "a customer may be gone": Case(step_names.CREATE, NOT_THERE, PROVE, PROVE),
    "the customer is gone": Case(
        step_names.CREATE, NOT_THERE, CUSTOMER_GONE, CUSTOMER_GONE, ITSELF
    ),
    "it is gone again": Case(
        *(step_names.CREATE, NOT_THERE, A_FEW_TIMES, FALLBACK, ITSELF), facts=("looked_again",)
    ),
    "it is gone again, and there is no other": Case(
        *(step_names.CREATE, NOT_THERE, A_FEW_TIMES, ENDS, ITSELF),
        facts=("looked_again", "to_fallback"),
    ),
    "a contact is gone": Case(step_names.ATTACH, NOT_THERE, LEFT_OUT, LEFT_OUT, THERE),
    **{
        f"{step}: the ticket is there all the same": Case(
            step, NOT_THERE, A_FEW_TIMES, after_few, THERE
        )
        for step, after_few in (
            (step_names.CHECK, LEFT_OUT),
            (step_names.DETAILS, LEFT_OUT),
            (step_names.UPDATE, LEFT_OUT),
            (step_names.REOPEN, NEW_TICKET),
            (step_names.NOTE, LEFT_OUT),
            (step_names.RESOLVE, LEFT_OUT),
            (step_names.CLOSE, ENDS),
        )
    },
    # What is wrong with a call, and stays so.
    "find is refused": Case(step_names.FIND, INVALID, A_FEW_TIMES, UNSEARCHED, ITSELF),
    "create is refused": Case(step_names.CREATE, INVALID, ENDS, ENDS, ITSELF),
    "attach is refused": Case(step_names.ATTACH, INVALID, LEFT_OUT, LEFT_OUT, ITSELF),
    "details are refused": Case(step_names.DETAILS, INVALID, LEFT_OUT, LEFT_OUT, ITSELF),
    "update is refused": Case(step_names.UPDATE, INVALID, LEFT_OUT, LEFT_OUT, ITSELF),
    "reopen is refused": Case(step_names.REOPEN, INVALID, NEW_TICKET, NEW_TICKET, ITSELF),
    "resolve is refused": Case(step_names.RESOLVE, INVALID, LEFT_OUT, LEFT_OUT, ITSELF),
    "close is refused": Case(step_names.CLOSE, INVALID, A_FEW_TIMES, ENDS, ITSELF),
    "a problem's note is refused": Case(step_names.NOTE, INVALID, LEFT_OUT, LEFT_OUT, ITSELF),
    "a recovery's note is refused": Case(
        *(step_names.NOTE, INVALID, LEFT_OUT, LEFT_OUT, ITSELF), kind=RECOVERY
    ),
    "an acknowledgement's note is refused": Case(
        *(step_names.NOTE, INVALID, ENDS, ENDS, ITSELF), kind=ACKNOWLEDGEMENT
    ),
    "…after something was changed": Case(
        *(step_names.NOTE, INVALID, LEFT_OUT, LEFT_OUT, ITSELF),
        kind=ACKNOWLEDGEMENT,
        facts=(step_names.UPDATE,),
    ),
    # What the token's user may not do.
    "create is forbidden": Case(step_names.CREATE, error(Forbidden, 403), ENDS, ENDS),
    "reopen is forbidden": Case(step_names.REOPEN, error(Forbidden, 403), NEW_TICKET, NEW_TICKET),
    "update is forbidden": Case(step_names.UPDATE, error(Forbidden, 403), LEFT_OUT, LEFT_OUT),
    "resolve is forbidden": Case(step_names.RESOLVE, error(Forbidden, 403), A_FEW_TIMES, LEFT_OUT),
    # What comes from beside the API.
    "a firewall lets no reopening pass": Case(
        step_names.REOPEN, FIREWALL, A_FEW_TIMES, NEW_TICKET, ITSELF
    ),
    "a firewall lets no note pass": Case(step_names.NOTE, FIREWALL, A_FEW_TIMES, LEFT_OUT, ITSELF),
    "what refuses is not the API": Case(
        step_names.REOPEN, error(BadAnswer, 404, retry=True, api_wide=True), AGAIN, AGAIN
    ),
    "a redirect": Case(step_names.REOPEN, error(BadAnswer, 302, api_wide=True), ENDS, ENDS),
}


@pytest.mark.parametrize("name", CASES)
def test_how_a_delivery_goes_on_after_a_refusal(name: str) -> None:
    case = CASES[name]
    facts: Dict[str, Any] = {name: {} for name in case.facts}
    found = situation(case.kind, **facts)
    assert after_refusal(case.step, case.error, found, 0, case.proof) == case.first
    assert after_refusal(case.step, case.error, found, 1, case.proof) == case.first
    assert after_refusal(case.step, case.error, found, 2, case.proof) == case.after_few


@pytest.mark.parametrize("step", EVERY_STEP)
def test_a_refusal_is_believed_only_of_the_api_itself(step: str) -> None:
    assert after_refusal(step, INVALID, situation(), 9) == PROVE


@pytest.mark.parametrize("step", ON_A_TICKET)
def test_a_missing_ticket_is_looked_for_before_it_is_believed(step: str) -> None:
    assert after_refusal(step, NOT_THERE, situation(), 0) == LOOK
    assert after_refusal(step, NOT_THERE, situation(), 0, MISSING) == GONE
    assert after_refusal(step, NOT_THERE, situation(gone=TICKET), 0) == LEFT_OUT


# --- an attempt -----------------------------------------------------------------------------------

TRIED = Tried("1-1-a", "/var/lib/state", "/var/lib/state/queue/1-1-a.jsonl", "nagios:pbx", 1)
UNREAD = Tried("1-1-a", "/var/lib/state")


def test_what_cannot_be_read_is_given_up_with_the_reason() -> None:
    for ending in (Damaged("1-1-a.jsonl: is damaged"), Unintelligible("no host")):
        verdict = retry.verdict(ending, UNREAD, NOW, 1.0)
        assert (verdict.outcome.status, verdict.stays) == (REFUSED, False)
        assert verdict.reason == str(ending)
        assert verdict.outcome.text == f"{ending}; kept in dead/ as 1-1-a"


def test_what_may_not_be_read_is_left_alone_for_a_while() -> None:
    verdict = retry.verdict(PermissionError(13, "Permission denied"), UNREAD, NOW, 1.0)
    assert (verdict.outcome.status, verdict.halts) == (QUEUED, None)
    assert verdict.outcome.text == "1-1-a cannot be used: Permission denied; it stays queued"
    assert verdict.retry_at == NOW + FORBIDDEN_PAUSE


def test_a_fault_of_ours_is_tried_again() -> None:
    verdict = retry.verdict(ZeroDivisionError("oops"), TRIED, NOW, 1.0)
    assert (verdict.outcome.status, verdict.halts, verdict.stays) == (FAILED, None, True)
    failure = Failure("unforeseen ZeroDivisionError: oops", True, NOW + 15.0)
    assert verdict.failure == failure


def test_the_jitter_moves_a_pause_and_no_ceiling() -> None:
    for factor, wait in ((0.8, 12.0), (1.0, 15.0), (1.2, 18.0)):
        assert retry.verdict(UNREACHABLE, TRIED, NOW, factor).retry_at == NOW + wait
    wish = error(Throttled, 429, retry=True, api_wide=True, retry_after=1e12)
    verdict = retry.verdict(wish, TRIED, NOW, 1.2)
    assert (verdict.halts, verdict.retry_at) == (API, NOW + LONGEST_RETRY_AFTER)
    assert verdict.retry_after == 1e12  # the breaker has a ceiling of its own


def test_a_jitter_is_about_one() -> None:
    factors = [retry.jitter() for _ in range(200)]
    assert all(0.8 <= factor <= 1.2 for factor in factors)
    assert len(set(factors)) > 1


# --- pauses ---------------------------------------------------------------------------------------


def test_pauses_grow_up_to_a_quarter_of_an_hour() -> None:
    pauses = [pause(attempts, 1.0) for attempts in range(1, 30)]
    assert pauses[:3] == [15.0, 30.0, 60.0]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 900.0


def test_an_outage_that_is_over_holds_an_event_up_for_minutes_at_most() -> None:
    assert pause(29, 1.0, longest=LONGEST_RETRY_AFTER_OUTAGE) == 300.0


def test_a_call_that_may_be_under_way_gets_the_time_to_arrive() -> None:
    assert pause(1, 1.0, maybe_done=True) == SETTLING
    assert pause(29, 1.0, maybe_done=True) == 900.0


def test_a_wish_for_another_century_is_a_mistake() -> None:
    assert pause(1, 1.0, retry_after=1e12) == LONGEST_RETRY_AFTER
    assert probe_pause(0, 1.0, retry_after=1e12) == LONGEST_PROBE


def test_probes_grow_rarer_up_to_five_minutes() -> None:
    assert [probe_pause(failures, 1.0) for failures in (0, 1, 2, 9)] == [5.0, 10.0, 20.0, 300.0]
