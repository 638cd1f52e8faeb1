"""Decide, for one day of one log, which partials there should be, and write those that are missing.

Nothing here touches the manifest: the caller swaps the whole day in one transaction, so a reader sees a day with its
labels or the day as it was before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from duckdb import DuckDBPyConnection

from calslo_dagster.pipeline.plan_events import EventPlan
from calslo_dagster.pipeline.plan_labels import LabelPlan
from calslo_dagster.pipeline.project import Log, Project
from calslo_dagster.pipeline.refresh_units import Units
from calslo_dagster.pipeline.spans import day_us, is_closed, spans_of
from calslo_dagster.pipeline.write_partials import PartialWriter
from calslo_dagster.sources.base import Span
from calslo_dagster.store import partials
from calslo_dagster.store.partials import Kind, Partial


@dataclass(frozen=True, slots=True)
class Day:
    """One day of one log, with everything that its partials are made of; `current` is what the manifest lists."""

    project: Project
    connection: DuckDBPyConnection
    log: Log
    day: date
    now: datetime
    events: Units
    labels: Units
    current: tuple[Partial, ...]
    recompute: bool

    def wanted(self) -> list[Partial]:
        """Return the partials that the day should consist of; missing ones are written, the others are as listed."""
        out: list[Partial] = []
        for span in self._spans():
            events = self._events(span).wanted(recompute=self.recompute)
            out += [*events, *self.label_partials(events)]
        return out

    def label_partials(self, events: Sequence[Partial]) -> list[Partial]:
        """Return the label partials of the event partials of one span; missing ones are written."""
        return self._labels(events).wanted(recompute=self.recompute)

    def missing_events(self) -> list[str]:
        """Return the digests of the spans whose event partials are not what the log now says."""
        return [plan.digest for plan in map(self._events, self._spans()) if plan.is_stale]

    def missing_labels(self) -> list[str]:
        """Return the digests of the label partials that are not what the label feed now says."""
        spans = {(p.span_start_us, p.span_end_us) for p in self.current if p.kind is Kind.EVENT}
        plans = (self._labels(list(self._listed(span).values())) for span in sorted(spans))
        return [digest for plan in plans for digest in plan.missing()]

    def _spans(self) -> list[Span]:
        """Return whole-day spans once the day is over, unless its hours are already there and still good."""
        listed = {(p.span_start_us, p.span_end_us) for p in self.current if p.kind is Kind.EVENT}
        whole = day_us(self.day)
        merges = not listed or (self.recompute and not self._is_lost())
        return spans_of(self.day, closed=whole in listed or (is_closed(self.day, self.now) and merges))

    def _is_lost(self) -> bool:
        """Whether anything that was counted of the day cannot be read any more."""
        start, end = day_us(self.day)
        is_kept = any(p.kind is Kind.EVENT and p.batch for p in self.current)
        return is_kept or any(start <= hour < end for record in self.events.lost for hour in record.hours)

    def _events(self, span: Span) -> EventPlan:
        return EventPlan(self._writer, self.events, span, self._listed(span))

    def _labels(self, events: Sequence[Partial]) -> LabelPlan:
        return LabelPlan(self._writer, self.labels, tuple(events), self.current)

    def _listed(self, span: Span) -> dict[str, Partial]:
        """Return the event partials of the span that are in force, by batch."""
        return {p.batch: p for p in self.current if (p.kind, p.span_start_us, p.span_end_us) == (Kind.EVENT, *span)}

    @property
    def _writer(self) -> PartialWriter:
        return PartialWriter(self.project, self.connection, self.log, self.now)


def listed_partials(project: Project, source: str, day: date) -> tuple[Partial, ...]:
    """Return the partials of the day that are in force."""
    start, end = day_us(day)
    with project.store.read() as session:
        return partials.overlapping(session, source, start_us=start, end_us=end)


def swap_partials(plan: Day, wanted: Sequence[Partial]) -> int:
    """Make these the partials of the day, all at once; return how many are new.

    What another run has listed meanwhile goes too: its hours beside our whole day would count every event twice. If it
    knew of newer events, the next look at the day finds them missing.
    """
    new = [partial for partial in wanted if partial not in plan.current]
    if new or len(wanted) < len(plan.current):
        start, end = day_us(plan.day)
        with plan.project.store.write() as session:
            listed = partials.overlapping(session, plan.log.name, start_us=start, end_us=end)
            partials.remove(session, [partial for partial in listed if partial not in wanted])
            partials.put(session, wanted)
    return len(new)


def added_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of counts by name."""
    out: dict[str, int] = {}
    for part in counts:
        for name, rows in part.items():
            out[name] = out.get(name, 0) + rows
    return out
