"""Zabbix: an alert script, and a media type that calls it."""

from __future__ import annotations

import os
from typing import List

from brtel_notify.setup.drop_in import DropIn, Job, Location
from brtel_notify.setup.machine_files import below, directives


class Zabbix(DropIn):
    """See docs/zabbix.md."""

    title = "Zabbix"
    folder = "zabbix"
    files = ("brtel-notify",)
    others = (
        "media_brtel_notify.yaml",
        "media_brtel_notify_7.0.yaml",
        "template_brtel_notify.yaml",
        "userparameter_brtel_notify.conf",
    )
    mode = 0o755
    locations = (
        Location(
            "/usr/lib/zabbix/alertscripts",
            "/etc/zabbix/zabbix_server.conf",
            ("zabbix",),
            "zabbix-server",
        ),
        Location(
            "/usr/local/share/zabbix/alertscripts",
            "/usr/local/etc/zabbix_server.conf",
            ("zabbix",),
            "zabbix-server",
        ),
    )

    def settled(self, location: Location, root: str) -> Location:
        """The folder is what the server's configuration says, if it says one."""
        named = directives(below(root, location.main)).get("AlertScriptsPath", [""])
        folder = named[-1].rstrip("/")
        return location._replace(folder=folder) if folder.startswith("/") else location

    def is_there(self, location: Location, root: str) -> bool:
        """A folder that its configuration names is made."""
        paths = (location.main, location.folder)
        return any(os.path.exists(below(root, path)) for path in paths)

    def steps(self, job: Job) -> List[str]:
        """See :class:`DropIn`."""
        restart = job.restart()
        steps = [f"{restart} (a running daemon has not got its new group)"] if restart else []
        old, new = (
            f"{job.program} install zabbix --file {name} --print > media.yaml"
            for name in ("media_brtel_notify.yaml", "media_brtel_notify_7.0.yaml")
        )
        return [
            *steps,
            f"Zabbix 6.0 to 6.4: {old}; 7.0 and later: {new}. Import that file on Zabbix's page"
            " Media types",
            "give the media to a user of its own, and that user to an action's operations, recovery"
            " operations and update operations",
        ]


DROP_IN = Zabbix()
