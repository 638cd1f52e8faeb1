"""A running application over a project with one open incident."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster_tests.logs import START
from calslo_dagster_tests.web.serving import Site, serving
from calslo_dagster_tests.web.standing import with_incident


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For tests that change nothing."""
    project = with_incident(tmp_path_factory.mktemp("shown"), "", {})
    with project.store, serving(project, START + timedelta(hours=2, minutes=5)) as running:
        yield running


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    project = with_incident(tmp_path, "", {})
    with project.store, serving(project, START + timedelta(hours=2, minutes=5)) as running:
        yield running
