"""Bets on the labels of a batch: families of tilts, each fair or unfavourable to who bets while its null holds.

A bet on one event is 1 + k (y - p), or the same thing as a tilt t of the logit: e^{t y} / (1 - p + p e^t). Its mean is
1 if E[y | p, past] = p. Its logarithm, t y - log(1 + p (e^t - 1)), is convex in p, so a tangent in p lies below it.
With t fixed within a fine bin of middle c and g = e^t - 1, t y - log(1 + c g) - (p - c) g / (1 + c g) is a smaller bet
that is linear in 1, p and y. The sums of a snapshot are therefore all that a bet needs, and no grid makes it unfair.
"""

import itertools
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

import numpy as np

from calslo_dagster.stats import grid
from calslo_dagster.stats.baseline import BLOCKS, Baseline, centres, logits
from calslo_dagster.stats.batches import Batch, Floats
from calslo_dagster.stats.learned import Learned

LARGEST_TILT: Final = 2.0
SHIFTS: Final = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)
SLOPES: Final = (0.05, 0.1, 0.2, 0.4)
BOTH_SHIFTS: Final = (0.05, 0.1, 0.2, 0.4)
BOTH_SLOPES: Final = (0.1, 0.2, 0.4)
BLOCK_TILTS: Final = 3
STAKES: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
LEARNED_STAKES: Final = 4
WIDEST_BIN: Final = 1 / 512
# Halves, quarters and eighths of the ranks, as blocks [start, stop) of sixteen.
DYADIC: Final = tuple((k, k + width) for width in (8, 4, 2) for k in range(0, BLOCKS, width))
CUTS: Final = tuple(range(2, BLOCKS, 2))


class Kind(StrEnum):
    """What a detector watches for: any miscalibration, or one beyond the tolerance."""

    CHANGE = "change"
    BREACH = "breach"


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """The bets of a detector in order: weights, shape (bets,), that sum to 1, and a name of each."""

    weights: Floats
    names: tuple[str, ...]


@cache
def family(kind: Kind) -> Family:
    """Return the weights and names of the bets that `log_bets` returns for this kind."""
    groups = _change_groups() if kind is Kind.CHANGE else _breach_groups()
    weights = np.concatenate([np.full(len(names), share / len(names)) for share, names in groups])
    weights.flags.writeable = False
    return Family(weights, tuple(name for _, names in groups for name in names))


def log_bets(kind: Kind, batch: Batch, baseline: Baseline, learned: Learned) -> Floats:
    """Return the logarithm of what each bet of the family makes of the batch, shape (bets,)."""
    bets = _change_bets if kind is Kind.CHANGE else _breach_bets
    return bets(batch, baseline, learned)


def _change_bets(batch: Batch, baseline: Baseline, learned: Learned) -> Floats:
    """Return the bets against perfect calibration; each has a mean of at most 1 then."""
    running = _running(_per_bin(_shift_lines(), batch), batch, baseline)
    large = running[:, -2 * BLOCK_TILTS :]
    slopes = _per_bin(_slope_lines(baseline.pivot), batch).sum(axis=0)
    blocks = _between(large, DYADIC).ravel()
    return np.concatenate([running[-1], slopes, blocks, _learned_tilts(batch, baseline, learned)])


def _learned_tilts(batch: Batch, baseline: Baseline, learned: Learned) -> Floats:
    tilts = np.repeat(learned.tilts(), np.diff(np.searchsorted(batch.at, baseline.edges)), axis=1)
    bets: Floats = (tilts * batch.label - batch.size * np.log1p(batch.mean * np.expm1(tilts))).sum(axis=1)
    return bets


def _breach_bets(batch: Batch, baseline: Baseline, learned: Learned) -> Floats:
    """Return the bets against a mean of |q - p| of at most the tolerance, whatever the shape of q - p.

    Under the true probability q, a bet 1 + k s (y - p) with a sign s of -1, 0 or 1 per bin has the mean
    1 + k s (q - p) <= e^{k |q - p|}, the bets on n events together at most e^{k n tolerance}: this is the fee. A tilt
    that is constant in a bin makes its k vary by k |p - c|, hence k / (1 - k width / 2).
    """
    running = _running(_per_bin(_sign_lines(), batch), batch, baseline)
    count = len(STAKES)
    minus, plus = running[:, :count], running[:, count:]
    cuts = list(CUTS)
    above = plus[-1] - plus[cuts] + minus[cuts]
    below = minus[-1] - minus[cuts] + plus[cuts]
    signs = learned.signs()[:, :, np.newaxis]
    per_block = np.diff(running, axis=0)
    up, down = per_block[:, count : count + LEARNED_STAKES], per_block[:, :LEARNED_STAKES]
    guessed = (np.where(signs > 0, up, 0.0) + np.where(signs < 0, down, 0.0)).sum(axis=1)
    fixed = [running[-1], np.hstack([above, below]).ravel(), _between(running, DYADIC).ravel()]
    return np.concatenate([*fixed, guessed.ravel()]) - batch.events * baseline.tolerance * _fees()


@cache
def _fees() -> Floats:
    """Return the fee of each breach bet per event and unit of tolerance."""
    stakes = np.array(STAKES)
    fees = stakes / (1 - stakes * WIDEST_BIN / 2)
    signed = np.tile(fees, 2 * (1 + len(CUTS) + len(DYADIC)))
    return np.concatenate([signed, np.tile(fees[:LEARNED_STAKES], Learned.count())])


def _per_bin(lines: Floats, batch: Batch) -> Floats:
    """Return what each line makes of each occupied bin, shape (occupied, lines).

    Plain products and sums, row by row: unlike those of a linear algebra library, they do not depend on the machine.
    """
    chosen = lines[batch.at]
    found: Floats = chosen[:, 0] * batch.size[:, np.newaxis]
    found += chosen[:, 1] * batch.score[:, np.newaxis]
    found += chosen[:, 2] * batch.label[:, np.newaxis]
    return found


def _running(per_bin: Floats, batch: Batch, baseline: Baseline) -> Floats:
    """Return the sums before each of the 17 edges of the blocks, shape (17, lines)."""
    sums = np.zeros((len(per_bin) + 1, per_bin.shape[1]))
    np.cumsum(per_bin, axis=0, out=sums[1:])
    before: Floats = sums[np.searchsorted(batch.at, baseline.edges)]
    return before


def _between(running: Floats, spans: tuple[tuple[int, int], ...]) -> Floats:
    starts, stops = zip(*spans, strict=True)
    sums: Floats = running[list(stops)] - running[list(starts)]
    return sums


def _lines(tilts: Floats) -> Floats:
    """Return the bets with these tilts, (795, bets), as factors of sum 1, sum p and sum y: shape (795, 3, bets)."""
    middle = centres()[:, np.newaxis]
    gain = np.expm1(tilts)
    slope = gain / (1 + middle * gain)
    lines = np.stack([middle * slope - np.log1p(middle * gain), -slope, tilts], axis=1)
    lines.flags.writeable = False
    return lines


def _signed(sizes: tuple[float, ...]) -> Floats:
    """Return each size below and above zero, the large ones last: (-a, a, -b, b)."""
    return np.array([sign * size for size in sizes for sign in (-1.0, 1.0)])


@cache
def _shift_lines() -> Floats:
    return _lines(np.tile(_signed(SHIFTS), (grid.FINE_BINS, 1)))


@cache
def _slope_lines(pivot: float) -> Floats:
    """Return the bets on slopes about the pivot and about zero, and on shift and slope at once."""
    about, zero = logits()[:, np.newaxis] - pivot, logits()[:, np.newaxis]
    pairs = np.array(list(itertools.product(_signed(BOTH_SHIFTS), _signed(BOTH_SLOPES))))
    tilts = [_signed(SLOPES) * about, _signed(SLOPES) * zero, pairs[:, 0] + pairs[:, 1] * about]
    return _lines(np.clip(np.hstack(tilts), -LARGEST_TILT, LARGEST_TILT))


@cache
def _sign_lines() -> Floats:
    """Return the bets 1 + k s (y - c), all with the sign -1 first."""
    middle = centres()[:, np.newaxis]
    stakes = np.concatenate([-np.array(STAKES), np.array(STAKES)])
    return _lines(np.log1p(stakes * (1 - middle)) - np.log1p(-stakes * middle))


def _change_groups() -> list[tuple[float, list[str]]]:
    shifts = [f"shift {a:+g}" for a in _signed(SHIFTS)]
    turns = [f"slope {b:+g} about {at}" for at in ("the median", "zero") for b in _signed(SLOPES)]
    both = [f"shift {a:+g}, slope {b:+g}" for a in _signed(BOTH_SHIFTS) for b in _signed(BOTH_SLOPES)]
    blocks = [f"shift {a:+g} {_span(s)}" for s in DYADIC for a in _signed(SHIFTS[-BLOCK_TILTS:])]
    learned = [f"learned over {memory:g}" for memory in Learned.memories()]
    return [(0.32, shifts), (0.26, turns), (0.10, both), (0.20, blocks), (0.12, learned)]


def _breach_groups() -> list[tuple[float, list[str]]]:
    stakes = [f"{sign} at {k:g}" for sign in ("too high", "too low") for k in STAKES]
    cuts = [f"{one} below rank {c}/{BLOCKS}" for c in CUTS for one in stakes]
    blocks = [f"{one} {_span(s)}" for s in DYADIC for one in stakes]
    learned = [f"learned over {memory:g} at {k:g}" for memory in Learned.memories() for k in STAKES[:LEARNED_STAKES]]
    return [(0.34, stakes), (0.25, cuts), (0.23, blocks), (0.18, learned)]


def _span(span: tuple[int, int]) -> str:
    return f"in ranks {span[0]}/{BLOCKS} to {span[1]}/{BLOCKS}"
