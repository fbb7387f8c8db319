"""Where a drain delivers from, and how."""

from __future__ import annotations

import os
import time
from typing import Callable, Mapping, NamedTuple

from brtel_notify.config import schema
from brtel_notify.local.log import Log
from brtel_notify.options import Options


class Place(NamedTuple):
    """The command line's global options, the environment, and the clock."""

    state_dir: str
    config_file: str
    environ: Mapping[str, str]
    log: Log
    clock: Callable[[], float] = time.time

    @classmethod
    def of(cls, options: Options) -> Place:
        """The place that the global options and the environment name."""
        return cls(
            state_dir=options.state_dir(os.environ),
            config_file=schema.find(options.config, os.environ),
            environ=os.environ,
            log=Log(options.verbose, options.log_format),
        )
