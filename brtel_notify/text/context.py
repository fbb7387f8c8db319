"""What templates, rules and lookups see of an alert (DESIGN section 3)."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, Dict, FrozenSet, Mapping, Optional

from brtel_notify.alert import Alert


def context_of(
    alert: Alert, now: float, zone: tzinfo, customer: Optional[Mapping[str, Any]] = None
) -> Dict[str, Any]:
    """The one context of every template and rule: the alert, its fields, the customer, now."""
    context: Dict[str, Any] = alert._asdict()
    context["alert"] = alert
    context["what"] = alert.what
    context["now"] = datetime.fromtimestamp(now, zone)
    if customer is not None:
        context["customer"] = customer
    return context


def names_of_context() -> FrozenSet[str]:
    """The names that :func:`context_of` may give."""
    return frozenset((*Alert._fields, "alert", "what", "now", "customer"))
