"""Read the course of an SLO on a slice: its values, limits and intervals over a span, for charts."""

from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.reporting.points import Course, point_of, thinned
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.windows import Window, window_ends
from calslo_dagster.store import measurements


def course(project: Project, slo: SLO, slice_name: str, *, span: Window, points: int = 400) -> Course:
    """Return the SLO's course on the slice over windows that end in the span, in at most so many points."""
    with project.store.read() as session:
        ends = window_ends(span.start, span.end, step_of(project, slo))
        rows = measurements.at_ends(session, slo.name, slice_name, ends)
    found = thinned([point_of(row) for row in rows], points, slo.objective.operator)
    return Course(slo.name, slice_name, slo.unit, slo.objective.operator, found, windows=len(rows))
