"""What a self-test found: a line for each thing proved, and what the command exits with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Optional, Tuple


@dataclass
class Report:
    """What was proved: lines of (good?, text), the exit code, the first failure in one line."""

    lines: List[Tuple[Optional[bool], str]] = field(default_factory=list)
    code: int = 0
    failure: str = ""

    def good(self, text: str) -> None:
        """Something is as it should be."""
        self.lines.append((True, text))

    def note(self, text: str) -> None:
        """Something works, but may not be meant."""
        self.lines.append((None, text))

    def bad(self, text: str, code: int) -> None:
        """Something is not; the first code stands."""
        self.lines.append((False, text))
        self.code = self.code or code
        self.failure = self.failure or text
