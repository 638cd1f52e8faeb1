"""Times of every kind become the same microseconds."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calslo_dagster.sources.base import TimeUnit, micros
from calslo_dagster_tests.sources.rows import (
    HOUR,
    START,
    START_US,
    complaint,
    events,
    intake,
    iso,
    row,
    spec,
    write,
)


def only_time(connection: duckdb.DuckDBPyConnection, path: Path, **values: Any) -> int | None:
    (found,) = events(connection, spec(path, **values))
    time: int | None = found["event_us"]
    return time


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00Z",
        "2026-03-01 12:00:00Z",
        "2026-03-01T12:00:00z",
        "2026-03-01T12:00Z",
        "2026-03-01T12:00:00.000000Z",
        "2026-03-01T12:00:00.000000000Z",
        "2026-03-01T12:00:00+00:00",
        "2026-03-01 12:00:00+00",
        "2026-03-01T13:00:00+0100",
        "2026-03-01 13:00:00 +0100",
        "2026-03-01 13:00:00 +01:00",
        "2026-03-01 13:00+01:00",
        "2026-03-01 13:00 +01",
        "2026-03-01T17:30:00+05:30",
        "2026-03-01T04:00:00-08:00",
        "2026-03-01 12:00:00 UTC",
        "2026-03-01 13:00:00 Europe/Berlin",
        " 2026-03-01T12:00:00Z ",
    ],
)
@pytest.mark.parametrize("zone", [None, "America/New_York"])
def test_text_with_a_zone_means_what_it_says(
    text: str, zone: str | None, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The zone of the settings is for times that have none."""
    path = write(tmp_path / "log.jsonl", [row(event_time=text)])

    assert only_time(connection, path, time_zone=zone) == START_US


@pytest.mark.parametrize(
    "text", ["never", "2026-13-01T00:00:00Z", "12:00:00Z", "infinity", "epoch", "-", "2026-03-01T25:00:00Z"]
)
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_text_that_is_no_time_is_a_bad_time(
    text: str, zone: str | None, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / "log.csv", [row(event_time=text)])

    found = intake(connection, spec(path, time_zone=zone))

    assert (found.error, found.rejected) == (None, {"bad_time": 1})


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_parquet_instants_of_every_unit(
    unit: str, zone: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    times = pa.array([START_US]).cast(pa.timestamp("us", "UTC")).cast(pa.timestamp(unit, zone))
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"event_time": times, "score": [0.5]}), path)

    assert only_time(connection, path) == START_US
    assert len(events(connection, spec(path), (START_US, START_US + HOUR))) == 1
    assert events(connection, spec(path), (START_US + HOUR, START_US + 2 * HOUR)) == []


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_local_times_of_every_unit(unit: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    times = pa.array([START_US]).cast(pa.timestamp("us")).cast(pa.timestamp(unit))
    path = tmp_path / "log.parquet"
    pq.write_table(pa.table({"event_time": times, "score": [0.5]}), path)

    assert only_time(connection, path, time_zone="UTC") == START_US
    assert only_time(connection, path, time_zone="Asia/Kolkata") == START_US - 5 * HOUR - HOUR // 2


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(
    ("local", "instant"),
    [
        ("2026-03-29 01:59:59.999999", "2026-03-29T00:59:59.999999Z"),
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),
        ("2026-03-29 03:00:00", "2026-03-29T01:00:00Z"),
        ("2026-10-25 01:59:59", "2026-10-24T23:59:59Z"),
        ("2026-10-25 02:30:00", "2026-10-25T01:30:00Z"),
        ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z"),
    ],
)
def test_local_times_across_a_change_of_the_clock(
    *, ending: str, local: str, instant: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """A time that does not exist is read as if the clock had not changed yet, one that comes twice as the later."""
    value: Any = datetime.fromisoformat(local) if ending == "parquet" else local
    path = write(tmp_path / f"log.{ending}", [row(event_time=value)])

    assert only_time(connection, path, time_zone="Europe/Berlin") == micros(datetime.fromisoformat(instant))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize(("unit", "power"), [(TimeUnit.S, 0), (TimeUnit.MS, 3), (TimeUnit.US, 6), (TimeUnit.NS, 9)])
def test_numbers_in_every_unit(
    *, unit: TimeUnit, power: int, ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    seconds = START_US // 1_000_000
    path = write(tmp_path / f"log.{ending}", [row(event_time=seconds * 10**power)])

    assert only_time(connection, path, time_unit=unit) == START_US
    assert len(events(connection, spec(path, time_unit=unit), (START_US, START_US + HOUR))) == 1
    assert events(connection, spec(path, time_unit=unit), (START_US + HOUR, START_US + 2 * HOUR)) == []


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
@pytest.mark.parametrize("fraction", [0.5, 0.000001, 0.25])
def test_fractions_of_a_second(
    ending: str, fraction: float, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / f"log.{ending}", [row(event_time=START_US / 1e6 + fraction)])

    assert only_time(connection, path, time_unit=TimeUnit.S) == START_US + round(fraction * 1e6)


def test_decimal_seconds(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", [row(event_time=Decimal("1772366400.500000"))])

    assert only_time(connection, path, time_unit=TimeUnit.S) == START_US + 500_000


@pytest.mark.parametrize("value", [2**62, -(2**62), 0, 10**18])
def test_numbers_in_a_wrong_unit_are_bad_times_not_overflows(
    value: int, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for ending in ("parquet", "csv"):
        path = write(tmp_path / f"log.{ending}", [row(event_time=value)])

        found = intake(connection, spec(path, time_unit=TimeUnit.S))

        assert (found.error, found.rejected) == (None, {"bad_time": 1})


def test_a_unit_says_nothing_of_text_with_a_zone(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", [row(), row(event_time=START_US // 1_000_000)])

    found = events(connection, spec(path, time_unit=TimeUnit.S))

    assert [r["event_us"] for r in found] == [START_US, START_US]


def test_neither_zone_nor_unit_makes_up_for_the_other(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    number, local = (
        write(tmp_path / "a.csv", [row(event_time=1_772_366_400)]),
        write(tmp_path / "b.csv", [row(event_time="2026-03-01 12:00:00")]),
    )

    assert 'set "time_unit: s"' in complaint(connection, spec(number, time_zone="UTC"))
    assert 'set "time_zone: UTC"' in complaint(connection, spec(local, time_unit=TimeUnit.S))


@settings(derandomize=True, max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(
        # Bounds of `datetimes` bear no zone.
        st.datetimes(
            datetime(2000, 1, 2),  # noqa: DTZ001
            datetime(2026, 1, 1),  # noqa: DTZ001
            timezones=st.sampled_from([UTC]) | st.timezones(),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_time_is_the_same_in_every_format(
    times: list[datetime], connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Python's arithmetic is the witness; seconds in a zone's offset, as before 1900, are left out."""
    whole = [t for t in times if (t.utcoffset() or timedelta()).seconds % 60 == 0]
    written = {
        "csv": [row(event_time=t.isoformat()) for t in whole],
        "jsonl": [row(event_time=iso(t)) for t in whole],
        "parquet": [row(event_time=t.astimezone(UTC)) for t in whole],
    }
    for ending, rows in written.items():
        path = write(tmp_path / f"log.{ending}", rows or [row()])

        found = events(connection, spec(path))

        assert sorted(r["event_us"] for r in found) == sorted(map(micros, whole)) or not rows


def test_the_session_zone_of_the_connection_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [row()])
    write(tmp_path / "b.parquet", [row(event_time=START)])
    write(tmp_path / "c.jsonl", [row(event_time="2026-03-01T12:00:00+00:00")])
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Pacific/Auckland'")

        assert [r["event_us"] for r in events(connection, spec(tmp_path))] == [START_US] * 3
