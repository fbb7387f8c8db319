"""The flags of ``brtel-notify event``, and the JSON object whose names are those of the flags."""

from __future__ import annotations

import argparse
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    NoReturn,
    Optional,
    Sequence,
    Tuple,
)

from brtel_notify.alert import KINDS, PROBLEM, RECOVERY, TEST, Alert, Unintelligible
from brtel_notify.intake.capture import Capture, text_of
from brtel_notify.local import command_line
from brtel_notify.local.cleaning import printable, shown
from brtel_notify.local.log import Log
from brtel_notify.options import Options, UsageError
from brtel_notify.sources import fields, macros, severities
from brtel_notify.sources.source import LONGEST_INPUT, read_stdin

_TEXTS = {
    "host": "the host that the alert is about; needed, except for a test",
    "service": "the service on that host, if it is about one",
    "state": "the state in the program's own word: DOWN, OK…",
    "severity": "critical, warning, info or ok, or another usual word for it",
    "output": "what the check says, in a line or two",
    "long-output": "whatever more it says",
    "key": "what failed, where host and service do not say it: each key is a ticket of its own",
    "author": "who acknowledged or commented",
    "comment": "what they said",
    "since": "when the state began: seconds since 1970, or 2026-11-21T18:37:29Z",
    "occurrence": "what this one problem is called: another one of the same thing is news, and a"
    " recovery ends the one it names",
    "url": "a web page about the alert",
    "address": "the host's address",
    "title": "a headline",
    "instance": "which of several such systems it is: the same names on another are other alerts",
}


_SCREEN = """\
usage: brtel-notify event [OPTION]...

Takes an alert of any program, by flags or as a JSON object.

  --host TEXT        the host (needed, but for a test); --address TEXT: its IP
  --service TEXT     the service on that host, if it is about one
  --key TEXT         what failed, if not said yet; --instance TEXT: which system
  --state TEXT       the state in the program's own word: DOWN, OK...
  --severity TEXT    critical, warning, info or ok, or another usual word for it
  --since TEXT       when it began: seconds since 1970 or 2026-11-21T18:37:29Z
  --occurrence TEXT  what this problem is called, where a next one may follow
  --output TEXT      what the check says; --long-output TEXT: whatever more
  --title TEXT       a headline; --url TEXT: a web page about the alert
  --kind, --type K   problem, recovery, acknowledgement, comment, downtime,
                     flapping, test, or a Nagios type; else what --state says
  --author TEXT      who acknowledged or commented; --comment TEXT: their words
  --var NAME=VALUE   a variable of your own (vars.NAME); may be repeated
  --json FILE        all these from a JSON object; -: from stdin; a flag wins
  --dry-run          show what would be done
  --config FILE, --state-dir DIR, --log-format text|json, -v, -h: as everywhere

example:
  brtel-notify event --host db1 --service backup --severity warning
"""


def take(arguments: List[str], options: Options) -> Tuple[List[str], str]:
    """The flags as given, checked, and the text of ``--json``. Global options go to OPTIONS.

    Raises UsageError; leaves by SystemExit, as argparse does, after ``--help``.
    """
    words = options.take_all(arguments)
    given = _read(words, _Flags(add_help=True, allow_abbrev=False))
    for doubt in doubts(given):  # a mistake in one flag does not cost the alert
        Log(options.verbose, options.log_format).error(doubt)
    return words, "" if given["json"] is None else _text(given["json"])


def parser() -> argparse.ArgumentParser:
    """The parser that has all options of the command, for its help and the manual page."""
    made = command_line.parser(
        "event",
        "Takes an alert of any program, by flags or as a JSON object.",
        "brtel-notify event --host db1 --service backup --severity warning --output 'late'",
        _SCREEN,
    )
    made.add_argument("--dry-run", action="store_true", help="show what would be done")
    add_arguments(made)
    return made


def _text(path: str) -> str:
    if path == "-":
        return read_stdin()
    try:
        with open(path, "rb") as file:
            return text_of(file.read(LONGEST_INPUT))
    except OSError as error:
        raise UsageError(f"--json {path}: {error.strerror}") from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``brtel-notify event`` on PARSER."""
    for flag, about in _TEXTS.items():
        parser.add_argument(f"--{flag}", metavar="TEXT", help=about)
    parser.add_argument(
        "--kind",
        "--type",
        metavar="KIND",
        help=f"{', '.join(KINDS)}, or a Nagios notification type; "
        "without it, what state and severity say",
    )
    parser.add_argument(
        "--var",
        metavar="NAME=VALUE",
        type=_pair,
        action="append",
        default=[],
        help="a variable of your own, vars.NAME in the configuration; may be repeated",
    )
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="read all that from a JSON object with these names ('vars' an object); - is stdin; "
        "a flag given as well wins",
    )


def parse(capture: Capture) -> Alert:
    """The alert that flags, or with ``--json`` the JSON text in the capture's stdin, describe.

    Raises Unintelligible for flags that argparse refuses, malformed JSON, no host, or no word on
    whether this is a problem or a recovery. A ``since`` that cannot be read is left out.
    """
    try:
        flags = _read(capture.argv)
    except UsageError as error:
        raise Unintelligible(f"brtel-notify {error}") from None
    data = {} if flags["json"] is None else fields.json_object(capture.stdin, "the JSON given")
    given = _given(data, flags)
    host = given.get("host", "")
    kind, action = _kind(given)
    named = bool(fields.name(host))
    if not named and kind != TEST:
        raise Unintelligible('no host: give --host NAME (or "host" in the JSON object)')
    since = given.get("since", "")
    added = data.get("vars")
    return fields.alert(
        capture,
        kind,
        host if named else "test",
        variables=fields.variables(
            [(key, fields.scalar(value)) for key, value in added.items()]
            if isinstance(added, dict)
            else [],
            given,
            dict(flags["var"]),
        ),
        severity=_severity(kind, given),
        state=given.get("state", "") or given.get("severity", ""),
        action=action,
        address=given.get("address", ""),
        service=given.get("service", ""),
        check=given.get("key", ""),
        title=given.get("title", ""),
        output=given.get("output", ""),
        long_output=given.get("long_output", ""),
        since=_since(since),
        author=given.get("author", ""),
        comment=given.get("comment", ""),
        urls=(given.get("url", ""),),
        occurrence=given.get("occurrence", ""),
        instance=given.get("instance", ""),
    )


def doubts(flags: Mapping[str, Any]) -> Iterator[str]:
    """What of the FLAGS was not understood, where the alert is good without it; a line each."""
    severity, since = flags["severity"] or "", flags["since"] or ""
    if severity.strip().lower() not in (*severities.ANY, "unknown", ""):
        known = "critical, warning, info and ok are"
        yield f"--severity {shown(severity)} is no severity ({known}): --state decides, or unknown"
    if since.strip() and _since(since) is None:
        form = "seconds since 1970, or 2026-11-21T18:37:29Z"
        yield f"--since {shown(since)} is no time ({form}): it is left out"


class _Flags(argparse.ArgumentParser):
    """Reads the flags, given or stored; says nothing of a wrong one, and does not exit."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"event: {printable(message, 200)}")

    def print_help(self, file: Any = None) -> None:
        parser().print_help(file)


def _read(words: Sequence[str], flags: Optional[_Flags] = None) -> Dict[str, Any]:
    """The flags among WORDS, by name; None where one is not given. Raises UsageError."""
    flags = flags or _Flags(add_help=False, allow_abbrev=False)
    add_arguments(flags)
    return vars(flags.parse_args(words))


def _pair(text: str) -> Tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise argparse.ArgumentTypeError("it is NAME=VALUE")
    return name, value


def _given(data: Mapping[str, Any], flags: Mapping[str, Any]) -> Dict[str, str]:
    """All that was said, by name; a flag wins over the JSON object."""
    given: Dict[str, str] = {}
    for name, value in data.items():
        if name != "vars":
            given["long_output" if name == "long-output" else name] = fields.scalar(value)
    given.setdefault("kind", given.get("type", ""))
    for name, value in flags.items():
        if name not in ("var", "json") and value is not None:
            given[name] = value
    return given


def _kind(given: Mapping[str, str]) -> Tuple[str, str]:
    """The kind and the action, by their own word or by what state and severity say."""
    word = given.get("kind", "").strip()
    if word.lower() in KINDS:
        return word.lower(), ""
    if word.upper() in macros.TYPES:
        return macros.TYPES[word.upper()]
    if word:
        raise Unintelligible(f"unknown kind {shown(word)}: it is one of {', '.join(KINDS)}")
    # The severity may be that of the check, whatever its state: so the state decides.
    said = given.get("state", "").strip() or given.get("severity", "").strip()
    if not said:
        raise Unintelligible("no kind, state or severity: give one, such as --severity critical")
    return (RECOVERY if said.lower() in severities.WELL else PROBLEM), ""


def _since(text: str) -> Optional[float]:
    return fields.epoch(text) or fields.date_and_time(text)


def _severity(kind: str, given: Mapping[str, str]) -> str:
    if kind == RECOVERY:
        return "ok"
    words = (given.get(name, "").strip().lower() for name in ("severity", "state"))
    severity = next((severities.ANY[word] for word in words if word in severities.ANY), "unknown")
    return "unknown" if kind == PROBLEM and severity == "ok" else severity
