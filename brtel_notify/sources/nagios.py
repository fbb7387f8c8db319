"""Nagios Core, Icinga 1: macros in the environment (``enable_environment_macros=1``).

Naemon has no such setting: there, and wherever it is off, the macros come by ``--var``.
"""

from __future__ import annotations

from brtel_notify.sources.source import WEB_PAGES, Source, query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

    from brtel_notify.alert import Alert
    from brtel_notify.intake.capture import Capture
    from brtel_notify.sources.source import PageKey

MACROS_HELP = """\
usage: brtel-notify {source} [--var NAME=VALUE]... [--dry-run]

Captures {variables} variables of the environment as one notification.
--var adds a variable, or overrides one.
{hint}

example (a notification made by hand):
  brtel-notify {source} --var NOTIFICATIONTYPE=PROBLEM --var HOSTSTATE=DOWN \\
      --var HOSTNAME=acme.3cx.fr --var HOSTOUTPUT="no answer to ping"
"""


class Nagios(Source):
    """Nagios Core and its like."""

    name = "nagios"
    product = "Nagios"
    products = "Nagios, Naemon."
    takes = ("", "captures NAGIOS_* and ICINGA_* variables [--var NAME=VALUE]")
    about = "capture one notification of Nagios or Naemon"
    help = MACROS_HELP.format(
        source="nagios",
        variables="NAGIOS_* and ICINGA_*",
        hint="Nagios sets the rest when enable_environment_macros=1; Naemon has no such\n"
        "setting: there the drop-in passes each by --var.",
    )
    prefixes = ("NAGIOS_", "ICINGA_")
    page_keys: Mapping[str, PageKey] = {"url": WEB_PAGES}

    def parse(self, capture: Capture) -> Alert:
        """See macros.py."""
        from brtel_notify.sources import macros

        return macros.parse(capture)

    def page(self, options: Mapping[str, str], alert: Alert) -> str:
        """As Nagios's own $HOSTINFOURL$ and $SERVICEINFOURL$; Thruk (Naemon) has the same pages."""
        base = options["url"]
        if "cgi-bin" not in base.split("/"):  # Debian also serves them below /cgi-bin/nagios4
            base += "/cgi-bin"
        values = {"type": "2" if alert.service else "1", "host": alert.host}
        if alert.service:
            values["service"] = alert.service
        return f"{base}/extinfo.cgi?{query(values)}"


SOURCE = Nagios()
