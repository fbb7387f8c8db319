"""The worker: drains without end, whatever happens around it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from inprocess import capture, in_child
from support import CONFIG, PATIENCE, Site, until

from brtel_notify.delivery import worker as module
from brtel_notify.delivery.breaker import Breaker
from brtel_notify.delivery.drain import THREADS
from brtel_notify.delivery.lock import DrainLock
from brtel_notify.delivery.place import Place
from brtel_notify.delivery.worker import Worker
from brtel_notify.intake.queue import Queue
from brtel_notify.local.log import Log

PROBLEM = "nagios4-service-problem"
RECOVERY = "nagios4-service-recovery"


class Running:
    """A worker in a process of its own, and what it says."""

    def __init__(self, site: Site, *options: str) -> None:
        words = site.words("worker", *options)
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        self.said = ""
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.said += line

    def says(self, words: str, times: int = 1) -> bool:
        assert self.process.poll() is None, self.said
        return self.said.count(words) >= times

    def tell(self, how: signal.Signals) -> None:
        self.process.send_signal(how)

    def ended(self) -> int:
        """Its exit code, when it has come to its end."""
        code = self.process.wait(PATIENCE)
        self._listener.join()
        return code

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop; its exit code."""
        self.tell(by)
        return self.ended()


@contextlib.contextmanager
def running(site: Site, *options: str) -> Iterator[Running]:
    """A worker that holds the lock and looks at the queue."""
    worker = Running(site, *options)
    try:
        until(lambda: worker.says("worker: delivering from"))
        yield worker
        assert worker.process.poll() is None, worker.said
    finally:
        code = worker.end()
    assert code == 0


def add(site: Site, number: int = 0, name: str = PROBLEM, **changed: str) -> None:
    """Only capture: who delivers is the worker."""
    host = f"pbx{number}.example.net"
    variables = {f"NAGIOS_{key}": value for key, value in changed.items()}
    Queue(str(site.state_dir)).add(capture(name, {"NAGIOS_HOSTNAME": host, **variables}))


def in_flight(site: Site) -> List[Dict[str, Any]]:
    """The creations that the sandbox has not answered; other calls are over in a moment."""
    calls = site.sandbox.requests()
    return [call for call in calls if call["method"] == "POST" and call["status"] is None]


def test_half_a_second_is_the_longest_that_a_new_event_waits_for_a_look() -> None:
    assert module.LOOK_EVERY <= 0.5


@pytest.mark.short
def test_events_are_delivered_as_they_come(site: Site) -> None:
    with running(site):
        for number in range(3):
            add(site, number)
            until(lambda number=number: len(site.tickets) == number + 1)  # type: ignore[misc]
        assert site.notify(PROBLEM) == "queued: another brtel-notify is delivering"
        until(lambda: len(site.tickets) == 4)
        add(site, 0, RECOVERY)
        until(lambda: not site.tickets[0]["open"])
        until(lambda: site.queued() == [])


@pytest.mark.short
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_to(site: Site, how: signal.Signals) -> None:
    worker = Running(site)
    until(lambda: worker.says("worker: delivering from"))
    assert worker.end(how) == 0
    assert worker.said.endswith("worker: stopped\n")
    with DrainLock(str(site.state_dir)) as taken:
        assert taken


def test_told_to_stop_it_begins_no_further_call_and_the_event_stays(site: Site) -> None:
    site.configure("", CONFIG.replace("api:\n", "api:\n  timeout: 2\n"))
    site.sandbox.faults(hang={"method": "POST", "path": "*/tickets", "seconds": 600})
    worker = Running(site)
    add(site)
    until(lambda: in_flight(site))
    before = len(site.sandbox.requests())
    assert worker.end() == 0
    assert len(site.sandbox.requests()) == before
    assert len(site.queued()) == 1
    assert "tried again" in worker.said  # what became of the event is told
    site.sandbox.clear_faults()
    site.run("flush", "--force-now")
    assert site.the_ticket()["open"]


def test_told_to_stop_it_lets_a_call_come_to_its_end(site: Site) -> None:
    # The answer takes its time: nothing shows when the signal has been heeded.
    site.sandbox.faults(hang={"method": "POST", "path": "*/tickets", "seconds": 3})
    site.configure("", CONFIG.replace("api:\n", "api:\n  timeout: 60\n"))
    worker = Running(site)
    add(site)
    until(lambda: in_flight(site))
    worker.tell(signal.SIGTERM)
    assert worker.ended() == 0
    site.sandbox.clear_faults()
    posts = [call for call in site.sandbox.requests() if call["method"] == "POST"]
    assert len(posts) == 1
    assert posts[0]["status"] < 300
    site.run("flush", "--force-now")
    assert len(site.the_ticket()["replies"]) == 1
    assert site.queued() == []


def test_a_signal_while_it_is_about_to_wait_does_not_hang_it(site: Site) -> None:
    """Whatever the main thread is doing: the handler runs between any two of its instructions."""

    def work() -> None:
        place = Place(str(site.state_dir), str(site.config_file), os.environ, Log())
        for _ in range(20):
            worker = Worker(place)

            def stop(number: int, frame: Any, worker: Worker = worker) -> None:
                worker.stop()

            signal.signal(signal.SIGALRM, stop)
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.0001)  # a hail of them
            worker.run()
            signal.setitimer(signal.ITIMER_REAL, 0)

    assert in_child(work) == 0


class Proxy:
    """Passes connections on to the sandbox, and counts them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/api"
        self.connections: List[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            self.connections += [client, server]
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=ends, daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        for one in (self.listener, *self.connections):
            one.close()


@pytest.mark.parametrize("options", [(), ("--threads", "2")])
def test_tickets_side_by_side_over_connections_that_are_kept(
    site: Site, options: List[str]
) -> None:
    proxy = Proxy(int(site.sandbox.url.split(":")[2].split("/")[0]))
    try:
        at_once = int(options[1]) if options else THREADS
        config = CONFIG.replace("{url}", proxy.url).replace("api:\n", "api:\n  timeout: 60\n")
        site.configure("", config)
        site.sandbox.faults(hang={"method": "POST", "path": "*/tickets", "seconds": 600})
        with running(site, *options):
            for number in range(12):
                add(site, number)
            until(lambda: len(in_flight(site)) == at_once)
            site.sandbox.clear_faults()
            until(lambda: len(site.tickets) == 12 and site.queued() == [])
        # Two for each ticket at most: what does not need each other is asked at the same time.
        assert at_once <= len(proxy.connections) // 2 <= 2 * at_once
        assert len(site.sandbox.requests()) > 12 * 4
    finally:
        proxy.close()


def test_a_second_one_waits_and_takes_over_when_the_first_is_killed(site: Site) -> None:
    first = Running(site)
    until(lambda: first.says("worker: delivering from"))
    second = Running(site)
    try:
        until(lambda: second.says("another brtel-notify is delivering; waiting for it"))
        add(site, 1)
        until(lambda: len(site.tickets) == 1)
        first.end(signal.SIGKILL)
        add(site, 2)
        until(lambda: len(site.tickets) == 2)
        assert second.says("worker: delivering from")
    finally:
        assert second.end() == 0


def test_a_lock_file_that_is_replaced_while_it_is_taken_is_not_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two processes would deliver, each sure to be the only one."""
    tmp_path.chmod(0o700)
    true = fcntl.flock
    replaced: List[bool] = []

    def flock(descriptor: int, operation: int) -> None:
        if not replaced:
            (tmp_path / "drain.lock").unlink()
            replaced.append(True)
        true(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    lock = DrainLock(str(tmp_path))
    with lock as taken:
        assert taken
        assert lock.is_current()
        with DrainLock(str(tmp_path)) as another:
            assert not another


def test_the_state_folder_is_replaced_under_it(site: Site) -> None:
    with running(site) as worker:
        add(site, 1)
        until(lambda: len(site.tickets) == 1 and site.queued() == [])
        site.state_dir.rename(site.folder / "moved")
        until(lambda: worker.says("worker: delivering from", times=2))
        add(site, 2)
        until(lambda: len(site.tickets) == 2 and site.queued() == [])
        # What the old folder knew is found again at BlueRockTEL.
        add(site, 1, RECOVERY)
        until(lambda: not site.tickets[0]["open"])
        until(lambda: site.queued() == [])


def test_the_state_folder_cannot_be_used_for_a_while(site: Site) -> None:
    site.state_dir.write_text("a file in its place")
    worker = Running(site)
    try:
        until(lambda: worker.says("the state folder cannot be used"))
        site.state_dir.unlink()
        add(site)
        until(lambda: len(site.tickets) == 1)
    finally:
        assert worker.end() == 0


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no prlimit() on this system")
def test_the_disk_is_full_for_a_while(site: Site) -> None:
    """No file of its may grow: as with a full disk, it can still read, rename and remove."""
    with running(site) as worker:
        add(site, 1)
        until(lambda: len(site.tickets) == 1 and site.queued() == [])
        pid, kind = worker.process.pid, resource.RLIMIT_FSIZE
        usual = resource.prlimit(pid, kind)
        resource.prlimit(pid, kind, (0, usual[1]))
        site.calls()
        add(site, 2)
        add(site, 1, RECOVERY)
        until(lambda: worker.says("the state folder cannot be written"))
        assert site.calls() == []  # what could not be journalled is not begun
        resource.prlimit(pid, kind, usual)
        until(lambda: len(site.tickets) == 2 and site.queued() == [])
        told = [(len(ticket["replies"]), ticket["open"]) for ticket in site.tickets]
        assert told == [(2, False), (1, True)]


def test_a_wrong_configuration_is_mended_while_it_runs(site: Site) -> None:
    good = site.config_file.read_text()
    with running(site) as worker:
        for number, (wrong, said) in enumerate(
            [(good + "  hue: blue\n", "hue"), (good.replace("High", "Hgih"), "Hgih")]
        ):
            site.put_configuration(wrong)
            until(lambda number=number: worker.says(READ_AGAIN, 2 * number + 1))  # type: ignore[misc]
            add(site, number)
            until(lambda said=said: worker.says(said))  # type: ignore[misc]
            assert len(site.tickets) == number
            site.put_configuration(good)
            until(lambda number=number: len(site.tickets) == number + 1)  # type: ignore[misc]
        until(lambda: site.queued() == [])


READ_AGAIN = "worker: the configuration changed; reading it again"


def test_events_that_came_under_another_configuration_keep_their_order(site: Site) -> None:
    """Which of them share a ticket, and so must not be worked on at once, has changed."""
    site.sandbox.faults(latency=30)  # so that two at once would not see each other's ticket
    good = CONFIG + "  group_by: host\n"
    site.configure("", base=good + "  hue: blue\n")
    with running(site) as worker:
        for name in ("SIP trunk", "Backup", "Disk", "Load"):
            add(site, 1, SERVICEDESC=name)
        until(lambda: worker.says("hue"))
        site.configure("", base=good)
        until(lambda: site.queued() == [])
        assert len(site.tickets) == 1


@pytest.mark.short
def test_an_outage_opens_the_breaker_and_one_probe_closes_it(site: Site) -> None:
    """In a forked process, by a clock on which a second takes a hundredth of one."""
    site.sandbox.faults(fail={"status": 503})
    began = time.time()

    def fast() -> float:
        return began + (time.time() - began) * 100

    def work() -> None:
        place = Place(str(site.state_dir), str(site.config_file), os.environ, Log(), clock=fast)
        worker = Worker(place)
        signal.signal(signal.SIGTERM, lambda number, frame: worker.stop())
        worker.run()

    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:  # whatever it raised: the rest of the tests are the parent's
            os._exit(99)
    try:
        for number in range(6):
            add(site, number)
        until(lambda: Breaker(str(site.state_dir)).failures >= 3)
        calls = site.sandbox.requests()
        # Those that were side by side when nobody knew, and then one for each probe.
        assert len(calls) <= THREADS + Breaker(str(site.state_dir)).failures
        site.sandbox.clear_faults()
        until(lambda: len(site.tickets) == 6 and site.queued() == [])
        assert not Breaker(str(site.state_dir)).is_open
    finally:
        os.kill(pid, signal.SIGTERM)
        assert os.waitpid(pid, 0)[1] == 0
