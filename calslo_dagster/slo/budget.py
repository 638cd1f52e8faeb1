"""Error budgets in whole windows, burn rates over pairs of windows, and the exact rolling forecast.

Everything is counted in integers and fractions: floats floor budgets such as 13 * (1 - 12/13) to zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Final

from calslo_dagster.slo.availability import Promise, State, Tally, exact
from calslo_dagster.slo.windows import spoken


@dataclass(frozen=True, slots=True)
class Budget:
    """How many bad windows a period allows; `used + left == allowed`, and `left` goes below zero.

    unknown windows are not spent, but `left_at_worst` is what is left if all of them were bad.
    """

    allowed: int
    used: int
    unknown: int
    promise: Promise

    @property
    def left(self) -> int:
        """Bad windows that the period still has room for; negative when overspent."""
        return self.allowed - self.used

    @property
    def left_at_worst(self) -> int:
        """What is left if every unknown window was bad."""
        return self.left - self.unknown

    @property
    def consumed(self) -> float | None:
        """Used share of the allowance, above 1 when overspent; None if nothing is allowed."""
        return self.used / self.allowed if self.allowed else None


def budget(found: Tally, target: float) -> Budget:
    """Return the budget of a period: the floor of (1 - target) times its expected windows may be bad."""
    allowed = (1 - exact(target)) * found.expected
    return Budget(allowed.numerator // allowed.denominator, found.bad, found.unknown, found.promise(target))


def burn_rate(found: Tally, target: float) -> Fraction | None:
    """Return how many times faster than sustainable the budget burns, a lower bound: unknown windows count as not bad.

    None without expected windows, or without a budget.
    """
    allowance = 1 - exact(target)
    return Fraction(found.bad, found.expected) / allowance if found.expected and allowance else None


@dataclass(frozen=True, slots=True)
class Tier:
    """Burning `share` of the period's budget within `long` is worth an alert; `short` lets it end soon after."""

    name: str
    share: Fraction
    long: timedelta
    short: timedelta


TIERS: Final = (
    Tier("page_fast", Fraction(2, 100), timedelta(hours=1), timedelta(minutes=5)),
    Tier("page_slow", Fraction(5, 100), timedelta(hours=6), timedelta(minutes=30)),
    Tier("ticket_fast", Fraction(10, 100), timedelta(days=1), timedelta(hours=2)),
    Tier("ticket_slow", Fraction(10, 100), timedelta(days=3), timedelta(hours=6)),
)


@dataclass(frozen=True, slots=True)
class PlannedTier:
    """A tier fitted to one SLO: it fires when both windows burn faster than `factor`.

    long, short: numbers of steps; needed: bad windows of `long` that it takes; dropped: why the tier is not used, empty
    if it is; note: what was adapted.
    """

    name: str
    factor: Fraction
    long: int
    short: int
    needed: int
    dropped: str = ""
    note: str = ""


def plan_tiers(
    step: timedelta, target: float, period: timedelta, tiers: Iterable[Tier] = TIERS
) -> tuple[PlannedTier, ...]:
    """Return every tier with its factor share * period / long, and why it is dropped if it cannot tell anything.

    Tiers that could never fire, or that would fire while the budget lasts, are found here and not in an incident.
    """
    return tuple(_planned(tier, step, exact(target), period) for tier in tiers)


def _planned(tier: Tier, step: timedelta, target: Fraction, period: timedelta) -> PlannedTier:
    factor = tier.share * Fraction(period // _TICK, tier.long // _TICK)
    long, short = tier.long // step, max(1, tier.short // step)
    limit = factor * (1 - target) * long
    needed = limit.numerator // limit.denominator + 1
    dropped = _dropped(tier, factor, target, long=long, short=short, needed=needed)
    note = f"the short window is one step, {spoken(step)}, instead of {spoken(tier.short)}" if tier.short < step else ""
    return PlannedTier(tier.name, factor, long, short, needed, dropped=dropped, note="" if dropped else note)


_TICK: Final = timedelta(microseconds=1)


def _dropped(tier: Tier, factor: Fraction, target: Fraction, *, long: int, short: int, needed: int) -> str:
    if target >= 1:
        return "a target of 100 % has no budget to burn: every bad window is a breach"
    if long < 1:
        return f"{spoken(tier.long)} hold no whole window"
    if factor < 1:
        return f"it would fire at {float(factor):.3g} times the sustainable rate, while the budget lasts"
    if short >= long:
        return f"{spoken(tier.long)} hold {long} window(s), no more than the short window does"
    if needed > long:
        most = float(1 / (1 - target))
        return (
            f"it can never fire: all {long} windows bad burn {most:.3g} times, it needs more than {float(factor):.3g}"
        )
    return ""


@dataclass(frozen=True, slots=True)
class Burn:
    """A tier that fires: the burn rates over its long and short window, with the counts behind them."""

    tier: PlannedTier
    long_rate: Fraction
    short_rate: Fraction
    bad: int
    expected: int


def burning(plan: Iterable[PlannedTier], found: Sequence[State], target: float) -> tuple[Burn, ...]:
    """Return the tiers that fire now, in the order of the plan.

    found: states of the expected windows, the latest last; windows before the first are unknown.
    """
    burns = (_burn(tier, found, target) for tier in plan if not tier.dropped)
    return tuple(burn for burn in burns if burn is not None)


def _burn(tier: PlannedTier, found: Sequence[State], target: float) -> Burn | None:
    long, short = _last(found, tier.long), _last(found, tier.short)
    slow, fast = burn_rate(long, target), burn_rate(short, target)
    if slow is None or fast is None or min(slow, fast) <= tier.factor:
        return None
    return Burn(tier, slow, fast, long.bad, long.expected)


def _last(found: Sequence[State], count: int) -> Tally:
    part = list(found[-count:])
    part += [State.UNKNOWN] * (count - len(part))
    return Tally(*(part.count(state) for state in State))


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the rolling budget runs out: each the first instant at which used exceeds allowed, None within the horizon.

    best: no new bad window; expected: new ones at the given rate; worst: every new window bad. returns: the first
    instant at which an overspent budget is kept again if no new window is bad.
    """

    best: datetime | None
    expected: datetime | None
    worst: datetime | None
    returns: datetime | None


def forecast(
    bad_ends: Sequence[datetime], now: datetime, *, target: float, period: timedelta, step: timedelta, rate: float
) -> Forecast:
    """Return when the budget of the rolling `period` runs out within one period from now.

    bad_ends: ends of the bad windows in the period, any order; rate: expected share of bad windows to come. Bad windows
    leave the period on known dates, which is why a budget can come back on its own.
    """
    steps = period // step
    allowed = budget(Tally(good=steps), target).allowed
    ages = [(now - end) // step for end in bad_ends if now - period < end <= now]
    left = _remaining(ages, steps)

    def first(share: Fraction) -> datetime | None:
        hit = next((h for h, inside in enumerate(left) if inside + share * h > allowed), None)
        return None if hit is None else now + hit * step

    returns = next((h for (h, a), (_, b) in pairwise(enumerate(left)) if a > allowed >= b), None)
    back = None if returns is None else now + (returns + 1) * step
    return Forecast(best=first(Fraction(0)), expected=first(exact(rate)), worst=first(Fraction(1)), returns=back)


def _remaining(ages: Sequence[int], steps: int) -> list[int]:
    """Return how many windows of these ages are still inside the period after 0, 1, ... steps."""
    leaving = [0] * (steps + 1)
    for age in ages:
        leaving[steps - age] += 1
    left, inside = [], len(ages)
    for gone in leaving:
        inside -= gone
        left.append(inside)
    return left
