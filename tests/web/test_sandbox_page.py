"""The sandbox's web page in a real browser: what an operator who rehearses an outage does there."""

from __future__ import annotations

from typing import Any, Iterator, List

import pytest
import requests
from browser import PHONE, Browser, Tab
from support import Site

from brtel_notify.sandbox.testing import SandboxProcess

pytestmark = pytest.mark.web

MORE = """\
severities:
  critical: {priority: Urgent, resolve_within: 2h}
  warning: {priority: Low}
"""
#: What runs if anything of an alert is taken for a page's own.
SCRIPT = "document.title='owned';window.owned=1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


@pytest.fixture
def root(site: Site) -> str:
    site.configure(MORE)
    return site.sandbox.url.removesuffix("/api")


@pytest.fixture
def tab(browser: Browser, root: str) -> Iterator[Tab]:
    """The list of tickets; nothing on it may complain, or ask another host for anything."""
    with browser.tab(f"{root}/") as one:
        yield one
        assert one.complaints == []
        assert one.foreign_requests() == []


def alert(site: Site, state: str = "CRITICAL", service: str = "SIP trunk", **more: str) -> None:
    words = {"host": "acme.3cx.fr", "service": service, "state": state, **more}
    site.run("event", *(word for key, value in words.items() for word in (f"--{key}", value)))


def post_ticket(site: Site, **changes: Any) -> int:
    """Open a ticket by hand, as a client without any care would; its id."""
    ticket = {
        "subject": "by hand",
        "body": "<p>by hand</p>",
        "priority_id": 1,
        "ticket_category_id": 5,
        "ticket_sub_category_id": 12,
        **changes,
    }
    return int(_post(site, "tickets", ticket, ticketable_type="App\\Customer", ticketable_id=42))


def post_reply(site: Site, ticket: int, **changes: Any) -> None:
    flags = dict.fromkeys(("close", "send_to_assignee", "send_to_contacts"), False)
    _post(site, "replies", {"body": "<p>hello</p>", **flags, **changes}, ticket_id=ticket)


def _post(site: Site, what: str, data: Any, **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {site.sandbox.token}", "Accept": "application/json"}
    url = f"{site.sandbox.url}/v1/{what}"
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(url, params=query, json=data, headers=headers, timeout=30)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


# -- following what happens --------------------------------------------------------------------


def test_an_alert_appears_without_a_reload(site: Site, tab: Tab) -> None:
    tab.see("No ticket yet")
    tab.see("token: sandbox-token")
    tab.page.evaluate("window.sameOne = true")
    alert(site)
    tab.see("CRITICAL: acme.3cx.fr - SIP trunk", "#rows li")
    # Once a second. The browser's own clock tells, not a count: a busy machine takes longer.
    looked = tab.page.evaluate(
        """() => performance.getEntriesByType("resource")
            .filter((entry) => entry.initiatorType === "fetch").map((entry) => entry.startTime)"""
    )
    assert len(looked) > 1
    assert all(later - sooner >= 990 for sooner, later in zip(looked, looked[1:]))
    assert tab.page.evaluate("window.sameOne") is True
    assert "Urgent" in tab.text("#rows li")
    assert "Acme Telecom SAS" in tab.text("#rows li")
    assert tab.page.title().startswith("(1) Tickets")
    tab.page.locator("#said", has_text="New ticket: CRITICAL: acme.3cx.fr").wait_for(
        state="attached"
    )


def test_the_page_of_a_ticket_follows_it_to_its_end(site: Site, root: str, tab: Tab) -> None:
    alert(site, "WARNING")
    tab.see("WARNING: acme.3cx.fr - SIP trunk")
    tab.click("#rows a")
    tab.see("Alert details", ".note.internal")
    assert tab.text(".heading .chip").endswith("Low")
    alert(site, "CRITICAL", output="no answer")
    tab.see("Priority Low → Urgent", "#timeline .priority_id")
    tab.see("warning → critical", ".note.internal")
    assert tab.text(".heading .chip").endswith("Urgent")
    alert(site, "OK")
    tab.see("Closed", ".heading .state")
    tab.see("Recovered", ".note.internal")
    tab.see("closes the ticket", ".note .badge")
    assert "Closed" in tab.texts("#timeline .event")[-1]


def test_what_is_unfolded_and_has_the_focus_stays_so(site: Site, root: str, tab: Tab) -> None:
    alert(site)
    tab.page.goto(f"{root}/calls")
    # By name: of the two newest, made at the same time, either may be the first in the list.
    tab.click("#calls li:has(pre:text('CRITICAL: acme.3cx.fr')) summary")
    unfolded = tab.page.evaluate("document.activeElement.closest('li').id")
    before = tab.page.locator("#calls li").count()
    alert(site, "OK")
    tab.page.locator("#calls li").nth(before).wait_for(state="attached")
    assert tab.page.evaluate("document.activeElement.closest('li').id") == unfolded
    assert tab.page.evaluate("document.querySelectorAll('#calls details[open]').length") == 1
    assert "CRITICAL: acme.3cx.fr" in tab.text("#calls details[open] pre")


def test_it_says_when_the_sandbox_is_gone(browser: Browser) -> None:
    with SandboxProcess() as sandbox, browser.tab(sandbox.url.removesuffix("api")) as tab:
        tab.see("Live", "#live")
        sandbox.stop()
        tab.see("No connection to the sandbox", "#live")


def test_without_javascript_a_reload_does_it(browser: Browser, site: Site, root: str) -> None:
    with browser.tab(f"{root}/", java_script_enabled=False) as tab:
        assert "reload it" in tab.text()
        alert(site)
        tab.page.reload()
        assert "CRITICAL: acme.3cx.fr" in tab.text("#rows")
        tab.click("#fault-down")
        tab.page.locator("#fault-down[aria-checked=true]").wait_for()
        tab.see("API down", "#alarm")
        tab.click("#alarm button")
        tab.see_no("#alarm")
        tab.click("#rows a")
        tab.click("#hand")
        tab.see("Closed", ".heading .state")


# -- lists and tickets -------------------------------------------------------------------------


def test_the_filters(site: Site, root: str, tab: Tab) -> None:
    alert(site, service="one")
    alert(site, service="two")
    alert(site, "OK", service="one")
    alert(site, host="lumiere.3cx.fr", service="three")
    tab.see("three", "#rows")
    assert tab.page.locator("#rows li").count() == 3
    tab.click(".tabs a:has-text('Closed')")
    tab.page.wait_for_url("**/?state=closed")
    assert [text.splitlines()[0] for text in tab.texts("#rows li")] == [
        "CRITICAL: acme.3cx.fr - one"
    ]
    tab.click(".tabs a:has-text('Open')")
    tab.page.wait_for_url("**/?state=open")
    assert tab.page.locator("#rows li").count() == 2
    tab.page.select_option("#customer", label="Lumière Optique (1)")
    tab.click(".choose button")
    tab.page.wait_for_url("**customer=7**")
    assert [text.splitlines()[0] for text in tab.texts("#rows li")] == [
        "CRITICAL: lumiere.3cx.fr - three"
    ]
    assert "state=open" in tab.page.url
    alert(site, host="lumiere.3cx.fr", service="four")  # filters stay while the page follows
    tab.see("four", "#rows")
    alert(site, service="five")
    tab.see("4", "#open-count")
    assert "five" not in tab.text("#rows")


def test_a_long_list_has_pages(site: Site, root: str, tab: Tab) -> None:
    tickets = [
        {"id": number, "ticketable_id": 42, "subject": f"ticket {number}"}
        for number in range(1, 61)
    ]
    site.sandbox.seed(tickets=tickets)
    tab.see("ticket 60", "#rows")
    assert tab.page.locator("#rows li").count() == 50
    tab.click(".paging a[rel=next]")
    tab.see("ticket 10", "#rows li:first-child h2")
    tab.see("Page 2 of 2")


def test_the_page_of_a_ticket_has_it_all(site: Site, root: str, tab: Tab) -> None:
    site.run("test")
    alert(site, output="no answer to REGISTER")
    ticket = site.the_ticket()
    post_reply(site, ticket["id"], body="<p>We are on it.</p>", customer_visible=True)
    tab.page.goto(f"{root}/tickets/{ticket['id']}")
    assert tab.text("h1") == "CRITICAL: acme.3cx.fr - SIP trunk"
    assert "no answer to REGISTER" in tab.text(".body")
    facts = tab.text(".facts")
    for fact in ("Acme Telecom SAS", "CL2385", "Mme Marie Dupont", "Technical Manager"):
        assert fact in facts
    for fact in ("m.dupont@acme-telecom.fr", "Urgent", "Infrastructure", "PBX / 3CX", "auto"):
        assert fact in facts
    assert "the customer does not see it" in tab.text(".note.internal")
    assert "Alert details" in tab.text(".note.internal")
    assert "The customer sees this" in tab.text(".note.visible")
    assert "We are on it." in tab.text(".note.visible")
    lines = tab.texts("#timeline .event > span:first-child")
    assert lines[0] == "Opened"
    # The contact and the note, which changes the status, are two calls made at the same time.
    attached = "Mme Marie Dupont attached as a contact"
    assert sorted(lines[1:]) == [attached, "Status New → In progress"]


def test_a_ticket_closed_here_was_closed_by_hand(site: Site, root: str, tab: Tab) -> None:
    site.configure(f"{MORE}lifecycle: {{on_closed_by_hand: reopen}}\n")
    alert(site, "WARNING")
    tab.page.goto(f"{root}/tickets/{site.the_ticket()['id']}")
    tab.click("#hand")
    tab.see("Closed", ".heading .state")
    assert not site.the_ticket()["open"]
    alert(site, "CRITICAL")
    tab.see("Opened again", "#timeline")
    assert site.the_ticket()["open"]


def test_what_is_not_there(tab: Tab, root: str) -> None:
    for path in ("tickets/7", "nothing", "web/nothing"):
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{root}/{path}", headers={"Accept": "text/html"}, timeout=30)
        assert answer.status_code == 404
    tab.page.goto(f"{root}/tickets/7")
    assert "This is not there" in tab.text("main")
    tab.click("main a")
    tab.see("No ticket yet")
    tab.complaints.clear()  # the browser itself remarks on a 404


# -- faults and calls --------------------------------------------------------------------------


def test_an_outage_is_rehearsed(site: Site, tab: Tab) -> None:
    tab.click("#fault-down")
    tab.see("every call is answered 503", "#alarm")
    alert(site)
    tab.see("503", "#calls .failed")
    assert site.tickets == []
    assert len(site.queued()) == 1
    tab.click("#fault-down")
    tab.see_no("#alarm")
    site.run("flush", "--force-now")
    tab.see("CRITICAL: acme.3cx.fr", "#rows")
    tab.see("/v1/tickets", "#calls .fine")


def test_an_answer_that_comes_late_turns_nothing_back(site: Site, tab: Tab) -> None:
    held: List[Any] = []

    def hold_the_first_that_differs(route: Any) -> None:
        answer = route.fetch()
        if held or answer.status == 304:
            route.fulfill(response=answer)
        else:
            held.append((route, answer))

    tab.page.route("**/", hold_the_first_that_differs)
    alert(site)
    while not held:
        tab.page.wait_for_timeout(50)
    tab.click("#fault-down")
    tab.see("every call is answered 503", "#alarm")
    tab.page.evaluate(
        """() => new MutationObserver(() => {
            window.isBack ||= !document.querySelector("#alarm");
        }).observe(document.body, { childList: true })"""
    )
    ((route, answer),) = held
    with tab.page.expect_response("**/"):
        route.fulfill(response=answer)
    for _ in range(2):  # looks later
        with tab.page.expect_response("**/"):
            pass
    assert not tab.page.evaluate("window.isBack")


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("unreachable", {"drop": [{"when": "before"}]}),
        ("slow", {"latency": 3000.0}),
        ("limit", {"rate_limit": 10}),
    ],
)
def test_every_switch_does_what_it_says(site: Site, tab: Tab, name: str, setting: Any) -> None:
    tab.click(f"#fault-{name}")
    tab.page.locator(f"#fault-{name}[aria-checked=true]").wait_for()
    in_force = site.sandbox.faults()
    for kind, value in setting.items():
        found = in_force[kind]
        assert found[0].items() >= value[0].items() if isinstance(value, list) else found == value
    tab.click(f"#fault-{name}")
    tab.page.locator(f"#fault-{name}[aria-checked=false]").wait_for()
    calm = site.sandbox.faults()
    assert (calm["drop"], calm["latency"], calm["rate_limit"]) == ([], 0.0, None)


def test_faults_set_elsewhere_are_shown_and_kept(site: Site, tab: Tab) -> None:
    site.sandbox.faults(fail={"status": 500, "next": 2, "method": "POST"}, latency=40)
    tab.see('"method": "POST"', "#faults .others")
    tab.see("every answer takes 0.04 s longer", "#fault-slow[aria-checked=true]")
    tab.click("#fault-down")
    tab.page.locator("#fault-down[aria-checked=true]").wait_for()
    assert [rule["status"] for rule in site.sandbox.faults()["fail"]] == [500, 503]
    tab.click("#alarm button")
    tab.see_no("#alarm")
    assert site.sandbox.faults()["fail"] == []


def test_it_becomes_another_instance_and_a_mix(site: Site, tab: Tab) -> None:
    tab.see("2026", "#instance-now")
    tab.click("#instance-2023")
    tab.see("2023", "#instance-now")
    assert site.sandbox.instance()["names"] == "camel"
    tab.click("#traits summary")
    tab.click("#trait-visibility-ignored")
    tab.see("a mix", "#instance-now")
    tab.page.locator("#trait-visibility-ignored[aria-pressed=true]").wait_for()
    assert site.sandbox.instance()["visibility"] == "ignored"
    tab.click("#instance-2026")
    tab.see("2026", "#instance-now")
    assert tab.page.locator("#trait-names-snake").is_visible()  # what was opened stays open


def test_the_list_of_calls_shows_what_was_sent_and_is_cleared(
    site: Site, root: str, tab: Tab
) -> None:
    alert(site)
    tab.page.goto(f"{root}/calls")
    row = tab.page.locator("#calls li").filter(has_text="POST").filter(has_text="/v1/tickets ")
    row.locator("summary").click()
    assert '"subject": "CRITICAL: acme.3cx.fr - SIP trunk"' in row.locator("pre").inner_text()
    assert "ticketable_id=42" in row.inner_text()
    tab.click(".headline button")
    tab.see("No call yet")
    assert site.sandbox.requests() == []


# -- who may look, and in what language --------------------------------------------------------


def test_it_speaks_french(browser: Browser, site: Site, root: str) -> None:
    alert(site)
    with browser.tab(f"{root}/", locale="fr-FR") as tab:
        assert tab.page.evaluate("document.documentElement.lang") == "fr"
        assert "Répéter une panne" in tab.text()
        tab.click("#rows a")
        tab.see("Note interne", ".note.internal")
        assert "Priorité" in tab.text(".facts")
        tab.click(".languages a[lang=en]")
        tab.see("Internal note", ".note.internal")
        tab.page.goto(f"{root}/calls")  # it is remembered
        assert "API calls" in tab.text("h1")


def test_the_keyboard_is_enough(site: Site, root: str, tab: Tab) -> None:
    alert(site)
    tab.see("CRITICAL: acme.3cx.fr", "#rows")
    tab.page.reload()
    tab.press("Tab")
    tab.page.locator(".skip:focus").wait_for()
    tab.press("Enter")
    tab.page.locator("#main:focus").wait_for()
    tab.tab_to("#fault-down")
    tab.press("Space")
    tab.page.locator("#fault-down[aria-checked=true]").wait_for()
    assert tab.page.evaluate("document.activeElement.id") == "fault-down"
    tab.press("Enter")
    tab.page.locator("#fault-down[aria-checked=false]").wait_for()
    tab.page.reload()
    tab.tab_to("#rows a")
    outline = "getComputedStyle(document.activeElement.closest('li')).outlineStyle"
    assert tab.page.evaluate(outline) == "solid"  # one sees where one is
    tab.press("Enter")
    tab.see("Alert details")
    tab.tab_to("#hand")
    tab.press("Enter")
    tab.see("Closed", ".heading .state")


@pytest.mark.parametrize("dark", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(
    browser: Browser, site: Site, root: str, dark: str
) -> None:
    word = "x" * 300
    alert(site, output=f"{word} {'y' * 400}", service=word[:120])
    post_reply(site, site.the_ticket()["id"], body=f"<p><strong>{word}</strong></p>")
    site.sandbox.faults(fail={"status": 500, "next": 9, "path": f"/v1/{word}"})
    ticket = site.the_ticket()["id"]
    with browser.tab(f"{root}/", viewport=PHONE, color_scheme=dark, locale="fr-FR") as tab:
        for path in ("", f"tickets/{ticket}", "calls", "tickets/7"):
            tab.page.goto(f"{root}/{path}")
            assert tab.overflow == 0, path
        tab.page.goto(f"{root}/calls")
        for summary in tab.page.locator("summary").all()[:3]:
            summary.click()
        assert tab.overflow == 0


# -- what alerts and other sites must not do ---------------------------------------------------


def test_nothing_that_an_alert_says_runs(site: Site, root: str, tab: Tab) -> None:
    attacks = [
        f"<script>{SCRIPT}</script>",
        f'<img src="x" onerror="{SCRIPT}">',
        f'<a href="javascript:{SCRIPT}">press</a>',
        f"<a href=' java\tscript:{SCRIPT}'>press</a>",
        f'<p onmouseover="{SCRIPT}" style="position:fixed;inset:0" id="main">over</p>',
        f"</p></div></article><svg onload={SCRIPT}><iframe srcdoc='<script>{SCRIPT}</script>'>",
        "--><style>body{display:none}</style><base href=//elsewhere.example/><form action=//x>",
        '<img src="http://elsewhere.example/pixel.png" alt="a pixel">',
        "<ul><li><strong><p unclosed",
    ]
    everything = "".join(attacks)
    alert(site, host="<script>alert(1)</script>", service=attacks[1], output=everything)
    number = post_ticket(site, subject="plain", body=everything)
    post_reply(site, number, body=everything, customer_visible=True)
    name = f"{attacks[0]}{attacks[1]}"
    site.sandbox.seed(
        customers=[{"id": 66, "name": name, "customer_account": name}],
        contacts=[{"id": 66, "contactable_id": 66, "last_name": name, "email_address": name}],
        priorities=[{"id": 66, "name": name}],
        tickets=[
            {
                "id": 66,
                "ticketable_id": 66,
                "priority_id": 66,
                "contacts": [66],
                "subject": everything,
                "body": everything,
                "tags": [name, everything],
                "number": name,
                "opened_at": name,
                "replies": [{"id": 1, "body": everything, "author_id": 1}],
            }
        ],
    )
    ids = [ticket["id"] for ticket in site.tickets]
    for path in ("", *(f"tickets/{each}" for each in ids), "calls"):
        tab.page.goto(f"{root}/{path}")
        tab.page.wait_for_selector("#live:not(:empty)")
        for link in tab.page.locator(".html a").all():
            address = link.get_attribute("href")
            assert address is None or address.startswith(("http:", "https:", "mailto:"))
        for mark in tab.page.locator(".html p").all():
            mark.hover(force=True)
        assert tab.page.evaluate("window.owned") is None
        assert tab.page.title() != "owned"
        found = "document.querySelectorAll('main script, main iframe, main img, main svg').length"
        assert tab.page.evaluate(found) == 0
        assert tab.page.evaluate("document.querySelectorAll('#main').length") == 1
        assert tab.page.locator("header.top").is_visible()


def test_the_policy_would_stop_a_script_that_came_through(tab: Tab, root: str) -> None:
    inserted = """() => {
        const script = document.createElement("script");
        script.textContent = "window.owned = 1";
        document.body.append(script);
        const image = document.createElement("img");
        image.src = "http://elsewhere.example/x.png";
        document.body.append(image);
        document.body.setAttribute("onclick", "window.owned = 1");
        document.body.click();
    }"""
    with tab.page.expect_console_message(lambda _: len(tab.complaints) == 3):
        tab.page.evaluate(inserted)
    assert tab.page.evaluate("window.owned") is None
    assert len(tab.complaints) == 3
    assert all("Content Security Policy" in complaint for complaint in tab.complaints)
    tab.complaints.clear()
    tab.requests.clear()  # the image's is in the list, though it was not made


def test_another_site_cannot_switch_anything(browser: Browser, site: Site, root: str) -> None:
    with SandboxProcess() as other, browser.tab(other.url.removesuffix("api")) as tab:
        posted = """([url, form]) => fetch(url, {
            method: "POST", mode: "no-cors", body: form,
            headers: {"Content-Type": "application/x-www-form-urlencoded"},
        }).catch(() => null)"""
        # The page's own policy forbids it already, so another page's is what is tried here.
        tab.page.goto("about:blank")
        tab.page.evaluate(posted, [f"{root}/web/faults", "fault=down&on=1"])
        tab.page.evaluate(posted, [f"{root}/__sandbox__/faults", '{"latency": 9}'])
        tab.page.set_content(
            f'<form method=post action="{root}/web/faults"><input name=fault value=down>'
            "<input name=on value=1><button>go</button></form>"
        )
        tab.click("button")
        tab.see("This came from another web site, and was refused")
    in_force = site.sandbox.faults()
    assert (in_force["fail"], in_force["latency"]) == ([], 0.0)
