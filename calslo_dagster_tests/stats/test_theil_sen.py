"""The robust line: exact where points lie on one, deaf to single days, honest about its errors."""

import numpy as np
import pytest
from scipy.stats import theilslopes

from calslo_dagster.stats.daily import Daily
from calslo_dagster.stats.theil_sen import Line


def points(values: np.ndarray, error: float = 1.0) -> Daily:
    return Daily.of([(day, float(value), error) for day, value in enumerate(values)])


def test_points_on_a_line_give_that_line() -> None:
    line = Line.of(points(3.0 + 0.5 * np.arange(14)))

    assert line.slope == pytest.approx(0.5)
    assert line.level == pytest.approx(3.0 + 0.5 * line.centre)
    assert line.dispersion == 1.0


def test_one_wrong_day_hardly_matters() -> None:
    values = 0.5 * np.arange(14.0)
    values[12] = 1_000.0

    assert Line.of(points(values)).slope == pytest.approx(0.5, abs=0.01)


def test_the_weighted_median_is_near_the_plain_one_of_scipy() -> None:
    """The weights are those of pairs further apart, so the two are estimates of one slope and not equal."""
    values = 0.3 * np.arange(28.0) + np.random.default_rng(5).normal(0, 1, 28)

    line, plain = Line.of(points(values)), theilslopes(values, np.arange(28))

    assert abs(line.slope - plain.slope) < line.slope_error


def test_a_day_without_events_has_no_say() -> None:
    rng = np.random.default_rng(6)
    known = [(day, 0.1 * day + float(rng.normal(0, 0.1)), 0.1) for day in range(14)]

    line, more = Line.of(Daily.of(known)), Line.of(Daily.of([*known, (14, -50.0, 1e6)]))

    assert more.slope == pytest.approx(line.slope, rel=0.02)
    # It counts as one more point when the scatter about the line is averaged.
    assert more.slope_error == pytest.approx(line.slope_error, rel=0.1)


def test_errors_are_those_that_repetition_shows() -> None:
    """Of 400 lines the deviation of the slope is known to 3.5 %; the asymptotic efficiency is off by less than 10 %."""
    rng = np.random.default_rng(7)
    lines = [Line.of(points(rng.normal(0, 1, 14))) for _ in range(400)]

    ratios = [line.slope / line.slope_error for line in lines]

    assert 0.8 < float(np.std(ratios)) < 1.1


def test_scatter_beyond_sampling_widens_the_errors() -> None:
    values = np.random.default_rng(8).normal(0, 1, 14)

    expected, beyond = Line.of(points(values, 1.0)), Line.of(points(values, 0.25))

    assert beyond.dispersion > 4 * expected.dispersion
    assert beyond.slope_error > 0.6 * expected.slope_error


def test_a_doubtful_slope_is_shrunk_and_a_certain_one_is_not() -> None:
    values = 0.02 * np.arange(14.0)

    doubtful, certain = Line.of(points(values, 1.0)), Line.of(points(50 * values, 0.01))

    assert doubtful.shrunk(1 / 30).slope < 0.5 * doubtful.slope
    assert certain.shrunk(1 / 30).slope == pytest.approx(certain.slope, rel=0.001)
