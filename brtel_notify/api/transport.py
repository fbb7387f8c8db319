"""How a call travels: one keep-alive session, and a time limit on the call as a whole.

From the outside in:

    Transport.send      one call; what goes wrong becomes an ApiError
    _Session, _Adapter  requests' own, with nothing of the environment, and our connections in them
    connections.py      opens the sockets, and reads the answers from them
"""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.parse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Callable, Iterator, List, Mapping, Optional, Tuple, Union

import requests
import requests.adapters
import urllib3.exceptions
from urllib3.util.ssl_match_hostname import CertificateError

from brtel_notify import __version__
from brtel_notify.api.address import check_ca_file, checked_proxy, checked_url
from brtel_notify.api.connections import HttpPool, HttpsPool, TimeLimit
from brtel_notify.api.content_coding import BadCoding, TooLong, decoded
from brtel_notify.api.exceptions import ApiError, BadAnswer, Call, TlsError, Unreachable
from brtel_notify.local.ip_address import is_loopback

#: An answer longer than this (bytes) is refused.
LONGEST_ANSWER = 16 * 1024 * 1024

# OpenSSL's X509_V_ERR_ numbers: not yet valid and expired (which the server's people or this
# machine's clock will mend: nothing is configured wrongly); wrong host name and IP address.
_CERTIFICATE_DATES = (9, 10)
_CERTIFICATE_NAMES = (62, 64)


class Transport:
    """The way to one API; threads may share it.

    ``url``, ``ca_file``, ``proxy`` and ``pool_size`` are those of the Client, ``clock`` counts
    seconds. Raises address.WrongSetting for a URL, proxy or CA file that is so.
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
        parts = urllib.parse.urlsplit(self.url)
        self._peer = parts.netloc  # whom we talk to, for messages
        self._clock = clock
        self._session = _Session(pool_size)
        if ca_file:
            check_ca_file(ca_file)
            self._session.verify = ca_file
        if proxy:
            shown_proxy = checked_proxy(proxy)
            if not is_loopback(
                parts.hostname or ""
            ):  # a plain http call must not leave this machine
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
        limit = TimeLimit(self._clock, seconds)
        try:
            with limit.in_force():
                return self._exchange(call, seconds)
        except (OSError, http.client.HTTPException, BadCoding) as error:
            # requests' own are OSErrors
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
            try:
                content = _body(response)
            except TooLong:
                text = f"the answer is longer than {LONGEST_ANSWER >> 20} MiB"
                raise call.error(
                    BadAnswer,
                    response.status_code,
                    text,
                    cure=": is {url} right?",
                    retry=True,
                    maybe_done=True,
                ) from None
            return response.status_code, response.headers, content

    def _failure(self, call: Call, limit: TimeLimit, seconds: float, error: Exception) -> ApiError:
        """What went wrong before there was a whole answer."""
        if isinstance(error, BadCoding):
            text = "the answer is not what its Content-Encoding says"
            return call.error(BadAnswer, None, text, retry=True, maybe_done=True, api_wide=True)
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, (ssl.SSLCertVerificationError, CertificateError)):
                return self._distrust(call, cause)
        text, cure = _reason(causes, self._peer, seconds)
        return call.error(
            Unreachable, None, text, cure=cure, retry=True, maybe_done=limit.sent, api_wide=True
        )

    def _distrust(
        self, call: Call, error: Union[ssl.SSLCertVerificationError, CertificateError]
    ) -> ApiError:
        why = getattr(error, "verify_message", "") or str(error)
        code = getattr(error, "verify_code", None)
        passing = code in _CERTIFICATE_DATES
        if passing:
            cure = "; is this machine's clock right?"
        elif code in _CERTIFICATE_NAMES or isinstance(error, CertificateError):
            cure = "; is {url} right?"
        else:
            cure = "; if the server has a private CA, {ca_file}"
        text = f"the certificate of {self._peer} is not trusted: {why}"
        return call.error(TlsError, None, text, cure=cure, retry=passing, api_wide=True)


def _body(response: requests.Response) -> bytes:
    """The body of RESPONSE, without its codings. Raises TooLong, BadCoding, OSError."""
    content = bytearray()
    for chunk in _raw_chunks(response):
        content += chunk
        if len(content) > LONGEST_ANSWER:
            raise TooLong
    return decoded(bytes(content), response.headers.get("Content-Encoding", ""), LONGEST_ANSWER)


def _raw_chunks(response: requests.Response) -> Iterator[bytes]:
    """The body as it travels. urllib3's errors stay what they are, and are told by their causes."""
    try:
        yield from response.raw.stream(65536, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ConnectionError(error) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """ERROR and, after it, what it was raised for, down to the socket's own error.

    Context before cause: the cause that urllib3 gives is made up by itself, and leads no further.
    """
    item: Optional[BaseException] = error
    while item is not None:
        yield item
        item = item.__context__ or item.__cause__


def _reason(causes: List[BaseException], peer: str, seconds: float) -> Tuple[str, str]:
    """In a few words, why PEER gave no whole answer; and the cure, if there is one."""
    for cause in reversed(causes):
        if isinstance(cause, socket.gaierror):
            return f"the name of {peer} cannot be resolved: {cause.strerror}", ""
        if isinstance(cause, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(cause):
            return (
                f"{peer}: what answers there is no https",
                ": are scheme and port of {url} right?",
            )
        # A plain OSError without an error number has a text, such as a proxy's refusal.
        if isinstance(cause, OSError) and (cause.strerror or type(cause) is OSError):
            return f"{peer}: {cause.strerror or cause}", ""
        if isinstance(cause, (socket.timeout, requests.Timeout)):
            return f"no whole answer from {peer} within {seconds:.3g} s", ""
    return f"the connection to {peer} broke before the whole answer was there", ""


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
        self.poolmanager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}
        return manager
