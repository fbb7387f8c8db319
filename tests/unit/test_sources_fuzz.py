"""Whatever comes in, a source answers with a sound Alert or with one line that says why not."""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Dict, List

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brtel_notify.alert import KINDS, SEVERITIES, Alert, Unintelligible
from brtel_notify.intake.capture import Capture
from brtel_notify.sources.html_text import html_to_text
from brtel_notify.sources.macros import TYPES
from brtel_notify.sources.registry import NAMES, parse

FUZZ = settings(
    max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
ONE_LINE = ("source", "host", "service", "check", "title", "state", "author", "address", "url")
LIMITS = {"host": 255, "service": 255, "author": 255, "output": 4_000, "long_output": 20_000}

# Any character at all, lone surrogates included; and what means something to one of the sources.
anything = st.text(st.characters(codec=None, categories=None))
telling = st.sampled_from(
    [
        *(
            "\x1b[31m",
            "\x00",
            "\r\n",
            "$(id)",
            "{{ 7*7 }}",
            "</p><script>",
            "%s",
            "\udcff",
            "\u2028",
        ),
        *(
            "*UNKNOWN*",
            "{EVENT.ID}",
            "$SERVICEDESC$",
            "0",
            "1",
            "-1",
            "9" * 30,
            "1795286249",
            "NaN",
        ),
        *("OK", "DOWN", "critical", "Disaster", "http://[", "http://x.example/", "a: b", "&#0;"),
        *("acknowledged", "changed severity from a to b", "2026.13.41", "2026-11-21", "25:61:61"),
        *TYPES,
        *KINDS,
    ]
)
texts = st.one_of(anything, telling, st.lists(st.one_of(anything, telling)).map("".join))
macro_names = st.sampled_from(
    [
        *("HOSTNAME", "NOTIFICATIONTYPE", "SERVICEDESC", "SERVICESTATE", "HOSTSTATE", "TIMET"),
        *(
            "LASTHOSTSTATECHANGE",
            "HOSTNOTESURL",
            "LONGHOSTOUTPUT",
            "HOSTOUTPUT",
            "_HOSTFOO",
            "_HOST",
        ),
    ]
)
zabbix_lines = st.tuples(
    st.sampled_from(
        [
            *("EVENT.VALUE", "HOST.HOST", "TRIGGER.ID", "EVENT.NAME", "EVENT.UPDATE.STATUS"),
            *("EVENT.UPDATE.ACTION", "EVENT.TAGSJSON", "EVENT.TAGS", "EVENT.DATE", "EVENT.TIME"),
            *("EVENT.SEVERITY", "EVENT.NSEVERITY", "EVENT.OPDATA", "EVENT.UPDATE.MESSAGE", "NOTE"),
        ]
    ),
    texts,
).map(": ".join)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(anything, inner, max_size=3)
    ),
    max_leaves=8,
)
json_names = st.sampled_from(
    [
        *("hostname", "state", "severity", "msg", "name", "notes", "faults", "timestamp", "vars"),
        *("alert_id", "rule_id", "id", "uid", "host", "kind", "type", "since", "output", "url"),
    ]
)
json_objects = st.dictionaries(st.one_of(json_names, anything), json_values).map(json.dumps)
flags = st.sampled_from(
    [
        "--host",
        "--state",
        "--kind",
        "--since",
        "--var",
        "--json",
        "--url",
        "--key",
        "--",
        "-h",
        "--v",
    ]
)


def outcome(capture: Capture) -> None:
    """Parse CAPTURE, and check whatever comes of it."""
    try:
        alert = parse(capture)
    except Unintelligible as error:
        message = str(error)
        assert message.isprintable()
        assert 0 < len(message) < 300
    else:
        check(alert, capture)


def check(alert: Alert, capture: Capture) -> None:
    assert alert.source == capture.source
    assert alert.kind in KINDS
    assert alert.severity in SEVERITIES
    assert alert.host
    assert alert.since is None or alert.since > 0
    for name, value in alert._asdict().items():
        if isinstance(value, str):
            sound(value)
            assert len(value) <= LIMITS.get(name, 20_000)
            assert name not in ONE_LINE or "\n" not in value
    assert len(alert.vars) <= 1_000
    for name, value in alert.vars.items():
        assert name
        assert "\n" not in name
        assert len(value) <= 4_000
        sound(name)
        sound(value)
    assert alert.key.isprintable()


def sound(text: str) -> None:
    """TEXT can be written as UTF-8, and holds nothing that a terminal would obey."""
    text.encode("utf-8")
    assert not {char for char in text if unicodedata.category(char) == "Cc"} - {"\n", "\t"}


@FUZZ
@given(st.sampled_from(NAMES), st.dictionaries(anything, texts), st.lists(texts), texts)
def test_any_input(source: str, env: Dict[str, str], argv: List[str], stdin: str) -> None:
    outcome(Capture(source, env, argv, stdin, 0.0))


@FUZZ
@given(
    st.sampled_from(["nagios", "icinga"]),
    st.dictionaries(st.one_of(macro_names, anything), texts),
    st.lists(st.tuples(st.one_of(macro_names, anything), texts).map("=".join)),
)
def test_any_macros(source: str, macros: Dict[str, str], pairs: List[str]) -> None:
    env = {f"{source.upper()}_{name}": value for name, value in macros.items()}
    env.setdefault(f"{source.upper()}_HOSTNAME", "web1")
    env.setdefault(f"{source.upper()}_NOTIFICATIONTYPE", "PROBLEM")
    argv = [word for pair in pairs for word in ("--var", pair)]
    outcome(Capture(source, env, argv, "", 0.0))


@FUZZ
@given(texts, texts, st.lists(st.one_of(zabbix_lines, texts)), st.booleans(), st.booleans())
def test_any_zabbix_message(
    sendto: str, subject: str, lines: List[str], usual: bool, cancelled: bool
) -> None:
    if usual:
        lines = [*lines, "EVENT.VALUE: 1", "HOST.HOST: web1", "TRIGGER.ID: 7"]
    if cancelled:
        lines = ["NOTE: Escalation cancelled: off", *lines]
    outcome(Capture("zabbix", {}, [sendto, subject, "\n".join(lines)], "", 0.0))


@FUZZ
@given(json_objects, st.lists(st.one_of(flags, texts)))
def test_any_json(stdin: str, argv: List[str]) -> None:
    outcome(Capture("librenms", {}, argv, stdin, 0.0))
    outcome(Capture("event", {}, ["--json", "-"], stdin, 0.0))
    outcome(Capture("event", {}, ["--json", "-", *argv], stdin, 0.0))


@FUZZ
@given(st.dictionaries(json_names, json_values))
def test_any_librenms_alert(data: Dict[str, Any]) -> None:
    whole = {"hostname": "web1", "state": 1, **data}
    outcome(Capture("librenms", {}, [], json.dumps(whole), 0.0))


@FUZZ
@given(st.lists(st.one_of(flags, texts)))
def test_any_event_flags(argv: List[str]) -> None:
    outcome(Capture("event", {}, argv, "", 0.0))
    outcome(Capture("event", {}, ["--host=web1", "--state=DOWN", *argv], "", 0.0))


markup = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(
                    "<",
                    ">",
                    "<b>",
                    "</b>",
                    "<br",
                    "<p ",
                    "<!--",
                    "-->",
                    "<script>",
                    "</script",
                    "<td>",
                ),
                *(
                    "<a href=",
                    "</a>",
                    "<li>",
                    "</tr>",
                    "<tr>",
                    '"',
                    "'",
                    "&",
                    "&#1",
                    "&lt;",
                    "\n",
                    " ",
                ),
            ]
        ),
        anything,
    )
).map("".join)


@FUZZ
@given(markup)
def test_html_never_fails(text: str) -> None:
    html_to_text(text)


@FUZZ
@given(st.text(st.characters(exclude_characters="<&", exclude_categories=["Cc", "Cs", "Cf", "Z"])))
def test_plain_text_is_left_alone(text: str) -> None:
    assert html_to_text(text) == text
