"""The demo is the README's first promise."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_demo_tells_every_story_to_its_end(language: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "brtel_notify", "demo", "--language", language],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for system in ("Nagios", "Icinga 2", "Zabbix", "LibreNMS"):
        assert system in done.stdout
    assert "all well" in done.stdout
