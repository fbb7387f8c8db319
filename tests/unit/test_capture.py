"""What a capture leaves out, and that all else is read as it came."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from planted import Secrets, librenms_data
from support import CAPTURES, load_capture

from brtel_notify.alert import Alert
from brtel_notify.intake.capture import Capture, text_of
from brtel_notify.intake.capture_file import read as read_file
from brtel_notify.intake.withheld import is_secret
from brtel_notify.intake.withheld_json import parsed
from brtel_notify.local import shipped_files
from brtel_notify.sources import librenms as librenms_source
from brtel_notify.sources import zabbix_message
from brtel_notify.sources.message_lines import FORMAT, FREE_TEXT
from brtel_notify.sources.message_lines import without_secrets as from_message
from brtel_notify.sources.registry import parse, without_secrets
from brtel_notify.sources.source import json_without_secrets


def from_json(text: str, librenms: bool) -> str:
    """TEXT as LibreNMS's, or as another program's, is kept."""
    if librenms:
        return json_without_secrets(text, librenms_source.FILTERS, librenms_source.ROWS)
    return json_without_secrets(text)


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("NAGIOS_SERVICECHECKCOMMAND", "NAGIOS_HOSTCHECKCOMMAND", "NAGIOS_ARG1", "NAGIOS_ARG32"),
        *("NAGIOS__HOSTSNMPCOMMUNITY", "NAGIOS__HOSTSSH_PASSWORD", "NAGIOS__SERVICEAPI_TOKEN"),
        *(
            "community",
            "authname",
            "authpass",
            "cryptopass",
            "cryptoalgo",
            "AuthPass",
            " authpass ",
        ),
        *("MY_SECRET_2", "PASSWORD_OLD", "PASSWD", "passphrases", "TOKENS", "COMPASS", "ARG007"),
        *("snmp-community", "ssh.password", "{$SNMP_COMMUNITY}"),
    ],
)
def test_what_can_only_be_a_secret_is_known_by_its_name(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "NAGIOS_HOSTADDRESS", "NAGIOS_NOTIFICATIONAUTHORNAME", "_HOSTPASSERELLE", "AUTHOR"),
        *("PASSED", "PASS1", "CHECKCOMMAND1", "ARG", "ARGS", "ARG1X", "TARGET", "CARGO7"),
        *("_HOSTCUSTOMER_ACCOUNT", "authlevel", "authalgo", "snmpver", "COMMUNE", "CHECKCOMMANDS"),
    ],
)
def test_what_may_be_something_else_is_none(name: str) -> None:
    assert not is_secret(name)


#: What the variables of real notifications hold beside check commands and their arguments.
@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.json")), ids=lambda path: path.stem)
def test_of_a_real_notification_only_check_commands_are_left_out(path: Path) -> None:
    data = json.loads(path.read_text())
    stdin = json.dumps(data["stdin"]) if "stdin" in data else ""
    whole = Capture(data["source"], data.get("env", {}), data.get("argv", []), stdin, 0.0)
    kept = without_secrets(whole)
    left_out = set(whole.env) - set(kept.env)
    assert {re.sub("[0-9]", "", name.removeprefix("NAGIOS_")) for name in left_out} <= {
        *("ARG", "HOSTCHECKCOMMAND", "SERVICECHECKCOMMAND")
    }
    assert kept.argv == whole.argv
    assert without_vars(kept) == without_vars(whole)
    assert without_secrets(kept).as_dict() == kept.as_dict()


def without_vars(capture: Capture) -> Alert:
    return parse(capture)._replace(vars=type(parse(capture).vars)())


# --- the command line -----------------------------------------------------------------------------


def kept_words(source: str, *words: str) -> List[str]:
    return without_secrets(Capture(source, {}, words, "", 0.0)).argv


@pytest.mark.parametrize("source", ["nagios", "icinga", "librenms", "event"])
def test_flags_of_secret_names_go_with_their_values(source: str) -> None:
    words = ["--var", "A=1", "--var", "API_TOKEN=x=y", "--var=a_pass=z", "--var=B=TOKEN=2"]
    assert kept_words(source, *words) == ["--var", "A=1", "--var=B=TOKEN=2"]


def test_the_value_of_another_flag_is_no_flag() -> None:
    words = ["--output", "--var", "--key", "--var=PASSWORD=x", "--comment=--var=PASS=x", "--json"]
    assert kept_words("event", *words) == words


def test_what_zabbix_passes_is_no_flag() -> None:
    words = ["--var=PASSWORD=1", "--var", "PASSWORD=2"]
    assert kept_words("zabbix", "--var", "PASSWORD=3", *words) == words


# --- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        '{ "host":"a", "n": 1.50e3, "n": -0 , "big": 123456789012345678901234567890, "x": NaN }',
        '{"output": "password: x\\u00e9 \\ud800", "vars": {"PASSERELLE": "10.0.0.1"}}\n',
        '{"output": "two\nlines"}',
        '["a", 1]',
        "12",
        '"password"',
        "",
        "no JSON at all",
        '{"host": "a", ',
    ],
)
@pytest.mark.parametrize("librenms", [False, True])
def test_json_without_a_secret_stays_as_it_came(text: str, librenms: bool) -> None:
    if librenms:  # of what cannot be read, rather too little is kept; two values of a name are one
        text = text.replace("password", "word").replace(', "n": -0', "")
    assert from_json(text, librenms) == text


@pytest.mark.parametrize(
    "name",
    [
        *("password", "Pa\\u0073sword", "\\u0070ASSWD", "pa\\u00dfword", "paßword", "ſecret"),
        *("x_token", "\\u005f\\u0074oken", "check_commands.arg1", "API-toKen"),
    ],
)
@pytest.mark.parametrize("librenms", [False, True])
def test_a_name_is_known_however_it_is_spelled(name: str, librenms: bool) -> None:
    text = f'{{"host": "a", "{name}": "HIDDEN", "vars": [{{"{name}": ["HIDDEN"]}}]}}'
    assert is_secret(json.loads(f'"{name}"'))
    kept = from_json(text, librenms)
    assert "HIDDEN" not in kept
    assert parsed(kept)["host"] == "a"
    tags = json.dumps([{"tag": "a", "value": "1"}, {"tag": "@", "value": "HIDDEN"}])
    message = f"{FORMAT}\nEVENT.TAGSJSON: {tags.replace('@', name)}"
    assert "HIDDEN" not in from_message(message)


def test_what_is_kept_of_json_can_be_stored() -> None:
    """Half characters, which JSON can spell and no bytes can."""
    for half in ("\\ud800", "\\udcc3\\udca9", "\\udc80"):
        kept = from_json(f'{{"output": "{half} \udce9", "token": "x"}}', librenms=False)
        stored = read_file(Capture("event", {}, [], kept, 1.0).as_bytes())[0].stdin
        assert parsed(stored) == {"output": json.loads(f'"{half}"') + " \udce9"}


def test_rows_of_librenms_without_a_secret_stay_as_they_came() -> None:
    text = '{"faults":{"1":{"string":"a"},"2":[]}, "diff": null, "notes": "A: b\\n\\nx"}'
    assert from_json(text, librenms=True) == text


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(min_value=10**18, max_value=10**40),
        st.floats(),
        st.text(st.characters(codec=None, categories=None)),
    ),
    lambda inner: st.one_of(
        st.lists(inner), st.dictionaries(st.sampled_from(["a", "é", "x_token", "Authpass"]), inner)
    ),
)


@given(json_values, st.booleans())
def test_all_else_in_json_is_read_as_it_was(value: Any, ascii_only: bool) -> None:
    text = json.dumps([value], ensure_ascii=ascii_only)
    assert parsed(from_json(text, librenms=False)) == _bare(parsed(text))


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _bare(item) for name, item in value.items() if not is_secret(name)}
    return [_bare(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("faults", "kept"),
    [
        ({"1": {"a": 1, "string": "x"}, "2": {"string": None}}, {"1": {"string": "x"}, "2": {}}),
        ([{"string": "x", "b": "y"}, "text", 7], [{"string": "x"}]),
        ({"added": [{"a": "1"}], "resolved": []}, {"added": [{}], "resolved": []}),
        ({"1": {"string": {"a": "x"}}}, {"1": {}}),
        ({"string": "x", "deep": {"er": {"a": "y", "string": "z"}}}, None),
        ("a text", None),
        (7.5, None),
        (False, False),
    ],
)
@pytest.mark.parametrize("name", ["faults", "diff"])
def test_of_librenms_rows_only_their_strings_are_kept(name: str, faults: Any, kept: Any) -> None:
    if isinstance(faults, dict) and "deep" in faults:
        kept = {"string": "x", "deep": {"er": {"string": "z"}}}
    for data in ({name: faults}, {"alert": [{name: faults}]}):
        expected = {name: kept} if name in data else {"alert": [{name: kept}]}
        assert json.loads(from_json(json.dumps(data), librenms=True)) == expected


def test_a_row_that_hides_behind_another_of_its_name_is_left_out() -> None:
    text = '{"faults": {"1": {"x": "hidden"}, "1": {"string": "y"}}, "faults": null}'
    assert from_json(text, librenms=True) == '{"faults": null}'


def test_rows_deeper_than_librenms_has_any_are_left_out() -> None:
    text = '{"hostname": "a", "faults": ' + '{"a":' * 300 + '"x"' + "}" * 300 + "}"
    assert "x" not in from_json(text, librenms=True)
    assert json.loads(from_json(text, librenms=True))["hostname"] == "a"


def test_the_notes_of_a_device_lose_lines_of_secret_names() -> None:
    notes = "A: b\r\n snmp-community : x\nthe password is y\nPASSERELLE: z\ntoken://host\nPASS: q"
    data = json.loads(from_json(json.dumps({"notes": notes, "x": notes}), librenms=True))
    assert data["notes"] == "A: b\r\nthe password is y\nPASSERELLE: z\ntoken://host\n"
    assert data["x"] == notes


# --- JSON that cannot be read ---------------------------------------------------------------------


def test_wherever_librenms_is_cut_off_no_secret_is_kept() -> None:
    secrets = Secrets()
    data = {"hostname": "acme.3cx.fr", "faults": {}, **load_capture("librenms-problem")["stdin"]}
    text = json.dumps(librenms_data(secrets, data))
    rows = text.index('"faults"')
    for end in range(0, len(text), 7):
        kept = from_json(text[:end], librenms=True)
        assert secrets.found_in(kept.encode()) == set()
        assert kept.startswith(text[: min(end, rows)])


@pytest.mark.parametrize("indent", [None, 1])
def test_wherever_json_is_cut_off_no_secret_is_kept(indent: Any) -> None:
    secrets = Secrets()
    data = {
        "host": "first",
        "password": secrets.new("a text", 'x"{}\\y'),
        "API_TOKEN": {"a": [secrets.new("an object's")], "b": "x"},
        "a": {"db_pass": secrets.new("the last of an object"), "kept": "second"},
    }
    text = json.dumps(data, indent=indent)
    for end in range(len(text)):
        kept = from_json(text[:end], librenms=False)
        assert secrets.found_in(kept.encode()) == set()
        assert kept.startswith(text[: min(end, text.index('"password'))])


@pytest.mark.parametrize(
    "text",
    [
        '{"host": "kept", "community": "HIDDEN", }',
        '{"host": "kept", "community": HIDDEN }',
        "{'host': 'kept', 'Community': 'HIDDEN', 'x': 'kept'}",
        "{host: kept, snmp_community: HIDDEN",
        "host=kept\ncommunity=HIDDEN, HIDDEN\nx=kept",
        '{\\"host\\": \\"kept\\", \\"community\\": \\"HIDDEN\\"}',
        '{"host": "kept", "c\\u006fmmunity": "HIDDEN',
        '{"host": "kept", "community": ["HIDDEN", {"x": "HIDDEN"}], ',
        '{"host": "kept", "password": "HIDDEN"HIDDEN", "x": "kept",}',
        '{"host": "kept", "password": "HIDDEN\\"HIDDEN", "x": "kept",}',
        '{"host": "kept", "password": "HIDDEN","HIDDEN" "x": "kept",}'.replace('","', "','"),
        '{"host": "kept", "db_pass"  :\n  "HIDDEN\nHIDDEN"}}',
        "Array ( [host] => kept [community] => HIDDEN\n)",
        '"{\\"host\\": \\"kept\\", \\"token\\": \\"HIDDEN\\"}"',
        'İ {"host": "kept", "TOKEN": "HIDDEN',
    ],
)
@pytest.mark.parametrize("librenms", [False, True])
def test_what_is_no_json_keeps_no_value_of_a_secret_name(text: str, librenms: bool) -> None:
    kept = from_json(text, librenms)
    assert "hidden" not in kept.lower()
    assert "kept" in kept
    assert "left out)" in kept
    assert from_json(kept, librenms) == kept


@pytest.mark.parametrize("librenms", [False, True])
def test_what_is_malformed_stays_so(librenms: bool) -> None:
    kept = from_json('{"host": "a", "password": "b"c", "state": "DOWN"}', librenms)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(kept)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**6,
        '{"a":' * 10**6,
        '{"a": "' + "secret" * 10**6,
        '"password":' * 10**6,
        '{"password": "' + '"' * 10**6,
        "password" + " " * 10**6 + ":",
    ],
)
@pytest.mark.parametrize("librenms", [False, True])
def test_megabytes_that_cannot_be_read_are_no_trouble(text: str, librenms: bool) -> None:
    assert len(from_json(text, librenms)) <= len(text) + 100


@pytest.mark.parametrize(
    "document",
    [
        b"\r\n" + '{"host": "a", "password": "hunter2x"}'.encode("utf-16-le"),  # PowerShell's >>
        b'{"host": "a", "p\0a\0s\0s\0w\0o\0r\0d": "hunter2x", ',
        b"<host>a</host><password>hunter2x</password>",
        b"host: a\npassword: |\n  hunter2x\nstate: DOWN\n",
    ],
)
def test_what_is_no_json_is_kept_without_its_secrets(document: bytes) -> None:
    kept = from_json(text_of(document), False)
    assert "hunter2x" not in kept.replace("\0", "")
    assert "host" in kept


# --- encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
)
def test_json_may_come_in_any_unicode(encoding: str) -> None:
    assert text_of('{"host": "é€😀"}'.encode(encoding)) == '{"host": "é€😀"}'


def test_bytes_of_no_encoding_are_kept() -> None:
    raw = b'{"host": "caf\xe9"}'
    assert text_of(raw).encode("utf-8", "surrogateescape") == raw
    assert text_of(b"") == ""


def test_utf_16_cut_short_is_read_as_far_as_it_goes() -> None:
    assert text_of('{"community": "x'.encode("utf-16-le")[:-1]).startswith('{"community": "')


# --- Zabbix ---------------------------------------------------------------------------------------

SHIPPED = f"""\
{FORMAT}
HOST.HOST: kept
SNMP_COMMUNITY: HIDDEN
HIDDEN

x: HIDDEN
TRIGGER.ID: 7
web-password: HIDDEN
HIDDEN
EVENT.TAGS.TOKEN: HIDDEN
EVENT.NAME: kept
PASSWORD: kept
password: kept"""

OWN = """\
PASSWORD: HIDDEN
HIDDEN
HOST.HOST: kept
PASSWORD: HIDDEN
EVENT.NAME: kept
password: kept
SSH_PASS: HIDDEN
HIDDEN
EVENT.UPDATE.MESSAGE: kept
PASSWORD: kept"""


@pytest.mark.parametrize("message", [SHIPPED, OWN, SHIPPED.replace("\n", "\r\n")])
def test_a_message_loses_secret_fields_and_no_text(message: str) -> None:
    kept = from_message(message)
    assert "HIDDEN" not in kept
    assert kept.count("kept") == message.count("kept")


def test_a_message_without_a_secret_stays_as_it_came() -> None:
    for message in (f"{FORMAT}\r\nA:  b\n\nEVENT.NAME: password", "", "\n", "the password: x"):
        assert from_message(message) == message


def test_what_was_said_of_a_cancelled_escalation_is_a_text() -> None:
    note = "NOTE: Escalation cancelled\nLast message sent:\nPASSWORD: kept"
    assert from_message(f"{note}\n{SHIPPED}").startswith(f"{note}\n{FORMAT}\nHOST.HOST")
    assert "HIDDEN" not in from_message(f"{note}\n{SHIPPED}")


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        ('TAGSJSON: [{"tag":"a","value":"1"},{"tag":"b_Token","value":"x"}]', [("a", "1")]),
        ('TAGSJSON: [{"tag":"a","value":"1"}', []),
        ('TAGSJSON: [{"tag":"token","value":"x"}', []),
        ("TAGS: a:1, token:x, y, b:2, token", [("a", "1"), ("b", "2")]),
        ("TAGS: a:1, b", [("a", "1"), ("b", "")]),
    ],
)
def test_secret_tags_are_left_out(field: str, kept: Any) -> None:
    message = f"{FORMAT}\nHOST.HOST: a\nEVENT.{field}\nX: y\nEVENT.NAME: b"
    own = zabbix_message._lines(from_message(message))
    assert "x" not in own.get("EVENT.TAGSJSON", "") + own.get("EVENT.TAGS", "")
    assert [tag for tag in zabbix_message._single_tags(own) if tag != ("", "")] == kept
    assert own["X"] == "y"


_names = st.sampled_from(
    [
        *(*FREE_TEXT, "HOST.HOST", "EVENT.ID", "INVENTORY.NOTES", "X", "x", "é"),
        *("PASSWORD", "password", "EVENT.PASS", "{$SNMP_COMMUNITY}", "snmp community"),
    ]
)
_lines = st.one_of(
    st.builds("{}{}{}".format, _names, st.sampled_from([":", ": ", " : "]), st.text(max_size=5)),
    st.text(max_size=9),
    st.sampled_from(["NOTE: Escalation cancelled: x", "Last message sent:", "", "\r", FORMAT]),
)


@given(st.booleans(), st.lists(_lines))
def test_all_else_in_a_message_is_read_as_it_was(shipped: bool, lines: List[str]) -> None:
    message = "\n".join([FORMAT, *lines] if shipped else lines)
    assert read(from_message(message)) == {
        name: value for name, value in read(message).items() if not is_secret(name)
    }


def read(message: str) -> Dict[str, str]:
    note, text = zabbix_message._escalation_note(message)
    return {"note": note, **zabbix_message._lines(text)}


# --- what is shipped ------------------------------------------------------------------------------

DROP_INS = [
    path for name in ("nagios", "zabbix") for path in Path(shipped_files.folder(name)).iterdir()
]
#: A macro of Nagios's or Icinga's, or of Zabbix's; a variable by the name that it is given.
MACRO = re.compile(r"\$([\w.:]+)\$|\{([$#]?[A-Z][\w.]*)|([\w.]+) ?=")


@pytest.mark.parametrize("path", DROP_INS, ids=lambda path: path.name)
def test_no_drop_in_passes_a_secret(path: Path) -> None:
    """Not to the program, and not on a command line, which every user of the machine can read."""
    names = ["".join(found) for found in MACRO.findall(path.read_text(encoding="utf-8"))]
    assert names or path.name == "brtel-notify"
    assert [name for name in names if is_secret(name) or name.startswith("$")] == []


@pytest.mark.parametrize("name", ["media_brtel_notify.yaml", "media_brtel_notify_7.0.yaml"])
def test_zabbix_passes_nothing_but_its_three_arguments(name: str) -> None:
    text = (Path(shipped_files.folder("zabbix")) / name).read_text(encoding="utf-8")
    (media_type,) = yaml.safe_load(text)["zabbix_export"]["media_types"]
    words = [word if isinstance(word, str) else word["value"] for word in media_type["parameters"]]
    assert words == ["{ALERT.SENDTO}", "{ALERT.SUBJECT}", "{ALERT.MESSAGE}"]
