"""``brtel-notify install``: puts the drop-in files where the monitoring systems read them."""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
import stat
import sys
from typing import List, Optional, Tuple

from brtel_notify.config import schema as configuration
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console.failures import fail
from brtel_notify.console.output import paint
from brtel_notify.local import command_line, files
from brtel_notify.local.cleaning import line_of
from brtel_notify.local.os_errors import because
from brtel_notify.options import DEFAULT_STATE_DIR, USAGE, Options, Stop
from brtel_notify.setup import as_user, machine_files, unix_users
from brtel_notify.setup.drop_in import Command, DropIn, Job, Location
from brtel_notify.setup.machine_files import below
from brtel_notify.setup.systems import catalogue
from brtel_notify.setup.unix_users import Action, Sharing, UnixUsers

#: Lines of a difference that are shown.
MOST_LINES = 30

_ABOUT = """\
Puts a monitoring system's drop-in file where the system reads it, lets its user work with state
folder, configuration and token (several users share the group brtel-notify), runs `brtel-notify
test` as that user, and says what is left to do. Run it as root. A file that was changed is kept,
unless --force says otherwise. With --dest nobody is given any rights, unless --user says whom.
"""
_SYSTEMS = ", ".join(catalogue.everything()).replace("nagios", "nagios (and Naemon)")
_SCREEN = f"""\
usage: brtel-notify install [OPTION]... SYSTEM

Puts the drop-in of SYSTEM where it is read, lets the system's user work with
state folder, configuration and token (several users share the group
brtel-notify), runs `brtel-notify test` as that user, and says what is left to
do. Run it as root.
SYSTEM: {_SYSTEMS}

  --print            print the file and change nothing
  --dest PATH        put it there (folder or file); rights only with --user
  --file NAME        another of the system's files, for --print
  --force            replace a file that was changed, which else is kept
  --dry-run          say what would be done
  --user NAME        whom the system runs as (may be given again)
  --group NAME       the group that shares the state folder
  --root DIR         the machine's root folder is DIR
  --no-test          do not run brtel-notify test
  --config FILE, --state-dir DIR, --log-format text|json, -v, -h: as everywhere

example:
  sudo brtel-notify install nagios
"""


def run(arguments: List[str], options: Options) -> int:
    """Put, or print, the drop-in of one system; the exit code."""
    given = command_line.parse(parser(), arguments, options, intermixed=True)
    given.dry_run = given.dry_run or options.dry_run
    try:
        job = _job(given, options)
        if given.print:
            _print(job)
            return 0
        changed = [path for path in job.targets if _is_to_be_put(job, path, given.force)]
        _put(job, changed, given.dry_run)
        undone = _change(job, given)
    except PermissionError as error:
        return fail(f"{because(error, '')}: run it as root, or see --dest", os.EX_CANTCREAT)
    except OSError as error:
        return fail(because(error, ""), os.EX_CANTCREAT)
    return _finish(job, given, undone)


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = command_line.parser("install", _ABOUT, "sudo brtel-notify install nagios", _SCREEN)
    made.add_argument(
        "system",
        type=_system,
        choices=list(catalogue.everything()),
        help=_SYSTEMS,
        metavar="SYSTEM",
    )
    made.add_argument("--print", action="store_true", help="print the file and change nothing")
    made.add_argument("--dest", metavar="PATH", help="put it there: a folder, or a file")
    made.add_argument("--file", metavar="NAME", help="another of the system's files, for --print")
    made.add_argument("--force", action="store_true", help="replace a file that was changed")
    made.add_argument("--dry-run", action="store_true", help="say what would be done")
    made.add_argument(
        "--user",
        action="append",
        metavar="NAME",
        help="whom the system runs as (may be given again)",
    )
    made.add_argument("--group", metavar="NAME", help="the group that shares the state folder")
    made.add_argument("--root", metavar="DIR", default="/", help="the machine's root folder is DIR")
    made.add_argument("--no-test", action="store_true", help="do not run brtel-notify test")
    return made


def _system(word: str) -> str:
    if word.lower() == "naemon":
        hint = "Naemon takes Nagios's drop-in: brtel-notify install nagios"
        raise argparse.ArgumentTypeError(hint)
    return word


# --- what is to be done ---------------------------------------------------------------------------


def _job(given: argparse.Namespace, options: Options) -> Job:
    """What is to be done. Raises Stop, OSError."""
    drop_in = catalogue.everything()[given.system]
    root = os.path.abspath(given.root)
    if not os.path.isdir(root):
        raise Stop(f"--root {given.root}: there is no such folder", USAGE)
    known = UnixUsers(root)
    location = drop_in.find(root)
    state_dir = options.state_dir_option and os.path.abspath(options.state_dir_option)
    config = options.config and os.path.abspath(options.config)
    sharing = _sharing(given, known, state_dir or DEFAULT_STATE_DIR)
    job = Job(
        name=given.system,
        drop_in=drop_in,
        location=location if not given.dest else _known_location(drop_in, given.dest),
        root=root,
        machine_users=known,
        sharing=sharing,
        group_services=_group_services(sharing, root),
        command=Command(_running(root), config or "", state_dir or ""),
        state_dir=state_dir or DEFAULT_STATE_DIR,
        config=config or configuration.SYSTEM_FILE,
        mode=0o644 if given.file in drop_in.others else drop_in.mode,
        targets={},
    )
    for file in _files(given, drop_in):
        target = _target(given, job, file)
        job.targets[target] = drop_in.text(file, job)
    return job


def _known_location(drop_in: DropIn, folder: str) -> Optional[Location]:
    """What is known of a FOLDER that was named."""
    wanted = os.path.abspath(folder)
    return next((each for each in drop_in.locations if each.folder == wanted), None)


def _files(given: argparse.Namespace, drop_in: DropIn) -> Tuple[str, ...]:
    if not given.file:
        return drop_in.files
    known = (*drop_in.files, *drop_in.others)
    if given.file not in known:
        raise Stop(f"--file {given.file}: is none of {', '.join(known)}", USAGE)
    if given.file in drop_in.others and not given.print and not given.dest:
        text = f"--file {given.file}: is for a web interface: add --print, or --dest"
        raise Stop(text, USAGE)
    return (given.file,)


def _target(given: argparse.Namespace, job: Job, file: str) -> str:
    """Where FILE goes: the machine's own path."""
    if given.dest:
        dest: str = os.path.abspath(given.dest)
        if os.path.isdir(below(job.root, dest)) or given.dest.endswith("/"):
            return os.path.join(dest, file)
        if len(_files(given, job.drop_in)) > 1:
            raise Stop(
                f"--dest {given.dest}: must be a folder, for {job.name} has several files",
                os.EX_CANTCREAT,
            )
        return dest
    if job.location is not None:
        return os.path.join(job.location.folder, file)
    if given.print:
        return file
    looked = ", ".join(each.folder for each in job.drop_in.locations)
    text = f"no {job.name} found (looked for {looked}): --dest FOLDER says where its file goes"
    raise Stop(text, os.EX_UNAVAILABLE)


def _running(root: str) -> str:
    """The path of the brtel-notify command that is running. Raises Stop."""
    path = as_user.running(root)
    if path is None:
        raise Stop(
            "cannot tell where the command brtel-notify is: call it by its full path",
            os.EX_CANTCREAT,
        )
    return path


# --- for whom -------------------------------------------------------------------------------------


def _sharing(given: argparse.Namespace, known: UnixUsers, state_dir: str) -> Optional[Sharing]:
    """Who works with the state folder; None where that is not known. Raises Stop."""
    missing = [user for user in given.user or () if known.user(user) is None]
    if missing:
        raise Stop(f"--user {missing[0]}: there is no such user", USAGE)
    users = given.user or []
    if given.system == catalogue.SYSTEMD:
        users = users or _earlier(known, state_dir) or _only_one(known)
        if not users and not given.print:
            raise Stop("whom shall it run as? --user NAME says so", USAGE)
    elif not given.dest:
        location = catalogue.everything()[given.system].find(known.root)
        users = users or (catalogue.users_of(location, known) if location else [])
    if not users:
        return None
    # Whoever works with the state folder already is not locked out of it.
    already = unix_users.owner_of if given.user else _earlier
    users = [*users, *already(known, state_dir)]
    return unix_users.sharing(known, users, given.group or unix_users.sharer(known, state_dir))


def _earlier(known: UnixUsers, state_dir: str) -> List[str]:
    """Those who use brtel-notify here already: systems with a drop-in, the state folder's owner.

    A user alone means nothing: Zabbix's agent brings its server's user to every machine.
    """
    users = []
    for _, drop_in, location in catalogue.located(known.root):
        first = os.path.join(location.folder, drop_in.files[0])
        if os.path.exists(below(known.root, first)):
            users += catalogue.users_of(location, known)
    return [*users, *unix_users.owner_of(known, state_dir)]


def _only_one(known: UnixUsers) -> List[str]:
    """Whom the monitoring runs as, where the machine has only one monitoring system."""
    users = {system.user for system in catalogue.installed(known) if system.user}
    return list(users) if len(users) == 1 else []


def _group_services(sharing: Optional[Sharing], root: str) -> List[str]:
    """What systemd calls the systems whose users get the group of SHARING."""
    if sharing is None or not sharing.shared:
        return []
    found = [location for _, _, location in catalogue.located(root)]
    return [each.service for each in found if set(each.users) & {*sharing.users}]


# --- doing it -------------------------------------------------------------------------------------


def _print(job: Job) -> None:
    """The files on stdout, and nothing else, so that it can go to a file or a pipe."""
    for target, text in job.targets.items():
        if len(job.targets) > 1:
            sys.stdout.write(f"# --- {target}\n")
        sys.stdout.write(text)


def _is_to_be_put(job: Job, path: str, force: bool) -> bool:
    """Whether PATH has to be written. Raises Stop if somebody has changed what is there."""
    own = below(job.root, path)
    machine_files.refuse_links(own, "--dest names the file itself")
    data = job.targets[path].encode()
    there = machine_files.read(own)
    if there is None or there == data or force:
        return there != data or stat.S_IMODE(os.stat(own).st_mode) != job.mode
    lines = difflib.unified_diff(
        there.decode("utf-8", "replace").splitlines(),
        data.decode().splitlines(),
        f"{path} (there)",
        f"{path} (ours)",
        lineterm="",
        n=1,
    )
    shown = list(lines)
    for line in shown[:MOST_LINES]:
        print(line_of(line))
    if len(shown) > MOST_LINES:
        print(f"… and {len(shown) - MOST_LINES} lines more")
    raise Stop(f"{path}: is there, and differs: --force replaces it", os.EX_CANTCREAT)


def _put(job: Job, changed: List[str], dry_run: bool) -> None:
    for path, text in job.targets.items():
        if path not in changed:
            print(f"already there: {path}")
            continue
        if not dry_run:
            own = below(job.root, path)
            if job.location is not None:  # a folder that only zabbix_server.conf knows so far
                os.makedirs(os.path.dirname(own), 0o755, exist_ok=True)
            files.write_whole(own, text.encode(), mode=job.mode)
        print(f"{'would put' if dry_run else 'put'}: {path} (mode {job.mode:04o})")


def _change(job: Job, given: argparse.Namespace) -> List[str]:
    """Make the changes to the machine; the commands of those that are left to somebody else."""
    actions = job.drop_in.changes(job)
    if job.sharing is not None and (given.user or not given.dest):
        actions += _for_users(job, job.sharing)
    if given.dry_run:
        for action in actions:
            print(f"would do: {action.text}")
        return []
    return as_user.make(job.machine_users, actions)


def _for_users(job: Job, sharing: Sharing) -> List[Action]:
    """What lets the monitoring's users work with state folder, configuration and secrets."""
    config = below(job.root, job.config)
    # Whoever else can write the configuration must not choose which of root's files is opened.
    owner = unix_users.writer(config) if os.path.exists(config) else None
    return unix_users.actions(
        job.machine_users, sharing, job.state_dir, job.config, _secrets(job), owner
    )


def _secrets(job: Job) -> List[str]:
    """The files that hold the API's token or password."""
    try:
        api = configuration.load(below(job.root, job.config), {"BRTEL_TOKEN": "any"}).api
    except ConfigError:
        return [os.path.join(os.path.dirname(job.config), "token")]
    named = [api.token_file, api.password_file, job.config if api.token else None]
    return [path for path in named if path and os.path.isabs(path)]


# --- what is left to do ---------------------------------------------------------------------------


def _finish(job: Job, given: argparse.Namespace, undone: List[str]) -> int:
    """Say what is left to do, and run the test if it can pass; the exit code."""
    user = job.sharing.users[0] if job.sharing else ""
    has_config = os.path.exists(below(job.root, job.config))
    steps = [f"as root: {command}" for command in undone]
    if not user:
        steps.append("give the user that the monitoring runs as the state folder: --user NAME")
    if not has_config:
        steps.append(
            f"write {job.config} ({job.program} init asks what it needs), then again:"
            f" {_again(job, given)}"
        )
    steps += job.drop_in.steps(job)
    runs = has_config and not (undone or given.dry_run or given.no_test)
    runs = runs and as_user.can_become(job.machine_users, user)
    test = [*job.command.words, "test"]
    if not runs:
        named = [job.program, *test[1:]]
        steps.append(shlex.join(["runuser", "-u", user, "--", *named] if user else named))
    print(paint("left to do:", "bold"))
    for number, step in enumerate(steps, 1):
        print(f"  {number}. {step}")
    return as_user.prove(job.machine_users, test, user) if runs else 0


def _again(job: Job, given: argparse.Namespace) -> str:
    words = [job.program, *job.command.words[1:], "install", job.name]
    words += ["--dest", given.dest] if given.dest else []
    words += [word for user in given.user or () for word in ("--user", user)]
    words += ["--group", given.group] if given.group else []
    return shlex.join(words)
