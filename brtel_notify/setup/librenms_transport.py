"""Where LibreNMS has its transports, and whether ours, once put there, is gone.

Most LibreNMS are a checkout of git. ``./scripts/github-remove -d``, which LibreNMS suggests where
its files are modified, deletes what git does not know, and tells nobody: alerts are then "issued"
to nothing. A line in .git/info/exclude keeps the transport, and says later that it had been put.
``check`` imports this module: nothing heavy.
"""

from __future__ import annotations

import os

from brtel_notify.setup import git_exclude
from brtel_notify.setup.machine_files import below

CHECKOUT = "/opt/librenms"
FOLDER = "/LibreNMS/Alert/Transport"
FILE = "Bluerocktel.php"
#: What git is told: a path from the checkout's own folder on.
LINE = f"{FOLDER}/{FILE}"


def checkout_of(target: str) -> str:
    """The LibreNMS in which the path TARGET is the transport; empty where it is elsewhere."""
    return target[: -len(LINE)] if target.endswith(LINE) else ""


def lost(root: str = "/") -> str:
    """That the transport had been put on the machine and is gone, in words; else nothing."""
    try:
        if LINE not in git_exclude.lines(below(root, CHECKOUT)):
            return ""
    except OSError:  # no LibreNMS, no checkout, or nothing that this user can see
        return ""
    try:
        os.stat(below(root, CHECKOUT + LINE))
    except FileNotFoundError:
        return (
            f"LibreNMS's transport is gone, its alerts reach nobody: {CHECKOUT}{LINE} (as root:"
            " brtel-notify install librenms; if it shall be gone, take its line out of"
            f" {CHECKOUT}/{git_exclude.PATH})"
        )
    except OSError:
        pass
    return ""
