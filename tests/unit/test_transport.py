"""Connections that are opened ahead, on real sockets with TLS."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Iterator, List, Optional, Tuple, cast

import pytest

from brtel_notify.api.exceptions import Call, Unreachable
from brtel_notify.api.transport import Transport

POST = Call("POST", "/v1/tickets", body=b"{}")
GET = Call("GET", "/v1/priorities")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server(ThreadingHTTPServer):
    """Answers ``{}``, and knows over which connections it was asked."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.context = context
        self.opened: List[Tuple[str, int]] = []
        self.asked: List[Tuple[str, int]] = []
        #: Holds answers back until so many calls are there.
        self.together: Optional[threading.Barrier] = None

    def get_request(self) -> Tuple[ssl.SSLSocket, Tuple[str, int]]:
        sock, address = super().get_request()
        self.opened.append(address)
        return self.context.wrap_socket(sock, server_side=True), address


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = cast(Server, self.server)
        server.asked.append(self.client_address)
        if server.together is not None:
            server.together.wait(30)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = handle_one  # noqa: N815 - http.server's names

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command, which makes the certificate, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    words += ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(words, check=True, capture_output=True)
    return folder / "cert.pem"


@contextmanager
def serving(certificate: Path) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server = Server(context)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()


@contextmanager
def transport(port: int, certificate: Path, clock: Clock) -> Iterator[Transport]:
    made = Transport(
        f"https://127.0.0.1:{port}/api",
        ca_file=str(certificate),
        proxy=None,
        pool_size=4,
        clock=clock,
    )
    try:
        yield made
    finally:
        made.close()


def test_calls_take_the_connections_that_were_opened_ahead(certificate: Path) -> None:
    with serving(certificate) as server, transport(server.server_port, certificate, Clock()) as way:
        way.open_ahead(2, 30.0)
        assert way.send(GET, 30.0)[0] == 200
        assert way.send(GET, 30.0)[0] == 200  # kept alive: the second is not needed yet
        server.together = threading.Barrier(2)
        both = [threading.Thread(target=way.send, args=(GET, 30.0)) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert len(server.opened) == 2
        assert set(server.asked) <= set(server.opened)
        assert len(server.asked) == 4


def test_one_that_nobody_used_for_long_is_not_trusted(certificate: Path) -> None:
    clock = Clock()
    with serving(certificate) as server, transport(server.server_port, certificate, clock) as way:
        way.open_ahead(1, 300.0)
        way._session.pool_of(way.url)._opened.put(  # wait for it, by taking it and putting it back
            way._session.pool_of(way.url)._opened.get(timeout=30)
        )
        clock.now += 60
        assert way.send(POST, 30.0)[0] == 200
        assert server.asked == server.opened[1:]


def test_what_cannot_be_opened_ahead_is_the_calls_own_error(certificate: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with transport(port, certificate, Clock()) as way:
            way.open_ahead(2, 30.0)
            with pytest.raises(Unreachable, match="refused") as raised:
                way.send(POST, 30.0)
            assert not raised.value.maybe_done
            assert raised.value.retry


def test_a_thread_that_cannot_be_started_costs_a_call_nothing(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with serving(certificate) as server, transport(server.server_port, certificate, Clock()) as way:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", start)
            way.open_ahead(1, 30.0)
        assert way.send(POST, 30.0)[0] == 200


def test_a_server_that_never_greets_costs_a_call_its_time_and_nothing_was_sent(
    certificate: Path,
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        with transport(port, certificate, Clock()) as way:
            way.open_ahead(1, 0.2)  # the clock stands still: the socket's own time-out ends it
            with pytest.raises(Unreachable, match="no whole answer") as raised:
                way.send(POST, 0.2)
            assert not raised.value.maybe_done


def test_plain_http_and_a_proxy_are_not_connected_ahead() -> None:
    for proxy, url in ((None, "http://127.0.0.1:9/api"), ("http://127.0.0.1:9", "https://x/api")):
        way = Transport(url, ca_file=None, proxy=proxy, pool_size=1, clock=Clock())
        before = set(threading.enumerate())
        way.open_ahead(2, 1.0)
        assert set(threading.enumerate()) <= before
