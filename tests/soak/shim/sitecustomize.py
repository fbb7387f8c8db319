"""What a Python does first if this folder is in its path: the machine's clock and its disk.

The file that $SOAK_MACHINE names holds two numbers (doubles), which the player changes while we
run: by how many seconds the clock is ahead, and the part of all writes that find the disk full.
"""

from __future__ import annotations

import errno
import mmap
import os
import random
import stat
import struct
import time

_path = os.environ.get("SOAK_MACHINE")


def _install(path: str) -> None:
    with open(path, "rb") as file:
        machine = mmap.mmap(file.fileno(), 16, access=mmap.ACCESS_READ)
    true_time, true_time_ns, true_write = time.time, time.time_ns, os.write

    def ahead() -> float:
        return float(struct.unpack_from("d", machine, 0)[0])

    def write(descriptor: int, data: bytes) -> int:
        full = struct.unpack_from("d", machine, 8)[0]
        is_file = descriptor > 2 and stat.S_ISREG(os.fstat(descriptor).st_mode)
        if full and is_file and random.random() < full:
            true_write(descriptor, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return true_write(descriptor, data)

    vars(time).update(
        time=lambda: true_time() + ahead(), time_ns=lambda: true_time_ns() + int(ahead() * 1e9)
    )
    vars(os)["write"] = write


if _path:
    _install(_path)
