"""Whether a ticket that bears a reference of ours is ours, or a person's that quotes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, AbstractSet, NamedTuple

from brtel_notify.config.schema import Config

if TYPE_CHECKING:
    from brtel_notify.api.records import Ticket

#: What BlueRockTEL calls the origin of what its API opened (its pages: admin).
_OF_THE_API = ("", "admin", "api")


class Signs(NamedTuple):
    """By what our tickets are known: the tags that they may get, and the users who open them."""

    tags: AbstractSet[str]
    authors: AbstractSet[int]

    def fit(self, ticket: Ticket) -> bool:
        """Whether the TICKET was opened by us. Its tags may have been changed, its author not.

        Another user's is ours if it has one of our tags, or if we have none: another of our servers
        may have a user of its own.
        """
        if self.are_tags_of(ticket) or ticket.author in self.authors:
            return True
        a_strangers = bool(ticket.author and self.authors and self.tags)
        return ticket.author != 0 and not a_strangers and ticket.origin in _OF_THE_API

    def are_tags_of(self, ticket: Ticket) -> bool:
        """Whether the TICKET has one of our tags."""
        return not self.tags.isdisjoint(ticket.tags)


def tags_of(config: Config) -> AbstractSet[str]:
    """Every tag that the configuration gives to a ticket."""
    places = (vars(config.ticket), *config.severities.values(), *(r.set for r in config.rules))
    return frozenset(tag for place in places for tag in place.get("tags") or ())
