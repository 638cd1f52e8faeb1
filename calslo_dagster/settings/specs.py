"""What the lower floors need of the settings, as their own plain values.

Imported when first asked for: these types bring the engine with them, which reading the settings must not wait for.
"""

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from calslo_dagster.engine.connect import EngineSettings
from calslo_dagster.engine.spec import AggregateSpec
from calslo_dagster.errors import SettingsError
from calslo_dagster.settings.document import Loc
from calslo_dagster.settings.model import Settings
from calslo_dagster.settings.sources import DemoSource, FileFeed, FormatName, IngestSource, TableFeed
from calslo_dagster.slo.availability import exact
from calslo_dagster.slo.budget import TIERS, Tier
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.windows import Window
from calslo_dagster.sources.base import (
    AHEAD,
    EARLIEST,
    ColumnMap,
    FileFormat,
    LabelSpec,
    SourceKind,
    SourceSpec,
    TimeUnit,
)
from calslo_dagster.sources.demo.spec import EVENTS, LABELS, DemoSpec, latest_monday


def engine_settings(settings: Settings) -> EngineSettings:
    """Return what the engine may use of the machine."""
    section, usual = settings.engine, EngineSettings()
    folder = settings.path(section.temp_directory) if section.temp_directory else settings.home / "tmp"
    return EngineSettings(
        threads=section.threads or usual.threads,
        memory_limit=section.memory_limit or usual.memory_limit,
        temp_directory=folder,
    )


def aggregate_spec(settings: Settings, slice_columns: tuple[str, ...] | None = None) -> AggregateSpec:
    """Return how rows become facts; other slice columns than the file's may be given."""
    columns = settings.slices.columns if slice_columns is None else slice_columns
    try:
        return AggregateSpec(
            slice_columns=columns,
            latency_limit_us=settings.latency_limit_us,
            clamp_low=settings.clamp.low,
            clamp_high=settings.clamp.high,
        )
    except ValueError as error:
        raise SettingsError(str(settings.mistake(("slices", "columns"), str(error)))) from error


def source_specs(settings: Settings, now: datetime | None = None) -> tuple[SourceSpec, ...]:
    """Return the prediction logs, in the order of the file."""
    return tuple(_log(settings, index, _latest(now)) for index in range(len(settings.logs)))


def label_specs(settings: Settings, now: datetime | None = None) -> tuple[LabelSpec, ...]:
    """Return the label feeds; each has the name of the source whose predictions it labels."""
    return tuple(
        spec for index in range(len(settings.logs)) if (spec := _labels(settings, index, _latest(now))) is not None
    )


def demo_spec(settings: Settings, now: datetime) -> DemoSpec:
    """Return the size of the demo; without an end in the settings it ends on the Monday before `now`."""
    section = settings.demo
    end = datetime.combine(section.end, time(), UTC) if section.end else latest_monday(now)
    return DemoSpec(end=end, seed=section.seed, days=section.days, events_per_day=section.events_per_day)


def exclusions(settings: Settings) -> tuple[Exclusion, ...]:
    """Return the agreed maintenance, one entry per pattern of SLO names."""
    return tuple(
        Exclusion(
            span=Window(entry.start, entry.end),
            reason=entry.reason,
            approved_by=entry.author,
            slos=pattern,
            slices=entry.slices,
            models=entry.models,
        )
        for entry in settings.exclusions
        for pattern in entry.slos
    )


def burn_tiers(settings: Settings) -> tuple[Tier, ...]:
    """Return the tiers of burn rate alerts: the file's own, else the built-in ones."""
    if settings.burn.tiers is None:
        return TIERS
    return tuple(Tier(tier.name, exact(tier.share), tier.long, tier.short) for tier in settings.burn.tiers)


def _latest(now: datetime | None) -> datetime | None:
    """Return from when on a time is bad; without `now` each check takes its own."""
    return None if now is None else now + AHEAD


def _log(settings: Settings, index: int, latest: datetime | None) -> SourceSpec:
    source = settings.logs[index]
    names = {} if isinstance(source, DemoSource | IngestSource) else source.slice_columns
    columns = {column: names.get(column, column) for column in settings.slices.columns}
    if isinstance(source, DemoSource):
        return SourceSpec(
            name=source.name, slice_columns=columns, latest=latest, paths=_below(settings.demo_folder, EVENTS)
        )
    if isinstance(source, IngestSource):
        sent = _sent(settings, source.name, EVENTS)
        return SourceSpec(name=source.name, model=source.model, slice_columns=columns, latest=latest, **sent)
    common = _common(settings, source, ("sources", index))
    try:
        return SourceSpec(name=source.name, model=source.model, slice_columns=columns, latest=latest, **common)
    except ValueError as error:
        raise SettingsError(str(settings.mistake(("sources", index), str(error)))) from error


def _labels(settings: Settings, index: int, latest: datetime | None) -> LabelSpec | None:
    source = settings.logs[index]
    if isinstance(source, DemoSource):
        return LabelSpec(name=source.name, latest=latest, paths=_below(settings.demo_folder, LABELS))
    if isinstance(source, IngestSource):
        return LabelSpec(name=source.name, model=source.model, latest=latest, **_sent(settings, source.name, LABELS))
    if source.labels is None:
        return None
    common = _common(settings, source.labels, ("sources", index, "labels"))
    return LabelSpec(name=source.name, model=source.model, latest=latest, **common)


def _common(settings: Settings, feed: FileFeed | TableFeed, loc: Loc) -> dict[str, Any]:
    """Return what logs and label feeds have in common, as keyword arguments of their specs."""
    found: dict[str, Any] = {
        "columns": ColumnMap(**feed.columns.model_dump()),
        "time_zone": feed.time_zone,
        "time_unit": TimeUnit(feed.time_unit) if feed.time_unit else None,
        "earliest": feed.earliest or EARLIEST,
    }
    if isinstance(feed, TableFeed):
        url = settings.resolve(feed.url, (*loc, "url"))
        return found | {"kind": SourceKind.SQL, "url": url, "table": feed.table, "cursor": feed.cursor}
    return found | {
        "kind": SourceKind.FILES,
        "paths": tuple(str(settings.path(path)) for path in feed.paths),
        "format": None if feed.format is FormatName.AUTO else FileFormat(feed.format),
        "hive": feed.hive,
        "delimiter": feed.delimiter,
    }


def _sent(settings: Settings, name: str, feed: str) -> dict[str, Any]:
    """Return where the rows lie that came over the REST API; a folder named `a=b` above them is no column."""
    paths = _below(settings.ingest_folders[name], feed)
    return {"paths": paths, "format": FileFormat.PARQUET, "hive": False}


def _below(folder: Path, name: str) -> tuple[str, ...]:
    return (str(folder / name),)
