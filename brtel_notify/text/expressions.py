"""The configuration's own Jinja: lookups (``{{ host }}``) and the conditions of rules.

They see the context of templates (context.py), and run within limits (bounded_jinja.py). Jinja, and
with it ``random``, is imported only for those that are more than the name of a field.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Callable, Mapping, Set

if TYPE_CHECKING:
    import jinja2

    from brtel_notify.text.bounded_jinja import Bounded

#: A lookup's value is never longer.
VALUE_CHARACTERS = 1_000
#: A field of the alert, or one of its variables: what nearly every lookup is, and some conditions.
_NAME = r"\s*(?:(host|address|service|source)|vars\.([A-Z][A-Z0-9_]*))\s*"


def value(source: str, context: Mapping[str, Any]) -> str:
    """A ``{{ }}`` of the configuration as plain text. Raises jinja2.TemplateError and more."""
    named = re.fullmatch(rf"\{{\{{{_NAME}\}}\}}", source)
    if named is not None:
        text = _named(named, context)
    else:
        _environment().start()
        text = _template(source).render(context)
    return " ".join(text[:VALUE_CHARACTERS].split())


def holds(condition: str, context: Mapping[str, Any]) -> bool:
    """Whether a rule's condition is true. Raises jinja2.TemplateError and more."""
    named = re.fullmatch(_NAME, condition)
    if named is not None:
        return bool(_named(named, context))
    _environment().start()
    return bool(_condition(condition)(**context))


def _named(name: re.Match[str], context: Mapping[str, Any]) -> str:
    field, variable = name.groups()
    return str(context[field] if field else context["vars"][variable])


def names_in_value(source: str) -> Set[str]:
    """What SOURCE takes from the context. Raises jinja2.TemplateError if it is no template."""
    _template(source)
    return _names(source)


def names_in_condition(condition: str) -> Set[str]:
    """The same of a condition. Raises jinja2.TemplateError if it is no expression."""
    _condition(condition)
    return _names(f"{{% if {condition} %}}{{% endif %}}")


def _names(source: str) -> Set[str]:
    from jinja2 import meta

    environment = _environment()
    return meta.find_undeclared_variables(environment.parse(source)) - set(environment.globals)


@functools.lru_cache(maxsize=1)
def _environment() -> Bounded:
    import jinja2

    from brtel_notify.text.bounded_jinja import Bounded

    return Bounded(undefined=jinja2.ChainableUndefined)


@functools.lru_cache(maxsize=256)
def _template(source: str) -> jinja2.Template:
    return _environment().from_string(source)


@functools.lru_cache(maxsize=256)
def _condition(source: str) -> Callable[..., Any]:
    import jinja2

    try:
        return _environment().compile_expression(source, undefined_to_none=False)
    except jinja2.TemplateSyntaxError as error:
        if "{{" not in source:
            raise
        hint = "a condition stands without {{ }}"
        raise jinja2.TemplateSyntaxError(hint, error.lineno) from None
