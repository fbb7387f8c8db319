"""Writes that do not block: into a full pipe, to a stopped terminal, to a stuck journal.

A delivery that waits there waits for ever, with the drain lock, and all that comes later waits with
it. So what cannot be written at once is left to a thread, which may hang in its write for as long
as it likes; what comes meanwhile is dropped, and counted. (O_NONBLOCK would not do: an inherited
descriptor shares it with the caller. Nor would a look whether there is room, where several
processes write to one pipe.)
"""

from __future__ import annotations

import _thread
import errno
import time
from typing import List

from brtel_notify.local import files

#: Seconds that somebody who is slow to read is waited for, in all, until he has caught up once.
PATIENCE = 1.0
#: …and after that, for each line: as long as a busy machine takes to give a thread its turn.
BRIEFLY = 0.05


class Sink:
    """Somewhere to write to. ``lost`` counts the lines that were dropped there, or refused; the
    next line that can be written says how many.

    For several threads. A subclass says what can be written without waiting, and how to write.
    """

    def __init__(self) -> None:
        self.lost = 0
        # One that its own thread may take again: a garbage collection has things to say, too.
        self._turn = _thread.RLock()
        self._busy = _thread.allocate_lock()  # taken as long as a thread writes
        self._patience = PATIENCE

    def put(self, data: bytes) -> bool:
        """Write DATA; False if it was dropped, for nobody reads what came before. Raises OSError.

        What a thread is still writing counts as written.
        """
        with self._turn:
            if self._busy.locked():
                self.lost += 1
                return False
            began = time.monotonic()
            try:
                left = self._at_once(data)
            except OSError:
                self.lost += 1
                raise
            if left:
                self._leave_to_a_thread(left)
            waited = time.monotonic() - began
            left_of_it = PATIENCE if waited < BRIEFLY else self._patience - waited
            self._patience = max(left_of_it, BRIEFLY)
            return True

    def to_tell(self) -> int:
        """How many lines were lost, if there is room again for telling it; else 0.

        Whoever tells it takes them off ``lost``.
        """
        return 0 if self._busy.locked() else self.lost

    def _leave_to_a_thread(self, data: bytes) -> None:
        """Have DATA written, and wait for that while there is patience. Raises OSError."""
        errors: List[OSError] = []

        def run() -> None:
            try:
                self._write(data)
            except OSError as error:
                self.lost += 1
                errors.append(error)
            finally:
                self._busy.release()

        self._busy.acquire()
        try:
            _thread.start_new_thread(run, ())
        except RuntimeError as error:
            self._busy.release()
            self.lost += 1
            raise OSError(errno.EAGAIN, "no more threads for this user") from error
        if self._busy.acquire(timeout=self._patience):
            self._busy.release()
        if errors:
            raise errors[0]

    def _at_once(self, data: bytes) -> bytes:
        """Write of DATA what can be written without waiting; the rest of it. Raises OSError."""
        return data

    def _write(self, data: bytes) -> None:
        """Write all of DATA, however long it takes. Raises OSError."""
        raise NotImplementedError


class Descriptor(Sink):
    """A file descriptor that was inherited."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def _at_once(self, data: bytes) -> bytes:
        return files.written_at_once(self._descriptor, data)

    def _write(self, data: bytes) -> None:
        files.write_all(self._descriptor, data)
