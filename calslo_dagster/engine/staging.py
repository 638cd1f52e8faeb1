"""Reads a relation once, into a file that every fact is then taken from, with repeated predictions found.

One read makes the facts agree with each other even when a log grows meanwhile, and text formats are parsed once.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from calslo_dagster.engine.dialect import DuckDb
from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.engine.grading import EVENT_COLUMNS, coded, slice_names
from calslo_dagster.engine.parquet import identifier, literal, rows_of, stage
from calslo_dagster.engine.spec import AggregateSpec, Span

# Hashes looked at together: 64 MB, and as much again while they are sorted.
HASHES_PER_PASS: Final = 2**23
_HASH: Final = f"hash(prediction_id, event_us // {HOUR_US})"
# Ids whose copies are ranked together: some hundred megabytes of rows when each has one copy.
REPEATED_PER_PASS: Final = 2**20
_DIALECT: Final = DuckDb()
_HAS_ID: Final = "prediction_id IS NOT NULL AND event_us IS NOT NULL"

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Staged:
    """Rows at rest: `relation` selects them; first_us and last_us are over all rows with a usable time."""

    relation: str
    is_weighted: bool
    rows: int
    bad_times: int
    first_us: int | None
    last_us: int | None


def stage_events(
    connection: duckdb.DuckDBPyConnection, relation: str, folder: Path, *, spec: AggregateSpec, span: Span | None
) -> Staged:
    """Read the canonical relation, within the span if one is given, and find repeated predictions."""
    path = stage(connection, coded(_DIALECT, _typed(relation, spec, span)), folder / "events.parquet")
    found = connection.execute(
        "SELECT coalesce(bool_or(weight <> 1), false), count(*), count(event_us), count(prediction_id),"
        f" min(event_us), max(event_us) FROM ({rows_of([path])})"
    ).fetchall()
    is_weighted, rows, timed, ids, first_us, last_us = found[0]
    repeated = _repeated_hashes(connection, path, ids) if spec.deduplicate and ids else np.empty(0, np.uint64)
    events = _resolved(connection, path, repeated, spec) if repeated.size else _unrepeated(path)
    return Staged(events, is_weighted, rows, rows - timed, first_us, last_us)


def _typed(relation: str, spec: AggregateSpec, span: Span | None) -> str:
    latest = "" if spec.latest_us is None else f" AND event_us <= {spec.latest_us}"
    values = {
        "event_us": f"CASE WHEN event_us >= {spec.earliest_us}{latest} THEN event_us END",
        # -0.0 and 0.0 are one score; kept apart, two copies of an event could differ in nothing but the sign.
        "score": "CASE WHEN score = 0 THEN 0.0 ELSE score END",
        "weight": "CASE WHEN weight = 0 THEN 0.0 ELSE weight END",
        "prediction_id": "nullif(prediction_id, '')",
    }
    columns = [f"CAST({values.get(name, name)} AS {kind}) AS {name}" for name, kind in EVENT_COLUMNS.items()]
    pairs = zip(slice_names(spec.slice_columns), spec.slice_columns, strict=True)
    columns += [f"CAST({identifier(outer)} AS VARCHAR) AS {inner}" for inner, outer in pairs]
    where = "" if span is None else f" WHERE event_us >= {span[0]} AND event_us < {span[1]}"
    return f"SELECT {', '.join(columns)} FROM ({relation}) AS canonical{where}"


def _unrepeated(path: Path) -> str:
    return f"SELECT *, false AS conflicted FROM ({rows_of([path])})"


def _repeated_hashes(connection: duckdb.DuckDBPyConnection, path: Path, ids: int) -> Hashes:
    """Return the hashes that occur more than once; sorting them costs a third of a hash table and half its memory."""
    passes = -(-ids // HASHES_PER_PASS)
    found = []
    for turn in range(passes):
        hashes = connection.execute(
            f"SELECT h FROM (SELECT {_HASH} AS h FROM ({rows_of([path])}) WHERE {_HAS_ID}) WHERE h % {passes} = {turn}"
        ).fetchnumpy()["h"]
        ordered = np.sort(np.asarray(hashes, dtype=np.uint64))
        again = ordered[1:][ordered[1:] == ordered[:-1]]
        found.append(again[np.append(True, again[1:] != again[:-1])] if again.size else again)
    return np.concatenate(found)


def _resolved(connection: duckdb.DuckDBPyConnection, path: Path, repeated: Hashes, spec: AggregateSpec) -> str:
    """Return the rows with each prediction's copies settled; only rows with a repeated hash take the slow road.

    That road ranks whole rows, so it is taken by some of the ids at a time, which keeps them in memory.
    """
    turns = -(-repeated.size // REPEATED_PER_PASS)
    hashed = f"SELECT * EXCLUDE code, {_HASH} AS h FROM ({_numbered(path)}) WHERE {_HAS_ID}"
    with connection.cursor() as cursor:
        cursor.register("repeated_hashes", pa.table({"h": repeated}))
        chosen = f"SELECT * EXCLUDE h, h % {turns} AS turn FROM ({hashed}) WHERE h IN (SELECT h FROM repeated_hashes)"
        suspects = rows_of([stage(cursor, chosen, path.with_name("suspects.parquet"))])
    parts = []
    for turn in range(turns):
        some = f"SELECT * EXCLUDE turn FROM ({suspects}) WHERE turn = {turn}"
        parts.append(stage(connection, _settled(some, spec), path.with_name(f"settled-{turn}.parquet")))
    settled = rows_of(parts)
    others = f"SELECT *, false AS conflicted FROM ({_numbered(path)}) AS e ANTI JOIN ({settled}) AS s ON e.row = s.row"
    if turns > 1:
        # Every fact would build the table of this join; a copy without the suspects is cheaper once it is large.
        others = rows_of([stage(connection, others, path.with_name("others.parquet"))])
    return f"SELECT * EXCLUDE row FROM ({others} UNION ALL BY NAME {settled})"


def _numbered(path: Path) -> str:
    rows = f"read_parquet({literal(str(path))}, file_row_number = true, hive_partitioning = false)"
    return f"SELECT * RENAME (file_row_number AS row) FROM {rows}"


def _settled(suspects: str, spec: AggregateSpec) -> str:
    """Return the copies of predictions with one of them chosen, by content only, so that no order of rows matters.

    The chosen copy takes the one label that the copies agree on, so that a log which repeats a prediction once its
    label is known is counted with the label; where they contradict each other it has none.
    """
    columns = [name for name in EVENT_COLUMNS if name != "prediction_id"] + slice_names(spec.slice_columns)
    copies = f"PARTITION BY prediction_id, event_us // {HOUR_US}"
    order = ", ".join(f"{name} NULLS LAST" for name in columns)
    ranked = (
        f"SELECT *, row_number() OVER ({copies} ORDER BY {order}) AS place,"
        f" min(label) FILTER (WHERE label IN (0, 1)) OVER ({copies}) AS lowest,"
        f" max(label) FILTER (WHERE label IN (0, 1)) OVER ({copies}) AS highest FROM ({suspects})"
    )
    label = "CASE WHEN lowest < highest THEN NULL ELSE coalesce(lowest, label) END"
    agreed = (
        f"SELECT * EXCLUDE (lowest, highest) REPLACE ({label} AS label),"
        f" place = 1 AND coalesce(lowest < highest, false) AS conflicted FROM ({ranked})"
    )
    return f"SELECT * EXCLUDE (place, code, conflicted), code, conflicted FROM ({coded(_DIALECT, agreed, 'place > 1')})"
