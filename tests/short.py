"""What ``make test`` runs of all the tests: some three minutes' worth, chosen by a rule.

All of tests/unit. Of the others those that are marked ``short``: one walk through each flow. Where
such a test plays a matrix, a sample of it in which every value of each parameter occurs: each
endpoint with some fault, each fault at some endpoint. ``pytest --short --collect-only`` lists them.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Set, Tuple

import pytest

UNIT = Path(__file__).parent / "unit"


def chosen(items: Sequence[pytest.Item]) -> List[pytest.Item]:
    """Those of the tests that are short."""
    found: List[pytest.Item] = []
    cases_of: Dict[str, List[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.path.parent == UNIT:
            found.append(item)
        elif item.get_closest_marker("short"):
            cases_of[item.nodeid.partition("[")[0]].append(item)
    for cases in cases_of.values():
        found += [cases[number] for number in sample([parameters(case) for case in cases])]
    return found


def parameters(item: pytest.Item) -> Dict[str, str]:
    """The parameters of a test, and which value each has here."""
    callspec = getattr(item, "callspec", None)
    return {name: repr(value) for name, value in callspec.params.items()} if callspec else {}


def sample(cases: Sequence[Mapping[str, str]]) -> List[int]:
    """The numbers of some cases in which every value of each parameter occurs.

    At first those in which all is new, along the diagonal of a matrix; then what is missing yet.
    """
    seen: Set[Tuple[str, str]] = set()
    numbers: List[int] = []
    for enough in (all, any):
        for number, case in enumerate(cases):
            if enough(value not in seen for value in case.items()):
                seen.update(case.items())
                numbers.append(number)
    return sorted(numbers)
