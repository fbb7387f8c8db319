"""What a BlueRockTEL is like, a line each: who we are there, which dialect it speaks, how it looks
things up, its time zone, its lists, and whether internal notes stay internal.

Nothing of it can be read in advance (docs/compatibility.md). None of these lines fails the test,
but for a note that came out visible to the customer.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, List, Optional

from brtel_notify.api.instance import KEPT, UNSAID
from brtel_notify.console.raw_answers import (
    RawAnswers,
    dialect_of,
    form_of,
    keys_of,
    rows_of,
    unless_refused,
)
from brtel_notify.console.report import Report
from brtel_notify.tickets import visible_note

if TYPE_CHECKING:
    from brtel_notify.api.client import Client
    from brtel_notify.api.instance import Instance
    from brtel_notify.api.records import Customer, User
    from brtel_notify.config.schema import Config
    from brtel_notify.delivery.services import Services

#: From this role on, a user sees all customers' files (BlueRockTEL's PHP SDK and collection).
SEES_ALL_FILES = 8
#: A search that finds something wherever anybody can be found.
ANYBODY = "a"
#: An account that no customer has.
NOBODYS = "brtel-notify-test"
UNSAID_TEXT = (
    "BlueRockTEL does not say whether a note is visible to customers: look at one yourself"
)
#: Names of a record that tell its dialect best.
_TELLING = {
    "customers": ("customer_account", "on_call_duty"),
    "replies": ("ticket_id", "customer_visible"),
}


# --- who we are -----------------------------------------------------------------------------------


def who(client: Client) -> Optional[User]:
    """Whose credential it is, None where that cannot be told. Raises ApiError for an outage."""
    return unless_refused(client.own_user)


def named(user: Optional[User]) -> str:
    """What a USER is called."""
    if user is None:
        return "the API's user"
    name = user.name or f"user {user.id}"
    return name if user.role is None else f"{name} (role {user.role})"


def not_found(account: str, user: Optional[User]) -> str:
    """That there is no such customer, or that there is one whom USER may not see."""
    text = f"no customer has the account {account}"
    sees_all = user is not None and user.role is not None and user.role >= SEES_ALL_FILES
    return text if sees_all else f"{text}, or {named(user)} may not see it"


def _who(user: Optional[User], sees: bool, report: Report) -> None:
    name = named(user) if user else "the token names nobody"
    if not sees:
        text = "sees no customer: one that is not found may be there all the same"
        report.note(f"who we are: {name}; {text}")
    elif user is None:
        report.note(f"who we are: {name}; sees customers")
    elif user.role is not None and user.role < SEES_ALL_FILES:
        report.note(f"who we are: {name}; sees customers, but below role 8 the sales' files only")
    else:
        report.good(f"who we are: {name}; sees customers")


# --- what it is like ------------------------------------------------------------------------------


def prove(
    services: Services, user: Optional[User], customer: Optional[Customer], report: Report
) -> None:
    """Say what the instance is like, as USER sees it; CUSTOMER is the fallback, if it was found.

    Raises ApiError for an outage.
    """
    answers = RawAnswers(services.client)
    customers = search(answers, customer.account if customer else ANYBODY)
    sees = customer is not None or bool(rows_of(customers))
    _who(user, sees, report)
    replies = answers.replies()
    _dialect("customers", keys_of(rows_of(customers)), report)
    _dialect("replies", keys_of(rows_of(replies)), report)
    report.good(f"lookups: {lookups(services, answers)}")
    lists = {
        "customers": customers,
        "tickets": answers.get("/v1/tickets"),
        "replies": replies,
    }
    report.good(f"lists come {forms({name: form_of(answer) for name, answer in lists.items()})}")


def search(answers: RawAnswers, term: str) -> object:
    """What the search of customers answers."""
    return answers.get("/v1/customers/search", term=term)


def _dialect(kind: str, keys: List[str], report: Report) -> None:
    if not keys:
        report.note(f"{kind}: not seen yet, so their dialect is not known; both are read and sent")
        return
    wanted = {name.replace("_", "") for name in _TELLING[kind]}
    telling = [key for key in keys if key.replace("_", "").lower() in wanted]
    names = f" ({', '.join(telling)})" if telling else ""
    report.good(f"{kind}: {dialect_of(telling) or dialect_of(keys) or 'no name tells'}{names}")


def lookups(services: Services, answers: RawAnswers) -> str:
    """Whether there are lookups, in words; asked once more if nothing has shown it yet."""
    instance = services.instance
    if instance.lookups is None:
        unless_refused(lambda: services.client.customer_by_account(NOBODYS))
    there = instance.lookups
    if there is None:
        answer = answers.get("/v1/customers/lookup", customer_account=NOBODYS)
        there = True if isinstance(answer, dict) and "found" in answer else None
    if there is None:
        return "not known yet: no customer has been found by one"
    if there:
        return "yes"
    return "none here (as in 2023): customers are found by search and /v1/customerAccounts"


def forms(lists: Dict[str, str]) -> str:
    """How lists come: ``bare: tickets, replies; by the page: customers``."""
    by_form: Dict[str, List[str]] = {}
    for name, form in lists.items():
        if form:
            by_form.setdefault(form, []).append(name)
    return "; ".join(f"{form}: {', '.join(names)}" for form, names in by_form.items())


def zone(offset: Optional[float]) -> str:
    """An OFFSET in seconds as ``UTC+5:30``."""
    if not offset:
        return "UTC"
    hours, minutes = divmod(round(abs(offset) / 60), 60)
    tail = f":{minutes:02d}" if minutes else ""
    return f"UTC{'+' if offset > 0 else '-'}{hours}{tail}"


def say_zone(instance: Instance, report: Report) -> None:
    """The time zone, as far as a ticket of ours has shown it."""
    if instance.offset is None:
        text = "not known yet; the first ticket shows it (or test --open)"
        report.note(f"time zone: {text}")
    else:
        report.good(f"time zone: {zone(instance.offset)}, as the last ticket of ours showed")


# --- internal notes -------------------------------------------------------------------------------


def alarm(config: Config, state_dir: str) -> Optional[visible_note.VisibleNote]:
    """The note that came out visible, unless customers may see notes. Raises OSError."""
    return None if config.replies.customer_visible else visible_note.look(state_dir)


def say_notes(services: Services, report: Report) -> None:
    """Whether internal notes stay so. Raises OSError."""
    seen = alarm(services.config, services.state_dir)
    kept = services.instance.internal
    if services.config.replies.customer_visible:
        report.good("notes: customers may see them (replies.customer_visible)")
    elif seen:
        report.bad(f"{seen}; {visible_note.CURE}", os.EX_CONFIG)
    elif kept == KEPT:
        report.good("internal notes stay internal")
    elif kept == UNSAID:
        report.note(f"internal notes: {UNSAID_TEXT}")
    else:
        report.note("internal notes: not seen yet (test --open looks)")
