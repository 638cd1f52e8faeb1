"""Health words claim only what was seen, and scores never look better than their word."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.health import BANDS, Finding, Word, health, roll_up, worst_first
from calslo_dagster.slo.model import Operator, Verdict
from calslo_dagster_tests.slo.samples import a_measurement, verdicts


def findings(letters: str, excess: float = 0.5, **fields: Any) -> list[Finding]:
    return [
        Finding(a_measurement(verdict, reason=f"Number {i}.", **fields), excess if verdict is Verdict.BREACHED else 0.0)
        for i, verdict in enumerate(verdicts(letters))
    ]


@pytest.mark.parametrize(
    ("letters", "word"),
    [
        ("m", Word.HEALTHY),
        ("mmmmmmmmu", Word.HEALTHY),
        ("mmmuuu", Word.WARNING),
        ("mmmmmmw", Word.WARNING),
        ("mmmmmme", Word.WARNING),
        ("mb", Word.CRITICAL),
        ("bb", Word.CRITICAL),
        ("bbb", Word.EMERGENCY),
        ("bbbmmm", Word.EMERGENCY),
        ("bbbmmmm", Word.CRITICAL),
        ("u", Word.UNKNOWN),
        ("ue", Word.UNKNOWN),
        ("x", Word.UNKNOWN),
        ("", Word.UNKNOWN),
        ("mx", Word.HEALTHY),
    ],
)
def test_words_follow_what_is_broken_and_how_widely(letters: str, word: Word) -> None:
    assert health("scope", findings(letters)).word is word


def test_one_breach_at_three_times_its_limit_is_an_emergency() -> None:
    assert health("scope", findings("bmmmmmmm", excess=1.9)).word is Word.CRITICAL
    assert health("scope", findings("bmmmmmmm", excess=2.0)).word is Word.EMERGENCY


def test_unknown_has_no_score_and_keeps_its_reason() -> None:
    found = health("scope", findings("uu"))

    assert (found.score, found.reason, found.unknown) == (None, "Number 0.", 2)


def test_too_little_measured_is_said() -> None:
    assert health("scope", findings("muu")).reason == "Only 1 of 3 are measured. Number 1."


def test_counts_are_kept_apart() -> None:
    found = health("scope", findings("mwbuex"))

    assert (found.measured, found.breached, found.warnings) == (3, 1, 1)
    assert (found.unknown, found.errors, found.excluded) == (1, 1, 1)


@given(st.text("mwbuex", max_size=30), st.floats(0, 10))
def test_the_score_lies_in_the_band_of_its_word(letters: str, excess: float) -> None:
    found = health("scope", findings(letters, excess))

    if found.word is Word.UNKNOWN:
        assert found.score is None
    else:
        low, high = BANDS[found.word]
        assert found.score is not None
        assert low <= found.score <= high


@given(st.text("mwbuex", max_size=20), st.sampled_from(["mw", "mb", "wb"]), st.floats(0, 5), st.floats(0, 5))
def test_worsening_one_measurement_never_raises_the_score(letters: str, change: str, less: float, more: float) -> None:
    first, second = sorted((less, more))

    better = health("scope", findings(letters) + findings(change[0], first))
    worse = health("scope", findings(letters) + findings(change[1], second))

    assert better.score is not None
    assert worse.score is not None
    assert worse.score <= better.score


@given(st.text("bbbmu", min_size=1, max_size=20), st.floats(0, 5), st.floats(0, 5))
def test_going_further_past_a_limit_never_raises_the_score(letters: str, less: float, more: float) -> None:
    first, second = sorted((less, more))

    assert (health("s", findings(letters, second)).score or 0) <= (health("s", findings(letters, first)).score or 0)


def test_the_roll_up_has_every_scope_worst_first() -> None:
    rows = [
        *findings("m", slo="ece_bound", slice="intent=a", model="churn"),
        *findings("b", slo="p99_latency", slice="intent=b", model="churn"),
        *findings("w", slo="p99_latency", slice="intent=a", model="fraud"),
        *findings("u", slo="weekly_drift", slice="intent=c", model="churn"),
    ]

    report = roll_up(rows)

    assert report.overall.word is Word.CRITICAL
    assert [(h.scope, h.word) for h in report.slices] == [
        ("intent=b", Word.CRITICAL),
        ("intent=a", Word.WARNING),
        ("intent=c", Word.UNKNOWN),
    ]
    assert [h.scope for h in report.slos] == ["p99_latency", "weekly_drift", "ece_bound"]
    assert [h.scope for h in report.models] == ["churn", "fraud"]


def test_the_worst_comes_first_and_the_furthest_of_the_breached() -> None:
    rows = findings("muwxe") + findings("b", 0.1) + findings("b", 3.0)

    found = worst_first(rows)

    assert [f.row.verdict for f in found] == verdicts("bbewuxm")
    assert found[0].excess == 3.0


def test_a_finding_ranks_by_its_own_limit() -> None:
    row = a_measurement(Verdict.BREACHED, value=0.06, threshold=0.03)

    assert Finding.of(row, Operator.AT_MOST).excess == 1.0
    assert Finding.of(a_measurement(Verdict.UNKNOWN, value=None), Operator.AT_MOST).excess == 0.0
