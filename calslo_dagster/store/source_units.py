"""Source units: what is known of each file, or hour of a table, so that each is checked once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import source_units

# Between the two parts of the column `fingerprint`: no name of a file holds it by accident.
_PARTS: Final = "\x1f"


class Role(StrEnum):
    """What a unit holds."""

    EVENTS = "events"
    LABELS = "labels"


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """One unit as it was when it was last checked.

    fingerprint: changes with the content; hours: good rows by the start of their hour in microseconds; rejected: rows
    by reason; error: why nothing of it counts; retry: the error may pass by itself; content: of a file, what tells it
    from all that hold something else, whatever their names.
    """

    source: str
    role: Role
    unit: str
    fingerprint: str
    rows: int
    first_us: int | None
    last_us: int | None
    hours: Mapping[int, int]
    rejected: Mapping[str, int]
    error: str | None
    retry: bool
    seen_at: datetime

    content: str = ""

    @property
    def identity(self) -> str:
        """What this state of the unit is known by: the content of a file, or the fingerprint of an hour of a table."""
        return self.content or self.fingerprint

    @property
    def name(self) -> str:
        """The unit's name, also where the record is kept apart from the unit."""
        return self.unit.removesuffix(self._mark)

    @property
    def apart(self) -> str:
        """The name for keeping the record when another content has taken the unit's name."""
        return f"{self.name}{self._mark}"

    @property
    def _mark(self) -> str:
        return f"~{sha256(self.fingerprint.encode()).hexdigest()[:8]}"


def put(session: Session, records: Iterable[UnitRecord]) -> None:
    """Record the units, or overwrite what is known of them."""
    found = stored.records(source_units, records)
    for row in found:
        row["fingerprint"] = f"{row['fingerprint']}{_PARTS}{row.pop('content')}"
    stored.upsert(session, source_units, found)


def records(session: Session, source: str, role: Role) -> tuple[UnitRecord, ...]:
    """Return the units of a source in one role, by name."""
    wanted = sa.select(source_units).where(source_units.c.source == source, source_units.c.role == role.value)
    return stored.load(session, wanted.order_by(source_units.c.unit), _record, role=Role, hours=_hours)


def _record(*, fingerprint: str, **columns: Any) -> UnitRecord:
    state, _, content = fingerprint.partition(_PARTS)
    return UnitRecord(fingerprint=state, content=content, **columns)


def forget(session: Session, source: str, role: Role, units: Iterable[str]) -> None:
    """Remove what is known of these units."""
    keys = [{"s": source, "r": role.value, "u": unit} for unit in units]
    if keys:
        table = source_units.c
        match = (table.source == sa.bindparam("s"), table.role == sa.bindparam("r"), table.unit == sa.bindparam("u"))
        session.connection().execute(sa.delete(source_units).where(*match), keys)


def _hours(found: Mapping[str, int]) -> dict[int, int]:
    # The keys of JSON objects are text.
    return {int(hour): rows for hour, rows in found.items()}
