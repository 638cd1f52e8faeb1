"""Remedies: what to write in the settings so that a refused SLO is neither noise nor blind on this traffic."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

from calslo_dagster.slo.certificate import TRUE_PER_MONTH, Standing, is_quiet, is_sighted
from calslo_dagster.slo.model import Objective
from calslo_dagster.slo.prediction import predict
from calslo_dagster.slo.rehearsal import Stage
from calslo_dagster.slo.traffic import CALIBRATED
from calslo_dagster.slo.trials import Calibration, Mode, Rate
from calslo_dagster.slo.windows import DAY

_HOUR: Final = timedelta(hours=1)
_WINDOWS: Final = (_HOUR, 6 * _HOUR, DAY, 3 * DAY, 7 * DAY, 14 * DAY, 28 * DAY)
# Constants are written in steps of this size, rounded up.
_STEP_OF_C: Final = 0.05
_HALVINGS: Final = 24


def remedy(stage: Stage, standing: Standing) -> str:
    """Return the smallest change that makes the SLO sound on this traffic, with the number to write.

    In this order: another constant of the bound, a longer window, the other mode. All three were tried on the slice by
    prediction; where none is enough, what is left to do is said.
    """
    for text, changed in _changes(stage):
        if is_quiet(changed) and is_sighted(changed):
            return text + _least_events(stage, standing)
    if stage.is_bet_on or "label" not in stage.slo.needs:
        return "merge this slice with others (slices.measured), or leave it out (slices: of the SLO)"
    return (
        "label more of its events, merge this slice with others (slices.measured), or leave it out (slices: of the SLO)"
    )


def _changes(stage: Stage) -> Iterator[tuple[str, Stage]]:
    slo = stage.slo
    if isinstance(slo.trial, Calibration) and slo.objective.computed is not None and not stage.is_bet_on:
        yield from _constant(stage)
    can_bet = isinstance(slo.trial, Calibration | Rate) and not stage.is_bet_on
    own = ", or mode: evidence with the window as it is" if can_bet else ""
    if not stage.is_weekly and not stage.is_bet_on:
        for window in _WINDOWS:
            if window > slo.window and not (slo.pane and window % slo.pane):
                yield f"write window: {_short(window)}{own}", replace(stage, slo=replace(slo, window=window))
    if can_bet:
        yield "write mode: evidence", replace(stage, slo=replace(slo, mode=Mode.EVIDENCE))
    if stage.is_sure:
        yield "write mode: threshold", replace(stage, slo=replace(slo, mode=Mode.THRESHOLD))


def _constant(stage: Stage) -> Iterator[tuple[str, Stage]]:
    """Yield the smallest constant c of c sqrt(K / N) that is quiet."""
    now = predict(stage, CALIBRATED)
    if now.limit is None or not now.bins or not now.events:
        return
    unit = math.sqrt(now.bins / now.events)
    c = math.ceil(quiet_limit(stage) / unit / _STEP_OF_C - 1e-9) * _STEP_OF_C
    floor = stage.slo.objective.limit
    limit = max(c * unit, floor) if isinstance(floor, float) else c * unit
    changed = replace(stage, slo=replace(stage.slo, objective=Objective(at_most=limit), overrides=()))
    has_own = any(manifest.c_hat is not None for manifest in stage.traffic.expected.values())
    yield f"write {'c_hat in its manifest' if has_own else 'c'}: {c:.2f}", changed


def quiet_limit(stage: Stage) -> float:
    """Return the smallest limit at which few breaches of a calibrated model are false."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = predict(stage, CALIBRATED, limit=middle)
        is_noise = (found.per_month or 0.0) > TRUE_PER_MONTH or found.tail > 1 - stage.slo.target
        low, high = (middle, high) if is_noise else (low, middle)
    return high


def _least_events(stage: Stage, standing: Standing) -> str:
    """Return from how many events on the window would be quiet as it is, where its limit does not depend on them."""
    slo = stage.slo
    is_fixed = isinstance(slo.trial, Calibration) and slo.objective.computed is None
    if standing is not Standing.NOISY or not is_fixed or not isinstance(slo.objective.limit, float):
        return ""
    now = predict(stage, CALIBRATED)
    # Noise falls with the root of the number of events.
    least = now.events * (quiet_limit(stage) / slo.objective.limit) ** 2
    return f"; or min_events: {math.ceil(least / 100) * 100:,}, and what is smaller stays unknown"


def _short(length: timedelta) -> str:
    return f"{length // DAY}d" if length % DAY == timedelta(0) else f"{length // _HOUR}h"
