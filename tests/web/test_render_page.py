"""``render --open``, ``--watch`` and ``--html``: one's own templates, seen as a ticket."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
from browser import Browser
from servers import wait_for
from support import CAPTURES, Site

from brtel_notify.local import files

EVENT = ("event", "--host", "acme.3cx.fr", "--service", "SIP trunk", "--state", "CRITICAL")
NO_DISPLAY = {"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


def page_of(said: str) -> Path:
    """The path that ``render --open`` prints."""
    (line,) = [line for line in said.splitlines() if line.startswith("page: ")]
    return Path(line.removeprefix("page: "))


def opener(folder: Path) -> Dict[str, str]:
    """An environment whose browser only writes down what it is to open."""
    script = folder / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" >{folder}/opened\n')
    script.chmod(0o755)
    return {**NO_DISPLAY, "BROWSER": f"{script} %s"}


def test_open_writes_a_private_page_and_opens_it(site: Site, tmp_path: Path) -> None:
    env = {**opener(tmp_path), "TMPDIR": str(tmp_path)}
    done = site.run("render", "--open", *EVENT, env=env)
    page = page_of(done.stdout)
    opened = tmp_path / "opened"
    wait_for("the browser", lambda: opened.exists() and opened.read_text().endswith("\n"))
    assert opened.read_text().strip() == page.as_uri()
    assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
    assert "CRITICAL: acme.3cx.fr - SIP trunk" in page.read_text()
    assert site.calls() == []
    assert not site.state_dir.exists()


def test_without_a_display_it_only_says_where_the_page_is(site: Site, tmp_path: Path) -> None:
    env = {**NO_DISPLAY, "TMPDIR": str(tmp_path)}
    done = site.run("render", "--open", *EVENT, env=env)
    assert page_of(done.stdout).exists()


@pytest.mark.short
def test_html_is_written_where_one_says(site: Site, tmp_path: Path) -> None:
    page = tmp_path / "mine.html"
    site.run("render", "--html", str(page), *EVENT, env=opener(tmp_path))
    assert "SIP trunk" in page.read_text()
    assert not (tmp_path / "opened").exists()
    assert [path.name for path in tmp_path.glob("*mine*")] == ["mine.html"]
    nowhere = str(tmp_path / "no" / "mine.html")
    done = site.run("render", "--html", nowhere, *EVENT, code=73)
    assert nowhere in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_behind_the_last_step_of_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename

    def rename_and_stop(source: str, target: Path) -> None:
        rename(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", rename_and_stop)
    with pytest.raises(KeyboardInterrupt):
        files.write_whole(tmp_path / "page.html", b"whole", durable=False)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


@pytest.mark.parametrize("words", [["--json", "--open"], ["--html"], ["--opne"]])
def test_a_wrong_command_line(site: Site, words: List[str]) -> None:
    site.run("render", *words, *(EVENT if words != ["--html"] else ()), code=2)


@pytest.mark.parametrize("capture", sorted(path.stem for path in CAPTURES.glob("*.json")))
def test_every_capture_has_a_page(site: Site, tmp_path: Path, capture: str) -> None:
    page = tmp_path / "ticket.html"
    path = str(CAPTURES / f"{capture}.json")
    site.run("render", "--html", str(page), "--capture", path)
    assert page.exists() != capture.endswith("test-button")


def test_what_is_wrong_stands_on_the_page(site: Site, tmp_path: Path) -> None:
    page = tmp_path / "ticket.html"
    site.configure("customer: {fallback: [}\n")
    site.run("render", "--html", str(page), *EVENT, code=78)
    assert "It cannot be rendered" in page.read_text()
    assert "config.yml" in page.read_text()


def test_an_alert_that_is_ignored_says_why(site: Site, tmp_path: Path) -> None:
    page = tmp_path / "ticket.html"
    site.configure("rules: [{when: 'true', ignore: true}]\n")
    site.run("render", "--html", str(page), *EVENT)
    assert "Nothing would be sent" in page.read_text()
    assert "rules[0]" in page.read_text()
    assert "by rules[0]" in site.run("render", *EVENT).stdout


@pytest.mark.web
def test_it_looks_like_the_ticket(browser: Browser, site: Site, tmp_path: Path) -> None:
    site.configure("severities: {critical: {priority: Urgent}}\nlanguage: fr\n")
    page = tmp_path / "ticket.html"
    site.run(
        "render", "--html", str(page), *EVENT, "--output", "<script>alert(1)</script> ne répond"
    )
    with browser.tab(page.as_uri()) as tab:
        assert tab.text("h1") == "CRITICAL : acme.3cx.fr - SIP trunk"
        assert tab.text(".heading .chip").endswith("Urgent")
        assert "ne répond" in tab.text(".body")
        assert "Note interne" in tab.text(".note.internal")
        assert "PBX / 3CX" in tab.text(".facts")
        radius = "getComputedStyle(document.querySelector('.chip')).borderRadius"
        assert tab.page.evaluate(radius) == "16px"  # the stylesheet is in force
        assert tab.overflow == 0
        assert tab.complaints == []
        assert tab.requests == [page.as_uri()]


@pytest.mark.web
def test_watch_follows_every_save(browser: Browser, site: Site, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    subject = templates / "subject.j2"

    def save(text: str) -> None:
        # As editors do it, whole: what is looked at half written is a save of its own.
        (tmp_path / "saved").write_text(text)
        (tmp_path / "saved").replace(subject)

    save("first {{ host }}")
    site.configure(f"templates: {templates}\n")
    page = tmp_path / "ticket.html"
    process = subprocess.Popen(
        site.words("render", "--watch", "--html", str(page), *EVENT),
        env={**os.environ, **NO_DISPLAY},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"page: {page}\n"
        with browser.tab(page.as_uri()) as tab:
            tab.see("first acme.3cx.fr", "h1")
            save("second {{ host }}")
            tab.see("second acme.3cx.fr", "h1")  # it reloads itself
            assert "second acme.3cx.fr" in process.stdout.readline()
            save("{{ host")
            tab.see("subject.j2", ".alarm")
            tab.see("CRITICAL: acme.3cx.fr - SIP trunk", "h1")
            save("third {{ host }}")
            tab.see("third acme.3cx.fr", "h1")
            site.configure(f"templates: {templates}\nlanguage: [\n")
            tab.see("It cannot be rendered", ".alarm")
            site.configure(f"templates: {templates}\nlanguage: fr\n")
            tab.see("Aperçu", ".brand")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert 'http-equiv="refresh"' not in page.read_text()
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
