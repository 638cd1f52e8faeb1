"""Who is scored: shares, models, score distributions and the rhythm of the traffic."""

import numpy as np
import pytest

from calslo_dagster.sources.demo.population import (
    CTR,
    RANKER,
    SEGMENTS,
    SHAPES,
    SLICES,
    WEEKDAY_FACTORS,
    minute_rates,
    scores,
    segment_shapes,
    slices_of,
)


def test_the_shares_are_skewed_and_add_up_to_one() -> None:
    shares = [segment.share for segment in SEGMENTS]

    assert len(SEGMENTS) == 24
    assert sum(shares) == pytest.approx(1.0)
    assert 0.15 <= max(shares) <= 0.20
    assert min(shares) > 0.009


def test_each_model_serves_two_intents() -> None:
    assert {s.intent for s in SEGMENTS if s.model == RANKER} == {"navigate", "research"}
    assert {s.intent for s in SEGMENTS if s.model == CTR} == {"shop", "travel"}
    assert [SHAPES[i].model for i in segment_shapes()] == [s.model for s in SEGMENTS]


def test_slices_are_selected_by_intent_language_and_model() -> None:
    assert slices_of(intent="shop", language="ja") == ("intent=shop,language=ja",)
    assert len(slices_of(model=CTR)) == 12
    assert slices_of() == SLICES


def test_scores_stay_inside_the_fit_support_and_one_model_has_rare_events() -> None:
    rng = np.random.default_rng(1)
    means = []
    for index, shape in enumerate(SHAPES):
        drawn = scores(rng, np.full(50_000, index))
        assert drawn.min() >= 0.0
        assert drawn.max() <= shape.top
        means.append(drawn.mean())

    assert means == pytest.approx([0.203, 0.024], abs=0.004)


def test_a_week_of_rates_adds_up_to_seven_days_of_events() -> None:
    week = sum(minute_rates(1000.0, day, hour).sum() for day in range(7) for hour in range(24))

    assert sum(WEEKDAY_FACTORS) == pytest.approx(7.0)
    assert week == pytest.approx(7000.0)


def test_each_language_peaks_in_its_own_afternoon() -> None:
    by_hour = np.array([minute_rates(1000.0, 0, hour).sum(0) for hour in range(24)])
    languages = [segment.language for segment in SEGMENTS[:6]]

    assert dict(zip(languages, by_hour.argmax(0)[:6].tolist(), strict=True)) == {
        "en": 17, "de": 13, "fr": 13, "es": 14, "ja": 5, "pt": 17,
    }  # fmt: skip
    assert by_hour.sum(1).max() > 1.9 * by_hour.sum(1).min()
