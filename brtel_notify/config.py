"""The configuration file: every key, its type, its default, and what it means.

The classes below are the one description of the file: the loader walks them, and so does whoever
writes its reference. A value that is wrong is reported with the file and the line it stands on.
"""

from __future__ import annotations

import os
from datetime import timezone, tzinfo
from typing import Any, Dict, List, Mapping, Optional, Tuple, Type, TypeVar

from brtel_notify import readers
from brtel_notify.private import PrivateFolder
from brtel_notify.readers import Reader, Tree
from brtel_notify.yamltree import ConfigError

ENVIRONMENT_VARIABLE = "BRTEL_NOTIFY_CONFIG"
SYSTEM_FILE = "/etc/brtel-notify/config.yml"


class Option:
    """A key of the file: what it is when absent, how it is read, what it means."""

    __slots__ = ("default", "description", "reader")

    def __init__(self, default: Any, reader: Reader, description: str) -> None:
        self.default = default
        self.reader = reader
        self.description = description


def option(default: Any, reader: Reader, description: str) -> Any:
    """An Option, as an attribute of a Section; REQUIRED has no default."""
    return Option(default, reader, description)


#: The default of a key that must be given.
REQUIRED: Any = object()


class Section:
    """A part of the file: its keys are the class's Options, their values the instance's.

    A plain class and no dataclass: those cost a delivery tens of milliseconds.
    """

    def __init__(self, **values: Any) -> None:
        for name, item in options_of(type(self)).items():
            value = values.pop(name, item.default)
            if value is REQUIRED:
                raise TypeError(f"{name} is missing")
            setattr(self, name, value.copy() if isinstance(value, (dict, list)) else value)
        if values:
            raise TypeError(f"unknown: {', '.join(values)}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self)})"


Kind = TypeVar("Kind", bound=Section)


def options_of(kind: Type[Section]) -> Dict[str, Option]:
    """The keys of a section."""
    return {name: item for name, item in vars(kind).items() if isinstance(item, Option)}


def section(kind: Any) -> Reader:
    """A mapping that the class KIND describes."""
    return lambda tree: read_section(kind, tree)


def sections(kind: Any) -> Reader:
    """A list of such mappings."""
    return readers.or_none(lambda tree: [read_section(kind, item) for item in tree.items()])


class Api(Section):
    """How to reach BlueRockTEL."""

    url: str = option(REQUIRED, readers.url, "address of the API: https://INSTANCE/api")
    token: Optional[str] = option(None, readers.secret, "the API token itself")
    token_file: Optional[str] = option(None, readers.path, "a file that holds the token")
    email: Optional[str] = option(None, readers.email, "log in as this user…")
    password_file: Optional[str] = option(None, readers.path, "…with the password in this file")
    timeout: float = option(10.0, readers.seconds, "seconds a call may take")
    ca_file: Optional[str] = option(None, readers.path, "certificates to trust instead")
    proxy: Optional[str] = option(None, readers.proxy, "the HTTP proxy to go through")
    requests_per_minute: Optional[int] = option(
        None, readers.number_or_null, "a ceiling on the calls of one process; null: none"
    )

    def __repr__(self) -> str:
        return f"Api(url={self.url!r})"


class CustomerOptions(Section):
    """Who owns the host of an alert."""

    lookup: List[Tuple[str, str]] = option(
        [
            ("hosts", ""),
            ("account", "{{ vars.CUSTOMER_ACCOUNT }}"),
            ("pbx", "{{ host }}"),
            ("search", "{{ host }}"),
        ],
        readers.lookup,
        "the ways to find the customer, in order, until one gives one",
    )
    hosts: Dict[str, str] = option({}, readers.accounts, "customer account by host name")
    fallback: Optional[str] = option(
        None, readers.account, "account that gets the ticket when nobody matches"
    )
    cache: float = option(86400.0, readers.duration, "how long an answer is believed")


class TicketOptions(Section):
    """What a ticket is opened with."""

    priority: Any = option(REQUIRED, readers.name_or_id, "priority")
    category: Any = option(REQUIRED, readers.name_or_id, "category")
    sub_category: Any = option(REQUIRED, readers.name_or_id, "sub-category of that category")
    team: Any = option(None, readers.name_or_id_or_null, "support team")
    status: Any = option(None, readers.name_or_id_or_null, "status")
    tags: List[str] = option(["monitoring", "auto"], readers.or_none(readers.texts), "tags")
    resolve_within: Optional[float] = option(
        14400.0, readers.duration_or_null, "time until the estimated resolution date"
    )
    group_by: str = option(
        "alert", readers.choice("alert", "host", "customer"), "what shares one ticket"
    )
    adopt: str = option(
        "ours",
        readers.choice("ours", "any"),
        "which open tickets are reused: those with our reference, or any of the customer",
    )


#: What severities and rules can set: the keys of ``ticket`` that differ from alert to alert.
SETTABLE: Dict[str, Reader] = {
    name: item.reader
    for name, item in options_of(TicketOptions).items()
    if name not in ("group_by", "adopt")
}


class Rule(Section):
    """A rule: when its condition holds, some settings of the ticket are others."""

    when: str = option(REQUIRED, readers.text, "the condition, a Jinja expression")
    set: Dict[str, Any] = option({}, readers.settings(SETTABLE), "what the ticket gets")
    ignore: Optional[bool] = option(
        None, readers.boolean, "leave the alert alone, or not after all"
    )


class ContactOptions(Section):
    """Who of the customer is attached to the ticket."""

    role: Optional[str] = option(
        "technical|technique", readers.regex_or_null, "regular expression on the contact's role"
    )
    attach: str = option("first", readers.choice("first", "all"), "the first that fits, or all")


class ReplyOptions(Section):
    """The notes that we add to a ticket."""

    details: bool = option(True, readers.boolean, "a note with the alert's details at opening")
    customer_visible: bool = option(False, readers.boolean, "whether customers see our notes")
    send_to_assignee: bool = option(True, readers.boolean, "whether the assignee is told")
    send_to_contacts: bool = option(False, readers.boolean, "whether the contacts are told")


_NOTE = readers.choice("note", "ignore")


class Lifecycle(Section):
    """What becomes of the ticket as the alert goes on."""

    on_repeat: str = option("ignore", readers.choice("ignore", "note"), "the same problem again")
    on_recovery: str = option(
        "close", readers.choice("close", "note", "ignore"), "the problem is over"
    )
    on_acknowledgement: str = option("note", _NOTE, "somebody acknowledged the problem")
    on_comment: str = option("note", _NOTE, "somebody commented")
    on_downtime: str = option("note", _NOTE, "a downtime starts or ends")
    on_flapping: str = option("note", _NOTE, "the state begins or ends to flap")
    reopen_within: float = option(
        3600.0, readers.duration, "a problem that returns within this time reopens its ticket"
    )
    resolved_in_queue: str = option(
        "deliver",
        readers.choice("deliver", "skip"),
        "a problem that recovered before it could be delivered",
    )
    on_closed_by_hand: str = option(
        "new",
        readers.choice("new", "reopen", "ignore"),
        "the problem repeats, but a person closed its ticket",
    )


class Source(Section):
    """One monitoring system."""

    url: Optional[str] = option(
        None, readers.page, "address of its web pages, to which tickets link; null: no link"
    )


class IcingaSource(Section):
    """Icinga 2, whose pages are Icinga Web's."""

    url: Optional[str] = option(
        None, readers.page, "address of Icinga Web, to which tickets link; null: no link"
    )
    module: str = option(
        "icingadb",
        readers.choice("icingadb", "monitoring"),
        "the module that shows hosts and services: Icinga DB Web, or the older one",
    )


class Sources(Section):
    """The monitoring systems that alerts come from."""

    nagios: Source = option(Source(), section(Source), "Nagios, Naemon")
    icinga: IcingaSource = option(IcingaSource(), section(IcingaSource), "Icinga 2")
    zabbix: Source = option(Source(), section(Source), "Zabbix")
    librenms: Source = option(Source(), section(Source), "LibreNMS")


class Config(Section):
    """The whole file. ``places`` says on which line each key stands, for messages."""

    api: Api = option(REQUIRED, section(Api), "")
    ticket: TicketOptions = option(REQUIRED, section(TicketOptions), "")
    customer: CustomerOptions = option(CustomerOptions(), section(CustomerOptions), "")
    severities: Dict[str, Dict[str, Any]] = option(
        {}, readers.severities(SETTABLE), "settings of the ticket by severity or state"
    )
    rules: List[Rule] = option([], sections(Rule), "settings of the ticket by condition")
    contact: ContactOptions = option(ContactOptions(), section(ContactOptions), "")
    replies: ReplyOptions = option(ReplyOptions(), section(ReplyOptions), "")
    lifecycle: Lifecycle = option(Lifecycle(), section(Lifecycle), "")
    sources: Sources = option(Sources(), section(Sources), "")
    language: str = option("en", readers.choice("en", "fr"), "of the built-in templates")
    templates: Optional[str] = option(None, readers.path, "a folder of your own templates")
    timezone: tzinfo = option(timezone.utc, readers.zone, "of the dates shown in tickets")
    log: str = option("stderr", readers.log, "stderr, syslog, or a file")

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.places: Dict[str, str] = {}

    def place(self, key: str) -> str:
        """Where KEY (``ticket.priority``) stands, as ``file:line``; its section's, if absent.

        What an alert's variables set (``vars.TICKET_PRIORITY``) stands in no file.
        """
        if key.startswith("vars."):
            return "alert"
        while key not in self.places and ("." in key or "[" in key):
            key = key[: max(key.rfind("."), key.rfind("["))]
        return self.places.get(key) or self.places.get("", "configuration")


def find(explicit: Optional[str], environ: Mapping[str, str]) -> str:
    """The path of the configuration file (DESIGN section 2): the one named, else the usual ones."""
    named = explicit or environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return named
    if os.path.exists(SYSTEM_FILE):
        return SYSTEM_FILE
    home = environ.get("HOME") or os.path.expanduser("~")
    folder = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    own = os.path.join(folder, "brtel-notify", "config.yml")
    return own if os.path.exists(own) else SYSTEM_FILE


def load(path: str, environ: Mapping[str, str], parsed: Optional[PrivateFolder] = None) -> Config:
    """The configuration in the file PATH; PARSED keeps it in a form that is read faster.

    Raises ConfigError, one line with file and line.
    """
    tree = Tree.load(path, parsed)
    config: Config = read_section(Config, tree)
    config.places.update(tree.places)
    _check_credential(config, environ)
    return config


def _check_credential(config: Config, environ: Mapping[str, str]) -> None:
    api = config.api
    if api.token or api.token_file or environ.get("BRTEL_TOKEN"):
        return
    if api.email and api.password_file:
        return
    half = {"email": api.email, "password_file": api.password_file}
    missing = [name for name, value in half.items() if not value]
    if len(missing) == 1:
        given = "email" if api.email else "password_file"
        raise ConfigError(
            f"{config.place(f'api.{given}')}: api.{missing[0]}: is missing; {given} needs it"
        )
    raise ConfigError(
        f"{config.place('api')}: api: no credential: set token_file (or token, or email and"
        " password_file), or the variable BRTEL_TOKEN"
    )


def read_section(kind: Type[Kind], tree: Tree) -> Kind:
    """One section of the file as the class KIND that describes it. Raises ConfigError."""
    known = options_of(kind)
    values = {name: known[name].reader(branch) for name, branch in tree.branches(known).items()}
    for name, item in known.items():
        if item.default is REQUIRED and name not in values:
            raise ConfigError(f"{tree.places[tree.key]}: {tree.sub(name)}: is missing")
    return kind(**values)
