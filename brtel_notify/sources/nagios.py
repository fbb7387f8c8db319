"""Nagios Core, Icinga 1: macros in the environment (``enable_environment_macros=1``).

Naemon has no such setting: there, and wherever it is off, the macros come by ``--var``.
"""

from __future__ import annotations

from brtel_notify.sources.macros import parse

__all__ = ["parse"]
