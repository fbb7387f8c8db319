"""Hosts by their IP address: whether it is one, whether two are the same, whether it is ours."""

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


def is_ip_address(text: str) -> bool:
    """Whether TEXT is an IP address, and no name."""
    return same_ip_address(text, text)


def same_ip_address(one: str, other: str) -> bool:
    """Whether both are one IP address, in whichever of its spellings."""
    import ipaddress

    try:
        return ipaddress.ip_address(one.strip()) == ipaddress.ip_address(other.strip())
    except ValueError:
        return False
