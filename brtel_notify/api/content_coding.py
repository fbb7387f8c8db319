"""The codings of an answer's body (Content-Encoding), undone within a limit.

urllib3 1.26 undoes them itself, one over another, as large as they come: 3 KB become 4 GB.
"""

from __future__ import annotations

import zlib
from typing import List

#: More codings, one over another, no server needs.
MOST_CODINGS = 2
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class TooLong(ValueError):
    """The body is longer than allowed."""


class BadCoding(ValueError):
    """The body is not what its codings say, or they are none that were asked for."""


def decoded(body: bytes, codings: str, limit: int) -> bytes:
    """BODY without the CODINGS, the value of its header; at most LIMIT bytes at every stage.

    Raises TooLong, BadCoding.
    """
    names = _names(codings)
    if len(names) > MOST_CODINGS:
        raise BadCoding("too many codings")
    for name in reversed(names):
        body = _undone(body, name, limit)
    return body


def _names(codings: str) -> List[str]:
    names = (name.strip().lower() for name in codings.split(","))
    return [name for name in names if name not in ("", "identity")]


def _undone(body: bytes, name: str, limit: int) -> bytes:
    if not body:
        return body  # of a HEAD, a 204
    if name in ("gzip", "x-gzip"):
        return _inflated(body, _GZIP, limit)
    if name != "deflate":
        raise BadCoding(f"{name} was not asked for")
    try:
        return _inflated(body, _ZLIB, limit)
    except BadCoding:  # as some servers understand the word
        return _inflated(body, _RAW, limit)


def _inflated(body: bytes, form: int, limit: int) -> bytes:
    inflater = zlib.decompressobj(form)
    try:
        found = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadCoding(str(error)) from None
    if len(found) > limit:
        raise TooLong
    if not inflater.eof:
        raise BadCoding("it is cut short")
    return found
