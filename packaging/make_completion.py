"""Writes the completions for bash and zsh into a folder: ``make_completion.py build/completion``.

What stands in packaging/completion/ is the part that thinks; the tables of commands, options and
values are put in here, from what the commands say of themselves. So nothing in these files has to
change when a command gets another option.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import reference
from reference import Word

from brtel_notify import alert
from brtel_notify.cli import COMMANDS
from brtel_notify.setup.systems import catalogue
from brtel_notify.sources import registry

HERE = Path(__file__).resolve().parent

#: Values that the help leaves to prose, by command and option; None: of any command.
WORDS: Dict[Tuple[Optional[str], str], Sequence[str]] = {
    (None, "--log-format"): ("text", "json"),
    ("api", "--method"): ("GET", "POST", "PUT", "PATCH", "DELETE"),
    ("event", "--kind"): alert.KINDS,
    ("event", "--type"): alert.KINDS,
    ("event", "--severity"): alert.SEVERITIES,
    ("init", "--language"): ("en", "fr"),
    ("init", "--system"): (*catalogue.monitoring(), "none"),
    ("install", "--file"): sorted(
        {file for each in catalogue.everything().values() for file in (*each.files, *each.others)}
    ),
    ("sandbox", "--drop"): ("before", "after", "midway"),
    ("sandbox", "--wrap"): ("bare", "data", "paged"),
}
#: …and the words that an argument is chosen from.
ARGUMENTS = {
    "install": list(catalogue.everything()),
    "queue": ["list", "show", "retry", "drop"],
    "render": list(registry.NAMES),
    "ticket": ["show", "note", "close", "reopen", "assign", "time"],
}
#: What kind of thing a value is, by what it is called.
KINDS = {"FILE": "file", "DIR": "folder", "PATH": "file"}


class Option(NamedTuple):
    """An option by one of its names; what its value is called, if it has one; what it does."""

    name: str
    value: str
    about: str


class Command(NamedTuple):
    """A command, and its options without the global ones."""

    name: str
    about: str
    options: List[Option]


def commands() -> Dict[str, Command]:
    """All commands by name."""
    abouts = {**{each.name: each.about for each in registry.sources()}, **COMMANDS}
    return {
        told.name: Command(told.name, abouts[told.name], [*_options(told.words), *_HELP])
        for told in reference.commands()
    }


def global_options() -> List[Option]:
    """What may stand before the command or, but for the sandbox, after it."""
    found = _options(reference.global_options())
    # What they do fills a paragraph of the manual; here it is a few words.
    return [option._replace(about=re.split("[,:] ", option.about)[0]) for option in found]


_HELP = [Option("-h", "", "show help"), Option("--help", "", "show help")]
_VERSION = [Option("--version", "", "show the version")]


def _options(words: List[Word]) -> List[Option]:
    """``-t, --timeout SECONDS`` as two options; arguments are left out."""
    found = []
    for word in words:
        names = re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", word.usage)
        value = word.usage.partition(names[-1])[2].strip(" =") if names else ""
        if word.usage.startswith("-"):
            found += [Option(name, value, word.text.replace("`", "")) for name in names]
    return found


def _kind(command: Optional[str], option: Option) -> str:
    """What completes an option's value: file, folder, user, group, words …, none; '' of a flag."""
    if not option.value:
        return ""
    words = WORDS.get((command, option.name)) or WORDS.get((None, option.name))
    if words or "|" in option.value:
        return "words " + " ".join(words or option.value.split("|"))
    if option.value == "NAME" and option.name in ("--user", "--group"):
        return option.name[2:]
    return KINDS.get(option.value, "none")


# --- bash -----------------------------------------------------------------------------------------


def bash() -> str:
    """The completion for bash."""
    known, everywhere = commands(), global_options()
    options = {name: [*command.options] for name, command in known.items()}
    options["''"] = [*_HELP, *_VERSION]
    values = [_value_case(None, everywhere)]
    values += [_value_case(name, options[name]) for name in known]
    tables = [
        f'_brtel_notify_commands="{" ".join(known)}"',
        f'_brtel_notify_global_options="{_long(everywhere)}"',
        _function("options", "$1", [_case(name, _long(own)) for name, own in options.items()]),
        "# What completes the value of an option; nothing for a flag.",
        _function("value", "$1:$2", [line for lines in values for line in lines]),
        _function("arguments", "$1", [_case(*one) for one in _argument_words().items()]),
    ]
    return _template("brtel-notify.bash").replace("#TABLES#", "\n\n".join(tables))


def _long(options: List[Option]) -> str:
    return " ".join(option.name for option in options if option.name.startswith("--"))


def _argument_words() -> Dict[str, str]:
    return {name: " ".join(words) for name, words in ARGUMENTS.items()}


def _value_case(command: Optional[str], options: List[Option]) -> List[str]:
    kinds = sorted({_kind(command, option) for option in options} - {""})
    return [
        _case(
            " | ".join(f"{command or '*'}:{o.name}" for o in options if _kind(command, o) == kind),
            kind,
        )
        for kind in kinds
    ]


def _case(pattern: str, reply: str) -> str:
    return f"        {pattern}) echo '{reply}' ;;"


def _function(name: str, word: str, cases: List[str]) -> str:
    head = [f"_brtel_notify_{name}() {{", f"    case {word} in"]
    return "\n".join([*head, *cases, "    esac", "}"])


def _template(name: str) -> str:
    return (HERE / "completion" / name).read_text(encoding="utf-8")


# --- zsh ------------------------------------------------------------------------------------------


def zsh() -> str:
    """The completion for zsh."""
    known = commands()
    everywhere = [_spec(None, option) for option in global_options()]
    rest = [_spec(None, option) for option in (*_HELP, *_VERSION)]
    described = [_quoted(f"{command.name}:{command.about}") for command in known.values()]
    arguments = [line for command in known.values() for line in _branch(command)]
    text = _put_in(_template("_brtel-notify"), "#GLOBALS#", everywhere)
    text = _put_in(text, "#REST# \\", [f"{spec} \\" for spec in rest])
    text = _put_in(text, "#COMMANDS#", described)
    return _put_in(text, "#ARGUMENTS#", arguments)


def _put_in(text: str, mark: str, lines: List[str]) -> str:
    """TEXT with LINES in the place of the line MARK, as far to the right."""
    before, _, after = text.partition(mark)
    indent = before.rpartition("\n")[2]
    return before + f"\n{indent}".join(lines) + after


def _branch(command: Command) -> List[str]:
    specs = [_spec(command.name, option) for option in command.options]
    if command.name != "sandbox":
        specs.append("$globals")
    words = f"({_argument_words().get(command.name, '')})"
    specs += {
        "queue": [f"'1:action:{words}'", "'*:event:_brtel-notify_events'"],
        "ticket": ["'1:ticket:_brtel-notify_tickets'", f"'2:action:{words}'", "'*: :_nothing'"],
        "install": [f"'1:system:{words}'"],
        "render": [f"'1:source:{words}'", "'*: :_nothing'"],
    }.get(command.name, ["'*: :_nothing'"])
    lines = [f"        {spec} \\" for spec in specs[:-1]] + [f"        {specs[-1]}"]
    return [f"{command.name})", "    _arguments \\", *lines, "    ;;"]


def _spec(command: Optional[str], option: Option) -> str:
    """One option for _arguments; it may be given again, for some of them may."""
    about = re.sub(r"([\[\]:\\])", r"\\\1", option.about)
    kind = _kind(command, option)
    if not kind:
        return _quoted(f"*{option.name}[{about}]")
    action = {
        "file": "_files",
        "folder": "_files -/",
        "user": "_users",
        "group": "_groups",
        "none": " ",
    }.get(kind, f"({kind[6:]})")
    equals = "=" if option.name.startswith("--") else ""
    return _quoted(f"*{option.name}{equals}[{about}]:{option.value.lower()}:{action}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def main(folder: str) -> None:
    """Write both files into FOLDER."""
    os.makedirs(folder, exist_ok=True)
    for name, text in (("brtel-notify.bash", bash()), ("_brtel-notify", zsh())):
        Path(folder, name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
