"""Write the partials of a log: each is put in place under its content, and becomes visible by its row only."""

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from duckdb import DuckDBPyConnection

from calslo_dagster.engine.aggregate import Aggregated, aggregate
from calslo_dagster.engine.facts import CELLS, HOUR_US, PENDING, TOTALS
from calslo_dagster.engine.inputs import read_inputs, write_inputs
from calslo_dagster.engine.labels import AppliedLabels, LabelPolicy, apply_labels
from calslo_dagster.engine.merge import count_rows, merge_facts, take_hours
from calslo_dagster.engine.parquet import rows_of
from calslo_dagster.pipeline.compose_span import Composition, Part, inputs_of
from calslo_dagster.pipeline.project import Log, Project
from calslo_dagster.sources.base import DUPLICATES, Span
from calslo_dagster.store.partial_files import new_folder, publish
from calslo_dagster.store.partials import KEPT, UNCOUNTED, Kind, Partial


@dataclass(frozen=True, slots=True)
class PartialWriter:
    """Writes the partials of one log, as of `now`."""

    project: Project
    connection: DuckDBPyConnection
    log: Log
    now: datetime

    def events(self, span: Span, found: Composition, *, digest: str, kept: Partial | None) -> Partial:
        """Write what can be read of the span, without copies of events that are kept and wait for their label."""
        folder = new_folder(self.project.partials)
        relation = self._relation(found.counted, span, kept)
        counted = aggregate(self.connection, relation, self.project.aggregate_spec(), span, out=folder)
        inputs = inputs_of(found.counted, span)
        write_inputs(folder, inputs)
        # Only what is kept takes rows away on the way from the files to the facts.
        copies = max(0, sum(one.rows for one in inputs) - counted.rows) if kept else 0
        rows = _event_rows(counted, copies=copies, uncounted=found.uncounted)
        partial = self._published(Kind.EVENT, span, folder, digest=digest, rows=rows)
        return replace(partial, first_us=counted.first_us, last_us=counted.last_us)

    def _relation(self, parts: Sequence[Part], span: Span, kept: Partial | None) -> str:
        groups: dict[frozenset[int], list[Part]] = {}
        for part in parts:
            groups.setdefault(part.left_out, []).append(part)
        selects = [self._select(members, span, left_out) for left_out, members in groups.items()]
        every = " UNION ALL ".join(selects) or self.log.events.relation(self.connection, [], span)
        waiting = self.project.partials / kept.path / f"{PENDING}.parquet" if kept else None
        if waiting is None or not waiting.exists():
            return every
        same = f"e.prediction_id = k.prediction_id AND e.event_us // {HOUR_US} = k.event_us // {HOUR_US}"
        return f"SELECT * FROM ({every}) AS e ANTI JOIN ({rows_of([waiting])}) AS k ON {same}"

    def _select(self, parts: Sequence[Part], span: Span, left_out: Collection[int]) -> str:
        rows = self.log.events.relation(self.connection, [part.unit for part in parts], span)
        hours = ", ".join(map(str, sorted(left_out)))
        test = f"event_us // {HOUR_US} * {HOUR_US} NOT IN ({hours})"
        return f"SELECT * FROM ({rows}) WHERE {test}" if left_out else rows

    def kept(self, span: Span, hours: Collection[int], *, live: Partial, kept: Partial | None) -> Partial:
        """Write what is kept of the span from now on: what is kept already, and these hours of what could be read."""
        root, folder = self.project.partials, new_folder(self.project.partials)
        before = [kept] if kept else []
        with self._taken(root / live.path, hours) as taken:
            merge_facts(self.connection, [taken, *(root / partial.path for partial in before)], folder)
        rows = count_rows(self.connection, folder)
        digest = digest_of([KEPT, *map(repr, read_inputs(folder) or ())])
        partial = self._published(Kind.EVENT, span, folder, batch=KEPT, digest=digest, rows=rows)
        return with_reach_of(partial, [live, *before])

    @contextmanager
    def _taken(self, partial: Path, hours: Collection[int]) -> Iterator[Path]:
        """Yield a folder with these hours of the partial, its own one if it has no others."""
        if all(one.hour_us in hours for one in read_inputs(partial) or ()):
            yield partial
            return
        folder = new_folder(self.project.partials)
        take_hours(self.connection, partial, hours, folder)
        yield folder
        shutil.rmtree(folder)

    def labels(
        self, span: Span, batch: str, labels: str, *, events: Sequence[Path], earlier: Sequence[Path], digest: str
    ) -> Partial:
        """Write what a batch of labels adds to the events of the span; a batch that adds nothing has no files."""
        folder = new_folder(self.project.partials)
        applied = apply_labels(
            self.connection,
            events,
            labels,
            folder,
            spec=self.project.aggregate_spec(),
            ledgers=earlier,
            policy=LabelPolicy(self.project.settings.label_policy),
        )
        rows = _label_rows(applied)
        if not (applied.applied or applied.replaced or applied.retimed):
            shutil.rmtree(folder)
            return self._partial(Kind.LABEL, span, batch=batch, digest=digest, rows=rows)
        return self._published(Kind.LABEL, span, folder, batch=batch, digest=digest, rows=rows)

    def _published(
        self, kind: Kind, span: Span, folder: Path, *, digest: str, rows: Mapping[str, int], batch: str = ""
    ) -> Partial:
        path, content = publish(self.project.partials, folder, f"{self.log.name}/{kind}/{span[0]}-{span[1]}")
        partial = self._partial(kind, span, batch=batch, digest=digest, rows=rows)
        return replace(partial, path=path, content_digest=content)

    def _partial(self, kind: Kind, span: Span, *, batch: str, digest: str, rows: Mapping[str, int]) -> Partial:
        return Partial(
            source=self.log.name,
            kind=kind,
            batch=batch,
            span_start_us=span[0],
            span_end_us=span[1],
            totals_us=TOTALS.resolution_us,
            cells_us=CELLS.resolution_us,
            inputs_digest=digest,
            content_digest="",
            path="",
            rows=rows,
            run_id="",
            created_at=self.now,
            first_us=None,
            last_us=None,
        )


def with_reach_of(partial: Partial, parts: Sequence[Partial]) -> Partial:
    """Return the partial as the sum of these, with the widest of their buckets and the ends of their times."""
    return replace(
        partial,
        totals_us=max(part.totals_us for part in parts),
        cells_us=max(part.cells_us for part in parts),
        first_us=min((part.first_us for part in parts if part.first_us is not None), default=None),
        last_us=max((part.last_us for part in parts if part.last_us is not None), default=None),
    )


def digest_of(texts: Iterable[str]) -> str:
    """Return the digest of several texts in order."""
    return sha256("\n".join(texts).encode()).hexdigest()


def _event_rows(counted: Aggregated, *, copies: int, uncounted: int) -> dict[str, int]:
    plain = {"rows": counted.rows + copies, "events": counted.events, "labeled": counted.labeled}
    others = {"pending": counted.pending, DUPLICATES: counted.duplicates + copies, "conflicts": counted.conflicts}
    return {**plain, **others, **counted.rejected, **({UNCOUNTED: uncounted} if uncounted else {})}


def _label_rows(applied: AppliedLabels) -> dict[str, int]:
    return {"labels": applied.applied, "replaced": applied.replaced, "contradictions": applied.contradictions}
