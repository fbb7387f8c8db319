"""``brtel-notify render``: what would be sent for an input."""

from __future__ import annotations

import json
import textwrap
import time
from dataclasses import dataclass
from typing import List, Optional

from brtel_notify.alert import Unintelligible
from brtel_notify.console import preview
from brtel_notify.console.failures import fail
from brtel_notify.intake import withheld
from brtel_notify.intake.capture import MARK, Capture, text_of
from brtel_notify.intake.capture_file import read
from brtel_notify.options import Options, UsageError
from brtel_notify.sources import registry

_ABOUT = textwrap.fill(
    "Shows the ticket that an input would give: subject, body as text and as HTML, the steps and"
    f" the calls. SOURCE is {registry.in_words()}, with that command's arguments, variables and"
    ' input. A capture is a JSON object {"source": …, "env": …, "argv": …, "stdin": …}, as'
    " `queue show --json` has it, or the file of an event.",
    80,
)
HELP = f"""\
usage: brtel-notify render [OPTION]... SOURCE [what SOURCE takes]
       brtel-notify render [OPTION]... --capture FILE

{_ABOUT}

Nothing is called: what only BlueRockTEL knows is made up, or comes from the
cache. With -v, calls that only read are made, to show the true customer.

  --json       for programs
  --open       as a page that looks like the ticket, in a browser
  --watch      the same, again at every save of templates or configuration
  --html FILE  the page in this file, opened only with --open or --watch

example:
  brtel-notify render event --host acme.3cx.fr --state DOWN --output "no ping"
  brtel-notify render --watch --capture alert.json
"""


@dataclass
class Form:
    """In what form the ticket is wanted; ``html`` is the path of a page."""

    json: bool = False
    opens: bool = False
    watches: bool = False
    html: Optional[str] = None

    @property
    def is_page(self) -> bool:
        """Whether it is to be a page for a browser."""
        return self.opens or self.watches or self.html is not None


_FLAGS = {"--json": "json", "--open": "opens", "--watch": "watches"}
#: What belongs to `render`, and to no source.
_OWN = ("--open", "--watch", "--html")


def run(arguments: List[str], options: Options) -> int:
    """Show what would be sent."""
    words = list(arguments)
    if any(word in ("-h", "--help") for word in words[:1]):
        print(HELP, end="")
        return 0
    form = Form()
    _take(form, words, options)
    if words and words[0] == "--capture":
        if len(words) < 2:
            raise UsageError("--capture needs a file")
        rest = words[2:]
        _take(form, rest, options)
        if rest:
            raise UsageError(f"render: unknown argument '{rest[0]}'")
        return _show(_from_file(words[1]), options, form)
    if words and words[0].startswith("-"):
        raise UsageError(f"render: unknown option '{words[0]}'")
    if not words or words[0] not in registry.NAMES:
        raise UsageError(f"render needs a source: {', '.join(registry.NAMES)}, or --capture FILE")
    source = words.pop(0)
    if source != "zabbix" and source != "event" and "--json" in words:
        words.remove("--json")
        form.json = True
    late = next((flag for flag, _, _ in withheld.flags(words) if flag in _OWN), None)
    if late is not None and source != "zabbix":
        raise UsageError(f"{late} stands before the source: render {late} ... {source} ...")
    return _show(registry.source(source).capture(words, options), options, form)


def _take(form: Form, words: List[str], options: Options) -> None:
    """Take the options of `render` itself, and the global ones, from the head of WORDS."""
    while words:
        name, _, value = words[0].partition("=")
        if words[0] in _FLAGS:
            setattr(form, _FLAGS[words.pop(0)], True)
        elif name == "--html":
            del words[0]
            value = value or (words.pop(0) if words else "")
            if not value:
                raise UsageError("--html needs a file")
            form.html = value
        elif not options.take(words):
            break


def _from_file(path: str) -> Capture:
    try:
        with open(path, "rb") as file:
            content = file.read()
        if content.startswith(MARK):  # the file of an event, from the queue
            return registry.without_secrets(read(content)[0])
        data = json.loads(text_of(content))
        if isinstance(data, list) and len(data) == 1:  # what `queue show --json` prints
            data = data[0]
        data = data.get("capture", data)
        stdin = data.get("stdin", "")
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        seconds = float(data.get("time", time.time()))
        env, argv = dict(data.get("env", {})), list(data.get("argv", []))
        return registry.without_secrets(Capture(data["source"], env, argv, text, seconds))
    except OSError as error:
        raise UsageError(f"--capture {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"--capture {path}: is no capture") from None


def _show(capture: Capture, options: Options, form: Form) -> int:
    if not form.is_page:
        return preview.show(capture, options, form.json)
    if form.json:
        raise UsageError("render: either --json or a page")
    try:
        if preview.is_test(capture):
            return 0
    except Unintelligible as error:
        return fail(*preview.explained(error))
    from brtel_notify.sandbox import render_page

    opens = form.opens or form.watches
    return render_page.run(capture, options, form.html, opens, form.watches)
