"""The drain lock: one process at a time delivers from a state folder."""

from __future__ import annotations

import fcntl
import os

from brtel_notify.local import files

NAME = "drain.lock"


class DrainLock:
    """``flock`` on a file of the state folder: the kernel lets go of it when its holder dies.

    ``with DrainLock(state_dir) as taken:`` never waits; ``taken`` says whether it is ours. It may
    be let go of before the end, and taken again. Raises OSError when the file cannot be opened, or
    is no file.
    """

    def __init__(self, state_dir: str) -> None:
        self.path = os.path.join(state_dir, NAME)
        self._descriptor = -1

    def take(self) -> bool:
        """Take it if nobody else holds it; whether it is ours now."""
        while True:
            self._descriptor = self._open()
            try:
                taken = self._lock()
                is_left = taken and not self.is_current()
            except BaseException as error:
                self.release()
                if isinstance(error, OSError):
                    error.filename = self.path
                raise
            if taken and not is_left:
                return True
            self.release()
            if not is_left:
                return False
            # Between opening and locking, the file was replaced: others lock the new one.

    def release(self) -> None:
        """Let go of it, if it is ours."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    __enter__ = take

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _open(self) -> int:
        try:
            return files.open_own(self.path, os.O_RDWR)
        except FileNotFoundError:
            pass
        try:
            return files.create_at_once(self.path, os.O_RDWR)
        except FileExistsError:  # somebody was faster
            return files.open_own(self.path, os.O_RDWR)

    def is_current(self) -> bool:
        """Whether the file in the state folder is still the one that we hold."""
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        held = os.fstat(self._descriptor)
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)

    def __exit__(self, *_: object) -> None:
        self.release()
