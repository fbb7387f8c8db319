"""A delivery without its effects: the same code, over a client that only writes down its calls.

``brtel-notify render`` and ``--dry-run`` use it, so what they show is what would be sent. With a
REAL client its reading calls (GET) go through; without one the answers are made up, and nothing
is called at all.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Sequence

from brtel_notify.alert import Alert
from brtel_notify.bluerocktel import Client, Contact, Customer, PbxHost, Reply, Ticket
from brtel_notify.cache import Cache
from brtel_notify.capture import Capture
from brtel_notify.deliver import Delivery, Outcome
from brtel_notify.desk import Desk
from brtel_notify.names import Names
from brtel_notify.plan import Situation
from brtel_notify.queue import Event, Queue
from brtel_notify.settings import Settings
from brtel_notify.state import State

_CUSTOMER = "ticketable_type=App\\Customer&ticketable_id="


@dataclass
class Call:
    """One call as it would be made."""

    method: str
    path: str
    body: Optional[Dict[str, Any]] = None


class Notebook:
    """Stands in for the client. ``calls`` is what would have been called."""

    def __init__(self, real: Optional[Client]) -> None:
        self.real = real
        self.calls: List[Call] = []

    def _look(self, path: str, ask: Callable[[Client], Any], made_up: Any) -> Any:
        self.calls.append(Call("GET", path))
        return made_up if self.real is None else ask(self.real)

    def _change(self, method: str, path: str, **body: Any) -> None:
        self.calls.append(Call(method, path, body or None))

    # --- reading

    def customer_by_account(self, account: str) -> Optional[Customer]:
        """As the client's."""
        made_up = Customer(0, f"the customer {account}", account, {})
        path = f"/v1/customers/lookup?customer_account={account}"
        return self._look(path, lambda client: client.customer_by_account(account), made_up)  # type: ignore[no-any-return]

    def search_customers(self, term: str) -> List[Customer]:
        """As the client's."""
        made_up = [Customer(0, f"the customer found by “{term}”", "?", {})]
        path = f"/v1/customers/search?term={term}"
        return self._look(path, lambda client: client.search_customers(term), made_up)  # type: ignore[no-any-return]

    def pbx_host(self, host_name: str) -> Optional[PbxHost]:
        """As the client's."""
        owner = Customer(0, f"the customer of the PBX {host_name}", "?", {})
        made_up = PbxHost(0, host_name, True, (owner,))
        path = f"/v1/pbx3cx-hosts/lookup?host_name={host_name}"
        return self._look(path, lambda client: client.pbx_host(host_name), made_up)  # type: ignore[no-any-return]

    def pbx_hosts_of(self, account: str) -> List[PbxHost]:
        """As the client's."""
        path = f"/v1/pbx3cx-hosts/lookup-by-customer?customer_account={account}"
        return self._look(path, lambda client: client.pbx_hosts_of(account), [])  # type: ignore[no-any-return]

    def contacts(self, customer_id: int) -> List[Contact]:
        """As the client's; a made-up one fits every role."""
        path = f"/v1/contacts?contactable_type=App\\Customer&contactable_id={customer_id}"
        return self._look(path, lambda client: client.contacts(customer_id), [])  # type: ignore[no-any-return]

    def search_tickets(self, *, customer_id: int, **filters: Any) -> List[Ticket]:
        """As the client's; nothing is found."""
        words = "&".join(f"filter[{name}]={value}" for name, value in filters.items())
        path = f"/v1/tickets/search?filter[ticketable_id]={customer_id}&{words}"
        return self._look(  # type: ignore[no-any-return]
            path, lambda client: client.search_tickets(customer_id=customer_id, **filters), []
        )

    def ticket(self, ticket_id: int) -> Ticket:
        """As the client's; it is open."""
        path = f"/v1/tickets/{ticket_id}"
        return self._look(path, lambda client: client.ticket(ticket_id), _ticket(ticket_id))  # type: ignore[no-any-return]

    def replies(self, ticket_id: int) -> List[Reply]:
        """As the client's."""
        path = f"/v1/replies?ticket_id={ticket_id}"
        return self._look(path, lambda client: client.replies(ticket_id), [])  # type: ignore[no-any-return]

    # --- changing

    def create_ticket(self, customer_id: int, **fields: Any) -> Ticket:
        """As the client's, but it only writes it down."""
        self._change("POST", f"/v1/tickets?{_CUSTOMER}{customer_id}", **fields)
        return _ticket(0)

    def update_ticket(self, ticket_id: int, **fields: Any) -> Ticket:
        """As the client's, but it only writes it down."""
        self._change("PUT", f"/v1/tickets/{ticket_id}", **fields)
        return _ticket(ticket_id)

    def associate_contacts(self, ticket_id: int, attach: Sequence[int]) -> str:
        """As the client's, but it only writes it down."""
        self._change(
            "PUT", f"/v1/tickets/{ticket_id}/associates", associated=list(attach), unassociated=[]
        )
        return ""

    def open_ticket(self, ticket_id: int) -> str:
        """As the client's, but it only writes it down."""
        self._change("PUT", f"/v1/tickets/open/{ticket_id}")
        return ""

    def close_ticket(self, ticket_id: int) -> str:
        """As the client's, but it only writes it down."""
        self._change("PUT", f"/v1/tickets/close/{ticket_id}")
        return ""

    def create_reply(self, ticket_id: int, body: str, **options: Any) -> Reply:
        """As the client's, but it only writes it down."""
        self._change("POST", f"/v1/replies?ticket_id={ticket_id}", body=body, **options)
        return Reply(0, ticket_id, body, True, "", "")


def _ticket(ticket_id: int) -> Ticket:
    return Ticket(
        id=ticket_id,
        number="(new)",
        subject="",
        body="",
        open=True,
        priority_id=None,
        status_id=None,
        team_id=None,
        assignee_id=None,
        customer_id=None,
        closed_at="",
        created_at="",
        estimated_resolution_date="",
        tags=(),
        replies=None,
        contacts=None,
    )


class _ReadOnlyCache(Cache):
    def put(self, kind: str, key: str, value: Any) -> None:
        """What is made up is not kept."""

    def clear(self, kind: str) -> None:
        """Nothing is forgotten either."""


class _KnownNames(Names):
    """Names to ids as far as the cache knows them: a name it does not know stands for itself."""

    def ids(self, settings: Settings) -> Dict[str, Optional[int]]:
        """As Names.ids; what a call would have to say is 0."""
        try:
            return super().ids(settings)
        except AttributeError:  # the notebook has no lists
            return dict.fromkeys(("priority", "category", "sub_category", "team", "status"), 0)


class RehearsalDesk(Desk):
    """A desk whose client is a notebook. ``real`` is None, or who answers what is read."""

    def rehearse(self, real: Optional[Client]) -> Notebook:
        """Put the notebook in the client's place."""
        notebook = Notebook(real)
        self.cache = _ReadOnlyCache(self.state_dir, self.config.api.url, self.clock)
        self._made["client"] = notebook
        self._made["names"] = (
            Names(self.config, real, self.cache)
            if real is not None
            else _KnownNames(self.config, notebook, self.cache)  # type: ignore[arg-type]
        )
        return notebook


class _Unwritten(Event):
    def note(self, **record: Any) -> None:
        self.journal.append(record)


class _Unchanged(Queue):
    def remove(self, event: Event) -> None:
        pass


class _Unsaved(State):
    def save(self) -> None:
        pass


class Rehearsal(Delivery):
    """A delivery that changes nothing; ``done`` is the situation at its end."""

    done: Optional[Situation] = None

    def _record(self, situation: Situation, done: Situation) -> None:
        self.done = done


@dataclass
class Shown:
    """What a rehearsal showed."""

    outcome: Outcome
    calls: List[Call]
    rehearsal: Rehearsal
    steps: List[str] = field(default_factory=list)


def rehearse(
    capture: Capture, alert: Alert, desk: RehearsalDesk, state: State, real: Optional[Client]
) -> Shown:
    """Deliver CAPTURE to a notebook. Raises what Delivery.run raises."""
    notebook = desk.rehearse(real)
    event = _Unwritten("0-rehearsal.jsonl", capture, [])
    unsaved = _Unsaved(state.path, dict(state._texts))
    queue = _Unchanged(desk.state_dir)
    rehearsal = Rehearsal(event, alert, desk, unsaved, threading.Lock(), queue)
    outcome = rehearsal.run()
    steps = [record["step"] for record in event.journal if "step" in record]
    return Shown(outcome, notebook.calls, rehearsal, steps)
