"""Files that save work and that only their own user may have written: compiled templates, the
parsed configuration. In a state folder shared by a group, what another member could have put there
is never run or believed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Iterator, Optional

from brtel_notify.local import files


class PrivateFolder:
    """The folder ``cache/NAME-UID`` below the state folder. Where that cannot be used, the
    work is done again, and that is all."""

    def __init__(self, state_dir: str, name: str) -> None:
        self.parent = os.path.join(state_dir, "cache")
        self.path = os.path.join(self.parent, f"{name}-{os.geteuid()}")

    def read(self, name: str) -> Optional[bytes]:
        """What was written there, if it is there and nobody else can have written it."""
        try:
            with self._opened() as folder:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                descriptor = os.open(name, flags, dir_fd=folder)
            with open(descriptor, "rb") as file:
                return file.read() if _is_ours_alone(os.fstat(descriptor)) else None
        except OSError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Keep DATA, if it can be kept privately."""
        try:
            files.make_folder(self.parent, os.path.dirname(self.parent))
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.path, 0o700)
            with self._opened() as folder:
                _replace(folder, name, data)
        except OSError:
            pass

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """A descriptor of the folder, through which alone it is used: its path may lead elsewhere
        at any moment, for the parent is the group's. Raises OSError."""
        folder = os.open(self.path, files.OPEN_FOLDER)
        try:
            status = os.fstat(folder)
            if status.st_uid != os.geteuid() or status.st_mode & 0o022:
                raise PermissionError(errno.EPERM, "is not this user's alone", self.path)
            if stat.S_IMODE(status.st_mode) == 0o2700:  # made in a group's folder: for nobody else
                os.fchmod(folder, 0o700)
            yield folder
        finally:
            os.close(folder)


def _replace(folder: int, name: str, data: bytes) -> None:
    temporary = f".{name}.{os.urandom(4).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        try:
            os.fchmod(descriptor, 0o600)  # whatever the umask
            files.write_all(descriptor, data)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(temporary, dir_fd=folder)
        raise


def _is_ours_alone(status: os.stat_result) -> bool:
    """A file of this user's that no other can have written or linked here."""
    ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
    return ours and not status.st_mode & 0o077 and status.st_nlink == 1
