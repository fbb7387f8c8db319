"""Each source, from a raw capture to the Alert; real captures first, hostile ones after."""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence

import pytest
import yaml

import brtel_notify
from brtel_notify.alert import Alert, Unintelligible
from brtel_notify.intake.capture import Capture
from brtel_notify.local import shipped_files
from brtel_notify.local.cleaning import clean, one_line, web_url
from brtel_notify.sources import event_flags
from brtel_notify.sources.html_text import html_to_text
from brtel_notify.sources.message_lines import FREE_TEXT
from brtel_notify.sources.registry import parse

CAPTURES = Path(brtel_notify.__file__).parent / "sandbox" / "captures"
TRUNK = 'CRITICAL: trunk "down" $(id) <b>é</b> it\'s'
CAPTURED_AT = 1795300000.0


@pytest.fixture(autouse=True)
def server_in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Zabbix and LibreNMS write times in the server's zone: here UTC, whoever runs the tests."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def captured(name: str) -> Capture:
    data = json.loads((CAPTURES / f"{name}.json").read_text(encoding="utf-8"))
    stdin = json.dumps(data["stdin"]) if "stdin" in data else ""
    return Capture(data["source"], data.get("env", {}), data.get("argv", []), stdin, CAPTURED_AT)


def nagios(argv: Sequence[str] = (), source: str = "nagios", **macros: str) -> Alert:
    given = {"HOSTNAME": "web1", "NOTIFICATIONTYPE": "PROBLEM", "HOSTSTATE": "DOWN", **macros}
    prefix = f"{source.upper()}_"
    env = {prefix + name: value for name, value in given.items()}
    return parse(Capture(source, env, argv, "", CAPTURED_AT))


def zabbix(*lines: str, subject: str = "s", flags: Sequence[str] = (), note: str = "") -> Alert:
    usual = ["EVENT.VALUE: 1", "HOST.HOST: web1", "TRIGGER.ID: 7", "EVENT.NAME: Disk full"]
    named = {line.partition(":")[0] for line in lines}
    kept = [line for line in usual if line.partition(":")[0] not in named]
    message = note + "\n".join([*kept, *lines])
    return parse(Capture("zabbix", {}, [*flags, "CL1", subject, message], "", CAPTURED_AT))


def librenms(argv: Sequence[str] = (), **data: Any) -> Alert:
    given = {"hostname": "web1", "state": 1, "name": "Disk", "severity": "warning", **data}
    return parse(Capture("librenms", {}, argv, json.dumps(given), CAPTURED_AT))


def other(*argv: str, stdin: str = "") -> Alert:
    return parse(Capture("event", {}, argv, stdin, CAPTURED_AT))


# --- what real monitoring servers passed -----------------------------------------------------

NAGIOS: Dict[str, Any] = {
    "source": "nagios",
    "host": "acme.3cx.fr",
    "address": "203.0.113.10",
}
NAGIOS_SERVICE: Dict[str, Any] = {
    **NAGIOS,
    "service": "SIP trunk",
    "state": "CRITICAL",
    "severity": "critical",
    "output": TRUNK,
    "long_output": "second line of output\nthird",
    "since": 1795285892.0,
}
NAGIOS_DOWN: Dict[str, Any] = {
    **NAGIOS,
    "state": "DOWN",
    "severity": "critical",
    "output": "PING CRITICAL - Packet loss = 100%",
    "since": 1795285902.0,
}
ICINGA_SERVICE: Dict[str, Any] = {
    **NAGIOS,
    "source": "icinga",
    "service": "SIP trunk",
    "state": "CRITICAL",
    "severity": "critical",
    "output": TRUNK,
    "since": 1795285944.0,
}
LIBRENMS: Dict[str, Any] = {
    "source": "librenms",
    "host": "acme.3cx.fr",
    "address": "203.0.113.10",
    "service": "Device down",
    "title": "Alert for device acme.3cx.fr - Device down",
    "state": "critical",
    "severity": "critical",
    "output": "Device acme.3cx.fr is down\nElapsed: 2m 3s",
    "long_output": "hostname = acme.3cx.fr;",
    "since": 1795285867.0,
    "time": CAPTURED_AT,
    "lasting": "31/17/5",
}
ZABBIX: Dict[str, Any] = {
    "source": "zabbix",
    "host": "acme.3cx.fr",
    "check": "23133",
    "service": 'SIP trunk down on acme.3cx.fr "q" it\'s',
    "output": "Operational data: 0",
    "since": 1795286249.0,
    "time": CAPTURED_AT,
    "lasting": "23133/27",
}
ZABBIX_7: Dict[str, Any] = {
    **ZABBIX,
    "check": "1",
    "service": "SIP trunk down",
    "output": "Operational data: 0 trunks up",
    "since": 1795884874.0,
    "lasting": "1/1",
}
EXPECTED: Dict[str, Dict[str, Any]] = {
    "nagios4-host-problem": {**NAGIOS_DOWN, "kind": "problem", "time": 1795285902.0},
    "nagios4-host-recovery": {
        **NAGIOS,
        "kind": "recovery",
        "state": "UP",
        "severity": "ok",
        "output": "PING OK - rta 3ms",
        "since": 1795285910.0,
        "time": 1795285910.0,
    },
    "nagios4-host-downtimestart": {
        **NAGIOS_DOWN,
        "kind": "downtime",
        "action": "start",
        "author": "jdupont",
        "comment": "firmware update",
        "time": 1795285904.0,
    },
    "nagios4-host-downtimeend": {
        **NAGIOS_DOWN,
        "kind": "downtime",
        "action": "end",
        "author": "jdupont",
        "comment": "firmware update",
        "time": 1795285907.0,
    },
    "nagios4-service-problem": {**NAGIOS_SERVICE, "kind": "problem", "time": 1795285892.0},
    "nagios4-service-acknowledgement": {
        **NAGIOS_SERVICE,
        "kind": "acknowledgement",
        "author": "jdupont",
        "comment": "on it, calling the carrier",
        "time": 1795285894.0,
    },
    "nagios4-service-custom": {
        **NAGIOS_SERVICE,
        "kind": "comment",
        "author": "jdupont",
        "comment": "custom note",
        "time": 1795285896.0,
    },
    "nagios4-service-recovery": {
        **NAGIOS_SERVICE,
        "kind": "recovery",
        "state": "OK",
        "severity": "ok",
        "output": "OK: trunk up",
        "long_output": "",
        "since": 1795285900.0,
        "time": 1795285900.0,
    },
    "icinga2-host-problem": {
        **NAGIOS_DOWN,
        "source": "icinga",
        "kind": "problem",
        "since": None,
        "time": 1795285950.0,
    },
    "icinga2-host-recovery": {
        **NAGIOS,
        "source": "icinga",
        "kind": "recovery",
        "state": "UP",
        "severity": "ok",
        "output": "PING OK - rta 3ms",
        "time": 1795285952.0,
    },
    "icinga2-service-problem": {**ICINGA_SERVICE, "kind": "problem", "time": 1795285944.0},
    "icinga2-service-acknowledgement": {
        **ICINGA_SERVICE,
        "kind": "acknowledgement",
        "author": "jdupont",
        "comment": "on it, calling the carrier",
        "time": 1795285946.0,
    },
    "icinga2-service-recovery": {
        **ICINGA_SERVICE,
        "kind": "recovery",
        "state": "OK",
        "severity": "ok",
        "output": "OK: trunk up",
        "since": 1795285948.0,
        "time": 1795285948.0,
    },
    "librenms-problem": {**LIBRENMS, "kind": "problem"},
    "librenms-worse": {
        **LIBRENMS,
        "kind": "problem",
        "action": "worse",
        "title": "Alert for device acme.3cx.fr - Device down got worse",
    },
    "librenms-acknowledged": {
        **LIBRENMS,
        "kind": "acknowledgement",
        "title": "Alert for device acme.3cx.fr - Device down got acknowledged",
        "author": "marie",
        "comment": "on it, calling the carrier",
    },
    "librenms-recovery": {
        **LIBRENMS,
        "kind": "recovery",
        "title": "Device acme.3cx.fr recovered from Device down",
        "state": "ok",
        "severity": "ok",
        "output": "recovered",
    },
    "librenms-test-button": {
        **LIBRENMS,
        "kind": "test",
        "service": "Test-Rule",
        "title": "Testing transport from LibreNMS",
        "lasting": "",
        "output": "This is a test alert",
    },
    "zabbix6-problem": {**ZABBIX, "kind": "problem", "state": "High", "severity": "critical"},
    "zabbix6-update": {
        **ZABBIX,
        "kind": "acknowledgement",
        "state": "Disaster",
        "severity": "critical",
        "author": "Zabbix Administrator (Admin)",
        "comment": "on it, calling\nthe carrier",
    },
    "zabbix6-recovery": {
        **ZABBIX,
        "kind": "recovery",
        "state": "OK",
        "severity": "ok",
        "output": "Operational data: 2",
        "since": None,  # the message does not say when the problem ended
    },
    "zabbix7-problem": {**ZABBIX_7, "kind": "problem", "state": "High", "severity": "critical"},
    "zabbix7-recovery": {
        **ZABBIX_7,
        "kind": "recovery",
        "state": "OK",
        "severity": "ok",
        "since": 1795884880.0,
    },
    "zabbix7-update": {  # behind the recovery
        **ZABBIX_7,
        "kind": "acknowledgement",
        "state": "High",
        "severity": "critical",
        "author": "Zabbix Administrator (Admin)",
        "comment": "a new card\nis in",
    },
    "zabbix7-cancelled": {
        **ZABBIX_7,
        "kind": "recovery",
        "action": "cancelled",
        "host": "lumiere.3cx.fr",
        "check": "2",
        "state": "cancelled",
        "severity": "ok",
        "output": 'NOTE: Escalation canceled: trigger "SIP trunk down" disabled.',
        "comment": 'NOTE: Escalation canceled: trigger "SIP trunk down" disabled.',
        "since": None,
        "lasting": "2/3",
    },
}
ACCOUNT_VARIABLE = {"icinga": "CUSTOMER"}


def test_every_capture_has_its_row() -> None:
    assert sorted(EXPECTED) == sorted(path.stem for path in CAPTURES.glob("*.json"))


#: What tells the occurrence of each from the next (DESIGN section 5, the table). A recovery names
#: none where it ends whatever is open.
OCCURRENCES: Dict[str, Dict[str, Any]] = {
    "nagios4-host-problem": {"occurrence": "1795285902", "occurrence_by": "LASTHOSTUP"},
    "nagios4-service-problem": {"occurrence": "1795285892", "occurrence_by": "LASTSERVICEOK"},
    "icinga2-service-problem": {
        "occurrence": "1795285944",
        "occurrence_by": "LASTSTATECHANGE CRITICAL",
    },
    "zabbix6-problem": {"occurrence": "27", "one_by_one": True},
    "zabbix6-recovery": {"occurrence": "27", "one_by_one": True, "began": 1795286249.0},
    "zabbix6-update": {"occurrence": "27", "one_by_one": True},
    "zabbix7-problem": {"occurrence": "1", "one_by_one": True},
    "zabbix7-recovery": {"occurrence": "1", "one_by_one": True, "began": 1795884874.0},
    "zabbix7-update": {"occurrence": "1", "one_by_one": True},
    "zabbix7-cancelled": {"occurrence": "3", "one_by_one": True, "began": 1795884884.0},
    "librenms-problem": {"order": 904},
    "librenms-worse": {"order": 905},
    "librenms-acknowledged": {"order": 906},
    "librenms-recovery": {"order": 907},
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_capture(name: str) -> None:
    alert = parse(captured(name))
    fields = alert._asdict()
    variables = fields.pop("vars")
    empty = Alert(source="", kind="", host="", time=0.0)._asdict()
    expected = {**EXPECTED[name], **OCCURRENCES.get(name, {})}
    assert fields == {**{key: empty[key] for key in fields}, **expected}
    # A test is of no device, so that device's notes are not heard.
    account = "" if alert.kind == "test" else "CL2385"
    assert variables[ACCOUNT_VARIABLE.get(alert.source, "CUSTOMER_ACCOUNT")] == account
    assert variables["NO_SUCH_NAME"] == ""


@pytest.mark.parametrize(
    ("name", "variable", "value"),
    [
        ("nagios4-host-problem", "HOSTALIAS", "ACME PBX"),
        ("nagios4-host-problem", "_HOSTCUSTOMER_ACCOUNT", "CL2385"),
        ("nagios4-service-problem", "SERVICEPROBLEMID", "1"),
        ("icinga2-host-problem", "LONG", "2026-11-21 18:32:30 +0000"),
        ("zabbix6-problem", "SENDTO", "CL2385"),
        ("zabbix6-problem", "SUBJECT", "problem"),
        ("zabbix6-problem", "SCOPE", "voip"),
        ("zabbix6-problem", "INVENTORY.NOTES", "CL2385"),
        ("zabbix6-recovery", "EVENT.SEVERITY", "Disaster"),
        ("zabbix6-recovery", "EVENT.RECOVERY.ID", "28"),
        ("zabbix6-problem", "EVENT.RECOVERY.ID", ""),
        ("zabbix6-problem", "HOST.IP", ""),
        ("librenms-problem", "sysName", "acme.3cx.fr"),
        ("librenms-problem", "rule_id", "5"),
        ("librenms-problem", "location", "Lyon, FR"),
        ("librenms-problem", "features", ""),
    ],
)
def test_all_that_was_passed_is_in_vars(name: str, variable: str, value: str) -> None:
    assert parse(captured(name)).vars[variable] == value


def test_problem_and_recovery_are_about_the_same_thing() -> None:
    for first, last in [
        ("nagios4-host-problem", "nagios4-host-recovery"),
        ("nagios4-service-problem", "nagios4-service-recovery"),
        ("icinga2-service-problem", "icinga2-service-recovery"),
        ("librenms-problem", "librenms-recovery"),
        ("zabbix6-problem", "zabbix6-recovery"),
        ("zabbix6-problem", "zabbix6-update"),
    ]:
        assert parse(captured(first)).key == parse(captured(last)).key


def test_unknown_source() -> None:
    with pytest.raises(Unintelligible, match="unknown source 'cacti'"):
        parse(Capture("cacti", {}, [], "", 0.0))


# --- Nagios and Icinga -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "kind", "action"),
    [
        ("Problem", "problem", ""),
        ("FLAPPINGSTART", "flapping", "start"),
        ("FLAPPINGSTOP", "flapping", "end"),
        ("FLAPPINGEND", "flapping", "end"),
        ("FLAPPINGDISABLED", "flapping", "cancelled"),
        ("DOWNTIMECANCELLED", "downtime", "cancelled"),
        ("DOWNTIMEREMOVED", "downtime", "cancelled"),
    ],
)
def test_notification_types(word: str, kind: str, action: str) -> None:
    alert = nagios(NOTIFICATIONTYPE=word)
    assert (alert.kind, alert.action) == (kind, action)


@pytest.mark.parametrize(
    ("state", "severity"),
    [("WARNING", "warning"), ("UNKNOWN", "unknown"), ("UNREACHABLE", "critical")],
)
def test_states(state: str, severity: str) -> None:
    assert nagios(SERVICEDESC="disk", SERVICESTATE=state).severity == severity


def test_an_unknown_state_is_kept_rather_than_the_alert_lost() -> None:
    alert = nagios(HOSTSTATE="SLEEPING")
    assert (alert.kind, alert.state, alert.severity) == ("problem", "SLEEPING", "unknown")


def test_no_host_names_the_cure() -> None:
    with pytest.raises(Unintelligible, match=r"macros=1 .* brtel-notify-arguments"):
        parse(Capture("nagios", {"NAGIOS_NOTIFICATIONTYPE": "PROBLEM"}, [], "", 0.0))
    with pytest.raises(Unintelligible, match="ICINGA_HOSTNAME"):
        parse(Capture("icinga", {}, [], "", 0.0))


def test_notification_type_missing_or_unknown() -> None:
    with pytest.raises(Unintelligible, match="no NOTIFICATIONTYPE"):
        nagios(NOTIFICATIONTYPE="")
    with pytest.raises(Unintelligible, match="unknown NOTIFICATIONTYPE 'PARTY'"):
        nagios(NOTIFICATIONTYPE="PARTY")


def test_names_on_the_command_line_are_enough() -> None:
    argv = ["--var", "HOSTNAME=web1", "--var=NOTIFICATIONTYPE=PROBLEM", "--var", "HOSTSTATE=DOWN"]
    alert = parse(Capture("nagios", {}, argv, "", CAPTURED_AT))
    assert (alert.host, alert.kind, alert.state, alert.time) == (
        "web1",
        "problem",
        "DOWN",
        CAPTURED_AT,
    )


def test_custom_variables_that_a_host_has_not_are_absent() -> None:
    argv = [
        *("--var", "HOSTNAME=web1", "--var", "NOTIFICATIONTYPE=PROBLEM", "--var", "HOSTSTATE=DOWN"),
        *("--var", "HOSTGROUPNAMES=", "--var", "_HOSTTICKET_TAGS=$_HOSTTICKET_TAGS$"),
        *("--var", "_HOSTCUSTOMER_ACCOUNT=CL1"),
        *("--var", "_SERVICECUSTOMER_ACCOUNT=$_SERVICECUSTOMER_ACCOUNT$"),
    ]
    alert = parse(Capture("nagios", {}, argv, "", CAPTURED_AT))
    assert alert.vars["CUSTOMER_ACCOUNT"] == "CL1"
    assert "TICKET_TAGS" not in alert.vars
    assert "$" not in "".join(alert.vars.values())


def test_var_flags_override_and_take_away() -> None:
    argv = ["--var", "NAGIOS_HOSTNAME=web2", "--var", "customer=CL2", "--var", "TEAM="]
    alert = nagios(argv, _HOSTCUSTOMER="CL1", _HOSTTEAM="voip")
    assert alert.host == "web2"
    assert alert.vars["CUSTOMER"] == "CL2"
    assert alert.vars["TEAM"] == ""


def test_a_macro_that_stayed_as_it_was_is_absent() -> None:
    alert = nagios(["--var", "SERVICEDESC=$SERVICEDESC$"], HOSTOUTPUT="no answer")
    assert (alert.service, alert.output) == ("", "no answer")


def test_custom_variables_of_the_service_win_over_host_over_contact() -> None:
    alert = nagios(
        _CONTACTA="contact", _HOSTA="host", _SERVICEA="service", _CONTACTB="contact", _HOSTB="host"
    )
    assert (alert.vars["A"], alert.vars["B"]) == ("service", "host")
    assert alert.vars["_CONTACTA"] == "contact"


def test_custom_variables_cannot_pass_for_macros() -> None:
    alert = nagios(_HOSTHOSTNAME="evil", _HOSTSERVICEDESC="evil")
    assert (alert.host, alert.vars["HOSTNAME"], alert.service) == ("web1", "web1", "")


def test_icinga_1_variables_under_nagios_and_custom_ones_under_icinga() -> None:
    env = {"ICINGA_HOSTNAME": "web1", "ICINGA_NOTIFICATIONTYPE": "PROBLEM"}
    assert parse(Capture("nagios", env, [], "", 0.0)).host == "web1"
    assert nagios(source="icinga", _HOSTCUSTOMER_ACCOUNT="CL1").vars["CUSTOMER_ACCOUNT"] == "CL1"


def test_long_output_unfolds_newlines_and_backslashes() -> None:
    assert nagios(LONGHOSTOUTPUT=r"a\nb c:\\new").long_output == "a\nb c:\\new"


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://wiki.example.net/web1", "https://wiki.example.net/web1"),
        ("javascript:alert(1)", ""),
        ("http://", ""),
        ("http://[", ""),
        ("http://a b/", ""),
        ("http://a/\x1b[0m", ""),
        ("http://a/" + "x" * 2000, ""),
        ('http://a/"><script>', ""),
        ("website_url not set/cgi-bin/extinfo.cgi", ""),
    ],
)
def test_only_web_addresses_are_urls(address: str, url: str) -> None:
    assert nagios(HOSTNOTESURL=address).url == url
    assert web_url("", address) == url


# --- Zabbix ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "kind", "action"),
    [
        ("acknowledged", "acknowledgement", ""),
        ("acknowledged and closed", "acknowledgement", ""),
        ("unacknowledged and commented", "acknowledgement", "removed"),
        ("commented", "comment", ""),
        ("closed", "comment", ""),
        ("suppressed until 2026.11.22 08:00:00", "downtime", "start"),
        ("commented and unsuppressed", "downtime", "end"),
        ("changed severity from High to Warning", "problem", ""),
        ("changed severity from High to Warning and closed", "comment", ""),
        ("commented and changed severity from High to Warning", "comment", ""),
    ],
)
def test_zabbix_updates(done: str, kind: str, action: str) -> None:
    alert = zabbix("EVENT.UPDATE.STATUS: 1", f"EVENT.UPDATE.ACTION: {done}")
    assert (alert.kind, alert.action) == (kind, action)


def test_an_update_without_a_word_says_what_was_done() -> None:
    done = ("EVENT.UPDATE.STATUS: 1", "EVENT.UPDATE.ACTION: closed")
    assert zabbix(*done).comment == "closed"
    assert zabbix(*done, "EVENT.UPDATE.MESSAGE: enough").comment == "enough"


def test_an_update_of_a_resolved_problem_opens_nothing() -> None:
    action = "EVENT.UPDATE.ACTION: changed severity from High to Warning"
    alert = zabbix("EVENT.VALUE: 0", "EVENT.UPDATE.STATUS: 1", action)
    assert alert.kind == "comment"


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("Disaster", "critical"),
        ("High", "critical"),
        ("Average", "warning"),
        ("Warning", "warning"),
        ("Information", "info"),
        ("Not classified", "unknown"),
    ],
)
def test_zabbix_severities(name: str, severity: str) -> None:
    alert = zabbix(f"EVENT.SEVERITY: {name}")
    assert (alert.severity, alert.state) == (severity, name)


def test_a_renamed_zabbix_severity_goes_by_its_number() -> None:
    alert = zabbix("EVENT.SEVERITY: Grave", "EVENT.NSEVERITY: 4")
    assert (alert.severity, alert.state) == ("critical", "Grave")


@pytest.mark.parametrize(
    "note",
    [
        "NOTE: Escalation cancelled: host 'web1' disabled.\n",
        "NOTE: Escalation canceled: host 'web1' disabled.\nLast message sent:\n",
    ],
)
def test_a_cancelled_escalation_ends_the_alert_and_says_why(note: str) -> None:
    alert = zabbix(note=note)
    assert (alert.kind, alert.action, alert.severity) == ("recovery", "cancelled", "ok")
    assert alert.key == zabbix().key
    assert "host 'web1' disabled." in alert.comment
    assert "Last message" not in alert.comment


def test_what_a_person_typed_passes_for_no_other_line() -> None:
    alert = zabbix("EVENT.UPDATE.MESSAGE: hello\nHOST.HOST: evil\nTRIGGER.URL: http://evil.example")
    assert (alert.host, alert.url) == ("web1", "")
    assert alert.comment == "hello\nHOST.HOST: evil\nTRIGGER.URL: http://evil.example"


def test_the_first_of_two_lines_of_one_name_wins() -> None:
    alert = zabbix("INVENTORY.NOTES: rack 4\nsecond floor\nHOST.HOST: evil\nmore")
    assert alert.host == "web1"
    assert alert.vars["INVENTORY.NOTES"] == "rack 4\nsecond floor"


def test_zabbix_tags() -> None:
    tags = [{"tag": "customer-account", "value": "CL9"}, {"tag": "sendto", "value": "evil"}, 3]
    alert = zabbix(f"EVENT.TAGSJSON: {json.dumps(tags)}")
    assert (alert.vars["CUSTOMER_ACCOUNT"], alert.vars["SENDTO"]) == ("CL9", "CL1")
    broken = zabbix("EVENT.TAGSJSON: [{", "EVENT.TAGS: scope:voip, customer_account:CL9")
    assert (broken.vars["SCOPE"], broken.vars["CUSTOMER_ACCOUNT"]) == ("voip", "CL9")


def test_zabbix_times() -> None:
    times = ["EVENT.RECOVERY.DATE: 2026.11.21", "EVENT.RECOVERY.TIME: 18:40:00"]
    assert zabbix("EVENT.VALUE: 0", *times).since == 1795286400.0
    assert zabbix("EVENT.TIMESTAMP: 1795286249", *times).since == 1795286249.0
    assert zabbix("EVENT.DATE: 2026.02.30", "EVENT.TIME: 18:40:00").since is None


def test_zabbix_flags_stand_before_the_three_arguments_only() -> None:
    assert zabbix(flags=["--var", "TEAM=voip"]).vars["TEAM"] == "voip"
    alert = zabbix(subject="--var=HOST.HOST=evil")
    assert (alert.host, alert.vars["SUBJECT"]) == ("web1", "--var=HOST.HOST=evil")


def test_the_test_button_of_zabbix_opens_nothing() -> None:
    argv = ["CL1", "Test subject", "This is the test message from Zabbix"]
    assert parse(Capture("zabbix", {}, argv, "", 0.0)).kind == "test"
    assert zabbix(subject="Test subject").kind == "problem"


@pytest.mark.parametrize(
    "message",
    [
        "Ceci est un message de test de Zabbix",
        "Это тестовое сообщение от Zabbix",
        "{ALERT.MESSAGE}",
    ],
)
def test_the_test_button_in_other_languages_and_versions(message: str) -> None:
    assert parse(Capture("zabbix", {}, ["CL1", "sujet", message], "", 0.0)).kind == "test"


def shipped_messages(name: str) -> Dict[Any, str]:
    """The messages of a shipped media type, by event source and mode of operation."""
    text = (Path(shipped_files.folder("zabbix")) / name).read_text(encoding="utf-8")
    (media_type,) = yaml.safe_load(text)["zabbix_export"]["media_types"]
    assert (media_type["type"], media_type["script_name"]) == ("SCRIPT", "brtel-notify")
    return {
        (one["event_source"], one["operation_mode"]): one["message"]
        for one in media_type["message_templates"]
    }


MEDIA_TYPES = ("media_brtel_notify.yaml", "media_brtel_notify_7.0.yaml")


def filled(source: str, values: Dict[str, str], name: str = MEDIA_TYPES[0]) -> Alert:
    """What the shipped message says, its macros replaced as Zabbix replaces them."""
    message = shipped_messages(name)[source, "PROBLEM"]
    for macro, value in values.items():
        message = message.replace(f"{{{macro}}}", value)
    return parse(Capture("zabbix", {}, ["CL1", "s", message], "", CAPTURED_AT))


TRIGGER = {
    "EVENT.SOURCE": "0",
    "EVENT.VALUE": "1",
    "EVENT.UPDATE.STATUS": "0",
    "TRIGGER.ID": "7",
    "HOST.HOST": "web1",
    "EVENT.NAME": "Disk full",
}
INTERNAL = {
    "EVENT.SOURCE": "3",
    "EVENT.OBJECT": "4",
    "EVENT.VALUE": "1",
    "HOST.HOST": "web1",
    "ITEM.ID": "9",
    "ITEM.NAME": "Disk",
    "ITEM.STATE": "Not supported",
    "EVENT.NAME": "no such key",
}
SERVICE = {
    "EVENT.SOURCE": "4",
    "EVENT.VALUE": "1",
    "EVENT.UPDATE.STATUS": "0",
    "SERVICE.NAME": "Telephony",
    "EVENT.SEVERITY": "Warning",
    "EVENT.NSEVERITY": "2",
    "SERVICE.ROOTCAUSE": "SIP trunk down\nand more",
}


@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_the_shipped_messages(name: str) -> None:
    messages = shipped_messages(name)
    assert len(messages) == 10
    for message in messages.values():
        first, *lines = message.split("\n")
        assert first == "BRTEL.NOTIFY: 1"
        macros = [line.partition(": ")[0] for line in lines]
        assert lines == [f"{macro}: {{{macro}}}" for macro in macros]
        free = [macro for macro in macros if macro in FREE_TEXT]
        assert macros[len(macros) - len(free) :] == free
        assert free == [macro for macro in FREE_TEXT if macro in free]
    assert messages["TRIGGERS", "PROBLEM"] == messages["TRIGGERS", "UPDATE"]


@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_each_source_of_events(name: str) -> None:
    trigger = filled("TRIGGERS", TRIGGER, name)
    assert (trigger.kind, trigger.key, trigger.service) == ("problem", "zabbix:web1:7", "Disk full")
    item = filled("INTERNAL", INTERNAL, name)
    assert (item.key, item.severity, item.state) == (
        "zabbix:web1:item 9",
        "unknown",
        "Not supported",
    )
    assert (item.service, item.output) == ("item Disk", "no such key")
    service = filled("SERVICE", SERVICE, name)
    assert (service.host, service.key) == ("Telephony", "zabbix:Telephony:service")
    assert (service.severity, service.long_output) == ("warning", "SIP trunk down\nand more")


#: In the manual of 7.4. The servers of 6.0.14, 7.0.22 and 7.0.29 leave them as they stand.
SINCE_7_4 = frozenset(("EVENT.TIMESTAMP", "EVENT.RECOVERY.TIMESTAMP", "SERVICE.ID"))


def test_what_6_0_does_not_know_is_in_its_media_type_not_at_all() -> None:
    for message in shipped_messages(MEDIA_TYPES[0]).values():
        assert not SINCE_7_4 & set(re.findall(r"{([A-Z.]+)}", message))


@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_a_macro_that_the_server_does_not_know_says_nothing(name: str) -> None:
    """It stays as it stands, as in every version what does not apply."""
    began = {"EVENT.DATE": "2026.11.21", "EVENT.TIME": "18:37:29", "EVENT.ID": "27"}
    over = {"EVENT.RECOVERY.DATE": "2026.11.21", "EVENT.RECOVERY.TIME": "18:40:00"}
    for source, values in (("TRIGGERS", TRIGGER), ("SERVICE", SERVICE), ("INTERNAL", INTERNAL)):
        problem = filled(source, {**values, **began}, name)
        recovery = filled(source, {**values, **began, **over, "EVENT.VALUE": "0"}, name)
        assert (problem.since, recovery.since) == (1795286249.0, 1795286400.0)
        assert recovery.key == problem.key
        for alert in (problem, recovery):
            assert "{" not in repr({**alert._asdict(), "vars": [*alert.vars.values()]})[1:]
    assert "SERVICE.ID" not in filled("SERVICE", SERVICE, name).vars


def test_a_macro_with_a_function_that_the_server_does_not_know_says_nothing() -> None:
    unknown = 'CUSTOMER_ACCOUNT: {{EVENT.TIMESTAMP}.fmttime("%Y (%x)")}'
    assert "CUSTOMER_ACCOUNT" not in zabbix(unknown).vars
    assert zabbix("CUSTOMER_ACCOUNT: {{A}.b()} and more").vars["CUSTOMER_ACCOUNT"].startswith("{{")


def test_7_4_tells_more() -> None:
    more = {"EVENT.TIMESTAMP": "1795286249", "SERVICE.ID": "5"}
    assert filled("TRIGGERS", {**TRIGGER, **more}, MEDIA_TYPES[1]).since == 1795286249.0
    assert (
        filled("SERVICE", {**SERVICE, **more}, MEDIA_TYPES[1]).key == "zabbix:Telephony:service 5"
    )


def test_the_update_of_a_service_is_a_new_severity() -> None:
    update = {"EVENT.UPDATE.STATUS": "1", "EVENT.UPDATE.SEVERITY": "Disaster"}
    alert = filled("SERVICE", {**SERVICE, **update, "EVENT.UPDATE.NSEVERITY": "5"})
    assert (alert.kind, alert.severity, alert.state) == ("problem", "critical", "Disaster")
    over = filled("SERVICE", {**SERVICE, "EVENT.VALUE": "0"})
    assert (over.kind, over.severity, over.key) == ("recovery", "ok", alert.key)


@pytest.mark.parametrize(("source", "number"), [("DISCOVERY", "1"), ("AUTOREGISTRATION", "2")])
@pytest.mark.parametrize("note", ["", "NOTE: Escalation canceled: action off\n"])
def test_discovery_is_about_nothing_that_has_a_ticket(source: str, number: str, note: str) -> None:
    message = note + shipped_messages(MEDIA_TYPES[0])[source, "PROBLEM"]
    message = message.replace("{EVENT.SOURCE}", number).replace("{HOST.HOST}", "web1")
    alert = parse(Capture("zabbix", {}, ["CL1", "s", message], "", CAPTURED_AT))
    assert alert.kind == "comment"
    assert alert.check == "discovery"


@pytest.mark.parametrize(
    ("source", "values", "said"),
    [
        ("TRIGGERS", {"EVENT.SOURCE": "9"}, "EVENT.SOURCE '9'"),
        ("INTERNAL", {**INTERNAL, "EVENT.OBJECT": "6"}, "EVENT.OBJECT '6'"),
        ("INTERNAL", {**INTERNAL, "ITEM.ID": "*UNKNOWN*"}, "ITEM.ID"),
        ("SERVICE", {"EVENT.SOURCE": "4"}, "SERVICE.NAME"),
    ],
)
def test_what_a_message_of_zabbix_lacks(source: str, values: Dict[str, str], said: str) -> None:
    with pytest.raises(Unintelligible, match=said):
        filled(source, values)


FORGED = "\n".join(
    (
        *("text", "HOST.HOST: victim", "TRIGGER.ID: 1", "EVENT.VALUE: 0", "HOST.CONN: 192.0.2.1"),
        *("CUSTOMER_ACCOUNT: CL1", "TICKET_PRIORITY: Urgent", "EVENT.URL: https://evil.example"),
        *(
            "EVENT.TIMESTAMP: 1",
            "EVENT.TAGS: customer_account:CL1",
            "BRTEL.NOTIFY: 1",
            "HOST.NAME: x",
        ),
    )
)


@pytest.mark.parametrize(
    "macro", ["HOST.NAME", "USER.FULLNAME", "TRIGGER.URL", "EVENT.NAME", "EVENT.OPDATA"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_no_text_in_the_shipped_message_passes_for_a_line(macro: str, end: str) -> None:
    forged = FORGED.replace("\n", end)
    alert = filled("TRIGGERS", {**TRIGGER, macro: forged, "EVENT.UPDATE.MESSAGE": forged})
    assert (alert.kind, alert.key) == ("problem", "zabbix:web1:7")
    assert (alert.address, alert.url, alert.since) == ("", "", None)
    assert not {"CUSTOMER_ACCOUNT", "TICKET_PRIORITY", "EVENT.TAGS"} & set(alert.vars)
    assert alert.comment == FORGED
    assert alert.vars[macro] == FORGED


@pytest.mark.parametrize("macro", ["TRIGGER.URL", "EVENT.NAME", "EVENT.OPDATA"])
def test_no_value_of_an_item_passes_for_what_a_person_typed(macro: str) -> None:
    update = {"EVENT.UPDATE.STATUS": "1", "EVENT.UPDATE.ACTION": "acknowledged and commented"}
    person = {"USER.FULLNAME": "Alice", "EVENT.UPDATE.MESSAGE": "looking at it"}
    forged = "bad login\nUSER.FULLNAME: Bob\nEVENT.UPDATE.MESSAGE: all fine, call +33 899"
    alert = filled("TRIGGERS", {**TRIGGER, **update, **person, macro: forged})
    assert (alert.author, alert.comment) == ("Alice", "looking at it")


def test_lines_of_ones_own_stand_below_the_first_of_the_shipped_message() -> None:
    message = shipped_messages(MEDIA_TYPES[0])["TRIGGERS", "PROBLEM"]
    for macro, value in TRIGGER.items():
        message = message.replace(f"{{{macro}}}", value)
    first, _, rest = message.partition("\n")
    message = f"{first}\r\nTEAM: voip\r\nINVENTORY.NOTES: rack 4\r\n{rest}"
    alert = parse(Capture("zabbix", {}, ["CL1", "s", message], "", CAPTURED_AT))
    assert (alert.vars["TEAM"], alert.vars["INVENTORY.NOTES"]) == ("voip", "rack 4")
    assert alert.host == "web1"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["CL1", "s"], "2 arguments"),
        (["CL1", "s", "m", "m"], "4 arguments"),
        (["CL1", "s", "Problem started at 18:37"], "HOST.HOST"),
        (["CL1", "s", "HOST.HOST: web1\nEVENT.VALUE: 1"], "TRIGGER.ID"),
        (["CL1", "s", "HOST.HOST: web1\nTRIGGER.ID: 1"], "EVENT.VALUE"),
        (["CL1", "s", "HOST.HOST: *UNKNOWN*\nTRIGGER.ID: 1\nEVENT.VALUE: 1"], "HOST.HOST"),
        (["CL1", "s", "HOST.HOST: web1\nTRIGGER.ID: 1\nEVENT.VALUE: 2"], "EVENT.VALUE '2'"),
    ],
)
def test_zabbix_says_what_is_missing(argv: List[str], said: str) -> None:
    with pytest.raises(Unintelligible, match=said):
        parse(Capture("zabbix", {}, argv, "", 0.0))


# --- LibreNMS --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "kind", "action"),
    [
        (0, "recovery", ""),
        ("1", "problem", ""),
        (2, "acknowledgement", ""),
        (3, "problem", "worse"),
        (4, "problem", "better"),
        ("5", "problem", "changed"),
    ],
)
def test_librenms_states(state: Any, kind: str, action: str) -> None:
    alert = librenms(state=state)
    assert (alert.kind, alert.action) == (kind, action)


@pytest.mark.parametrize("state", [None, "", 6, -1, True, "down", [1], {"state": 1}])
def test_librenms_unknown_state(state: Any) -> None:
    with pytest.raises(Unintelligible, match="'state'"):
        librenms(state=state)


@pytest.mark.parametrize(
    "stdin", ["", "{", "[]", "1", "null", '{"a": NaN', "[" * 100_000, '{"a":' * 100_000]
)
def test_librenms_malformed_json(stdin: str) -> None:
    with pytest.raises(Unintelligible, match="JSON"):
        parse(Capture("librenms", {}, [], stdin, 0.0))


def test_numbers_too_long_for_python_are_text() -> None:
    stdin = '{"hostname": "web1", "state": 1, "uptime": %s}' % ("9" * 50_000)
    assert parse(Capture("librenms", {}, [], stdin, 0.0)).vars["uptime"].startswith("999")


def test_librenms_needs_a_host_and_takes_the_next_best_name() -> None:
    assert librenms(hostname="", sysName="core1").host == "core1"
    with pytest.raises(Unintelligible, match="hostname"):
        librenms(hostname=None)


def test_librenms_variables_flags_over_notes_over_transport() -> None:
    alert = librenms(
        ["--var", "a=flag"],
        notes="a: notes\n b : notes\r\nsee http://wiki.example.net: it is written there\nC:",
        vars={"A": "transport", "b": "transport", "c": "transport", "TAGS": ["x", "y"], "D": {}},
    )
    assert {name: alert.vars[name] for name in ("A", "B", "C", "D", "TAGS", "HTTP")} == {
        "A": "flag",
        "B": "notes",
        "C": "transport",
        "D": "",
        "TAGS": "x, y",
        "HTTP": "",
    }


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        ({"id": "000", "uid": "000", "alert_id": "000", "rule_id": "000"}, "test"),
        ({"id": "000", "uid": "000"}, "test"),  # the button, before LibreNMS gave it all fields
        ({"id": 0, "uid": 0}, "problem"),
        ({"alert_id": "000", "rule_id": "000"}, "problem"),
        ({"id": "000", "uid": "000", "alert_id": 31, "rule_id": 5}, "problem"),
    ],
)
def test_librenms_test_button(numbers: Dict[str, Any], kind: str) -> None:
    settings = {"CUSTOMER_ACCOUNT": "transport"}
    alert = librenms(**numbers, notes="CUSTOMER_ACCOUNT: device", vars=settings)
    assert alert.kind == kind
    assert alert.vars["CUSTOMER_ACCOUNT"] == ("transport" if kind == "test" else "device")


#: What LibreNMS puts before a note, in its form and in its API; the date is `dateformat.long`.
ACKED = "Sat, 21 Nov 2026 18:33:10 +0100 - Ack (marie)"
UNACKED = "Sat, 21 Nov 2026 18:40:00 +0100 - UnAck (marie)"
AGAIN = "21.11.2026 18:52 - Ack (paul.d@example.net)"


@pytest.mark.parametrize(
    ("notes", "author", "comment"),
    [
        (f"{ACKED} on it", "marie", "on it"),
        (f"{ACKED} on it\n{UNACKED} not me\n{AGAIN} mine", "paul.d@example.net", "mine"),
        (f"{ACKED} on it\r\n{AGAIN} two\r\nlines", "paul.d@example.net", "two\nlines"),
        (f"{ACKED}\n{AGAIN}", "paul.d@example.net", ""),
        (f"{ACKED} on it\n{UNACKED} ", "marie", ""),
        # The note before was written by hand, into the whole of them.
        (f"see the wiki\n{ACKED} on it", "marie", "on it"),
        # What stands further up already is quoted, and no note of its own.
        (
            f"{ACKED} on it\n{AGAIN} true:\n{ACKED} on it",
            "paul.d@example.net",
            f"true:\n{ACKED} on it",
        ),
        # So is what somebody marks as quoted, or puts in quotes, whole or cut.
        (
            f"{ACKED} on it\n{AGAIN} true:\n> {ACKED} on\n\u00ab\u00a0{ACKED}\u00a0\u00bb",
            "paul.d@example.net",
            f"true:\n> {ACKED} on\n\u00ab\u00a0{ACKED}\u00a0\u00bb",
        ),
        # A directory's names may hold brackets.
        (f"{ACKED} on it\n{ACKED[:-7]}(Paul (NOC)) (mine) now", "Paul (NOC)", "(mine) now"),
        # Something else's way of writing, or nobody's: all of it, as before.
        ("on it, calling the carrier", "", "on it, calling the carrier"),
        ("today - Ack (marie) on it", "", "today - Ack (marie) on it"),
        ("", "", ""),
        (None, "", ""),
    ],
    ids=[
        *("one", "three", "CRLF", "bare", "undone", "by hand", "quoted"),
        *("marked", "brackets", "other", "undated", "empty", "null"),
    ],
)
def test_librenms_an_acknowledgement_says_what_is_new(
    notes: Optional[str], author: str, comment: str
) -> None:
    alert = librenms(state=2, alert_notes=notes)
    assert (alert.author, alert.comment) == (author, comment)


def test_librenms_only_an_acknowledgement_is_somebodys() -> None:
    history = f"{ACKED} on it\n{UNACKED} not me"
    alert = librenms(state=3, alert_notes=history)
    assert (alert.author, alert.comment) == ("", "")
    assert alert.vars["alert_notes"] == history


def test_librenms_faults_that_say_more() -> None:
    faults = {"1": {"string": "port = 1"}, "2": {"string": "port = 2"}, "3": None, "4": {}}
    assert librenms(msg="port = 1 is down", faults=faults).long_output == "port = 2"
    assert librenms(faults=list(faults.values())).long_output == "port = 1\nport = 2"


# --- any other program -----------------------------------------------------------------------


def test_event_flags() -> None:
    alert = other(
        *("--host", "web1", "--service", "backup", "--state", "FAILED", "--severity", "major"),
        *("--output", "no space", "--long-output", "line 1\nline 2", "--key", "backup/nightly"),
        *("--since", "2026-11-21T18:37:29Z", "--url", "https://backup.example.net/1"),
        *("--address", "203.0.113.9", "--title", "Backup failed", "--var", "customer_account=CL1"),
    )
    assert alert.kind == "problem"
    assert alert.key == "event:web1:backup/nightly"
    assert (alert.service, alert.state, alert.severity) == ("backup", "FAILED", "critical")
    assert (alert.output, alert.long_output) == ("no space", "line 1\nline 2")
    assert (alert.since, alert.url) == (1795286249.0, "https://backup.example.net/1")
    assert (alert.address, alert.title) == ("203.0.113.9", "Backup failed")
    assert alert.vars["CUSTOMER_ACCOUNT"] == "CL1"


@pytest.mark.parametrize(
    ("flags", "kind", "severity"),
    [
        (["--state", "OK"], "recovery", "ok"),
        (["--state", "Resolved", "--severity", "critical"], "recovery", "ok"),
        (["--severity", "ok"], "recovery", "ok"),
        (["--severity", "warn"], "problem", "warning"),
        (["--severity", "notice"], "problem", "info"),
        (["--severity", "P1", "--state", "down"], "problem", "critical"),
        (["--severity", "whatever"], "problem", "unknown"),
        (["--kind", "problem"], "problem", "unknown"),
        (["--kind", "RECOVERY"], "recovery", "ok"),
        (["--type", "acknowledgement"], "acknowledgement", "unknown"),
        (["--kind", "DOWNTIMESTART"], "downtime", "unknown"),
    ],
)
def test_event_kinds(flags: List[str], kind: str, severity: str) -> None:
    alert = other("--host", "web1", *flags)
    assert (alert.kind, alert.severity) == (kind, severity)


@pytest.mark.parametrize(
    ("since", "seconds"),
    [
        ("1795286249", 1795286249.0),
        ("2026-11-21 18:37:29", 1795286249.0),
        ("2026-11-21T19:37:29+01:00", 1795286249.0),
        ("2026-11-21T13:37:29-0500", 1795286249.0),
        ("2026-11-21T18:37:29+99:99", None),
        ("yesterday", None),
        ("9" * 400, None),
    ],
)
def test_event_since(since: str, seconds: Any) -> None:
    assert other("--host", "web1", "--state", "DOWN", "--since", since).since == seconds


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "no kind"),
        (["--state", "DOWN"], "no host"),
        (["--host", "web1"], "no kind, state or severity"),
        (["--host", "web1", "--kind", "party"], "unknown kind 'party'"),
        (["--host"], "expected one argument"),
        (["--what"], "unrecognized arguments"),
        (["--host", "web1", "--state", "DOWN", "--var", "CL1"], "NAME=VALUE"),
        (["--json", "-"], "malformed JSON: it is empty"),
    ],
)
def test_event_refused_in_one_line(
    argv: List[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Unintelligible, match=said):
        other(*argv)
    assert capsys.readouterr() == ("", "")


def test_event_json_with_a_flag_on_top() -> None:
    data = {
        "host": "web1",
        "type": "PROBLEM",
        "severity": "warning",
        "long-output": "more",
        "since": 1795286249,
        "site": "Lyon",
        "vars": {"customer_account": "CL1", "rack": 4},
    }
    stdin = json.dumps(data)
    alert = other("--json", "-", "--severity", "critical", "--var", "RACK=5", stdin=stdin)
    assert (alert.host, alert.kind, alert.severity) == ("web1", "problem", "critical")
    assert (alert.long_output, alert.since) == ("more", 1795286249.0)
    assert (alert.vars["site"], alert.vars["CUSTOMER_ACCOUNT"], alert.vars["RACK"]) == (
        "Lyon",
        "CL1",
        "5",
    )


def test_the_command_line_declares_the_same_flags() -> None:
    parser = argparse.ArgumentParser()
    event_flags.add_arguments(parser)
    assert parser.parse_args(["--host", "web1", "--var", "A=b=c"]).var == ["A=b=c"]
    declared = {flag for action in parser._actions for flag in action.option_strings}
    assert declared - {"-h", "--help"} == set(event_flags._DESTINATIONS)
    assert "--severity" in parser.format_help()


# --- hostile text ----------------------------------------------------------------------------

HOSTILE = "$(id) `id` ; rm -rf / 'q' \"q\" </p><script>alert(1)</script> {{ 7*7 }} %s %(a)s"


def each_source(text: str) -> List[Alert]:
    """TEXT as output and as a variable, through every source."""
    return [
        nagios(HOSTOUTPUT=text, _HOSTX=text),
        nagios(source="icinga", HOSTOUTPUT=text, _HOSTX=text),
        zabbix(f"X: {text}", f"EVENT.OPDATA: {text}"),
        other("--host", "web1", "--state", "DOWN", f"--output={text}", f"--var=X={text}"),
    ]


def test_what_an_alert_says_stays_as_it_is() -> None:
    for alert in each_source(HOSTILE):
        assert alert.output.endswith(HOSTILE)
        assert alert.vars["X"] == HOSTILE
    escaped = HOSTILE.replace("<", "&lt;").replace(">", "&gt;")  # as LibreNMS's templates do
    assert librenms(msg=f"<p>{escaped}</p>").output == HOSTILE


def test_bad_bytes_and_control_characters_do_not_survive() -> None:
    bad = "\udcc3\udca9 \ud800 \x1b[31mred\x00\x07\x7f \u202eabc"
    for alert in each_source(bad):
        assert alert.output.endswith("é \ufffd red abc")
    assert librenms(msg=bad).output == "é \ufffd red abc"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Température".encode("latin-1"), "Température"),
        (b"caf\xe9", "café"),
        ("Диск".encode("cp1251"), "Äèñê"),  # D2
        ("“20 €”".encode("cp1252"), "“20 €”"),
        (b"\x81\x8d caf\xe9", "\ufffd\ufffd café"),
        ("Température élevée".encode()[:-2], "Température élev\ufffd"),  # cut off by who sent it
        ("déjà".encode(), "déjà"),
    ],
)
def test_what_is_no_utf_8_is_shown_as_cp1252(raw: bytes, shown: str) -> None:
    text = raw.decode("utf-8", "surrogateescape")
    for alert in each_source(text):
        assert alert.output.endswith(shown)
    alert = nagios(HOSTNAME=text, SERVICEDESC=text, _HOSTSITE=text)
    assert (alert.host, alert.service, alert.vars["SITE"]) == (shown, shown, shown)
    by_bytes = raw.decode("ascii", "surrogateescape")  # as it was captured under LC_ALL=C
    assert nagios(HOSTNAME=by_bytes, SERVICEDESC="x").host == shown
    assert nagios(HOSTNAME=by_bytes).key == nagios(HOSTNAME=text).key


def test_names_are_one_line_and_short() -> None:
    alert = nagios(HOSTNAME=" web1\n\tevil \x00 " + "x" * 300, SERVICEDESC="a\r\nb")
    assert alert.host.startswith("web1 evil xxx")
    assert len(alert.host) == 255
    assert alert.service == "a b"


@pytest.mark.parametrize(
    "unit", ["x", "<b>", "<!--", "<script>", '<a href="', "a\n", "\udcff", " "]
)
def test_five_megabytes(unit: str) -> None:
    text = unit * (5_000_000 // len(unit))
    for alert in [*each_source(text), librenms(msg=text, notes=text, faults=[{"string": text}])]:
        assert len(alert.output) <= 4_000
        assert len(alert.long_output) <= 20_000
        assert all(len(value) <= 4_000 for value in alert.vars.values())


def test_more_variables_than_anyone_has() -> None:
    many = {f"_HOSTV{number}": "x" for number in range(1_500)}
    assert len(nagios(**many).vars) == 1_000


def test_text_is_cut_where_one_sees_it() -> None:
    assert clean("abcdef", 4) == "abc…"
    assert one_line("a\n b\t\tc", 10) == "a b c"


# --- HTML ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("load < 5 and > 3", "load < 5 and > 3"),
        ("if a<b then c", "if a<b then c"),
        ("mail <noc@example.net> now<br>bye", "mail <noc@example.net> now\nbye"),
        ("two\n\n  lines &amp; it&#039;s &lt;b&gt;", "two\n\n  lines & it's <b>"),
        ("?a=1&copy=2", "?a=1&copy=2"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("a<br>\nb<BR/>c<br><br>d", "a\nb\nc\n\nd"),
        ("<p>a</p>\n<p>b</p>", "a\n\nb"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<table>\n<tr>\n <td>Host</td>\n <td>web1</td>\n</tr><tr><td>x", "Host | web1\nx"),
        ('<a href="https://x.example/1">graph</a>.', "graph (https://x.example/1)."),
        ("<a href='https://x.example/'>https://x.example</a>", "https://x.example"),
        ("<a href=https://x.example/>", "https://x.example/"),
        ('<a href="javascript:alert(1)">x</a>', "x"),
        ("a<script>alert(1)</script><style>b{}</style><!-- c --> d", "a d"),
        ("<!DOCTYPE html><html><head><title>t</title></head><body>b</body></html>", "b"),
        ('<img alt="up 95%"><span title="a > b">c</span>', "up 95%c"),
        ('<p class="x>text</p>', "text"),
        ("<b>bold</b> <script>never ended", "bold never ended"),
        ("&#99999999999; &#x110000; &bogus;", "&#99999999999; \ufffd &bogus;"),
        ("", ""),
        ("<br>", ""),
    ],
)
def test_html_to_text(markup: str, text: str) -> None:
    assert html_to_text(markup) == text
