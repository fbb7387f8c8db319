"""Icinga 2: the variables that the ``env`` dictionary of a NotificationCommand sets."""

from __future__ import annotations

from brtel_notify.sources.nagios import MACROS_HELP
from brtel_notify.sources.source import PageKey, Source, query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

    from brtel_notify.alert import Alert
    from brtel_notify.intake.capture import Capture


class Icinga(Source):
    """Icinga 2, whose pages are Icinga Web's."""

    name = "icinga"
    product = "Icinga"
    products = "Icinga 2."
    takes = ("", "the same for Icinga 2's ICINGA_* variables")
    about = "capture one notification of Icinga 2"
    help = MACROS_HELP.format(
        source="icinga",
        variables="ICINGA_*",
        hint="Icinga 2 sets the rest from the NotificationCommand's env.",
    )
    prefixes = ("ICINGA_",)
    page_keys: Mapping[str, PageKey] = {
        "url": PageKey("The address of Icinga Web, `https://…/icingaweb2`. `null`: no link."),
        "module": PageKey(
            "The module of Icinga Web that shows hosts and services. `icingadb`: Icinga DB Web;"
            " `monitoring`: the older one.",
            "icingadb",
            ("icingadb", "monitoring"),
        ),
    }

    def parse(self, capture: Capture) -> Alert:
        """See macros.py."""
        from brtel_notify.sources import macros

        return macros.parse(capture)

    def page(self, options: Mapping[str, str], alert: Alert) -> str:
        """As Icinga DB Web's own (library/Icingadb/Common/Links.php), or the older module's."""
        if options["module"] == "monitoring":
            values = {"host": alert.host}
            page = "host/show"
            if alert.service:
                page, values["service"] = "service/show", alert.service
        elif alert.service:
            page, values = "service", {"name": alert.service, "host.name": alert.host}
        else:
            page, values = "host", {"name": alert.host}
        return f"{options['url']}/{options['module']}/{page}?{query(values)}"


SOURCE = Icinga()
