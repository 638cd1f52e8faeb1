"""The clamp parameter alpha moves little from one ISO week to the next."""

from collections.abc import Mapping
from datetime import timedelta

from calslo_dagster.slo.limits import plain
from calslo_dagster.slo.model import SLO, Cadence, Evidence, Manifest, Objective, Severity
from calslo_dagster.stats.drift import change
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.rates import mean_alpha
from calslo_dagster.stats.snapshot import Snapshot


def measured(evidence: Evidence) -> Estimate:
    """Return the absolute change of the mean alpha, from the events of both weeks, else from both weeks' manifests.

    Both weeks are read from the same source: a difference between what was logged and what was fitted is no drift.
    """
    if evidence.baseline is None:
        return Estimate.missing("there is no week before this one to compare with")
    logged = mean_alpha(evidence.current), mean_alpha(evidence.baseline)
    fitted = (
        manifest_alpha(evidence.current, evidence.expected),
        manifest_alpha(evidence.baseline, evidence.baseline_expected),
    )
    for source, (now, before) in (("events", logged), ("manifests", fitted)):
        if now.value is not None and before.value is not None:
            return _change(now, before, source)
    return Estimate.missing("alpha is known for both weeks neither from events nor from manifests")


def manifest_alpha(snapshot: Snapshot, expected: Mapping[str, Manifest]) -> Estimate:
    """Return the mean alpha of the manifests of the versions seen, each weighing its events."""
    known = [(expected[v].alpha, n) for v, n in snapshot.versions.items() if v in expected]
    alphas = [(alpha, n) for alpha, n in known if alpha is not None and n > 0]
    if not alphas:
        return Estimate.missing("no version seen has a manifest with an alpha")
    events = sum(n for _, n in alphas)
    return Estimate(sum(alpha * n for alpha, n in alphas) / events, events=events, standard_error=0.0)


def _change(now: Estimate, before: Estimate, source: str) -> Estimate:
    moved = change(now, before)
    value = abs(moved.value or 0.0)
    low, high = moved.low, moved.high
    if low is not None and high is not None:
        low, high = max(0.0, low, -high), max(-low, high)
    reason = f"alpha went from {plain(before.value or 0.0)} to {plain(now.value or 0.0)}, by the {source}"
    return Estimate(value, low, high, moved.events, reason, moved.standard_error)


slo = SLO(
    name="clamp_alpha",
    title="Change of alpha since last week",
    description="The clamp parameter alpha changes by less than 0.05 from one ISO week to the next.",
    sli=measured,
    objective=Objective(below=0.05),
    severity=Severity.WARNING,
    window=timedelta(days=7),
    cadence=Cadence.WEEKLY,
    # Alpha is fitted, not sampled: one event shows it.
    min_events=1,
    # One bad week of a quarter's thirteen.
    target=0.92,
    close_after=1,
    needs=frozenset({"score", "clamp_alpha"}),
    runbook=(
        "Find the refit between the two weeks in the manifests and compare the data it was fitted on: a jump of alpha "
        "with steady traffic points at a broken or short training window. Roll back to the calibrator before it if "
        "ece_bound or clamp_activation of the slice is breached too; otherwise accept the refit and note why."
    ),
)
