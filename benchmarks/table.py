"""The table of figures that a run ends with."""

from collections.abc import Iterator, Sequence

from benchmarks.meter import Figure

_HEADER = ("benchmark", "CPU s", "wall s", "events/CPU s", "ratios and goals")


def lines(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield the lines of the table, columns aligned."""
    rows = [_HEADER, *map(_cells, figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER) - 1)]
    for row in rows:
        first = row[0].ljust(widths[0])
        numbers = (cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:], strict=True))
        yield "  ".join([first, *numbers, row[-1]]).rstrip()


def _cells(figure: Figure) -> tuple[str, ...]:
    speed = f"{figure.events / figure.cpu_seconds:,.0f}" if figure.events else ""
    return figure.name, _seconds(figure.cpu_seconds), _seconds(figure.wall_seconds), speed, "; ".join(_told(figure))


def _told(figure: Figure) -> Iterator[str]:
    yield from (f"{value:.3g} x {name}" for name, value in figure.ratios.items())
    yield from (f"{name.replace('_', ' ')} {value:,.4g}" for name, value in figure.notes.items())
    for goal in figure.goals:
        ceiling = f", fails above {goal.ceiling:g}" if goal.ceiling != goal.at_most else ""
        yield f"{'met' if goal.is_met else 'MISSED'}: {goal.says} {goal.value:.3g} <= {goal.at_most:g}{ceiling}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.4f}" if seconds < 0.1 else f"{seconds:.2f}"
