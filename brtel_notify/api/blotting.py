"""A secret that the server repeats is blotted out of what is shown, logged or stored of its answer.

It may repeat the secret as it is, in part, or written otherwise: percent-encoded, as JSON or HTML
escape it, in base64 or hex, small or capital, backwards.
"""

from __future__ import annotations

import base64
import bisect
import functools
import json
import re
from typing import Iterator, List, Match, Tuple
from urllib.parse import quote

BLOT = "***"
#: A part of so many characters is blotted out, too: fewer say nothing, and stand in any text.
LEAST = 8
#: …and of so many, out of what other programs read.
LEAST_OF_DATA = 16
#: Bytes of an answer that are searched for all forms and parts: it takes a tenth of a second.
LONGEST_SEARCHED = 1024 * 1024

_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz0123456789+/-_=")

# One character written as several: %7C and %257C, &#124; and &#x7c;, \u007c, \x7c, \/ and \".
_ESCAPED = re.compile(
    r"%(?:25)*([0-9a-f]{2})|&#x0*([0-9a-f]{2});|&#0*([0-9]{2,3});|\\(?:u00|x)([0-9a-f]{2})|\\([/\"'])",
    re.IGNORECASE,
)


def blotted(text: str, secrets: Tuple[str, ...], least: int = LEAST) -> str:
    """TEXT without SECRETS, and without their parts of LEAST characters or more."""
    wanted = tuple(secret for secret in secrets if secret)
    if not wanted:
        return text
    plain, places = _plain(text)
    spans: List[Tuple[int, int]] = []
    for secret in wanted:
        for form, shortest, is_base64 in _forms(secret, least):
            for begin, end in _common(plain, form, shortest):
                spans.append(_whole(plain, begin, end) if is_base64 else (begin, end))
    if not spans:
        return text
    kept, done = [], 0
    for begin, end in _merged(spans):
        first, last = _place(places, begin), _place(places, end)
        kept += [text[done:first], BLOT]
        done = last
    return "".join([*kept, text[done:]])


def blotted_answer(content: bytes, token: str, least: int) -> bytes:
    """CONTENT, the body of an answer, without TOKEN and its parts of LEAST characters or more.

    A very long one only without all of it, as it is or as JSON or PHP writes it.
    """
    if len(content) <= LONGEST_SEARCHED:
        text = content.decode("latin-1")  # a character each byte, and back
        found = blotted(text, (token,), least)
        return content if found is text else found.encode("latin-1")
    as_json = json.dumps(token)[1:-1]
    for form in (token, as_json, as_json.replace("/", "\\/"), quote(token, safe="")):
        content = content.replace(form.encode("utf-8"), BLOT.encode())
    return content


# --- the text, with nothing escaped ---------------------------------------------------------------

#: Where in the plain text, and where in the original, a piece without escapes begins.
Places = List[Tuple[int, int]]


def _plain(text: str) -> Tuple[str, Places]:
    """TEXT in small letters with one character for each escape, and where its pieces come from."""
    pieces: List[str] = []
    places: Places = [(0, 0)]
    length = done = 0
    for found in _ESCAPED.finditer(text):
        piece = text[done : found.start()] + _character(found)
        pieces.append(piece)
        places += [(length + len(piece) - 1, found.start()), (length + len(piece), found.end())]
        length += len(piece)
        done = found.end()
    pieces.append(text[done:])
    return _small("".join(pieces)), places


def _character(found: Match[str]) -> str:
    percent, hexadecimal, decimal, unicode, itself = found.groups()
    if itself:
        return itself
    return chr(int(decimal) if decimal else int(percent or hexadecimal or unicode, 16))


def _place(places: Places, position: int) -> int:
    """Where in the original text the POSITION of the plain one is."""
    index = bisect.bisect_right(places, (position, len(places) and 1 << 62)) - 1
    begin, original = places[index]
    return original + position - begin


def _small(text: str) -> str:
    small = text.lower()
    if len(small) == len(text):
        return small
    return "".join(char.lower() if len(char.lower()) == 1 else char for char in text)


# --- the secret -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=16)
def _forms(secret: str, least: int) -> Tuple[Tuple[str, int, bool], ...]:
    """What SECRET may be written as, in small letters; how much of that is a part of it; and
    whether it is in base64."""
    found = {}
    for each in (secret, quote(secret, safe="")):
        found[_small(each)] = min(least, len(each)), False
        if len(each) < LEAST:  # what is made of so little stands in any text
            continue
        found[_small(each[::-1])] = min(least, len(each)), False
        data = each.encode("utf-8", "replace")
        found[data.hex()] = min(2 * least, 2 * len(data)), False
        for form in _base64(data):
            found[_small(form)] = min(least + least // 2, len(form)), True
    return tuple((form, *how) for form, how in found.items() if form)


def _base64(data: bytes) -> Iterator[str]:
    """What DATA is in base64, wherever in a longer text it stands, without what its neighbours make
    of its first and last character."""
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data).rstrip(b"=").decode()
        inner = text[(0, 2, 3)[before] :]
        if (before + len(data)) % 3:
            inner = inner[:-1]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")


def _whole(text: str, begin: int, end: int) -> Tuple[int, int]:
    """With what stands beside it in the same base64: its first and last bits are of the secret."""
    while begin and text[begin - 1] in _ALPHABET:
        begin -= 1
    while end < len(text) and text[end] in _ALPHABET:
        end += 1
    return begin, end


def _common(text: str, form: str, least: int) -> Iterator[Tuple[int, int]]:
    """Where in TEXT a part of FORM of LEAST characters or more stands.

    Such a part holds one of the pieces that FORM is cut into, whole, and reaches out from there.
    """
    size = max(1, (least + 1) // 2)
    for at in range(0, len(form) - size + 1, size):
        piece = form[at : at + size]
        found = text.find(piece)
        while found >= 0:
            begin, end, first, last = found, found + size, at, at + size
            while begin and first and text[begin - 1] == form[first - 1]:
                begin, first = begin - 1, first - 1
            while end < len(text) and last < len(form) and text[end] == form[last]:
                end, last = end + 1, last + 1
            if end - begin >= least:
                yield begin, end
            found = text.find(piece, found + 1)


def _merged(spans: List[Tuple[int, int]]) -> Iterator[Tuple[int, int]]:
    begin, end = -1, -1
    for first, last in sorted(spans):
        if first > end:
            if end >= 0:
                yield begin, end
            begin, end = first, last
        end = max(end, last)
    yield begin, end
