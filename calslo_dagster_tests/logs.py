"""Small prediction logs with trouble in them, label feeds that come later, and projects that read both from disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from textwrap import dedent, indent
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from calslo_dagster.engine.read import facts_digest
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.aggregate_snapshots import SnapshotReport, aggregate_days
from calslo_dagster.pipeline.measure_availability import measure_availability
from calslo_dagster.pipeline.plan_partials import listed_partials
from calslo_dagster.pipeline.project import Project, open_project
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.pipeline.report_drift import report_drift
from calslo_dagster.pipeline.roll_up_health import roll_up_health
from calslo_dagster.pipeline.take_measurements import MeasurementReport, Request, measure_days, measure_weeks
from calslo_dagster.pipeline.track_breaches import BreachReport, track_breaches
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.model import Cadence
from calslo_dagster.slo.windows import DAY, Window, day_span
from calslo_dagster.sources.base import micros
from calslo_dagster.stats.snapshot import TOTAL_SUMS, Snapshot
from calslo_dagster.store import partials, schema
from calslo_dagster.store.digest import table_digest
from calslo_dagster.store.partials import Partial
from calslo_dagster_tests.sources.rows import as_csv, iso

# A Saturday: a log of three days from here on ends in the next ISO week.
START: Final = datetime(2026, 3, 7, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
# So long after the log that nothing is provisional any more.
LATER: Final = datetime(2026, 3, 20, 12, tzinfo=UTC)
TIME: Final = pa.timestamp("us", tz="UTC")
LOG_SCHEMA: Final = pa.schema(
    {
        "event_time": TIME,
        "prediction_id": pa.string(),
        "intent": pa.string(),
        "language": pa.string(),
        "score": pa.float64(),
        "label": pa.int16(),
        "latency_us": pa.float64(),
        "clamped": pa.bool_(),
        "clamp_alpha": pa.float64(),
        "calibrator_version": pa.string(),
        "mask_id": pa.string(),
    }
)
LABEL_SCHEMA: Final = pa.schema(
    {"prediction_id": pa.string(), "label": pa.int16(), "label_time": TIME, "event_time": TIME}
)
SETTINGS: Final = """\
home: state
history_start: 2026-01-01
evaluation_step: 1h
sources:
  - {name: serving, model: intent, paths: [log/], labels: {paths: [labels/]}}
slos:
  ece_bound: {min_events: 50, parameters: {c: 0.4}}
  clamp_activation: {min_events: 20}
  p99_latency: {min_events: 20, window: 1h}
  score_range: {window: 1h}
  merged_bins: {min_events: 400}
  weekly_drift: {min_events: 200}
"""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Traffic:
    """A log, ascending by time, and the labels that come later, ascending by the time they become known."""

    log: pa.Table
    labels: pa.Table


def traffic(start: datetime = START, hours: int = 72, *, per_hour: int = 40, seed: int = 11) -> Traffic:
    """Return events with an id each, two fifths of them labelled at once and the others within thirty hours.

    Every tenth late label is contradicted by another one, written before it, at the same time or after it.
    From the twentieth hour on latency is twenty times as long for two hours, from the thirtieth on scores for `buy` are
    far off and often clamped for six; the tenth holds bad scores, and everywhere some predictions are repeated, a few
    with the opposite label.
    """
    rng, n = np.random.default_rng(seed), hours * per_hour
    hour = np.repeat(np.arange(hours), per_hour)
    times = micros(start) + np.sort(hour * 3_600_000_000 + rng.integers(0, 3_600_000_000, n))
    buys = rng.random(n) < 0.6
    p = rng.beta(0.6, 2.0, n)
    outcome = rng.random(n) < p
    known = rng.random(n) < 0.4
    delay = rng.integers(60_000_000, 30 * 3_600_000_000, n)
    log = _log(rng, times, _distorted(p, buys & (hour >= 30) & (hour < 36)), buys, outcome=outcome, known=known)
    ids = log["prediction_id"].to_numpy(zero_copy_only=False)
    late = np.flatnonzero(~known)[np.argsort((times + delay)[~known], kind="stable")]
    columns = [ids[late], outcome[late].astype(np.int16), _times((times + delay)[late]), _times(times[late])]
    given = pa.table(columns, schema=LABEL_SCHEMA)
    return Traffic(_repeated(log, rng), _contradicted(given, np.random.default_rng(seed + 1)))


def _distorted(p: Floats, where: Bools) -> Floats:
    return np.where(where, 0.4 + 0.6 * p, p)


def _log(
    rng: np.random.Generator, times: NDArray[np.int64], scores: Floats, buys: Bools, *, outcome: Bools, known: Bools
) -> pa.Table:
    n, hour = len(times), (times - times.min()) // 3_600_000_000
    latency = rng.lognormal(5.0, 0.5, n) * np.where((hour >= 20) & (hour < 22), 20.0, 1.0)
    bad = pa.array(scores, mask=None).to_pylist()
    for place, value in zip(np.flatnonzero(hour == 10)[:4], (None, float("nan"), -0.25, 1.5), strict=False):
        bad[place] = value
    columns = {
        "event_time": _times(times),
        "prediction_id": pa.array([f"p{i:06d}" for i in range(n)]),
        "intent": pa.array(np.where(buys, "buy", "search")),
        "language": pa.array([("en", "de", None)[i] for i in rng.choice(3, n, p=(0.6, 0.3, 0.1))]),
        "score": pa.array(bad, pa.float64()),
        "label": pa.array(outcome.astype(np.int16), mask=~known),
        "latency_us": pa.array(latency),
        "clamped": pa.array(rng.random(n) < np.where(buys & (hour >= 30) & (hour < 36), 0.4, 0.02)),
        "clamp_alpha": pa.array(np.where(hour < 40, 0.02, 0.03)),
        "calibrator_version": pa.array(np.where(hour < 40, "v1", "v2")),
        "mask_id": pa.array(np.where(buys, "m1", "m2")),
    }
    return pa.table(columns, schema=LOG_SCHEMA)


def _repeated(log: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Return the log with one prediction in fifty repeated, each fifth of these with the opposite label."""
    copies = log.take(np.sort(rng.choice(log.num_rows, max(5, log.num_rows // 50), replace=False)))
    turned = [
        1 - label if label is not None and i % 5 == 0 else label for i, label in enumerate(copies["label"].to_pylist())
    ]
    copies = copies.set_column(copies.schema.get_field_index("label"), "label", pa.array(turned, pa.int16()))
    return pa.concat_tables([log, copies]).sort_by("event_time")


def _contradicted(given: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Return the labels with every tenth given once more, as the opposite, up to an hour sooner or later."""
    others = given.take(np.arange(0, given.num_rows, 10))
    turned = 1 - others["label"].to_numpy()
    at = others["label_time"].cast(pa.int64()).to_numpy() + rng.choice([-1, 0, 1], others.num_rows) * rng.integers(
        1, 3_600_000_000, others.num_rows
    )
    columns = {"label": pa.array(turned, pa.int16()), "label_time": _times(at)}
    for name, values in columns.items():
        others = others.set_column(others.schema.get_field_index(name), LABEL_SCHEMA.field(name), values)
    return pa.concat_tables([given, others]).sort_by("label_time")


def _times(us: NDArray[np.int64]) -> pa.Array:
    return pa.array(us).cast(TIME)


def events(times: Sequence[datetime], **columns: Any) -> pa.Table:
    """Return a log of an event at each of these times; a column is one value for all or a list of them."""
    n = len(times)
    given = {"prediction_id": [f"e{micros(at)}-{i}" for i, at in enumerate(times)], "score": 0.5, **columns}
    values = {name: value if isinstance(value, list) else [value] * n for name, value in given.items()}
    rows = [values.get(name, [None] * n) for name in LOG_SCHEMA.names[1:]]
    return pa.table([pa.array(times, TIME), *rows], schema=LOG_SCHEMA)


def labels(ids: Sequence[str], label: int = 1, *, at: datetime, of: Sequence[datetime] | None = None) -> pa.Table:
    """Return a batch with one label for these predictions, known since `at`; without `of`, their times are missing."""
    n = len(ids)
    return pa.table([list(ids), [label] * n, [at] * n, list(of) if of else [None] * n], schema=LABEL_SCHEMA)


def write(path: Path, rows: pa.Table) -> Path:
    """Write the rows as Parquet or, if the name says so, as CSV; under another name first, as careful writers do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}")
    if path.suffix == ".csv":
        scratch.write_text(as_csv([_plain(row) for row in rows.to_pylist()]), encoding="utf-8")
    else:
        pq.write_table(rows, scratch)
    return scratch.replace(path)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: iso(value) if isinstance(value, datetime) else value for name, value in row.items()}


def between(rows: pa.Table, start: datetime, end: datetime, column: str = "event_time") -> pa.Table:
    """Return the rows whose time lies in [start, end)."""
    times = rows[column].cast(pa.int64()).to_numpy()
    return rows.filter(pa.array((times >= micros(start)) & (times < micros(end))))


def project_at(folder: Path, settings: str = SETTINGS, *, extra: str = "", store_url: str = "") -> Project:
    """Open a project with these settings in the folder, which holds `log/` and `labels/`; `extra` is added to them."""
    for name in ("log", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    file = folder / "calslo.yaml"
    file.write_text(settings + dedent(extra), encoding="utf-8")
    environ = {"CALSLO_STORE_URL": store_url} if store_url else {}
    return open_project(load_settings(file, environ), migrate=True)


def slo_section(text: str) -> str:
    """Return the settings with these lines in section `slos`."""
    return SETTINGS + indent(dedent(text), "  ")


def days_from(start: datetime, count: int) -> list[date]:
    """Return consecutive days."""
    return [(start + n * DAY).date() for n in range(count)]


def aggregate(
    project: Project, days: Sequence[date], now: datetime = LATER, *, recompute: bool = False
) -> SnapshotReport:
    """Bring the snapshots of the days up to date."""
    return aggregate_days(project, days, now=now, recompute=recompute)


def measure(
    project: Project, slo: str, days: Sequence[date], now: datetime = LATER, *, recompute: bool = False
) -> MeasurementReport:
    """Measure one SLO on these days."""
    return measure_days(project, Request(slo, now, "test", recompute), days)


def evaluate(project: Project, days: Sequence[date], now: datetime = LATER, *, recompute: bool = False) -> BreachReport:
    """Run what the minute job runs: snapshots, every minute SLO, breaches, availability, health, alerts."""
    aggregate(project, days, now, recompute=recompute)
    for slo in project.registry:
        if slo.cadence is Cadence.MINUTE:
            measure(project, slo.name, days, now, recompute=recompute)
    return summarise(project, now)


def evaluate_weeks(project: Project, mondays: Sequence[datetime], now: datetime = LATER) -> BreachReport:
    """Run what the weekly job runs."""
    for slo in project.registry:
        if slo.cadence is Cadence.WEEKLY:
            measure_weeks(project, Request(slo.name, now, "test"), mondays)
    report_drift(project, mondays)
    return summarise(project, now)


def summarise(project: Project, now: datetime) -> BreachReport:
    """Bring breaches, availability, health and the outbox up to date."""
    report = track_breaches(project)
    measure_availability(project, now=now)
    roll_up_health(project, now=now)
    advance_alerts(project, now=now)
    return report


def in_force(project: Project) -> list[Partial]:
    """Return every partial that the manifest lists."""
    with project.store.read() as session:
        return [p for source in project.source_names for p in partials.of_source(session, source)]


def of_day(project: Project, day: date) -> tuple[Partial, ...]:
    """Return the partials of the day."""
    return listed_partials(project, project.source_names[0], day)


def facts(project: Project) -> str:
    """Return the digest of all facts in force."""
    with project.engine() as connection:
        return facts_digest(connection, [project.partials / p.path for p in in_force(project) if p.path])


def snapshots(project: Project, day: date) -> dict[str, Snapshot]:
    """Return the snapshot of each slice on the day."""
    return windows(project, day_span(day))


def windows(project: Project, window: Window) -> dict[str, Snapshot]:
    """Return the snapshot of each slice over the window."""
    with project.engine() as connection:
        return snapshots_over(project, connection, window).window(window)


def sums(project: Project, days: Sequence[date]) -> str:
    """Return the digest of what is known of the events of these days, repetitions of them not counted."""
    digest, duplicates = sha256(), TOTAL_SUMS.index("duplicates")
    for day in days:
        for name, found in sorted(snapshots(project, day).items()):
            totals = found.totals.copy()
            totals[duplicates] = 0
            parts = (totals.tobytes(), found.cells.tobytes(), found.latency.tobytes())
            digest.update(f"{day} {name} {sorted(found.masks.items())} {sorted(found.versions.items())}".encode())
            digest.update(b"".join(parts))
    return digest.hexdigest()


def tables(project: Project) -> dict[str, str]:
    """Return the digests of what was concluded from the snapshots."""
    with project.store.read() as session:
        return {
            t.name: table_digest(session, t)
            for t in (
                schema.measurements,
                schema.breaches,
                schema.drift,
                schema.drift_attributions,
                schema.drift_distances,
                schema.slo_days,
            )
        }


def minutes(start: datetime, end: datetime, step: timedelta = MINUTE) -> Iterator[datetime]:
    """Yield the instants from `start` up to `end`, a step apart."""
    at = start
    while at < end:
        yield at
        at += step


def counts(found: Mapping[str, int], *names: str) -> tuple[int, ...]:
    """Return the counts of these names."""
    return tuple(found.get(name, 0) for name in names)
