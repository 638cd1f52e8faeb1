"""P-values: tails of the distributions that tests here need, and what many tests say together.

A p-value of None stands for a test that could not be made: it keeps its place in the answer and counts for nothing.
"""

import math
from collections.abc import Sequence
from typing import Final

# Beyond these arguments the series in use changes, so that five terms suffice on either side.
SERIES_SWITCH: Final = 1.0
RANGE_SWITCH: Final = 1.5
TERMS: Final = 25
# A p-value of 1 weighs as minus infinity against all others, and discrete tests yield many.
LARGEST: Final = 0.99

PValues = Sequence[float | None]


def chi_square_tail(value: float, degrees: int) -> float:
    """Return P(X > value) for a chi-square X with a whole number of degrees of freedom, at least 1.

    Q(a + 1, x) = Q(a, x) + x^a exp(-x) / gamma(a + 1) from Q(1/2, x) = erfc(sqrt x) or Q(1, x) = exp(-x), at
    a = degrees / 2 and x = value / 2 (Abramowitz and Stegun 1964, 6.5.21).
    """
    if degrees < 1:
        raise ValueError(f"a chi-square has at least 1 degree of freedom, got {degrees}")
    x = max(value, 0.0) / 2
    if x == 0.0:
        return 1.0
    a = 0.5 if degrees % 2 else 1.0
    tail = math.erfc(math.sqrt(x)) if degrees % 2 else math.exp(-x)
    while a < degrees / 2:
        tail += math.exp(a * math.log(x) - x - math.lgamma(a + 1))
        a += 1
    return min(1.0, tail)


def kolmogorov_tail(value: float) -> float:
    """Return P(X > value) for X the largest |Brownian bridge| (Kolmogorov 1933; Smirnov 1948)."""
    if value <= 0.0:
        return 1.0
    if value < SERIES_SWITCH:
        terms = (math.exp(-(((2 * k - 1) * math.pi / value) ** 2) / 8) for k in range(1, TERMS))
        return 1.0 - math.sqrt(2 * math.pi) / value * math.fsum(terms)
    return 2 * math.fsum((-1) ** (k - 1) * math.exp(-2 * (k * value) ** 2) for k in range(1, TERMS))


def range_tail(value: float) -> float:
    """Return P(R > value) for R the range, largest less smallest, of Brownian motion over unit time (Feller 1951).

    4 sum_k (-1)^(k-1) k erfc(k x / sqrt 2), from Feller's density 8 sum (-1)^(k-1) k^2 phi(k x); for small x its
    Poisson transform 1 - 8 sum_(k odd) (1/x^2 + 1/(k pi)^2) exp(-(k pi / x)^2 / 2).
    """
    if value <= 0.0:
        return 1.0
    if value < RANGE_SWITCH:
        angles = [(2 * k - 1) * math.pi for k in range(1, TERMS)]
        return 1.0 - 8 * math.fsum((value**-2 + a**-2) * math.exp(-((a / value) ** 2) / 2) for a in angles)
    return 4 * math.fsum((-1) ** (k - 1) * k * math.erfc(k * value / math.sqrt(2)) for k in range(1, TERMS))


def cauchy_combination(p_values: PValues) -> float | None:
    """Return one p-value of all, None without any; valid in the tail whatever their dependence (Liu and Xie 2020).

    T = mean of tan((1/2 - p) pi), p = 1/2 - arctan(T) / pi, equation 1 with equal weights. A p-value above 0.99 counts
    as 0.99 (as Fang et al. 2023 truncate it), or a single 1 would outweigh any evidence.
    """
    known = [p for p in p_values if p is not None]
    if not known:
        return None
    if min(known) <= 0.0:
        return 0.0
    scores = [1 / math.tan(math.pi * min(p, LARGEST)) for p in known]
    # arctan(1 / T) keeps the digits of a small p-value, which 1/2 - arctan(T) / pi loses.
    return math.atan2(1.0, math.fsum(scores) / len(scores)) / math.pi


def benjamini_hochberg(p_values: PValues) -> tuple[float | None, ...]:
    """Return the q-value of each test: the smallest false discovery rate at which it is a discovery.

    q_(i) = min over j >= i of m p_(j) / j over the m tests made (Benjamini and Hochberg 1995). Holds for independent
    or positively dependent tests, such as slices of one model that share its drift.
    """
    return _stepped_up(p_values, price=1.0)


def benjamini_yekutieli(p_values: PValues) -> tuple[float | None, ...]:
    """Return the q-values under any dependence: those of `benjamini_hochberg` times 1 + 1/2 + ... + 1/m.

    Benjamini and Yekutieli (2001, theorem 1.3).
    """
    made = sum(p is not None for p in p_values)
    return _stepped_up(p_values, price=math.fsum(1 / i for i in range(1, made + 1)))


def _stepped_up(p_values: PValues, *, price: float) -> tuple[float | None, ...]:
    known = sorted(((p, i) for i, p in enumerate(p_values) if p is not None), reverse=True)
    found: list[float | None] = [None] * len(p_values)
    least = 1.0
    for before, (p, i) in enumerate(known):
        least = min(least, price * p * len(known) / (len(known) - before))
        found[i] = least
    return tuple(found)
