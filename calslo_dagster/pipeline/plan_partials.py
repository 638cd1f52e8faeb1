"""Decide, for one day of one log, which partials there should be, and write those that are missing.

Nothing here touches the manifest: the caller swaps the whole day in one transaction, so a reader sees a day with its
labels or the day as it was before.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from calslo_dagster.engine.aggregate import Aggregated, aggregate
from calslo_dagster.engine.facts import CELLS, LEDGER, PENDING, TOTALS
from calslo_dagster.engine.labels import AppliedLabels, LabelPolicy, apply_labels
from calslo_dagster.engine.parquet import rows_of
from calslo_dagster.pipeline.project import Log, Project
from calslo_dagster.pipeline.refresh_units import Units
from calslo_dagster.pipeline.spans import day_us, inputs_digest, is_closed, spans_of, units_in
from calslo_dagster.sources.base import Span, Unit
from calslo_dagster.store import partials
from calslo_dagster.store.partial_files import new_folder, publish
from calslo_dagster.store.partials import Kind, Partial
from calslo_dagster.store.source_units import UnitRecord

LONGEST_BATCH: Final = 200
_KEPT: Final = 160


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
            event = self._event(span)
            if event is not None:
                out += [event, *self.label_partials(event)]
        return out

    def _spans(self) -> list[Span]:
        """Return whole-day spans once the day is over, unless its hours are already there and still good."""
        listed = {(p.span_start_us, p.span_end_us) for p in self.current if p.kind is Kind.EVENT}
        whole = day_us(self.day)
        merges = not listed or (self.recompute and not self._lost(whole))
        return spans_of(self.day, closed=whole in listed or (is_closed(self.day, self.now) and merges))

    def missing_events(self) -> list[str]:
        """Return the digests of the spans whose event partial is not what the log now says."""
        digests = [(span, self._event_digest(span)) for span in self._spans()]
        return [digest for span, digest in digests if digest != self._listed_digest(Kind.EVENT, span, "")]

    def missing_labels(self) -> list[str]:
        """Return the digests of the label partials that are not what the label feed now says."""
        events = [p for p in self.current if p.kind is Kind.EVENT and self._awaits_labels(p)]
        return [digest for event in events for digest in self._missing_labels(event)]

    def _missing_labels(self, event: Partial) -> Iterator[str]:
        span, earlier = (event.span_start_us, event.span_end_us), list[Partial]()
        for name, unit in self._batches(span):
            known = self._listed(Kind.LABEL, span, batch_key(name))
            digest = self._label_digest(event, unit, earlier) if unit else ""
            if unit and (known is None or known.inputs_digest != digest):
                yield digest
                return
            earlier += [known] if known and known.path else []

    def _listed_digest(self, kind: Kind, span: Span, batch: str) -> str:
        known = self._listed(kind, span, batch)
        return known.inputs_digest if known else ""

    def _event_digest(self, span: Span) -> str:
        """Return what the span's events are made of, empty if there are none; that of a span with a lost unit stays."""
        known = self._listed(Kind.EVENT, span, "")
        if known and self._lost(span):
            # What was counted of a log that is gone stays counted; what is left of it could only count less.
            return known.inputs_digest
        chosen = units_in(self.events.readable, span)
        return inputs_digest(self.project.reading_digest(self.log), span, chosen) if chosen else ""

    def _event(self, span: Span) -> Partial | None:
        known, digest = self._listed(Kind.EVENT, span, ""), self._event_digest(span)
        if known and known.inputs_digest == digest and (self._lost(span) or not self.recompute):
            return known
        units = [unit for unit, _ in units_in(self.events.readable, span)]
        return self._written_event(span, units, digest) if digest else None

    def _lost(self, span: Span) -> bool:
        """Whether a unit with events of the span cannot be read any more."""
        return any(span[0] <= hour < span[1] for record in self.events.lost for hour in record.hours)

    def _written_event(self, span: Span, units: Sequence[Unit], digest: str) -> Partial:
        folder = new_folder(self.project.partials)
        relation = self.log.events.relation(self.connection, units, span)
        counted = aggregate(self.connection, relation, self.project.aggregate_spec(), span, out=folder)
        rows = _event_rows(counted)
        partial = self._published(Kind.EVENT, span, folder, batch="", digest=digest, rows=rows)
        return replace(partial, first_us=counted.first_us, last_us=counted.last_us)

    def label_partials(self, event: Partial) -> list[Partial]:
        """Return the label partials of an event partial; missing ones are written."""
        span = (event.span_start_us, event.span_end_us)
        if not self._awaits_labels(event):
            return []
        out: list[Partial] = []
        for name, unit in self._batches(span):
            earlier = [p for p in out if p.path]
            out.append(self._label(event, unit, earlier=earlier) if unit else self._again(event, name, earlier=earlier))
        return out

    def _awaits_labels(self, event: Partial) -> bool:
        """Whether events of the partial still wait; past the label horizon they no longer do."""
        return self.log.labels is not None and (self.project.partials / event.path / f"{PENDING}.parquet").exists()

    def _batches(self, span: Span) -> list[tuple[str, Unit | None]]:
        """Return the batches with labels of the span in the order in which they count, without a unit if it is lost."""
        readable = [(unit.name, unit) for unit, record in self.labels.readable if _may_label(record, span)]
        lost = [(record.unit, None) for record in self.labels.lost if self._given(record.unit, span)]
        return sorted([*readable, *lost], key=lambda batch: batch[0])

    def _given(self, unit: str, span: Span) -> list[Partial]:
        """Return the partials with the labels that a batch gave in the span so far."""
        batch = batch_key(unit)
        labels = (p for p in self.current if p.kind is Kind.LABEL and p.batch == batch and p.path)
        return [p for p in labels if span[0] <= p.span_start_us and p.span_end_us <= span[1]]

    def _label(self, event: Partial, unit: Unit, *, earlier: Sequence[Partial]) -> Partial:
        assert self.log.labels is not None  # noqa: S101 - only called for logs with a feed
        span, batch = (event.span_start_us, event.span_end_us), batch_key(unit.name)
        digest = self._label_digest(event, unit, earlier)
        known = self._listed(Kind.LABEL, span, batch)
        if known and known.inputs_digest == digest and not self.recompute:
            return known
        labels = self.log.labels.label_relation(self.connection, [unit])
        return self._written_label(event, batch, labels, earlier=earlier, digest=digest)

    def _again(self, event: Partial, name: str, *, earlier: Sequence[Partial]) -> Partial:
        """Return the partial of a batch that is lost, made from the labels that it is on record to have given."""
        span, batch = (event.span_start_us, event.span_end_us), batch_key(name)
        given = self._given(name, span)
        contents = [partial.content_digest for partial in (*given, *earlier)]
        digest = _digest([event.inputs_digest, self._policy, name, str(len(given)), *contents])
        known = self._listed(Kind.LABEL, span, batch)
        if known and known.inputs_digest == digest:
            return known
        labels = rows_of(self.project.partials / partial.path / f"{LEDGER}.parquet" for partial in given)
        return self._written_label(event, batch, labels, earlier=earlier, digest=digest)

    def _label_digest(self, event: Partial, unit: Unit, earlier: Sequence[Partial]) -> str:
        contents = [partial.content_digest for partial in earlier]
        return _digest([event.inputs_digest, self._policy, unit.name, unit.fingerprint, *contents])

    def _written_label(
        self, event: Partial, batch: str, labels: str, *, earlier: Sequence[Partial], digest: str
    ) -> Partial:
        span, folder = (event.span_start_us, event.span_end_us), new_folder(self.project.partials)
        root = self.project.partials
        applied = apply_labels(
            self.connection,
            [root / event.path],
            labels,
            folder,
            spec=self.project.aggregate_spec(),
            ledgers=[root / partial.path for partial in earlier],
            policy=LabelPolicy(self._policy),
        )
        rows = _label_rows(applied)
        if not applied.applied and not applied.replaced:
            shutil.rmtree(folder)
            return self._partial(Kind.LABEL, span, batch=batch, digest=digest, rows=rows)
        return self._published(Kind.LABEL, span, folder, batch=batch, digest=digest, rows=rows)

    @property
    def _policy(self) -> str:
        return str(self.project.settings.label_policy)

    def _listed(self, kind: Kind, span: Span, batch: str) -> Partial | None:
        key = (kind, *span, batch)
        found = (p for p in self.current if (p.kind, p.span_start_us, p.span_end_us, p.batch) == key)
        return next(found, None)

    def _published(
        self, kind: Kind, span: Span, folder: Path, *, batch: str, digest: str, rows: dict[str, int]
    ) -> Partial:
        under = f"{self.log.name}/{kind}/{span[0]}-{span[1]}"
        path, content = publish(self.project.partials, folder, under)
        return self._partial(kind, span, batch=batch, digest=digest, rows=rows, path=path, content=content)

    def _partial(
        self,
        kind: Kind,
        span: Span,
        *,
        batch: str,
        digest: str,
        rows: dict[str, int],
        path: str = "",
        content: str = "",
    ) -> Partial:
        return Partial(
            source=self.log.name,
            kind=kind,
            batch=batch,
            span_start_us=span[0],
            span_end_us=span[1],
            totals_us=TOTALS.resolution_us,
            cells_us=CELLS.resolution_us,
            inputs_digest=digest,
            content_digest=content,
            path=path,
            rows=rows,
            run_id="",
            created_at=self.now,
            first_us=None,
            last_us=None,
        )


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


def batch_key(unit: str) -> str:
    """Return a unit's name as it fits a key: a long one keeps its beginning and a digest of the whole."""
    return unit if len(unit) <= LONGEST_BATCH else f"{unit[:_KEPT]}~{sha256(unit.encode()).hexdigest()[:16]}"


def _may_label(record: UnitRecord, span: Span) -> bool:
    """Whether a batch may hold labels of events in the span; a label whose event has no time may be for any."""
    is_timeless = sum(record.hours.values()) < record.rows
    return is_timeless or any(span[0] <= hour < span[1] for hour in record.hours)


def _event_rows(counted: Aggregated) -> dict[str, int]:
    plain = {"rows": counted.rows, "events": counted.events, "labeled": counted.labeled, "pending": counted.pending}
    return {**plain, "duplicates": counted.duplicates, "conflicts": counted.conflicts, **counted.rejected}


def _label_rows(applied: AppliedLabels) -> dict[str, int]:
    return {"labels": applied.applied, "replaced": applied.replaced, "contradictions": applied.contradictions}


def _digest(parts: Sequence[str]) -> str:
    return sha256("\n".join(parts).encode()).hexdigest()
