"""Whom monitoring systems run as, and what they need of this machine: the state folder, and to
read configuration and token.

One user: the state folder is that user's alone (0700). Several: they share a group, and the folder
is the group's (2770), which :mod:`brtel_notify.local.files` follows in all that it makes inside.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
import subprocess
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from brtel_notify.config.schema import SYSTEM_FILE
from brtel_notify.options import Stop
from brtel_notify.setup.machine_files import below

#: The group of users who share a state folder.
GROUP = "brtel-notify"
#: A folder of the cache that is one user's own (see brtel_notify/local/private_folder.py).
_PRIVATE = re.compile(r"cache/[a-z]+-[0-9]+")


class UnixUsers:
    """The users and groups of the machine; with another root, those in its etc/passwd and group."""

    def __init__(self, root: str = "/") -> None:
        self.root = root

    def user(self, name: str) -> Optional[Tuple[int, int]]:
        """The ids of a user and of its group; None if there is none."""
        if self.root == "/":
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                return None
            return entry.pw_uid, entry.pw_gid
        found = self._lines("etc/passwd").get(name)
        return (int(found[2]), int(found[3])) if found else None

    def name_of(self, uid: int) -> Optional[str]:
        """The name of the user with the id UID."""
        if self.root == "/":
            try:
                return pwd.getpwuid(uid).pw_name
            except KeyError:
                return None
        entries = self._lines("etc/passwd").items()
        return next((name for name, entry in entries if entry[2] == str(uid)), None)

    def group(self, name: str) -> Optional[int]:
        """The id of a group."""
        if self.root == "/":
            try:
                return grp.getgrnam(name).gr_gid
            except KeyError:
                return None
        found = self._lines("etc/group").get(name)
        return int(found[2]) if found else None

    def group_name(self, gid: int) -> str:
        """The name of the group with the id GID, else the id itself."""
        if self.root == "/":
            try:
                return grp.getgrgid(gid).gr_name
            except KeyError:
                return str(gid)
        entries = self._lines("etc/group").items()
        return next((name for name, entry in entries if entry[2] == str(gid)), str(gid))

    def is_member(self, user: str, group: str) -> bool:
        """Whether GROUP is one of USER's groups."""
        ids, gid = self.user(user), self.group(group)
        if ids is None or gid is None:
            return False
        if self.root == "/":
            return gid in os.getgrouplist(user, ids[1])
        members = self._lines("etc/group")[group][3].split(",")
        return gid == ids[1] or user in members

    def _lines(self, path: str) -> Dict[str, List[str]]:
        try:
            with open(os.path.join(self.root, path), encoding="utf-8") as file:
                entries = [line.rstrip("\n").split(":") for line in file]
        except FileNotFoundError:
            return {}
        return {entry[0]: entry for entry in entries if len(entry) >= 4 and entry[2].isdigit()}


def cannot_change(text: str) -> Stop:
    """That a change to the machine could not be made; TEXT says which and why."""
    return Stop(text, os.EX_CANTCREAT)


class Sharing(NamedTuple):
    """Who works with the state folder: some users, the group through which they do."""

    users: Tuple[str, ...]
    group: str
    shared: bool


class Action(NamedTuple):
    """One change to the machine: the command that makes it, in words, and how it is made here.

    ``on_accounts``: it changes users or groups, which is done on the running machine only.
    """

    text: str
    perform: Callable[[], None]
    on_accounts: bool = False


def sharing(machine_users: UnixUsers, users: Sequence[str], group: str = "") -> Sharing:
    """How USERS, at least one, work together; GROUP is the wanted one, if any."""
    unique = tuple(dict.fromkeys(users))
    if group or len(unique) > 1:
        return Sharing(unique, group or GROUP, True)
    ids = machine_users.user(unique[0])
    return Sharing(unique, machine_users.group_name(ids[1]) if ids else unique[0], False)


def owner_of(machine_users: UnixUsers, state_dir: str) -> List[str]:
    """The user whose the state folder is; none where it is root's, and a group's."""
    try:
        owner = os.stat(below(machine_users.root, state_dir)).st_uid
    except OSError:
        return []
    name = machine_users.name_of(owner) if owner else None
    return [name] if name else []


def sharer(machine_users: UnixUsers, state_dir: str) -> str:
    """The group that shares the state folder already; empty where none does, or it has no name."""
    try:
        status = os.stat(below(machine_users.root, state_dir))
    except OSError:
        return ""
    name = machine_users.group_name(status.st_gid)
    by_group = stat.S_IMODE(status.st_mode) & 0o070 == 0o070 and status.st_gid != 0
    return name if by_group and machine_users.group(name) is not None else ""


def actions(
    machine_users: UnixUsers,
    wanted: Sharing,
    state_dir: str,
    config: str,
    secrets: Sequence[str],
    owner: Optional[int] = None,
) -> List[Action]:
    """What has to be changed for the users to work with STATE_DIR, CONFIG and SECRETS, in order.

    The paths are the machine's own. What is right already is left out. With an OWNER, secrets that
    belong to anybody else are not opened: somebody else than the administrator has named them.
    """
    found = [*_membership(machine_users, wanted), *_state_folder(machine_users, wanted, state_dir)]
    for path in dict.fromkeys((config, *secrets)):
        whose = owner if path != config else None
        found += _readable(machine_users, wanted, path, path in secrets, whose)
    return found


def _membership(machine_users: UnixUsers, wanted: Sharing) -> List[Action]:
    if not wanted.shared:
        return []
    is_new = machine_users.group(wanted.group) is None
    found = [_command("groupadd", "--system", wanted.group)] if is_new else []
    newcomers = [each for each in wanted.users if not machine_users.is_member(each, wanted.group)]
    return found + [_command("usermod", "-aG", wanted.group, user) for user in newcomers]


def _command(*words: str) -> Action:
    def perform() -> None:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise cannot_change(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")

    return Action(" ".join(words), perform, on_accounts=True)


def _state_folder(machine_users: UnixUsers, wanted: Sharing, state_dir: str) -> List[Action]:
    path = below(machine_users.root, state_dir)
    owner = "root" if wanted.shared else wanted.users[0]
    mode = 0o2770 if wanted.shared else 0o700
    try:
        status: Optional[os.stat_result] = os.stat(path)
    except FileNotFoundError:
        status = None
    if status is not None and _fits(machine_users, wanted, status):
        return []
    text = f"install -d -o {owner} -g {wanted.group} -m {mode:04o} {state_dir}"
    if status is not None and wanted.shared:
        text = f"chown root {state_dir} && chgrp -R {wanted.group} {state_dir}"
        text += f" && chmod -R g+rwX,o= {state_dir} && chmod 2770 {state_dir}"
    elif status is not None:
        text = f"chown -R {owner}:{wanted.group} {state_dir} && chmod 0700 {state_dir}"

    def perform() -> None:
        os.makedirs(path, 0o700, exist_ok=True)
        _hand_over(os.path.realpath(path), *_ids(machine_users, owner, wanted.group), wanted.shared)

    return [Action(text, perform)]


def _fits(machine_users: UnixUsers, wanted: Sharing, status: os.stat_result) -> bool:
    """Whether a state folder is as it should be: then its contents are, too."""
    if wanted.shared:
        return stat.S_IMODE(status.st_mode) == 0o2770 and status.st_gid == machine_users.group(
            wanted.group
        )
    ids = machine_users.user(wanted.users[0])
    return ids is not None and status.st_uid == ids[0] and status.st_mode & 0o707 == 0o700


def _ids(machine_users: UnixUsers, user: str, group: str) -> Tuple[int, int]:
    ids, gid = machine_users.user(user), machine_users.group(group)
    if user == "root":
        ids = (0, 0)
    if ids is None or gid is None:
        raise cannot_change(
            f"there is no user {user}" if ids is None else f"there is no group {group}"
        )
    return ids[0], gid


def _hand_over(path: str, uid: int, gid: int, shared: bool) -> None:
    """Give the state folder PATH, and what is in it, to a user or to a group.

    A group's members keep the files that they made, and each the private part of the cache.
    """
    for folder, folders, names, descriptor in os.fwalk(path, follow_symlinks=False):
        inside = os.path.relpath(folder, path)
        folders[:] = [name for name in folders if not _PRIVATE.fullmatch(f"{inside}/{name}")]
        keeps = shared and inside != "."
        os.fchown(descriptor, -1 if keeps else uid, gid)
        os.fchmod(descriptor, 0o2770 if shared else 0o700)
        for name in names:
            _hand_over_file(
                name, descriptor, -1 if shared else uid, gid, 0o660 if shared else 0o600
            )


def _hand_over_file(name: str, folder: int, uid: int, gid: int, mode: int) -> None:
    # The folder's users may have planted links there, for root to give away what they lead to.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=folder)
    except OSError:  # gone by now, or a link
        return
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            os.fchown(descriptor, uid, gid)
            os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _readable(
    machine_users: UnixUsers, wanted: Sharing, path: str, is_secret: bool, owner: Optional[int]
) -> List[Action]:
    """Let the users read a file, if it is there and they cannot; others never read a secret."""
    own = below(machine_users.root, path)
    try:
        status = os.lstat(own)
    except OSError:
        return []
    found = _passable(machine_users, wanted, os.path.dirname(path))
    if _may(machine_users, wanted, status, 4) and not (is_secret and status.st_mode & 0o007):
        return found
    return [*found, _open_to_group(machine_users, wanted.group, path, 0o640, owner)]


def writer(path: str) -> Optional[int]:
    """Who beside root can change the file PATH: a user's id, -1 for a group or everybody, or None.

    Raises OSError.
    """
    places = [os.stat(path), os.stat(os.path.dirname(os.path.abspath(path)))]
    roots = all(
        each.st_uid == 0 and not each.st_mode & (0o022 if each.st_gid else 0o002) for each in places
    )
    return None if roots else next((each.st_uid for each in places if each.st_uid), -1)


def _passable(machine_users: UnixUsers, wanted: Sharing, folder: str) -> List[Action]:
    """Let the users into /etc/brtel-notify; no other folder is ours to open."""
    if folder != os.path.dirname(SYSTEM_FILE):
        return []
    try:
        status = os.lstat(below(machine_users.root, folder))
    except OSError:
        return []
    if _may(machine_users, wanted, status, 1):
        return []
    return [_open_to_group(machine_users, wanted.group, folder, 0o750)]


def _may(machine_users: UnixUsers, wanted: Sharing, status: os.stat_result, bit: int) -> bool:
    """Whether the users may read a file of that STATUS (BIT 4), or pass through a folder (1)."""
    ids = machine_users.user(wanted.users[0])
    owns = not wanted.shared and ids is not None and status.st_uid == ids[0]
    by_group = status.st_gid == machine_users.group(wanted.group)
    bits = (bit << 6 if owns else 0) | (bit << 3 if by_group else 0) | bit
    return bool(status.st_mode & bits)


def _open_to_group(
    machine_users: UnixUsers, group: str, path: str, mode: int, owner: Optional[int] = None
) -> Action:
    text = f"chgrp {group} {path} && chmod {mode:04o} {path}"

    def perform() -> None:
        gid = machine_users.group(group)
        if gid is None:
            raise cannot_change(f"there is no group {group}")
        own = below(machine_users.root, path)
        try:
            descriptor = os.open(own, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise cannot_change(f"{path}: {error.strerror}: is it a link?") from None
        try:
            if owner is not None and os.fstat(descriptor).st_uid != owner:
                raise cannot_change(
                    f"{path}: the configuration names it, which others than root can write;"
                    f" if it is right: {text}"
                )
            os.fchown(descriptor, -1, gid)
            os.fchmod(descriptor, mode)
        finally:
            os.close(descriptor)

    return Action(text, perform)
