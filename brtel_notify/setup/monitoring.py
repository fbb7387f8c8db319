"""Which monitoring systems this machine has, and whom they run as."""

from __future__ import annotations

import os
from typing import List, NamedTuple, Optional

from brtel_notify.setup.machine import below
from brtel_notify.setup.systems import catalogue
from brtel_notify.setup.unix_users import UnixUsers


class Installed(NamedTuple):
    """A monitoring system on this machine; ``user`` is empty where none of its usual ones is."""

    name: str
    title: str
    user: str

    def __str__(self) -> str:
        return f"{self.title} (runs as {self.user})" if self.user else self.title


def systems(machine_users: UnixUsers) -> List[Installed]:
    """The monitoring systems that are installed."""
    found = []
    for name, drop_in in catalogue.monitoring().items():
        location = drop_in.find(machine_users.root)
        if location is not None:
            shown = "Naemon" if location.service == "naemon" else drop_in.title
            user = next((user for user in location.users if machine_users.user(user)), "")
            found.append(Installed(name, shown, user))
    return found


def owner_of(machine_users: UnixUsers, state_dir: str) -> Optional[str]:
    """The user whose state folder there is already, unless it is root's."""
    try:
        owner = os.stat(below(machine_users.root, state_dir)).st_uid
    except OSError:
        return None
    return machine_users.name_of(owner) if owner else None
