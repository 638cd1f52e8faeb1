"""Many rows go another way than few, and arrive the same."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from calslo_dagster.store import rows
from calslo_dagster.store.columns import BOOL, DATE, FLOAT, INSTANT, INT, JSON, NAME, TEXT, key, optional
from calslo_dagster.store.session import Store
from calslo_dagster_tests.store.builders import DAY, STEP

EVERY_TYPE = sa.Table(
    "every type",
    sa.MetaData(),
    *key(number=INT),
    *optional(limit=FLOAT, is_good=BOOL, text=TEXT, name=NAME, values=JSON, at=INSTANT, day=DATE),
)
FEW, MANY = 3, rows.COPIED


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `EVERY_TYPE`."""

    number: int
    limit: float | None
    is_good: bool | None
    text: str | None
    name: str | None
    values: Any
    at: Any
    day: date | None


@pytest.fixture
def every_type(store: Store) -> Store:
    with store.write() as session:
        EVERY_TYPE.create(session.connection())
    return store


def made(count: int) -> list[Row]:
    odd = Row(0, None, None, None, None, None, None, None)
    texts = ["tab\tnew\nline\\back", "🙂", "", "\\N", 'it\'s "quoted"', "%s %(a)s ? :b"]
    return [odd] + [
        Row(
            n,
            limit=n / 7,
            is_good=n % 2 == 0,
            text=texts[n % len(texts)],
            name=texts[-n % len(texts)],
            values={"ü": [n, None, 0.1], "nested": {"a": True}},
            at=DAY + n * STEP,
            day=DAY.date() + timedelta(days=n),
        )
        for n in range(1, count)
    ]


@pytest.mark.parametrize("count", [FEW, MANY])
def test_few_and_many_rows_come_back_as_they_were(every_type: Store, count: int) -> None:
    found = made(count)
    with every_type.write() as session:
        rows.insert(session, EVERY_TYPE, rows.records(EVERY_TYPE, found))

    with every_type.read() as session:
        assert list(rows.load(session, sa.select(EVERY_TYPE).order_by(EVERY_TYPE.c.number), Row)) == found


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_key_that_exists_is_an_error_and_nothing_is_added(every_type: Store, count: int) -> None:
    found = made(count)

    with pytest.raises(IntegrityError), every_type.write() as session:
        rows.insert(session, EVERY_TYPE, rows.records(EVERY_TYPE, [*found, found[-1]]))

    with every_type.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(EVERY_TYPE)) == 0


def test_no_rows_are_no_work(every_type: Store) -> None:
    with every_type.write() as session:
        for write in (rows.insert, rows.upsert, rows.insert_new):
            write(session, EVERY_TYPE, [])
        rows.delete(session, EVERY_TYPE, [])
