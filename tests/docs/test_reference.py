"""The reference says what the code says: its generated parts are as the generator gives them now,
its examples give what they show, and the manual pages are well-formed.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import yaml
from blocks import Block, blocks

from brtel_notify.alert import Alert
from brtel_notify.cli import COMMANDS
from brtel_notify.config import schema as configuration
from brtel_notify.config.schema import Config, Section, keys_of, load
from brtel_notify.delivery.rehearsal import RehearsalServices, rehearse
from brtel_notify.local.log import Log
from brtel_notify.sources.registry import parse
from brtel_notify.text.context import OURS
from brtel_notify.text.templates import TEMPLATES, Renderer
from brtel_notify.tickets.open_tickets import State

pytestmark = pytest.mark.short

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
PAGES = ("configuration.md", "templates.md", "commands.md")

sys.path.insert(0, str(CHECKOUT / "packaging"))  # programs of the checkout, in no package
reference: Any = importlib.import_module("reference")
make_reference: Any = importlib.import_module("make_reference")
make_man: Any = importlib.import_module("make_man")
samples: Any = importlib.import_module("samples")

CAPTURES = sorted(path.stem for path in samples.CAPTURES.glob("*.json"))
ALERTS = [name for name in CAPTURES if "test-button" not in name]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


# --- the pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_generator_gives_now(name: str) -> None:
    assert page(name) == make_reference.fill(page(name)), "out of date: make reference"


def test_every_generated_part_stands_on_a_page() -> None:
    standing = [part for name in PAGES for part in make_reference.names(page(name))]
    assert sorted(standing) == sorted(make_reference.parts())


def test_every_key_of_the_code_is_in_the_reference() -> None:
    told = {key.name for part in reference.parts() for key in part.keys}
    assert told == set(_keys_of(Config, "")) | set(_keys_of(configuration.Rule, "rules[]."))


def _keys_of(kind: Any, prefix: str) -> List[str]:
    """The keys as the loader sees them: by the defaults, and not by the annotations."""
    inner = {"api": configuration.Api, "ticket": configuration.TicketSection}
    found = []
    for name, item in keys_of(kind).items():
        nested = type(item.default) if isinstance(item.default, Section) else inner.get(name)
        found += _keys_of(nested, f"{prefix}{name}.") if nested else [prefix + name]
    return found


@pytest.mark.parametrize("part", reference.parts(), ids=lambda part: part.name or "alone")
def test_a_key_is_described_to_the_end(part: Any) -> None:
    for key in part.keys:
        assert key.text.endswith("."), key.name
        for word in re.findall("`([a-z]+)`", key.takes):
            said = key.text
            if key.name.startswith("lifecycle.on_") and "as above" in said:
                continue  # the key above it describes the same words
            if word in ("true", "false") and "Whether" in said:
                continue
            if word != "ticket" and (word != "null" or key.default != "null"):
                assert f"`{word}`" in said, f"{key.name}: what does {word} mean?"


def test_the_whole_file_has_the_defaults_of_the_code(tmp_path: Path) -> None:
    required = {"api.url", "ticket.priority", "ticket.category", "ticket.sub_category"}
    given = {*required, "api.token_file"}
    config = loaded(make_reference.whole_file(), tmp_path)

    keys = [key for part in reference.parts() for key in part.keys]
    assert {key.name for key in keys if key.default is None} == {*required, "rules[].when"}
    for name, item in keys_of(Config).items():
        value = getattr(config, name)
        if not isinstance(value, Section):
            assert value == item.default, name
            continue
        for key, option in keys_of(type(value)).items():
            if f"{name}.{key}" not in given:
                assert getattr(value, key) == option.default, f"{name}.{key}"


# --- what is YAML ---------------------------------------------------------------------------------


def loaded(text: str, folder: Path) -> Config:
    file = folder / "config.yml"
    file.write_text(text, encoding="utf-8")
    return load(str(file), {})


BASE = """\
api: {url: "https://acme.bluerocktel.net/api", token_file: /etc/brtel-notify/token}
ticket: {priority: High, category: Infrastructure, sub_category: PBX / 3CX}
"""


def completed(text: str) -> str:
    """A piece of a configuration as a whole one."""
    whole: Dict[str, Any] = yaml.safe_load(BASE)
    for name, value in yaml.safe_load(text).items():
        whole[name] = {**whole[name], **value} if name in whole else value
    return yaml.safe_dump(whole)


def in_yaml() -> List[Tuple[str, Block]]:
    return [(n, block) for n in PAGES for block in blocks(DOCS / n) if block.language == "yaml"]


@pytest.mark.parametrize(
    ("name", "block"), in_yaml(), ids=[f"{name}:{block.line}" for name, block in in_yaml()]
)
def test_a_configuration_loads_and_its_jinja_holds_for_every_alert(
    name: str, block: Block, tmp_path: Path
) -> None:
    whole = {"api", "ticket"} <= set(yaml.safe_load(block.text))
    config = loaded(block.text if whole else completed(block.text), tmp_path)

    for capture in ALERTS:
        for rule in config.rules:
            samples.holds(rule.when, capture)
        for _, lookup in config.customer.lookup:
            samples.value(lookup, capture)


def test_the_conditions_in_the_guide_hold_where_they_say() -> None:
    table = page("configuration.md").partition("| condition | holds |")[2].strip().splitlines()[1:]
    conditions = [line.split("`")[1] for line in table]
    holding = {
        condition: [capture for capture in ALERTS if samples.holds(condition, capture)]
        for condition in conditions
    }

    assert len(conditions) == 8
    assert holding["not service"] == [name for name in ALERTS if "-host-" in name]
    assert holding["host.endswith('.3cx.fr')"] == ALERTS
    assert holding["source == 'zabbix' and 'voip' in vars.SCOPE"] == [
        name for name in ALERTS if name.startswith("zabbix6")
    ]
    assert holding["not customer"] == holding["customer.vip"] == []


def test_the_configuration_page_names_the_figures_of_the_program() -> None:
    from brtel_notify.config import values
    from brtel_notify.delivery import plan
    from brtel_notify.tickets import customer, settings

    said = " ".join(page("configuration.md").split())
    assert f"between them; at most {settings.MOST_TAGS} |" in said
    assert f"At most `{values.LONGEST / 86400:g}d`" in said
    assert (customer.CONFIRM_AT_MOST, "of at most five, one on whose record" in said) == (5, True)
    assert (customer.NOBODY, "is believed for ten minutes at most" in said) == (600, True)
    assert (plan.CHECK_EVERY, "at most once an hour" in said) == (3600, True)


# --- templates ------------------------------------------------------------------------------------


def contexts(tmp_path: Path) -> List[Dict[str, Any]]:
    """What templates really see of a new problem: of its subject, its body, its note."""
    config = loaded(completed("customer: {fallback: CL000001}"), tmp_path)
    seen: List[Dict[str, Any]] = []
    data = samples.capture_of("nagios4-service-problem")
    services = RehearsalServices(config, str(tmp_path), Log(), time.time, {})

    class Watching(Renderer):
        def _render(self, name: str, context: Any) -> Any:
            seen.append(dict(context))
            return super()._render(name, context)

    services._made["renderer"] = Watching()
    rehearse(data, parse(data), services, State.peek(str(tmp_path / "state.json"))[0])
    assert len(seen) >= 3
    return seen


def test_the_guide_has_every_variable_and_no_other(tmp_path: Path) -> None:
    told = {
        *reference.ALERT_FIELDS,
        *reference.OTHER_VARIABLES,
        *reference.CUSTOMER_VARIABLES,
        *reference.TICKET_VARIABLES,
    }
    for context in contexts(tmp_path):
        assert set(context) == told


def test_the_examples_are_rendered_with_what_templates_see(tmp_path: Path) -> None:
    for context in contexts(tmp_path):
        assert set(samples.context("nagios4-service-problem")) == set(context)


def test_the_guide_has_every_field_of_alert_and_customer(tmp_path: Path) -> None:
    public = {name for name, value in vars(Alert).items() if isinstance(value, property)}
    assert set(reference.ALERT_FIELDS) == set(Alert._fields) - OURS
    assert {*reference.ALERT_PROPERTIES, "what"} == public
    assert set(reference.CUSTOMER_FIELDS) == set(samples.plain_record(samples.OWNER))


def test_the_guide_has_every_template_and_every_filter() -> None:
    from jinja2.filters import FILTERS

    renderer = Renderer()
    own = set(renderer._built_in.filters) - set(FILTERS)
    assert tuple(reference.TEMPLATES) == TEMPLATES
    assert set(reference.FILTERS) == own


def test_variables_and_filters_stand_on_the_page() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", page("templates.md"), re.MULTILINE)
    told = {
        *reference.ALERT_FIELDS,
        *reference.OTHER_VARIABLES,
        *(f"alert.{name}" for name in reference.ALERT_PROPERTIES),
        *reference.CUSTOMER_VARIABLES,
        *(f"customer.{name}" for name in reference.CUSTOMER_FIELDS),
        *reference.TICKET_VARIABLES,
        *reference.FILTERS,
        *(f"{name}.j2" for name in reference.TEMPLATES),
    }
    assert sorted(rows) == sorted(told)


def examples() -> List[Tuple[Block, Block]]:
    found = blocks(DOCS / "templates.md")
    return [(block, result) for block, result in zip(found, found[1:]) if block.language == "jinja"]


@pytest.mark.parametrize(
    ("example", "result"), examples(), ids=[f"line-{example.line}" for example, _ in examples()]
)
def test_an_example_of_the_guide_gives_what_it_shows(example: Block, result: Block) -> None:
    template, capture = example.info
    assert result.language == ("text" if template == "subject" else "html")
    assert samples.rendered(template, example.text, capture) == result.text.rstrip("\n")


def test_the_guide_names_the_figures_of_the_program() -> None:
    from brtel_notify.text import limits, markup

    said = " ".join(page("templates.md").split())
    assert f"at most {limits.SUBJECT_CHARACTERS} characters" in said
    assert f"cut at {limits.BODY_BYTES:,} bytes" in said
    assert f"more than {limits.MOST_CHARACTERS:,} characters" in said
    tags = said.partition("nine HTML tags:")[2].partition(". ")[0]
    assert set(re.findall("`([a-z]+)`", tags)) == markup.TAGS


# --- commands -------------------------------------------------------------------------------------


def test_every_command_has_its_part(capsys: pytest.CaptureFixture[str]) -> None:
    heads = re.findall("^### (.+)$", page("commands.md"), re.MULTILINE)
    assert heads == [*reference.registry.NAMES, *COMMANDS]
    for command in reference.commands():
        assert command.usage, command.name
        assert command.text, command.name
        assert command.examples, command.name
        for _, code in command.examples:
            assert not re.search("^--", code, re.MULTILINE), f"{command.name}: no line to type"
    assert capsys.readouterr().out == ""


def test_every_exit_code_of_a_notification_is_told() -> None:
    from brtel_notify.delivery.outcome import EXIT_CODES

    codes = {0, 2, os.EX_TEMPFAIL, os.EX_SOFTWARE, *EXIT_CODES.values()}
    assert set(reference.EXIT_CODES) == codes


def test_every_variable_of_the_environment_is_told() -> None:
    source = "\n".join(
        path.read_text(encoding="utf-8") for path in (CHECKOUT / "brtel_notify").rglob("*.py")
    )
    named = set(re.findall(r"\bBRTEL_[A-Z_]+\b", source))
    assert named <= set(reference.VARIABLES_OF_ENVIRONMENT)


# --- manual pages ---------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="manual")
def manual_pages(tmp_path_factory: pytest.TempPathFactory) -> List[Path]:
    """The pages, written by the program as ``make man`` runs it."""
    folder = tmp_path_factory.mktemp("man")
    program = CHECKOUT / "packaging" / "make_man.py"
    done = subprocess.run(
        [sys.executable, str(program), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return sorted(folder.iterdir())


def test_the_manual_has_two_pages(manual: List[Path]) -> None:
    assert [path.name for path in manual] == ["brtel-notify-config.5", "brtel-notify.1"]


def test_the_manual_has_the_sections_of_a_manual(manual: List[Path]) -> None:
    wanted = {"NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "FILES", "ENVIRONMENT", "SEE ALSO"}
    config, program = (path.read_text(encoding="ascii") for path in manual)
    assert wanted | {"COMMANDS", "EXIT STATUS"} <= set(_sections(program))
    assert wanted | {"KEYS"} <= set(_sections(config))


def _sections(text: str) -> List[str]:
    return re.findall(r"^\.SH (.+)$", text, re.MULTILINE)


def test_the_configurations_in_the_manual_load(tmp_path: Path) -> None:
    for _, text in make_man._CONFIG_EXAMPLES:
        for rule in loaded(completed(text), tmp_path).rules:
            samples.holds(rule.when, ALERTS[0])


def test_man_has_no_complaint(manual: List[Path]) -> None:
    if shutil.which("man") is None or shutil.which("groff") is None:
        pytest.skip("needs man-db and groff")
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}  # whatever the terminal's are
    for path in manual:
        command = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(path)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_mandoc_has_no_complaint(manual: List[Path]) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("needs mandoc")
    for path in manual:
        done = subprocess.run(
            ["mandoc", "-T", "lint", "-W", "style", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, "")


def test_a_reader_finds_every_option_and_key_as_it_is_typed(manual: List[Path]) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("needs mandoc")
    config, program = (_shown(path) for path in manual)
    for command in reference.commands():
        assert f"brtel-notify {command.name}" in program
        for word in command.words:
            assert word.usage in program, command.name
        for _, code in command.examples:
            assert " ".join(code.split()) in program
    for part in reference.parts():
        for key in part.keys:
            assert key.name in config
    for name in reference.FILTERS:
        assert f" {name} " in config


def _shown(path: Path) -> str:
    """A page as its reader sees it, without the marks of bold and italics, on one line."""
    command = ["mandoc", "-T", "utf8", "-O", "width=200", str(path)]
    shown = subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8")
    return " ".join(re.sub(".\b", "", shown).split())


@pytest.mark.parametrize(
    ("text", "roff"),
    [
        ("plain", "plain"),
        (r"a \n of C", r"a \en of C"),
        ("`--force` and -v", r"\fB\-\-force\fR and \-v"),
        ("well-known", "well-known"),
        ("it's", r"it\(aqs"),
        ('a "word"', r"a \(dqword\(dq"),
        ("~/.config ^", r"\(ti/.config \(ha"),
        ("one → two…", r"one \[u2192] two\[u2026]"),
        ("a lone ` here", r"a lone \(ga here"),
    ],
)
def test_roff_takes_nothing_for_its_own(text: str, roff: str) -> None:
    assert make_man.inline(text) == roff


@pytest.mark.parametrize("line", [".TH evil", "'br", "..."])
def test_no_text_begins_a_request(line: str) -> None:
    made = make_man.Page("x", 1, "Tests")
    made.paragraphs([line])
    made.code(line)
    requests = [one for one in made.text.splitlines()[1:] if one.startswith((".", "'"))]
    assert requests == [".PP", ".PP", ".RS 4", ".EX", ".EE", ".RE"]


# --- the helper -----------------------------------------------------------------------------------


def test_blocks(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text(
        "# Page\n\n```yaml one two\na: 1\n\nb: 2\n```\n\n- item\n\n  ```\n  x\n    y\n  ```\n"
        "\n    not a fence\n\n~~~~ sh\n```\n~~~~\n",
        encoding="utf-8",
    )
    assert blocks(file) == [
        Block("yaml", "a: 1\n\nb: 2\n", 4, ["one", "two"]),
        Block("", "x\n  y\n", 12, []),
        Block("sh", "```\n", 19, []),
    ]


def test_a_block_without_an_end_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("text\n```yaml\na: 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md:2: this block is never closed"):
        blocks(file)
