"""What the ticket of one alert is opened with: the configuration's ``ticket``, then its
``severities``, then its ``rules``, each over the one before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Mapping

from brtel_notify.alert import Alert
from brtel_notify.config import SETTABLE, Config

#: Whether a rule's condition holds; may raise anything that a bad expression raises.
Holds = Callable[[str], bool]


@dataclass
class Settings:
    """The settings of one ticket, and the configuration key each of them comes from."""

    values: Dict[str, Any]
    keys: Dict[str, str]
    ignored_by: str = ""
    problems: List[str] = field(default_factory=list)

    def set(self, values: Mapping[str, Any], key: str) -> None:
        """Take VALUES, which stand below KEY in the configuration."""
        for name, value in values.items():
            self.values[name] = value
            self.keys[name] = f"{key}.{name}"


def settings_for(alert: Alert, config: Config, holds: Holds) -> Settings:
    """The settings for ALERT. A rule that fails is left out, and named in ``problems``."""
    settings = Settings({}, {})
    settings.set({name: getattr(config.ticket, name) for name in SETTABLE}, "ticket")
    for word in (alert.severity, alert.state.lower()):
        if word in config.severities:
            settings.set(config.severities[word], f"severities.{word}")
    for number, rule in enumerate(config.rules):
        key = f"rules[{number}]"
        try:
            if not holds(rule.when):
                continue
        except Exception as error:  # noqa: BLE001 - whatever a user's rule does wrong
            from brtel_notify.render import describe

            place = config.place(f"{key}.when")
            settings.problems.append(f"{place}: {key}.when: {describe(error)}; left out")
            continue
        settings.set(rule.set, f"{key}.set")
        if rule.ignore is not None:
            settings.ignored_by = key if rule.ignore else ""
    return settings
