"""Values are read as people mean them, and what cannot be meant is refused with what to write instead."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from calslo_dagster.errors import SettingsError
from calslo_dagster.settings.types import (
    Address,
    Count,
    Duration,
    Instant,
    Limit,
    Memory,
    Name,
    Number,
    Ratio,
    Span,
    Target,
    Url,
    Wait,
    WarnLimit,
    WebAddress,
    WeeklyCron,
    duration_text,
    parse_duration,
)
from calslo_dagster_tests.strategies import steady


def read(kind: Any, value: object) -> Any:
    return TypeAdapter[Any](kind).validate_python(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("2w", 1_209_600), (" 1h ", 3_600)],
)
def test_durations_are_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@steady
@given(st.integers(0, 10**9))
def test_a_duration_reads_back_from_its_text(seconds: int) -> None:
    length = timedelta(seconds=seconds)

    assert parse_duration(duration_text(length)) == length


def test_a_day_is_written_in_hours_and_more_days_in_days() -> None:
    assert [duration_text(timedelta(hours=h)) for h in (0, 1, 24, 36, 48)] == ["0h", "1h", "24h", "36h", "2d"]


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (Duration, 15, "15 has no unit; write 15m for minutes, 15h for hours or 15d for days"),
        (Duration, True, "has no unit"),
        (Duration, "15 min", "is not a duration; write a whole number and one of s, m, h, d, w"),
        (Duration, "1.5h", "is not a duration"),
        (Duration, "-1h", "is not a duration"),
        (Duration, "0m", "longer than nothing"),
        (Duration, "9999999999999w", "longer than this program can count"),
        (Span, "20m", "20m is not a multiple of 15m"),
        (Ratio, 99.9, "99.9 is not a ratio between 0 and 1; write 0.999 for 99.9%"),
        (Ratio, "99.9%", "'99.9%' is a percentage; write 0.999"),
        (Ratio, "half%", "write a ratio between 0 and 1"),
        (Ratio, -0.1, "-0.1 is not a ratio between 0 and 1"),
        (Ratio, 250, "250 is not a ratio between 0 and 1"),
        (Ratio, True, "must be a number, not true"),
        (Ratio, float("nan"), "finite number"),
        (Target, 0, "0 asks for nothing"),
        (Number, float("inf"), "finite number"),
        (Count, 0, "greater than or equal to 1"),
        (Count, 1.5, "fractional part"),
        (Count, True, "must be a number, not true"),
        (Limit, "ten", "must be a number or"),
        (Limit, [1, 2, 3], "a range is"),
        (Limit, [0.9, 0.1], "is empty; write the smaller number first"),
        (Limit, float("nan"), "finite"),
        (Limit, {}, "must be a number or"),
        (WarnLimit, "never", "must be a number or"),
        (Instant, "2026-03-01T02:00:00", "has no time zone; write 2026-03-01T02:00:00Z if it is UTC"),
        (Instant, "yesterday", "is not a time; write it as 2026-03-01T02:00:00Z"),
        (Instant, "2026-02-30", "is not a time"),
        (Instant, 5, "is not a time"),
        (Url, "host/db", "must be a URL such as"),
        (Url, "", "must be a URL"),
        (Url, 5, "must be a URL"),
        (Url, "postgresql://[db/name", "cannot be read|not a URL that can be read"),
        (WebAddress, "localhost:80", "is not a web address; write http://host or https://host"),
        (WebAddress, "https://me:pw@host", "literal secret"),
        (Name, "my source", "must start with a letter and hold only letters"),
        (Memory, "2 gigs", "must be a number and a unit, such as 2GB"),
        (WeeklyCron, "* * * * *", "must fire once a week"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_remedy(kind: object, value: object, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        read(kind, value)


def test_what_is_meant_is_read() -> None:
    assert read(Wait, "0m") == timedelta(0)
    assert read(Ratio, "1e-3") == 0.001
    assert read(Target, 1) == 1.0
    assert read(Limit, [0, 1]) == (0.0, 1.0)
    assert read(WarnLimit, "none") == "none"
    assert read(Instant, "2026-03-01") == datetime(2026, 3, 1, tzinfo=UTC)
    assert read(Instant, "2026-03-01T02:00:00+02:00") == datetime(2026, 3, 1, tzinfo=UTC)
    assert read(WebAddress, "https://calslo.example/") == "https://calslo.example"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://calslo:hunter2@db/calslo",
        "postgresql://db/calslo?password=hunter2",
        "https://db/?api_key=hunter2",
        "mysql://:hunter2@db",
    ],
)
def test_a_literal_secret_is_refused_and_never_repeated(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(Url, url)

    told = caught.value.errors()[0]["msg"]
    assert "holds a literal secret" in told
    assert "env:NAME" in told
    assert "hunter2" not in told


def test_an_address_is_looked_up_when_it_is_needed(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("postgresql://u:pw@db/x\n")

    assert Address("env:DB").resolve({"DB": "postgresql://env"}, tmp_path) == "postgresql://env"
    assert Address("file:db").resolve({}, tmp_path) == "postgresql://u:pw@db/x"
    assert Address("sqlite:///x.db").resolve({}, tmp_path) == "sqlite:///x.db"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("env:DB", "environment variable DB is not set; export it"),
        ("file:absent", "cannot be read"),
        ("file:empty", "is empty; write the value into it"),
        ("file:binary", "cannot be read"),
    ],
)
def test_an_address_that_leads_nowhere_says_so(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")

    with pytest.raises(SettingsError, match=told):
        Address(text).resolve({"DB": " "}, tmp_path)
