"""The drain lock: one process at a time delivers from a state folder."""

from __future__ import annotations

import fcntl
import os

from brtel_notify.local import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Optional, Type

NAME = "drain.lock"


class DrainLock:
    """``flock`` on a file of the state folder: the kernel lets go of it when its holder dies.

    ``with DrainLock(state_dir) as taken:`` never waits; ``taken`` says whether it is ours.
    Raises OSError when the file cannot be opened, or is no file.
    """

    def __init__(self, state_dir: str) -> None:
        self.path = os.path.join(state_dir, NAME)
        self._descriptor = -1

    def __enter__(self) -> bool:
        while True:
            self._descriptor = self._open()
            try:
                taken = self._lock()
                if not taken or self.is_current():
                    return taken
            except BaseException as error:
                os.close(self._descriptor)
                if isinstance(error, OSError):
                    error.filename = self.path
                raise
            # Between opening and locking, the file was replaced: others lock the new one.
            os.close(self._descriptor)

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

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        os.close(self._descriptor)
