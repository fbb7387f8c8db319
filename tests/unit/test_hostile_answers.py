"""What a server, or a template, may do to us by size; and the token that a server repeats.

F9 and F10 of what once failed.
"""

from __future__ import annotations

import base64
import collections
import gzip
import http.server
import json
import resource
import subprocess
import sys
import threading
import zlib
from typing import Any, Dict, Iterator, List, Tuple
from urllib.parse import quote

import pytest

from brtel_notify.api import content_coding, transport
from brtel_notify.api.blotting import LEAST, LEAST_OF_DATA, blotted, blotted_answer
from brtel_notify.api.client import Client
from brtel_notify.api.content_coding import BadCoding, TooLong, decoded
from brtel_notify.api.credentials import Credentials
from brtel_notify.api.exceptions import ApiError, BadAnswer
from brtel_notify.text import expressions
from brtel_notify.text.bounded_jinja import TooMuch

TOKEN = "12|AbCdEfGhIjKlMnOpQrStUvWxYz0123456789/+"


class Server(http.server.ThreadingHTTPServer):
    """Answers with what it is told to."""

    status = 200
    headers: List[Tuple[str, str]] = []  # noqa: RUF012 - replaced, never changed
    body = b""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server: Server) -> Any:
    with Client(f"http://127.0.0.1:{server.server_port}", Credentials(token=TOKEN)) as client:
        return client.request("GET", "/v1/x")


def refused(server: Server) -> str:
    with pytest.raises(ApiError) as caught:
        ask(server)
    return str(caught.value)


# --- F9: a small answer that unpacks to a large one -----------------------------------------------


def bomb(layers: int, size: int = 64 * 1024 * 1024) -> bytes:
    data = b" " * size
    for _ in range(layers):
        data = gzip.compress(data, mtime=0)
    return data


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "gzip, gzip, gzip", "x-gzip,gzip"])
def test_f9_a_bomb_is_refused(server: Server, coding: str) -> None:
    server.headers = [("Content-Encoding", coding)]
    server.body = bomb(coding.count("gzip"))
    assert len(server.body) < 100_000
    with pytest.raises(BadAnswer, match=r"16 MiB|Content-Encoding"):
        ask(server)


def test_f9_a_bomb_takes_no_memory() -> None:
    """At no stage: here 4 GB, packed twice."""
    script = (
        "import gzip, resource, zlib\n"
        "from brtel_notify.api.content_coding import *\n"
        "packer = zlib.compressobj(9, zlib.DEFLATED, 31)\n"
        "once = b''.join(packer.compress(bytes(2**20)) for _ in range(4096)) + packer.flush()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (512 * 2**20,) * 2)\n"
        "try: decoded(gzip.compress(once, mtime=0), 'gzip, gzip', 16 * 2**20)\n"
        "except TooLong: print('too long')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout == b"too long\n"


BODY = b'{"a": [1, 2, 3]}'


def gzipped(data: bytes) -> bytes:
    """Without the time, which would give a test another name each second."""
    return gzip.compress(data, mtime=0)


RAW = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzipped(BODY)),
        ("GZIP, identity", gzipped(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", RAW.compress(BODY) + RAW.flush()),
        ("gzip, gzip", gzipped(gzipped(BODY))),
        ("deflate, gzip", gzipped(zlib.compress(BODY))),
    ],
)
def test_f9_what_servers_do_send_is_read(server: Server, coding: str, body: bytes) -> None:
    server.headers = [("Content-Encoding", coding)] if coding else []
    server.body = body
    assert ask(server) == {"a": [1, 2, 3]}


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", BODY),
        ("gzip", gzipped(BODY)[:-9]),
        ("deflate", b"\0\0\0\0"),
        ("br", BODY),
        ("gzip, gzip, gzip", BODY),
    ],
)
def test_f9_what_is_not_what_it_says(server: Server, coding: str, body: bytes) -> None:
    with pytest.raises(BadCoding):
        decoded(body, coding, 1000)
    server.headers, server.body = [("Content-Encoding", coding)], body
    assert "the answer is not what its Content-Encoding says" in refused(server)


def test_f9_the_limit_is_to_the_byte() -> None:
    assert decoded(gzipped(BODY), "gzip", len(BODY)) == BODY
    with pytest.raises(TooLong):
        decoded(gzipped(BODY), "gzip", len(BODY) - 1)
    assert content_coding.MOST_CODINGS == 2
    assert transport.LONGEST_ANSWER == 16 * 1024 * 1024


# --- F9: a template that makes something huge -----------------------------------------------------

LARGE = "{% set a = 'x' * 400000 %}"


@pytest.mark.parametrize(
    "source",
    [
        "{{ (1).to_bytes(2*10**9, 'big') }}",  # the case
        "{{ (1).to_bytes(length=2*10**9, byteorder='big') | length }}",
        "{{ (0).from_bytes(('x' * 400000).encode(), 'big') }}",
        LARGE + "{{ [a, a] }}",
        LARGE + "{{ (a, a) ~ '' }}",
        LARGE + "{{ {'a': a, 'b': a} }}",
        "{% set a = ['x' * 40000] * 10 %}{{ ([a] * 1000) | string | length }}",
        "{% set a = [1] %}" + "{% set a = [a, a, a, a] %}" * 20 + "{{ a }}",
        "{% set a = {} %}" + "{% set a = {'a': a, 'b': a} %}" * 30 + "{{ a }}",
        "{{ ('{0:9999}' * 50000).format(1) }}",
        "{{ ('{0}' * 1000).format('x' * 9000) }}",
        "{{ ('%(a)s' * 1000) % {'a': 'x' * 9000} }}",
        "{{ '%1000000000d'.encode() % 1 }}",
        "{{ ['a'] | map('center', 10**9) | list }}",
    ],
)
def test_f9_no_expression_takes_the_memory(source: str) -> None:
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, limits[1]))
    try:
        with pytest.raises(TooMuch):
            expressions.value(source, {})
        with pytest.raises(TooMuch):
            expressions.holds("(1).to_bytes(2*10**9, 'big')", {})
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_f9_what_templates_do_need_is_given() -> None:
    context: Dict[str, Any] = {
        "vars": collections.defaultdict(str, {f"V{n}": "x" * 100 for n in range(800)}),
        "host": "db1",
    }
    for source, value in {
        "{{ (5).to_bytes(2, 'big') | length }}": "2",
        "{{ '%s: %s' % (host, vars.V1|length) }}": "db1: 100",
        "{{ '{} {:>4}'.format(host, 7) }}": "db1    7".replace("    ", " "),
        "{{ ('%(V1)s' % vars) | length }}": "100",
        "{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{% endfor %}": "1234",
        "{{ [host, 'x'] | join('-') }}": "db1-x",
        "{% set n = namespace(c=0) %}{% for k, v in vars.items() %}"
        "{% set n.c = n.c + vars.get(k)|length %}{% endfor %}{{ n.c }}": "80000",
    }.items():
        assert expressions.value(source, context) == value


# --- F10: the token that a server repeats ---------------------------------------------------------


def html(text: str) -> str:
    return "".join(f"&#x{ord(char):x};" for char in text)


FORMS = {
    "as it is": TOKEN,
    "percent-encoded": quote(TOKEN, safe=""),
    "percent-encoded in small letters": quote(TOKEN, safe="").lower(),
    "percent-encoded twice": quote(quote(TOKEN, safe=""), safe=""),
    "each character percent-encoded": "".join(f"%{ord(char):02x}" for char in TOKEN),
    "as PHP's JSON has it": json.dumps(TOKEN)[1:-1].replace("/", "\\/"),
    "as \\u": TOKEN.replace("|", "\\u007C"),
    "as HTML": html(TOKEN),
    "its beginning": TOKEN[:12],
    "its middle": TOKEN[9:21],
    "its end": TOKEN[-LEAST:],
    "base64": base64.b64encode(TOKEN.encode()).decode(),
    "base64 with Bearer": base64.b64encode(f"Bearer {TOKEN}".encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(f"x{TOKEN}".encode()).decode(),
    "base64 of a part": base64.b64encode(TOKEN[5:25].encode()).decode(),
    "base64 of its percent-encoding": base64.b64encode(quote(TOKEN, safe="").encode()).decode(),
    "hex": TOKEN.encode().hex(),
    "hex in capitals": TOKEN.encode().hex().upper(),
    "capitals": TOKEN.upper(),
    "the other case": TOKEN.swapcase(),
    "backwards": TOKEN[::-1],
}


@pytest.mark.parametrize("form", FORMS)
def test_f10_no_form_of_the_token_is_told(server: Server, form: str) -> None:
    for status, body in (
        (422, json.dumps({"message": f"no <{FORMS[form]}> here"})),
        (403, json.dumps({"errors": {"token": [FORMS[form]]}})),
        (500, f"<title>{FORMS[form]}</title>"),
        (200, f"no JSON: {FORMS[form]}"),
    ):
        server.status, server.body = status, body.encode()
        said = refused(server)
        assert "***" in said
        for part in (TOKEN[3:11], TOKEN[20:28]):
            assert part.lower() not in said.lower()
        assert FORMS[form][4:12] not in said


@pytest.mark.parametrize("form", ["as it is", "percent-encoded", "base64", "hex", "as HTML"])
def test_f10_nor_is_it_in_what_an_answer_holds(server: Server, form: str) -> None:
    """What is kept of an answer: a customer's name, a ticket's number."""
    server.body = json.dumps({"name": f"Acme {FORMS[form]}", "id": 1}).encode()
    assert ask(server) == {"name": "Acme ***", "id": 1}


def test_f10_a_redirect_that_holds_it(server: Server) -> None:
    server.status, server.headers = 302, [("Location", f"https://x.example/{quote(TOKEN)}")]
    assert "redirected to https://x.example/***" in refused(server)


def test_f10_short_tokens_whole_only() -> None:
    """The case: 12%7Csecret."""
    secrets = ("12|secret",)
    assert blotted("token 12%7Csecret is bad", secrets) == "token *** is bad"
    assert blotted("token 12|secret, a secret", secrets) == "token ***, a secret"
    assert blotted("x/y and eC9", ("x/y",)) == "*** and eC9"
    assert blotted("nothing here", ("", "12|secret")) == "nothing here"


def test_f10_other_texts_stay_to_the_letter() -> None:
    text = "Ticket A7KZ2F of Acme Telecom SAS: İstanbul, 100 % at 2026-11-21, %7C &#124; \\u00e9"
    assert blotted(text, (TOKEN,)) == text
    assert blotted(f"{text} {TOKEN} {text}", (TOKEN,)) == f"{text} *** {text}"


@pytest.mark.parametrize("size", [1_000, 2 * 1024 * 1024])
def test_f10_a_long_answer_stays_the_answer(size: int) -> None:
    data = json.dumps({"a": "é\\/" * (size // 8), "b": TOKEN}).encode()
    found = blotted_answer(data, TOKEN, LEAST_OF_DATA)
    assert json.loads(found) == {"a": "é\\/" * (size // 8), "b": "***"}
