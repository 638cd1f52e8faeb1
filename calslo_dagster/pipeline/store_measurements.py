"""Store the measurements of some window ends of an SLO in place of those that were there."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from calslo_dagster.pipeline.context import Context
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.definition import definition
from calslo_dagster.slo.model import Measurement
from calslo_dagster.slo.windows import day_of
from calslo_dagster.store import definitions, evaluations, measurements, slices, slo_days, unfolded_days


def store_measurements(
    session: Session, context: Context, inputs: Mapping[datetime, str], rows: Sequence[Measurement]
) -> None:
    """Replace the rows of these window ends, with what they rest on, in the transaction of the session."""
    if not inputs:
        return
    slo, by_end = context.slo.name, dict[datetime, list[Measurement]]()
    for row in rows:
        by_end.setdefault(row.window_end, []).append(row)
    for run in _runs(list(inputs), context.step):
        taken = [row for end in run for row in by_end.get(end, [])]
        start, end = run[0] - context.step, run[-1]
        with slo_days.kept(session, slo, start=start, end=end):
            measurements.replace(session, slo, taken, start=start, end=end)
    evaluations.put(session, slo, inputs, at=context.now)
    definitions.add(session, [_edition(context)])
    slices.put(session, _slices(context.project, {row.slice for row in rows} - slices.names(session)))
    unfolded_days.mark(session, slo, sorted({day_of(end) for end in inputs}))


def _edition(context: Context) -> definitions.Definition:
    hash_ = context.provenance.definition_hash
    return definitions.Definition(hash_, context.slo.name, definition(context.slo), context.now)


def _slices(project: Project, names: Collection[str]) -> list[slices.SliceRow]:
    """Return the slices of these names with their values, which a long name does not hold in full."""
    keys = {name: key for name, key in project.slice_keys.items() if name in names}
    return [
        slices.SliceRow(name, ",".join(view), dict(zip(view, values, strict=True)))
        for name, (view, values) in keys.items()
    ]


def _runs(ends: Sequence[datetime], step: timedelta) -> list[list[datetime]]:
    """Return the window ends as runs without gaps, each replaced as one range."""
    runs: list[list[datetime]] = []
    for end in sorted(ends):
        if runs and end - runs[-1][-1] == step:
            runs[-1].append(end)
        else:
            runs.append([end])
    return runs
