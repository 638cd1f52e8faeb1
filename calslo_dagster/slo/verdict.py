"""Judge an estimate against its limits, and say why in a sentence for the person on call."""

import math
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

import numpy as np

from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.limits import figure, limits_for, passes, promise
from calslo_dagster.slo.model import EVERYTHING, JUDGED, SLO, Bound, Evidence, Limits, Measurement, Verdict
from calslo_dagster.slo.power import BLIND, Sight, sight
from calslo_dagster.slo.surety import surety
from calslo_dagster.slo.trials import Interval, Mode
from calslo_dagster.slo.windows import Window
from calslo_dagster.stats.estimate import Estimate


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, why, and the limits that were applied."""

    verdict: Verdict
    reason: str
    fail: Bound | None = None
    warn: Bound | None = None
    sight: Sight = BLIND
    needed: int | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Under which circumstances a measurement is taken; copied into its row."""

    is_final: bool = True
    watermark: datetime | None = None
    definition_hash: str = ""
    code_version: str = ""
    run_id: str = ""


_UNRECORDED = Provenance()
_RECORDED: Final = tuple(f.name for f in fields(Provenance))


def measure(
    slo: SLO,
    evidence: Evidence,
    window: Window,
    *,
    slice_name: str = EVERYTHING,
    model: str = "",
    exclusion: Exclusion | None = None,
    provenance: Provenance = _UNRECORDED,
    looks: float = 1.0,
) -> Measurement:
    """Return the SLO's measurement of the evidence; an exception of the SLI or of its limits is the verdict `error`.

    looks: how many such windows of all slices are judged in 30 days, which share the false alarms of evidence mode.
    """
    estimate = Estimate.missing("")
    try:
        estimate = _checked(slo.sli(evidence))
        judgement = judge(slo, evidence, estimate, slice_name=slice_name, model=model, exclusion=exclusion, looks=looks)
    except Exception as error:  # noqa: BLE001 - users write SLIs: a broken one must not stop the others, whatever it raises
        failed = Judgement(Verdict.ERROR, f"The indicator failed: {type(error).__name__}: {error}")
        judgement = excluded(exclusion, Limits(fail=None)) if exclusion else failed
    return Measurement(
        slo=slo.name,
        slice=slice_name,
        model=model,
        window_start=window.start,
        window_end=window.end,
        labeled=evidence.current.labeled,
        mode=slo.mode,
        **_numbers(estimate),
        **_verdict(judgement),
        **recorded(provenance),
    )


def _numbers(estimate: Estimate) -> dict[str, Any]:
    """Return what the estimate says, by the names of a measurement's fields."""
    value = estimate.value if estimate.value is not None and math.isfinite(estimate.value) else None
    return {
        "value": value,
        "debiased": value if estimate.debiased is None else estimate.debiased,
        **{name: getattr(estimate, name) for name in ("low", "high", "events", "bins")},
    }


def _verdict(judgement: Judgement) -> dict[str, Any]:
    """Return what was judged, by the names of a measurement's fields."""
    return {
        "threshold": judgement.fail,
        "warn_threshold": judgement.warn,
        "e_value": judgement.sight.e_value,
        "detectable": judgement.sight.detectable,
        **{name: getattr(judgement, name) for name in ("verdict", "reason", "needed")},
    }


def recorded(provenance: Provenance) -> dict[str, Any]:
    """Return the circumstances a measurement is taken under, by the names of its fields."""
    return {name: getattr(provenance, name) for name in _RECORDED}


def _checked(found: object) -> Estimate:
    """Return what an indicator returned if it is an estimate that can be stored; users write indicators."""
    if not isinstance(found, Estimate):
        raise TypeError(f"it returned {found!r}; return an Estimate, such as Estimate(value, events=n)")
    for name in ("value", "low", "high", "standard_error", "debiased"):
        number = getattr(found, name)
        if number is not None and not isinstance(number, (int, float, np.number)):
            raise TypeError(f"the {name} of its estimate is {number!r}; give a number, or None for none")
    for name in ("low", "high", "standard_error", "debiased"):
        number = getattr(found, name)
        if number is not None and not math.isfinite(number):
            raise ValueError(f"the {name} of its estimate is {number}; give a finite number, or None for none")
    if not isinstance(found.events, (int, np.integer)) or found.events < 0:
        raise TypeError(f"the events of its estimate are {found.events!r}; give a count")
    return found


def judge(
    slo: SLO,
    evidence: Evidence,
    estimate: Estimate,
    *,
    slice_name: str = EVERYTHING,
    model: str = "",
    exclusion: Exclusion | None = None,
    looks: float = 1.0,
) -> Judgement:
    """Return the verdict on the estimate; what is not measured well enough is unknown, never meeting."""
    limits = limits_for(slo, evidence, slice_name, model)
    if exclusion is not None:
        return excluded(exclusion, limits)
    if slo.mode is Mode.EVIDENCE and isinstance(slo.trial, Interval) and not _is_unfit(slo, estimate, limits):
        return _by_interval(slo, evidence, estimate, limits, looks=looks)
    verdict, reason = _outcome(slo, estimate, limits)
    needed = slo.min_events - estimate.events if verdict is Verdict.UNKNOWN else 0
    seen = sight(slo, evidence, estimate, limits.fail)
    return Judgement(verdict, reason, limits.fail, limits.warn, seen, needed if needed > 0 else None)


def excluded(exclusion: Exclusion, limits: Limits) -> Judgement:
    """Return the judgement of a window that does not count."""
    span = f"{exclusion.span.start:%Y-%m-%d %H:%M} to {exclusion.span.end:%Y-%m-%d %H:%M} UTC"
    return Judgement(Verdict.EXCLUDED, f"Excluded, {span}: {exclusion.reason}", limits.fail, limits.warn)


def _is_unfit(slo: SLO, estimate: Estimate, limits: Limits) -> bool:
    """Whether the plain outcome says already that nothing can be judged."""
    return _outcome(slo, estimate, limits)[0] not in JUDGED


def _by_interval(slo: SLO, evidence: Evidence, estimate: Estimate, limits: Limits, *, looks: float) -> Judgement:
    seen = sight(slo, evidence, estimate, limits.fail)
    sure = surety(slo, estimate, limits, looks)
    told = _told(slo, estimate.value or 0.0, estimate, f", {sure.words}")
    return Judgement(sure.verdict, told, limits.fail, limits.warn, seen, sure.needed)


def _outcome(slo: SLO, estimate: Estimate, limits: Limits) -> tuple[Verdict, str]:
    value, missing = estimate.value, slo.min_events - estimate.events
    if value is None:
        return Verdict.UNKNOWN, _sentence(estimate.reason or "there is no data")
    if not math.isfinite(value):
        return Verdict.ERROR, f"The indicator returned {value}, which is no measurement."
    if missing > 0:
        return Verdict.UNKNOWN, f"Needs {missing:,} more events: has {estimate.events:,} of {slo.min_events:,}."
    if limits.fail is None and limits.warn is None:
        return Verdict.UNKNOWN, "No limit applies to this evidence."
    verdict, against = _against(slo, value, limits)
    return verdict, _told(slo, value, estimate, against)


def _against(slo: SLO, value: float, limits: Limits) -> tuple[Verdict, str]:
    operator = slo.objective.operator
    if limits.fail is not None and not passes(operator, value, limits.fail):
        return Verdict.BREACHED, f"; it must be {promise(operator, limits.fail, slo.unit)}"
    if limits.warn is not None and not passes(operator, value, limits.warn):
        return Verdict.WARNING, f"; it should be {promise(operator, limits.warn, slo.unit)}"
    return Verdict.MEETING, ", within its limits"


def _told(slo: SLO, value: float, estimate: Estimate, against: str) -> str:
    shown = figure(value, slo.unit)
    # A value that rounds to its own limit would read as a contradiction.
    shown = f"{value:.12g}" if against.endswith(f" {shown}") else shown
    detail = f" {_sentence(estimate.reason)}" if estimate.reason else ""
    return f"{slo.title} is {shown} over {estimate.events:,} events{against}.{detail}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
