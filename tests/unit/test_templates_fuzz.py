"""Whatever an alert says, every text stays whole: nothing raised, nothing executed, nine tags,
room for it in the database, and the reference in sight."""

from __future__ import annotations

import html
import re
from datetime import timezone
from typing import Any, Dict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from brtel_notify.alert import KINDS, SEVERITIES, Alert, Vars
from brtel_notify.sandbox.html import clean_body, clean_subject, strip_tags
from brtel_notify.text import expressions
from brtel_notify.text.context import context_of
from brtel_notify.text.limits import BODY_BYTES
from brtel_notify.text.markup import untemplated
from brtel_notify.text.templates import TEMPLATES, Renderer

REFERENCE = "BN-0123456789ab"
RENDERERS = {language: Renderer(language) for language in ("en", "fr")}

_EVIL = st.sampled_from(
    [
        *(
            "{{ 7*7 }}",
            "{% raw %}",
            "{% endraw %}",
            "{#",
            "{{ ''.__class__ }}",
            "{% include 'x' %}",
        ),
        *("</p><script>alert(1)</script>", "<!--", "-->", "<", "]]>", "<?php", "&lt;", "&#60;"),
        *(
            "\0",
            "\ud800",
            "\udcff",
            "\u202e",
            "\u2066",
            "\u200f",
            "\r\n",
            "\n\n",
            "\x1b[2J",
            "\x85",
        ),
        *(
            "javascript:alert(1)",
            '" onload="x',
            "'",
            "%s",
            "BN-ffffffffffff",
            "`id`",
            "é",
            "日本",
            "😀",
        ),
    ]
)
TEXT = st.lists(_EVIL | st.text(max_size=12), max_size=6).map("".join)
SECONDS = st.none() | st.floats() | st.floats(0, 2e9)

_TEXTS = ("state", "action", "address", "service", "check", "title", "output", "long_output")
ALERTS = st.builds(
    Alert,
    source=st.sampled_from(["nagios", "icinga", "zabbix", "librenms", "event", "other"]),
    kind=st.sampled_from(KINDS),
    host=TEXT,
    time=st.floats(),
    severity=st.sampled_from(SEVERITIES),
    since=SECONDS,
    author=TEXT,
    comment=TEXT,
    url=TEXT,
    vars=st.dictionaries(
        st.sampled_from(["SERVICEPERFDATA", "HOSTPERFDATA", "sysDescr", "location"]), TEXT
    ).map(Vars),
    **dict.fromkeys(_TEXTS, TEXT),
)
MORE = st.fixed_dictionaries(
    {
        "change": st.sampled_from(["", "warning → critical"]) | TEXT,
        "decision": TEXT,
        "others": st.integers(0, 3),
        "joined": st.booleans(),
        "reopened": st.booleans(),
        "customer": st.dictionaries(st.sampled_from(["id", "name", "account", "how"]), TEXT),
    }
)


@pytest.mark.parametrize("language", RENDERERS)
@given(alert=ALERTS, more=MORE, failed=st.integers(0, 1))
@example(
    alert=Alert(
        "nagios", "problem", "{{ 7*7 }}", 0.0, output="{% raw %}</p><script>\0\ud800\u202e"
    ),
    more={"change": "", "others": 0, "joined": True, "reopened": False, "customer": {}},
    failed=0,
)
def test_any_alert_through_every_template(
    language: str, alert: Alert, more: Dict[str, Any], failed: int
) -> None:
    context = context_of(alert, 0.0, timezone.utc)
    context.update(reference=REFERENCE, **more)
    renderer = RENDERERS[language]

    for template in TEMPLATES[1:]:
        text = renderer.html(template, context, REFERENCE, failed)
        assert text.problems == []
        assert len(text.text.encode("utf-8")) <= BODY_BYTES
        assert clean_body(text.text) == text.text
        assert text.text.endswith(f": {REFERENCE}</p>")
        assert not re.search("[\0-\b\v\f\r\x0e-\x1f\x7f-\x9f]", text.text)
        assert re.findall(r"\bBN-[0-9a-f]{12}\b", text.text) == [REFERENCE]
        assert not re.search("<[^<>]*(script|javascript|onload)[^<>]*>", text.text)
        assert text.text.count("<p>") == text.text.count("</p>")

    subject = renderer.subject(context)
    assert subject.problems == []
    assert subject.text.isprintable()
    assert 0 < len(subject.text) <= 255
    assert clean_subject(subject.text) == subject.text


@given(st.text(max_size=200))
@example("{{ 7*7 }}{% raw %}{# x #}")
@example("</li></ul><p>Reference:</p>")
@example("one\r\ntwo\rthree")
def test_the_output_of_a_check_can_be_read_word_for_word(output: str) -> None:
    alert = Alert("nagios", "problem", "web1", 0.0, output=output)
    context = context_of(alert, 0.0, timezone.utc)
    context.update(reference=REFERENCE)
    text = RENDERERS["en"].html("body", context, REFERENCE).text
    visible = re.sub(
        "[\0-\b\v\f\x0e-\x1f\x7f-\x9f]", "", output.replace("\r\n", "\n").replace("\r", "\n")
    )
    words = html.unescape(strip_tags(text.replace("<br>", "\n")))
    # Only the forms of BlueRockTEL's own templates get a blank inside.
    assert untemplated(visible.encode("utf-8", "replace").decode()).strip("\n") in words


@given(st.text(max_size=300))
@example("{{ 7*7 }}")
@example("'x' * 10**9")
def test_any_text_as_a_rule_or_a_lookup_holds_or_raises(source: str) -> None:
    """A person's slip may raise whatever it likes, for it is left out and named; no more."""
    context = context_of(Alert("nagios", "problem", "web1", 0.0), 0.0, timezone.utc)
    for evaluate in (expressions.holds, expressions.value):
        try:
            result = evaluate(source, context)
        except Exception:  # noqa: BLE001 - what settings_for and services.owner expect
            continue
        assert isinstance(result, (bool, str))
