"""Decide what the event partials of a span are made of: what can be read again, and what is kept as it was counted.

The hours of a content that is lost are taken out of the partial that holds it as soon as something else comes for the
span, and kept; what is new to such an hour is counted beside them. A unit that was counted together with a lost one and
has changed since cannot be told apart from what it was, so it counts for what it was, and its rows are reported.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from calslo_dagster.engine.inputs import Input
from calslo_dagster.pipeline.refresh_units import Units
from calslo_dagster.pipeline.trace_units import Known
from calslo_dagster.sources.base import Span, Unit
from calslo_dagster.store.source_units import UnitRecord

Inputs = Mapping[int, Sequence[Input]]


@dataclass(frozen=True, slots=True)
class Part:
    """What one unit brings to a span: its record with the hours that count, and those of its hours that do not."""

    unit: Unit
    record: UnitRecord
    left_out: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Composition:
    """What a span consists of.

    named: units and hours that tell the partial of readable events from others; counted: what it is to be read from;
    freezes: hours to move to the partial that is kept; thaws: whether nothing of what is kept is lost now; holds_lost:
    whether all is as it was counted but for files that are missing, so that the partials stay as they are; uncounted:
    rows that cannot be told from what is kept.
    """

    named: tuple[Known, ...]
    counted: tuple[Part, ...] = ()
    freezes: frozenset[int] = frozenset()
    thaws: bool = False
    holds_lost: bool = False
    uncounted: int = 0


AS_IT_IS: Final = Composition((), holds_lost=True)


def plain(events: Units, span: Span) -> Composition:
    """Return the composition of a span of which nothing is lost or kept."""
    parts = tuple(Part(unit, record) for unit, record in events.readable if _hours(record, span))
    return Composition(tuple((part.unit, part.record) for part in parts), parts)


def with_lost(events: Units, span: Span) -> tuple[Known, ...]:
    """Return the units and hours that tell a partial of all that can be read, and of all that is lost."""
    lost = ((Unit(record.name, record.fingerprint), record) for record in events.lost if _hours(record, span))
    return (*plain(events, span).named, *lost)


def compose(events: Units, span: Span, *, live: Sequence[Input], kept: Sequence[Input], is_coarse: bool) -> Composition:
    """Return the composition of a span, given what its partials in force were made of.

    live: of contents that could be read when it was made; kept: of contents that were lost before. A coarse partial has
    buckets that cannot be divided into hours.
    """
    log = _Log.of(events, span)
    thaws = bool(kept) and not any(map(log.has_lost, kept))
    held, counted = dict(_by_hour([] if thaws else kept)), _by_hour(live)
    lost = frozenset(one.hour_us for one in live if log.has_lost(one))
    if lost and not log.differs_from(counted, held):
        return AS_IT_IS
    freezes = frozenset(counted) if lost and is_coarse else lost
    for hour in freezes:
        held[hour] = [*held.get(hour, ()), *counted[hour]]
    return replace(log.beside(held), freezes=freezes, thaws=thaws)


def inputs_of(parts: Iterable[Part], span: Span) -> list[Input]:
    """Return what a partial that is read from these parts is made of, hour by hour."""
    return [
        Input(hour, part.unit.name, part.record.identity, rows)
        for part in parts
        for hour, rows in _hours(part.record, span).items()
    ]


@dataclass(frozen=True, slots=True)
class _Log:
    """The log as it is now: the contents that are there, those that are lost, and the names of all units."""

    readable: tuple[tuple[Unit, UnitRecord, Mapping[int, int]], ...]
    there: frozenset[str]
    lost: Mapping[str, UnitRecord]
    names: frozenset[str]

    @classmethod
    def of(cls, events: Units, span: Span) -> "_Log":
        found = [(unit, record, _hours(record, span)) for unit, record in events.readable]
        return cls(
            readable=tuple(one for one in found if one[2]),
            there=frozenset(record.identity for _, record in events.readable),
            lost={record.identity: record for record in events.lost},
            names=frozenset(unit.name for unit, _ in events.present),
        )

    def has_lost(self, one: Input) -> bool:
        """Whether what was counted can no longer be read, though nothing has taken its place."""
        return one.content in self.lost and one.content not in self.there

    def differs_from(self, counted: Inputs, held: Inputs) -> bool:
        """Whether in any hour what can be read, and is not held, is not what was counted, and is not lost."""
        found: dict[int, set[str]] = {}
        for _, record, hours in self.readable:
            for hour in _free(hours, record, held):
                found.setdefault(hour, set()).add(record.identity)
        was = {hour: {one.content for one in inputs if not self.has_lost(one)} for hour, inputs in counted.items()}
        return any(found.get(hour, set()) != was.get(hour, set()) for hour in found.keys() | was.keys())

    def beside(self, held: Inputs) -> Composition:
        """Return what is to be read beside what is held."""
        named, parts, uncounted = list[Known](), list[Part](), 0
        strangers = {hour: [one for one in inputs if self._is_strange(one)] for hour, inputs in held.items()}
        for unit, record, hours in self.readable:
            free = _free(hours, record, held)
            good = {hour: n for hour, n in free.items() if not self._is_doubtful(unit, n, strangers.get(hour, ()))}
            uncounted += sum(free.values()) - sum(good.values())
            if free:
                named.append((unit, replace(record, hours=free)))
            if good:
                parts.append(Part(unit, replace(record, hours=good), frozenset(hours.keys() - good.keys())))
        return Composition(tuple(named), tuple(parts), uncounted=uncounted)

    def _is_strange(self, one: Input) -> bool:
        """Whether what was counted is not lost and yet cannot be read, as something else has taken its place."""
        return one.content not in self.lost and one.content not in self.there

    def _is_doubtful(self, unit: Unit, rows: int, strangers: Sequence[Input]) -> bool:
        """Whether rows of the unit may be what a stranger was counted for, under its name or another."""
        return any(one.unit == unit.name or (one.unit not in self.names and one.rows <= rows) for one in strangers)


def _by_hour(inputs: Iterable[Input]) -> dict[int, list[Input]]:
    found: dict[int, list[Input]] = {}
    for one in inputs:
        found.setdefault(one.hour_us, []).append(one)
    return found


def _hours(record: UnitRecord, span: Span) -> dict[int, int]:
    """Return the rows of the record by hour, as far as they lie in the span."""
    return {hour: rows for hour, rows in record.hours.items() if span[0] <= hour < span[1]}


def _free(hours: Mapping[int, int], record: UnitRecord, held: Inputs) -> dict[int, int]:
    """Return the rows by hour that are not held already."""
    return {
        hour: rows for hour, rows in hours.items() if all(one.content != record.identity for one in held.get(hour, ()))
    }
