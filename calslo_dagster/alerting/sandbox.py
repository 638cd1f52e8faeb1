"""A Jinja2 sandbox for message templates that people write: no side effects, and bounded in time and size.

Jinja2's own sandbox keeps templates away from Python's insides. This one also keeps them from taking for ever: loops,
calls and filters are counted, no value grows beyond a bound, and what could escape the count is refused.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import is_dataclass
from datetime import datetime, timedelta
from functools import wraps
from types import CodeType, GeneratorType
from typing import Any, Final

from jinja2 import StrictUndefined, Undefined, nodes
from jinja2.exceptions import SecurityError, TemplateAssertionError
from jinja2.filters import FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

from calslo_dagster.alerting.model import Finding
from calslo_dagster.alerting.phrases import shorten
from calslo_dagster.alerting.readings import estimate, moment, place
from calslo_dagster.slo.limits import figure
from calslo_dagster.slo.windows import spoken

LONGEST_SOURCE: Final = 20_000
LONGEST_VALUE: Final = 10_000
LONGEST_OUTPUT: Final = 20_000
MOST_STEPS: Final = 10_000
MOST_RANGE: Final = 1_000
LARGEST_NUMBER: Final = 10**15
# Shown for a value that is not known, as in the product's tables.
NOTHING: Final = "-"

_BUILT_IN: Final = (
    *("abs", "capitalize", "count", "d", "default", "first", "float", "int", "join", "last", "length", "list", "lower"),
    *("map", "max", "min", "reject", "rejectattr", "replace", "reverse", "round", "select", "selectattr", "sort"),
    *("string", "sum", "title", "trim", "truncate", "unique", "upper"),
)
_OF_TEXT: Final = frozenset(
    {
        *("capitalize", "endswith", "lower", "lstrip", "removeprefix", "removesuffix", "rstrip", "split", "startswith"),
        *("strip", "title", "upper", "value", "name", "rank"),
    }
)


class Sandbox(SandboxedEnvironment):
    """The environment that message templates are compiled and filled in."""

    intercepted_binops = frozenset({"+", "*", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, finalize=_written, optimized=False, trim_blocks=True, lstrip_blocks=True
        )
        ours: dict[str, Callable[..., Any]] = {
            "estimate": _estimate,
            "figure": _figure,
            "moment": _moment,
            "place": place,
            "shorten": shorten,
            "spoken": _spoken,
        }
        named = {**{name: FILTERS[name] for name in _BUILT_IN}, **ours}
        self.filters = {**{name: _metered(function) for name, function in named.items()}, _COUNTED: _counted}
        self.globals = {"range": _range}

    def compiled(self, source: str, name: str) -> CodeType:
        """Return the template as code; whatever is wrong with it raises."""
        if len(source) > LONGEST_SOURCE:
            raise ValueError(f"is {len(source):,} characters long, of {LONGEST_SOURCE:,} at most")
        with metered():
            tree = _Bounded().visit(_checked(self.parse(source, name, name), name))
            tree.set_environment(self)
            code = self.compile(tree, name, name)
        if not isinstance(code, CodeType):
            raise TypeError(f"compiled to {type(code).__name__}")
        return code

    def filled(self, code: CodeType, variables: Mapping[str, Any]) -> str:
        """Return what the template makes of the variables; whatever goes wrong raises."""
        template = self.template_class.from_code(self, code, dict(self.globals))
        pieces, size = list[str](), 0
        with metered():
            for piece in template.generate(variables):
                size += len(piece)
                if size > LONGEST_OUTPUT:
                    raise OverflowError(f"writes more than {LONGEST_OUTPUT:,} characters")
                pieces.append(piece)
        return "".join(pieces)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Whether the attribute may be read: fields of facts, times and loops, and the harmless methods of text."""
        if isinstance(obj, str):
            return attr in _OF_TEXT
        is_ours = is_dataclass(obj) and not attr.endswith("_json")
        return super().is_safe_attribute(obj, attr, value) and (
            is_ours or isinstance(obj, datetime | timedelta | LoopContext)
        )

    def wrap_str_format(self, value: Any) -> None:
        """Leave `str.format` to the check of attributes, which refuses it: one width in it can fill the memory."""

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as its base names it
        """Call what is safe to call, as one step."""
        _take(1)
        return _bounded(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Add what stays small; multiply numbers only, since text times a number fills the memory."""
        _take(1)
        if operator == "**":
            raise SecurityError("the operator ** is not allowed")
        if operator in "*%" and not (_is_number(left) and _is_number(right)):
            raise SecurityError(f"the operator {operator} is for numbers only")
        return _bounded(super().call_binop(context, operator, left, right))


class _Bounded(NodeTransformer):
    """Counts the turns of loops and bounds joined text."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the visitor calls it so
        """Count every turn."""
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, _COUNTED, [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the visitor calls it so
        """Join by the filter, whose result is bounded."""
        self.generic_visit(node)
        pieces = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(pieces, "join", [], [], None, None, lineno=node.lineno)


# Each of them can write or keep more than is counted, and none is needed for a message.
_REFUSED: Final[Mapping[type[nodes.Node], str]] = {
    nodes.AssignBlock: "set blocks",
    nodes.Block: "blocks",
    nodes.CallBlock: "call blocks",
    nodes.Dict: "mappings",
    nodes.EvalContextModifier: "autoescape blocks",
    nodes.Extends: "other templates",
    nodes.FilterBlock: "filter blocks",
    nodes.FromImport: "other templates",
    nodes.Import: "other templates",
    nodes.Include: "other templates",
    nodes.Macro: "macros",
}


def _checked(tree: nodes.Template, name: str) -> nodes.Template:
    """Return the tree if it holds nothing that could grow out of sight."""
    for node in tree.find_all(nodes.Node):
        refused = next((said for kind, said in _REFUSED.items() if isinstance(node, kind)), None)
        if isinstance(node, nodes.For) and node.recursive:
            refused = "recursive loops"
        # A list of itself twice doubles with every line.
        is_target = isinstance(node, nodes.Tuple) and node.ctx == "store"
        if isinstance(node, nodes.List | nodes.Tuple) and not is_target:
            refused = None if all(isinstance(one, nodes.Const) for one in node.items) else "lists of variables"
        if refused:
            raise TemplateAssertionError(f"{refused} are not allowed", node.lineno, name)
    return tree


_COUNTED: Final = "counted"
_steps: ContextVar[Iterator[int] | None] = ContextVar("steps", default=None)


@contextmanager
def metered() -> Iterator[None]:
    """Count the steps of what runs inside, and end it when there are too many."""
    token = _steps.set(iter(range(MOST_STEPS)))
    try:
        yield
    finally:
        _steps.reset(token)


def _take(steps: int) -> None:
    left = _steps.get()
    if left is not None and any(next(left, None) is None for _ in range(steps)):
        raise OverflowError(f"takes more than {MOST_STEPS:,} steps")


def _counted(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        _take(1)
        yield item


def _metered(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        _take(1)
        found = function(*args, **kwargs)
        return _bounded(list(_counted(found)) if isinstance(found, GeneratorType) else found)

    return call


def _bounded(value: Any) -> Any:
    if isinstance(value, str | list | tuple) and len(value) > LONGEST_VALUE:
        raise OverflowError(f"makes a value longer than {LONGEST_VALUE:,}")
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise OverflowError(f"makes a number above {LARGEST_NUMBER:,}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _range(*args: int) -> range:
    found = range(*args)
    if len(found) > MOST_RANGE:
        raise OverflowError(f"range() of {len(found):,}; at most {MOST_RANGE:,} are allowed")
    return found


def _written(value: Any) -> Any:
    """Return what is written for a value; the insides of a list or of all facts would be no words for people."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, timedelta):
        return spoken(value)
    if isinstance(value, str | int | float | Undefined):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written; name one of its fields, or join it")


def _figure(value: float | None, unit: str = "ratio") -> str:
    return NOTHING if value is None else figure(value, unit)


def _moment(instant: datetime | None) -> str:
    return NOTHING if instant is None else moment(instant)


def _spoken(length: timedelta | None) -> str:
    return NOTHING if length is None else spoken(length)


def _estimate(finding: Finding, unit: str = "ratio") -> str:
    return estimate(finding, unit) or NOTHING
