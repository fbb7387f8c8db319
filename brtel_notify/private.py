"""Files that save work and that only their own user may have written: compiled templates, the
parsed configuration. In a state folder shared by a group, what another member could have put there
is never run or believed."""

from __future__ import annotations

import os
import stat
from typing import Optional

from brtel_notify import files


class PrivateFolder:
    """The folder ``cache/NAME-UID`` below the state folder. Nothing that fails here matters."""

    def __init__(self, state_dir: str, name: str) -> None:
        self.parent = os.path.join(state_dir, "cache")
        self.path = os.path.join(self.parent, f"{name}-{os.geteuid()}")

    def read(self, name: str) -> Optional[bytes]:
        """What was written there, if it is there and nobody else can have written it."""
        try:
            descriptor = os.open(
                os.path.join(self.path, name),
                os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
            )
            with open(descriptor, "rb") as file:
                # The file itself is asked, not its folder: that could be another by now.
                return file.read() if _is_ours_alone(os.fstat(descriptor)) else None
        except OSError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Keep DATA, if it can be kept privately."""
        try:
            files.make_folder(self.parent, os.path.dirname(self.parent))
            try:
                os.mkdir(self.path, 0o700)
                os.chmod(self.path, 0o700)  # whatever the umask
            except FileExistsError:
                pass
            status = os.lstat(self.path)
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                files.write_whole(os.path.join(self.path, name), data, durable=False)
        except OSError:
            pass


def _is_ours_alone(status: os.stat_result) -> bool:
    """A file of this user's that no other can have written or linked here."""
    ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
    return ours and not status.st_mode & 0o077 and status.st_nlink == 1
