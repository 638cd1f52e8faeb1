"""A document with one of everything."""

from datetime import UTC, datetime
from typing import Any, Final

from calslo_dagster.exports.chart_specs import budget_spec
from calslo_dagster.reporting.budget_course import budget_course
from calslo_dagster.reporting.document import (
    Column,
    Document,
    Fact,
    Figure,
    Reader,
    Section,
    Table,
    amount,
    hidden,
    interval,
    number,
    numbers,
    rows_of,
    slice_cell,
    state,
    text,
)
from calslo_dagster.slo.windows import DAY

AT: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOSTILE: Final = "=cmd|' /C calc'!A0 <script>alert(1)</script> #strong[x] | `code`"


def a_table(**changes: Any) -> Table:
    """Return a table of three rows, with columns for people and for programs."""
    columns = (
        Column("state", "State"),
        Column("slice", "Slice"),
        numbers("value", "Value"),
        numbers("low", "low", Reader.PROGRAMS),
        numbers("interval", "95 % interval", Reader.PEOPLE),
        Column("reason", "Why"),
        *hidden("run_id"),
    )
    known = [("breached", "*", 0.034, 0.03, "x"), ("meeting", "language=en", 0.5, None, HOSTILE)]
    rows = [
        [
            state(word, word.capitalize()),
            slice_cell(name),
            amount(value, "ratio"),
            number(low),
            _span(),
            text(why),
            _run(name),
        ]
        for word, name, value, low, why in [*known, ("unknown", "language=de", None, None, None)]
    ]
    return Table("cards", "Promises", columns, rows_of(rows), **changes)


def _run(name: str) -> Any:
    return text({"*": "r1", "language=en": "r2"}.get(name, ""))


def _span() -> Any:
    return interval(0.03, 0.04, "ratio")


def a_figure() -> Figure:
    """Return a chart of a budget."""
    course = budget_course([(AT.date() + n * DAY, n % 3) for n in range(30)], 40, 28)
    return Figure("budget", "Budget", budget_spec(course), "From 40 to 12 windows left.", "Dashed: at this pace.")


def a_document(**changes: Any) -> Document:
    """Return a document with a lead, facts, a figure and a table."""
    fields: dict[str, Any] = {
        "view": "overview",
        "title": "Calibration is critical",
        "lead": ("Two of three are off. Run `calslo explain`.",),
        "state": "breached",
        "as_of": AT,
        "filters": {"slo": "ece_bound"},
        "sections": (
            Section("summary", "Summary", ("A text.",), (Fact("score", "Health", number(63.0), "of 100"),)),
            Section("budget", "Budget", figures=(a_figure(),)),
            Section("cards", "Promises", tables=(a_table(),)),
        ),
    }
    return Document(**{**fields, **changes})
