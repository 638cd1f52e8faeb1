"""Why a metric of a slice moved, as its parts: the finer slices that it is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

from calslo_dagster.stats.attribution import Effects, Metric, attribution
from calslo_dagster.stats.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Part:
    """What one finer slice has in the effects, and its shares of the weight of all events in both weeks."""

    slice: str
    effects: Effects
    share_current: float
    share_previous: float


@dataclass(frozen=True, slots=True)
class Attributed:
    """The change of one metric of one slice: `effects` sum to current less previous, and those of the parts to them."""

    slice: str
    metric: Metric
    current: float
    previous: float
    effects: Effects
    parts: tuple[Part, ...]


def attributed(
    slice_name: str, metric: Metric, current: Mapping[str, Snapshot], baseline: Mapping[str, Snapshot]
) -> Attributed | None:
    """Return the causes of the slice's change from the finer slices that it is cut into, by name, None without labels.

    The ECE is that of ten equal-width bins, which slices add up to exactly.
    """
    found = attribution(current, baseline, metric)
    if found is None:
        return None
    now, before = _shares(current), _shares(baseline)
    parts = tuple(Part(name, effects, now.get(name, 0.0), before.get(name, 0.0)) for name, effects in found.slices)
    return Attributed(slice_name, metric, found.current, found.baseline, found.effects, parts)


def _shares(snapshots: Mapping[str, Snapshot]) -> dict[str, float]:
    weights = {name: float(snapshot.cell("w").sum()) for name, snapshot in snapshots.items()}
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()} if whole > 0 else {}
