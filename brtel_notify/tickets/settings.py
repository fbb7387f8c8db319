"""What the ticket of one alert is opened with: the configuration's ``ticket``, then its
``severities``, then what the monitoring says in TICKET_PRIORITY and TICKET_TAGS, then the
configuration's ``rules``, each over the one before."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping

from brtel_notify.alert import Alert
from brtel_notify.config.schema import SETTABLE, Config
from brtel_notify.local.cleaning import line_of
from brtel_notify.local.plausible import LAST_ID

#: The variables of an alert that set something of its ticket.
PRIORITY = "TICKET_PRIORITY"
TAGS = "TICKET_TAGS"
#: What an alert may add: so many tags, and so many characters of a tag or a priority's name.
MOST_TAGS = 20
LONGEST_WORD = 100

#: Whether a rule's condition holds; may raise anything that a bad expression raises.
Holds = Callable[[str], bool]


class Settings:
    """The settings of one ticket, and the configuration key each of them comes from.

    ``ignored_by`` is the key of the rule that says to leave the alert alone, ``problems`` what is
    wrong with rules and names.
    """

    def __init__(self, values: Dict[str, Any], keys: Dict[str, str]) -> None:
        self.values = values
        self.keys = keys
        self.ignored_by = ""
        self.problems: List[str] = []

    def set(self, values: Mapping[str, Any], key: str) -> None:
        """Take VALUES, which stand below KEY in the configuration."""
        for name, value in values.items():
            self.values[name] = value
            self.keys[name] = f"{key}.{name}"

    def take_variables(self, variables: Mapping[str, str]) -> None:
        """Take what the monitoring's own VARIABLES say: a priority, and tags to be added."""
        priority = _word(variables.get(PRIORITY, ""))
        if priority:
            self.values["priority"] = _name_or_id(priority)
            self.keys["priority"] = f"vars.{PRIORITY}"
        added = [_word(tag) for tag in variables.get(TAGS, "").split(",")]
        if any(added):
            wanted = [*self.values["tags"], *[tag for tag in added if tag][:MOST_TAGS]]
            self.values["tags"] = list(dict.fromkeys(wanted))  # each once, in order
            self.keys["tags"] = f"vars.{TAGS}"


def _word(text: str) -> str:
    """TEXT as a name or tag: one short line that no web page takes for HTML."""
    line = " ".join(line_of(text).split()).replace("<", "‹").replace(">", "›")
    return line[:LONGEST_WORD].rstrip()


def _name_or_id(word: str) -> Any:
    """An id (int) where WORD is one, as in the configuration."""
    is_id = word.isascii() and word.isdigit() and 0 < int(word) < LAST_ID
    return int(word) if is_id else word


def settings_for(alert: Alert, config: Config, holds: Holds) -> Settings:
    """The settings for ALERT. A rule that fails is left out, and named in ``problems``."""
    settings = Settings({}, {})
    settings.set({name: getattr(config.ticket, name) for name in SETTABLE}, "ticket")
    for word in (alert.severity, alert.state.lower()):
        if word in config.severities:
            settings.set(config.severities[word], f"severities.{word}")
    settings.take_variables(alert.vars)
    for number, rule in enumerate(config.rules):
        key = f"rules[{number}]"
        try:
            if not holds(rule.when):
                continue
        except Exception as error:  # noqa: BLE001 - whatever a user's rule does wrong
            from brtel_notify.text.bounded_jinja import describe

            where = config.where(f"{key}.when")
            settings.problems.append(f"{where}: {key}.when: {describe(error)}; left out")
            continue
        settings.set(rule.set, f"{key}.set")
        if rule.ignore is not None:
            settings.ignored_by = key if rule.ignore else ""
    return settings
