"""Whom of a customer's contacts a ticket gets: the technical one, by the desk's mark or by role."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Sequence

if TYPE_CHECKING:
    from brtel_notify.api.records import Contact

#: What is kept of a contact, in the cache too: nothing that says who it is.
Row = Dict[str, Any]
_TYPES = {"id": int, "role": str, "technical": bool, "active": bool, "notify": bool}


def row_of(contact: Contact) -> Row:
    """What is kept of CONTACT."""
    return {name: getattr(contact, name) for name in _TYPES}


def are_rows(rows: Any) -> bool:
    """Whether what the cache gave is what was put there, by a version that kept as much."""
    return isinstance(rows, list) and all(
        isinstance(row, dict)
        and set(row) == set(_TYPES)
        and all(type(row[name]) is kind for name, kind in _TYPES.items())
        for row in rows
    )


def chosen(rows: Sequence[Row], role: str, attach: str) -> List[Row]:
    """Those to attach: first whom the desk marked as technical, then whose ROLE fits.

    ROLE is a regular expression, capitals do not matter; ATTACH is `first` or `all`.
    """
    there = [row for row in rows if row["active"]]
    marked = [row for row in there if row["technical"]]
    by_role = [row for row in there if re.search(role, row["role"], re.IGNORECASE)]
    found = [*marked, *(row for row in by_role if row not in marked)]
    return found if attach == "all" else found[:1]


def want_mail(rows: Sequence[Row]) -> bool:
    """Whether one of those attached may be the reason to send mail; so may whom others attached."""
    return not rows or any(row["notify"] for row in rows)
