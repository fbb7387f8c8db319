"""The drop-ins that there are, one for each source that has one, and systemd's; and which of these
systems this machine has."""

from __future__ import annotations

from importlib import import_module
from typing import Dict, Iterator, List, NamedTuple, Tuple

from brtel_notify.setup.drop_in import DropIn, Location
from brtel_notify.setup.unix_users import UnixUsers
from brtel_notify.sources import registry

SYSTEMD = "systemd"


class Installed(NamedTuple):
    """A monitoring system on this machine; ``user`` is empty where none of its usual ones is."""

    name: str
    title: str
    user: str

    def __str__(self) -> str:
        return f"{self.title} (runs as {self.user})" if self.user else self.title


def monitoring() -> Dict[str, DropIn]:
    """Those of the monitoring systems, by the source's name."""
    return {source.name: _of(source.name) for source in registry.sources() if source.has_drop_in}


def everything() -> Dict[str, DropIn]:
    """Those of the monitoring systems, and systemd's."""
    return {**monitoring(), SYSTEMD: _of(SYSTEMD)}


def located(root: str) -> Iterator[Tuple[str, DropIn, Location]]:
    """Those whose system is on the machine below ROOT, and where that reads them."""
    for name, drop_in in everything().items():
        location = drop_in.find(root)
        if location is not None:
            yield name, drop_in, location


def installed(machine_users: UnixUsers) -> List[Installed]:
    """The monitoring systems on this machine."""
    found = []
    for name, drop_in, location in located(machine_users.root):
        if name != SYSTEMD:
            title = "Naemon" if location.service == "naemon" else drop_in.title
            user = next(iter(users_of(location, machine_users)), "")
            found.append(Installed(name, title, user))
    return found


def users_of(location: Location, machine_users: UnixUsers) -> List[str]:
    """Whom the system at LOCATION runs as: the first of its usual users that there is, or none."""
    return [user for user in location.users if machine_users.user(user)][:1]


def _of(name: str) -> DropIn:
    found: DropIn = import_module(f"brtel_notify.setup.systems.{name}").DROP_IN
    return found
