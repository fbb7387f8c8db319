"""Where the log goes if not to stderr: syslog, or a file. Neither can hang a delivery
(nonblocking.py)."""

from __future__ import annotations

import errno
import os
import socket
import time

from brtel_notify.local import files
from brtel_notify.local.nonblocking import Sink

#: syslog's socket, and its facility daemon (syslog.h).
SOCKET = "/dev/log"
_DAEMON = 3 << 3


class Target(Sink):
    """A target of ``log:``, of the PROGRAM that logs there."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def say(self, line: str, priority: int, is_json: bool) -> bool:
        """Write LINE, which is JSON or not; PRIORITY is syslog.h's.

        False if it was lost. Raises OSError that names the file.
        """
        raise NotImplementedError


def named(name: str, program: str) -> Target:
    """The target of that NAME, ``syslog`` or the path of a file, for PROGRAM."""
    return Syslog(program) if name == "syslog" else File(program, name)


class Syslog(Target):
    """syslog or the journal, by their socket. (The C library's syslog() waits for ever, too.)"""

    def say(self, line: str, priority: int, is_json: bool) -> bool:
        """As the C library words it. While nobody listens there, lines are lost."""
        stamp = time.strftime("%b %e %H:%M:%S")
        text = f"<{_DAEMON | priority}>{stamp} {self._program}[{os.getpid()}]: {line}"
        try:
            return self.put(text.encode("utf-8", "replace"))
        except OSError:
            return False

    def _write(self, data: bytes) -> None:
        try:
            _send(socket.SOCK_DGRAM, data)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
            _send(socket.SOCK_STREAM, data + b"\0")


def _send(kind: socket.SocketKind, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX, kind) as out:
        out.connect(SOCKET)
        out.sendall(data)


class File(Target):
    """A file, opened anew for each line, so that it can be rotated away; or a FIFO."""

    def __init__(self, program: str, path: str) -> None:
        super().__init__(program)
        self.path = path

    def say(self, line: str, priority: int, is_json: bool) -> bool:
        """With the time and the process before it, unless it is JSON, which has both."""
        if not is_json:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = f"{stamp} {self._program}[{os.getpid()}]: {line}"
        try:
            return self.put(f"{line}\n".encode("utf-8", "replace"))
        except OSError as error:
            error.filename = self.path
            raise

    def _at_once(self, data: bytes) -> bytes:
        return files.write_now(_opened(self.path), data)

    def _write(self, data: bytes) -> None:
        descriptor = _opened(self.path)
        try:
            os.set_blocking(descriptor, True)
            files.write_all(descriptor, data)
        finally:
            os.close(descriptor)


def _opened(path: str) -> int:
    """Open the log; a new one is for its owner (and group, as its folder says), whatever the umask.

    One that is there keeps its mode, and may be a link: its operator knows why. But not in a folder
    that others write: root would follow a link that one of them has planted, to any file. A FIFO
    does not keep us waiting for its reader.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return files.create_at_once(path, flags)
    except FileExistsError:
        if files.is_private(os.path.dirname(os.path.abspath(path))):
            return os.open(path, flags | os.O_CREAT, 0o600)
    try:
        return files.open_unlinked(path, flags)
    except FileNotFoundError:  # just rotated away
        return files.create_at_once(path, flags)
