"""systemd: the worker's unit, and a timer for machines without it."""

from __future__ import annotations

import re
from typing import List

from brtel_notify.options import DEFAULT_STATE_DIR
from brtel_notify.setup.drop_in import DropIn, Job, Location


class Systemd(DropIn):
    """See docs/operations.md."""

    title = "systemd"
    folder = "systemd"
    files = (
        "brtel-notify-worker.service",
        "brtel-notify-flush.service",
        "brtel-notify-flush.timer",
    )
    locations = (Location("/etc/systemd/system"),)

    def text(self, file: str, job: Job) -> str:
        """A unit of the user who shall run it."""
        text = super().text(file, job)
        if job.sharing is None:
            return text
        user, group, shared = job.sharing.users[0], job.sharing.group, job.sharing.shared
        return unit_of(text, user, group, job.state_dir, shared)

    def steps(self, job: Job) -> List[str]:
        """See :class:`DropIn`."""
        return [
            "systemctl daemon-reload",
            "systemctl enable --now brtel-notify-worker (a busy server), or instead of it:"
            " systemctl enable --now brtel-notify-flush.timer",
            "systemctl status brtel-notify-worker",
        ]


def unit_of(text: str, user: str, group: str, state_dir: str, shared: bool) -> str:
    """A systemd unit's TEXT for USER, GROUP and the state folder.

    systemd makes the usual folder itself, and gives it, with all in it, to the user. Where a group
    shares it, or it is another one, it is only opened to the unit.
    """
    changes = [(r"^User=.*$", f"User={user}"), (r"^Group=.*$", f"Group={group}")]
    if shared or state_dir != DEFAULT_STATE_DIR:
        changes.append(
            (r"^StateDirectory=.*\nStateDirectoryMode=.*$", f"ReadWritePaths={state_dir}")
        )
    for pattern, replacement in changes:
        text = re.sub(pattern, lambda found, new=replacement: new, text, flags=re.MULTILINE)  # type: ignore[misc]
    if re.search(r"^(?:ExecStart=|ReadWritePaths=).*(?:^|[= ])/(?:home|root)/", text, re.MULTILINE):
        text = re.sub(r"^ProtectHome=yes$", "ProtectHome=read-only", text, flags=re.MULTILINE)
    return text


DROP_IN = Systemd()
