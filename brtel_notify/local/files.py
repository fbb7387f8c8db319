"""Files of the state folder: whole, with the right owner and mode, never through a planted link.

Capture imports this module on every alert: os alone, nothing heavy.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, List, Union

    PathLike = Union[str, "os.PathLike[str]"]

_GROUP_WRITE = 0o020
#: O_NONBLOCK: a FIFO in a file's place must not hang us.
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
#: To open a folder, and no link to one.
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class NotAFile(OSError):
    """Something that is no regular file stands where a file is due: a folder, a link, a FIFO."""


def make_folder(path: PathLike, parent: PathLike | None = None) -> None:
    """Create the folder PATH if it is not there, as private as its PARENT (alone: 0700).

    A state folder shared by a group has mode 2770; what is made inside follows it, whatever the
    umask. Raises OSError.
    """
    if os.path.lexists(path):
        # The state folder itself may be a link, if its operator says so; what lies in it may not.
        if parent is not None and not is_folder(path):
            raise _not_a_folder(path)
        return
    # Under its name it is never seen with another mode: the group's other users are waiting for it.
    temporary = _temporary(path)
    try:
        os.mkdir(temporary, 0o700)
        try:
            _open_to(temporary, parent)
            os.rename(temporary, path)
        except BaseException:
            os.rmdir(temporary)
            raise
    except OSError as error:
        if not is_folder(path):  # else somebody was faster
            _name(error, path)
            raise
    try:
        sync_folder(_folder_of(path))
    except PermissionError:  # one may be allowed to make folders there, and not to look
        pass


def _open_to(folder: PathLike, parent: PathLike | None) -> None:
    """Give a FOLDER that was just made owner and mode, as its PARENT has them."""
    mode = 0o2770 if parent is not None and _shared(parent) else 0o700
    descriptor = _open_folder(folder)
    try:
        if parent is not None:
            _give_to_owner_of(parent, descriptor)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def is_folder(path: PathLike) -> bool:
    """Whether PATH is a folder itself, and no link to one that somebody may have planted."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def names_in(folder: PathLike) -> List[str]:
    """The names in FOLDER, which must be no link. Raises OSError, NotADirectoryError."""
    try:
        descriptor = os.open(folder, OPEN_FOLDER)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and os.path.lexists(folder):
            raise _not_a_folder(folder) from None
        raise
    try:
        return os.listdir(descriptor)
    finally:
        os.close(descriptor)


def _not_a_folder(path: PathLike) -> NotADirectoryError:
    text = "is a link or a file where a folder is due"
    return NotADirectoryError(errno.ENOTDIR, text, os.fspath(path))


def _open_folder(path: PathLike) -> int:
    try:
        return os.open(path, OPEN_FOLDER)
    except PermissionError:  # a umask that takes even the owner's rights
        os.chmod(path, 0o700)
        return os.open(path, OPEN_FOLDER)


def _folder_of(path: PathLike) -> str:
    return os.path.dirname(_plain(path)) or os.curdir


def _plain(path: PathLike) -> str:
    """PATH without a slash at its end."""
    text = os.fspath(path)
    return text.rstrip("/") or text


def _temporary(path: PathLike) -> str:
    """A name beside PATH that nobody else uses; the queue's sweep knows such names."""
    name = os.path.basename(_plain(path))
    return os.path.join(_folder_of(path), f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")


def _shared(folder: PathLike) -> bool:
    return bool(os.stat(folder).st_mode & _GROUP_WRITE)


def _give_to_owner_of(folder: PathLike, descriptor: int) -> None:
    """What root makes in another user's FOLDER is that user's, who must be able to go on with it.

    Only for what this process has just created: root must not give away what was there before.
    """
    if os.geteuid() != 0:
        return
    status = os.stat(folder)
    try:
        os.fchown(descriptor, status.st_uid, status.st_gid)
    except OSError:  # a file system without owners
        pass


def mode_below(folder: PathLike) -> int:
    """The mode of files in FOLDER: 0660 where a group shares it, else 0600."""
    return 0o660 if _shared(folder) else 0o600


def create(path: PathLike, flags: int) -> int:
    """Open a file that is not there yet, with the owner and mode of files in its folder.

    Raises FileExistsError, OSError.
    """
    folder = _folder_of(path)
    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL | _OPEN, 0o600)
    try:
        _give_to_owner_of(folder, descriptor)
        os.fchmod(descriptor, mode_below(folder))
    except BaseException:
        os.close(descriptor)
        remove_quietly(path)
        raise
    return descriptor


def create_at_once(path: PathLike, flags: int) -> int:
    """As :func:`create`, but nobody ever sees the file without its mode, or cannot open it.

    For a file that several users open under its own name. Raises FileExistsError, OSError.
    """
    temporary = _temporary(path)
    descriptor = create(temporary, flags)
    try:
        os.link(temporary, path)
    except BaseException as error:
        os.close(descriptor)
        # ENOTSUP and the like: a file system without hard links.
        if isinstance(error, OSError) and not isinstance(error, FileExistsError):
            return create(path, flags)
        raise
    finally:
        remove_quietly(temporary)
    return descriptor


def write_whole(
    path: PathLike, data: bytes, *, durable: bool = True, mode: int | None = None
) -> None:
    """Replace the file PATH by DATA in one step, so that no reader ever sees a part of it.

    Its owner is its folder's where root writes it, and so is its mode where MODE does not say.

    Durable: when this returns, the file survives a power cut (fsync of the file and its folder).
    A link in the file's place is replaced, not followed. Raises OSError that names PATH; then the
    old file is as it was, unless only the last step, the fsync of the folder, went wrong.
    """
    folder, temporary = _folder_of(path), _temporary(path)
    try:
        descriptor = create(temporary, os.O_WRONLY)
        try:
            try:
                if mode is not None:
                    os.fchmod(descriptor, mode)  # whatever the umask
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
    except OSError as error:
        _name(error, path)
        raise


def _name(error: OSError, path: PathLike) -> None:
    """Make ERROR name the file that people know, not a temporary one, or none."""
    error.filename, error.filename2 = os.fspath(path), None


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of DATA: os.write may take only a part of it. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def written_at_once(descriptor: int, data: bytes) -> bytes:
    """Write of DATA what the DESCRIPTOR, an inherited one, takes at once; what is left of DATA.

    Raises OSError.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(descriptor)):
        write_all(descriptor, data)  # a file, /dev/null
        return b""
    if not stat.S_ISFIFO(mode):
        return data
    try:  # the same pipe, opened for ourselves alone
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
        ours = os.open(f"/proc/self/fd/{descriptor}", flags)
    except OSError:  # another user's; no /proc
        return data
    return write_now(ours, data)


def write_now(descriptor: int, data: bytes) -> bytes:
    """Write what the non-blocking DESCRIPTOR takes of DATA, and close it; what is left of DATA.

    Raises OSError.
    """
    try:
        return data[os.write(descriptor, data) :]
    except BlockingIOError:
        return data
    finally:
        os.close(descriptor)


def append_line(path: PathLike, line: bytes, *, durable: bool = True) -> None:
    """Append LINE (without its newline) to the existing file PATH, durably if so wished.

    A line cut short by a full disk is taken back; one cut short by a kill is closed off first, for
    its reader to pass over. Raises OSError that names PATH (NotAFile among them); then the file is
    as it was.
    """
    descriptor = _open_file(path, os.O_RDWR | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        try:
            write_all(descriptor, line + b"\n")
            if durable:
                os.fsync(descriptor)
        except BaseException:
            os.ftruncate(descriptor, size)
            raise
    except OSError as error:
        _name(error, path)
        raise
    finally:
        os.close(descriptor)


def read_whole(path: PathLike) -> bytes:
    """The bytes of the file PATH. Raises OSError; NotAFile for a link, a folder, a FIFO."""
    with open_to_read(path) as file:
        return file.read()


def open_to_read(path: PathLike) -> BinaryIO:
    """The file PATH. Raises OSError; NotAFile for a link, a folder, a FIFO."""
    return open(_open_file(path, os.O_RDONLY), "rb")


def is_private(folder: PathLike) -> bool:
    """Whether nobody but root and this user can put anything into FOLDER. Raises OSError."""
    status = os.stat(folder)
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022


def open_unlinked(path: PathLike, flags: int) -> int:
    """Open a regular file that is there, and is neither a link nor has a second name elsewhere.

    Raises OSError, NotAFile.
    """
    descriptor = _open_file(path, flags)
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise _not_a_file(path)
    return descriptor


def open_own(path: PathLike, flags: int) -> int:
    """Open a regular file of ours, whose mode follows its folder's if that was opened to a group.

    Raises OSError, NotAFile.
    """
    descriptor = _open_file(path, flags)
    try:
        status, wanted = os.fstat(descriptor), mode_below(_folder_of(path))
        # A hard link may have been planted, to have root open somebody else's file to a group.
        ours = status.st_uid == os.geteuid() and status.st_nlink == 1
        if ours and stat.S_IMODE(status.st_mode) != wanted:
            os.fchmod(descriptor, wanted)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_file(path: PathLike, flags: int) -> int:
    """Open what must be a regular file. Raises OSError, NotAFile."""
    try:
        descriptor = os.open(path, flags | _OPEN)
    except OSError as error:
        # ELOOP: a link; EISDIR: a folder; ENXIO: a socket.
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _not_a_file(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_a_file(path)
    return descriptor


def _not_a_file(path: PathLike) -> NotAFile:
    return NotAFile(
        errno.EINVAL, "is a link, a folder or a device where a file is due", os.fspath(path)
    )


def refuse_devices(path: PathLike) -> None:
    """Raise NotAFile if what is to be replaced at PATH is no file: /dev/null, /dev/stdout."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise _not_a_file(path)


def sync_folder(folder: PathLike) -> None:
    """Make renames and removals in FOLDER survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems know no fsync of a folder
            raise
    finally:
        os.close(descriptor)


def remove_quietly(path: PathLike) -> None:
    """Remove the file PATH; that it cannot be removed is no reason to fail."""
    try:
        os.unlink(path)
    except OSError:
        pass
