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
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from growth import Growth
from machines import (
    OTHER_PROBLEM,
    PROBLEM,
    RECOVERY,
    Site,
    captured,
    environment,
    fill_map,
    host_of,
    host_variables,
    make_certificate,
    many_customers,
)
from measuring import Failed, Figure, Spent, mean, peak_memory, ratio, run, table

from brtel_notify.intake.queue import Queue
from brtel_notify.sandbox.testing import SandboxProcess

RELAY = str(Path(__file__).with_name("relay.py"))

#: Seconds of one way through the network of the HTTPS figure.
ONE_WAY = 0.025
#: Milliseconds that BlueRockTEL takes for an answer, in a storm.
LATENCY = 20
#: How many alerts the naive script is given in a storm: half before, half after ours.
NAIVE_ALERTS = 40
#: So many pairs make one run of a hand-off, and of a delivery: the shorter, the more.
HAND_OFFS, DELIVERIES = 10, 3


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
            Queue(str(worker.site.state)).add(captured(PROBLEM))
            worker.wait_until_idle()  # now it holds the drain lock, and the ticket is open
            command = worker.site.command("nagios")
            python = [sys.executable, "-c", "pass"]
            ours, theirs = self._pairs(
                lambda: run(command, PROBLEM), lambda: run(python, PROBLEM), HAND_OFFS
            )
            worker.wait_until_idle()
            if worker.process.poll() is not None or len(sandbox.tickets()) != 1:
                raise Failed("the worker has gone, or opened more than one ticket")
        return ratio(
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
        return ratio(
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
        return ratio(
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
        return ratio(
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
        return ratio(
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
            fill_map(small.prepared, 10)
            fill_map(large.prepared, 10_000)
            ours, theirs = self._pairs(
                lambda: _deliver(sandbox, large), lambda: _deliver(sandbox, small)
            )
        return ratio(
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
        certificate, key = make_certificate(self.folder)
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
        sandbox.seed(replace=False, **many_customers(alerts))
        before = self._naive(site, range(NAIVE_ALERTS // 2))
        self.ours, self.peak = self._worker(sandbox, site, alerts)
        after = self._naive(site, range(NAIVE_ALERTS // 2, NAIVE_ALERTS))
        self.theirs = mean([*before, *after])

    def _naive(self, site: Site, numbers: Sequence[int]) -> List[Spent]:
        return [run(site.naive(host_of(number)), PROBLEM) for number in numbers]

    def _worker(self, sandbox: SandboxProcess, site: Site, alerts: int) -> tuple[Spent, float]:
        opened = len(sandbox.tickets())
        site.start_over()
        queue = Queue(str(site.state))
        for number in range(alerts):
            notification = environment("nagios4-host-problem", **host_variables(number))
            queue.add(captured(notification))
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
        growth = Growth(Path(folder), options.runs, 1 if options.alerts >= 1000 else 5)
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
            "check": growth.check,
            "flush": growth.flush,
            "in-front": growth.in_front,
            "stored": growth.stored,
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
