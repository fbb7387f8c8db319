"""A scratch Icinga 2 whose notifications reach a sandbox, and a scratch Icinga Director."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Dict, List, Optional, TypeVar

from generations import HERE
from servers import CHECKOUT, Daemon, Stoppable, missing, need, put_program, told, wait_for
from support import Site

T = TypeVar("T")

SHIPPED = CHECKOUT / "nagios" / "brtel-notify-icinga2.conf"
BASKET = CHECKOUT / "nagios" / "brtel-notify-director-basket.json"
#: Where the shipped files expect the program.
PROGRAM = "/usr/bin/brtel-notify"

SERVER = """\
include <itl>
const NodeName = "scratch"
object CheckerComponent "checker" {{}}
object NotificationComponent "notification" {{}}
object ExternalCommandListener "command" {{
  command_path = "{folder}/icinga2.cmd"
}}
object PerfdataWriter "results" {{
  host_temp_path = "{folder}/host-results"
  host_perfdata_path = "{folder}/results/host"
  service_temp_path = "{folder}/service-results"
  service_perfdata_path = "{folder}/results/service"
  var said = "$host.name$!$service.name$ $service.state$ $service.output$"
  service_format_template = said + " | $service.perfdata$"
  host_format_template = "$host.name$ $host.state$ $host.output$ | $host.perfdata$"
  rotation_interval = 1s
}}

/* A plugin that says, and exits with, what its file says. */
object CheckCommand "scripted" {{
  command = [ "{folder}/plugin", "$host.name$", "$service.name$" ]
}}
object CheckCommand "scripted-host" {{
  command = [ "{folder}/plugin", "$host.name$", "" ]
}}

template Host "scripted" {{
  check_command = "scripted-host"
  enable_active_checks = false
  max_check_attempts = 1
}}

template Service "scripted" {{
  check_command = "scripted"
  enable_active_checks = false
  max_check_attempts = 1
}}
"""

#: Its file has a number that no other check has, the exit code, and what it says. It is opened
#: once, for the next check's may take its place at any time; the number is told when all is read.
PLUGIN = """\
#!/bin/sh
exec <"{folder}/$1,$2.script"
read -r number
read -r code
cat
echo "$number" >>"{folder}/$1,$2.runs"
exit "$code"
"""

#: Where Debian keeps Icinga Web's modules and PostgreSQL's programs.
MODULES = Path("/usr/share/icingaweb2/modules")
POSTGRESQL = Path("/usr/lib/postgresql")

#: What Icinga's own configuration has: the zone that gets what is in no other.
ZONE = json.dumps({"object_type": "external_object"})

#: Icinga Web's configuration, by file.
DIRECTOR = {
    "config.ini": '[global]\nconfig_backend = "ini"\nmodule_path = "{modules}"\n',
    "resources.ini": """\
[director]
type = "db"
db = "pgsql"
host = "{socket}"
dbname = "director"
username = "director"
password = "none"
charset = "utf8"
""",
    "modules/director/config.ini": '[db]\nresource = "director"\n',
}


class Icinga(Stoppable):
    """``with Icinga(folder, site, objects, drop_in):`` runs a daemon with OBJECTS and DROP_IN.

    Both are text in Icinga's language; DROP_IN is the one under test, of which only the program's
    path is replaced. Hosts and services of OBJECTS import the template ``scripted``: :meth:`check`
    decides what their plugin says, and runs it. USER is whom it becomes, if root starts it; else it
    stays whoever runs the tests.
    """

    def __init__(
        self, folder: Path, site: Site, objects: str, drop_in: str, user: Optional[str] = None
    ) -> None:
        self._icinga2 = need("icinga2", "icinga2-bin")
        self.folder = folder
        self._checks = 0
        self._pipe = folder / "icinga2.cmd"
        (folder / "results").mkdir()
        _script(folder / "plugin", PLUGIN.format(folder=folder))
        program = folder / "brtel-notify"
        put_program(program, site)
        (folder / "drop-in.conf").write_text(drop_in.replace(PROGRAM, str(program)), "utf-8")
        self.config = folder / "icinga2.conf"
        text = SERVER.format(folder=folder) + objects + '\ninclude "drop-in.conf"\n'
        self.config.write_text(text, "utf-8")
        daemon = words(self._icinga2, self.config, user=user)
        self._daemon = Daemon(daemon, folder / "icinga2.log")
        if user:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, user, _group(user))

    def __enter__(self) -> Icinga:
        self._daemon.__enter__()
        try:
            wait_for("Icinga takes commands", lambda: self._takes_commands() or self._ended())
            wait_for("Icinga is ready", lambda: "Activated all objects" in self.log)
        except BaseException:
            self._daemon.stop()
            raise
        return self

    def stop(self) -> None:
        """End it, also twice."""
        self._daemon.stop()

    @property
    def log(self) -> str:
        """What the daemon wrote so far."""
        return self._daemon.said()

    def told(self, about: str) -> List[Dict[str, str]]:
        """What it gave brtel-notify in each call that names ABOUT."""
        return told(self.folder / "brtel-notify", about)

    def _takes_commands(self) -> bool:
        """Whether the pipe is there, and Icinga at its other end: it opens what it has made."""
        try:
            os.close(self._open_pipe())
        except OSError:
            return False
        return True

    def _open_pipe(self) -> int:
        # Without O_NONBLOCK a daemon that has died would hold the test up for ever.
        return os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK)

    def command(self, name: str, *arguments: object) -> None:
        """An external command; the semicolons are ours."""
        line = ";".join([name, *map(str, arguments)])
        pipe = self._open_pipe()
        try:
            os.write(pipe, f"[{int(time.time())}] {line}\n".encode())
        finally:
            os.close(pipe)

    def check(self, code: int, output: str, host: str, service: str = "") -> None:
        """Have the host's or the service's plugin run; it says OUTPUT and exits with CODE."""
        self._checks += 1
        number = str(self._checks)
        plugin = f"{self.folder}/{host},{service}"
        script = Path(f"{plugin}.new")
        script.write_text(f"{number}\n{code}\n{output}", "utf-8")
        script.rename(f"{plugin}.script")
        runs = Path(f"{plugin}.runs")

        def ran() -> bool:
            return runs.exists() and number in runs.read_text().split()

        self.ask_for_check(f"the plugin of {host} {service} runs", ran, host, service)

    def ask_for_check(self, what: str, look: Callable[[], T], host: str, service: str = "") -> T:
        """Ask for a check until LOOK, which WHAT describes, gives something true.

        One that is asked for while Icinga still takes the last result in is put off by minutes.
        """
        asked = float("-inf")

        def ask() -> T:
            nonlocal asked
            found = look()
            if not found and time.monotonic() > asked + 1:
                self._ask(host, service)
                asked = time.monotonic()
            return found

        return wait_for(what, ask)

    def _ask(self, host: str, service: str) -> None:
        now = int(time.time())
        if service:
            self.command("SCHEDULE_FORCED_SVC_CHECK", host, service, now)
        else:
            self.command("SCHEDULE_FORCED_HOST_CHECK", host, now)

    def result(self, host: str, service: str = "") -> str:
        """The last check's state, output and performance data; empty before it is written."""
        name = f"{host}!{service} " if service else f"{host} "
        lines = [line for path in self._results() for line in path.read_text("utf-8").splitlines()]
        found = [line[len(name) :] for line in lines if line.startswith(name)]
        return found[-1] if found else ""

    def _results(self) -> List[Path]:
        found = (self.folder / "results").iterdir()
        return sorted(found, key=lambda path: path.stat().st_mtime_ns)

    def _ended(self) -> bool:
        assert self._daemon.running, self.log
        return False


def words(icinga2: str, config: Path, *options: str, user: Optional[str] = None) -> List[str]:
    """The command line of a daemon that leaves all its traces beside CONFIG, and becomes USER."""
    folder = config.parent
    places = {"DataDir": "data", "LogDir": "log", "InitRunDir": "run", "CacheDir": "cache"}
    found = [icinga2, "daemon", "-c", str(config), *options]
    for constant, name in {**places, "SpoolDir": "spool"}.items():
        (folder / name).mkdir(exist_ok=True)
        found.append(f"-D{constant}={folder / name}")
    # Its own user is not known on every machine, and nobody but root may become it.
    return [*found, f"-DRunAsUser={user or _user()}", f"-DRunAsGroup={_group(user)}"]


def validate(config: Path) -> subprocess.CompletedProcess[str]:
    """``icinga2 daemon -C``."""
    return subprocess.run(
        words(need("icinga2", "icinga2-bin"), config, "-C"),
        capture_output=True,
        text=True,
        check=False,
    )


def complaints(log: str) -> List[str]:
    """The warnings and errors in a LOG, but for the one about our way to drive the daemon."""
    return [
        line
        for line in log.splitlines()
        if (" warning/" in line or " critical/" in line) and "/ExternalCommandListener:" not in line
    ]


class Director(Stoppable):
    """``with Director() as director:`` runs one, on a PostgreSQL of its own, without a web page.

    As root, PostgreSQL runs as ``postgres``, so everything is in a folder that others may enter.
    """

    def __init__(self) -> None:
        self._cli = need("icingacli", "icingacli")
        if not (MODULES / "director").is_dir():
            missing("Icinga Director is not installed (Debian package icingaweb2-module-director)")
        self._psql = need("psql", "postgresql-client")
        self._stack = ExitStack()
        self._folder = Path()

    def __enter__(self) -> Director:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="director-"))
            self._folder = Path(folder)
            self._folder.chmod(0o755)
            self._start_database(stack)
            self._write_configuration()
            self.run("migration", "run")
            if HERE.director_needs_zone:
                self.run("zone", "create", "master", "--json", ZONE)
            self._stack = stack.pop_all()
        return self

    @property
    def _data(self) -> Path:
        """PostgreSQL's folder, its socket in it."""
        return self._folder / "data"

    def stop(self) -> None:
        """End it, also twice."""
        self._stack.close()

    def run(self, *arguments: str, stdin: str = "") -> str:
        """``icingacli director …``; what it said."""
        done = subprocess.run(
            [self._cli, "director", *arguments],
            input=stdin,
            env={**os.environ, "ICINGAWEB_CONFIGDIR": str(self._folder / "web")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def deployed(self) -> str:
        """What the Director would give to Icinga, all files in one, without the zones."""
        self.run("config", "render")
        return self._sql(
            "SELECT content FROM director_generated_file f"
            " JOIN director_generated_config_file c ON c.file_checksum = f.checksum"
            " WHERE file_path !~ 'zones.conf|director-basics'"
        )

    def _start_database(self, stack: ExitStack) -> None:
        programs = sorted(POSTGRESQL.glob("*/bin"), key=lambda path: int(path.parent.name))
        if not programs:
            missing("PostgreSQL is not installed (Debian package postgresql)")
        user = "postgres" if os.getuid() == 0 else None
        data = self._data
        data.mkdir()
        if user:
            shutil.chown(data, user)
        subprocess.run(
            [programs[-1] / "initdb", "-D", data, "-A", "trust", "-U", "director", "--no-sync"],
            user=user,
            cwd=self._folder,
            check=True,
            capture_output=True,
        )
        options = {
            # No port, which another program could take before PostgreSQL does.
            "listen_addresses": "",
            "unix_socket_directories": str(data),
            "fsync": "off",
            "lc_messages": "C",
        }
        words = [str(programs[-1] / "postgres"), "-D", str(data)]
        words += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        server = Daemon(words, self._folder / "postgres.log", user=user, cwd=self._folder)
        stack.enter_context(server)
        wait_for("PostgreSQL", lambda: "ready to accept connections" in server.said())
        self._sql("CREATE DATABASE director ENCODING 'UTF8' TEMPLATE template0", "postgres")
        self._sql("CREATE EXTENSION pgcrypto")

    def _write_configuration(self) -> None:
        web = self._folder / "web"
        for path, text in DIRECTOR.items():
            (web / path).parent.mkdir(parents=True, exist_ok=True)
            (web / path).write_text(text.format(modules=MODULES, socket=self._data), "utf-8")
        (web / "enabledModules").mkdir()
        for module in ("director", "incubator", "reactbundle"):
            (web / "enabledModules" / module).symlink_to(MODULES / module)

    def _sql(self, statement: str, database: str = "director") -> str:
        where = ["-h", str(self._data), "-U", "director", "-d", database]
        done = subprocess.run(
            [self._psql, *where, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


def _script(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(0o755)


def _user() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _group(user: Optional[str] = None) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid if user else os.getgid()).gr_name
