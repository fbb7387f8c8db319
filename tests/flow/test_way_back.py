"""The ticket leads back to the monitoring system, where the configuration says where that is."""

from __future__ import annotations

import html

import pytest
from support import Site

SOURCES = """\
sources:
  nagios: {url: https://mon.example.net/nagios4}
  icinga: {url: https://ico.example.net/icingaweb2}
  zabbix: {url: https://zbx.example.net/zabbix}
  librenms: {url: https://nms.example.net}
"""
RUNBOOK = "https://wiki.example.net/runbook?a=b&c=d"


@pytest.mark.short
@pytest.mark.parametrize(
    ("capture", "product", "address"),
    [
        (
            "nagios4-service-problem",
            "Nagios",
            "https://mon.example.net/nagios4/cgi-bin/extinfo.cgi"
            "?type=2&host=acme.3cx.fr&service=SIP%20trunk",
        ),
        (
            "icinga2-service-problem",
            "Icinga",
            "https://ico.example.net/icingaweb2/icingadb/service"
            "?name=SIP%20trunk&host.name=acme.3cx.fr",
        ),
        (
            "zabbix6-problem",
            "Zabbix",
            "https://zbx.example.net/zabbix/tr_events.php?triggerid=23133&eventid=27",
        ),
        ("librenms-problem", "LibreNMS", "https://nms.example.net/device/17"),
    ],
)
def test_the_ticket_links_to_the_page_of_its_alert(
    site: Site, capture: str, product: str, address: str
) -> None:
    site.configure(SOURCES)
    site.notify(capture)
    body = site.the_ticket()["body"]
    link = f'<a href="{html.escape(address)}">Open in {product}</a>'
    assert link in body.replace("&#38;", "&amp;")


def test_without_an_address_there_is_no_link(site: Site) -> None:
    site.notify("nagios4-service-problem")
    assert "<a " not in site.the_ticket()["body"]


def test_a_runbook_of_the_alerts_own_is_still_there(site: Site) -> None:
    site.configure(SOURCES)
    site.notify("nagios4-service-problem", f"SERVICENOTESURL={RUNBOOK}")
    body = html.unescape(site.the_ticket()["body"])
    assert "https://mon.example.net/nagios4/cgi-bin/extinfo.cgi?type=2" in body
    assert f'href="{RUNBOOK}"' in body


def test_without_an_address_the_runbook_is_the_link(site: Site) -> None:
    site.notify("nagios4-service-problem", f"SERVICENOTESURL={RUNBOOK}")
    assert html.unescape(site.the_ticket()["body"]).count(RUNBOOK) == 1


def test_rules_and_templates_see_both(site: Site) -> None:
    templates = site.folder / "templates"
    templates.mkdir()
    (templates / "subject.j2").write_text("{{ url }} {{ alert.url }} {{ vars.SERVICENOTESURL }}")
    rule = "rules: [{when: \"'mon.example.net' in url\", set: {tags: [linked]}}]\n"
    site.configure(f"{SOURCES}{rule}templates: {templates}\n")
    site.notify("nagios4-service-problem", f"SERVICENOTESURL={RUNBOOK}")
    ticket = site.the_ticket()
    link, own, variable = ticket["subject"].split()
    assert link.startswith("https://mon.example.net/nagios4/cgi-bin/extinfo.cgi?type=2")
    assert (own, variable) == (RUNBOOK, RUNBOOK)
    assert "linked" in ticket["tags"]
