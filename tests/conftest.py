"""A sandbox for the session, and a fresh machine for each test."""

from __future__ import annotations

import os
import re
import signal
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import generations
import hypothesis
import pytest
import short
from support import Site

from brtel_notify.local import log
from brtel_notify.sandbox.testing import SandboxProcess

# A busy machine is no fault of the code's, and what fails at one run fails at the next:
# --hypothesis-profile=search looks for what nobody has thought of.
SLOW = [hypothesis.HealthCheck.too_slow]
hypothesis.settings.register_profile(
    "default", deadline=None, derandomize=True, suppress_health_check=SLOW
)
hypothesis.settings.register_profile(
    "search", deadline=None, max_examples=1000, suppress_health_check=SLOW
)
hypothesis.settings.load_profile("default")

# A shell that starts us in the background has us ignore Ctrl-C, and so all that we start.
signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
#: Where tests drive what is real: monitoring servers, a browser.
REAL = (TESTS / "e2e", TESTS / "web")
#: The outcome of what ``make test`` leaves to ``make test-all``; it is none of the skips.
LEFT_OUT = "left out"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--short", action="store_true", help="what make test runs: see tests/short.py")


def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    if not config.getoption("short"):
        return
    chosen = short.chosen(items)
    others = set(items).difference(chosen)
    if config.getoption("collectonly"):
        items[:] = chosen
        config.hook.pytest_deselected(items=others)
    for item in others:
        # In front: whether it could be run here is not asked.
        why = pytest.mark.skipif(True, reason=f"{LEFT_OUT}: {kind(item)}")
        item.add_marker(why, append=False)


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One process for all tests that share a server: what ``--dist loadgroup`` is for.

    Its marks do not reach xdist 3.8 from pytest 9.2, which gives each test's name only once.
    """
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = shared  # which its subclasses overwrite, too
    return scheduler


def shared(nodeid: str) -> str:
    """What the test shares with others: its file's server, a Debian; nothing, its own name."""
    path, _, name = nodeid.partition("::")
    if Path(path).parent.name == "e2e":
        return path
    (number,) = re.findall(r"\[(\d+)\]$", name) or [""]
    return f"{path} {number}" if number and path.endswith("/test_deb.py") else nodeid


def kind(item: pytest.Item) -> str:
    """What a test needs, or the folder in which it stands."""
    if item.get_closest_marker("web"):
        return "chromium"
    return (
        item.path.stem[len("test_") :] if item.path.parent.name == "e2e" else item.path.parent.name
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where the servers are there for sure, only what the table names is not run."""
    done: Any = yield
    report = done.get_result()
    if report.skipped and item.path.parent in REAL and not may_be_skipped(reason(report)):
        report.outcome = "failed"
        report.longrepr = f"tests/e2e/generations.py allows no such skip: {reason(report)}"


def may_be_skipped(why: str) -> bool:
    """Whether a test of real servers or of a browser may be left out for that reason."""
    required = os.environ.get("BRTEL_NOTIFY_E2E") == "required"
    return not required or why.startswith(LEFT_OUT) or why in generations.HERE.skips


def pytest_report_teststatus(report: pytest.TestReport) -> Optional[Tuple[str, str, str]]:
    if report.skipped and reason(report).startswith(LEFT_OUT):
        return LEFT_OUT, "", LEFT_OUT
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not run: one line a reason, not one a test."""
    skipped = Counter(map(reason, terminalreporter.stats.get("skipped", [])))
    left_out = Counter(map(reason, terminalreporter.stats.get(LEFT_OUT, [])))
    if skipped or left_out:
        terminalreporter.section("not run")
    for why, count in skipped.most_common():
        terminalreporter.write_line(f"skipped: {why}: {count}")
    if left_out:
        counts = (f"{why.split(': ')[1]}: {count}" for why, count in left_out.most_common())
        said = f"{LEFT_OUT}, for make test-all: {', '.join(counts)}"
        terminalreporter.write_line(textwrap.fill(said, 100, subsequent_indent="    "))


def reason(report: pytest.TestReport) -> str:
    """Why a test was skipped."""
    assert isinstance(report.longrepr, tuple)
    return report.longrepr[2].removeprefix("Skipped: ")


@pytest.fixture(autouse=True)
def no_log_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test's warnings go where one before it, in the same process, sent the log."""
    monkeypatch.setattr(log, "_of_process", [])


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    with SandboxProcess() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> SandboxProcess:
    sandbox_process.clear_faults()
    sandbox_process.clear_instance()
    sandbox_process.reset()
    sandbox_process.clear_requests()
    return sandbox_process


@pytest.fixture
def site(tmp_path: Path, sandbox: SandboxProcess) -> Site:
    return Site(tmp_path, sandbox)
