"""Writes the manual pages brtel-notify(1) and brtel-notify-config(5): ``make man``.

All that is in the code (commands, options, keys, variables) comes from reference.py; what stands
here is what only a manual says. The pages use the macros of man(7), which groff and mandoc know.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import Iterable, List, Mapping, Tuple

import reference
from make_reference import whole_file
from reference import CHECKOUT, Command, KeyEntry, Part

from brtel_notify import __version__
from brtel_notify.config import schema
from brtel_notify.sources import registry

#: No line of a page's source is longer, if it can be helped.
_WIDTH = 78
#: What roff would read in its own way, and how it is written instead.
_SPECIAL = {"\\": "\\e", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga", "'": "\\(aq", '"': "\\(dq"}

_SUMMARY = "turns monitoring alerts into BlueRockTEL support tickets"
_CONFIG_SUMMARY = "configuration of brtel-notify"

_DESCRIPTION = [
    "`brtel-notify` is the notification command of Nagios, Naemon, Icinga 2, Zabbix and LibreNMS,"
    " or of any other program. It turns an alert into exactly one BlueRockTEL ticket on the right"
    " customer, keeps that ticket up to date while the alert lives, and closes it when the alert"
    " clears.",
    "A notification command first writes what it was given to the queue in the state folder, with"
    " no configuration read and no network used; from then on the alert cannot be lost. Then it"
    " delivers, unless another process on this machine is delivering already. What cannot be"
    " delivered now, because BlueRockTEL is out of reach for instance, is delivered by the next"
    " notification, by `brtel-notify flush` from a timer, or by `brtel-notify worker`.",
    "What BlueRockTEL refuses for good is kept with the reason; `brtel-notify queue` lists it and"
    " puts it back.",
]
_EXAMPLES = [
    ("Prove configuration, credentials and names; no ticket is opened:", "brtel-notify test"),
    (
        "See what an alert would become, without sending anything:",
        "brtel-notify render event --host acme.3cx.fr --state DOWN",
    ),
    (
        "Open a ticket from a script, and close it when all is well:",
        "brtel-notify event --host db1 --service backup --severity warning \\\n"
        "    --output 'two hours late'\n"
        "brtel-notify event --host db1 --service backup --state OK",
    ),
    ("Deliver what waits, once an outage is over:", "brtel-notify flush --force"),
    (
        "Deliver every minute (a line of /etc/cron.d/brtel-notify):",
        "* * * * * nagios brtel-notify flush >/dev/null",
    ),
    ("Put the dead events back, once their reason is mended:", "brtel-notify queue retry --all"),
]
_CONFIG_DESCRIPTION = [
    "One YAML file says how to reach BlueRockTEL, whose ticket an alert becomes, and what stands in"
    " it. `brtel-notify` takes the file that `--config` names, else the one that the environment"
    " variable `BRTEL_NOTIFY_CONFIG` names, else `/etc/brtel-notify/config.yml`, else"
    " `~/.config/brtel-notify/config.yml`.",
    "An unknown key, a wrong type or an unknown name is an error that says file and line; alerts"
    " wait in the queue until it is mended. `brtel-notify test` proves the file.",
    "A length of time is a number and a unit, `90s`, `30m`, `4h`, `7d` or `2w`; a number alone is"
    " seconds. A name or id is what BlueRockTEL calls a thing, whatever its capitals, or its"
    " number; `brtel-notify discover` lists them.",
]
_ORDER = (
    "What a ticket gets is decided in this order, the later over the earlier: `ticket`;"
    " `severities` by severity; `severities` by state; what the alert itself says in"
    " `vars.TICKET_PRIORITY` and, adding to the tags, in `vars.TICKET_TAGS` (with commas between"
    " them); `rules`, from the first to the last."
)
_JINJA = [
    "The values of `customer.lookup` are Jinja templates, in quotes; `when` is a Jinja expression,"
    " without braces. Both run in Jinja's sandbox. A name that is absent is empty, and false.",
    "Templates, rules and lookups see the alert:",
]
_TEMPLATES = [
    "`templates` names a folder of your own templates. For `body.j2`, the first of these is used"
    " that there is: `en/body.j2` in that folder (or `fr`, as `language` says), `body.j2` in it,"
    " the built-in one. One that fails gives way to the built-in one, and the ticket says so.",
    "What an alert says is escaped. Of HTML, `p`, `br`, `strong`, `i`, `ul`, `ol`, `li`, `a` and"
    " `img` are kept.",
]
_CONFIG_EXAMPLES = [
    (
        "This is enough:",
        "api:\n"
        "  url: https://acme.bluerocktel.net/api\n"
        "  token_file: /etc/brtel-notify/token\n"
        "ticket:\n"
        "  priority: High\n"
        "  category: Infrastructure\n"
        "  sub_category: PBX / 3CX",
    ),
    (
        "Severities and rules:",
        "severities:\n"
        "  critical: {priority: Urgent, resolve_within: 2h}\n"
        "  UNREACHABLE: {priority: Low}\n"
        "rules:\n"
        "  - when: \"service and 'backup' in service|lower\"\n"
        "    set: {category: Backups, sub_category: Failed, team: Systems}\n"
        "  - when: \"severity == 'info'\"\n"
        "    ignore: true",
    ),
]


class Page:
    """A manual page in the making. ``name`` and ``number`` are as in NAME(NUMBER)."""

    def __init__(self, name: str, number: int, manual: str) -> None:
        self.name = name
        self.number = number
        version = _literal(f"brtel-notify {__version__}")
        self._lines = [f'.TH {_literal(name.upper())} {number} {_date()} "{version}" "{manual}"']

    @property
    def text(self) -> str:
        """The source of the page, in ASCII."""
        return "\n".join([*self._lines, ""])

    def lines(self, lines: Iterable[str]) -> None:
        """Add lines of roff."""
        self._lines += lines

    def section(self, title: str) -> None:
        """Begin a section."""
        self._lines.append(f".SH {title}")

    def head(self, title: str) -> None:
        """Begin a part of a section."""
        self._lines.append(f'.SS "{_literal(title)}"')

    def paragraphs(self, texts: Iterable[str]) -> None:
        """Add paragraphs."""
        for text in texts:
            self._apart()
            self._fill(text)

    def usage(self, command_lines: Iterable[str]) -> None:
        """Add command lines, each on its own line."""
        self._apart()
        for number, line in enumerate(command_lines):
            self._lines += [".br"] if number else []
            self._lines.append(usage(line))

    def item(self, tag: str, text: str) -> None:
        """Add an item to a list; TAG is roff."""
        self._lines += [".TP", tag]
        self._fill(text)

    def code(self, text: str) -> None:
        """Add lines that are typed, or stand in a file, as they are."""
        self._apart()
        self._lines += [".RS 4", ".EX"]
        self._lines += [_guarded(_literal(line)) for line in text.splitlines()]
        self._lines += [".EE", ".RE"]

    def _apart(self) -> None:
        if not self._lines[-1].startswith((".SH", ".SS")):
            self._lines.append(".PP")

    def _fill(self, text: str) -> None:
        """Each sentence on lines of its own: so typesetters space them well."""
        for sentence in re.split(r"(?<=[.:;]) (?=\S)", text):
            self._lines += [_guarded(line) for line in _wrapped(inline(sentence))]


def inline(text: str) -> str:
    """TEXT as roff: what stands in backticks bold and literal, everything else escaped."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:  # a lone backtick
        return _prose(text)
    return "".join(
        f"\\fB{_literal(piece)}\\fR" if number % 2 else _prose(piece)
        for number, piece in enumerate(pieces)
    )


def usage(text: str) -> str:
    """An option or a command line: what is typed in bold, what stands for something in italics."""
    return "".join(
        f"\\fI{_literal(word)}\\fR"
        if re.fullmatch(r"[A-Z][A-Z=…]*", word)
        else f"\\fB{_literal(word)}\\fR"
        if re.fullmatch(r"[\w-]*[a-z][\w-]*", word)
        else _literal(word)
        for word in re.split(r"([\w=…-]+)", text)
        if word
    )


def _prose(text: str) -> str:
    # An option in prose is to be typed, too: its hyphens are no hyphens of a word.
    words = re.split(r"((?<![\w-])--?[a-z][\w-]*)", text)
    return "".join(
        _literal(word) if number % 2 else _escaped(word) for number, word in enumerate(words)
    )


def _literal(text: str) -> str:
    return _escaped(text).replace("-", "\\-")


def _escaped(text: str) -> str:
    return "".join(
        _SPECIAL.get(char) or (char if char.isascii() else f"\\[u{ord(char):04X}]") for char in text
    )


def _guarded(line: str) -> str:
    """LINE, so that roff does not take its beginning for a request."""
    return f"\\&{line}" if line.startswith((".", "'")) else line


def _wrapped(text: str) -> List[str]:
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _WIDTH:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _date() -> str:
    """The day of the build; $SOURCE_DATE_EPOCH makes it reproducible."""
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


# --- the pages ------------------------------------------------------------------------------------


def program_page() -> Page:
    """brtel-notify(1)."""
    page = Page("brtel-notify", 1, "User Commands")
    _name(page, _SUMMARY)
    page.section("SYNOPSIS")
    page.paragraphs(["`brtel-notify` [global options] command [options and arguments]"])
    page.section("DESCRIPTION")
    page.paragraphs(_DESCRIPTION)
    page.section("GLOBAL OPTIONS")
    page.paragraphs(["They may stand before a command, or among its own options."])
    for word in reference.global_options():
        page.item(usage(word.usage), _sentence(word.text))
    page.section("COMMANDS")
    for command in reference.commands():
        _command(page, command)
    page.section("EXIT STATUS")
    page.paragraphs(["Of the notification commands (" + registry.in_words("`") + "):"])
    _items(page, {str(code): text for code, text in reference.EXIT_CODES.items()})
    page.paragraphs(["Of the others, except `check`, which exits as a plugin does, with 0 to 3:"])
    _items(page, {str(code): text for code, text in reference.OTHER_EXIT_CODES.items()})
    page.section("FILES")
    _items(page, reference.FILES)
    page.section("ENVIRONMENT")
    _items(page, reference.VARIABLES_OF_ENVIRONMENT)
    page.paragraphs(["Proxy variables are not used: see `api.proxy` in the configuration."])
    _examples(page, _EXAMPLES)
    _see_also(page, [("brtel-notify-config", 5), ("systemd.timer", 5), ("jq", 1)])
    return page


def _command(page: Page, command: Command) -> None:
    page.head(f"brtel-notify {command.name}")
    page.usage(command.usage)
    page.paragraphs(_sentence(text) for text in command.text)
    for word in command.words:
        page.item(usage(word.usage), _sentence(word.text))
    for caption, code in command.examples:
        page.paragraphs([f"Example{f', {caption}' if caption else ''}:"])
        page.code(code)


def config_page() -> Page:
    """brtel-notify-config(5)."""
    page = Page("brtel-notify-config", 5, "File Formats")
    _name(page, _CONFIG_SUMMARY)
    page.section("SYNOPSIS")
    page.paragraphs([f"`{schema.SYSTEM_FILE}`"])
    page.section("DESCRIPTION")
    page.paragraphs(_CONFIG_DESCRIPTION)
    page.section("KEYS")
    for part in reference.parts():
        _part(page, part)
    page.section("WHAT A TICKET GETS")
    page.paragraphs([_ORDER])
    page.section("VARIABLES")
    page.paragraphs(_JINJA)
    own = {f"alert.{name}": text for name, text in reference.ALERT_PROPERTIES.items()}
    _items(page, {**reference.ALERT_FIELDS, **reference.OTHER_VARIABLES, **own})
    page.paragraphs(["Templates and rules see the customer, with all plain fields of the record:"])
    fields = {f"customer.{name}": text for name, text in reference.CUSTOMER_FIELDS.items()}
    _items(page, {**reference.CUSTOMER_VARIABLES, **fields})
    page.paragraphs(["Templates see the ticket:"])
    _items(page, reference.TICKET_VARIABLES)
    page.section("TEMPLATES")
    page.paragraphs(_TEMPLATES)
    _items(page, {f"{name}.j2": text for name, text in reference.TEMPLATES.items()})
    page.paragraphs(["Besides the filters of Jinja itself, they have these:"])
    _items(page, {name: text for name, (text, _) in reference.FILTERS.items()})
    page.section("FILES")
    _items(page, reference.FILES)
    page.section("ENVIRONMENT")
    _items(page, reference.VARIABLES_OF_ENVIRONMENT)
    _examples(page, _CONFIG_EXAMPLES)
    page.paragraphs(["Every key, with its default where it has one:"])
    page.code(whole_file())
    _see_also(page, [("brtel-notify", 1)])
    return page


def _part(page: Page, part: Part) -> None:
    page.head(part.name or "Keys that stand alone")
    page.paragraphs([part.text] if part.text else [])
    for key in part.keys:
        page.item(usage(key.name), f"{key.text} Value: {key.takes}{_default(key)}.")


def _default(key: KeyEntry) -> str:
    if key.default is None:
        return "; required"
    return f"; default: `{key.default}`" if key.default else ""


def _name(page: Page, summary: str) -> None:
    page.section("NAME")
    page.paragraphs([f"{page.name} - {summary}"])


def _items(page: Page, items: Mapping[str, str]) -> None:
    for name, text in items.items():
        page.item(inline(f"`{name}`"), _sentence(text))


def _examples(page: Page, examples: Iterable[Tuple[str, str]]) -> None:
    page.section("EXAMPLES")
    for caption, code in examples:
        page.paragraphs([caption])
        page.code(code)


def _see_also(page: Page, pages: Iterable[Tuple[str, int]]) -> None:
    page.section("SEE ALSO")
    page.lines(
        f".BR {_literal(name)} ({section}){',' if number else ''}"
        for number, (name, section) in reversed(list(enumerate(reversed(list(pages)))))
    )


def _sentence(text: str) -> str:
    """TEXT, which is a phrase in a table, as a sentence."""
    return text if text.endswith((".", ":", "…")) else f"{text}."


def main() -> None:
    """Write the pages into the folder named, else build/man."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else CHECKOUT / "build" / "man"
    folder.mkdir(parents=True, exist_ok=True)
    for page in (program_page(), config_page()):
        path = folder / f"{page.name}.{page.number}"
        path.write_text(page.text, encoding="ascii")
        print(f"written: {path}")


if __name__ == "__main__":
    main()
