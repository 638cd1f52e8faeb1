"""Drift as a document: slice by week at a glance, the movers worst first, and why everything moved."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.project_trends import TREND_SLO
from calslo_dagster.pipeline.views.wanted import Wanted
from calslo_dagster.reporting.document import (
    Cell,
    Column,
    Document,
    Reader,
    Section,
    Table,
    count,
    hidden,
    interval,
    moment,
    number,
    numbers,
    part,
    rows_of,
    slice_cell,
    state,
    text,
)
from calslo_dagster.reporting.trends import sentences
from calslo_dagster.slo.drift import LABELS
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import WEEK
from calslo_dagster.stats.changes import RULES
from calslo_dagster.store import drift, drift_attributions, trends
from calslo_dagster.store.drift import DriftRow
from calslo_dagster.store.drift_attributions import AttributionRow

WEEKS: Final = 8
_ORDER: Final = (Verdict.BREACHED, Verdict.WARNING, Verdict.UNKNOWN, Verdict.MEETING)
_LIKELIEST: Final = 20


def drift_view(project: Project, wanted: Wanted) -> Document:
    """Return how slices moved from week to week, up to the last week that was compared."""
    with project.store.read() as session:
        last = drift.last_week(session)
        until = last if last is None or wanted.until is None else min(last, wanted.until)
        found = drift.history(session, since=until - (WEEKS - 1) * WEEK) if until else ()
        causes = drift_attributions.of_week(session, until) if until else ()
        ahead = [row for row in trends.latest(session, TREND_SLO) if wanted.takes(wanted.slice, row.slice)]
    rows = [row for row in found if row.week_end <= (until or row.week_end) and wanted.takes(wanted.slice, row.slice)]
    newest = [row for row in rows if row.week_end == until and _is_own(row)]
    outlooks = tuple(sentences(ahead, _LIKELIEST))
    return Document(
        wanted.view,
        "Drift from week to week",
        (_lead(newest, until),),
        _worst(newest),
        until,
        wanted.stated,
        (
            Section("weeks", "Slice by week", tables=(_weeks(rows),)),
            Section("movers", "Movers of the last week", tables=(movers(newest),)),
            Section(
                "causes", "Why", tables=(causes_table(one for one in causes if wanted.takes(wanted.slice, one.slice)),)
            ),
            Section("trends", "Where slices are heading", texts=outlooks or ("No trend has been projected yet.",)),
        ),
    )


def _is_own(row: DriftRow) -> bool:
    """Whether the verdict is the metric's own, not taken from another one."""
    return row.metric in RULES and RULES[row.metric].judged_by == row.metric


def _lead(rows: list[DriftRow], week: datetime | None) -> str:
    if week is None:
        return "No two weeks have been compared yet; the first report comes after the second whole ISO week."
    counts = ", ".join(f"{sum(row.verdict is one for row in rows):,} {one}" for one in _ORDER)
    return f"In the week that ended {week:%Y-%m-%d}: of {len(rows):,} changes {counts}."


def _worst(rows: Iterable[DriftRow]) -> str:
    found = {row.verdict for row in rows}
    return next((one.value for one in _ORDER if one in found), "never")


def _weeks(rows: list[DriftRow]) -> Table:
    """Return the worst change of each slice in each week; every cell says which metric and how much."""
    weeks = sorted({row.week_end for row in rows})
    worst: dict[tuple[str, datetime], DriftRow] = {}
    for row in rows:
        key = (row.slice, row.week_end)
        if _is_own(row) and (key not in worst or _rank(row) < _rank(worst[key])):
            worst[key] = row
    names = sorted({name for name, _ in worst}, key=lambda name: _latest_rank(name, weeks, worst))
    columns = (Column("slice", "Slice"), *(Column(f"{week:%G-W%V}", _week(week)) for week in weeks))
    cells = [[slice_cell(name), *(_moved(worst.get((name, week))) for week in weeks)] for name in names]
    told = "In each week the change with the worst verdict; a week is named by its last day."
    return Table("weeks", "Slice by week", columns, rows_of(cells), told, "No two weeks have been compared yet.")


def _week(end: datetime) -> str:
    return f"{end:%b %d}"


def _latest_rank(
    name: str, weeks: list[datetime], worst: Mapping[tuple[str, datetime], DriftRow]
) -> tuple[list[tuple[int, float]], str]:
    ranks = [_rank(worst[name, week]) if (name, week) in worst else (len(_ORDER), 0.0) for week in reversed(weeks)]
    return ranks, name


def _rank(row: DriftRow) -> tuple[int, float]:
    return (_ORDER.index(row.verdict) if row.verdict in _ORDER else len(_ORDER), -abs(row.delta or 0.0))


def _moved(row: DriftRow | None) -> Cell:
    if row is None:
        return Cell("–")
    told = "–" if row.delta is None else f"{LABELS[row.metric]} {number(row.delta, sign=True).text}"
    return Cell(told, f"{row.verdict}: {row.metric} {row.delta}", state=row.verdict.value)


def movers(rows: Iterable[DriftRow]) -> Table:
    """Return the changes of a week, worst first."""
    columns = (
        Column("slice", "Slice"),
        Column("metric", "Metric"),
        Column("verdict", "Verdict"),
        numbers("previous", "Before"),
        numbers("current", "Now"),
        numbers("delta", "Change"),
        *hidden("low", "high"),
        numbers("interval", "95 % interval", Reader.PEOPLE),
        Column("reason", "Why"),
        *hidden("week_end", "limit", "p_value", "q_value", "events_current", "events_previous", "events_needed"),
    )
    cells = [
        [
            slice_cell(row.slice),
            Cell(LABELS[row.metric], row.metric),
            state(row.verdict, row.verdict.value.capitalize()),
            number(row.previous),
            number(row.current),
            number(row.delta, sign=True),
            number(row.low),
            number(row.high),
            interval(row.low, row.high, "ratio"),
            text(row.reason),
            moment(row.week_end),
            number(row.limit),
            number(row.p_value),
            number(row.q_value),
            count(row.events_current),
            count(row.events_previous),
            count(row.events_needed),
        ]
        for row in sorted(rows, key=_rank)
    ]
    return Table("movers", "Movers of the last week", columns, rows_of(cells), empty="Nothing was compared.")


def causes_table(rows: Iterable[AttributionRow]) -> Table:
    """Return what each change is made of: in every row the four causes sum to the change."""
    columns = (
        Column("slice", "Slice"),
        Column("metric", "Metric"),
        Column("part", "Part"),
        numbers("delta", "Change"),
        numbers("mix", "Mix of slices"),
        numbers("scores", "Scores"),
        numbers("outcome", "Outcomes"),
        numbers("coverage", "Label coverage"),
    )
    cells = [
        [
            slice_cell(row.slice),
            text(row.metric),
            slice_cell(row.part),
            *(part(value) for value in (row.delta, row.mix, row.scores, row.outcome, row.coverage)),
        ]
        for row in rows
    ]
    return Table("causes", "Why", columns, rows_of(cells), empty="No change has been taken apart.")
