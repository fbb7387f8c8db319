"""Runs tests in a Debian of its own, in build/debian-NUMBER, with its servers and libraries.

    on_debian.py NUMBER TESTS [PYTEST-ARGUMENT]...

As root, on a Debian with mmdebstrap. The first run makes it, in some minutes; the next ones use it
again, unless another list of packages is wanted. What is under work here is copied into it, and the
package from dist/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List

from chroot import CHECKOUT, Chroot

#: Inside: a copy of the checkout, the tests' own Python, and what that was made for.
COPY, VENV = "/srv/brtel-notify", "/srv/venv"
PYTHON = f"{VENV}/bin/python"
WHEELS = "/srv/wheels"
PACKAGES = "tests/e2e/packages.sh"
#: Each Debian's Python.
PYTHONS = {"12": "3.11", "13": "3.13"}
#: What the tests inside see: all that they need is there, and nothing has to be kept.
ENVIRONMENT = {
    "BRTEL_NOTIFY_E2E": "required",
    "BRTEL_NOTIFY_PACKAGE": "inside",
    "HOME": "/root",
}

#: Says which of them those are, for pip.
VERSIONS = """
from importlib.metadata import version
for name in ("requests", "urllib3", "Jinja2", "PyYAML"):
    print(f"{name}=={version(name)}")
"""
#: Fails if a library that the program needs is another than Debian's.
DEBIANS_OWN = """
import jinja2, requests, sys, urllib3, yaml
for module in (jinja2, requests, urllib3, yaml):
    assert module.__file__.startswith("/usr/lib/python3/dist-packages/"), module.__file__
assert sys.version.startswith(sys.argv[1] + "."), sys.version
"""


def main() -> int:
    """Make what is not there yet, and run the tests; pytest's exit code."""
    number, *words = sys.argv[1:]
    debian = Chroot(CHECKOUT / "build" / f"debian-{number}", number)
    make(debian)
    copy_checkout(debian)
    make_python(debian)
    pytest = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", *words]
    return debian.call("env", "-C", COPY, *pytest, env=ENVIRONMENT)


def make(debian: Chroot) -> None:
    """That Debian with the servers, unless it is there and whole."""
    whole, wanted = debian.path("/srv/whole"), (CHECKOUT / PACKAGES).read_text()
    if whole.exists() and whole.read_text() == wanted:
        return
    clear_away(debian.root)
    debian.root.parent.mkdir(exist_ok=True)
    print(f"making a Debian {debian.number} in {debian.root} (once)...", flush=True)
    debian.make()
    copy_checkout(debian)
    succeed(debian, f"{COPY}/{PACKAGES}", "servers")
    whole.write_text(wanted)


def clear_away(root: Path) -> None:
    """Remove a root that is not whole; never one in which somebody has mounted something."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    inside = [mount for mount in mounts if mount.startswith(f"{root}/")]
    if inside:
        sys.exit(f"umount these first: {' '.join(inside)}")
    if root.exists():
        shutil.rmtree(root)


def copy_checkout(debian: Chroot) -> None:
    """What git knows or would ask about, and the package; in the place of the last copy."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=CHECKOUT, stdout=subprocess.PIPE, check=True)
    copy = debian.path(COPY)
    shutil.rmtree(copy, ignore_errors=True)
    packages = [f"dist/{path.name}" for path in (CHECKOUT / "dist").glob("*.deb")]
    for name in [*os.fsdecode(listed.stdout).split("\0"), *packages]:
        if name and (CHECKOUT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, copy / name)


def make_python(debian: Chroot) -> None:
    """A venv over Debian's own libraries, with what the tests need besides."""
    made_for, wanted = debian.path(f"{VENV}/made-for"), (CHECKOUT / "setup.cfg").read_text()
    version = PYTHONS[debian.number]
    if made_for.exists() and made_for.read_text() == wanted:
        return
    # This machine gets them from where it gets all: for that Python, and to go with its libraries.
    wheels, constraints = debian.path(WHEELS), debian.path("/srv/constraints")
    shutil.rmtree(wheels, ignore_errors=True)
    constraints.write_text(debian.run("python3", "-c", VERSIONS))
    options = ["--quiet", "--disable-pip-version-check", "--dest", str(wheels)]
    options += ["--only-binary=:all:", "--python-version", version]
    options += ["--constraint", str(constraints)]
    words = [sys.executable, "-m", "pip", "download", *options]
    subprocess.run([*words, "setuptools", "wheel", ".[sandbox,test]"], cwd=CHECKOUT, check=True)
    shutil.rmtree(debian.path(VENV), ignore_errors=True)
    succeed(debian, "python3", "-m", "venv", "--system-site-packages", VENV)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", WHEELS]
    succeed(debian, *pip, "setuptools", "wheel")
    succeed(debian, *pip, "--no-build-isolation", "--editable", f"{COPY}[sandbox,test]")
    succeed(debian, PYTHON, "-I", "-c", DEBIANS_OWN, version)
    made_for.write_text(wanted)


def succeed(debian: Chroot, *words: str) -> None:
    """Run a program inside, which must succeed."""
    code = debian.call(*words)
    if code:
        said: List[str] = list(words)
        sys.exit(f"exit code {code} in {debian.root}: {said}")


if __name__ == "__main__":
    sys.exit(main())
