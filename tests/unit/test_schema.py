"""The configuration file: what DESIGN section 3 says loads as it says, and what is wrong is named
with its place."""

from __future__ import annotations

import contextlib
import os
from datetime import timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Tuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from brtel_notify.config import schema as configuration
from brtel_notify.config.schema import Config, Rule, Section, find, keys_of, load
from brtel_notify.config.yaml_nodes import ConfigError

DESIGN = Path(__file__).parents[1] / "data" / "design-config.yml"
SECRET = "s3cr3t-t0ken"

MINIMAL = f"""\
api:
  url: https://acme.bluerocktel.net/api
  token: {SECRET}
ticket:
  priority: High
  category: Infrastructure
  sub_category: PBX / 3CX
"""


@pytest.fixture(name="file")
def config_file(tmp_path: Path) -> Path:
    return tmp_path / "config.yml"


def loaded(file: Path, text: str, **environ: str) -> Config:
    file.write_text(text, encoding="utf-8")
    return load(str(file), environ)


def complaint(file: Path, text: str, **environ: str) -> str:
    """What is said about TEXT, with the file's name alone for its path; the secret is not in it."""
    file.write_text(text, encoding="utf-8")
    return complaint_about(file, **environ)


def complaint_about(file: Path, **environ: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load(str(file), environ)
    said = str(raised.value)
    assert SECRET not in said
    assert said.isprintable()  # so it is one line, too
    return said.replace(str(file), file.name)


# --- what is right --------------------------------------------------------------------------------


def test_the_block_of_the_design_says_what_it_says() -> None:
    config = load(str(DESIGN), {})

    assert config.api.url == "https://acme.bluerocktel.net/api"
    assert config.api.token_file == "/etc/brtel-notify/token"
    assert (config.api.timeout, config.api.ca_file, config.api.proxy) == (10, None, None)
    assert config.customer.lookup == [
        ("hosts", ""),
        ("account", "{{ vars.CUSTOMER_ACCOUNT }}"),
        ("pbx", "{{ host }}"),
        ("search", "{{ host }}"),
    ]
    assert config.customer.hosts == {"core-sw1.example.net": "CL000007"}
    assert (config.customer.fallback, config.customer.cache) == ("CL000001", 86400)
    assert vars(config.ticket) == {
        "priority": "High",
        "category": "Infrastructure",
        "sub_category": "PBX / 3CX",
        "team": None,
        "status": None,
        "assignee": None,
        "open_after": 0.0,
        "tags": ["monitoring", "auto"],
        "resolve_within": 4 * 3600,
        "group_by": "alert",
        "adopt": "ours",
    }
    assert config.severities == {
        "critical": {"priority": "Urgent", "resolve_within": 2 * 3600},
        "warning": {"priority": "Low"},
    }
    assert config.rules == [
        Rule(
            when="service and 'backup' in service|lower",
            set={"category": "Backups", "sub_category": "Failed", "team": "Systems"},
        ),
        Rule(when="customer.on_call_duty", set={"team": "On-call"}),
        Rule(when="severity == 'info'", ignore=True),
    ]
    assert vars(config.contact) == {"role": "technical|technique", "attach": "first"}
    assert vars(config.replies) == {
        "details": True,
        "customer_visible": False,
        "send_to_assignee": True,
        "send_to_contacts": False,
    }
    assert vars(config.lifecycle) == {
        "on_repeat": "ignore",
        "on_recovery": "close",
        "on_acknowledgement": "note",
        "on_comment": "note",
        "on_downtime": "note",
        "on_flapping": "note",
        "reopen_within": 3600,
        "resolved_in_queue": "deliver",
        "on_closed_by_hand": "new",
    }
    assert (config.language, config.templates, config.log) == ("en", None, "stderr")
    assert config.timezone is timezone.utc


#: "The values shown are the defaults, except…" (DESIGN section 3).
NOT_DEFAULTS = {
    *("api.url", "api.token", "api.token_file", "ticket.priority", "ticket.category"),
    *("ticket.sub_category", "customer.fallback", "customer.hosts", "severities", "rules"),
}


def _values(section: Any, prefix: str = "") -> Iterator[Tuple[str, Any]]:
    for name in keys_of(type(section)):
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _values(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def test_every_default_is_the_value_that_the_design_shows(file: Path) -> None:
    shown, default = load(str(DESIGN), {}), loaded(file, MINIMAL)
    differing = {
        key for (key, value), (_, other) in zip(_values(shown), _values(default)) if value != other
    }
    assert differing <= NOT_DEFAULTS
    assert default.customer.fallback is None
    assert default.customer.hosts == {}
    assert default.severities == {}
    assert default.rules == []


def test_the_design_shows_every_key_but_those_it_mentions() -> None:
    shown = load(str(DESIGN), {})
    unseen = {key for key, _ in _values(shown) if key not in shown.places}
    mentioned = {"api.token", "api.email", "api.password_file"}
    mentioned |= {f"lifecycle.on_{kind}" for kind in ("comment", "downtime", "flapping")}
    later = {"api.requests_per_minute", "api.ticket_page", "lifecycle.resolved_in_queue"}
    later |= {key for key in unseen if key.startswith("sources.")}
    assert unseen - later == mentioned


def test_a_section_left_empty_has_its_defaults(file: Path) -> None:
    empty = "customer:\ncontact:\nreplies:\nlifecycle:\nseverities:\nrules:\n"
    config = loaded(file, MINIMAL + empty)
    assert list(_values(config)) == list(_values(loaded(file, MINIMAL)))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        *(("90s", 90), ("30m", 1800), ("4h", 14400), ("7d", 604800), ("2w", 1209600)),
        *(("45", 45), ("1.5h", 5400), ('"10 m"', 600), ("0", 0), ("36500d", 36500 * 86400)),
    ],
)
def test_lengths_of_time(file: Path, written: str, seconds: float) -> None:
    config = loaded(file, f"{MINIMAL}lifecycle: {{reopen_within: {written}}}\n")
    assert config.lifecycle.reopen_within == seconds


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("7", 7), ("Network", "Network"), ('"7"', "7"), ("2026-01-01", "2026-01-01")),
        *(("on", "on"), ("012", 12), ("9223372036854775807", 2**63 - 1), ("1.5", "1.5")),
        *(("null", None), ("~", None), ("", None), ("N° 1 «é»", "N° 1 «é»")),
    ],
)
def test_names_and_ids(file: Path, written: str, meant: Any) -> None:
    config = loaded(file, f"{MINIMAL}  team: {written}\n")
    assert config.ticket.team == meant
    assert type(config.ticket.team) is type(meant)


def test_accounts_are_text_whatever_they_look_like(file: Path) -> None:
    config = loaded(file, MINIMAL + "customer: {fallback: 0123, hosts: {10: 007, on: yes}}\n")
    assert config.customer.fallback == "0123"
    assert config.customer.hosts == {"10": "007", "on": "yes"}


def test_lists_may_be_empty(file: Path) -> None:
    config = loaded(file, MINIMAL + "  tags:\ncustomer: {lookup: [], hosts: }\nrules: []\n")
    assert (config.ticket.tags, config.customer.lookup, config.rules) == ([], [], [])


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "127.8.9.1"])
def test_http_is_for_this_machine(file: Path, host: str) -> None:
    text = MINIMAL.replace("https://acme.bluerocktel.net/api", f"http://{host}/api/")
    assert loaded(file, text).api.url == f"http://{host}/api"


@pytest.mark.parametrize("log", ["stderr", "syslog", "/var/log/brtel.log", "./here.log"])
def test_where_the_log_goes(file: Path, log: str) -> None:
    assert loaded(file, f"{MINIMAL}log: {log}\n").log == log


def test_a_zone_by_its_name(file: Path) -> None:
    assert str(loaded(file, MINIMAL + "timezone: Europe/Paris\n").timezone) == "Europe/Paris"
    assert loaded(file, MINIMAL + "timezone: utc\n").timezone is timezone.utc


def test_words_of_severities_know_no_capitals(file: Path) -> None:
    text = "severities: {DISASTER: {team: 1}, Down: {team: 2}, not classified: {team: 3}}\n"
    config = loaded(file, MINIMAL + text)
    assert set(config.severities) == {"disaster", "down", "not classified"}


@pytest.mark.parametrize("word", ["informational", "error", "major", "P1", "notice", "emergency"])
def test_other_programs_have_severities_of_their_own(file: Path, word: str) -> None:
    config = loaded(file, f"{MINIMAL}severities: {{{word}: {{team: 1}}}}\n")
    assert config.severities == {word.lower(): {"team": 1}}


def test_anchors_serve(file: Path) -> None:
    text = "severities:\n  critical: &worst {priority: Urgent}\n  disaster: *worst\n"
    config = loaded(file, MINIMAL + text)
    assert config.severities["disaster"] == {"priority": "Urgent"}


def test_a_byte_order_mark_and_windows_line_ends(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert load(str(file), {}).ticket.sub_category == "PBX / 3CX"


# --- credentials ----------------------------------------------------------------------------------

NO_CREDENTIAL = MINIMAL.replace(f"  token: {SECRET}\n", "")


def test_the_variable_alone_is_enough(file: Path) -> None:
    config = loaded(file, NO_CREDENTIAL, BRTEL_TOKEN=SECRET)
    assert config.api.token is None
    assert SECRET not in repr(config)


def test_email_and_password_file_are_enough(file: Path) -> None:
    with_login = NO_CREDENTIAL.replace("ticket:", "  email: a@b.fr\n  password_file: /p\nticket:")
    assert loaded(file, with_login).api.email == "a@b.fr"


def test_no_credential(file: Path) -> None:
    for environ in ({}, {"BRTEL_TOKEN": ""}):
        said = complaint(file, NO_CREDENTIAL, **environ)
        assert said.startswith("config.yml:1: api: no credential: set token_file")


@pytest.mark.parametrize(
    ("given", "missing"), [("email", "password_file"), ("password_file", "email")]
)
def test_half_a_login(file: Path, given: str, missing: str) -> None:
    said = complaint(file, NO_CREDENTIAL.replace("ticket:", f"  {given}: x@y\nticket:"))
    assert said == f"config.yml:3: api.{missing}: is missing; {given} needs it"


def test_the_token_is_in_no_repr(file: Path) -> None:
    config = loaded(file, MINIMAL)
    assert config.api.token == SECRET
    assert SECRET not in repr(config)
    assert SECRET not in f"{config.api} {config.places}"


# --- what is wrong --------------------------------------------------------------------------------

#: What stands below the minimal configuration, and what is said about it. The first line of it is
#: line 8, or the ninth of ``ticket`` where it is indented.
WRONG: Dict[str, Tuple[str, str]] = {
    # unknown keys, at every level
    "a section": ("lifecyle: {}", "8: lifecyle: unknown key; did you mean 'lifecycle'?"),
    "nothing like it": ("xyzzy: 1", "8: xyzzy: unknown key; known are: api, ticket, customer,"),
    "in ticket": ("  prority: Low", "8: ticket.prority: unknown key; did you mean 'priority'?"),
    "in customer": (
        "customer:\n  falback: CL1",
        "9: customer.falback: unknown key; did you mean 'fallback'?",
    ),
    "in contact": ("contact: {rol: x}", "8: contact.rol: unknown key; did you mean 'role'?"),
    "in replies": (
        "replies:\n  detail: true",
        "9: replies.detail: unknown key; did you mean 'details'?",
    ),
    "in lifecycle": (
        "lifecycle:\n  on_recover: close",
        "9: lifecycle.on_recover: unknown key; did you mean 'on_recovery'?",
    ),
    "in a severity": (
        "severities:\n  critical:\n    priorty: Urgent",
        "10: severities.critical.priorty: unknown key; did you mean 'priority'?",
    ),
    "in a rule": (
        "rules:\n  - when: true\n    ignored: true",
        "10: rules[0].ignored: unknown key; did you mean 'ignore'?",
    ),
    "in a rule's set": (
        "rules:\n  - {when: 'true', set: {team: 1}}\n  - when: 'true'\n    set:\n      taem: X",
        "12: rules[1].set.taem: unknown key; did you mean 'team'?",
    ),
    "a merge": ("<<: {a: 1}", "8: <<: unknown key"),
    # what only the ticket has
    "a rule that groups": (
        "rules:\n  - when: 'true'\n    set: {group_by: host}",
        "10: rules[0].set.group_by: unknown key; known are: priority, category,",
    ),
    "a severity that adopts": (
        "severities: {down: {adopt: any}}",
        "8: severities.down.adopt: unknown key; known are: priority,",
    ),
    # wrong types
    "a section that is text": ("contact: first", "8: contact: must be keys and values, not a"),
    "a section that is a list": (
        "contact:\n  - role: x",
        "8: contact: must be keys and values, not a list",
    ),
    "a list that is a mapping": ("rules: {when: x}", "8: rules: must be a list, not a mapping"),
    "a list that is text": ("  tags: auto", "8: ticket.tags: must be a list, not a single value"),
    "text that is a list": ("language: [en]", "8: language: must be a single value, not a list"),
    "text that is nothing": ("language:", "8: language: must be text"),
    "text that is empty": ("log: ''", "8: log: must not be empty"),
    "a name that is blank": ("  team: ' '", "8: ticket.team: must not be empty"),
    "a name that is a list": ("  team: [A]", "8: ticket.team: must be a single value, not a list"),
    "a tag that is nothing": ("  tags: [a, ~]", "8: ticket.tags[1]: must be text"),
    "a truth that is a word": (
        "replies:\n  details: maybe",
        "9: replies.details: must be true or false",
    ),
    "a truth that is a number": ("replies: {details: 1}", "8: replies.details: must be true or"),
    "a truth by force": ("replies: {details: !!bool x}", "8: replies.details: must be true or"),
    "a severity that is a name": (
        "severities: {critical: Urgent}",
        "8: severities.critical: must be keys and values, not a single value",
    ),
    "a host without account": (
        "customer:\n  hosts:\n    web1:",
        "10: customer.hosts.web1: must be text",
    ),
    "no lookups": ("customer: {lookup: }", "8: customer.lookup: must be a list, not a single"),
    "a key that is a list": ("? [a]\n: 1", "8: a key must be a word"),
    "a key that is nothing": ("contact: {'': 1}", "8: contact: a key must be a word"),
    "a key of two lines": ('"a\\nb\\e[1m": 1', "8: a b [1m: unknown key"),
    # wrong values
    "a duration in words": (
        "lifecycle: {reopen_within: an hour}",
        "8: lifecycle.reopen_within: must be a length of time such as 30m, 4h or 1d",
    ),
    **{
        f"the duration {wrong}": (
            f"  resolve_within: {wrong}",
            "8: ticket.resolve_within: must be a length of time",
        )
        for wrong in ("-5m", "1:30", ".inf", ".nan", "1e3", "true", "4 hours", "4H", "''", "٣h")
    },
    "a duration without end": (
        "  resolve_within: 36501d",
        "8: ticket.resolve_within: must be at most 36500d",
    ),
    "a duration of 5,000 digits": (
        f"  resolve_within: {'9' * 5000}",
        "8: ticket.resolve_within: must be a length of time",
    ),
    "the id nought": ("  team: 0", "8: ticket.team: must be a name, or an id above 0"),
    "a negative id": ("  team: -3", "8: ticket.team: must be a name, or an id above 0"),
    "an id in sixties": ("  team: 1:30", "8: ticket.team: must be a name, or an id above 0"),
    "a huge id": (f"  team: {2**63}", "8: ticket.team: must be a name, or an id above 0"),
    "an unknown choice": (
        "lifecycle: {on_recovery: clse}",
        "8: lifecycle.on_recovery: 'clse' is unknown; did you mean 'close'?",
    ),
    "a choice of another key": (
        "lifecycle: {on_repeat: close}",
        "8: lifecycle.on_repeat: 'close' is unknown; known are: ignore, note",
    ),
    "a choice that YAML takes for false": (
        "lifecycle: {on_comment: off}",
        "8: lifecycle.on_comment: 'off' is unknown; known are: note, ignore",
    ),
    "group_by": ("  group_by: hosts", "8: ticket.group_by: 'hosts' is unknown; did you mean"),
    "adopt": ("  adopt: our", "8: ticket.adopt: 'our' is unknown; did you mean 'ours'?"),
    "attach": ("contact: {attach: al}", "8: contact.attach: 'al' is unknown; did you mean 'all'?"),
    "a language": ("language: de", "8: language: 'de' is unknown; "),
    "a language with a region": ("language: fr_FR", "8: language: 'fr_FR' is unknown; "),
    "a zone in small letters": (
        "timezone: europe/paris",
        "8: timezone: 'europe/paris' is no time zone; did you mean 'Europe/Paris'?",
    ),
    "a zone that is none": (
        "timezone: Mars",
        "8: timezone: 'Mars' is no time zone, such as Europe/Paris",
    ),
    "a zone that is a folder": ("timezone: Europe", "8: timezone: 'Europe' is no time zone"),
    "a zone that is a path": (
        "timezone: ../../etc/passwd",
        "8: timezone: '../../etc/passwd' is no time zone",
    ),
    "a regular expression": (
        "contact: {role: '('}",
        "8: contact.role: is no regular expression: missing ), unterminated subpattern",
    ),
    "an impossible repetition": (
        "contact: {role: 'a{99999999999}'}",
        "8: contact.role: is no regular expression: ",
    ),
    "a log that is a slip": (
        "log: sylog",
        "8: log: must be stderr, syslog, or the path of a file; did you mean 'syslog'?",
    ),
    "a log without a folder": (
        "log: brtel.log",
        "8: log: must be stderr, syslog, or the path of a file, such as /var/log/brtel.log",
    ),
    "a severity with a slip": (
        "severities:\n  warning: {}\n  critcal: {}",
        "10: severities.critcal: unknown severity; did you mean 'critical'?",
    ),
    "a severity twice": (
        "severities:\n  Down: {}\n  DOWN: {}",
        "10: severities.DOWN: stands here twice (capitals do not matter)",
    ),
    # lookups
    "two lookups in one": (
        "customer:\n  lookup:\n    - hosts\n    - pbx: a\n      search: b",
        "11: customer.lookup[1]: must be one lookup: write each behind a dash of its own",
    ),
    "no lookup at all": ("customer: {lookup: [{}]}", "8: customer.lookup[0]: must be one lookup"),
    "pbx without a value": (
        "customer:\n  lookup:\n    - pbx",
        "10: customer.lookup[0]: 'pbx' needs a value, such as pbx: \"{{ host }}\"",
    ),
    "pbx with nothing": (
        "customer:\n  lookup:\n    - pbx:",
        '10: customer.lookup[0].pbx: needs a value, such as pbx: "{{ host }}"',
    ),
    "an unknown lookup": (
        "customer: {lookup: [host]}",
        "8: customer.lookup[0]: 'host' is unknown; did you mean 'hosts'?",
    ),
    "an unknown lookup with a value": (
        "customer: {lookup: [{acount: x}]}",
        "8: customer.lookup[0].acount: unknown key; did you mean 'account'?",
    ),
    "Jinja without quotes": (
        "customer:\n  lookup:\n    - pbx: {{ host }}",
        "10: customer.lookup[0].pbx: must be a single value, not a mapping; put {{ … }} in quotes",
    ),
    # rules
    "a rule without when": ("rules:\n  - ignore: true", "9: rules[0].when: is missing"),
    "a rule that is text": ("rules: [x]", "8: rules[0]: must be keys and values, not a single"),
    # twice
    "a section twice": ("ticket: {}", "8: ticket: stands here twice"),
    "a key twice": ("  priority: Low", "8: ticket.priority: stands here twice"),
    "a host twice": (
        "customer: {hosts: {a: CL1, a: CL2}}",
        "8: customer.hosts.a: stands here twice",
    ),
    # YAML
    "a quote left open": ("log: 'x", "9: is not valid YAML: found unexpected end of stream"),
    "a tabulator": ("contact:\n\trole: x", "9: is not valid YAML: a tab; YAML wants spaces"),
    "two colons": ("log: a: b", "8: is not valid YAML: mapping values are not allowed"),
    "a second document": ("---\nlog: stderr", "8: is not valid YAML: but found another document"),
    "an alias of nothing": (f"log: *{SECRET}", "8: is not valid YAML: found undefined alias"),
    "a control character": ("log: \x00", "8: is not valid YAML: the character U+0000 is not"),
    "an escape sequence": ("log: \x1b[1m", "8: is not valid YAML: the character U+001B is not"),
    "an object": (
        "log: !!python/object/apply:os.system [id]",
        "8: log: a YAML tag such as !!name is not allowed",
    ),
    "an object of text": (
        "log: !!python/name:os.system ''",
        "8: log: a YAML tag such as !!name is not allowed",
    ),
    "a set": ("customer: !!set {lookup}", "8: customer: a YAML tag such as !!name is not allowed"),
    "a list in itself": ("  tags: &a [*a]", "8: is too large, or refers to itself"),
    "a mapping in itself": (
        "severities: &a {down: *a}",
        "8: is too large, or refers to itself",
    ),
    "a deep list": ("log: " + "[" * 100_000, "8: is nested too deep"),
    "a deep mapping": ("log: " + "{a: " * 100_000, "8: is nested too deep"),
    "a deep list of dashes": ("log:\n  " + "- " * 100_000, "9: is nested too deep"),
    "a deep list of lines": (
        "log:\n" + "".join(f"{' ' * depth}-\n" for depth in range(1, 1500)),
        "28: is nested too deep",
    ),
    "a list that is long and not deep": (
        "log: [" + "[[]], " * 1000 + "[",
        "9: is not valid YAML",
    ),
    "a billion laughs": (
        "log: [&a [x, x], "
        + "".join(
            f"&{b} [*{a}, *{a}], "
            for a, b in zip("abcdefghijklmnopqrstuvwxy", "bcdefghijklmnopqrstuvwxyz")
        )
        + "1]",
        "8: is too large, or refers to itself",
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_its_place(file: Path, text: str, said: str) -> None:
    assert complaint(file, f"{MINIMAL}{text}\n").startswith(f"config.yml:{said}")


#: What stands in place of ``url``.
WRONG_URLS: Dict[str, str] = {
    "http://acme.bluerocktel.net/api": "must begin with https://",
    "http://localhost.example.net/api": "must begin with https://",
    "http://127.0.0.1.example.net/api": "must begin with https://",
    f"https://user:{SECRET}@acme.bluerocktel.net/api": "must hold no user or password",
    f"https://{SECRET}@acme.bluerocktel.net/api": "must hold no user or password",
    "https://@acme.bluerocktel.net/api": "must hold no user or password",
    "http://localhost@acme.bluerocktel.net/api": "must hold no user or password",
    "ftp://acme.bluerocktel.net/api": "must be an address such as https://acme.bluerocktel.net/a",
    "acme.bluerocktel.net/api": "must be an address such as",
    "https:///api": "must be an address such as",
    "https://acme.bluerocktel.net:99999/api": "must be an address such as",
    "https://acme.bluerocktel.net:0/api": "must be an address such as",
    "https://acme.bluerocktel.net:x/api": "must be an address such as",
    "https://[::1/api": "must be an address such as",
    "https://acme bluerocktel.net/api": "must be an address such as",
    "https://acme.bluerocktel.net/api?a=1": "must end with the path",
    "https://acme.bluerocktel.net/api#a": "must end with the path",
    "[https://acme.bluerocktel.net/api]": "must be a single value, not a list",
    "": "must be text",
}


@pytest.mark.parametrize(("address", "said"), WRONG_URLS.items())
def test_addresses_that_are_none(file: Path, address: str, said: str) -> None:
    text = MINIMAL.replace(" https://acme.bluerocktel.net/api", f" {address}")
    assert complaint(file, text).startswith(f"config.yml:2: api.url: {said}")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("timeout", "0", "must be more than 0"),
        ("timeout", "soon", "must be a length of time"),
        ("proxy", "socks5://p.example.net", "must be an address such as http://"),
        ("ticket_page", "https://acme.bluerocktel.net/t", "must have {id} or {number}"),
        ("ticket_page", "'https://acme.bluerocktel.net/{name}/{id}'", "must have {id} or {number}"),
        ("ticket_page", "/tickets/{id}", "must be an address such as https://"),
        ("proxy", "proxy.example.net", "must be an address such as http://proxy.example.net:3128"),
        ("token_file", "[a]", "must be a single value, not a list"),
        ("token_file", "''", "must not be empty"),
        ("urll", "x", "unknown key; did you mean 'url'?"),
        ("tokn", SECRET, "unknown key; did you mean 'token'?"),
    ],
)
def test_what_is_wrong_in_api(file: Path, key: str, value: str, said: str) -> None:
    text = MINIMAL.replace("ticket:", f"  {key}: {value}\nticket:")
    assert complaint(file, text).startswith(f"config.yml:4: api.{key}: {said}")


@pytest.mark.parametrize(
    "token",
    [f"[{SECRET}]", f"{{{SECRET}: {SECRET}}}", f"!{SECRET} x", f"*{SECRET}", f"'{SECRET}"],
)
def test_no_message_repeats_the_token(file: Path, token: str) -> None:
    complaint(file, MINIMAL.replace(f"token: {SECRET}", f"token: {token}"))


@pytest.mark.parametrize("key", ["priority", "category", "sub_category"])
def test_required_keys_of_a_ticket(file: Path, key: str) -> None:
    text = "".join(line for line in MINIMAL.splitlines(True) if f"  {key}:" not in line)
    assert complaint(file, text) == f"config.yml:4: ticket.{key}: is missing"


def test_other_required_keys(file: Path) -> None:
    assert complaint(file, "ticket: {}\n") == "config.yml:1: ticket.priority: is missing"
    assert complaint(file, "# hello\nlog: stderr\n") == "config.yml:2: api: is missing"
    assert complaint(file, "api: {token: x}\n") == "config.yml:1: api.url: is missing"
    no_ticket = "api:\n  url: https://a/api\n"
    assert complaint(file, no_ticket) == "config.yml:1: ticket: is missing"


def test_files_that_are_no_configuration(file: Path, tmp_path: Path) -> None:
    assert complaint(file, "") == "config.yml: is empty"
    assert complaint(file, "# nothing\n---\n...\n").startswith("config.yml")
    assert complaint(file, "~\n") == "config.yml:1: api: is missing"
    assert complaint(file, "- a\n").startswith("config.yml:1: must be keys and values, not a list")
    assert complaint(file, "hello\n").startswith("config.yml:1: must be keys and values, not a si")
    assert complaint(file, "!foo {}\n") == "config.yml:1: a YAML tag such as !!name is not allowed"
    file.write_bytes(MINIMAL.encode() + b"log: caf\xe9\n")
    assert complaint_about(file) == "config.yml:8: is not UTF-8 text"
    file.write_bytes(MINIMAL.encode("utf-16"))
    assert complaint_about(file).startswith("config.yml:1: is not")
    file.unlink()
    said = complaint_about(file)
    assert said.startswith("config.yml: there is no such file; `brtel-notify init` writes one")
    file.mkdir()
    assert complaint_about(file) == "config.yml: cannot be read: Is a directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(file: Path) -> None:
    file.write_text(MINIMAL, encoding="utf-8")
    file.chmod(0)
    assert complaint_about(file) == "config.yml: cannot be read: Permission denied"


_YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["when", "set", "ignore", "priority", "lookup", "pbx", "x"]),
            children,
            max_size=3,
        )
    ),
    max_leaves=6,
)
_KEYS = sorted({*keys_of(Config), "places", "é"})


@given(value=_YAML, key=st.sampled_from(_KEYS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_anywhere_loads_or_is_named(file: Path, key: str, value: Any) -> None:
    import yaml

    given_value = yaml.safe_dump({key: value}, allow_unicode=True)
    beginning = "" if key in ("api", "ticket") else MINIMAL
    file.write_text(beginning + given_value, encoding="utf-8")
    with contextlib.suppress(ConfigError):
        load(str(file), {})
        return
    assert complaint_about(file).startswith("config.yml:")


@given(st.text())
@example("a: &a\n  b: *a")
@example("%TAG ! tag:x,2000:\n---\na: !b c")
@example("a: !!timestamp x\napi: !!int y")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_refused_in_one_line(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError) as raised:
        load(str(file), {})
    assert str(raised.value).isprintable()


# --- places ---------------------------------------------------------------------------------------


def test_places(file: Path) -> None:
    text = """\
customer:
  hosts:
    core-sw1.example.net: CL7
severities:
  CRITICAL:
    priority: Urgent
rules:
  - when: a
  - when: b
    set:
      team: X
"""
    config = loaded(file, MINIMAL + text)
    places: Mapping[str, int] = {
        "api": 1,
        "ticket.priority": 5,
        "ticket.team": 4,  # absent: where its section stands
        "customer.hosts.core-sw1.example.net": 10,
        "customer.fallback": 8,
        "customer.lookup[2]": 8,
        "severities.critical.priority": 13,
        "severities.CRITICAL": 12,
        "rules[0]": 15,
        "rules[1].when": 16,
        "rules[1].set.team": 18,
        "rules[1].set.priority": 17,
        "rules[7].set.team": 14,
        "lifecycle.on_repeat": 1,
        "log": 1,
    }
    found = {key: config.where(key) for key in places}
    assert found == {key: f"{file}:{line}" for key, line in places.items()}


# --- which file -----------------------------------------------------------------------------------


def test_which_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, home, xdg = tmp_path / "etc.yml", tmp_path / "home", tmp_path / "xdg"
    monkeypatch.setattr(configuration, "SYSTEM_FILE", str(system))
    environ = {"HOME": str(home)}
    assert find(None, environ) == str(system)  # the one to complain about

    own: List[Path] = [home / ".config/brtel-notify/config.yml", xdg / "brtel-notify/config.yml"]
    for path in own:
        path.parent.mkdir(parents=True)
        path.touch()
    assert find(None, environ) == str(own[0])
    environ["XDG_CONFIG_HOME"] = str(xdg)
    assert find(None, environ) == str(own[1])
    system.touch()
    assert find(None, environ) == str(system)
    environ["BRTEL_NOTIFY_CONFIG"] = "/named/by/variable.yml"
    assert find(None, environ) == "/named/by/variable.yml"
    assert find("/named/by/option.yml", environ) == "/named/by/option.yml"


# --- kept parsed ----------------------------------------------------------------------------------


def test_a_parsed_file_is_kept_until_it_changes_and_only_privately(tmp_path: Path) -> None:
    from brtel_notify.config import yaml_nodes
    from brtel_notify.local.private_folder import PrivateFolder

    state = tmp_path / "state"
    state.mkdir()
    kept = PrivateFolder(str(state), "parsed")
    path = tmp_path / "config.yml"
    path.write_text("language: fr\nrules: [{when: 'x', set: {team: 3}}]\n")
    first = yaml_nodes.load(str(path), kept)
    stored = next((state / "cache").glob("parsed-*/config.json"))
    assert stored.stat().st_mode & 0o077 == 0
    assert yaml_nodes.load(str(path), kept).as_json() == first.as_json()
    text = stored.read_text()
    stored.write_text(text.replace('"fr"', '"en"'))
    assert yaml_nodes.load(str(path), kept).value[0][1].scalar == "en"  # it is what was kept
    stored.chmod(0o660)  # …unless somebody else could have written it
    assert yaml_nodes.load(str(path), kept).value[0][1].scalar == "fr"
    path.write_text("language: en\nlog: syslog\n")
    assert yaml_nodes.load(str(path), kept).value[1][1].scalar == "syslog"


def test_a_file_with_a_token_in_it_is_not_kept(tmp_path: Path) -> None:
    from brtel_notify.config import yaml_nodes
    from brtel_notify.local.private_folder import PrivateFolder

    path = tmp_path / "config.yml"
    path.write_text("api: {token: s3cr3t}\n")
    yaml_nodes.load(str(path), PrivateFolder(str(tmp_path), "parsed"))
    assert list(tmp_path.rglob("config.json")) == []
    path.write_text("api: {token: null}\n")
    yaml_nodes.load(str(path), PrivateFolder(str(tmp_path), "parsed"))
    assert len(list(tmp_path.rglob("config.json"))) == 1
