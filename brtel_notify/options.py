"""The command line's global options, taken apart without argparse: every alert passes here."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Mapping, Optional, Sequence, Tuple

DEFAULT_STATE_DIR = "/var/lib/brtel-notify"

#: Options with a value, by the attribute they set.
_VALUED = {
    "--config": "config",
    "--state-dir": "state_dir_option",
    "--log-format": "log_format",
}
_FLAGS = {"-v": "verbose", "--verbose": "verbose", "--dry-run": "dry_run"}


#: The exit code of a wrong command line, as argparse has it; all others are sysexits.h's.
USAGE = 2


class Stop(Exception):
    """A command for people goes no further: the text says in one line why, and what to do.

    ``code`` is the exit code.
    """

    def __init__(self, text: str, code: int = os.EX_DATAERR) -> None:
        super().__init__(text)
        self.code = code


class UsageError(Exception):
    """The command line is wrong; the text says how, in one line."""


class Options:
    """Global options, wherever they stood on the command line."""

    def __init__(self) -> None:
        self.config: Optional[str] = None
        self.state_dir_option: Optional[str] = None
        self.log_format: Optional[str] = None
        self.verbose = False
        self.dry_run = False

    def take(self, words: List[str]) -> bool:
        """Take the global option at the head of WORDS, if there is one. Raises UsageError."""
        if not words:
            return False
        name, equals, value = words[0].partition("=")
        if words[0] in _FLAGS:
            setattr(self, _FLAGS[words[0]], True)
            del words[0]
            return True
        if name not in _VALUED:
            return False
        taken = 1
        if not equals and len(words) > 1 and not words[1].startswith("-"):
            value, taken = words[1], 2
        if not value:  # an unset variable of a script, most likely: no default is what is meant
            raise UsageError(f"{name} needs a value")
        if name == "--log-format" and value not in ("text", "json"):
            raise UsageError(f"--log-format is text or json, not '{value}'")
        del words[:taken]
        setattr(self, _VALUED[name], value)
        return True

    def take_all(self, words: Sequence[str]) -> List[str]:
        """Take the global options among WORDS; the other words. Raises UsageError.

        Every other flag has a value, and where it does not hold it behind a ``=`` it is the next
        word, whatever that looks like: what an alert says never is an option.
        """
        rest = list(words)
        others: List[str] = []
        while rest:
            if self.take(rest):
                continue
            has_value = rest[0].startswith("--") and "=" not in rest[0]
            others += rest[: 2 if has_value else 1]
            del rest[: 2 if has_value else 1]
        return others

    def state_dir(self, environ: Mapping[str, str]) -> str:
        """The state folder: the option, $BRTEL_NOTIFY_STATE_DIR, systemd's, or the usual one."""
        if self.state_dir_option:
            return self.state_dir_option
        # systemd separates several folders by colons; ours is the first.
        systemd = environ.get("STATE_DIRECTORY", "").partition(":")[0]
        return environ.get("BRTEL_NOTIFY_STATE_DIR") or systemd or DEFAULT_STATE_DIR


def split(words: List[str]) -> Tuple[Options, List[str]]:
    """The global options before the command, and the words from the command on."""
    options = Options()
    rest = list(words)
    while rest and options.take(rest):
        pass
    return options, rest
