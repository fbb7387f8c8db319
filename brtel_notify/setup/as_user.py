"""What init and install do to a machine for the monitoring's user, and prove as that user."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from typing import Any, Dict, List, Optional, Sequence

from brtel_notify.console.failures import fail
from brtel_notify.console.output import paint
from brtel_notify.setup import machine_files
from brtel_notify.setup.unix_users import Action, UnixUsers


def running(root: str = "/") -> Optional[str]:
    """The path of the brtel-notify command that is running; None where it is called otherwise."""
    if root != "/" and os.path.exists(machine_files.below(root, machine_files.COMMAND)):
        return machine_files.COMMAND
    beside = os.path.join(os.path.dirname(sys.executable), "brtel-notify")
    for candidate in (sys.argv[0], beside):
        found = shutil.which(candidate) if os.path.basename(candidate) == "brtel-notify" else None
        if found:
            path = os.path.abspath(found)
            usual = os.path.exists(machine_files.COMMAND) and os.path.samefile(
                machine_files.COMMAND, path
            )
            return machine_files.COMMAND if usual else path
    return None


def make(known: UnixUsers, actions: Sequence[Action]) -> List[str]:
    """Make the changes; the commands of those that are left to root. Raises Stop, OSError.

    What comes after one that is left may need it, a group that is not there yet: it is left, too.
    """
    undone: List[str] = []
    for action in actions:
        left = os.geteuid() != 0 or (action.on_accounts and known.root != "/")
        if left or undone:
            undone.append(action.text)
        else:
            action.perform()
            print(f"done: {action.text}", flush=True)
    return undone


def can_become(known: UnixUsers, user: str) -> bool:
    """Whether this process can do on this machine what the monitoring's USER will do."""
    ids = known.user(user)
    return known.root == "/" and ids is not None and os.geteuid() in (0, ids[0])


def prove(known: UnixUsers, test: List[str], user: str) -> int:
    """Run the command line TEST as the monitoring's USER; its exit code."""
    ids = known.user(user)
    assert ids is not None  # noqa: S101 - the users in a Sharing are known
    become = os.geteuid() == 0
    whom = f" (as {user})" if become else ""
    print(paint(f"{shlex.join(test)}{whom}:", "bold"), flush=True)
    # What the administrator's own shell has set is not what the monitoring will have.
    env = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    try:
        identity: Dict[str, Any] = {}
        if become:
            groups = os.getgrouplist(user, ids[1])
            identity = {"user": ids[0], "group": ids[1], "extra_groups": groups}
        return subprocess.run(test, env=env, cwd="/", check=False, **identity).returncode
    except OSError as error:
        return fail(f"{user} cannot run {test[0]}: {error.strerror}", os.EX_CANTCREAT)
