"""Projects in the middle of a day, as the schedule of the minute finds them."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import yaml
from duckdb import DuckDBPyConnection

from benchmarks.logs import CACHE, DAY, VERSION, LogSpec, write_hour, write_hours
from calslo_dagster.defs.launch import instance_config
from calslo_dagster.engine.facts import DAY_US, FACTS, PANE_US
from calslo_dagster.engine.merge import merge_facts
from calslo_dagster.engine.parquet import Notes, write_fact
from calslo_dagster.pipeline.aggregate_snapshots import aggregate_days
from calslo_dagster.pipeline.context import Context, context_of
from calslo_dagster.pipeline.digest_panes import digest_panes
from calslo_dagster.pipeline.feed_demo import feed_demo
from calslo_dagster.pipeline.measure_availability import measure_availability
from calslo_dagster.pipeline.plan_partials import listed_partials
from calslo_dagster.pipeline.project import Project, open_project
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.pipeline.roll_up_health import roll_up_health
from calslo_dagster.pipeline.spans import day_us
from calslo_dagster.pipeline.take_measurements import Request, measure_days
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.settings import Settings, load_settings
from calslo_dagster.slo.model import SLO, Cadence, Measurement
from calslo_dagster.slo.windows import Window, day_of, is_final, open_end, window_ends
from calslo_dagster.stats.snapshot import BAD_REASONS
from calslo_dagster.store import evaluations, measurements, partials, slo_days, unfolded_days
from calslo_dagster.store.partial_files import new_folder
from calslo_dagster.store.partials import Partial

# Six minutes past noon: the minutes that follow lie in one bucket, so each of them does the same.
NOON: Final = DAY + timedelta(hours=12, minutes=6)
MINUTE: Final = timedelta(minutes=1)
# Part of a prepared project's name: one whose evaluations rest on something else would be measured all over.
_MAKING: Final = 2
_THOUSAND: Final = LogSpec(400_000, intents=40, languages=25, days=2)
_YEAR: Final = LogSpec(100_000, intents=1, languages=1)
DAYS: Final = 365
DEMO_END: Final = datetime(2025, 6, 16, tzinfo=UTC)
_DEMO: Final = {"demo": {"end": DEMO_END.date()}}
_FILES: Final = {"sources": [{"kind": "files", "name": "bench", "paths": ["log/events"]}]}


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of a project; `spec` is the log that grows in it, None where the demo does so by itself."""

    folder: Path
    spec: LogSpec | None

    @property
    def settings(self) -> Settings:
        """The settings of the project."""
        return load_settings(self.folder / "calslo.yaml", {})

    def open(self) -> Project:
        """Return the project."""
        return open_project(self.settings, migrate=True)

    def grow(self, now: datetime) -> None:
        """Let the log reach up to now."""
        if self.spec:
            hour = (now - self.spec.start) // timedelta(hours=1)
            write_hour(replace(self.spec, until=now - DAY), self.folder / "log", hour)


def demo(folder: Path) -> Home:
    """Return a copy of a project with the demo's 24 slices, in `folder`."""
    return _copied("demo", Home(folder, None), _DEMO)


def thousand(folder: Path) -> Home:
    """Return a copy of a project with a thousand slices, in `folder`."""
    return _copied("thousand", Home(folder, _THOUSAND), _FILES)


def fortnight(folder: Path) -> Home:
    """Return a copy of a project with the snapshots of the demo's 24 slices over its two weeks, in `folder`."""
    return _copied("fortnight", Home(folder, None), _DEMO, prepare=_aggregate_demo)


def year(folder: Path) -> Home:
    """Return a copy of a project with a single slice and a year of snapshots up to DAY, in `folder`."""
    return _copied("year", Home(folder, _YEAR), {**_FILES, "slices": {"columns": []}}, prepare=_repeat)


def minute_slos(project: Project) -> list[SLO]:
    """Return the SLOs that are measured every minute."""
    return [slo for slo in project.registry if slo.cadence is Cadence.MINUTE]


def run_minute(project: Project, now: datetime) -> None:
    """Do what a run of the minute does, without Dagster."""
    aggregate_days(project, [now.date()], now=now, recompute=False)
    for slo in minute_slos(project):
        measure_days(project, Request(slo.name, now, run_id="", recompute=False), [now.date()])
    summarize(project, now)


def summarize(project: Project, now: datetime) -> None:
    """Fold the measurements into breaches, availability and health."""
    track_breaches(project)
    measure_availability(project, now=now)
    roll_up_health(project, now=now)


def _copied(
    name: str, home: Home, settings: Mapping[str, object], *, prepare: Callable[[Home], None] | None = None
) -> Home:
    """Copy the prepared project; it is prepared once and then kept with the logs."""
    kept = CACHE / f"home-{name}-v{VERSION}.{_MAKING}"
    if not kept.exists():
        scratch = CACHE / f".home-{name}-{uuid4().hex}"
        _write(replace(home, folder=scratch), settings)
        (prepare or _prepare)(replace(home, folder=scratch))
        scratch.rename(kept)
    shutil.copytree(kept, home.folder, dirs_exist_ok=True)
    (home.folder / "dagster").mkdir()
    config = yaml.safe_dump(instance_config(home.folder / "dagster"))
    (home.folder / "dagster" / "dagster.yaml").write_text(config, encoding="utf-8")
    return home


def _write(home: Home, settings: Mapping[str, object]) -> None:
    home.folder.mkdir(parents=True)
    text = yaml.safe_dump({"home": ".", **settings})
    (home.folder / "calslo.yaml").write_text(text, encoding="utf-8")


def _aggregate_demo(home: Home) -> None:
    project = home.open()
    days = [(DEMO_END - timedelta(days=back)).date() for back in range(14, 0, -1)]
    feed_demo(project, now=DEMO_END)
    aggregate_days(project, days, now=DEMO_END + timedelta(days=3), recompute=False)
    project.store.close()


def _repeat(home: Home) -> None:
    """Aggregate one day of the log, and let it stand for every other day of the year."""
    assert home.spec is not None
    write_hours(home.spec, home.folder / "log")
    project = home.open()
    aggregate_days(project, [DAY.date()], now=DAY + timedelta(days=2), recompute=False)
    listed = listed_partials(project, project.source_names[0], DAY.date())
    with project.engine() as connection:
        merged = new_folder(project.partials)
        merge_facts(connection, [project.partials / one.path for one in listed], merged, PANE_US)
        days = [_shifted(project, connection, listed[0], merged, days_back=back) for back in range(DAYS)]
    with project.store.write() as session:
        partials.remove(session, listed)
        partials.put(session, days)
    project.store.close()


def _shifted(project: Project, connection: DuckDBPyConnection, like: Partial, day: Path, *, days_back: int) -> Partial:
    """Return the partial of the day, written as that of a day before."""
    path, shift, span = f"bench/event/{days_back}", days_back * DAY_US, day_us(DAY.date())
    folder = project.partials / path
    folder.mkdir(parents=True)
    for fact in (one for one in FACTS if (day / f"{one.name}.parquet").exists()):
        changes = [f"{name} - {shift} AS {name}" for name in ("t", *fact.firsts, *fact.lasts)]
        # Bad scores in every quarter of an hour of a year would be nothing but breaches.
        changes += [f'0::BIGINT AS "{name}"' for name in BAD_REASONS if name in fact.sums and days_back % 30]
        times = ", ".join(changes)
        rows = f"SELECT * REPLACE ({times}) FROM read_parquet('{day / f'{fact.name}.parquet'}')"
        write_fact(connection, rows, folder / f"{fact.name}.parquet", Notes((), PANE_US))
    return replace(
        like,
        span_start_us=span[0] - shift,
        span_end_us=span[1] - shift,
        totals_us=PANE_US,
        cells_us=PANE_US,
        path=path,
    )


def _prepare(home: Home) -> None:
    if home.spec:
        write_hours(replace(home.spec, until=NOON - DAY), home.folder / "log")
    project = home.open()
    days = [(DAY - timedelta(days=1)).date(), DAY.date()]
    aggregate_days(project, days, now=NOON, recompute=False)
    for slo in minute_slos(project):
        _remember(project, slo)
    summarize(project, NOON)
    project.store.close()


def _remember(project: Project, slo: SLO) -> None:
    """Leave the SLO measured at every window end since the day before, each as at the last closed one.

    Measuring a thousand slices over two hundred windows would take minutes, and only the rows matter to the next run.
    """
    context = context_of(project, slo, now=NOON, run_id="")
    start = DAY - timedelta(days=1)
    ends = window_ends(start, open_end(NOON, context.step), context.step)
    with project.engine() as connection:
        snapshots = snapshots_over(project, connection, context.reach(Window(start, ends[-1])))
        panes = digest_panes(snapshots)
        inputs = {end: context.inputs(panes, end) for end in ends}
        window = context.window(ends[-2])
        measured = [context.measured(name, window, found) for name, found in snapshots.window(window).items()]
    rows = [_moved(context, row, end) for end in ends for row in measured]
    with project.store.write() as session:
        measurements.replace(session, slo.name, rows, start=start, end=ends[-1])
        slo_days.recount(session, slo.name, start=start, end=ends[-1])
        evaluations.put(session, slo.name, inputs, at=NOON)
        unfolded_days.mark(session, slo.name, {day_of(end) for end in ends})


def _moved(context: Context, row: Measurement, end: datetime) -> Measurement:
    window = context.window(end)
    is_over = is_final(end, context.watermark)
    return replace(row, window_start=window.start, window_end=window.end, is_final=is_over, watermark=context.watermark)
