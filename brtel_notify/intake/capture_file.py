"""The file of a capture, read again: today's form (capture.py says which), and version 1."""

from __future__ import annotations

import json
from typing import List, Tuple

from brtel_notify.intake.capture import END, MARK, VERSION, Capture, decoded
from brtel_notify.local.plausible import is_time

#: A first line is no longer than that, nor is a size in it.
_LONGEST_LINE, _LONGEST_SIZE = 200, 12


def read(data: bytes) -> Tuple[Capture, bytes]:
    """The capture in the DATA of a file, and the lines of the journal behind it.

    Raises ValueError, KeyError, TypeError, RecursionError when there is none.
    """
    if not data.startswith(MARK):
        return _of_version_1(data)
    at = data.find(b"\n", 0, _LONGEST_LINE)
    version, time, *sizes, source = data[len(MARK) : max(at, 0)].split(b" ", 5)
    if version != VERSION.encode() or len(sizes) != 3:
        raise ValueError("no line of this version's")
    at += 1
    blocks = []
    for size in map(_size, sizes):
        blocks.append(data[at : at + size])
        at += size
    if data[at : at + len(END)] != END:
        raise ValueError("the sizes are wrong")
    env = dict(_variable(item) for item in _items(blocks[0]))
    capture = Capture(decoded(source), env, _items(blocks[1]), decoded(blocks[2]), float(time))
    return _sound(capture), data[at + len(END) :]


def _size(digits: bytes) -> int:
    if len(digits) > _LONGEST_SIZE or not digits.isdigit():
        raise ValueError("no size")
    return int(digits)


def _items(block: bytes) -> List[str]:
    *items, rest = decoded(block).split("\0")
    if rest:
        raise ValueError("no NUL behind the last one")
    return items


def _variable(item: str) -> Tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals:
        raise ValueError("no variable")
    return name, value


def _of_version_1(data: bytes) -> Tuple[Capture, bytes]:
    """What version 0.1.0 and older wrote: JSON in the first line."""
    line, _, journal = data.partition(b"\n")
    given = json.loads(line)
    capture = Capture(given["source"], given["env"], given["argv"], given["stdin"], given["time"])
    if not isinstance(given["env"], dict) or not isinstance(given["argv"], list):
        raise ValueError("a field has an impossible type")
    return _sound(capture), journal


def _sound(capture: Capture) -> Capture:
    """CAPTURE, if all of it is what it should be. Raises ValueError."""
    texts = [capture.source, capture.stdin, *capture.argv, *capture.env, *capture.env.values()]
    if not is_time(capture.time) or not all(isinstance(each, str) for each in texts):
        raise ValueError("a field has an impossible type")
    if not capture.source.isascii():  # no name of ours
        raise ValueError("no source")
    return capture
