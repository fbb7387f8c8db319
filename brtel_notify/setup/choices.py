"""Choosing one of several things by number, by name, or by a part of a name."""

from __future__ import annotations

import re
from typing import List, NamedTuple, Sequence

from brtel_notify.config.tree import nearest
from brtel_notify.local.cleaning import line_of
from brtel_notify.setup.terminal import Wrong

#: How many names a message repeats.
MOST_NAMES = 8


class Choice(NamedTuple):
    """Something to choose: its number, its name, and what else it is called (an account)."""

    number: int
    name: str
    other_name: str = ""


def shown(choices: Sequence[Choice]) -> List[str]:
    """A line for each, numbers and names below each other."""
    number = max((len(str(choice.number)) for choice in choices), default=0)
    other = max((len(choice.other_name) for choice in choices), default=0)
    return [
        f"{choice.number:>{number}}  {choice.other_name:<{other}}{'  ' if other else ''}"
        f"{choice.name}".rstrip()
        for choice in choices
    ]


def pick(text: str, choices: Sequence[Choice]) -> Choice:
    """The choice that TEXT means. Raises Wrong: none, or several."""
    wanted = text.strip().casefold()
    if not wanted:
        raise Wrong("an answer is needed: a number, or a name")
    if re.fullmatch("[0-9]{1,18}", wanted):
        numbered = [choice for choice in choices if choice.number == int(wanted)]
        if numbered:
            return numbered[0]
    same = [choice for choice in choices if wanted in _names(choice)]
    found = same or [choice for choice in choices if any(wanted in name for name in _names(choice))]
    if len(found) == 1:
        return found[0]
    if same:
        numbers = " or ".join(str(choice.number) for choice in same)
        raise Wrong(f"several are called {line_of(text.strip())}: give the number ({numbers})")
    if found:
        raise Wrong(f"'{text.strip()}' could be {_listed(found)}")
    hint = nearest(text.strip(), [choice.name for choice in choices])
    raise Wrong(f"there is no '{text.strip()}'{hint}")


def _names(choice: Choice) -> List[str]:
    names = (choice.name, choice.other_name)
    return [name.strip().casefold() for name in names if name.strip()]


def _listed(choices: Sequence[Choice]) -> str:
    names = [f"{choice.name} ({choice.number})" for choice in choices]
    if len(names) > MOST_NAMES:
        names = [*names[:MOST_NAMES], f"{len(names) - MOST_NAMES} more"]
    return f"{', '.join(names[:-1])} or {names[-1]}"
