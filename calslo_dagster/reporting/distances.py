"""How far the scores of a slice have moved, in numbers and in the words that are customary for them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from calslo_dagster.reporting.tables import markdown, percent
from calslo_dagster.slo.limits import plain
from calslo_dagster.stats.distances import Distance, jensen_shannon, kolmogorov_smirnov, population_stability
from calslo_dagster.stats.snapshot import Snapshot

LABELS: Final = {"psi": "PSI", "jensen_shannon": "Jensen-Shannon", "kolmogorov_smirnov": "Kolmogorov-Smirnov"}
# Below so small a p-value the distance is more than what two draws from one distribution show.
_CHANCE: Final = 0.05
# Siddiqi (2006, chapter 6); the root of the Jensen-Shannon divergence, a metric in [0, 1], is customarily read at 0.1.
_PSI_SMALL, _PSI_LARGE, _ROOT_SMALL = 0.1, 0.25, 0.1


@dataclass(frozen=True, slots=True)
class ScoreDistance:
    """One distance of a slice between both weeks' scores, with its customary reading; no verdict hangs on it."""

    slice: str
    name: str
    distance: Distance
    reading: str


def score_distances(slice_name: str, current: Snapshot, baseline: Snapshot) -> tuple[ScoreDistance, ...]:
    """Return PSI, Jensen-Shannon divergence and Kolmogorov-Smirnov distance; none where a week has no scores."""
    found = {
        "psi": population_stability(current, baseline),
        "jensen_shannon": jensen_shannon(current, baseline),
        "kolmogorov_smirnov": kolmogorov_smirnov(current, baseline),
    }
    return tuple(ScoreDistance(slice_name, name, d, reading(name, d)) for name, d in found.items() if d is not None)


def reading(name: str, distance: Distance) -> str:
    """Return in words how large the distance is."""
    if distance.p_value >= _CHANCE:
        return "no more than chance"
    if name == "kolmogorov_smirnov":
        return f"the share of events below some score moved by {percent(round(distance.value, 4))}"
    if name == "psi":
        is_small, is_large = distance.value < _PSI_SMALL, distance.value > _PSI_LARGE
    else:
        root = math.sqrt(distance.value)
        is_small, is_large = root < _ROOT_SMALL, root >= _ROOT_SMALL
    return "small" if is_small else "large" if is_large else "moderate"


def distances_markdown(found: Iterable[ScoreDistance], limit: int = 50) -> str:
    """Return the distances as a Markdown table, one line per slice, the largest PSI first."""
    by_slice: dict[str, list[ScoreDistance]] = {}
    for one in found:
        by_slice.setdefault(one.slice, []).append(one)
    slices = sorted(by_slice, key=lambda name: (-by_slice[name][0].distance.value, name))
    rest = len(slices) - limit
    table = markdown(("slice", *LABELS.values()), [(n, *map(_cell, by_slice[n])) for n in slices[:limit]])
    return table + (f"\n{rest:,} more slices, none with a larger PSI.\n" if rest > 0 else "")


def _cell(one: ScoreDistance) -> str:
    return f"{plain(one.distance.value)}: {one.reading}"
