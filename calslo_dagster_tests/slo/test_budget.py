"""Budgets balance in integers, and burn-rate tiers that cannot work are found before an incident does."""

from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.availability import Promise, State, Tally
from calslo_dagster.slo.budget import TIERS, Tier, budget, burn_rate, burning, forecast, plan_tiers
from calslo_dagster.slo.windows import DAY, STEP, WEEK
from calslo_dagster_tests.slo.samples import START

MONTH = timedelta(days=30)
HOUR = timedelta(hours=1)
counts = st.integers(0, 3_000)
targets = st.integers(1, 1_000_000).map(lambda ppm: ppm / 1_000_000)
GOOD, BAD = State.GOOD, State.BAD


@given(st.builds(Tally, counts, counts, counts, counts), targets)
def test_used_and_left_make_what_is_allowed(found: Tally, target: float) -> None:
    spent = budget(found, target)

    assert spent.used + spent.left == spent.allowed
    assert spent.left_at_worst + spent.unknown == spent.left
    assert 0 <= spent.allowed <= found.expected


@given(st.builds(Tally, counts, counts), targets)
def test_an_overspent_budget_is_a_broken_promise(found: Tally, target: float) -> None:
    spent = budget(found, target)

    assert (spent.left < 0) is (spent.promise is Promise.BROKEN)


def test_one_bad_week_of_thirteen_fits_a_target_of_twelve_thirteenths() -> None:
    assert budget(Tally(good=12, bad=1), 0.923).allowed == 1
    assert budget(Tally(good=999, bad=1), 0.999).left == 0


def test_excluded_windows_are_not_part_of_the_budget() -> None:
    assert budget(Tally(good=100, excluded=900), 0.99).allowed == 1


def test_a_target_of_one_allows_nothing_and_divides_by_nothing() -> None:
    spent = budget(Tally(good=99, bad=1), 1.0)

    assert (spent.allowed, spent.left, spent.consumed) == (0, -1, None)
    assert burn_rate(Tally(good=99, bad=1), 1.0) is None


def test_burn_rates_are_exact_and_count_unknown_windows_as_not_bad() -> None:
    assert burn_rate(Tally(good=98, bad=2), 0.99) == 2
    assert burn_rate(Tally(good=0, bad=1, unknown=9), 0.9) == 1
    assert burn_rate(Tally(excluded=9), 0.9) is None


@pytest.mark.parametrize(
    ("period", "factors"),
    [(MONTH, [14.4, 6, 3, 1]), (timedelta(days=28), [13.44, 5.6, 2.8, 0.9333]), (WEEK, [3.36, 1.4, 0.7, 0.2333])],
)
def test_factors_follow_from_the_share_of_the_budget(period: timedelta, factors: list[float]) -> None:
    plan = plan_tiers(timedelta(minutes=5), 0.999, period)

    assert [float(tier.factor) for tier in plan] == pytest.approx(factors, rel=1e-3)


def test_a_tier_that_would_fire_within_budget_is_dropped() -> None:
    plan = {tier.name: tier for tier in plan_tiers(STEP, 0.99, timedelta(days=28))}

    assert "0.933 times the sustainable rate" in plan["ticket_slow"].dropped
    assert not plan["page_fast"].dropped


def test_a_tier_that_could_never_fire_is_dropped() -> None:
    plan = {tier.name: tier for tier in plan_tiers(STEP, 0.93, MONTH)}

    assert "never fire" in plan["page_fast"].dropped
    assert not plan["page_slow"].dropped


def test_weekly_windows_leave_no_tier() -> None:
    plan = plan_tiers(WEEK, 0.92, 13 * WEEK)

    assert all("hold no whole window" in tier.dropped for tier in plan)


def test_a_target_of_one_leaves_no_tier() -> None:
    assert all("no budget" in tier.dropped for tier in plan_tiers(STEP, 1.0, MONTH))


def test_a_short_window_below_a_step_becomes_one_step_and_says_so() -> None:
    fast, *_ = plan_tiers(STEP, 0.99, MONTH)

    assert (fast.long, fast.short) == (4, 1)
    assert fast.note == "the short window is one step, 15 min, instead of 5 min"


def test_a_long_window_no_longer_than_the_short_one_is_dropped() -> None:
    fast, *_ = plan_tiers(HOUR, 0.99, MONTH)

    assert "no more than the short window" in fast.dropped


@given(targets, st.sampled_from([7, 28, 30, 90]), st.sampled_from([15, 60, 240]))
def test_a_kept_tier_can_fire_and_does_not_fire_while_the_budget_lasts(target: float, days: int, minutes: int) -> None:
    step = timedelta(minutes=minutes)
    for tier in plan_tiers(step, target, timedelta(days=days)):
        if not tier.dropped:
            assert tier.factor >= 1
            assert burning([tier], [BAD] * tier.long, target)
            enough = [BAD] * (tier.needed - 1) + [GOOD] * (tier.long - tier.needed + 1)
            assert not burning([tier], enough, target)


def test_a_tier_fires_only_while_both_windows_burn() -> None:
    plan = plan_tiers(STEP, 0.99, MONTH, [Tier("page", Fraction(2, 100), HOUR, timedelta(minutes=15))])

    assert burning(plan, [GOOD, GOOD, GOOD, BAD], 0.99)[0].long_rate == 25
    assert burning(plan, [BAD, BAD, BAD, GOOD], 0.99) == ()


def test_a_young_history_is_unknown_before_it_began() -> None:
    plan = plan_tiers(STEP, 0.99, MONTH, TIERS[1:2])

    assert burning(plan, [BAD], 0.99) == ()
    (burn,) = burning(plan, [BAD, BAD], 0.99)
    assert (burn.bad, burn.expected) == (2, 24)


def test_unknown_windows_alone_never_fire() -> None:
    assert burning(plan_tiers(STEP, 0.999, MONTH), [State.UNKNOWN] * 500, 0.999) == ()


def test_the_forecast_tells_when_the_budget_ends_and_when_it_comes_back() -> None:
    # Ten days of four steps each, at most 10 % bad: four windows.
    step, period = DAY / 4, timedelta(days=10)
    bad = [START - 9 * DAY, START - 8 * DAY, START - DAY, START]

    found = forecast(bad, START, target=0.9, period=period, step=step, rate=0.0)

    assert (found.best, found.expected, found.returns) == (None, None, None)
    assert found.worst == START + step


def test_an_overspent_budget_comes_back_when_its_oldest_bad_window_leaves() -> None:
    step, period = DAY / 4, timedelta(days=10)
    bad = [START - 9 * DAY, START - 8 * DAY, START - 2 * DAY, START - DAY, START]

    found = forecast(bad, START, target=0.9, period=period, step=step, rate=0.0)

    assert found.best == START
    assert found.returns == START + DAY


@given(st.sets(st.integers(0, 39)), st.floats(0, 1))
def test_the_forecast_agrees_with_walking_forward(ages: set[int], rate: float) -> None:
    step, period, allowed = DAY / 4, timedelta(days=10), 4
    bad = [START - age * step for age in ages]

    found = forecast(bad, START, target=0.9, period=period, step=step, rate=rate)

    def first(new: int) -> datetime | None:
        for h in range(41):
            now = START + h * step
            inside = [end for end in bad + [START + i * step for i in range(1, h * new + 1)] if now - period < end]
            if len(inside) > allowed:
                return now
        return None

    assert found.best == first(0)
    assert found.worst == first(1)
    order = [found.worst, found.expected, found.best]
    known = [at for at in order if at is not None]
    assert known == sorted(known)
