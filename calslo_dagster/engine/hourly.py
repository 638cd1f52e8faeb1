"""Events and labels by hour, and how long labels take, which shows that a log or its labels have thinned out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from calslo_dagster.engine.facts import HOUR_US, LEDGER, TOTALS
from calslo_dagster.engine.parquet import fact_files, identifier, rows_of
from calslo_dagster.stats.snapshot import BAD_REASONS


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour over all slices: `rows` with usable times, `events` with a valid score, `labeled` ones of these."""

    rows: int
    events: int
    labeled: int


def hourly_counts(
    connection: duckdb.DuckDBPyConnection, partials: Sequence[Path], spans_us: Iterable[tuple[int, int]]
) -> dict[int, Hour]:
    """Return the hours that hold rows within the half-open spans, by the start of the hour in microseconds."""
    files, within = fact_files(partials, TOTALS), _within("t", spans_us)
    if not files or not within:
        return {}
    # Partials of labels hold no counts of what was there before.
    sums = [f"CAST(coalesce(sum({identifier(name)}), 0) AS BIGINT)" for name in ("n_lab", "n", *BAD_REASONS)]
    columns = ", ".join([f"t // {HOUR_US} * {HOUR_US}", *sums])
    rows = f"SELECT {columns} FROM ({rows_of(files)}) WHERE {within} GROUP BY 1"
    found = connection.execute(rows).fetchall()
    return {hour: Hour(n + sum(bad), n, labeled) for hour, labeled, n, *bad in found if n or any(bad)}


def label_delay(
    connection: duckdb.DuckDBPyConnection, partials: Sequence[Path], span_us: tuple[int, int], share: float
) -> tuple[int, int]:
    """Return after how many microseconds this share of the span's late labels was there, and how many labels tell.

    Labels of unknown time, and of events without any, tell nothing.
    """
    files = fact_files(partials, LEDGER)
    if not files:
        return 0, 0
    row = connection.execute(
        f"SELECT coalesce(quantile_disc(label_us - event_us, {share}), 0), count(*) FROM ({rows_of(files)})"
        f" WHERE label_us IS NOT NULL AND ({_within('event_us', [span_us])})"
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _within(column: str, spans_us: Iterable[tuple[int, int]]) -> str:
    """Return the condition on a column that files are sorted by, so that most of a file need not be read."""
    return " OR ".join(f"({column} >= {start} AND {column} < {end})" for start, end in spans_us)
