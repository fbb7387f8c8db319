"""The demo is the README's first promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest
from support import Trap

COMMAND = [os.path.join(os.path.dirname(sys.executable), "brtel-notify")]
MODULE = [sys.executable, "-m", "brtel_notify"]


@pytest.mark.parametrize(
    ("language", "program"),
    [pytest.param("en", COMMAND, marks=pytest.mark.short), ("fr", MODULE)],
)
def test_the_demo_tells_every_story_to_its_end(
    language: str, program: List[str], tmp_path: Path
) -> None:
    """Wherever one stands: nothing is imported from there."""
    trap = Trap(tmp_path, everything=program is COMMAND)
    done = subprocess.run(
        [*program, "demo", "--language", language],
        capture_output=True,
        text=True,
        check=False,
        cwd=trap.folder,
    )
    assert trap.marks == []
    assert done.returncode == 0, done.stdout + done.stderr
    for system in ("Nagios", "Icinga 2", "Zabbix", "LibreNMS"):
        assert system in done.stdout
    assert "all well" in done.stdout
