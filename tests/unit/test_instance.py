"""What one BlueRockTEL shows of itself, and answers in both dialects."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
import responses

from brtel_notify.api import fields, records
from brtel_notify.api.cache import Cache
from brtel_notify.api.client import Client
from brtel_notify.api.credentials import Credentials
from brtel_notify.api.exceptions import NotFound
from brtel_notify.api.instance import A_DAY, KEPT, UNSAID, Instance
from brtel_notify.delivery.came_back import differences
from brtel_notify.tickets import visible_note

URL = "https://acme.bluerocktel.net/api"
HOUR = 3600.0
TOKEN = "s3cr3t-recognisable"
CREATED_AT = "2026-07-02T08:15:00.000000Z"


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def instance(tmp_path: Path, clock: Clock) -> Instance:
    return Instance(Cache(str(tmp_path), URL, clock))


# --- the time zone --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opened_at", "offset"),
    [
        ("2026-07-02 08:15:00", 0.0),
        ("2026-07-02 10:15:02", 2 * HOUR),  # the two are not written at the same moment
        ("2026-07-02 10:07:31", 2 * HOUR),
        ("2026-07-02 04:15:00", -4 * HOUR),
        ("2026-07-02 14:00:00", 5.75 * HOUR),
        ("2026-07-02 22:15:00", 14 * HOUR),
        ("2026-07-01 18:15:00", -14 * HOUR),
        ("2026-07-03 08:15:00", None),
        ("2026-07-01 18:00:00", None),
        ("2026-07-02T08:15:00.000000Z", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_a_new_ticket_shows_the_time_zone(
    instance: Instance, opened_at: Optional[str], offset: Optional[float]
) -> None:
    instance.learn_offset(opened_at, CREATED_AT)
    assert instance.offset == offset


def test_summer_and_winter_are_learned_as_they_come_and_nonsense_is_not(
    instance: Instance, clock: Clock
) -> None:
    instance.learn_offset("2026-07-02 10:15:00", CREATED_AT)
    instance.learn_offset("2026-12-02 09:15:00", "2026-12-02T08:15:00Z")
    clock.now += 400 * 86400
    assert instance.offset == HOUR
    for opened_at, created_at in (
        ("2020-01-01 00:00:00", CREATED_AT),
        ("2026-07-02 10:15:00", "2026-07-02 10:15:00"),
        ("2026-07-02 10:15:00", None),
    ):
        instance.learn_offset(opened_at, created_at)
        assert instance.offset == HOUR


def test_dates_without_a_zone_are_the_instances_own() -> None:
    instant = fields.parse_date(CREATED_AT)
    assert fields.parse_date("2026-07-02 10:15:00", 2 * HOUR) == instant
    assert fields.parse_date("2026-07-02T10:15:00+02:00", 5 * HOUR) == instant
    assert fields.parse_date(CREATED_AT, 5 * HOUR) == instant


# --- what is remembered ---------------------------------------------------------------------------


def test_what_an_update_may_change_is_believed_for_a_day(instance: Instance, clock: Clock) -> None:
    assert (instance.lookups, instance.internal, instance.offset) == (None, "", None)
    instance.lookups, instance.internal = False, KEPT
    clock.now += A_DAY - 1
    assert (instance.lookups, instance.internal) == (False, KEPT)
    clock.now += 2
    assert (instance.lookups, instance.internal) == (None, "")
    instance.internal = UNSAID
    instance.forget_internal()
    assert instance.internal == ""


def test_without_a_cache_it_is_remembered_as_long_as_it_lives() -> None:
    instance = Instance()
    instance.lookups = True
    instance.learn_offset("2026-07-02 10:15:00", CREATED_AT)
    assert (instance.lookups, instance.offset) == (True, 2 * HOUR)


@pytest.mark.parametrize("value", ["yes", 1, None, [True], {"a": 1}])
def test_a_memory_that_makes_no_sense_is_none(tmp_path: Path, clock: Clock, value: Any) -> None:
    cache = Cache(str(tmp_path), URL, clock)
    for name in ("lookups", "internal", "offset"):
        cache.put("instance", name, 999999 if name == "offset" and value == 1 else value)
    instance = Instance(cache)
    assert (instance.lookups, instance.internal, instance.offset) == (None, "", None)


# --- read both ------------------------------------------------------------------------------------


def test_customers_in_either_dialect() -> None:
    plain = {"id": 12, "name": "Clinique", "customer_account": "CL12", "on_call_duty": True}
    plain.update(vip=False, setup_follow_up=True)
    older = {"id": "12", "name": "Clinique", "customerAccount": "CL12", "onCallDuty": 1}
    older.update(vip="0", setupFollowUp="true")
    assert records.Customer.parse(older) == records.Customer.parse(plain)


def test_a_given_snake_case_key_wins() -> None:
    both = {"id": 1, "name": "x", "customerAccount": "old", "customer_account": "new"}
    assert records.Customer.parse(both).account == "new"
    assert records.Customer.parse(dict(reversed(list(both.items())))).account == "new"


def test_a_secret_is_none_in_either_dialect() -> None:
    record = {"id": 1, "name": "x", "ftpPassword": "p", "cfdToken": "t", "webLicenceKey": "k"}
    assert records.Customer.parse(record).extra == {}


@pytest.mark.parametrize("technical", [True, 1, "1", "true", "yes"])
def test_contacts_in_either_dialect(technical: Any) -> None:
    older = {"id": 88, "firstName": "Marie", "lastName": "Dupont", "emailAddress": "m@x.example"}
    older.update(role=None, active=0, technicalContact=technical, ticketingDoNotNotify=1)
    assert records.Contact.parse(older) == records.Contact(
        88, "Marie", "Dupont", "m@x.example", "", technical=True, active=False, notify=False
    )
    snake = {"id": 88, "first_name": "Marie", "technical_contact": technical}
    contact = records.Contact.parse(snake)
    assert (contact.technical, contact.active, contact.notify) == (True, True, True)


def test_replies_in_either_dialect() -> None:
    older = {"id": 9, "ticketId": "7", "body": "b", "customerVisible": 0, "autoClosureMessage": 1}
    reply = records.Reply.parse(older)
    assert (reply.ticket_id, reply.customer_visible, reply.automatic) == (7, False, True)
    assert records.Reply.parse({"id": 9, "body": "b"}).customer_visible is None
    for nonsense in ("perhaps", 2, {"to": "all"}):  # better an alarm too many
        assert records.Reply.parse({"id": 9, "customer_visible": nonsense}).customer_visible is True
    both = {"id": 9, "customer_visible": None, "customerVisible": "1.0"}
    assert records.Reply.parse(both).customer_visible is True


def test_users_in_either_dialect() -> None:
    older = {"id": 2, "name": "Eve", "email": "e@x.example", "active": "0", "role": "20"}
    assert records.User.parse(older) == records.User(2, "Eve", "e@x.example", False, 20)
    assert records.User.parse({"id": 2, "role": "boss"}) == records.User(2, "")


@pytest.mark.parametrize("opened_at", [{}, [1], True, 5, None])
def test_a_date_that_is_only_a_hint_may_be_nonsense(opened_at: Any) -> None:
    assert records.Ticket.parse({"id": 7, "opened_at": opened_at}).opened_at is None


def test_a_ticket_whose_closing_was_requested_or_came_by_itself() -> None:
    def ticket(**more: Any) -> records.Ticket:
        return records.Ticket.parse({"id": 7, "number": "A", **more})

    assert ticket(open=True, closure=1).closure
    assert not ticket(open=True, closure=None).closure
    assert ticket(open=True, closure="2026-07-02 08:15:00").closure
    assert not ticket(open=True, closure=1).closed_by_itself
    assert ticket(open=False, closure=True).closed_by_itself
    replies: List[Dict[str, Any]] = [{"id": 2, "auto_closure_message": True}, {"id": 1}]
    assert ticket(open=False, replies=replies).closed_by_itself
    assert not ticket(open=False, replies=[*replies, {"id": 3}]).closed_by_itself
    assert not ticket(open=False).closed_by_itself


@pytest.mark.parametrize(
    "answer",
    [
        {"response": "Ticket not found"},
        {"response": "customer Not Found", "data": None},
        {"response": "Pbx3cxHost not found."},
    ],
)
def test_a_miss_that_is_a_success(answer: Dict[str, Any]) -> None:
    with responses.RequestsMock() as server:
        server.get(f"{URL}/v1/tickets/7", json=answer)
        with pytest.raises(NotFound, match=r"200 .*(?i:not found)"):
            Client(URL, Credentials(token=TOKEN)).ticket(7)


@pytest.mark.parametrize(
    "answer", [{"response": "ticket closed"}, {"id": 7, "response": "not found"}, {}, [], None, "x"]
)
def test_what_is_no_miss(answer: Any) -> None:
    assert fields.soft_miss(answer) == ""


def test_the_paginator_of_laravel_has_its_pages_at_the_top() -> None:
    with responses.RequestsMock() as server:
        for page in (1, 2):
            server.get(
                f"{URL}/v1/users",
                match=[] if page == 1 else [responses.matchers.query_param_matcher({"page": 2})],
                json={
                    "current_page": page,
                    "data": [{"id": page, "name": str(page)}],
                    "last_page": 2,
                    "links": [{"url": None, "label": "Previous", "active": False}],
                    "next_page_url": f"{URL}/v1/users?page=2" if page == 1 else None,
                    "per_page": 1,
                },
            )
        users = Client(URL, Credentials(token=TOKEN)).users()
    assert [user.id for user in users] == [1, 2]


def test_one_customer_may_be_wrapped_in_its_name() -> None:
    record = {"id": 42, "name": "Acme", "customerAccount": "CL2385"}
    for answer in ({"customer": record}, {"data": {"customer": record}}, {"data": record}, record):
        assert fields.unwrapped(answer) == record


# --- without /lookup ------------------------------------------------------------------------------

ROUTE = {"message": "The route api/v1/customers/lookup could not be found."}
MODEL = {"message": "No query results for model [App\\Customer] lookup"}


@pytest.mark.parametrize(
    ("answer", "is_remembered"),
    [
        ({"json": ROUTE, "status": 404}, True),
        ({"json": MODEL, "status": 404}, True),
        ({"json": {"message": "The GET method is not supported"}, "status": 405}, True),
        ({"json": {"message": ""}, "status": 404}, True),  # since the older way finds it
        ({"json": {"response": "Customer not found"}}, True),
    ],
)
def test_an_account_without_lookups(answer: Dict[str, Any], is_remembered: bool) -> None:
    acme = {"id": 42, "name": "Acme", "customerAccount": "CL2385"}
    whole = {"customer": {**acme, "onCallDuty": 1}}
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.get(f"{URL}/v1/customers/lookup", **answer)
        server.get(f"{URL}/v1/ticketing/priorities", json=[{"id": 1, "name": "Low"}])
        server.get(
            f"{URL}/v1/customers/search", json=[{**acme, "customerAccount": "CL23850"}, acme]
        )
        server.get(f"{URL}/v1/customerAccounts/CL2385", json=whole)
        client = Client(URL, Credentials(token=TOKEN))
        for _ in range(2):
            customer = client.customer_by_account("CL2385")
            assert customer is not None
            assert customer.id == 42
        record = client.customer_by_account("CL2385", whole=True)
        assert record is not None
        assert record.extra["on_call_duty"] is True
        asked = [call for call in server.calls if "/lookup" in str(call.request.url)]
    assert client.instance.lookups is (False if is_remembered else None)
    assert len(asked) == 2  # once, and once more to be sure of a 404


@pytest.mark.parametrize("account", ["..", ".", "CL/../../1", "CL 1?x=1#"])
def test_an_account_is_no_path(account: str) -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.get(f"{URL}/v1/ticketing/priorities", json=[])
        for path in ("customers/search", "customerAccounts/.*"):
            server.get(re.compile(f"{URL}/v1/{path}"), json={"response": "Nothing: not found"})
        client = Client(URL, Credentials(token=TOKEN))
        client.instance.lookups = False
        assert client.customer_by_account(account) is None
        for call in server.calls:
            path = str(call.request.url).partition("?")[0]
            assert re.fullmatch(
                f"{URL}/v1/(customers/search|customerAccounts/[^/]+|ticketing/priorities)", path
            )


@pytest.mark.parametrize(
    "miss",
    [[], {}, {"customer": None}, {"customer": []}, {"data": None}, {"found": False}, None],
)
def test_a_miss_of_an_account_in_whichever_form(miss: Any) -> None:
    with responses.RequestsMock() as server:
        server.get(f"{URL}/v1/customers/search", json=[])
        server.get(f"{URL}/v1/customerAccounts/CL1", json=miss)
        server.get(f"{URL}/v1/ticketing/priorities", json=[])
        server.assert_all_requests_are_fired = False
        client = Client(URL, Credentials(token=TOKEN))
        client.instance.lookups = False
        assert client.customer_by_account("CL1") is None


@pytest.mark.parametrize(
    ("account", "number"), [("ABC1", 2), ("abc1", 1), ("Abc1", None), ("xyz", 3), ("XYZ", 3)]
)
def test_accounts_that_differ_in_capitals_only(account: str, number: Optional[int]) -> None:
    rows = [(1, "abc1"), (2, "ABC1"), (3, "xyz")]
    found = [{"id": each, "name": "x", "customer_account": text} for each, text in rows]
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.get(f"{URL}/v1/customers/search", json=found)
        server.get(re.compile(f"{URL}/v1/customerAccounts/.*"), json={"response": "not found"})
        server.get(f"{URL}/v1/ticketing/priorities", json=[])
        client = Client(URL, Credentials(token=TOKEN))
        client.instance.lookups = False
        customer = client.customer_by_account(account)
    assert (customer and customer.id) == number


@pytest.mark.parametrize("host", ["dns-lookup", "lookup"])
def test_a_hosts_name_says_nothing_about_lookups(host: str) -> None:
    missing = {"message": f"No query results for model [App\\Pbx3cxHost] {host}"}
    with responses.RequestsMock() as server:
        server.get(f"{URL}/v1/pbx3cx-hosts/lookup", json=missing, status=404)
        server.get(f"{URL}/v1/ticketing/priorities", json=[])
        client = Client(URL, Credentials(token=TOKEN))
        assert client.pbx_host(host) is None
    assert client.instance.lookups is None


def test_an_update_half_done_is_no_instance_of_2023() -> None:
    """Where nothing is found without lookups either, nothing is remembered."""
    with responses.RequestsMock() as server:
        server.get(f"{URL}/v1/pbx3cx-hosts/lookup", json=ROUTE, status=404)
        server.get(f"{URL}/v1/ticketing/priorities", json=[])
        server.get(f"{URL}/v1/customers/search", json=[])
        server.get(f"{URL}/v1/pbx3cx-hosts", json=ROUTE, status=404)
        client = Client(URL, Credentials(token=TOKEN))
        assert client.pbx_host("acme.3cx.fr") is None
    assert client.instance.lookups is None


@pytest.mark.parametrize(("first", "found"), [(19, 2), (26, None)])
def test_an_address_among_too_many_hosts_is_nobodys(first: int, found: Optional[int]) -> None:
    """26 hosts of one customer must not hide that another one has the address, too."""
    owners = [{"id": n, "name": "x", "customer_account": f"CL{n}"} for n in (7, 42)]
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.get(f"{URL}/v1/customers/search", json=owners)
        for owner, count in zip(owners, (first, 1)):
            server.get(
                f"{URL}/v1/pbx3cx-hosts/lookup-by-customer",
                match=[
                    responses.matchers.query_param_matcher(
                        {"customer_account": owner["customer_account"]}
                    )
                ],
                json=[{"id": int(owner["id"]) * 100 + n, "host_name": "h"} for n in range(count)],
            )
        for owner in owners:
            host = {"id": int(owner["id"]) * 100, "host_name": "h", "ip_address": "10.0.0.1"}
            server.get(f"{URL}/v1/pbx3cx-hosts/lookup", json={**host, "customers": [owner]})
        hosts = Client(URL, Credentials(token=TOKEN)).pbx_hosts_at("10.0.0.1")
    assert (hosts and len(hosts)) == found


def test_a_pbx_host_of_a_list_has_to_say_whose_it_is() -> None:
    """A list may take no heed of the customer that is asked for."""
    acme = {"id": 42, "name": "Acme", "customer_account": "CL2385"}
    other = {"id": 7, "name": "Other", "customer_account": "CL7"}
    hosts = [
        {"id": 1, "host_name": "acme.3cx.fr"},
        {"id": 2, "host_name": "pbx.acme.example", "customers": [other]},
    ]
    with responses.RequestsMock(assert_all_requests_are_fired=False) as server:
        server.get(f"{URL}/v1/customers/search", json=[acme])
        server.get(f"{URL}/v1/pbx3cx-hosts", json=hosts)
        client = Client(URL, Credentials(token=TOKEN))
        client.instance.lookups = False
        assert client.pbx_hosts_of(records.Customer.parse(acme)) == []
        found = client.pbx_host("pbx.acme.example")
        assert found is not None
        assert [customer.id for customer in found.customers] == [7]
        nobodys = client.pbx_host("acme.3cx.fr")
        assert nobodys is not None
        assert nobodys.customers == ()
        assert len(server.calls) == 1  # what took no heed was the whole list


# --- the alarm of a visible note ------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"ticket": "A"}', '{"ticket": "A", "reply": 1e999, "at": ""}', "x"]
)
def test_an_alarm_that_cannot_be_read_is_one(tmp_path: Path, text: str) -> None:
    (tmp_path / visible_note.VISIBLE_FILE).write_text(text)
    assert visible_note.look(str(tmp_path)) is not None


def test_an_alarm_is_kept_until_it_is_cleared(tmp_path: Path) -> None:
    state_dir = str(tmp_path / "state")
    assert visible_note.look(state_dir) is None
    alarm = visible_note.put(state_dir, "A7KZ2F", 4096, 0.0)
    assert visible_note.look(state_dir) == alarm
    assert "ticket A7KZ2F, reply 4096, 1970-01-01T00:00:00Z" in str(alarm)
    assert visible_note.clear(state_dir)
    assert not visible_note.clear(state_dir)


def test_no_note_is_sent_where_no_alarm_could_be_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visible_note.prove(str(tmp_path))
    visible_note.prove(str(tmp_path / "not there yet"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(PermissionError, match=visible_note.VISIBLE_FILE):
        visible_note.prove(str(tmp_path))


# --- what came back different ---------------------------------------------------------------------


def test_only_what_was_sent_and_came_back_different_is_told() -> None:
    sent = {
        "priority_id": 2,
        "team_id": 3,
        "status_id": None,
        "estimated_resolution_date": "2026-07-02 12:15:00",
    }

    def told(**more: Any) -> List[str]:
        ticket = records.Ticket.parse({"id": 7, **more})
        return [text for _, text in differences(sent, ticket, 2 * HOUR)]

    assert told() == []
    assert told(priority_id=2, team_id=3, status_id=1) == []
    assert told(estimated_resolution_date="2026-07-02T10:15:00.000000Z") == []
    assert told(team_id=4) == ["team 3 was sent, BlueRockTEL made it 4"]
    assert len(told(priority_id=1, estimated_resolution_date="2026-07-02 13:15:00")) == 2
