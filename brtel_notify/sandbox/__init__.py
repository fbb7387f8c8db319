"""A local BlueRockTEL: the documented ticket API on loopback, with faults on demand.

Importing this package needs no Flask; serving does.
"""

from __future__ import annotations

from typing import List


def main(argv: List[str]) -> int:
    """Run ``brtel-notify sandbox`` with the arguments `argv`; returns the exit code.

    0 after SIGTERM or Ctrl-C, 2 for faults that are not understood, 65 for a data file that cannot
    be read, 70 without Flask or when the port is taken. A wrong option leaves by SystemExit(2), as
    argparse does.
    """
    from .command import run

    return run(argv)
