"""The HTTP server under the application: Werkzeug's threaded one, made to keep connections."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any, List, Tuple

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class Handler(WSGIRequestHandler):
    """One connection and the calls that come over it.

    Werkzeug's own `run_wsgi` closes after each answer and eats what follows it; this one relies on
    the Gate, which reads every body and gives every answer its length.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece

    def run_wsgi(self) -> None:
        """Answer one call; a Dropped (or a client that went away) ends the connection."""
        try:
            self._respond()
        except ConnectionError:
            self._hang_up()
        except Exception:  # noqa: BLE001 - a fault of the sandbox itself: shown, and not fatal
            traceback.print_exc(file=sys.stderr)
            self._hang_up()

    def _respond(self) -> None:
        head: List[Any] = []

        def start_response(
            status: str, headers: List[Tuple[str, str]], exc_info: Any = None
        ) -> Any:
            head[:] = [status, headers]
            return self.wfile.write

        chunks = self.server.app(self.make_environ(), start_response)
        sent = False
        for chunk in chunks:
            if not sent:
                self._send_head(*head)
                sent = True
            self.wfile.write(chunk)
        if not sent:
            self._send_head(*head)
        self.wfile.flush()
        if hasattr(chunks, "close"):
            chunks.close()

    def _send_head(self, status: str, headers: List[Tuple[str, str]]) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def handle_expect_100(self) -> bool:
        """Let the client send its body at once: the answer must not wait in the buffer."""
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def log(self, type: str, message: str, *args: Any) -> None:
        """Keep quiet: `/__sandbox__/requests` is the log."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there, port 0 being any free one; raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


def make(app: WSGIApplication, listener: socket.socket, host: str) -> BaseWSGIServer:
    """Return a server of `app` on `listener`, which it takes over."""
    port = listener.getsockname()[1]
    server = make_server(
        host, port, app, threaded=True, request_handler=Handler, fd=listener.fileno()
    )
    listener.close()
    return server


@contextlib.contextmanager
def running(app: WSGIApplication, host: str = "127.0.0.1") -> Any:
    """Serve `app` in a thread of this process; gives the port."""
    server = make(app, listen(host, 0), host)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
