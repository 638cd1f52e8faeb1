"""What a person sees beside a materialization: counts, a worst-first table, a sparkline, links."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import dagster as dg

from calslo_dagster.pipeline.aggregate_snapshots import SnapshotReport
from calslo_dagster.pipeline.find_anomalies import AnomalyReport
from calslo_dagster.pipeline.measure_availability import AvailabilityReport
from calslo_dagster.pipeline.project_trends import TrendReport
from calslo_dagster.pipeline.report_drift import DriftReport
from calslo_dagster.pipeline.tabulate_calibration import CalibrationTable
from calslo_dagster.pipeline.take_measurements import MeasurementReport
from calslo_dagster.pipeline.track_breaches import BreachReport
from calslo_dagster.pipeline.write_report import WrittenReport
from calslo_dagster.reporting.availability import AvailabilityRow, availability_markdown
from calslo_dagster.reporting.breaches import breach_rows, breaches_markdown
from calslo_dagster.reporting.distances import distances_markdown
from calslo_dagster.reporting.drift import drift_attribution_markdown, drift_markdown, drift_story, judged_rows
from calslo_dagster.reporting.tables import (
    bins_markdown,
    bullets,
    markdown,
    measurements_markdown,
    moment,
    sparkline,
    worst_first,
)
from calslo_dagster.reporting.trends import trend_lines, trends_markdown
from calslo_dagster.slo.causes import Cause
from calslo_dagster.slo.health import HealthReport
from calslo_dagster.slo.limits import promise
from calslo_dagster.slo.model import EVERYTHING, SLO, Measurement, Verdict
from calslo_dagster.slo.slice_trends import Quantity, SliceTrend
from calslo_dagster.slo.windows import spoken
from calslo_dagster.stats.trend import Direction
from calslo_dagster.store.availability import AvailabilityRow as Stored

Metadata = Mapping[str, Any]
MOST_ROWS: Final = 25
# A table takes about 1.5 kB, and the minute job writes them each minute.
MOST_TABLES: Final = 8
WORST_TABLES: Final = 3
DRIFT_VERDICTS: Final = (Verdict.BREACHED, Verdict.WARNING, Verdict.UNKNOWN, Verdict.MEETING)
MOST_HEADING: Final = 8


def of_report(found: WrittenReport, dashboard_url: str | None) -> Metadata:
    """Return what the report says first, what is to be done, and where its files lie."""
    document = found.document
    [actions, *_] = [section for section in document.sections if section.key == "actions"]
    period = document.filters["period"]
    link = f"{dashboard_url.rstrip('/')}/reports?period={period}" if dashboard_url else ""
    return {
        "summary": dg.MetadataValue.md(bullets(document.lead)),
        "actions": dg.MetadataValue.md(bullets(actions.texts)),
        **{f"file_{path.suffix[1:]}": dg.MetadataValue.path(path) for path in found.files},
        **({"left_out": "; ".join(found.left_out)} if found.left_out else {}),
        **({"dashboard": dg.MetadataValue.url(link)} if link else {}),
    }


def of_definition(slo: SLO, dashboard_url: str | None) -> Metadata:
    """Return what the asset of an SLO promises and what to do when it is breached."""
    link = {"dashboard": dg.MetadataValue.url(f"{dashboard_url.rstrip('/')}/slos/{slo.name}")} if dashboard_url else {}
    return {
        "objective": _objective(slo),
        "window": spoken(slo.window),
        "target": float(slo.target),
        "min_events": int(slo.min_events),
        "needs": ", ".join(sorted(slo.needs)) or "nothing beyond time and score",
        "runbook": dg.MetadataValue.md(slo.runbook),
        **link,
    }


def _objective(slo: SLO) -> str:
    """Return the promise in words; a computed limit is told as such, with the one that it never undercuts."""
    goal = slo.objective
    words = promise(goal.operator, goal.limit, slo.unit)
    return f"{words}, or a limit computed for each window if that is wider" if goal.computed else words


def of_snapshots(report: SnapshotReport) -> Metadata:
    """Return the counts of the days, and the trouble with their input."""
    totals = {name: sum(day.count(name) for day in report.days) for name in ("rows", "events", "labeled", "labels")}
    gone = (f"{unit} is gone; what was counted of it stays" for unit in report.gone)
    trouble = [*report.errors, *report.uncounted, *report.copies, *gone]
    per_day = [
        (str(d.day), f"{d.count('events'):,}", f"{d.count('labeled') + d.count('labels'):,}") for d in report.days
    ]
    return {
        "dagster/row_count": totals["rows"],
        "events": totals["events"],
        "labeled": totals["labeled"] + totals["labels"],
        "partials_written": report.written,
        "input_units": report.units,
        "watermark": report.watermark.isoformat() if report.watermark else "no event yet",
        "rejected": dg.MetadataValue.json(_rejected(report)),
        "trouble": dg.MetadataValue.md("\n".join(f"- {line}" for line in trouble[:MOST_ROWS]) or "none"),
        "days": dg.MetadataValue.md(markdown(("day", "events", "labelled"), per_day[-MOST_ROWS:])),
    }


def of_measurements(
    report: MeasurementReport, slo: SLO, last: Iterable[Measurement], course: Sequence[float]
) -> Metadata:
    """Return what the run measured, and how the SLO stands: the worst slices last, and the course of all traffic."""
    counts = {f"verdict_{verdict}": report.verdicts.get(verdict, 0) for verdict in Verdict}
    worst = worst_first(last, [slo])[:MOST_ROWS]
    return {
        "dagster/row_count": report.rows,
        "windows": report.windows,
        **counts,
        "worst_first": dg.MetadataValue.md(measurements_markdown(worst)),
        "course_of_all_traffic": sparkline(course),
    }


def of_drift(report: DriftReport) -> Metadata:
    """Return what moved and why, the changes worst first, their causes, and how far scores moved."""
    story = drift_story(report.rows, report.attributed)
    counts = {f"verdict_{verdict}": report.verdicts.get(verdict, 0) for verdict in DRIFT_VERDICTS}
    return {
        "dagster/row_count": report.stored,
        "week_end": report.week_end.isoformat(),
        **counts,
        "what_moved": dg.MetadataValue.md(bullets(story)),
        "worst_first": dg.MetadataValue.md(drift_markdown(judged_rows(report.rows), MOST_ROWS)),
        "why": dg.MetadataValue.md(drift_attribution_markdown(report.attributed[:MOST_ROWS])),
        "scores_moved": dg.MetadataValue.md(distances_markdown(report.distances, MOST_ROWS)),
    }


def of_trends(report: TrendReport) -> Metadata:
    """Return where slices are heading: the likeliest breach first, in a table and in words."""
    heading = [row for row in report.rows if row.quantity is Quantity.EITHER]
    return {
        "dagster/row_count": report.stored,
        "as_of": report.day.isoformat(),
        "slices_projected": len(heading),
        **{str(d): sum(row.direction is d for row in heading) for d in Direction},
        "worst_first": dg.MetadataValue.md(report.reason or trends_markdown(report.rows, MOST_ROWS)),
        **of_heading(report.rows),
    }


def of_heading(rows: Sequence[SliceTrend]) -> Metadata:
    """Return a sentence for each slice that is the likeliest to breach, with the day that they were projected on."""
    as_of = max((row.day for row in rows), default=None)
    return {"heading": dg.MetadataValue.md(trend_lines(rows, MOST_HEADING))} | (
        {"heading_as_of": as_of.isoformat()} if as_of else {}
    )


def of_tables(tables: Sequence[CalibrationTable], breached: Sequence[str]) -> Metadata:
    """Return the slices with their mismatches, and the bins of all traffic, of breached slices, and of the worst ones.

    `breached` slices come in this order; those without room are named.
    """
    foreign, unsupported = sum(t.mismatch.foreign for t in tables), sum(t.unsupported for t in tables)
    header = ("slice", "foreign mask", "bins without support", "bins off their interval", "p-value of calibration")
    lines = [
        (t.slice, f"{t.mismatch.foreign:,}", str(t.unsupported), str(t.inconsistent), _p_value(t.p_value))
        for t in tables
    ]
    by_name = {t.slice: t for t in tables}
    wanted = dict.fromkeys((EVERYTHING, *breached, *(t.slice for t in tables[:WORST_TABLES])))
    found = [by_name[name] for name in wanted if name in by_name]
    shown, rest = found[:MOST_TABLES], [t.slice for t in found[MOST_TABLES:] if t.slice in breached]
    named = f"Also breached: {', '.join(rest[:MOST_ROWS])}. " if rest else ""
    return {
        "dagster/row_count": sum(len(t.bins) for t in tables),
        "events_of_a_foreign_mask": foreign,
        "bins_without_support": unsupported,
        "slices": dg.MetadataValue.md(markdown(header, lines[:MOST_ROWS])),
        **{f"bins of {t.slice}": dg.MetadataValue.md(bins_markdown(t.bins)) for t in shown},
        "other_slices": f"{named}calslo table --slice NAME prints the table of any slice.",
    }


def _p_value(value: float | None) -> str:
    return "-" if value is None else "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def of_breaches(report: BreachReport, slos: Sequence[SLO], now: Any) -> Metadata:
    """Return what is open and what changed."""
    rows = breach_rows([breach.episode for breach in (*report.open, *report.changed)], slos, now)
    unique = list({row.id: row for row in rows}.values())
    return {
        "dagster/row_count": len(unique),
        "open": len(report.open),
        "days_folded": report.days_folded,
        "breaches": dg.MetadataValue.md(breaches_markdown(unique[:MOST_ROWS])),
    }


def of_causes(report: BreachReport, causes: Mapping[str, Cause], waiting: int) -> Metadata:
    """Return the first cause of each breach that is open or has changed, and how many still wait to be explained."""
    found = {breach.id: breach for breach in (*report.open, *report.changed)}
    lines = [
        (found[name].slo, found[name].slice, cause.kind, f"{cause.score:.2f}", cause.evidence)
        for name, cause in causes.items()
        if name in found
    ]
    lines.sort(key=lambda line: (-float(line[3]), *line))
    header = ("SLO", "slice", "cause", "score", "evidence")
    return {
        "causes": dg.MetadataValue.md(markdown(header, lines[:MOST_ROWS]) if lines else "nothing to explain"),
        "breaches_not_explained_yet": waiting,
    }


def of_anomalies(report: AnomalyReport) -> Metadata:
    """Return the most unusual spans."""
    header = ("slice", "what", "from (UTC)", "to (UTC)", "score", "found")
    lines = [
        (row.slice, row.kind, moment(row.starts_at), moment(row.ends_at), f"{row.score:+.1f}", row.reason)
        for row in report.found[:MOST_ROWS]
    ]
    return {
        "dagster/row_count": len(report.found),
        "series": report.series,
        "score_limit": report.limit,
        "anomalies": dg.MetadataValue.md(markdown(header, lines) if lines else "none"),
    }


def of_availability(report: AvailabilityReport) -> Metadata:
    """Return availability, the least budget first."""
    shown = sorted(map(_shown, report.rows), key=lambda row: row.budget.left_at_worst)
    return {
        "dagster/row_count": report.total,
        "measured": report.measured,
        "availability": dg.MetadataValue.md(availability_markdown(shown[:MOST_ROWS])),
    }


def of_health(report: HealthReport) -> Metadata:
    """Return the overall word and score, and those of every SLO and model."""
    scopes = [report.overall, *report.models, *report.slos, *report.slices[:MOST_ROWS]]
    lines = [
        (h.scope, h.word, "-" if h.score is None else str(h.score), str(h.breached), str(h.unknown), h.reason)
        for h in scopes
    ]
    return {
        "word": str(report.overall.word),
        "score": report.overall.score if report.overall.score is not None else "unknown",
        "scopes": dg.MetadataValue.md(markdown(("scope", "health", "score", "breached", "unknown", "why"), lines)),
    }


def _rejected(report: SnapshotReport) -> dict[str, int]:
    counted = dict(report.rejected)
    for day in report.days:
        for name, rows in day.rows.items():
            if name not in ("rows", "events", "labeled", "labels", "pending", "replaced"):
                counted[name] = counted.get(name, 0) + rows
    return {name: rows for name, rows in sorted(counted.items()) if rows}


def _shown(row: Stored) -> AvailabilityRow:
    return AvailabilityRow(
        slo=row.slo,
        slice=f"{row.slice} ({row.period_days} d)",
        model="",
        target=row.target,
        promise=row.tally.promise(row.target),
        tally=row.tally,
        budget=row.budget,
        times=row.reliability,
    )
