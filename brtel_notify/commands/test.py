"""``brtel-notify test``: proves everything a ticket needs."""

from __future__ import annotations

import os
from typing import List

from brtel_notify.console import self_test
from brtel_notify.console.configured import services_of
from brtel_notify.local import command_line
from brtel_notify.options import Options


def run(arguments: List[str], options: Options) -> int:
    """Prove configuration, credentials and names; with --open, open and close a real ticket."""
    made = command_line.parser(
        "test",
        "Proves the configuration, the credentials and every name in it against the API."
        " Opens no ticket, unless told to.",
        "brtel-notify test --open",
    )
    made.add_argument(
        "--open", action="store_true", help="also open a ticket on the fallback customer, close it"
    )
    made.add_argument("--account", metavar="CL…", help="with --open: on this customer instead")
    given = command_line.parse(made, arguments, options)
    if given.account and not given.open:
        made.error("--account goes with --open")
    report = self_test.prove(options)
    if given.open and not report.code:
        _open(options, given.account, report)
    self_test.show(report)
    return report.code


def _open(options: Options, account: str, report: self_test.Report) -> None:
    from brtel_notify.api.exceptions import ApiError
    from brtel_notify.tickets.ids_of_names import LISTS
    from brtel_notify.tickets.settings import Settings

    services = services_of(options)
    config = services.config
    account = account or config.customer.fallback or ""
    if not account:
        report.bad("--open needs a customer: --account, or customer.fallback", 2)
        return
    try:
        customer = services.client.customer_by_account(account)
        if customer is None:
            report.bad(f"no customer has the account {account}", os.EX_CONFIG)
            return
        settings = Settings({}, {})
        settings.set({name: getattr(config.ticket, name) for name in LISTS}, "ticket")
        ids = services.names.ids(settings)
        ticket = services.client.create_ticket(
            customer.id,
            subject="brtel-notify test",
            body="<p>Opened by <strong>brtel-notify test --open</strong>, and closed again.</p>",
            priority_id=ids["priority"] or 0,
            category_id=ids["category"] or 0,
            sub_category_id=ids["sub_category"] or 0,
            tags=config.ticket.tags,
            team_id=ids["team"],
            status_id=ids["status"],
        )
        report.good(f"opened ticket {ticket.number} for {customer.name} ({account})")
        services.client.create_reply(
            ticket.id,
            "<p>Closed by <strong>brtel-notify test --open</strong>.</p>",
            close=True,
            send_to_assignee=False,
            send_to_contacts=False,
            customer_visible=False,
        )
        report.good(f"closed ticket {ticket.number} again")
    except ApiError as error:
        code = os.EX_UNAVAILABLE if error.retry else os.EX_CONFIG
        report.bad(f"api: {error}", code)
