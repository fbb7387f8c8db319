"""Completion in a real bash and a real zsh: what Tab offers is what the program takes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional, Set

import pytest
from chroot import CHECKOUT, is_wanted
from support import Site

from brtel_notify.cli import COMMANDS
from brtel_notify.commands import ticket
from brtel_notify.setup.systems import catalogue
from brtel_notify.sources.registry import NAMES

EVERY_COMMAND = [*NAMES, *COMMANDS]

#: Prints what Tab would offer behind $1.
BASH = r"""
source "$0"
compopt() { :; } # works only while the shell itself completes
COMP_LINE=$1 COMP_POINT=${#1}
_brtel_notify
[[ ${#COMPREPLY[@]} == 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
"""
#: Tab completes as ever, and what it added is written to $OFFERED; Ctrl-X writes the line
#: and ends.
ZSH = r"""
unsetopt beep
fpath=($FOLDER $fpath)
autoload -Uz compinit && compinit -u -D
compadd() {
    local -a offered
    if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then # these ask what would fit, and offer nothing
        builtin compadd -O offered "$@"
        [[ $#offered == 0 ]] || print -rl -- $offered >> $OFFERED
    fi
    builtin compadd "$@"
}
show-line() { print -r -- "line: $BUFFER" >> $OFFERED; exit }
zle -N show-line
bindkey '^X' show-line
bindkey '^I' complete-word
zle-line-init() { print ready } # not before: what is typed sooner is typed to nobody yet
zle -N zle-line-init
"""


def needs(shell: str) -> pytest.MarkDecorator:
    """Skip where there is no such shell; make package-test fails instead."""
    return pytest.mark.skipif(not (shutil.which(shell) or is_wanted()), reason=f"no {shell} here")


needs_bash = needs("bash")
needs_zsh = needs("zsh")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The completions, and a command brtel-notify that is this checkout's."""
    made = tmp_path_factory.mktemp("completion")
    subprocess.run([sys.executable, CHECKOUT / "packaging/make_completion.py", made], check=True)
    command = made / "bin/brtel-notify"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m brtel_notify "$@"\n')
    command.chmod(0o755)
    return made


class Shells:
    """What Tab offers in bash, and in zsh."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder = folder
        self.scratch = scratch
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        self.env = {**os.environ, "PATH": path, "FOLDER": str(folder), "PYTHONPATH": str(CHECKOUT)}

    def bash(self, line: str) -> List[str]:
        """What bash offers when the cursor stands behind LINE."""
        done = subprocess.run(
            ["bash", "-c", BASH, self.folder / "brtel-notify.bash", line],
            env=self.env,
            cwd=self.scratch,
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout.decode().split("\n")[:-1]

    def zsh(self, line: str) -> List[str]:
        """What zsh offers when the cursor stands behind LINE."""
        return self._typed(f"{line}\t\x18")[:-1]

    def zsh_line(self, line: str) -> str:
        """What LINE has become behind Tab in zsh."""
        return self._typed(f"{line}\t\x18")[-1][len("line: ") :]

    def _typed(self, keys: str) -> List[str]:
        offered = self.scratch / "offered"
        offered.write_text("")
        (self.scratch / ".zshrc").write_text(ZSH)
        env = {**self.env, "ZDOTDIR": str(self.scratch), "OFFERED": str(offered), "TERM": "dumb"}
        type_into(["zsh", "-d", "-i"], keys, env, self.scratch)
        return offered.read_text().split("\n")[:-1]


def type_into(words: List[str], keys: str, env: Dict[str, str], cwd: Path) -> None:
    """Run a program on a terminal until it ends; type KEYS when it has said that it is ready."""
    keyboard, end = pty.openpty()
    with subprocess.Popen(
        words, stdin=end, stdout=end, stderr=end, env=env, cwd=cwd, start_new_session=True
    ) as process:
        os.close(end)
        shown, is_typed = b"", False
        try:
            while select.select([keyboard], [], [], 60)[0]:
                shown += os.read(keyboard, 65536)
                if b"ready" in shown and not is_typed:  # once: "already" may be offered later
                    is_typed = True
                    os.write(keyboard, keys.encode())
            process.kill()
            pytest.fail(f"{words[0]} waits for something: {shown!r}")
        except OSError:  # it has ended
            pass
        finally:
            os.close(keyboard)


@pytest.fixture
def shells(folder: Path, tmp_path: Path) -> Shells:
    return Shells(folder, tmp_path)


@pytest.fixture
def busy(site: Site) -> Site:
    """A machine with two open tickets and two dead events."""
    for host in ("web 1", "pbx.example.net"):
        site.run("event", "--host", host, "--service", "disk", "--state", "CRITICAL")
    for _ in range(2):
        site.run("event", "--host", "web 1", "--kind", "nonsense", code=65)
    return site


def helped(command: str) -> str:
    """What ``brtel-notify COMMAND --help`` says."""
    words = [sys.executable, "-m", "brtel_notify", command, "--help"]
    env = {**os.environ, "COLUMNS": "1000"}
    # A plugin's help is no result: check exits with 3 (UNKNOWN).
    return subprocess.run(words, env=env, stdout=subprocess.PIPE, check=False).stdout.decode()


def options_in(text: str) -> Set[str]:
    """The long options of a help text that are its own: none of those in its examples."""
    return set(
        re.findall(r"(?<![\w-])--[a-z][a-z-]+", re.sub(r"\nexample.*\n(?: +.*\n)+", "", text))
    )


def ids(site: Site) -> List[str]:
    return [event["id"] for event in json.loads(site.run("queue", "list", "--json").stdout)]


# --- against the program --------------------------------------------------------------------------


@needs_bash
def test_bash_offers_every_command(shells: Shells) -> None:
    assert shells.bash("brtel-notify ") == EVERY_COMMAND


@needs_zsh
def test_zsh_offers_every_command(shells: Shells) -> None:
    assert set(shells.zsh("brtel-notify ")) >= set(EVERY_COMMAND)


@needs_bash
@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_bash_offers_the_options_that_the_help_names(shells: Shells, command: str) -> None:
    offered = shells.bash(f"brtel-notify {command} --")
    assert len(offered) == len(set(offered))
    # Some helps name the global ones, some leave them to the first page; nothing else is made up.
    everywhere = {"--config", "--state-dir", "--log-format", "--verbose", "--help"}
    named = options_in(helped(command))
    assert named <= set(offered)
    assert set(offered) - everywhere <= named


@needs_zsh
@pytest.mark.parametrize("command", ["event", "queue", "sandbox"])
def test_zsh_offers_the_same_options(shells: Shells, command: str) -> None:
    offered = {word.rstrip("=") for word in shells.zsh(f"brtel-notify {command} --")}
    assert offered == set(shells.bash(f"brtel-notify {command} --"))


@needs_bash
def test_the_actions_on_a_ticket_are_those_it_takes(shells: Shells) -> None:
    assert tuple(shells.bash("brtel-notify ticket A7KZ2F ")) == ticket.ACTIONS


@needs_bash
def test_the_actions_on_the_queue_are_those_it_takes(shells: Shells) -> None:
    for action in shells.bash("brtel-notify queue "):
        assert action in helped("queue").partition("EVENT")[0]


# --- bash -----------------------------------------------------------------------------------------


@needs_bash
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("brtel-notify w", ["worker"]),
        ("brtel-notify -v --config x.yml w", ["worker"]),
        ("brtel-notify --config=x.yml w", ["worker"]),
        ("brtel-notify worker --thr", ["--threads"]),
        ("brtel-notify worker --threads ", []),
        ("brtel-notify queue dr", ["drop"]),
        ("brtel-notify install s", ["systemd"]),
        ("brtel-notify install nagios --file media_brtel_notify.", ["media_brtel_notify.yaml"]),
        ("brtel-notify render li", ["librenms"]),
        ("brtel-notify event --severity w", ["warning"]),
        ("brtel-notify event --kind=ack", ["acknowledgement"]),
        ("brtel-notify demo --language ", ["en", "fr"]),
        ("brtel-notify --log-format ", ["text", "json"]),
        ("brtel-notify install zabbix --user roo", ["root"]),
        ("brtel-notify sandbox --conf", []),
        ("brtel-notify nonsense ", []),
    ],
)
def test_bash(shells: Shells, line: str, offered: List[str]) -> None:
    assert shells.bash(line) == offered


@needs_bash
def test_bash_offers_files_and_folders(shells: Shells) -> None:
    (shells.scratch / "config.yml").touch()
    (shells.scratch / "state").mkdir()
    # In the order of the folder, which each file system has its own of; the shell sorts it later.
    assert sorted(shells.bash("brtel-notify --config ")) == ["config.yml", "state"]
    assert shells.bash("brtel-notify --config=c") == ["config.yml"]
    assert shells.bash("brtel-notify worker --state-dir ") == ["state"]


@needs_bash
def test_bash_offers_events_of_the_state_folder_on_the_line(shells: Shells, busy: Site) -> None:
    found = ids(busy)
    assert len(found) == 2
    assert shells.bash(f"brtel-notify --state-dir {busy.state_dir} queue retry ") == found
    assert shells.bash(f"brtel-notify --state-dir={busy.state_dir} queue drop {found[1]}") == [
        found[1]
    ]


@needs_bash
def test_bash_offers_open_tickets_by_key(shells: Shells, busy: Site) -> None:
    line = f"brtel-notify --state-dir {busy.state_dir} ticket "
    assert sorted(shells.bash(line)) == ["event:pbx.example.net:disk", "event:web\\ 1:disk"]
    # bash itself replaces only what stands behind the last colon.
    assert shells.bash(f"{line}event:p") == ["pbx.example.net:disk"]
    assert shells.bash(f"{line}event:web\\ 1:") == ["disk"]


@needs_bash
def test_bash_takes_it_from_the_keyboard(shells: Shells) -> None:
    setup = shells.scratch / "bashrc"
    line = shells.scratch / "line"
    setup.write_text(
        f"source {shells.folder}/brtel-notify.bash\n"
        f'bind -x \'"\\C-x": printf %s "$READLINE_LINE" >{line}; exit\'\n'
        "PS1='ready '\n"  # shown when the terminal is bash's own, no sooner
    )
    keys = "brtel-notify wor\t--thr\t4 --config=/et\t\x18"
    type_into(["bash", "--rcfile", str(setup), "-i"], keys, shells.env, shells.scratch)
    assert line.read_text() == "brtel-notify worker --threads 4 --config=/etc/"


# --- zsh ------------------------------------------------------------------------------------------


@needs_zsh
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("brtel-notify wor", "brtel-notify worker "),
        ("brtel-notify worker --thr", "brtel-notify worker --threads="),
        ("brtel-notify queue dr", "brtel-notify queue drop "),
        ("brtel-notify -v install ic", "brtel-notify -v install icinga "),
        ("brtel-notify event --severity warn", "brtel-notify event --severity warning "),
        ("brtel-notify --config x.yml demo --language f", None),
    ],
)
def test_zsh(shells: Shells, line: str, completed: Optional[str]) -> None:
    assert shells.zsh_line(line) == (completed or f"{line}r ")


@needs_zsh
def test_zsh_offers_events_and_tickets(shells: Shells, busy: Site) -> None:
    line = f"brtel-notify --state-dir {busy.state_dir}"
    assert shells.zsh(f"{line} queue retry ") == ids(busy)
    assert set(shells.zsh(f"{line} ticket ")) == {
        "event:pbx.example.net:disk",
        "event:web 1:disk",
    }
    assert shells.zsh_line(f"{line} ticket event:p").endswith(" event:pbx.example.net:disk ")


@needs_zsh
def test_zsh_offers_the_systems(shells: Shells) -> None:
    assert shells.zsh("brtel-notify install ") == list(catalogue.everything())
