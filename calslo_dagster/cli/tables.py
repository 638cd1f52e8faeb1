"""Tables for the terminal."""

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from calslo_dagster.reporting.tables import Row, moment
from calslo_dagster.slo.model import EVERYTHING, Verdict

STYLES: Final = {
    Verdict.BREACHED: "bold red",
    Verdict.WARNING: "yellow",
    Verdict.ERROR: "bold magenta",
    Verdict.UNKNOWN: "cyan",
    Verdict.EXCLUDED: "dim",
    Verdict.MEETING: "green",
}
# Where nobody watches, a row is one line, which can be searched and compared.
UNWATCHED: Final = 1_000
# On a narrower terminal a table with every column would cut its numbers.
ROOMY: Final = 130
METRICS: Final = ("n", "n_labeled", "ece_em15", "debiased_ece", "null_floor", "brier", "log_loss", "spiegelhalter_z")
FEW_METRICS: Final = ("n", "ece_em15", "brier", "log_loss")


def console() -> Console:
    """Return the console on standard output: as wide as the terminal, or without a margin when there is none."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNWATCHED
    return Console(width=width, soft_wrap=False, highlight=False)


def is_roomy(out: Console) -> bool:
    """Whether there is room for every column."""
    return out.width >= ROOMY


def narrow_wraps(out: Console, header: Sequence[str]) -> Sequence[str]:
    """Return which columns wrap: none where there is room, else all, because a cut cell would be wrong."""
    return () if is_roomy(out) else header


def table(
    title: str, header: Sequence[str], rows: Iterable[Sequence[str | Text]], *, wraps: Sequence[str] = ()
) -> Table:
    """Return a plain table; its last column and those named in `wraps` take what room is left."""
    out = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for name in header:
        out.add_column(name, overflow="fold", no_wrap=name not in {*wraps, header[-1]})
    for row in rows:
        out.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return out


def print_measurements(
    out: Console, rows: Sequence[Row], title: str, limit: int = 40, *, shows_windows: bool = False
) -> None:
    """Print measurements, worst first, with their verdicts in colour, and with the ends of their windows if wanted."""
    shown, rest = rows[:limit], len(rows) - limit
    columns = {
        "SLO": [Text(row.slo) for row in shown],
        "slice": [Text(row.slice) for row in shown],
        "window end (UTC)": [Text(moment(row.window_end)) for row in shown] if shows_windows else [],
        "verdict": [Text(row.verdict, STYLES[row.verdict]) for row in shown],
        "value": [Text(row.value) for row in shown],
        "limit": [Text(row.limit) for row in shown],
        "95 % interval": [Text(row.interval) for row in shown] if is_roomy(out) else [],
        "events": [Text(f"{row.events:,}") for row in shown] if is_roomy(out) else [],
        "why": [Text(row.reason) for row in shown] if is_roomy(out) else [],
    }
    kept = [name for name, cells in columns.items() if cells]
    cells = zip(*(columns[name] for name in kept), strict=True)
    title += f" ({rest:,} more, none worse)" if rest > 0 else ""
    out.print(table(title, kept, cells, wraps=("slice",)) if shown else Text(title, "bold"))
    if not is_roomy(out):
        _print_reasons(out, shown)


def _print_reasons(out: Console, rows: Sequence[Row]) -> None:
    """Print why SLOs are not met, the reason of the worst slice for each of them."""
    alike = dict[tuple[str, Verdict], list[Row]]()
    for row in rows:
        if row.verdict is not Verdict.MEETING:
            alike.setdefault((row.slo, row.verdict), []).append(row)
    out.print()
    for (slo, verdict), (row, *others) in alike.items():
        more = f" and {len(others)} more" if others else ""
        out.print(Text.assemble((verdict, STYLES[verdict]), f" {slo} of {row.slice}{more}: {row.reason}"))


def print_metrics(out: Console, metrics: Mapping[str, Mapping[str, float | None]], limit: int = 40) -> None:
    """Print the main metrics of the slices with the most events, everything first."""
    names = METRICS if is_roomy(out) else FEW_METRICS
    largest = sorted(metrics, key=lambda name: (name != EVERYTHING, -(metrics[name]["n"] or 0), name))[:limit]
    rows = [(name, *(_number(metrics[name].get(metric)) for metric in names)) for name in largest]
    rest = len(metrics) - len(rows)
    title = "Metrics" + (f" ({rest:,} more slices, none larger)" if rest else "")
    out.print(table(title, ("slice", *names), rows, wraps=("slice",)))


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
