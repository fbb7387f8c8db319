"""JSON without what can only be a secret (withheld.py), and JSON as all of us read it.

Only what comes as JSON, and may hold a secret, is gone through before it is stored.
"""

from __future__ import annotations

import json
import re
from itertools import islice

from brtel_notify.intake.capture import decoded, encoded
from brtel_notify.intake.withheld import WORDS, is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

    from brtel_notify.intake.withheld import Filters

#: What stands in JSON that cannot be read, in the place of a value that was left out. It is none of
#: JSON's own: what was malformed stays so, whatever was left out of it.
LEFT_OUT = "(left out)"
#: What may stand around JSON, beside its own blanks.
_AROUND = "\0\ufeff \t\r\n"
#: …and where all that follows was.
REST_LEFT_OUT = "(the rest is left out)"


def parsed(text: str, pairs: Optional[Callable[[List[Tuple[str, Any]]], Any]] = None) -> Any:
    """The value of the JSON in TEXT, as all of us read it; PAIRS makes a value of each object.

    Numbers that are no short integer stay text, as they were written, and a raw newline in a
    string, which is bad JSON, is no reason to lose an alert; nor are the NUL behind a C program's
    string, or a byte order mark too many. Raises ValueError, RecursionError.
    """
    return json.loads(
        text.strip(_AROUND),
        strict=False,
        parse_int=_integer,
        parse_float=str,
        parse_constant=str,
        object_pairs_hook=pairs,
    )


def json_of(data: Any) -> str:
    """DATA as JSON that can be stored: half characters, which no bytes spell, as escapes."""
    text = json.dumps(data, ensure_ascii=False)
    return text if decoded(encoded(text)) == text else json.dumps(data)


def _integer(digits: str) -> Any:
    # int() of a million digits takes minutes on Python 3.9 and is an error on 3.11.
    return int(digits) if len(digits) < 20 else digits


def from_json(text: str, filters: Optional[Filters] = None, rows: Sequence[str] = ()) -> str:
    """TEXT, which should be JSON, without secrets; as it came, to the letter, if it has none.

    FILTERS say what stays of the fields of a name; what a source reads of the rest is the same.
    ROWS are names of fields that hold secrets by names of their own; of a text that is no JSON
    nothing is kept from the first of them, or of a secret, on.
    """
    objects = _Objects(filters or {})
    try:
        data = parsed(text, objects)
        if isinstance(data, (dict, list)):
            return json_of(data) if objects.left_out else text
    except (ValueError, RecursionError, MemoryError):
        pass
    return _from_damaged(text, rows)


class _Objects:
    """Makes a dictionary of each object that json.loads reads, without what is secret in it.

    ``left_out``: whether anything was. Where there are filters, a name that stands twice in one
    object counts as such: of its first value nothing was seen.
    """

    def __init__(self, filters: Filters) -> None:
        self.left_out = False
        self._filters = filters
        self._known: Dict[str, bool] = {}

    def __call__(self, pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        kept: Dict[str, Any] = {}
        for name, value in pairs:
            secret = self._known.get(name)
            if secret is None:
                secret = self._known[name] = is_secret(name)
            if secret:
                self.left_out = True
            elif name in self._filters:
                kept[name] = self._filters[name](value)
                self.left_out = self.left_out or kept[name] != value
            else:
                kept[name] = value
        self.left_out = self.left_out or (bool(self._filters) and len(kept) < len(pairs))
        return kept


# --- what should be JSON and is none --------------------------------------------------------------

#: More names than that are not gone through one by one.
_MOST_NAMES = 10_000

#: What is_secret knows a name by, in small letters.
_NAME = (
    r"community|password|passwd|passphrase|secret|token|authname|crypto"
    r"|(?:checkcommand|pass|arg\d{1,9})\b"
)
_WHOLE = r"\b{}\b"
#: The rest of a name, and its value, up to the end of all where the value's cannot be told.
_REST_AND_VALUE = (
    r"([^\"':=>\n]{0,99}[\"']?\s{0,99}(?:=>|:|=|>)\s{0,99})"
    r"(?:\(left out\)|(\\{0,9}[\"']).*?(?:\2(?=\s{0,99}(?:,\s{0,99}\\{0,9}[\"']|[}\]]|\Z))|\Z)"
    r"|[\[{|].*"
    r"|[^\n]*?(?=,\s{0,99}[\"']|\n|\Z))"
)


def _from_damaged(text: str, rows: Sequence[str]) -> str:
    """TEXT, which is no JSON, without secrets as well as can be told; it is only kept for a person.

    Where it may hold ROWS it is kept up to the first name of a secret or of them: rather too little
    than too much. Else what stands behind such names is left out. Between the letters of what is
    UTF-16 in a part stand NULs.
    """
    text = text.replace("\0", "")
    text = re.sub(r"\\u00([46][1-9A-Fa-f]|[57][0-9Aa])", lambda code: chr(int(code[1], 16)), text)
    small = text.lower()
    if len(small) != len(text):  # a letter whose small form is two
        text = small
    name, rest = (
        re.compile("|".join([_NAME, *map(_WHOLE.format, rows)])),
        re.compile(_REST_AND_VALUE, re.DOTALL),
    )
    ends: List[Tuple[int, int]] = []
    for word in (*WORDS, *rows):
        matches = (name.match(small, at) for at in _places(word.lower(), small))
        ends += (found.span() for found in islice(filter(None, matches), _MOST_NAMES + 1))
    ends.sort()
    if ends and (rows or len(ends) > _MOST_NAMES):
        return f"{text[: ends[0][0]]} {REST_LEFT_OUT}"
    kept: List[str] = []
    done = 0
    for _, end in ends:
        found = rest.match(small, end) if end >= done else None
        if found:
            kept += [text[done : found.end(1)], LEFT_OUT]
            done = found.end()
    return "".join([*kept, text[done:]])


def _places(word: str, text: str) -> Iterator[int]:
    """Where WORD stands in TEXT."""
    at = text.find(word)
    while at >= 0:
        yield at
        at = text.find(word, at + 1)
