"""Whether a call was made by a page of another web site, in the browser of somebody who can reach
this one. What changes something here is refused then."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from flask import Request, request

from .errors import Rejected


def is_foreign(request: Request) -> bool:
    """Say whether a browser says that the call comes from elsewhere. Programs say nothing."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host


def is_own(request: Request) -> bool:
    """Say whether a browser vouches for it that the call comes from a page of this very site."""
    said = "Origin" in request.headers or request.headers.get("Sec-Fetch-Site") == "same-origin"
    return said and not is_foreign(request)


def refuse_other_names() -> None:
    """Refuse a call by a name that is none of this machine itself's. For a loopback address.

    A web site can have its own name lead here (DNS rebinding): then its pages are of this very
    site to a browser, may read all, and switch all.
    """
    name = urlsplit(f"//{request.host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return
    try:
        ipaddress.ip_address(name)
    except ValueError:
        raise Rejected(403, "Call this by localhost, or by its address.") from None
