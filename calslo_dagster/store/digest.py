"""Digests of tables: equal for equal content, whatever the order of insertion and the database."""

import hashlib
from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store.columns import to_json

# Who wrote a row, and when, is not part of what it says.
PROVENANCE: Final = frozenset({"run_id", "code_version", "created_at", "seen_at", "first_seen"})


def table_digest(session: Session, table: sa.Table, exclude: Collection[str] = ()) -> str:
    """Return the sha256 of the table's rows in a fixed order, 64 hex digits.

    Columns that tell who wrote a row and when are left out, as are numbers that the database counts up, and those in
    `exclude`.
    """
    if unknown := set(exclude) - set(table.c.keys()):
        raise ValueError(f"{table.name} has no columns {', '.join(sorted(unknown))}")
    left_out = (
        PROVENANCE
        | set(exclude)
        | ({table.autoincrement_column.name} if table.autoincrement_column is not None else set())
    )
    names = sorted(set(table.c.keys()) - left_out)
    rows = session.execute(sa.select(*(table.c[name] for name in names)))
    # Rows are sorted by their own digests: databases sort text by rules of their own.
    ordered = sorted(hashlib.sha256(to_json([_plain(value) for value in row]).encode()).digest() for row in rows)
    return hashlib.sha256(b"".join([to_json(names).encode(), *ordered])).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    # Exact, and defined for infinities, which JSON is not.
    return value.hex() if isinstance(value, float) else value
