"""Advance the evidence of an SLO in evidence mode over some window ends, from snapshots alone.

Detectors of all slices fire together, window by window, while snapshots come slice by slice. So each stretch is gone
through twice: once for what the detectors bet on, and, when their alarms are known, once for the windows themselves.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import numpy as np
from duckdb import DuckDBPyConnection

from calslo_dagster.engine.facts import PANE_US
from calslo_dagster.engine.series import SnapshotSeries
from calslo_dagster.pipeline.context import Context
from calslo_dagster.pipeline.read_snapshots import Snapshots, snapshots_over
from calslo_dagster.slo.exclusions import Exclusion, exclusion_of
from calslo_dagster.slo.limits import own_limits
from calslo_dagster.slo.model import SLO, Bound, Evidence, Limits, Measurement
from calslo_dagster.slo.standing import Finding, Record, Seen, follow
from calslo_dagster.slo.trials import Calibration, Rate
from calslo_dagster.slo.verdict import Judgement, excluded, recorded
from calslo_dagster.slo.watch import Fleet, Look, Rules, Shown, Watch, begin_day, tick
from calslo_dagster.slo.windows import DAY, Window
from calslo_dagster.sources.base import micros
from calslo_dagster.stats.latch import Latch
from calslo_dagster.stats.snapshot import Snapshot

# What a stretch may keep of its snapshots for the second time that it goes through them.
MOST_HELD: Final = 200 * 2**20
# So many window ends are read one by one, more at once as a series.
FEW_ENDS: Final = 2
_UNSEEN: Final = (Look(), None)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The evidence of an SLO after the window end `end`, None before the first.

    digest: what identifies all panes that it rests on.
    """

    end: datetime | None = None
    fleet: Fleet = field(default_factory=Fleet)
    records: Mapping[str, Record] = field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Ticked:
    """What a tick left of each slice, with its watch less the detectors."""

    looks: Mapping[str, tuple[Look, Watch]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive window ends of one day, with the snapshots that they and their windows need."""

    context: Context
    snapshots: Snapshots
    ends: Sequence[datetime]
    held: dict[str, SnapshotSeries] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def over(cls, context: Context, connection: DuckDBPyConnection, ends: Sequence[datetime]) -> "Stretch":
        """Return the stretch of these ends."""
        reach = Window(ends[0] - context.step - context.maturity - max(DAY, context.slo.window), ends[-1])
        return cls(context, snapshots_over(context.project, connection, reach), ends)

    @property
    def begins_day(self) -> bool:
        """Whether its first tick is the first of a day."""
        first = self.ends[0] - self.context.step
        return first.hour == first.minute == 0

    def series(self) -> Iterator[tuple[str, SnapshotSeries]]:
        """Yield every slice that the SLO covers with its snapshots, read once unless they are too many to be kept."""
        if self.held:
            yield from self.held.items()
            return
        size, kept = 0, dict[str, SnapshotSeries]()
        for name, series in self.snapshots.series():
            if not self.context.covers(name):
                continue
            size += series.cells.nbytes + series.latency.nbytes + series.totals.nbytes
            kept = {} if size > MOST_HELD else kept
            if size <= MOST_HELD:
                kept[name] = series
            yield name, series
        self.held.update(kept)

    def pane(self, end: datetime) -> Window:
        """Return what has matured between the tick before `end` and that at `end`."""
        matured = end - self.context.maturity
        return Window(matured - self.context.step, matured)

    def window(self, end: datetime) -> Window:
        """Return the matured window that is judged at `end`: a day at least, for detectors see what is sudden."""
        matured = end - self.context.maturity
        return Window(matured - max(DAY, self.context.slo.window), matured)


def advance_watches(
    stretch: Stretch, course: Course, *, alarmed_only: bool = False
) -> tuple[Course, list[Measurement]]:
    """Return the evidence after the stretch, which follows on the course, and the measurements of its window ends.

    alarmed_only: of slices with an alarm that counts, which is all that breaches take.
    """
    context = stretch.context
    # With another maturity or step a pane would be bet on twice, or never.
    terms = f"{context.provenance.definition_hash} {context.maturity} {context.step}"
    fleet = _of_definition(course.fleet, terms)
    if stretch.begins_day or course.end is None:
        fleet = _begun(stretch, fleet)
    if not isinstance(context.slo.trial, (Calibration, Rate)):
        sharers = [max(fleet.slices, awake) for awake in _awake(stretch)]
        rows = [row for name, parts in _parts(stretch) for row in _intervals(stretch, name, parts, sharers)]
        return Course(stretch.ends[-1], fleet, {}, course.digest), rows
    ticks: list[Ticked] = []
    for end, shown in zip(stretch.ends, _shown(stretch), strict=True):
        fleet, looks = tick(Rules(context.slo, context.step), fleet, end, shown)
        # Of the watches only what a standing needs is kept, for they are large.
        ticks.append(Ticked({name: (look, _light(fleet.watches[name])) for name, look in looks.items()}))
    records, rows = dict(course.records), list[Measurement]()
    alarmed = _alarmed(ticks, records) if alarmed_only else None
    for name, parts in _parts(stretch) if alarmed is None or alarmed else ():
        if alarmed is not None and name not in alarmed:
            continue
        seen = ((ticked.looks.get(name, _UNSEEN), part) for ticked, part in zip(ticks, parts, strict=True))
        records[name], found = _followed(stretch, name, records.get(name, Record()), seen)
        rows += found
    kept = {name: record for name, record in records.items() if name in fleet.watches}
    return Course(stretch.ends[-1], fleet, kept, course.digest), rows


def _alarmed(ticks: Iterable[Ticked], records: Mapping[str, Record]) -> set[str]:
    """Return the slices with an alarm in these ticks, or before them with one that still counts."""
    fired = {name for one in ticks for name, (look, _) in one.looks.items() if look.alarms.breach or look.alarms.change}
    return fired | {name for name, record in records.items() if record.latch != Latch()}


def _of_definition(fleet: Fleet, definition: str) -> Fleet:
    """Return the fleet; without its evidence if that is about another definition of the promise."""
    if fleet.definition == definition:
        return fleet
    kept = {name: replace(watch, breach=None, change=None) for name, watch in fleet.watches.items()}
    return replace(fleet, watches=kept, definition=definition)


def _begun(stretch: Stretch, fleet: Fleet) -> Fleet:
    context, before = stretch.context, stretch.ends[0] - stretch.context.step - stretch.context.maturity
    trailing = {
        name: day
        for name, day in stretch.snapshots.window(Window(before - DAY, before)).items()
        if context.covers(name)
    }
    return begin_day(context.slo, fleet, trailing)


def _light(watch: Watch) -> Watch:
    return replace(watch, breach=None, change=None)


def _shown(stretch: Stretch) -> list[dict[str, Shown]]:
    """Return what each tick shows of each slice that has events in its pane."""
    out: list[dict[str, Shown]] = [{} for _ in stretch.ends]
    for name, panes in _panes(stretch):
        for place, pane in enumerate(panes):
            if pane.events and not _exclusion(stretch, name, pane, stretch.pane(stretch.ends[place])):
                out[place][name] = _one(stretch.context, name, pane)
    return out


def _one(context: Context, name: str, pane: Snapshot) -> Shown:
    limit, warn = own_limits(context.slo, name, context.model_seen(name, pane))
    return Shown.of(context.slo, pane, limit, warn=warn)


def _exclusion(stretch: Stretch, name: str, shown: Snapshot, window: Window) -> Exclusion | None:
    context = stretch.context
    model = context.model_seen(name, shown)
    return exclusion_of(context.exclusions, window, slo=context.slo.name, slice_name=name, model=model)


def _panes(stretch: Stretch) -> Iterator[tuple[str, list[Snapshot]]]:
    """Yield each slice with the panes of the ticks, one by one."""
    spans = [stretch.pane(end) for end in stretch.ends]
    if _reads_windows(stretch):
        found = [stretch.snapshots.window(span) for span in spans]
        for name in sorted({name for one in found for name in one if stretch.context.covers(name)}):
            yield name, [one.get(name, Snapshot()) for one in found]
        return
    for name, series in stretch.series():
        yield name, [_cut(series, span) for span in spans]


def _reads_windows(stretch: Stretch) -> bool:
    return len(stretch.ends) <= FEW_ENDS or stretch.snapshots.width_us(stretch.snapshots.span) > PANE_US


@dataclass(frozen=True, slots=True)
class Part:
    """What one slice shows at a tick: what matured, the matured window, and whether it has had a row within a day."""

    pane: Snapshot
    window: Snapshot
    is_awake: bool


def _parts(stretch: Stretch) -> Iterator[tuple[str, Iterator[Part]]]:
    """Yield each slice that has rows, with its part at each tick."""
    if _reads_windows(stretch):
        yield from _read_parts(stretch)
        return
    for name, series in stretch.series():
        yield name, _cut_parts(stretch, series)


def _cut_parts(stretch: Stretch, series: SnapshotSeries) -> Iterator[Part]:
    for end in stretch.ends:
        yield Part(_cut(series, stretch.pane(end)), _cut(series, stretch.window(end)), _has_rows(series, end))


def _has_rows(series: SnapshotSeries, end: datetime) -> bool:
    first, last = (series.panes.at(micros(edge)) for edge in (end - DAY, end))
    return bool(series.rows[first:last].any())


def _awake(stretch: Stretch) -> list[int]:
    """Return how many slices have had a row within a day of each tick."""
    if _reads_windows(stretch):
        return [sum(map(stretch.context.covers, _seen(stretch, end))) for end in stretch.ends]
    awake = np.array([[_has_rows(series, end) for end in stretch.ends] for _, series in stretch.series()], dtype=bool)
    return list(map(int, awake.sum(axis=0)))


def _read_parts(stretch: Stretch) -> Iterator[tuple[str, Iterator[Part]]]:
    snapshots = stretch.snapshots
    found = [
        (snapshots.window(stretch.pane(end)), snapshots.window(stretch.window(end)), _seen(stretch, end))
        for end in stretch.ends
    ]
    names = {name for panes, windows, awake in found for name in (*panes, *windows, *awake)}
    for name in sorted(filter(stretch.context.covers, names)):
        yield (
            name,
            iter([Part(p.get(name, Snapshot()), w.get(name, Snapshot()), name in awake) for p, w, awake in found]),
        )


def _seen(stretch: Stretch, end: datetime) -> set[str]:
    return stretch.snapshots.seen(Window(end - DAY, end))


def _cut(series: SnapshotSeries, window: Window) -> Snapshot:
    return series.window(micros(window.start), micros(window.end))


def _followed(
    stretch: Stretch, name: str, record: Record, seen: Iterable[tuple[tuple[Look, Watch | None], Part]]
) -> tuple[Record, list[Measurement]]:
    """Return the record of a slice after the stretch, and its measurements."""
    rows = list[Measurement]()
    for end, ((look, watch), part) in zip(stretch.ends, seen, strict=True):
        # What is excluded may be broken in a way of its own, and must not speak for or against the end of a breach.
        pane = Snapshot() if _exclusion(stretch, name, part.pane, stretch.pane(end)) else part.pane
        length, step = stretch.window(end).length, stretch.context.step
        record, found = follow(stretch.context.slo, record, Seen(end, watch, look, part.window, pane, length, step))
        if part.is_awake:
            rows.append(_measurement(stretch, _Tick(name, end, look), part, found))
    return record, rows


def _intervals(stretch: Stretch, name: str, parts: Iterable[Part], sharers: Sequence[int]) -> list[Measurement]:
    """Return the measurements of a slice by an SLO whose estimates speak for themselves.

    sharers: how many slices share the false alarms at each tick.
    """
    context = stretch.context
    return [
        context.measured(name, Window(stretch.window(end).start, end), part.window, slices=slices)
        for end, part, slices in zip(stretch.ends, parts, sharers, strict=True)
        if part.is_awake
    ]


@dataclass(frozen=True, slots=True)
class _Tick:
    slice: str
    end: datetime
    look: Look


def _measurement(stretch: Stretch, at: _Tick, part: Part, found: Finding) -> Measurement:
    context, shown = stretch.context, _displayed(stretch.context.slo, found)
    window = Window(min(found.begins or at.end, at.end - context.step), at.end)
    kept_out = _exclusion(stretch, at.slice, part.window, window)
    judged = excluded(kept_out, Limits(None)) if kept_out else Judgement(found.verdict, found.reason)
    return Measurement(
        slo=context.slo.name,
        slice=at.slice,
        model=context.model_seen(at.slice, part.window),
        window_start=window.start,
        window_end=at.end,
        value=shown.value,
        threshold=shown.limit,
        warn_threshold=context.slo.objective.warn if isinstance(context.slo.trial, Rate) else None,
        low=shown.low,
        high=shown.high,
        events=shown.events,
        # What an SLO does not look at may come later without its measurements being taken again.
        labeled=found.basis.labeled if "label" in context.slo.needs else 0,
        verdict=judged.verdict,
        reason=judged.reason,
        mode=context.slo.mode,
        debiased=shown.debiased,
        bins=found.reading.bins if found.reading else None,
        e_value=at.look.e_value,
        evidence=at.look.evidence,
        detectable=found.detectable,
        needed=found.needed,
        **recorded(context.provenance_at(at.end)),
    )


@dataclass(frozen=True, slots=True)
class _Displayed:
    value: float | None
    low: float | None
    high: float | None
    debiased: float | None
    events: int
    limit: Bound


def _displayed(slo: SLO, found: Finding) -> _Displayed:
    """Return the numbers of the window in the unit of the SLO, where the evidence is about a rate behind its value."""
    if isinstance(slo.trial, Rate) and slo.trial.limit is not None:
        estimate = slo.sli(Evidence(found.basis))
        return _Displayed(
            estimate.value, estimate.low, estimate.high, estimate.value, estimate.events, slo.objective.limit
        )
    reading = found.reading
    if reading is None:
        return _Displayed(None, None, None, None, 0, found.limit)
    return _Displayed(reading.value, reading.low, reading.high, reading.debiased, reading.events, found.limit)
