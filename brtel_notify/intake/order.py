"""Names that sort in the order of capture, whatever becomes of the machine's clock.

A name begins with a time that never goes back: the kernel's, which counts from the boot on, and an
offset that is the same for everybody until the next boot. Whoever comes first after a boot finds
the offset, behind all names that lie in the queue, and leaves it in a small file beside the queue.
So the queue is looked through once a boot, and not at each event. That file is only a hint: where
it is missing, damaged or of another boot, or the clock was set forward since, the queue is looked
through again.
"""

from __future__ import annotations

import os
import time

from brtel_notify.local import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

#: The hint's name, in front of the boot that it is of.
PREFIX = ".order."
#: What tells one boot from another (random(4)).
BOOT_ID = "/proc/sys/kernel/random/boot_id"
#: Nanoseconds by which names may lie behind the clock.
_SECOND = 10**9
#: Twenty digits that begin with a zero: this century, and the next two.
_END = 10**19
#: The time in the last name given by this process: two of its names are never the same.
_latest = 0


def new_id(state_dir: str, folder: str) -> str:
    """A name that sorts behind all names in FOLDER, the queue of STATE_DIR. Raises OSError."""
    global _latest
    boot = _boot()
    now = (_by_the_hint(state_dir, boot) if boot else None) or _begin(state_dir, folder, boot)
    _latest = max(now, _latest + 1)
    return f"{_latest:020d}-{os.getpid():07d}-{os.urandom(3).hex()}"


def sweep(state_dir: str) -> None:
    """Remove the hints of other boots. Raises OSError."""
    mine = PREFIX + _boot()
    try:
        names = files.names_in(state_dir)
    except FileNotFoundError:
        return
    for name in names:
        if name.startswith(PREFIX) and name != mine and not name.endswith(".tmp"):
            files.remove_quietly(os.path.join(state_dir, name))


def _boot() -> str:
    """What names this boot; empty where the system does not say, and then nothing is kept."""
    try:
        with open(BOOT_ID, "rb") as file:
            name = file.read(64).decode("ascii").strip()
        return name if _since_boot() and "/" not in name else ""
    except (OSError, ValueError, AttributeError):
        return ""


def _since_boot() -> int:
    """Nanoseconds; a pause of the whole machine counts."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _by_the_hint(state_dir: str, boot: str) -> Optional[int]:
    """A time behind all names given since the boot; None without a hint, or with a bad one."""
    try:
        offset, same = files.read_whole(os.path.join(state_dir, PREFIX + boot)).split()
        found = int(offset) + _since_boot()
    except (OSError, ValueError):
        return None
    sound = offset == same and 0 < found < _END
    # Set forward, or another version has given names: nobody is to take a name for an older one.
    return found if sound and found > time.time_ns() - _SECOND else None


def _begin(state_dir: str, folder: str, boot: str) -> int:
    """The same, by all names that there are; leave a hint, if that can be."""
    # A folder's time of change does not tell: the first event after a clock was set back resets it.
    names = [name for name in files.names_in(folder) if _is_an_ids(name)]
    newest = max(names, default="").partition("-")[0]
    now = max(time.time_ns(), int(newest) + 1 if newest.isdecimal() else 0)
    if not boot:
        return now
    path = os.path.join(state_dir, PREFIX + boot)
    beside = os.path.join(state_dir, f"{PREFIX}{os.getpid()}.{os.urandom(4).hex()}.tmp")
    offset = now - _since_boot()
    try:
        if _by_the_hint(state_dir, boot) is None:
            files.remove_quietly(path)
        files.write_whole(beside, f"{offset} {offset}\n".encode("ascii"), durable=False)
        os.link(beside, path)  # the first one's is everybody's
    except OSError:  # no room for it, no hard links; or somebody was faster
        now = _by_the_hint(state_dir, boot) or now
    finally:
        files.remove_quietly(beside)
    return now


def _is_an_ids(name: str) -> bool:
    """Whether a file has a name that we gave, of this century or the next two, not a person."""
    return name.startswith("0") and name[20:21] == "-"
