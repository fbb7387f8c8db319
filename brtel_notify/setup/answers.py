"""What a new configuration is made of: what `brtel-notify init` has been told."""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence, Union

from brtel_notify.setup.choices import Choice

#: What BlueRockTEL calls something, or its id.
NameOrId = Union[str, int]


class Secret(NamedTuple):
    """The API's token, or a login's password: the file that holds it.

    ``text`` has to be written there; None: it stands there already. ``email`` makes it a password.
    """

    file: str
    text: Optional[str]
    email: Optional[str] = None

    @property
    def key(self) -> str:
        """The key of the configuration that names the file."""
        return "password_file" if self.email else "token_file"


class Filed(NamedTuple):
    """What a ticket is filed under: the value for the configuration, and its name."""

    value: Optional[NameOrId]
    name: str

    @classmethod
    def under(cls, chosen: Choice, choices: Sequence[Choice]) -> Filed:
        """By its name, as far as that tells it from the others, else by its id."""
        name = chosen.name.strip()
        alike = [each for each in choices if each.name.strip().casefold() == name.casefold()]
        if not name or not name.isprintable() or len(alike) > 1:
            return cls(chosen.number, chosen.name)
        return cls(name, name)


class Fallback(NamedTuple):
    """The customer who gets the tickets of hosts that nobody owns."""

    account: str
    name: str


class Answers(NamedTuple):
    """All that a configuration needs; ``assignee`` is None for the API's own user."""

    url: str
    secret: Secret
    ca_file: Optional[str]
    proxy: Optional[str]
    priority: Filed
    category: Filed
    sub_category: Filed
    team: Optional[Filed]
    assignee: Optional[Filed]
    fallback: Optional[Fallback]
    language: str
