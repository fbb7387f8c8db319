"""What there is to say of a monitoring system.

Each system has a module of its name with a SOURCE, a :class:`Source` that says what differs. Every
notification imports the one of its system before it is stored: nothing heavy, here or there.
"""

from __future__ import annotations

import os
import sys
import time

from brtel_notify.intake import withheld
from brtel_notify.intake.capture import Capture, decoded, text_of
from brtel_notify.options import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Mapping, Optional, Sequence, Tuple

    from brtel_notify.alert import Alert
    from brtel_notify.options import Options

#: Bytes of stdin that are kept; no monitoring system sends a thousandth of it.
LONGEST_INPUT = 64 * 1024 * 1024


class PageKey:
    """A key of ``sources.NAME`` in the configuration, from which links are made.

    ``choices`` are the words that it is one of; without them it is the address of a web page.
    """

    def __init__(
        self, description: str, default: Optional[str] = None, choices: Tuple[str, ...] = ()
    ) -> None:
        self.description = description
        self.default = default
        self.choices = choices


WEB_PAGES = PageKey(
    "The address of its web pages, as a browser has it before the path of any one page. `null`: no"
    " link."
)


class Source:
    """One monitoring system."""

    #: Its command, ``Alert.source``, and the key below ``sources`` in the configuration.
    name = ""
    #: What tickets call it.
    product = ""
    #: The product by its full name, and those that pass the same.
    products = ""
    #: What it calls that which fails on a host, by language; else it is a service.
    thing: Mapping[str, str] = {}
    #: What its command takes, as ``brtel-notify --help`` has it: the arguments, and a few words.
    takes = ("", "")
    #: What its command does, in the few words of a completion.
    about = ""
    #: The command's help, but for the global options.
    help = ""
    #: How the names of its environment variables begin; nothing else of the environment is kept.
    prefixes: Tuple[str, ...] = ()
    #: The keys of ``sources.NAME``; without any its alerts have no link.
    page_keys: Mapping[str, PageKey] = {}
    #: Whether there is a drop-in of it (setup/systems/NAME.py).
    has_drop_in = True

    # --- before the capture is stored -------------------------------------------------------------

    def asks_for_help(self, arguments: List[str]) -> bool:
        """Whether the ARGUMENTS of its command ask for help."""
        return "--help" in arguments or "-h" in arguments

    def capture(self, arguments: List[str], options: Options) -> Capture:
        """What this process was given, raw, but for what can only be a secret. Raises UsageError.

        Global options among the ARGUMENTS go to OPTIONS.
        """
        words, stdin = self.take(list(arguments), options)
        argv = [decoded(os.fsencode(word)) for word in words]
        env = environment(self.prefixes) if self.prefixes else {}
        return self.without_secrets(Capture(self.name, env, argv, stdin, time.time()))

    def take(self, words: List[str], options: Options) -> Tuple[List[str], str]:
        """What is kept of the command's WORDS, and of stdin. Raises UsageError."""
        return var_flags(words, options), ""

    def without_secrets(self, capture: Capture) -> Capture:
        """CAPTURE without what can only be a secret; what is read of the rest is the same."""
        env = {name: capture.env[name] for name in capture.env if not withheld.is_secret(name)}
        argv = self.argv_without_secrets(capture.argv)
        stdin = self.stdin_without_secrets(capture.stdin) if capture.stdin else ""
        return Capture(capture.source, env, argv, stdin, capture.time)

    def argv_without_secrets(self, argv: List[str]) -> List[str]:
        """Flags, of which --var has names."""
        return withheld.from_flags(argv)

    def stdin_without_secrets(self, stdin: str) -> str:
        """JSON."""
        return json_without_secrets(stdin)

    def may_be_test(self, capture: Capture) -> bool:
        """Whether it is worth reading CAPTURE at once, to see if it is a test of the set-up."""
        return False

    # --- afterwards -------------------------------------------------------------------------------

    def parse(self, capture: Capture) -> Alert:
        """The alert that CAPTURE means. Raises Unintelligible."""
        raise NotImplementedError

    def doubt(self, capture: Capture) -> str:
        """What is to be told of CAPTURE, once, though it was understood; empty if nothing is."""
        return ""

    def page(self, options: Mapping[str, str], alert: Alert) -> str:
        """The address of the page of ALERT's host or service; empty if it does not say enough.

        OPTIONS are those of ``page_keys``, ``url`` among them and not empty.
        """
        raise NotImplementedError


def var_flags(words: List[str], options: Options) -> List[str]:
    """WORDS, which must be flags ``--var NAME=VALUE``, without the global options among them."""
    taken: List[str] = []
    for flag, pair, _ in withheld.flags(options.take_all(words)):
        if flag != "--var":
            raise UsageError(f"unknown argument '{flag}'")
        if "=" not in pair:
            shown = "" if not pair or withheld.is_secret(pair) else f", not '{pair}'"
            raise UsageError(f"--var needs NAME=VALUE{shown}")
        taken += ["--var", pair]
    return taken


def environment(prefixes: Sequence[str]) -> Dict[str, str]:
    """The variables of this process whose names begin so: their bytes, whatever its locale."""
    beginnings = tuple(map(os.fsencode, prefixes))
    found = os.environb
    return {decoded(name): decoded(found[name]) for name in found if name.startswith(beginnings)}


def json_without_secrets(
    text: str, filters: Optional[withheld.Filters] = None, rows: Sequence[str] = ()
) -> str:
    """As withheld_json.from_json has it; TEXT is not read where it cannot hold a secret."""
    if not withheld.json_may_hold_one(text, (*(filters or ()), *rows)):
        return text
    from brtel_notify.intake import withheld_json

    return withheld_json.from_json(text, filters, rows)


def read_stdin() -> str:
    """All of stdin."""
    return text_of(sys.stdin.buffer.read(LONGEST_INPUT))


# --- pages ----------------------------------------------------------------------------------------


def query(values: Dict[str, str]) -> str:
    """VALUES as the query of an address."""
    from urllib.parse import quote

    # %20, not +: every one of these systems reads the former.
    pairs = (
        (quote(name, ""), quote(value, "", errors="replace")) for name, value in values.items()
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


def is_number(text: str) -> bool:
    """Whether TEXT is digits only, as an id of a system's own is."""
    return text.isascii() and text.isdigit()
