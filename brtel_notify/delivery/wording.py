"""In which words an alert is told: its own, or fewer where something on the way refuses them.

A firewall may dislike a word of an alert, and a database the fourth byte of a character. The ticket
is worth more than the text: it is sent without, and says so.
"""

from __future__ import annotations

import re

from brtel_notify.alert import Alert, Vars
from brtel_notify.delivery.next_way import FEW_REFUSALS

#: How a text is sent, each of them saying less than the one before.
WHOLE = ""
NARROW = "without characters of 4 bytes"
BRIEF = "without the alert's own text"
BARE = "without the alert's own text, its host in letters and digits only"
NAMELESS = "without the alert's own text and names"

#: What is told in the built-in words only, with the remark that the alert's own are left out.
PLAIN = (BRIEF, BARE, NAMELESS)


def after_errors(times: int) -> str:
    """How to say it after BlueRockTEL has failed with it (500) so many TIMES.

    After very many also, every second time, without the text: another time it may be well again.
    """
    if times < FEW_REFUSALS:
        return WHOLE
    return BRIEF if times >= 2 * FEW_REFUSALS and times % 2 else NARROW


def of_alert(alert: Alert, words: str) -> Alert:
    """ALERT with what those WORDS leave of it."""
    if words not in PLAIN:
        return alert
    fewer = alert._replace(
        output="", long_output="", title="", comment="", author="", url="", vars=Vars()
    )
    if words == BRIEF:
        return fewer
    name = "…" if words == NAMELESS else " ".join(re.findall("[0-9A-Za-z]+", alert.host))
    return fewer._replace(host=name, address="", service="", check="", state="")


def of_text(text: str, words: str) -> str:
    """A finished TEXT, such as MySQL's older character set can hold, unless it is to be WHOLE."""
    return text if words == WHOLE else re.sub("[^\0-\uffff]", "\ufffd", text)
