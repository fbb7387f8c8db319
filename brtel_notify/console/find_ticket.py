"""Which ticket an operator means: by its id, number, reference, or the key of its alert."""

from __future__ import annotations

import re
from typing import Callable, List, NamedTuple, Optional, Tuple

from brtel_notify.alert import own_reference, reference
from brtel_notify.api.client import Client
from brtel_notify.api.exceptions import NotFound
from brtel_notify.api.records import Ticket
from brtel_notify.console.snapshot import is_open
from brtel_notify.options import Stop
from brtel_notify.tickets.open_tickets import Entry, State


class Found(NamedTuple):
    """A ticket as BlueRockTEL has it, and what the map knows of it."""

    ticket: Ticket
    entries: List[Entry]


def find(word: str, client: Client, state: State) -> Found:
    """The ticket that WORD means. Raises Stop if it means none, or several.

    The map is asked first, so that a key and a number cost no search; then the server, which also
    has the tickets of other machines and those whose alert is over.
    """
    entries = state.entries()
    entry = _in_map(word, entries)
    if entry is not None:
        try:
            ticket = client.ticket(entry.ticket_id)
        except NotFound:
            if client.has_ticket(entry.ticket_id, entry.number, entry.reference):
                raise
            raise Stop(f"ticket {entry.number} is not there any more") from None
    else:
        ticket = _on_server(word, client)
    return Found(ticket, [entry for entry in entries if entry.ticket_id == ticket.id])


def _in_map(word: str, entries: List[Entry]) -> Optional[Entry]:
    number = word.lstrip("#").casefold()
    tests: Tuple[Callable[[Entry], bool], ...] = (
        lambda entry: word in (entry.key, entry.reference),
        lambda entry: word in entry.members,
        lambda entry: entry.number.casefold() == number,
    )
    for test in tests:
        fitting = [entry for entry in entries if test(entry)]
        if fitting:
            return max(fitting, key=lambda entry: (is_open(entry), entry.ticket_id))
    return None


def _on_server(word: str, client: Client) -> Ticket:
    if re.fullmatch(r"BN-[0-9a-f]{12}", word):
        return _newest_with(word, client, f"no ticket has the reference {word}")
    if ":" in word:
        text = f"no ticket was opened for {word} (brtel-notify status shows the keys)"
        return _newest_with(reference(word), client, text)
    if word.isascii() and word.isdigit():
        try:
            return client.ticket(int(word))
        except NotFound:
            pass  # a number may be all digits
    return _numbered(word.lstrip("#"), client)


def _newest_with(wanted: str, client: Client, none: str) -> Ticket:
    """The newest ticket with a reference of ours, rather an open one."""
    found = client.search_tickets(body=wanted)
    whole = [client.ticket(ticket.id) for ticket in found]
    mine = [ticket for ticket in whole if own_reference(ticket.body) == wanted]
    if not mine:
        raise Stop(none)
    return max(mine, key=lambda ticket: (ticket.open, ticket.id))


def _numbered(number: str, client: Client) -> Ticket:
    try:
        found = client.search_tickets(number=number) if number else []
    except ValueError:  # a comma
        found = []
    fitting = [ticket for ticket in found if ticket.number.casefold() == number.casefold()]
    if len(fitting) != 1:
        ids = ", ".join(str(ticket.id) for ticket in fitting)
        hint = f"several have this number, with the ids {ids}: name one" if ids else "there is none"
        raise Stop(f"ticket {number}: {hint}")
    return client.ticket(fitting[0].id)
