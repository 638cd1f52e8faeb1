"""Certify SLOs: for each, how many of its alarms would be noise on the traffic of its slices, and what it can see."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from calslo_dagster.slo.certificate import REFUSED, Certificate, Standing, certify
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.rehearsal import Stage
from calslo_dagster.slo.remedies import remedy
from calslo_dagster.slo.slices import matches
from calslo_dagster.slo.traffic import Traffic, assumed

MONTHS: Final = 3.0
SLICES: Final = 3
# Shapes and events a minute that stand for traffic which nobody has seen yet.
ASSUMED: Final = (("churn", 100), ("ctr", 100), ("llm", 100), ("churn", 5), ("ctr", 5), ("llm", 5))


@dataclass(frozen=True, slots=True)
class Request:
    """How to certify: months of 30 days to simulate, the seed of every draw, and the distance of two windows."""

    months: float
    seed: int
    step: timedelta


@dataclass(frozen=True, slots=True)
class Trial:
    """One certificate to be made: the SLO on a slice, and how many slices of about its volume that stands for."""

    stage: Stage
    stands_for: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """The false breaches of an SLO over all its slices, per 30 days, and how many of them its budget allows."""

    slo: str
    slices: int
    rate: float
    budget: float
    standing: Standing


def assumed_traffic(limit_us: float) -> list[Traffic]:
    """Return the stated shapes, for a store without snapshots."""
    return [assumed(shape, rate, limit_us=limit_us) for shape, rate in ASSUMED]


def trials(slos: Iterable[SLO], traffic: Sequence[Traffic], request: Request, *, slices: int | None) -> list[Trial]:
    """Return what to certify: each SLO on the middle one of so many groups of slices, by volume.

    Shapes are no slices, so each stands for itself. None is for all shapes, or 3 groups.
    """
    found = []
    for slo in slos:
        covered = [one for one in traffic if one.is_assumed or matches(slo.slices, one.name)]
        for group in _groups(covered, slices):
            middle = group[len(group) // 2]
            stage = Stage(slo, middle, request.step, 1 if middle.is_assumed else len(covered))
            found.append(Trial(stage, len(group)))
    return found


def _groups(traffic: Sequence[Traffic], count: int | None) -> Iterator[list[Traffic]]:
    """Yield the slices in groups of equal size, the largest first."""
    if all(one.is_assumed for one in traffic):
        yield from ([one] for one in traffic[:count])
        return
    ordered = sorted(traffic, key=lambda one: (-float(one.events.sum()), one.name))
    most = min(len(ordered), SLICES if count is None else count)
    for place in range(most):
        yield ordered[place * len(ordered) // most : (place + 1) * len(ordered) // most]


def certified(trial: Trial, request: Request) -> Certificate:
    """Return the certificate of one trial, with what to write instead where it is refused."""
    found = certify(trial.stage, months=request.months, seed=request.seed, stands_for=trial.stands_for)
    return replace(found, remedy=remedy(trial.stage, found.standing)) if found.standing in REFUSED else found


def fleets(slos: Iterable[SLO], certificates: Sequence[Certificate]) -> list[Fleet]:
    """Return what the certificates of each SLO come to over all slices; the worst standing is that of the SLO."""
    found = []
    for slo in slos:
        own = [one for one in certificates if one.slo == slo.name]
        if own:
            worst = min((one.standing for one in own), key=_WORST_FIRST.index)
            rate, slices = sum(one.rate * one.slices for one in own), sum(one.slices for one in own)
            found.append(Fleet(slo.name, slices, rate, slo.alarms.breaches, worst))
    return found


_WORST_FIRST: Final = (Standing.NOISY, Standing.BLIND, Standing.SOUND, Standing.OPEN)
