"""``.git/info/exclude`` of a checkout: what git neither reports nor cleans away.

The checkout is another user's, who may have planted links in it: none is followed, for it is root
who writes there.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import List

from brtel_notify.local.files import OPEN_FOLDER

#: Its path in a checkout.
PATH = ".git/info/exclude"


def lines(checkout: str) -> List[str]:
    """What git is told there. Raises OSError, also for what is no plain file of its own."""
    with open(_opened(checkout, os.O_RDONLY), encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def add(checkout: str, line: str) -> None:
    """Write LINE behind what is there; owner and mode stay. Raises OSError."""
    with open(_opened(checkout, os.O_RDWR | os.O_APPEND), "r+b", buffering=0) as file:
        before = file.readall()
        file.write(b"\n" * (before[-1:] not in (b"", b"\n")) + line.encode() + b"\n")


def _opened(checkout: str, flags: int) -> int:
    folder = os.open(checkout, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in os.path.dirname(PATH).split("/"):
            inner = os.open(name, OPEN_FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(os.path.basename(PATH), flags, dir_fd=folder)
    finally:
        os.close(folder)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no file of its own", os.path.join(checkout, PATH))
    return descriptor
