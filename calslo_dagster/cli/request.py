"""From the options of `calslo evaluate` and the settings to what is measured."""

from collections.abc import Iterator
from dataclasses import fields, replace

import click

from calslo_dagster import __version__
from calslo_dagster.cli.config import doubts_of
from calslo_dagster.cli.options import WINDOWS, Options
from calslo_dagster.errors import SettingsError
from calslo_dagster.pipeline.evaluate_files import Request
from calslo_dagster.plugins import load_registry
from calslo_dagster.settings import Settings
from calslo_dagster.settings.checks import ECE_BOUND
from calslo_dagster.settings.sources import AnySource, DemoSource, FileSource, FormatName, IngestSource, TableSource
from calslo_dagster.slo.model import Manifest
from calslo_dagster.slo.parameters import unknown_name
from calslo_dagster.sources.base import EARLIEST, ColumnMap, FileFormat, SourceSpec, TimeUnit

# Of label feeds, not of logs.
_NOT_OF_LOGS = "label_time"


def request_of(options: Options, settings: Settings) -> Request:
    """Return what to measure; a mistake in the options is a UsageError, one in the settings a SettingsError."""
    registry = load_registry(settings)
    section, named = _section(settings, options.source), _named_columns(options)
    names = {} if section is None or isinstance(section, DemoSource | IngestSource) else section.slice_columns
    engine = settings.engine_settings()
    try:
        return Request(
            source=_spec(section, options, named),
            slos=tuple(registry.find(name) for name in dict.fromkeys(options.names)) or tuple(registry),
            slices={name: names.get(name, name) for name in dict.fromkeys(options.slices)},
            columns=tuple(named.values()),
            window=WINDOWS[options.window],
            manifests=_manifests(settings),
            aggregate=settings.aggregate_spec(()),
            # Without a folder of its own in the settings the engine takes the system's: evaluating leaves no trace.
            engine=engine if settings.engine.temp_directory else replace(engine, temp_directory=None),
            code_version=__version__,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def doubts(request: Request, settings: Settings) -> Iterator[str]:
    """Yield what the settings say of the measured SLOs that can be meant, and hardly is."""
    if any(slo.name == ECE_BOUND for slo in request.slos):
        yield from (f"warning: {doubt}" for doubt in doubts_of(settings))


def _section(settings: Settings, name: str | None) -> AnySource | None:
    """Return the source of the settings whose files these are like; None if none was named."""
    if name is None:
        return None
    known = {source.name: source for source in settings.logs}
    if name not in known:
        raise SettingsError(unknown_name("source", name, known))
    return known[name]


def _named_columns(options: Options) -> dict[str, str]:
    """Return the user's column for each canonical one that the options name."""
    known = {field.name: field for field in fields(ColumnMap) if field.name != _NOT_OF_LOGS}
    found = dict[str, str]()
    for pair in options.columns:
        name, equals, column = pair.partition("=")
        if not equals or not column:
            raise click.UsageError(f"--column {pair}: write it as NAME=COL, such as weight=w")
        if name not in known:
            raise click.UsageError(f"--column {pair}: {unknown_name('input', name, known)}")
        found[name] = column
    flags = {"event_time": options.time_column, "score": options.score_column, "label": options.label_column}
    return found | {name: column for name, column in flags.items() if column is not None}


def _spec(section: AnySource | None, options: Options, named: dict[str, str]) -> SourceSpec:
    """Return how the files are read: as the options say, else as the source's section does, else by default."""
    base = SourceSpec(name="log", paths=options.paths)
    if isinstance(section, (FileSource, TableSource)):
        base = replace(
            base,
            model=section.model,
            columns=ColumnMap(**section.columns.model_dump()),
            time_zone=section.time_zone,
            time_unit=TimeUnit(section.time_unit) if section.time_unit else None,
            earliest=section.earliest or EARLIEST,
        )
    if isinstance(section, FileSource):
        form = None if section.format is FormatName.AUTO else FileFormat(section.format)
        base = replace(base, format=form, hive=section.hive, delimiter=section.delimiter)
    return replace(
        base,
        columns=replace(base.columns, **named),
        time_zone=options.time_zone or base.time_zone,
        time_unit=TimeUnit(options.time_unit) if options.time_unit else base.time_unit,
        format=FileFormat(options.input_format) if options.input_format else base.format,
    )


def _manifests(settings: Settings) -> tuple[Manifest, ...]:
    """Return what was fitted; the demo's own file is there only after a demo."""
    demo = settings.demo_folder
    files = [path for path in settings.manifest_files if path.exists() or not path.is_relative_to(demo)]
    if not files:
        return ()
    from calslo_dagster.pipeline.load_manifests import read_manifests  # noqa: PLC0415 - brings the state store with it

    return tuple(manifest for path in files for manifest in read_manifests(path))
