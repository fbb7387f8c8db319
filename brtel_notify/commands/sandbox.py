"""``brtel-notify sandbox``: a local BlueRockTEL."""

from __future__ import annotations

from typing import List

from brtel_notify.options import Options


def run(arguments: List[str], options: Options) -> int:
    """Serve the sandbox until told to stop."""
    from brtel_notify.sandbox import command

    return command.run(arguments)
