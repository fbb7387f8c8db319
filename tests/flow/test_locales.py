"""What an alert is does not depend on the locale of the process that is given it (case D3)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Dict, List

import pytest
from support import ENVIRONMENT, Site, load_capture

pytestmark = pytest.mark.short

ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
UTF_8 = {"LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="session")
def latin_1(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    """A machine whose locale is fr_FR.ISO-8859-1."""
    folder = tmp_path_factory.mktemp("locales")
    name = "fr_FR.ISO-8859-1"
    try:
        subprocess.run(
            ["localedef", "-i", "fr_FR", "-f", "ISO-8859-1", str(folder / name)],
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no localedef here (Debian: apt install locales)")
    return {"LOCPATH": str(folder), "LC_ALL": name, "PYTHONUTF8": "0"}


def play(
    site: Site, words: List[bytes], variables: Dict[bytes, bytes], locale: Dict[str, str]
) -> str:
    """Run a notification command whose words and variables are these bytes."""
    env = {name.encode(): value.encode() for name, value in {**ENVIRONMENT, **locale}.items()}
    env.pop(b"PYTHONIOENCODING", None)
    done = subprocess.run(
        [word.encode() for word in site.words()] + words,
        env={**env, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode(errors="replace")


NAMES = [
    "Température".encode(),
    "Température".encode("latin-1"),
    "Диск".encode("cp1251"),
    b"a\x85b",
]


@pytest.mark.parametrize("name", NAMES)
def test_d3_a_recovery_in_another_locale_closes_the_ticket(
    site: Site, latin_1: Dict[str, str], name: bytes
) -> None:
    """LC_ALL=C, then fr_FR.ISO-8859-1: one key."""
    for number, locale in enumerate((ASCII, latin_1, UTF_8)):
        host = {b"NAGIOS_HOSTNAME": b"pbx%d" % number}
        problem, recovery = (
            {
                **{one.encode(): two.encode() for one, two in load_capture(of)["env"].items()},
                b"NAGIOS_SERVICEDESC": name,
                **host,
            }
            for of in ("nagios4-service-problem", "nagios4-service-recovery")
        )
        after = (latin_1, UTF_8, ASCII)[number]
        play(site, [b"nagios"], problem, locale)
        play(site, [b"nagios"], recovery, after)
    assert [ticket["open"] for ticket in site.tickets] == [False] * 3


def test_d3_words_on_the_command_line_are_bytes_too(site: Site, latin_1: Dict[str, str]) -> None:
    """Zabbix's three arguments; flags of any program."""
    message = "EVENT.VALUE: %d\nHOST.HOST: café\nTRIGGER.ID: 7\nEVENT.ID: 1\nEVENT.NAME: panne"
    zabbix = [b"zabbix", b"CL2385", b"x"]
    play(site, [*zabbix, (message % 1).encode()], {}, ASCII)
    play(site, [*zabbix, (message % 0).encode()], {}, latin_1)
    event = [b"event", b"--host", "siège".encode(), b"--key", b"\xe9\xe8"]
    play(site, [*event, b"--state", b"DOWN"], {}, latin_1)
    play(site, [*event, b"--state", b"UP"], {}, ASCII)
    assert [ticket["open"] for ticket in site.tickets] == [False] * 2


def test_d3_macros_given_by_var_are_bytes_too(site: Site, latin_1: Dict[str, str]) -> None:
    """As Naemon passes them, in UTF-8 and in Latin-1."""
    for number, charset in enumerate(("utf-8", "latin-1")):
        for kind, state, locale in (("PROBLEM", "DOWN", latin_1), ("RECOVERY", "UP", UTF_8)):
            macros = [f"HOSTNAME=école-{number}", f"NOTIFICATIONTYPE={kind}", f"HOSTSTATE={state}"]
            words = [word for macro in macros for word in (b"--var", macro.encode(charset))]
            play(site, [b"nagios", *words], {}, locale)
    assert [ticket["open"] for ticket in site.tickets] == [False] * 2


def test_paths_mean_what_they_mean_in_the_callers_locale(
    site: Site, latin_1: Dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "état"
    given = tmp_path / "alerte-é.json"
    given.write_bytes('{"host": "siège", "state": "DOWN"}'.encode())
    for locale in (ASCII, latin_1, UTF_8):
        words = ["--state-dir", str(folder), "event", "--json", str(given)]
        play(site, [word.encode() for word in words], {}, locale)
    assert sorted(path.name for path in tmp_path.iterdir() if "tat" in path.name) == ["état"]
    assert len(site.the_ticket()["replies"]) == 1
