"""Notice new, changed and vanished units of a log or feed, and check each of them once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from duckdb import DuckDBPyConnection

from calslo_dagster.pipeline.project import Project
from calslo_dagster.sources.base import LabelFeed, Source, Span, Unit
from calslo_dagster.store import source_units
from calslo_dagster.store.source_units import Role, UnitRecord


@dataclass(frozen=True, slots=True)
class Units:
    """The units of one log or feed: those that are there, and the records of those that no longer are."""

    present: tuple[tuple[Unit, UnitRecord], ...]
    gone: tuple[UnitRecord, ...]

    @property
    def readable(self) -> list[tuple[Unit, UnitRecord]]:
        """Units that passed their check."""
        return [(unit, record) for unit, record in self.present if not record.error]

    @property
    def lost(self) -> tuple[UnitRecord, ...]:
        """Units that were read once and cannot be read now: what was counted of them stays counted."""
        return (*self.gone, *(record for _, record in self.present if record.error and record.rows))

    @property
    def errors(self) -> tuple[str, ...]:
        """What is wrong with the others, and what to do about it."""
        return tuple(record.error for _, record in self.present if record.error)

    @property
    def rejected(self) -> dict[str, int]:
        """Rows that belong to no window, by reason."""
        out: dict[str, int] = {}
        for _, record in self.present:
            for reason, rows in record.rejected.items():
                out[reason] = out.get(reason, 0) + rows
        return out


NO_UNITS: Final = Units((), ())


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a log or feed: `window_us` bounds what a table is asked for."""

    role: Role
    now: datetime
    window_us: Span | None = None


def refresh_units(project: Project, connection: DuckDBPyConnection, reader: Source | LabelFeed, look: Look) -> Units:
    """Check units that are new or changed, record what was found, and return all of them.

    A unit that vanished keeps its record, because logs are rotated and what was counted stays counted; unless nothing
    was, or there is one with the same content, which is the same file under another name.
    """
    listed = reader.units(look.window_us)
    name = reader.spec.name
    with project.store.read() as session:
        known = {record.unit: record for record in source_units.records(session, name, look.role)}
    fresh = [unit for unit in listed if _is_fresh(unit, known)]
    checked = [_checked(connection, reader, unit, look, known=known.get(unit.name)) for unit in fresh]
    known |= {record.unit: record for record in checked}
    gone = {record.unit: record for record in _vanished(listed, known, look.window_us)}
    there = {_identity(known[unit.name]) for unit in listed}
    forgotten = [unit for unit, record in gone.items() if not record.rows or _identity(record) in there]
    if checked or forgotten:
        with project.store.write() as session:
            source_units.put(session, checked)
            source_units.forget(session, name, look.role, forgotten)
    return Units(
        present=tuple((unit, known[unit.name]) for unit in listed),
        gone=tuple(record for unit, record in sorted(gone.items()) if unit not in forgotten),
    )


def _is_fresh(unit: Unit, known: Mapping[str, UnitRecord]) -> bool:
    record = known.get(unit.name)
    return record is None or record.retry or record.fingerprint != unit.fingerprint


def _checked(
    connection: DuckDBPyConnection, reader: Source | LabelFeed, unit: Unit, look: Look, *, known: UnitRecord | None
) -> UnitRecord:
    intake = reader.intake(connection, unit, look.now)
    # A file that is being replaced cannot be read for a moment; until it can, it is known for what it held.
    held = known if known and intake.error else intake
    return UnitRecord(
        source=reader.spec.name,
        role=look.role,
        unit=unit.name,
        fingerprint=unit.fingerprint,
        rows=held.rows,
        first_us=held.first_us,
        last_us=held.last_us,
        hours=dict(held.hours),
        rejected=dict(held.rejected),
        error=intake.error,
        retry=intake.retry,
        seen_at=look.now,
    )


def _identity(record: UnitRecord) -> tuple[str, int, int | None, int | None]:
    """Return what two names of one file share; size and time alone, which synchronised shards share too, are not it."""
    return record.content, record.rows, record.first_us, record.last_us


def _vanished(listed: list[Unit], known: Mapping[str, UnitRecord], window_us: Span | None) -> list[UnitRecord]:
    names = {unit.name for unit in listed}
    gone = [record for record in known.values() if record.unit not in names]
    if window_us is None:
        return gone
    return [r for r in gone if any(window_us[0] <= hour < window_us[1] for hour in r.hours)]
