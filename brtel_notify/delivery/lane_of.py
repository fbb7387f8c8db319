"""The lane of an event: those that meet the same entry of the map share one."""

from __future__ import annotations

from typing import Dict, Iterator, NamedTuple, Optional
from urllib.parse import unquote

from brtel_notify.alert import Alert
from brtel_notify.config.schema import Config
from brtel_notify.delivery import entry_of
from brtel_notify.delivery.lanes import Lanes
from brtel_notify.intake.queue import Event
from brtel_notify.tickets.open_tickets import State


def lane_of(event: Event, alert: Alert, state: State, config: Config) -> Optional[str]:
    """By the entry that EVENT will meet, else by that which it would open.

    None where the customer of ALERT decides.
    """
    key = entry_of.begun_under(event)
    if key is not None:
        met = entry_of.begun(key, alert, state, config)
    else:
        met = entry_of.standing_for(alert, state, config)
    if config.ticket.adopt == "any":  # entries of one customer may share a ticket
        return entry_of.of_customer(met.stored.customer["id"]) if met else None
    name = met.stored.key if met else key or entry_of.would_be(alert, config)
    return None if name is None else lane_of_key(name)


def lane_of_key(key: str) -> str:
    """The lane of the entry KEY, the same for each form that the key had or will have."""
    system, colon, thing = key.partition(":")
    return unquote(f"{system.partition('@')[0]}{colon}{thing}")


class _Last(NamedTuple):
    event_id: str
    lane: str


class Waiting:
    """In which lane the events of each alert wait, whatever the alert is called in them."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._last: Dict[str, _Last] = {}

    def lane(self, alert: Alert) -> Optional[str]:
        """The lane in which an event about the same as ALERT waits, if there is one."""
        for name in names_of(alert):
            last = self._last.get(name)
            if last is not None and last.event_id in self._lanes:
                return last.lane
        return None

    def add(self, event_id: str, alert: Alert, lane: str) -> None:
        """An event was put into LANE."""
        for name in names_of(alert):
            last = self._last.get(name)
            if last is None or last.event_id < event_id or last.event_id not in self._lanes:
                self._last[name] = _Last(event_id, lane)
        if len(self._last) > 10 * len(self._lanes) + 1000:  # most are of events that are gone
            self._last = {name: last for name, last in self._last.items() if last[0] in self._lanes}


def names_of(alert: Alert) -> Iterator[str]:
    """All that ALERT may be called in the events that wait; its key first."""
    yield alert.key
    for key, _ in alert.older_keys():
        yield key
    if alert.lasting:  # a trigger is the same at its next event, too
        yield f"{alert.system} {alert.check or alert.lasting}"
