"""Find the causes of breaches from what is stored, and keep them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

import numpy as np
from duckdb import DuckDBPyConnection
from numpy.typing import NDArray

from calslo_dagster.engine.courses import Courses
from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.engine.read import SliceKey
from calslo_dagster.errors import CalsloError
from calslo_dagster.pipeline.context import expected_of, step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import Snapshots, snapshots_over
from calslo_dagster.pipeline.weigh_evidence import is_weighed
from calslo_dagster.slo.causes import Case, Cause, Pace, Pair
from calslo_dagster.slo.model import SLO, Cadence, Manifest
from calslo_dagster.slo.slices import slice_name
from calslo_dagster.slo.suspects import find_causes
from calslo_dagster.slo.windows import DAY, EPOCH, WEEK, Window, baseline_of
from calslo_dagster.sources.base import micros
from calslo_dagster.stats.anomalies import count_course
from calslo_dagster.stats.counterfactual import repeated
from calslo_dagster.stats.snapshot import BAD_REASONS, Snapshot, merge
from calslo_dagster.store import breach_causes, breaches, manifests
from calslo_dagster.store.breaches import Breach

HOUR: Final = timedelta(hours=1)
# A run explains the worst ones; what is left over comes next, so that a day on which all breaks costs no minute.
MOST_AT_ONCE: Final = 8
# Where nobody waits for the minute.
MOST_IN_HISTORY: Final = 200
# Short windows are compared with the same time of so many days before.
MOST_DAYS: Final = 4
# Snapshots of single slices that are held at a time, some 70 kB each.
MOST_HELD: Final = 4_000
# How far back a change of version, and the usual traffic, are looked for.
LOOK_BACK: Final = 14 * DAY
RECENT: Final = 28 * DAY
MOST_PARTS: Final = 200
LEAST_RISE: Final = 0.05
# Hours on both sides of an instant over which the share of a version is compared.
RISE_HOURS: Final = 6
LEAST_RISE_EVENTS: Final = 30
_UNUSUAL: Final = 4.0
_STEP: Final = 1.25
_ROWS: Final = ("n", *BAD_REASONS)

Slices = Mapping[str, Snapshot]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Explained:
    """A breach with its causes, the first one first."""

    breach: Breach
    causes: tuple[Cause, ...]


def explain_breaches(project: Project, *, now: datetime, most: int = MOST_AT_ONCE) -> int:
    """Explain what has changed among the breaches of the last weeks; return how many still wait for it.

    At most so many in one go, those that go on first and the worst of them first; safe to run twice. Older ones stay as
    they are explained: their snapshots are being rolled up.
    """
    with project.store.read() as session:
        found = breaches.between(session, start=now - RECENT, end=now + DAY)
        known = breach_causes.bases(session, [one.id for one in found])
    due = [one for one in found if one.slo in project.registry and known.get(one.id) != basis_of(one)]
    worst = sorted(due, key=lambda one: (not one.is_open, -one.peak_excess, one.onset, one.id))[:most]
    if worst:
        with project.engine() as connection:
            examiner = _Examiner.of(project, connection)
            causes = {one.id: find_causes(examiner.case(one)) for one in _by_window(worst)}
        with project.store.write() as session:
            for one in worst:
                breach_causes.replace(session, one.id, causes[one.id], basis=basis_of(one), at=now)
    return len(due) - len(worst)


def first_causes(project: Project, found: Iterable[Breach]) -> Mapping[str, Cause]:
    """Return the first cause of each of these breaches that has been explained, by the id of the breach."""
    with project.store.read() as session:
        return breach_causes.first(session, [one.id for one in found])


def breach_named(project: Project, name: str, slice_name: str | None) -> Breach:
    """Return the breach whose id begins so, or the newest one of the SLO of that name, and of the slice if given."""
    with project.store.read() as session:
        if name in project.registry:
            found = breaches.newest(session, name, slice_name)
            if found is None:
                where = f" of {slice_name}" if slice_name else ""
                raise CalsloError(f"{name}{where} was never breached; `calslo slos` lists how each stands")
            return found
        known = breaches.beginning_with(session, name)
    if len(known) == 1:
        return known[0]
    if known:
        raise CalsloError(f"{len(known)} breaches have an id that begins with {name!r}; write more of it")
    raise CalsloError(f"{name!r} is no SLO and no breach has such an id; `calslo slos` lists the names")


def explain_breach(project: Project, breach: Breach, *, now: datetime) -> Explained:
    """Explain one breach anew, whatever is known of it, and keep that."""
    with project.engine() as connection:
        causes = find_causes(_Examiner.of(project, connection).case(breach))
    with project.store.write() as session:
        breach_causes.replace(session, breach.id, causes, basis=basis_of(breach), at=now)
    return Explained(breach, causes)


def basis_of(breach: Breach) -> str:
    """Return what identifies all of a breach that its causes rest on: when it began, and its worst window.

    While it goes on it gets worse from minute to minute; it is explained again when its excess is a quarter larger.
    """
    worst = (breach.peak_at, breach.peak_value)
    growing = int(math.log1p(max(0.0, breach.peak_excess)) / math.log(_STEP))
    return sha256(repr((breach.onset, growing if breach.is_open else worst)).encode()).hexdigest()


def _by_window(found: Iterable[Breach]) -> list[Breach]:
    """Return the breaches so that those of the same windows come one after the other, which read them once."""
    return sorted(found, key=lambda one: (one.slo, one.peak_at or one.onset, one.onset, one.slice))


@dataclass(frozen=True, slots=True)
class _Scene:
    """When a breach was, by the clock of the events: evidence looks at what has matured, over a day at least."""

    onset: datetime
    window: Window

    @classmethod
    def of(cls, project: Project, slo: SLO, breach: Breach) -> "_Scene":
        weighed = is_weighed(slo)
        lag = project.settings.label_maturity if weighed and "label" in slo.needs else timedelta(0)
        end = (breach.peak_at or breach.opened_at) - lag
        return cls(breach.onset - lag, Window(end - (max(DAY, slo.window) if weighed else slo.window), end))


@dataclass(frozen=True, slots=True)
class _Examiner:
    project: Project
    connection: DuckDBPyConnection
    manifests: Mapping[tuple[str, str], Manifest]
    read: dict[tuple[Window, str | None], Slices]

    @classmethod
    def of(cls, project: Project, connection: DuckDBPyConnection) -> "_Examiner":
        with project.store.read() as session:
            fitted = {(manifest.version, manifest.slice): manifest for manifest in manifests.every(session)}
        return cls(project, connection, fitted, {})

    def case(self, breach: Breach) -> Case:
        """Return the facts around the breach."""
        slo = self.project.registry.find(breach.slo)
        scene = _Scene.of(self.project, slo, breach)
        window = scene.window
        before, repeats = self._well_before(slo, breach, scene)
        now = {name: repeated(one, repeats) for name, one in self._slices(window).items()}
        then = self._merged(before, None)
        pairs = {name: Pair(now.get(name, Snapshot()), then.get(name, Snapshot())) for name in {*now, *then}}
        whole = pairs.get(breach.slice, Pair(Snapshot(), Snapshot()))
        key = self.project.slice_keys.get(breach.slice)
        return Case(
            slo=slo,
            slice=breach.slice,
            onset=scene.onset,
            step=step_of(self.project, slo),
            limit=_limit(breach),
            whole=whole,
            parts=self._parts(key, pairs) if key else {},
            siblings={name: pair for name, pair in pairs.items() if name != breach.slice and self._is_leaf(name)},
            versions=self._versions(breach.slice, window, before, whole, repeats=repeats),
            arrivals=self._arrivals(key, scene) if key else {},
            manifests=expected_of(self.manifests, {version for version, _ in self.manifests}, breach.slice),
            is_weekly=slo.cadence is Cadence.WEEKLY,
            repeats=repeats,
            pace=self._pace(key, scene) if key else None,
        )

    def _well_before(self, slo: SLO, breach: Breach, scene: _Scene) -> tuple[list[Window], int]:
        """Return windows when all was well, at the same time of day, and how often the worst window weighs as much.

        Windows of a day and more end before the trouble can have begun, a window before the onset; of shorter ones the
        same time of up to four days before, without those in which this slice was breached.
        """
        window = scene.window
        if slo.cadence is Cadence.WEEKLY:
            return [baseline_of(window)], 1
        if window.length >= DAY:
            return [self._day_before(breach.slice, scene)], 1
        with self.project.store.read() as session:
            span = Window(window.start - 2 * WEEK, window.end)
            bad = [
                Window(one.onset, one.recovered_at or window.end)
                for one in breaches.between(session, start=span.start, end=span.end, slo=slo.name)
                if one.slice == breach.slice
            ]
        bad = [one for one in bad if one.start < one.end]
        before_onset = _days(window.end - scene.onset)
        earlier = [Window(window.start - k * DAY, window.end - k * DAY) for k in range(before_onset, before_onset + 14)]
        well = [one for one in earlier if not any(one.overlaps(b) for b in bad)]
        known = [one for one in well[:MOST_DAYS] if breach.slice in self._slices(one)]
        return known, 1 if slo.unit == "events" else max(1, len(known))

    def _day_before(self, name: str, scene: _Scene) -> Window:
        """Return a window of a day or more that ended a window before the onset, or if there is none, at the onset."""
        window, since = scene.window, scene.window.end - scene.onset
        shifts = (_days(since + window.length), _days(since))
        earlier = [Window(window.start - k * DAY, window.end - k * DAY) for k in shifts]
        return next((one for one in earlier if name in self._slices(one)), earlier[0])

    def _slices(self, window: Window, version: str | None = None) -> Slices:
        if (window, version) not in self.read:
            snapshots = self._snapshots(window)
            # What was rolled up to hours or days no longer holds windows of a quarter of an hour.
            width = timedelta(microseconds=snapshots.width_us(window))
            is_held = not ((window.start - EPOCH) % width or (window.end - EPOCH) % width)
            self.read[window, version] = snapshots.window(window, version=version) if is_held else {}
            found = self.read[window, version]
            while sum(map(len, self.read.values())) > MOST_HELD and len(self.read) > 1:
                self.read.pop(next(iter(self.read)))
            return found
        return self.read[window, version]

    def _snapshots(self, window: Window) -> Snapshots:
        return snapshots_over(self.project, self.connection, window)

    def _merged(self, windows: Sequence[Window], version: str | None) -> Slices:
        found = [self._slices(window, version) for window in windows]
        if len(found) == 1:
            return found[0]
        names = {name for one in found for name in one}
        return {name: merge([one[name] for one in found if name in one]) for name in names}

    def _is_leaf(self, name: str) -> bool:
        return self.project.slice_keys[name][0] == self._leaf_view

    @property
    def _leaf_view(self) -> tuple[str, ...]:
        return max(self.project.views, key=len)

    def _parts(self, key: SliceKey, pairs: Mapping[str, Pair]) -> dict[str, Pair]:
        """Return the finest slices within the slice, the largest ones, and all that share one more value."""
        own = dict(zip(*key, strict=True))
        leaves = []
        for name, pair in pairs.items():
            view, values = self.project.slice_keys[name]
            cells = dict(zip(view, values, strict=True))
            if view == self._leaf_view != key[0] and all(cells.get(c) == v for c, v in own.items()):
                leaves.append((name, cells, pair))
        groups: dict[str, list[Pair]] = {}
        for _, cells, pair in leaves:
            for column in (column for column in self._leaf_view if column not in own):
                fixed = {**own, column: cells[column]}
                ordered = [c for c in self._leaf_view if c in fixed]
                groups.setdefault(slice_name(ordered, [fixed[c] for c in ordered]), []).append(pair)
        largest = sorted(leaves, key=lambda one: -one[2].rows)[:MOST_PARTS]
        wide = {
            name: Pair(merge(one.current for one in found), merge(one.baseline for one in found))
            for name, found in groups.items()
            if len(found) > 1
        }
        return {name: pair for name, _, pair in largest} | wide

    def _versions(
        self, name: str, window: Window, before: Sequence[Window], whole: Pair, *, repeats: int
    ) -> dict[str, Pair]:
        """Return the slice by calibrator version, each in the worst window and before; not those without a name."""
        seen = sorted({*whole.current.versions, *whole.baseline.versions} - {""})
        return {
            version: Pair(
                _of_one(whole.current, version)
                or repeated(self._slices(window, version).get(name, Snapshot()), repeats),
                _of_one(whole.baseline, version) or self._merged(before, version).get(name, Snapshot()),
            )
            for version in seen
        }

    def _courses(self, span: Window) -> Courses | None:
        """Return the hours of the span, none where it was rolled up to days."""
        snapshots = self._snapshots(span)
        if snapshots.width_us(span) > HOUR_US:
            return None
        return Courses(self.connection, snapshots.folders, micros(span.start), micros(span.end))

    def _arrivals(self, key: SliceKey, scene: _Scene) -> dict[str, tuple[datetime, float]]:
        """Return the hour at which the share of each version rose most, and by how much."""
        span = Window(_hour(scene.onset) - 4 * DAY, _hour(max(scene.window.end, scene.onset)) + HOUR)
        courses = self._courses(span)
        if courses is None:
            return {}
        found = {version: n for (values, version), n in courses.versions(key[0]).items() if values == key[1]}
        total = np.sum(list(found.values()), axis=0) if found else np.zeros(courses.hours, dtype=np.int64)
        risen = {}
        for version, events in found.items():
            hour, rise = _rise(events, total)
            if version and rise >= LEAST_RISE:
                risen[version] = (span.start + hour * HOUR, rise)
        return risen

    def _pace(self, key: SliceKey, scene: _Scene) -> Pace | None:
        """Return the most unusual hour of the breach up to its worst window, None without any."""
        window = scene.window
        span = Window(_hour(window.end) - LOOK_BACK, _hour(window.end))
        courses = self._courses(span)
        rows = courses.totals(key[0], _ROWS).get(key[1]) if courses else None
        if rows is None:
            return None
        counts = rows.sum(axis=0).astype(np.float64)
        counts[: int(np.argmax(counts > 0))] = np.nan
        course = count_course(counts, limit=_UNUSUAL)
        first = max(0, (min(_hour(scene.onset), window.start) - span.start) // HOUR)
        scores = np.nan_to_num(course.score[first:])
        if not len(scores):
            return None
        at = first + int(np.argmax(np.abs(scores)))
        return Pace(float(counts[at]), float(course.expected[at]), float(course.score[at])) if scores.any() else None


def _of_one(snapshot: Snapshot, version: str) -> Snapshot | None:
    """Return what the version has in the snapshot where that can be told without reading it apart."""
    if version not in snapshot.versions:
        return Snapshot()
    return snapshot if len(snapshot.versions) == 1 else None


def _limit(breach: Breach) -> float | None:
    """Return the limit that was missed; of a pair, the end that is nearer to the worst value."""
    limit = breach.threshold
    if isinstance(limit, tuple):
        return min(limit, key=lambda one: abs((breach.peak_value or 0.0) - one))
    return limit


def _days(length: timedelta) -> int:
    return max(1, -(-length // DAY))


def _hour(instant: datetime) -> datetime:
    return instant - (instant - EPOCH) % HOUR


def _rise(events: Ints, total: Ints) -> tuple[int, float]:
    """Return the hour before and after which the share differs most, and by how much it is larger after."""
    best = (0, 0.0)
    for hour in range(1, len(total)):
        sides = (slice(max(0, hour - RISE_HOURS), hour), slice(hour, hour + RISE_HOURS))
        before, after = (int(total[side].sum()) for side in sides)
        if min(before, after) < LEAST_RISE_EVENTS:
            continue
        rise = float(events[sides[1]].sum()) / after - float(events[sides[0]].sum()) / before
        best = max(best, (hour, rise), key=lambda one: one[1])
    return best
