"""``.git/info/exclude`` of a checkout: what git neither reports nor cleans away.

The checkout is another user's, who may have planted links in it: none is followed, for it is root
who writes there.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import List

#: Its path in a checkout.
PATH = ".git/info/exclude"
#: Bytes of it that are read: a stranger's file may be of any length.
LONGEST = 1_000_000
#: Only to go through: LibreNMS's own guide gives its folder mode 771, which lets nobody list it.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


def lines(checkout: str) -> List[str]:
    """What git is told there. Raises OSError, also for what is no plain file of its own."""
    with open(_opened(checkout, os.O_RDONLY), "rb") as file:
        return file.read(LONGEST).decode("utf-8", "replace").splitlines()


def may_add(checkout: str) -> bool:
    """Whether we could write there: not on a network's or a read-only disk, though we are root."""
    try:
        os.close(_opened(checkout, os.O_WRONLY))
    except OSError:
        return False
    return True


def add(checkout: str, line: str) -> None:
    """Write LINE behind what is there; owner and mode stay. Raises OSError."""
    with open(_opened(checkout, os.O_RDWR | os.O_APPEND), "r+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        broken_off = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
        file.write(b"\n" * broken_off + line.encode() + b"\n")


def _opened(checkout: str, flags: int) -> int:
    folder = os.open(checkout, _FOLDER)
    try:
        for name in os.path.dirname(PATH).split("/"):
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
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
