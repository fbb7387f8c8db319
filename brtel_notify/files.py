"""Files of the state folder: written whole, for the right eyes, never through a planted link.

Capture imports this module on every alert: os alone, nothing heavy.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Union

    PathLike = Union[str, "os.PathLike[str]"]

_GROUP_WRITE = 0o020


def make_folder(path: PathLike, parent: PathLike | None = None) -> None:
    """Create the folder PATH if it is not there, as private as its PARENT (alone: 0700).

    A state folder shared by a group has mode 2770; what is made inside follows it, whatever the
    umask. Raises OSError.
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    if parent is not None and _shared(parent):
        os.chmod(path, 0o2770)


def _shared(folder: PathLike) -> bool:
    return bool(os.stat(folder).st_mode & _GROUP_WRITE)


def mode_below(folder: PathLike) -> int:
    """The mode of files in FOLDER: 0660 where a group shares it, else 0600."""
    return 0o660 if _shared(folder) else 0o600


def write_whole(path: PathLike, data: bytes, *, durable: bool = True) -> None:
    """Replace the file PATH by DATA in one step, so that no reader ever sees a part of it.

    Durable: when this returns, the file survives a power cut (fsync of the file and its folder).
    Raises OSError, and then the old file is as it was.
    """
    folder, name = os.path.split(os.fspath(path))
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        try:
            os.fchmod(descriptor, mode_below(folder))
            write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        remove_quietly(temporary)
        raise
    if durable:
        sync_folder(folder)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of DATA: os.write may take only a part of it. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def append_line(path: PathLike, line: bytes) -> None:
    """Append LINE (without its newline) to the existing file PATH, durably.

    A line cut short by a full disk is taken back; one cut short by a kill is closed off first, for
    its reader to pass over. Raises OSError; then the file is as it was.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        try:
            write_all(descriptor, line + b"\n")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def read_whole(path: PathLike) -> bytes:
    """The bytes of the file PATH, which must be no symbolic link. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        return file.read()


def sync_folder(folder: PathLike) -> None:
    """Make renames and removals in FOLDER survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_quietly(path: PathLike) -> None:
    """Remove the file PATH; that it cannot be removed is no reason to fail."""
    try:
        os.unlink(path)
    except OSError:
        pass
