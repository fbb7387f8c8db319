"""Writing a new configuration: its text, and the files with their modes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Sequence

import yaml

from brtel_notify.local import files
from brtel_notify.local.cleaning import line_of
from brtel_notify.local.os_errors import because
from brtel_notify.options import Stop
from brtel_notify.setup import machine_files
from brtel_notify.setup.answers import Answers, Filed

#: The configuration is for its group too: :mod:`brtel_notify.setup.unix_users` says which that is.
CONFIG_MODE = 0o640
SECRET_MODE = 0o600
#: The column of the comments.
_COLUMN = 42


class File(NamedTuple):
    """A file to be written: where on this machine, what, and its mode."""

    path: str
    text: str
    mode: int


# --- the text -------------------------------------------------------------------------------------


def text(answers: Answers) -> str:
    """The configuration file: what was answered, and beside it, commented out, the usual keys."""
    lines = [
        "# brtel-notify, configured by `brtel-notify init`. The lines that are commented out are",
        "# defaults or examples of the usual keys; docs/configuration.md has them all.",
        "# `brtel-notify test` proves what you change.",
        "",
        *_api(answers),
        *_customer(answers),
        *_ticket(answers),
        *_rest(answers),
    ]
    return "\n".join(lines) + "\n"


def _api(answers: Answers) -> List[str]:
    email, key = answers.secret.email, answers.secret.key
    kind = "the password" if email else "the API token"
    return [
        "api:",
        _line("url", answers.url, "https only, unless the host is this machine"),
        *([_line("email", email, "logs in as this user")] if email else []),
        _line(key, answers.secret.file, f"the file that holds {kind}"),
        _line("timeout", 10, "seconds a call", off=True),
        _optional("ca_file", answers.ca_file, "/etc/ssl/acme-ca.pem", "trust this CA alone"),
        _optional("proxy", answers.proxy, "http://proxy.example.net:3128", "go through it"),
        "",
    ]


def _customer(answers: Answers) -> List[str]:
    owner = answers.fallback
    comment = "the account that gets the tickets of hosts that nobody owns"
    if owner is None:
        comment += "; null: they go to dead/"
    elif owner.name:
        comment = f"{owner.name}: gets the tickets of hosts that nobody owns"
    return [
        "customer:",
        "  # lookup:                               # in order, until one gives a customer",
        "  #   - hosts                             # the table below",
        '  #   - account: "{{ vars.CUSTOMER_ACCOUNT }}"',
        '  #   - pbx: "{{ host }}"',
        '  #   - search: "{{ host }}"',
        "  # hosts: {core-sw1.example.net: CL000007}",
        _line("fallback", owner.account if owner else None, comment),
        "",
    ]


def _ticket(answers: Answers) -> List[str]:
    known = "names as BlueRockTEL has them, or ids: see `brtel-notify discover`"
    team, whose = answers.team, answers.assignee
    own = Filed(None, "the API's own user; nobody: free to be taken")
    return [
        f"ticket:  # {known}",
        _filed("priority", answers.priority),
        _filed("category", answers.category),
        _filed("sub_category", answers.sub_category),
        _filed("team", team) if team else _line("team", None, "a support team"),
        _filed("assignee", whose or own),
        "  # tags: [monitoring, auto]",
        _line("resolve_within", "4h", "the estimated resolution date", off=True),
        _line("group_by", "alert", "alert | host | customer: what shares a ticket", off=True),
        "",
    ]


def _rest(answers: Answers) -> List[str]:
    return [
        "# severities:                             # critical, warning…, or the system's own word",
        "#   critical: {resolve_within: 2h}        # also priority, category, sub_category, team…",
        "#   warning: {resolve_within: 1d}",
        "",
        "# rules:                                  # each that holds applies, the later over the",
        "#   - when: \"severity == 'info'\"          # earlier; `set:` takes what severities take",
        "#     ignore: true",
        "",
        "# contact:",
        '#   role: "technical|technique"           # which contact is attached; null: nobody',
        "",
        "# lifecycle:",
        "#   on_recovery: close                    # close | note | ignore",
        "#   reopen_within: 1h                     # a problem that returns reopens its ticket",
        "",
        _line("language", answers.language, "en | fr: the language of tickets and notes", 0),
        _line("timezone", "UTC", "of the dates in tickets, such as Europe/Paris", 0, off=True),
        _line("log", "stderr", "stderr | syslog | a file", 0, off=True),
    ]


def _line(key: str, value: Any, comment: str, indent: int = 2, off: bool = False) -> str:
    """A key, its value and a comment; OFF: commented out."""
    start = f"{' ' * indent}{'# ' if off else ''}{key}: {scalar(value)}"
    return f"{start:<{_COLUMN - 1}} # {line_of(comment)}" if comment else start


def _optional(key: str, value: Optional[str], example: str, comment: str) -> str:
    return _line(key, value or example, comment, off=value is None)


def _filed(key: str, filed: Filed) -> str:
    return _line(key, filed.value, filed.name if filed.value != filed.name else "")


def scalar(value: Any) -> str:
    """VALUE on one line of YAML."""
    dumped: str = yaml.safe_dump(value, allow_unicode=True, width=2**20)
    if dumped.endswith("\n...\n"):
        dumped = dumped[: -len("\n...\n")]
    dumped = dumped.strip("\n")
    return json.dumps(value) if "\n" in dumped else dumped


# --- the files ------------------------------------------------------------------------------------


def prove_writable(path: str) -> None:
    """Raise Stop if PATH cannot be written: better now than after the last answer."""
    machine_files.refuse_links(path, "name the file itself")
    if os.path.exists(path) and not os.path.isfile(path):
        raise Stop(f"{path}: is there, and is no file", os.EX_CANTCREAT)
    folder = os.path.dirname(path)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise Stop(f"{folder}: is no folder", os.EX_CANTCREAT)
    if not os.access(folder, os.W_OK | os.X_OK):
        error = PermissionError(13, os.strerror(13), folder)
        text = f"{because(error, folder)}: run it as root, or name a file of yours: --config FILE"
        raise Stop(text, os.EX_CANTCREAT)


def write(wanted: Sequence[File], done: Callable[[File], None]) -> None:
    """Write the WANTED files, each in one step, and tell DONE of it. A Ctrl-C leaves none out.

    Raises OSError.
    """
    with _undisturbed():
        for file in wanted:
            _make_folders(os.path.dirname(file.path))
            files.write_whole(file.path, file.text.encode("utf-8"), mode=file.mode)
            done(file)


def _make_folders(folder: str) -> None:
    """The folder and those above it: a monitoring system's user has to pass through root's."""
    if os.path.isdir(folder):
        return
    _make_folders(os.path.dirname(folder))
    os.mkdir(folder, 0o700)
    os.chmod(folder, 0o755 if os.geteuid() == 0 else 0o700)  # whatever the umask


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """No Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
