"""``brtel-notify test``: proves everything a ticket needs."""

from __future__ import annotations

import os
from typing import List

from brtel_notify.console import self_test
from brtel_notify.console.configured import services_of
from brtel_notify.console.report import Report
from brtel_notify.local import command_line
from brtel_notify.options import USAGE, Options
from brtel_notify.setup import librenms_transport


def run(arguments: List[str], options: Options) -> int:
    """Prove configuration, credentials and names; with --open, open and close a real ticket."""
    made = command_line.parser(
        "test",
        "Proves the configuration, the credentials and every name in it against the API, and says"
        " what this BlueRockTEL is like. Opens no ticket, unless told to.",
        "brtel-notify test --open",
    )
    made.add_argument(
        "--open",
        action="store_true",
        help="also open a ticket on the fallback customer, see whether a note on it stays"
        " internal, close it",
    )
    made.add_argument("--account", metavar="CL…", help="with --open: on this customer instead")
    made.add_argument(
        "--report",
        action="store_true",
        help="print what the developers want to know of this BlueRockTEL instead: no secret, no"
        " name, no address",
    )
    given = command_line.parse(made, arguments, options)
    if given.account and not given.open:
        made.error("--account goes with --open")
    report = self_test.prove(options, opens_one=given.open)
    if given.open and not report.code:
        _open(options, given.account, report)
    elif given.open:
        report.note("no ticket was opened: mend first what is wrong above")
    lost = librenms_transport.lost()
    if lost:
        report.bad(lost, os.EX_CONFIG)
    if given.report:
        return _report(options, report)
    self_test.show(report)
    return report.code


def _open(options: Options, account: str, report: Report) -> None:
    from brtel_notify.console import trial_ticket

    services = services_of(options)
    account = account or services.config.customer.fallback or ""
    if not account:
        report.bad("--open needs a customer: --account, or customer.fallback", USAGE)
        return
    try:
        trial_ticket.play(services, account, report)
    finally:
        services.close()


def _report(options: Options, report: Report) -> int:
    """Print the report for the developers; what is wrong, which may name names, on stderr."""
    from brtel_notify.console import instance_report

    for name, value in instance_report.lines(options, report):
        print(f"{name}: {value}")
    self_test.show_failures(report)
    return report.code
