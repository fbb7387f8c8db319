"""What makes two alerts two, and what may change between a problem and its recovery."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import pytest
from support import Site

from brtel_notify.alert import reference
from brtel_notify.delivery.lock import DrainLock
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.text import times


def nagios(site: Site, kind: str, host: str, service: bytes = b"", state: str = "CRITICAL") -> str:
    """One notification of Nagios, its service in whatever bytes."""
    env = {
        "NAGIOS_NOTIFICATIONTYPE": kind,
        "NAGIOS_HOSTNAME": host,
        "NAGIOS_HOSTSTATE": state,
        "NAGIOS_SERVICEDESC": service.decode("utf-8", "surrogateescape"),
        "NAGIOS_SERVICESTATE": "OK" if kind == "RECOVERY" else state,
    }
    return site.run("nagios", env=env).stdout


def zabbix(
    site: Site,
    value: int,
    host: str = "Zabbix server",
    event: int = 1001,
    trigger: int = 13075,
    *more: str,
) -> str:
    """One message of Zabbix, as its media type writes it."""
    lines = [
        f"EVENT.VALUE: {value}",
        f"EVENT.ID: {event}",
        f"HOST.HOST: {host}",
        f"TRIGGER.ID: {trigger}",
        "EVENT.NAME: Zabbix server is not running",
        *(more or ["EVENT.SEVERITY: High"]),
    ]
    return site.run("zabbix", "noc", "s", "\n".join(lines)).stdout


def librenms(site: Site, state: int, **changed: Any) -> str:
    """One alert of LibreNMS."""
    data = {
        "hostname": "core-sw1",
        "name": "Device down",
        "severity": "critical",
        "state": state,
        "id": 904,
        "uid": 904,
        "alert_id": 31,
        "device_id": 17,
        "rule_id": 5,
        **changed,
    }
    return site.run("librenms", stdin=json.dumps(data).encode()).stdout


def event(site: Site, state: str, *more: str) -> str:
    return site.run("event", "--host", "db1", "--service", "disk", "--state", state, *more).stdout


def is_open(site: Site) -> List[bool]:
    """Whether each ticket is open, in the order of their opening."""
    return [ticket["open"] for ticket in sorted(site.tickets, key=lambda ticket: ticket["id"])]


def as_932417d(site: Site) -> None:
    """Let the map be as that version wrote it."""
    tickets = site.state
    for entry in tickets.values():
        for name in ("closed_for", "results", "recorded"):
            del entry[name]
        for key, member in entry["members"].items():
            names = ("severity", "state", "since")
            entry["members"][key] = {name: member[name] for name in names}
    path = site.state_dir / "state.json"
    path.write_text(json.dumps({"version": 1, "tickets": tickets}, indent=2) + "\n")


# --- instances ------------------------------------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize("paris", ["", "sources: {zabbix: {instance: paris}}\n"])
def test_two_zabbix_servers_have_two_tickets(
    site: Site, tmp_path: Path, sandbox: SandboxProcess, paris: str
) -> None:
    """D1: the same host and trigger number on both, one customer; one of them may have no name."""
    (tmp_path / "second").mkdir()
    second = Site(tmp_path / "second", sandbox)
    site.configure("sources: {zabbix: {instance: lyon}}\n")
    second.configure(paris)
    assert "zabbix@lyon:Zabbix server:13075: opened" in zabbix(site, 1)
    assert ": opened" in zabbix(second, 1)
    assert "the same problem" in zabbix(site, 1)
    zabbix(site, 0)
    assert is_open(site) == [False, True]
    assert "reopened" in zabbix(site, 1, event=1002)
    zabbix(second, 0)
    assert is_open(site) == [True, False]


def test_the_alerts_own_instance_wins(site: Site) -> None:
    """`event --instance`: three programs that call two things the same."""
    for where in ([], ["--instance", "lyon"], ["--instance", "paris"]):
        assert ": opened" in event(site, "DOWN", *where)
    event(site, "OK", "--instance", "lyon")
    assert is_open(site) == [True, False, True]
    done = site.run("event", "--json", "-", stdin=b'{"host": "db1", "service": "disk",'
                    b' "state": "OK", "instance": "paris"}')  # fmt: skip
    assert "event@paris:db1:disk: closed" in done.stdout
    event(site, "OK")
    assert is_open(site) == [False, False, False]


def test_hosts_of_two_instances_are_two_hosts(site: Site) -> None:
    """Also where all alerts of a host share a ticket; and a rule sees the instance."""
    rules = "rules:\n  - when: instance == 'paris'\n    set: {tags: [from-paris]}\n"
    site.configure("  group_by: host\n" + rules)
    for where in ("lyon", "paris"):
        event(site, "DOWN", "--instance", where)
        event(site, "DOWN", "--instance", where, "--key", "raid")
    assert sorted(site.state) == ["host@lyon:db1", "host@paris:db1"]
    assert sorted("from-paris" in ticket["tags"] for ticket in site.tickets) == [False, True]
    event(site, "OK", "--instance", "lyon")
    event(site, "OK", "--instance", "lyon", "--key", "raid")
    assert is_open(site) == [False, True]


def test_what_waits_is_shown_by_the_key_it_will_have(site: Site) -> None:
    site.configure("sources: {zabbix: {instance: lyon}}\n")
    zabbix(site, 1)
    with DrainLock(str(site.state_dir)) as ours:
        assert ours
        zabbix(site, 0)
        (waiting,) = json.loads(site.run("queue", "list", "--json").stdout)
        assert waiting["key"] == "zabbix@lyon:Zabbix server:13075"
        assert "zabbix@lyon:Zabbix server:13075" in site.run("queue", "show", waiting["id"]).stdout
    message = "EVENT.VALUE: 1\nHOST.HOST: h\nTRIGGER.ID: 1"
    shown = json.loads(site.run("render", "--json", "zabbix", "noc", "s", message).stdout)
    assert (shown["alert"]["key"], shown["alert"]["source"]) == ("zabbix@lyon:h:1", "zabbix")


# --- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "first", "second"),
    [
        pytest.param("cp1251", "Диск", "Сеть", marks=pytest.mark.short),  # D2
        ("latin-1", "Tempérée", "Tempêtée"),
        ("shift_jis", "電源", "回線"),
    ],
)
def test_services_whose_names_are_no_utf_8(
    site: Site, encoding: str, first: str, second: str
) -> None:
    one, two = first.encode(encoding), second.encode(encoding)
    for service in (one, two):
        assert ": opened" in nagios(site, "PROBLEM", "web1", service)
    assert "the same problem" in nagios(site, "PROBLEM", "web1", one)
    nagios(site, "RECOVERY", "web1", two)
    assert is_open(site) == [True, False]
    if encoding == "latin-1":
        assert [first in ticket["subject"] for ticket in site.tickets].count(True) == 1
        assert all("\ufffd" not in json.dumps(ticket) for ticket in site.tickets)
    nagios(site, "RECOVERY", "web1", one)
    assert is_open(site) == [False, False]


# --- what 932417d left ----------------------------------------------------------------------------


def test_open_tickets_go_on_when_the_instance_is_configured(site: Site) -> None:
    """Their reference stays: it is in the ticket."""
    zabbix(site, 1)
    zabbix(site, 1, trigger=13076, event=1002)
    as_932417d(site)
    site.configure("sources: {zabbix: {instance: lyon}}\n")
    assert "the same problem" in zabbix(site, 1)
    zabbix(site, 1, "Zabbix server", 1001, 13075, "EVENT.SEVERITY: Warning")
    entry = site.state["zabbix@lyon:Zabbix server:13075"]
    assert entry["reference"] == reference("zabbix:Zabbix server:13075")
    assert list(entry["members"]) == ["zabbix@lyon:Zabbix server:13075"]
    zabbix(site, 0)
    zabbix(site, 0, trigger=13076, event=1002)
    assert is_open(site) == [False, False]
    assert len(site.state) == 2
    assert ": reopened" in zabbix(site, 1, event=1003)


def test_an_open_ticket_of_bytes_that_were_not_told_apart_goes_on(site: Site) -> None:
    nagios(site, "PROBLEM", "web1", "Temp\ufffdrature".encode())
    as_932417d(site)
    service = "Température".encode("latin-1")
    assert "the same problem" in nagios(site, "PROBLEM", "web1", service)
    nagios(site, "RECOVERY", "web1", service)
    assert is_open(site) == [False]


def test_a_hosts_ticket_goes_on_member_by_member(site: Site) -> None:
    site.configure("  group_by: host\n")
    zabbix(site, 1)
    zabbix(site, 1, trigger=13076, event=1002)
    as_932417d(site)
    site.configure("  group_by: host\nsources: {zabbix: {instance: lyon}}\n")
    zabbix(site, 1, trigger=13077, event=1003)
    zabbix(site, 0)
    zabbix(site, 0, trigger=13077, event=1003)
    assert is_open(site) == [True]
    zabbix(site, 0, trigger=13076, event=1002)
    assert is_open(site) == [False]


@pytest.mark.short
def test_an_event_begun_by_932417d_ends_on_its_ticket(site: Site) -> None:
    """The upgrade came in the middle of an outage, and the instance with it."""
    site.sandbox.faults(fail={"status": 500, "path": "/v1/tickets", "method": "POST", "next": 1})
    zabbix(site, 1)
    (waiting,) = json.loads(site.run("queue", "show", "--json", site.queued()[0].stem).stdout)
    assert waiting["journal"][0]["key"] == "zabbix:Zabbix server:13075"
    site.configure("sources: {zabbix: {instance: lyon}}\n")
    zabbix(site, 0)
    site.run("flush", "--force-now")
    assert site.queued() == []
    assert is_open(site) == [False]


# --- renamed meanwhile ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "renamed",
    [
        pytest.param({"hostname": "core-sw1-lyon"}, marks=pytest.mark.short),
        {"name": "Device is down"},
        {"hostname": "x", "name": "y"},
    ],
)
def test_a_renamed_device_or_rule_of_librenms(site: Site, renamed: Dict[str, str]) -> None:
    """D4: an acknowledgement, worse, a repetition and the recovery find the ticket."""
    librenms(site, 1)
    site.calls()
    librenms(site, 2, **renamed, alert_notes="on it")
    assert "POST /v1/replies" in site.calls()
    assert "the same problem" in librenms(site, 1, **renamed)
    librenms(site, 3, **renamed, id=905, uid=905)
    assert "POST /v1/tickets" not in site.calls()
    assert ": closed" in librenms(site, 0, **renamed, id=905, uid=907)
    assert is_open(site) == [False]
    assert ": reopened" in librenms(site, 1, **renamed, id=908, uid=908)


def test_the_test_button_of_librenms_is_no_alert_that_lasts(site: Site) -> None:
    """Its numbers are 000, and other alerts without numbers have none, either."""
    librenms(site, 1, alert_id="000", device_id="000", rule_id="000")
    assert "no ticket of ours" in librenms(
        site, 0, alert_id="000", device_id="000", rule_id="000", hostname="other"
    )
    assert is_open(site) == [True]


@pytest.mark.parametrize("group_by", ["alert", "host"])
def test_a_renamed_host_of_zabbix(site: Site, group_by: str) -> None:
    """D4."""
    site.configure(f"  group_by: {group_by}\n")
    zabbix(site, 1, "acme-old")
    zabbix(site, 1, "other", trigger=13076, event=1002)
    assert "the same problem" in zabbix(site, 1, "acme.3cx.fr")
    zabbix(site, 0, "acme.3cx.fr")
    assert is_open(site) == [False, True]
    assert "no ticket of ours" in zabbix(site, 0, "another", trigger=13076, event=1003)
    zabbix(site, 0, "another", trigger=13076, event=1002)
    assert is_open(site) == [False, False]


def test_a_renamed_host_whose_item_is_not_supported(site: Site) -> None:
    """Zabbix's own health: the item and the event."""
    item = ["EVENT.SOURCE: 3", "EVENT.OBJECT: 4", "ITEM.ID: 5", "ITEM.STATE: Not supported"]
    zabbix(site, 1, "old", 1001, 0, *item)
    assert ": closed" in zabbix(site, 0, "new", 1001, 0, *item)


def test_each_event_of_a_renamed_trigger_ends_by_itself(site: Site) -> None:
    """Several are open at once; a next one, by the new name only, is of another ticket."""
    zabbix(site, 1, "old", 1001)
    zabbix(site, 1, "old", 1002)
    zabbix(site, 0, "new", 1001)
    assert is_open(site) == [True]
    assert "no ticket of ours" in zabbix(site, 0, "newer", 1003)
    zabbix(site, 0, "newer", 1002)
    assert is_open(site) == [False]


def test_a_problem_by_its_old_name_behind_its_recovery_by_the_new_one(site: Site) -> None:
    zabbix(site, 0, "new")
    zabbix(site, 1, "old")
    assert site.tickets == []


def test_what_came_and_went_by_two_names_is_skipped(site: Site) -> None:
    site.configure("lifecycle: {resolved_in_queue: skip}\n")
    site.state_dir.mkdir()
    with DrainLock(str(site.state_dir)) as ours:
        assert ours
        zabbix(site, 1, "old")
        zabbix(site, 0, "new")
    site.run("flush")
    assert (site.tickets, site.queued()) == ([], [])


def test_events_of_a_renamed_host_stay_in_order(site: Site) -> None:
    """All of them wait; its problem, by the old name, is performed first."""
    site.state_dir.mkdir()
    with DrainLock(str(site.state_dir)) as ours:
        assert ours
        for event_id in range(1001, 1007):
            zabbix(site, 1, "old", event_id, event_id)
        for event_id in range(1001, 1007):
            zabbix(site, 0, "new", event_id, event_id)
    site.run("flush")
    assert is_open(site) == [False] * 6


# --- lanes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["host", "customer"])
@pytest.mark.parametrize("after", ["alert", "host", "customer"])
def test_recoveries_of_one_ticket_never_overwrite_each_other(
    site: Site, before: str, after: str
) -> None:
    """D5: group_by was changed while it was open; many recoveries wait, for four threads."""
    site.configure(f"  group_by: {before}\n")
    hosts = {"host": ["web1"] * 8, "customer": [f"web{number}" for number in range(8)]}[before]
    alerts = [(host, f"service {number}".encode()) for number, host in enumerate(hosts)]
    for host, service in alerts:
        nagios(site, "PROBLEM", host, service)
    (entry,) = site.state.values()
    assert len(entry["members"]) == 8
    site.configure(f"  group_by: {after}\n")
    with DrainLock(str(site.state_dir)) as ours:
        assert ours
        for host, service in alerts:
            nagios(site, "RECOVERY", host, service)
        nagios(site, "PROBLEM", "web9", b"another")
    site.sandbox.faults(latency=50)
    site.run("flush")
    assert site.queued() == []
    assert is_open(site)[0] is (after == before == "customer")
    assert sum(len(entry["members"]) for entry in site.state.values()) == 1


@pytest.mark.parametrize(
    ("before", "after", "other"),
    [("customer", "host", "web1"), ("alert", "host", "web1"), ("host", "customer", "web2")],
)
def test_what_comes_back_on_another_ticket_waits_for_those_who_open_it(
    site: Site, before: str, after: str, other: str
) -> None:
    """D5: group_by was changed; recovery and next problem wait behind the ticket of before."""
    site.configure(f"  group_by: {before}\n")
    for service in (b"ssh", b"disk", b"load"):
        nagios(site, "PROBLEM", "web1", service)
    site.configure(f"  group_by: {after}\n")
    with DrainLock(str(site.state_dir)) as ours:
        assert ours
        for kind in ("RECOVERY", "PROBLEM", "ACKNOWLEDGEMENT"):
            nagios(site, kind, "web1", b"ssh")
        nagios(site, "PROBLEM", other, b"http")
    site.sandbox.faults(latency=50)  # so that two at once would not see each other's ticket
    site.run("flush")
    members = {f"nagios:{other}:http", "nagios:web1:ssh"}
    assert members in [set(entry["members"]) for entry in site.state.values()]
    for host, service in (
        (other, b"http"),
        *(("web1", name) for name in (b"ssh", b"disk", b"load")),
    ):
        nagios(site, "RECOVERY", host, service)
    assert not any(is_open(site))
    said = json.dumps(site.tickets)
    assert said.count("Acknowledged") == 1


@pytest.mark.short
def test_problems_of_two_hosts_never_share_a_note(site: Site) -> None:
    """With `adopt: any` they share a lane, and each its own ticket."""
    site.configure("  group_by: host\n  adopt: any\n")
    for host in ("web1", "web2"):
        nagios(site, "PROBLEM", host, b"ssh")
    with DrainLock(str(site.state_dir)) as ours:
        assert ours
        for host in ("web1", "web2"):
            nagios(site, "PROBLEM", host, b"http")
    site.run("flush")
    members = {key: sorted(entry["members"]) for key, entry in site.state.items()}
    assert members == {
        f"host:{host}": [f"nagios:{host}:http", f"nagios:{host}:ssh"] for host in ("web1", "web2")
    }


def test_a_begun_event_and_those_behind_it_keep_to_its_ticket(site: Site) -> None:
    """group_by is changed while the creation of a host's ticket is put off."""
    site.configure("  group_by: host\n")
    site.sandbox.faults(fail={"status": 503, "path": "/v1/tickets", "method": "POST", "next": 1})
    nagios(site, "PROBLEM", "web1", b"ssh")
    site.configure()
    nagios(site, "PROBLEM", "web1", b"http")
    nagios(site, "RECOVERY", "web1", b"ssh")
    nagios(site, "RECOVERY", "web1", b"http")
    site.run("flush", "--force-now")
    assert site.queued() == []
    assert not any(is_open(site))


def test_an_older_event_that_comes_late_waits_for_a_ticket_that_is_half_made(site: Site) -> None:
    """One ticket, each text in it once, and it closes with the last of the two."""
    site.configure("  group_by: host\n")
    nagios(site, "PROBLEM", "db1", b"disk")
    with DrainLock(str(site.state_dir)) as ours:
        assert ours
        nagios(site, "PROBLEM", "web1", b"ssh")
    (path,) = site.queued()
    slow = path.rename(site.state_dir / "slow.jsonl")
    site.sandbox.faults(fail={"status": 503, "path": "/v1/replies", "method": "POST", "next": 1})
    nagios(site, "PROBLEM", "web1", b"http")
    slow.rename(path)
    site.run("flush", "--force-now")
    _, ticket = sorted(site.tickets, key=lambda one: one["id"])
    told = [reply["body"] for reply in ticket["replies"]]
    assert ["Service: http" in told[0], "web1, ssh" in told[1], len(told)] == [True, True, 2]
    nagios(site, "RECOVERY", "web1", b"ssh")
    assert is_open(site) == [True, True]
    nagios(site, "RECOVERY", "web1", b"http")
    assert is_open(site) == [True, False]


def test_a_renamed_alerts_reopening_whose_answer_was_lost_leaves_no_ticket_open(site: Site) -> None:
    """By the clock of the next attempt its ticket was closed too long ago to be reopened."""
    librenms(site, 1)
    librenms(site, 0, uid=905, name="Renamed")
    site.sandbox.faults(fail={"path": "*/tickets/open/*", "body": "truncated", "next": 1})
    librenms(site, 1, uid=906, name="Renamed")
    (entry,) = site.state.values()
    path = site.state_dir / "state.json"
    ago = times.iso(times.from_iso(entry["closed_at"]) - 7200)
    path.write_text(path.read_text().replace(entry["closed_at"], ago))
    site.run("flush", "--force-now")
    assert is_open(site) == [True]
    librenms(site, 0, uid=907, name="Renamed")
    assert is_open(site) == [False]
