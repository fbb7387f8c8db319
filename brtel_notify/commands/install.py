"""``brtel-notify install``: puts the drop-in files where the monitoring systems read them."""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
import sys
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from brtel_notify.config import schema as configuration
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console import common
from brtel_notify.local import command_line
from brtel_notify.local.log import one_line
from brtel_notify.local.os_errors import because
from brtel_notify.options import Options
from brtel_notify.setup import as_user, drop_ins, unix_users
from brtel_notify.setup.drop_ins import SYSTEMS, Command, Place, System, below
from brtel_notify.setup.unix_users import Sharing, UnixUsers

#: sysexits.h: EX_CANTCREAT, a file could not be put.
NOT_PUT = 73
#: Lines of a difference that are shown.
MOST_LINES = 30

_ABOUT = """\
Puts a monitoring system's drop-in file where the system reads it, lets its user work with state
folder, configuration and token (several users share the group brtel-notify), runs `brtel-notify
test` as that user, and says what is left to do. Run it as root. A file that was changed is kept,
unless --force says otherwise. With --dest only the file is put, unless --user says for whom.
"""
_SCREEN = """\
usage: brtel-notify install [OPTION]... SYSTEM

Puts the drop-in of SYSTEM (librenms, nagios, icinga, zabbix, systemd) where it
is read, lets the system's user work with state folder, configuration and token
(several users share the group brtel-notify), runs `brtel-notify test` as that
user, and says what is left to do. Run it as root.

  --print            print the file and change nothing
  --dest PATH        put it there (folder or file), and no more without --user
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


class Job(NamedTuple):
    """One run: what is put, for whom, where, and as which command line."""

    name: str
    system: System
    place: Optional[Place]
    root: str
    machine_users: UnixUsers
    sharing: Optional[Sharing]
    command: Command
    state_dir: str
    config: str
    mode: int
    targets: Dict[str, str]  # the machine's paths, and the text of each file


class _Stop(Exception):
    """Nothing can be put; the text says why, the code is the exit code."""

    def __init__(self, text: str, code: int = NOT_PUT) -> None:
        super().__init__(text)
        self.code = code


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
    except (_Stop, drop_ins.Unwritable, drop_ins.ForeignLink, unix_users.CannotChange) as error:
        return common.fail(str(error), getattr(error, "code", NOT_PUT))
    except PermissionError as error:
        return common.fail(f"{because(error, '')}: run it as root, or see --dest", NOT_PUT)
    except OSError as error:
        return common.fail(because(error, ""), NOT_PUT)
    return _finish(job, given, undone)


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    made = command_line.parser("install", _ABOUT, "sudo brtel-notify install nagios", _SCREEN)
    made.add_argument("system", choices=list(SYSTEMS), help=", ".join(SYSTEMS), metavar="SYSTEM")
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


# --- what is to be done ---------------------------------------------------------------------------


def _job(given: argparse.Namespace, options: Options) -> Job:
    """What is to be done. Raises _Stop, Unwritable, OSError."""
    system = SYSTEMS[given.system]
    root = os.path.abspath(given.root)
    if not os.path.isdir(root):
        raise _Stop(f"--root {given.root}: there is no such folder", common.USAGE)
    known = UnixUsers(root)
    place = drop_ins.find(given.system, root)
    state_dir = options.state_dir_option and os.path.abspath(options.state_dir_option)
    config = options.config and os.path.abspath(options.config)
    job = Job(
        name=given.system,
        system=system,
        place=place if not given.dest else _known_place(system, given.dest),
        root=root,
        machine_users=known,
        sharing=_sharing(given, known, state_dir or drop_ins.STATE_DIR),
        command=Command(_running(root), config or "", state_dir or ""),
        state_dir=state_dir or drop_ins.STATE_DIR,
        config=config or configuration.SYSTEM_FILE,
        mode=0o644 if given.file in system.others else system.mode,
        targets={},
    )
    for file in _files(given, system):
        target = _target(given, job, file)
        job.targets[target] = _text(job, file)
    return job


def _known_place(system: System, folder: str) -> Optional[Place]:
    """What is known of a FOLDER that was named."""
    wanted = os.path.abspath(folder)
    return next((place for place in system.places if place.folder == wanted), None)


def _files(given: argparse.Namespace, system: System) -> Tuple[str, ...]:
    if not given.file:
        return system.files
    known = (*system.files, *system.others)
    if given.file not in known:
        raise _Stop(f"--file {given.file}: is none of {', '.join(known)}", common.USAGE)
    if given.file in system.others and not given.print and not given.dest:
        text = f"--file {given.file}: is for a web interface: add --print, or --dest"
        raise _Stop(text, common.USAGE)
    return (given.file,)


def _target(given: argparse.Namespace, job: Job, file: str) -> str:
    """Where FILE goes, below no root."""
    if given.dest:
        dest: str = os.path.abspath(given.dest)
        if os.path.isdir(below(job.root, dest)) or given.dest.endswith("/"):
            return os.path.join(dest, file)
        if len(_files(given, job.system)) > 1:
            raise _Stop(f"--dest {given.dest}: must be a folder, for {job.name} has several files")
        return dest
    if job.place is not None:
        return os.path.join(job.place.folder, file)
    if given.print:
        return file
    looked = ", ".join(place.folder for place in job.system.places)
    text = f"no {job.name} found (looked for {looked}): --dest FOLDER says where its file goes"
    raise _Stop(text, common.UNAVAILABLE)


def _text(job: Job, file: str) -> str:
    text = drop_ins.text_of(job.system, file, job.command)
    if job.name == "systemd" and job.sharing is not None:
        user, group, shared = job.sharing.users[0], job.sharing.group, job.sharing.shared
        return drop_ins.unit(text, user, group, job.state_dir, shared)
    return text


def _running(root: str) -> str:
    """The path of the brtel-notify command that is running. Raises _Stop."""
    path = as_user.running(root)
    if path is None:
        raise _Stop("cannot tell where the command brtel-notify is: call it by its full path")
    return path


# --- for whom -------------------------------------------------------------------------------------


def _sharing(given: argparse.Namespace, known: UnixUsers, state_dir: str) -> Optional[Sharing]:
    """Who works with the state folder; None where that is not known. Raises _Stop."""
    missing = [user for user in given.user or () if known.user(user) is None]
    if missing:
        raise _Stop(f"--user {missing[0]}: there is no such user", common.USAGE)
    users = given.user or []
    if given.system == "systemd":
        users = users or _earlier(known, state_dir) or _only_one(known)
        if not users and not given.print:
            raise _Stop("whom shall it run as? --user NAME says so", common.USAGE)
    elif not given.dest:
        users = users or _users_of(drop_ins.find(given.system, known.root), known)
    if not users:
        return None
    # Whoever works with the state folder already is not locked out of it.
    users = [*users, *(_owner(known, state_dir) if given.user else _earlier(known, state_dir))]
    return unix_users.sharing(known, users, given.group or unix_users.sharer(known, state_dir))


def _users_of(place: Optional[Place], known: UnixUsers) -> List[str]:
    """Whom a system runs as: the first of its usual users that there is."""
    return [user for user in (place.users if place else ()) if known.user(user)][:1]


def _earlier(known: UnixUsers, state_dir: str) -> List[str]:
    """Those who use brtel-notify here already: systems with a drop-in, the state folder's owner.

    A user alone means nothing: Zabbix's agent brings its server's user to every machine.
    """
    users = []
    for name, system in SYSTEMS.items():
        place = drop_ins.find(name, known.root)
        if place is not None:
            drop_in = os.path.join(place.folder, system.files[0])
            if os.path.exists(below(known.root, drop_in)):
                users += _users_of(place, known)
    return [*users, *_owner(known, state_dir)]


def _owner(known: UnixUsers, state_dir: str) -> List[str]:
    """The user whose the state folder is; none where it is root's, and a group's."""
    try:
        owner = os.stat(below(known.root, state_dir)).st_uid
    except OSError:
        return []
    name = known.name_of(owner) if owner else None
    return [name] if name else []


def _only_one(known: UnixUsers) -> List[str]:
    """Whom the monitoring runs as, where the machine has only one monitoring system."""
    users = {user for name in SYSTEMS for user in _users_of(drop_ins.find(name, known.root), known)}
    return list(users) if len(users) == 1 else []


# --- doing it -------------------------------------------------------------------------------------


def _print(job: Job) -> None:
    """The files on stdout, and nothing else, so that it can go to a file or a pipe."""
    for target, text in job.targets.items():
        if len(job.targets) > 1:
            sys.stdout.write(f"# --- {target}\n")
        sys.stdout.write(text)


def _is_to_be_put(job: Job, path: str, force: bool) -> bool:
    """Whether PATH has to be written. Raises _Stop if somebody has changed what is there."""
    own = below(job.root, path)
    drop_ins.refuse_links(own)
    data = job.targets[path].encode()
    there = drop_ins.read(own)
    if there is None or there == data or force:
        return there is None or not drop_ins.is_same(own, data, job.mode)
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
        print(one_line(line))
    if len(shown) > MOST_LINES:
        print(f"… and {len(shown) - MOST_LINES} lines more")
    raise _Stop(f"{path}: is there, and differs: --force replaces it")


def _put(job: Job, changed: List[str], dry_run: bool) -> None:
    for path, text in job.targets.items():
        if path not in changed:
            print(f"already there: {path}")
            continue
        if not dry_run:
            own = below(job.root, path)
            if job.place is not None:  # a folder that only zabbix_server.conf knows so far
                os.makedirs(os.path.dirname(own), 0o755, exist_ok=True)
            drop_ins.put(own, text.encode(), job.mode)
        print(f"{'would put' if dry_run else 'put'}: {path} (mode {job.mode:04o})")


def _change(job: Job, given: argparse.Namespace) -> List[str]:
    """Make the changes to the machine; the commands of those that are left to somebody else."""
    if job.sharing is None or (given.dest and not given.user):
        return []
    secrets = _secrets(job)
    config = below(job.root, job.config)
    # Whoever else can write the configuration must not choose which of root's files is opened.
    owner = unix_users.writer(config) if os.path.exists(config) else None
    actions = unix_users.actions(
        job.machine_users, job.sharing, job.state_dir, job.config, secrets, owner
    )
    if given.dry_run:
        for action in actions:
            print(f"would do: {action.text}")
        return []
    return as_user.make(job.machine_users, actions)


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
            f"write {job.config} ({_name(job)} init asks what it needs), then again:"
            f" {_again(job, given)}"
        )
    steps += _STEPS[job.name](job)
    runs = has_config and not (undone or given.dry_run or given.no_test)
    runs = runs and as_user.can_become(job.machine_users, user)
    test = [*job.command.words, "test"]
    if not runs:
        named = [_name(job), *test[1:]]
        steps.append(shlex.join(["sudo", "-u", user, *named] if user else named))
    print(common.paint("left to do:", "bold"))
    for number, step in enumerate(steps, 1):
        print(f"  {number}. {step}")
    return as_user.prove(job.machine_users, test, user) if runs else 0


def _name(job: Job) -> str:
    """How a person calls the command."""
    return "brtel-notify" if job.command.path == drop_ins.COMMAND else job.command.path


def _again(job: Job, given: argparse.Namespace) -> str:
    words = [_name(job), *job.command.words[1:], "install", job.name]
    words += [word for user in given.user or () for word in ("--user", user)]
    words += ["--group", given.group] if given.group else []
    return shlex.join(words)


def _restart(job: Job, also: str = "") -> str:
    """The command that restarts what has a new group, or reads a new configuration."""
    services = [also] if also else []
    if job.sharing is not None and job.sharing.shared:
        for name in SYSTEMS:
            place = drop_ins.find(name, job.root)
            if place and place.service and set(place.users) & set(job.sharing.users):
                services.append(place.service)
    unique = list(dict.fromkeys(services))
    return f"systemctl restart {' '.join(unique)}" if unique else ""


def _target_of(job: Job) -> str:
    return next(iter(job.targets))


def _nagios_steps(job: Job) -> List[str]:
    place, steps = job.place, []
    naemon = place is not None and place.service == "naemon"  # it has no environment macros
    enlist = (
        "in the hosts and services (or their templates) whose alerts shall open tickets:"
        f" contact_groups +brtel-notify{'-arguments' if naemon else ''}"
    )
    if place is None:
        return [
            f"in nagios.cfg: enable_environment_macros=1, and cfg_file={_target_of(job)}, unless"
            " a cfg_dir has it",
            enlist,
            "restart Nagios",
        ]
    main = place.main
    macros = drop_ins.settings(below(job.root, main)).get("enable_environment_macros", [])
    if naemon:
        pass
    elif not macros:
        steps.append(f"echo enable_environment_macros=1 >> {main}")
    elif macros[-1] != "1":
        steps.append(
            f"sed -i 's/^ *enable_environment_macros *=.*/enable_environment_macros=1/' {main}"
        )
    if not drop_ins.includes(main, _target_of(job), job.root):
        steps.append(f"echo cfg_file={_target_of(job)} >> {main}")
    steps.append(enlist)
    steps.append(f"{place.check} && {_restart(job, place.service)}")
    return steps


def _icinga_steps(job: Job) -> List[str]:
    return [
        "in the hosts and services whose alerts shall open tickets: vars.brtel_notify = true"
        f" (with Icinga Director, instead of this file: {_name(job)} install icinga"
        " --file brtel-notify-director-basket.json --print | icingacli director basket restore)",
        f"icinga2 daemon -C && {_restart(job, 'icinga2')}",
    ]


def _zabbix_steps(job: Job) -> List[str]:
    restart = _restart(job)
    steps = [f"{restart} (a running daemon has not got its new group)"] if restart else []
    return [
        *steps,
        f"{_name(job)} install zabbix --file media_brtel_notify.yaml --print > media.yaml (Zabbix"
        " 7.0 and later: media_brtel_notify_7.0.yaml), and import that file on Zabbix's page Media"
        " types",
        "give the media to a user of its own, and that user to an action's operations, recovery"
        " operations and update operations",
    ]


def _librenms_steps(job: Job) -> List[str]:
    form = {"Command": job.command.path, "Configuration file": job.command.config}
    form["State folder"] = job.command.state_dir
    usual = ("", drop_ins.COMMAND)
    fields = "".join(f", {name} {value}" for name, value in form.items() if value not in usual)
    restart = _restart(job)
    steps = [f"{restart} (a running daemon has not got its new group)"] if restart else []
    return [
        *steps,
        f"in LibreNMS, Alerts > Alert Transports: add one of the type BlueRockTEL{fields}",
        "press Test transport beside it: it opens no ticket",
        "Alerts > Alert Rules: name the transport in the rules that shall open tickets"
        " (a default transport serves all rules)",
    ]


def _systemd_steps(job: Job) -> List[str]:
    return [
        "systemctl daemon-reload",
        "systemctl enable --now brtel-notify-worker (a busy server), or instead of it:"
        " systemctl enable --now brtel-notify-flush.timer",
        "systemctl status brtel-notify-worker",
    ]


_STEPS: Dict[str, Callable[[Job], List[str]]] = {
    "librenms": _librenms_steps,
    "nagios": _nagios_steps,
    "icinga": _icinga_steps,
    "zabbix": _zabbix_steps,
    "systemd": _systemd_steps,
}
