"""``make test`` holds a walk through each flow, and of the fault matrix a sample of every part."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from short import sample
from test_faults import ENDPOINTS, FAULTS

FLOW = Path(__file__).parent
pytestmark = pytest.mark.short


def listed() -> str:
    """The tests of this folder that ``make test`` runs, one a line."""
    words = [sys.executable, "-m", "pytest", "--short", "--collect-only", "-q", str(FLOW)]
    words += ["-p", "no:cacheprovider"]
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        words, cwd=FLOW.parents[1], env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def test_each_flow_is_walked_and_each_endpoint_and_fault_met() -> None:
    lines = listed().splitlines()
    missing = [
        path.name for path in FLOW.glob("test_*.py") if not any(path.name in x for x in lines)
    ]
    assert missing == []
    cases = [line for line in lines if "::test_one_fault[" in line]
    assert len(cases) == max(len(ENDPOINTS), len(FAULTS))
    for endpoint in ENDPOINTS:
        assert any(f"[{endpoint}-" in case for case in cases), endpoint
    for fault in FAULTS:
        assert any(case.endswith(f"-{fault}]") for case in cases), fault


def test_a_matrix_gives_its_diagonal_and_what_that_leaves() -> None:
    matrix = [{"x": x, "y": y} for x, y in product("ab", "abcd")]
    assert sample(matrix) == [0, 2, 3, 5]


def test_of_one_parameter_all_values_are_run() -> None:
    assert sample([{"x": x} for x in "abcd"]) == [0, 1, 2, 3]
    assert sample([{}]) == [0]
