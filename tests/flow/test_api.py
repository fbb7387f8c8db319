"""``brtel-notify api``: any call, JSON out, and never the token."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

import pytest
from support import Site

from brtel_notify.api.blotting import LEAST, blotted_answer
from brtel_notify.commands.api import nested
from brtel_notify.options import Stop

HOST = "nagios4-host-problem"


def api(site: Site, *words: str, code: int = 0, stdin: bytes = b"") -> Any:
    """The JSON that a call prints."""
    return json.loads(site.run("api", *words, code=code, stdin=stdin).stdout)


def sent(site: Site) -> Dict[str, Any]:
    """The last call that BlueRockTEL got."""
    return site.sandbox.requests()[-1]


def test_a_get_with_fields_in_its_query(site: Site) -> None:
    site.notify(HOST)
    ticket = site.the_ticket()
    for path in ("/v1/tickets/search", "v1/tickets/search", "/api/v1/tickets/search"):
        found = api(
            site,
            path,
            "-f",
            f"filter[number]={ticket['number']}",
            "-F",
            "filter[open]=true",
            "-X",
            "get",
        )
        assert [row["id"] for row in found] == [ticket["id"]]
    assert sent(site)["query"] == {"filter[number]": ticket["number"], "filter[open]": "true"}


def test_a_query_that_stands_in_the_path(site: Site) -> None:
    assert api(site, "/v1/customers/search?term=acme")[0]["customer_account"] == "CL2385"


def test_fields_make_it_a_post_with_a_body(site: Site) -> None:
    site.notify(HOST)
    number = site.the_ticket()["id"]
    words = ["-f", "body=007", "-F", "close=false", "-F", "send_to_assignee=true"]
    api(site, f"/v1/replies?ticket_id={number}", *words, "-F", "send_to_contacts=false")
    call = sent(site)
    assert call["method"] == "POST"
    assert call["json"] == {
        "body": "007",
        "close": False,
        "send_to_assignee": True,
        "send_to_contacts": False,
    }


@pytest.mark.short
def test_a_put_with_typed_and_nested_fields(site: Site) -> None:
    site.notify(HOST)
    number = site.the_ticket()["id"]
    words = ["-F", "priority_id=3", "-f", "tags[]=a", "-f", "tags[]=b", "-F", "team_id=null"]
    assert api(site, "-X", "PUT", f"/v1/tickets/{number}", *words)["priority_id"] == 3
    assert sent(site)["json"] == {"priority_id": 3, "tags": ["a", "b"], "team_id": None}


def test_a_body_from_a_file_or_stdin(site: Site) -> None:
    site.notify(HOST)
    path = f"/v1/tickets/{site.the_ticket()['id']}"
    document = site.folder / "body.json"
    document.write_text('{"subject": "by file"}')
    assert api(site, "-X", "PUT", path, "--json", str(document))["subject"] == "by file"
    said = api(
        site, "-X", "PUT", path, "--json", "-", "-f", "q=1", stdin='{"subject": "é"}'.encode()
    )
    assert said["subject"] == "é"
    assert sent(site)["query"] == {"q": "1"}
    note = site.folder / "note"
    note.write_text("<p>x</p>")
    assert api(site, "-X", "PUT", path, "-F", f"body=@{note}")["body"] == "<p>x</p>"


def test_a_refusal_prints_its_body_and_says_why(site: Site) -> None:
    done = site.run("api", "/v1/tickets/999", code=65)
    assert "message" in json.loads(done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.startswith("brtel-notify: api: GET /v1/tickets/999: 404 ")
    done = site.run("api", "-X", "POST", "/v1/tickets?ticketable_id=42", code=65)
    assert "message" in json.loads(done.stdout)


@pytest.mark.short
@pytest.mark.parametrize(("status", "code"), [(503, 69), (429, 69), (403, 78), (401, 78)])
def test_exit_codes(site: Site, status: int, code: int) -> None:
    site.sandbox.faults(fail={"status": status})
    assert str(status) in site.run("api", "/v1/tickets", code=code).stderr


def test_nothing_listens(site: Site) -> None:
    text = site.config_file.read_text()
    site.config_file.write_text(text.replace(site.sandbox.url, "http://127.0.0.1:9/api"))
    done = site.run("api", "/v1/tickets", code=69)
    assert done.stdout == ""
    assert "Connection refused" in done.stderr


def test_an_answer_that_is_no_json(site: Site) -> None:
    site.sandbox.faults(fail={"status": 200, "body": "html"})
    done = site.run("api", "/v1/tickets", code=78)
    assert done.stdout.startswith("<!DOCTYPE html>")
    assert "is api.url right?" in done.stderr
    site.sandbox.faults(fail={"status": 200, "body": "truncated"})
    assert "cut short" in site.run("api", "/v1/tickets", code=69).stderr


def test_all_pages_of_a_list(site: Site) -> None:
    for n in range(5):
        site.run("event", "--host", f"h{n}.example.net", "--state", "DOWN")
    site.sandbox.faults(wrap="paged", page_size=2)
    found = api(site, "--paginate", "/v1/tickets")
    assert len({row["id"] for row in found}) == len(found) == 5
    assert isinstance(api(site, "/v1/tickets"), dict)
    site.sandbox.clear_faults()
    assert len(api(site, "--paginate", "/v1/tickets")) == 5
    assert "no list" in site.run("api", "--paginate", "/version", code=65).stderr


@pytest.mark.parametrize(
    "words",
    [
        ["http://elsewhere.example.net/v1/tickets"],
        ["//elsewhere.example.net/v1"],
        ["/v1/tickets", "-f", "a[=1"],
        ["/v1/tickets", "-f", "a=1", "-f", "a[b]=1"],
        ["/v1/tickets", "-X", "GE T"],
        ["/v1/tickets", "--json", "-"],
        ["/v1/tickets", "-X", "POST", "--paginate"],
    ],
)
def test_what_cannot_be_sent_is_not(site: Site, words: List[str]) -> None:
    done = site.run("api", *words, code=65)
    assert len(done.stderr.splitlines()) == 1
    assert site.calls() == []


@pytest.mark.parametrize("words", [[], ["/v1", "-f", "novalue"], ["/v1", "-F", "a=@/no/such/file"]])
def test_a_wrong_command_line(site: Site, words: List[str]) -> None:
    site.run("api", *words, code=2)


def test_a_rehearsal_shows_and_sends_nothing(site: Site) -> None:
    done = site.run("--dry-run", "api", "-X", "PUT", "/v1/tickets/1", "-F", "priority_id=2")
    assert json.loads(done.stdout)["body"] == {"priority_id": 2}
    assert site.calls() == []


def test_the_token_is_never_said(site: Site) -> None:
    """Not even where the server repeats it, with -v, or where it is refused."""
    token = site.token_file.read_text().strip()
    site.notify(HOST)
    path = f"/v1/tickets/{site.the_ticket()['id']}"
    done = site.run("-v", "api", "-X", "PUT", path, "-f", f"subject=token {token}")
    assert json.loads(done.stdout)["subject"] == "token ***"
    assert token not in done.stderr
    for status, code in ((401, 78), (422, 65), (500, 69)):
        site.sandbox.faults(fail={"status": status})
        done = site.run("-v", "api", path, code=code)
        assert token not in done.stdout + done.stderr


def test_the_token_as_php_writes_it() -> None:
    assert blotted_answer(b'{"a": "Bearer x\\/y", "b": "x/y"}', "x/y", LEAST) == (
        b'{"a": "Bearer ***", "b": "***"}'
    )


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ([("a", 1), ("a", 2)], {"a": 2}),
        ([("a[b]", 1), ("a[c]", 2)], {"a": {"b": 1, "c": 2}}),
        ([("a[b][]", 1), ("a[b][]", 2)], {"a": {"b": [1, 2]}}),
    ],
)
def test_nested_fields(fields: List[Tuple[str, Any]], body: Dict[str, Any]) -> None:
    assert nested(fields) == body


@pytest.mark.parametrize("name", ["", "[a]", "a[", "a]", "a[][b]", "a[b]c"])
def test_names_that_do_not_nest(name: str) -> None:
    with pytest.raises(Stop):
        nested([(name, 1)])
