"""The machine that is set up: where its files are below a root folder, and how one is put there."""

from __future__ import annotations

import os
from typing import Dict, List, Optional

from brtel_notify.local import files
from brtel_notify.options import Stop

#: Where the command is, usually.
COMMAND = "/usr/bin/brtel-notify"


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


def refuse_links(path: str, cure: str) -> None:
    """Raise Stop, with the CURE, if PATH is a link, or if one that a stranger may have planted
    leads to it."""
    part = os.path.abspath(path)
    while part != os.path.dirname(part):
        if os.path.islink(part):
            if part == os.path.abspath(path):
                raise Stop(f"{part}: is a symbolic link: {cure}", os.EX_CANTCREAT)
            if os.lstat(part).st_uid not in (0, os.geteuid()):
                text = f"{part}: is a symbolic link that belongs to somebody else"
                raise Stop(text, os.EX_CANTCREAT)
        part = os.path.dirname(part)


def read(path: str) -> Optional[bytes]:
    """The bytes of the file PATH; None if there is none. Raises OSError."""
    try:
        return files.read_whole(path)
    except FileNotFoundError:
        return None
