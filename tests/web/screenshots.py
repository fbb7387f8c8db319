"""The pictures of docs/images: ``python tests/web/screenshots.py FOLDER`` (make screenshots).

The alerts are the captured notifications of real monitoring servers, played by the real commands.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List

from browser import PHONE, Browser
from support import Site

from brtel_notify.sandbox.testing import SandboxProcess

CONFIG = """\
severities:
  critical: {priority: Urgent, resolve_within: 2h}
  warning: {priority: Low}
"""
DESKTOP = {"width": 1180, "height": 760}


def play(site: Site) -> None:
    """Let a few things go wrong."""
    site.configure(CONFIG)
    for capture in ("librenms-problem", "librenms-recovery", "nagios4-host-problem"):
        site.notify(capture)
    for host, service, state, output in (
        ("clinique-parc.3cx.fr", "disk /var", "WARNING", "82% used"),
        ("lumiere.3cx.fr", "SIP trunk", "CRITICAL", "registration failed: 403 Forbidden"),
        ("horizon-hotel.example", "Backup", "UNKNOWN", "no answer from the agent"),
    ):
        words = ("--host", host, "--service", service, "--state", state, "--output", output)
        site.run("event", *words)
    outputs = ("SERVICEOUTPUT=OPTIONS sip.example.net: no answer",)
    site.notify("icinga2-service-problem", *outputs)
    site.notify("icinga2-service-acknowledgement", *outputs)


def take(site: Site, folder: Path) -> List[Path]:
    """Take the pictures; their paths."""
    root = site.sandbox.url.removesuffix("/api")
    ticket = max(site.tickets, key=lambda one: int(one["id"]))["id"]
    dark = {"color_scheme": "dark"}
    phone: Dict[str, Any] = {"viewport": PHONE, "device_scale_factor": 2, "is_mobile": True}
    pictures: List[Path] = []
    with Browser() as browser:
        for name, path, options in (
            ("tickets", "", {}),
            ("ticket", f"tickets/{ticket}", {}),
            ("ticket-dark", f"tickets/{ticket}", dark),
            ("phone-tickets", "", phone),
            ("phone-ticket", f"tickets/{ticket}", {**phone, **dark, "locale": "fr-FR"}),
        ):
            with browser.tab(f"{root}/{path}", **{"viewport": DESKTOP, **options}) as tab:
                tab.page.wait_for_selector("#live:not(:empty)")
                pictures.append(folder / f"{name}.png")
                tab.page.screenshot(path=str(pictures[-1]))
        site.sandbox.faults(fail={"status": 503})
        site.run("event", "--host", "acme.3cx.fr", "--state", "DOWN")
        with browser.tab(f"{root}/calls", viewport=DESKTOP) as tab:
            tab.page.wait_for_selector("#live:not(:empty)")
            pictures.append(folder / "calls.png")
            tab.page.screenshot(path=str(pictures[-1]))
    return pictures


def shrink(pictures: List[Path]) -> None:
    """Make the files small, where pngquant is installed."""
    if shutil.which("pngquant") is None:
        print("pngquant is not installed: the pictures are larger than they need be")
        return
    names = [str(path) for path in pictures]
    subprocess.run(["pngquant", "--force", "--ext", ".png", "64", *names], check=True)


def main() -> None:
    """Write the pictures into the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, SandboxProcess() as sandbox:
        site = Site(Path(scratch), sandbox)
        play(site)
        pictures = take(site, folder)
    shrink(pictures)
    for picture in pictures:
        print(f"{picture}  {picture.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
