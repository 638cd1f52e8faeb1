"""The aggregate pass yields what a slow reference in Python yields, for rows meant to break it."""

import math
from collections import defaultdict
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest
from duckdb import DuckDBPyConnection

from calslo_dagster.engine.aggregate import AggregateSpec, aggregate
from calslo_dagster.engine.facts import HOUR_US, PANE_US
from calslo_dagster.engine.read import window
from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats import grid
from calslo_dagster.stats.snapshot import BAD_REASONS
from calslo_dagster_tests.engine.logs import (
    DAY,
    SLICES,
    SPEC,
    Row,
    assert_same,
    contents,
    counted,
    partial,
    reference,
    relation,
    traffic,
)


def hostile_scores() -> list[float | None]:
    """Return every edge of the grid and of its splits, one ulp to both sides, and everything that is no score."""
    edges = np.concatenate([grid.lower_half_edges(), 1.0 - grid.lower_half_edges(), np.arange(61) / 60])
    edges = np.concatenate([edges, 2.0 ** -np.arange(1.0, 70.0), 1.0 - 2.0 ** -np.arange(1.0, 54.0)])
    near = np.concatenate([edges, np.nextafter(edges, -np.inf), np.nextafter(edges, np.inf)])
    bad: list[float | None] = [None, math.nan, math.inf, -math.inf, -1e-300, -1.0, 1.0000001, 2.0, 1e308]
    return [*map(float, near), -0.0, 5e-324, 0.1 + 0.2, *bad]


def hostile_rows() -> list[Row]:
    """Return each hostile score with other hostile values beside it, in turns of coprime lengths."""
    scores = hostile_scores() * 3
    labels = cycle([0, 1, None, 1, 0, 1, 0, -1, 0, 1, 1])
    weights = cycle(
        [None, 1.0, 0.0, -0.0, 3.7, None, 0.25, 1.0, 40.0, 1e-9, None, math.nan, -1.0, 10_000.5, math.inf, 1 / 3]
    )
    latencies = cycle([None, 0.0, 1.0, 999.999, 1000.0, 250.0, math.nan, -5.0, math.inf, 1e12, 0.3, 17.0, 1e-300])
    clamps = cycle([None, True, False])
    alphas = cycle([0.02, None, 0.5, math.nan, 0.0, -0.25, math.inf])
    slices = cycle([("buy", "en"), ("buy", None), (None, None), ("", "en"), ("buy", "e,n=%"), ("sëarch\n", "en")])
    versions, masks = cycle(["v1", None, "v2", "", "v1"]), cycle([None, "m1", "m2", ""])
    columns = zip(labels, weights, latencies, clamps, alphas, slices, versions, masks, strict=False)
    return [
        Row(DAY + 7 * i * 1_000_003, score, y, None, intent, language, w, us, clamped, alpha, version, mask)
        for i, (score, (y, w, us, clamped, alpha, (intent, language), version, mask)) in enumerate(
            zip(scores, columns, strict=False)
        )
    ]


def test_hostile_rows_are_counted_and_summed_as_the_reference_does(
    connection: DuckDBPyConnection, folder: Path
) -> None:
    rows = hostile_rows()
    by_slice: dict[tuple[str | None, ...], list[Row]] = defaultdict(list)
    for row in rows:
        by_slice[row.intent, row.language].append(row)

    made, _ = counted(connection, rows, folder)
    found = window(connection, [made], None, None, slice_columns=SLICES)

    assert len(rows) >= 2_000
    assert_same(found[(), ()], reference(rows))
    assert set(found) == {((), ())} | {(SLICES, key) for key in by_slice}
    for key, part in by_slice.items():
        assert_same(found[SLICES, key], reference(part))


@pytest.mark.parametrize("weights", [(None,), (1.0,), (None, 1.0)])
def test_sums_of_weights_are_counts_where_all_weights_are_one(
    connection: DuckDBPyConnection, folder: Path, weights: tuple[float | None, ...]
) -> None:
    rows = [replace(row, weight=weight) for row, weight in zip(hostile_rows(), cycle(weights), strict=False)]

    found = window(connection, [partial(connection, rows, folder)], None, None)

    assert_same(found[(), ()], reference(rows))


def test_each_rejected_row_has_one_reason_and_is_in_no_other_sum(connection: DuckDBPyConnection, folder: Path) -> None:
    rows = hostile_rows()
    expected = reference(rows)

    _, found = counted(connection, rows, folder)

    assert found.rejected == {"bad_time": 0, **{reason: expected.count(reason) for reason in BAD_REASONS}}
    assert all(found.rejected[reason] > 0 for reason in BAD_REASONS)
    assert found.events == expected.events
    assert found.labeled == expected.labeled
    assert found.events + sum(found.rejected.values()) == found.rows == len(rows)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Row(event_us=None, score=None, weight=-1.0, label=-1), "bad_time"),
        (Row(score=None, weight=-1.0, label=-1), "null"),
        (Row(score=math.nan, weight=-1.0, label=-1), "nan"),
        (Row(score=-math.inf, weight=-1.0, label=-1), "infinite"),
        (Row(score=-0.1, weight=math.nan, label=-1), "below"),
        (Row(score=1.0000001, weight=-1.0, label=-1), "above"),
        (Row(weight=math.nan, label=-1), "bad_weight"),
        (Row(label=-1), "bad_label"),
        (Row(label=7), "bad_label"),
    ],
)
def test_the_first_of_several_reasons_counts(
    connection: DuckDBPyConnection, folder: Path, row: Row, reason: str
) -> None:
    _, found = counted(connection, [row], folder)

    assert {name: n for name, n in found.rejected.items() if n} == {reason: 1}
    assert found.events == 0


def test_times_that_cannot_be_are_counted_and_belong_to_no_bucket(connection: DuckDBPyConnection, folder: Path) -> None:
    spec = AggregateSpec(SLICES, latest_us=DAY + HOUR_US)
    times = [None, 0, -5, spec.earliest_us - 1, spec.earliest_us, DAY, DAY + HOUR_US, DAY + HOUR_US + 1]

    made, found = counted(connection, [Row(event_us=time) for time in times], folder, spec=spec)
    snapshots = window(connection, [made], None, None, slice_columns=SLICES)

    assert found.rejected["bad_time"] == 5
    assert snapshots[(), ()].events == found.events == 3
    assert (found.first_us, found.last_us) == (spec.earliest_us, DAY + HOUR_US)


def test_a_span_holds_its_start_and_not_its_end(connection: DuckDBPyConnection, folder: Path) -> None:
    rows = [Row(event_us=DAY + offset) for offset in (-1, 0, HOUR_US - 1, HOUR_US)] + [Row(event_us=None)]

    _, found = counted(connection, rows, folder, span=(DAY, DAY + HOUR_US))

    assert (found.rows, found.events, found.rejected["bad_time"]) == (2, 2, 0)
    assert (found.first_us, found.last_us) == (DAY, DAY + HOUR_US - 1)


def test_nothing_becomes_empty_facts(connection: DuckDBPyConnection, folder: Path) -> None:
    made, found = counted(connection, [], folder)

    assert (found.rows, found.events, found.first_us) == (0, 0, None)
    assert window(connection, [made], None, None, slice_columns=SLICES) == {}
    assert sorted(contents(made)) == ["cells.parquet", "latency.parquet", "masks.parquet", "totals.parquet"]


def test_rows_with_an_invalid_score_are_cells_that_only_count(connection: DuckDBPyConnection, folder: Path) -> None:
    scores = [None, math.nan, -1.0, 2.0, math.inf, 2.0]
    made = partial(connection, [Row(score=score, label=1) for score in scores], folder)

    cells = connection.execute(f"SELECT bin, n, w, n_lab FROM '{made}/cells.parquet' ORDER BY bin").fetchall()

    assert cells == [(-5, 1, 0, 0), (-4, 2, 0, 0), (-3, 1, 0, 0), (-2, 1, 0, 0), (-1, 1, 0, 0)]


def test_only_a_negative_zero_tells_two_logs_apart_no_more(connection: DuckDBPyConnection, folder: Path) -> None:
    plus = partial(connection, [Row(score=0.0, weight=0.0, prediction_id="a")], folder)
    minus = partial(connection, [Row(score=-0.0, weight=-0.0, prediction_id="a")], folder)

    assert contents(plus) == contents(minus)


def test_clamping_is_known_from_the_flag_or_else_from_the_bounds(connection: DuckDBPyConnection, folder: Path) -> None:
    given = [(0.01, None), (0.5, None), (0.99, None), (0.01, False), (0.5, True)]
    rows = [Row(score=score, clamped=flag) for score, flag in given]
    bounded = AggregateSpec(SLICES, clamp_low=0.01, clamp_high=0.99)
    half_bounded = AggregateSpec(SLICES, clamp_high=0.99)

    def counts(spec: AggregateSpec) -> tuple[int, int]:
        made = partial(connection, rows, folder, spec=spec)
        snapshot = window(connection, [made], None, None)[(), ()]
        return snapshot.count("n_clamp_known"), snapshot.count("n_clamped")

    assert counts(SPEC) == (2, 1)
    assert counts(bounded) == (5, 3)
    assert counts(half_bounded) == (5, 2)


def test_latency_at_the_limit_is_slow(connection: DuckDBPyConnection, folder: Path) -> None:
    rows = [Row(latency_us=us) for us in (499.9, 500.0, math.nan, None, -1.0, math.inf)]
    made = partial(connection, rows, folder, spec=AggregateSpec(SLICES, latency_limit_us=500.0))

    snapshot = window(connection, [made], None, None)[(), ()]

    assert [snapshot.count(name) for name in ("n_latency", "n_slow", "bad_latency", "n")] == [2, 1, 3, 6]
    assert snapshot.latency.sum() == 2


def test_first_and_last_times_are_of_good_rows(connection: DuckDBPyConnection, folder: Path) -> None:
    rows = [Row(event_us=DAY + offset, score=score) for offset, score in ((1, None), (2, 0.5), (9, 0.5), (11, 3.0))]
    made, found = counted(connection, rows, folder)

    ends = connection.execute(f"SELECT first_us, last_us FROM '{made}/totals.parquet'").fetchall()

    assert ends == [(DAY + 2, DAY + 9)]
    assert (found.first_us, found.last_us) == (DAY + 1, DAY + 11)


def test_no_order_of_rows_files_or_threads_changes_a_byte(
    connection: DuckDBPyConnection, single_thread: DuckDBPyConnection, folder: Path
) -> None:
    rows = traffic(4_000, seed=1)
    rows += rows[::7]
    shuffled = [rows[i] for i in np.random.default_rng(2).permutation(len(rows))]
    parts = " UNION ALL ".join(relation(islice(shuffled, i, None, 5), folder) for i in range(5))

    first = contents(partial(connection, rows, folder))
    aggregate(connection, parts, SPEC, None, out=folder / "split")

    assert contents(partial(connection, shuffled, folder)) == first
    assert contents(partial(single_thread, rows, folder)) == first
    assert contents(folder / "split") == first


def test_large_facts_are_the_same_bytes_for_any_number_of_threads(
    connection: DuckDBPyConnection, single_thread: DuckDBPyConnection, folder: Path
) -> None:
    """Several row groups are written in parallel only from some hundred thousand rows on."""
    select = (
        f"SELECT {DAY} + range * 97_000 AS event_us, hash(range) % 1_000_003 / 1_000_003 AS score,"
        " nullif(hash(range + 7) % 3, 2)::SMALLINT AS label, range::VARCHAR AS prediction_id,"
        " (range % 3)::VARCHAR AS intent, NULL::VARCHAR AS language, NULL::DOUBLE AS weight,"
        " (range % 5000)::DOUBLE AS latency_us, NULL::BOOLEAN AS clamped, NULL::DOUBLE AS clamp_alpha,"
        " 'v1' AS calibrator_version, NULL::VARCHAR AS mask_id"
        " FROM range(400_000)"
    )

    aggregate(connection, select, SPEC, None, out=folder / "two")
    aggregate(single_thread, select, SPEC, None, out=folder / "one")

    assert contents(folder / "two") == contents(folder / "one")


def test_sums_that_leave_64_bits_are_refused_with_a_remedy(connection: DuckDBPyConnection, folder: Path) -> None:
    rows = [Row(score=0.15, label=1, weight=10_000.0)] * 60

    with pytest.raises(SnapshotError, match="divide the weights by their mean"):
        partial(connection, rows, folder)


def test_the_relation_is_read_once(connection: DuckDBPyConnection, folder: Path) -> None:
    """A log that grows during the pass must not make the facts contradict each other."""
    connection.execute("CREATE OR REPLACE SEQUENCE reads").fetchall()
    log = relation([Row(event_us=DAY + i * PANE_US, latency_us=9.0, mask_id="m") for i in range(5)], folder)

    aggregate(
        connection, f"SELECT * REPLACE (nextval('reads') / 1000 AS score) FROM ({log})", SPEC, None, out=folder / "x"
    )
    (reads,) = connection.execute("SELECT currval('reads')").fetchall()[0]
    connection.execute("DROP SEQUENCE reads").fetchall()

    assert reads == 5


def test_slice_columns_may_have_any_name_that_facts_leave_free(connection: DuckDBPyConnection, folder: Path) -> None:
    spec = AggregateSpec(slice_columns=('a "quoted" name', "select", "slice_1", "latency"))
    listed = ", ".join(
        f"'{i}' AS \"{name.replace(chr(34), chr(34) * 2)}\"" for i, name in enumerate(spec.slice_columns)
    )

    log = f"SELECT *, {listed} FROM ({relation([Row(prediction_id='a')], folder)})"
    aggregate(connection, log, spec, None, out=folder / "x")

    found = window(connection, [folder / "x"], None, None, slice_columns=spec.slice_columns)

    assert (spec.slice_columns, ("0", "1", "2", "3")) in found


@pytest.mark.parametrize("columns", [("version",), ("N",), ("prediction_id",), ("a", "A"), ("",), ("first_us",)])
def test_slice_columns_that_would_hide_another_column_are_refused(columns: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="slice column"):
        AggregateSpec(slice_columns=columns)


@pytest.mark.parametrize("limits", [{"latency_limit_us": 0.0}, {"latency_limit_us": math.inf}, {"earliest_us": -1}])
def test_limits_that_mean_nothing_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        AggregateSpec(**limits)  # type: ignore[arg-type]  # the point of the test
