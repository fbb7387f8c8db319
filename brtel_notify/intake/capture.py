"""The first step of an alert: what the monitoring server passed, raw, before anybody reads it.

A notification command goes through this module on every alert, so it imports next to nothing.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Sequence

#: The environment variables that belong to each source; nothing else of the environment is kept.
ENVIRONMENT = {
    "nagios": ("NAGIOS_", "ICINGA_"),
    "icinga": ("ICINGA_",),
    "zabbix": (),
    "librenms": (),
    "event": (),
}


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


def own_environment(source: str, environ: Mapping[str, str]) -> Dict[str, str]:
    """The variables of ENVIRON that belong to SOURCE."""
    prefixes = ENVIRONMENT[source]
    return {name: value for name, value in environ.items() if name.startswith(prefixes)}


# --- what is left out -----------------------------------------------------------------------------


def is_secret(name: str) -> bool:
    """Whether what goes by that NAME, in whatever case, can only be a secret (DESIGN section 1)."""
    name = name.strip().upper()
    return (
        ("PASS" in name and any(word in name for word in ("PASSWORD", "PASSWD", "PASSPHRASE")))
        or "COMMUNITY" in name
        or "SECRET" in name
        or "TOKEN" in name
        or "AUTHNAME" in name
        or "CRYPTO" in name
        or name.endswith(("PASS", "CHECKCOMMAND"))
        or (name[-1:].isdecimal() and name.rstrip("0123456789").endswith("ARG"))
    )


def without_secrets(capture: Capture) -> Capture:
    """CAPTURE without what can only be a secret; what a source reads of the rest is the same."""
    source, argv, stdin, data = capture.source, capture.argv, capture.stdin, []
    if source == "zabbix":
        from brtel_notify.intake.withheld import from_message

        argv, data = argv[:-3], argv[-3:]  # where no word is a flag, whatever it looks like
        data[-1:] = map(from_message, data[-1:])
    if stdin:
        from brtel_notify.intake.withheld import from_json

        stdin = from_json(stdin, source == "librenms")
    env = {name: value for name, value in capture.env.items() if not is_secret(name)}
    return Capture(source, env, _without_secret_flags(argv) + data, stdin, capture.time)


def _without_secret_flags(words: Sequence[str]) -> List[str]:
    """The WORDS of a command line, without each ``--var NAME=VALUE`` of a secret name."""
    kept: List[str] = []
    rest = iter(words)
    for word in rest:
        flag, equals, pair = word.partition("=")
        taken = [word]
        if flag.startswith("--") and not equals:  # every flag has a value: it is the next word
            taken += [value for value in (next(rest, None),) if value is not None]
            pair = taken[-1]
        if flag != "--var" or not is_secret(pair.partition("=")[0]):
            kept += taken
    return kept
