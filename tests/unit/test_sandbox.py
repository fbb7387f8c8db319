"""The sandbox answers as BlueRockTEL's two pages say, and fails on demand."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from flask.testing import FlaskClient

from brtel_notify.sandbox.app import create_app
from brtel_notify.sandbox.command import run as main
from brtel_notify.sandbox.faults import Faults
from brtel_notify.sandbox.html import clean_body, clean_subject
from brtel_notify.sandbox.instance import CHOICES
from brtel_notify.sandbox.store import Store
from brtel_notify.sandbox.testing import SandboxProcess

NOON = datetime(2026, 7, 2, 8, 15, tzinfo=timezone.utc)
TOKEN = {"Authorization": "Bearer sandbox-token", "Accept": "application/json"}
ACME = {"ticketable_type": "App\\Customer", "ticketable_id": "42"}
TICKET: Dict[str, Any] = {
    "subject": "3CX offline: acme.3cx.fr",
    "body": "<p>host <strong>acme.3cx.fr</strong> unreachable</p>",
    "priority_id": 2,
    "ticket_category_id": 5,
    "ticket_sub_category_id": 12,
    "tags": ["monitoring", "3cx"],
}
REPLY: Dict[str, Any] = {
    "body": "<p>details</p>",
    "close": False,
    "send_to_assignee": True,
    "send_to_contacts": False,
}


class Caller:
    """Calls a sandbox inside this process and checks the status."""

    def __init__(self, path: Optional[Path] = None, faults: Optional[Faults] = None) -> None:
        app = create_app(Store(path, now=lambda: NOON), faults or Faults())
        self.client: FlaskClient = app.test_client()

    def __call__(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        headers = {**TOKEN, **options.pop("headers", {})}
        response = self.client.open(f"/api{path}", method=method, headers=headers, **options)
        assert response.status_code == status, response.get_data(as_text=True)
        return response.get_json()

    def create(self, status: int = 201, customer: object = 42, **changes: Any) -> Any:
        query = {"ticketable_type": "App\\Customer", "ticketable_id": customer}
        payload = {**TICKET, **changes}
        return self("POST", "/v1/tickets", status, query_string=query, json=payload)

    def reply(self, ticket: int, status: int = 201, **changes: Any) -> Any:
        query = {"ticket_id": ticket}
        return self("POST", "/v1/replies", status, query_string=query, json={**REPLY, **changes})

    def search(self, status: int = 200, **filters: Any) -> Any:
        query = {f"filter[{name}]": value for name, value in filters.items()}
        return self("GET", "/v1/tickets/search", status, query_string=query)

    def control(self, method: str, what: str, status: int = 200, **options: Any) -> Any:
        response = self.client.open(f"/__sandbox__/{what}", method=method, **options)
        assert response.status_code == status, response.get_data(as_text=True)
        return response.get_json()

    def faults(self, **settings: Any) -> Any:
        return self.control("POST", "faults", json=settings)

    def instance(self, **settings: Any) -> Any:
        return self.control("POST", "instance", json=settings)

    def tickets(self) -> List[Dict[str, Any]]:
        found: List[Dict[str, Any]] = self.control("GET", "data")["tickets"]
        return found

    def statuses(self) -> List[object]:
        return [call["status"] for call in self.control("GET", "requests")]


@pytest.fixture
def call() -> Caller:
    return Caller()


@pytest.fixture(scope="module")
def started() -> Iterator[SandboxProcess]:
    with SandboxProcess() as sandbox:
        yield sandbox


@pytest.fixture
def process(started: SandboxProcess) -> SandboxProcess:
    started.clear_faults()
    started.clear_instance()
    started.reset()
    started.clear_requests()
    return started


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as one:
        one.trust_env = False
        one.headers.update(TOKEN)
        yield one


def open_ticket(process: SandboxProcess, session: requests.Session, **options: Any) -> Any:
    return session.post(f"{process.url}/v1/tickets", params=ACME, json=TICKET, **options)


# -- the token ---------------------------------------------------------------------------------


def test_login_hands_out_a_token_that_works_until_it_is_revoked(call: Caller) -> None:
    credentials = {"email": "noc@example.net", "password": "sandbox"}
    answer = call("POST", "/login", json=credentials, headers={"Authorization": ""})
    assert set(answer) == {"token", "user", "teams", "support_teams"}
    assert answer["user"] == {"id": 1, "name": "Monitoring", "email": "noc@example.net"}
    mine = {"Authorization": f"Bearer {answer['token']}"}
    call("GET", "/v1/tickets", headers=mine)
    assert call.control("POST", "revoke") == {"revoked": 1}
    call("GET", "/v1/tickets", 401, headers=mine)
    call("GET", "/v1/tickets")  # the first token is still good
    call.control("POST", "revoke", json={"all": True})
    call("GET", "/v1/tickets", 401)


def test_login_with_a_wrong_password_is_401_and_without_one_422(call: Caller) -> None:
    call("POST", "/login", 401, json={"email": "noc@example.net", "password": "no"})
    errors = call("POST", "/login", 422, json={"email": "noc@example.net"})["errors"]
    assert errors == {"password": ["The password field is required."]}


def test_without_a_token_it_is_401_for_those_who_want_json(call: Caller) -> None:
    answer = call("GET", "/v1/tickets", 401, headers={"Authorization": ""})
    assert answer == {"message": "Unauthenticated."}


@pytest.mark.parametrize("accept", ["*/*", "text/html,application/json"])
def test_without_accept_json_a_wrong_token_leads_to_an_html_login_page(
    call: Caller, accept: str
) -> None:
    response = call.client.get("/api/v1/tickets", headers={"Accept": accept})
    assert response.status_code == 302
    page = call.client.get(response.location)
    assert page.status_code == 200
    assert page.mimetype == "text/html"


def test_version_needs_no_token(call: Caller) -> None:
    answer = call("GET", "/version", headers={"Authorization": ""})
    assert answer["status"] == "ok"
    assert answer["vendor"] == "blue_rock_tel"


def test_the_root_says_what_this_is(call: Caller) -> None:
    page = call.client.get("/")
    assert page.mimetype == "text/plain"
    assert "/api" in page.get_data(as_text=True)


# -- what tickets refer to, customers, hosts, contacts -----------------------------------------


def test_the_names_of_the_cookbook_have_its_ids(call: Caller) -> None:
    priorities = {row["name"]: row["id"] for row in call("GET", "/v1/ticketing/priorities")}
    assert priorities["High"] == 2
    categories = {row["name"]: row for row in call("GET", "/v1/ticketing/categories")}
    assert categories["Infrastructure"]["id"] == 5
    assert categories["Infrastructure"]["sub_categories_count"] == 3
    subs = call("GET", "/v1/ticketing/sub-categories")
    (pbx,) = [row for row in subs if row["name"] == "PBX / 3CX"]
    assert (pbx["id"], pbx["category"]["name"]) == (12, "Infrastructure")
    assert len([row for row in subs if row["name"] == "Other"]) == 2
    assert "default" in [row["auto_for"] for row in call("GET", "/v1/ticketing/statuses")]
    teams = [row["name"] for row in call("GET", "/v1/ticketing/support-teams")]
    assert teams == ["Systems", "On-call"]


def test_customer_lookup_finds_an_account_or_says_that_there_is_none(call: Caller) -> None:
    found = call("GET", "/v1/customers/lookup?customer_account=CL2385")
    assert found == {
        "found": True,
        "data": {
            "id": 42,
            "name": "Acme Telecom SAS",
            "customer_account": "CL2385",
            "vip": False,
            "on_call_duty": False,
            "setup_follow_up": False,
            "setup_follow_up_user": None,
        },
    }
    missing = call("GET", "/v1/customers/lookup?customer_account=CL9")
    assert missing == {"found": False, "data": None}
    call("GET", "/v1/customers/lookup", 422)


@pytest.mark.parametrize(
    "term",
    ["acme", "ACME sas", "CL2385", "m.dupont", "+33612345678", "203.0.113.10", "licence-7"],
)
def test_customer_search_looks_at_name_account_contacts_phones_addresses_and_licences(
    call: Caller, term: str
) -> None:
    assert call("GET", "/v1/customers/search", query_string={"term": term}) == [
        {
            "id": 42,
            "name": "Acme Telecom SAS",
            "customer_account": "CL2385",
            "quick_search_label": "Acme Telecom SAS CL2385",
        }
    ]


@pytest.mark.parametrize("term", ["sas sas", "acme.3cx.fr", "a*e", "nobody at all"])
def test_customer_search_finds_nothing_in_other_orders_or_places(call: Caller, term: str) -> None:
    assert call("GET", "/v1/customers/search", query_string={"term": term}) == []


def test_customer_search_stops_at_fifteen_and_needs_a_term(call: Caller) -> None:
    assert len(call("GET", "/v1/customers/search?term=Horizon")) == 15
    call("GET", "/v1/customers/search?term=%20", 422)


def test_host_lookup_gives_customers_and_secrets_or_404(call: Caller) -> None:
    host = call("GET", "/v1/pbx3cx-hosts/lookup?host_name=ACME.3cx.fr")
    assert (host["id"], host["code"], host["ip_address"]) == (7, "XK93PL", "203.0.113.10")
    assert host["customers"] == [
        {"id": 42, "name": "Acme Telecom SAS", "customer_account": "CL2385"}
    ]
    for name in ("web_password", "ssh_password", "licence_key"):
        assert "SANDBOX-SECRET" in host[name]
    shared = call("GET", "/v1/pbx3cx-hosts/lookup?host_name=shared.3cx.fr")
    assert [customer["id"] for customer in shared["customers"]] == [7, 15]
    orphan = call("GET", "/v1/pbx3cx-hosts/lookup?host_name=nobody.3cx.fr")
    assert orphan["customers"] == []
    call("GET", "/v1/pbx3cx-hosts/lookup?host_name=unknown", 404)
    call("GET", "/v1/pbx3cx-hosts/lookup", 422)


def test_hosts_of_a_customer(call: Caller) -> None:
    host = {"id": 7, "host_name": "acme.3cx.fr", "code": "XK93PL", "active": True}
    path = "/v1/pbx3cx-hosts/lookup-by-customer?customer_account="
    assert call("GET", f"{path}CL2385") == {"data": [host]}
    assert call("GET", f"{path}CL000015")["data"][0]["active"] is False
    assert call("GET", f"{path}CL9") == {"data": []}


def test_contacts_of_a_customer(call: Caller) -> None:
    query = {"contactable_type": "App\\Customer", "contactable_id": 42}
    marie, other = call("GET", "/v1/contacts", query_string=query)
    assert (marie["id"], marie["role"]) == (88, "Technical Manager")
    assert marie["email_address"] == "m.dupont@acme-telecom.fr"
    assert (other["role"], other["first_name"]) == (None, None)
    call("GET", "/v1/contacts", 422)


# -- tickets: create ---------------------------------------------------------------------------


def test_a_created_ticket_is_the_cookbooks(call: Caller) -> None:
    ticket = call.create()
    sample = {
        "id": 1024,
        "subject": "3CX offline: acme.3cx.fr",
        "open": True,
        "origin": "admin",
        "priority_id": 2,
        "ticket_category_id": 5,
        "ticket_sub_category_id": 12,
        "tags": '["monitoring","3cx"]',
        "estimated_resolution_date": "2026-07-02 12:15:00",
        "opened_at": "2026-07-02 08:15:00",
        "created_at": "2026-07-02T08:15:00.000000Z",
        "status_id": 1,
        "assignee_id": 1,
        "author_id": 1,
        "opener_id": 1,
        "closed_at": None,
    }
    assert {key: ticket[key] for key in sample} == sample
    assert len(ticket["number"]) == 6
    assert call.create()["id"] == 1025


def test_what_create_is_given_it_keeps(call: Caller) -> None:
    given: Dict[str, Any] = {
        "estimated_resolution_date": "2026-07-02 10:00:00",
        "team_id": 2,
        "status_id": 4,
    }
    ticket = call.create(**given, priority_id="3", tags=None)
    assert {key: ticket[key] for key in given} == given
    assert ticket["priority_id"] == 3
    assert ticket["tags"] is None


def test_create_with_close_makes_a_closed_ticket(call: Caller) -> None:
    ticket = call.create(close=True)
    assert ticket["open"] is False
    assert ticket["closed_at"] == "2026-07-02 08:15:00"


@pytest.mark.parametrize(
    "field", ["subject", "body", "priority_id", "ticket_category_id", "ticket_sub_category_id"]
)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_create_without_a_mandatory_field_is_400(
    call: Caller, field: str, value: Optional[str]
) -> None:
    assert field in call.create(400, **{field: value})["message"]
    assert call.tickets() == []


def test_create_on_a_wrong_entity(call: Caller) -> None:
    call.create(404, customer=999)
    call.create(422, customer="acme")
    call("POST", "/v1/tickets", 400, json=TICKET)
    query = {"ticketable_type": "App\\User", "ticketable_id": 1}
    call("POST", "/v1/tickets", 400, query_string=query, json=TICKET)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", 5),
        ("body", ["x"]),
        ("priority_id", "High"),
        ("priority_id", 99),
        ("ticket_sub_category_id", 999),
        ("team_id", 99),
        ("tags", "monitoring"),
        ("tags", [1]),
        ("close", "yes"),
        ("estimated_resolution_date", "2026-07-02T12:15:00Z"),
        ("estimated_resolution_date", "2026-02-30 12:15:00"),
    ],
)
def test_a_wrong_type_or_an_unknown_id_is_422_in_laravels_form(
    call: Caller, field: str, value: object
) -> None:
    answer = call.create(422, **{field: value})
    assert list(answer["errors"]) == [field]
    assert answer["message"] == answer["errors"][field][0]
    assert call.tickets() == []


def test_several_wrong_fields_are_counted_in_the_message(call: Caller) -> None:
    message = call.create(422, subject=1, body=2, tags=3)["message"]
    assert message == "The subject field must be a string. (and 2 more errors)"


def test_a_body_that_is_no_json_misses_every_field(call: Caller) -> None:
    headers = {"Content-Type": "application/json"}
    call("POST", "/v1/tickets", 400, query_string=ACME, data="{", headers=headers)


def test_a_validation_error_without_accept_json_is_a_redirect(call: Caller) -> None:
    headers = {"Accept": "*/*"}
    call("POST", "/v1/tickets", 302, query_string=ACME, json={**TICKET, "tags": 1}, headers=headers)


def test_html_of_a_ticket_is_stripped_on_save(call: Caller) -> None:
    ticket = call.create(
        subject="<b>PBX</b> down",
        body="<h1>x</h1><p>y<!-- BN-1 --></p><table><td>z</td></table><br/>",
    )
    assert ticket["subject"] == "PBX down"
    assert ticket["body"] == "x<p>y</p>z<br/>"


def test_a_long_subject_is_refused_or_cut(call: Caller) -> None:
    assert len(call.create(subject="é" * 255)["subject"]) == 255
    assert "subject" in call.create(422, subject="é" * 256)["errors"]
    call.faults(long_subject="cut")
    assert len(call.create(subject="é" * 256)["subject"]) == 255


def test_a_body_of_more_bytes_than_a_text_column_is_a_500(call: Caller) -> None:
    call.create(body="é" * 32_767)
    assert call.create(500, body="é" * 32_768) == {"message": "Server Error"}
    call.reply(1024, 500, body="x" * 65_536)
    assert len(call.tickets()) == 1
    assert call.tickets()[0]["replies"] == []


# -- tickets: the rest -------------------------------------------------------------------------


def test_the_list_is_of_open_tickets_newest_first_or_all_of_one_customer(call: Caller) -> None:
    first, second, third = (call.create(customer=each)["id"] for each in (42, 42, 7))
    call("PUT", f"/v1/tickets/close/{first}", 201)
    rows = call("GET", "/v1/tickets")
    assert [row["id"] for row in rows] == [third, second]
    assert rows[0]["ticketable"]["name"] == "Lumière Optique"
    assert rows[0]["assignee"]["email"] == "noc@example.net"
    assert (rows[0]["replies_count"], rows[0]["last_reply_seen_at"]) == (0, None)
    mine = call("GET", "/v1/tickets", query_string=ACME)
    assert [row["id"] for row in mine] == [second, first]


def test_show_gives_the_relations(call: Caller) -> None:
    call.create()
    call.reply(1024)
    call("PUT", "/v1/tickets/1024/associates", 201, json={"associated": [88], "unassociated": []})
    ticket = call("GET", "/v1/tickets/1024")
    assert ticket["replies"][0]["author"]["id"] == 1
    assert ticket["ticketable"]["customer_account"] == "CL2385"
    assert [contact["id"] for contact in ticket["contacts"]] == [88]
    assert ticket["category"]["name"] == "Infrastructure"
    assert ticket["sub_category"]["name"] == "PBX / 3CX"
    assert ticket["has_unread_replies"] is False


def test_what_is_not_there_is_404(call: Caller) -> None:
    call("GET", "/v1/tickets/9", 404)
    call("DELETE", "/v1/tickets/9", 404)
    call("GET", "/v1/tickets/9/customer", 404)
    call("GET", "/v1/replies?ticket_id=9", 404)
    call.reply(9, 404)
    for verb in ("close", "open", "reopen", "assign", "free", "amend"):
        call("PUT", f"/v1/tickets/{verb}/9", 404, json={})
    assert "could not be found" in call("GET", "/v1/nonsense", 404)["message"]
    assert "Supported methods" in call("PATCH", "/v1/tickets", 405)["message"]


def test_update_changes_what_is_present_and_answers_with_replies(call: Caller) -> None:
    call.create()
    call.reply(1024)
    answer = call("PUT", "/v1/tickets/1024", 201, json={"priority_id": 3, "subject": "<i>x"})
    assert (answer["priority_id"], answer["subject"], answer["body"]) == (3, "x", TICKET["body"])
    assert len(answer["replies"]) == 1
    closed = call("PUT", "/v1/tickets/1024", 201, json={"close": True})
    assert (closed["open"], closed["closed_at"]) == (False, "2026-07-02 08:15:00")
    call("PUT", "/v1/tickets/1024", 422, json={"subject": None})
    call("PUT", "/v1/tickets/1024", 404, json={"ticketable_id": 999})
    call("PUT", "/v1/tickets/1024", 400, json={"ticketable_type": "App\\User"})


def test_delete_takes_the_replies_along_and_no_id_comes_back(call: Caller) -> None:
    call.create()
    call.reply(1024)
    assert call("DELETE", "/v1/tickets/1024") == {"response": "element deleted"}
    call("GET", "/v1/tickets/1024", 404)
    assert call.create()["id"] > 1024


def test_close_and_open(call: Caller) -> None:
    call.create()
    assert call("PUT", "/v1/tickets/close/1024", 201) == {"response": "ticket closed"}
    assert call("GET", "/v1/tickets/1024")["open"] is False
    assert call("PUT", "/v1/tickets/open/1024", 201) == {"response": "ticket open"}
    ticket = call("GET", "/v1/tickets/1024")
    assert (ticket["open"], ticket["closed_at"]) == (True, None)


def test_reopen_only_cancels_a_pending_closure(call: Caller) -> None:
    call.create(close=True)
    assert call("PUT", "/v1/tickets/reopen/1024", 201)["open"] is False
    pending = {"id": 5, "ticketable_id": 42, "closure": True}
    call.control("POST", "data", json={"tickets": [pending]})
    assert call("PUT", "/v1/tickets/reopen/5", 201)["closure"] is False


def test_assign_and_free(call: Caller) -> None:
    call.create()
    user = call("PUT", "/v1/tickets/assign/1024", 201, json={"assignee_id": 2})
    assert user == {"id": 2, "name": "Paul Martin", "email": "p.martin@example.net"}
    assert call("GET", "/v1/tickets/1024")["assignee"]["id"] == 2
    call("PUT", "/v1/tickets/assign/1024", 400, json={})
    call("PUT", "/v1/tickets/assign/1024", 404, json={"assignee_id": 9})
    assert call("PUT", "/v1/tickets/free/1024", 201) == {"response": "ticket freed"}
    assert call("GET", "/v1/tickets/1024")["assignee"] is None


def test_amend_adds_time(call: Caller) -> None:
    call.create()
    for minutes in (30, "15", -5):
        answer = call("PUT", "/v1/tickets/amend/1024", 201, json={"time": minutes})
        assert answer == {"response": "ticket time amended"}
    assert call("GET", "/v1/tickets/1024")["time"] == 40
    call("PUT", "/v1/tickets/amend/1024", 422, json={"time": "an hour"})


def test_associates_of_one_customer_of_which_one_has_to_stay(call: Caller) -> None:
    call.create()

    def associate(attach: List[int], detach: List[int]) -> object:
        payload = {"associated": attach, "unassociated": detach}
        return call("PUT", "/v1/tickets/1024/associates", 201, json=payload)["response"]

    assert associate([88], []) == "1 associated and 0 unassociated"
    assert associate([], [88]) == "0 associated and 0 unassociated"  # the last one stays
    assert associate([90], []) == "0 associated and 0 unassociated"  # another customer's
    assert associate([999, 88], []) == "0 associated and 0 unassociated"
    assert associate([89], [88]) == "1 associated and 1 unassociated"
    assert call.tickets()[0]["contacts"] == [89]
    path = "/v1/tickets/1024/associates"
    assert "unassociated" in call("PUT", path, 422, json={"associated": [88]})["errors"]
    call("PUT", path, 422, json={"associated": 88, "unassociated": []})


def test_customer_of_a_ticket_comes_with_contacts(call: Caller) -> None:
    call.create()
    customer = call("GET", "/v1/tickets/1024/customer")
    assert customer["id"] == 42
    assert [contact["id"] for contact in customer["contacts"]] == [88, 89]


def test_counts(call: Caller) -> None:
    for _ in range(3):
        call.create()
    call("PUT", "/v1/tickets/close/1024", 201)
    call("PUT", "/v1/tickets/free/1025", 201)
    assert call("GET", "/v1/tickets/counts") == {
        "total": 3,
        "open": 2,
        "unassigned": 1,
        "assigned_to_myself": 1,
        "daily": 3,
        "weekly": 3,
        "closed": 1,
    }


# -- search ------------------------------------------------------------------------------------


@pytest.fixture
def three(call: Caller) -> Caller:
    """1024 is Acme's, 1025 customer 7's with a reference, 1026 Acme's, closed, of On-call."""
    call.create()
    call.create(customer=7, body="<p>Reference BN-0123456789ab, 50%</p>", team_id=1, priority_id=3)
    call.create(close=True, team_id=2)
    call("PUT", "/v1/tickets/assign/1026", 201, json={"assignee_id": 2})
    call("PUT", "/v1/tickets/1024/associates", 201, json={"associated": [88], "unassociated": []})
    return call


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"body": "bn-0123456789AB"}, [1025]),
        ({"body": "5%"}, []),
        ({"body": "BN-0123,unreachable"}, [1024, 1025, 1026]),
        ({"body": ""}, [1024, 1025, 1026]),
        ({"open": "true"}, [1024, 1025]),
        ({"open": "false"}, [1024, 1025]),
        ({"closed": "true"}, [1026]),
        ({"ticketable_id": "42", "ticketable_type": "App\\Customer", "open": "true"}, [1024]),
        ({"ticketable_id": "7,42", "closed": "1"}, [1026]),
        ({"ticketable_id": "4"}, []),
        ({"priority_id": "3"}, [1025]),
        ({"status_id": "2"}, []),
        ({"team_id": "1,2"}, [1025, 1026]),
        ({"assignee_id": "2"}, [1026]),
        ({"my_tickets": "true"}, [1024, 1025]),
        ({"my_teams_tickets": "true"}, [1025]),
        ({"email": "dupont"}, [1024]),
    ],
)
def test_search_filters(three: Caller, filters: Dict[str, Any], found: List[int]) -> None:
    assert [row["id"] for row in three.search(**filters)] == found


def test_search_by_a_part_of_the_number(three: Caller) -> None:
    ticket = three.tickets()[0]
    rows = three.search(number=ticket["number"][1:].lower())
    assert ticket["id"] in [row["id"] for row in rows]


def test_an_unknown_filter_or_include_is_400(call: Caller) -> None:
    assert "`reference`" in call.search(400, reference="BN-1")["message"]
    call("GET", "/v1/tickets/search?include=secrets", 400)


def test_search_includes(three: Caller) -> None:
    three.reply(1024)
    query = "filter[ticketable_id]=42&include=customer,replies,team,assigner"
    first, second = three("GET", f"/v1/tickets/search?{query}")
    assert first["customer"]["id"] == 42
    assert len(first["replies"]) == 1
    assert second["team"]["name"] == "On-call"
    assert second["assigner"]["id"] == 1


# -- replies -----------------------------------------------------------------------------------


def test_a_reply_is_kept_visible_unless_told_otherwise(call: Caller) -> None:
    call.create()
    reply = call.reply(1024, body="<p>x</p><script>y</script>")
    assert (reply["id"], reply["ticket_id"], reply["origin"]) == (4096, 1024, "admin")
    assert (reply["body"], reply["customer_visible"]) == ("<p>x</p>y", True)
    call.reply(1024, customer_visible=False)
    rows = call("GET", "/v1/replies?ticket_id=1024")
    assert [row["customer_visible"] for row in rows] == [True, False]
    ticket = call("GET", "/v1/tickets/1024")
    assert ticket["exchanges"] == 2
    assert ticket["open"] is True
    assert ticket["status_id"] == 2  # the status that is automatic on an admin's reply


def test_a_reply_may_close_the_ticket(call: Caller) -> None:
    call.create()
    call.reply(1024, close=True)
    ticket = call("GET", "/v1/tickets/1024")
    assert (ticket["open"], ticket["closed_at"]) == (False, "2026-07-02 08:15:00")


@pytest.mark.parametrize("field", list(REPLY))
def test_a_reply_needs_its_four_fields(call: Caller, field: str) -> None:
    call.create()
    assert list(call.reply(1024, 422, **{field: None})["errors"]) == [field]


# -- HTML --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<p>a<br>b</p>", "<p>a<br>b</p>"),
        ("<BR/><bR />", "<BR/><bR />"),
        ('<a href="x>y" onclick=z>t</a>', '<a href="x>y" onclick=z>t</a>'),
        ("<b>a</b><em>b</em><pre>c</pre>", "abc"),
        ("<script>alert(1)</script>", "alert(1)"),
        ("<strong><style>x</style></strong>", "<strong>x</strong>"),
        ("a<!-- <p>BN-1</p> -->b", "ab"),
        ("a<!DOCTYPE html>b<?php echo 1; ?>c", "abc"),
        ("<?xml version='1.0'?>x", "x"),
        ("1 < 2 > 1", "1 < 2 > 1"),
        ("load<5 then nothing", "load"),
        ("a<", "a"),
        ("<b<p>>x</p>", ">x</p>"),
        ("<ul><li>x</li></ul><img src=y><i>z</i>", "<ul><li>x</li></ul><img src=y><i>z</i>"),
        ("<link><ulx><p/x>q", "q"),
        ("&lt;b&gt; é €\0", "&lt;b&gt; é €"),
    ],
)
def test_a_body_keeps_nine_tags(text: str, kept: str) -> None:
    assert clean_body(text) == kept


def test_a_subject_keeps_none() -> None:
    assert clean_subject("<p>CRITICAL</p> disk <x@y> > 90 % & 'q'") == "CRITICAL disk  > 90 % & 'q'"


# -- lists, wrapped and paged ------------------------------------------------------------------


def test_lists_come_bare_wrapped_or_paged(call: Caller) -> None:
    bare = call("GET", "/v1/ticketing/priorities")
    call.faults(wrap="data")
    assert call("GET", "/v1/ticketing/priorities") == {"data": bare}
    call.faults(wrap="paged", page_size=3)
    page = call("GET", "/v1/ticketing/priorities")
    assert page["data"] == bare[:3]
    assert (page["meta"]["last_page"], page["meta"]["total"]) == (2, 4)
    assert page["links"]["next"].endswith("?page=2")
    last = call("GET", "/v1/ticketing/priorities?page=2")
    assert (last["data"], last["links"]["next"]) == (bare[3:], None)
    assert call("GET", "/v1/ticketing/priorities?page=9")["data"] == []


def test_the_link_to_the_next_page_keeps_the_query(call: Caller) -> None:
    call.faults(wrap="paged", page_size=1)
    query = {"contactable_type": "App\\Customer", "contactable_id": 42}
    page = call("GET", "/v1/contacts", query_string=query)
    following = call.client.get(page["links"]["next"], headers=TOKEN).get_json()
    assert [page["data"][0]["id"], following["data"][0]["id"]] == [88, 89]


def test_booleans_may_be_integers(call: Caller) -> None:
    call.faults(booleans="int")
    assert repr(call.create()["open"]) == "1"


# -- which BlueRockTEL it is -------------------------------------------------------------------

CAMEL_REPLY = {"body": "<p>x</p>", "close": 0, "sendToAssignee": 1, "sendToContacts": 0}


@pytest.fixture
def old(call: Caller) -> Caller:
    """The instance of 2023, with a ticket."""
    call.create()
    call.instance(instance="2023")
    return call


def test_an_instance_is_the_pages_unless_told_otherwise(call: Caller) -> None:
    plain = call.control("GET", "instance")
    assert plain == {
        "instance": "2026",
        "names": "snake",
        "lookup": "yes",
        "miss": "hard",
        "timezone": "UTC",
        "closure": "none",
        "visibility": "kept",
        "templates": "kept",
    }
    old = call.instance(instance="2023")
    assert (old["names"], old["lookup"], old["miss"]) == ("camel", "no", "soft")
    assert (old["timezone"], old["visibility"]) == ("Europe/Paris", "kept")
    assert call.instance(names=None, lookup=None) != old
    assert call.control("GET", "instance")["instance"] is None
    assert call.control("DELETE", "instance") == plain


def test_the_page_of_commands_names_every_trait_and_word() -> None:
    page = Path(__file__).resolve().parents[2].joinpath("docs/commands.md").read_text()
    for name, words in CHOICES.items():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert [word for word in words if f"`{word}`" not in row] == []


def test_a_preset_comes_before_the_single_switches(call: Caller) -> None:
    shown = call.instance(visibility="ignored", instance="2023")
    assert (shown["visibility"], shown["names"], shown["instance"]) == ("ignored", "camel", None)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"instance": "2024"}, "instance is one of 2026, 2023"),
        ({"instance": ["2023"]}, "instance is one of 2026, 2023"),
        ({"visibility": "lost"}, "visibility is one of kept, ignored, unsaid, late"),
        ({"timezone": "Mars/Olympus"}, "IANA"),
        ({"timezone": 7}, "IANA"),
        ({"names": ["snake"]}, "names is one of snake, camel"),
        ({"names": "camel", "nams": "camel"}, "known: instance, names, lookup"),
        ([], "object"),
    ],
)
def test_an_instance_that_is_not_understood_is_refused_whole(
    call: Caller, settings: object, named: str
) -> None:
    before = call.control("GET", "instance")
    assert named in call.control("POST", "instance", 422, json=settings)["message"]
    assert call.control("GET", "instance") == before


def test_customers_contacts_and_users_in_the_dialect_of_the_sdk(old: Caller) -> None:
    (found,) = old("GET", "/v1/customers/search?term=CL000012")
    assert (found["id"], found["customerAccount"]) == (12, "CL000012")
    customer = old("GET", "/v1/customerAccounts/cl000012")["customer"]
    assert repr((customer["onCallDuty"], customer["vip"])) == "(1, 1)"
    assert "customer_account" not in customer
    query = {"contactable_type": "App\\Customer", "contactable_id": 42}
    marie = old("GET", "/v1/contacts", query_string=query)[0]
    assert (marie["firstName"], marie["lastName"], marie["role"]) == (
        "Marie",
        "Dupont",
        "Technical Manager",
    )
    assert (marie["emailAddress"], marie["mobilePhone"]) == (
        "m.dupont@acme-telecom.fr",
        "+33612345678",
    )
    assert repr((marie["active"], marie["technicalContact"])) == "(1, 0)"
    assert (marie["ticketingDoNotNotify"], marie["contactable_id"]) == (0, 42)
    user = old("GET", "/v1/users/2")
    assert (user["role"], user["active"], user["supportTeam"]) == (20, 1, 0)


def test_tickets_keep_their_names_and_what_is_in_them_does_not(old: Caller) -> None:
    old("POST", "/v1/replies?ticketId=1024", 201, json=CAMEL_REPLY)
    ticket = old("GET", "/v1/tickets/1024")
    assert (ticket["priority_id"], ticket["open"]) == (2, True)
    assert ticket["ticketable"]["customerAccount"] == "CL2385"
    assert ticket["replies"][0]["authorId"] == ticket["replies"][0]["author"]["id"] == 1
    of_ticket = old("GET", "/v1/tickets/1024/customer")["customer"]
    assert of_ticket["contacts"][0]["emailAddress"] == "m.dupont@acme-telecom.fr"
    (listed,) = old("GET", "/v1/tickets")
    assert listed["ticketable"]["onCallDuty"] == 0
    assert old.search(open=1)[0]["number"] == ticket["number"]


def test_a_reply_of_the_sdk_takes_its_names_and_no_others(old: Caller) -> None:
    path, snake = "/v1/replies", {**REPLY, "customer_visible": False}
    assert list(old("POST", f"{path}?ticket_id=1024", 422, json=snake)["errors"]) == ["ticketId"]
    errors = old("POST", f"{path}?ticketId=1024", 422, json=snake)["errors"]
    assert list(errors) == ["sendToAssignee", "sendToContacts"]
    both = {**snake, **CAMEL_REPLY}
    reply = old("POST", f"{path}?ticketId=1024", 201, json=both)
    assert (reply["ticketId"], reply["customerVisible"]) == (1024, 1)  # the SDK has no word for it
    assert reply["created_at"] == "2026-07-02T08:15:00.000000Z"
    internal = {**both, "customerVisible": False, "notifyCustomer": 0, "ticketId": 1024}
    assert old("POST", path, 201, json=internal)["customerVisible"] == 0
    old("GET", f"{path}?ticket_id=1024", 422)
    assert [row["customerVisible"] for row in old("GET", f"{path}?ticketId=1024")] == [1, 0]


def test_the_names_of_the_sdk_are_nothing_to_the_instance_of_the_pages(call: Caller) -> None:
    call.create(estimatedResolutionDate="2026-12-24 00:00:00")
    assert call.tickets()[0]["estimated_resolution_date"] == "2026-07-02 12:15:00"
    assert call.reply(1024, customerVisible=False)["customer_visible"] is True
    call("GET", "/v1/replies?ticketId=1024", 422)
    assert call("GET", "/v1/customerAccounts/CL2385")["customer_account"] == "CL2385"


def test_a_due_date_needs_both_names_to_be_taken_everywhere(old: Caller) -> None:
    wanted, path = "2026-12-24 00:00:00", "/v1/tickets/1024"
    before = old("PUT", path, 201, json={"estimated_resolution_date": wanted})
    assert before["estimated_resolution_date"] == "2026-07-02 12:15:00"
    after = old("PUT", path, 201, json={"estimatedResolutionDate": wanted})
    assert after["estimated_resolution_date"] == wanted
    errors = old("PUT", path, 422, json={"estimatedResolutionDate": "soon"})["errors"]
    assert list(errors) == ["estimatedResolutionDate"]


@pytest.mark.parametrize("year", ["2026", "2023"])
def test_what_stands_in_the_query_may_stand_in_the_body(call: Caller, year: str) -> None:
    call.instance(instance=year)
    assert call("POST", "/v1/tickets", 201, json={**TICKET, **ACME})["ticketable_id"] == 42
    reply = {**REPLY, **CAMEL_REPLY, "ticket_id": 1024, "ticketId": 1024}
    assert call("POST", "/v1/replies", 201, json=reply)["id"] == 4096
    call("PUT", "/v1/tickets/assign/1024?assignee_id=2", 201)
    assert call.tickets()[0]["assignee_id"] == 2


@pytest.mark.parametrize(
    "path",
    [
        "customers/lookup?customer_account=CL2385",
        "pbx3cx-hosts/lookup?host_name=acme.3cx.fr",
        "pbx3cx-hosts/lookup-by-customer?customer_account=CL2385",
    ],
)
def test_without_lookups_their_routes_are_not_there(call: Caller, path: str) -> None:
    call("GET", f"/v1/{path}")
    call.instance(lookup="no")
    message = call("GET", f"/v1/{path}", 404)["message"]
    assert message == f"The route api/v1/{path.split('?')[0]} could not be found."


def test_a_soft_miss_is_a_200_that_says_so(call: Caller) -> None:
    call.create()
    call.instance(miss="soft")
    for method, path, model in (
        ("GET", "tickets/9", "Ticket"),
        ("PUT", "tickets/close/9", "Ticket"),
        ("GET", "replies?ticket_id=9", "Ticket"),
        ("GET", "customers/lookup?customer_account=CL9", "Customer"),
        ("GET", "customerAccounts/CL9", "Customer"),
        ("GET", "pbx3cx-hosts/lookup?host_name=unknown", "Pbx3cxHost"),
        ("GET", "users/9", "User"),
        ("PUT", "tickets/assign/1024?assignee_id=9", "User"),
        ("GET", "ticketing/support-teams/9/members", "SupportTeam"),
    ):
        assert call(method, f"/v1/{path}") == {"response": f"{model} not found"}
    call("GET", "/v1/nonsense", 404)
    call.control("POST", "request-closure", 404, json={"ticket": 9})


def test_dates_without_a_zone_are_the_instances_own_time(call: Caller) -> None:
    call.instance(timezone="Europe/Paris")
    ticket = call.create()
    assert ticket["opened_at"] == ticket["assigned_at"] == "2026-07-02 10:15:00"
    assert ticket["created_at"] == "2026-07-02T08:15:00.000000Z"
    assert ticket["estimated_resolution_date"] == "2026-07-02 14:15:00"
    given = call.create(estimated_resolution_date="2026-07-02 09:00:00")
    assert given["estimated_resolution_date"] == "2026-07-02 09:00:00"
    assert call.reply(1024, close=True)["seen_at"] == "2026-07-02 10:15:00"
    assert call("GET", "/v1/tickets/1024")["closed_at"] == "2026-07-02 10:15:00"


def test_the_page_turns_the_instances_time_into_utc(call: Caller) -> None:
    call.instance(timezone="Europe/Paris")
    call.create()
    call("PUT", "/v1/tickets/close/1024", 201)
    page = call.client.get("/tickets/1024?lang=en").get_data(as_text=True)
    assert "2026-07-02 08:15 UTC" in page
    assert "2026-07-02 12:15 UTC" in page
    assert "2026-07-02 10:15" not in page


@pytest.mark.parametrize(("closure", "shows"), [("none", False), ("auto", True)])
def test_a_ticket_closes_by_itself_and_shows_it_or_not(
    call: Caller, closure: str, shows: bool
) -> None:
    call.create()
    call.instance(closure=closure)
    call.control("POST", "request-closure", json={"ticket": 1024})
    asked = call("GET", "/v1/tickets/1024")
    assert (asked["open"], asked["closure"]) == (True, True)
    call.control("POST", "close-by-itself", json={"ticket": 1024})
    closed = call("GET", "/v1/tickets/1024")
    assert (closed["open"], closed["closure"]) == (False, shows)
    (reply,) = closed["replies"]
    assert (reply["auto_closure_message"], reply["author_id"]) == (shows, 1)
    assert reply["body"] == "Your ticket was closed automatically"
    call.control("POST", "request-closure", 400, json={"ticket": 1024})
    call.control("POST", "close-by-itself", 422, json={})
    assert call("PUT", "/v1/tickets/reopen/1024", 201)["open"] is False
    call("PUT", "/v1/tickets/open/1024", 201)
    assert call("GET", "/v1/tickets/1024")["closure"] is False


@pytest.mark.parametrize(
    ("visibility", "answered", "shown"),
    [
        ("kept", False, False),
        ("ignored", True, True),
        ("unsaid", None, None),
        ("late", None, False),
    ],
)
@pytest.mark.parametrize("names", ["snake", "camel"])
def test_what_is_said_of_an_internal_note(
    call: Caller, names: str, visibility: str, answered: object, shown: object
) -> None:
    call.create()
    call.instance(names=names, visibility=visibility)
    key, ticket = {"snake": ("customer_visible", "ticket_id")}.get(
        names, ("customerVisible", "ticketId")
    )
    note = {**REPLY, **CAMEL_REPLY, key: False}
    answer = call("POST", f"/v1/replies?{ticket}=1024", 201, json=note)
    (row,) = call("GET", f"/v1/replies?{ticket}=1024")
    (inside,) = call("GET", "/v1/tickets/1024")["replies"]
    assert [each.get(key) for each in (answer, row, inside)] == [answered, shown, shown]
    assert [key in each for each in (answer, row)] == [answered is not None, shown is not None]
    assert call.tickets()[0]["replies"][0]["customer_visible"] is (visibility == "ignored")


def test_templates_in_a_reply_are_gone_when_it_is_read(call: Caller) -> None:
    call.create()
    body = "a {{ $ticket->number }} b {!! x\n !!} c { { d } }"
    call.reply(1024, body=body)
    assert call("GET", "/v1/replies?ticket_id=1024")[0]["body"] == body
    call.instance(templates="resolved")
    read = "a [resolved] b [resolved] c { { d } }"
    assert call("GET", "/v1/replies?ticket_id=1024")[0]["body"] == read
    assert call("GET", "/v1/tickets/1024")["replies"][0]["body"] == read
    assert call.tickets()[0]["replies"][0]["body"] == body


def test_pages_of_users_and_hosts_have_all_at_the_top_level(call: Caller) -> None:
    page = call("GET", "/v1/users?per_page=2&page=2")
    assert [user["name"] for user in page["data"]] == ["Old Technician"]
    assert (page["current_page"], page["last_page"], page["per_page"]) == (2, 2, 2)
    assert page["total"] == 3
    assert [link["active"] for link in page["links"]] == [False, False, True, False]
    before = call.client.get(page["prev_page_url"], headers=TOKEN).get_json()
    assert [user["id"] for user in before["data"]] == [1, 2]
    assert "SANDBOX-SECRET" not in json.dumps(before)
    assert call("GET", "/v1/users")["per_page"] == 20
    assert call("GET", "/v1/users?per_page=1000")["per_page"] == 100
    hosts = call("GET", "/v1/pbx3cx-hosts?customer_id=7")
    assert [host["id"] for host in hosts["data"]] == [21, 22, 26]
    assert [customer["id"] for customer in hosts["data"][2]["customers"]] == [7, 15]
    assert call("GET", "/v1/pbx3cx-hosts")["total"] == 7
    call("GET", "/v1/pbx3cx-hosts?customer_id=x", 422)


def test_users_are_found_by_a_part_of_the_name_or_the_whole_address(call: Caller) -> None:
    def found(**filters: str) -> List[int]:
        query = {f"filter[{name}]": value for name, value in filters.items()}
        return [user["id"] for user in call("GET", "/v1/users", query_string=query)["data"]]

    assert found(name="martin") == [2]
    assert found(email="P.Martin@example.net") == [2]
    assert found(email="p.martin") == []
    assert found(name="martin", email="noc@example.net") == []
    assert "name, email" in call("GET", "/v1/users?filter[role]=8", 400)["message"]
    (old,) = call("GET", "/v1/users?filter[name]=technician")["data"]
    assert (old["active"], old["role"]) == (False, 8)
    members = call("GET", "/v1/ticketing/support-teams/1/members")
    assert [user["name"] for user in members] == ["Monitoring", "Paul Martin"]
    call("GET", "/v1/users/9", 404)


def test_other_hosts_of_a_customer(call: Caller) -> None:
    assert call("GET", "/v1/hosts?filter[customer_id]=42") == []
    host = {"id": 1, "name": "core-sw-1", "customer_id": 42, "address": "198.51.100.200"}
    call.control("POST", "data", json={"hosts": [host]})
    (found,) = call("GET", "/v1/hosts?filter[customer_id]=42")
    assert (found["address"], found["managed"]) == ("198.51.100.200", True)
    assert call("GET", "/v1/hosts?filter[customer_id]=7") == []
    call("GET", "/v1/hosts?filter[name]=core", 400)


def test_data_of_an_older_sandbox_are_completed(call: Caller) -> None:
    contact = {"id": 1, "contactable_id": 42, "last_name": "x", "email_address": "x@example.net"}
    user = {"id": 7, "name": "x", "email": "y@example.net", "password": "z"}
    call.control("POST", "data?replace=1", json={"contacts": [contact]})
    call.control("POST", "data", json={"users": [user], "categories": [{"id": 9, "name": "c"}]})
    query = {"contactable_type": "App\\Customer", "contactable_id": 42}
    (found,) = call("GET", "/v1/contacts", query_string=query)
    assert (found["active"], found["technical_contact"]) == (True, False)
    assert call("GET", "/v1/users/7")["active"] is True
    assert call("GET", "/v1/ticketing/categories")[-1]["showable"] is True


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--instance", "2024"], "2026, 2023"),
        (["--set", "nams=camel"], "names, lookup"),
        (["--set", "names=kebab"], "snake, camel"),
        (["--set", "names"], "NAME=VALUE"),
    ],
)
def test_a_wrong_instance_option_is_one_line(
    capsys: pytest.CaptureFixture[str], options: List[str], named: str
) -> None:
    assert main(options) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert named in complaint


def test_a_process_is_again_what_it_was_started_as() -> None:
    with SandboxProcess("--instance", "2023", "--set", "visibility=late") as sandbox:
        started = sandbox.instance()
        assert (started["names"], started["visibility"]) == ("camel", "late")
        assert sandbox.instance(instance="2026")["names"] == "snake"
        sandbox.clear_instance()
        assert sandbox.instance() == started
        with pytest.raises(ValueError, match="snake, camel"):
            sandbox.instance(names="kebab")
        sandbox.seed(tickets=[{"id": 5, "ticketable_id": 42}])
        sandbox.request_closure(5)
        assert sandbox.tickets()[0]["closure"] is True
        sandbox.close_by_itself(5)
        assert sandbox.tickets()[0]["open"] is False


# -- faults inside this process ----------------------------------------------------------------


def test_the_next_answers_fail_and_then_no_more(call: Caller) -> None:
    call.faults(fail={"status": 503, "next": 2, "retry_after": 7})
    for _ in range(2):
        response = call.client.get("/api/version")
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "7"
        assert response.get_json() == {"message": "Service Unavailable"}
    call("GET", "/version")
    assert call.statuses() == [503, 503, 200]


def test_a_fault_may_concern_one_method_and_path_and_spare_the_first(call: Caller) -> None:
    call.faults(fail={"status": 500, "method": "POST", "path": "/v1/tick*", "skip": 1, "next": 1})
    call("GET", "/v1/tickets")
    call.create()
    call.create(500)
    call.create()
    assert len(call.tickets()) == 2


def test_a_failure_may_come_after_the_change(call: Caller) -> None:
    call.faults(fail={"status": 502, "when": "after", "body": "html", "next": 1})
    response = call.client.post("/api/v1/tickets", query_string=ACME, json=TICKET, headers=TOKEN)
    assert (response.status_code, response.mimetype) == (502, "text/html")
    assert len(call.tickets()) == 1


def test_a_true_answer_may_be_truncated_or_of_another_type(call: Caller) -> None:
    call.faults(fail={"body": "truncated", "next": 1})
    response = call.client.post("/api/v1/tickets", query_string=ACME, json=TICKET, headers=TOKEN)
    assert response.status_code == 201
    with pytest.raises(ValueError, match=r"."):
        json.loads(response.get_data(as_text=True))
    call.faults(fail={"body": "type"})
    assert isinstance(call("GET", "/v1/tickets/1024"), list)
    assert isinstance(call("GET", "/v1/tickets"), dict)
    call.faults(fail={"body": "empty"})
    assert call.client.get("/api/version").get_data() == b""
    call.faults(fail={"json": [None, 1]})
    assert call("GET", "/version") == [None, 1]


def test_a_share_of_the_answers_fails() -> None:
    chances = iter([0.1, 0.9, 0.29, 0.3])
    call = Caller(faults=Faults(chance=lambda: next(chances)))
    call.faults(fail={"status": 500, "share": 0.3})
    for status in (500, 200, 500, 200):
        call("GET", "/version", status)


def test_the_next_calls_are_unauthorized_but_login_and_version_are_not(call: Caller) -> None:
    call.faults(unauthorized=1)
    call("GET", "/version")
    call("GET", "/v1/tickets", 401)
    call("GET", "/v1/tickets")


def test_too_many_calls_a_minute_are_429_until_the_minute_is_over() -> None:
    now = [100.0]
    call = Caller(faults=Faults(clock=lambda: now[0]))
    call.faults(rate_limit=2)
    call("GET", "/version")
    now[0] += 20
    call("GET", "/version")
    refused = call.client.get("/api/version")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "40")
    now[0] += 40
    call("GET", "/version")


def test_a_drop_before_changes_nothing_and_one_after_does(call: Caller) -> None:
    call.faults(drop=[{"when": "before", "next": 1}, {"when": "after", "next": 1}])
    for tickets in (0, 1):
        with pytest.raises(ConnectionError):
            call.create()
        assert len(call.tickets()) == tickets
    call.create()
    assert call.statuses() == ["dropped", "dropped", 201]


def test_faults_are_shown_with_what_is_left_and_cleared(call: Caller) -> None:
    call.faults(latency=0.5, fail={"next": 2})
    call("GET", "/version", 500)
    shown = call.control("GET", "faults")
    assert shown["latency"] == 0.5
    assert shown["fail"][0]["next"] == 1
    call.control("POST", "faults", json=shown)  # what is shown can be posted again
    call.faults(drop={"next": 1}, fail=None)
    cleared = call.control("DELETE", "faults")
    assert (cleared["latency"], cleared["drop"]) == (0.0, [])
    call("GET", "/version")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"latancy": 1}, "latancy"),
        ({"latency": "slow"}, "latency"),
        ({"latency": -1}, "latency"),
        ({"wrap": "paper"}, "wrap"),
        ({"fail": {"nxt": 1}}, "nxt"),
        ({"fail": {"body": "pdf"}}, "body"),
        ({"fail": {"body": "html", "when": "before"}}, "status"),
        ({"drop": {"when": "never"}}, "when"),
        ({"hang": 5}, "hang"),
        ([], "object"),
    ],
)
def test_faults_that_are_not_understood_are_refused_by_name(
    call: Caller, settings: object, named: str
) -> None:
    before = call.control("GET", "faults")
    assert named in call.control("POST", "faults", 422, json=settings)["message"]
    assert call.control("GET", "faults") == before


# -- the list of calls, the data ---------------------------------------------------------------


def test_calls_are_listed_without_passwords(call: Caller) -> None:
    call("POST", "/login", json={"email": "noc@example.net", "password": "sandbox"})
    call.search(open="true")
    login, search = call.control("GET", "requests")
    assert (login["number"], login["method"], login["path"]) == (1, "POST", "/api/login")
    assert login["json"] == {"email": "noc@example.net", "password": "(hidden)"}
    assert search["query"] == {"filter[open]": "true"}
    assert search["path"].startswith("/api/v1/tickets/search?")
    assert (search["json"], search["status"]) == (None, 200)
    assert call.control("DELETE", "requests") == []
    call("GET", "/version")
    assert [entry["number"] for entry in call.control("GET", "requests")] == [3]


def test_data_can_be_merged_replaced_and_reset(call: Caller) -> None:
    new = {"id": 500, "name": "Zebra", "customer_account": "CL000500"}
    call.control("POST", "data", json={"customers": [new]})
    assert call("GET", "/v1/customers/lookup?customer_account=CL000500")["data"]["vip"] is False
    assert call("GET", "/v1/customers/lookup?customer_account=CL2385")["found"] is True
    call.control("POST", "data?replace=1", json={"customers": [new]})
    assert call("GET", "/v1/customers/lookup?customer_account=CL2385")["found"] is False
    call.control("DELETE", "data")
    assert call("GET", "/v1/customers/lookup?customer_account=CL2385")["found"] is True


def test_a_ticket_may_be_seeded_with_little(call: Caller) -> None:
    ticket = {"id": 3, "ticketable_id": 42, "subject": "by hand", "tags": ["a"]}
    call.control("POST", "data", json={"tickets": [{**ticket, "replies": [{"body": "x"}]}]})
    shown = call("GET", "/v1/tickets/3")
    assert (shown["subject"], shown["open"], shown["tags"]) == ("by hand", True, '["a"]')
    assert len(shown["number"]) == 6
    assert shown["replies"][0]["id"] == 4096
    assert call.create()["id"] == 1024


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"clients": []}, "clients"),
        ({"customers": {}}, "customers"),
        ({"customers": [{"id": 1}]}, "customers[0]: name"),
        ({"customers": [{"name": "x", "customer_account": "y"}]}, "customers[0]: id"),
        ({"statuses": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "statuses[1]: id 1"),
        ([], "object"),
    ],
)
def test_data_that_are_not_understood_are_refused_by_place(
    call: Caller, data: object, named: str
) -> None:
    assert named in call.control("POST", "data", 422, json=data)["message"]


def test_a_data_file_keeps_every_change(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    Caller(path).create(subject="kept é")
    again = Caller(path)
    assert again("GET", "/v1/tickets/1024")["subject"] == "kept é"
    assert again.create()["id"] == 1025
    assert [each.name for each in tmp_path.iterdir()] == ["mine.json"]


def test_a_data_file_with_customers_alone_has_the_rest_of_the_seed(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    mine = {"id": 9, "name": "Mine", "customer_account": "CL9"}
    path.write_text(json.dumps({"customers": [mine]}), encoding="utf-8")
    call = Caller(path)
    assert call("GET", "/v1/customers/lookup?customer_account=CL9")["found"] is True
    assert call("GET", "/v1/customers/lookup?customer_account=CL2385")["found"] is False
    assert call.create(customer=9)["priority_id"] == 2


# -- the command -------------------------------------------------------------------------------


def test_help_fits_one_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as leaving:
        main(["--help"])
    assert leaving.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert any(line.strip().startswith("brtel-notify sandbox --port") for line in lines)


@pytest.mark.parametrize("missing", ["flask", "werkzeug"])
def test_without_flask_one_line_says_what_to_install(missing: str) -> None:
    program = (
        f"import sys; sys.modules['{missing}'] = None; "
        "from brtel_notify.sandbox.command import run; sys.exit(run(['--port', '0']))"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=root
    )
    assert done.returncode == 70
    assert done.stderr == "the sandbox needs Flask: pip install 'brtel-notify[sandbox]'\n"
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("content", "named"), [("{", "line 1"), ('{"clients": []}', "clients"), ("[]", "object")]
)
def test_a_data_file_that_is_not_understood_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, named: str
) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content, encoding="utf-8")
    assert main(["--data", str(path)]) == 65
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert named in complaint
    assert "bad.json" in complaint


@pytest.mark.parametrize("faults", ["{", "[]", '{"latancy": 1}'])
def test_a_wrong_faults_option_is_one_line(capsys: pytest.CaptureFixture[str], faults: str) -> None:
    assert main(["--faults", faults]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(
    process: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    port = process.url.split(":")[2].split("/")[0]
    assert main(["--port", port]) == 70
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert port in complaint


# -- a real process ----------------------------------------------------------------------------


def test_it_ends_cleanly_and_takes_its_options(capfd: pytest.CaptureFixture[str]) -> None:
    with SandboxProcess("--token", "mine", "--wrap", "data", "--fail-share", "0") as sandbox:
        assert sandbox.token == "mine"
        headers = {"Authorization": "Bearer mine", "Accept": "application/json"}
        answer = requests.get(f"{sandbox.url}/v1/tickets", headers=headers, timeout=30)
        assert answer.json() == {"data": []}
    assert sandbox.stop() == 0
    assert capfd.readouterr().err == ""


def test_another_host_than_loopback_is_warned_of(capfd: pytest.CaptureFixture[str]) -> None:
    with SandboxProcess("--host", "0.0.0.0") as sandbox:
        assert "0.0.0.0" in sandbox.url
        # The warning follows the first line; an answer proves that it has been written.
        sandbox.data()
    assert "loopback" in capfd.readouterr().err


def test_one_connection_serves_many_calls(
    process: SandboxProcess, session: requests.Session
) -> None:
    for _ in range(3):
        response = open_ticket(process, session)
        assert response.status_code == 201
        assert "close" not in response.headers.get("Connection", "")


@pytest.mark.parametrize(("when", "tickets"), [("before", 0), ("after", 1), ("midway", 1)])
def test_a_dropped_connection_is_seen_as_one(
    process: SandboxProcess, session: requests.Session, when: str, tickets: int
) -> None:
    process.faults(drop={"when": when, "next": 1, "method": "POST"})
    # urllib3 before 2 takes what there is of an answer for all of it, which then is no JSON.
    broken = (
        requests.exceptions.ConnectionError,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.JSONDecodeError,
    )
    with pytest.raises(broken):
        open_ticket(process, session).json()
    assert len(process.tickets()) == tickets
    assert [entry["status"] for entry in process.requests()] == ["dropped"]
    assert open_ticket(process, session).status_code == 201


def until(condition: Callable[[], bool]) -> None:
    """Ask the sandbox until it says so; its other thread needs a moment."""
    assert any(condition() for _ in range(10_000))


def all_decided(process: SandboxProcess) -> bool:
    """Say whether the one call that is to hang does."""
    return bool(process.faults()["hang"][0]["next"] == 0)


@pytest.mark.parametrize(("when", "tickets"), [("before", 0), ("after", 1)])
def test_a_client_that_gives_up_a_hanging_call_changed_nothing_or_all(
    process: SandboxProcess, when: str, tickets: int
) -> None:
    process.faults(hang={"when": when, "seconds": 600, "next": 1})
    client = HTTPConnection(urlsplit(process.url).netloc)
    headers = {**TOKEN, "Content-Type": "application/json"}
    client.request("POST", f"/api/v1/tickets?{urlencode(ACME)}", json.dumps(TICKET), headers)
    until(lambda: all_decided(process))
    client.close()
    process.clear_faults()
    until(lambda: process.requests()[0]["status"] is not None)
    assert process.requests()[0]["status"] == "dropped"
    assert len(process.tickets()) == tickets


def test_a_hanging_call_holds_up_no_other_and_is_answered_when_faults_are_cleared(
    process: SandboxProcess, session: requests.Session
) -> None:
    process.faults(hang={"seconds": 600, "next": 1})
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(open_ticket, process, session)
        until(lambda: all_decided(process))
        with requests.Session() as another:
            another.trust_env = False
            assert another.get(f"{process.url}/version", timeout=30).ok
        process.clear_faults()
        assert waiting.result().status_code == 201


def test_a_call_decided_before_the_faults_are_cleared_never_waits_afterwards() -> None:
    faults = Faults()
    faults.set({"hang": {"when": "after", "seconds": 86_400, "next": 1}})
    verdict = faults.decide("POST", "/api/v1/tickets")
    assert verdict.rule is not None
    faults.clear()
    waiting = threading.Thread(target=verdict.hold, args=(verdict.rule.seconds,), daemon=True)
    waiting.start()
    waiting.join(30)
    assert not waiting.is_alive(), "it waits for a release that has been"


def test_a_fault_may_concern_only_what_says_a_word() -> None:
    faults = Faults()
    faults.set({"fail": {"status": 403, "holds": "a word", "next": 1}})
    assert faults.decide("POST", "/api/v1/tickets", "{'body': 'another'}").rule is None
    assert faults.decide("POST", "/api/v1/tickets", "{'body': 'a word'}").rule is not None
    assert faults.decide("POST", "/api/v1/tickets", "{'body': 'a word'}").rule is None
    with pytest.raises(ValueError, match="holds"):
        faults.set({"fail": {"holds": 1}})


def test_many_clients_at_once_lose_and_double_nothing(process: SandboxProcess) -> None:
    clients, each = 6, 15
    together = threading.Barrier(clients)
    process.faults(fail={"status": 503, "next": 10, "method": "POST"})

    def work(_: int) -> List[int]:
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(TOKEN)
            together.wait()
            return [open_ticket(process, session).status_code for _ in range(each)]

    with ThreadPoolExecutor(clients) as pool:
        statuses = [status for batch in pool.map(work, range(clients)) for status in batch]
    assert statuses.count(503) == 10
    tickets = process.tickets()
    assert len(tickets) == len({ticket["number"] for ticket in tickets}) == clients * each - 10
    assert len({ticket["id"] for ticket in tickets}) == len(tickets)
    numbers = [entry["number"] for entry in process.requests()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == clients * each


def test_the_helper_seeds_and_refuses_what_is_wrong(process: SandboxProcess) -> None:
    process.seed(customers=[{"id": 500, "name": "Zebra", "customer_account": "CL000500"}])
    assert "Zebra" in [customer["name"] for customer in process.data()["customers"]]
    process.seed(replace=True, contacts=[])
    assert process.data()["contacts"] == []
    with pytest.raises(ValueError, match="latancy"):
        process.faults(latancy=1)
    with pytest.raises(ValueError, match="clients"):
        process.seed(clients=[])
