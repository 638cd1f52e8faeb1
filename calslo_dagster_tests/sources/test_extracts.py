"""Values of a database as text that is read again without loss."""

import math
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calslo_dagster.sources.base import Unit
from calslo_dagster.sources.extracts import Scratch, as_text, text_column


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("ünï 🎉", "ünï 🎉"),
        (True, "true"),
        (7, "7"),
        (0.1, "0.1"),
        (math.inf, "inf"),
        (Decimal("1.50"), "1.50"),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00+00:00"),
        (date(2026, 3, 1), "2026-03-01"),
        (b"\x01\xff", "01ff"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"a": [1]}, '{"a": [1]}'),
    ],
)
def test_a_value_becomes_text(value: Any, text: str | None) -> None:
    assert as_text(value) == text


@settings(derandomize=True)
@given(st.lists(st.none() | st.floats()))
def test_numbers_are_read_again_as_they_were(values: list[float | None]) -> None:
    texts = text_column(values).to_pylist()

    assert [None if t is None else repr(float(t)) for t in texts] == [None if v is None else repr(v) for v in values]


@settings(derandomize=True)
@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()))
def test_a_column_reads_like_its_values(values: list[Any]) -> None:
    column, alone = text_column(values).to_pylist(), [as_text(value) for value in values]

    if {type(v) for v in values} - {type(None)} == {float}:
        assert [None if t is None else float(t) for t in column] == values
    else:
        assert column == alone


def test_an_extract_belongs_to_one_state_of_one_unit(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    units = [Unit("a", "1"), Unit("a", "2"), Unit("b", "1"), Unit("a", "1")]

    paths = [scratch.path(unit) for unit in units]

    assert len(set(paths)) == 3
    assert paths[0] == paths[3]
