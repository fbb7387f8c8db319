"""Text from the outside, made fit to be shown: clean, of a sane length, readable.

Everything here takes any string at all (5 MB, NULs, lone surrogates, broken HTML) and runs in time
linear in its length. Nothing here escapes for HTML: that is for whoever writes HTML. How HTML that
comes in is read: sources/html_text.py. Every alert imports this module: nothing heavy.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, Optional

URL_LENGTH = 2000

# What a terminal or a browser would obey instead of showing: the control characters (C0 without
# newline and tab, DEL, C1) and the marks that reverse the direction of what follows.
_OBEYED: Dict[int, Optional[int]] = {
    code: None
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if code not in (0x09, 0x0A)
}
_OBEYED[0x2028] = _OBEYED[0x2029] = 0x0A  # Unicode's own line and paragraph separators

# What a program says to its terminal (ECMA-48): colours, titles, links. Whole, so that no rest of
# it is read as text: ESC [1;31m, ESC ]0;a title BEL, ESC ]8;;a link ESC \\; or the same with one
# character of C1 in front, which as a byte alone is no UTF-8. Each part ends before the next ESC
# or line, so that all of a text together costs time linear in its length.
_SEQUENCES = (
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]*"  # OSC, DCS…
    "(?:\x07|\x1b\\\\|\x9c)"
    "|(?:\x1b\\]|\x9d)(?:[0-9]+;)?"  # …that never end: what they say is not lost
    "|\x1b[ -/]*[0-~]"
)

_BEGINNINGS = "\x1b\x90\x98\x9b\x9d\x9e\x9f"
#: CSI as a byte alone; in cp1252 that is a quotation mark.
_BYTE_SEQUENCE = rb"\x9b(?:[0-9]+(?:;[0-9]*)*[@-~]|m)"

# Half characters that stand for no byte of the source.
_NO_ESCAPED_BYTE = "[\ud800-\udc7f\udd00-\udfff]"

# How much raw text is looked at for each character kept: enough for text that is mostly colour
# codes or blanks, and a bound on the work that one absurd field can cause.
_RAW_PER_CHARACTER = 8


def clean(text: str, limit: int) -> str:
    """TEXT without control characters but newline and tab, at most LIMIT characters.

    Lone surrogates that stand for bytes (``surrogateescape``) become the text that the bytes spell
    in UTF-8, or else all of TEXT is read as cp1252. Text that is cut ends in an ellipsis.
    """
    return _cut(safe(text[: limit * _RAW_PER_CHARACTER]).strip(), limit)


def one_line(text: str, limit: int) -> str:
    """TEXT as :func:`clean` has it, on one line, each run of white space one space."""
    return _cut(" ".join(safe(text[: limit * _RAW_PER_CHARACTER]).split()), limit)


def line_with_bytes(text: str, limit: int, bad_bytes: str = "surrogateescape") -> str:
    """TEXT as :func:`one_line` has it, but what is no UTF-8 stays as it is, a character a byte.

    BAD_BYTES is another error handler for it.
    """
    read = bytes_of(text[: limit * _RAW_PER_CHARACTER]).decode("utf-8", bad_bytes)
    return _cut(" ".join(_harmless(read).split()), limit)


def line_of(text: str) -> str:
    """TEXT as a line that shows all of itself: each character that does not show is a blank."""
    return "".join(char if char.isprintable() else " " for char in text)


def printable(text: str, limit: int) -> str:
    """TEXT for an error message: one line, nothing in it that does not show."""
    return "".join(char if char.isprintable() else "\ufffd" for char in one_line(text, limit))


def shown(text: str) -> str:
    """TEXT as an error message quotes it: short, printable, in quotes."""
    return f"'{printable(text, 60)}'"


def web_url(*candidates: str) -> str:
    """The first of CANDIDATES that is an http or https address with a host, else nothing."""
    for candidate in candidates:
        url = candidate[: URL_LENGTH + 100].strip()
        if len(url) <= URL_LENGTH and _is_web_url(url):
            return url
    return ""


def _is_web_url(url: str) -> bool:
    if not url.isprintable() or any(char.isspace() or char in '<>"\\' for char in url):
        return False
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def safe(text: str) -> str:
    """TEXT with nothing in it that a terminal or a browser would obey, lines ended by newlines."""
    if text.isprintable():  # as nearly all of an alert's hundred variables are
        return text
    return _harmless(_read(bytes_of(text)) if has_bytes(text) else text)


def _harmless(text: str) -> str:
    if any(char in text for char in _BEGINNINGS):
        import re

        text = re.sub(_SEQUENCES, "", text)
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_OBEYED)


def has_bytes(text: str) -> bool:
    """Whether something in TEXT stands for bytes, or for nothing: it cannot be encoded."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def bytes_of(text: str) -> bytes:
    """The bytes that TEXT was read from."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        import re

        return re.sub(_NO_ESCAPED_BYTE, "\ufffd", text).encode("utf-8", "surrogateescape")


def _read(raw: bytes) -> str:
    """RAW for people: UTF-8, even where somebody cut it off within a character; else cp1252."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        good = raw[: error.start]
        if error.reason == "unexpected end of data" and not good.isascii():
            return good.decode("utf-8") + "\ufffd"
    if b"\x9b" in raw:
        import re

        raw = re.sub(_BYTE_SEQUENCE, b"", raw)
    # What was replaced before stays so.
    return raw.decode("cp1252", "replace").replace("\u00ef\u00bf\u00bd", "\ufffd")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
