"""Jinja with limits on time and size, for what people wrote themselves: templates, rules, lookups.

A mistake in it fails instead of using up the server's time and memory: how often bodies of loops,
macros and includes run, how long a text or list may become (with all that lies in it, as often as
it does), how far ``*``, ``**``, ``%`` and the filters that widen text may go. The bounds are
against mistakes. They are no wall against somebody who writes templates to do harm, who would need
to own the configuration anyway.
"""

from __future__ import annotations

import functools
import os
import re
import threading
import traceback
from typing import Any, Callable, Iterable, List, Tuple

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from brtel_notify.local.cleaning import line_of
from brtel_notify.text.limits import MOST_CHARACTERS, MOST_WORK


class TooMuch(Exception):
    """A template or rule wants more work or more text than any ticket needs."""


class _Counting(CodeGenerator):
    """Compiles templates so that every run of a body is counted, every value made weighed."""

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        self.writeline("environment.spend(1)")
        super().blockvisit(nodes, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self.write("environment.weighed(")
        super().visit_Concat(node, frame)
        self.write(")")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self.write("environment.weighed(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx != "load":  # what is assigned to
            super().visit_Tuple(node, frame)
            return
        self.write("environment.weighed(")
        super().visit_Tuple(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self.write("environment.weighed(")
        super().visit_Dict(node, frame)
        self.write(")")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        super()._output_child_pre(node, frame, finalize)
        self.write("environment.weighed(")  # before it is made a text

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")
        super()._output_child_post(node, frame, finalize)


#: Filters and methods of text whose result may be as long as their arguments multiplied.
_MULTIPLYING = frozenset(
    (
        *("batch", "center", "expandtabs", "indent", "join", "ljust", "replace", "rjust"),
        *("round", "slice", "tojson", "translate", "wordwrap", "zfill"),
    )
)
#: A field of five digits or more in a format, or one whose width is an argument.
_WIDE = re.compile(r"%(?:\([^()]*\))?[-+ #0-9.]*(?:[0-9]{5}|\*)|\{[^{}:]*:[^{}]*(?:[0-9]{5}|\{)")
_FORMATS = ("format", "format_map")
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
        """VALUE, if it is not too long, with all that lies in it. Raises TooMuch."""
        size = _weight(value)
        if size > MOST_CHARACTERS:
            raise TooMuch(f"a text or list has more than {MOST_CHARACTERS} characters or items")
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise TooMuch("a number is too large")
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
        elif name in _FORMATS and _formatted(values) > MOST_CHARACTERS:
            raise TooMuch(f"'{name}' has too wide a field, or too many")
        elif name == "to_bytes" and any(_is_large(value) for value in values[1:]):
            raise TooMuch(f"'{name}' makes too many bytes")

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
        method = getattr(called, "__name__", "") if isinstance(owner, (str, bytes, int)) else ""
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
        if operator == "%" and isinstance(left, (str, bytes)):
            self._admit("format", (left, right))
        return self.weighed(super().call_binop(context, operator, left, right))

    def unsafe_undefined(self, obj: Any, attribute: str) -> jinja2.Undefined:
        """What a forbidden attribute is: an error, not the empty text of one that is absent."""
        raise SecurityError(f"'{attribute}' of a {type(obj).__name__} is not allowed here")


def _size(value: Any) -> int:
    return len(value) if isinstance(value, _SIZED) else 0


def _weight(value: Any) -> int:
    """How long VALUE is with all that lies in it, as a text would say it; it is not counted on for
    long beyond what is allowed."""
    if not isinstance(value, _SIZED) or isinstance(value, (str, bytes, range)):
        return _size(value)
    total, left = 0, [value]
    while left and total <= MOST_CHARACTERS:
        each = left.pop()
        total += 1
        if isinstance(each, (str, bytes)):
            total += len(each)
        elif isinstance(each, dict):
            total += len(each)
            left += [*each, *each.values()]
        elif isinstance(each, _SIZED) and not isinstance(each, range):
            total += len(each)
            left += each
    return total


def _formatted(values: Tuple[Any, ...]) -> int:
    """How long the format ``values[0]`` may become, filled with the others; at most that."""
    form = str(values[0])
    if _WIDE.search(form):
        return MOST_CHARACTERS + 1
    fields = form.count("{") + form.count("%")
    parts: List[Any] = []
    for value in values[1:]:
        parts += value.values() if isinstance(value, dict) else _listed(value)
    longest = max(map(_weight, parts), default=0)
    return fields * longest + sum(map(int, re.findall("[0-9]{1,4}", form)))


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, tuple) else [value]


def _is_large(value: Any) -> bool:
    return isinstance(value, int) and value > MOST_CHARACTERS


# --- problems -------------------------------------------------------------------------------------


def describe(error: BaseException, template: str = "") -> str:
    """An error of a template or rule in one short line: which line of which file, and what.

    The file is not named when it is TEMPLATE itself.
    """
    if isinstance(error, jinja2.TemplateNotFound):
        text = f"there is no template '{error.name}'"
    elif isinstance(error, (jinja2.TemplateError, TooMuch, NotADirectoryError)):
        text = getattr(error, "message", None) or str(error)
    elif isinstance(error, RecursionError):
        text = "it nests too deeply: does it include or call itself?"
    else:
        text = f"{type(error).__name__}: {error}"
    return _place(error, template) + " ".join(line_of(text).split())[:200]


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
