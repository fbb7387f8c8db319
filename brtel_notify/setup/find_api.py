"""A BlueRockTEL that is not configured yet: where it answers, whether it takes a credential, what
it has to choose from, and in words for a person what is wrong with an address or a credential."""

from __future__ import annotations

import os
from typing import List, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from brtel_notify.api.address import WrongSetting, checked_url
from brtel_notify.api.client import Client
from brtel_notify.api.credentials import Credentials
from brtel_notify.api.exceptions import (
    ApiError,
    BadAnswer,
    CredentialsError,
    Forbidden,
    NotFound,
    Refused,
    TlsError,
    Unauthorized,
    Unreachable,
)
from brtel_notify.api.mixed_up import NO_BEARER_TOKEN, portal_hint
from brtel_notify.api.records import Named, SubCategory, Version
from brtel_notify.local.ip_address import is_loopback
from brtel_notify.options import Stop
from brtel_notify.setup.terminal import Wrong

#: What the settings are called as long as there is no config.yml, where an error names them…
_FLAGS = {"api.url": "the address", "api.ca_file": "--ca-file", "api.proxy": "--proxy"}
#: …and in its cure.
_IN_FLAGS = {"url": "the address", "ca_file": "--ca-file FILE names it"}
#: Paths that are tried at most to find the API.
MOST_PATHS = 5


class TypedLogin(Credentials):
    """E-mail and password, before the password has a file."""

    def __init__(self, email: str, password: str) -> None:
        super().__init__(email=email)
        self._password = password

    def login(self) -> Tuple[str, str]:
        """The two."""
        return self.email or "", self._password


class Lists(NamedTuple):
    """What tickets are filed under."""

    priorities: List[Named]
    categories: List[Named]
    sub_categories: List[SubCategory]
    teams: List[Named]


class Way(NamedTuple):
    """How the instance is reached: certificates to trust, a proxy to go through."""

    ca_file: Optional[str] = None
    proxy: Optional[str] = None

    def client(self, url: str, credentials: Credentials) -> Client:
        """A client that keeps nothing on disk. Raises Stop if the way cannot be used."""
        try:
            return Client(url, credentials, ca_file=self.ca_file, proxy=self.proxy)
        except WrongSetting as error:
            raise Stop(_FLAGS[error.key] + error.problem, os.EX_CONFIG) from None


def find(text: str, way: Way) -> Tuple[str, Version]:
    """The API's address, from what somebody types for it, proved by GET /version.

    Raises Wrong, Stop.
    """
    urls = addresses(text)
    first: Optional[ApiError] = None
    for url in urls:
        try:
            with way.client(url, Credentials()) as client:
                version = client.version()
        except (BadAnswer, NotFound, Refused, Forbidden, Unauthorized) as error:
            first = first or error  # something answers there, and is not the API
            continue
        except ApiError as error:
            raise _no_way(error, url) from None
        if _is_bluerocktel(version):
            return url, version
    said = f" ({first.status} {first.problem})" if first and first.status else ""
    text = f"no BlueRockTEL answers at {urls[0]}{said}{portal_hint(urls[0])}"
    raise Wrong(text, os.EX_CONFIG)


def addresses(text: str) -> List[str]:
    """Where the API may be by what somebody typed, the likeliest first. Raises Wrong.

    With or without https:// and /api; or an address copied from the browser, with a page's path.
    """
    typed = text.strip()
    if not typed:
        raise Wrong("an answer is needed, such as acme.bluerocktel.net")
    try:
        if "://" not in typed:
            host = urlsplit(f"//{typed}").hostname or ""
            typed = f"{'http' if is_loopback(host) else 'https'}://{typed}"
        parts = urlsplit(checked_url(typed.partition("#")[0].partition("?")[0]))
    except WrongSetting as error:
        raise Wrong(f"the address{error.problem}") from None
    except ValueError as error:  # brackets that hold no IPv6 address
        raise Wrong(str(error)) from None
    base = f"{parts.scheme}://{parts.netloc.lower()}"
    path = parts.path.rstrip("/")
    if path.endswith("/api"):
        return [base + path]
    found = [f"{base}{path}/api", base + path]
    while path:
        path = path.rpartition("/")[0]
        found.append(f"{base}{path}" if path.endswith("/api") else f"{base}{path}/api")
    return list(dict.fromkeys([*found[: MOST_PATHS - 1], found[-1]]))


def _is_bluerocktel(version: Version) -> bool:
    """Another program may have a /version, too."""
    vendor = "".join(char for char in version.vendor.lower() if char.isalnum())
    return vendor == "bluerocktel" or (not vendor and version.status.lower() == "ok")


def lists(client: Client) -> Lists:
    """What the instance has to choose from; proves the credential. Raises Wrong."""
    try:
        return Lists(
            client.priorities(),
            client.categories(),
            client.sub_categories(),
            client.support_teams(),
        )
    except (ApiError, CredentialsError) as error:
        raise explained(error, client.url) from None


def explained(error: Exception, url: str) -> Wrong:
    """What went wrong with a call that had a credential."""
    if isinstance(error, Unauthorized):
        if error.path == "/login":
            return Wrong("BlueRockTEL refuses this e-mail address or password", os.EX_CONFIG)
        hint = f"; {NO_BEARER_TOKEN}" if NO_BEARER_TOKEN in error.problem else ""
        return Wrong(f"BlueRockTEL refuses this token (401){hint}{portal_hint(url)}", os.EX_CONFIG)
    if isinstance(error, Forbidden):
        text = f"BlueRockTEL knows this user, who may not do {error.method} {error.path}"
        return Wrong(f"{text}: {error.message}", os.EX_CONFIG)
    if isinstance(error, ApiError):
        return _no_way(error, url)
    return Wrong(str(error), os.EX_CONFIG)


def _no_way(error: ApiError, url: str) -> Wrong:
    """There is no answer, or none that helps."""
    code = os.EX_UNAVAILABLE if error.retry else os.EX_CONFIG
    if isinstance(error, (Unreachable, TlsError)):
        host = urlsplit(url).hostname or ""
        hint = ""
        if "cannot be resolved" in error.message and "." not in host:
            hint = f"; is it {host}.bluerocktel.net?"
        return Wrong(error.message_with(_IN_FLAGS) + hint + portal_hint(url), code)
    later = ": try again later" if error.retry else ""
    said = error.told(_IN_FLAGS)
    hint = portal_hint(url)
    return Wrong(f"{url} answers, but not as it should: {said}{later}{hint}", code)
