"""What an event in the queue is about, by the names that a delivery would give it."""

from __future__ import annotations

from typing import Callable, Mapping, Optional

from brtel_notify.alert import Alert, Unintelligible
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console.configured import load_config
from brtel_notify.intake.queue import Event
from brtel_notify.options import Options
from brtel_notify.sources import registry

Reader = Callable[[Event], Optional[Alert]]


def reader(options: Options) -> Reader:
    """What reads the alert of an event; None where it means none."""
    try:
        of: Callable[[str], Mapping[str, str]] = load_config(options).sources.of
    except ConfigError:  # the queue can be looked at all the same

        def of(name: str) -> Mapping[str, str]:
            return {}

    def read(event: Event) -> Optional[Alert]:
        try:
            alert = registry.parse(event.capture)
        except Unintelligible:
            return None
        return registry.of_instance(alert, of(alert.source))

    return read
