"""Names to ids: each list fetched once, a slip named, an alert never lost to one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, cast

import pytest

from brtel_notify.api.cache import Cache
from brtel_notify.api.client import Client
from brtel_notify.api.credentials import Credentials
from brtel_notify.api.exceptions import ApiError, Unreachable
from brtel_notify.api.records import Named, SubCategory
from brtel_notify.config.schema import SETTABLE, Config, load
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.tickets.ids_of_names import Names
from brtel_notify.tickets.settings import Settings

CONFIG = """\
api:
  url: https://a.example/api
  token: t
ticket:
  priority: high
  category: INFRASTRUCTURE
  sub_category: pbx / 3cx
  team: Systems
severities:
  critical:
    priority: Urgnt
  warning: {priority: Low, team: null, category: 3, sub_category: 13}
rules:
  - when: "true"
    set:
      category: Backups
      sub_category: Failed
  - when: "true"
    set:
      category: Bakups
      team: On call
  - when: "true"
    set: {sub_category: Failed}
  - when: "true"
    set: {category: Telephony, sub_category: Other, status: In progress}
"""


class Lists:
    """A client that has only lists, and counts who asks for them."""

    def __init__(self) -> None:
        self.lists: Dict[str, List[Any]] = {
            "priorities": [Named(1, "Low"), Named(2, "High "), Named(3, "Urgent")],
            "categories": [Named(1, "Telephony"), Named(3, "Backups"), Named(5, "Infrastructure")],
            "sub_categories": [
                SubCategory(14, "Other", 1),
                SubCategory(12, "PBX / 3CX", 5),
                SubCategory(13, "Failed", 3),
                SubCategory(15, "Other", 5),
            ],
            "support_teams": [Named(1, "Systems"), Named(2, "On-call")],
            "statuses": [Named(2, "In progress")],
        }
        self.asked: List[str] = []
        self.error: Optional[ApiError] = None
        self.hold = threading.Event()
        self.hold.set()

    def __getattr__(self, kind: str) -> Any:
        def fetch() -> List[Any]:
            self.asked.append(kind)
            self.hold.wait(30)
            if self.error is not None:
                raise self.error
            return list(self.lists[kind])

        return fetch


class Site:
    def __init__(self, folder: Path, client: Any) -> None:
        self.folder = folder
        self.client = client
        self.now = 1_700_000_000.0
        path = folder / "config.yml"
        path.write_text(CONFIG)
        self.config: Config = load(str(path), {})

    @property
    def cache(self) -> Cache:
        return Cache(str(self.folder), self.config.api.url, lambda: self.now)

    def names(self) -> Names:
        """As another process on the same state folder has them."""
        return Names(self.config, cast(Client, self.client), self.cache)

    def settings(self, *more: str) -> Settings:
        """The settings of ``ticket``, then those of the keys named."""
        settings = Settings({}, {})
        settings.set({name: getattr(self.config.ticket, name) for name in SETTABLE}, "ticket")
        for key in more:
            if key.startswith("severities."):
                settings.set(self.config.severities[key.partition(".")[2]], key)
            else:
                number = int(key.partition("[")[2].partition("]")[0])
                settings.set(self.config.rules[number].set, key)
        return settings

    def line(self, text: str) -> str:
        """``file:line`` of a line of the configuration."""
        number = CONFIG.splitlines().index(text) + 1
        return f"{self.folder}/config.yml:{number}"


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
def site(tmp_path: Path, lists: Lists) -> Site:
    return Site(tmp_path, lists)


BASE = {"priority": 2, "category": 5, "sub_category": 12, "team": 1, "status": None}


# --- names ----------------------------------------------------------------------------------------


def test_names_become_ids_whatever_their_case(site: Site) -> None:
    settings = site.settings()
    assert site.names().ids(settings) == BASE
    assert settings.problems == []


def test_ids_pass_through_and_cost_no_call(site: Site, lists: Lists) -> None:
    settings = Settings({}, {})
    values = {"priority": 7, "category": 8, "sub_category": 9, "team": 10, "status": None}
    settings.set(values, "ticket")
    assert site.names().ids(settings) == values
    assert lists.asked == []


def test_severities_and_rules_go_over_the_ticket(site: Site) -> None:
    ids = site.names().ids(site.settings("severities.warning"))
    assert ids == {**BASE, "priority": 1, "category": 3, "sub_category": 13, "team": None}
    ids = site.names().ids(site.settings("rules[0].set"))
    assert ids == {**BASE, "category": 3, "sub_category": 13}


def test_sub_category_is_the_one_of_its_category(site: Site) -> None:
    names = site.names()
    ids = names.ids(site.settings("rules[3].set"))
    assert ids == {**BASE, "category": 1, "sub_category": 14, "status": 2}
    assert names.id("sub_category", "other", "ticket.sub_category", 5) == 15


def test_sub_category_whose_category_is_not_said_fits_every_one(site: Site, lists: Lists) -> None:
    lists.lists["sub_categories"] = [SubCategory(12, "PBX / 3CX", None)]
    assert site.names().ids(site.settings()) == BASE


def test_same_spelling_is_preferred_to_the_same_word(site: Site, lists: Lists) -> None:
    lists.lists["priorities"] = [Named(8, "HIGH"), Named(2, "high"), Named(9, "High")]
    assert site.names().ids(site.settings())["priority"] == 2


# --- unknown names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "line", "says"),
    [
        (
            "priority",
            "priorities",
            "  priority: high",
            "ticket.priority: 'high' is unknown to BlueRockTEL; did you mean 'Higher'?",
        ),
        (
            "category",
            "categories",
            "  category: INFRASTRUCTURE",
            "ticket.category: 'INFRASTRUCTURE' is unknown to BlueRockTEL; known are: Higher",
        ),
        (
            "team",
            "support_teams",
            "  team: Systems",
            "ticket.team: 'Systems' is unknown to BlueRockTEL; known are: Higher",
        ),
    ],
)
def test_unknown_name_of_the_ticket_is_an_error_with_its_place(
    site: Site, lists: Lists, name: str, kind: str, line: str, says: str
) -> None:
    lists.lists[kind] = [Named(4, "Higher")]
    with pytest.raises(ConfigError) as raised:
        site.names().ids(site.settings())
    assert str(raised.value) == f"{site.line(line)}: {says}"


def test_unknown_sub_category_is_looked_for_within_its_category(site: Site, lists: Lists) -> None:
    lists.lists["sub_categories"] = [SubCategory(12, "PBX / 3CX", 1), SubCategory(11, "PBX", 5)]
    with pytest.raises(ConfigError) as raised:
        site.names().ids(site.settings())
    assert str(raised.value) == (
        f"{site.line('  sub_category: pbx / 3cx')}: ticket.sub_category: 'pbx / 3cx' is unknown to"
        " BlueRockTEL within its category; known are: PBX"
    )


def test_empty_list_of_the_instance_is_said_plainly(site: Site, lists: Lists) -> None:
    lists.lists["priorities"] = []
    with pytest.raises(ConfigError, match=r"ticket\.priority: 'high' is unknown to BlueRockTEL$"):
        site.names().ids(site.settings())


def test_unknown_name_of_a_severity_gives_way_to_the_tickets(site: Site) -> None:
    settings = site.settings("severities.critical")
    assert site.names().ids(settings) == BASE
    assert settings.problems == [
        f"{site.line('    priority: Urgnt')}: severities.critical.priority: 'Urgnt' is unknown to"
        " BlueRockTEL; did you mean 'Urgent'?"
    ]


def test_unknown_names_of_a_rule_give_way_each_for_itself(site: Site) -> None:
    settings = site.settings("severities.critical", "rules[1].set")
    assert site.names().ids(settings) == BASE
    assert [problem.partition(": ")[2] for problem in settings.problems] == [
        "rules[1].set.category: 'Bakups' is unknown to BlueRockTEL; did you mean 'Backups'?",
        "severities.critical.priority: 'Urgnt' is unknown to BlueRockTEL; did you mean 'Urgent'?",
        "rules[1].set.team: 'On call' is unknown to BlueRockTEL; did you mean 'On-call'?",
    ]
    assert settings.problems[0].startswith(f"{site.line('      category: Bakups')}: ")


def test_sub_category_of_another_category_gives_way_with_it(site: Site) -> None:
    settings = site.settings("rules[2].set")
    assert site.names().ids(settings) == BASE
    (problem,) = settings.problems
    assert "rules[2].set.sub_category: 'Failed' is unknown to BlueRockTEL within" in problem


def test_problems_are_all_that_is_wrong_below_a_key(site: Site) -> None:
    names = site.names()
    assert list(names.problems("ticket", {"priority": "high", "category": 5})) == []
    found = list(names.problems("rules[1].set", site.config.rules[1].set))
    assert len(found) == 2
    (wrong,) = names.problems("severities.warning", {"priority": 99})
    assert wrong == (
        f"{site.folder}/config.yml:12: severities.warning.priority: BlueRockTEL has none with the"
        " id 99"
    )
    (outside,) = names.problems("rules[2].set", site.config.rules[2].set)
    assert "within its category" in outside


# --- fetched, remembered --------------------------------------------------------------------------


def test_lists_are_remembered_between_processes_until_they_are_old(
    site: Site, lists: Lists
) -> None:
    site.names().ids(site.settings())
    assert sorted(lists.asked) == ["categories", "priorities", "sub_categories", "support_teams"]
    assert site.names().ids(site.settings()) == BASE
    assert len(lists.asked) == 4
    site.now += site.config.customer.cache + 1
    assert site.names().ids(site.settings()) == BASE
    assert len(lists.asked) == 8


def test_name_that_is_new_refreshes_its_list_once(site: Site, lists: Lists) -> None:
    site.names().ids(site.settings())
    lists.asked.clear()
    lists.lists["priorities"].append(Named(9, "Urgnt"))
    names = site.names()
    settings = site.settings("severities.critical")
    assert names.ids(settings)["priority"] == 9
    assert settings.problems == []
    assert lists.asked == ["priorities"]
    names.ids(settings)
    assert site.names().ids(settings)["priority"] == 9  # the cache knows it now
    assert lists.asked == ["priorities"]


def test_name_that_is_unknown_refreshes_its_list_once(site: Site, lists: Lists) -> None:
    site.names().ids(site.settings())
    lists.asked.clear()
    names = site.names()
    for _ in range(3):
        names.ids(site.settings("severities.critical"))
    assert lists.asked == ["priorities"]


@pytest.mark.parametrize(
    "known",
    [
        "text",
        {"id": 2},
        [5],
        [{}],
        [{"id": 2}],
        [{"id": "2", "name": "High"}],
        [{"id": True, "name": "High"}],
        [{"id": 2, "name": None}],
        [{"id": 2, "name": "High", "category_id": "5"}],
    ],
)
def test_remembered_list_that_makes_no_sense_is_fetched_anew(
    site: Site, lists: Lists, known: Any
) -> None:
    for kind in lists.lists:
        site.cache.put("names", kind, known)
    assert site.names().ids(site.settings()) == BASE


def test_rows_are_fetched_now(site: Site, lists: Lists) -> None:
    site.names().ids(site.settings())
    lists.lists["priorities"] = [Named(9, "New")]
    assert site.names().rows("priority") == [{"id": 9, "name": "New", "active": True}]


def in_threads(names: Names, site: Site, lists: Lists, count: int = 8) -> List[Any]:
    """What each of several threads gets that want the priority while the first is waiting."""
    results: List[Any] = []
    lists.hold.clear()

    def ask() -> None:
        try:
            results.append(names.id("priority", "high", "ticket.priority"))
        except ApiError as error:
            results.append(error)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    lists.hold.set()
    for thread in threads:
        thread.join()
    return results


def test_many_threads_fetch_once(site: Site, lists: Lists) -> None:
    assert in_threads(site.names(), site, lists) == [2] * 8
    assert lists.asked == ["priorities"]


def test_threads_that_waited_for_a_failure_do_not_repeat_it(
    site: Site, lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage is cheap: one time-out, whoever wanted the list."""
    names = site.names()
    lists.error = Unreachable("GET", "/v1/ticketing/priorities", None, "time-out", retry=True)
    waiting = threading.Barrier(3)
    real = names._lock

    class Gate:
        """Lets nobody have the lock before everybody wants it."""

        def __enter__(self) -> None:
            waiting.wait(30)
            real.acquire()

        def __exit__(self, *_: object) -> None:
            real.release()

    monkeypatch.setattr(names, "_lock", Gate())
    assert in_threads(names, site, lists, 3) == [lists.error] * 3
    assert lists.asked == ["priorities"]
    monkeypatch.setattr(names, "_lock", real)
    lists.error = None
    assert names.id("priority", "high", "ticket.priority") == 2  # later, it is tried again


# --- the real client, against the sandbox ---------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess() as running:
        yield running


def test_names_against_the_sandbox(tmp_path: Path, sandbox: SandboxProcess) -> None:
    with Client(sandbox.url, Credentials(token=sandbox.token)) as client:
        site = Site(tmp_path, client)
        assert site.names().ids(site.settings()) == BASE
        settings = site.settings("severities.critical", "rules[1].set")
        assert site.names().ids(settings) == BASE
        assert len(settings.problems) == 3
        assert site.names().ids(site.settings("rules[3].set"))["sub_category"] == 14
        problems = list(site.names().problems("rules[0].set", site.config.rules[0].set))
        assert problems == []
