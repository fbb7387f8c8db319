"""A sandbox in a process of its own, for tests and the demo. Needs no Flask in this process."""

from __future__ import annotations

import re
import subprocess
from typing import Any, Dict, List, Optional

import requests

from brtel_notify.local import interpreter

_ANNOUNCEMENT = re.compile(r"sandbox: (http://\S+)/api \(token (.*)\)")


class SandboxProcess:
    """``with SandboxProcess() as sandbox:`` starts one on a free port and ends it.

    `options` are those of ``brtel-notify sandbox``. Inside the block `url` is the base of the API
    (``http://127.0.0.1:PORT/api``), `token` a valid token. Raises RuntimeError when it does not
    start, with its own complaint on stderr.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: Optional[subprocess.Popen[str]] = None
        self._root = ""
        self.url = ""
        self.token = ""

    def __enter__(self) -> SandboxProcess:
        words = interpreter.command("sandbox", "--port", "0", *self._options)
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        try:
            self._read_announcement()
        except BaseException:
            self.stop()
            raise
        return self

    def _read_announcement(self) -> None:
        assert self._process is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        found = _ANNOUNCEMENT.match(line)
        if not found:
            raise RuntimeError(f"the sandbox did not start; it said {line.strip()!r}")
        self._root, self.token = found.groups()
        self.url = f"{self._root}/api"

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Optional[int]:
        """End the process, also twice; returns its exit code."""
        process = self._process
        if process is None:
            return None
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        return process.returncode

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process is not None  # noqa: S101
        return self._process.pid

    def requests(self) -> List[Dict[str, Any]]:
        """Return the calls it got: number, method, path, query, json, time, status."""
        calls: List[Dict[str, Any]] = self._control("GET", "requests")
        return calls

    def clear_requests(self) -> None:
        """Forget the calls."""
        self._control("DELETE", "requests")

    def faults(self, **settings: Any) -> Dict[str, Any]:
        """Put faults in force (see brtel_notify.sandbox.faults) and return all that are.

        Raises ValueError for settings that are not understood.
        """
        shown: Dict[str, Any] = self._control("POST", "faults", settings)
        return shown

    def clear_faults(self) -> None:
        """Switch all faults off; answers that hang are let go."""
        self._control("DELETE", "faults")

    def instance(self, **settings: Any) -> Dict[str, Any]:
        """Be another BlueRockTEL (see brtel_notify.sandbox.instance); returns what it then is.

        Raises ValueError for settings that are not understood.
        """
        shown: Dict[str, Any] = self._control("POST", "instance", settings)
        return shown

    def clear_instance(self) -> None:
        """Be again what it was started as."""
        self._control("DELETE", "instance")

    def request_closure(self, ticket_id: int) -> None:
        """Ask for the closing of an open ticket, as the desk does; ValueError for a closed one."""
        self._control("POST", "request-closure", {"ticket": ticket_id})

    def close_by_itself(self, ticket_id: int) -> None:
        """Close a ticket as BlueRockTEL's automatic closing would."""
        self._control("POST", "close-by-itself", {"ticket": ticket_id})

    def data(self) -> Dict[str, List[Dict[str, Any]]]:
        """Return all data, by collection."""
        data: Dict[str, List[Dict[str, Any]]] = self._control("GET", "data")
        return data

    def tickets(self) -> List[Dict[str, Any]]:
        """Return the tickets, each with its `replies` and the ids of its `contacts`."""
        return self.data()["tickets"]

    def seed(self, replace: bool = False, **collections: List[Dict[str, Any]]) -> None:
        """Add or overwrite records by id or, with `replace`, whole collections.

        Raises ValueError for records that are not understood.
        """
        self._control("POST", "data?replace=1" if replace else "data", collections)

    def reset(self) -> None:
        """Go back to the data of the start; faults and the list of calls stay."""
        self._control("DELETE", "data")

    def revoke_tokens(self, default_too: bool = False) -> int:
        """Make the tokens from /login worthless (`default_too`: `token` too); returns a count."""
        return int(self._control("POST", "revoke", {"all": default_too})["revoked"])

    def _control(self, method: str, what: str, payload: Any = None) -> Any:
        with requests.Session() as session:
            session.trust_env = False  # no proxy stands between a process and its own loopback
            response = session.request(
                method, f"{self._root}/__sandbox__/{what}", json=payload, timeout=30
            )
        if response.status_code in (400, 422):
            raise ValueError(response.json()["message"])
        response.raise_for_status()
        return response.json()
