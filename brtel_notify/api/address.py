"""Where the API is: whether ``api.url``, ``api.proxy`` and ``api.ca_file`` can be used.

Nothing here makes a call, and so nothing that calls need is imported.
"""

from __future__ import annotations

import os
import re
import urllib.parse

from brtel_notify.local.ip_address import is_loopback


class WrongSetting(ValueError):
    """A setting that cannot be used: its KEY in config.yml, and what is said behind that name."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(key + problem)
        self.key = key
        self.problem = problem


def checked_url(url: str) -> str:
    """URL without its trailing slash, or a WrongSetting that says what is wrong with api.url.

    https only, since the token travels in every call; plain http if it stays on this machine.
    """
    if not url or re.search(r"[\s\\\x00-\x1f\x7f]", url):
        raise WrongSetting("api.url", " is not a URL: empty, or with spaces or backslashes in it")
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise WrongSetting("api.url", " is not a URL: wrong host or port") from None
    if "@" in parts.netloc:
        raise WrongSetting("api.url", " must not hold a user name or password")
    if parts.scheme not in ("http", "https") or not host:
        raise WrongSetting(
            "api.url", f" must look like https://acme.bluerocktel.net/api, not {url}"
        )
    if parts.query or parts.fragment:
        raise WrongSetting("api.url", f" must end with the path, without ? or #: {url}")
    if parts.scheme == "http" and not is_loopback(host):
        raise WrongSetting(
            "api.url", f" must be https (plain http only to this machine itself): {url}"
        )
    return url.rstrip("/")


def checked_proxy(proxy: str) -> str:
    """Host and port of the proxy, for messages; WrongSetting if PROXY is not an http(s) URL."""
    try:
        parts = urllib.parse.urlsplit(proxy)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or re.search(r"\s", proxy):
        # Not quoted: it may hold a password.
        raise WrongSetting("api.proxy", " must look like http://proxy.example.net:3128")
    return f"{host}:{port}" if port else host


def check_ca_file(ca_file: str) -> None:
    """WrongSetting if CA_FILE (or folder) holds no usable certificates."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if os.path.isdir(ca_file):
            context.load_verify_locations(capath=ca_file)
        else:
            context.load_verify_locations(cafile=ca_file)
    except ssl.SSLError:
        raise WrongSetting(
            "api.ca_file", f": {ca_file}: holds no certificate in PEM form"
        ) from None
    except OSError as error:
        raise WrongSetting("api.ca_file", f": {ca_file}: {error.strerror}") from None
