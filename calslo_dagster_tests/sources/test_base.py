"""What a spec refuses, and the span of good times."""

from datetime import UTC, datetime
from typing import Any

import pytest

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.sources import open_feed, open_source
from calslo_dagster.sources.base import LabelSpec, SourceKind, SourceSpec, micros
from calslo_dagster.sources.files import FileLabels, FileSource
from calslo_dagster.sources.sql import TableLabels, TableSource

FILES: dict[str, Any] = {"name": "log", "paths": ("logs",)}
TABLE: dict[str, Any] = {"name": "log", "kind": SourceKind.SQL, "url": "sqlite:///x.db", "table": "t"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"paths": ()}, "source 'log' names no paths"),
        ({"kind": SourceKind.SQL}, "source 'log' needs a url and a table"),
        ({"delimiter": "||"}, "delimiter must be one character"),
        ({"time_zone": "Europe/Berln"}, "'Europe/Berln' is not a time zone; write an IANA name"),
        ({"time_zone": "../etc/passwd"}, "is not a time zone"),
        ({"earliest": datetime(2026, 1, 1)}, "earliest and latest need a time zone"),  # noqa: DTZ001 - the mistake
        ({"slice_columns": {"score": "intent"}}, "'score' cannot name a slice column"),
        ({"slice_columns": {"": "intent"}}, "'' cannot name a slice column"),
    ],
)
def test_a_spec_that_nobody_could_read_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        SourceSpec(**{**FILES, **values})


def test_a_spec_does_not_show_its_url() -> None:
    assert "secret" not in repr(SourceSpec(**{**TABLE, "url": "postgresql://me:secret@host/db"}))


def test_good_times_are_whole_hours() -> None:
    """An hour that is partly good would be counted differently each time it is read."""
    noon = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    hour = micros(noon) // HOUR_US * HOUR_US

    assert SourceSpec(**FILES, earliest=noon, latest=noon).bounds_us() == (hour, hour + HOUR_US)
    assert SourceSpec(**FILES).bounds_us() == (micros(datetime(2000, 1, 1, tzinfo=UTC)), None)
    assert SourceSpec(**FILES).bounds_us(noon)[1] == hour + 25 * HOUR_US


def test_a_source_is_opened_by_its_kind() -> None:
    assert isinstance(open_source(SourceSpec(**FILES)), FileSource)
    assert isinstance(open_source(SourceSpec(**TABLE)), TableSource)
    assert isinstance(open_feed(LabelSpec(**FILES)), FileLabels)
    assert isinstance(open_feed(LabelSpec(**TABLE)), TableLabels)
    assert open_source(SourceSpec(**FILES)).spec == SourceSpec(**FILES)
