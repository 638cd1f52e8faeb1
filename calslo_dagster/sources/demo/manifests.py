"""The manifests of the demo's calibrator versions: edges, fit counts, alpha and the constant of the ECE bound."""

from datetime import timedelta
from typing import Final

import numpy as np

from calslo_dagster.slo.model import Manifest
from calslo_dagster.sources.demo.population import SHAPES, scores, shape_of
from calslo_dagster.sources.demo.script import Release, Script

# The last bin lies above every score the model gives, so that one bin has no fit support; one of 24 is below the 5%
# at which merged bins warn.
FIT_BINS: Final = 24
FIT_EVENTS: Final = 120_000
_FITTED_BEFORE_CANARY: Final = timedelta(days=2)
_FIRST_FIT: Final = timedelta(days=30)


def demo_manifests(script: Script) -> tuple[Manifest, ...]:
    """Return one manifest per release, for all slices of its model."""
    return tuple(_manifest(script, index, release) for index, release in enumerate(script.releases))


def _manifest(script: Script, index: int, release: Release) -> Manifest:
    edges, counts = _fit(script.spec.seed, index, release)
    canary = max(release.canary, -_FIRST_FIT)
    return Manifest(
        version=release.version,
        model=release.model,
        alpha=script.alpha(release),
        bins=FIT_BINS,
        c_hat=shape_of(release.model).c_hat,
        edges=edges,
        fit_counts=counts,
        mask_id=release.mask_id,
        fitted_at=script.spec.opening + canary - _FITTED_BEFORE_CANARY,
    )


def _fit(seed: int, index: int, release: Release) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Return equal-mass edges of a fit sample, the bin above its top score added, and the sample's counts per bin."""
    shape = shape_of(release.model)
    rng = np.random.default_rng((seed, index))
    sample = scores(rng, np.full(FIT_EVENTS, SHAPES.index(shape)))
    inner = np.quantile(sample, np.arange(1, FIT_BINS - 1) / (FIT_BINS - 1)).round(6)
    top = round((1.0 + max(shape.top, shape.ceiling)) / 2, 6)
    edges = np.array([0.0, *inner, top, 1.0])
    counts = np.histogram(sample, edges)[0]
    return tuple(edges.tolist()), tuple(counts.tolist())
