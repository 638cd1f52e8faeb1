"""Logs and feeds in tables of SQLite and PostgreSQL: the same rows, hours and complaints as from files."""

import gc
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
import sqlalchemy as sa

from calslo_dagster.errors import SourceError
from calslo_dagster.sources.base import ColumnMap, Intake, LabelSpec, SourceKind, SourceSpec, TimeUnit, Unit, micros
from calslo_dagster.sources.sql import TableLabels, TableSource
from calslo_dagster_tests.sources.rows import (
    HOUR,
    NOW,
    START,
    START_US,
    Row,
    column,
    events,
    fetch,
    iso,
    log_rows,
    write,
)
from calslo_dagster_tests.sources.rows import spec as file_spec

H12, H13 = "2026-03-01T12", "2026-03-01T13"
DAY = (START_US - 12 * HOUR, START_US + 12 * HOUR)


def table_spec(url: str, **values: Any) -> SourceSpec:
    return SourceSpec(**{"name": "log", "kind": SourceKind.SQL, "url": url, "table": "log", **values})


def feed_spec(url: str, **values: Any) -> LabelSpec:
    return LabelSpec(**{"name": "labels", "kind": SourceKind.SQL, "url": url, "table": "log", **values})


@contextmanager
def opened(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        yield connection


def fill(url: str, types: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], name: str = "log") -> sa.Table:
    """Create a table of these columns and insert the rows."""
    table = sa.Table(name, sa.MetaData(), *(sa.Column(column, kind) for column, kind in types.items()))
    with opened(url) as connection:
        table.create(connection, checkfirst=True)
        if rows:
            connection.execute(table.insert(), list(rows))
    return table


def simple(url: str, times: Sequence[Any], kind: Any = sa.Text, **values: Any) -> None:
    """Create a log that has these times and otherwise equal rows."""
    fill(url, {"event_time": kind, "score": sa.Double}, [{"event_time": t, "score": 0.5, **values} for t in times])


def checked(connection: duckdb.DuckDBPyConnection, source: TableSource | TableLabels) -> dict[str, Intake]:
    return {unit.name: source.intake(connection, unit, NOW) for unit in source.units()}


def complaint_of(source: TableSource | TableLabels, connection: duckdb.DuckDBPyConnection) -> str:
    (only,) = checked(connection, source).values()
    assert (only.rows, only.retry) == (0, False)
    return only.error or ""


def rows_of(connection: duckdb.DuckDBPyConnection, source: TableSource, units: list[Unit] | None = None) -> list[Row]:
    return fetch(connection, source.relation(connection, source.units() if units is None else units))


LOG_TYPES = {
    "score": sa.Double,
    "label": sa.Integer,
    "prediction_id": sa.String,
    "intent": sa.String,
    "weight": sa.Double,
    "latency_us": sa.Double,
    "clamped": sa.Boolean,
    "clamp_alpha": sa.Double,
    "calibrator_version": sa.String,
    "mask_id": sa.String,
}
STORAGES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "text": (sa.Text, iso, {}),
    "text with an offset": (sa.Text, lambda t: t.astimezone(ZoneInfo("Asia/Kolkata")).isoformat(), {}),
    "local text": (sa.Text, lambda t: t.strftime("%Y-%m-%d %H:%M:%S.%f"), {"time_zone": "UTC"}),
    "local time": (sa.DateTime, lambda t: t.replace(tzinfo=None), {"time_zone": "UTC"}),
    "local time elsewhere": (
        sa.DateTime,
        lambda t: t.astimezone(ZoneInfo("Asia/Kolkata")).replace(tzinfo=None),
        {"time_zone": "Asia/Kolkata"},
    ),
    "microseconds": (sa.BigInteger, micros, {"time_unit": TimeUnit.US}),
    "nanoseconds": (sa.BigInteger, lambda t: micros(t) * 1000, {"time_unit": TimeUnit.NS}),
    "seconds": (sa.Double, lambda t: micros(t) / 1e6, {"time_unit": TimeUnit.S}),
}


@pytest.mark.parametrize("storage", STORAGES)
def test_a_table_gives_the_same_events_as_a_file(
    *, storage: str, table_url: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    kind, value, told = STORAGES[storage]
    rows = log_rows()
    stored = [{**r, "event_time": value(datetime.fromisoformat(r["event_time"]))} for r in rows]
    fill(table_url, {"event_time": kind, **LOG_TYPES}, stored)
    slices = {"intent": "intent"}
    source = TableSource(table_spec(table_url, slice_columns=slices, **told))

    found = checked(connection, source)

    assert {name: i.error for name, i in found.items()} == {H12: None, H13: None}
    assert [dict(i.hours) for i in found.values()] == [{START_US: 26}, {START_US + HOUR: 24}]
    assert found[H12].columns == tuple(rows[0])
    from_file = events(connection, file_spec(write(tmp_path / "log.csv", rows), slice_columns=slices))
    assert rows_of(connection, source) == from_file


def test_instants_of_postgresql(postgresql_tables: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    rows = log_rows()
    stored = [{**r, "event_time": datetime.fromisoformat(r["event_time"])} for r in rows]
    fill(postgresql_tables, {"event_time": sa.DateTime(timezone=True), **LOG_TYPES}, stored)
    source = TableSource(table_spec(postgresql_tables))

    assert [dict(i.hours) for i in checked(connection, source).values()] == [{START_US: 26}, {START_US + HOUR: 24}]
    assert rows_of(connection, source) == events(connection, file_spec(write(tmp_path / "log.csv", rows)))


def test_a_window_asks_for_its_hours_only(table_url: str) -> None:
    times = [iso(START + timedelta(hours=h)) for h in range(-30, 30)]
    simple(table_url, times)
    source = TableSource(table_spec(table_url))

    assert len(source.units()) == 60
    assert [u.name for u in source.units((START_US, START_US + 2 * HOUR))] == [H12, H13]
    # A window that begins or ends inside an hour still needs all of it.
    assert [u.name for u in source.units((START_US + 1, START_US + HOUR + 1))] == [H12, H13]
    assert source.units((START_US + 99 * HOUR, START_US + 100 * HOUR)) == []


def test_hours_carry_their_start(table_url: str) -> None:
    simple(table_url, [iso(START)])

    (unit,) = TableSource(table_spec(table_url)).units()

    assert (unit.name, unit.hour_us, unit.path, unit.problem) == (H12, START_US, None, "")


def test_a_span_keeps_its_rows_only(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    simple(table_url, [iso(START + timedelta(minutes=m)) for m in range(0, 120, 10)])
    source = TableSource(table_spec(table_url))

    found = fetch(connection, source.relation(connection, source.units(), (START_US + HOUR // 2, START_US + HOUR)))

    assert column(found, "event_us") == [START_US + m * 60_000_000 for m in (30, 40, 50)]


def test_no_row_is_lost_or_doubled_when_zones_are_mixed(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Equal beginnings of text then belong to several hours, and one hour begins in several ways."""
    zones = [UTC, *map(ZoneInfo, ("Asia/Kolkata", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati"))]
    instants = [START + timedelta(minutes=7 * i) for i in range(100)]
    texts = [t.astimezone(zones[i % 5]).isoformat(sep=" T"[i % 2]) for i, t in enumerate(instants)]
    simple(table_url, texts)
    source = TableSource(table_spec(table_url))

    assert sorted(column(rows_of(connection, source), "event_us")) == sorted(map(micros, instants))
    assert sum(i.rows for i in checked(connection, source).values()) == 100


@pytest.mark.parametrize("kind", [sa.DateTime, sa.Text])
def test_local_times_across_a_change_of_the_clock(
    kind: Any, table_url: str, connection: duckdb.DuckDBPyConnection
) -> None:
    """On the night the clock goes back one hour of local time holds two, all read as the later."""
    local = [datetime(2026, 10, 25) + timedelta(minutes=15 * i) for i in range(24)]  # noqa: DTZ001 - local times
    simple(table_url, [t if kind is sa.DateTime else t.isoformat(sep=" ") for t in local], kind)
    source = TableSource(table_spec(table_url, time_zone="Europe/Berlin", latest=datetime(2027, 1, 1, tzinfo=UTC)))

    names = [unit.name for unit in source.units()]
    found = rows_of(connection, source)

    expected = [t.replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=1) for t in local]
    assert names == sorted({f"{t.astimezone(UTC):%Y-%m-%dT%H}" for t in expected})
    assert sorted(column(found, "event_us")) == [micros(t) for t in expected]


def test_a_fingerprint_changes_with_its_hour_alone(table_url: str) -> None:
    types = {"event_time": sa.Text, "score": sa.Double, "label": sa.Integer, "version": sa.Integer}
    times = [iso(START), iso(START + timedelta(hours=1))]
    fill(table_url, types, [{"event_time": t, "score": 0.5, "version": 1} for t in times])
    source = TableSource(table_spec(table_url, cursor="version"))
    seen = []

    for change in (
        None,
        f"INSERT INTO log (event_time, score, version) VALUES ('{times[0]}', 0.75, 1)",
        f"UPDATE log SET label = 1 WHERE score = 0.5 AND event_time = '{times[0]}'",
        f"UPDATE log SET score = 0.6, version = 2 WHERE score = 0.5 AND event_time = '{times[0]}'",
    ):
        if change:
            with opened(table_url) as writing:
                writing.execute(sa.text(change))
        seen.append({unit.name: unit.fingerprint for unit in source.units()})

    assert len({s[H12] for s in seen}) == 4
    assert len({s[H13] for s in seen}) == 1
    assert seen[0][H12] != seen[0][H13]


def test_a_changed_hour_is_extracted_again(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    simple(table_url, [iso(START)])
    source = TableSource(table_spec(table_url))
    assert len(rows_of(connection, source)) == 1
    simple(table_url, [iso(START)])

    assert len(rows_of(connection, source)) == 2


def test_rows_without_a_usable_time_are_counted(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    times = [iso(START), None, "soon", "", "2026-13-01T00:00:00Z", "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"]
    simple(table_url, times)
    source = TableSource(table_spec(table_url))

    found = checked(connection, source)

    assert {name: (i.error, i.rows, dict(i.rejected)) for name, i in found.items()} == {
        H12: (None, 1, {}),
        "2100-01-01T00": (None, 1, {"bad_time": 1}),
        "undated": (None, 5, {"bad_time": 5}),
    }
    assert [dict(i.hours) for i in found.values()] == [{START_US: 1}, {}, {}]
    assert len(fetch(connection, source.relation(connection, source.units(), DAY))) == 1


@pytest.mark.parametrize("storage", STORAGES)
def test_times_out_of_bounds_are_counted_through_any_window(
    *, storage: str, table_url: str, connection: duckdb.DuckDBPyConnection
) -> None:
    kind, value, told = STORAGES[storage]
    years = [datetime(year, 1, 2, tzinfo=UTC) for year in (1971, 1999, 2027, 2100)]
    simple(table_url, [None, *map(value, [START, *years])], kind)
    source = TableSource(table_spec(table_url, latest=START + timedelta(days=1), **told))

    for window in (DAY, None):
        found = [source.intake(connection, unit, NOW) for unit in source.units(window)]

        assert [(i.unit.name, i.error, i.rows, dict(i.rejected)) for i in found] == [
            (H12, None, 1, {}),
            ("undated", None, 5, {"bad_time": 5}),
        ]


def test_times_next_to_the_bounds_are_counted_once(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    """Local text differs from UTC by up to a day, so what is asked for around the bounds is more than what is kept."""
    latest = START + timedelta(days=1)
    zones = [UTC, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")]
    hours = [latest + timedelta(hours=h) for h in range(-30, 30)]
    texts = [hour.astimezone(zone).isoformat() for hour in hours for zone in zones]
    simple(table_url, texts)
    source = TableSource(table_spec(table_url, latest=latest))

    found = [source.intake(connection, unit, NOW) for unit in source.units((micros(latest) - 2 * HOUR, micros(latest)))]

    assert [(i.unit.name, i.rows) for i in found] == [
        ("2026-03-02T10", 3),
        ("2026-03-02T11", 3),
        ("undated", 29 * 3),
    ]


@pytest.mark.parametrize("kind", [sa.DateTime(timezone=True), sa.DateTime, sa.Double])
def test_endless_times_of_postgresql_are_bad_times(
    kind: Any, postgresql_tables: str, connection: duckdb.DuckDBPyConnection
) -> None:
    simple(postgresql_tables, [], kind)
    ends = ("infinity", "-infinity", "0044-03-15 BC", "20000-01-01") if kind is not sa.Double else ("Infinity", "NaN")
    with opened(postgresql_tables) as writing:
        for value in (*ends, None):
            writing.execute(
                sa.text(
                    "INSERT INTO log VALUES (CAST(:t AS text)::"
                    + ("double precision" if kind is sa.Double else "timestamp")
                    + ", 0.5)"
                ),
                {"t": value},
            )
    source = TableSource(table_spec(postgresql_tables, time_zone="UTC", time_unit=TimeUnit.S))

    found = checked(connection, source)

    assert {name: (i.error, dict(i.rejected)) for name, i in found.items()} == {
        "undated": (None, {"bad_time": len(ends) + 1})
    }


def test_rows_without_a_time_are_found_through_any_window(table_url: str) -> None:
    simple(table_url, [None, "soon"])

    assert [u.name for u in TableSource(table_spec(table_url)).units((START_US, START_US + HOUR))] == ["undated"]


def test_values_of_every_type_are_read(postgresql_tables: str, connection: duckdb.DuckDBPyConnection) -> None:
    """The 4-byte score is widened exactly, as from Parquet."""
    key = uuid.uuid4()
    types = {
        "event_time": sa.DateTime(timezone=True),
        "score": sa.REAL,
        "label": sa.Boolean,
        "prediction_id": sa.Uuid,
        "weight": sa.Numeric(10, 3),
        "day": sa.Date,
        "tags": sa.JSON,
        "raw": sa.LargeBinary,
    }
    values = {"score": 0.1, "label": True, "prediction_id": key, "weight": Decimal("1.5"), "day": date(2026, 3, 1)}
    fill(postgresql_tables, types, [{"event_time": START, **values, "tags": {"a": 1}, "raw": b"\x01\xff"}])
    slices = {name: name for name in ("day", "tags", "raw")}
    source = TableSource(table_spec(postgresql_tables, slice_columns=slices))

    (found,) = rows_of(connection, source)

    assert found["score"] == 0.10000000149011612
    assert (found["label"], found["prediction_id"], found["weight"]) == (1, str(key), 1.5)
    assert (found["day"], found["tags"], found["raw"]) == ("2026-03-01", '{"a": 1}', "01ff")


def test_scores_survive_bit_by_bit(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    scores = [0.1, 1 / 3, 5e-324, 1.0000001, math.nextafter(0.5, 1), math.inf, -math.inf, None]
    if table_url.startswith("postgresql"):
        scores.append(math.nan)
    fill(
        table_url, {"event_time": sa.Text, "score": sa.Double}, [{"event_time": iso(START), "score": s} for s in scores]
    )

    found = column(rows_of(connection, TableSource(table_spec(table_url))), "score")

    assert sorted(map(repr, found)) == sorted(map(repr, scores))


def test_slice_values_may_be_anything(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    values = ["a/b", "a=b", "a,b", "🎉", "x" * 10_000, "", "line\nbreak", "'; DROP TABLE log; --"]
    types = {"event_time": sa.Text, "score": sa.Double, "in tent": sa.Text}
    fill(table_url, types, [{"event_time": iso(START), "score": 0.5, "in tent": v} for v in values])

    found = rows_of(connection, TableSource(table_spec(table_url, slice_columns={"intent": "in tent"})))

    assert sorted(map(str, column(found, "intent"))) == sorted([*(v for v in values if v), "None"])


def test_columns_are_found_by_the_users_names(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    types = {"Ts": sa.Text, "p": sa.Double, "Clicked?": sa.Text}
    fill(table_url, types, [{"Ts": iso(START), "p": 0.5, "Clicked?": "yes"}])
    columns = ColumnMap(event_time="Ts", score="p", label="Clicked?")

    (found,) = rows_of(connection, TableSource(table_spec(table_url, columns=columns)))

    assert (found["event_us"], found["score"], found["label"]) == (START_US, 0.5, -1)


def test_a_view_is_read_like_a_table(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    simple(table_url, [iso(START)])
    with opened(table_url) as writing:
        writing.execute(sa.text("CREATE VIEW seen AS SELECT event_time, score + 0.25 AS score FROM log"))

    assert column(rows_of(connection, TableSource(table_spec(table_url, table="seen"))), "score") == [0.75]


def test_a_table_may_be_in_a_schema(postgresql_tables: str, connection: duckdb.DuckDBPyConnection) -> None:
    with opened(postgresql_tables) as writing:
        writing.execute(sa.text("CREATE SCHEMA serving"))
        writing.execute(sa.text("CREATE TABLE serving.log AS SELECT now() AS event_time, 0.5 AS score"))

    assert column(rows_of(connection, TableSource(table_spec(postgresql_tables, table="serving.log"))), "score") == [
        0.5
    ]


def test_an_empty_table_has_no_units(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    simple(table_url, [])
    source = TableSource(table_spec(table_url))

    assert source.units() == []
    assert fetch(connection, source.relation(connection, [])) == []


def test_text_in_a_score_column_is_refused(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    fill(
        table_url,
        {"event_time": sa.Text, "score": sa.Text},
        [{"event_time": iso(START), "score": s} for s in ("0.5", "n/a")],
    )

    found = complaint_of(TableSource(table_spec(table_url)), connection)

    assert found.startswith('table "log" at ')
    assert f', {H12}: column "score", row 2: "n/a" is not a number; write numbers only' in found


def test_a_missing_column_is_named_with_those_found(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    simple(table_url, [iso(START)])
    found = complaint_of(TableSource(table_spec(table_url, columns=ColumnMap(score="p"))), connection)

    assert ': no column "p" (score); columns found: event_time, score; set "columns.score" to the column' in found
    assert 'no column "seq"; columns found: event_time, score; correct "cursor"' in complaint_of(
        TableSource(table_spec(table_url, cursor="seq")), connection
    )


@pytest.mark.parametrize("kind", [sa.DateTime, sa.Text])
def test_a_time_without_a_zone_is_refused_with_the_fix(
    kind: Any, table_url: str, connection: duckdb.DuckDBPyConnection
) -> None:
    local = datetime(2026, 3, 1, 12)  # noqa: DTZ001 - the mistake
    simple(table_url, [local if kind is sa.DateTime else str(local)], kind)

    found = complaint_of(TableSource(table_spec(table_url)), connection)

    assert 'column "event_time": "2026-03-01' in found
    assert 'has no time zone; set "time_zone: UTC" (or the zone it was written in) for this source' in found


def test_a_number_is_no_time_until_its_unit_is_told(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    simple(table_url, [START_US // 1000], sa.BigInteger)

    found = complaint_of(TableSource(table_spec(table_url)), connection)

    assert f'column "event_time": "{START_US // 1000}" is a number without a unit; set "time_unit: ms"' in found


def test_a_type_that_is_no_time_is_refused(postgresql_tables: str, connection: duckdb.DuckDBPyConnection) -> None:
    simple(postgresql_tables, [], sa.Boolean)

    found = complaint_of(TableSource(table_spec(postgresql_tables)), connection)

    assert 'column "event_time" has type BOOLEAN, which cannot be read as time' in found


def test_a_table_that_does_not_exist_is_named(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    simple(table_url, [])

    found = complaint_of(TableSource(table_spec(table_url, table="lgo")), connection)

    assert found.startswith('table "lgo" at ')
    assert found.endswith(': there is no such table or view; correct "table"')


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:////nowhere/log.db", "there is no such file; correct the url"),
        ("sqlite://", "there is no such file; correct the url"),
        ("not a url", "not a database URL; write sqlite:///FILE or postgresql+psycopg://..."),
        ("duckdb:///log.db", "only sqlite and postgresql are supported, not duckdb"),
        ("mysql+pymysql://u:secret@h/d", "only sqlite and postgresql are supported, not mysql"),
        ("postgresql+pg8000://u:secret@h/d", "and write postgresql+psycopg://..."),
        ("postgresql+none://u:secret@h/d", "and write postgresql+psycopg://..."),
    ],
)
def test_a_database_that_cannot_be_one_is_refused(
    url: str, message: str, connection: duckdb.DuckDBPyConnection
) -> None:
    found = complaint_of(TableSource(table_spec(url)), connection)

    assert found.endswith(message)
    assert "secret" not in found


def test_a_server_that_does_not_answer_is_asked_again(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    url = f"postgresql+psycopg://me:secret@/log?host={tmp_path}"

    ((name, found),) = checked(connection, TableSource(table_spec(url))).items()

    assert (name, found.retry) == ("log", True)
    assert "connection" in (found.error or "")
    assert "secret" not in (found.error or "")


def test_a_table_that_vanishes_is_an_error_of_its_units(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    simple(table_url, [iso(START)])
    source = TableSource(table_spec(table_url))
    units = source.units()
    with opened(table_url) as writing:
        writing.execute(sa.text("DROP TABLE log"))

    assert f", {H12}: " in (source.intake(connection, units[0], NOW).error or "")
    with pytest.raises(SourceError, match='table "log" at '):
        source.relation(connection, units)


FEED_TYPES: dict[str, Any] = {
    "prediction_id": sa.Text,
    "label": sa.Integer,
    "label_time": sa.Text,
    "event_time": sa.Text,
}


def labels_of(
    connection: duckdb.DuckDBPyConnection, source: TableLabels, names: Sequence[str]
) -> list[tuple[Any, ...]]:
    units = [unit for unit in source.units() if unit.name in names]
    return [tuple(r.values()) for r in fetch(connection, source.label_relation(connection, units))]


def test_batches_of_a_feed_are_the_hours_in_which_labels_came(
    table_url: str, connection: duckdb.DuckDBPyConnection
) -> None:
    later = iso(START + timedelta(hours=1))
    rows: list[dict[str, Any]] = [
        {"prediction_id": "a", "label": 1, "label_time": iso(START), "event_time": iso(START - timedelta(hours=5))},
        {"prediction_id": "b", "label": 2, "label_time": later, "event_time": None},
        {"prediction_id": "c", "label": None, "label_time": later, "event_time": iso(START)},
        {"prediction_id": "d", "label": 0, "label_time": None, "event_time": iso(START)},
        {"prediction_id": "e", "label": 0, "label_time": "soon", "event_time": iso(START)},
    ]
    fill(table_url, FEED_TYPES, rows)
    source = TableLabels(feed_spec(table_url))

    found = checked(connection, source)

    assert {name: (i.error, i.rows, dict(i.hours)) for name, i in found.items()} == {
        H12: (None, 1, {START_US - 5 * HOUR: 1}),
        H13: (None, 2, {START_US: 1}),
        "undated": (None, 2, {START_US: 2}),
    }
    assert labels_of(connection, source, [H12]) == [("a", 1, START_US, START_US - 5 * HOUR)]
    assert labels_of(connection, source, [H13]) == [
        ("b", -1, START_US + HOUR, None),
        ("c", None, START_US + HOUR, START_US),
    ]
    assert labels_of(connection, source, ["undated"]) == [("d", 0, None, START_US), ("e", 0, None, START_US)]


def test_a_feed_without_times_is_one_unit(table_url: str, connection: duckdb.DuckDBPyConnection) -> None:
    types = {"prediction_id": sa.BigInteger, "label": sa.Boolean}
    fill(table_url, types, [{"prediction_id": 7, "label": True}])
    source = TableLabels(feed_spec(table_url))
    (before,) = source.units((START_US, START_US + HOUR))
    fill(table_url, types, [{"prediction_id": 8, "label": False}])

    (after,) = source.units()

    assert (before.name, after.name) == ("all", "all")
    assert before.fingerprint != after.fingerprint
    assert labels_of(connection, source, ["all"]) == [("7", 1, None, None), ("8", 0, None, None)]


def test_extracts_go_when_their_source_goes(
    table_url: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    simple(table_url, [iso(START)])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    source = TableSource(table_spec(table_url), scratch)
    checked(connection, source)
    assert len(list(scratch.rglob("*.parquet"))) == 1

    del source
    gc.collect()

    assert list(scratch.iterdir()) == []


def test_few_extracts_are_kept(table_url: str, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """A long table in one process must not fill the disk, and all hours of one call must be there together."""
    times = [START + timedelta(hours=h) for h in range(-60, 0)]
    simple(table_url, [iso(t) for t in times])
    source = TableSource(table_spec(table_url), tmp_path)
    units = source.units()

    assert len(rows_of(connection, source, units)) == 60
    assert len(list(tmp_path.rglob("*.parquet"))) == 60
    assert len(rows_of(connection, source, units[:1])) == 1
    assert len(list(tmp_path.rglob("*.parquet"))) == 48
