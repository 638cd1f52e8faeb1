"""Notice new, changed and vanished units of a log or feed, and check each of them once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from duckdb import DuckDBPyConnection

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.trace_units import Known, is_emptied, trace_units
from calslo_dagster.sources.base import DUPLICATES, LabelFeed, Source, SourceKind, Span, Unit
from calslo_dagster.sources.contents import repeated
from calslo_dagster.store import source_units
from calslo_dagster.store.source_units import Role, UnitRecord


@dataclass(frozen=True)
class Units:
    """The units of one log or feed: those that are there, and the records of contents that no longer are."""

    present: tuple[Known, ...]
    gone: tuple[UnitRecord, ...]

    @cached_property
    def copies(self) -> dict[str, str]:
        """Units that hold the same events as another one, which is counted in their place, each with its name.

        A label that is given twice is one label anyway.
        """
        events = [(unit, record) for unit, record in self.present if record.role is Role.EVENTS]
        return repeated((unit.name, record.content) for unit, record in events if record.rows and not record.error)

    @cached_property
    def readable(self) -> list[Known]:
        """Units that passed their check and are no copies."""
        return [(unit, record) for unit, record in self.present if not record.error and unit.name not in self.copies]

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
        """Rows that belong to no window, by reason; those of copies are duplicates."""
        out: dict[str, int] = {}
        for unit, record in self.present:
            found = {DUPLICATES: record.rows} if unit.name in self.copies else record.rejected
            for reason, rows in found.items():
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

    A content that can no longer be read keeps its record, because logs are rotated and what was counted stays counted;
    unless it lies under another name now, or something else was put in its place.
    """
    listed = reader.units(look.window_us)
    name = reader.spec.name
    with project.store.read() as session:
        before = {record.unit: record for record in source_units.records(session, name, look.role)}
    fresh = [unit for unit in listed if _is_fresh(unit, before)]
    checked = [(unit, _checked(connection, reader, unit, look, known=before.get(unit.name))) for unit in fresh]
    emptied = {unit.name for unit, record in checked if is_emptied(unit, record, before.get(unit.name))}
    found = {record.unit: record for unit, record in checked if unit.name not in emptied}
    known = before | found
    present = tuple((unit, known[unit.name]) for unit in listed if unit.name not in emptied)
    traced = trace_units(_asked_for(before, reader, look).values(), present, found)
    if found or traced.moved or traced.lost:
        with project.store.write() as session:
            source_units.put(session, [*found.values(), *traced.lost])
            source_units.forget(session, name, look.role, traced.moved)
    return Units(present, _gone(known | {record.unit: record for record in traced.lost}, present, traced.moved, look))


def _asked_for(before: Mapping[str, UnitRecord], reader: Source | LabelFeed, look: Look) -> dict[str, UnitRecord]:
    """Return the records of what was looked for: of a table that is the window, of files it is all of them."""
    if reader.spec.kind is SourceKind.FILES:
        return dict(before)
    return {name: record for name, record in before.items() if _is_within(record, look.window_us)}


def _gone(
    known: Mapping[str, UnitRecord], present: tuple[Known, ...], moved: Collection[str], look: Look
) -> tuple[UnitRecord, ...]:
    there = {unit.name for unit, _ in present}
    gone = [record for name, record in sorted(known.items()) if name not in there and name not in moved]
    return tuple(record for record in gone if _is_within(record, look.window_us))


def _is_within(record: UnitRecord, window_us: Span | None) -> bool:
    return window_us is None or any(window_us[0] <= hour < window_us[1] for hour in record.hours)


def _is_fresh(unit: Unit, known: Mapping[str, UnitRecord]) -> bool:
    record = known.get(unit.name)
    return record is None or record.retry or record.fingerprint != unit.fingerprint


def _checked(
    connection: DuckDBPyConnection, reader: Source | LabelFeed, unit: Unit, look: Look, *, known: UnitRecord | None
) -> UnitRecord:
    intake = reader.intake(connection, unit, look.now)
    if known and known.rows and intake.error:
        # A file that is being replaced cannot be read for a moment; until it can, it is known for what it held.
        return replace(known, error=intake.error, retry=True, seen_at=look.now)
    return UnitRecord(
        source=reader.spec.name,
        role=look.role,
        unit=unit.name,
        fingerprint=unit.fingerprint,
        rows=intake.rows,
        first_us=intake.first_us,
        last_us=intake.last_us,
        hours=dict(intake.hours),
        rejected=dict(intake.rejected),
        error=intake.error,
        retry=intake.retry,
        seen_at=look.now,
        content=intake.content,
    )
