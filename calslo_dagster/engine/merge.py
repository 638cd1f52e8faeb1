"""Merges partials: compaction and roll-ups are sums, so they add no error and no order matters; takes hours out."""

from collections.abc import Collection, Sequence
from pathlib import Path

import duckdb

from calslo_dagster.engine.facts import FACTS, HOUR_US, LEDGER, PENDING, TOTALS, Fact
from calslo_dagster.engine.inputs import merge_inputs, read_inputs, write_inputs
from calslo_dagster.engine.parquet import (
    Notes,
    common_slices,
    event_order,
    fact_files,
    identifier,
    key_columns,
    literal,
    read_notes,
    rows_of,
    sort_order,
    write_fact,
)
from calslo_dagster.stats.snapshot import BAD_REASONS


def merge_facts(
    connection: duckdb.DuckDBPyConnection, inputs: Sequence[Path], out: Path, resolution_us: int | None = None
) -> None:
    """Write the sum of the partials into the folder `out`; with a resolution, no bucket is narrower than it.

    Without one, event partials of adjoining spans give the bytes that one aggregate pass over all of them writes.
    Events that wait for a label are kept as they are; of several ledgers the entry of the last one counts, so inputs
    with ledgers come in the order of their batches.
    """
    out.mkdir(parents=True, exist_ok=True)
    for fact in FACTS:
        files = fact_files(inputs, fact)
        notes = read_notes(connection, files)
        if files:
            slices = common_slices(notes)
            resolution = max(resolution_us or 1, *(note.resolution_us for note in notes))
            rows = summed(rows_of(files), fact, slices, resolution)
            select = f"SELECT * FROM ({rows}) ORDER BY {sort_order(key_columns(fact, slices))}"
            write_fact(connection, select, out / f"{fact.name}.parquet", Notes(slices, resolution))
    if pending := fact_files(inputs, PENDING):
        _keep(connection, pending, rows_of(pending), out / f"{PENDING}.parquet")
    if ledgers := fact_files(inputs, LEDGER):
        _keep(connection, ledgers, current_ledger(ledgers), out / f"{LEDGER}.parquet")
    merge_inputs(inputs, out)


def take_hours(connection: duckdb.DuckDBPyConnection, partial: Path, hours: Collection[int], out: Path) -> None:
    """Write what an event partial holds of the hours that begin at these instants into the folder `out`.

    It is what one pass over the events of these hours writes. No bucket of the partial may be wider than an hour.
    """
    out.mkdir(parents=True, exist_ok=True)
    for fact in FACTS:
        for path in fact_files([partial], fact):
            (notes,) = read_notes(connection, [path])
            order = sort_order(key_columns(fact, notes.slice_columns))
            write_fact(connection, _within(path, "t", hours, order), out / path.name, notes)
    for path in fact_files([partial], PENDING):
        (notes,) = read_notes(connection, [path])
        order = sort_order(event_order(notes.slice_columns))
        write_fact(connection, _within(path, "event_us", hours, order), out / path.name, notes)
        if not _pending(connection, out):
            (out / path.name).unlink()
    if (inputs := read_inputs(partial)) is not None:
        write_inputs(out, (one for one in inputs if one.hour_us in hours))


def _within(path: Path, time: str, hours: Collection[int], order: str) -> str:
    listed = ", ".join(map(str, sorted(hours)))
    return f"SELECT * FROM ({rows_of([path])}) WHERE {time} // {HOUR_US} * {HOUR_US} IN ({listed}) ORDER BY {order}"


def count_rows(connection: duckdb.DuckDBPyConnection, partial: Path) -> dict[str, int]:
    """Return how many rows an event partial holds: all, good, labelled, waiting for a label, and rejected by reason."""
    names = ("n", "n_lab", "duplicates", "conflicts", *BAD_REASONS)
    sums = ", ".join(f"CAST(coalesce(sum({identifier(name)}), 0) AS BIGINT)" for name in names)
    found = [0] * len(names)
    for path in fact_files([partial], TOTALS):
        found = [int(value) for value in connection.execute(f"SELECT {sums} FROM ({rows_of([path])})").fetchall()[0]]
    counts = dict(zip(("events", "labeled", *names[2:]), found, strict=True))
    rows = sum(counts[name] for name in ("events", "duplicates", *BAD_REASONS))
    return {"rows": rows, "pending": _pending(connection, partial), **counts}


def _pending(connection: duckdb.DuckDBPyConnection, partial: Path) -> int:
    files = fact_files([partial], PENDING)
    return connection.execute(f"SELECT count(*) FROM ({rows_of(files)})").fetchall()[0][0] if files else 0


def summed(rows: str, fact: Fact, slice_columns: Sequence[str], resolution_us: int) -> str:
    """Return the SELECT of the fact's rows summed by key, without rows in which nothing is left."""
    keys = [f"t // {resolution_us} * {resolution_us} AS t"]
    keys += [identifier(name) for name in key_columns(fact, slice_columns)[1:]]
    sums = [f"CAST(sum({name}) AS BIGINT) AS {name}" for name in map(identifier, fact.sums)]
    ends = [f"min({name}) AS {name}" for name in fact.firsts] + [f"max({name}) AS {name}" for name in fact.lasts]
    places = ", ".join(str(i + 1) for i in range(len(keys)))
    grouped = f"SELECT {', '.join(keys + sums + ends)} FROM ({rows}) GROUP BY {places}"
    return f"SELECT * FROM ({grouped}) WHERE {' OR '.join(f'{identifier(name)} <> 0' for name in fact.sums)}"


def current_ledger(ledgers: Sequence[Path], where: str = "") -> str:
    """Return the SELECT of the last entry of each event in ledgers given in the order of their batches."""
    files = ", ".join(literal(str(path)) for path in ledgers)
    entries = f"read_parquet([{files}], filename = true, hive_partitioning = false) {where}"
    numbered = f"SELECT *, list_position([{files}], filename) AS batch FROM {entries}"
    last = "batch = max(batch) OVER (PARTITION BY prediction_id, event_us)"
    return f"SELECT * EXCLUDE (batch, filename) FROM ({numbered}) QUALIFY {last}"


def _keep(connection: duckdb.DuckDBPyConnection, files: Sequence[Path], rows: str, out: Path) -> None:
    slices = common_slices(read_notes(connection, files))
    write_fact(connection, f"SELECT * FROM ({rows}) ORDER BY {sort_order(event_order(slices))}", out, Notes(slices, 1))
