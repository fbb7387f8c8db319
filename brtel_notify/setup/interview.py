"""The questions whose answers make a configuration, in their order. Nothing is written here."""

from __future__ import annotations

import argparse
import os
from typing import Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from brtel_notify.api.client import Client
from brtel_notify.api.exceptions import ApiError
from brtel_notify.api.records import Customer, Named, SubCategory
from brtel_notify.options import Stop
from brtel_notify.setup import assignee, choices, find_api
from brtel_notify.setup.answers import Answers, Fallback, Filed
from brtel_notify.setup.choices import Choice
from brtel_notify.setup.find_api import Lists, Way
from brtel_notify.setup.sign_in import SignIn
from brtel_notify.setup.terminal import Question, Terminal, Wrong
from brtel_notify.tickets.ids_of_names import NOBODY

LANGUAGES = ("en", "fr")
NONE = "none"
#: A customer search answers with so many at most (BlueRockTEL's cookbook).
MOST_CUSTOMERS = 15


class Interview:
    """One run of the questions; GIVEN are the flags, FOLDER is where a secret's file is put.

    Paths are those of the machine whose root folder is ROOT.
    """

    def __init__(
        self,
        terminal: Terminal,
        given: argparse.Namespace,
        environ: Mapping[str, str],
        folder: str,
        root: str = "/",
    ) -> None:
        self.terminal = terminal
        self.given = given
        self.environ = environ
        self._sign_in = SignIn(terminal, given, environ, folder, root)
        self._hits: List[Choice] = []

    def answers(self) -> Answers:
        """All answers. Raises Stop, EOFError, KeyboardInterrupt."""
        given = self.given
        way = Way(given.ca_file and os.path.abspath(given.ca_file), given.proxy)
        url = self._address(way)
        secret, client, lists = self._sign_in.settle(url, way)
        with client:
            priority = self._priority(lists.priorities)
            category, sub_category = self._categories(lists)
            team = self._team(lists.teams)
            whose = self._assignee(client)
            fallback = self._fallback(client)
        return Answers(
            url=url,
            secret=secret,
            ca_file=way.ca_file,
            proxy=way.proxy,
            priority=priority,
            category=category,
            sub_category=sub_category,
            team=team,
            assignee=whose,
            fallback=fallback,
            language=self._language(),
        )

    # -- the instance

    def _address(self, way: Way) -> str:
        question = Question("Address of your BlueRockTEL, such as acme.bluerocktel.net", "--url")
        url, version = self.terminal.settle(
            question, self.given.url, lambda text: find_api.find(text, way)
        )
        if self.terminal.attended:
            self.terminal.say(f"  BlueRockTEL answers at {url}, version {version.version}")
        return url

    # -- what tickets are filed under

    def _choice(self, title: str, flag: str, given: Optional[str], known: List[Choice]) -> Choice:
        if not known:
            text = f"BlueRockTEL has nothing to choose from for {flag}: make it there first"
            raise Stop(text, os.EX_CONFIG)
        question = Question(f"{title} (number or name)", flag, lines=choices.shown(known))
        chosen = self.terminal.settle(question, given, lambda text: choices.pick(text, known))
        self._confirm(chosen.name)
        return chosen

    def _priority(self, rows: Sequence[Named]) -> Filed:
        known = _choices(rows)
        return Filed.under(
            self._choice("Priority", "--priority", self.given.priority, known), known
        )

    def _categories(self, lists: Lists) -> Tuple[Filed, Filed]:
        """The category, of those that have a sub-category, and that."""
        sub_categories = [row for row in lists.sub_categories if row.active]
        parents = {row.category_id for row in sub_categories}
        known = _choices([row for row in lists.categories if row.id in parents or None in parents])
        category = self._choice("Category", "--category", self.given.category, known)
        within = _choices(
            [row for row in sub_categories if row.category_id in (category.number, None)]
        )
        flag = "--sub-category"
        sub_category = self._choice("Sub-category", flag, self.given.sub_category, within)
        # Two categories of one name are told apart by their ids; the others may have any name.
        return Filed.under(category, _choices(lists.categories)), Filed.under(sub_category, within)

    def _team(self, rows: Sequence[Named]) -> Optional[Filed]:
        known = _choices(rows)
        if not known and self.given.team is None:
            return None
        question = Question("Team (number or name)", "--team", NONE, choices.shown(known))
        chosen = self.terminal.settle(
            question,
            self.given.team,
            lambda text: None if text.casefold() == NONE else choices.pick(text, known),
        )
        self._confirm(chosen.name if chosen else NONE)
        return Filed.under(chosen, known) if chosen else None

    def _assignee(self, client: Client) -> Optional[Filed]:
        chosen = self.terminal.settle(
            assignee.QUESTION, self.given.assignee, lambda text: assignee.meant(text, client)
        )
        if chosen is not None and chosen.value != NOBODY:
            self._confirm(chosen.name)
        return chosen

    def _confirm(self, name: str) -> None:
        if self.terminal.attended:
            self.terminal.say(f"  {name}")

    # -- customer and language

    def _fallback(self, client: Client) -> Optional[Fallback]:
        question = Question(
            f"Fallback customer (account, or a part of the name; or {NONE})",
            "--fallback",
            lines=[
                "The fallback customer gets the tickets of hosts that nobody owns.",
                f"{NONE}: such an alert opens no ticket, it is kept in dead/.",
            ],
        )
        owner = self.terminal.settle(
            question, self.given.fallback, lambda text: self._owner(text, client)
        )
        self._confirm(f"{owner.name} ({owner.account})" if owner else NONE)
        return owner

    def _owner(self, text: str, client: Client) -> Optional[Fallback]:
        """The customer that TEXT means. Raises Wrong: none, or several to choose from."""
        if not text:
            raise Wrong(f"an answer is needed: a search, or {NONE}")
        if text.casefold() == NONE:
            return None
        hit = next((each for each in self._hits if str(each.number) == text), None)
        if hit is not None:
            return Fallback(hit.other_name, hit.name)
        try:
            customer = client.customer_by_account(text)
            found = [customer] if customer else client.search_customers(text)
        except ApiError as error:
            raise find_api.explained(error, client.url) from None
        return self._chosen(text, found, is_exact=customer is not None)

    def _chosen(self, text: str, found: Sequence[Customer], is_exact: bool) -> Fallback:
        usable = [each for each in found if each.account.strip() and each.account.isprintable()]
        self._hits = [
            Choice(number, each.name, each.account) for number, each in enumerate(usable, 1)
        ]
        if not usable:
            raise Wrong(f"no customer matches '{text}'")
        same = [each for each in usable if each.name.strip().casefold() == text.casefold()]
        if len(same) == 1 or len(usable) == 1:
            one = (same or usable)[0]
            label = f"  {one.name} ({one.account})"
            # A search also finds by phone numbers and contacts: who comes alone may be anybody.
            sure = is_exact or bool(same) or not self.terminal.attended
            if not sure and not self.terminal.agrees(label, default=True):
                raise Wrong("then search for another")
            return Fallback(one.account, one.name)
        if not self.terminal.attended:
            named = [f"{choice.name} ({choice.other_name})" for choice in self._hits]
            raise Wrong(f"'{text}' matches several: {', '.join(named)}: give the account")
        for line in choices.shown(self._hits):
            self.terminal.say(f"  {line}")
        first = ", the first of them" if len(found) >= MOST_CUSTOMERS else ""
        raise Wrong(f"several match{first}: a number of these, or another search")

    def _language(self) -> str:
        default = LANGUAGES[0]
        if self.terminal.attended and _locale(self.environ).startswith("fr"):
            default = "fr"
        question = Question(
            f"Language of the tickets ({' or '.join(LANGUAGES)})", "--language", default
        )
        return self.terminal.settle(question, self.given.language, _language)


def _choices(rows: Iterable[Union[Named, SubCategory]]) -> List[Choice]:
    """What is still in use of ROWS."""
    return [Choice(row.id, row.name) for row in rows if row.active]


def _locale(environ: Mapping[str, str]) -> str:
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    return next((environ[name] for name in names if environ.get(name)), "").lower()


def _language(text: str) -> str:
    if text.lower() not in LANGUAGES:
        raise Wrong(f"'{text}' is none of {', '.join(LANGUAGES)}")
    return text.lower()
