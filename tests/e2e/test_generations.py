"""The servers under test are those of the table; its skips are skips, and no other is one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import conftest
import generations
import pytest
from icinga import MODULES
from servers import need

#: What says each server's version, with the package it is in.
ASKED = {
    "Zabbix": (r"\(Zabbix\) (\S+)", "zabbix_server", "-V", "zabbix-server-pgsql"),
    "Icinga 2": (r"version: r(\S+)", "icinga2", "--version", "icinga2-bin"),
    "Nagios": (r"Nagios Core (\S+)", "nagios4", "--version", "nagios4-core"),
    "PHP": (r"PHP (\S+)", "php", "--version", "php-cli"),
    "PostgreSQL": (r"PostgreSQL\) (\S+)", "psql", "--version", "postgresql"),
}


@pytest.mark.parametrize("name", ASKED)
def test_the_versions_are_those_of_the_table(name: str) -> None:
    pattern, program, option, package = ASKED[name]
    words = [need(program, package), option]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    (version,) = re.findall(pattern, done.stdout)[:1]
    assert version.startswith(generations.HERE.versions[name])


def test_the_directors_too() -> None:
    need("icingacli", "icingacli")
    text = Path(MODULES / "director" / "module.info").read_text()
    (version,) = re.findall(r"(?m)^Version: (\S+)", text)
    assert version.startswith(generations.HERE.versions["Icinga Director"])


def test_every_generation_may_skip_only_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for generation in generations.GENERATIONS.values():
        monkeypatch.setattr(generations, "HERE", generation)
        monkeypatch.setenv("BRTEL_NOTIFY_E2E", "required")
        for why in generation.skips:
            assert conftest.may_be_skipped(why)
        assert not conftest.may_be_skipped("nagios4 is not installed (Debian package nagios4-core)")
        monkeypatch.delenv("BRTEL_NOTIFY_E2E")
        assert conftest.may_be_skipped("nagios4 is not installed (Debian package nagios4-core)")
