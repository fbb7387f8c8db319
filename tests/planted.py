"""Secrets planted where monitoring systems have them, and how they are looked for."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any, Dict, Iterator, List, Set

#: LibreNMS passes rows of joined tables whole: devices, sensors and ports make some 120 columns.
_COLUMNS = """
device_id inserted hostname sysName display ip overwrite_ip authlevel authalgo snmpver port
transport timeout retries snmp_disable bgpLocalAs sysObjectID sysDescr sysContact version hardware
features location_id os status status_reason ignore disabled uptime agent_uptime last_polled
last_poll_attempted last_polled_timetaken last_discovered_timetaken last_discovered last_ping
last_ping_timetaken purpose type serial icon poller_group override_sysLocation notes
port_association_mode max_depth disable_notify ignore_status mtu_status lat lng location timestamp
fixed_coordinates sensor_id sensor_deleted sensor_class poller_type sensor_oid sensor_index
sensor_type sensor_descr group sensor_divisor sensor_multiplier sensor_current sensor_limit
sensor_limit_warn sensor_limit_low sensor_limit_low_warn sensor_alert sensor_custom
entPhysicalIndex entPhysicalIndex_measured lastupdate sensor_prev user_func rrd_type port_id
port_descr_type port_descr_descr port_descr_circuit port_descr_speed port_descr_notes ifDescr
ifName portName ifIndex ifSpeed ifSpeed_prev ifConnectorPresent ifOperStatus ifOperStatus_prev
ifAdminStatus ifAdminStatus_prev ifDuplex ifMtu ifType ifAlias ifPhysAddress ifLastChange ifVlan
ifTrunk ifVrf pagpOperationMode pagpPortState pagpPartnerDeviceId pagpPartnerLearnMethod
pagpPartnerIfIndex pagpPartnerGroupIfIndex pagpPartnerDeviceName pagpEthcOperationMode ifInErrors
ifOutErrors ifInOctets
"""

#: The columns of such a row that hold what only the monitoring may know.
SECRET_COLUMNS = ("community", "authname", "authpass", "cryptopass")


class Secrets:
    """Secrets, each its own, known by where it was planted."""

    def __init__(self) -> None:
        self._cores: Dict[str, str] = {}

    def new(self, where: str, around: str = "{}") -> str:
        """A secret for that place; AROUND says how it goes on before and behind."""
        assert where not in self._cores
        core = f"zQ{uuid.uuid4().hex[:16]}Jv"  # nothing escapes it; other tests run beside this
        self._cores[where] = core
        return around.format(core)

    @property
    def places(self) -> Set[str]:
        """Where there are any."""
        return set(self._cores)

    def found_in(self, data: bytes) -> Set[str]:
        """The places whose secret can be read in DATA, in whatever form it stands there."""
        return {
            where for where, core in self._cores.items() if any(form in data for form in _of(core))
        }


def _of(core: str) -> Iterator[bytes]:
    """Forms of a secret: as it is (and so in JSON, HTML and a URL), in UTF-16, hex and base64."""
    plain = core.encode("ascii")
    wide = [core.encode("utf-16-le"), core.encode("utf-16-be")]
    yield from (plain, plain.upper(), plain.lower(), *wide)
    yield "".join(f"\\u{ord(char):04x}" for char in core).encode()
    for form in (plain, *wide):
        yield form.hex().encode()
        yield form.hex().upper().encode()
        for before in range(3):  # of base64, only what depends on nothing around it
            code = base64.b64encode(b"\0" * before + form)
            yield code[4 if before else 0 : (before + len(form)) // 3 * 4]


def database_row(secrets: Secrets, where: str, **changes: Any) -> Dict[str, Any]:
    """A row of 120 columns, as LibreNMS has it in ``faults`` and ``diff``; CHANGES are more."""
    row: Dict[str, Any] = {name: f"{name}-value" for name in _COLUMNS.split()}
    row |= {"device_id": 17, "sensor_current": 71.5, "ifTrunk": None, "cryptoalgo": "AES"}
    row |= {name: secrets.new(f"{where}.{name}", 'x"{}é') for name in SECRET_COLUMNS}
    return {**row, **changes}


def librenms_data(secrets: Secrets, plain: Dict[str, Any]) -> Dict[str, Any]:
    """The alert data PLAIN of LibreNMS's, with rows and secrets in each place that has some."""
    rows: List[Dict[str, Any]] = [
        database_row(secrets, f"faults[{number}]", string=f"sensor_descr = fan {number}; ")
        for number in (1, 2)
    ]
    return {
        **plain,
        "faults": {"1": rows[0], "2": rows[1]},
        "diff": {
            "added": [database_row(secrets, "diff.added", string="ifDescr = eth7; ")],
            "resolved": [database_row(secrets, "diff.resolved")],
        },
        "community": secrets.new("community"),
        "AuthPass": secrets.new("AuthPass"),
        "applications_metrics": {"nginx": [{"API_Token": secrets.new("a list's"), "hits": 3}]},
        "alert_notes": "the community: was told, password: none",
    }


def everything(value: Any) -> bytes:
    """A value of Python's as bytes that can be searched, its own escapes undone."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
