"""What a drop-in is: its files, where a system reads them, and what is changed in them.

Paths in here are those of the machine; :func:`machine.below` finds them under another root.
"""

from __future__ import annotations

import os
import re
from typing import Dict, List, Match, NamedTuple, Optional, Tuple

from brtel_notify.local import shipped_files
from brtel_notify.options import Stop
from brtel_notify.setup.machine_files import COMMAND, below
from brtel_notify.setup.unix_users import Action, Sharing, UnixUsers
from brtel_notify.sources import registry

#: What means nothing but itself to a shell, Nagios, Icinga 2, systemd and PHP alike.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./+@=,:-]*")
_WORDS = "|".join((*registry.NAMES, "worker", "flush", "check"))
_IN_TEXT = re.compile(
    rf'(?P<list>\[\s*")?(?<![\w/.-]){COMMAND}(?![\w/-])(?P<end>"(?=\s*,)| (?=(?:{_WORDS})\b))?'
)


class Location(NamedTuple):
    """Where one system reads drop-ins.

    ``main`` is the system's main configuration file, ``users`` are whom it may run as (the first
    that this machine has), ``service`` what systemd calls it, ``check`` the command that proves
    its configuration. ``program`` is the daemon itself: a package that was removed may have left
    its configuration.
    """

    folder: str
    main: str = ""
    users: Tuple[str, ...] = ()
    service: str = ""
    check: str = ""
    program: str = ""


class Command(NamedTuple):
    """The command line that monitoring calls: the program, and options that go with it."""

    path: str
    config: str = ""
    state_dir: str = ""

    @property
    def words(self) -> List[str]:
        """The command and its options."""
        words = [self.path]
        words += ["--config", self.config] if self.config else []
        words += ["--state-dir", self.state_dir] if self.state_dir else []
        return words

    def __str__(self) -> str:
        return " ".join(self.words)


class Job(NamedTuple):
    """One run of ``brtel-notify install``: what is put, for whom, where, as which command line.

    ``group_services`` are what systemd calls those that get a new group by it; ``targets`` the
    machine's paths, and the text of each file.
    """

    name: str
    drop_in: DropIn
    location: Optional[Location]
    root: str
    machine_users: UnixUsers
    sharing: Optional[Sharing]
    group_services: List[str]
    command: Command
    state_dir: str
    config: str
    mode: int
    targets: Dict[str, str]

    @property
    def program(self) -> str:
        """How a person calls the command."""
        return "brtel-notify" if self.command.path == COMMAND else self.command.path

    @property
    def target(self) -> str:
        """The path of its first file."""
        return next(iter(self.targets))

    def restart(self, also: str = "") -> str:
        """The command that restarts what has a new group, or reads a new configuration."""
        services = dict.fromkeys([*([also] if also else []), *self.group_services])
        return f"systemctl restart {' '.join(services)}" if services else ""


class DropIn:
    """The drop-in of one system: its files, below the shipped FOLDER, and their mode.

    ``files`` are put in place, ``others`` (for its web interface, most of them) only printed. Where
    the systems keep their files was seen on Debian 12 (nagios4, icinga2, zabbix-server); the others
    are what EPEL, Naemon's, Zabbix's and LibreNMS's own packages and installation guides use.
    """

    #: What people call the system.
    title = ""
    folder = ""
    files: Tuple[str, ...] = ()
    others: Tuple[str, ...] = ()
    mode = 0o644
    locations: Tuple[Location, ...] = ()

    def find(self, root: str) -> Optional[Location]:
        """Where the system reads drop-ins on this machine; None if it is not there."""
        settled = (self.settled(location, root) for location in self.locations)
        there = [location for location in settled if self.is_there(location, root)]
        whole = (
            each for each in there if each.program and os.path.exists(below(root, each.program))
        )
        return next(whole, there[0] if there else None)

    def settled(self, location: Location, root: str) -> Location:
        """LOCATION as the system's own configuration has it, where that may say otherwise."""
        return location

    def is_there(self, location: Location, root: str) -> bool:
        """Whether the system is, at LOCATION."""
        main = not location.main or os.path.isfile(below(root, location.main))
        return main and os.path.isdir(below(root, location.folder))

    def text(self, file: str, job: Job) -> str:
        """The shipped FILE as it is for JOB. Raises FileNotFoundError, Stop."""
        return text_of(self.folder, file, job.command)

    def changes(self, job: Job) -> List[Action]:
        """What else is changed for the files of JOB, once they have been put. Raises OSError."""
        return []

    def steps(self, job: Job) -> List[str]:
        """What is left to do when the files of JOB have been put, a step each."""
        raise NotImplementedError


def text_of(folder: str, file: str, command: Command) -> str:
    """The FILE of the shipped FOLDER with the COMMAND in the place of the usual one.

    Raises FileNotFoundError, Stop.
    """
    for path in (command.path, command.config, command.state_dir):
        if path and not _PLAIN_PATH.fullmatch(path):
            raise Stop(
                f"{path}: cannot stand in a command line of every system:"
                " use a path of letters, digits and _ . / + @ = , : -",
                os.EX_CANTCREAT,
            )
    with open(os.path.join(shipped_files.folder(folder), file), encoding="utf-8") as shipped_file:
        return _IN_TEXT.sub(lambda found: _written(found, command), shipped_file.read())


def _written(found: Match[str], command: Command) -> str:
    """The command as the text around it wants it: in a list, on a command line, or alone."""
    begin, end = found.group("list") or "", found.group("end") or ""
    if begin and end:
        return begin + '", "'.join(command.words) + end
    if end == " ":
        return f"{begin}{command} "
    return begin + command.path + end
