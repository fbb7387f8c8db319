"""What differs between the two generations of servers: ``make e2e``, ``make e2e-next``.

Debian 12 has the one, Debian 13 the other. All tests are the same; where a server wants to be set
up in another way, or does another thing, the test asks ``HERE``, and asserts it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, FrozenSet, NamedTuple, Tuple


class Generation(NamedTuple):
    """One row of the table."""

    #: What Debian has: the beginning of each version.
    versions: Dict[str, str]
    #: Why a test may be skipped. Anything else that is not run fails.
    skips: FrozenSet[str]

    # --- how a server is set up ---
    #: The media type that docs/zabbix.md says to import.
    zabbix_media_type: str
    #: Zabbix's names for groups in the rules of an import.
    zabbix_groups: Tuple[str, ...]
    #: Whether the button *Test* sends its three values as the list `parameters`.
    zabbix_test_parameters: bool
    #: Whether the Director loses host templates where no zone is known.
    director_needs_zone: bool

    # --- what a server does ---
    #: What Zabbix sends, in this order, when a person closes a problem.
    zabbix_closing: Tuple[str, str]
    #: Whether Icinga tells a user of the same state again, when the OK between was never sent.
    icinga_tells_again: bool


_NOT_PACKAGED = "phpstan is not installed"

GENERATIONS = {
    "12": Generation(
        versions={
            "Zabbix": "6.0",
            "Icinga 2": "2.13",
            "Icinga Director": "1.10",
            "Nagios": "4.4",
            "PHP": "8.2",
            "PostgreSQL": "15",
        },
        skips=frozenset({_NOT_PACKAGED}),
        zabbix_media_type="media_brtel_notify.yaml",
        zabbix_groups=("groups",),
        zabbix_test_parameters=False,
        director_needs_zone=False,
        zabbix_closing=("update", "recovery"),
        icinga_tells_again=True,
    ),
    "13": Generation(
        versions={
            "Zabbix": "7.0",
            "Icinga 2": "2.14",
            "Icinga Director": "1.11",
            "Nagios": "4.4",
            "PHP": "8.4",
            "PostgreSQL": "17",
        },
        skips=frozenset(
            {
                _NOT_PACKAGED,
                "phpcs is not installed (Debian package php-codesniffer)",
            }
        ),
        zabbix_media_type="media_brtel_notify_7.0.yaml",
        zabbix_groups=("host_groups", "template_groups"),
        zabbix_test_parameters=True,
        director_needs_zone=True,
        zabbix_closing=("recovery", "update"),
        icinga_tells_again=False,
    ),
}


def release() -> str:
    """The number of this Debian; of another system the tests know no more than of Debian 12."""
    path = Path("/etc/os-release")
    lines = path.read_text().splitlines() if path.exists() else []
    words = dict(line.partition("=")[::2] for line in lines)
    number = words.get("VERSION_ID", "").strip('"')
    return number if words.get("ID") == "debian" and number in GENERATIONS else "12"


HERE = GENERATIONS[release()]
