"""What is read back from partials is what was counted, for any view, window and split into partials."""

from collections import defaultdict
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calslo_dagster.engine import cube
from calslo_dagster.engine.facts import DAY_US, HOUR_US, MINUTE_US, PANE_US
from calslo_dagster.engine.read import facts_digest, seen, series, window
from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats.snapshot import merge
from calslo_dagster_tests.engine.logs import DAY, SLICES, Row, assert_same, hours, partial, reference, traffic

VIEWS = ((), ("intent",), ("language",), SLICES)


@pytest.fixture(scope="module")
def log() -> list[Row]:
    """Return three hours of traffic."""
    return traffic(1_200, seed=11)


@pytest.fixture(scope="module")
def parts(connection: DuckDBPyConnection, log: list[Row], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return one partial for each hour of the log."""
    folder = tmp_path_factory.mktemp("parts")
    return [partial(connection, log, folder, span=span) for span in hours(log)]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: "-".join(view) or "everything")
def test_a_window_holds_each_slice_of_each_view(
    connection: DuckDBPyConnection, parts: list[Path], log: list[Row], view: tuple[str, ...]
) -> None:
    start, end = DAY + PANE_US, DAY + 2 * HOUR_US + PANE_US
    expected: dict[tuple[str | None, ...], list[Row]] = defaultdict(list)
    for row in log:
        if row.event_us is not None and start <= row.event_us < end:
            expected[tuple(getattr(row, name) for name in view)].append(row)

    found = window(connection, parts, start, end, slice_columns=SLICES, views=[view])

    assert set(found) == {(view, values) for values in expected}
    for values, rows in expected.items():
        assert_same(found[view, values], reference(rows))


def test_everything_and_all_slices_are_the_default_views(connection: DuckDBPyConnection, parts: list[Path]) -> None:
    found = window(connection, parts, None, None, slice_columns=SLICES)

    assert {view for view, _ in found} == {(), SLICES}
    assert {view for view, _ in window(connection, parts, None, None)} == {()}


def test_slices_add_up_to_everything(connection: DuckDBPyConnection, parts: list[Path]) -> None:
    found = window(connection, parts, None, None, slice_columns=SLICES, views=VIEWS)

    for view in VIEWS:
        assert_same(merge(snapshot for (of, _), snapshot in found.items() if of == view), found[(), ()])


def test_slices_come_in_the_order_of_their_values(connection: DuckDBPyConnection, parts: list[Path]) -> None:
    found = [values for (view, values), _ in series(connection, parts, DAY, DAY + DAY_US, slice_columns=SLICES) if view]

    assert found == sorted(found, key=lambda values: [(value is not None, value or "") for value in values])


@pytest.mark.parametrize("batch_rows", [1, 7, 65_536])
def test_a_series_answers_every_window(
    connection: DuckDBPyConnection, parts: list[Path], monkeypatch: pytest.MonkeyPatch, batch_rows: int
) -> None:
    monkeypatch.setattr(cube, "BATCH_ROWS", batch_rows)
    start, end = DAY, DAY + 3 * HOUR_US
    found = dict(series(connection, parts, start, end, slice_columns=SLICES))

    for first, last in ((start, end), (start, start), (DAY + PANE_US, DAY + 7 * PANE_US), (end - PANE_US, end)):
        expected = window(connection, parts, first, last, slice_columns=SLICES)
        for key, slice_series in found.items():
            if key in expected:
                assert_same(slice_series.window(first, last), expected[key])
            else:
                assert slice_series.window(first, last).events == 0


def test_a_series_may_be_left_before_its_end(connection: DuckDBPyConnection, parts: list[Path]) -> None:
    unfinished = series(connection, parts, DAY, DAY + DAY_US, slice_columns=SLICES, views=[SLICES])
    first, _ = next(unfinished)
    again = next(iter(window(connection, parts, DAY, DAY + DAY_US, slice_columns=SLICES, views=[SLICES])))
    unfinished.close()  # type: ignore[attr-defined]  # a generator

    assert first == again


def test_a_series_knows_which_panes_are_empty(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    rows = [Row(DAY + 1), Row(DAY + 2 * PANE_US, score=None), Row(DAY + 2 * PANE_US), Row(DAY + 3 * PANE_US, score=2.0)]
    made = partial(connection, rows, tmp_path)

    ((_, found),) = series(connection, [made], DAY, DAY + HOUR_US)

    assert found.events.tolist() == [1, 0, 1, 0]
    assert found.rows.tolist() == [1, 0, 2, 1]


def test_slices_of_label_partials_meet_those_of_events(connection: DuckDBPyConnection, parts: list[Path]) -> None:
    """A partial without latency and masks, as labels write it, is fine."""
    for path in ("latency.parquet", "masks.parquet"):
        assert (parts[0] / path).exists()
    thin = parts[0].parent / "thin"
    thin.mkdir()
    for name in ("totals.parquet", "cells.parquet"):
        (thin / name).write_bytes((parts[0] / name).read_bytes())

    once = window(connection, [parts[0]], None, None)[(), ()]
    twice = window(connection, [parts[0], thin], None, None)[(), ()]

    assert twice.events == 2 * once.events
    assert twice.latency.sum() == once.latency.sum()


def test_no_partials_hold_nothing(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    assert window(connection, [], None, None, slice_columns=SLICES) == {}
    assert window(connection, [tmp_path / "gone"], DAY, DAY + PANE_US) == {}
    assert list(series(connection, [], DAY, DAY + DAY_US)) == []


def test_a_window_between_events_holds_nothing(connection: DuckDBPyConnection, parts: list[Path]) -> None:
    assert window(connection, parts, DAY - DAY_US, DAY, slice_columns=SLICES) == {}
    assert window(connection, parts, DAY, DAY, slice_columns=SLICES) == {}


@pytest.mark.parametrize(("start", "end"), [(DAY + MINUTE_US, DAY + DAY_US), (DAY, DAY + 1)])
def test_windows_off_the_grid_are_refused(
    connection: DuckDBPyConnection, parts: list[Path], start: int, end: int
) -> None:
    with pytest.raises(ValueError, match="not on a multiple of 900000000 us"):
        window(connection, parts, start, end)
    with pytest.raises(ValueError, match="not on a multiple of 900000000 us"):
        next(series(connection, parts, start, end))


def test_a_view_of_unknown_columns_is_refused(connection: DuckDBPyConnection, parts: list[Path]) -> None:
    with pytest.raises(SnapshotError, match="not 'country'"):
        window(connection, parts, None, None, slice_columns=("intent", "country"))


def test_a_window_whose_weights_do_not_fit_is_refused(connection: DuckDBPyConnection, tmp_path: Path) -> None:
    rows = [Row(DAY + i * PANE_US, score=0.15, label=1, weight=10_000.0) for i in range(60)]
    made = partial(connection, rows, tmp_path)

    ((_, found),) = series(connection, [made], DAY, DAY + DAY_US)

    assert found.window(DAY, DAY + 5 * PANE_US).events == 5
    assert found.window(DAY + 55 * PANE_US, DAY + 60 * PANE_US).events == 5
    with pytest.raises(SnapshotError, match="divide the weights by their mean"):
        found.window(DAY, DAY + 60 * PANE_US)
    with pytest.raises(SnapshotError, match="64 bits"):
        window(connection, [made], None, None)


def test_slices_that_fit_one_by_one_are_read_where_all_of_them_together_do_not(
    connection: DuckDBPyConnection, tmp_path: Path
) -> None:
    rows = [
        Row(DAY + i, score=0.15, label=1, weight=10_000.0, intent=f"i{n}", prediction_id=f"p{n}-{i}")
        for n in range(12)
        for i in range(5)
    ]
    made = partial(connection, rows, tmp_path)

    found = window(connection, [made], None, None, slice_columns=SLICES, views=[SLICES])

    assert len(found) == 12
    for (_, (intent, _)), snapshot in found.items():
        assert_same(snapshot, reference([row for row in rows if row.intent == intent]))
    with pytest.raises(SnapshotError, match="64 bits"):
        window(connection, [made], None, None)


def test_the_snapshots_of_a_window_share_arrays_that_nobody_can_change(
    connection: DuckDBPyConnection, parts: list[Path]
) -> None:
    snapshot = window(connection, parts, None, None)[(), ()]

    with pytest.raises(ValueError, match="read-only"):
        snapshot.cells[0, 0] = 1


@pytest.mark.parametrize(("start", "end"), [(DAY, DAY + HOUR_US), (DAY + PANE_US, DAY + 2 * PANE_US), (0, DAY)])
def test_slices_are_seen_where_a_window_has_them(
    connection: DuckDBPyConnection, parts: list[Path], start: int, end: int
) -> None:
    for views in (None, VIEWS):
        found = window(connection, parts, start, end, slice_columns=SLICES, views=views)

        assert seen(connection, parts, start, end, slice_columns=SLICES, views=views) == list(found)


def test_nothing_is_seen_off_the_grid_or_without_partials(connection: DuckDBPyConnection, parts: list[Path]) -> None:
    assert seen(connection, [], DAY, DAY + HOUR_US) == []
    with pytest.raises(ValueError, match="not on a multiple of 900000000 us"):
        seen(connection, parts, DAY, DAY + MINUTE_US)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_the_digest_does_not_see_how_facts_are_split(
    connection: DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory, pieces: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("split")
    log = traffic(200, seed=13)
    order = np.random.default_rng(seed).permutation(len(log))
    whole = partial(connection, log, folder)

    split = [partial(connection, (log[i] for i in islice(order, n, None, pieces)), folder) for n in range(pieces)]

    assert facts_digest(connection, split) == facts_digest(connection, split[::-1]) == facts_digest(connection, [whole])


@pytest.mark.parametrize(
    "change",
    [
        {"score": 0.2500001},
        {"label": 0},
        {"weight": 2.0},
        {"intent": None},
        {"intent": "", "language": "buyen"},
        {"calibrator_version": ""},
        {"mask_id": "n"},
        {"event_us": DAY + 1},
        {"latency_us": 900.0},
    ],
    ids="-".join,
)
def test_the_digest_sees_every_change_of_an_event(
    connection: DuckDBPyConnection, tmp_path: Path, change: dict[str, object]
) -> None:
    row = Row(DAY, 0.25, 1, latency_us=90.0, mask_id="m")
    changed = replace(row, **change)  # type: ignore[arg-type]  # values of several types

    one, other = (partial(connection, [each], tmp_path) for each in (row, changed))

    assert facts_digest(connection, [one]) != facts_digest(connection, [other])
