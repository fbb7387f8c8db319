"""``python -m brtel_notify``."""

from brtel_notify.cli import entry

entry()
