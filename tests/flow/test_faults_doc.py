"""docs/faults.md tells people what the fault matrix proves: its table is made from the tests' own.

``python tests/flow/test_faults_doc.py --write`` writes it anew.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from test_faults import AS_IF_NOTHING, ENDPOINTS, EXPECTED, FAULTS, Outcome

pytestmark = pytest.mark.short

pytestmark = pytest.mark.short

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
BEGIN = "<!-- The table is written by tests/flow/test_faults_doc.py --write -->"
END = "<!-- The end of the table -->"


def words(outcome: Outcome) -> str:
    """One outcome of the story, for people."""
    if outcome == AS_IF_NOTHING:
        return "✓"
    said = []
    if outcome.tickets != AS_IF_NOTHING.tickets:
        return "a new ticket that names the old one"
    if outcome.dead:
        said.append("the event goes to `dead/`")
    elif outcome.notes != AS_IF_NOTHING.notes:
        said.append("this note is left out")
    if outcome.contacts != AS_IF_NOTHING.contacts:
        said.append("no contact is attached")
    assert said, outcome
    return ", ".join(said)


def columns() -> List[Tuple[List[str], List[str]]]:
    """Faults with their outcome at each endpoint; those that differ nowhere share a column."""
    found: Dict[Tuple[str, ...], List[str]] = {}
    for fault in FAULTS:
        outcomes = tuple(
            words(EXPECTED.get((endpoint, fault), AS_IF_NOTHING)) for endpoint in ENDPOINTS
        )
        found.setdefault(outcomes, []).append(fault)
    return [(faults, list(outcomes)) for outcomes, faults in found.items()]


def row(cells: List[str]) -> str:
    return f"| {' | '.join(cells)} |"


def call(endpoint: str) -> str:
    """The call as BlueRockTEL's documentation has it."""
    settings = ENDPOINTS[endpoint]
    path = settings["path"].replace("????", "ID").replace("/open/*", "/open/ID").lstrip("*")
    return f"`{settings['method']} …{path}`"


def table() -> str:
    found = columns()
    head = ["call that fails", "", *(", ".join(faults) for faults, _ in found)]
    lines = [row(head), row(["---"] * len(head))]
    for number, endpoint in enumerate(ENDPOINTS):
        lines.append(row([endpoint, call(endpoint), *(cells[number] for _, cells in found)]))
    return "\n".join(lines)


def split() -> Tuple[str, str, str]:
    """The document before its table, the table, and after it."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(f"{BEGIN}\n")
    written, _, after = rest.partition(f"\n{END}")
    return before, written, after


def write() -> None:
    before, _, after = split()
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


def test_the_document_says_what_the_tests_prove() -> None:
    _, written, _ = split()
    cure = "python tests/flow/test_faults_doc.py --write"
    assert written == table(), f"docs/faults.md is out of date: {cure}"


def test_every_exception_is_of_the_matrix() -> None:
    assert {endpoint for endpoint, _ in EXPECTED} <= set(ENDPOINTS)
    assert {fault for _, fault in EXPECTED} <= set(FAULTS)


def test_the_document_names_the_figures_of_the_program() -> None:
    from brtel_notify.delivery import retry

    said = " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    assert f"first retry after {retry.FIRST_RETRY:g} seconds" in said
    assert f"up to {retry.LONGEST_RETRY / 60:g} minutes" in said
    assert f"or {retry.LONGEST_RETRY_AFTER_OUTAGE / 60:g} minutes at most" in said
    assert f"tried more than {retry.LIGHT_ATTEMPTS} times" in said
    assert f"at least {retry.SETTLING:g} seconds" in said
    assert f"up to {retry.LONGEST_RETRY_AFTER / 3600:g} hour" in said
    assert f"after {retry.FIRST_PROBE:g} seconds" in said
    assert f"up to {retry.LONGEST_PROBE / 60:g} minutes" in said


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/flow/test_faults_doc.py --write")
    write()
