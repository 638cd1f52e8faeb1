"""A pane's digest changes with its facts, and with nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from calslo_dagster.engine.aggregate import AggregateSpec
from calslo_dagster.engine.facts import HOUR_US, MINUTE_US, PANE_US
from calslo_dagster.engine.labels import apply_labels
from calslo_dagster.engine.merge import merge_facts
from calslo_dagster.engine.panes import FILE, PaneDigest, pane_digests
from calslo_dagster_tests.engine.logs import DAY, SPEC, Row, hours, partial, traffic

# In the second of four panes.
ROW = Row(DAY + PANE_US + 1, 0.25, 1, latency_us=90.0, mask_id="m")
OTHERS = [Row(DAY + n * PANE_US + MINUTE_US, prediction_id=f"p{n}") for n in range(4)]
CHANGES = (
    {"score": 0.2500001},
    {"label": 0},
    {"weight": 2.0},
    {"intent": None},
    {"intent": "", "language": "buyen"},
    {"calibrator_version": ""},
    {"mask_id": "n"},
    {"latency_us": 900.0},
    {"clamped": True},
    {"clamp_alpha": 0.5},
)


def by_start(found: tuple[PaneDigest, ...]) -> dict[int, PaneDigest]:
    return {pane.start_us: pane for pane in found}


def changed(one: tuple[PaneDigest, ...], other: tuple[PaneDigest, ...]) -> set[int]:
    return {pane.start_us for pane in set(one) ^ set(other)}


def test_there_is_a_digest_of_each_pane_with_rows(connection: DuckDBPyConnection, folder: Path) -> None:
    made = partial(connection, [Row(DAY + 3 * PANE_US), Row(DAY + 1), Row(DAY + 2), Row(DAY + 5 * PANE_US)], folder)

    assert [pane.start_us for pane in pane_digests(connection, made)] == [DAY, DAY + 3 * PANE_US, DAY + 5 * PANE_US]


@pytest.mark.parametrize("change", CHANGES, ids="-".join)
def test_every_change_of_an_event_changes_its_pane_alone(
    connection: DuckDBPyConnection, folder: Path, change: dict[str, object]
) -> None:
    new = replace(ROW, **change)  # type: ignore[arg-type]  # values of several types
    one, other = (pane_digests(connection, partial(connection, [*OTHERS, row], folder)) for row in (ROW, new))

    assert changed(one, other) == {DAY + PANE_US}
    assert by_start(one)[DAY + PANE_US].facts != by_start(other)[DAY + PANE_US].facts


def test_two_events_that_swap_one_value_change_the_digest(connection: DuckDBPyConnection, folder: Path) -> None:
    rows = [Row(DAY, 0.2, latency_us=50.0), Row(DAY, 0.7, latency_us=900.0, intent="search")]
    swapped = [replace(row, latency_us=other.latency_us) for row, other in zip(rows, rows[::-1], strict=True)]

    one, other = (pane_digests(connection, partial(connection, each, folder)) for each in (rows, swapped))

    assert changed(one, other) == {DAY}


def test_an_event_of_a_known_slice_changes_the_facts_and_not_the_slices(
    connection: DuckDBPyConnection, folder: Path
) -> None:
    before = by_start(pane_digests(connection, partial(connection, [*OTHERS, ROW], folder)))
    more = by_start(pane_digests(connection, partial(connection, [*OTHERS, ROW, ROW], folder)))
    other = by_start(pane_digests(connection, partial(connection, [*OTHERS, ROW, replace(ROW, intent="sell")], folder)))

    pane = DAY + PANE_US
    assert before[pane].facts != more[pane].facts
    assert before[pane].slices == more[pane].slices != other[pane].slices


def test_neither_order_nor_threads_matter(
    connection: DuckDBPyConnection, single_thread: DuckDBPyConnection, folder: Path
) -> None:
    log = traffic(600, seed=3)
    one, other = partial(connection, log, folder), partial(connection, log[::-1], folder)

    assert pane_digests(connection, one) == pane_digests(single_thread, other)


def test_a_day_that_was_merged_has_the_panes_of_its_hours(connection: DuckDBPyConnection, folder: Path) -> None:
    log = traffic(600, seed=4)
    parts = [partial(connection, log, folder, span=span) for span in hours(log)]
    merge_facts(connection, parts, folder / "merged")

    found = [pane for part in parts for pane in pane_digests(connection, part)]
    assert sorted(pane_digests(connection, folder / "merged"), key=lambda pane: pane.start_us) == found


def test_a_roll_up_has_the_first_panes_of_its_buckets(connection: DuckDBPyConnection, folder: Path) -> None:
    made = partial(connection, OTHERS, folder)
    merge_facts(connection, [made], folder / "rolled", HOUR_US)

    assert [pane.start_us for pane in pane_digests(connection, folder / "rolled")] == [DAY]


def test_late_labels_have_digests_of_the_panes_of_their_events(connection: DuckDBPyConnection, folder: Path) -> None:
    made, late = partial(connection, OTHERS, folder), folder / "late"
    labels = "SELECT 'p2' AS prediction_id, 1 AS label, NULL AS label_us"
    apply_labels(connection, [made], labels, late, spec=SPEC)

    (pane,) = pane_digests(connection, late)
    assert pane.start_us == DAY + 2 * PANE_US
    assert pane.slices == by_start(pane_digests(connection, made))[pane.start_us].slices


def test_a_log_without_slice_columns_has_digests(connection: DuckDBPyConnection, folder: Path) -> None:
    made = partial(connection, OTHERS, folder, spec=AggregateSpec(slice_columns=()))

    assert len({pane.slices for pane in pane_digests(connection, made)}) == 1


def test_digests_are_kept_beside_the_facts(connection: DuckDBPyConnection, folder: Path) -> None:
    made = partial(connection, OTHERS, folder)
    found = pane_digests(connection, made)
    for path in made.glob("*.parquet"):
        path.unlink()

    assert [path.name for path in made.iterdir()] == [FILE]
    assert pane_digests(connection, made) == found


@pytest.mark.parametrize("text", ["", "{", "[]", '{"making": 0, "panes": []}', '{"making": 1, "panes": [[1]]}'])
def test_a_file_of_no_use_is_written_anew(connection: DuckDBPyConnection, folder: Path, text: str) -> None:
    made = partial(connection, OTHERS, folder)
    found = pane_digests(connection, made)
    (made / FILE).write_text(text)

    assert pane_digests(connection, made) == found
    assert pane_digests(connection, made) == found


def test_a_partial_that_is_gone_has_no_panes(connection: DuckDBPyConnection, folder: Path) -> None:
    assert pane_digests(connection, folder / "gone") == ()
    assert not (folder / "gone").exists()
