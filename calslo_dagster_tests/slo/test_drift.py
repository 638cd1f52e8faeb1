"""Verdicts on changes: what the interval supports, what many slices make of a breach, and who judges for whom."""

import pytest

from calslo_dagster.slo.drift import FEWEST_EVENTS, about, judge_change, judge_week
from calslo_dagster.slo.model import Verdict
from calslo_dagster.stats.changes import RULES
from calslo_dagster.stats.drift import Delta
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import around

LIMIT = 0.01


def delta(change: float | None, error: float = 0.001, *, metric: str = "bias", events: int = 9_000) -> Delta:
    moved = Estimate.missing("now: no labelled events") if change is None else around(change, error, events=events)
    return Delta(metric, Estimate(0.5), Estimate(0.4), moved)


@pytest.mark.parametrize(
    ("change", "error", "verdict", "reason"),
    [
        (0.05, 0.01, Verdict.BREACHED, "changed by +0.05, beyond 0.01 for certain"),
        (-0.05, 0.01, Verdict.BREACHED, "changed by -0.05, beyond 0.01 for certain"),
        (0.012, 0.005, Verdict.WARNING, "changed by +0.012, beyond 0.01 as measured, yet not for certain"),
        (0.008, 0.003, Verdict.WARNING, "changed by +0.008, which is more than chance and may be beyond 0.01"),
        (0.012, 0.01, Verdict.UNKNOWN, "changed by +0.012, too few events to decide: about 140,000 a week would do"),
        (0.005, 0.001, Verdict.MEETING, "changed by +0.005, within 0.01 for certain"),
        (0.005, 0.01, Verdict.UNKNOWN, "changed by +0.005, too few events to decide: about 140,000 a week would do"),
        (None, 0.01, Verdict.UNKNOWN, "now: no labelled events"),
    ],
)
def test_a_verdict_says_what_the_interval_supports(
    change: float | None, error: float, *, verdict: Verdict, reason: str
) -> None:
    found = judge_change(delta(change, error), LIMIT)

    assert found.verdict is verdict
    assert found.reason.endswith(reason)
    assert (found.events_needed is not None) == ("about" in reason)


def test_a_change_without_an_interval_is_undecided_for_want_of_one() -> None:
    found = judge_change(Delta("bias", Estimate(0.5), Estimate(0.4), Estimate(0.1, events=900)), LIMIT)

    assert (found.verdict, found.events_needed) == (Verdict.UNKNOWN, None)
    assert "nothing to say how much of it is chance" in found.reason


def test_a_fall_of_what_should_be_small_is_for_the_better() -> None:
    found = judge_change(delta(-0.05, metric="centred_ece"), LIMIT)

    assert (found.verdict, found.reason) == (Verdict.MEETING, "changed by -0.05, for the better")


def test_a_handful_of_events_decides_nothing_however_alike_they_are() -> None:
    found = judge_change(delta(0.5, 0.0, events=FEWEST_EVENTS - 1), LIMIT)

    assert (found.verdict, found.p_value, found.events_needed) == (Verdict.UNKNOWN, None, FEWEST_EVENTS)


def test_a_breach_that_many_slices_explain_is_a_warning_that_says_so() -> None:
    """One of 40 slices is just beyond the limit, as one in 40 would be by chance; another is far beyond."""
    names = [f"intent={i}" for i in range(40)]
    changes = {name: [delta(0.0)] for name in names}
    changes |= {"intent=0": [delta(0.0123)], "intent=1": [delta(0.05)]}
    views = dict.fromkeys(names, ("intent",))

    found = judge_week(changes, views, dict.fromkeys(changes, LIMIT))

    assert (
        judge_week({"intent=0": changes["intent=0"]}, views, {"intent=0": LIMIT})["intent=0"][0].verdict
        is Verdict.BREACHED
    )
    [near], [far] = found["intent=0"], found["intent=1"]
    assert (near.verdict, far.verdict) == (Verdict.WARNING, Verdict.BREACHED)
    assert near.q_value is not None
    assert near.p_value is not None
    assert near.q_value == pytest.approx(20 * near.p_value)
    assert "a breach if it were the only slice; among 40 slices chance does that too (q = 0.2" in near.reason
    assert near.events_needed is None


def test_views_and_metrics_are_families_of_their_own() -> None:
    """All traffic is one slice: what the many slices of another view do says nothing about it."""
    fine = [f"intent={i}" for i in range(40)]
    changes = {name: [delta(0.0), delta(0.0, metric="slope")] for name in fine}
    changes["*"] = [delta(0.0123), delta(0.0123, metric="slope")]

    found = judge_week(changes, {"*": (), **dict.fromkeys(fine, ("intent",))}, dict.fromkeys(changes, LIMIT))

    assert [one.verdict for one in found["*"]] == [Verdict.BREACHED, Verdict.BREACHED]
    assert [one.q_value == one.p_value for one in found["*"]] == [True, True]


def test_what_is_judged_elsewhere_takes_that_verdict_and_the_mix_has_none() -> None:
    changes = [delta(0.05 if metric.startswith("brier") else 0.0, metric=metric) for metric in RULES]

    found = {one.delta.metric: one for one in judge_week({"*": changes}, {"*": ()}, {"*": LIMIT})["*"]}

    assert [name for name, one in found.items() if one.verdict is Verdict.BREACHED] == ["brier_excess", "brier"]
    assert "the whole Brier score changed by +0.05, +0.05 of it by the mix of scores" in found["brier_excess"].reason
    assert found["brier"].reason.startswith("judged by brier_excess, which changed by +0.05")
    assert found["brier_mix"].reason == "not judged: other scores are no fault of calibration"
    assert {one.limit for name, one in found.items() if RULES[name].judged_by != name} == {None}


def test_a_metric_that_is_not_known_is_unknown_whoever_judges_it() -> None:
    changes = [delta(None, metric=metric) for metric in RULES]

    assert {one.verdict for one in judge_week({"*": changes}, {"*": ()}, {"*": LIMIT})["*"]} == {Verdict.UNKNOWN}


@pytest.mark.parametrize(("events", "told"), [(7, "7"), (99, "99"), (100, "100"), (101, "110"), (94_321, "95,000")])
def test_numbers_of_events_are_rounded_up_to_two_digits(events: int, told: str) -> None:
    assert about(events) == told
