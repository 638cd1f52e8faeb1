"""Digests of a partial's panes: what tells, without reading the facts again, which 15 minutes of them changed.

A partial never changes, so its digests are kept in a file beside its facts; without it they are computed anew.
"""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import duckdb

from calslo_dagster.engine.cube import FactTables, open_tables
from calslo_dagster.engine.facts import FACTS, PANE_US, TOTALS, Fact
from calslo_dagster.engine.parquet import identifier, key_columns, literal

FILE: Final = "panes.json"
# Part of the file: digests of another making cannot be compared with these.
_MAKING: Final = 1
_PANE: Final = f"t // {PANE_US} * {PANE_US} AS pane"


@dataclass(frozen=True, slots=True)
class PaneDigest:
    """One pane that has rows: `facts` stands for all its sums by slice, `slices` for which slices have rows in it.

    Both are sums of hashes of rows, so neither the order of rows nor how panes are put into files matters to them: a
    day merged from its hours has their panes.
    """

    start_us: int
    facts: int
    slices: int


def pane_digests(connection: duckdb.DuckDBPyConnection, partial: Path) -> tuple[PaneDigest, ...]:
    """Return the digests of the partial's panes in the order of time; of a wider bucket, that of its first pane."""
    if not partial.is_dir():
        return ()
    kept = _kept(partial / FILE)
    if kept is None:
        kept = _computed(connection, open_tables(connection, [partial]))
        _keep(partial / FILE, kept)
    return kept


def _kept(file: Path) -> tuple[PaneDigest, ...] | None:
    """Return what the file holds, None if there is no such file or it is of no use."""
    try:
        found = json.loads(file.read_bytes())
        return tuple(PaneDigest(*map(int, pane)) for pane in found["panes"]) if found["making"] == _MAKING else None
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        # Nothing forces the file to disk, so a power failure may leave an empty one.
        return None


def _keep(file: Path, panes: Sequence[PaneDigest]) -> None:
    """Write the file under another name first, since two processes may write it at a time."""
    scratch = file.with_name(f".{file.name}-{uuid4().hex}")
    scratch.write_text(json.dumps({"making": _MAKING, "panes": [astuple(pane) for pane in panes]}), encoding="utf-8")
    scratch.replace(file)


def _computed(connection: duckdb.DuckDBPyConnection, tables: FactTables) -> tuple[PaneDigest, ...]:
    if TOTALS.name not in tables.selects:
        return ()
    parts = [_facts(tables, fact) for fact in FACTS if fact.name in tables.selects]
    hashes = " UNION ALL ".join([*parts, _slices(tables)])
    rows = f"SELECT pane, sum(facts), sum(slices) FROM ({hashes}) GROUP BY pane ORDER BY pane"
    return tuple(PaneDigest(*map(int, row)) for row in connection.execute(rows).fetchall())


def _facts(tables: FactTables, fact: Fact) -> str:
    """Return the SELECT that hashes the fact's rows, but not when their first and last events came: nobody measures it.

    A hash of the hash, because the first one mixes its columns too little for their sum to tell every change.
    """
    names = ", ".join(map(identifier, [*key_columns(fact, tables.slice_columns), *fact.sums]))
    row = f"hash(hash({literal(fact.name)}, {names}))"
    return f"SELECT {_PANE}, sum({row}) AS facts, 0 AS slices FROM ({tables.selects[fact.name]}) GROUP BY 1"


def _slices(tables: FactTables) -> str:
    names = [identifier(name) for name in tables.slice_columns]
    seen = f"SELECT DISTINCT {', '.join([_PANE, *names])} FROM ({tables.selects[TOTALS.name]})"
    return f"SELECT pane, 0 AS facts, sum(hash(hash({', '.join(['true', *names])}))) AS slices FROM ({seen}) GROUP BY 1"
