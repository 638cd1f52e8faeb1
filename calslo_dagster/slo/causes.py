"""Why an SLO was breached: suspects found in the snapshots, each with a score, its evidence and what to do first.

The score of a cause, between 0 and 1, is the product of three parts, so that causes of different kinds compare:
- share: the part of the excess that goes away when this alone is put back to what it was when all was well. The SLO's
  own indicator measures it, so it is right for every SLO. What no indicator can show, because it only happened at the
  same time, counts as CIRCUMSTANTIAL.
- unusualness: 0 for a deviation of up to 2 standard deviations, 1 from 5 on; of a place, by how much more of the excess
  it holds than of the traffic; of a new version, how shortly before the onset it came.
- weight: how far the kind leads towards something that can be changed. That a version is new says more than in which
  slice it hurts, that more than what moved, and that more than the symptom itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Final

from calslo_dagster.slo.limits import figure
from calslo_dagster.slo.model import SLO, Evidence, Manifest
from calslo_dagster.stats.counterfactual import divided
from calslo_dagster.stats.snapshot import BAD_REASONS, Snapshot


class CauseKind(StrEnum):
    """What can be behind a breach."""

    VERSION = "version"
    SEGMENT = "segment"
    MIX = "mix"
    SCORES = "scores"
    COVERAGE = "coverage"
    BAD_SCORES = "bad_scores"
    DUPLICATES = "duplicates"
    VOLUME = "volume"
    OUTCOME = "outcome"
    CLAMPING = "clamping"
    ALPHA = "alpha"
    LATENCY = "latency"
    REGION = "region"
    NONE = "none"


WEIGHTS: Final = {
    CauseKind.VERSION: 1.0,
    CauseKind.SEGMENT: 0.9,
    CauseKind.MIX: 0.8,
    CauseKind.SCORES: 0.8,
    CauseKind.COVERAGE: 0.8,
    CauseKind.BAD_SCORES: 0.8,
    CauseKind.DUPLICATES: 0.8,
    CauseKind.VOLUME: 0.8,
    CauseKind.OUTCOME: 0.8,
    CauseKind.CLAMPING: 0.8,
    CauseKind.ALPHA: 0.7,
    CauseKind.LATENCY: 0.8,
    CauseKind.REGION: 0.5,
}
# Of the excess, what is ascribed to something that was merely unusual at the time.
CIRCUMSTANTIAL: Final = 0.3
# Below the first a cause is not worth a line; below the second none stands out.
LEAST_SCORE: Final = 0.1
STANDS_OUT: Final = 0.25
MOST_CAUSES: Final = 8
# An excess this small beside the value is no excess to explain.
_LEAST_EXCESS: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Cause:
    """One possible cause: its score in [0, 1], a sentence of evidence, and what to do first."""

    kind: CauseKind
    score: float
    evidence: str
    advice: str

    @property
    def stands_out(self) -> bool:
        """Whether it is worth naming in an alert."""
        return self.kind is not CauseKind.NONE and self.score >= STANDS_OUT


@dataclass(frozen=True, slots=True)
class Pair:
    """The same traffic in the worst window, and when all was well."""

    current: Snapshot
    baseline: Snapshot

    @property
    def rows(self) -> int:
        """Rows in the worst window, rejected ones too."""
        return rows_of(self.current)


@dataclass(frozen=True, slots=True)
class Pace:
    """Rows per hour in the hour of the breach that was most unusual, and usually; score: how unusual, signed."""

    rows: float
    usual: float
    score: float


@dataclass(frozen=True, eq=False)
class Case:
    """A breach with the facts around it.

    whole: the breached slice; parts: groups of its traffic by name, which may overlap; siblings: other slices of the
    same view; versions: the whole by calibrator version; arrivals: when the share of a version rose, and by how much;
    is_weekly: the indicator compares with the baseline itself; repeats: how often the worst window was added up, to
    weigh as much as a baseline of several windows; pace: of the rows per hour, None where nothing is usual.
    """

    slo: SLO
    slice: str
    onset: datetime
    step: timedelta
    limit: float | None
    whole: Pair
    parts: Mapping[str, Pair] = field(default_factory=dict)
    siblings: Mapping[str, Pair] = field(default_factory=dict)
    versions: Mapping[str, Pair] = field(default_factory=dict)
    arrivals: Mapping[str, tuple[datetime, float]] = field(default_factory=dict)
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    is_weekly: bool = False
    repeats: int = 1
    pace: Pace | None = None

    def value(self, snapshot: Snapshot, baseline: Snapshot | None = None) -> float | None:
        """Return what the SLO's indicator makes of the snapshot; None if nothing, or if it fails.

        A weekly one compares it with `baseline`, by default that of the breached slice.
        """
        before = (baseline or self.whole.baseline) if self.is_weekly else None
        expected, earlier = ({v: self.manifests[v] for v in self._fitted(one)} for one in (snapshot, before))
        try:
            return self.slo.sli(Evidence(snapshot, before, expected, earlier)).value
        except Exception:  # noqa: BLE001 - users write indicators, and a mixture of two times may be new to one
            return None

    def seen(self, snapshot: Snapshot) -> Snapshot:
        """Return what was seen of the worst window, once: what noise is judged by."""
        return divided(snapshot, self.repeats)

    def _fitted(self, snapshot: Snapshot | None) -> list[str]:
        return [version for version in snapshot.versions if version in self.manifests] if snapshot else []

    @cached_property
    def worst(self) -> float | None:
        """The value in the worst window."""
        return self.value(self.whole.current)

    @cached_property
    def usual(self) -> float | None:
        """The value when all was well; the limit where nothing is known of that."""
        found = self.before(self.whole)
        return self.limit if found is None or self._is_worse(found) else found

    def before(self, pair: Pair) -> float | None:
        """Return the value of this traffic when all was well: for a weekly change, none."""
        return 0.0 if self.is_weekly else self.value(pair.baseline)

    def _is_worse(self, value: float) -> bool:
        """Whether the baseline is as far past the limit as the worst window, so that it was no better."""
        if self.limit is None or self.worst is None:
            return False
        return (value - self.limit) * (self.worst - self.limit) > 0 and abs(value - self.limit) >= abs(
            self.worst - self.limit
        )

    def explained(self, snapshot: Snapshot) -> float:
        """Return the share of the excess, in [0, 1], that is not there in this version of the worst window."""
        value = self.value(snapshot)
        if value is None or self.worst is None or self.usual is None:
            return 0.0
        excess = self.worst - self.usual
        if abs(excess) <= _LEAST_EXCESS * max(1.0, abs(self.worst)):
            return 0.0
        return min(1.0, max(0.0, (self.worst - value) / excess))

    def shown(self, value: float | None) -> str:
        """Return a value as people read it."""
        return "nothing" if value is None else figure(value, self.slo.unit)


def unusualness(score: float) -> float:
    """Return 0 for a normal score of up to 2, 1 from 5 on, in between in proportion."""
    return min(1.0, max(0.0, (abs(score) - 2) / 3))


def rows_of(snapshot: Snapshot) -> int:
    """Return all rows behind the snapshot but repetitions."""
    return snapshot.events + sum(snapshot.count(reason) for reason in BAD_REASONS)


def ranked(found: list[Cause]) -> tuple[Cause, ...]:
    """Return the causes worth a line, the best first; one that says that none stands out where that is so."""
    kept = sorted((one for one in found if one.score >= LEAST_SCORE), key=lambda one: (-one.score, one.kind))
    if kept and kept[0].stands_out:
        return tuple(kept[:MOST_CAUSES])
    return (NO_CAUSE, *kept[: MOST_CAUSES - 1])


NO_CAUSE: Final = Cause(
    CauseKind.NONE,
    0.0,
    "No stored cause stands out: nothing that the snapshots hold changed enough to explain the excess.",
    "Follow the runbook; look at what the snapshots do not hold, such as features and upstream code.",
)
