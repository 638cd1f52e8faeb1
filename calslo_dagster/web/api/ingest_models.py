"""Batches of rows that programs send; every value that cannot be stored is told with the way out."""

import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, create_model

from calslo_dagster.alerting.phrases import unfit
from calslo_dagster.slo.windows import EPOCH
from calslo_dagster.sources.base import micros
from calslo_dagster.web.api.models import In, Out

MOST_ROWS: Final = 10_000
LONGEST_TEXT: Final = 200
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class Terms:
    """What the settings and the clock let through: sources, and times in [earliest, latest) in us since 1970 UTC."""

    sources: frozenset[str]
    earliest_us: int
    latest_us: int


def said(value: object) -> str:
    """Return the value as JSON, cut, so that one value cannot flood or break a message."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value, ensure_ascii=False, default=str).encode(errors="backslashreplace").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _number(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{said(value)} is no number; write one such as 0.25, or null where there is none")  # noqa: TRY004 - pydantic reports it
    if isinstance(value, int) and abs(value) > 2**63:
        raise ValueError("the number is too large; write null where there is none")
    if not math.isfinite(value):
        raise ValueError(f"{said(value)} is no number in JSON; write null (a score of null is counted as a bad one)")
    return float(value)


def _label(value: object) -> float | None:
    if isinstance(value, str | list | dict):
        raise ValueError(f"{said(value)} is no label; write 0 or 1, or null while it is not known")  # noqa: TRY004 - pydantic reports it
    return float(value) if isinstance(value, bool) else _number(value)


def _known_label(value: object) -> float | None:
    if value is None:
        raise ValueError("null labels nothing; leave the row out until the label is known")
    return _label(value)


def _flag(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{said(value)} is neither true nor false; write one of them, or null where it is not known")
    return value


def _words(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"{said(value)} is no text; put it in quotes")  # noqa: TRY004 - pydantic reports it
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"{said(value)} has {len(value)} characters; write at most {LONGEST_TEXT}")
    if why := unfit(value):
        raise ValueError(f"{said(value)} cannot be stored: {why}")
    return value


def _id(value: object) -> str:
    found = _words(value)
    if not found:
        raise ValueError("is empty; write the id of the prediction that the label is of")
    return found


def _batch_id(value: object) -> str:
    found = _words(value)
    if not found or not found.isprintable():
        raise ValueError(f"{said(value)} names no batch; write 1 to {LONGEST_TEXT} printable characters")
    return found


def _time(value: object, info: ValidationInfo) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None:
        raise ValueError(f"{said(value)} is no time; write one with its zone, such as 2026-03-01T12:00:00Z")
    if found.tzinfo is None:
        raise ValueError(f"{said(value)} has no time zone; write Z at its end if it is in UTC")
    terms = info.context
    if isinstance(terms, Terms) and not terms.earliest_us <= micros(found) < terms.latest_us:
        ends = (EPOCH + timedelta(microseconds=us) for us in (terms.earliest_us, terms.latest_us))
        first, last = (f"{end:%Y-%m-%d %H:%M}" for end in ends)
        raise ValueError(f"{said(value)} is not between {first} and {last} UTC; correct the clock that wrote it")
    return found


def _event_time(value: object, info: ValidationInfo) -> datetime:
    found = _time(value, info)
    if found is None:
        raise ValueError("null is no time; write one with its zone, such as 2026-03-01T12:00:00Z")
    return found


def _source(value: object, info: ValidationInfo) -> object:
    terms = info.context
    if isinstance(terms, Terms) and (not isinstance(value, str) or value not in terms.sources):
        known = ", ".join(sorted(terms.sources)) or "none"
        raise ValueError(
            f"{said(value)} is no source of kind ingest; there are: {known}; name one, or add it to calslo.yaml"
        )
    return value


Number = Annotated[float | None, BeforeValidator(_number)]
Words = Annotated[str | None, BeforeValidator(_words)]
Time = Annotated[datetime | None, BeforeValidator(_time)]


class EventRow(In):
    """One scored prediction; besides these keys, any of `slices.columns` of the settings, with text or null."""

    model_config = ConfigDict(
        json_schema_extra={"additionalProperties": {"anyOf": [{"type": "string"}, {"type": "null"}]}}
    )

    event_time: Annotated[datetime, BeforeValidator(_event_time)] = Field(examples=["2026-03-01T12:00:00.250Z"])
    score: Number = Field(examples=[0.83], description="Kept as it is; null or outside [0, 1] is counted as bad.")
    label: Annotated[float | None, BeforeValidator(_label)] = Field(default=None, examples=[1])
    prediction_id: Words = Field(default=None, examples=["7f3c0a"])
    weight: Number = None
    latency_us: Number = Field(default=None, examples=[140.5])
    clamped: Annotated[bool | None, BeforeValidator(_flag)] = None
    clamp_alpha: Number = None
    calibrator_version: Words = None
    mask_id: Words = None


class LabelRow(In):
    """The label of a prediction, known later; `event_time`, that of the prediction, saves looking for it everywhere."""

    prediction_id: Annotated[str, BeforeValidator(_id)] = Field(examples=["7f3c0a"])
    label: Annotated[float, BeforeValidator(_known_label)] = Field(examples=[1])
    label_time: Time = Field(default=None, examples=["2026-03-02T08:00:00Z"])
    event_time: Time = Field(default=None, examples=["2026-03-01T12:00:00.250Z"])


class Envelope(In):
    """What holds the rows of a batch."""

    source: Annotated[str, BeforeValidator(_source)] = Field(examples=["live"])
    batch_id: Annotated[str, BeforeValidator(_batch_id)] = Field(
        examples=["worker-3/000017"], min_length=1, max_length=LONGEST_TEXT
    )
    rows: list[Any] = Field(min_length=1, max_length=MOST_ROWS)


class EventBatch(Envelope):
    """Events to append; sending the same again changes nothing."""

    rows: list[EventRow] = Field(min_length=1, max_length=MOST_ROWS)


class LabelBatch(Envelope):
    """Late labels to append; sending the same again changes nothing."""

    rows: list[LabelRow] = Field(min_length=1, max_length=MOST_ROWS)


class Received(Out):
    """A batch that is kept; is_new: false if it was there already; digest: the SHA-256 of its rows as they are kept."""

    source: str
    batch_id: str
    is_new: bool
    rows: int = Field(examples=[2])
    digest: str


@lru_cache(maxsize=8)
def event_row(slice_columns: tuple[str, ...]) -> type[EventRow]:
    """Return the row of a log that is sliced by these columns."""
    # Under names of our own, because a column may have a name that is none for a field.
    fields: dict[str, Any] = {
        f"slice_{n}": (Words, Field(default=None, alias=name)) for n, name in enumerate(slice_columns)
    }
    return create_model("EventRow", __base__=EventRow, **fields)
