"""The configuration that a command works with, and what it calls BlueRockTEL with."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Optional

from brtel_notify.config import schema
from brtel_notify.config.schema import Config
from brtel_notify.local.log import Log
from brtel_notify.options import Options

if TYPE_CHECKING:
    from brtel_notify.delivery.services import Services


def load_config(options: Options) -> Config:
    """The configuration. Raises ConfigError."""
    return schema.load(schema.find(options.config, os.environ), os.environ)


def services_of(options: Options, config: Optional[Config] = None) -> Services:
    """What calls are made with, for CONFIG if that is loaded already. Raises ConfigError."""
    from brtel_notify.delivery.services import Services

    log = Log(options.verbose, options.log_format)
    state_dir = options.state_dir(os.environ)
    return Services(config or load_config(options), state_dir, log, time.time, os.environ)
