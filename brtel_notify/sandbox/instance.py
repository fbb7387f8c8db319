"""Which BlueRockTEL the sandbox is: that of the two pages, that of the vendor's SDK, or a mix.

The switches, as ``--set``, ``POST /__sandbox__/instance`` and the page take them (null: that of the
pages):

``names``
    ``snake`` as the pages have them; ``camel`` as the SDK has those of customers, contacts, users
    and replies (see dialect.py).
``lookup``
    ``yes``; ``no``: the three lookups of customers and PBX hosts are no addresses at all.
``miss``
    ``hard``: what is not there is a 404; ``soft``: it is a 200 that says so.
``timezone``
    An IANA name: dates without a zone are this local time.
``closure``
    ``none``; ``auto``: a ticket that closes by itself shows that it did.
``visibility``
    ``kept``; ``ignored``: every reply is visible to the customer, whatever was asked; ``unsaid``:
    kept, and no answer says so; ``late``: all but the answer to the reply itself say so.
``templates``
    ``kept``; ``resolved``: a ``{{ … }}`` or ``{!! … !!}`` in a reply is gone when it is read.
"""

from __future__ import annotations

import threading
import zoneinfo
from datetime import timezone, tzinfo
from typing import Any, Dict, Mapping, Optional, Tuple

#: The words of each switch, the one of 2026 first; `timezone` takes any IANA name.
CHOICES: Dict[str, Tuple[str, ...]] = {
    "names": ("snake", "camel"),
    "lookup": ("yes", "no"),
    "miss": ("hard", "soft"),
    "timezone": ("UTC",),
    "closure": ("none", "auto"),
    "visibility": ("kept", "ignored", "unsaid", "late"),
    "templates": ("kept", "resolved"),
}

_PLAIN = {name: words[0] for name, words in CHOICES.items()}

PRESETS: Dict[str, Dict[str, str]] = {
    "2026": _PLAIN,
    "2023": {
        **_PLAIN,
        "names": "camel",
        "lookup": "no",
        "miss": "soft",
        "timezone": "Europe/Paris",
    },
}


class Instance:
    """The switches in force, each an attribute. Thread-safe."""

    names: str
    lookup: str
    miss: str
    timezone: str
    closure: str
    visibility: str
    templates: str

    def __init__(self, settings: Optional[Mapping[str, Any]] = None) -> None:
        """Start as the pages of 2026, with `settings` over them; raises ValueError as `set`."""
        self._lock = threading.Lock()
        vars(self).update(_PLAIN)
        self.set(settings or {})
        self._start = self.show()

    def set(self, settings: object) -> None:
        """Put `settings` in force and leave the others as they are; `instance` is a preset's name.

        A preset comes first, whatever stands before it. Raises ValueError that names what is wrong
        and the words there are; nothing is changed then.
        """
        if not isinstance(settings, Mapping):
            raise ValueError('the instance is an object, as {"instance": "2023"}')
        unknown = sorted(map(str, set(settings) - {"instance", *CHOICES}))
        if unknown:
            known = ", ".join(("instance", *CHOICES))
            raise ValueError(f"unknown {', '.join(unknown)}; known: {known}")
        preset = settings.get("instance")
        values = (
            {} if preset is None else dict(PRESETS[_one_of("instance", preset, tuple(PRESETS))])
        )
        values.update({name: _word(name, settings[name]) for name in CHOICES if name in settings})
        with self._lock:
            vars(self).update(values)

    def clear(self) -> None:
        """Go back to what it was started with."""
        self.set(self._start)

    def show(self) -> Dict[str, Any]:
        """Return the switches in the form that `set` takes; `instance` is None for a mix."""
        with self._lock:
            switches = {name: getattr(self, name) for name in CHOICES}
        preset = next((name for name, its in PRESETS.items() if its == switches), None)
        return {"instance": preset, **switches}

    @property
    def zone(self) -> tzinfo:
        """The time zone of dates that bear none."""
        return _read_zone(self.timezone)


def _word(name: str, value: object) -> str:
    if value is None:
        return _PLAIN[name]
    return _zone(value) if name == "timezone" else _one_of(name, value, CHOICES[name])


def _one_of(name: str, value: object, words: Tuple[str, ...]) -> str:
    if str(value) not in words:
        raise ValueError(f"{name} is one of {', '.join(words)}, not {value!r}")
    return str(value)


def _zone(value: object) -> str:
    try:
        _read_zone(str(value))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"timezone is an IANA name, as Europe/Paris, not {value!r}") from None
    return str(value)


def _read_zone(name: str) -> tzinfo:
    # UTC is there on a machine without any time zone, too.
    return timezone.utc if name == "UTC" else zoneinfo.ZoneInfo(name)
