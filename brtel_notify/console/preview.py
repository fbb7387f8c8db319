"""What would be sent for a capture: a rehearsal, as ``render`` and ``--dry-run`` print it."""

from __future__ import annotations

import os
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from brtel_notify.alert import TEST, Alert, Unintelligible, reference
from brtel_notify.api.exceptions import ApiError, CredentialsError
from brtel_notify.api.transport import Transport
from brtel_notify.config.schema import Config
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console.configured import load_config
from brtel_notify.console.failures import fail
from brtel_notify.console.output import paint, print_json
from brtel_notify.delivery.outcome import NoOwner
from brtel_notify.delivery.rehearsal import RehearsalServices, Shown, rehearse
from brtel_notify.intake.capture import Capture
from brtel_notify.local.cleaning import line_of
from brtel_notify.local.log import Log
from brtel_notify.options import Options
from brtel_notify.sources import registry
from brtel_notify.text import plaintext, times
from brtel_notify.tickets.open_tickets import STATE_FILE, LaterVersion, State

#: What can be wrong with an input, the configuration, or BlueRockTEL.
ERRORS = (Unintelligible, NoOwner, ConfigError, CredentialsError, LaterVersion, ApiError)


class Look(NamedTuple):
    """What a rehearsal showed: as ``--json`` has it, and what it complained of."""

    data: Dict[str, Any]
    problems: List[str]
    config: Config


def show(capture: Capture, options: Options, as_json: bool = False) -> int:
    """Print what CAPTURE would give; the exit code that the notification command would have."""
    try:
        if is_test(capture):
            return 0
        data = look(capture, options).data
    except ERRORS as error:
        return fail(*explained(error))
    if as_json:
        print_json(data)
    else:
        _print(data)
    return 0


def is_test(capture: Capture) -> bool:
    """Whether CAPTURE is a test; if so, say what comes of it. Raises Unintelligible."""
    if registry.parse(capture).kind != TEST:
        return False
    print("a test: proves the configuration and the API, opens nothing")
    return True


def look(capture: Capture, options: Options) -> Look:
    """What CAPTURE, which is no test, would give. Raises one of ERRORS."""
    alert = registry.parse(capture)
    config = load_config(options)
    alert = registry.of_instance(alert, config.sources.of(alert.source))
    log = Log(form=options.log_format)
    shown = _rehearsed(capture, alert, config, options, log)
    data = _data(alert, shown)
    if options.verbose and shown.rehearsal.steps.owner is not None:
        data["pbx_hosts"] = _pbx_hosts(shown)
    return Look(data, list(log.shown), config)


def explained(error: Exception) -> Tuple[str, int]:
    """One of ERRORS as one line, and the exit code that goes with it."""
    if isinstance(error, (Unintelligible, NoOwner)):
        return str(error), os.EX_DATAERR
    if isinstance(error, ApiError):
        return f"api: {error}", os.EX_UNAVAILABLE
    return str(error), os.EX_CONFIG


def _rehearsed(capture: Capture, alert: Alert, config: Config, options: Options, log: Log) -> Shown:
    state_dir = options.state_dir(os.environ)
    state, damage = State.peek(os.path.join(state_dir, STATE_FILE))
    if damage:
        log.error(damage)
    services = RehearsalServices(config, state_dir, log, time.time, os.environ)
    api = config.api

    def real() -> Transport:
        return Transport(
            api.url, ca_file=api.ca_file, proxy=api.proxy, pool_size=1, clock=time.monotonic
        )

    return rehearse(capture, alert, services, state, real if options.verbose else None)


def _pbx_hosts(shown: Shown) -> List[str]:
    from brtel_notify.api.records import Customer

    owner = shown.rehearsal.steps.owner or {}
    customer = Customer(owner["id"], str(owner["name"]), str(owner["account"]))
    hosts = shown.rehearsal.services.client.pbx_hosts_of(customer)
    return [host.host_name + ("" if host.active else " (inactive)") for host in hosts]


def _data(alert: Alert, shown: Shown) -> Dict[str, Any]:
    created = next((c.body for c in shown.sent if c.path.startswith("/v1/tickets?")), None)
    replies = [c.body for c in shown.sent if c.path.startswith("/v1/replies?") and c.body]
    done = shown.rehearsal.done
    return {
        "alert": {**alert._asdict(), "key": alert.key},
        "reference": done.reference if done else reference(alert.key),
        "outcome": shown.outcome.status,
        "decision": shown.outcome.text + _when(shown),
        "customer": shown.rehearsal.steps.owner,
        "settings": shown.rehearsal.steps.settings.values,
        "ticket": created,
        "due": _due(created or {}, shown.rehearsal.services.instance.offset or 0.0),
        "replies": replies,
        "steps": shown.steps,
        "calls": [vars(call) for call in shown.sent],
    }


def _when(shown: Shown) -> str:
    """When the ticket is opened, if that is later."""
    wait = shown.rehearsal.waits
    if wait is None:
        return ""
    return f", at {times.iso(wait.due)}, if it still is a problem then"


def _due(ticket: Dict[str, Any], offset: float) -> Optional[str]:
    """The ticket's date in UTC; it is sent in the instance's own time, so far ahead of that."""
    from brtel_notify.api.fields import parse_date

    seconds = parse_date(ticket.get("estimated_resolution_date"), offset)
    return None if seconds is None else f"{times.api_date(seconds)} UTC"


def _print(data: Dict[str, Any]) -> None:
    alert = data["alert"]
    _line("alert", f"{alert['key']}  {alert['kind']} {alert['state']} ({alert['severity']})")
    _line("reference", data["reference"])
    _line("decision", data["decision"])
    customer = data["customer"]
    if customer:
        text = f"{customer['name']} ({customer['account']}), by {customer['how']}"
        if not customer["id"]:
            text = f"not looked up: {text}? (render -v asks BlueRockTEL)"
        _line("customer", text)
    if "pbx_hosts" in data:
        _line("PBX hosts", ", ".join(data["pbx_hosts"]) or "none")
    if data["ticket"]:
        _settings(data["settings"], data["due"])
        _line("subject", data["ticket"]["subject"])
        _texts("body", data["ticket"]["body"])
    for reply in data["replies"]:
        seen_by = "customer sees it" if reply["customer_visible"] else "internal"
        _texts(f"note ({seen_by}{', closes the ticket' if reply['close'] else ''})", reply["body"])
    _line("steps", ", ".join(data["steps"]) or "none")
    _line("calls", str(len(data["calls"])))
    for call in data["calls"]:
        print(f"  {call['method']:<4} {paint(line_of(call['path']), 'grey')}")


def _settings(settings: Dict[str, Any], due: Optional[str]) -> None:
    for name in ("priority", "category", "sub_category", "team", "status", "assignee"):
        if settings[name] is not None:
            _line(name.replace("_", "-"), str(settings[name]))
    _line("tags", ", ".join(settings["tags"]))
    if due:
        _line("resolve by", str(due))


def _line(name: str, text: str) -> None:
    print(f"{paint(f'{name}:', 'bold')} {text}")


def _texts(name: str, html: str) -> None:
    print(paint(f"{name}, as text:", "bold"))
    for line in plaintext.as_text(html).splitlines():
        print(f"  {line}".rstrip())
    print(paint(f"{name}, as HTML:", "bold"))
    for line in html.splitlines():
        print(f"  {line}".rstrip())
