"""Bets against a rate of at most a limit: clamped events, or events slower than allowed."""

from functools import cache
from typing import Final

import numpy as np

from calslo_dagster.stats.batches import Floats
from calslo_dagster.stats.sequential import HEAD_START, Mixture

# Odds of the alternatives, in odds of the limit; as odds, they give a rate below 1 for every limit.
ODDS: Final = (1.05, 1.1, 1.2, 1.4, 1.8, 2.5, 5.0, 8.0)


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


@cache
def _lines(limit: float) -> tuple[Floats, Floats]:
    """Return the logit shift of each alternative and log(1 - limit + limit * odds), each shape (8,)."""
    if not 0.0 < limit < 1.0:
        raise ValueError(f"a limit of a rate lies strictly between 0 and 1, got {limit}")
    odds = np.array(ODDS)
    return np.log(odds), np.log1p(limit * (odds - 1))
