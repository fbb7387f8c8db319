"""What the outside world says in whatever form, as the ticket has it (kind E)."""

from __future__ import annotations

import json
import re
from typing import List

import pytest
from support import Site

DOWN = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")


@pytest.mark.short
@pytest.mark.parametrize("output", ["-ERR", "-5%", "--", "--dry-run"])
@pytest.mark.parametrize("options", [[], ["-v", "--log-format", "json"]])
def test_e2_the_word_after_a_flag(site: Site, output: str, options: List[str]) -> None:
    site.run("event", *options, *DOWN[1:], "--output", output)
    assert output in site.the_ticket()["body"]


def test_e3_json_with_a_byte_order_mark(site: Site) -> None:
    data = {"host": "acme.3cx.fr", "state": "DOWN"}
    for encoding in ("utf-8-sig", "utf-16"):
        site.run("event", "--json", "-", stdin=json.dumps(data).encode(encoding))
    assert site.the_ticket()["open"]


def test_e4_the_exit_code_of_a_check(site: Site) -> None:
    for state, is_open in (("2", True), ("1", True), ("0", False)):
        site.run("event", "--host", "acme.3cx.fr", "--state", state)
        assert site.the_ticket()["open"] is is_open
    assert site.the_ticket()["subject"] == "CRITICAL: acme.3cx.fr"  # "2: acme.3cx.fr", once


def test_e4_a_word_that_nobody_knows_is_told_once(site: Site) -> None:
    words = ("event", "--host", "acme.3cx.fr", "--state", "rebotado")
    told = "'rebotado' is no word known here, so it is taken for a problem"
    assert told in site.run(*words, "--dry-run").stderr
    assert told in site.run(*words).stderr
    assert told not in site.run(*words).stderr
    assert told in site.run(*words, "--dry-run").stderr
    assert site.the_ticket()["open"]
    site.run(*words[:-1], "rétabli")
    assert not site.the_ticket()["open"]


def test_e5_colours(site: Site) -> None:
    site.run(*DOWN, "--output", "\x1b[1;31mno answer\x1b[0m", "--title", "\x9b1mdown\x9bm")
    ticket = site.the_ticket()
    assert "no answer" in ticket["body"]
    assert not re.search(r"\[[01;]*m|\x1b|\x9b", ticket["body"] + ticket["subject"])


@pytest.mark.parametrize("host", ["telecom", "sas"])
def test_e7_what_would_have_been_guessed_stands_in_the_details(site: Site, host: str) -> None:
    site.run("event", "--host", host, "--state", "DOWN")
    (details,) = site.the_ticket()["replies"]
    assert site.the_ticket()["ticketable_id"] == 1
    assert "Acme Telecom SAS (CL2385)" in details["body"]


FORMS = "{{ config('app.key') }} {!! $x !!} @{{ y }} @php echo 1 @endphp @include('z')"


@pytest.mark.short
def test_e6_no_text_of_a_ticket_holds_a_form_of_a_template(site: Site) -> None:
    """Whatever field it came in, whatever is sent."""
    flags = ("output", "long-output", "author", "comment", "title", "service")
    said = [word for flag in flags for word in (f"--{flag}", FORMS)]
    said += ["--url", "https://x.example/{{a}}"]
    site.run(*DOWN, *said)
    for kind in ("acknowledgement", "comment"):
        site.run(*DOWN, *said, "--kind", kind)
    site.run("event", "--host", "acme.3cx.fr", "--state", "UP", *said)
    ticket = site.the_ticket()
    texts = [ticket["subject"], ticket["body"], *(reply["body"] for reply in ticket["replies"])]
    assert len(texts) >= 5
    assert "config(" in "".join(texts)
    for text in texts:
        assert not re.search(r"\{\{|\{!!|(?<!\w)@(?:php|endphp|include)", text)
