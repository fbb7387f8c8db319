"""The drop-in files: whose they are, where each monitoring system reads them, and what has to be
changed in them for this machine.

Paths in here are those of the machine; :func:`below` finds them under another root. Where the
systems keep their files was seen on Debian 12 (nagios4, icinga2, zabbix-server); the others are
what EPEL, Naemon's, Zabbix's and LibreNMS's own packages and installation guides use.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Dict, Iterator, List, Match, NamedTuple, Optional, Tuple

from brtel_notify.local import files, shipped

#: The path of the command in every file as it is shipped.
COMMAND = "/usr/bin/brtel-notify"
STATE_DIR = "/var/lib/brtel-notify"

#: What means nothing but itself to a shell, Nagios, Icinga 2, systemd and PHP alike.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./+@=,:-]*")
_WORDS = "nagios|icinga|zabbix|librenms|worker|flush|check"
_IN_TEXT = re.compile(
    rf'(?P<list>\[\s*")?(?<![\w/.-]){COMMAND}(?![\w/-])(?P<end>"(?=\s*,)| (?=(?:{_WORDS})\b))?'
)


class Place(NamedTuple):
    """Where one system reads drop-ins.

    ``main`` is the system's main configuration file, ``users`` are whom it may run as (the first
    that this machine has), ``service`` what systemd calls it, ``check`` the command that proves
    its configuration.
    """

    folder: str
    main: str = ""
    users: Tuple[str, ...] = ()
    service: str = ""
    check: str = ""


class System(NamedTuple):
    """A monitoring system: its files, below the shipped FOLDER, and their mode.

    ``files`` are put in place, ``others`` (for its web interface, most of them) only printed.
    """

    folder: str
    files: Tuple[str, ...]
    others: Tuple[str, ...] = ()
    mode: int = 0o644
    places: Tuple[Place, ...] = ()


_LIBRENMS = "LibreNMS/Alert/Transport"
#: Patterns for systemctl: its web pages, whatever PHP it is, and its dispatcher, if it has one.
_PHP = "'php*-fpm.service' 'librenms*.service'"

SYSTEMS: Dict[str, System] = {
    "librenms": System(
        "librenms",
        ("Bluerocktel.php",),
        places=(Place(f"/opt/librenms/{_LIBRENMS}", users=("librenms",), service=_PHP),),
    ),
    "nagios": System(
        "nagios",
        ("brtel-notify.cfg",),
        places=(
            Place(
                "/etc/nagios4/conf.d",
                "/etc/nagios4/nagios.cfg",
                ("nagios",),
                "nagios4",
                "nagios4 -v /etc/nagios4/nagios.cfg",
            ),
            Place(
                "/etc/nagios/conf.d",
                "/etc/nagios/nagios.cfg",
                ("nagios",),
                "nagios",
                "nagios -v /etc/nagios/nagios.cfg",
            ),
            Place(
                "/etc/naemon/conf.d",
                "/etc/naemon/naemon.cfg",
                ("naemon",),
                "naemon",
                "naemon -v /etc/naemon/naemon.cfg",
            ),
            Place(
                "/usr/local/nagios/etc/objects",
                "/usr/local/nagios/etc/nagios.cfg",
                ("nagios",),
                "nagios",
                "/usr/local/nagios/bin/nagios -v /usr/local/nagios/etc/nagios.cfg",
            ),
        ),
    ),
    "icinga": System(
        "nagios",
        ("brtel-notify-icinga2.conf",),
        ("brtel-notify-director-basket.json",),
        places=(
            Place(
                "/etc/icinga2/conf.d",
                "/etc/icinga2/icinga2.conf",
                ("icinga", "nagios"),  # Debian's package runs it as nagios
                "icinga2",
                "icinga2 daemon -C",
            ),
        ),
    ),
    "zabbix": System(
        "zabbix",
        ("brtel-notify",),
        (
            "media_brtel_notify.yaml",
            "media_brtel_notify_7.0.yaml",
            "template_brtel_notify.yaml",
            "userparameter_brtel_notify.conf",
        ),
        0o755,
        places=(
            Place(
                "/usr/lib/zabbix/alertscripts",
                "/etc/zabbix/zabbix_server.conf",
                ("zabbix",),
                "zabbix-server",
            ),
            Place(
                "/usr/local/share/zabbix/alertscripts",
                "/usr/local/etc/zabbix_server.conf",
                ("zabbix",),
                "zabbix-server",
            ),
        ),
    ),
    "systemd": System(
        "systemd",
        (
            "brtel-notify-worker.service",
            "brtel-notify-flush.service",
            "brtel-notify-flush.timer",
        ),
        places=(Place("/etc/systemd/system"),),
    ),
}


# --- where ----------------------------------------------------------------------------------------


def below(root: str, path: str) -> str:
    """Where the machine's absolute PATH is when the machine's root is the folder ROOT."""
    return os.path.join(root, path.lstrip("/")) if root != "/" else path


def find(name: str, root: str) -> Optional[Place]:
    """Where the system NAME reads drop-ins on this machine; None if it is not there."""
    for place in SYSTEMS[name].places:
        if name == "zabbix":
            place = _zabbix(place, root)
        if name == "icinga":
            place = _icinga(place, root)
        there = os.path.isdir(below(root, place.folder))
        main = place.main and os.path.isfile(below(root, place.main))
        if name == "zabbix" and (main or there):  # a folder that its configuration names is made
            return place
        if there and (main or not place.main):
            return place
    return None


def _zabbix(place: Place, root: str) -> Place:
    """The folder is what the server's configuration says, if it says one."""
    folder = settings(below(root, place.main)).get("AlertScriptsPath", [""])[-1].rstrip("/")
    return place._replace(folder=folder) if folder.startswith("/") else place


def _icinga(place: Place, root: str) -> Place:
    """conf.d, or where a cluster has switched that off, the folder of this master's own zone."""
    text = _read(below(root, place.main))
    if not text or re.search(r'^\s*include_recursive\s+"conf\.d"', text, re.MULTILINE):
        return place
    constants = _read(below(root, "/etc/icinga2/constants.conf"))
    zone = re.search(r'^\s*const\s+ZoneName\s*=\s*"([\w.-]+)"', constants, re.MULTILINE)
    return place._replace(folder=f"/etc/icinga2/zones.d/{zone.group(1) if zone else 'master'}")


def settings(path: str) -> Dict[str, List[str]]:
    """The lines ``name=value`` of a configuration file by name; nothing where it cannot be read."""
    found: Dict[str, List[str]] = {}
    for line in _read(path).splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith(("#", ";")):
            found.setdefault(name.strip(), []).append(value.strip())
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def includes(main: str, target: str, root: str) -> bool:
    """Whether the Nagios configuration MAIN reads the file TARGET: cfg_dir is recursive."""
    found = settings(below(root, main))
    folders = [folder.rstrip("/") + "/" for folder in found.get("cfg_dir", [])]
    return target in found.get("cfg_file", []) or target.startswith(tuple(folders))


# --- what -----------------------------------------------------------------------------------------


class Unwritable(ValueError):
    """A path that cannot stand in a drop-in without meaning something else there."""


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


def text_of(system: System, file: str, command: Command) -> str:
    """The shipped FILE with the COMMAND in the place of the usual one.

    Raises FileNotFoundError, Unwritable.
    """
    for path in (command.path, command.config, command.state_dir):
        if path and not _PLAIN_PATH.fullmatch(path):
            raise Unwritable(
                f"{path}: cannot stand in a command line of every system:"
                " use a path of letters, digits and _ . / + @ = , : -"
            )
    with open(os.path.join(shipped.folder(system.folder), file), encoding="utf-8") as shipped_file:
        return _IN_TEXT.sub(lambda found: _written(found, command), shipped_file.read())


def _written(found: Match[str], command: Command) -> str:
    """The command as the text around it wants it: in a list, on a command line, or alone."""
    begin, end = found.group("list") or "", found.group("end") or ""
    if begin and end:
        return begin + '", "'.join(command.words) + end
    if end == " ":
        return f"{begin}{command} "
    return begin + command.path + end


def unit(text: str, user: str, group: str, state_dir: str, shared: bool) -> str:
    """A systemd unit's TEXT for USER, GROUP and the state folder.

    systemd makes the usual folder itself, and gives it, with all in it, to the user. Where a group
    shares it, or it is another one, it is only opened to the unit.
    """
    changes = [(r"^User=.*$", f"User={user}"), (r"^Group=.*$", f"Group={group}")]
    if shared or state_dir != STATE_DIR:
        changes.append(
            (r"^StateDirectory=.*\nStateDirectoryMode=.*$", f"ReadWritePaths={state_dir}")
        )
    for pattern, replacement in changes:
        text = re.sub(pattern, lambda found, new=replacement: new, text, flags=re.MULTILINE)  # type: ignore[misc]
    if re.search(r"^(?:ExecStart=|ReadWritePaths=).*(?:^|[= ])/(?:home|root)/", text, re.MULTILINE):
        text = re.sub(r"^ProtectHome=yes$", "ProtectHome=read-only", text, flags=re.MULTILINE)
    return text


# --- putting --------------------------------------------------------------------------------------


class ForeignLink(Exception):
    """A symbolic link that somebody else may have planted."""


def links_to(path: str) -> Iterator[str]:
    """The symbolic links on the way to PATH, PATH itself among them."""
    part = os.path.abspath(path)
    while part != os.path.dirname(part):
        if os.path.islink(part):
            yield part
        part = os.path.dirname(part)


def refuse_links(path: str) -> None:
    """Raise ForeignLink if PATH is a link, or a link of a stranger's leads to it."""
    for link in links_to(path):
        if link == os.path.abspath(path):
            raise ForeignLink(f"{link}: is a symbolic link: --dest names the file itself")
        if os.lstat(link).st_uid not in (0, os.geteuid()):
            raise ForeignLink(f"{link}: is a symbolic link that belongs to somebody else")


def is_same(path: str, data: bytes, mode: int) -> bool:
    """Whether the file PATH is there with that content and mode."""
    return read(path) == data and stat.S_IMODE(os.stat(path).st_mode) == mode


def read(path: str) -> Optional[bytes]:
    """The bytes of the file PATH; None if there is none. Raises OSError."""
    try:
        return files.read_whole(path)
    except FileNotFoundError:
        return None


def put(path: str, data: bytes, mode: int) -> None:
    """Write the file PATH in one step, with MODE; written by root, it is its folder's owner's.

    So a file in LibreNMS's or Icinga's own folder is theirs like all others there. Raises OSError.
    """
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.urandom(4).hex()}.tmp")
    descriptor = files.create(temporary, os.O_WRONLY)
    try:
        try:
            files.write_all(descriptor, data)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        files.remove_quietly(temporary)
        raise
    files.sync_folder(folder)
