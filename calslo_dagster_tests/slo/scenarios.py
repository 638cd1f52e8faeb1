"""Scenarios of evidence mode: a slice under the product's own ticks and standings, for 30 days of quarter hours."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from calslo_dagster.slo.model import Verdict
from calslo_dagster_tests.slo.watched import (
    ERROR,
    PANES_A_DAY,
    SHARE,
    Floats,
    Traffic,
    alarms,
    course,
    shared,
    shifted,
)

DAYS: Final = 30
INCIDENT: Final = range(10 * PANES_A_DAY, 11 * PANES_A_DAY)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one slice-month came to.

    breaches, warnings: episodes of the verdict; breach_alarms, change_alarms: alarms of the detectors; clear: hours
    from the end of the incident to that of the last breach, NaN without either; dispersion: phi at the end.
    """

    breaches: int
    warnings: int
    breach_alarms: int
    change_alarms: int
    clear: float
    dispersion: float


def _by_day(at: int) -> float:
    """Return where in the day a pane lies, as an angle."""
    return 2 * np.pi * at / PANES_A_DAY


def _mix(rng: np.random.Generator, at: int, size: int) -> Floats:
    """Return scores that are low by day and high by night."""
    share = 0.5 + 0.4 * np.sin(_by_day(at))
    return np.where(rng.random(size) < share, rng.beta(2, 8, size), rng.beta(6, 3, size))


def _off(by: float) -> Callable[[int, Floats], Floats]:
    return lambda _, p: shifted(p, by)


def _incident(at: int, p: Floats) -> Floats:
    return shifted(p, 0.6) if at in INCIDENT else p


CALIBRATED: Final = Traffic()
TRAFFIC: Final[dict[str, Traffic]] = {
    "calibrated": CALIBRATED,
    "harmless": replace(CALIBRATED, truth=_off(0.045)),
    "at the limit": replace(CALIBRATED, truth=_off(0.0827)),
    "incident": replace(CALIBRATED, truth=_incident),
    "diurnal traffic": Traffic(events=lambda at: int(210 + 190 * np.sin(_by_day(at)))),
    "diurnal mix": Traffic(scores=_mix),
    "sessions": Traffic(shared=0.3),
    "few events": Traffic(events=lambda at: at % 4),
}
NAMES: Final = (*TRAFFIC, "rate at the limit")


def month(name: str, seed: int, *, days: int = DAYS, slices: int = 1) -> Outcome:
    """Return what a slice-month of the scenario came to; every detector has the whole budget of its SLO.

    slices: how many slices share it in the thresholds, 1 to have as many false alarms as the budget allows.
    """
    count = days * PANES_A_DAY
    if name == "rate at the limit":
        rng = np.random.default_rng(seed)
        found = course(SHARE, (shared(int(rng.binomial(100, 0.1))) for _ in range(count)), slices=slices)
    else:
        found = course(ERROR, TRAFFIC[name].panes(count, seed), slices=slices)
    breach, change = alarms(found.looks)
    ends = [at for at, verdict in enumerate(found.verdicts) if verdict is Verdict.BREACHED]
    clear = (ends[-1] + 1 - INCIDENT.stop) / 4 if ends and name == "incident" else float("nan")
    return Outcome(
        found.episodes(Verdict.BREACHED),
        found.episodes(Verdict.WARNING),
        breach,
        change,
        clear,
        found.watch.noise.dispersion if found.watch else 1.0,
    )
