"""Survey the traffic of each slice over the last days: volume by the hour, scores, labels, clamping, latency."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.engine.facts import PANE_US
from calslo_dagster.engine.series import SnapshotSeries
from calslo_dagster.pipeline.context import expected_manifests
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.slo.model import EVERYTHING, Manifest
from calslo_dagster.slo.traffic import PANES_PER_DAY, Alpha, Share, Traffic, bucket_of
from calslo_dagster.slo.windows import DAY, Window, day_span
from calslo_dagster.stats.scores import labeled_size
from calslo_dagster.stats.snapshot import TOTAL_SUMS, Snapshot
from calslo_dagster.stats.synthetic import Cells
from calslo_dagster.store import manifests, watermarks

Floats = NDArray[np.float64]

# Two weeks, so that every weekday counts alike.
DAYS: Final = 14
# Running sums of a week take about 50 MB for a slice that uses every bin.
_AT_ONCE: Final = 7
_LABELED, _EVENTS = TOTAL_SUMS.index("n_lab"), TOTAL_SUMS.index("n")


@dataclass(slots=True)
class _Course:
    """What was seen of one slice: sums per pane of the day, all sums, and the first day with events."""

    first: datetime
    labeled: Floats = field(default_factory=lambda: np.zeros(PANES_PER_DAY))
    events: Floats = field(default_factory=lambda: np.zeros(PANES_PER_DAY))
    whole: Snapshot = field(default_factory=Snapshot)

    def add(self, series: SnapshotSeries) -> None:
        counts = np.diff(series.totals[:, [_LABELED, _EVENTS]], axis=0).reshape(-1, PANES_PER_DAY, 2).sum(axis=0)
        self.labeled += counts[:, 0]
        self.events += counts[:, 1]
        self.whole = self.whole + series.whole()


def survey_traffic(project: Project, *, days: int = DAYS) -> list[Traffic]:
    """Return the traffic of every slice with events in the whole days before that of the newest event.

    As far back as panes are kept. The means are over the days since the slice was first seen; a day whose labels have
    not come yet counts as it is.
    """
    with project.store.read() as session:
        seen = [one.last_event for one in watermarks.every(session) if one.source in project.source_names]
        fitted = {(one.version, one.slice): one for one in manifests.every(session)}
    newest = max((instant for instant in seen if instant), default=None)
    if newest is None:
        return []
    end = day_span(newest.date()).start
    courses = dict[str, _Course]()
    with project.engine() as connection:
        for back in range(days, 0, -_AT_ONCE):
            span = Window(end - back * DAY, end - max(0, back - _AT_ONCE) * DAY)
            snapshots = snapshots_over(project, connection, span)
            if snapshots.width_us(span) > PANE_US:
                continue
            for name, series in snapshots.series():
                if series.events.any():
                    courses.setdefault(name, _Course(_first_day(series, span))).add(series)
    return [_traffic(project, fitted, name, (course, (end - course.first) // DAY)) for name, course in courses.items()]


def _first_day(series: SnapshotSeries, span: Window) -> datetime:
    first = int(np.flatnonzero(series.events)[0])
    return span.start + first // PANES_PER_DAY * DAY


def _traffic(
    project: Project, fitted: Mapping[tuple[str, str], Manifest], name: str, seen: tuple[_Course, int]
) -> Traffic:
    course, days = seen
    whole, limit = course.whole, float(project.settings.latency_limit_us)
    labeled, expected = whole.labeled, expected_manifests(fitted, whole, name)
    size = labeled_size(whole) / labeled if labeled else 1.0
    models = {one.model for one in expected.values()} or project.models
    return Traffic(
        name=name,
        labeled=course.labeled * size / days,
        events=course.events / days,
        cells=Cells.of_snapshot(whole),
        clamped=_share(whole, "n_clamp_known", "n_clamped"),
        slow=_share(whole, "n_latency", "n_slow"),
        alpha=_alpha(whole),
        latency=_fast(whole, limit),
        limit_us=limit,
        versions=whole.versions,
        expected=expected,
        model=next(iter(models)) if len(models) == 1 else EVERYTHING,
    )


def _share(whole: Snapshot, known: str, true: str) -> Share:
    count = whole.count(known)
    return Share(min(1.0, count / whole.events), whole.count(true) / count) if count else Share()


def _alpha(whole: Snapshot) -> Alpha:
    count = whole.count("n_alpha")
    if not count:
        return Alpha()
    mean = whole.total("alpha") / count
    return Alpha(min(1.0, count / whole.events), mean, max(whole.total("alpha2") / count - mean * mean, 0.0) ** 0.5)


def _fast(whole: Snapshot, limit_us: float) -> Floats:
    """Return the shares of the latency buckets below the limit, shape (1200,)."""
    fast = whole.latency[: bucket_of(limit_us)].astype(np.float64)
    shares = np.zeros(len(whole.latency))
    shares[: len(fast)] = fast / max(fast.sum(), 1.0)
    return shares
