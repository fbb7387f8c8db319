"""What templates, rules and lookups see of an alert (DESIGN section 3)."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, Dict, FrozenSet, Mapping, Optional, Sequence

from brtel_notify.alert import Alert
from brtel_notify.sources import registry

#: What only the program itself needs of an alert.
OURS = frozenset(
    (
        "occurrence_by",
        "order",
        "began",
        "one_by_one",
        "notification",
        "lasting",
        "named",
        "formerly",
    )
)


def context_of(
    alert: Alert,
    now: float,
    zone: tzinfo,
    customer: Optional[Mapping[str, Any]] = None,
    pages: Optional[Mapping[str, str]] = None,
) -> Dict[str, Any]:
    """What rules and lookups see: the alert, its fields, the customer, now.

    ``url`` is the alert's page in its monitoring system where PAGES, which are ``sources.NAME``'s,
    say how to get there; else the page that the alert itself names.
    """
    context = {name: value for name, value in alert._asdict().items() if name not in OURS}
    context["alert"] = alert
    context["what"] = alert.what
    context["now"] = datetime.fromtimestamp(now, zone)
    context["url"] = registry.page(alert, pages or {}) or alert.url
    if customer is not None:
        context["customer"] = customer
    return context


def names_of_context() -> FrozenSet[str]:
    """The names that :func:`context_of` may give."""
    fields = (name for name in Alert._fields if name not in OURS)
    return frozenset((*fields, "alert", "what", "now", "customer"))


def with_ticket(
    context: Mapping[str, Any],
    *,
    reference: str,
    decision: str = "opened",
    change: str = "",
    joined: bool = False,
    another: bool = False,
    reopened: bool = False,
    kept_open: bool = False,
    follows: str = "",
    companions: Sequence[Alert] = (),
    others: int = 0,
    untold: int = 0,
) -> Dict[str, Any]:
    """What templates see: CONTEXT, and what is done to the alert's ticket.

    JOINED: the ticket, an open one, did not stand for the problem before. ANOTHER: it
    stood for another one of the same thing. KEPT_OPEN: somebody had
    asked for its closing, which is taken back. FOLLOWS is the number of the ticket that could not
    be reopened, COMPANIONS are told by the same note, and so many OTHERS are still a problem.
    UNTOLD results of a volatile service were only counted since its last note. The rest is as Plan
    and Situation have it.
    """
    return {
        **context,
        "reference": reference,
        "decision": decision,
        "change": change,
        "joined": joined,
        "another": another,
        "reopened": reopened,
        "kept_open": kept_open,
        "follows": follows,
        "companions": companions,
        "others": others,
        "untold": untold,
    }
