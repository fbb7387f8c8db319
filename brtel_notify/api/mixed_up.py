"""What people mix up, and how it shows: the user's api_token with a bearer token, the customers'
portal with the API.

BlueRockTEL's bearer tokens are Laravel Passport's: JWTs (RFC 7519), whose ``sub`` is the user's id.
"""

from __future__ import annotations

import re
from typing import Optional
from urllib.parse import urlsplit

#: What is said of a refused token that is no JWT.
NO_BEARER_TOKEN = "that looks like the user's api_token, not a bearer token"  # noqa: S105


def is_jwt(token: str) -> bool:
    """Whether TOKEN has the form of a bearer token of BlueRockTEL's."""
    return token.startswith("eyJ") and token.count(".") == 2


def user_id_in(token: str) -> Optional[int]:
    """The id of the user whose bearer token it is; None where it does not say. Proves nothing."""
    import base64
    import json

    payload = token.split(".")[1] if is_jwt(token) else ""
    try:
        data = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return None
    subject = str(data.get("sub")) if isinstance(data, dict) else ""
    return int(subject) if re.fullmatch("[0-9]{1,18}", subject) else None


def portal_hint(url: str) -> str:
    """What is added to a failure at URL, if that is the customers' portal's address; else empty."""
    if "-clients." not in (urlsplit(url).hostname or ""):
        return ""
    return (
        "; that is the customers' portal, not the API: its name is usually …-admin.bluerocktel.net"
    )
