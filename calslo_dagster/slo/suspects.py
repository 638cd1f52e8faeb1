"""The suspects behind a breach, each looked for in its own way; see `slo.causes` for how they are scored."""

import math
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import numpy as np

from calslo_dagster.slo.causes import (
    CIRCUMSTANTIAL,
    WEIGHTS,
    Case,
    Cause,
    CauseKind,
    Pair,
    ranked,
    rows_of,
    unusualness,
)
from calslo_dagster.slo.limits import plain
from calslo_dagster.slo.windows import spoken
from calslo_dagster.stats import counterfactual as put
from calslo_dagster.stats.bins import DEFAULT_BINS, equal_mass_bins
from calslo_dagster.stats.distances import jensen_shannon
from calslo_dagster.stats.grid import bin_bounds
from calslo_dagster.stats.rates import clamp_rate, labeled_share, mean_alpha, mean_score
from calslo_dagster.stats.snapshot import BAD_SCORE_REASONS, LATENCY_GAMMA, Snapshot, merge

LABEL: Final = "label"
# A version that came so long before the onset is half as suspect as one that came with it.
HALF_LIFE: Final = timedelta(hours=12)
LONGEST_BEFORE: Final = timedelta(days=3)
# Where all traffic has a version, what else changed with it cannot be told apart.
CONFOUNDED: Final = 0.8
# A version that harmed none of the other slices that it serves keeps this much of its score.
LEAST_SPREAD: Final = 0.4
LEAST_SIBLINGS: Final = 2
# Of a version or of what it replaced, so that both have a value of their own.
LEAST_SHARE: Final = 0.05
MOST_PARTS: Final = 2
# Where a version that is not new is the place, what moved there says more.
KNOWN_VERSION: Final = 0.8
# What differs by less is no cause, however many events say that it differs.
LEAST_SLOWER: Final = 1.2
LEAST_CLAMPED: Final = 1.5
# A range of scores is told when it holds so much of the gap.
REGION_SHARE: Final = 0.7

_ADVICE: Final = {
    CauseKind.VERSION: "Roll the calibrator back, or compare it with the version before on the same requests.",
    CauseKind.SEGMENT: "Look at this part alone: its callers, its features, and what was deployed for it.",
    CauseKind.MIX: "Find out which caller or campaign changed the traffic; refit if the new mix is here to stay.",
    CauseKind.SCORES: "Compare the raw scores and the features with those of the week before; an input has moved.",
    CauseKind.COVERAGE: "Look at the label feed before anything else: the figures may right themselves.",
    CauseKind.BAD_SCORES: "Find out who writes these scores: the last step of the calibrator clips or fails.",
    CauseKind.DUPLICATES: "Look for a retry loop or a log that was delivered twice.",
    CauseKind.VOLUME: "Find out what sends, or no longer sends, the traffic.",
    CauseKind.OUTCOME: "Look for a broken feature or a change in what the label means; if it is real, refit.",
    CauseKind.CLAMPING: "Compare the raw scores with the range that the calibrator was fitted on.",
    CauseKind.ALPHA: "Compare the settings of the calibrator with its manifest.",
    CauseKind.LATENCY: "Look at the calibrator's host: cache, load, garbage collection, the last deployment.",
    CauseKind.REGION: "Open the calibration table with `calslo table` and look at these bins.",
}


def find_causes(case: Case) -> tuple[Cause, ...]:
    """Return the ranked causes of the breach."""
    found = [*_versions(case), *_parts(case), *_movements(case), *_labels(case), *_traffic(case)]
    return ranked(found)


def _cause(kind: CauseKind, score: float, evidence: str) -> Cause:
    return Cause(kind, round(min(1.0, max(0.0, score)) * WEIGHTS[kind], 3), evidence, _ADVICE[kind])


def _without(case: Case, value: float | None) -> str:
    return f"the value would be {case.shown(value)}, not {case.shown(case.worst)}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


# A new version


def _versions(case: Case) -> Iterator[Cause]:
    total = rows_of(case.whole.current)
    for version, (at, rise) in case.arrivals.items():
        pair, before = case.versions.get(version), max(case.onset - at, timedelta(0))
        if pair is None or not total or before > LONGEST_BEFORE or at > case.onset + case.step:
            continue
        share = pair.rows / total
        nearness = 0.5 ** (before / max(HALF_LIFE, min(case.slo.window, LONGEST_BEFORE) / 2))
        explained, told = _contrast(case, version, pair, share)
        came = f"{spoken(before)} before it began" if before else "as it began"
        rose = f"calibrator {version} took over {_percent(rise)} of the traffic {came}"
        yield _cause(CauseKind.VERSION, explained * nearness, f"{_upper(rose)} and has {_percent(share)} now; {told}.")


def _contrast(case: Case, version: str, pair: Pair, share: float) -> tuple[float, str]:
    """Return how much of the excess the version explains, and the sentence that says so.

    At best the version that it replaces still serves a part, at the same time. Versions of other models, which the
    manifests tell apart, say nothing about it.
    """
    replaced = merge(other.current for name, other in case.versions.items() if _is_rival(case, name, version))
    mine = pair.rows / max(pair.rows + rows_of(replaced), 1)
    theirs, ours = case.value(replaced), case.value(pair.current)
    if LEAST_SHARE <= mine <= 1 - LEAST_SHARE and theirs is not None and replaced.events >= case.slo.min_events:
        told = f"with it the value is {case.shown(ours)}, with the version that it replaces {case.shown(theirs)}"
        as_theirs = put.scaled(replaced, pair.rows / rows_of(replaced))
        return case.explained(put.swapped(case.whole.current, pair.current, as_theirs)), told
    before = put.swapped(case.whole.current, pair.current, _of_rivals(case, version, share))
    explained = case.explained(before)
    told = "nothing is known of the time before" if case.usual is None else f"before it {_before(case)}"
    spread, others = _spread(case, version)
    if others < LEAST_SIBLINGS:
        return explained * CONFOUNDED, f"{told}; as it serves all, nothing else can be ruled out"
    told += f"; of {others:,} slices that it serves, {_percent(spread)} got as much worse"
    return explained * CONFOUNDED * (LEAST_SPREAD + (1 - LEAST_SPREAD) * spread), told


def _before(case: Case) -> str:
    return "nothing changed so much" if case.is_weekly else f"the value was {case.shown(case.usual)}"


def _is_rival(case: Case, name: str, version: str) -> bool:
    """Whether the version is one that the other may have replaced: of its model, where the manifests tell the model."""
    models = [case.manifests[one].model if one in case.manifests else None for one in (name, version)]
    return name != version and (models[0] == models[1] or None in models)


def _of_rivals(case: Case, version: str, share: float) -> Snapshot:
    """Return what was served by the version and those that it may have replaced when all was well."""
    ours = [pair.baseline for name, pair in case.versions.items() if name == version or _is_rival(case, name, version)]
    return merge(ours) if ours and share < 1 else case.whole.baseline


def _spread(case: Case, version: str) -> tuple[float, int]:
    """Return the share of the other slices that the version serves in which the value rose half as much or more."""
    if case.worst is None or case.usual is None:
        return 0.0, 0
    harmed, excess = [], case.worst - case.usual
    for pair in case.siblings.values():
        if pair.current.versions.get(version, 0) * 2 < pair.current.events or pair.current.events < case.slo.min_events:
            continue
        now, before = case.value(pair.current, pair.baseline), case.before(pair)
        if now is not None and before is not None:
            harmed.append((now - before) / excess >= 0.5 if excess else False)
    return (sum(harmed) / len(harmed), len(harmed)) if harmed else (0.0, 0)


# A part of the traffic


def _parts(case: Case) -> Iterator[Cause]:
    total = rows_of(case.whole.current)
    versions = {f"calibrator version {name}": pair for name, pair in case.versions.items() if _is_settled(case, name)}
    found = []
    for name, pair in {**case.parts, **versions}.items():
        share = pair.rows / total if total else 1.0
        if not 0 < share < 1 - LEAST_SHARE:
            continue
        hybrid = put.swapped(case.whole.current, pair.current, pair.baseline)
        explained = case.explained(hybrid)
        if explained > share:
            weight = KNOWN_VERSION if name in versions else 1.0
            found.append((weight * explained * (explained - share) / (1 - share), share, name, hybrid))
    for score, share, name, hybrid in sorted(found, key=lambda one: (-round(one[0], 2), one[1], one[2]))[:MOST_PARTS]:
        held = _percent(case.explained(hybrid))
        told = f"{name} has {_percent(share)} of the rows and explains {held} of the excess; as it was before, "
        yield _cause(CauseKind.SEGMENT, score, f"{_upper(told)}{_without(case, case.value(hybrid))}.")
    if len(case.parts) > 1:
        yield from _mix(case, total)


def _is_settled(case: Case, version: str) -> bool:
    """Whether the version serves about as much as before; one that comes or goes is a matter of versions."""
    pair, totals = case.versions[version], (rows_of(case.whole.current), rows_of(case.whole.baseline))
    if not version or not all(totals):
        return False
    now, before = pair.rows / totals[0], rows_of(pair.baseline) / totals[1]
    return now <= 2 * before and before <= 2 * now


def _mix(case: Case, total: int) -> Iterator[Cause]:
    """Yield the mix of the slices as a cause: each as it is, but with its usual share of the traffic."""
    leaves = {name: pair for name, pair in case.siblings.items() if name in case.parts}
    usual = sum(rows_of(pair.baseline) for pair in leaves.values())
    if not usual or not total:
        return
    hybrid, squares, most = Snapshot(), 0.0, ("", 0.0, 0.0)
    for name, pair in leaves.items():
        expected = rows_of(pair.baseline) * total / usual
        if not pair.rows:
            continue
        hybrid = put.swapped(hybrid, Snapshot(), put.scaled(pair.current, expected / pair.rows))
        squares += (pair.rows - expected) ** 2 / max(expected * (case.repeats + total / usual), 1.0)
        if (pair.rows - expected) / total > most[1] - most[2]:
            most = (name, pair.rows / total, expected / total)
    score = put.chi_score(squares, len(leaves) - 1)
    told = f"The mix of slices moved, {most[0]} most, from {_percent(most[2])} to {_percent(most[1])} of the rows; "
    explained = case.explained(hybrid) * unusualness(score)
    yield _cause(CauseKind.MIX, explained, f"{told}with the usual mix {_without(case, case.value(hybrid))}.")


# What moved


def _movements(case: Case) -> Iterator[Cause]:
    now, then = case.whole.current, case.whole.baseline
    if not rows_of(then):
        return
    yield from _bad_scores(case, now, then)
    yield from _clamping(case, now, then)
    yield from _alpha(case, now, then)
    yield from _latency(case, now, then)


def _bad_scores(case: Case, now: Snapshot, then: Snapshot) -> Iterator[Cause]:
    if now.bad_scores:
        seen = case.seen(now)
        score = put.rate_score(seen.bad_scores, rows_of(seen), then.bad_scores, rows_of(then))
        hybrid = put.bad_scores_put_back(now, then)
        reasons = ", ".join(f"{seen.count(r):,} {r}" for r in BAD_SCORE_REASONS if seen.count(r))
        told = (
            f"{_percent(now.bad_scores / rows_of(now))} of the scores are no probabilities ({reasons}), "
            f"{_percent(then.bad_scores / rows_of(then))} usually{_version_of_bad(case)}."
        )
        yield _cause(CauseKind.BAD_SCORES, _linked(case, hybrid, score), told)


def _version_of_bad(case: Case) -> str:
    bad = {version: pair.current.bad_scores for version, pair in case.versions.items() if pair.current.bad_scores}
    return f"; all of them from calibrator {next(iter(bad))}" if len(bad) == 1 and next(iter(bad)) else ""


def _clamping(case: Case, now: Snapshot, then: Snapshot) -> Iterator[Cause]:
    rate, usual = clamp_rate(now).value, clamp_rate(then).value
    if rate is not None and usual is not None and rate > LEAST_CLAMPED * usual:
        known = [(span.count("n_clamped"), span.count("n_clamp_known")) for span in (case.seen(now), then)]
        score = put.rate_score(*known[0], *known[1])
        told = f"{_percent(rate)} of the events were clamped, {_percent(usual)} usually: scores left the fitted range."
        yield _cause(CauseKind.CLAMPING, _linked(case, put.clamping_put_back(now, then), score), told)


def _alpha(case: Case, now: Snapshot, then: Snapshot) -> Iterator[Cause]:
    alphas = mean_alpha(now), mean_alpha(then)
    if (alpha := alphas[0].value) is not None and (usual := alphas[1].value) is not None:
        errors = [one.standard_error or 0.0 for one in alphas]
        error = max(math.hypot(*errors), 1e-4)
        told = f"The clamp alpha of the events went from {plain(usual)} to {plain(alpha)}."
        explained = case.explained(put.alpha_put_back(now, then))
        yield _cause(CauseKind.ALPHA, explained * unusualness((alpha - usual) / error), told)


def _latency(case: Case, now: Snapshot, then: Snapshot) -> Iterator[Cause]:
    events, usual = int(now.latency.sum()), int(then.latency.sum())
    if not events or not usual:
        return
    tail = int(np.searchsorted(np.cumsum(then.latency), 0.9 * usual)) + 1
    seen = case.seen(now).latency
    score = put.rate_score(int(seen[tail:].sum()), int(seen.sum()), int(then.latency[tail:].sum()), usual)
    middles = [
        LATENCY_GAMMA ** int(np.searchsorted(np.cumsum(one.latency), one.latency.sum() / 2)) for one in (now, then)
    ]
    told = (
        f"Calibrations take {middles[0] / middles[1]:.2g} times as long: the median is {plain(middles[0])} us, "
        f"{plain(middles[1])} us usually."
    )
    if score > 0 and middles[0] >= LEAST_SLOWER * middles[1]:
        yield _cause(CauseKind.LATENCY, _linked(case, put.latency_put_back(now, then), score), told)


def _linked(case: Case, hybrid: Snapshot, score: float) -> float:
    """Return the share explained, or that of a coincidence if that is more, times how unusual it is."""
    return max(case.explained(hybrid), CIRCUMSTANTIAL) * unusualness(score)


# Labels and scores


def _labels(case: Case) -> Iterator[Cause]:
    now, then = case.whole.current, case.whole.baseline
    if not (now.events and then.events):
        return
    yield from _scores(case, now, then)
    if LABEL in case.slo.needs and now.labeled and then.labeled:
        yield from _outcome(case, now, then)
        yield from _coverage(case, now, then)
        yield from _region(case, now, then)


def _scores(case: Case, now: Snapshot, then: Snapshot) -> Iterator[Cause]:
    distance = jensen_shannon(case.seen(now), then)
    if distance is None or distance.floor <= 0:
        return
    score = put.chi_score(distance.value / distance.floor * (DEFAULT_BINS - 1), DEFAULT_BINS - 1)
    hybrid = put.scores_put_back(now, then)
    means = [mean_score(span).value or 0.0 for span in (then, now)]
    told = (
        f"The scores themselves moved: their mean went from {plain(means[0])} to {plain(means[1])}, and the distance "
        f"of the histograms is {distance.value / distance.floor:.2g} times that of chance; with the usual scores "
        f"{_without(case, case.value(hybrid))}."
    )
    yield _cause(CauseKind.SCORES, case.explained(hybrid) * unusualness(score), told)


def _outcome(case: Case, now: Snapshot, then: Snapshot) -> Iterator[Cause]:
    hybrid = put.outcome_put_back(now, then)
    gaps = [(span.total("wy_lab") - span.total("ws_lab")) / max(span.total("w_lab"), 1e-9) for span in (then, now)]
    told = (
        f"At the same scores labels came at another rate: the rate less the mean score went from {gaps[0]:+.3g} to "
        f"{gaps[1]:+.3g}; with the usual labels {_without(case, case.value(hybrid))}{_elsewhere(case)}."
    )
    unusual = unusualness(put.outcome_score(case.seen(now), then))
    yield _cause(CauseKind.OUTCOME, case.explained(hybrid) * unusual, told)


def _elsewhere(case: Case) -> str:
    """Return how many other slices moved so, too."""
    others = [pair for name, pair in case.siblings.items() if name not in case.parts and name != case.slice]
    judged = [pair for pair in others if pair.current.labeled and pair.baseline.labeled]
    moved = sum(unusualness(put.outcome_score(case.seen(pair.current), pair.baseline)) > 0.5 for pair in judged)
    return f"; {moved or 'none'} of {len(judged):,} other slices moved so" if judged else ""


def _coverage(case: Case, now: Snapshot, then: Snapshot) -> Iterator[Cause]:
    share, usual = labeled_share(now).value or 0.0, labeled_share(then).value or 0.0
    seen = case.seen(now)
    score = put.rate_score(seen.labeled, seen.events, then.labeled, then.events)
    hybrid = put.coverage_put_back(now, then)
    told = (
        f"{_percent(share)} of the events have a label, {_percent(usual)} usually; with as many labels in each range "
        f"of scores as usual {_without(case, case.value(hybrid))}."
    )
    explained = case.explained(hybrid)
    # Labels that are still missing may change every figure, whatever those that are there say.
    explained = max(explained, CIRCUMSTANTIAL) if share < usual else explained
    yield _cause(CauseKind.COVERAGE, explained * unusualness(score), told)


def _region(case: Case, now: Snapshot, then: Snapshot) -> Iterator[Cause]:
    """Yield the shortest range of scores that holds most of the gap, if it is much less than all events."""
    group = equal_mass_bins(now.cell_counts("n_lab"), DEFAULT_BINS)
    gaps = []
    for span in (now, then):
        gap = np.bincount(group, span.cell("wy_lab") - span.cell("ws_lab"), DEFAULT_BINS)
        gaps.append(gap / max(float(span.cell("w_lab").sum()), 1e-9))
    # A weekly change may be one for the better.
    excess = np.abs(gaps[0] - gaps[1]) if case.is_weekly else np.maximum(np.abs(gaps[0]) - np.abs(gaps[1]), 0.0)
    total = float(excess.sum())
    if total <= 0:
        return
    held = [
        (last - first, -float(excess[first : last + 1].sum()), first, last)
        for first in range(DEFAULT_BINS)
        for last in range(first, DEFAULT_BINS)
        if excess[first : last + 1].sum() >= REGION_SHARE * total
    ]
    _, negative, first, last = min(held)
    cells = np.flatnonzero((group >= first) & (group <= last))
    share = float(now.cell("w_lab")[cells].sum()) / float(now.cell("w_lab").sum())
    low, high = float(bin_bounds()[0][cells[0]]), float(bin_bounds()[1][cells[-1]])
    part = -negative / total
    told = (
        f"Scores of {plain(low)} to {plain(high)} have {_percent(share)} of the labels and {_percent(part)} of the gap."
    )
    unusual = unusualness(put.outcome_score(case.seen(now), then))
    yield _cause(CauseKind.REGION, max(0.0, (part - share) / max(1 - share, 1e-9)) * unusual, told)


# Traffic


def _traffic(case: Case) -> Iterator[Cause]:
    now, then = case.whole.current, case.whole.baseline
    if case.pace is not None:
        way = "more" if case.pace.score > 0 else "less"
        told = (
            f"There was {way} traffic: {case.pace.rows:,.0f} rows in an hour that usually has {case.pace.usual:,.0f}."
        )
        yield _cause(CauseKind.VOLUME, CIRCUMSTANTIAL * unusualness(case.pace.score), told)
    now = case.seen(now)
    twice = now.count("duplicates")
    if twice and rows_of(then):
        usual = then.count("duplicates")
        score = put.rate_score(twice, rows_of(now) + twice, usual, rows_of(then) + usual)
        rates = twice / rows_of(now) if rows_of(now) else 0.0, usual / rows_of(then)
        told = f"{_percent(rates[0])} of the predictions were logged again, {_percent(rates[1])} usually."
        yield _cause(CauseKind.DUPLICATES, CIRCUMSTANTIAL * unusualness(max(score, 0.0)), told)


def _upper(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
