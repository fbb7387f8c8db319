"""Names to ids: priorities, categories, sub-categories, teams, statuses (the cookbook's step 1),
and the user whose the ticket shall be."""

from __future__ import annotations

import math
import threading
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from brtel_notify.api.cache import Cache
from brtel_notify.api.client import Client
from brtel_notify.api.exceptions import ApiError, Forbidden, NotFound, Refused
from brtel_notify.api.records import User
from brtel_notify.config.schema import Config
from brtel_notify.config.tree import nearest
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.tickets.settings import Settings

#: The list of the API that each setting's name is looked up in.
LISTS = {
    "priority": "priorities",
    "category": "categories",
    "sub_category": "sub_categories",
    "team": "support_teams",
    "status": "statuses",
}

#: The assignee that is none: the ticket is free to be taken.
NOBODY = "nobody"

#: Seconds for which it is believed that there is no user of a name.
NO_USER = 600.0

#: Seconds for which a list that was just fetched is not asked for again, whatever is missing.
FRESH = 60.0

#: …and after so many is asked for again all the same, if BlueRockTEL refuses what it says.
JUST_NOW = 5.0

Row = Dict[str, Any]
#: What a row of a sub-category also says.
_IDS = ("category_id", "priority_id", "support_team_id")


class Names:
    """The instance's lists, fetched when first needed and believed for ``customer.cache``."""

    def __init__(self, config: Config, client: Client, cache: Cache) -> None:
        self.config = config
        self.client = client
        self.cache = cache
        self._fresh: Dict[str, Tuple[float, List[Row]]] = {}
        self._failed: Dict[str, Tuple[int, Optional[ApiError]]] = {}
        self._lock = threading.Lock()

    def ids(self, settings: Settings) -> Dict[str, Optional[int]]:
        """The ids of the settings' names, by setting.

        A name in a rule or severity that BlueRockTEL does not have gives way to the one of
        ``ticket``, and is named in ``settings.problems``: the alert is worth more than its
        category. Raises ApiError; ConfigError for such a name in ``ticket`` itself.
        """
        category, sub_category = self._pair(settings)
        priority = self._or_base("priority", settings)
        team = self._or_base("team", settings)
        return {
            "priority": self.own_priority(sub_category, settings) if priority is None else priority,
            "category": category,
            "sub_category": sub_category,
            "team": self._own_team(sub_category) if team is None else team,
            "status": self._or_base("status", settings),
        }

    def own_priority(self, sub_category: Optional[int], settings: Settings) -> int:
        """The sub-category's own priority, where the configuration gives none.

        One that has none gives way to the sub-category of ``ticket``. Raises ApiError, ConfigError.
        """
        rows: List[Row] = []
        for refresh in (False, True):
            rows = self._rows(LISTS["sub_category"], refresh)
            own = _row(rows, sub_category).get("priority_id")
            if own is not None:
                return int(own)
        key = settings.keys["sub_category"]
        text = f"{self.config.where(key)}: {key}: has no priority of its own in BlueRockTEL"
        text += f", and {settings.keys['priority']} is null"
        if key == "ticket.sub_category":
            raise ConfigError(text)
        settings.problems.append(text)
        own = _row(rows, self._base_pair()[1]).get("priority_id")
        if own is None:
            raise ConfigError(text)
        return int(own)

    def _own_team(self, sub_category: Optional[int]) -> Optional[int]:
        """The sub-category's own team, if the list of them is known: it is worth no call."""
        known = self.cache.get("names", LISTS["sub_category"], math.inf)
        fetched = self._fresh.get(LISTS["sub_category"], (0.0, []))[1]
        rows: List[Row] = known if known and _is_list_of_names(known) else fetched
        own = _row(rows, sub_category).get("support_team_id")
        return None if own is None else int(own)

    def _or_base(self, name: str, settings: Settings) -> Optional[int]:
        try:
            return self.id(name, settings.values[name], settings.keys[name])
        except ConfigError as error:
            if settings.keys[name] == f"ticket.{name}":
                raise
            settings.problems.append(str(error))
            return self.id(name, getattr(self.config.ticket, name), f"ticket.{name}")

    def _pair(self, settings: Settings) -> Tuple[Optional[int], Optional[int]]:
        """Category and sub-category: the one is looked up within the other."""
        values, keys = settings.values, settings.keys
        try:
            category = self.id("category", values["category"], keys["category"])
            return category, self.id(
                "sub_category", values["sub_category"], keys["sub_category"], category
            )
        except ConfigError as error:
            if keys["category"] == "ticket.category" and (
                keys["sub_category"] == "ticket.sub_category"
            ):
                raise
            settings.problems.append(str(error))
        return self._base_pair()

    def _base_pair(self) -> Tuple[Optional[int], Optional[int]]:
        """The pair of ``ticket``, to which a wrong one gives way."""
        base = self.config.ticket
        category = self.id("category", base.category, "ticket.category")
        return category, self.id("sub_category", base.sub_category, "ticket.sub_category", category)

    def id(self, name: str, wanted: Any, key: str, category: Optional[int] = None) -> Optional[int]:
        """The id of what the configuration's KEY names, a sub-category within its CATEGORY.

        Raises ApiError; ConfigError with the place of the key and the name that was meant.
        """
        if wanted is None:
            return None
        if isinstance(wanted, int):
            return self._known_id(name, wanted, key)
        rows: List[Row] = []
        there: List[Row] = []
        for refresh in (False, True):
            rows = self._rows(LISTS[name], refresh)
            if category is not None:
                rows = [row for row in rows if row.get("category_id") in (category, None)]
            # What is not in use any more still stands in the list.
            there = [row for row in rows if _same(row["name"], wanted)]
            named = [row for row in there if row["active"]]
            if named:
                alike = [row for row in named if row["name"].strip() == wanted.strip()]
                return int((alike or named)[0]["id"])
        if there:
            where = self.config.where(key)
            raise ConfigError(f"{where}: {key}: '{wanted}' is not in use any more in BlueRockTEL")
        hint = nearest(wanted, [row["name"] for row in rows if row["active"]])
        within = " within its category" if category is not None else ""
        raise ConfigError(
            f"{self.config.where(key)}: {key}: '{wanted}' is unknown to BlueRockTEL{within}{hint}"
        )

    def _known_id(self, name: str, wanted: int, key: str) -> int:
        """An id of the configuration, unless what was once fetched shows that there is none.

        What an alert says is looked up all the same: nobody has proved it.
        """
        if key.startswith("vars."):
            rows: Any = self._rows(LISTS[name], refresh=False)
        else:
            rows = self.cache.get("names", LISTS[name], self.config.customer.cache)
        if rows and _is_list_of_names(rows) and wanted not in {row["id"] for row in rows}:
            where = self.config.where(key)
            raise ConfigError(f"{where}: {key}: BlueRockTEL has none with the id {wanted}")
        return wanted

    def assignee_of(self, settings: Settings) -> Optional[int]:
        """The id of the user whose a ticket with SETTINGS shall be; None: nobody.

        One that a rule or severity names and BlueRockTEL does not have gives way to the one of
        ``ticket``. Raises ApiError; ConfigError.
        """
        try:
            return self.assignee(settings.values["assignee"], settings.keys["assignee"])
        except ConfigError as error:
            base = self.config.ticket.assignee
            if base is None or settings.keys["assignee"] == "ticket.assignee":
                raise
            settings.problems.append(str(error))
        return self.assignee(base, "ticket.assignee")

    def assignee(self, wanted: Any, key: str, again: bool = False) -> Optional[int]:
        """The id of the user whom the configuration's KEY names; None: nobody.

        Asked once, and believed for ``customer.cache``; that there is no such user for a short
        while, unless it is to be asked AGAIN. Raises ApiError; ConfigError.
        """
        if isinstance(wanted, int):
            return wanted
        if _same(wanted, NOBODY):
            return None
        known = self.cache.get("user", wanted, self.config.customer.cache)
        if type(known) is int:
            return known
        if not again:
            unknown = self.cache.get("no-user", wanted, min(self.config.customer.cache, NO_USER))
            if isinstance(unknown, str):
                raise ConfigError(unknown)
        try:
            user = self._user(wanted, f"{self.config.where(key)}: {key}")
        except ConfigError as error:
            self.cache.put("no-user", wanted, str(error))
            raise
        self.cache.put("user", wanted, user.id)
        return user.id

    def _user(self, wanted: str, where: str) -> User:
        """The one active user of that name or e-mail address; WHERE begins what is said of none."""
        what = "email" if "@" in wanted else "name"
        try:
            found = self._users_like(what, wanted) or self.client.users()
        except (NotFound, Refused) as error:
            self.client.prove_itself(error)
            text = f"{where}: '{wanted}' cannot be looked up, give the user's id: {error}"
            raise ConfigError(text) from None
        alike = [each for each in found if each.active and _same(getattr(each, what), wanted)]
        if len(alike) == 1:
            return alike[0]
        if alike:
            ids = ", ".join(str(each.id) for each in alike)
            raise ConfigError(f"{where}: several users are called '{wanted}': give an id ({ids})")
        hint = nearest(wanted, [getattr(each, what) for each in found if each.active])
        if not hint.startswith("; did"):  # who works there is nobody's business
            hint = " (`brtel-notify discover --users` lists them; null leaves it to the API's user)"
        raise ConfigError(f"{where}: BlueRockTEL has no active user '{wanted}'{hint}")

    def _users_like(self, what: str, wanted: str) -> List[User]:
        try:
            return self.client.users(**{what: wanted})
        except (NotFound, Refused, ValueError):  # no such filter here, or one that a comma splits
            return []

    def problems(self, key: str, values: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong with the names and ids that stand below KEY of the configuration.

        Raises ApiError.
        """
        for name in LISTS:
            self._rows(LISTS[name], refresh=False)
        category: Optional[int] = None
        wanted = {**self._other_half(values), **values}
        for name in LISTS:
            if wanted.get(name) is None:
                continue
            within = category if name == "sub_category" else None
            try:
                found = self.id(name, wanted[name], f"{key}.{name}", within)
            except ConfigError as error:
                yield str(error)
                continue
            if name == "category":
                category = found
        yield from self._problems_of_priority(key, wanted)
        yield from self._problems_of_assignee(values.get("assignee"), f"{key}.assignee")

    def _problems_of_priority(self, key: str, wanted: Mapping[str, Any]) -> Iterator[str]:
        """Whether a sub-category has to give a priority, and has none."""
        priority = wanted.get("priority", self.config.ticket.priority)
        if priority is not None or wanted.get("sub_category") is None:
            return
        settings = Settings({}, {})
        settings.set({**vars(self.config.ticket)}, "ticket")
        settings.set({**wanted, "priority": None}, key)
        try:
            _, sub_category = self._pair(settings)
            self.own_priority(sub_category, settings)
        except ConfigError as error:
            settings.problems.append(str(error))
        yield from (text for text in settings.problems if "priority of its own" in text)

    def _problems_of_assignee(self, wanted: Any, key: str) -> Iterator[str]:
        try:
            number = None if wanted is None else self.assignee(wanted, key, again=True)
            if isinstance(wanted, int) and number is not None and not self._has_user(number):
                where = self.config.where(key)
                yield f"{where}: {key}: BlueRockTEL has no user with the id {wanted}"
        except ConfigError as error:
            yield str(error)

    def _has_user(self, number: int) -> bool:
        """Whether there is such a user; where that cannot be asked, it is believed."""
        try:
            self.client.user(number)
        except NotFound as error:
            self.client.prove_itself(error)
            return "route" in error.problem
        except (Forbidden, Refused):
            pass
        return True

    def _other_half(self, values: Mapping[str, Any]) -> Dict[str, Any]:
        """What ``ticket`` adds where a rule sets only category or only sub-category.

        Unless another rule sets only a sub-category: then the two may be meant to go together.
        """
        base = self.config.ticket
        if "sub_category" in values:
            return {"category": base.category}
        alone = [r.set for r in self.config.rules if "sub_category" in r.set]
        completed = any("category" not in settings for settings in alone)
        return {"sub_category": base.sub_category} if "category" in values and not completed else {}

    def forget_users(self) -> None:
        """BlueRockTEL refused one of them."""
        self.cache.clear("user")

    def forget(self) -> None:
        """BlueRockTEL refused an id: what was not fetched just now may be out of date."""
        with self._lock:
            now = self.cache.clock()
            new = [kind for kind, (at, _) in self._fresh.items() if 0 <= now - at < JUST_NOW]
            self._fresh = {kind: self._fresh[kind] for kind in new}
            self.cache.clear("names")
            for kind in new:
                self.cache.put("names", kind, self._fresh[kind][1])

    def rows(self, name: str) -> List[Row]:
        """The instance's list for a setting, fetched now. Raises ApiError."""
        return self._rows(LISTS[name], refresh=True)

    def _rows(self, kind: str, refresh: bool) -> List[Row]:
        """A list; asked of the server at most once by this process, however many ask."""
        failures, _ = self._failed.get(kind, (0, None))
        with self._lock:
            fetched_at, fresh = self._fresh.get(kind, (0.0, []))
            if 0 <= self.cache.clock() - fetched_at < FRESH:
                return fresh
            known = None
            if not refresh:
                known = self.cache.get("names", kind, self.config.customer.cache)
            if known is not None and _is_list_of_names(known):
                return list(known)
            count, error = self._failed.get(kind, (0, None))
            if error is not None and count != failures:
                # Another thread failed while this one waited for it: once is enough.
                raise error
            rows = self._fetched(kind, count)
            self._fresh[kind] = (self.cache.clock(), rows)
            self.cache.put("names", kind, rows)
            return rows

    def _fetched(self, kind: str, failures: int) -> List[Row]:
        try:
            return [row._asdict() for row in getattr(self.client, kind)()]
        except (NotFound, Refused) as error:  # every instance has these lists
            where = self.config.where("api.url")
            raise ConfigError(f"{where}: api.url: is this the API? {error}") from None
        except ApiError as error:
            self._failed[kind] = (failures + 1, error)
            raise


def _row(rows: List[Row], number: Optional[int]) -> Row:
    return next((row for row in rows if row["id"] == number), {})


def _same(name: str, wanted: str) -> bool:
    return name.strip().casefold() == wanted.strip().casefold()


def _is_list_of_names(rows: Any) -> bool:
    """Whether what the cache gave is what was put there."""
    return isinstance(rows, list) and all(
        isinstance(row, dict)
        and type(row.get("id")) is int
        and isinstance(row.get("name"), str)
        and type(row.get("active")) is bool
        and all(type(row.get(name)) in (int, type(None)) for name in _IDS)
        for row in rows
    )
