"""One occurrence of an alert and the next (DESIGN section 5): values and pure functions.

A member of the map's entry is what is known of an alert: ``severity`` and ``state`` of the worst
that holds the ticket, ``since``, and, where its source says so, what tells this occurrence from
another: ``occurrence`` with ``by``, ``order``, the ``notification`` last seen of a volatile
service. Where several may be open at once, ``open`` has them all by their names. ``lasting`` is
what the alert is known by when it is renamed (a word each; of one trigger several may be open).
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from brtel_notify.alert import DOWNTIME, FLAPPING, RECOVERY, SEVERITIES, Alert
from brtel_notify.text import times

Member = Mapping[str, Any]
#: A volatile service's results are noted one by one, so many in so many seconds; the others are
#: counted, and the next note says how many they are.
RESULTS, RESULTS_WITHIN = 12, 3600.0
#: An alert is known by so many words, at most.
MOST_LASTING = 20
#: What was captured so many seconds after a recovery may still have begun before it.
LATE = 300.0


def joined(member: Optional[Member], alert: Alert) -> Dict[str, Any]:
    """MEMBER (None: there was none), standing for the problem ALERT as well."""
    one, lasting = _one(alert), {"lasting": _lasting(member or {}, alert)}
    if not alert.one_by_one or not alert.occurrence:
        return {**one, **_names(known(member, alert) or {}, alert), **lasting}
    held = {**open_ones(member), alert.occurrence: one}
    return {**_worst(held), "open": held, **lasting}


def without(member: Member, alert: Alert) -> Optional[Dict[str, Any]]:
    """MEMBER after the recovery ALERT; None when nothing holds the ticket any more."""
    held = open_ones(member)
    left = {name: one for name, one in held.items() if name != alert.occurrence}
    if not alert.occurrence or not left:
        return None
    return {**_worst(left), "open": left, "lasting": member.get("lasting", "")}


def known(member: Optional[Member], alert: Alert) -> Optional[Member]:
    """What MEMBER says of the very occurrence of ALERT; None where that is not known."""
    if member is None or is_another(member, alert):
        return None
    held = open_ones(member)
    return held.get(alert.occurrence, member) if held else member


def open_ones(member: Optional[Member]) -> Dict[str, Dict[str, Any]]:
    """The occurrences that hold the ticket one by one, by their names."""
    return dict(member.get("open", {})) if member else {}


def is_recovery(alert: Alert) -> bool:
    """Whether ALERT says that all is well: what is well at the end of a downtime does, too."""
    if alert.kind == RECOVERY:
        return True
    at_the_end = alert.severity == "ok" and alert.action in ("end", "cancelled")
    return at_the_end and alert.kind in (DOWNTIME, FLAPPING)


def is_another(member: Member, alert: Alert) -> bool:
    """Whether the problem ALERT is another occurrence than the one that is known."""
    held = open_ones(member)
    if held:
        return bool(alert.occurrence) and alert.occurrence not in held
    if alert.occurrence and member.get("occurrence"):
        return bool(
            alert.occurrence_by == member.get("by", "") and alert.occurrence != member["occurrence"]
        )
    if alert.order is None or member.get("order") is None or alert.action:
        return False
    # The numbers may have begun again: then the time says that it is a new one.
    return bool(alert.order > member["order"]) or _began_before(member, alert.since)


def is_sent_again(member: Member, alert: Alert) -> bool:
    """Whether ALERT is, by its number, the very message that was known last."""
    return alert.order is not None and alert.order == member.get("order")


def names_another(member: Member, alert: Alert) -> bool:
    """Whether the recovery ALERT names an occurrence that is not open here."""
    held = open_ones(member)
    if held:
        return bool(alert.occurrence) and alert.occurrence not in held
    named = alert.occurrence and member.get("occurrence")
    return bool(named) and alert.occurrence != member["occurrence"]


def is_older(member: Member, alert: Alert, now: float) -> bool:
    """Whether the recovery ALERT is of a time before the problem that is known began.

    Where it names what it ends, the name decides. A time that lies ahead of NOW is none.
    """
    if alert.occurrence:
        return False
    began = _began(member)
    later = _began_before(member, alert.since)
    if alert.order is not None and member.get("order") is not None:
        return bool(alert.order < member["order"]) and not later
    if began is None or alert.since is None or began > now:
        return False
    return alert.since < began


def began_anew(member: Member, alert: Alert) -> bool:
    """Whether the same state of the same occurrence has another beginning than was known.

    Within one problem that may be (critical, warning, critical); after a restart that lost its
    memory, an old id stands for a new problem.
    """
    return "PROBLEMID" in alert.occurrence_by and _began_before(member, alert.since)


def has_ended(alert: Alert, ended: Mapping[str, Any], captured: float, was_dead: bool) -> bool:
    """Whether the problem ALERT is over, by a recovery of its key that was ENDED (ended.py).

    CAPTURED is when it was, in seconds since the epoch. WAS_DEAD: it was put back by an operator,
    so it was certainly captured first, however long ago. In doubt it has not ended: one ticket too
    many is closed by a person, one too few is seen by nobody.
    """
    at, since = ended["at"], ended.get("since")
    over = at if since is None else since
    not_later = alert.since is None or alert.since <= over  # else the numbers have begun again
    if alert.occurrence and ended.get("occurrence"):
        if alert.occurrence != ended["occurrence"]:
            return False
        if alert.one_by_one:  # elsewhere a name may be used again
            began = ended.get("began")
            told = began is not None and alert.since is not None
            return bool(began == alert.since) if told else not_later
    if alert.order is not None and ended.get("order") is not None:
        return bool(alert.order <= ended["order"]) and not_later
    if alert.since is None or since is None or alert.since >= since:
        return False
    # Captured before its recovery, but read behind it: the clock went back, and this one is new.
    return was_dead or 0 <= captured - at <= LATE


def is_named(member: Optional[Member]) -> bool:
    """Whether it is known which occurrence MEMBER is."""
    names = ("occurrence", "order", "open")
    return member is not None and any(member.get(name) for name in names)


def told_results(results: Mapping[str, Any], now: float) -> Optional[Dict[str, Any]]:
    """The counts of an entry's RESULTS after one more note; None when it has had its share."""
    if not results or not 0 <= now - times.from_iso(results["since"]) < RESULTS_WITHIN:
        return {"since": times.iso(now), "noted": 1, "untold": 0}
    if results["noted"] >= RESULTS:
        return None
    return {**results, "noted": results["noted"] + 1, "untold": 0}


def untold(results: Mapping[str, Any], now: float) -> Dict[str, Any]:
    """The counts after one more result that is not told."""
    return {"since": times.iso(now), "noted": 0, **results, "untold": results.get("untold", 0) + 1}


def _one(alert: Alert) -> Dict[str, Any]:
    since = alert.since if alert.since is not None else alert.time
    one = {"severity": alert.severity, "state": alert.state, "since": times.iso(since)}
    if alert.since is None:
        one["since_by"] = "capture"
    return one


def _lasting(member: Member, alert: Alert) -> str:
    known = [word for word in member.get("lasting", "").split() if word != alert.lasting]
    return " ".join([*known, alert.lasting][-MOST_LASTING:]).strip()


def _names(same: Member, alert: Alert) -> Dict[str, Any]:
    """What tells the occurrence of ALERT from the next; what is empty is left out.

    What ALERT does not say is as it was known of the SAME one.
    """
    names: Dict[str, Any] = {
        "order": alert.order or same.get("order"),
        "notification": alert.notification or same.get("notification"),
    }
    if alert.occurrence:
        names.update(occurrence=alert.occurrence, by=alert.occurrence_by)
    else:
        names.update({name: same.get(name) for name in ("occurrence", "by", "open")})
    return {name: value for name, value in names.items() if value}


def _worst(held: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
    worst = max(held.values(), key=lambda one: SEVERITIES.index(one["severity"]))
    return dict(worst)


def _began(member: Member) -> Optional[float]:
    """When its source says that it began."""
    if member.get("since_by") or not member.get("since"):
        return None
    return times.from_iso(member["since"])


def _began_before(member: Member, since: Optional[float]) -> bool:
    began = _began(member)
    return began is not None and since is not None and int(since) > began
