"""A delivery without its effects: the same code, over a transport that only writes down its calls.

``brtel-notify render`` and ``--dry-run`` use it, so what they show is, byte for byte, what would be
sent. With a real transport the calls that only read (GET) go through; without one the answers are
made up, and nothing is called at all.
"""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from brtel_notify.alert import Alert
from brtel_notify.api.cache import Cache
from brtel_notify.api.caller import Sender
from brtel_notify.api.client import Client
from brtel_notify.api.credentials import Credentials
from brtel_notify.api.exceptions import Call
from brtel_notify.config.schema import Config
from brtel_notify.delivery.book import Book
from brtel_notify.delivery.delivery import Delivery
from brtel_notify.delivery.outcome import Outcome
from brtel_notify.delivery.services import Services
from brtel_notify.delivery.situation import Plan, Situation
from brtel_notify.delivery.together import Follower
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Event, Queue
from brtel_notify.local.log import WARNING
from brtel_notify.tickets.ids_of_names import LISTS
from brtel_notify.tickets.open_tickets import State
from brtel_notify.tickets.settings import Settings, settings_for

#: What stands where only BlueRockTEL knows the number.
NEW = "(new)"


@dataclass
class Sent:
    """One call as it would be sent. ``body`` is its JSON."""

    method: str
    path: str
    body: Optional[Dict[str, Any]] = None


class RecordingTransport:
    """Writes calls down in ``sent``; ``real`` answers those that only read, if it is given.

    ``said`` are the settings that the alert itself asks for.
    """

    def __init__(
        self, config: Config, real: Optional[Sender], said: Optional[Mapping[str, Any]] = None
    ) -> None:
        self.config = config
        self.real = real
        self.said = said or {}
        self.sent: List[Sent] = []

    def send(self, call: Call, seconds: float) -> Tuple[int, Mapping[str, str], bytes]:
        """As Transport.send."""
        query = urllib.parse.unquote(urllib.parse.urlencode(call.params))
        body = json.loads(call.body) if call.body else None
        path = f"{call.path}?{query}" if query else call.path
        self.sent.append(Sent(call.method, path, body))
        if call.method == "GET" and self.real is not None:
            return self.real.send(call, seconds)
        answer = self._made_up(call.path, dict(call.params), call.method)
        status = 200 if call.method == "GET" else 201
        return status, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def close(self) -> None:
        """As Transport.close."""
        if self.real is not None:
            self.real.close()

    def _made_up(self, path: str, params: Dict[str, str], method: str) -> Any:
        """What BlueRockTEL might answer: the customer is found, the ticket is new."""
        last = path.rpartition("/")[2]
        if path in _LISTS:
            names = dict.fromkeys(self._names(_LISTS[path]))
            # The client keeps one record an id; no real id is below 1.
            # A sub-category may have to give the priority that the configuration does not.
            own = {"priority_id": -1} if path.endswith("/sub-categories") else {}
            return [
                {"id": int(name) if name.isdecimal() else -number, "name": name, **own}
                for number, name in enumerate(names)
            ]
        if path == "/v1/users":
            people = enumerate(self._names("assignee"))
            return [{"id": -number, "name": name, "email": name} for number, name in people]
        if path == "/v1/customers/lookup":
            return {"found": True, "data": _customer(params["customer_account"])}
        if path == "/v1/customers/search":
            return [_customer("?", f"the customer found by “{params['term']}”")]
        if path == "/v1/pbx3cx-hosts/lookup":
            name = params["host_name"]
            owner = _customer("?", f"the customer of the PBX {name}")
            return {"id": 0, "host_name": name, "active": True, "customers": [owner]}
        if path == "/v1/contacts":
            return [{"id": 0, "last_name": "?", "role": "technical technique"}]
        if path == "/v1/replies" and method == "POST":
            visible = self.config.replies.customer_visible
            return {"id": 0, "ticket_id": 0, "body": "", "customer_visible": visible}
        if path == "/v1/tickets" or last.isdigit():
            return {"id": 0, "number": NEW, "open": True, "body": "", "subject": ""}
        return [] if method == "GET" else {"response": ""}

    def _names(self, setting: str) -> List[str]:
        """The names used for a setting by configuration and alert: offline, they do exist."""
        config = self.config
        places: List[Mapping[str, Any]] = [vars(config.ticket), *config.severities.values()]
        places += [*(rule.set for rule in config.rules), self.said]
        return [str(place[setting]) for place in places if place.get(setting) is not None]


#: Where the API keeps the list of each setting (the cookbook's step 1).
_LISTS = {f"/v1/ticketing/{kind.replace('_', '-')}": setting for setting, kind in LISTS.items()}


def _customer(account: str, name: str = "") -> Dict[str, Any]:
    return {"id": 0, "name": name or f"the customer {account}", "customer_account": account}


class RehearsalServices(Services):
    """Services whose client only writes down; ``transport`` has what it wrote."""

    transport: RecordingTransport

    def rehearse(self, alert: Alert, real: Optional[Sender]) -> None:
        """Put the recording transport in place."""
        said = settings_for(alert, self.config, lambda condition: False).values
        self.cache = _ReadOnlyCache(self.state_dir, self.config.api.url, self.clock)
        self.transport = RecordingTransport(self.config, real, said)

    def tell_once(self, what: str, text: str) -> None:
        """Whoever looks wants to know, however often."""
        self.log.say(text, WARNING)

    def connect(self, transport: Optional[Sender] = None) -> Client:
        """A client over the recording transport."""
        if self.transport.real is not None:
            return super().connect(self.transport)
        return Client(
            self.config.api.url,
            Credentials(token="rehearsal"),  # noqa: S106 - offline, nobody reads it
            on_call=self._count,
            transport=self.transport,
        )


class _ReadOnlyCache(Cache):
    """Knows what was learned before; what is made up is not kept, and nothing is forgotten."""

    def put(self, kind: str, key: str, value: Any) -> None:
        pass

    def clear(self, kind: str) -> None:
        pass


class _Unwritten(Event):
    def enter(self, **record: Any) -> None:
        self.journal.append(record)


class _Unchanged(Queue):
    def remove(self, event: Event) -> None:
        pass


class _Unwritable(Book):
    def has_ended(self, recoveries: Iterable[Follower], now: float) -> None:
        pass


class Rehearsal(Delivery):
    """A delivery that changes and awaits nothing; ``done`` is the situation at its end."""

    done: Optional[Situation] = None

    def _waits(self, situation: Situation, settings: Settings) -> Optional[Outcome]:
        super()._waits(situation, settings)  # whoever looks wants to see the ticket
        return None

    def _record(self, done: Situation, plan: Plan) -> None:
        self.done = done


@dataclass
class Shown:
    """What a rehearsal showed."""

    outcome: Outcome
    rehearsal: Rehearsal
    sent: List[Sent]
    steps: List[str]


def rehearse(
    capture: Capture,
    alert: Alert,
    services: RehearsalServices,
    state: State,
    real: Optional[Callable[[], Sender]] = None,
) -> Shown:
    """Deliver CAPTURE to nobody; REAL makes a transport for what only reads.

    Raises what Delivery.run raises.
    """
    services.rehearse(alert, real() if real is not None else None)
    event = _Unwritten("0-rehearsal.jsonl", capture, [])
    book = _Unwritable(state, _Unchanged(services.state_dir))
    rehearsal = Rehearsal(event, alert, services, book)
    outcome = rehearsal.run()
    steps = list(dict.fromkeys(record["step"] for record in event.journal if "step" in record))
    return Shown(outcome, rehearsal, list(services.transport.sent), steps)
