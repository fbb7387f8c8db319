"""The drain lock: one process at a time delivers from a state folder."""

from __future__ import annotations

import fcntl
import os

from brtel_notify import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Optional, Type

NAME = "drain.lock"


class DrainLock:
    """``flock`` on a file of the state folder: the kernel lets go of it when its holder dies.

    ``with DrainLock(state_dir) as taken:`` never waits; ``taken`` says whether it is ours.
    Raises OSError when the file cannot be opened.
    """

    def __init__(self, state_dir: str) -> None:
        self.path = os.path.join(state_dir, NAME)
        self._descriptor = -1

    def __enter__(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o600)
        wanted = files.mode_below(os.path.dirname(self.path))
        status = os.fstat(self._descriptor)
        if status.st_mode & 0o777 != wanted and status.st_uid == os.geteuid():
            os.fchmod(self._descriptor, wanted)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        os.close(self._descriptor)
