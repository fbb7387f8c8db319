"""Everything that is written in Jinja: ticket subjects and bodies, notes, rules, lookups.

All of it runs in Jinja's sandbox over one context (DESIGN section 3). What an alert says comes in
as values, never as template text, and is escaped on its way into HTML. A template or rule that
fails never stops a delivery: the built-in template is used instead, and the ticket says so.

What people wrote themselves is bounded, so that a slip in it fails instead of eating the server
(see :class:`Bounded`): how often bodies of loops, macros and includes run, how long a text or list
may become, how far ``*``, ``**``, ``%`` and the filters that widen text may go. The bounds are
against mistakes. They are no wall against somebody who writes templates to do harm, who would
need to own the configuration anyway.
"""

from __future__ import annotations

import functools
import html
import math
import os
import re
import threading
import traceback
from datetime import datetime, timezone, tzinfo
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

import jinja2
from jinja2 import nodes
from jinja2.bccache import Bucket
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from brtel_notify import markup, shipped, times
from brtel_notify.alert import Alert, without_references
from brtel_notify.private import PrivateFolder

#: MySQL's TEXT holds 65,535 bytes; the rest is room for what the server may add (api-notes).
BODY_BYTES = 60_000
#: A VARCHAR's length, in characters (api-notes).
SUBJECT_CHARACTERS = 255
#: A template's value for one of the lookups, or a condition's text, is never longer.
VALUE_CHARACTERS = 1_000
#: No text or list may become longer while a template of one's own or a rule is evaluated.
MOST_CHARACTERS = 500_000
#: How much one of them may do: 1 for each body that is run and each filter or call, and 1 for
#: every ten characters or items that go through. It takes seconds at most.
MOST_WORK = 500_000

LANGUAGES = ("en", "fr")
#: The templates there are; a folder of one's own may hold any of them.
TEMPLATES = (
    "subject",
    "body",
    "details",
    "problem",
    "recovery",
    "acknowledgement",
    "comment",
    "downtime",
    "flapping",
)

_FOOTERS = {
    "en": {
        "reference": "Reference: {reference}",
        "cut": "This text was too long and has been cut.",
        "rules": "A rule or name of this site's configuration failed; the ticket was opened without"
        " it.",
        "broken": "This site's own template “{name}” failed; the built-in one was used.",
    },
    "fr": {
        "reference": "Référence\xa0: {reference}",
        "cut": "Ce texte était trop long et a été coupé.",
        "rules": "Une règle ou un nom de la configuration du site a échoué\xa0; le ticket a été"
        " ouvert sans en tenir compte.",
        "broken": "Le modèle «\xa0{name}\xa0» du site a échoué\xa0; le modèle intégré a été"
        " utilisé.",
    },
}


#: What each source is called.
PRODUCTS = {
    "nagios": "Nagios",
    "icinga": "Icinga",
    "zabbix": "Zabbix",
    "librenms": "LibreNMS",
    "event": "brtel-notify event",
}
#: What it calls that which fails on a host.
_THINGS = {
    "en": {"zabbix": "Trigger", "librenms": "Rule"},
    "fr": {"zabbix": "Déclencheur", "librenms": "Règle"},
}
#: How the customer was found (customer.py), in words for whoever wonders why it is this one.
_FOUND = {
    "en": {
        "hosts": "found in the table of hosts",
        "account": "found by the account number",
        "pbx": "found by the PBX host",
        "search": "found by a search",
        "fallback": "none matched, this is the fallback",
    },
    "fr": {
        "hosts": "trouvé dans la table des hôtes",
        "account": "trouvé par le numéro de compte",
        "pbx": "trouvé par l'hôte PBX",
        "search": "trouvé par une recherche",
        "fallback": "aucun ne correspond, client par défaut",
    },
}
_FRENCH = {
    "ok": "ok",
    "info": "information",
    "unknown": "inconnu",
    "warning": "avertissement",
    "critical": "critique",
}


class Text(NamedTuple):
    """A rendered text, and what went wrong on the way to it."""

    text: str
    problems: List[str]


class Renderer:
    """Renders for one configuration: its language, its folder of templates, its time zone."""

    def __init__(
        self,
        language: str = "en",
        folder: Optional[str] = None,
        zone: tzinfo = timezone.utc,
        compiled: Optional[PrivateFolder] = None,
    ) -> None:
        self.language = language
        self.zone = zone
        self.folder = folder
        built_in = os.path.join(shipped.folder("templates"), language)
        own = [os.path.join(folder, language), folder] if folder else []
        self._built_in = ImmutableSandboxedEnvironment(**_options([built_in]))
        if compiled is not None:
            self._built_in.bytecode_cache = _Compiled(compiled)
        self._own = Bounded(**_options([*own, built_in]))
        for environment in (self._built_in, self._own):
            self._add_filters(environment)

    def _add_filters(self, environment: jinja2.Environment) -> None:
        environment.filters.update(
            lines=_lines,
            date=lambda value: times.for_people(_number(value), self.zone),
            span=lambda value: times.span(_number(value) or 0.0),
            clip=_clip,
            product=lambda value: PRODUCTS.get(value, "brtel-notify"),
            thing=lambda value: _THINGS[self.language].get(value, "Service"),
            found=lambda value: _FOUND[self.language].get(value, value),
            french=_french,
            upfirst=_upfirst,
        )

    def subject(self, context: Mapping[str, Any]) -> Text:
        """The ticket's subject: one line of plain text.

        BlueRockTEL strips what looks like HTML from it, so angle brackets become ones that stay.
        """
        source, problems = self._render("subject", context)
        # Every template is escaped, so that one may include another; here that is undone.
        text = html.unescape(source)
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        line = without_references(line.replace("<", "‹").replace(">", "›"))
        if len(line) > SUBJECT_CHARACTERS:
            line = line[: SUBJECT_CHARACTERS - 1].rstrip() + "…"
        return Text(line or str(context["reference"]), problems)

    def html(
        self, name: str, context: Mapping[str, Any], reference: str, failed_rules: int = 0
    ) -> Text:
        """The template NAME as a body or reply, with the REFERENCE at its end as visible text.

        FAILED_RULES is how many rules of the configuration could not be used; the text says so.
        """
        source, problems = self._render(name, context)
        words = _FOOTERS[self.language]
        failed = [f"{name}.j2"] if problems else []
        if name == "body" and self._render("subject", context)[1]:
            failed.append("subject.j2")  # a subject has no room to say so
        remarks = [words["broken"].format(name=file) for file in failed]
        remarks += [words["rules"]] if failed_rules else []
        footer = "".join(f"<p><i>{html.escape(remark, quote=False)}</i></p>" for remark in remarks)
        footer += f"<p>{words['reference'].format(reference=html.escape(reference))}</p>"
        notice = f"<p><i>{words['cut']}</i></p>"
        room = BODY_BYTES - len((footer + notice).encode("utf-8"))
        body, cut = markup.clean(source.strip(), room)
        marked = without_references(body)  # only the footer's counts, whatever an alert says
        if marked != body:  # each is two bytes longer now, so they are measured again
            body, cut_again = markup.clean(marked, room)
            cut = cut or cut_again
        return Text(body + (notice if cut else "") + footer, problems)

    def _render(self, name: str, context: Mapping[str, Any]) -> Tuple[str, List[str]]:
        file = f"{name}.j2"
        if self.folder is None:
            return self._built_in.get_template(file).render(context), []
        try:
            if not os.path.isdir(self.folder):
                raise NotADirectoryError(f"there is no folder {self.folder}")
            self._own.start()
            return self._own.get_template(file).render(context), []
        except Exception as error:  # noqa: BLE001 - whatever a user's template does wrong
            problem = f"template {file}: {describe(error, file)}; the built-in one is used"
            return self._built_in.get_template(file).render(context), [problem]

    def check_value(self, source: str) -> None:
        """Raise jinja2.TemplateError if SOURCE is no template."""
        _value(source)

    def check_condition(self, condition: str) -> None:
        """Raise jinja2.TemplateError if CONDITION is no expression."""
        _condition(condition)

    def compile_built_in(self) -> None:
        """Compile every built-in template, for whoever renders next."""
        for name in TEMPLATES:
            self._built_in.get_template(f"{name}.j2")

    def check_templates(self) -> Iterator[Tuple[str, str]]:
        """The templates of one's own that do not compile, each with the reason."""
        for name in TEMPLATES:
            try:
                self._own.get_template(f"{name}.j2")
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it is the finding
                yield f"{name}.j2", describe(error, f"{name}.j2")

    def value(self, source: str, context: Mapping[str, Any]) -> str:
        """A ``{{ }}`` of the configuration as plain text. Raises jinja2.TemplateError and more."""
        simple = _SIMPLE.fullmatch(source)
        if simple is not None:  # {{ host }}, {{ vars.NAME }}: what nearly every lookup is
            field, variable = simple.groups()
            text = str(context[field]) if field else context["vars"][variable]
        else:
            _PLAIN.start()
            text = _value(source).render(context)
        return " ".join(text[:VALUE_CHARACTERS].split())

    def holds(self, condition: str, context: Mapping[str, Any]) -> bool:
        """Whether a rule's condition is true. Raises jinja2.TemplateError and more."""
        _PLAIN.start()
        return bool(_condition(condition)(**context))


#: A field of the alert, or one of its variables.
_SIMPLE = re.compile(r"\{\{\s*(?:(host|address|service|source)|vars\.([A-Z][A-Z0-9_]*))\s*\}\}")


class _Compiled(jinja2.BytecodeCache):
    """Keeps the built-in templates compiled; jinja2 checks that they fit source and Python."""

    def __init__(self, folder: PrivateFolder) -> None:
        self.folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        data = self.folder.read(bucket.key)
        if data is not None:
            bucket.bytecode_from_string(data)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.folder.write(bucket.key, bucket.bytecode_to_string())


def _options(folders: List[str]) -> Dict[str, Any]:
    return {
        "loader": jinja2.FileSystemLoader(folders),
        "autoescape": True,
        "undefined": jinja2.ChainableUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
    }


# --- bounds ---------------------------------------------------------------------------------------


class TooMuch(Exception):
    """A template or rule wants more work or more text than any ticket needs."""


class _Counting(CodeGenerator):
    """Compiles templates so that every run of a body is counted, every text put out weighed."""

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        self.writeline("environment.spend(1)")
        super().blockvisit(nodes, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self.write("environment.weighed(")
        super().visit_Concat(node, frame)
        self.write(")")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("environment.weighed(")
        super()._output_child_pre(node, frame, finalize)

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        super()._output_child_post(node, frame, finalize)
        self.write(")")


#: Filters and methods of text whose result may be as long as their arguments multiplied.
_MULTIPLYING = frozenset(
    (
        *("batch", "center", "expandtabs", "indent", "join", "ljust", "replace", "rjust"),
        *("round", "slice", "tojson", "translate", "wordwrap", "zfill"),
    )
)
#: A field of five digits or more in a format, or one whose width is an argument.
_WIDE = re.compile(r"%(?:\([^()]*\))?[-+ #0-9.]*(?:[0-9]{5}|\*)|\{[^{}:]*:[^{}]*(?:[0-9]{5}|\{)")
_SIZED = (str, bytes, list, tuple, dict, set, frozenset, range)
_MOST_BITS = 10_000


class Bounded(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with an end to what one template may do (MOST_WORK, MOST_CHARACTERS).

    What goes beyond raises TooMuch, what is forbidden SecurityError: neither ends as empty text.
    The allowance is counted for each thread; threads share one environment.
    """

    code_generator_class = _Counting
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._spent = threading.local()
        self.globals.pop("lipsum")
        self.filters = {
            name: self._bounded(name, function) for name, function in self.filters.items()
        }

    def start(self) -> None:
        """Give this thread a new allowance."""
        self._spent.work = 0

    def spend(self, work: int) -> None:
        """Count WORK. Raises TooMuch when the allowance is used up."""
        self._spent.work = getattr(self._spent, "work", 0) + work
        if self._spent.work > MOST_WORK:
            raise TooMuch("it does too much: a loop, a macro or an include without end?")

    def weighed(self, value: Any) -> Any:
        """VALUE, if it is not too long. Raises TooMuch."""
        size = _size(value)
        if size > MOST_CHARACTERS:
            raise TooMuch(f"a text or list has more than {MOST_CHARACTERS} characters or items")
        self.spend(1 + size // 10)
        return value

    def concat(self, pieces: Iterable[str]) -> str:
        """What Jinja joins the pieces of a template, a macro or a block with."""
        kept, size = [], 0
        for piece in pieces:
            size += len(piece)
            if size > MOST_CHARACTERS:
                raise TooMuch(f"it gives more than {MOST_CHARACTERS} characters")
            kept.append(piece)
        self.spend(size // 10)
        return "".join(kept)

    def _admit(self, name: str, values: Tuple[Any, ...]) -> None:
        """Raise TooMuch if the filter or method NAME cannot be let loose on VALUES."""
        self.spend(sum(_size(value) for value in values) // 10)
        if name in _MULTIPLYING:
            factors = [value if isinstance(value, int) else _size(value) for value in values[1:]]
            if max(_size(values[0]), 1) * max(factors, default=1) > MOST_CHARACTERS:
                raise TooMuch(f"'{name}' would give more than {MOST_CHARACTERS} characters")
        elif name in ("format", "format_map") and _WIDE.search(str(values[0])):
            raise TooMuch(f"'{name}' has too wide a field")

    def _bounded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        passed = 1 if hasattr(function, "jinja_pass_arg") else 0

        @functools.wraps(function)
        def bounded(*args: Any, **options: Any) -> Any:
            self._admit(name, (*args[passed:], *options.values()))
            return self.weighed(function(*args, **options))

        return bounded

    def call(self, context: Context, called: Any, /, *args: Any, **options: Any) -> Any:
        """A call in a template."""
        owner = getattr(getattr(called, "__wrapped__", called), "__self__", None)
        method = getattr(called, "__name__", "") if isinstance(owner, (str, bytes)) else ""
        self._admit(method, (owner, *args, *options.values()))
        return self.weighed(super().call(context, called, *args, **options))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """One of ``intercepted_binops``."""
        for sized, factor in ((left, right), (right, left)):
            length = _size(sized) * factor if isinstance(factor, int) else 0
            if operator == "*" and length > MOST_CHARACTERS:
                raise TooMuch("'*' makes too long a text or list")
        if operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
            bits = left.bit_length() + right.bit_length()
            if (bits if operator == "*" else left.bit_length() * right) > _MOST_BITS:
                raise TooMuch(f"'{operator}' makes too large a number")
        if operator == "%" and isinstance(left, str):
            self._admit("format", (left, right))
        return self.weighed(super().call_binop(context, operator, left, right))

    def unsafe_undefined(self, obj: Any, attribute: str) -> jinja2.Undefined:
        """What a forbidden attribute is: an error, not the empty text of one that is absent."""
        raise SecurityError(f"'{attribute}' of a {type(obj).__name__} is not allowed here")


def _size(value: Any) -> int:
    return len(value) if isinstance(value, _SIZED) else 0


_PLAIN = Bounded(undefined=jinja2.ChainableUndefined)


@functools.lru_cache(maxsize=256)
def _value(source: str) -> jinja2.Template:
    return _PLAIN.from_string(source)


@functools.lru_cache(maxsize=256)
def _condition(source: str) -> Callable[..., Any]:
    try:
        return _PLAIN.compile_expression(source, undefined_to_none=False)
    except jinja2.TemplateSyntaxError as error:
        if "{{" not in source:
            raise
        hint = "a condition stands without {{ }}"
        raise jinja2.TemplateSyntaxError(hint, error.lineno) from None


# --- problems, filters, context -------------------------------------------------------------------


def describe(error: BaseException, template: str = "") -> str:
    """An error of a template or rule in one short line: which line of which file, and what.

    The file is not named when it is TEMPLATE itself.
    """
    if isinstance(error, jinja2.TemplateNotFound):
        text = f"there is no template '{error.name}'"
    elif isinstance(error, (jinja2.TemplateError, TooMuch, NotADirectoryError)):
        text = getattr(error, "message", None) or str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    shown = "".join(char if char.isprintable() else " " for char in text)
    return _place(error, template) + " ".join(shown.split())[:200]


def _place(error: BaseException, template: str) -> str:
    """Where in a template file ERROR arose; empty for an expression of the configuration."""
    path, line = getattr(error, "filename", None), getattr(error, "lineno", None)
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.endswith(".j2"):
            path, line = frame.f_code.co_filename, number
    if not path or not line:
        return ""
    file = os.path.basename(str(path))
    return f"line {line}: " if file == template else f"{file} line {line}: "


def _number(value: Any) -> Optional[float]:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _lines(value: Any) -> Markup:
    """Text of several lines as HTML, every line break kept."""
    text = str(value).replace("\r\n", "\n").replace("\r", "\n")
    return Markup("<br>").join(text.strip("\n").split("\n"))


def _french(value: Any) -> str:
    """Our words for severities in French, also in a change from one to another."""
    return " → ".join(_FRENCH.get(word, word) for word in str(value).split(" → "))


def _upfirst(value: Any) -> str:
    """Text with a capital at its beginning, the rest as it is: DOWN stays DOWN."""
    text = str(value)
    return text[:1].upper() + text[1:]


def _clip(value: Any, length: int = 500) -> str:
    """Text cut to LENGTH characters."""
    text = str(value)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def context_of(
    alert: Alert, now: float, zone: tzinfo, customer: Optional[Mapping[str, Any]] = None
) -> Dict[str, Any]:
    """The one context of every template and rule: the alert, its fields, the customer, now."""
    context: Dict[str, Any] = alert._asdict()
    context["alert"] = alert
    context["what"] = alert.what
    context["now"] = datetime.fromtimestamp(now, zone)
    if customer is not None:
        context["customer"] = customer
    return context
