"""The desk: what stands there, and the people who work at it."""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Dict, List, Mapping, Protocol, Sequence

import requests

from brtel_notify.sandbox import seed
from brtel_notify.sandbox.dialect import camel
from soak.judge import Call, Desk
from soak.model import Thing

#: What a ticket made of another one's mail has of it.
_KEPT = (
    *("ticketable_type", "ticketable_id", "priority_id"),
    *("ticket_category_id", "ticket_sub_category_id"),
)
_REPLY = ("close", "send_to_assignee", "send_to_contacts", "customer_visible", "notify_customer")


_PERSON = {"email": "p.martin@example.net", "password": f"{seed.SECRET}-user-2"}

#: One call of a person's: method, path below the API's address, fields, token; its answer.
Ask = Callable[[str, str, Mapping[str, Any], str], Any]


class Sandbox(Protocol):
    """What is asked of a sandbox, in a process of its own or not."""

    def requests(self) -> List[Dict[str, Any]]:
        """The calls it got."""

    def clear_requests(self) -> None:
        """Forget them."""

    def data(self) -> Dict[str, List[Dict[str, Any]]]:
        """All that it has."""


class People:
    """Those at the desk. They act between the rounds, when it is known what stands there."""

    def __init__(self, sandbox: Sandbox, ask: Ask, chance: random.Random) -> None:
        self._sandbox = sandbox
        self._ask = ask
        self._chance = chance
        self._calls: List[Call] = []
        self._strangers: Dict[int, int] = {}
        self._accounts: Dict[int, str] = {}
        self._token = ""

    def wait_for_calls(self) -> None:
        """Until no call is under way any more; they are noted down."""
        while any(call["status"] is None for call in self._sandbox.requests()):
            time.sleep(0.05)
        self._calls += [Call.of(call) for call in self._sandbox.requests()]
        self._sandbox.clear_requests()

    def desk(self) -> Desk:
        """What stands there now."""
        self.wait_for_calls()
        data = self._sandbox.data()
        self._accounts = {one["id"]: one["customer_account"] for one in data["customers"]}
        return Desk(data["tickets"], self._calls, self._accounts, dict(self._strangers))

    def act(self, things: Sequence[Thing]) -> None:
        """Close a ticket or two; and one's mail about another one becomes a ticket."""
        tickets = [
            one for one in self.desk().tickets if one["open"] and one["id"] not in self._strangers
        ]
        self._chance.shuffle(tickets)
        for ticket in tickets[: self._chance.randrange(3)]:
            self._close(ticket, things)
        for ticket in tickets[3:4]:
            self._quote(ticket)
        self.wait_for_calls()
        self._calls = [call for call in self._calls if call.marks]

    def _close(self, ticket: Mapping[str, Any], things: Sequence[Thing]) -> None:
        number = ticket["id"]
        flags = dict.fromkeys(_REPLY, False)
        flags.update({camel(name): False for name in _REPLY})  # in either dialect
        said = {**flags, "ticket_id": number, "ticketId": number}
        self._call("POST", "replies", body="<p>Not now, I take care of it.</p>", **said)
        self._call("PUT", f"tickets/close/{number}")
        text = str(ticket)
        for thing in things:
            told = any(event.mark in text for event in thing.life)
            if told or (thing.doubt and thing.tag in text):
                thing.dismiss()

    def _quote(self, ticket: Mapping[str, Any]) -> None:
        """A person's ticket that quotes ours, reference and all."""
        made = self._call(
            "POST",
            "tickets",
            subject=f"Re: {ticket['subject']}"[:255],
            body=f"<p>Is this over?</p><blockquote>{ticket['body']}</blockquote>",
            **{name: ticket[name] for name in _KEPT},
        )
        self._strangers[made["id"]] = 0

    def _call(self, method: str, path: str, **fields: Any) -> Any:
        if not self._token:
            self._token = self._ask("POST", "login", _PERSON, "")["token"]
        return self._ask(method, f"v1/{path}", fields, self._token)


def over_http(url: str) -> Ask:
    """Calls of people at that API."""

    def ask(method: str, path: str, fields: Mapping[str, Any], token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                method, f"{url}/{path}", json=fields, headers=headers, timeout=30
            )
        if answer.status_code not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json()

    return ask
