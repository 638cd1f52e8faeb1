"""Measure files directly: no orchestrator, no state, the same snapshots and the same SLOs."""

import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol, TypeVar

import duckdb
import numpy as np

from calslo_dagster.engine.aggregate import aggregate
from calslo_dagster.engine.connect import EngineSettings, connect
from calslo_dagster.engine.cube import SliceValues, open_tables, slices
from calslo_dagster.engine.facts import PANE_US
from calslo_dagster.engine.series import Panes, SliceRows, SnapshotSeries
from calslo_dagster.engine.spec import RESERVED_NAMES, AggregateSpec
from calslo_dagster.errors import CalsloError, SourceError
from calslo_dagster.slo.model import EVERYTHING, SLO, Cadence, Evidence, Manifest, Measurement, Verdict
from calslo_dagster.slo.slices import matches, slice_name
from calslo_dagster.slo.verdict import Provenance, measure
from calslo_dagster.slo.windows import DAY, EPOCH, WEEK, Window, baseline_of, week_of, window_ends
from calslo_dagster.sources.base import AHEAD, EVENT_COLUMNS, FileFormat, Intake, SourceSpec, Unit, micros
from calslo_dagster.sources.canonical import roles_of
from calslo_dagster.sources.complaints import copied
from calslo_dagster.sources.contents import without_copies
from calslo_dagster.sources.files import FileSource
from calslo_dagster.sources.formats import all_columns, json_keys, shape_of
from calslo_dagster.stats.snapshot import BAD_REASONS, CELL_SUMS, TOTAL_SUMS, Snapshot
from calslo_dagster.stats.summary import metrics

_Item = TypeVar("_Item")
PANE: Final = timedelta(microseconds=PANE_US)
# Names that facts and the canonical relation use themselves.
_TAKEN: Final = frozenset({*RESERVED_NAMES, *EVENT_COLUMNS, "event_time"})
# Running sums over so many panes take about 50 MB for a slice that uses every bin.
_MOST_PANES: Final = 768


class Progress(Protocol):
    """Passes items on, and may show how far their consumer has come."""

    def __call__(self, items: Iterable[_Item], unit: str) -> Iterable[_Item]:
        """Return the items, each of which is one `unit` of work."""
        ...


def unwatched(items: Iterable[_Item], unit: str) -> Iterable[_Item]:
    """Return the items and show nothing."""
    return items


@dataclass(frozen=True, slots=True)
class Request:
    """What to measure.

    source: the files and how they are read; slices: the user's column for each slice name; columns: those that at least
    one file must have, because somebody named them; window: None for everything at once, else the length of the windows
    that are measured one after the other.
    """

    source: SourceSpec
    slos: tuple[SLO, ...]
    slices: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    columns: tuple[str, ...] = ()
    window: timedelta | None = None
    manifests: tuple[Manifest, ...] = ()
    aggregate: AggregateSpec = field(default_factory=AggregateSpec)
    engine: EngineSettings = field(default_factory=EngineSettings)
    code_version: str = ""

    def __post_init__(self) -> None:
        """Refuse slices that could not be told apart, or not be named."""
        lower = [name.lower() for name in self.slices]
        if twice := [name for name in self.slices if lower.count(name.lower()) > 1]:
            raise ValueError(f"slice columns {' and '.join(twice)} differ in upper and lower case only")
        for name in self.slices:
            slice_name([name], [None])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured; `errors` name the files that could not be read, whose rows are in none of the numbers.

    `copies` name the files that hold the same as another one, whose rows are duplicates.
    Every row of the other files is an event of `*` or counted in `rejected`, by reason.
    """

    measurements: tuple[Measurement, ...]
    metrics: Mapping[str, Mapping[str, float | None]]
    rejected: Mapping[str, int]
    errors: tuple[str, ...]
    rows: int
    whole: Window | None
    copies: tuple[str, ...] = ()


def evaluate_files(request: Request, *, now: datetime, progress: Progress = unwatched) -> Evaluation:
    """Return the measurements of every slice over every window of the log.

    A slice without a row in a window, nor in the day before its end, is not measured there. Raises SourceError when no
    file can be read; when only some can, those are measured.
    """
    parent = request.engine.temp_directory
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="calslo-", dir=parent) as folder:
        try:
            with connect(replace(request.engine, temp_directory=Path(folder, "spill"))) as connection:
                log = _Log(connection, Path(folder, "facts"), request, now)
                return _evaluated(log, log.read(progress), progress)
        except duckdb.OutOfMemoryException as error:
            raise CalsloError(
                f"{request.engine.memory_limit} of memory are too little ({_first_line(error)}); raise "
                "engine.memory_limit in calslo.yaml, or measure fewer slices"
            ) from error


class _Log:
    """The files, read once into the facts of one folder."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path, request: Request, now: datetime) -> None:
        self.request = request
        self._connection = connection
        self._folder = folder
        self._now = now
        # A slice may be called like a column of ours, `version` say, so inside it goes by another name.
        self._inner = tuple(_free(name) for name in request.slices)
        self._source = FileSource(
            replace(
                request.source,
                slice_columns=dict(zip(self._inner, request.slices.values(), strict=True)),
                latest=request.source.latest or now + AHEAD,
            )
        )

    def read(self, progress: Progress) -> list[Intake]:
        """Check every file, and add up those that can be read."""
        units = self._source.units()
        if not units:
            raise SourceError(f"no file matches {', '.join(self._source.spec.paths)}; name a file, a folder or a glob")
        intakes = list[Intake]()
        for unit in progress([*units, None], "step"):
            if unit is None:
                intakes = without_copies(intakes)
                self._require_columns(intakes)
                intakes = self._add_up(intakes)
            else:
                intakes.append(self._source.intake(self._connection, unit, self._now))
        return intakes

    def _require_columns(self, intakes: Sequence[Intake]) -> None:
        """Refuse a column that was named but that no file has: a slip of the keyboard, not a log without values."""
        readable = _readable(intakes)
        used = {name for intake in readable for name in intake.columns}
        filled = {role.column for role in roles_of(self._source.spec) if role.name in used}
        doubtful = [name for name in (*self.request.slices.values(), *self.request.columns) if name not in filled]
        if not doubtful:
            return
        found = dict.fromkeys(name for intake in readable for name in self._columns_of(intake.unit))
        absent = [name for name in doubtful if found and name not in found]
        if absent:
            near = get_close_matches(absent[0], found, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise SourceError(f"no file has a column {absent[0]!r}; {hint}columns found: {', '.join(found)}")

    def _columns_of(self, unit: Unit) -> list[str]:
        spec, wanted = self._source.spec, [role.column for role in roles_of(self._source.spec)]
        shape = shape_of(self._connection, unit, wanted, hive=spec.hive, delimiter=spec.delimiter)
        if shape.format is FileFormat.JSONL and not shape.is_empty:
            return [*json_keys(self._connection, unit), *shape.hive]
        return all_columns(self._connection, unit, shape)

    def _add_up(self, intakes: list[Intake]) -> list[Intake]:
        """Write the facts; a file that vanishes or changes after its check becomes an error like any other."""
        while True:
            units = [intake.unit for intake in _readable(intakes) if not intake.copy_of]
            spec = replace(self.request.aggregate, slice_columns=self._inner)
            try:
                relation = self._source.relation(self._connection, units)
                aggregate(self._connection, relation, spec, None, out=self._folder)
            except duckdb.OutOfMemoryException:
                raise
            except (duckdb.Error, OSError, SourceError) as error:
                again = [i if i.error else self._source.intake(self._connection, i.unit, self._now) for i in intakes]
                if all(i.error or not j.error for i, j in zip(intakes, again, strict=True)):
                    raise CalsloError(f"the rows cannot be added up: {_first_line(error)}") from error
                intakes = without_copies(again)
            else:
                return intakes

    def series(self, panes: Panes) -> Iterator[tuple[str, SnapshotSeries]]:
        """Yield every slice that has rows within the panes, one in memory at a time; everything is always the first."""
        tables = open_tables(self._connection, [self._folder])
        everything = [series for _, series in slices(self._connection, tables, (), panes)]
        yield EVERYTHING, everything[0] if everything else _no_rows(panes)
        if self._inner:
            for values, series in slices(self._connection, tables, self._inner, panes):
                yield self._name(values), series

    def _name(self, values: SliceValues) -> str:
        return slice_name(tuple(self.request.slices), values)


def _free(name: str) -> str:
    while name.lower() in _TAKEN:
        name += "_"
    return name


def _readable(intakes: Sequence[Intake]) -> list[Intake]:
    readable = [intake for intake in intakes if not intake.error]
    if not readable:
        raise SourceError("\n".join(intake.error for intake in intakes if intake.error))
    return readable


def _no_rows(panes: Panes) -> SnapshotSeries:
    widths = (len(TOTAL_SUMS), len(CELL_SUMS), 1, 1, 1)
    rows = SliceRows(*(np.empty((0, 2 + width), dtype=np.int64) for width in widths))
    return SnapshotSeries.of(rows, panes, mask_names=(), version_names=())


def _evaluated(log: _Log, intakes: Sequence[Intake], progress: Progress) -> Evaluation:
    readable = _readable(intakes)
    whole = _whole(readable)
    everything, found, measured = Snapshot(), dict[str, Mapping[str, float | None]](), list[Measurement]()
    if whole is None:
        found[EVERYTHING] = _metrics(log, everything)
    else:
        plan = _Plan(log, whole)
        for name, series in progress(log.series(plan.first_pass()), "slice"):
            snapshot = series.whole()
            everything = snapshot if name == EVERYTHING else everything
            found[name] = _metrics(log, snapshot)
            if log.request.window is None:
                measured += plan.judged(name, series, whole)
        measured += progress(plan.rest(), "measurement")
    return Evaluation(
        measurements=tuple(sorted(measured, key=lambda m: (m.slo, m.slice, m.window_end))),
        metrics=dict(sorted(found.items())),
        rejected=_rejected(everything, readable),
        errors=tuple(intake.error for intake in intakes if intake.error),
        rows=sum(intake.rows for intake in readable),
        whole=whole,
        copies=tuple(copied(str(intake.unit.path), intake.copy_of) for intake in readable if intake.copy_of),
    )


def _metrics(log: _Log, snapshot: Snapshot) -> dict[str, float | None]:
    values = metrics(snapshot, slow_us=log.request.aggregate.latency_limit_us)
    return {**values, "conflicting_labels": snapshot.count("conflicts")}


def _whole(intakes: Sequence[Intake]) -> Window | None:
    """Return the span of all events, in whole panes; None without an event."""
    firsts = [i.first_us for i in intakes if i.first_us is not None]
    lasts = [i.last_us for i in intakes if i.last_us is not None]
    if not firsts or not lasts:
        return None
    start, end = min(firsts) // PANE_US * PANE_US, (max(lasts) // PANE_US + 1) * PANE_US
    return Window(EPOCH + timedelta(microseconds=start), EPOCH + timedelta(microseconds=end))


class _Plan:
    """Which windows of the log each SLO is measured over."""

    def __init__(self, log: _Log, whole: Window) -> None:
        self._log = log
        self._whole = whole
        self._length = log.request.window or whole.length
        self._minute = [slo for slo in log.request.slos if slo.cadence is not Cadence.WEEKLY]
        self._weekly = [slo for slo in log.request.slos if slo.cadence is Cadence.WEEKLY]
        spans = [slo.pane for slo in self._minute if slo.pane is not None and slo.pane <= self._length]
        self._width = math.gcd(*(span // PANE for span in (self._length, *spans))) * PANE
        self._manifests = {(m.version, m.slice): m for m in log.request.manifests}

    def first_pass(self) -> Panes:
        """Return the whole log as one pane, or as several where it is the window and an SLO looks at parts of it."""
        return _panes(self._whole, self._width if self._log.request.window is None else self._whole.length)

    def rest(self) -> Iterator[Measurement]:
        """Yield what is not measured over the whole log at once."""
        if self._log.request.window is not None and self._minute:
            for windows in self._stretches():
                yield from self._stretch(windows)
        if self._weekly:
            yield from self._by_week(self._weeks())

    def judged(self, name: str, series: SnapshotSeries, window: Window) -> Iterator[Measurement]:
        """Yield the SLOs of every minute, of one slice over one window."""
        current = _cut(series, window)
        for slo in self._minute:
            panes = [] if slo.pane is None else [_cut(series, pane) for pane in _parts(window, slo.pane)]
            yield from self._measured(slo, name, window, Evidence(current, panes=panes))

    def _stretches(self) -> Iterator[list[Window]]:
        """Yield the windows of the log, on the UTC grid of their length; the last one may not be over."""
        ends = window_ends(self._whole.start, self._whole.end + self._length - PANE, self._length)
        size = max(1, _MOST_PANES // (self._length // self._width))
        for first in range(0, len(ends), size):
            yield [Window(end - self._length, end) for end in ends[first : first + size]]

    def _stretch(self, windows: Sequence[Window]) -> Iterator[Measurement]:
        # Whether a slice is dormant is seen in the day before the end of a window, however short that is.
        before = max(self._length, DAY) - self._length
        for name, series in self._log.series(_panes(Window(windows[0].start - before, windows[-1].end), self._width)):
            busy = np.concatenate([[0], np.cumsum(series.rows)])
            for window in windows:
                first, last = (series.panes.at(micros(at)) for at in (window.start - before, window.end))
                if name == EVERYTHING or busy[last] > busy[first]:
                    yield from self.judged(name, series, window)

    def _weeks(self) -> list[Window]:
        """Return every week of the log when it is cut into windows, else its last complete one, or its last one."""
        first, last = week_of(self._whole.start), week_of(self._whole.end - PANE)
        weeks = [
            Window(first.start + n * WEEK, first.end + n * WEEK) for n in range((last.start - first.start) // WEEK + 1)
        ]
        if self._log.request.window is not None:
            return weeks
        # The last event of a week is seldom in its last quarter of an hour; the last day is near enough.
        over = [week for week in weeks if week.end - DAY < self._whole.end]
        return over[-1:] or weeks[-1:]

    def _by_week(self, weeks: Sequence[Window]) -> Iterator[Measurement]:
        for name, series in self._log.series(_panes(Window(weeks[0].start - WEEK, weeks[-1].end), WEEK)):
            for week in weeks:
                current, before = _cut(series, week), _cut(series, baseline_of(week))
                evidence = Evidence(current, before, baseline_expected=self._expected(before, name))
                if name == EVERYTHING or _has_rows(current) or _has_rows(before):
                    for slo in self._weekly:
                        yield from self._measured(slo, name, week, evidence)

    def _measured(self, slo: SLO, name: str, window: Window, evidence: Evidence) -> Iterator[Measurement]:
        if not matches(slo.slices, name):
            return
        request, expected = self._log.request, self._expected(evidence.current, name)
        models = {manifest.model for manifest in expected.values()} or {request.source.model}
        yield measure(
            slo,
            replace(evidence, expected=expected),
            window,
            slice_name=name,
            model=models.pop() if len(models) == 1 else EVERYTHING,
            provenance=Provenance(code_version=request.code_version),
        )

    def _expected(self, snapshot: Snapshot, name: str) -> dict[str, Manifest]:
        """Return the manifest of each version seen: of the slice if there is one, else of everything."""
        known = self._manifests
        found = {v: known.get((v, name)) or known.get((v, EVERYTHING)) for v in snapshot.versions}
        return {version: manifest for version, manifest in found.items() if manifest}


def _panes(span: Window, width: timedelta) -> Panes:
    return Panes(micros(span.start), width // timedelta(microseconds=1), span.length // width)


def _parts(window: Window, length: timedelta) -> list[Window]:
    """Return the whole parts of this length, from the start of the window on."""
    starts = [window.start + n * length for n in range(window.length // length)]
    return [Window(start, start + length) for start in starts]


def _cut(series: SnapshotSeries, window: Window) -> Snapshot:
    return series.window(micros(window.start), micros(window.end))


def _has_rows(snapshot: Snapshot) -> bool:
    return any(snapshot.count(name) for name in ("n", *BAD_REASONS))


def _rejected(everything: Snapshot, intakes: Sequence[Intake]) -> dict[str, int]:
    out = {reason: everything.count(reason) for reason in (*BAD_REASONS, "duplicates")}
    for intake in intakes:
        for reason, rows in intake.rejected.items():
            out[reason] = out.get(reason, 0) + rows
    return {reason: rows for reason, rows in out.items() if rows}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def exit_code(evaluation: Evaluation) -> int:
    """Return 2 if a file could not be read, else 1 for a breach, 3 if something is undetermined, 0 if all is met."""
    verdicts = {measurement.verdict for measurement in evaluation.measurements}
    if evaluation.errors:
        return 2
    if Verdict.BREACHED in verdicts:
        return 1
    return 0 if verdicts and verdicts <= {Verdict.MEETING, Verdict.WARNING} else 3
