"""Calibration tables as a document: slices with traffic of another mask first, then those with bins that are off."""

from datetime import timedelta
from typing import Final

from calslo_dagster.errors import SnapshotError
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.tabulate_calibration import CalibrationTable, tabulate_calibration
from calslo_dagster.pipeline.views.slo import reliability_section
from calslo_dagster.pipeline.views.wanted import Wanted
from calslo_dagster.reporting.document import (
    Cell,
    Column,
    Document,
    Section,
    Table,
    count,
    number,
    numbers,
    rows_of,
    share,
    slice_cell,
    text,
)
from calslo_dagster.slo.calibration_table import Support
from calslo_dagster.slo.windows import DAY, EPOCH, day_of
from calslo_dagster.store import partials

# Tables are made from snapshots, which takes memory by the day.
MOST_DAYS: Final = 31
USUAL_DAYS: Final = 7
# Slices with a diagram of their own; the others are a line each.
DRAWN: Final = 6


def calibration(project: Project, wanted: Wanted) -> Document:
    """Return the calibration of each slice over the last days that there are snapshots of."""
    days = min(wanted.days, MOST_DAYS)
    with project.store.read() as session:
        end_us = partials.last_end(session, project.source_names)
    last = EPOCH + timedelta(microseconds=end_us) if end_us is not None else None
    until = wanted.until or last
    if until is None:
        return Document(wanted.view, "Calibration", ("There are no snapshots yet.",), "never", None, wanted.stated)
    final = day_of(until)
    span = [final - n * DAY for n in range(days)]
    try:
        found = tabulate_calibration(project, span)
    except SnapshotError as error:
        return Document(wanted.view, "Calibration", (str(error),), "error", until, wanted.stated)
    tables = [one for one in found if wanted.takes(wanted.slice, one.slice)]
    when = f"from {span[-1]} to {final}" if days > 1 else f"on {final}"
    sections = [Section("slices", "Slices, mask mismatches first", tables=(_summary(tables),))]
    supports = Table("supports", "Bins and what they were fitted on", *_supports(tables), empty=_NO_MASKS)
    sections.append(Section("supports", "Bins and what they were fitted on", tables=(supports,)))
    sections += [_drawn(one, when) for one in tables[:DRAWN] if one.bins]
    return Document(
        wanted.view,
        "Calibration",
        (_lead(tables, when),),
        "breached" if any(one.mismatch.foreign for one in tables) else "",
        until,
        wanted.stated,
        tuple(sections),
    )


_NO_MASKS: Final = "No manifest says what bins were fitted on; name manifests in the settings to have them compared."


def _lead(tables: list[CalibrationTable], when: str) -> str:
    foreign = sum(one.mismatch.foreign > 0 for one in tables)
    odd = sum(one.unsupported > 0 for one in tables)
    told = f"{len(tables):,} slices {when}"
    return f"{told}: {foreign:,} with events of another mask, {odd:,} with bins that do not fit what was fitted."


def _summary(tables: list[CalibrationTable]) -> Table:
    columns = (
        Column("slice", "Slice"),
        numbers("foreign", "Other mask"),
        numbers("foreign_share", "Share"),
        numbers("unsupported", "Unfit bins"),
        numbers("inconsistent", "Bins off"),
        numbers("bins", "Bins"),
        numbers("events", "Labelled"),
        numbers("p_value", "p of perfect"),
    )
    rows = [
        [
            slice_cell(one.slice),
            count(one.mismatch.foreign),
            share(one.mismatch.share),
            count(one.unsupported),
            count(one.inconsistent),
            count(len(one.bins)),
            count(sum(found.events for found in one.bins)),
            number(one.p_value),
        ]
        for one in tables
    ]
    caption = "Bins off: those whose own 95 % interval does not hold the mean score; one in twenty is by chance."
    return Table("slices", "Slices, mask mismatches first", columns, rows_of(rows), caption, "No slice matches.")


def _supports(tables: list[CalibrationTable]) -> tuple[tuple[Column, ...], tuple[tuple[Cell, ...], ...]]:
    columns = (
        Column("slice", "Slice"),
        Column("version", "Calibrator"),
        numbers("bin", "Bin"),
        numbers("lower", "From"),
        numbers("upper", "To"),
        numbers("fitted", "Fitted"),
        numbers("traffic", "Traffic"),
        Column("support", "Support"),
    )
    odd = (Support.NO_FIT, Support.NO_TRAFFIC)
    rows = [
        [
            slice_cell(one.slice),
            text(version),
            count(found.index + 1),
            number(found.lower),
            number(found.upper),
            count(found.fitted),
            count(found.traffic),
            Cell(found.support.value, found.support.value, state="warning"),
        ]
        for one in tables
        for version, every in one.supports.items()
        for found in every
        if found.support in odd
    ]
    return columns, rows_of(rows)


def _drawn(one: CalibrationTable, when: str) -> Section:
    section = reliability_section(one, when)
    name = "everything" if one.slice == "*" else one.slice
    return Section(f"slice-{one.slice}", name, section.texts, figures=section.figures, tables=section.tables)
