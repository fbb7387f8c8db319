"""`brtel-notify test`: paths that would fail only once the monitoring runs us."""

from pathlib import Path

import pytest

from brtel_notify.config import schema as configuration
from brtel_notify.console import self_test
from brtel_notify.console.report import Report


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("log: /nowhere/at/all.log", "log: /nowhere/at/all.log cannot be written"),
        ("templates: mine", "templates: mine: must begin with /"),
        ("log: syslog", None),
    ],
)
def test_paths(tmp_path: Path, line: str, finding: "str | None") -> None:
    file = tmp_path / "config.yml"
    file.write_text(
        "api: {url: 'https://a.example/api', token: t}\n"
        f"ticket: {{priority: 1, category: 1, sub_category: 1}}\n{line}\n"
    )
    report = Report()
    self_test._prove_paths(configuration.load(str(file), {}), report)
    assert (report.failure or "").startswith(f"{file}:3: {finding}" if finding else "")
    assert bool(report.failure) == bool(finding)
