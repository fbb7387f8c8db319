"""What the monitoring says of a ticket in TICKET_PRIORITY and TICKET_TAGS, at BlueRockTEL."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest
from support import Site, load_capture


def priorities(site: Site) -> Dict[str, int]:
    """The ids of the sandbox's priorities by their names."""
    rows = json.loads(site.run("discover", "--json").stdout)["priorities"]
    return {row["name"]: row["id"] for row in rows}


def tags(ticket: Dict[str, Any]) -> List[str]:
    found: List[str] = json.loads(ticket["tags"])
    return found


NAGIOS = ("nagios4-service-problem", "_HOSTTICKET_PRIORITY", "_SERVICETICKET_TAGS")


@pytest.mark.short
@pytest.mark.parametrize(
    ("capture", "priority", "tag"),
    [
        NAGIOS,
        ("icinga2-service-problem", "_HOSTTICKET_PRIORITY", "_SERVICETICKET_TAGS"),
        ("zabbix6-problem", "TICKET_PRIORITY", "TICKET_TAGS"),
        ("librenms-problem", "TICKET_PRIORITY", "TICKET_TAGS"),
    ],
)
def test_they_set_the_ticket(site: Site, capture: str, priority: str, tag: str) -> None:
    site.notify(capture, f"{priority}=urgent", f"{tag}=vip, auto ,gold")
    ticket = site.the_ticket()
    assert ticket["priority_id"] == priorities(site)["Urgent"]
    assert tags(ticket) == ["monitoring", "auto", "vip", "gold"]


def test_zabbix_tags_set_the_ticket(site: Site) -> None:
    sendto, subject, message = load_capture("zabbix6-problem")["argv"]
    mine = '{"tag":"ticket_priority","value":"Low"},{"tag":"Ticket-Tags","value":"vip"},'
    message = message.replace("EVENT.TAGSJSON: [", f"EVENT.TAGSJSON: [{mine}")
    site.run("zabbix", sendto, subject, message)
    ticket = site.the_ticket()
    assert ticket["priority_id"] == priorities(site)["Low"]
    assert tags(ticket) == ["monitoring", "auto", "vip"]


def test_an_id_will_do(site: Site) -> None:
    wanted = priorities(site)["Low"]
    site.notify(NAGIOS[0], f"{NAGIOS[1]}={wanted}")
    assert site.the_ticket()["priority_id"] == wanted


@pytest.mark.parametrize("wanted", ["Urgnt", "999999", "0", "-1", "9" * 30, "<b>", "{{ 1/0 }}"])
def test_a_wrong_priority_does_not_keep_the_ticket_from_opening(site: Site, wanted: str) -> None:
    done = site.run(
        "event",
        *("--host", "acme.3cx.fr", "--state", "DOWN"),
        *("--var", f"TICKET_PRIORITY={wanted}", "--var", "TICKET_TAGS=vip"),
    )
    ticket = site.the_ticket()
    assert ticket["priority_id"] == priorities(site)["High"]
    assert tags(ticket)[-1] == "vip"
    assert "alert: vars.TICKET_PRIORITY: " in done.stderr
    if wanted == "Urgnt":
        assert "'Urgnt' is unknown to BlueRockTEL; did you mean 'Urgent'?" in done.stderr


def test_severities_stand_below_them_and_rules_above(site: Site) -> None:
    site.configure("""\
severities:
  critical: {priority: Low, tags: [severe]}
rules:
  - when: "vars.TICKET_PRIORITY == 'Urgent' and source == 'icinga'"
    set: {priority: Low, tags: [by rule]}
""")
    site.notify(NAGIOS[0], f"{NAGIOS[1]}=Urgent", f"{NAGIOS[2]}=vip")
    (ticket,) = site.tickets
    assert ticket["priority_id"] == priorities(site)["Urgent"]
    assert tags(ticket) == ["severe", "vip"]
    site.notify("icinga2-service-problem", f"{NAGIOS[1]}=Urgent", f"{NAGIOS[2]}=vip")
    ticket = site.tickets[-1]
    assert ticket["priority_id"] == priorities(site)["Low"]
    assert tags(ticket) == ["by rule"]


def test_no_tag_does_harm(site: Site) -> None:
    many = ",".join(f"t{n}" for n in range(500))
    wild = "<script>alert(1)</script>,\x1b[31mred\x07,BN-000000000000,{{ 1/0 }},]\"',\u202egnp"
    site.notify(NAGIOS[0], f"{NAGIOS[2]}={wild},{'x' * 3000},{many}")
    found = tags(site.the_ticket())
    assert found[:2] == ["monitoring", "auto"]
    assert len(found) == 22
    assert all(tag.isprintable() and "<" not in tag and len(tag) <= 100 for tag in found)
    site.notify("nagios4-service-recovery")
    assert not site.the_ticket()["open"]


@pytest.mark.parametrize("command", [["render"], []])
def test_what_would_be_sent_shows_them_without_a_call(site: Site, command: List[str]) -> None:
    words = ["event", "--host", "acme.3cx.fr", "--state", "DOWN", "--var"]
    words += ["TICKET_PRIORITY=Urgent", "--var", "TICKET_TAGS=vip"]
    done = site.run(*command, *words, *([] if command else ["--dry-run"]))
    assert "priority: Urgent" in done.stdout
    assert "tags: monitoring, auto, vip" in done.stdout
    assert "unknown to BlueRockTEL" not in done.stderr
    assert site.calls() == []
