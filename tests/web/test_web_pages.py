"""The sandbox's web page without a browser: what a server must send, and must not."""

from __future__ import annotations

import itertools
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List

import pytest
from flask.testing import FlaskClient

from brtel_notify.sandbox import pages, words
from brtel_notify.sandbox.app import create_app
from brtel_notify.sandbox.faults import Faults
from brtel_notify.sandbox.shown import safe_html
from brtel_notify.sandbox.store import Store
from brtel_notify.sandbox.switches import others, switches, turn
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.sandbox.views import Views, level

pytestmark = pytest.mark.short

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
TOKEN = {"Authorization": "Bearer sandbox-token", "Accept": "application/json"}
OWN = {**BROWSER, "Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
TICKET: Dict[str, Any] = {
    "subject": "3CX offline",
    "body": "<p>unreachable</p>",
    "priority_id": 2,
    "ticket_category_id": 5,
    "ticket_sub_category_id": 12,
}
ACME = {"ticketable_type": "App\\Customer", "ticketable_id": "42"}


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def client(store: Store) -> FlaskClient:
    return create_app(store).test_client()


def api(client: FlaskClient, method: str, path: str, data: Any = None, **query: Any) -> Any:
    answer = client.open(
        f"/api/v1/{path}", method=method, json=data, query_string=query, headers=TOKEN
    )
    assert answer.status_code in (200, 201), answer.get_data(as_text=True)
    return answer.get_json()


def open_ticket(client: FlaskClient, **changes: Any) -> int:
    return int(api(client, "POST", "tickets", {**TICKET, **changes}, **ACME)["id"])


def reply(client: FlaskClient, number: int, **changes: Any) -> None:
    flags = dict.fromkeys(("close", "send_to_assignee", "send_to_contacts"), False)
    api(client, "POST", "replies", {"body": "<p>x</p>", **flags, **changes}, ticket_id=number)


# -- every answer ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/tickets/1024", "/tickets/1", "/calls", "/web/live.js"])
def test_every_page_forbids_what_is_not_its_own(client: FlaskClient, path: str) -> None:
    open_ticket(client)
    headers = client.get(path, headers=BROWSER).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/tickets/1024", "/calls"])
def test_no_page_has_anything_inline_or_from_elsewhere(client: FlaskClient, path: str) -> None:
    open_ticket(client)
    text = client.get(path, headers=BROWSER).get_data(as_text=True)
    assert not re.search(r"<script(?! src=\"/web/)|<style|\sstyle=|\son\w+=", text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)


def test_what_has_not_changed_is_not_sent_again(client: FlaskClient) -> None:
    first = client.get("/", headers=BROWSER)
    again = {**BROWSER, "If-None-Match": first.headers["ETag"]}
    assert client.get("/", headers=again).status_code == 304
    open_ticket(client)
    assert client.get("/", headers=again).status_code == 200


def test_who_looks_leaves_no_trace_in_the_calls(client: FlaskClient) -> None:
    for path in ("/", "/calls", "/tickets/1", "/web/style.css"):
        client.get(path, headers=BROWSER)
    client.post("/web/faults", data={"fault": "down", "on": "1"}, headers=OWN)
    client.get("/calls", headers=BROWSER)  # also during an outage
    assert client.get("/__sandbox__/requests").get_json() == []
    client.get("/")  # a program, with a wrong address in its configuration
    assert len(client.get("/__sandbox__/requests").get_json()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost:1"},
    ],
)
def test_only_its_own_page_may_post(
    client: FlaskClient, store: Store, headers: Dict[str, str]
) -> None:
    number = open_ticket(client)
    for path, form in (
        ("/web/faults", {"fault": "down", "on": "1"}),
        ("/web/calls", {}),
        ("/web/instance", {"instance": "2023"}),
        (f"/web/tickets/{number}", {"open": "0"}),
    ):
        answer = client.post(path, data=form, headers={**BROWSER, **headers})
        assert answer.status_code == 403
    assert client.get("/__sandbox__/faults").get_json()["fail"] == []
    assert store.instance.show()["instance"] == "2026"
    assert store.tables["tickets"][number]["open"]


def test_a_page_of_another_site_has_no_hold_of_the_handles(client: FlaskClient) -> None:
    foreign = {"Origin": "http://elsewhere.example"}
    answer = client.post("/__sandbox__/faults", data='{"latency": 9}', headers=foreign)
    assert answer.status_code == 403
    assert client.delete("/__sandbox__/data", headers=foreign).status_code == 403
    assert client.post("/__sandbox__/faults", json={"latency": 9}).status_code == 200


@pytest.mark.parametrize("here", ["//elsewhere.example", "/\\elsewhere.example", "http://x/", ""])
def test_a_form_leads_to_no_other_site(client: FlaskClient, here: str) -> None:
    answer = client.post("/web/faults", data={"fault": "all", "here": here}, headers=OWN)
    assert (answer.status_code, answer.location) == (303, "/")


def test_a_fault_that_is_none(client: FlaskClient) -> None:
    assert client.post("/web/faults", data={"fault": "x"}, headers=OWN).status_code == 404
    assert client.post("/web/tickets/9", data={}, headers=OWN).status_code == 404


@pytest.mark.parametrize(
    ("wanted", "header", "language"),
    [
        ("", "fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("", "en-GB", "en"),
        ("", "de", "en"),
        ("", "", "en"),
        ("?lang=fr", "en", "fr"),
        ("?lang=xx", "fr", "fr"),
    ],
)
def test_the_language(client: FlaskClient, wanted: str, header: str, language: str) -> None:
    headers = {**BROWSER, "Accept-Language": header}
    assert f'<html lang="{language}">' in client.get(f"/{wanted}", headers=headers).text
    if "fr" in wanted:  # it is remembered
        assert f'<html lang="{language}">' in client.get("/calls", headers=headers).text


def test_odd_filters_show_everything(client: FlaskClient) -> None:
    open_ticket(client)
    for query in ("state=x", "customer=x", "customer=%C2%B2", "page=-1", "page=x"):
        assert "3CX offline" in client.get(f"/?{query}", headers=BROWSER).text
    assert client.get("/?page=99", headers=BROWSER).status_code == 200


def test_the_second_line_says_where_the_page_is() -> None:
    with SandboxProcess() as sandbox:
        process = sandbox._process
        assert process is not None
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.strip().endswith(sandbox.url.removesuffix("api"))


# -- words -------------------------------------------------------------------------------------


def test_every_word_is_there_in_both_languages() -> None:
    english, french = words.WORDS["en"], words.WORDS["fr"]
    assert set(english) == set(french)
    for key, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", french[key])), key
        assert '"' not in text + french[key]  # they stand in attributes as well
        assert "<" not in text + french[key]


def test_no_word_is_left_over() -> None:
    package = Path(pages.__file__).parent
    code = package / "render_page.py"
    used = "".join(file.read_text() for file in [*package.glob("web/*"), package / "web.py", code])
    built = ("event_", "fault_", "tab_", "instance_2", "trait_", "refused", "not_there")
    left = [
        key
        for key in words.WORDS["en"]
        if not key.startswith(built) and not re.search(rf"""t\(["']{key}["']""", used)
    ]
    assert left == []


# -- what is shown -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("<p>a<br>b</p>", "<p>a<br>b</p>"),
        ("a < b & c", "a &lt; b &amp; c"),
        ("&lt;script&gt;", "&lt;script&gt;"),
        ('<p class="x" onclick="y">z</p>', "<p>z</p>"),
        ("<script>x</script>", "x"),
        ("<ul><li>one<li>two", "<ul><li>one</li><li>two</li></ul>"),
        ("</p></div>x", "x"),
        ("<strong><i>x</strong>y</i>", "<strong><i>x</i></strong>y"),
        ('<a href="javascript:x">y</a>', "<a>y</a>"),
        ('<a href="JaVaScRiPt:x">y</a>', "<a>y</a>"),
        ('<a href="data:text/html,x">y</a>', "<a>y</a>"),
        ('<a href="//x/">y</a>', "<a>y</a>"),
        ('<img src="x" onerror="y">', "[?]"),
        ('<img src="x" alt="<b>">', "[&lt;b&gt;]"),
    ],
)
def test_what_a_browser_is_given_of_a_body(stored: str, shown: str) -> None:
    assert safe_html(stored) == shown


def test_links_lead_out_and_tell_nobody_where_from() -> None:
    link = safe_html('<a href="https://x/?a=1&amp;b=2" onclick="y">z</a>')
    assert 'href="https://x/?a=1&amp;b=2"' in link
    assert 'rel="noopener noreferrer"' in link
    assert "onclick" not in link
    image = safe_html('<img src="https://x/y.png" alt="plan">')
    assert image.startswith('<a href="https://x/y.png"')
    assert "[plan]" in image


def test_deep_nesting_is_shown_flat() -> None:
    assert safe_html("<ul><li>" * 5000 + "x").count("<ul>") < 100


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Urgent", "urgent"),
        ("Critique", "urgent"),
        ("High", "high"),
        ("Haute", "high"),
        ("Élevée", "high"),
        ("Normal", "normal"),
        ("Moyenne", "normal"),
        ("Low", "low"),
        ("Basse", "low"),
        ("P3", ""),
    ],
)
def test_how_high_a_priority_is(name: str, expected: str) -> None:
    assert level(name) == expected


# -- what happened -----------------------------------------------------------------------------


def happened(store: Store, number: int) -> List[str]:
    page = Views(store).page(number)
    assert page is not None
    return [entry.what for entry in page.timeline]


def test_the_order_in_which_things_happened(client: FlaskClient, store: Store) -> None:
    number = open_ticket(client)
    api(client, "PUT", f"tickets/{number}/associates", {"associated": [88], "unassociated": []})
    reply(client, number)
    api(client, "PUT", f"tickets/{number}", {"priority_id": 3})
    api(client, "PUT", f"tickets/{number}", {"priority_id": 3})  # nothing new
    api(client, "PUT", f"tickets/assign/{number}", {"assignee_id": 2})
    api(client, "PUT", f"tickets/amend/{number}", {"time": 15})
    reply(client, number, close=True)
    api(client, "PUT", f"tickets/close/{number}")  # it is closed
    api(client, "PUT", f"tickets/open/{number}")
    assert happened(store, number) == [
        *("opened", "attached", "replied", "status_id", "priority_id", "assignee_id", "time"),
        *("replied", "closed", "reopened"),
    ]
    page = Views(store).page(number)
    assert page is not None
    notes = [entry.note for entry in page.timeline if entry.note]
    assert [note.closes for note in notes] == [False, True]
    changed = next(entry for entry in page.timeline if entry.what == "priority_id")
    assert (changed.before, changed.after) == ("High", "Urgent")


def test_a_reply_closes_the_ticket_though_the_second_turns() -> None:
    noon = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
    seconds = itertools.count()
    store = Store(now=lambda: noon + timedelta(seconds=next(seconds)))
    client = create_app(store).test_client()
    number = open_ticket(client)
    reply(client, number, close=True)
    page = Views(store).page(number)
    assert page is not None
    assert [entry.note.closes for entry in page.timeline if entry.note] == [True]
    ticket = store.tables["tickets"][number]
    opened, due = (
        datetime.fromisoformat(ticket[name]) for name in ("opened_at", "estimated_resolution_date")
    )
    assert due - opened == timedelta(hours=4)


def test_what_was_before_this_sandbox_is_told_by_the_data(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    client = create_app(Store(path)).test_client()
    number = open_ticket(client)
    reply(client, number)
    reply(client, number, close=True)
    later = Store(path)
    assert happened(later, number) == ["opened", "replied", "replied", "closed"]
    api(create_app(later).test_client(), "PUT", f"tickets/open/{number}")
    assert happened(later, number)[:3] == ["opened", "replied", "replied"]
    assert happened(later, number)[-1] == "reopened"


def test_what_is_gone_is_forgotten(client: FlaskClient, store: Store) -> None:
    number = open_ticket(client)
    api(client, "PUT", f"tickets/{number}", {"priority_id": 3})
    client.delete("/__sandbox__/data")
    assert open_ticket(client) == number
    assert happened(store, number) == ["opened"]
    client.post("/__sandbox__/data?replace=1", json={"tickets": [{"id": 9, "ticketable_id": 1}]})
    assert happened(store, 9) == ["opened"]
    assert Views(store).page(number) is None


def test_a_ticket_of_nobody_and_nothing_is_shown(client: FlaskClient, store: Store) -> None:
    odd = {"id": 5, "ticketable_id": 999, "priority_id": 77, "contacts": [777], "tags": "no json"}
    client.post("/__sandbox__/data", json={"tickets": [odd]})
    text = client.get("/tickets/5", headers=BROWSER).text
    for shown in ("#999", "#77", "#777", "no json"):
        assert shown in text
    assert client.get("/", headers=BROWSER).status_code == 200


# -- switches ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [switch.name for switch in switches(Faults())])
def test_a_switch_is_its_own_opposite(name: str) -> None:
    faults = Faults()
    calm = faults.show()
    turn(faults, name, True)
    assert [switch.name for switch in switches(faults) if switch.on] == [name]
    assert others(faults) == []
    turn(faults, name, True)  # twice is once
    turn(faults, name, False)
    assert faults.show() == calm


def test_a_switch_leaves_the_counts_of_other_rules() -> None:
    faults = Faults()
    faults.set({"fail": {"status": 500, "skip": 1, "next": 1}})
    faults.decide("GET", "/api/x")
    turn(faults, "down", True)
    rule = faults.decide("GET", "/api/x").rule
    assert rule is not None
    assert rule.status == 500  # its first call was spared already
    assert len(others(faults)) == 1


# -- which BlueRockTEL it is -------------------------------------------------------------------


def pressed(client: FlaskClient, path: str) -> List[str]:
    page = client.get(path, headers=BROWSER).get_data(as_text=True)
    return re.findall(r'id="([^"]*)"[^>]* aria-pressed="true"', page)


@pytest.mark.parametrize("path", ["/", "/calls"])
def test_the_page_makes_it_another_instance_and_changes_each_trait(
    client: FlaskClient, path: str
) -> None:
    def switch(**form: str) -> List[str]:
        answer = client.post("/web/instance", data={**form, "here": path}, headers=OWN)
        assert (answer.status_code, answer.location) == (303, path)
        return pressed(client, path)

    assert pressed(client, path)[:3] == ["instance-2026", "trait-names-snake", "trait-lookup-yes"]
    old = switch(instance="2023")
    assert old[:3] == ["instance-2023", "trait-names-camel", "trait-lookup-no"]
    assert "trait-timezone-Europe-Paris" in old
    mixed = switch(visibility="ignored")
    assert mixed[0] == "trait-names-camel"  # neither of the two instances
    assert "trait-visibility-ignored" in mixed


@pytest.mark.parametrize(("language", "own"), [("en", "a mix"), ("fr", "sur mesure")])
def test_the_page_says_which_instance_it_is(
    client: FlaskClient, store: Store, language: str, own: str
) -> None:
    def now() -> str:
        page = client.get(f"/?lang={language}", headers=BROWSER).get_data(as_text=True)
        (found,) = re.findall(r'id="instance-now">([^<]*)<', page)
        return str(found)

    assert now() == "2026"
    store.instance.set({"instance": "2023"})
    assert now() == "2023"
    store.instance.set({"timezone": "Asia/Kolkata"})  # none of those to choose on the page
    assert now() == own
    assert "trait-timezone-Asia-Kolkata" in pressed(client, "/")


def test_an_instance_that_is_none(client: FlaskClient) -> None:
    for form in ({"instance": "2024"}, {"names": "kebab"}):
        assert client.post("/web/instance", data=form, headers=OWN).status_code == 404


def test_a_site_whose_name_leads_to_this_machine_gets_nothing() -> None:
    from brtel_notify.sandbox import origin

    app = create_app(Store())
    app.before_request(origin.refuse_other_names)
    client = app.test_client()
    for path in ("/", "/__sandbox__/data", "/api/version"):
        headers = {**BROWSER, "Host": "rebound.example:8085"}
        assert client.get(path, headers=headers).status_code == 403
        for name in ("localhost:8085", "127.0.0.1:8085", "[::1]:8085"):
            assert client.get(path, headers={**BROWSER, "Host": name}).status_code == 200
