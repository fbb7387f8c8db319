"""The lane of an event: those that meet the same entry of the map share one."""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, Iterable, Iterator, NamedTuple, Optional, Set
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


class _Wait(NamedTuple):
    lane: str
    ids: Deque[str]


class Waiting:
    """In which lane the events of each alert wait, whatever the alert is called in them."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._waits: Dict[str, _Wait] = {}

    def lane(self, alert: Alert) -> Optional[str]:
        """The lane in which the events about the same as ALERT wait, if there are any."""
        for name in names_of(alert):
            wait = self._wait(name)
            if wait is not None:
                return wait.lane
        return None

    def ids(self, names: Iterable[str]) -> Set[str]:
        """The events that wait of the alert of these NAMES; perhaps some that are gone."""
        found = filter(None, map(self._wait, names))
        return {event_id for wait in found for event_id in wait.ids}

    def add(self, event_id: str, names: Iterable[str], lane: str) -> None:
        """An event about the alert of these NAMES was put into LANE."""
        for name in names:
            wait = self._wait(name)
            ids = wait.ids if wait is not None else deque()
            ids.append(event_id)
            self._waits[name] = _Wait(lane, ids)
        if len(self._waits) > 10 * len(self._lanes) + 1000:  # most are of events that are gone
            self._waits = {name: wait for name in self._waits if (wait := self._wait(name))}

    def moved(self, names: Iterable[str], to: str) -> None:
        """What waits of the alert of these NAMES was put into the lane TO."""
        for name in names:
            wait = self._wait(name)
            if wait is not None:
                self._waits[name] = wait._replace(lane=to)

    def _wait(self, name: str) -> Optional[_Wait]:
        """What waits by that NAME; None when nothing does any more."""
        wait = self._waits.get(name)
        while wait is not None and wait.ids and wait.ids[0] not in self._lanes:
            wait.ids.popleft()
        return wait if wait is not None and wait.ids else None


def names_of(alert: Alert) -> Iterator[str]:
    """All that ALERT may be called in the events that wait; its key first."""
    yield alert.key
    for key, _ in alert.older_keys():
        yield key
    if alert.lasting:  # a trigger is the same at its next event, too
        yield f"{alert.system} {alert.check or alert.lasting}"
