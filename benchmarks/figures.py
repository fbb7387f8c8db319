"""The figures, one function each. run.py starts this with the Python of a scratch environment.

Everything is measured in pairs, A B A B, against a sandbox on this machine: what else the machine
does then falls on both. CPU is user and system time of a command and its children.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from measuring import Failed, Figure, Spent, mean, peak_memory, run, table, wait

import brtel_notify.sandbox
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Queue
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.tickets.open_tickets import Entry, State
from brtel_notify.tickets.state_file import Texts

NAIVE = str(Path(__file__).with_name("naive.py"))
RELAY = str(Path(__file__).with_name("relay.py"))
COMMAND = str(Path(sys.executable).with_name("brtel-notify"))
CAPTURES = Path(brtel_notify.sandbox.__file__).parent / "captures"

#: Seconds of one way through the network of the HTTPS figure.
ONE_WAY = 0.025
#: Milliseconds that BlueRockTEL takes for an answer, in a storm.
LATENCY = 20
#: The customers that a storm's hosts belong to.
CUSTOMERS = 100
#: How many alerts the naive script is given in a storm: half before, half after ours.
NAIVE_ALERTS = 40
#: So many pairs make one run of a hand-off, and of a delivery: the shorter, the more.
HAND_OFFS, DELIVERIES = 10, 3
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


# --- the figures ----------------------------------------------------------------------------------


class Bench:
    """The figures, each a method that gives one; ``alerts`` is how many make a storm."""

    def __init__(self, folder: Path, runs: int, storms: int, alerts: int) -> None:
        self.folder = folder
        self.runs = runs
        self.storm_runs = storms
        self.alerts = alerts
        self._sites = 0
        self._storms: List[Storm] = []

    def hand_off(self) -> Figure:
        """CPU of one notification command while a worker delivers, against starting Python."""
        with SandboxProcess() as sandbox, self._site(sandbox).worker() as worker:
            Queue(str(worker.site.state)).add(_captured(PROBLEM))
            worker.wait_until_idle()  # now it holds the drain lock, and the ticket is open
            command = worker.site.command("nagios")
            python = [sys.executable, "-c", "pass"]
            ours, theirs = self._pairs(
                lambda: run(command, PROBLEM), lambda: run(python, PROBLEM), HAND_OFFS
            )
            worker.wait_until_idle()
            if worker.process.poll() is not None or len(sandbox.tickets()) != 1:
                raise Failed("the worker has gone, or opened more than one ticket")
        return _ratio(
            "handoff",
            "hand-off to a running worker, CPU, against python -c pass",
            1.3,
            [spent.cpu for spent in ours],
            [spent.cpu for spent in theirs],
        )

    def cold_delivery(self) -> Figure:
        """CPU of one delivery without a worker, of a customer not seen before."""
        with SandboxProcess() as sandbox:
            ours, theirs = self._deliveries(sandbox, self._site(sandbox))
        return _ratio(
            "cold",
            "one cold delivery without a worker, CPU, against the naive script",
            1.5,
            [spent.cpu for spent in ours],
            [spent.cpu for spent in theirs],
        )

    def repeat(self) -> Figure:
        """CPU of a repeated problem without a worker: it makes no call, the script all of them."""
        with SandboxProcess() as sandbox:
            site = self._site(sandbox)
            run(site.command("nagios"), PROBLEM)
            sandbox.clear_requests()
            command = site.command("nagios")
            run(command, PROBLEM)
            if sandbox.requests():
                raise Failed(f"a repeated problem made calls: {sandbox.requests()}")
            ours, theirs = self._pairs(
                lambda: run(command, PROBLEM), lambda: run(site.naive(), PROBLEM), HAND_OFFS
            )
        return _ratio(
            "repeat",
            "a repeated problem without a worker, CPU, against the naive script",
            0.5,
            [spent.cpu for spent in ours],
            [spent.cpu for spent in theirs],
        )

    def https_delivery(self) -> Figure:
        """The same through a network, by the clock."""
        with SandboxProcess() as sandbox, self._network(sandbox) as (url, ca_file):
            ours, theirs = self._deliveries(sandbox, self._site(sandbox, url, ca_file))
        return _ratio(
            "https",
            "the same over HTTPS with 50 ms latency, wall clock",
            0.6,
            [spent.wall for spent in ours],
            [spent.wall for spent in theirs],
        )

    def throughput(self) -> Figure:
        """Alerts a second until the last ticket is complete.

        Ours are captured beforehand; the time is the worker's from its start. It ends when the
        queue is empty: each ticket is open, with its contact and its note, as the naive script's.
        """
        storms = self._run_storms()
        ours = [1 / storm.ours.wall for storm in storms]
        theirs = [1 / storm.theirs.wall for storm in storms]
        return Figure(
            "storm",
            f"{self.alerts} different alerts, answers after {LATENCY} ms, throughput",
            5,
            [a / b for a, b in zip(ours, theirs)],
            ours,
            theirs,
            "/s",
            at_least=True,
        )

    def worker_cpu(self) -> Figure:
        """CPU of the worker an alert, in the same storm, its start included."""
        storms = self._run_storms()
        return _ratio(
            "worker-cpu",
            "CPU of the worker an alert in that storm",
            0.15,
            [storm.ours.cpu for storm in storms],
            [storm.theirs.cpu for storm in storms],
        )

    def large_map(self) -> Figure:
        """CPU of one cold delivery with 10,000 open tickets in the map, against 10."""
        with SandboxProcess() as sandbox:
            small, large = self._site(sandbox), self._site(sandbox)
            _fill_map(small.prepared, 10)
            _fill_map(large.prepared, 10_000)
            ours, theirs = self._pairs(
                lambda: _deliver(sandbox, large), lambda: _deliver(sandbox, small)
            )
        return _ratio(
            "map",
            "CPU of one delivery with 10,000 open tickets, against 10",
            1.3,
            [spent.cpu for spent in ours],
            [spent.cpu for spent in theirs],
        )

    def worker_memory(self) -> Figure:
        """The most memory the worker held in the same storm."""
        peaks = [storm.peak for storm in self._run_storms()]
        title = "peak memory of the worker in that storm"
        return Figure("memory", title, 80, peaks, sign=" MiB")

    def api_calls(self) -> Figure:
        """API calls for a cold open, a warm open, a repeat and a recovery, as the sandbox counts.

        The figure is the most that one of them is above its target.
        """
        targets = (6, 4, 0, 1)
        counts = []
        with SandboxProcess() as sandbox:
            site = self._site(sandbox)
            for notification in (PROBLEM, OTHER_PROBLEM, PROBLEM, RECOVERY):
                sandbox.clear_requests()
                run(site.command("nagios"), notification)
                counts.append(len(sandbox.requests()))
            tickets = [(ticket["open"], len(ticket["replies"])) for ticket in sandbox.tickets()]
        if tickets != [(False, 2), (True, 1)]:
            raise Failed(f"the tickets are not as they should be: {tickets}")
        return Figure(
            "calls",
            "API calls: cold open / warm open / repeat / recovery",
            0,
            [float(max(count - target for count, target in zip(counts, targets)))],
            shown=" / ".join(map(str, counts)),
            shown_target=" / ".join(map(str, targets)),
        )

    # --- what they share --------------------------------------------------------------------------

    def _site(self, sandbox: SandboxProcess, url: str = "", ca_file: Optional[Path] = None) -> Site:
        self._sites += 1
        folder = self.folder / f"site-{self._sites}"
        return Site(folder, url or sandbox.url, sandbox.token, ca_file)

    @contextlib.contextmanager
    def _network(self, sandbox: SandboxProcess) -> Iterator[tuple[str, Path]]:
        """A network, with TLS, in front of the sandbox; its URL and certificate."""
        certificate, key = _certificate(self.folder)
        port = sandbox.url.rpartition(":")[2].partition("/")[0]
        process = subprocess.Popen(
            [sys.executable, RELAY, port, str(certificate), str(key), str(ONE_WAY)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield f"https://127.0.0.1:{process.stdout.readline().strip()}/api", certificate
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    def _pairs(
        self, ours: Callable[[], Spent], theirs: Callable[[], Spent], pairs: int = DELIVERIES
    ) -> tuple[List[Spent], List[Spent]]:
        """Both in turn, so many PAIRS a run, of which it is the mean; the first only warms up."""
        ours(), theirs()
        runs = [[(ours(), theirs()) for _ in range(pairs)] for _ in range(self.runs)]
        return (
            [mean([pair[0] for pair in one]) for one in runs],
            [mean([pair[1] for pair in one]) for one in runs],
        )

    def _deliveries(self, sandbox: SandboxProcess, site: Site) -> tuple[List[Spent], List[Spent]]:
        return self._pairs(lambda: _deliver(sandbox, site), lambda: run(site.naive(), PROBLEM))

    def _run_storms(self) -> List[Storm]:
        if not self._storms:
            with SandboxProcess("--latency", str(LATENCY)) as sandbox:
                site = self._site(sandbox)
                self._storms = [Storm(sandbox, site, self.alerts) for _ in range(self.storm_runs)]
        return self._storms


def _deliver(sandbox: SandboxProcess, site: Site) -> Spent:
    """One notification command that delivers, with nothing known of the customer."""
    sandbox.reset()
    site.start_over()
    spent = run(site.command("nagios"), PROBLEM)
    tickets = sandbox.tickets()
    if len(tickets) != 1 or len(tickets[0]["replies"]) != 1 or not tickets[0]["contacts"]:
        raise Failed(f"the ticket is not as it should be: {tickets}")
    return spent


class Storm:
    """Many hosts at once: ``ours`` and ``theirs`` are an alert's share; ``peak`` is in MiB."""

    def __init__(self, sandbox: SandboxProcess, site: Site, alerts: int) -> None:
        sandbox.reset()
        sandbox.seed(replace=False, **_many_customers(alerts))
        before = self._naive(site, range(NAIVE_ALERTS // 2))
        self.ours, self.peak = self._worker(sandbox, site, alerts)
        after = self._naive(site, range(NAIVE_ALERTS // 2, NAIVE_ALERTS))
        self.theirs = mean([*before, *after])

    def _naive(self, site: Site, numbers: Sequence[int]) -> List[Spent]:
        return [run(site.naive(_host(number)), PROBLEM) for number in numbers]

    def _worker(self, sandbox: SandboxProcess, site: Site, alerts: int) -> tuple[Spent, float]:
        opened = len(sandbox.tickets())
        site.start_over()
        queue = Queue(str(site.state))
        for number in range(alerts):
            notification = environment("nagios4-host-problem", **_host_variables(number))
            queue.add(_captured(notification))
        started = time.perf_counter()
        with site.worker() as worker:
            worker.wait_until_idle()
            wall = time.perf_counter() - started
            peak = peak_memory(worker.process.pid)
        tickets = sandbox.tickets()[opened:]
        complete = [t for t in tickets if t["contacts"] and len(t["replies"]) == 1]
        if len(tickets) != alerts or len(complete) != alerts:
            raise Failed(f"{alerts} alerts became {len(tickets)} tickets, {len(complete)} complete")
        return Spent(worker.cpu / alerts, wall / alerts), peak


def _ratio(
    name: str, title: str, target: float, ours: Sequence[float], theirs: Sequence[float]
) -> Figure:
    """A figure of the ratios of pairs; OURS and THEIRS are in seconds."""
    return Figure(
        name,
        title,
        target,
        [a / b for a, b in zip(ours, theirs)],
        [1000 * seconds for seconds in ours],
        [1000 * seconds for seconds in theirs],
        "ms",
    )


# --- data -----------------------------------------------------------------------------------------


def _captured(variables: Dict[str, str]) -> Capture:
    own = {name: value for name, value in variables.items() if name.startswith("NAGIOS_")}
    return Capture("nagios", own, [], "", time.time())


def _host(number: int) -> str:
    return f"pbx-{number:04d}.example.net"


def _host_variables(number: int) -> Dict[str, str]:
    host = _host(number)
    return {"HOSTNAME": host, "HOSTDISPLAYNAME": host, "HOSTALIAS": f"PBX {number}"}


def _many_customers(hosts: int) -> Dict[str, List[Dict[str, Any]]]:
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
            {"id": 1000 + n, "host_name": _host(n), "customers": [customers[n % CUSTOMERS]]}
            for n in range(hosts)
        ],
    }


def _fill_map(state_dir: Path, entries: int) -> None:
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


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine's own, signed by itself, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = "openssl req -x509 -nodes -days 2 -subj /CN=localhost -newkey ec"
    words += " -pkeyopt ec_paramgen_curve:prime256v1"
    words += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    words += " -addext keyUsage=critical,digitalSignature,keyCertSign"
    files = ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*words.split(), *files], check=True, capture_output=True)
    return certificate, key


# --- the command line -----------------------------------------------------------------------------


def _machine() -> Dict[str, Any]:
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = named[0] if named else model
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": model,
        "processors": os.cpu_count(),
        "load": list(os.getloadavg()),
    }


def main() -> int:
    """Measure; 0 if every target was reached, else 1."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--storms", type=int, required=True)
    parser.add_argument("--alerts", type=int, required=True)
    parser.add_argument("--only", action="append")
    parser.add_argument("--json")
    options = parser.parse_args()
    machine = _machine()
    with tempfile.TemporaryDirectory(prefix="brtel-notify-bench-") as folder:
        bench = Bench(Path(folder), options.runs, options.storms, options.alerts)
        known: Dict[str, Callable[[], Figure]] = {
            "handoff": bench.hand_off,
            "cold": bench.cold_delivery,
            "repeat": bench.repeat,
            "https": bench.https_delivery,
            "storm": bench.throughput,
            "worker-cpu": bench.worker_cpu,
            "map": bench.large_map,
            "memory": bench.worker_memory,
            "calls": bench.api_calls,
        }
        names = options.only or list(known)
        for name in names:
            if name not in known:
                parser.error(f"'{name}' is no figure; there are {', '.join(known)}")
        figures = []
        for name in names:
            print(f"measuring {name}...", file=sys.stderr, flush=True)
            try:
                figures.append(known[name]())
            except Failed as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
    print(
        f"\nPython {machine['python']}, {machine['system']}, {machine['processors']} x"
        f" {machine['processor']}, load before {machine['load'][0]:.2f}\n"
    )
    print(table(figures))
    if options.json:
        data = {"machine": machine, "figures": [figure.as_dict() for figure in figures]}
        Path(options.json).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    return 0 if all(figure.reached for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
