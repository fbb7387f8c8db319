"""``ticket.open_after``: a problem waits in the queue until it is time to open its ticket.

Values and pure functions. What waits is decided anew whenever something comes behind it or the
configuration changes, from what stands in the queue: there is no timer that could be lost.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Any, Callable, Iterable, List, NamedTuple, Optional

from brtel_notify.alert import PROBLEM, Alert
from brtel_notify.config.schema import Config
from brtel_notify.delivery import occurrences
from brtel_notify.delivery.together import Follower, ends
from brtel_notify.intake.queue import Event
from brtel_notify.text import times

#: ``ticket.open_after`` for an alert: seconds, or a time of day such as 08:00; None where a rule
#: ignores the alert.
OpenAfter = Callable[[Alert], Any]


class Wait(NamedTuple):
    """What is to be known of a problem that may have to wait.

    ``since`` is when it was captured first, ``due`` when its ticket is opened; seconds since the
    epoch. ``over`` is all that is done with if it is over before that, the recovery last. ``heir``
    waits in this one's place: the same problem, as it was reported next, or another occurrence of
    it, which is to wait from ``since``. ``company`` are the events of this alert, this one first.
    """

    since: float
    due: float
    over: List[Follower]
    heir: Optional[Follower]
    company: List[Event]


def wait(
    event: Event,
    alert: Alert,
    followers: Iterable[Follower],
    open_after: OpenAfter,
    zone: tzinfo,
    now: float,
) -> Wait:
    """How it stands with the problem ALERT, behind which FOLLOWERS wait."""
    latest, heir = alert, None
    over: List[Follower] = [(event, alert)]
    behind = [follower for follower in followers if follower[1].is_about_the_same(alert)]
    company = [event, *(later for later, _ in behind)]
    problem = occurrences.joined(None, alert)
    since = event.waits_since
    for later, said in behind:
        if said.kind == PROBLEM:
            if open_after(said) is None:
                continue  # as if it had not come
            if occurrences.is_another(problem, said):
                if said.one_by_one:
                    continue
                due = due_at(open_after(latest), since, zone)
                if later.capture.time < due:  # it takes this one's place, and waits for itself
                    return Wait(later.waits_since, due, [], (later, said), company)
                break
            over.append((later, said))
            latest, heir = said, (later, said) if later is company[1] else heir
        elif not occurrences.is_recovery(said):
            continue
        elif ends(problem, said, later.capture.time):
            due = due_at(open_after(latest), since, zone)
            gone = [*over, (later, said)] if later.capture.time < due else []
            return Wait(since, due, gone, heir, company)
    due = due_at(open_after(latest), since, zone)
    # A time that lies ahead is none: the clock was wrong when it was captured.
    return Wait(since, due if since <= now else now, [], heir, company)


def is_used(config: Config) -> bool:
    """Whether any alert may have to wait."""
    settings = (*config.severities.values(), *(rule.set for rule in config.rules))
    return bool(config.ticket.open_after) or any("open_after" in each for each in settings)


def is_held(event: Event, config: Config, now: float) -> bool:
    """Whether EVENT was found to wait, by the same configuration and a clock that was right."""
    held = event.held
    if held is None or held["configuration"] != config.stamp or event.waits_since > now:
        return False
    return bool(now < held["held_until"])


def opens_at(due: float) -> str:
    """What is said of a problem that waits."""
    return f"its ticket is opened at {times.iso(due)}, if it still is a problem then"


def lasted(seconds: float) -> str:
    """A length of time in words for the log: 3 min."""
    if 60 <= seconds < 7200:
        return f"{int(seconds // 60)} min"
    return times.span(seconds)


def due_at(open_after: Any, since: float, zone: tzinfo) -> float:
    """When a problem that began SINCE opens its ticket, in seconds since the epoch.

    OPEN_AFTER is a length of time in seconds, or a time of day: then the next one.
    """
    if not isinstance(open_after, str):
        return since + float(open_after or 0)
    hour, minute = map(int, open_after.split(":"))
    began = datetime.fromtimestamp(since, zone)
    day = began.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if day.timestamp() < since:
        day = (day + timedelta(days=1)).replace(hour=hour, minute=minute)
    return day.timestamp()
