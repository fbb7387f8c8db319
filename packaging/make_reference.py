"""Writes the generated parts of docs/*.md anew: ``make reference``.

A part stands between ``<!-- reference: NAME -->`` and ``<!-- end of reference -->``; all else in
those pages is written by people. tests/docs/test_reference.py fails when a page is out of date.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Callable, Dict, Iterable, List, Mapping, Sequence

import reference
from reference import CHECKOUT, Command, KeyEntry, Part, Word
from samples import rendered

DOCS = CHECKOUT / "docs"
PAGES = ("configuration.md", "templates.md", "commands.md")

_PART = re.compile(r"(<!-- reference: (.+?) -->\n).*?(<!-- end of reference -->)", re.DOTALL)
#: Where the comments of the whole file stand.
_COMMENT_COLUMN = 42
#: What stands in the whole file where there is no default, or another value is better.
_EXAMPLES = {
    "api.url": "https://acme.bluerocktel.net/api",
    "api.token_file": "/etc/brtel-notify/token",
    "ticket.priority": "High",
    "ticket.category": "Infrastructure",
    "ticket.sub_category": "PBX / 3CX",
}


def fill(page: str) -> str:
    """PAGE with every generated part written anew. Raises KeyError for an unknown part."""
    contents = parts()
    return _PART.sub(lambda found: f"{found[1]}{contents[found[2]]()}\n{found[3]}", page)


def names(page: str) -> List[str]:
    """The generated parts that PAGE has."""
    return [found[2] for found in _PART.finditer(page)]


def parts() -> Dict[str, Callable[[], str]]:
    """What gives the text of each generated part, by its name."""
    made: Dict[str, Callable[[], str]] = {
        "the whole file": lambda: f"```yaml\n{whole_file()}\n```",
        "commands": lambda: "\n\n".join(_command(each) for each in reference.commands()),
        "global options": lambda: _words(reference.global_options()),
        "exit codes": lambda: _pairs(("code", "meaning"), reference.EXIT_CODES),
        "other exit codes": lambda: _pairs(("code", "meaning"), reference.OTHER_EXIT_CODES),
        "files": lambda: _named("file", reference.FILES),
        "environment": lambda: _named("variable", reference.VARIABLES_OF_ENVIRONMENT),
        "templates": lambda: _named("file", _template_files()),
        "alert": lambda: _named("variable", {**reference.ALERT_FIELDS, **_more_of_the_alert()}),
        "customer": lambda: _named("variable", _customer()),
        "ticket": lambda: _named("variable", reference.TICKET_VARIABLES),
        "filters": filters,
    }
    for part in reference.parts():
        made[_title(part)] = lambda part=part: _keys(part)  # type: ignore[misc]
    return made


def _title(part: Part) -> str:
    return f"keys of {part.name}" if part.name else "keys that stand alone"


def _template_files() -> Dict[str, str]:
    return {f"{name}.j2": text for name, text in reference.TEMPLATES.items()}


def _more_of_the_alert() -> Dict[str, str]:
    own = {f"alert.{name}": text for name, text in reference.ALERT_PROPERTIES.items()}
    return {**reference.OTHER_VARIABLES, **own}


def _customer() -> Dict[str, str]:
    fields = {f"customer.{name}": text for name, text in reference.CUSTOMER_FIELDS.items()}
    return {**reference.CUSTOMER_VARIABLES, **fields}


# --- the configuration ----------------------------------------------------------------------------


def _keys(part: Part) -> str:
    rows = ((_code(key.name), key.takes, _default(key), key.text) for key in part.keys)
    table = _table(("key", "takes", "default", "meaning"), rows)
    return f"{part.text}\n\n{table}" if part.text else table


def _default(key: KeyEntry) -> str:
    if key.default is None:
        return "required"
    return _code(key.default) if key.default else ""


def whole_file() -> str:
    """Every key with its default, as one file that can be loaded."""
    lines: List[str] = []
    for part in reference.parts():
        if part.name == "rules[]":
            continue
        depth: Sequence[str] = ()
        for key in part.keys:
            *above, name = key.name.split(".")
            for level, word in enumerate(above):
                if tuple(depth[: level + 1]) != tuple(above[: level + 1]):
                    lines.append(f"{'  ' * level}{word}:")
            depth = above
            lines += _entry(key, name, "  " * len(above))
    return "\n".join(lines)


def _entry(key: KeyEntry, name: str, indent: str) -> List[str]:
    value = _EXAMPLES.get(key.name, key.default)
    if name == "lookup":
        items = re.findall(r'\w+: ".*?"|\w+', str(value))
        return [f"{indent}{name}:", *(f"{indent}  - {item}" for item in items)]
    line = f"{indent}{name}: {value}"
    remark = key.takes.replace("`", "") + ("; required" if key.default is None else "")
    return [f"{line:<{_COMMENT_COLUMN}}# {remark}"]


# --- the commands ---------------------------------------------------------------------------------


def _command(command: Command) -> str:
    blocks = [f"### {command.name}", _indented("\n".join(command.usage))]
    blocks += [_marked_down(text) for text in command.text]
    if command.words:
        blocks.append(_words(command.words))
    for caption, code in command.examples:
        blocks.append(f"Example{f', {caption}' if caption else ''}:")
        blocks.append(f"```sh\n{code}\n```")
    return "\n\n".join(blocks)


def _words(words: Iterable[Word]) -> str:
    return _named("option or argument", {word.usage: word.text for word in words})


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


# --- templates ------------------------------------------------------------------------------------


def filters() -> str:
    """The filters, each with an example and what that gives for a real alert."""
    rows = (
        (_code(name), text, _code(example), _code(rendered("body", example, SAMPLE)))
        for name, (text, example) in reference.FILTERS.items()
    )
    return _table(("filter", "gives", "example", "its result"), rows)


#: The capture that the examples of filters are rendered for.
SAMPLE = "nagios4-service-problem"


# --- Markdown -------------------------------------------------------------------------------------


def _pairs(head: Sequence[str], rows: Mapping[Any, str]) -> str:
    return _table(head, ((str(name), text) for name, text in rows.items()))


def _named(what: str, rows: Mapping[str, str]) -> str:
    return _table((what, "meaning"), ((_code(name), text) for name, text in rows.items()))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return _marked_down(text).replace("|", "\\|")


def _marked_down(text: str) -> str:
    """TEXT, so that Markdown marks nothing in it but what stands in backticks."""
    pieces = text.split("`")
    pieces[::2] = [re.sub(r"([*<]|__)", r"\\\1", piece) for piece in pieces[::2]]
    return "`".join(pieces)


def _code(text: str) -> str:
    return f"`{text}`"


def main() -> None:
    """Write every page anew."""
    for name in PAGES:
        path = DOCS / name
        old = path.read_text(encoding="utf-8")
        new = fill(old)
        if new != old:
            path.write_text(new, encoding="utf-8")
            print(f"written: {path.relative_to(CHECKOUT)}")


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit("usage: python packaging/make_reference.py")
    main()
