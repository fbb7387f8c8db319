"""The way back: the page of an alert's host or service in its own monitoring system."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
from support import CAPTURES, load_capture

from brtel_notify.alert import Alert, Vars
from brtel_notify.config.schema import Config, load
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.intake.capture import Capture
from brtel_notify.sources import registry

BASE = """\
api: {url: https://a.example/api, token: x}
ticket: {priority: High, category: Infrastructure, sub_category: PBX / 3CX}
"""
ALL = """\
sources:
  nagios: {url: https://mon.example.net/nagios4/}
  icinga: {url: https://ico.example.net/icingaweb2}
  zabbix: {url: https://zbx.example.net/zabbix}
  librenms: {url: http://nms.example.net}
"""


def link(alert: Alert, config: Config) -> str:
    """The page of ALERT, as the context of templates has it."""
    return registry.page(alert, config.sources.of(alert.source))


Configure = Callable[[str], Config]


@pytest.fixture(name="configured")
def configurer(tmp_path: Path) -> Configure:
    """The configuration with the given end."""

    def configured(text: str) -> Config:
        file = tmp_path / "config.yml"
        file.write_text(BASE + text, encoding="utf-8")
        config: Config = load(str(file), {})
        return config

    return configured


def parsed(name: str) -> Alert:
    """The alert of a capture."""
    data = load_capture(name)
    stdin = json.dumps(data["stdin"]) if "stdin" in data else ""
    return registry.parse(
        Capture(data["source"], data.get("env", {}), data.get("argv", []), stdin, 1_795_000_000.0)
    )


def an_alert(source: str, **more: Any) -> Alert:
    return Alert(**{"source": source, "kind": "problem", "host": "web1", "time": 0.0, **more})


NAGIOS = "https://mon.example.net/nagios4/cgi-bin/extinfo.cgi"
ICINGA = "https://ico.example.net/icingaweb2/icingadb"


@pytest.mark.parametrize(
    ("capture", "address"),
    [
        ("nagios4-host-problem", f"{NAGIOS}?type=1&host=acme.3cx.fr"),
        (
            "nagios4-service-problem",
            f"{NAGIOS}?type=2&host=acme.3cx.fr&service=SIP%20trunk",
        ),
        ("icinga2-host-recovery", f"{ICINGA}/host?name=acme.3cx.fr"),
        (
            "icinga2-service-problem",
            f"{ICINGA}/service?name=SIP%20trunk&host.name=acme.3cx.fr",
        ),
        (
            "zabbix6-problem",
            "https://zbx.example.net/zabbix/tr_events.php?triggerid=23133&eventid=27",
        ),
        (
            "zabbix6-recovery",  # the page of the problem, not of its end
            "https://zbx.example.net/zabbix/tr_events.php?triggerid=23133&eventid=27",
        ),
        ("librenms-problem", "http://nms.example.net/device/17"),
    ],
)
def test_what_each_system_calls_its_page(configured: Configure, capture: str, address: str) -> None:
    assert link(parsed(capture), configured(ALL)) == address


def test_nagios_own_idea_of_its_page_is_the_same(configured: Configure) -> None:
    """$SERVICEINFOURL$ and $HOSTINFOURL$, as the real Nagios of the captures wrote them."""
    config = configured("sources: {nagios: {url: https://mon.example.net}}\n")
    for capture in CAPTURES.glob("nagios4-*.json"):
        alert = parsed(capture.stem)
        own = alert.vars["SERVICEINFOURL"] or alert.vars["HOSTINFOURL"]
        assert link(alert, config) == own.replace("website_url not set", "https://mon.example.net")


@pytest.mark.parametrize("capture", sorted(path.stem for path in CAPTURES.glob("*.json")))
def test_without_an_address_there_is_no_link(configured: Configure, capture: str) -> None:
    for text in ("", "sources:\n", "sources: {zabbix: {url: null}, nagios: }\n"):
        assert link(parsed(capture), configured(text)) == ""


@pytest.mark.parametrize(
    ("base", "address"),
    [
        ("https://m.example/nagios", "https://m.example/nagios/cgi-bin/extinfo.cgi"),
        ("https://m.example/thruk", "https://m.example/thruk/cgi-bin/extinfo.cgi"),
        ("https://m.example/nagios/cgi-bin", "https://m.example/nagios/cgi-bin/extinfo.cgi"),
        ("https://m.example/nagios/cgi-bin//", "https://m.example/nagios/cgi-bin/extinfo.cgi"),
        ("https://m.example/cgi-bin/nagios4", "https://m.example/cgi-bin/nagios4/extinfo.cgi"),
        ("http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080/cgi-bin/extinfo.cgi"),
    ],
)
def test_where_nagios_has_its_pages(configured: Configure, base: str, address: str) -> None:
    config = configured(f"sources: {{nagios: {{url: '{base}'}}}}\n")
    assert link(an_alert("nagios"), config) == f"{address}?type=1&host=web1"


def test_icinga_web_with_the_older_module(configured: Configure) -> None:
    config = configured("sources: {icinga: {url: https://i.example/, module: monitoring}}\n")
    begin = "https://i.example/monitoring"
    assert link(an_alert("icinga"), config) == f"{begin}/host/show?host=web1"
    address = link(an_alert("icinga", service="a b"), config)
    assert address == f"{begin}/service/show?host=web1&service=a%20b"


def test_what_a_name_holds_stays_in_its_place(configured: Configure) -> None:
    name = "a&b=c#d?e/f+g%20\"<é>'"
    coded = "a%26b%3Dc%23d%3Fe%2Ff%2Bg%2520%22%3C%C3%A9%3E%27"
    config = configured(ALL)
    address = link(an_alert("nagios", host=name, service=name), config)
    assert address == f"{NAGIOS}?type=2&host={coded}&service={coded}"
    address = link(an_alert("icinga", host=name, service=name), config)
    assert address == f"{ICINGA}/service?name={coded}&host.name={coded}"


def test_zabbix_without_an_event_has_the_problems_of_the_trigger(configured: Configure) -> None:
    alert = an_alert("zabbix", vars=Vars({"TRIGGER.ID": "7"}))
    address = "https://zbx.example.net/zabbix/zabbix.php?action=problem.view&filter_name="
    assert link(alert, configured(ALL)) == f"{address}&triggerids%5B%5D=7"


@pytest.mark.parametrize(
    ("source", "variables"),
    [
        *(("zabbix", {}), ("zabbix", {"EVENT.ID": "7"}), ("zabbix", {"TRIGGER.ID": "7&x=1"})),
        *(("zabbix", {"TRIGGER.ID": "٧"}), ("librenms", {}), ("librenms", {"device_id": "../1"})),
        *(("event", {}), ("elsewhere", {})),
    ],
)
def test_no_link_is_better_than_a_wrong_one(
    configured: Configure, source: str, variables: Any
) -> None:
    assert link(an_alert(source, vars=Vars(variables)), configured(ALL)) == ""


def test_an_address_too_long_for_a_browser_is_none(configured: Configure) -> None:
    alert = an_alert("nagios", host="é" * 255, service="é" * 255)
    assert link(alert, configured(ALL)) == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{nagois: {url: x}}", "sources.nagois: unknown key; did you mean 'nagios'?"),
        ("{nagios: {uri: x}}", "sources.nagios.uri: unknown key; did you mean 'url'?"),
        ("{nagios: {module: icingadb}}", "sources.nagios.module: unknown key; known are: url"),
        ("{nagios: mon}", "sources.nagios: must be keys and values, not a single value"),
        ("{icinga: {module: icinga}}", "'icinga' is unknown; did you mean 'icingadb'?"),
        ("{nagios: {url: mon.example.net}}", "sources.nagios.url: must be an address such as"),
        ("{nagios: {url: 'javascript:alert(1)'}}", "must be an address such as"),
        ("{nagios: {url: 'https://u:p@mon.example.net'}}", "must hold no user or password"),
        ("{nagios: {url: 'https://mon.example.net/?a=b'}}", "must end with the path"),
    ],
)
def test_a_wrong_section_is_named_with_its_line(
    configured: Configure, text: str, complaint: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        configured(f"sources: {text}\n")
    assert "config.yml:3: " in str(raised.value)
    assert complaint in str(raised.value)
