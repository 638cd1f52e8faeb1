"""Week over week without what fakes a change: other volumes, another mix of scores, an improvement, a lost sign."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from calslo_dagster.stats.bias import mean_bias
from calslo_dagster.stats.bins import DEFAULT_BINS
from calslo_dagster.stats.deltas import centred_ece, centred_ece_change
from calslo_dagster.stats.drift import Delta, change, metric_values
from calslo_dagster.stats.excess import brier_change, brier_parts, log_loss_change, log_loss_parts
from calslo_dagster.stats.intervals import LEVEL
from calslo_dagster.stats.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Rule:
    """How the change of a metric is judged.

    judged_by: the metric whose verdict counts for it, its own name if it is judged itself, empty if nothing judges it;
    rises_only: less is better, so only a rise can be a breach.
    """

    judged_by: str
    rises_only: bool = False


# Both ECEs rise when a week has fewer events, and both scores move with the mix of scores: what is left without that is
# judged in their stead. The others say where things stand, so a step to either side counts. Alpha has its own SLO.
RULES: Final = MappingProxyType(
    {
        "centred_ece": Rule("centred_ece", rises_only=True),
        "bias": Rule("bias"),
        "brier_excess": Rule("brier_excess", rises_only=True),
        "log_loss_excess": Rule("log_loss_excess", rises_only=True),
        "slope": Rule("slope"),
        "mean_score": Rule("mean_score"),
        "base_rate": Rule("base_rate"),
        "clamp_rate": Rule("clamp_rate"),
        "aece": Rule("centred_ece"),
        "dece": Rule("centred_ece"),
        "brier": Rule("brier_excess"),
        "brier_mix": Rule(""),
        "log_loss": Rule("log_loss_excess"),
        "log_loss_mix": Rule(""),
        "alpha": Rule(""),
    }
)
JUDGED_ITSELF: Final = tuple(name for name, rule in RULES.items() if rule.judged_by == name)


def changes(
    current: Snapshot, baseline: Snapshot, bins: int = DEFAULT_BINS, *, level: float = LEVEL
) -> tuple[Delta, ...]:
    """Return the change of every metric of `RULES`, in that order, with its interval at `level`.

    centred_ece: the equal-mass ECE less its mean under calibration; bias: mean score less base rate, signed; *_mix and
    *_excess: the parts of Brier score and log loss. `change` is current less baseline, to rounding of floats.
    """
    now, before = metric_values(current, bins), metric_values(baseline, bins)
    plain = {
        name: Delta(name, this, last, change(this, last, level=level))
        for (name, this), (_, last) in zip(now.items(), before.items(), strict=True)
    }
    honest = (
        _centred(current, baseline, bins, level),
        _bias(current, baseline, level),
        *_brier(current, baseline, level),
        *_log_loss(current, baseline, level),
    )
    found = plain | {delta.metric: delta for delta in honest}
    return tuple(found[name] for name in RULES)


def _centred(current: Snapshot, baseline: Snapshot, bins: int, level: float) -> Delta:
    moved = centred_ece_change(current, baseline, bins, level=level)
    return Delta("centred_ece", centred_ece(current, bins), centred_ece(baseline, bins), moved)


def _bias(current: Snapshot, baseline: Snapshot, level: float) -> Delta:
    now, before = mean_bias(current), mean_bias(baseline)
    return Delta("bias", now, before, change(now, before, level=level))


def _brier(current: Snapshot, baseline: Snapshot, level: float) -> tuple[Delta, ...]:
    now, before = brier_parts(current, level=level), brier_parts(baseline, level=level)
    moved = brier_change(current, baseline, level=level)
    return (
        Delta("brier_mix", now.sharpness, before.sharpness, moved.sharpness),
        Delta("brier_excess", now.excess, before.excess, moved.excess),
    )


def _log_loss(current: Snapshot, baseline: Snapshot, level: float) -> tuple[Delta, ...]:
    now, before = log_loss_parts(current, level=level), log_loss_parts(baseline, level=level)
    moved = log_loss_change(current, baseline, level=level)
    return (
        Delta("log_loss_mix", now.sharpness, before.sharpness, moved.sharpness),
        Delta("log_loss_excess", now.excess, before.excess, moved.excess),
    )
