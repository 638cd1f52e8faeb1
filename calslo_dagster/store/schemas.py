"""What the frames that cross the store's border must look like, and one error that says what is wrong with them.

Columns hold Python objects, so that a NaN can be told from a None, which pandas' own float columns cannot.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from calslo_dagster.errors import CalsloError, StoreError
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.trials import Mode

SHOWN: Final = 3


def _each(claim: str, is_right: Callable[[Any], bool]) -> pa.Check:
    """Return a check that every value is right; each distinct value is looked at once."""

    def check(column: "pd.Series[Any]") -> "pd.Series[bool]":
        right = {value for value in set(column) if is_right(value)}
        return pd.Series([value in right for value in column], index=column.index, dtype=bool)

    return pa.Check(check, name=claim, error=claim, ignore_na=False)


def _column(claim: str, is_right: Callable[[Any], bool]) -> pa.Column:
    return pa.Column(None, _each(claim, is_right), nullable=True)


def _text(longest: int, shortest: int = 0) -> pa.Column:
    claim = f"text of {shortest} to {longest} characters"
    return _column(claim, lambda v: isinstance(v, str) and shortest <= len(v) <= longest)


def _number() -> pa.Column:
    claim = "a finite number or None"

    def check(column: "pd.Series[Any]") -> "pd.Series[bool]":
        # Numbers are nearly all distinct, so each is looked at; only finite ones leave zero when taken from themselves.
        return pd.Series([v is None or v - v == 0 for v in column], index=column.index, dtype=bool)

    return pa.Column(None, pa.Check(check, name=claim, error=claim, ignore_na=False), nullable=True)


def _count(at_least: int = 0) -> pa.Column:
    return _column(f"a whole number from {at_least}", lambda v: isinstance(v, int) and v >= at_least)


def _instant(*, is_optional: bool = False) -> pa.Column:
    claim = "a time with a time zone" + (" or None" if is_optional else "")
    return _column(claim, lambda v: is_optional if v is None else isinstance(v, datetime) and v.tzinfo is not None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return value is None or (isinstance(value, int) and value >= 0)


def _ordered(frame: pd.DataFrame) -> "pd.Series[bool]":
    pairs = zip(frame["window_start"], frame["window_end"], strict=True)
    return pd.Series([start < end for start, end in pairs], index=frame.index, dtype=bool)


def _is_edges(value: Any) -> bool:
    steps = pairwise(value)
    return not value or (value[0] == 0 and value[-1] == 1 and all(low < high for low, high in steps))


def _fitting(frame: pd.DataFrame) -> "pd.Series[bool]":
    rows = zip(frame["edges"], frame["fit_counts"], strict=True)
    fits = [not edges or not counts or len(counts) == len(edges) - 1 for edges, counts in rows]
    return pd.Series(fits, index=frame.index, dtype=bool)


_LIMITS: Final = ("value", "threshold", "threshold_high", "warn_threshold", "warn_threshold_high", "low", "high")
_VERDICTS: Final = frozenset(Verdict)

MEASUREMENTS: Final = pa.DataFrameSchema(
    {
        "slo": _text(100, 1),
        "slice": _text(200, 1),
        "model": _text(100),
        "window_start": _instant(),
        "window_end": _instant(),
        **{name: _number() for name in _LIMITS},
        "events": _count(),
        "labeled": _count(),
        "verdict": _column("one of " + ", ".join(sorted(_VERDICTS)), lambda v: v in _VERDICTS),
        "watermark": _instant(is_optional=True),
        "definition_hash": _text(64),
        "code_version": _text(100),
        "run_id": _text(100),
        "mode": _column("one of " + ", ".join(Mode), lambda v: v in frozenset(Mode)),
        **{name: _number() for name in ("debiased", "e_value", "evidence", "detectable")},
        **{name: _column("a whole number from 0 or None", _is_whole) for name in ("bins", "needed")},
    },
    checks=[pa.Check(_ordered, name="ordered", error="one whose window ends after it starts")],
    unique=["slo", "slice", "window_end"],
    name="measurements",
)

MANIFESTS: Final = pa.DataFrameSchema(
    {
        "model": _text(100),
        "slice": _text(200, 1),
        "version": _text(100),
        "alpha": _number(),
        "bins": _column("a whole number from 1 or None", lambda v: v is None or (isinstance(v, int) and v >= 1)),
        "c_hat": _column("above 0 or None", lambda v: v is None or (_is_number(v) and 0 < v < math.inf)),
        "edges": _column("a list that ascends from 0 to 1", _is_edges),
        "fit_counts": _column("a list of counts from 0", lambda v: all(isinstance(n, int) and n >= 0 for n in v)),
        "fitted_at": _instant(is_optional=True),
    },
    checks=[pa.Check(_fitting, name="fitting", error="one with a fit count for each bin")],
    unique=["model", "slice", "version"],
    name="manifests",
)

LABELS: Final = pa.DataFrameSchema(
    {
        "prediction_id": _text(1000, 1),
        "label": _column("0 or 1", lambda v: _is_number(v) and v in (0, 1)),
    },
    name="label feed",
)


def validate(frame: pd.DataFrame, schema: pa.DataFrameSchema, error: type[CalsloError] = StoreError) -> pd.DataFrame:
    """Return the frame when it is as the schema says; else raise `error`, naming column, rule and the first cases."""
    try:
        return schema.validate(frame, lazy=True)
    except SchemaErrors as refused:
        raise error(f"{schema.name}: {_told(frame, schema, refused.failure_cases)}") from None


def _told(frame: pd.DataFrame, schema: pa.DataFrameSchema, cases: pd.DataFrame) -> str:
    """Return one clause for each broken rule; a rule about whole rows is reported once a row, not once a column."""
    missing = cases.loc[cases["check"] == "column_in_dataframe", "failure_case"]
    if len(missing):
        return f"no column {', '.join(missing)}"
    places = cases["column"].where(cases["schema_context"] == "Column", "")
    cases = cases.assign(place=places).drop_duplicates(["place", "check", "index"])
    return "; ".join(_clause(frame, schema, broken) for _, broken in cases.groupby(["place", "check"], sort=False))


def _clause(frame: pd.DataFrame, schema: pa.DataFrameSchema, broken: pd.DataFrame) -> str:
    first = broken.iloc[0]
    rule = _RULES.get(str(first["check"]), str(first["check"]))
    if pd.isna(first["index"]):
        return f"{rule}: {first['failure_case']}"
    place = str(first["place"])
    shown = [_case(frame.loc[index], place, schema.unique or ()) for index in broken["index"].head(SHOWN)]
    more = f" and {len(broken) - SHOWN} more" if len(broken) > SHOWN else ""
    told = f"{place} must be {rule}, not " if place else f"each row must be {rule}, unlike "
    return told + ", ".join(shown) + more


def _case(row: "pd.Series[Any]", place: str, keys: Sequence[str]) -> str:
    told = [f"{key}={row[key]}" for key in keys if key != place] or [f"row {row.name}"]
    return (f"{row[place]!r} at " if place else "") + " ".join(told)


_RULES: Final = {"multiple_fields_uniqueness": "unique"}


def check_measurements(records: Sequence[Mapping[str, Any]]) -> None:
    """Raise StoreError for records that are no measurements."""
    columns = {name: pd.Series([r[name] for r in records], dtype=object) for name in MEASUREMENTS.columns}
    validate(pd.DataFrame(columns), MEASUREMENTS)


def check_manifests(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Raise StoreError for records that are no manifests."""
    validate(pd.DataFrame(records, columns=list(columns), dtype=object), MANIFESTS)
