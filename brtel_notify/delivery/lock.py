"""The drain lock: one process at a time delivers from a state folder."""

from __future__ import annotations

import errno
import fcntl
import os

from brtel_notify.local import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Tuple

NAME = "drain.lock"
#: What a holder calls itself.
WORKER, COMMAND = "worker", "command"
#: A file system that locks no folders (NFS).
_NO_FOLDERS = (errno.EBADF, errno.EINVAL, errno.EISDIR, errno.ENOLCK, errno.ENOTSUP, errno.EACCES)


class DrainLock:
    """``flock`` on a file of the state folder: the kernel lets go of it when its holder dies.

    ``with DrainLock(state_dir) as taken:`` never waits; ``taken`` says whether it is ours. It may
    be let go of before the end, and taken again. Raises OSError when the file cannot be opened, or
    is no file.

    Somebody may delete the file while it is held, and the next would lock a new one: so the state
    folder itself is locked as well. In the file stands who holds it, ROLE, for who looks.
    """

    def __init__(self, state_dir: str, role: str = COMMAND) -> None:
        self.path = os.path.join(state_dir, NAME)
        self._role = role
        self._state_dir = state_dir
        self._descriptor = -1
        self._folder = -1

    def take(self) -> bool:
        """Take it if nobody else holds it; whether it is ours now."""
        try:
            taken = self._take_file() and self._lock_folder()
            if taken:
                self._say_who()
        except BaseException as error:
            self.release()
            if isinstance(error, OSError):
                error.filename = self.path
            raise
        if not taken:
            self.release()
        return taken

    def keep(self) -> bool:
        """Whether it is still ours. A file that was deleted is made, and locked, anew.

        While the folder is ours, nobody else delivers, whoever has its new file at the moment.
        """
        if self.is_current():
            return True
        if self._folder < 0 or not self._is_same_folder():
            return False
        lost, self._descriptor = self._descriptor, -1
        try:
            if self._take_file():
                self._say_who()
        except OSError:  # a full disk
            pass
        if self._descriptor < 0:
            self._descriptor = lost  # somebody looks whether it is free; at the next event again
        else:
            os.close(lost)
        return True

    def release(self) -> None:
        """Let go of it, if it is ours."""
        for descriptor in (self._descriptor, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._folder = -1

    __enter__ = take

    def _take_file(self) -> bool:
        """Lock the file; if somebody else has, it is closed again."""
        while True:
            descriptor = self._open()
            try:
                taken = _lock(descriptor)
                is_left = taken and not self._is_in_place(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if taken and not is_left:
                self._descriptor = descriptor
                return True
            os.close(descriptor)
            if not is_left:
                return False
            # Between opening and locking, the file was replaced: others lock the new one.

    def _lock_folder(self) -> bool:
        try:
            self._folder = os.open(self._state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            return _lock(self._folder)
        except OSError as error:
            if error.errno not in _NO_FOLDERS:
                raise
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1
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

    def _say_who(self) -> None:
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()} {self._role}\n".encode("ascii"), 0)
        except OSError:  # a full disk: it is only for who looks
            pass

    def is_current(self) -> bool:
        """Whether the file in the state folder is still the one that we hold."""
        return self._is_in_place(self._descriptor)

    def _is_in_place(self, descriptor: int) -> bool:
        return _is_at(descriptor, self.path)

    def _is_same_folder(self) -> bool:
        return _is_at(self._folder, self._state_dir)

    def __exit__(self, *_: object) -> None:
        self.release()


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: str) -> bool:
    """Whether PATH is the file or folder of DESCRIPTOR."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    held = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


def holder_says(state_dir: str) -> Optional[Tuple[int, str]]:
    """Process and role of whoever took the lock last, in its own words; None: it says nothing."""
    try:
        words = files.read_whole(os.path.join(state_dir, NAME))[:100].split()
    except OSError:
        return None
    if len(words) != 2 or not words[0].isdigit():
        return None
    return int(words[0]), words[1].decode("ascii", "replace")
