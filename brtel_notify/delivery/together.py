"""Which events that wait for one ticket go together: pure functions."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, List, Tuple

from brtel_notify.alert import PROBLEM, RECOVERY, Alert
from brtel_notify.delivery import occurrences
from brtel_notify.intake.queue import Event
from brtel_notify.tickets.open_tickets import Entry

#: An event that waits behind another one for the same ticket, and what it says.
Follower = Tuple[Event, Alert]


class Followers:
    """Those that wait behind an event, in order.

    Several look through them; each is read once, when somebody comes to it.
    """

    def __init__(self, unread: Iterable[Follower] = ()) -> None:
        self._unread = iter(unread)
        self._read: List[Follower] = []

    def __iter__(self) -> Iterator[Follower]:
        yield from self._read
        for follower in self._unread:
            self._read.append(follower)
            yield follower


def came_and_went(event: Event, alert: Alert, followers: Iterable[Follower]) -> List[Follower]:
    """The problem ALERT and what follows it of the same alert, up to the recovery that ends it.

    Empty when none does, or it would not tell of all.
    """
    gone: List[Follower] = [(event, alert)]
    problem = occurrences.joined(None, alert)
    for later, said in followers:
        if not said.is_about_the_same(alert):
            continue
        if said.kind == PROBLEM and occurrences.is_another(problem, said):
            return []
        if said.kind == RECOVERY and not ends(problem, said, later.capture.time):
            return []
        gone.append((later, said))
        if said.kind == RECOVERY:
            return gone
    return []


def is_plain(alert: Alert, entry: Entry, now: float) -> bool:
    """Whether ALERT is a problem new to the ticket, or ends all that ENTRY knows of it."""
    member = entry.members.get(alert.key)
    if alert.kind == PROBLEM or member is None:
        return (member is None) == (alert.kind == PROBLEM)
    return ends(member, alert, now) and occurrences.without(member, alert) is None


def says_the_same(alert: Alert, other: Alert) -> bool:
    """Whether one note can tell of both: two alerts, or one that was sent twice."""
    if alert.key != other.key:
        return True
    return _said(alert) == _said(other)


def _said(alert: Alert) -> Tuple[Any, ...]:
    named = (alert.occurrence, alert.order, alert.notification, alert.since)
    return (alert.state, alert.severity, alert.action, *named)


def ends(member: occurrences.Member, alert: Alert, now: float) -> bool:
    """Whether the recovery ALERT ends what is known of it, or one of the occurrences."""
    if occurrences.names_another(member, alert):
        return False
    return not occurrences.is_older(member, alert, now)
