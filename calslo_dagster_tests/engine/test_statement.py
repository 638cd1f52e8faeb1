"""The statements that cost less give the integers that the plain one gives, or raise."""

from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import Final

import pytest
from duckdb import ConversionException, DuckDBPyConnection

from calslo_dagster.engine.aggregate import AggregateSpec
from calslo_dagster.engine.dialect import DuckDb
from calslo_dagster.engine.facts import CELLS, FACTS, TOTALS, Fact
from calslo_dagster.engine.grading import coded, slice_names
from calslo_dagster.engine.read import window
from calslo_dagster.engine.statement import EVENT_TERMS, LABEL_TERMS, Statement
from calslo_dagster.stats.snapshot import CELL_SUMS, COUNTS, TOTAL_SUMS
from calslo_dagster_tests.engine.logs import SLICES, Row, assert_same, partial, reference, relation
from calslo_dagster_tests.engine.test_aggregate import hostile_rows

SPEC: Final = AggregateSpec(SLICES, clamp_low=0.01)
STATEMENT: Final = Statement(DuckDb(), SPEC)
# Sums of weights beyond 2**53, of their squares far below 2**63.
HEAVY: Final = [Row(score=0.5, label=i % 2, weight=10_000.0) for i in range(900)]


def coded_rows(rows: list[Row], folder: Path) -> str:
    """Return the SELECT of the rows as statements take them; no copies are found."""
    slices = ", ".join(f"{outer} AS {inner}" for outer, inner in zip(SLICES, slice_names(SLICES), strict=True))
    return coded(DuckDb(), f"SELECT *, {slices}, false AS conflicted FROM ({relation(rows, folder)})")


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_with_all_weights_one_every_kind_of_statement_gives_the_same_rows(
    connection: DuckDBPyConnection, folder: Path, fact: Fact
) -> None:
    rows = [replace(row, weight=weight) for row, weight in zip(hostile_rows(), cycle([None, 1.0]), strict=False)]
    events = coded_rows(rows, folder)
    kinds = [
        replace(STATEMENT, is_weighted=is_weighted, adds_doubles=adds_doubles)
        for is_weighted, adds_doubles in product([True, False], repeat=2)
    ]

    plain, *others = (connection.execute(kind.fact(fact, events)).fetchall() for kind in kinds)

    assert plain
    assert all(other == plain for other in others)


@pytest.mark.parametrize("fact", [TOTALS, CELLS], ids=lambda fact: fact.name)
def test_sums_added_as_doubles_are_those_added_as_integers(
    connection: DuckDBPyConnection, folder: Path, fact: Fact
) -> None:
    events = coded_rows(hostile_rows(), folder)

    doubles = connection.execute(replace(STATEMENT, adds_doubles=True).fact(fact, events)).fetchall()

    assert doubles == connection.execute(STATEMENT.fact(fact, events)).fetchall()


@pytest.mark.parametrize("fact", [TOTALS, CELLS], ids=lambda fact: fact.name)
def test_sums_that_doubles_cannot_hold_raise(connection: DuckDBPyConnection, folder: Path, fact: Fact) -> None:
    events = coded_rows(HEAVY, folder)

    with pytest.raises(ConversionException, match="inf"):
        connection.execute(replace(STATEMENT, adds_doubles=True).fact(fact, events)).fetchall()


def test_facts_with_sums_that_doubles_cannot_hold_are_exact(connection: DuckDBPyConnection, folder: Path) -> None:
    found = window(connection, [partial(connection, HEAVY, folder)], None, None)

    assert_same(found[(), ()], reference(HEAVY))
    assert found[(), ()].cell_fixed("w").max() > 2**53


def test_every_sum_of_a_fact_is_a_count_or_has_a_term() -> None:
    assert {*TOTAL_SUMS, *CELL_SUMS} - COUNTS == {*EVENT_TERMS, *LABEL_TERMS}
