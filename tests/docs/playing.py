"""Plays a page of documentation: its commands and configurations, on a machine made for it.

A page is played section by section (``##``), each on a fresh machine with a sandbox:

    yaml    is added to the configuration; a block with ``api`` is the whole of it
    sh      is run by ``bash -e``; /etc, /var, /opt and /usr/bin are folders of the test
    text    is what the commands before it print, … standing for anything

Words behind the language of a ``sh`` block: ``syntax``, it is only parsed; ``exit=N``, the exit
code; ``@name``, the function of that name in HOOKS goes first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple

import yaml
from blocks import Block, blocks
from support import ENVIRONMENT, Site

from brtel_notify.config import schema
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.setup.systems import catalogue

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"

CONFIG = """\
api:
  url: https://acme.bluerocktel.net/api
  token_file: /etc/brtel-notify/token
customer:
  fallback: CL000001
ticket:
  priority: High
  category: Infrastructure
  sub_category: PBX / 3CX
log: syslog
"""
_URL = re.compile(r"(?:https://)?acme\.bluerocktel\.net(?:/api)?")
_SYSTEM_PATH = re.compile(r"(?<![\w.~/-])/(?=(?:etc|var|opt|usr/bin)/)")

#: Commands that would change the machine, or that it may not have. ``runuser -u NAME --`` runs
#: what stands behind it; ``install`` knows the machine's own users and groups; the others, and all
#: where nobody but root could give files away, it leaves out.
_STUBS = {
    "brtel-notify": 'exec "{python}" -m brtel_notify "$@"',
    "runuser": '[ "$1" = -u ] && shift 2\n[ "$1" = -- ] && shift\nexec "$@"',
    "install": """\
words=()
while [ $# -gt 0 ]; do
    case "$1" in -o) file=passwd;; -g) file=group;; *) words+=("$1"); shift; continue;; esac
    id=$(sed -n "s/^$2:[^:]*:\\([0-9]*\\):.*/\\1/p" "{root}/etc/$file" 2>/dev/null || true)
    [ -z "$id" ] || [ "$EUID" != 0 ] || words+=("$1" "$id")
    shift 2
done
exec "{install}" "${{words[@]}}\"""",
}
_SILENT = ("systemctl", "journalctl", "usermod", "groupadd", "apt-get", "scp")


class Section(NamedTuple):
    """A part of a page below one ``##`` (the title is empty above the first), and its blocks."""

    page: str
    title: str
    blocks: List[Block]

    def __str__(self) -> str:
        return f"{self.page}:{self.title}"


def sections(page: str) -> List[Section]:
    """The sections of docs/PAGE.md, in order."""
    path = DOCS / f"{page}.md"
    found, titles, fenced = [], [(1, "")], False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if line.startswith("## ") and not fenced:
            titles.append((number, line[3:].strip()))
    ends = [start for start, _ in titles[1:]] + [sys.maxsize]
    for (start, title), end in zip(titles, ends):
        inside = [block for block in blocks(path) if start <= block.line < end]
        found.append(Section(page, title, inside))
    return found


class Machine:
    """A machine whose root folder is a folder of the test: what a page's commands are run on."""

    def __init__(self, root: Path, sandbox: SandboxProcess) -> None:
        self.root = root
        self.sandbox = sandbox
        self.printed = ""
        for folder in ("bin", "usr/bin", "etc/brtel-notify", "var/lib", "var/log", "var/backups"):
            (root / folder).mkdir(parents=True)
        (root / "home").mkdir()
        self.site = Site(root / "home", sandbox)
        self.site.state_dir = root / "var/lib/brtel-notify"
        self.site.state_dir.mkdir(mode=0o700)
        self.site.config_file = root / "etc/brtel-notify/config.yml"
        self.log = root / "var/log/brtel-notify.log"
        (root / "etc/brtel-notify/token").write_text(sandbox.token)
        self.settings: Dict[str, Any] = {}
        self.configure(CONFIG)
        for name in _SILENT:
            self.stub(name, "exit 0")
        for name, script in _STUBS.items():
            words = {"python": sys.executable, "install": shutil.which("install"), "root": root}
            self.stub(name, script.format(**words))

    def stub(self, name: str, script: str) -> None:
        """Put a command of that NAME where it is found first."""
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def add_users(self, group: str = "", **ids: int) -> None:
        """Users by name, each with its id and a group of its own; and a GROUP that they share.

        From now on ``init`` and ``install`` work below this machine's root.
        """
        users, groups = ["root:x:0:0::/root:/bin/sh"], ["root:x:0:"]
        for name, number in ids.items():
            own = os.getgid() if number == os.getuid() else number
            users.append(f"{name}:x:{number}:{own}::/:/bin/sh")
            groups.append(f"{name}:x:{own}:")
        if group:
            groups.append(f"{group}:x:{max(ids.values()) + 1}:{','.join(ids)}")
        for file, lines in {"passwd": users, "group": groups}.items():
            (self.root / "etc" / file).write_text("\n".join(lines) + "\n")
        option = f"--root {self.root}"
        self.stub(
            "brtel-notify",
            f'case "$1" in init|install) set -- "$@" {option};; esac\n'
            f'exec "{sys.executable}" -m brtel_notify "$@"',
        )

    def monitor(self, system: str) -> None:
        """Have a monitoring SYSTEM (librenms, nagios, icinga, zabbix), and nothing of ours yet."""
        place = catalogue.monitoring()[system].locations[0]
        (self.root / place.folder.lstrip("/")).mkdir(parents=True)
        if place.main:
            main = self.root / place.main.lstrip("/")
            main.parent.mkdir(parents=True, exist_ok=True)
            main.write_text(f"cfg_dir={place.folder}\n" if system == "nagios" else "")
        shutil.rmtree(self.root / "etc/brtel-notify")
        shutil.rmtree(self.site.state_dir)
        (self.root / "etc/brtel-token").write_text(f"{self.sandbox.token}\n")

    def here(self, text: str) -> str:
        """TEXT with the paths and addresses of this machine."""
        log = re.sub(r"^log: syslog$", f"log: {self.log}", text, flags=re.MULTILINE)
        return _URL.sub(self.sandbox.url, _SYSTEM_PATH.sub(f"{self.root}/", log))

    def configure(self, text: str) -> None:
        """Add the keys of TEXT to the configuration, as a reader does; and load it."""
        added = yaml.safe_load(self.here(text))
        if "api" in added:
            self.settings = {}
        for name, value in added.items():
            old = self.settings.get(name)
            if isinstance(old, dict) and isinstance(value, dict):
                value = {**old, **value}
            self.settings[name] = value
        self.site.config_file.write_text(yaml.safe_dump(self.settings, sort_keys=False))
        schema.load(str(self.site.config_file), {})

    def environment(self) -> Mapping[str, str]:
        """What the commands of a page see."""
        return {
            **ENVIRONMENT,
            "LC_ALL": "C.UTF-8",  # of one that is not installed, bash complains in each line
            "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(CHECKOUT),
            "HOME": str(self.root / "home"),
            "BRTEL_NOTIFY_CONFIG": str(self.site.config_file),
            "BRTEL_NOTIFY_STATE_DIR": str(self.site.state_dir),
        }

    def run(self, script: str, code: int = 0) -> str:
        """Run a shell SCRIPT; what it printed on stdout and stderr."""
        done = subprocess.run(
            ["bash", "-e", "-c", self.here(script)],
            env=self.environment(),
            cwd=self.root / "home",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        self.printed = done.stdout.decode()
        assert done.returncode == code, f"{script}\n{self.printed}"
        return self.printed


def play(
    section: Section, machine: Machine, hooks: Mapping[str, Callable[[Machine], None]]
) -> None:
    """Do what the section says, block by block."""
    for block in section.blocks:
        where = f"docs/{section.page}.md:{block.line}"
        if block.language == "yaml":
            machine.configure(block.text)
        elif block.language == "sh":
            _play_commands(block, machine, hooks)
        elif block.language == "text":
            assert fits(machine.here(block.text), machine.printed), (
                f"{where}: it printed\n{machine.printed}"
            )


def _play_commands(
    block: Block, machine: Machine, hooks: Mapping[str, Callable[[Machine], None]]
) -> None:
    code = 0
    for word in block.info:
        if word.startswith("@"):
            hooks[word[1:]](machine)
        elif word.startswith("exit="):
            code = int(word[5:])
        else:
            assert word == "syntax", word
    if "syntax" in block.info:
        words = ["bash", "-n", "-c", block.text]
        done = subprocess.run(words, env=machine.environment(), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
    else:
        machine.run(block.text, code)


def fits(shown: str, printed: str) -> bool:
    """Whether a page's text SHOWN is what was PRINTED; … stands for anything, or nothing."""
    parts = [re.escape(part) for part in shown.strip().split("…")]
    return re.fullmatch(".*?".join(parts), printed.strip(), re.DOTALL) is not None
