"""A project whose log has incidents in it, evaluated as the minute and the weekly job do."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.windows import WEEK
from calslo_dagster_tests.logs import START, days_from, evaluate, evaluate_weeks, project_at, traffic, write

EXTRA = """
slices: {columns: [intent]}
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Yield the project; for tests that change nothing."""
    folder = tmp_path_factory.mktemp("views")
    found = traffic(START - timedelta(days=5), hours=9 * 24)
    write(folder / "log" / "all.parquet", found.log)
    write(folder / "labels" / "all.parquet", found.labels)
    project = project_at(folder, extra=EXTRA)
    with project.store:
        evaluate(project, days_from(START - timedelta(days=5), 9))
        monday = START - timedelta(days=5)
        evaluate_weeks(project, [monday, monday + WEEK])
        yield project
