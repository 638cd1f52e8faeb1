"""Verdicts on changes from one week to the next: what an interval supports, over many slices at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from calslo_dagster.slo.limits import plain, signed
from calslo_dagster.slo.model import Verdict
from calslo_dagster.stats.changes import RULES
from calslo_dagster.stats.deltas import breach_p_value, events_to_decide, judgement
from calslo_dagster.stats.drift import Delta
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import LEVEL
from calslo_dagster.stats.p_values import benjamini_hochberg

# A normal interval of fewer events is none: a handful of equal scores would be certain of anything.
FEWEST_EVENTS: Final = 30
# The share of the breaches of a view, metric by metric, that may be chance.
FALSE_SHARE: Final = 0.05
LABELS: Final = MappingProxyType(
    {
        "centred_ece": "ECE beyond chance",
        "bias": "bias",
        "brier_excess": "Brier score, excess",
        "log_loss_excess": "log loss, excess",
        "slope": "calibration slope",
        "mean_score": "mean score",
        "base_rate": "base rate",
        "clamp_rate": "clamp rate",
        "aece": "equal-mass ECE",
        "dece": "debiased ECE",
        "brier": "Brier score",
        "brier_mix": "Brier score, mix",
        "log_loss": "log loss",
        "log_loss_mix": "log loss, mix",
        "alpha": "clamp alpha",
    }
)
_UNJUDGED: Final = MappingProxyType(
    {
        "brier_mix": "not judged: other scores are no fault of calibration",
        "log_loss_mix": "not judged: other scores are no fault of calibration",
        "alpha": "not judged here: clamp_alpha judges it",
    }
)


@dataclass(frozen=True, slots=True)
class JudgedChange:
    """The change of one metric with its verdict.

    limit: None where nothing judges the metric; p_value: of the hypothesis that the change is within the limit;
    q_value: the same among the slices of its view; events_needed: how many events the smaller week would need for
    another verdict than unknown, given for unknown only.
    """

    delta: Delta
    verdict: Verdict
    reason: str
    limit: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    events_needed: int | None = None


def judge_change(delta: Delta, limit: float, *, level: float = LEVEL) -> JudgedChange:
    """Return the verdict that the interval of the change, at `level`, supports by the rule of its metric.

    That of `judgement`, except that a change beyond the limit whose interval holds 0 is unknown: the interval is then
    wider than the limit, so noise alone makes such changes, and the slope of most weeks would be a warning.
    """
    change, rises_only = delta.change, RULES[delta.metric].rises_only
    if 0 < change.events < FEWEST_EVENTS:
        few = f"{change.events} events in the smaller week; fewer than {FEWEST_EVENTS} say nothing of a change"
        return JudgedChange(delta, Verdict.UNKNOWN, few, limit, events_needed=FEWEST_EVENTS)
    verdict = Verdict(judgement(change, limit, rises_only=rises_only))
    if verdict is Verdict.WARNING and (change.low or 0.0) <= 0.0 <= (change.high or 0.0):
        verdict = Verdict.UNKNOWN
    needed = events_to_decide(change, limit) if verdict is Verdict.UNKNOWN else None
    p_value = breach_p_value(change, limit, rises_only=rises_only, level=level)
    return JudgedChange(delta, verdict, _told(change, verdict, limit, needed), limit, p_value, events_needed=needed)


def judge_week(
    changes: Mapping[str, Sequence[Delta]], views: Mapping[str, tuple[str, ...]], limits: Mapping[str, float]
) -> dict[str, tuple[JudgedChange, ...]]:
    """Return the verdicts on all changes of all slices; `views` names the columns of each slice, `limits` its limit.

    A breach that the number of slices explains becomes a warning; metrics that another one judges take its verdict.
    """
    alone = {
        name: {d.metric: judge_change(d, limits[name]) for d in deltas if RULES[d.metric].judged_by == d.metric}
        for name, deltas in changes.items()
    }
    kept = _controlled(alone, views)
    told = {name: _with_mix(found, changes[name]) for name, found in kept.items()}
    return {name: tuple(_placed(delta, told[name]) for delta in deltas) for name, deltas in changes.items()}


def about(events: int) -> str:
    """Return the number rounded up to two digits, as nobody plans traffic more exactly."""
    unit: int = 10 ** max(0, len(str(events)) - 2)
    return f"{-(-events // unit) * unit:,}"


def _controlled(
    alone: Mapping[str, Mapping[str, JudgedChange]], views: Mapping[str, tuple[str, ...]]
) -> dict[str, dict[str, JudgedChange]]:
    """Return the changes with their q-values among the slices of one view and one metric.

    Slices of one view share no events, so their tests are independent given what happened to all of them, and
    Benjamini-Hochberg holds. Slices of different views overlap and metrics of one slice hang together in ways that can
    go against each other: each is a family of its own, where one family of all would take the price of
    Benjamini-Yekutieli, a factor of 9 for eight metrics of a thousand slices. `*` is a family of one.
    """
    kept = {name: dict(found) for name, found in alone.items()}
    families: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for name, found in alone.items():
        for metric in found:
            families.setdefault((views[name], metric), []).append(name)
    for (_, metric), names in families.items():
        q_values = benjamini_hochberg([alone[name][metric].p_value for name in names])
        tests = sum(q is not None for q in q_values)
        for name, q in zip(names, q_values, strict=True):
            kept[name][metric] = _corrected(alone[name][metric], q, tests)
    return kept


def _corrected(found: JudgedChange, q_value: float | None, tests: int) -> JudgedChange:
    if found.verdict is not Verdict.BREACHED or q_value is None or q_value <= FALSE_SHARE:
        return replace(found, q_value=q_value)
    reason = (
        f"changed by {_rounded(found.delta.change.value or 0.0)}, a breach if it were the only slice; among {tests:,} "
        f"slices chance does that too (q = {plain(q_value)}, above {FALSE_SHARE:g})"
    )
    return replace(found, verdict=Verdict.WARNING, reason=reason, q_value=q_value)


def _with_mix(judged: Mapping[str, JudgedChange], deltas: Sequence[Delta]) -> dict[str, JudgedChange]:
    """Return the changes, those of an excess with what the whole score and its mix did."""
    moved = {delta.metric: delta.change.value for delta in deltas}
    told = dict(judged)
    for score in ("brier", "log_loss"):
        whole, mix, excess = moved.get(score), moved.get(f"{score}_mix"), told.get(f"{score}_excess")
        if whole is not None and mix is not None and excess is not None:
            split = (
                f"the whole {LABELS[score]} changed by {_rounded(whole)}, {_rounded(mix)} of it by the mix of scores"
            )
            told[f"{score}_excess"] = replace(excess, reason=f"{excess.reason}; {split}")
    return told


def _placed(delta: Delta, judged: Mapping[str, JudgedChange]) -> JudgedChange:
    """Return the change as it was judged, or as the metric that judges it was."""
    judge = RULES[delta.metric].judged_by
    if judge == delta.metric:
        return judged[judge]
    if not judge or delta.change.value is None:
        verdict = Verdict.UNKNOWN if delta.change.value is None else Verdict.MEETING
        return JudgedChange(delta, verdict, delta.change.reason or _UNJUDGED[delta.metric])
    by = judged[judge]
    return JudgedChange(delta, by.verdict, f"judged by {judge}, which {by.reason}")


def _told(change: Estimate, verdict: Verdict, limit: float, needed: int | None) -> str:
    if change.value is None:
        return change.reason
    bound = plain(limit)
    match verdict:
        case Verdict.BREACHED:
            rest = f"beyond {bound} for certain"
        case Verdict.MEETING:
            rest = f"within {bound} for certain" if change.value >= -limit else "for the better"
        case Verdict.WARNING if abs(change.value) > limit:
            rest = f"beyond {bound} as measured, yet not for certain"
        case Verdict.WARNING:
            rest = f"which is more than chance and may be beyond {bound}"
        case _ if needed is None:
            rest = "with nothing to say how much of it is chance"
        case _:
            rest = f"too few events to decide: about {about(needed)} a week would do"
    return f"changed by {_rounded(change.value)}, {rest}"


def _rounded(value: float) -> str:
    return signed(round(value, 6))
