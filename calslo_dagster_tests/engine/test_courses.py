"""Hour by hour, slices hold what their windows add up to."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from calslo_dagster.engine import read
from calslo_dagster.engine.courses import Courses
from calslo_dagster.engine.facts import CELLS, HOUR_US, LATENCY
from calslo_dagster.pipeline.project import Project
from calslo_dagster.sources.base import micros
from calslo_dagster_tests.logs import START, aggregate, days_from, in_force, project_at, traffic, write

HOURS = 48
VIEW = ("intent",)
SPAN = (micros(START), micros(START) + HOURS * HOUR_US)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Yield a project with two days of traffic."""
    folder: Path = tmp_path_factory.mktemp("courses")
    opened = project_at(folder)
    with opened.store:
        write(folder / "log/a.parquet", traffic(hours=HOURS).log)
        aggregate(opened, days_from(START, 2))
        yield opened


def folders(project: Project) -> list[Path]:
    return [project.partials / partial.path for partial in in_force(project) if partial.path]


def test_hours_add_up_to_the_window(project: Project) -> None:
    with project.engine() as connection:
        courses = Courses(connection, folders(project), *SPAN)
        totals = courses.totals(VIEW, ("n", "n_lab", "above"))
        versions, levels = courses.versions(VIEW), courses.levels(CELLS, VIEW, levels=4, block_hours=6)
        latency = courses.levels(LATENCY, (), levels=10, block_hours=1)[()]
        whole = read.window(connection, folders(project), *SPAN, slice_columns=VIEW, views=[VIEW, ()])

    for key, found in totals.items():
        snapshot = whole[VIEW, key]
        assert found.shape == (3, HOURS)
        assert found.sum(axis=1).tolist() == [snapshot.count(name) for name in ("n", "n_lab", "above")]
        assert {v: int(n.sum()) for (k, v), n in versions.items() if k == key and n.any()} == snapshot.versions
        assert (levels[key].shape, levels[key].sum()) == ((4, 8), snapshot.events)
        # Levels hold about as much each, to within one cell of the fine grid.
        assert levels[key].sum(axis=1) == pytest.approx(np.full(4, snapshot.events / 4), rel=0.1)
    # From the twentieth hour on calibrations take twenty times as long for two hours.
    assert latency[-1, 20:22].sum() > 0.9 * latency[:, 20:22].sum()
    assert int(latency.sum()) == int(whole[(), ()].latency.sum())


def test_a_window_can_be_that_of_one_version(project: Project) -> None:
    with project.engine() as connection:
        whole, first, second, none = (
            read.window(connection, folders(project), *SPAN, views=[()], version=version).get(((), ()))
            for version in (None, "v1", "v2", "it's none")
        )

    assert whole
    assert first
    assert second
    assert none is None
    np.testing.assert_array_equal((first + second).totals, whole.totals)
    np.testing.assert_array_equal((first + second).cells, whole.cells)
    assert (list(first.versions), list(second.versions)) == (["v1"], ["v2"])


def test_without_facts_there_is_nothing(project: Project) -> None:
    with project.engine() as connection:
        courses = Courses(connection, [], *SPAN)

        assert courses.totals(VIEW, ("n",)) == {}
        assert courses.versions(VIEW) == {}
        assert courses.levels(CELLS, VIEW, levels=4, block_hours=6) == {}
