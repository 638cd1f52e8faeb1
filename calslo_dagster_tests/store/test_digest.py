"""A digest tells whether two stores say the same, not how they came to say it."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.model import Measurement
from calslo_dagster.slo.windows import Window
from calslo_dagster.store import exclusions, measurements, schema, slices
from calslo_dagster.store.digest import table_digest
from calslo_dagster.store.migrations import upgrade
from calslo_dagster.store.session import Store, open_store
from calslo_dagster.store.slices import SliceRow
from calslo_dagster_tests.store.builders import DAY, NEXT_DAY, day_of_measurements


def digest_of(store: Store, rows: list[Measurement]) -> str:
    with store.write() as session:
        measurements.replace(session, "ece_bound", rows, start=DAY, end=NEXT_DAY)
        return table_digest(session, schema.measurements)


def test_the_order_of_insertion_and_the_writer_do_not_matter(store: Store) -> None:
    rows = day_of_measurements()
    backwards = [replace(row, run_id="run-2", code_version="9") for row in reversed(rows)]

    assert digest_of(store, rows) == digest_of(store, backwards)


@pytest.mark.parametrize(
    "changes", [{"value": math.nextafter(0.0123, 1)}, {"value": None}, {"reason": ""}, {"slice": "b"}]
)
def test_any_other_content_matters(store: Store, changes: dict[str, object]) -> None:
    first, *others = day_of_measurements()

    assert digest_of(store, [first, *others]) != digest_of(store, [replace(first, **changes), *others])  # type: ignore[arg-type]  # any field may change


def test_both_databases_have_the_same_digest(tmp_path: Path, postgresql_database: str) -> None:
    digests = []
    for url in (f"sqlite:///{tmp_path / 'calslo.db'}", postgresql_database):
        upgrade(url)
        with open_store(url) as store:
            digests.append(digest_of(store, day_of_measurements(("*", "ß", "a", "B"))))
            with store.write() as session:
                slices.put(session, [SliceRow("a=1", "a", {"a": "1", "b": None}), SliceRow("🙂", "a", {"a": "🙂"})])
                digests.append(table_digest(session, schema.slices))

    assert digests[:2] == digests[2:]


def test_numbers_that_the_database_counts_up_do_not_matter(store: Store) -> None:
    found = [Exclusion(Window(DAY, NEXT_DAY), reason=reason, approved_by="ann") for reason in ("a", "b")]
    with store.write() as session:
        for one in found:
            exclusions.add(session, one, created_at=DAY)
        forwards = table_digest(session, schema.exclusions)
        session.execute(schema.exclusions.delete())
        for one in found[::-1]:
            exclusions.add(session, one, created_at=DAY)
        assert table_digest(session, schema.exclusions) == forwards


def test_an_excluded_column_must_exist(store: Store) -> None:
    with store.read() as session, pytest.raises(ValueError, match="slices has no columns colour"):
        table_digest(session, schema.slices, exclude={"colour"})
