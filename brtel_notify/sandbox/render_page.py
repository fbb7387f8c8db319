"""``render --open``, ``--watch`` and ``--html``: the rendered ticket as a page for a browser.

It looks like the sandbox's page of a ticket: both are made of the same templates and types. The
page stands alone in one file, fetches nothing and runs no script.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import tempfile
import time
import webbrowser
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from brtel_notify.config.schema import find
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console.configured import load_config
from brtel_notify.console.failures import fail
from brtel_notify.console.preview import ERRORS, explained, look
from brtel_notify.intake.capture import Capture
from brtel_notify.local import files, shipped_files
from brtel_notify.local.cleaning import line_of
from brtel_notify.options import Options
from brtel_notify.sandbox import history, pages, views
from brtel_notify.sandbox.shown import safe_html
from brtel_notify.sandbox.words import Words
from brtel_notify.text import times

#: Seconds between two looks at what is watched.
LOOK_EVERY = 0.3

#: What a file's save changes, by its path.
Stamps = Dict[str, Tuple[int, int]]


def run(capture: Capture, options: Options, path: Optional[str], opens: bool, watches: bool) -> int:
    """Write the page to PATH, or to a new private folder; the exit code that `render` would have.

    OPENS it in a browser, if there is one; WATCHES: until Ctrl-C, write it anew at every save.
    """
    target = Path(path or os.path.join(tempfile.mkdtemp(prefix="brtel-notify-"), "ticket.html"))
    preview = Preview(capture, options, target)
    watched = Watched(options)
    stamps = watched.stamps()
    try:
        code = preview.write(watches)
    except OSError as error:
        return fail(f"the page cannot be written: {target}: {error.strerror}", 73)
    print(f"page: {target}", flush=True)
    if opens and can_open(os.environ, sys.platform):
        webbrowser.open(target.absolute().as_uri())
    if not watches:
        return code
    try:
        while True:
            stamps = watched.wait(stamps)
            preview.write(True)
            clock = time.strftime("%H:%M:%S")
            print(f"{clock} {line_of(preview.title)}", flush=True)
    except KeyboardInterrupt:
        preview.write(False)  # nobody follows any more: the page need not either
        return 0


def can_open(environ: Mapping[str, str], platform: str) -> bool:
    """Whether there is a browser with a window; what `webbrowser` finds else runs in a terminal."""
    if platform in ("darwin", "win32"):
        return True
    return any(environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


class Preview:
    """The page of one capture; ``title`` says what was last written."""

    def __init__(self, capture: Capture, options: Options, path: Path) -> None:
        self.capture = capture
        self.options = options
        self.path = path
        self.title = ""

    def write(self, watched: bool) -> int:
        """Render, and write the page whole; the exit code of `render`. Raises OSError."""
        language, ticket, problems, code = "en", None, [], 0
        try:
            looked = look(self.capture, self.options)
            language, problems = looked.config.language, looked.problems
            ticket = _ticket(looked.data, looked.config.contact.role or "", Words(language))
            self.title = ticket.row.subject
        except ERRORS as error:
            text, code = explained(error)
            fail(text, code)
            self.title, problems = text, [text]
        style = pages.file("style.css")
        page = pages.render(
            "rendered.html.j2",
            language,
            title=self.title,
            ticket=ticket,
            problems=problems,
            watched=watched,
            style=style,
            policy=f"default-src 'none'; style-src '{_digest(style)}'",
        )
        files.refuse_devices(self.path)
        files.write_whole(self.path, page.encode("utf-8"), durable=False, mode=0o600)
        return code


class Watched:
    """The files whose saves matter: the configuration, and every template."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._folder: Optional[str] = None

    def stamps(self) -> Stamps:
        """When and how long each of them is now."""
        found = {}
        for path in self._paths():
            try:
                status = os.stat(path)
            except OSError:  # an editor may be replacing it
                continue
            found[path] = (status.st_mtime_ns, status.st_size)
        return found

    def wait(self, before: Stamps) -> Stamps:
        """Return the stamps as soon as they differ from BEFORE."""
        while True:
            time.sleep(LOOK_EVERY)
            now = self.stamps()
            if now != before:
                return now

    def _paths(self) -> Iterator[str]:
        yield find(self._options.config, os.environ)
        try:
            self._folder = load_config(self._options).templates
        except ConfigError:
            pass  # while it is wrong, its last folder is the one being worked on
        for folder in filter(None, (self._folder, shipped_files.folder("templates"))):
            for parent, _, names in os.walk(folder):
                yield from (os.path.join(parent, name) for name in sorted(names))


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


# --- the ticket as the page's templates take it ---------------------------------------------------


def _ticket(data: Mapping[str, Any], role: str, t: Words) -> views.Page:
    """What `render --json` shows, as a ticket. Without one, the notes on a ticket that is there."""
    created: Mapping[str, Any] = data["ticket"] or {}
    settings: Mapping[str, Any] = data["settings"]
    attached = role and "attach" in data["steps"]
    contacts = (views.Contact(t("contact_by_role", role=role)),) if attached else ()
    return views.Page(
        row=_row(data, created),
        html=safe_html(str(created.get("body") or "")),
        account=_account(data),
        on_call=False,
        contacts=contacts,
        category=_word(settings.get("category")),
        sub_category=_word(settings.get("sub_category")),
        team=_word(settings.get("team")),
        assignee=None,
        tags=tuple(str(tag) for tag in settings.get("tags") or ()),
        minutes=0,
        timeline=tuple(_timeline(data, t)),
    )


def _row(data: Mapping[str, Any], created: Mapping[str, Any]) -> views.Row:
    priority = _word(data["settings"].get("priority"))
    return views.Row(
        id=0,
        number=data["reference"],
        subject=created.get("subject") or f"{data['outcome']}: {data['decision']}",
        is_open=not any(reply["close"] for reply in data["replies"]),
        closure=False,
        priority=priority,
        level=views.level(priority),
        customer=(data["customer"] or {}).get("name", ""),
        vip=False,
        status=_word(data["settings"].get("status")),
        notes=len(data["replies"]),
        opened_at=times.api_date(data["alert"]["time"]) if created else "",
        closed_at="",
        due=created.get("estimated_resolution_date") or "",
        overdue=False,
    )


def _timeline(data: Mapping[str, Any], t: Words) -> Iterator[views.Entry]:
    if data["ticket"]:
        yield views.Entry("", history.OPENED)
    for number, reply in enumerate(data["replies"]):
        note = views.Note(
            id=number,
            author="",
            html=safe_html(str(reply["body"])),
            internal=not reply["customer_visible"],
            closes=bool(reply["close"]),
        )
        yield views.Entry("", history.REPLIED, note=note)


def _account(data: Mapping[str, Any]) -> str:
    account = str((data["customer"] or {}).get("account", ""))
    return "" if account == "?" else account


def _word(setting: Any) -> str:
    return "" if setting is None else str(setting)
