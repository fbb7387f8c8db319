"""The wheel brings all that the program needs: setup.cfg names each package and its data."""

from __future__ import annotations

import configparser
import fnmatch
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from chroot import CHECKOUT

pytestmark = pytest.mark.short


def options() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(CHECKOUT / "setup.cfg")
    return parser


def words(text: str) -> List[str]:
    """The words of a list in setup.cfg, between commas or on lines of their own."""
    return text.replace(",", "\n").split()


def folders() -> Dict[str, Path]:
    """The packages that setup.cfg names, and where they stand."""
    parser = options()
    moved = dict(line.split(" = ") for line in parser["options"]["package_dir"].strip().split("\n"))
    return {
        name: CHECKOUT / moved.get(name, name.replace(".", "/"))
        for name in words(parser["options"]["packages"])
    }


def data_files() -> Iterator[Path]:
    """What is no module, and not made by running."""
    for top in ("brtel_notify", "templates", "librenms", "nagios", "zabbix", "systemd"):
        for path in (CHECKOUT / top).rglob("*"):
            inside = path.relative_to(CHECKOUT).parts
            made = any(part.startswith((".", "__pycache__")) for part in inside)
            if path.is_file() and path.suffix != ".py" and not made:
                yield path


def test_every_package_is_named() -> None:
    there = {path.parent for path in (CHECKOUT / "brtel_notify").rglob("__init__.py")}
    assert there <= set(folders().values())


def test_the_command_is_a_script_and_no_entry_point() -> None:
    """What pip makes of an entry point imports re at every alert."""
    parser = options()
    (script,) = (CHECKOUT / path for path in words(parser["options"]["scripts"]))
    assert script.name == "brtel-notify"
    assert script.stat().st_mode & 0o111 == 0o111
    assert script.read_text().startswith("#!/usr/bin/python3\n")  # pip puts its own there
    assert "options.entry_points" not in parser


def test_every_other_file_is_named() -> None:
    data = options()["options.package_data"]
    patterns = [
        str(folder / pattern)
        for name, folder in folders().items()
        for pattern in words(data.get(name, ""))
    ]
    left = [path for path in data_files() if not any(_fits(path, one) for one in patterns)]
    assert left == []


def _fits(path: Path, pattern: str) -> bool:
    """Whether a file fits a pattern whose * stops at a slash, as setuptools has it."""
    parts, wanted = path.parts, Path(pattern).parts
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
