"""Panes of one slice with a known truth, and the product's own ticks and standings over them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from calslo_dagster.slo.model import SLO, Objective, Verdict
from calslo_dagster.slo.standing import Finding, Record, Seen, follow
from calslo_dagster.slo.trials import Calibration, Counts, Mode, Rate
from calslo_dagster.slo.watch import Fleet, Look, Rules, Shown, Watch, begin_day, tick
from calslo_dagster.slo.windows import DAY, STEP
from calslo_dagster.stats import grid
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.snapshot import CELL_SUMS, TOTAL_SUMS, Snapshot, scale_of

Floats = NDArray[np.float64]
START: Final = datetime(2026, 3, 2, tzinfo=UTC)
PANES_A_DAY: Final = int(DAY / STEP)


def _none(_: object) -> Estimate:
    return Estimate(None)


def _clamped(snapshot: Snapshot) -> Counts:
    return Counts(snapshot.count("n_clamped"), snapshot.count("n_clamp_known"))


ERROR: Final = SLO(
    name="error", title="Calibration error", sli=_none, objective=Objective(at_most=0.015), mode=Mode.EVIDENCE,
    trial=Calibration(),
)  # fmt: skip
SHARE: Final = SLO(
    name="share", title="Share of clamped scores", sli=_none, objective=Objective(at_most=0.1, warn=0.05), unit="share",
    mode=Mode.EVIDENCE, trial=Rate(_clamped),
)  # fmt: skip


def pane(
    scores: Floats, labels: Floats, *, labeled: NDArray[np.bool_] | None = None, version: str = "v1", clamped: int = 0
) -> Snapshot:
    """Return the snapshot of these events, all of one version; labels: 0 or 1, shape of the scores."""
    has = np.ones(len(scores)) if labeled is None else labeled.astype(np.float64)
    bins, cells = grid.fine_bins(scores), np.zeros((len(CELL_SUMS), grid.FINE_BINS), dtype=np.int64)
    plain = {"n": np.ones(len(scores)), "w": np.ones(len(scores)), "ws": scores}
    outcome = {"n_lab": has, "w_lab": has, "w2_lab": has, "ws_lab": scores * has, "wss_lab": scores * scores * has}
    sums = {**plain, **outcome, "wy_lab": labels * has, "wsy_lab": scores * labels * has}
    totals = dict.fromkeys(TOTAL_SUMS, 0)
    for name, values in sums.items():
        fixed = np.floor(values * scale_of(name) + 0.5)
        cells[CELL_SUMS.index(name)] = np.bincount(bins, fixed, grid.FINE_BINS).astype(np.int64)
        totals[name] = int(fixed.sum())
    totals |= {"n_clamp_known": len(scores), "n_clamped": clamped}
    names = [totals[name] for name in TOTAL_SUMS]
    return Snapshot(np.array(names, dtype=np.int64), cells, versions={version: len(scores)} if len(scores) else {})


def shared(clamped: int, events: int = 100, version: str = "v1") -> Snapshot:
    """Return a pane of so many events, so many of them clamped, without labels."""
    empty = np.zeros(events)
    return pane(np.full(events, 0.5), empty, labeled=empty > 0, version=version, clamped=clamped)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a slice serves: events per pane, their scores, the truth of scores, and what sessions of five share."""

    events: Callable[[int], int] = lambda _: 200
    scores: Callable[[np.random.Generator, int, int], Floats] = lambda rng, _, n: rng.beta(2, 5, n)
    truth: Callable[[int, Floats], Floats] = lambda _, p: p
    shared: float = 0.0

    def panes(self, count: int, seed: int) -> Iterator[Snapshot]:
        """Yield pane after pane."""
        rng = np.random.default_rng(seed)
        for at in range(count):
            events = self.events(at)
            p = np.clip(self.scores(rng, at, events), 1e-6, 1 - 1e-6)
            yield pane(p, outcomes(self.truth(at, p), rng, shared=self.shared))


def outcomes(q: Floats, rng: np.random.Generator, *, shared: float = 0.0) -> Floats:
    """Return labels with these chances, of which each five in a row have so much of their latent variance in common.

    A Gaussian copula: the chance of each label alone is what it is without clusters.
    """
    if not shared:
        return (rng.random(len(q)) < q).astype(np.float64)
    factor = np.repeat(rng.normal(size=len(q) // 5 + 1), 5)[: len(q)]
    latent = math.sqrt(shared) * factor + math.sqrt(1 - shared) * rng.normal(size=len(q))
    return (latent < ndtri(q)).astype(np.float64)


def shifted(p: Floats, by: float | Floats) -> Floats:
    """Return the probabilities whose logits are larger by this."""
    odds = p / (1 - p) * np.exp(by)
    found: Floats = odds / (1 + odds)
    return found


@dataclass(frozen=True, slots=True)
class Course:
    """What came of the panes of one slice: a finding and a look per tick, and the state at the end."""

    findings: list[Finding] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    watch: Watch | None = None
    record: Record = field(default_factory=Record)

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts, tick by tick."""
        return [finding.verdict for finding in self.findings]

    def episodes(self, verdict: Verdict) -> int:
        """Return how often a run of this verdict begins."""
        found = [one is verdict for one in self.verdicts]
        return sum(now and not before for before, now in zip([False, *found], found, strict=False))


def at(place: int) -> datetime:
    """Return the tick after the pane at this place."""
    return START + (place + 1) * STEP


def course(slo: SLO, panes: Iterable[Snapshot], *, slices: int = 1) -> Course:
    """Follow one slice over its panes, as one of so many alike; a day begins every 96 panes."""
    out, fleet, record, past, window = Course(), Fleet(), Record(), list[Snapshot](), Snapshot()
    for place, one in enumerate(panes):
        if place % PANES_A_DAY == 0:
            fleet = replace(begin_day(slo, fleet, {"*": window} if window.events else {}), slices=slices)
        past.append(one)
        gone = past.pop(0) if len(past) > PANES_A_DAY else Snapshot()
        window = Snapshot(window.totals + one.totals - gone.totals, window.cells + one.cells - gone.cells)
        shown = {"*": Shown.of(slo, one)} if one.events else {}
        fleet, looks = tick(Rules(slo, STEP), fleet, at(place), shown)
        look, watch = looks.get("*", Look()), fleet.watches.get("*")
        record, found = follow(slo, record, Seen(at(place), watch, look, window, one, DAY, STEP))
        out.findings.append(found)
        out.looks.append(look)
    return replace(out, watch=fleet.watches.get("*"), record=record)


def alarms(found: Sequence[Look]) -> tuple[int, int]:
    """Return the number of alarms of breaches and of changes."""
    return sum(look.alarms.breach for look in found), sum(look.alarms.change for look in found)
