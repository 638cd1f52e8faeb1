"""A course folds and counts as the windows that it was made of."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.availability import State, Tally, states
from calslo_dagster.slo.breach import BreachState, Outcome, Track, fold
from calslo_dagster.slo.budget import Tier, burning, plan_tiers
from calslo_dagster.slo.builtin import p99_latency
from calslo_dagster.slo.course import NO_ROW, Course, Grid
from calslo_dagster.slo.many import CODE, VERDICTS
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.slo.windows import STEP, WEEK
from calslo_dagster_tests.strategies import steady

START = datetime(2026, 3, 1, tzinfo=UTC)
TIERS = (Tier("fast", Fraction(1, 50), 4 * STEP, STEP), Tier("slow", Fraction(1, 10), 12 * STEP, 2 * STEP))
# Mostly well, so that breaches begin and end; None is a window that was not measured.
runs = st.lists(
    st.tuples(st.sampled_from([Verdict.MEETING, *Verdict, None]), st.integers(1, 30)), min_size=1, max_size=12
)


def course_of(verdicts: list[Verdict | None], final: int, **changes: int) -> tuple[Course, list[Measurement]]:
    slo = replace(p99_latency.slo, target=0.9, **changes)  # type: ignore[arg-type]
    grid = Grid(START, STEP, len(verdicts), START + final * STEP)
    rows = []
    for place, verdict in enumerate(verdicts):
        if verdict is not None:
            end, value = grid.end(place), 1_000.0 + place * 37 % 11
            rows.append(
                Measurement(
                    slo.name, "*", "m", end - slo.window, end, value, 1_000.0, None, None, None, 9, 9,
                    verdict=verdict, reason="", is_final=place < final,
                )
            )  # fmt: skip
    course = Course(slo, "*", grid)
    course.add(rows)
    return course, rows


@steady
@given(runs, st.integers(0, 40), st.sampled_from([(1, 2, 0), (2, 1, 4), (3, 3, 0)]))
def test_breaches_are_those_of_one_fold(
    parts: list[tuple[Verdict | None, int]], open_rows: int, counts: tuple[int, int, int]
) -> None:
    verdicts = [verdict for verdict, times in parts for _ in range(times)]
    opens, closes, within = counts
    course, rows = course_of(
        verdicts, max(0, len(verdicts) - open_rows), open_after=opens, close_after=closes, open_within=within
    )
    _, expected = fold(Track.of(course.slo, "*"), BreachState(), [Outcome.of(course.slo, row) for row in rows])

    assert course.episodes() == tuple(replace(one, model="m") for one in expected)


@steady
@given(runs)
def test_windows_are_counted_from_the_first_measured_one_on(parts: list[tuple[Verdict | None, int]]) -> None:
    verdicts = [verdict for verdict, times in parts for _ in range(times)]
    course, rows = course_of(verdicts, len(verdicts))
    first = next((place for place, verdict in enumerate(verdicts) if verdict), len(verdicts))
    ends = [course.grid.end(place) for place in range(first, len(verdicts))]
    found = states({row.window_end: row.verdict for row in rows}, ends)

    assert course.tally() == Tally(*(found.count(state) for state in State))
    assert [None if code == NO_ROW else VERDICTS[code] for code in course.codes] == verdicts


@steady
@given(runs)
def test_budgets_burn_at_the_instants_at_which_they_are_found_to(parts: list[tuple[Verdict | None, int]]) -> None:
    verdicts = [verdict for verdict, times in parts for _ in range(times)]
    course, rows = course_of(verdicts, len(verdicts))
    plan = plan_tiers(STEP, course.slo.target, WEEK / 14, TIERS)
    known = {row.window_end: row.verdict for row in rows}
    ends = [course.grid.end(place) for place in range(len(verdicts))]
    for place, end in enumerate(ends):
        fires = burning(plan, states(known, ends[: place + 1]), course.slo.target)
        now = [one for one in course.burns(plan) if one.start <= end and (one.end is None or one.end > end)]
        assert [one.tier.name for one in now] == [one.tier.name for one in sorted(fires, key=lambda b: b.tier.long)][:1]


def test_the_model_is_the_last_that_was_known() -> None:
    course = Course(p99_latency.slo, "country=de", Grid(START, STEP, 8))
    for place, model in enumerate(["*", "a", "*", "b", ""]):
        course.note_model(place, model)

    assert [course.model_at(START + (n + 1) * STEP) for n in range(6)] == ["*", "a", "a", "b", "b", "b"]


def test_the_limit_of_a_window_is_kept_with_it() -> None:
    course, _ = course_of([Verdict.MEETING, Verdict.BREACHED], 2)

    assert course.limit_at(course.grid.end(1)) == 1_000.0
    assert course.limit_at(course.grid.end(7) + timedelta(days=1)) is None
    assert np.array_equal(course.codes, [CODE[Verdict.MEETING], CODE[Verdict.BREACHED]])
