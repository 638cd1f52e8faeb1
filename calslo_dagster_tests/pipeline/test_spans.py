"""A day closes two hours after midnight, and its digest is that of its hours put together."""

from itertools import pairwise

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.pipeline.spans import (
    CLOSES_AFTER,
    Known,
    day_us,
    inputs_digest,
    is_closed,
    spans_of,
    together,
    touched_days,
    units_in,
)
from calslo_dagster.slo.windows import DAY
from calslo_dagster.sources.base import Unit
from calslo_dagster.store.source_units import Role, UnitRecord
from calslo_dagster_tests.logs import LATER, MINUTE, START

TODAY = START.date()
FIRST = day_us(TODAY)[0]


def unit(name: str, *hours: int, fingerprint: str = "1") -> Known:
    held = {FIRST + hour * HOUR_US: 5 for hour in hours}
    record = UnitRecord(
        source="serving",
        role=Role.EVENTS,
        unit=name,
        fingerprint=fingerprint,
        rows=5 * len(hours),
        first_us=None,
        last_us=None,
        hours=held,
        rejected={},
        error=None,
        retry=False,
        seen_at=LATER,
    )
    return Unit(name, fingerprint), record


def test_a_day_is_closed_once_stragglers_had_their_time() -> None:
    midnight = START + DAY

    assert not is_closed(TODAY, midnight + CLOSES_AFTER - MINUTE)
    assert is_closed(TODAY, midnight + CLOSES_AFTER)


def test_a_day_is_one_span_or_its_hours() -> None:
    hours = spans_of(TODAY, closed=False)

    assert spans_of(TODAY, closed=True) == [day_us(TODAY)]
    assert (len(hours), hours[0][0], hours[-1][1]) == (24, *day_us(TODAY))
    assert all(before[1] == after[0] for before, after in pairwise(hours))


def test_units_of_a_span_are_those_with_an_hour_in_it() -> None:
    units = [unit("a", 0), unit("b", 1, 2), unit("c")]

    assert units_in(units, (FIRST + HOUR_US, FIRST + 2 * HOUR_US)) == [units[1]]


def test_a_day_has_the_digest_of_its_hours_put_together() -> None:
    units = [unit("a", 0, 1), unit("b", 1, 5)]
    hours = [inputs_digest("reading", span, units_in(units, span)) for span in spans_of(TODAY, closed=False)]

    empty = inputs_digest("reading", (FIRST + 2 * HOUR_US, FIRST + 3 * HOUR_US), [])
    assert inputs_digest("reading", day_us(TODAY), units) == together([h for h in hours if h != empty])


def test_the_digest_tells_files_contents_and_readings_apart() -> None:
    span = day_us(TODAY)
    digests = {
        inputs_digest("reading", span, [unit("a", 0)]),
        inputs_digest("reading", span, [unit("b", 0)]),
        inputs_digest("reading", span, [unit("a", 1)]),
        inputs_digest("reading", span, [unit("a", 0, fingerprint="2")]),
        inputs_digest("other", span, [unit("a", 0)]),
    }

    assert len(digests) == 5
    assert inputs_digest("reading", span, [unit("a", 0), unit("b", 0)]) == inputs_digest(
        "reading", span, [unit("b", 0), unit("a", 0)]
    )


def test_hours_touch_the_days_they_lie_in() -> None:
    assert touched_days({FIRST + 3 * HOUR_US: 1, FIRST + 23 * HOUR_US: 1, FIRST + 24 * HOUR_US: 1}) == {
        FIRST,
        FIRST + 24 * HOUR_US,
    }
