"""Judge the snapshots of a day: could everything be read, is it fresh, is it as much as usual, do labels come."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from calslo_dagster.pipeline.aggregate_snapshots import SnapshotReport
from calslo_dagster.pipeline.compare_traffic import HOUR, PATIENCE, Comparison, compare_labels, compare_volume
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.windows import day_span
from calslo_dagster.stats.snapshot import BAD_SCORE_REASONS

# Traffic easily differs by a third from one day to the next; half and double are beyond it.
LEAST_VOLUME: Final = 0.6
MOST_VOLUME: Final = 1.7
LEAST_LABELS: Final = 0.6


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether it passed, in a sentence, with its numbers; a severe one means that results would lie."""

    name: str
    passed: bool
    says: str
    is_severe: bool = False
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)


def inspect_snapshots(project: Project, report: SnapshotReport) -> list[Finding]:
    """Return every check on the snapshots of a run, about the last of its days."""
    with project.engine() as connection:
        volume = compare_volume(project, connection, report)
        labels = compare_labels(project, connection, report)
    return [
        _schema(report),
        _score_range(report),
        _freshness(report),
        _volume(volume),
        _labels(labels),
        _coverage(report),
    ]


def _schema(report: SnapshotReport) -> Finding:
    unreadable = len(report.errors)
    trouble = (*report.errors, *report.uncounted)
    says = "; ".join(trouble[:3]) or f"all {report.units} units are readable"
    all_lost = 0 < report.units <= unreadable
    return Finding("schema", not trouble, says, all_lost, {"units": report.units, "unreadable": unreadable})


def _score_range(report: SnapshotReport) -> Finding:
    bad = {reason: sum(day.count(reason) for day in report.days) for reason in BAD_SCORE_REASONS}
    rows = sum(day.count("rows") for day in report.days)
    listed = ", ".join(f"{n:,} {reason}" for reason, n in bad.items() if n)
    numbers = {"bad_scores": sum(bad.values()), "rows": rows}
    return Finding("score_range", not listed, listed or f"all {rows:,} scores are in [0, 1]", numbers=numbers)


def _freshness(report: SnapshotReport) -> Finding:
    day = report.days[-1].day
    if day != report.now.date():
        return Finding("freshness", passed=True, says=f"{day} is history; freshness is judged on the day that goes on")
    if report.watermark is None:
        return Finding("freshness", passed=False, says="no event has ever been seen")
    lag = report.now - report.watermark
    says = f"complete up to {report.watermark:%Y-%m-%d %H:%M} UTC, {int(lag.total_seconds()) // 60} minutes ago"
    passed = lag - report.lateness <= report.lateness + PATIENCE
    return Finding("freshness", passed, says, numbers={"lag_seconds": lag.total_seconds()})


def _volume(compared: Sequence[Comparison]) -> Finding:
    if not compared:
        return Finding("volume", passed=True, says="nothing to compare with yet")
    # As far from usual as any: half as much is as bad as twice as much.
    worst = min(compared, key=lambda one: min(one.share, 1 / one.share if one.share else 0.0))
    says = f"{worst.source}: {worst.found:,} rows {worst.span}, {worst.share:.2f} times what is usual for them"
    passed = LEAST_VOLUME <= worst.share <= MOST_VOLUME
    return Finding("volume", passed, says, numbers={"share_of_usual": worst.share, "usual_rows": worst.usual})


def _labels(compared: Sequence[Comparison]) -> Finding:
    if not compared:
        return Finding("label_lag", passed=True, says="nothing to compare with yet")
    worst = min(compared, key=lambda one: one.share)
    says = f"{worst.source}: {worst.found:,} events have a label {worst.span}, {worst.share:.2f} times what is usual"
    numbers = {"share_of_usual": worst.share, "usual_labels": worst.usual}
    return Finding("label_lag", worst.share >= LEAST_LABELS, says, numbers=numbers)


def _coverage(report: SnapshotReport) -> Finding:
    day = report.days[-1]
    due = list(_due_hours(day.day, report.now - report.lateness - PATIENCE))
    missing = [f"{hour:%H}:00" for hour in due if hour not in day.hours]
    says = (
        f"no events in the hours from {', '.join(missing)}" if missing else f"all {len(due)} finished hours hold events"
    )
    return Finding("coverage", not missing, says, numbers={"hours_due": len(due), "hours_missing": len(missing)})


def _due_hours(day: date, until: datetime) -> Iterator[datetime]:
    start = day_span(day).start
    for n in range(24):
        hour = start + n * HOUR
        if hour + HOUR <= until:
            yield hour
