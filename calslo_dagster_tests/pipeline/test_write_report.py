"""Reports are whole files beside the state, the same bytes for the same data."""

import json
from pathlib import Path

import pytest

from calslo_dagster.errors import ExportError
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.write_report import FORMATS, write_report
from calslo_dagster_tests.logs import LATER, project_at
from calslo_dagster_tests.pipeline.courses import hours


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = project_at(tmp_path)
    hours(made, "mmbbm")
    return made


def test_a_report_is_written_in_every_format_and_again_as_the_same(project: Project) -> None:
    with project.store:
        first = write_report(project, "2026-W10", now=LATER)
        before = [path.read_bytes() for path in first.files]
        again = write_report(project, "2026-W10", now=LATER)

    assert [path.suffix[1:] for path in first.files] == [form.value for form in FORMATS]
    assert [path.read_bytes() for path in again.files] == before
    assert sorted(path.name for path in first.files[0].parent.iterdir()) == sorted(path.name for path in first.files)
    [told] = [path for path in first.files if path.suffix == ".json"]
    assert json.loads(told.read_text())["title"] == "Calibration report, 2026-W10"


def test_a_week_that_is_not_over_is_refused_and_leaves_nothing(project: Project) -> None:
    with project.store, pytest.raises(ExportError, match="not over before"):
        write_report(project, "2026-W12", now=LATER)

    assert not (project.settings.home / "reports").exists()


def test_what_cannot_be_written_leaves_the_old_file(project: Project) -> None:
    with project.store:
        found = write_report(project, "2026-W10", now=LATER)
        kept = found.files[0].read_bytes()
        found.files[0].unlink()
        found.files[0].mkdir()
        with pytest.raises(OSError, match="directory"):
            write_report(project, "2026-W10", now=LATER)

    assert found.files[0].is_dir()
    assert len(kept) > 500
    assert not [path for path in found.files[0].parent.iterdir() if path.name.startswith(".")]
