"""Icinga 2: a configuration file of users, commands and notifications."""

from __future__ import annotations

import re
from typing import List

from brtel_notify.setup.drop_in import DropIn, Job, Location
from brtel_notify.setup.machine_files import below, text_in


class Icinga(DropIn):
    """See docs/icinga2.md."""

    title = "Icinga 2"
    folder = "nagios"
    files = ("brtel-notify-icinga2.conf",)
    others = ("brtel-notify-director-basket.json",)
    locations = (
        Location(
            "/etc/icinga2/conf.d",
            "/etc/icinga2/icinga2.conf",
            ("icinga", "nagios"),  # Debian's package runs it as nagios
            "icinga2",
            "icinga2 daemon -C",
        ),
    )

    def settled(self, location: Location, root: str) -> Location:
        """conf.d, or where a cluster has switched that off, the folder of this master's zone."""
        text = text_in(below(root, location.main))
        if not text or re.search(r'^\s*include_recursive\s+"conf\.d"', text, re.MULTILINE):
            return location
        constants = text_in(below(root, "/etc/icinga2/constants.conf"))
        zone = re.search(r'^\s*const\s+ZoneName\s*=\s*"([\w.-]+)"', constants, re.MULTILINE)
        folder = f"/etc/icinga2/zones.d/{zone.group(1) if zone else 'master'}"
        return location._replace(folder=folder)

    def steps(self, job: Job) -> List[str]:
        """See :class:`DropIn`."""
        return [
            "in the hosts and services whose alerts shall open tickets: vars.brtel_notify = true"
            f" (with Icinga Director, instead of this file: {job.program} install icinga --file"
            " brtel-notify-director-basket.json --print | icingacli director basket restore)",
            f"icinga2 daemon -C && {job.restart('icinga2')}",
        ]


DROP_IN = Icinga()
