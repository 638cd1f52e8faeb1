"""A single score that is no probability breaches, and the reason counts what was wrong."""

import math

import pytest

from calslo_dagster.slo.builtin.score_range import slo
from calslo_dagster.slo.model import Evidence, Verdict
from calslo_dagster.slo.verdict import judge
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap


@pytest.mark.parametrize(
    ("score", "word"),
    [
        (None, "null"),
        (math.nan, "NaN"),
        (math.inf, "infinite"),
        (-0.1, "below 0"),
        (1.0000001, "above 1"),
    ],
)
def test_one_bad_score_in_a_thousand_breaches_and_is_named(score: float | None, word: str) -> None:
    found = Evidence(snap([0.5] * 999 + [score]))

    judgement = judge(slo, found, slo.sli(found))

    assert judgement.verdict is Verdict.BREACHED
    assert judgement.reason == (
        f"Share of scores that are no probability is 0.1 % over 1,000 events; it must be at most 0 %. 1 {word}."
    )


@pytest.mark.parametrize("score", [0.0, -0.0, 1.0, 0.5])
def test_probabilities_meet(score: float) -> None:
    found = Evidence(snap([score]))

    assert judge(slo, found, slo.sli(found)).verdict is Verdict.MEETING


def test_reasons_are_counted_apart() -> None:
    found = Evidence(snap([None, None, 2.0, -1.0, 0.5]))

    assert slo.sli(found).reason == "2 null, 1 below 0, 1 above 1"


def test_a_window_of_nothing_but_bad_scores_is_breached_and_no_gap() -> None:
    found = Evidence(snap([2.0, 3.0]))

    assert judge(slo, found, slo.sli(found)).verdict is Verdict.BREACHED


def test_an_empty_window_is_unknown() -> None:
    assert judge(slo, Evidence(Snapshot()), slo.sli(Evidence(Snapshot()))).verdict is Verdict.UNKNOWN
