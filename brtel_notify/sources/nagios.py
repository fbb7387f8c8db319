"""Nagios Core, Icinga 1, Naemon: macros in the environment (``enable_environment_macros=1``)."""

from __future__ import annotations

from .macros import parse

__all__ = ["parse"]
