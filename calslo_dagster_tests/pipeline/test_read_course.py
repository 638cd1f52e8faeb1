"""A course for a chart has every breach in it, however few points it may have."""

import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_course import course
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import Window
from calslo_dagster_tests.logs import HOUR, START
from calslo_dagster_tests.pipeline.courses import SLO, hours

SPAN = Window(START, START + 48 * HOUR)


def test_a_course_has_the_values_and_limits_of_each_window(project: Project) -> None:
    hours(project, "mmub")

    found = course(project, project.registry.find(SLO), "*", span=SPAN)

    assert [point.at for point in found.points] == [START + n * HOUR for n in (1, 2, 3, 4)]
    assert [point.value for point in found.points] == [0.0, 0.0, None, 0.5]
    assert {point.threshold for point in found.points} == {0.4}


@pytest.mark.parametrize("most", [2, 3, 7, 48, 400])
def test_thinning_keeps_the_breach_and_the_last_window(project: Project, most: int) -> None:
    hours(project, "m" * 20 + "b" + "m" * 26 + "w")

    found = course(project, project.registry.find(SLO), "*", span=SPAN, points=most)

    assert len(found.points) == min(most, 48)
    assert Verdict.BREACHED in {point.verdict for point in found.points}
    assert found.points[-1].at == SPAN.end
    assert found.windows == 48
    assert list(found.points) == sorted(found.points, key=lambda point: point.at)


def test_a_slice_that_was_never_measured_has_no_points(project: Project) -> None:
    assert course(project, project.registry.find(SLO), "intent=none", span=SPAN).points == ()
