"""What makes two alerts two, what may change meanwhile, and which entry and lane each meets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brtel_notify.alert import Alert, key_part, reference
from brtel_notify.config.schema import Api, Config, Sources, TicketSection, load
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.delivery import entry_of
from brtel_notify.delivery.book import Book
from brtel_notify.delivery.lane_of import Waiting, lane_of, names_of
from brtel_notify.delivery.lanes import Lanes
from brtel_notify.intake.capture import Capture
from brtel_notify.intake.queue import Event, Queue
from brtel_notify.local.cleaning import one_line
from brtel_notify.sources import registry
from brtel_notify.tickets.open_tickets import Entry, State

CUSTOMER = {"id": 12, "name": "Acme", "account": "CL000012", "how": "hosts"}


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def nagios(host: str, service: str = "") -> Alert:
    macros = {"HOSTNAME": host, "SERVICEDESC": service, "NOTIFICATIONTYPE": "PROBLEM"}
    env = {f"NAGIOS_{name}": value for name, value in macros.items()}
    return registry.parse(Capture("nagios", env, [], "", 1_795_286_249.0))


def zabbix(host: str, event: int = 1001, trigger: int = 7, instance: str = "") -> Alert:
    check = str(trigger)
    lasting = f"{trigger}/{event}"
    alert = Alert("zabbix", "problem", host, 0.0, "critical", check=check, lasting=lasting)
    return alert._replace(instance=instance, occurrence=str(event), one_by_one=True)


def other(host: str, service: str = "", instance: str = "") -> Alert:
    return Alert("event", "problem", host, 0.0, service=service, instance=instance)


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instance", "key", "host_key"),
    [
        ("", "zabbix:Zabbix server:7", "host:Zabbix server"),
        ("lyon", "zabbix@lyon:Zabbix server:7", "host@lyon:Zabbix server"),
        ("lyon 2", "zabbix@lyon 2:Zabbix server:7", "host@lyon 2:Zabbix server"),
        ("a:b%", "zabbix@a%3Ab%25:Zabbix server:7", "host@a%3Ab%25:Zabbix server"),
    ],
)
def test_the_instance_is_in_the_key_if_there_is_one(instance: str, key: str, host_key: str) -> None:
    """D1."""
    alert = zabbix("Zabbix server", instance=instance)
    assert (alert.key, alert.host_key()) == (key, host_key)


@given(
    st.tuples(*[st.text("ab:@%", max_size=3)] * 3), st.tuples(*[st.text("ab:@%", max_size=3)] * 3)
)
def test_no_instance_can_be_taken_for_another_key(one: Any, another: Any) -> None:
    keys = [other(host, service, instance).key for instance, host, service in (one, another)]
    assert (keys[0] == keys[1]) == (one == another)


@given(st.text(min_size=1, max_size=300), st.text(max_size=300))
def test_keys_of_valid_text_are_those_of_932417d(host: str, service: str) -> None:
    if not one_line(host, 300) or len(one_line(host, 300)) > 250 or not host.isprintable():
        host = "web1"
    if len(one_line(service, 300)) > 250 or not service.isprintable():
        service = "x"
    parts = [part for part in (host, service) if one_line(part, 300)]
    wanted = ":".join(["nagios", *(key_part(one_line(part, 300)) for part in parts)])
    alert = nagios(host, service)
    assert (alert.key, alert.older_keys()) == (wanted, ())


@pytest.mark.parametrize("raw", [b"Temp\xe9rature", "Диск".encode("cp1251"), b"\xff" * 400])
def test_a_name_that_is_no_utf_8_has_the_key_of_its_bytes(raw: bytes) -> None:
    """D2: read in any locale, it is the same; another name is another key."""
    alert = nagios("web1", text(raw))
    assert alert.key == nagios("web1", raw.decode("ascii", "surrogateescape")).key
    assert alert.key != nagios("web1", text(raw[:-1] + b"\xfe")).key
    assert alert.key.isascii() or len(raw) > 255
    assert "\ufffd" in alert.older_keys()[0][0]


def test_names_in_cp1251_are_told_apart() -> None:
    """D2, as it was met."""
    disk, network = (nagios("web1", text(word.encode("cp1251"))) for word in ("Диск", "Сеть"))
    assert disk.key == "nagios:web1:%C4%E8%F1%EA"
    assert network.key == "nagios:web1:%D1%E5%F2%FC"
    assert (
        disk.older_keys()
        == network.older_keys()
        == (("nagios:web1:\ufffd\ufffd\ufffd\ufffd", "host:web1"),)
    )


@given(st.binary(min_size=1, max_size=6), st.binary(min_size=1, max_size=6))
def test_two_names_of_any_bytes_are_two_keys(one: bytes, another: bytes) -> None:
    named = [raw for raw in (one, another) if one_line(text(raw), 9)]
    keys = {nagios(text(raw)).key for raw in named}
    plain = {raw for raw in named if all(byte > 0x20 and byte != 0x7F for byte in raw)}
    if len(plain) == 2 and all("\ufffd" in raw.decode(errors="replace") for raw in plain):
        assert len(keys) == 2


# --- the configuration ----------------------------------------------------------------------------


def configured(tmp_path: Path, more: str) -> Config:
    path = tmp_path / "config.yml"
    path.write_text(
        "api: {url: http://127.0.0.1:1/api, token: x}\n"
        "ticket: {priority: 1, category: 1, sub_category: 1}\n" + more
    )
    return load(str(path), {})


@pytest.mark.parametrize("name", ["nagios", "icinga", "zabbix", "librenms"])
@pytest.mark.parametrize(
    ("written", "read"),
    [("lyon", "lyon"), ("Lyon 2", "Lyon 2"), ("2026", "2026"), ('""', ""), ("null", "")],
)
def test_each_system_may_have_an_instance(
    tmp_path: Path, name: str, written: str, read: str
) -> None:
    options = configured(tmp_path, f"sources:\n  {name}: {{instance: {written}}}\n").sources.of(
        name
    )
    alert = registry.of_instance(Alert(name, "problem", "h", 0.0), options)
    assert alert.instance == read
    assert registry.of_instance(alert._replace(instance="own"), options).instance == "own"


@pytest.mark.parametrize("written", ["[a]", '"a\\nb"', "x" * 101])
def test_an_instance_is_a_short_name(tmp_path: Path, written: str) -> None:
    with pytest.raises(ConfigError, match=r"sources\.zabbix\.instance"):
        configured(tmp_path, f"sources:\n  zabbix:\n    instance: {written}\n")


# --- the entry that an alert meets ----------------------------------------------------------------


def config(group_by: str = "alert", instance: Optional[str] = None, adopt: str = "ours") -> Config:
    known: Any = Sources.zabbix  # type: ignore[attr-defined]
    made = Config(
        api=Api(url="http://127.0.0.1:1/api"),
        ticket=TicketSection(
            priority=1, category=1, sub_category=1, group_by=group_by, adopt=adopt
        ),
    )
    if instance is not None:  # all that name none share the default
        made.sources = Sources(zabbix=type(known.default)(instance=instance))
    return made


def entry(key: str, *members: str, lasting: Optional[str] = "", **more: Any) -> Entry:
    known: Dict[str, Any] = {"severity": "critical", "state": "High", "since": ""}
    if lasting is not None:
        known["lasting"] = lasting
    return Entry(
        key=key,
        reference=reference(key),
        ticket_id=7,
        number="A7KZ2F",
        customer=CUSTOMER,
        opened_at="2026-11-21T18:37:29Z",
        members=dict.fromkeys(members, known),
        **more,
    )


def state_of(*entries: Entry) -> State:
    state = State("/nowhere")
    for each in entries:
        state.put(each)
    return state


def met(alert: Alert, state: State, by: Config) -> Optional[Entry]:
    """What the map has for ALERT after a delivery."""
    found = entry_of.standing_for(alert, state, by)
    if found is None:
        key = entry_of.would_be(alert, by)
        found = entry_of.group(key, alert, state, by) if key else None
    if found is None:
        return None
    taken = Book(state, Queue("/nowhere")).take_over(found)
    assert state.get(taken.key) == taken
    return taken


OLD = "zabbix:Zabbix server:7"
NEW = "zabbix@lyon:Zabbix server:7"


@pytest.mark.parametrize("lasting", [None, "7/1001"])
def test_an_entry_without_the_instance_is_taken_over_when_one_is_configured(
    lasting: Optional[str],
) -> None:
    state = state_of(entry(OLD, OLD, lasting=lasting))
    found = met(zabbix("Zabbix server", instance="lyon"), state, config(instance="lyon"))
    assert found is not None
    assert (found.key, list(found.members)) == (NEW, [NEW])
    assert found.reference == reference(OLD)
    assert [each.key for each in state.entries()] == [NEW]


def test_what_an_instance_says_of_itself_takes_over_only_what_932417d_left() -> None:
    """`event --instance lyon` beside `event`: two programs."""
    old, alert = "event:db1:disk", other("db1", "disk", "lyon")
    assert met(alert, state_of(entry(old, old)), config()) is None
    found = met(alert, state_of(entry(old, old, lasting=None)), config())
    assert found is not None
    assert found.key == "event@lyon:db1:disk"


def test_an_entry_of_bytes_that_were_not_told_apart_is_taken_over() -> None:
    old = "nagios:web1:\ufffd\ufffd\ufffd\ufffd"
    state = state_of(entry(old, old, lasting=None))
    disk, network = (nagios("web1", text(word.encode("cp1251"))) for word in ("Диск", "Сеть"))
    found = met(disk, state, config())
    assert found is not None
    assert (found.key, list(found.members), found.service) == (disk.key, [disk.key], "Äèñê")
    assert found.reference == reference(old)
    assert met(network, state, config()) is None


def test_a_closed_entry_is_taken_over_too() -> None:
    state = state_of(entry(OLD, closed_at="2026-11-21T18:40:00Z"))
    found = met(zabbix("Zabbix server", instance="lyon"), state, config(instance="lyon"))
    assert found is not None
    assert (found.key, found.closed_at) == (NEW, "2026-11-21T18:40:00Z")


def test_a_group_is_taken_over_with_the_member_that_comes() -> None:
    state = state_of(entry("host:h", "zabbix:h:7", "zabbix:h:8", lasting=None))
    by = config("host", "lyon")
    found = met(zabbix("h", instance="lyon"), state, by)
    assert found is not None
    assert (found.key, found.reference) == ("host@lyon:h", reference("host:h"))
    assert list(found.members) == ["zabbix@lyon:h:7", "zabbix:h:8"]
    third = met(zabbix("h", 5, 9, "lyon"), state, by)
    assert third == found
    assert met(zabbix("h", 6, 8, "lyon"), state, by) == state.get("host@lyon:h")
    assert list(state.entries()[0].members) == ["zabbix@lyon:h:7", "zabbix@lyon:h:8"]


def test_a_group_of_another_system_is_not() -> None:
    state = state_of(entry("host:h", "nagios:h:disk", lasting=None))
    assert met(zabbix("h", instance="lyon"), state, config("host", "lyon")) is None


@pytest.mark.parametrize("group_by", ["alert", "host"])
def test_a_renamed_host_is_known_by_what_lasts(group_by: str) -> None:
    """D4."""
    key = "zabbix:old:7" if group_by == "alert" else "host:old"
    state = state_of(
        entry("zabbix:x:8", "zabbix:x:8", lasting="8/1001 8/1002"),
        entry(key, "zabbix:old:7", lasting="7/1000 7/1001"),
    )
    found = met(zabbix("new"), state, config(group_by))
    assert found is not None
    assert list(found.members) == ["zabbix:new:7"]
    assert found.reference == reference(key)
    assert found.key == ("zabbix:new:7" if group_by == "alert" else "host:old")
    assert found == met(zabbix("new"), state, config(group_by))
    assert len(state.entries()) == 2


def test_what_lasts_is_unique_within_its_instance_only() -> None:
    state = state_of(entry("zabbix@paris:old:7", "zabbix@paris:old:7", lasting="7/1001"))
    assert met(zabbix("new", instance="lyon"), state, config()) is None
    assert met(zabbix("new"), state, config()) is None
    assert met(zabbix("new", 100), state, config()) is None  # 7/100 is no 7/1001
    assert met(zabbix("new", instance="paris"), state, config()) is not None


def test_renamed_and_given_an_instance_meanwhile() -> None:
    state = state_of(entry("zabbix:old:7", "zabbix:old:7", lasting="7/1001"))
    found = met(zabbix("new", instance="lyon"), state, config(instance="lyon"))
    assert found is not None
    assert found.key == "zabbix@lyon:new:7"


def test_a_new_name_that_was_anothers_is_taken_from_what_is_over() -> None:
    state = state_of(
        entry("zabbix:new:7", closed_at="2026-11-21T18:40:00Z"),
        entry("zabbix:old:7", "zabbix:old:7", lasting="7/1001", host="old"),
    )
    found = met(zabbix("new"), state, config())
    assert found is not None
    assert (found.closed_at, found.host) == (None, "new")
    assert [each.key for each in state.entries()] == ["zabbix:new:7"]


# --- an event that was begun ----------------------------------------------------------------------


def begun(*records: Dict[str, Any]) -> Event:
    return Event("q/1.jsonl", Capture("zabbix", {}, [], "", time.time()), list(records))


def test_an_event_goes_on_with_the_ticket_it_was_begun_on() -> None:
    """The upgrade, the instance and the rename came after its first attempt."""
    state = state_of(entry("zabbix:old:7", "zabbix:old:7", lasting=None))
    alert = zabbix("old", instance="lyon")
    found = entry_of.begun("zabbix:old:7", alert, state, config(instance="lyon"))
    assert found is not None
    assert (found.entry.key, list(found.entry.members)) == ("zabbix:old:7", [alert.key])


def test_an_entry_that_was_renamed_since_is_found_by_its_reference() -> None:
    renamed = entry("zabbix@lyon:h:7", "zabbix@lyon:h:7")._replace(
        reference=reference("zabbix:h:7")
    )
    alert = zabbix("h", instance="lyon")
    found = entry_of.begun("zabbix:h:7", alert, state_of(renamed), config(instance="lyon"))
    assert found is not None
    assert found.entry == renamed


@pytest.mark.parametrize(
    ("key", "old", "group_by"),
    [("zabbix@lyon:h:7", "zabbix:h:7", "alert"), ("host@lyon:h", "host:h", "host")],
)
def test_killed_after_the_journal_had_the_new_name_and_before_the_map_did(
    key: str, old: str, group_by: str
) -> None:
    state = state_of(entry(old, "zabbix:h:7", lasting=None))
    found = entry_of.begun(key, zabbix("h", instance="lyon"), state, config(group_by, "lyon"))
    assert found is not None
    assert (found.entry.key, found.stored.key) == (key, old)


# --- lanes ----------------------------------------------------------------------------------------


def lane(alert: Alert, state: State, by: Config, *records: Dict[str, Any]) -> Optional[str]:
    return lane_of(begun(*records), alert, state, by)


def test_alerts_of_one_entry_share_a_lane_however_they_are_grouped_now() -> None:
    """D5."""
    state = state_of(entry("host:h", "zabbix:h:7", "zabbix:h:8"))
    for group_by in ("alert", "host", "customer"):
        lanes = {lane(zabbix("h", 1, number), state, config(group_by)) for number in (7, 8)}
        assert lanes == {"host:h"}
    assert lane(zabbix("h", 1, 9), state, config()) == "zabbix:h:9"
    assert lane(zabbix("h", 1, 9), state, config("host")) == "host:h"
    assert lane(zabbix("h", 1, 9), state, config("customer")) is None


def test_a_lane_keeps_its_name_when_its_entry_is_taken_over() -> None:
    state = state_of(entry("host:h", "zabbix:h:7", "zabbix:h:8", lasting=None))
    by = config("host", "lyon")
    alerts: List[Alert] = [zabbix("h", 1, number, "lyon") for number in (7, 8, 9)]
    before = [lane(alert, state, by) for alert in alerts]
    assert met(alerts[0], state, by) is not None
    assert [lane(alert, state, by) for alert in alerts] == before == ["host:h"] * 3


def test_a_begun_event_has_the_lane_of_its_ticket() -> None:
    attempt = {"attempt": 1, "key": "host:h"}
    assert lane(zabbix("h"), state_of(), config(), attempt) == "host:h"
    anew = {"step": "looked_again", "result": True}
    assert lane(zabbix("h"), state_of(), config(), attempt, anew) == "zabbix:h:7"


def test_entries_that_may_share_a_ticket_share_the_customers_lane() -> None:
    state = state_of(entry("zabbix:h:7", "zabbix:h:7"))
    assert lane(zabbix("h"), state, config(adopt="any")) == "customer:12"
    assert lane(zabbix("h2"), state, config(adopt="any")) is None


def test_events_about_the_same_thing_wait_in_one_lane() -> None:
    """A trigger's next event; the same one by another name, or with another instance."""
    lanes = Lanes()
    waiting = Waiting(lanes)
    lanes.add("1", "L1")
    waiting.add("1", names_of(zabbix("old", 1001)), "L1")
    assert waiting.lane(zabbix("old", 1002)) == "L1"
    assert waiting.lane(zabbix("new", 1001)) == waiting.lane(zabbix("new", 1002)) == "L1"
    assert waiting.lane(zabbix("old", 1001, instance="lyon")) == "L1"
    assert waiting.lane(zabbix("new", 1001, trigger=8)) is None
    assert waiting.lane(zabbix("new", 1001, instance="lyon")) is None
    lanes.take("L1")
    assert waiting.lane(zabbix("new", 1002)) == "L1"
    lanes.done("L1")
    assert waiting.lane(zabbix("old", 1001)) is None


def test_the_last_that_waits_tells_the_lane() -> None:
    """One that an operator put back is older than what waits already."""
    lanes = Lanes()
    waiting = Waiting(lanes)
    for event_id in ("5", "3"):
        lanes.add(event_id, "L1")
        waiting.add(event_id, names_of(zabbix("h")), "L1")
    lanes.take("L1")
    lanes.done("L1")
    assert waiting.lane(zabbix("h")) == "L1"


def test_all_that_waits_of_an_alert_goes_to_another_lane_together() -> None:
    lanes = Lanes()
    waiting = Waiting(lanes)
    ours = list(names_of(zabbix("h", 1001)))
    for event_id, trigger in (("1", 7), ("2", 8), ("3", 7), ("4", 7)):
        lanes.add(event_id, "L1")
        waiting.add(event_id, names_of(zabbix("h", 1001, trigger=trigger)), "L1")
    lanes.add("2.5", "L2")
    lanes.take("L2")
    assert lanes.ready(0.0, 9) == ["L1"]
    lanes.take("L1")
    lanes.move("L1", "L2", waiting.ids(ours))
    waiting.moved(ours, "L2")
    assert waiting.lane(zabbix("h", 1001)) == "L2"
    assert waiting.lane(zabbix("h", 1001, trigger=8)) == "L1"
    assert lanes.ready(0.0, 9) == ["L1"]  # L2 is worked on
    assert (lanes.head("L1"), lanes.head("L2")) == ("2", "2.5")
    lanes.done("L2")
    assert [lanes.head("L2"), *lanes.behind("1", "L2")] == ["1", "3", "4"]


def test_what_is_gone_is_forgotten() -> None:
    lanes = Lanes()
    waiting = Waiting(lanes)
    for number in range(3000):
        alert = zabbix("h", trigger=number)
        lanes.add(str(number), alert.key)
        waiting.add(str(number), names_of(alert), alert.key)
        lanes.take(alert.key)
        lanes.done(alert.key)
    assert len(waiting._waits) <= 1010
