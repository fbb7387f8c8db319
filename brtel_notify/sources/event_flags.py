"""The flags of ``brtel-notify event``, and the JSON object whose names are those of the flags."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

from brtel_notify.alert import KINDS, PROBLEM, RECOVERY, TEST, Alert, Unintelligible
from brtel_notify.intake import withheld
from brtel_notify.intake.capture import Capture, text_of
from brtel_notify.local.cleaning import printable, shown
from brtel_notify.local.log import Log
from brtel_notify.options import Options, UsageError
from brtel_notify.sources import fields, macros, severities
from brtel_notify.sources.source import LONGEST_INPUT, read_stdin

if TYPE_CHECKING:
    import argparse

_TEXTS = {
    "host": "the host that the alert is about; needed, except for a test",
    "service": "the service on that host, if it is about one",
    "state": "the state in the program's own word: DOWN, OK…; or its exit code, $?",
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
#: Every flag, and by which name its value goes.
_DESTINATIONS = {
    **{f"--{flag}": flag.replace("-", "_") for flag in _TEXTS},
    "--kind": "kind",
    "--type": "kind",
    "--var": "var",
    "--json": "json",
}

_SCREEN = """\
usage: brtel-notify event [OPTION]...

Takes an alert of any program, by flags or as a JSON object.

  --host TEXT        the host (needed, but for a test); --address TEXT: its IP
  --service TEXT     the service on that host, if it is about one
  --key TEXT         what failed, if not said yet; --instance TEXT: which system
  --state TEXT       the state in the program's own word: DOWN, OK...; or its $?
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

    Raises UsageError; leaves by SystemExit after ``--help``.
    """
    words = options.take_all(arguments)
    if _asks_for_help(words):
        parser().print_help()
        raise SystemExit(0)
    given = _read(words)
    for doubt in doubts(given):  # a mistake in one flag does not cost the alert
        Log(options.verbose, options.log_format).error(doubt)
    return words, "" if given["json"] is None else _text(given["json"])


def parser() -> argparse.ArgumentParser:
    """The parser that has all options of the command, for its help and the manual page."""
    from brtel_notify.local import command_line

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

    Raises Unintelligible for flags that are none, malformed JSON, no host, or no word on
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
        state=severities.state_in_words(given.get("state", "")) or given.get("severity", ""),
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
    if severity.strip() and not severities.any_word(severity):
        known = "critical, warning, info and ok are"
        yield f"--severity {shown(severity)} is no severity ({known}): --state decides, or unknown"
    if since.strip() and _since(since) is None:
        form = "seconds since 1970, or 2026-11-21T18:37:29Z"
        yield f"--since {shown(since)} is no time ({form}): it is left out"


def doubt(capture: Capture) -> str:
    """What is to be told of CAPTURE, which was understood, if its state is a word nobody knows.

    Where no kind is given, that word decides whether a ticket is opened or closed.
    """
    flags = _read(capture.argv)
    data = {} if flags["json"] is None else fields.json_object(capture.stdin, "the JSON given")
    given = _given(data, flags)
    state = given.get("state", "").strip()
    if given.get("kind", "").strip() or not state or severities.any_state(state):
        return ""
    return (
        f"the state {shown(state)} is no word known here, so it is taken for a problem: OK, up,"
        " resolved, 0 end one, and so does --kind recovery"
    )


def _read(words: Sequence[str]) -> Dict[str, Any]:
    """The flags among WORDS, by name; None where one is not given. Raises UsageError.

    Every flag has a value, behind its ``=`` or as the next word, whatever that looks like: ``-5%``
    and ``--`` are what a check said. argparse would take them for options.
    """
    given: Dict[str, Any] = {**dict.fromkeys(_DESTINATIONS.values()), "var": []}
    for flag, value, said in withheld.flags(words):
        name = _DESTINATIONS.get(flag)
        if name is None:
            raise _wrong(f"unrecognized arguments: {flag}")
        if len(said) == 1 and "=" not in said[0]:
            raise _wrong(f"argument {flag}: expected one argument")
        if name == "var":
            given[name].append(_pair(value))
        else:
            given[name] = value
    return given


def _asks_for_help(words: Sequence[str]) -> bool:
    return any(flag in ("-h", "--help") for flag, _, _ in withheld.flags(words))


def _wrong(text: str) -> UsageError:
    return UsageError(f"event: {printable(text, 200)}")


def _pair(text: str) -> Tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise _wrong("argument --var: it is NAME=VALUE")
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
    state, severity = given.get("state", ""), given.get("severity", "")
    if not (state.strip() or severity.strip()):
        raise Unintelligible("no kind, state or severity: give one, such as --severity critical")
    well = severities.is_well(state) if state.strip() else severities.any_word(severity) == "ok"
    return (RECOVERY if well else PROBLEM), ""


def _since(text: str) -> Optional[float]:
    return fields.epoch(text) or fields.date_and_time(text)


def _severity(kind: str, given: Mapping[str, str]) -> str:
    if kind == RECOVERY:
        return "ok"
    words = (
        severities.any_word(given.get("severity", "")),
        severities.any_state(given.get("state", "")),
    )
    severity = next((word for word in words if word), "unknown")
    return "unknown" if kind == PROBLEM and severity == "ok" else severity
