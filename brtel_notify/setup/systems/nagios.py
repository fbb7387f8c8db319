"""Nagios Core and Naemon: a configuration file of contacts and commands."""

from __future__ import annotations

import os
from typing import List

from brtel_notify.setup.drop_in import DropIn, Job, Location
from brtel_notify.setup.machine_files import below, directives


class Nagios(DropIn):
    """See docs/nagios.md."""

    title = "Nagios"
    folder = "nagios"
    files = ("brtel-notify.cfg",)
    locations = (
        Location(
            "/etc/nagios4/conf.d",
            "/etc/nagios4/nagios.cfg",
            ("nagios",),
            "nagios4",
            "nagios4 -v /etc/nagios4/nagios.cfg",
            "/usr/sbin/nagios4",
        ),
        Location(
            "/etc/nagios/conf.d",
            "/etc/nagios/nagios.cfg",
            ("nagios",),
            "nagios",
            "nagios -v /etc/nagios/nagios.cfg",
            "/usr/sbin/nagios",
        ),
        Location(
            "/etc/naemon/conf.d",
            "/etc/naemon/naemon.cfg",
            ("naemon",),
            "naemon",
            "runuser -u naemon -- naemon -v /etc/naemon/naemon.cfg",  # it refuses root
            "/usr/bin/naemon",
        ),
        Location(
            "/usr/local/nagios/etc/objects",
            "/usr/local/nagios/etc/nagios.cfg",
            ("nagios",),
            "nagios",
            "/usr/local/nagios/bin/nagios -v /usr/local/nagios/etc/nagios.cfg",
            "/usr/local/nagios/bin/nagios",
        ),
    )

    def steps(self, job: Job) -> List[str]:
        """See :class:`DropIn`."""
        location, steps = job.location, []
        naemon = location is not None and location.service == "naemon"
        group = (
            "+brtel-notify-arguments (Naemon has no environment macros)"
            if naemon
            else "+brtel-notify"
        )
        enlist = (
            "in the hosts and services (or their templates) whose alerts shall open tickets:"
            f" contact_groups {group}"
        )
        if location is None:
            return [
                f"in nagios.cfg: enable_environment_macros=1, and cfg_file={job.target}, unless"
                " a cfg_dir has it",
                f"{enlist} (Naemon, which has no environment macros: +brtel-notify-arguments)",
                "restart Nagios, or Naemon",
            ]
        main = location.main
        macros = directives(below(job.root, main)).get("enable_environment_macros", [])
        if naemon:
            pass
        elif not macros:
            steps.append(f"echo enable_environment_macros=1 >> {main}")
        elif macros[-1] != "1":
            steps.append(
                f"sed -i 's/^ *enable_environment_macros *=.*/enable_environment_macros=1/' {main}"
            )
        if not _includes(main, job.target, job.root):
            steps.append(f"echo cfg_file={job.target} >> {main}")
        steps.append(enlist)
        steps.append(f"{location.check} && {job.restart(location.service)}")
        return steps


def _includes(main: str, target: str, root: str) -> bool:
    """Whether the Nagios configuration MAIN reads the file TARGET: cfg_dir is recursive.

    A path that is not absolute begins where MAIN is.
    """
    found = directives(below(root, main))

    def paths(name: str) -> List[str]:
        home = os.path.dirname(main)
        return [os.path.normpath(os.path.join(home, path)) for path in found.get(name, [])]

    folders = tuple(f"{folder}/" for folder in paths("cfg_dir"))
    return target in paths("cfg_file") or target.startswith(folders)


DROP_IN = Nagios()
