"""The web page's templates and files. No Flask here: ``brtel-notify render`` shows tickets too."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any, Optional
from urllib.parse import unquote

import jinja2
from markupsafe import Markup

from .validation import DATE_FORMAT
from .words import LANGUAGES, Words

FOLDER = Path(__file__).parent / "web"
#: The files that a browser may ask for, and their types.
FILES = {
    "style.css": "text/css",
    "live.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def render(template: str, language: str, **values: Any) -> str:
    """Return a page; `values` are what the template takes."""
    page = _templates().get_template(template)
    return page.render(language=language, languages=LANGUAGES, t=Words(language), **values)


@cache
def file(name: str) -> str:
    """Return one of FILES."""
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(moment=moment, pretty=_pretty, readable=unquote)
    return environment


def moment(value: str) -> Markup:
    """Return a date of the API as a time element in UTC; a script makes it the reader's own."""
    found = _read(value)
    if found is None:
        return Markup.escape(value)
    stamp = found.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}">{}</time>').format(
        stamp, found.strftime("%Y-%m-%d %H:%M UTC")
    )


def _read(value: str) -> Optional[datetime]:
    # `Y-m-d H:i:s`, or `created_at` and the calls' time, which have a T, a fraction and a zone.
    text = re.sub(r"(\.\d+)?(Z|\+00:00)?$", "", str(value)).replace("T", " ")
    try:
        return datetime.strptime(text, DATE_FORMAT).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
