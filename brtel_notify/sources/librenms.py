"""LibreNMS: the alert data of a transport, a JSON object on stdin."""

from __future__ import annotations

from brtel_notify.intake import withheld
from brtel_notify.sources.source import (
    WEB_PAGES,
    Source,
    is_number,
    json_without_secrets,
    read_stdin,
    var_flags,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Mapping, Tuple

    from brtel_notify.alert import Alert
    from brtel_notify.intake.capture import Capture
    from brtel_notify.options import Options
    from brtel_notify.sources.source import PageKey

#: Levels of lists in ``faults`` and ``diff``; it has three.
_DEPTH = 8


class LibreNMS(Source):
    """LibreNMS, by the transport Bluerocktel.php."""

    name = "librenms"
    product = "LibreNMS"
    products = "LibreNMS."
    thing: Mapping[str, str] = {"en": "Rule", "fr": "Règle"}
    takes = ("", "LibreNMS's alert data, JSON on stdin")
    about = "capture one alert of LibreNMS, JSON on stdin"
    help = """\
usage: brtel-notify librenms [--var NAME=VALUE]...

Reads LibreNMS's alert data, one JSON object, from stdin, as its transport
passes it.

example:
  brtel-notify librenms < alert.json
"""
    page_keys: Mapping[str, PageKey] = {"url": WEB_PAGES}

    def take(self, words: List[str], options: Options) -> Tuple[List[str], str]:
        """Flags, and the JSON on stdin."""
        return var_flags(words, options), read_stdin()

    def stdin_without_secrets(self, stdin: str) -> str:
        """LibreNMS passes whole rows of its database, passwords among them."""
        return json_without_secrets(stdin, FILTERS, ROWS)

    def may_be_test(self, capture: Capture) -> bool:
        """Its button Test transport passes ids of 000."""
        return '"000"' in capture.stdin

    def parse(self, capture: Capture) -> Alert:
        """See librenms_alert.py."""
        from brtel_notify.sources import librenms_alert

        return librenms_alert.parse(capture)

    def page(self, options: Mapping[str, str], alert: Alert) -> str:
        """The device's page (LibreNMS/Util/Url.php, deviceUrl)."""
        device = alert.vars["device_id"]
        return f"{options['url']}/device/{device}" if is_number(device) else ""


def _rows(value: Any) -> Any:
    """Rows of the database, of which only ``string`` is for people."""
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
    """The notes of a device, whose lines ``NAME: value`` are variables."""
    if not isinstance(value, str) or not withheld.may_name_a_secret(value):
        return value
    lines = value.splitlines(keepends=True)
    return "".join(line for line in lines if not withheld.is_secret(withheld.named(line)[0]))


#: The fields that are rows of the database.
ROWS = ("faults", "diff")
FILTERS: withheld.Filters = {"faults": _rows, "diff": _rows, "notes": _notes}

SOURCE = LibreNMS()
