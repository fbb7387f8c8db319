"""The connections that calls travel over, none of which waits longer than its call may take.

requests' timeout is one per socket operation, so a server (or a resolver) that trickles can hold a
call for ever. Here every wait of a call, from the look-up of the name to the last byte of the
answer, is given only what is left of the call's time.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import queue
import socket
import threading
from typing import Any, Callable, Iterator, List, Optional, Tuple

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class TimeLimit:
    """The time that the call of this thread may still take.

    ``sent``: whether some of the call may have gone out: False only while a new connection for it
    is not there yet, and for good if it never comes to be.
    """

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self.sent = True

    def left(self) -> float:
        """Seconds; raises socket.timeout when there are none."""
        seconds = self._end - self._clock()
        if seconds <= 0:
            raise socket.timeout("timed out")
        return seconds

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """The connections of this thread keep to this limit meanwhile."""
        _thread.limit = self
        try:
            yield
        finally:
            del _thread.limit


_thread = threading.local()


def _limit() -> TimeLimit:
    """The limit in force; connections only ever work within Transport.send."""
    limit: TimeLimit = _thread.limit
    return limit


class _Reader(io.RawIOBase):
    """Reads from a socket's file; no read may wait longer than the call's time limit."""

    def __init__(self, sock: Any, raw: Any) -> None:
        super().__init__()
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        self._sock.settimeout(_limit().left())
        count: Optional[int] = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    """An answer whose head and body are read through a _Reader."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(sock, self.fp.detach()))


class _Connection(HTTPConnection):
    """A connection whose every wait keeps to the call's time limit."""

    response_class = _Answer

    def connect(self) -> None:
        """With all that comes before the request itself: a proxy's CONNECT, the TLS handshake."""
        _limit().sent = False
        super().connect()
        _limit().sent = True

    def _new_conn(self) -> socket.socket:
        addresses = _resolved(self._dns_host.strip("[]"), self.port or 0)
        failure = OSError("the name has no address")
        for index, address in enumerate(addresses):
            # Each address gets its share, so that a dead IPv6 leaves time for IPv4.
            share = _limit().left() / (len(addresses) - index)
            try:
                return _connected(address, share, [*(self.socket_options or ()), *_KEEP_ALIVE])
            except OSError as error:
                failure = error
        raise failure


class _TlsConnection(_Connection, HTTPSConnection):
    """The same, over TLS."""


class HttpPool(HTTPConnectionPool):
    """A pool of such connections."""

    ConnectionCls = _Connection


class HttpsPool(HTTPSConnectionPool):
    """A pool some of whose connections may have been opened ahead.

    They are given out as new ones: a pool takes an idle TLS connection, on which a session ticket
    waits to be read, for one that the server has closed.
    """

    ConnectionCls = _TlsConnection

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lock = threading.Lock()
        self._under_way = 0
        self._closed = False
        self._opened: queue.SimpleQueue[Tuple[float, Any]] = queue.SimpleQueue()
        self._time: Callable[[], float] = lambda: 0.0

    def open_ahead(self, connections: int, clock: Callable[[], float], seconds: float) -> None:
        """Begin to open so many CONNECTIONS, each within SECONDS of CLOCK."""
        self._time = clock
        for _ in range(connections):
            limit = TimeLimit(clock, seconds)
            thread = threading.Thread(target=self._open, args=(limit,), daemon=True, name="connect")
            with self._lock:
                self._under_way += 1
            try:
                thread.start()
            except RuntimeError:  # too many threads on this machine: no call is to wait for it
                self._opened.put((clock(), None))

    def _open(self, limit: TimeLimit) -> None:
        connection = None
        try:
            with limit.in_force():
                connection = super()._new_conn()
                self._validate_conn(connection)  # urllib3's name for: connect
        except Exception:  # noqa: BLE001 - the call that needs it meets it again, and says so
            connection = None
        with self._lock:
            if not self._closed:
                self._opened.put((self._time(), connection))
            elif connection is not None:
                connection.close()

    def close(self) -> None:
        """Close all that is open, also what was opened ahead and not used."""
        with self._lock:
            self._closed = True
        while not self._opened.empty():
            _, connection = self._opened.get()
            if connection is not None:
                connection.close()
        super().close()

    def _new_conn(self) -> Any:
        with self._lock:
            expected = self._under_way > 0
            self._under_way -= expected
        if expected:
            connection = self._opened_one()
            if connection is not None:
                return connection
        return super()._new_conn()

    def _opened_one(self) -> Any:
        """A connection that was opened ahead; None if it could not be, or that was long ago."""
        limit = _limit()
        limit.sent = False
        try:
            opened_at, connection = self._opened.get(timeout=limit.left())
        except queue.Empty:
            raise socket.timeout("timed out") from None
        limit.sent = True
        if connection is not None and self._time() - opened_at > _STILL_FRESH:
            connection.close()
            return None
        return connection


#: Seconds for which a connection that nobody used yet is trusted to be open at the other end.
_STILL_FRESH = 5.0

# A firewall that forgets an idle connection without a word would cost the next call its whole
# time-out: probes keep the connection known, or show that it is dead.
_KEEP_ALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)] + [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
]


def _resolved(name: str, port: int) -> List[Any]:
    """The addresses of NAME. A resolver has no time-out of its own, so a thread waits for it."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            answers.put(socket.getaddrinfo(name, port, 0, socket.SOCK_STREAM))
        except UnicodeError:
            answers.put(socket.gaierror(socket.EAI_NONAME, "not a host name"))
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits
            answers.put(error)

    threading.Thread(target=resolve, daemon=True, name="resolve").start()
    try:
        answer = answers.get(timeout=_limit().left())
    except queue.Empty:
        text = "the name was not resolved in time"
        raise socket.gaierror(socket.EAI_AGAIN, text) from None
    if isinstance(answer, Exception):
        raise answer
    return list(answer)


def _connected(address: Any, seconds: float, options: List[Any]) -> socket.socket:
    """A socket connected to an ADDRESS of getaddrinfo within SECONDS."""
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        for option in options:
            sock.setsockopt(*option)
        sock.settimeout(seconds)
        sock.connect(where)
        sock.settimeout(_limit().left())  # for the TLS handshake
    except BaseException:
        sock.close()
        raise
    return sock
