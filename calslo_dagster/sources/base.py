"""What a source is: where rows come from, the units it splits into, and what the check of a unit found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.slo.windows import EPOCH

if TYPE_CHECKING:
    import duckdb

EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD: Final = timedelta(days=1)
BAD_TIME: Final = "bad_time"
DUPLICATES: Final = "duplicates"

EVENT_COLUMNS: Final = (
    *("event_us", "score", "label", "prediction_id", "weight", "latency_us"),
    *("clamped", "clamp_alpha", "calibrator_version", "mask_id"),
)
LABEL_COLUMNS: Final = ("prediction_id", "label", "label_us", "event_us")

Span = tuple[int, int]


class SourceKind(StrEnum):
    """Where rows live."""

    FILES = "files"
    SQL = "sql"


class FileFormat(StrEnum):
    """How a file is written; CSV and JSONL may be compressed (`.gz`, `.zst`)."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


class TimeUnit(StrEnum):
    """What one is, when times are numbers since 1970 UTC."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """The user's column for each canonical one; a column that does not exist is null, unless it is required."""

    event_time: str = "event_time"
    score: str = "score"
    label: str = "label"
    prediction_id: str = "prediction_id"
    weight: str = "weight"
    latency_us: str = "latency_us"
    clamped: str = "clamped"
    clamp_alpha: str = "clamp_alpha"
    calibrator_version: str = "calibrator_version"
    mask_id: str = "mask_id"
    label_time: str = "label_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSpec:
    """Where rows lie and how they are written; what logs and label feeds have in common.

    paths: files, directories (read recursively) and globs; format: None goes by the ending of the file's name; hive:
    `col=value` directories are columns; url, table: a table or view, as SQLAlchemy names them; cursor: a column of the
    table that grows with every write, so that changed rows are noticed; time_zone: the zone of times written without
    one; time_unit: the unit of times written as numbers; earliest, latest: times outside are bad (latest None is one
    day ahead of the check).
    """

    name: str
    model: str = "default"
    kind: SourceKind = SourceKind.FILES
    paths: tuple[str, ...] = ()
    format: FileFormat | None = None
    hive: bool = True
    delimiter: str = ","
    # A URL may hold a password, which must not get into a log by way of a repr.
    url: str = field(default="", repr=False)
    table: str = ""
    cursor: str = ""
    columns: ColumnMap = ColumnMap()
    time_zone: str | None = None
    time_unit: TimeUnit | None = None
    earliest: datetime = EARLIEST
    latest: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be read by anyone."""
        if self.kind is SourceKind.FILES and not self.paths:
            raise ValueError(f"source {self.name!r} names no paths")
        if self.kind is SourceKind.SQL and not (self.url and self.table):
            raise ValueError(f"source {self.name!r} needs a url and a table")
        if len(self.delimiter) != 1:
            raise ValueError(f"delimiter must be one character, got {self.delimiter!r}")
        if self.earliest.tzinfo is None or (self.latest is not None and self.latest.tzinfo is None):
            raise ValueError("earliest and latest need a time zone")
        if self.time_zone is not None:
            _known_zone(self.time_zone)

    def bounds_us(self, now: datetime | None = None) -> tuple[int, int | None]:
        """Return the half-open span of good times, in whole hours so that an hour is good or bad as a whole."""
        latest = self.latest if self.latest is not None or now is None else now + AHEAD
        end = None if latest is None else (micros(latest) // HOUR_US + 1) * HOUR_US
        return micros(self.earliest) // HOUR_US * HOUR_US, end


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec(FeedSpec):
    """A prediction log. slice_columns: the user's column for each slice name, in the order slices are named."""

    slice_columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        """Refuse slice names that would hide a canonical column."""
        # The class is rebuilt for its slots, which breaks super() without arguments.
        FeedSpec.__post_init__(self)
        for name in self.slice_columns:
            if not name or name.lower() in (*EVENT_COLUMNS, "event_time"):
                raise ValueError(f"{name!r} cannot name a slice column; choose another name for it")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSpec(FeedSpec):
    """A feed of late labels, joined to predictions by their id."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The part of a source that is checked and read as a whole: a file, or an hour of a table.

    fingerprint: changes when the content does; path, format: of a file; hour_us: start of the hour of a table; keys:
    how times of that hour begin, where a table keeps them as text; problem: why it could not even be listed.
    """

    name: str
    fingerprint: str
    path: Path | None = None
    format: FileFormat | None = None
    hour_us: int | None = None
    keys: tuple[str, ...] = ()
    problem: str = ""
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Intake:
    """What the one check of a unit found.

    rows: all of them; hours: good rows by the start of their hour (of a label feed: of the event, where the feed
    tells); rejected: rows by reason, here only `bad_time`; columns: canonical and slice names with at least one value;
    error: what is wrong and what to do, then nothing of the unit counts; retry: the error may pass by itself; content:
    of a file, what tells it from all that hold something else (`contents.content_of`); copy_of: the unit that holds the
    same and is counted in its place.
    """

    unit: Unit
    rows: int = 0
    hours: Mapping[int, int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    first_us: int | None = None
    last_us: int | None = None
    columns: tuple[str, ...] = ()
    error: str | None = None
    retry: bool = False
    content: str = ""
    copy_of: str = ""


class Source(Protocol):
    """A prediction log."""

    @property
    def spec(self) -> SourceSpec:
        """What the settings say of it."""
        ...

    def units(self, window_us: Span | None = None) -> list[Unit]:
        """Return the units there are now, by name; tables are asked only for the hours of the window."""
        ...

    def intake(self, connection: "duckdb.DuckDBPyConnection", unit: Unit, now: datetime) -> Intake:
        """Check one unit: that it can be read, what it covers, which rows have no usable time."""
        ...

    def relation(
        self, connection: "duckdb.DuckDBPyConnection", units: Sequence[Unit], span_us: Span | None = None
    ) -> str:
        """Return a SELECT of the canonical events of units that passed their check, at most those of the span."""
        ...


class LabelFeed(Protocol):
    """A feed of late labels."""

    @property
    def spec(self) -> LabelSpec:
        """What the settings say of it."""
        ...

    def units(self, window_us: Span | None = None) -> list[Unit]:
        """Return the units there are now; their order by name is the order of the batches."""
        ...

    def intake(self, connection: "duckdb.DuckDBPyConnection", unit: Unit, now: datetime) -> Intake:
        """Check one unit: that it can be read, and which hours of events it labels, where the feed tells."""
        ...

    def label_relation(
        self, connection: "duckdb.DuckDBPyConnection", units: Sequence[Unit], span_us: Span | None = None
    ) -> str:
        """Return a SELECT of the canonical labels; with a span, those of its events and of events of unknown time."""
        ...


def micros(instant: datetime) -> int:
    """Return microseconds since 1970 UTC, exactly."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def _known_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write an IANA name such as UTC or Europe/Berlin") from None
