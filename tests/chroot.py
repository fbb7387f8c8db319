"""A clean Debian in a folder, to install packages in: no container, no virtual machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterable, List, NoReturn, Optional, Set

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
#: Debian's releases by number.
SUITES = {"12": "bookworm", "13": "trixie"}
#: A mirror that is away for a moment fails no test.
_RETRIES = 'Acquire::Retries "5"'
#: Nobody needs the root after a crash of the machine: dpkg waits for no disk.
_FAST = "force-unsafe-io"
#: What every installation of packages changes, and the lists of users, whom purging keeps.
_ALWAYS_CHANGES = (
    *("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/subuid", "etc/subgid"),
    *("tmp", "root", "proc", "sys", "dev", "run", "var/cache", "var/lib/apt", "var/lib/dpkg"),
    *("var/log/apt", "var/log/dpkg.log", "var/log/alternatives.log"),
)


def missing(what: str) -> NoReturn:
    """Something that these tests need is not here."""
    if os.environ.get("BRTEL_NOTIFY_PACKAGE") == "required":
        pytest.fail(what)
    pytest.skip(what)


def is_wanted() -> bool:
    """Whether these tests, which take minutes and the network, are wanted (make package-test)."""
    return os.environ.get("BRTEL_NOTIFY_PACKAGE") == "required"


#: In front of what mounts something below the root: it does so in a namespace of its own. The
#: machine never sees its /dev there, where somebody may remove files; and it is gone when that
#: program ends, however it ends.
_APART = ("unshare", "--mount", "--propagation", "private")
#: A program inside, with /proc and /dev; what it has started ends with it. The shell stays, since
#: it is the first process there, and sees to those that have lost their parent.
_ALONE = ("--pid", "--fork", "--kill-child")
_MOUNTED = """\
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
chroot "$@" || exit $?
"""


class Chroot:
    """A Debian in the folder ROOT, of the release with that NUMBER."""

    def __init__(self, root: Path, number: str) -> None:
        self.root = root
        self.number = number

    def make(self) -> None:
        """Install its smallest system, from where this machine gets its own packages."""
        if os.geteuid() != 0:
            missing("only root can make a clean Debian")
        self._bootstrap(_mirror())
        # debootstrap and mmdebstrap each take this machine's own; here nothing starts a service.
        for name in ("resolv.conf", "hosts"):
            shutil.copyfile(f"/etc/{name}", self.root / "etc" / name)
        (self.root / "etc/apt/apt.conf.d/80retries").write_text(f"{_RETRIES};\n")
        (self.root / "etc/dpkg/dpkg.cfg.d/80fast").write_text(f"{_FAST}\n")
        self.run("apt-get", "update", "-qq")

    def _bootstrap(self, mirror: str) -> None:
        suite = SUITES[self.number]
        if shutil.which("mmdebstrap"):
            source = f"deb {mirror} {suite} main"
            words = ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root"]
            words += [f"--aptopt={_RETRIES}", f"--dpkgopt={_FAST}", suite, str(self.root), source]
        elif shutil.which("debootstrap"):
            words = ["debootstrap", "--variant=minbase", suite, str(self.root), mirror]
        else:
            missing("neither mmdebstrap nor debootstrap is installed (Debian packages)")
        done = subprocess.run(
            [*_APART, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        assert done.returncode == 0, done.stdout.decode()

    def run(
        self,
        *words: str,
        user: str = "root",
        code: Optional[int] = 0,
        env: Optional[Dict[str, str]] = None,
    ) -> str:
        """Run a program inside; what it said. Its exit code must be CODE, unless that is None."""
        become = [] if user == "root" else ["runuser", "-u", user, "--"]
        done = subprocess.run(
            ["chroot", str(self.root), *become, *words],
            env=_environment(env),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said = done.stdout.decode()
        if code is not None:
            assert done.returncode == code, f"{words}: {said}"
        return said

    def call(self, *words: str, env: Optional[Dict[str, str]] = None) -> int:
        """Run a program inside that has /proc and /dev, and shows what it says; its exit code."""
        done = subprocess.run(
            [*_APART, *_ALONE, "sh", "-euc", _MOUNTED, "sh", str(self.root), *words],
            env=_environment(env),
            cwd="/",
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode

    def path(self, path: str) -> Path:
        """Where the machine's absolute PATH is."""
        return self.root / path.lstrip("/")

    def files(self) -> Set[str]:
        """Every file and folder that is there, but for what changes with every package."""
        found: Set[str] = set()
        for folder, folders, names in os.walk(self.root):
            inside = os.path.relpath(folder, self.root)
            here = "" if inside == "." else f"{inside}/"
            folders[:] = [name for name in folders if f"{here}{name}" not in _ALWAYS_CHANGES]
            found.update(f"/{here}{name}" for name in _kept(here, [*folders, *names]))
        return found


def _environment(more: Optional[Dict[str, str]]) -> Dict[str, str]:
    """What a program inside sees: MORE, and this machine's way to the mirror."""
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
        **{name: text for name, text in os.environ.items() if name.endswith("_proxy")},
        **(more or {}),
    }


def _kept(here: str, names: Iterable[str]) -> List[str]:
    # A "-" behind the name: adduser's copy of the file before.
    return [name for name in names if f"{here}{name}".rstrip("-") not in _ALWAYS_CHANGES]


def _mirror() -> str:
    """Where this machine gets Debian from."""
    if shutil.which("apt-get") is None:
        missing("this is no Debian: there is no apt-get")
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian"]
    asked = subprocess.run(
        [*words, "Label: Debian", "Created-By: Packages"],
        stdout=subprocess.PIPE,
        check=False,
    )
    found = asked.stdout.decode().split()
    if not found:
        missing("apt knows no Debian mirror yet: apt-get update")
    return found[0]
