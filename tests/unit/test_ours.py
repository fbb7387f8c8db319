"""Whether a ticket that bears a reference of ours is ours."""

from __future__ import annotations

from typing import Any

import pytest

from brtel_notify.alert import own_reference
from brtel_notify.api.records import Ticket
from brtel_notify.tickets.ours import Signs

REFERENCE = "BN-0123456789ab"
OURS = f"<p>DOWN</p><p>Reference: {REFERENCE}</p>"


@pytest.mark.parametrize(
    "text",
    [
        OURS,
        f"<p>DOWN</p>\n<p>Reference: {REFERENCE}</p>\n",
        f"<p>DOWN</p><p>Référence\xa0: {REFERENCE}</p>",
        f"<p>DOWN</p><p>R&eacute;f&eacute;rence&nbsp;: {REFERENCE}</p><br />",
        f"DOWN\nReference: {REFERENCE}",
        f"<p>of BN-ffffffffffff</p><p>Reference: {REFERENCE}</p>",
    ],
)
def test_a_reference_where_we_write_it(text: str) -> None:
    assert own_reference(text) == REFERENCE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<p>DOWN</p>",
        f"{OURS}<p>Is this over?</p>",
        f"<p>&gt; Reference: {REFERENCE}</p>",
        f"<p>What of {REFERENCE}</p>",
        f"<p>{REFERENCE}</p>",
        f"<p>Reference: {REFERENCE}0</p>",
        "<p>Reference: BN-0123</p>",
    ],
)
def test_a_reference_that_somebody_quotes(text: str) -> None:
    assert own_reference(text) is None


def ticket(**more: Any) -> Ticket:
    return Ticket.parse({"id": 1, "body": OURS, "origin": "admin", **more})


WE = Signs(frozenset(("monitoring", "auto")), frozenset((3,)))
USER, CONTACT = "App\\User", "App\\Contact"


@pytest.mark.parametrize(
    ("signs", "more", "expected"),
    [
        (WE, {"author_id": 3, "author_type": USER, "tags": None}, True),
        (WE, {"author_id": "3", "tags": None}, True),
        (WE, {"author_id": 5, "author_type": USER, "tags": '["auto","x"]'}, True),
        (WE, {"author_id": 5, "author_type": USER, "tags": None}, False),
        (WE, {"author_id": 3, "author_type": CONTACT, "origin": "email"}, False),
        (WE, {"author_id": None, "tags": None}, False),
        (WE, {"tags": None}, True),  # nothing is said of its author
        (WE, {"tags": None, "origin": "email"}, False),
        # Without tags that tell, another server's user may be another one.
        (WE._replace(tags=frozenset()), {"author_id": 5, "tags": None}, True),
        (WE._replace(tags=frozenset()), {"author_id": 5, "origin": "email"}, False),
        # Our own user is not known yet.
        (WE._replace(authors=frozenset()), {"author_id": 5, "tags": None}, True),
        (WE._replace(authors=frozenset()), {"author_id": None, "tags": None}, False),
    ],
)
def test_what_tells_ours_from_a_persons(signs: Signs, more: Any, expected: bool) -> None:
    assert signs.fit(ticket(**more)) is expected


@pytest.mark.parametrize("number", [True, "x", [], {}, 1.5, "", -1])
def test_an_author_that_makes_no_sense_spoils_no_answer(number: Any) -> None:
    assert ticket(author_id=number).author == 0
