"""How a call travels: one keep-alive session, and a time limit on the call as a whole.

requests' timeout is one per socket operation, so a server (or a resolver) that trickles can hold a
call for ever. Here every wait of a call, from the look-up of the name to the last byte of the
answer, is given only what is left of the call's time. From the outside in:

    Transport.send      one call; what goes wrong becomes an ApiError
    _Session, _Adapter  requests' own, with nothing of the environment, and our connections in them
    _Connection         opens the socket
    _Answer, _Reader    read the answer from it

Also here: whether api.url, api.proxy and api.ca_file can be used.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import os
import queue
import re
import socket
import ssl
import threading
import urllib.parse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Callable, Iterator, List, Mapping, Optional, Tuple, Union

import requests
import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_match_hostname import CertificateError

from brtel_notify import __version__
from brtel_notify.api.errors import ApiError, BadAnswer, Call, TlsError, Unreachable

#: An answer longer than this (bytes) is refused.
LONGEST_ANSWER = 16 * 1024 * 1024

# OpenSSL's X509_V_ERR_ numbers: not yet valid and expired (which the server's people or this
# machine's clock will mend: nothing is configured wrongly); wrong host name and IP address.
_CERTIFICATE_DATES = (9, 10)
_CERTIFICATE_NAMES = (62, 64)


class Transport:
    """The way to one API; threads may share it.

    ``url``, ``ca_file``, ``proxy`` and ``pool_size`` are those of the Client, ``clock`` counts
    seconds. Raises ValueError for a URL, proxy or CA file that cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        ca_file: Optional[str],
        proxy: Optional[str],
        pool_size: int,
        clock: Callable[[], float],
    ) -> None:
        self.url = checked_url(url)
        self._peer = urllib.parse.urlsplit(self.url).netloc  # whom we talk to, for messages
        self._clock = clock
        self._session = _Session(pool_size)
        if ca_file:
            _check_ca_file(ca_file)
            self._session.verify = ca_file
        if proxy:
            shown_proxy = _checked_proxy(proxy)
            if not _is_loopback(self.url):  # a plain http call must not leave this machine
                self._session.proxies = {"http": proxy, "https": proxy}
                self._peer += f" through the proxy {shown_proxy}"

    def close(self) -> None:
        """Close the connections; later calls open new ones."""
        self._session.close()

    def open_ahead(self, connections: int, seconds: float) -> None:
        """Begin to open so many CONNECTIONS, each within SECONDS, while calls are still prepared.

        The calls that come first wait for one each. That one cannot be opened is no error: the call
        then tries for itself, and says why.
        """
        if not self._session.proxies and self.url.startswith("https:"):
            self._session.pool_of(self.url).open_ahead(connections, self._clock, seconds)

    def send(self, call: Call, seconds: float) -> Tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer to CALL, had within SECONDS.

        Raises Unreachable, TlsError or BadAnswer.
        """
        limit = _TimeLimit(self._clock, seconds)
        try:
            with limit.in_force():
                return self._exchange(call, seconds)
        except (OSError, http.client.HTTPException) as error:  # requests' own are OSErrors
            failure = self._failure(call, limit, seconds, error)
        # Raised out here, so that no traceback shows the libraries' objects and their headers.
        raise failure

    def _exchange(self, call: Call, seconds: float) -> Tuple[int, Mapping[str, str], bytes]:
        headers = {}
        if call.token is not None:
            headers["Authorization"] = f"Bearer {call.token}"
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        with self._session.request(
            call.method,
            self.url + call.path,
            params=list(call.params),
            data=call.body,
            headers=headers,
            timeout=seconds,
            stream=True,
        ) as response:
            # urllib3 1.26 would pass off what a broken connection left of a body as the whole.
            response.raw.enforce_content_length = True
            content = bytearray()
            for chunk in response.iter_content(65536):
                content += chunk
                if len(content) > LONGEST_ANSWER:
                    text = f"the answer is longer than {LONGEST_ANSWER >> 20} MiB"
                    text += ": is api.url right?"
                    status = response.status_code
                    raise call.error(BadAnswer, status, text, retry=True, maybe_done=True)
            return response.status_code, response.headers, bytes(content)

    def _failure(self, call: Call, limit: _TimeLimit, seconds: float, error: Exception) -> ApiError:
        """What went wrong before there was a whole answer."""
        if isinstance(error, requests.exceptions.ContentDecodingError):
            text = "the answer is not what its Content-Encoding says"
            return call.error(BadAnswer, None, text, retry=True, maybe_done=True, api_wide=True)
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, (ssl.SSLCertVerificationError, CertificateError)):
                return self._distrust(call, cause)
        text = _reason(causes, self._peer, seconds)
        return call.error(Unreachable, None, text, retry=True, maybe_done=limit.sent, api_wide=True)

    def _distrust(
        self, call: Call, error: Union[ssl.SSLCertVerificationError, CertificateError]
    ) -> ApiError:
        why = getattr(error, "verify_message", "") or str(error)
        code = getattr(error, "verify_code", None)
        passing = code in _CERTIFICATE_DATES
        if passing:
            cure = "is this machine's clock right?"
        elif code in _CERTIFICATE_NAMES or isinstance(error, CertificateError):
            cure = "is api.url right?"
        else:
            cure = "if the server has a private CA, set api.ca_file to its certificate"
        text = f"the certificate of {self._peer} is not trusted: {why}; {cure}"
        return call.error(TlsError, None, text, retry=passing, api_wide=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """ERROR and, after it, what it was raised for, down to the socket's own error.

    Context before cause: the cause that urllib3 gives is made up by itself, and leads no further.
    """
    item: Optional[BaseException] = error
    while item is not None:
        yield item
        item = item.__context__ or item.__cause__


def _reason(causes: List[BaseException], peer: str, seconds: float) -> str:
    """In a few words, why PEER gave no whole answer."""
    for cause in reversed(causes):
        if isinstance(cause, socket.gaierror):
            return f"the name of {peer} cannot be resolved: {cause.strerror}"
        if isinstance(cause, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(cause):
            return f"{peer}: what answers there is no https: are scheme and port of api.url right?"
        # A plain OSError without an error number has a text, such as a proxy's refusal.
        if isinstance(cause, OSError) and (cause.strerror or type(cause) is OSError):
            return f"{peer}: {cause.strerror or cause}"
        if isinstance(cause, (socket.timeout, requests.Timeout)):
            return f"no whole answer from {peer} within {seconds:.3g} s"
    return f"the connection to {peer} broke before the whole answer was there"


# ----------------------------------------------------------------------------- the time limit


class _TimeLimit:
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


def _limit() -> _TimeLimit:
    """The limit in force; connections only ever work within Transport.send."""
    limit: _TimeLimit = _thread.limit
    return limit


# ---------------------------------------------------------------------------------- requests


class _Session(requests.Session):
    """A session that reads nothing of the environment, keeps no cookie, follows no redirect."""

    def __init__(self, pool_size: int) -> None:
        super().__init__()
        self.trust_env = False  # no netrc, no proxy variables, no CA variables
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = f"brtel-notify/{__version__}"
        self.headers["Accept"] = "application/json"
        adapter = _Adapter(pool_connections=pool_size, pool_maxsize=pool_size)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def pool_of(self, url: str) -> Any:
        """The pool that calls to URL take their connections from, as requests finds it."""
        adapter: Any = self.get_adapter(url)
        if hasattr(adapter, "get_connection_with_tls_context"):
            request = self.prepare_request(requests.Request("GET", url))
            return adapter.get_connection_with_tls_context(request, self.verify)
        pool = adapter.get_connection(url)  # requests before 2.32
        adapter.cert_verify(pool, url, self.verify, None)
        return pool

    def get_redirect_target(self, resp: requests.Response) -> Optional[str]:
        """None: wherever an answer points, the token does not go there.

        allow_redirects=False would not do: requests then still parses the target, and may fail.
        """
        return None


class _Adapter(requests.adapters.HTTPAdapter):
    """requests' adapter, with connections that keep to the time limit."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        return manager


# -------------------------------------------------------------------------------- connections


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


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _HttpsPool(HTTPSConnectionPool):
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
            limit = _TimeLimit(clock, seconds)
            thread = threading.Thread(target=self._open, args=(limit,), daemon=True, name="connect")
            with self._lock:
                self._under_way += 1
            try:
                thread.start()
            except RuntimeError:  # too many threads on this machine: no call is to wait for it
                self._opened.put((clock(), None))

    def _open(self, limit: _TimeLimit) -> None:
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


# ----------------------------------------------------------------------------------- settings


def _is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_url(url: str) -> str:
    """URL without its trailing slash, or a ValueError that says what is wrong with api.url.

    https only, since the token travels in every call; plain http if it stays on this machine.
    """
    if not url or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise ValueError("api.url is not a URL: empty, or with spaces or backslashes in it")
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("api.url is not a URL: wrong host or port") from None
    if "@" in parts.netloc:
        raise ValueError("api.url must not hold a user name or password")
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"api.url must look like https://acme.bluerocktel.net/api, not {url}")
    if parts.query or parts.fragment:
        raise ValueError(f"api.url must end with the path, without ? or #: {url}")
    if parts.scheme == "http" and not _is_loopback(url):
        raise ValueError(f"api.url must be https (plain http only to this machine itself): {url}")
    return url.rstrip("/")


def _checked_proxy(proxy: str) -> str:
    """Host and port of the proxy, for messages; ValueError if PROXY is not an http(s) URL."""
    try:
        parts = urllib.parse.urlsplit(proxy)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or re.search(r"\s", proxy):
        # Not quoted: it may hold a password.
        raise ValueError("api.proxy must look like http://proxy.example.net:3128")
    return f"{host}:{port}" if port else host


def _check_ca_file(ca_file: str) -> None:
    """ValueError if CA_FILE (or folder) holds no usable certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if os.path.isdir(ca_file):
            context.load_verify_locations(capath=ca_file)
        else:
            context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        raise ValueError(f"api.ca_file: {ca_file}: holds no certificate in PEM form") from None
    except OSError as error:
        raise ValueError(f"api.ca_file: {ca_file}: {error.strerror}") from None
