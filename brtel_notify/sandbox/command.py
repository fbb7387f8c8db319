"""``brtel-notify sandbox``: the command line."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List

from brtel_notify.options import USAGE

from .faults import Faults
from .instance import Instance
from .seed import TOKEN
from .store import Store

NO_FLASK = "the sandbox needs Flask: pip install 'brtel-notify[sandbox]'"

_EPILOG = """\
example, every fifth call answered 503:
  brtel-notify sandbox --port 8085 --data my.json --fail-share 0.2"""

_FAULTS = 'as {"fail": {"next": 2}}; or POST /__sandbox__/faults'


def run(arguments: List[str]) -> int:
    """Serve until told to stop; returns an exit code of sysexits.h."""
    options = _parser().parse_args(arguments)
    faults = Faults()
    try:
        faults.set(_settings(options))
        instance = Instance(_switches(options))
    except ValueError as error:
        return _say(USAGE, str(error))
    folder = options.data.parent if options.data is not None else None
    if folder is not None and not folder.is_dir():
        return _say(os.EX_DATAERR, f"--data {options.data}: there is no folder {folder}")
    try:
        store = Store(options.data, options.token, instance=instance)
    except (OSError, ValueError) as error:
        return _say(os.EX_DATAERR, str(error))
    try:
        from . import origin
        from .app import create_app
        from .server import listen, make
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("flask", "werkzeug"):
            raise
        print(NO_FLASK, file=sys.stderr)
        return os.EX_SOFTWARE
    try:
        listener = listen(options.host, options.port)
    except (OSError, OverflowError) as error:
        return _say(os.EX_SOFTWARE, f"cannot listen on {options.host} port {options.port}: {error}")
    app = create_app(store, faults)
    if _is_loopback(options.host):
        app.before_request(origin.refuse_other_names)
    server = make(app, listener, options.host)
    with contextlib.suppress(KeyboardInterrupt), _interrupted_by_sigterm():
        _announce(options.host, server.port, options.token)
        server.serve_forever()
    return 0


def _announce(host: str, port: int, token: str) -> None:
    shown = f"[{host}]" if ":" in host else host
    # The first line is for programs, which read no more; both leave in one piece.
    print(
        f"sandbox: http://{shown}:{port}/api (token {token})\n"
        f"sandbox: its tickets, for a browser: http://{shown}:{port}/",
        flush=True,
    )
    if not _is_loopback(host):
        _say(0, f"warning: {host} is no loopback address: anybody who reaches it can use this")


def _say(code: int, text: str) -> int:
    print(f"sandbox: {text}", file=sys.stderr, flush=True)
    return code


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    # Only the main thread may take signals; a test that serves in another one has its own end.
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _settings(options: argparse.Namespace) -> Dict[str, Any]:
    settings: Dict[str, Any] = {
        "latency": options.latency,
        "rate_limit": options.rate_limit,
        "wrap": options.wrap,
    }
    if options.fail_share is not None or options.fail_status is not None:
        settings["fail"] = {"status": options.fail_status or 503, "share": options.fail_share}
    if options.drop is not None or options.drop_share is not None:
        settings["drop"] = {"when": options.drop or "before", "share": options.drop_share}
    if options.hang is not None:
        settings["hang"] = {"seconds": options.hang}
    if options.faults:
        try:
            more = json.loads(options.faults)
        except ValueError as error:
            raise ValueError(f"--faults is not JSON: {error}") from error
        if not isinstance(more, dict):
            raise ValueError('--faults is an object, as {"latency": 50}')
        settings.update(more)
    return settings


def _switches(options: argparse.Namespace) -> Dict[str, Any]:
    switches: Dict[str, Any] = {"instance": options.instance}
    for each in options.set:
        name, equals, value = each.partition("=")
        if not equals:
            raise ValueError(f"--set takes NAME=VALUE, as visibility=ignored, not {each!r}")
        switches[name] = value
    return switches


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="brtel-notify sandbox",
        usage="%(prog)s [options]",
        description="Serve a local BlueRockTEL to try against, with a web page, until Ctrl-C.",
        epilog=_EPILOG,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=24
        ),
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--port", type=int, default=8085, metavar="N", help="8085; 0 for any free port")
    add("--host", default="127.0.0.1", metavar="ADDR", help="127.0.0.1; others may not be safe")
    add("--token", default=TOKEN, metavar="TEXT", help=f"the API token, {TOKEN}")
    add("--data", type=Path, metavar="FILE", help="load this JSON file, and keep changes in it")
    add("--latency", type=float, metavar="MS", help="hold up every answer")
    add("--fail-share", type=float, metavar="SHARE", help="0 to 1: answers that fail")
    add("--fail-status", type=int, metavar="CODE", help="how they fail, 503")
    add("--drop", metavar="WHEN", help="drop connections before, after or midway")
    add("--drop-share", type=float, metavar="SHARE", help="0 to 1: connections dropped")
    add("--hang", type=float, metavar="S", help="hold every call this long before its work")
    add("--rate-limit", type=int, metavar="N", help="calls a minute, then 429")
    add("--wrap", metavar="FORM", help="how lists come: bare, data or paged")
    add("--faults", metavar="JSON", help=_FAULTS)
    add("--instance", metavar="YEAR", help="which BlueRockTEL it is: 2026 or 2023")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="one trait: visibility=ignored",
    )
    return parser
