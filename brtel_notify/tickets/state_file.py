"""The text of ``state.json``, and the entries in it, found without parsing the others.

In the shape that the program gives the file, an entry begins at the only lines that are four spaces
and a quote, and ends at the only ones that are four spaces and a brace. (JSON keeps line breaks out
of strings, so no alert can fake one.) So ten thousand open tickets stay one string of bytes,
searched for the one that matters. A file that a person or jq gave another shape is read as any
JSON.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from typing import Any, Dict, Iterator, List, Optional, Pattern, Set, Tuple

from brtel_notify.local import files
from brtel_notify.local.private_folder import PrivateFolder

VERSION = 1
_HEAD = b'{\n  "version": 1,\n  "tickets": {'
_FOOT = b"\n  }\n}\n"
_BEGIN, _END = b'\n    "', b"\n    }"
#: A key as only we write it: what a person's slip made of one must not be met in an entry's place.
_WHOLE_BEGIN = rb'\n    "(?:[^"\\\n]|\\(?:["\\bfnrt]|u[0-9a-f]{4}))*": \{\n'
#: Ways to write a character that are right, and not ours: a key so written would not be found.
_OTHER_ESCAPES = rb"\\(?:/|u[0-9a-f]{0,3}[A-F])"


#: The part of an entry in our shape that says what has become of its ticket: severity; when it was
#: closed, when it recovered; muted, when it was last looked at. Each is text as JSON has it.
Fate = Tuple[bytes, Tuple[bytes, bytes, bytes, bytes]]
_TIME = rb'(null|"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")'
_FATE = re.compile(
    rb'\n      "closed_at": %b,\n      "recovered_at": %b,\n      "muted": (true|false),'
    rb'\n      "checked_at": %b,' % (_TIME, _TIME, _TIME)
)
_SEVERITY = re.compile(rb'\n      "severity": "(unknown|ok|info|warning|critical)",')
_HEADS = re.compile(rb'\n      "ticket_id": \d+,\n      "number": "[^"\n]*",\n      "customer": \{')


class LaterVersion(Exception):
    """state.json was written by a later version of brtel-notify."""


class Texts:
    """The text of each entry by its key, in order. Entries are replaced in their place.

    At first all of it is one string of bytes, in which an entry is searched for: whoever needs one
    or two has nothing to prepare. After ENOUGH_LOOKS it is spread out, once, and from then on a
    look costs the same however many entries there are.

    What no entry can be (a person wrote null there) is kept apart until somebody asks for it.
    """

    #: Spreading out costs about as much as so many looks.
    ENOUGH_LOOKS = 60

    def __init__(self, data: bytes = _HEAD + _FOOT) -> None:
        self._data = data
        self._misfits: Dict[str, str] = {}
        self._looks = 0
        self._spread: Optional[Spread] = None
        #: What is not in the data: a new alert is looked for several times.
        self._absent: Set[bytes] = set()

    @classmethod
    def of(cls, texts: Dict[str, str]) -> Texts:
        """Of entries that are apart already."""
        fitting = {key: text for key, text in texts.items() if text.endswith("\n    }")}
        made = cls(_HEAD + b",".join(_line(*entry) for entry in fitting.items()) + _FOOT)
        made._misfits = {key: text for key, text in texts.items() if key not in fitting}
        return made

    @property
    def has_misfits(self) -> bool:
        """Whether there is what no entry can be."""
        return bool(self._misfits)

    @property
    def size(self) -> int:
        """How many bytes the file has, nearly."""
        return len(self._data) if self._spread is None else self._spread.size

    def get(self, key: str) -> Optional[str]:
        """The text of an entry."""
        spread = self._looked()
        if spread is not None:
            line = spread.lines.get(key)
        else:
            place = self._place(key)
            line = self._data[place[0] : place[1]] if place is not None else None
        if line is None:
            return self._misfits.get(key)
        return line[len(_begin(key)) :].decode("ascii")

    def __setitem__(self, key: str, text: str) -> None:
        self._misfits.pop(key, None)
        line, spread = _line(key, text), self._looked()
        if spread is not None:
            spread.put(key, line)
            return
        place = self._place(key)
        if place is None:
            end = len(self._data) - len(_FOOT)
            self._replace(end, end, b"," + line if end > len(_HEAD) else line)
        else:
            self._replace(*place, line)

    def drop(self, key: str) -> None:
        """Take an entry out, if it is there."""
        self._misfits.pop(key, None)
        spread = self._looked()
        if spread is not None:
            spread.drop(key)
            return
        place = self._place(key)
        if place is None:
            return
        begin, end = place
        if self._data.startswith(b",", end):
            end += 1
        elif begin > len(_HEAD):
            begin -= 1  # the last entry: the comma before it goes
        self._replace(begin, end, b"")

    def items(self) -> Iterator[Tuple[str, str]]:
        """Every entry's key and text, in one pass."""
        for key, line in [*self._lines()]:
            yield key, line[len(_begin(key)) :].decode("ascii")
        yield from [*self._misfits.items()]

    def keys_with(self, text: str) -> List[str]:
        """The keys of the entries that may have TEXT among their members."""
        spread = self._looked()
        if spread is not None:
            return spread.keys(_MEMBER % text)
        return self._holding(json.dumps(text))

    def keys_known_by(self, lasting: str) -> List[str]:
        """The keys of the entries that may have a member known by LASTING."""
        spread = self._looked()
        return self._holding(lasting) if spread is None else spread.keys(_LASTING % lasting)

    def keys_referred_to(self, reference: str) -> List[str]:
        """The keys of the entries that may be of the ticket with that reference."""
        spread = self._looked()
        return self._holding(reference) if spread is None else spread.keys(_REFERENCE % reference)

    def keys_on(self, ticket_id: int) -> List[str]:
        """The keys of the entries that may be of this ticket."""
        spread = self._looked()
        if spread is not None:
            return spread.keys(_TICKET % ticket_id)
        return list(self._keys(re.compile(rb'"ticket_id":\s*"?%d\b' % ticket_id)))

    def keys_ended(self) -> List[str]:
        """The keys of the entries whose alerts may be over."""
        spread = self._looked()
        if spread is not None:
            return spread.keys(_ENDED)
        return list(self._keys(re.compile(rb'"(?:closed|recovered)_at":\s*"')))

    def fates(self) -> Optional[Dict[Fate, int]]:
        """How many entries have which fate, by what their text says and without parsing it.

        None if somebody gave an entry another shape than ours: then each is to be looked at.
        """
        data = self.file()
        severities, fates = _SEVERITY.findall(data), _FATE.findall(data)
        numbers = {len(severities), len(fates), len(_HEADS.findall(data)), _count(_BEGIN, data)}
        return None if self._misfits or len(numbers) > 1 else Counter(zip(severities, fates))

    def file(self) -> bytes:
        """All of it, as a file."""
        if self._spread is None and not self._misfits:
            return self._data
        lines = [line for _, line in self._lines()]
        lines += [_line(*misfit) for misfit in self._misfits.items()]
        return _HEAD + b",".join(lines) + _FOOT

    def _looked(self) -> Optional[Spread]:
        """One look more; the entries spread out, once that is worth its while."""
        self._looks += 1
        if self._spread is None and self._looks > self.ENOUGH_LOOKS:
            self._spread = Spread(dict(self._lines()))
            self._data = b""
        return self._spread

    def _lines(self) -> Iterator[Tuple[str, bytes]]:
        if self._spread is not None:
            yield from self._spread.lines.items()
            return
        data, place, last = self._data, len(_HEAD), len(self._data) - len(_FOOT)
        while place < last:
            end = _behind(data, place)
            key = data[place + len(_BEGIN) - 1 : data.find(b": {\n", place)]
            yield json.loads(key), data[place:end]
            place = end + 1  # the comma

    def _replace(self, begin: int, end: int, new: bytes) -> None:
        self._absent.clear()
        view = memoryview(self._data)
        self._data = b"".join((view[:begin], new, view[end:]))

    def _keys(self, pattern: Pattern[bytes]) -> Iterator[str]:
        """Of the data as they are now, however the entries are changed meanwhile."""
        data, place, last = self._data, len(_HEAD), len(self._data) - len(_FOOT)
        while True:
            found = pattern.search(data, place, last)
            if found is None:
                return
            begin = data.rfind(_BEGIN, 0, found.start() + len(_BEGIN))
            end = data.find(b": {\n", begin)
            yield json.loads(data[begin:end])
            place = _behind(data, found.start())

    def _holding(self, text: str) -> List[str]:
        part = text.encode("ascii", "replace")
        return list(self._keys(re.compile(re.escape(part)))) if self._find(part) >= 0 else []

    def _find(self, part: bytes) -> int:
        """Where PART begins; below 0 where it is not there."""
        if part in self._absent:
            return -1
        begin = self._data.find(part)
        if begin < 0:
            self._absent.add(part)
        return begin

    def _place(self, key: str) -> Optional[Tuple[int, int]]:
        """Where an entry begins and ends."""
        begin = self._find(_begin(key) + b"{\n")
        return None if begin < 0 else (begin, _behind(self._data, begin))


#: What an entry is found by when they are spread out.
_MEMBER, _TICKET, _ENDED = "member %s", "ticket %s", "ended"
_LASTING, _REFERENCE = "lasting %s", "reference %s"


class Spread:
    """The lines of all entries by key, and the keys of those that bear a mark.

    An entry that makes no sense bears none: it is found by its key alone.
    """

    def __init__(self, lines: Dict[str, bytes]) -> None:
        self.lines: Dict[str, bytes] = {}
        self.size = len(_HEAD) + len(_FOOT)
        self._marked: Dict[str, Dict[str, None]] = {}
        for key, line in lines.items():
            self.put(key, line)

    def put(self, key: str, line: bytes) -> None:
        """Add or replace an entry."""
        before = self.lines.get(key)
        if before is not None:
            self._unmark(key, before)
        self.lines[key] = line
        self.size += len(line) + 1
        for mark in _marks(key, line):
            self._marked.setdefault(mark, {})[key] = None

    def drop(self, key: str) -> None:
        """Take an entry out, if it is there."""
        before = self.lines.pop(key, None)
        if before is not None:
            self._unmark(key, before)

    def keys(self, mark: str) -> List[str]:
        """The keys of the entries that bear MARK."""
        return list(self._marked.get(mark, ()))

    def _unmark(self, key: str, line: bytes) -> None:
        self.size -= len(line) + 1
        for mark in _marks(key, line):
            keys = self._marked[mark]
            del keys[key]
            if not keys:
                del self._marked[mark]


def _marks(key: str, line: bytes) -> Set[str]:
    try:
        entry = json.loads(line[len(_begin(key)) :])
        members = entry.get("members", {})
        marks = {_MEMBER % member for member in members}
        words = [word for member in members.values() for word in member.get("lasting", "").split()]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return set()
    marks.update(_LASTING % word for word in words)
    marks.add(_REFERENCE % entry.get("reference"))
    marks.add(_TICKET % entry.get("ticket_id"))
    if entry.get("closed_at") or entry.get("recovered_at"):
        marks.add(_ENDED)
    return marks


def _begin(key: str) -> bytes:
    return f"\n    {json.dumps(key)}: ".encode("ascii")


def _line(key: str, text: str) -> bytes:
    return _begin(key) + text.encode("ascii")


def _behind(data: bytes, place: int) -> int:
    """Where the entry that has PLACE in it is over."""
    end = data.find(_END, place)
    return len(data) - len(_FOOT) if end < 0 else end + len(_END)


def indented(data: Any) -> str:
    """The text of an entry, from its data."""
    return json.dumps(data, indent=2).replace("\n", "\n    ")


# --- the file -------------------------------------------------------------------------------------

_CHECKED = "state.json"


def read(path: str, checked: Optional[PrivateFolder] = None) -> Texts:
    """The entries of the file PATH; CHECKED knows the one that :func:`write` left.

    Looking whether ten thousand entries are in our shape takes longer than finding one of them.
    Raises ValueError, LaterVersion, OSError.
    """
    data = files.read_whole(path)
    if data.startswith(_HEAD) and data.endswith(_FOOT):
        known = checked.read(_CHECKED) if checked is not None else None
        if known == _stamp(path, len(data)) or _is_in_our_shape(data):
            return Texts(data)
    return Texts.of(_any_json(data))


def write(path: str, texts: Texts, checked: Optional[PrivateFolder] = None) -> None:
    """Replace the file PATH, durably and in one step. Raises OSError."""
    data = texts.file()
    files.write_whole(path, data)
    if checked is not None:
        # What no entry can be is not in our shape either: the next reader has to look.
        checked.write(_CHECKED, b"" if texts.has_misfits else _stamp(path, len(data)))


def _stamp(path: str, size: int) -> bytes:
    """What changes when anybody writes the file, but not when a backup brings it back as it was."""
    status = os.stat(path)
    return f"{status.st_mtime_ns} {status.st_size} {size}".encode("ascii")


def _is_in_our_shape(data: bytes) -> bool:
    if data == _HEAD + _FOOT:
        return True
    if not data.startswith(_BEGIN, len(_HEAD)) or not data.endswith(_END + _FOOT):
        return False
    numbers = {_count(_BEGIN, data), _count(_END, data), len(re.findall(_WHOLE_BEGIN, data))}
    if not data.isascii() or len(numbers) > 1:
        return False
    return re.search(_OTHER_ESCAPES, data) is None


def _count(part: bytes, data: bytes) -> int:
    """As data.count(part), in less than half the time where each line begins with most of PART."""
    return len(re.findall(re.escape(part), data))


def _any_json(data: bytes) -> Dict[str, str]:
    try:
        whole = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError("is no JSON" if data.strip() else "is empty") from error
    version = whole.get("version", VERSION) if isinstance(whole, dict) else None
    if isinstance(version, (int, float)) and version > VERSION:
        raise LaterVersion(
            f"state.json is of version {version}, written by a later brtel-notify than this one"
            f" (which knows {VERSION}): upgrade brtel-notify"
        )
    if version != VERSION or not isinstance(whole.get("tickets"), dict):
        raise ValueError("has not the shape of an open-ticket map")
    try:
        return {key: indented(entry) for key, entry in whole["tickets"].items()}
    except RecursionError as error:
        raise ValueError("is nested too deeply") from error
