"""Counts per day are those of the measurements, provisional windows apart."""

from datetime import date, datetime, timedelta

import pytest

from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.store import measurements, slo_days
from calslo_dagster.store.session import Store
from calslo_dagster.store.slo_days import DayCounts
from calslo_dagster_tests.store.builders import DAY, NEXT_DAY, STEP, measurement


def write(store: Store, rows: list[Measurement]) -> None:
    with store.write() as session:
        measurements.replace(session, "ece_bound", rows, start=DAY, end=NEXT_DAY + STEP)
        slo_days.recount(session, "ece_bound", start=DAY, end=NEXT_DAY + STEP)


def counted(store: Store) -> tuple[DayCounts, ...]:
    with store.read() as session:
        return slo_days.between(session, "ece_bound", first=date(2026, 3, 1), last=date(2026, 3, 3))


def test_every_verdict_is_counted_once(store: Store) -> None:
    verdicts = [*Verdict, Verdict.BREACHED]
    rows = [measurement(DAY + STEP * (n + 1), verdict=verdict) for n, verdict in enumerate(verdicts)]
    open_window = measurement(DAY + STEP * 90, verdict=Verdict.BREACHED, is_final=False)

    write(store, [*rows, open_window])

    assert counted(store) == (
        DayCounts("ece_bound", date(2026, 3, 2), "*", "intent", 1, 1, 2, 1, 1, 1, 1),  # in the order of the fields
    )


def test_midnight_belongs_to_the_day_that_it_closes(store: Store) -> None:
    write(store, [measurement(NEXT_DAY), measurement(NEXT_DAY + STEP)])

    assert [(row.day, row.meeting) for row in counted(store)] == [(date(2026, 3, 2), 1), (date(2026, 3, 3), 1)]


def test_counting_anew_replaces_what_was_counted(store: Store) -> None:
    write(store, [measurement(), measurement(slice="intent=refund")])

    write(store, [measurement()])

    assert [row.slice for row in counted(store)] == ["*"]


PART = (DAY + 10 * STEP, DAY + 12 * STEP)
QUIET = "intent=quiet"


@pytest.mark.parametrize(
    "rows",
    [
        [measurement(PART[1]), measurement(PART[1], slice=QUIET)],
        [measurement(PART[1], verdict=Verdict.BREACHED), measurement(PART[1], slice=QUIET, is_final=False)],
        [measurement(PART[1]), measurement(PART[1], slice="new", model="other")],
        [measurement(PART[1], model="other")],
        [],
    ],
    ids=["the same", "other verdicts", "a new slice", "another model", "nothing"],
)
@pytest.mark.parametrize(("start", "end"), [PART, (DAY, DAY + 12 * STEP), (DAY + STEP, NEXT_DAY + STEP)])
def test_counts_stay_true_while_a_part_of_the_measurements_is_replaced(
    store: Store, rows: list[Measurement], start: datetime, end: datetime
) -> None:
    before = [measurement(DAY + n * STEP) for n in range(1, 97)]
    write(store, [*before, measurement(NEXT_DAY + STEP), measurement(PART[1], slice=QUIET)])

    with store.write() as session, slo_days.kept(session, "ece_bound", start=start, end=end):
        measurements.replace(session, "ece_bound", rows, start=start, end=end)
    kept = counted(store)
    with store.write() as session:
        slo_days.recount(session, "ece_bound", start=DAY, end=NEXT_DAY + STEP)

    assert kept == counted(store)


@pytest.mark.parametrize("other", ["score_range", "ece"])
def test_counting_one_slo_leaves_the_others(store: Store, other: str) -> None:
    with store.write() as session:
        measurements.replace(session, other, [measurement(slo=other)], start=DAY, end=NEXT_DAY)
        slo_days.recount(session, other, start=DAY, end=NEXT_DAY)

    write(store, [])

    with store.read() as session:
        assert len(slo_days.between(session, other, first=date(2026, 3, 2), last=date(2026, 3, 2))) == 1


def test_the_first_window_of_each_slice_is_found_even_when_its_day_was_pruned(store: Store) -> None:
    write(store, [measurement(DAY + 2 * STEP), measurement(NEXT_DAY), measurement(NEXT_DAY + STEP, slice="late")])
    with store.read() as session:
        firsts = measurements.first_ends(session, "ece_bound")
    assert firsts == {"*": DAY + 2 * STEP, "late": NEXT_DAY + STEP}

    with store.write() as session:
        measurements.prune(session, "ece_bound", NEXT_DAY + STEP)
    with store.read() as session:
        assert measurements.first_ends(session, "ece_bound") == {"*": DAY, "late": NEXT_DAY + STEP}


def test_final_verdicts_come_by_slice_and_window_end(store: Store) -> None:
    breached = measurement(DAY + 2 * STEP, verdict=Verdict.BREACHED)
    write(store, [measurement(), breached, measurement(DAY + 3 * STEP, is_final=False)])

    with store.read() as session:
        found = measurements.verdicts(session, "ece_bound", "*", start=DAY, end=DAY + timedelta(hours=1))
        nothing = measurements.verdicts(session, "ece_bound", "elsewhere", start=DAY, end=DAY + timedelta(hours=1))

    assert found == {DAY + STEP: Verdict.MEETING, DAY + 2 * STEP: Verdict.BREACHED}
    assert nothing == {}


def test_final_windows_are_counted_by_slice_and_verdict(store: Store) -> None:
    breached = measurement(DAY + 2 * STEP, verdict=Verdict.BREACHED)
    write(store, [measurement(), breached, measurement(DAY + 3 * STEP, is_final=False)])

    with store.read() as session:
        found = measurements.counts(session, "ece_bound", start=DAY, end=DAY + timedelta(hours=1))
        first_only = measurements.counts(session, "ece_bound", start=DAY, end=DAY + STEP)

    assert found == {"*": {Verdict.MEETING: 1, Verdict.BREACHED: 1}}
    assert first_only == {"*": {Verdict.MEETING: 1}}


def test_slices_with_a_breached_window_are_found_even_while_it_is_open(store: Store) -> None:
    provisional = measurement(DAY + 2 * STEP, verdict=Verdict.BREACHED, is_final=False)
    write(store, [measurement(), provisional])

    with store.read() as session:
        assert measurements.breached_slices(session, "ece_bound", start=DAY, end=NEXT_DAY) == {"*"}
        assert measurements.breached_slices(session, "ece_bound", start=DAY, end=DAY + STEP) == frozenset()


def test_counts_of_days_add_up_to_those_of_their_windows(store: Store) -> None:
    rows = [measurement(), measurement(NEXT_DAY + STEP, verdict=Verdict.WARNING), measurement(NEXT_DAY + 2 * STEP)]
    with store.write() as session:
        measurements.replace(session, "ece_bound", rows, start=DAY, end=NEXT_DAY + timedelta(hours=1))
        slo_days.recount(session, "ece_bound", start=DAY, end=NEXT_DAY + timedelta(hours=1))

    with store.read() as session:
        found = slo_days.added(session, "ece_bound", first=DAY.date(), last=NEXT_DAY.date())
        counted = measurements.counts(session, "ece_bound", start=DAY, end=NEXT_DAY + timedelta(hours=1))

    assert {verdict: n for verdict, n in found["*"].items() if n} == counted["*"]


def test_days_with_a_verdict_days_with_any_window_and_models_are_known_by_slice(store: Store) -> None:
    lost = measurement(NEXT_DAY + STEP, verdict=Verdict.UNKNOWN)
    mixed = [measurement(slice="mixed", model="old"), measurement(NEXT_DAY + STEP, slice="mixed", model="*")]
    write(store, [measurement(), lost, *mixed, measurement(slice="none", model="*")])
    first, last = DAY.date(), NEXT_DAY.date()

    with store.read() as session:
        assert slo_days.last_judged(session, "ece_bound", first=first, last=last) == {
            "*": first,
            "mixed": last,
            "none": first,
        }
        assert slo_days.present(session, "ece_bound", first=last, last=last) == {"*", "mixed"}
        models = slo_days.last_models(session, ["ece_bound"], ["mixed", "none"], first=first, last=last)
        assert models == {"mixed": "old"}
        assert slo_days.last_models(session, ["ece_bound"], [], first=first, last=last) == {}
