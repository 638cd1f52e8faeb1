"""The small sections of the settings file."""

from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from calslo_dagster.settings.section import Section
from calslo_dagster.settings.types import Count, Duration, Memory, Ratio, Text, duration_text

_DAY = timedelta(days=1)


class LabelPolicy(StrEnum):
    """Which label counts when several arrive for one prediction."""

    FIRST = "first"
    LAST = "last"


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    lower = [value.lower() for value in values]
    twice = sorted({value for value in lower if lower.count(value) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)} is named twice, letter case aside; keep one")
    return values


def _whole_days(periods: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    broken = [duration_text(period) for period in periods if period % _DAY]
    if broken:
        raise ValueError(f"{', '.join(broken)} is not a whole number of days; write 1d, 7d or 28d")
    return tuple(dict.fromkeys(periods))


def _monday(day: date) -> date:
    if day.weekday():
        before = day - timedelta(days=day.weekday())
        raise ValueError(f"{day} is no Monday, and the demo plays in whole ISO weeks; write {before}")
    return day


class EngineSection(Section):
    """How much of the machine the aggregation may use."""

    threads: Count | None = None
    """Threads of the engine; 2 unless told."""
    memory_limit: Memory | None = None
    """Memory of the engine, such as 2GB, 360MB unless told; work beyond it goes to disk."""
    temp_directory: Text | None = None
    """Where it goes to disk, with room for a copy of the rows of one run; a folder below `home` unless told."""


class SliceSection(Section):
    """The segments of traffic that are measured apart."""

    columns: Annotated[tuple[Text, ...], AfterValidator(_distinct)] = ("intent", "language")
    """The columns whose values make a slice, in the order slices are named; `[]` for no slices."""
    views: tuple[tuple[Text, ...], ...] | None = None
    """Subsets of the columns to measure; everything (`[]`) and all columns together unless told."""

    @model_validator(mode="after")
    def _views_are_subsets(self) -> Self:
        unknown = sorted({column for view in self.views or () for column in view} - set(self.columns))
        if unknown:
            raise ValueError(f"views name {', '.join(unknown)}, which slices.columns does not; add it there")
        return self

    @property
    def measured(self) -> tuple[tuple[str, ...], ...]:
        """The subsets of the columns to measure, each in the order of the columns."""
        views = ((), self.columns) if self.views is None else self.views
        ordered = (tuple(column for column in self.columns if column in view) for view in views)
        return tuple(dict.fromkeys(ordered))


class ClampSection(Section):
    """The bounds that the calibrator keeps its output within; a score at one of them counts as clamped."""

    low: Ratio | None = None
    """The smallest score that the calibrator gives."""
    high: Ratio | None = None
    """The largest score that the calibrator gives."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}; every score would count as clamped")
        return self


class RetentionSection(Section):
    """How long each kind of record is kept."""

    totals: Duration = timedelta(days=30)
    """Totals by the minute."""
    panes: Duration = timedelta(days=35)
    """Snapshots by the quarter of an hour."""
    hours: Duration = timedelta(days=400)
    """Snapshots by the hour; those by the day are always kept."""
    measurements: Duration = timedelta(days=400)
    """Measurements of SLOs."""
    messages: Duration = timedelta(days=90)
    """Messages in the outbox that were delivered or given up."""
    runs: Duration = timedelta(days=14)
    """Runs of the orchestrator and their logs."""


class AvailabilitySection(Section):
    """The spans that availability, MTTR and MTBF are reported for."""

    periods: Annotated[tuple[Duration, ...], Field(min_length=1), AfterValidator(_whole_days)] = (
        timedelta(days=7),
        timedelta(days=28),
    )
    """Whole days, such as 7d or 28d."""


class DemoSection(Section):
    """The simulated prediction log."""

    seed: Annotated[int, Field(ge=0)] = 11
    """The same seed gives the same log."""
    days: Annotated[int, Field(ge=1, le=400)] = 14
    """Days of history; the incidents happen in the last 14."""
    end: Annotated[date, AfterValidator(_monday)] | None = None
    """The day after the last one, a Monday; the latest Monday unless told."""
    events_per_day: Annotated[int, Field(ge=1_000)] = 92_000
    """Predictions a day."""
