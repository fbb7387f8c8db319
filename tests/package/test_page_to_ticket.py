"""From the Debian package to a closed ticket, as README and each system's page say it.

On a machine that nobody needs any more: ``make package-test`` runs this in a Debian 12 and in a
Debian 13 of its own (tests/on_debian.py), on the real paths and as the real users. What is not
followed: a systemd, of which there is none; and checks that would ask the network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from blocks import Block
from chroot import CHECKOUT
from playing import sections
from servers import Daemon, wait_for
from support import Site, load_capture
from test_librenms import run_php
from test_zabbix import Trunk, media_type, set_up

from brtel_notify import __version__
from brtel_notify.sandbox.testing import SandboxProcess
from zabbix import Zabbix

pytestmark = pytest.mark.skipif(
    os.environ.get("BRTEL_NOTIFY_PACKAGE") != "inside", reason="make package-test runs it"
)

#: The configuration of all servers, as their packages brought it.
PRISTINE = Path("/srv/pristine")
KEPT = ("nagios4", "icinga2", "zabbix")
#: What the package, a page or a test before this one has left.
LEFT = ("/etc/brtel-notify", "/var/lib/brtel-notify", "/opt/librenms")
ACME = 42


class Reader:
    """Somebody who has a new machine, a token, and README's three commands."""

    def __init__(self, page: str, system: str, user: str, site: Site) -> None:
        self.page = page
        self.user = user
        self.site = site
        self._system = system
        self._bin = site.folder / "bin"
        self._bin.mkdir()
        (self._bin / "systemctl").write_text("#!/bin/sh\n")
        (self._bin / "systemctl").chmod(0o755)

    def run(self, script: str) -> str:
        """Type SCRIPT, as root, in the checkout."""
        done = subprocess.run(
            ["bash", "-euc", script],
            cwd=CHECKOUT,
            env={**os.environ, "PATH": f"{self._bin}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said = done.stdout.decode()
        assert done.returncode == 0, f"{script}\n{said}"
        return said

    def set_up(self) -> None:
        """The package, ``init``, ``install``."""
        self.run(f"apt-get install -y ./dist/brtel-notify_{__version__}-*.deb")
        token = self.site.folder / "given"
        token.write_text(self.site.sandbox.token)
        answers = {"--url": self.site.sandbox.url, "--token-file": "-", "--priority": "High"}
        answers.update({"--category": "Infrastructure", "--sub-category": "'PBX / 3CX'"})
        answers.update({"--fallback": "CL000001", "--system": self._system})
        words = " ".join(f"{name} {value}" for name, value in answers.items())
        self.run(f"brtel-notify init {words} <{token}")
        self.run(f"brtel-notify install {self._system}")

    def blocks(self, *numbers: int) -> List[Block]:
        """The blocks of the page's sections with these NUMBERS."""
        return [
            block
            for section in sections(self.page)
            for block in section.blocks
            if section.title.startswith(tuple(f"{number}." for number in numbers))
        ]

    def follow(self, *numbers: int) -> None:
        """Type all commands of those sections."""
        for block in self.blocks(*numbers):
            if block.language == "sh":
                self.run(block.text)

    def opened(self) -> Dict[str, Any]:
        """The one ticket, open and with its details, which the page's ``status`` shows, too."""
        wait_for("a ticket", lambda: self.site.tickets and self.site.the_ticket()["replies"])
        ticket = self.site.the_ticket()
        assert (ticket["open"], ticket["ticketable_id"]) == (True, ACME)
        assert "acme.3cx.fr" in self.run(f"runuser -u {self.user} -- brtel-notify status")
        return ticket

    def closed(self) -> None:
        wait_for("the ticket closed", lambda: not self.site.the_ticket()["open"])


@contextmanager
def reader(page: str, system: str, user: str, sandbox: SandboxProcess) -> Iterator[Reader]:
    """Whoever reads PAGE on a machine as it was when the servers had been installed."""
    clean()
    folder = Path(tempfile.mkdtemp(prefix="page-"))  # short: a path of a socket is
    folder.chmod(0o755)
    try:
        yield Reader(page, system, user, Site(folder, sandbox))
    finally:
        shutil.rmtree(folder)
        clean()


def clean() -> None:
    """The machine without brtel-notify, and with its servers' own configuration."""
    subprocess.run(["dpkg", "--purge", "brtel-notify"], capture_output=True, check=True)
    for path in LEFT:
        shutil.rmtree(path, ignore_errors=True)
    for name in KEPT:
        if not (PRISTINE / name).exists():
            PRISTINE.mkdir(exist_ok=True)
            subprocess.run(["cp", "-a", f"/etc/{name}", PRISTINE], check=True)
        shutil.rmtree(f"/etc/{name}")
        subprocess.run(["cp", "-a", PRISTINE / name, "/etc"], check=True)


def test_nagios(sandbox: SandboxProcess) -> None:
    with reader("nagios", "nagios", "nagios", sandbox) as person:
        person.set_up()
        main = Path("/etc/nagios4/nagios.cfg")
        checks = "execute_host_checks=0\nexecute_service_checks=0\n"  # no test pings anybody
        main.write_text(f"{main.read_text()}{checks}")
        (hosts,) = (block for block in person.blocks(4) if block.language == "nagios")
        Path("/etc/nagios4/conf.d/acme.cfg").write_text(hosts.text)
        person.follow(3, 4)
        custom, down, up = (block for block in person.blocks(5) if block.language == "sh")
        pipe = Path("/var/lib/nagios4/rw/nagios.cmd")
        with Daemon(["/usr/sbin/nagios4", str(main)], person.site.folder / "nagios.log") as daemon:
            wait_for("the command file", lambda: pipe.is_fifo() or not daemon.running)
            assert daemon.running, daemon.said()
            person.run(custom.text)
            person.run(down.text)
            assert person.opened()["subject"] == "DOWN: acme.3cx.fr"
            person.run(up.text)
            person.closed()


def test_icinga2(sandbox: SandboxProcess) -> None:
    with reader("icinga2", "icinga", "nagios", sandbox) as person:
        person.set_up()
        (hosts,) = (block for block in person.blocks(4) if block.language == "icinga2")
        Path("/etc/icinga2/conf.d/acme.conf").write_text(hosts.text)
        person.follow(3, 4, 5)
        # The page's own trial, by hand.
        assert not person.site.the_ticket()["open"]
        # And through Icinga, which no test lets ask the network.
        person.run("icinga2 feature disable checker; icinga2 feature enable command")
        person.run("/usr/lib/icinga2/prepare-dirs /usr/lib/icinga2/icinga2")
        pipe = Path("/run/icinga2/cmd/icinga2.cmd")
        words = ["/usr/sbin/icinga2", "daemon"]
        with Daemon(words, person.site.folder / "icinga2.log") as daemon:
            ready = "Activated all objects"
            wait_for("Icinga", lambda: ready in daemon.said() and pipe.is_fifo())
            for state, is_open in ((1, True), (0, False)):
                line = f"[$(date +%s)] PROCESS_HOST_CHECK_RESULT;acme.3cx.fr;{state};a trial"
                for _ in range(3):  # max_check_attempts of generic-host
                    person.run(f'echo "{line}" >{pipe}')
                wait_for(
                    "the ticket opened again, and closed",
                    lambda: person.site.the_ticket()["open"] == is_open,  # noqa: B023
                )


def test_zabbix(sandbox: SandboxProcess) -> None:
    with reader("zabbix", "zabbix", "zabbix", sandbox) as person:
        person.set_up()
        person.follow(3)
        folder = person.site.folder / "z"
        folder.mkdir()
        with Zabbix(folder, person.site, scripts=Path("/etc/zabbix/alert.d")) as zabbix:
            set_up(zabbix)  # section 4, by the frontend's API
            said = zabbix.press_test(media_type(zabbix), "x", "Test subject", "a test")
            assert said["response"] == "success"
            assert person.site.tickets == []
            trunk = Trunk(zabbix, "acme.3cx.fr")
            trunk.is_worth(0)
            assert person.opened()["subject"] == "High: acme.3cx.fr - SIP trunk down"
            trunk.is_worth(3)
            person.closed()


def test_librenms(sandbox: SandboxProcess) -> None:
    """Of LibreNMS there is no package: its part is played by tests/e2e/librenms."""
    with reader("librenms", "librenms", "librenms", sandbox) as person:
        transports = Path("/opt/librenms/LibreNMS/Alert/Transport")
        transports.mkdir(parents=True)
        subprocess.run(["useradd", "--system", "librenms"], capture_output=True, check=False)
        person.set_up()
        by_hand, *_ = (block for block in person.blocks(3) if block.language == "sh")
        person.run(by_hand.text)

        def deliver(capture: str) -> None:
            """An alert, of a transport whose form was left empty."""
            answer = run_php(
                "php",
                {"config": {}, "data": load_capture(f"librenms-{capture}")["stdin"]},
                transport=transports / "Bluerocktel.php",
                before=["runuser", "-u", "librenms", "--"],
            )
            assert answer["delivered"] is True, answer

        deliver("test-button")
        assert person.site.tickets == []
        deliver("problem")
        person.opened()
        deliver("recovery")
        person.closed()
