"""A BlueRockTEL that costs nothing: the sandbox's answers, over and over, with other numbers.

The sandbox keeps each ticket and looks all of them through at a search: ten thousand would be a
measurement of it. So what a new ticket takes (its search, its creation, its contact, its note) is
answered here, as the sandbox answered it the first time; everything else is passed on.
Usage: stand_in.py URL (the sandbox's, with /api). Prints its own URL. GET /count: tickets so far.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Tuple
from urllib.parse import parse_qs, urlsplit

import requests

_LEARNED = re.compile(
    r"(GET|POST) /api/v1/tickets(/search)?|PUT .*/associates|POST /api/v1/replies"
)
_NUMBERS = itertools.count(1_000_000)


class StandIn(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    #: The sandbox, without /api.
    root = ""
    learned: Dict[str, Tuple[int, Any]] = {}  # noqa: RUF012 - all connections know the same
    opened = 0

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        if path == "/count":
            self._send(200, json.dumps(StandIn.opened).encode())
            return
        kind = f"{self.command} {re.sub('[0-9]+', 'ID', path).replace('vID', 'v1')}"
        if not _LEARNED.fullmatch(kind):
            self._send(*self._passed_on(body))
            return
        if kind == "POST /api/v1/tickets":
            StandIn.opened += 1
        if kind not in self.learned:
            status, data = self._passed_on(body)
            self._send(status, data)
            if status < 300:
                self.learned[kind] = status, json.loads(data)
            return
        status, answer = self.learned[kind]
        self._send(status, json.dumps(self._numbered(kind, answer)).encode())

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - http.server's names

    def _numbered(self, kind: str, answer: Any) -> Any:
        if kind == "POST /api/v1/tickets":
            number = next(_NUMBERS)
            return {**answer, "id": number, "number": f"S{number}"}
        if kind == "POST /api/v1/replies":
            ticket = int(parse_qs(urlsplit(self.path).query)["ticket_id"][0])
            return {**answer, "id": next(_NUMBERS), "ticket_id": ticket}
        return answer

    def _passed_on(self, body: bytes) -> Tuple[int, bytes]:
        wanted = ("Authorization", "Accept", "Content-Type")
        headers = {name: self.headers[name] for name in wanted if name in self.headers}
        answer = requests.request(
            self.command, self.root + self.path, data=body, headers=headers, timeout=60
        )
        return answer.status_code, answer.content

    def _send(self, status: int, data: bytes) -> None:
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n"
        self.wfile.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """One that says nothing of clients that hang up."""

    def handle_error(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    StandIn.root = sys.argv[1].removesuffix("/api")
    server = Server(("127.0.0.1", 0), StandIn)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_port}/api", flush=True)
    server.serve_forever()
