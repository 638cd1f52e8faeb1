"""Judge the snapshots of a day: could everything be read, is it fresh, is it as much as usual, do labels come."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from typing import Final

from calslo_dagster.pipeline.aggregate_snapshots import DaySnapshot, SnapshotReport
from calslo_dagster.pipeline.spans import is_closed
from calslo_dagster.slo.windows import day_span
from calslo_dagster.stats.snapshot import BAD_SCORE_REASONS

# Day-of-week traffic easily differs by a third; half and double are beyond it.
LEAST_VOLUME: Final = 0.5
MOST_VOLUME: Final = 2.0
LEAST_LABEL_SHARE: Final = 0.5
# How much longer than events may be late we wait before we miss them.
PATIENCE: Final = timedelta(minutes=10)
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether it passed, in a sentence, with its numbers; a severe one means that results would lie."""

    name: str
    passed: bool
    says: str
    is_severe: bool = False
    numbers: Mapping[str, float | int | str] = field(default_factory=dict)


def findings(report: SnapshotReport) -> list[Finding]:
    """Return every check on the snapshots of a run, about the last of its days."""
    return [
        _schema(report),
        _score_range(report),
        _freshness(report),
        _volume(report),
        _labels(report),
        _coverage(report),
    ]


def _schema(report: SnapshotReport) -> Finding:
    unreadable = len(report.errors)
    says = "; ".join(report.errors[:3]) or f"all {report.units} units are readable"
    all_lost = 0 < report.units <= unreadable
    return Finding("schema", not unreadable, says, all_lost, {"units": report.units, "unreadable": unreadable})


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


def _volume(report: SnapshotReport) -> Finding:
    day, usual = report.days[-1], _usual(report, "events")
    if usual is None or not is_closed(day.day, report.now):
        return Finding("volume", passed=True, says="nothing to compare with yet")
    share = day.count("events") / usual
    says = f"{day.count('events'):,} events, {share:.2f} times the median of the week before"
    return Finding("volume", LEAST_VOLUME <= share <= MOST_VOLUME, says, numbers={"share_of_usual": share})


def _labels(report: SnapshotReport) -> Finding:
    shares = [share for day in report.history if (share := _label_share(day)) is not None]
    now = _label_share(report.days[-1])
    if not shares or now is None:
        return Finding("label_lag", passed=True, says="nothing to compare with yet")
    usual = median(shares)
    says = f"{now:.1%} of the events have a label, usually {usual:.1%}"
    passed = now >= LEAST_LABEL_SHARE * usual or not is_closed(report.days[-1].day, report.now)
    return Finding("label_lag", passed, says, numbers={"labelled_share": now, "usual_share": usual})


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


def _usual(report: SnapshotReport, name: str) -> float | None:
    counts = [day.count(name) for day in report.history if day.count(name)]
    return median(counts) if counts else None


def _label_share(day: DaySnapshot) -> float | None:
    events = day.count("events")
    return (day.count("labeled") + day.count("labels")) / events if events else None
