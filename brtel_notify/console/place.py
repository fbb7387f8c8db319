"""Where a command works: its state folder, configuration, log. Notifications need no more."""

from __future__ import annotations

import os

from brtel_notify.config import schema
from brtel_notify.delivery.drain import Place
from brtel_notify.local.log import Log
from brtel_notify.options import Options


def place(options: Options) -> Place:
    """The place that the global options and the environment name."""
    return Place(
        state_dir=options.state_dir(os.environ),
        config_file=schema.find(options.config, os.environ),
        environ=os.environ,
        log=Log(options.verbose, options.log_format),
    )
