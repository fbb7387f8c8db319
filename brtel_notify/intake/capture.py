"""The first step of an alert: what the monitoring server passed, raw, before anybody reads it.

A notification command goes through this module on every alert, so it imports next to nothing.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Sequence


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
        """The capture as its queue file has it."""
        return {
            "source": self.source,
            "time": self.time,
            "env": self.env,
            "argv": self.argv,
            "stdin": self.stdin,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Capture:
        """The capture again, from :meth:`as_dict`."""
        return cls(data["source"], data["env"], data["argv"], data["stdin"], data["time"])


def text_of(document: bytes) -> str:
    """A JSON DOCUMENT as text: UTF-8, whose bad bytes are kept as they are, UTF-16 or UTF-32."""
    encoding = json.detect_encoding(document)
    bad_bytes = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    return document.decode(encoding, bad_bytes)
