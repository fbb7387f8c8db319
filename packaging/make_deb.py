"""Makes the Debian package out of the wheel: ``make_deb.py dist`` (see ``make deb``).

The package holds what the wheel holds, in Debian's places, and what a wheel cannot bring: the
command with Debian's own Python, units, completions, manual pages, and the scripts in
packaging/deb/ that make user, group and folders. dpkg-deb is all that is needed for it. The same
sources give the same bytes: every file gets the time of $SOURCE_DATE_EPOCH (without it: of the
last commit, else of CHANGELOG.md).
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from email.utils import formatdate
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))  # the code beside this file, not one that is installed

from brtel_notify import __version__  # noqa: E402
from brtel_notify.config.schema import SYSTEM_FILE  # noqa: E402
from brtel_notify.options import DEFAULT_STATE_DIR  # noqa: E402
from brtel_notify.setup.systems.systemd import unit_of  # noqa: E402
from brtel_notify.setup.unix_users import GROUP  # noqa: E402

HERE = CHECKOUT / "packaging"
#: Whom the services run as: the user, and the group that shares the state folder, have one name.
USER = GROUP
LOGS = "/var/log/brtel-notify"
MODULES = "usr/lib/python3/dist-packages"
DOCS = "usr/share/doc/brtel-notify"
UNITS = "lib/systemd/system"  # Debian 12 has no /usr/lib/systemd/system in packages yet
#: Files below packaging/, build/ and the checkout, and where they go.
FILES = {
    "packaging/brtel-notify": "usr/bin/brtel-notify",
    "packaging/deb/README.Debian": f"{DOCS}/README.Debian",
    "packaging/deb/lintian-overrides": "usr/share/lintian/overrides/brtel-notify",
    "packaging/logrotate": "etc/logrotate.d/brtel-notify",
    "build/completion/brtel-notify.bash": "usr/share/bash-completion/completions/brtel-notify",
    "build/completion/_brtel-notify": "usr/share/zsh/vendor-completions/_brtel-notify",
    "README.md": f"{DOCS}/README.md",
}


def main(folder: str) -> None:
    """Make the package from the wheel in FOLDER, into it."""
    wheel = Path(folder, f"brtel_notify-{__version__}-py3-none-any.whl")
    if not wheel.is_file():
        raise SystemExit(f"{wheel}: there is no such wheel (make dist makes it)")
    time = _time()
    package = Path(folder, f"brtel-notify_{debian_version()}_all.deb")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "root")
        _fill(root, wheel, time)
        _describe(root)
        _same_everywhere(root)
        # xz on one core: how many there are would show in the bytes.
        words = ["dpkg-deb", "--root-owner-group", "-Zxz", "--threads-max=1", "--build"]
        env = {**os.environ, "SOURCE_DATE_EPOCH": str(time)}
        quiet = subprocess.DEVNULL
        subprocess.run([*words, root, package], env=env, stdout=quiet, check=True)
    print(package)


def debian_version() -> str:
    """The version as Debian orders it: 0.2.0rc1 comes before 0.2.0, so it is 0.2.0~rc1-1."""
    return re.sub(r"\.?(a|b|rc|dev)(?=\d)", r"~\1", __version__) + "-1"


def _time() -> int:
    """What every file is dated, seconds since 1970."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    asked = subprocess.run(
        ["git", "-C", CHECKOUT, "log", "-1", "--format=%ct"], capture_output=True, check=False
    )
    if asked.returncode == 0 and asked.stdout.strip().isdigit():
        return int(asked.stdout)
    return int((CHECKOUT / "CHANGELOG.md").stat().st_mtime)


# --- what it holds --------------------------------------------------------------------------------


def _fill(root: Path, wheel: Path, time: int) -> None:
    with zipfile.ZipFile(wheel) as archive:
        # The script, whose place pip knows, is among FILES.
        modules = [name for name in archive.namelist() if ".data/" not in name]
        archive.extractall(root / MODULES, modules)
    for source, target in FILES.items():
        _put(root / target, (CHECKOUT / source).read_text(encoding="utf-8"))
    for page in sorted((CHECKOUT / "docs").glob("*.md")):
        _put(root / DOCS / "docs" / page.name, page.read_text(encoding="utf-8"))
    for page in sorted((CHECKOUT / "build/man").glob("*.[15]")):
        section = root / f"usr/share/man/man{page.suffix[1:]}"
        _put_compressed(section / f"{page.name}.gz", page.read_text(encoding="utf-8"))
    for source_unit in sorted((CHECKOUT / "systemd").iterdir()):
        _put(root / UNITS / source_unit.name, unit(source_unit.read_text(encoding="utf-8")))
    _put_compressed(root / DOCS / "changelog.gz", (CHECKOUT / "CHANGELOG.md").read_text())
    _put_compressed(root / DOCS / "changelog.Debian.gz", _changelog(time))
    _put(root / DOCS / "copyright", _copyright())


def unit(text: str) -> str:
    """A shipped unit's TEXT as the package has it: for its user, and idle until configured."""
    text = unit_of(text, USER, GROUP, DEFAULT_STATE_DIR, shared=True)
    text = text[text.index("[Unit]") :]  # what stands before tells how to put it there by hand
    is_service = "[Service]" in text
    condition = f"ConditionPathExists={SYSTEM_FILE}\n" if is_service else ""
    more = f"Documentation=man:brtel-notify(1)\n{condition}"
    text = re.sub(r"^Description=.*\n", rf"\g<0>{more}", text, count=1, flags=re.MULTILINE)
    return text.replace(f"={DEFAULT_STATE_DIR}\n", f"={DEFAULT_STATE_DIR} -{LOGS}\n")


def _changelog(time: int) -> str:
    return (
        f"brtel-notify ({debian_version()}) unstable; urgency=medium\n\n"
        "  * What is new in this version stands in changelog.gz.\n\n"
        f" -- {_maintainer()}  {formatdate(time)}\n"
    )


def _maintainer() -> str:
    """Who made the package, from the variables that Debian's own tools read."""
    name = os.environ.get("DEBFULLNAME", "The brtel-notify developers")
    return f"{name} <{os.environ.get('DEBEMAIL', 'brtel-notify@localhost')}>"


def _copyright() -> str:
    _, by, *conditions = (CHECKOUT / "LICENSE").read_text().strip().split("\n\n")
    lines = "\n\n".join(conditions).splitlines()
    text = (HERE / "deb/copyright").read_text()
    text = text.replace("@COPYRIGHT@", by.replace("Copyright (c) ", ""))
    return text.replace("@LICENSE@", "\n".join(f" {line}".rstrip() or " ." for line in lines))


def _describe(root: Path) -> None:
    """The DEBIAN folder: control file, scripts, and which files are the administrator's."""
    inside = [path for path in root.rglob("*") if path.is_file()]
    size = sum(-(-path.stat().st_size // 1024) for path in inside) + len(list(root.rglob("*")))
    text = (HERE / "deb/control").read_text()
    for mark, value in (
        ("@VERSION@", debian_version()),
        ("@MAINTAINER@", _maintainer()),
        ("@SIZE@", str(size)),
    ):
        text = text.replace(mark, value)
    _put(root / "DEBIAN/control", text)
    for script in ("postinst", "prerm", "postrm"):
        _put(root / "DEBIAN" / script, (HERE / "deb" / script).read_text())
    kept = sorted(path.relative_to(root) for path in inside if path.is_relative_to(root / "etc"))
    _put(root / "DEBIAN/conffiles", "".join(f"/{path}\n" for path in kept))
    sums = subprocess.run(
        ["md5sum", "--", *sorted(str(path.relative_to(root)) for path in inside)],
        cwd=root,
        stdout=subprocess.PIPE,
        check=True,
    )
    _put(root / "DEBIAN/md5sums", sums.stdout.decode())


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _put_compressed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def _same_everywhere(root: Path) -> None:
    """Modes that do not depend on the umask; dpkg-deb sees to owners, times and order."""
    programs = {root / "usr/bin/brtel-notify", *(root / "DEBIAN").glob("p*")}
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path in programs else 0o644)


if __name__ == "__main__":
    if shutil.which("dpkg-deb") is None:
        raise SystemExit("make_deb.py: needs dpkg-deb (Debian and Ubuntu have it)")
    main(*sys.argv[1:])
