"""The verdict on whatever ends an attempt: a table from the error to what follows from it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NamedTuple, Optional, cast

import pytest

from brtel_notify.alert import Alert
from brtel_notify.api.exceptions import (
    ApiError,
    BadAnswer,
    Call,
    CredentialsError,
    Forbidden,
    NotFound,
    OutOfTime,
    Refused,
    ServerError,
    Throttled,
    TlsError,
    Unauthorized,
    Unreachable,
    refusal,
)
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.delivery import retry
from brtel_notify.delivery.attempt import attempt
from brtel_notify.delivery.delivery import Delivery
from brtel_notify.delivery.outcome import (
    API,
    CONFIGURATION,
    DELIVERED,
    DISK,
    FAILED,
    MISCONFIGURED,
    QUEUED,
    REFUSED,
    TIME,
    Failure,
    NoOwner,
    Outcome,
    Verdict,
)
from brtel_notify.delivery.retry import FORBIDDEN_PAUSE, SETTLING
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Event, Queue
from brtel_notify.local.log import Log
from brtel_notify.sources.registry import parse

NOW = 1_700_000_000.0
FIRST = 15.0


class FakeDelivery:
    """A delivery that ends as it is told, and journals like the real one."""

    def __init__(self, event: Event, ending: Optional[BaseException]) -> None:
        self.event = event
        self.alert: Alert = parse(event.capture)
        self.ending = ending
        self.done_with = ["another"]
        self.waits = None

    def run(self) -> Outcome:
        self.event.enter(attempt=self.event.attempts + 1)
        if self.ending is not None:
            raise self.ending
        return Outcome(DELIVERED, "opened")

    def failed(self, failure: Failure) -> None:
        record = failure._asdict()
        self.event.enter(failed=record.pop("text"), **record)


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "jitter", lambda: 1.0)


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(str(tmp_path / "state"))


@pytest.fixture
def event(queue: Queue) -> Event:
    env = {
        "NAGIOS_NOTIFICATIONTYPE": "PROBLEM",
        "NAGIOS_HOSTNAME": "pbx.example.net",
        "NAGIOS_HOSTSTATE": "DOWN",
    }
    return queue.add(Capture("nagios", env, [], "", NOW))


def judge(queue: Queue, event: Event, ending: Optional[BaseException]) -> Verdict:
    delivery = cast(Delivery, FakeDelivery(event, ending))
    return attempt(delivery, queue, Log(), NOW)


def api(kind: Any, status: Optional[int] = None, **more: Any) -> ApiError:
    error: ApiError = kind("POST", "/v1/tickets", status, "words", **more)
    return error


def answered(status: int, retry_after: str = "") -> ApiError:
    """The error that the client makes of an answer."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    call = Call("POST", "/v1/tickets")
    return refusal(call, status, headers, b'{"message": "words"}', "api.token")


UNREACHABLE = {"retry": True, "api_wide": True}


class Row(NamedTuple):
    """What ends the attempt, and what follows: the word for people, whether other events wait, in
    how many seconds this one is tried again, and whether it is still in the queue."""

    ending: BaseException
    status: str
    halts: Optional[str]
    retry_in: Optional[float] = None
    queued: bool = True
    maybe_done: bool = False
    widely: bool = False


TABLE = {
    # Out of reach: everybody waits, and this event a little longer if its call may have arrived.
    "no answer": Row(api(Unreachable, **UNREACHABLE), QUEUED, API, FIRST, widely=True),
    "no whole answer": Row(
        api(Unreachable, maybe_done=True, **UNREACHABLE),
        *(QUEUED, API, SETTLING),
        maybe_done=True,
        widely=True,
    ),
    "a page of a proxy": Row(
        api(BadAnswer, 200, maybe_done=True, **UNREACHABLE),
        *(QUEUED, API, SETTLING),
        maybe_done=True,
        widely=True,
    ),
    "certificate out of date": Row(api(TlsError, **UNREACHABLE), QUEUED, API, FIRST, widely=True),
    "408": Row(answered(408), QUEUED, API, SETTLING, maybe_done=True, widely=True),
    "425": Row(answered(425), QUEUED, API, FIRST, widely=True),
    "429": Row(answered(429), QUEUED, API, FIRST, widely=True),
    "429 with Retry-After": Row(answered(429, "120"), QUEUED, API, 120.0, widely=True),
    "429 for a day": Row(answered(429, "86400"), QUEUED, API, 3600.0, widely=True),
    "502": Row(answered(502), QUEUED, API, SETTLING, maybe_done=True, widely=True),
    "503": Row(answered(503), QUEUED, API, SETTLING, maybe_done=True, widely=True),
    "504": Row(answered(504), QUEUED, API, SETTLING, maybe_done=True, widely=True),
    # The server's trouble, but perhaps only with this event.
    "500": Row(answered(500), QUEUED, None, SETTLING, maybe_done=True),
    "broken JSON": Row(
        api(BadAnswer, 201, retry=True, maybe_done=True),
        *(QUEUED, None, SETTLING),
        maybe_done=True,
    ),
    "a 404 that is no JSON": Row(api(NotFound, 404, retry=True), QUEUED, None, FIRST),
    # Only an operator can mend it.
    "401": Row(answered(401), MISCONFIGURED, CONFIGURATION),
    "wrong certificate": Row(api(TlsError, api_wide=True), MISCONFIGURED, CONFIGURATION),
    "redirect": Row(answered(302), MISCONFIGURED, CONFIGURATION, maybe_done=True),
    "unknown name": Row(ConfigError("config.yml:3: wrong"), MISCONFIGURED, CONFIGURATION),
    "no token": Row(CredentialsError("no token"), MISCONFIGURED, CONFIGURATION),
    # …but others may fare better with what is configured.
    "403": Row(answered(403), MISCONFIGURED, None, FORBIDDEN_PAUSE),
    # Refused for good.
    "400": Row(answered(400), REFUSED, None, queued=False),
    "404": Row(answered(404), REFUSED, None, queued=False),
    "409": Row(answered(409), REFUSED, None, queued=False),
    "422": Row(answered(422), REFUSED, None, queued=False),
    "nobody's host": Row(NoOwner("nobody owns pbx.example.net"), REFUSED, None, queued=False),
    # This process's own trouble.
    "out of time": Row(OutOfTime(), QUEUED, TIME),
    "a fault of ours": Row(ZeroDivisionError("oops"), FAILED, None, FIRST, maybe_done=True),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_follows_from_an_error(queue: Queue, event: Event, name: str) -> None:
    row = TABLE[name]
    verdict = judge(queue, event, row.ending)
    assert verdict.outcome.status == row.status
    assert verdict.halts == row.halts
    assert verdict.stays is row.queued
    assert verdict.retry_at == (0.0 if row.retry_in is None else NOW + row.retry_in)
    assert queue.pending() == ([event.id] if row.queued else [])
    assert queue.dead() == ([] if row.queued else [event.id])
    journalled = queue.load(event.id, dead=not row.queued).journal[1]
    if not isinstance(row.ending, NoOwner):  # found out before any call that changes something
        assert journalled["maybe_done"] is row.maybe_done
        if row.status != MISCONFIGURED:  # else the next drain, after the mending, need not wait
            assert journalled["retry_at"] == verdict.retry_at
        assert journalled["widely"] is row.widely


@pytest.mark.parametrize("name", TABLE)
def test_people_are_told_where_the_event_is(queue: Queue, event: Event, name: str) -> None:
    row = TABLE[name]
    text = judge(queue, event, row.ending).outcome.text
    assert "\n" not in text
    if not row.queued:
        assert f"kept in dead/ as {event.id}" in text
    elif row.status == QUEUED:
        assert "tried again" in text or "goes on with it" in text
    else:
        assert "the event is queued" in text


def test_what_went_well_takes_its_companions_along(queue: Queue, event: Event) -> None:
    verdict = judge(queue, event, None)
    assert verdict == Verdict(Outcome(DELIVERED, "opened"), also_done=("another",))


def test_a_full_disk_halts_everything(queue: Queue, event: Event) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", f"{queue.state_dir}/state.json")
    verdict = judge(queue, event, error)
    assert (verdict.halts, verdict.stays) == (DISK, True)
    assert "state.json: No space left on device" in verdict.outcome.text
    assert queue.pending() == [event.id]


def test_a_file_of_one_event_that_cannot_be_written_halts_only_that(
    queue: Queue, event: Event
) -> None:
    error = OSError(errno.EACCES, "Permission denied", event.path)
    verdict = judge(queue, event, error)
    assert (verdict.halts, verdict.stays) == (None, True)
    assert verdict.retry_at == NOW + FORBIDDEN_PAUSE


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_full_disk_halts_everything_whichever_file_shows_it(
    queue: Queue, event: Event, number: int
) -> None:
    verdict = judge(queue, event, OSError(number, os.strerror(number), event.path))
    assert (verdict.halts, verdict.stays) == (DISK, True)


def test_a_disk_that_fails_while_a_failure_is_journalled_loses_nothing(
    queue: Queue, event: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", event.path + ".x")

    monkeypatch.setattr(FakeDelivery, "failed", full)
    for ending in (answered(503), ZeroDivisionError("oops"), ConfigError("wrong")):
        verdict = judge(queue, event, ending)
        assert verdict.stays
        assert queue.pending() == [event.id]


def test_the_server_s_own_wish_is_handed_on_to_the_breaker(queue: Queue, event: Event) -> None:
    assert judge(queue, event, answered(429, "90")).retry_after == 90.0


def test_a_fault_of_ours_is_shown_only_to_who_asks(
    queue: Queue, event: Event, capsys: pytest.CaptureFixture[str]
) -> None:
    delivery = cast(Delivery, FakeDelivery(event, ZeroDivisionError("oops")))
    attempt(delivery, queue, Log(), NOW)
    assert capsys.readouterr().err == ""
    attempt(delivery, queue, Log(verbose=True), NOW)
    assert "Traceback" in capsys.readouterr().err


def test_every_kind_of_error_of_the_api_is_in_the_table() -> None:
    kinds = {type(row.ending) for row in TABLE.values() if isinstance(row.ending, ApiError)}
    assert kinds == {
        *(BadAnswer, Forbidden, NotFound, Refused, ServerError, Throttled, TlsError),
        *(Unauthorized, Unreachable),
    }
