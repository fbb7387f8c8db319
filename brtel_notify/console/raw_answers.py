"""Answers of BlueRockTEL as they came, and what their form says of the instance.

Everything here is asked out of curiosity: a call that is refused gives nothing, and fails nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Optional, TypeVar

from brtel_notify.api.exceptions import ApiError
from brtel_notify.api.fields import plain_list, unwrapped

if TYPE_CHECKING:
    from brtel_notify.api.client import Client

Asked = TypeVar("Asked")
Row = Dict[str, Any]

#: Names that are snake_case in either dialect, so that they tell nothing (api-notes).
_SAME_IN_BOTH = re.compile(r"_at$|^contactable_|^ticketable_")
_KEY = re.compile("[A-Za-z_][A-Za-z0-9_]{0,39}")

SNAKE, CAMEL, MIXED = "snake_case", "camelCase", "snake_case and camelCase"


class RawAnswers:
    """GETs by CLIENT, each made once. Raises ApiError where BlueRockTEL is out of reach."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: Dict[str, Any] = {}

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a call; None where it is refused."""
        name = f"{path} {sorted(params.items())}"
        if name not in self._known:
            self._known[name] = unless_refused(
                lambda: self._client.request("GET", path, params=params)
            )
        return self._known[name]

    def replies(self) -> Any:
        """The replies of the newest open ticket that has any; None where there is none."""
        rows = [row for row in rows_of(self.get("/v1/tickets")) if row.get("replies_count")]
        numbers = [row["id"] for row in rows if type(row.get("id")) is int]
        if not numbers:
            return None
        return self.get("/v1/replies", ticket_id=max(numbers), ticketId=max(numbers))


def unless_refused(ask: Callable[[], Asked]) -> Optional[Asked]:
    """What ASK gives; None where that call is refused, or answered with something else.

    Raises ApiError: an outage, or a credential that is wrong.
    """
    try:
        return ask()
    except ApiError as error:
        if error.status in (None, 401, 408, 425, 429) or error.status >= 500:
            raise
        return None


def rows_of(answer: Any) -> List[Row]:
    """The records of an answer: of a list, however it is wrapped, or the one that there is."""
    items = plain_list(answer)
    if items is None:
        record = unwrapped(answer)
        items = plain_list(record)
        if items is None:
            items = [record]
    return [item for item in items if isinstance(item, dict) and item]


def keys_of(rows: Iterable[Row]) -> List[str]:
    """The names of the fields of ROWS, which are BlueRockTEL's; nothing that they hold."""
    return sorted({key for row in rows for key in row if _KEY.fullmatch(str(key))})


def dialect_of(keys: Iterable[str]) -> str:
    """Which dialect these names are of; empty where none of them tells."""
    told = [key for key in keys if not _SAME_IN_BOTH.search(key)]
    snake = any("_" in key.strip("_") for key in told)
    camel = any(key != key.lower() for key in told)
    return (MIXED if camel else SNAKE) if snake else (CAMEL if camel else "")


def form_of(answer: Any) -> str:
    """How a list comes; empty where ANSWER is none."""
    if isinstance(answer, list):
        return "bare"
    if not isinstance(answer, dict) or plain_list(answer) is None:
        return ""
    paged = {"meta", "last_page", "current_page", "next_page_url"} & set(answer)
    return "by the page" if paged else '{"data": …}'
