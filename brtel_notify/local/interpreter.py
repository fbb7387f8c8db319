"""Where this Python imports from, and brtel-notify in a process of its own.

Python puts the current folder before everything else that it imports from, where it is started as
``python -m`` or ``-c``. That folder may be anybody's, and we may be root. Hence, in this module, no
import but of what every Python has imported already, and ``__future__`` is none of that.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List

#: The folder that this program lies in, a checkout for instance.
_OURS = os.path.abspath(__file__).rsplit(os.sep, 3)[0]
_START = "import sys; sys.path[:] = {paths!r}; from brtel_notify.cli import entry; entry()"


def import_path() -> "List[str]":
    """``sys.path`` without the current folder in front, unless this program itself lies in it."""
    try:
        here = os.getcwd()
    except OSError:  # it is gone
        here = ""
    if here == _OURS:
        return sys.path[:]
    first = 1 if sys.path[:1] == [here] else 0
    return [path for path in sys.path[first:] if path]  # an empty one is the current folder, too


def command(*arguments: str) -> "List[str]":
    """The command line that runs this brtel-notify with ARGUMENTS in a process of its own.

    It imports from where this process does. ``-I``: with ``-c`` alone, Python 3.13 imports from the
    current folder before it begins with what it was given.
    """
    # Last, the folder of a program that is found by a hook of the user's own, which -I leaves out.
    start = _START.format(paths=[*import_path(), _OURS])
    return [sys.executable, "-I", "-c", start, *arguments]
