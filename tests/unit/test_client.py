"""The API client: what goes out, what comes back, what goes wrong, and what never gets out."""

from __future__ import annotations

import contextlib
import email.utils
import http.server
import io
import json
import logging
import os
import socket
import ssl
import stat
import threading
import time
import traceback
import urllib.parse
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, Iterator, List, Optional, Tuple, Type

import pytest
import requests
import responses

from brtel_notify import __version__
from brtel_notify.api import connections, exceptions, fields, records, transport
from brtel_notify.api.client import Client
from brtel_notify.api.credentials import Credentials, TokenCache, Tokens
from brtel_notify.api.exceptions import ApiError, CredentialsError
from brtel_notify.text import times

URL = "https://acme.bluerocktel.net/api"
TOKEN = "eyJTOKEN.s3cr3t-recognisable"
ITSELF = f"{URL}/v1/ticketing/priorities"
PASSWORD = "pa55word \\ with spaces"

TICKET = {
    "id": 1024,
    "number": "A7KZ2F",
    "subject": "3CX offline: acme.3cx.fr",
    "open": True,
    "priority_id": 2,
    "ticket_category_id": 5,
    "ticket_sub_category_id": 12,
    "tags": '["monitoring","3cx","auto"]',
    "estimated_resolution_date": "2026-07-02 12:15:00",
    "created_at": "2026-07-02T08:15:00.000000Z",
}
REPLY = {"id": 4096, "ticket_id": 1024, "body": "<p>x</p>", "created_at": "2026-07-02T08:15:01Z"}
CUSTOMER = {"id": 42, "name": "Acme Telecom SAS", "customer_account": "CL000042"}
CL2385 = records.Customer(42, "Acme Telecom SAS", "CL2385")


def client(**options: Any) -> Client:
    return Client(URL, options.pop("credentials", Credentials(token=TOKEN)), **options)


@pytest.fixture
def server() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def sent(server: responses.RequestsMock, index: int = -1) -> Tuple[str, str, Dict[str, Any], Any]:
    """Method, path, query and JSON body of a request that went out."""
    request = server.calls[index].request
    assert request.url is not None
    parts = urllib.parse.urlsplit(request.url)
    query = dict(urllib.parse.parse_qsl(parts.query))
    body = json.loads(request.body) if request.body else None
    assert request.method is not None
    assert parts.path.startswith("/api/")
    return request.method, parts.path[len("/api") :], query, body


def failing(server: responses.RequestsMock, method: str = "POST", **answer: Any) -> ApiError:
    """The error of a call that the server answers so."""
    server.add(method, f"{URL}/v1/tickets", **answer)
    with pytest.raises(ApiError) as raised:
        client().request(method, "/v1/tickets", json={} if method == "POST" else None)
    return raised.value


# -- what each method sends

CREATE: Dict[str, Any] = {
    "subject": "s",
    "body": "<p>b</p>",
    "priority_id": 2,
    "category_id": 5,
    "sub_category_id": 12,
}
CREATED = {
    "ticketable_type": "App\\Customer",
    "ticketable_id": 42,
    "subject": "s",
    "body": "<p>b</p>",
    "priority_id": 2,
    "ticket_category_id": 5,
    "ticket_sub_category_id": 12,
}
ON_CUSTOMER = {"ticketable_type": "App\\Customer", "ticketable_id": "42"}
NOTE: Dict[str, Any] = {"close": False, "send_to_assignee": True, "send_to_contacts": False}
#: The same in both dialects, as an internal note.
SENT_NOTE = {
    **NOTE,
    "notify_customer": False,
    "customer_visible": False,
    "sendToAssignee": 1,
    "sendToContacts": 0,
    "notifyCustomer": 0,
    "customerVisible": 0,
}

CALLS: List[Tuple[Callable[[Client], Any], str, str, Dict[str, str], Any, Any]] = [
    (lambda c: c.priorities(), "GET", "/v1/ticketing/priorities", {}, None, []),
    (lambda c: c.categories(), "GET", "/v1/ticketing/categories", {}, None, []),
    (lambda c: c.sub_categories(), "GET", "/v1/ticketing/sub-categories", {}, None, []),
    (lambda c: c.statuses(), "GET", "/v1/ticketing/statuses", {}, None, []),
    (lambda c: c.support_teams(), "GET", "/v1/ticketing/support-teams", {}, None, []),
    (
        lambda c: c.search_customers("acme & co"),
        *("GET", "/v1/customers/search", {"term": "acme & co"}, None, []),
    ),
    (
        lambda c: c.customer_by_account("CL2385"),
        *("GET", "/v1/customers/lookup", {"customer_account": "CL2385"}, None, CUSTOMER),
    ),
    (
        lambda c: c.pbx_host("acme.3cx.fr"),
        *("GET", "/v1/pbx3cx-hosts/lookup", {"host_name": "acme.3cx.fr"}, None, {"id": 7}),
    ),
    (
        lambda c: c.pbx_hosts_of(CL2385),
        *("GET", "/v1/pbx3cx-hosts/lookup-by-customer", {"customer_account": "CL2385"}),
        *(None, {"data": []}),
    ),
    (
        lambda c: c.contacts(42),
        *("GET", "/v1/contacts", {"contactable_type": "App\\Customer", "contactable_id": "42"}),
        *(None, []),
    ),
    (
        lambda c: c.create_ticket(42, **CREATE),
        *("POST", "/v1/tickets", ON_CUSTOMER, CREATED, TICKET),
    ),
    (
        lambda c: c.create_ticket(
            42,
            **CREATE,
            tags=("a", "b"),
            estimated_resolution_date="2026-07-02 12:15:00",
            team_id=3,
            status_id=1,
            close=True,
        ),
        *("POST", "/v1/tickets", ON_CUSTOMER),
        {
            **CREATED,
            "tags": ["a", "b"],
            "estimated_resolution_date": "2026-07-02 12:15:00",
            "estimatedResolutionDate": "2026-07-02 12:15:00",
            "team_id": 3,
            "status_id": 1,
            "close": True,
        },
        TICKET,
    ),
    (lambda c: c.ticket(1024), "GET", "/v1/tickets/1024", {}, None, TICKET),
    (
        lambda c: c.search_tickets(customer_id=42, body="BN-0123", number="A7", open=True),
        *("GET", "/v1/tickets/search"),
        {
            "filter[ticketable_type]": "App\\Customer",
            "filter[ticketable_id]": "42",
            "filter[body]": "BN-0123",
            "filter[number]": "A7",
            "filter[open]": "true",
        },
        *(None, []),
    ),
    (
        lambda c: c.search_tickets(open=False, team_id=3, include=["replies", "team"]),
        *("GET", "/v1/tickets/search"),
        {"filter[closed]": "true", "filter[team_id]": "3", "include": "replies,team"},
        *(None, []),
    ),
    (
        lambda c: c.update_ticket(1024, priority_id=3, category_id=4, team_id=None),
        *("PUT", "/v1/tickets/1024", {}),
        *({"priority_id": 3, "ticket_category_id": 4, "team_id": None}, TICKET),
    ),
    (
        lambda c: c.update_ticket(1024, customer_id=42),
        *("PUT", "/v1/tickets/1024", {}),
        *({"ticketable_type": "App\\Customer", "ticketable_id": 42}, TICKET),
    ),
    (lambda c: c.close_ticket(7), "PUT", "/v1/tickets/close/7", {}, None, {"response": "x"}),
    (lambda c: c.open_ticket(7), "PUT", "/v1/tickets/open/7", {}, None, {"response": "x"}),
    (lambda c: c.reopen_ticket(7), "PUT", "/v1/tickets/reopen/7", {}, None, TICKET),
    (
        lambda c: c.assign_ticket(7, 9),
        *("PUT", "/v1/tickets/assign/7", {"assignee_id": "9"}, {"assignee_id": 9}),
        {"id": 9, "name": "Eve"},
    ),
    (lambda c: c.free_ticket(7), "PUT", "/v1/tickets/free/7", {}, None, {"response": "x"}),
    (lambda c: c.amend_ticket(7, 30), "PUT", "/v1/tickets/amend/7", {}, {"time": 30}, {}),
    (
        lambda c: c.associate_contacts(7, [88], [5]),
        *("PUT", "/v1/tickets/7/associates", {}),
        *({"associated": [88], "unassociated": [5]}, {"response": "1 associated"}),
    ),
    (lambda c: c.ticket_customer(7), "GET", "/v1/tickets/7/customer", {}, None, CUSTOMER),
    (lambda c: c.ticket_counts(), "GET", "/v1/tickets/counts", {}, None, {"open": 42}),
    (
        lambda c: c.replies(7),
        *("GET", "/v1/replies", {"ticket_id": "7", "ticketId": "7"}, None, []),
    ),
    (
        lambda c: c.create_reply(7, "<p>n</p>", customer_visible=False, **NOTE),
        *("POST", "/v1/replies", {"ticket_id": "7", "ticketId": "7"}),
        *({"body": "<p>n</p>", "ticket_id": 7, "ticketId": 7, **SENT_NOTE}, REPLY),
    ),
    (
        lambda c: c.request("patch", "v1/x?a=1", params={"b": [1, True], "c": None}, json=[1]),
        *("PATCH", "/v1/x", {"a": "1", "b": "true"}, [1], {}),
    ),
]


@pytest.mark.parametrize(("do", "method", "path", "query", "body", "answer"), CALLS)
def test_each_call_is_sent_as_documented(
    server: responses.RequestsMock,
    do: Callable[[Client], Any],
    method: str,
    path: str,
    query: Dict[str, str],
    body: Any,
    answer: Any,
) -> None:
    server.add(method, URL + path, json=answer)
    do(client())
    assert sent(server) == (method, path, query, body)
    headers = server.calls[-1].request.headers
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Accept"] == "application/json"
    assert headers["User-Agent"] == f"brtel-notify/{__version__}"
    assert ("Content-Type" in headers) == (body is not None)


def test_version_needs_no_credential(server: responses.RequestsMock) -> None:
    server.get(f"{URL}/version", json={"version": "1.0", "status": "ok", "vendor": "v"})
    assert client(credentials=Credentials()).version() == records.Version("1.0", "ok", "v")
    assert "Authorization" not in server.calls[0].request.headers


def test_ids_cannot_reach_another_path(server: responses.RequestsMock) -> None:
    wrong: Any
    for wrong in ("../../login?x", "", ".", "..", "7", 7.5):
        for do in (client().ticket, client().close_ticket, client().free_ticket):
            with pytest.raises(ValueError, match="not an id"):
                do(wrong)
        with pytest.raises(ValueError, match="not an id"):
            client().search_tickets(customer_id=wrong)
    assert not server.calls


@pytest.mark.parametrize("path", ["https://evil.example/x", "//evil.example/x", "/a b", "/a\nb"])
def test_a_path_is_not_a_url(path: str) -> None:
    with pytest.raises(ValueError, match="not a path of the API"):
        client().request("GET", path)


def test_a_comma_in_a_filter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"filter\[body\] cannot hold a comma"):
        client().search_tickets(body="one, two")


def test_an_unknown_field_of_a_ticket_is_refused() -> None:
    with pytest.raises(TypeError, match="'prio'"):
        client().update_ticket(1, prio=2)


def test_bytes_that_are_no_utf8_cannot_spoil_a_call(server: responses.RequestsMock) -> None:
    server.post(f"{URL}/v1/replies", json=REPLY)
    client().create_reply(7, "caf\udce9 é", customer_visible=True, **NOTE)
    assert sent(server)[3]["body"] == "caf\ufffd é"
    server.get(f"{URL}/v1/customers/search", json=[])
    client().search_customers("caf\udce9 é")
    assert sent(server)[2] == {"term": "caf\ufffd é"}


# -- what comes back


def test_a_created_ticket(server: responses.RequestsMock) -> None:
    server.post(f"{URL}/v1/tickets", json=TICKET, status=201)
    ticket = client().create_ticket(42, **CREATE)
    assert (ticket.id, ticket.number, ticket.open) == (1024, "A7KZ2F", True)
    assert ticket.tags == ("monitoring", "3cx", "auto")
    assert ticket.estimated_resolution_date == "2026-07-02 12:15:00"
    assert (ticket.replies, ticket.contacts, ticket.team_id) == (None, None, None)


@pytest.mark.parametrize("wrap", ["data", "ticket"])
def test_a_wrapped_ticket_with_everything(server: responses.RequestsMock, wrap: str) -> None:
    full = {
        **TICKET,
        "open": "0",
        "closed_at": "2026-07-02 09:00:00",
        "tags": ["a", 1],
        "ticketable": {"id": 42},
        "ticketable_type": "App\\Customer",
        "team_id": "3",
        "assignee_id": None,
        "replies": [
            {**REPLY, "customer_visible": 1, "author": {"name": "Eve"}},
            {**REPLY, "id": "2", "author": {"first_name": "Jo", "last_name": "Doe"}},
        ],
        "contacts": {"data": [{"id": 88, "last_name": "Dupont"}]},
    }
    server.get(f"{URL}/v1/tickets/1024", json={wrap: full, "response": "ok"})
    ticket = client().ticket(1024)
    assert (ticket.open, ticket.customer_id, ticket.team_id) == (False, 42, 3)
    assert ticket.tags == ("a", "1")
    assert ticket.replies is not None
    assert [reply.author_name for reply in ticket.replies] == ["Eve", "Jo Doe"]
    assert [reply.customer_visible for reply in ticket.replies] == [True, None]
    assert ticket.contacts == (records.Contact(88, "", "Dupont", "", ""),)


@pytest.mark.parametrize(
    ("tags", "read"),
    [
        (None, ()),
        ("", ()),
        ("alone", ("alone",)),
        ("365", ("365",)),
        ('["a"]', ("a",)),
        ("null", ()),
        ([], ()),
    ],
)
def test_tags_in_every_form(tags: Any, read: Tuple[str, ...]) -> None:
    assert records.Ticket.parse({"id": 1, "tags": tags}).tags == read


def test_a_ticket_without_open_is_open_unless_it_has_been_closed() -> None:
    assert records.Ticket.parse({"id": 1}).open
    assert not records.Ticket.parse({"id": 1, "closed_at": "2026-07-02 09:00:00"}).open


def test_a_ticket_on_something_else_has_no_customer() -> None:
    data = {"id": 1, "ticketable_type": "App\\Lead", "ticketable_id": 42}
    assert records.Ticket.parse(data).customer_id is None


PRIORITIES = [{"id": 1, "name": "Low", "color": "#fff"}, {"id": "2", "name": None}]


@pytest.mark.parametrize(
    "answer",
    [
        PRIORITIES,
        {"data": PRIORITIES},
        {"data": {"current_page": 1, "last_page": 1, "data": PRIORITIES}},
        {"0": PRIORITIES[0], "2": PRIORITIES[1]},
        {"data": PRIORITIES, "meta": {"last_page": "1"}, "links": {"next": None}},
    ],
)
def test_a_list_in_every_wrapping(server: responses.RequestsMock, answer: Any) -> None:
    server.get(f"{URL}/v1/ticketing/priorities", json=answer)
    assert client().priorities() == [records.Named(1, "Low"), records.Named(2, "")]
    assert len(server.calls) == 1


def numbered(first: int, last: int) -> List[Dict[str, Any]]:
    return [{"id": number, "name": str(number)} for number in range(first, last + 1)]


@pytest.mark.parametrize(
    "more",
    [
        {"meta": {"last_page": 2}},
        {"last_page": 2},
        {"links": {"next": "https://evil.example/steal?page=2"}},
        {"next_page_url": f"{URL}/v1/ticketing/statuses?a=1&page=2"},
        {"links": {"next": f"{URL}/x?page%5Bnumber%5D=2"}},
        {"next_page_url": "http://[broken"},
    ],
)
def test_pages_are_followed_on_the_same_host(
    server: responses.RequestsMock, more: Dict[str, Any]
) -> None:
    end = {"meta": {"last_page": 2}}
    server.get(f"{URL}/v1/ticketing/statuses", json={"data": numbered(1, 2), **more})
    server.get(f"{URL}/v1/ticketing/statuses", json={"data": numbered(2, 3), **end})
    assert [status.id for status in client().statuses()] == [1, 2, 3]
    assert [sent(server, index)[2] for index in (0, 1)] == [{}, {"page": "2"}]
    assert len(server.calls) == 2


def test_pages_without_end_are_not_followed_for_ever(server: responses.RequestsMock) -> None:
    page = iter(range(1, 1000))

    def answer(_: Any) -> Tuple[int, Dict[str, str], str]:
        number = next(page)
        return 200, {}, json.dumps({"data": numbered(number, number), "last_page": 10**6})

    server.add_callback("GET", f"{URL}/v1/ticketing/statuses", answer)
    assert len(client().statuses()) == 50


def test_a_server_that_repeats_its_page_ends_the_list(server: responses.RequestsMock) -> None:
    server.get(f"{URL}/v1/ticketing/teams", json=[])
    server.get(
        f"{URL}/v1/ticketing/statuses", json={"data": numbered(1, 2), "next_page_url": "/x?c=abc"}
    )
    assert len(client().statuses()) == 2
    assert len(server.calls) == 2


def test_sub_categories_know_their_category(server: responses.RequestsMock) -> None:
    answer = [
        {"id": 12, "name": "PBX / 3CX", "ticket_category_id": 5},
        {"id": 13, "name": "Other", "category": {"id": 6, "name": "Y"}},
        {"id": 14, "name": "Alone"},
    ]
    server.get(f"{URL}/v1/ticketing/sub-categories", json=answer)
    assert [sub.category_id for sub in client().sub_categories()] == [5, 6, None]


def test_searched_tickets_that_the_filters_should_have_left_out(
    server: responses.RequestsMock,
) -> None:
    tickets = [
        {"id": 1, "ticketable_id": 42},
        {"id": 2, "ticketable_id": 43},
        {"id": 3, "ticketable_id": 42, "open": 0},
        {"id": 4},
    ]
    server.get(f"{URL}/v1/tickets/search", json=tickets)
    found = client().search_tickets(customer_id=42, open=True)
    assert [ticket.id for ticket in found] == [1, 4]


@pytest.mark.parametrize(
    "answer",
    [
        {"json": {"found": False, "data": None}},
        {"json": {"found": 0}},
        {"json": {"message": "No customer"}, "status": 404},
        {"body": "", "status": 404},
        {"json": {"data": None}},
        {"json": []},
        {"body": ""},
    ],
)
def test_a_lookup_without_a_result(server: responses.RequestsMock, answer: Dict[str, Any]) -> None:
    server.get(f"{URL}/v1/customers/lookup", **answer)
    server.get(f"{URL}/v1/pbx3cx-hosts/lookup", **answer)
    server.get(ITSELF, json=[{"id": 1, "name": "Low"}])
    nothing_is_there_without_lookups_either(server)
    assert client().customer_by_account("CL1") is None
    assert client().pbx_host("x") is None


def test_no_hosts_of_an_unknown_customer(server: responses.RequestsMock) -> None:
    server.get(f"{URL}/v1/pbx3cx-hosts/lookup-by-customer", json={"message": "no"}, status=404)
    server.get(ITSELF, json=[{"id": 1, "name": "Low"}])
    server.get(f"{URL}/v1/customers/lookup", json={"found": False})
    assert client().pbx_hosts_of(CL2385) == []


def nothing_is_there_without_lookups_either(server: responses.RequestsMock) -> None:
    """A 404 that does not say of what may be the address's own: then the older way is gone."""
    for path in ("customers/search", "customerAccounts/CL1", "pbx3cx-hosts", "customers/lookup"):
        server.get(f"{URL}/v1/{path}", json=[])


LOOKUPS: Dict[str, Callable[[Client], Any]] = {
    "/v1/customers/lookup": lambda c: c.customer_by_account("CL1"),
    "/v1/pbx3cx-hosts/lookup": lambda c: c.pbx_host("x"),
    "/v1/pbx3cx-hosts/lookup-by-customer": lambda c: c.pbx_hosts_of(CL2385),
    "/v1/customers/search": lambda c: c.search_customers("x"),
    "/v1/contacts": lambda c: c.contacts(42),
}


@pytest.mark.parametrize("path", LOOKUPS)
@pytest.mark.parametrize("body", ['{"message": "Tenant not found."}', ""])
@pytest.mark.parametrize("priorities", [{"status": 404}, {"status": 400, "json": {}}])
def test_a_404_is_not_believed_of_what_is_not_the_api(
    server: responses.RequestsMock, path: str, body: str, priorities: Dict[str, Any]
) -> None:
    server.get(URL + path, body=body, status=404)
    server.get(ITSELF, **priorities)
    with pytest.raises(exceptions.BadAnswer, match=r"404 .*is api.url right, or") as raised:
        LOOKUPS[path](client())
    assert (raised.value.retry, raised.value.api_wide) == (True, True)


@pytest.mark.parametrize("path", LOOKUPS)
def test_a_404_that_is_not_said_twice_is_not_believed(
    server: responses.RequestsMock, path: str
) -> None:
    found = {"id": 42, "name": "Acme", "customer_account": "CL1", "host_name": "x"}
    server.get(URL + path, json={"message": "no"}, status=404)
    server.get(URL + path, json=found if path.endswith("/lookup") else [found])
    server.get(ITSELF, json=[{"id": 1, "name": "Low"}])
    assert LOOKUPS[path](client())


@pytest.mark.parametrize("path", LOOKUPS)
@pytest.mark.parametrize("priorities", [{"json": []}, {"status": 403, "json": {"message": "no"}}])
def test_what_cannot_be_a_404_proves_the_api_whatever_our_user_may_see(
    server: responses.RequestsMock, path: str, priorities: Dict[str, Any]
) -> None:
    server.get(URL + path, json={"message": "no"}, status=404)
    server.get(ITSELF, **priorities)
    if "lookup" in path:
        nothing_is_there_without_lookups_either(server)
    try:
        assert not LOOKUPS[path](client())
    except exceptions.NotFound:
        assert path == "/v1/contacts"


@pytest.mark.parametrize(
    ("answers", "search", "there"),
    [
        ([200], [], True),
        ([404, 200], [], True),
        ([404], [1024], True),
        ([404, 404], [7], False),
    ],
)
def test_whether_a_ticket_is_there(
    server: responses.RequestsMock, answers: List[int], search: List[int], there: bool
) -> None:
    for status in answers:
        server.get(f"{URL}/v1/tickets/1024", json=TICKET, status=status)
    server.get(f"{URL}/v1/tickets/search", json=[{"id": number} for number in search])
    assert client().has_ticket(1024, "A7KZ2F", "BN-0123456789ab") is there


def test_a_ticket_is_not_gone_where_the_search_is_a_404_too(
    server: responses.RequestsMock,
) -> None:
    server.get(f"{URL}/v1/tickets/1024", status=404)
    server.get(f"{URL}/v1/tickets/search", status=404)
    server.get(ITSELF, status=404)
    with pytest.raises(exceptions.BadAnswer) as raised:
        client().has_ticket(1024, "A7KZ2F", "BN-0123456789ab")
    assert raised.value.retry


def test_a_404_page_of_a_web_server_is_not_an_unknown_customer(
    server: responses.RequestsMock,
) -> None:
    page = "<html><head><title>404 Not Found</title></head></html>"
    server.get(f"{URL}/v1/customers/lookup", body=page, status=404)
    with pytest.raises(
        exceptions.BadAnswer, match=r"404 not JSON .404 Not Found.: is api.url right"
    ):
        client().customer_by_account("CL1")


def test_a_customer_keeps_plain_fields_and_no_secret(server: responses.RequestsMock) -> None:
    secrets = [
        *("password", "sip_passwd", "api_token", "apiKey", "licence_key", "licenseNumber"),
        *("pin", "pin_code", "IBAN", "ssh_user", "client_secret", "web_pwd"),
    ]
    data = {
        **CUSTOMER,
        "vip": "0",
        "on_call_duty": 1,
        "setup_follow_up": None,
        "shipping_city": "Lyon",
        "nested": {"a": 1},
        **dict.fromkeys(secrets, "HIDDEN"),
    }
    server.get(f"{URL}/v1/customers/lookup", json={"found": True, "data": data})
    customer = client().customer_by_account("CL000042")
    assert customer == records.Customer(
        42,
        "Acme Telecom SAS",
        "CL000042",
        {"vip": False, "on_call_duty": True, "setup_follow_up": False, "shipping_city": "Lyon"},
    )


def test_a_pbx_host_keeps_nothing_of_its_secrets(server: responses.RequestsMock) -> None:
    data = {
        "id": 7,
        "host_name": "acme.3cx.fr",
        "active": 0,
        "code": "HIDDEN",
        "ssh_key": "HIDDEN",
        "customers": [CUSTOMER],
    }
    server.get(f"{URL}/v1/pbx3cx-hosts/lookup", json=data)
    host = client().pbx_host("acme.3cx.fr")
    assert host is not None
    assert (host.id, host.active, host.customers[0].account) == (7, False, "CL000042")
    assert "HIDDEN" not in repr(host) + repr(host._asdict())


def test_contacts_without_role_and_first_name(server: responses.RequestsMock) -> None:
    data = [{"id": 88, "first_name": None, "last_name": "D", "email_address": "d@x", "role": None}]
    server.get(f"{URL}/v1/contacts", json=data)
    assert client().contacts(42) == [records.Contact(88, "", "D", "d@x", "")]


def test_words_counts_and_users(server: responses.RequestsMock) -> None:
    server.put(f"{URL}/v1/tickets/close/7", json={"response": "ticket closed"}, status=201)
    server.put(f"{URL}/v1/tickets/open/7", body="", status=204)
    server.put(f"{URL}/v1/tickets/assign/7", json={"id": 9, "name": "Eve", "email": "e@x"})
    server.get(f"{URL}/v1/tickets/counts", json={"total": 150, "open": "42", "x": None})
    assert client().close_ticket(7) == "ticket closed"
    assert client().open_ticket(7) == ""
    assert client().assign_ticket(7, 9) == records.Named(9, "Eve")
    assert client().ticket_counts() == {"total": 150, "open": 42}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"subject": "no id"}, "field 'id' is nothing where an id was due"),
        ({**TICKET, "subject": ["HIDDEN"]}, "field 'subject' is a list where text was due"),
        ({**TICKET, "open": "HIDDEN"}, "field 'open' is text where true or false was due"),
        ({**TICKET, "priority_id": True}, "field 'priority_id' is a boolean"),
        ({**TICKET, "id": "A7KZ2F"}, "field 'id' is text where an id was due"),
        ({**TICKET, "id": "9" * 5000}, "field 'id' is text where an id was due"),
        ({**TICKET, "id": "٧"}, "field 'id' is text where an id was due"),
        ({**TICKET, "team_id": "3.0"}, "field 'team_id' is text where an id was due"),
        ({**TICKET, "status_id": 3.5}, "field 'status_id' is a number where an id was due"),
        ({**TICKET, "replies": [{**REPLY, "ticket_id": "HIDDEN"}]}, "a reply: field 'ticket_id'"),
        ({**TICKET, "replies": "HIDDEN"}, "field 'replies' is text where a list was due"),
        ({**TICKET, "replies": [3]}, "a number where a reply was due"),
        ([], "a list where a ticket was due"),
        (None, "nothing where a ticket was due"),
    ],
)
def test_an_answer_of_another_shape(
    server: responses.RequestsMock, answer: Any, words: str
) -> None:
    server.post(f"{URL}/v1/tickets", json=answer, status=201)
    with pytest.raises(exceptions.BadAnswer) as raised:
        client().create_ticket(42, **CREATE)
    error = raised.value
    assert words in str(error)
    assert str(error).startswith("POST /v1/tickets: 201 answer:")
    assert "HIDDEN" not in str(error)
    assert (error.retry, error.maybe_done, error.api_wide) == (True, True, False)


@pytest.mark.parametrize("answer", [{"a": 1}, 3, "x", None, {}])
def test_an_answer_that_is_no_list(server: responses.RequestsMock, answer: Any) -> None:
    server.get(f"{URL}/v1/ticketing/priorities", json=answer)
    with pytest.raises(exceptions.BadAnswer, match="where a list was due"):
        client().priorities()


# -- dates


@pytest.mark.parametrize(
    "text",
    [
        "2026-07-02 08:15:00",
        "2026-07-02T08:15:00Z",
        "2026-07-02T08:15:00.000000Z",
        "2026-07-02T10:15:00+02:00",
        "2026-07-02T05:45-0230",
    ],
)
def test_both_forms_of_dates(text: str) -> None:
    moment = fields.parse_date(text)
    assert moment == 1782980100.0
    assert times.api_date(moment) == "2026-07-02 08:15:00"


@pytest.mark.parametrize("text", [None, "", "soon", "0000-00-00 00:00:00", "2026-13-01"])
def test_what_is_no_date(text: Optional[str]) -> None:
    assert fields.parse_date(text) is None


# -- errors of the server


def _no_json(words: str) -> str:
    return f"not JSON ({words}): is api.url right, or does a firewall answer?"


@pytest.mark.parametrize(
    ("status", "kind", "retry", "maybe_done", "api_wide"),
    [
        (400, exceptions.Refused, False, False, False),
        (401, exceptions.Unauthorized, False, False, False),
        (403, exceptions.Forbidden, False, False, False),
        (404, exceptions.NotFound, False, False, False),
        (405, exceptions.Refused, False, False, False),
        (408, exceptions.ServerError, True, True, True),
        (409, exceptions.Refused, False, False, False),
        (413, exceptions.Refused, False, False, False),
        (422, exceptions.Refused, False, False, False),
        (425, exceptions.ServerError, True, False, True),
        (429, exceptions.Throttled, True, False, True),
        (500, exceptions.ServerError, True, True, True),
        (502, exceptions.ServerError, True, True, True),
        (503, exceptions.ServerError, True, True, True),
        (504, exceptions.ServerError, True, True, True),
    ],
)
def test_each_status(
    server: responses.RequestsMock,
    status: int,
    kind: Type[ApiError],
    retry: bool,
    maybe_done: bool,
    api_wide: bool,
) -> None:
    error = failing(server, status=status, json={"message": "No way."})
    assert type(error) is kind
    assert (error.method, error.path, error.status) == ("POST", "/v1/tickets", status)
    assert (error.retry, error.maybe_done, error.api_wide) == (retry, maybe_done, api_wide)
    assert str(error).startswith(f"POST /v1/tickets: {status} ")
    assert len(server.calls) == 1


@pytest.mark.parametrize("status", [400, 402, 403, 404, 405, 409, 410, 413, 422, 423, 451])
@pytest.mark.parametrize("body", ["<html><title>Blocked</title></html>", "no", '{"mess', ""])
def test_a_4xx_that_is_no_json_comes_from_something_on_the_way(
    server: responses.RequestsMock, status: int, body: str
) -> None:
    error = failing(server, status=status, body=body)
    if status == 404 and not body:  # the API's own, perhaps
        assert type(error) is exceptions.NotFound
        return
    assert type(error) is exceptions.BadAnswer
    # It may have let the call through before it spoke.
    assert (error.retry, error.maybe_done, error.api_wide) == (True, True, False)


@pytest.mark.parametrize("status", [600, 699])
def test_a_status_that_nobody_knows_is_tried_again(
    server: responses.RequestsMock, status: int
) -> None:
    assert failing(server, status=status, json={"message": "?"}).retry


def test_a_get_that_fails_has_done_nothing(server: responses.RequestsMock) -> None:
    assert failing(server, "GET", status=500, body="").maybe_done is False


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            {
                "json": {
                    "message": "The given data was invalid.",
                    "errors": {"priority_id": ["must be an integer"], "a": [{"b": "c"}]},
                }
            },
            "The given data was invalid. (priority_id: must be an integer; b: c)",
        ),
        ({"json": {"errors": ["x", "y"]}}, "(x; y)"),
        ({"json": {"response": "missing assignee_id"}}, "missing assignee_id"),
        ({"json": {"error": "nope"}}, "nope"),
        ({"json": "plain"}, "plain"),
        ({"json": {"message": "a\n\x1b[31mb\x00"}}, "a [31mb"),
        ({"json": {"message": ""}}, "Bad Request"),
        ({"body": ""}, _no_json("Bad Request")),
        ({"body": "<html><title>Blocked &amp; gone</title>"}, _no_json("Blocked & gone")),
        ({"body": "text"}, _no_json("text")),
    ],
)
def test_the_servers_own_words(
    server: responses.RequestsMock, answer: Dict[str, Any], words: str
) -> None:
    error = failing(server, status=400, **answer)
    assert error.message == words
    assert str(error) == f"POST /v1/tickets: 400 {words}"


def test_long_words_are_cut(server: responses.RequestsMock) -> None:
    assert len(failing(server, status=500, json={"message": "é" * 9999}).message) == 500


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120.0), ("0", 0.0), ("99999999999", 99999999999.0), ("soon", None), ("-5", None)],
)
def test_retry_after_in_seconds(
    server: responses.RequestsMock, header: str, seconds: Optional[float]
) -> None:
    error = failing(server, status=429, body="", headers={"Retry-After": header})
    assert error.retry_after == seconds


def test_retry_after_as_a_date(
    server: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    later = email.utils.formatdate(1_000_090.0, usegmt=True)
    assert failing(server, status=503, headers={"Retry-After": later}).retry_after == 90.0
    server.reset()
    past = email.utils.formatdate(999_000.0, usegmt=True)
    assert failing(server, status=503, headers={"Retry-After": past}).retry_after == 0.0


@pytest.mark.parametrize(
    ("body", "api_wide", "words"),
    [
        ("<html><title>Sign in</title>", True, "not JSON (Sign in): is api.url right?"),
        ("OK", True, "not JSON (OK): is api.url right?"),
        ('{"id": 1, "na', False, "broken JSON, or cut short"),
        ("[" * 100_000, False, "broken JSON, or cut short"),
        (b"\xff\xfe\xfa\x00", True, "not JSON"),
    ],
)
def test_answers_that_are_not_json(
    server: responses.RequestsMock, body: Any, api_wide: bool, words: str
) -> None:
    error = failing(server, status=200, body=body)
    assert type(error) is exceptions.BadAnswer
    assert words in str(error)
    assert (error.retry, error.maybe_done, error.api_wide) == (True, True, api_wide)


def test_an_endless_answer_is_refused(
    server: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LONGEST_ANSWER", 1 << 20)
    error = failing(server, status=200, body=b" " * ((1 << 20) + 1))
    assert type(error) is exceptions.BadAnswer
    assert "longer than 1 MiB" in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(server: responses.RequestsMock, status: int) -> None:
    server.post("https://evil.example/login", json={})
    target = "https://me:hidden@evil.example/login?token=hidden"
    error = failing(server, status=status, headers={"Location": target})
    assert type(error) is exceptions.BadAnswer
    assert error.retry is False
    assert "redirected to https://evil.example/login: is api.url right?" in str(error)
    assert "hidden" not in str(error)
    assert len(server.calls) == 1


def test_a_redirect_to_nonsense(server: responses.RequestsMock) -> None:
    error = failing(server, status=302, headers={"Location": "http://[broken"})
    assert "redirected to" in str(error)


def test_the_query_of_a_path_is_not_shown(server: responses.RequestsMock) -> None:
    server.get(f"{URL}/v1/x", status=404)
    with pytest.raises(exceptions.NotFound) as raised:
        client().request("GET", "/v1/x?key=hidden")
    assert raised.value.path == "/v1/x"
    assert str(raised.value) == "GET /v1/x: 404 Not Found"


# -- errors of the network


def raised_for(cause: BaseException, error: Exception) -> Exception:
    """ERROR as requests raises it: while it handles CAUSE."""
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (requests.ReadTimeout(), "no whole answer from acme.bluerocktel.net within 10 s"),
        (requests.ConnectionError(), "the connection to acme.bluerocktel.net broke"),
        (requests.exceptions.ChunkedEncodingError(), "the connection to acme.bluerocktel.net"),
        (ConnectionResetError(104, "Reset by peer"), "acme.bluerocktel.net: Reset by peer"),
        (
            raised_for(ssl.SSLError(1, "[SSL] no shared cipher"), requests.exceptions.SSLError()),
            "acme.bluerocktel.net: [SSL] no shared cipher",
        ),
        (
            raised_for(
                ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
                requests.exceptions.SSLError(),
            ),
            "acme.bluerocktel.net: what answers there is no https",
        ),
    ],
)
def test_no_answer(server: responses.RequestsMock, cause: Exception, words: str) -> None:
    """Nothing shows that the connection was not there yet: the call may have been made."""
    error = failing(server, body=cause)
    assert type(error) is exceptions.Unreachable
    assert (error.status, error.retry, error.api_wide) == (None, True, True)
    assert error.maybe_done is True
    assert words in str(error)


@pytest.mark.parametrize(
    ("code", "retry", "cure"),
    [
        (10, True, "is this machine's clock right?"),
        (62, False, "is api.url right?"),
        (18, False, "set api.ca_file"),
    ],
)
def test_a_wrong_certificate(
    server: responses.RequestsMock, code: int, retry: bool, cure: str
) -> None:
    cause = ssl.SSLCertVerificationError(1, "[SSL] verify failed")
    cause.verify_code, cause.verify_message = code, "it is no good"
    error = failing(server, body=raised_for(cause, requests.exceptions.SSLError()))
    assert type(error) is exceptions.TlsError
    assert (error.retry, error.maybe_done, error.api_wide) == (retry, False, True)
    assert "it is no good; " in str(error)
    assert cure in str(error)


def test_an_unusable_ca_file(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name, reason in (("ca.pem", "holds no cert"), ("missing.pem", "No such file")):
        path = tmp_path / name
        with pytest.raises(ValueError, match=rf"api.ca_file: .*{name}: {reason}"):
            client(ca_file=str(path))


# -- a real server, for what lies below requests


class RawServer:
    """Answers each connection in turn with the bytes (or the function of the socket) given."""

    def __init__(self, *scripts: Callable[[socket.socket], None]) -> None:
        self.received: List[bytes] = []
        self._clients = contextlib.ExitStack()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self._thread = threading.Thread(target=self._serve, args=(scripts,), daemon=True)

    def _serve(self, scripts: Tuple[Callable[[socket.socket], None], ...]) -> None:
        for script in scripts:
            connection, _ = self._listener.accept()
            with connection, contextlib.suppress(OSError):
                received = b""
                while b"\r\n\r\n" not in received:
                    received += connection.recv(65536)
                self.received.append(received)
                script(connection)

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._clients.close()
        self._listener.close()

    def client(self, **options: Any) -> Client:
        credentials = options.pop("credentials", Credentials(token=TOKEN))
        return self._clients.enter_context(Client(self.url, credentials, **options))


def says(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(answer)


def with_json(data: Any, *headers: str, status: str = "200 OK") -> bytes:
    body = json.dumps(data).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Clock:
    """Time that passes by so much at every look."""

    def __init__(self, step: float = 0.0) -> None:
        self.now = 1000.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port at which nobody listens, and that nobody else can take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def test_a_refused_connection_has_done_nothing(deaf: int) -> None:
    url = f"http://127.0.0.1:{deaf}"
    with pytest.raises(exceptions.Unreachable, match="Connection refused") as raised:
        Client(url, Credentials(token=TOKEN)).request("POST", "/v1/tickets")
    assert raised.value.maybe_done is False
    assert raised.value.__context__ is None


def test_an_unknown_name_has_done_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        exceptions.Unreachable, match=r"acme.bluerocktel.net cannot be resolved"
    ) as raised:
        client().request("POST", "/v1/tickets")
    assert raised.value.maybe_done is False


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: release.wait())
    try:
        with pytest.raises(exceptions.Unreachable, match="not resolved in time") as raised:
            client(timeout=0.01, clock=Clock()).request("POST", "/v1/tickets")
    finally:
        release.set()
    assert raised.value.maybe_done is False


def test_a_connection_that_comes_too_late_has_done_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()

    class Slow(socket.socket):
        def connect(self, address: Any) -> None:
            clock.now += 11.0
            raise socket.timeout("timed out")

    here = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 9))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [here, here])
    monkeypatch.setattr(socket, "socket", Slow)
    with pytest.raises(exceptions.Unreachable, match="no whole answer from acme") as raised:
        client(clock=clock).request("POST", "/v1/tickets")
    assert (raised.value.retry, raised.value.maybe_done) == (True, False)


def test_a_dead_address_leaves_time_for_the_next(
    echo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    waits: List[Optional[float]] = []

    class DeadAtFirst(socket.socket):
        def connect(self, address: Any) -> None:
            waits.append(self.gettimeout())
            if address[1] == 9:
                clock.now += 5.0
                raise socket.timeout("timed out")
            super().connect(address)

    port = urllib.parse.urlsplit(echo).port
    ports = [("127.0.0.1", 9), ("127.0.0.1", port)]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", where) for where in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
    monkeypatch.setattr(socket, "socket", DeadAtFirst)
    with Client(echo, Credentials(token=TOKEN), clock=clock) as caller:
        assert caller.request("GET", "/x") == {}
    assert waits == [5.0, 5.0]


def test_a_proxy_that_refuses_the_connection_has_done_nothing(deaf: int) -> None:
    with pytest.raises(exceptions.Unreachable, match=f"the proxy 127.0.0.1:{deaf}: Conn") as raised:
        client(proxy=f"http://127.0.0.1:{deaf}").request("POST", "/v1/tickets")
    assert raised.value.maybe_done is False


def test_a_kept_connection_that_breaks_may_have_done_something() -> None:
    def twice(connection: socket.socket) -> None:
        connection.sendall(with_json({}))
        connection.recv(65536)

    with RawServer(twice) as server:
        caller = server.client()
        caller.request("GET", "/v1/x")
        with pytest.raises(exceptions.Unreachable) as raised:
            caller.request("POST", "/v1/tickets", json={})
    assert raised.value.maybe_done is True


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"garbage\r\n\r\n",
    ],
)
def test_a_connection_that_breaks_may_have_done_something(answer: bytes) -> None:
    with RawServer(says(answer)) as server, pytest.raises(exceptions.Unreachable) as raised:
        server.client().request("POST", "/v1/tickets", json={})
    assert (raised.value.retry, raised.value.maybe_done) == (True, True)
    assert "127.0.0.1" in str(raised.value)


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"])
def test_a_server_that_drips_is_cut_off(head: bytes) -> None:
    """Each byte comes in time, the whole never does: one second passes per look at the clock."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(b"H")

    with RawServer(drip) as server:
        caller = server.client(timeout=60.0, clock=Clock(step=1.0))
        with pytest.raises(ApiError) as raised:
            caller.request("POST", "/v1/tickets")
    # The head's only line grows too long, or the time is up: either way it ends.
    assert isinstance(raised.value, exceptions.Unreachable)
    assert raised.value.maybe_done is True


def test_reads_wait_only_for_what_is_left_of_the_time() -> None:
    waits: List[float] = []

    class FakeSocket:
        def settimeout(self, seconds: float) -> None:
            waits.append(seconds)

    clock = Clock()

    class OneByteAMinute(io.RawIOBase):
        def readinto(self, buffer: Any) -> int:
            clock.now += 4.0
            buffer[:1] = b"x"
            return 1

    reader = connections._Reader(FakeSocket(), OneByteAMinute())
    with connections.TimeLimit(clock, 10.0).in_force(), pytest.raises(socket.timeout):
        reader.readall()
    assert waits == [10.0, 6.0, 2.0]


def test_a_time_out_after_sending_may_have_done_something() -> None:
    clock = Clock()

    def too_late(connection: socket.socket) -> None:
        clock.now += 11.0
        connection.sendall(b"H")

    with RawServer(too_late) as server, pytest.raises(exceptions.Unreachable) as raised:
        server.client(clock=clock).request("POST", "/v1/tickets")
    assert "no whole answer from 127.0.0.1" in str(raised.value)
    assert "within 10 s" in str(raised.value)
    assert raised.value.maybe_done is True


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: ClassVar[List[Tuple[Tuple[str, int], Dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.client_address, dict(self.headers)))
        body = b"{}"
        self.send_response(200)
        self.send_header("Set-Cookie", "session=hidden; Path=/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    Echo.seen = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as web:
        web.daemon_threads = True
        threading.Thread(target=web.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{web.server_address[1]}"
        web.shutdown()


def test_one_connection_no_cookie_no_netrc_no_proxy(
    echo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hidden\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing"))
    with Client(echo, Credentials(token=TOKEN)) as caller:
        for _ in range(3):
            caller.request("GET", "/x")
    addresses = {address for address, _ in Echo.seen}
    assert len(Echo.seen) == 3
    assert len(addresses) == 1
    for _, headers in Echo.seen:
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        assert "Cookie" not in headers


def test_a_call_to_this_machine_does_not_go_through_the_proxy(echo: str) -> None:
    with Client(echo, Credentials(token=TOKEN), proxy="http://127.0.0.1:1") as caller:
        caller.request("GET", "/x")
    assert len(Echo.seen) == 1


def test_the_proxy_is_used_and_its_password_never_shown() -> None:
    with RawServer(says(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")) as proxy:
        address = proxy.url[len("http://") : -len("/api")]
        caller = client(proxy=f"http://me:hidden@{address}")
        with pytest.raises(exceptions.Unreachable) as raised:
            caller.request("POST", "/v1/tickets", json={})
    assert proxy.received[0].startswith(b"CONNECT acme.bluerocktel.net:443 ")
    assert b"Proxy-Authorization: Basic" in proxy.received[0]
    assert TOKEN.encode() not in proxy.received[0]
    assert f"through the proxy {address}: Tunnel connection failed: 407" in str(raised.value)
    assert raised.value.maybe_done is False
    assert "hidden" not in everything(raised.value) + repr(caller)


# -- time allowed


def test_each_call_gets_its_share_of_the_time(
    server: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: List[float] = []

    def answer(request: requests.PreparedRequest) -> Tuple[int, Dict[str, str], str]:
        given.append(request.req_kwargs["timeout"])  # type: ignore[attr-defined]
        return 200, {}, "[]"

    server.add_callback("GET", f"{URL}/v1/ticketing/priorities", answer)
    clock = Clock()
    caller = client(timeout=10.0, clock=clock)
    caller.priorities()
    for left in (60.0, 4.0, 1.0):
        caller.deadline = clock.now + left
        caller.priorities()
    assert given == [10.0, 10.0, 4.0, 1.0]
    caller.deadline = clock.now + 0.9
    with pytest.raises(exceptions.OutOfTime, match="GET /v1/ticketing/priorities: not sent"):
        caller.priorities()
    assert len(given) == 4


def test_pages_stop_at_the_deadline(server: responses.RequestsMock) -> None:
    clock = Clock()

    def answer(_: Any) -> Tuple[int, Dict[str, str], str]:
        clock.now += 3.0
        number = int(clock.now)
        return 200, {}, json.dumps({"data": numbered(number, number), "last_page": 99})

    server.add_callback("GET", f"{URL}/v1/ticketing/statuses", answer)
    caller = client(clock=clock)
    caller.deadline = clock.now + 7.5
    with pytest.raises(exceptions.OutOfTime):
        caller.statuses()
    assert len(server.calls) == 3


def test_every_call_is_told(server: responses.RequestsMock) -> None:
    told: List[Tuple[str, str, Optional[int]]] = []
    server.get(f"{URL}/v1/ticketing/priorities", json=[])
    server.get(f"{URL}/v1/x", status=500)
    server.get(f"{URL}/v1/y", body=requests.ConnectionError())
    caller = client(on_call=lambda method, path, status, _: told.append((method, path, status)))
    caller.priorities()
    for path in ("/v1/x?a=1", "/v1/y"):
        with pytest.raises(ApiError):
            caller.request("GET", path)
    expected = [("/v1/ticketing/priorities", 200), ("/v1/x", 500), ("/v1/y", None)]
    assert told == [("GET", path, status) for path, status in expected]


# -- credentials


@pytest.fixture
def login(tmp_path: Path) -> Credentials:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    return Credentials(email="bot@acme.example", password_file=str(tmp_path / "password"))


def answer_login(server: responses.RequestsMock, *tokens: str) -> None:
    for token in tokens:
        answer = {"token": token, "user": {"id": 1, "name": "Bot"}, "support_teams": [{"id": 3}]}
        server.post(f"{URL}/login", json=answer)


def tokens_used(server: responses.RequestsMock) -> List[Optional[str]]:
    headers = [call.request.headers.get("Authorization") for call in server.calls]
    return [value and value[len("Bearer ") :] for value in headers]


def refuses(server: responses.RequestsMock, *stale: str) -> None:
    """GET /v1/x answers 401 to these tokens."""

    def answer(request: requests.PreparedRequest) -> Tuple[int, Dict[str, str], str]:
        token = request.headers["Authorization"][len("Bearer ") :]
        if token in stale:
            return 401, {}, '{"message": "Unauthenticated."}'
        return 200, {}, "{}"

    server.add_callback("GET", f"{URL}/v1/x", answer)


def test_the_first_credential_that_is_set_is_used(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n from-file \n")
    file = str(tmp_path / "token")
    assert Credentials(token=" t ", token_file=file).given_token() == "t"
    assert Credentials(token_file=file, environment_token="e").given_token() == "from-file"
    assert Credentials(environment_token="e", email="a").given_token() == "e"
    assert Credentials(environment_token="", email="a").by_login
    with pytest.raises(CredentialsError, match=r"no credential: set api.token_file"):
        Credentials().given_token()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty: write the API token into it"),
        (b"Bearer hush", "write the token alone"),
        (b"hush\x01", "write the token alone"),
        ("hushé".encode(), "write the token alone"),
        (b"hush\xff", "is not a text file"),
        (b"hush" * 20_000, "is not a text file"),
    ],
    ids=["empty", "bearer", "control", "accent", "bytes", "long"],
)
def test_a_wrong_token_file(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(CredentialsError) as raised:
        client(credentials=Credentials(token_file=str(path))).request("GET", "/v1/x")
    assert str(path) in str(raised.value)
    assert words in str(raised.value)
    assert "hush" not in everything(raised.value)


def test_a_missing_token_file(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match=r"missing .api.token_file. cannot be read: No such"):
        Credentials(token_file=str(tmp_path / "missing")).given_token()


def test_a_wrong_token_from_elsewhere_is_not_quoted() -> None:
    for credentials in (Credentials(token="s3 cr3t"), Credentials(environment_token="s3 cr3t")):
        with pytest.raises(CredentialsError) as raised:
            credentials.given_token()
        assert "s3" not in str(raised.value)


def test_a_login_that_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for credentials, words in (
        (Credentials(email="a@x"), "api.password_file is not"),
        (Credentials(email="a@x", password_file=str(tmp_path / "empty")), "is empty"),
        (Credentials(email="a@x", password_file=str(tmp_path)), "cannot be read"),
    ):
        with pytest.raises(CredentialsError, match=words):
            client(credentials=credentials).request("GET", "/v1/x")
    with pytest.raises(CredentialsError, match=r"api.email and api.password_file are not set"):
        client().login()


def test_a_login_when_a_token_is_needed(server: responses.RequestsMock, login: Credentials) -> None:
    answer_login(server, "one")
    refuses(server)
    caller = client(credentials=login)
    caller.request("GET", "/v1/x")
    caller.request("GET", "/v1/x")
    assert tokens_used(server) == [None, "one", "one"]
    assert sent(server, 0) == (
        *("POST", "/login", {}),
        {"email": "bot@acme.example", "password": PASSWORD},
    )


def test_login_says_who_it_is_and_hides_the_token(
    server: responses.RequestsMock, login: Credentials
) -> None:
    answer_login(server, "one")
    refuses(server)
    caller = client(credentials=login)
    found = caller.login()
    assert found == records.Login(records.Named(1, "Bot"), (records.Named(3, ""),))
    caller.request("GET", "/v1/x")
    assert tokens_used(server) == [None, "one"]
    assert "one" not in repr(found)


@pytest.mark.parametrize("answer", [{}, {"token": None}, {"token": "s3 cr3t"}, []])
def test_a_login_without_a_token(
    server: responses.RequestsMock, login: Credentials, answer: Any
) -> None:
    server.post(f"{URL}/login", json=answer)
    with pytest.raises(
        exceptions.BadAnswer, match="POST /login: 200 answer: no token in it"
    ) as raised:
        client(credentials=login).request("POST", "/v1/tickets")
    assert raised.value.maybe_done is False
    assert "cr3t" not in everything(raised.value)


def test_a_wrong_password(server: responses.RequestsMock, login: Credentials) -> None:
    said = f"wrong: {PASSWORD} / {json.dumps(PASSWORD)}"
    server.post(f"{URL}/login", json={"message": said}, status=401)
    with pytest.raises(exceptions.Unauthorized) as raised:
        client(credentials=login).request("GET", "/v1/x")
    assert str(raised.value) == 'POST /login: 401 wrong: *** / "***"'
    assert len(server.calls) == 1


def test_a_login_is_repeated_once_after_a_401(
    server: responses.RequestsMock, login: Credentials, tmp_path: Path
) -> None:
    answer_login(server, "one", "two", "three")
    refuses(server, "one")
    cache = tmp_path / "cache"
    client(credentials=login, token_cache=str(cache)).request("GET", "/v1/x")
    assert tokens_used(server) == [None, "one", None, "two"]
    # Another process finds the token in the cache.
    client(credentials=login, token_cache=str(cache)).request("GET", "/v1/x")
    assert tokens_used(server)[4:] == ["two"]


def test_a_second_401_is_an_error(server: responses.RequestsMock, login: Credentials) -> None:
    answer_login(server, "one", "two")
    refuses(server, "one", "two")
    with pytest.raises(exceptions.Unauthorized, match=r"a login as bot@acme.example"):
        client(credentials=login).request("GET", "/v1/x")
    assert tokens_used(server) == [None, "one", None, "two"]


def test_a_fixed_token_is_not_tried_twice(server: responses.RequestsMock) -> None:
    refuses(server, TOKEN)
    with pytest.raises(exceptions.Unauthorized) as raised:
        client().request("GET", "/v1/x")
    expected = (
        "GET /v1/x: 401 Unauthenticated. (api.token is refused: put a valid credential there);"
        " that looks like the user's api_token, not a bearer token"
    )
    assert str(raised.value) == expected
    assert len(server.calls) == 1


def test_a_token_file_is_read_again_after_a_401(
    server: responses.RequestsMock, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    refuses(server, "one")
    caller = client(credentials=Credentials(token_file=str(path)))
    with pytest.raises(exceptions.Unauthorized, match="the token file"):
        caller.request("GET", "/v1/x")  # unchanged: not tried again
    path.write_text("two\n")
    caller.request("GET", "/v1/x")
    caller.request("GET", "/v1/x")
    assert tokens_used(server) == ["one", "one", "two", "two"]


def test_only_one_of_several_threads_logs_in_again(
    server: responses.RequestsMock, login: Credentials
) -> None:
    answer_login(server, "one", "two", "three", "four", "five")
    together = threading.Barrier(4)

    def answer(request: requests.PreparedRequest) -> Tuple[int, Dict[str, str], str]:
        if request.headers["Authorization"] == "Bearer one":
            together.wait()  # all of them are refused before the first has a new token
            return 401, {}, "{}"
        return 200, {}, "{}"

    server.add_callback("GET", f"{URL}/v1/x", answer)
    caller = client(credentials=login)
    caller.login()
    in_threads(4, lambda: caller.request("GET", "/v1/x"))
    assert sorted(str(token) for token in tokens_used(server)) == sorted(
        ["None"] * 2 + ["one"] * 4 + ["two"] * 4
    )


def in_threads(count: int, do: Callable[[], Any]) -> List[Any]:
    """What each of COUNT threads got from DO: a result, or an exception."""
    results: List[Any] = []

    def run() -> None:
        try:
            results.append(do())
        except Exception as error:  # noqa: BLE001
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_threads_that_wait_for_a_failing_login_do_not_repeat_it(login: Credentials) -> None:
    attempts: List[int] = []
    waiting = threading.Semaphore(0)

    def log_in() -> str:
        attempts.append(1)
        waiting.acquire()
        raise exceptions.Unreachable("POST", "/login", None, "refused")

    tokens = Tokens(login, None, log_in)
    lock = CountingLock(waiting, 3)
    tokens._lock = lock  # type: ignore[assignment]
    results = in_threads(3, tokens.current)
    assert [type(result) for result in results] == [exceptions.Unreachable] * 3
    assert len(attempts) == 1


class CountingLock:
    """A lock that releases a semaphore once so many threads stand at it."""

    def __init__(self, semaphore: threading.Semaphore, count: int) -> None:
        self._lock = threading.Lock()
        self._counter = threading.Lock()
        self._semaphore = semaphore
        self._missing = count

    def __enter__(self) -> None:
        with self._counter:
            self._missing -= 1
            if self._missing == 0:
                self._semaphore.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


# -- the cache of the login's token


@pytest.mark.parametrize(("folder_mode", "mode"), [(0o700, 0o600), (0o2770, 0o660)])
def test_the_cache_is_for_its_owner_or_group(tmp_path: Path, folder_mode: int, mode: int) -> None:
    os.chmod(tmp_path, folder_mode)
    path = tmp_path / "cache"
    before = os.umask(0o777 & ~0o700)
    try:
        TokenCache(str(path), URL, "a@x").write("one")
        TokenCache(str(path), URL, "a@x").write("two")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["cache"]
    assert TokenCache(str(path), URL, "a@x").read() == "two"


def test_a_cache_that_is_not_to_be_used(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    mine = TokenCache(str(path), URL, "a@x")
    assert mine.read() is None
    mine.write("one")
    assert TokenCache(str(path), URL, "b@x").read() is None
    assert TokenCache(str(path), URL + "2", "a@x").read() is None
    (tmp_path / "link").symlink_to(path)
    assert TokenCache(str(tmp_path / "link"), URL, "a@x").read() is None
    os.chmod(path, 0o644)
    assert mine.read() is None
    os.chmod(path, 0o600)
    for content in ("", "{", "[]", '{"url": 1}', "[" * 100_000):
        path.write_text(content)
        assert mine.read() is None
    path.unlink()
    os.mkfifo(path)
    assert mine.read() is None


def test_a_cache_that_cannot_be_written_only_costs_a_line_in_the_log(
    server: responses.RequestsMock,
    login: Credentials,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer_login(server, "one")
    refuses(server)
    caller = client(credentials=login, token_cache=str(tmp_path / "missing" / "cache"))
    caller.request("GET", "/v1/x")
    said = capsys.readouterr().err
    assert "the login token is not cached" in said
    assert "one" not in said


# -- secrets


def everything(error: BaseException) -> str:
    """All that could be printed or logged of an exception, and of those it came from."""
    chain: List[BaseException] = []
    item: Optional[BaseException] = error
    while item is not None:
        chain.append(item)
        item = item.__cause__ or item.__context__
    texts = [repr(part) + str(part) + repr(part.args) + repr(vars(part)) for part in chain]
    return "".join([*texts, *traceback.format_exception(type(error), error, error.__traceback__)])


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 401, "json": {"message": f"bad token {TOKEN}"}},
        {"status": 422, "json": {"errors": {TOKEN: [f"Bearer {TOKEN}"]}}},
        {"status": 500, "body": f"<title>{TOKEN}</title>"},
        {"status": 404, "body": f"no {TOKEN}"},
        {"status": 302, "headers": {"Location": f"https://x/{TOKEN}"}},
        {"status": 200, "body": f"hello {TOKEN}"},
        {"status": 200, "body": f'{{"token": "{TOKEN}'},
        {"body": OSError(5, f"header {TOKEN}")},
        {"body": raised_for(OSError(5, f"header {TOKEN}"), requests.ConnectionError(TOKEN))},
    ],
)
def test_the_token_is_nowhere(
    server: responses.RequestsMock, caplog: pytest.LogCaptureFixture, answer: Dict[str, Any]
) -> None:
    caplog.set_level(logging.DEBUG)
    error = failing(server, **answer)
    assert TOKEN not in everything(error) + caplog.text
    caller = client()
    assert TOKEN not in repr(caller) + repr(vars(caller)) + repr(Credentials(token=TOKEN))


def test_password_and_new_token_are_nowhere(
    server: responses.RequestsMock, login: Credentials, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.post(f"{URL}/login", body=f'{{"token": "{TOKEN}", "broken')
    with pytest.raises(exceptions.BadAnswer) as raised:
        client(credentials=login).login()
    shown = everything(raised.value) + caplog.text + repr(login) + repr(client(credentials=login))
    assert TOKEN not in shown
    assert PASSWORD not in shown


def test_a_real_call_logs_no_token(echo: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Client(echo, Credentials(token=TOKEN)) as caller:
        caller.request("GET", "/x")
    assert Echo.seen
    assert TOKEN not in caplog.text


# -- settings


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.bluerocktel.net/api",
        "https://acme.bluerocktel.net:8443/api/",
        "http://localhost:8080/api",
        "http://127.0.0.2/api",
        "http://[::1]:8080/api",
    ],
)
def test_urls_that_are_fine(url: str) -> None:
    assert Client(url, Credentials()).url == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://acme.bluerocktel.net/api", "must be https"),
        ("http://localhost.evil.example/api", "must be https"),
        ("http://127.0.0.1.evil.example/api", "must be https"),
        ("https://me:s3cr3t@acme.bluerocktel.net/api", "user name or password"),
        ("http://localhost\\@evil.example/", "not a URL"),
        ("https://acme.example/api?key=1", r"without \? or #"),
        ("https://acme.example:port/api", "wrong host or port"),
        ("acme.bluerocktel.net/api", "must look like https://"),
        ("ftp://acme.bluerocktel.net/api", "must look like https://"),
        ("https:///api", "must look like https://"),
        ("", "empty"),
    ],
)
def test_urls_that_are_wrong(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        Client(url, Credentials())
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize("proxy", ["proxy:3128", "socks5://me:s3cr3t@p", "http://me:s3cr3t@p:x"])
def test_a_wrong_proxy_is_not_quoted(proxy: str) -> None:
    with pytest.raises(ValueError, match=r"api.proxy must look like") as raised:
        client(proxy=proxy)
    assert "s3cr3t" not in str(raised.value)


def test_the_default_clock_is_monotonic() -> None:
    caller = client()
    caller.deadline = time.monotonic() - 1
    with pytest.raises(exceptions.OutOfTime):
        caller.version()
