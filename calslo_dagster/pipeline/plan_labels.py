"""Decide which label partials go with the event partials of a span, and write those that are missing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from calslo_dagster.engine.facts import LEDGER, PENDING
from calslo_dagster.engine.parquet import rows_of
from calslo_dagster.pipeline.refresh_units import Units
from calslo_dagster.pipeline.spans import together
from calslo_dagster.pipeline.write_partials import PartialWriter, digest_of
from calslo_dagster.sources.base import Span, Unit
from calslo_dagster.store.partials import Kind, Partial
from calslo_dagster.store.source_units import UnitRecord

LONGEST_BATCH: Final = 200
_KEPT: Final = 160


@dataclass(frozen=True, slots=True)
class Batch:
    """Labels that came together: `unit` has them, unless it is lost; `name` is what it was called when it was read."""

    key: str
    name: str
    unit: Unit | None = None


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """The labels of one span; `events` are its event partials, `current` what is in force on its day."""

    writer: PartialWriter
    labels: Units
    events: tuple[Partial, ...]
    current: tuple[Partial, ...]

    def wanted(self, *, recompute: bool) -> list[Partial]:
        """Return the label partials that the span should have; missing ones are written."""
        out: list[Partial] = []
        for batch in self._batches():
            earlier = [partial for partial in out if partial.path]
            digest, known = self._digest(batch, earlier), self._listed(batch)
            is_good = known is not None and known.inputs_digest == digest and not (recompute and batch.unit)
            out.append(known if known and is_good else self._written(batch, earlier, digest))
        return out

    def missing(self) -> Iterator[str]:
        """Yield the digest of the first label partial that is not what the label feed now says."""
        earlier: list[Partial] = []
        for batch in self._batches():
            known = self._listed(batch)
            digest = self._digest(batch, earlier) if batch.unit else ""
            if batch.unit and (known is None or known.inputs_digest != digest):
                yield digest
                return
            earlier += [known] if known and known.path else []

    @property
    def _span(self) -> Span:
        return self.events[0].span_start_us, self.events[0].span_end_us

    @property
    def _waiting(self) -> list[Path]:
        """The event partials with events that still wait; past the label horizon none do."""
        root = self.writer.project.partials
        paths = (root / partial.path for partial in self.events if partial.path)
        return [path for path in paths if (path / f"{PENDING}.parquet").exists()]

    def _batches(self) -> list[Batch]:
        """Return the batches with labels of the span, by name."""
        if self.writer.log.labels is None or not self.events or not self._waiting:
            return []
        there = [Batch(batch_key(u.name), u.name, u) for u, record in self.labels.readable if self._may_label(record)]
        lost = [Batch(batch_key(r.unit), r.name) for r in self.labels.lost if self._may_label(r)]
        return sorted(
            [*there, *(batch for batch in lost if self._given(batch))], key=lambda batch: (batch.name, batch.key)
        )

    def _may_label(self, record: UnitRecord) -> bool:
        """Whether a batch may hold labels of the span; a label whose event has no time may be for any."""
        is_timeless = sum(record.hours.values()) < record.rows
        return is_timeless or any(self._span[0] <= hour < self._span[1] for hour in record.hours)

    def _given(self, batch: Batch) -> list[Partial]:
        """Return the partials with the labels that a batch gave in the span so far, under one name or the other."""
        labels = [p for p in self.current if p.kind is Kind.LABEL and p.path]
        within = [p for p in labels if self._span[0] <= p.span_start_us and p.span_end_us <= self._span[1]]
        apart = [p for p in within if p.batch == batch.key]
        return apart or [p for p in within if p.batch == batch_key(batch.name)]

    def _listed(self, batch: Batch) -> Partial | None:
        key = (Kind.LABEL, *self._span, batch.key)
        return next((p for p in self.current if (p.kind, p.span_start_us, p.span_end_us, p.batch) == key), None)

    def _digest(self, batch: Batch, earlier: Sequence[Partial]) -> str:
        events, policy = together([p.inputs_digest for p in self.events]), self.writer.project.settings.label_policy
        contents = [partial.content_digest for partial in earlier]
        if batch.unit:
            return digest_of([events, str(policy), batch.name, batch.unit.fingerprint, *contents])
        # The labels of a batch that is lost are those that it is on record to have given.
        given = [partial.content_digest for partial in self._given(batch)]
        return digest_of([events, str(policy), batch.key, str(len(given)), *given, *contents])

    def _written(self, batch: Batch, earlier: Sequence[Partial], digest: str) -> Partial:
        root, feed = self.writer.project.partials, self.writer.log.labels
        if batch.unit and feed:
            labels = feed.label_relation(self.writer.connection, [batch.unit])
        else:
            labels = rows_of(root / partial.path / f"{LEDGER}.parquet" for partial in self._given(batch))
        ledgers = [root / partial.path for partial in earlier]
        return self.writer.labels(self._span, batch.key, labels, events=self._waiting, earlier=ledgers, digest=digest)


def batch_key(unit: str) -> str:
    """Return a unit's name as it fits a key: a long one keeps its beginning and a digest of the whole."""
    return unit if len(unit) <= LONGEST_BATCH else f"{unit[:_KEPT]}~{sha256(unit.encode()).hexdigest()[:16]}"
