"""What is left out of a capture before anything of it is written: what can only be a secret.

Texts meant for people stay as they are. Every alert passes here before it is stored: nothing heavy
is imported, and no input makes this fail. How JSON is gone through: withheld_json.py.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterator, List, Mapping, Sequence, Tuple

    #: What stays of the fields of these names.
    Filters = Mapping[str, Callable[[Any], Any]]

#: One of them stands in every name that is_secret knows.
WORDS = ("COMMUNITY", "PASS", "SECRET", "TOKEN", "AUTHNAME", "CRYPTO", "CHECKCOMMAND", "ARG")


def is_secret(name: str) -> bool:
    """Whether what goes by that NAME, in whatever case, can only be a secret (DESIGN section 1)."""
    name = name.strip().upper()
    return (
        ("PASS" in name and any(word in name for word in ("PASSWORD", "PASSWD", "PASSPHRASE")))
        or "COMMUNITY" in name
        or "SECRET" in name
        or "TOKEN" in name
        or "AUTHNAME" in name
        or "CRYPTO" in name
        or name.endswith(("PASS", "CHECKCOMMAND"))
        or (name[-1:].isdecimal() and name.rstrip("0123456789").endswith("ARG"))
    )


def flags(words: Sequence[str]) -> Iterator[Tuple[str, str, List[str]]]:
    """The flags among the WORDS of a command line: name, value, and the words that say so.

    Every flag has a value, behind its ``=`` or as the next word. Another word comes alone.
    """
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        said = [word]
        if name.startswith("--") and not equals:
            said += [following for following in (next(rest, None),) if following is not None]
            value = "".join(said[1:])
        yield name, value, said


def from_flags(words: Sequence[str]) -> List[str]:
    """The WORDS of a command line, without each ``--var NAME=VALUE`` of a secret name."""
    kept: List[str] = []
    for flag, pair, said in flags(words):
        if flag != "--var" or not is_secret(pair.partition("=")[0]):
            kept += said
    return kept


def named(line: str) -> Tuple[str, str]:
    """Name and value of a LINE ``NAME: value`` that a person wrote; both empty where it is none."""
    name, colon, value = line[:10_000].partition(":")
    name = name.strip()
    is_name = name.replace("_", "").replace("-", "").replace(".", "").isalnum()
    return (name, value) if colon and is_name and not value.startswith("//") else ("", "")


def may_name_a_secret(text: str) -> bool:
    """Whether TEXT may have a name in it that :func:`is_secret` knows."""
    text = text.upper()
    return any(word in text for word in WORDS)


def json_may_hold_one(text: str, others: Sequence[str] = ()) -> bool:
    """Whether TEXT, which should be JSON, may name a secret, or a field that is one of OTHERS.

    With an escape (\\u0050), or a NUL between its letters, it may name anything.
    """
    small = text.lower()
    if "\\u" in text or "\0" in text:
        return True
    return may_name_a_secret(text) or any(name in small for name in others)
