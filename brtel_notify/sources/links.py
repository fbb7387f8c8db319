"""The way back: the address of an alert's host or service on its monitoring system's own pages.

Only ``sources.NAME.url`` of the configuration says where those pages are. What an alert itself
brings (``notes_url``, ``{TRIGGER.URL}``) is typically a runbook, and stays in ``alert.url``.
"""

from __future__ import annotations

from typing import Callable, Dict, Mapping, Optional
from urllib.parse import quote

from brtel_notify.alert import Alert
from brtel_notify.config.schema import Config
from brtel_notify.local.cleaning import web_url


def link(alert: Alert, config: Config) -> str:
    """The page of ALERT in the system it comes from.

    Empty where the configuration gives no address, the alert does not say enough, or the address
    would be too long for a browser.
    """
    build = _BUILDERS.get(alert.source)
    if build is None or not getattr(config.sources, alert.source).url:
        return ""
    return web_url(build(alert, config))


def ticket_page(page: Optional[str], ticket_id: int, number: str) -> str:
    """Where people see that ticket, by ``api.ticket_page``; empty without it."""
    place = (page or "").replace("{id}", str(ticket_id))
    return web_url(place.replace("{number}", quote(number, "", errors="replace")))


def _query(values: Mapping[str, str]) -> str:
    # %20, not +: every one of these systems reads the former.
    pairs = (
        (quote(name, ""), quote(value, "", errors="replace")) for name, value in values.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def _nagios(alert: Alert, config: Config) -> str:
    """As Nagios's own $HOSTINFOURL$ and $SERVICEINFOURL$; Thruk (Naemon) has the same pages."""
    base = config.sources.nagios.url or ""
    if "cgi-bin" not in base.split("/"):  # Debian also serves them below /cgi-bin/nagios4
        base += "/cgi-bin"
    values = {"type": "2" if alert.service else "1", "host": alert.host}
    if alert.service:
        values["service"] = alert.service
    return f"{base}/extinfo.cgi?{_query(values)}"


def _icinga(alert: Alert, config: Config) -> str:
    """As Icinga DB Web's own links (library/Icingadb/Common/Links.php), or the older module's."""
    source = config.sources.icinga
    if source.module == "monitoring":
        values = {"host": alert.host}
        page = "host/show"
        if alert.service:
            page, values["service"] = "service/show", alert.service
    elif alert.service:
        page, values = "service", {"name": alert.service, "host.name": alert.host}
    else:
        page, values = "host", {"name": alert.host}
    return f"{source.url}/{source.module}/{page}?{_query(values)}"


def _zabbix(alert: Alert, config: Config) -> str:
    """The event's page, or without an event's id the problems of the trigger (seen in 6.0)."""
    base = config.sources.zabbix.url or ""
    trigger, event = alert.vars["TRIGGER.ID"], alert.vars["EVENT.ID"]
    if not _is_number(trigger):
        return ""
    if _is_number(event):
        return f"{base}/tr_events.php?{_query({'triggerid': trigger, 'eventid': event})}"
    values = {"action": "problem.view", "filter_name": "", "triggerids[]": trigger}
    return f"{base}/zabbix.php?{_query(values)}"


def _librenms(alert: Alert, config: Config) -> str:
    """The device's page (LibreNMS/Util/Url.php, deviceUrl)."""
    device = alert.vars["device_id"]
    return f"{config.sources.librenms.url}/device/{device}" if _is_number(device) else ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


_BUILDERS: Dict[str, Callable[[Alert, Config], str]] = {
    "nagios": _nagios,
    "icinga": _icinga,
    "zabbix": _zabbix,
    "librenms": _librenms,
}
