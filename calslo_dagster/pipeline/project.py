"""A project: the settings and everything that they open."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from calslo_dagster import __version__
from calslo_dagster.plugins import load_registry
from calslo_dagster.settings import Settings
from calslo_dagster.slo.model import SLO, Cadence
from calslo_dagster.slo.registry import Registry
from calslo_dagster.slo.trials import Mode
from calslo_dagster.slo.windows import DAY
from calslo_dagster.stats.grid import GRID_ID
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.store.migrations import upgrade
from calslo_dagster.store.session import Store, open_store
from calslo_dagster.store.views import sync_views

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from calslo_dagster.engine.read import SliceKey
    from calslo_dagster.engine.spec import AggregateSpec
    from calslo_dagster.sources.base import LabelFeed, Source


@dataclass(frozen=True, slots=True)
class Log:
    """A prediction log with the feed of its late labels, if it has one."""

    events: "Source"
    labels: "LabelFeed | None" = None

    @property
    def name(self) -> str:
        """The name of the source in the settings."""
        return self.events.spec.name


@dataclass(frozen=True, slots=True)
class Project:
    """What every stage works with."""

    settings: Settings
    store: Store
    registry: Registry
    code_version: str = __version__
    slice_keys: "dict[str, SliceKey]" = field(default_factory=dict, repr=False)
    recent_windows: dict[tuple[object, ...], dict[str, Snapshot]] = field(default_factory=dict, repr=False)

    @contextmanager
    def engine(self) -> "Iterator[DuckDBPyConnection]":
        """Yield a DuckDB connection as the settings say, closed at the end."""
        from calslo_dagster.engine.connect import connect  # noqa: PLC0415 - the web process does without its memory

        connection = connect(self.settings.engine_settings())
        try:
            yield connection
        finally:
            connection.close()

    @property
    def partials(self) -> Path:
        """The folder of all snapshot partials."""
        return self.settings.home / "snapshots"

    @property
    def slice_columns(self) -> tuple[str, ...]:
        """The columns that make slices, in the order of their names."""
        return self.settings.slices.columns

    @property
    def views(self) -> tuple[tuple[str, ...], ...]:
        """The subsets of the slice columns that are measured."""
        return self.settings.slices.measured

    @property
    def source_names(self) -> tuple[str, ...]:
        """The names of the prediction logs."""
        return tuple(source.name for source in self.settings.logs)

    @property
    def models(self) -> frozenset[str]:
        """The models that the settings name; the demo's are in its manifests."""
        return frozenset(source.model for source in self.settings.logs if source.kind != "demo")

    @property
    def days_back(self) -> int:
        """How many days before the day that they end on windows reach into."""
        longest = max(
            (slo.window + self._age(slo) for slo in self.registry if slo.cadence is Cadence.MINUTE), default=DAY
        )
        return max(1, -(-longest // DAY))

    def _age(self, slo: SLO) -> timedelta:
        """Return how far a measurement lags behind the events that it looks at."""
        is_lagging = slo.mode is Mode.EVIDENCE and "label" in slo.needs
        return self.settings.label_maturity if is_lagging else timedelta(0)

    def logs(self, now: datetime) -> list[Log]:
        """Open the prediction logs and their label feeds; `now` bounds what counts as a believable time."""
        from calslo_dagster.sources import open_feed, open_source  # noqa: PLC0415 - the web process does without its memory

        feeds = {spec.name: open_feed(spec) for spec in self.settings.label_specs(now)}
        return [Log(open_source(spec), feeds.get(spec.name)) for spec in self.settings.source_specs(now)]

    def aggregate_spec(self) -> "AggregateSpec":
        """Return how events become facts."""
        return self.settings.aggregate_spec(self.slice_columns)

    def reading_digest(self, log: Log) -> str:
        """Return what identifies how a log is read: partials made under another reading are out of date."""
        spec = log.events.spec
        parts = (GRID_ID, spec.columns, sorted(spec.slice_columns.items()), spec.time_zone, spec.time_unit)
        return sha256(repr((parts, self.aggregate_spec())).encode()).hexdigest()


def open_project(settings: Settings, *, migrate: bool = False) -> Project:
    """Open the state store and load the SLOs; `migrate` brings the store's schema up to date first."""
    settings.home.mkdir(parents=True, exist_ok=True)
    for folder in settings.ingest_folders.values():
        # A source without its folders is an error, and before the first batch nothing is wrong.
        for feed in ("events", "labels"):
            (folder / feed).mkdir(parents=True, exist_ok=True)
    if migrate:
        upgrade(settings.store_url)
    project = Project(settings, open_store(settings.store_url), load_registry(settings))
    if migrate:
        with project.store.write() as session:
            sync_views(session, project.registry.names)
    return project
