"""The Debian package in a clean Debian 12 and 13: installed, used, upgraded, removed, purged.

``make package-test`` runs these (as root, with network); a plain ``make test`` leaves them out.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest
from chroot import CHECKOUT, SUITES, Chroot, is_wanted, missing
from support import CONFIG, Site

from brtel_notify import __version__

pytestmark = pytest.mark.skipif(not is_wanted(), reason="make package-test runs it")

PACKAGE = "/tmp/brtel-notify.deb"
CONFIG_FILE = "/etc/brtel-notify/config.yml"
LOGROTATE = "/etc/logrotate.d/brtel-notify"
STATE = "/var/lib/brtel-notify"
TIMER_ENABLED = "/etc/systemd/system/timers.target.wants/brtel-notify-flush.timer"
WORKER_ENABLED = "/etc/systemd/system/multi-user.target.wants/brtel-notify-worker.service"
UNITS = ("brtel-notify-flush.service", "brtel-notify-flush.timer", "brtel-notify-worker.service")


@pytest.fixture(scope="module")
def deb() -> Path:
    """The package that ``make deb`` made."""
    found = sorted((CHECKOUT / "dist").glob(f"brtel-notify_{__version__}-*_all.deb"))
    if not found:
        missing("there is no package in dist/: make deb")
    return found[-1]


@pytest.fixture(scope="module", params=list(SUITES))
def debian(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, deb: Path
) -> Iterator[Chroot]:
    """A Debian that has what brtel-notify needs, and logrotate."""
    chroot = Chroot(tmp_path_factory.mktemp("debian") / "root", request.param)
    chroot.make()
    shutil.copyfile(deb, chroot.path(PACKAGE))
    # With what the package itself says that it needs, and no more.
    apt_install(chroot, PACKAGE)
    chroot.run("brtel-notify", "--version")
    apt_install(chroot, "logrotate")
    yield chroot
    shutil.rmtree(chroot.root)


@pytest.fixture
def machine(debian: Chroot) -> Chroot:
    """That Debian without the package, whatever the test before has left."""
    debian.run("dpkg", "--purge", "brtel-notify")
    for user in ("brtel-notify", "nagios"):
        debian.run("deluser", "--quiet", user, code=None)
    debian.run("delgroup", "--quiet", "brtel-notify", code=None)
    return debian


def apt_install(chroot: Chroot, package: str) -> None:
    """Install a package as an administrator does, with all that it depends on."""
    chroot.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", package)


def install(chroot: Chroot) -> str:
    """Install the package where what it depends on is there already; what that said."""
    return chroot.run("dpkg", "--install", PACKAGE)


def configure(chroot: Chroot, site: Site, more: str = "") -> None:
    """What an administrator writes: a configuration and a token."""
    token = chroot.path("/etc/brtel-notify/token")
    token.write_text(site.sandbox.token)
    config = chroot.path(CONFIG_FILE)
    config.write_text(CONFIG.format(url=site.sandbox.url, token_file="/etc/brtel-notify/token"))
    config.write_text(config.read_text() + more)
    token.chmod(0o640)
    config.chmod(0o640)


def access(chroot: Chroot, path: str) -> Tuple[str, str]:
    """Owner, group and mode of a file."""
    owner, mode = chroot.run("stat", "-c", "%U:%G %a", path).split()
    return owner, mode


def alert(chroot: Chroot, state: str, user: str = "brtel-notify", **more: str) -> str:
    """One alert of a program that runs as USER; what the command said."""
    words = ["--host", "db1", "--service", "backup", "--state", state, "--output", "two hours late"]
    for name, value in more.items():
        words += [f"--{name}", value]
    return chroot.run("brtel-notify", "event", *words, user=user)


# --- installing -----------------------------------------------------------------------------------


def test_makes_user_group_folders_and_units(machine: Chroot) -> None:
    install(machine)
    assert machine.run("brtel-notify", "--version") == f"brtel-notify {__version__}\n"
    assert machine.run("id", "-nG", "brtel-notify") == "brtel-notify\n"
    assert "nologin" in machine.run("getent", "passwd", "brtel-notify")
    assert access(machine, "/etc/brtel-notify") == ("root:brtel-notify", "2750")
    assert access(machine, STATE) == ("brtel-notify:brtel-notify", "2770")
    assert access(machine, "/var/log/brtel-notify") == ("brtel-notify:brtel-notify", "2770")
    assert machine.path(TIMER_ENABLED).is_symlink()
    assert not machine.path(WORKER_ENABLED).is_symlink()
    assert machine.run("dpkg", "--verify", "brtel-notify") == ""
    for page in ("man1/brtel-notify.1.gz", "man5/brtel-notify-config.5.gz"):
        assert machine.path(f"/usr/share/man/{page}").is_file()


def test_nobody_else_is_let_in(machine: Chroot) -> None:
    """Members of the group read the token: the administrator says who they are."""
    machine.run("adduser", "--system", "--quiet", "nagios")
    install(machine)
    assert "brtel-notify" not in machine.run("id", "-nG", "nagios").split()


def test_users_of_monitoring_systems_need_not_compile(machine: Chroot) -> None:
    install(machine)
    modules = machine.path("/usr/lib/python3/dist-packages/brtel_notify")
    compiled = {path.name.split(".")[0] for path in modules.glob("__pycache__/*.pyc")}
    assert compiled == {path.stem for path in modules.glob("*.py")}


def test_the_drop_ins_come_with_it(machine: Chroot) -> None:
    install(machine)
    for system in ("nagios", "icinga", "zabbix", "librenms", "systemd"):
        assert "/usr/bin/brtel-notify" in machine.run("brtel-notify", "install", system, "--print")


def test_the_units_are_for_the_user_and_idle_until_configured(machine: Chroot) -> None:
    install(machine)
    for name in UNITS[::2]:
        text = machine.path(f"/lib/systemd/system/{name}").read_text()
        assert "User=brtel-notify\n" in text
        assert f"ConditionPathExists={CONFIG_FILE}\n" in text
        assert f"ReadWritePaths={STATE} " in text
        assert "StateDirectory=" not in text  # systemd would make it private to the user


def test_systemd_takes_the_units(machine: Chroot, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None or not Path("/lib/systemd/system").is_dir():
        missing("systemd-analyze is not installed (Debian package systemd)")
    install(machine)
    for name in UNITS:
        text = machine.path(f"/lib/systemd/system/{name}").read_text()
        # The machine that verifies has no such command.
        (tmp_path / name).write_text(text.replace("/usr/bin/brtel-notify ", "/bin/true "))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(tmp_path / name for name in UNITS)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    lines = done.stdout.decode().splitlines()
    assert [line for line in lines if "brtel-notify" in line] == []


def test_a_second_time_changes_nothing(machine: Chroot) -> None:
    install(machine)
    before = machine.files()
    install(machine)
    machine.run("dpkg-reconfigure", "brtel-notify")
    machine.run("/var/lib/dpkg/info/brtel-notify.postinst", "configure", __version__)
    assert machine.files() == before


def test_a_state_folder_that_is_there_stays_as_it_is(machine: Chroot) -> None:
    machine.run("adduser", "--system", "--group", "--quiet", "nagios")
    machine.run("install", "-d", "-o", "nagios", "-g", "nagios", "-m", "0700", STATE)
    assert f"{STATE} belongs to nagios:nagios" in install(machine)
    assert access(machine, STATE) == ("nagios:nagios", "700")


# --- used -----------------------------------------------------------------------------------------


def test_one_ticket(machine: Chroot, site: Site) -> None:
    """A monitoring user stores and delivers, the package's own user delivers what is left."""
    install(machine)
    configure(machine, site)
    machine.run("adduser", "--system", "--group", "--quiet", "nagios")
    machine.run("adduser", "--quiet", "nagios", "brtel-notify")
    machine.run("brtel-notify", "test", user="nagios")
    assert site.tickets == []

    assert "delivered" in alert(machine, "CRITICAL", user="nagios")
    assert site.the_ticket()["closed_at"] is None

    site.sandbox.faults(fail={"status": 503, "next": 100})
    assert "queued" in alert(machine, "OK", user="nagios")
    site.sandbox.clear_faults()
    machine.run("brtel-notify", "flush", "--force-now", user="brtel-notify")
    assert site.the_ticket()["closed_at"] is not None
    assert machine.path(STATE).joinpath("state.json").stat().st_mode & 0o777 == 0o660


def test_install_lets_a_monitoring_system_share_it(machine: Chroot, site: Site) -> None:
    """``brtel-notify install`` finds the package's state folder and joins its group."""
    install(machine)
    configure(machine, site)
    machine.run("adduser", "--system", "--group", "--quiet", "nagios")
    for folder in ("/etc/nagios4/conf.d", "/etc/nagios4"):
        machine.path(folder).mkdir(parents=True, exist_ok=True)
    machine.path("/etc/nagios4/nagios.cfg").write_text("enable_environment_macros=1\n")
    try:
        said = machine.run("brtel-notify", "install", "nagios")
    finally:
        shutil.rmtree(machine.path("/etc/nagios4"))
    assert "usermod -aG brtel-notify nagios" in said
    assert access(machine, STATE) == ("brtel-notify:brtel-notify", "2770")
    assert "delivered" in alert(machine, "CRITICAL", user="nagios")


def test_init_writes_what_the_services_can_read(machine: Chroot, site: Site) -> None:
    install(machine)
    machine.path("/root/token").write_text(site.sandbox.token)
    answers = {
        "--url": site.sandbox.url,
        "--token-file": "-",
        "--priority": "High",
        "--category": "Infrastructure",
        "--sub-category": "PBX / 3CX",
        "--fallback": "CL000001",
        "--system": "none",
        "--user": "brtel-notify",
    }
    words = [word for answer in answers.items() for word in answer]
    line = f"brtel-notify init {shlex.join(words)} </root/token"
    machine.run("sh", "-c", line)
    assert access(machine, "/etc/brtel-notify/token")[0] == "root:brtel-notify"
    assert access(machine, STATE) == ("brtel-notify:brtel-notify", "2770")
    assert "delivered" in alert(machine, "CRITICAL", user="brtel-notify")


def test_the_log_is_rotated(machine: Chroot, site: Site) -> None:
    install(machine)
    log = "/var/log/brtel-notify/brtel-notify.log"
    configure(machine, site, f"log: {log}\n")
    alert(machine, "CRITICAL")
    first = machine.path(log).read_text()
    assert first
    machine.run("logrotate", "--force", LOGROTATE)
    assert machine.path(f"{log}.1").read_text() == first
    assert not machine.path(log).exists()
    alert(machine, "OK")
    assert machine.path(log).read_text()
    assert access(machine, log) == ("brtel-notify:brtel-notify", "660")


# --- upgraded -------------------------------------------------------------------------------------


@pytest.fixture
def next_version(debian: Chroot, deb: Path, tmp_path: Path) -> str:
    """A made-up later version, with another conffile: its path inside."""
    root = tmp_path / "next"
    subprocess.run(["dpkg-deb", "-R", deb, root], check=True)
    control = root / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {__version__}", "Version: 99.0"))
    logrotate = root / LOGROTATE.lstrip("/")
    logrotate.write_text(logrotate.read_text().replace("rotate 8", "rotate 12"))
    module = root / "usr/lib/python3/dist-packages/brtel_notify/__init__.py"
    module.write_text(module.read_text().replace(__version__, "99.0"))
    package = debian.path("/tmp/brtel-notify-next.deb")
    build = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(package)]
    subprocess.run(build, stdout=subprocess.DEVNULL, check=True)
    return "/tmp/brtel-notify-next.deb"


def test_an_upgrade_keeps_what_the_administrator_wrote(
    machine: Chroot, site: Site, next_version: str
) -> None:
    install(machine)
    configure(machine, site, "language: fr\n")
    alert(machine, "CRITICAL")
    written = machine.path(CONFIG_FILE).read_bytes()
    own = machine.path(LOGROTATE).read_text().replace("weekly", "daily")
    machine.path(LOGROTATE).write_text(own)
    machine.path(TIMER_ENABLED).unlink()  # systemctl disable
    machine.path(STATE).chmod(0o2700)  # whatever the reason

    machine.run("dpkg", "--force-confdef", "--force-confold", "--install", next_version)

    assert machine.run("brtel-notify", "--version") == "brtel-notify 99.0\n"
    assert machine.path(CONFIG_FILE).read_bytes() == written
    assert access(machine, CONFIG_FILE) == ("root:brtel-notify", "640")
    assert machine.path(LOGROTATE).read_text() == own
    assert "rotate 12" in machine.path(f"{LOGROTATE}.dpkg-dist").read_text()
    assert not machine.path(TIMER_ENABLED).is_symlink()
    assert access(machine, STATE)[1] == "2700"
    alert(machine, "OK")
    assert site.the_ticket()["closed_at"] is not None


def test_an_upgrade_replaces_what_nobody_changed(machine: Chroot, next_version: str) -> None:
    install(machine)
    machine.run("dpkg", "--install", next_version)
    assert "rotate 12" in machine.path(LOGROTATE).read_text()
    assert machine.path(TIMER_ENABLED).is_symlink()
    stale = [path for path in machine.files() if path.endswith((".dpkg-old", ".dpkg-dist"))]
    assert stale == []


# --- removed --------------------------------------------------------------------------------------


def test_removing_keeps_and_purging_leaves_nothing(machine: Chroot, site: Site) -> None:
    before = machine.files()
    install(machine)
    configure(machine, site)
    machine.path(WORKER_ENABLED).parent.mkdir(parents=True, exist_ok=True)
    machine.path(WORKER_ENABLED).symlink_to("/lib/systemd/system/brtel-notify-worker.service")
    alert(machine, "CRITICAL")
    site.sandbox.faults(fail={"status": 503, "next": 100})
    alert(machine, "OK")

    machine.run("apt-get", "remove", "-y", "-qq", "brtel-notify")
    assert machine.path(CONFIG_FILE).is_file()
    assert len(list(machine.path(STATE).glob("queue/*.jsonl"))) == 1
    assert not machine.path("/usr/bin/brtel-notify").exists()
    assert not machine.path("/usr/lib/python3/dist-packages/brtel_notify").exists()

    said = machine.run("apt-get", "purge", "-y", "-qq", "brtel-notify")
    assert "throwing away 1 alerts that were never delivered" in said
    left = {path for path in machine.files() - before if "deb-systemd-helper" not in path}
    assert left <= {str(Path(WORKER_ENABLED).parent), str(Path(TIMER_ENABLED).parent)}
    # Its files elsewhere must not become somebody else's.
    assert machine.run("getent", "passwd", "brtel-notify")


def test_installed_again_it_goes_on_where_it_was(machine: Chroot, site: Site) -> None:
    install(machine)
    configure(machine, site)
    alert(machine, "CRITICAL")
    machine.run("apt-get", "remove", "-y", "-qq", "brtel-notify")
    install(machine)
    assert machine.path(TIMER_ENABLED).is_symlink()
    alert(machine, "OK")
    assert site.the_ticket()["closed_at"] is not None


# --- made -----------------------------------------------------------------------------------------


def test_the_same_sources_give_the_same_bytes(deb: Path, tmp_path: Path) -> None:
    sums = []
    for name, umask, zone in (("one", 0o022, "UTC"), ("two", 0o077, "Asia/Tokyo")):
        folder = tmp_path / name
        folder.mkdir()
        for wheel in deb.parent.glob("*.whl"):
            shutil.copy(wheel, folder)
        env: Dict[str, str] = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "TZ": zone}
        script = CHECKOUT / "packaging/make_deb.py"
        words: List[object] = [sys.executable, script, folder]
        before = os.umask(umask)
        try:
            subprocess.run(words, env=env, stdout=subprocess.DEVNULL, check=True)  # type: ignore[arg-type]
        finally:
            os.umask(before)
        sums.append(hashlib.sha256((folder / deb.name).read_bytes()).hexdigest())
    assert sums[0] == sums[1]


def test_lintian_has_nothing_to_say(deb: Path) -> None:
    if shutil.which("lintian") is None:
        missing("lintian is not installed (Debian package lintian)")
    done = subprocess.run(
        ["lintian", "--allow-root", deb],
        env={**os.environ, "LC_ALL": "C.UTF-8"},  # perl complains about a locale that is not there
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.stdout.decode() == ""


def test_all_is_readable_and_little_executable(deb: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", deb, tmp_path / "root"], check=True)
    files = [path for path in (tmp_path / "root").rglob("*") if path.is_file()]
    assert all(path.stat().st_mode & stat.S_IROTH for path in files)
    executable = [path.name for path in files if path.stat().st_mode & 0o111]
    assert executable == ["brtel-notify"]
