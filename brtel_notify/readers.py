"""How one value of the configuration file is read: its YAML node in, a Python value out.

Every reader raises ConfigError, whose text names the file, the line, the key and the cure.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from datetime import timezone, tzinfo
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple
from urllib.parse import urlsplit

import yaml

LOOKUPS = ("hosts", "account", "pbx", "search")
#: Words that monitoring systems use for states and severities (monitoring.md), lower case.
STATE_WORDS = (
    *("ok", "info", "unknown", "warning", "critical"),
    *("up", "down", "unreachable"),
    *("not classified", "information", "average", "high", "disaster"),
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)?")
_UNITS = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class ConfigError(Exception):
    """The configuration is wrong; the text is one line: where, what, and what to do."""


class Tree:
    """A value in the file, with the place it stands at."""

    def __init__(self, node: yaml.Node, file: str, key: str, places: Dict[str, str]) -> None:
        self.node = node
        self.file = file
        self.key = key
        self.places = places
        places[key] = f"{file}:{node.start_mark.line + 1}"

    @classmethod
    def load(cls, path: str) -> Tree:
        """The file PATH, parsed. Raises ConfigError."""
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            raise ConfigError(
                f"{path}: there is no such file; write one (the README shows ten lines that"
                " will do), or name it with --config"
            ) from None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: is not UTF-8 text") from None
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            node = yaml.compose(text, Loader=loader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or str(error).splitlines()[0]
            raise ConfigError(f"{path}{line}: is not valid YAML: {problem}") from None
        if node is None:
            raise ConfigError(f"{path}: is empty")
        return cls(node, path, "", {})

    def error(self, problem: str) -> ConfigError:
        """A ConfigError about this value."""
        where = self.places[self.key]
        return ConfigError(f"{where}: {self.key}: {problem}" if self.key else f"{where}: {problem}")

    def sub(self, name: str) -> str:
        """The full name of the key NAME below this one."""
        return f"{self.key}.{name}" if self.key else name

    @property
    def is_null(self) -> bool:
        """Whether the value is null, ``~`` or nothing at all."""
        return self.node.tag == "tag:yaml.org,2002:null"

    def scalar(self) -> Any:
        """The value as YAML has it: text, int, float, bool or None."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise self.error(f"must be a single value, not a {_shape(self.node)}")
        try:
            return yaml.SafeLoader("").construct_object(self.node)
        except (yaml.YAMLError, ValueError):
            return self.node.value

    def items(self) -> List[Tree]:
        """The items of a list."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error(f"must be a list, not a {_shape(self.node)}")
        return [
            Tree(node, self.file, f"{self.key}[{number}]", self.places)
            for number, node in enumerate(self.node.value)
        ]

    def pairs(self) -> Dict[str, Tree]:
        """The keys and values of a mapping, every key once; nothing at all is an empty one."""
        if self.is_null:
            return {}
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"must be keys and values, not a {_shape(self.node)}")
        found: Dict[str, Tree] = {}
        for key_node, value_node in self.node.value:
            name = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            line = key_node.start_mark.line + 1
            if not name:
                raise ConfigError(f"{self.file}:{line}: {self.key}: a key must be a word")
            if name in found:
                raise ConfigError(f"{self.file}:{line}: {self.sub(name)}: stands here twice")
            found[name] = Tree(value_node, self.file, self.sub(name), self.places)
            self.places[self.sub(name)] = f"{self.file}:{line}"
        return found

    def branches(self, known: Iterable[str]) -> Dict[str, Tree]:
        """The keys and values of a mapping that may have only KNOWN keys."""
        names = list(known)
        found = self.pairs()
        for name, branch in found.items():
            if name not in names:
                raise branch.error(f"unknown key{nearest(name, names)}")
        return found


Reader = Callable[[Tree], Any]


def nearest(word: str, words: Iterable[str]) -> str:
    """How a message ends when WORD is none of WORDS: the one that was meant, else all."""
    known = list(words)
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lowered, 1, 0.6)
    if close:
        return f"; did you mean '{lowered[close[0]]}'?"
    return f"; known are: {', '.join(known)}" if known else ""


def _shape(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "list"
    return "mapping" if isinstance(node, yaml.MappingNode) else "single value"


def or_null(reader: Reader) -> Reader:
    """READER, but null is allowed too."""
    return lambda tree: None if tree.is_null else reader(tree)


def _text(tree: Tree) -> str:
    value = tree.scalar()
    if not isinstance(value, str):
        # A name such as 2026 or on: what was typed is what is meant.
        if value is None or not isinstance(tree.node.value, str):
            raise tree.error("must be text")
        value = tree.node.value
    if not value.strip():
        raise tree.error("must not be empty")
    return str(value)


text: Reader = _text
path: Reader = or_null(_text)
account: Reader = or_null(_text)


def secret(tree: Tree) -> Optional[str]:
    """A token: text that no message repeats."""
    return None if tree.is_null else _text(tree).strip()


def _web_address(tree: Tree, schemes: Tuple[str, ...]) -> str:
    value = _text(tree).strip()
    try:
        parts = urlsplit(value)
        good = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise tree.error(f"must be an address such as {schemes[-1]}://acme.bluerocktel.net/api")
    return value


def url(tree: Tree) -> str:
    """The API's address. https, unless the host is this machine: a token travels with it."""
    value = _web_address(tree, ("http", "https"))
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise tree.error("must hold no user or password: use token_file, or email")
    if parts.query or parts.fragment:
        raise tree.error("must end with the path, such as /api")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise tree.error("must begin with https:// (http:// is for a sandbox on this machine)")
    return value.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether HOST is this machine itself, by its name or address alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy(tree: Tree) -> Optional[str]:
    """A proxy's address."""
    if tree.is_null:
        return None
    return _web_address(tree, ("socks5", "https", "http"))


def boolean(tree: Tree) -> bool:
    """True or false."""
    value = tree.scalar()
    if not isinstance(value, bool):
        raise tree.error("must be true or false")
    return value


def duration(tree: Tree) -> float:
    """A length of time in seconds: 90s, 30m, 4h, 7d, 2w; a bare number is seconds."""
    match = _DURATION.fullmatch(str(tree.scalar()).strip())
    if match is None:
        raise tree.error("must be a length of time such as 30m, 4h or 1d")
    return float(match[1]) * _UNITS[match[2]]


duration_or_null: Reader = or_null(duration)


def seconds(tree: Tree) -> float:
    """A length of time that is not nothing."""
    value = duration(tree)
    if value <= 0:
        raise tree.error("must be more than 0")
    return value


def name_or_id(tree: Tree) -> Any:
    """What BlueRockTEL calls something (text), or its id (int)."""
    value = tree.scalar()
    if isinstance(value, bool) or not isinstance(value, int):
        return _text(tree).strip()
    if value <= 0:
        raise tree.error("must be a name, or an id above 0")
    return value


name_or_id_or_null: Reader = or_null(name_or_id)


def texts(tree: Tree) -> List[str]:
    """A list of words."""
    return [_text(item).strip() for item in tree.items()]


def choice(*words: str) -> Reader:
    """One of WORDS."""

    def read(tree: Tree) -> str:
        value = _text(tree).strip()
        if value not in words:
            raise tree.error(f"'{value}' is unknown{nearest(value, words)}")
        return value

    return read


def regex_or_null(tree: Tree) -> Optional[str]:
    """A regular expression."""
    if tree.is_null:
        return None
    value = _text(tree)
    try:
        re.compile(value)
    except re.error as error:
        raise tree.error(f"is no regular expression: {error}") from None
    return value


def zone(tree: Tree) -> tzinfo:
    """A time zone by its IANA name."""
    value = _text(tree).strip()
    if value.upper() == "UTC":
        return timezone.utc
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        names = sorted(zoneinfo.available_timezones())
        if not names:
            raise tree.error("this machine has no time zones: install tzdata") from None
        hint = nearest(value, names)
        if not hint.startswith("; did"):
            hint = ", such as Europe/Paris"
        raise tree.error(f"'{value}' is no time zone{hint}") from None


def accounts(tree: Tree) -> Dict[str, str]:
    """Customer accounts by host name."""
    return {host: _text(value).strip() for host, value in tree.pairs().items()}


def lookup(tree: Tree) -> List[Tuple[str, str]]:
    """The chain of lookups: ``hosts``, or one of the others with the template of its value."""
    return [_one_lookup(item) for item in tree.items()]


def _one_lookup(tree: Tree) -> Tuple[str, str]:
    if isinstance(tree.node, yaml.ScalarNode):
        name = _text(tree)
        if name == "hosts":
            return name, ""
        if name in LOOKUPS:
            raise tree.error(f"'{name}' needs a value, such as {name}: \"{{{{ host }}}}\"")
        raise tree.error(f"'{name}' is unknown{nearest(name, LOOKUPS)}")
    branches = tree.branches(LOOKUPS[1:])
    if len(branches) != 1:
        raise tree.error("must be one lookup: write each behind a dash of its own")
    ((name, value),) = branches.items()
    return name, _text(value)


def settings(settable: Dict[str, Reader]) -> Reader:
    """Those keys of ``ticket`` that a severity or a rule sets, and only those."""

    def read(tree: Tree) -> Dict[str, Any]:
        branches = tree.branches(settable)
        return {name: settable[name](branch) for name, branch in branches.items()}

    return read


def severities(settable: Dict[str, Reader]) -> Reader:
    """Settings by a severity's or a state's name, in lower case."""
    one = settings(settable)

    def read(tree: Tree) -> Dict[str, Dict[str, Any]]:
        found = {}
        for name, branch in tree.pairs().items():
            word = name.lower()
            meant = difflib.get_close_matches(word, STATE_WORDS, 1, 0.8)
            # Other programs have words of their own; only what looks like a slip is refused.
            if word not in STATE_WORDS and meant:
                raise branch.error(f"unknown severity; did you mean '{meant[0]}'?")
            found[word] = one(branch)
        return found

    return read
