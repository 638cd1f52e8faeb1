"""A span that is judged from snapshots alone says what the stored measurements and breaches say."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from calslo_dagster.pipeline import judge_span as stage
from calslo_dagster.pipeline.context import context_of
from calslo_dagster.pipeline.judge_span import Trial, judge_span
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.take_measurements import Request, measure_weeks
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.slo.many import CODE
from calslo_dagster.slo.model import Cadence, Verdict
from calslo_dagster.slo.windows import DAY, Window
from calslo_dagster.store import breaches, measurements
from calslo_dagster_tests.logs import HOUR, LATER, SETTINGS, START, aggregate, days_from, measure, traffic, write
from calslo_dagster_tests.pipeline.conftest import OpenProject

SPAN = Window(START, START + 3 * DAY)
MONDAY = START - 5 * DAY
DAYS = days_from(START, 3)
NOW = START + 2 * DAY + 1.5 * HOUR
EXCLUDED = """
exclusions:
  - {from: 2026-03-08T03:00:00Z, to: 2026-03-08T05:00:00Z, slos: [p99_latency], reason: refit, author: ops}
"""
OWN = """\
  define:
    - {name: slope, metric: slope, operator: '<', fail: 9, window: 6h}
    - {name: panes, metric: n, operator: '>', fail: 1, window: 3h, aggregation: max}
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a project that has been measured, breaches and all."""
    folder = tmp_path_factory.mktemp("evaluated")
    found = traffic(hours=50)
    write(folder / "log/a.parquet", found.log)
    write(folder / "labels/a.parquet", found.labels)
    return folder


@pytest.fixture
def project(evaluated: Path, open_at: OpenProject) -> Project:
    opened: Project = open_at(evaluated, SETTINGS + OWN + EXCLUDED)
    return opened


def judged(project: Project, now: datetime) -> dict[str, Trial]:
    trials = {slo.name: Trial.of(context_of(project, slo, now=now, run_id=""), SPAN) for slo in project.registry}
    judge_span(project, list(trials.values()), SPAN)
    return trials


def store(project: Project, now: datetime) -> None:
    """Measure what there is as the jobs do, and fold it into breaches."""
    aggregate(project, DAYS, now)
    for slo in project.registry:
        if slo.cadence is Cadence.MINUTE:
            measure(project, slo.name, DAYS, now, recompute=True)
        else:
            measure_weeks(project, Request(slo.name, now, "test"), [MONDAY])
    track_breaches(project)


def test_verdicts_and_breaches_are_those_that_are_stored(project: Project) -> None:
    """The last windows are not final yet, and a week has just ended."""
    store(project, NOW)

    trials = judged(project, NOW)
    with project.store.read() as session:
        for name, trial in trials.items():
            stored = measurements.between(session, name, start=SPAN.start, end=SPAN.end)
            assert len(stored) == sum(course.measured for course in trial.courses.values())
            for row in stored:
                course = trial.courses[row.slice]
                assert course.codes[trial.grid.place(row.window_end)] == CODE[row.verdict]
                assert row.verdict is not Verdict.BREACHED or course.limit_at(row.window_end) == row.threshold
        found = {one.id: one.episode for one in breaches.between(session, start=SPAN.start, end=SPAN.end)}
    episodes = [one for trial in trials.values() for course in trial.courses.values() for one in course.episodes()]
    assert {one.id: replace(one, reason="") for one in episodes} == {
        one.id: replace(one, reason="") for one in found.values()
    }
    assert len({one.slo for one in episodes}) > 2


def test_only_the_slices_that_are_asked_for_are_judged(project: Project) -> None:
    aggregate(project, DAYS)
    trial = Trial.of(context_of(project, project.registry.find("score_range"), now=LATER, run_id=""), SPAN)

    judge_span(project, [trial], SPAN, slices=["intent=buy,*"])

    assert {name.partition(",")[0] for name in trial.courses} == {"intent=buy"}
    assert not stage.wants(["intent=buy,*"], "*")
