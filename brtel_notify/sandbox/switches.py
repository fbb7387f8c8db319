"""What the web page switches: outages that an operator rehearses, and which BlueRockTEL it is."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from .faults import Faults
from .instance import CHOICES, Instance

_RULES: Dict[str, Tuple[str, Dict[str, Any]]] = {
    "down": ("fail", {"status": 503}),
    "unreachable": ("drop", {"when": "before"}),
}
SLOW_MILLISECONDS = 3000.0
CALLS_PER_WINDOW = 10
#: Time zones to choose on the page; ``--set`` and ``/__sandbox__/instance`` take any.
_ZONES = ("UTC", "Europe/Paris", "Indian/Reunion")


class Switch(NamedTuple):
    """A fault, whether it is `on`, and the `numbers` of its description, by their names."""

    name: str
    on: bool
    numbers: Mapping[str, str]


class Trait(NamedTuple):
    """A switch of the instance, the `word` in force, and the `words` to choose from."""

    name: str
    word: str
    words: Tuple[str, ...]


def traits(instance: Instance) -> List[Trait]:
    """Return the switches of the instance in the order in which they are shown."""
    words = {**CHOICES, "timezone": _ZONES}
    in_force = {name: getattr(instance, name) for name in words}
    return [
        Trait(name, word, tuple(dict.fromkeys((*words[name], word))))
        for name, word in in_force.items()
    ]


def switches(faults: Faults) -> List[Switch]:
    """Return the switches in the order in which they are shown."""
    shown = faults.show()
    latency = shown["latency"] or SLOW_MILLISECONDS
    limit = CALLS_PER_WINDOW if shown["rate_limit"] is None else shown["rate_limit"]
    numbers = {"count": str(limit), "seconds": f"{shown['rate_window']:g}"}
    return [
        *(Switch(name, _full(*rule) in shown[rule[0]], {}) for name, rule in _RULES.items()),
        Switch("slow", shown["latency"] > 0, {"seconds": f"{latency / 1000:g}"}),
        Switch("limit", shown["rate_limit"] is not None, numbers),
    ]


def turn(faults: Faults, name: str, on: bool) -> None:
    """Switch one fault; raises KeyError for a name that is none."""
    if name == "slow":
        faults.set({"latency": SLOW_MILLISECONDS if on else None})
    elif name == "limit":
        faults.set({"rate_limit": CALLS_PER_WINDOW if on else None})
    else:
        kind, settings = _RULES[name]
        faults.switch(kind, settings, on)


def others(faults: Faults) -> List[str]:
    """Return what else is in force, by flags or by ``POST /__sandbox__/faults``, as JSON."""
    shown, calm = faults.show(), Faults().show()
    mine = [(kind, _full(kind, settings)) for kind, settings in _RULES.values()]
    found = []
    for kind, value in shown.items():
        if isinstance(value, list):
            found += [{kind: rule} for rule in value if (kind, rule) not in mine]
        elif value != calm[kind] and kind not in ("latency", "rate_limit", "rate_window"):
            found.append({kind: value})
    return [json.dumps(fault) for fault in found]


def _full(kind: str, settings: Dict[str, Any]) -> Dict[str, Any]:
    """Return a rule as `Faults.show` has it, its defaults included."""
    faults = Faults()
    faults.set({kind: settings})
    rule: Dict[str, Any] = faults.show()[kind][0]
    return rule
