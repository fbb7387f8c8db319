"""What a ticket is opened with: ``ticket`` under ``severities`` under ``rules``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from brtel_notify.alert import Alert, Vars
from brtel_notify.config.schema import Config, load
from brtel_notify.text.context import context_of
from brtel_notify.text.expressions import holds
from brtel_notify.tickets.settings import Settings, settings_for

BASE = """\
api: {url: https://a.example/api, token: x}
ticket:
  priority: High
  category: Infrastructure
  sub_category: PBX / 3CX
"""


@pytest.fixture(name="settle")
def settler(tmp_path: Path) -> Callable[..., Settings]:
    """Settings under a configuration's end, for an alert of the given fields."""

    def settle(text: str, **fields: Any) -> Settings:
        file = tmp_path / "config.yml"
        file.write_text(BASE + text, encoding="utf-8")
        config: Config = load(str(file), {})
        given = {"severity": "critical", "state": "DOWN", **fields}
        alert = Alert(source="nagios", kind="problem", host="web1", time=0.0, **given)
        context = context_of(alert, 0.0, config.timezone)
        found = settings_for(alert, config, lambda when: holds(when, context))
        found.problems = [problem.replace(str(file), "config.yml") for problem in found.problems]
        return found

    return settle


def test_without_more_it_is_what_ticket_says(settle: Callable[..., Settings]) -> None:
    found = settle("")
    assert found.values == {
        "priority": "High",
        "category": "Infrastructure",
        "sub_category": "PBX / 3CX",
        "team": None,
        "status": None,
        "assignee": None,
        "open_after": 0.0,
        "tags": ["monitoring", "auto"],
        "resolve_within": 14400.0,
    }
    assert found.keys["priority"] == "ticket.priority"
    assert (found.ignored_by, found.problems) == ("", [])


def test_the_later_goes_over_the_earlier(settle: Callable[..., Settings]) -> None:
    found = settle("""\
  team: base
  status: base
  tags: [base]
  resolve_within: 1h
severities:
  DOWN: {team: state, status: state, tags: [state]}
  critical: {team: severity, status: severity, tags: [severity], resolve_within: 2h}
  warning: {category: other severity}
rules:
  - {when: "host == 'web1'", set: {team: first rule, status: first rule}}
  - {when: "host == 'web2'", set: {category: other rule}}
  - {when: "severity == 'critical'", set: {team: last rule}}
""")
    assert found.values["resolve_within"] == 7200.0
    assert found.values["tags"] == ["state"]
    assert found.values["status"] == "first rule"
    assert found.values["team"] == "last rule"
    assert found.values["category"] == "Infrastructure"
    assert found.keys == {
        "priority": "ticket.priority",
        "category": "ticket.category",
        "sub_category": "ticket.sub_category",
        "assignee": "ticket.assignee",
        "open_after": "ticket.open_after",
        "resolve_within": "severities.critical.resolve_within",
        "tags": "severities.down.tags",
        "status": "rules[0].set.status",
        "team": "rules[2].set.team",
    }


def test_null_takes_a_setting_away(settle: Callable[..., Settings]) -> None:
    found = settle("  team: X\nrules: [{when: 'true', set: {team: null, resolve_within: null}}]\n")
    assert (found.values["team"], found.values["resolve_within"]) == (None, None)


@pytest.mark.parametrize(
    ("state", "severity", "team"),
    [
        *(("Disaster", "critical", "A"), ("DISASTER", "critical", "A"), ("", "warning", "B")),
        *(("odd", "unknown", None), ("CRITICAL", "critical", "C"), ("warning", "critical", "B")),
    ],
)
def test_a_state_or_a_severity(
    settle: Callable[..., Settings], state: str, severity: str, team: str
) -> None:
    text = "severities: {disaster: {team: A}, Warning: {team: B}, CRITICAL: {team: C}}\n"
    assert settle(text, state=state, severity=severity).values["team"] == team


def test_every_field_of_the_alert_is_there_for_a_rule(settle: Callable[..., Settings]) -> None:
    rule = (
        "rules:\n  - when: source ~ kind ~ severity ~ state ~ host ~ alert.host ~ vars.ABSENT\n"
        "          == 'nagiosproblemcriticalDOWNweb1web1' and not service and now.year == 1970\n"
        "    set: {team: X}\n"
    )
    found = settle(rule)
    assert (found.problems, found.values["team"]) == ([], "X")


def test_a_rule_that_ignores(settle: Callable[..., Settings]) -> None:
    text = (
        "rules:\n  - {when: \"severity == 'info'\", ignore: true}\n"
        "  - {when: 'true', set: {team: X}}\n"
    )
    assert settle(text, severity="info").ignored_by == "rules[0]"
    assert settle(text, severity="warning").ignored_by == ""


def test_a_later_rule_takes_it_back(settle: Callable[..., Settings]) -> None:
    text = (
        "rules:\n  - {when: 'true', ignore: true}\n"
        "  - {when: \"host == 'web1'\", ignore: false}\n  - {when: 'true', set: {team: X}}\n"
    )
    assert settle(text).ignored_by == ""


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("host ==", "unexpected 'end of template'"),
        ("{{ host }}", "a condition stands without {{ }}"),
        ("nothing > 3", "'nothing' is undefined"),
        ("host > 3", "TypeError: '>' not supported between instances of"),
        ("1/0", "ZeroDivisionError: division by zero"),
        ("missing.one.two + 1", "'missing' is undefined"),
        ("host.__class__", "'__class__' of a str is not allowed here"),
        ("vars.pop('x')", "'pop' of a Vars is not allowed here"),
        ("'x' * 10**9", "'*' makes too long a text or list"),
        ("(" * 2000 + "1" + ")" * 2000, "it nests too deeply"),
        ("host|nofilter", "No filter named 'nofilter'."),
    ],
)
def test_a_rule_that_fails_is_left_out_and_named(
    settle: Callable[..., Settings], when: str, reason: str
) -> None:
    text = f"""\
rules:
  - {{when: 'true', set: {{team: before}}}}
  - set: {{team: broken, status: broken}}
    ignore: true
    when: >-
      {when}
  - {{when: 'true', set: {{tags: [after]}}}}
"""
    found = settle(text)
    assert (found.values["team"], found.values["status"]) == ("before", None)
    assert (found.values["tags"], found.ignored_by) == (["after"], "")
    (problem,) = found.problems
    assert problem.startswith(f"config.yml:10: rules[1].when: {reason}")
    assert problem.endswith("; left out")
    assert problem.isprintable()
    assert len(problem) < 300


def test_what_an_alert_says_is_no_expression(settle: Callable[..., Settings]) -> None:
    text = "rules: [{when: output, set: {team: X}}]\n"
    assert settle(text, output="{{ 1/0 }}").values["team"] == "X"
    assert settle(text, output="").values["team"] is None


# --- what the monitoring says in variables --------------------------------------------------------


def test_variables_stand_between_severities_and_rules(settle: Callable[..., Settings]) -> None:
    text = "severities: {critical: {priority: Low, tags: [a, b]}}\n"
    variables = Vars(TICKET_PRIORITY="Urgent", TICKET_TAGS="vip, b,, c")
    found = settle(text, vars=variables)
    assert found.values["priority"] == "Urgent"
    assert found.values["tags"] == ["a", "b", "vip", "c"]
    assert found.keys["priority"] == "vars.TICKET_PRIORITY"
    assert found.keys["tags"] == "vars.TICKET_TAGS"
    assert found.problems == []

    text += "rules: [{when: vars.TICKET_PRIORITY == 'Urgent', set: {priority: X, tags: []}}]\n"
    found = settle(text, vars=variables)
    assert (found.values["priority"], found.values["tags"]) == ("X", [])
    assert found.keys["priority"] == "rules[0].set.priority"


def test_the_configuration_keeps_its_own_tags(settle: Callable[..., Settings]) -> None:
    first = settle("  tags: [own]\n", vars=Vars(TICKET_TAGS="added"))
    assert first.values["tags"] == ["own", "added"]
    assert settle("  tags: [own]\n").values["tags"] == ["own"]
    assert settle("  tags: []\n", vars=Vars(TICKET_TAGS="a,a")).values["tags"] == ["a"]


@pytest.mark.parametrize("nothing", ["", " ", ",", " , ,", "\n", "\u202e"])
def test_variables_that_say_nothing_set_nothing(
    settle: Callable[..., Settings], nothing: str
) -> None:
    found = settle("", vars=Vars(TICKET_PRIORITY=nothing.replace(",", ""), TICKET_TAGS=nothing))
    assert found.values == settle("").values
    assert found.keys == settle("").keys


@pytest.mark.parametrize(
    ("said", "priority"),
    [
        *(("3", 3), (" 3 ", 3), ("03", 3), ("Very  high", "Very high")),
        *(("0", "0"), ("-3", "-3"), ("3.0", "3.0"), ("٣", "٣"), ("9" * 19, "9" * 19)),
        *(("High\nLow", "High Low"), ("<b>High</b>", "‹b›High‹/b›"), ("x" * 500, "x" * 100)),
    ],
)
def test_a_priority_is_a_name_or_an_id(
    settle: Callable[..., Settings], said: str, priority: Any
) -> None:
    assert settle("", vars=Vars(TICKET_PRIORITY=said)).values["priority"] == priority


def test_there_is_an_end_to_what_an_alert_may_add(settle: Callable[..., Settings]) -> None:
    said = ",".join(["x" * 3000, *(f"t{number}" for number in range(1000))])
    tags = settle("", vars=Vars(TICKET_TAGS=said)).values["tags"]
    assert tags == ["monitoring", "auto", "x" * 100, *(f"t{number}" for number in range(19))]


def test_a_message_says_that_it_was_the_alert(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(BASE, encoding="utf-8")
    assert load(str(file), {}).where("vars.TICKET_PRIORITY") == "alert"
