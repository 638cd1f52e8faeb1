"""Files, functions and asset bodies stay small enough to read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "calslo_dagster"
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
LONGEST_ASSET_BODY = 15
MOST_POSITIONAL = 4

Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def body_length(node: Function) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def is_asset(node: Function) -> bool:
    names = {ast.unparse(decorator).split("(")[0] for decorator in node.decorator_list}
    return bool(names & {"dg.asset", "dg.multi_asset", "dg.sensor", "dg.schedule", "dg.asset_check"})


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}

    assert {str(p.relative_to(PACKAGE)): n for p, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    long = {f"{p.relative_to(PACKAGE)}:{f.name}": length(f) for p in sources() for f in functions(p)}

    assert {name: n for name, n in long.items() if n > LONGEST_FUNCTION} == {}


def test_no_asset_schedule_or_sensor_carries_logic() -> None:
    bodies = {f.name: body_length(f) for p in (PACKAGE / "defs").glob("*.py") for f in functions(p) if is_asset(f)}

    assert bodies
    assert {name: n for name, n in bodies.items() if n > LONGEST_ASSET_BODY} == {}


def test_few_parameters_are_positional() -> None:
    def positional(node: Function) -> int:
        names = [a.arg for a in [*node.args.posonlyargs, *node.args.args] if a.arg not in ("self", "cls")]
        return len(names)

    # Click calls a command with keywords only, whatever its signature says.
    checked = [p for p in sources() if p.parent.name != "cli"]
    many = {f"{p.relative_to(PACKAGE)}:{f.name}": positional(f) for p in checked for f in functions(p)}

    assert {name: n for name, n in many.items() if n > MOST_POSITIONAL} == {}


def test_every_module_opens_with_a_sentence() -> None:
    bare = [p for p in sources() if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))]

    assert bare == []
