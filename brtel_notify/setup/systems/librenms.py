"""LibreNMS: a transport, which its web pages and its dispatcher load."""

from __future__ import annotations

import os
import shlex
from typing import List, Optional

from brtel_notify.setup import git_exclude
from brtel_notify.setup.drop_in import DropIn, Job, Location
from brtel_notify.setup.librenms_transport import CHECKOUT, FILE, FOLDER, LINE, checkout_of
from brtel_notify.setup.machine_files import COMMAND, below
from brtel_notify.setup.unix_users import Action

#: Patterns for systemctl: its web pages, whatever PHP it is, and its dispatcher, if it has one.
_PHP = "'php*-fpm.service' 'librenms*.service'"


class LibreNMS(DropIn):
    """See docs/librenms.md."""

    title = "LibreNMS"
    folder = "librenms"
    files = (FILE,)
    locations = (Location(CHECKOUT + FOLDER, users=("librenms",), service=_PHP),)

    def changes(self, job: Job) -> List[Action]:
        """The line that keeps git from the transport, where it can be told and has not been."""
        if _is_told(job) is not False:
            return []
        checkout = checkout_of(job.target)
        text = f"echo {LINE} >> {checkout}/{git_exclude.PATH}"
        return [Action(text, lambda: git_exclude.add(below(job.root, checkout), LINE))]

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
            *_by_hand(job),
            f"in LibreNMS, Alerts > Alert Transports: add one of the type BlueRockTEL{fields}",
            "press Test transport beside it: it opens no ticket",
            "Alerts > Alert Operations: an operation with one segment: this transport, Steps from"
            " 1, Steps to empty, Start 0",
            "Alerts > Alert Rules: that operation in each rule that shall open tickets; a rule"
            " without one tells nobody, not even a default transport (LibreNMS older than April"
            " 2026: the transport in each rule, or a default one)",
        ]


def _is_told(job: Job) -> Optional[bool]:
    """Whether git has been told of the transport; None where it cannot be told here."""
    checkout = checkout_of(job.target)
    home = below(job.root, checkout)
    try:
        told = LINE in git_exclude.lines(home) if checkout else None
    except OSError:  # no checkout, or one whose .git is elsewhere: a worktree's, a link's
        return None
    return None if told is False and not git_exclude.may_add(home) else told


def _by_hand(job: Job) -> List[str]:
    """The step of its owner, whom git obeys there, and no link of whom root follows."""
    checkout = checkout_of(job.target)
    home = below(job.root, checkout)
    if not checkout or _is_told(job) is not None or not os.path.lexists(f"{home}/.git"):
        return []
    owner = job.machine_users.name_of(os.stat(home).st_uid) or "librenms"
    tell = f'cd {checkout} && echo {LINE} >> "$(git rev-parse --git-path info/exclude)"'
    return [
        "so that ./scripts/github-remove -d leaves the file alone:"
        f" {shlex.join(['runuser', '-u', owner, '--', 'sh', '-c', tell])}"
    ]


DROP_IN = LibreNMS()
