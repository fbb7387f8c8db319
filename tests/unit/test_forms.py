"""The forms in which the outside world says things: kind E of what once failed."""

from __future__ import annotations

import json
import os
from typing import List

import pytest

from brtel_notify.alert import Alert
from brtel_notify.intake.capture import Capture, text_of
from brtel_notify.local.cleaning import clean
from brtel_notify.options import Options
from brtel_notify.sources import registry
from brtel_notify.text.markup import clean_html, untemplated


def parse(source: str, *argv: str, stdin: str = "") -> Alert:
    return registry.parse(Capture(source, {}, argv, stdin, 1795286249.0))


# --- E1: tags of one name -------------------------------------------------------------------------


def tagged(line: str) -> Alert:
    lines = ["EVENT.VALUE: 1", "HOST.HOST: web1", "TRIGGER.ID: 7", "EVENT.NAME: Disk", line]
    return parse("zabbix", "to", "s", "\n".join(lines))


def tags(*pairs: str) -> str:
    found = [dict(zip(("tag", "value"), pair.split(":"))) for pair in pairs]
    return f"EVENT.TAGSJSON: {json.dumps(found)}"


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        (tags("scope:availability", "scope:voip"), "SCOPE", "availability, voip"),  # the case
        ("EVENT.TAGS: scope:availability, scope:voip", "SCOPE", "availability, voip"),
        (tags("scope:a", "x:1", "Scope:b", "scope:a", "scope:", "SCOPE:c"), "SCOPE", "a, b, c"),
        (tags("TICKET_TAGS:gold", "ticket_tags:lyon"), "TICKET_TAGS", "gold, lyon"),
        (tags("customer_account:CL1", "CUSTOMER_ACCOUNT:CL2"), "CUSTOMER_ACCOUNT", "CL1"),
        (tags("customer_account:", "customer_account:CL2"), "CUSTOMER_ACCOUNT", "CL2"),
        (tags("ticket_priority:High", "ticket_priority:Low"), "TICKET_PRIORITY", "High"),
    ],
)
def test_e1_all_values_of_a_tag(line: str, name: str, value: str) -> None:
    assert tagged(line).vars[name] == value


# --- E2: what looks like an option ----------------------------------------------------------------


@pytest.mark.parametrize("output", ["-ERR", "-5%", "--", "-h", "--help", "-v", "--x=y"])
@pytest.mark.parametrize("behind", [[], ["--config", "c.yml"], ["-v", "--state-dir=/s"]])
@pytest.mark.parametrize("joined", [False, True])
def test_e2_the_word_after_a_flag_is_its_value(
    output: str, behind: List[str], joined: bool
) -> None:
    said = [f"--output={output}"] if joined else ["--output", output]
    words = ["--host", "db1", *behind, *said, "--state", "DOWN"]
    capture = registry.source("event").capture(words, Options())
    alert = registry.parse(capture)
    assert (alert.host, alert.output, alert.state) == ("db1", output, "DOWN")


def test_e2_every_text_flag() -> None:
    words = ["--host", "-1", "--service", "--", "--comment", "-v", "--var", "A=--", "--state", "-2"]
    alert = parse("event", *words)
    assert (alert.host, alert.service, alert.comment) == ("-1", "--", "-v")
    assert (alert.state, alert.vars["A"]) == ("-2", "--")


# --- E3: encodings of JSON ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]
)
def test_e3_json_in_any_unicode(encoding: str) -> None:
    document = json.dumps({"host": "db1", "state": "DOWN", "output": "é"}, ensure_ascii=False)
    alert = parse("event", "--json", "-", stdin=text_of(document.encode(encoding)))
    assert (alert.host, alert.output) == ("db1", "é")


@pytest.mark.parametrize("form", ["%s\0", "\ufeff\ufeff%s", "%s\0\n", "\ufeff%s\ufeff\r\n"])
def test_e3_json_with_a_c_programs_nul_or_a_mark_too_many(form: str) -> None:
    document = (form % '{"host": "db1", "state": "DOWN"}').encode()
    alert = parse("event", "--json", "-", stdin=text_of(document))
    assert (alert.host, alert.state) == ("db1", "DOWN")


# --- E4: words for a state ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        *("0", "closed", "success", "passed", "restored", "solved", "inactive", "online"),
        "rétabli",  # so far the case
        *("OK.", "[OK]", " Resolved ", "back to normal", "all-clear", "ALL_CLEAR", "00", "On-Line"),
        *("RÉSOLU", "re\u0301tabli", "terminée", "retour à la normale", "gelöst", "in Ordnung"),
        *("wiederhergestellt", "resuelto", "risolto", "concluído", "opgelost", "rozwiązany"),
        *("решено", "восстановлено", "正常", "已恢复", "復旧", "정상", "løst", "çözüldü"),
        *("up again", "alerte levée", "normalisé", "wieder OK", "helyreállt", "rezolvat"),
    ],
)
def test_e4_all_is_well_in_many_words(word: str) -> None:
    alert = parse("event", "--host", "db1", "--state", word, "--severity", "critical")
    assert (alert.kind, alert.severity) == ("recovery", "ok")
    assert registry.source("event").doubt(Capture("event", {}, ["--state", word], "", 0.0)) == ""


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        *[("1", "warning"), ("2", "critical"), ("3", "unknown"), ("4", "unknown")],
        *[("127", "unknown"), ("255", "unknown"), ("9" * 5000, "unknown"), ("10", "unknown")],
        *[("DOWN", "critical"), ("Warning!", "warning"), ("firing", "unknown")],
        # What began with these words must not end for want of an accent.
        *[
            ("lost", "unknown"),
            ("expired", "unknown"),
            ("not ok", "unknown"),
            ("BACKUP", "unknown"),  # keepalived's, beside MASTER and FAULT
            ("active", "unknown"),
        ],
    ],
)
def test_e4_all_is_not_well(word: str, severity: str) -> None:
    alert = parse("event", "--host", "db1", "--state", word)
    assert (alert.kind, alert.severity) == ("problem", severity)


@pytest.mark.parametrize("number", ["0", "1", "2"])
def test_e4_a_number_is_no_severity(number: str) -> None:
    """0 is syslog's worst, and Zabbix's mildest."""
    alert = parse("event", "--host", "db1", "--severity", number)
    assert (alert.kind, alert.severity) == ("problem", "unknown")


def test_e4_a_number_in_json() -> None:
    for state, kind in ((0, "recovery"), (2, "problem"), ("0", "recovery")):
        stdin = json.dumps({"host": "db1", "state": state})
        assert parse("event", "--json", "-", stdin=stdin).kind == kind


@pytest.mark.parametrize(
    ("words", "stdin", "told"),
    [
        (["--state", "rebotado"], "", True),
        (["--json", "-"], '{"state": "rebotado"}', True),
        (["--state", "rebotado", "--kind", "problem"], "", False),
        (["--severity", "critical"], "", False),
        (["--state", "WARNING"], "", False),
        (["--state", "42"], "", False),
    ],
)
def test_e4_a_word_that_nobody_knows_is_told(words: List[str], stdin: str, told: bool) -> None:
    doubt = registry.source("event").doubt(Capture("event", {}, words, stdin, 0.0))
    assert ("'rebotado' is no word known here" in doubt) is told


# --- E5: what is said to a terminal ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\x1b[1;31mCRITICAL\x1b[0m - disk", "CRITICAL - disk"),  # the case
        ("\x9b1;31mCRITICAL\x9b0m".encode(), "CRITICAL"),
        (b"\x9b1;31mCRITICAL\x9bm", "CRITICAL"),
        (b"\x1b[38;2;255;0;0mred\x1b[K\x1b[?25h", "red"),
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b]8;;https://x.example/\x1b\\link\x1b]8;;\x1b\\ end", "link end"),
        ("\x9d0;a title\x9ctext".encode(), "text"),
        (b"\x1b]0;never ended\nnext", "never ended\nnext"),
        (b"\x1bPq#0\x1b\\after \x1b(Ba\x1bM", "after a"),
        (b"cut \x1b[1;3", "cut"),
        (b"[1;31m stays where no escape was", "[1;31m stays where no escape was"),
    ],
)
def test_e5_no_rest_of_a_sequence(raw: bytes, text: str) -> None:
    alert = parse("event", "--host", "db1", "--state", "DOWN", "--output", os.fsdecode(raw))
    assert alert.output == text


@pytest.mark.parametrize("piece", ["\x1b]", "\x1b[", "\x9d", "\x9d0;", "\x1b ", "\x1b]8;x", "0"])
def test_e5_in_linear_time(piece: str) -> None:
    """A square of this length would take hours."""
    assert len(clean("\x1b[" + piece * 2_000_000, 2_000_000)) <= 2_000_000


# --- E6: template variables -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("{{ config('app.key') }}", "{ { config('app.key') }}"),  # the case
        ("{!! $x !!}", "{ !! $x !!}"),
        ("@{{ x }} {{{ y }}}", "@{ { x }} { { { y }}}"),
        ("@php echo 1; @endphp", "@ php echo 1; @ endphp"),
        ("@include('x') @IF(1)", "@ include('x') @ IF(1)"),
        ("root@php.example.net, @home", "root@php.example.net, @home"),
    ],
)
def test_e6_nothing_is_left_to_resolve(text: str, kept: str) -> None:
    assert untemplated(text) == kept
    assert untemplated(kept) == kept
    escaped = text.replace("{", "&#123;").replace("@", "&#64;")
    for source in (text, escaped):
        assert clean_html(source, 1000)[0] == kept
