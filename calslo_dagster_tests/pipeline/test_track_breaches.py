"""Breaches follow the measurements: day by day as at once, and backwards when a day is corrected."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import breaches, schema
from calslo_dagster.store.breaches import Breach
from calslo_dagster.store.digest import table_digest
from calslo_dagster_tests.logs import HOUR, LATER, MINUTE, START, aggregate, events, measure, minutes, write
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.pipeline.courses import SLO, course, hours, store


def found(project: Project) -> list[Breach]:
    with project.store.read() as session:
        return list(breaches.between(session, start=START - 9 * DAY, end=LATER))


def digest(project: Project) -> str:
    with project.store.read() as session:
        return table_digest(session, schema.breaches)


def test_a_breach_lasts_from_its_first_bad_window_to_the_first_of_two_good_ones(project: Project) -> None:
    hours(project, "mmbbmbmmm")

    report = track_breaches(project)

    (one,) = found(project)
    assert (one.onset, one.recovered_at) == (START + 2 * HOUR, START + 6 * HOUR)
    assert (one.model, one.threshold, one.windows_bad, one.windows_met) == ("intent", 0.4, 3, 1)
    assert (report.open, report.changed, report.days_folded) == ((), (one,), 1)


def test_an_open_breach_is_reported_as_open(project: Project) -> None:
    hours(project, "mbb")

    report = track_breaches(project)

    assert report.open == report.changed == tuple(found(project))
    assert report.open[0].is_open


def test_nothing_changed_is_nothing_folded(project: Project) -> None:
    hours(project, "mbbmm")
    track_breaches(project)

    assert track_breaches(project).days_folded == 0
    assert len(found(project)) == 1


@pytest.mark.parametrize("seed", range(6))
def test_day_by_day_in_any_order_is_all_at_once(tmp_path: Path, open_at: OpenProject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    letters = "".join(rng.choice(list("bmuwx"), 96, p=(0.3, 0.3, 0.15, 0.2, 0.05)))
    both = [*course(letters), *course(letters[13:] + letters[:13], slice="intent=buy")]
    starts = [START + n * DAY for n in range(4)]
    at_once, by_day = open_at(tmp_path / "at once"), open_at(tmp_path / "by day")
    store(at_once, both, START, START + 4 * DAY)
    track_breaches(at_once)
    for n in rng.permutation(4):
        store(
            by_day, [row for row in both if starts[n] < row.window_end <= starts[n] + DAY], starts[n], starts[n] + DAY
        )
        track_breaches(by_day)

    assert found(at_once)
    assert digest(by_day) == digest(at_once)


def test_a_late_correction_withdraws_a_breach(project: Project) -> None:
    hours(project, "mbbmm" + "m" * 19)
    hours(project, "m" * 24, START + DAY)
    track_breaches(project)
    assert len(found(project)) == 1

    hours(project, "mmmmm")
    track_breaches(project)

    assert found(project) == []


def test_a_late_correction_moves_the_end_of_a_breach(project: Project) -> None:
    hours(project, "mb" + "b" * 22)
    hours(project, "bmm" + "m" * 21, START + DAY)
    track_breaches(project)
    hours(project, "mbmm" + "m" * 20)

    track_breaches(project)

    assert [(one.onset, one.recovered_at) for one in found(project)] == [
        (START + HOUR, START + 2 * HOUR),
        (START + DAY, START + DAY + HOUR),
    ]


def test_a_breach_over_midnight_is_one_breach(project: Project) -> None:
    hours(project, "m" * 22 + "bb")
    track_breaches(project)
    hours(project, "bbmm", START + DAY)
    track_breaches(project)

    (one,) = found(project)
    assert (one.onset, one.recovered_at, one.windows_bad) == (START + 22 * HOUR, START + 26 * HOUR, 4)


def test_a_breach_goes_on_over_a_midnight_whose_last_windows_are_not_final(project: Project) -> None:
    """Just after midnight only the new day has changed, while the last windows of the old one wait for stragglers."""
    hours(project, "m" * 21 + "bbB")
    track_breaches(project)
    before = found(project)
    hours(project, "B", START + DAY)

    track_breaches(project)

    assert [(one.id, one.onset) for one in found(project)] == [(one.id, one.onset) for one in before]
    assert found(project)[0].windows_bad == 4


def test_windows_that_become_final_after_midnight_leave_the_same_breaches(project: Project) -> None:
    hours(project, "m" * 21 + "bbB")
    track_breaches(project)
    for letters in ("B", "b", "bM", "bm", "bmm"):
        hours(project, letters, START + DAY)
        track_breaches(project)
    hours(project, "m" * 21 + "bbb")
    track_breaches(project)

    (one,) = found(project)
    assert (one.windows_bad, one.recovered_at, one.is_provisional) == (4, START + DAY + HOUR, False)


def test_a_provisional_window_opens_a_breach_and_takes_it_back(project: Project) -> None:
    hours(project, "mmB")
    track_breaches(project)
    assert [one.is_provisional for one in found(project)] == [True]

    hours(project, "mmm")
    track_breaches(project)

    assert found(project) == []


def test_a_provisional_window_closes_no_breach(project: Project) -> None:
    hours(project, "bbmM")
    track_breaches(project)
    assert found(project)[0].is_open

    hours(project, "bbmm")
    track_breaches(project)

    assert not found(project)[0].is_open


def test_a_slice_that_is_silent_for_a_week_keeps_its_open_breach(project: Project) -> None:
    hours(project, "bbb")
    track_breaches(project)
    later = START + 7 * DAY
    store(project, course("mmm", later, slice="intent=buy"), later, later + 3 * HOUR)

    track_breaches(project)

    (one,) = found(project)
    assert one.is_open
    store(project, course("mm", later + DAY), later + DAY, later + DAY + 2 * HOUR)
    track_breaches(project)
    assert found(project)[0].recovered_at == later + DAY


def test_the_limit_of_a_breach_is_the_one_its_worst_window_missed(project: Project) -> None:
    rows = course("mbbb")
    rows[2] = replace(rows[2], value=0.9, threshold=0.1)
    store(project, rows, START, START + 4 * HOUR)
    track_breaches(project)
    hours(project, "m" * 24, START + DAY)
    track_breaches(project)

    (one,) = found(project)
    assert (one.peak_value, one.threshold, one.peak_at) == (0.9, 0.1, START + 3 * HOUR)


def test_breaches_of_each_slo_are_folded_by_its_own_rules(project: Project, tmp_path: Path) -> None:
    """From events to breaches: scores out of range for two hours."""
    times = list(minutes(START, START + 8 * HOUR, 10 * MINUTE))
    scores = [2.0 if START + 2 * HOUR <= at < START + 4 * HOUR else 0.5 for at in times]
    write(tmp_path / "log/a.parquet", events(times, score=scores))
    aggregate(project, [START.date()])
    for slo in (SLO, "p99_latency"):
        measure(project, slo, [START.date()])

    track_breaches(project)

    (one,) = [one for one in found(project) if one.slice == "*"]
    assert (one.slo, one.onset, one.recovered_at) == (SLO, START + 2 * HOUR, START + 4 * HOUR)
