"""Everything that is written in Jinja: ticket subjects and bodies, notes, rules, lookups.

All of it runs in Jinja's sandbox over one context (DESIGN section 3). What an alert says comes in
as values, never as template text, and is escaped on its way into HTML. A template or rule that
fails never stops a delivery: the built-in template is used instead, and the ticket says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from datetime import datetime, timezone, tzinfo
from functools import cache
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from brtel_notify import markup, shipped, times
from brtel_notify.alert import Alert

#: MySQL's TEXT holds 65,535 bytes; the rest is room for what the server may add (api-notes).
BODY_BYTES = 60_000
#: A VARCHAR's length, in characters (api-notes).
SUBJECT_CHARACTERS = 255
#: A template's value for one of the lookups, or a condition's text, is never longer.
VALUE_CHARACTERS = 1_000

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
        "reference": "Reference",
        "cut": "This text was too long and has been cut.",
        "rules": "A rule or name of this site's configuration failed; the ticket was opened without"
        " it.",
        "broken": "This site's own template “{name}” failed; the built-in one was used.",
    },
    "fr": {
        "reference": "Référence",
        "cut": "Ce texte était trop long et a été coupé.",
        "rules": "Une règle ou un nom de la configuration du site a échoué ; le ticket a été ouvert"
        " sans.",
        "broken": "Le modèle « {name} » du site a échoué ; le modèle intégré a été utilisé.",
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
_FRENCH = {
    "ok": "ok",
    "info": "information",
    "unknown": "inconnu",
    "warning": "avertissement",
    "critical": "critique",
}


@dataclass(frozen=True)
class Text:
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
    ) -> None:
        self.language = language
        self.zone = zone
        self.folder = folder
        built_in = os.path.join(shipped.folder("templates"), language)
        own = [os.path.join(folder, language), folder] if folder else []
        self._built_in = self._environment([built_in])
        self._own = self._environment([*own, built_in])

    def _environment(self, folders: List[str]) -> ImmutableSandboxedEnvironment:
        environment = ImmutableSandboxedEnvironment(
            loader=jinja2.FileSystemLoader(folders),
            autoescape=lambda name: name is not None and not name.startswith("subject"),
            undefined=jinja2.ChainableUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["lines"] = _lines
        environment.filters["date"] = lambda value: times.for_people(_number(value), self.zone)
        environment.filters["span"] = lambda value: times.span(_number(value) or 0.0)
        environment.filters["clip"] = _clip
        environment.filters["product"] = lambda value: PRODUCTS.get(value, "brtel-notify")
        environment.filters["thing"] = lambda value: _THINGS[self.language].get(value, "Service")
        environment.filters["french"] = _french
        return environment

    def subject(self, context: Mapping[str, Any]) -> Text:
        """The ticket's subject: one line of plain text.

        BlueRockTEL strips what looks like HTML from it, so angle brackets become ones that stay.
        """
        text, problems = self._render("subject", context)
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        line = line.replace("<", "‹").replace(">", "›")
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
        remarks = [words["broken"].format(name=f"{name}.j2")] if problems else []
        remarks += [words["rules"]] if failed_rules else []
        footer = "".join(f"<p><i>{escape(remark)}</i></p>" for remark in remarks)
        footer += f"<p>{words['reference']}: {escape(reference)}</p>"
        notice = f"<p><i>{words['cut']}</i></p>"
        room = BODY_BYTES - len((footer + notice).encode("utf-8"))
        body, cut = markup.clean(source, room)
        return Text(body + (notice if cut else "") + footer, problems)

    def _render(self, name: str, context: Mapping[str, Any]) -> Tuple[str, List[str]]:
        file = f"{name}.j2"
        if self.folder is None:
            return self._built_in.get_template(file).render(context), []
        try:
            return self._own.get_template(file).render(context), []
        except Exception as error:  # noqa: BLE001 - whatever a user's template does wrong
            problem = f"template {file}: {describe(error)}; the built-in one is used"
            return self._built_in.get_template(file).render(context), [problem]

    def check_value(self, source: str) -> None:
        """Raise jinja2.TemplateError if SOURCE is no template."""
        _plain().from_string(source)

    def check_condition(self, condition: str) -> None:
        """Raise jinja2.TemplateError if CONDITION is no expression."""
        _plain().compile_expression(condition)

    def check_templates(self) -> Iterator[Tuple[str, str]]:
        """The templates of one's own that do not compile, each with the reason."""
        for name in TEMPLATES:
            try:
                self._own.get_template(f"{name}.j2")
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it is the finding
                yield f"{name}.j2", describe(error)

    def value(self, source: str, context: Mapping[str, Any]) -> str:
        """A ``{{ }}`` of the configuration as plain text. Raises jinja2.TemplateError and more."""
        text = _plain().from_string(source).render(context)
        return " ".join(text[:VALUE_CHARACTERS].split())

    def holds(self, condition: str, context: Mapping[str, Any]) -> bool:
        """Whether a rule's condition is true. Raises jinja2.TemplateError and more."""
        return bool(_plain().compile_expression(condition, undefined_to_none=False)(**context))


@cache
def _plain() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(undefined=jinja2.ChainableUndefined)


def describe(error: BaseException) -> str:
    """An error of a template or rule in one short line."""
    line = getattr(error, "lineno", None)
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return f"line {line}: {text}" if line else text


def _number(value: Any) -> Optional[float]:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def _lines(value: Any) -> Markup:
    """Text of several lines as HTML, every line break kept."""
    return Markup("<br>").join(str(value).strip("\n").split("\n"))


def _french(value: Any) -> str:
    """Our words for severities in French, also in a change from one to another."""
    return " → ".join(_FRENCH.get(word, word) for word in str(value).split(" → "))


def _clip(value: Any, length: int = 500) -> str:
    """Text cut to LENGTH characters."""
    text = str(value)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def names_in(sources: Mapping[str, str], name: str) -> Set[str]:
    """Which attributes of NAME the expressions use; ``""`` when NAME itself is used whole.

    So ``customer`` is loaded only when a rule asks for it. What does not parse uses nothing: it
    will fail when it is evaluated, and be reported there.
    """
    found: Set[str] = set()
    for kind, source in sources.items():
        text = f"{{{{ {source} }}}}" if kind.startswith("when") else source
        try:
            tree = _plain().parse(text)
        except jinja2.TemplateError:
            continue
        if name not in meta.find_undeclared_variables(tree):
            continue
        attributes = {
            node.attr
            for node in tree.find_all(nodes.Getattr)
            if isinstance(node.node, nodes.Name) and node.node.name == name
        }
        found |= attributes or {""}
    return found


def context_of(
    alert: Alert, now: float, zone: tzinfo, customer: Optional[Mapping[str, Any]] = None
) -> Dict[str, Any]:
    """The one context of every template and rule: the alert, its fields, the customer, now."""
    context: Dict[str, Any] = {item.name: getattr(alert, item.name) for item in fields(alert)}
    context["alert"] = alert
    context["what"] = alert.what
    context["now"] = datetime.fromtimestamp(now, zone)
    if customer is not None:
        context["customer"] = customer
    return context
