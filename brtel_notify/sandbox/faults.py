"""Faults on demand: which calls the sandbox spoils, and how. Nothing of HTTP lives here.

The settings, all optional, as flags build them and ``POST /__sandbox__/faults`` takes them (a null
switches one off):

``latency``
    Milliseconds that every answer is held up, before the call is carried out.
``rate_limit``, ``rate_window``
    Calls allowed in each window of `rate_window` seconds (60); above it 429 with Retry-After.
``unauthorized``
    The next N calls that need a token are answered 401.
``wrap``, ``page_size``
    ``bare``, ``data`` ({"data": […]}) or ``paged`` (and Laravel's links and meta, 15 a page).
``booleans``
    ``bool``, or ``int`` for 0 and 1 in place of false and true.
``long_subject``
    ``refuse`` (422) or ``cut`` a subject of more than 255 characters.
``fail``, ``drop``, ``hang``
    A rule or a list of rules; see Rule.
"""

from __future__ import annotations

import fnmatch
import random
import threading
import time
from dataclasses import dataclass, field, fields
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

_WHEN = {
    "fail": ("before", "after"),
    "drop": ("before", "after", "midway"),
    "hang": ("before", "after"),
}
_BODIES = ("json", "html", "truncated", "type", "empty")
_OPEN_PATHS = ("/api/login", "/api/version")


@dataclass
class Rule:
    """One way in which calls go wrong.

    Which calls: `method` (``POST``, or several: ``POST,PUT``) and `path` (a pattern of fnmatch for
    the path with or without ``/api``), and what they say (`holds`: a text that is in the query or
    the JSON, as for a firewall that dislikes a word); the first `skip` of them are spared; of the
    others the `next` N, or the `share` (0 to 1), or, with neither, all.

    How: `kind` ``fail`` answers `status`, with `retry_after` as the header says it and a `body`
    (``json`` as Laravel would, ``html``, ``truncated`` JSON, a wrong JSON ``type``, ``empty``) or
    the value `json`; ``drop`` closes the connection; ``hang`` holds the answer for `seconds`.
    `when` is ``before`` the change is made (it is then not made; a hang makes it only if the client
    still waits), or ``after``; a drop may also come ``midway`` in the answer. Without a `status`, a
    fail spoils the body of the true answer.
    """

    kind: str
    when: str = ""
    method: Optional[str] = None
    path: Optional[str] = None
    holds: Optional[str] = None
    skip: int = 0
    next: Optional[int] = None
    share: Optional[float] = None
    status: Optional[int] = None
    retry_after: Union[int, str, None] = None
    body: str = "json"
    json: Any = None
    seconds: float = 60.0
    _spared: int = field(default=0, repr=False)

    @classmethod
    def read(cls, kind: str, settings: object) -> Rule:
        """Return the rule that `settings` describe; raises ValueError naming what is wrong."""
        if not isinstance(settings, Mapping):
            raise ValueError(f'{kind}: a rule is an object, as {{"next": 1}}')
        known = {f.name for f in fields(cls) if not f.name.startswith("_")} - {"kind"}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise ValueError(
                f"{kind}: unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}"
            )
        rule = cls(kind, **{key: value for key, value in settings.items() if value is not None})
        rule._complete()
        return rule

    def _complete(self) -> None:
        _need(self.kind, "skip", self.skip, int)
        _need(self.kind, "next", self.next, int, type(None))
        _need(self.kind, "share", self.share, int, float, type(None))
        _need(self.kind, "status", self.status, int, type(None))
        _need(self.kind, "seconds", self.seconds, int, float)
        _need(self.kind, "method", self.method, str, type(None))
        _need(self.kind, "path", self.path, str, type(None))
        _need(self.kind, "holds", self.holds, str, type(None))
        _need(self.kind, "retry_after", self.retry_after, int, str, type(None))
        if self.body not in _BODIES:
            raise ValueError(f"{self.kind}: body is one of {', '.join(_BODIES)}")
        spoils_true_answer = self.kind == "fail" and self.status is None and self._spoils()
        if self.kind == "fail" and self.status is None and not spoils_true_answer:
            self.status = 500
        self.when = self.when or ("after" if spoils_true_answer else "before")
        if self.when not in _WHEN[self.kind]:
            raise ValueError(f"{self.kind}: when is one of {', '.join(_WHEN[self.kind])}")
        if spoils_true_answer and self.when == "before":
            raise ValueError("fail: before the change there is no true answer; give a status")

    def _spoils(self) -> bool:
        return self.body != "json" or self.json is not None

    def fires(self, method: str, path: str, said: str, chance: Callable[[], float]) -> bool:
        """Say whether this call goes wrong, and count it."""
        if not self._concerns(method, path) or (self.holds or "") not in said:
            return False
        if self._spared < self.skip:
            self._spared += 1
            return False
        if self.share is not None and chance() >= self.share:
            return False
        if self.next is not None:
            if self.next <= 0:
                return False
            self.next -= 1
        return True

    def _concerns(self, method: str, path: str) -> bool:
        if self.method and method not in self.method.upper().replace(" ", "").split(","):
            return False
        if not self.path:
            return True
        short = path[len("/api") :] if path.startswith("/api/") else path
        return any(fnmatch.fnmatchcase(it, self.path) for it in (path, short))

    def show(self) -> Dict[str, Any]:
        """Return the rule as it could be posted again, with what is left of `next`."""
        shown = {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_")}
        del shown["kind"]
        return {key: value for key, value in shown.items() if value is not None}


@dataclass(frozen=True)
class Verdict:
    """What happens to one call: it waits `latency` seconds; then `rule`, if any, spoils it."""

    latency: float = 0.0
    rule: Optional[Rule] = None
    #: Set when the faults are cleared. It belongs to the decision: a call that was decided before
    #: and comes to wait only afterwards must not wait at all.
    released: threading.Event = field(default_factory=threading.Event, compare=False)

    def hold(self, seconds: float) -> None:
        """Wait that long, or until the faults are cleared."""
        if seconds > 0:
            self.released.wait(seconds)


class Faults:
    """The settings in force. Thread-safe; each call is decided once, by `decide`."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._lock = threading.RLock()
        self._released = threading.Event()
        self._reset()

    def _reset(self) -> None:
        self.latency = 0.0
        self.rate_limit: Optional[int] = None
        self.rate_window = 60.0
        self.unauthorized = 0
        self.wrap = "bare"
        self.page_size = 15
        self.booleans = "bool"
        self.long_subject = "refuse"
        self._rules: Dict[str, List[Rule]] = {"fail": [], "drop": [], "hang": []}
        self._window: Tuple[float, int] = (float("-inf"), 0)

    def set(self, settings: object) -> None:
        """Put `settings` (see the module) in force and leave the others as they are.

        Raises ValueError that names what is wrong; nothing is changed then.
        """
        if not isinstance(settings, Mapping):
            raise ValueError('the faults are an object, as {"latency": 50}')
        readers = {**_SCALARS, **dict.fromkeys(self._rules, _read_rules)}
        unknown = sorted(set(settings) - set(readers))
        if unknown:
            raise ValueError(f"unknown {', '.join(unknown)}; known: {', '.join(sorted(readers))}")
        values = {name: readers[name](name, value) for name, value in settings.items()}
        with self._lock:
            for name, value in values.items():
                if name in self._rules:
                    self._rules[name] = value
                else:
                    setattr(self, name, value)
            if "rate_limit" in values:
                self._window = (float("-inf"), 0)

    def clear(self) -> None:
        """Switch everything off and let go of the answers being held."""
        with self._lock:
            self._reset()
            self._released.set()
            self._released = threading.Event()

    def show(self) -> Dict[str, Any]:
        """Return the settings in force, in the form that `set` takes."""
        with self._lock:
            shown: Dict[str, Any] = {name: getattr(self, name) for name in _SCALARS}
            shown.update(
                {kind: [rule.show() for rule in rules] for kind, rules in self._rules.items()}
            )
            return shown

    def switch(self, kind: str, settings: Mapping[str, Any], on: bool) -> None:
        """Add the rule that `settings` describe, or take it out; other rules keep their counts."""
        rule = Rule.read(kind, settings)
        with self._lock:
            others = [each for each in self._rules[kind] if each.show() != rule.show()]
            self._rules[kind] = [*others, rule] if on else others

    def decide(self, method: str, path: str, said: str = "") -> Verdict:
        """Say what happens to this call, and count it against the limits that concern it.

        `said` is all text of its query and its JSON.
        """
        with self._lock:
            rule = self._rule_for(method, path, said)
            return Verdict(self.latency / 1000.0, rule, self._released)

    def _rule_for(self, method: str, path: str, said: str) -> Optional[Rule]:
        wait = self._over_limit()
        if wait is not None:
            return Rule("fail", "before", status=429, retry_after=wait)
        if self.unauthorized > 0 and path not in _OPEN_PATHS:
            self.unauthorized -= 1
            return Rule("fail", "before", status=401)
        for rules in self._rules.values():
            for rule in rules:
                if rule.fires(method, path, said, self._chance):
                    return rule
        return None

    def _over_limit(self) -> Optional[int]:
        if self.rate_limit is None:
            return None
        now = self._clock()
        start, count = self._window
        if now - start >= self.rate_window:
            start, count = now, 0
        self._window = (start, count + 1)
        if count < self.rate_limit:
            return None
        return max(1, round(start + self.rate_window - now))


def _need(where: str, name: str, value: object, *types: type) -> None:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise ValueError(f"{where}: {name} cannot be {value!r}")
    if isinstance(value, (int, float)) and value < 0:
        raise ValueError(f"{where}: {name} cannot be negative")


def _read_rules(kind: str, value: object) -> List[Rule]:
    if value is None:
        return []
    settings = value if isinstance(value, list) else [value]
    return [Rule.read(kind, each) for each in settings]


def _number(default: float) -> Callable[[str, object], float]:
    def read(name: str, value: object) -> float:
        if value is None:
            return default
        _need("faults", name, value, int, float)
        return float(value)  # type: ignore[arg-type]

    return read


def _count(default: Optional[int]) -> Callable[[str, object], Optional[int]]:
    def read(name: str, value: object) -> Optional[int]:
        if value is None:
            return default
        _need("faults", name, value, int)
        return int(value)  # type: ignore[call-overload, no-any-return]

    return read


def _choice(*choices: str) -> Callable[[str, object], str]:
    def read(name: str, value: object) -> str:
        if value is None:
            return choices[0]
        if value not in choices:
            raise ValueError(f"faults: {name} is one of {', '.join(choices)}, not {value!r}")
        return str(value)

    return read


_SCALARS: Dict[str, Callable[[str, object], Any]] = {
    "latency": _number(0.0),
    "rate_limit": _count(None),
    "rate_window": _number(60.0),
    "unauthorized": _count(0),
    "wrap": _choice("bare", "data", "paged"),
    "page_size": _count(15),
    "booleans": _choice("bool", "int"),
    "long_subject": _choice("refuse", "cut"),
}
