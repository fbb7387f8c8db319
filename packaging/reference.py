"""What brtel-notify's own code says of itself: the keys of the configuration, the commands and
their options, the variables and filters of templates. Facts only; make_reference.py writes them as
Markdown, make_man.py as manual pages.

Texts are English, literal words in backticks, and nothing else is marked in them.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import re
import sys
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    Type,
)
from typing import get_type_hints as hints_of
from unittest import mock

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))  # the code beside this file, not one that is installed

from brtel_notify import cli  # noqa: E402
from brtel_notify.config import schema, values  # noqa: E402
from brtel_notify.config.schema import Config, Section, keys_of  # noqa: E402
from brtel_notify.config.tree import Tree  # noqa: E402
from brtel_notify.config.yaml_nodes import SCALAR, ConfigError, Node  # noqa: E402
from brtel_notify.local import command_line  # noqa: E402
from brtel_notify.options import Options  # noqa: E402
from brtel_notify.sources import registry  # noqa: E402

# --- the configuration ----------------------------------------------------------------------------


class KeyEntry(NamedTuple):
    """A key of the configuration file. ``name`` is in full (``ticket.group_by``), ``takes`` says
    what may stand there, ``default`` is as YAML has it: None when the key must be given, empty
    when leaving it out means what no value does.
    """

    name: str
    takes: str
    default: Optional[str]
    text: str


class Part(NamedTuple):
    """A section of the file with all that is in it, the keys of a rule (``rules[]``), or, without
    a name, the keys that stand alone.
    """

    name: str
    text: str
    keys: List[KeyEntry]


#: What may stand for a value, by what reads it.
_TAKES: Dict[Callable[..., Any], str] = {
    values.account: "customer account",
    values.accounts: "accounts by host name",
    values.boolean: "`true` or `false`",
    values.duration: "length of time",
    values.duration_or_null: "length of time",
    values.email: "e-mail address",
    values.open_after: "length of time or `HH:MM`",
    values.log: "`stderr`, `syslog` or path",
    values.lookup: "list of lookups",
    values.name_or_id: "name or id",
    values.name_or_id_or_null: "name or id",
    values.number_or_null: "whole number above 0",
    values.page: "address",
    values.ticket_page: "an address with `{id}` or `{number}` in it",
    values.name: "short name",
    values.path: "path",
    values.proxy: "address",
    values.regex_or_null: "regular expression",
    values.seconds: "length of time",
    values.secret: "text",
    values.text: "text",
    values.url: "address",
    values.zone: "time zone",
}
#: …where the reader was made for that key alone.
_TAKES_BY_NAME = {
    "rules": "list of rules",
    "rules[].set": "keys of `ticket`",
    "severities": "keys of `ticket` by severity",
    "ticket.tags": "list of words",
}


def parts() -> List[Part]:
    """The whole configuration file, in the order of the code. Raises KeyError for a reader that
    nobody has described here.
    """
    found = []
    alone = []
    for name, item in keys_of(Config).items():
        kind = hints_of(Config)[name]
        if _is_section(kind):
            found.append(Part(name, one_paragraph(kind.__doc__), list(_keys(kind, name))))
        else:
            alone.append(_key(name, item))
    rule = Part("rules[]", one_paragraph(schema.Rule.__doc__), list(_keys(schema.Rule, "rules[]")))
    return [*found, Part("", "", alone), rule]


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _keys(kind: Type[Section], name: str) -> Iterator[KeyEntry]:
    """The keys of a section and of those within it."""
    for key, item in keys_of(kind).items():
        inner = hints_of(kind)[key]
        if _is_section(inner):
            yield from _keys(inner, f"{name}.{key}")
        else:
            yield _key(f"{name}.{key}", item)


def _key(name: str, item: schema.Key) -> KeyEntry:
    takes = _TAKES_BY_NAME.get(name) or _choices(item) or _TAKES[item.reader]
    takes_null = _takes_null(item)
    default = None if item.default is schema.REQUIRED else _as_yaml(item)
    if item.default is None and not takes_null:
        default = ""
    return KeyEntry(name, takes + (", or `null`" if takes_null else ""), default, item.description)


def _choices(item: schema.Key) -> str:
    words = [f"`{word}`" for word in item.choices]
    return " or ".join([", ".join(words[:-1]), words[-1]]) if words else ""


def _takes_null(item: schema.Key) -> bool:
    """Whether ``null`` means something of its own; for lists and tables it is an empty one."""
    nothing = Tree(Node(SCALAR, 1, "", is_null=True), "", "", {})
    try:
        return item.reader(nothing) is None
    except ConfigError:
        return False


def _as_yaml(item: schema.Key) -> str:
    """The default as one would write it."""
    value = item.default
    if item.reader is values.lookup:
        return f"[{', '.join(_one_lookup(way, text) for way, text in value)}]"
    if item.reader is values.zone:
        return str(value)
    if isinstance(value, float):
        return _length(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return str(value) or '""'


def _one_lookup(way: str, text: str) -> str:
    return f'{way}: "{text}"' if text else way


def _length(seconds: float) -> str:
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


# --- the commands ---------------------------------------------------------------------------------


class Word(NamedTuple):
    """An option or an argument of a command: how it is written, what it does."""

    usage: str
    text: str


class Command(NamedTuple):
    """One command. ``usage`` are its command lines, ``examples`` a caption (often empty) and
    what to type.
    """

    name: str
    usage: List[str]
    text: List[str]
    words: List[Word]
    examples: List[Tuple[str, str]]


#: The options of commands that have no parser, but a text of their own.
_PLAIN_OPTIONS = {
    "--var": Word("--var NAME=VALUE", "add a variable, or override one; may be repeated"),
    "--dry-run": Word("--dry-run", "show what would be done, and send nothing"),
    "--json": Word("--json", "for programs"),
    "--capture": Word("--capture FILE", "a capture instead of a source's arguments and input"),
}
#: More on the global options than their own help says.
_GLOBAL_TEXTS = {
    "--config": "the configuration file, instead of the one that `BRTEL_NOTIFY_CONFIG` names, of"
    " `/etc/brtel-notify/config.yml`, and of the user's own `~/.config/brtel-notify/config.yml`",
    "--state-dir": "the state folder, instead of the one that `BRTEL_NOTIFY_STATE_DIR` or"
    " systemd's `STATE_DIRECTORY` names, and of `/var/lib/brtel-notify`",
    "--log-format": "what a line of the log is, `text` for people or `json` for programs, instead"
    " of what `BRTEL_NOTIFY_LOG_FORMAT` says; without either, `text`",
    "-v": "say more: each call, and the traceback of an unforeseen error",
}
#: More options than these are not written out in a command line.
_MOST_IN_USAGE = 6

EXIT_CODES = {
    0: "delivered, deliberately ignored, or safely queued; standard output says which in one line",
    2: "the command line is wrong",
    65: "the event cannot be understood, or BlueRockTEL refused it for good; it is kept in `dead/`",
    70: "an unforeseen error; the event stays queued",
    75: "the event could not even be stored (disk full, no permission): the caller must try again",
    78: "the configuration is wrong; the event stays queued",
}
OTHER_EXIT_CODES = {
    0: "done",
    1: "not done: you said no, or nobody reads the output any more",
    2: "the command line is wrong",
    65: "what was named is not there, is wrong, or BlueRockTEL refused it",
    69: "BlueRockTEL cannot be reached (`install`: the monitoring system is not found)",
    70: "an unforeseen error",
    73: "a file could not be written (`install`, `init`)",
    75: "the state folder cannot be used",
    78: "the configuration is wrong",
    130: "interrupted",
}
FILES = {
    "/etc/brtel-notify/config.yml": "the configuration, see brtel-notify-config(5)",
    "~/.config/brtel-notify/config.yml": "the same, of a user alone, where the former is not there",
    "/var/lib/brtel-notify/": "the state folder, of mode 0700, or 2770 for a group that shares it",
    "/var/lib/brtel-notify/state.json": "the open tickets, for people and jq to read",
    "/var/lib/brtel-notify/ended.jsonl": "what recovered in the last day; may be removed",
    "/var/lib/brtel-notify/queue/": "events that wait to be delivered, one a file",
    "/var/lib/brtel-notify/dead/": "events that were given up, each with its input and the reason",
    "/var/lib/brtel-notify/visible": "the alarm of a note that came out visible to the customer;"
    " `brtel-notify test --open` takes it away",
    "/var/lib/brtel-notify/cache/": "what BlueRockTEL answered lately; may be removed at any time",
}
VARIABLES_OF_ENVIRONMENT = {
    "BRTEL_NOTIFY_CONFIG": "the configuration file, where `--config` names none",
    "BRTEL_NOTIFY_STATE_DIR": "the state folder, where `--state-dir` names none",
    "STATE_DIRECTORY": "the state folder, where neither does; systemd sets it",
    "BRTEL_TOKEN": "the API token, where the configuration holds neither `token` nor `token_file`",
    "BRTEL_NOTIFY_LOG_FORMAT": "`text` or `json`, where `--log-format` does not say",
    "NAGIOS_*, ICINGA_*": "the notification, for `brtel-notify nagios` and `brtel-notify icinga`",
    "XDG_CONFIG_HOME": "where a user's own configuration is looked for, instead of `~/.config`",
    "NO_COLOR": "if not empty, no colours on a terminal",
}


def global_options() -> List[Word]:
    """The options that every command has, but the sandbox."""
    parser = _with_globals()
    found = []
    for action in parser._actions:
        word = _option(action, parser)
        found.append(word._replace(text=_GLOBAL_TEXTS.get(action.option_strings[0], word.text)))
    return found


def _with_globals() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(add_help=False)
    command_line.add_globals(parser)
    return parser


def _global_names() -> Set[str]:
    actions = _with_globals()._actions
    return {"-h", "--help", *(name for action in actions for name in action.option_strings)}


def commands() -> List[Command]:
    """Every command: the notification commands, then those for people."""
    return [command(name) for name in (*registry.NAMES, *cli.COMMANDS)]


def command(name: str) -> Command:
    """One command, as its ``--help`` has it. Raises KeyError for an option of a command without a
    parser that nobody has described here.
    """
    parser, text = _help(name)
    return _plain(name, text) if parser is None else _parsed(name, parser)


def _help(name: str) -> Tuple[Optional[argparse.ArgumentParser], str]:
    """The parser that ``--help`` makes a command print, else the text that it prints.

    The parser, and not its text: that is laid out differently by different Pythons.
    """
    asked: List[argparse.ArgumentParser] = []
    printed = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(SystemExit))
        stack.enter_context(contextlib.redirect_stdout(printed))
        stack.enter_context(
            mock.patch.object(
                argparse.ArgumentParser, "print_help", lambda self, file=None: asked.append(self)
            )
        )
        if name in registry.NAMES:
            from brtel_notify.commands import notify

            notify.run(name, ["--help"], Options())
        else:
            importlib.import_module(f"brtel_notify.commands.{name}").run(["--help"], Options())
    return (asked[0] if asked else None), printed.getvalue()


def _parsed(name: str, parser: argparse.ArgumentParser) -> Command:
    actions = [
        action
        for action in parser._actions  # there is no public way to what a parser was told
        if action.help != argparse.SUPPRESS and not _global_names() & set(action.option_strings)
    ]
    options = [action for action in actions if action.option_strings]
    arguments = [action for action in actions if not action.option_strings]
    about = _split(parser.description or "")
    behind = _split(parser.epilog or "")
    return Command(
        name,
        [_usage(parser, options, arguments)],
        about.text + behind.text,
        [
            *about.words,
            *(Word(_name(action), _said(action, parser)) for action in arguments),
            *(_option(action, parser) for action in options),
        ],
        behind.examples,
    )


def _usage(
    parser: argparse.ArgumentParser,
    options: Sequence[argparse.Action],
    arguments: Sequence[argparse.Action],
) -> str:
    """The command line: the parser's own, if somebody wrote one."""
    if parser.usage:
        return parser.usage % {"prog": parser.prog}
    words = [f"[{' '.join([action.option_strings[0], *_value(action)])}]" for action in options]
    if len(words) > _MOST_IN_USAGE:
        words = ["[OPTION]..."]
    return " ".join([parser.prog, *words, *(_in_usage(action) for action in arguments)])


def _option(action: argparse.Action, parser: argparse.ArgumentParser) -> Word:
    return Word(
        " ".join([", ".join(action.option_strings), *_value(action)]), _said(action, parser)
    )


def _value(action: argparse.Action) -> List[str]:
    if action.nargs == 0:
        return []
    return [_name(action)]


def _name(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(action.choices) if action.choices else action.dest.upper()


def _in_usage(action: argparse.Action) -> str:
    shown = {None: "{}", "?": "[{}]", "*": "[{}]...", "+": "{}..."}[action.nargs]  # type: ignore[index]
    return shown.format(_name(action))


def _said(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    text = (action.help or "") % {**vars(action), "prog": parser.prog}
    if not text and action.default is not None:
        text = f"without it, `{action.default}`"
    return text


def _plain(name: str, help_text: str) -> Command:
    """A command that prints a text of its own."""
    told = _split(help_text)
    without_examples = re.sub(r"example.*?:\n(?: +.*\n)+", "", help_text)
    options = dict.fromkeys(re.findall(r"(?<![\w-])--[a-z][a-z-]+", without_examples))
    listed = {word.usage.split(" ")[0] for word in told.words}
    more = [option for option in options if option not in listed | _global_names()]
    words = [_PLAIN_OPTIONS[option] for option in more] + told.words
    return Command(name, told.usage, told.text, words, told.examples)


class _Split(NamedTuple):
    """The pieces of a help text. ``words`` are those of an indented list in it."""

    usage: List[str]
    text: List[str]
    words: List[Word]
    examples: List[Tuple[str, str]]


def _split(text: str) -> _Split:
    usage: List[str] = []
    paragraphs: List[List[str]] = [[]]
    words: List[Word] = []
    examples: List[Tuple[str, List[str]]] = []
    # The global options have a section of their own.
    for line in text.partition("\nglobal options:\n")[0].splitlines():
        listed = re.fullmatch(r"  (\S.*?) {2,}(\S.*)", line)
        if line.startswith("usage: "):
            usage.append(line.partition(": ")[2])
        elif usage and not any(paragraphs) and line.startswith("       "):
            usage.append(line.strip())
        elif line.startswith("example"):
            examples.append((line.rstrip(":").partition("example")[2].strip(" ,()"), []))
        elif examples and line.startswith("  "):
            examples[-1][1].append(line[2:])
        elif listed:
            words.append(Word(*listed.groups()))
        elif line.strip():
            paragraphs[-1].append(line.strip())
        else:
            paragraphs.append([])
    texts = [" ".join(lines) for lines in paragraphs if lines]
    return _Split(usage, texts, words, [(name, "\n".join(code)) for name, code in examples])


# --- templates ------------------------------------------------------------------------------------

TEMPLATES = {
    "subject": "the ticket's subject: one line of plain text, at most 255 characters",
    "body": "the ticket's first text",
    "details": "the note behind it, unless `replies.details` is `false`",
    "problem": "the note when the problem gets worse, better or other, repeats, joins a ticket"
    " or reopens it",
    "recovery": "the note when the problem is over",
    "acknowledgement": "the note when somebody acknowledges it, or takes that back",
    "comment": "the note of a comment",
    "downtime": "the note when a downtime starts, ends or is cancelled",
    "flapping": "the note when the state begins or ends to flap",
}

#: The fields of an alert, each a variable of its own.
ALERT_FIELDS = {
    "source": f"where it comes from: {registry.in_words('`')}",
    "kind": "`problem`, `recovery`, `acknowledgement`, `comment`, `downtime` or `flapping`",
    "host": "the host's name in the monitoring system",
    "time": "when the monitoring system reported it: seconds since 1970",
    "severity": "the normalised severity: `critical`, `warning`, `unknown`, `info` or `ok`",
    "state": "the source's own word: `DOWN`, `CRITICAL`, `Disaster`",
    "action": "more on the kind: `start`, `end` or `cancelled` of a downtime or of flapping;"
    " `worse`, `better` or `changed` of a problem; `removed` of an acknowledgement; `cancelled` of"
    " a recovery, when the thing is not monitored any more",
    "address": "the host's address",
    "service": "what failed on the host: a service, LibreNMS's rule, Zabbix's trigger; empty when"
    " it is the host itself",
    "check": "what identifies it where its name does not: Zabbix's trigger id, `--key` of an event",
    "title": "the source's own headline, if it has one (LibreNMS, `event`)",
    "output": "what the check says",
    "long_output": "whatever more it says, often in several lines",
    "since": "when this state began: seconds since 1970, or `none` where the source does not say",
    "author": "who acknowledged, commented or set the downtime",
    "comment": "what they wrote",
    "url": "the page of the host or service in the monitoring system, where `sources` gives its"
    " address; else `alert.url`",
    "vars": "all that the source passed, by name: `vars.HOSTALIAS`",
    "occurrence": "what the source calls this one problem, where it does"
    " ([the same problem again](occurrences.md)): Zabbix's event id",
    "instance": "which of several such systems it is, by `sources.NAME.instance` or `--instance` of"
    " an event; mostly empty",
}
#: What belongs to ``alert`` alone.
ALERT_PROPERTIES = {
    "key": "what tells this alert from others: system, host, and what failed on it",
    "system": "the source and, behind an `@`, the instance, if it has one: `zabbix@lyon`",
    "rank": "how bad it is, from 0 (`ok`) to 4 (`critical`)",
}
#: What else templates, rules and lookups see.
OTHER_VARIABLES = {
    "what": "`service`, or else `check`, or else `title`",
    "alert": "the alert as a whole: `alert.host` is `host`. Only `alert.url` is not `url`, but the"
    " address that the alert itself brings, often a runbook: `notes_url` or `action_url`, a"
    " trigger's URL",
    "now": "the present time in the configured zone, a Python `datetime`: `now.hour`,"
    " `now.weekday()` (0 is Monday)",
}
#: What only templates and rules see: in a lookup the customer is yet to be found.
CUSTOMER_VARIABLES = {
    "customer": "who owns the host; false where nobody is known",
}
CUSTOMER_FIELDS = {
    "id": "the id in BlueRockTEL",
    "name": "the name",
    "account": "the account: `CL2385`",
    "customer_account": "the same, as BlueRockTEL calls it",
    "how": "how the customer was found: `hosts`, `account`, `pbx`, `search` or `fallback`",
    "guess": "another customer, whom a search gave and nothing confirmed; else empty",
}
#: What only templates see.
TICKET_VARIABLES = {
    "reference": "the ticket's reference, `BN-` and 12 hexadecimal digits",
    "decision": "what is done, in English: `opened`, `reopened`, `warning → critical`",
    "change": "how severity or state changed since the last event: `warning → critical`; empty if"
    " neither did",
    "joined": "true when the ticket has not stood for this problem before",
    "another": "true when it stood for another one of the same thing until now",
    "reopened": "true when the ticket is reopened",
    "kept_open": "true when somebody had asked for the ticket's closing, which is taken back",
    "follows": "the number of the ticket that BlueRockTEL would not reopen, and in whose place this"
    " one is opened; else empty. The ticket says so by itself",
    "companions": "further alerts that this note also speaks of, in a ticket that several share;"
    " each has the fields of `alert`",
    "others": "how many other problems still hold the ticket",
    "untold": "how many results of a volatile service were only counted since its last note",
}

FILTERS = {
    "lines": ("text of several lines as HTML, every line break kept", "{{ long_output|lines }}"),
    "clip": ("text cut to so many characters, 500 unless told", "{{ output|clip(20) }}"),
    "date": ("seconds since 1970 as a date in the configured time zone", "{{ since|date }}"),
    "span": ("seconds as a length of time in words", "{{ (2 * 3600 + 300)|span }}"),
    "product": ("a source as the name of the product", "{{ source|product }}"),
    "thing": (
        "a source as its word for what fails on a host, in the language of the templates",
        "{{ source|thing }}",
    ),
    "found": (
        "`customer.how` in words, in the language of the templates",
        "{{ 'pbx'|found }}",
    ),
    "french": ("severities, and changes of them, in French", "{{ 'warning → critical'|french }}"),
    "upfirst": ("text with a capital at its beginning", "{{ severity|upfirst }}"),
}


def one_paragraph(text: Optional[str]) -> str:
    """A docstring, or any text, as one paragraph."""
    return " ".join((text or "").split())
