"""``brtel-notify init``: from an empty machine to a first ticket, at a terminal and without one.

The terminal is a real one (a pseudo-terminal), the machine a folder (``--root``) or a scratch
folder of its own.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import io
import os
import pty
import select
import shutil
import ssl
import stat
import subprocess
import sys
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

import pytest

from brtel_notify.config import schema as configuration
from brtel_notify.config.schema import Config
from brtel_notify.sandbox.seed import EMAIL, PASSWORD
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.setup import find_api, new_config
from brtel_notify.setup.answers import Answers, Fallback, Filed, Secret
from brtel_notify.setup.choices import Choice, pick, shown
from brtel_notify.setup.terminal import Wrong

IS_ROOT = os.geteuid() == 0
#: Seconds that a test waits for what the program says.
PATIENCE = 120.0
WRONG_TOKEN = "a-wrong-and-secret-token"

#: The program, with some file mode creation mask.
PROGRAM = "import os, sys; os.umask(int(sys.argv.pop(1), 8)); import runpy; sys.argv[0] = 'x'; "
PROGRAM += "runpy.run_module('brtel_notify', run_name='__main__', alter_sys=True)"


class Box:
    """An empty machine: where brtel-notify keeps its files, and a BlueRockTEL."""

    def __init__(self, folder: Path, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.address = sandbox.url.removesuffix("/api").removeprefix("http://")
        self.folder = folder / "machine"
        self.folder.mkdir()
        self.etc = self.folder / "etc"
        self.config_file = self.etc / "config.yml"
        self.token_file = self.etc / "token"
        self.root = ""
        self.given_token = str(folder / "given" / "token")
        self.umask = 0o022
        self.assignee = ["--assignee", "nobody"]
        self.last = ["--no-test"]  # how it ends; most tests are not about that
        self.global_words = ["--config", str(self.config_file)]
        self.global_words += ["--state-dir", str(self.folder / "state")]

    def words(self, *words: str) -> List[str]:
        return [sys.executable, "-c", PROGRAM, f"{self.umask:o}", *self.global_words, *words]

    @property
    def answers(self) -> Dict[str, str]:
        """A flag for every answer that has to be given."""
        given = Path(str(self.root) + self.given_token)
        given.parent.mkdir(parents=True, exist_ok=True)
        given.write_text(self.sandbox.token)
        return {
            "--url": self.address,
            "--token-file": self.given_token,
            "--priority": "High",
            "--category": "Infrastructure",
            "--sub-category": "PBX / 3CX",
            "--fallback": "CL000001",
            "--system": "none",
        }

    def init(
        self,
        *more: str,
        code: int = 0,
        stdin: str = "",
        env: Mapping[str, str] = {},
        **changed: Any,
    ) -> str:
        """Run it without a terminal, with all answers but those CHANGED; what it said."""
        answers: Dict[str, Optional[str]] = dict(self.answers)
        for name, value in changed.items():
            answers[f"--{name.replace('_', '-')}"] = value
        words = [word for flag, value in answers.items() if value for word in (flag, value)]
        return self.run("init", *words, *more, *self.last, code=code, stdin=stdin, env=env)

    def run(self, *words: str, code: int = 0, stdin: str = "", env: Mapping[str, str] = {}) -> str:
        done = subprocess.run(
            self.words(*words),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=environment(**env),
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert self.sandbox.token not in said
        return said

    def talk(self, *words: str, **env: str) -> Talk:
        """Run it at a terminal."""
        words = (*words, *self.assignee, *self.last)
        if "--system" not in words and "--root" not in words:
            words = (*words, "--system", "none")  # this machine's own monitoring is left alone
        return Talk(self.words("init", *words), environment(**env))

    def config(self) -> Config:
        return configuration.load(str(self.config_file), {})

    def written(self) -> List[str]:
        """Every file and folder there is."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


def environment(**changed: str) -> Dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name != "BRTEL_TOKEN"}
    return {**inherited, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **changed}


class Talk:
    """A program at a terminal, and somebody who reads and types."""

    def __init__(self, words: List[str], env: Mapping[str, str]) -> None:
        self.master, slave = pty.openpty()
        self.heard = ""
        self._read = 0
        # One read may end within a letter, or between the two of the end of a line.
        utf8 = codecs.getincrementaldecoder("utf-8")()
        self._decoder = io.IncrementalNewlineDecoder(utf8, translate=True)
        self.process = subprocess.Popen(
            words,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=dict(env),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that ^C is a signal
        )
        os.close(slave)

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def expect(self, text: str) -> str:
        """Wait until the program says TEXT; all that it said since the last time."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.heard[self._read :]:
            left = deadline - time.monotonic()
            assert left > 0, f"'{text}' was not said, but: {self.heard}"
            assert self._hear(left), f"it ended before it said '{text}': {self.heard}"
        end = self.heard.index(text, self._read) + len(text)
        said, self._read = self.heard[self._read : end], end
        return said

    def _hear(self, seconds: float) -> bool:
        """Read on; False when the program has gone."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            return False
        self.heard += self._decoder.decode(data)
        return bool(data)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def answer(self, prompt: str, text: str) -> str:
        """Wait for a PROMPT, and answer it."""
        said = self.expect(prompt) + self.prompted()
        self.type(f"{text}\n")
        return said

    def prompted(self) -> str:
        """Wait until the program waits for an answer; all that it said since the last time."""
        deadline = time.monotonic() + PATIENCE
        while not self.heard[self._read :].endswith(": "):
            left = deadline - time.monotonic()
            assert left > 0, f"it asks nothing: {self.heard}"
            assert self._hear(left), f"it ended before it asked: {self.heard}"
        said, self._read = self.heard[self._read :], len(self.heard)
        return said

    @property
    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def end(self, code: int = 0) -> str:
        """Wait until it is over; all that it said."""
        deadline = time.monotonic() + PATIENCE
        while self._hear(max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, f"it does not end: {self.heard}"
        assert self.process.wait(PATIENCE) == code, self.heard
        return self.heard


@pytest.fixture
def box(tmp_path: Path, sandbox: SandboxProcess) -> Box:
    return Box(tmp_path, sandbox)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def command_lines(session: int) -> str:
    """A session's part of the process list, as everybody on the machine can see it."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if os.getsid(int(file.parent.name)) == session:
                found.append(file.read_bytes().decode(errors="replace"))
    return "\n".join(found)


# --- at a terminal --------------------------------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_from_an_empty_machine_to_a_first_ticket(box: Box, umask: int) -> None:
    box.umask = umask
    box.last = box.assignee = []
    token = box.sandbox.token
    with box.talk(LANG="fr_FR.UTF-8", LC_ALL="") as talk:
        talk.answer("Address of your BlueRockTEL", "http://acme.example.net")
        assert "must be https" in talk.answer("Address", "nowhere.invalid")
        assert "cannot be resolved" in talk.answer("Address", "127.0.0.1:1")
        assert "Connection refused" in talk.answer("Address", box.address)
        assert "answers at" in talk.answer("API token", WRONG_TOKEN)
        text = "that looks like the user's api_token, not a bearer token"
        assert f"\n  BlueRockTEL refuses this token (401); {text}\n" in talk.expect("API token (")
        talk.prompted()
        assert not talk.echoes
        talk.type(f"{token}\n")

        # By number, by name, by a part of a name.
        assert "2  High" in talk.answer("Priority (number or name)", "r")
        assert "'r' could be Urgent (3) or Normal (4)" in talk.answer("Priority", "ow")
        assert "Low" in talk.expect("Category (number or name)")
        assert talk.echoes
        running = command_lines(talk.process.pid)
        assert str(box.config_file) in running
        assert token not in running
        assert WRONG_TOKEN not in running
        talk.prompted()
        talk.type("infra\n")
        assert "there is no 'Incoming calls'" in (
            talk.answer("Sub-category", "Incoming calls") + talk.answer("Sub-category", "12")
        )
        talk.answer("Team", "")
        talk.answer("Who gets the tickets: nobody (free to be taken), a user's", "marten")
        assert "there is no 'marten'" in talk.answer("Who gets the tickets", "paul")

        # The customer: nobody, several, one of them.
        talk.answer("Fallback customer (", "nobody at all")
        assert "no customer matches 'nobody at all'" in talk.answer(
            "Fallback customer (", "horizon"
        )
        assert "several match, the first of them" in talk.answer("Fallback customer (", "acme")
        talk.answer("Acme Telecom SAS (CL2385) [Y/n]", "n")
        assert "then search for another" in talk.answer("Fallback customer (", "unassigned")
        talk.answer("Support desk - unassigned alerts (CL000001) [Y/n]", "")
        talk.answer("Language of the tickets (en or fr) [fr]", "")
        said = talk.end()

    assert token not in said
    assert WRONG_TOKEN not in said
    assert "fallback customer: Support desk - unassigned alerts (CL000001)" in said
    assert "install nagios|icinga|zabbix|librenms" in said
    found = box.config()
    assert found.ticket.priority == "Low"
    assert (found.ticket.category, found.ticket.sub_category) == ("Infrastructure", "PBX / 3CX")
    assert (found.ticket.team, found.language) == (None, "fr")
    assert found.ticket.assignee == "Paul Martin"
    assert found.customer.fallback == "CL000001"
    assert box.token_file.read_text().strip() == token
    assert (mode_of(box.config_file), mode_of(box.token_file)) == (0o640, 0o600)

    box.run("test")
    box.run("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--output", "no answer")
    (ticket,) = box.sandbox.tickets()
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (42, 1)
    assert ticket["assignee_id"] == 2


def test_a_login_is_typed_unseen_too(box: Box) -> None:
    with box.talk(*flags(box, "--priority", "--category", "--sub-category", "--fallback")) as talk:
        talk.answer("Address", box.address)
        talk.answer("API token", "")
        talk.answer("E-mail address", EMAIL)
        talk.answer("Password of", "a wrong pass-word")
        assert "refuses this e-mail address or password" in talk.answer("API token", "")
        talk.answer("E-mail address", EMAIL)
        talk.expect("Password of")
        talk.prompted()
        assert not talk.echoes
        talk.type(f"{PASSWORD}\n")
        talk.answer("Team", "on-call")
        talk.answer("Language", "fr")
        said = talk.end()
    assert "a wrong pass-word" not in said
    assert (box.etc / "password").read_text() == f"{PASSWORD}\n"
    assert mode_of(box.etc / "password") == 0o600
    found = box.config()
    assert (found.api.email, found.api.token_file, found.ticket.team) == (EMAIL, None, "On-call")
    box.run("test")


def flags(box: Box, *names: str) -> List[str]:
    return [word for name in names for word in (name, box.answers[name])]


@pytest.mark.parametrize(
    ("until", "key"),
    [
        ("Address", "\x03"),
        ("Address", "\x04"),
        ("API token", "\x03"),
        ("API token", "\x04"),
        ("Priority (", "\x03"),
        ("Language", "\x03"),
        ("Language", "\x04"),
    ],
)
def test_who_leaves_has_written_nothing(box: Box, until: str, key: str) -> None:
    with box.talk() as talk:
        for prompt, text in (
            ("Address", box.address),
            ("API token", box.sandbox.token),
            ("Priority (", "1"),
            ("Category (", "5"),
            ("Sub-category (", "12"),
            ("Team (", "none"),
            ("Fallback customer (", "CL000001"),
            ("Language", ""),
        ):
            if prompt == until:
                break
            talk.answer(prompt, text)
        talk.expect(until)
        talk.prompted()
        talk.type(key)
        talk.expect("nothing was written")
        assert talk.echoes
        said = talk.end(130)
    assert "Traceback" not in said
    assert box.written() == []


def test_a_configuration_that_is_there_is_kept(box: Box) -> None:
    box.etc.mkdir()
    box.config_file.write_text("mine")
    for answer in ("", "n", "maybe\nno"):  # the last one types ahead
        with box.talk() as talk:
            talk.answer("is there already: replace it? [y/N]", answer)
            assert "kept as it is" in talk.end()
    assert box.config_file.read_text() == "mine"
    assert "--force replaces it" in box.init(code=73)
    assert box.written() == ["etc", "etc/config.yml"]

    with box.talk(*[word for pair in box.answers.items() for word in pair]) as talk:
        talk.answer("is there already", "y")
        talk.answer("Team", "")
        talk.answer("Language", "")
        talk.end()
    assert box.config().ticket.priority == "High"
    box.config_file.write_text("mine")
    box.init("--force")
    assert box.config().ticket.priority == "High"


def test_a_group_needs_somebody_in_it(box: Box) -> None:
    said = box.init("--group", "noc", code=2)
    assert "--group: there is nobody to share it with: --user NAME says whom" in said
    assert not box.config_file.exists()


def test_a_token_that_is_there_is_taken_or_replaced(box: Box) -> None:
    box.etc.mkdir()
    box.token_file.write_text(WRONG_TOKEN)
    rest = flags(box, "--url", "--priority", "--category", "--sub-category", "--fallback")
    with box.talk(*rest, "--team", "none", "--language", "en") as talk:
        talk.expect("token is there: take the token in it")
        talk.prompted()
        talk.type("\n")
        talk.expect(f"{box.token_file}: BlueRockTEL refuses this token")
        talk.answer("it replaces the one in", box.sandbox.token)
        talk.end()
    assert box.token_file.read_text().strip() == box.sandbox.token

    before = box.token_file.stat().st_mtime_ns
    with box.talk("--force", *rest, "--team", "none", "--language", "en") as talk:
        talk.expect("token is there: take the token in it")
        talk.prompted()
        talk.type("y\n")
        talk.end()
    assert box.token_file.stat().st_mtime_ns == before


def test_flags_answer_at_a_terminal_and_wrong_ones_are_asked(box: Box) -> None:
    wrong = {"--priority": "no such", "--fallback": "horizon", "--url": "nowhere.invalid"}
    words = [word for pair in {**box.answers, **wrong}.items() for word in pair]
    with box.talk(*words, "--team", "Systems", "--language", "fr") as talk:
        assert "--url: the name of nowhere.invalid" in talk.answer("Address", box.address)
        said = talk.answer("Priority (number or name)", "urg")
        assert "--priority: there is no 'no such'" in said
        said = talk.answer("Fallback customer (", "2")
        assert "2  CL000202  Horizon Boulangerie" in said
        talk.end()
    assert box.config().customer.fallback == "CL000202"
    assert box.config().ticket.priority == "Urgent"


def test_an_outage_costs_no_answer(box: Box) -> None:
    words = [word for pair in box.answers.items() for word in pair]
    box.sandbox.faults(fail={"path": "/v1/ticketing/categories", "status": 503, "next": 1})
    with box.talk(*words, "--team", "none", "--language", "en") as talk:
        said = talk.answer("Enter tries again", "")
        assert "503" in said
        talk.end()
    assert box.config_file.is_file()


def test_what_bluerocktel_says_is_data(box: Box) -> None:
    """Names with control characters, YAML's own, and twice the same."""
    names = ["\x1b[2JHidden\nline", "yes", "2026", "a: b # c", "'quoted\" ", "Same", "same", "1"]
    rows = [{"id": 50 + n, "name": name} for n, name in enumerate(names)]
    box.sandbox.seed(priorities=rows)
    by_id = {names[0]: 50, "Same": 55}
    for row in rows[:6]:
        name = str(row["name"])
        said = box.init("--force", priority=str(row["id"]))
        assert "\x1b" not in said
        assert box.config().ticket.priority == by_id.get(name, name.strip())
    assert "several are called SAME: give the number (55 or 56)" in box.init(
        "--force", priority="SAME", code=2
    )


# --- without a terminal ---------------------------------------------------------------------------


@pytest.mark.short
def test_every_answer_can_be_a_flag(box: Box) -> None:
    box.last = []
    said = box.init("--team", "1", "--language", "fr", "--fallback", "horizon hotel")
    assert "credentials: accepted" in said
    found = box.config()
    assert found.api.url == f"http://{box.address}/api"
    assert found.api.token_file == box.answers["--token-file"]
    assert (found.ticket.team, found.language) == ("Systems", "fr")
    assert found.customer.fallback == "CL000208"
    assert not box.token_file.exists()  # the one that was named is where it stays
    assert (mode_of(box.config_file), mode_of(box.etc)) == (0o640, 0o755 if IS_ROOT else 0o700)


@pytest.mark.parametrize(
    "flag", ["--url", "--token-file", "--priority", "--category", "--sub-category", "--fallback"]
)
def test_a_missing_answer_is_named(box: Box, flag: str) -> None:
    without: Dict[str, Any] = {flag[2:].replace("-", "_"): None}
    said = box.init(code=2, **without)
    assert said.startswith(f"brtel-notify: {flag}")
    assert "is missing, and there is no terminal to ask at" in said
    assert box.written() == []


@pytest.mark.parametrize(
    ("flag", "value", "code", "reason"),
    [
        ("url", "", 2, "--url: an answer is needed"),
        ("url", "http://acme.example.net", 2, "must be https"),
        ("url", "acme.example.net:x", 2, "wrong host or port"),
        ("url", "nowhere.invalid", 69, "the name of nowhere.invalid cannot be resolved"),
        ("url", "nowhere", 69, "is it nowhere.bluerocktel.net?"),
        ("url", "127.0.0.1:1", 69, "127.0.0.1:1: Connection refused"),
        ("priority", "xyz", 2, "--priority: there is no 'xyz'"),
        ("priority", "urgnt", 2, "did you mean 'Urgent'?"),
        ("category", "c", 2, "'c' could be Backups (3) or Infrastructure (5)"),
        ("category", "Backups", 2, "--sub-category: there is no 'PBX / 3CX'"),
        ("sub_category", "Incoming calls", 2, "there is no 'Incoming calls'"),
        ("team", "no", 2, "--team: there is no 'no'"),
        ("fallback", "nobody at all", 2, "no customer matches"),
        ("fallback", "horizon", 2, "Horizon Avocats (CL000201), "),
        ("language", "de", 2, "--language: 'de' is none of en, fr"),
        ("user", "nobody-has-this-name", 2, "--user: there is no user nobody-has-this-name"),
        ("token_file", "/no/such/file", 78, "/no/such/file (api.token_file) cannot be read"),
        ("ca_file", "/no/such/file", 78, "--ca-file: /no/such/file: No such file"),
    ],
)
def test_a_wrong_answer_is_explained(
    box: Box, flag: str, value: str, code: int, reason: str
) -> None:
    answers = {**box.answers, f"--{flag.replace('_', '-')}": value}
    if flag == "user":
        del answers["--system"]
    said = box.run("init", *(word for pair in answers.items() for word in pair), code=code)
    assert reason in said
    assert len(said.splitlines()) == 1
    assert box.written() == []


def test_a_token_is_refused_and_not_repeated(box: Box) -> None:
    for given in (WRONG_TOKEN, f"Bearer {WRONG_TOKEN}", "", "\x00"):
        said = box.init(code=2 if not given else 78, token_file="-", stdin=given)
        assert WRONG_TOKEN not in said
        assert said.startswith("brtel-notify: --token-file")
    for flag in ("--token", "--password"):
        for words in ([flag, WRONG_TOKEN], [f"{flag}={WRONG_TOKEN}"]):
            said = box.init(*words, code=2)
            assert f"everybody sees a command line: {flag}-file FILE" in said
            assert WRONG_TOKEN not in said
    assert box.written() == []


def test_a_token_can_be_piped_or_stand_in_the_environment(box: Box) -> None:
    box.init(token_file="-", stdin=f"{box.sandbox.token}\n")
    assert box.token_file.read_text().strip() == box.sandbox.token
    assert mode_of(box.token_file) == 0o600
    box.token_file.write_text(WRONG_TOKEN)
    said = box.init("--force", token_file=None, env={"BRTEL_TOKEN": box.sandbox.token})
    assert box.token_file.read_text().strip() == box.sandbox.token

    box.config_file.unlink()
    box.token_file.write_text(WRONG_TOKEN)
    said = box.init(token_file="-", stdin=box.sandbox.token, code=73)
    assert "holds another secret: --force replaces it" in said
    assert box.token_file.read_text() == WRONG_TOKEN


def test_a_password_can_be_piped_or_stand_in_a_file(box: Box) -> None:
    login: Dict[str, Any] = {"token_file": None, "email": EMAIL}
    said = box.init(code=2, **login)
    assert "--password-file is missing" in said
    said = box.init(code=2, token_file=None, password_file="x")
    assert "--email is missing" in said
    said = box.init(code=78, **login, password_file="-", stdin="no")
    assert "--email: BlueRockTEL refuses this e-mail address or password" in said
    assert box.written() == []

    box.init(**login, password_file="-", stdin=PASSWORD)
    assert (box.etc / "password").read_text().strip() == PASSWORD
    there = box.folder / "there"
    there.write_text(f"{PASSWORD}\r\n")
    box.init("--force", **login, password_file=str(there))
    assert box.config().api.password_file == str(there)


def test_the_token_is_shown_to_nobody_but_bluerocktel(box: Box) -> None:
    """The address is proved by a call that has no token."""
    box.sandbox.faults(fail={"path": "/version", "status": 404})
    box.init(code=78)
    assert {call["path"] for call in box.sandbox.requests()} == {"/api/version", "/version"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"status": 404}, "no BlueRockTEL answers at http"),
        ({"status": 404, "body": "html"}, "no BlueRockTEL answers at http"),
        ({"status": 200, "json": {"version": "1.30", "vendor": "nginx"}}, "no BlueRockTEL answers"),
        ({"status": 200, "json": {"version": "1.30"}}, "no BlueRockTEL answers"),
        ({"status": 200, "body": "html"}, "no BlueRockTEL answers"),
        ({"status": 503}, "answers, but not as it should: GET /version: 503"),
    ],
)
def test_what_is_no_bluerocktel(box: Box, answer: Dict[str, Any], reason: str) -> None:
    box.sandbox.faults(fail={"path": "/version", **answer})
    said = box.init(code=69 if answer["status"] == 503 else 78)
    assert said.startswith("brtel-notify: --url: ")
    assert reason in said
    assert len(said.splitlines()) == 1


@contextlib.contextmanager
def https_server(folder: Path) -> Iterator[int]:
    """A server whose certificate nobody has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command, which makes the certificate, is not installed")
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*words, *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate", folder / "key")
    with HTTPServer(("127.0.0.1", 0), _Version) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


class _Version(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/version" else 401)
        self.end_headers()
        self.wfile.write(b'{"version": "1.0", "status": "ok", "vendor": "blue_rock_tel"}')

    def log_message(self, *_: object) -> None:
        pass


def test_a_certificate_that_is_not_trusted(box: Box, tmp_path: Path) -> None:
    with https_server(tmp_path) as port:
        url = f"https://localhost:{port}"
        said = box.init(url=url, code=78)
        assert f"the certificate of localhost:{port} is not trusted" in said
        assert "if the server has a private CA, --ca-file FILE names it" in said
        said = box.init("--ca-file", str(tmp_path / "certificate"), url=url, code=78)
        assert "BlueRockTEL refuses this token" in said
    said = box.init(url=f"https://{box.address}", code=69)
    assert "what answers there is no https" in said


def test_it_writes_through_no_link_and_where_it_may(box: Box) -> None:
    box.etc.mkdir()
    box.config_file.symlink_to(box.folder / "elsewhere")
    assert "is a symbolic link" in box.init("--force", code=73)
    assert not (box.folder / "elsewhere").exists()
    box.config_file.unlink()
    box.config_file.mkdir()
    assert "is there, and is no file" in box.init("--force", code=73)
    box.config_file.rmdir()
    if not IS_ROOT:
        box.etc.chmod(0o500)
        assert "run it as root, or name a file of yours" in box.init(code=73)


def test_a_dry_run_writes_nothing(box: Box) -> None:
    said = box.init("--dry-run", token_file="-", stdin=box.sandbox.token)
    assert f"would put: {box.config_file} (mode 0640)" in said
    assert "\n  priority: High\n" in said
    assert box.written() == []


# --- the machine's monitoring ---------------------------------------------------------------------

NAGIOS = {"etc/nagios4/nagios.cfg": "", "etc/nagios4/conf.d/x.cfg": ""}
ZABBIX = {"etc/zabbix/zabbix_server.conf": ""}


def machine(box: Box, *systems: Mapping[str, str]) -> List[str]:
    """The machine has these SYSTEMS; the flag that names its root folder."""
    root = box.folder.parent / "root"
    box.root, box.given_token = str(root), "/srv/given/token"
    users = "root:x:0:0::/root:/bin/sh\nnagios:x:902:902::/:/bin/false\nzabbix:x:903:903::/:/x\n"
    found = {"etc/passwd": users, "etc/group": "root:x:0:\nnagios:x:902:\nzabbix:x:903:\n"}
    for system in systems:
        found.update(system)
    for path, text in found.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (root / "var/lib").mkdir(parents=True, exist_ok=True)
    box.global_words = []
    box.etc = root / "etc/brtel-notify"
    box.config_file, box.token_file = box.etc / "config.yml", box.etc / "token"
    return ["--root", str(root)]


def test_one_system_is_found_and_not_asked_for(box: Box) -> None:
    root = machine(box, NAGIOS)
    said = box.init(*root, token_file="-", system=None, stdin=box.sandbox.token)
    assert box.config().api.token_file == "/etc/brtel-notify/token"
    assert ". brtel-notify install nagios" in said
    assert (mode_of(box.config_file), mode_of(box.etc)) == (0o640, 0o755 if IS_ROOT else 0o700)
    if IS_ROOT:
        state = box.etc.parents[1] / "var/lib/brtel-notify"
        assert (mode_of(state), state.stat().st_uid) == (0o700, 902)
        assert (mode_of(box.token_file), box.token_file.stat().st_gid) == (0o640, 902)
        assert box.config_file.stat().st_gid == 902
    else:
        assert "as root: install -d -o nagios -g nagios -m 0700 /var/lib/brtel-notify" in said


def test_of_several_systems_somebody_says_which(box: Box) -> None:
    root = machine(box, NAGIOS, ZABBIX)
    said = box.init(*root, system=None, code=2)
    assert "--system (several are here: nagios, zabbix; or none) is missing" in said
    assert "--system: there is no 'nemo'" in box.init(*root, system="nemo", code=2)
    assert not box.etc.exists()

    said = box.init(*root, "--system", "zabbix", system="nagios", token_file=None, **piped(box))
    assert "as root: groupadd --system brtel-notify" in said
    assert "as root: usermod -aG brtel-notify zabbix" in said
    assert "brtel-notify install nagios" in said
    assert "brtel-notify install zabbix" in said

    said = box.init(*root, "--force", system="zabbix", token_file=None, **piped(box))
    assert "groupadd" not in said
    assert "install nagios" not in said


def piped(box: Box) -> Dict[str, Any]:
    return {"env": {"BRTEL_TOKEN": box.sandbox.token}}


def test_the_systems_are_asked_for_at_a_terminal(box: Box) -> None:
    root = machine(box, NAGIOS, ZABBIX)
    answers = {name: value for name, value in box.answers.items() if name != "--system"}
    del answers["--token-file"]
    words = [word for pair in answers.items() for word in pair]
    extra = ["--team", "none", "--language", "en", *root]
    with box.talk(*words, *extra) as talk:
        talk.answer("API token", box.sandbox.token)
        said = talk.answer("Which of these shall open tickets", "q")
        assert "  1  Nagios (runs as nagios)\n  2  Zabbix (runs as zabbix)\n" in said
        assert "there is no 'q'" in talk.answer("Which of these shall open tickets", "1")
        talk.answer("Let nagios read these files and work in /var/lib/brtel-notify? [Y/n]", "n")
        said = talk.end()
    assert "chgrp" not in said
    assert "1. brtel-notify install nagios" in said
    assert mode_of(box.token_file) == 0o600


def test_where_no_system_is_found_its_user_can_be_said(box: Box) -> None:
    root = machine(box)
    answers = {name: value for name, value in box.answers.items() if name != "--system"}
    words = [word for pair in answers.items() for word in pair]
    with box.talk(*words, "--team", "none", "--language", "en", *root) as talk:
        talk.answer("User that the monitoring runs as", "nemo")
        assert "there is no user nemo" in talk.answer("User that the monitoring", "zabbix")
        talk.answer("Let zabbix read these files", "y")
        said = talk.end()
    text = "install -d -o zabbix -g zabbix -m 0700 /var/lib/brtel-notify"
    assert text in said
    said = box.init(*root, "--force", "--user", "nagios", system=None)
    assert "groupadd" not in said  # who is named is all that there is


# --- the pieces -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("acme.bluerocktel.net", "https://acme.bluerocktel.net/api"),
        (" https://Acme.bluerocktel.net/api/ ", "https://acme.bluerocktel.net/api"),
        ("https://acme.bluerocktel.net", "https://acme.bluerocktel.net/api"),
        ("acme.bluerocktel.net/api", "https://acme.bluerocktel.net/api"),
        ("HTTPS://acme.bluerocktel.net:8443/", "https://acme.bluerocktel.net:8443/api"),
        ("localhost:8085", "http://localhost:8085/api"),
        ("[::1]:8085", "http://[::1]:8085/api"),
        ("http://127.0.0.1:8085/api", "http://127.0.0.1:8085/api"),
    ],
)
def test_addresses(typed: str, first: str) -> None:
    assert find_api.addresses(typed)[0] == first


@pytest.mark.parametrize(
    "typed",
    [
        "https://acme.bluerocktel.net/login",
        "https://acme.bluerocktel.net/tickets/12/show?tab=1#reply",
        "acme.bluerocktel.net/api/v1/tickets",
        "https://acme.bluerocktel.net/#/tickets",
    ],
)
def test_an_address_from_the_browser(typed: str) -> None:
    assert "https://acme.bluerocktel.net/api" in find_api.addresses(typed)


@pytest.mark.parametrize(
    "typed",
    ["", "  ", "two words", "ftp://acme.example.net", "https://", "https://u:p@acme.example.net"],
)
def test_no_addresses(typed: str) -> None:
    with pytest.raises(Wrong) as raised:
        find_api.addresses(typed)
    assert "api.url" not in str(raised.value)


def test_a_page_of_the_browser_finds_the_api(box: Box) -> None:
    box.init(url=f"http://{box.address}/login")
    assert box.config().api.url == f"http://{box.address}/api"


CHOICES = [Choice(1, "Low"), Choice(7, "High"), Choice(12, "7"), Choice(15, "Highest", "CL7")]


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("7", 7), (" high ", 7), ("est", 15), ("cl7", 15), ("LO", 1)],
)
def test_picking(text: str, number: int) -> None:
    assert pick(text, CHOICES).number == number


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "an answer is needed"),
        ("hig", "'hig' could be High (7) or Highest (15)"),
        ("99", "there is no '99'"),
        ("Hgh", "did you mean 'High'?"),
    ],
)
def test_picking_nothing(text: str, reason: str) -> None:
    with pytest.raises(Wrong) as raised:
        pick(text, CHOICES)
    assert reason in str(raised.value)


def test_choices_line_up() -> None:
    assert shown(CHOICES)[1:] == [" 7       High", "12       7", "15  CL7  Highest"]


AWKWARD = [
    *("PBX / 3CX", "yes", "null", "~", "12", "012", "1:30", "1e3", "# no comment", "a # b", "a: b"),
    *("- x", "*x", "&x", "!!python/object:x", "{{ host }}", "{a}", "'", '"', "é😀", "%", "@", "x:"),
]


@pytest.mark.short
@pytest.mark.parametrize("name", AWKWARD)
def test_what_is_written_is_what_is_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / "config.yml"
    filed = Filed.under(Choice(4, name), [Choice(4, name)])
    given = answers(priority=filed, team=filed, assignee=filed, fallback=Fallback(name, name))
    file.write_text(new_config.text(given._replace(secret=Secret(f"/{name}", None))), "utf-8")
    found = configuration.load(str(file), {})
    assert (found.ticket.priority, found.ticket.team) == (name, name)
    assert found.ticket.assignee == name
    assert (found.customer.fallback, found.api.token_file) == (name, f"/{name}")


def answers(**changed: Any) -> Answers:
    low = Filed("Low", "Low")
    return Answers(
        url="https://acme.bluerocktel.net/api",
        secret=Secret("/etc/brtel-notify/token", "x"),
        ca_file=None,
        proxy=None,
        priority=low,
        category=low,
        sub_category=Filed(7, "no comment\nhere: 1"),
        team=None,
        assignee=None,
        fallback=None,
        language="en",
    )._replace(**changed)


def test_what_is_commented_out_can_be_put_in_force(tmp_path: Path) -> None:
    """Every example is one that the program takes, and every default the one it has."""
    file = tmp_path / "config.yml"
    text = new_config.text(answers())
    file.write_text(text)
    before = configuration.load(str(file), {})

    lines, header = text.splitlines(), 3
    keys = [line.replace("# ", "", 1) if "#" in line[:3] else line for line in lines[header:]]
    open_keys = [line.replace("#   ", "  ") if line.startswith("#") else line for line in keys]
    file.write_text("\n".join(open_keys))
    found = configuration.load(str(file), {})
    assert found.rules[0].ignore is True
    assert found.severities["critical"] == {"resolve_within": 7200.0}
    for section in ("contact", "lifecycle", "timezone", "log", "language", "ticket"):
        assert getattr(found, section) == getattr(before, section)
    assert found.customer.lookup == before.customer.lookup
    assert found.api.timeout == before.api.timeout


def test_nobody_can_be_the_fallback(box: Box) -> None:
    box.init(fallback="none")
    assert box.config().customer.fallback is None


def test_it_is_proved_as_the_monitorings_user(monkeypatch: pytest.MonkeyPatch) -> None:
    from brtel_notify.commands import init
    from brtel_notify.options import Options
    from brtel_notify.setup import as_user

    proved: List[Tuple[List[str], str]] = []
    setup: Any = SimpleNamespace(machine_users=None, config="/c.yml", state_dir="/s")
    here: Any = SimpleNamespace(sharing=SimpleNamespace(users=("nagios",)))
    monkeypatch.setattr(as_user, "running", lambda: "/usr/bin/brtel-notify")
    monkeypatch.setattr(as_user, "can_become", lambda known, user: True)
    monkeypatch.setattr(as_user, "prove", lambda known, test, user: proved.append((test, user)))
    init._test(setup, Options(), here, [])
    words = ["/usr/bin/brtel-notify", "--config", "/c.yml", "--state-dir", "/s", "test"]
    assert proved == [(words, "nagios")]
