"""Subjects, bodies and notes: what a technician reads, in English and French, and what becomes of
templates of one's own that are wrong."""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import timezone
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

import jinja2
import pytest

import brtel_notify
from brtel_notify.alert import KINDS, TEST, Alert, Vars
from brtel_notify.intake.capture import Capture
from brtel_notify.local import shipped_files
from brtel_notify.sandbox.html import clean_body, clean_subject
from brtel_notify.sources import registry
from brtel_notify.text import bounded_jinja, expressions
from brtel_notify.text.context import context_of, with_ticket
from brtel_notify.text.limits import BODY_BYTES
from brtel_notify.text.plaintext import as_text
from brtel_notify.text.templates import TEMPLATES, Renderer, Text

CAPTURES = Path(brtel_notify.__file__).parent / "sandbox" / "captures"
NAMES = sorted(path.stem for path in CAPTURES.glob("*.json"))
NOTICED_AT = 1795300000.0
REFERENCE = "BN-0123456789ab"
CUSTOMER = {"id": 42, "name": "Acme <Telecom>", "account": "CL2385", "how": "pbx"}
LANGUAGES = ("en", "fr")


@pytest.fixture(autouse=True)
def server_in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Zabbix and LibreNMS write times in the server's zone: here UTC, whoever runs the tests."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def captured(name: str) -> Alert:
    data = json.loads((CAPTURES / f"{name}.json").read_text(encoding="utf-8"))
    stdin = json.dumps(data["stdin"]) if "stdin" in data else ""
    capture = Capture(data["source"], data.get("env", {}), data.get("argv", []), stdin, NOTICED_AT)
    return registry.parse(capture)


def alert(kind: str = "problem", **fields: Any) -> Alert:
    usual: Dict[str, Any] = {
        "source": "nagios",
        "host": "web1",
        "time": NOTICED_AT,
        "severity": "critical",
        "state": "DOWN",
    }
    return Alert(kind=kind, **{**usual, **fields})


def context(of: Alert, **more: Any) -> Dict[str, Any]:
    """As steps.py has it made."""
    given: Dict[str, Any] = context_of(of, NOTICED_AT, timezone.utc, CUSTOMER)
    return {**with_ticket(given, reference=REFERENCE), **more}


def shown(name: str, of: Alert, language: str = "en", **more: Any) -> str:
    """The template NAME as a person reads it, with plain blanks for those that do not break."""
    text = Renderer(language).html(name, context(of, **more), REFERENCE)
    assert text.problems == []
    return as_text(text.text).replace("\xa0", " ")


def subject(of: Alert, language: str = "en") -> str:
    return Renderer(language).subject(context(of)).text


# --- every template, every event ------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_template_suits_every_capture(name: str, language: str) -> None:
    of = captured(name)
    renderer = Renderer(language)
    for template in TEMPLATES[1:]:
        for more in ({}, {"change": "warning → critical", "others": 1}, {"joined": True}):
            text = renderer.html(template, context(of, **more), REFERENCE)
            assert text.problems == []
            assert clean_body(text.text) == text.text
            assert text.text.endswith(f": {REFERENCE}</p>")
            assert "<b>" not in text.text  # the plugin's own, which is to be read, not obeyed
            assert of.host in text.text
            assert not any(ugly in text.text for ugly in (" ,", "( ", " )", "None", "Undefined"))
            assert not any(ugly in as_text(text.text) for ugly in ("  (", ":  ", " :\n", "\n\n\n"))
            if language == "fr":
                assert "\xa0:" in text.text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_subject_is_one_plain_line(name: str, language: str) -> None:
    of = captured(name)
    line = subject(of, language)
    assert of.host in line
    assert of.service in line
    assert line.isprintable()
    assert len(line) <= 255
    assert clean_subject(line) == line


def test_every_kind_has_its_template() -> None:
    assert set(TEMPLATES) == {"subject", "body", "details", *KINDS} - {TEST}
    folder = Path(shipped_files.folder("templates"))
    for language in LANGUAGES:
        assert {path.stem for path in (folder / language).iterdir()} == set(TEMPLATES)


# --- as a technician reads them -------------------------------------------------------------------

SERVICE = """\
CRITICAL: acme.3cx.fr (203.0.113.10), SIP trunk

CRITICAL: trunk "down" $(id) <b>é</b> it's
  - Since: 2026-11-21 18:31:32 UTC
  - Severity: critical
  - Reported by: Nagios

Opened automatically by the monitoring system. What becomes of the alert is added here.

Reference: BN-0123456789ab"""

SERVICE_FR = """\
CRITICAL : acme.3cx.fr (203.0.113.10), SIP trunk

CRITICAL: trunk "down" $(id) <b>é</b> it's
  - Depuis : 2026-11-21 18:31:32 UTC
  - Gravité : critique
  - Signalé par : Nagios

Ouvert automatiquement par la supervision. La suite de l'alerte sera ajoutée ici.

Référence : BN-0123456789ab"""

DETAILS = """\
Alert details
  - Host: acme.3cx.fr (203.0.113.10)
  - Service: SIP trunk
  - State: CRITICAL
  - Since: 2026-11-21 18:31:32 UTC
  - Reported: 2026-11-21 18:31:32 UTC by Nagios
  - Perfdata: line|rta=5ms;10;20
  - Customer: found by the PBX host

CRITICAL: trunk "down" $(id) <b>é</b> it's

second line of output
third

Reference: BN-0123456789ab"""

DETAILS_FR = """\
Détails de l'alerte
  - Hôte : acme.3cx.fr (203.0.113.10)
  - Service : SIP trunk
  - État : CRITICAL
  - Depuis : 2026-11-21 18:31:32 UTC
  - Signalé : 2026-11-21 18:31:32 UTC par Nagios
  - Données de performance : line|rta=5ms;10;20
  - Client : trouvé par l'hôte PBX

CRITICAL: trunk "down" $(id) <b>é</b> it's

second line of output
third

Référence : BN-0123456789ab"""


@pytest.mark.parametrize(
    ("template", "language", "text"),
    [
        *(("body", "en", SERVICE), ("body", "fr", SERVICE_FR)),
        *(("details", "en", DETAILS), ("details", "fr", DETAILS_FR)),
    ],
)
def test_the_whole_of_it(template: str, language: str, text: str) -> None:
    assert shown(template, captured("nagios4-service-problem"), language) == text


@pytest.mark.parametrize(
    ("name", "english", "french"),
    [
        (
            "nagios4-service-problem",
            "CRITICAL: acme.3cx.fr - SIP trunk",
            "CRITICAL : acme.3cx.fr - SIP trunk",
        ),
        ("icinga2-host-problem", "DOWN: acme.3cx.fr", "DOWN : acme.3cx.fr"),
        (
            "librenms-problem",
            "Critical: acme.3cx.fr - Device down",
            "Critique : acme.3cx.fr - Device down",
        ),
        (
            "zabbix6-problem",
            'High: acme.3cx.fr - SIP trunk down on acme.3cx.fr "q" it\'s',
            'High : acme.3cx.fr - SIP trunk down on acme.3cx.fr "q" it\'s',
        ),
    ],
)
def test_subjects(name: str, english: str, french: str) -> None:
    assert (subject(captured(name)), subject(captured(name), "fr")) == (english, french)


def test_a_subject_without_state_or_service() -> None:
    assert subject(alert(state="")) == "Critical: web1"
    assert subject(alert(state=""), "fr") == "Critique : web1"
    assert subject(alert(title="Disk full")) == "DOWN: web1 - Disk full"


#: The first line of each note: the alert, what deliver.py adds to its context, English, French.
HEADLINES: Dict[str, Tuple[Alert, Dict[str, Any], str, str]] = {
    "still": (alert(), {}, "Still DOWN: web1", "Toujours DOWN : web1"),
    "still, in our words": (
        alert(state="", service="disk"),
        {},
        "Still critical: web1, disk",
        "Toujours critique : web1, disk",
    ),
    "joined": (alert(), {"joined": True}, "DOWN: web1", "DOWN : web1"),
    "joined, in our words": (
        alert(state=""),
        {"joined": True},
        "Critical: web1",
        "Critique : web1",
    ),
    "back": (
        alert(service="disk"),
        {"reopened": True},
        "The problem is back (DOWN): web1, disk",
        "Le problème est de retour (DOWN) : web1, disk",
    ),
    "changed severity": (
        alert(),
        {"change": "warning → critical"},
        "warning → critical: web1",
        "avertissement → critique : web1",
    ),
    "worse": (alert(action="worse"), {}, "Got worse: web1", "Aggravation : web1"),
    "better": (alert(action="better"), {}, "Got better: web1", "Amélioration : web1"),
    "changed": (alert(action="changed"), {}, "Changed: web1", "Changement : web1"),
    "recovery": (
        alert("recovery", state="OK", service="disk"),
        {},
        "Recovered: web1, disk (OK)",
        "Rétabli : web1, disk (OK)",
    ),
    "recovery without state": (
        alert("recovery", state=""),
        {},
        "Recovered: web1",
        "Rétabli : web1",
    ),
    "switched off": (
        alert("recovery", action="cancelled", state="High"),
        {},
        "No longer monitored: web1",
        "N'est plus surveillé : web1",
    ),
    "acknowledgement": (
        alert("acknowledgement", author="jd", service="disk"),
        {},
        "Acknowledged by jd: web1, disk",
        "Acquitté par jd : web1, disk",
    ),
    "acknowledgement with a change": (
        alert("acknowledgement", author="jd"),
        {"change": "warning → critical"},
        "Acknowledged by jd (warning → critical): web1",
        "Acquitté par jd (avertissement → critique) : web1",
    ),
    "acknowledgement taken back": (
        alert("acknowledgement", action="removed"),
        {},
        "Acknowledgement removed: web1",
        "Acquittement retiré : web1",
    ),
    "comment": (
        alert("comment", author="jd"),
        {},
        "Comment by jd: web1",
        "Commentaire par jd : web1",
    ),
    "downtime": (
        alert("downtime", action="start", author="jd"),
        {},
        "Downtime started by jd: web1",
        "Début de maintenance (jd) : web1",
    ),
    "downtime's end": (
        alert("downtime", action="end"),
        {},
        "Downtime ended: web1",
        "Fin de maintenance : web1",
    ),
    "downtime cancelled": (
        alert("downtime", action="cancelled"),
        {},
        "Downtime cancelled: web1",
        "Maintenance annulée : web1",
    ),
    "flapping": (
        alert("flapping", action="start"),
        {},
        "Began flapping: web1",
        "État instable : web1",
    ),
    "flapping's end": (
        alert("flapping", action="end"),
        {},
        "Stopped flapping: web1",
        "État de nouveau stable : web1",
    ),
    "flapping switched off": (
        alert("flapping", action="cancelled"),
        {},
        "Flap detection switched off: web1",
        "Détection d'instabilité désactivée : web1",
    ),
}


@pytest.mark.parametrize(("of", "more", "english", "french"), HEADLINES.values(), ids=HEADLINES)
def test_headlines(of: Alert, more: Dict[str, Any], english: str, french: str) -> None:
    assert shown(of.kind, of, **more).splitlines()[0] == english
    assert shown(of.kind, of, "fr", **more).splitlines()[0] == french


def test_what_people_said_is_there() -> None:
    of = alert("acknowledgement", author="jd", comment="on it,\ncalling <the> carrier")
    assert shown("acknowledgement", of).split("\n\n")[1] == "on it,\ncalling <the> carrier"
    assert "jd: on it" in shown("problem", alert(author="jd", comment="on it"))
    assert "Commentaire : on it" in shown("problem", alert(comment="on it"), "fr")
    assert "what the check says" in shown("comment", alert("comment", output="what the check says"))


def test_other_alerts_of_the_ticket() -> None:
    of = alert("recovery", state="UP")
    assert "With 1 other alert of this ticket still a problem" in shown("recovery", of, others=1)
    assert "With 2 other alerts of this ticket" in shown("recovery", of, others=2)
    assert ": 1 autre alerte toujours en cours." in shown("recovery", of, "fr", others=1)
    assert ": 2 autres alertes toujours en cours." in shown("recovery", of, "fr", others=2)
    assert "other" not in shown("recovery", of)


@pytest.mark.parametrize(
    ("how", "english", "french"),
    [
        ("hosts", "found in the table of hosts", "trouvé dans la table des hôtes"),
        ("account", "found by the account number", "trouvé par le numéro de compte"),
        ("search", "found by a search", "trouvé par une recherche"),
        ("fallback", "none matched, this is the", "aucun ne correspond, client par défaut"),
        ("magic", "magic", "magic"),
    ],
)
def test_how_the_customer_was_found(how: str, english: str, french: str) -> None:
    assert f"Customer: {english}" in shown("details", alert(), customer={"how": how})
    assert f"Client : {french}" in shown("details", alert(), "fr", customer={"how": how})


@pytest.mark.parametrize(
    ("source", "english", "french"),
    [("zabbix", "Trigger: x", "Déclencheur : x"), ("librenms", "Rule: x", "Règle : x")],
)
def test_what_each_source_calls_what_failed(source: str, english: str, french: str) -> None:
    of = alert(source=source, service="x")
    assert english in shown("details", of)
    assert french in shown("details", of, "fr")


@pytest.mark.parametrize(
    ("language", "words"), [("en", "Open in Zabbix"), ("fr", "Ouvrir dans Zabbix")]
)
def test_the_way_back_to_the_monitoring_system(language: str, words: str) -> None:
    of = alert(source="zabbix", url="https://z.example/tr_events.php?triggerid=1&eventid=2")
    link = f'<a href="https://z.example/tr_events.php?triggerid=1&amp;eventid=2">{words}</a>'
    renderer = Renderer(language)
    assert link in renderer.html("body", context(of), REFERENCE).text
    assert link in renderer.html("problem", context(of, joined=True), REFERENCE).text
    assert "<a" not in renderer.html("body", context(alert()), REFERENCE).text


def test_dates_are_in_the_zone() -> None:
    import zoneinfo

    renderer = Renderer("en", zone=zoneinfo.ZoneInfo("Europe/Paris"))
    text = renderer.html("body", context(alert(since=NOTICED_AT)), REFERENCE).text
    assert "<li>Since: 2026-11-21 23:26:40 CET</li>" in text


@pytest.mark.parametrize("since", [None, float("nan"), float("inf"), 1e300, -1e300])
def test_a_time_that_is_none_is_left_out(since: float) -> None:
    for language, word in (("en", "Since"), ("fr", "Depuis")):
        for template in ("body", "details"):
            assert word not in shown(template, alert(since=since), language)


def test_what_an_alert_says_is_escaped() -> None:
    evil = '</p><script>alert("x")</script><a href="https://evil.example">&amp;{{ 7*7 }}'
    of = alert(
        host=evil,
        service=evil,
        state=evil,
        output=evil,
        long_output=evil,
        comment=evil,
        author=evil,
        title=evil,
        address=evil,
        vars=Vars(SERVICEPERFDATA=evil, sysDescr=evil, location=evil),
    )
    for template in TEMPLATES[1:]:
        text = Renderer().html(template, context(of), REFERENCE).text
        assert "&lt;/p&gt;&lt;script&gt;" in text
        assert "&amp;amp;{ { 7*7 }}" in text  # nor a template of BlueRockTEL's
        assert "<script" not in text
        assert "<a " not in text
    assert "‹script›alert" in subject(of)


def test_what_is_too_long_is_cut_and_says_so() -> None:
    of = alert(output="é" * 100_000, long_output="<" * 100_000, service="s" * 60_000)
    for language, words in (("en", "too long and has been cut"), ("fr", "trop long et a été")):
        for template in ("body", "details", "problem"):
            text = Renderer(language).html(template, context(of), REFERENCE).text
            assert len(text.encode("utf-8")) <= BODY_BYTES
            assert words in text
            assert text.endswith(f": {REFERENCE}</p>")
            assert clean_body(text) == text
    assert subject(alert(service="s" * 300)).endswith("s…")
    assert len(subject(alert(service="s" * 300))) == 255
    assert "cut" not in shown("body", alert())


def test_an_alert_cannot_forge_a_reference() -> None:
    of = alert(
        output="BN-ffffffffffff", host="BN-\0eeeeeeeeeeee", long_output="BN-dddddddddddd " * 999
    )
    for template in TEMPLATES[1:]:
        text = Renderer().html(template, context(of), REFERENCE).text
        assert re.findall(r"\bBN-[0-9a-f]{12}\b", text) == [REFERENCE]
    assert not re.search(r"\bBN-[0-9a-f]{12}\b", subject(of))


def test_forged_references_do_not_break_the_limit(own: Path) -> None:
    put(own, body="{{ 'BN-ffffffffffff ' * 5000 }}")
    text = with_own(own).text
    assert len(text.encode("utf-8")) <= BODY_BYTES
    assert re.findall(r"\bBN-[0-9a-f]{12}\b", text) == [REFERENCE]


def test_rules_that_failed_are_said() -> None:
    english = Renderer().html("body", context(alert()), REFERENCE, failed_rules=1).text
    french = Renderer("fr").html("body", context(alert()), REFERENCE, failed_rules=2).text
    assert "A rule or name of this site's configuration failed" in as_text(english)
    assert "Une règle ou un nom de la configuration du site a échoué" in as_text(french)


# --- templates of one's own -----------------------------------------------------------------------


@pytest.fixture(name="own")
def own_folder(tmp_path: Path) -> Path:
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def put(folder: Path, **templates: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in templates.items():
        (folder / f"{name}.j2").write_text(text, encoding="utf-8")


def with_own(folder: Path, template: str = "body", language: str = "en") -> Text:
    of = alert(output="<b>out</b>", vars=Vars(SITE="Lyon & co"))
    return Renderer(language, str(folder)).html(template, context(of), REFERENCE)


def test_a_template_of_ones_own_stands_in_for_one(own: Path) -> None:
    put(own, body="<h2>{{ vars.SITE }}</h2>{{ output }}{{ vars.ABSENT }}{{ no.such.thing }}")
    assert with_own(own) == Text(
        "<strong>Lyon &amp; co</strong><br>&lt;b&gt;out&lt;/b&gt;<p>Reference: BN-0123456789ab</p>",
        [],
    )
    assert with_own(own, "details") == with_own(own.parent, "details")


def test_the_folder_of_the_language_comes_first(own: Path) -> None:
    put(own, body="any", comment="any comment")
    put(own / "fr", body="français")
    assert with_own(own).text.startswith("any<p>")
    assert with_own(own, language="fr").text.startswith("français<p>")
    assert with_own(own, "comment", "fr").text.startswith("any comment<p>")


def test_a_template_may_include_its_own_and_the_built_in_ones(own: Path) -> None:
    put(own, body='{% include "partial.j2" %}|{% include "subject.j2" %}', partial="<i>{{ host }}")
    put(own, subject="R&D: {{ output }} {% include 'partial.j2' %}")
    assert with_own(own).text.startswith("<i>web1|R&amp;D: &lt;b&gt;out&lt;/b&gt; <i>web1</i></i>")
    renderer = Renderer("en", str(own))
    assert renderer.subject(context(alert(output="a < b"))).text == "R&D: a ‹ b ‹i›web1"


def test_what_one_would_write_works(own: Path) -> None:
    put(
        own,
        body="{% for k, v in vars.items() %}{{ k }}={{ v|upper }}{% else %}none{% endfor %}"
        "{{ '%.1f %5d'|format(3.14159, 42) }} {{ '{:>4}'.format(host) }} {{ since|date }}|"
        "{{ ['a', 'b']|join(', ') }} {{ output|replace('out', 'in')|indent(2) }} {{ 2 ** 10 }} "
        "{{ 'ab' * 2 }} {{ 1795285904|default(10**9) }} {{ host[:2] ~ 1 }} {{ time|date }} "
        "{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}{{ twice(3) }} {{ 90|span }}",
    )
    text = with_own(own)
    assert text.problems == []
    assert text.text.startswith(
        "SITE=LYON &amp; CO3.1    42 web1 |a, b &lt;b&gt;in&lt;/b&gt; 1024 abab 1795285904 we1 "
        "2026-11-21 22:26:40 UTC 33 1m<p>"
    )


def test_nothing_but_the_nine_tags_gets_out(own: Path) -> None:
    put(own, body="<table><tr><td>{{ output|safe }}</table><script>x</script><!-- y --><img src=x>")
    text = with_own(own).text
    assert text == "<strong>out</strong><br><img><p>Reference: BN-0123456789ab</p>"
    assert clean_body(text) == text


#: A template that is wrong, and how its problem begins.
BROKEN: Dict[str, Tuple[str, str]] = {
    "syntax": ("a\n{% if %}", "line 2: Expected an expression, got 'end of statement block'"),
    "never ended": ("{% for x in y %}", "line 1: Unexpected end of template."),
    "unknown filter": ("{{ host|shout }}", "line 1: No filter named 'shout'."),
    "division": ("\n\n{{ 1 / 0 }}", "line 3: ZeroDivisionError: division by zero"),
    "wrong type": ("{{ host + 1 }}", "line 1: TypeError: can only concatenate str"),
    "undefined in a sum": ("{{ no.such + 1 }}", "line 1: 'no' is undefined"),
    "undefined called": ("{{ no.such() }}", "line 1: 'no' is undefined"),
    "missing include": ("{% include 'no.j2' %}", "line 1: there is no template 'no.j2'"),
    "outside": ("{% include '../../x' %}", "line 1: there is no template '../../x'"),
    "includes itself": ("x{% include 'body.j2' %}", "line 1: it nests too deeply"),
    "extends itself": ("{% extends 'body.j2' %}", "line 1: it nests too deeply"),
    "macro in itself": (
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "line 1: it nests too deeply",
    ),
    "deep": ("{{ " + "(" * 3000 + ")" * 3000 + " }}", "it nests too deeply"),
    "class": ("{{ ''.__class__ }}", "line 1: '__class__' of a str is not allowed here"),
    "class by item": ("{{ ''['__class__'] }}", "line 1: '__class__' of a str is not allowed"),
    "class by filter": ("{{ ''|attr('__class__') }}", "line 1: '__class__' of a str is not"),
    "class by format": ("{{ '{0.__class__}'.format(1) }}", "line 1: '__class__' of a int is"),
    "globals": ("{{ alert.__init__.__globals__ }}", "line 1: '__init__' of a Alert is not"),
    "changes the alert": ("{{ vars.clear() }}", "line 1: 'clear' of a Vars is not allowed here"),
    "a large range": ("{% for i in range(10**9) %}{% endfor %}", "line 1: OverflowError: Range to"),
    "loops in loops": (
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "line 1: it does too much",
    ),
    "macros that double": (
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(50) }}",
        "line 1: it does too much",
    ),
    "a recursive loop": (
        "{% for x in range(9) recursive %}{% if loop.depth < 40 %}{{ loop(range(9)) }}{% endif %}"
        "{% endfor %}",
        "line 1: it does too much",
    ),
    "filters over and over": (
        "{% for i in range(99999) %}{% set x = range(99999)|sum %}{% endfor %}",
        "line 1: it does too much",
    ),
    "ten megabytes": (
        "{% for i in range(99999) %}" + "x" * 100 + "{% endfor %}",
        "it gives more than 500000 characters",
    ),
    "a block of ten megabytes": (
        "{% set x %}{% for i in range(99999) %}" + "x" * 100 + "{% endfor %}{% endset %}",
        "line 1: it gives more than 500000 characters",
    ),
    "a block of long values": (
        "{% set b = 'x' * 400000 %}{% set c %}{% for i in range(99999) %}{{ b }}{% endfor %}"
        "{% endset %}",
        "line 1: it ",
    ),
    "text times a billion": ("{{ 'x' * 10**9 }}", "line 1: '*' makes too long a text or list"),
    "a billion times text": ("{{ 10**9 * 'x' }}", "line 1: '*' makes too long a text or list"),
    "a list times a billion": ("{{ [1] * 10**9 }}", "line 1: '*' makes too long a text or list"),
    "a huge power": ("{{ 10 ** (10 ** 8) }}", "line 1: '**' makes too large a number"),
    "center": ("{{ host|center(10**9) }}", "line 1: 'center' would give more than 500000 char"),
    "indent": ("{{ host|indent(10**9) }}", "line 1: 'indent' would give more than"),
    "slice": ("{{ [1]|slice(10**9)|list }}", "line 1: 'slice' would give more than"),
    "ljust": ("{{ host.ljust(10**9) }}", "line 1: 'ljust' would give more than"),
    "replace": (
        "{% set a = 'x' * 99999 %}{{ a|replace('x', a) }}",
        "line 1: 'replace' would give more than",
    ),
    "join": (
        "{% set a = 'x' * 99999 %}{{ a.join(a) }}",
        "line 1: 'join' would give more than",
    ),
    "printf": ("{{ '%999999999d' % 1 }}", "line 1: 'format' has too wide a field"),
    "printf with a star": ("{{ '%*d'|format(10**9, 1) }}", "line 1: 'format' has too wide a fie"),
    "format": ("{{ '{:>999999999}'.format(1) }}", "line 1: 'format' has too wide a field"),
    "format in format": ("{{ '{:{}}'.format(1, 10**9) }}", "line 1: 'format' has too wide a f"),
    "doubled with ~": (
        "{% set n = namespace(x='xx') %}{% for i in range(50) %}{% set n.x = n.x ~ n.x %}"
        "{% endfor %}",
        "line 1: a text or list has more than 500000 characters",
    ),
    "doubled with +": (
        "{% set n = namespace(x=[1]) %}{% for i in range(50) %}{% set n.x = n.x + n.x %}"
        "{% endfor %}",
        "line 1: a text or list has more than 500000 characters",
    ),
}


@pytest.mark.parametrize(("text", "problem"), BROKEN.values(), ids=BROKEN)
def test_a_broken_template_gives_way_to_the_built_in_one(
    own: Path, text: str, problem: str
) -> None:
    put(own, body=text)
    english, french = with_own(own), with_own(own, language="fr")

    (said,) = english.problems
    assert said.startswith(f"template body.j2: {problem}")
    assert said.endswith("; the built-in one is used")
    assert said.isprintable()
    assert len(said) < 300
    assert "Opened automatically" in english.text
    assert "This site's own template “body.j2” failed; the built-in one was used." in english.text
    assert "Ouvert automatiquement" in french.text
    assert "Le modèle «\xa0body.j2\xa0» du site a échoué\xa0; le modèle intégré" in french.text
    for sent in (english.text, french.text):
        assert clean_body(sent) == sent
        assert sent.endswith(f": {REFERENCE}</p>")


def test_a_template_that_includes_a_broken_one_names_that(own: Path) -> None:
    put(own, body="{% include 'partial.j2' %}", partial="\n{{ 1/0 }}")
    assert with_own(own).problems[0].startswith("template body.j2: partial.j2 line 2: ZeroDiv")
    put(own, partial="\n\n{% if %}")
    assert with_own(own).problems[0].startswith("template body.j2: partial.j2 line 3: Expected")


def test_a_template_that_cannot_be_read(own: Path) -> None:
    (own / "body.j2").write_bytes(b"caf\xe9 {{ host }}")
    text = with_own(own)
    assert "UnicodeDecodeError" in text.problems[0]
    assert "Opened automatically" in text.text


def test_a_folder_that_is_not_there(own: Path) -> None:
    text = with_own(own / "typo")
    assert text.problems == [
        f"template body.j2: there is no folder {own}/typo; the built-in one is used"
    ]
    assert "Opened automatically" in text.text


def test_a_broken_subject_is_said_in_the_body(own: Path) -> None:
    put(own, subject="{{ 1/0 }}")
    line = Renderer("en", str(own)).subject(context(alert()))
    assert line.text == "DOWN: web1"
    assert line.problems[0].startswith("template subject.j2: line 1: ZeroDivisionError")
    body = with_own(own)
    assert body.problems == []  # the log has it from the subject
    assert "own template “subject.j2” failed" in body.text
    assert "subject.j2" not in with_own(own, "details").text


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("a\n b\t\tc\u2028d\x1b[0m", "a b c d [0m"),
        ("<b>{{ host }}</b> & 'q'", "‹b›web1‹/b› & 'q'"),
        (" \n ", REFERENCE),
        ("{{ nothing }}", REFERENCE),
        ("\u202eabc\u200f", "abc"),
        ("é" * 300, "é" * 254 + "…"),
    ],
)
def test_any_subject_becomes_one_plain_line(own: Path, template: str, line: str) -> None:
    put(own, subject=template)
    assert Renderer("en", str(own)).subject(context(alert())) == Text(line, [])


def test_templates_are_checked_without_being_used(own: Path) -> None:
    put(own, body="{% if %}", subject="{{ host|shout }}", comment="fine", other="{% if %}")
    assert dict(Renderer("en", str(own)).check_templates()) == {
        "body.j2": "line 1: Expected an expression, got 'end of statement block'",
        "subject.j2": "line 1: No filter named 'shout'.",
    }
    assert list(Renderer("fr").check_templates()) == []


def test_threads_do_not_use_up_each_others_allowance(own: Path) -> None:
    put(own, body="{% for i in range(60000) %}{% if i %}{% endif %}{% endfor %}{{ host }}")
    renderer = Renderer("en", str(own))
    texts: List[Text] = []

    def work() -> None:
        texts.extend(renderer.html("body", context(alert()), REFERENCE) for _ in range(4))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == [Text("web1<p>Reference: BN-0123456789ab</p>", [])] * 16


# --- rules and lookups ----------------------------------------------------------------------------


def test_values_of_lookups() -> None:
    given = context(alert(vars=Vars(CUSTOMER_ACCOUNT=" CL7 \n", NOTES="<b> {{ 7*7 }}")))
    assert expressions.value("{{ vars.CUSTOMER_ACCOUNT }}", given) == "CL7"
    assert expressions.value("{{ vars.ABSENT }}{{ host }}", given) == "web1"
    assert expressions.value("{{ vars.NOTES }}", given) == "<b> {{ 7*7 }}"
    assert len(expressions.value("{{ 'x' * 5000 }}", given)) == 1000


@pytest.mark.parametrize(
    "source",
    ["{{ host", "{{ 1/0 }}", "{{ ''.__class__ }}", "{% for i in range(10**9) %}{% endfor %}"],
)
def test_values_that_fail(source: str) -> None:
    with pytest.raises(Exception, match=r".") as raised:
        expressions.value(source, context(alert()))
    assert bounded_jinja.describe(raised.value).isprintable()


def test_a_condition_is_bounded_too() -> None:
    forever = "range(99999)|map('string')|map('length')|sum > 0 and " * 20 + "true"
    with pytest.raises(bounded_jinja.TooMuch):
        expressions.holds(forever, context(alert()))
    assert expressions.holds("host == 'web1'", context(alert()))


@pytest.mark.parametrize("service", ["", "SIP"])
@pytest.mark.parametrize("name", ["service", "vars.QUIET", "vars.ABSENT", " service\n"])
def test_a_condition_that_is_a_name_holds_as_it_would_in_jinja(name: str, service: str) -> None:
    given = context(alert(service=service, vars=Vars(QUIET="yes")))
    assert expressions.holds(name, given) is expressions.holds(f"({name})", given)


@pytest.mark.parametrize("check", [expressions.names_in_condition, expressions.names_in_value])
def test_expressions_are_checked_without_being_used(check: Callable[[str], Set[str]]) -> None:
    assert check("1 / 0") == set()
    with pytest.raises(jinja2.TemplateError):
        check("{{ host ")
