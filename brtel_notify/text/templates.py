"""Everything that is written in Jinja: ticket subjects and bodies, notes, rules, lookups.

All of it runs in Jinja's sandbox over one context (DESIGN section 3). What an alert says comes in
as values, never as template text, and is escaped on its way into HTML. A template or rule that
fails never stops a delivery: the built-in template is used instead, and the ticket says so.

What people wrote themselves is bounded (bounded_jinja.py).
"""

from __future__ import annotations

import math
import os
from datetime import timezone, tzinfo
from typing import (
    Any,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

import jinja2
from jinja2.bccache import Bucket
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from brtel_notify.alert import without_references
from brtel_notify.local import shipped_files
from brtel_notify.local.cleaning import line_of
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.sources import registry
from brtel_notify.sources.source import Source
from brtel_notify.text import markup, times
from brtel_notify.text.limits import BODY_BYTES, SUBJECT_CHARACTERS

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
        "follows": "The problem is back. Ticket {number} could not be reopened, so this one was"
        " opened.",
        "rules": "A rule or name of this site's configuration failed; the ticket was opened without"
        " it.",
        "broken": "This site's own template “{name}” failed; the built-in one was used.",
        "double": "This ticket is a double of {number}, which was opened for the same alert and"
        " stays open: what becomes of the alert is added there. This one is closed.",
        "had_double": "Ticket {number} was opened for the same alert, too. It is closed; this one"
        " stays open.",
        "plain": "The alert's own text is left out: it was refused on its way to BlueRockTEL. The"
        " monitoring system has it.",
    },
    "fr": {
        "reference": "Référence\xa0: {reference}",
        "cut": "Ce texte était trop long et a été coupé.",
        "follows": "Le problème est revenu. Le ticket {number} n'a pas pu être rouvert\xa0;"
        " celui-ci a été ouvert à sa place.",
        "rules": "Une règle ou un nom de la configuration du site a échoué\xa0; le ticket a été"
        " ouvert sans en tenir compte.",
        "broken": "Le modèle «\xa0{name}\xa0» du site a échoué\xa0; le modèle intégré a été"
        " utilisé.",
        "double": "Ce ticket fait double emploi avec {number}, ouvert pour la même alerte et qui"
        " reste ouvert\xa0: la suite de l'alerte y est ajoutée. Celui-ci est fermé.",
        "had_double": "Le ticket {number} a été ouvert pour la même alerte. Il est fermé\xa0;"
        " celui-ci reste ouvert.",
        "plain": "Le texte de l'alerte est omis\xa0: il a été refusé sur son chemin vers"
        " BlueRockTEL. La supervision l'a.",
    },
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
        built_in = os.path.join(shipped_files.folder("templates"), language)
        self._built_in = ImmutableSandboxedEnvironment(**_options([built_in]))
        if compiled is not None:
            self._built_in.bytecode_cache = _Compiled(compiled)
        self._add_filters(self._built_in)
        if folder is not None:
            from brtel_notify.text.bounded_jinja import Bounded

            own = [os.path.join(folder, language), folder, built_in]
            self._own = Bounded(**_options(own))
            self._add_filters(self._own)

    def _add_filters(self, environment: jinja2.Environment) -> None:
        environment.filters.update(
            lines=_lines,
            date=lambda value: times.for_people(_number(value), self.zone),
            span=lambda value: times.span(_number(value) or 0.0),
            clip=_clip,
            product=lambda name: _source(name).product or "brtel-notify",
            thing=lambda name: _source(name).thing.get(self.language, "Service"),
            found=lambda value: _FOUND[self.language].get(value, value),
            french=_french,
            upfirst=_upfirst,
        )

    def subject(self, context: Mapping[str, Any], plain: bool = False) -> Text:
        """The ticket's subject: one line of plain text. PLAIN: by the built-in template.

        BlueRockTEL strips what looks like HTML from it, so angle brackets become ones that stay.
        """
        source, problems = (self._built_in_only if plain else self._render)("subject", context)
        # Every template is escaped, so that one may include another; here that is undone.
        text = markup.unescaped(source)
        line = " ".join(line_of(text).split())
        line = markup.untemplated(line.replace("<", "‹").replace(">", "›"))
        line = without_references(line)
        if len(line) > SUBJECT_CHARACTERS:
            line = line[: SUBJECT_CHARACTERS - 1].rstrip() + "…"
        return Text(line or str(context["reference"]), problems)

    def html(
        self,
        name: str,
        context: Mapping[str, Any],
        reference: str,
        failed_rules: int = 0,
        plain: bool = False,
    ) -> Text:
        """The template NAME as a body or reply, with the REFERENCE at its end as visible text.

        FAILED_RULES is how many rules of the configuration could not be used; the text says so.
        PLAIN: the CONTEXT is without the alert's own text, which is said, too.
        """
        source, problems = (self._built_in_only if plain else self._render)(name, context)
        words = _FOOTERS[self.language]
        failed = [f"{name}.j2"] if problems else []
        if name == "body" and not plain and self._render("subject", context)[1]:
            failed.append("subject.j2")  # a subject has no room to say so
        follows = context.get("follows") if name == "body" else ""
        remarks = [words["follows"].format(number=follows)] if follows else []
        remarks += [words["broken"].format(name=file) for file in failed]
        remarks += [words["rules"]] if failed_rules else []
        remarks += [words["plain"]] if plain else []
        footer = "".join(f"<p><i>{markup.escaped(remark)}</i></p>" for remark in remarks)
        footer += f"<p>{words['reference'].format(reference=markup.escaped(reference))}</p>"
        notice = f"<p><i>{words['cut']}</i></p>"
        room = BODY_BYTES - len((footer + notice).encode("utf-8"))
        body, cut = markup.clean_html(source.strip(), room)
        marked = without_references(body)  # only the footer's counts, whatever an alert says
        if marked != body:  # each is two bytes longer now, so they are measured again
            body, cut_again = markup.clean_html(marked, room)
            cut = cut or cut_again
        return Text(body + (notice if cut else "") + footer, problems)

    def remark(self, what: str, reference: str, **values: str) -> str:
        """A note of our own words only, with the REFERENCE at its end."""
        words = _FOOTERS[self.language]
        text = markup.escaped(words[what].format(**values))
        end = words["reference"].format(reference=markup.escaped(reference))
        return f"<p>{text}</p><p>{end}</p>"

    def _render(self, name: str, context: Mapping[str, Any]) -> Tuple[str, List[str]]:
        file = f"{name}.j2"
        if self.folder is None:
            return self._built_in_only(name, context)
        try:
            if not os.path.isdir(self.folder):
                raise NotADirectoryError(f"there is no folder {self.folder}")
            self._own.start()
            return self._own.get_template(file).render(context), []
        except Exception as error:  # noqa: BLE001 - whatever a user's template does wrong
            from brtel_notify.text.bounded_jinja import describe

            problem = f"template {file}: {describe(error, file)}; the built-in one is used"
            return self._built_in.get_template(file).render(context), [problem]

    def _built_in_only(self, name: str, context: Mapping[str, Any]) -> Tuple[str, List[str]]:
        return self._built_in.get_template(f"{name}.j2").render(context), []

    def compile_built_in(self) -> None:
        """Compile every built-in template, for whoever renders next."""
        for name in TEMPLATES:
            self._built_in.get_template(f"{name}.j2")

    def check_templates(self) -> Iterator[Tuple[str, str]]:
        """The templates of one's own that do not compile, each with the reason."""
        if self.folder is None:
            return
        from brtel_notify.text.bounded_jinja import describe

        for name in TEMPLATES:
            try:
                self._own.get_template(f"{name}.j2")
            except Exception as error:  # noqa: BLE001 - whatever is wrong with it is the finding
                yield f"{name}.j2", describe(error, f"{name}.j2")


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


# --- filters --------------------------------------------------------------------------------------


def _number(value: Any) -> Optional[float]:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _source(name: str) -> Source:
    return registry.source(name) if name in registry.NAMES else Source()


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
