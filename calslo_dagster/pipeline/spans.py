"""The spans that partials cover: whole UTC days once a day is over, hours while it lasts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Final

from calslo_dagster.engine.facts import DAY_US, HOUR_US
from calslo_dagster.slo.windows import day_span
from calslo_dagster.sources.base import Span, Unit, micros
from calslo_dagster.store.source_units import UnitRecord

# Events of the last minutes of a day arrive a little after midnight; until then its hours stay apart.
CLOSES_AFTER: Final = timedelta(hours=2)

Known = tuple[Unit, UnitRecord]


def day_us(day: date) -> Span:
    """Return the UTC day in microseconds."""
    window = day_span(day)
    return micros(window.start), micros(window.end)


def is_closed(day: date, now: datetime) -> bool:
    """Whether the day is over, so that one partial serves it as a whole."""
    return now >= day_span(day).end + CLOSES_AFTER


def spans_of(day: date, *, closed: bool) -> list[Span]:
    """Return the spans of the day: itself, or its 24 hours."""
    start, end = day_us(day)
    width = DAY_US if closed else HOUR_US
    return [(at, at + width) for at in range(start, end, width)]


def units_in(units: Iterable[Known], span: Span) -> list[Known]:
    """Return the units that hold events of the span."""
    return [(unit, record) for unit, record in units if any(span[0] <= hour < span[1] for hour in record.hours)]


def inputs_digest(reading: str, span: Span, units: Sequence[Known]) -> str:
    """Return what identifies the inputs of a span: how events are read, and the units that hold each of its hours.

    A day has the digest of its hours put together, whether it was read as a whole or merged from them.
    """
    hours = range(span[0], span[1], HOUR_US)
    named = {hour: sorted(f"{unit.name}\0{unit.fingerprint}" for unit, r in units if hour in r.hours) for hour in hours}
    return together([_sha([reading, str(hour), *names]) for hour, names in named.items() if names])


def together(digests: Sequence[str]) -> str:
    """Return the digest of several spans in order; that of one is its own."""
    return digests[0] if len(digests) == 1 else _sha(digests)


def _sha(lines: Sequence[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()


def touched_days(hours: Mapping[int, int]) -> set[int]:
    """Return the starts, in microseconds, of the days that the hours lie in."""
    return {hour // DAY_US * DAY_US for hour in hours}
