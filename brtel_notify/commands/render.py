"""``brtel-notify render``: what would be sent for an input."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from brtel_notify.alert import TEST, Alert, Unintelligible, reference
from brtel_notify.api.client import ApiError
from brtel_notify.api.credentials import CredentialsError
from brtel_notify.api.transport import Transport
from brtel_notify.commands import notify
from brtel_notify.config.schema import Config
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console import common
from brtel_notify.delivery.delivery import NoOwner
from brtel_notify.delivery.drain import STATE_FILE
from brtel_notify.delivery.rehearsal import RehearsalServices, Shown, rehearse
from brtel_notify.intake.capture import ENVIRONMENT, Capture, without_secrets
from brtel_notify.local.log import Log, one_line
from brtel_notify.options import Options, UsageError
from brtel_notify.sources import registry
from brtel_notify.text import plaintext
from brtel_notify.tickets.open_tickets import LaterVersion, State

HELP = """\
usage: brtel-notify render [OPTION]... SOURCE [what SOURCE takes]
       brtel-notify render [OPTION]... --capture FILE

Shows the ticket that an input would give: subject, body as text and as HTML,
the steps and the calls. SOURCE is nagios, icinga, zabbix, librenms or event,
with that command's arguments, variables and input. A capture is a JSON object
{"source": …, "env": …, "argv": …, "stdin": …}, as `queue show --json` has it.

Nothing is called: what only BlueRockTEL knows is made up, or comes from the
cache. With -v, calls that only read are made, to show the true customer.

  --json       for programs
  --open       as a page that looks like the ticket, in a browser
  --watch      the same, again at every save of templates or configuration
  --html FILE  the page in this file, opened only with --open or --watch

example:
  brtel-notify render event --host acme.3cx.fr --state DOWN --output "no ping"
  brtel-notify render --watch --capture alert.json
"""


#: What can be wrong with an input, the configuration, or BlueRockTEL.
ERRORS = (Unintelligible, NoOwner, ConfigError, CredentialsError, LaterVersion, ApiError)


class Form(NamedTuple):
    """In what form the ticket is wanted; ``html`` is the path of a page."""

    json: bool = False
    opens: bool = False
    watches: bool = False
    html: Optional[str] = None

    @property
    def is_page(self) -> bool:
        """Whether it is to be a page for a browser."""
        return self.opens or self.watches or self.html is not None


class Look(NamedTuple):
    """What a rehearsal showed: as ``--json`` has it, and what it complained of."""

    data: Dict[str, Any]
    problems: List[str]
    config: Config


#: What belongs to `render`, and to no source.
_OWN = ("--open", "--watch", "--html")


def run(arguments: List[str], options: Options) -> int:
    """Show what would be sent."""
    words = list(arguments)
    if any(word in ("-h", "--help") for word in words[:1]):
        print(HELP, end="")
        return 0
    form = _form(words, options)
    if words and words[0] == "--capture":
        if len(words) < 2:
            raise UsageError("--capture needs a file")
        return _show(_from_file(words[1], words[2:], options), options, form)
    if words and words[0].startswith("-"):
        raise UsageError(f"render: unknown option '{words[0]}'")
    if not words or words[0] not in ENVIRONMENT:
        raise UsageError(f"render needs a source: {', '.join(ENVIRONMENT)}, or --capture FILE")
    source = words.pop(0)
    if source != "zabbix" and source != "event" and "--json" in words:
        words.remove("--json")
        form = form._replace(json=True)
    late = next((word for word in words if word.partition("=")[0] in _OWN), None)
    if late is not None and source != "zabbix":
        raise UsageError(f"{late} stands before the source: render {late} ... {source} ...")
    return _show(notify.captured(source, words, options), options, form)


def _form(words: List[str], options: Options) -> Form:
    """Take the options of `render` itself, and the global ones, from the head of WORDS."""
    form = Form()
    while words:
        name, _, value = words[0].partition("=")
        if words[0] == "--json":
            form = form._replace(json=True)
            del words[0]
        elif words[0] == "--open":
            form = form._replace(opens=True)
            del words[0]
        elif words[0] == "--watch":
            form = form._replace(watches=True)
            del words[0]
        elif name == "--html":
            del words[0]
            value = value or (words.pop(0) if words else "")
            if not value:
                raise UsageError("--html needs a file")
            form = form._replace(html=value)
        elif not options.take(words):
            break
    return form


def _from_file(path: str, rest: List[str], options: Options) -> Capture:
    words = list(rest)
    while words and options.take(words):
        pass
    if words:
        raise UsageError(f"render: unknown argument '{words[0]}'")
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        if isinstance(data, list) and len(data) == 1:  # what `queue show --json` prints
            data = data[0]
        data = data.get("capture", data)
        stdin = data.get("stdin", "")
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        seconds = float(data.get("time", time.time()))
        env, argv = dict(data.get("env", {})), list(data.get("argv", []))
        return without_secrets(Capture(data["source"], env, argv, text, seconds))
    except OSError as error:
        raise UsageError(f"--capture {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"--capture {path}: is no capture") from None


def show(capture: Capture, options: Options) -> int:
    """Show what CAPTURE would give; the exit code that the notification command would have."""
    return _show(capture, options, Form())


def _show(capture: Capture, options: Options, form: Form) -> int:
    if form.json and form.is_page:
        raise UsageError("render: either --json or a page")
    try:
        if registry.parse(capture).kind == TEST:
            print("a test: proves the configuration and the API, opens nothing")
            return 0
        if form.is_page:
            from brtel_notify.console import render_page

            opens = form.opens or form.watches
            return render_page.run(capture, options, form.html, opens, form.watches)
        data = look(capture, options).data
    except ERRORS as error:
        return common.fail(*explained(error))
    if form.json:
        common.print_json(data)
    else:
        _print(data)
    return 0


def look(capture: Capture, options: Options) -> Look:
    """What CAPTURE, which is no test, would give. Raises one of ERRORS."""
    alert = registry.parse(capture)
    config = common.load_config(options)
    log = Log(form=options.log_format)
    shown = _rehearsed(capture, alert, config, options, log)
    data = _data(alert, shown)
    if options.verbose and shown.rehearsal.steps.owner is not None:
        data["pbx_hosts"] = _pbx_hosts(shown)
    return Look(data, list(log.shown), config)


def explained(error: Exception) -> Tuple[str, int]:
    """One of ERRORS as one line, and the exit code that goes with it."""
    if isinstance(error, (Unintelligible, NoOwner)):
        return str(error), common.NOT_UNDERSTOOD
    if isinstance(error, ApiError):
        return f"api: {error}", common.UNAVAILABLE
    return str(error), common.MISCONFIGURED


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
    owner = shown.rehearsal.steps.owner or {}
    hosts = shown.rehearsal.services.client.pbx_hosts_of(str(owner["account"]))
    return [host.host_name + ("" if host.active else " (inactive)") for host in hosts]


def _data(alert: Alert, shown: Shown) -> Dict[str, Any]:
    created = next((c.body for c in shown.sent if c.path.startswith("/v1/tickets?")), None)
    replies = [c.body for c in shown.sent if c.path.startswith("/v1/replies?") and c.body]
    done = shown.rehearsal.done
    return {
        "alert": {**alert._asdict(), "key": alert.key},
        "reference": done.reference if done else reference(alert.key),
        "outcome": shown.outcome.status,
        "decision": re.sub(r", \d+ calls?$", "", shown.outcome.text),
        "customer": shown.rehearsal.steps.owner,
        "settings": shown.rehearsal.steps.settings.values,
        "ticket": created,
        "replies": replies,
        "steps": shown.steps,
        "calls": [vars(call) for call in shown.sent],
    }


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
        _settings(data["settings"], data["ticket"])
        _line("subject", data["ticket"]["subject"])
        _texts("body", data["ticket"]["body"])
    for reply in data["replies"]:
        seen_by = "customer sees it" if reply["customer_visible"] else "internal"
        _texts(f"note ({seen_by}{', closes the ticket' if reply['close'] else ''})", reply["body"])
    _line("steps", ", ".join(data["steps"]) or "none")
    _line("calls", str(len(data["calls"])))
    for call in data["calls"]:
        print(f"  {call['method']:<4} {common.paint(one_line(call['path']), 'grey')}")


def _settings(settings: Dict[str, Any], ticket: Dict[str, Any]) -> None:
    for name in ("priority", "category", "sub_category", "team", "status"):
        if settings[name] is not None:
            _line(name.replace("_", "-"), str(settings[name]))
    _line("tags", ", ".join(settings["tags"]))
    if ticket.get("estimated_resolution_date"):
        _line("resolve by", f"{ticket['estimated_resolution_date']} UTC")


def _line(name: str, text: str) -> None:
    print(f"{common.paint(f'{name}:', 'bold')} {text}")


def _texts(name: str, html: str) -> None:
    print(common.paint(f"{name}, as text:", "bold"))
    for line in plaintext.as_text(html).splitlines():
        print(f"  {line}".rstrip())
    print(common.paint(f"{name}, as HTML:", "bold"))
    for line in html.splitlines():
        print(f"  {line}".rstrip())
