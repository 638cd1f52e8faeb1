"""Bets against a rate of at most a limit: clamped events, or events slower than allowed."""

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Self

import numpy as np

from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats.batches import Floats
from calslo_dagster.stats.sequential import HEAD_START, Mixture

# Odds of the alternatives, in odds of the limit; as odds, they give a rate below 1 for every limit.
ODDS: Final = (1.05, 1.1, 1.2, 1.4, 1.8, 2.5, 5.0, 8.0)


@dataclass(frozen=True, slots=True, eq=False)
class RateDetector:
    """The state of a detector of a rate above a limit, in one epoch."""

    epoch: str
    mixture: Mixture

    @classmethod
    def fresh(cls, epoch: str, *, head_start: int = HEAD_START) -> Self:
        """Return a detector that has seen nothing."""
        return cls(epoch, Mixture.empty(len(ODDS), head_start=head_start))

    def step(self, hits: int, trials: int, *, limit: float, at: float, dispersion: float = 1.0) -> Self:
        """Return the state after a batch, see `rate_step`."""
        return replace(self, mixture=rate_step(self.mixture, hits, trials, limit=limit, at=at, dispersion=dispersion))

    def reset(self) -> Self:
        """Return the state after an alarm."""
        return replace(self, mixture=reset_rate())

    @property
    def statistic(self) -> float:
        """M, which the alarm compares with its threshold."""
        return rate_statistic(self.mixture)

    @property
    def e_value(self) -> float:
        """M per batch since the reset, of mean at most 1 under the null at any fixed time; 1 without any."""
        return self.statistic / self.mixture.updates if self.mixture.updates else 1.0

    def dumped(self) -> str:
        """Return the state as JSON, from which `loaded` gives it back bit by bit."""
        mixture = self.mixture
        start = [None if np.isnan(one) else float(one) for one in mixture.start]
        mass = [float(one) for one in mixture.mass]
        return json.dumps({"epoch": self.epoch, "mass": mass, "start": start, "updates": mixture.updates})

    @classmethod
    def loaded(cls, text: str) -> Self:
        """Return the state that `dumped` wrote; SnapshotError if it was not written for these bets."""
        try:
            state = json.loads(text)
            mixture = Mixture(_per_bet(state["mass"]), _per_bet(state["start"]), int(state["updates"]))
            return cls(str(state["epoch"]), mixture)
        except (KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"no state of a detector of a rate ({error}); start it afresh") from error

    @property
    def leading(self) -> tuple[str, float]:
        """The odds ratio that holds most of M, and when the rise that it sees began."""
        at = int(np.argmax(self.mixture.mass))
        return f"odds x{ODDS[at]:g}", float(self.mixture.start[at])


def fresh_rate() -> Mixture:
    """Return the state of a detector of a rate before its first batch."""
    return Mixture.empty(len(ODDS), head_start=HEAD_START)


def reset_rate() -> Mixture:
    """Return the state of a detector of a rate after an alarm."""
    return Mixture.empty(len(ODDS))


def rate_step(state: Mixture, hits: int, trials: int, *, limit: float, at: float, dispersion: float = 1.0) -> Mixture:
    """Return the state after `hits` among `trials` at time `at`; the same without trials.

    limit: the largest rate allowed, strictly between 0 and 1. The bet on a trial is the likelihood ratio of a larger
    rate to the limit, which grows with the outcome, so its mean is at most 1 at every rate up to the limit.
    """
    if not 0 <= hits <= trials:
        raise ValueError(f"hits lie between 0 and the number of trials, got {hits} of {trials}")
    if not dispersion >= 1.0:
        raise ValueError(f"a dispersion is at least 1, got {dispersion}")
    if trials == 0:
        return state
    tilt, cost = _lines(limit)
    return state.after((hits * tilt - trials * cost) / dispersion, at)


def rate_statistic(state: Mixture) -> float:
    """Return M, the mean over the alternatives."""
    return state.statistic(np.full(len(ODDS), 1 / len(ODDS)))


def rate_e_value(hits: int, trials: int, limit: float) -> float:
    """Return the evidence of one look against a rate of at most `limit`: the mean of the bets of `rate_step`.

    Of mean at most 1 at every rate up to the limit, at most e^60; 1 without trials.
    """
    return rate_statistic(rate_step(reset_rate(), hits, trials, limit=limit, at=0.0)) if trials else 1.0


def _per_bet(numbers: list[float | None]) -> Floats:
    if len(numbers) != len(ODDS):
        raise ValueError(f"it has {len(numbers)} bets instead of {len(ODDS)}")
    return np.array([np.nan if one is None else one for one in numbers], dtype=np.float64)


@cache
def _lines(limit: float) -> tuple[Floats, Floats]:
    """Return the logit shift of each alternative and log(1 - limit + limit * odds), each shape (8,)."""
    if not 0.0 < limit < 1.0:
        raise ValueError(f"a limit of a rate lies strictly between 0 and 1, got {limit}")
    odds = np.array(ODDS)
    return np.log(odds), np.log1p(limit * (odds - 1))
