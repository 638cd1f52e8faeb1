"""A prediction id counts once per hour, and which copy counts does not depend on the order of rows."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calslo_dagster.engine import staging
from calslo_dagster.engine.aggregate import AggregateSpec
from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.engine.read import window
from calslo_dagster_tests.builders import snap_events
from calslo_dagster_tests.engine.logs import DAY, SLICES, Row, assert_same, contents, counted, partial, traffic

FIXTURES = [HealthCheck.function_scoped_fixture]

rows = st.builds(
    Row,
    event_us=st.sampled_from([None, DAY, DAY + 1, DAY + HOUR_US - 1, DAY + HOUR_US, DAY + HOUR_US + 5]),
    score=st.sampled_from([None, math.nan, -0.5, 0.0, -0.0, 0.25, 0.7, 1.0]),
    label=st.sampled_from([None, 0, 1, -1]),
    prediction_id=st.sampled_from([None, "", "a", "b", "c"]),
    intent=st.sampled_from([None, "buy", "search"]),
    weight=st.sampled_from([None, 1.0, 0.5, math.nan]),
    calibrator_version=st.sampled_from([None, "v1", "v2"]),
    mask_id=st.sampled_from([None, "m"]),
)


def rank(row: Row) -> tuple[tuple[bool, bool, object], ...]:
    """Return what copies are ordered by: values, then NaN, then null."""
    values = [row.event_us, row.score, row.label, row.weight, row.latency_us, row.clamped, row.clamp_alpha]
    values += [row.calibrator_version, row.mask_id, row.intent, row.language]  # type: ignore[list-item]  # texts, too
    nan = [isinstance(value, float) and math.isnan(value) for value in values]
    return tuple((v is None, is_nan, 0 if v is None or is_nan else v) for v, is_nan in zip(values, nan, strict=True))


def settle(copies: Sequence[Row]) -> tuple[Row, bool]:
    """Return the copy that counts, with the label that the copies agree on, and whether they contradict each other."""
    chosen = min(copies, key=rank)
    labels = {copy.label for copy in copies} & {0, 1}
    if not labels:
        return chosen, False
    return replace(chosen, label=labels.pop() if len(labels) == 1 else None), len(labels) > 0


@settings(max_examples=25, deadline=None, suppress_health_check=FIXTURES)
@given(log=st.lists(rows, max_size=14), seed=st.randoms(use_true_random=False))
def test_one_copy_counts_and_the_others_are_duplicates(
    connection: DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory, log: list[Row], seed: object
) -> None:
    folder = tmp_path_factory.mktemp("log")
    groups: dict[object, list[Row]] = defaultdict(list)
    for i, row in enumerate(log):
        if row.event_us is not None:
            groups[(row.prediction_id, row.event_us // HOUR_US) if row.prediction_id else i].append(row)
    settled = [settle(copies) for copies in groups.values()]
    expected = snap_events(
        [row.event() for row, _ in settled],
        duplicates=sum(len(copies) - 1 for copies in groups.values()),
        conflicts=sum(conflict and is_good(row) for row, conflict in settled),
    )

    made, found = counted(connection, log, folder)
    seed.shuffle(log)  # type: ignore[attr-defined]  # a Random
    snapshots = window(connection, [made], None, None)

    assert contents(partial(connection, log, folder)) == contents(made)
    assert found.pending == sum(waits(row) and not conflict for row, conflict in settled)
    assert found.duplicates == expected.count("duplicates")
    assert found.conflicts == expected.count("conflicts")
    if groups:
        assert_same(snapshots[(), ()], expected)


def is_good(row: Row) -> bool:
    good_weight = row.weight is None or row.weight >= 0
    return row.score is not None and 0 <= row.score <= 1 and good_weight and row.label != -1


def waits(row: Row) -> bool:
    return is_good(row) and row.label is None and bool(row.prediction_id)


def test_contradicting_labels_leave_the_event_without_one_for_good(
    connection: DuckDBPyConnection, folder: Path
) -> None:
    copies = [Row(prediction_id="a", label=label, event_us=DAY + i) for i, label in enumerate([None, 0, 1, 1])]

    made, found = counted(connection, copies, folder)

    assert (found.events, found.labeled, found.pending) == (1, 0, 0)
    assert (found.duplicates, found.conflicts) == (3, 1)
    assert "pending.parquet" not in contents(made)


def test_a_copy_that_brings_the_label_gives_it_to_the_event(connection: DuckDBPyConnection, folder: Path) -> None:
    copies = [Row(prediction_id="a", event_us=DAY), Row(prediction_id="a", event_us=DAY + 9, label=1, score=0.9)]

    made, found = counted(connection, copies, folder)
    snapshot = window(connection, [made], None, None)[(), ()]

    assert (found.events, found.labeled, found.duplicates) == (1, 1, 1)
    assert snapshot.total("ws_lab") == 0.5


def test_an_id_counts_again_in_the_next_hour(connection: DuckDBPyConnection, folder: Path) -> None:
    _, found = counted(connection, [Row(prediction_id="a", event_us=DAY + i * HOUR_US) for i in range(3)], folder)

    assert (found.events, found.duplicates) == (3, 0)


def test_copies_all_count_when_nobody_asked_to_find_them(connection: DuckDBPyConnection, folder: Path) -> None:
    spec = AggregateSpec(SLICES, deduplicate=False)

    _, found = counted(connection, [Row(prediction_id="a")] * 3, folder, spec=spec)

    assert (found.events, found.duplicates, found.pending) == (3, 0, 3)


def test_the_number_of_passes_over_the_ids_changes_nothing(
    connection: DuckDBPyConnection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = traffic(700, seed=3)
    log += log[::3]
    expected = contents(partial(connection, log, folder))

    monkeypatch.setattr(staging, "HASHES_PER_PASS", 50)
    monkeypatch.setattr(staging, "REPEATED_PER_PASS", 30)

    assert contents(partial(connection, log, folder)) == expected


def test_a_pass_leaves_no_staged_file_behind(connection: DuckDBPyConnection, folder: Path) -> None:
    (spill,) = connection.execute("SELECT current_setting('temp_directory')").fetchall()[0]
    before = set(Path(spill).iterdir())

    partial(connection, [Row(prediction_id="a")] * 2, folder)

    assert set(Path(spill).iterdir()) == before


def test_rows_are_values() -> None:
    """The reference ranks rows by their fields, so a new field must be thought of there."""
    assert len(astuple(Row())) == 12
