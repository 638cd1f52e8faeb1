"""The aggregate pass: a relation of events becomes the facts of one partial."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from calslo_dagster.engine.dialect import DuckDb
from calslo_dagster.engine.facts import FACTS, PENDING, TOTALS, Fact
from calslo_dagster.engine.parquet import Notes, rows_of, scratch, write_fact
from calslo_dagster.engine.spec import AggregateSpec, Span
from calslo_dagster.engine.staging import stage_events
from calslo_dagster.engine.statement import Statement
from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats.snapshot import BAD_REASONS

__all__ = ["AggregateSpec", "Aggregated", "Span", "aggregate"]

BAD_TIME = "bad_time"


@dataclass(frozen=True, slots=True)
class Aggregated:
    """What an aggregate pass counted.

    rows: all rows read, of which `events` are good, `duplicates` repeat one and the others are in `rejected` by reason
    (each reason has an entry); first_us and last_us are over all rows with a usable time, good or not, so that a log
    of nothing but bad scores still moves the watermark.
    """

    rows: int
    events: int
    labeled: int
    pending: int
    duplicates: int
    conflicts: int
    rejected: Mapping[str, int]
    first_us: int | None
    last_us: int | None


def aggregate(
    connection: duckdb.DuckDBPyConnection, relation_sql: str, spec: AggregateSpec, span: Span | None, *, out: Path
) -> Aggregated:
    """Write the facts of the events in the half-open span, None for all of them, into the folder `out`.

    The relation is read once. The files depend on the set of its rows only: not on their order, how they are spread
    over files, nor on threads or memory. Without a span, rows without usable time are counted as `bad_time`.
    """
    out.mkdir(parents=True, exist_ok=True)
    with scratch(connection) as folder:
        staged = stage_events(connection, relation_sql, folder, spec=spec, span=span)
        statement = Statement(DuckDb(), spec, staged.is_weighted)
        for fact in FACTS:
            _write_fact(connection, statement, fact, relation=staged.relation, out=out)
        pending = _write_pending(connection, statement.pending(staged.relation), out / f"{PENDING}.parquet", spec)
    counts = _counted(connection, out / f"{TOTALS.name}.parquet")
    return Aggregated(
        rows=staged.rows,
        events=counts["n"],
        labeled=counts["n_lab"],
        pending=pending,
        duplicates=counts["duplicates"],
        conflicts=counts["conflicts"],
        rejected={BAD_TIME: staged.bad_times, **{reason: counts[reason] for reason in BAD_REASONS}},
        first_us=staged.first_us,
        last_us=staged.last_us,
    )


def _write_fact(
    connection: duckdb.DuckDBPyConnection, statement: Statement, fact: Fact, *, relation: str, out: Path
) -> None:
    """Write one fact of the relation, its sums added as doubles, or where they outgrow these, as integers."""
    path, notes = out / f"{fact.name}.parquet", Notes(statement.spec.slice_columns, fact.resolution_us)
    try:
        write_fact(connection, replace(statement, adds_doubles=True).fact(fact, relation), path, notes)
    except SnapshotError:
        # It takes millions of events of one slice within a bucket, or large weights.
        write_fact(connection, statement.fact(fact, relation), path, notes)


def _write_pending(connection: duckdb.DuckDBPyConnection, select: str, path: Path, spec: AggregateSpec) -> int:
    """Write the events that wait for a label, if there are any; return how many."""
    write_fact(connection, select, path, Notes(spec.slice_columns, 1))
    row = connection.execute(f"SELECT count(*) FROM ({rows_of([path])})").fetchone()
    pending = int(row[0]) if row else 0
    if not pending:
        path.unlink()
    return pending


def _counted(connection: duckdb.DuckDBPyConnection, totals: Path) -> dict[str, int]:
    names = ("n", "n_lab", "duplicates", "conflicts", *BAD_REASONS)
    sums = ", ".join(f'coalesce(sum("{name}"), 0)' for name in names)
    row = connection.execute(f"SELECT {sums} FROM ({rows_of([totals])})").fetchone()
    return dict(zip(names, map(int, row or ()), strict=True))
