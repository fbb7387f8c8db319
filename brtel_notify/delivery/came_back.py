"""Whether a ticket came back as it was sent: an instance may know better, and say nothing."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Tuple

from brtel_notify.api.fields import parse_date
from brtel_notify.api.records import Ticket

_DATE = "estimated_resolution_date"
#: What is compared, and what people call it.
_COMPARED = {
    "priority_id": "priority",
    "team_id": "team",
    "status_id": "status",
    _DATE: "resolution date",
}


def differences(
    sent: Mapping[str, Any], ticket: Ticket, offset: float
) -> Iterator[Tuple[str, str]]:
    """What of SENT the TICKET does not have: what a difference is known by, and a line about it.

    A field that was not sent, or that the answer leaves out, is no difference. OFFSET is the
    instance's, in seconds. Every ticket has another date, so of dates one difference is as another.
    """
    for name, called in _COMPARED.items():
        wanted, got = sent.get(name), getattr(ticket, name)
        if wanted is None or got is None or wanted == got:
            continue
        if name != _DATE:
            yield f"{name} {wanted} {got}", f"{called} {wanted} was sent, BlueRockTEL made it {got}"
        elif parse_date(wanted, offset) != parse_date(got, offset):
            yield name, f"{called} {wanted} was sent, BlueRockTEL made it {got}"
