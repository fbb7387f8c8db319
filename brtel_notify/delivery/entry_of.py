"""Which entry of the map an alert meets, whatever the two were called when it was written.

An alert is known by its key. An entry may have it under an older form of that (without the instance
that was configured since; with bytes that 932417d could not tell apart), or, where the host or the
rule was renamed meanwhile, by what lasts. Such an entry is met as if it had been written under the
names of today, and keeps its reference. Nothing is changed here: whoever delivers lets the map have
it so (book.py). No older reference is looked for on the server: other instances may have a ticket
of it.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional, Set

from brtel_notify.alert import RECOVERY, Alert, reference
from brtel_notify.config.schema import Config
from brtel_notify.delivery import occurrences
from brtel_notify.intake.queue import Event
from brtel_notify.tickets.open_tickets import Entry, State


class Met(NamedTuple):
    """An entry by the names of today, and as it stands in the map."""

    entry: Entry
    stored: Entry


def begun_under(event: Event) -> Optional[str]:
    """The key of the ticket that EVENT was begun on, which a changed configuration cannot change.

    None if it was not begun, or its customer was looked for anew.
    """
    return None if "looked_again" in event.results else event.key


def begun(key: str, alert: Alert, state: State, config: Config) -> Optional[Met]:
    """The entry of the ticket that ALERT's event was begun on, under KEY.

    It may have been renamed since in the map, or in the journal only (the process was killed).
    """
    entry = state.get(key) or state.with_reference(reference(key))
    if entry is not None:
        member = _member_for(alert, entry, config)
        return Met(_with_member_renamed(entry, member, alert), entry)
    if key == alert.key:
        return standing_for(alert, state, config)
    return group(key, alert, state, config)


def standing_for(alert: Alert, state: State, config: Config) -> Optional[Met]:
    """The entry that has ALERT as a member; of a ticket of its own, also after its end."""
    ended: Optional[Entry] = None
    for key in (alert.key, *(key for key, _ in alert.older_keys())):
        entry = state.get(key)
        if entry is not None and not _is_its_form(key, alert, entry, config):
            entry = None
        if entry is None or key not in entry.members:
            ended = ended or entry
            entry = state.with_member(key)
        if entry is not None and _is_its_form(key, alert, entry, config):
            elsewhere = _by_what_lasts(alert, state) if _is_of_others(entry, key, alert) else None
            return elsewhere or _renamed(entry, key, alert, state)
    found = _by_what_lasts(alert, state)
    if found is not None:
        return found
    if ended is not None and config.ticket.group_by == "alert":
        return _renamed(ended, ended.key, alert, state)
    return None


def group(key: str, alert: Alert, state: State, config: Config) -> Optional[Met]:
    """The entry of the ticket KEY that ALERT would share with others."""
    entry = state.get(key)
    if entry is not None:
        return Met(entry, entry)
    for older, of_group in alert.older_keys() if key == alert.host_key() else ():
        entry = state.get(of_group)
        if entry is None or not _is_its_form(older, alert, entry, config):
            continue
        if any(_system(member) == _system(older) for member in entry.members):
            return Met(entry._replace(key=key), entry)
    return None


def would_be(alert: Alert, config: Config) -> Optional[str]:
    """The key of the ticket that ALERT would open; None where its customer decides."""
    if config.ticket.group_by == "customer":
        return None
    return alert.host_key() if config.ticket.group_by == "host" else alert.key


def changes(alert: Alert, entry: Entry, state: State, config: Config) -> bool:
    """Whether ALERT, of the lane of ENTRY, joins or leaves that; a lane may have several."""
    if alert.kind == RECOVERY:
        return alert.key in entry.members
    elsewhere = standing_for(alert, state, config) is not None
    return not elsewhere and would_be(alert, config) in (None, entry.key)


def of_customer(customer_id: int) -> str:
    """The key of the ticket that all alerts of a customer share."""
    return f"customer:{customer_id}"


def _is_of_others(entry: Entry, key: str, alert: Alert) -> bool:
    """Whether ENTRY stands for other events than ALERT's by its KEY: a host was renamed, say."""
    member = entry.members.get(key)
    return member is not None and occurrences.names_another(member, alert)


def _by_what_lasts(alert: Alert, state: State) -> Optional[Met]:
    if not alert.lasting or alert.may_be_first():
        return None  # a problem by a name of its own has a ticket of its own (DESIGN 5, rule 9)
    found = state.with_lasting(alert.lasting, _systems(alert))
    return None if found is None else _renamed(*found, alert, state)


# --- older names ----------------------------------------------------------------------------------


def _member_for(alert: Alert, entry: Entry, config: Config) -> Optional[str]:
    """By which key ENTRY has ALERT as a member."""
    for key in (alert.key, *(key for key, _ in alert.older_keys())):
        if key in entry.members and _is_its_form(key, alert, entry, config):
            return key
    for key, member in entry.members.items():
        lasting = member.get("lasting", "").split()
        if alert.lasting in lasting and _system(key) in _systems(alert):
            return key
    return None


def _is_its_form(key: str, alert: Alert, entry: Entry, config: Config) -> bool:
    """Whether KEY, one of the forms of ALERT's key, means ALERT in ENTRY.

    Where the configuration names the instance, all alerts without one came before that. Else both
    kinds may live side by side, and only what 932417d wrote is from before.
    """
    if _system(key) == alert.system:
        return True
    if config.sources.of(alert.source).get("instance") == alert.instance:
        return True
    return any("lasting" not in member for member in entry.members.values())


def _renamed(entry: Entry, member: str, alert: Alert, state: State) -> Met:
    """ENTRY, in which ALERT goes, or went, by the key MEMBER."""
    if member == alert.key:
        return Met(entry, entry)
    new = {member: alert.key, **_host_keys(member, alert)}.get(entry.key, entry.key)
    renamed = _with_member_renamed(entry, member, alert)
    there = state.get(new)
    if new != entry.key and (there is None or not there.members):
        renamed = renamed._replace(key=new)
    return Met(renamed, entry)


def _host_keys(member: str, alert: Alert) -> Dict[str, str]:
    return {group: alert.host_key() for key, group in alert.older_keys() if key == member}


def _with_member_renamed(entry: Entry, member: Optional[str], alert: Alert) -> Entry:
    if member in (None, alert.key):
        return entry
    members = {alert.key if key == member else key: known for key, known in entry.members.items()}
    closed_for = [alert.key if key == member else key for key in entry.closed_for]
    if entry.key == member:
        entry = entry._replace(host=alert.host, service=alert.what)
    return entry._replace(members=members, closed_for=closed_for)


def _system(key: str) -> str:
    return key.partition(":")[0]


def _systems(alert: Alert) -> Set[str]:
    return {alert.system, *(_system(key) for key, _ in alert.older_keys())}
