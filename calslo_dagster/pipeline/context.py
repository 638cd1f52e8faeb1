"""Everything that one SLO's measurements share, however many windows are due."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.watermark import current_watermark
from calslo_dagster.slo.exclusions import Exclusion, exclusion_of
from calslo_dagster.slo.model import EVERYTHING, SLO, Cadence, Evidence, Manifest, Measurement
from calslo_dagster.slo.slices import matches
from calslo_dagster.slo.verdict import Provenance, measure
from calslo_dagster.slo.windows import DAY, EPOCH, WEEK, Window, is_final
from calslo_dagster.stats.alarm_budget import MONTH
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.store import exclusions, manifests

if TYPE_CHECKING:
    from calslo_dagster.pipeline.digest_panes import DigestedPanes
    from calslo_dagster.pipeline.read_snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Context:
    """One SLO as it is measured now; `fitted` identifies all manifests."""

    project: Project
    slo: SLO
    now: datetime
    watermark: datetime | None
    manifests: Mapping[tuple[str, str], Manifest]
    fitted: str
    exclusions: tuple[Exclusion, ...]
    models: frozenset[str]
    provenance: Provenance

    @property
    def is_weekly(self) -> bool:
        """Whether an ISO week is compared with the one before."""
        return self.slo.cadence is Cadence.WEEKLY

    @property
    def step(self) -> timedelta:
        """The distance of two window ends."""
        return step_of(self.project, self.slo)

    @property
    def maturity(self) -> timedelta:
        """How old a pane must be in evidence mode, so that its outcomes are all there."""
        return self.project.settings.label_maturity if "label" in self.slo.needs else timedelta(0)

    def window(self, end: datetime) -> Window:
        """Return the window that ends there."""
        return Window(end - self.slo.window, end)

    def reach(self, span: Window) -> Window:
        """Return how far the snapshots must reach for every window end in the span."""
        return Window(span.start - (WEEK if self.is_weekly else max(self.slo.window, DAY)), span.end)

    def panes(self, window: Window) -> list[Window]:
        """Return the parts of the window that the SLO wants to see one by one; none for most SLOs."""
        pane = self.slo.pane
        if pane is None:
            return []
        return [Window(window.start + i * pane, window.start + (i + 1) * pane) for i in range(self.slo.window // pane)]

    def covers(self, slice_name: str) -> bool:
        """Whether the SLO is promised for this slice."""
        return matches(self.slo.slices, slice_name)

    def rests_on(self, end: datetime) -> Window:
        """Return the span of the snapshots that the measurement at this window end looks at."""
        return Window(end - 2 * WEEK if self.is_weekly else min(end - self.slo.window, end - DAY), end)

    def is_measurable(self, snapshots: "Snapshots", end: datetime) -> bool:
        """Whether the buckets of the snapshots are as fine as the window that ends there needs them."""
        width = timedelta(microseconds=snapshots.width_us(self.rests_on(end)))
        lengths = (end - EPOCH, self.slo.window, DAY, self.slo.pane or DAY)
        return not any(length % width for length in lengths)

    def inputs(self, panes: "DigestedPanes", end: datetime) -> str:
        """Return what identifies all that the measurement at this window end rests on.

        Beyond its window it rests on nothing but which slices are awake, and on how far the log has come: a window that
        nothing is left to come for is judged as it is, although it is not final yet.
        """
        return self.rested_on(panes, end, panes.facts_of(self._looked_at(end)))

    def rested_on(self, panes: "DigestedPanes", end: datetime, facts: str) -> str:
        """Return what identifies all that the measurement rests on, given what identifies the sums that it looks at."""
        slices = panes.slices_of(self.rests_on(end))
        newest = self.watermark and self.watermark + self.project.settings.lateness
        excluded = [e for e in self.exclusions if e.span.overlaps(self.window(end))]
        parts = (facts, slices, is_final(end, newest), is_final(end, self.watermark), self.fitted, excluded)
        return sha256(repr(parts).encode()).hexdigest()

    def _looked_at(self, end: datetime) -> Window:
        return Window(end - 2 * WEEK, end) if self.is_weekly else self.window(end)

    def measured(
        self,
        slice_name: str,
        window: Window,
        current: Snapshot,
        *,
        baseline: Snapshot | None = None,
        panes: Sequence[Snapshot] = (),
        slices: int = 1,
    ) -> Measurement:
        """Return the measurement of one slice over one window; slices: how many are measured with it."""
        seen = expected_manifests(self.manifests, current, slice_name)
        before = expected_manifests(self.manifests, baseline, slice_name) if baseline else {}
        evidence = Evidence(current, baseline, seen, before, panes)
        model = self.model_of(seen.values())
        excluded = exclusion_of(self.exclusions, window, slo=self.slo.name, slice_name=slice_name, model=model)
        return measure(
            self.slo,
            evidence,
            window,
            slice_name=slice_name,
            model=model,
            exclusion=excluded,
            provenance=self.provenance_at(window.end),
            looks=max(1.0, slices * (MONTH / self.step)),
        )

    def provenance_at(self, end: datetime) -> Provenance:
        """Return under which circumstances the window that ends there is measured now."""
        # What lies beyond the window says nothing about it, and would make a re-run differ from the first run.
        seen = min(self.watermark, end) if self.watermark else None
        return replace(self.provenance, is_final=is_final(end, self.watermark), watermark=seen)

    def model_seen(self, slice_name: str, snapshot: Snapshot) -> str:
        """Return the one model behind the events of a snapshot, `*` for several."""
        return self.model_of(expected_manifests(self.manifests, snapshot, slice_name).values())

    def model_of(self, seen: Iterable[Manifest]) -> str:
        """Return the one model behind the events; `*` when there are several, or none to tell by."""
        named = {manifest.model for manifest in seen} or self.models
        return next(iter(named)) if len(named) == 1 else EVERYTHING


def expected_manifests(
    fitted: Mapping[tuple[str, str], Manifest], snapshot: Snapshot, slice_name: str
) -> dict[str, Manifest]:
    """Return the manifests of the versions seen, by version: of the slice if there is one, else of everything.

    fitted: by version and slice.
    """
    return expected_of(fitted, snapshot.versions, slice_name)


def expected_of(
    fitted: Mapping[tuple[str, str], Manifest], versions: Iterable[str], slice_name: str
) -> dict[str, Manifest]:
    """Return the manifests of these versions, by version: of the slice if there is one, else of everything."""
    found = {}
    for version in versions:
        manifest = fitted.get((version, slice_name)) or fitted.get((version, EVERYTHING))
        if manifest:
            found[version] = manifest
    return found


def step_of(project: Project, slo: SLO) -> timedelta:
    """Return the distance of two window ends of the SLO in this project."""
    return WEEK if slo.cadence is Cadence.WEEKLY else project.settings.evaluation_step


def context_of(project: Project, slo: SLO, *, now: datetime, run_id: str) -> Context:
    """Return the context in which the SLO is measured at `now`."""
    with project.store.read() as session:
        fitted = manifests.every(session)
        agreed = [one.exclusion for one in exclusions.overlapping(session, start=EPOCH, end=now)]
    provenance = Provenance(
        definition_hash=project.registry.hash_of(slo.name), code_version=project.code_version, run_id=run_id
    )
    return Context(
        project=project,
        slo=slo,
        now=now,
        watermark=current_watermark(project, now),
        manifests={(manifest.version, manifest.slice): manifest for manifest in fitted},
        fitted=sha256("\n".join(sorted(map(repr, fitted))).encode()).hexdigest(),
        exclusions=(*project.settings.agreed_exclusions(), *agreed),
        models=project.models,
        provenance=provenance,
    )
