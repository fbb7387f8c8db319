"""The question who gets the tickets: nobody, so that whoever takes one has it, or a user."""

from __future__ import annotations

import re
from typing import List, Optional

from brtel_notify.api.client import Client
from brtel_notify.api.exceptions import ApiError, Forbidden, NotFound, Refused
from brtel_notify.setup import find_api
from brtel_notify.setup.answers import Filed
from brtel_notify.setup.choices import Choice, pick
from brtel_notify.setup.terminal import Question, Wrong
from brtel_notify.tickets.ids_of_names import NOBODY

#: The API's own user, whose every ticket is that BlueRockTEL is not told whose it shall be.
API = "api"

QUESTION = Question(
    f"Who gets the tickets: {NOBODY} (free to be taken), a user's name or e-mail, or {API}"
    " (the API's own user, as BlueRockTEL does by itself)",
    "--assignee",
    NOBODY,
)
_CURE = f"a user's id, {NOBODY} or {API}"


def meant(text: str, client: Client) -> Optional[Filed]:
    """Whom TEXT means, proved against BlueRockTEL; None: the API's own user. Raises Wrong."""
    word = text.strip().casefold()
    if word == NOBODY:
        return Filed(NOBODY, "free to be taken")
    if word == API:
        return None
    try:
        return (
            _by_id(int(word), client) if re.fullmatch("[0-9]{1,18}", word) else _named(text, client)
        )
    except ApiError as error:
        raise find_api.explained(error, client.url) from None


def _by_id(number: int, client: Client) -> Filed:
    try:
        user = client.user(number)
    except (Forbidden, Refused):  # whom this user may not see
        return Filed(number, "")
    except NotFound as error:
        if "route" in error.problem:  # nor can users be seen at all
            return Filed(number, "")
        raise Wrong(f"BlueRockTEL has no user with the id {number}") from None
    if not user.active:
        raise Wrong(f"{user.name} is not active any more")
    return Filed(number, user.name)


def _named(text: str, client: Client) -> Filed:
    known = _users(client)
    chosen = pick(text, known)
    # Two of one name, or one that could be taken for an address, are told by their ids.
    named = Filed.under(chosen, known)
    return Filed(chosen.number, chosen.name) if "@" in str(named.value) else named


def _users(client: Client) -> List[Choice]:
    try:
        users = [user for user in client.users() if user.active]
    except (Forbidden, NotFound, Refused) as error:
        said = f"users cannot be listed here ({error.status})"
        raise Wrong(f"{said}: {_CURE} can be given") from None
    return [Choice(user.id, user.name, user.email) for user in users]
