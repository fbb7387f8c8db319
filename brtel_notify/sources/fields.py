"""What the sources share: how an Alert is filled, flags ``--var``, times, JSON."""

from __future__ import annotations

import hashlib
import math
import re
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from brtel_notify.alert import Alert, Unintelligible, Vars, thing_of
from brtel_notify.intake import withheld
from brtel_notify.intake.capture import Capture
from brtel_notify.local.cleaning import (
    bytes_of,
    clean,
    has_bytes,
    line_with_bytes,
    one_line,
    printable,
    web_url,
)

NAME_LENGTH = 255
OUTPUT_LENGTH = 4_000
LONG_OUTPUT_LENGTH = 20_000
VALUE_LENGTH = 4_000
VARIABLES = 1_000


def alert(
    capture: Capture,
    kind: str,
    host: str,
    *,
    variables: Vars,
    time: Optional[float] = None,
    severity: str = "unknown",
    state: str = "",
    action: str = "",
    address: str = "",
    service: str = "",
    check: str = "",
    title: str = "",
    output: str = "",
    long_output: str = "",
    since: Optional[float] = None,
    author: str = "",
    comment: str = "",
    urls: Sequence[str] = (),
    occurrence: str = "",
    occurrence_by: str = "",
    order: str = "",
    began: Optional[float] = None,
    one_by_one: bool = False,
    notification: str = "",
    instance: str = "",
    lasting: str = "",
) -> Alert:
    """An Alert of raw text: every field clean and cut to its length (see :class:`Alert`).

    TIME is the capture's where the source gives none; of URLS the first good one is taken. An
    ORDER that is no number is none. HOST, SERVICE and CHECK are to be as they came: the key is made
    of their bytes.
    """
    named, formerly = _thing_of_bytes(host, check if name(check) else service)
    return Alert(
        source=capture.source,
        kind=kind,
        host=name(name(host)),  # twice, as ever: the key of a name that is cut depends on it
        time=float(capture.time) if time is None else time,
        severity=severity,
        state=one_line(state, 100),
        action=action,
        address=name(address),
        service=name(service),
        check=name(check),
        title=one_line(title, 1_000),
        output=clean(output, OUTPUT_LENGTH),
        long_output=clean(long_output, LONG_OUTPUT_LENGTH),
        since=since,
        author=name(author),
        comment=clean(comment, OUTPUT_LENGTH),
        url=web_url(*urls),
        vars=variables,
        occurrence=name(occurrence),
        occurrence_by=occurrence_by if occurrence else "",
        order=whole_number(order),
        began=began,
        one_by_one=one_by_one,
        notification=name(notification),
        instance=name(instance),
        lasting=lasting,
        named=named,
        formerly=formerly,
    )


def name(text: str) -> str:
    """TEXT as the name of a thing or a person: one line of at most NAME_LENGTH characters."""
    return _told_apart(one_line(text, NAME_LENGTH), text)


def _told_apart(line: str, text: str) -> str:
    """LINE, which was made of TEXT; two that differ only behind the cut are still two."""
    if len(line) < NAME_LENGTH:
        return line
    digest = hashlib.sha256(bytes_of(text)).hexdigest()
    return f"{line[: NAME_LENGTH - 14]}… {digest[:12]}"


def _thing_of_bytes(host: str, what: str) -> Tuple[str, str]:
    """``Alert.named`` and ``Alert.formerly``: empty where the names for people serve as well."""
    if not has_bytes(host) and not has_bytes(what):
        return "", ""
    shown = thing_of(name(name(host)), name(what))
    named = thing_of(_name_of_bytes(host), _name_of_bytes(what))
    formerly = thing_of(name(_former_name(host)), _former_name(what))
    return (named if named != shown else "", formerly if formerly != named else "")


def _name_of_bytes(text: str) -> str:
    return _told_apart(line_with_bytes(text, NAME_LENGTH), text)


def _former_name(text: str) -> str:
    """As up to 932417d: all bytes that were no UTF-8 were one."""
    line = line_with_bytes(text, NAME_LENGTH, "replace")
    return _told_apart(line, text.encode("utf-8", "replace").decode())


def variables(
    added: Iterable[Tuple[str, str]], own: Mapping[str, str], flags: Mapping[str, str]
) -> Vars:
    """``Alert.vars``: FLAGS over the source's OWN over what people ADDED, of which the first wins.

    The names in ADDED become capitals, with ``_`` for what could not stand in ``vars.NAME``. An
    empty value counts as absent, except in FLAGS, where it takes a value away. Of more than
    VARIABLES names, the source's own go first.
    """
    result = Vars()
    for flag, value in flags.items():
        _set(result, bare(flag), value)
    taken_away = {bare(flag) for flag in flags if bare(flag) not in result}
    added_values = Vars()
    for raw_name, value in added:
        _set(added_values, bare(raw_name), value)
    own_values = Vars()
    for raw_name, value in own.items():
        _set(own_values, name(raw_name), value)
    for key, value in added_values.items():
        if key not in taken_away and len(result) < VARIABLES:
            result.setdefault(key, own_values.get(key, value))
    for key, value in own_values.items():
        if key not in taken_away and len(result) < VARIABLES:
            result.setdefault(key, value)
    return result


def _set(values: Vars, key: str, value: str) -> None:
    """KEY: VALUE into VALUES, unless there is one already, VALUE is empty, or VALUES is full."""
    if key and key not in values and len(values) < VARIABLES:
        text = clean(value, VALUE_LENGTH)
        if text:
            values[key] = text


def bare(raw_name: str) -> str:
    """RAW_NAME as configuration writes it: ``customer-account`` is ``CUSTOMER_ACCOUNT``."""
    return re.sub(r"\W", "_", name(raw_name)).upper()


def var_flags(words: Sequence[str]) -> Tuple[Dict[str, str], List[str]]:
    """The flags ``--var NAME=VALUE`` (or ``--var=NAME=VALUE``) among WORDS, and all other words.

    The last of several for one name wins. A flag that lacks its ``=`` is dropped: the command
    line refuses it long before, and an alert is not lost over it.
    """
    flags: Dict[str, str] = {}
    others: List[str] = []
    for flag, pair, said in withheld.flags(words):
        variable, equals, value = pair.partition("=")
        if flag != "--var":
            others += said
        elif equals:
            flags[variable] = value
    return flags, others


_EPOCH = re.compile(r"[0-9]{1,11}(?:\.[0-9]{1,9})?")
# Compiled when the first such text comes: most sources give an epoch.
_DATE_AND_TIME = (
    r"([0-9]{4})[-./]([0-9]{2})[-./]([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]{1,9})?)?)?"
    r" ?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


def epoch(text: str) -> Optional[float]:
    """TEXT as seconds since the epoch; None when it is no such number, or 0 (Nagios's "never")."""
    found = _EPOCH.fullmatch(text[:40].strip())
    return (float(found.group()) or None) if found else None


def whole_number(text: str) -> Optional[int]:
    """TEXT as a number that counts something, above 0; None when it is none."""
    digits = text[:40].strip()
    return int(digits) or None if re.fullmatch("[0-9]{1,18}", digits) else None


def date_and_time(text: str) -> Optional[float]:
    """TEXT, ``2026-11-21 18:37:29`` or ``2026.11.21 …`` or ISO 8601, in seconds since the epoch.

    Without a zone it is in the server's own. None when TEXT is no such thing.
    """
    found = re.fullmatch(_DATE_AND_TIME, text[:60].strip(), re.IGNORECASE | re.ASCII)
    if found is None:
        return None
    zone = found.group(7)
    try:
        moment = datetime(*(int(part or 0) for part in found.groups()[:6]))  # type: ignore[arg-type]
        seconds = (moment.replace(tzinfo=_zone(zone)) if zone else moment).timestamp()
    except (ValueError, OverflowError, OSError):  # the 30th of February; before time_t begins
        return None
    return seconds if seconds > 0 else None


def _zone(text: str) -> timezone:
    if text in "zZ":
        return timezone.utc
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-offset if text[0] == "-" else offset)


def json_object(text: str, what: str) -> Dict[str, Any]:
    """The JSON object in TEXT; WHAT names it in the error.

    Numbers that are no short integer stay text, as they were written. Raises Unintelligible.
    """
    from brtel_notify.intake import withheld_json

    try:
        data = withheld_json.parsed(text)
    except RecursionError:
        raise Unintelligible(f"{what} is malformed JSON: nested too deeply") from None
    except ValueError as error:
        reason = printable(str(error), 100) if text.strip() else "it is empty"
        raise Unintelligible(f"{what} is malformed JSON: {reason}") from None
    if not isinstance(data, dict):
        raise Unintelligible(f"{what} must be a JSON object, {{…}}")
    return data


def scalar(value: Any) -> str:
    """A JSON VALUE as text: a list of plain values joined by commas, nothing for an object."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else ""
    if isinstance(value, list):
        plain = (item for item in value[:VARIABLES] if not isinstance(item, (list, dict)))
        return ", ".join(text for text in map(scalar, plain) if text)
    return ""
