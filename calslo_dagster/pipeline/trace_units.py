"""Find out what became of contents that no longer lie under their names: moved, replaced, or lost to us.

What was counted of a lost content stays counted, because logs are rotated.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from calslo_dagster.sources.base import FileFormat, Unit
from calslo_dagster.sources.contents import begins_with
from calslo_dagster.sources.listing import format_of
from calslo_dagster.store.source_units import Role, UnitRecord

# Formats that are written line by line, under one name until they are rotated.
_LINES: Final = (FileFormat.CSV, FileFormat.JSONL)

Known = tuple[Unit, UnitRecord]


@dataclass(frozen=True, slots=True)
class Traced:
    """What a look changes in the records: `moved` units are known by other names now, `lost` are kept apart."""

    moved: tuple[str, ...]
    lost: tuple[UnitRecord, ...]


def trace_units(before: Iterable[UnitRecord], present: Sequence[Known], fresh: Collection[str]) -> Traced:
    """Return what became of the records from before the look; `fresh` names the units that were checked in it."""
    there, by_hour = {unit.name: (unit, record) for unit, record in present}, dict[int, list[str]]()
    for name in sorted(there.keys() & set(fresh)):
        for hour in there[name][1].hours:
            by_hour.setdefault(hour, []).append(name)
    return _Trace({record.unit: record for record in before}, there, frozenset(fresh), by_hour).all()


def is_emptied(unit: Unit, record: UnitRecord, before: UnitRecord | None) -> bool:
    """Whether a log was cut back to nothing, which takes away as little as removing it."""
    return bool(before and before.rows and unit.format in _LINES and not record.rows and not record.error)


@dataclass(frozen=True, slots=True)
class _Trace:
    before: Mapping[str, UnitRecord]
    present: Mapping[str, Known]
    fresh: frozenset[str]
    fresh_by_hour: Mapping[int, Sequence[str]]

    def all(self) -> Traced:
        moved, lost = list[str](), list[UnitRecord]()
        held = {record.content for name, (_, record) in self.present.items() if self._holds(name, record)}
        for record in self._former():
            current = self.present.get(record.unit)
            is_moved = not record.rows or record.content in held or self._has_grown(record)
            if is_moved and current is None:
                moved.append(record.unit)
            if is_moved or (current and not self._begins_anew(record, *current)):
                continue
            if current:
                lost.append(replace(record, unit=record.apart))
            if record.content and record.role is Role.EVENTS:
                # Of several copies that go together one is enough to know what was counted.
                held.add(record.content)
        return Traced(tuple(moved), tuple(lost))

    def _holds(self, name: str, record: UnitRecord) -> bool:
        """Whether others may be known by the unit; labels that were given twice stay so when one file of them goes."""
        is_known = bool(record.content) and not record.error
        return is_known and (record.role is Role.EVENTS or name in self.fresh)

    def _former(self) -> Iterator[UnitRecord]:
        """Yield the records that no unit has any more in that state."""
        for record in self.before.values():
            current = self.present.get(record.unit)
            if current is None or current[1].fingerprint != record.fingerprint:
                yield record

    def _has_grown(self, record: UnitRecord) -> bool:
        """Whether a unit that is new or changed holds what the record tells of, under its name or another."""
        own = [record.unit] if record.unit in self.fresh and record.unit in self.present else []
        others = self.fresh_by_hour.get(min(record.hours), ()) if record.hours else ()
        return any(_has_grown(record, *self.present[name]) for name in (*own, *others))

    def _begins_anew(self, record: UnitRecord, unit: Unit, now: UnitRecord) -> bool:
        """Whether the unit is another log than the one that had its name, and not a correction of it."""
        if unit.format not in _LINES or now.error:
            return False
        starts_later = now.first_us is not None and record.last_us is not None and now.first_us > record.last_us
        return starts_later or self._came_from_elsewhere(unit, now) or _lies_beside(record, unit, self.present)

    def _came_from_elsewhere(self, unit: Unit, now: UnitRecord) -> bool:
        """Whether the unit holds what another one held before, as when numbered logs move up by one."""
        others = (record for record in self.before.values() if record.name != unit.name and record.rows)
        return any(other.content == now.content or _has_grown(other, unit, now) for other in others if other.content)


def _has_grown(record: UnitRecord, unit: Unit, now: UnitRecord) -> bool:
    """Whether the unit holds all that the record tells of, and nothing or something more after it."""
    if not record.content or now.error or now.rows < record.rows or unit.format not in _LINES or unit.path is None:
        return False
    if any(now.hours.get(hour, 0) < rows for hour, rows in record.hours.items()):
        return False
    return _folders(now) == _folders(record) and begins_with(unit.path, record.content)


def _folders(record: UnitRecord) -> str:
    return record.content.rpartition(":")[2]


def _lies_beside(record: UnitRecord, unit: Unit, present: Mapping[str, Known]) -> bool:
    """Whether what the record tells of was rotated to a name in the same folder that the paths do not cover."""
    if unit.path is None or not record.content:
        return False
    listed = {other.path for other, _ in present.values()}
    stem = unit.path.name.split(".")[0]
    beside = (path for path in _files(unit.path.parent) if path.name.startswith(stem) and path not in listed)
    return any(begins_with(path, record.content) for path in beside if format_of(path) is unit.format)


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_file())
    except OSError:
        return []
