"""The monitoring systems that there are. Another one is a module of its name, and its name here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Mapping

    from brtel_notify.alert import Alert
    from brtel_notify.intake.capture import Capture
    from brtel_notify.sources.source import Source

NAMES = ("nagios", "icinga", "zabbix", "librenms", "event")


def in_words(mark: str = "") -> str:
    """The NAMES as people list them, each between two MARKs."""
    *names, last = (f"{mark}{name}{mark}" for name in NAMES)
    return f"{', '.join(names)} or {last}"


def source(name: str) -> Source:
    """What is to be said of the system NAME; it is one of NAMES.

    Imported by name, so that a notification of one does not wait for the others; and not by
    importlib, which takes longer to be imported than that module.
    """
    found: Source = __import__(f"brtel_notify.sources.{name}", fromlist=["SOURCE"]).SOURCE
    return found


def sources() -> List[Source]:
    """All of them."""
    return [source(name) for name in NAMES]


def parse(capture: Capture) -> Alert:
    """The alert that CAPTURE means.

    A pure function: no file, no network, no clock, nothing of the environment but what the capture
    holds. (Times that name no zone are the server's own, hence the process's time zone.) Raises
    Unintelligible, with one printable line, when it means none: no host, no or an unknown
    notification type, malformed JSON, or a source that is none of NAMES.
    """
    if capture.source not in NAMES:
        from brtel_notify.alert import Unintelligible
        from brtel_notify.local.cleaning import shown

        raise Unintelligible(
            f"unknown source {shown(capture.source)}: it is one of {', '.join(NAMES)}"
        )
    return source(capture.source).parse(capture)


def of_instance(alert: Alert, options: Mapping[str, str]) -> Alert:
    """ALERT, knowing which of several such systems it is of, as far as anybody says so.

    What came with the alert wins over OPTIONS, which are ``sources.NAME``'s.
    """
    instance = options.get("instance", "")
    return alert if alert.instance or not instance else alert._replace(instance=instance)


def without_secrets(capture: Capture) -> Capture:
    """A CAPTURE from elsewhere without what can only be a secret, whatever it says it is."""
    known = capture.source if capture.source in NAMES else "event"
    return source(known).without_secrets(capture)


def page(alert: Alert, options: Mapping[str, str]) -> str:
    """The page of ALERT in the system it comes from; OPTIONS are ``sources.NAME``'s.

    Empty where they give no address, the alert does not say enough, or the address would be too
    long for a browser. What an alert itself brings (``notes_url``, ``{TRIGGER.URL}``) is typically
    a runbook, and stays in ``alert.url``.
    """
    from brtel_notify.local.cleaning import web_url

    if not options.get("url"):
        return ""
    return web_url(source(alert.source).page(options, alert))
