"""Distances between the scores of two weeks, in numbers and in words."""

import numpy as np
import pytest

from calslo_dagster.reporting.distances import distances_markdown, reading, score_distances
from calslo_dagster.stats.distances import Distance
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap


@pytest.mark.parametrize(
    ("name", "value", "p_value", "words"),
    [
        ("psi", 0.3, 0.05, "no more than chance"),
        ("psi", 0.05, 0.0, "small"),
        ("psi", 0.1, 0.0, "moderate"),
        ("psi", 0.3, 0.0, "large"),
        ("jensen_shannon", 0.004, 0.0, "small"),
        ("jensen_shannon", 0.04, 0.0, "large"),
        ("kolmogorov_smirnov", 0.123, 0.0, "the share of events below some score moved by 12.3 %"),
    ],
)
def test_a_distance_is_read_as_is_customary(name: str, value: float, p_value: float, *, words: str) -> None:
    assert reading(name, Distance(value, 0.01, p_value, 100)) == words


def test_slices_are_listed_by_how_far_their_scores_moved() -> None:
    rng = np.random.default_rng(1)
    here, near, far = (snap(rng.beta(2, b, 2_000)) for b in (4, 4, 2))
    found = [*score_distances("near", near, here), *score_distances("far", far, here)]

    lines = distances_markdown(found).splitlines()

    assert [one.name for one in found[:3]] == ["psi", "jensen_shannon", "kolmogorov_smirnov"]
    assert lines[2].startswith("| far | ")
    assert ": large | " in lines[2]
    assert lines[3].count("no more than chance") == 3
    assert "1 more slices" in distances_markdown(found, limit=1)


def test_a_week_without_scores_has_no_distance() -> None:
    assert score_distances("*", Snapshot(), snap([0.5])) == ()
