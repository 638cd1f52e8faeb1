"""The calibrator clamps few scores: at its output bounds it no longer tells events apart."""

from datetime import timedelta

from calslo_dagster.slo.many import Windows
from calslo_dagster.slo.model import SLO, Evidence, Objective, Severity
from calslo_dagster.slo.trials import Counts, Rate
from calslo_dagster.stats.batch import Values
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.rates import clamp_rate, clamp_rate_many
from calslo_dagster.stats.snapshot import Snapshot


def measured(evidence: Evidence) -> Estimate:
    """Return the share of events that the calibrator clamped, among those of which it is known."""
    snapshot = evidence.current
    found = clamp_rate(snapshot)
    if found.value is None and snapshot.events:
        return Estimate.missing(
            f"none of {snapshot.events:,} events says whether it was clamped; map the column `clamped`, or configure "
            "the calibrator's output bounds"
        )
    if found.value is None:
        return Estimate.missing("there are no events in this window")
    reason = f"{snapshot.count('n_clamped'):,} were clamped"
    unknown = snapshot.events - found.events
    reason += f", {unknown:,} more events do not say" if unknown else ""
    return Estimate(found.value, found.low, found.high, found.events, reason, found.standard_error)


def _counts(snapshot: Snapshot) -> Counts:
    return Counts(snapshot.count("n_clamped"), snapshot.count("n_clamp_known"))


def measured_many(windows: Windows) -> Values:
    """Return what `measured` does, of every window."""
    return clamp_rate_many(windows.batch)


slo = SLO(
    name="clamp_activation",
    title="Share of clamped scores",
    description="The calibrator clamps at most 10 % of the scores of every slice within an hour.",
    sli=measured,
    objective=Objective(at_most=0.10, warn=0.05),
    severity=Severity.WARNING,
    window=timedelta(hours=1),
    # The standard error of a rate at the limit is then 3 points, less than its distance from the warning.
    min_events=100,
    target=0.99,
    unit="share",
    needs=frozenset({"score", "clamped"}),
    trial=Rate(_counts),
    runbook=(
        "Look at the score distribution of the slice: mass piling up at one bound means that raw scores have left the "
        "range the calibrator was fitted on. Check whether the upstream model was redeployed or a feature went "
        "missing; if so, restore it. If traffic really changed, refit the calibrator with wider bounds. Scores at a "
        "bound must not be used for ranking until then."
    ),
)
