"""The drop-ins that there are: one for each source that has one, and systemd's."""

from __future__ import annotations

from importlib import import_module
from typing import Dict

from brtel_notify.setup.drop_in import DropIn
from brtel_notify.sources import registry

SYSTEMD = "systemd"


def monitoring() -> Dict[str, DropIn]:
    """Those of the monitoring systems, by the source's name."""
    return {source.name: _of(source.name) for source in registry.sources() if source.has_drop_in}


def everything() -> Dict[str, DropIn]:
    """Those of the monitoring systems, and systemd's."""
    return {**monitoring(), SYSTEMD: _of(SYSTEMD)}


def _of(name: str) -> DropIn:
    found: DropIn = import_module(f"brtel_notify.setup.systems.{name}").DROP_IN
    return found
