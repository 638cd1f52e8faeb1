"""Late labels: a batch of them becomes a small partial that is added to those of the events, which stay as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import duckdb

from calslo_dagster.engine.dialect import DuckDb
from calslo_dagster.engine.facts import CELLS, LEDGER, LEDGER_COLUMNS, PENDING, PENDING_COLUMNS, TOTALS
from calslo_dagster.engine.grading import slice_names
from calslo_dagster.engine.merge import current_ledger
from calslo_dagster.engine.parquet import (
    Notes,
    common_slices,
    event_order,
    fact_files,
    identifier,
    read_notes,
    rows_of,
    scratch,
    sort_order,
    stage,
    write_fact,
)
from calslo_dagster.engine.spec import AggregateSpec
from calslo_dagster.engine.statement import Statement
from calslo_dagster.errors import SnapshotError

# Label times outside of this range, of 36,000 years, are taken as not given.
_LATEST: Final = 2**60


class LabelPolicy(StrEnum):
    """Which label of an event counts when there are several: the one that was written first, or last."""

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class AppliedLabels:
    """What became of a batch of labels.

    rows: all rows of the batch; applied: events that got their first label; replaced: events whose label changed;
    settled: events that already had a label which stays, of which `retimed` have it from another time now; unmatched:
    ids no event waits for, or not yet.
    Dropped rows: without an id, with a null label, with a label other than 0 and 1, and within the batch repetitions
    and contradictions of the row that counts.
    """

    rows: int
    applied: int
    replaced: int
    settled: int
    unmatched: int
    missing_ids: int
    null_labels: int
    bad_labels: int
    duplicates: int
    contradictions: int
    retimed: int


def apply_labels(
    connection: duckdb.DuckDBPyConnection,
    pending: Sequence[Path],
    labels_sql: str,
    out: Path,
    *,
    spec: AggregateSpec,
    ledgers: Sequence[Path] = (),
    policy: LabelPolicy = LabelPolicy.FIRST,
) -> AppliedLabels:
    """Write what a batch of labels adds to totals and cells, and its ledger, into the folder `out`.

    labels_sql: a SELECT of prediction_id, label (0, 1, null) and label_us (null if not known). pending: the event
    partials whose waiting events the labels are for. ledgers: the label partials of earlier batches for these events,
    in the order in which they were applied. Of several labels the earliest counts under policy `first` and the latest
    under `last`, of two at one time the smaller; one without a time counts only where none has one. So the sum of all
    batches depends on the set of labels only, not on their batches.
    """
    events, entries = fact_files(pending, PENDING), fact_files(ledgers, LEDGER)
    _check_slices(connection, [*events, *entries], spec)
    out.mkdir(parents=True, exist_ok=True)
    batch = _Batch(connection, spec, policy)
    with scratch(connection) as folder:
        feed = stage(connection, _typed(labels_sql), folder / "feed.parquet")
        winners = stage(connection, batch.winners(rows_of([feed])), folder / "winners.parquet")
        known = stage(connection, batch.known(entries, rows_of([winners])), folder / "known.parquet")
        changes = batch.changes(events, rows_of([winners]), rows_of([known]))
        changed = stage(connection, changes, folder / "changes.parquet")
        batch.write(rows_of([changed]), out)
        return _counted(connection, folder)


@dataclass(frozen=True, slots=True)
class _Batch:
    connection: duckdb.DuckDBPyConnection
    spec: AggregateSpec
    policy: LabelPolicy

    def winners(self, feed: str) -> str:
        """Return the one label of each id, how many good rows the id has, and how many of them contradict it.

        Time and label make one number, so that the smallest is found without sorting.
        """
        if self.policy is LabelPolicy.FIRST:
            label, label_us = "rank % 2", f"nullif(rank // 2, {_LATEST})"
        else:
            label, label_us = "1 - (-rank) % 2", "nullif((-rank) // 2, 0) - 1"
        ranked = (
            f"SELECT prediction_id, min({self._rank()}) AS rank, count(*) AS copies, CAST(sum(label) AS BIGINT) AS ones"
            f" FROM ({feed}) WHERE prediction_id IS NOT NULL AND label IN (0, 1) GROUP BY prediction_id"
        )
        against = f"CASE WHEN {label} = 1 THEN copies - ones ELSE ones END AS against"
        chosen = f"CAST({label} AS SMALLINT) AS label, {label_us} AS label_us"
        return f"SELECT prediction_id, {chosen}, rank, copies, {against} FROM ({ranked})"

    def _rank(self, prefix: str = "") -> str:
        """Return the number that is smaller for the label that counts."""
        label, time = f"{prefix}label", f"{prefix}label_us"
        if self.policy is LabelPolicy.FIRST:
            return f"(coalesce({time}, {_LATEST}) * 2 + {label})"
        return f"-(coalesce({time} + 1, 0) * 2 + 1 - {label})"

    def known(self, ledgers: Sequence[Path], winners: str) -> str:
        """Return the entries of events that the batch names and that have a label already."""
        if not ledgers:
            return self._nothing(LEDGER_COLUMNS)
        named = f"WHERE prediction_id IN (SELECT prediction_id FROM ({winners}))"
        return f"SELECT {self._columns(LEDGER_COLUMNS)} FROM ({current_ledger(ledgers, named)})"

    def changes(self, pending: Sequence[Path], winners: str, known: str) -> str:
        """Return labels with their events: to add (`sign` 1), to take back (-1), to note with another time (0)."""
        columns = self._columns(PENDING_COLUMNS)
        events = f"SELECT {columns} FROM ({rows_of(pending)})" if pending else self._nothing(PENDING_COLUMNS)
        fresh = (
            f"SELECT e.*, w.label, w.label_us, 1 AS sign FROM ({events}) AS e"
            f" JOIN ({winners}) AS w ON e.prediction_id = w.prediction_id"
            f" ANTI JOIN ({known}) AS k ON e.prediction_id = k.prediction_id AND e.event_us = k.event_us"
        )
        better = f"k.prediction_id = w.prediction_id AND w.rank < {self._rank('k.')}"
        other = f"({known}) AS k JOIN ({winners}) AS w ON {better}"
        differs = "CASE WHEN k.label <> w.label THEN 1 ELSE 0 END AS sign"
        added = f"SELECT k.* REPLACE (w.label AS label, w.label_us AS label_us), {differs} FROM {other}"
        return f"{fresh} UNION ALL {added} UNION ALL SELECT k.*, -1 AS sign FROM {other} WHERE k.label <> w.label"

    def write(self, changes: str, out: Path) -> None:
        """Write the partial."""
        statement = Statement(DuckDb(), self.spec)
        for fact in (TOTALS, CELLS):
            notes = Notes(self.spec.slice_columns, fact.resolution_us)
            counted = f"SELECT * FROM ({changes}) WHERE sign <> 0"
            write_fact(self.connection, statement.labels(fact, counted), out / f"{fact.name}.parquet", notes)
        names = zip(slice_names(self.spec.slice_columns), self.spec.slice_columns, strict=True)
        slices = [f"{inner} AS {identifier(outer)}" for inner, outer in names]
        listed = ", ".join([*PENDING_COLUMNS, *slices, "label", "label_us"])
        order = sort_order(event_order(self.spec.slice_columns))
        entries = f"SELECT * FROM (SELECT {listed} FROM ({changes}) WHERE sign >= 0) ORDER BY {order}"
        write_fact(self.connection, entries, out / f"{LEDGER}.parquet", Notes(self.spec.slice_columns, 1))

    def _columns(self, names: Sequence[str]) -> str:
        pairs = zip(slice_names(self.spec.slice_columns), self.spec.slice_columns, strict=True)
        slices = [f"{identifier(outer)} AS {inner}" for inner, outer in pairs]
        return ", ".join([*PENDING_COLUMNS, *slices, *names[len(PENDING_COLUMNS) :]])

    def _nothing(self, names: Sequence[str]) -> str:
        kinds = {"prediction_id": "VARCHAR", "version": "VARCHAR", "score": "DOUBLE", "weight": "DOUBLE"}
        columns = [f"CAST(NULL AS {kinds.get(name, 'BIGINT')}) AS {name}" for name in PENDING_COLUMNS]
        columns += [f"CAST(NULL AS VARCHAR) AS {name}" for name in slice_names(self.spec.slice_columns)]
        columns += [f"CAST(NULL AS BIGINT) AS {name}" for name in names[len(PENDING_COLUMNS) :]]
        return f"SELECT {', '.join(columns)} LIMIT 0"


def _typed(labels_sql: str) -> str:
    time = f"CASE WHEN label_us BETWEEN 0 AND {_LATEST - 1} THEN CAST(label_us AS BIGINT) END AS label_us"
    identity = "CAST(nullif(prediction_id, '') AS VARCHAR) AS prediction_id"
    return f"SELECT {identity}, CAST(label AS SMALLINT) AS label, {time} FROM ({labels_sql}) AS labels"


def _check_slices(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], spec: AggregateSpec) -> None:
    if files and (found := common_slices(read_notes(connection, files))) != spec.slice_columns:
        raise SnapshotError(
            f"waiting events have slices {list(found)}, not {list(spec.slice_columns)}: the slice columns changed; "
            "aggregate these spans again"
        )


def _counted(connection: duckdb.DuckDBPyConnection, folder: Path) -> AppliedLabels:
    feed, winners, known, changes = (
        f"({rows_of([folder / f'{name}.parquet'])})" for name in ("feed", "winners", "known", "changes")
    )
    named = f"SELECT prediction_id FROM {known} UNION ALL SELECT prediction_id FROM {changes}"
    ids = f"SELECT prediction_id FROM ({named})"
    counts = {
        "rows": f"count(*) FROM {feed}",
        "missing_ids": f"count(*) FILTER (WHERE prediction_id IS NULL) FROM {feed}",
        "null_labels": f"count(*) FILTER (WHERE prediction_id IS NOT NULL AND label IS NULL) FROM {feed}",
        "bad_labels": f"count(*) FILTER (WHERE prediction_id IS NOT NULL AND label NOT IN (0, 1)) FROM {feed}",
        "winners": f"count(*) FROM {winners}",
        "copies": f"coalesce(sum(copies), 0) FROM {winners}",
        "against": f"coalesce(sum(against), 0) FROM {winners}",
        # Of the events of this span alone, so that the counts of spans add up.
        "contradictions": f"coalesce(sum(against), 0) FROM {winners} WHERE prediction_id IN ({ids})",
        "known": f"count(*) FROM {known}",
        "added": f"count(*) FILTER (WHERE sign = 1) FROM {changes}",
        "replaced": f"count(*) FILTER (WHERE sign = -1) FROM {changes}",
        "retimed": f"count(*) FILTER (WHERE sign = 0) FROM {changes}",
        "matched": f"count(DISTINCT prediction_id) FROM ({named})",
    }
    row = connection.execute("SELECT " + ", ".join(f"(SELECT {count})" for count in counts.values())).fetchone()
    found = {name: int(value) for name, value in zip(counts, row or (), strict=True)}
    return AppliedLabels(
        rows=found["rows"],
        applied=found["added"] - found["replaced"],
        replaced=found["replaced"],
        settled=found["known"] - found["replaced"],
        unmatched=found["winners"] - found["matched"],
        missing_ids=found["missing_ids"],
        null_labels=found["null_labels"],
        bad_labels=found["bad_labels"],
        duplicates=found["copies"] - found["winners"] - found["against"],
        contradictions=found["contradictions"],
        retimed=found["retimed"],
    )
