"""Every noun of the store comes back as it went in, on both databases."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from calslo_dagster.errors import StoreError
from calslo_dagster.slo.availability import Tally
from calslo_dagster.slo.budget import budget
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.health import Finding, roll_up
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.reliability import Exposure, reliability
from calslo_dagster.slo.windows import Window
from calslo_dagster.store import (
    availability,
    definitions,
    drift,
    drift_attributions,
    drift_distances,
    evaluations,
    exclusions,
    health,
    partials,
    slices,
    source_units,
    watermarks,
)
from calslo_dagster.store.availability import AvailabilityRow
from calslo_dagster.store.definitions import Definition
from calslo_dagster.store.drift import DriftRow
from calslo_dagster.store.drift_attributions import AttributionRow
from calslo_dagster.store.drift_distances import DistanceRow
from calslo_dagster.store.health import Scope
from calslo_dagster.store.partials import Kind, Partial
from calslo_dagster.store.session import Store
from calslo_dagster.store.slices import SliceRow
from calslo_dagster.store.source_units import Role, UnitRecord
from calslo_dagster.store.watermarks import Watermark
from calslo_dagster_tests.store.builders import DAY, NEXT_DAY, STEP, measurement

HOUR = timedelta(hours=1)
HOUR_US = 3_600_000_000

UNIT = UnitRecord(
    source="log",
    role=Role.EVENTS,
    unit="2026/03/02/a b 🙂.parquet",
    fingerprint="2026/03/02/a b 🙂.parquet:123:456",
    rows=10,
    first_us=1,
    last_us=2**53 + 1,
    hours={HOUR_US: 4, 0: 6},
    rejected={"bad_time": 2},
    error=None,
    retry=False,
    seen_at=DAY,
)
PARTIAL = Partial(
    source="log",
    kind=Kind.EVENT,
    batch="",
    span_start_us=0,
    span_end_us=HOUR_US,
    totals_us=60_000_000,
    cells_us=900_000_000,
    inputs_digest="a" * 64,
    content_digest="b" * 64,
    path="log/event/0/bbbb",
    rows={"totals": 3, "cells": 40},
    first_us=5,
    last_us=None,
    run_id="run-1",
    created_at=DAY,
)
DRIFT = DriftRow(
    week_end=DAY,
    slice="*",
    metric="aece",
    current=0.02,
    previous=0.01,
    delta=0.01,
    se=None,
    low=-0.001,
    high=0.021,
    events_current=1_000,
    events_previous=900,
    limit=0.01,
    verdict=Verdict.UNKNOWN,
    reason="the interval holds the limit",
    p_value=0.2,
    q_value=0.4,
    events_needed=90_000,
)


def test_units_of_a_source_are_kept_by_role(store: Store) -> None:
    labels = replace(UNIT, role=Role.LABELS, error="a.csv: no column label", first_us=None, last_us=None, retry=True)
    with store.write() as session:
        source_units.put(session, [UNIT, labels, replace(UNIT, source="other")])
        source_units.put(session, [replace(UNIT, rows=11)])

    with store.read() as session:
        assert source_units.records(session, "log", Role.EVENTS) == (replace(UNIT, rows=11),)
        assert source_units.records(session, "log", Role.LABELS) == (labels,)
    with store.write() as session:
        source_units.forget(session, "log", Role.EVENTS, [UNIT.unit, "never seen"])
        source_units.forget(session, "log", Role.LABELS, [])
        assert source_units.records(session, "log", Role.EVENTS) == ()
        assert source_units.records(session, "log", Role.LABELS) == (labels,)


def test_a_unit_is_known_by_its_content_or_else_by_its_state(store: Store) -> None:
    file = replace(UNIT, unit="b", content="10:x:y:")
    with store.write() as session:
        source_units.put(session, [UNIT, file])

    with store.read() as session:
        found = source_units.records(session, "log", Role.EVENTS)
    assert found == (UNIT, file)
    assert [unit.identity for unit in found] == [UNIT.fingerprint, "10:x:y:"]


def test_a_record_kept_apart_from_its_unit_still_has_the_name_of_it() -> None:
    apart = replace(UNIT, unit=UNIT.apart)

    assert apart.unit != UNIT.unit == UNIT.name == apart.name
    assert apart.apart == apart.unit != replace(UNIT, fingerprint="other").apart


def test_partials_are_found_by_what_they_overlap(store: Store) -> None:
    later = replace(PARTIAL, span_start_us=HOUR_US, span_end_us=2 * HOUR_US, path="later")
    label = replace(PARTIAL, kind=Kind.LABEL, batch="2026-03-02.csv", path="label")
    with store.write() as session:
        partials.put(session, [later, label, replace(PARTIAL, path="old"), replace(PARTIAL, source="other", path="o")])
        partials.put(session, [PARTIAL])

    with store.read() as session:
        assert partials.of_source(session, "log") == (PARTIAL, later, label)
        assert partials.of_source(session, "log", Kind.LABEL) == (label,)
        assert partials.overlapping(session, "log", start_us=1, end_us=HOUR_US) == (PARTIAL, label)
        assert partials.overlapping(session, "log", start_us=HOUR_US, end_us=HOUR_US + 1) == (later,)
        assert partials.overlapping(session, "log", start_us=0, end_us=9, kind=Kind.LABEL) == (label,)
        assert partials.paths(session) == {PARTIAL.path, "later", "label", "o"}
    with store.write() as session:
        partials.remove(session, [PARTIAL])
        assert partials.of_source(session, "log") == (later, label)


def test_watermarks_move(store: Store) -> None:
    with store.write() as session:
        watermarks.put(session, Watermark("log", None, None))
        watermarks.put(session, Watermark("log", DAY, DAY + STEP))

    with store.read() as session:
        assert watermarks.of_source(session, "log") == Watermark("log", DAY, DAY + STEP)
        assert watermarks.of_source(session, "other") is None
        assert watermarks.every(session) == (Watermark("log", DAY, DAY + STEP),)


def test_slices_keep_their_values(store: Store) -> None:
    everything = SliceRow("*", "", {})
    refund = SliceRow("intent=refund,language=%null", "intent,language", {"intent": "refund", "language": None})
    with store.write() as session:
        slices.put(session, [refund, everything])
        slices.put(session, [refund])

    with store.read() as session:
        assert slices.every(session) == (everything, refund)
        assert slices.every(session, "intent,language") == (refund,)


def test_evaluations_are_known_by_window_end(store: Store) -> None:
    with store.write() as session:
        evaluations.put(session, "ece_bound", {DAY: "a", DAY + STEP: "b"}, at=NEXT_DAY)
        evaluations.put(session, "ece_bound", {DAY + STEP: "c"}, at=NEXT_DAY + STEP)

    with store.write() as session:
        assert evaluations.between(session, "ece_bound", start=DAY, end=NEXT_DAY) == {DAY + STEP: "c"}
        assert evaluations.last_end(session, "ece_bound", until=DAY) == DAY
        assert evaluations.last_end(session, "other", until=DAY) is None
        assert evaluations.prune(session, "ece_bound", DAY + STEP) == 1


def test_what_is_evaluated_of_the_past_says_nothing_of_the_present(store: Store) -> None:
    with store.write() as session:
        assert (evaluations.last_live(session, "ece_bound"), evaluations.last_closed(session, "ece_bound")) == (
            None,
            None,
        )
        evaluations.put(session, "ece_bound", {DAY: "a", DAY + STEP: "b"}, at=DAY + STEP / 2)
        evaluations.put(session, "ece_bound", {DAY - STEP: "c"}, at=NEXT_DAY)

    with store.write() as session:
        assert evaluations.last_live(session, "ece_bound") == DAY + STEP / 2
        assert evaluations.last_closed(session, "ece_bound") == DAY
        evaluations.touch(session, "ece_bound", at=DAY + STEP)
        assert evaluations.last_live(session, "ece_bound") == DAY + STEP


def test_drift_of_a_week_is_replaced(store: Store) -> None:
    brier = replace(DRIFT, metric="brier", current=None, delta=None, verdict=Verdict.MEETING)
    next_week = replace(DRIFT, week_end=DAY + timedelta(days=7))
    with store.write() as session:
        assert drift.last_week(session) is None
        drift.replace(session, DAY, [brier, DRIFT])
        drift.replace(session, next_week.week_end, [next_week])
        drift.replace(session, DAY, (row for row in (brier, DRIFT)))

    with store.read() as session:
        assert drift.of_week(session, DAY) == (DRIFT, brier)
        assert drift.history(session, since=DAY, slice_name="*") == (DRIFT, brier, next_week)
        assert drift.last_week(session) == next_week.week_end


def test_drift_of_weeks_past_their_time_goes_with_its_causes_and_distances(store: Store) -> None:
    next_week = DAY + timedelta(days=7)
    whole = AttributionRow(DAY, "*", "bias", "*", 0.2, 0.1, 0.1, 0.1, 0.0, 0.0, 0.0, 1.0, 1.0)
    part = replace(whole, part="intent=a", current=None, previous=None, share_previous=0.5)
    psi = DistanceRow(DAY, "*", "psi", 0.3, 0.01, 0.0, 900, "large")
    with store.write() as session:
        for week_end in (DAY, next_week):
            drift.replace(session, week_end, [replace(DRIFT, week_end=week_end)])
            for _ in range(2):
                rows = [replace(row, week_end=week_end) for row in (part, whole)]
                drift_attributions.replace(session, week_end, rows)
                drift_distances.replace(session, week_end, [replace(psi, week_end=week_end)])

    with store.write() as session:
        assert drift_attributions.of_week(session, DAY) == (whole, part)
        assert drift_distances.of_week(session, DAY) == (psi,)
        assert [noun.prune(session, next_week) for noun in (drift, drift_attributions, drift_distances)] == [1, 2, 1]
        assert len(drift_attributions.of_week(session, next_week)) == 2
        assert drift_distances.of_week(session, DAY) == ()
        assert drift.of_week(session, DAY) == ()


def test_drift_of_another_week_is_refused(store: Store) -> None:
    with store.write() as session, pytest.raises(ValueError, match="1 rows are not of the week"):
        drift.replace(session, NEXT_DAY, [DRIFT])


def test_availability_keeps_counts_budget_and_mean_times(store: Store) -> None:
    tally = Tally(good=90, bad=3, unknown=5, excluded=2)
    times = reliability(Exposure(HOUR, 20 * HOUR, onsets=2, recoveries=1, ends_down=1))
    row = AvailabilityRow("ece_bound", "*", 28, DAY, 0.99, tally, budget(tally, 0.99), times, ({"tier": "page_fast"},))
    never = replace(row, slice="b", tally=Tally(), budget=budget(Tally(), 0.99), reliability=reliability(Exposure()))
    later = replace(row, as_of=NEXT_DAY)
    with store.write() as session:
        availability.put(session, [row, never, later])
        availability.put(session, [later])

    with store.write() as session:
        assert availability.latest(session) == (later, replace(never, burn=row.burn))
        assert availability.latest(session, slo="ece_bound", period_days=7) == ()
        assert availability.history(session, since=DAY, period_days=28) == (row, later, never)
        assert availability.is_current(session, "ece_bound", NEXT_DAY)
        assert not availability.is_current(session, "score_range", NEXT_DAY)
        assert availability.prune(session, NEXT_DAY) == 2


def test_the_tightest_budgets_come_first_whatever_their_history(store: Store) -> None:
    def left(slo: str, name: str, bad: int, as_of: datetime = NEXT_DAY) -> AvailabilityRow:
        tally = Tally(good=900 - bad, bad=bad)
        times = reliability(Exposure())
        return AvailabilityRow(slo, name, 7, as_of, 0.99, tally, budget(tally, 0.99), times)

    newest = [left("b", "*", 3), left("a", "x", 3), left("a", "*", 3), left("b", "y", 8), left("a", "y", 0)]
    older = [left("a", "y", 9, DAY), left("b", "gone", 5, DAY)]
    with store.write() as session:
        availability.add(session, older)
        availability.add(session, newest)

    with store.read() as session:
        rows, total = availability.tightest(session, 4)

    assert [(row.slo, row.slice) for row in rows] == [("b", "y"), ("b", "gone"), ("a", "*"), ("a", "x")]
    assert total == 6


def test_no_availability_has_no_tightest_budget(store: Store) -> None:
    with store.read() as session:
        assert availability.tightest(session, 4) == ((), 0)
        assert availability.latest(session) == ()
        assert not availability.is_current(session, "ece_bound", DAY)


def test_exclusions_have_numbers_that_are_never_given_twice(store: Store) -> None:
    release = Exclusion(Window(DAY, DAY + HOUR), "release", "ana", slos="ece*", slices="intent=*", models="intent")
    with store.write() as session:
        first = exclusions.add(session, release, created_at=DAY)
        exclusions.remove(session, first)
        second = exclusions.add(session, release, created_at=DAY)

    assert second > first
    with store.write() as session:
        assert exclusions.every(session) == (release,)
        assert [e.id for e in exclusions.overlapping(session, start=DAY, end=NEXT_DAY)] == [second]
        assert exclusions.overlapping(session, start=DAY + HOUR, end=NEXT_DAY) == ()
        with pytest.raises(StoreError, match=f"there is no exclusion {first}"):
            exclusions.remove(session, first)


def test_a_definition_keeps_the_time_it_was_first_seen(store: Store) -> None:
    edition = Definition("a" * 64, "ece_bound", {"window": {"seconds": 86_400.0}, "limits": [0.015, None]}, DAY)
    with store.write() as session:
        definitions.add(session, [edition])
        definitions.add(
            session, [replace(edition, first_seen=NEXT_DAY), replace(edition, hash="b", first_seen=NEXT_DAY)]
        )

    with store.read() as session:
        assert [found.hash for found in definitions.of_slo(session, "ece_bound")] == ["a" * 64, "b"]
        assert definitions.by_hash(session, "a" * 64) == edition
        assert definitions.by_hash(session, "c") is None


def test_health_comes_back_by_scope(store: Store) -> None:
    report = roll_up([Finding(measurement()), Finding(measurement(slice="b", verdict=Verdict.UNKNOWN, value=None))])
    with store.write() as session:
        assert health.latest(session) == ()
        health.replace(session, DAY, report)
        health.replace(session, NEXT_DAY, report)
        health.replace(session, NEXT_DAY, report)

    with store.write() as session:
        latest = health.latest(session)
        assert {row.as_of for row in latest} == {NEXT_DAY}
        assert [row.health for row in latest if row.kind is Scope.OVERALL] == [report.overall]
        assert {row.health for row in latest if row.kind is Scope.SLICE} == set(report.slices)
        assert [row.as_of for row in health.history(session, Scope.SLO, "ece_bound", since=DAY)] == [DAY, NEXT_DAY]
        assert health.prune(session, NEXT_DAY) == len(latest)


def test_a_naive_time_is_refused(store: Store) -> None:
    naive = datetime(2026, 3, 2)  # noqa: DTZ001 - the mistake under test

    with pytest.raises(ValueError, match="has no time zone"), store.write() as session:
        watermarks.put(session, Watermark("log", naive, naive))


def test_a_number_that_is_none_is_not_stored_as_nothing(store: Store) -> None:
    with (
        pytest.raises(StoreError, match=r"drift\.se is NaN; a number that is missing is None"),
        store.write() as session,
    ):
        drift.replace(session, DAY, [replace(DRIFT, se=float("nan"))])


def test_numbers_of_numpy_are_stored_as_numbers(store: Store) -> None:
    with store.write() as session:
        drift.replace(session, DAY, [replace(DRIFT, events_current=np.int64(7), delta=np.float32(0.5))])  # type: ignore[arg-type]  # what estimators return

    with store.read() as session:
        (row,) = drift.of_week(session, DAY)
    assert (row.events_current, row.delta) == (7, 0.5)
