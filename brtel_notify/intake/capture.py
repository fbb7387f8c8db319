"""The first step of an alert: what the monitoring server passed, raw, before anybody reads it.

A notification command goes through this module on every alert, so it imports nothing at all. What
reads the file again is capture_file.py.

In its file a capture is the bytes as they came, behind a line that says how many::

    brtel-notify 2 1795000000.25 SIZE SIZE SIZE nagios
    NAGIOS_HOSTNAME=acme.3cx.fr NUL ...    the environment: a NUL behind each variable
    --var NUL CUSTOMER=CL2385 NUL ...      the arguments: a NUL behind each
    {...} NUL newline                      stdin

The sizes are the three blocks', in bytes, without stdin's own NUL. Version 1 was a line of JSON.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Sequence

#: How such a file begins.
MARK = b"brtel-notify "
VERSION = "2"
END = b"\0\n"


class Capture:
    """One notification as it came in: source, its environment variables, argv, stdin, time.

    ``argv`` holds the words after the command's name, without brtel-notify's own global options.
    ``time`` is in seconds since the epoch. Bytes that are no UTF-8 are kept as lone surrogates
    (Python's ``surrogateescape``), so that nothing is lost and nothing fails here.
    """

    __slots__ = ("argv", "env", "source", "stdin", "time")

    def __init__(
        self,
        source: str,
        env: Mapping[str, str],
        argv: Sequence[str],
        stdin: str,
        time: float,
    ) -> None:
        self.source = source
        self.env: Dict[str, str] = dict(env)
        self.argv: List[str] = list(argv)
        self.stdin = stdin
        self.time = time

    def as_dict(self) -> Dict[str, Any]:
        """The capture for programs, as ``queue show --json`` and `render` have it."""
        return {
            "source": self.source,
            "time": self.time,
            "env": self.env,
            "argv": self.argv,
            "stdin": self.stdin,
        }

    def as_bytes(self) -> bytes:
        """The capture as its file has it, up to the journal."""
        env = _block([f"{name}={self.env[name]}" for name in self.env])
        argv, stdin = _block(self.argv), encoded(self.stdin)
        sizes = f"{len(env)} {len(argv)} {len(stdin)}"
        line = f" {VERSION} {float(self.time)!r} {sizes} {self.source}\n"
        return b"".join((MARK.rstrip(), encoded(line), env, argv, stdin, END))


def decoded(data: bytes) -> str:
    """Bytes from outside as text: UTF-8, with lone surrogates for what is none."""
    return data.decode("utf-8", "surrogateescape")


def encoded(text: str) -> bytes:
    """The bytes that :func:`decoded` made a text of."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half characters that no byte has become
        return text.encode("utf-8", "surrogatepass")


def text_of(document: bytes) -> str:
    """A JSON DOCUMENT as text: UTF-8, whose bad bytes are kept as they are, UTF-16 or UTF-32."""
    if b"\0" not in document[:2] and document[:1] not in (b"\xef", b"\xfe", b"\xff"):
        return decoded(document)  # no mark of another encoding, nor of this one
    import json

    encoding = json.detect_encoding(document)
    bad_bytes = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    return document.decode(encoding, bad_bytes)


def _block(items: Sequence[str]) -> bytes:
    # No process can be given a NUL there; a capture from elsewhere loses it.
    return encoded("".join([item.replace("\0", "") + "\0" for item in items]))
