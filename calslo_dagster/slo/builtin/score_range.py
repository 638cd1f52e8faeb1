"""Every score is a probability."""

from datetime import timedelta

from calslo_dagster.slo.many import Windows
from calslo_dagster.slo.model import SLO, Evidence, Objective, Severity
from calslo_dagster.slo.trials import Certain
from calslo_dagster.stats.batch import Values
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.rates import bad_score_rate, bad_score_rate_many
from calslo_dagster.stats.snapshot import BAD_SCORE_REASONS

_WORDS = {"null": "null", "nan": "NaN", "infinite": "infinite", "below": "below 0", "above": "above 1"}


def measured(evidence: Evidence) -> Estimate:
    """Return the share of rows whose score is null, NaN, infinite or outside [0, 1], with the counts by reason."""
    snapshot = evidence.current
    found = bad_score_rate(snapshot)
    if found.value is None:
        return Estimate.missing("there are no rows in this window")
    counts = ((snapshot.count(name), _WORDS[name]) for name in BAD_SCORE_REASONS)
    reason = ", ".join(f"{count:,} {word}" for count, word in counts if count)
    return Estimate(found.value, found.low, found.high, found.events, reason, found.standard_error)


def measured_many(windows: Windows) -> Values:
    """Return what `measured` does, of every window."""
    return bad_score_rate_many(windows.batch)


slo = SLO(
    name="score_range",
    title="Share of scores that are no probability",
    description="No score is null, NaN, infinite, below 0 or above 1, in every window of 15 minutes.",
    sli=measured,
    objective=Objective(at_most=0.0),
    severity=Severity.EMERGENCY,
    window=timedelta(minutes=15),
    # A bad score is a fact and no sample: one is enough.
    min_events=1,
    target=0.999,
    unit="share",
    needs=frozenset({"score"}),
    trial=Certain(),
    runbook=(
        "Read the reason: null or NaN means that a feature or the model failed, above 1 or below 0 that raw scores are "
        "logged in place of calibrated ones or that a calibrator extrapolates. Find the first bad row of the slice in "
        "the log, stop the deployment that wrote it, and replay the affected predictions. The bad rows are kept out of "
        "every other SLO, so those stay valid."
    ),
)
