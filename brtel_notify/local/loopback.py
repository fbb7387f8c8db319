"""Whether a host is this machine itself."""

from __future__ import annotations


def is_loopback(host: str) -> bool:
    """Whether HOST is this machine, by its name or address alone."""
    if host.lower() == "localhost":
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
