"""Any other program: flags, or a JSON object whose names are those of the flags."""

from __future__ import annotations

from brtel_notify.sources.source import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import List, Tuple

    from brtel_notify.alert import Alert
    from brtel_notify.intake.capture import Capture
    from brtel_notify.options import Options


class AnyProgram(Source):
    """Whatever has no drop-in."""

    name = "event"
    product = "brtel-notify event"
    takes = ("", "any other program: --host, --state, --output ...")
    about = "capture an alert of any other program"
    has_drop_in = False

    def asks_for_help(self, arguments: List[str]) -> bool:
        """Its parser answers."""
        return False

    def take(self, words: List[str], options: Options) -> Tuple[List[str], str]:
        """The flags as given, checked, and the text of ``--json``."""
        from brtel_notify.sources import event_flags

        return event_flags.take(words, options)

    def may_be_test(self, capture: Capture) -> bool:
        """A test is called one, in the flags or in the JSON."""
        return any("test" in word.lower() for word in (*capture.argv, capture.stdin))

    def parse(self, capture: Capture) -> Alert:
        """See event_flags.py."""
        from brtel_notify.sources import event_flags

        return event_flags.parse(capture)

    def doubt(self, capture: Capture) -> str:
        """A word for a state that nobody knows."""
        from brtel_notify.sources import event_flags

        return event_flags.doubt(capture)


SOURCE = AnyProgram()
