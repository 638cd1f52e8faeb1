"""The check of a unit: what is counted, what is refused, and in which words."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calslo_dagster.sources.base import ColumnMap
from calslo_dagster_tests.sources.rows import (
    ALL_FORMATS,
    NOW,
    START,
    START_US,
    TEXT_FORMATS,
    column,
    complaint,
    events,
    feed,
    intake,
    intakes,
    iso,
    labels,
    row,
    spec,
    write,
    write_bytes,
)

MAPPING = 'set "columns.{0}" to the column that holds it'


@pytest.mark.parametrize("ending", TEXT_FORMATS)
def test_a_file_without_a_byte_is_an_empty_unit(
    ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    for name, write_nothing in (("raw", Path.write_bytes), ("packed", write_bytes)):
        path = tmp_path / f"{name}.{ending}"
        write_nothing(path, b"")

        found = intake(connection, spec(path))

        assert (found.error, found.rows, found.hours, found.first_us) == (None, 0, {}, None)
        assert events(connection, spec(path)) == []


@pytest.mark.parametrize("text", ["event_time,score", "event_time,score\n", "event_time,score\r\n", "\n", "\ufeff"])
def test_a_file_with_a_header_only_is_an_empty_unit(
    text: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write_bytes(tmp_path / "log.csv", text.encode())

    found = intake(connection, spec(path))

    assert (found.error, found.rows, found.hours) == (None, 0, {})
    assert events(connection, spec(path)) == []


def test_a_parquet_file_without_rows_is_an_empty_unit(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    schema = pa.schema([("event_time", pa.timestamp("us", "UTC")), ("score", pa.float64())])
    pq.write_table(schema.empty_table(), tmp_path / "log.parquet")

    found = intake(connection, spec(tmp_path))

    assert (found.error, found.rows, found.hours) == (None, 0, {})


@pytest.mark.parametrize("ending", ALL_FORMATS)
@pytest.mark.parametrize(("name", "flag"), [("event_time", "--time-column"), ("score", "--score-column")])
def test_a_missing_column_is_named_with_those_found(
    *, ending: str, name: str, flag: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    others = {k: v for k, v in row(extra=1).items() if k != name}
    path = write(tmp_path / f"log.{ending}", [others])

    found = complaint(connection, spec(path))

    names = ", ".join(sorted(others) if "jsonl" in ending else others)
    remedy = f"{MAPPING.format(name)} or pass {flag} to calslo evaluate"
    assert found == f'{path}: no column "{name}"; columns found: {names}; {remedy}'


def test_a_mapped_column_that_is_missing_is_named_with_its_part(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / "log.csv", [row()])

    found = complaint(connection, spec(path, columns=ColumnMap(score="p")))

    assert f'{path}: no column "p" (score); columns found: event_time, score, label, prediction_id;' in found


@pytest.mark.parametrize("name", ["prediction_id", "label"])
def test_a_feed_needs_ids_and_labels(name: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "feed.csv", [{"prediction_id": "a", "label": 1, "extra": 2} | {}])
    write(path, [{k: v for k, v in {"prediction_id": "a", "label": 1, "extra": 2}.items() if k != name}])

    found = complaint(connection, feed(path))

    assert f'{path}: no column "{name}"; columns found:' in found
    assert MAPPING.format(name) in found


def test_a_name_that_two_columns_bear_is_refused(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "log.csv", f"event_time,score,score\n{iso(START)},0.5,0.6\n".encode())

    found = complaint(connection, spec(path))

    assert found == (
        f'{path}: column "score" occurs more than once; rename one of them, or set "columns.score" to another column'
    )


@pytest.mark.parametrize("ending", TEXT_FORMATS)
def test_text_in_a_score_column_names_the_first_bad_row(
    ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rows = [row(score=0.5)] * 5_000 + [row(score="n/a"), row(score="later")] + [row(score=0.5)] * 5_000
    path = write(tmp_path / f"log.{ending}", rows)

    assert complaint(connection, spec(path)) == (
        f'{path}: column "score", row 5001: "n/a" is not a number; write numbers only, and leave the value empty '
        'where there is none, or set "columns.score" to another column'
    )


def test_text_in_a_parquet_score_column_names_the_first_bad_row(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / "log.parquet", [row(score="0.5"), row(score=None), row(score="0,5")])

    assert f'{path}: column "score", row 3: "0,5" is not a number;' in complaint(connection, spec(path))


@pytest.mark.parametrize("name", ["weight", "latency_us", "clamp_alpha"])
def test_text_in_any_number_column_is_refused(name: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [row(**{name: "1.5"}), row(**{name: "heavy"})])

    assert f'{path}: column "{name}", row 2: "heavy" is not a number;' in complaint(connection, spec(path))


@pytest.mark.parametrize(("value", "ending"), [("maybe", "csv"), ("2", "jsonl"), (2, "parquet"), (0.5, "parquet")])
def test_a_flag_is_true_or_false(
    value: Any, ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / f"log.{ending}", [row(clamped=value)])

    assert f'column "clamped", row 1: "{value}" is neither true nor false;' in complaint(connection, spec(path))


@pytest.mark.parametrize(
    ("name", "value", "type_name"),
    [
        ("score", True, "BOOLEAN"),
        ("score", START, "TIMESTAMP WITH TIME ZONE"),
        ("score", {"p": 0.5}, "STRUCT(p DOUBLE)"),
        ("score", [0.5], "DOUBLE[]"),
        ("label", START, "TIMESTAMP WITH TIME ZONE"),
        ("event_time", True, "BOOLEAN"),
        ("prediction_id", {"id": 1}, "STRUCT(id BIGINT)"),
        ("clamped", START, "TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_a_type_that_cannot_play_its_part_is_refused(
    *, name: str, value: Any, type_name: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / "log.parquet", [row(**{name: value})])

    assert f'{path}: column "{name}" has type {type_name}, which cannot be read as' in complaint(connection, spec(path))


@pytest.mark.parametrize("value", [1, Decimal("0.125"), "0.125", None])
def test_any_type_of_number_is_a_score(value: Any, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", [row(score=value)])

    (found,) = events(connection, spec(path))

    assert found["score"] == (None if value is None else float(value))


def test_long_and_hostile_values_do_not_flood_or_forge_a_message(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / "log.csv", [row(score="x" * 10_000), row(score="a\nb")])

    found = complaint(connection, spec(path))

    assert f'"{"x" * 80}..." is not a number' in found
    write(path, [row(score='a\nERROR "b"')])
    assert r'"a\nERROR \"b\"" is not a number' in complaint(connection, spec(path))


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_bad_scores_are_rows_not_errors(ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    scores = [math.nan, math.inf, -math.inf, 1.0000001, -0.0, None]
    path = write(tmp_path / f"log.{ending}", [row(score=s) for s in scores])

    found = intake(connection, spec(path))

    assert (found.error, found.rows, found.hours, found.rejected) == (None, 6, {START_US: 6}, {})


@pytest.mark.parametrize("ending", ALL_FORMATS)
def test_impossible_times_are_counted_not_errors(
    ending: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """They belong to no hour, and their rows still have their scores."""
    times = [iso(START), "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "soon", "2026-02-30T00:00:00Z", "", None]
    path = write(tmp_path / f"log.{ending}", [row(event_time=t) for t in times])

    found = intake(connection, spec(path))

    assert found.error is None
    assert (found.rows, found.hours, found.rejected) == (7, {START_US: 1}, {"bad_time": 6})
    assert (found.first_us, found.last_us) == (START_US, START_US)
    latest = spec(path, latest=NOW)
    assert sorted(map(str, column(events(connection, latest), "event_us"))) == sorted([str(START_US), *["None"] * 6])


def test_earliest_and_latest_are_settings(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """The hours in which they lie still count, so that an hour is never half good."""
    times = ["2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z", "2026-03-01T23:59:59Z", "2026-03-02T00:00:00Z"]
    path = write(tmp_path / "log.csv", [row(event_time=t) for t in times])
    bounds = {
        "earliest": datetime(2026, 3, 1, 0, 30, tzinfo=UTC),
        "latest": datetime(2026, 3, 1, 23, 30, tzinfo=UTC),
    }

    found = intake(connection, spec(path, **bounds))

    assert (sum(found.hours.values()), found.rejected) == (2, {"bad_time": 2})


@pytest.mark.parametrize("ending", TEXT_FORMATS)
@pytest.mark.parametrize("value", ["2026-03-01T12:00:00", "2026-03-01 12:00:00.5", "2026-03-01", "2026-03-01 12:00"])
def test_a_time_without_a_zone_is_refused_with_the_fix(
    ending: str, value: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write(tmp_path / f"log.{ending}", [row(), row(event_time=value)])

    assert complaint(connection, spec(path)) == (
        f'{path}: column "event_time", row 2: "{value}" has no time zone; set "time_zone: UTC" (or the zone it was '
        "written in) for this source, or pass --time-zone UTC to calslo evaluate"
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_parquet_timestamp_without_a_zone_is_refused_with_the_fix(
    unit: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    times = pa.array([START_US]).cast(pa.timestamp("us")).cast(pa.timestamp(unit))
    pq.write_table(pa.table({"event_time": times, "score": [0.5]}), tmp_path / "log.parquet")

    found = complaint(connection, spec(tmp_path))

    assert 'column "event_time", row 1: "2026-03-01 12:00:00" has no time zone; set "time_zone: UTC"' in found


def test_a_date_has_no_zone_either(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", [row(event_time=date(2026, 3, 1))])

    assert '"2026-03-01" has no time zone;' in complaint(connection, spec(path))


@pytest.mark.parametrize("ending", ALL_FORMATS)
@pytest.mark.parametrize(("power", "unit"), [(0, "s"), (3, "ms"), (6, "us"), (9, "ns")])
def test_a_number_is_no_time_until_its_unit_is_told(
    *, ending: str, power: int, unit: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The message proposes the unit in which the number is a time of our days."""
    value = START_US // 1_000_000 * 10**power
    path = write(tmp_path / f"log.{ending}", [row(event_time=value)])

    assert complaint(connection, spec(path)) == (
        f'{path}: column "event_time", row 1: "{value}" is a number without a unit; set "time_unit: {unit}" '
        f"(s, ms, us or ns) for this source, or pass --time-unit {unit} to calslo evaluate"
    )


def test_one_bad_file_is_one_error_and_the_others_go_on(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [row(prediction_id="a")])
    write(tmp_path / "b.csv", [row(score="x", weight="y", event_time="2026-03-01")])
    write(tmp_path / "c.csv", [row(prediction_id="c")])

    found = intakes(connection, spec(tmp_path))

    assert [bool(i.error) for i in found] == [False, True, False]
    assert [(i.error or "").count("b.csv") for i in found] == [0, 1, 0]
    assert column(events(connection, spec(tmp_path)), "prediction_id") == ["a", "c"]


def test_a_feed_yields_labels_with_the_times_it_has(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    later = iso(datetime(2026, 3, 1, 20, tzinfo=UTC))
    rows = [
        {"prediction_id": "a", "label": "1", "label_time": later, "event_time": iso(START)},
        {"prediction_id": "b", "label": "yes", "label_time": "", "event_time": ""},
        {"prediction_id": "c", "label": "2", "label_time": later, "event_time": "2100-01-01T00:00:00Z"},
        {"prediction_id": "", "label": "", "label_time": later, "event_time": iso(START)},
    ]
    path = write(tmp_path / "feed.csv", rows)

    found, checked = labels(connection, feed(path, latest=NOW)), intake(connection, feed(path))

    late = START_US + 8 * 3_600_000_000
    assert sorted(map(str, (tuple(r.values()) for r in found))) == sorted(
        map(str, [("a", 1, late, START_US), ("b", -1, None, None), ("c", -1, late, None), (None, None, late, START_US)])
    )
    assert list(found[0]) == ["prediction_id", "label", "label_us", "event_us"]
    assert (checked.rows, checked.hours, checked.rejected) == (4, {START_US: 2}, {"bad_time": 1})


def test_a_feed_without_times_covers_no_hours(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "feed.jsonl", [{"prediction_id": 7, "label": True}])

    found = intake(connection, feed(path))

    assert (found.error, found.rows, found.hours, found.rejected) == (None, 1, {}, {})
    assert [tuple(r.values()) for r in labels(connection, feed(path))] == [("7", 1, None, None)]


def test_a_label_of_an_event_of_unknown_time_is_in_every_span(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rows = [{"prediction_id": i, "label": 1, "event_time": t} for i, t in (("a", iso(START)), ("b", NOW), ("c", None))]
    path = write(tmp_path / "feed.csv", rows)

    found = labels(connection, feed(path), (START_US, START_US + 1))

    assert column(found, "prediction_id") == ["a", "c"]


@pytest.mark.parametrize(("delimiter", "shown"), [(";", '";"'), ("\t", '"\\t"'), ("|", '"|"')])
def test_a_csv_with_another_delimiter_is_told_so(
    delimiter: str, shown: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    text = "event_time;score;label, late\n2026-03-01T12:00:00Z;0.5;1\n".replace(";", delimiter)
    path = write_bytes(tmp_path / "log.csv", text.encode())

    assert complaint(connection, spec(path)) == (
        f'{path}: no column "event_time" between the delimiters ","; the columns seem to be divided by {shown}; '
        f"set 'delimiter: {shown}' for this source in calslo.yaml (calslo evaluate: and pass --source with its name)"
    )
    assert intake(connection, spec(path, delimiter=delimiter)).rows == 1


def test_a_csv_of_one_column_is_not_taken_for_one_with_another_delimiter(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = write_bytes(tmp_path / "log.csv", b"score\n0.5\n")

    assert 'no column "event_time"; columns found: score;' in complaint(connection, spec(path))


@pytest.mark.parametrize("name", ["label_time", "event_time"])
def test_times_of_a_feed_need_a_zone_too(name: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = write(tmp_path / "feed.csv", [{"prediction_id": "a", "label": 1, name: "2026-03-01 12:00:00"}])

    assert f'column "{name}", row 1: "2026-03-01 12:00:00" has no time zone;' in complaint(connection, feed(path))
