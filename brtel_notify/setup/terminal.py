"""Asking a person at the terminal. Where nobody sits there, what no flag says is missing."""

from __future__ import annotations

import io
import os
import select
import sys
import termios
from typing import Callable, NamedTuple, Optional, Sequence, TypeVar

from brtel_notify.local.cleaning import line_of
from brtel_notify.options import USAGE, Stop

Answer = TypeVar("Answer")


class Wrong(Exception):
    """An answer that cannot be used; the text says why.

    ``code`` is the exit code where nobody can be asked again.
    """

    def __init__(self, text: str, code: int = USAGE) -> None:
        super().__init__(text)
        self.code = code


class Question(NamedTuple):
    """What is asked, the flag that answers it too, and what Enter alone means (None: nothing).

    ``lines`` are shown before it, once.
    """

    text: str
    flag: str
    default: Optional[str] = None
    lines: Sequence[str] = ()


class Terminal:
    """Where questions go and answers come from; ``attended``: whether a person sits there."""

    def __init__(self) -> None:
        self._ahead = b""  # what came behind the line that was read
        self.attended = _is_terminal(sys.stdin) and _is_terminal(sys.stdout)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a name may have letters that it has not

    def say(self, text: str = "") -> None:
        """One line, whatever TEXT holds."""
        print(line_of(text), flush=True)

    def settle(
        self, question: Question, given: Optional[str], check: Callable[[str], Answer]
    ) -> Answer:
        """What CHECK makes of the answer: the flag's, if GIVEN, else a person's.

        A wrong answer is asked for again, with the reason. Raises Stop, EOFError.
        """
        if given is None and not self.attended:
            given = question.default
            if given is None:
                raise self.missing(question.flag)
        if given is not None:
            try:
                return check(given.strip())
            except Wrong as wrong:
                self.refuse(question.flag, wrong)
        for line in question.lines:
            self.say(f"  {line}")
        default = f" [{question.default}]" if question.default else ""
        while True:
            answer = self.line(f"{question.text}{default}: ").strip()
            try:
                return check(answer or question.default or "")
            except Wrong as wrong:
                self.refuse("", wrong)

    def missing(self, flag: str) -> Stop:
        """That an answer is missing."""
        return Stop(f"{flag} is missing, and there is no terminal to ask at", USAGE)

    def refuse(self, flag: str, wrong: Wrong) -> None:
        """Say why what FLAG gave (empty: a person) is not taken. Raises Stop if nobody is there."""
        text = f"{flag}: {wrong}" if flag else str(wrong)
        if not self.attended:
            raise Stop(text, wrong.code)
        self.say(f"  {text}")

    def agrees(self, text: str, default: bool) -> bool:
        """Whether the person there says yes. Raises EOFError."""
        while True:
            answer = self.line(f"{text} [{'Y/n' if default else 'y/N'}]: ").strip().lower()
            if answer in ("", "y", "yes", "n", "no"):
                return default if not answer else answer[0] == "y"
            self.say("  y or n")

    def line(self, prompt: str) -> str:
        """A line that is typed. Raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C."""
        print(line_of(prompt), end="", flush=True)
        # No input(): with readline loaded it keeps what was typed, and edits it in its own way.
        while b"\n" not in self._ahead:
            self._ahead += self._read()
        typed, _, self._ahead = self._ahead.partition(b"\n")
        return typed.decode(sys.stdin.encoding or "utf-8", "replace").rstrip("\r")

    def _read(self) -> bytes:
        descriptor = sys.stdin.fileno()
        # A Ctrl-C in the instant before a read is heeded only when the read ends: none waits long.
        while not select.select([descriptor], [], [], 0.5)[0]:
            pass
        data = os.read(descriptor, 4096)
        if not data:
            raise EOFError
        return data

    def unseen(self, prompt: str) -> str:
        """The same, without showing what is typed."""
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        hidden = list(before)
        hidden[3] &= ~termios.ECHO
        # What was typed ahead was seen: it goes. So does, behind it, the rest of a secret that was
        # pasted as several lines: it would be shown as the answer to the next question.
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, hidden)
        self._ahead = b""
        try:
            return self.line(prompt)
        finally:
            self._ahead = b""
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
            print(flush=True)


def _is_terminal(stream: object) -> bool:
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False
