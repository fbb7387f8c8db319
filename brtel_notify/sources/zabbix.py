"""Zabbix: an alert script's three arguments, the third one ``NAME: value`` a line."""

from __future__ import annotations

from brtel_notify.intake import withheld
from brtel_notify.options import UsageError
from brtel_notify.sources import message_lines
from brtel_notify.sources.source import WEB_PAGES, Source, is_number, query, var_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Mapping, Tuple

    from brtel_notify.alert import Alert
    from brtel_notify.intake.capture import Capture
    from brtel_notify.options import Options
    from brtel_notify.sources.source import PageKey


class Zabbix(Source):
    """Zabbix 6.0 and later."""

    name = "zabbix"
    product = "Zabbix"
    products = "Zabbix."
    thing: Mapping[str, str] = {"en": "Trigger", "fr": "Déclencheur"}
    takes = ("SENDTO SUBJECT MESSAGE", "a Zabbix alert script's three arguments")
    about = "capture one alert of Zabbix"
    help = """\
usage: brtel-notify zabbix [--var NAME=VALUE]... SENDTO SUBJECT MESSAGE

A Zabbix alert script's three arguments: {ALERT.SENDTO} {ALERT.SUBJECT}
{ALERT.MESSAGE}. The message has one "NAME: value" a line, as the media type
has it that `brtel-notify install zabbix` names.

example:
  brtel-notify zabbix CL2385 problem "$(printf '%s\\n' 'EVENT.VALUE: 1' \\
      'HOST.HOST: acme.3cx.fr' 'TRIGGER.ID: 7' 'EVENT.NAME: SIP trunk down')"
"""
    page_keys: Mapping[str, PageKey] = {"url": WEB_PAGES}

    def asks_for_help(self, arguments: List[str]) -> bool:
        """What Zabbix passes are its user's words, whatever they look like: only the first asks."""
        return super().asks_for_help(arguments[:1])

    def take(self, words: List[str], options: Options) -> Tuple[List[str], str]:
        """Three arguments, whatever they look like; options may stand before them."""
        if words[-4:-3] == ["--"]:
            del words[-4]
        if len(words) < 3:
            raise UsageError(
                f"zabbix takes three arguments, not {len(words)}: the media type's script"
                " parameters are {ALERT.SENDTO}, {ALERT.SUBJECT} and {ALERT.MESSAGE}"
            )
        return var_flags(words[:-3], options) + words[-3:], ""

    def argv_without_secrets(self, argv: List[str]) -> List[str]:
        """Of the three arguments, where no word is a flag, only the message has names."""
        data = argv[-3:]
        data[-1:] = map(message_lines.without_secrets, data[-1:])
        return withheld.from_flags(argv[:-3]) + data

    def may_be_test(self, capture: Capture) -> bool:
        """The texts of its Test button are in the user's language."""
        return "EVENT." not in capture.argv[-1] or "test" in capture.argv[-2].lower()

    def parse(self, capture: Capture) -> Alert:
        """See zabbix_message.py."""
        from brtel_notify.sources import zabbix_message

        return zabbix_message.parse(capture)

    def page(self, options: Mapping[str, str], alert: Alert) -> str:
        """The event's page, or without an event's id the problems of the trigger (seen in 6.0)."""
        base = options["url"]
        trigger, event = alert.vars["TRIGGER.ID"], alert.vars["EVENT.ID"]
        if not is_number(trigger):
            return ""
        if is_number(event):
            return f"{base}/tr_events.php?{query({'triggerid': trigger, 'eventid': event})}"
        values = {"action": "problem.view", "filter_name": "", "triggerids[]": trigger}
        return f"{base}/zabbix.php?{query(values)}"


SOURCE = Zabbix()
