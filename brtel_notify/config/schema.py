"""The configuration file: every key, its type, its default, and what it means.

The classes below are the one description of the file: the loader walks them, and so does whoever
writes its reference. A value that is wrong is reported with the file and the line it stands on.

One module, though long: whoever looks for a key finds it here.
"""

from __future__ import annotations

import os
from datetime import timezone, tzinfo
from typing import Any, Dict, List, Mapping, Optional, Tuple, Type, TypeVar

from brtel_notify.config import values
from brtel_notify.config.tree import Tree
from brtel_notify.config.values import Reader
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.sources import registry
from brtel_notify.sources.source import Source

ENVIRONMENT_VARIABLE = "BRTEL_NOTIFY_CONFIG"
SYSTEM_FILE = "/etc/brtel-notify/config.yml"


class Key:
    """A key of the file: what it is when absent, how it is read, what it means.

    ``description`` is English for people, literal words of the file in backticks; ``choices`` are
    the words that the value is one of, if it is.
    """

    __slots__ = ("choices", "default", "description", "reader")

    def __init__(
        self, default: Any, reader: Reader, description: str, choices: Tuple[str, ...] = ()
    ) -> None:
        self.default = default
        self.reader = reader
        self.description = description
        self.choices = choices


def key(default: Any, reader: Reader, description: str) -> Any:
    """A Key, as an attribute of a Section; REQUIRED has no default."""
    return Key(default, reader, description)


def choice(default: str, words: Tuple[str, ...], description: str) -> Any:
    """A Key whose value is one of WORDS."""
    return Key(default, values.choice(*words), description, words)


#: The default of a key that must be given.
REQUIRED: Any = object()


class Section:
    """A part of the file: its keys are the class's Keys, their values the instance's.

    A plain class and no dataclass: those cost a delivery tens of milliseconds.
    """

    def __init__(self, **values: Any) -> None:
        for name, item in keys_of(type(self)).items():
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


def keys_of(kind: Type[Section]) -> Dict[str, Key]:
    """The keys of a section."""
    return {name: item for name, item in vars(kind).items() if isinstance(item, Key)}


def section(kind: Any) -> Reader:
    """A mapping that the class KIND describes."""
    return lambda tree: read_section(kind, tree)


def sections(kind: Any) -> Reader:
    """A list of such mappings."""
    return values.or_none(lambda tree: [read_section(kind, item) for item in tree.items()])


class Api(Section):
    """How to reach BlueRockTEL, and as whom: with a token, or an e-mail address and a password."""

    url: str = key(
        REQUIRED,
        values.url,
        "The address of the API, `https://INSTANCE/api`. `http://` only where the host is this"
        " machine itself, as with a sandbox.",
    )
    token: Optional[str] = key(
        None,
        values.secret,
        "The API token itself. Better is `token_file`: this file is then no secret.",
    )
    token_file: Optional[str] = key(
        None,
        values.path,
        "A file that holds the API token and nothing else. Without it and `token`, the environment"
        " variable `BRTEL_TOKEN` is used, then `email`.",
    )
    email: Optional[str] = key(
        None,
        values.email,
        "The user to log in as, where there is no token; needs `password_file`.",
    )
    password_file: Optional[str] = key(
        None, values.path, "A file that holds that user's password and nothing else."
    )
    timeout: float = key(
        10.0, values.seconds, "How long one call may take, connecting included; more than 0."
    )
    ca_file: Optional[str] = key(
        None,
        values.path,
        "A file (PEM) or folder of the certificate authorities to trust, instead of the usual.",
    )
    proxy: Optional[str] = key(
        None,
        values.proxy,
        "The HTTP proxy to go through, `http://proxy.example.net:3128`. Proxy variables of the"
        " environment are not used; an API on this machine is called directly.",
    )
    ticket_page: Optional[str] = key(
        None,
        values.ticket_page,
        "Where your BlueRockTEL shows a ticket, as your browser has it, with `{id}` or `{number}`"
        " in the ticket's place: `https://acme.bluerocktel.net/tickets/{id}`. `status` and `ticket`"
        " then show the link. `null`: no link.",
    )
    requests_per_minute: Optional[int] = key(
        None,
        values.number_or_null,
        "The most calls that one process makes in any minute; what is over waits its turn, or stays"
        " queued. `null`: no ceiling.",
    )

    def __repr__(self) -> str:
        return f"Api(url={self.url!r})"


class CustomerSection(Section):
    """Who owns the host of an alert, and so gets the ticket."""

    lookup: List[Tuple[str, str]] = key(
        [
            ("hosts", ""),
            ("account", "{{ vars.CUSTOMER_ACCOUNT }}"),
            ("pbx", "{{ host }}"),
            ("search", "{{ host }}"),
        ],
        values.lookup,
        "The ways to find the customer, tried in order until one gives one. `hosts`: the table"
        ' `customer.hosts`, by the host\'s name, or by another value (`hosts: "{{ address }}"`);'
        " `account`: the customer with this account; `pbx`: the customer to whom BlueRockTEL links"
        " the PBX of this host name, or of exactly this IP address; `search`: the full-text search,"
        " believed only where the value is the customer's name or account, or a PBX host of that"
        " customer confirms it. The values are Jinja; an empty one is passed over.",
    )
    hosts: Dict[str, str] = key(
        {},
        values.accounts,
        "Customer accounts by host name, or whatever `hosts` looks up; capitals do not matter.",
    )
    fallback: Optional[str] = key(
        None,
        values.account,
        "The account that gets the ticket when no lookup gives a customer. `null`: such an alert"
        " goes to `dead/`.",
    )
    cache: float = key(
        86400.0,
        values.duration,
        "How long an answer about customers, their contacts and the names of priorities,"
        " categories, teams and statuses is believed; `0`: not at all.",
    )


class TicketSection(Section):
    """What a ticket is opened with, unless `severities`, the alert itself or `rules` say otherwise.

    Names are compared without regard to capitals; `brtel-notify discover` lists them.
    """

    priority: Any = key(
        REQUIRED, values.name_or_id_or_null, "The priority. `null`: the sub-category's own."
    )
    category: Any = key(REQUIRED, values.name_or_id, "The category.")
    sub_category: Any = key(
        REQUIRED, values.name_or_id, "The sub-category; one that belongs to `category`."
    )
    team: Any = key(
        None,
        values.name_or_id_or_null,
        "The support team. `null`: the sub-category's own, else left to BlueRockTEL.",
    )
    status: Any = key(None, values.name_or_id_or_null, "The status. `null`: left to BlueRockTEL.")
    assignee: Any = key(
        None,
        values.name_or_id_or_null,
        "Whose the ticket is once it is open. `nobody`: it is free to be taken; or a user's name,"
        " e-mail address or id. `null`: left to BlueRockTEL, where the API's user owns every ticket"
        " that it opens.",
    )
    open_after: Any = key(
        0.0,
        values.open_after,
        "A problem opens its ticket only when it has lasted so long, counted from its capture; what"
        " is over by then opens none. `5m`; or a time of day in the zone of `timezone`: `08:00` is"
        " the next eight o'clock. What becomes worse while it waits counts by its new severity. A"
        " ticket that is open already is joined at once.",
    )
    tags: List[str] = key(
        ["monitoring", "auto"], values.or_none(values.texts), "The tags; `[]` for none."
    )
    resolve_within: Optional[float] = key(
        14400.0,
        values.duration_or_null,
        "The estimated resolution date, counted from the alert. `null`: left to BlueRockTEL.",
    )
    group_by: str = choice(
        "alert",
        ("alert", "host", "customer"),
        "What shares one ticket. `alert`: nothing, each alert has its own; `host`: a host and all"
        " its services; `customer`: all alerts of a customer.",
    )
    adopt: str = choice(
        "ours",
        ("ours", "any"),
        "Which open ticket is used instead of a new one. `ours`: the one that carries this alert's"
        " reference; `any`: without such a one, whichever the customer has open. A ticket that a"
        " person opened is only noted, never closed.",
    )


#: What severities and rules can set: the keys of ``ticket`` that differ from alert to alert.
SETTABLE: Dict[str, Reader] = {
    name: item.reader
    for name, item in keys_of(TicketSection).items()
    if name not in ("group_by", "adopt")
}


class Rule(Section):
    """One rule. All rules whose conditions hold apply, the later over the earlier."""

    when: str = key(
        REQUIRED,
        values.text,
        "The condition: a Jinja expression, without braces, over the fields of the alert.",
    )
    set: Dict[str, Any] = key(
        {}, values.settings(SETTABLE), "What the ticket gets then, as in `ticket`."
    )
    ignore: Optional[bool] = key(
        None,
        values.boolean,
        "`true`: such an alert opens no ticket, nor joins one; one that has a ticket already is"
        " followed to its end. `false`: it does after all, whatever an earlier rule says.",
    )


class ContactSection(Section):
    """Who of the customer is attached to a new ticket."""

    role: Optional[str] = key(
        "technical|technique",
        values.regex_or_null,
        "Attaches contacts in whose role this is found (capitals do not matter), and before them"
        " those whom BlueRockTEL marks as the technical contact; nobody who is inactive. `null`:"
        " attach nobody.",
    )
    attach: str = choice(
        "first", ("first", "all"), "`first`: only the first contact that fits; `all`: every one."
    )


class ReplySection(Section):
    """The notes that brtel-notify adds to a ticket."""

    details: bool = key(
        True, values.boolean, "Whether a new ticket gets a note with the alert's details."
    )
    customer_visible: bool = key(
        False, values.boolean, "Whether customers see the notes; else they are internal."
    )
    send_to_assignee: bool = key(
        True, values.boolean, "Whether BlueRockTEL sends them to the ticket's assignee."
    )
    send_to_contacts: bool = key(
        False,
        values.boolean,
        "Whether BlueRockTEL sends them to the ticket's contacts; not if all that are attached want"
        " no mail about tickets.",
    )


_NOTE = ("note", "ignore")


class Lifecycle(Section):
    """What becomes of the ticket as the alert goes on."""

    on_repeat: str = choice(
        "ignore",
        ("ignore", "note"),
        "The same problem is reported again. `ignore`: the ticket stays as it is; `note`: each"
        " time a note.",
    )
    on_recovery: str = choice(
        "close",
        ("close", "note", "ignore"),
        "The ticket's last problem is over. `close`: a note, and the ticket is closed; `note`: only"
        " the note; `ignore`: neither. A ticket that a person opened is never closed.",
    )
    on_acknowledgement: str = choice(
        "note",
        _NOTE,
        "Somebody acknowledged the problem. `note`: a note with author and text; `ignore`: none.",
    )
    on_comment: str = choice("note", _NOTE, "Somebody commented: `note` or `ignore`, as above.")
    on_downtime: str = choice(
        "note", _NOTE, "A downtime starts, ends or is cancelled: `note` or `ignore`, as above."
    )
    on_flapping: str = choice(
        "note", _NOTE, "The state begins or ends to flap: `note` or `ignore`, as above."
    )
    reopen_within: float = key(
        3600.0,
        values.duration,
        "A problem that returns within this time of its ticket's closing reopens that ticket,"
        " instead of opening a new one; `0`: never.",
    )
    resolved_in_queue: str = choice(
        "deliver",
        ("deliver", "skip"),
        "A problem that was over before it could be delivered, after an outage for instance."
        " `deliver`: it becomes a ticket all the same, opened and closed; `skip`: nothing.",
    )
    on_closed_by_hand: str = choice(
        "new",
        ("new", "reopen", "ignore"),
        "The problem goes on, but a person closed its ticket. `new`: a new ticket; `reopen`: the"
        " same one again; `ignore`: nothing until the problem is over. Whether that is so is looked"
        " up when the alert changes, and otherwise at most once an hour.",
    )


class Sources(Section):
    """The monitoring systems that alerts come from: their pages, and which of several it is."""

    def of(self, name: str) -> Dict[str, str]:
        """The keys of the source NAME that are set; none of one that has no pages."""
        pages = getattr(self, name, None)
        return {key: value for key, value in vars(pages).items() if value} if pages else {}


INSTANCE = (
    "Which {product} this is, where several open tickets for the same customers and know different"
    " things by the same name or number: a short name, another one on each server. Empty: there is"
    " only one, or all of them watch the same. Tickets that are open when it is set go on."
)


def _section_of(source: Source) -> Key:
    """The keys that SOURCE has for its pages, as a Section of its own."""
    keys = {
        name: choice(str(item.default), item.choices, item.description)
        if item.choices
        else key(item.default, values.page, item.description)
        for name, item in source.page_keys.items()
    }
    keys["instance"] = key("", values.name, INSTANCE.format(product=source.product))
    about = {"__doc__": type(source).__doc__, "__annotations__": dict.fromkeys(keys, Optional[str])}
    kind = type(source.product, (Section,), {**about, **keys})
    return Key(kind(), section(kind), source.products)


# Python 3.9 gives none to a class that declares nothing.
Sources.__annotations__ = {}
for _source in registry.sources():
    if _source.page_keys:
        setattr(Sources, _source.name, _section_of(_source))
        Sources.__annotations__[_source.name] = type(getattr(Sources, _source.name).default)


class Config(Section):
    """The whole file. ``places`` says on which line each key stands, for messages."""

    api: Api = key(REQUIRED, section(Api), "")
    ticket: TicketSection = key(REQUIRED, section(TicketSection), "")
    customer: CustomerSection = key(CustomerSection(), section(CustomerSection), "")
    severities: Dict[str, Dict[str, Any]] = key(
        {},
        values.severities(SETTABLE),
        "Keys of `ticket` that are others at some severity. The name is a severity (`critical`,"
        " `warning`, `unknown`, `info`) or the source's own word for the state (`DOWN`,"
        " `Disaster`), which wins; capitals do not matter.",
    )
    rules: List[Rule] = key(
        [], sections(Rule), "Keys of `ticket` that are others where a condition holds."
    )
    contact: ContactSection = key(ContactSection(), section(ContactSection), "")
    replies: ReplySection = key(ReplySection(), section(ReplySection), "")
    lifecycle: Lifecycle = key(Lifecycle(), section(Lifecycle), "")
    sources: Sources = key(Sources(), section(Sources), "")
    language: str = choice(
        "en", ("en", "fr"), "The language of the built-in templates: `en` English, `fr` French."
    )
    templates: Optional[str] = key(
        None,
        values.path,
        "A folder of your own templates; each of its files stands for the built-in one of the same"
        " name. `null`: none.",
    )
    timezone: tzinfo = key(
        timezone.utc,
        values.zone,
        "The time zone of the dates shown in tickets, by its IANA name: `Europe/Paris`.",
    )
    log: str = key(
        "stderr",
        values.log,
        "Where the log goes: `stderr`, `syslog` (facility daemon), or the path of a file.",
    )

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.places: Dict[str, str] = {}
        #: Changes whenever the file does.
        self.stamp = ""

    def where(self, key: str) -> str:
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
    stamp = _stamp(path)
    tree = Tree.load(path, parsed)
    config: Config = read_section(Config, tree)
    config.places.update(tree.places)
    config.stamp = stamp
    _check_credential(config, environ)
    return config


def _stamp(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:  # it cannot be read either, which is told next
        return ""
    return f"{status.st_mtime_ns} {status.st_size} {status.st_ino}"


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
            f"{config.where(f'api.{given}')}: api.{missing[0]}: is missing; {given} needs it"
        )
    raise ConfigError(
        f"{config.where('api')}: api: no credential: set token_file (or token, or email and"
        " password_file), or the variable BRTEL_TOKEN"
    )


def read_section(kind: Type[Kind], tree: Tree) -> Kind:
    """One section of the file as the class KIND that describes it. Raises ConfigError."""
    known = keys_of(kind)
    values = {name: known[name].reader(branch) for name, branch in tree.branches(known).items()}
    for name, item in known.items():
        if item.default is REQUIRED and name not in values:
            raise ConfigError(f"{tree.places[tree.key]}: {tree.sub(name)}: is missing")
    return kind(**values)
