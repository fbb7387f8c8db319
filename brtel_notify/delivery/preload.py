"""All that a delivery may need, loaded at once.

A worker runs for months, and imports much of itself only when it is needed. If brtel-notify is
upgraded meanwhile, what is then found on the disk belongs to another version, or is gone.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

#: The rooms that a delivery passes through, delivery/ itself and all below it.
ROOMS = ("local", "intake", "sources", "config", "text", "api", "tickets", "delivery")


def load() -> None:
    """Import every module of ROOMS."""
    for room in ROOMS:
        package = import_module(f"brtel_notify.{room}")
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            import_module(module.name)
