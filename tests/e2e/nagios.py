"""A real Nagios Core 4 in a scratch folder, with the drop-in as it is shipped."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Optional

from servers import CHECKOUT, Daemon, Stoppable, need, put_program, told, wait_for
from support import Site

DROP_IN = CHECKOUT / "nagios" / "brtel-notify.cfg"
#: What the drop-in calls, and what no test may call.
PROGRAM = "/usr/bin/brtel-notify"

#: As in Debian's nagios.cfg, but for the folders and for what would make a test wait.
MAIN = """\
log_file={folder}/nagios.log
cfg_dir={folder}/conf.d
object_cache_file={folder}/objects.cache
precached_object_file={folder}/objects.precache
status_file={folder}/status.dat
status_update_interval=1
nagios_user={user}
nagios_group={group}
check_external_commands=1
command_file={folder}/nagios.cmd
query_socket={folder}/nagios.qh
lock_file={folder}/nagios.lock
temp_file={folder}/nagios.tmp
temp_path={folder}
check_result_path={folder}/results
check_result_reaper_frequency=1
state_retention_file={folder}/retention.dat
use_syslog=0
interval_length=1
check_for_updates=0
enable_flap_detection=1
illegal_object_name_chars=`~!$%^&*|'"<>?,()=
illegal_macro_output_chars=`~$&|'"<>
enable_environment_macros={macros:d}
"""

TIMEPERIOD = """\
define timeperiod {
    timeperiod_name  24x7
    alias            always
    sunday           00:00-24:00
    monday           00:00-24:00
    tuesday          00:00-24:00
    wednesday        00:00-24:00
    thursday         00:00-24:00
    friday           00:00-24:00
    saturday         00:00-24:00
}
"""


def definition(kind: str, directives: Dict[str, str]) -> str:
    """``define host { … }``."""
    lines = [f"    {name}  {value}" for name, value in directives.items()]
    return "\n".join([f"define {kind} {{", *lines, "}", ""])


def host(name: str, group: str, **more: str) -> str:
    """A host that only the command file gives a state, and whose first bad result counts."""
    usual = {
        "host_name": name,
        "address": "203.0.113.10",
        "max_check_attempts": "1",
        "active_checks_enabled": "0",
        "flap_detection_enabled": "0",
        "notification_interval": "0",
        "notification_period": "24x7",
        "contact_groups": group,
    }
    return definition("host", {**usual, **more})


def service(on: str, description: str, group: str, **more: str) -> str:
    """A service of the same kind."""
    usual = {
        "host_name": on,
        "service_description": description,
        "check_command": "check_brtel-notify",
        "max_check_attempts": "1",
        "check_interval": "5",
        "check_period": "24x7",
        "active_checks_enabled": "0",
        "flap_detection_enabled": "0",
        "notification_interval": "0",
        "notification_period": "24x7",
        "contact_groups": group,
    }
    return definition("service", {**usual, **more})


def verify(main: Path) -> subprocess.CompletedProcess[str]:
    """``nagios4 -v`` of a configuration."""
    program = need("nagios4", "nagios4-core")
    return subprocess.run([program, "-v", str(main)], capture_output=True, text=True, check=False)


def give_program(drop_in: str, program: Path, site: Site) -> str:
    """DROP_IN with the one path replaced, by a script PROGRAM that is brtel-notify for SITE."""
    put_program(program, site)
    assert PROGRAM in drop_in
    return drop_in.replace(PROGRAM, str(program))


@contextmanager
def run(main: Path, pipe: Path, stdout: Path) -> Iterator[Daemon]:
    """A daemon with the configuration MAIN, once it reads its command file PIPE."""
    program = need("nagios4", "nagios4-core")
    checked = verify(main)
    assert checked.returncode == 0, checked.stdout
    with Daemon([program, str(main)], stdout) as daemon:
        wait_for("Nagios to read its command file", lambda: pipe.is_fifo() or not daemon.running)
        assert daemon.running, daemon.said()
        yield daemon


class Nagios(Stoppable):
    """``with Nagios(folder, site, objects, macros=True) as nagios:`` runs a daemon for SITE.

    OBJECTS are its hosts and services, MACROS is enable_environment_macros. Everything it reads
    and writes is in FOLDER. DROP_IN is the text of one that needs no other program. USER is whom it
    becomes, if root starts it; else it stays whoever runs the tests.
    """

    def __init__(
        self,
        folder: Path,
        site: Site,
        objects: str,
        macros: bool,
        drop_in: str = "",
        user: Optional[str] = None,
    ) -> None:
        self.site = site
        self.main = folder / "nagios.cfg"
        self._folder = folder
        self._running = ExitStack()
        for name in ("conf.d", "results"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        if not drop_in:
            drop_in = give_program(DROP_IN.read_text(), folder / "brtel-notify", site)
        (folder / "conf.d" / "brtel-notify.cfg").write_text(drop_in)
        (folder / "conf.d" / "objects.cfg").write_text(TIMEPERIOD + objects)
        account = pwd.getpwnam(user) if user else pwd.getpwuid(os.getuid())
        group = grp.getgrgid(account.pw_gid if user else os.getgid()).gr_name
        text = MAIN.format(folder=folder, user=account.pw_name, group=group, macros=macros)
        self.main.write_text(text)
        if user:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, user, group)

    def __enter__(self) -> Nagios:
        self._running.enter_context(
            run(self.main, self._folder / "nagios.cmd", self._folder / "stdout")
        )
        return self

    def stop(self) -> None:
        """End it, also twice."""
        self._running.close()

    @property
    def log(self) -> str:
        """What it logged so far."""
        path = self._folder / "nagios.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def command(self, *words: object) -> None:
        """An external command: its name and its arguments."""
        line = ";".join(str(word) for word in words)
        with (self._folder / "nagios.cmd").open("w") as pipe:
            # Rounded up, a change of state would lie half a second in the future.
            pipe.write(f"[{int(time.time())}] {line}\n")

    def host_is(self, name: str, state: int, output: str) -> None:
        """A result of a host's check: 0 up, 1 down."""
        self.command("PROCESS_HOST_CHECK_RESULT", name, state, output)

    def service_is(self, name: str, description: str, state: int, output: str) -> None:
        """A result of a service's check, 0 to 3; a newline is the two characters ``\\n``."""
        self.command("PROCESS_SERVICE_CHECK_RESULT", name, description, state, output)

    def told(self, about: str) -> List[Dict[str, str]]:
        """What it gave brtel-notify in each call that names ABOUT."""
        return told(self._folder / "brtel-notify", about)

    def notified(self, name: str) -> List[str]:
        """The types and states of the notifications about the host NAME, as the log has them."""
        pattern = rf"(?:HOST|SERVICE) NOTIFICATION: [^;]+;{re.escape(name)};(?:[^;]+;)?([A-Z() ]+);"
        return [found.split(" ")[0] for found in re.findall(pattern, self.log)]

    def status(self, name: str, description: str = "") -> Dict[str, str]:
        """What status.dat says of a host, or of a service on it."""
        path = self._folder / "status.dat"
        text = path.read_text(errors="replace") if path.exists() else ""
        pattern = r"^(?:host|service)status \{\n(.*?)^\t\}"
        for block in re.findall(pattern, text, re.DOTALL | re.MULTILINE):
            pairs = dict(line.strip().partition("=")[::2] for line in block.splitlines())
            if (pairs["host_name"], pairs.get("service_description", "")) == (name, description):
                return pairs
        return {}
