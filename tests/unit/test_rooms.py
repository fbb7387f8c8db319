"""The house: which room imports which, and how large its modules are (DESIGN section 6)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, List, Set, Tuple

import pytest

import brtel_notify

PACKAGE = Path(brtel_notify.__file__).parent
#: From the ground up: a room imports what stands to the left of it. The first two and the last two
#: are modules: what all rooms share, and the front door.
HOUSE = (
    *("options", "alert", "local", "intake", "sources", "config", "text", "api", "tickets"),
    *("delivery", "console", "setup", "sandbox", "commands", "cli", "__main__"),
)
LONGEST = 400


def modules() -> Dict[str, Path]:
    """Every module of the package by its dotted name below it."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


MODULES = modules()


def imported(name: str) -> Iterator[str]:
    """What the module NAME imports of the package, wherever in it, by dotted names below it."""
    path = MODULES[name]
    here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = node.module.split(".") if node.module else []
        if node.level:
            base = [*here[: len(here) - node.level + 1], *base]
        elif base[:1] == ["brtel_notify"]:
            del base[0]
        else:
            continue
        for alias in node.names:
            whole = ".".join([*base, alias.name])
            yield whole if whole in MODULES else ".".join(base)


ARROWS: Set[Tuple[str, str]] = {
    (name, other) for name in MODULES for other in imported(name) if name and other
}


def test_no_room_imports_one_above_it() -> None:
    def floor(name: str) -> int:
        return HOUSE.index(name.split(".")[0])

    up = [arrow for arrow in ARROWS if floor(arrow[0]) < floor(arrow[1])]
    assert sorted(up) == []


def test_no_command_imports_another() -> None:
    both = [arrow for arrow in ARROWS if all(end.startswith("commands.") for end in arrow)]
    assert sorted(both) == []


def test_no_module_leads_back_to_itself() -> None:
    onwards: Dict[str, Set[str]] = {}
    for name, other in ARROWS:
        onwards.setdefault(name, set()).add(other)
    ended: Set[str] = set()

    def walk(name: str, way: List[str]) -> None:
        assert name not in way, " -> ".join([*way[way.index(name) :], name])
        if name not in ended:
            for other in sorted(onwards.get(name, ())):
                walk(other, [*way, name])
            ended.add(name)

    for name in sorted(onwards):
        walk(name, [])


def test_every_module_stands_in_a_room() -> None:
    assert {name.split(".")[0] for name in MODULES if name} == set(HOUSE)


@pytest.mark.parametrize("name", [name for name in MODULES if MODULES[name].name == "__init__.py"])
def test_the_door_of_a_room_holds_only_what_the_room_is_for(name: str) -> None:
    body = ast.parse(MODULES[name].read_text(encoding="utf-8")).body
    assert isinstance(body[0], ast.Expr)
    if name:  # the package itself has its version
        assert len(body) == 1


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_a_long_module_says_why_it_is_one(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    if len(text.splitlines()) > LONGEST:
        assert "One module, though long: " in (ast.get_docstring(ast.parse(text)) or "")
