"""Running sums answer windows exactly, even past 64 bits, and refuse what a window itself cannot hold."""

import numpy as np
import pytest

from calslo_dagster.engine.series import Ints, Panes, SliceRows, SnapshotSeries
from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats.snapshot import CELL_SUMS, TOTAL_SUMS

PANES = Panes(start_us=0, width_us=10, count=40)


def rows_of(sums: int, values: list[tuple[int, int, int]]) -> Ints:
    """Return rows of (pane, code) with one value in every sum."""
    table = [[pane, code, *[value] * sums] for pane, code, value in values]
    return np.array(table, dtype=np.int64).reshape(len(values), 2 + sums)


def series_of(values: list[tuple[int, int, int]], n: int = 1) -> SnapshotSeries:
    """Return a series with these (pane, bin, value) cells, and `n` events in each pane that has one."""
    totals = rows_of(len(TOTAL_SUMS), [(pane, 0, 0) for pane in sorted({pane for pane, _, _ in values})])
    totals[:, 2 + TOTAL_SUMS.index("n")] = n
    rows = SliceRows(totals, rows_of(len(CELL_SUMS), values), *(rows_of(1, []) for _ in range(3)))
    return SnapshotSeries.of(rows, PANES, mask_names=(), version_names=())


def test_sums_that_wrap_around_over_the_span_are_exact_in_a_window() -> None:
    series = series_of([(pane, 3, 2**61 - 7) for pane in range(40)])

    assert series.window(350, 370).cell_fixed("w")[3] == 2 * (2**61 - 7)
    with pytest.raises(SnapshotError, match="do not fit 64 bits"):
        series.window(0, 400)


def test_negative_sums_count_by_their_size() -> None:
    series = series_of([(0, 3, 2**61), (1, 3, -(2**61)), (2, 3, -(2**61))])

    assert series.window(0, 20).cell_fixed("w")[3] == 0
    with pytest.raises(SnapshotError, match="do not fit 64 bits"):
        series.window(0, 30)


def test_more_events_than_the_scales_allow_are_refused() -> None:
    series = series_of([(0, 3, 1), (1, 3, 1)], n=2**30 + 1)

    assert series.window(0, 10).events == 2**30 + 1
    with pytest.raises(SnapshotError, match="2147483650 events"):
        series.window(0, 20)


@pytest.mark.parametrize(("start", "end"), [(-10, 10), (0, 410), (5, 10)])
def test_windows_beside_the_panes_are_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not an edge"):
        series_of([(0, 3, 1)]).window(start, end)


def test_a_slice_without_rows_is_empty_everywhere() -> None:
    series = series_of([])

    assert series.whole().events == 0
    assert series.rows.tolist() == [0] * 40
