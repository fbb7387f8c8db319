"""LibreNMS: a transport, which its web pages and its dispatcher load."""

from __future__ import annotations

from typing import List

from brtel_notify.setup.drop_in import DropIn, Job, Location
from brtel_notify.setup.machine_files import COMMAND

_TRANSPORT = "LibreNMS/Alert/Transport"
#: Patterns for systemctl: its web pages, whatever PHP it is, and its dispatcher, if it has one.
_PHP = "'php*-fpm.service' 'librenms*.service'"


class LibreNMS(DropIn):
    """See docs/librenms.md."""

    title = "LibreNMS"
    folder = "librenms"
    files = ("Bluerocktel.php",)
    locations = (Location(f"/opt/librenms/{_TRANSPORT}", users=("librenms",), service=_PHP),)

    def steps(self, job: Job) -> List[str]:
        """See :class:`DropIn`."""
        form = {"Command": job.command.path, "Configuration file": job.command.config}
        form["State folder"] = job.command.state_dir
        usual = ("", COMMAND)
        fields = "".join(f", {name} {value}" for name, value in form.items() if value not in usual)
        restart = job.restart()
        steps = [f"{restart} (a running daemon has not got its new group)"] if restart else []
        return [
            *steps,
            f"in LibreNMS, Alerts > Alert Transports: add one of the type BlueRockTEL{fields}",
            "press Test transport beside it: it opens no ticket",
            "Alerts > Alert Rules: name the transport in the rules that shall open tickets"
            " (a default transport serves all rules)",
        ]


DROP_IN = LibreNMS()
