"""Labels that come late, in any batches and any order, end in the facts of a log that had them from the start."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from duckdb import DuckDBPyConnection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calslo_dagster.engine.aggregate import AggregateSpec
from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.engine.labels import AppliedLabels, LabelPolicy, apply_labels
from calslo_dagster.engine.read import facts_digest
from calslo_dagster.errors import SnapshotError
from calslo_dagster_tests.engine.logs import DAY, SPEC, Row, contents, hours, partial, traffic

FIXTURES = [HealthCheck.function_scoped_fixture]
NOTHING = AppliedLabels(*[0] * 11)

Label = tuple[str | None, int | None, int | None]


def feed(labels: Iterable[Label], folder: Path) -> str:
    """Write a batch of (id, label, time) and return the SELECT that reads it."""
    listed = list(labels)
    types = {"prediction_id": pa.string(), "label": pa.int16(), "label_us": pa.int64()}
    arrays = {name: pa.array([row[i] for row in listed], kind) for i, (name, kind) in enumerate(types.items())}
    path = folder / f"feed-{len(list(folder.glob('feed-*')))}.parquet"
    pq.write_table(pa.table(arrays), path)
    return f"SELECT * FROM read_parquet('{path}')"


def apply_in_turn(
    connection: DuckDBPyConnection,
    events: Sequence[Path],
    batches: Iterable[Sequence[Label]],
    folder: Path,
    *,
    policy: LabelPolicy = LabelPolicy.FIRST,
) -> list[Path]:
    """Apply the batches one after the other, each to every event partial apart, and return the label partials."""
    made: list[list[Path]] = [[] for _ in events]
    for turn, batch in enumerate(batches):
        sql = feed(batch, folder)
        for place, partial_of_hour in enumerate(events):
            out = folder / f"labels-{turn}-{place}"
            apply_labels(connection, [partial_of_hour], sql, out, spec=SPEC, ledgers=made[place], policy=policy)
            made[place].append(out)
    return [path for paths in made for path in paths]


@settings(max_examples=8, deadline=None, suppress_health_check=FIXTURES)
@given(seed=st.integers(0, 2**32 - 1), batches=st.integers(1, 4))
def test_labels_in_any_batches_and_order_end_where_labels_in_the_log_do(
    connection: DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory, seed: int, batches: int
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    rng = np.random.default_rng(seed)
    final = traffic(300, seed=7, hours=2, labelled=0.8)
    late = rng.random(len(final)) < 0.5
    log = [replace(row, label=None) if is_late else row for row, is_late in zip(final, late, strict=True)]
    labels: list[Label] = [
        (row.prediction_id, row.label, None) for row, is_late in zip(final, late, strict=True) if is_late
    ]
    repeated = labels + labels[::5] + [("nobody", 1, 5), ("p7-0", None, 1), (None, 1, 1), ("p7-1", -1, 0)]
    turns = rng.integers(batches, size=len(repeated))
    order = rng.permutation(len(repeated))

    events = [partial(connection, log, folder, span=span) for span in hours(log)]
    in_turn = [[repeated[i] for i in order if turns[i] == turn] for turn in range(batches)]
    parts = apply_in_turn(connection, events, in_turn, folder)

    expected = partial(connection, final, folder)
    assert facts_digest(connection, [*events, *parts]) == facts_digest(connection, [expected])


TIMES = st.one_of(st.none(), st.integers(0, 3), st.just(2**61))
BATCH = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0, 1]), TIMES), max_size=6)


def decided(labels: Iterable[Label], name: str, policy: LabelPolicy) -> int | None:
    """Return the label that the set of all labels gives to a prediction, whatever their batches."""
    known = [(time, label) for found, label, time in labels if found == name and label is not None]
    never = math.inf if policy is LabelPolicy.FIRST else -math.inf
    timed = [(never if time is None or time > 2**60 else time, label) for time, label in known]
    if policy is LabelPolicy.FIRST:
        return min(timed)[1] if timed else None
    return -max((time, -label) for time, label in timed)[1] if timed else None


@settings(max_examples=12, deadline=None, suppress_health_check=FIXTURES)
@given(batches=st.lists(BATCH, max_size=5), policy=st.sampled_from(LabelPolicy))
def test_which_of_several_labels_counts_depends_on_the_set_of_them_only(
    connection: DuckDBPyConnection,
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[Label]],
    policy: LabelPolicy,
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    log = [Row(DAY + i, 0.1 + 0.2 * i, None, name, weight=0.7) for i, name in enumerate("abcd")]
    every = [label for batch in batches for label in batch]

    events = partial(connection, log, folder)
    parts = apply_in_turn(connection, [events], batches, folder, policy=policy)

    final = [replace(row, label=decided(every, row.prediction_id or "", policy)) for row in log]
    assert facts_digest(connection, [events, *parts]) == facts_digest(connection, [partial(connection, final, folder)])


def test_a_label_taken_back_leaves_exactly_nothing(connection: DuckDBPyConnection, folder: Path) -> None:
    """Scores and weights whose products have no exact sum in floating point."""
    log = [Row(DAY, 1 / 3 + i / 1000, None, f"p{i}", weight=1 / 7) for i in range(50)]
    batches: list[list[Label]] = [[(row.prediction_id, label, at) for row in log] for at, label in enumerate((1, 0, 1))]

    events = partial(connection, log, folder)
    parts = apply_in_turn(connection, [events], batches, folder, policy=LabelPolicy.LAST)

    assert facts_digest(connection, [events, *parts]) == facts_digest(connection, [events, parts[0]])


@pytest.mark.parametrize(("times", "winner"), [((1, 9), 1), ((9, 1), 0), ((None, 9), 0), ((9, None), 1)])
def test_the_label_that_was_written_first_counts_in_whichever_batch_it_comes(
    connection: DuckDBPyConnection, folder: Path, times: tuple[int | None, int | None], winner: int
) -> None:
    events = partial(connection, [Row(prediction_id="a")], folder)
    parts = apply_in_turn(connection, [events], [[("a", 1, times[0])], [("a", 0, times[1])]], folder)

    expected = partial(connection, [Row(prediction_id="a", label=winner)], folder)
    assert facts_digest(connection, [events, *parts]) == facts_digest(connection, [expected])


@pytest.mark.parametrize(
    ("policy", "winner"), [(LabelPolicy.FIRST, 1), (LabelPolicy.LAST, 0)], ids=["earliest", "latest"]
)
def test_within_a_batch_time_decides(
    connection: DuckDBPyConnection, folder: Path, policy: LabelPolicy, winner: int
) -> None:
    events = partial(connection, [Row(prediction_id="a")], folder)
    batch: list[Label] = [("a", 0, 20), ("a", 1, 10), ("a", 1, 15)]

    parts = apply_in_turn(connection, [events], [batch], folder, policy=policy)

    expected = partial(connection, [Row(prediction_id="a", label=winner)], folder)
    assert facts_digest(connection, [events, *parts]) == facts_digest(connection, [expected])


@pytest.mark.parametrize("policy", LabelPolicy)
@pytest.mark.parametrize("time", [None, 10, -1, 2**62])
def test_of_two_labels_at_one_time_the_smaller_counts(
    connection: DuckDBPyConnection, folder: Path, policy: LabelPolicy, time: int | None
) -> None:
    events = partial(connection, [Row(prediction_id="a")], folder)

    parts = apply_in_turn(connection, [events], [[("a", 1, time), ("a", 0, time)]], folder, policy=policy)

    ledger = connection.execute(f"SELECT label, label_us FROM '{parts[0]}/ledger.parquet'").fetchall()
    assert ledger == [(0, 10 if time == 10 else None)]


def test_every_row_of_a_batch_is_accounted_for(connection: DuckDBPyConnection, folder: Path) -> None:
    events = partial(connection, [Row(prediction_id=name) for name in "abcd"], folder)
    known = feed([("d", 1, 1)], folder)
    apply_labels(connection, [events], known, folder / "labels-1", spec=SPEC)
    batch: list[Label] = [
        *[("a", 1, 1), ("a", 1, 2), ("a", 0, 3)],
        *[("b", 0, None), ("nobody", 0, 1), ("d", 0, 2)],
        *[(None, 1, 1), ("", 1, 1), ("c", None, 1), ("c", -1, 1), ("c", 2, 1)],
    ]

    found = apply_labels(
        connection, [events], feed(batch, folder), folder / "labels-2", spec=SPEC, ledgers=[folder / "labels-1"]
    )

    assert found == replace(
        NOTHING,
        rows=11,
        applied=2,
        settled=1,
        unmatched=1,
        missing_ids=2,
        null_labels=1,
        bad_labels=2,
        duplicates=1,
        contradictions=1,
    )


def test_a_changed_label_is_counted_as_replaced(connection: DuckDBPyConnection, folder: Path) -> None:
    events = partial(connection, [Row(prediction_id=name) for name in "abcd"], folder)
    known: list[Label] = [(name, 1, 5) for name in "abcd"]
    apply_labels(connection, [events], feed(known, folder), folder / "labels-1", spec=SPEC)

    found = apply_labels(
        connection,
        [events],
        feed([("a", 0, 6), ("b", 1, 6), ("c", 1, 4), ("d", 0, 4)], folder),
        folder / "labels-2",
        spec=SPEC,
        ledgers=[folder / "labels-1"],
        policy=LabelPolicy.LAST,
    )

    assert found == replace(NOTHING, rows=4, replaced=1, settled=3, retimed=1)


def test_applying_a_batch_again_writes_the_same_bytes(
    connection: DuckDBPyConnection, single_thread: DuckDBPyConnection, folder: Path
) -> None:
    log = traffic(500, seed=9, labelled=0.0)
    labels: list[Label] = [(row.prediction_id, i % 2, DAY + i) for i, row in enumerate(log)]
    events = partial(connection, log, folder)

    apply_labels(connection, [events], feed(labels, folder), folder / "one", spec=SPEC)
    apply_labels(single_thread, [events], feed(labels[::-1] * 2, folder), folder / "two", spec=SPEC)

    assert contents(folder / "one") == contents(folder / "two")


def test_an_id_in_several_hours_is_labelled_in_each(connection: DuckDBPyConnection, folder: Path) -> None:
    log = [Row(DAY + i * HOUR_US, prediction_id="a") for i in range(3)]
    events = [partial(connection, log, folder, span=span) for span in hours(log)]

    found = apply_labels(connection, events, feed([("a", 1, None)], folder), folder / "labels", spec=SPEC)

    expected = partial(connection, [replace(row, label=1) for row in log], folder)
    assert found.applied == 3
    assert facts_digest(connection, [*events, folder / "labels"]) == facts_digest(connection, [expected])


def test_labels_for_rejected_events_find_nobody(connection: DuckDBPyConnection, folder: Path) -> None:
    events = partial(connection, [Row(score=math.nan, prediction_id="a"), Row(prediction_id="b", label=1)], folder)

    found = apply_labels(connection, [events], feed([("a", 1, 1), ("b", 0, 1)], folder), folder / "labels", spec=SPEC)

    assert found == replace(NOTHING, rows=2, unmatched=2)
    assert facts_digest(connection, [events, folder / "labels"]) == facts_digest(connection, [events])


def test_events_of_other_slices_are_not_labelled(connection: DuckDBPyConnection, folder: Path) -> None:
    other = AggregateSpec(slice_columns=("intent",))
    events = partial(connection, [Row(prediction_id="a")], folder, spec=other)

    with pytest.raises(SnapshotError, match="slice columns changed"):
        apply_labels(connection, [events], feed([("a", 1, 1)], folder), folder / "labels", spec=SPEC)
