"""One module a monitoring system: a raw capture becomes an Alert.

Every module here is pure: no file, no network, no clock, nothing of the environment but what the
capture holds. (Times that name no zone are the server's own, hence the process's time zone.)
"""

from __future__ import annotations

import importlib
from typing import Callable, cast

from brtel_notify.alert import Alert, Unintelligible
from brtel_notify.intake.capture import Capture
from brtel_notify.local.cleaning import shown

SOURCES = ("nagios", "icinga", "zabbix", "librenms", "event")


def parse(capture: Capture) -> Alert:
    """The alert that CAPTURE means.

    Raises Unintelligible, with one printable line, when it means none: no host, no or an unknown
    notification type, malformed JSON, or a source that is none of SOURCES.
    """
    if capture.source not in SOURCES:
        raise Unintelligible(
            f"unknown source {shown(capture.source)}: it is one of {', '.join(SOURCES)}"
        )
    # Imported by name, so that a Nagios notification does not wait for the other sources.
    module = importlib.import_module(f"brtel_notify.sources.{capture.source}")
    parse_source = cast(Callable[[Capture], Alert], module.parse)
    return parse_source(capture)
