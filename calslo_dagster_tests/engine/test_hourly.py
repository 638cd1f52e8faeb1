"""Rows, events and labels by hour, and the delay of labels, from the partials alone."""

from pathlib import Path

import pytest

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.engine.hourly import Hour, hourly_counts, label_delay
from calslo_dagster.pipeline.project import Project
from calslo_dagster.sources.base import micros
from calslo_dagster_tests.logs import HOUR, MINUTE, START, aggregate, events, in_force, labels, project_at, write

TIMES = [START, START + MINUTE, START + HOUR]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with three events, one of them without a score, and labels of two that came late."""
    opened = project_at(tmp_path)
    write(tmp_path / "log/a.parquet", events(TIMES, prediction_id=["a", "b", "c"], score=[0.5, None, 0.5]))
    write(tmp_path / "labels/a.parquet", labels(["a", "c"], at=START + 3 * HOUR, of=[TIMES[0], TIMES[2]]))
    aggregate(opened, [START.date()])
    return opened


def test_hours_are_counted_over_events_and_late_labels(project: Project) -> None:
    folders = [project.partials / partial.path for partial in in_force(project) if partial.path]
    start = micros(START)

    with project.store, project.engine() as connection:
        found = hourly_counts(connection, folders, [(start, start + 5 * HOUR_US)])
        later = hourly_counts(connection, folders, [(start + HOUR_US, start + 2 * HOUR_US)])
        delay = label_delay(connection, folders, (start, start + 24 * HOUR_US), 0.5)
        none = label_delay(connection, folders, (start + 5 * HOUR_US, start + 6 * HOUR_US), 0.5)

    assert found == {start: Hour(2, 1, 1), start + HOUR_US: Hour(1, 1, 1)}
    assert later == {start + HOUR_US: Hour(1, 1, 1)}
    assert delay == (2 * HOUR_US, 2)
    assert none == (0, 0)


def test_nothing_is_counted_where_nothing_is(project: Project) -> None:
    with project.store, project.engine() as connection:
        assert hourly_counts(connection, [], [(0, HOUR_US)]) == {}
        assert label_delay(connection, [], (0, HOUR_US), 0.9) == (0, 0)
