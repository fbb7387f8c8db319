"""A real browser without a window: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, List
from urllib.parse import urlsplit

from servers import PATIENCE, missing, need

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}
#: chromium's own sandbox needs privileges that a container may not give; all it sees here is ours.
_OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage"]


class Browser:
    """``with Browser() as browser:`` runs one; ``browser.tab()`` opens a page in it."""

    def __enter__(self) -> Browser:
        program = need("chromium", "chromium")
        try:
            from playwright.sync_api import sync_playwright
        except ModuleNotFoundError:
            missing("Playwright is not installed (pip install '.[browser]')")
        with contextlib.ExitStack() as stack:
            playwright = sync_playwright().start()
            # Also if no browser starts: no second Playwright could run beside it.
            stack.callback(playwright.stop)
            self._chromium = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
            stack.callback(self._chromium.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def tab(self, url: str, **options: Any) -> Iterator[Tab]:
        """Open `url`; `options` are those of Playwright's `new_context`."""
        given = {"viewport": DESKTOP, "locale": "en-GB", "timezone_id": "Europe/Paris", **options}
        context = self._chromium.new_context(**given)
        context.set_default_timeout(PATIENCE * 1000)
        try:
            tab = Tab(context.new_page())
            tab.page.goto(url)
            yield tab
        finally:
            context.close()


class Tab:
    """A page that is open. ``page`` is Playwright's; ``complaints`` what its console said."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: List[str] = []
        self.requests: List[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: self._alarm(dialog))

    def _alarm(self, dialog: Any) -> None:
        self.complaints.append(f"a dialog opened: {dialog.message}")
        dialog.dismiss()

    def see(self, text: str, where: str = "body") -> None:
        """Wait until `text` is shown in the first element that the selector `where` finds."""
        self.page.locator(where).filter(has_text=text).first.wait_for()

    def see_no(self, where: str) -> None:
        """Wait until no element that the selector `where` finds is shown."""
        self.page.locator(where).first.wait_for(state="hidden")

    def text(self, where: str = "body") -> str:
        """What is shown there."""
        return str(self.page.locator(where).first.inner_text())

    def texts(self, where: str) -> List[str]:
        """What is shown in each element that the selector `where` finds."""
        return [str(text) for text in self.page.locator(where).all_inner_texts()]

    def click(self, where: str) -> None:
        """Click on the first element that the selector `where` finds."""
        self.page.locator(where).first.click()

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, where: str) -> None:
        """Go there as people without a mouse do."""
        for _ in range(60):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("where => document.activeElement.matches(where)", where):
                return
        raise AssertionError(f"the Tab key does not come to {where}")

    @property
    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(wide))

    def foreign_requests(self) -> List[str]:
        """Addresses on other hosts that the page asked for."""
        own = urlsplit(self.page.url).netloc
        return [url for url in self.requests if urlsplit(url).netloc != own]
