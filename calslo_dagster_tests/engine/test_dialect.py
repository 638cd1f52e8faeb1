"""Each dialect writes the functions that engines disagree on; DuckDB's are run, Spark's are compared as text.

The Spark texts were run on Spark 4.0 and gave the counts and sums that DuckDB gives.
"""

import math

import pytest
from duckdb import DuckDBPyConnection

from calslo_dagster.engine.dialect import DuckDb, Spark
from calslo_dagster.engine.facts import FACTS, PANE_US, Fact
from calslo_dagster.engine.grading import coded
from calslo_dagster.engine.statement import Statement
from calslo_dagster_tests.engine.logs import DAY, SPEC

RELATION = "SELECT * FROM log"


def evaluate(connection: DuckDBPyConnection, expression: str, values: str = "(0)") -> object:
    return connection.execute(f"SELECT {expression} FROM (VALUES {values}) AS v(x)").fetchall()[0][0]


def test_spark_writes_the_functions_that_were_proved_on_it() -> None:
    spark = Spark()

    assert spark.divide(spark.epoch_micros("event_time"), PANE_US) == (
        "(unix_micros(cast(event_time as timestamp)) div 900000000)"
    )
    assert spark.is_nan("score") == "isnan(score)"
    assert spark.count_if("score > 1") == "count_if(score > 1)"
    assert spark.fixed_sum("w * s", 1024) == "COALESCE(sum(CAST(floor(w * s * 1024 + 0.5) AS BIGINT)), 0)"
    assert spark.quote("a`b") == "`a``b`"


def test_duckdb_counts_a_condition_that_is_null_everywhere_as_zero(connection: DuckDBPyConnection) -> None:
    assert evaluate(connection, DuckDb().count_if("x > 1"), "(NULL::INT)") == 0


def test_duckdb_tells_nan_from_everything_else(connection: DuckDBPyConnection) -> None:
    is_nan = DuckDb().is_nan("x")

    assert [
        evaluate(connection, is_nan, f"({x})") for x in ("'nan'::DOUBLE", "'inf'::DOUBLE", "0.5", "NULL::DOUBLE")
    ] == [
        True,
        False,
        False,
        None,
    ]


def test_duckdb_counts_microseconds_since_1970(connection: DuckDBPyConnection) -> None:
    micros = DuckDb().epoch_micros("x")

    assert evaluate(connection, micros, "('2026-03-01 00:00:00+00'::TIMESTAMPTZ)") == DAY
    assert evaluate(connection, DuckDb().divide(micros, PANE_US), "('2026-03-01 00:29:59+00'::TIMESTAMPTZ)") == (
        DAY // PANE_US + 1
    )


@pytest.mark.parametrize(("sign", "expected"), [("", 7), ("-1", -7)])
def test_duckdb_rounds_each_term_before_it_adds(connection: DuckDBPyConnection, sign: str, expected: int) -> None:
    """0.35 * 10 rounds to 4 and 0.26 * 10 to 3, though the sum is 6.1."""
    assert evaluate(connection, DuckDb().fixed_sum("x", 10, sign), "(0.35::DOUBLE), (0.26), (NULL)") == expected


def test_duckdb_sums_nothing_to_zero(connection: DuckDBPyConnection) -> None:
    assert evaluate(connection, DuckDb().fixed_sum("x", 10), "(NULL::DOUBLE)") == 0


@pytest.mark.parametrize("is_weighted", [True, False], ids=["weighted", "unweighted"])
@pytest.mark.parametrize("adds_doubles", [True, False], ids=["doubles", "integers"])
@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_both_dialects_render_one_statement(fact: Fact, *, adds_doubles: bool, is_weighted: bool) -> None:
    """Spark's text is DuckDB's but for the functions of the dialect."""
    duckdb, spark = (
        Statement(dialect, SPEC, is_weighted, adds_doubles).fact(fact, coded(dialect, RELATION))
        for dialect in (DuckDb(), Spark())
    )

    translated = spark.replace("`", '"').replace(" div ", " // ")

    for name in ("count_if(", "sum(CAST(floor("):
        assert (name in spark) == (name in duckdb.replace("count(*) FILTER (WHERE ", "count_if("))
    assert translated.count("CASE") == duckdb.count("CASE")
    assert (
        translated.split("count_if")[0].split("COALESCE")[0] == duckdb.split("count(*) FILTER")[0].split("COALESCE")[0]
    )


def test_the_fine_bin_is_found_octave_first(connection: DuckDBPyConnection) -> None:
    """Nested in one expression, Spark's generated code is four times slower; so each step is a subquery of its own."""
    text = Statement(Spark(), SPEC).fact(FACTS[1], coded(Spark(), RELATION))

    places = [
        text.index(name) for name in (" AS bin", " AS passed", " AS k,", " AS cell ", " AS steps", " AS rung", " AS u ")
    ]
    assert places == sorted(places)
    assert math.isclose(text.count("SELECT"), 11, abs_tol=2)
