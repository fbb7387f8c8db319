"""The README: its configuration loads, its links lead somewhere, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from blocks import blocks

from brtel_notify.cli import COMMANDS
from brtel_notify.config import schema
from brtel_notify.sources.registry import NAMES

pytestmark = pytest.mark.short

CHECKOUT = Path(__file__).resolve().parents[2]
README = CHECKOUT / "README.md"


def test_its_configuration_loads(tmp_path: Path) -> None:
    shown = [block for block in blocks(README) if block.language == "yaml"]
    assert shown
    for block in shown:
        file = tmp_path / "config.yml"
        file.write_text(block.text)
        schema.load(str(file), {})


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", README.read_text())
    assert targets
    assert [target for target in targets if not (CHECKOUT / target).exists()] == []


def test_its_commands_exist() -> None:
    known = {*COMMANDS, *NAMES}
    text = README.read_text()
    named = set(re.findall(r"^ +brtel-notify ([a-z]+)|`brtel-notify ([a-z]+)", text, re.MULTILINE))
    assert {one or other for one, other in named} <= known
    table = text[text.index("## Commands") : text.index("### Exit codes")]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert known <= {word for cell in cells for word in re.findall(r"`(\w+)", cell)}
