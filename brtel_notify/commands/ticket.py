"""``brtel-notify ticket``: what an operator does to one ticket."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import time
from typing import Any, Dict, Iterator, List, Optional, Tuple

from brtel_notify.alert import own_reference
from brtel_notify.api.exceptions import ApiError, NotFound
from brtel_notify.api.fields import in_snake_case, parse_date
from brtel_notify.api.records import Reply
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console import map_after_command
from brtel_notify.console.configured import services_of
from brtel_notify.console.find_ticket import Found, find
from brtel_notify.console.output import paint, print_json
from brtel_notify.delivery.place import Place
from brtel_notify.delivery.services import Services
from brtel_notify.local import command_line
from brtel_notify.local.cleaning import line_of
from brtel_notify.local.log import WARNING
from brtel_notify.local.os_errors import because
from brtel_notify.options import Options, Stop
from brtel_notify.text import markup, times
from brtel_notify.text.limits import BODY_BYTES
from brtel_notify.text.plaintext import as_text
from brtel_notify.tickets.open_tickets import STATE_FILE, Entry, State
from brtel_notify.tickets.visible_note import CURE
from brtel_notify.tickets.web_page import ticket_page

ACTIONS = ("show", "note", "close", "reopen", "assign", "time")
#: What assign takes for: nobody.
NOBODY = ("nobody", "-")


def run(arguments: List[str], options: Options) -> int:
    """Do one thing to one ticket; the exit code."""
    made = _parser()
    given = command_line.parse(made, arguments, options, intermixed=True)
    _check_words(made, given)
    return _act(given, options)


def _parser() -> argparse.ArgumentParser:
    made = command_line.parser(
        "ticket",
        "One ticket, by its id, number (A7KZ2F), reference (BN-...) or alert's key:\n"
        "  show           the ticket and its replies (also without a word)\n"
        "  note TEXT      an internal note; - takes the text from stdin\n"
        "  close [TEXT]   closes it, with a last note\n"
        "  reopen [TEXT]  opens it again, with a note\n"
        "  assign USER    to the user with this name, e-mail address or id, or to nobody\n"
        "  time MINUTES   adds to the time spent on it; a negative number takes off",
        "brtel-notify ticket A7KZ2F note 'line replaced'",
    )
    made.usage = "brtel-notify ticket TICKET [ACTION] [TEXT | USER | MINUTES]"
    made.add_argument("ticket", help=argparse.SUPPRESS)
    made.add_argument("action", nargs="?", default="show", choices=ACTIONS, help=argparse.SUPPRESS)
    made.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    made.add_argument("--visible", action="store_true", help="the customer sees the note")
    made.add_argument("--json", action="store_true", help="show: for programs")
    made.add_argument("--dry-run", action="store_true", help="find the ticket, and change nothing")
    return made


def _check_words(made: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Leave by SystemExit(2) when the action has not the words it needs."""
    least = 1 if given.action in ("note", "assign", "time") else 0
    most = 0 if given.action == "show" else 1
    count = len(given.words)
    if count > most:
        hint = " (quote a text of several words)" if most else ""
        made.error(f"{given.action} takes {most or 'no'} word{'' if most else 's'}{hint}")
    if count < least:
        made.error(f"{given.action} needs a word more: brtel-notify ticket --help")
    if given.action == "time":
        given.minutes = _minutes(made, given.words[0])


def _minutes(made: argparse.ArgumentParser, word: str) -> float:
    try:
        minutes = float(word)
    except ValueError:
        minutes = 0.0
    if not minutes or not math.isfinite(minutes):
        made.error(f"time needs minutes, such as 30, not {word!r}")
    return int(minutes) if minutes == int(minutes) else minutes


# --- what is done ---------------------------------------------------------------------------------


class Actions:
    """What can be done to one ticket, a method each."""

    def __init__(self, found: Found, services: Services, given: argparse.Namespace) -> None:
        self.ticket, self.entries = found
        self.client = services.client
        self.services = services
        self.given = given
        self.code = 0
        self.name = f"ticket {line_of(self.ticket.number) or self.ticket.id}"

    def check(self) -> None:
        """Raise Stop where a note would be sent that the customer may come to see."""
        if self.given.action in ("note", "close", "reopen") and self.given.words:
            try:
                withheld = "" if self.given.visible else self.services.internal_notes.withheld()
                withheld = withheld and f"{withheld}; {CURE}"
            except OSError as error:
                withheld = because(error, self.services.state_dir)
            if withheld:
                raise Stop(f"no note is sent: {withheld}", os.EX_CONFIG)

    def note(self) -> None:
        """Add a note."""
        self._reply(close=False)
        print(f"noted: {self.name}{self._who_sees_it()}")

    def close(self) -> None:
        """Close it, in one call with its last note."""
        if not self.ticket.open and not self.given.words:
            print(f"{self.name} is closed already")
        elif self.given.words:
            self._reply(close=True)
            print(f"closed: {self.name}, with a note{self._who_sees_it()}")
        else:
            self.client.close_ticket(self.ticket.id)
            print(f"closed: {self.name}")

    def reopen(self) -> None:
        """Open it again."""
        if self.ticket.open:
            print(f"{self.name} is open already")
        else:
            self.client.open_ticket(self.ticket.id)
            print(f"reopened: {self.name}")
        if self.given.words:
            self.note()

    def assign(self) -> None:
        """Give it to a user, or to nobody."""
        wanted = self.given.words[0]
        if wanted.lower() in NOBODY:
            self.client.free_ticket(self.ticket.id)
            print(f"assigned to nobody: {self.name}")
            return
        number = self._user(wanted)
        try:
            user = self.client.assign_ticket(self.ticket.id, number)
        except NotFound:  # the ticket is there: it has just been fetched
            self.services.names.forget_users()
            raise Stop(f"BlueRockTEL has no user with the id {number}") from None
        name = line_of(user.name) if user else ""
        print(f"assigned to {name or wanted}: {self.name}")

    def _user(self, wanted: str) -> int:
        """The id of the user who is called so. Raises Stop."""
        if re.fullmatch(r"[0-9]{1,18}", wanted):
            return int(wanted)
        try:
            number = self.services.names.assignee(wanted, "assign")
        except ConfigError as error:  # whose place is the command line
            raise Stop(str(error).partition("assign: ")[2] or str(error)) from None
        assert number is not None  # noqa: S101 - only the words of NOBODY are nobody
        return number

    def time(self) -> None:
        """Add to the time spent on it."""
        minutes = self.given.minutes
        self.client.amend_ticket(self.ticket.id, minutes)
        done = "added to" if minutes > 0 else "taken off"
        unit = "minute" if abs(minutes) == 1 else "minutes"
        print(f"{abs(minutes):g} {unit} {done} {self.name}")

    def _reply(self, close: bool) -> None:
        body, cut = markup.clean_html(as_html(self.given.text), BODY_BYTES)
        if cut:
            raise Stop(f"the note is longer than BlueRockTEL keeps ({BODY_BYTES} bytes)")
        options, visible = self.services.config.replies, self.given.visible
        reply = self.client.create_reply(
            self.ticket.id,
            body,
            close=close,
            send_to_assignee=options.send_to_assignee,
            send_to_contacts=visible and options.send_to_contacts,  # an internal note stays so
            customer_visible=visible,
        )
        if not visible:
            self._look_at(reply)

    def _look_at(self, reply: Reply) -> None:
        """See whether a note stayed internal; the note is sent, whatever comes of that."""
        notes = self.services.internal_notes
        try:
            notes.look_at(self.ticket.id, line_of(self.ticket.number) or str(self.ticket.id), reply)
            self.code = os.EX_CONFIG if notes.withheld() else 0
        except (ApiError, OSError) as error:
            text = f"whether the note is visible to the customer cannot be seen: {error}"
            self.services.log.say(text, WARNING)

    def _who_sees_it(self) -> str:
        return ", visible to the customer" if self.given.visible else ""


def as_html(text: str) -> str:
    """Plain TEXT as HTML that shows it so: its paragraphs, lines and every character."""
    paragraphs = re.split(r"\n[ \t]*\n\s*", text.strip("\n"))
    return "".join(f"<p>{markup.escaped(part).replace(chr(10), '<br>')}</p>" for part in paragraphs)


def _act(given: argparse.Namespace, options: Options) -> int:
    if given.words and given.action in ("note", "close", "reopen"):
        given.text = _text_from(given.words[0])
    place = Place.of(options)
    services = services_of(options)
    found = find(given.ticket, services.client, _map(place.state_dir, services))
    if given.action == "show":
        return _show(found, services, given.json)
    if options.dry_run or given.dry_run:
        print(f"would {given.action} ticket {found.ticket.number} (id {found.ticket.id})")
        return 0
    actions = Actions(found, services, given)
    actions.check()
    getattr(actions, given.action)()
    changes = {
        "close": map_after_command.closed(services.config),
        "reopen": map_after_command.reopened,
    }
    if given.action in changes:
        try:
            trouble = map_after_command.remember(place, found.ticket.id, changes[given.action])
        except OSError as error:  # another user's state folder: what was asked for is done
            trouble = f"{error.filename or place.state_dir}: {error.strerror}"
        if trouble:
            place.log.error(f"the open-ticket map is not changed: {trouble}")
    return actions.code


def _text_from(word: str) -> str:
    """WORD, or all of stdin where it is ``-``: lines end in \\n, none of them at the end.

    Raises Stop when there is nothing in it.
    """
    if word == "-":
        data = sys.stdin.buffer.read()
        word = data.decode("utf-8", "replace")
    text = word.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if not text.strip():
        raise Stop("there is no text to send")
    return text


def _map(state_dir: str, services: Services) -> State:
    """The open-ticket map; an empty one where it cannot be read: the server knows its tickets."""
    path = os.path.join(state_dir, STATE_FILE)
    try:
        state, damage = State.peek(path)
    except OSError as error:
        state, damage = State(path), f"{path}: {error.strerror}"
    if damage:
        services.log.say(f"{damage}; asking BlueRockTEL alone")
    return state


# --- show -----------------------------------------------------------------------------------------


def _show(found: Found, services: Services, as_json: bool) -> int:
    ticket = found.ticket
    if as_json:
        data = ticket._asdict()
        for name in ("replies", "contacts"):
            data[name] = [item._asdict() for item in data[name] or ()]
        data["alerts"] = {entry.key: entry._asdict() for entry in found.entries}
        print_json(data)
        return 0
    print(paint(f"{line_of(ticket.number)}  {line_of(ticket.subject)}", "bold"))
    raw = services.client.request("GET", f"/v1/tickets/{ticket.id}")
    for name, value in _facts(found, services, _object(raw)):
        if value:
            print(f"  {name + ':':<12}{line_of(value)}")
    page = ticket_page(services.config.api.ticket_page, ticket.id, ticket.number)
    if page:
        print(f"  {'link:':<12}{page}")
    _print_text(ticket.body)
    for reply in ticket.replies or ():
        seen = {True: "visible to the customer", False: "internal", None: ""}
        about = (_date(reply.created_at, services), reply.author_name, seen[reply.customer_visible])
        print()
        print(paint(line_of(", ".join(part for part in about if part)), "blue"))
        _print_text(reply.body)
    return 0


def _object(raw: Any) -> Dict[str, Any]:
    """A record of the API, out of ``data`` where it is wrapped in it."""
    inner = raw.get("data") if isinstance(raw, dict) and "id" not in raw else raw
    return inner if isinstance(inner, dict) else {}


def _facts(found: Found, services: Services, raw: Dict[str, Any]) -> Iterator[Tuple[str, str]]:
    ticket = found.ticket
    yield "id", str(ticket.id)
    closed_at = _date(ticket.closed_at, services)
    yield "state", "open" if ticket.open else f"closed {closed_at}".rstrip()
    yield "customer", _customer(raw, found.entries)
    yield "priority", _name(services, "priority", ticket.priority_id)
    yield "status", _name(services, "status", ticket.status_id)
    yield (
        "category",
        " / ".join(filter(None, (_named(raw, "category"), _named(raw, "sub_category")))),
    )
    yield "team", _name(services, "team", ticket.team_id)
    yield "assignee", _named(raw, "assignee") or (str(ticket.assignee_id or "nobody"))
    yield "contacts", ", ".join(_person(contact) for contact in ticket.contacts or ())
    yield "opened", _date(ticket.created_at, services)
    yield "due", _date(ticket.estimated_resolution_date, services)
    yield "time", _spent(raw)
    yield "tags", ", ".join(ticket.tags)
    yield "reference", own_reference(ticket.body) or ""
    yield "alerts", ", ".join(sorted(_alerts(found.entries)))


def _alerts(entries: List[Entry]) -> Iterator[str]:
    for entry in entries:
        for key, member in entry.members.items():
            yield f"{key} ({member['severity']})"


def _customer(raw: Dict[str, Any], entries: List[Entry]) -> str:
    record = raw.get("ticketable") or raw.get("customer")
    if isinstance(record, dict):
        record = in_snake_case(record)
        return f"{record.get('name') or ''} ({record.get('customer_account') or ''})"
    return f"{entries[0].customer['name']} ({entries[0].customer['account']})" if entries else ""


def _named(raw: Dict[str, Any], relation: str) -> str:
    record = raw.get(relation)
    return str(record.get("name") or "") if isinstance(record, dict) else ""


def _name(services: Services, what: str, number: Optional[int]) -> str:
    """The name of a priority, status or team, as far as it has been fetched or can be."""
    if number is None:
        return ""
    rows = services.names.rows(what)
    return next((row["name"] for row in rows if row["id"] == number), str(number))


def _person(contact: Any) -> str:
    name = f"{contact.first_name} {contact.last_name}".strip()
    return f"{name} <{contact.email}>" if contact.email else name


def _spent(raw: Dict[str, Any]) -> str:
    minutes = raw.get("time")
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or not minutes:
        return ""
    return f"{minutes:g} minutes"


def _date(text: Optional[str], services: Services) -> str:
    seconds = parse_date(text, services.instance.offset or 0.0)
    if seconds is None:
        return text or ""
    age = times.span(time.time() - seconds) if seconds <= time.time() else ""
    shown = times.for_people(seconds, services.config.timezone)
    return f"{shown} ({age} ago)" if age else shown


def _print_text(html: str) -> None:
    text = as_text(markup.clean_html(html, len(html.encode("utf-8", "replace")) + 1000)[0])
    for line in text.split("\n"):
        print(f"  {line_of(line)}".rstrip())
