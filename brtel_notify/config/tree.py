"""The branches of a YAML file, as readers of values take them: each knows its key and line."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Optional

from brtel_notify.config import yaml_nodes
from brtel_notify.config.yaml_nodes import LIST, MAPPING, SCALAR, ConfigError, Node
from brtel_notify.local.private_folder import PrivateFolder


class Tree:
    """A value in the file, with the place it stands at."""

    def __init__(self, node: Node, file: str, key: str, places: Dict[str, str]) -> None:
        self.node = node
        self.file = file
        self.key = key
        self.places = places
        if not node.is_plain:
            where = f"{file}:{node.line}" + (f": {key}" if key else "")
            raise ConfigError(f"{where}: a YAML tag such as !!name is not allowed")
        places[key] = f"{file}:{node.line}"

    @classmethod
    def load(cls, path: str, parsed: Optional[PrivateFolder] = None) -> Tree:
        """The file PATH; PARSED is where to keep it in a form that is read faster.

        Raises ConfigError.
        """
        return cls(yaml_nodes.load(path, parsed), path, "", {})

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
        return self.node.is_null

    def scalar(self) -> Any:
        """The value as YAML has it: text, int, float, bool or None."""
        if self.node.kind != SCALAR:
            hint = _jinja_hint(self.node)
            raise self.error(f"must be a single value, not a {self.node.kind}{hint}")
        return self.node.scalar

    @property
    def written(self) -> str:
        """A single value as the file has it, before YAML makes 90 of 1:30. Raises ConfigError."""
        self.scalar()
        return str(self.node.value).strip()

    def items(self) -> List[Tree]:
        """The items of a list."""
        if self.node.kind != LIST:
            raise self.error(f"must be a list, not a {self.node.kind}")
        return [
            Tree(node, self.file, f"{self.key}[{number}]", self.places)
            for number, node in enumerate(self.node.value)
        ]

    def pairs(self) -> Dict[str, Tree]:
        """The keys and values of a mapping, every key once; nothing at all is an empty one."""
        if self.is_null:
            return {}
        if self.node.kind != MAPPING:
            raise self.error(f"must be keys and values, not a {self.node.kind}")
        found: Dict[str, Tree] = {}
        for key_node, value_node in self.node.value:
            name = key_node.value if key_node.kind == SCALAR else ""
            line = key_node.line
            if not name.strip():
                where = f"{self.file}:{line}: {self.key}" if self.key else f"{self.file}:{line}"
                raise ConfigError(f"{where}: a key must be a word{_jinja_hint(self.node)}")
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


def _jinja_hint(node: Node) -> str:
    """What to do about a ``{{ host }}`` without quotes, which YAML takes for a mapping."""
    if node.kind != MAPPING or not node.flow or not node.value:
        return ""
    return "; put {{ … }} in quotes" if node.value[0][0].kind == MAPPING else ""


def nearest(word: str, words: Iterable[str]) -> str:
    """How a message ends when WORD is none of WORDS: the one that was meant, else all."""
    known = list(words)
    lowered = {name.lower(): name for name in known}
    from difflib import get_close_matches

    close = get_close_matches(word.lower(), lowered, 1, 0.6)
    if close:
        return f"; did you mean '{lowered[close[0]]}'?"
    return f"; known are: {', '.join(known)}" if known else ""
