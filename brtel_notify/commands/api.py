"""``brtel-notify api``: any authenticated call, its JSON on stdout, in the manner of ``gh api``."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from typing import Any, Callable, Dict, List, Optional, Tuple

from brtel_notify.api.caller import RawAnswer
from brtel_notify.api.fields import WrongShape, next_page, parse_list
from brtel_notify.console.configured import services_of
from brtel_notify.console.failures import fail, refused
from brtel_notify.console.output import print_json
from brtel_notify.local import command_line
from brtel_notify.options import Options, Stop

#: Pages that --paginate fetches at most.
MOST_PAGES = 1000

#: A field's name in a body: a list can only be the innermost.
_NAME = re.compile(r"[^\[\]]+(?:\[[^\[\]]+\])*(?:\[\])?")

#: A field's name and value, in the order in which they were given.
Fields = List[Tuple[str, Any]]


def run(arguments: List[str], options: Options) -> int:
    """Make one call; 0 if its answer is a success."""
    given = command_line.parse(_parser(), arguments, options, intermixed=True)
    return _call(given, options)


def _parser() -> argparse.ArgumentParser:
    made = command_line.parser(
        "api",
        "Makes any API call with the configured credential and prints its JSON.\n"
        "PATH is below api.url, such as /v1/tickets. Fields go into the query of a GET,\n"
        "else into the body, where a name may nest: -f tags[]=a -f customer[id]=5.",
        "brtel-notify api /v1/tickets/search -f 'filter[number]=A7KZ2F'",
    )
    made.usage = "brtel-notify api [-X METHOD] PATH [-f NAME=VALUE]... [--json FILE]"
    made.set_defaults(fields=[])
    made.add_argument("path", help=argparse.SUPPRESS)
    made.add_argument(
        "-X", "--method", metavar="METHOD", help="GET, or POST where there is something to send"
    )
    made.add_argument(
        *("-f", "--raw-field"),
        dest="fields",
        action="append",
        type=_text_field,
        metavar="N=V",
        help="a field, its value as text",
    )
    made.add_argument(
        *("-F", "--field"),
        dest="fields",
        action="append",
        type=_typed_field,
        metavar="N=V",
        help="the same, but true, null, 5 and @FILE are meant so",
    )
    made.add_argument("--json", metavar="FILE", help="the body, from FILE or - (fields: the query)")
    made.add_argument("--paginate", action="store_true", help="all pages of a list, as one list")
    made.add_argument("--dry-run", action="store_true", help="show the call, and make none")
    return made


# --- what is sent ---------------------------------------------------------------------------------


def _text_field(text: str) -> Tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"NAME=VALUE is due, not {text!r}")
    return name, value


def _typed_field(text: str) -> Tuple[str, Any]:
    name, value = _text_field(text)
    constants = {"true": True, "false": False, "null": None}
    if value in constants:
        return name, constants[value]
    if re.fullmatch(r"-?(?:0|[1-9][0-9]{0,17})", value):
        return name, int(value)
    if value.startswith("@"):
        return name, _file_text(value[1:])
    return name, value


def _file_text(path: str) -> str:
    try:
        return _read(path).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no UTF-8"
        raise argparse.ArgumentTypeError(f"{path}: {reason}") from None


def _read(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    with open(path, "rb") as file:
        return file.read()


def _document(path: str) -> Any:
    """The JSON in the file PATH. Raises Stop."""
    try:
        return json.loads(_read(path))
    except OSError as error:
        raise Stop(f"--json {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        where = "stdin" if path == "-" else path
        raise Stop(f"{where}: is no JSON: {error}") from None


def nested(fields: Fields) -> Dict[str, Any]:
    """FIELDS as one object: ``a[b]=1`` is an object inside it, ``a[]=1`` adds to a list.

    Raises Stop when a name is used in two ways.
    """
    body: Dict[str, Any] = {}
    for name, value in fields:
        if not _NAME.fullmatch(name):
            raise Stop(f"{name}: a field's name is NAME, NAME[KEY] or NAME[]")
        first, *keys = name.split("[")
        _put(body, name, [first, *(key.rstrip("]") for key in keys)], value)
    return body


def _put(body: Dict[str, Any], name: str, keys: List[str], value: Any) -> None:
    place: Any = body
    for key, following in zip(keys, [*keys[1:], None]):
        if not isinstance(place, dict):
            raise Stop(f"{name}: is a value and holds others, too")
        if following is None:
            place[key] = value
        elif following == "":
            items = place.setdefault(key, [])
            if not isinstance(items, list):
                raise Stop(f"{name}: is a value and a list, too")
            items.append(value)
            return
        else:
            place = place.setdefault(key, {})


# --- the call -------------------------------------------------------------------------------------


def _call(given: argparse.Namespace, options: Options) -> int:
    document = _document(given.json) if given.json is not None else None
    sends = given.json is not None or bool(given.fields)
    method = (given.method or ("POST" if sends else "GET")).upper()
    path = re.sub(r"^/?api/", "/", given.path)  # the manuals show /api/v1/…
    params: Fields = []
    if method in ("GET", "HEAD") or given.json is not None:
        params = [(name, value) for name, value in given.fields if value is not None]
    elif given.fields:
        document = nested(given.fields)
    if given.paginate and method != "GET":
        raise Stop("--paginate goes with GET alone")
    if options.dry_run or given.dry_run:
        print_json({"method": method, "path": path, "query": params, "body": document})
        return 0
    client = services_of(options).client

    def ask(more: Fields) -> RawAnswer:
        query: Dict[str, List[Any]] = {}
        for name, value in [*params, *more]:
            query.setdefault(name, []).append(value)
        try:
            return client.answer(method, path, params=query, json=document)
        except ValueError as error:  # no such method or path
            raise Stop(str(error)) from None

    return _all_pages(ask) if given.paginate else _show(ask([]))


def _show(answer: RawAnswer) -> int:
    """Print the body, whatever the status; the exit code."""
    data = _decoded(answer.content)
    if data is not None:
        print_json(data[0])
    elif answer.content.strip():
        _print_as_it_is(answer.content)
    if answer.error is not None:
        return refused(answer.error)
    begins = answer.content.lstrip()[:1] if data is None else b""
    if begins == b"<":
        return fail("api: the answer is a web page: is api.url right?", os.EX_CONFIG)
    if begins in (b"{", b"["):
        return fail("api: the answer is broken JSON, or cut short", os.EX_UNAVAILABLE)
    return 0


def _decoded(content: bytes) -> Optional[Tuple[Any]]:
    """The JSON of an answer, in a tuple; None if it is none."""
    try:
        return (json.loads(content),)
    except (ValueError, RecursionError):
        return None


def _print_as_it_is(content: bytes) -> None:
    """A PDF or a spreadsheet goes into a pipe as it is; no control character to a terminal."""
    sys.stdout.flush()
    if sys.stdout.isatty():
        text = content.decode("utf-8", "replace")
        print("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text))
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _all_pages(ask: Callable[[Fields], RawAnswer]) -> int:
    """Print the records of every page as one list."""
    found: List[Any] = []
    page = 1
    more: Fields = []
    for _ in range(MOST_PAGES):
        answer = ask(more)
        data = _decoded(answer.content)
        if answer.error is not None or data is None:
            return _show(answer)
        try:
            records = parse_list(lambda record: record, data[0])
        except WrongShape:
            raise Stop("--paginate: the answer is no list") from None
        if more and all(record in found for record in records):
            break  # a server that knows no pages answers the same to each
        found += records
        following = next_page(data[0], page)
        if following is None:
            break
        page, more = following, [("page", following)]
    print_json(found)
    return 0
