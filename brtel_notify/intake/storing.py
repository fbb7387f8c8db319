"""Storing a capture: one file an event in the queue.

Every alert imports this module: nothing heavy, and nothing of what reads the queue (queue.py).
"""

from __future__ import annotations

import os

from brtel_notify.intake import order
from brtel_notify.local import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brtel_notify.intake.capture import Capture

SUFFIX = ".jsonl"


def id_of(path: str) -> str:
    """The id of the event whose file is PATH."""
    return os.path.basename(path)[: -len(SUFFIX)]


class Store:
    """The folders ``queue`` and ``dead`` below the state folder.

    Raises OSError from every method when the disk does not do what is asked.
    """

    def __init__(self, state_dir: str) -> None:
        self.state_dir = state_dir
        self.folder = os.path.join(state_dir, "queue")
        self.dead_folder = os.path.join(state_dir, "dead")

    def put(self, capture: Capture) -> str:
        """Store CAPTURE; the path of its file. Once this returns, it cannot be lost."""
        self.make_folders()
        path = os.path.join(self.folder, order.new_id(self.state_dir, self.folder) + SUFFIX)
        try:
            files.write_whole(path, capture.as_bytes())
        except OSError:
            # The caller will be told that it is not stored, and call again: once is enough.
            files.remove_quietly(path)
            raise
        return path

    def make_folders(self) -> None:
        """Create the state folder and what belongs into it, if they are not there."""
        if files.is_folder(self.folder) and files.is_folder(self.dead_folder):
            return
        os.makedirs(os.path.dirname(os.path.abspath(self.state_dir)), exist_ok=True)
        files.make_folder(self.state_dir)
        files.make_folder(self.folder, self.state_dir)
        files.make_folder(self.dead_folder, self.state_dir)
