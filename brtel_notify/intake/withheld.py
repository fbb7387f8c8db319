"""What is left out of a document before anything of it is written: what can only be a secret.

A document is what LibreNMS or another program hands over as JSON, or a message of Zabbix's. Which
names are secret says capture.py; texts meant for people stay as they are. Every such alert passes
here before it is stored: nothing heavy is imported, and no input makes this fail.
"""

from __future__ import annotations

import json

from brtel_notify.intake.capture import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

#: What stands in JSON that cannot be read, in the place of a value that was left out. It is none of
#: JSON's own: what was malformed stays so, whatever was left out of it.
LEFT_OUT = "(left out)"
#: …and where all that follows was.
REST_LEFT_OUT = "(the rest is left out)"

#: Levels of lists in LibreNMS's faults and diff; it has three.
_DEPTH = 8


# --- JSON -----------------------------------------------------------------------------------------


def parsed(text: str, pairs: Optional[Callable[[List[Tuple[str, Any]]], Any]] = None) -> Any:
    """The value of the JSON in TEXT, as all of us read it; PAIRS makes a value of each object.

    Numbers that are no short integer stay text, as they were written, and a raw newline in a
    string, which is bad JSON, is no reason to lose an alert. Raises ValueError, RecursionError.
    """
    return json.loads(
        text,
        strict=False,
        parse_int=_integer,
        parse_float=str,
        parse_constant=str,
        object_pairs_hook=pairs,
    )


def _integer(digits: str) -> Any:
    # int() of a million digits takes minutes on Python 3.9 and is an error on 3.11.
    return int(digits) if len(digits) < 20 else digits


def from_json(text: str, librenms: bool) -> str:
    """TEXT, which should be JSON, without secrets; as it came, to the letter, if it has none.

    LIBRENMS: it is LibreNMS's alert data. What a source reads of the rest is the same.
    """
    objects = _Objects(librenms)
    try:
        data = parsed(text, objects)
        if isinstance(data, (dict, list)):
            return json.dumps(data, ensure_ascii=False) if objects.left_out else text
    except (ValueError, RecursionError, MemoryError):
        pass
    return _from_damaged(text, librenms)


class _Objects:
    """Makes a dictionary of each object that json.loads reads, without what is secret in it.

    ``left_out``: whether anything was. In LibreNMS's alert data, a name that stands twice in one
    object counts as such: of its first value nothing was seen.
    """

    def __init__(self, librenms: bool) -> None:
        self.left_out = False
        self._librenms = librenms
        self._known: Dict[str, bool] = {}

    def __call__(self, pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        kept: Dict[str, Any] = {}
        for name, value in pairs:
            secret = self._known.get(name)
            if secret is None:
                secret = self._known[name] = is_secret(name)
            if secret:
                self.left_out = True
            elif self._librenms and name in _LIBRENMS:
                kept[name] = _LIBRENMS[name](value)
                self.left_out = self.left_out or kept[name] != value
            else:
                kept[name] = value
        self.left_out = self.left_out or (self._librenms and len(kept) < len(pairs))
        return kept


def _rows(value: Any) -> Any:
    """LibreNMS's rows of its database, of which only ``string`` is for people."""
    if isinstance(value, (dict, list)):
        return _strings(value, _DEPTH)
    return value if value in (None, False, True) else None


def _strings(value: Any, depth: int) -> Any:
    """VALUE with nothing in it but lists, objects, and texts by the name ``string``."""
    if not depth:
        return None
    if isinstance(value, list):
        return [_strings(item, depth - 1) for item in value if isinstance(item, (dict, list))]
    return {
        name: item if name == "string" else _strings(item, depth - 1)
        for name, item in value.items()
        if isinstance(item, str if name == "string" else (dict, list))
    }


def _notes(value: Any) -> Any:
    """The notes of a LibreNMS device, whose lines ``NAME: value`` are variables."""
    if not isinstance(value, str) or not _may_name_a_secret(value):
        return value
    lines = value.splitlines(keepends=True)
    return "".join(line for line in lines if not is_secret(named(line)[0]))


_LIBRENMS: Mapping[str, Callable[[Any], Any]] = {"faults": _rows, "diff": _rows, "notes": _notes}


def named(line: str) -> Tuple[str, str]:
    """Name and value of a LINE ``NAME: value`` that a person wrote; both empty where it is none."""
    name, colon, value = line[:10_000].partition(":")
    name = name.strip()
    is_name = name.replace("_", "").replace("-", "").replace(".", "").isalnum()
    return (name, value) if colon and is_name and not value.startswith("//") else ("", "")


# --- what should be JSON and is none --------------------------------------------------------------

#: One of them stands in every name of capture.is_secret.
_WORDS = ("COMMUNITY", "PASS", "SECRET", "TOKEN", "AUTHNAME", "CRYPTO", "CHECKCOMMAND", "ARG")
#: More names than that are not gone through one by one.
_MOST_NAMES = 10_000

#: What is_secret knows a name by, in small letters, and LibreNMS's rows.
_NAME = (
    r"community|password|passwd|passphrase|secret|token|authname|crypto"
    r"|(?:checkcommand|pass|arg\d{1,9})\b|\b(?:faults|diff)\b"
)
#: The rest of a name, and its value, up to the end of all where the value's cannot be told.
_REST_AND_VALUE = (
    r"([^\"':=\n]{0,99}[\"']?\s{0,99}(?:=>|:|=)\s{0,99})"
    r"(?:\(left out\)|(\\{0,9}[\"']).*?(?:\2(?=\s{0,99}(?:,\s{0,99}\\{0,9}[\"']|[}\]]|\Z))|\Z)"
    r"|[\[{].*"
    r"|[^\n]*?(?=,\s{0,99}[\"']|\n|\Z))"
)


def _from_damaged(text: str, librenms: bool) -> str:
    """TEXT, which is no JSON, without secrets as well as can be told; it is only kept for a person.

    Of LibreNMS's it is kept up to the first name of a secret or of its rows: rather too little than
    too much. Of another program's, what stands behind such names is left out.
    """
    import re
    from itertools import islice

    text = re.sub(r"\\u00([46][1-9A-Fa-f]|[57][0-9Aa])", lambda code: chr(int(code[1], 16)), text)
    small = text.lower()
    if len(small) != len(text):  # a letter whose small form is two
        text = small
    name, rest = re.compile(_NAME), re.compile(_REST_AND_VALUE, re.DOTALL)
    ends: List[Tuple[int, int]] = []
    for word in [*_WORDS, "FAULTS", "DIFF"] if librenms else _WORDS:
        matches = (name.match(small, at) for at in _places(word.lower(), small))
        ends += (found.span() for found in islice(filter(None, matches), _MOST_NAMES + 1))
    ends.sort()
    if ends and (librenms or len(ends) > _MOST_NAMES):
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


def _may_name_a_secret(text: str) -> bool:
    text = text.upper()
    return any(word in text for word in _WORDS)


# --- Zabbix ---------------------------------------------------------------------------------------


def from_message(message: str) -> str:
    """A Zabbix MESSAGE without its secret fields and tags; its texts as they are.

    What follows a secret field and is none of a text's goes with it: its value had several lines.
    """
    from brtel_notify.intake import message_lines

    note, text = message_lines.note_of_cancellation(message)
    kept: List[str] = []
    leaving_out = left_out = False
    for line, name, value in message_lines.read(text):
        if value is not None:
            leaving_out = is_secret(name)
        elif not name:
            leaving_out = leaving_out or is_secret(named(line)[0])
        if leaving_out:
            left_out = True
            if not any(map(str.strip, kept)):  # the first line says what all the rest is
                kept.append(f"{name}:")
            continue
        tags = _tags(name, value) if value is not None else value
        if tags != value:
            leaving_out = left_out = True
            line = f"{name}: {tags}"
        kept.append(line)
    return "\n".join([*note, *kept]) if left_out else message


def _tags(name: str, value: str) -> str:
    """The VALUE of a field, without secret tags if it is a list of tags."""
    if name.endswith(".TAGSJSON"):
        return _tags_json(value)
    if not name.endswith(".TAGS"):
        return value
    kept: List[str] = []
    leaving_out = False
    for tag in value.split(", "):
        if ":" in tag or not leaving_out:  # else it is the rest of a value that has a comma
            leaving_out = is_secret(tag.partition(":")[0])
        if not leaving_out:
            kept.append(tag)
    return ", ".join(kept)


def _tags_json(value: str) -> str:
    try:
        tags = json.loads(value, parse_int=str, strict=False)
    except (ValueError, RecursionError):  # nobody can read it; a macro without a value is none
        return "" if _may_name_a_secret(value) else value
    if not isinstance(tags, list):
        return value
    kept = [tag for tag in tags if not (isinstance(tag, dict) and is_secret(str(tag.get("tag"))))]
    return value if len(kept) == len(tags) else json.dumps(kept, ensure_ascii=False)
