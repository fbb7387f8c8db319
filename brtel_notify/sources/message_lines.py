"""The lines of a Zabbix message: which of them are fields, and which belong to a text.

They are read twice: before a message is stored, for the secrets in it, and by zabbix_message.py
afterwards. So what is left alone as a part of a text there is taken for one here. Every alert of
Zabbix's imports this module: nothing heavy.
"""

from __future__ import annotations

from brtel_notify.intake import withheld

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, List, Optional, Sequence, Set, Tuple

    #: A line; the field that it belongs to, or nothing; and, where it begins that field, its value.
    Line = Tuple[str, str, Optional[str]]

#: The first line of a message whose lines stand in the order of the shipped media type.
FORMAT = "BRTEL.NOTIFY: 1"
#: Its last lines: whose value may be any text. Each ends where one after it in this list begins.
FREE_TEXT: Sequence[str] = (
    # First what trusted people write. What comes after may hold the values of items, which whoever
    # writes to a log decides: it must not pass for a person's words.
    *("HOST.NAME", "USER.FULLNAME", "EVENT.UPDATE.MESSAGE", "TRIGGER.URL"),
    *("TRIGGER.NAME", "ITEM.NAME", "LLDRULE.NAME"),
    *("EVENT.NAME", "EVENT.OPDATA", "SERVICE.ROOTCAUSE"),
)
#: In a message without FORMAT: the names whose value may go on in the next line.
_MULTILINE = frozenset(
    (
        *("EVENT.NAME", "EVENT.OPDATA", "INVENTORY.NOTES", "ITEM.VALUE", "ITEM.LASTVALUE"),
        *("HOST.DESCRIPTION", "TRIGGER.DESCRIPTION"),
    )
)
#: What a person typed: all that follows it is part of it, where no FORMAT says otherwise.
LAST = "EVENT.UPDATE.MESSAGE"

_LONGEST_NAME = 255
_INITIALS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ{")
_CHARACTERS = _INITIALS.union("0123456789._}#$")

_CANCELLED = ("NOTE: ESCALATION CANCELLED", "NOTE: ESCALATION CANCELED")


def field(line: str) -> Tuple[str, str]:
    """Name and value of a LINE ``NAME: value``; both are empty where it is none."""
    name, colon, value = line.rstrip("\r").partition(":")
    is_name = name[:1] in _INITIALS and len(name) <= _LONGEST_NAME and _CHARACTERS.issuperset(name)
    return (name, value.removeprefix(" ")) if colon and is_name else ("", "")


def note_of_cancellation(message: str) -> Tuple[List[str], str]:
    """The lines that say that an escalation was cancelled, and the message that comes after them.

    There are none in any other message.
    """
    text = message.lstrip()
    if not text[:100].upper().startswith(_CANCELLED):
        return [], message
    lines = text.split("\n")
    end = 1
    while end < len(lines) and "." not in field(lines[end])[0]:
        end += 1
    return lines[:end], "\n".join(lines[end:])


def read(message: str) -> Iterator[Line]:
    """Every line of MESSAGE, in order, and what it is (see Line).

    A field may stand there twice: the first one counts, and no text goes on behind the second.
    """
    first, *rest = message.split("\n")
    if first.strip() != FORMAT:
        yield from _as_they_come([first, *rest])
        return
    yield first, "", None
    yield from _in_order(rest)


def _in_order(lines: Sequence[str]) -> Iterator[Line]:
    """The lines of a message that has the form of the shipped media type."""
    expected = list(FREE_TEXT)
    current = ""  # the name whose free text goes on
    for line in lines:
        name, value = field(line)
        if name in expected:
            del expected[: expected.index(name) + 1]
            current = name
            yield line, name, value
        elif current:
            yield line, current, None
        else:
            yield line, name, value if name else None


def _as_they_come(lines: Sequence[str]) -> Iterator[Line]:
    """The lines of a message that somebody wrote, in whatever order."""
    seen: Set[str] = set()
    current = ""
    for line in lines:
        name, value = field(line)
        if current == LAST:
            yield line, current, None
        elif name:
            current = "" if name in seen else name
            seen.add(name)
            yield line, name, value
        else:
            yield line, current if current in _MULTILINE else "", None


# --- secrets --------------------------------------------------------------------------------------


def without_secrets(message: str) -> str:
    """A Zabbix MESSAGE without its secret fields and tags; its texts as they are.

    What follows a secret field and is none of a text's goes with it: its value had several lines.
    """
    note, text = note_of_cancellation(message)
    kept: List[str] = []
    leaving_out = left_out = False
    for line, name, value in read(text):
        if value is not None:
            leaving_out = withheld.is_secret(name)
        elif not name:
            leaving_out = leaving_out or withheld.is_secret(withheld.named(line)[0])
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
            leaving_out = withheld.is_secret(tag.partition(":")[0])
        if not leaving_out:
            kept.append(tag)
    return ", ".join(kept)


def _tags_json(value: str) -> str:
    if not withheld.json_may_hold_one(value):
        return value
    import json

    from brtel_notify.intake import withheld_json

    try:
        tags = json.loads(value, parse_int=str, strict=False)
    except (ValueError, RecursionError):  # nobody can read it; a macro without a value is none
        return "" if withheld.may_name_a_secret(value) else value
    if not isinstance(tags, list):
        return value
    kept = [
        tag
        for tag in tags
        if not (isinstance(tag, dict) and withheld.is_secret(str(tag.get("tag"))))
    ]
    return value if len(kept) == len(tags) else withheld_json.json_of(kept)
