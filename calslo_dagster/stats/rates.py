"""Means and rates over events: mean score, base rate, clamping, alpha, bad scores, label coverage."""

import numpy as np

from calslo_dagster.stats.batch import Batch, Values, ratios, shares
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL, effective_size, proportion, sample_mean
from calslo_dagster.stats.scores import NO_LABELS, labeled_size
from calslo_dagster.stats.skewed import cell_mean
from calslo_dagster.stats.snapshot import BAD_REASONS, Snapshot

NO_EVENTS = "no events"


def mean_score(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the weighted mean of the scores of all events, labelled or not, in [0, 1].

    standard error: from the mean square, with every event counted once; the sums hold no squared weights of
    unlabelled events, so with unequal weights the labelled ones stand for all.
    """
    weight = snapshot.total("w")
    if weight <= 0.0:
        return Estimate.missing(NO_EVENTS, snapshot.events)
    mean = snapshot.total("ws") / weight
    if snapshot.is_restricted:
        return Estimate(mean, events=snapshot.events)
    rows = snapshot.cell("w") > 0
    weights = snapshot.cell("w")[rows]
    cells = snapshot.cell("ws")[rows] / weights, weights / weights.sum()
    square = snapshot.total("wss") / weight
    return cell_mean(mean, square, cells, size=_size(snapshot), events=snapshot.events, level=level)


def mean_score_many(batch: Batch) -> Values:
    """Return `mean_score` of every window."""
    return ratios(batch.total("ws"), batch.total("w"), batch.events)


def base_rate(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the weighted share of positives among labelled events, with its exact interval."""
    weight = snapshot.total("w_lab")
    if weight <= 0.0:
        return Estimate.missing(NO_LABELS, snapshot.labeled)
    share = min(1.0, snapshot.total("wy_lab") / weight)
    return proportion(share, labeled_size(snapshot), events=snapshot.labeled, level=level)


def base_rate_many(batch: Batch) -> Values:
    """Return `base_rate` of every window."""
    found = ratios(batch.total("wy_lab"), batch.total("w_lab"), batch.labeled)
    return Values(np.minimum(1.0, found.value), found.events)


def clamp_rate(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the share of events that the calibrator clamped, among those of which it is known; unweighted."""
    return _share(
        snapshot.count("n_clamped"), snapshot.count("n_clamp_known"), "no event says if it was clamped", level
    )


def clamp_rate_many(batch: Batch) -> Values:
    """Return `clamp_rate` of every window."""
    return shares(batch.count("n_clamped"), batch.count("n_clamp_known"))


def bad_score_rate(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the share of rows whose score is null, NaN, infinite or outside [0, 1], among all rows seen."""
    rows = snapshot.events + sum(snapshot.count(reason) for reason in BAD_REASONS)
    return _share(snapshot.bad_scores, rows, NO_EVENTS, level)


def bad_score_rate_many(batch: Batch) -> Values:
    """Return `bad_score_rate` of every window."""
    return shares(batch.bad_scores, batch.rows)


def labeled_share(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the share of events that have a label; unweighted."""
    return _share(snapshot.labeled, snapshot.events, NO_EVENTS, level)


def labeled_share_many(batch: Batch) -> Values:
    """Return `labeled_share` of every window."""
    return shares(batch.labeled, batch.events)


def mean_alpha(snapshot: Snapshot, *, level: float = LEVEL) -> Estimate:
    """Return the mean of the clamp alpha that events carry, in its own unit; unweighted."""
    events = snapshot.count("n_alpha")
    if events == 0:
        return Estimate.missing("no event carries an alpha")
    mean, square = snapshot.total("alpha") / events, snapshot.total("alpha2") / events
    return sample_mean(mean, square, events, events=events, level=level)


def _share(part: int, whole: int, reason: str, level: float) -> Estimate:
    return proportion(part / whole, whole, events=whole, level=level) if whole else Estimate.missing(reason)


def _size(snapshot: Snapshot) -> float:
    """Return the effective number of events: the labelled share of it, scaled up to all events."""
    labeled = snapshot.labeled
    if labeled == 0:
        return effective_size(snapshot.events, snapshot.events)
    return snapshot.events * labeled_size(snapshot) / labeled
