"""How an answer of the API is read: fields, lists, pages, and the two forms of its dates.

A value of an impossible type is a WrongShape, which the client makes a BadAnswer. Names come in two
dialects, snake_case and camelCase: both are read (docs/compatibility.md). Sources of the facts:
BlueRockTEL's "Tickets" page and PHP SDK, and what Laravel, PHP and MySQL are known to make of
booleans, lists and pages.
"""

from __future__ import annotations

import datetime
import re
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, TypeVar

Record = TypeVar("Record")


class WrongShape(Exception):
    """A part of an answer has an impossible type: names the field, does not quote the value."""


class Fields:
    """One JSON object of an answer, WHAT it is, read field by field. All raise WrongShape."""

    def __init__(self, data: Any, what: str) -> None:
        if not isinstance(data, dict):
            raise WrongShape(f"{_kind(data)} where {what} was due")
        self.data: Dict[str, Any] = in_snake_case(data)
        self.what = what

    def wrong(self, name: str, due: str) -> NoReturn:
        """Raise WrongShape: the field is not what was DUE."""
        found = _kind(self.data.get(name))
        raise WrongShape(f"{self.what}: field {name!r} is {found} where {due} was due")

    def id(self) -> int:
        """The record's own id; required."""
        value = self.optional_id("id")
        if value is None:
            self.wrong("id", "an id")
        return value

    def optional_id(self, name: str) -> Optional[int]:
        """An id; None where the answer has none."""
        value = self.data.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,20}", value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(name, "an id")
        return value

    def related_id(self, names: Sequence[str], objects: Sequence[str]) -> Optional[int]:
        """Another record's id: the first of the fields NAMES that has one, or in an object."""
        found = [self.optional_id(name) for name in names]
        found += [Fields(self.object(name), name).optional_id("id") for name in objects]
        return next((value for value in found if value is not None), None)

    def optional_text(self, name: str) -> Optional[str]:
        """Text, or a number as text; None where the answer has none."""
        value = self.data.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            self.wrong(name, "text")
        return str(value)

    def text(self, name: str) -> str:
        """The same, empty where the answer has none."""
        return self.optional_text(name) or ""

    def flag(self, name: str, default: bool) -> bool:
        """A boolean, however it is written; DEFAULT where the answer has none."""
        value = self.data.get(name)
        if value is None or value == "":
            return default
        flag = flag_of(value)
        if flag is None:
            self.wrong(name, "true or false")
        return flag

    def hint(self, name: str) -> Optional[bool]:
        """A boolean that helps and is not needed; None where there is none, or what makes none."""
        value = self.data.get(name)
        return None if value is None else flag_of(value)

    def sign(self, name: str) -> Optional[bool]:
        """A boolean that is better true where it makes no sense; None where there is none.

        Of a date, or a word, it says at least that there is something.
        """
        value, hint = self.data.get(name), self.hint(name)
        return bool(value) if hint is None and value not in (None, "") else hint

    def records(self, name: str) -> Optional[List[Any]]:
        """A list of further records, None if the answer does not have it."""
        value = self.data.get(name)
        if value is None:
            return None
        items = plain_list(value)
        if items is None:
            self.wrong(name, "a list")
        return items

    def object(self, name: str) -> Dict[str, Any]:
        """A record inside this one; empty if there is none."""
        value = self.data.get(name)
        return value if isinstance(value, dict) else {}


def in_snake_case(data: Dict[str, Any]) -> Dict[str, Any]:
    """DATA with the names of the two pages; where both forms are given, snake_case wins.

    What is null is not given.
    """
    if all(map(_is_snake_case, data)):
        return data
    found = {name: value for name, value in data.items() if _is_snake_case(name)}
    for name, value in data.items():
        if found.get(_snake_case(name)) is None:
            found[_snake_case(name)] = value
    return found


def _is_snake_case(name: str) -> bool:
    return name == name.lower()


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


#: What is said of something that is not there; of one thing only, so without a comma.
_NOT_THERE = (
    r"[^,;]*\b(?:not found|no [^,;]+ found|do(?:es)? not exist|n['’]existe pas|introuvable"
    r"|aucune? [^,;]+ trouvée?)\W*"
)


def soft_miss(answer: Any) -> str:
    """What an ANSWER of success says that is none: ``{"response": "Ticket not found"}``; or ""."""
    if not isinstance(answer, dict) or "id" in answer:
        return ""
    for name in ("response", "message", "error"):
        words = answer.get(name)
        if isinstance(words, str) and re.fullmatch(_NOT_THERE, words, re.IGNORECASE):
            return words
    return ""


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a boolean"}
    return kinds.get(type(value), "a number")


_FLAGS = {
    **dict.fromkeys(("0", "false", "no", "off", "n", "f", "0.0"), False),
    **dict.fromkeys(("1", "true", "yes", "on", "y", "t", "1.0"), True),
}


def flag_of(value: Any) -> Optional[bool]:
    """A boolean as JSON has it, or as MySQL, PHP and forms do: 0, "1", "yes", "off"."""
    if isinstance(value, (bool, int, float)):
        return bool(value) if value in (0, 1) else None
    return _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None


def plain_list(value: Any) -> Optional[List[Any]]:
    """VALUE as a list: bare, or wrapped in `data` or by itself in anything (`{"replies": […]}`), or
    what PHP makes of a list with gaps."""
    if isinstance(value, dict) and isinstance(value.get("data"), (list, dict)):
        value = value["data"]
    if isinstance(value, dict) and len(value) == 1 and "errors" not in value:
        (inner,) = value.values()
        value = inner if isinstance(inner, list) else value
    if isinstance(value, dict) and value and all(str(key).isdigit() for key in value):
        return list(value.values())
    return value if isinstance(value, list) else None


#: What a single record may be wrapped in: `data`, or the name of what it is.
WRAPPERS = ("data", "ticket", "customer", "reply", "user")


def unwrapped(answer: Any, wrappers: Sequence[str] = WRAPPERS) -> Any:
    """The record of an answer that may be wrapped."""
    for name in wrappers:
        if isinstance(answer, dict) and "id" not in answer and name in answer:
            answer = answer[name]
    return answer


def parse_list(parse: Callable[[Any], Record], answer: Any) -> List[Record]:
    """The records of a list's page, in whichever wrapping it comes."""
    items = plain_list(answer)
    if items is None:
        items = plain_list(unwrapped(answer))  # a paginator inside `data`
    if items is None:
        raise WrongShape(f"{_kind(answer)} where a list was due")
    return [parse(item) for item in items]


def next_page(answer: Any, page: int) -> Optional[int]:
    """The number of the page after PAGE, None after the last.

    Only a number is ever taken from the links: the call goes to the same path as before.
    """
    if not isinstance(answer, dict):
        return None
    if isinstance(answer.get("data"), dict):
        answer = answer["data"]
    meta = answer.get("meta") if isinstance(answer.get("meta"), dict) else {}
    last = meta.get("last_page", answer.get("last_page"))
    if isinstance(last, (int, str)) and str(last).isdigit():
        return page + 1 if page < int(last) else None
    links = answer.get("links") if isinstance(answer.get("links"), dict) else {}
    link = links.get("next") or answer.get("next_page_url")
    if not isinstance(link, str) or not link:
        return None
    number = re.search(r"[?&]page(?:\[number\]|%5Bnumber%5D)?=(\d{1,9})(?:&|#|$)", link)
    following = int(number.group(1)) if number else page + 1
    return following if following > page else None


# Compiled when the first date is read: a new ticket needs none.
_DATE = r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?)?\s*(Z|[+-]\d\d:?\d\d)?"


def parse_date(text: Optional[str], offset: float = 0.0) -> Optional[float]:
    """Seconds since the epoch of one of the API's dates, None if TEXT is not one.

    Both of its forms are read, ``2026-07-02 08:15:00`` (which carries no zone and is the instance's
    local time, OFFSET seconds ahead of UTC) and ``2026-07-02T08:15:00.000000Z``; an offset such as
    +02:00 too.
    """
    match = re.fullmatch(_DATE, (text or "").strip())
    if not match:
        return None
    *parts, fraction, zone = match.groups()
    numbers = [int(part or 0) for part in parts]
    try:
        moment = datetime.datetime(*numbers, tzinfo=datetime.timezone.utc)  # type: ignore[arg-type, misc]
    except ValueError:
        return None
    ahead = offset if zone is None else _offset(zone)
    return moment.timestamp() + float(fraction or 0) - ahead


def has_zone(text: str) -> bool:
    """Whether a date says where it holds: parse_date then needs nobody's offset."""
    match = re.fullmatch(_DATE, text.strip())
    return match is not None and match.groups()[-1] is not None


def _offset(zone: str) -> int:
    if zone == "Z":
        return 0
    digits = zone[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds
