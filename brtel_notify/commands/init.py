"""``brtel-notify init``: asks what a configuration needs, proves it, and writes it."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import textwrap
from typing import List, NamedTuple, Optional, Sequence

from brtel_notify.config import schema
from brtel_notify.console.failures import fail
from brtel_notify.console.output import paint
from brtel_notify.local import command_line
from brtel_notify.local.os_errors import because
from brtel_notify.options import DEFAULT_STATE_DIR, USAGE, Options, Stop
from brtel_notify.setup import as_user, new_config, unix_users
from brtel_notify.setup.answers import Answers
from brtel_notify.setup.choices import Choice, pick
from brtel_notify.setup.interview import NONE, Interview
from brtel_notify.setup.machine_files import below
from brtel_notify.setup.new_config import File
from brtel_notify.setup.systems import catalogue
from brtel_notify.setup.systems.catalogue import Installed
from brtel_notify.setup.terminal import Question, Terminal, Wrong
from brtel_notify.setup.unix_users import Sharing, UnixUsers

#: A person left by Ctrl-C, or Ctrl-D.
LEFT = 130

_ABOUT = """\
Asks what brtel-notify needs, proves each answer against BlueRockTEL,
writes the configuration and the file that holds the token, lets the
monitoring's user work with them, and ends with `brtel-notify test`. Run
it as root. Nothing is written before the last answer.

Each flag answers a question. Without a terminal, those must be there that
have no default: --url, a credential, --priority, --category,
--sub-category, --fallback; and --system, where several are here.
"""
_EXAMPLE = """\
sudo brtel-notify init
  brtel-notify init --url acme.bluerocktel.net --token-file - --priority High \\
    --category Infrastructure --sub-category "PBX / 3CX" --fallback CL000001 < token"""

_SYSTEMS = textwrap.fill(
    f"what opens tickets: {', '.join(catalogue.monitoring())}, none",
    80,
    initial_indent="  --system NAME      ",
    subsequent_indent=" " * 21,
)
_SCREEN = f"""\
usage: brtel-notify init [OPTION]...

Asks what brtel-notify needs, proves each answer, writes configuration and token
file, and ends with `brtel-notify test`. Run it as root. A flag for each answer:

  --url ADDRESS      where BlueRockTEL is; --proxy URL, --ca-file FILE: the way
  --token-file FILE  the file that holds the API token (-: stdin); or
  --email ADDRESS    log in as this user; --password-file FILE: the password's
  --priority NAME    of tickets: a name, a part of it, or a number; likewise
  --category NAME, --sub-category NAME, --team NAME
  --fallback CL...   who gets the tickets of hosts that nobody owns, or none
  --assignee NAME    a user, api, or nobody (the default); --language: en or fr
{_SYSTEMS}
  --user NAME        whom it runs as, not who was found; both may be repeated
  --group NAME       the group that shares the state folder
  --force            replace files that are there
  --dry-run          show the file, and write nothing
  --no-test          do not run the test; --root DIR: the machine's root folder
  --config FILE, --state-dir DIR, --log-format text|json, -v, -h: as everywhere

examples (without a terminal, what has no default must be given):
  sudo brtel-notify init
  brtel-notify init --url acme.bluerocktel.net --token-file - --priority High \\
    --category Infrastructure --sub-category "PBX / 3CX" --fallback none <token
"""


class _Here(NamedTuple):
    """This machine: the monitoring that shall open tickets, and who works with the state folder."""

    systems: List[Installed]
    sharing: Optional[Sharing]


class _Setup:
    """One run: where it writes (the machine's own paths), and whom it asks."""

    def __init__(self, given: argparse.Namespace, options: Options) -> None:
        self.given = given
        self.terminal = Terminal()
        self.root = os.path.abspath(given.root)
        named = options.config or (schema.find(None, os.environ) if self.root == "/" else None)
        self.config = os.path.abspath(named or schema.SYSTEM_FILE)
        state_dir = options.state_dir(os.environ if self.root == "/" else {})
        self.state_dir = os.path.abspath(state_dir)
        self.machine_users = UnixUsers(self.root)

    def own(self, path: str) -> str:
        """Where the machine's PATH is for this process."""
        return below(self.root, path)


def run(arguments: List[str], options: Options) -> int:
    """Ask, write, test; the exit code."""
    given = command_line.parse(parser(), arguments, options)
    given.dry_run = given.dry_run or options.dry_run
    setup = _Setup(given, options)
    try:
        if not _may_write(setup):
            setup.terminal.say(f"kept as it is: {setup.config}")
            return 0
        folder = os.path.dirname(setup.config)
        interview = Interview(setup.terminal, given, os.environ, folder, setup.root)
        answers = interview.answers()
        here = _here(setup)
    except (KeyboardInterrupt, EOFError):
        print()
        return fail("left; nothing was written", LEFT)
    try:
        undone = _write(setup, answers, here)
    except OSError as error:
        return fail(because(error, setup.config), os.EX_CANTCREAT)
    return _finish(setup, options, here, undone)


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = command_line.parser("init", _ABOUT, _EXAMPLE, _SCREEN)
    add = made.add_argument_group("answers").add_argument
    add("--url", metavar="ADDRESS", help="where BlueRockTEL is: acme.bluerocktel.net")
    add("--token-file", metavar="FILE", help="the file that holds the API token; -: stdin does")
    add("--email", metavar="ADDRESS", help="log in as this user, instead of a token…")
    add("--password-file", metavar="FILE", help="…with the password in this file; -: on stdin")
    add("--ca-file", metavar="FILE", help="certificates to trust instead of the usual ones")
    add("--proxy", metavar="URL", help="the HTTP proxy to go through")
    add("--priority", metavar="NAME", help="of tickets: a name, a part of it, or a number")
    add("--category", metavar="NAME", help="the same for the category…")
    add("--sub-category", metavar="NAME", help="…a sub-category of it…")
    add("--team", metavar="NAME", help=f"…and the team ({NONE})")
    add("--assignee", metavar="NAME", help="who gets the tickets: a user, nobody (nobody), or api")
    add("--fallback", metavar="CL…", help=f"who gets tickets of hosts that nobody owns, or {NONE}")
    add("--language", metavar="WORD", help="of the tickets: en or fr (en)")
    add(
        "--system",
        action="append",
        metavar="NAME",
        help=f"{', '.join(catalogue.monitoring())} or {NONE}: which of them opens tickets, where"
        " several are here (may be given again)",
    )
    add(
        "--user",
        action="append",
        metavar="NAME",
        help="whom the monitoring runs as, where it is none of these (may be given again)",
    )
    add("--group", metavar="NAME", help="the group that shares the state folder")
    made.add_argument("--force", action="store_true", help="replace files that are there")
    made.add_argument("--dry-run", action="store_true", help="show the file, and write nothing")
    made.add_argument(
        "--root",
        metavar="DIR",
        default="/",
        help="the machine's root folder is DIR: no test is run there",
    )
    made.add_argument("--no-test", action="store_true", help="do not run brtel-notify test")
    for flag in ("--token", "--password"):
        made.add_argument(flag, nargs="?", action=_Seen, help=argparse.SUPPRESS)
    return made


class _Seen(argparse.Action):
    """A secret on the command line, which everybody on the machine can read there."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        flag = self.option_strings[0]
        parser.error(f"everybody sees a command line: {flag}-file FILE, or {flag}-file -")


def _may_write(setup: _Setup) -> bool:
    """Whether the configuration may be written; False if a person wants to keep the old one.

    Raises Stop, EOFError.
    """
    path = setup.own(setup.config)
    if setup.given.dry_run:
        return True
    new_config.prove_writable(path)
    if not os.path.exists(path) or setup.given.force:
        if setup.terminal.attended:
            setup.terminal.say(f"This writes {setup.config}, after the last answer. Ctrl-C leaves.")
        return True
    if not setup.terminal.attended:
        raise Stop(f"{setup.config}: is there already: --force replaces it", os.EX_CANTCREAT)
    return setup.terminal.agrees(f"{setup.config} is there already: replace it?", default=False)


# --- the machine ----------------------------------------------------------------------------------


def _here(setup: _Setup) -> _Here:
    """What of this machine's monitoring opens tickets. Raises Stop, EOFError."""
    systems = _systems(setup, catalogue.installed(setup.machine_users))
    users = _users(setup, systems)
    if not users and setup.given.group:
        text = "--group: there is nobody to share it with: --user NAME says whom the monitoring"
        raise Stop(f"{text} runs as", USAGE)
    if not users:
        return _Here(systems, None)
    if not setup.given.user:
        users += unix_users.owner_of(setup.machine_users, setup.state_dir)
    sharing = unix_users.sharing(setup.machine_users, users, setup.given.group or "")
    return _Here(systems, sharing if _agreed(setup, sharing) else None)


def _systems(setup: _Setup, found: List[Installed]) -> List[Installed]:
    """Those that open tickets: named, or all of one user, or asked for."""
    named, users = setup.given.system, {system.user for system in found}
    if named == [NONE]:
        return []
    if not named and setup.given.user:
        return [system for system in found if system.user in setup.given.user]
    if not named and len(users) < 2:
        if setup.terminal.attended and found:
            setup.terminal.say(f"Monitoring on this machine: {', '.join(map(str, found))}")
        return found
    known = [Choice(n, system.name, system.title) for n, system in enumerate(found, 1)]

    def check(text: str) -> List[Installed]:
        if text == "all":
            return found
        if not known:
            raise Wrong("there is none on this machine; --user NAME says whom it runs as")
        words = [word for word in text.split(",") if word.strip()] or [""]
        picked = {pick(word, known).number for word in words}
        return [found[number - 1] for number in sorted(picked)]

    if not named and not setup.terminal.attended:
        names = ", ".join(system.name for system in found)
        raise setup.terminal.missing(f"--system (several are here: {names}; or {NONE})")
    lines = [f"{choice.number}  {system}" for choice, system in zip(known, found)]
    text = "Which of these shall open tickets (numbers or names, with commas)"
    question = Question(text, "--system", "all", lines)
    return setup.terminal.settle(question, ",".join(named) if named else None, check)


def _users(setup: _Setup, systems: Sequence[Installed]) -> List[str]:
    """Whom the monitoring runs as; none if that is said later, to install."""

    def check(text: str) -> List[str]:
        words = [word.strip() for word in text.split(",") if word.strip()]
        for user in words:
            if setup.machine_users.user(user) is None:
                raise Wrong(f"there is no user {user}")
        return words

    given = ",".join(setup.given.user) if setup.given.user else None
    users = list(dict.fromkeys(system.user for system in systems if system.user))
    if given is None and (users or not setup.terminal.attended or setup.given.system == [NONE]):
        return users
    question = Question(
        "User that the monitoring runs as (Enter alone: to be said later)", "--user"
    )
    return setup.terminal.settle(question, given, check)


def _agreed(setup: _Setup, sharing: Sharing) -> bool:
    if not setup.terminal.attended or setup.given.user:
        return True
    how = f", through the group {sharing.group}" if sharing.shared else ""
    text = f"Let {' and '.join(sharing.users)} read these files and work in {setup.state_dir}{how}?"
    return setup.terminal.agrees(text, default=True)


# --- writing --------------------------------------------------------------------------------------


def _write(setup: _Setup, answers: Answers, here: _Here) -> List[str]:
    """Write the files and open them to the monitoring; the commands that are left to root.

    Raises Stop, OSError.
    """
    secret = answers.secret
    text = new_config.text(answers)
    files = [File(setup.config, text, new_config.CONFIG_MODE)]
    if secret.text is not None:
        files.insert(0, File(secret.file, f"{secret.text}\n", new_config.SECRET_MODE))
    if setup.given.dry_run:
        for file in files:
            print(f"would put: {file.path} (mode {file.mode:04o})")
        print(text, end="")
        return []
    new_config.write(
        [file._replace(path=setup.own(file.path)) for file in files],
        lambda file: print(f"put: {file.path} (mode {file.mode:04o})", flush=True),
    )
    if here.sharing is None:
        return []
    known = setup.machine_users
    paths = (setup.state_dir, setup.config, [secret.file])
    return as_user.make(known, unix_users.actions(known, here.sharing, *paths))


# --- the end --------------------------------------------------------------------------------------


def _finish(setup: _Setup, options: Options, here: _Here, undone: List[str]) -> int:
    """Run the test, and say what comes next; the test's exit code."""
    code = 0
    given = setup.given
    tests = setup.root == "/" and not (given.no_test or given.dry_run)
    if tests:
        code = _test(setup, options, here, undone)
    names = [system.name for system in here.systems]
    steps = [f"as root: {command}" for command in undone]
    steps += [f"{_command(setup)} install {name}" for name in names]
    if not names:
        steps.append(f"{_command(setup)} install {'|'.join(catalogue.monitoring())}")
    if not tests:
        steps.append(f"{_command(setup)} test")
    print(paint("next:", "bold"))
    for number, step in enumerate(steps, 1):
        print(f"  {number}. {step}")
    sys.stdout.flush()
    return code


def _test(setup: _Setup, options: Options, here: _Here, undone: List[str]) -> int:
    """Run the test, as the monitoring's user where that can be; its exit code."""
    user, command = here.sharing.users[0] if here.sharing else "", as_user.running()
    if command and not undone and as_user.can_become(setup.machine_users, user):
        words = [command, "--config", setup.config, "--state-dir", setup.state_dir, "test"]
        return as_user.prove(setup.machine_users, words, user)
    from brtel_notify.console import self_test

    print(paint(f"{_command(setup)} test:", "bold"), flush=True)
    options.config, options.state_dir_option = setup.config, setup.state_dir
    report = self_test.prove(options)
    self_test.show(report)
    return report.code


def _command(setup: _Setup) -> str:
    """How the command is called from now on."""
    words = ["brtel-notify"]
    words += ["--config", setup.config] if setup.config != schema.SYSTEM_FILE else []
    words += ["--state-dir", setup.state_dir] if setup.state_dir != DEFAULT_STATE_DIR else []
    return shlex.join(words)
