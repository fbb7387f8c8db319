"""Why a file could not be used: the operating system's error, and whose the file is."""

from __future__ import annotations

import os


def because(error: OSError, path: str) -> str:
    """ERROR as ``path: reason``; where it is a matter of permission, also whose the path is."""
    where = os.fspath(error.filename) if isinstance(error.filename, (str, bytes)) else path
    where = os.fsdecode(where)
    text = f"{where}: {error.strerror or error}"
    if not isinstance(error, PermissionError):
        return text
    owner, me = _owner(where), _name(os.geteuid())
    return f"{text} (it belongs to {owner}, this runs as {me})" if owner else text


def _owner(path: str) -> str:
    """The owner of PATH, or of the nearest folder above it that can be seen."""
    while path:
        try:
            return _name(os.stat(path).st_uid)
        except OSError:
            above = os.path.dirname(path)
            path = above if above != path else ""
    return ""


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
