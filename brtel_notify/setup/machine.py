"""The machine that is set up: where its files are below a root folder, and how one is put there."""

from __future__ import annotations

import os
import stat
from typing import Dict, Iterator, List, Optional

from brtel_notify.local import files

#: Where the command and the state folder are, usually.
COMMAND = "/usr/bin/brtel-notify"
STATE_DIR = "/var/lib/brtel-notify"


def below(root: str, path: str) -> str:
    """Where the machine's absolute PATH is when the machine's root is the folder ROOT."""
    return os.path.join(root, path.lstrip("/")) if root != "/" else path


def text_in(path: str) -> str:
    """The text of the file PATH; nothing where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def directives(path: str) -> Dict[str, List[str]]:
    """The lines ``name=value`` of a configuration file by name; nothing where it cannot be read."""
    found: Dict[str, List[str]] = {}
    for line in text_in(path).splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith(("#", ";")):
            found.setdefault(name.strip(), []).append(value.strip())
    return found


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
