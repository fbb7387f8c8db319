"""``python -m brtel_notify``."""

import sys

from brtel_notify.local import interpreter

# Before anything is imported that does not come with this program or has not been already.
sys.path[:] = interpreter.import_path()

from brtel_notify.cli import entry  # noqa: E402

entry()
