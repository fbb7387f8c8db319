"""Who owns the host: every way of the cookbook, in the configured order, never by a guess."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

import pytest

from brtel_notify.api.cache import Cache
from brtel_notify.api.client import Client
from brtel_notify.api.credentials import Credentials
from brtel_notify.api.exceptions import ApiError, NotFound, Refused, Unreachable
from brtel_notify.api.records import Customer, PbxHost
from brtel_notify.config.schema import Config, load
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.sandbox.testing import SandboxProcess
from brtel_notify.tickets.customer import NOBODY, Owner, Owners

CONFIG = """\
api: {url: "https://a.example/api", token: t}
ticket: {priority: 1, category: 1, sub_category: 1}
customer:
  cache: 1h
"""

ACME = Customer(42, "Acme Telecom SAS", "CL2385", {"vip": True})
LUMIERE = Customer(7, "Lumière Optique", "CL000007")
DESK = Customer(1, "Support desk", "CL000001")
HORIZONS = [Customer(200 + n, f"Horizon {n}", f"CL000{200 + n}") for n in range(15)]


def host(name: str, *customers: Customer, active: bool = True, address: str = "") -> PbxHost:
    return PbxHost(1, name, active, customers, address)


@dataclass
class Phonebook:
    """A Directory written by hand, which remembers what it was asked."""

    customers: List[Customer] = field(default_factory=list)
    hosts: List[PbxHost] = field(default_factory=list)
    finds: Dict[str, List[Customer]] = field(default_factory=dict)
    errors: Dict[str, ApiError] = field(default_factory=dict)
    asked: List[Tuple[str, str]] = field(default_factory=list)

    def _note(self, what: str, value: str) -> None:
        self.asked.append((what, value))
        if what in self.errors:
            raise self.errors[what]

    def customer_by_account(self, account: str, whole: bool = False) -> Optional[Customer]:
        self._note("account", account)
        return next((each for each in self.customers if each.account == account), None)

    def search_customers(self, term: str) -> List[Customer]:
        self._note("search", term)
        return self.finds.get(term, [])

    def pbx_host(self, host_name: str, address: str = "") -> Optional[PbxHost]:
        self._note("pbx", host_name)
        return next((each for each in self.hosts if each.host_name == host_name), None)

    def pbx_hosts_at(self, address: str) -> List[PbxHost]:
        self._note("pbx at", address)
        return [each for each in self.hosts if each.address == address]

    def pbx_hosts_of(self, customer: Customer) -> List[PbxHost]:
        self._note("hosts of", customer.account)
        return [each for each in self.hosts if customer in each.customers]


class Site:
    """The lookups of one configuration, on one state folder."""

    def __init__(self, folder: Path, directory: Union[Phonebook, Client]) -> None:
        self.folder = folder
        self.directory: Any = directory
        self.said: List[str] = []
        self.now = 1_700_000_000.0
        self.vars: Dict[str, str] = {}
        self.addresses: Dict[str, str] = {}

    def config(self, more: str = "") -> Config:
        path = self.folder / "config.yml"
        path.write_text(CONFIG + more)
        return load(str(path), {})

    def owners(self, more: str = "") -> Owners:
        config = self.config(more)
        cache = Cache(str(self.folder), config.api.url, lambda: self.now)
        return Owners(config, self.directory, cache, self.said.append)

    def find(self, name: str, more: str = "", address: str = "") -> Optional[Owner]:
        known = {"{{ vars.CUSTOMER_ACCOUNT }}": self.vars.get("CUSTOMER_ACCOUNT", "")}
        if name in self.addresses:
            known["{{ address }}"] = self.addresses[name]
        return self.owners(more).find(name, address, lambda text: known.get(text, name))

    def how(self, name: str, more: str = "", address: str = "") -> Tuple[str, str]:
        owner = self.find(name, more, address)
        return (owner.account, owner.how) if owner else ("", "")


@pytest.fixture
def book() -> Phonebook:
    return Phonebook([ACME, LUMIERE, DESK], [host("acme.3cx.fr", ACME)])


@pytest.fixture
def site(tmp_path: Path, book: Phonebook) -> Site:
    return Site(tmp_path, book)


def only(way: str) -> str:
    return f'  lookup: [{{{way}: "{{{{ host }}}}"}}]\n'


# --- the chain ------------------------------------------------------------------------------------


def test_first_way_that_gives_a_customer_is_taken(site: Site, book: Phonebook) -> None:
    hosts = "  hosts: {Acme.3CX.fr: CL000007}\n"
    site.vars["CUSTOMER_ACCOUNT"] = "CL000001"
    assert site.how("acme.3cx.fr", hosts) == ("CL000007", "hosts")
    assert site.how("acme.3cx.fr") == ("CL000001", "account")
    site.vars.clear()
    assert site.how("acme.3cx.fr") == ("CL2385", "pbx")
    book.finds["cl2385"] = [ACME]
    assert site.how("cl2385") == ("CL2385", "search")
    assert site.how("nobody") == ("", "")


def test_order_is_the_configurations(site: Site) -> None:
    site.vars["CUSTOMER_ACCOUNT"] = "CL000001"
    order = '  lookup: [{pbx: "{{ host }}"}, {account: "{{ vars.CUSTOMER_ACCOUNT }}"}]\n'
    assert site.how("acme.3cx.fr", order) == ("CL2385", "pbx")
    assert site.how("sw1", order) == ("CL000001", "account")


def test_way_without_a_value_costs_no_call(site: Site, book: Phonebook) -> None:
    owners = site.owners()
    assert owners.find("sw1", "", lambda text: " ") is None
    assert book.asked == []


def test_unknown_account_is_said_and_the_next_way_taken(site: Site) -> None:
    site.vars["CUSTOMER_ACCOUNT"] = "CL999"
    hosts = "  hosts: {acme.3cx.fr: CL888}\n"
    assert site.how("acme.3cx.fr", hosts) == ("CL2385", "pbx")
    assert site.said == [
        "acme.3cx.fr: no customer has the account CL888 (hosts)",
        "acme.3cx.fr: no customer has the account CL999 (account)",
    ]


@pytest.mark.parametrize("kind", [Refused, NotFound])
@pytest.mark.parametrize("way", ["account", "pbx", "search"])
def test_value_that_the_server_refuses_does_not_cost_the_ticket(
    site: Site, book: Phonebook, kind: Any, way: str
) -> None:
    """What an alert says, such as a customer's account of 300 characters, is data."""
    book.errors[way] = kind("GET", "/v1/customers", 422, "The value is invalid.")
    chain = f'  lookup: [{{{way}: "{{{{ host }}}}"}}, hosts]\n  hosts: {{odd: CL2385}}\n'
    if way == "account":
        assert site.how("odd", only(way)) == ("", "")
    else:
        assert site.how("odd", chain) == ("CL2385", "hosts")
    (line,) = site.said
    assert line.startswith(f"odd: the lookup by {way} 'odd' was refused: ")
    assert "The value is invalid." in line


def test_server_that_is_away_is_no_answer(site: Site, book: Phonebook) -> None:
    book.errors["pbx"] = Unreachable("GET", "/v1/pbx3cx-hosts/lookup", None, "refused", retry=True)
    with pytest.raises(Unreachable):
        site.find("acme.3cx.fr", "  fallback: CL000001\n")


# --- C, the PBX host ------------------------------------------------------------------------------


def test_host_that_is_no_pbx_is_said(site: Site) -> None:
    assert site.find("sw1", only("pbx")) is None
    assert site.said == ["sw1: is no PBX host in BlueRockTEL"]


def test_host_without_a_customer_is_nobodys(site: Site, book: Phonebook) -> None:
    book.hosts = [host("nobody.3cx.fr")]
    assert site.find("nobody.3cx.fr", only("pbx")) is None
    (line,) = site.said
    assert line == "nobody.3cx.fr: is a PBX host in BlueRockTEL, but linked to no customer"


def test_inactive_host_still_has_its_customer(site: Site, book: Phonebook) -> None:
    book.hosts = [host("old.3cx.fr", ACME, active=False)]
    assert site.how("old.3cx.fr", only("pbx")) == ("CL2385", "pbx")
    (line,) = site.said
    assert line == (
        "old.3cx.fr: is marked inactive in BlueRockTEL; its customer, CL2385, gets the alert"
    )


@pytest.mark.parametrize("active", [True, False])
def test_shared_host_goes_to_its_first_customer(site: Site, book: Phonebook, active: bool) -> None:
    book.hosts = [host("shared.3cx.fr", LUMIERE, ACME, active=active)]
    assert site.how("shared.3cx.fr", only("pbx")) == ("CL000007", "pbx")
    (line,) = site.said
    assert "is shared by 2 customers; the first of them, CL000007, gets the alert" in line
    assert ("inactive" in line) is not active


# --- A, the search, and D -------------------------------------------------------------------------


def test_only_customer_found_is_no_owner_but_a_guess(site: Site, book: Phonebook) -> None:
    """A search for "telecom" also finds a customer of whom one word agrees."""
    book.finds["telecom"] = [ACME]
    assert site.find("telecom", only("search")) is None
    assert site.said == [
        "telecom: search 'telecom': one customer, Acme Telecom SAS (CL2385), but neither its name,"
        " its account nor one of its PBX hosts says so; not guessing"
    ]
    for _ in range(2):  # also as it is remembered
        owner = site.find("telecom", only("search") + "  fallback: CL000001\n")
        assert owner is not None
        assert (owner.account, owner.how) == ("CL000001", "fallback")
        assert owner.guess == "Acme Telecom SAS (CL2385)"
        assert Owner.from_dict(owner.as_dict()) == owner


def test_only_customer_found_is_taken_if_a_pbx_of_theirs_confirms_it(
    site: Site, book: Phonebook
) -> None:
    book.finds["telecom"] = [ACME]
    book.hosts = [host("pbx.acme.example", ACME, address="192.168.1.1")]
    assert site.find("telecom", only("search"), "192.168.1.1") is None  # whose is that not?
    site.now += NOBODY + 1
    assert site.how("telecom", only("search"), "pbx.acme.example") == ("CL2385", "search")


# --- by address -----------------------------------------------------------------------------------


def by_address(way: str) -> str:
    return f'  lookup: [{{{way}: "{{{{ address }}}}"}}]\n'


def test_pbx_is_found_by_its_exact_address(site: Site, book: Phonebook) -> None:
    site.addresses = {"sw1": "10.0.0.1", "sw2": "10.0.0.12", "sw3": "10.0.0.3"}
    book.hosts = [
        host("a.3cx.fr", ACME, address="10.0.0.12"),
        host("b.3cx.fr", LUMIERE, address="10.0.0.1"),
    ]
    assert site.how("sw1", by_address("pbx")) == ("CL000007", "pbx")
    assert site.how("sw2", by_address("pbx")) == ("CL2385", "pbx")
    assert site.find("sw3", by_address("pbx")) is None
    assert site.said == ["sw3: 10.0.0.3: is the address of no PBX host in BlueRockTEL"]


def test_private_address_of_two_customers_is_nobodys(site: Site, book: Phonebook) -> None:
    site.addresses = {"sw1": "192.168.1.10"}
    book.hosts = [host(c.name, c, address="192.168.1.10") for c in (ACME, LUMIERE)]
    assert site.find("sw1", by_address("pbx")) is None
    assert "is the address of PBX hosts of 2 customers; no guess" in site.said[0]


def test_table_of_hosts_may_go_by_address(site: Site) -> None:
    site.addresses = {"sw1": "192.0.2.7"}
    table = '  hosts: {"192.0.2.7": CL2385, sw1: CL000007}\n'
    assert site.how("sw1", by_address("hosts") + table) == ("CL2385", "hosts")
    assert site.how("sw1", table) == ("CL000007", "hosts")


@pytest.mark.parametrize("term", ["horizon 3", "HORIZON 3", "cl000203"])
def test_exact_name_or_account_is_preferred_among_several(
    site: Site, book: Phonebook, term: str
) -> None:
    book.finds[term] = HORIZONS
    assert site.how(term, only("search")) == ("CL000203", "search")
    assert book.asked == [("search", term)]


def test_fifteen_near_misses_are_nobody(site: Site, book: Phonebook) -> None:
    book.finds["Horizon"] = HORIZONS
    assert site.find("Horizon", only("search")) is None
    assert book.asked == [("search", "Horizon")]
    assert site.said == [
        "Horizon: search 'Horizon': 15 customers, none of them for certain; not guessing among them"
    ]


def test_empty_search_is_said(site: Site) -> None:
    assert site.find("sw1", only("search")) is None
    assert site.said == ["sw1: search 'sw1': no customer"]


@pytest.mark.parametrize(
    ("name", "address"), [("PBX.acme.example", ""), ("sw1", "pbx.acme.example")]
)
def test_one_of_a_few_is_confirmed_by_its_hosts(
    site: Site, book: Phonebook, name: str, address: str
) -> None:
    book.finds[name] = [LUMIERE, ACME, DESK]
    book.hosts = [host("lumiere.3cx.fr", LUMIERE), host("pbx.acme.example", ACME)]
    assert site.how(name, only("search"), address) == ("CL2385", "search")
    assert book.asked[1:] == [("hosts of", c.account) for c in (LUMIERE, ACME, DESK)]


def test_two_that_are_confirmed_are_nobody(site: Site, book: Phonebook) -> None:
    book.finds["shared.3cx.fr"] = [LUMIERE, ACME]
    book.hosts = [host("shared.3cx.fr", LUMIERE, ACME)]
    assert site.find("shared.3cx.fr", only("search")) is None
    assert "2 customers, none of them for certain" in site.said[0]


def test_two_of_the_same_name_are_told_apart_by_their_hosts(site: Site, book: Phonebook) -> None:
    twin = Customer(43, "ACME TELECOM SAS", "CL43")
    book.finds["acme telecom sas"] = [ACME, twin, LUMIERE]
    assert site.find("acme telecom sas", only("search")) is None
    site.now += NOBODY + 1
    book.hosts = [host("sw1", twin)]
    assert site.how("acme telecom sas", only("search"), "sw1") == ("CL43", "search")
    assert ("hosts of", "CL000007") not in book.asked


def test_candidate_without_an_account_has_no_hosts_to_ask_for(site: Site, book: Phonebook) -> None:
    book.finds["acme"] = [Customer(5, "Acme new", ""), ACME]
    book.hosts = [host("acme", ACME)]
    assert site.how("acme", only("search")) == ("CL2385", "search")
    assert ("hosts of", "") not in book.asked


# --- the fallback ---------------------------------------------------------------------------------


def test_fallback_gets_what_nobody_owns(site: Site) -> None:
    assert site.how("sw1", only("pbx") + "  fallback: CL000001\n") == ("CL000001", "fallback")
    assert site.said[-1] == "sw1: nobody owns it by any lookup: the fallback CL000001 gets it"


def test_fallback_that_is_no_customer_is_an_error_of_the_configuration(site: Site) -> None:
    with pytest.raises(ConfigError) as raised:
        site.find("sw1", only("pbx") + "  fallback: CL404\n")
    line = str(raised.value)
    assert line == (
        f"{site.folder}/config.yml:6: customer.fallback: no customer has the account CL404 that the"
        " token's user may see"
    )


# --- remembered answers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("sw1", "  hosts: {sw1: CL2385}\n"),
        ("CL2385", only("account")),
        ("acme.3cx.fr", only("pbx")),
        ("cl2385", only("search")),
        ("sw1", "  lookup: []\n  fallback: CL2385\n"),
    ],
)
def test_answer_is_asked_for_once_until_it_is_old(
    site: Site, book: Phonebook, name: str, more: str
) -> None:
    book.finds["cl2385"] = [ACME]
    first = site.find(name, more)
    assert first is not None
    assert first.account == "CL2385"
    asked = len(book.asked)
    assert asked > 0
    site.now += 3599
    assert site.find(name, more) == first  # another process, the same state folder
    assert len(book.asked) == asked
    site.now += 2
    assert site.find(name, more) == first
    assert len(book.asked) == 2 * asked


def test_that_nobody_owns_a_host_is_remembered_for_a_short_while(
    site: Site, book: Phonebook
) -> None:
    assert site.find("new.3cx.fr", only("pbx")) is None
    book.hosts.append(host("new.3cx.fr", ACME))
    asked = len(book.asked)
    assert site.find("new.3cx.fr", only("pbx")) is None
    assert len(book.asked) == asked
    site.now += NOBODY + 1
    assert site.how("new.3cx.fr", only("pbx")) == ("CL2385", "pbx")


def test_answer_of_a_search_holds_for_its_host_only(site: Site, book: Phonebook) -> None:
    """It was confirmed by the host; another host of the same term has another owner."""
    book.finds["lines"] = [LUMIERE, ACME]
    book.hosts = [host("a.3cx.fr", ACME), host("l.3cx.fr", LUMIERE)]
    owners = site.owners(only("search"))
    found = [owners.find(name, "", lambda text: "lines") for name in ("a.3cx.fr", "l.3cx.fr")]
    assert [owner and owner.account for owner in found] == ["CL2385", "CL000007"]
    before = len(book.asked)
    again = [owners.find(name, "", lambda text: "lines") for name in ("a.3cx.fr", "l.3cx.fr")]
    assert again == found
    assert len(book.asked) == before


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"id": 42},
        [1],
        "text",
        {"id": "42", "name": "Acme", "account": "CL2385", "how": "pbx"},
        {"id": True, "name": "Acme", "account": "CL2385", "how": "pbx"},
        {"id": 42, "name": None, "account": "CL2385", "how": "pbx"},
        {"id": 42, "name": "Acme", "account": "CL2385", "how": "pbx", "vip": True},
    ],
)
def test_remembered_answer_that_makes_no_sense_is_asked_for_anew(site: Site, known: Any) -> None:
    owners = site.owners(only("pbx"))
    owners.cache.put("owner", "pbx\nacme.3cx.fr", known)
    assert site.how("acme.3cx.fr", only("pbx")) == ("CL2385", "pbx")


# --- the whole record -----------------------------------------------------------------------------


def test_record_has_all_that_is_known_and_is_asked_for_once(site: Site, book: Phonebook) -> None:
    owners = site.owners()
    owner = Owner(42, "Acme Telecom SAS", "CL2385", "pbx")
    for _ in range(2):
        record = owners.record(owner)
        assert (record["vip"], record["customer_account"], record["how"]) == (True, "CL2385", "pbx")
    assert book.asked == [("account", "CL2385")]


def test_record_that_cannot_be_had_is_the_plain_one(site: Site, book: Phonebook) -> None:
    owners = site.owners()
    stranger = Owner(9, "Stranger", "CL9", "pbx")
    plain = {"id": 9, "name": "Stranger", "account": "CL9", "customer_account": "CL9", "how": "pbx"}
    plain["guess"] = ""
    assert owners.record(stranger) == plain
    book.errors["account"] = Refused("GET", "/v1/customers/lookup", 422, "invalid")
    assert owners.record(stranger) == plain
    assert "CL9 was refused" in site.said[-1]
    asked = len(book.asked)
    assert owners.record(Owner(9, "Stranger", "", "pbx"))["account"] == ""
    assert len(book.asked) == asked
    owners.cache.put("whole", "CL9", ["nonsense"])
    book.errors.clear()
    assert owners.record(stranger) == plain


def test_owner_is_shown_with_its_account() -> None:
    owner = Owner(42, "Acme Telecom SAS", "CL2385", "pbx")
    assert str(owner) == "Acme Telecom SAS (CL2385)"
    assert Owner.from_dict(owner.as_dict()) == owner


# --- the real client, against the sandbox ---------------------------------------------------------


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess() as running:
        yield running


@pytest.fixture
def real(tmp_path: Path, sandbox: SandboxProcess) -> Iterator[Site]:
    sandbox.reset()
    sandbox.clear_requests()
    with Client(sandbox.url, Credentials(token=sandbox.token)) as client:
        yield Site(tmp_path, client)


def paths(sandbox: SandboxProcess) -> List[str]:
    return [re.sub(r".*/v1/|\?.*", "", call["path"]) for call in sandbox.requests()]


def test_each_way_against_the_sandbox(real: Site, sandbox: SandboxProcess) -> None:
    ways: List[Tuple[str, Callable[[], Tuple[str, str]], Tuple[str, str], List[str]]] = [
        (
            "A",
            lambda: real.how("Horizon Garage", only("search")),
            ("CL000207", "search"),
            ["customers/search"],
        ),
        (
            "B",
            lambda: real.how("CL2385", only("account")),
            ("CL2385", "account"),
            ["customers/lookup"],
        ),
        (
            "C",
            lambda: real.how("acme.3cx.fr", only("pbx")),
            ("CL2385", "pbx"),
            ["pbx3cx-hosts/lookup"],
        ),
        (
            "hosts",
            lambda: real.how("sw1", "  hosts: {SW1: CL000015}\n"),
            ("CL000015", "hosts"),
            ["customers/lookup"],
        ),
        (
            "fallback",
            lambda: real.how("sw1", "  lookup: []\n  fallback: CL000001\n"),
            ("CL000001", "fallback"),
            ["customers/lookup"],
        ),
    ]
    for name, find, wanted, calls in ways:
        sandbox.clear_requests()
        assert find() == wanted, name
        assert paths(sandbox) == calls, name
        sandbox.clear_requests()
        assert find() == wanted, name
        assert paths(sandbox) == [], name


def test_d_confirms_against_the_sandbox(real: Site, sandbox: SandboxProcess) -> None:
    sandbox.seed(
        contacts=[
            {
                "id": 900 + customer,
                "contactable_type": "App\\Customer",
                "contactable_id": customer,
                "last_name": "Noc",
                "email_address": "lumiere.3cx.fr@noc.example",
            }
            for customer in (7, 15)
        ]
    )
    assert real.how("lumiere.3cx.fr", only("search")) == ("CL000007", "search")
    assert paths(sandbox) == ["customers/search"] + ["pbx3cx-hosts/lookup-by-customer"] * 2


def test_awkward_hosts_against_the_sandbox(real: Site) -> None:
    assert real.find("nobody.3cx.fr", only("pbx")) is None
    assert real.how("morel-old.3cx.fr", only("pbx")) == ("CL000015", "pbx")
    assert real.how("shared.3cx.fr", only("pbx")) == ("CL000007", "pbx")
    assert real.find("Horizon", only("search")) is None
    assert real.find("unknown.3cx.fr") is None
    with pytest.raises(ConfigError, match=r"config\.yml:6: customer\.fallback"):
        real.find("unknown.3cx.fr", only("pbx") + "  fallback: CL404\n")
    assert [line.partition(": ")[0] for line in real.said] == [
        "nobody.3cx.fr",
        "morel-old.3cx.fr",
        "shared.3cx.fr",
        "Horizon",
        *["unknown.3cx.fr"] * 5,
    ]


def test_record_against_the_sandbox(real: Site) -> None:
    record = real.owners().record(Owner(12, "Clinique du Parc", "CL000012", "pbx"))
    assert (record["vip"], record["on_call_duty"]) == (True, True)
