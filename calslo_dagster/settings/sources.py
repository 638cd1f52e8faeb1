"""The `sources` section: where prediction logs and label feeds lie, and how to read them."""

from enum import StrEnum
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Discriminator, Field, Tag

from calslo_dagster.settings.section import Section
from calslo_dagster.settings.types import Instant, Name, Text, Url


class FormatName(StrEnum):
    """How a file is written; `auto` goes by the ending of its name."""

    AUTO = "auto"
    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


class UnitName(StrEnum):
    """What one is, when times are written as numbers since 1970 UTC."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write an IANA name such as UTC or Europe/Berlin") from None
    return name


TimeZone = Annotated[str, AfterValidator(_zone)]


class ColumnSection(Section):
    """Your column for each canonical one; a column that is left out has its canonical name."""

    event_time: Text = "event_time"
    """When the prediction was made; required in prediction logs."""
    score: Text = "score"
    """The calibrated probability, 0 to 1; required in prediction logs."""
    label: Text = "label"
    """What came true: 0, 1 or null; required in label feeds."""
    prediction_id: Text = "prediction_id"
    """Joins late labels and removes duplicates; required in label feeds."""
    weight: Text = "weight"
    """How much the event counts, 0 or more; 1 without such a column."""
    latency_us: Text = "latency_us"
    """How long the calibration took, in microseconds."""
    clamped: Text = "clamped"
    """Whether the calibrator clamped the score."""
    clamp_alpha: Text = "clamp_alpha"
    """The calibrator's clamp parameter."""
    calibrator_version: Text = "calibrator_version"
    """The version of the calibrator, as in its manifest."""
    mask_id: Text = "mask_id"
    """Which fit mask the calibrator used."""
    label_time: Text = "label_time"
    """When the label was written; in label feeds only."""


class Feed(Section):
    """What prediction logs and label feeds have in common."""

    columns: ColumnSection = Field(default_factory=ColumnSection)
    """Your column for each canonical one, `canonical: yours`."""
    time_zone: TimeZone | None = None
    """The zone of times that are written without one; without this key such times are refused."""
    time_unit: UnitName | None = None
    """The unit of times that are written as numbers since 1970 UTC."""
    earliest: Instant | None = None
    """Times before this one are counted as bad; 2000-01-01 unless told."""


class FileFeed(Feed):
    """A feed of late labels in files."""

    kind: Literal["files"] = "files"
    """Files on disk."""
    paths: tuple[Text, ...] = Field(min_length=1)
    """Files, folders (read with everything below them) and globs; relative ones start at the folder of this file."""
    format: FormatName = FormatName.AUTO
    """How the files are written; CSV and JSONL may end in .gz or .zst."""
    hive: bool = True
    """Folders named `column=value` are columns."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """The one character between the values of a CSV file."""


class TableFeed(Feed):
    """A feed of late labels in a table of a database."""

    kind: Literal["sql"]
    """A table or view of a database."""
    url: Url
    """The database; one with a password is `env:NAME` or `file:PATH`."""
    table: Text
    """The table or view, with its schema if it needs one."""
    cursor: str = ""
    """A column that grows with every write, so that changed rows are noticed."""


def _kind(data: Any) -> str:
    given = data.get("kind", "files") if isinstance(data, dict) else getattr(data, "kind", "files")
    return given if isinstance(given, str) else "?"


Labels = Annotated[
    Annotated[FileFeed, Tag("files")] | Annotated[TableFeed, Tag("sql")],
    Discriminator(_kind),
]


class FileSource(FileFeed):
    """A prediction log in files."""

    name: Name
    """The name of the source in tables, alerts and on disk."""
    model: Text = "default"
    """The model that made the predictions."""
    slice_columns: dict[str, Text] = Field(default_factory=dict)
    """Your column for each of `slices.columns` that has another name in this log."""
    labels: Labels | None = None
    """Where labels arrive later, joined by `prediction_id`."""


class TableSource(TableFeed):
    """A prediction log in a table of a database."""

    name: Name
    """The name of the source in tables, alerts and on disk."""
    model: Text = "default"
    """The model that made the predictions."""
    slice_columns: dict[str, Text] = Field(default_factory=dict)
    """Your column for each of `slices.columns` that has another name in this log."""
    labels: Labels | None = None
    """Where labels arrive later, joined by `prediction_id`."""


class DemoSource(Section):
    """The simulated prediction log that section `demo` shapes."""

    kind: Literal["demo"]
    """A simulated log with scripted incidents."""
    name: Name = "demo"
    """The name of the source in tables, alerts and on disk."""


class IngestSource(Section):
    """A prediction log whose events and late labels programs send over the REST API."""

    kind: Literal["ingest"]
    """Batches of rows that come over the REST API, kept below `home`."""
    name: Name
    """The name of the source in tables, alerts, on disk, and in the requests that send rows."""
    model: Text = "default"
    """The model that made the predictions."""


AnySource = FileSource | TableSource | DemoSource | IngestSource
Source = Annotated[
    Annotated[FileSource, Tag("files")]
    | Annotated[TableSource, Tag("sql")]
    | Annotated[DemoSource, Tag("demo")]
    | Annotated[IngestSource, Tag("ingest")],
    Discriminator(_kind),
]
