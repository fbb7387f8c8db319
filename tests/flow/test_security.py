"""What must not get out, what must not get in: proved through the real commands."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Set

import pytest
from support import CONFIG, Site, Trap, load_capture

import brtel_notify
from brtel_notify.sandbox.testing import SandboxProcess

DOWN = ("event", "--host", "acme.3cx.fr", "--state", "DOWN")
PBX_SECRET = "SANDBOX-SECRET"
LOGIN = "  email: noc@example.net\n  password_file: {password_file}\n"


# --- the current folder ---------------------------------------------------------------------------

COMMAND = [os.path.join(os.path.dirname(sys.executable), "brtel-notify")]
MODULE = [sys.executable, "-m", "brtel_notify"]


@pytest.mark.parametrize("program", [COMMAND, MODULE], ids=["command", "module"])
def test_a_command_imports_nothing_from_where_one_stands(
    program: List[str], tmp_path: Path
) -> None:
    trap = Trap(tmp_path, everything=program is COMMAND)
    sandbox = subprocess.Popen(
        [*program, "sandbox", "--port", "0"], stdout=subprocess.PIPE, text=True, cwd=trap.folder
    )
    with sandbox:
        assert sandbox.stdout is not None
        said = sandbox.stdout.readline()
        sandbox.terminate()
    assert trap.marks == []
    assert said.startswith("sandbox: http://")
    site_words = ["--state-dir", str(tmp_path / "state"), "--config", str(tmp_path / "none.yml")]
    for words in (["test"], ["status"], [*DOWN], ["render", *DOWN], ["check"]):
        subprocess.run([*program, *site_words, *words], cwd=trap.folder, check=False)
    assert trap.marks == []


def test_a_sandbox_process_imports_nothing_from_where_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = Trap(tmp_path, everything=True)
    monkeypatch.chdir(trap.folder)
    with SandboxProcess() as sandbox:
        assert sandbox.tickets() == []
    assert trap.marks == []


def test_a_checkout_that_one_stands_in_starts_itself(tmp_path: Path) -> None:
    """Not another brtel-notify, which may be installed."""
    ours = os.path.dirname(brtel_notify.__file__)
    shutil.copytree(ours, tmp_path / "brtel_notify", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "brtel_notify/__init__.py").write_text("__version__ = '999'\n")
    child = (
        "import subprocess; from brtel_notify.local.interpreter import command;"
        " subprocess.run(command('--version'))"
    )
    for words in (["-m", "brtel_notify", "--version"], ["-c", child]):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, stdout=subprocess.PIPE, check=False
        )
        assert done.stdout == b"brtel-notify 999\n"


def test_a_folder_that_is_gone_hinders_nobody(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'rmdir "{gone}"; exec "$@" --version'
    for program in (COMMAND, MODULE):
        words = ["sh", "-c", script, "sh", *program]
        done = subprocess.run(words, cwd=gone, stdout=subprocess.PIPE, check=False)
        gone.mkdir()
        assert done.stdout.startswith(b"brtel-notify ")


# --- secrets --------------------------------------------------------------------------------------


class Ears:
    """All that a site says or leaves behind."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.said = ""

    def run(self, *words: str, **options: Any) -> None:
        done = self.site.run(*words, "-v", code=None, **options)
        self.said += done.stdout + done.stderr

    def files(self, *except_for: str) -> str:
        """The contents of all files, but those that hold the secret by the operator's will."""
        mine = {"config.yml", "token", "password", *except_for}
        found = [path for path in self.site.folder.rglob("*") if path.is_file()]
        return "".join(
            path.read_bytes().decode("utf-8", "replace") for path in found if path.name not in mine
        )


def a_hard_life(ears: Ears, env: Dict[str, str]) -> None:
    """Every command, through good times and bad."""
    site = ears.site
    host = {
        **load_capture("nagios4-host-problem")["env"],
        "NAGIOS__HOSTCUSTOMER_ACCOUNT": "",
        **env,
    }
    ears.run("nagios", env=host)
    ears.run("render", "nagios", env=host)
    for words in (["test"], ["discover"], ["status"], ["queue"], ["check", "--api"]):
        ears.run(*words, env=env)
    for status in (401, 403, 422, 503):
        # A server that repeats in its complaint what it was sent.
        echo = {"message": f"no: {site.sandbox.token}"}
        site.sandbox.faults(fail={"path": "*/v1/*", "status": status, "json": echo})
        ears.run(*DOWN, "--service", f"s{status}", env=env)
    ears.run("test", env=env)
    for body in ("html", "truncated", "type"):
        site.sandbox.faults(fail={"body": body})
        ears.run("flush", "--force-now", env=env)
        shutil.rmtree(site.state_dir / "cache", ignore_errors=True)
        ears.run("event", "--host", "acme.3cx.fr", "--state", "DOWN", "--key", body, env=env)
    wrong = {"id": PBX_SECRET, "host_name": {"a": PBX_SECRET}, "customer": PBX_SECRET}
    site.sandbox.faults(fail={"path": "*/pbx3cx-hosts/lookup", "json": wrong})
    shutil.rmtree(site.state_dir / "cache", ignore_errors=True)
    ears.run("flush", "--force-now", env=env)
    site.sandbox.clear_faults()
    ears.run("flush", "--force-now", env=env)
    ears.run("queue", "--json", env=env)


def credential(site: Site, kind: str) -> Dict[str, str]:
    """Configure that credential; the environment that goes with it."""
    password = site.folder / "password"
    password.write_text("sandbox\n")
    given = {
        "token": f"  token: {site.sandbox.token}\n",
        "token_file": f"  token_file: {site.token_file}\n",
        "environment": "",
        "login": LOGIN.format(password_file=password),
    }
    base = CONFIG.replace("  token_file: {token_file}\n", given[kind])
    site.configure(f"log: {site.folder / 'log'}\n", base)
    return {"BRTEL_TOKEN": site.sandbox.token} if kind == "environment" else {}


@pytest.mark.parametrize("kind", ["token", "token_file", "environment"])
def test_no_token_and_no_secret_of_a_pbx_gets_anywhere(site: Site, kind: str) -> None:
    env = credential(site, kind)
    ears = Ears(site)
    a_hard_life(ears, env)
    told = json.dumps(site.tickets) + "".join(call["path"] for call in site.sandbox.requests())
    assert (site.folder / "log").stat().st_size
    for secret in (site.sandbox.token, PBX_SECRET):
        assert secret not in ears.said
        assert secret not in ears.files()
        assert secret not in told


def test_no_password_gets_anywhere_and_the_token_of_a_login_only_into_its_cache(
    site: Site,
) -> None:
    password = 'pass"word-é-7f3a'
    users = site.sandbox.data()["users"]
    site.sandbox.seed(users=[{**users[0], "password": password}])
    env = credential(site, "login")
    (site.folder / "password").write_text(password)
    ears = Ears(site)
    a_hard_life(ears, env)
    site.sandbox.faults(fail={"path": "*/login", "status": 422, "json": {"message": password}})
    (site.state_dir / "token.json").unlink(missing_ok=True)
    ears.run("test", env=env)
    site.sandbox.clear_faults()
    ears.run("test", env=env)
    token = json.loads((site.state_dir / "token.json").read_text())["token"]
    for secret in (password, json.dumps(password)[1:-1], PBX_SECRET):
        assert secret not in ears.said + ears.files()
    assert token not in ears.said + ears.files("token.json")
    assert stat.S_IMODE((site.state_dir / "token.json").stat().st_mode) == 0o600


class Handler(BaseHTTPRequestHandler):
    """Hands every request to the server's ``answer``."""

    def handle_request(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        status, headers, body = self.server.answer(self)  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = handle_request  # noqa: N815 - http.server's names

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def server(
    answer: Callable[[BaseHTTPRequestHandler], Any], context: Optional[ssl.SSLContext] = None
) -> Iterator[int]:
    """An HTTP(S) server on loopback; its port."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.handle_error = lambda *_: None  # type: ignore[method-assign] # a client that hangs up
    if context is not None:
        made.socket = context.wrap_socket(made.socket, server_side=True)
    made.answer = answer  # type: ignore[attr-defined]
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield made.server_port
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def processes(secret: str) -> Set[str]:
    """The files of /proc, of any process there is, in which that secret can be read."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ", "comm"):
            try:
                data = (path / name).read_bytes()
            except OSError:  # it has ended, or is not ours to look at
                continue
            if secret.encode() in data:
                found.add(name)
    return found


@pytest.mark.short
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("kind", ["token", "token_file", "login"])
def test_the_process_list_shows_no_secret_while_a_call_hangs(site: Site, kind: str) -> None:
    """The server looks at the process list while its client waits for the answer."""
    secrets = {"token": "tok-5b1e9c", "password": "pw-83d0aa"}
    seen: Set[str] = set()
    paths: List[str] = []
    running: List[bool] = []

    def answer(request: BaseHTTPRequestHandler) -> Any:
        paths.append(request.path)
        running.append("cmdline" in processes(str(site.config_file)))
        for secret in secrets.values():
            seen.update(processes(secret))
        body = {"token": secrets["token"]} if request.path == "/api/login" else {}
        return (200 if body else 503), {}, json.dumps(body).encode()

    site.token_file.write_text(secrets["token"])
    (site.folder / "password").write_text(secrets["password"])
    with server(answer) as port:
        credential(site, kind)
        text = site.config_file.read_text().replace(site.sandbox.token, secrets["token"])
        (site.folder / "password").write_text(secrets["password"])
        site.config_file.write_text(text.replace(site.sandbox.url, f"http://127.0.0.1:{port}/api"))
        site.run(*DOWN)
    assert len(paths) >= 1
    assert all(running), "the command that waits was not in the list"
    assert seen == set()


# --- modes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077, 0o277])
@pytest.mark.parametrize("shared", [False, True])
def test_modes_of_all_that_is_written_whatever_the_umask(
    site: Site, umask: int, shared: bool
) -> None:
    logs = site.folder / "logs"
    for folder in (site.state_dir, logs):
        folder.mkdir()
        folder.chmod(0o2770 if shared else 0o700)
    credential(site, "login")
    site.config_file.write_text(site.config_file.read_text().replace("/log\n", "/logs/log\n"))

    def run(*words: str) -> None:
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(
            site.words(*words),
            preexec_fn=lambda: os.umask(umask) and None,
            capture_output=True,
            check=False,
            env=env,
        )

    run(*DOWN)
    site.sandbox.faults(fail={"method": "POST", "path": "*/tickets", "status": 422})
    run(*DOWN, "--service", "dead")
    site.sandbox.faults(fail={"status": 503})
    run(*DOWN, "--service", "queued")
    written = [path for top in (site.state_dir, logs) for path in top.rglob("*")]
    names = {path.name for path in written}
    assert {"state.json", "drain.lock", "breaker.json", "token.json", "log", "cache"} <= names
    assert len(site.queued()) == len(site.queued("dead")) == 1
    own = [path for path in (site.state_dir / "cache").glob(f"*-{os.geteuid()}") if path.is_dir()]
    private = {path for path in written if {path, path.parent} & set(own)}
    for path in set(written) - private:
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            assert mode == (0o2770 if shared else 0o700), path
        else:
            assert mode == (0o660 if shared else 0o600), path
    for path in private:  # what only its own user may believe is not the group's either
        assert path.stat().st_mode & 0o077 == 0, path


# --- planted links --------------------------------------------------------------------------------


@pytest.fixture
def shared(site: Site) -> Site:
    """A state folder that a group writes to, and that has been used."""
    site.state_dir.mkdir()
    site.state_dir.chmod(0o2770)
    site.run(*DOWN)
    return site


@pytest.mark.parametrize("name", ["state.json", "drain.lock", "breaker.json", "token.json"])
def test_a_link_in_a_files_place_is_never_followed(shared: Site, name: str) -> None:
    credential(shared, "login")
    victim = shared.folder / "victim"
    victim.write_text("{}")
    victim.chmod(0o644)
    (shared.state_dir / name).unlink(missing_ok=True)
    (shared.state_dir / name).symlink_to(victim)
    shared.sandbox.faults(fail={"method": "POST", "path": "*/replies", "status": 503, "next": 1})
    done = shared.run(*DOWN, "--service", "other", code=None)
    shared.run("flush", "--force-now", code=None)
    assert victim.read_text() == "{}"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644
    assert "Traceback" not in done.stderr
    if name in ("state.json", "drain.lock"):
        assert f"{name}: is a link, a folder or a device where a file is due" in done.stderr
        (shared.state_dir / name).unlink()
    for _ in range(2):  # the first one meets the fault
        shared.run("flush", "--force-now")
    assert len(shared.tickets) == 2  # refused or replaced: nothing is lost
    assert shared.queued() == []


@pytest.mark.parametrize("name", ["queue", "dead"])
def test_a_link_in_a_folders_place_is_refused(shared: Site, name: str) -> None:
    elsewhere = shared.folder / "elsewhere"
    elsewhere.mkdir()
    precious = elsewhere / ".precious.tmp"
    precious.write_text("")
    os.utime(precious, (0, 0))
    shutil.rmtree(shared.state_dir / name)
    (shared.state_dir / name).symlink_to(elsewhere)
    done = shared.run(*DOWN, "--service", "other", code=75)
    (line,) = done.stderr.splitlines()
    assert f"{shared.state_dir / name}: is a link or a file where a folder is due" in line
    shared.run("flush", code=None)
    assert list(elsewhere.iterdir()) == [precious]
    (shared.state_dir / name).unlink()
    shared.run(*DOWN, "--service", "other")
    assert len(shared.tickets) == 2


def test_a_link_in_the_queue_is_no_event(shared: Site) -> None:
    victim = shared.folder / "victim"
    victim.write_text('{"source": "event", "argv": ["--host", "a", "--state", "DOWN"]}')
    before = victim.read_text()
    link = shared.state_dir / "queue" / "00000000000000000001-0000001-abcdef.jsonl"
    link.symlink_to(victim)
    shared.run("flush", "--force-now")
    assert victim.read_text() == before
    assert len(shared.tickets) == 1
    assert not link.is_symlink()
    assert shared.run("queue", "list").stdout.count("link") == 1


def test_a_link_in_the_cache_is_not_believed(shared: Site) -> None:
    cached = [path for path in (shared.state_dir / "cache").iterdir() if path.is_file()]
    assert cached
    elsewhere = shared.folder / "elsewhere"
    elsewhere.mkdir()
    for path in cached:
        shutil.move(str(path), elsewhere / path.name)
        path.symlink_to(elsewhere / path.name)
    before = {path: path.read_bytes() for path in elsewhere.iterdir()}
    shared.calls()
    shared.run(*DOWN, "--service", "other")
    assert "GET /v1/ticketing/priorities" in shared.calls()
    assert {path: path.read_bytes() for path in elsewhere.iterdir()} == before


# --- who is spoken to -----------------------------------------------------------------------------


def point_at(site: Site, url: str, more: str = "") -> None:
    text = site.config_file.read_text()
    site.config_file.write_text(text.replace(f"url: {site.sandbox.url}", f"url: {url}{more}"))


def refused(site: Site, *said: str) -> None:
    """The command says so in one line, the event is kept, and it is delivered once mended."""
    done = site.run(*DOWN, code=78)
    (line,) = done.stderr.splitlines()
    for text in said:
        assert text in line
    assert site.token_file.read_text() not in done.stderr + done.stdout
    assert len(site.queued()) == 1
    site.configure()
    site.run("flush", "--force-now")
    assert site.the_ticket()["open"]


@pytest.mark.short
@pytest.mark.parametrize(
    "url", ["http://192.0.2.7/api", "http://acme.example.net/api", "http://localhost.example.net"]
)
def test_plain_http_to_another_machine_is_refused(site: Site, url: str) -> None:
    point_at(site, url)
    refused(site, f"{site.config_file}:2: api.url", "https")


@pytest.mark.short
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_no_token_goes_there(site: Site, status: int) -> None:
    went_there: List[str] = []

    def elsewhere(request: BaseHTTPRequestHandler) -> Any:
        went_there.append(request.path)
        return 200, {}, b"{}"

    with server(elsewhere) as target:
        place = f"http://localhost:{target}/api/v1/tickets"
        with server(lambda request: (status, {"Location": place}, b"")) as port:
            point_at(site, f"http://127.0.0.1:{port}/api")
            refused(site, "redirected to", "is api.url right?")
    assert went_there == []


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A TLS server's context, with a certificate made for NAME that only itself vouches for."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command, which makes the certificate, is not installed")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    words += ["-subj", "/CN=test", "-addext", f"subjectAltName={name}"]
    subprocess.run(words, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


@pytest.mark.parametrize(
    ("name", "trusted", "said"),
    [
        ("IP:127.0.0.1", False, ["is not trusted", "self", "api.ca_file"]),
        ("DNS:acme.example.net", True, ["is not trusted", "is api.url right?"]),
    ],
)
def test_a_certificate_that_nobody_vouches_for_is_refused(
    site: Site, name: str, trusted: bool, said: List[str]
) -> None:
    heard: List[str] = []

    def answer(request: BaseHTTPRequestHandler) -> Any:
        heard.append(request.path)
        return 200, {}, b"{}"

    with server(answer, certificate(site.folder, name)) as port:
        more = f"\n  ca_file: {site.folder / 'cert.pem'}" if trusted else ""
        point_at(site, f"https://127.0.0.1:{port}/api", more)
        refused(site, *said)
    assert heard == []


def test_a_certificate_that_the_configuration_vouches_for_is_taken(site: Site) -> None:
    heard: List[Optional[str]] = []

    def answer(request: BaseHTTPRequestHandler) -> Any:
        heard.append(request.headers.get("Authorization"))
        return 503, {}, b"{}"

    with server(answer, certificate(site.folder, "IP:127.0.0.1")) as port:
        more = f"\n  ca_file: {site.folder / 'cert.pem'}"
        point_at(site, f"https://127.0.0.1:{port}/api", more)
        assert "503" in site.run(*DOWN).stdout
    assert heard == [f"Bearer {site.sandbox.token}"]


# --- the sandbox of templates and rules -----------------------------------------------------------

ESCAPES = {
    "class": "''.__class__.__mro__[1].__subclasses__()",
    "globals": "cycler.__init__.__globals__.os.environ",
    "attr filter": "''|attr('__class__')|attr('__mro__')",
    "format": "'{0.__class__.__init__}'.format(alert)",
    "the alert's class": "alert.__class__.__init__",
    "endless": "range(10**12)|list",
    "endless sum": "range(10**9)|sum",
    "huge text": "'x' * 10**12",
    "huge number": "9 ** (9 ** 9)",
}


def template(site: Site, name: str, text: str) -> None:
    folder = site.folder / "templates"
    folder.mkdir()
    (folder / f"{name}.j2").write_text(text)
    site.configure(f"templates: {folder}\n")


def degraded(site: Site, said: str, *words: str) -> Dict[str, Any]:
    """The ticket is opened all the same, and both it and the log say what is wrong."""
    done = site.run(*DOWN, *words, "--output", "no answer to ping")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    ticket = site.the_ticket()
    assert "no answer to ping" in ticket["body"]
    page = json.dumps(ticket)
    for leak in ("subclasses", "PATH", "<class", "&lt;class", "function", "xxxx"):
        assert leak not in page
    assert site.queued() == []
    return ticket


@pytest.mark.parametrize("case", ESCAPES)
def test_a_template_that_breaks_out_degrades(site: Site, case: str) -> None:
    template(site, "body", f"<p>mine {{{{ {ESCAPES[case]} }}}}</p>")
    ticket = degraded(site, "template body.j2: ")
    assert "“body.j2” failed; the built-in one was used" in ticket["body"]
    assert "mine" not in ticket["body"]


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include 'body.j2' %}",
        "{% include '/etc/passwd' %}",
        "{% include '../config.yml' %}",
    ],
)
def test_a_template_that_loops_or_reads_files_degrades(site: Site, text: str) -> None:
    template(site, "body", text)
    ticket = degraded(site, "template body.j2: ")
    assert "root:" not in ticket["body"]
    assert site.sandbox.token not in ticket["body"]


@pytest.mark.parametrize("case", ESCAPES)
def test_a_rule_that_breaks_out_is_left_out(site: Site, case: str) -> None:
    site.configure(f'rules:\n  - when: "{ESCAPES[case]}"\n    set: {{priority: Urgent}}\n')
    ticket = degraded(site, "rules[0].when")
    assert "A rule or name of this site's configuration failed" in ticket["body"]
    assert ticket["priority_id"] == 2


@pytest.mark.parametrize("case", ESCAPES)
def test_a_lookup_that_breaks_out_is_left_out(site: Site, case: str) -> None:
    lookup = f'customer:\n  lookup: [{{account: "{{{{ {ESCAPES[case]} }}}}"}}]\n'
    site.config_file.write_text(site.config_file.read_text().replace("customer:\n", lookup))
    ticket = degraded(site, "customer.lookup")
    assert ticket["ticketable_id"] == 1  # the fallback's
