"""Monitoring servers with brtel-notify on them, and what happens there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from measuring import Failed, run, wait

import brtel_notify.sandbox
from brtel_notify.intake.capture import Capture
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.tickets.open_tickets import Entry, State
from brtel_notify.tickets.state_file import Texts

NAIVE = str(Path(__file__).with_name("naive.py"))
COMMAND = str(Path(sys.executable).with_name("brtel-notify"))
CAPTURES = Path(brtel_notify.sandbox.__file__).parent / "captures"
#: The customers that a storm's hosts belong to.
CUSTOMERS = 100
#: Seconds after which a storm is given up.
PATIENCE = 900.0
HOST = "acme.3cx.fr"
OUTPUT = "PING CRITICAL - Packet loss = 100%"

_CONFIG = """\
api:
  url: {url}
  token_file: {token_file}
  ca_file: {ca_file}
ticket:
  priority: High
  category: Infrastructure
  sub_category: PBX / 3CX
severities:
  critical: {{priority: Urgent, resolve_within: 2h}}
  warning: {{priority: Low}}
log: {log}
"""


# --- a site ---------------------------------------------------------------------------------------


class Site:
    """A monitoring server with brtel-notify configured for a sandbox.

    ``prepared`` is a state folder in which ``brtel-notify test`` has resolved the names, and
    nothing else was done; ``state`` the one in use.
    """

    def __init__(self, folder: Path, url: str, token: str, ca_file: Optional[Path] = None) -> None:
        self.url, self.token, self.ca_file = url, token, ca_file
        self.state = folder / "state"
        self.prepared = folder / "prepared"
        self.log = folder / "log"
        folder.mkdir()
        (folder / "token").write_text(token)
        self.config = folder / "config.yml"
        self.config.write_text(
            _CONFIG.format(
                url=url, token_file=folder / "token", ca_file=ca_file or "null", log=self.log
            )
        )
        run(self.command("test"), environment())
        self.state.rename(self.prepared)
        self.start_over()

    def command(self, *words: str) -> List[str]:
        """``brtel-notify`` with this site's configuration and state folder."""
        return [COMMAND, "--config", str(self.config), "--state-dir", str(self.state), *words]

    def naive(self, host: str = HOST) -> List[str]:
        """The naive script."""
        words = [sys.executable, NAIVE, self.url, self.token, host, OUTPUT]
        return [*words, str(self.ca_file)] if self.ca_file else words

    def start_over(self) -> None:
        """The state folder as ``brtel-notify test`` left it."""
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(self.prepared, self.state)

    @contextlib.contextmanager
    def worker(self) -> Iterator[Worker]:
        """A worker that delivers from this site, and is stopped in the end."""
        worker = Worker(self)
        try:
            yield worker
        finally:
            worker.stop()


class Worker:
    """``brtel-notify worker``; ``cpu`` is what it took, in seconds, once it was stopped."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cpu = 0.0
        self.process = subprocess.Popen(
            site.command("worker"), env=environment(), stderr=subprocess.DEVNULL
        )

    def wait_until_idle(self) -> None:
        """Wait until nothing is queued any more. Raises Failed."""
        queue = self.site.state / "queue"
        deadline = time.monotonic() + PATIENCE
        while any(name.endswith(".jsonl") for name in os.listdir(queue)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"the worker did not do its work: {self.site.log.read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it, also twice."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            self.cpu = wait(self.process)


def environment(capture: str = "", **changes: str) -> Dict[str, str]:
    """What a monitoring server gives a command: a bare environment, and a captured notification.

    The customer's account is taken out: as in the cookbook, the host name leads to the customer.
    """
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    bare["LANG"] = "C.UTF-8"
    if capture:
        bare.update(json.loads((CAPTURES / f"{capture}.json").read_text())["env"])
        bare.pop("NAGIOS__HOSTCUSTOMER_ACCOUNT")
    bare.update({f"NAGIOS_{name}": value for name, value in changes.items()})
    return bare


PROBLEM = environment("nagios4-host-problem")
RECOVERY = environment("nagios4-host-recovery")
OTHER_PROBLEM = environment("nagios4-service-problem")


# --- data -----------------------------------------------------------------------------------------


def captured(variables: Dict[str, str]) -> Capture:
    own = {name: value for name, value in variables.items() if name.startswith("NAGIOS_")}
    return Capture("nagios", own, [], "", time.time())


def host_of(number: int) -> str:
    return f"pbx-{number:04d}.example.net"


def host_variables(number: int) -> Dict[str, str]:
    host = host_of(number)
    return {"HOSTNAME": host, "HOSTDISPLAYNAME": host, "HOSTALIAS": f"PBX {number}"}


def many_customers(hosts: int) -> Dict[str, List[Dict[str, Any]]]:
    """Customers with a technical contact each, and the hosts dealt out among them."""
    customers = [1000 + number for number in range(CUSTOMERS)]
    return {
        "customers": [
            {"id": c, "name": f"Customer {c}", "customer_account": f"CL{c:06d}"} for c in customers
        ],
        "contacts": [
            {
                "id": c,
                "contactable_id": c,
                "last_name": f"Contact {c}",
                "email_address": f"contact-{c}@example.net",
                "role": "Technical manager",
            }
            for c in customers
        ],
        "pbx_hosts": [
            {"id": 1000 + n, "host_name": host_of(n), "customers": [customers[n % CUSTOMERS]]}
            for n in range(hosts)
        ],
    }


def fill_map(state_dir: Path, entries: int) -> None:
    """An open-ticket map with so many open tickets, as brtel-notify itself leaves it."""
    opened_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    tickets = (_open_ticket(number, opened_at) for number in range(entries))
    texts = Texts.of({ticket.key: ticket.text for ticket in tickets})
    State(str(state_dir / "state.json"), texts, PrivateFolder(str(state_dir), "parsed")).save()


def _open_ticket(number: int, opened_at: str) -> Entry:
    host = f"switch-{number:05d}.example.net"
    key = f"nagios:{host}"
    return Entry(
        key=key,
        reference=f"BN-{number:012X}",
        ticket_id=100_000 + number,
        number=f"A{number:05d}",
        customer={"id": 7, "name": "Lumière Optique", "account": "CL000007", "how": "pbx"},
        opened_at=opened_at,
        severity="critical",
        priority_id=3,
        host=host,
        members={key: {"severity": "critical", "state": "DOWN"}},
        last_event=f"{number:020d}-0000001-abcdef",
    )


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine's own, signed by itself, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = "openssl req -x509 -nodes -days 2 -subj /CN=localhost -newkey ec"
    words += " -pkeyopt ec_paramgen_curve:prime256v1"
    words += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    words += " -addext keyUsage=critical,digitalSignature,keyCertSign"
    files = ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*words.split(), *files], check=True, capture_output=True)
    return certificate, key
