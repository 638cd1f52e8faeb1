"""Courses of verdicts, put into the store as measuring puts them there."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.slo.windows import day_of, window_ends
from calslo_dagster.store import evaluations, measurements, slo_days, unfolded_days, watermarks
from calslo_dagster.store.watermarks import Watermark
from calslo_dagster_tests.logs import HOUR, START
from calslo_dagster_tests.slo.samples import verdicts

SLO: Final = "score_range"


def measured(end: datetime, verdict: Verdict, **changes: Any) -> Measurement:
    """Return the measurement of everything over one hour."""
    fields: dict[str, Any] = {
        "slo": SLO,
        "slice": "*",
        "model": "intent",
        "window_start": end - HOUR,
        "window_end": end,
        "value": {Verdict.BREACHED: 0.5, Verdict.MEETING: 0.0}.get(verdict),
        "threshold": 0.4,
        "warn_threshold": None,
        "low": None,
        "high": None,
        "events": 100,
        "labeled": 0,
        "verdict": verdict,
        "reason": f"{verdict} at {end}",
    }
    return Measurement(**{**fields, **changes})


def course(letters: str, start: datetime = START, **changes: Any) -> list[Measurement]:
    """Return one measurement an hour, see `slo.samples.verdicts`; capitals are provisional."""
    pairs = zip(letters, verdicts(letters), strict=True)
    return [
        measured(start + (n + 1) * HOUR, verdict, **{"is_final": letter.islower(), **changes})
        for n, (letter, verdict) in enumerate(pairs)
    ]


def store(project: Project, rows: Sequence[Measurement], start: datetime, end: datetime) -> None:
    """Put the rows in the place of those with window ends in (start, end], as measuring does."""
    with project.store.write() as session:
        measurements.replace(session, SLO, rows, start=start, end=end)
        slo_days.recount(session, SLO, start=start, end=end)
        evaluations.put(session, SLO, {row.window_end: "d" for row in rows}, at=end)
        unfolded_days.mark(session, SLO, {day_of(at) for at in window_ends(start, end, HOUR)})


def hours(project: Project, letters: str, start: datetime = START) -> None:
    """Put one measurement of everything an hour into the store."""
    store(project, course(letters, start), start, start + len(letters) * HOUR)


def complete_up_to(project: Project, at: datetime) -> None:
    """Say that the source is complete up to this instant."""
    with project.store.write() as session:
        watermarks.put(session, Watermark("serving", at, at))
