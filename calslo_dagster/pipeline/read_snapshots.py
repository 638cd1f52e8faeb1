"""Snapshots as measurements need them: any window of any slice, with the partials that it rests on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from calslo_dagster.engine import read
from calslo_dagster.engine.facts import PANE_US
from calslo_dagster.engine.series import SnapshotSeries
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.slices import slice_name
from calslo_dagster.slo.windows import Window
from calslo_dagster.sources.base import micros
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.store import partials
from calslo_dagster.store.partials import Partial

# One window of a thousand slices takes about 70 MB.
MOST_RECENT: Final = 4


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The snapshots of all sources over one span; the partials in force when it was opened."""

    project: Project
    connection: DuckDBPyConnection
    span: Window
    listed: tuple[Partial, ...]

    def window(self, window: Window, *, version: str | None = None) -> dict[str, Snapshot]:
        """Return the snapshot of every slice that has rows in the window, by name; not to be changed.

        version: of this calibrator version alone. The SLOs of one minute look at the same few windows, so the last ones
        are kept. Folders are named by their content, which makes what is kept exact.
        """
        folders, recent = self._folders(window), self.project.recent_windows
        if version is not None:
            return self._read(folders, window, version)
        key = (window, *folders)
        if key not in recent:
            recent[key] = self._read(folders, window)
        while len(recent) > MOST_RECENT:
            recent.pop(next(iter(recent)))
        return recent[key]

    @property
    def folders(self) -> list[Path]:
        """The folders of the partials that hold the span."""
        return self._folders(self.span)

    def _read(self, folders: list[Path], window: Window, version: str | None = None) -> dict[str, Snapshot]:
        found = read.window(
            self.connection,
            folders,
            micros(window.start),
            micros(window.end),
            slice_columns=self.project.slice_columns,
            views=self.project.views,
            version=version,
        )
        return {self._name(key): snapshot for key, snapshot in found.items()}

    def seen(self, window: Window) -> set[str]:
        """Return the names of the slices that have rows in the window."""
        folders = self._folders(window)
        if known := self.project.recent_windows.get((window, *folders)):
            return set(known)
        found = read.seen(
            self.connection,
            folders,
            micros(window.start),
            micros(window.end),
            slice_columns=self.project.slice_columns,
            views=self.project.views,
        )
        return {self._name(key) for key in found}

    def series(self, width_us: int = PANE_US) -> Iterator[tuple[str, SnapshotSeries]]:
        """Yield every slice with its snapshots by pane of this width, one slice in memory at a time."""
        found = read.series(
            self.connection,
            self._folders(self.span),
            micros(self.span.start),
            micros(self.span.end),
            slice_columns=self.project.slice_columns,
            views=self.project.views,
            width_us=width_us,
        )
        for key, series in found:
            yield self._name(key), series

    def _name(self, key: read.SliceKey) -> str:
        name = slice_name(*key)
        self.project.slice_keys[name] = key
        return name

    def width_us(self, window: Window) -> int:
        """Return the width of the widest bucket in the window; edges of what is read must lie on multiples of it."""
        return max([PANE_US, *(max(p.totals_us, p.cells_us) for p in self._of(window))])

    def _of(self, window: Window) -> list[Partial]:
        start, end = micros(window.start), micros(window.end)
        return [p for p in self.listed if p.span_start_us < end and p.span_end_us > start]

    def _folders(self, window: Window) -> list[Path]:
        return [self.project.partials / partial.path for partial in self._of(window) if partial.path]


def snapshots_over(project: Project, connection: DuckDBPyConnection, span: Window) -> Snapshots:
    """Return the snapshots over `span` as they are now."""
    start, end = micros(span.start), micros(span.end)
    with project.store.read() as session:
        listed = [
            partial
            for source in project.source_names
            for partial in partials.overlapping(session, source, start_us=start, end_us=end)
        ]
    return Snapshots(project, connection, span, tuple(listed))
