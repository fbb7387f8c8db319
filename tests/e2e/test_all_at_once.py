"""Nagios, Icinga 2, Zabbix and LibreNMS's transport on one machine: each as a user of its own, all
in one group that shares a state folder, set up by ``brtel-notify install``.

Needs root, which alone makes users and becomes them. Debian's own Python runs the program, a copy
in a scratch folder: the other users may not be able to enter the checkout.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Set, Tuple

import pytest
from icinga import Icinga, complaints
from servers import CHECKOUT, PATIENCE, Daemon, missing, need, wait_for
from support import Site, load_capture
from test_librenms import HARNESS, run_php
from test_zabbix import ACKNOWLEDGE, COMMENT, TEXT, Trunk, set_up

from brtel_notify.delivery.retry import LONGEST_PROBE
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.text.plaintext import as_text
from nagios import Nagios, host, service
from zabbix import Zabbix

#: Debian's packages bring these two; the others are made, and removed.
USERS = {
    "nagios": "nagios",
    "icinga": "bn-all-icinga",
    "zabbix": "zabbix",
    "librenms": "bn-all-librenms",
    "systemd": "bn-all-worker",
}
OWN_USERS = tuple(user for user in USERS.values() if user.startswith("bn-all-"))
GROUP = "bn-all-at-once"
#: What comes with the program, as in a wheel.
SHIPPED = ("templates", "librenms", "nagios", "zabbix", "systemd")

#: Hosts that all four systems watch, and their customers.
ACME, LUMIERE, CLINIQUE = "acme.3cx.fr", "lumiere.3cx.fr", "clinique-parc.3cx.fr"
CUSTOMERS = {ACME: 42, LUMIERE: 7, CLINIQUE: 12}
#: A host that only one of them watches, and the number of its customer.
OWN = {"nagios": 15, "icinga": 201, "zabbix": 202, "librenms": 203}
SERVICE = "SIP trunk"
OK, CRITICAL = 0, 2
#: How often a folder in use is looked at before something in it counts as wrong.
LOOKS = 10
#: What the worker says when the state folder is its own.
DELIVERING = "worker: delivering from"

#: What other users may run, wherever the tests' own Python is.
PYTHON = "/usr/bin/python3"
LAUNCHER = f"""\
#!{PYTHON} -I
import sys
sys.path.insert(0, {{lib!r}})
{{first}}
from brtel_notify.cli import entry
entry()
"""

#: Lines that stop a command where it is about to open what it has just made, a file or folder of
#: that name, to the group: until it is told to go on.
STOPPING = """\
import os, pathlib, time
real, here = os.fchmod, pathlib.Path({folder!r})
def fchmod(descriptor, mode):
    made = os.path.basename(os.readlink("/proc/self/fd/%d" % descriptor))
    if {name!r} in made and not (here / "stopped").exists():
        (here / "stopped").touch()
        while not (here / "go").exists():
            time.sleep(0.02)
    real(descriptor, mode)
os.fchmod = fchmod
"""


def own_host(system: str) -> str:
    return f"{system}.example.net"


def account_of(name: str) -> str:
    """The customer account that a system knows of a host; empty where the PBX's name is enough."""
    numbers = {own_host(system): number for system, number in OWN.items()}
    return f"CL{numbers[name]:06d}" if name in numbers else ""


def become(user: str, group: str = "") -> List[str]:
    """What stands before a command line to run it as USER, with all groups of that user."""
    wanted = group or grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    return [
        *("env", "-C", "/", need("setpriv", "util-linux")),
        *("--reuid", user, "--regid", wanted, "--init-groups", "--"),
    ]


# --- the machine ----------------------------------------------------------------------------------


class Machine(Site):
    """A machine on which brtel-notify is installed for everybody, in one folder."""

    def __init__(self, root: Path, sandbox: SandboxProcess) -> None:
        self.root = root
        self.program = root / "bin" / "brtel-notify"
        self.lib = root / "lib"
        for name in ("bin", "etc", "var"):
            (root / name).mkdir(parents=True)
        super().__init__(root / "etc", sandbox)
        for file in (self.config_file, self.token_file):
            file.chmod(0o600)  # what the group may read, `install` has to say
        self.state_dir = root / "var" / "state"

    def words(self, *arguments: str) -> List[str]:
        options = ["--config", str(self.config_file), "--state-dir", str(self.state_dir)]
        return [str(self.program), *options, *arguments]

    def put_program(self) -> None:
        """Debian's Python, a copy of the package, and the installed command."""
        probe = [PYTHON, "-I", "-c", "import jinja2, requests, yaml"]
        if not os.access(PYTHON, os.X_OK) or subprocess.run(probe, check=False).returncode:
            missing("Debian's packages python3-requests, python3-jinja2, python3-yaml")
        package = self.lib / "brtel_notify"
        leave = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(CHECKOUT / "brtel_notify", package, ignore=leave)
        for name in SHIPPED:
            shutil.copytree(CHECKOUT / name, package / name, ignore=leave)
        # Those who run it cannot write beside it.
        subprocess.run([PYTHON, "-I", "-m", "compileall", "-q", str(self.lib)], check=True)
        self.put_launcher(self.program, "")

    def put_launcher(self, path: Path, first: str) -> Path:
        """A command at PATH that is brtel-notify, once it has run the lines FIRST."""
        text = LAUNCHER.format(lib=str(self.lib), first=first)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def install(self, system: str, *options: str) -> Path:
        """What an administrator does for one system; the folder with its drop-ins."""
        folder = self.root / system
        folder.mkdir()
        words = ["--user", USERS[system], "--dest", str(folder), *options]
        said = self.run("install", system, *words).stdout
        if "--no-test" not in options:
            assert "ok   state folder" in said, said  # the test ran, as that user
        return folder

    def run_as(self, user: str, *arguments: str) -> str:
        """Run a command as USER: it succeeds, and complains of nothing; what it said."""
        words = [*become(user), *self.words(*arguments)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), (user, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def worker(self) -> Iterator[Daemon]:
        """The worker, as its unit has it, while it delivers."""
        unit = (self.root / "systemd" / "brtel-notify-worker.service").read_text()
        found = dict(re.findall(r"^(User|Group|ExecStart)=(.*)$", unit, re.MULTILINE))
        assert (found["User"], found["Group"]) == (USERS["systemd"], GROUP)
        words = [*become(found["User"], found["Group"]), *shlex.split(found["ExecStart"])]
        log = self.root / "worker.log"
        before = log.read_text().count(DELIVERING) if log.exists() else 0
        with Daemon(words, log) as daemon:
            wait_for("the worker", lambda: daemon.said().count(DELIVERING) > before)
            yield daemon

    def queue_owners(self) -> Set[str]:
        """Whose events wait."""
        return {pwd.getpwuid(path.stat().st_uid).pw_name for path in self.queued()}


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    if os.geteuid() != 0:
        missing("root, to run each monitoring system as a user of its own")
    need("useradd", "passwd")
    with ExitStack() as stack:
        stack.enter_context(alone())
        stack.callback(remove_accounts)
        make_accounts()
        root = Path(tempfile.mkdtemp(prefix="bn-all-"))  # short: a path of a socket is
        stack.callback(shutil.rmtree, root)
        root.chmod(0o755)
        machine = Machine(root, stack.enter_context(SandboxProcess()))
        machine.put_program()
        yield machine


@contextmanager
def alone() -> Iterator[None]:
    """Another run on this machine, which has the same names for its users, is waited for."""
    with open("/run/bn-all-at-once.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make_accounts() -> None:
    remove_accounts()  # those of a run that was killed
    for package in ("nagios", "zabbix"):
        try:
            pwd.getpwnam(package)
        except KeyError:
            missing(f"no user {package} (Debian packages nagios4-core, zabbix-server-pgsql)")
    for user in OWN_USERS:
        words = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        subprocess.run(["useradd", *words, user], check=True)


def remove_accounts() -> None:
    """Also takes nagios and zabbix out of the group, which is gone."""
    for words in (*(["userdel", user] for user in OWN_USERS), ["groupdel", GROUP]):
        subprocess.run(words, capture_output=True, check=False)


# --- the four systems -----------------------------------------------------------------------------


class Watcher:
    """A monitoring system that says of each host in its own words how the trunk is."""

    name = ""

    def says(self, name: str, what: str) -> str:
        return f"[{self.name}] {name} is {what}"

    def fails(self, name: str) -> None:
        """The trunk of the host NAME fails."""
        raise NotImplementedError

    def is_acknowledged(self, name: str) -> None:
        """Somebody takes the problem."""
        raise NotImplementedError

    def recovers(self, name: str) -> None:
        """The trunk works again."""
        raise NotImplementedError

    def complaints(self) -> List[str]:
        """What the system has to say against its notification command."""
        raise NotImplementedError


class NagiosWatcher(Watcher):
    name = "nagios"

    def __init__(self, machine: Machine, folder: Path, stack: ExitStack) -> None:
        objects = [host(name, "brtel-notify", **_account(name)) for name in _hosts(self.name)]
        objects += [service(name, SERVICE, "brtel-notify") for name in _hosts(self.name)]
        drop_in = (folder / "brtel-notify.cfg").read_text()
        scratch = machine.root / "nagios-scratch"
        daemon = Nagios(scratch, machine, "".join(objects), True, drop_in, USERS[self.name])
        self._daemon = stack.enter_context(daemon)

    def fails(self, name: str) -> None:
        self._daemon.service_is(name, SERVICE, CRITICAL, self.says(name, "bad"))

    def is_acknowledged(self, name: str) -> None:
        said = self.says(name, "taken")
        self._daemon.command("ACKNOWLEDGE_SVC_PROBLEM", name, SERVICE, 2, 1, 0, "mmoreau", said)

    def recovers(self, name: str) -> None:
        self._daemon.service_is(name, SERVICE, OK, self.says(name, "well"))

    def complaints(self) -> List[str]:
        pattern = r"^.*(?:stderr line|wproc: NOTIFY|timed out|[Ww]arning|[Ee]rror).*$"
        return re.findall(pattern, self._daemon.log, re.MULTILINE)


def _account(name: str) -> Dict[str, str]:
    account = account_of(name)
    return {"_CUSTOMER_ACCOUNT": account} if account else {}


class IcingaWatcher(Watcher):
    name = "icinga"

    def __init__(self, machine: Machine, folder: Path, stack: ExitStack) -> None:
        objects = "".join(_icinga_object(name) for name in _hosts(self.name)) + WATCHED
        drop_in = (folder / "brtel-notify-icinga2.conf").read_text("utf-8")
        scratch = machine.root / "icinga-scratch"
        scratch.mkdir()
        daemon = Icinga(scratch, machine, objects, drop_in, USERS[self.name])
        self._daemon = stack.enter_context(daemon)

    def fails(self, name: str) -> None:
        self._daemon.check(CRITICAL, self.says(name, "bad"), name, SERVICE)

    def is_acknowledged(self, name: str) -> None:
        said = self.says(name, "taken")
        self._daemon.command("ACKNOWLEDGE_SVC_PROBLEM", name, SERVICE, 2, 1, 0, "mmoreau", said)

    def recovers(self, name: str) -> None:
        self._daemon.check(OK, self.says(name, "well"), name, SERVICE)

    def complaints(self) -> List[str]:
        return complaints(self._daemon.log)


#: Has brtel-notify's own check: without it, Icinga warns that the rule applies to nothing.
WATCHED = """
object Host "localhost" {
  import "scripted"
  vars.brtel_notify_check = true
}
"""


def _icinga_object(name: str) -> str:
    account = account_of(name)
    return f"""
object Host "{name}" {{
  import "scripted"
  vars.brtel_notify = true
  {f'vars.customer_account = "{account}"' if account else ""}
}}
object Service "{SERVICE}" {{
  import "scripted"
  host_name = "{name}"
}}
"""


class ZabbixWatcher(Watcher):
    name = "zabbix"

    def __init__(self, machine: Machine, folder: Path, stack: ExitStack) -> None:
        scratch = machine.root / "z"
        scratch.mkdir()
        self._zabbix = stack.enter_context(Zabbix(scratch, machine, scripts=folder))
        set_up(self._zabbix)
        self._trunks = {name: self._trunk(name) for name in _hosts(self.name)}

    def _trunk(self, name: str) -> Trunk:
        account = account_of(name)
        return Trunk(
            self._zabbix,
            name,
            value_type=TEXT,
            wrong='find(/{host}/trunk,,"like","bad")=1',
            host_tags=[{"tag": "customer_account", "value": account}] if account else [],
            description=SERVICE,
            opdata="{ITEM.LASTVALUE1}",
        )

    def fails(self, name: str) -> None:
        self._trunks[name].is_worth(self.says(name, "bad"))

    def is_acknowledged(self, name: str) -> None:
        said = self.says(name, "taken")
        self._trunks[name].acknowledge(ACKNOWLEDGE + COMMENT, message=said)

    def recovers(self, name: str) -> None:
        self._trunks[name].is_worth(self.says(name, "well"))

    def complaints(self) -> List[str]:
        def alerts() -> List[Dict[str, Any]]:
            found: List[Dict[str, Any]] = self._zabbix.api("alert.get", output="extend")
            return found

        def is_over() -> bool:
            return all(alert["status"] in "12" for alert in alerts())  # sent, or given up

        wait_for("Zabbix to have sent its alerts", is_over)
        return [
            f"{alert['status']} {alert['retries']} {alert['error']}"
            for alert in alerts()
            if (alert["status"], alert["retries"], alert["error"]) != ("1", "0", "")
        ]


class LibreNMSWatcher(Watcher):
    """The transport, called as LibreNMS's alert run calls it."""

    name = "librenms"

    def __init__(self, machine: Machine, folder: Path, stack: ExitStack) -> None:
        self._php = need("php", "php-cli")
        self._transport = folder / "Bluerocktel.php"
        self._harness = machine.root / "librenms-scratch"
        shutil.copytree(HARNESS, self._harness)
        # As `install` says it has to be filled in: the command is in the file.
        self._form = {
            "brtel-config": str(machine.config_file),
            "brtel-state-dir": str(machine.state_dir),
        }
        self._answers: List[str] = []

    def fails(self, name: str) -> None:
        self._deliver("problem", name, msg=self.says(name, "bad"))

    def is_acknowledged(self, name: str) -> None:
        self._deliver("acknowledged", name, alert_notes=self.says(name, "taken"), msg="")

    def recovers(self, name: str) -> None:
        self._deliver("recovery", name, msg=self.says(name, "well"))

    def _deliver(self, capture: str, name: str, **changes: str) -> None:
        number = 1 + _hosts(self.name).index(name)
        account = account_of(name)
        data: Dict[str, Any] = {
            **load_capture(f"librenms-{capture}")["stdin"],
            **dict.fromkeys(("hostname", "sysName", "display"), name),
            **dict.fromkeys(("device_id", "alert_id"), number),
            "name": SERVICE,
            "faults": {},
            "notes": f"CUSTOMER_ACCOUNT: {account}" if account else None,
            **changes,
        }
        order = {"config": self._form, "data": data}
        user = become(USERS[self.name])
        answer = run_php(self._php, order, self._transport, self._harness, before=user)
        if answer != {"delivered": True, "zombies": False}:
            self._answers.append(str(answer))

    def complaints(self) -> List[str]:
        return self._answers


def _hosts(system: str) -> List[str]:
    """What a system watches."""
    return [ACME, LUMIERE, CLINIQUE, own_host(system)]


WATCHERS = (NagiosWatcher, IcingaWatcher, ZabbixWatcher, LibreNMSWatcher)


class World:
    """The machine with all that runs on it."""

    def __init__(self, machine: Machine, watchers: Sequence[Watcher]) -> None:
        self.machine = machine
        self.watchers = {watcher.name: watcher for watcher in watchers}

    def tickets(self, system: str, name: str) -> List[Dict[str, Any]]:
        """The tickets that SYSTEM opened about the host NAME."""
        return [
            ticket
            for ticket in self.machine.tickets
            if name in ticket["subject"] and f"[{system}]" in ticket["body"]
        ]

    def ticket(self, system: str, name: str, replies: int, is_open: bool = True) -> Dict[str, Any]:
        """The one ticket of SYSTEM about NAME, once it has so many replies and is open or not."""

        def look() -> List[Dict[str, Any]]:
            return [
                ticket
                for ticket in self.tickets(system, name)
                if ticket["open"] == is_open and len(ticket["replies"]) >= replies
            ]

        wanted = (
            f"{'an open' if is_open else 'a closed'} ticket, {replies} replies: {system} {name}"
        )
        (ticket,) = wait_for(wanted, look)
        assert len(ticket["replies"]) == replies, told(ticket)
        return ticket

    def complaints(self) -> Dict[str, List[str]]:
        """What each system, and the worker, has to complain of."""
        found = {name: watcher.complaints() for name, watcher in self.watchers.items()}
        log = self.machine.root / "worker.log"
        said = log.read_text() if log.exists() else ""
        trouble = r"^.*(?:denied|permitted|cannot|unforeseen|Traceback|refused for good).*$"
        found["worker"] = re.findall(trouble, said, re.MULTILINE)
        return {name: lines for name, lines in found.items() if lines}


def told(ticket: Dict[str, Any]) -> str:
    """Everything that a ticket says."""
    return "\n\n".join(as_text(part["body"]) for part in [ticket, *ticket["replies"]])


def speakers(ticket: Dict[str, Any]) -> Set[str]:
    """The systems whose words a ticket has."""
    return set(re.findall(r"\[(\w+)\]", told(ticket)))


@pytest.fixture(scope="module")
def world(machine: Machine) -> Iterator[World]:
    with ExitStack() as stack:
        folders = {system: machine.install(system, "--group", GROUP) for system in USERS}
        world = World(machine, [kind(machine, folders[kind.name], stack) for kind in WATCHERS])
        yield world


# --- the state folder -----------------------------------------------------------------------------


def assert_shared(machine: Machine) -> None:
    """Everything in the state folder is the group's, but for each user's private part.

    The worker, and Icinga's own check of it, go on meanwhile: what is wrong with a file only until
    it has its name is no problem, so each must be seen at every one of several looks.
    """
    assert (machine.state_dir.owner(), _mode(machine.state_dir)) == ("root", 0o2770)
    problems = _all_problems(machine.state_dir)
    for _ in range(LOOKS):
        if not problems:
            return
        time.sleep(0.2)
        problems &= _all_problems(machine.state_dir)
    assert problems == set()


def _all_problems(folder: Path) -> Set[str]:
    members = {*USERS.values(), "root"}
    problems = _problems(folder, members, grp.getgrnam(GROUP).gr_gid)
    for path in folder.glob("cache/*-*"):
        if path.is_dir():
            problems += _private_problems(path)
    return set(problems)


def _below(folder: Path) -> Iterator[Tuple[Path, os.stat_result]]:
    """FOLDER, and what is in it and is not gone before one can look at it."""
    found = [
        Path(top, name)
        for top, folders, files in os.walk(folder)  # which passes over a folder that is gone, too
        for name in (*folders, *files)
    ]
    for path in (folder, *found):
        try:
            yield path, path.lstat()
        except FileNotFoundError:
            continue


def _owner(status: os.stat_result) -> str:
    return pwd.getpwuid(status.st_uid).pw_name


def _problems(folder: Path, members: Set[str], gid: int) -> List[str]:
    problems = []
    for path, status in _below(folder):
        inside = path.relative_to(folder).parts
        if len(inside) > 1 and inside[0] == "cache" and (folder / "cache" / inside[1]).is_dir():
            continue  # private
        wanted = 0o2770 if stat.S_ISDIR(status.st_mode) else 0o660
        if (status.st_gid, stat.S_IMODE(status.st_mode)) != (gid, wanted):
            problems.append(f"{path}: group {status.st_gid}, mode {stat.S_IMODE(status.st_mode):o}")
        if _owner(status) not in members:
            problems.append(f"{path}: belongs to {_owner(status)}")
        if path.name.endswith(".tmp"):
            problems.append(f"{path}: was left behind")
    return problems


def _private_problems(folder: Path) -> List[str]:
    uid = int(folder.name.rpartition("-")[2])
    problems = []
    for path, status in _below(folder):
        mode = stat.S_IMODE(status.st_mode)
        wanted = 0o700 if stat.S_ISDIR(status.st_mode) else 0o600
        if (status.st_uid, mode) != (uid, wanted):
            problems.append(f"{path}: owner {status.st_uid}, mode {mode:o}")
    return problems


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- the tests ------------------------------------------------------------------------------------


def test_what_install_leaves_behind(world: World) -> None:
    machine = world.machine
    for path in (machine.config_file, machine.token_file):
        assert (path.owner(), path.group(), _mode(path)) == ("root", GROUP, 0o640)
    assert sorted(grp.getgrnam(GROUP).gr_mem) == sorted(USERS.values())
    assert_shared(machine)


def test_with_one_worker(world: World) -> None:
    """The same host and service fail in all systems, and one host of each; BlueRockTEL is down."""
    machine = world.machine
    sandbox = machine.sandbox
    nagios, icinga, zabbix, librenms = (world.watchers[name] for name in OWN)
    with machine.worker():
        nagios.fails(ACME)
        zabbix.fails(own_host("zabbix"))
        librenms.fails(own_host("librenms"))
        icinga.fails(ACME)
        for system, name in (("nagios", ACME), ("icinga", ACME)):
            world.ticket(system, name, replies=1)
        for system in ("zabbix", "librenms"):
            world.ticket(system, own_host(system), replies=1)
        wait_for("the worker to be done with them", lambda: not machine.queued())

        sandbox.faults(drop={"when": "before"})
        zabbix.fails(ACME)
        icinga.fails(own_host("icinga"))
        nagios.is_acknowledged(ACME)
        icinga.is_acknowledged(ACME)
        librenms.is_acknowledged(own_host("librenms"))
        nagios.fails(own_host("nagios"))
        librenms.fails(ACME)
        zabbix.is_acknowledged(own_host("zabbix"))
        librenms.recovers(own_host("librenms"))
        # Nagios waits for no command to end before it starts the next: what it says of the host
        # after this must not be stored before this.
        wait_for("all of that to be queued", lambda: len(machine.queued()) == 9)
        nagios.recovers(ACME)
        senders = set(USERS.values()) - {USERS["systemd"]}
        wait_for("all that happened to be queued", lambda: len(machine.queued()) == 10)
        assert machine.queue_owners() == senders
        assert_shared(machine)
        assert len(machine.tickets) == 4
        sandbox.clear_faults()

        # The longer BlueRockTEL was away, the longer the worker waits before it tries again.
        patience = PATIENCE + LONGEST_PROBE
        wait_for("the worker to deliver", lambda: not machine.queued(), patience)
        zabbix.recovers(own_host("zabbix"))
        zabbix.is_acknowledged(ACME)
        librenms.is_acknowledged(ACME)
        icinga.recovers(ACME)
        expected = [
            ("nagios", ACME, 3, False),
            ("icinga", ACME, 3, False),
            ("zabbix", ACME, 2, True),
            ("librenms", ACME, 2, True),
            ("nagios", own_host("nagios"), 1, True),
            ("icinga", own_host("icinga"), 1, True),
            ("zabbix", own_host("zabbix"), 3, False),
            ("librenms", own_host("librenms"), 3, False),
        ]
        for found in expected:
            world.ticket(*found)
        wait_for("the queue to be empty", lambda: not machine.queued())
        for system, name, replies, is_open in expected:  # and nothing came after that
            ticket = world.ticket(system, name, replies, is_open)
            assert ticket["ticketable_id"] == (OWN[system] if name != ACME else CUSTOMERS[ACME])
            assert speakers(ticket) == {system}, told(ticket)
        assert len(machine.tickets) == 8
        assert_shared(machine)
        for user in USERS.values():  # while the worker has the lock
            assert "delivering" in machine.run_as(user, "flush")
    assert machine.queued("dead") == []
    assert world.complaints() == {}
    for user in USERS.values():
        assert machine.run_as(user, "flush").startswith("0 done, 0 refused")
        assert "4 open, 0 queued, 0 dead" in machine.run_as(user, "status")
        assert "OK" in machine.run_as(user, "check")
        machine.run_as(user, "queue", "list")


def test_without_a_worker(world: World) -> None:
    """Each command delivers what it finds, also another user's."""
    machine = world.machine
    for watcher in world.watchers.values():
        watcher.fails(CLINIQUE)
    for system in world.watchers:
        ticket = world.ticket(system, CLINIQUE, replies=1)
        assert ticket["ticketable_id"] == CUSTOMERS[CLINIQUE]
    for watcher in world.watchers.values():
        watcher.recovers(CLINIQUE)
    for system in world.watchers:
        ticket = world.ticket(system, CLINIQUE, replies=2, is_open=False)
        assert speakers(ticket) == {system}
    wait_for("the queue to be empty", lambda: not machine.queued())
    assert machine.queued("dead") == []
    assert_shared(machine)
    assert world.complaints() == {}


def test_one_host_in_four_systems_has_one_ticket(world: World) -> None:
    machine = world.machine
    machine.configure("  group_by: host\n")
    assert (machine.config_file.group(), _mode(machine.config_file)) == (GROUP, 0o640)

    def the_ticket() -> Dict[str, Any]:
        """The one ticket of that host; empty before there is one."""
        found = [ticket for ticket in machine.tickets if LUMIERE in ticket["subject"]]
        assert len(found) < 2
        return found[0] if found else {"body": "", "replies": []}

    def hears(what: str) -> None:
        wait_for(f"a note: {what}", lambda: what in told(the_ticket()))

    with machine.worker():
        for watcher in world.watchers.values():
            watcher.fails(LUMIERE)
        for watcher in world.watchers.values():
            hears(watcher.says(LUMIERE, "bad"))
        assert the_ticket()["ticketable_id"] == CUSTOMERS[LUMIERE]
        *others, last = world.watchers.values()
        for watcher in others:
            watcher.recovers(LUMIERE)
            hears(watcher.says(LUMIERE, "well"))
            assert the_ticket()["open"]
        last.recovers(LUMIERE)
        wait_for("the ticket to be closed", lambda: not the_ticket()["open"])
        assert last.says(LUMIERE, "well") in told(the_ticket())
    assert_shared(machine)
    assert world.complaints() == {}


# --- a folder that nobody has used yet ------------------------------------------------------------


@pytest.fixture
def fresh(machine: Machine) -> Iterator[Machine]:
    """The same program and users, with a configuration and a state folder of its own."""
    fresh = Machine(machine.root / "fresh", machine.sandbox)
    fresh.program = machine.program
    fresh.lib = machine.lib
    yield fresh
    shutil.rmtree(fresh.root)


def event(name: str) -> List[str]:
    return ["event", "--host", name, "--state", "DOWN", "--output", "no answer"]


@pytest.mark.parametrize("made", ["queue", "drain.lock"])
def test_two_users_are_the_first_ones(fresh: Machine, made: str) -> None:
    """The second comes while the first is still making the state folder what it has to be."""
    for system in ("nagios", "zabbix"):
        fresh.install(system, "--group", GROUP, "--no-test")
    signals = fresh.root / "signals"
    signals.mkdir()
    signals.chmod(0o777)
    stopping = STOPPING.format(folder=str(signals), name=made)
    slow = fresh.put_launcher(fresh.root / "slow", stopping)
    words = [*become("nagios"), str(slow), *fresh.words(*event(f"first-{made}"))[1:]]
    with Daemon(words, fresh.root / "first.log") as first:
        wait_for("the first to stop", lambda: (signals / "stopped").exists())
        second = [*become("zabbix"), *fresh.words(*event(f"second-{made}"))]
        done = subprocess.run(second, capture_output=True, text=True, check=False)
        (signals / "go").touch()
        wait_for("the first to end", lambda: not first.running)
        said = done.stderr + first.said()
    assert done.returncode == 0, said
    assert "denied" not in said
    fresh.run_as("zabbix", "flush")
    assert fresh.queued() == fresh.queued("dead") == []
    found = [ticket["subject"] for ticket in fresh.tickets]
    for name in (f"first-{made}", f"second-{made}"):
        assert sum(name in subject for subject in found) == 1
    assert_shared(fresh)


def test_one_more_user_locks_nobody_out(fresh: Machine) -> None:
    """Who installs for one user more need not know what group the others have."""
    fresh.install("nagios", "--group", GROUP)
    fresh.install("icinga", "--group", GROUP)
    fresh.install("librenms")
    for system in ("nagios", "icinga", "librenms"):
        fresh.run_as(USERS[system], "status")
        fresh.run_as(USERS[system], "test")
    assert_shared(fresh)
