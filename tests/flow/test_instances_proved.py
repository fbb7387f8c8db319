"""Which BlueRockTEL it is, told by ``test``, ``check``, ``status``, ``ticket`` and ``init``."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from planted import Secrets
from support import CONFIG, Site

from brtel_notify.api.mixed_up import is_jwt, portal_hint, user_id_in
from brtel_notify.console.instance_proof import zone
from brtel_notify.console.raw_answers import dialect_of, form_of
from brtel_notify.sandbox.seed import EMAIL, PASSWORD
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.tickets import visible_note

PROBLEM = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")
INSTANCES = ("2026", "2023")


def jwt(**payload: Any) -> str:
    """A token of the form of BlueRockTEL's."""
    parts = ({"alg": "RS256", "typ": "JWT"}, payload)
    coded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join([*(part.rstrip("=") for part in coded), "signed"])


def sandbox_of_user(number: int) -> Iterator[SandboxProcess]:
    with SandboxProcess("--token", jwt(sub=str(number), aud="1")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def of_monitoring() -> Iterator[SandboxProcess]:
    yield from sandbox_of_user(1)


@pytest.fixture
def known(tmp_path: Path, of_monitoring: SandboxProcess) -> Site:
    """A site whose token is a JWT: it says whose it is."""
    of_monitoring.clear_faults()
    of_monitoring.clear_instance()
    of_monitoring.reset()
    return Site(tmp_path, of_monitoring)


def noted(site: Site, *words: str, code: int = 0) -> List[str]:
    return site.run("test", *words, code=code).stdout.splitlines()


def assigned(site: Site, to: str) -> None:
    site.put_configuration(site.config_file.read_text() + f"  assignee: {to}\n")


# --- what people mix up ---------------------------------------------------------------------------


def test_a_bearer_token_says_whose_it_is() -> None:
    assert user_id_in(jwt(sub="12")) == 12
    for token in ("sandbox-token", jwt(), jwt(sub="12 or 1"), "eyJ.?.", "eyJ..", "eyJhbGci.W10.x"):
        assert user_id_in(token) is None
    assert is_jwt(jwt())
    assert not is_jwt("Zk3vB9api_token")


@pytest.mark.parametrize(
    ("token", "hint"),
    [("Zk3vB9qLapitoken", True), (jwt(sub="1") + "x", False)],
    ids=["api_token", "another's"],
)
@pytest.mark.short
def test_a_refused_api_token_is_told_from_a_bearer_token(
    site: Site, token: str, hint: bool
) -> None:
    site.token_file.write_text(token)
    said = [site.run("test", code=78).stderr, site.run(*PROBLEM, code=None).stderr]
    for text in said:
        assert ("looks like the user's api_token, not a bearer token" in text) is hint
        assert token not in text


def test_the_customers_portal_is_not_the_api(site: Site) -> None:
    url = "https://telecom1-clients.bluerocktel.invalid/api"
    text = CONFIG.format(url=url, token_file=site.token_file)
    site.put_configuration(text)
    assert "that is the customers' portal, not the API" in site.run("test", code=69).stderr
    flags = ("--url", url, "--token-file", str(site.token_file))
    said = site.run("--config", str(site.folder / "new.yml"), "init", *flags, code=69).stderr
    assert "that is the customers' portal" in said
    assert "…-admin.bluerocktel.net" in said
    assert portal_hint("https://telecom1-admin.bluerocktel.net/api") == ""


# --- a line each ----------------------------------------------------------------------------------


def test_names_tell_the_dialect() -> None:
    assert dialect_of(("id", "name", "created_at", "contactable_id")) == ""
    assert dialect_of(("id", "customer_account", "vip")) == "snake_case"
    assert dialect_of(("id", "customerAccount", "created_at")) == "camelCase"
    assert dialect_of(("firstName", "last_name")) == "snake_case and camelCase"


def test_lists_come_in_three_forms() -> None:
    assert form_of([]) == "bare"
    assert form_of({"data": []}) == '{"data": …}'
    assert form_of({"data": [], "current_page": 1, "last_page": 1}) == "by the page"
    assert form_of({"data": [], "meta": {"last_page": 2}}) == "by the page"
    assert form_of({"id": 1}) == form_of(None) == ""


def test_an_offset_is_a_time_zone() -> None:
    shown = [zone(seconds) for seconds in (0.0, 7200.0, -12600.0, 20700.0)]
    assert shown == ["UTC", "UTC+2", "UTC-3:30", "UTC+5:45"]


@pytest.mark.parametrize(
    ("instance", "lines"),
    [
        (
            "2026",
            [
                "ok   customers: snake_case (customer_account)",
                "ok   replies: snake_case (customer_visible, ticket_id)",
                "ok   lookups: yes",
                "ok   lists come bare: customers, tickets, replies",
                "ok   time zone: UTC, as the last ticket of ours showed",
                "ok   internal notes stay internal",
            ],
        ),
        (
            "2023",
            [
                "ok   customers: camelCase (customerAccount)",
                "ok   replies: camelCase (customerVisible, ticketId)",
                "ok   lookups: none here (as in 2023): customers are found by search and"
                " /v1/customerAccounts",
                "ok   lists come bare: customers, tickets, replies",
                "ok   internal notes stay internal",
            ],
        ),
    ],
)
@pytest.mark.short
def test_the_instance_is_told_a_line_each(known: Site, instance: str, lines: List[str]) -> None:
    known.sandbox.instance(instance=instance)
    before = noted(known)
    assert "ok   who we are: Monitoring (role 8); sees customers" in before
    for line in ("replies: not seen yet", "time zone: not known yet", "notes: not seen yet"):
        assert any(text.startswith("note ") and line in text for text in before)
    known.run(*PROBLEM)
    after = noted(known)
    assert [line for line in lines if line not in after] == []


def test_the_time_zone_is_that_of_the_last_ticket(known: Site) -> None:
    known.sandbox.instance(timezone="Asia/Kolkata")
    known.run(*PROBLEM)
    assert "ok   time zone: UTC+5:30, as the last ticket of ours showed" in noted(known)


@pytest.mark.parametrize(("wrap", "form"), [("data", '{"data": …}'), ("paged", "by the page")])
def test_how_lists_come(known: Site, wrap: str, form: str) -> None:
    known.sandbox.faults(wrap=wrap)
    assert f"ok   lists come {form}: customers, tickets" in noted(known)


def test_a_token_that_does_not_say_whose_it_is(site: Site) -> None:
    assert "note who we are: the token names nobody; sees customers" in noted(site)


def test_a_login_says_who_we_are(site: Site) -> None:
    (site.folder / "password").write_text(PASSWORD)
    login = f"email: {EMAIL}\n  password_file: {site.folder / 'password'}"
    text = site.config_file.read_text().replace(f"token_file: {site.token_file}", login)
    site.put_configuration(text)
    assert "ok   who we are: Monitoring (role 8); sees customers" in noted(site)


@pytest.mark.parametrize("status", [403, 404, 422])
def test_what_is_refused_out_of_curiosity_fails_nothing(known: Site, status: int) -> None:
    for path in ("/v1/users", "/v1/tickets", "/v1/customers/search"):
        known.sandbox.faults(fail={"status": status, "path": f"{path}*"})
        said = noted(known)
        assert any("who we are: " in line for line in said)
        assert any("lookups: yes" in line for line in said)


def test_an_outage_ends_the_test_as_ever(known: Site) -> None:
    known.sandbox.faults(fail={"status": 503, "path": "/v1/users*"})
    assert "503" in known.run("test", code=69).stderr


def test_a_user_of_a_low_role_may_not_see_the_customer(known: Site) -> None:
    (user,) = [user for user in known.sandbox.data()["users"] if user["id"] == 1]
    known.sandbox.seed(users=[{**user, "role": 5}])
    assert any("sees customers, but below role 8" in line for line in noted(known))
    known.configure(base=CONFIG.replace("CL000001", "CL099999"))
    said = known.run("test", code=78).stderr
    text = "no customer has the account CL099999, or Monitoring (role 5) may not see it"
    assert text in said
    known.sandbox.seed(users=[{**user, "role": 8}])
    assert "or Monitoring" not in known.run("test", code=78).stderr


def test_a_user_who_sees_no_customer_at_all(known: Site) -> None:
    known.configure(base=CONFIG.replace("  fallback: CL000001\n", "  fallback: null\n"))
    known.sandbox.seed(replace=True, customers=[], contacts=[], pbx_hosts=[])
    assert any("sees no customer: one that is not found may be there" in x for x in noted(known))


# --- test --open ----------------------------------------------------------------------------------


@pytest.mark.parametrize("instance", INSTANCES)
@pytest.mark.parametrize("visibility", ["kept", "late"])
@pytest.mark.short
def test_open_shows_that_notes_stay_internal(site: Site, instance: str, visibility: str) -> None:
    site.sandbox.instance(instance=instance, visibility=visibility)
    visible_note.put(str(site.state_dir), "A7KZ2F", 3, 0.0)
    site.calls()
    said = noted(site, "--open")
    assert "ok   internal notes stay internal" in said
    assert any(line.startswith("ok   time zone: UTC") for line in said)
    assert visible_note.look(str(site.state_dir)) is None
    assert not site.the_ticket()["open"]
    assert site.calls().count("POST /v1/replies") == 1


@pytest.mark.parametrize("instance", INSTANCES)
@pytest.mark.short
def test_open_raises_the_alarm_and_closes_the_ticket(site: Site, instance: str) -> None:
    site.sandbox.instance(instance=instance, visibility="ignored")
    said = site.run("test", "--open", code=78)
    ticket = site.the_ticket()
    assert not ticket["open"]
    text = f"a note that was to be internal is visible to the customer: ticket {ticket['number']}"
    assert said.stderr.count(text) == 1
    assert text in site.run("test", code=78).stderr  # as long as nobody has mended it
    site.sandbox.instance(visibility="kept")
    assert "ok   internal notes stay internal" in noted(site, "--open")
    assert "ok   internal notes stay internal" in noted(site)


def test_where_nothing_says_it_open_warns_and_keeps_the_alarm(site: Site) -> None:
    site.sandbox.instance(visibility="unsaid")
    for words in (["--open"], []):
        assert any("BlueRockTEL does not say whether a note" in x for x in noted(site, *words))
    visible_note.put(str(site.state_dir), "A7KZ2F", 3, 0.0)
    noted(site, "--open", code=78)
    assert visible_note.look(str(site.state_dir)) is not None
    site.configure("replies: {customer_visible: true}\n")
    noted(site, "--open")
    assert visible_note.look(str(site.state_dir)) is None
    assert not any(ticket["open"] for ticket in site.tickets)


def test_open_closes_its_ticket_although_the_note_is_refused(site: Site) -> None:
    site.sandbox.faults(fail={"status": 422, "path": "/v1/replies"})
    assert "POST /v1/replies: 422" in site.run("test", "--open", code=78).stderr
    assert not site.the_ticket()["open"]


@pytest.mark.parametrize(
    ("to", "number", "said"),
    [("nobody", None, "nobody"), ("Paul Martin", 2, "Paul Martin"), ("2", 2, "Paul Martin")],
)
def test_open_assigns_as_configured(site: Site, to: str, number: Any, said: str) -> None:
    assigned(site, to)
    assert f"ok   assigned to {said} (ticket.assignee)" in noted(site, "--open")
    assert site.the_ticket()["assignee_id"] == number


# --- test --report --------------------------------------------------------------------------------


def report_of(site: Site, code: int = 0) -> Dict[str, str]:
    lines = site.run("test", "--report", code=code).stdout.splitlines()
    return dict(line.split(": ", 1) for line in lines)


@pytest.mark.short
def test_the_report_is_of_one_shape(known: Site) -> None:
    shapes = []
    for instance in INSTANCES:
        known.sandbox.instance(instance=instance)
        for _ in range(2):  # before the first ticket, and after
            shapes.append(list(report_of(known)))
            known.run(*PROBLEM)
        told = report_of(known)
        assert told["customers"].startswith(
            {"2026": "snake_case: ", "2023": "camelCase: "}[instance]
        )
        assert {"2026": "on_call_duty", "2023": "onCallDuty"}[instance] in told["customers"]
        assert told["tickets"].startswith("snake_case: ")
        assert told["lookups"] == {"2026": "yes", "2023": "none here"}[instance]
        assert told["internal notes"] == "kept"
        assert told["sub-categories have priority_id"] == "yes"
        assert told["tickets have closure"] == "yes"
        assert told["test"] == "passed"
        known.sandbox.reset()
        (known.state_dir / "state.json").unlink()
    assert all(shape == shapes[0] for shape in shapes)


def test_a_report_of_what_does_not_answer_is_one_too(known: Site) -> None:
    shape = list(report_of(known))
    known.sandbox.faults(fail={"status": 503})
    told = report_of(known, code=69)
    assert list(told) == shape
    assert told["test"] == "failed (exit 69)"
    known.put_configuration("api: {}\n")
    assert list(report_of(known, code=78)) == shape


@pytest.mark.parametrize("instance", INSTANCES)
def test_the_report_names_nobody(tmp_path: Path, instance: str) -> None:
    secrets = Secrets()
    token = jwt(sub="1", jti=secrets.new("token"))
    with SandboxProcess("--token", token, "--instance", instance) as sandbox:
        site = Site(tmp_path, sandbox)
        for kind, rows in sandbox.data().items():
            if kind == "tickets":
                continue
            planted: Any = {kind: [_planted(secrets, kind, row) for row in rows]}
            sandbox.seed(**planted)
        account = sandbox.data()["customers"][0]["customer_account"]
        text = site.config_file.read_text().replace("CL000001", account)
        for name in ("priorities", "categories", "sub_categories"):
            wanted = {"priorities": 2, "categories": 5, "sub_categories": 12}[name]
            (row,) = [row for row in sandbox.data()[name] if row["id"] == wanted]
            old = {2: "High", 5: "Infrastructure", 12: "PBX / 3CX"}[wanted]
            text = text.replace(f": {old}\n", f": {row['name']}\n")
        site.put_configuration(text)
        site.run(*PROBLEM)
        site.sandbox.faults(
            fail={
                "status": 422,
                "path": "/v1/users*",
                "json": {"message": secrets.new("refusal")},
            }
        )
        for _ in range(2):
            done = site.run("test", "--report")
            assert secrets.found_in((done.stdout + done.stderr).encode()) == set()
            for word in (token, "127.0.0.1", "http", sandbox.url):
                assert word not in done.stdout
            sandbox.clear_faults()


def _planted(secrets: Secrets, kind: str, row: Dict[str, Any]) -> Dict[str, Any]:
    """The record, with something recognisable in every text that is not the program's own."""
    words = ("name", "email", "customer_account", "host_name", "first_name", "last_name", "role")
    planted = dict(row)
    for word in words:
        if isinstance(row.get(word), str):
            planted[word] = secrets.new(f"{kind}.{row['id']}.{word}")
    if "email_address" in row:
        planted["email_address"] = secrets.new(f"{kind}.{row['id']}.mail", "{}@example.net")
    return planted


# --- check, status, metrics -----------------------------------------------------------------------


def alarm(site: Site) -> None:
    """A note came out visible."""
    site.sandbox.instance(visibility="ignored")
    site.run(*PROBLEM)
    site.sandbox.instance(visibility="kept")


@pytest.mark.short
def test_the_alarm_is_told_until_it_is_mended(site: Site) -> None:
    assert json.loads(site.run("status", "--json").stdout)["visible"] is None
    alarm(site)
    number = site.the_ticket()["number"]
    text = f"a note that was to be internal is visible to the customer: ticket {number}"
    said = site.run("check", code=2).stdout
    assert said.startswith(f"BRTEL-NOTIFY CRITICAL: {text}")
    assert len(said.splitlines()) == 1
    assert text in site.run("status").stdout
    assert json.loads(site.run("status", "--json").stdout)["visible"]["ticket"] == number
    assert "brtel_notify_visible_note 1" in site.run("metrics").stdout
    noted(site, "--open")
    site.run("check")
    assert "visible to the customer" not in site.run("status").stdout
    assert "brtel_notify_visible_note 0" in site.run("metrics").stdout


def test_where_customers_may_see_notes_there_is_no_alarm(site: Site) -> None:
    alarm(site)
    site.configure("replies: {customer_visible: true}\n")
    site.run("check")
    assert "visible to the customer" not in site.run("status").stdout
    assert json.loads(site.run("status", "--json").stdout)["visible"] is None
    assert "ok   notes: customers may see them (replies.customer_visible)" in noted(site)


def test_check_warns_where_nothing_says_whether_notes_are_visible(site: Site) -> None:
    site.sandbox.instance(visibility="unsaid")
    site.run(*PROBLEM)
    said = site.run("check", code=1).stdout
    assert "BlueRockTEL does not say whether notes are visible to customers" in said
    site.configure("replies: {customer_visible: true}\n")
    site.run("check")


# --- ticket ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["note", "x"], ["close", "x"], ["reopen", "x"]])
def test_no_note_of_an_operators_while_the_alarm_is_up(site: Site, words: List[str]) -> None:
    alarm(site)
    number = site.the_ticket()["number"]
    if words[0] == "reopen":
        site.run("ticket", number, "close")
    before = site.the_ticket()
    done = site.run("ticket", number, *words, code=78)
    assert "no note is sent: a note that was to be internal" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert site.the_ticket() == before
    site.run("ticket", number, *words, "--visible")
    assert len(site.the_ticket()["replies"]) == len(before["replies"]) + 1


def test_a_ticket_is_closed_without_a_note_whatever_the_alarm(site: Site) -> None:
    alarm(site)
    site.run("ticket", site.the_ticket()["number"], "close")
    assert not site.the_ticket()["open"]


@pytest.mark.parametrize("word", ["note", "close"])
@pytest.mark.short
def test_an_operators_note_is_looked_at(site: Site, word: str) -> None:
    site.run(*PROBLEM)
    number = site.the_ticket()["number"]
    site.sandbox.instance(visibility="ignored")
    said = site.run("ticket", number, word, "line replaced", code=78)
    assert f"is visible to the customer: ticket {number}" in said.stderr
    assert visible_note.look(str(site.state_dir)) is not None
    if word == "close":
        assert not site.the_ticket()["open"]
        assert "closed" in site.run("status", "--all").stdout


@pytest.mark.parametrize("instance", INSTANCES)
@pytest.mark.parametrize("who", ["Paul Martin", "p.martin@example.net", "2"])
def test_a_ticket_is_assigned_by_name(site: Site, instance: str, who: str) -> None:
    site.sandbox.instance(instance=instance)
    site.run(*PROBLEM)
    number = site.the_ticket()["number"]
    said = site.run("ticket", number, "assign", who).stdout
    assert said == f"assigned to Paul Martin: ticket {number}\n"
    assert site.the_ticket()["assignee_id"] == 2


def test_a_name_that_no_user_has(site: Site) -> None:
    site.run(*PROBLEM)
    number = site.the_ticket()["number"]
    said = site.run("ticket", number, "assign", "Paul Marten", code=65).stderr
    assert said.startswith("brtel-notify: BlueRockTEL has no active user 'Paul Marten'")
    assert "did you mean 'Paul Martin'?" in said


def test_dates_are_those_of_the_instance(site: Site) -> None:
    site.sandbox.instance(timezone="America/Los_Angeles")
    site.configure("  resolve_within: 4h\n")
    site.run(*PROBLEM)
    ticket = site.the_ticket()
    shown = site.run("ticket", ticket["number"]).stdout.splitlines()
    opened, due = (next(x for x in shown if f" {name}:" in x) for name in ("opened", "due"))
    assert "ago" in opened
    assert "ago" not in due


# --- init, discover -------------------------------------------------------------------------------


def init(site: Site, *words: str, code: int = 0) -> str:
    """Run init without a terminal; what it wrote of tickets, or said."""
    flags = ("--url", site.sandbox.url, "--token-file", str(site.token_file), "--priority", "High")
    filed = ("--category", "Infrastructure", "--sub-category", "12", "--fallback", "CL000001")
    last = ("--system", "none", "--no-test", "--force")
    done = site.run("init", *flags, *filed, *last, *words, code=code)
    return site.config_file.read_text() if code == 0 else done.stderr


@pytest.mark.parametrize("instance", INSTANCES)
@pytest.mark.parametrize(
    ("given", "written", "number"),
    [
        ((), "assignee: nobody ", None),
        (("--assignee", "Nobody"), "assignee: nobody ", None),
        (("--assignee", "api"), "assignee: null ", 1),
        (("--assignee", "P.Martin@example.net"), "assignee: Paul Martin", 2),
        (("--assignee", "2"), "assignee: 2 ", 2),
    ],
)
def test_init_asks_whose_the_tickets_are(
    site: Site, instance: str, given: Any, written: str, number: Any
) -> None:
    site.sandbox.instance(instance=instance)
    assert f"  {written}" in init(site, *given)
    site.run("test")
    site.run(*PROBLEM)
    assert site.the_ticket()["assignee_id"] == number


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("marten", "--assignee: there is no 'marten'"),
        ("999", "--assignee: BlueRockTEL has no user with the id 999"),
        ("3", "--assignee: Old Technician is not active any more"),
        ("old technician", "--assignee: there is no 'old technician'"),
    ],
)
def test_init_takes_no_user_that_is_not_there(site: Site, given: str, said: str) -> None:
    assert said in init(site, "--assignee", given, code=2)


@pytest.mark.parametrize("status", [403, 404])
def test_where_users_cannot_be_listed_init_takes_an_id(site: Site, status: int) -> None:
    site.sandbox.faults(fail={"status": status, "path": "/v1/users*"})
    said = init(site, "--assignee", "Paul Martin", code=2)
    assert f"users cannot be listed here ({status}): a user's id, nobody or api" in said
    if status == 403:
        assert "  assignee: 2" in init(site, "--assignee", "2")


def test_what_is_not_in_use_any_more_is_not_offered(site: Site) -> None:
    for kind, number in (("categories", 3), ("sub_categories", 11)):
        (row,) = [row for row in site.sandbox.data()[kind] if row["id"] == number]
        inactive: Any = {kind: [{**row, "active": False}]}
        site.sandbox.seed(**inactive)
    assert "there is no 'Backups'" in init(site, "--category", "Backups", code=2)
    assert "there is no 'Network'" in init(site, "--sub-category", "Network", code=2)
    site.configure()
    said = site.run("discover").stdout.splitlines()
    assert any("Backups" in line and line.endswith("(inactive)") for line in said)
    assert any("Network" in line and "of Infrastructure (inactive)" in line for line in said)
    assert sum("(inactive)" in line for line in said) == 2


def test_users_are_listed_when_asked_for(site: Site) -> None:
    assert "Paul Martin" not in site.run("discover").stdout
    said = site.run("discover", "--users").stdout
    assert "p.martin@example.net" in said
    assert "old.technician@example.net (inactive)" in said
    assert json.loads(site.run("discover", "--users", "--json").stdout)["users"][1]["id"] == 2
