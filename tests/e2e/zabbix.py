"""A real Zabbix in a scratch folder: PostgreSQL, server, frontend; with the drop-ins as shipped."""

from __future__ import annotations

import gzip
import json
import os
import pwd
import re
import shutil
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import requests
from generations import HERE
from servers import (
    CHECKOUT,
    Daemon,
    Stoppable,
    free_port,
    missing,
    need,
    put_program,
    told,
    wait_for,
)
from support import Site

DROP_INS = CHECKOUT / "zabbix"
#: What the alert script calls, and what no test may call.
PROGRAM = "/usr/bin/brtel-notify"

FRONTEND = Path("/usr/share/zabbix")
SQL = Path("/usr/share/zabbix-server-pgsql")
POSTGRESQL = Path("/usr/lib/postgresql")

#: The tables of the initial data that a Zabbix without templates, maps and dashboards needs.
TABLES = frozenset(
    (
        *("config", "config_autoreg_tls", "graph_theme", "globalmacro", "hstgrp"),
        *("role", "role_rule", "users", "users_groups", "usrgrp"),
        *("module", "ugset", "user_ugset"),  # not in 6.0
    )
)

POSTGRESQL_CONF = """
listen_addresses = ''
unix_socket_directories = '{run}'
fsync = off
synchronous_commit = off
full_page_writes = off
"""

#: Few processes, and everything that waits looks once a second.
SERVER_CONF = """\
LogType=console
PidFile={run}/zabbix_server.pid
SocketDir={run}
TmpDir={run}
DBHost={database}
DBName=zabbix
DBUser=zabbix
ListenIP=127.0.0.1
ListenPort={port}
AlertScriptsPath={scripts}
ExternalScripts={scripts}
AllowRoot={root:d}
User={user}
CacheUpdateFrequency=1
ServiceManagerSyncFrequency=1
HousekeepingFrequency=0
StartPollers=1
StartPollersUnreachable=1
StartTrappers=2
StartPreprocessors=1
StartLLDProcessors=1
StartDiscoverers=0
StartHTTPPollers=0
StartPingers=0
StartAlerters=1
"""

FRONTEND_CONF = """\
<?php
$DB['TYPE'] = 'POSTGRESQL';
$DB['SERVER'] = '{database}';
$DB['PORT'] = '0';
$DB['DATABASE'] = 'zabbix';
$DB['USER'] = 'zabbix';
$DB['PASSWORD'] = '';
$DB['SCHEMA'] = '';
$DB['ENCRYPTION'] = false;
$DB['DOUBLE_IEEE754'] = true;
$ZBX_SERVER = '127.0.0.1';
$ZBX_SERVER_PORT = '{port}';
$ZBX_SERVER_NAME = '';
$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
"""


class Refused(AssertionError):
    """The frontend's API answered with an error."""


class Zabbix(Stoppable):
    """``with Zabbix(folder, site) as zabbix:`` runs one, whose alert script serves SITE.

    Everything it reads and writes is in FOLDER, a short path (it holds a socket) that any user may
    enter. As root, PostgreSQL runs as ``postgres``, and the server as ``zabbix`` if that user may
    run this Python, else as root; otherwise both run as whoever runs the tests. SCRIPTS is a folder
    that holds the alert script already: then the server is started by root, and becomes ``zabbix``
    itself, with all groups of that user.
    """

    def __init__(self, folder: Path, site: Site, scripts: Optional[Path] = None) -> None:
        self.site = site
        self.folder = folder
        self.user = "zabbix" if scripts else server_user()
        self.port = free_port()
        self.scripts = scripts or folder / "alertscripts"
        self._installed = scripts is not None
        self._web_port = free_port()
        self._stack = ExitStack()
        self._token: Optional[str] = None
        self._api = requests.Session()
        self._api.trust_env = False

    def __enter__(self) -> Zabbix:
        with ExitStack() as stack:
            stack.enter_context(self._api)
            self._start_database(stack)
            if not self._installed:
                self._install_script()
            self._start_frontend(stack)
            self._start_server(stack)
            self._token = self.api("user.login", username="Admin", password="zabbix")
            self._stack = stack.pop_all()
        return self

    def stop(self) -> None:
        """End it, also twice."""
        self._stack.close()

    # --- the three programs ----------------------------------------------------------------------

    def _start_database(self, stack: ExitStack) -> None:
        programs = sorted(POSTGRESQL.glob("*/bin/initdb"), key=lambda path: path.parts[-3])
        if not programs:
            missing("initdb is not installed (Debian package postgresql)")
        if not (SQL / "schema.sql.gz").exists():
            missing("Zabbix's tables are not installed (Debian package zabbix-server-pgsql)")
        binaries = programs[-1].parent
        user = "postgres" if os.getuid() == 0 else None
        data, self._run_database = self.folder / "data", self.folder / "db"
        for path in (data, self._run_database):
            path.mkdir(mode=0o755)
            if user:
                shutil.chown(path, user)
        words = ["-D", str(data), "-U", "zabbix", "-A", "trust", "-E", "UTF8", "--no-locale"]
        self._run([str(binaries / "initdb"), *words, "--no-sync"], user)
        with (data / "postgresql.conf").open("a") as file:
            file.write(POSTGRESQL_CONF.format(run=self._run_database))
        daemon = Daemon(
            [str(binaries / "postgres"), "-D", str(data)],
            self.folder / "postgres.log",
            user=user,
            cwd=self.folder,
        )
        stack.enter_context(daemon)
        wait_for("PostgreSQL to answer", lambda: not daemon.running or self._answers(binaries))
        assert daemon.running, daemon.said()
        self._psql("postgres", "CREATE DATABASE zabbix;")
        self._psql("zabbix", gzip.decompress((SQL / "schema.sql.gz").read_bytes()).decode())
        self._psql("zabbix", "".join(initial_data()))

    def _answers(self, binaries: Path) -> bool:
        words = [str(binaries / "pg_isready"), "-q", "-h", str(self._run_database), "-U", "zabbix"]
        return subprocess.run(words, check=False).returncode == 0

    def _psql(self, database: str, sql: str) -> str:
        words = [need("psql", "postgresql"), "-q", "-A", "-t", "-X", "-v", "ON_ERROR_STOP=1"]
        words += ["-h", str(self._run_database), "-U", "zabbix", database]
        return self._run(words, None, sql)

    def _run(self, words: List[str], user: Optional[str], stdin: str = "") -> str:
        done = subprocess.run(
            words,
            user=user,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def _install_script(self) -> None:
        """The shipped alert script, in which only the program's path is another."""
        self.scripts.mkdir()
        program = self.folder / "program"
        put_program(program, self.site)
        shipped = (DROP_INS / "brtel-notify").read_text()
        assert PROGRAM in shipped
        script = self.scripts / "brtel-notify"
        script.write_text(shipped.replace(PROGRAM, str(program)))
        script.chmod(0o755)
        if os.getuid() == 0:
            for path in (self.site.folder, *self.site.folder.rglob("*")):
                shutil.chown(path, self.user)

    def _start_frontend(self, stack: ExitStack) -> None:
        """A copy of what the API needs, since the path of its configuration is built in."""
        php = need("php", "php-cli")
        if not (FRONTEND / "api_jsonrpc.php").exists():
            missing("Zabbix's frontend is not installed (Debian package zabbix-frontend-php)")
        web = self.folder / "web"
        pictures = shutil.ignore_patterns("assets", "audio", "fonts", "js", "locale")
        shutil.copytree(FRONTEND, web, symlinks=True, ignore=pictures)
        conf = self.folder / "zabbix.conf.php"
        conf.write_text(FRONTEND_CONF.format(database=self._run_database, port=self.port))
        source = web / "include" / "classes" / "core" / "CConfigFile.php"
        text, found = re.subn(
            r"(const CONFIG_FILE_PATH = )'[^']+'", rf"\1'{conf}'", source.read_text()
        )
        assert found == 1
        source.write_text(text)
        words = [
            php,
            "-d",
            "display_errors=0",
            "-d",
            "memory_limit=512M",
            "-d",
            "date.timezone=UTC",
        ]
        daemon = Daemon(
            [*words, "-S", f"127.0.0.1:{self._web_port}", "-t", str(web)], self.folder / "php.log"
        )
        stack.enter_context(daemon)
        wait_for("PHP to listen", lambda: not daemon.running or is_listening(self._web_port))
        assert daemon.running, daemon.said()

    def _start_server(self, stack: ExitStack) -> None:
        program = need("zabbix_server", "zabbix-server-pgsql")
        run = self.folder / "run"
        run.mkdir()
        if os.getuid() == 0:
            shutil.chown(run, self.user)
        conf = self.folder / "zabbix_server.conf"
        conf.write_text(
            SERVER_CONF.format(
                run=run,
                database=self._run_database,
                port=self.port,
                scripts=self.scripts,
                user=self.user,
                root=self.user == "root",
            )
        )
        daemon = Daemon(
            [program, "-f", "-c", str(conf)],
            self.folder / "zabbix_server.log",
            env={"TZ": "UTC"},
            user=self.user if os.getuid() == 0 and not self._installed else None,
            cwd=self.folder,
        )
        stack.enter_context(daemon)
        wait_for(
            "the Zabbix server to listen", lambda: not daemon.running or is_listening(self.port)
        )
        assert daemon.running, daemon.said()

    # --- what an administrator does --------------------------------------------------------------

    def api(self, method: str, **parameters: Any) -> Any:
        """A call of the frontend's API. Raises Refused."""
        call = {"jsonrpc": "2.0", "id": 1, "auth": self._token, "method": method}
        answer = self._api.post(
            f"http://127.0.0.1:{self._web_port}/api_jsonrpc.php",
            json={**call, "params": parameters},
            timeout=60,
        )
        said = answer.json()
        if "error" in said:
            raise Refused(f"{method}: {said['error']}")
        return said["result"]

    def send(self, host: str, key: str, value: object) -> None:
        """A value for a trapper item; waits until the server takes it."""
        words = [need("zabbix_sender", "zabbix-sender"), "-z", "127.0.0.1", "-p", str(self.port)]
        words += ["-s", host, "-k", key, "-o", str(value)]

        def sent() -> bool:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            return done.returncode == 0 and "failed: 0" in done.stdout

        wait_for(f"the Zabbix server to take a value for {host}:{key}", sent)

    def end_escalation(self, trigger_id: str) -> None:
        """Let the escalation of a problem end, whose trigger was switched off.

        Zabbix looks for that when a step is over, which takes a minute or more: so every step is
        made short. It may look before it has read that the trigger is off, and go on to the next
        step: hence again and again.
        """
        update = "UPDATE escalations SET nextcheck = 0"
        sql = f"{update} WHERE triggerid = {int(trigger_id)} RETURNING escalationid;"
        wait_for(
            f"the escalation of trigger {trigger_id} to end",
            lambda: not self._psql("zabbix", sql),
        )

    def press_test(
        self, media_type: str, sendto: str, subject: str, message: str
    ) -> Dict[str, Any]:
        """What the button *Test* of a media type gives: the frontend asks the server for it."""
        values = {"sendto": sendto, "subject": subject, "message": message}
        data: Dict[str, Any] = {"mediatypeid": media_type, **values}
        if HERE.zabbix_test_parameters:
            data = {"mediatypeid": media_type, "parameters": list(values.values())}
        call = json.dumps({"request": "alert.send", "sid": self._token, "data": data}).encode()
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(b"ZBXD\x01" + struct.pack("<Q", len(call)) + call)
            answer = b""
            while len(answer) < 13 or len(answer) < 13 + struct.unpack("<Q", answer[5:13])[0]:
                part = connection.recv(65536)
                assert part, answer
                answer += part
        said: Dict[str, Any] = json.loads(answer[13:])
        return said

    def told(self, about: str) -> List[Dict[str, str]]:
        """What it gave brtel-notify in each message that names ABOUT."""
        return told(self.folder / "program", about)

    def alerts(self, event_id: str) -> List[Dict[str, Any]]:
        """What Zabbix's own log of alerts says of an event: status 1 is sent, 2 failed."""
        found: List[Dict[str, Any]] = self.api(
            "alert.get", eventids=[event_id], output="extend", sortfield="alertid"
        )
        return found

    def problem(self, trigger_id: str) -> str:
        """The id of the open problem of a trigger; waits until there is one."""

        def look() -> List[Dict[str, Any]]:
            found: List[Dict[str, Any]] = self.api("problem.get", objectids=[trigger_id])
            return found

        problems = wait_for(f"a problem of trigger {trigger_id}", look)
        return str(problems[-1]["eventid"])


def server_user() -> str:
    """Who runs the Zabbix server: an unprivileged user, if that one may run this Python."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    try:
        probe = subprocess.run(
            [sys.executable, "-c", "import brtel_notify, jinja2, requests, yaml"],
            user="zabbix",
            cwd="/",
            capture_output=True,
            check=False,
        )
    except (KeyError, PermissionError):  # no such user; or it may not even start it
        return "root"
    return "zabbix" if probe.returncode == 0 else "root"


def initial_data() -> Iterator[str]:
    """The package's initial data without what this Zabbix does not need, nine tenths of them."""
    statement = re.compile(r"INSERT INTO (\w+) ")
    wanted = False
    with gzip.open(SQL / "data.sql.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            found = statement.match(line)
            if found:
                assert not wanted, line
                wanted = found.group(1) in TABLES
            if wanted:
                yield line
                wanted = not line.endswith(");\n")  # 7.0 has one row a line


def is_listening(port: int) -> bool:
    """Whether somebody listens on that port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
