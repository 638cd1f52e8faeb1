"""Logs in files: every format and compression yields the same canonical rows."""

import math
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calslo_dagster.sources import open_source
from calslo_dagster.sources.base import EVENT_COLUMNS, ColumnMap, FileFormat
from calslo_dagster_tests.sources.rows import (
    ALL_FORMATS,
    HOUR,
    NOW,
    START,
    START_US,
    TEXT_FORMATS,
    column,
    events,
    fetch,
    intake,
    iso,
    log_rows,
    row,
    spec,
    write,
    write_bytes,
)

SLICES = {"intent": "intent"}


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_each_format_gives_the_same_events(ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    rows = log_rows()
    path = write(tmp_path / f"log.{ending}", rows)

    found = events(connection, spec(path, slice_columns=SLICES))

    by_id = {r["prediction_id"]: r for r in found}
    assert len(by_id) == len(rows)
    for written in rows:
        read = by_id[written["prediction_id"]]
        time = datetime.fromisoformat(written["event_time"])
        assert read["event_us"] == START_US + round((time - START).total_seconds() * 1e6)
        assert {name: read[name] for name in written if name != "event_time"} == {
            name: value for name, value in written.items() if name != "event_time"
        }


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_the_check_counts_hours_and_names_columns(
    ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rows = log_rows()
    path = write(tmp_path / f"log.{ending}", rows)

    found = intake(connection, spec(path, slice_columns=SLICES))

    assert found.error is None
    assert found.rows == 50
    assert found.hours == {START_US: 26, START_US + HOUR: 24}
    assert found.rejected == {}
    assert (found.first_us, found.last_us) == (START_US, START_US + 49 * 143_000_007)
    assert found.columns == tuple(rows[0])


def test_the_relation_has_exactly_the_canonical_columns_and_types(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Columns that a log does not have are typed nulls, so that the aggregate is one text for all logs."""
    path = write(tmp_path / "log.csv", [{"event_time": iso(START), "score": 0.5}])
    source = open_source(spec(path, slice_columns={"intent": "intent", "lang": "sprache"}))

    for relation in (source.relation(connection, source.units()), source.relation(connection, [])):
        described = connection.execute(f"DESCRIBE SELECT * FROM ({relation})").fetchall()

        assert {str(r[0]): str(r[1]) for r in described} == {
            "event_us": "BIGINT",
            "score": "DOUBLE",
            "label": "SMALLINT",
            "prediction_id": "VARCHAR",
            "intent": "VARCHAR",
            "lang": "VARCHAR",
            "weight": "DOUBLE",
            "latency_us": "DOUBLE",
            "clamped": "BOOLEAN",
            "clamp_alpha": "DOUBLE",
            "calibrator_version": "VARCHAR",
            "mask_id": "VARCHAR",
        }
        assert set(EVENT_COLUMNS) <= {str(r[0]) for r in described}
    assert fetch(connection, source.relation(connection, [])) == []


def test_files_of_all_formats_and_shapes_are_one_log(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A log's columns come and go over the years; the union of its files must not care."""
    rows = log_rows(60)
    for i, ending in enumerate(ALL_FORMATS):
        part = rows[i * 8 : i * 8 + 8]
        dropped = ("mask_id", "weight") if i % 2 else ()
        write(tmp_path / f"{i}.{ending}", [{k: v for k, v in r.items() if k not in dropped} for r in part])
    write(tmp_path / "z.csv", [dict(reversed(r.items())) for r in rows[56:]])

    found = events(connection, spec(tmp_path, slice_columns=SLICES))

    assert column(found, "prediction_id") == [f"p{i}" for i in range(60)]
    assert column(found, "score") == column(rows, "score")


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_a_span_keeps_its_rows_only(ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / f"log.{ending}", [*log_rows(), row(event_time=None, prediction_id="timeless")])

    found = events(connection, spec(path), (START_US + HOUR, START_US + 2 * HOUR))

    assert len(found) == 24
    assert min(column(found, "event_us")) >= START_US + HOUR


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_any_score_survives_every_format_bit_by_bit(
    ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    scores = [0.1, 1 / 3, 5e-324, 1.0000001, -0.0, math.nextafter(0.5, 1), 1e300, math.inf, -math.inf, math.nan]
    path = write(tmp_path / f"log.{ending}", [row(score=s, prediction_id=str(i)) for i, s in enumerate(scores)])

    found = {r["prediction_id"]: r["score"] for r in events(connection, spec(path))}

    assert [repr(found[str(i)]) for i in range(len(scores))] == [repr(s) for s in scores]


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()])
def test_nan_is_seen_although_the_statistics_of_a_parquet_file_deny_it(
    kind: pa.DataType, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The greatest value is 0.5 in the file's footer, from which a query planner may conclude that there is no NaN."""
    values = pa.array(np.array([0.25, 0.5, math.nan], dtype=np.float16)).cast(kind)
    times = pa.array([START] * 3, pa.timestamp("us", "UTC"))
    table = pa.table({"event_time": times, "score": values, "weight": values, "label": values, "latency_us": values})
    pq.write_table(table, tmp_path / "log.parquet")
    source = open_source(spec(tmp_path))
    counted = (
        "isnan(score)",
        "NOT isnan(score)",
        "isnan(weight)",
        "isnan(latency_us)",
        "label IS NULL",
        "score > 0.75",
    )
    counts = ", ".join(f"count(*) FILTER (WHERE {test})" for test in counted)

    found = connection.execute(f"SELECT {counts} FROM ({source.relation(connection, source.units())})").fetchall()

    # NaN orders above all numbers.
    assert found == [(1, 2, 1, 1, 1, 1)]


@settings(derandomize=True, max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scores=st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_text_formats_read_the_doubles_that_python_wrote(
    scores: list[float], connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for ending in ("csv", "jsonl"):
        path = write(tmp_path / f"log.{ending}", [row(score=s, prediction_id=f"{i:03}") for i, s in enumerate(scores)])

        found = events(connection, spec(path))

        assert column(sorted(found, key=lambda r: str(r["prediction_id"])), "score") == scores


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_bare_tokens_of_python_json_are_numbers(
    token: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write_bytes(tmp_path / "log.jsonl", f'{{"event_time": "{iso(START)}", "score": {token}}}\n'.encode())

    (found,) = events(connection, spec(path))

    assert repr(found["score"]) == repr(float(token))


def test_four_byte_scores_are_widened_exactly(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    score = np.float32(0.1)
    table = pa.table({"event_time": pa.array([START], pa.timestamp("us", "UTC")), "score": pa.array([score])})
    pq.write_table(table, tmp_path / "log.parquet")

    (found,) = events(connection, spec(tmp_path))

    assert found["score"] == float(score) != 0.1


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_columns_are_found_by_the_users_names(
    ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    written = {"ts": iso(START), "p": 0.5, "clicked": True, "rid": 7, "Sprache, lokal": "de", "label": "no label"}
    path = write(tmp_path / f"log.{ending}", [written])
    columns = ColumnMap(event_time="ts", score="p", label="clicked", prediction_id="rid")

    (found,) = events(connection, spec(path, columns=columns, slice_columns={"lang": "Sprache, lokal"}))

    assert (found["event_us"], found["score"], found["label"]) == (START_US, 0.5, 1)
    assert (found["prediction_id"], found["lang"]) == ("7", "de")


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_slice_values_may_be_anything(ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    values = ["a/b", "a=b", "a,b", "🎉", "x" * 10_000, " padded ", 'q"q', "line\nbreak", "%2F", "null"]
    path = write(tmp_path / f"log.{ending}", [row(intent=v) for v in values])

    found = events(connection, spec(path, slice_columns=SLICES))

    assert sorted(column(found, "intent")) == sorted(values)


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_empty_text_is_null(ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    empty = dict.fromkeys(("score", "label", "prediction_id", "intent", "weight", "clamped"), "")
    path = write(tmp_path / f"log.{ending}", [{"event_time": iso(START), **empty}])

    (found,) = events(connection, spec(path, slice_columns=SLICES))

    assert {name: found[name] for name in empty} == dict.fromkeys(empty)


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_labels_are_zero_one_missing_or_bad(ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    written = ["0", "1", "0.0", "1.0", "true", "FALSE", "True", "", "NaN", "2", "yes", "-1", "0.5", "1e0"]
    path = write(tmp_path / f"log.{ending}", [row(label=v, prediction_id=f"{i:02}") for i, v in enumerate(written)])

    found = sorted(events(connection, spec(path)), key=lambda r: str(r["prediction_id"]))

    assert column(found, "label") == [0, 1, 0, 1, 1, 0, 1, None, None, -1, -1, -1, -1, 1]


@pytest.mark.parametrize("values", [[0, 1, 2, None], [0.0, 1.0, 2.0, math.nan], [False, True, None, None]])
def test_typed_labels_are_zero_one_missing_or_bad(
    values: list[float | None], connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / "log.parquet", [row(label=v, prediction_id=f"{i}") for i, v in enumerate(values)])

    found = sorted(events(connection, spec(path)), key=lambda r: str(r["prediction_id"]))

    assert column(found, "label") == [0, 1, -1 if 2 in values else None, None]


def test_a_log_without_labels_is_unlabelled(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [{"event_time": iso(START), "score": 0.5}])

    (found,) = events(connection, spec(path))

    assert found["label"] is None
    assert "label" not in intake(connection, spec(path)).columns


@pytest.mark.parametrize("ending", [*TEXT_FORMATS, "parquet"])
def test_hive_directories_are_columns(ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """Trees grow unevenly, and their values hold what a directory name may not."""
    bare = {"event_time": iso(START), "score": 0.5}
    for part in (
        "lang=de",
        "lang=a%2Fb%3D",
        "lang=o'x=y",
        "lang=__HIVE_DEFAULT_PARTITION__",
        "day=1",
        "lang=007/day=2",
    ):
        write(tmp_path / part / f"log.{ending}", [bare])

    found = events(connection, spec(tmp_path, slice_columns={"lang": "lang"}))

    assert sorted(map(str, column(found, "lang"))) == ["007", "None", "None", "a/b=", "de", "o'x=y"]
    assert column(events(connection, spec(tmp_path, slice_columns={"lang": "lang"}, hive=False)), "lang") == [None] * 6


def test_a_column_of_the_file_hides_that_of_its_directory(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    write(tmp_path / "intent=dir" / "log.csv", [row(intent="file")])

    assert column(events(connection, spec(tmp_path, slice_columns=SLICES)), "intent") == ["file"]


def test_csv_may_have_a_byte_order_mark_another_delimiter_and_windows_line_ends(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    text = f"score;event_time;label\r\n0.5;{iso(START)};1\r\n0.25;{iso(START)};0\r\n"
    path = write_bytes(tmp_path / "log.csv", text.encode("utf-8-sig"))

    found = events(connection, spec(path, delimiter=";"))

    assert column(found, "score") == [0.5, 0.25] or column(found, "score") == [0.25, 0.5]


def test_the_format_may_be_told_where_the_name_does_not(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [row()]).rename(tmp_path / "log.dat")

    assert column(events(connection, spec(path, format=FileFormat.CSV)), "score") == [0.25]


def test_a_file_name_is_never_a_pattern_or_sql(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The decoy would match the odd name, were that read as a glob."""
    write(tmp_path / "w.csv", [row(score=0.9)])
    for name in ("[w]*.csv", "o'q.csv", "[a-b]?.jsonl", "*.parquet"):
        write(tmp_path / "odd" / name, [row(score=0.5)])

    assert column(events(connection, spec(tmp_path / "odd")), "score") == [0.5] * 4


def test_rows_do_not_depend_on_how_they_are_spread_over_files(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rows = log_rows()
    write(tmp_path / "one" / "log.csv", rows)
    for i in range(5):
        write(tmp_path / "many" / f"{4 - i}.csv.gz", rows[i::5])

    one, many = (events(connection, spec(tmp_path / name)) for name in ("one", "many"))

    assert one == many


def test_a_file_that_grew_is_another_state_of_the_same_unit(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [row()])
    source = open_source(spec(tmp_path))
    (before,) = source.units()
    write(path, [row(), row()])

    (after,) = source.units()

    assert (before.name, after.name) == ("log.csv", "log.csv")
    assert before.fingerprint != after.fingerprint


def test_changed_columns_are_seen_by_the_next_relation(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [row()])
    source = open_source(spec(tmp_path))
    fetch(connection, source.relation(connection, source.units()))
    write(path, [{"label": 0, **row(score=0.75)}])

    (found,) = fetch(connection, source.relation(connection, source.units()))

    assert found["score"] == 0.75


def test_latest_defaults_to_a_day_ahead(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    times = [datetime(2026, 3, 3, 0, 59, tzinfo=UTC), datetime(2026, 3, 3, 1, tzinfo=UTC)]
    path = write(tmp_path / "log.csv", [row(event_time=iso(t)) for t in times])

    found = intake(connection, spec(path), NOW)

    assert (sum(found.hours.values()), found.rejected) == (1, {"bad_time": 1})
