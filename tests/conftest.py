"""A sandbox for the session, and a fresh machine for each test."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Iterator, List

import hypothesis
import pytest
from support import Site

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

E2E = Path(__file__).parent / "e2e"


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    """What stands in e2e drives a real server: ``-m 'not e2e'`` leaves it out.

    The tests of a file share its server, so they stay in one process.
    """
    for item in items:
        if E2E in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    with SandboxProcess() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess) -> SandboxProcess:
    sandbox_process.clear_faults()
    sandbox_process.reset()
    sandbox_process.clear_requests()
    return sandbox_process


@pytest.fixture
def site(tmp_path: Path, sandbox: SandboxProcess) -> Site:
    return Site(tmp_path, sandbox)
