"""Real alerts, as real monitoring systems passed them, and what templates give for them: so the
examples in the documentation show what brtel-notify does, and not what somebody believed.
"""

from __future__ import annotations

import json
import tempfile
from datetime import timezone
from pathlib import Path
from typing import Any, Dict

from reference import CHECKOUT

from brtel_notify.alert import Alert
from brtel_notify.alert import reference as reference_of
from brtel_notify.intake.capture import Capture
from brtel_notify.sources import registry
from brtel_notify.text import expressions
from brtel_notify.text.context import context_of, with_ticket
from brtel_notify.text.templates import Renderer
from brtel_notify.tickets.customer import Owner, plain_record

CAPTURES = CHECKOUT / "brtel_notify" / "sandbox" / "captures"
OWNER = Owner(42, "Acme Telecom SAS", "CL2385", "account")
#: What BlueRockTEL says of a customer beyond that.
RECORD = {"vip": False, "on_call_duty": False, "setup_follow_up": False}


def capture_of(name: str) -> Capture:
    """What a monitoring system passed: the capture NAME."""
    data = json.loads((CAPTURES / f"{name}.json").read_text(encoding="utf-8"))
    stdin = data.get("stdin", "")
    text = stdin if isinstance(stdin, str) else json.dumps(stdin)
    time = float(data.get("time", 1795285890))
    return Capture(data["source"], data.get("env", {}), data.get("argv", []), text, time)


def alert_of(name: str) -> Alert:
    """The alert in the capture NAME."""
    return registry.parse(capture_of(name))


def context(name: str) -> Dict[str, Any]:
    """What a template sees of the alert in the capture NAME, when it opens a ticket."""
    alert = alert_of(name)
    context = context_of(alert, alert.time, timezone.utc, {**RECORD, **plain_record(OWNER)})
    return with_ticket(context, reference=reference_of(alert.key), joined=True)


def rendered(template: str, source: str, capture: str, language: str = "en") -> str:
    """What SOURCE gives as one's own template TEMPLATE (``body``) for a capture: the subject, or
    HTML without the reference at its end. Raises ValueError if anything is wrong with it.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, f"{template}.j2").write_text(source, encoding="utf-8")
        renderer = Renderer(language, folder)
        if template == "subject":
            text, problems = renderer.subject(context(capture))
        else:
            text, problems = renderer.html(template, context(capture), "BN-")
            text = text.rpartition("<p>")[0]
    if problems:
        raise ValueError("; ".join(problems))
    return text


def holds(condition: str, capture: str) -> bool:
    """Whether a rule's CONDITION holds for a capture. Raises what a bad expression raises."""
    return expressions.holds(condition, context(capture))


def value(lookup: str, capture: str) -> str:
    """What a lookup's ``{{ }}`` gives for a capture. Raises what a bad one raises."""
    return expressions.value(lookup, context(capture))
