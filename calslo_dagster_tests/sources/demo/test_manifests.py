"""The manifests of the demo's calibrators."""

import itertools

from calslo_dagster.sources.demo.manifests import FIT_BINS, demo_manifests
from calslo_dagster.sources.demo.population import CTR, RANKER
from calslo_dagster.sources.demo.script import Script


def test_each_model_has_two_versions(script: Script) -> None:
    manifests = demo_manifests(script)

    assert [(m.model, m.version) for m in manifests] == [
        (RANKER, "ranker-3.1"),
        (RANKER, "ranker-3.2"),
        (CTR, "ctr-7.4"),
        (CTR, "ctr-8.0"),
    ]
    assert all(m.mask_id == f"{m.version}-mask" for m in manifests)


def test_edges_ascend_from_zero_to_one_and_one_bin_has_no_fit_support(script: Script) -> None:
    for manifest in demo_manifests(script):
        assert len(manifest.edges) == FIT_BINS + 1
        assert (manifest.edges[0], manifest.edges[-1]) == (0.0, 1.0)
        assert all(low < high for low, high in itertools.pairwise(manifest.edges))
        assert manifest.fit_counts.count(0) == 1
        assert manifest.fit_counts[-1] == 0
        assert sum(manifest.fit_counts) == 120_000


def test_a_version_is_fitted_before_it_serves(script: Script) -> None:
    for manifest, release in zip(demo_manifests(script), script.releases, strict=True):
        assert manifest.fitted_at is not None
        assert manifest.fitted_at < script.spec.opening + max(release.canary, script.spec.start - script.spec.opening)


def test_the_alpha_of_a_manifest_is_what_the_version_runs_with(script: Script) -> None:
    assert [m.alpha for m in demo_manifests(script)] == [script.alpha(release) for release in script.releases]
