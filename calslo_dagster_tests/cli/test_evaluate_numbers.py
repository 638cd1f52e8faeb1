"""The numbers of `calslo evaluate` are those of the plain formulas over the rows of the log."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from calslo_dagster_tests.cli.logs import Sample, sample
from calslo_dagster_tests.cli.running import measured
from calslo_dagster_tests.stats import formulas

# Slices of every size, one of them too small for 15 equal-mass bins.
SIZES: Final = {"big": 12_000, "fair": 8_000, "small": 2_500, "tiny": 40}
# Scores on and beside the edges of the bins, which a rounded index would put into the wrong one.
EDGES: Final = np.array([0.0, 0.1, 0.2, 0.3, 0.6, 0.7, 0.9, 1.0, 1 / 15, 2 / 15, 7 / 15, 14 / 15, 5e-324, 1 - 2**-53])


def skewed(log: Sample, name: str, seed: int) -> Sample:
    """Return the log with the scores of its slice: near 0 for one, on the edges for another, overconfident labels."""
    random = np.random.default_rng(seed)
    scores = np.round(log.scores**3, 3) if name == "fair" else log.scores
    scores = np.where(random.random(len(log)) < 0.05, random.choice(EDGES, len(log)), scores)
    return Sample(log.times, scores, (random.random(len(log)) < 0.1 + 0.8 * scores).astype(np.float64))


@pytest.fixture(scope="module")
def slices() -> dict[str, Sample]:
    parts = {
        name: skewed(sample(count, seed=seed), name, seed) for seed, (name, count) in enumerate(SIZES.items(), start=1)
    }
    joined = [
        np.concatenate([getattr(part, field) for part in parts.values()]) for field in ("times", "scores", "labels")
    ]
    return {"*": Sample(*joined), **{f"part={name}": part for name, part in parts.items()}}


@pytest.fixture(scope="module")
def weights(slices: dict[str, Sample]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(5).integers(0, 8, len(slices["*"])) / 4


@pytest.fixture(scope="module")
def found(slices: dict[str, Sample], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    path = tmp_path_factory.mktemp("numbers") / "log.parquet"
    parts = np.repeat(list(SIZES), list(SIZES.values()))
    order = np.random.default_rng(9).permutation(len(parts))
    everything = slices["*"]
    shuffled = Sample(everything.times[order], everything.scores[order], everything.labels[order])
    metrics: dict[str, dict[str, float]] = measured(
        shuffled.write(path, part=parts[order]), "--slice", "part", "--slo", "score_range"
    )["metrics"]
    return metrics


@pytest.mark.parametrize("name", ["*", *(f"part={name}" for name in SIZES)])
@pytest.mark.parametrize("metric", ["ece_ew10", "ece_ew15", "brier", "log_loss", "spiegelhalter_z"])
def test_exact_metrics_are_those_of_the_formulas(
    slices: dict[str, Sample], found: dict[str, dict[str, float]], name: str, metric: str
) -> None:
    log, even = slices[name], np.ones(len(slices[name]))

    wanted = {
        "ece_ew10": lambda: formulas.ece(log.scores, log.labels, even, formulas.width_bins(log.scores, 10)),
        "ece_ew15": lambda: formulas.ece(log.scores, log.labels, even, formulas.width_bins(log.scores, 15)),
        "brier": lambda: formulas.brier(log.scores, log.labels, even),
        "log_loss": lambda: formulas.log_loss(log.scores, log.labels, even),
        "spiegelhalter_z": lambda: formulas.spiegelhalter_z(log.scores, log.labels, even),
    }[metric]()

    assert found[name][metric] == pytest.approx(wanted, rel=0, abs=1e-9)
    assert found[name]["n"] == len(log)


@pytest.mark.parametrize("name", ["*", *(f"part={name}" for name in SIZES)])
def test_equal_mass_error_is_that_of_the_tie_safe_bins(
    slices: dict[str, Sample], found: dict[str, dict[str, float]], name: str
) -> None:
    log = slices[name]

    wanted = formulas.ece(log.scores, log.labels, np.ones(len(log)), formulas.mass_bins(log.scores, 15))

    # Fine bins are cut in proportion to their mass: a part of the sampling noise, which shrinks with the events.
    assert found[name]["ece_em15"] == pytest.approx(wanted, rel=0, abs=1e-3 if len(log) >= 8_000 else 5e-3)


def test_weights_enter_every_sum(
    slices: dict[str, Sample], weights: np.ndarray[Any, np.dtype[np.float64]], tmp_path: Path
) -> None:
    log = slices["*"]

    metrics = measured(log.write(tmp_path / "log.parquet", w=weights), "--column", "weight=w")["metrics"]["*"]

    arrays = log.scores, log.labels, weights
    assert metrics["brier"] == pytest.approx(formulas.brier(*arrays), abs=1e-9)
    assert metrics["log_loss"] == pytest.approx(formulas.log_loss(*arrays), abs=1e-9)
    assert metrics["spiegelhalter_z"] == pytest.approx(formulas.spiegelhalter_z(*arrays), abs=1e-9)
    bins = formulas.width_bins(log.scores, 15)
    assert metrics["ece_ew15"] == pytest.approx(formulas.ece(*arrays, bins), abs=1e-9)


@pytest.mark.parametrize(
    ("metric", "edge"), [("ece_ew10", 0.3), ("ece_ew10", 0.7), ("ece_ew15", 0.2), ("ece_ew15", 0.6)]
)
def test_a_score_on_an_edge_belongs_to_the_bin_that_begins_there(tmp_path: Path, metric: str, edge: float) -> None:
    """Labels are 1 on the edge and 0 just below it: in one bin the gaps would cancel."""
    log = Sample(np.arange(200), np.repeat([edge - 0.001, edge], 100), np.repeat([0.0, 1.0], 100))

    metrics = measured(log.write(tmp_path / "log.parquet"))["metrics"]["*"]

    assert metrics[metric] == pytest.approx(0.5 * (edge - 0.001) + 0.5 * (1 - edge), abs=1e-9)


@pytest.mark.parametrize(
    ("score", "label", "brier"), [(0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.5, 1.0, 0.25)]
)
def test_a_single_event_has_its_own_numbers(tmp_path: Path, score: float, label: float, brier: float) -> None:
    log = Sample(np.array([0]), np.array([score]), np.array([label]))

    metrics = measured(log.write(tmp_path / "log.parquet"))["metrics"]["*"]

    assert metrics["brier"] == brier
    assert metrics["ece_ew10"] == metrics["ece_em15"] == abs(score - label)
    assert metrics["spiegelhalter_z"] is None
