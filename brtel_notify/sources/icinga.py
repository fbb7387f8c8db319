"""Icinga 2: the variables that the ``env`` dictionary of a NotificationCommand sets."""

from __future__ import annotations

from brtel_notify.sources.macros import parse

__all__ = ["parse"]
