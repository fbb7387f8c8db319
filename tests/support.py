"""A machine with brtel-notify on it: the real program, the real sandbox process, over HTTP."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from brtel_notify.local import files
from brtel_notify.sandbox.testing import SandboxProcess

CAPTURES = Path(__file__).resolve().parents[1] / "brtel_notify" / "sandbox" / "captures"

#: This process's, without the width of its terminal, which a test runner may set.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "COLUMNS"}

#: Seconds until a test gives up waiting; never how long something takes.
PATIENCE = 600

CONFIG = """\
api:
  url: {url}
  token_file: {token_file}
customer:
  fallback: CL000001
ticket:
  priority: High
  category: Infrastructure
  sub_category: PBX / 3CX
"""


class Site:
    """A machine with brtel-notify on it: a configuration, a state folder, a sandbox."""

    def __init__(self, folder: Path, sandbox: SandboxProcess) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.config_file = folder / "config.yml"
        self.state_dir = folder / "state"
        self.token_file = folder / "token"
        self.token_file.write_text(sandbox.token)
        self.configure()

    def configure(self, more: str = "", base: str = CONFIG) -> None:
        """Write the configuration: the usual, and MORE."""
        text = base.format(url=self.sandbox.url, token_file=self.token_file)
        self.put_configuration(text + more)

    def put_configuration(self, text: str) -> None:
        """Replace the configuration in one step: a worker may look at it at any moment.

        Who may read it stays the same, as in a file that is written over.
        """
        beside = self.config_file.with_name("config.yml.new")
        beside.write_text(text)
        if self.config_file.exists():
            status = self.config_file.stat()
            os.chown(beside, status.st_uid, status.st_gid)
            beside.chmod(stat.S_IMODE(status.st_mode))
        beside.replace(self.config_file)

    def words(self, *arguments: str) -> List[str]:
        """A command line for this site."""
        return [
            *(sys.executable, "-m", "brtel_notify"),
            *("--config", str(self.config_file), "--state-dir", str(self.state_dir)),
            *arguments,
        ]

    def run(
        self,
        *arguments: str,
        env: Optional[Mapping[str, str]] = None,
        stdin: bytes = b"",
        code: Optional[int] = 0,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; its exit code must be CODE, unless that is None."""
        done = subprocess.run(
            self.words(*arguments),
            env={**ENVIRONMENT, **(env or {})},
            input=stdin,
            capture_output=True,
            check=False,
        )
        text = subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )
        if code is not None:
            assert text.returncode == code, f"{text.stdout}\n{text.stderr}"
        return text

    def notify(self, capture: str, *variables: str, code: Optional[int] = 0) -> str:
        """Play a capture, with some variables changed; what the command said on stdout."""
        data = load_capture(capture)
        options: List[str] = []
        for variable in variables:
            options += ["--var", variable]
        done = self.run(
            data["source"],
            *options,
            *data.get("argv", []),
            env=data.get("env"),
            stdin=json.dumps(data["stdin"]).encode() if "stdin" in data else b"",
            code=code,
        )
        return done.stdout.strip()

    def next_probe_in(self, seconds: float) -> None:
        """Let the open breaker's next probe be due in so many SECONDS, whatever it was."""
        path = self.state_dir / "breaker.json"
        record = {**json.loads(path.read_text()), "retry_at": time.time() + seconds}
        # Whole, as the program writes it: to one that runs, half a file is a closed breaker.
        files.write_whole(str(path), json.dumps(record).encode(), durable=False)

    def calls(self) -> List[str]:
        """The calls since the last look: ``POST /v1/tickets``."""
        found = [
            f"{call['method']} {call['path'].removeprefix('/api').partition('?')[0]}"
            for call in self.sandbox.requests()
        ]
        self.sandbox.clear_requests()
        return found

    @property
    def tickets(self) -> List[Dict[str, Any]]:
        """The tickets at BlueRockTEL."""
        return self.sandbox.tickets()

    def the_ticket(self) -> Dict[str, Any]:
        """The one ticket there is."""
        assert len(self.tickets) == 1
        return self.tickets[0]

    def tickets_of(self, customer_id: int) -> List[Dict[str, Any]]:
        """The tickets of one customer."""
        return [ticket for ticket in self.tickets if ticket["ticketable_id"] == customer_id]

    @property
    def state(self) -> Dict[str, Any]:
        """The open-ticket map."""
        found: Dict[str, Any] = json.loads((self.state_dir / "state.json").read_text())["tickets"]
        return found

    def queued(self, where: str = "queue") -> List[Path]:
        """The files in the queue, or in ``dead``.

        Of an event that has left the queue, what BlueRockTEL has seen stands in the map, too.
        """
        folder = self.state_dir / where
        return sorted(folder.glob("*.jsonl")) if folder.is_dir() else []


def until(holds: Callable[[], Any]) -> None:
    """Wait until something HOLDS."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


def load_capture(name: str) -> Dict[str, Any]:
    """What a real monitoring server passed."""
    data: Dict[str, Any] = json.loads((CAPTURES / f"{name}.json").read_text())
    return data


class Trap:
    """A folder full of modules that leave a mark when somebody imports them."""

    #: Modules that Python itself does not need for ``python -m``.
    NOT_PYTHONS = frozenset(
        ("argparse", "flask", "jinja2", "json", "logging", "requests", "subprocess", "yaml")
    )

    def __init__(self, folder: Path, everything: bool) -> None:
        """Lay it in FOLDER; EVERYTHING: also what Python itself needs, and our own name."""
        self.folder = folder / "trap"
        self._marks = folder / "marks"
        for made in (self.folder, self._marks):
            made.mkdir()
        everywhere = {name.partition(".")[0] for name in sys.modules} - {"__main__"}
        code = f"open({str(self._marks)!r} + '/' + __name__, 'w').close()\nraise ImportError\n"
        for name in self.NOT_PYTHONS | (everywhere if everything else set()):
            (self.folder / f"{name}.py").write_text(code)

    @property
    def marks(self) -> List[str]:
        """The names of the modules that somebody imported."""
        return sorted(os.listdir(self._marks))


def start(words: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a command without waiting for it."""
    return subprocess.Popen(
        words, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
