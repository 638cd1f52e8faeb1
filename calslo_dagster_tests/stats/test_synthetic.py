"""Synthetic snapshots hold the sums that real events would have left."""

import numpy as np
import pytest

from calslo_dagster.slo.traffic import CALIBRATED, assumed
from calslo_dagster.slo.windows import DAY
from calslo_dagster.stats.ece import equal_mass_ece, null_floor
from calslo_dagster.stats.scores import brier, log_loss, spiegelhalter_z
from calslo_dagster.stats.synthetic import Cells
from calslo_dagster_tests.builders import snap

SCORES = np.random.default_rng(4).beta(2, 5, 20_000)


def test_the_cells_of_a_snapshot_are_those_of_its_scores() -> None:
    labels = (np.random.default_rng(5).random(len(SCORES)) < SCORES).astype(float)

    of_snapshot, of_scores = Cells.of_snapshot(snap(SCORES, labels)), Cells.of_scores(SCORES)

    assert of_snapshot.at.tolist() == of_scores.at.tolist()
    assert of_snapshot.share == pytest.approx(of_scores.share)
    assert of_snapshot.mean == pytest.approx(of_scores.mean, abs=1e-8)
    assert of_snapshot.variance == pytest.approx(of_scores.variance, abs=1e-8)


@pytest.mark.parametrize("shape", ["churn", "ctr", "coin"])
def test_a_calibrated_model_looks_calibrated_by_every_measure(shape: str) -> None:
    windows = assumed(shape, 10).windows(DAY, CALIBRATED, np.random.default_rng(6))
    drawn = [next(windows) for _ in range(60)]
    floors = [null_floor(one) for one in drawn]

    z = [spiegelhalter_z(one).value or 0.0 for one in drawn]
    excess = [
        ((equal_mass_ece(one).value or 0.0) - floor.mean) / floor.deviation
        for one, floor in zip(drawn, floors, strict=True)
        if floor
    ]
    # Sixty values of mean 0 and deviation 1: four deviations of their mean, and of their deviation.
    for values in (z, excess):
        assert abs(float(np.mean(values))) < 4 / np.sqrt(60)
        assert 0.6 < float(np.std(values)) < 1.5


def test_scores_of_the_whole_are_those_of_the_same_events() -> None:
    window = next(assumed("churn", 10).windows(DAY, CALIBRATED, np.random.default_rng(7)))
    p, n, y = window.cell("ws_lab"), window.cell("w_lab"), window.cell("wy_lab")
    mean = np.divide(p, n, out=np.full(len(n), 0.5), where=n > 0)

    assert brier(window).value == pytest.approx(
        float((y * (1 - mean) ** 2 + (n - y) * mean**2).sum() / n.sum()), rel=1e-3
    )
    assert log_loss(window).value == pytest.approx(
        float(-(y * np.log(mean) + (n - y) * np.log(1 - mean)).sum() / n.sum()), rel=1e-9
    )
    assert window.labeled == window.events == window.count("n_clamp_known") == int(window.latency.sum())
