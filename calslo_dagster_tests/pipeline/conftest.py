"""A project in a folder of its own, with a log and a label feed that tests fill."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster_tests.logs import SETTINGS, project_at

OpenProject = Callable[..., Project]


@pytest.fixture
def open_at() -> Iterator[OpenProject]:
    """Return the function that opens a project; each is closed at the end."""
    opened: list[Project] = []

    def opening(folder: Path, settings: str = SETTINGS, *, extra: str = "", store_url: str = "") -> Project:
        opened.append(project_at(folder, settings, extra=extra, store_url=store_url))
        return opened[-1]

    yield opening
    for project in opened:
        project.store.close()


@pytest.fixture
def project(tmp_path: Path, open_at: OpenProject) -> Project:
    """Return a project with an empty log and an empty label feed."""
    return open_at(tmp_path)
