"""Median delays in events that the detectors are to reach within 1.4 times, and how many false alarms they may have."""

import math
from collections.abc import Sequence
from typing import Final

from calslo_dagster.stats.tilts import Kind
from calslo_dagster_tests.slo.scenarios import Outcome

# The columns: change and breach for churn, for ctr, for llm. None: not within the limit, mostly rightly so.
_TABLE: Final[dict[str, tuple[float | None, ...]]] = {
    "shift +0.1": (11_200, None, 71_000, None, 22_000, None),
    "shift +0.2": (3_600, 9_500, 18_700, 54_000, 6_600, 24_000),
    "shift +0.3": (1_400, 3_300, 7_600, 15_400, 3_200, 7_500),
    "shift -0.3": (1_800, 4_000, 11_400, 29_000, 2_600, 6_000),
    "shift +0.5": (600, 1_000, 3_200, 5_200, 1_200, 1_800),
    "slope 0.8": (2_000, 7_400, 1_200, 1_600, 1_400, 5_000),
    "slope 0.9": (8_600, None, 5_600, 8_800, 6_400, 58_000),
    "slope 1.1": (8_400, None, 8_300, 14_600, 9_000, None),
    "slope 1.2": (2_800, 15_000, 3_000, 5_200, 2_400, 11_700),
    "decile 5 +1": (2_800, 43_000, 9_800, 199_000, 14_400, None),
    "top decile -0.5": (7_600, None, 25_000, None, 115_000, None),
}
MODELS: Final = ("churn", "ctr", "llm")
# Events after which a run without an alarm ends.
LIMITS: Final = {"churn": 90_000, "ctr": 300_000, "llm": 250_000}
SLACK: Final = 1.4
ORACLE_SLACK: Final = 2.5
# 43,200 minutes: one alarm per slice and month.
THRESHOLD: Final = 43_200.0


def most_alarms(months: int) -> int:
    """Return the 99% point of a count with a mean of one per month: 234 in 200 months."""
    return math.ceil(months + 2.33 * math.sqrt(months) + 0.67)


def most_breaches(months: int) -> int:
    """Return how many breaches a calibrated model may have: 3 in 200 months."""
    return math.ceil(3 * months / 200)


def goal(model: str, drift: str, kind: Kind) -> float | None:
    """Return the median delay in events from the table, None where there is none."""
    return _TABLE[drift][2 * MODELS.index(model) + (kind is Kind.BREACH)]


def misses(scenario: str, found: Sequence[Outcome]) -> bool:
    """Return whether slice-months of a scenario of evidence mode miss their goal, by more than chance explains.

    One false breach and four false warnings are allowed a month. An incident is one breach, a harmless error is none
    and one warning, but for one month in ten: an alarm may take more than a week to come again.
    """
    months = len(found)
    breaches, changes = sum(one.breach_alarms for one in found), sum(one.change_alarms for one in found)
    if scenario == "incident":
        return any(one.breaches != 1 for one in found)
    if scenario == "harmless":
        return breaches > most_breaches(months) or sum(one.warnings for one in found) > 1.1 * months
    if scenario in ("at the limit", "rate at the limit"):
        return breaches > most_alarms(months)
    return breaches > most_breaches(months) or changes > most_alarms(4 * months)
