"""Laravel's validation rules, as far as the ticket API needs them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from .errors import invalid

DATE_FORMAT = "%Y-%m-%d %H:%M:%S"
"""`Y-m-d H:i:s`, the form of every date that the API takes."""

_DATE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_INTEGER = re.compile(r"[+-]?\d{1,18}")

Verdict = Tuple[Any, Optional[str]]


@dataclass(frozen=True)
class Field:
    """What one field has to be: `kind` names a rule below; null passes where `nullable`."""

    kind: str
    required: bool = False
    nullable: bool = False


def clean_input(value: Any) -> Any:
    """Trim strings and turn empty ones into null, as Laravel's middleware does."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, list):
        return [clean_input(item) for item in value]
    if isinstance(value, dict):
        return {
            key: item if "password" in key else clean_input(item) for key, item in value.items()
        }
    return value


def check(data: Mapping[str, Any], fields: Mapping[str, Field]) -> Dict[str, Any]:
    """Return those of `fields` that `data` holds, each converted to its type.

    Raises Rejected (422) with a complaint for every field that is missing or of a wrong type.
    """
    values: Dict[str, Any] = {}
    errors: Dict[str, List[str]] = {}
    for name, field in fields.items():
        label = name.replace("_", " ")
        value = data.get(name)
        if value is None:
            if field.required:
                errors[name] = [f"The {label} field is required."]
            elif name in data and field.nullable:
                values[name] = None
            elif name in data:
                errors[name] = [_RULES[field.kind][1].format(label)]
            continue
        values[name], problem = _convert(value, field.kind, label)
        if problem:
            errors[name] = [problem]
    if errors:
        raise invalid(errors)
    return values


def _convert(value: Any, kind: str, label: str) -> Verdict:
    convert, text = _RULES[kind]
    try:
        return convert(value), None
    except (TypeError, ValueError):
        return None, text.format(label)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise TypeError


def _numeric(value: Any) -> float:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return float(value)
    raise TypeError


def _boolean(value: Any) -> bool:
    # Laravel takes these six and not the word "true".
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    if value in ("0", "1"):
        return bool(value == "1")
    raise TypeError


def _date(value: Any) -> str:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise TypeError
    datetime.strptime(value, DATE_FORMAT)
    return value


def _strings(value: Any) -> List[str]:
    if not isinstance(value, list):
        raise TypeError
    return [_string(item) for item in value]


def _integers(value: Any) -> List[int]:
    if not isinstance(value, list):
        raise TypeError
    return [_integer(item) for item in value]


_RULES: Dict[str, Tuple[Callable[[Any], Any], str]] = {
    "string": (_string, "The {} field must be a string."),
    "integer": (_integer, "The {} field must be an integer."),
    "numeric": (_numeric, "The {} field must be a number."),
    "boolean": (_boolean, "The {} field must be true or false."),
    "date": (_date, "The {} field must match the format Y-m-d H:i:s."),
    "strings": (_strings, "The {} field must be an array of strings."),
    "integers": (_integers, "The {} field must be an array of integers."),
}
