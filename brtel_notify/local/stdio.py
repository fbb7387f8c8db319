"""stdout and stderr that never block, though nobody may read them.

Every alert imports this module.
"""

from __future__ import annotations

import _thread
import io
import os

from brtel_notify.local import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, TextIO

    from brtel_notify.local.nonblocking import Sink


def patient(stream: TextIO) -> TextIO:
    """STREAM (sys.stdout, sys.stderr) as one that nobody waits at; it writes each line at once.

    One without a descriptor stays as it is.
    """
    try:
        raw = _Raw(stream)
    except (OSError, ValueError, AttributeError):
        return stream
    return io.TextIOWrapper(  # type: ignore[type-var] # it needs no more of a buffer
        raw,
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
    )


class _Raw(io.RawIOBase):
    """The descriptor of STREAM, for another stream; it takes all that it is given.

    ``sink`` has what could not be written at once; None as long as all could.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream  # else its end is that of the descriptor
        self._descriptor = stream.fileno()
        self._turn = _thread.RLock()
        self.sink: Optional[Sink] = None

    def write(self, data: Any) -> int:
        left = bytes(data)
        with self._turn:
            if self.sink is None:
                left = files.written_at_once(self._descriptor, left)
                if not left:
                    return len(data)
                from brtel_notify.local.nonblocking import Descriptor

                self.sink = Descriptor(self._descriptor)
            self.sink.put(left)
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)


def sink_of(stream: Any) -> Optional[Sink]:
    """What STREAM, if it is a patient one, could not write at once."""
    raw = getattr(stream, "buffer", None)
    return raw.sink if isinstance(raw, _Raw) else None
