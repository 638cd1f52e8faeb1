"""Merging partials is adding: the same bytes as one pass over all events, at any resolution."""

from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from calslo_dagster.engine.aggregate import AggregateSpec
from calslo_dagster.engine.facts import DAY_US, FACTS, HOUR_US, PANE_US, TOTALS
from calslo_dagster.engine.labels import apply_labels
from calslo_dagster.engine.merge import count_rows, merge_facts, take_hours
from calslo_dagster.engine.parquet import Notes, write_fact
from calslo_dagster.engine.read import facts_digest, window
from calslo_dagster.errors import SnapshotError
from calslo_dagster_tests.engine.logs import (
    DAY,
    SLICES,
    SPEC,
    Row,
    assert_same,
    contents,
    counted,
    hours,
    partial,
    traffic,
)


@pytest.fixture
def log() -> list[Row]:
    """Return four hours of traffic with repeated rows."""
    rows = traffic(1_500, seed=5, hours=4)
    return rows + rows[::11]


def hourly(connection: DuckDBPyConnection, rows: list[Row], folder: Path) -> list[Path]:
    """Return the partials of each hour of the rows."""
    return [partial(connection, rows, folder, span=span) for span in hours(rows)]


def test_hours_merge_into_the_bytes_of_one_pass_over_the_day(
    connection: DuckDBPyConnection, single_thread: DuckDBPyConnection, folder: Path, log: list[Row]
) -> None:
    parts = hourly(connection, log, folder)

    merge_facts(connection, parts, folder / "merged")
    merge_facts(single_thread, parts[::-1], folder / "backwards")

    whole = contents(partial(connection, log, folder))
    assert "pending.parquet" in whole
    assert contents(folder / "merged") == whole
    assert contents(folder / "backwards") == whole


def test_merging_in_steps_is_merging_at_once(connection: DuckDBPyConnection, folder: Path, log: list[Row]) -> None:
    first, second, *others = hourly(connection, log, folder)

    merge_facts(connection, [first, second, *others], folder / "at-once")
    merge_facts(connection, [first, second], folder / "step")
    merge_facts(connection, [folder / "step", *others], folder / "in-steps")

    assert contents(folder / "in-steps") == contents(folder / "at-once")


@pytest.mark.parametrize("resolution_us", [PANE_US, HOUR_US, DAY_US])
def test_a_roll_up_holds_the_same_sums_in_wider_buckets(
    connection: DuckDBPyConnection, folder: Path, log: list[Row], resolution_us: int
) -> None:
    parts = hourly(connection, log, folder)

    merge_facts(connection, parts, folder / "rolled", resolution_us)
    fine = window(connection, parts, DAY, DAY + DAY_US, slice_columns=SLICES)
    coarse = window(connection, [folder / "rolled"], DAY, DAY + DAY_US, slice_columns=SLICES)

    assert set(fine) == set(coarse)
    for key, snapshot in fine.items():
        assert_same(coarse[key], snapshot)
    for fact in FACTS:
        path = folder / "rolled" / f"{fact.name}.parquet"
        (off,) = connection.execute(f"SELECT count(*) FROM '{path}' WHERE t % {resolution_us} <> 0").fetchall()[0]
        assert off == 0


def test_panes_roll_up_to_days_by_way_of_hours(connection: DuckDBPyConnection, folder: Path, log: list[Row]) -> None:
    parts = hourly(connection, log, folder)

    merge_facts(connection, parts, folder / "hours", HOUR_US)
    merge_facts(connection, [folder / "hours"], folder / "by-hours", DAY_US)
    merge_facts(connection, parts, folder / "days", DAY_US)

    assert contents(folder / "by-hours") == contents(folder / "days")


def test_a_window_that_cuts_through_a_bucket_is_refused(
    connection: DuckDBPyConnection, folder: Path, log: list[Row]
) -> None:
    merge_facts(connection, [partial(connection, log, folder)], folder / "rolled", HOUR_US)

    with pytest.raises(ValueError, match="not on a multiple"):
        window(connection, [folder / "rolled"], DAY + PANE_US, DAY + HOUR_US)


def test_label_partials_compact_with_their_ledgers(connection: DuckDBPyConnection, folder: Path) -> None:
    events = partial(connection, [Row(prediction_id=name, score=0.3) for name in "ab"], folder)
    feed = "SELECT 'a' AS prediction_id, 1::SMALLINT AS label, NULL::BIGINT AS label_us"
    apply_labels(connection, [events], feed, folder / "labels-1", spec=SPEC)
    apply_labels(
        connection, [events], feed.replace("'a'", "'b'"), folder / "labels-2", spec=SPEC, ledgers=[folder / "labels-1"]
    )
    parts = [events, folder / "labels-1", folder / "labels-2"]

    merge_facts(connection, parts, folder / "merged")
    again = apply_labels(
        connection, [folder / "merged"], feed, folder / "labels-3", spec=SPEC, ledgers=[folder / "merged"]
    )

    assert facts_digest(connection, [folder / "merged"]) == facts_digest(connection, parts)
    assert (again.applied, again.settled) == (0, 1)


def test_partials_of_other_slices_are_not_added(connection: DuckDBPyConnection, folder: Path) -> None:
    parts = [
        partial(connection, [Row()], folder),
        partial(connection, [Row()], folder, spec=AggregateSpec(slice_columns=("intent",))),
    ]

    with pytest.raises(SnapshotError, match="slice columns changed"):
        merge_facts(connection, parts, folder / "merged")


def test_partials_of_another_grid_are_not_added(connection: DuckDBPyConnection, folder: Path) -> None:
    made = partial(connection, [Row()], folder)
    path = made / "totals.parquet"
    write_fact(connection, f"SELECT * FROM '{path}'", folder / "old.parquet", Notes(SLICES, 60_000_000, grid="uniform"))
    (folder / "old.parquet").replace(path)

    with pytest.raises(SnapshotError, match="uniform"):
        merge_facts(connection, [made], folder / "merged")


def test_sums_that_leave_64_bits_are_refused(connection: DuckDBPyConnection, folder: Path) -> None:
    heavy = partial(connection, [Row(score=0.15, label=1, weight=10_000.0)] * 20, folder)

    with pytest.raises(SnapshotError, match="left 64 bits"):
        merge_facts(connection, [heavy] * 3, folder / "merged")


def test_merging_nothing_writes_nothing(connection: DuckDBPyConnection, folder: Path) -> None:
    merge_facts(connection, [], folder / "merged")

    assert contents(folder / "merged") == {}
    assert TOTALS in FACTS


def test_hours_taken_out_of_a_day_are_those_of_a_pass_over_them(
    connection: DuckDBPyConnection, folder: Path, log: list[Row]
) -> None:
    day = partial(connection, log, folder)
    starts = [start for start, _ in hours(log)]

    take_hours(connection, day, starts[1:3], folder / "two")
    take_hours(connection, day, [starts[0], *starts[3:]], folder / "others")
    merge_facts(connection, [folder / "two", folder / "others"], folder / "again")

    parts = hourly(connection, log, folder)
    merge_facts(connection, parts[1:3], folder / "expected")
    assert contents(folder / "two") == contents(folder / "expected")
    assert contents(folder / "again") == contents(day)


def test_rows_are_counted_from_the_facts_as_the_pass_counted_them(
    connection: DuckDBPyConnection, folder: Path, log: list[Row]
) -> None:
    bad = [
        Row(score=2.0),
        Row(score=None),
        Row(label=7),
        Row(prediction_id="c", label=0),
        Row(prediction_id="c", label=1),
    ]
    made, found = counted(connection, [*log, *bad], folder)

    counts = count_rows(connection, made)

    plain = {"rows": found.rows, "events": found.events, "labeled": found.labeled, "pending": found.pending}
    rejected = {reason: rows for reason, rows in found.rejected.items() if reason != "bad_time"}
    assert counts == {**plain, "duplicates": found.duplicates, "conflicts": found.conflicts, **rejected}
    assert count_rows(connection, folder / "nothing")["rows"] == 0
