"""An upgrade while a worker runs, and what an older version left behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import List

import pytest
from support import ENVIRONMENT, PATIENCE, Site, until

import brtel_notify

pytestmark = pytest.mark.short

PACKAGE = Path(brtel_notify.__file__).parent
BEFORE = "nagios4-service-problem"
AFTER = "nagios4-service-recovery"


def installed_below(folder: Path) -> Path:
    """An installation of its own: the package, with the templates inside as in a wheel."""
    library = folder / "lib"
    shutil.copytree(PACKAGE, library / "brtel_notify", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parent / "templates", library / "brtel_notify" / "templates")
    return library


def command(library: Path, site: Site, *words: str) -> List[str]:
    """A command line of that installation, as its console script begins."""
    start = f"import sys; sys.path.insert(0, {str(library)!r}); "
    start += "from brtel_notify.cli import entry; entry()"
    return [sys.executable, "-I", "-c", start, *site.words(*words)[3:]]


def test_a_running_worker_delivers_when_all_its_modules_have_moved(site: Site) -> None:
    """Opening, notes, a rule, a call that is put off, and the closing: none is loaded only then."""
    site.configure(
        "rules:\n  - when: customer.vip\n    set: {tags: [vip]}\nlifecycle: {on_repeat: note}\n"
    )
    library = installed_below(site.folder)
    worker = subprocess.Popen(
        command(library, site, "worker"), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    said: List[str] = []
    assert worker.stderr is not None
    lines = worker.stderr
    listener = threading.Thread(target=lambda: said.extend(lines), daemon=True)
    listener.start()
    try:
        until(lambda: any("worker: delivering from" in line for line in said))
        for module in (library / "brtel_notify").rglob("*.py"):
            module.unlink()
        shutil.rmtree(library / "brtel_notify" / "__pycache__", ignore_errors=True)
        site.notify(BEFORE)
        until(lambda: site.tickets and site.queued() == [])
        site.notify(BEFORE, "SERVICEOUTPUT=still down")
        until(lambda: site.queued() == [] and len(site.the_ticket()["replies"]) == 2)
        site.sandbox.faults(fail={"status": 429, "retry_after": 1, "next": 1})
        site.notify(AFTER)
        until(lambda: not site.the_ticket()["open"] and site.queued() == [])
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(PATIENCE) == 0
        listener.join(PATIENCE)
        lines.close()
    assert "unforeseen" not in "".join(said)
    assert site.queued("dead") == []


def test_the_console_script_of_an_older_version_still_starts(site: Site) -> None:
    """It imports brtel_notify.cli; so do the words that the program starts itself with."""
    done = subprocess.run(
        [sys.executable, "-c", "from brtel_notify.cli import entry; entry()", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"brtel-notify {brtel_notify.__version__}\n"
