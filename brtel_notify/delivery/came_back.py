"""Whether a ticket came back as it was sent: an instance may know better, and say nothing."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

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


def differences(sent: Mapping[str, Any], ticket: Ticket, offset: float) -> Iterator[str]:
    """What of SENT the TICKET does not have, each as a line; OFFSET is the instance's, in seconds.

    A field that was not sent, or that the answer leaves out, is no difference.
    """
    for name, called in _COMPARED.items():
        wanted, got = sent.get(name), getattr(ticket, name)
        if wanted is None or got is None or wanted == got:
            continue
        if name == _DATE and parse_date(wanted, offset) == parse_date(got, offset):
            continue
        yield f"BlueRockTEL was given the {called} {wanted} and made it {got}"
