"""Calibration tables of each slice over some days, and where evaluation has left what was fitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from calslo_dagster.pipeline.context import expected_manifests
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.calibration_table import (
    BinSupport,
    CalibrationBin,
    MaskMismatch,
    Support,
    calibration_table,
    manifest_table,
    mask_mismatch,
    support,
)
from calslo_dagster.slo.model import Manifest
from calslo_dagster.slo.windows import Window, day_span
from calslo_dagster.stats.bins import default_bins
from calslo_dagster.stats.omnibus import calibration_p_value
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster.store import manifests

Fitted = dict[tuple[str, str], Manifest]


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """One slice: its bins, the support of each bin by calibrator version, and the events of another mask.

    p_value: of perfect calibration, by `calibration_p_value`; None where labels cannot tell.
    """

    slice: str
    bins: tuple[CalibrationBin, ...]
    supports: dict[str, tuple[BinSupport, ...]]
    mismatch: MaskMismatch
    p_value: float | None = None

    @property
    def unsupported(self) -> int:
        """Bins, over all versions, that have traffic but were not fitted, or were fitted and have no traffic."""
        odd = (Support.NO_FIT, Support.NO_TRAFFIC)
        return sum(one.support in odd for found in self.supports.values() for one in found)

    @property
    def inconsistent(self) -> int:
        """Bins whose interval of the observed rate does not hold the mean score."""
        return sum(not one.is_consistent for one in self.bins)


def tabulate_calibration(project: Project, days: Sequence[date]) -> list[CalibrationTable]:
    """Return the tables of every slice over the days, mask mismatches first, then the most inconsistent bins."""
    from calslo_dagster.pipeline.read_snapshots import snapshots_over  # noqa: PLC0415 - the web process does without its memory

    span = Window(day_span(min(days)).start, day_span(max(days)).end)
    with project.store.read() as session:
        fitted = {(manifest.version, manifest.slice): manifest for manifest in manifests.every(session)}
    with project.engine() as connection:
        found = snapshots_over(project, connection, span).window(span)
    tables = [_table(name, snapshot, fitted) for name, snapshot in found.items()]
    return sorted(tables, key=lambda t: (-t.mismatch.foreign, -t.unsupported, -t.inconsistent, t.slice))


def tabulate_slice(project: Project, slice_name: str, days: Sequence[date]) -> CalibrationTable | None:
    """Return the table of one slice over the days, None if it has no traffic in them."""
    from calslo_dagster.pipeline.read_snapshots import snapshots_over  # noqa: PLC0415 - the web process does without its memory

    span = Window(day_span(min(days)).start, day_span(max(days)).end)
    with project.store.read() as session:
        fitted = {(manifest.version, manifest.slice): manifest for manifest in manifests.every(session)}
    with project.engine() as connection:
        found = snapshots_over(project, connection, span).window(span).get(slice_name)
    return _table(slice_name, found, fitted) if found else None


def _table(name: str, snapshot: Snapshot, fitted: Fitted) -> CalibrationTable:
    """Bins are those of the manifest where one version with edges served the slice, else of equal mass."""
    expected = expected_manifests(fitted, snapshot, name)
    edged = [manifest for manifest in expected.values() if manifest.edges]
    if len(edged) == 1:
        bins = manifest_table(snapshot, edged[0])
    else:
        bins = calibration_table(snapshot, default_bins(snapshot.labeled)) if snapshot.labeled else ()
    supports = {one.version: support(snapshot, one, [other for other in edged if other is not one]) for one in edged}
    p_value = calibration_p_value(snapshot).value
    return CalibrationTable(name, bins, supports, mask_mismatch(snapshot, expected), p_value)
