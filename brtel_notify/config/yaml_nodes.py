"""A YAML file as nodes that know their line; kept parsed, so that most alerts need no YAML library.

The library is imported, and the file parsed, only when the file has changed since it was kept.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, List, Optional

from brtel_notify import __version__
from brtel_notify.local.cleaning import line_of
from brtel_notify.local.private_folder import PrivateFolder

SCALAR, LIST, MAPPING = "single value", "list", "mapping"

#: How deep a file may nest; our own keys need five levels. Far deeper, the YAML library crashes.
DEEPEST = 20
#: So much of a line is enough to see that it nests too deep.
_ENOUGH = 500
#: How many values a file may have, references to other parts of it counted each time.
MOST_NODES = 50_000
_TAG = "tag:yaml.org,2002:"
#: The kinds of values that a file may hold: YAML's own, and none that build objects.
_TAGS = frozenset(
    _TAG + kind
    for kind in (
        *("null", "bool", "int", "float", "str", "timestamp", "binary"),
        *("map", "seq", "merge", "value"),
    )
)


class ConfigError(Exception):
    """The configuration is wrong; the text is one line: where, what, and what to do."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(line_of(text).split()))


class Node:
    """A value of the file: its kind, its line (from 1), and what it holds.

    ``value`` is the text of a single value, the nodes of a list, or the pairs of nodes of a
    mapping. ``scalar`` is a single value as YAML has it. ``is_plain``: none of YAML's tags that
    build objects. ``flow``: written in braces.
    """

    __slots__ = ("flow", "is_null", "is_plain", "kind", "line", "scalar", "value")

    def __init__(
        self,
        kind: str,
        line: int,
        value: Any,
        scalar: Any = None,
        is_plain: bool = True,
        is_null: bool = False,
        flow: bool = False,
    ) -> None:
        self.kind = kind
        self.line = line
        self.value = value
        self.scalar = scalar
        self.is_plain = is_plain
        self.is_null = is_null
        self.flow = flow

    def as_json(self) -> List[Any]:
        """The node as JSON can keep it."""
        value = self.value
        if self.kind == LIST:
            value = [node.as_json() for node in value]
        elif self.kind == MAPPING:
            value = [[key.as_json(), node.as_json()] for key, node in value]
        flags = [self.is_plain, self.is_null, self.flow]
        return [self.kind, self.line, value, self.scalar, *flags]

    @classmethod
    def from_json(cls, data: List[Any]) -> Node:
        """The node again, from :meth:`as_json`."""
        kind, line, value, *rest = data
        if kind == LIST:
            value = [cls.from_json(node) for node in value]
        elif kind == MAPPING:
            value = [(cls.from_json(key), cls.from_json(node)) for key, node in value]
        return cls(kind, line, value, *rest)


def load(path: str, parsed: Optional[PrivateFolder] = None) -> Node:
    """The file PATH as nodes. Raises ConfigError."""
    stamp = _stamp(path)
    if parsed is not None and stamp:
        known = _kept(parsed, stamp)
        if known is not None:
            return known
    node = _parsed(path, _read(path))
    if parsed is not None and stamp and not _holds_a_token(node):
        text = json.dumps({"stamp": stamp, "node": node.as_json()})
        parsed.write(_KEPT, text.encode("ascii"))
    return node


_KEPT = "config.json"


def _stamp(path: str) -> str:
    """What changes when the file does, or the program."""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    parts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return f"{__version__} {os.path.abspath(path)} {parts}"


def _kept(parsed: PrivateFolder, stamp: str) -> Optional[Node]:
    data = parsed.read(_KEPT)
    try:
        record = json.loads(data) if data else {}
        return Node.from_json(record["node"]) if record.get("stamp") == stamp else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _holds_a_token(node: Node) -> bool:
    """Whether a secret stands in the file itself, which then is copied nowhere."""
    if node.kind == LIST:
        return any(_holds_a_token(item) for item in node.value)
    if node.kind == MAPPING:
        return any(
            (key.value == "token" and not item.is_null) or _holds_a_token(item)
            for key, item in node.value
        )
    return False


def _read(path: str) -> str:
    """The text of the file PATH. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; `brtel-notify init` writes one, --config names another"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text") from None


def _parsed(path: str, text: str) -> Node:
    """TEXT as a tree of nodes. Raises ConfigError."""
    import yaml

    forbidden = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if forbidden is not None:
        line = text.count("\n", 0, forbidden.start()) + 1
        raise ConfigError(
            f"{path}:{line}: is not valid YAML: the character U+{ord(forbidden[0]):04X} is not"
            " allowed"
        )
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    deep = _too_deep(text, loader)
    if deep is not None:
        raise ConfigError(f"{path}:{deep}: is nested too deep")
    try:
        node = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else path
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        if mark and _line(text, mark.line)[mark.column : mark.column + 1] == "\t":
            problem = "a tab; YAML wants spaces"
        # A token that begins with * or & is taken for an alias: no message repeats it.
        problem = re.sub(r"(alias|anchor|handle) '.*'", r"\1", problem)
        raise ConfigError(f"{where}: is not valid YAML: {problem}") from None
    if node is None:
        raise ConfigError(f"{path}: is empty")
    return _Converter(path).convert(node)


def _too_deep(text: str, loader: Any) -> Optional[int]:
    """The line, from 1, where TEXT nests too deep; None if it does not, as far as it is YAML."""
    import yaml

    depth = 0
    event: Any
    try:
        for event in yaml.parse(text, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                return int(event.start_mark.line + 1)
    except yaml.YAMLError as error:
        # The library reads a line ahead. Newer ones have a limit of their own, and may come upon
        # that before they tell of the first level: of such a line, its beginning alone is read.
        mark = getattr(error, "problem_mark", None)
        *before, last = text.split("\n")[: mark.line + 1 if mark else None]
        if len(last) > _ENOUGH:
            return _too_deep("\n".join([*before, last[:_ENOUGH]]), loader)
    return None


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number] if number < len(lines) else ""


class _Converter:
    """From the library's nodes to ours."""

    def __init__(self, path: str) -> None:
        import yaml

        self.yaml = yaml
        self.path = path
        self.constructor = yaml.SafeLoader("")
        self.nodes = 0
        self.depth = 0

    def convert(self, node: Any) -> Node:
        """One node and all below it. Raises ConfigError if it refers to itself."""
        line = node.start_mark.line + 1
        self.nodes += 1
        self.depth += 1
        # The text itself is no deeper: only a reference to what it stands in goes on for ever.
        if self.nodes > MOST_NODES or self.depth > 2 * DEEPEST:
            raise ConfigError(f"{self.path}:{line}: is too large, or refers to itself")
        converted = self._converted(node, line)
        self.depth -= 1
        return converted

    def _converted(self, node: Any, line: int) -> Node:
        is_plain, is_null = node.tag in _TAGS, node.tag == f"{_TAG}null"
        if isinstance(node, self.yaml.ScalarNode):
            return Node(SCALAR, line, node.value, self._scalar(node), is_plain, is_null)
        if isinstance(node, self.yaml.SequenceNode):
            return Node(LIST, line, [self.convert(item) for item in node.value], None, is_plain)
        pairs = [(self.convert(key), self.convert(value)) for key, value in node.value]
        return Node(MAPPING, line, pairs, None, is_plain, flow=bool(node.flow_style))

    def _scalar(self, node: Any) -> Any:
        try:
            value = self.constructor.construct_object(node)
        except (self.yaml.YAMLError, ValueError, KeyError, AttributeError):
            # "!!bool maybe", the 40th of May, an int of 5,000 digits: no more than text.
            return node.value
        return value if value is None or type(value) in (bool, int, float, str) else node.value
