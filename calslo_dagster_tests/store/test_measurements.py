"""Measurements are replaced by whole partitions, exactly once, and come back as they were."""

import math
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from calslo_dagster.errors import StoreError
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.store import breaches, measurements, schema
from calslo_dagster.store.session import Store
from calslo_dagster_tests.store.builders import DAY, NEXT_DAY, STEP, day_of_measurements, measurement
from calslo_dagster_tests.torture.scenery import breach


def write(store: Store, rows: list[Measurement], start: datetime = DAY, end: datetime = NEXT_DAY) -> int:
    with store.write() as session:
        return measurements.replace(session, "ece_bound", rows, start=start, end=end)


def written(store: Store, start: datetime = DAY, end: datetime = NEXT_DAY) -> tuple[Measurement, ...]:
    with store.read() as session:
        return measurements.between(session, "ece_bound", start=start, end=end)


def test_every_field_of_a_measurement_has_its_column() -> None:
    """A field that the table lacks would be lost in silence."""
    columns = set(schema.measurements.c.keys()) - {"threshold_high", "warn_threshold_high"}

    assert columns == {field.name for field in fields(Measurement)}


def test_measurements_come_back_as_they_were(store: Store) -> None:
    rows = [
        measurement(DAY + STEP, value=0.1 + 0.2, verdict=Verdict.WARNING),
        measurement(DAY + STEP, slice="zz", threshold=(-0.02, 0.02), warn_threshold=(-0.01, 0.01)),
        measurement(DAY + 2 * STEP, value=None, low=None, high=None, threshold=None, warn_threshold=None, events=0),
        measurement(NEXT_DAY, labeled=0, verdict=Verdict.UNKNOWN, is_final=False, watermark=None, value=5e-324),
    ]

    assert write(store, rows) == 4
    assert written(store) == tuple(rows)


@pytest.mark.parametrize(
    "name", ["intent=🙂,language=日本語", "intent=" + "ü" * 193, "intent=" + "🙂" * 193, "a='b';--", "intent=%null"]
)
def test_slice_names_of_any_script_and_200_characters_are_kept(store: Store, name: str) -> None:
    assert len(name) <= 200

    write(store, [measurement(slice=name)])

    assert [row.slice for row in written(store)] == [name]


def test_replacing_twice_leaves_the_same_rows_as_replacing_once(store: Store) -> None:
    rows = day_of_measurements()
    write(store, rows)
    once = written(store)

    write(store, rows)

    assert written(store) == once
    assert len(once) == 192


def test_a_partition_owns_its_end_and_not_its_start(store: Store) -> None:
    before, inside, last = measurement(DAY), measurement(DAY + STEP), measurement(NEXT_DAY)
    write(store, [before], DAY - STEP, DAY)
    write(store, [inside, last])

    write(store, [])

    assert written(store) == ()
    assert written(store, DAY - STEP, DAY) == (before,)


def test_replacing_one_slo_leaves_the_others(store: Store) -> None:
    other = measurement(slo="score_range")
    with store.write() as session:
        measurements.replace(session, "score_range", [other], start=DAY, end=NEXT_DAY)

    write(store, [])

    with store.read() as session:
        assert measurements.between(session, "score_range", start=DAY, end=NEXT_DAY) == (other,)


@pytest.mark.parametrize("stray", [measurement(DAY), measurement(NEXT_DAY + STEP), measurement(slo="score_range")])
def test_a_row_outside_the_partition_is_refused(store: Store, stray: Measurement) -> None:
    with pytest.raises(ValueError, match="1 of 2 measurements are not of ece_bound"):
        write(store, [measurement(), stray])


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"value": math.nan}, "value must be a finite number or None, not nan at slo=ece_bound slice=*"),
        ({"value": np.float64("nan")}, "value must be a finite number"),
        ({"high": math.inf}, "high must be a finite number or None, not inf"),
        ({"threshold": (0.0, math.nan)}, "threshold_high must be a finite number or None, not nan"),
        (
            {"verdict": "fine"},
            "verdict must be one of breached, error, excluded, meeting, unknown, warning, not 'fine'",
        ),
        ({"events": -1}, "events must be a whole number from 0, not -1"),
        ({"slice": "x" * 201}, "slice must be text of 1 to 200 characters"),
        ({"window_start": DAY + STEP}, "each row must be one whose window ends after it starts"),
        ({"watermark": datetime(2026, 3, 2)}, "watermark must be a time with a time zone or None"),  # noqa: DTZ001
    ],
)
def test_what_breaks_the_schema_is_refused_and_the_old_rows_stay(
    store: Store, changes: dict[str, Any], complaint: str
) -> None:
    write(store, [measurement()])

    with pytest.raises(StoreError) as refused:
        write(store, [measurement(DAY + 2 * STEP), measurement(**changes)])

    assert str(refused.value).startswith("measurements: ")
    assert complaint in str(refused.value)
    assert written(store) == (measurement(),)


def test_only_the_first_cases_of_a_complaint_are_told(store: Store) -> None:
    rows = [replace(row, value=math.nan) for row in day_of_measurements()]

    with pytest.raises(StoreError, match="and 189 more") as refused:
        write(store, rows)

    assert len(str(refused.value)) < 500


def test_two_rows_of_one_window_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="each row must be unique, unlike slo=ece_bound slice="):
        write(store, [measurement(), measurement(value=0.5)])


def test_numbers_of_numpy_are_stored_as_numbers(store: Store) -> None:
    write(store, [measurement(value=np.float32(0.5), events=np.int64(7), labeled=np.int64(7), is_final=np.bool_(True))])

    (row,) = written(store)

    assert (row.value, row.events, row.is_final) == (0.5, 7, True)
    assert type(row.events) is int


def test_times_of_other_zones_are_the_same_instants(store: Store) -> None:
    tokyo = timezone(timedelta(hours=9))
    write(store, [measurement((DAY + STEP).astimezone(tokyo))])

    (row,) = written(store)

    assert row == measurement()
    assert row.window_end.tzinfo is UTC


def test_a_frame_has_the_same_types_with_and_without_rows(store: Store) -> None:
    with store.read() as session:
        empty = measurements.frame(session, start=DAY, end=NEXT_DAY)
    write(store, [measurement(), measurement(DAY + 2 * STEP, value=None, watermark=None)])
    with store.read() as session:
        full = measurements.frame(session, start=DAY, end=NEXT_DAY, slo="ece_bound", slice_name="*")

    assert empty.dtypes.to_dict() == full.dtypes.to_dict()
    assert str(full["window_end"].dtype) == "datetime64[us, UTC]"
    assert full["value"].isna().tolist() == [False, True]
    assert full["verdict"].tolist() == ["meeting", "meeting"]
    assert list(full.columns) == list(schema.measurements.c.keys())


def test_the_latest_measurement_of_each_slice_is_found(store: Store) -> None:
    rows = day_of_measurements()
    stale = measurement(DAY + STEP, slice="intent=gone")
    write(store, [*rows, stale])

    with store.read() as session:
        every = measurements.latest(session)
        recent = measurements.latest(session, slo="ece_bound", since=DAY + 2 * STEP)
        none = measurements.latest(session, slo="score_range")

    assert [(row.slice, row.window_end) for row in every] == [
        ("*", NEXT_DAY),
        ("intent=gone", DAY + STEP),
        ("intent=refund", NEXT_DAY),
    ]
    assert [row.slice for row in recent] == ["*", "intent=refund"]
    assert none == ()


def test_the_last_window_is_read_by_verdict(store: Store) -> None:
    bad, lost = measurement(slice="bad", verdict=Verdict.BREACHED), measurement(slice="lost", verdict=Verdict.UNKNOWN)
    write(store, [measurement(), bad, lost, measurement(DAY + 2 * STEP, verdict=Verdict.ERROR)])

    with store.read() as session:
        found = measurements.last_rows(session, "ece_bound", until=DAY + STEP, verdicts=[Verdict.BREACHED])
        judged = measurements.last_judged(session, "ece_bound", until=DAY + STEP)
        assert measurements.last_judged(session, "ece_bound", until=DAY) == {}

    assert found == (bad,)
    assert judged == {"*": "intent", "bad": "intent"}


def test_the_last_window_of_a_span_that_could_be_judged_is_known_by_slice(store: Store) -> None:
    late = measurement(DAY + 3 * STEP, slice="late")
    write(store, [measurement(), measurement(DAY + 2 * STEP, verdict=Verdict.UNKNOWN), measurement(slice="late"), late])

    with store.read() as session:
        names, end = ["*", "late", "nobody"], DAY + 2 * STEP
        assert measurements.last_known(session, "ece_bound", names, start=DAY, end=end) == {
            "*": DAY + STEP,
            "late": DAY + STEP,
        }
        assert measurements.last_known(session, "ece_bound", names, start=end, end=NEXT_DAY) == {"late": DAY + 3 * STEP}
        assert measurements.last_known(session, "ece_bound", [], start=DAY, end=NEXT_DAY) == {}


def test_the_worst_window_of_each_breach_that_goes_on_is_read(store: Store) -> None:
    worst = measurement(verdict=Verdict.BREACHED, value=0.4, events=812)
    write(store, [worst, measurement(DAY + 2 * STEP)])
    goes_on = breach("*", DAY + STEP, slo="ece_bound")
    over = breach("*", DAY + STEP, slo="ece_bound", closed_at=DAY + 2 * STEP)
    with store.write() as session:
        breaches.replace_since(session, "ece_bound", [replace(goes_on, id="a"), replace(over, id="b")], since=DAY)

    with store.read() as session:
        assert measurements.at_peaks(session, "ece_bound", now=DAY + STEP) == {"a": worst, "b": worst}
        assert measurements.at_peaks(session, "ece_bound", now=DAY + 2 * STEP) == {"a": worst}


def test_the_last_window_end_is_known(store: Store) -> None:
    with store.read() as session:
        assert measurements.last_end(session, "ece_bound") is None
    write(store, day_of_measurements())
    with store.read() as session:
        assert measurements.last_end(session, "ece_bound") == NEXT_DAY


def test_pruning_keeps_what_is_younger(store: Store) -> None:
    write(store, day_of_measurements(("*",)))

    with store.write() as session:
        assert measurements.prune(session, "ece_bound", DAY + 10 * STEP) == 9

    assert written(store)[0].window_end == DAY + 10 * STEP


def test_rows_sort_by_code_point_whatever_the_database(store: Store) -> None:
    names = ["Z", "a", "intent=É", "intent=a", "ß", "🙂"]
    write(store, [measurement(slice=name) for name in reversed(names)])

    assert [row.slice for row in written(store)] == sorted(names)


def test_the_last_final_measurement_comes_with_the_provisional_breaches_after_it(store: Store) -> None:
    final = [measurement(DAY + STEP), measurement(DAY + 2 * STEP), measurement(DAY + STEP, slice="quiet")]
    open_ones = [
        measurement(DAY + 3 * STEP, is_final=False, verdict=Verdict.BREACHED),
        measurement(DAY + 3 * STEP, slice="new", is_final=False),
    ]
    met = measurement(DAY + 3 * STEP, slice="quiet", is_final=False)
    write(store, [*final, *open_ones, met])

    with store.read() as session:
        everything = measurements.latest_rows(session, "ece_bound", since=DAY)
        recent = measurements.latest_rows(session, "ece_bound", since=DAY + STEP)

    assert everything == (final[2], final[1], *open_ones)
    assert recent == (final[1], *open_ones, met)
