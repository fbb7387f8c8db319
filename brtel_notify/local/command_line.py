"""The command lines of the commands that use argparse: their parsers, with the global options."""

from __future__ import annotations

import argparse
import textwrap
from typing import Sequence

from brtel_notify.local.log import FORMATS
from brtel_notify.options import Options


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help that fits a screen: an option and what it means stand on one line where they can."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        # argparse's own name. What is indented is a list or an example, and stays as it is.
        lines = (
            line if line.startswith(" ") else textwrap.fill(line, width)
            for line in text.splitlines()
        )
        return "\n".join(lines)


class _Parser(argparse.ArgumentParser):
    """A parser whose help may be a text of its own: SCREEN, where a list would be longer."""

    screen = ""

    def format_help(self) -> str:
        return self.screen or super().format_help()


def parser(command: str, about: str, example: str, screen: str = "") -> argparse.ArgumentParser:
    """The parser of one command, with the global options and an example.

    SCREEN is what ``--help`` shows of a command whose options, a line each, would fill more than a
    screen of 24 lines. The manual pages have them all, a paragraph each.
    """
    made = _Parser(
        prog=f"brtel-notify {command}",
        description=about,
        epilog=f"example:\n  {example}",
        formatter_class=_Help,
        allow_abbrev=False,
    )
    add_globals(made)
    if screen:
        made.usage = screen.partition("usage: ")[2].partition("\n")[0]
        made.screen = screen
    return made


def add_globals(made: argparse.ArgumentParser) -> None:
    """Declare the global options, which may stand before the command or after it."""
    group = made.add_argument_group("global options")
    group.add_argument("--config", metavar="FILE", help="the configuration file")
    group.add_argument("--state-dir", metavar="DIR", help="the state folder")
    group.add_argument("--log-format", metavar="FORM", choices=FORMATS, help="text or json")
    group.add_argument("-v", "--verbose", action="store_true", help="say more")


def parse(
    made: argparse.ArgumentParser,
    arguments: Sequence[str],
    options: Options,
    intermixed: bool = False,
) -> argparse.Namespace:
    """The arguments; leaves by SystemExit(2), as argparse does, when they are wrong.

    The global options that stood after the command are added to OPTIONS. INTERMIXED: options may
    stand between and behind the other arguments.
    """
    given = (made.parse_intermixed_args if intermixed else made.parse_args)(arguments)
    options.config = given.config or options.config
    options.state_dir_option = given.state_dir or options.state_dir_option
    options.log_format = given.log_format or options.log_format
    options.verbose = given.verbose or options.verbose
    return given
