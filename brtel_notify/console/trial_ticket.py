"""The ticket that ``test --open`` opens, has a note on, and closes: what only a ticket shows.

Who it goes to, the instance's time zone, and whether an internal note stays internal.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional

from brtel_notify.api.exceptions import ApiError, CredentialsError
from brtel_notify.api.instance import KEPT, UNSAID
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console import instance_proof
from brtel_notify.console.report import Report
from brtel_notify.delivery.internal_notes import InternalNotes
from brtel_notify.local.log import INFO, Log
from brtel_notify.local.os_errors import because
from brtel_notify.tickets import visible_note

if TYPE_CHECKING:
    from brtel_notify.api.records import Customer, Ticket
    from brtel_notify.delivery.services import Services
    from brtel_notify.tickets.settings import Settings


def play(services: Services, account: str, report: Report) -> None:
    """Open a ticket on the customer with that ACCOUNT, close it, and say what it showed."""
    try:
        ticket = _opened(services, account, report)
        if ticket is not None:
            _look_at(ticket, services, report)
    except (ConfigError, CredentialsError) as error:
        report.bad(str(error), os.EX_CONFIG)
    except ApiError as error:
        _failed(error, report)
    except OSError as error:
        report.bad(f"state folder: {because(error, services.state_dir)}", os.EX_TEMPFAIL)


def _failed(error: ApiError, report: Report) -> None:
    report.bad(f"api: {error}", os.EX_UNAVAILABLE if error.retry else os.EX_CONFIG)


def _opened(services: Services, account: str, report: Report) -> Optional[Ticket]:
    customer = services.client.customer_by_account(account)
    if customer is None:
        user = instance_proof.who(services.client)
        report.bad(instance_proof.not_found(account, user), os.EX_CONFIG)
        return None
    ticket = _create(services, customer)
    report.good(f"opened ticket {ticket.number} for {customer.name} ({account})")
    return ticket


def _create(services: Services, customer: Customer) -> Ticket:
    ids = services.names.ids(_settings(services))
    return services.client.create_ticket(
        customer.id,
        subject="brtel-notify test",
        body="<p>Opened by <strong>brtel-notify test --open</strong>, and closed again.</p>",
        priority_id=ids["priority"] or 0,
        category_id=ids["category"] or 0,
        sub_category_id=ids["sub_category"] or 0,
        tags=services.config.ticket.tags,
        team_id=ids["team"],
        status_id=ids["status"],
    )


def _settings(services: Services) -> Settings:
    from brtel_notify.tickets.ids_of_names import LISTS
    from brtel_notify.tickets.settings import Settings

    settings = Settings({}, {})
    settings.set({name: getattr(services.config.ticket, name) for name in LISTS}, "ticket")
    return settings


def _look_at(ticket: Ticket, services: Services, report: Report) -> None:
    """Assign, note, close; whatever of it fails, the ticket is closed.

    Raises ApiError, ConfigError, OSError.
    """
    is_closed = False
    try:
        services.instance.learn_offset(ticket.opened_at, ticket.created_at)
        instance_proof.say_zone(services.instance, report)
        _assign(ticket, services, report)
        services.instance.forget_internal()  # of another day, or before it was mended
        reply = services.client.create_reply(
            ticket.id,
            "<p>Closed by <strong>brtel-notify test --open</strong>.</p>",
            close=True,
            send_to_assignee=False,
            send_to_contacts=False,
            customer_visible=False,
        )
        is_closed = True
        _notes(services).look_at(ticket.id, ticket.number or str(ticket.id), reply)
        _say_notes(services, report, f"ticket {ticket.number}, reply {reply.id}")
    finally:
        if not is_closed:
            services.client.close_ticket(ticket.id)
        report.good(f"closed ticket {ticket.number} again")


def _notes(services: Services) -> InternalNotes:
    wanted = not services.config.replies.customer_visible
    log, clock = _Unheard(), services.clock
    return InternalNotes(wanted, services.client, services.state_dir, log, clock)


def _assign(ticket: Ticket, services: Services, report: Report) -> None:
    wanted = services.config.ticket.assignee
    if wanted is None:
        return
    try:
        user_id = services.names.assignee(wanted, "ticket.assignee")
        if user_id is None:
            services.client.free_ticket(ticket.id)
            report.good("assigned to nobody (ticket.assignee)")
            return
        user = services.client.assign_ticket(ticket.id, user_id)
        report.good(f"assigned to {user.name if user else wanted} (ticket.assignee)")
    except ConfigError as error:
        report.bad(str(error), os.EX_CONFIG)
    except ApiError as error:
        if error.retry:
            raise
        where = services.config.where("ticket.assignee")
        report.bad(f"{where}: ticket.assignee: {wanted}: {error}", os.EX_CONFIG)


def _say_notes(services: Services, report: Report, note: str) -> None:
    """What came of the NOTE; the alarm goes where one stayed internal, or may be seen."""
    kept = services.instance.internal
    if not kept and instance_proof.alarm(services.config, services.state_dir):
        report.bad(f"the note of this test is visible to the customer: {note}", os.EX_CONFIG)
    if services.config.replies.customer_visible or kept == KEPT:
        visible_note.clear(services.state_dir)
    instance_proof.say_notes(services, report)
    if kept == UNSAID and instance_proof.alarm(services.config, services.state_dir):
        report.note(f"internal notes: {instance_proof.UNSAID_TEXT}")


class _Unheard(Log):
    """The report says it."""

    def say(self, text: str, level: str = INFO, **fields: Any) -> None:
        """Nothing."""
