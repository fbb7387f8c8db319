"""Measure brtel-notify against its promises: ``python benchmarks/run.py``.

Builds a wheel of this checkout, installs it into a scratch environment of the interpreter that
runs this, and measures there what a user would have: see figures.py. Prints a table; exit code 0
if every target was reached, else 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
#: Below the checkout, and no part of a wheel.
_LEFT_OUT = (".*", "build", "dist", "*.egg-info", "__pycache__", "tests")
#: The figures, as figures.py names them.
_NAMES = "handoff, cold, repeat, https, storm, worker-cpu, map, memory, calls"
_NAMES += ", check, flush, in-front, stored"


def main() -> int:
    """Install, measure; the exit code."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="brtel-notify-bench-") as folder:
        scratch = Path(folder)
        venv = Path(options.venv).absolute() if options.venv else scratch / "venv"
        python = str(venv / "bin" / "python")
        if not os.path.exists(python):
            _say("making a scratch environment")
            _run(sys.executable, "-m", "venv", str(venv))
        _say("building and installing a wheel of this checkout")
        _install(python, _wheel(scratch))
        return subprocess.call(_figures(python, options), env=clean_environment())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measures brtel-notify side by side with the naive script.", allow_abbrev=False
    )
    add = parser.add_argument
    add("--runs", type=int, default=7, metavar="N", help="runs of the short figures, 7")
    add("--storms", type=int, default=3, metavar="N", help="runs of the storm, 3")
    add("--quick", action="store_true", help="3 runs, and one storm of 200: a rough idea")
    add("--only", action="append", metavar="NAME", help=f"one of {_NAMES}; may be repeated")
    add("--json", metavar="FILE", help="write all that was measured")
    add("--venv", metavar="DIR", help="keep the scratch environment there, for the next time")
    return parser.parse_args()


def _figures(python: str, options: argparse.Namespace) -> List[str]:
    words = [python, str(HERE / "figures.py")]
    words += ["--runs", str(3 if options.quick else options.runs)]
    words += ["--storms", str(1 if options.quick else options.storms)]
    words += ["--alerts", "200" if options.quick else "1000"]
    for name in options.only or []:
        words += ["--only", name]
    if options.json:
        words += ["--json", str(Path(options.json).absolute())]
    return words


def _wheel(scratch: Path) -> str:
    """The path of a wheel of the checkout, built from a copy: nothing is left behind in it."""
    copy = scratch / "source"
    shutil.copytree(CHECKOUT, copy, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    _pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(scratch), str(copy))
    return str(next(scratch.glob("*.whl")))


def _install(python: str, wheel: str) -> None:
    _pip(python, "uninstall", "--yes", "brtel-notify")
    _pip(python, "install", f"{wheel}[sandbox]")
    packages = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    _run(python, "-m", "compileall", "-q", packages.strip())


def _pip(python: str, *words: str) -> None:
    _run(python, "-m", "pip", "--quiet", "--disable-pip-version-check", *words)


def clean_environment() -> dict[str, str]:
    """The environment without what would make Python run otherwise than at a user's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _run(*words: str) -> None:
    done = subprocess.run(
        words, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(words)}: exit code {done.returncode}\n{done.stderr}")


def _say(text: str) -> None:
    print(f"{text}...", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
