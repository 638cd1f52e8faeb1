"""Late labels, compaction and series: what comes after the pass over the log."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from duckdb import DuckDBPyConnection

from benchmarks import logs
from benchmarks.logs import DAY, SLICE_COLUMNS, Log
from benchmarks.meter import Meter
from calslo_dagster.engine import read
from calslo_dagster.engine.aggregate import AggregateSpec, aggregate
from calslo_dagster.engine.connect import EngineSettings, connect
from calslo_dagster.engine.facts import DAY_US, HOUR_US
from calslo_dagster.engine.labels import apply_labels
from calslo_dagster.engine.merge import merge_facts
from calslo_dagster.sources import open_feed, open_source
from calslo_dagster.sources.base import micros

SPEC = AggregateSpec(SLICE_COLUMNS)
LABELS = 100_000
START = micros(DAY)


@dataclass(frozen=True, slots=True)
class Day:
    """A day of a million events: its log, its snapshots by the hour, and a late feed of labels."""

    log: Log
    hours: tuple[Path, ...]
    labels: str


@pytest.fixture(scope="module")
def day() -> Iterator[Day]:
    """Yield the day, aggregated hour by hour as while it lasted."""
    log = logs.log(logs.LogSpec(1_000_000))
    source = open_source(log.source())
    with TemporaryDirectory() as folder, connect(EngineSettings(temp_directory=Path(folder, "spill"))) as connection:
        feed = open_feed(logs.late_labels(log, LABELS, Path(folder)))
        hours = []
        for start in range(START, START + DAY_US, HOUR_US):
            span = (start, start + HOUR_US)
            out = Path(folder, str(start))
            aggregate(connection, source.relation(connection, source.units(), span), SPEC, span, out=out)
            hours.append(out)
        yield Day(log, tuple(hours), feed.label_relation(connection, feed.units()))


def test_labels_against_pending(meter: Meter, connection: DuckDBPyConnection, day: Day, scratch: Path) -> None:
    """100,000 labels for events of the whole day, joined with those that wait; against the whole pass again."""
    source = open_source(day.log.source())
    events = source.relation(connection, source.units())
    found = meter(
        lambda: apply_labels(connection, day.hours, day.labels, scratch / "labels", spec=SPEC),
        against={"pass over the log": lambda: aggregate(connection, events, SPEC, None, out=scratch / "again")},
        rounds=3,
    )
    assert found.applied > 0.99 * LABELS
    meter.note(applied=found.applied)
    meter.goal("labels / pass", meter.ratio("pass over the log"), at_most=0.5)


def test_compaction(meter: Meter, connection: DuckDBPyConnection, day: Day, scratch: Path) -> None:
    """The 24 hours of a day merged into one partial."""
    meter(lambda: merge_facts(connection, day.hours, scratch / "day"), rounds=3, events=1_000_000)


def test_roll_up(meter: Meter, connection: DuckDBPyConnection, day: Day, scratch: Path) -> None:
    """The same by the hour, as after five weeks."""
    meter(lambda: merge_facts(connection, day.hours, scratch / "day", HOUR_US), rounds=3, events=1_000_000)


def test_series_of_a_day(meter: Meter, connection: DuckDBPyConnection, day: Day) -> None:
    """Quarters of an hour of everything and of 24 slices."""

    def walked() -> int:
        found = read.series(connection, day.hours, START, START + DAY_US, slice_columns=SLICE_COLUMNS)
        return sum(1 for _ in found)

    assert meter(walked, rounds=3) == 25


def test_digest_of_a_day(meter: Meter, connection: DuckDBPyConnection, day: Day) -> None:
    """The digest that tells whether two roads led to the same facts."""
    meter(lambda: read.facts_digest(connection, day.hours), rounds=3)
